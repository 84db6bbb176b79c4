from __future__ import annotations

from collections import defaultdict
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bulkqa.flow.examples import CellExamples
from bulkqa.flow.report import tabulate
from bulkqa.flow.votes import LabelRow

BOUNDS = (50, 80, 100)
ORDER = ["disconfirmed", "split", "confirmed"]

rows = st.lists(
    st.builds(
        LabelRow,
        st.tuples(st.text(max_size=3), st.sampled_from(["Cat", "Dog", "Eel"])),
        st.sampled_from([0.0, 49.9, 50.0, 79.99, 80.0, 99.9, 100.0]),
        st.integers(0, 2),
        st.integers(0, 2),
        st.integers(0, 1),
    ),
    unique_by=lambda row: row.key,
    max_size=60,
)


def kept(rows: list[LabelRow], **limits: int) -> list[dict[str, Any]]:
    """Return the examples of rows."""
    examples = CellExamples(BOUNDS, **limits)
    for row in rows:
        examples.add(row)
    return examples.as_json()


def by_cell(examples: list[dict[str, Any]]) -> dict[tuple[str, int], list[dict[str, Any]]]:
    """Return examples by label and place of their band."""
    cells = defaultdict(list)
    for one in examples:
        cells[one["label"], BOUNDS.index(one["band"][0])].append(one)
    return cells


@given(rows, st.integers(1, 5))
def test_every_cell_has_as_many_as_it_can_and_the_worst_first(rows: list[LabelRow], per_cell: int) -> None:
    """A cell of the table has examples up to the limit, rejected ones first, then split, then confirmed."""
    cells = by_cell(kept(rows, per_cell=per_cell))
    for label, line in tabulate(rows, BOUNDS).labels.items():
        for band, tally in enumerate(line.bands):
            assert tally.reviewed == 0 or (label, band) in cells
            there = tally.disconfirmed * ["disconfirmed"] + tally.split * ["split"]
            there += tally.confirmed * ["confirmed"]
            assert [one["outcome"] for one in cells[label, band]] == there[:per_cell]


@given(rows, st.integers(0, 2**32), st.integers(1, 4), st.integers(1, 12))
def test_the_order_of_the_rows_changes_nothing(
    rows: list[LabelRow], seed: int, per_cell: int, in_all: int
) -> None:
    """Whatever the order, the same examples are kept in the same order."""
    others = rows.copy()
    Random(seed).shuffle(others)
    limits = {"per_cell": per_cell, "in_all": in_all}
    assert kept(rows, **limits) == kept(others, **limits)


def test_many_cells_keep_few_examples_each() -> None:
    """With 30 in all, 10 cells have 3 each and 60 cells one each, though each could have 12."""

    def numbers(labels: int) -> set[int]:
        rows = [LabelRow((f"{n}.jpg", f"{n % labels}"), 90.0, 0, 1) for n in range(labels * 20)]
        return {len(cell) for cell in by_cell(kept(rows, in_all=30)).values()}

    assert (numbers(1), numbers(10), numbers(60)) == ({12}, {3}, {1})


def test_an_example_says_what_was_voted() -> None:
    """An example has the item's picture, confidence, outcome and numbers of votes."""
    assert kept([LabelRow(("a.jpg", "Dog"), 100.0, 2, 1, 4)]) == [
        {
            "label": "Dog",
            "band": [80, 100],
            "outcome": "split",
            "image": "a.jpg",
            "confidence": 100.0,
            "votes": {"confirm": 2, "disconfirm": 1, "cannot_judge": 4},
        }
    ]


def test_what_is_drawn_is_no_favourite() -> None:
    """Of 1,000 rejected items with rising names and confidences, those drawn are spread over all of them."""
    rows = [LabelRow((f"{n:04d}.jpg", "Dog"), 80 + n / 50, 0, 1) for n in range(1000)]
    drawn = [int(one["image"][:4]) for one in kept(rows)]
    assert len(drawn) == 12
    assert min(drawn) < 250 < 750 < max(drawn)
