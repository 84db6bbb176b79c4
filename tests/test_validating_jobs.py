"""`bulkqa validate --job`, and with results of other commands as metrics."""

import json
from pathlib import Path

import pytest

from tests.support import corpus_of
from tests.test_cli import answer, bulkqa

GATE = "precision: {at_least: 0.95, slices: overall}\n"


@pytest.fixture(autouse=True)
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The job `dogs` of two pages of two pictures, with a gate, in the usual home."""
    monkeypatch.chdir(tmp_path)
    Path("corpus.csv").write_bytes(corpus_of([(f"{n}.jpg", "Dog", 90 + n) for n in range(4)]))
    Path("gate.yaml").write_text(GATE)
    run = bulkqa("launch", "corpus.csv", "--job", "dogs", "--batch-size", "2", "--gate", "gate.yaml")
    assert run.code == 0, run.err


def test_the_exit_code_is_the_verdict() -> None:
    """Nothing reviewed has failed, half of it right is not decided, all of it right has passed."""
    assert bulkqa("validate", "--job", "dogs").code == 1
    answer("dogs", 0, True, True)
    run = bulkqa("validate", "--job", "dogs")
    assert (run.code, "2 of 4 items are not reviewed" in run.out) == (3, True)
    answer("dogs", 1, True, True)
    run = bulkqa("validate", "--job", "dogs", "--format", "json")
    assert (run.code, json.loads(run.out)["validation_ok"]) == (0, True)
    assert bulkqa("validate", "--job", "dogs", "--intervals", "0.95").code == 3
    assert not Path(".bulkqa/jobs/dogs/report").exists()


def test_another_gate_on_the_same_votes() -> None:
    """EVAL_CONFIG stands in for the job's own gate."""
    answer("dogs", 0, True, False)
    answer("dogs", 1, True, True)
    assert bulkqa("validate", "--job", "dogs").code == 1
    Path("other.yaml").write_text("precision: {at_least: 0.75, slices: overall}")
    assert bulkqa("validate", "other.yaml", "--job", "dogs").code == 0
    page = bulkqa("validate", "--job", "dogs", "--format", "html")
    assert (page.code, "<table" in page.out) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--job", "cats"), "there is no job 'cats'"),
        (("--job", "dogs", "--metrics", "m.json"), "it goes alone"),
        (("--show", "v.json", "--job", "dogs"), "--show shows a result as it was kept"),
        ((), "--job JOB"),
    ],
)
def test_what_does_not_go_together_is_refused(arguments: tuple[str, ...], said: str) -> None:
    """Exit 2, with a sentence."""
    run = bulkqa("validate", *arguments)
    assert run.code == 2
    assert said in " ".join(run.err.split())


def test_a_report_is_a_metrics_file() -> None:
    """What `bulkqa report --format json` writes is taken as it is."""
    answer("dogs", 0, True, False)
    report = bulkqa("report", "dogs", "--format", "json", "-o", "report.json")
    assert report.code == 0, report.err
    run = bulkqa("validate", "gate.yaml", "--metrics", "report.json")
    assert (run.code, "0.5, below" in run.out) == (1, True), run.err


def test_results_of_metrics_are_metrics_files() -> None:
    """So is what `bulkqa metrics` writes, of two classes or of several."""
    for labels, name in ((("anomaly", "normal"), "two.json"), (("cat", "dog", "emu"), "several.json")):
        rows = "".join(f"{label},{label}\n" for label in labels)
        Path("rows.csv").write_text("ground_truth,predicted\n" + rows)
        assert bulkqa("metrics", "rows.csv", "-o", name).code == 0
        run = bulkqa("validate", "gate.yaml", "--metrics", name)
        assert (run.code, run.err) == (0, "")
