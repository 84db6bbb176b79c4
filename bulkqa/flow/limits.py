"""Limits a metric has to keep: a value within bounds, a change against a baseline.

What passes is TFMA's rule, to the last bit: plain comparison of doubles, both ends included, no tolerance.
With intervals there is a third outcome: a limit that lies within the interval is not decided.
"""

import math
from collections.abc import Callable, Sequence
from enum import IntEnum, StrEnum
from typing import NamedTuple

from bulkqa.flow.evidence import (
    Counts,
    Pairs,
    Term,
    at_least,
    beyond,
    interval_of,
    paired_interval,
    scaled,
    times_as_many,
)


class Outcome(StrEnum):
    """What a check, or a gate, comes to."""

    PASSED = "passed"
    FAILED = "failed"
    UNDECIDED = "not enough data"


class Direction(IntEnum):
    """Which way a metric gets better; the numbers are TFMA's."""

    UNKNOWN = 0
    LOWER_IS_BETTER = 1
    HIGHER_IS_BETTER = 2


class ValueThreshold(NamedTuple):
    """Bounds of a value, both included; None is no bound."""

    lower: float | None = None
    upper: float | None = None

    def allows(self, value: float) -> bool:
        """Say whether a value is within; NaN never is, not even where there is no bound.

        >>> ValueThreshold(lower=0.3).allows(0.3), ValueThreshold(lower=0.1 + 0.2).allows(0.3)
        (True, False)
        """
        lower = -math.inf if self.lower is None else self.lower
        upper = math.inf if self.upper is None else self.upper
        return lower <= value <= upper


class ChangeThreshold(NamedTuple):
    """Limits of a change from a baseline: of the difference, and of its ratio to the baseline."""

    absolute: float | None = None
    relative: float | None = None
    direction: Direction = Direction.UNKNOWN

    @property
    def is_valid(self) -> bool:
        """Whether it can be compared with: a limit without a direction cannot."""
        return self.direction != Direction.UNKNOWN or (self.absolute is None and self.relative is None)

    def allows(self, difference: float, baseline: float) -> bool:
        """Say whether a difference, candidate minus baseline, keeps every limit that is set.

        The ratio is (candidate - baseline) / baseline: a gain of a tenth is 0.1, not 1.1. It is undefined,
        and passes nothing, where the baseline is exactly 0.

        >>> gain = ChangeThreshold(relative=0.1, direction=Direction.HIGHER_IS_BETTER)
        >>> gain.allows(0.09, 0.75), gain.allows(0.07, 0.75), gain.allows(0.0, 0.0)
        (True, False, False)
        """
        return (self.absolute is None or self._keeps(difference, self.absolute)) and (
            self.relative is None or self._keeps(ratio(difference, baseline), self.relative)
        )

    def _keeps(self, change: float, limit: float) -> bool:
        if self.direction == Direction.LOWER_IS_BETTER:
            return change <= limit
        return self.direction == Direction.HIGHER_IS_BETTER and change >= limit


Threshold = ValueThreshold | ChangeThreshold


def ratio(difference: float, baseline: float) -> float:
    """Return how much a difference is of the baseline, NaN where that is exactly 0."""
    return math.nan if baseline == 0 else difference / baseline


class Terms(NamedTuple):
    """What a checked number is made of: `own` sums up to it.

    A change has `baseline` too, what it is a change of; and `candidate`, where the difference is that of
    `candidate` and `baseline`, and not given as it is.
    """

    own: tuple[Term, ...]
    baseline: tuple[Term, ...] = ()
    candidate: tuple[Term, ...] = ()


def outcome(threshold: Threshold, terms: Terms, confidence: float) -> Outcome:
    """Say whether the interval of a number passes or fails a threshold, or neither.

    >>> from bulkqa.flow.evidence import Bounds, Value
    >>> terms = Terms((Term(1, Value(0.92, Bounds(0.88, 0.96))),))
    >>> [outcome(ValueThreshold(lower=lower), terms, 0.95).value for lower in (0.8, 0.9, 0.97)]
    ['passed', 'not enough data', 'failed']
    """
    if not all(math.isfinite(term.value.point) for term in terms.own):
        return Outcome.UNDECIDED
    if isinstance(threshold, ValueThreshold):
        parts = [
            None if threshold.lower is None else _from(terms.own, threshold.lower, confidence),
            None if threshold.upper is None else _up_to(terms.own, threshold.upper, confidence),
        ]
    elif not threshold.is_valid:
        return Outcome.FAILED
    else:
        better_lower = threshold.direction == Direction.LOWER_IS_BETTER
        absolute, relative = threshold.absolute, threshold.relative
        parts = [
            None if absolute is None else _side(better_lower)(terms.own, absolute, confidence),
            None if relative is None else _relative(relative, better_lower, terms, confidence),
        ]
    found = [part for part in parts if part is not None]
    for worst in (Outcome.FAILED, Outcome.UNDECIDED):
        if worst in found:
            return worst
    return Outcome.PASSED


