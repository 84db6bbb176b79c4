"""The next round of a job: its disconfirmed images under another label, its split ones once more.

Either is a plain corpus, launched as any other, whose job says what it follows: `relabel:<job>` or
`adjudicate:<job>`. Of an adjudication only the votes on the items it was asked for decide, in place of the
job's own.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from bulkqa.errors import InputError
from bulkqa.flow.rounds import Finals, Proposals, Reviewed, choose
from bulkqa.flow.votes import ADJUDICATE, RELABEL, LabelRow, Outcome, decided
from bulkqa.jobs import all_jobs, original, settings_of
from bulkqa.ports import Blobs, LabelTable, Notice, Store
from bulkqa.settings import JobSettings, check_job_name
from bulkqa.steps.launching import Launched, launch
from bulkqa.steps.notices import counted
from bulkqa.steps.results import job_pages


class Relabelling(NamedTuple):
    """A relabelling round: its launch, and disconfirmed items that are not in it.

    `known` have a label already, or are asked for under another of their labels; `without` are those of
    each label for which there was nothing (more) to propose.
    """

    launched: Launched
    known: int
    without: Mapping[str, int]


def final_rows(job: str, store: Store) -> Iterator[LabelRow]:
    """Yield every item of a job as `job_rows` does, with an adjudication's votes where one decided it."""
    settings_of(job, store.blobs)
    return _final_rows(job, store, all_jobs(store.blobs))


def _final_rows(job: str, store: Store, known: Sequence[JobSettings], but: str = "") -> Iterator[LabelRow]:
    pages = job_pages(job, store, _adjudications(job, known, but))
    return chain.from_iterable(page.rows for page in pages)


@contextmanager
def final_labels(job: str, store: Store) -> Iterator[Finals]:
    """Give a job's items with the labels their images have in the end, after all rounds that follow it."""
    settings_of(job, store.blobs)
    known = all_jobs(store.blobs)
    after = _after(job, known)
    relabelled = [one.job for one in after if (one.source or "").startswith(RELABEL)]
    adjudicating = frozenset(one.job for one in after) - frozenset(relabelled)
    later = chain.from_iterable(_final_rows(one, store, known) for one in relabelled)
    with Finals(_final_rows(job, store, known), later, adjudicating) as finals:
        yield finals


def _after(
    job: str, known: Sequence[JobSettings], kinds: Sequence[str] = (RELABEL, ADJUDICATE)
) -> list[JobSettings]:
    """Return the rounds of these kinds that follow a job, those that follow them included, oldest first."""
    found, sources = set[str](), {kind + job for kind in kinds}
    while more := {one.job for one in known if one.source in sources} - found:
        found |= more
        sources = {kind + one for kind in kinds for one in found} | sources
    return [one for one in known if one.job in found]


def adjudications(job: str, blobs: Blobs) -> list[str]:
    """Return the adjudications of a job, those of its adjudications included, the last first."""
    return _adjudications(job, all_jobs(blobs))


def _adjudications(job: str, known: Sequence[JobSettings], but: str = "") -> list[str]:
    return [one.job for one in reversed(_after(job, known, (ADJUDICATE,))) if one.job != but]


def adjudicate(
    job: str, new: str, store: Store, *, reviewers: int = 1, created_at: str, notice: Notice
) -> Launched:
    """Launch the split items of a job once more, each with its own label, as the job `new`.

    Raises `InputError` where there is none.
    """
    settings = _next_round(job, new, ADJUDICATE, reviewers, store)

    def rows() -> Iterator[LabelRow]:
        known = all_jobs(store.blobs)
        items = counted(_final_rows(job, store, known, new), "reading", 0, notice)
        return (row for row in items if row.outcome is Outcome.SPLIT)

    def nothing() -> str:
        return f"job {job!r} has no split item: there is nothing to adjudicate"

    return _launch(((row, row.key[1]) for row in rows()), settings, store, created_at, notice, nothing)


