"""The report as a document: JSON and CSV, of which the page and the table are drawn.

`docs/reference/report.md` describes every key and column.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from bulkqa import SCHEMA
from bulkqa.flow import agreement, calibration, report
from bulkqa.flow.agreement import Agreement, Figure, Reviewer
from bulkqa.flow.calibration import Bin, Calibration
from bulkqa.flow.checks import CheckTally
from bulkqa.flow.conflicts import EXAMPLES, Conflicts
from bulkqa.flow.report import Weighted
from bulkqa.flow.statistics import Corrected, Interval
from bulkqa.flow.thresholds import as_json as thresholds_json
from bulkqa.steps.analysis import Analysis, Work

if TYPE_CHECKING:
    from bulkqa.steps.confusion import JobConfusion  # which needs launching

PAIRS = 100
"""Pairs of labels at most that are listed as confused, those with most items."""


def as_json(
    analysis: Analysis, published: bool = False, confusion: "JobConfusion | None" = None
) -> dict[str, Any]:
    """Return the document that `bulkqa report --format json` prints.

    `published` follows the conventions of the blog that printed the first such tables, in the table alone.
    Where there is a `confusion` matrix of the job, the document has one more key.
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
        "thresholds": thresholds_json(analysis.thresholds, analysis.rule),
        **({} if confusion is None else {"confusion": _confusion_json(confusion)}),
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


def _confusion_json(found: "JobConfusion") -> dict[str, object]:
    document = found.as_json(SCHEMA)
    del document["schema"]
    return document | {
        "most_confused": [
            {
                "predicted": pair.predicted,
                "ground_truth": pair.ground_truth,
                "items": pair.images,
                "share": pair.share,
                "examples": list(found.examples[pair.predicted, pair.ground_truth]),
            }
            for pair in found.matrix.most_confused(PAIRS)
        ]
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
