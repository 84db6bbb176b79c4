from __future__ import annotations

import csv
import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkqa.errors import InputError
from bulkqa.flow.bands import PUBLISHED_BANDS, Bands, read_bands
from bulkqa.flow.report import Report, Tally, as_json, as_table, class_average, tabulate
from bulkqa.flow.statistics import wilson
from bulkqa.flow.votes import LabelRow, Outcome

SHARED_DATA = Path(__file__).parents[3] / "shared/data"
COUNTS = ("confirmed", "disconfirmed", "split", "unreviewed", "cannot_judge")
VOTES = {"confirmed": (1, 0), "disconfirmed": (0, 1), "split": (1, 1), "unreviewed": (0, 0)}
serial = itertools.count()


def rows(label: str, confidence: float, **outcomes: int) -> list[LabelRow]:
    """Return so many rows of a label with each outcome."""
    return [
        LabelRow((f"{next(serial)}.jpg", label), confidence, *VOTES[outcome])
        for outcome, number in outcomes.items()
        for _ in range(number)
    ]


def json_of(
    found: Sequence[LabelRow], bands: Bands = PUBLISHED_BANDS, published: bool = False
) -> dict[str, Any]:
    """Return the report of these rows as JSON has it."""
    return as_json(tabulate(found, bands), "dogs", 1, published)


def percent(share: float | None) -> str:
    """Return a share as the published tables print it."""
    assert share is not None
    return f"{100 * share:.2f}"


row_lists = st.lists(
    st.builds(
        LabelRow,
        st.tuples(st.text("abc", min_size=1), st.sampled_from(["Cat", "Dog", "é", "\uff01", "🦞"])),
        st.one_of(st.floats(0, 100), st.sampled_from([79.99999999, 80.0, 85.0, 90.0, 95.0, 100.0])),
        st.integers(0, 2),
        st.integers(0, 2),
        st.integers(0, 2),
    ),
    max_size=25,
)
band_lists = st.sampled_from(
    [PUBLISHED_BANDS, (0, 100), (0, 50, 60, 70, 80, 90, 100), (82.5, 99.25, 100), (99, 100)]
)


# Counting.


@given(row_lists, band_lists)
def test_every_item_has_one_outcome_in_one_band(found: list[LabelRow], bands: Bands) -> None:
    """Outcomes are disjoint and complete, in bands, labels and totals, and all sums agree."""
    report = tabulate(found, bands)
    lines = [*report.labels.values(), report.totals]
    for tally in [tally for line in lines for tally in (*line.bands, line.all)]:
        assert tally.total == tally.confirmed + tally.disconfirmed + tally.split + tally.unreviewed
        assert tally.incorrect == tally.disconfirmed + tally.split
        assert tally.cannot_judge <= tally.total
    for count in (*COUNTS, "total"):
        of_labels = sum(getattr(line.all, count) for line in report.labels.values())
        assert getattr(report.totals.all, count) == of_labels
    assert report.totals.all.total + report.below == len(found)
    assert list(report.labels) == sorted({row.key[1] for row in found})


@given(row_lists, band_lists)
def test_counts_are_those_of_the_rows(found: list[LabelRow], bands: Bands) -> None:
    """Each band of a label counts its own rows by their outcomes, found here by counting row by row."""
    expected: Counter[tuple[str, int, str]] = Counter()
    below = 0
    for row in found:
        place = sum(row.confidence >= bound for bound in bands[:-1]) - 1
        below += place < 0
        if place >= 0:
            expected[row.key[1], place, row.outcome.value] += 1
            expected[row.key[1], place, "cannot_judge"] += row.cannot_judges > 0
    report = tabulate(found, bands)
    counted = Counter(
        {
            (label, place, count): getattr(tally, count)
            for label, line in report.labels.items()
            for place, tally in enumerate(line.bands)
            for count in COUNTS
        }
    )
    assert +counted == +expected
    assert report.below == below


@pytest.mark.parametrize(
    ("confidence", "band"),
    [
        (0.0, None),
        (79.99999999, None),
        (80.0, 0),
        (84.99999999, 0),
        (85.0, 1),
        (89.995, 1),
        (90.0, 2),
        (95.0, 3),
        (99.999, 3),
        (100.0, 3),
    ],
)
def test_band_edges(confidence: float, band: int | None) -> None:
    """A band holds its lower bound and not its upper one, the last band 100 too; nothing is rounded."""
    report = tabulate(rows("Dog", confidence, confirmed=1))
    expected = [int(place == band) for place in range(4)]
    assert [tally.total for tally in report.labels["Dog"].bands] == expected
    assert report.below == (band is None)


