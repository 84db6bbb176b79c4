"""Ground Truth asks for what a page shows: once for each object, before it goes to the workers."""

from typing import Any

from bulkqa.steps.labeling import pre_label
from lambdas import _runtime
from lambdas._runtime import logger, metrics

BLOBS = _runtime.blobs()


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, object]:
    """Answer a pre-labeling event. An object that cannot be shown is logged and passed over."""
    reply, refused = pre_label(event, BLOBS)
    metrics.add_metric("Pages", "Count", 1)
    if refused is not None:
        logger.warning("object passed over", extra={"reason": refused})
        metrics.add_metric("RefusedObjects", "Count", 1)
    return reply
