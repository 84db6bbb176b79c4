"""Launch: a corpus becomes a job."""

import csv
import dataclasses
import hashlib
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import PurePosixPath
from tempfile import TemporaryFile
from typing import BinaryIO, cast

from bulkqa import wire
from bulkqa.errors import ConflictError, InputError, NotFoundError
from bulkqa.flow.batches import Order, make_batches, plan_batches
from bulkqa.flow.corpus import Keep, Row, read_corpus
from bulkqa.flow.records import Rejected
from bulkqa.flow.spill import Counts, Spill
from bulkqa.flow.tasks import task_input
from bulkqa.flow.votes import Origin
from bulkqa.jobs import MANIFEST_LINES, batch_key, exists, job_key, manifest_key
from bulkqa.ports import Blobs, LabelTable, Notice, QueuedTask, Store
from bulkqa.settings import JobSettings, read_job
from bulkqa.steps.notices import counted


@dataclass(frozen=True, slots=True)
class Launched:
    """What a launch did. `again` says that this very job had been launched before."""

    job: str
    counts: Counts
    batches: int
    rejected_key: str
    manifest_key: str
    first_rejected: tuple[Rejected, ...]
    again: bool


def launch(
    open_corpus: Callable[[], BinaryIO],
    settings: JobSettings,
    store: Store,
    *,
    created_at: str,
    keep: Keep | None,
    notice: Notice,
    lines: Callable[[BinaryIO], Iterable[bytes]] = iter,
    screen: Callable[[Iterable[Row | Rejected]], Iterable[Row | Rejected]] = iter,
) -> Launched:
    """Launch a job: read the corpus, write `job.json`, rows, batches, manifest, and queue the pages.

    `settings` come without what follows from the corpus; `keep` may refuse an item or change its
    reference, `screen` may do so for many rows at once; `notice` hears (stage, done, of) now and then;
    `lines` makes lines of text of a file that has none. The corpus is opened up to three times. Whatever
    was interrupted is made whole by launching again: the same corpus and settings are the same job.

    Raises `InputError` where the settings cannot be used, the corpus has no usable row, or the job
    exists with another corpus or other settings.
    """
    settings.check()
    with Spill(settings.seed, settings.minimum_confidence) as spill:
        with open_corpus() as corpus:
            digest = hashlib.file_digest(cast(io.BytesIO, corpus), "sha256")
        settings = dataclasses.replace(settings, corpus_sha256=digest.hexdigest())
        _refuse_other(settings, store.blobs)  # before any picture is copied
        with open_corpus() as corpus:
            source = counted(lines(corpus), "reading", 0, notice)
            buckets: set[str] = set()
            spill.add(_noting(buckets, screen(read_corpus(source, settings.corpus_name, keep))))
        counts = spill.counts()
        if not counts.items:
            raise InputError(_nothing_usable(settings, counts, spill))
        settings = dataclasses.replace(
            settings,
            items=counts.items,
            labels=tuple(sorted(counts.of_label)),
            image_buckets=tuple(sorted(buckets)),
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
    job = settings.job
    manifest = manifest_key(job, 0, len(pages))
    return Launched(job, counts, len(pages), job_key(job, "rejected.csv"), manifest, first, again)


def _noting(buckets: set[str], rows: Iterable[Row | Rejected]) -> Iterator[Row | Rejected]:
    """Yield rows, and note the buckets that their pictures lie in."""
    for row in rows:
        if isinstance(row, Row) and row.item.image.startswith("s3://"):
            buckets.add(row.item.image[5:].partition("/")[0])
        yield row


def _nothing_usable(settings: JobSettings, counts: Counts, spill: Spill) -> str:
    reasons = "".join(f"; line {bad.line}: {bad.reason}" for bad in islice(spill.rejected(), 3))
    return (
        f"{settings.corpus_name}: no usable row: {counts.below} below the minimum confidence "
        f"{settings.minimum_confidence:g}, {counts.rejected} rejected{reasons}"
    )


def _refuse_other(settings: JobSettings, blobs: Blobs) -> tuple[JobSettings, str] | None:
    """Return the job of this name and when it was created, if there is one; refuse it if it is another.

    How many items can be used is compared where `settings` know it.
    """
    key = job_key(settings.job)
    try:
        before, created_at = read_job(blobs.read(key), key)
    except NotFoundError:
        return None
    difference = before.difference(
        settings if settings.items else dataclasses.replace(settings, items=before.items)
    )
    if difference is not None:
        raise ConflictError(
            f"job {settings.job!r} was launched with {difference}; launch under another name, or as it was"
        )
    return before, created_at


def _claim(settings: JobSettings, blobs: Blobs, created_at: str) -> tuple[bool, str]:
    """Write `job.json` if there is none; return whether there was, and when the job was created."""
    if blobs.create(job_key(settings.job), settings.to_json(created_at)):
        return False, created_at
    before = _refuse_other(settings, blobs)
    return True, created_at if before is None else before[1]


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
    items = counted(spill.items(table.order), "rows", settings.items, notice)
    table.launch(items, Origin(settings.job, created_at))


def _write_batches(settings: JobSettings, pages: int, spill: Spill, blobs: Blobs, notice: Notice) -> None:
    files = (
        (batch_key(settings.job, batch.number), json.dumps(task_input(batch), ensure_ascii=False).encode())
        for batch in make_batches(spill.items(Order.PAGE), settings.batch_size)
    )
    blobs.write_all(counted(files, "pages", pages, notice))


def _write_manifests(job: str, pages: Sequence[tuple[int, str, int]], blobs: Blobs) -> None:
    parts = -(-len(pages) // MANIFEST_LINES)
    for part in reversed(range(parts)):  # the first one last: it says that all is there
        with TemporaryFile() as file:
            for number, label, _ in pages[part * MANIFEST_LINES : (part + 1) * MANIFEST_LINES]:
                file.write(wire.manifest_line(blobs.uri(batch_key(job, number)), label, f"{number:08d}"))
            file.seek(0)
            blobs.write_file(manifest_key(job, part, len(pages)), cast(BinaryIO, file))
