"""Results that other commands and services write, as metrics a gate takes, told apart by what they say.

`docs/reference/gate-in-the-pipeline.md` lists the metrics and the slices. What is undefined is NaN, which
passes no gate.
"""

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

from bulkqa.errors import InputError
from bulkqa.evaluation.documents import Part
from bulkqa.evaluation.job_metrics import LABEL, of_report
from bulkqa.evaluation.lookout import read_result
from bulkqa.evaluation.rekognition import LabelResult, Summary, read_summary
from bulkqa.flow.evidence import Value
from bulkqa.flow.slices import OVERALL, MetricKey, Metrics, Slice

Numbers = Mapping[str, float | None]

_AGGREGATED = "AggregatedEvaluationResults"
_AVERAGES = {"macro": "macro_average", "micro": "micro_average", "weighted": "weighted_macro_average"}
_RATES = {"precision": "precision", "recall": "recall", "f1": "f1_score"}


def of_result(document: object, name: str) -> Metrics | None:
    """Return the metrics of a result, None where the document is none of those known; `name` is the file's.

    Known are what `bulkqa report` and `bulkqa metrics` print as JSON, the result file of Lookout for Vision
    and the summary file of Rekognition Custom Labels. Raises `InputError` naming the field of one that cannot
    be read.

    >>> found = of_result({"classes": [], "macro": {"precision": 0.5}, "items": 8}, "x.json")
    >>> found.get(0, MetricKey("precision")).point, found.get(0, MetricKey("accuracy")).point
    (0.5, nan)
    """
    if not isinstance(document, dict):
        return None
    if "class_average" in document and "totals" in document:
        return of_report(document, name)
    if _AGGREGATED in document:
        if "LabelEvaluationResults" in document:
            return _of_summary(document, name)
        return _of_lookout(document, name)
    if "classes" in document and "macro" in document:
        return _of_classes(document, name)
    return None


def _add(
    metrics: Metrics, slice: Slice, numbers: Numbers, where: str, aggregation: str | None = None
) -> None:
    place = metrics.add(slice)
    for name, number in numbers.items():
        value = Value(math.nan if number is None else number)
        if not metrics.put(place, MetricKey(name, aggregation=aggregation), value):
            raise InputError(f"{where}: the slice {dict(slice)} stands there twice")


def _of_lookout(document: Mapping[str, Any], name: str) -> Metrics:
    metrics = Metrics()
    parts: list[tuple[Slice, Mapping[str, Any]]] = [(OVERALL, document)]
    parts += [(_slice(part, "Slice"), part.fields) for part in Part(document, name).parts("Slices")]
    for slice, part in parts:
        found = read_result(json.dumps(part).encode(), name)
        numbers = {
            "auc": found.roc_auc,
            "average_precision": found.average_precision,
            "precision": found.precision,
            "recall": found.recall,
            "f1_score": found.f1,
            "example_count": found.testing_images,
        }
        _add(metrics, slice, numbers, name)
    return metrics


def _of_summary(document: Mapping[str, Any], name: str) -> Metrics:
    metrics = Metrics()
    summary = read_summary(json.dumps(document).encode(), name)
    found: list[tuple[Slice, Summary | LabelResult]] = [(OVERALL, summary)]
    found += [(((LABEL, one.label),), one) for one in summary.results]
    for slice, one in found:
        rates = {"precision": one.precision, "recall": one.recall, "f1_score": one.f1}
        _add(metrics, slice, {**rates, "example_count": one.testing_images}, name)
    return metrics


def _of_classes(document: Mapping[str, object], name: str) -> Metrics:
    metrics = Metrics()
    whole = Part(document, name)
    for slice, part in ((OVERALL, whole), *((_slice(one, "slice"), one) for one in whole.parts("slices"))):
        numbers = {"accuracy": part.maybe_share("accuracy"), "example_count": part.number("items")}
        # Without a word more it is the macro average, as the services mean it.
        _add(metrics, slice, _rates(part.part("macro")) | numbers, name)
        for average, aggregation in _AVERAGES.items():
            _add(metrics, slice, _rates(part.part(average)), name, aggregation)
        for one in part.parts("classes"):
            of_class = {**_rates(one), "example_count": one.number("support")}
            for metric, field in (("auc", "roc_auc"), ("average_precision", "average_precision")):
                if one.fields.get(field) is not None:
                    of_class[metric] = one.share(field)
            _add(metrics, _sorted([*slice, (LABEL, one.text("label"))]), of_class, name)
    return metrics


def _rates(part: Part) -> dict[str, float | None]:
    return {metric: part.maybe_share(field) for field, metric in _RATES.items()}


def _slice(part: Part, name: str) -> Slice:
    pair = part.list(name)
    if len(pair) != 2 or not all(isinstance(one, str) for one in pair):
        part.refuse(name, "a field and its value")
    return ((str(pair[0]), str(pair[1])),)


def _sorted(features: Iterable[tuple[str, Any]]) -> Slice:
    """Return a slice with its features in the order of their names, as those of a metrics file have them."""
    return tuple(sorted(features, key=lambda feature: feature[0]))
