"""The known answers that a job's pages are mixed with: those of a file, or those that earlier jobs found."""

import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import PurePosixPath
from typing import BinaryIO

from bulkqa.errors import InputError, NotFoundError
from bulkqa.flow.batches import Order
from bulkqa.flow.checks import WRONG
from bulkqa.flow.corpus import Keep, Row
from bulkqa.flow.mixing import Chosen, Known, Mixer, Pool, Standing, read_known
from bulkqa.flow.records import Rejected
from bulkqa.flow.spill import Spill
from bulkqa.flow.votes import LabelRow, Outcome
from bulkqa.jobs import all_jobs, job_key, original
from bulkqa.ports import Store
from bulkqa.settings import JobSettings

EARLIER = "earlier jobs"
"""What stands for a file's name where the known answers come from the label table."""

FILE = "checks.jsonl"
"""What earlier jobs gave is kept under the job in this file, which `--checks` takes for another one."""

VOTERS = 2
"""Reviewers who have to agree. Of images with a label that is wrong half the time one reviewer who misses a
fifth of the wrong ones confirms 17 wrong in 100; of those that two confirm, 4 are wrong."""

Screen = Callable[[Iterable[Row | Rejected]], Iterable[Row | Rejected]]
Page = tuple[int, str, int]
"""A page as planned: its number, its label, and how many items of the job stand on it."""


@dataclass(slots=True)
class Mixed:
    """Known-answer items on a job's pages: `pages` of the `wanted` ones, which should have any, have one.

    `rejected` rows of the file could not be used. `short` are labels of pages that have none.
    """

    wanted: int = 0
    pages: int = 0
    wrong: int = 0
    right: int = 0
    rejected: int = 0
    short: list[str] = field(default_factory=list)

    def counting(
        self, pages: Iterable[Page], chosen: Iterable[tuple[Chosen, ...]], mixer: Mixer
    ) -> Iterator[tuple[Chosen, ...]]:
        """Yield what was chosen for pages, and count it."""
        for (number, label, items), some in zip(pages, chosen, strict=True):
            self.wanted += mixer.places(number, items) > 0
            self.pages += bool(some)
            wrong = sum(one.check == WRONG for one in some)
            self.wrong += wrong
            self.right += len(some) - wrong
            if not some and mixer.places(number, items) and label not in self.short[-1:]:
                self.short.append(label)
            yield some

    def to_json(self) -> dict[str, object]:
        """Return it as a launch prints it."""
        return {
            "pages": self.pages,
            "wanted": self.wanted,
            "wrong": self.wrong,
            "right": self.right,
            "rejected": self.rejected,
        }

    @property
    def sentence(self) -> str:
        """What a person has to know of it."""
        said = f"{self.wrong + self.right} known-answer items ({self.wrong} wrong, {self.right} right)"
        if self.pages == self.wanted:
            return f"{said} on {self.pages} pages."
        labels = ", ".join(map(repr, self.short[:5])) + (", ..." if len(self.short) > 5 else "")
        return f"{said}: not enough, {self.pages} of {self.wanted} pages get one; pages without: {labels}."


def checks_key(settings: JobSettings) -> str:
    """Return the key under which a job's known answers are kept."""
    if settings.checks_name == EARLIER:
        return job_key(settings.job, FILE)
    return job_key(settings.job, f"checks{PurePosixPath(settings.checks_name or '').suffix}")


