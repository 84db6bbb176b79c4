"""The analysts' questions: every query of the documentation, run on a small job and held to its answer."""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from bulkqa import steps, table_file
from bulkqa.aws.label_table import DynamoLabelTable
from bulkqa.flow.answers import Decision
from bulkqa.flow.corpus import Item
from bulkqa.flow.votes import Origin, Vote
from bulkqa.jobs import page_items
from tests.emulators import Server, ministack
from tests.support import corpus_of, launch, local_store
from tests.support_aws import create_table, new_name
from tests.test_cli import bulkqa

__all__ = ["ministack"]

PAGE = (Path(__file__).parents[1] / "docs/reference/queries.md").read_text("utf-8")
JOB = "pets"

YES, NO, UNSURE = Decision.CONFIRM, Decision.DISCONFIRM, Decision.CANNOT_JUDGE
SAID: dict[tuple[str, str, float], dict[str, Decision]] = {
    ("a.jpg", "Dog", 99): {"ana": YES, "ben": YES},
    ("b.jpg", "Dog", 96): {"ana": YES, "ben": NO},
    ("c.jpg", "Dog", 91): {"ana": NO, "ben": NO},
    ("c.jpg", "Cat", 85): {"ana": YES, "ben": YES},
    ("d.jpg", "Cat", 97): {"ana": YES},
    ("d.jpg", "Fox", 88): {"ana": YES},
    ("e.jpg", "Fox", 100): {"ben": NO},
    ("f.jpg", "Dog", 84): {"ana": UNSURE},
    ("g.jpg", "Dog", 80): {},
}
"""What each reviewer says of each image, label and confidence."""


class Question(NamedTuple):
    """A question of the page: its title, and its blocks of code by kind."""

    title: str
    blocks: dict[str, str]


def questions() -> list[Question]:
    """The ten questions, in order."""
    found = []
    for part in re.split(r"^## (?=\d)", PAGE, flags=re.M)[1:]:
        part = part.partition("\n## ")[0]
        blocks = re.findall(r"^```(\w+)\n(.*?)^```", part, flags=re.M | re.S)
        assert len(dict(blocks)) == len(blocks) == 3
        found.append(Question(part.splitlines()[0], dict(blocks)))
    return found


QUESTIONS = questions()
NUMBERS = range(len(QUESTIONS))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the job, reviewed."""
    folder = tmp_path_factory.mktemp("queries")
    with local_store(folder) as store:
        launch(store, corpus_of(SAID), job=JOB, reviewers=2)
        decisions = {(image, label): said for (image, label, _), said in SAID.items()}
        for number in range(3):
            page = page_items(JOB, number, store.blobs)
            for worker in ("ana", "ben"):
                said = [decisions[item.image, item.label].get(worker) for item in page]
                answer: dict[str, object] = {
                    f"item-{place:03d}": {"Confirmed": one is YES, "CannotJudge": one is UNSURE}
                    for place, one in enumerate(said)
                    if one is not None
                }
                steps.answer_page(JOB, number, worker, answer, store, "2026-01-02T00:00:00Z")
    return folder


def printed(command: str, home: Path, folder: Path) -> str:
    """What a line of the page prints; one command alone is run in this process, which is much quicker."""
    words = shlex.split(command)
    if "|" in words:
        return shell(command, home, folder)
    assert words[0] == "bulkqa"
    run = bulkqa(*words[1:], "--home", str(home))
    assert run.code == 0, run.err
    return run.out


def shell(command: str, home: Path, folder: Path) -> str:
    """Run a line of the page in a shell; return what it prints."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "BULKQA_HOME": str(home)}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.fixture(scope="module")
