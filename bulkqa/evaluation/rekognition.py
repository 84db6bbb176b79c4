"""Rekognition Custom Labels: the summary file of a model's evaluation, read and written.

A summary has two views of the same test images that need not agree: the confusion matrix counts the label
with the highest confidence, while each label's own metrics are taken at its assumed threshold.
Source: Amazon Rekognition Custom Labels Developer Guide, "Accessing the summary file" and "Interpreting".
"""

from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, groupby
from operator import itemgetter
from typing import NamedTuple

from bulkqa.errors import InputError
from bulkqa.evaluation.confusion import ConfusionMatrix, of_shares
from bulkqa.evaluation.documents import Part, read_document
from bulkqa.evaluation.predictions import MultiLabel, Prediction
from bulkqa.flow.records import Rejected

NO_MATRIX = "Confusion matrix not found in summary. Is the model a classification model?"

_AGGREGATED = "AggregatedEvaluationResults"


class LabelResult(NamedTuple):
    """A label's metrics at its assumed threshold; `testing_images` are those that carry it.

    A rate is None where it is undefined; a summary file has 0 there.
    """

    label: str
    testing_images: int | None
    threshold: float
    precision: float | None
    recall: float | None
    f1: float | None


class Summary(NamedTuple):
    """A summary file. The aggregates are the unweighted means of the labels' own; None where unknown."""

    arn: str | None
    ended: str | None
    labels: tuple[str, ...]
    training_images: int | None
    testing_images: int | None
    matrix: ConfusionMatrix
    precision: float | None
    recall: float | None
    f1: float | None
    results: tuple[LabelResult, ...]


def is_summary(data: bytes) -> bool:
    """Say whether a file's content is meant as a summary: its results stand at the top of one object.

    >>> is_summary(b'{"AggregatedEvaluationResults": {}}'), is_summary(b'{"ground_truth": "cat"}')
    (True, False)
    """
    try:
        return _AGGREGATED in read_document(data, "").fields
    except InputError:
        return f'"{_AGGREGATED}"'.encode() in data


def read_summary(data: bytes, name: str) -> Summary:
    """Return a summary file as it stands: nothing in it is computed anew, and rows may sum to anything.

    The aggregates stand directly below `AggregatedEvaluationResults`, as in files, or in its `Metrics`, as
    in the guide's schema. A pair of labels that is missing is 0. Raises `InputError` for a file that is no
    summary, and for one of a detection model, which has no matrix.

    >>> read_summary(b'{"AggregatedEvaluationResults": {"AveragePrecision": 0.9}}', "x.json")
    Traceback (most recent call last):
    bulkqa.errors.InputError: Confusion matrix not found in summary. Is the model a classification model?
    """
    document = read_document(data, name)
    if _AGGREGATED not in document.fields:
        raise InputError(f"{name}: no summary of an evaluation: there is no {_AGGREGATED!r} in it")
    outer = document.part(_AGGREGATED)
    aggregated = Part({**outer.part("Metrics").fields, **outer.fields}, outer.where)
    if "ConfusionMatrix" not in aggregated.fields:
        raise InputError(NO_MATRIX)
    details = document.part("EvaluationDetails")
    labels = tuple(map(str, details.list("Labels")))
    results = tuple(map(_label_result, document.parts("LabelEvaluationResults")))
    without = {one.label for one in results if one.testing_images == 0}
    return Summary(
        details.maybe_text("ProjectVersionArn"),
        details.maybe_text("EvaluationEndTimestamp"),
        labels,
        details.maybe_count("NumberOfTrainingImages"),
        details.maybe_count("NumberOfTestingImages"),
        _matrix(aggregated, labels, without),
        *_rates(aggregated),
        results,
    )


def _label_result(part: Part) -> LabelResult:
    metrics = part.part("Metrics")
    return LabelResult(
        part.text("Label"),
        part.maybe_count("NumberOfTestingImages"),
        metrics.share("Threshold"),
        *_rates(metrics),
    )


