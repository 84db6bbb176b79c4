"""CloudFormation's side of a custom resource: whatever happens, it gets its answer."""

import json
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any

from lambdas._runtime import logger

Work = Callable[[str, Mapping[str, Any]], tuple[str, dict[str, object]]]
"""Does (request type, properties), and returns the resource's physical id and attributes."""

_SECONDS = 30
_MAX_REASON = 1000  # CloudFormation takes 4 KB in all


def respond(event: Mapping[str, Any], work: Work) -> None:
    """Do what a custom resource's event asks for, and send the answer to its `ResponseURL`.

    The physical id is what `work` says; after a failure the one CloudFormation knows, so that nothing is
    ever taken for replaced that was not. The address is a secret and is not logged. Raises `OSError` where
    the answer cannot be sent: the runtime then tries the event again.
    """
    kind = str(event.get("RequestType"))
    known = str(event.get("PhysicalResourceId") or event.get("LogicalResourceId") or "bulkqa")
    answer: dict[str, object] = {"Status": "SUCCESS", "PhysicalResourceId": known}
    try:
        physical, attributes = work(kind, event.get("ResourceProperties") or {})
        answer |= {"PhysicalResourceId": physical, "Data": attributes}
    except Exception as error:  # whatever it is, CloudFormation must not wait for it in vain
        logger.exception("custom resource failed")
        answer |= {"Status": "FAILED", "Reason": f"{type(error).__name__}: {error}"[:_MAX_REASON]}
    answer |= {name: event.get(name) for name in ("StackId", "RequestId", "LogicalResourceId")}
    request = urllib.request.Request(  # noqa: S310  CloudFormation's own address
        str(event["ResponseURL"]), json.dumps(answer).encode(), {"Content-Type": ""}, method="PUT"
    )
    with urllib.request.urlopen(request, timeout=_SECONDS):  # noqa: S310
        logger.info("answered", extra={"kind": kind, "status": answer["Status"]})
