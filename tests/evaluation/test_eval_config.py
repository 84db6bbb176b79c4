"""Gates from TFMA's EvalConfig: which threshold is on which metric, and what TFMA itself says to them."""

import json
from pathlib import Path

import pytest

from bulkqa.errors import InputError
from bulkqa.evaluation import schema
from bulkqa.evaluation.eval_config import Configured, read_eval_config
from bulkqa.evaluation.metric_classes import KNOWN, metric_name
from bulkqa.evaluation.metrics_file import of_document
from bulkqa.evaluation.validation_result import to_message
from bulkqa.flow.gate import Rule, judge
from bulkqa.flow.limits import ChangeThreshold, Direction, ValueThreshold
from bulkqa.flow.slices import CrossSliceSpec, MetricKey, SliceSpec, SubKey
from tests.evaluation.tfma_cases import ANSWERS, CASES, case, plain

VALUE = "value_threshold { lower_bound { value: 0.7 } }"
CHANGE = "change_threshold { direction: HIGHER_IS_BETTER absolute { value: -1e-10 } }"
AT_LEAST = ValueThreshold(0.7)

# Built like the example in TFMA's guide to model validation, `metrics_spec` and all.
GUIDE = """
  model_specs { label_key: "y" example_weight_key: "w" }  # both say how metrics are computed
  metrics_spec {
    thresholds {
      key: "auc"
      value: {
        value_threshold { lower_bound { value: 0.7 } }
        change_threshold { direction: HIGHER_IS_BETTER absolute { value: -1e-10 } }
      }
    }
    # A metric that is computed: its class is named.
    metrics { class_name: "AUC" threshold { value_threshold { lower_bound { value: 0 } } } }
  }
  slicing_specs {}
  slicing_specs { feature_keys: ["age"] }
"""


def read(text: str) -> Configured:
    """Read a configuration called `gate`."""
    return read_eval_config(text, "gate")


def rules(text: str) -> tuple[Rule, ...]:
    """Return the rules of a MetricsSpec."""
    return read(f"metrics_specs {{ {text} }}").gate.rules


def keys(text: str) -> list[MetricKey]:
    """Return the metrics that rules of a MetricsSpec are on."""
    return [rule.metric for rule in rules(text)]


def refused(text: str) -> str:
    """Return why a configuration cannot be used."""
    with pytest.raises(InputError) as error:
        read(text)
    assert str(error.value).startswith("gate: ")
    return str(error.value)


def test_the_example_of_the_guide_loads_with_warnings() -> None:
    """Thresholds of stored and of computed metrics; `metrics_spec` is told, and what is not used."""
    gate, warnings = read(GUIDE)
    change = ChangeThreshold(absolute=-1e-10, direction=Direction.HIGHER_IS_BETTER)
    assert [(rule.metric.name, rule.metric.example_weighted, rule.threshold) for rule in gate.rules] == [
        ("auc", None, AT_LEAST),
        ("auc", None, change),
        ("auc", True, ValueThreshold(0.0)),
    ]
    assert (gate.models, gate.baseline) == (("",), "baseline")
    assert gate.slices == (SliceSpec(), SliceSpec(("age",)))
    assert warnings == (
        "metrics_spec is read as metrics_specs, as TFMA calls it",
        "not used, since the metrics are given: model_specs.label_key",
    )


@pytest.mark.parametrize("seed", range(CASES))
def test_it_says_what_tfma_says(seed: int) -> None:
    """Configurations and metrics by chance: the result is TFMA's, field by field, or refused as there."""
    config, metrics, rubber_stamp = case(seed)
    gate = read(json.dumps(config)).gate
    expected = json.loads(ANSWERS.read_text("utf-8"))[seed]
    if expected is None:
        with pytest.raises(InputError, match="the baseline is missing"):
            judge(gate, of_document(metrics, "metrics"), rubber_stamp=rubber_stamp)
        return
    verdict = judge(gate, of_document(metrics, "metrics"), rubber_stamp=rubber_stamp)
    assert plain(schema.as_json(to_message(verdict))) == expected


def test_the_answers_are_of_every_kind() -> None:
    """Some cases are ok, some fail, some are refused, and in some something is missing."""
    answers = json.loads(ANSWERS.read_text("utf-8"))
    said = [answer for answer in answers if answer is not None]
    assert len(answers) == CASES
    assert len(said) < CASES
    for key in ("validation_ok", "missing_slices", "missing_thresholds", "rubber_stamp"):
        assert 3 <= sum(key in answer for answer in said) < CASES - 3
    text = ANSWERS.read_text("utf-8")
    assert all(word in text for word in ("Metric not f", "Invalid metr", "NaN", "is_diff", "sub_key"))


