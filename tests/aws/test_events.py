"""Events on a bus: they arrive as they were put, or it is said that they did not."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from bulkqa.aws.events import MAX_EVENT, put_event
from bulkqa.errors import BulkqaError, SetupError
from tests.emulators import Server, moto_client

ARN = "arn:aws:sagemaker:us-east-1:123456789012:labeling-job/dogs--000-1"
READY = "bulkqa Report Ready"


class Bus:
    """A client that answers as it is told, and keeps what it was asked."""

    def __init__(self, answer: dict[str, Any] | Exception) -> None:
        self.asked: list[dict[str, Any]] = []
        self._answer = answer

    def put_events(self, **request: Any) -> dict[str, Any]:
        """Answer."""
        self.asked.append(request)
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


TAKEN = {"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]}


def put(client: Any, detail: dict[str, object] | None = None, bus: str = "default") -> None:
    """Put an event."""
    put_event(client, bus, READY, {"job": "dogs"} if detail is None else detail, [ARN])


def test_an_event_reaches_whoever_has_a_rule_for_it(ministack: Server) -> None:
    """A rule on source and kind gets the event with its detail and what it is about."""
    events, sqs = ministack.client("events"), ministack.client("sqs")
    queue = sqs.create_queue(QueueName="heard")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name="heard", EventPattern=json.dumps({"source": ["bulkqa"], "detail-type": [READY]}))
    events.put_targets(Rule="heard", Targets=[{"Id": "1", "Arn": arn}])
    put(events, {"job": "dogs", "correct": 0.5, "labels": "犬", "none": None})
    (message,) = sqs.receive_message(QueueUrl=queue)["Messages"]
    heard = json.loads(message["Body"])
    assert (heard["source"], heard["detail-type"], heard["resources"]) == ("bulkqa", READY, [ARN])
    assert heard["detail"] == {"job": "dogs", "correct": 0.5, "labels": "犬", "none": None}


@pytest.mark.usefixtures("moto")
def test_a_bus_takes_an_event() -> None:
    """moto, which checks the request's form, takes it, too."""
    put(moto_client("events"))


def test_the_bus_is_named() -> None:
    """The event goes to the bus that was named."""
    client = Bus(TAKEN)
    put(client, bus="others")
    (entry,) = client.asked[0]["Entries"]
    assert (entry["EventBusName"], entry["Source"], entry["DetailType"]) == ("others", "bulkqa", READY)


def test_an_entry_that_fails_within_a_call_that_succeeds_is_an_error() -> None:
    """What the bus did not take is said with its reason, not passed over."""
    failed = {"ErrorCode": "InternalFailure", "ErrorMessage": "try again"}
    with pytest.raises(
        BulkqaError, match=r"event bus default, 'bulkqa Report Ready': InternalFailure: try again"
    ):
        put(Bus({"FailedEntryCount": 1, "Entries": [failed]}))


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "PutEvents"), SetupError),
        (ClientError({"Error": {"Code": "InternalException", "Message": "no"}}, "PutEvents"), BulkqaError),
        (EndpointConnectionError(endpoint_url="https://x"), BulkqaError),
    ],
    ids=["denied", "failed", "unreachable"],
)
def test_a_call_that_fails_is_an_error_of_ours(error: Exception, kind: type[BulkqaError]) -> None:
    """A failure names the bus; a missing right is told from what may pass."""
    with pytest.raises(BulkqaError, match="event bus default") as raised:
        put(Bus(error))
    assert type(raised.value) is kind


def test_an_event_that_is_too_large_is_not_sent() -> None:
    """An event has 256 KB at most, in bytes and with all its parts: one byte more is refused here."""
    room = MAX_EVENT - len("bulkqa") - len(READY) - len(ARN) - len('{"x": ""}')
    client = Bus(TAKEN)
    put(client, {"x": "y" * room})
    for detail in ({"x": "y" * (room + 1)}, {"x": "犬" * (room // 6 + 1)}):
        with pytest.raises(BulkqaError, match="larger than 262144 bytes"):
            put(client, dict(detail))
    assert len(client.asked) == 1
