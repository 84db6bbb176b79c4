"""Spill: the rows of a corpus on disk, read back sorted.

That shuffles them, finds duplicates, and keeps memory flat whatever the size, on a laptop and in a Lambda
alike.
"""

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from types import TracebackType
from typing import Self

from bulkqa.flow.batches import Order
from bulkqa.flow.corpus import Item, Row
from bulkqa.flow.records import Rejected

_CHUNK = 2000
_CACHE_KIB = 4096


@dataclass(frozen=True, slots=True)
class Counts:
    """What a corpus came to: items of each label to be launched, and rows that were not."""

    of_label: dict[str, int]
    below: int
    rejected: int

    @property
    def items(self) -> int:
        """Items to be launched."""
        return sum(self.of_label.values())


class Spill:
    """The rows of a corpus on disk, in a temporary file that goes with the object.

    Items below `minimum_confidence` are counted and left out; among duplicates the first line wins,
    whatever its confidence.

    >>> with Spill(seed=0, minimum_confidence=80) as spill:
    ...     spill.add([Row(2, Item("a.jpg", "Dog", 99.0)), Row(3, Item("a.jpg", "Dog", 90.0))])
    ...     spill.add([Row(4, Item("b.jpg", "Dog", 79.9))])
    ...     spill.counts(), [rejected.line for rejected in spill.rejected()]
    (Counts(of_label={'Dog': 1}, below=1, rejected=1), [3])
    """

    def __init__(self, seed: int, minimum_confidence: float = 0) -> None:
        # An empty name is SQLite's way to ask for a temporary database on disk, cleaned up by itself.
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.executescript(
            f"""
            PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -{_CACHE_KIB};
            CREATE TABLE item (shuffle BLOB, label TEXT, image TEXT, confidence REAL, line INTEGER);
            CREATE TABLE rejected (line INTEGER, reason TEXT);
            """
        )
        self._minimum = minimum_confidence
        self._duplicates: int | None = None  # known once the items have been counted
        self._keyed = hashlib.blake2b(key=seed.to_bytes(16, "big", signed=True), digest_size=16)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.close()

    def add(self, rows: Iterable[Row | Rejected]) -> None:
        """Take in rows, in file order."""
        source = iter(rows)
        while chunk := list(islice(source, _CHUNK)):
            items, bad = [], []
            for row in chunk:
                if isinstance(row, Row):
                    line, (image, label, confidence) = row
                    digest = self._keyed.copy()
                    digest.update(f"{label}\0{image}".encode())
                    items.append((digest.digest(), label, image, confidence, line))
                else:
                    bad.append((row.line, row.reason))
            self._duplicates = None
            self._db.execute("BEGIN")
            self._db.executemany("INSERT INTO item VALUES (?, ?, ?, ?, ?)", items)
            self._db.executemany("INSERT INTO rejected VALUES (?, ?)", bad)
            self._db.execute("COMMIT")

    def counts(self) -> Counts:
        """Return the numbers of items to be launched by label, of those below, and of rejected rows."""
        of_label: dict[str, int] = {}
        below = 0
        for label, usable, all_of_it in self._db.execute(
            # SQLite takes a bare column beside min() from the row that has the minimum: the first line.
            """
            SELECT label, sum(confidence >= ?), count(*)
            FROM (SELECT label, confidence, min(line) FROM item GROUP BY shuffle) GROUP BY label
            """,
            (self._minimum,),
        ):
            below += all_of_it - usable
            if usable:
                of_label[label] = usable
        (rows,) = self._db.execute("SELECT count(*) FROM item").fetchone()
        (bad,) = self._db.execute("SELECT count(*) FROM rejected").fetchone()
        self._duplicates = rows - below - sum(of_label.values())
        return Counts(of_label, below, bad + self._duplicates)

    def items(self, order: Order) -> Iterator[Item]:
        """Yield each item to be launched, in this order.

        The same seed and items give the same order, whatever the order of the file.
        """
        by = {Order.PAGE: "label, shuffle", Order.HASH: "shuffle", Order.KEY: "image, label"}[order]
        before = b""
        for shuffle, label, image, confidence in self._db.execute(
            f"SELECT shuffle, label, image, confidence FROM item ORDER BY {by}, line"
        ):
            # The digest covers image and label, so equal neighbours are the same item.
            if shuffle != before:
                before = shuffle
                if confidence >= self._minimum:
                    yield Item(image, label, confidence)

    def rejected(self) -> Iterator[Rejected]:
        """Yield the rows that cannot be used, duplicates included, in the order of their lines."""
        duplicates = """
            UNION ALL
            SELECT line, 'duplicate of line ' || first || ': this image has this label there already'
            FROM (SELECT line, min(line) OVER (PARTITION BY shuffle) AS first FROM item) WHERE line > first
        """
        # Looking for them means sorting all items once more, mostly for nothing.
        looked_for = "" if self._duplicates == 0 else duplicates
        for line, reason in self._db.execute(f"SELECT line, reason FROM rejected {looked_for} ORDER BY line"):
            yield Rejected(line, reason)
