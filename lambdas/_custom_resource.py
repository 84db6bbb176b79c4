"""CloudFormation's side of a custom resource: whatever happens, it gets its answer."""

import json
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any

from lambdas._runtime import logger

Work = Callable[[str, Mapping[str, Any]], tuple[str, dict[str, object]]]
"""Does (request type, properties), and returns the resource's physical id and attributes."""

_SECONDS = 30
_MOST = 4096  # bytes of an answer that CloudFormation takes


def respond(event: Mapping[str, Any], work: Work) -> None:
    """Do what a custom resource's event asks for, and send the answer to its `ResponseURL`.

    The physical id is what `work` says; for a Delete and after a failure it is the one CloudFormation knows,
    so that nothing is ever taken for replaced that was not. The address is a secret and is not logged.
    Raises `OSError` where the answer cannot be sent: the runtime then tries the event again.
    """
    kind = str(event.get("RequestType"))
    known = str(event.get("PhysicalResourceId") or event.get("LogicalResourceId") or "bulkqa")
    answer: dict[str, object] = {"Status": "SUCCESS", "PhysicalResourceId": known}
    try:
        physical, attributes = work(kind, event.get("ResourceProperties") or {})
        answer |= {"PhysicalResourceId": known if kind == "Delete" else physical, "Data": attributes}
    except Exception as error:  # whatever it is, CloudFormation must not wait for it in vain
        logger.exception("custom resource failed")
        answer |= {"Status": "FAILED", "Reason": f"{type(error).__name__}: {error}"}
    answer |= {name: event.get(name) for name in ("StackId", "RequestId", "LogicalResourceId")}
    while len(body := json.dumps(answer).encode()) > _MOST and answer.get("Reason"):
        answer["Reason"] = str(answer["Reason"])[: -(-len(str(answer["Reason"])) // 2) - 1]
    request = urllib.request.Request(  # noqa: S310  CloudFormation's own address
        str(event["ResponseURL"]), body, {"Content-Type": ""}, method="PUT"
    )
    with urllib.request.urlopen(request, timeout=_SECONDS):  # noqa: S310
        logger.info("answered", extra={"kind": kind, "status": answer["Status"]})
