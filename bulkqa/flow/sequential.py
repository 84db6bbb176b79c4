"""Sequential test: is a share above a target, or below it, looked at after every page.

An exact test is made once, at a number of reviews fixed before; whoever looks again and again until it passes
errs more often than it says, the more often the longer. The tests here may be looked at as often as one likes
and stopped at any moment.

Each is a bet against the target: the likelihood of what was seen, averaged over shares drawn from Beta(a, 1),
over its likelihood at the target. If the share is the target, that is a martingale which begins at 1, so it
is ever 1 / e or more with chance at most e (Ville, Étude critique de la notion de collectif, 1939). The
shares against which the same bet has not won 1 / e cover the true one at every moment at once: a confidence
sequence (Robbins, Annals of Mathematical Statistics 41 (1970) 1397-1409; Howard, Ramdas, McAuliffe and
Sekhon, Annals of Statistics 49 (2021) 1055-1080). "Above" is said where all of it is above the target, so it
holds for every share at or below the target, and "below" where all of it is below.

For "above" a = (1 + target) / (1 - target): the mean of Beta(a, 1) is half way from the target to 1, where
the labels are that can be promised. Bad labels may be bad in any degree, so for "below" a = 1, every share
alike: `benchmarks/thresholds.py` has what that saves.
"""

import math


def log_bet(k: int, n: int, target: float, a: float) -> float:
    """Return the logarithm of what the bet against `target` has grown to after `k` of `n` were right.

    After one right it is the mean of Beta(39, 1) over the target, 0.975 / 0.95, after one wrong 0.025 / 0.05:
    1 on average, where 0.95 are right.

    >>> [round(math.exp(log_bet(k, 1, 0.95, 39)), 4) for k in (1, 0)]
    [1.0263, 0.5]
    """
    return _log_mixture(k, n, a) - _log_likelihood(k, n, target)


def anytime_above(k: int, n: int, target: float) -> float:
    """Return the p-value of "no more than `target` are right" after `k` of `n`, whenever that is.

    Where it is so, this is ever e or less with chance at most e.

    All right: 0.95 ** -117 * 39 / (39 + 117) = 101 is the first above 100.

    >>> [anytime_above(n, n, 0.95) <= 0.01 for n in (116, 117)], anytime_above(19, 20, 0.95)
    ([False, True], 1.0)
    """
    return min(1.0, math.exp(-log_bet(k, n, target, _above(target)))) if k > n * target else 1.0


def anytime_below(k: int, n: int, target: float) -> float:
    """Return the p-value of "no less than `target` are right" after `k` of `n`, whenever that is.

    One wrong: the mean of (1 - p) over all p is 1 / 2, over 0.05. Two wrong: 1 / 3, over 0.05 ** 2.

    >>> round(anytime_below(0, 1, 0.95), 4), round(anytime_below(0, 2, 0.95), 4), anytime_below(20, 20, 0.95)
    (0.1, 0.0075, 1.0)
    """
    return min(1.0, math.exp(-log_bet(k, n, target, 1))) if k < n * target else 1.0


def anytime_lower(k: int, n: int, target: float, error: float) -> float:
    """Return the lower end at `error` of the confidence sequence of "above" this target, 0 where n is 0.

    It is at least the target just where `anytime_above` is at most `error`. Found by bisection, to 1e-12 and
    rounded down.

    All 117 of 117: (0.01 * 39 / 156) ** (1 / 117) = 0.9501.

    >>> round(anytime_lower(117, 117, 0.95, 0.01), 4)
    0.9501
    """
    return _end(k, n, _above(target), error, 0.0)


def anytime_upper(k: int, n: int, error: float) -> float:
    """Return the upper end at `error` of the confidence sequence of "below", 1 where n is 0, rounded up.

    None of 4 at 0.5: 1 - (0.5 / 5) ** (1 / 4) = 0.4377.

    >>> round(anytime_upper(0, 4, 0.5), 4)
    0.4377
    """
    return _end(k, n, 1, error, 1.0)


def _above(target: float) -> float:
    return (1 + target) / (1 - target)


def _end(k: int, n: int, a: float, error: float, outside: float) -> float:
    """Return where, from the likeliest share towards `outside`, the bet has won."""
    if not 0 <= k <= n:
        raise ValueError(f"{k} of {n} is no share")
    if n == 0 or k == n * outside:
        return outside
    inside = k / n
    least = _log_mixture(k, n, a) + math.log(error)
    while abs(inside - outside) > 1e-12:
        middle = (inside + outside) / 2
        if _log_likelihood(k, n, middle) > least:
            inside = middle
        else:
            outside = middle
    return outside


def _log_mixture(k: int, n: int, a: float) -> float:
    """Return the logarithm of the likelihood averaged over Beta(a, 1)."""
    return math.log(a) + math.lgamma(a + k) + math.lgamma(n - k + 1) - math.lgamma(a + n + 1)


def _log_likelihood(k: int, n: int, share: float) -> float:
    """Return the logarithm of the chance of one order of `k` right and the rest wrong."""
    right = k * math.log(share) if k else 0.0
    return right + ((n - k) * math.log1p(-share) if n > k else 0.0)
