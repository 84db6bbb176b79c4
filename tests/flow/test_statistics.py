from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta, binom, binomtest  # type: ignore[import-untyped]
from statsmodels.stats.multitest import multipletests  # type: ignore[import-untyped]
from statsmodels.stats.proportion import proportion_confint  # type: ignore[import-untyped]

from bulkqa.flow.statistics import (
    Interval,
    binomial_tail,
    clopper_pearson,
    exact_lower,
    holm,
    rogan_gladen,
    wilson,
)

counts = st.integers(1, 10**7).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def interval(successes: int, n: int, confidence: float = 0.95) -> Interval:
    """Return the interval of a share that has one."""
    found = wilson(successes, n, confidence)
    assert found is not None
    return found


def of_scipy(successes: int, n: int, confidence: float = 0.95) -> Interval:
    """Return the interval as scipy has it."""
    low, high = binomtest(successes, n).proportion_ci(confidence, method="wilson")
    return float(low), float(high)


@pytest.mark.parametrize("n", range(1, 61))
def test_wilson_agrees_with_scipy(n: int) -> None:
    """The Wilson interval is scipy's for every number of successes."""
    for successes in range(n + 1):
        assert interval(successes, n) == pytest.approx(of_scipy(successes, n), abs=1e-12)


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.99, 0.999])
@pytest.mark.parametrize(
    ("successes", "n"), [(0, 245), (173, 245), (449, 510), (1, 10**6), (999_999, 10**6), (10**9 // 3, 10**9)]
)
def test_wilson_of_large_numbers_and_other_confidences(successes: int, n: int, confidence: float) -> None:
    """The Wilson interval is scipy's for large numbers and every confidence."""
    assert interval(successes, n, confidence) == pytest.approx(of_scipy(successes, n, confidence), abs=1e-12)


@given(counts)
def test_wilson_holds_the_share(share: tuple[int, int]) -> None:
    """The interval lies within 0 to 1 and holds the share that was seen."""
    successes, n = share
    low, high = interval(successes, n)
    assert 0 <= low <= successes / n <= high <= 1
    assert low < high


@given(counts)
def test_wilson_is_symmetric(share: tuple[int, int]) -> None:
    """Failures have the interval of the successes, mirrored."""
    successes, n = share
    low, high = interval(successes, n)
    assert interval(n - successes, n) == pytest.approx((1 - high, 1 - low), abs=1e-12)


@pytest.mark.parametrize("n", [1, 7, 245, 10**6])
def test_wilson_reaches_the_ends_exactly(n: int) -> None:
    """No success has 0 as lower end, nothing but successes 1 as upper end, exactly."""
    assert interval(0, n)[0] == 0.0
    assert interval(n, n)[1] == 1.0
    assert interval(0, n)[1] < 1
    assert interval(n, n)[0] > 0


def test_wilson_is_95_percent_unless_told() -> None:
    """The confidence is 95 % where none is given, and a higher one gives a wider interval."""
    assert wilson(24, 25) == wilson(24, 25, 0.95)
    narrow, wide = interval(24, 25, 0.8), interval(24, 25, 0.99)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_wilson_of_nothing() -> None:
    """Of no trial there is no interval."""
    assert wilson(0, 0) is None


@pytest.mark.parametrize(("successes", "n"), [(-1, 5), (6, 5), (1, 0), (0, -1), (-2, -1)])
def test_counts_that_cannot_be(successes: int, n: int) -> None:
    """Counts that cannot be raise instead of giving a number."""
    with pytest.raises(ValueError, match=f"{successes} of {n}"):
        wilson(successes, n)


LARGE = [(0, 245), (173, 245), (449, 510), (594, 600), (1, 10**6), (940_000, 10**6), (999_999, 10**6)]


@pytest.mark.parametrize("p", [0.001, 0.3, 0.5, 0.95, 0.99])
@pytest.mark.parametrize("n", [1, 2, 7, 25, 60])
def test_the_binomial_tail_agrees_with_scipy(n: int, p: float) -> None:
    """The tail is scipy's for every number of successes, however small it is."""
    for k in range(-1, n + 2):
        assert binomial_tail(k, n, p) == pytest.approx(float(binom.sf(k - 1, n, p)), rel=1e-11)


@pytest.mark.parametrize("off", [-5, -2, 0, 1, 3, 6])
@pytest.mark.parametrize("p", [0.05, 0.5, 0.95])
@pytest.mark.parametrize(("n", "error"), [(1000, 1e-10), (10_000, 1e-10), (10**6, 1e-8)])
def test_the_binomial_tail_of_large_numbers(n: int, error: float, p: float, off: int) -> None:
    """The shorter tail keeps the promised relative error, `off` standard deviations from the mean."""
    k = round(n * p + off * math.sqrt(n * p * (1 - p)))
    ours, theirs = binomial_tail(k, n, p), float(binom.sf(k - 1, n, p))
    assert min(ours, 1 - ours) == pytest.approx(min(theirs, 1 - theirs), rel=error, abs=1e-15)


def test_the_ends_of_the_binomial_tail() -> None:
    """Certain and impossible counts have probability 1 and 0; a tail too small to write is 0, at once."""
    assert [binomial_tail(0, 5, 0.3), binomial_tail(6, 5, 0.3)] == [1, 0]
    assert [binomial_tail(1, 5, 0.0), binomial_tail(5, 5, 1.0), binomial_tail(0, 0, 0.5)] == [0, 1, 1]
    assert binomial_tail(999_999, 10**6, 0.5) == 0
    for n, p in ((-1, 0.5), (5, 1.1), (5, math.nan)):
        with pytest.raises(ValueError, match="no binomial distribution"):
            binomial_tail(1, n, p)


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.999])
def test_clopper_pearson_agrees_with_scipy_and_statsmodels(confidence: float) -> None:
    """The exact interval is scipy's and statsmodels', for small numbers all of it and for large ones."""
    shares = [(k, n) for n in (1, 2, 25, 59) for k in range(n + 1)] + LARGE
    for k, n in shares:
        of_test = binomtest(k, n).proportion_ci(confidence, method="exact")
        ours = clopper_pearson(k, n, confidence)
        assert ours == pytest.approx((float(of_test.low), float(of_test.high)), abs=2e-11)
        assert ours == pytest.approx(proportion_confint(k, n, 1 - confidence, method="beta"), abs=2e-11)


