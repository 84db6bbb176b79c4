from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkqa.flow.answers import Answer, Decision, PageAnswers, WorkerAnswer
from bulkqa.flow.checks import CheckTally, tally_answer, tally_checks
from bulkqa.flow.statistics import Interval, wilson
from bulkqa.flow.tasks import TaskItem

CONFIRM, DISCONFIRM, CANNOT = Decision.CONFIRM, Decision.DISCONFIRM, Decision.CANNOT_JUDGE


def page(*marks: str | None) -> tuple[TaskItem, ...]:
    """A page with a picture for each mark; a known-answer item for each that is not None."""
    return tuple(TaskItem(f"{n}.jpg", "Dog", 99.0, mark) for n, mark in enumerate(marks))


def answered(items: tuple[TaskItem, ...], **said: list[Decision]) -> PageAnswers:
    """The page with what each worker said of its pictures."""
    answers = (WorkerAnswer(who, Answer(dict(enumerate(what))), None, 0) for who, what in said.items())
    return PageAnswers("0", items, tuple(answers))


def within(share: float, interval: Interval | None) -> bool:
    """Say whether an interval covers a share."""
    return interval is not None and interval[0] < share < interval[1]


@pytest.mark.parametrize(
    ("mark", "decision", "expected"),
    [
        ("wrong", DISCONFIRM, CheckTally(known_wrong=1, caught=1)),
        ("wrong", CONFIRM, CheckTally(known_wrong=1)),
        ("wrong", CANNOT, CheckTally(cannot_judge=1)),
        ("right", DISCONFIRM, CheckTally(known_right=1, false_alarms=1)),
        ("right", CONFIRM, CheckTally(known_right=1)),
        ("right", CANNOT, CheckTally(cannot_judge=1)),
        (None, DISCONFIRM, CheckTally()),
        ("perhaps", DISCONFIRM, CheckTally()),
    ],
)
def test_one_decision(mark: str | None, decision: Decision, expected: CheckTally) -> None:
    """Each decision on a known-answer item counts as what it is; one on any other item not at all."""
    assert tally_answer(page(mark), Answer({0: decision})) == expected


def test_a_picture_without_a_decision_counts_nowhere() -> None:
    """A known-answer item that the answer passes over is in no number."""
    assert tally_answer(page("wrong", "right"), Answer({1: CONFIRM})) == CheckTally(known_right=1)


def test_workers_are_kept_apart_and_added_up() -> None:
    """Every worker has a tally over all pages, and the pooled one is their sum."""
    pages = [
        answered(page("wrong", None, "right"), ana=[DISCONFIRM] * 3, ben=[CONFIRM] * 3),
        answered(page(None, "wrong"), ana=[CONFIRM, DISCONFIRM], cem=[CANNOT, CANNOT]),
        answered(page(None, None), dora=[CONFIRM, DISCONFIRM]),
    ]
    found = tally_checks(pages)
    assert found.workers == {
        "ana": CheckTally(2, 2, 1, 1),
        "ben": CheckTally(1, 0, 1, 0),
        "cem": CheckTally(cannot_judge=1),
    }
    assert found.pooled == CheckTally(3, 2, 2, 1, 1)


def test_rates() -> None:
    """Rates are shares of what was judged, with their Wilson intervals; of nothing there is none."""
    tally = CheckTally(known_wrong=8, caught=6, known_right=10, false_alarms=1, cannot_judge=5)
    assert (tally.catch_rate, tally.false_alarm_rate) == (0.75, 0.1)
    assert tally.catch_interval == wilson(6, 8)
    assert tally.false_alarm_interval == wilson(1, 10)
    none = CheckTally(cannot_judge=5)
    assert none.catch_rate is None
    assert none.catch_interval is None
    assert none.false_alarm_rate is None
    assert none.false_alarm_interval is None


@given(st.lists(st.tuples(st.sampled_from(["wrong", "right", None]), st.sampled_from(Decision)), max_size=30))
def test_every_decision_is_in_one_number(said: list[tuple[str | None, Decision]]) -> None:
    """Decisions on known-answer items are as many as the tally says, and no part exceeds its whole."""
    tally = tally_answer(
        page(*(mark for mark, _ in said)), Answer({n: decision for n, (_, decision) in enumerate(said)})
    )
    assert tally.known_wrong + tally.known_right + tally.cannot_judge == sum(
        mark is not None for mark, _ in said
    )
    assert tally.caught <= tally.known_wrong
    assert tally.false_alarms <= tally.known_right


def test_what_simulated_workers_did() -> None:
    """Workers who catch two thirds and wrongly reject a tenth are found to, in 95 of 100 intervals or so."""
    draw, workers = random.Random(4), [f"w{number}" for number in range(200)]
    chance = {"wrong": 2 / 3, "right": 0.1, None: 0.3}
    pages = []
    for _ in range(40):
        items = page(*draw.choices(["wrong", "right", None], k=5))
        said = {
            worker: [DISCONFIRM if draw.random() < chance[item.check] else CONFIRM for item in items]
            for worker in workers
        }
        pages.append(answered(items, **said))
    found = tally_checks(pages)
    intervals = [(one.catch_interval, one.false_alarm_interval) for one in found.workers.values()]
    assert len(intervals) == 200
    assert sum(within(2 / 3, caught) for caught, _ in intervals) > 180
    assert sum(within(0.1, alarmed) for _, alarmed in intervals) > 180