# Where thresholds live, and which metric they are on.


def test_thresholds_of_a_metrics_spec_are_on_metrics_of_that_name() -> None:
    """In every slice, on some slices, and across slices; their weighting is not set."""
    text = (
        f'thresholds {{ key: "a" value {{ {VALUE} }} }} '
        f'per_slice_thresholds {{ key: "b" value {{ thresholds {{ slicing_specs {{ feature_keys: "age" }} '
        f"slicing_specs {{}} threshold {{ {VALUE} }} }} }} }} "
        f'cross_slice_thresholds {{ key: "c" value {{ thresholds {{ cross_slicing_specs {{ '
        f'baseline_spec {{}} slicing_specs {{ feature_values {{ key: "n" value: "007" }} }} }} '
        f"threshold {{ {VALUE} }} }} }} }}"
    )
    assert list(rules(text)) == [
        Rule(MetricKey("a"), AT_LEAST),
        Rule(MetricKey("b"), AT_LEAST, SliceSpec(("age",))),
        Rule(MetricKey("b"), AT_LEAST, SliceSpec()),
        Rule(MetricKey("c"), AT_LEAST, CrossSliceSpec(SliceSpec(), (SliceSpec(values=(("n", "007"),)),))),
    ]


def test_thresholds_of_a_metric_are_on_what_it_creates() -> None:
    """By the class's own name, in the three places, weighted or not by its models."""
    text = (
        f'metrics {{ class_name: "F1Score" threshold {{ {VALUE} }} '
        f'per_slice_thresholds {{ slicing_specs {{ feature_keys: "age" }} threshold {{ {VALUE} }} }} '
        f"cross_slice_thresholds {{ cross_slicing_specs {{ baseline_spec {{}} }} "
        f"threshold {{ {VALUE} }} }} }}"
    )
    key = MetricKey("f1_score", example_weighted=False)
    wheres = (None, SliceSpec(("age",)), CrossSliceSpec(SliceSpec()))
    assert list(rules(text)) == [Rule(key, AT_LEAST, where) for where in wheres]


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ("", "auc"),
        ("{}", "auc"),
        ('{"name": "mine"}', "mine"),
        ('"name": "mine"', "mine"),
        (' "name" : "mine", "curve": "PR" ', "mine"),
        ('{"name": null}', "auc"),
    ],
)
def test_the_name_of_a_metric_is_in_its_settings(settings: str, name: str) -> None:
    """They may lack their outer braces; without a name it is the class's."""
    config = json.dumps(settings)
    assert keys(f'metrics {{ class_name: "AUC" config: {config} threshold {{ {VALUE} }} }}')[0].name == name


@pytest.mark.parametrize(
    ("class_name", "settings", "name"),
    [
        ("AUC", {}, "auc"),
        ("BinaryAccuracy", {}, "binary_accuracy"),
        ("BinaryCrossEntropy", {}, "binary_crossentropy"),
        ("BinaryCrossentropy", {}, "binary_crossentropy"),
        ("COCOMeanAveragePrecision", {}, "mean_average_precision"),
        ("ExampleCount", {}, "example_count"),
        ("MeanLabel", {}, "mean_label"),
        ("MeanPrediction", {}, "mean_prediction"),
        ("NDCG", {}, "ndcg"),
        ("Precision", {}, "precision"),
        ("Recall", {}, "recall"),
        ("WeightedExampleCount", {}, "weighted_example_count"),
        ("Mean", {"feature_key_path": ["features", "age"]}, "mean_features.age"),
        ("Rouge", {"rouge_type": "rougeL"}, "rougeL"),
        ("SparseTopKCategoricalAccuracy", {}, "sparse_top_k_categorical_accuracy"),
    ],
)
def test_classes_have_the_names_that_tfma_gives_them(
    class_name: str, settings: dict[str, object], name: str
) -> None:
    """The class's words with underscores, and a few of their own."""
    assert metric_name(class_name, settings) == name
    assert class_name in KNOWN


