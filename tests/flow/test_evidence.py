"""How sure a metric or a difference is, checked against statsmodels, scipy and exact enumeration."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, multinomial  # type: ignore[import-untyped]
from statsmodels.stats.contingency_tables import mcnemar  # type: ignore[import-untyped]
from statsmodels.stats.proportion import confint_proportions_2indep  # type: ignore[import-untyped]

from bulkqa.flow.evidence import (
    Bounds,
    Counts,
    Evidence,
    Pairs,
    Term,
    Value,
    at_least,
    interval_of,
    paired_interval,
    scaled,
    times_as_many,
)

counts = st.integers(1, 400).flatmap(lambda n: st.builds(Counts, st.integers(0, n), st.just(n)))
pairs = st.builds(Pairs, *(st.integers(0, 40) for _ in range(4)))
confidences = st.sampled_from([0.8, 0.9, 0.95, 0.99])


def of(evidence: Evidence, factor: float = 1) -> Term:
    """A term with the point that its evidence has."""
    if isinstance(evidence, Counts):
        return Term(factor, Value(evidence.successes / evidence.trials, evidence))
    if isinstance(evidence, Pairs):
        return Term(factor, Value(evidence.difference, evidence))
    return Term(factor, Value((evidence.lower + evidence.upper) / 2, evidence))


@given(counts, confidences)
def test_a_share_has_its_exact_interval(one: Counts, confidence: float) -> None:
    """By itself it is Clopper and Pearson's, as scipy has it; mirrored, it is mirrored."""
    expected = binomtest(*one).proportion_ci(confidence, "exact")
    found = interval_of([of(one)], confidence)
    assert found == pytest.approx((expected.low, expected.high), abs=1e-9)
    mirrored = interval_of([of(one, -1)], confidence)
    assert mirrored == pytest.approx((-expected.high, -expected.low), abs=1e-9)


@given(counts, counts, confidences)
def test_a_difference_of_shares_has_newcombes_interval(one: Counts, other: Counts, confidence: float) -> None:
    """Of independent shares it is statsmodels' `newcomb`."""
    expected = confint_proportions_2indep(
        *one, *other, method="newcomb", compare="diff", alpha=1 - confidence
    )
    found = interval_of([of(one), of(other, -1)], confidence)
    assert found == pytest.approx(tuple(expected), abs=1e-9)


def test_an_interval_of_a_sum_holds_each_term() -> None:
    """Four terms of equal width make an interval twice as wide, around their sum."""
    terms = [Term(factor, Value(0.5, Bounds(0.4, 0.6))) for factor in (1, -1, -1, 1)]
    assert interval_of(terms, 0.95) == pytest.approx((-0.2, 0.2))
    assert interval_of([Term(2, Value(0.5, Bounds(0.3, 0.6)))], 0.95) == pytest.approx((0.6, 1.2))
    assert interval_of([Term(1, Value(0.5)), *terms], 0.95) is None
    assert interval_of([Term(1, Value(math.nan, Counts(0, 0)))], 0.95) is None
    assert interval_of([of(Counts(1, 2)), Term(-1, Value(math.nan, Counts(0, 0)))], 0.95) is None


@given(pairs, confidences)
def test_pairs_are_sharper_than_two_samples(table: Pairs, confidence: float) -> None:
    """Where the two models agree more than by chance, the interval is narrower; it holds the difference."""
    found = paired_interval(table, confidence)
    if found is None:
        assert table.trials == 0
        return
    assert found[0] <= table.difference <= found[1]
    n = table.trials
    new, old = Counts(table.both + table.candidate_only, n), Counts(table.both + table.baseline_only, n)
    apart = interval_of([of(new), of(old, -1)], confidence)
    assert apart is not None
    if table.both * table.neither > table.candidate_only * table.baseline_only:
        assert found[1] - found[0] <= apart[1] - apart[0] + 1e-12


@pytest.mark.parametrize("shares", [(0.1, 0.1, 0.7, 0.1), (0.05, 0.02, 0.9, 0.03), (0.2, 0.05, 0.5, 0.25)])
def test_the_interval_of_pairs_covers_as_often_as_it_says(shares: tuple[float, ...]) -> None:
    """By exact enumeration of all tables of 30, a 95 % interval covers the difference in 93 % or more."""
    n, covered = 30, 0.0
    tables = [one for one in itertools.product(range(n + 1), repeat=3) if sum(one) <= n]
    chances = multinomial.pmf([(*one, n - sum(one)) for one in tables], n, shares)
    for one, chance in zip(tables, chances, strict=True):
        if chance > 1e-9:
            low, high = paired_interval(Pairs(one[0], one[1], one[2], n - sum(one)), 0.95) or (0, 0)
            covered += chance * (low <= shares[0] - shares[1] <= high)
    assert 0.93 <= covered <= 0.999


