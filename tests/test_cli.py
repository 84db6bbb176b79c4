"""The command: its results, messages and exit codes."""

import csv
import io
import json
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from typer.testing import CliRunner

from bulkqa import cli, steps
from bulkqa.cli.app import app
from bulkqa.errors import BulkqaError
from tests.support import local_store

CORPUS = "label,confidence,image\nDog,99.5,a.jpg\nDog,85,b.jpg\nCat,79,c.jpg\nCat,high,d.jpg\nCat,91,e.jpg\n"


@dataclass
class Run:
    """What a run of the command came to."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, which holds one JSON document and nothing else."""
        return json.loads(self.out)


def bulkqa(*arguments: str) -> Run:
    """Run the command; here in this process, which is as good and much quicker."""
    out, err = io.StringIO(), io.StringIO()
    with (
        patch.object(sys, "argv", ["bulkqa", *arguments]),
        redirect_stdout(out),
        redirect_stderr(err),
        pytest.raises(SystemExit) as left,
    ):
        cli.main()
    return Run(int(left.value.code or 0), out.getvalue(), err.getvalue())


def answer(job: str, number: int, *says: bool | None) -> None:
    """Answer a page of a job in the usual home as one reviewer."""
    content = {
        f"item-{place:03d}": {"Confirmed": bool(say), "CannotJudge": say is None}
        for place, say in enumerate(says)
    }
    with local_store(Path(".bulkqa")) as store:
        steps.answer_page(job, number, "ana", content, store, "2026-01-02T00:00:00Z")


@pytest.fixture
def corpus(tmp_path: Path) -> str:
    """A corpus with one bad row and one below 80."""
    (tmp_path / "corpus.csv").write_text(CORPUS)
    return "corpus.csv"


@pytest.fixture
def job(corpus: str) -> str:
    """That corpus launched: one page of Cat (e.jpg), one of Dog (a.jpg, b.jpg)."""
    assert bulkqa("launch", corpus, "--job", "pets").code == 0
    return "pets"


def test_launch_tells_what_it_did(corpus: str) -> None:
    """JSON alone on standard output, rejected rows on standard error, exit 0."""
    run = bulkqa("launch", corpus, "--job", "pets", "--format", "json")
    assert run.code == 0
    expected = {"schema": 1, "job": "pets", "items": 3, "labels": {"Cat": 1, "Dog": 2}, "batches": 2}
    assert run.json | expected == run.json
    assert (run.json["below"], run.json["rejected"]) == (1, 1)
    assert "line 5" in run.err and "high" in run.err
    rejected = list(csv.reader(Path(run.json["rejected_file"]).read_text().splitlines()))
    assert rejected == [["file", "line", "reason"], ["corpus.csv", "5", "confidence 'high' is not a number"]]


def test_launch_again_is_the_same_job(job: str, corpus: str) -> None:
    """Launching it again as it was is fine; otherwise it is exit 2, naming the difference."""
    assert bulkqa("launch", corpus, "--job", job, "--format", "json").json["again"] is True
    other = bulkqa("launch", corpus, "--job", job, "--seed", "7")
    assert (other.code, other.out) == (2, "")
    assert "seed" in other.err


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["launch", "missing.csv", "--job", "x"], "missing.csv"),
        (["launch", "corpus.csv", "--job", "Not A Name"], "job name"),
        (["launch", "corpus.csv", "--job", "x", "--images", "nowhere"], "nowhere"),
        (["launch", "corpus.csv", "--job", "x", "--batch-size", "0"], "batch size"),
        (["launch", "corpus.csv", "--job", "x", "--bands", "80,70"], "bands"),
        (["launch", "corpus.csv", "--job", "x", "--min-confidence", "100"], "no usable row"),
        (["launch", "corpus.csv"], "--job"),
        (["report", "nothing"], "nothing"),
        (["report", "nothing.csv"], "nothing.csv"),
        (["status", "nothing"], "nothing"),
        (["replay", "nothing"], "nothing"),
        (["export", "nothing"], "nothing"),
        (["serve", "--host", "0.0.0.0"], "--reviewer"),
        (["fly"], "fly"),
        (["report", "x", "--format", "xml"], "xml"),
    ],
)
def test_bad_input_is_named(corpus: str, arguments: list[str], named: str) -> None:
    """Bad input or usage is exit 2, a word on standard error naming it, and nothing on standard output."""
    run = bulkqa(*arguments)
    assert (run.code, run.out) == (2, "")
    assert named in run.err
    assert "Traceback" not in run.err


