from itertools import product
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkqa.flow import conflicts as module
from bulkqa.flow.conflicts import EXAMPLES, PAIRS, Conflicts, Judgements, Pair
from bulkqa.flow.votes import LabelRow, Outcome

rows = st.lists(
    st.builds(
        LabelRow,
        st.tuples(st.sampled_from(["", "a", "b", "é"]), st.sampled_from(["Cat", "Dog", "Wolf"])),
        st.just(90.0),
        st.integers(0, 1),
        st.integers(0, 1),
    ),
    max_size=30,
)


def found_in(found: list[LabelRow]) -> Conflicts:
    """What the labels of these rows' images say of each other."""
    with Judgements() as judgements:
        for row in found:
            judgements.count(row)
        return judgements.conflicts()


@given(rows)
def test_every_contradiction_is_found(found: list[LabelRow]) -> None:
    """Pairs are those of any two rows of one image, found here by comparing each row with each."""
    twice: dict[tuple[str, str], set[str]] = {}
    confused: dict[tuple[str, str], set[str]] = {}
    for one, other in product(found, found):
        (image, label), (same, second) = one.key, other.key
        if image and image == same and label != second and other.outcome is Outcome.CONFIRMED:
            if one.outcome is Outcome.CONFIRMED and label < second:
                twice.setdefault((label, second), set()).add(image)
            if one.outcome is Outcome.DISCONFIRMED:
                confused.setdefault((label, second), set()).add(image)
    conflicts = found_in(found)
    assert {pair.labels: set(pair.examples) for pair in conflicts.twice} == twice
    assert {pair.labels: set(pair.examples) for pair in conflicts.confusions} == confused
    assert conflicts.confirmed_twice == len(set().union(*twice.values()))
    assert conflicts.confused == len(set().union(*confused.values()))
    for pair in (*conflicts.twice, *conflicts.confusions):
        assert pair.images == len(pair.examples)


@given(rows, st.integers(), st.sampled_from([1, 2, 2000]))
def test_order_and_memory_do_not_matter(found: list[LabelRow], seed: int, room: int) -> None:
    """The same rows in another order, kept in any number of parts, say the same."""
    shuffled = Random(seed).sample(found, len(found))
    expected = found_in(found)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_CHUNK", room)
        assert found_in(shuffled) == expected


def test_pairs_come_by_number_of_images() -> None:
    """The pairs of most images come first; each names the first of its images and counts them all."""
    found = [
        LabelRow((f"{number:03d}", label), 90.0, int(label != "Dog"), int(label == "Dog"))
        for number in range(EXAMPLES + 5)
        for label in ("Dog", "Wolf", *(["Fox"] if number % 2 else []))
    ]
    conflicts = found_in(found[::-1])
    first, second = conflicts.confusions
    assert first == Pair(("Dog", "Wolf"), EXAMPLES + 5, tuple(f"{n:03d}" for n in range(EXAMPLES)))
    assert (second.labels, second.images) == (("Dog", "Fox"), 7)
    assert conflicts.twice == (Pair(("Fox", "Wolf"), 7, tuple(f"{n:03d}" for n in range(1, 15, 2))),)
    assert (conflicts.confirmed_twice, conflicts.confused) == (7, EXAMPLES + 5)


def test_a_list_of_pairs_has_an_end() -> None:
    """More pairs than are listed are counted all the same."""
    found = [LabelRow(("a", f"{n:04d}"), 90.0, 1) for n in range(60)]
    conflicts = found_in(found)
    assert (len(conflicts.twice), conflicts.confirmed_twice) == (PAIRS, 1)
    assert conflicts.twice[0].labels == ("0000", "0001")


def test_nothing() -> None:
    """Without rows nothing contradicts."""
    assert found_in([]) == Conflicts()
