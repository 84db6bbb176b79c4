"""`bulkqa validate`: results, messages and exit codes, as a user has them; and the same from Python."""

import json
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format  # type: ignore[import-untyped]

from bulkqa.cli import validating  # noqa: F401  adds the command
from bulkqa.errors import InputError
from bulkqa.evaluation.schema import message_type
from bulkqa.flow.evidence import Value
from bulkqa.flow.slices import MetricKey, Metrics
from bulkqa.gate import GateFailed, validate
from tests.test_cli import Run, bulkqa

GATE = """
metrics_specs {
  metrics { class_name: "AUC" threshold { value_threshold { lower_bound { value: 0.7 } } } }
}
"""
CHANGE = """
model_specs { label_key: "label" }
metrics_specs { thresholds { key: "auc" value {
  change_threshold { direction: HIGHER_IS_BETTER absolute { value: -0.01 } } } } }
"""


def metrics_of(*slices: dict[str, Any]) -> dict[str, Any]:
    """A metrics file, from the values by model in the overall slice and those of ages 1, 2, ..."""
    return {
        "slices": [
            {
                "slice": [["age", place]] if place else [],
                "metrics": [
                    {"name": "auc", "model": model, "value": value, "is_diff": model == "diff"}
                    for model, value in values.items()
                ],
            }
            for place, values in enumerate(slices)
        ]
    }


def run(gate: str, metrics: Any, *arguments: str) -> Run:
    """Run the command on these contents."""
    Path("gate.txt").write_text(gate)
    Path("metrics.json").write_text(json.dumps(metrics))
    return bulkqa("validate", "gate.txt", "--metrics", "metrics.json", *arguments)


def test_a_good_model_passes() -> None:
    """Exit 0, and a line for each threshold; nothing on standard error."""
    done = run(GATE, metrics_of({"": 0.9}, {"": 0.8}))
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("Validation ok: 2 checks passed.")
    assert "0.8 to 0.9" in done.out


def test_a_bad_model_fails_with_what_where_and_by_how_much() -> None:
    """Exit 1; the slice, the metric, the value, the bound and the distance."""
    done = run(GATE, metrics_of({"": 0.9}, {"": 0.62}))
    assert done.code == 1
    assert done.out.startswith("Validation FAILED: 1 of 2 checks failed.")
    (line,) = [line for line in done.out.splitlines() if line.startswith("age = 1")]
    assert " ".join(line.split()) == "age = 1 auc 0.62, below the lower bound 0.7 by 0.08"


def test_json_is_a_validation_result() -> None:
    """Protobuf JSON with the fields' own names, alone on standard output."""
    done = run(GATE, metrics_of({"": 0.62}), "--format", "json")
    assert done.code == 1
    (part,) = done.json["metric_validations_per_slice"]
    assert part["failures"][0]["metric_value"] == {"double_value": 0.62}
    assert part["failures"][0]["metric_key"] == {"name": "auc"}
    done = run(GATE, metrics_of({"": 0.8}), "--format", "json")
    assert done.json["validation_ok"] is True


def test_text_is_a_validation_result() -> None:
    """Protobuf's own parser reads it."""
    done = run(GATE, metrics_of({"": 0.62}), "--format", "text")
    message = text_format.Parse(done.out, message_type("ValidationResult")())
    assert not message.validation_ok
    assert message.metric_validations_per_slice[0].failures[0].metric_key.name == "auc"


def test_html_is_one_page() -> None:
    """With the metrics of every slice; exit codes are as ever."""
    done = run(GATE, metrics_of({"": 0.9}, {"": 0.62}), "--format", "html")
    assert done.code == 1
    assert done.out.startswith("<!DOCTYPE html>")
    assert "age = 1" in done.out


@pytest.mark.parametrize("format", ["table", "text", "json", "html"])
def test_it_is_written_to_a_file(format: str) -> None:
    """Nothing is printed, and the exit code tells the verdict."""
    done = run(GATE, metrics_of({"": 0.62}), "--format", format, "-o", "verdict")
    assert (done.code, done.out) == (1, "")
    assert "auc" in Path("verdict").read_text("utf-8")


@pytest.mark.parametrize("format", ["text", "json"])
def test_a_result_that_was_kept_is_shown(format: str) -> None:
    """With the exit code it had; in every format."""
    run(GATE, metrics_of({"": 0.9}, {"": 0.62}), "--format", format, "-o", "kept")
    done = bulkqa("validate", "--show", "kept")
    assert done.code == 1
    assert "1 check failed" in done.out
    assert "age = 1" in done.out
    assert "overall (2)" in done.out
    assert bulkqa("validate", "--show", "kept", "--format", "json").json["metric_validations_per_slice"]
    page = bulkqa("validate", "--show", "kept", "--format", "html")
    assert (page.code, "age = 1" in page.out) == (1, True)
    run(GATE, metrics_of({"": 0.9}), "--format", format, "-o", "kept")
    assert bulkqa("validate", "--show", "kept").code == 0


