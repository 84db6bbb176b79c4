"""Statistics: intervals for the shares a report shows. Standard library only."""

import math
from statistics import NormalDist

Interval = tuple[float, float]
"""Lower and upper end of an interval for a share, each within 0 to 1."""


def wilson(successes: int, n: int, confidence: float = 0.95) -> Interval | None:
    """Return the two-sided Wilson score interval of a share, or None where n is 0.

    `successes` of `n` trials, `confidence` the nominal coverage. Raises `ValueError` for counts that
    cannot be. Source: Wilson, JASA 22 (1927) 209-212, without continuity correction.

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