def test_cannot_judge_overlaps() -> None:
    """`cannot_judge` counts items with such a vote, once each, whatever their outcome."""
    report = tabulate(
        [
            LabelRow(("a", "Dog"), 99.0, 1, 0, 1),
            LabelRow(("b", "Dog"), 99.0, 0, 0, 3),
            LabelRow(("c", "Dog"), 99.0, 1, 1, 2),
            LabelRow(("d", "Dog"), 99.0, 0, 1, 0),
        ]
    )
    assert report.totals.all == Tally(confirmed=1, disconfirmed=1, split=1, unreviewed=1, cannot_judge=3)
    assert (report.totals.all.total, report.totals.all.correct) == (4, 1 / 3)


def test_outcome_is_that_of_the_votes() -> None:
    """A tally counts a row under the outcome of its votes."""
    for name in VOTES:
        (row,) = rows("Dog", 99.0, **{name: 1})
        assert row.outcome is Outcome(name)
        assert getattr(tabulate([row]).totals.all, name) == 1


def test_unreviewed_items_are_outside_the_share() -> None:
    """The share is that of the reviewed items; where there is none it is unknown, with its interval."""
    report = tabulate(
        rows("Dog", 99.0, confirmed=27, disconfirmed=1, unreviewed=9) + rows("Cat", 99.0, unreviewed=2)
    )
    assert report.labels["Dog"].all.correct == 27 / 28
    assert report.labels["Dog"].all.interval == wilson(27, 28)
    assert report.labels["Cat"].all.correct is None
    assert report.labels["Cat"].all.interval is None
    assert report.totals.all.correct == 27 / 28


def test_split_is_not_correct() -> None:
    """An item on which reviewers disagree counts as incorrect."""
    report = tabulate(rows("Dog", 99.0, confirmed=1, split=3))
    assert (report.totals.all.incorrect, report.totals.all.correct) == (3, 0.25)


def test_no_rows() -> None:
    """Without rows there is a report without labels, its shares unknown."""
    found = json_of([])
    assert (found["labels"], found["below"], found["totals"]["total"]) == ([], 0, 0)
    assert found["totals"]["correct"] is found["class_average"]["correct"] is None


def test_tabulate_refuses_bad_bands() -> None:
    """A report is made of bands that can be used, or refused."""
    with pytest.raises(InputError, match="have to rise"):
        tabulate([], (90, 80, 100))


# JSON.


def test_json_has_the_agreed_shape() -> None:
    """The report as JSON has the keys, order and values that scripts rely on."""
    found = [
        *rows("Dog", 82.0, confirmed=1, split=1),
        *rows("Dog", 99.0, disconfirmed=2, unreviewed=1),
        *rows("Cat", 100.0, unreviewed=1),
        *rows("Cat", 79.9, confirmed=1),
        LabelRow(("x", "Cat"), 95.0, 0, 0, 2),
    ]

    def line(
        counts: Sequence[int], correct: float | None, interval: object, bands: object
    ) -> dict[str, object]:
        names = ("total", "confirmed", "disconfirmed", "split", "unreviewed", "cannot_judge")
        tally = dict(zip(names, counts, strict=True))
        return {**tally, "correct": correct, "interval": interval, "bands": bands}

    def band(low: int, counts: Sequence[int], correct: float | None, interval: object) -> dict[str, object]:
        names = ("total", "confirmed", "incorrect", "unreviewed")
        tally = dict(zip(names, counts, strict=True))
        high = 100 if low == 90 else 90
        return {"band": [low, high], **tally, "correct": correct, "interval": interval}

    half, none, quarter = (list(wilson(*share) or ()) for share in ((1, 2), (0, 2), (1, 4)))
    low_dogs = band(80, (2, 1, 1, 0), 0.5, half)
    cat_bands = [band(80, (0, 0, 0, 0), None, None), band(90, (2, 0, 0, 2), None, None)]
    dog_bands = [low_dogs, band(90, (3, 0, 2, 1), 0.0, none)]
    assert json_of(found, (80, 90, 100)) == {
        "schema": 1,
        "job": "dogs",
        "bands": [[80, 90], [90, 100]],
        "below": 1,
        "labels": [
            {"label": "Cat", **line((2, 0, 0, 0, 2, 1), None, None, cat_bands)},
            {"label": "Dog", **line((5, 1, 2, 1, 1, 0), 0.25, quarter, dog_bands)},
        ],
        "totals": line((7, 1, 2, 1, 3, 1), 0.25, quarter, [low_dogs, band(90, (5, 0, 2, 3), 0.0, none)]),
        "class_average": {
            "correct": 0.25,
            "bands": [{"band": [80, 90], "correct": 0.5}, {"band": [90, 100], "correct": 0.0}],
        },
    }