def test_a_class_that_nobody_knows_is_refused() -> None:
    """Even where it has no threshold; a class of one's own has its module, and is taken as it is."""
    assert "metrics_specs[0].metrics[1]: " in refused(
        'metrics_specs { metrics { class_name: "AUC" } metrics { class_name: "TotalWeightedExample" } }'
    )
    assert "''" in refused("metrics_specs { metrics {} }")
    own = f'metrics {{ class_name: "MyScore" module: "my.metrics" threshold {{ {VALUE} }} }}'
    assert keys(own)[0].name == "my_score"


@pytest.mark.parametrize("config", ["{", "name", '"name"', "[1]", "{'name': 1}", '{"name": 3}', "{}{}"])
def test_settings_that_are_no_json_are_refused(config: str) -> None:
    """With the place of the metric."""
    text = f'metrics_specs {{ metrics {{ class_name: "AUC" config: {json.dumps(config)} }} }}'
    assert "metrics_specs[0].metrics[0]" in refused(text)


def test_a_threshold_is_on_each_class_and_on_the_aggregate() -> None:
    """The same on every class, k and top k that is listed, and on the aggregate; per output and weighting."""
    metric = f'metrics {{ class_name: "AUC" threshold {{ {VALUE} }} }}'
    binarize = (
        "binarize { class_ids { values: [0, 2] } k_list { values: 1 } top_k_list { values: 5 } } "
        "aggregate { micro_average: true class_weights { key: 0 value: 1 } }"
    )
    found = keys(f"{metric} {binarize}")
    subs = [SubKey(class_id=0), SubKey(class_id=2), SubKey(k=1), SubKey(top_k=5), None]
    assert [key.sub_key for key in found] == subs
    assert [key.aggregation for key in found] == [None] * 4 + ["micro_average"]
    assert [key.aggregation for key in keys(f"{metric} aggregate {{ weighted_macro_average: true }}")] == [
        "weighted_macro_average"
    ]
    top = keys(f"{metric} aggregate {{ macro_average: true top_k_list {{ values: [2, 3] }} }}")
    assert [(key.aggregation, key.sub_key) for key in top] == [
        ("macro_average", SubKey(top_k=2)),
        ("macro_average", SubKey(top_k=3)),
    ]
    assert [key.output for key in keys(f'{metric} output_names: ["a", "b"]')] == ["a", "b"]
    assert keys(f"{metric} binarize {{}}") == keys(metric)


def test_a_rule_names_the_models_of_its_spec() -> None:
    """Without names it is on every model."""
    metric = f'metrics {{ class_name: "AUC" threshold {{ {VALUE} }} }}'
    assert rules(f'{metric} model_names: ["a", "b"]')[0].models == ("a", "b")
    assert rules(metric)[0].models == ()


@pytest.mark.parametrize(
    ("models", "options", "weighted"),
    [
        ("model_specs {}", "", [False]),
        ('model_specs { example_weight_key: "w" }', "", [True]),
        ('model_specs { example_weight_key: "w" }', "example_weights { unweighted: true }", [False]),
        ("model_specs {}", "example_weights { weighted: true unweighted: true }", [True, False]),
        ("model_specs {}", "example_weights {}", [False]),
        (
            'model_specs { example_weight_keys { key: "head" value: "w" } }',
            'output_names: "head"',
            [True],
        ),
        ('model_specs { example_weight_keys { key: "head" value: "w" } }', 'output_names: "tail"', [False]),
        (
            'model_specs { name: "a" } model_specs { name: "b" example_weight_key: "w" }',
            'model_names: "a"',
            [False],
        ),
    ],
)
def test_computed_metrics_are_weighted_as_their_models_are(
    models: str, options: str, weighted: list[bool]
) -> None:
    """By what the spec says, else by whether one of its models has example weights."""
    text = f'{models} metrics_specs {{ metrics {{ class_name: "AUC" threshold {{ {VALUE} }} }} {options} }}'
    assert [rule.metric.example_weighted for rule in read(text).gate.rules] == weighted


def test_a_threshold_without_either_part_is_none() -> None:
    """`threshold {}` asks for nothing; an empty part of it does."""
    assert rules('metrics { class_name: "AUC" threshold {} }') == ()
    (one,) = rules('metrics { class_name: "AUC" threshold { value_threshold {} } }')
    assert one.threshold == ValueThreshold()


def test_a_bound_without_a_value_is_0() -> None:
    """Which is not the same as no bound."""
    (one,) = rules('metrics { class_name: "AUC" threshold { value_threshold { lower_bound {} } } }')
    assert one.threshold == ValueThreshold(lower=0.0)


