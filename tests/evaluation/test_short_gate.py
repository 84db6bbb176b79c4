"""Gates written short: what they become, how they are told from EvalConfigs, and what is refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkqa.errors import InputError
from bulkqa.evaluation.gate_file import read_gate
from bulkqa.evaluation.short_gate import load_short
from bulkqa.flow.gate import Rule
from bulkqa.flow.limits import ChangeThreshold, Direction, ValueThreshold
from bulkqa.flow.slices import MetricKey, SliceSpec

HIGHER, LOWER = Direction.HIGHER_IS_BETTER, Direction.LOWER_IS_BETTER


def rules(text: str) -> list[Rule]:
    """Return the rules of a gate called `gate`."""
    return list(read_gate(text, "gate").gate.rules)


def refused(text: str) -> str:
    """Return why a gate cannot be used."""
    with pytest.raises(InputError) as error:
        rules(text)
    return str(error.value)


def test_bounds_and_margins_become_thresholds() -> None:
    """A margin to the baseline is an allowed loss, or a required gain."""
    text = (
        "precision: {at_least: 0.95, at_most: 1, "
        "not_worse_than_baseline_by: 0.01, better_than_baseline_by: 0.02}"
    )
    key = MetricKey("precision")
    assert rules(text) == [
        Rule(key, ValueThreshold(0.95, 1.0)),
        Rule(key, ChangeThreshold(-0.01, None, HIGHER)),
        Rule(key, ChangeThreshold(0.02, None, HIGHER)),
    ]


def test_where_lower_is_better_signs_turn_round() -> None:
    """An allowed rise, or a required fall."""
    text = """
    loss:
      lower_is_better: true
      not_worse_than_baseline_by: 0.01
      better_than_baseline_by: 0.02
    """
    assert [rule.threshold for rule in rules(text)] == [
        ChangeThreshold(0.01, None, LOWER),
        ChangeThreshold(-0.02, None, LOWER),
    ]


@pytest.mark.parametrize(
    ("slices", "expected"),
    [
        ("all", [None]),
        ("overall", [SliceSpec()]),
        ("country", [SliceSpec(("country",))]),
        ("{age: 30}", [SliceSpec(values=(("age", "30"),))]),
        ("{age: 30, country: DE}", [SliceSpec(values=(("age", "30"), ("country", "DE")))]),
        ("[overall, country]", [SliceSpec(), SliceSpec(("country",))]),
        ("[[country, {age: 30}]]", [SliceSpec(("country",), (("age", "30"),))]),
        ("[[age, country]]", [SliceSpec(("age", "country"))]),
    ],
)
def test_slices_say_where_it_holds(slices: str, expected: list[SliceSpec | None]) -> None:
    """Every slice, the overall one, those of a feature with any value or one, or of both at once."""
    assert [rule.where for rule in rules(f"auc: {{at_least: 0.5, slices: {slices}}}")] == expected


def test_json_may_be_short_too() -> None:
    """It is YAML; the content says which it is."""
    short = {"auc": {"at_least": 0.5}, "loss": {"at_most": 1}}
    assert rules(json.dumps(short)) == rules("auc: {at_least: 0.5}\nloss: {at_most: 1}")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "slicing_specs {}",
        "slicing_specs: {}\nslicing_specs: {}",
        "# a comment\n\nmetrics_spec: { thresholds: { } }",
        '{"slicing_specs": []}',
        '{"metricsSpecs": [{"at_least": 1}]}',
        "auc: 0.9",
        "auc: {atleast: 0.9}",
        "- auc",
        "auc: {at_least: 0.9",
        "\x00",
    ],
)
def test_what_is_not_short_is_an_eval_config(text: str) -> None:
    """Nothing, fields of EvalConfig, and what neither is: that is told what EvalConfig lacks."""
    assert load_short(text, "gate") is None


def test_what_neither_is_gets_the_message_of_an_eval_config() -> None:
    """With line and column."""
    assert refused("auc: 0.9").startswith("gate, line 1, column 1: EvalConfig has no field 'auc'")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("auc: {at_least: 0.9, atmost: 1}", "gate, auc: 'atmost' is not known"),
        ("auc: {at_least: high}", "gate, auc: at_least is a number, not 'high'"),
        ("auc: {at_least: true}", "gate, auc: at_least is a number, not True"),
        ("auc: {at_least: .nan}", "gate, auc: at_least is a number, not nan"),
        ("auc: {at_least: null}", "gate, auc: at_least is a number, not None"),
        ("auc: {not_worse_than_baseline_by: -0.1}", "a margin to the baseline is at least 0, not -0.1"),
        ("auc: {at_least: 1, lower_is_better: 1}", "lower_is_better is true or false, not 1"),
        ("auc: {slices: all}", "gate, auc: nothing is asked of it"),
        ("auc: {at_least: 1}\nloss: 3", "gate, loss: what is asked of it is a mapping"),
        ("auc: {at_least: 1}\n3: {at_least: 1}", "gate, 3: the name of a metric is text"),
        ("auc: {at_least: 1}\nauc: {at_least: 2}", "gate, line 1: 'auc' stands twice"),
        ("auc: {at_least: 1, slices: []}", "slices is empty"),
        ("auc: {at_least: 1, slices: [[]]}", "slices has []"),
        ("auc: {at_least: 1, slices: 3}", "slices has 3"),
        ("auc: {at_least: 1, slices: [{age: [1]}]}", "slices has {'age': [1]}"),
        ("auc: {at_least: 1, slices: [[age, {age: 1}]]}", "'age' is both in"),
        ("auc: {at_least: 1, slices: [[{age: 1}, {age: 2}]]}", "which names a feature twice"),
        ("auc: {at_least: 1, slices: [{3: 1}]}", "slices has {3: 1}"),
    ],
)
def test_what_cannot_be_meant_is_refused(text: str, why: str) -> None:
    """Naming the metric and the key."""
    assert why in refused(text)


@given(st.text(max_size=40))
def test_any_text_is_a_gate_or_a_fault(text: str) -> None:
    """Nothing but `InputError` comes of what is neither."""
    try:
        read_gate(text, "gate")
    except InputError as error:
        assert str(error).startswith("gate")
