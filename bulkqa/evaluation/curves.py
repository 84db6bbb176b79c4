"""Curves: what every cut-off of a score would get right, and the areas under them.

All of them follow from how many positive and negative items have each distinct score, so equal scores always
stand or fall together. Standard library; with numpy the same numbers come faster (see `arrays`).
"""

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

from bulkqa.errors import InputError
from bulkqa.evaluation.inputs import booleans, kept, numbers, same_length, weight_column
from bulkqa.flow.statistics import Interval, wilson

_MANY = 50_000
"""So many numbers in a list are worth an array."""


class Roc(NamedTuple):
    """The ROC curve, from the highest cut-off on: at each, the shares of all negatives and of all positives
    that score at or above it. The first point, (0, 0), has the cut-off infinity.
    """

    false_positive_rate: Sequence[float]
    true_positive_rate: Sequence[float]
    thresholds: Sequence[float]


class PrecisionRecall(NamedTuple):
    """The precision-recall curve, from the highest cut-off on. The first point, recall 0, has the precision 1
    and the cut-off infinity.
    """

    precision: Sequence[float]
    recall: Sequence[float]
    thresholds: Sequence[float]


class Bin(NamedTuple):
    """Items with low <= score < high (the last bin holds 1): their number or weight, mean score and share
    that is positive, and of that the 95 % Wilson interval, None where items have weights.
    """

    low: float
    high: float
    items: float
    mean_score: float
    positive: float
    interval: Interval | None


class Curves(NamedTuple):
    """What is at or above each cut-off, from the highest on: the true and the false positives.

    The cut-offs are infinity, with nothing above it, and the distinct scores. Numbers of items, or sums of
    their weights where `weighted`. Lists, or arrays where they were made of such.

    >>> found = curves([0.9, 0.8, 0.8, 0.1], [True, True, False, False])
    >>> found.thresholds, found.true_positives, found.false_positives
    ([inf, 0.9, 0.8, 0.1], [0, 1, 2, 2], [0, 0, 1, 2])
    """

    thresholds: Sequence[float]
    true_positives: Sequence[float]
    false_positives: Sequence[float]
    weighted: bool

    @property
    def positives(self) -> float:
        """All positive items, or their weight."""
        return self.true_positives[-1]

    @property
    def negatives(self) -> float:
        """All negative items, or their weight."""
        return self.false_positives[-1]

    @property
    def roc_auc(self) -> float | None:
        """The chance that a positive item scores above a negative one, ties half; None with one class only.

        Source: Hanley and McNeil, Radiology 143 (1982) 29-36. Here of four pairs one is tied, the others are
        right: 3.5 / 4.

        >>> curves([0.9, 0.8, 0.8, 0.1], [True, True, False, False]).roc_auc
        0.875
        """
        if not (self.positives and self.negatives):
            return None
        steps = zip(pairwise(self.true_positives), pairwise(self.false_positives), strict=True)
        # Numbers of items are whole, and so is their sum: it is exact.
        doubled = sum((false - before) * (true + last) for (last, true), (before, false) in steps)
        return doubled / (2 * self.positives * self.negatives)

    @property
    def average_precision(self) -> float | None:
        """The mean precision over the steps of recall, not interpolated; None without a positive.

        The sum of (R - R of the step before) * P, equal scores being one step. Here the recall rises by a
        half at precision 1 and by another half at precision 2 / 3.

        >>> round(curves([0.9, 0.8, 0.8, 0.1], [True, True, False, False]).average_precision, 4)
        0.8333
        """
        if not self.positives:
            return None
        steps = zip(pairwise(self.true_positives), self.false_positives[1:], strict=True)
        return math.fsum(
            (true - before) * (true / (true + false)) / self.positives for (before, true), false in steps
        )

    @property
    def roc(self) -> Roc | None:
        """The ROC curve, with a point for each distinct score; None with one class only.

        >>> roc = curves([0.9, 0.1], [True, False]).roc
        >>> roc.false_positive_rate, roc.true_positive_rate, roc.thresholds
        ([0.0, 0.0, 1.0], [0.0, 1.0, 1.0], [inf, 0.9, 0.1])
        """
        if not (self.positives and self.negatives):
            return None
        return Roc(
            [false / self.negatives for false in self.false_positives],
            [true / self.positives for true in self.true_positives],
            self.thresholds,
        )

    @property
    def precision_recall(self) -> PrecisionRecall | None:
        """The precision-recall curve, with a point for each distinct score; None without a positive.

        >>> curves([0.9, 0.1], [False, True]).precision_recall
        PrecisionRecall(precision=[1.0, 0.0, 0.5], recall=[0.0, 0.0, 1.0], thresholds=[inf, 0.9, 0.1])
        """
        if not self.positives:
            return None
        steps = zip(self.true_positives, self.false_positives, strict=True)
        return PrecisionRecall(
            [true / (true + false) if true + false else 1.0 for true, false in steps],
            [true / self.positives for true in self.true_positives],
            self.thresholds,
        )

    def reliability(self, bins: int = 10) -> list[Bin]:
        """Return how often items of a score are positive, over so many bins of equal width.

        Bins without items are left out. Raises `InputError` for a score outside 0-1.
        Source: Niculescu-Mizil and Caruana, Predicting Good Probabilities (ICML 2005).

        >>> for one in curves([0.9, 0.95, 0.1], [True, False, False]).reliability(2):
        ...     print(one.low, one.high, one.items, one.mean_score, one.positive)
        0.0 0.5 1.0 0.1 0.0
        0.5 1.0 2.0 0.925 0.5
        """
        bounds = [place / bins for place in range(bins + 1)]
        totals = [[0.0, 0.0, 0.0] for _ in range(bins)]
        steps = zip(
            self.thresholds[1:],
            pairwise(self.true_positives),
            pairwise(self.false_positives),
            strict=True,
        )
        for score, (true_before, true), (false_before, false) in steps:
            self.check_probability(score)
            total = totals[min(bisect_right(bounds, score), bins) - 1]
            items = true - true_before + false - false_before
            total[0] += items
            total[1] += items * score
            total[2] += true - true_before
        return self.filled(bounds, totals)

    def check_probability(self, score: float) -> None:
        """Raise `InputError` for a score outside 0-1."""
        if not 0 <= score <= 1:
            raise InputError(f"a score of {score:g} is outside 0-1, where probabilities lie")

    def filled(self, bounds: Sequence[float], totals: Iterable[Sequence[float]]) -> list[Bin]:
        """Return the bins with items, of their totals: items, items times scores, positive items."""
        return [
            Bin(low, high, items, scores / items, positive / items, self._interval(positive, items))
            for (low, high), (items, scores, positive) in zip(pairwise(bounds), totals, strict=True)
            if items
        ]

    def _interval(self, positive: float, items: float) -> Interval | None:
        return None if self.weighted else wilson(positive, items)


