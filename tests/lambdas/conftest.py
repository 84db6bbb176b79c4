"""The functions as Lambda runs them, in a cloud of their own: a bucket, a label table, their variables."""

import csv
import importlib
import json
import logging
import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

import bulkqa.aws.clients
from bulkqa.aws.blobs import S3Blobs
from bulkqa.aws.label_table import DynamoLabelTable
from bulkqa.flow.votes import Key, LabelRow
from bulkqa.ports import Store
from bulkqa.settings import Environment
from tests.emulators import CREDENTIALS, Server, ministack
from tests.ground_truth import Function
from tests.support import rows_by_key
from tests.support_aws import REGION, create_bucket, create_table

__all__ = ["ministack"]

BUCKET = "bulkqa-data"
TABLE = "bulkqa-labels"
ELSEWHERE = "pictures-elsewhere"
"""A bucket below whose folder `shared` pictures may lie, and nowhere else in it."""

EVENTS = Path(__file__).parent.parent / "events"

unmeasured = pytest.mark.filterwarnings("ignore:No application metrics")
"""Marks what raises before there is anything to measure, of which the metrics' library warns."""

HEARD = "provide-client-params"
make_client = bulkqa.aws.clients.make_client


@dataclass(frozen=True)
class Context:
    """What Lambda tells a function of its invocation."""

    function_name: str = "Bulkqa-SageMaker"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:123456789012:function:Bulkqa-SageMaker"
    aws_request_id: str = "00000000-1111-2222-3333-444444444444"


class Crash(BaseException):
    """The function's process ends, whatever it is about."""


class Traffic:
    """The calls of clients: one at a time, noted as (operation, arguments), and failing where a test says.

    `on_call` is called before each with its operation and its arguments, and may raise.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, Mapping[str, Any]]] = []
        self.on_call: Callable[[str, Mapping[str, Any]], None] | None = None

    def __call__(self, params: Mapping[str, Any], event_name: str, **_: Any) -> None:
        """Hear of a call, as botocore tells it."""
        operation = event_name.rpartition(".")[2]
        self.calls.append((operation, params))
        if self.on_call is not None:
            self.on_call(operation, params)

    def number_of(self, operation: str) -> int:
        """How many calls of an operation there were."""
        return sum(name == operation for name, _ in self.calls)

    def crash_after(self, number: int, operation: str | None = None) -> None:
        """Let so many more calls (of an operation) pass, and none after them."""
        left = number

        def check(name: str, arguments: Mapping[str, Any]) -> None:
            nonlocal left
            if operation in (None, name):
                if left <= 0:
                    raise Crash
                left -= 1

        self.on_call = check

    def refuse(self, operation: str, code: str, status: int = 400) -> None:
        """Have the service answer calls of an operation with an error."""

        def check(name: str, arguments: Mapping[str, Any]) -> None:
            if name == operation:
                raise service_error(operation, code, status)

        self.on_call = check


def service_error(operation: str, code: str, status: int) -> ClientError:
    """An error as a service answers it."""
    reply = {"Error": {"Code": code, "Message": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(reply, operation)


class Cloud:
    """A bucket, a label table, and the functions that work on them."""

    def __init__(
        self, s3: Any, dynamodb: Any, bucket: str, table: str, capture: pytest.CaptureFixture[str]
    ) -> None:
        self.s3 = s3
        self.traffic = Traffic()
        self.dynamodb = dynamodb
        self.bucket = bucket
        self.table = table
        self.store = Store(S3Blobs(s3, bucket), DynamoLabelTable(dynamodb, table), None)
        self._capture = capture
        self._written = ""

    def module(self, name: str) -> ModuleType:
        """A function's module, imported as when Lambda starts it."""
        forget_functions()
        return importlib.import_module(f"lambdas.{name}")

    def function(self, name: str) -> Function:
        """A function as Lambda invokes it, just started."""
        return invocation(self.module(name).handler)

    def put(self, key: str, document: object) -> str:
        """Write an object, its bytes as given or anything else as JSON; return its address."""
        data = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=data)
        return f"s3://{self.bucket}/{key}"

    def files(self, prefix: str = "") -> dict[str, bytes]:
        """Every object of the bucket whose key begins so."""
        found = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=prefix).get("Contents", [])
        return {entry["Key"]: self.store.blobs.read(entry["Key"]) for entry in found}

    def rejected(self, job: str = "dogs") -> list[dict[str, str]]:
        """The rows of a job's rejected.csv."""
        return list(csv.DictReader(self.store.blobs.read(f"jobs/{job}/rejected.csv").decode().splitlines()))

    def rows(self) -> dict[Key, LabelRow]:
        """The label table."""
        return rows_by_key(self.store.table.rows())

    def written(self) -> str:
        """All that functions wrote to their log so far, metrics included."""
        captured = self._capture.readouterr()
        self._written += captured.out + captured.err
        return self._written

    def metrics(self) -> dict[str, float]:
        """Every metric so far, added up."""
        found: dict[str, float] = {}
        for line in self.written().splitlines():
            entry = json.loads(line) if line.startswith('{"_aws"') else {"_aws": {"CloudWatchMetrics": []}}
            for directive in entry["_aws"]["CloudWatchMetrics"]:
                for metric in directive["Metrics"]:
                    found[metric["Name"]] = found.get(metric["Name"], 0) + sum(entry[metric["Name"]])
        return found


