"""What people saw of a model's labels, as metrics a gate takes: the report of a job, slice by slice.

`docs/reference/gate-in-the-pipeline.md` lists the metrics and the slices.
"""

import math
from collections.abc import Mapping

from bulkqa import SCHEMA
from bulkqa.evaluation.documents import Part
from bulkqa.flow.evidence import Bounds, Counts, Value
from bulkqa.flow.report import Report, as_json
from bulkqa.flow.slices import OVERALL, MetricKey, Metrics, Slice

PRECISION, REVIEWED, EXAMPLES = METRICS = ("precision", "reviewed", "example_count")
LABEL, BAND = "label", "band"


def of_report(
    report: Report | Mapping[str, object],
    name: str = "the report",
    model: str = "",
    metrics: Metrics | None = None,
) -> Metrics:
    """Return the metrics of a report, or of the document that `bulkqa report --format json` prints of it.

    `precision` is the share confirmed of the items that were reviewed, with its counts, and NaN, which passes
    no gate, where there is none. `model` is whose metrics they are; they are added to `metrics` if given.
    Slices are all items, those of a label, of a band ("80-85"), and of both; one without items is left out.
    Raises `InputError`, which calls the document `name`, where it is no report.

    >>> from bulkqa.flow.report import LabelTally, Tally
    >>> found = of_report(Report((80, 90, 100), {"Dog": LabelTally([Tally(9, 1), Tally(unreviewed=5)])}))
    >>> found.get(found.slices[(("band", "80-90"), ("label", "Dog"))], MetricKey("precision"))
    Value(point=0.9, evidence=Counts(successes=9, trials=10))
    >>> found.get(found.slices[()], MetricKey("example_count")).point
    15.0
    """
    document = Part(as_json(report, None, SCHEMA) if isinstance(report, Report) else report, name)
    metrics = Metrics() if metrics is None else metrics
    totals = document.part("totals")
    _add(metrics, OVERALL, totals, model)
    lines = [(None, totals), *((line.text("label"), line) for line in document.parts("labels"))]
    for label, line in lines:
        own = () if label is None else ((LABEL, label),)
        if label is not None:
            _add(metrics, own, line, model)
        for band in line.parts("bands"):
            _add(metrics, ((BAND, _band(band)), *own), band, model)
    return metrics


def _add(metrics: Metrics, slice: Slice, line: Part, model: str) -> None:
    """Add the metrics of a line of the table, or of a band of one."""
    confirmed, unreviewed, total = (_count(line, name) for name in ("confirmed", "unreviewed", "total"))
    reviewed = total - unreviewed
    if confirmed > reviewed:
        line.refuse("confirmed", f"at most the {reviewed} that were reviewed")
    if not total and slice:
        return
    share = confirmed / reviewed if reviewed else math.nan
    values = Value(share, Counts(confirmed, reviewed)), _exact(reviewed), _exact(total)
    place = metrics.add(slice)
    for name, value in zip(METRICS, values, strict=True):
        if not metrics.put(place, MetricKey(name, model), value):
            line.refuse(LABEL if LABEL in line.fields else BAND, "there once")


def _exact(number: int) -> Value:
    return Value(float(number), Bounds(number, number))


def _count(line: Part, name: str) -> int:
    found = line.maybe_count(name)
    if found is None:
        line.refuse(name, "a whole number of at least 0")
    return found


def _band(band: Part) -> str:
    """Return a band as the report's CSV writes it.

    >>> _band(Part({"band": [80, 82.5]}, "x.json"))
    '80-82.5'
    """
    bounds = band.list("band")
    if len(bounds) != 2 or not all(isinstance(bound, int | float) for bound in bounds):
        band.refuse("band", "its two bounds")
    return "-".join(str(bound).removesuffix(".0") for bound in bounds)
