"""`bulkqa export`, `relabel` and `adjudicate`: every format, from every source."""

import csv
import gzip
import io
import json
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from bulkqa import cli, steps
from bulkqa.jobs import page_items
from bulkqa.table_file import COLUMNS, FINAL_COLUMNS
from tests.support import colour_of, local_store, png
from tests.test_cli import Run, bulkqa

CORPUS = (
    "label,confidence,image\n"
    "Dog,99.5,zoo/a.png\nDog,85.25,b.png\nDog,88,c.png\nDog,91,d.png\nWolf,57,e.png\nWolf,92,c.png\n"
)
HOME = Path(".bulkqa")


def answer(job: str, worker: str, wrong: set[tuple[str, str]]) -> None:
    """Have a reviewer answer every page of a job."""
    with local_store(HOME) as store:
        for number in range(len(list(store.blobs.keys(f"jobs/{job}/custom-labeling-inputs/")))):
            items = page_items(job, number, store.blobs)
            content: dict[str, object] = {
                f"item-{place:03d}": {
                    "Confirmed": (item.image.removeprefix("local://"), item.label) not in wrong
                }
                for place, item in enumerate(items)
            }
            steps.answer_page(job, number, worker, content, store, "2026-01-02T00:00:00Z")


@pytest.fixture
def job(tmp_path: Path) -> str:
    """A reviewed job: two dogs rejected, one of them confirmed as Wolf, and one dog split."""
    (tmp_path / "corpus.csv").write_text(CORPUS)
    for number, name in enumerate(["zoo/a", "b", "c", "d", "e"]):
        path = tmp_path / f"pictures/{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(colour_of(number)))
    launched = bulkqa(
        "launch",
        "corpus.csv",
        "--job",
        "pets",
        "--images",
        "pictures",
        "--min-confidence",
        "0",
        "--reviewers",
        "2",
    )
    assert launched.code == 0, launched.err
    wrong = {("b.png", "Dog"), ("c.png", "Dog")}
    answer("pets", "ana", wrong)
    answer("pets", "ben", wrong | {("d.png", "Dog")})
    return "pets"


@pytest.fixture
def rounds(job: str) -> str:
    """That job after both rounds: b.png is a wolf, d.png a dog."""
    assert bulkqa("relabel", job, "--job", "r1", "--reviewers", "1").code == 0
    assert bulkqa("adjudicate", job, "--job", "second").code == 0
    answer("r1", "ana", set())
    answer("second", "eve", set())
    return job


def records(run: Run) -> list[dict[str, Any]]:
    """JSON Lines on standard output."""
    assert run.code == 0, run.err
    return [json.loads(line) for line in run.out.splitlines()]


# The rounds.


def test_relabel_says_what_it_did(job: str) -> None:
    """What is asked, on standard output; what is not, on standard error."""
    run = bulkqa("relabel", job, "--job", "r1", "--format", "json")
    assert (run.code, run.json["items"], run.json["labels"]) == (0, 1, {"Wolf": 1})
    assert "Left out 1 items whose image has another label" in run.err
    again = bulkqa("relabel", job, "--job", "r1", "--format", "json")
    assert again.json["again"] is True


def test_relabel_by_a_file(job: str, tmp_path: Path) -> None:
    """Proposals of a file, by image; paths as the corpus wrote them."""
    (tmp_path / "other.csv").write_text("image,label\nb.png,Fox\nb.png,Cat\n")
    run = bulkqa("relabel", job, "--job", "r1", "--proposals", "other.csv", "--format", "json")
    assert run.json["labels"] == {"Cat": 1, "Fox": 1}