def test_json_names_no_job_for_a_file() -> None:
    """The report of a file of rows has null for the job, and the schema it is given."""
    found = as_json(tabulate([]), None, 7)
    assert (found["job"], found["schema"]) == (None, 7)


def test_whole_bounds_print_as_integers() -> None:
    """Whole bounds are integers in JSON, however they were given; others keep their fraction."""
    found = json_of([], read_bands("80,82.5,100"))
    assert repr(found["bands"]) == "[[80, 82.5], [82.5, 100]]"


def test_labels_come_in_code_point_order() -> None:
    """Labels come in code-point order, those outside the basic plane last."""
    found = json_of(
        [row for label in ("🦞", "a", "\uff01", "Z", "é") for row in rows(label, 99.0, confirmed=1)]
    )
    assert [line["label"] for line in found["labels"]] == ["Z", "a", "é", "\uff01", "🦞"]


# The class average.


@pytest.mark.parametrize(
    ("shares", "average"),
    [([], None), ([None, None], None), ([1.0, None, 0.5], 0.75), ([0.0, 1.0], 0.5), ([0.0], 0.0)],
)
def test_class_average(shares: list[float | None], average: float | None) -> None:
    """The class average is the unweighted mean of the shares that are known, unknown where none is."""
    assert class_average(shares) == average


def test_class_average_does_not_weigh_labels() -> None:
    """Each label counts the same in the class average, however many items it has."""
    found = json_of(rows("Dog", 99.0, confirmed=99) + rows("Cat", 99.0, disconfirmed=1))
    assert found["class_average"]["correct"] == 0.5
    assert found["totals"]["correct"] == 0.99


def test_empty_bands() -> None:
    """An empty band's share is null and left out of the average; published, it is 0 and counts."""
    found = rows("Dog", 99.0, confirmed=1) + rows("Cat", 82.0, confirmed=1)
    ours, published = json_of(found, (80, 90, 100)), json_of(found, (80, 90, 100), published=True)
    assert [band["correct"] for band in ours["labels"][0]["bands"]] == [1.0, None]
    assert [band["correct"] for band in ours["class_average"]["bands"]] == [1.0, 1.0]
    assert [band["correct"] for band in published["labels"][0]["bands"]] == [1.0, 0.0]
    assert [band["correct"] for band in published["class_average"]["bands"]] == [0.5, 0.5]


def test_unreviewed_band_is_not_an_empty_one() -> None:
    """A band of items that nobody reviewed is unknown, published too."""
    found = json_of(rows("Dog", 99.0, unreviewed=1), (80, 100), published=True)
    assert found["labels"][0]["bands"][0]["correct"] is None
    assert found["class_average"]["bands"][0]["correct"] is None


# The published tables: label, total, confirmed, disconfirmed, split, and total and incorrect of each band.

SHELLFISH = """
Crab 45 45 0 0 100.00 4 0 100.00 7 0 100.00 11 0 100.00 23 0 100.00
Crawdad 68 16 32 20 23.53 1 0 100.00 10 8 20.00 10 8 20.00 47 36 23.40
Lobster 53 40 11 2 75.47 4 4 0.00 10 4 60.00 11 3 72.73 28 2 92.86
Scorpion 77 72 3 2 93.51 8 3 62.50 6 2 66.67 27 0 100.00 36 0 100.00
Shrimp 2 0 1 1 0.00 0 0 0.00 1 1 0.00 0 0 0.00 1 1 0.00
"""
SHELLFISH_TOTALS = "245 173 47 25 70.61 17 7 58.82 34 15 55.88 59 11 81.36 135 39 71.11"
SHELLFISH_AVERAGES = ["58.50", "52.50", "49.33", "58.55", "63.25"]

