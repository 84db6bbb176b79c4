"""Steps: the flow joined to the ports, one function per trigger.

Whoever calls (the command, the portal, a Lambda) builds the adapters and passes them in.
"""

import csv
import dataclasses
import hashlib
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import PurePosixPath
from tempfile import TemporaryFile
from typing import BinaryIO, TypeVar, cast

from bulkqa import wire
from bulkqa.errors import ConflictError, InputError
from bulkqa.flow.answers import Answer, Decision, read_answer
from bulkqa.flow.batches import Counts, Order, Spill, make_batches, plan_batches
from bulkqa.flow.corpus import Item, Keep, read_corpus
from bulkqa.flow.records import Rejected
from bulkqa.flow.report import check_bands
from bulkqa.flow.tasks import TaskItem, read_task_input, task_input
from bulkqa.flow.votes import Key, LabelRow, Origin, Recorded, of_job, row_of_job, voter, votes
from bulkqa.jobs import (
    MANIFEST_LINES,
    answer_key,
    batch_key,
    exists,
    job_key,
    manifest_key,
    page_items,
)
from bulkqa.ports import Blobs, LabelTable, Notice, QueuedTask, Store
from bulkqa.settings import MAX_REVIEWERS, JobSettings, check_job_name, read_job

T = TypeVar("T")

# Batch files are read this many at a time for a report, so that one look-up serves them all.
_BATCHES_AT_ONCE = 40


@dataclass(frozen=True, slots=True)
class Launched:
    """What a launch did. `again` says that this very job had been launched before."""

    job: str
    counts: Counts
    batches: int
    rejected_key: str
    first_rejected: tuple[Rejected, ...]
    again: bool


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of an answer: its decisions, the parts not counted, and the votes."""

    answer: Answer
    recorded: Recorded
    again: bool


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay did. `unreadable` names answer files that could not be read, and why."""

    answers: int
    recorded: Recorded
    unreadable: tuple[str, ...]


# Launch.


def launch(
    open_corpus: Callable[[], BinaryIO],
    settings: JobSettings,
    store: Store,
    *,
    created_at: str,
    keep: Keep | None,
    notice: Notice,
    lines: Callable[[BinaryIO], Iterable[bytes]] = iter,
) -> Launched:
    """Launch a job: read the corpus, write `job.json`, rows, batches, manifest, and queue the pages.

    `settings` come without what follows from the corpus; `keep` may refuse an item or change its
    reference; `notice` hears (stage, done, of) now and then; `lines` makes lines of text of a file that
    has none. The corpus is opened up to three times. Whatever was interrupted is made whole by launching
    again: the same corpus and settings are the same job.

    Raises `InputError` where the settings cannot be used, the corpus has no usable row, or the job
    exists with another corpus or other settings.
    """
    _check(settings)
    with Spill(settings.seed, settings.minimum_confidence) as spill:
        with open_corpus() as corpus:
            digest = hashlib.file_digest(cast(io.BytesIO, corpus), "sha256")
        with open_corpus() as corpus:
            source = _counted(lines(corpus), "reading", 0, notice)
            spill.add(read_corpus(source, settings.corpus_name, keep))
        counts = spill.counts()
        if not counts.items:
            raise InputError(_nothing_usable(settings, counts, spill))
        settings = dataclasses.replace(
            settings,
            corpus_sha256=digest.hexdigest(),
            items=counts.items,
            labels=tuple(sorted(counts.of_label)),
        )
        again, created_at = _claim(settings, store.blobs, created_at)
        pages = list(plan_batches(counts.of_label, settings.batch_size))
        # The manifest is written last: where it is, all the rest is, and reviewers may be at work.
        if not exists(manifest_key(settings.job, 0, len(pages)), store.blobs):
            with open_corpus() as corpus:
                name = f"corpus{PurePosixPath(settings.corpus_name).suffix}"
                store.blobs.write_file(job_key(settings.job, name), corpus)
            _write_rejected(settings, spill, store.blobs)
            _write_rows(settings, created_at, spill, store.table, notice)
            _write_batches(settings, len(pages), spill, store.blobs, notice)
            if store.queue is not None:
                store.queue.add((QueuedTask(settings.job, *page) for page in pages), settings.reviewers)
            _write_manifests(settings.job, pages, store.blobs)
        first = tuple(islice(spill.rejected(), 5))
    return Launched(settings.job, counts, len(pages), job_key(settings.job, "rejected.csv"), first, again)