def test_adjudicate_says_what_it_did(job: str) -> None:
    """The split item alone, on one page."""
    run = bulkqa("adjudicate", job, "--job", "second", "--format", "json")
    assert (run.json["items"], run.json["labels"], run.err) == (1, {"Dog": 1}, "")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["relabel", "nothing", "--job", "x"], "nothing"),
        (["relabel", "fresh", "--job", "x"], "no disconfirmed item"),
        (["adjudicate", "fresh", "--job", "x"], "no split item"),
        (["relabel", "fresh", "--job", "fresh"], "another name"),
        (["relabel", "fresh", "--job", "x", "--proposals", "none.csv"], "none.csv"),
        (["relabel", "fresh", "--job", "x", "--reviewers", "10"], "10 reviewers"),
        (["export", "fresh", "--format", "imagefolder"], "-o"),
        (["export", "fresh", "--format", "imagefolder", "-o", "corpus.csv"], "corpus.csv"),
    ],
)
def test_bad_input_is_named(tmp_path: Path, arguments: list[str], named: str) -> None:
    """Nothing to do, or nothing that can be done: exit 2, a sentence, nothing on standard output."""
    (tmp_path / "corpus.csv").write_text(CORPUS)
    assert bulkqa("launch", "corpus.csv", "--job", "fresh").code == 0
    run = bulkqa(*arguments)
    assert (run.code, run.out) == (2, "")
    assert named in run.err
    assert "Traceback" not in run.err


# Rows.


def test_columns(rounds: str) -> None:
    """Each row says its job, voters and confidence; --final, the label in the end and how it came."""
    plain = list(csv.DictReader(io.StringIO(bulkqa("export", rounds).out)))
    assert list(plain[0]) == list(COLUMNS)
    assert {row["job"] for row in plain} == {"pets"}
    assert {row["voters"] for row in plain} == {'["pets/ana", "pets/ben"]'}
    final = list(csv.DictReader(io.StringIO(bulkqa("export", rounds, "--final").out)))
    assert list(final[0]) == list(FINAL_COLUMNS)
    found = {
        (row["s3_image_url"], row["label"]): (row["final_label"], row["how"], row["decided_in"])
        for row in final
    }
    assert found == {
        ("local://zoo/a.png", "Dog"): ("Dog", "confirmed", "pets"),
        ("local://b.png", "Dog"): ("Wolf", "relabelled", "r1"),
        ("local://c.png", "Dog"): ("Wolf", "confirmed", "pets"),
        ("local://c.png", "Wolf"): ("Wolf", "confirmed", "pets"),
        ("local://d.png", "Dog"): ("Dog", "adjudicated", "second"),
        ("local://e.png", "Wolf"): ("Wolf", "confirmed", "pets"),
    }


def test_final_outcomes_are_filtered(rounds: str) -> None:
    """A split that was adjudicated is no split any more; without --final it is."""
    of = ("export", rounds, "--format", "jsonl", "--outcome", "split")
    assert len(records(bulkqa(*of))) == 1
    assert records(bulkqa(*of, "--final")) == []
    (row,) = [
        row
        for row in records(bulkqa("export", rounds, "--format", "jsonl", "--outcome", "confirmed", "--final"))
        if row["how"] == "adjudicated"
    ]
    assert (row["ConfirmedBy"], row["WorkerDisconfirmCount"]) == (["second/eve"], 0)


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("final", [[], ["--final"]])
def test_every_format_has_the_same_rows(rounds: str, form: str, final: list[str]) -> None:
    """What is exported exports again as it was, whatever the format."""
    if form == "parquet":
        pytest.importorskip("duckdb")
    wanted = records(bulkqa("export", rounds, "--format", "jsonl", *final))
    assert bulkqa("export", rounds, "--format", form, *final, "-o", f"rows.{form}").code == 0
    keep = set(COLUMNS) - {"job"}
    again = records(bulkqa("export", f"rows.{form}", "--format", "jsonl"))
    assert [{name: row[name] for name in row.keys() & keep} for row in again] == [
        {name: row[name] for name in row.keys() & keep} for row in wanted
    ]


