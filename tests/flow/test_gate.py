"""The gate: which metric is held against which threshold in which slice, and what comes of it."""

import math
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkqa.errors import InputError
from bulkqa.flow.evidence import Bounds, Counts, Pairs, Value
from bulkqa.flow.gate import INVALID, NO_BASELINE, NOT_FOUND, Check, Gate, Rule, Verdict, judge
from bulkqa.flow.limits import ChangeThreshold, Direction, Outcome, Threshold, ValueThreshold
from bulkqa.flow.slices import (
    AnySpec,
    CrossSlice,
    CrossSliceSpec,
    MetricKey,
    Metrics,
    Slice,
    SliceSpec,
    SubKey,
)

HIGHER, LOWER = Direction.HIGHER_IS_BETTER, Direction.LOWER_IS_BETTER
PASSED, FAILED, OPEN = Outcome.PASSED, Outcome.FAILED, Outcome.UNDECIDED

OVERALL: Slice = ()
DE: Slice = (("country", "DE"),)
FR: Slice = (("country", "FR"),)
AGE_30: Slice = (("age", 30),)
COUNTRY = SliceSpec(keys=("country",))
AGE = SliceSpec(keys=("age",))

AT_LEAST = ValueThreshold(lower=0.7)
NO_WORSE = ChangeThreshold(absolute=-0.01, direction=HIGHER)


def rule(
    threshold: Threshold = AT_LEAST, where: AnySpec | None = None, name: str = "auc", *models: str, **key: Any
) -> Rule:
    """A rule on a metric."""
    return Rule(MetricKey(name, **key), threshold, where, models)


def key_of(name: str) -> MetricKey:
    """A key from `name` or `name of model`."""
    metric, _, model = name.partition(" of ")
    return MetricKey(metric, model)


def metrics(**slices: Any) -> Metrics:
    """Metrics of the overall slice."""
    return of({OVERALL: slices})


def of(slices: dict[Slice, dict[str, Any]]) -> Metrics:
    """Metrics from names, as `key_of` reads them, and numbers."""
    found: dict[Slice, dict[MetricKey, Value]] = {}
    for slice, values in slices.items():
        found[slice] = {
            key_of(name): value if isinstance(value, Value) else Value(value)
            for name, value in values.items()
        }
    return Metrics(found)


def failures(verdict: Verdict) -> list[tuple[Any, str, str]]:
    """Where what failed, and with what message."""
    return [(check.slice, check.metric.name, check.message) for check in verdict.those(FAILED)]


# Values, changes, models.


def test_a_passing_value_is_ok() -> None:
    """It is kept with its reason, and the overall slice counts as checked."""
    verdict = judge(Gate((rule(),)), metrics(auc=0.7))
    assert verdict.ok
    assert verdict.outcome is PASSED
    (check,) = verdict.checks
    assert (check.slice, check.metric, check.value, check.outcome) == ((), MetricKey("auc"), 0.7, PASSED)
    assert check.reason == "0.7, at least 0.7 is asked"
    assert verdict.details == ((SliceSpec(), 1),)


def test_a_failing_value_says_by_how_much() -> None:
    """The document's example: 1.5 is above 1.0."""
    verdict = judge(Gate((rule(ValueThreshold(upper=1.0)),)), metrics(auc=1.5))
    assert not verdict.ok
    assert verdict.checks[0].reason == "1.5, above the upper bound 1 by 0.5"


def test_what_six_digits_do_not_tell_apart_is_shown_in_full() -> None:
    """0.3 misses 0.1 + 0.2."""
    (check,) = judge(Gate((rule(ValueThreshold(lower=0.1 + 0.2)),)), metrics(auc=0.3)).checks
    assert check.reason == "0.3, below the lower bound 0.30000000000000004 by 5.55e-17"


def test_a_change_is_shown_as_a_difference() -> None:
    """Never as the ratio; its key says that it is one."""
    threshold = ChangeThreshold(relative=0.2, direction=HIGHER)
    slices = {OVERALL: {"auc of candidate": 0.9, "auc of baseline": 0.8}}
    (check,) = judge(Gate((rule(threshold),)), of(slices)).checks
    assert check.outcome is FAILED
    assert check.value == pytest.approx(0.1)
    assert check.metric == MetricKey("auc", "candidate", is_diff=True)
    assert check.reason == "changed by 0.1 from 0.8 (+12.5%), change at least 20% of the baseline is asked"


def test_both_kinds_are_two_checks() -> None:
    """A metric with both thresholds fails each by itself."""
    gate = Gate((rule(AT_LEAST), rule(NO_WORSE)))
    verdict = judge(gate, of({OVERALL: {"auc of candidate": 0.5, "auc of baseline": 0.8}}))
    assert [check.threshold for check in verdict.those(FAILED)] == [AT_LEAST, NO_WORSE]


