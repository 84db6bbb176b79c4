"""TFMA's messages: that they are TFMA's, and that whatever is wrong with a file is said with its place."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from bulkqa.errors import InputError
from bulkqa.evaluation.schema import as_json, as_text, load_json, message_type, parse

FIELDS = Path(__file__).with_name("tfma_fields.txt").read_text("utf-8").splitlines()


def described(message: Any, name: str) -> Iterator[str]:
    """Yield a line for each field and value of a message, as the list of TFMA's has them."""
    for field in message.fields:
        oneof = field.containing_oneof.name if field.containing_oneof else "-"
        kinds = {1: "double", 2: "float", 3: "int64", 5: "int32", 8: "bool", 9: "string", 12: "bytes"}
        kind = (field.message_type or field.enum_type).name if field.type in (11, 14) else kinds[field.type]
        number = "repeated" if field.is_repeated else "single"
        yield f"{name}.{field.name} {field.number} {number} {kind} {oneof}"
    for enum in message.enum_types:
        yield from (f"{name}.{enum.name}.{value.name} {value.number}" for value in enum.values)
    for inner in message.nested_types:
        yield from described(inner, f"{name}.{inner.name}")


def test_the_messages_are_tfmas() -> None:
    """Every field of TFMA 0.52 has its name, number, type and oneof; one more is the misspelling we read."""
    names = dict.fromkeys(line.partition(".")[0] for line in FIELDS)
    found = [
        line
        for name in names
        if name != "MetricDirection"
        for line in described(message_type(name).DESCRIPTOR, name)
    ]
    directions = message_type("GenericChangeThreshold").DESCRIPTOR.fields_by_name["direction"].enum_type
    found += [f"MetricDirection.{value.name} {value.number}" for value in directions.values]
    found.remove("EvalConfig.metrics_spec 1000 repeated MetricsSpec -")
    assert sorted(found) == FIELDS


