"""Launch: a corpus becomes a job."""

import csv
import dataclasses
import hashlib
import io
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import PurePosixPath
from tempfile import TemporaryFile
from typing import BinaryIO, cast

from bulkqa import wire
from bulkqa.errors import ConflictError, InputError, NotFoundError
from bulkqa.flow.batches import Order, make_batches, plan_batches
from bulkqa.flow.corpus import Keep, Row, read_corpus
from bulkqa.flow.mixing import Chosen, Mixer, Pool
from bulkqa.flow.plan import Plan
from bulkqa.flow.records import Rejected
from bulkqa.flow.spill import Counts, Spill
from bulkqa.flow.tasks import mixed_input, task_input
from bulkqa.flow.votes import Origin
from bulkqa.jobs import MANIFEST_LINES, batch_key, exists, job_key, manifest_key
from bulkqa.ports import Blobs, LabelTable, Notice, QueuedTask, Store
from bulkqa.settings import JobSettings, read_job
from bulkqa.steps import gating
from bulkqa.steps.gating import GateFile
from bulkqa.steps.known_answers import EARLIER, Mixed, checks_key, fill, from_earlier_jobs
from bulkqa.steps.notices import counted


@dataclass(frozen=True, slots=True)
class Launched:
    """What a launch did. `again` says that this very job had been launched before.

    `mixed` are its known-answer items, None where it has no check rate. `warnings` are its gate's.
    """

    job: str
    counts: Counts
    batches: int
    rejected_key: str
    manifest_key: str
    first_rejected: tuple[Rejected, ...]
    again: bool
    mixed: Mixed | None
    warnings: tuple[str, ...] = ()


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
    plan: Plan | None = None,
    look: Callable[[Iterable[Row | Rejected]], Iterable[Row | Rejected]] = iter,
    copy: Callable[[Iterable[str]], None] | None = None,
    open_checks: Callable[[], BinaryIO] | None = None,
    gate: GateFile | None = None,
) -> Launched:
    """Launch a job: read the corpus, write `job.json`, rows, batches, manifest, and queue the pages.

    `settings` come without what follows from the corpus; `keep` may refuse an item or change its
    reference, `screen` may do so for many rows at once; `notice` hears (stage, done, of) now and then;
    `lines` makes lines of text of a file that has none. The corpus is opened up to three times. Whatever
    was interrupted is made whole by launching again: the same corpus and settings are the same job. With a
    `plan` a sample is launched: of each label and band as many items as it says, or all that are usable; then
    `look` screens the corpus in place of `screen`, and `copy` gets the references of the sample.
    With a check rate, known-answer items stand on the pages: those of the file `open_checks` opens (up to
    three times), which the settings name, or without one those that earlier jobs give. A `gate` is kept with
    the job, and its report is held against it.

    Raises `InputError` where the settings or the gate cannot be used, the corpus has no usable row, nothing
    is known for a check rate, or the job exists with another corpus or other settings.
    """
    settings.check()
    configured = None if gate is None else gating.read(gate)
    if gate is not None and configured is not None:
        gating.check(configured.gate, gate.name, settings, store.blobs)
        settings = dataclasses.replace(settings, gate=gating.stored(settings.job, gate))
    mixer = Mixer(settings.check_rate, settings.batch_size, settings.seed)
    if open_checks is not None and not settings.check_rate:
        raise InputError(f"{settings.checks_name}: known answers need a check rate")
    mixed = Mixed() if settings.check_rate else None
    with Spill(settings.seed, settings.minimum_confidence) as spill, Pool(settings.seed) as pool:
        settings = dataclasses.replace(settings, corpus_sha256=_digest(open_corpus))
        if open_checks is not None:
            settings = dataclasses.replace(settings, checks_sha256=_digest(open_checks))
        elif settings.check_rate:
            settings = dataclasses.replace(settings, checks_name=EARLIER)
        if plan is not None:
            _refuse_other_plan(settings, plan)
        _refuse_other(settings, store.blobs)  # before any picture is copied
        with open_corpus() as corpus:
            source = counted(lines(corpus), "reading", 0, notice)
            buckets: set[str] = set()
            rows = read_corpus(source, settings.corpus_name, keep)
            spill.add(_noting(buckets, screen(rows) if plan is None else look(rows)))
        if plan is not None:
            taken = {line.label: [stratum.taken for stratum in line.strata] for line in plan.labels}
            settings = dataclasses.replace(settings, sample=spill.take_sample(plan.bands, taken))
        counts = spill.counts()
        if not counts.items:
            raise InputError(_nothing_usable(settings, counts, spill))
        pages = list(plan_batches(counts.of_label, settings.batch_size, mixer.room))
        if settings.check_rate and open_checks is None:
            open_checks = partial(io.BytesIO, from_earlier_jobs(settings, pages, mixer, spill, store))
            settings = dataclasses.replace(settings, checks_sha256=_digest(open_checks))
        if open_checks is not None:
            fill(pool, open_checks, settings, keep, lambda rows: _noting(buckets, screen(rows)), spill)
        settings = dataclasses.replace(
            settings,
            items=counts.items,
            labels=tuple(sorted(counts.of_label)),
            image_buckets=tuple(sorted(buckets)),
        )
        if gate is not None and configured is not None:
            gating.check(configured.gate, gate.name, settings, store.blobs)
        again, created_at = _claim(settings, store.blobs, created_at)
        chosen = mixer.choose(pages, pool)
        if mixed is not None:
            mixed.rejected = sum(1 for _ in pool.rejected())
            chosen = mixed.counting(pages, chosen, mixer)
        # The manifest is written last: where it is, all the rest is, and reviewers may be at work.
        if not exists(manifest_key(settings.job, 0, len(pages)), store.blobs):
            with open_corpus() as corpus:
                name = f"corpus{PurePosixPath(settings.corpus_name).suffix}"
                store.blobs.write_file(job_key(settings.job, name), corpus)
            if gate is not None and settings.gate is not None:
                store.blobs.write(settings.gate.key, gate.data)
            if open_checks is not None:
                with open_checks() as checks:
                    store.blobs.write_file(checks_key(settings), checks)
            if plan is not None and copy is not None:
                sample = counted(spill.items(Order.KEY), "pictures", settings.items, notice)
                copy(item.image for item in sample)
            _write_rejected(settings, spill, pool, store.blobs)
            _write_rows(settings, created_at, spill, store.table, notice)
            _write_batches(settings, len(pages), spill, mixer, chosen, store.blobs, notice)
            if store.queue is not None:
                store.queue.add((QueuedTask(settings.job, *page) for page in pages), settings.reviewers)
            _write_manifests(settings.job, pages, store.blobs)
        deque(chosen, 0)  # to the end, where no page had to be written
        first = tuple(islice(spill.rejected(), 5))
    job = settings.job
    manifest = manifest_key(job, 0, len(pages))
    warnings = () if configured is None else configured.warnings
    rejected = job_key(job, "rejected.csv")
    return Launched(job, counts, len(pages), rejected, manifest, first, again, mixed, warnings)


