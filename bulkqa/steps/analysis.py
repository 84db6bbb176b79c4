"""The report: everything that the votes on a job's items, or on a file's rows, say, in one pass over them.

`docs/reference/report.md` describes the document that comes of it.
"""

import csv
import io
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import chain
from operator import attrgetter
from statistics import median
from typing import Any, NamedTuple

from bulkqa import SCHEMA
from bulkqa.flow import agreement, calibration, report
from bulkqa.flow.agreement import Agreement, Figure, Reviewer, Votes
from bulkqa.flow.answers import PageAnswers
from bulkqa.flow.calibration import Bin, Calibration, Scores
from bulkqa.flow.checks import Checks, CheckTally
from bulkqa.flow.conflicts import EXAMPLES, Conflicts, Judgements
from bulkqa.flow.report import Bands, Report, Weighted, check_bands
from bulkqa.flow.statistics import Corrected, Interval, rogan_gladen
from bulkqa.flow.thresholds import ASSURANCE, TARGET, Evidence, Promise, promised_thresholds
from bulkqa.flow.thresholds import as_json as thresholds_json
from bulkqa.flow.votes import LabelRow, Outcome
from bulkqa.jobs import settings_of
from bulkqa.ports import Blobs, Store
from bulkqa.steps.answering import job_answers
from bulkqa.steps.labeling_output import MISSING, PageState, page_states
from bulkqa.steps.results import Page, PageRows, job_pages

RELABELLING = "relabel:"
"""What the `source` of rows begins with that ask for another label than the model's."""

Sample = Mapping[str, Sequence[Sequence[float]]]
"""Of each label: [low, high, population, taken] of each band."""


class Fate(StrEnum):
    """What became of an item. Each has one; the first two are those of its votes."""

    REVIEWED = "reviewed"
    SPLIT = "split"
    CANNOT_JUDGE = "cannot_judge"
    FAILED = "failed"
    EXPIRED = "expired"
    MISSING = "missing"
    WAITING = "waiting"
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
            if row.source is not None and row.source.startswith(RELABELLING):
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
    relabelling = settings.source is not None and settings.source.startswith(RELABELLING)
    state_of = enter or _states(job, store.blobs)
    answers = _Answers()
    bounds = check_bands(settings.bands if bands is None else bands)
    with Scores(bounds) as scores, Judgements() as judgements:
        counting = _Counting(bounds, scores, judgements, see, settings.sample, settings.bands, relabelling)
        pages = answers.read(job_answers(job, store))
        for page in job_pages(job, store, adjudications, pages):
            state = state_of(page)
            for own, row in zip(page.own, page.rows, strict=True):
                counting.count(own, row, state)
        return counting.analysis(job, answers)


def _states(job: str, blobs: Blobs) -> Callable[[PageRows], PageState | None]:
    """Return what says what became of a page, None as long as no labeling job has ended."""
    said = page_states(job, blobs)
    return lambda page: None if said is None else said.get(page.key, MISSING).state


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
        sample: Sample | None = None,
        bands_of_sample: Bands = (),
        relabelling: bool = False,
    ) -> None:
        self._see = see
        self._sample = sample
        self._relabelling = relabelling
        self._report = Report(bands)
        self._votes = Votes()
        self._scores = scores
        self._judgements = judgements
        # Thresholds of a sample are tested band by band, in the bands in which it was drawn.
        self._evidence = Evidence(bands if sample is None else bands_of_sample)
        self._strata: dict[str, list[list[int]]] = {}
        self.fates = dict.fromkeys(Fate, 0)

    def pass_over(self, row: LabelRow) -> None:
        """Count a row that says nothing of the model."""
        self.fates[Fate.RELABELLED] += 1
        self._evidence.count(row)  # which does not test it either, but hears of its label

    def count(self, own: LabelRow, row: LabelRow, state: PageState | None) -> None:
        """Count an item: the votes it got, those that count in the end, and what became of its page."""
        self.fates[_fate(row, state)] += 1
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
            place = max(0, bisect_right([low for low, *_ in bands], row.confidence) - 1)
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
            promised_thresholds(self._evidence, TARGET, ASSURANCE, self._sample),
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


