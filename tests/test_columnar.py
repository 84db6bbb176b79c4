"""Files counted by column say what the same files say row by row, or are left to be read so."""

import gzip
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkqa import parquet, table_file
from bulkqa.columnar import alike
from bulkqa.flow.bands import PUBLISHED_BANDS, Bands
from bulkqa.flow.records import Rejected
from bulkqa.flow.report import Report
from bulkqa.flow.thresholds import Evidence
from bulkqa.flow.votes import LabelRow
from bulkqa.table_file import COUNTS, VOTERS
from tests.test_cli import bulkqa

pytestmark = pytest.mark.slow  # duckdb starts anew in every one

Fields = dict[str, Any]

VOTES = st.frozensets(st.sampled_from(["dogs/ana", "dogs/ben"]), max_size=2)
COUNT = st.one_of(st.none(), st.integers(0, 3))
ROWS = st.lists(
    st.builds(
        lambda label, confidence, counts, voters, source: {
            "s3_image_url": "a.jpg",
            "label": label,
            "confidence": confidence,
            **dict(zip(COUNTS, counts, strict=True)),
            **{name: sorted(found) or None for name, found in zip(VOTERS, voters, strict=True)},
            "source": source,
        },
        st.sampled_from(["Dog", "Wolf", 'd\'Oré "x"']),
        st.one_of(
            st.sampled_from([0.0, 79.9, 80.0, 84.999999999999, 85.0, 97.5, 99.9, 99.95, 100.0]),
            st.floats(0, 100),
        ),
        st.tuples(COUNT, COUNT, COUNT),
        st.tuples(VOTES, VOTES, VOTES),
        st.sampled_from([None, "", "upload", "relabel:dogs", "adjudicate:dogs"]),
    ),
    min_size=1,
    max_size=30,
)
BANDS = st.sampled_from([PUBLISHED_BANDS, (0, 50, 99.9, 99.95, 100), (33.3, 66.6, 100)])


def as_parquet(rows: Iterable[Fields], path: Path) -> Path:
    """Write rows to a Parquet file of an export's columns."""
    parquet.write(table_file.as_json_lines(rows), table_file.COLUMNS, path)
    return path


def as_export(rows: Iterable[Fields], path: Path) -> Path:
    """Write rows as DynamoDB exports them; a number keeps all its digits."""
    kinds = {"confidence": "N"} | dict.fromkeys(COUNTS, "N") | dict.fromkeys(VOTERS, "SS")
    with gzip.open(path, "wt") as file:
        for row in rows:
            item = {
                name: {kinds.get(name, "S"): str(value) if kinds.get(name) == "N" else value}
                for name, value in row.items()
                if value is not None
            }
            file.write(json.dumps({"Item": item}) + "\n")
    return path


WRITERS = {"rows.parquet": as_parquet, "rows.json.gz": as_export}


def counted(rows: Iterable[tuple[LabelRow, int]], bands: Bands) -> tuple[Evidence, Report]:
    """Return what thresholds and the table are made of."""
    evidence, report = Evidence(bands), Report(bands)
    for row, number in rows:
        evidence.count(row, number)
        report.count(row, number)
    report.sort()
    return evidence, report


def one_by_one(path: Path) -> list[tuple[LabelRow, int]]:
    """Return each row of a file."""
    return [(row, 1) for row in table_file.rows(path) if isinstance(row, LabelRow)]


@pytest.mark.parametrize("name", WRITERS)
@given(rows=ROWS, bands=BANDS)
def test_counted_by_column_is_counted_row_by_row(name: str, rows: list[Fields], bands: Bands) -> None:
    """Whatever a file's rows are, thresholds and the table are made of the same numbers."""
    with TemporaryDirectory() as folder:
        path = WRITERS[name](rows, Path(folder, name))
        found = alike([path], Evidence(bands).cuts)
        assert found is not None
        assert sum(number for _, number in found) == len(rows)
        assert counted(found, bands) == counted(one_by_one(path), bands)


