from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest  # type: ignore[import-untyped]

from bulkqa.flow.statistics import Interval, wilson

quick = settings(max_examples=40, deadline=None)

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


@quick
@given(counts)
def test_wilson_holds_the_share(share: tuple[int, int]) -> None:
    """The interval lies within 0 to 1 and holds the share that was seen."""
    successes, n = share
    low, high = interval(successes, n)
    assert 0 <= low <= successes / n <= high <= 1
    assert low < high


@quick
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
