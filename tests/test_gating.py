"""A job's gate: refused or stored at the launch, and held against the job's report."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bulkqa import jobs, steps
from bulkqa.errors import ConflictError, InputError, NotFoundError
from bulkqa.evaluation.validation_result import read_verdict
from bulkqa.flow.evidence import Counts
from bulkqa.flow.limits import Outcome
from bulkqa.flow.slices import MetricKey
from bulkqa.ports import Store
from bulkqa.settings import JobSettings, StopEarly
from bulkqa.steps import gating
from bulkqa.steps.gating import GateFile
from bulkqa.steps.judging import judge_job
from tests.support import CREATED, corpus_of, local_store, opener, quiet
from tests.test_cli import bulkqa
from tests.test_labeling_jobs import Bucket
from tests.test_labeling_rounds import Job
from tests.test_reporting import FIRST, ended

CORPUS = corpus_of([(f"{number}.jpg", f"L{number // 6}", 80 + number) for number in range(12)])
GATE = b"precision: {at_least: 0.95, slices: overall}\n"
BASELINE = b"""
model_specs { name: "new" }
model_specs { name: "before" is_baseline: true }
metrics_specs {
  thresholds {
    key: "precision"
    value { change_threshold { direction: HIGHER_IS_BETTER absolute { value: 0 } } }
  }
}
slicing_specs {}
"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store of its own."""
    with local_store(tmp_path / "home") as store:
        yield store


def launch(
    store: Store, gate: bytes | None = GATE, corpus: bytes = CORPUS, **settings: Any
) -> steps.Launched:
    """Launch six pages of two pictures of two labels, with a gate."""
    known: dict[str, Any] = {"job": "dogs", "batch_size": 2, "bands": (80, 90, 100)}
    return steps.launch(
        opener(corpus),
        JobSettings(corpus_name="corpus.csv", **known | settings),
        store,
        created_at=CREATED,
        keep=None,
        notice=quiet,
        gate=None if gate is None else GateFile("gate.txt", gate),
    )


def answer(store: Store, *pages: int, wrong: int = 0, job: str = "dogs") -> None:
    """Have somebody answer these pages, of each so many of the two pictures wrong."""
    for page in pages:
        content = {f"item-{place:03d}": {"Confirmed": place >= wrong} for place in range(2)}
        steps.answer_page(job, page, "ana", content, store, "2026-01-02T04:00:00Z")


def test_a_gate_is_stored_as_received(store: Store) -> None:
    """Its bytes lie beside the corpus, and job.json has key and digest; launched again it is the same job."""
    assert not launch(store, b"\xef\xbb\xbf" + GATE).again
    assert store.blobs.read("jobs/dogs/gate.txt") == b"\xef\xbb\xbf" + GATE
    settings = jobs.settings_of("dogs", store.blobs)
    assert settings.gate == gating.stored("dogs", GateFile("x", b"\xef\xbb\xbf" + GATE))
    assert launch(store, b"\xef\xbb\xbf" + GATE).again


def test_without_a_gate_nothing_changes(store: Store) -> None:
    """No file and no word of it: job.json is byte for byte as it was before there were gates."""
    launch(store, None)
    document = json.loads(store.blobs.read("jobs/dogs/job.json"))
    assert document["gate"] is None
    with pytest.raises(NotFoundError):
        store.blobs.read("jobs/dogs/gate.txt")
    with pytest.raises(InputError, match="job 'dogs' was launched without a gate"):
        judge_job("dogs", store)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [(GATE, GATE + b"\n", "another gate"), (None, GATE, "no gate"), (GATE, None, "a gate")],
)
def test_another_gate_is_another_job(
    store: Store, before: bytes | None, after: bytes | None, said: str
) -> None:
    """A job is not launched twice with different gates."""
    launch(store, before)
    with pytest.raises(ConflictError, match=f"was launched with {said};"):
        launch(store, after)