@pytest.mark.parametrize(("k", "n"), LARGE)
def test_the_lower_bound_is_scipys(k: int, n: int) -> None:
    """The one-sided bound is the quantile of the beta distribution."""
    expected = float(beta.ppf(0.05, k, n - k + 1)) if k else 0
    assert exact_lower(k, n, 0.95) == pytest.approx(expected, abs=2e-11)


@given(
    st.integers(1, 3000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
    st.sampled_from([0.9, 0.95, 0.99]),
)
def test_the_lower_bound_is_the_share_the_test_just_excludes(
    share: tuple[int, int], assurance: float
) -> None:
    """A share below the bound is excluded by the exact test, a share above it is not."""
    k, n = share
    bound = exact_lower(k, n, assurance)
    assert binomial_tail(k, n, max(0.0, bound - 1e-9)) <= 1 - assurance or k == 0
    assert binomial_tail(k, n, min(1.0, bound + 1e-9)) > 1 - assurance


def test_exact_bounds_of_nothing() -> None:
    """Of no trial there is no exact interval, and nothing is promised."""
    assert clopper_pearson(0, 0) is None
    assert exact_lower(0, 0, 0.95) == 0


@pytest.mark.slow
@given(st.lists(st.floats(0, 1), max_size=6), st.sampled_from([0.01, 0.05, 0.2]))
def test_holm_agrees_with_statsmodels(p_values: list[float], alpha: float) -> None:
    """The same hypotheses are rejected as by statsmodels, whatever their order."""
    ours = holm(p_values, alpha)
    if not p_values:
        assert ours == []
        return
    assert ours == list(multipletests(p_values, alpha, method="holm")[0])


def test_holm_counts_a_tie_as_rejected() -> None:
    """A p-value that is just alpha / m is rejected."""
    assert holm([0.025, 0.05], 0.05) == [True, True]


@pytest.mark.parametrize(
    ("q", "s", "f", "expected"), [(0.079, 0.7, 0.01, 0.9), (0.0545, 0.5, 0.005, 0.9), (0.03, 1.0, 0.0, 0.97)]
)
def test_misses_are_taken_out(q: float, s: float, f: float, expected: float) -> None:
    """The corrected share is the one behind these rates."""
    found = rogan_gladen(round(q * 10_000), 10_000, round(s * 1000), 1000, round(f * 1000), 1000)
    assert found is not None
    assert found.correct == pytest.approx(expected, abs=1e-3)
    assert found.interval[0] < found.correct <= found.interval[1]


def test_a_correction_says_when_it_cannot_be_made() -> None:
    """Without known answers, without reviews, or with reviewers that only guess, there is none."""
    assert rogan_gladen(5, 100, 0, 0, 0, 10) is None
    assert rogan_gladen(5, 100, 9, 10, 0, 0) is None
    assert rogan_gladen(0, 0, 9, 10, 0, 10) is None
    assert rogan_gladen(5, 100, 3, 10, 3, 10) is None
    with pytest.raises(ValueError, match="11 of 10"):
        rogan_gladen(5, 100, 11, 10, 0, 10)


@given(st.data())
def test_a_correction_stays_within_its_interval(data: st.DataObject) -> None:
    """The corrected share lies within its interval, within 0 to 1; the draws are always the same."""
    pairs = [data.draw(counts.filter(lambda share: share[1] < 10**4)) for _ in range(3)]
    flat = [number for pair in pairs for number in pair]
    found = rogan_gladen(*flat, draws=200)
    assert found == rogan_gladen(*flat, draws=200)
    if found is not None:
        low, high = found.interval
        assert 0 <= low <= found.correct <= high <= 1


@pytest.mark.slow
def test_the_corrected_interval_covers_the_truth() -> None:
    """Over 200 made samples the interval covers the true share about 95 times in 100; Wilson's far less."""
    source = random.Random(7)

    def seen(n: int, p: float) -> int:
        return sum(source.random() < p for _ in range(n))

    covered = plain = 0
    for _ in range(200):
        rejected = seen(400, 0.06 * 0.7 + 0.94 * 0.01)
        found = rogan_gladen(rejected, 400, seen(60, 0.7), 60, seen(60, 0.01), 60, draws=400)
        assert found is not None
        covered += found.interval[0] <= 0.94 <= found.interval[1]
        low, high = interval(400 - rejected, 400)
        plain += low <= 0.94 <= high
    assert covered >= 184  # 92 %: two standard errors below 95 %
    assert plain < covered