def _digest(open_file: Callable[[], BinaryIO]) -> str:
    with open_file() as file:
        return hashlib.file_digest(cast(io.BytesIO, file), "sha256").hexdigest()


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
        + (f", {counts.left_out} left out by the plan" if counts.left_out else "")
    )


def _refuse_other_plan(settings: JobSettings, plan: Plan) -> None:
    """Refuse a plan that was made for something else than what is launched."""
    if plan.corpus_sha256 != settings.corpus_sha256:
        raise ConflictError(
            f"the plan is for another corpus ({plan.corpus_name}) than {settings.corpus_name}, "
            "which is not, byte by byte, what was planned: plan it anew"
        )
    for name, planned in (("minimum confidence", plan.minimum_confidence), ("bands", plan.bands)):
        given = getattr(settings, name.replace(" ", "_"))
        if given != planned:
            shown = ",".join(
                f"{bound:g}" for bound in (planned if isinstance(planned, tuple) else (planned,))
            )
            raise ConflictError(f"the plan was made with {name} {shown}: launch with the same")


def _refuse_other(settings: JobSettings, blobs: Blobs) -> tuple[JobSettings, str] | None:
    """Return the job of this name and when it was created, if there is one; refuse it if it is another.

    How many items can be used, which sample that makes, and what earlier jobs give, is compared where
    `settings` know it.
    """
    key = job_key(settings.job)
    try:
        before, created_at = read_job(blobs.read(key), key)
    except NotFoundError:
        return None
    if not settings.items:
        settings = dataclasses.replace(settings, items=before.items, sample=before.sample)
    if not settings.checks_sha256 and settings.checks_name == before.checks_name:
        settings = dataclasses.replace(settings, checks_sha256=before.checks_sha256)
    difference = before.difference(settings)
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


def _write_rejected(settings: JobSettings, spill: Spill, pool: Pool, blobs: Blobs) -> None:
    with TemporaryFile() as file, io.TextIOWrapper(file, "utf-8", newline="") as text:
        writer = csv.writer(text)
        writer.writerow(("file", "line", "reason"))
        writer.writerows((settings.corpus_name, bad.line, bad.reason) for bad in spill.rejected())
        writer.writerows((settings.checks_name, bad.line, bad.reason) for bad in pool.rejected())
        text.flush()
        file.seek(0)
        blobs.write_file(job_key(settings.job, "rejected.csv"), cast(BinaryIO, file))


def _write_rows(
    settings: JobSettings, created_at: str, spill: Spill, table: LabelTable, notice: Notice
) -> None:
    items = counted(spill.items(table.order), "rows", settings.items, notice)
    table.launch(items, Origin(settings.job, created_at, source=settings.source))


def _write_batches(
    settings: JobSettings,
    pages: int,
    spill: Spill,
    mixer: Mixer,
    chosen: Iterable[tuple[Chosen, ...]],
    blobs: Blobs,
    notice: Notice,
) -> None:
    batches = make_batches(spill.items(Order.PAGE), settings.batch_size, mixer.room)
    files = (
        (batch_key(settings.job, batch.number), json.dumps(page, ensure_ascii=False).encode())
        for batch, some in zip(batches, chosen, strict=True)
        for page in [mixed_input(mixer.mix(batch, some)) if some else task_input(batch)]
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