def test_asking_for_a_job_makes_no_home(tmp_path: Path) -> None:
    """A question about what is not there leaves no folder behind."""
    bulkqa("report", "nothing")
    bulkqa("status")
    assert list(tmp_path.iterdir()) == []


def test_report_as_json_has_the_promised_shape(job: str) -> None:
    """The object of the interface, with the numbers of the votes."""
    answer(job, 1, True, False)
    report = bulkqa("report", job, "--format", "json").json
    assert report["job"] == job
    assert report["bands"] == [[80, 85], [85, 90], [90, 95], [95, 100]]
    cat, dog = report["labels"]
    assert (cat["label"], cat["total"], cat["unreviewed"], cat["correct"], cat["interval"]) == (
        "Cat",
        1,
        1,
        None,
        None,
    )
    assert (dog["label"], dog["confirmed"], dog["disconfirmed"], dog["correct"]) == ("Dog", 1, 1, 0.5)
    assert report["totals"]["total"] == 3
    assert report["class_average"]["correct"] == 0.5


def test_report_as_a_table_reads_well(job: str) -> None:
    """Labels, shares with two decimals, a dash where nothing was reviewed; published: 0.00%."""
    answer(job, 1, True, False)
    table = bulkqa("report", job)
    assert "50.00%" in table.out and "Dog" in table.out and "TOTALS" in table.out
    assert "0.00%\n" not in table.out
    assert "0.00%" in bulkqa("report", job, "--published").out


def test_report_as_csv_reads_back(job: str) -> None:
    """A header and a row for each label and band."""
    rows = list(csv.DictReader(io.StringIO(bulkqa("report", job, "--format", "csv").out)))
    assert [row["band"] for row in rows if row["label"] == "Dog"] == ["", "80-85", "85-90", "90-95", "95-100"]
    assert {row["schema"] for row in rows} == {"1"}


def test_report_goes_into_a_file(job: str, tmp_path: Path) -> None:
    """With -o nothing is printed, and the file is whole."""
    run = bulkqa("report", job, "--format", "json", "-o", "report.json")
    assert (run.code, run.out) == (0, "")
    assert json.loads((tmp_path / "report.json").read_text())["job"] == job
    assert bulkqa("report", job, "-o", "no/such/folder/x").code == 2


def of_rows(report: dict[str, Any]) -> dict[str, Any]:
    """A job's report as its rows alone give it: they name reviewers by job, and do not have their answers."""
    unknown = {"pages": None, "median_seconds": None}
    reviewers = [
        {**one, "reviewer": f"{report['job']}/{one['reviewer']}", **unknown} for one in report["reviewers"]
    ]
    return {**report, "job": None, "reviewers": reviewers}


def test_an_export_reports_as_its_job_does(job: str, tmp_path: Path) -> None:
    """A job's exported rows, CSV or JSON Lines, give the job's own report."""
    answer(job, 1, True, None)
    of_job = bulkqa("report", job, "--format", "json").json
    for form in ("csv", "jsonl"):
        assert bulkqa("export", job, "--format", form, "-o", f"rows.{form}").code == 0
        assert bulkqa("report", f"rows.{form}", "--format", "json").json == of_rows(of_job)


def test_export_can_be_narrowed(job: str) -> None:
    """Only rows of the outcomes asked for, under the table's attribute names."""
    answer(job, 1, True, False)
    lines = bulkqa("export", job, "--format", "jsonl", "--outcome", "disconfirmed").out.splitlines()
    (row,) = map(json.loads, lines)
    assert row["WorkerDisconfirmCount"] == 1
    assert row["DisconfirmedBy"] == ["pets/ana"]
    assert bulkqa("export", job, "--outcome", "maybe").code == 2


