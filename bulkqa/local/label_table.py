"""The label table in SQLite: votes are kept one by one, and the counts follow from them."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import chain, groupby, islice
from operator import itemgetter
from typing import Any

from bulkqa.flow.answers import Decision
from bulkqa.flow.batches import Order
from bulkqa.flow.corpus import Item
from bulkqa.flow.votes import Key, LabelRow, Origin, Recorded, Vote
from bulkqa.local.database import Database

_CHUNK = 2000
_KEYS = 400
_ROWS = 100

_LAUNCH = """
INSERT INTO label_row (s3_image_url, label, confidence, jobs, model, source, created_at)
VALUES {rows}
ON CONFLICT (s3_image_url, label) DO UPDATE SET {sets}
    jobs = CASE WHEN instr(' ' || jobs || ' ', ' ' || excluded.jobs || ' ') THEN jobs
                ELSE jobs || ' ' || excluded.jobs END
"""

_OF_LAUNCH = "confidence = excluded.confidence, model = excluded.model, source = excluded.source,"

# A vote of an earlier or the same revision changes nothing, whatever the order in which they arrive.
_VOTE = """
INSERT INTO vote (row, voter, decision, revision)
SELECT id, ?, ?, ? FROM label_row WHERE s3_image_url = ? AND label = ?
ON CONFLICT (row, voter) DO UPDATE SET decision = excluded.decision, revision = excluded.revision
WHERE excluded.revision > revision
"""

_CONFIRM, _DISCONFIRM, _CANNOT_JUDGE = (decision.value for decision in Decision)

_COLUMNS = """
r.id, r.s3_image_url, r.label, r.confidence, r.jobs, r.model, r.source, r.created_at, v.voter, v.decision
"""


class LocalLabelTable:
    """`bulkqa.ports.LabelTable` in a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # Neighbours in the file's tree are written together; any other order writes most of it again and again.
    order = Order.KEY

    def launch(self, items: Iterable[Item], origin: Origin) -> None:
        """See `LabelTable.launch`."""
        source = iter(items)
        while chunk := list(islice(source, _CHUNK)):
            self._database.write(partial(_launch, chunk, origin))

    def record(self, votes: Sequence[Vote]) -> Recorded:
        """See `LabelTable.record`."""
        return self._database.write(lambda db: _record(db, votes))

    def get(self, keys: Sequence[Key]) -> dict[Key, LabelRow]:
        """See `LabelTable.get`."""
        rows: dict[Key, LabelRow] = {}
        for start in range(0, len(keys), _KEYS):
            some = keys[start : start + _KEYS]
            marks = ", ".join(["(?, ?)"] * len(some))
            cursor = self._database.reader().execute(
                # CROSS JOIN makes SQLite go from the keys to the rows, never the other way.
                f"""
                WITH wanted (url, label) AS (VALUES {marks})
                SELECT {_COLUMNS} FROM wanted
                CROSS JOIN label_row r ON r.s3_image_url = wanted.url AND r.label = wanted.label
                LEFT JOIN vote v ON v.row = r.id
                """,
                list(chain.from_iterable(some)),
            )
            rows.update((row.key, row) for row in _rows(cursor))
        return rows

    def rows(self) -> Iterator[LabelRow]:
        """See `LabelTable.rows`."""
        return _rows(
            self._database.reader().execute(
                f"SELECT {_COLUMNS} FROM label_row r LEFT JOIN vote v ON v.row = r.id ORDER BY r.id"
            )
        )


def _launch(items: list[Item], origin: Origin, db: sqlite3.Connection) -> None:
    shared = (origin.job, origin.model, origin.source, origin.created_at)
    sets = _OF_LAUNCH if origin.source is None else ""
    for start in range(0, len(items), _ROWS):
        some = items[start : start + _ROWS]
        # Many rows to a statement: each statement hands Python's lock to and fro once.
        rows = ", ".join(["(?, ?, ?, ?, ?, ?, ?)"] * len(some))
        values = [value for item in some for value in (*item, *shared)]
        db.execute(_LAUNCH.format(rows=rows, sets=sets), values)


def _record(db: sqlite3.Connection, votes: Sequence[Vote]) -> Recorded:
    counted = already = 0
    unknown: list[Key] = []
    for vote in votes:
        cursor = db.execute(_VOTE, (vote.voter, vote.decision.value, vote.revision, *vote.key))
        if cursor.rowcount == 1:
            counted += 1
        elif db.execute("SELECT 1 FROM label_row WHERE s3_image_url = ? AND label = ?", vote.key).fetchone():
            already += 1
        else:
            unknown.append(vote.key)
    return Recorded(counted, already, tuple(unknown))


_NOBODY: frozenset[str] = frozenset()


def _rows(cursor: Iterable[tuple[Any, ...]]) -> Iterator[LabelRow]:
    """Yield the rows of a join with their votes, which come together row by row."""
    for _, joined in groupby(cursor, key=itemgetter(0)):
        first = next(joined)
        _, url, label, confidence, jobs, model, source, created_at, voter, decision = first
        row = LabelRow(
            (url, label), confidence, 0, 0, 0, _NOBODY, _NOBODY, _NOBODY,
            frozenset(jobs.split()), model, source, created_at,
        )  # fmt: skip
        if voter is None:
            yield row
            continue
        by: dict[str, list[str]] = {_CONFIRM: [], _DISCONFIRM: [], _CANNOT_JUDGE: []}
        by[decision].append(voter)
        for more in joined:  # noqa: B031  what is left of the group
            by[more[9]].append(more[8])
        yield row.with_voters(
            frozenset(by[_CONFIRM]), frozenset(by[_DISCONFIRM]), frozenset(by[_CANNOT_JUDGE])
        )
