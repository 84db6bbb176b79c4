"""The report: everything that the votes on a job's items, or on a file's rows, say, in one pass over them.

`docs/reference/report.md` describes the document that comes of it.
"""

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from enum import StrEnum
from operator import attrgetter
from statistics import median
from typing import NamedTuple

from bulkqa.flow import agreement, calibration, report
from bulkqa.flow.agreement import Agreement, Figure, Reviewer, Votes
from bulkqa.flow.answers import PageAnswers
from bulkqa.flow.bands import Bands, band_of, check_bands
from bulkqa.flow.calibration import Calibration, Scores
from bulkqa.flow.checks import Checks, CheckTally
from bulkqa.flow.conflicts import Conflicts, Judgements
from bulkqa.flow.plan import Sample
from bulkqa.flow.report import Report, Weighted
from bulkqa.flow.statistics import Corrected, rogan_gladen
from bulkqa.flow.thresholds import Evidence, Promise, promised_thresholds, target_rule
from bulkqa.flow.votes import RELABEL, LabelRow, Outcome
from bulkqa.jobs import Page, settings_of
from bulkqa.ports import Blobs, Store
from bulkqa.settings import JobSettings
from bulkqa.steps.answering import job_answers
from bulkqa.steps.closing import closings, terms
from bulkqa.steps.labeling_output import MISSING, PageState, page_states
from bulkqa.steps.labeling_rounds import never_asked
from bulkqa.steps.results import PageRows, job_pages


class Fate(StrEnum):
    """What became of an item. Each has one; the first two are those of its votes."""

    REVIEWED = "reviewed"
    SPLIT = "split"
    CANNOT_JUDGE = "cannot_judge"
    FAILED = "failed"
    EXPIRED = "expired"
    MISSING = "missing"
    WAITING = "waiting"
    CLOSED = "closed"
    RELABELLED = "relabelled"


class Work(NamedTuple):
    """What a reviewer's answers tell: pages, the median of the seconds they were open, known answers."""

    pages: int
    median_seconds: float | None
    checks: CheckTally


class Analysis(NamedTuple):
    """What the votes say. By label: in code-point order, every label of the source; None: all together.

    `reviewers` are named as they sign in where the source is a job, and `work` is theirs by that name; else
    they are `<job>/<worker>`, and there is no work. `checks` is None where no known-answer item was judged.
    `rule` is that of the `thresholds`.
    """

    job: str | None
    report: Report
    corrected: Mapping[str | None, Corrected | None]
    weighted: Mapping[str | None, Weighted | None]
    agreement: Mapping[str | None, Agreement]
    reviewers: Sequence[Reviewer]
    work: Mapping[str, Work]
    checks: CheckTally | None
    calibration: Mapping[str | None, Calibration]
    conflicts: Conflicts
    fates: Mapping[Fate, int]
    thresholds: Sequence[Promise]
    rule: Mapping[str, object]


See = Callable[[LabelRow], object]
"""Is shown every row of the table, once."""


def analyse_rows(rows: Iterable[LabelRow], bands: Bands, see: See | None = None) -> Analysis:
    """Return what the rows of a file say. Rows of a relabelling are counted, and say nothing of the model.

    Memory depends on labels, voters and pairs of labels that contradict each other. Raises `InputError` for
    bands that cannot be used.
    """
    bounds = check_bands(bands)
    with Scores(bounds) as scores, Judgements() as judgements:
        counting = _Counting(bounds, scores, judgements, see)
        for row in rows:
            if row.of_relabelling:
                counting.pass_over(row)
            else:
                counting.count(row, row, None)
        return counting.analysis(None, _Answers())


