from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkqa.errors import InputError
from bulkqa.flow.records import Rejected
from bulkqa.flow.rounds import Final, How
from bulkqa.flow.votes import LabelRow, Outcome
from bulkqa.table_file import (
    ATTRIBUTES,
    COLUMNS,
    FINAL_COLUMNS,
    as_csv,
    as_json_lines,
    exported,
    read_rows,
    record,
)

ROW = LabelRow(
    ("s3://bucket/a.jpg", "Dog"),
    85.5,
    confirms=2,
    disconfirms=1,
    cannot_judges=0,
    confirmed_by=frozenset({"dogs/ben", "dogs/ana"}),
    disconfirmed_by=frozenset({"dogs/eve"}),
    jobs=frozenset({"dogs", "dogs-2"}),
    model="m1",
    created_at="2026-01-01T00:00:00Z",
)


def read(text: str) -> list[LabelRow | Rejected]:
    """Return what a file with this content holds."""
    return list(read_rows(io.BytesIO(text.encode()), "x.csv"))


def json_row(**changes: object) -> str:
    """Return a row of JSON Lines with some attributes changed; `...` leaves one out."""
    row = {"s3_image_url": "a.jpg", "label": "Dog", "confidence": 85} | changes
    return json.dumps({name: value for name, value in row.items() if value is not ...}) + "\n"


# Writing.


def test_attributes_have_the_names_of_the_table() -> None:
    """A file has the label table's attributes under their published names."""
    assert ATTRIBUTES == (
        "s3_image_url",
        "label",
        "confidence",
        "WorkerConfirmCount",
        "WorkerDisconfirmCount",
        "WorkerCannotJudgeCount",
        "ConfirmedBy",
        "DisconfirmedBy",
        "CannotJudgeBy",
        "jobs",
        "model",
        "source",
        "created_at",
    )


def test_record() -> None:
    """A row's record has sorted lists for sets and leaves out what the row does not have."""
    assert record(ROW) == {
        "s3_image_url": "s3://bucket/a.jpg",
        "label": "Dog",
        "confidence": 85.5,
        "WorkerConfirmCount": 2,
        "WorkerDisconfirmCount": 1,
        "WorkerCannotJudgeCount": 0,
        "ConfirmedBy": ["dogs/ana", "dogs/ben"],
        "DisconfirmedBy": ["dogs/eve"],
        "jobs": ["dogs", "dogs-2"],
        "model": "m1",
        "created_at": "2026-01-01T00:00:00Z",
    }


def test_an_export_says_job_and_voters() -> None:
    """Beside its attributes a row has its job, all its voters, and what is known in the end."""
    mine = {"job": "dogs", "voters": ["dogs/ana", "dogs/ben", "dogs/eve"], "schema": 1}
    assert exported(ROW, "dogs") == record(ROW) | mine
    final = exported(ROW, "dogs", Final("Wolf", How.RELABELLED, "r1"))
    assert final == record(ROW) | mine | {"final_label": "Wolf", "how": "relabelled", "decided_in": "r1"}
    assert exported(ROW, "dogs", Final(None, How.UNRESOLVED)).keys() - final.keys() == set()
    assert set(final) - set(COLUMNS) == set(FINAL_COLUMNS) - set(COLUMNS)
    assert list(COLUMNS)[: len(ATTRIBUTES)] == list(ATTRIBUTES)


def test_a_row_of_a_file_has_its_only_job() -> None:
    """Without a job of its own an export takes the row's, where it has one alone."""
    assert "job" not in exported(ROW, None)
    assert exported(ROW._replace(jobs=frozenset({"dogs"})), None)["job"] == "dogs"


def test_csv_has_header_and_lists() -> None:
    """CSV has the header always, and sets of names as JSON lists."""
    assert "".join(as_csv([])).splitlines() == [",".join(COLUMNS)]
    (found,) = csv.DictReader(io.StringIO("".join(as_csv([exported(ROW, "dogs")]))))
    assert found["ConfirmedBy"] == '["dogs/ana", "dogs/ben"]'
    assert (found["CannotJudgeBy"], found["source"], found["WorkerCannotJudgeCount"]) == ("", "", "0")