def _check(settings: JobSettings) -> None:
    check_job_name(settings.job)
    check_bands(settings.bands)
    make_batches((), settings.batch_size)
    if not 1 <= settings.reviewers <= MAX_REVIEWERS:
        raise InputError(f"{settings.reviewers} reviewers: 1 to {MAX_REVIEWERS} can review a page")
    if not 0 <= settings.minimum_confidence <= 100:
        raise InputError(f"minimum confidence {settings.minimum_confidence:g} is outside 0 to 100")
    if not -(2**63) <= settings.seed < 2**63:
        raise InputError(f"seed {settings.seed} is outside 64 bits")


def _counted(things: Iterable[T], stage: str, of: int, notice: Notice) -> Iterator[T]:
    for number, thing in enumerate(things):
        if number % 1_000 == 0:
            notice(stage, number, of)
        yield thing
    notice(stage, of, of)


def _nothing_usable(settings: JobSettings, counts: Counts, spill: Spill) -> str:
    reasons = "".join(f"; line {bad.line}: {bad.reason}" for bad in islice(spill.rejected(), 3))
    return (
        f"{settings.corpus_name}: no usable row: {counts.below} below the minimum confidence "
        f"{settings.minimum_confidence:g}, {counts.rejected} rejected{reasons}"
    )


def _claim(settings: JobSettings, blobs: Blobs, created_at: str) -> tuple[bool, str]:
    """Write `job.json` if there is none; return whether there was, and when the job was created."""
    key = job_key(settings.job)
    if blobs.create(key, settings.to_json(created_at)):
        return False, created_at
    before, created_before = read_job(blobs.read(key), key)
    difference = before.difference(settings)
    if difference is not None:
        raise ConflictError(
            f"job {settings.job!r} was launched with {difference}; launch under another name, or as it was"
        )
    return True, created_before


def _write_rejected(settings: JobSettings, spill: Spill, blobs: Blobs) -> None:
    with TemporaryFile() as file, io.TextIOWrapper(file, "utf-8", newline="") as text:
        writer = csv.writer(text)
        writer.writerow(("file", "line", "reason"))
        writer.writerows((settings.corpus_name, bad.line, bad.reason) for bad in spill.rejected())
        text.flush()
        file.seek(0)
        blobs.write_file(job_key(settings.job, "rejected.csv"), cast(BinaryIO, file))


def _write_rows(
    settings: JobSettings, created_at: str, spill: Spill, table: LabelTable, notice: Notice
) -> None:
    items = _counted(spill.items(table.order), "rows", settings.items, notice)
    table.launch(items, Origin(settings.job, created_at))


def _write_batches(settings: JobSettings, pages: int, spill: Spill, blobs: Blobs, notice: Notice) -> None:
    files = (
        (batch_key(settings.job, batch.number), json.dumps(task_input(batch), ensure_ascii=False).encode())
        for batch in make_batches(spill.items(Order.PAGE), settings.batch_size)
    )
    blobs.write_all(_counted(files, "pages", pages, notice))