_OF = {True: Outcome.PASSED, False: Outcome.FAILED, None: Outcome.UNDECIDED}


def _from(terms: Sequence[Term], limit: float, confidence: float) -> Outcome:
    return _OF[at_least(terms, limit, confidence)]


def _up_to(terms: Sequence[Term], limit: float, confidence: float) -> Outcome:
    return _from([Term(-factor, value) for factor, value in terms], -limit, confidence)


def _side(better_lower: bool) -> Callable[[Sequence[Term], float, float], Outcome]:
    return _up_to if better_lower else _from


def _relative(limit: float, better_lower: bool, terms: Terms, confidence: float) -> Outcome:
    """Say whether (c - b) / b keeps a limit r: whether c - (1 + r) b is above 0, or below it where b is.

    As long as the interval of the baseline has 0 in it, nothing is decided.
    """
    if pairs := _pairs(terms):
        if limit == 0:
            return _side(better_lower)(terms.own, 0.0, confidence)
        interval = paired_interval(pairs, confidence, 1 + limit)
        if better_lower and interval is not None:
            interval = -interval[1], -interval[0]
        return _OF[beyond(interval, 0.0)]
    baseline = interval_of(terms.baseline, confidence) if terms.baseline else None
    if baseline is None or baseline[0] <= 0 <= baseline[1]:
        return Outcome.UNDECIDED
    factor, others = (1 + limit, terms.candidate) if terms.candidate else (limit, terms.own)
    rest = (*others, *(Term(-factor * term.factor, term.value) for term in terms.baseline))
    return _side(better_lower == (baseline[0] > 0))(rest, 0.0, confidence)


def needed(threshold: Threshold, terms: Terms, confidence: float) -> str:
    """Say, of what is not decided, why, and how many more examples would decide it if they are like those.

    All right: 0.9 ** 36 = 0.0225 is the first below 0.05 / 2, so 20 of 20 are 16 too few.

    >>> from bulkqa.flow.evidence import Value
    >>> needed(ValueThreshold(lower=0.9), Terms((Term(1, Value(1.0, Counts(20, 20))),)), 0.95)
    'about 16 more examples would decide'
    """
    used = list(terms.own)
    if isinstance(threshold, ChangeThreshold) and threshold.relative is not None and not _pairs(terms):
        if not terms.baseline:
            return "the baseline's value is missing"
        used += terms.baseline
    if not all(math.isfinite(term.value.point) for term in used):
        return "the value is not a finite number"
    evidence = [term.value.evidence for term in used]
    if None in evidence:
        return "neither counts nor an interval say how sure the value is"

    def is_decided(times: float) -> bool:
        more = Terms(*(tuple(scaled(part, times)) for part in terms))
        return outcome(threshold, more, confidence) is not Outcome.UNDECIDED

    times = times_as_many(is_decided)
    if times is None:
        return "the value lies so near the limit that more examples would hardly decide"
    trials = {one.trials for one in evidence if isinstance(one, Counts | Pairs)}
    if len(trials) != 1 or not all(isinstance(one, Counts | Pairs) for one in evidence):
        return f"about {times:,.{0 if times >= 10 else 1}f} times as many examples would decide"
    more = max(1, math.ceil((times - 1) * trials.pop()))
    return f"about {more:,} more examples{' of each' if len(used) > 1 else ''} would decide"


def _pairs(terms: Terms) -> Pairs | None:
    evidence = terms.own[0].value.evidence if len(terms.own) == 1 else None
    return evidence if isinstance(evidence, Pairs) else None


# In words.


def describe_threshold(threshold: Threshold) -> str:
    """Return what a threshold asks for.

    >>> describe_threshold(ValueThreshold(lower=0.7))
    'at least 0.7'
    >>> describe_threshold(ChangeThreshold(absolute=-0.01, direction=Direction.HIGHER_IS_BETTER))
    'change at least -0.01'
    """
    if isinstance(threshold, ValueThreshold):
        parts = [
            f"{words} {number(bound)}"
            for words, bound in (("at least", threshold.lower), ("at most", threshold.upper))
            if bound is not None
        ]
        return " and ".join(parts) or "any number"
    words = {Direction.HIGHER_IS_BETTER: "at least", Direction.LOWER_IS_BETTER: "at most"}
    side = words.get(threshold.direction, "(no direction)")
    parts = []
    if threshold.absolute is not None:
        parts.append(f"change {side} {number(threshold.absolute)}")
    if threshold.relative is not None:
        parts.append(f"change {side} {number(100 * threshold.relative)}% of the baseline")
    return " and ".join(parts) or "any change"


def number(value: float) -> str:
    """Return a number as people read it: six digits, and JSON's words for what is none.

    >>> number(0.04999999999999993), number(float("nan")), number(float("-inf"))
    ('0.05', 'NaN', '-Infinity')
    """
    if math.isfinite(value):
        return f"{value:.6g}"
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