def test_json_lines_are_records() -> None:
    """JSON Lines have one record a line, non-ASCII text as it is."""
    line, other = as_json_lines(map(record, [ROW, LabelRow(("犬.jpg", "犬"), 80.0)]))
    assert json.loads(line) == record(ROW)
    assert line.endswith("}\n")
    assert '"犬.jpg"' in other


# Reading back.

letters = st.one_of(
    st.sampled_from("\",\n\r' ;[犬é🦞"), st.characters(exclude_categories=["Cs"], exclude_characters="\0")
)
texts = st.text(letters, min_size=1, max_size=9)
voters = st.frozensets(texts, max_size=3)
keys = st.tuples(texts, texts.filter(lambda label: not label.isspace()))

counts_alone = st.tuples(keys, st.floats(0, 100), *[st.integers(0, 2**53)] * 3).map(
    lambda row: LabelRow(*row)
)
voted = st.builds(LabelRow.with_voters, counts_alone, voters, voters.filter(bool), voters)
plain_rows = st.tuples(keys, st.floats(0, 100)).map(lambda row: LabelRow(*row))
described = st.builds(
    lambda row, jobs, model, source, created_at: row._replace(
        jobs=jobs, model=model, source=source, created_at=created_at
    ),
    st.one_of(plain_rows, counts_alone, voted),
    voters,
    *[st.none() | texts] * 3,
)


@given(st.lists(described, max_size=4))
def test_csv_reads_back(rows: Sequence[LabelRow]) -> None:
    """What is written as CSV reads back as the same rows."""
    assert read("".join(as_csv(exported(row, "dogs") for row in rows))) == rows


@given(st.lists(described, min_size=1, max_size=4))
def test_json_lines_read_back(rows: Sequence[LabelRow]) -> None:
    """What is written as JSON Lines reads back as the same rows."""
    assert read("".join(as_json_lines(exported(row, "dogs") for row in rows))) == rows


def test_carriage_return_reads_back() -> None:
    """A label with a carriage return is written as CSV so that it reads back."""
    row = LabelRow(("a.jpg", "Dog\rCat"), 80.0)
    assert read("".join(as_csv([record(row)], ATTRIBUTES))) == [row]


# What DynamoDB exports.


def dynamodb_line(row: LabelRow, **more: object) -> str:
    """A row as DynamoDB exports it: what it does not have is absent, and numbers are texts."""
    item: dict[str, object] = {
        name: {"SS": value}
        if isinstance(value, list)
        else {"S": value}
        if isinstance(value, str)
        else {"N": repr(value)}
        for name, value in record(row).items()
    }
    return json.dumps({"Item": item | more}) + "\n"


@given(st.lists(described, min_size=1, max_size=4))
def test_a_dynamodb_export_reads_back(rows: Sequence[LabelRow]) -> None:
    """The lines of a DynamoDB export read as the rows they were; revisions are left aside."""
    assert read("".join(dynamodb_line(row, **{"rev:dogs/ana": {"N": "2"}}) for row in rows)) == rows