def relabel(
    job: str,
    new: str,
    store: Store,
    *,
    proposals: Proposals | None = None,
    reviewers: int | None = None,
    created_at: str,
    notice: Notice,
) -> Relabelling:
    """Launch the disconfirmed items of a job, each with another label that is proposed, as the job `new`.

    What `proposals` do not speak of gets the label that its own is most often mistaken for, as the table's
    votes tell. Nothing is asked that was answered before `new`, under whatever job.

    Raises `InputError` where there is nothing to ask.
    """
    settings = _next_round(job, new, RELABEL, reviewers, store)
    known = all_jobs(store.blobs)
    tally = Counter[str]()
    without = Counter[str]()

    def rows() -> Iterator[tuple[LabelRow, str]]:
        of_table = counted(_judged(store.table, known, new), "learning", 0, notice)
        with Reviewed(of_table) as reviewed:
            mistaken_for = reviewed.mistaken_for()
            for row in counted(_final_rows(job, store, known, new), "reading", 0, notice):
                if row.outcome is not Outcome.DISCONFIRMED:
                    continue
                tally["disconfirmed"] += 1
                image, label = row.key
                proposed = proposals.of(_spellings(image, settings.image_root), label) if proposals else []
                choice = choose(label, reviewed.labels(image), proposed, mistaken_for.get(label, ()))
                wanted = [other for other in choice.labels if reviewed.claim(image, other)]
                yield from ((row, other) for other in wanted)
                if choice.known or (choice.labels and not wanted):
                    tally["known"] += 1
                elif not choice.labels:
                    without[label] += 1

    def nothing() -> str:
        if not tally["disconfirmed"]:
            return f"job {job!r} has no disconfirmed item: there is nothing to relabel"
        if not without:
            return f"job {job!r}: every disconfirmed image has another label: there is nothing to relabel"
        names = ", ".join(sorted(without))
        return (
            f"job {job!r}: no label to propose for {without.total()} disconfirmed items of {names}: "
            "no vote tells what they are mistaken for; give a file with --proposals, "
            f'CSV with the columns image and label, or JSON such as {{"{min(without)}": "another label"}}'
        )

    launched = _launch(rows(), settings, store, created_at, notice, nothing)
    return Relabelling(launched, tally["known"], dict(sorted(without.items())))


def _next_round(job: str, new: str, kind: str, reviewers: int | None, store: Store) -> JobSettings:
    """Return the settings of a round that follows a job: the job's own, as far as they are about pages."""
    before = settings_of(job, store.blobs)
    if check_job_name(new) == job:
        raise InputError(f"the next round of job {job!r} is a job of another name")
    return JobSettings(
        job=new,
        corpus_name=f"{kind.rstrip(':')}-{job}.jsonl",
        seed=before.seed,
        batch_size=before.batch_size,
        minimum_confidence=before.minimum_confidence,
        bands=before.bands,
        reviewers=before.reviewers if reviewers is None else reviewers,
        image_root=before.image_root,
        guideline=before.guideline,
        examples=before.examples,
        host=before.host,
        source=kind + job,
    )


def _launch(
    rows: Iterable[tuple[LabelRow, str]],
    settings: JobSettings,
    store: Store,
    created_at: str,
    notice: Notice,
    nothing: Callable[[], str],
) -> Launched:
    """Launch rows under labels: pictures are where they were, and whoever shows them has seen them before."""
    settings.check()
    with TemporaryDirectory() as folder:
        path = Path(folder, settings.corpus_name)
        with path.open("w", encoding="utf-8") as file:
            for row, label in rows:
                entry = {"image": row.key[0], "label": label, "confidence": row.confidence}
                file.write(json.dumps(entry, ensure_ascii=False) + "\n")
            if not file.tell():
                raise InputError(nothing())
        return launch(
            lambda: path.open("rb"), settings, store, created_at=created_at, keep=None, notice=notice
        )


def _judged(table: LabelTable, known: Sequence[JobSettings], but: str) -> Iterator[LabelRow]:
    """Yield the table's rows with votes that count: an adjudication's where one decided, none of `but`'s."""
    adjudications = {one.job for one in known if (one.source or "").startswith(ADJUDICATE)} - {but}
    latest = [one.job for one in reversed(known) if one.job in adjudications]
    own = f"{but}/"
    for row in table.rows():
        if but in row.jobs:
            row = row.with_voters(
                *(
                    frozenset(name for name in names if not name.startswith(own))
                    for names in (row.confirmed_by, row.disconfirmed_by, row.cannot_judge_by)
                )
            )
        yield decided(row, row, latest) if not adjudications.isdisjoint(row.jobs) else row


def _spellings(image: str, root: str | None) -> list[str]:
    """Return an image's reference, and as the corpus of its job may have written it.

    >>> _spellings("local://a.jpg", None), _spellings("s3://bucket/x/a.jpg", "s3://bucket/x")
    (['local://a.jpg', 'a.jpg'], ['s3://bucket/x/a.jpg', 'a.jpg'])
    """
    prefixes = ["local://", *([] if root is None else [root.rstrip("/") + "/"])]
    whole = dict.fromkeys((image, original(image)))
    return [
        *whole,
        *(one.removeprefix(prefix) for one in whole for prefix in prefixes if one.startswith(prefix)),
    ]
