"""What Ground Truth's output manifests say of a job's pages, in all labeling jobs of it together."""

import json
import re
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from bulkqa import wire
from bulkqa.errors import InputError, NotFoundError
from bulkqa.jobs import OUTPUT, batch_key, job_key, job_of, job_of_labeling_job, output_manifest_key
from bulkqa.ports import Blobs

PAGES = "report/labeling.json"
"""Where, under the job, is written what became of its pages."""

PROBLEMS = 20
"""Problems told at most; `labeling.json` has their number."""


class PageState(StrEnum):
    """What became of a page in all labeling jobs of its job together. They are disjoint.

    Reviewed is what any of them labelled; failed and expired, what the last one to say so gives as its
    reason; missing, what none of them says anything of. Where labels close early, a page that none of them
    asked for is waiting for a later round, or closed with its label.
    """

    REVIEWED = "reviewed"
    FAILED = "failed"
    EXPIRED = "expired"
    MISSING = "missing"
    WAITING = "waiting"
    CLOSED = "closed"


class Said(NamedTuple):
    """What output manifests say of a page."""

    state: PageState
    reason: str | None = None


@dataclass(slots=True)
class Attempt:
    """A labeling job of the job: the lines of its output manifest, by what they are, if it is `there`."""

    name: str
    pages: int = 0
    reviewed: int = 0
    others: int = 0
    there: bool = False


@dataclass(slots=True)
class Output:
    """What all output manifests of a job say: of its pages, by their batches' keys; and each by itself."""

    said: dict[str, Said] = field(default_factory=dict)
    attempts: list[Attempt] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def reviewed_by(self, labeling_job: str) -> int:
        """Return the number of pages that a labeling job labelled."""
        return sum(one.reviewed for one in self.attempts if one.name.lower() == labeling_job)


def labeling_jobs(job: str, blobs: Blobs) -> list[str]:
    """Return the labeling jobs of a job that Ground Truth has written a folder for, as it spells them."""
    return [name for name in blobs.folders(OUTPUT) if job_of_labeling_job(name.lower()) == job]


def read_output(job: str, labeling_jobs: Iterable[str], blobs: Blobs) -> Output:
    """Read the output manifests of these labeling jobs of a job, the last attempts last."""
    output = Output()
    for name in sorted(labeling_jobs, key=_attempt_number):
        attempt = Attempt(name)
        output.attempts.append(attempt)
        # One after the other: a manifest of 100,000 lines may have 100 MB.
        with suppress(NotFoundError):
            _read_attempt(job, attempt, output, blobs)
            attempt.there = True
    return output


def page_states(job: str, blobs: Blobs) -> Mapping[str, Said] | None:
    """Return what is said of a job's pages, by their batches' keys; None where no labeling job has ended.

    A page that nothing is said of is missing. Output manifests are deleted after a time: then it is what was
    told of them as the last labeling job ended.
    """
    output = read_output(job, labeling_jobs(job, blobs), blobs)
    if any(one.there for one in output.attempts):
        return output.said
    key = job_key(job, PAGES)
    try:
        entries = json.loads(blobs.read(key))["not_reviewed"]
        return {
            batch_key(job, entry["page"]): Said(PageState(entry["state"]), entry["reason"])
            for entry in entries
        }
    except NotFoundError:
        return None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{key}: not what became of a job's pages: {error!r}") from None


def _read_attempt(job: str, attempt: Attempt, output: Output, blobs: Blobs) -> None:
    key = output_manifest_key(attempt.name)
    for line in wire.read_output_manifest(blobs.read(key), key):
        try:
            if line.batch_uri is None:
                raise InputError(line.failure or f"{key}: an object that is no page")
            batch = blobs.key(line.batch_uri)
            if job_of(batch) != job:
                raise InputError(f"{key}: {line.batch_uri!r} is no page of job {job}")
        except InputError as error:
            attempt.others += 1
            if len(output.problems) < PROBLEMS:
                output.problems.append(str(error))
            continue
        attempt.pages += 1
        by = (line.job_name or attempt.name).lower()
        if job_of_labeling_job(by) != job:  # said by somebody else's labeling job, in a chain of them
            continue
        before = output.said.get(batch)
        if line.labelled:
            attempt.reviewed += by == attempt.name.lower()
            output.said[batch] = REVIEWED
        elif line.failure is not None and before != REVIEWED:
            expired = "expire" in line.failure.lower()
            # Thousands of lines give one of a few reasons, which may hold what UTF-8 cannot.
            reason = sys.intern(line.failure.encode("utf-8", "replace").decode())
            output.said[batch] = Said(PageState.EXPIRED if expired else PageState.FAILED, reason)


REVIEWED = Said(PageState.REVIEWED)
MISSING = Said(PageState.MISSING)
_ATTEMPT = re.compile(r".*--([0-9]+)-([0-9]+)")


def _attempt_number(labeling_job: str) -> tuple[int, int, str]:
    """Return what labeling jobs are sorted by: part, attempt, name.

    >>> sorted(["dogs--000-10", "dogs--000-9", "dogs"], key=_attempt_number)
    ['dogs', 'dogs--000-9', 'dogs--000-10']
    """
    match = _ATTEMPT.fullmatch(labeling_job)
    return (int(match[1]), int(match[2]), labeling_job) if match else (-1, -1, labeling_job)