def test_a_limit_without_direction_fails_with_its_message() -> None:
    """It was looked at, so its slices are not missing."""
    slices = {OVERALL: {"auc of candidate": 0.9, "auc of baseline": 0.8}}
    verdict = judge(Gate((rule(ChangeThreshold(relative=1.01)),)), of(slices))
    assert failures(verdict) == [((), "auc", INVALID)]
    assert INVALID.startswith("Invalid metrics or threshold for comparison")
    assert not verdict.missing_slices


@pytest.mark.parametrize("candidate", [0.0, 0.5])
def test_a_zero_baseline_is_said(candidate: float) -> None:
    """A ratio to 0 fails, and the reason says so."""
    threshold = ChangeThreshold(relative=0.0, direction=LOWER)
    slices = {OVERALL: {"auc of candidate": candidate, "auc of baseline": 0.0}}
    (check,) = judge(Gate((rule(threshold),)), of(slices)).checks
    assert check.outcome is FAILED
    assert "undefined, as it is 0" in check.reason


def test_a_given_difference_comes_before_a_computed_one() -> None:
    """A metric that says `is_diff` is taken as it is."""
    found = of({OVERALL: {"auc of candidate": 0.9, "auc of baseline": 0.8}})
    found.put(0, MetricKey("auc", "candidate", is_diff=True), Value(-0.5))
    (check,) = judge(Gate((rule(NO_WORSE),)), found).checks
    assert (check.value, check.baseline, check.outcome) == (-0.5, 0.8, FAILED)


def test_a_given_difference_has_no_ratio_without_the_baseline() -> None:
    """Its relative limit fails, whatever it is; an absolute one does not need the baseline."""
    found = of({OVERALL: {"loss of baseline": 0.8}})
    found.put(0, MetricKey("auc", "candidate", is_diff=True), Value(0.5))
    relative = ChangeThreshold(relative=0.1, direction=HIGHER)
    verdict = judge(Gate((rule(relative), rule(NO_WORSE))), found)
    assert [check.outcome for check in verdict.checks] == [FAILED, PASSED]


def test_the_baseline_is_never_gated() -> None:
    """Not even where a rule names it."""
    slices = {OVERALL: {"auc of candidate": 0.9, "auc of baseline": 0.1}}
    assert judge(Gate((rule(),)), of(slices)).ok
    named = rule(AT_LEAST, None, "auc", "candidate", "baseline")
    verdict = judge(Gate((named,)), of(slices))
    assert verdict.ok
    assert len(verdict.checks) == 1


def test_a_gate_on_the_baseline_alone_gates_nothing() -> None:
    """Nothing is looked at, which is as good as no threshold: it does not pass."""
    slices = {OVERALL: {"auc of candidate": 0.9, "auc of baseline": 0.9}}
    verdict = judge(Gate((rule(AT_LEAST, None, "auc", "baseline"),)), of(slices))
    assert not verdict.ok
    assert verdict.missing_thresholds


def test_every_other_model_is_gated_with_its_own_difference() -> None:
    """Two candidates, one baseline."""
    gate = Gate((rule(NO_WORSE),), ("a", "b"), "old")
    slices = {OVERALL: {"auc of a": 0.9, "auc of b": 0.7, "auc of old": 0.8}}
    verdict = judge(gate, of(slices))
    assert {check.metric.model: check.outcome for check in verdict.checks} == {"a": PASSED, "b": FAILED}


def test_a_rule_may_name_its_models() -> None:
    """The others are not looked at; one that is not there fails."""
    gate = Gate((rule(AT_LEAST, None, "auc", "a"),), ("a", "b"), "old")
    slices = {OVERALL: {"auc of a": 0.9, "auc of b": 0.1}}
    assert judge(gate, of(slices)).ok
    gate = gate._replace(rules=(rule(AT_LEAST, None, "auc", "c"),))
    assert failures(judge(gate, of(slices))) == [((), "auc", NOT_FOUND)]


@pytest.mark.parametrize("called", ["", "candidate", "mine"])
def test_a_model_that_is_alone_has_no_name(called: str) -> None:
    """Whatever the metrics call it; beside a baseline it is called by its name, or candidate."""
    gate = Gate((rule(),), ("mine",))
    (check,) = judge(gate, of({OVERALL: {f"auc of {called}": 0.9}})).checks
    assert (check.outcome, check.metric.model) == (PASSED, "")
    slices = {OVERALL: {f"auc of {called}": 0.9, "auc of baseline": 0.9}}
    (check,) = judge(gate, of(slices)).checks
    assert check.metric.model == "mine"
    (check,) = judge(Gate((rule(),)), of({OVERALL: {"auc of candidate": 0.9, "auc of baseline": 0.1}})).checks
    assert check.metric.model == "candidate"


def test_a_model_may_not_have_two_names() -> None:
    """Metrics that call it both by name and by nothing are refused."""
    with pytest.raises(InputError, match="'' and 'candidate'"):
        judge(Gate((rule(),)), of({OVERALL: {"auc": 0.9, "auc of candidate": 0.1}}))