@pytest.mark.parametrize(
    ("gate", "said"),
    [
        (b"\xff", "no UTF-8 text"),
        (b"", "no metric has a threshold"),
        (b"precision: {at_leest: 0.9, at_most: 1}", "'at_leest' is not known"),
        (b"metrics_specs { metrics { class_nam: 'AUC' } }", "class_nam"),
        (b"precison: {at_least: 0.9}", "no metric 'precison'; it has precision, reviewed, example_count"),
        (b"precision: {at_least: 0.9, slices: [{label: L7}]}", "no slice 'label = L7'"),
        (b"precision: {at_least: 0.9, slices: [{band: 80-85}]}", "no slice 'band = 80-85'"),
        (b"precision: {at_least: 0.9, slices: [camera]}", "no slice 'any camera'"),
        (b"precision: {not_worse_than_baseline_by: 0.01}", "no earlier job 'baseline'"),
        (BASELINE, "no earlier job 'before'"),
        (BASELINE.replace(b"is_baseline: true", b""), "one model to be gated, not new and before"),
        (BASELINE.replace(b"before", b"dogs"), "no earlier job 'dogs'"),
        (BASELINE.replace(b"before", b"../dogs"), r"no earlier job '\.\./dogs'"),
    ],
)
def test_a_gate_that_no_report_could_pass_is_refused(store: Store, gate: bytes, said: str) -> None:
    """It is refused with its file's name, and nothing is written."""
    with pytest.raises(InputError, match=f"gate.txt.*{said}"):
        launch(store, gate)
    assert list(store.blobs.keys("jobs/")) == []
    assert list(store.table.rows()) == []


def test_all_confirmed_passes(store: Store) -> None:
    """Every item confirmed: the gate passes, on the counts of the report."""
    launch(store)
    answer(store, *range(6))
    held = judge_job("dogs", store)
    assert held.verdict.outcome is Outcome.PASSED
    place = held.metrics.slices[()]
    value = held.metrics.get(place, MetricKey("precision"))
    assert value is not None
    assert value.evidence == Counts(12, 12)
    assert gating.reason(held.verdict) == "1 check passed"


def test_a_wrong_label_fails(store: Store) -> None:
    """One of twelve is 0.917: failed, whatever else is still to be reviewed."""
    launch(store)
    answer(store, 0, wrong=1)
    answer(store, 1, 2, 3, 4)
    verdict = judge_job("dogs", store).verdict
    assert verdict.outcome is Outcome.FAILED
    assert gating.reason(verdict).startswith("precision, overall: 0.9, below the lower bound 0.95 by 0.05")
    assert gating.reason(verdict).endswith("(and 1 more)")


def test_items_that_wait_keep_a_gate_from_passing(store: Store) -> None:
    """As long as somebody is still to look at items, good numbers are not enough data."""
    launch(store)
    answer(store, *range(5))
    verdict = judge_job("dogs", store).verdict
    assert (verdict.ok, verdict.outcome) == (False, Outcome.UNDECIDED)
    assert "2 of 12 items are not reviewed" in gating.reason(verdict)


def test_nothing_reviewed_fails(store: Store) -> None:
    """Without a review there is no precision, and nothing that lets a model out."""
    launch(store)
    verdict = judge_job("dogs", store).verdict
    assert verdict.outcome is Outcome.FAILED
    assert "NaN" in gating.reason(verdict)


def test_intervals_decide_where_asked(store: Store) -> None:
    """Twelve of twelve do not show that 95 in 100 are right: at 95% confidence the gate is not decided."""
    launch(store)
    answer(store, *range(6))
    assert judge_job("dogs", store, confidence=0.95).verdict.outcome is Outcome.UNDECIDED


@pytest.mark.parametrize(("wrong", "outcome"), [(1, Outcome.FAILED), (0, Outcome.PASSED)])
def test_an_earlier_job_is_the_baseline(store: Store, wrong: int, outcome: Outcome) -> None:
    """The model that is_baseline names a job: its precision on the same slices is what must be kept."""
    launch(store, None, job="before")
    answer(store, *range(6), job="before")
    launch(store, BASELINE)
    answer(store, *range(5))
    answer(store, 5, wrong=wrong)
    verdict = judge_job("dogs", store).verdict
    assert verdict.outcome is outcome
    (change,) = (one for one in verdict.checks if one.slice == ())
    assert change.baseline == 1


def settle(store: Store) -> dict[str, Any]:
    """Have the job's labeling job end as stopped; return the verdict that is written."""
    store.blobs.write(jobs.labeling_job_key(FIRST), b"{}")
    done = steps.conclude(ended(FIRST, "Stopped"), store)
    assert done is not None
    assert done.verdict is not None
    document: dict[str, Any] = json.loads(store.blobs.read("jobs/dogs/report/verdict.json"))
    assert document.get("validation_ok", False) == done.verdict.ok
    return document


def test_the_verdict_is_kept(store: Store) -> None:
    """It is TFMA's ValidationResult, with all that it takes to come to the same again."""
    launch(store)
    answer(store, *range(6))
    assert settle(store) == {
        "validation_ok": True,
        "validation_details": {"slicing_details": [{"slicing_spec": {}, "num_matching_slices": 1}]},
    }