def _rates(part: Part) -> tuple[float | None, float | None, float | None]:
    return part.maybe_share("Precision"), part.maybe_share("Recall"), part.maybe_share("F1Score")


def _matrix(aggregated: Part, labels: Iterable[str], without: Iterable[str]) -> ConfusionMatrix:
    """Return the matrix; a column is None where it is all 0 and the label is said to have no image."""
    cells: dict[tuple[str, str], float] = {}
    for cell in aggregated.parts("ConfusionMatrix"):
        pair = cell.text("PredictedLabel"), cell.text("GroundTruthLabel")
        if pair in cells:
            raise InputError(
                f"{cell.where}: predicted {pair[0]!r}, ground truth {pair[1]!r} stands there twice"
            )
        cells[pair] = cell.share("Value")
    everything = sorted({label for pair in cells for label in pair}.union(labels))
    given = {truth for _, truth in cells}.difference(without)
    given.update(truth for (_, truth), share in cells.items() if share)
    return of_shares(
        everything,
        [
            [cells.get((row, column), 0.0) if column in given else None for column in everything]
            for row in everything
        ],
    )


def as_json(summary: Summary) -> dict[str, object]:
    """Return a summary as its file has it: every pair of labels, labels by falling F1, 0 for undefined.

    The service writes whole files for its own models only; what is not known here is null.
    """
    matrix = summary.matrix
    cells = [
        {"GroundTruthLabel": truth, "PredictedLabel": predicted, "Value": share or 0.0}
        for predicted, row in zip(matrix.labels, matrix.shares, strict=True)
        for truth, share in zip(matrix.labels, row, strict=True)
    ]
    return {
        "Version": 1,
        "EvaluationDetails": {
            "ProjectVersionArn": summary.arn,
            "EvaluationEndTimestamp": summary.ended,
            "Labels": list(summary.labels),
            "NumberOfTrainingImages": summary.training_images,
            "NumberOfTestingImages": summary.testing_images,
        },
        _AGGREGATED: {
            "ConfusionMatrix": cells,
            "F1Score": summary.f1 or 0.0,
            "Precision": summary.precision or 0.0,
            "Recall": summary.recall or 0.0,
        },
        "LabelEvaluationResults": [
            {
                "Label": one.label,
                "NumberOfTestingImages": one.testing_images,
                "Metrics": {
                    "Threshold": one.threshold,
                    "Precision": one.precision or 0.0,
                    "Recall": one.recall or 0.0,
                    "F1Score": one.f1 or 0.0,
                },
            }
            for one in sorted(summary.results, key=lambda one: (-(one.f1 or 0.0), one.label))
        ],
    }


def summarise(
    matrix: ConfusionMatrix,
    results: Sequence[LabelResult],
    testing_images: int,
    ended: str | None,
    arn: str | None = None,
) -> Summary:
    """Return the summary of an evaluation made here; `ended` is its time, in UTC and without a zone.

    The aggregates are the unweighted means over the labels, an undefined one counting 0, and None without
    any label.
    """

    def mean(rates: Iterable[float | None]) -> float | None:
        return sum(rate or 0.0 for rate in rates) / len(results) if results else None

    return Summary(
        arn,
        ended,
        matrix.labels,
        None,
        testing_images,
        matrix,
        mean(one.precision for one in results),
        mean(one.recall for one in results),
        mean(one.f1 for one in results),
        tuple(results),
    )


