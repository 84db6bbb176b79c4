"""Failures between a client and its service, which no stand-in for AWS has by itself.

They happen at the wire, below the client's own attempts, so that these take part as they do in earnest.
"""

import io
import json
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from botocore.awsrequest import AWSResponse

from bulkqa.aws.calls import Patience

HASTY = Patience(tries=40, first=0.0005, most=0.005)
"""Waits that do not hold up a test."""


class Killed(BaseException):
    """The process ended: nothing more goes out."""


@dataclass(frozen=True)
class Faults:
    """How often what happens, as shares of all requests; `killed_after` so many, none goes out any more."""

    lost: float = 0.0  # carried out, and answered 500
    throttled: float = 0.0  # not carried out
    unavailable: float = 0.0  # not carried out, 503
    partial: float = 0.0  # of a batch half is carried out
    killed_after: int | None = None


class Wire:
    """Puts faults between a client and its service, and counts the requests that arrive, by operation."""

    def __init__(self, client: Any, faults: Faults | None = None, seed: int = 0) -> None:
        self.sent: Counter[str] = Counter()
        self.faults = faults or Faults()
        self._random = Random(seed)
        self._lock = threading.Lock()
        self._service = client._endpoint.http_session
        client.meta.events.register("before-send.dynamodb", self._handle)

    def _handle(self, request: Any, **_: Any) -> AWSResponse | None:
        operation = request.headers["X-Amz-Target"].decode().partition(".")[2]
        faults = self.faults
        with self._lock:
            if faults.killed_after is not None and self.sent.total() >= faults.killed_after:
                raise Killed
            self.sent[operation] += 1
            fate = self._random.random()
        for share, happen in (
            (faults.lost, self._lose),
            (faults.throttled, _throttle),
            (faults.unavailable, _refuse),
            (faults.partial, self._halve),
        ):
            if fate < share:
                return happen(request, operation)
            fate -= share
        return None

    def _lose(self, request: Any, _: str) -> AWSResponse:
        self._service.send(request)
        return _answer(request, 500, {"__type": "com.amazonaws#InternalServerError", "message": "lost"})

    def _halve(self, request: Any, operation: str) -> AWSResponse | None:
        asked = json.loads(request.body)
        if operation == "BatchExecuteStatement":
            return self._halve_statements(request, asked)
        if operation == "BatchGetItem":
            return self._halve_keys(request, asked)
        return None

    def _halve_statements(self, request: Any, asked: dict[str, Any]) -> AWSResponse:
        statements = asked["Statements"]
        done = [number for number in range(len(statements)) if number % 2]
        responses: list[dict[str, Any]] = [
            {"Error": {"Code": "ThrottlingError", "Message": "later"}} for _ in statements
        ]
        if done:
            answer = self._send(request, {**asked, "Statements": [statements[number] for number in done]})
            for number, response in zip(done, answer["Responses"], strict=True):
                responses[number] = response
        return _answer(request, 200, {"Responses": responses})

    def _halve_keys(self, request: Any, asked: dict[str, Any]) -> AWSResponse:
        ((table, wanted),) = asked["RequestItems"].items()
        half = (len(wanted["Keys"]) + 1) // 2
        left = wanted["Keys"][half:]
        later = {table: {**wanted, "Keys": left}} if left else {}
        now = {table: {**wanted, "Keys": wanted["Keys"][:half]}}
        answer = self._send(request, {**asked, "RequestItems": now})
        return _answer(request, 200, {**answer, "UnprocessedKeys": later})

    def _send(self, request: Any, body: dict[str, Any]) -> dict[str, Any]:
        request.body = json.dumps(body).encode()
        request.headers["Content-Length"] = str(len(request.body))
        answer: dict[str, Any] = json.loads(self._service.send(request).content)
        return answer


def _throttle(request: Any, _: str) -> AWSResponse:
    name = "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"
    return _answer(request, 400, {"__type": name, "message": "slower"})


def _refuse(request: Any, _: str) -> AWSResponse:
    return _answer(request, 503, {"__type": "com.amazonaws#ServiceUnavailable", "message": "not now"})


class Raw(io.BytesIO):
    """The bytes of an answer."""

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self.read()


def _answer(request: Any, status: int, body: dict[str, Any]) -> AWSResponse:
    headers = {"Content-Type": "application/x-amz-json-1.0"}
    return AWSResponse(request.url, status, headers, Raw(json.dumps(body).encode()))
