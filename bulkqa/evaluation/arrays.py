"""Arrays: the same numbers faster, counted by numpy (extra `analysis`).

A function returns None where that cannot be: numpy is not installed, or a column is no array of plain values.
What is wrong is then said by whoever goes through it value by value.
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from bulkqa.evaluation.confusion import Pair, Tally
from bulkqa.evaluation.curves import Bin, Curves, PrecisionRecall, Roc

_CHUNK = 1 << 18
"""Values worked on at once: they stay in the processor's cache."""

_CLASSES = 1024
"""Numbered classes counted in one square of cells at most."""

_DECIMALS = 10_000
_BINS = 1 << 21
"""Scores of four decimals are counted where they lie, if they span no more steps than these."""


def labels(values: object) -> Any:
    """Return a column of whole numbers, truth values, or strings as numpy has them; None for another.

    >>> import numpy
    >>> labels(numpy.array([True])).dtype.name, labels(["cat"])
    ('bool', None)
    """
    numpy = _numpy() if hasattr(values, "__array__") else None
    return None if numpy is None else _array(numpy, values, "biuU")


def are(values: Any, label: str) -> Any:
    """Return which of a column's labels are called so.

    >>> import numpy
    >>> are(numpy.array([1, 10]), "1").tolist(), are(numpy.array([1, 10]), "01").tolist()
    ([True, False], [False, False])
    """
    if values.dtype.kind == "U":
        return values == label
    if values.dtype.kind == "b":
        return values == (label == "True") if label in ("True", "False") else values != values
    number = int(label) if label.removeprefix("-").isdecimal() else None
    return values == number if str(number) == label else values != values


def tally(ground_truth: object, predicted: object, weights: object) -> Tally | None:
    """Count the pairs of arrays of whole numbers, or of strings as numpy has them, as `confusion.tally` does.

    >>> import numpy
    >>> tally(numpy.array([1, 1]), numpy.array([1, 0]), None).counts
    {('0', '1'): 1, ('1', '1'): 1}
    """
    numpy = _numpy()
    truths, guesses = labels(ground_truth), labels(predicted)
    heavy = None if weights is None else _weights(numpy, weights)
    if truths is None or guesses is None or (weights is not None and heavy is None):
        return None
    if not _alike(truths, guesses, heavy):
        return None
    kinds = {truths.dtype.kind, guesses.dtype.kind}
    if "U" not in kinds:
        return _of_numbers(numpy, truths, guesses, heavy)
    if kinds != {"U"} or heavy is not None:
        return None
    counts: Counter[Pair] = Counter()
    for part in _parts(len(truths)):
        counts.update(zip(guesses[part].tolist(), truths[part].tolist(), strict=True))
    return Tally(len(truths), counts, counts)