# Total, the share printed for the label, and the bands. For Crawdad and Dog the print has one incorrect
# item more in the bands than in the totals, so their own shares do not follow from the bands.
GENERAL = """
Beaver 28 96.43 2 1 50.00 3 0 100.00 13 0 100.00 10 0 100.00
Cat 10 90.00 1 1 0.00 0 0 0.00 5 0 100.00 4 0 100.00
Crawdad 68 51.47 1 1 0.00 10 8 20.00 10 6 40.00 47 19 59.57
Dinosaur 65 95.38 4 0 100.00 10 1 90.00 12 1 91.67 39 1 97.44
Dog 68 98.53 1 0 100.00 5 1 80.00 34 0 100.00 28 1 96.43
Saxophone 40 95.00 1 0 100.00 2 1 50.00 22 1 95.45 15 0 100.00
Sea~Turtle 86 97.67 5 1 80.00 8 1 87.50 13 0 100.00 60 0 100.00
Soccer~Ball 87 79.31 8 5 37.50 7 5 28.57 9 6 33.33 63 2 96.83
Stop~sign 58 100.00 6 0 100.00 9 0 100.00 12 0 100.00 31 0 100.00
"""
GENERAL_BAND_TOTALS = "29 9 68.97 54 17 68.52 130 14 89.23 297 23 92.26"
GENERAL_BAND_AVERAGES = ["63.06", "61.79", "84.49", "94.47"]
FAULTY = ("Crawdad", "Dog")


def printed(table: str) -> dict[str, list[str]]:
    """Return the cells of a printed table by label."""
    lines = [line.split() for line in table.split("\n") if line]
    return {cells[0].replace("~", " "): cells[1:] for cells in lines}


def rebuilt(table: Mapping[str, list[str]], first_band: int) -> list[LabelRow]:
    """Return rows with a printed table's counts; incorrect items are disconfirmed, as far as printed."""
    found = []
    for label, cells in table.items():
        disconfirms = int(cells[2]) if first_band == 5 else 10_000
        for place, low in enumerate(PUBLISHED_BANDS[:-1]):
            total, incorrect = (int(cell) for cell in cells[first_band + 3 * place :][:2])
            disconfirmed = min(incorrect, disconfirms)
            disconfirms -= disconfirmed
            split = incorrect - disconfirmed
            found += rows(
                label, low + 2.5, confirmed=total - incorrect, disconfirmed=disconfirmed, split=split
            )
    return found


def band_cells(line: Mapping[str, Any]) -> list[str]:
    """Return the bands of a line as they are printed."""
    return [
        cell
        for band in line["bands"]
        for cell in (str(band["total"]), str(band["incorrect"]), percent(band["correct"]))
    ]


def cells_of(line: Mapping[str, Any]) -> list[str]:
    """Return a line as it is printed."""
    counts = [str(line[name]) for name in ("total", "confirmed", "disconfirmed", "split")]
    return [*counts, percent(line["correct"]), *band_cells(line)]


def test_published_shellfish_table() -> None:
    """The published shellfish table comes out of its counts, every percentage, total and average."""
    table = printed(SHELLFISH)
    found = json_of(rebuilt(table, first_band=5), published=True)
    assert {line["label"]: cells_of(line) for line in found["labels"]} == table
    assert cells_of(found["totals"]) == SHELLFISH_TOTALS.split()
    averages = found["class_average"]
    shown = [percent(averages["correct"]), *(percent(band["correct"]) for band in averages["bands"])]
    assert shown == SHELLFISH_AVERAGES


def test_published_general_table() -> None:
    """The bands of the published general table come out of its counts, with their totals and averages."""
    table = printed(GENERAL)
    found = json_of(rebuilt(table, first_band=2), published=True)
    lines = {line["label"]: line for line in found["labels"]}
    assert {label: band_cells(line) for label, line in lines.items()} == {
        label: cells[2:] for label, cells in table.items()
    }
    assert band_cells(found["totals"]) == GENERAL_BAND_TOTALS.split()
    assert [percent(band["correct"]) for band in found["class_average"]["bands"]] == GENERAL_BAND_AVERAGES
    assert found["totals"]["total"] == 510
    for label in table.keys() - FAULTY:
        assert [str(lines[label]["total"]), percent(lines[label]["correct"])] == table[label][:2]


def test_published_class_average_of_labels() -> None:
    """The published class average is the mean of the percentages printed for the labels."""
    shares = [float(cells[1]) / 100 for cells in printed(GENERAL).values()]
    assert percent(class_average(shares)) == "89.31"