def test_a_rule_that_names_the_model_which_is_alone() -> None:
    """By any of its names, and without a baseline by whatever name."""
    named = rule(AT_LEAST, None, "auc", "candidate")
    assert judge(Gate((named,)), metrics(auc=0.9)).ok
    slices = {OVERALL: {"auc of ": 0.9, "auc of baseline": 0.9}}
    assert judge(Gate((named,)), of(slices)).ok
    other = rule(AT_LEAST, None, "auc", "other")
    assert judge(Gate((other,)), metrics(auc=0.9)).ok
    assert not judge(Gate((other,)), of(slices)).ok


def test_a_model_nobody_knows_is_said() -> None:
    """It is not gated, which the reader has to know."""
    verdict = judge(Gate((rule(),)), of({OVERALL: {"auc": 0.9, "auc of shadow": 0.1}}))
    assert verdict.ok
    assert "'shadow'" in verdict.notes[0]


# Without a baseline, without thresholds.


@pytest.mark.parametrize("where", [None, SliceSpec(), COUNTRY])
def test_a_change_needs_a_baseline(where: AnySpec | None) -> None:
    """In whatever place the threshold is, and even where nothing else is amiss."""
    gate = Gate((rule(), rule(ChangeThreshold(direction=HIGHER), where)))
    with pytest.raises(InputError) as refused:
        judge(gate, metrics(auc=0.9))
    assert str(refused.value) == NO_BASELINE


def test_a_rubber_stamp_leaves_changes_out() -> None:
    """Values still count; with nothing left to check it is ok, and nothing is missing."""
    changes = Gate((rule(NO_WORSE), rule(NO_WORSE, COUNTRY)))
    verdict = judge(changes, metrics(auc=0.1), rubber_stamp=True)
    assert (verdict.ok, verdict.missing_thresholds, verdict.rubber_stamp) == (True, False, True)
    assert not verdict.checks
    both = Gate((rule(NO_WORSE), rule(AT_LEAST)))
    assert not judge(both, metrics(auc=0.1), rubber_stamp=True).ok


def test_a_rubber_stamp_beside_a_baseline_switches_nothing_off() -> None:
    """The change is checked, and fails."""
    slices = {OVERALL: {"auc of candidate": 0.1, "auc of baseline": 0.8}}
    verdict = judge(Gate((rule(NO_WORSE),)), of(slices), rubber_stamp=True)
    assert not verdict.ok
    assert verdict.rubber_stamp


def test_an_empty_change_threshold_needs_no_baseline() -> None:
    """It limits nothing; without a baseline it is left out."""
    verdict = judge(Gate((rule(), rule(ChangeThreshold()))), metrics(auc=0.9))
    assert verdict.ok
    assert len(verdict.checks) == 1


def test_a_gate_without_thresholds_is_not_ok() -> None:
    """It is missing thresholds, unless it is rubber stamped."""
    verdict = judge(Gate(()), metrics(auc=0.9))
    assert (verdict.ok, verdict.missing_thresholds, verdict.outcome) == (False, True, FAILED)
    verdict = judge(Gate(()), metrics(auc=0.9), rubber_stamp=True)
    assert (verdict.ok, verdict.missing_thresholds) == (True, False)


# Which metric.


def test_a_metric_has_a_class_and_an_output() -> None:
    """What another class, k, output or aggregate has is another metric."""
    keys = [
        MetricKey("auc"),
        MetricKey("auc", sub_key=SubKey(class_id=1)),
        MetricKey("auc", sub_key=SubKey(k=1)),
        MetricKey("auc", sub_key=SubKey(top_k=1)),
        MetricKey("auc", output="head"),
        MetricKey("auc", aggregation="macro_average"),
        MetricKey("auc", aggregation="weighted_macro_average"),
        MetricKey("auc", aggregation="micro_average"),
    ]
    found = Metrics({(): {key: Value(0.1 * place) for place, key in enumerate(keys)}})
    for place, key in enumerate(keys):
        (check,) = judge(Gate((Rule(key, AT_LEAST),)), found).checks
        assert (check.metric, check.value) == (key, 0.1 * place)


@pytest.mark.parametrize("asked", [True, False, None])
@pytest.mark.parametrize("there", [True, False, None])
def test_weighting_is_no_part_of_a_name(asked: bool | None, there: bool | None) -> None:
    """A metric that is there but once is found however it is weighted; its weighting is kept as data."""
    found = Metrics({(): {MetricKey("auc", example_weighted=there): Value(0.9)}})
    (check,) = judge(Gate((rule(example_weighted=asked),)), found).checks
    assert (check.outcome, check.metric.example_weighted) == (PASSED, there)


