"""The task queue in SQLite: pages, who holds them, who has answered them."""

import json
import sqlite3
from collections.abc import Iterable, Mapping

from bulkqa.local.database import Database
from bulkqa.ports import Progress, QueuedTask

_JOB = "(SELECT id FROM job WHERE name = ?)"
_TASK = "SELECT job.name, t.number, t.label, t.size FROM task t JOIN job ON job.id = t.job"
# From the pages in hand, of which there are few, to their tasks.
_IN_HAND = """
SELECT job.name, t.number, t.label, t.size FROM assignment m INDEXED BY lease
CROSS JOIN task t ON t.job = m.job AND t.number = m.number JOIN job ON job.id = t.job
WHERE m.state = 'leased' AND m.worker = :worker"""

# Still needs an answer beyond those that others are at work on.
_FREE = """
t.answers < t.wanted AND t.answers + (
    SELECT count(*) FROM assignment a INDEXED BY lease
    WHERE a.job = t.job AND a.number = t.number
    AND a.state = 'leased' AND a.until > :now AND a.worker <> :worker
) < t.wanted
"""
_MINE = """EXISTS (
    SELECT 1 FROM assignment m WHERE m.worker = :worker AND m.job = t.job AND m.number = t.number"""

# In this order: the page in hand, of a closed label too; the next one behind the last; one before it; one
# given back. The second could be left out for the third, but that would pass over all a busy worker has done
# at every step.
_CHOICES = (
    f"{_IN_HAND} AND {_FREE} LIMIT 1",
    f"""{_TASK} WHERE NOT t.closed AND {_FREE} AND NOT {_MINE}) AND (t.job, t.number) > (
        SELECT m.job, m.number FROM assignment m WHERE m.worker = :worker
        ORDER BY m.job DESC, m.number DESC LIMIT 1
    ) ORDER BY t.job, t.number LIMIT 1""",
    f"{_TASK} WHERE NOT t.closed AND {_FREE} AND NOT {_MINE}) ORDER BY t.job, t.number LIMIT 1",
    f"""{_TASK} WHERE NOT t.closed AND {_FREE} AND {_MINE} AND m.state = 'given back')
        ORDER BY t.job, t.number LIMIT 1""",
)


