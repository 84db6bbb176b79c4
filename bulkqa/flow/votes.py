"""Votes: decisions that count, and the row of the label table in which they are counted.

A vote is one reviewer's decision on one item within one job. It counts once, whatever is repeated; a
correction is a vote of the same voter with a higher revision.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple

from bulkqa.flow.answers import Answer, Decision
from bulkqa.flow.tasks import TaskItem

Key = tuple[str, str]
"""The label table's key: (s3_image_url, label)."""


RELABEL, ADJUDICATE = "relabel:", "adjudicate:"
"""What the source of a next round's rows begins with; the job that it follows comes behind."""


class Vote(NamedTuple):
    """A voter's decision on one row. `revision` is 0 at first and grows with each correction."""

    key: Key
    voter: str
    decision: Decision
    revision: int = 0


class Outcome(StrEnum):
    """What the votes on an item say. The four are disjoint."""

    CONFIRMED = "confirmed"
    DISCONFIRMED = "disconfirmed"
    SPLIT = "split"
    UNREVIEWED = "unreviewed"


class LabelRow(NamedTuple):
    """A row of the label table: an image, one label of it, and its voters (`<job>/<worker>`).

    The counts are given beside the voters because tables from elsewhere may have counts alone.
    """

    key: Key
    confidence: float
    confirms: int = 0
    disconfirms: int = 0
    cannot_judges: int = 0
    confirmed_by: frozenset[str] = frozenset()
    disconfirmed_by: frozenset[str] = frozenset()
    cannot_judge_by: frozenset[str] = frozenset()
    jobs: frozenset[str] = frozenset()
    model: str | None = None
    source: str | None = None
    created_at: str | None = None

    @property
    def outcome(self) -> Outcome:
        """The outcome of this row's votes."""
        return outcome(self.confirms, self.disconfirms)

    @property
    def of_relabelling(self) -> bool:
        """Whether the label is not the model's, but one proposed by the votes of an earlier job."""
        return self.source is not None and self.source.startswith(RELABEL)

    @property
    def voters(self) -> frozenset[str]:
        """All who voted on this row."""
        return self.confirmed_by | self.disconfirmed_by | self.cannot_judge_by

    def with_voters(
        self, confirmed_by: frozenset[str], disconfirmed_by: frozenset[str], cannot_judge_by: frozenset[str]
    ) -> "LabelRow":
        """Return this row with these voters, and their numbers as its counts."""
        return LabelRow(
            self.key,
            self.confidence,
            len(confirmed_by),
            len(disconfirmed_by),
            len(cannot_judge_by),
            confirmed_by,
            disconfirmed_by,
            cannot_judge_by,
            self.jobs,
            self.model,
            self.source,
            self.created_at,
        )


class Origin(NamedTuple):
    """Where the rows of one launch come from: the job, when it was created, the model, an earlier job.

    A launch with a `source` is a next round: it changes nothing of rows that are there but that they are its
    too, since their confidence is the model's.
    """

    job: str
    created_at: str
    model: str | None = None
    source: str | None = None


class Recorded(NamedTuple):
    """What became of votes: how many were counted now, how many were before, and rows that do not exist."""

    counted: int = 0
    already: int = 0
    unknown: tuple[Key, ...] = ()

    def __add__(self, other: "Recorded") -> "Recorded":  # type: ignore[override]
        return Recorded(
            self.counted + other.counted, self.already + other.already, self.unknown + other.unknown
        )


def voter(job: str, worker: str) -> str:
    """Return the voter's name in the label table: a worker votes once per item in each job.

    >>> voter("dogs", "private.eu-west-1.0123")
    'dogs/private.eu-west-1.0123'
    """
    return f"{job}/{worker}"


def votes(items: Sequence[TaskItem], answer: Answer, name: str, revision: int = 0) -> list[Vote]:
    """Return the votes of voter `name` in an answer to a page of `items`.

    A known-answer item has no row in the table and gives no vote.

    >>> from bulkqa.flow.answers import read_answer
    >>> page = [TaskItem("a.jpg", "Dog", 99.0), TaskItem("b.jpg", "Dog", 99.0, check="wrong")]
    >>> answer = read_answer({"item-000": {"Confirmed": False}, "item-001": {"Confirmed": False}}, 2)
    >>> votes(page, answer, "dogs/ana")
    [Vote(key=('a.jpg', 'Dog'), voter='dogs/ana', decision=<Decision.DISCONFIRM: 'disconfirm'>, revision=0)]
    """
    return [
        Vote((items[number].image, items[number].label), name, decision, revision)
        for number, decision in answer.decisions.items()
        if items[number].check is None
    ]


def outcome(confirms: int, disconfirms: int) -> Outcome:
    """Return the outcome of so many votes; those that cannot judge say nothing.

    >>> [outcome(2, 0).value, outcome(0, 1).value, outcome(2, 1).value, outcome(0, 0).value]
    ['confirmed', 'disconfirmed', 'split', 'unreviewed']
    """
    if confirms and disconfirms:
        return Outcome.SPLIT
    if confirms:
        return Outcome.CONFIRMED
    return Outcome.DISCONFIRMED if disconfirms else Outcome.UNREVIEWED


def row_of_job(key: Key, confidence: float, job: str, table_row: LabelRow | None) -> LabelRow:
    """Return an item as `job` sees it: the confidence it was launched with, and that job's voters alone.

    `table_row` is its row in the label table, or None if the table has none.
    """
    if table_row is None:
        return LabelRow(key, confidence)
    confirmed_by = of_job(job, table_row.confirmed_by)
    disconfirmed_by = of_job(job, table_row.disconfirmed_by)
    cannot_judge_by = of_job(job, table_row.cannot_judge_by)
    counts = (table_row.confirms, table_row.disconfirms, table_row.cannot_judges)
    if table_row.confidence != confidence:
        table_row = table_row._replace(confidence=confidence)
    elif counts == (len(confirmed_by), len(disconfirmed_by), len(cannot_judge_by)):
        return table_row  # all its votes are this job's, as most often
    return table_row.with_voters(confirmed_by, disconfirmed_by, cannot_judge_by)


def decided(row: LabelRow, table_row: LabelRow, jobs: Iterable[str]) -> LabelRow:
    """Return `row` with the votes of the first of these jobs whose voters agree, if those of any do.

    `table_row` is the row in the label table, which has the voters of all jobs.

    >>> split = LabelRow(("a.jpg", "Dog"), 90.0, 1, 1, 0, frozenset({"dogs/ana"}), frozenset({"dogs/ben"}))
    >>> table_row = split._replace(confirms=2, confirmed_by=frozenset({"dogs/ana", "second/eve"}))
    >>> decided(split, table_row, ["third", "second"]).outcome.value
    'confirmed'
    """
    for job in jobs:
        of = row_of_job(row.key, row.confidence, job, table_row)
        if of.outcome in (Outcome.CONFIRMED, Outcome.DISCONFIRMED):
            return of
    return row


def of_job(job: str, voters: frozenset[str]) -> frozenset[str]:
    """Return those voters that voted in `job`.

    >>> sorted(of_job("dogs", frozenset({"dogs/ana", "dogs-2/ana"})))
    ['dogs/ana']
    """
    if not voters:
        return voters
    prefix = f"{job}/"
    return frozenset([name for name in voters if name.startswith(prefix)])
