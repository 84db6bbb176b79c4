"""Verdicts as TFMA's ValidationResult, in every form it has, and read back."""

import json
import math
from typing import Any

import pytest
from google.protobuf import json_format, text_format  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from bulkqa.errors import InputError
from bulkqa.evaluation.schema import as_json, as_text, message_type
from bulkqa.evaluation.validation_result import read_verdict, to_message
from bulkqa.flow.evidence import Value
from bulkqa.flow.gate import INVALID, NOT_ENOUGH, NOT_FOUND, Check, Gate, Rule, Verdict, judge
from bulkqa.flow.limits import ChangeThreshold, Direction, Outcome, ValueThreshold
from bulkqa.flow.slices import (
    AnySlice,
    CrossSlice,
    CrossSliceSpec,
    MetricKey,
    Metrics,
    Slice,
    SliceSpec,
    SubKey,
)

HIGHER = Direction.HIGHER_IS_BETTER
AUC, AT_LEAST = MetricKey("auc"), ValueThreshold(0.7)


def failed(
    slice: AnySlice = (),
    metric: MetricKey = AUC,
    threshold: ValueThreshold | ChangeThreshold = AT_LEAST,
    value: float | None = 0.5,
    message: str = "",
) -> Check:
    """A check that failed."""
    return Check(slice, metric, threshold, Outcome.FAILED, value, None, message)


def written(*checks: Check, **more: Any) -> dict[str, Any]:
    """A verdict as JSON."""
    return as_json(to_message(Verdict(ok=False, checks=checks, **more)))


def test_the_example_of_the_document() -> None:
    """A weighted count of 1.5 above 1.0: only what is set is there, and no slice key names a feature."""
    key = MetricKey("weighted_example_count", "candidate")
    assert written(failed(metric=key, threshold=ValueThreshold(upper=1.0), value=1.5)) == {
        "metric_validations_per_slice": [
            {
                "slice_key": {},
                "failures": [
                    {
                        "metric_key": {"name": "weighted_example_count", "model_name": "candidate"},
                        "metric_threshold": {"value_threshold": {"upper_bound": 1.0}},
                        "metric_value": {"double_value": 1.5},
                    }
                ],
            }
        ]
    }


def test_only_slices_with_failures_are_there() -> None:
    """All failures of a slice stand together; what passed is counted in the details."""
    gate = Gate(
        (Rule(MetricKey("auc"), ValueThreshold(0.7)), Rule(MetricKey("loss"), ValueThreshold(upper=0.1)))
    )
    good, bad = ({MetricKey("auc"): Value(auc), MetricKey("loss"): Value(1 - auc)} for auc in (0.9, 0.5))
    found = as_json(to_message(judge(gate, Metrics({(): good, (("age", 30),): bad}))))
    (part,) = found["metric_validations_per_slice"]
    assert part["slice_key"] == {"single_slice_keys": [{"column": "age", "int64_value": "30"}]}
    assert [one["metric_key"]["name"] for one in part["failures"]] == ["auc", "loss"]
    assert found["validation_details"] == {
        "slicing_details": [{"slicing_spec": {}, "num_matching_slices": 2}]
    }


def test_flags_that_are_not_set_are_not_there() -> None:
    """False and 0 are left out, in text and in JSON."""
    ok = to_message(Verdict(ok=True, rubber_stamp=True))
    assert as_json(ok) == {"validation_ok": True, "rubber_stamp": True}
    assert as_text(to_message(Verdict(ok=False))) == ""
    assert written(missing_thresholds=True) == {"missing_thresholds": True}


def test_missing_specs_are_as_they_were_written() -> None:
    """Single and cross specs apart; a value keeps its writing."""
    spec = SliceSpec(("age",), (("n", "007"),))
    assert written(missing_slices=(spec,), missing_cross_slices=(CrossSliceSpec(SliceSpec(), (spec,)),)) == {
        "missing_slices": [{"feature_keys": ["age"], "feature_values": {"n": "007"}}],
        "missing_cross_slices": [
            {
                "baseline_spec": {},
                "slicing_specs": [{"feature_keys": ["age"], "feature_values": {"n": "007"}}],
            }
        ],
    }