def fill(
    pool: Pool,
    open_checks: Callable[[], BinaryIO],
    settings: JobSettings,
    keep: Keep | None,
    screen: Screen,
    spill: Spill,
) -> None:
    """Take a file's known answers into a pool, and which items of the job they are.

    Raises `InputError` for a file without any; that earlier jobs have none for these labels is no error.
    """
    name = FILE if settings.checks_name == EARLIER else settings.checks_name or ""
    with open_checks() as file:
        first = next(iter(file), b"")
        if not first and settings.checks_name == EARLIER:
            return
        rows = read_known(chain((first,), file), name, keep)
        pool.add_file(
            row if isinstance(row, Rejected) else (original(row.row.item.image), row)
            for row in _screened(rows, screen)
        )
    if not pool.size and settings.checks_name != EARLIER:
        reasons = "".join(f"; line {bad.line}: {bad.reason}" for bad in islice(pool.rejected(), 3))
        raise InputError(f"{name}: no usable known answer{reasons}")
    _exclude(pool, spill)


def _exclude(pool: Pool, spill: Spill) -> None:
    # In this order neighbours are looked up together.
    pool.exclude((original(item.image), item.label) for item in spill.items(Order.KEY))


def _screened(rows: Iterable[Known | Rejected], screen: Screen) -> Iterator[Known | Rejected]:
    """Yield what a screen, which takes rows of a corpus and keeps their order, makes of known answers."""
    waiting: deque[frozenset[str] | None] = deque()

    def plain() -> Iterator[Row | Rejected]:
        for row in rows:
            waiting.append(None if isinstance(row, Rejected) else row.wrong_for)
            yield row if isinstance(row, Rejected) else row.row

    for row in screen(plain()):
        wrong_for = waiting.popleft()
        yield row if isinstance(row, Rejected) else Known(row, wrong_for)


def from_earlier_jobs(
    settings: JobSettings, pages: Sequence[Page], mixer: Mixer, spill: Spill, store: Store
) -> bytes:
    """Return the known answers that earlier jobs have for a job's pages, as the contents of `FILE`.

    Those that were kept as it was launched before, or those that the label table gives now. Right is a label
    that `VOTERS` reviewers confirmed, nobody rejected, and nobody could not judge, over all jobs. Only as
    many as the pages need are taken, each for the labels it is used for.

    Raises `InputError` where no label is known to be right.
    """
    try:
        return store.blobs.read(job_key(settings.job, FILE))
    except NotFoundError:
        pass
    roots = {job.job: job.image_root for job in all_jobs(store.blobs)}
    found: dict[tuple[str, str], set[str]] = {}
    with Pool(settings.seed) as pool:
        for row in store.table.rows():
            if _is_shown_alike(row, settings.image_root, roots):
                pool.add(original(row.key[0]), row.key[1], _standing(row))
        if not pool.size:
            raise InputError(
                f"check rate {settings.check_rate:g}: no item of an earlier job is confirmed by "
                f"{VOTERS} reviewers and rejected by none; give known answers in a file"
            )
        _exclude(pool, spill)
        for (_, label, _), some in zip(pages, mixer.choose(pages, pool), strict=True):
            for check, candidate in some:
                wrong_for = found.setdefault((candidate.picture, candidate.label), set())
                if check == WRONG:
                    wrong_for.add(label)
    lines = (
        json.dumps({"image": image, "label": label, "wrong_for": sorted(pages_of)}, ensure_ascii=False)
        for (image, label), pages_of in sorted(found.items())
    )
    return "".join(f"{line}\n" for line in lines).encode()


def _is_shown_alike(row: LabelRow, root: str | None, roots: dict[str, str | None]) -> bool:
    """Say whether a row's reference means the same picture in this job: a path does from the same folder."""
    if "://" in row.key[0] and not row.key[0].startswith("local://"):
        return True
    return bool(row.jobs) and all(job in roots and roots[job] == root for job in row.jobs)


def _standing(row: LabelRow) -> Standing:
    if row.outcome is Outcome.DISCONFIRMED:
        return Standing.WRONG
    # Somebody who confirmed an item in two jobs is one reviewer.
    workers = {voter.partition("/")[2] for voter in row.confirmed_by}
    agreed = row.outcome is Outcome.CONFIRMED and not row.cannot_judges and len(workers) >= VOTERS
    return Standing.RIGHT if agreed else Standing.OPEN