def test_text_and_json_are_told_apart_by_what_they_say() -> None:
    """The same gate in both, also behind a byte order mark, blank lines and comments."""
    text = f'metrics_specs {{ metrics {{ class_name: "AUC" threshold {{ {VALUE} {CHANGE} }} }} }}'
    document = schema.as_json(schema.parse(text, "gate", "EvalConfig"))
    for written in (f"# {{\n\n{text}", "\ufeff\n " + json.dumps(document), json.dumps(document, indent=1)):
        assert read(written) == read(text)


# Models.


def test_one_model_is_the_baseline() -> None:
    """The others are gated; without a mark it is called baseline, where there is but one other."""
    text = 'model_specs { name: "a" } model_specs { name: "b" } model_specs { name: "old" is_baseline: true }'
    gate = read(text).gate
    assert (gate.models, gate.baseline) == (("a", "b"), "old")
    gate = read('model_specs { name: "a" }').gate
    assert (gate.models, gate.baseline) == (("a",), "baseline")
    gate = read('model_specs { name: "a" } model_specs { name: "b" }').gate
    assert (gate.models, gate.baseline) == (("a", "b"), None)
    assert read("").gate.models == ("",)
    gate = read('model_specs { name: "baseline" }').gate
    assert (gate.models, gate.baseline) == (("baseline",), None)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            'model_specs { name: "a" is_baseline: true } model_specs { name: "b" is_baseline: true }',
            "one baseline",
        ),
        ('model_specs {} model_specs { name: "b" }', "needs a name"),
        ('model_specs { name: "b" } model_specs { name: "b" }', "two models are called 'b'"),
        ("metrics_specs { binarize { k_list { values: 0 } } }", "at least 1"),
        ("metrics_specs { aggregate { top_k_list { values: -1 } } }", "at least 1"),
        (
            'slicing_specs { feature_keys: "age" feature_values { key: "age" value: "3" } }',
            "'age' is both in feature_keys and in feature_values",
        ),
        ('cross_slicing_specs { baseline_spec { slice_keys_sql: "SELECT" } }', "slice_keys_sql"),
        (
            'metrics_specs { metrics { class_name: "AUC" per_slice_thresholds { threshold {} } } }',
            "would hold nowhere",
        ),
        (
            'metrics_specs { cross_slice_thresholds { key: "a" value { thresholds { threshold {} } } } }',
            "would hold nowhere",
        ),
        (
            'metrics_specs { thresholds { key: "a" value { change_threshold { direction: 7 } } } }',
            "7 is not a valid Direction",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(text: str, why: str) -> None:
    """Contradictions, and thresholds that would hold nowhere: they would let a model through."""
    assert why in refused(text)


# Warnings.


def test_what_is_not_acted_on_is_told_once() -> None:
    """Fields that say how metrics are computed, by their path."""
    text = """
      model_specs { label_key: "l" prediction_keys { key: "a" value: "b" } }
      metrics_specs { query_key: "q" aggregate { micro_average: true class_weights { key: 1 value: 1 } } }
      metrics_specs { query_key: "q" }
      slicing_specs { slice_keys_sql: "SELECT" }
      options { min_slice_size { value: 10 } compute_confidence_intervals { value: true } }
    """
    (warning,) = read(text).warnings
    assert warning == (
        "not used, since the metrics are given: model_specs.label_key, model_specs.prediction_keys, "
        "slicing_specs.slice_keys_sql, metrics_specs.query_key, metrics_specs.aggregate.class_weights, "
        "options.compute_confidence_intervals, options.min_slice_size"
    )


def test_a_macro_average_without_weights_is_told() -> None:
    """TFMA would not compute it; given, it is gated."""
    assert "macro" in read("metrics_specs { aggregate { macro_average: true } }").warnings[0]
    assert read("metrics_specs { aggregate { macro_average: true top_k_list { values: 2 } } }").warnings == ()


def test_what_is_acted_on_warns_of_nothing() -> None:
    """A configuration of thresholds alone."""
    assert read(f'metrics_specs {{ metrics {{ class_name: "AUC" threshold {{ {VALUE} }} }} }}').warnings == ()


def test_the_cases_are_the_same_everywhere() -> None:
    """The file with the answers belongs to the cases as they are made here."""
    assert ANSWERS.parent == Path(__file__).parent
    assert case(3) == case(3)