def test_a_bad_row_of_a_file_is_named_and_the_others_count(tmp_path: Path) -> None:
    """A file of rows from elsewhere: counts alone, one bad row."""
    (tmp_path / "rows.csv").write_text(
        "label,confidence,WorkerConfirmCount,WorkerDisconfirmCount\nDog,85,2,0\nDog,x,1,0\nDog,86,1,1\n"
    )
    run = bulkqa("report", "rows.csv", "--format", "json")
    assert (run.json["totals"]["confirmed"], run.json["totals"]["split"]) == (1, 1)
    assert "rows.csv, line 3" in run.err


def test_status_shows_pages_by_label(job: str) -> None:
    """Pages and answers by label, as a table with a bar and as JSON."""
    answer(job, 1, True, True)
    assert bulkqa("status", job, "--format", "json").json["jobs"][0]["labels"][1] == {
        "label": "Dog",
        "pages": 1,
        "pages_done": 1,
        "answers": 1,
        "answers_wanted": 1,
        "items": 2,
        "items_done": 2,
        "closed_early": None,
    }
    assert "Dog" in bulkqa("status").out


def test_replay_makes_a_lost_table_again(job: str, tmp_path: Path) -> None:
    """With the SQLite file gone, replay brings the same report."""
    answer(job, 1, True, False)
    before = bulkqa("report", job, "--format", "json").json
    for file in (tmp_path / ".bulkqa").glob("bulkqa.sqlite*"):
        file.unlink()
    replayed = bulkqa("replay", job, "--format", "json").json
    assert (replayed["answers"], replayed["votes_counted"]) == (1, 2)
    assert bulkqa("report", job, "--format", "json").json == before