@pytest.mark.parametrize(
    ("asked", "there", "value"),
    [
        (True, {True: 0.1, False: 0.2, None: 0.3}, 0.1),
        (False, {True: 0.1, False: 0.2, None: 0.3}, 0.2),
        (None, {True: 0.1, False: 0.2, None: 0.3}, 0.3),
        (True, {False: 0.2, None: 0.3}, 0.3),
        (False, {True: 0.1, None: 0.3}, 0.3),
        (None, {True: 0.1, False: 0.2}, None),
        (True, {False: 0.2, None: math.nan}, math.nan),
    ],
)
def test_of_several_weightings_the_thresholds_own_wins(
    asked: bool | None, there: dict[bool | None, float], value: float | None
) -> None:
    """Else the one of which nothing is said; which of two others is meant nobody can know."""
    keys = {MetricKey("auc", example_weighted=weighted): Value(point) for weighted, point in there.items()}
    (check,) = judge(Gate((rule(example_weighted=asked),)), Metrics({(): keys})).checks
    assert (
        check.value == pytest.approx(value, nan_ok=True) if value is not None else check.message == NOT_FOUND
    )


def test_thresholds_of_two_weightings_on_one_metric_are_one_check() -> None:
    """They mean the same value; it fails once."""
    gate = Gate((rule(example_weighted=True), rule(example_weighted=False)))
    assert len(judge(gate, metrics(auc=0.1)).checks) == 1


def test_identical_thresholds_are_merged_and_different_ones_are_not() -> None:
    """For the same metric and slices."""
    gate = Gate((rule(), rule(), rule(ValueThreshold(lower=0.6))))
    assert [check.threshold.lower for check in judge(gate, metrics(auc=0.1)).checks] == [0.7, 0.6]  # type: ignore[union-attr]


# Slices.


def test_a_plain_threshold_holds_in_every_slice() -> None:
    """Each single slice, and never a cross slice."""
    gate = Gate((rule(),), cross_slices=(CrossSliceSpec(SliceSpec(), (COUNTRY,)),))
    verdict = judge(gate, of({OVERALL: {"auc": 0.9}, DE: {"auc": 0.5}, FR: {"auc": 0.8}}))
    assert [(check.slice, check.outcome) for check in verdict.checks] == [
        (OVERALL, PASSED),
        (DE, FAILED),
        (FR, PASSED),
    ]
    assert verdict.details == ((SliceSpec(), 3),)
    assert not verdict.missing_slices


def test_a_plain_threshold_needs_no_overall_slice() -> None:
    """Any slice with the metric is enough for it not to be missing."""
    assert judge(Gate((rule(),)), of({DE: {"auc": 0.9}})).ok


def test_a_threshold_on_slices_holds_there_alone() -> None:
    """Slices that its spec does not cover are not looked at."""
    verdict = judge(Gate((rule(where=COUNTRY),)), of({OVERALL: {"auc": 0.1}, DE: {"auc": 0.9}, AGE_30: {}}))
    assert verdict.ok
    assert [check.slice for check in verdict.checks] == [DE]
    assert verdict.details == ((COUNTRY, 1),)


def test_an_absent_metric_fails_in_the_slice_that_lacks_it() -> None:
    """Without a value; other slices are as they were."""
    verdict = judge(Gate((rule(),)), of({OVERALL: {"auc": 0.9}, DE: {"loss": 0.1}, FR: {}}))
    assert failures(verdict) == [(DE, "auc", NOT_FOUND), (FR, "auc", NOT_FOUND)]
    assert verdict.those(FAILED)[0].value is None
    assert not verdict.missing_slices


def test_a_change_is_absent_where_the_baseline_lacks_the_metric() -> None:
    """So is a change of what the candidate lacks."""
    slices = {
        OVERALL: {"auc of candidate": 0.9, "auc of baseline": 0.9},
        DE: {"auc of candidate": 0.9},
        FR: {"auc of baseline": 0.9},
    }
    verdict = judge(Gate((rule(NO_WORSE),)), of(slices))
    assert failures(verdict) == [(DE, "auc", NOT_FOUND), (FR, "auc", NOT_FOUND)]
    assert verdict.those(FAILED)[0].metric.is_diff


def test_a_slice_that_was_not_evaluated_is_missing() -> None:
    """Nothing fails, and yet it is not ok; a spec is missing once, however many thresholds name it."""
    gate = Gate((rule(), rule(where=AGE), rule(ValueThreshold(upper=1), AGE)))
    verdict = judge(gate, metrics(auc=0.9))
    assert not verdict.those(FAILED)
    assert verdict.missing_slices == (AGE,)
    assert (verdict.ok, verdict.outcome) == (False, FAILED)
    assert verdict.details == ((SliceSpec(), 1),)


