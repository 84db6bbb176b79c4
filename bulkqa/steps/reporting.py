"""A labeling job is over: its job's report is written, and every page of it is accounted for."""

import csv
import io
import json
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from bulkqa import SCHEMA, wire
from bulkqa.errors import BulkqaError, InputError, NotFoundError
from bulkqa.flow.report import Report, as_json, as_table, tabulate
from bulkqa.flow.votes import LabelRow
from bulkqa.jobs import (
    OUTPUT,
    job_key,
    job_of,
    job_of_labeling_job,
    labeling_job_key,
    output_manifest_key,
    settings_of,
)
from bulkqa.ports import Blobs, Store
from bulkqa.settings import JobSettings, check_job_name
from bulkqa.steps.results import PageRows, job_pages


class PageState(StrEnum):
    """What became of a page in all labeling jobs of its job together. The four are disjoint.

    Reviewed is what any of them labelled; failed and expired, what the last one to say so gives as its
    reason; missing, what none of them says anything of.
    """

    REVIEWED = "reviewed"
    FAILED = "failed"
    EXPIRED = "expired"
    MISSING = "missing"


class Conclusion(NamedTuple):
    """What the end of a labeling job came to: the job's report, and how many pages are in which state.

    `reviewed_here` are the pages that this labeling job labelled, and no other. Labels and votes should tell
    the same: `labelled_without_votes` and `votes_without_label` are the numbers of the pages where they do
    not. `problems` are the first lines of output manifests that name no page of the job, and why.
    """

    labeling_job: str
    status: str
    job: str
    report: Report
    pages: Mapping[PageState, int]
    reviewed_here: int
    labelled_without_votes: tuple[int, ...]
    votes_without_label: tuple[int, ...]
    problems: tuple[str, ...]

    @property
    def outcome(self) -> str:
        """The whole in two words. A labeling job may complete without a single page that was reviewed."""
        if not self.reviewed_here:
            return "nothing reviewed"
        whole = self.pages[PageState.REVIEWED] == sum(self.pages.values())
        return "all reviewed" if whole else "partly reviewed"


REPORT, TABLE, PAGES = "report/report.json", "report/report.csv", "report/labeling.json"
"""What is written under the job: its report in both forms, and what became of its pages."""

PROBLEMS = 20
"""Problems told at most; `labeling.json` has their number."""

_ENDS = ("Completed", "Failed", "Stopped")


def conclude(event: Mapping[str, Any], store: Store) -> Conclusion | None:
    """Write the report of the job whose labeling job has ended, as the event says; return what it came to.

    None where there is nothing to conclude: the labeling job is none of ours, or has not ended. The same
    event again writes the same files, unless votes came in between.

    Raises `InputError` for an event that cannot be read, and `BulkqaError` where the output of a completed
    labeling job is not there yet: later it will be.
    """
    end = wire.read_state_event(event)
    settings = _settings(job_of_labeling_job(end.labeling_job), store.blobs)
    if settings is None or end.status not in _ENDS:
        return None
    output = _read_output(settings.job, end, store.blobs)
    if output is None:
        return None
    ledger = _Ledger(output.said)
    report = tabulate(_rows(settings.job, ledger, store), settings.bands)
    ledger.close()
    conclusion = Conclusion(
        end.labeling_job,
        end.status,
        settings.job,
        report,
        ledger.pages,
        output.reviewed_by(end.labeling_job),
        tuple(ledger.labelled_without_votes),
        tuple(ledger.votes_without_label),
        tuple(output.problems),
    )
    files = {
        REPORT: _json(as_json(report, settings.job, SCHEMA)),
        TABLE: _csv(report),
        PAGES: _json(_pages_json(conclusion, output, ledger)),
    }
    store.blobs.write_all((job_key(settings.job, name), data) for name, data in files.items())
    return conclusion


def _settings(job: str, blobs: Blobs) -> JobSettings | None:
    """Return a job's settings, or None if there is no such job, as its name may already tell."""
    try:
        check_job_name(job)
    except InputError:
        return None
    try:
        return settings_of(job, blobs)
    except NotFoundError:
        return None


class _Said(NamedTuple):
    """What output manifests say of a page."""

    state: PageState
    reason: str | None = None


@dataclass(slots=True)
class _Attempt:
    """A labeling job of the job: the lines of its output manifest, by what they are."""

    name: str
    pages: int = 0
    reviewed: int = 0
    others: int = 0


@dataclass(slots=True)
class _Output:
    """What all output manifests of a job say: of its pages, by their batches' keys; and each by itself."""

    said: dict[str, _Said] = field(default_factory=dict)
    attempts: list[_Attempt] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def reviewed_by(self, labeling_job: str) -> int:
        """Return the number of pages that a labeling job labelled."""
        return sum(one.reviewed for one in self.attempts if one.name.lower() == labeling_job)