def test_values_of_slices_have_their_types() -> None:
    """Text is bytes, base64 in JSON; whole numbers are text there, and fractions have 32 bits."""
    (part,) = written(failed(slice=(("a", "é"), ("b", 3), ("c", 0.1))))["metric_validations_per_slice"]
    assert part["slice_key"]["single_slice_keys"] == [
        {"column": "a", "bytes_value": "w6k="},
        {"column": "b", "int64_value": "3"},
        {"column": "c", "float_value": 0.1},
    ]


def test_a_cross_slice_has_both_slices() -> None:
    """The baseline's key first."""
    (part,) = written(failed(slice=CrossSlice((), (("age", 30),))))["metric_validations_per_slice"]
    assert part["cross_slice_key"] == {
        "baseline_slice_key": {},
        "comparison_slice_key": {"single_slice_keys": [{"column": "age", "int64_value": "30"}]},
    }


def test_a_key_has_every_part() -> None:
    """Output, class, aggregate, weighting, that it is a difference; weighted `false` is told from unset."""
    key = MetricKey("auc", "m", "head", SubKey(class_id=0), "weighted_macro_average", False, True)
    change = ChangeThreshold(0.0, None, HIGHER)
    (part,) = written(failed(metric=key, threshold=change))["metric_validations_per_slice"]
    assert part["failures"][0]["metric_key"] == {
        "name": "auc",
        "model_name": "m",
        "output_name": "head",
        "sub_key": {"class_id": 0},
        "aggregation_type": {"weighted_macro_average": True},
        "example_weighted": False,
        "is_diff": True,
    }
    assert part["failures"][0]["metric_threshold"] == {
        "change_threshold": {"absolute": 0.0, "direction": "HIGHER_IS_BETTER"}
    }


def test_text_prints_zeros_as_empty_blocks() -> None:
    """A wrapper is a nested block, and one of 0 or false has nothing in it."""
    key = MetricKey("auc", example_weighted=False)
    text = as_text(to_message(Verdict(ok=False, checks=(failed(metric=key, value=0.0),))))
    for block in (
        "double_value {\n      }",
        "example_weighted {\n      }",
        "lower_bound {\n          value: 0.7",
    ):
        assert block in text


def test_a_metric_that_was_not_found_has_no_value() -> None:
    """Only its key, its threshold and the message."""
    (part,) = written(failed(value=None, message=NOT_FOUND))["metric_validations_per_slice"]
    assert part["failures"][0].keys() == {"metric_key", "metric_threshold", "message"}


# Read back.

texts = st.text(st.characters(codec="utf-8"), max_size=6)
names = texts.filter(bool)
numbers = st.floats(allow_nan=False) | st.just(math.inf)
limits = st.none() | st.floats(allow_nan=False)
fractions = st.integers(-(10**6), 10**6).map(lambda whole: whole + 0.5)
values = texts | st.integers(-(2**63), 2**63 - 1) | fractions
slices: st.SearchStrategy[Slice] = st.lists(st.tuples(names, values), max_size=3).map(tuple)
specs = st.builds(
    SliceSpec,
    st.lists(names, max_size=2).map(tuple),
    st.dictionaries(names, texts, max_size=2).map(lambda found: tuple(sorted(found.items()))),
).filter(lambda spec: not set(spec.keys) & {key for key, _ in spec.values})
crosses = st.builds(CrossSliceSpec, specs, st.lists(specs, max_size=2).map(tuple))
sub_keys = st.none() | st.builds(
    SubKey, st.none() | st.integers(0, 9), st.none(), st.none() | st.integers(1, 9)
).filter(lambda key: key != SubKey())
keys = st.builds(
    MetricKey,
    names,
    texts,
    texts,
    sub_keys,
    st.sampled_from([None, "micro_average", "macro_average"]),
    st.none() | st.booleans(),
    st.booleans(),
)
checks = st.builds(
    failed,
    slices | st.builds(CrossSlice, slices, slices),
    keys,
    st.builds(ValueThreshold, limits, limits)
    | st.builds(ChangeThreshold, limits, limits, st.sampled_from(Direction)),
    st.none() | numbers,
    st.sampled_from(["", NOT_FOUND, INVALID]),
)
verdicts = st.builds(
    lambda checks, thresholds, missing, across, details, stamp: Verdict(
        False, tuple(checks), thresholds, tuple(missing), tuple(across), tuple(details), stamp
    ),
    st.lists(checks, max_size=3),
    st.booleans(),
    st.lists(specs, max_size=2),
    st.lists(crosses, max_size=2),
    st.lists(st.tuples(specs | crosses, st.integers(1, 99)), max_size=2),
    st.booleans(),
)


