"""Calibration: two questions about a model's confidences, kept apart.

Is a confidence of 90 right in 90 of 100? The reliability curve and its expected error (ECE) say. Do wrong
labels score lower at all? The area under the ROC curve (AUROC) says. A model may fail the first and pass the
second: then its confidences still tell which labels to look at.
"""

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import groupby, pairwise
from operator import itemgetter
from statistics import NormalDist
from typing import NamedTuple

from bulkqa.flow.on_disk import OnDisk
from bulkqa.flow.statistics import Interval, wilson
from bulkqa.flow.votes import LabelRow, Outcome

EQUAL_BOUNDS = tuple(range(0, 101, 10))
"""Bounds of ten bins of equal width, over which the expected error is taken."""

_Z = NormalDist().inv_cdf(0.975)
_IN_MEMORY = 20_000


class Bin(NamedTuple):
    """Reviewed items with low <= confidence < high (the last bin holds 100), and how many were confirmed.

    `confidence` is their mean confidence, 0-100.
    """

    low: float
    high: float
    items: int
    confirmed: int
    confidence: float | None

    @property
    def correct(self) -> float | None:
        """The share that was confirmed."""
        return self.confirmed / self.items if self.items else None

    @property
    def interval(self) -> Interval | None:
        """The 95 % Wilson interval of `correct`."""
        return wilson(self.confirmed, self.items)


class Calibration(NamedTuple):
    """Both answers for one label, or for all.

    `bands` are the report's, `bins` ten of equal width. `ece` is over the bins; `ece_by_chance` is what
    confidences that are exactly right would show with as many items. Shares lie within 0 to 1.
    """

    items: int
    confirmed: int
    bands: tuple[Bin, ...]
    bins: tuple[Bin, ...]
    ece: float | None
    ece_by_chance: float | None
    auroc: float | None
    auroc_interval: Interval | None


def ece(bins: Iterable[Bin]) -> tuple[float, float] | None:
    """Return the expected calibration error of these bins, and the one that chance alone would make of them.

    The error is the mean of |share confirmed - confidence|, each bin weighing as many as its items. By
    chance a bin of n items, confidence c, shows sqrt(2 c (1 - c) / (pi n)) of it: the mean distance of a
    normal variable from its mean. None where there is no item.
    Source: Guo et al., On Calibration of Modern Neural Networks (2017), arXiv 1706.04599.

    (20 x |0.7 - 0.85| + 80 x |0.9 - 0.95|) / 100 = 0.07.

    >>> error, by_chance = ece([Bin(80, 90, 20, 14, 85.0), Bin(90, 100, 80, 72, 95.0)])
    >>> round(error, 4), round(by_chance, 4)
    (0.07, 0.0283)
    """
    filled = [
        (one.items, one.confirmed / one.items, one.confidence / 100)
        for one in bins
        if one.confidence is not None
    ]
    items = sum(n for n, _, _ in filled)
    if not items:
        return None
    error = math.fsum(n * abs(correct - mean) for n, correct, mean in filled) / items
    by_chance = math.fsum(math.sqrt(2 * n * mean * (1 - mean) / math.pi) for n, _, mean in filled) / items
    return error, by_chance


def auroc_interval(area: float, right: int, wrong: int) -> Interval:
    """Return the 95 % interval of an area under the ROC curve of so many right and wrong items.

    Source: Newcombe, Statistics in Medicine 25 (2006) 559-573, method 5: the areas that lie z standard
    errors from the one found, as Hanley and McNeil (Radiology 143 (1982) 29-36) give these for numbers of
    equal size. It does not shrink to a point where the kinds are apart altogether.

    >>> low, high = auroc_interval(1.0, 10, 10)
    >>> round(low, 3), high
    (0.8, 1.0)
    """
    size = (right + wrong) / 2 - 1

    def off(at: float) -> float:
        variance = at * (1 - at) * (1 + size * (1 - at) / (2 - at) + size * at / (1 + at)) / (right * wrong)
        return abs(at - area) - _Z * math.sqrt(variance)

    def end(inside: float, outside: float) -> float:
        if off(outside) <= 0:
            return outside
        while abs(outside - inside) > 1e-12:
            middle = (inside + outside) / 2
            inside, outside = (inside, middle) if off(middle) > 0 else (middle, outside)
        return inside

    return end(area, 0.0), end(area, 1.0)