class LabelTests:
    """What a file of predictions says of each label by itself: how each image that has a score for it scores.

    Lines of a test manifest with no true label or several count as well. A line that has no score of its
    classes counts as its predicted label alone, with its own score where there are more than two classes
    (else it is not said whose it is), and 0 without any.

    >>> tests = LabelTests()
    >>> for truth, score in (("cat", 0.9), ("cat", 0.4), ("dog", 0.6)):
    ...     tests.add(Prediction(1, "", truth, "cat", score, {"cat": score}, {}))
    >>> cat = tests.results()[0]
    >>> cat.threshold, cat.recall, round(cat.precision, 4)  # at 0.9 F1 is 2/3, at 0.4 it is 4/5
    (0.4, 1.0, 0.6667)
    """

    def __init__(self) -> None:
        # By label, of the images without it and of those with it.
        self._scores: dict[str, tuple[array[float], array[float]]] = defaultdict(_columns)
        self._images: dict[str, int] = defaultdict(int)
        self._unnamed: list[tuple[str, bool, float | None]] = []

    def add(self, found: Prediction | Rejected) -> None:
        """Take a line into account; one that cannot be used changes nothing."""
        if isinstance(found, MultiLabel):
            self._add(found.present, found.scores)
        elif isinstance(found, Prediction):
            self._add((found.ground_truth,), found.scores)
            self._images[found.predicted] += 0
            if not found.scores:
                right = found.predicted == found.ground_truth
                self._unnamed.append((found.predicted, right, found.score))

    def _add(self, present: Iterable[str], scores: Mapping[str, float]) -> None:
        for label in present:
            self._images[label] += 1
        for label, score in scores.items():
            self._images[label] += 0
            self._scores[label][label in present].append(score)

    def results(self) -> list[LabelResult]:
        """Return each label's metrics at its assumed threshold, in code-point order.

        That is the score with the best F1, of equal ones the highest; an image is taken to carry the label
        where it scores at least that.
        """
        several = len(self._images) > 2
        unnamed: dict[str, list[tuple[float, bool]]] = defaultdict(list)
        for label, right, score in self._unnamed:
            unnamed[label].append((score if several and score is not None else 0.0, right))
        return [
            _best(label, self._images[label], chain(self._scores_of(label), unnamed.get(label, ())))
            for label in sorted(self._images)
        ]

    def _scores_of(self, label: str) -> Iterator[tuple[float, bool]]:
        for present, column in enumerate(self._scores.get(label, ())):
            for score in column:
                yield score, bool(present)


def _columns() -> "tuple[array[float], array[float]]":
    return array("d"), array("d")


def results_of(matrix: ConfusionMatrix) -> list[LabelResult]:
    """Return each label's metrics where nothing but a matrix is known: no score, so the threshold is 0.

    Sums of weights are rounded to images. Raises `InputError` for a matrix without counts.

    >>> from bulkqa.evaluation.confusion import of_counts
    >>> cat = results_of(of_counts(["cat", "dog"], [[1, 0], [1, 1]]))[0]
    >>> cat.testing_images, cat.precision, cat.recall
    (2, 1.0, 0.5)
    """
    if matrix.counts is None or matrix.columns_total is None:
        raise InputError("the confusion matrix has shares only: its numbers of images are not known")
    results = []
    for place, (label, images) in enumerate(zip(matrix.labels, matrix.columns_total, strict=True)):
        right, predicted = matrix.counts[place][place], sum(matrix.counts[place])
        precision = right / predicted if predicted else None
        recall = right / images if images else None
        f1 = 2 * right / (predicted + images) if predicted + images else None
        results.append(LabelResult(label, round(images), 0.0, precision, recall, f1))
    return results


def _best(label: str, images: int, scores: Iterable[tuple[float, bool]]) -> LabelResult:
    """Return a label's metrics at the threshold with the best F1."""
    best = LabelResult(label, images, 0.0, None, 0.0 if images else None, 0.0 if images else None)
    for threshold, tp, taken in _steps(scores):
        f1 = 2 * tp / (taken + images)
        if best.precision is None or f1 > (best.f1 or 0.0):
            recall = tp / images if images else None
            best = LabelResult(label, images, threshold, tp / taken, recall, f1)
    return best


def _steps(scores: Iterable[tuple[float, bool]]) -> Iterator[tuple[float, int, int]]:
    """Yield each score, the highest first, and how many images reach it: those with the label, and all."""
    tp = taken = 0
    for threshold, group in groupby(sorted(scores, key=itemgetter(0), reverse=True), key=itemgetter(0)):
        for _, present in group:
            tp += present
            taken += 1
        yield threshold, tp, taken
