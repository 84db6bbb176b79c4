"""What is too much for memory: tables in a temporary file, on a laptop and in a Lambda alike."""

import sqlite3
from collections.abc import Iterable, Sequence
from itertools import islice
from types import TracebackType
from typing import Self

_CHUNK = 2000
_CACHE_KIB = 4096


class OnDisk:
    """Something that keeps its tables in a temporary file that goes with it. They take little memory."""

    def __init__(self, schema: str) -> None:
        # An empty name is SQLite's way to ask for a temporary database on disk, cleaned up by itself.
        self._db = sqlite3.connect("", isolation_level=None)
        fast = f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -{_CACHE_KIB};"
        self._db.executescript(fast + schema)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.close()

    def _fill(self, statement: str, rows: Iterable[Sequence[object]]) -> None:
        """Carry out an INSERT for each row, some thousands at a time."""
        source = iter(rows)
        while some := list(islice(source, _CHUNK)):
            self._db.execute("BEGIN")
            self._db.executemany(statement, some)
            self._db.execute("COMMIT")