def test_a_dynamodb_export_as_boto3_has_it() -> None:
    """What boto3 makes of a row's values for DynamoDB is read."""
    serializer = pytest.importorskip("boto3.dynamodb.types").TypeSerializer()
    row = {
        "s3_image_url": "a.jpg",
        "label": "Dog",
        "confidence": Decimal("85.5"),
        "WorkerConfirmCount": 1,
        "ConfirmedBy": {"dogs/ana"},
        "model": None,
    }
    item = {name: serializer.serialize(value) for name, value in row.items()}
    assert read(json.dumps({"Item": item}, default=list) + "\n") == [
        LabelRow(("a.jpg", "Dog"), 85.5, confirms=1, confirmed_by=frozenset({"dogs/ana"}))
    ]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"confidence": {"S": "85"}}, "confidence is no such attribute"),
        ({"confidence": {"N": 85}}, "confidence is no such attribute"),
        ({"confidence": {"N": "85", "S": "85"}}, "confidence is no such attribute"),
        ({"confidence": 85}, "confidence is no such attribute"),
        ({"confidence": {"N": "850"}}, "confidence 850 is outside 0-100"),
        ({"label": {"NULL": True}}, "the label is empty"),
        ({"ConfirmedBy": {"L": [{"S": "dogs/ana"}]}}, "ConfirmedBy is no such attribute"),
        ({"ConfirmedBy": {"SS": [1]}}, "ConfirmedBy is not a list of names"),
        ({"WorkerConfirmCount": {"N": "-1"}}, "WorkerConfirmCount '-1' is not a count"),
    ],
)
def test_bad_row_of_a_dynamodb_export(changes: dict[str, object], words: str) -> None:
    """A row that cannot be used is rejected with line and reason, and the rows around it come."""
    good = LabelRow(("a.jpg", "Dog"), 85.0)
    first, found, last = read(dynamodb_line(good) + dynamodb_line(good, **changes) + dynamodb_line(good))
    assert isinstance(found, Rejected)
    assert (found.line, words in found.reason) == (2, True)
    assert first == last == good


# Tables from elsewhere.


def test_counts_alone() -> None:
    """A row without voters has the counts it names; one that is absent or empty is 0."""
    text = "confidence,label,WorkerDisconfirmCount,WorkerConfirmCount\n85,Dog,,2\n90,Dog,1,2.0\n"
    assert read(text) == [
        LabelRow(("", "Dog"), 85.0, confirms=2),
        LabelRow(("", "Dog"), 90.0, confirms=2, disconfirms=1),
    ]
    assert read(json_row(WorkerConfirmCount="")) == [LabelRow(("a.jpg", "Dog"), 85.0)]
    assert read(json_row(WorkerCannotJudgeCount=3, WorkerConfirmCount=None, WorkerDisconfirmCount="1")) == [
        LabelRow(("a.jpg", "Dog"), 85.0, disconfirms=1, cannot_judges=3)
    ]


def test_voters_win_over_counts() -> None:
    """Where a row names any voter, the voters are counted and no count is believed."""
    (found,) = read(json_row(WorkerConfirmCount=7, WorkerDisconfirmCount=7, ConfirmedBy=["dogs/ana"]))
    assert isinstance(found, LabelRow)
    assert (found.confirms, found.disconfirms, found.cannot_judges) == (1, 0, 0)
    assert found.outcome is Outcome.CONFIRMED


def test_empty_sets_leave_the_counts() -> None:
    """Sets without a voter do not do away with the counts."""
    (found,) = read(json_row(WorkerDisconfirmCount=2, ConfirmedBy=[], DisconfirmedBy=[], CannotJudgeBy=[]))
    assert isinstance(found, LabelRow)
    assert found.disconfirms == 2


def test_sets_of_names() -> None:
    """A set of names is a JSON list, in CSV as text; a name that is there twice is one voter."""
    text = 'label,confidence,ConfirmedBy,jobs\nDog,85,"[""dogs/ana"", ""dogs/ana"", ""x, y""]","[""dogs""]"\n'
    (found,) = read(text)
    assert isinstance(found, LabelRow)
    assert (found.confirmed_by, found.confirms) == (frozenset({"dogs/ana", "x, y"}), 2)
    assert found.jobs == {"dogs"}


def test_further_columns_are_ignored() -> None:
    """Attributes that the table does not have are ignored."""
    assert read("label,extra,confidence\nDog,x,85\n") == [LabelRow(("", "Dog"), 85.0)]
    assert read(json_row(extra={"a": 1})) == [LabelRow(("a.jpg", "Dog"), 85.0)]


@pytest.mark.parametrize("confidence", [0, 100, 99.29439545, "85.5"])
def test_confidence(confidence: float | str) -> None:
    """A confidence of 0 to 100, both included, is kept exactly; in JSON it may be text."""
    assert read(json_row(confidence=confidence)) == [LabelRow(("a.jpg", "Dog"), float(confidence))]


