"""Known-answer items: whether reviewers saw what was there to be seen.

A picture whose right answer is known stands among a page's items, unmarked. Rejected where it is wrong, it
was caught; rejected where it is right, that was a false alarm. Who cannot judge one is counted apart.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from bulkqa.flow.answers import Answer, Decision, PageAnswers
from bulkqa.flow.statistics import Interval, wilson
from bulkqa.flow.tasks import TaskItem

WRONG, RIGHT = "wrong", "right"
"""What a known-answer item's `check` says of the label it is shown under."""


class CheckTally(NamedTuple):
    """Decisions on known-answer items: how many on wrong and right ones, and how many of these rejected.

    `cannot_judge` are further decisions, in none of the other numbers. `known_wrong - caught` were missed.
    """

    known_wrong: int = 0
    caught: int = 0
    known_right: int = 0
    false_alarms: int = 0
    cannot_judge: int = 0

    def __add__(self, other: "CheckTally") -> "CheckTally":  # type: ignore[override]
        return CheckTally(*map(sum, zip(self, other, strict=True)))

    @property
    def catch_rate(self) -> float | None:
        """The share of the known-wrong items that was caught, or None where none was judged."""
        return self.caught / self.known_wrong if self.known_wrong else None

    @property
    def catch_interval(self) -> Interval | None:
        """The 95 % Wilson interval of `catch_rate`."""
        return wilson(self.caught, self.known_wrong)

    @property
    def false_alarm_rate(self) -> float | None:
        """The share of the known-right items that was rejected, or None where none was judged."""
        return self.false_alarms / self.known_right if self.known_right else None

    @property
    def false_alarm_interval(self) -> Interval | None:
        """The 95 % Wilson interval of `false_alarm_rate`."""
        return wilson(self.false_alarms, self.known_right)


@dataclass(slots=True)
class Checks:
    """What each worker made of the known-answer items; a worker who judged or passed none is not in it."""

    workers: dict[str, CheckTally] = field(default_factory=dict)

    @property
    def pooled(self) -> CheckTally:
        """All workers together."""
        return sum(self.workers.values(), CheckTally())

    def count(self, page: PageAnswers) -> None:
        """Count the answers to one page."""
        if any(item.check is not None for item in page.items):
            for one in page.answers:
                tally = tally_answer(page.items, one.answer)
                if any(tally):
                    self.workers[one.worker] = self.workers.get(one.worker, CheckTally()) + tally


def tally_answer(items: Iterable[TaskItem], answer: Answer) -> CheckTally:
    """Return what an answer to a page of `items` says of the known-answer items among them.

    >>> page = [TaskItem("a.jpg", "Dog", 99.0, check="wrong"), TaskItem("b.jpg", "Dog", 99.0, check="right")]
    >>> tally_answer(page, Answer({0: Decision.DISCONFIRM, 1: Decision.CONFIRM}))
    CheckTally(known_wrong=1, caught=1, known_right=1, false_alarms=0, cannot_judge=0)
    """
    said = [
        (item.check, decision)
        for place, item in enumerate(items)
        if item.check in (WRONG, RIGHT) and (decision := answer.decisions.get(place)) is not None
    ]
    return CheckTally(
        sum(check == WRONG and decision is not Decision.CANNOT_JUDGE for check, decision in said),
        said.count((WRONG, Decision.DISCONFIRM)),
        sum(check == RIGHT and decision is not Decision.CANNOT_JUDGE for check, decision in said),
        said.count((RIGHT, Decision.DISCONFIRM)),
        sum(decision is Decision.CANNOT_JUDGE for _, decision in said),
    )


def tally_checks(pages: Iterable[PageAnswers]) -> Checks:
    """Return what each worker made of the known-answer items on these pages.

    >>> tally_checks([]).pooled.catch_rate is None
    True
    """
    checks = Checks()
    for page in pages:
        checks.count(page)
    return checks
