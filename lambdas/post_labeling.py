"""Ground Truth hands over answers: for a batch of objects, when their workers are done or time is up."""

from typing import Any

from bulkqa.steps.labeling import post_label
from lambdas import _runtime
from lambdas._runtime import logger, metrics

STORE = _runtime.store()
LOGGED = 20
"""Refused parts in a log line at most; the metric has their number."""


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> list[dict[str, object]]:
    """Count the answers of a post-labeling event and return one result for each object."""
    done = post_label(event, STORE)
    if done.refused_objects or done.refused_parts or done.recorded.unknown:
        logger.warning(
            "parts refused",
            extra={
                "objects": done.refused_objects[:LOGGED],
                "parts": done.refused_parts[:LOGGED],
                "unknown_rows": len(done.recorded.unknown),
            },
        )
    for name, number in (
        ("Answers", done.answers),
        ("VotesCounted", done.recorded.counted),
        ("VotesAlreadyCounted", done.recorded.already),
        ("UnknownRows", len(done.recorded.unknown)),
        ("RefusedObjects", len(done.refused_objects)),
        ("RefusedParts", len(done.refused_parts)),
    ):
        metrics.add_metric(name, "Count", number)
    return done.reply
