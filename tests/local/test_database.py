"""The SQLite file: one writer, groups of work, several processes."""

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from bulkqa.errors import BulkqaError, InputError
from bulkqa.local.database import _SCHEMAS, Database
from bulkqa.local.task_queue import LocalTaskQueue


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A database with one table to play with."""
    database = Database(tmp_path / "x.sqlite")
    database.write(lambda db: db.execute("CREATE TABLE t (n INTEGER PRIMARY KEY)").fetchall())
    yield database
    database.close()


def insert(database: Database, n: int) -> None:
    """Insert a number."""
    database.write(lambda db: db.execute("INSERT INTO t VALUES (?)", (n,)).fetchall())


def numbers(database: Database) -> list[int]:
    """All numbers."""
    return [n for (n,) in database.reader().execute("SELECT n FROM t ORDER BY n")]


def test_work_that_fails_fails_alone(database: Database) -> None:
    """Of work that arrives together a bad piece gets its error; the others are kept."""
    start = threading.Event()
    database.submit(lambda db: start.wait())  # holds the writer, so that all below share a commit
    good = [database.submit(lambda db, n=n: db.execute("INSERT INTO t VALUES (?)", (n,))) for n in range(5)]  # type: ignore[misc]
    bad = database.submit(lambda db: db.execute("INSERT INTO t VALUES (0)"))
    more = database.submit(lambda db: db.execute("INSERT INTO t VALUES (9)"))
    start.set()
    with pytest.raises(sqlite3.IntegrityError):
        bad.result()
    for work in [*good, more]:
        work.result()
    assert numbers(database) == [0, 1, 2, 3, 4, 9]


def test_what_is_acknowledged_is_seen_by_every_reader(database: Database) -> None:
    """After `write` returns, another thread reads what was written."""
    with ThreadPoolExecutor(4) as pool:
        for n in range(20):
            insert(database, n)
            assert pool.submit(numbers, database).result() == list(range(n + 1))


def test_a_file_of_the_first_version_is_brought_up_to_date(tmp_path: Path) -> None:
    """Its pages are there, and their labels can be closed."""
    with closing(sqlite3.connect(tmp_path / "old.sqlite")) as old:
        old.executescript(
            f"""{_SCHEMAS[0]} PRAGMA user_version = 1;
            INSERT INTO job VALUES (1, 'dogs');
            INSERT INTO task VALUES (1, 0, 'Dog', 25, 1, 1), (1, 1, 'Dog', 25, 1, 0);"""
        )
    for _ in range(2):
        database = Database(tmp_path / "old.sqlite")
        queue = LocalTaskQueue(database)
        assert queue.progress("dogs")["Dog"][:2] == (2, 1)
        assert queue.done("dogs", "Dog") == {0}
        database.close()
    database = Database(tmp_path / "old.sqlite")
    LocalTaskQueue(database).close("dogs", "Dog")
    assert LocalTaskQueue(database).progress("dogs")["Dog"][:2] == (1, 1)
    database.close()


def test_it_is_kept_with_full_synchronisation(database: Database) -> None:
    """Commits wait for the disk: WAL, synchronous=FULL."""
    assert database.reader().execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert database.write(lambda db: db.execute("PRAGMA synchronous").fetchone()) == (2,)


@pytest.mark.slow
def test_two_processes_write_at_the_same_time(database: Database, tmp_path: Path) -> None:
    """Writers of two processes wait for each other; nothing is lost."""
    code = (
        "import sys; from pathlib import Path; from bulkqa.local.database import Database\n"
        "d = Database(Path(sys.argv[1]))\n"
        "for n in range(1000, 1200):\n"
        "    d.write(lambda db: db.execute('INSERT INTO t VALUES (?)', (n,)).fetchall())\n"
        "d.close()\n"
    )
    other = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "x.sqlite")])
    for n in range(200):
        insert(database, n)
    assert other.wait(30) == 0
    assert numbers(database) == [*range(200), *range(1000, 1200)]


def test_a_newer_file_is_refused(tmp_path: Path) -> None:
    """A file of a later version is left alone."""
    path = tmp_path / "new.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    database = Database(path)
    with pytest.raises(InputError, match="newer"):
        database.reader()
    database.close()


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    """Anything else in its place is an error that names the file."""
    path = tmp_path / "x.sqlite"
    path.write_bytes(b"no database at all, but long enough to be looked at" * 100)
    database = Database(path)
    with pytest.raises(BulkqaError, match=r"x\.sqlite"):
        database.reader()
    database.close()


def test_asking_makes_no_file(tmp_path: Path) -> None:
    """Only the first use makes the file."""
    Database(tmp_path / "none.sqlite").close()
    assert not list(tmp_path.iterdir())


def test_a_closed_database_says_so(tmp_path: Path) -> None:
    """Writing after `close` is an error, not a wait without end."""
    database = Database(tmp_path / "x.sqlite")
    database.close()
    with pytest.raises(BulkqaError, match="closed"):
        database.write(lambda db: None)
