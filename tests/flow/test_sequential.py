from __future__ import annotations

import itertools
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad  # type: ignore[import-untyped]
from scipy.special import betaln  # type: ignore[import-untyped]
from scipy.stats import beta, binom  # type: ignore[import-untyped]

from bulkqa.flow.sequential import anytime_above, anytime_below, anytime_lower, anytime_upper, log_bet

targets = st.floats(0.05, 0.99)
errors = st.floats(0.001, 0.5)
weights = st.floats(1, 100)
counts = st.integers(1, 3000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(counts, targets, weights)
def test_the_bet_is_the_mixture_over_the_likelihood(count: tuple[int, int], target: float, a: float) -> None:
    """It is scipy's beta function at the counts, over that of the mixture, over the likelihood."""
    k, n = count
    expected = betaln(a + k, 1 + n - k) - betaln(a, 1) - k * math.log(target) - (n - k) * math.log1p(-target)
    assert log_bet(k, n, target, a) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(("k", "n"), [(0, 0), (5, 5), (58, 60), (3, 10)])
@pytest.mark.parametrize("a", [1, 39])
def test_the_mixture_is_an_average(k: int, n: int, a: int) -> None:
    """Integrated numerically over Beta(a, 1), the likelihood comes out."""
    average, _ = quad(lambda p: p**k * (1 - p) ** (n - k) * beta.pdf(p, a, 1), 0, 1)
    assert math.exp(log_bet(k, n, 0.95, a)) == pytest.approx(average / (0.95**k * 0.05 ** (n - k)), rel=1e-6)


@given(counts, targets, weights)
def test_the_bet_is_fair(count: tuple[int, int], target: float, a: float) -> None:
    """Where the target is the share, one more item leaves it as it was, on average."""
    k, n = count
    right, wrong = (math.exp(log_bet(k + one, n + 1, target, a) - log_bet(k, n, target, a)) for one in (1, 0))
    assert target * right + (1 - target) * wrong == pytest.approx(1, rel=1e-6)


@pytest.mark.parametrize("n", [10, 100, 400])
@pytest.mark.parametrize("share", [0.5, 0.9, 0.95])
def test_no_share_below_the_target_passes_too_often(n: int, share: float) -> None:
    """At any one moment, by the exact distribution of what may be seen, and for every error."""
    chances = binom.pmf(range(n + 1), n, share)
    for error in (0.2, 0.05, 0.01):
        passed = (chance for k, chance in enumerate(chances) if anytime_above(k, n, 0.95) <= error)
        assert sum(passed) <= error
        mirrored = (chance for k, chance in enumerate(chances) if anytime_below(k, n, share) <= error)
        assert sum(mirrored) <= error


@pytest.mark.parametrize(("share", "target"), [(0.95, 0.95), (0.94, 0.95), (0.8, 0.8)])
def test_looking_every_time_is_no_way_round(share: float, target: float) -> None:
    """Of 400 labels on or below the target, looked at after each of 500 items, few ever pass at 0.1."""
    source = random.Random(5)
    passed = below = 0
    for _ in range(400):
        right = list(itertools.accumulate(source.random() < share for _ in range(500)))
        passed += any(anytime_above(k, n, target) <= 0.1 for n, k in enumerate(right, 1))
        below += any(anytime_below(k, n, share) <= 0.1 for n, k in enumerate(right, 1))
    assert passed <= 40
    assert below <= 40


@given(counts, targets)
def test_one_side_at_a_time(count: tuple[int, int], target: float) -> None:
    """What is seen speaks for above or for below the target, never for both."""
    assert 1.0 in (anytime_above(*count, target), anytime_below(*count, target))
    assert min(anytime_above(*count, target), anytime_below(*count, target)) >= 0


@given(counts, targets)
def test_a_right_one_more_speaks_for_the_share(count: tuple[int, int], target: float) -> None:
    """Had a wrong one been right, the p-value would be as small or smaller."""
    k, n = count
    if k:
        assert anytime_above(k, n, target) <= anytime_above(k - 1, n, target)
        assert anytime_below(k, n, target) >= anytime_below(k - 1, n, target)


@given(counts, targets, errors)
def test_the_ends_say_what_the_tests_say(count: tuple[int, int], target: float, error: float) -> None:
    """The target lies outside of the confidence sequence just where a test has passed."""
    lower, upper = anytime_lower(*count, target, error), anytime_upper(*count, error)
    assert 0 <= lower <= count[0] / count[1] <= upper <= 1
    above, below = anytime_above(*count, target), anytime_below(*count, target)
    if not math.isclose(above, error, rel_tol=1e-6):
        assert (lower >= target) == (above <= error)
    if not math.isclose(below, error, rel_tol=1e-6):
        assert (upper <= target) == (below <= error)


@given(counts, targets, errors)
def test_the_ends_are_where_the_bet_has_just_won(count: tuple[int, int], target: float, error: float) -> None:
    """At each end the bet against it, by the same mixture, is 1 over the error."""
    k, n = count
    for end, a in (
        (anytime_lower(k, n, target, error), (1 + target) / (1 - target)),
        (anytime_upper(k, n, error), 1),
    ):
        if 1e-6 < end < 1 - 1e-6:
            assert log_bet(k, n, end, a) == pytest.approx(-math.log(error), rel=1e-5, abs=1e-5)


def test_nothing_seen_says_nothing() -> None:
    """Without an item every share is possible."""
    assert (anytime_above(0, 0, 0.95), anytime_below(0, 0, 0.95)) == (1, 1)
    assert (anytime_lower(0, 0, 0.95, 0.05), anytime_upper(0, 0, 0.05)) == (0, 1)
    with pytest.raises(ValueError, match="no share"):
        anytime_lower(3, 2, 0.95, 0.05)
