"""What a gate asks to be computed of rows."""

import json
from pathlib import Path
from typing import Any

import pytest

from bulkqa.errors import InputError
from bulkqa.evaluation.asked import Asked, asked
from bulkqa.evaluation.gate_file import read_gate
from bulkqa.evaluation.measures import MACRO, MICRO, Columns, Measure
from bulkqa.flow.slices import SliceSpec
from tests.test_cli import bulkqa

MODELS = 'model_specs { label_key: "is" prediction_key: "new" example_weight_key: "w" }'


def of(text: str, **options: Any) -> Asked:
    """Return what a gate asks for."""
    return asked(text, read_gate(text, "gate").gate, "gate", **options)


def test_columns_are_those_of_the_model_where_nobody_says_otherwise() -> None:
    """model_specs name label, prediction and weight; options come first; a baseline needs its own column."""
    assert of(MODELS).columns == Columns("is", {"": "new"}, "w")
    assert of(MODELS, label="l", candidate="c").columns == Columns("l", {"": "c"}, "w")
    assert of(MODELS, baseline="old").columns.models == {"candidate": "new", "baseline": "old"}
    both = 'model_specs { name: "b" label_key: "is" prediction_key: "new" }'
    both += ' model_specs { name: "a" is_baseline: true label_key: "is" prediction_key: "old" }'
    assert of(both).columns == Columns("is", {"b": "new", "a": "old"})


@pytest.mark.parametrize(("options", "option"), [({}, "--label"), ({"label": "is"}, "--candidate")])
def test_a_column_that_nobody_names(options: dict[str, str], option: str) -> None:
    """The message says which option is missing."""
    with pytest.raises(InputError, match=f"gate: {option}, or model_specs"):
        of("auc: {at_least: 0.5}", **options)


def test_settings_of_metrics() -> None:
    """Names, thresholds and curves of a MetricConfig are kept; an alias is what it stands for."""
    text = (
        """metrics_specs {
      metrics { class_name: "AUC" config: '"curve": "pr", "name": "a", "num_thresholds": 50' }
      metrics { class_name: "AUCPrecisionRecall" }
      metrics { class_name: "Precision" config: '{"thresholds": [0.7], "class_id": 2}' }
      thresholds { key: "recall" value { value_threshold { lower_bound { value: 0.5 } } } } }"""
        + MODELS
    )
    assert of(text).measures == (
        Measure("AUC", "a", curve="PR", points=50),
        Measure("AUC", "auc_precision_recall", curve="PR"),
        Measure("Precision", "precision", threshold=0.7, class_id=2),
        Measure("Recall", "recall"),
    )


def test_classes_and_their_average() -> None:
    """Each class that is listed has its metric, and so has the aggregate."""
    text = """metrics_specs { metrics { class_name: "Recall" } binarize { class_ids { values: [1, 3] } }
      aggregate { macro_average: true class_weights { key: 1 value: 0.5 } } }"""
    assert of(text + MODELS).measures == (
        Measure("Recall", "recall", class_id=1),
        Measure("Recall", "recall", class_id=3),
        Measure("Recall", "recall", aggregation=MACRO, class_weights=((1, 0.5),)),
    )
    micro = 'metrics_specs { metrics { class_name: "Recall" } aggregate { micro_average: true } }'
    assert of(micro + MODELS).measures == (Measure("Recall", "recall", aggregation=MICRO),)


