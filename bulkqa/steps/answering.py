"""The answers of a job, page by page."""

from collections.abc import Iterator
from contextlib import suppress
from itertools import groupby
from operator import itemgetter

from bulkqa import wire
from bulkqa.errors import InputError
from bulkqa.flow.answers import PageAnswers, WorkerAnswer, read_answer, read_seconds
from bulkqa.flow.on_disk import OnDisk
from bulkqa.jobs import job_key, job_of, pages
from bulkqa.ports import Blobs, Store
from bulkqa.steps.labeling import content_of


def job_answers(job: str, store: Store) -> Iterator[PageAnswers]:
    """Yield every page of a job, in page order, with the answers to it, by worker.

    Of each worker there is one answer: that of the highest revision, and of several answers of one revision
    the first (by file) that decides anything, whatever was delivered again and in whatever batching. A page
    without answers has an empty tuple. Files and parts that cannot be read are passed over; `replay` names
    them. Answers are spilled to disk, so memory is flat for any job.
    """
    with _Delivered(job, store.blobs) as delivered:
        for key, items in pages(job, store.blobs):
            yield PageAnswers(key, items, delivered.to(key, len(items)))


class _Delivered(OnDisk):
    """Every answer to a job's pages as it was delivered."""

    def __init__(self, job: str, blobs: Blobs) -> None:
        super().__init__("CREATE TABLE answer (page TEXT, worker TEXT, revision INTEGER, content TEXT)")
        self._fill("INSERT INTO answer VALUES (?, ?, ?, ?)", _answers(job, blobs))
        self._db.execute("CREATE INDEX of_page ON answer (page, worker, revision DESC)")

    def to(self, page: str, size: int) -> tuple[WorkerAnswer, ...]:
        """Return the answers to a page of so many pictures, one of each worker."""
        found = self._db.execute(
            "SELECT worker, revision, content FROM answer WHERE page = ?"
            " ORDER BY worker, revision DESC, rowid",
            (page,),
        )
        return tuple(_choose(of_worker, size) for _, of_worker in groupby(found, key=itemgetter(0)))


def _answers(job: str, blobs: Blobs) -> Iterator[tuple[str, str, int, str]]:
    """Yield (batch key, worker, revision, content) of every answer to a page of the job, as delivered."""
    for name, data in blobs.read_all(blobs.keys(job_key(job, "answers/"))):
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