@pytest.mark.parametrize("name", WRITERS)
def test_rows_alike_come_once(name: str, tmp_path: Path) -> None:
    """A thousand rows of one label and outcome, in one slice, are one row."""
    row = {"label": "Dog", "confidence": 90.25, "WorkerConfirmCount": 2}
    path = WRITERS[name]([row | {"s3_image_url": f"{number}.jpg"} for number in range(1000)], tmp_path / name)
    assert alike([path], [80, 90, 91]) == [(LabelRow(("", "Dog"), 90.25, confirms=1), 1000)]


@pytest.mark.parametrize(
    "odd",
    [
        {"label": ""},
        {"label": None},
        {"confidence": 100.5},
        {"confidence": -1.0},
        {"confidence": float("nan")},
        {"confidence": None},
        {"WorkerDisconfirmCount": -1},
    ],
    ids=str,
)
@pytest.mark.parametrize("name", WRITERS)
def test_a_row_that_cannot_be_used_is_not_passed_over(name: str, odd: Fields, tmp_path: Path) -> None:
    """One such row in a file, and its rows have to be read one by one, which says what is wrong with it."""
    good = {"s3_image_url": "a.jpg", "label": "Dog", "confidence": 90.0, "WorkerDisconfirmCount": 1}
    path = WRITERS[name]([good, good | odd, good], tmp_path / name)
    assert alike([path], [80]) is None
    assert [type(row) for row in table_file.rows(path)] == [LabelRow, Rejected, LabelRow]


@pytest.mark.parametrize(
    "item",
    [
        '{"label": {"N": "7"}, "confidence": {"N": "90"}}',
        '{"label": {"S": "Dog"}, "confidence": {"S": "90"}}',
        '{"label": {"S": "Dog"}, "confidence": {"N": "ninety"}}',
        '{"label": {"S": "Dog"}, "confidence": {"N": "90"}, "WorkerConfirmCount": {"S": "3"}}',
        '{"label": {"S": "Dog"}, "confidence": {"N": "90"}, "ConfirmedBy": {"L": []}}',
        '{"label": "Dog", "confidence": 90}',
        '{"label": {"S": "Dog"',
    ],
)
def test_what_no_export_holds_is_read_row_by_row(item: str, tmp_path: Path) -> None:
    """An attribute of another type is never taken for one that is absent."""
    path = tmp_path / "x.json"
    path.write_text('{"Item": {"label": {"S": "Dog"}, "confidence": {"N": "90"}}}\n{"Item": ' + item + "}\n")
    assert alike([path], [80]) is None


@pytest.mark.parametrize(
    "select",
    [
        "'Dog' AS label, '90' AS confidence",
        "7 AS label, 90.0 AS confidence",
        "'Dog' AS label, 90.0::DOUBLE AS confidence, 1.5 AS WorkerConfirmCount",
        "'Dog' AS label, 90.0::DOUBLE AS confidence, ['a', NULL] AS ConfirmedBy",
        "'Dog' AS label",
    ],
)
def test_columns_of_other_types_are_read_row_by_row(select: str, tmp_path: Path) -> None:
    """A Parquet file whose columns are not those of an export is left to be read one by one."""
    duckdb.connect().execute(f"COPY (SELECT {select}) TO '{tmp_path}/x.parquet' (FORMAT parquet)").fetchall()
    assert alike([tmp_path / "x.parquet"], [80]) is None


def test_other_files_are_read_row_by_row(tmp_path: Path) -> None:
    """CSV and plain JSON Lines are not counted by column."""
    for name, text in (
        ("x.csv", "label,confidence\nDog,90\n"),
        ("x.jsonl", '{"label": "Dog", "confidence": 90}'),
    ):
        (tmp_path / name).write_text(text)
        assert alike([tmp_path / name], [80]) is None


