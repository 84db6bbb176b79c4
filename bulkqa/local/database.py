"""One SQLite file, many readers, one writer.

All writing goes through one thread that commits in groups: what arrives while a commit is under way
goes into the next one, each piece of work in a savepoint of its own so that a bad one fails alone. On
return the work is on disk (WAL, synchronous=FULL). Several processes may use the same file.
"""

import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar, cast

from bulkqa.errors import BulkqaError, InputError

Result = TypeVar("Result")
Work = Callable[[sqlite3.Connection], Result]

GROUP = 256
"""Pieces of work in one commit at most."""

_BUSY_SECONDS = 30.0
_CACHE_KIB = 4096

_SCHEMAS = (
    """
CREATE TABLE label_row (
    id INTEGER PRIMARY KEY,
    s3_image_url TEXT NOT NULL, label TEXT NOT NULL, confidence REAL NOT NULL,
    jobs TEXT NOT NULL,  -- job names hold no blank, so blanks stand between them
    model TEXT, source TEXT, created_at TEXT,
    UNIQUE (s3_image_url, label)
);
CREATE TABLE vote (
    row INTEGER NOT NULL, voter TEXT NOT NULL, decision TEXT NOT NULL, revision INTEGER NOT NULL,
    PRIMARY KEY (row, voter)
) WITHOUT ROWID;
CREATE TABLE job (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE task (
    job INTEGER NOT NULL, number INTEGER NOT NULL, label TEXT NOT NULL, size INTEGER NOT NULL,
    wanted INTEGER NOT NULL, answers INTEGER NOT NULL,
    PRIMARY KEY (job, number)
) WITHOUT ROWID;
CREATE INDEX open_task ON task (job, number) WHERE answers < wanted;
CREATE TABLE assignment (
    worker TEXT NOT NULL, job INTEGER NOT NULL, number INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('leased', 'given back', 'answered')),
    until REAL NOT NULL, decisions TEXT,
    PRIMARY KEY (worker, job, number)
) WITHOUT ROWID;
CREATE INDEX lease ON assignment (job, number) WHERE state = 'leased';
""",
    """
ALTER TABLE task ADD COLUMN closed INTEGER NOT NULL DEFAULT 0;
DROP INDEX open_task;
CREATE INDEX open_task ON task (job, number) WHERE answers < wanted AND NOT closed;
CREATE INDEX done_task ON task (job, label, number) WHERE answers >= wanted;
""",
)
"""What each version of the file adds to the one before."""

VERSION = len(_SCHEMAS)


class Database:
    """The file at `path`, made if it is not there. Call `close` when done."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()
        self._open: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._work: queue.SimpleQueue[tuple[Work[Any], Future[Any]] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._prepared = False

    def close(self) -> None:
        """Finish the work under way and close every connection."""
        with self._lock:
            self._closed = True
            thread, self._thread = self._thread, None
        if thread is not None:
            self._work.put(None)
            thread.join()
        for connection in self._open:
            connection.close()
        self._open.clear()

    def reader(self) -> sqlite3.Connection:
        """Return this thread's connection for reading: it sees all that is committed."""
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._connect()
            connection.execute("PRAGMA query_only = ON")
            self._local.connection = connection
        return cast(sqlite3.Connection, connection)

    def write(self, work: Work[Result]) -> Result:
        """Do `work` in the writing thread and return its result once it is on disk; pass its error on."""
        return self.submit(work).result()

    def submit(self, work: Work[Result]) -> "Future[Result]":
        """Like `write`, without waiting."""
        future: Future[Result] = Future()
        with self._lock:
            if self._closed:
                raise BulkqaError(f"{self._path} is closed")
            if self._thread is None:
                self._thread = threading.Thread(target=self._write_all, name="bulkqa-writer", daemon=True)
                self._thread.start()
            self._work.put((work, future))
        return future

    def _prepare(self) -> None:
        """Make the file and its tables; at the first use, so that merely asking for a job makes none."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        connection = self._new_connection()
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("BEGIN IMMEDIATE")
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version > VERSION:
                raise InputError(f"{self._path}: written by a newer bulkqa (version {version})")
            for schema in _SCHEMAS[version:]:
                for statement in schema.split(";\n"):
                    connection.execute(statement)
            if version < VERSION:
                connection.execute(f"PRAGMA user_version = {VERSION}")
            connection.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            raise BulkqaError(f"{self._path}: {error}") from error
        finally:
            connection.close()

    def _connect(self) -> sqlite3.Connection:
        with self._lock:
            if not self._prepared:
                self._prepare()
                self._prepared = True
            connection = self._new_connection()
            self._open.append(connection)
        return connection

    def _new_connection(self) -> sqlite3.Connection:
        try:
            connection = sqlite3.connect(
                self._path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
        except sqlite3.DatabaseError as error:
            raise BulkqaError(f"{self._path}: {error}") from error
        try:
            for pragma in (
                "synchronous = FULL",
                "fullfsync = ON",  # macOS: without it a drive may keep writes in its own cache
                f"cache_size = -{_CACHE_KIB}",
            ):
                connection.execute(f"PRAGMA {pragma}")
        except sqlite3.DatabaseError as error:
            connection.close()
            raise BulkqaError(f"{self._path}: {error}") from error
        return connection

    def _write_all(self) -> None:
        """The writing thread: take what is there, commit it as one, tell the callers."""
        connection = self._connect()
        more = True
        while more:
            group: list[tuple[Work[Any], Future[Any]]] = []
            entry = self._work.get()
            while entry is not None:
                group.append(entry)
                if len(group) == GROUP or self._work.empty():
                    break
                entry = self._work.get()
            more = entry is not None
            if group:
                _commit(connection, group)


def _commit(connection: sqlite3.Connection, group: list[tuple[Work[Any], "Future[Any]"]]) -> None:
    results: list[tuple[Future[Any], Any, BaseException | None]] = []
    try:
        connection.execute("BEGIN IMMEDIATE")
        for work, future in group:
            connection.execute("SAVEPOINT piece")
            try:
                results.append((future, work(connection), None))
            except BaseException as error:  # whatever it is belongs to the caller, not to this thread
                connection.execute("ROLLBACK TO piece")
                results.append((future, None, error))
            connection.execute("RELEASE piece")
        connection.execute("COMMIT")
    except BaseException as error:
        # Nothing of the group is on disk: a full disk, or another process holding the file too long.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        results = [(future, None, BulkqaError(f"could not save: {error}")) for _, future in group]
    for future, result, failure in results:
        if failure is None:
            future.set_result(result)
        else:
            future.set_exception(failure)