@pytest.mark.parametrize(
    ("text", "place", "why"),
    [
        ("slicing_specs {}\nmetrics_specs { foo: 1 }", "line 2, column 17", "MetricsSpec has no field 'foo'"),
        ("metric_specs {}", "line 1, column 1", "is 'metrics_specs' meant?"),
        ("slicing_specs {", "line 1, column 15", 'Expected "}"'),
        ("slicing_specs {\n\n  feature_keys: 3 }", "line 3, column 17", "Expected string"),
        (
            "metrics_specs { metrics { threshold {\n lower_bound { value: 1 } } } }",
            "line 2, column 2",
            "MetricThreshold has no field 'lower_bound'",
        ),
        (
            'metrics_specs { thresholds { key: "a" value { change_threshold { direction: UP } } } }',
            "line 1, column 77",
            'MetricDirection" has no value named UP',
        ),
        ("model_specs { is_baseline: maybe }", "line 1, column 28", "true"),
        (
            "metrics_specs { aggregate { micro_average: true macro_average: true } }",
            "line 1",
            "macro_average",
        ),
        ('{"slicing_specs": [{}], "foo": 1}', "c:", "EvalConfig has no field 'foo'"),
        ('{"metrics_specs": [{}, {"metric": []}]}', "metrics_specs[1]:", "is 'metrics' meant?"),
        (
            '{"metrics_specs": [{"thresholds": {"auc": {"value_threshold": {"lower_bound": "high"}}}}]}',
            "metrics_specs[0].thresholds['auc'].value_threshold.lower_bound:",
            "high",
        ),
        (
            '{"metricsSpecs": [{"binarize": {"classIds": {"values": [1.5]}}}]}',
            "binarize.classIds.values:",
            "1.5",
        ),
        ('{"model_specs": [{"label_keys": {"a": 1}}]}', "model_specs[0].label_keys:", "expected"),
        ('{"metrics_specs": [{"thresholds": ["auc"]}]}', "metrics_specs[0].thresholds:", "an object"),
        ('{"slicing_specs": {}}', "slicing_specs:", "a list is needed"),
        ('{"slicing_specs": [null]}', "slicing_specs[0]:", "an object is needed"),
        ('{"slicing_specs": [{"feature_keys": "age"}]}', "slicing_specs[0].feature_keys:", "in []"),
        (
            '{"metrics_specs": [{"aggregate": {"micro_average": true, "macro_average": true}}]}',
            "metrics_specs[0].aggregate:",
            "exclude each other",
        ),
        ("[]", "c:", "an object is needed"),
        ('{"slicing_specs": []', "line 1, column 21", "delimiter"),
        ('{"slicing_specs": [], "slicing_specs": []}', "c:", "'slicing_specs' stands twice"),
        ("metrics_specs { metrics { class_name: 'A }", "line 1", ""),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, place: str, why: str) -> None:
    """Line and column in text format, the path in JSON, and a field that may be meant."""
    with pytest.raises(InputError) as refused:
        parse(text, "c", "EvalConfig")
    assert str(refused.value).startswith("c")
    assert place in str(refused.value)
    assert why in str(refused.value)
    assert "tensorflow_model_analysis" not in str(refused.value)


def test_text_format_has_its_freedoms() -> None:
    """Comments, colons before braces, lists in brackets, maps as entries, separators, a byte order mark."""
    text = """\ufeff# a gate
    slicing_specs: { feature_keys: ["age", "country"], }  # two keys
    slicing_specs { feature_keys: "age" feature_values: { key: "country" value: "DE" } };
    metrics_specs: [ { thresholds < key: "auc" value: { value_threshold { lower_bound {} } } > } ]
    """
    found = as_json(parse(text, "c", "EvalConfig"))
    assert found == {
        "slicing_specs": [
            {"feature_keys": ["age", "country"]},
            {"feature_keys": ["age"], "feature_values": {"country": "DE"}},
        ],
        "metrics_specs": [{"thresholds": {"auc": {"value_threshold": {"lower_bound": 0.0}}}}],
    }


def test_json_has_its_freedoms() -> None:
    """Both namings of fields, null for what is not set, and a wrapper as a number or with its `value`."""
    bare = (
        '{"metricsSpecs": [{"metrics": [{"className": "AUC", '
        '"threshold": {"valueThreshold": {"lowerBound": 1}}}]}]}'
    )
    named = (
        '{"metrics_specs": [{"query_key": null, "metrics": [{"class_name": "AUC", "module": null, '
        '"threshold": {"value_threshold": {"lower_bound": {"value": 1}}}}]}], "options": null}'
    )
    assert parse(bare, "c", "EvalConfig") == parse(named, "c", "EvalConfig")
    empty = parse(
        '{"metrics_specs": [{"metrics": [{"threshold": {"value_threshold": {}}}]}]}', "c", "EvalConfig"
    )
    assert empty.metrics_specs[0].metrics[0].threshold.HasField("value_threshold")


def test_what_is_nested_too_deeply_is_refused() -> None:
    """Text and JSON alike; nothing breaks."""
    for text in ("slicing_specs {" * 5000, '{"a":' * 100_000, "[" * 100_000):
        with pytest.raises(InputError):
            parse(text, "c", "EvalConfig")


def test_numbers_that_are_too_long_are_refused() -> None:
    """A JSON number of thousands of digits is a message, not a crash."""
    with pytest.raises(InputError):
        load_json("9" * 5000, "c")


@given(st.text(max_size=60))
def test_any_text_is_a_message_or_a_fault(text: str) -> None:
    """Nothing but `InputError` comes of what is no configuration."""
    try:
        parse(text, "c", "EvalConfig")
    except InputError as error:
        assert str(error).startswith("c")


@given(
    st.lists(st.text(max_size=8), max_size=3),
    st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=3),
)
def test_text_and_json_say_the_same(keys: list[str], values: dict[str, str]) -> None:
    """A message written in either form is read back as it was, by us and by protobuf itself."""
    spec = message_type("SlicingSpec")(feature_keys=keys, feature_values=values)
    assert parse(as_text(spec), "c", "SlicingSpec") == spec
    assert text_format.Parse(as_text(spec), message_type("SlicingSpec")()) == spec
    assert parse(json.dumps(as_json(spec)), "c", "SlicingSpec") == spec


@pytest.mark.slow
def test_it_is_loaded_quickly() -> None:
    """The gate takes less than a tenth of a second of work to load, beyond what protobuf itself takes."""
    code = (
        "import time; from google.protobuf import json_format, text_format, message_factory, wrappers_pb2; "
        "import json; started = time.process_time(); import bulkqa.evaluation.gate_file, "
        "bulkqa.evaluation.metrics_file, bulkqa.evaluation.validation_result; "
        "print(time.process_time() - started)"
    )
    runs = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
        for _ in range(5)
    ]
    assert min(runs) < 0.1