def test_a_change_needs_a_baseline() -> None:
    """Exit 2 with TFMA's sentence; rubber stamped it is ok."""
    done = run(CHANGE, metrics_of({"": 0.9}))
    assert done.code == 2
    assert "There are change thresholds, but the baseline is missing." in done.err
    assert done.out == ""
    stamped = run(CHANGE, metrics_of({"": 0.9}), "--rubber-stamp", "--format", "json")
    assert stamped.code == 0
    assert stamped.json == {"validation_ok": True, "rubber_stamp": True}
    compared = run(CHANGE, metrics_of({"candidate": 0.9, "baseline": 0.95}), "--rubber-stamp")
    assert compared.code == 1


def test_warnings_go_to_standard_error() -> None:
    """What is not acted on, and what the verdict notes; the table has the notes itself."""
    metrics = metrics_of({"": 0.9, "shadow": 0.1})
    done = run(f'{GATE} model_specs {{ label_key: "l" }}', metrics, "--format", "json")
    assert done.code == 0
    assert "warning: gate.txt: not used, since the metrics are given: model_specs.label_key" in done.err
    assert "'shadow'" in done.err
    assert "Note: the metrics have a model 'shadow'" in run(GATE, metrics).out


@pytest.mark.parametrize(
    ("gate", "why"),
    [
        ("metrics_specs { foo: 1 }", "gate.txt, line 1, column 17: MetricsSpec has no field 'foo'"),
        ('metrics_specs { metrics { class_name: "Total" } }', "no metric of TFMA or Keras is called 'Total'"),
        ('{"metrics_specs": [{"foo": 1}]}', "gate.txt, metrics_specs[0]: MetricsSpec has no field 'foo'"),
        ("auc: {at_least: x}", "gate.txt, auc: at_least is a number"),
    ],
)
def test_a_configuration_that_cannot_be_used(gate: str, why: str) -> None:
    """Exit 2, naming the place."""
    done = run(gate, metrics_of({"": 0.9}))
    assert done.code == 2
    assert why in done.err


def test_metrics_that_cannot_be_used() -> None:
    """Exit 2, naming slice and metric."""
    done = run(GATE, metrics_of({"": "high"}))
    assert done.code == 2
    assert "metrics.json, slice overall, metric 'auc': 'high' is no number" in done.err


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ([], "needs EVAL_CONFIG and --metrics FILE"),
        (["gate.txt"], "needs EVAL_CONFIG and --metrics FILE"),
        (["--metrics", "m.json"], "needs EVAL_CONFIG and --metrics FILE"),
        (["gate.txt", "--show", "kept"], "--show shows a result as it was kept"),
        (["--show", "kept", "--jointly"], "--show shows a result as it was kept"),
        (["--show", "nowhere"], "nowhere: No such file or directory"),
        (["nowhere", "--metrics", "m.json"], "nowhere: No such file or directory"),
        (["gate.txt", "--metrics", "nowhere"], "nowhere: No such file or directory"),
        (["gate.txt", "--metrics", "gate.txt", "--format", "csv"], "csv"),
    ],
)
def test_usage_that_cannot_be_meant(arguments: list[str], why: str) -> None:
    """Exit 2, saying what is needed."""
    Path("gate.txt").write_text("auc: {at_least: 0.5}")
    done = bulkqa("validate", *arguments)
    assert done.code == 2
    assert why in done.err


def test_a_file_that_is_no_text() -> None:
    """Exit 2, by its name."""
    Path("gate.txt").write_bytes(b"\xff\xfe\xfa")
    done = bulkqa("validate", "gate.txt", "--metrics", "gate.txt")
    assert (done.code, "gate.txt: no UTF-8 text" in done.err) == (2, True)


def test_intervals_have_an_exit_code_of_their_own() -> None:
    """3 where there is not enough data, with what would be enough; 0 and 1 as ever."""
    counts = [{"": {"successes": successes, "trials": 100}} for successes in (72, 90, 50)]
    done = run(GATE, metrics_of(counts[0]), "--intervals", "0.95")
    assert done.code == 3
    assert done.out.startswith("Validation NOT DECIDED: 1 of 1 lack data.")
    assert "more examples would decide" in " ".join(done.out.split())
    assert run(GATE, metrics_of(counts[1]), "--intervals", "0.95").code == 0
    assert run(GATE, metrics_of(counts[0], counts[2]), "--intervals", "0.95").code == 1
    assert run(GATE, metrics_of(counts[0])).code == 0
    done = run(GATE, metrics_of(counts[0]), "--intervals", "0.95", "--format", "json")
    assert done.code == 3
    assert "validation_ok" not in done.json
    Path("kept").write_text(done.out)
    assert bulkqa("validate", "--show", "kept").code == 3