def votes(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The export of the job in duckdb, made as the page says."""
    duckdb = pytest.importorskip("duckdb")
    folder = tmp_path_factory.mktemp("export")
    start = PAGE.partition("\n## 1.")[0]
    (export,) = re.findall(r"^```sh\n(.*?)^```", start, flags=re.M | re.S)
    (view,) = re.findall(r"^```sql\n(.*?)^```", start, flags=re.M | re.S)
    shell(export, home, folder)
    with duckdb.connect() as db:
        db.execute(view.replace("votes.parquet", str(folder / "votes.parquet")))
        yield db


@pytest.fixture(scope="module")
def table(ministack: Server) -> tuple[Any, str]:
    """A client of DynamoDB and the name of a label table with the same rows and votes."""
    client = ministack.client("dynamodb")
    name = create_table(client, new_name("queries"))
    rows = DynamoLabelTable(client, name)
    rows.launch((Item(*key) for key in SAID), Origin(JOB, "2026-01-02T00:00:00Z"))
    rows.record(
        [
            Vote((image, label), f"{JOB}/{worker}", decision)
            for (image, label, _), said in SAID.items()
            for worker, decision in said.items()
        ]
    )
    return client, name


CONFIRMED = [("a.jpg", "Dog"), ("c.jpg", "Cat"), ("d.jpg", "Cat"), ("d.jpg", "Fox")]
OF_C = [("Cat", 85, ["pets/ana", "pets/ben"], None), ("Dog", 91, None, ["pets/ana", "pets/ben"])]

IN_SQL: list[list[tuple[object, ...]]] = [
    [
        ("Cat", 85, 1, 1, 0),
        ("Cat", 95, 1, 1, 0),
        ("Dog", 80, 2, 0, 0),
        ("Dog", 90, 1, 0, 1),
        ("Dog", 95, 2, 1, 1),
        ("Fox", 85, 1, 1, 0),
        ("Fox", 95, 1, 0, 1),
    ],
    [("c.jpg", 91)],
    [("b.jpg", "Dog", ["pets/ana"], ["pets/ben"])],
    [("f.jpg", "Dog", 1), ("g.jpg", "Dog", 0)],
    [("a.jpg", 99), ("b.jpg", 96), ("c.jpg", 91)],
    [*OF_C],
    [("b.jpg", "Dog"), ("c.jpg", "Dog"), ("e.jpg", "Fox")],
    [("Dog", "Cat", 1)],
    [("d.jpg", "Cat", "Fox")],
    [("c.jpg",), ("d.jpg",)],
]

IN_DYNAMODB: list[list[tuple[object, ...]]] = [
    [
        (
            label,
            confidence,
            list(said.values()).count(YES) or None,
            list(said.values()).count(NO) or None,
        )
        for (_, label, confidence), said in SAID.items()
    ],
    [("c.jpg", 91)],
    [("b.jpg", "Dog", ["pets/ana"], ["pets/ben"])],
    [("f.jpg", "Dog"), ("g.jpg", "Dog")],
    [("a.jpg", 99), ("b.jpg", 96), ("c.jpg", 91)],
    [*OF_C],
    [("b.jpg", "Dog"), ("c.jpg", "Dog"), ("e.jpg", "Fox")],
    [("Cat",)],
    CONFIRMED,  # type: ignore[list-item]
    [("c.jpg",), ("d.jpg",)],
]


def keys_of_csv(out: str) -> list[tuple[str, str]]:
    """Image and label of each row of an export, sorted."""
    return sorted((row["s3_image_url"], row["label"]) for row in csv.DictReader(out.splitlines()))


def bands_of_csv(out: str) -> dict[tuple[str, str], tuple[int, int]]:
    """Confirmed and incorrect by label and band, of a report."""
    return {
        (row["label"], row["band"]): (int(row["confirmed"]), int(row["incorrect"]))
        for row in csv.DictReader(out.splitlines())
        if row["kind"] == "label" and row["band"] and int(row["total"])
    }


def part_of(out: str, *path: str) -> Any:
    """A part of a report in JSON."""
    document = json.loads(out)
    for name in path:
        document = document[name]
    return document


BY_COMMAND: list[tuple[Callable[[str], object], object]] = [
    (bands_of_csv, {(str(row[0]), f"{row[1]}-{row[1] + 5}"): row[3:] for row in IN_SQL[0]}),  # type: ignore[operator]
    (keys_of_csv, [("c.jpg", "Dog"), ("e.jpg", "Fox")]),
    (keys_of_csv, [("b.jpg", "Dog")]),
    (keys_of_csv, [("f.jpg", "Dog"), ("g.jpg", "Dog")]),
    (
        bands_of_csv,
        {("Cat", "90-100"): (1, 0), ("Dog", "90-100"): (1, 2), ("Fox", "90-100"): (0, 1)},
    ),
    (lambda out: sorted(json.loads(line)["label"] for line in out.splitlines()), ["Cat", "Dog"]),
    (
        lambda out: {one["reviewer"]: one["disconfirmed"] for one in part_of(out, "reviewers")},
        {"ana": 1, "ben": 3},
    ),
    (
        lambda out: [
            (one["rejected"], one["confirmed"], one["images"])
            for one in part_of(out, "conflicts", "confusions")
        ],
        [("Dog", "Cat", 1)],
    ),
    (
        lambda out: [(one["labels"], one["examples"]) for one in part_of(out, "conflicts", "twice")],
        [(["Cat", "Fox"], ["d.jpg"])],
    ),
    (keys_of_csv, CONFIRMED),
]


def test_there_are_ten_questions() -> None:
    """Each has a question of the table, one in SQL and a command, and an answer here."""
    assert len(QUESTIONS) == len(IN_SQL) == len(IN_DYNAMODB) == len(BY_COMMAND) == 10
    for number, question in enumerate(QUESTIONS, start=1):
        assert question.title.startswith(f"{number}. ")
        assert question.blocks.keys() in ({"partiql", "sql", "sh"}, {"query", "sql", "sh"})


@pytest.mark.slow
@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: QUESTIONS[number].title)
def test_sql_answers(votes: Any, number: int) -> None:
    """The statement over the export gives the answer, in its order."""
    assert votes.execute(QUESTIONS[number].blocks["sql"]).fetchall() == IN_SQL[number]


@pytest.mark.slow
@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: QUESTIONS[number].title)
def test_the_command_answers(home: Path, tmp_path: Path, number: int) -> None:
    """The command prints what has the answer in it."""
    read, answer = BY_COMMAND[number]
    assert read(printed(QUESTIONS[number].blocks["sh"], home, tmp_path)) == answer


@pytest.mark.aws
@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: QUESTIONS[number].title)
def test_dynamodb_answers(table: tuple[Any, str], number: int) -> None:
    """The statement or call finds the answer; only a query of the index has an order."""
    client, name = table
    blocks = QUESTIONS[number].blocks
    if "query" in blocks:
        items = client.query(**json.loads(blocks["query"].replace("TABLE", name)))["Items"]
        columns = ["s3_image_url", "confidence"]
    else:
        statement = " ".join(blocks["partiql"].replace("TABLE", name).split())
        items = client.execute_statement(Statement=statement)["Items"]
        columns = re.findall(r"\w+", statement.partition("FROM")[0])[1:]
    found = [tuple(plain(item.get(column)) for column in columns) for item in items]
    if "query" not in blocks:
        found.sort(key=repr)
    answer = IN_DYNAMODB[number]
    assert found == (answer if "query" in blocks else sorted(answer, key=repr))


def plain(value: dict[str, Any] | None) -> object:
    """A value of DynamoDB's JSON as it is."""
    if value is None:
        return None
    ((kind, found),) = value.items()
    return float(found) if kind == "N" else sorted(found) if kind == "SS" else found


def test_athena_has_the_columns_of_an_export() -> None:
    """The table for Athena has every column of the Parquet file, in order, with its type."""
    (statement,) = re.findall(r"^```athena\n(.*?)^```", PAGE, flags=re.M | re.S)
    inside = statement.partition("(")[2].rpartition(") STORED")[0]
    found = [tuple(column.split()) for column in inside.replace("`", "").split(",")]
    kinds = {
        "VARCHAR": "string",
        "VARCHAR[]": "array<string>",
        "DOUBLE": "double",
        "BIGINT": "bigint",
        "INTEGER": "int",
    }
    assert found == [(name, kinds[kind]) for name, kind in table_file.COLUMNS.items()]


def test_every_column_is_described_once() -> None:
    """The page's last table has every column of every export, each in one row."""
    rows = re.findall(r"^\| (`.*?) \| ", PAGE.partition("## Every column")[2], flags=re.M)
    named = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert named == list(table_file.FINAL_COLUMNS)