def test_a_metric_that_is_nowhere_fails_and_is_missing() -> None:
    """In slices that its spec covers, and in no other; where it covers none it is only missing."""
    slices = of({OVERALL: {"loss": 0.1}, DE: {"loss": 0.1}})
    verdict = judge(Gate((rule(),)), slices)
    assert [place for place, *_ in failures(verdict)] == [OVERALL, DE]
    assert verdict.missing_slices == (SliceSpec(),)
    verdict = judge(Gate((rule(where=COUNTRY),)), slices)
    assert [place for place, *_ in failures(verdict)] == [DE]
    assert verdict.missing_slices == (COUNTRY,)
    verdict = judge(Gate((rule(where=AGE),)), slices)
    assert (failures(verdict), verdict.missing_slices) == ([], (AGE,))


def test_without_any_slice_every_spec_is_missing() -> None:
    """Also under a rubber stamp."""
    for stamp in (False, True):
        verdict = judge(Gate((rule(), rule(where=AGE))), of({}), rubber_stamp=stamp)
        assert not verdict.ok
        assert verdict.missing_slices == (SliceSpec(), AGE)


def test_specs_written_differently_are_one() -> None:
    """The order of keys and the writing of a number do not matter."""
    one = SliceSpec(("a", "b"), (("n", "7"),))
    other = SliceSpec(("b", "a"), (("n", "007"),))
    slice: Slice = (("a", 1), ("b", 2), ("n", 7))
    verdict = judge(Gate((rule(where=one), rule(ValueThreshold(upper=1), other))), of({slice: {"auc": 0.9}}))
    assert verdict.details == ((one, 1),)


def test_several_checks_in_one_slice_count_once() -> None:
    """Details count slices, whatever number of metrics and limits was checked there."""
    gate = Gate((rule(), rule(ValueThreshold(upper=1)), rule(name="loss"), rule(where=SliceSpec())))
    verdict = judge(gate, of({OVERALL: {"auc": 0.9, "loss": 0.9}, DE: {"auc": 0.9, "loss": 0.9}}))
    assert verdict.details == ((SliceSpec(), 2),)


def test_one_threshold_by_two_specs_fails_once_and_both_are_looked_at() -> None:
    """A slice that two specs cover has one failure, and neither spec is missing."""
    german = SliceSpec(values=(("country", "DE"),))
    verdict = judge(Gate((rule(where=COUNTRY), rule(where=german))), of({DE: {"auc": 0.1}}))
    assert len(verdict.those(FAILED)) == 1
    assert not verdict.missing_slices
    assert verdict.details == ((COUNTRY, 1), (german, 1))


def test_a_threshold_on_an_overall_slice_that_is_not_there_is_said() -> None:
    """As in TFMA a plain threshold checked elsewhere counts for the same spec; the reader is told."""
    verdict = judge(Gate((rule(), rule(ValueThreshold(upper=1), SliceSpec()))), of({DE: {"auc": 0.9}}))
    assert verdict.ok
    assert verdict.notes == ("a threshold on the overall slice was not checked: the metrics do not have it",)
    alone = judge(Gate((rule(where=SliceSpec()),)), of({DE: {"auc": 0.9}}))
    assert alone.missing_slices == (SliceSpec(),)
    assert not alone.notes


def test_slices_that_were_wanted_and_are_not_there_are_said() -> None:
    """What slicing_specs ask for and no threshold names does not fail, but is told."""
    verdict = judge(Gate((rule(),), slices=(SliceSpec(), AGE)), metrics(auc=0.9))
    assert verdict.ok
    assert len(verdict.notes) == 1
    assert "any age" in verdict.notes[0]


# Cross slices.

ALL_TO_COUNTRY = CrossSliceSpec(SliceSpec(), (COUNTRY,))


def test_a_cross_slice_is_a_difference() -> None:
    """The baseline slice's metric minus the other's; what was checked is not missing."""
    gate = Gate((rule(ValueThreshold(upper=0.15), ALL_TO_COUNTRY),), cross_slices=(ALL_TO_COUNTRY,))
    verdict = judge(gate, of({OVERALL: {"auc": 0.9}, DE: {"auc": 0.8}, FR: {"auc": 0.6}}))
    assert [(check.slice, check.outcome) for check in verdict.checks] == [
        (CrossSlice((), DE), PASSED),
        (CrossSlice((), FR), FAILED),
    ]
    assert [check.value for check in verdict.checks] == pytest.approx([0.1, 0.3])
    assert not verdict.missing_cross_slices
    assert verdict.details == ((ALL_TO_COUNTRY, 2),)


def test_a_passing_cross_threshold_is_ok() -> None:
    """Unlike in TFMA, where it is missing all the same."""
    gate = Gate((rule(ValueThreshold(upper=0.5), ALL_TO_COUNTRY),), cross_slices=(ALL_TO_COUNTRY,))
    assert judge(gate, of({OVERALL: {"auc": 0.9}, DE: {"auc": 0.8}})).ok