def _fate(row: LabelRow, state: PageState | None) -> Fate:
    outcome = row.outcome
    if outcome is Outcome.SPLIT:
        return Fate.SPLIT
    if outcome is not Outcome.UNREVIEWED:
        return Fate.REVIEWED
    if row.cannot_judges:
        return Fate.CANNOT_JUDGE
    if state is None:
        return Fate.WAITING
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


# The document.


def as_json(analysis: Analysis, published: bool = False) -> dict[str, Any]:
    """Return the document that `bulkqa report --format json` prints.

    `published` follows the conventions of the blog that printed the first such tables, in the table alone.
    """
    document: dict[str, Any] = report.as_json(analysis.report, analysis.job, SCHEMA, published)
    pairs = document["bands"]
    for label, line in ((None, document["totals"]), *((line["label"], line) for line in document["labels"])):
        line["corrected"] = _share(analysis.corrected[label])
        line["weighted"] = _share(analysis.weighted[label])
    labels = list(analysis.report.labels)
    pooled = analysis.agreement[None]
    curve = analysis.calibration[None]
    return document | {
        "agreement": {
            **_agreement_json(pooled),
            "says": agreement.in_words(pooled),
            "labels": [{"label": label, **_agreement_json(analysis.agreement[label])} for label in labels],
        },
        "reviewers": [_reviewer_json(one, analysis.work.get(one.voter)) for one in analysis.reviewers],
        "checks": None if analysis.checks is None else _checks_json(analysis.checks),
        "calibration": {
            **_calibration_json(curve, pairs),
            "says": calibration.in_words(curve),
            "labels": [
                {"label": label, **_calibration_json(analysis.calibration[label], pairs)} for label in labels
            ],
        },
        "conflicts": _conflicts_json(analysis.conflicts),
        "reconciliation": {
            "items": sum(analysis.fates.values()),
            **{fate.value: number for fate, number in analysis.fates.items()},
        },
        "thresholds": thresholds_json(
            analysis.thresholds, {"rule": "target", "target": TARGET, "assurance": ASSURANCE}
        ),
    }


def _share(found: Corrected | Weighted | None) -> dict[str, object] | None:
    return None if found is None else found._asdict()


def _figures(**figures: Figure) -> dict[str, object]:
    return {
        key: part
        for name, figure in figures.items()
        for key, part in ((name, figure.value), (f"{name}_interval", figure.interval))
    }


def _agreement_json(found: Agreement) -> dict[str, object]:
    names = ("agreed", "on_confirms", "on_rejects", "alpha", "ac1")
    return {
        "items": found.items,
        "votes": found.votes,
        **_figures(**{name: getattr(found, name) for name in names}),
    }


def _reviewer_json(found: Reviewer, work: Work | None) -> dict[str, object]:
    return {
        "reviewer": found.voter,
        "items": found.confirmed + found.disconfirmed,
        "confirmed": found.confirmed,
        "disconfirmed": found.disconfirmed,
        "cannot_judge": found.cannot_judge,
        "shared": found.shared,
        **_figures(agreed=found.agreed, distance=found.distance),
        "pages": None if work is None else work.pages,
        "median_seconds": None if work is None else work.median_seconds,
        **_checks_json(CheckTally() if work is None else work.checks),
    }


def _checks_json(found: CheckTally) -> dict[str, object]:
    def rate(count: int, of: int, interval: Interval | None) -> dict[str, object] | None:
        return {"count": count, "of": of, "share": count / of, "interval": interval} if of else None

    return {
        "catch_rate": rate(found.caught, found.known_wrong, found.catch_interval),
        "false_alarm_rate": rate(found.false_alarms, found.known_right, found.false_alarm_interval),
    }


def _calibration_json(found: Calibration, pairs: Sequence[Sequence[float]]) -> dict[str, object]:
    def curve(bins: Iterable[Bin], bounds: Iterable[Sequence[float]]) -> list[dict[str, object]]:
        return [
            {
                "band": list(pair),
                "items": one.items,
                "confirmed": one.confirmed,
                "confidence": one.confidence,
                "correct": one.correct,
                "interval": one.interval,
            }
            for one, pair in zip(bins, bounds, strict=True)
        ]

    return {
        "items": found.items,
        "confirmed": found.confirmed,
        "ece": found.ece,
        "ece_by_chance": found.ece_by_chance,
        "auroc": found.auroc,
        "auroc_interval": found.auroc_interval,
        "bands": curve(found.bands, pairs),
        "bins": curve(found.bins, ((one.low, one.high) for one in found.bins)),
    }