@pytest.mark.parametrize("arguments", [["--home", "there", "status"], ["status", "--home", "there"]])
def test_the_home_can_be_given_before_or_behind_the_command(
    corpus: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """--home, wherever it stands, wins over BULKQA_HOME, which wins over .bulkqa."""
    monkeypatch.setenv("BULKQA_HOME", "there")
    bulkqa("launch", corpus, "--job", "pets")
    assert Path("there/jobs/pets/job.json").is_file()
    monkeypatch.setenv("BULKQA_HOME", "elsewhere")
    assert [entry["job"] for entry in bulkqa(*arguments, "--format", "json").json["jobs"]] == ["pets"]


@pytest.mark.slow
def test_a_reader_that_leaves_is_no_failure(job: str) -> None:
    """A closed pipe ends an export quietly."""
    command = f"{sys.executable} -m bulkqa.cli export {job} | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_fails_is_exit_4(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A failing service is a sentence, an unforeseen failure a traceback; both are exit 4."""
    for error in (BulkqaError("the disk is full"), RuntimeError("unforeseen")):

        def fail(error: Exception = error) -> None:
            raise error

        monkeypatch.setattr(cli, "app", fail)
        with pytest.raises(SystemExit) as left:
            cli.main()
        assert left.value.code == 4
    assert "the disk is full" in capsys.readouterr().err


def test_every_command_explains_itself() -> None:
    """--help and --version answer for all commands."""
    runner = CliRunner()
    assert "bulkqa 0." in runner.invoke(app, ["--version"]).output
    for name in ("demo", "launch", "serve", "status", "report", "replay", "export", "relabel", "adjudicate"):
        result = runner.invoke(app, [name, "--help"])
        assert result.exit_code == 0
        assert "Usage" in result.output


def test_parquet_is_read_as_a_corpus_and_as_rows(job: str, tmp_path: Path) -> None:
    """A Parquet file of the same rows gives the same job and the same report."""
    duckdb = pytest.importorskip("duckdb")
    answer(job, 1, True, False)
    bulkqa("export", job, "--format", "jsonl", "-o", "rows.jsonl")
    duckdb.connect().execute(
        "COPY (SELECT * FROM 'rows.jsonl') TO 'rows.parquet' (FORMAT parquet)"
    ).fetchall()
    of_job = bulkqa("report", job, "--format", "json").json
    assert bulkqa("report", "rows.parquet", "--format", "json").json == of_rows(of_job)
    corpus = "SELECT s3_image_url AS image, label, confidence FROM 'rows.jsonl'"
    duckdb.connect().execute(f"COPY ({corpus}) TO 'corpus.parquet' (FORMAT parquet)").fetchall()
    launched = bulkqa("launch", "corpus.parquet", "--job", "parquet", "--format", "json").json
    assert launched["labels"] == {"Cat": 1, "Dog": 2}
    assert (tmp_path / ".bulkqa/jobs/parquet/corpus.parquet").read_bytes() == Path(
        "corpus.parquet"
    ).read_bytes()


def test_a_torn_parquet_file_is_named(tmp_path: Path) -> None:
    """A file that begins like Parquet and is none is bad input."""
    (tmp_path / "torn.parquet").write_bytes(b"PAR1 and nothing more")
    run = bulkqa("launch", "torn.parquet", "--job", "x")
    assert (run.code, "Parquet" in run.err) == (2, True)


def test_replay_check_lists_votes_without_an_answer(job: str, tmp_path: Path) -> None:
    """Votes whose answer is gone are listed, and nothing is changed."""
    answer(job, 1, True, False)
    assert bulkqa("replay", job, "--check", "--format", "json").json["votes_without_answer"] == []
    (kept,) = (tmp_path / ".bulkqa/jobs/pets/answers").rglob("*.json")
    kept.unlink()
    found = bulkqa("replay", job, "--check", "--format", "json").json["votes_without_answer"]
    assert {one["s3_image_url"] for one in found} == {"a.jpg", "b.jpg"}
    assert {one["decision"] for one in found} == {"confirm", "disconfirm"}
    assert "pets/ana" in bulkqa("replay", job, "--check").out


def test_status_can_be_watched_until_all_is_done(job: str) -> None:
    """The live view ends by itself when every page is done."""
    answer(job, 0, True)
    answer(job, 1, True, True)
    run = bulkqa("status", job, "--watch")
    assert (run.code, "2/2" in run.out) == (0, True)


KNOWN = "image,label\n" + "".join(f"k{number}.jpg,{'Dog' if number % 2 else 'Cat'}\n" for number in range(8))


def test_launch_with_known_answers(corpus: str, tmp_path: Path) -> None:
    """Known answers of a file are mixed in, and the launch says how many; pages without any are named."""
    (tmp_path / "known.csv").write_text(KNOWN)
    known = ("--check-rate", "0.4", "--checks", "known.csv", "--batch-size", "5")
    run = bulkqa("launch", corpus, "--job", "pets", *known, "--format", "json")
    assert run.code == 0
    checks = run.json["checks"]
    assert checks["wrong"] + checks["right"] >= checks["pages"] == checks["wanted"] >= 1
    assert (run.json["items"], checks["rejected"]) == (3, 0)
    assert "known-answer items" in bulkqa("launch", corpus, "--job", "pets", *known).out
    (tmp_path / "birds.jsonl").write_text('{"image": "k.jpg", "label": "Bird", "wrong_for": ["Fox"]}\n')
    short = bulkqa("launch", corpus, "--job", "few", *known[:3], "birds.jsonl", *known[4:])
    assert short.code == 0
    assert "not enough, 0 of" in short.out
    assert json.loads(bulkqa("launch", corpus, "--job", "none", "--format", "json").out)["checks"] is None


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--check-rate", "0.1"], "no item of an earlier job"),
        (["--checks", "corpus.csv"], "need a check rate"),
        (["--check-rate", "0.6", "--checks", "corpus.csv"], "check rate 0.6"),
        (["--check-rate", "0.1", "--checks", "nowhere.csv"], "nowhere.csv"),
        (["--check-rate", "often"], "--check-rate"),
    ],
)
def test_known_answers_that_cannot_be_used(corpus: str, arguments: list[str], named: str) -> None:
    """A rate without known answers, known answers without a rate, or a bad one of them is exit 2."""
    run = bulkqa("launch", corpus, "--job", "pets", *arguments)
    assert (run.code, run.out) == (2, "")
    assert named in run.err