def test_parquet_has_typed_columns(rounds: str, tmp_path: Path) -> None:
    """Numbers are numbers and sets are lists, so that SQL can ask; a column without a value is there too."""
    duckdb = pytest.importorskip("duckdb")
    assert bulkqa("export", rounds, "--format", "parquet", "--final", "-o", "rows.parquet").code == 0
    columns = duckdb.connect().sql("DESCRIBE FROM 'rows.parquet'").fetchall()
    assert {name: kind for name, kind, *_ in columns} == FINAL_COLUMNS
    (found,) = (
        duckdb.connect()
        .execute(
            "SELECT count(*) FROM 'rows.parquet' "
            "WHERE confidence > 90 AND list_contains(ConfirmedBy, 'pets/ben')"
        )
        .fetchone()
    )
    assert found == 2
    assert sorted(path.name for path in tmp_path.iterdir() if "rows" in path.name) == ["rows.parquet"]


def test_parquet_goes_through_a_pipe(rounds: str, tmp_path: Path) -> None:
    """Without -o the file is standard output, byte for byte."""
    pytest.importorskip("duckdb")
    out = io.TextIOWrapper(io.BytesIO(), "utf-8")
    arguments = ["bulkqa", "export", rounds, "--format", "parquet"]
    with patch.object(sys, "argv", arguments), redirect_stdout(out), redirect_stderr(io.StringIO()):
        with pytest.raises(SystemExit) as left:
            cli.main()
        assert left.value.code == 0
    assert isinstance(out.buffer, io.BytesIO)
    (tmp_path / "rows.parquet").write_bytes(out.buffer.getvalue())
    assert len(records(bulkqa("export", "rows.parquet", "--format", "jsonl"))) == 6


