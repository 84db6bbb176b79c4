"""Events of our own, put on a bus of EventBridge for whoever has a rule for them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from bulkqa.aws.calls import FAILURES, explained
from bulkqa.errors import BulkqaError

SOURCE = "bulkqa"

MAX_EVENT = 256 * 1024
"""Bytes of an event at most (`PutEvents`)."""


def put_event(
    client: Any, bus: str, detail_type: str, detail: Mapping[str, object], resources: Sequence[str]
) -> None:
    """Put an event on a bus, with a client made by `make_client("events")`; needs `events:PutEvents` on it.

    Raises `BulkqaError` where the bus did not take it. An event may arrive more than once.
    """
    where = f"event bus {bus}, {detail_type!r}"
    text = json.dumps(detail)
    if sum(map(len, (SOURCE, detail_type, text, *resources))) > MAX_EVENT:
        raise BulkqaError(f"{where}: the event is larger than {MAX_EVENT} bytes")
    entry = {
        "Source": SOURCE,
        "DetailType": detail_type,
        "Detail": text,
        "Resources": list(resources),
        "EventBusName": bus,
    }
    try:
        reply = client.put_events(Entries=[entry])
    except FAILURES as error:
        raise explained(error, where) from error
    if reply.get("FailedEntryCount"):  # the call succeeds nevertheless
        (failed,) = reply["Entries"]
        raise BulkqaError(f"{where}: {failed.get('ErrorCode')}: {failed.get('ErrorMessage')}")
