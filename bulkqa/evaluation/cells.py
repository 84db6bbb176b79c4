"""Examples with a label and a score, by cell, and the metrics TensorFlow Model Analysis makes of them.

A cell holds all examples whose scores are in one bucket, so memory depends on buckets and not on examples,
and cells of several slices add up to those of a larger one.

An undefined metric is NaN, as there, so that no limit passes it; so is the area of examples of one class
alone, which is 0 there. Source: tensorflow_model_analysis 0.52, `metrics/confusion_matrix_metrics.py` and
`metrics/calibration_histogram.py`.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import NamedTuple

BUCKETS = 10_000
"""Buckets of equal width between 0 and 1; below and above is one more each."""

THRESHOLDS = 10_000
"""Points of a curve, where nothing else is asked for."""

# By so much a score has to be above a point of a curve.
_EPSILON = 1e-7


class Counts(NamedTuple):
    """Weights of examples at a threshold; a score above it is a positive prediction."""

    tp: float
    fp: float
    fn: float
    tn: float

    @property
    def precision(self) -> float:
        """The share of positives among the examples predicted so, NaN where there are none."""
        return _ratio(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float:
        """The share of the positives that is predicted so, NaN where there are none."""
        return _ratio(self.tp, self.tp + self.fn)

    @property
    def f1(self) -> float:
        """The harmonic mean of both, NaN where nothing is positive, in truth or as predicted."""
        return _ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    @property
    def accuracy(self) -> float:
        """The share of right predictions, NaN without examples."""
        return _ratio(self.tp + self.tn, math.fsum(self))


class Cells:
    """Examples by cell. `thresholds`, rising, are those at which counts will be asked for.

    >>> cells = Cells()
    >>> for label, score in ((1, 0.9), (1, 0.5), (0, 0.6), (0, 0.1)):
    ...     cells.add(label, score)
    >>> cells.counts(0.5), cells.auc(), cells.mean_prediction
    (Counts(tp=1.0, fp=1.0, fn=1.0, tn=1.0), 0.75, 0.525)
    """

    __slots__ = ("_cells", "examples", "thresholds", "weight", "weighted_scores")

    def __init__(self, thresholds: Sequence[float] = (0.5,)) -> None:
        self.thresholds = tuple(thresholds)
        self._cells: dict[tuple[int, int], list[float]] = {}
        self.examples = 0
        self.weight = 0.0
        self.weighted_scores = 0.0

    def add(self, label: float, score: float, weight: float = 1.0) -> None:
        """Add an example with a label of 0, 1, or between."""
        bucket = 0 if score < 0 else min(int(score * BUCKETS), BUCKETS) + 1
        self.add_cell(bucket, bisect_left(self.thresholds, score), label * weight, weight, weight * score)

    def add_cell(
        self, bucket: int, above: int, positive: float, weight: float, scores: float, examples: int = 1
    ) -> None:
        """Add examples of one bucket, above so many thresholds: their weights and weighted scores summed."""
        self.examples += examples
        self.weight += weight
        self.weighted_scores += scores
        cell = self._cells.get((bucket, above))
        if cell is None:
            self._cells[bucket, above] = [positive, weight]
        else:
            cell[0] += positive
            cell[1] += weight

    def include(self, other: "Cells", factor: float = 1.0) -> None:
        """Add the examples of others, with so many times their weight."""
        for (bucket, above), (positive, weight) in other._cells.items():
            self.add_cell(bucket, above, factor * positive, factor * weight, 0.0, examples=0)
        self.examples += other.examples
        self.weighted_scores += factor * other.weighted_scores

    @property
    def positives(self) -> float:
        """The weight of positives."""
        return math.fsum(positive for positive, _ in self._cells.values())

    @property
    def mean_label(self) -> float:
        """The mean label, by weight."""
        return _ratio(self.positives, self.weight)

    @property
    def mean_prediction(self) -> float:
        """The mean score, by weight."""
        return _ratio(self.weighted_scores, self.weight)

    def counts(self, threshold: float) -> Counts:
        """Return the counts at one of the thresholds."""
        place = self.thresholds.index(threshold)
        tp = fp = fn = tn = 0.0
        for (_, above), (positive, weight) in self._cells.items():
            if above > place:
                tp += positive
                fp += weight - positive
            else:
                fn += positive
                tn += weight - positive
        return Counts(tp, fp, fn, tn)

    def auc(self, curve: str = "ROC", summation: str = "interpolation", points: int = THRESHOLDS) -> float:
        """Return the area under the ROC curve or, with `PR`, under precision over recall.

        Scores between two points of the curve are ties. `summation` is interpolation, minoring or majoring;
        interpolation of PR is that of Davis and Goadrich (2006), as in Keras.
        """
        positives, negatives = [0.0] * points, [0.0] * points
        starts = _starts(points)
        for (bucket, _), (positive, weight) in self._cells.items():
            place = (
                points - 1 if bucket > BUCKETS else max(0, bisect_right(starts, (bucket - 1) / BUCKETS) - 1)
            )
            positives[place] += positive
            negatives[place] += weight - positive
        tp, fp = _from_above(positives), _from_above(negatives)
        if not tp[0] or (curve == "ROC" and not fp[0]):
            return math.nan
        if curve == "PR" and summation == "interpolation":
            return _interpolated_pr(tp, fp)
        recall = [value / tp[0] for value in tp]
        if curve == "ROC":
            x, y = [value / fp[0] for value in fp], recall
        else:
            x = recall
            y = [
                right / (right + wrong) if right + wrong else 0.0 for right, wrong in zip(tp, fp, strict=True)
            ]
        height = _HEIGHTS[summation]
        return math.fsum(
            (left - right) * height(*heights)
            for (left, right), heights in zip(pairwise(x), pairwise(y), strict=True)
            if left != right
        )


def _mean(left: float, right: float) -> float:
    return (left + right) / 2


_HEIGHTS: dict[str, Callable[[float, float], float]] = {
    "interpolation": _mean,
    "minoring": min,
    "majoring": max,
}


@lru_cache
def _starts(points: int) -> list[float]:
    """Return where each point of a curve begins; the last is above every score."""
    return [0.0, *((place + 1) / (points - 1) + _EPSILON for place in range(points - 2)), 1 + 2 * _EPSILON]


def _from_above(values: Sequence[float]) -> list[float]:
    """Return the sum of each value and those behind it, but 0 for the last, above which no score lies."""
    sums = list(accumulate(reversed(values)))[::-1]
    sums[-1] = 0.0
    return sums


def _interpolated_pr(tp: Sequence[float], fp: Sequence[float]) -> float:
    area = []
    predicted = [right + wrong for right, wrong in zip(tp, fp, strict=True)]
    for place, (more, less) in enumerate(pairwise(predicted)):
        gained = tp[place] - tp[place + 1]
        if more > less:
            slope = gained / (more - less)
            rest = tp[place + 1] - slope * less
            area.append(slope * (gained + (rest * math.log(more / less) if less else 0.0)))
    return math.fsum(area) / tp[0]


def _ratio(part: float, of: float) -> float:
    return part / of if of else math.nan
