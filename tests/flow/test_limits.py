"""Limits: TFMA's comparisons to the last bit, and the three outcomes of intervals."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkqa.flow.evidence import Bounds, Counts, Evidence, Pairs, Term, Value
from bulkqa.flow.limits import (
    ChangeThreshold,
    Direction,
    Outcome,
    Terms,
    ValueThreshold,
    describe_threshold,
    needed,
    outcome,
    ratio,
)

HIGHER, LOWER = Direction.HIGHER_IS_BETTER, Direction.LOWER_IS_BETTER
PASSED, FAILED, OPEN = Outcome.PASSED, Outcome.FAILED, Outcome.UNDECIDED
NAN, INF = math.nan, math.inf


def changed(candidate: float, baseline: float, **limits: float | Direction) -> bool:
    """Say whether a change passes."""
    return ChangeThreshold(**limits).allows(candidate - baseline, baseline)  # type: ignore[arg-type]


# Value thresholds.


@pytest.mark.parametrize(
    ("lower", "upper", "value", "passes"),
    [
        (0.7, None, 0.7, True),
        (0.7, None, 0.6999999999999999, False),
        (None, 1.0, 1.0, True),
        (None, 1.0, 1.5, False),
        (0.1 + 0.2, None, 0.3, False),
        (0.0, None, -1e-300, False),
        (0.9, 0.1, 0.5, False),
        (0.9, 0.1, 0.9, False),
        (None, None, 1e300, True),
        (None, None, INF, True),
        (None, None, -INF, True),
        (None, None, NAN, False),
        (0.5, None, NAN, False),
        (0.5, None, INF, True),
        (0.5, 1.0, INF, False),
        (None, 0.5, -INF, True),
        (0.5, None, -INF, False),
        (NAN, None, 0.5, False),
    ],
)
def test_a_value_lies_within_its_bounds(
    lower: float | None, upper: float | None, value: float, passes: bool
) -> None:
    """Both ends count, there is no tolerance, a missing bound is infinite, and NaN passes nothing."""
    assert ValueThreshold(lower, upper).allows(value) is passes


# Change thresholds.


def test_an_absolute_change_is_a_difference() -> None:
    """Higher is better: at least the limit; lower is better: at most."""
    assert changed(1.0, 0.5, absolute=0.5, direction=HIGHER)
    assert not changed(0.9, 0.5, absolute=0.5, direction=HIGHER)
    assert changed(1.0, 0.5, absolute=0.5, direction=LOWER)
    assert not changed(1.1, 0.5, absolute=0.5, direction=LOWER)


def test_a_relative_change_is_the_difference_over_the_baseline() -> None:
    """A required gain of 1 % is 0.01; 1.01, as the quotient of the two would be, asks for twice as much."""
    assert not changed(0.9, 0.8, relative=1.01, direction=HIGHER)
    assert changed(0.9, 0.8, relative=0.12, direction=HIGHER)
    assert changed(1.61, 0.8, relative=1.01, direction=HIGHER)
    assert changed(0.72, 0.8, relative=-0.09, direction=LOWER)


def test_both_limits_have_to_hold() -> None:
    """One that is broken is enough to fail."""
    assert changed(0.9, 0.8, absolute=0.05, relative=0.1, direction=HIGHER)
    assert not changed(0.9, 0.8, absolute=0.2, relative=0.1, direction=HIGHER)
    assert not changed(0.9, 0.8, absolute=0.05, relative=0.2, direction=HIGHER)


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize("value", [0.0, NAN, INF])
def test_without_a_limit_any_change_passes(direction: Direction, value: float) -> None:
    """Whatever the direction, NaN included."""
    assert ChangeThreshold(direction=direction).allows(value, 0.0)
    assert ChangeThreshold(direction=direction).is_valid


def test_a_limit_without_a_direction_is_not_valid() -> None:
    """It can never pass."""
    threshold = ChangeThreshold(relative=1.01)
    assert not threshold.is_valid
    assert not threshold.allows(100.0, 1.0)
    assert outcome(threshold, Terms((Term(1, Value(0.5, Counts(50, 100))),)), 0.95) is FAILED


@pytest.mark.parametrize("direction", [HIGHER, LOWER])
@pytest.mark.parametrize("candidate", [0.0, 0.5, -0.5])
def test_a_baseline_of_0_has_no_ratio(direction: Direction, candidate: float) -> None:
    """It fails in both directions, 0 against 0 included; absolute limits are as ever."""
    assert not changed(candidate, 0.0, relative=0.0, direction=direction)
    assert not changed(candidate, -0.0, relative=0.0, direction=direction)
    assert changed(candidate, 0.0, absolute=candidate, direction=direction)


def test_zero_is_exactly_zero() -> None:
    """Anything else, however small, divides."""
    assert changed(2e-300, 1e-300, relative=1.0, direction=HIGHER)
    assert changed(1.0, 5e-324, relative=1e300, direction=HIGHER)
    assert math.isnan(ratio(0.0, 0.0))


def test_division_keeps_signs() -> None:
    """With a negative baseline an improvement has a negative ratio."""
    assert ratio(-0.25 - -0.5, -0.5) == -0.5
    assert not changed(-0.25, -0.5, relative=0.0, direction=HIGHER)


@pytest.mark.parametrize(
    ("candidate", "baseline"), [(NAN, 0.5), (0.5, NAN), (NAN, NAN), (INF, INF), (-INF, -INF)]
)
@pytest.mark.parametrize("direction", [HIGHER, LOWER])
@pytest.mark.parametrize("kind", ["absolute", "relative"])
def test_what_is_no_difference_fails(
    candidate: float, baseline: float, direction: Direction, kind: str
) -> None:
    """NaN on either side, and infinity minus infinity."""
    assert not changed(candidate, baseline, direction=direction, **{kind: 0.0})


def test_there_is_no_tolerance() -> None:
    """0.85 - 0.80 is 0.04999999999999993 and misses 0.05."""
    assert not changed(0.85, 0.80, absolute=0.05, direction=HIGHER)


@pytest.mark.parametrize(
    ("limit", "direction", "change", "passes"),
    [
        (-0.1, HIGHER, -0.05, True),  # an allowed loss
        (-0.1, HIGHER, -0.15, False),
        (0.1, HIGHER, 0.05, False),  # a required gain
        (0.1, LOWER, 0.05, True),  # an allowed rise
        (0.1, LOWER, 0.15, False),  # or a cap on a suspicious gain
        (-0.1, LOWER, -0.05, False),  # a required fall
        (-0.1, LOWER, -0.15, True),
    ],
)
def test_signs_give_four_uses(limit: float, direction: Direction, change: float, passes: bool) -> None:
    """Allowed loss, required gain, allowed rise, required fall."""
    assert changed(change, 0.0, absolute=limit, direction=direction) is passes


# With intervals.


def one(evidence: Evidence | None, point: float = 0.5) -> Terms:
    """A value with this evidence."""
    return Terms((Term(1, Value(point, evidence)),))


def two(new: Evidence, old: Evidence, at: tuple[float, float]) -> Terms:
    """A change from one value to another."""
    candidate, baseline = Term(1, Value(at[0], new)), Term(1, Value(at[1], old))
    return Terms((candidate, Term(-1, baseline.value)), (baseline,), (candidate,))


@pytest.mark.parametrize(
    ("lower", "upper", "expected"),
    [
        (0.3, None, PASSED),
        (0.45, None, OPEN),
        (0.7, None, FAILED),
        (None, 0.7, PASSED),
        (None, 0.55, OPEN),
        (None, 0.3, FAILED),
        (0.3, 0.7, PASSED),
        (0.3, 0.55, OPEN),
        (0.45, 0.3, FAILED),
        (None, None, PASSED),
    ],
)
def test_a_value_is_decided_by_its_whole_interval(
    lower: float | None, upper: float | None, expected: Outcome
) -> None:
    """0.4 to 0.6: passed if all of it is within, failed if all of it is outside, else open."""
    assert outcome(ValueThreshold(lower, upper), one(Bounds(0.4, 0.6)), 0.95) is expected


@pytest.mark.parametrize("point", [0.9, NAN, INF])
def test_without_evidence_nothing_is_decided(point: float) -> None:
    """However far from the limit, and whatever the value is."""
    assert outcome(ValueThreshold(lower=0.1), one(None, point), 0.95) is OPEN


@pytest.mark.parametrize(
    ("limit", "direction", "expected"),
    [
        (-0.2, HIGHER, PASSED),
        (0.0, HIGHER, OPEN),
        (0.3, HIGHER, FAILED),
        (0.3, LOWER, PASSED),
        (-0.2, LOWER, FAILED),
    ],
)
def test_a_change_is_decided_by_the_interval_of_the_difference(
    limit: float, direction: Direction, expected: Outcome
) -> None:
    """0.95 of 100 against 0.90 of 100: -0.026 to 0.130, whichever direction is better."""
    terms = two(Counts(95, 100), Counts(90, 100), (0.95, 0.9))
    assert outcome(ChangeThreshold(absolute=limit, direction=direction), terms, 0.95) is expected


def test_a_relative_change_is_decided_by_an_interval_too() -> None:
    """Twice as good on many examples; a gain of a half is shown, one of 1.5 refuted, of 1 open."""
    terms = two(Counts(8000, 10000), Counts(4000, 10000), (0.8, 0.4))
    found = [
        outcome(ChangeThreshold(relative=limit, direction=HIGHER), terms, 0.95) for limit in (0.5, 1.0, 1.5)
    ]
    assert found == [PASSED, OPEN, FAILED]
    found = [
        outcome(ChangeThreshold(relative=limit, direction=LOWER), terms, 0.95) for limit in (0.5, 1.0, 1.5)
    ]
    assert found == [FAILED, OPEN, PASSED]


def test_a_relative_change_of_a_negative_baseline_turns_round() -> None:
    """-0.25 against -0.5 is a ratio of -0.5, as without intervals; around 0 nothing is decided."""
    terms = two(Bounds(-0.26, -0.24), Bounds(-0.51, -0.49), (-0.25, -0.5))
    for limit, expected in ((-0.6, PASSED), (0.0, FAILED)):
        assert outcome(ChangeThreshold(relative=limit, direction=HIGHER), terms, 0.95) is expected
    around = two(Bounds(0.24, 0.26), Bounds(-0.01, 0.01), (0.25, 0.005))
    assert outcome(ChangeThreshold(relative=0.0, direction=HIGHER), around, 0.95) is OPEN


def test_pairs_decide_where_two_samples_do_not() -> None:
    """The same shares; that both models were asked about the same examples makes the difference."""
    table = Pairs(8, 1, 80, 11)
    threshold = ChangeThreshold(absolute=0.0, direction=HIGHER)
    assert outcome(threshold, Terms((Term(1, Value(0.07, table)),)), 0.95) is PASSED
    apart = two(Counts(88, 100), Counts(81, 100), (0.88, 0.81))
    assert outcome(threshold, apart, 0.95) is OPEN
    relative = ChangeThreshold(relative=0.0, direction=HIGHER)
    assert outcome(relative, Terms((Term(1, Value(0.07, table)),)), 0.95) is PASSED
    for limit, direction, expected in ((-0.1, HIGHER, PASSED), (0.5, HIGHER, FAILED), (0.5, LOWER, PASSED)):
        found = ChangeThreshold(relative=limit, direction=direction)
        assert outcome(found, Terms((Term(1, Value(0.07, table)),)), 0.95) is expected


def test_both_limits_have_to_be_shown() -> None:
    """One that fails is enough, and one that is open keeps all open."""
    terms = two(Counts(95, 100), Counts(90, 100), (0.95, 0.9))
    kinds = {(-0.5, -0.5): PASSED, (-0.5, 0.0): OPEN, (0.5, 0.0): FAILED}
    for (absolute, relative), expected in kinds.items():
        assert outcome(ChangeThreshold(absolute, relative, HIGHER), terms, 0.95) is expected


counts = st.integers(1, 300).flatmap(lambda n: st.builds(Counts, st.integers(0, n), st.just(n)))


@given(counts, st.floats(0.01, 0.99), st.floats(0, 0.5), st.sampled_from([0.8, 0.95, 0.99]))
def test_a_tighter_limit_is_never_easier(share: Counts, limit: float, more: float, confidence: float) -> None:
    """Raising a lower bound turns neither failed nor open into passed."""
    rank = [FAILED, OPEN, PASSED]
    terms = one(share, share.successes / share.trials)
    loose = outcome(ValueThreshold(lower=limit), terms, confidence)
    tight = outcome(ValueThreshold(lower=limit + more), terms, confidence)
    assert rank.index(tight) <= rank.index(loose)


@given(counts, st.floats(0.01, 0.99))
def test_more_confidence_decides_less(share: Counts, limit: float) -> None:
    """What is decided at 0.99 is decided alike at 0.9."""
    terms = one(share, share.successes / share.trials)
    sure = outcome(ValueThreshold(lower=limit), terms, 0.99)
    assert sure is OPEN or outcome(ValueThreshold(lower=limit), terms, 0.9) is sure


def test_it_says_how_many_more_examples_would_decide() -> None:
    """In examples where they were counted, else in times; and why none would."""
    lower = ValueThreshold(lower=0.9)
    assert needed(lower, one(Counts(92, 100), 0.92), 0.95) == "about 734 more examples would decide"
    change = ChangeThreshold(absolute=0.0, direction=HIGHER)
    both = two(Counts(95, 100), Counts(90, 100), (0.95, 0.9))
    assert needed(change, both, 0.95).endswith("more examples of each would decide")
    uneven = two(Counts(95, 100), Counts(900, 1000), (0.95, 0.9))
    assert needed(change, uneven, 0.95).endswith("times as many examples would decide")
    assert needed(lower, one(Bounds(0.8, 1.0), 0.95), 0.95) == "about 9.0 times as many examples would decide"
    assert "hardly" in needed(lower, one(Counts(90, 100), 0.9), 0.95)
    assert "neither counts" in needed(lower, one(None), 0.95)
    assert "not a finite number" in needed(lower, one(Counts(0, 0), NAN), 0.95)
    alone = Terms((Term(1, Value(0.1, Bounds(0.0, 0.2))),))
    assert "missing" in needed(ChangeThreshold(relative=0.1, direction=HIGHER), alone, 0.95)


def test_thresholds_in_words() -> None:
    """Every part of a threshold is said."""
    assert describe_threshold(ValueThreshold(0.1, 0.9)) == "at least 0.1 and at most 0.9"
    assert describe_threshold(ValueThreshold()) == "any number"
    assert describe_threshold(ChangeThreshold()) == "any change"
    assert describe_threshold(ChangeThreshold(0.1, 0.05, LOWER)) == (
        "change at most 0.1 and change at most 5% of the baseline"
    )
    assert describe_threshold(ChangeThreshold(relative=0.1)) == "change (no direction) 10% of the baseline"