@given(verdicts)
def test_every_form_is_read_back(verdict: Verdict) -> None:
    """JSON, text and TFMA's record file hold the same; protobuf itself reads the first two."""
    message = to_message(verdict)
    text, document = as_text(message), json.dumps(as_json(message))
    assert text_format.Parse(text, message_type("ValidationResult")()) == message
    assert json_format.Parse(document, message_type("ValidationResult")()) == message
    raw = message.SerializeToString(deterministic=True)
    record = len(raw).to_bytes(8, "little") + b"crcc" + raw + b"crcc"
    for data in (text.encode(), document.encode(), record):
        kept = read_verdict(data, "kept")
        assert kept.is_kept
        by_slice = {check.slice: None for check in verdict.checks}
        expected = [check for slice in by_slice for check in verdict.checks if check.slice == slice]
        assert list(kept.checks) == expected
        assert kept._replace(is_kept=False, checks=()) == verdict._replace(checks=())
        assert to_message(kept) == message


def test_nan_is_read_back() -> None:
    """As a value and as the word that JSON has for it."""
    message = to_message(Verdict(ok=False, checks=(failed(value=math.nan),)))
    assert '"double_value": "NaN"' in json.dumps(as_json(message))
    (check,) = read_verdict(as_text(message).encode(), "kept").checks
    assert check.value is not None
    assert math.isnan(check.value)


def test_what_lacks_data_is_known_by_its_message() -> None:
    """A result that was kept has the same three outcomes."""
    open_check = failed(message=NOT_ENOUGH + "more")._replace(outcome=Outcome.UNDECIDED)
    kept = read_verdict(as_text(to_message(Verdict(ok=False, checks=(open_check,)))).encode(), "kept")
    assert kept.outcome is Outcome.UNDECIDED


def test_a_result_that_contradicts_itself_is_not_ok() -> None:
    """Neither failures beside `validation_ok`, nor nothing at all without it."""
    for text in ("", "validation_ok: true missing_slices {}", "validation_ok: true missing_thresholds: true"):
        kept = read_verdict(text.encode(), "kept")
        assert (kept.ok, kept.outcome) == (False, Outcome.FAILED)
    assert read_verdict(b'{"validation_ok": true}', "kept").ok


def test_a_bounded_value_is_shown_by_its_point() -> None:
    """Which older results have."""
    text = """metric_validations_per_slice { slice_key {} failures { metric_key { name: "auc" }
      metric_threshold { value_threshold {} }
      metric_value { bounded_value { value { value: 0.5 } lower_bound { value: 0.4 } } } } }"""
    assert read_verdict(text.encode(), "kept").checks[0].value == 0.5


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"metrics_specs {}", "kept, line 1, column 1: ValidationResult has no field 'metrics_specs'"),
        (b'{"validation": true}', "kept: ValidationResult has no field 'validation'"),
        (b"\xff\xfe", "kept: no UTF-8 text"),
        (b"\0\0\0", "kept: neither text nor a record file"),
        ((3).to_bytes(8, "little") + b"crcc\xff\xff\xffcrcc", "kept: its record is no ValidationResult"),
        (
            b'metric_validations_per_slice { slice_key { single_slice_keys { column: "a" } } failures {} }',
            "kept: the slice's feature 'a' has no value",
        ),
        (
            b"metric_validations_per_slice { failures { "
            b"metric_threshold { change_threshold { direction: 9 } } } }",
            "kept: 9 is not a valid Direction",
        ),
    ],
)
def test_what_is_no_result_is_refused(data: bytes, why: str) -> None:
    """With its place."""
    with pytest.raises(InputError) as refused:
        read_verdict(data, "kept")
    assert str(refused.value).startswith(why)
