"""The label table in SQLite: votes are kept one by one, and the counts follow from them."""

import sqlite3
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from functools import partial
from itertools import chain, groupby, islice
from typing import Any

from bulkqa.flow.answers import Decision
from bulkqa.flow.votes import Key, LabelRow, Recorded, Vote
from bulkqa.local.database import Database

_CHUNK = 2000
_KEYS = 400
_IN_FLIGHT = 3

_LAUNCH = """
INSERT INTO label_row (s3_image_url, label, confidence, jobs, model, source, created_at)
VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (s3_image_url, label) DO UPDATE SET
    confidence = excluded.confidence, model = excluded.model, source = excluded.source,
    jobs = CASE WHEN instr(' ' || jobs || ' ', ' ' || excluded.jobs || ' ') THEN jobs
                ELSE jobs || ' ' || excluded.jobs END
"""

# A vote of an earlier or the same revision changes nothing, whatever the order in which they arrive.
_VOTE = """
INSERT INTO vote (row, voter, decision, revision)
SELECT id, ?, ?, ? FROM label_row WHERE s3_image_url = ? AND label = ?
ON CONFLICT (row, voter) DO UPDATE SET decision = excluded.decision, revision = excluded.revision
WHERE excluded.revision > revision
"""

_COLUMNS = """
r.id, r.s3_image_url, r.label, r.confidence, r.jobs, r.model, r.source, r.created_at, v.voter, v.decision
"""


class LocalLabelTable:
    """`bulkqa.ports.LabelTable` in a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def launch(self, rows: Iterable[LabelRow]) -> None:
        """See `LabelTable.launch`."""
        source = iter(rows)
        in_flight: deque[Future[None]] = deque()
        while chunk := list(islice(source, _CHUNK)):
            values = [
                (*row.key, row.confidence, " ".join(sorted(row.jobs)), row.model, row.source, row.created_at)
                for row in chunk
            ]
            in_flight.append(self._database.submit(partial(_launch, values)))
            if len(in_flight) > _IN_FLIGHT:
                in_flight.popleft().result()
        for future in in_flight:
            future.result()

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


def _launch(values: list[tuple[Any, ...]], db: sqlite3.Connection) -> None:
    db.executemany(_LAUNCH, values)


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


def _rows(cursor: Iterable[tuple[Any, ...]]) -> Iterator[LabelRow]:
    """Yield the rows of a join with their votes, which come together row by row."""
    for _, joined in groupby(cursor, key=lambda values: values[0]):
        voters: dict[str, list[str]] = {decision.value: [] for decision in Decision}
        for values in joined:
            if values[8] is not None:
                voters[values[9]].append(values[8])
        confirms, disconfirms = voters[Decision.CONFIRM], voters[Decision.DISCONFIRM]
        cannot_judges = voters[Decision.CANNOT_JUDGE]
        yield LabelRow(
            key=(values[1], values[2]),
            confidence=values[3],
            confirms=len(confirms),
            disconfirms=len(disconfirms),
            cannot_judges=len(cannot_judges),
            confirmed_by=frozenset(confirms),
            disconfirmed_by=frozenset(disconfirms),
            cannot_judge_by=frozenset(cannot_judges),
            jobs=frozenset(values[4].split()),
            model=values[5],
            source=values[6],
            created_at=values[7],
        )