@given(pairs, st.sampled_from([0.9, 0.99, 1.01, 1.2]))
def test_a_ratio_of_pairs_is_around_its_value(table: Pairs, factor: float) -> None:
    """The interval of the candidate minus so many times the baseline holds what it is of."""
    found = paired_interval(table, 0.95, factor)
    if found is not None:
        n = table.trials
        point = (table.both + table.candidate_only - factor * (table.both + table.baseline_only)) / n
        assert found[0] <= point + 1e-12
        assert point <= found[1] + 1e-12


@given(pairs, confidences)
def test_pairs_against_0_are_mcnemars_exact_test(table: Pairs, confidence: float) -> None:
    """They are decided where statsmodels' exact p-value is at most 1 - confidence, towards the larger."""
    one, other, both, neither = table
    decided = at_least([of(table)], 0, confidence)
    if one + other == 0:
        assert decided is None
        return
    p_value = mcnemar([[both, one], [other, neither]], exact=True).pvalue
    assert (decided is not None) == (p_value <= 1 - confidence)
    if decided is not None:
        assert decided == (one > other)
        assert at_least([of(table, -1)], 0, confidence) == (other > one)


@given(counts, st.floats(0.01, 0.99), confidences)
def test_a_share_is_decided_where_its_interval_is(one: Counts, limit: float, confidence: float) -> None:
    """The two tail tests say what the exact interval says, upwards and downwards."""
    low, high = interval_of([of(one)], confidence) or (0, 0)
    if min(abs(low - limit), abs(high - limit)) > 1e-9:
        assert at_least([of(one)], limit, confidence) is (
            True if low >= limit else False if high < limit else None
        )
        upwards = at_least([of(one, -1)], -limit, confidence)
        assert upwards is (True if high <= limit else False if low > limit else None)


@pytest.mark.parametrize(
    ("one", "limit", "expected"),
    [
        (Counts(0, 5), 0.0, True),
        (Counts(0, 5), -1.0, True),
        (Counts(5, 5), 1.0, None),
        (Counts(4, 5), 1.0, False),
        (Counts(5, 5), 1.1, False),
        (Counts(0, 0), 0.0, None),
    ],
)
def test_limits_at_the_ends_of_what_a_share_can_be(one: Counts, limit: float, expected: bool | None) -> None:
    """A share is at least 0 without any proof, never proven to be 1, and without trials nothing is known."""
    assert at_least([Term(1, Value(0.5, one))], limit, 0.95) is expected


def test_a_given_interval_decides_with_its_ends() -> None:
    """An end that is the limit itself is enough to pass, and not to fail."""
    term = Term(1, Value(0.85, Bounds(0.8, 0.9)))
    assert [at_least([term], limit, 0.95) for limit in (0.8, 0.81, 0.9, 0.91)] == [True, None, None, False]
    assert at_least([Term(1, Value(0.85))], 0.1, 0.95) is None


@given(counts, st.floats(0.05, 0.95))
def test_more_examples_decide(one: Counts, limit: float) -> None:
    """As many times as it says are enough, and clearly fewer are not."""
    terms = [of(one)]

    def is_decided(times: float) -> bool:
        return at_least(scaled(terms, times), limit, 0.95) is not None

    if is_decided(1):
        return
    times = times_as_many(is_decided)
    if times is None:
        assert abs(one.successes / one.trials - limit) < 0.05
    else:
        assert is_decided(times)


def test_evidence_scales() -> None:
    """Counts grow by as much, an interval shrinks with the root; what has none stays without."""
    assert scaled([of(Counts(3, 4))], 2)[0].value.evidence == Counts(6, 8)
    assert scaled([of(Pairs(1, 2, 3, 4))], 2)[0].value.evidence == Pairs(2, 4, 6, 8)
    bounds = scaled([Term(1, Value(0.5, Bounds(0.3, 0.9)))], 4)[0].value.evidence
    assert isinstance(bounds, Bounds)
    assert (bounds.lower, bounds.upper) == pytest.approx((0.4, 0.7))
    assert scaled([Term(1, Value(0.5))], 4)[0].value.evidence is None