def _conflicts_json(found: Conflicts) -> dict[str, object]:
    return {
        "confirmed_twice": found.confirmed_twice,
        "confused": found.confused,
        "examples_at_most": EXAMPLES,
        "twice": [
            {"labels": pair.labels, "images": pair.images, "examples": pair.examples} for pair in found.twice
        ],
        "confusions": [
            {
                "rejected": pair.labels[0],
                "confirmed": pair.labels[1],
                "images": pair.images,
                "examples": pair.examples,
            }
            for pair in found.confusions
        ],
    }


# The same as rows.


def as_csv(analysis: Analysis, published: bool = False) -> Iterator[str]:
    """Yield the document as CSV, line by line, the header first.

    The rows of the table have their numbers in columns of their own; every other number is a row, named by
    `measure`, with its `value` and, in `low` and `high`, its interval. What it is `of` stands apart from the
    table's labels, so that whoever reads those hears of nothing new.
    """
    text = io.StringIO()
    writer = csv.writer(text)
    header, *table = report.as_table(analysis.report, SCHEMA, published)
    columns = (*header, "of", "measure", "value")
    rows = chain(
        (columns, *((*row, None, None, None) for row in table)),
        ([row.get(str(name)) for name in columns] for row in _rows(as_json(analysis, published))),
    )
    for row in rows:
        writer.writerow(row)
        yield text.getvalue()
        text.seek(0)
        text.truncate()


def _rows(document: Mapping[str, Any]) -> Iterator[dict[str, object]]:
    """Yield what the document has beside the table, each row by its columns' names."""
    lines = (*document["labels"], document["totals"])
    for kind in ("corrected", "weighted"):
        for line in lines:
            if line[kind] is not None:
                yield from _measures(kind, line[kind], of=line.get("label"))
    for kind in ("agreement", "calibration"):
        for line in (document[kind], *document[kind]["labels"]):
            of = line.get("label")
            yield from _measures(kind, line, of)
            yield from _curve(kind, line.get("bands", ()), of)
            yield from _curve("bin", line.get("bins", ()), of)
    for line in document["reviewers"]:
        yield from _measures("reviewer", line, of=line["reviewer"])
    yield from _measures("checks", document["checks"] or {}, of=None)
    conflicts = document["conflicts"]
    yield from _measures("conflict", conflicts, of=None)
    for pair in conflicts["twice"]:
        first, second = pair["labels"]
        yield _row("conflict", of=first, total=pair["images"], measure="also", value=second)
    for pair in conflicts["confusions"]:
        first, second = pair["rejected"], pair["confirmed"]
        yield _row("confusion", of=first, total=pair["images"], measure="confirmed", value=second)
    yield from _measures("reconciliation", document["reconciliation"], of=None)
    yield from _measures("threshold", document["thresholds"], of=None)
    for line in document["thresholds"]["thresholds"]:
        yield from _measures("threshold", line, of=line["label"])


def _row(kind: str, **cells: object) -> dict[str, object]:
    return {"schema": SCHEMA, "kind": kind, **cells}


def _curve(kind: str, bins: Iterable[Mapping[str, Any]], of: str | None) -> Iterator[dict[str, object]]:
    for one in bins:
        low, high = one["interval"] or (None, None)
        yield _row(
            kind,
            of=of,
            band="{}-{}".format(*one["band"]),
            total=one["items"],
            confirmed=one["confirmed"],
            correct=one["correct"],
            low=low,
            high=high,
            measure="confidence",
            value=one["confidence"],
        )


def _measures(
    kind: str, found: Mapping[str, Any], of: str | None, prefix: str = ""
) -> Iterator[dict[str, object]]:
    """Yield a row for each figure of an object, those of an object within it too; its lists are left out."""
    for name, value in found.items():
        if name in ("label", "reviewer", "map") or name.endswith("interval"):
            continue
        if isinstance(value, Mapping):
            yield from _measures(kind, value, of, f"{prefix}{name}.")
        elif name == "between" and value is not None:
            yield _row(kind, of=of, low=value[0], high=value[1], measure=name)
        elif not isinstance(value, list):
            of_share = "interval" if name in ("share", "correct") else f"{name}_interval"
            low, high = found.get(of_share) or (None, None)
            yield _row(kind, of=of, low=low, high=high, measure=prefix + name, value=value)