def _write_manifests(job: str, pages: Sequence[tuple[int, str, int]], blobs: Blobs) -> None:
    parts = -(-len(pages) // MANIFEST_LINES)
    for part in reversed(range(parts)):  # the first one last: it says that all is there
        with TemporaryFile() as file:
            for number, label, _ in pages[part * MANIFEST_LINES : (part + 1) * MANIFEST_LINES]:
                file.write(wire.manifest_line(blobs.uri(batch_key(job, number)), label, f"{number:08d}"))
            file.seek(0)
            blobs.write_file(manifest_key(job, part, len(pages)), cast(BinaryIO, file))


# Answers.


def answer_page(
    job: str,
    number: int,
    worker: str,
    content: Mapping[str, object],
    store: Store,
    submitted_at: str,
) -> Receipt:
    """Keep a reviewer's answer to a page and count its votes; return what became of it.

    The answer is written first and counted afterwards, so whatever breaks between the two is made good
    by counting again, which changes nothing where it was counted. The same answer given again is the
    same answer.

    Raises `InputError` for an answer without a single decision, `ConflictError` for one that differs
    from this reviewer's answer before.
    """
    items = page_items(job, number, store.blobs)
    answer = read_answer(content, len(items))
    if not answer.decisions:
        raise InputError("the answer holds no decision on any picture")
    page = wire.AnsweredPage(
        f"{number:08d}",
        store.blobs.uri(batch_key(job, number)),
        (wire.Annotation(worker, wire.answer_content(content), 0, submitted_at),),
    )
    key = answer_key(job, number, worker, 0)
    again = not store.blobs.create(key, wire.write_payload(page))
    if again:
        before = wire.read_payload(store.blobs.read(key), key)[0].annotations[0]
        if read_answer(before.content, len(items)).decisions != answer.decisions:
            raise ConflictError("this page was answered before, and otherwise; the first answer stands")
    recorded = store.table.record(votes(items, answer, voter(job, worker)))
    if store.queue is not None:
        store.queue.complete(worker, job, number, _numbers(answer))
    return Receipt(answer, recorded, again)


def _numbers(answer: Answer) -> dict[str, int]:
    """Return how many decisions of each kind an answer holds."""
    numbers: dict[str, int] = {}
    for decision in answer.decisions.values():
        numbers[decision.value] = numbers.get(decision.value, 0) + 1
    return numbers


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
    numbers = [
        int(PurePosixPath(key).stem) for key in store.blobs.keys(job_key(job, "custom-labeling-inputs/"))
    ]
    missing = (
        item
        for number in numbers
        for item in _missing(page_items(job, number, store.blobs), job, created_at, store.table)
    )
    store.table.launch(_counted(missing, "rows", 0, notice), Origin(job, created_at))
    if store.queue is not None:
        pages = ((number, page_items(job, number, store.blobs)) for number in numbers)
        tasks = (QueuedTask(job, number, items[0].label, len(items)) for number, items in pages)
        store.queue.add(tasks, settings.reviewers)
    answers = list(store.blobs.keys(job_key(job, "answers/")))
    return _count_answers(job, _counted(answers, "answers", len(answers), notice), store)


@dataclass(frozen=True, slots=True)
class Unanswered:
    """A vote in the label table that no answer of its job gives."""

    key: Key
    voter: str
    decision: Decision


def check_votes(job: str, store: Store, notice: Notice) -> Iterator[Unanswered]:
    """Yield the job's votes in the label table for which there is no answer; change nothing."""
    answers = _answers_by_page(job, store.blobs)
    keys = list(store.blobs.keys(job_key(job, "custom-labeling-inputs/")))
    for key in _counted(keys, "pages", len(keys), notice):
        items = read_task_input(store.blobs.read(key), key)
        given: dict[tuple[Key, str], set[Decision]] = {}
        for worker, content in answers.get(key, ()):
            name = voter(job, worker)
            for vote in votes(items, read_answer(content, len(items)), name):
                given.setdefault((vote.key, name), set()).add(vote.decision)
        rows = store.table.get([(item.image, item.label) for item in items])
        for row_key, row in rows.items():
            for decision, names in (
                (Decision.CONFIRM, row.confirmed_by),
                (Decision.DISCONFIRM, row.disconfirmed_by),
                (Decision.CANNOT_JUDGE, row.cannot_judge_by),
            ):
                for name in sorted(of_job(job, names)):
                    if decision not in given.get((row_key, name), ()):
                        yield Unanswered(row_key, name, decision)


def _answers_by_page(job: str, blobs: Blobs) -> dict[str, list[tuple[str, str]]]:
    """Return (worker, content) of every answer, under the key of its page's batch."""
    found: dict[str, list[tuple[str, str]]] = {}
    for key in blobs.keys(job_key(job, "answers/")):
        with suppress(InputError):  # `replay` names those that cannot be read
            for page in wire.read_payload(blobs.read(key), key):
                of_page = found.setdefault(blobs.key(page.batch_uri), [])
                of_page += [(annotation.worker, annotation.content) for annotation in page.annotations]
    return found


def _missing(page: Iterable[TaskItem], job: str, created_at: str, table: LabelTable) -> Iterator[Item]:
    """Yield the items of a page that the table lacks: the whole row, or this job in one that others have."""
    items = [item for item in page if item.check is None]
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
    for key in keys:
        try:
            for page in wire.read_payload(store.blobs.read(key), key):
                batch = store.blobs.key(page.batch_uri)
                items = read_task_input(store.blobs.read(batch), batch)
                number = int(PurePosixPath(batch).stem)
                for annotation in page.annotations:
                    answer = read_answer(annotation.content, len(items))
                    name = voter(job, annotation.worker)
                    recorded += store.table.record(votes(items, answer, name, annotation.revision))
                    if store.queue is not None:
                        store.queue.complete(annotation.worker, job, number, _numbers(answer))
                    answers += 1
        except InputError as error:
            unreadable.append(str(error))
    return Replayed(answers, recorded, tuple(unreadable))


# Results.


def job_rows(job: str, store: Store) -> Iterator[LabelRow]:
    """Yield every item of a job with the votes it got there, in page order; known-answer items left out."""
    keys = store.blobs.keys(job_key(job, "custom-labeling-inputs/"))
    while some := list(islice(keys, _BATCHES_AT_ONCE)):
        items = list(
            chain.from_iterable(
                (item for item in read_task_input(store.blobs.read(key), key) if item.check is None)
                for key in some
            )
        )
        rows = store.table.get([(item.image, item.label) for item in items])
        for item in items:
            key = (item.image, item.label)
            yield row_of_job(key, item.confidence, job, rows.get(key))