@pytest.mark.parametrize("name", WRITERS)
def test_the_command_says_the_same_with_and_without_duckdb(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`thresholds` and `report --brief` print the same digits from columns and from rows."""
    rows = [
        {"s3_image_url": f"{n}.jpg", "label": "Dog", "confidence": 80 + n % 40 / 2, "WorkerConfirmCount": 1}
        for n in range(400)
    ] + [{"s3_image_url": "z.jpg", "label": "Wolf", "confidence": 81.0, "source": "relabel:dogs"}]
    WRITERS[name](rows, tmp_path / name)
    commands: Sequence[Sequence[str]] = (
        ("thresholds", f"./{name}", "--format", "json"),
        ("thresholds", f"./{name}", "--cost-ratio", "10", "--format", "csv"),
        ("report", f"./{name}", "--brief", "--format", "json"),
        ("report", f"./{name}", "--brief", "--format", "csv"),
        ("report", f"./{name}", "--brief"),
    )
    fast = [bulkqa(*command) for command in commands]
    whole = bulkqa("report", f"./{name}", "--format", "json").json
    monkeypatch.setattr("bulkqa.columnar.alike", lambda paths, bounds: None)
    assert [run.out for run in fast] == [bulkqa(*command).out for command in commands]
    brief = fast[2].json
    assert brief == {key: whole[key] for key in brief} | {
        "labels": brief["labels"],
        "totals": brief["totals"],
    }
    assert [line["bands"] for line in brief["labels"]] == [line["bands"] for line in whole["labels"]]


def test_a_name_is_no_pattern(tmp_path: Path) -> None:
    """A file whose name has a star in it is read alone, not with its neighbours."""
    row = {"s3_image_url": "a.jpg", "label": "Dog", "confidence": 90.0}
    for name in ("a*.parquet", "ab.parquet", "[x].parquet"):
        as_parquet([row], tmp_path / name)
    for name in ("a*.parquet", "[x].parquet"):
        found = alike([tmp_path / name], [80])
        assert found is not None
        assert [number for _, number in found] == [1]


def test_a_folder_is_the_export_whose_files_it_has(tmp_path: Path) -> None:
    """The rows of all data files of a DynamoDB export count, an empty one among them; a bad row is named."""
    data = tmp_path / "AWSDynamoDB/0123/data"
    data.mkdir(parents=True)
    (tmp_path / "empty").mkdir()
    row = {"s3_image_url": "a.jpg", "label": "Dog", "confidence": 90.0, "WorkerConfirmCount": 1}
    as_export([row, row], data / "b.json.gz")
    as_export([], data / "c.json.gz")
    as_export([row], data / "d.json.gz")
    for command in (("report",), ("report", "--brief")):
        run = bulkqa(*command, "./AWSDynamoDB", "--format", "json")
        assert run.json["totals"]["confirmed"] == 3
    as_export([row | {"confidence": 101.0}], data / "c.json.gz")
    run = bulkqa("report", "./AWSDynamoDB", "--brief", "--format", "json")
    assert run.json["totals"]["confirmed"] == 3
    assert "c.json.gz, line 1: left out: confidence 101 is outside 0-100" in run.err
    (data / "c.json.gz").write_bytes((data / "b.json.gz").read_bytes()[:12])
    run = bulkqa("report", "./AWSDynamoDB", "--brief", "--format", "json")
    assert run.code == 2
    assert "c.json.gz: not readable as gzip" in run.err
    assert "no items" in bulkqa("report", "./empty").err


@pytest.mark.parametrize("arguments", [("pets",), ("./x.csv", "--final"), ("./x.csv", "--format", "html")])
def test_brief_is_for_what_can_be_counted_by_column(arguments: Sequence[str], tmp_path: Path) -> None:
    """A job, final labels and pictures need the whole report."""
    (tmp_path / "x.csv").write_text("label,confidence\nDog,90\n")
    run = bulkqa("report", *arguments, "--brief")
    assert run.code == 2
    assert "--brief is for a file's rows" in run.err
