"""The answers of a job, page by page."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from itertools import groupby, tee
from operator import itemgetter

from bulkqa import wire
from bulkqa.errors import InputError
from bulkqa.flow.answers import PageAnswers, WorkerAnswer, read_answer, read_seconds
from bulkqa.flow.tasks import read_task_input
from bulkqa.jobs import job_key, job_of
from bulkqa.ports import Blobs, Store
from bulkqa.steps.labeling import content_of

_CACHE_KIB = 4096


def job_answers(job: str, store: Store) -> Iterator[PageAnswers]:
    """Yield every page of a job, in page order, with the answers to it, by worker.

    Of each worker there is one answer: that of the highest revision, and of several answers of one revision
    the first (by file) that decides anything, whatever was delivered again and in whatever batching. A page
    without answers has an empty tuple. Files and parts that cannot be read are passed over; `replay` names
    them. Answers are spilled to disk, so memory is flat for any job.
    """
    # An empty name is SQLite's way to ask for a temporary database on disk, cleaned up by itself.
    with closing(sqlite3.connect("", isolation_level=None)) as db:
        db.executescript(
            f"""
            PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -{_CACHE_KIB};
            CREATE TABLE answer (page TEXT, worker TEXT, revision INTEGER, content TEXT);
            """
        )
        db.execute("BEGIN")
        db.executemany("INSERT INTO answer VALUES (?, ?, ?, ?)", _answers(job, store.blobs))
        db.execute("COMMIT")
        db.execute("CREATE INDEX of_page ON answer (page, worker, revision DESC)")
        names, asked = tee(store.blobs.keys(job_key(job, "custom-labeling-inputs/")))
        for key, data in zip(names, store.blobs.read_all(asked), strict=True):
            items = read_task_input(data, key)
            found = db.execute(
                "SELECT worker, revision, content FROM answer WHERE page = ?"
                " ORDER BY worker, revision DESC, rowid",
                (key,),
            )
            chosen = (_choose(of_worker, len(items)) for _, of_worker in groupby(found, key=itemgetter(0)))
            yield PageAnswers(key, items, tuple(chosen))


def _answers(job: str, blobs: Blobs) -> Iterator[tuple[str, str, int, str]]:
    """Yield (batch key, worker, revision, content) of every answer to a page of the job, as delivered."""
    names, asked = tee(blobs.keys(job_key(job, "answers/")))
    for name, data in zip(names, blobs.read_all(asked), strict=True):
        with suppress(InputError):
            for page in wire.parse_payload(data, name):
                if isinstance(page, str) or page.batch_uri is None:
                    continue
                with suppress(InputError):
                    key = blobs.key(page.batch_uri)
                    if job_of(key) == job:
                        for one in page.annotations:
                            with suppress(InputError):
                                yield key, one.worker, one.revision, _writable(content_of(one, blobs))


def _writable(content: str) -> str:
    """Return an answer's text as SQLite can keep it: half a character cannot be written as UTF-8."""
    return content.encode("utf-8", "replace").decode()


def _choose(answers: Iterator[tuple[str, int, str]], size: int) -> WorkerAnswer:
    """Return the first of a worker's answers that decides anything, or the very first if none does."""
    first: WorkerAnswer | None = None
    for worker, revision, content in answers:
        answer = WorkerAnswer(worker, read_answer(content, size), read_seconds(content), revision)
        if answer.answer.decisions:
            return answer
        first = first or answer
    assert first is not None  # noqa: S101  a group has at least one
    return first