def curves(
    scores: Iterable[float], positives: Iterable[object], weights: Iterable[float] | None = None
) -> Curves:
    """Return what follows from scores and from which items are positive, given as columns of equal length.

    A column is a list, a numpy array, a pandas or polars series. `scores` are any finite numbers, higher
    where positive is more likely; `positives` are true or false, or 1 or 0; `weights` are what each item
    counts, at least 0. Raises `InputError` for columns of unequal length or a value that is none of these;
    it names the column and the place, the first being 0.

    The areas equal scikit-learn's to 1e-9. One positive scores above one negative, the other below it:

    >>> curves([3, 2, 1], [1, 0, 1]).roc_auc
    0.5
    """
    scores, positives = kept(scores), kept(positives)
    if not isinstance(scores, list) or len(scores) >= _MANY:
        from bulkqa.evaluation import arrays

        if (found := arrays.curves(scores, positives, weights)) is not None:
            return found
    numbers_of = numbers(scores, "scores")
    flags = booleans(positives, "positives")
    same_length(scores=numbers_of, positives=flags)
    if weights is None:
        return _curves(Counter(zip(numbers_of, flags, strict=True)), weighted=False)
    weights_of = weight_column(weights)
    same_length(scores=numbers_of, weights=weights_of)
    counts: dict[tuple[float, bool], float] = {}
    for key, weight in zip(zip(numbers_of, flags, strict=True), weights_of, strict=True):
        if weight:
            counts[key] = counts.get(key, 0.0) + weight
    return _curves(counts, weighted=True)


def _curves(counts: Mapping[tuple[float, bool], float], *, weighted: bool) -> Curves:
    """Return the curves of numbers or weights of items by score, and by whether they are positive."""
    scores = sorted({score for score, _ in counts}, reverse=True)
    true, false = (
        list(accumulate((counts.get((score, flag), 0) for score in scores), initial=0))
        for flag in (True, False)
    )
    return Curves([math.inf, *scores], true, false, weighted)