def test_jointly_says_that_it_holds_for_all() -> None:
    """And without it, how many may be wrong; it needs intervals, which are a share."""
    slices = [{"": {"successes": 800, "trials": 1000}}] * 4
    assert "jointly (Holm)" in run(GATE, metrics_of(*slices), "--intervals", "0.95", "--jointly").out
    alone = run(GATE, metrics_of(*slices), "--intervals", "0.95")
    assert "of 4 checks that are decided, up to 0.1 may be wrong by chance" in alone.out
    assert run(GATE, metrics_of(*slices), "--jointly").code == 2
    done = run(GATE, metrics_of(*slices), "--intervals", "95")
    assert (done.code, "between 0 and 1" in done.err) == (2, True)


def test_a_gate_may_be_short() -> None:
    """In YAML, whatever the file is called."""
    short = "auc: {at_least: 0.7, slices: overall}"
    assert run(short, metrics_of({"": 0.9}, {"": 0.1})).code == 0


def test_many_failures_are_not_all_listed() -> None:
    """The table says how many more there are."""
    done = run(GATE, metrics_of(*[{"": 0.1}] * 80))
    assert "... and 30 more; --format json has them all." in done.out


def test_several_candidates_are_told_apart() -> None:
    """By name, where there are more than one."""
    gate = 'model_specs { name: "a" } model_specs { name: "b" }' + GATE
    done = run(gate, metrics_of({"a": 0.9, "b": 0.1}))
    assert done.code == 1
    (line,) = [line for line in done.out.splitlines() if line.startswith("overall")]
    assert line.split()[:3] == ["overall", "auc", "b"]


def test_missing_slices_are_said() -> None:
    """By the spec that names them."""
    done = run("auc: {at_least: 0.5, slices: [country]}", metrics_of({"": 0.9}))
    assert done.code == 1
    assert "slices are missing" in done.out
    assert "Missing: a threshold is on any country, and nothing could be checked there." in done.out


# From Python.


def test_python_has_it_too(tmp_path: Path) -> None:
    """From files, from mappings, and from metrics as they are."""
    (tmp_path / "gate.yaml").write_text("auc: {at_least: 0.7}")
    (tmp_path / "metrics.json").write_text(json.dumps(metrics_of({"": 0.9})))
    assert validate(tmp_path / "gate.yaml", str(tmp_path / "metrics.json")).ok
    assert validate({"auc": {"at_least": 0.7}}, metrics_of({"": 0.9})).ok
    assert validate({"auc": {"at_least": 0.7}}, Metrics({(): {MetricKey("auc"): Value(0.9)}})).ok
    config = {"metrics_specs": [{"thresholds": {"auc": {"value_threshold": {"lower_bound": 0.95}}}}]}
    assert not validate(config, metrics_of({"": 0.9})).ok
    with pytest.raises(InputError, match=r"nowhere\.yaml"):
        validate("nowhere.yaml", {})


def test_a_verdict_raises_and_prints() -> None:
    """As a message with the headline, as the command's table, and as a table of HTML in which all is text."""
    metrics = metrics_of({"": 0.62}, {"": 0.9})
    metrics["slices"][1]["slice"] = [["<b>", "&"]]
    verdict = validate({"auc": {"at_least": 0.7}}, metrics)
    with pytest.raises(GateFailed, match="1 of 2 checks failed") as failed:
        verdict.raise_for_failure()
    assert failed.value.verdict is verdict
    assert failed.value.exit_code == 1
    assert "below the lower bound" in str(verdict)
    assert "<td>auc</td>" in verdict._repr_html_()
    bad = validate({"auc": {"at_least": 0.99}}, metrics)
    assert "&lt;b&gt; = &amp;" in bad._repr_html_()
    validate({"auc": {"at_least": 0.5}}, metrics).raise_for_failure()


def test_python_is_told_what_was_not_used() -> None:
    """Warnings of the configuration are notes of the verdict."""
    config = {"model_specs": [{"label_key": "l"}], "metrics_specs": []}
    verdict = validate(config, metrics_of({"": 0.9}), rubber_stamp=True)
    assert verdict.ok
    assert "model_specs.label_key" in verdict.notes[0]