def analyse_job(
    job: str,
    store: Store,
    bands: Bands | None = None,
    *,
    final: bool = False,
    enter: Callable[[PageRows], PageState | None] | None = None,
    see: See | None = None,
) -> Analysis:
    """Return what the votes of a job say, in its own bands or in these.

    Where `final`, the last adjudication that decided an item has the word, in the table, in calibration and
    conflicts; agreement, reviewers, `corrected` and thresholds are of the job's own votes. `enter` is shown
    every page and says what became of it; else the output of labeling jobs says. Raises `NotFoundError` if
    there is no such job.
    """
    settings = settings_of(job, store.blobs)
    adjudications: Sequence[str] = ()
    if final:
        from bulkqa.steps.rounds import adjudications as adjudications_of  # which needs launching

        adjudications = adjudications_of(job, store.blobs)
    state_of = enter or _states(settings, store.blobs)
    closed = closings(settings, store.blobs).keys()
    answers = _Answers()
    bounds = check_bands(settings.bands if bands is None else bands)
    with Scores(bounds) as scores, Judgements() as judgements:
        counting = _Counting(bounds, scores, judgements, see, settings, closed)
        pages = answers.read(job_answers(job, store))
        for page in job_pages(job, store, adjudications, pages):
            state = state_of(page)
            for own, row in zip(page.own, page.rows, strict=True):
                counting.count(own, row, state)
        return counting.analysis(job, answers)


def _states(settings: JobSettings, blobs: Blobs) -> Callable[[PageRows], PageState | None]:
    """Return what says what became of a page, None as long as no labeling job has ended."""
    said, skipped = page_states(settings.job, blobs), never_asked(settings, blobs)

    def state(page: PageRows) -> PageState | None:
        if said is None:
            return None
        found = said.get(page.key)
        return found.state if found else skipped(page.key, page.label) or MISSING.state

    return state


@dataclass(slots=True)
class _Answers:
    """What the answers to a job's pages tell beside their votes, by worker."""

    checks: Checks = field(default_factory=Checks)
    pages: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, "array[float]"] = field(default_factory=dict)

    def read(self, pages: Iterable[PageAnswers]) -> Iterator[Page]:
        """Take in each page, and hand it on."""
        for page in pages:
            self.checks.count(page)
            for one in page.answers:
                self.pages[one.worker] = self.pages.get(one.worker, 0) + 1
                if one.seconds is not None:
                    self.seconds.setdefault(one.worker, array("d")).append(one.seconds)
            yield page.key, page.items

    def work(self) -> dict[str, Work]:
        """Return what each worker's answers tell, by name."""
        return {
            worker: Work(
                self.pages[worker],
                median(self.seconds[worker]) if worker in self.seconds else None,
                self.checks.workers.get(worker, CheckTally()),
            )
            for worker in sorted(self.pages)
        }


