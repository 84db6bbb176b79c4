"""A labeling job has ended: the report is written, and whoever waits for it is told by an event.

Where the job has a gate, a second event says what that made of the report.
"""

from typing import Any

from bulkqa import SCHEMA
from bulkqa.aws.events import put_event
from bulkqa.flow.gate import Verdict
from bulkqa.flow.limits import Outcome
from bulkqa.jobs import job_key
from bulkqa.steps.gating import VERDICT, reason
from bulkqa.steps.labeling_output import PAGES, PageState
from bulkqa.steps.reporting import PAGE, REPORT, TABLE, Conclusion, conclude
from lambdas import _runtime
from lambdas._runtime import logger, metrics

STORE = _runtime.store()
EVENT_BUS = _runtime.event_bus()

BUS = "default"
DETAIL_TYPE = "bulkqa Report Ready"
GATE_DETAIL_TYPES = {
    Outcome.PASSED: "bulkqa Gate Passed",
    Outcome.FAILED: "bulkqa Gate Failed",
    Outcome.UNDECIDED: "bulkqa Gate Undecided",
}
GATE_METRICS = {
    Outcome.PASSED: "GatePassed",
    Outcome.FAILED: "GateFailed",
    Outcome.UNDECIDED: "GateUndecided",
}

LONGEST = 1000
"""Characters of a gate's reason at most: labels may be long."""


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, object] | None:
    """Write the report of the job whose labeling job has ended, and put an event; return its detail.

    A failure is raised: Lambda then tries the event again, and keeps it in the end where failures are kept.
    """
    done = conclude(event, STORE)
    if done is None:
        logger.info("labeling job passed over", extra={"resources": event["resources"]})
        return None
    detail = detail_of(done)
    put_event(EVENT_BUS, BUS, DETAIL_TYPE, detail, event["resources"])
    odd = done.problems or done.labelled_without_votes or done.votes_without_label
    whole = done.pages[PageState.REVIEWED] == detail["pages"]
    log = logger.info if whole and not odd else logger.warning
    log("report ready", extra={"detail": detail, "problems": done.problems})
    metrics.add_metric("Reports", "Count", 1)
    for state, number in done.pages.items():
        metrics.add_metric(f"Pages{state.capitalize()}", "Count", number)
    if done.verdict is not None:
        _tell_verdict(done.job, done.verdict, event["resources"])
    return detail


def _tell_verdict(job: str, verdict: Verdict, resources: list[str]) -> None:
    """Put the event that says what the gate made of the report."""
    outcome = verdict.outcome
    detail = {
        "schema": SCHEMA,
        "job": job,
        "reason": reason(verdict)[:LONGEST],
        "verdict": STORE.blobs.uri(job_key(job, VERDICT)),
    }
    put_event(EVENT_BUS, BUS, GATE_DETAIL_TYPES[outcome], detail, resources)
    log = logger.info if outcome is Outcome.PASSED else logger.warning
    log("gate", extra={"outcome": GATE_DETAIL_TYPES[outcome], "detail": detail})
    metrics.add_metric(GATE_METRICS[outcome], "Count", 1)


def detail_of(done: Conclusion) -> dict[str, object]:
    """Return the detail of the event: places and numbers, no lists, so that it never grows too large."""
    items = done.report.totals.all
    places = {"report": REPORT, "csv": TABLE, "html": PAGE, "labeling": PAGES}
    return {
        "schema": SCHEMA,
        "job": done.job,
        "labeling_job": done.labeling_job,
        "status": done.status,
        "outcome": done.outcome,
        **{name: STORE.blobs.uri(job_key(done.job, file)) for name, file in places.items()},
        **({} if done.next_round is None else {"next_round": done.next_round}),
        "pages": sum(done.pages.values()),
        **{state.value: number for state, number in done.pages.items()},
        "labelled_without_votes": len(done.labelled_without_votes),
        "votes_without_label": len(done.votes_without_label),
        "items": items.total,
        "confirmed": items.confirmed,
        "disconfirmed": items.disconfirmed,
        "split": items.split,
        "unreviewed": items.unreviewed,
        "correct": items.correct,
    }