class LocalTaskQueue:
    """`bulkqa.ports.TaskQueue` in a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, tasks: Iterable[QueuedTask], reviewers: int) -> None:
        """See `TaskQueue.add`."""
        listed = list(tasks)  # whoever makes them must not do so while others wait to write
        self._database.write(lambda db: _add(db, listed, reviewers))

    def take(self, worker: str, now: float, lease: float) -> QueuedTask | None:
        """See `TaskQueue.take`."""
        return self._database.write(lambda db: _take(db, worker, now, now + lease))

    def holds(self, worker: str, job: str, number: int) -> bool:
        """See `TaskQueue.holds`."""
        row = self._database.reader().execute(
            f"SELECT state FROM assignment WHERE worker = ? AND number = ? AND job = {_JOB}",
            (worker, number, job),
        )
        return row.fetchone() in (("leased",), ("answered",))

    def give_back(self, worker: str, job: str, number: int) -> None:
        """See `TaskQueue.give_back`."""
        self._database.write(
            lambda db: db.execute(
                f"""UPDATE assignment SET state = 'given back'
                    WHERE state = 'leased' AND worker = ? AND number = ? AND job = {_JOB}""",
                (worker, number, job),
            )
        )

    def complete(self, worker: str, job: str, number: int, decisions: Mapping[str, int]) -> None:
        """See `TaskQueue.complete`."""
        self._database.write(lambda db: _complete(db, worker, job, number, json.dumps(decisions)))

    def close(self, job: str, label: str) -> None:
        """See `TaskQueue.close`."""
        self._database.write(
            lambda db: (
                db.execute(
                    f"UPDATE task SET closed = 1 WHERE job = {_JOB} AND label = ?", (job, label)
                ).rowcount
            )
        )

    def done(self, job: str, label: str) -> set[int]:
        """See `TaskQueue.done`."""
        rows = self._database.reader().execute(
            f"""SELECT number FROM task INDEXED BY done_task
                WHERE job = {_JOB} AND label = ? AND answers >= wanted""",
            (job, label),
        )
        return {number for (number,) in rows}

    def completed(self, job: str) -> set[tuple[int, str]]:
        """See `TaskQueue.completed`."""
        return set(
            self._database.reader().execute(
                f"SELECT number, worker FROM assignment WHERE state = 'answered' AND job = {_JOB}",
                (job,),
            )
        )

    def progress(self, job: str) -> dict[str, Progress]:
        """See `TaskQueue.progress`."""
        rows = self._database.reader().execute(
            f"""SELECT label, sum(kept), sum(done), sum(kept * min(answers, wanted)), sum(kept * wanted),
                      sum(kept * size), sum(done * size)
               FROM (SELECT *, answers >= wanted AS done, answers >= wanted OR NOT closed AS kept FROM task)
               WHERE job = {_JOB} GROUP BY label ORDER BY label""",
            (job,),
        )
        return {label: Progress(*numbers) for label, *numbers in rows}

    def waiting(self, worker: str) -> int:
        """See `TaskQueue.waiting`."""
        (number,) = (
            self._database.reader()
            .execute(
                f"""SELECT count(*) FROM task t
                    WHERE NOT t.closed AND t.answers < t.wanted AND NOT {_MINE} AND m.state = 'answered')""",
                {"worker": worker},
            )
            .fetchone()
        )
        return int(number)

    def work_of(self, worker: str) -> tuple[int, dict[str, int]]:
        """See `TaskQueue.work_of`."""
        pages, decisions = 0, dict[str, int]()
        for (text,) in self._database.reader().execute(
            "SELECT decisions FROM assignment WHERE worker = ? AND state = 'answered'", (worker,)
        ):
            pages += 1
            for kind, number in json.loads(text).items():
                decisions[kind] = decisions.get(kind, 0) + number
        return pages, decisions


def _add(db: sqlite3.Connection, tasks: Iterable[QueuedTask], reviewers: int) -> None:
    ids: dict[str, int] = {}
    for task in tasks:
        if task.job not in ids:
            db.execute("INSERT INTO job (name) VALUES (?) ON CONFLICT DO NOTHING", (task.job,))
            (ids[task.job],) = db.execute("SELECT id FROM job WHERE name = ?", (task.job,)).fetchone()
        db.execute(
            """INSERT INTO task (job, number, label, size, wanted, answers) VALUES (?, ?, ?, ?, ?, 0)
               ON CONFLICT DO NOTHING""",
            (ids[task.job], task.number, task.label, task.size, reviewers),
        )


def _take(db: sqlite3.Connection, worker: str, now: float, until: float) -> QueuedTask | None:
    for choice in _CHOICES:
        found = db.execute(choice, {"worker": worker, "now": now}).fetchone()
        if found:
            task = QueuedTask(*found)
            db.execute(
                f"""INSERT INTO assignment (worker, job, number, state, until)
                   VALUES (?, {_JOB}, ?, 'leased', ?)
                   ON CONFLICT DO UPDATE SET state = 'leased', until = excluded.until""",
                (worker, task.job, task.number, until),
            )
            return task
    return None


def _complete(db: sqlite3.Connection, worker: str, job: str, number: int, decisions: str) -> None:
    changed = db.execute(
        """INSERT INTO assignment (worker, job, number, state, until, decisions)
           SELECT ?, id, ?, 'answered', 0, ? FROM job WHERE name = ?
           ON CONFLICT DO UPDATE SET state = 'answered', decisions = excluded.decisions
           WHERE state <> 'answered'""",
        (worker, number, decisions, job),
    ).rowcount
    if changed:
        db.execute(
            f"UPDATE task SET answers = answers + 1 WHERE number = ? AND job = {_JOB}",
            (number, job),
        )