class _Counting:
    """Everything that is counted, row by row."""

    def __init__(
        self,
        bands: Bands,
        scores: Scores,
        judgements: Judgements,
        see: See | None,
        settings: JobSettings | None = None,
        closed: Set[str] = frozenset(),
    ) -> None:
        self._see = see
        self._closed = closed
        self._terms = terms(settings)
        self._sample = None if settings is None else settings.sample
        source = None if settings is None else settings.source
        self._relabelling = source is not None and source.startswith(RELABEL)
        self._report = Report(bands)
        self._votes = Votes()
        self._scores = scores
        self._judgements = judgements
        # Thresholds of a sample are tested band by band, in the bands in which it was drawn.
        self._evidence = Evidence(
            bands if settings is None or settings.sample is None else settings.bands,
            0 if settings is None else settings.votes_that_count,
        )
        self._strata: dict[str, list[list[int]]] = {}
        self.fates = dict.fromkeys(Fate, 0)

    def pass_over(self, row: LabelRow) -> None:
        """Count a row that says nothing of the model."""
        self.fates[Fate.RELABELLED] += 1
        self._evidence.count(row)  # which does not test it either, but hears of its label

    def count(self, own: LabelRow, row: LabelRow, state: PageState | None) -> None:
        """Count an item: the votes it got, those that count in the end, and what became of its page."""
        self.fates[_fate(row, state, row.key[1] in self._closed)] += 1
        self._evidence.count(own)
        if not self._report.count(row):
            return
        self._votes.count(own)
        self._judgements.count(row)
        if not self._relabelling:
            self._scores.count(row)
        if self._sample is not None:
            self._count_stratum(row, self._sample)
        if self._see is not None:
            self._see(row)

    def _count_stratum(self, row: LabelRow, sample: Sample) -> None:
        bands = sample.get(row.key[1])
        if bands and row.outcome is not Outcome.UNREVIEWED:
            counts = self._strata.setdefault(row.key[1], [[0, 0] for _ in bands])
            place = band_of(row.confidence, [*(low for low, *_ in bands), 100]) or 0
            counts[place][0] += row.outcome is Outcome.CONFIRMED
            counts[place][1] += 1

    def analysis(self, job: str | None, answers: _Answers) -> Analysis:
        """Return what it all comes to."""
        self._report.sort()
        labels = list(self._report.labels)
        checks = answers.checks.pooled
        patterns = {None: self._votes.pooled} | {label: self._votes.labels.get(label, {}) for label in labels}
        of_label, pooled = self._scores.calibrations()
        nothing = calibration.calibration((), self._report.bands)
        prefix = "" if job is None else f"{job}/"
        work = answers.work()
        target, assurance, test = self._terms
        reviewers = [one._replace(voter=one.voter.removeprefix(prefix)) for one in self._votes.reviewers()]
        silent = work.keys() - {one.voter for one in reviewers}
        reviewers += [Reviewer(name, 0, 0, 0, 0, Figure(), Figure()) for name in silent]
        return Analysis(
            job,
            self._report,
            {label: _corrected(found, checks) for label, found in patterns.items()},
            {label: self._weighted([label]) for label in labels} | {None: self._weighted(self._sample or ())},
            {label: agreement.agreement(found) for label, found in patterns.items()},
            sorted(reviewers, key=attrgetter("voter")),
            work,
            checks if any(checks) else None,
            {None: pooled} | {label: of_label.get(label, nothing) for label in labels},
            self._judgements.conflicts(),
            self.fates,
            promised_thresholds(self._evidence, target, assurance, self._sample, test),
            target_rule(target, assurance, test),
        )

    def _weighted(self, labels: Iterable[str]) -> Weighted | None:
        if self._sample is None:
            return None
        lowest = self._report.bands[0]
        strata = []
        for label in labels:
            bands = self._sample.get(label, ())
            counts = self._strata.get(label) or [[0, 0] for _ in bands]
            for (low, _, population, _), (confirmed, reviewed) in zip(bands, counts, strict=True):
                if low >= lowest:
                    strata.append((population, confirmed, reviewed))
        return report.weighted(strata)


def _fate(row: LabelRow, state: PageState | None, closed: bool) -> Fate:
    outcome = row.outcome
    if outcome is Outcome.SPLIT:
        return Fate.SPLIT
    if outcome is not Outcome.UNREVIEWED:
        return Fate.REVIEWED
    if row.cannot_judges:
        return Fate.CANNOT_JUDGE
    if state in (None, PageState.WAITING, PageState.CLOSED):
        return Fate.CLOSED if closed else Fate.WAITING
    # A page that is labelled, or of which nothing is said, should have had votes.
    return {PageState.FAILED: Fate.FAILED, PageState.EXPIRED: Fate.EXPIRED}.get(state, Fate.MISSING)


def _corrected(patterns: agreement.Patterns, checks: CheckTally) -> Corrected | None:
    """Return the share of right labels without the reviewers' misses, None without known-answer items.

    Both rates are those of single votes, so the share of rejects is that of votes too. Votes on one item
    are not independent of each other, so there are as many trials as items.
    """
    votes = rejects = items = 0
    for (confirms, disconfirms), number in patterns.items():
        votes += number * (confirms + disconfirms)
        rejects += number * disconfirms
        items += number * (confirms + disconfirms > 0)
    if not votes:
        return None
    return rogan_gladen(
        round(items * rejects / votes),
        items,
        checks.caught,
        checks.known_wrong,
        checks.false_alarms,
        checks.known_right,
    )
