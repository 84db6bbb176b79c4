"""What all tests share: an environment with nothing of this machine in it."""

import functools
import gc
import itertools
import os
from collections.abc import Generator, Iterator
from pathlib import Path

import duckdb
import pytest
import typer.main
from hypothesis import settings

ROOT = Path(__file__).parent.parent

# How many examples a property is tried with; `make check` takes few.
settings.register_profile("all", max_examples=40, deadline=None, database=None)
settings.register_profile("few", max_examples=8, deadline=None, database=None)
settings.load_profile("all")


_FOLDERS = itertools.count()


@pytest.fixture
def tmp_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder; pytest's own looks through those of all tests before it, to find a name."""
    folder = tmp_path_factory.getbasetemp() / str(next(_FOLDERS))
    folder.mkdir()
    return folder


@pytest.fixture(autouse=True)
def closed_room(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every test starts without settings from outside, in an empty folder."""
    for name in list(os.environ):
        if name.startswith(("BULKQA_", "AWS_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True, scope="session")
def one_command() -> Iterator[None]:
    """Have typer read the signatures of all commands once, and not anew in each run of the command."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("typer.main.get_command", functools.cache(typer.main.get_command))
        yield


@pytest.fixture(autouse=True, scope="session")
def one_duckdb() -> Iterator[None]:
    """Start duckdb once: it takes longer than most of what it is asked. Each caller has a database alone."""
    databases, numbers = duckdb.connect(), itertools.count()

    def connect() -> duckdb.DuckDBPyConnection:
        name = f"memory_{next(numbers)}"
        connection = databases.cursor()
        # One setting is everybody's that the library changes.
        return connection.execute(f"ATTACH ':memory:' AS {name}; USE {name}; RESET preserve_insertion_order")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("duckdb.connect", connect)
        yield


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for no garbage among what is collected, until the end: it stays, and looking takes long."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_unconfigure() -> None:
    """Let go of what was collected."""
    gc.unfreeze()


@pytest.hookimpl(wrapper=True)
def pytest_collect_file() -> Generator[None, list[pytest.Collector], list[pytest.Collector]]:
    """Take a file of tests for just that: looking for examples in its docstrings takes long, for nothing."""
    return [found for found in (yield) if type(found) is pytest.Module]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a stand-in for AWS, by its folder or adapter, and what synthesises the stack.

    What takes longest comes first, so that no process is left with it at the end.
    """
    for item in items:
        folder = item.path.relative_to(ROOT).parts[:2]
        adapter = item.nodeid.partition("[")[2]
        if folder in (("tests", "aws"), ("tests", "lambdas")) or adapter.startswith(("s3-", "dynamodb-")):
            item.add_marker("aws")
        if {"production", "sandbox"} & set(getattr(item, "fixturenames", ())):
            item.add_marker("slow")
    items.sort(key=lambda item: not item.path.is_relative_to(ROOT / "tests" / "e2e"))