def invocation(handler: Callable[[Any, Any], Any]) -> Function:
    """A handler between the two translations of Lambda's runtime: JSON in, JSON in UTF-8 out."""

    def invoke(event: Any) -> Any:
        reply = handler(json.loads(json.dumps(event)), Context())
        return json.loads(json.dumps(reply, ensure_ascii=False).encode())

    return invoke


def event(name: str, **changes: Any) -> dict[str, Any]:
    """A captured event by its file's name, with some parts changed."""
    document: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text("utf-8"))
    return document | changes


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Cloud]:
    """AWS in this process."""
    _set_variables(monkeypatch, BUCKET, TABLE)
    with mock_aws():
        s3, dynamodb = _moto_client("s3"), _moto_client("dynamodb")
        create_bucket(s3, BUCKET)
        create_table(dynamodb, TABLE)
        cloud = Cloud(s3, dynamodb, BUCKET, TABLE, capsys)
        clients = {"s3": s3, "dynamodb": dynamodb, "events": _moto_client("events")}
        with _connected(cloud, clients, monkeypatch):
            yield cloud


@pytest.fixture
def server_cloud(
    ministack: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Cloud]:
    """AWS in ministack, which knows what DynamoDB knows."""
    clients = {name: ministack.new_client(name) for name in ("s3", "dynamodb", "events")}
    bucket = create_bucket(clients["s3"], "bulkqa-served")
    table = create_table(clients["dynamodb"], "bulkqa-served")
    _set_variables(monkeypatch, bucket, table)
    cloud = Cloud(clients["s3"], clients["dynamodb"], bucket, table, capsys)
    with _connected(cloud, clients, monkeypatch):
        yield cloud
    for key in cloud.files():
        cloud.s3.delete_object(Bucket=bucket, Key=key)
    cloud.s3.delete_bucket(Bucket=bucket)
    clients["dynamodb"].delete_table(TableName=table)


@contextmanager
def _connected(cloud: Cloud, clients: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give the functions these clients in place of those they would make, and listen to what they call."""

    def instead(service: str) -> Any:
        return clients[service]

    monkeypatch.setattr(bulkqa.aws.clients, "make_client", instead)
    try:
        for client in clients.values():
            client.meta.events.register(HEARD, cloud.traffic)
        cloud.traffic.calls.clear()
        yield
    finally:
        for client in clients.values():
            client.meta.events.unregister(HEARD, cloud.traffic)
        forget_functions()


def forget_functions() -> None:
    """Let functions start anew: their modules, and the logger that they write to."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "lambdas"]:
        del sys.modules[name]
    logging.getLogger("bulkqa").handlers.clear()
    logging.Logger.manager.loggerDict.pop("bulkqa", None)


def _set_variables(monkeypatch: pytest.MonkeyPatch, bucket: str, table: str) -> None:
    sources = (f"s3://{ELSEWHERE}/shared/",)
    variables = Environment(bucket=bucket, table=table, image_sources=sources).variables()
    for name, value in (variables | CREDENTIALS | {"AWS_REGION": REGION}).items():
        monkeypatch.setenv(name, value)


@cache
def _moto_client(service: str) -> Any:
    """A client of moto, one call at a time, for all tests: making one takes longer than most of them."""
    client = make_client(service, region=REGION)
    unheard = make_client(service, region=REGION)
    call, lock = client._make_api_call, threading.RLock()

    def one_at_a_time(operation: str, arguments: dict[str, Any]) -> Any:
        with lock:
            if operation == "BatchExecuteStatement":
                client.meta.events.emit(f"{HEARD}.{service}.{operation}", params=arguments)
                return _insert_each(unheard, arguments["Statements"])
            return call(operation, arguments)

    client._make_api_call = one_at_a_time
    return client


_INSERT = re.compile(r'INSERT INTO "([^"]+)" VALUE \{([^{}]*)\}')
_FIELD = re.compile(r"'([^']+)': \?")


def _insert_each(client: Any, statements: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Insert the rows of PartiQL statements, which moto cannot read with parameters, as DynamoDB does."""
    rows = []
    table = ""
    for statement in statements:
        match = _INSERT.fullmatch(statement["Statement"])
        assert match, statement
        table = match[1]
        rows.append(dict(zip(_FIELD.findall(match[2]), statement["Parameters"], strict=True)))
    keys = [{"s3_image_url": row["s3_image_url"], "label": row["label"]} for row in rows]
    present = client.batch_get_item(RequestItems={table: {"Keys": keys}})["Responses"][table]
    taken = [{"s3_image_url": row["s3_image_url"], "label": row["label"]} for row in present]
    new = [row for row, key in zip(rows, keys, strict=True) if key not in taken]
    if new:
        client.batch_write_item(RequestItems={table: [{"PutRequest": {"Item": row}} for row in new]})
    duplicate = {"Error": {"Code": "DuplicateItem", "Message": "Duplicate primary key exists in table"}}
    return {"Responses": [duplicate if key in taken else {"TableName": table} for key in keys]}