def _read_output(job: str, end: wire.JobEnd, blobs: Blobs) -> _Output | None:
    """Read the output of every labeling job of a job, the last attempts last.

    None where the one that ended has left nothing here and was not started from here. Ground Truth compares
    names in lower case, and names the folder as the labeling job was created.
    """
    found = [name for name in blobs.folders(OUTPUT) if job_of_labeling_job(name.lower()) == job]
    if end.labeling_job not in map(str.lower, found):
        if not _is_started_here(end.labeling_job, blobs):
            return None
        found.append(end.labeling_job)
    output, there = _Output(), False
    for name in sorted(found, key=_attempt_number):
        attempt = _Attempt(name)
        output.attempts.append(attempt)
        # One after the other: a manifest of 100,000 lines may have 100 MB.
        with suppress(NotFoundError):
            _read_attempt(job, attempt, output, blobs)
            there = there or name.lower() == end.labeling_job
    if end.status == "Completed" and not there:
        uri = blobs.uri(output_manifest_key(end.labeling_job))
        raise BulkqaError(f"labeling job {end.labeling_job} is completed, but {uri} does not exist yet")
    return output


def _is_started_here(labeling_job: str, blobs: Blobs) -> bool:
    """Say whether our records have a labeling job as ours: another stack's job may have our job's name."""
    key = labeling_job_key(labeling_job)
    try:
        return not json.loads(blobs.read(key)).get("foreign")
    except NotFoundError:
        return False
    except (ValueError, AttributeError) as error:
        raise InputError(f"{key}: not the record of a labeling job: {error!r}") from None


def _read_attempt(job: str, attempt: _Attempt, output: _Output, blobs: Blobs) -> None:
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
            output.said[batch] = _REVIEWED
        elif line.failure is not None and before != _REVIEWED:
            expired = "expire" in line.failure.lower()
            # Thousands of lines give one of a few reasons, which may hold what UTF-8 cannot.
            reason = sys.intern(line.failure.encode("utf-8", "replace").decode())
            output.said[batch] = _Said(PageState.EXPIRED if expired else PageState.FAILED, reason)


_REVIEWED = _Said(PageState.REVIEWED)
_MISSING = _Said(PageState.MISSING)
_ATTEMPT = re.compile(r".*--([0-9]+)-([0-9]+)")


def _attempt_number(labeling_job: str) -> tuple[int, int, str]:
    """Return what labeling jobs are sorted by: part, attempt, name.

    >>> sorted(["dogs--000-10", "dogs--000-9", "dogs"], key=_attempt_number)
    ['dogs', 'dogs--000-9', 'dogs--000-10']
    """
    match = _ATTEMPT.fullmatch(labeling_job)
    return (int(match[1]), int(match[2]), labeling_job) if match else (-1, -1, labeling_job)


class _Ledger:
    """Every page of a job under one state, and where labels and votes do not tell the same.

    What is `said` of a page is taken out as the page is entered.
    """

    def __init__(self, said: dict[str, _Said]) -> None:
        self.pages = dict.fromkeys(PageState, 0)
        self.not_reviewed: list[dict[str, object]] = []
        self.labelled_without_votes: list[int] = []
        self.votes_without_label: list[int] = []
        self._said = said

    def enter(self, page: PageRows) -> None:
        """Enter a page of the job."""
        said = self._said.pop(page.key, _MISSING)
        self._count(page.key, said, page.label)
        voted = any(row.voters for row in page.rows)
        if voted and said.state is not PageState.REVIEWED:
            self.votes_without_label.append(_number(page.key))
        elif page.rows and not voted and said.state is PageState.REVIEWED:
            self.labelled_without_votes.append(_number(page.key))

    def close(self) -> None:
        """Enter the pages that output manifests name and whose batches are gone."""
        for key in sorted(self._said):
            self._count(key, self._said.pop(key), None)

    def _count(self, key: str, said: _Said, label: str | None) -> None:
        self.pages[said.state] += 1
        if said.state is not PageState.REVIEWED:
            known = {} if label is None else {"label": label}
            state = {"state": said.state.value, "reason": said.reason}
            self.not_reviewed.append({"page": _number(key), **known, **state})


def _rows(job: str, ledger: _Ledger, store: Store) -> Iterator[LabelRow]:
    """Yield every item of a job with its votes, and enter its pages on the way: they are read once."""
    for page in job_pages(job, store):
        ledger.enter(page)
        yield from page.rows


def _number(key: str) -> int:
    return int(PurePosixPath(key).stem)


def _pages_json(conclusion: Conclusion, output: _Output, ledger: _Ledger) -> dict[str, object]:
    attempts = []
    for one in output.attempts:
        ended = {"status": conclusion.status} if one.name.lower() == conclusion.labeling_job else {}
        counts = {"pages": one.pages, "reviewed": one.reviewed, "others": one.others}
        attempts.append({"name": one.name, **ended, **counts})
    return {
        "schema": SCHEMA,
        "job": conclusion.job,
        "labeling_jobs": attempts,
        "pages": sum(conclusion.pages.values()),
        **{state.value: number for state, number in conclusion.pages.items()},
        "labelled_without_votes": conclusion.labelled_without_votes,
        "votes_without_label": conclusion.votes_without_label,
        "not_reviewed": ledger.not_reviewed,
    }


def _json(document: object) -> bytes:
    return json.dumps(document, ensure_ascii=False, indent=1).encode() + b"\n"


def _csv(report: Report) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(as_table(report, SCHEMA))
    return text.getvalue().encode()
