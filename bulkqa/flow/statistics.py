"""Statistics: intervals for the shares a report shows, and exact tests for what is promised.

Standard library only.
"""

import math
import random
from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

Interval = tuple[float, float]
"""Lower and upper end of an interval for a share, each within 0 to 1."""


def wilson(successes: float, n: float, confidence: float = 0.95) -> Interval | None:
    """Return the two-sided Wilson score interval of a share, or None where n is 0.

    `successes` of `n` trials, which may be effective numbers; `confidence` the nominal coverage. Raises
    `ValueError` for numbers that cannot be. Source: Wilson, JASA 22 (1927) 209-212, without continuity
    correction.

    24 right of 25, z = 1.96: centre (0.96 + 0.0768) / 1.1537 = 0.899, half-width 0.094.

    >>> low, high = wilson(24, 25)
    >>> round(low, 4), round(high, 4)
    (0.8046, 0.9929)
    """
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} of {n} is no share")
    if n == 0:
        return None
    z2 = NormalDist().inv_cdf((1 + confidence) / 2) ** 2
    share = successes / n
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    # At the ends the formula gives 0 and 1 exactly; rounding must not push it past them.
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == n else min(1.0, centre + half)
    return low, high


def binomial_tail(k: int, n: int, p: float) -> float:
    """Return P(X >= k) for X ~ Binomial(n, p): the p-value of "no more than `p` are right" after `k` of `n`.

    The shorter tail is summed term by term, its first term taken by `lgamma`: relative error of that tail
    below 1e-10 up to n = 10,000 and below 1e-8 up to n = 1,000,000, where it sums some thousand terms.
    Raises `ValueError` for a count or probability that cannot be.

    All 59 of 59 right: 0.95 ** 59 = 0.0485.

    >>> round(binomial_tail(59, 59, 0.95), 4), round(binomial_tail(92, 93, 0.95), 4)
    (0.0485, 0.05)
    """
    if n < 0 or not 0 <= p <= 1:
        raise ValueError(f"no binomial distribution has {n} trials of probability {p}")
    if k <= 0:
        return 1.0
    if k > n:
        return 0.0
    if p in (0, 1):
        return float(p)
    if k > n * p:
        return min(1.0, _upper_sum(k, n, p))
    return max(0.0, 1 - _upper_sum(n - k + 1, n, 1 - p))


def _upper_sum(k: int, n: int, p: float) -> float:
    """P(X >= k), where the terms fall from k on: k is above the mean n p."""
    logarithm = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    term = math.exp(logarithm + k * math.log(p) + (n - k) * math.log1p(-p))
    odds = p / (1 - p)
    total = 0.0
    for x in range(k, n + 1):
        total += term
        term *= (n - x) / (x + 1) * odds
        if term <= total * 1e-17:
            break
    return total


def exact_lower(k: int, n: int, assurance: float) -> float:
    """Return the one-sided Clopper-Pearson lower bound of a share, 0 where n is 0.

    It lies above the true share in at most 1 - `assurance` of all samples. Found by bisection on
    `binomial_tail`, to 1e-12 and rounded down. Source: Clopper and Pearson, Biometrika 26 (1934) 404-413.

    All 25 of 25: 0.05 ** (1 / 25) = 0.8871.

    >>> round(exact_lower(25, 25, 0.95), 4), round(exact_lower(24, 25, 0.95), 4)
    (0.8871, 0.8239)
    """
    if not 0 <= k <= n:
        raise ValueError(f"{k} of {n} is no share")
    if k == 0:
        return 0.0
    level = 1 - assurance
    if k == n:
        return float(level ** (1 / n))
    low, high = 0.0, k / n
    while high - low > 1e-12:
        middle = (low + high) / 2
        if binomial_tail(k, n, middle) <= level:
            low = middle
        else:
            high = middle
    return low


def clopper_pearson(k: int, n: int, confidence: float = 0.95) -> Interval | None:
    """Return the two-sided exact interval of a share, `k` of `n`, or None where n is 0.

    It covers the true share in at least `confidence` of all samples, and so is wider than Wilson's.

    >>> low, high = clopper_pearson(24, 25)
    >>> round(low, 4), round(high, 4)
    (0.7965, 0.999)
    """
    if n == 0 and k == 0:
        return None
    one_sided = (1 + confidence) / 2
    return exact_lower(k, n, one_sided), 1 - exact_lower(n - k, n, one_sided)


def holm(p_values: Sequence[float], alpha: float) -> list[bool]:
    """Return, in their order, which hypotheses are rejected with family-wise error at most `alpha`.

    The smallest p-value is held against alpha / m, the next against alpha / (m - 1), and so on to the first
    that is larger. It holds however the tests depend on each other.
    Source: Holm, Scandinavian Journal of Statistics 6 (1979) 65-70.

    >>> holm([0.04, 0.01, 0.03], 0.05)  # 0.01 <= 0.05 / 3, but 0.03 > 0.05 / 2
    [False, True, False]
    """
    rejected = [False] * len(p_values)
    for place, number in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        if p_values[number] > alpha / (len(p_values) - place):
            break
        rejected[number] = True
    return rejected


class Corrected(NamedTuple):
    """A share of right labels without the reviewers' own misses, and its 95 % interval."""

    correct: float
    interval: Interval


def rogan_gladen(
    rejected: int,
    n: int,
    caught: int,
    known_wrong: int,
    false_alarms: int,
    known_right: int,
    *,
    seed: int = 0,
    draws: int = 2000,
) -> Corrected | None:
    """Return the share of right labels behind `rejected` of `n`, given what known-answer items say.

    With the reject rate q, the catch rate s = caught / known_wrong and the false-alarm rate
    f = false_alarms / known_right, the share of wrong labels is (q - f) / (s - f), kept within 0 to 1. The
    interval holds the middle 95 % of `draws` of it, q, s and f each drawn from its Jeffreys beta; a draw
    with s <= f says nothing and stands at both ends. None where n, known_wrong or known_right is 0 or the
    reviewers reject wrong items no more often than right ones.
    Source: Rogan and Gladen, American Journal of Epidemiology 107 (1978) 71-76.

    79 of 1,000 rejected, 70 of 100 caught, 1 of 100 false alarms: 1 - (0.079 - 0.01) / (0.7 - 0.01) = 0.9.

    >>> corrected = rogan_gladen(79, 1000, 70, 100, 1, 100)
    >>> round(corrected.correct, 4), [round(end, 2) for end in corrected.interval]
    (0.9, [0.87, 0.95])
    """
    shares = ((rejected, n), (caught, known_wrong), (false_alarms, known_right))
    for part, of in shares:
        if not 0 <= part <= of:
            raise ValueError(f"{part} of {of} is no share")
    if not (n and known_wrong and known_right) or caught * known_right <= false_alarms * known_wrong:
        return None
    correct = _without_misses(*(part / of for part, of in shares))
    source = random.Random(seed)  # noqa: S311  no secret: the same draws every time
    lows, highs = [], []
    for _ in range(draws):
        q, s, f = (source.betavariate(part + 0.5, of - part + 0.5) for part, of in shares)
        drawn = _without_misses(q, s, f) if s > f else None
        lows.append(0.0 if drawn is None else drawn)
        highs.append(1.0 if drawn is None else drawn)
    lows.sort()
    highs.sort()
    outside = int(draws * 0.025)
    return Corrected(correct, (min(correct, lows[outside]), max(correct, highs[-1 - outside])))


def _without_misses(rejects: float, catches: float, false_alarms: float) -> float:
    return 1 - min(1.0, max(0.0, (rejects - false_alarms) / (catches - false_alarms)))
