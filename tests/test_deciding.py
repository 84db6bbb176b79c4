"""`bulkqa thresholds`: from a job and from a file, by both rules, in every format."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from bulkqa import steps
from bulkqa.flow.answers import Decision
from bulkqa.flow.votes import Vote
from tests.support import corpus_of, launch, local_store
from tests.test_cli import bulkqa

HEADER = "s3_image_url,label,confidence,WorkerConfirmCount,WorkerDisconfirmCount,source\n"
KEYS = ["label", "threshold", "supported", "accepts_nothing", "reason"]


@pytest.fixture
def rows(tmp_path: Path) -> str:
    """Dog is right, Cat 1 wrong to 10 right from 80 on, Owl is wrong, Ant relabelled, Elk unreviewed."""
    of = {
        "Dog": [(99.5, 100, 0)],
        "Cat": [(82, 10, 1), (99.5, 5, 0)],
        "Owl": [(99.5, 10, 40)],
        "Ant": [(99.5, 90, 0)],
    }
    lines = [
        f"s3://zoo/{label}-{confidence}-{place}.jpg,{label},{confidence},"
        + f"{int(place < right)},{int(place >= right)},"
        + ("relabel:dogs\n" if label == "Ant" else "\n")
        for label, counts in of.items()
        for confidence, right, wrong in counts
        for place in range(right + wrong)
    ]
    (tmp_path / "rows.csv").write_text(HEADER + "".join(lines) + "s3://zoo/elk.jpg,Elk,90,0,0,\n")
    return "rows.csv"


def found(*arguments: str) -> dict[str, Any]:
    """The thresholds as JSON, by label."""
    run = bulkqa("thresholds", *arguments, "--format", "json")
    assert (run.code, run.err) == (0, "")
    return {entry["label"]: entry for entry in run.json["thresholds"]}


def test_a_target_is_the_default(rows: str) -> None:
    """Without options it is a target of 0.95 with assurance 0.95, each label with its answer."""
    run = bulkqa("thresholds", rows, "--format", "json")
    assert run.code == 0
    head = {name: run.json[name] for name in ("schema", "job", "rule", "target", "assurance")}
    assert head == {"schema": 1, "job": None, "rule": "target", "target": 0.95, "assurance": 0.95}
    assert run.json["map"] == {"Ant": None, "Cat": None, "Dog": 80, "Elk": None, "Owl": None}
    by_label = found(rows, "--target", "0.95", "--assurance", "0.95")
    assert list(by_label.values()) == run.json["thresholds"]
    assert [list(entry)[:5] for entry in by_label.values()] == [KEYS] * 5
    assert by_label["Dog"]["more_reviews_needed"] is None
    assert by_label["Cat"]["more_reviews_needed"] > 0
    assert by_label["Owl"]["accepts_nothing"]
    assert "90 of a relabelling" in by_label["Ant"]["reason"]
    assert found(rows, "--target", "0.999")["Dog"]["threshold"] is None


def test_all_labels_together(rows: str) -> None:
    """Jointly the rule says so, and 100 right of one label among four that are tested are too few."""
    run = bulkqa("thresholds", rows, "--jointly", "--format", "json")
    head = {name: run.json[name] for name in ("rule", "target", "assurance", "jointly")}
    assert head == {"rule": "target", "target": 0.95, "assurance": 0.95, "jointly": True}
    assert set(run.json["map"].values()) == {None}
    assert found(rows, "--jointly", "--target", "0.94")["Dog"]["threshold"] == 80
    assert "for all labels together" in bulkqa("thresholds", rows, "--jointly").out
    assert "jointly" not in bulkqa("thresholds", rows, "--format", "json").json


def test_a_cost_ratio(rows: str) -> None:
    """The band rule, with the keys scripts read and no promise."""
    run = bulkqa("thresholds", rows, "--cost-ratio", "10", "--format", "json")
    assert (run.json["rule"], run.json["cost_ratio"]) == ("cost-ratio", 10)
    assert [list(entry) for entry in run.json["thresholds"]] == [KEYS] * 5
    assert run.json["map"] == {"Ant": 80, "Cat": 85, "Dog": 80, "Elk": 80, "Owl": None}
    supported = [entry["label"] for entry in run.json["thresholds"] if entry["supported"]]
    assert supported == ["Cat", "Dog"]
    assert found(rows, "--cost-ratio", "9.99")["Cat"]["threshold"] == 80
    assert found(rows, "--cost-ratio", "10", "--bands", "90,100")["Cat"]["threshold"] == 90


def test_the_table_and_csv_say_the_same(rows: str) -> None:
    """Both have every label with its threshold; a file gets what standard output would."""
    run = bulkqa("thresholds", rows)
    assert run.code == 0
    assert "100 of 100 confirmed from 80 on" in run.out
    assert bulkqa("thresholds", rows, "-o", "table.txt").out == ""
    assert Path("table.txt").read_text() == run.out
    text = bulkqa("thresholds", rows, "--format", "csv").out
    lines = {line["label"]: line for line in csv.DictReader(io.StringIO(text))}
    for label, entry in found(rows).items():
        assert lines[label]["reason"] == entry["reason"]
        assert lines[label]["threshold"] == ("" if entry["threshold"] is None else str(entry["threshold"]))


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--target", "95"], "target 95"),
        (["--assurance", "1"], "assurance 1"),
        (["--cost-ratio", "ten"], "cost ratio 'ten'"),
        (["--cost-ratio", "0"], "cost ratio '0'"),
        (["--cost-ratio", "10", "--target", "0.9"], "--cost-ratio"),
        (["--cost-ratio", "10", "--jointly"], "--cost-ratio"),
        (["--bands", "90,80"], "bands '90,80'"),
        (["--target", "much"], "--target"),
    ],
)
def test_options_that_cannot_be(rows: str, arguments: list[str], named: str) -> None:
    """Exit 2, and what is wrong on standard error."""
    run = bulkqa("thresholds", rows, *arguments)
    assert (run.code, run.out) == (2, "")
    assert named in run.err


def voted(job: str, wrong: int, **settings: Any) -> None:
    """Launch a job of 120 dogs at 97 and have all of them judged, so many of them wrong."""
    corpus = corpus_of([(f"{number}.jpg", "Dog", 97.0) for number in range(120)])
    with local_store(Path(".bulkqa")) as store:
        launch(store, corpus, job=job, **settings)
        says = (Decision.DISCONFIRM if place < wrong else Decision.CONFIRM for place in range(120))
        keys = sorted(row.key for row in steps.job_rows(job, store))
        store.table.record([Vote(key, f"{job}/ana", say) for key, say in zip(keys, says, strict=True)])


def test_of_a_job() -> None:
    """A job's own votes and bands decide, few as they may be."""
    voted("dogs", 0, bands=(60, 90, 100))
    run = bulkqa("thresholds", "dogs", "--format", "json")
    assert (run.code, run.json["job"], run.json["map"]) == (0, "dogs", {"Dog": 60})
    assert found("dogs", "--bands", "70,100")["Dog"]["threshold"] == 70
    assert bulkqa("thresholds", "cats").code == 2


def test_of_a_later_round() -> None:
    """A relabelling says nothing of the model: its labels are listed without a threshold."""
    voted("again", 0, source="relabel:dogs")
    entry = found("again")["Dog"]
    assert (entry["threshold"], entry["reviewed"]) == (None, 0)
    assert "120 of a relabelling" in entry["reason"]


def test_of_a_sample() -> None:
    """A job that is an uneven sample is tested band by band: nothing is said of a band left out."""
    sample = {"Dog": [[80, 90, 500, 0], [90, 100, 600, 120]]}
    voted("part", 0, bands=(80, 90, 100), sample=sample)
    assert found("part")["Dog"]["threshold"] == 90
    document = json.loads(bulkqa("thresholds", "part", "--format", "json").out)
    assert document["thresholds"][0]["lower_bound"] == pytest.approx(0.05 ** (1 / 120))