# What is rejected or refused.


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"label": ...}, "label"),
        ({"label": ""}, "label"),
        ({"label": 5}, "label"),
        ({"label": "Dog\ud800"}, "label"),
        ({"confidence": ...}, "confidence None is not a number"),
        ({"confidence": "high"}, "confidence 'high' is not a number"),
        ({"confidence": "nan"}, "confidence 'nan' is not a number"),
        ({"confidence": float("inf")}, "confidence inf is not a number"),
        ({"confidence": True}, "confidence True is not a number"),
        ({"confidence": 10**400}, "is not a number"),
        ({"confidence": -0.1}, "confidence -0.1 is outside 0-100"),
        ({"confidence": 100.1}, "confidence 100.1 is outside 0-100"),
        ({"WorkerConfirmCount": -1}, "WorkerConfirmCount -1 is not a count"),
        ({"WorkerConfirmCount": 1.5}, "WorkerConfirmCount 1.5 is not a count"),
        ({"WorkerDisconfirmCount": "two"}, "WorkerDisconfirmCount 'two' is not a number"),
        ({"WorkerCannotJudgeCount": True}, "WorkerCannotJudgeCount True is not a number"),
        ({"ConfirmedBy": "dogs/ana"}, "ConfirmedBy is not a list of names"),
        ({"DisconfirmedBy": [1]}, "DisconfirmedBy is not a list of names"),
        ({"CannotJudgeBy": {"dogs/ana": 1}}, "CannotJudgeBy is not a list of names"),
        ({"jobs": 7}, "jobs is not a list of names"),
    ],
)
def test_bad_row(changes: dict[str, object], words: str) -> None:
    """A row that cannot be used is rejected with line and reason, and the rows around it come."""
    first, found, last = read(json_row() + json_row(**changes) + json_row())
    assert isinstance(found, Rejected)
    assert found.line == 2
    assert words in found.reason
    assert len(found.reason) <= 200
    assert first == last == LabelRow(("a.jpg", "Dog"), 85.0)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (",85,1", "the label is empty"),
        ("Dog,,1", "confidence None is not a number"),
        ("Dog,-1,1", "confidence -1 is outside 0-100"),
        ("Dog,101,1", "confidence 101 is outside 0-100"),
        ("Dog,85,-1", "WorkerConfirmCount '-1' is not a count"),
        ("Dog,85", "2 fields where the header has 3"),
        ('Dog,"85,1', "not readable as CSV"),
    ],
)
def test_bad_row_of_csv(row: str, words: str) -> None:
    """A CSV row that cannot be used is rejected with line and reason, and the rows around it come."""
    good = LabelRow(("", "Dog"), 85.0, confirms=1)
    first, found, last = read(f"label,confidence,WorkerConfirmCount\nDog,85,1\n{row}\nDog,85,1\n")
    assert isinstance(found, Rejected)
    assert (found.line, words in found.reason) == (3, True)
    assert first == last == good


def test_reason_of_a_line_that_is_no_json() -> None:
    """A line that holds no object is rejected like a row that cannot be used."""
    good, bad = read(json_row() + "[]\n")
    assert isinstance(good, LabelRow)
    assert bad == Rejected(2, "not a JSON object")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "x.csv: the file is empty"),
        ("confidence,s3_image_url\n", "x.csv, line 1: the header has no column 'label'"),
        ("label,s3_image_url\n", "x.csv, line 1: the header has no column 'confidence'"),
        ("label,label,confidence\n", "x.csv, line 1: the header has more than one column 'label'"),
        ("label,confidence,jobs,jobs\n", "x.csv, line 1: the header has more than one column 'jobs'"),
    ],
)
def test_file_that_cannot_be_read(text: str, message: str) -> None:
    """A file that is empty, lacks a column or has one twice is refused at once, naming file and line."""
    with pytest.raises(InputError) as caught:
        read_rows(io.BytesIO(text.encode()), "x.csv")
    assert str(caught.value).startswith(message)
