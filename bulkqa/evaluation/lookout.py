"""Lookout for Vision: the result file of a model's evaluation, and its summary in DescribeModel.

The positive class is the anomaly. Source: Amazon Lookout for Vision Developer Guide, "Viewing performance
metrics" and "Step 1: Evaluate the performance of your model".
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from bulkqa.errors import InputError
from bulkqa.evaluation.documents import Part, read_document
from bulkqa.evaluation.metrics import Evaluation
from bulkqa.evaluation.predictions import ANOMALY

_AGGREGATED = "AggregatedEvaluationResults"
_UNDEFINED = "UndefinedMetrics"
"""Names the rates that are 0 in a file because there is nothing to divide by; the service has no such key."""


class PixelMetrics(NamedTuple):
    """How well the predicted masks cover an anomaly label's pixels; a rate is None where it is undefined.

    Precision, recall and F1 are over all pixels of all test images; `aiou` is the mean over images of
    intersection over union.
    """

    label: str
    precision: float | None
    recall: float | None
    f1: float | None
    aiou: float | None


class EvaluationResult(NamedTuple):
    """A result file; a rate is None where it is undefined, `pixels` where the model draws no masks."""

    model: str | None
    ended: str | None
    training_images: int | None
    testing_images: int
    roc_auc: float | None
    average_precision: float | None
    precision: float | None
    recall: float | None
    f1: float | None
    pixels: tuple[PixelMetrics, ...] | None


class Performance(NamedTuple):
    """What DescribeModel says of a model, as it says it: the three need not fit together."""

    f1: float
    recall: float
    precision: float


def result_of(
    evaluation: Evaluation,
    pixels: Iterable[PixelMetrics] | None = None,
    *,
    model: str | None = None,
    ended: str | None = None,
) -> EvaluationResult:
    """Return the result of an evaluation whose positive class is the anomaly; `ended` is its time in UTC.

    >>> from bulkqa.evaluation import evaluate
    >>> result_of(evaluate(["anomaly", "normal"], ["anomaly", "anomaly"], positive="anomaly")).precision
    0.5
    """
    found = evaluation.of(ANOMALY)
    return EvaluationResult(
        model,
        ended,
        None,
        evaluation.items,
        found.roc_auc,
        found.average_precision,
        found.precision,
        found.recall,
        found.f1,
        None if pixels is None else tuple(pixels),
    )


def as_json(result: EvaluationResult) -> dict[str, object]:
    """Return a result as its file has it.

    Precision, recall, F1 and AIOU are 0 where undefined, and `UndefinedMetrics`, which is there in no other
    case, names them; an undefined ROC AUC or average precision is null, and so is what is not known.
    """
    rates = {"Precision": result.precision, "Recall": result.recall, "F1Score": result.f1}
    areas = {"ROCAUC": result.roc_auc, "AveragePrecision": result.average_precision}
    metrics: dict[str, object] = {**areas, **_zeros(rates)}
    if result.pixels is not None:
        metrics["PixelAnomalyClassMetrics"] = list(map(_pixels_json, result.pixels))
    return {
        "Version": 1,
        "EvaluationDetails": {
            "ModelArn": result.model,
            "EvaluationEndTimestamp": result.ended,
            "NumberOfTrainingImages": result.training_images,
            "NumberOfTestingImages": result.testing_images,
        },
        _AGGREGATED: {"Metrics": metrics, **_undefined(rates)},
    }


def _pixels_json(one: PixelMetrics) -> dict[str, object]:
    rates = {"Precision": one.precision, "Recall": one.recall, "F1Score": one.f1, "AIOU": one.aiou}
    return {**_zeros(rates), "ClassName": one.label, **_undefined(rates)}


def _zeros(rates: Mapping[str, float | None]) -> dict[str, object]:
    return {name: 0.0 if rate is None else rate for name, rate in rates.items()}


def _undefined(rates: Mapping[str, float | None]) -> dict[str, object]:
    names = [name for name, rate in rates.items() if rate is None]
    return {_UNDEFINED: names} if names else {}


def read_result(data: bytes, name: str) -> EvaluationResult:
    """Return a result file as it stands; `name` is the file's.

    Earlier ones have no F1, which then is None. Raises `InputError` for a file that is no result.
    """
    document = read_document(data, name)
    details, aggregated = document.part("EvaluationDetails"), document.part(_AGGREGATED)
    if "Metrics" not in aggregated.fields:
        raise InputError(f"{name}: no result of an evaluation: there is no '{_AGGREGATED}.Metrics' in it")
    metrics = aggregated.part("Metrics")
    undefined = aggregated.list(_UNDEFINED)
    testing = details.maybe_count("NumberOfTestingImages")
    if testing is None:
        details.refuse("NumberOfTestingImages", "a whole number of at least 0")
    pixels = None
    if "PixelAnomalyClassMetrics" in metrics.fields:
        pixels = tuple(map(_read_pixels, metrics.parts("PixelAnomalyClassMetrics")))
    return EvaluationResult(
        details.maybe_text("ModelArn"),
        details.maybe_text("EvaluationEndTimestamp"),
        details.maybe_count("NumberOfTrainingImages"),
        testing,
        metrics.maybe_share("ROCAUC"),
        metrics.maybe_share("AveragePrecision"),
        *_rates(metrics, undefined),
        pixels,
    )


def _read_pixels(part: Part) -> PixelMetrics:
    undefined = part.list(_UNDEFINED)
    aiou = None if "AIOU" in undefined else part.maybe_share("AIOU")
    return PixelMetrics(part.text("ClassName"), *_rates(part, undefined), aiou)


def _rates(part: Part, undefined: Iterable[object]) -> tuple[float | None, float | None, float | None]:
    def rate(name: str) -> float | None:
        return None if name in undefined else part.maybe_share(name)

    return rate("Precision"), rate("Recall"), rate("F1Score")


def performance_of(result: EvaluationResult) -> Performance:
    """Return a result's rates as DescribeModel says them, 0 where undefined."""
    return Performance(result.f1 or 0.0, result.recall or 0.0, result.precision or 0.0)


def performance_json(performance: Performance) -> dict[str, float]:
    """Return what stands in DescribeModel's `Performance`.

    >>> performance_json(Performance(f1=0.8, recall=0.8, precision=0.9))
    {'F1Score': 0.8, 'Recall': 0.8, 'Precision': 0.9}
    """
    return {"F1Score": performance.f1, "Recall": performance.recall, "Precision": performance.precision}


def read_performance(data: bytes, name: str) -> Performance:
    """Return the performance in what DescribeModel returned, whole or in part; never computed anew.

    Raises `InputError` where there is none, as before a model is trained.

    >>> read_performance(b'{"F1Score": 0.8, "Recall": 0.8, "Precision": 0.9}', "x.json")
    Performance(f1=0.8, recall=0.8, precision=0.9)
    """
    document = read_document(data, name)
    model = document.part("ModelDescription") if "ModelDescription" in document.fields else document
    if "Status" in model.fields and "Performance" not in model.fields:
        raise InputError(f"{name}: no performance: the model's status is {model.text('Status')}")
    found = model.part("Performance") if "Performance" in model.fields else model
    return Performance(found.share("F1Score"), found.share("Recall"), found.share("Precision"))
