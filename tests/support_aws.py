"""Helpers of tests on AWS and its stand-ins: tables and buckets as the stack makes them."""

import itertools
from typing import Any

_numbers = itertools.count()

REGION = "us-east-1"


def new_name(kind: str) -> str:
    """A name that no other table or bucket of this run has."""
    return f"bulkqa-{kind}-{next(_numbers)}"


def create_table(client: Any, name: str) -> str:
    """Make a label table and return its name."""
    kinds = {"s3_image_url": "S", "label": "S", "confidence": "N"}
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": at, "AttributeType": kind} for at, kind in kinds.items()],
        KeySchema=_keys("s3_image_url", "label"),
        GlobalSecondaryIndexes=[
            {
                "IndexName": "label-confidence",
                "KeySchema": _keys("label", "confidence"),
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ],
    )
    client.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    return name


def create_bucket(client: Any, name: str) -> str:
    """Make a bucket and return its name."""
    client.create_bucket(Bucket=name)
    return name


def _keys(first: str, second: str) -> list[dict[str, str]]:
    return [
        {"AttributeName": first, "KeyType": "HASH"},
        {"AttributeName": second, "KeyType": "RANGE"},
    ]