def test_parquet_without_its_extra_is_said(rounds: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without duckdb: what to install, exit 4, and no file."""
    monkeypatch.setitem(sys.modules, "duckdb", None)
    run = bulkqa("export", rounds, "--format", "parquet", "-o", "rows.parquet")
    assert (run.code, "bulkqa[analysis]" in run.err) == (4, True)
    assert not Path("rows.parquet").exists()


# A DynamoDB export.


def as_dynamodb(row: dict[str, Any]) -> str:
    """A row as DynamoDB exports it."""
    kinds: dict[type, Callable[[Any], dict[str, Any]]] = {
        str: lambda value: {"S": value},
        list: lambda value: {"SS": value},
        int: lambda value: {"N": str(value)},
        float: lambda value: {"N": repr(value)},
    }
    names = set(COLUMNS) - {"job", "voters", "schema"}
    return (
        json.dumps({"Item": {name: kinds[type(row[name])](row[name]) for name in row.keys() & names}}) + "\n"
    )


def test_a_dynamodb_export_is_a_source(job: str, tmp_path: Path) -> None:
    """Compressed, in several parts one after the other, it reads as the job does; a bad line is named."""
    lines = [as_dynamodb(row) for row in records(bulkqa("export", job, "--format", "jsonl"))]
    parts = ["".join(lines[:2]), '{"Item": {"label": {"S": "Dog"}}}\n', "".join(lines[2:])]
    (tmp_path / "export.json.gz").write_bytes(b"".join(gzip.compress(part.encode()) for part in parts))
    run = bulkqa("report", "export.json.gz", "--format", "json")
    assert "export.json.gz, line 3: left out: confidence None is not a number" in run.err
    totals = bulkqa("report", job, "--format", "json", "--bands", "80,85,90,95,100").json["totals"]
    assert {name: run.json["totals"][name] for name in ("total", "confirmed", "disconfirmed", "split")} == {
        name: totals[name] for name in ("total", "confirmed", "disconfirmed", "split")
    }


def test_a_torn_file_is_named(tmp_path: Path) -> None:
    """A compressed file that ends too soon is bad input."""
    (tmp_path / "torn.json.gz").write_bytes(gzip.compress(b'{"Item": {}}\n' * 1000)[:-20])
    run = bulkqa("export", "torn.json.gz")
    assert (run.code, "torn.json.gz: not readable as gzip" in run.err) == (2, True)


# What goes back into training.


def test_a_manifest_launches_again(rounds: str) -> None:
    """What an image is in the end, a line an image; as a corpus it has these labels and confidences."""
    run = bulkqa("export", rounds, "--format", "manifest", "-o", "train.manifest")
    assert (run.code, "do not lie in S3" in run.err) == (0, True)
    launched = bulkqa(
        "launch", "train.manifest", "--job", "again", "--min-confidence", "57", "--format", "json"
    )
    assert launched.json["labels"] == {"Dog": 2, "Wolf": 3}
    assert launched.json["rejected"] == 0


def test_a_manifest_of_some_outcomes(rounds: str) -> None:
    """Images of rejected items alone: those that are known to be something else."""
    run = bulkqa("export", rounds, "--format", "manifest", "--outcome", "disconfirmed")
    assert [line["source-ref"] for line in records(run)] == ["local://b.png", "local://c.png"]


def test_a_coco_file_tells_the_sizes_of_pictures(rounds: str) -> None:
    """Each image with its label in the end and its size; a picture that is gone or torn has none."""
    Path("pictures/zoo/a.png").write_bytes(png(colour_of(0), size=11))
    Path("pictures/b.png").unlink()
    Path("pictures/c.png").write_bytes(b"torn")
    run = bulkqa("export", rounds, "--format", "coco", "-o", "coco.json")
    assert (run.code, run.out) == (0, "")
    assert "2 images have no width and height" in run.err
    document = json.loads(Path("coco.json").read_text("utf-8"))
    assert [category["name"] for category in document["categories"]] == ["Dog", "Wolf"]
    labels = {one["image_id"]: one["category_id"] for one in document["annotations"]}
    assert [
        (image["file_name"], labels[image["id"]], image.get("width"), image.get("height"))
        for image in document["images"]
    ] == [
        ("b.png", 2, None, None),
        ("c.png", 2, None, None),
        ("d.png", 1, 8, 8),
        ("e.png", 2, 8, 8),
        ("zoo/a.png", 1, 11, 11),
    ]


def test_a_coco_file_of_a_file(rounds: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the pictures are not known, or what reads them is missing, it goes without their sizes."""
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert bulkqa("export", rounds, "--format", "csv", "-o", "rows.csv").code == 0
    run = bulkqa("export", "rows.csv", "--format", "coco", "--outcome", "confirmed")
    assert (run.code, "3 images have no width and height" in run.err) == (0, True)
    assert [image["file_name"] for image in run.json["images"]] == ["c.png", "e.png", "zoo/a.png"]
    missing = bulkqa("export", rounds, "--format", "coco")
    assert (missing.code, "extra 'analysis'" in missing.err) == (0, True)
    assert not any("width" in image for image in missing.json["images"])


def test_an_image_folder(rounds: str, tmp_path: Path) -> None:
    """The pictures themselves under their labels; an existing folder with files is left as it is."""
    run = bulkqa("export", rounds, "--format", "imagefolder", "-o", "train")
    assert (run.code, run.out) == (0, "")
    files = {path.relative_to("train").as_posix() for path in Path("train").rglob("*.png")}
    assert files == {"Dog/a.png", "Dog/d.png", "Wolf/b.png", "Wolf/c.png", "Wolf/e.png"}
    assert Path("train/Wolf/b.png").read_bytes() == Path("pictures/b.png").read_bytes()
    again = bulkqa("export", rounds, "--format", "imagefolder", "-o", "train")
    assert (again.code, "train" in again.err) == (2, True)
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".new")]


def test_pictures_that_are_not_there(rounds: str) -> None:
    """One that is gone is named and the others come; where none can be had, nothing is left behind."""
    Path("pictures/b.png").unlink()
    run = bulkqa("export", rounds, "--format", "imagefolder", "-o", "train")
    assert (run.code, "'b.png' is not in the pictures' folder" in run.err) == (0, True)
    assert "1 pictures were left out" in run.err
    bulkqa("export", rounds, "--format", "csv", "-o", "rows.csv")
    none = bulkqa("export", "rows.csv", "--format", "imagefolder", "-o", "other")
    assert (none.code, Path("other").exists()) == (2, False)