def _of_numbers(numpy: Any, truths: Any, guesses: Any, weights: Any) -> Tally | None:
    low = min(int(truths.min()), int(guesses.min()))
    classes = max(int(truths.max()), int(guesses.max())) - low + 1
    if classes > _CLASSES or abs(low) > 1 << 62:
        return None
    items = numpy.zeros(classes * classes, dtype=numpy.int64)
    sums, squares = items.astype(float), items.astype(float)
    for part in _parts(len(truths)):
        cells = guesses[part].astype(numpy.int64)
        cells -= low
        cells *= classes
        cells += truths[part].astype(numpy.int64) - low
        items += numpy.bincount(cells, minlength=len(items))
        if weights is not None:
            sums += numpy.bincount(cells, weights[part], minlength=len(items))
            squares += numpy.bincount(cells, weights[part] ** 2, minlength=len(items))
    # True and False are counted as 1 and 0, and called by their names.
    rows, columns = (
        [str(bool(label) if array.dtype.kind == "b" else label) for label in range(low, low + classes)]
        for array in (guesses, truths)
    )
    pairs = {int(cell): (rows[cell // classes], columns[cell % classes]) for cell in numpy.flatnonzero(items)}
    if weights is None:
        counts = {pair: int(items[cell]) for cell, pair in pairs.items()}
        return Tally(len(truths), counts, counts)
    return Tally(
        len(truths),
        {pair: float(sums[cell]) for cell, pair in pairs.items()},
        {pair: float(squares[cell]) for cell, pair in pairs.items()},
    )


def curves(scores: Sequence[float], positives: Sequence[object], weights: object) -> Curves | None:
    """Return the curves of arrays, or of lists of numbers, as `curves.curves` does.

    >>> import numpy
    >>> curves(numpy.array([3.0, 2.0, 1.0]), [True, False, True], None).roc_auc
    0.5
    """
    numpy = _numpy()
    if numpy is None:
        return None
    values, flags = _floats(numpy, scores), _flags(numpy, positives)
    heavy = None if weights is None else _weights(numpy, weights)
    if values is None or flags is None or (weights is not None and heavy is None):
        return None
    if not _alike(values, flags, heavy):
        return None
    if heavy is not None:
        return _weighted(numpy, values[heavy > 0], flags[heavy > 0], heavy[heavy > 0])
    return _counted(numpy, values, flags) or _sorted(numpy, values, flags)


class _Arrays(Curves):
    """Curves of arrays. Their sums are taken part by part: no more memory than the arrays themselves."""

    __slots__ = ()

    @property
    def positives(self) -> float:
        return self._last(self.true_positives)

    @property
    def negatives(self) -> float:
        return self._last(self.false_positives)

    @property
    def roc_auc(self) -> float | None:
        numpy = _numpy()
        if not (self.positives and self.negatives):
            return None
        wide = float if self.weighted else numpy.int64
        doubled = [
            numpy.dot(numpy.diff(false), true[1:] + true[:-1]).item() for true, false in self._steps(wide)
        ]
        return (math.fsum if self.weighted else sum)(doubled) / (2 * self.positives * self.negatives)

    @property
    def average_precision(self) -> float | None:
        numpy = _numpy()
        if not self.positives:
            return None
        sums = (
            numpy.dot(numpy.diff(true), true[1:] / (true[1:] + false[1:])).item()
            for true, false in self._steps(float)
        )
        return math.fsum(sums) / self.positives

    @property
    def roc(self) -> Roc | None:
        if not (self.positives and self.negatives):
            return None
        true, false = self._cumulated()
        return Roc(false / self.negatives, true / self.positives, self.thresholds)

    @property
    def precision_recall(self) -> PrecisionRecall | None:
        numpy = _numpy()
        if not self.positives:
            return None
        true, false = self._cumulated()
        precision = numpy.ones(len(true))
        numpy.divide(true[1:], true[1:] + false[1:], out=precision[1:])
        return PrecisionRecall(precision, true / self.positives, self.thresholds)

    def reliability(self, bins: int = 10) -> list[Bin]:
        numpy = _numpy()
        if len(self.thresholds) > 1:
            self.check_probability(float(self.thresholds[1]))
            self.check_probability(float(self.thresholds[-1]))
        bounds = [place / bins for place in range(bins + 1)]
        rising = self.thresholds[::-1]
        true, false = self._cumulated()
        ends = [len(true) - int(numpy.searchsorted(rising, bound)) for bound in bounds[:-1]] + [1]
        totals = []
        for last, first in pairwise(ends):
            items = (true[first - 1 : last] + false[first - 1 : last]).astype(float)
            total = float(items[-1] - items[0])
            scores = numpy.dot(numpy.diff(items), self.thresholds[first:last]).item()
            totals.append((total, scores, float(true[last - 1] - true[first - 1])))
        return self.filled(bounds, totals)

    def _last(self, sums: Any) -> float:
        last = sums[-1].item()
        return float(last) if self.weighted else int(last)

    def _cumulated(self) -> tuple[Any, Any]:
        return self.true_positives, self.false_positives

    def _steps(self, kind: Any) -> Iterator[tuple[Any, Any]]:
        """Yield both sums part by part, each beginning with the last of the one before."""
        true, false = self._cumulated()
        for part in _parts(len(true) - 1):
            both = slice(part.start, part.stop + 1)
            yield true[both].astype(kind), false[both].astype(kind)


def _counted(numpy: Any, scores: Any, flags: Any) -> Curves | None:
    """Return the curves of scores of at most four decimals: each has its own place, and nothing is sorted."""
    low, high = float(scores.min()), float(scores.max())
    if max(-low, high) > _BINS or (high - low) * _DECIMALS >= _BINS:
        return None
    first = round(low * _DECIMALS)
    places = round(high * _DECIMALS) - first + 1
    counts = numpy.zeros(2 * places, dtype=numpy.int64)
    for part in _parts(len(scores), max(_CHUNK, len(counts))):
        steps = numpy.rint(scores[part] * _DECIMALS)
        if not numpy.array_equal(steps / _DECIMALS, scores[part]):
            return None
        cells = steps.astype(numpy.int64)
        cells -= first
        cells *= 2
        cells += flags[part]
        counts += numpy.bincount(cells, minlength=len(counts))
    false, true = counts[0::2], counts[1::2]
    used = numpy.flatnonzero(true + false)[::-1]
    return _Arrays(
        numpy.concatenate(([math.inf], (used + first) / _DECIMALS)),
        numpy.concatenate(([0], numpy.cumsum(true[used]))),
        numpy.concatenate(([0], numpy.cumsum(false[used]))),
        False,
    )


def _sorted(numpy: Any, scores: Any, flags: Any) -> Curves:
    """Return the curves of any scores. Positives and negatives are sorted apart, which is much faster than
    sorting places, and then merged.
    """
    true, false = scores[flags], scores[~flags]
    true.sort()
    false.sort()
    number = len(scores)
    places = numpy.searchsorted(false, true)
    places += numpy.arange(len(true))
    is_true = numpy.zeros(number, dtype=bool)
    is_true[places] = True
    thresholds = numpy.empty(number + 1)
    thresholds[0] = math.inf
    rising = thresholds[:0:-1]
    rising[places] = true
    rising[~is_true] = false
    del true, false, places
    kind = numpy.int32 if number < 1 << 31 else numpy.int64
    above = numpy.zeros(number + 1, dtype=kind)
    numpy.cumsum(is_true[::-1], out=above[1:], dtype=kind)
    below = numpy.arange(number + 1, dtype=kind)
    below -= above
    return _distinct(numpy, thresholds, above, below, weighted=False)


def _weighted(numpy: Any, scores: Any, flags: Any, weights: Any) -> Curves:
    order = numpy.argsort(scores)[::-1]
    weights, flags = weights[order], flags[order]
    true, false = (
        numpy.concatenate(([0.0], numpy.cumsum(numpy.where(these, weights, 0)))) for these in (flags, ~flags)
    )
    thresholds = numpy.concatenate(([math.inf], scores[order]))
    return _distinct(numpy, thresholds, true, false, weighted=True)


def _distinct(numpy: Any, thresholds: Any, true: Any, false: Any, *, weighted: bool) -> Curves:
    """Return the curves with equal scores as one step: the last of them has all."""
    last = numpy.ones(len(thresholds), dtype=bool)
    numpy.not_equal(thresholds[1:], thresholds[:-1], out=last[:-1])
    if not last.all():
        thresholds, true, false = thresholds[last], true[last], false[last]
    return _Arrays(thresholds, true, false, weighted)


def _numpy() -> Any:
    """Return the module, or None where it is not installed."""
    try:
        import numpy
    except ImportError:
        return None
    return numpy


def _array(numpy: Any, values: object, kinds: str) -> Any:
    """Return a column as an array of one of these kinds; None where it is no such column, or empty."""
    try:
        array = numpy.asarray(values)
    except ValueError:  # lists of unequal length
        return None
    return array if array.ndim == 1 and array.dtype.kind in kinds and len(array) else None


def _floats(numpy: Any, values: object) -> Any:
    """Return a column of finite numbers as an array."""
    array = _array(numpy, values, "biuf")
    if array is None:
        return None
    array = array.astype(float, copy=False)
    return array if math.isfinite(array.min()) and math.isfinite(array.max()) else None


def _weights(numpy: Any, values: object) -> Any:
    """Return a column of weights, not all of them 0, as an array."""
    array = _floats(numpy, values)
    return None if array is None or array.min() < 0 or not array.max() else array


def _flags(numpy: Any, values: object) -> Any:
    """Return a column of truth values, which may be 1 and 0, as an array."""
    array = _array(numpy, values, "biuf")
    if array is None or array.dtype.kind == "b":
        return array
    return array.astype(bool) if ((array == 0) | (array == 1)).all() else None


def _alike(*arrays: Any) -> bool:
    """Say whether arrays are columns of equal length; None is no column."""
    return len({array.shape for array in arrays if array is not None}) == 1


def _parts(length: int, size: int = _CHUNK) -> Iterator[slice]:
    for start in range(0, length, size):
        yield slice(start, min(start + size, length))