def calibration(scores: Iterable[tuple[float, int, int]], bands: Sequence[float]) -> Calibration:
    """Return both answers for items given as (confidence, confirmed, not confirmed), confidences rising.

    None of them lies below the lowest of `bands`. The area counts pairs of a right and a wrong item, ties
    half: here one pair the right way round, one tied, two the wrong way round.

    >>> calibration([(80, 1, 0), (90, 0, 1), (95, 1, 1)], (80, 90, 100)).auroc
    0.375
    """
    # One pass with as many bins as both curves need; each bin of these is made of some of them.
    bounds = sorted({*bands, *EQUAL_BOUNDS})
    last = len(bounds) - 2
    counts = [(0, 0, 0.0)] * (last + 1)
    place = right = wrong = doubled = in_bin = right_in_bin = 0
    total = 0.0
    for confidence, rights, wrongs in scores:
        if place < last and confidence >= bounds[place + 1]:
            counts[place] = in_bin, right_in_bin, total
            place = min(bisect_right(bounds, confidence) - 1, last)
            in_bin, right_in_bin, total = 0, 0, 0.0
        items = rights + wrongs
        in_bin += items
        right_in_bin += rights
        total += items * confidence
        doubled += rights * (2 * wrong + wrongs)
        right += rights
        wrong += wrongs
    counts[place] = in_bin, right_in_bin, total

    def curve(of: Sequence[float]) -> tuple[Bin, ...]:
        bins = []
        for low, high in pairwise(of):
            parts = zip(*counts[bounds.index(low) : bounds.index(high)], strict=True)
            items, confirmed, total = (sum(part) for part in parts)
            bins.append(Bin(low, high, int(items), int(confirmed), total / items if items else None))
        return tuple(bins)

    bins = curve(EQUAL_BOUNDS)
    error, by_chance = ece(bins) or (None, None)
    area = doubled / (2 * right * wrong) if right and wrong else None
    interval = None if area is None else auroc_interval(area, right, wrong)
    return Calibration(right + wrong, right, curve(bands), bins, error, by_chance, area, interval)


def in_words(found: Calibration) -> str | None:
    """Return both answers as sentences; None where nothing was reviewed.

    >>> print(in_words(calibration([(84.0, 0, 20), (96.0, 20, 0)], (80, 100))))  # doctest: +NORMALIZE_WHITESPACE
    Confidences are off by 44.0% on average, where exact ones would seem off by 5.0%. Wrong labels score
    lower in 100.0% of pairs (89.9-100.0).
    """  # noqa: E501
    if found.ece is None or found.ece_by_chance is None:
        return None
    words = (
        f"Confidences are off by {found.ece:.1%} on average, where exact ones would seem off by "
        f"{found.ece_by_chance:.1%}. "
    )
    if found.auroc is None or found.auroc_interval is None:
        kind = "right" if found.confirmed else "wrong"
        return f"{words}All are {kind}, so nothing can be said of whether wrong labels score lower."
    low, high = found.auroc_interval
    words += f"Wrong labels score lower in {found.auroc:.1%} of pairs ({100 * low:.1f}-{100 * high:.1f})"
    if low <= 0.5 <= high:
        return f"{words}: that may be chance, half of them being what confidences that tell nothing give."
    return f"{words}." if low > 0.5 else f"{words}: they score higher."


class Scores(OnDisk):
    """Reviewed items by label, confidence and outcome, counted row by row.

    Beyond some thousands of distinct ones they are kept on disk. Items
    below the lowest of `bands` have no place here.

    >>> with Scores((80, 100)) as scores:
    ...     scores.count(LabelRow(("a", "Dog"), 90.0, 1, 0))
    ...     scores.count(LabelRow(("b", "Cat"), 85.0, 0, 1))
    ...     of_label, pooled = scores.calibrations()
    >>> list(of_label), of_label["Dog"].auroc, pooled.auroc
    (['Cat', 'Dog'], None, 1.0)
    """

    def __init__(self, bands: Sequence[float]) -> None:
        super().__init__("CREATE TABLE score (label TEXT, confidence REAL, right INTEGER, items INTEGER)")
        self._bands = bands
        self._pending: dict[tuple[str, float, bool], int] = {}

    def count(self, row: LabelRow) -> None:
        """Count one item; one that is not reviewed says nothing, a split one is wrong."""
        outcome = row.outcome
        if outcome is Outcome.UNREVIEWED:
            return
        key = (row.key[1], row.confidence, outcome is Outcome.CONFIRMED)
        self._pending[key] = self._pending.get(key, 0) + 1
        if len(self._pending) == _IN_MEMORY:
            self._spill()

    def _spill(self) -> None:
        rows = ((*key, items) for key, items in self._pending.items())
        self._fill("INSERT INTO score VALUES (?, ?, ?, ?)", rows)
        self._pending.clear()

    def calibrations(self) -> tuple[dict[str, Calibration], Calibration]:
        """Return the calibration of each label, in code-point order, and of all labels together."""
        self._spill()
        numbers = "confidence, sum(items * right), sum(items * (1 - right)) FROM score"
        rows = self._db.execute(
            f"SELECT label, {numbers} GROUP BY label, confidence ORDER BY label, confidence"
        )
        of_label = {
            label: calibration(map(itemgetter(1, 2, 3), of_it), self._bands)
            for label, of_it in groupby(rows, key=itemgetter(0))
        }
        pooled = self._db.execute(f"SELECT {numbers} GROUP BY confidence ORDER BY confidence")
        return of_label, calibration(pooled, self._bands)
