"""Planning: how many items of each label and band there are, and what an earlier job says of them."""

import hashlib
import io
from array import array
from collections.abc import Callable, Iterable
from statistics import median
from typing import BinaryIO, NamedTuple, cast

from bulkqa.errors import InputError
from bulkqa.flow.bands import band_of
from bulkqa.flow.corpus import read_corpus
from bulkqa.flow.spill import Spill
from bulkqa.flow.votes import Outcome
from bulkqa.jobs import settings_of
from bulkqa.ports import Notice, Store
from bulkqa.settings import JobSettings
from bulkqa.steps.answering import job_answers
from bulkqa.steps.notices import counted
from bulkqa.steps.results import job_rows


class Counted(NamedTuple):
    """A corpus by its digest, its numbers of usable items by label and band, and those below.

    `votes` are (confirmed, reviewed) by label and band, where a job says.
    """

    corpus_name: str
    corpus_sha256: str
    populations: dict[str, list[int]]
    below: int = 0
    rejected: int = 0
    votes: dict[str, list[tuple[int, int]]] | None = None


def count_corpus(
    open_corpus: Callable[[], BinaryIO],
    name: str,
    bands: tuple[float, ...],
    minimum_confidence: float,
    notice: Notice,
    lines: Callable[[BinaryIO], Iterable[bytes]] = iter,
) -> Counted:
    """Return the numbers of a corpus, by the rules of a launch, and store nothing.

    A launch may find fewer: pictures are not looked for here. Raises `InputError` where no row is usable.
    """
    with Spill(0, minimum_confidence) as spill:
        with open_corpus() as corpus:
            digest = hashlib.file_digest(cast(io.BytesIO, corpus), "sha256").hexdigest()
        with open_corpus() as corpus:
            spill.add(read_corpus(counted(lines(corpus), "reading", 0, notice), name))
        counts, populations = spill.counts(), spill.populations(bands)
    inside = sum(map(sum, populations.values()))
    if not inside:
        raise InputError(
            f"{name}: no usable row: {counts.below + counts.items} below the minimum confidence "
            f"{minimum_confidence:g} or the lowest band, {counts.rejected} rejected"
        )
    return Counted(name, digest, populations, counts.below + counts.items - inside, counts.rejected)


def count_job(job: str, bands: tuple[float, ...], minimum_confidence: float, store: Store) -> Counted:
    """Return the numbers of a job's corpus, and its votes.

    Raises `InputError` where the job does not know: of items below its own minimum confidence, or, where it
    is a sample itself, in other bands than it was drawn from.
    """
    settings = settings_of(job, store.blobs)
    if minimum_confidence < settings.minimum_confidence:
        raise InputError(
            f"job {job!r} has no items below {settings.minimum_confidence:g}: plan its corpus "
            f"for a minimum confidence of {minimum_confidence:g}"
        )
    populations: dict[str, list[int]] = {}
    votes: dict[str, list[tuple[int, int]]] = {}
    below = 0
    for row in job_rows(job, store):
        place = band_of(row.confidence, bands)
        if row.confidence < minimum_confidence or place is None:
            below += 1
            continue
        label = row.key[1]
        if label not in populations:
            populations[label] = [0] * (len(bands) - 1)
            votes[label] = [(0, 0)] * (len(bands) - 1)
        populations[label][place] += 1
        if row.outcome is not Outcome.UNREVIEWED:
            confirmed, reviewed = votes[label][place]
            votes[label][place] = confirmed + (row.outcome is Outcome.CONFIRMED), reviewed + 1
    if settings.sample is not None:
        populations = _of_sample(settings, bands, minimum_confidence)
    if not populations:
        raise InputError(f"job {job!r} has no item in any of these bands")
    return Counted(settings.corpus_name, settings.corpus_sha256, populations, below, votes=votes)


def _of_sample(
    settings: JobSettings, bands: tuple[float, ...], minimum_confidence: float
) -> dict[str, list[int]]:
    """Return the numbers of the corpus that a job is a sample of."""
    if (bands, minimum_confidence) != (settings.bands, settings.minimum_confidence):
        shown = ",".join(f"{bound:g}" for bound in settings.bands)
        raise InputError(
            f"job {settings.job!r} is a sample, drawn from bands {shown} at minimum confidence "
            f"{settings.minimum_confidence:g}: plan with these, or plan its corpus"
        )
    sample = settings.sample or {}
    return {label: [int(population) for _, _, population, _ in strata] for label, strata in sample.items()}


def seconds_per_picture(job: str, store: Store) -> tuple[float, int] | None:
    """Return the median time for a picture in a job's answers, and the number of those that have a time.

    The time of a page is divided by its pictures. None where no answer has one.
    """
    times = array("d")
    for page in job_answers(job, store):
        times.extend(
            answer.seconds / len(page.items) for answer in page.answers if answer.seconds is not None
        )
    return (median(times), len(times)) if times else None
