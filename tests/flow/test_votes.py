from __future__ import annotations

import pytest

from bulkqa.flow.answers import Answer, Decision, read_answer
from bulkqa.flow.tasks import TaskItem
from bulkqa.flow.votes import (
    LabelRow,
    Outcome,
    Recorded,
    Vote,
    of_job,
    outcome,
    row_of_job,
    voter,
    votes,
)

KEY = ("a.jpg", "Dog")
CONFIRM, DISCONFIRM, CANNOT = Decision.CONFIRM, Decision.DISCONFIRM, Decision.CANNOT_JUDGE


def page(*marks: str | None) -> list[TaskItem]:
    """Return a page with a picture for each mark; a known-answer item for each that is not None."""
    return [TaskItem(f"{n}.jpg", "Dog", 99.0, check=mark) for n, mark in enumerate(marks)]


@pytest.mark.parametrize(
    ("confirms", "disconfirms", "expected"),
    [
        (1, 0, Outcome.CONFIRMED),
        (9, 0, Outcome.CONFIRMED),
        (0, 1, Outcome.DISCONFIRMED),
        (0, 9, Outcome.DISCONFIRMED),
        (1, 1, Outcome.SPLIT),
        (8, 1, Outcome.SPLIT),
        (1, 8, Outcome.SPLIT),
        (0, 0, Outcome.UNREVIEWED),
    ],
)
@pytest.mark.parametrize("cannot_judges", [0, 3])
def test_outcomes(confirms: int, disconfirms: int, cannot_judges: int, expected: Outcome) -> None:
    """Only confirms confirm, only disconfirms disconfirm, both split; votes that cannot judge say nothing."""
    assert outcome(confirms, disconfirms) is expected
    assert LabelRow(KEY, 99.0, confirms, disconfirms, cannot_judges).outcome is expected


def test_votes_of_an_answer() -> None:
    """Each decision is a vote on its own picture, of the voter and revision given."""
    answer = Answer({0: CONFIRM, 2: CANNOT, 1: DISCONFIRM})
    assert sorted(votes(page(None, None, None, None), answer, "dogs/ana", 2), key=lambda vote: vote.key) == [
        Vote(("0.jpg", "Dog"), "dogs/ana", CONFIRM, 2),
        Vote(("1.jpg", "Dog"), "dogs/ana", DISCONFIRM, 2),
        Vote(("2.jpg", "Dog"), "dogs/ana", CANNOT, 2),
    ]


def test_first_answer_has_revision_0() -> None:
    """A vote's revision is 0 unless it is a correction."""
    assert [vote.revision for vote in votes(page(None), Answer({0: CONFIRM}), "dogs/ana")] == [0]


def test_known_answer_items_give_no_vote() -> None:
    """A known-answer item gives no vote, whatever was said of it, and shifts no other."""
    answer = Answer(dict.fromkeys(range(4), DISCONFIRM))
    found = votes(page(None, "wrong", None, "right"), answer, "dogs/ana")
    assert [vote.key[0] for vote in found] == ["0.jpg", "2.jpg"]


def test_votes_land_on_the_pictures_named() -> None:
    """From the page to the votes, the one picture rejected of 25 is the one named."""
    items = page(*[None] * 25)
    answer = read_answer({f"Dog-{n}": {"Confirmed": n != 2} for n in sorted(range(25), key=str)}, 25)
    found = {vote.key[0]: vote.decision for vote in votes(items, answer, "dogs/ana")}
    assert found == {f"{n}.jpg": DISCONFIRM if n == 2 else CONFIRM for n in range(25)}


def test_voters_are_named_by_job_and_worker() -> None:
    """A voter's name begins with the job, so that a worker votes once in each."""
    assert voter("dogs", "a/b") == "dogs/a/b"
    assert voter("dogs", "ana") != voter("dogs-2", "ana")


def test_voters_of_a_job() -> None:
    """Only the voters of exactly that job are its voters, not those of a job whose name it begins."""
    names = ("dogs/ana", "dogs/ben/x", "dogs-2/ana", "dogs2/ana", "hotdogs/ana", "ana/dogs/", "dogs")
    voters = frozenset(names)
    assert of_job("dogs", voters) == {"dogs/ana", "dogs/ben/x"}
    assert of_job("dogs-2", voters) == {"dogs-2/ana"}
    assert of_job("cats", voters) == frozenset()


def test_row_as_a_job_sees_it() -> None:
    """A job sees an item with the confidence it was launched with, its own voters, and their number."""
    row = LabelRow(
        KEY,
        confidence=70.0,
        confirms=3,
        disconfirms=1,
        cannot_judges=2,
        confirmed_by=frozenset({"dogs/ana", "dogs/ben", "dogs-2/eve"}),
        disconfirmed_by=frozenset({"dogs-2/ana"}),
        cannot_judge_by=frozenset({"dogs/eve", "dogs-2/ben"}),
        jobs=frozenset({"dogs", "dogs-2"}),
        model="m1",
        source="s",
        created_at="2026-01-01",
    )
    seen = row_of_job(KEY, 90.0, "dogs", row)
    assert seen == LabelRow(
        KEY,
        confidence=90.0,
        confirms=2,
        disconfirms=0,
        cannot_judges=1,
        confirmed_by=frozenset({"dogs/ana", "dogs/ben"}),
        cannot_judge_by=frozenset({"dogs/eve"}),
        jobs=frozenset({"dogs", "dogs-2"}),
        model="m1",
        source="s",
        created_at="2026-01-01",
    )
    assert row.outcome is Outcome.SPLIT
    assert seen.outcome is Outcome.CONFIRMED
    assert row_of_job(KEY, 90.0, "dogs-2", row).outcome is Outcome.SPLIT


def test_row_without_votes_of_the_job() -> None:
    """An item that only other jobs voted on, or that has no row, is unreviewed in this one."""
    others = LabelRow(KEY, 70.0, 1, 0, 0, frozenset({"dogs-2/ana"}))
    assert row_of_job(KEY, 90.0, "dogs", others) == LabelRow(KEY, 90.0)
    assert row_of_job(KEY, 90.0, "dogs", None) == LabelRow(KEY, 90.0)


@pytest.mark.parametrize("launched_with", [90.0, 70.0])
def test_counts_without_voters_are_of_no_job(launched_with: float) -> None:
    """Counts that name no voter belong to no job, whatever confidence the item was launched with."""
    row = LabelRow(KEY, 70.0, confirms=4, cannot_judges=1)
    assert row_of_job(KEY, launched_with, "dogs", row) == LabelRow(KEY, launched_with)


def test_recorded_adds_up() -> None:
    """What became of several parts of an answer adds up."""
    first, second = Recorded(1, 2, (KEY,)), Recorded(10, 20, (("b.jpg", "Dog"),))
    assert first + second == Recorded(11, 22, (KEY, ("b.jpg", "Dog")))
    assert Recorded() + first == first