def test_empty_cell_in_the_class_average() -> None:
    """The one empty cell of the general table makes its average 61.79 as published, 69.51 in our report."""
    found = rebuilt(printed(GENERAL), first_band=2)
    published, ours = json_of(found, published=True), json_of(found)
    assert percent(published["class_average"]["bands"][1]["correct"]) == "61.79"
    assert percent(ours["class_average"]["bands"][1]["correct"]) == "69.51"
    assert ours["labels"][1]["bands"][1]["correct"] is None


@pytest.mark.parametrize(("name", "launched"), [("shellfish", 245), ("sample", 513)])
def test_bands_of_the_published_corpora(name: str, launched: int) -> None:
    """The bands of the published corpora hold as many items as the file has between their bounds."""
    file = SHARED_DATA / f"{name}.csv"
    if not file.exists():
        pytest.skip("the published corpora are not here")
    with file.open(encoding="utf-8", newline="") as text:
        items = [(r["image_local_path"], r["label"], float(r["confidence"])) for r in csv.DictReader(text)]
    expected = {
        label: [sum(of == label and low <= c < low + 5 for _, of, c in items) for low in (80, 85, 90, 95)]
        for label in {label for _, label, _ in items}
    }
    report = tabulate(LabelRow((image, label), confidence) for image, label, confidence in items)
    assert {label: [t.total for t in line.bands] for label, line in report.labels.items()} == expected
    assert report.totals.all.total == launched
    assert report.below == len(items) - launched
    if name == "shellfish":
        of_print = {label: [int(cell) for cell in cells[5::3]] for label, cells in printed(SHELLFISH).items()}
        assert expected == of_print


# CSV.


def flat(report: Report, published: bool) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the report's rows of CSV, each by column name, and the report as JSON has it."""
    header, *found = as_table(report, 1, published)
    return [dict(zip(map(str, header), row, strict=True)) for row in found], as_json(
        report, None, 1, published
    )


@given(row_lists, band_lists, st.booleans())
def test_csv_agrees_with_json(found: list[LabelRow], bands: Bands, published: bool) -> None:
    """A row of CSV for each label and each of its bands, for totals and averages, has what JSON has."""
    table, json = flat(tabulate(found, bands), published)
    lines = [("label", line["label"], line) for line in json["labels"]] + [
        ("totals", "TOTALS", json["totals"])
    ]
    rest = iter(table)
    for kind, name, line in lines:
        for part in (line, *line["bands"]):
            row = next(rest)
            band = "{}-{}".format(*part["band"]) if "band" in part else ""
            assert (row["schema"], row["kind"], row["label"], row["band"]) == (1, kind, name, band)
            numbers = part.keys() - {"label", "band", "bands", "interval"}
            assert {n: row[n] for n in numbers} == {n: part[n] for n in numbers}
            assert [row["low"], row["high"]] == (part["interval"] or [None, None])
            assert row["incorrect"] == row["disconfirmed"] + row["split"]
    for part in (json["class_average"], *json["class_average"]["bands"]):
        row = next(rest)
        band = "{}-{}".format(*part["band"]) if "band" in part else ""
        assert (row["kind"], row["label"], row["band"]) == ("average", "CLASS AVERAGE", band)
        assert row["correct"] == part["correct"]
        assert row["total"] is row["low"] is None
    assert next(rest, None) is None


def test_csv_header() -> None:
    """The columns of the CSV report have the names and order that scripts rely on."""
    (header, *_) = as_table(tabulate([]), 1)
    assert ",".join(map(str, header)) == (
        "schema,kind,label,band,total,confirmed,disconfirmed,split,incorrect,unreviewed,cannot_judge,correct,low,high"
    )


def test_csv_keeps_a_label_named_totals_apart() -> None:
    """A label of the name of the totals or the average stays apart by its kind."""
    table, _ = flat(
        tabulate(rows("TOTALS", 99.0, confirmed=1) + rows("CLASS AVERAGE", 99.0, confirmed=1)), False
    )
    kinds = [(row["kind"], row["label"]) for row in table if row["band"] == ""]
    assert kinds == [
        ("label", "CLASS AVERAGE"),
        ("label", "TOTALS"),
        ("totals", "TOTALS"),
        ("average", "CLASS AVERAGE"),
    ]


def test_csv_names_bands_exactly() -> None:
    """A band's name in the CSV report shows its bounds unrounded."""
    table, _ = flat(tabulate([], (82.5, 99.12345, 100)), False)
    assert [row["band"] for row in table[:3]] == ["", "82.5-99.12345", "99.12345-100"]
