"""How sure a metric is, or a difference of metrics: intervals, and whether they lie on one side of a limit.

A metric comes with counts, with an interval that somebody else made, or with nothing. A difference is a sum
of terms, a factor and a value each: candidate minus baseline, one slice minus another, or both.
"""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

from bulkqa.flow.statistics import Interval, binomial_tail, clopper_pearson, wilson

MOST = 10_000
"""How many times as many examples are looked at for an answer before none is given."""


class Counts(NamedTuple):
    """A share as it was counted: independent examples."""

    successes: int
    trials: int


class Pairs(NamedTuple):
    """The same examples judged under both models: how many only one of them has right, and both, and none."""

    candidate_only: int
    baseline_only: int
    both: int
    neither: int

    @property
    def trials(self) -> int:
        """Number of examples."""
        return sum(self)

    @property
    def difference(self) -> float:
        """The candidate's share minus the baseline's, NaN where there are no examples."""
        return (self.candidate_only - self.baseline_only) / self.trials if self.trials else math.nan


class Bounds(NamedTuple):
    """An interval made elsewhere, for one value by itself."""

    lower: float
    upper: float


Evidence = Counts | Pairs | Bounds


class Value(NamedTuple):
    """What a metric is, and how sure that is, where that is known."""

    point: float
    evidence: Evidence | None = None


class Term(NamedTuple):
    """A value, and how often it counts in a sum."""

    factor: float
    value: Value


def interval_of(terms: Sequence[Term], confidence: float) -> Interval | None:
    """Return the two-sided interval of a sum of independent values, or None where one has no evidence.

    One share by itself has the exact interval (Clopper and Pearson, Biometrika 26 (1934) 404-413). Of several
    the ends are put together from Wilson's of each: the lower end lies below the sum by the root of the
    squared distances that each term can go down. For two shares that is Newcombe's interval (Statistics in
    Medicine 17 (1998) 873-890, method 10), in general that of Zou, Huang and Zhang (Computational Statistics
    and Data Analysis 53 (2009) 1080-1085). Where examples are shared, it is too wide rather than too narrow.

    95 of 100 minus 90 of 100: Wilson's ends are 0.8882 and 0.9785, 0.8256 and 0.9448;
    0.05 - sqrt(0.0618 ** 2 + 0.0448 ** 2) = -0.0263.

    >>> new, old = Value(0.95, Counts(95, 100)), Value(0.9, Counts(90, 100))
    >>> low, high = interval_of([Term(1, new), Term(-1, old)], 0.95)
    >>> round(low, 4), round(high, 4)
    (-0.0263, 0.1296)
    """
    if len(terms) == 1 and isinstance(counts := terms[0].value.evidence, Counts):
        exact = clopper_pearson(*counts, confidence)
        return None if exact is None else _times(terms[0].factor, exact)
    total = below = above = 0.0
    for factor, value in terms:
        ends = _ends(value, confidence)
        if ends is None:
            return None
        low, high = _times(factor, ends)
        centre = factor * value.point
        total += centre
        below += (centre - low) ** 2
        above += (high - centre) ** 2
    return total - math.sqrt(below), total + math.sqrt(above)


def _ends(value: Value, confidence: float) -> Interval | None:
    evidence = value.evidence
    if isinstance(evidence, Counts):
        return wilson(*evidence, confidence)
    if isinstance(evidence, Pairs):
        return paired_interval(evidence, confidence)
    return evidence


def _times(factor: float, ends: Interval) -> Interval:
    low, high = factor * ends[0], factor * ends[1]
    return (low, high) if factor >= 0 else (high, low)


def paired_interval(pairs: Pairs, confidence: float, factor: float = 1) -> Interval | None:
    """Return the two-sided interval of the candidate's share minus `factor` times the baseline's.

    None where there are no examples. Source: Newcombe, Statistics in Medicine 17 (1998) 2635-2650, method
    10: as for independent shares, less what the two have in common, by their correlation in the table.

    Altman and others, Statistics with Confidence (2000), table 6.2: 14 both, 5 and 0 only one, 22 neither.

    >>> low, high = paired_interval(Pairs(5, 0, 14, 22), 0.95)
    >>> round(low, 3), round(high, 3)
    (0.011, 0.226)
    """
    n = pairs.trials
    new, old = pairs.both + pairs.candidate_only, pairs.both + pairs.baseline_only
    new_ends, old_ends = wilson(new, n, confidence), wilson(old, n, confidence)
    if new_ends is None or old_ends is None:
        return None
    (new_low, new_high), (old_low, old_high) = new_ends, _times(factor, old_ends)
    centre_new, centre_old = new / n, factor * old / n
    correlation = math.copysign(1, factor) * _correlation(pairs)

    def distance(one: float, other: float) -> float:
        return math.sqrt(max(0.0, one**2 - 2 * correlation * one * other + other**2))

    low = centre_new - centre_old - distance(centre_new - new_low, old_high - centre_old)
    high = centre_new - centre_old + distance(new_high - centre_new, centre_old - old_low)
    return low, high