def test_a_change_across_slices_is_a_difference_of_differences() -> None:
    """Candidate minus baseline, of what one slice is above the other; the ratio is to the baseline's."""
    gate = Gate(
        (rule(ChangeThreshold(absolute=0.1, relative=0.9, direction=HIGHER), ALL_TO_COUNTRY),),
        cross_slices=(ALL_TO_COUNTRY,),
    )
    slices = {
        OVERALL: {"auc of candidate": 0.9, "auc of baseline": 0.75},
        DE: {"auc of candidate": 0.5, "auc of baseline": 0.5},
    }
    (check,) = judge(gate, of(slices)).checks
    assert check.value == pytest.approx(0.15)
    assert check.baseline == 0.25
    assert check.outcome is FAILED  # 0.15 / 0.25 = 0.6


def test_given_differences_are_subtracted_across_slices() -> None:
    """Metrics that say `is_diff` are taken for both slices."""
    gate = Gate((rule(NO_WORSE, ALL_TO_COUNTRY),), cross_slices=(ALL_TO_COUNTRY,))
    found = of({OVERALL: {"auc of baseline": 0.5}, DE: {}})
    found.put(0, MetricKey("auc", "candidate", is_diff=True), Value(0.3))
    found.put(1, MetricKey("auc", "candidate", is_diff=True), Value(0.1))
    (check,) = judge(gate, found).checks
    assert check.value == pytest.approx(0.2)


def test_pairs_that_nobody_asked_for_are_missing() -> None:
    """A threshold only looks at cross slices that the configuration has computed."""
    slices = of({OVERALL: {"auc": 0.9}, DE: {"auc": 0.8}, AGE_30: {"auc": 0.8}})
    verdict = judge(Gate((rule(where=ALL_TO_COUNTRY),)), slices)
    assert (verdict.ok, verdict.missing_cross_slices) == (False, (ALL_TO_COUNTRY,))
    to_age = CrossSliceSpec(SliceSpec(), (AGE,))
    verdict = judge(Gate((rule(where=ALL_TO_COUNTRY),), cross_slices=(to_age,)), slices)
    assert verdict.missing_cross_slices == (ALL_TO_COUNTRY,)


def test_a_cross_spec_without_comparisons_means_all_others() -> None:
    """Both where pairs are computed and where a threshold is on them."""
    to_all = CrossSliceSpec(SliceSpec())
    gate = Gate((rule(ValueThreshold(upper=0.5), to_all),), cross_slices=(to_all,))
    verdict = judge(gate, of({OVERALL: {"auc": 0.9}, DE: {"auc": 0.8}, AGE_30: {"auc": 0.1}}))
    assert [check.slice for check in verdict.checks] == [CrossSlice((), DE), CrossSlice((), AGE_30)]
    assert [check.outcome for check in verdict.checks] == [PASSED, FAILED]


def test_a_pair_that_one_slice_lacks_fails() -> None:
    """The metric of a pair is absent where either has none."""
    gate = Gate((rule(where=ALL_TO_COUNTRY),), cross_slices=(ALL_TO_COUNTRY,))
    verdict = judge(gate, of({OVERALL: {"auc": 0.9}, DE: {"loss": 0.8}}))
    assert failures(verdict) == [(CrossSlice((), DE), "auc", NOT_FOUND)]
    assert verdict.missing_cross_slices == (ALL_TO_COUNTRY,)


# Intervals.


def test_by_default_only_the_point_counts() -> None:
    """Whatever comes with a value is for display."""
    assert judge(Gate((rule(),)), metrics(auc=Value(0.7, Bounds(0.0, 1.0)))).ok
    assert not judge(Gate((rule(),)), metrics(auc=Value(0.69, Bounds(0.7, 1.0)))).ok


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Value(0.8, Bounds(0.75, 0.85)), PASSED),
        (Value(0.8, Bounds(0.65, 0.95)), OPEN),
        (Value(0.6, Bounds(0.55, 0.65)), FAILED),
        (Value(0.8), OPEN),
        (Value(0.1), OPEN),
        (Value(math.nan, Counts(0, 0)), OPEN),
        (Value(0.9, Counts(900, 1000)), PASSED),
        (Value(0.9, Counts(9, 10)), OPEN),
    ],
)
def test_intervals_have_three_outcomes(value: Value, expected: Outcome) -> None:
    """Passed, failed, or not enough data, which is not ok and says what would be enough."""
    verdict = judge(Gate((rule(),)), metrics(auc=value), confidence=0.95)
    assert verdict.outcome is expected
    assert verdict.ok is (expected is PASSED)
    assert verdict.checks[0].message.startswith("Not enough data: ") is (expected is OPEN)


def test_what_is_absent_fails_with_intervals_too() -> None:
    """No number of examples would find it; and a failure outweighs what lacks data."""
    gate = Gate((rule(), rule(name="loss")))
    verdict = judge(gate, metrics(auc=Value(0.8)), confidence=0.95)
    assert [check.outcome for check in verdict.checks] == [OPEN, FAILED]
    assert verdict.outcome is FAILED
    verdict = judge(Gate((rule(), rule(where=AGE))), metrics(auc=Value(0.8)), confidence=0.95)
    assert verdict.outcome is FAILED
    slices = {OVERALL: {"auc of candidate": Value(0.9), "auc of baseline": Value(0.9)}}
    verdict = judge(Gate((rule(ChangeThreshold(relative=1.0)),)), of(slices), confidence=0.95)
    assert verdict.checks[0].message == INVALID