def test_slices() -> None:
    """slicing_specs, else all rows; and the features that are given beside them."""
    assert of(MODELS).slices == (SliceSpec(),)
    assert of('slicing_specs { feature_keys: ["age"] }' + MODELS).slices == (SliceSpec(keys=("age",)),)
    assert of(MODELS, slices=["land"]).slices == (SliceSpec(), SliceSpec(keys=("land",)))
    short = of("auc: {at_least: 0.5, slices: [overall, land]}", label="is", candidate="new")
    assert short.slices == (SliceSpec(), SliceSpec(keys=("land",)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            'metrics_specs { metrics { class_name: "NDCG" } }',
            "metrics_specs[0].metrics[0]: NDCG is not computed",
        ),
        (
            """metrics_specs { metrics { class_name: "Precision" config: '"thresholds": [0.1, 0.2]' } }""",
            "config: thresholds of [0.1, 0.2] is not computed of rows",
        ),
        ("""metrics_specs { metrics { class_name: "AUC" config: '"curve": "XY"' } }""", "curve of 'XY'"),
        (
            'metrics_specs { thresholds { key: "loss" value {} } }',
            "'loss' is not computed of rows; these are: auc,",
        ),
        (
            'metrics_specs { metrics { class_name: "AUC" } binarize { top_k_list { values: 2 } } }',
            "metrics_specs[0].binarize.top_k_list: of rows there are metrics of class_ids alone",
        ),
        (
            'metrics_specs { metrics { class_name: "AUC" } aggregate { macro_average: true } }',
            "macro_average of rows needs class_weights",
        ),
    ],
)
def test_what_is_not_computed(text: str, message: str) -> None:
    """The place in the configuration is named."""
    with pytest.raises(InputError) as caught:
        of(text + MODELS)
    assert str(caught.value).startswith("gate: ")
    assert message in str(caught.value)


ROWS = "is,new,old,age\n1,0.9,0.4,30\n1,0.8,0.9,30\n0,0.2,0.7,30\n0,0.6,0.1,40\n1,0.7,0.8,40\n"
GATE = """
model_specs { label_key: "is" }
metrics_specs {
  metrics { class_name: "BinaryAccuracy" threshold {
    value_threshold { lower_bound { value: 0.7 } }
    change_threshold { direction: HIGHER_IS_BETTER absolute { value: 0.1 } } } } }
slicing_specs {} slicing_specs { feature_keys: ["age"] }
"""


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_from_rows_to_a_verdict(form: str, tmp_path: Path) -> None:
    """Rows of any form are measured and held against the gate, slice by slice."""
    import duckdb

    (tmp_path / "rows.csv").write_text(ROWS)
    if form == "parquet":
        duckdb.connect().execute("COPY (FROM 'rows.csv') TO 'rows.parquet' (FORMAT parquet)").fetchall()
    elif form == "jsonl":
        duckdb.connect().execute("COPY (FROM 'rows.csv') TO 'rows.jsonl' (FORMAT json)").fetchall()
    (tmp_path / "gate.txt").write_text(GATE)
    where = ("--data", f"rows.{form}", "--candidate", "new", "--baseline", "old", "--format", "json")
    run = bulkqa("validate", "gate.txt", *where)
    assert run.code == 1, run.err
    (failed,) = run.json["metric_validations_per_slice"]
    values = [one["metric_value"]["double_value"] for one in failed["failures"]]
    assert values == [0.5, -0.5]  # of age 40: one of two right, where the baseline has both
    assert "warning" not in run.err


def test_a_short_gate_takes_rows(tmp_path: Path) -> None:
    """A short gate needs no configuration of models: its options name the columns."""
    (tmp_path / "rows.csv").write_text(ROWS)
    (tmp_path / "gate.yaml").write_text("binary_accuracy: {at_least: 0.7, better_than_baseline_by: 0.1}\n")
    columns = ("--label", "is", "--candidate", "new", "--baseline", "old")
    assert bulkqa("validate", "gate.yaml", "--data", "rows.csv", *columns).code == 0
    assert bulkqa("validate", "gate.yaml", "--data", "rows.csv", *columns, "--slice", "age").code == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--data", "rows.csv", "--metrics", "m.json"), "--metrics FILE or --data ROWS"),
        (("--metrics", "m.json", "--label", "is"), "are columns of --data ROWS"),
        (("--data", "nothing.csv", "--candidate", "new"), "nothing.csv: no such file"),
        (("--data", "rows.csv", "--candidate", "knew"), "rows.csv, line 2, knew: there is no such column"),
    ],
)
def test_options_that_do_not_go_together(arguments: tuple[str, ...], message: str, tmp_path: Path) -> None:
    """Metrics are given or computed, never both, and a missing column is named with its line."""
    (tmp_path / "rows.csv").write_text(ROWS)
    (tmp_path / "gate.txt").write_text(GATE)
    (tmp_path / "m.json").write_text(json.dumps({"slices": []}))
    run = bulkqa("validate", "gate.txt", *arguments)
    assert run.code == 2
    assert message in run.err.replace("\n", " ")