def _correlation(pairs: Pairs) -> float:
    """Return the table's phi, drawn towards 0 by a continuity correction where it is positive."""
    one, other, both, neither = pairs
    margins = (both + one) * (neither + other) * (both + other) * (neither + one)
    if not margins:
        return 0.0
    product = both * neither - one * other
    corrected = max(0.0, product - pairs.trials / 2) if product > 0 else product
    return corrected / math.sqrt(margins)


def at_least(terms: Sequence[Term], limit: float, confidence: float) -> bool | None:
    """Say whether a sum is at least `limit`: True or False where its interval lies on one side, else None.

    A share by itself is tested exactly, and so are pairs against 0, by McNemar's exact test on the examples
    that only one model has right (Psychometrika 12 (1947) 153-157).

    8 only the candidate has right and 1 only the baseline: 10 / 512 = 0.0195, less than 0.05 / 2.

    >>> at_least([Term(1, Value(0.07, Pairs(8, 1, 80, 11)))], 0, 0.95)
    True
    >>> [at_least([Term(1, Value(k / 100, Counts(k, 100)))], 0.9, 0.95) for k in (97, 92, 83)]
    [True, None, False]
    """
    if len(terms) == 1:
        factor, value = terms[0]
        evidence = value.evidence
        if isinstance(evidence, Counts) and factor in (1, -1):
            k, n = evidence
            return (
                _exactly(k, n, limit, confidence)
                if factor == 1
                else _exactly(n - k, n, 1 + limit, confidence)
            )
        if isinstance(evidence, Pairs) and factor in (1, -1) and limit == 0:
            pro, contra = evidence[:2] if factor == 1 else evidence[1::-1]
            return _exactly(pro, pro + contra, 0.5, confidence)
    return beyond(interval_of(terms, confidence), limit)


def beyond(interval: Interval | None, limit: float) -> bool | None:
    """Say whether all of an interval is at least `limit`, or all of it below; else None."""
    if interval is None:
        return None
    return True if interval[0] >= limit else False if interval[1] < limit else None


@lru_cache(maxsize=100_000)
def _exactly(k: int, n: int, limit: float, confidence: float) -> bool | None:
    """Say on which side of a limit the exact interval of a share lies, by its two tail tests."""
    if n == 0:
        return None
    if not 0 < limit <= 1:
        return limit <= 0
    error = (1 - confidence) / 2
    if binomial_tail(k, n, limit) <= error:
        return True
    return False if binomial_tail(n - k, n, 1 - limit) <= error else None


def times_as_many(is_decided: Callable[[float], bool]) -> float | None:
    """Return how many times as many examples would decide, or None where `MOST` times would not.

    `is_decided` is told how many times as many there are, which turn out as those so far.
    """
    low, high = 1.0, 2.0
    while not is_decided(high):
        low, high = high, 2 * high
        if low > MOST:
            return None
    while high / low > 1.001:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if is_decided(middle) else (middle, high)
    return high


def scaled(terms: Sequence[Term], times: float) -> list[Term]:
    """Return terms as they would be with so many times as many examples like those."""
    return [Term(factor, Value(value.point, _scaled(value, times))) for factor, value in terms]


def _scaled(value: Value, times: float) -> Evidence | None:
    evidence = value.evidence
    if isinstance(evidence, Counts):
        return Counts(round(evidence.successes * times), round(evidence.trials * times))
    if isinstance(evidence, Pairs):
        return Pairs(*(round(number * times) for number in evidence))
    if evidence is None:
        return None
    low, high = evidence
    return Bounds(
        value.point - (value.point - low) / math.sqrt(times),
        value.point + (high - value.point) / math.sqrt(times),
    )