def test_a_change_of_counts_is_decided_by_its_interval() -> None:
    """As of two samples; the reason shows the interval and how many more would decide."""
    slices = {
        OVERALL: {
            "auc of candidate": Value(0.95, Counts(95, 100)),
            "auc of baseline": Value(0.9, Counts(90, 100)),
        }
    }
    (check,) = judge(Gate((rule(NO_WORSE),)), of(slices), confidence=0.95).checks
    assert check.outcome is OPEN
    assert check.interval == pytest.approx((-0.0263, 0.1296), abs=1e-4)
    assert check.reason.startswith("changed by 0.05 (-0.0262729 to 0.129624 at 0.95) from 0.9, ")
    assert check.reason.endswith("more examples of each would decide")


def test_pairs_are_a_given_difference() -> None:
    """Of the same examples under both models, by McNemar's test."""
    found = of({OVERALL: {"auc of baseline": 0.81}})
    found.put(0, MetricKey("auc", "candidate", is_diff=True), Value(0.07, Pairs(8, 1, 80, 11)))
    gate = Gate((rule(ChangeThreshold(absolute=0.0, direction=HIGHER)),))
    assert judge(gate, found, confidence=0.95).ok


def test_the_difference_of_slices_has_an_interval() -> None:
    """A pair of slices is two samples, a change of it four."""
    gate = Gate((rule(ValueThreshold(upper=0.2), ALL_TO_COUNTRY),), cross_slices=(ALL_TO_COUNTRY,))
    counted = {OVERALL: {"auc": Value(0.9, Counts(900, 1000))}, DE: {"auc": Value(0.8, Counts(800, 1000))}}
    assert judge(gate, of(counted), confidence=0.95).ok
    few = {OVERALL: {"auc": Value(0.9, Counts(9, 10))}, DE: {"auc": Value(0.8, Counts(8, 10))}}
    assert judge(gate, of(few), confidence=0.95).outcome is OPEN


def test_jointly_less_is_decided() -> None:
    """Of 20 slices each is held at 1 - 0.05 / 20 at first; what was decided alone may be open then."""
    slices: dict[Slice, dict[str, Any]] = {
        (("age", age),): {"auc": Value(0.78, Counts(390, 500))} for age in range(19)
    }
    slices[DE] = {"auc": Value(0.745, Counts(745, 1000))}
    alone = judge(Gate((rule(),)), of(slices), confidence=0.95)
    assert alone.ok
    together = judge(Gate((rule(),)), of(slices), confidence=0.95, jointly=True)
    assert [check.slice for check in together.those(OPEN)] == []
    slices[DE] = {"auc": Value(0.73, Counts(730, 1000))}
    assert judge(Gate((rule(),)), of(slices), confidence=0.95).ok
    several = {**slices, FR: {"auc": Value(0.73, Counts(730, 1000))}}
    together = judge(Gate((rule(),)), of(several), confidence=0.95, jointly=True)
    assert {check.slice for check in together.those(OPEN)} == {DE, FR}
    assert together.those(OPEN)[0].confidence == pytest.approx(1 - 0.05 / 2)


def test_jointly_a_given_interval_says_too_little() -> None:
    """It was made for one check; alone it is as before. What has no counts takes nothing from the others."""
    value = Value(0.9, Bounds(0.8, 1.0))
    counted = Value(0.9, Counts(900, 1000))
    two = of({OVERALL: {"auc": value}, DE: {"auc": counted}, FR: {"auc": Value(0.9)}})
    verdict = judge(Gate((rule(),)), two, confidence=0.95, jointly=True)
    assert [check.outcome for check in verdict.checks] == [OPEN, PASSED, OPEN]
    assert "one check by itself" in verdict.checks[0].message
    assert verdict.checks[1].confidence == 0.95
    assert judge(Gate((rule(),)), metrics(auc=value), confidence=0.95).ok


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95.0, -1.0, math.nan])
def test_a_confidence_that_cannot_be_is_refused(confidence: float) -> None:
    """It is a share; and jointly is nothing without it."""
    with pytest.raises(InputError, match="between 0 and 1"):
        judge(Gate((rule(),)), metrics(auc=0.9), confidence=confidence)
    with pytest.raises(InputError, match="jointly"):
        judge(Gate((rule(),)), metrics(auc=0.9), jointly=True)


