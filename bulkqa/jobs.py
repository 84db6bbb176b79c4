"""Where a job's files lie, and reading them: everything of a job is under `jobs/<job>/`.

job.json                  what the job is; written first
corpus.*  rejected.csv    as received; the rows that could not be used
gate.txt                  what the report has to pass, as received
checks.*                  the known answers that are mixed in: as received, or as earlier jobs gave them
custom-labeling-inputs/   the batches, one file a page
answers/                  every answer ever given
manifest.json             or manifest-000.json ...; written last
labeling-jobs/            the Ground Truth labeling jobs started for it
report/                   the report as it was when a labeling job ended

What Ground Truth writes is under `output/<labeling job>/`, apart from the jobs: it holds the workers'
identities, so the bucket deletes it after a time, and a bucket's rule for that matches prefixes alone.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import count, islice

from bulkqa.errors import NotFoundError
from bulkqa.flow.tasks import TaskItem, read_task_input
from bulkqa.ports import Blobs
from bulkqa.settings import JobSettings, check_job_name, read_job

Page = tuple[str, tuple[TaskItem, ...]]
"""The key of a page's batch, and its pictures."""

_PAGES_AT_ONCE = 40
"""Pages looked up in the label table at a time, so that one look-up serves them all."""

OUTPUT = "output/"
"""The prefix below which Ground Truth writes, a folder for each labeling job."""

MANIFEST_LINES = 100_000
"""Lines of one manifest at most: what one Ground Truth labeling job takes."""


def job_key(job: str, name: str = "job.json") -> str:
    """Return the key of a file of a job.

    >>> job_key("dogs", "manifest.json")
    'jobs/dogs/manifest.json'
    """
    return f"jobs/{job}/{name}"


def batch_key(job: str, number: int) -> str:
    """Return the key of a batch's custom labeling input."""
    return job_key(job, f"custom-labeling-inputs/{number:08d}.json")


def answer_key(job: str, number: int, worker: str, revision: int) -> str:
    """Return the key under which the portal keeps an answer."""
    return job_key(job, f"answers/{number:08d}/{worker}.{revision}.json")


def manifest_key(job: str, part: int, pages: int) -> str:
    """Return the key of a part of the manifest of a job of so many pages."""
    return job_key(job, "manifest.json" if pages <= MANIFEST_LINES else f"manifest-{part:03d}.json")


def labeling_job_name(job: str, part: int, attempt: int) -> str:
    """Return the name of a labeling job: for a part of the manifest, and the how manyeth that asks for it.

    A job's name has no two hyphens in a row, so it can be read from this one.

    >>> labeling_job_name("dogs", 0, 1)
    'dogs--000-1'
    """
    return f"{job}--{part:03d}-{attempt}"


def job_of_labeling_job(name: str) -> str:
    """Return the job that a labeling job belongs to, by its name.

    >>> job_of_labeling_job("dogs--000-1")
    'dogs'
    """
    return name.partition("--")[0]


def labeling_job_key(labeling_job: str, kind: str = "json") -> str:
    """Return the key of what we know of a labeling job, or of the manifest that was made for it alone.

    >>> labeling_job_key("dogs--000-2", "manifest")
    'jobs/dogs/labeling-jobs/dogs--000-2.manifest'
    """
    return job_key(job_of_labeling_job(labeling_job), f"labeling-jobs/{labeling_job}.{kind}")


def output_manifest_key(labeling_job: str) -> str:
    """Return the key of a labeling job's output manifest.

    >>> output_manifest_key("dogs--000-1")
    'output/dogs--000-1/manifests/output/output.manifest'
    """
    return f"{OUTPUT}{labeling_job}/manifests/output/output.manifest"


def manifest_parts(job: str, blobs: Blobs) -> Iterator[tuple[str, bytes]]:
    """Yield key and contents of each part of a job's manifest; nothing where it is not launched whole."""
    whole = manifest_key(job, 0, 0)
    with suppress(NotFoundError):
        yield whole, blobs.read(whole)
        return
    with suppress(NotFoundError):
        for part in count():
            key = manifest_key(job, part, MANIFEST_LINES + 1)
            yield key, blobs.read(key)


def exists(key: str, blobs: Blobs) -> bool:
    """Say whether there is a blob under this key."""
    try:
        blobs.read(key)
    except NotFoundError:
        return False
    return True


def all_jobs(blobs: Blobs) -> list[JobSettings]:
    """Return the settings of every job, oldest first."""
    found = []
    for name in blobs.folders("jobs/"):
        with suppress(NotFoundError):  # a folder somebody else put there
            found.append(read_job(blobs.read(job_key(name)), job_key(name)))
    return [settings for settings, _ in sorted(found, key=lambda job: (job[1], job[0].job))]


def settings_of(job: str, blobs: Blobs) -> JobSettings:
    """Return a job's settings; raise `NotFoundError` if there is no such job."""
    key = job_key(check_job_name(job))
    try:
        data = blobs.read(key)
    except NotFoundError:
        raise NotFoundError(f"there is no job {job!r}") from None
    return read_job(data, key)[0]


def pages(job: str, blobs: Blobs) -> Iterator[Page]:
    """Yield every page of a job, in page order."""
    keys = blobs.keys(job_key(job, "custom-labeling-inputs/"))
    return ((key, read_task_input(data, key)) for key, data in blobs.read_all(keys))


def by_look_up(pages: Iterable[Page]) -> Iterator[list[Page]]:
    """Yield pages in lists of as many as are looked up in the label table at a time."""
    source = iter(pages)
    return iter(lambda: list(islice(source, _PAGES_AT_ONCE)), [])


def page_items(job: str, number: int, blobs: Blobs) -> tuple[TaskItem, ...]:
    """Return the pictures of a page, in page order."""
    key = batch_key(job, number)
    return read_task_input(blobs.read(key), key)


_BATCH = re.compile(r"jobs/([^/]+)/custom-labeling-inputs/[0-9]+\.json")


def job_of(key: str) -> str | None:
    """Return the job whose batch lies under this key, or None if it is no batch of a job.

    >>> job_of("jobs/dogs/custom-labeling-inputs/00000007.json")
    'dogs'
    """
    match = _BATCH.fullmatch(key)
    return match[1] if match else None


_COPY = re.compile(r"s3://[^/]+/jobs/[^/]+/images/([^/]+/.+)", re.DOTALL)


def original(image: str) -> str:
    """Return the picture that a job's copy was made of; any other reference as it is.

    >>> original("s3://bulkqa/jobs/dogs/images/zoo/a.jpg"), original("s3://zoo/a.jpg")
    ('s3://zoo/a.jpg', 's3://zoo/a.jpg')
    """
    match = _COPY.fullmatch(image) if "/images/" in image else None
    return f"s3://{match[1]}" if match else image


def about(settings: JobSettings) -> dict[str, object]:
    """Return what a page may show beside its pictures, the most useful first."""
    parts = {"labels": settings.labels, "guideline": settings.guideline, "examples": settings.examples}
    return {name: value for name, value in parts.items() if value}
