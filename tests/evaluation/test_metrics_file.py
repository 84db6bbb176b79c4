"""The metrics file: every form of a value, and a message for whatever is wrong, with slice and metric."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkqa.errors import InputError
from bulkqa.evaluation.metrics_file import of_document, read_metrics
from bulkqa.flow.evidence import Bounds, Counts, Pairs, Value
from bulkqa.flow.slices import MetricKey, Metrics, SubKey


def document(*metrics: Any, slice: Any = ()) -> dict[str, Any]:
    """A file with one slice."""
    return {"slices": [{"slice": list(slice), "metrics": list(metrics)}]}


def read(*metrics: Any, slice: Any = ()) -> Metrics:
    """Read a file with one slice."""
    return read_metrics(json.dumps(document(*metrics, slice=slice)), "m.json")


def value_of(value: Any, **more: Any) -> Value:
    """Read a value."""
    (column,) = read({"name": "auc", "value": value, **more}).columns.values()
    assert column[0] is not None
    return column[0]


def test_a_metric_has_all_that_is_said_of_it() -> None:
    """Its name, model, output, class, aggregate, weighting, and whether it is a difference."""
    metrics = read(
        {"name": "auc", "value": 0.9},
        {"name": "auc", "value": 1, "model": "baseline"},
        {
            "name": "auc",
            "value": 0.5,
            "output_name": "head",
            "sub_key": {"class_id": 2},
            "example_weighted": True,
        },
        {"name": "auc", "value": 0.5, "aggregation_type": {"micro_average": True}, "is_diff": True},
        {"name": "auc", "value": 0.4, "sub_key": {"class_id": 1, "top_k": 3}, "example_weighted": False},
        {"name": "loss", "value": 0.4, "sub_key": None, "aggregation_type": None, "example_weighted": None},
        {"name": "more", "value": 0.4, "sub_key": {}, "aggregation_type": {"macro_average": False}},
        slice=[["country", "DE"], ["age", 30]],
    )
    assert metrics.slices == {(("age", 30), ("country", "DE")): 0}
    assert list(metrics.columns) == [
        MetricKey("auc"),
        MetricKey("auc", "baseline"),
        MetricKey("auc", "", "head", SubKey(class_id=2), None, True),
        MetricKey("auc", aggregation="micro_average", is_diff=True),
        MetricKey("auc", sub_key=SubKey(class_id=1, top_k=3), example_weighted=False),
        MetricKey("loss"),
        MetricKey("more"),
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.5, Value(0.5)),
        (1, Value(1.0)),
        ("Infinity", Value(math.inf)),
        ("-Infinity", Value(-math.inf)),
        ({"unsampled_value": 0.5, "sample_mean": 0.6, "sample_standard_deviation": 0.1}, Value(0.5)),
        ({"unsampled_value": 0.5, "lower": 0.4, "upper": 0.7}, Value(0.5, Bounds(0.4, 0.7))),
        ({"value": 0.5, "lower_bound": 0.4, "upper_bound": 0.7}, Value(0.5, Bounds(0.4, 0.7))),
        (
            {"bounded_value": {"value": 0.5, "lower_bound": 0.4, "upper_bound": 0.7}},
            Value(0.5, Bounds(0.4, 0.7)),
        ),
        ({"double_value": 0.5}, Value(0.5)),
        ({"double_value": {"value": 0.5}}, Value(0.5)),
        ({"t_distribution_value": {"unsampled_value": 0.5}}, Value(0.5)),
        ({"value": 0.5, "lower": 0.4}, Value(0.5, Bounds(0.4, math.inf))),
        ({"successes": 9, "trials": 10}, Value(0.9, Counts(9, 10))),
        ({"value": 0.91, "successes": 9, "trials": 10}, Value(0.91, Counts(9, 10))),
    ],
)
def test_a_value_has_many_forms(value: Any, expected: Value) -> None:
    """A number, a word for what is none, an object with an interval or counts: the point estimate counts."""
    assert value_of(value) == expected


@pytest.mark.parametrize(
    "value", ["NaN", math.nan, {"successes": 0, "trials": 0}, {"unsampled_value": "NaN"}]
)
def test_what_is_undefined_is_nan(value: Any) -> None:
    """As a word, as Python writes it, or without any trials."""
    assert math.isnan(value_of(value).point)


def test_pairs_are_a_difference() -> None:
    """Of the same examples under both models; only a metric that says `is_diff` can have them."""
    pairs = {"candidate_only": 8, "baseline_only": 1, "both": 80, "neither": 11}
    assert value_of(pairs, is_diff=True) == Value(0.07, Pairs(8, 1, 80, 11))
    with pytest.raises(InputError, match="'is_diff' has to be true"):
        value_of(pairs)


def test_entries_of_the_same_slice_are_one() -> None:
    """Whatever the order of their features; the same metric may not stand there twice."""
    entries = [
        {"slice": [["a", 1], ["b", "x"]], "metrics": [{"name": "auc", "value": 0.9}]},
        {"slice": [["b", "x"], ["a", 1]], "metrics": [{"name": "loss", "value": 0.1}]},
    ]
    metrics = of_document({"schema": 1, "slices": entries}, "m.json")
    assert metrics.slices == {(("a", 1), ("b", "x")): 0}
    assert len(metrics.columns) == 2
    with pytest.raises(InputError, match=r"m\.json, slice a = 1, b = x, metric 'auc': it stands there twice"):
        of_document({"slices": [*entries, entries[0]]}, "m.json")


def test_a_slice_without_metrics_is_one() -> None:
    """So that every metric is missing there, as in a slice that was too small."""
    assert of_document(document(slice=[["a", 1]]), "m").slices == {(("a", 1),): 0}
    assert of_document({"slices": []}, "m").slices == {}


@pytest.mark.parametrize(
    ("metric", "why"),
    [
        ({"value": 1}, "every metric needs a 'name'"),
        ({"name": "", "value": 1}, "every metric needs a 'name'"),
        (3, "every metric needs a 'name'"),
        ({"name": "auc"}, "metric 'auc': it has no 'value'"),
        ({"name": "auc", "value": 1, "model_name": "a"}, "metric 'auc': 'model_name' is not known"),
        ({"name": "auc", "value": None}, "metric 'auc': None is no number"),
        (
            {"name": "auc", "value": "high"},
            "'high' is no number; of words NaN, Infinity and -Infinity are known",
        ),
        ({"name": "auc", "value": True}, "True is no number"),
        ({"name": "auc", "value": [1]}, "[1] is no number"),
        ({"name": "auc", "value": 10**400}, "is no number"),
        ({"name": "auc", "value": {}}, "'unsampled_value' is needed"),
        ({"name": "auc", "value": {"unsampled": 1}}, "'unsampled' is not known"),
        ({"name": "auc", "value": {"value": 1, "lowr": 0}}, "'lowr' is not known"),
        ({"name": "auc", "value": {"value": 1, "lower": 2, "upper": 1}}, "ends at 1.0 and begins at 2.0"),
        ({"name": "auc", "value": {"successes": 3}}, "'trials' has to be a whole number"),
        ({"name": "auc", "value": {"successes": 3, "trials": 2}}, "3 successes of 2 trials"),
        ({"name": "auc", "value": {"successes": -1, "trials": 2}}, "'successes' has to be a whole number"),
        ({"name": "auc", "value": {"successes": 1.5, "trials": 2}}, "'successes' has to be a whole number"),
        ({"name": "auc", "is_diff": True, "value": {"both": 1}}, "'candidate_only' has to be a whole number"),
        ({"name": "auc", "value": 1, "model": None}, "'model' has to be text"),
        ({"name": "auc", "value": 1, "model": ["a"]}, "'model' has to be text"),
        ({"name": "auc", "value": 1, "is_diff": "yes"}, "'is_diff' has to be true or false"),
        (
            {"name": "auc", "value": 1, "example_weighted": 1},
            "'example_weighted' has to be true, false or null",
        ),
        ({"name": "auc", "value": 1, "sub_key": {"class": 1}}, "'sub_key' is {'class': 1}"),
        ({"name": "auc", "value": 1, "sub_key": {"class_id": "1"}}, "a whole number is needed"),
        ({"name": "auc", "value": 1, "sub_key": {"k": 0}}, "k is 0: at least 1 is needed"),
        ({"name": "auc", "value": 1, "sub_key": {"k": 1, "class_id": 1}}, "which stands alone"),
        ({"name": "auc", "value": 1, "sub_key": {"class_id": 2**31}}, "a whole number is needed"),
        (
            {"name": "auc", "value": 1, "aggregation_type": {"mean": True}},
            "'aggregation_type' is {'mean': True}",
        ),
        ({"name": "auc", "value": 1, "aggregation_type": "micro"}, "'aggregation_type' is 'micro'"),
        (
            {"name": "auc", "value": 1, "aggregation_type": {"micro_average": True, "macro_average": True}},
            "there can be one",
        ),
        ({"name": "a\ud800", "value": 1}, "no text that can be written"),
    ],
)
def test_a_metric_that_cannot_be_used_is_named(metric: Any, why: str) -> None:
    """The message says in which slice, which metric, and what is wrong, also where others are right."""
    with pytest.raises(InputError) as refused:
        read({"name": "first", "value": 0.5}, metric, slice=[["age", 30]])
    assert str(refused.value).startswith("m.json, slice age = 30")
    assert why in str(refused.value)


@pytest.mark.parametrize(
    ("slice", "why"),
    [
        ("age", "a list of pairs"),
        (None, "a list of pairs"),
        ({"age": 3}, "a list of pairs"),
        ([["age"]], "no pair"),
        ([[3, "age"]], "no pair"),
        (["ab"], "no pair"),
        ([["age", None]], "text or a number is needed"),
        ([["age", True]], "text or a number is needed"),
        ([["age", math.nan]], "text or a number is needed"),
        ([["age", 2**63]], "text or a number is needed"),
        ([["age", 1], ["age", 2]], "names 'age' twice"),
        ([["age", "\udfff"]], "no text that can be written"),
    ],
)
def test_a_slice_that_cannot_be_used_is_named(slice: Any, why: str) -> None:
    """By its place in the file."""
    with pytest.raises(InputError) as refused:
        of_document({"slices": [{"slice": slice, "metrics": []}]}, "m.json")
    assert str(refused.value).startswith("m.json, slices[0]: ")
    assert why in str(refused.value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[]", "a list of 'slices'"),
        ("{}", "a list of 'slices'"),
        ('{"slices": {}}', "a list of 'slices'"),
        ('{"slices": [], "more": 1}', "'more' is not known"),
        ('{"slices": [3]}', "slices[0]: an object"),
        ('{"slices": [{"slice": []}]}', "slices[0]: an object with a 'slice' and a list of 'metrics'"),
        ('{"slices": [{"slice": [], "metrics": [], "n": 1}]}', "'n' is not known"),
        ('{"slices": [{"metrics": []}]}', "'slice' has to be a list"),
        ('{"slices": [', "line 1, column 13"),
        ('{"slices": [], "slices": []}', "stands twice"),
        ("", "line 1, column 1"),
    ],
)
def test_a_file_that_is_none_is_refused(text: str, why: str) -> None:
    """With line and column where it is no JSON."""
    with pytest.raises(InputError) as refused:
        read_metrics(text, "m.json")
    assert str(refused.value).startswith("m.json")
    assert why in str(refused.value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["slices", "slice", "metrics", "name", "value", "trials", "sub_key"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(json_values)
def test_any_json_is_metrics_or_a_fault(document: Any) -> None:
    """Nothing but `InputError` comes of what is no metrics file."""
    for one in (document, {"slices": [{"slice": [], "metrics": [document]}]}):
        try:
            of_document(one, "m.json")
        except InputError as error:
            assert str(error).startswith("m.json")