def test_few_good_slices_fail_by_chance() -> None:
    """Of 300 slices at the limit itself at most 2.5 % fail by intervals; half would by the point alone."""
    source = random.Random(4)
    slices: dict[Slice, dict[str, Any]] = {}
    for age in range(300):
        right = sum(source.random() < 0.7 for _ in range(200))
        slices[(("age", age),)] = {"auc": Value(right / 200, Counts(right, 200))}
    by_point = judge(Gate((rule(),)), of(slices))
    by_interval = judge(Gate((rule(),)), of(slices), confidence=0.95)
    assert len(by_point.those(FAILED)) > 100
    assert len(by_interval.those(FAILED)) <= 8
    assert len(by_interval.those(PASSED)) <= 8


# Properties.

points = st.floats(0, 1) | st.sampled_from([math.nan, math.inf, -math.inf])
bounds = st.none() | st.floats(0, 1)
thresholds = st.builds(ValueThreshold, bounds, bounds)
specs = st.sampled_from([None, SliceSpec(), COUNTRY, AGE, SliceSpec(values=(("country", "DE"),))])
names = st.sampled_from(["auc", "loss"])
rules = st.lists(
    st.builds(lambda threshold, where, name: rule(threshold, where, name), thresholds, specs, names)
)
tables = st.dictionaries(
    st.sampled_from([OVERALL, DE, FR, AGE_30]), st.dictionaries(names, points, max_size=2), max_size=4
)


@given(rules, tables, st.integers(0, 9), st.floats(0, 1))
def test_a_tighter_threshold_never_lets_more_through(
    listed: list[Rule], table: dict[Slice, dict[str, float]], which: int, by: float
) -> None:
    """Raising a lower bound never turns a failed gate into one that is ok."""
    before = judge(Gate(tuple(listed)), of(table))
    if listed and not before.ok:
        place = which % len(listed)
        threshold = listed[place].threshold
        assert isinstance(threshold, ValueThreshold)
        tighter = ValueThreshold(by if threshold.lower is None else threshold.lower + by, threshold.upper)
        after = [*listed[:place], listed[place]._replace(threshold=tighter), *listed[place + 1 :]]
        assert not judge(Gate(tuple(after)), of(table)).ok


@given(rules, tables)
def test_another_rule_never_lets_more_through(
    listed: list[Rule], table: dict[Slice, dict[str, float]]
) -> None:
    """Of the rules of a gate that is ok, all but one are ok as well, unless none is left."""
    if judge(Gate(tuple(listed)), of(table)).ok:
        for place in range(len(listed)):
            fewer = (*listed[:place], *listed[place + 1 :])
            assert not fewer or judge(Gate(fewer), of(table)).ok


@given(rules, tables)
def test_a_metric_that_passes_fails_nothing(listed: list[Rule], table: dict[Slice, dict[str, float]]) -> None:
    """With one more metric in every slice, which keeps its threshold, the gate says what it said."""
    table = {OVERALL: {}, **table}
    before = judge(Gate(tuple(listed)), of(table))
    more = {slice: {**values, "extra": 0.9} for slice, values in table.items()}
    after = judge(Gate((*listed, rule(name="extra"))), of(more))
    if listed:
        assert after.ok == before.ok
        assert after.those(FAILED) == before.those(FAILED)


@given(rules, tables, st.randoms(use_true_random=False))
def test_the_order_of_slices_and_rules_does_not_matter(
    listed: list[Rule], table: dict[Slice, dict[str, float]], source: random.Random
) -> None:
    """The same checks come out the same, and the same specs are missing."""
    before = judge(Gate(tuple(listed)), of(table))
    slices = list(table.items())
    source.shuffle(slices)
    source.shuffle(listed)
    after = judge(Gate(tuple(listed)), of(dict(slices)))

    def plain(checks: tuple[Check, ...]) -> list[str]:
        return sorted(map(repr, checks))

    assert after.ok == before.ok
    assert plain(after.checks) == plain(before.checks)
    assert {spec.identity for spec in after.missing_slices} == {
        spec.identity for spec in before.missing_slices
    }


@given(rules, tables)
def test_it_fails_closed(listed: list[Rule], table: dict[Slice, dict[str, float]]) -> None:
    """It is ok only where every check passed, there is a threshold, and each spec was looked at."""
    verdict = judge(Gate(tuple(listed)), of(table))
    looked_at = {spec.identity for spec, _ in verdict.details}
    wanted = {(one.where or SliceSpec()).identity for one in listed}
    all_passed = bool(listed) and all(check.outcome is PASSED for check in verdict.checks)
    assert verdict.ok == (all_passed and wanted == looked_at)


@pytest.mark.slow
def test_thousands_of_slices_take_seconds() -> None:
    """10,000 slices of 20 metrics each, all checked."""
    names = [f"m{number}" for number in range(20)]
    slices: dict[Slice, dict[str, Any]] = {
        (("age", age),): dict.fromkeys(names, 0.9) for age in range(10_000)
    }
    verdict = judge(Gate(tuple(rule(name=name) for name in names)), of(slices))
    assert verdict.ok
    assert len(verdict.checks) == 200_000
