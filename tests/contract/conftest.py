"""The adapters of every port. A new adapter is finished when the suite is green for it too."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bulkqa.local.blobs import LocalBlobs
from bulkqa.local.database import Database
from bulkqa.local.label_table import LocalLabelTable
from bulkqa.local.task_queue import LocalTaskQueue
from bulkqa.ports import Blobs, LabelTable, TaskQueue


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A database in a file of its own."""
    database = Database(tmp_path / "home" / "bulkqa.sqlite")
    yield database
    database.close()


@pytest.fixture(params=["local"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    """Every adapter of `Blobs`, empty."""
    return LocalBlobs(tmp_path / "home")


@pytest.fixture(params=["local"])
def table(request: pytest.FixtureRequest, database: Database) -> LabelTable:
    """Every adapter of `LabelTable`, empty."""
    return LocalLabelTable(database)


@pytest.fixture(params=["local"])
def queue(request: pytest.FixtureRequest, database: Database) -> TaskQueue:
    """Every adapter of `TaskQueue`, empty."""
    return LocalTaskQueue(database)
