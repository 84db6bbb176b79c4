"""A labeling job is over: its job's report is written, and every page of it is accounted for."""

import json
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from bulkqa import SCHEMA, wire
from bulkqa.errors import BulkqaError, InputError, NotFoundError
from bulkqa.flow.examples import CellExamples
from bulkqa.flow.gate import Verdict
from bulkqa.flow.report import Report
from bulkqa.jobs import job_key, job_of_labeling_job, labeling_job_key, output_manifest_key, settings_of
from bulkqa.ports import Blobs, Store
from bulkqa.settings import JobSettings, check_job_name
from bulkqa.steps import gating
from bulkqa.steps.analysis import analyse_job
from bulkqa.steps.document import as_csv, as_json
from bulkqa.steps.labeling_output import (
    MISSING,
    PAGES,
    Output,
    PageState,
    Said,
    labeling_jobs,
    read_output,
)
from bulkqa.steps.labeling_rounds import never_asked
from bulkqa.steps.results import PageRows


class Conclusion(NamedTuple):
    """What the end of a labeling job came to: the job's report, and how many pages are in which state.

    Waiting and closed pages are told apart only where labels close early. `reviewed_here` are the pages that
    this labeling job labelled, and no other. Labels and votes should tell
    the same: `labelled_without_votes` and `votes_without_label` are the numbers of the pages where they do
    not. `problems` are the first lines of output manifests that name no page of the job, and why. `verdict`
    is the gate's, None where the job has none, or a next round is due.
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
    verdict: Verdict | None = None

    @property
    def outcome(self) -> str:
        """The whole in a few words. A labeling job may complete without a single page that was reviewed."""
        if not self.reviewed_here:
            return "nothing reviewed"
        if self.next_round is not None:
            return "next round due"
        wanted = sum(self.pages.values()) - self.pages.get(PageState.CLOSED, 0)
        return "all reviewed" if self.pages[PageState.REVIEWED] == wanted else "partly reviewed"

    @property
    def next_round(self) -> str | None:
        """The command that starts the next round, where labels that are not closed have pages left for it."""
        return f"bulkqa job start {self.job}" if self.pages.get(PageState.WAITING) else None


REPORT, TABLE, PAGE = "report/report.json", "report/report.csv", "report/report.html"
"""What is written under the job beside what became of its pages: its report in three forms."""

_ENDS = ("Completed", "Failed", "Stopped")
_NOT_ASKED = (PageState.WAITING, PageState.CLOSED)


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
    output = _output(settings.job, end, store.blobs)
    if output is None:
        return None
    ledger = _Ledger(settings, output.said, store.blobs)
    examples = CellExamples(settings.bands)
    analysis = analyse_job(settings.job, store, enter=ledger.enter, see=examples.add)
    ledger.close()
    conclusion = Conclusion(
        end.labeling_job,
        end.status,
        settings.job,
        analysis.report,
        ledger.pages,
        output.reviewed_by(end.labeling_job),
        tuple(ledger.labelled_without_votes),
        tuple(ledger.votes_without_label),
        tuple(output.problems),
    )
    from bulkqa.report_page import linked, render_report  # a template engine, which nothing before needs

    document = as_json(analysis)
    files = {
        REPORT: _json(document),
        TABLE: "".join(as_csv(analysis)).encode(),
        PAGE: render_report(document | {"examples": examples.as_json()}, linked).encode(),
        PAGES: _json(_pages_json(conclusion, output, ledger)),
    }
    if conclusion.next_round is None:
        conclusion = conclusion._replace(verdict=gating.verdict_of(settings, document, store))
    if conclusion.verdict is not None:
        files[gating.VERDICT] = _json(gating.verdict_json(conclusion.verdict))
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


def _output(job: str, end: wire.JobEnd, blobs: Blobs) -> Output | None:
    """Read the output of every labeling job of a job.

    None where the one that ended has left nothing here and was not started from here. Ground Truth compares
    names in lower case, and names the folder as the labeling job was created.
    """
    found = labeling_jobs(job, blobs)
    if end.labeling_job not in map(str.lower, found):
        if not _is_started_here(end.labeling_job, blobs):
            return None
        found.append(end.labeling_job)
    output = read_output(job, found, blobs)
    there = any(one.there for one in output.attempts if one.name.lower() == end.labeling_job)
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


class _Ledger:
    """Every page of a job under one state, and where labels and votes do not tell the same.

    What is `said` of a page is taken out as the page is entered.
    """

    def __init__(self, settings: JobSettings, said: dict[str, Said], blobs: Blobs) -> None:
        early = settings.stop_early is not None
        self.pages = {state: 0 for state in PageState if early or state not in _NOT_ASKED}
        self.not_reviewed: list[dict[str, object]] = []
        self.labelled_without_votes: list[int] = []
        self.votes_without_label: list[int] = []
        self._said = said
        self._skipped = never_asked(settings, blobs)

    def enter(self, page: PageRows) -> PageState:
        """Enter a page of the job; return its state."""
        said = self._said.pop(page.key, None)
        if said is None:
            skipped = self._skipped(page.key, page.label)
            said = MISSING if skipped is None else Said(skipped)
        self._count(page.key, said, page.label)
        voted = any(row.voters for row in page.rows)
        if voted and said.state is not PageState.REVIEWED:
            self.votes_without_label.append(_number(page.key))
        elif page.rows and not voted and said.state is PageState.REVIEWED:
            self.labelled_without_votes.append(_number(page.key))
        return said.state

    def close(self) -> None:
        """Enter the pages that output manifests name and whose batches are gone."""
        for key in sorted(self._said):
            self._count(key, self._said.pop(key), None)

    def _count(self, key: str, said: Said, label: str | None) -> None:
        self.pages[said.state] += 1
        if said.state is not PageState.REVIEWED and said.state not in _NOT_ASKED:
            known = {} if label is None else {"label": label}
            state = {"state": said.state.value, "reason": said.reason}
            self.not_reviewed.append({"page": _number(key), **known, **state})


def _number(key: str) -> int:
    return int(PurePosixPath(key).stem)


def _pages_json(conclusion: Conclusion, output: Output, ledger: _Ledger) -> dict[str, object]:
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
        **({} if conclusion.next_round is None else {"next_round": conclusion.next_round}),
        "labelled_without_votes": conclusion.labelled_without_votes,
        "votes_without_label": conclusion.votes_without_label,
        "not_reviewed": ledger.not_reviewed,
    }


def _json(document: object) -> bytes:
    return json.dumps(document, ensure_ascii=False, indent=1).encode() + b"\n"
