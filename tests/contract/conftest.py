"""The adapters of every port. A new adapter is finished when the suite is green for it too."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bulkqa.aws.blobs import S3Blobs
from bulkqa.aws.label_table import DynamoLabelTable, Inserts
from bulkqa.local.blobs import LocalBlobs
from bulkqa.local.database import Database
from bulkqa.local.label_table import LocalLabelTable
from bulkqa.local.task_queue import LocalTaskQueue
from bulkqa.ports import Blobs, LabelTable, TaskQueue
from tests.emulators import Server, dynalite, ministack, moto, moto_client, reset
from tests.support_aws import create_bucket, create_table, new_name

__all__ = ["dynalite", "ministack", "moto"]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A database in a file of its own."""
    database = Database(tmp_path / "home" / "bulkqa.sqlite")
    yield database
    database.close()


@pytest.fixture(params=["local", "s3-moto", "s3-ministack"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    """Every adapter of `Blobs`, empty."""
    if request.param == "local":
        return LocalBlobs(tmp_path / "home")
    if request.param == "s3-moto":
        request.getfixturevalue("moto")
        client = moto_client("s3")
    else:
        client = _ministack(request).client("s3")
    return S3Blobs(client, create_bucket(client, new_name("bucket")))


# moto takes 10 ms for a write, the others 1.
MOTO = pytest.param("dynamodb-moto", marks=pytest.mark.slow)


@pytest.fixture(params=["local", MOTO, "dynamodb-ministack", "dynamodb-dynalite"])
def table(request: pytest.FixtureRequest) -> LabelTable:
    """Every adapter of `LabelTable`, empty."""
    if request.param == "local":
        return LocalLabelTable(request.getfixturevalue("database"))
    inserts = Inserts.BATCHES
    if request.param == "dynamodb-moto":
        request.getfixturevalue("moto")
        client = moto_client("dynamodb")
        inserts = Inserts.SINGLE  # its PartiQL breaks on an INSERT with parameters
    elif request.param == "dynamodb-ministack":
        client = _ministack(request).client("dynamodb")
    else:
        client = request.getfixturevalue("dynalite").client("dynamodb")
    return DynamoLabelTable(client, create_table(client, new_name("table")), inserts)


@pytest.fixture(params=["local"])
def queue(request: pytest.FixtureRequest, database: Database) -> TaskQueue:
    """Every adapter of `TaskQueue`, empty."""
    return LocalTaskQueue(database)


def _ministack(request: pytest.FixtureRequest) -> Server:
    """The server, emptied: what other tests left in it would only slow it down."""
    server: Server = request.getfixturevalue("ministack")
    reset(server)
    return server
