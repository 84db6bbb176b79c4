"""The label table and the queue made again from a job's files."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import PurePosixPath

from bulkqa import wire
from bulkqa.errors import InputError
from bulkqa.flow.answers import Decision, read_answer
from bulkqa.flow.corpus import Item
from bulkqa.flow.tasks import TaskItem, read_task_input
from bulkqa.flow.votes import Key, LabelRow, Origin, Recorded, Vote, of_job, voter, votes
from bulkqa.jobs import by_look_up, job_key, job_of, pages
from bulkqa.ports import Blobs, LabelTable, Notice, QueuedTask, Store
from bulkqa.settings import check_job_name, read_job
from bulkqa.steps.closing import close_again
from bulkqa.steps.labeling import content_of
from bulkqa.steps.notices import counted


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay did. `unreadable` names answer files that could not be read, and why."""

    answers: int
    recorded: Recorded
    unreadable: tuple[str, ...]


def count_pending(job: str, store: Store) -> Replayed:
    """Count the answers that were kept but not counted, as after a crash between the two."""
    counted = store.queue.completed(job) if store.queue else set()
    answers = store.blobs.keys(job_key(job, "answers/"))
    return _count_answers(job, (key for key in answers if _answered(key) not in counted), store)


def replay(job: str, store: Store, notice: Notice) -> Replayed:
    """Make the label table and the queue from the job's files: batches give the rows, answers the votes.

    On a right table it changes nothing; on an empty one it gives the same counts.
    """
    data = store.blobs.read(job_key(check_job_name(job)))
    settings, created_at = read_job(data, job_key(job))
    missing = (
        item
        for some in by_look_up(pages(job, store.blobs))
        for item in _missing(chain.from_iterable(items for _, items in some), job, created_at, store.table)
    )
    origin = Origin(job, created_at, source=settings.source)
    store.table.launch(counted(missing, "rows", 0, notice), origin)
    if store.queue is not None:
        tasks = (
            QueuedTask(
                job, int(PurePosixPath(key).stem), items[0].label, sum(item.check is None for item in items)
            )
            for key, items in pages(job, store.blobs)
        )
        store.queue.add(tasks, settings.reviewers)
        close_again(settings, store)
    answers = list(store.blobs.keys(job_key(job, "answers/")))
    return _count_answers(job, counted(answers, "answers", len(answers), notice), store)


@dataclass(frozen=True, slots=True)
class Unanswered:
    """A vote in the label table that no answer of its job gives."""

    key: Key
    voter: str
    decision: Decision


def check_votes(job: str, store: Store, notice: Notice) -> Iterator[Unanswered]:
    """Yield the job's votes in the label table for which there is no answer; change nothing."""
    answers = _answers_by_page(job, store.blobs)
    for some in by_look_up(counted(pages(job, store.blobs), "pages", 0, notice)):
        rows = store.table.get([(item.image, item.label) for _, items in some for item in items])
        for key, items in some:
            given: dict[tuple[Key, str], set[Decision]] = {}
            for worker, content in answers.get(key, ()):
                name = voter(job, worker)
                for vote in votes(items, read_answer(content, len(items)), name):
                    given.setdefault((vote.key, name), set()).add(vote.decision)
            found = (rows[item.image, item.label] for item in items if (item.image, item.label) in rows)
            yield from _unanswered(job, found, given)


def _unanswered(
    job: str, rows: Iterable[LabelRow], given: Mapping[tuple[Key, str], set[Decision]]
) -> Iterator[Unanswered]:
    """Yield the job's votes on these rows that are not among those given."""
    for row in rows:
        for decision, names in (
            (Decision.CONFIRM, row.confirmed_by),
            (Decision.DISCONFIRM, row.disconfirmed_by),
            (Decision.CANNOT_JUDGE, row.cannot_judge_by),
        ):
            for name in sorted(of_job(job, names)):
                if decision not in given.get((row.key, name), ()):
                    yield Unanswered(row.key, name, decision)


def _answers_by_page(job: str, blobs: Blobs) -> dict[str, list[tuple[str, str]]]:
    """Return (worker, content) of every answer, under the key of its page's batch."""
    found: dict[str, list[tuple[str, str]]] = {}
    for key, data in blobs.read_all(blobs.keys(job_key(job, "answers/"))):
        with suppress(InputError):  # `replay` names those that cannot be read
            for page in wire.read_payload(data, key):
                if page.batch_uri is not None:
                    of_page = found.setdefault(blobs.key(page.batch_uri), [])
                    of_page += [(one.worker, content_of(one, blobs)) for one in page.annotations]
    return found


def _missing(shown: Iterable[TaskItem], job: str, created_at: str, table: LabelTable) -> Iterator[Item]:
    """Yield the items shown that the table lacks: the whole row, or this job in one that others have."""
    items = [item for item in shown if item.check is None]
    present = table.get([(item.image, item.label) for item in items])
    for item in items:
        row = present.get((item.image, item.label))
        if row is None:
            yield Item(item.image, item.label, item.confidence)
        elif job not in row.jobs:
            later = row.created_at is not None and created_at < row.created_at
            # A later launch has the last word on the confidence.
            yield Item(item.image, item.label, row.confidence if later else item.confidence)


def _answered(key: str) -> tuple[int, str]:
    """Return the page number and worker that a portal answer's key names."""
    path = PurePosixPath(key)
    number, worker = path.parent.name, path.stem.rpartition(".")[0]
    return (int(number) if number.isdecimal() else -1), worker


def _count_answers(job: str, keys: Iterable[str], store: Store) -> Replayed:
    answers, recorded, unreadable = 0, Recorded(), list[str]()
    for key, data in store.blobs.read_all(keys):
        try:
            for page in wire.read_payload(data, key):
                if page.batch_uri is None:
                    batch, text = key, (page.batch_content or "").encode()
                else:
                    batch = store.blobs.key(page.batch_uri)
                    text = store.blobs.read(batch)
                items = read_task_input(text, batch)
                ballots: list[Vote] = []
                for annotation in page.annotations:
                    answer = read_answer(content_of(annotation, store.blobs), len(items))
                    ballots += votes(items, answer, voter(job, annotation.worker), annotation.revision)
                    if store.queue is not None and job_of(batch) == job:
                        number = int(PurePosixPath(batch).stem)
                        store.queue.complete(annotation.worker, job, number, answer.numbers())
                    answers += 1
                recorded += store.table.record(ballots)
        except InputError as error:
            unreadable.append(str(error))
    return Replayed(answers, recorded, tuple(unreadable))