@pytest.mark.parametrize(
    ("answered", "wrong", "outcome"),
    [(6, 0, Outcome.PASSED), (6, 1, Outcome.FAILED), (5, 0, Outcome.UNDECIDED), (0, 0, Outcome.FAILED)],
)
def test_a_verdict_that_was_kept_comes_out_the_same(
    store: Store, answered: int, wrong: int, outcome: Outcome
) -> None:
    """Who reads the file alone comes to the outcome that the event told."""
    launch(store)
    answer(store, *range(answered), wrong=wrong)
    kept = read_verdict(json.dumps(settle(store)).encode(), "verdict.json")
    assert kept.outcome is outcome


def test_a_lost_baseline_fails_and_says_so(store: Store, tmp_path: Path) -> None:
    """Without its baseline a change cannot be looked at: failed with the reason, never a rubber stamp."""
    launch(store, None, job="before")
    launch(store, BASELINE)
    answer(store, *range(6))
    (tmp_path / "home/jobs/before/job.json").unlink()
    document = settle(store)
    assert not document.get("rubber_stamp")
    assert "the baseline is missing" in json.dumps(document)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (b"precision: {at_least: 0.1}", "it is not the gate that job 'dogs' was launched with"),
        (None, "gate.txt"),
    ],
)
def test_a_gate_that_was_changed_fails(store: Store, tmp_path: Path, change: bytes | None, said: str) -> None:
    """A gate that is not the one of the launch, or is gone, has failed, and the report is written."""
    launch(store)
    answer(store, *range(6))
    path = tmp_path / "home/jobs/dogs/gate.txt"
    path.unlink()
    if change is not None:
        path.write_bytes(change)
    assert said in json.dumps(settle(store))
    assert json.loads(store.blobs.read("jobs/dogs/report/report.json"))["totals"]["confirmed"] == 12


def test_where_labels_close_early_the_gate_waits(store: Store, tmp_path: Path) -> None:
    """While a next round is due there is no verdict; once every label is closed, nobody is waited for."""
    corpus = corpus_of([(f"s3://pictures/{n}.jpg", "A", 99.5) for n in range(750)])
    store = store._replace(blobs=Bucket(tmp_path / "home"), queue=None)
    gate = b"precision: {at_least: 0.5, slices: overall}"
    launch(store, gate, corpus, batch_size=25, stop_early=StopEarly(reviews=400), host="ground-truth")
    job = Job(store)
    job.start()
    job.end("dogs--000-1", lambda _, place: place == 0, expired=(4,))
    done = steps.conclude(ended("dogs--000-1"), store)
    assert done is not None
    assert (done.outcome, done.verdict) == ("next round due", None)
    job.start()
    job.end("dogs--000-2", lambda _, place: place == 0)
    job.start()
    done = steps.conclude(ended("dogs--000-2"), store)
    assert done is not None
    assert done.verdict is not None
    assert done.outcome == "partly reviewed"
    assert done.verdict.outcome is Outcome.PASSED


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A corpus in the folder that the command is run from."""
    monkeypatch.chdir(tmp_path)
    Path("corpus.csv").write_bytes(CORPUS)
    return "corpus.csv"


def test_the_command_takes_a_gate(corpus: str) -> None:
    """`bulkqa launch --gate FILE` stores it; what the gate does not act on is a warning."""
    Path("gate.txt").write_text(
        "metrics_specs { thresholds { key: 'reviewed' "
        "value { value_threshold { lower_bound { value: 1 } } } } } "
        "options { include_default_metrics { value: true } }"
    )
    run = bulkqa("launch", corpus, "--job", "dogs", "--gate", "gate.txt")
    assert run.code == 0, run.err
    assert "gate: not used" in run.err
    assert Path(".bulkqa/jobs/dogs/gate.txt").read_bytes() == Path("gate.txt").read_bytes()
    Path("gate.txt").write_bytes(GATE)
    run = bulkqa("launch", corpus, "--job", "dogs", "--gate", "gate.txt")
    assert (run.code, "was launched with another gate" in run.err) == (2, True)


@pytest.mark.parametrize("gate", [b"precision: {at_least: most}", b"auc: {at_least: 0.9}", None])
def test_the_command_refuses_what_cannot_be_used(corpus: str, gate: bytes | None) -> None:
    """Exit 2, with the file's name, before anything of the job is there."""
    if gate is not None:
        Path("gate.yaml").write_bytes(gate)
    run = bulkqa("launch", corpus, "--job", "dogs", "--gate", "gate.yaml")
    assert run.code == 2
    assert "gate.yaml" in run.err
    assert not Path(".bulkqa/jobs").exists()


def test_a_gate_is_checked_before_the_corpus_is_read(store: Store) -> None:
    """What can be said without the corpus is said before a picture is looked at, and maybe copied."""
    with pytest.raises(InputError, match="no metric 'auc'"):
        launch(store, b"auc: {at_least: 0.9}", b"no corpus at all")
