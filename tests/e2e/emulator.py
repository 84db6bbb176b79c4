"""Starts ministack as the local deploys want it: closer to AWS in a few points, each one name replaced.

A program of its own: `emulator.py PYTHON`, PYTHON being what functions run on; ministack's variables say the
rest. The names are those of one version, and no other is started.
"""

import json
import re
import sys
from collections.abc import Mapping
from functools import partial
from importlib import import_module
from importlib.metadata import version
from typing import Any

VERSION = "1.5.33"

_INSERT = re.compile(r'INSERT INTO "([^"]+)"')


def main(python: str) -> None:
    """Start ministack, whose functions run on `python`."""
    if version("ministack") != VERSION:
        sys.exit(f"this was made for ministack {VERSION}, not {version('ministack')}")
    _run_functions_on(python)
    _delete_empty_buckets_only()
    _take_alarms_on_calculations()
    _check_inserts_by_table()
    _let_anybody_speak_for_aws()
    app: Any = import_module("ministack.app")
    # With TLS it would listen at port 443, too, where it may.
    app._port_is_bindable = lambda host, port: False
    app.main()


def _run_functions_on(python: str) -> None:
    """Its own interpreter would show functions all that is installed here, bulkqa first of all."""
    runtime: Any = import_module("ministack.core.lambda_runtime")
    started_with = runtime._detect_runtime_binary

    def binary_and_worker(name: str) -> tuple[str, str]:
        binary, worker = started_with(name)
        return (python if name.startswith("python") else binary), worker

    runtime._detect_runtime_binary = binary_and_worker


def _delete_empty_buckets_only() -> None:
    """A stack that is destroyed must empty its bucket itself."""
    stacks: Any = import_module("ministack.services.cloudformation.provisioners")
    s3: Any = import_module("ministack.services.s3")

    def delete(name: str, properties: object) -> None:
        status, _, body = s3._delete_bucket(name)
        if status == 409:
            raise ValueError(body.decode())

    stacks._RESOURCE_HANDLERS["AWS::S3::Bucket"]["delete"] = delete


def _take_alarms_on_calculations() -> None:
    """It refuses alarms on what is calculated of metrics; here the first of these stands for all."""
    stacks: Any = import_module("ministack.services.cloudformation.provisioners")
    alarm = stacks._cw_metric_alarm_record

    def alarm_on_first(name: str, properties: Mapping[str, Any]) -> Any:
        found = [each["MetricStat"] for each in properties.get("Metrics", ()) if "MetricStat" in each]
        if found:
            rest = {key: value for key, value in properties.items() if key != "Metrics"}
            properties = {**rest, **found[0]["Metric"], "Statistic": found[0]["Stat"]}
        return alarm(name, properties)

    stacks._cw_metric_alarm_record = alarm_on_first


def _check_inserts_by_table() -> None:
    """Inserts in PartiQL are allowed one by one, by table: there is no right to send several in one call."""
    actions: Any = import_module("ministack.core.iam_actions")
    transaction = actions.dynamodb_transaction_checks

    def checks(action: str, body: bytes, region: str, account: str) -> list[tuple[str, str]]:
        if action != "dynamodb:BatchExecuteStatement":
            found: list[tuple[str, str]] = transaction(action, body, region, account)
            return found
        inserts = [_INSERT.match(each["Statement"]) for each in json.loads(body)["Statements"]]
        tables = {insert[1] for insert in inserts if insert}
        arns = [actions._dynamodb_table_arn(table, region, account) for table in sorted(tables)]
        return [("dynamodb:PartiQLInsert", arn) for arn in arns] if all(inserts) else []

    actions.dynamodb_transaction_checks = checks


def _let_anybody_speak_for_aws() -> None:
    """As on AWS nobody else may send events of AWS' services. But no SageMaker is here to send them."""
    events: Any = import_module("ministack.services.eventbridge")
    events._put_events = partial(events._put_events, allow_aws_source=True)


if __name__ == "__main__":
    main(sys.argv.pop())
