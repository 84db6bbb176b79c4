"""What the functions share: the adapters, built once as a function starts, and its logger and metrics."""

import os
import warnings
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics

from bulkqa.aws.blobs import S3Blobs
from bulkqa.aws.clients import make_client
from bulkqa.aws.label_table import DynamoLabelTable
from bulkqa.ports import Store
from bulkqa.settings import Environment

# A reply without metrics is none of its business: a custom resource that is deleted has nothing to count.
warnings.filterwarnings("ignore", "No application metrics to publish")

# By the service's name two stacks of one account are told apart.
_SERVICE = os.environ.get("POWERTOOLS_SERVICE_NAME") or "bulkqa"

logger = Logger(service=_SERVICE)
metrics = Metrics(namespace="bulkqa", service=_SERVICE)


@cache
def environment() -> Environment:
    """Return the function's settings."""
    return Environment.from_variables(os.environ)


@cache
def s3() -> Any:
    """Return the client of S3."""
    return make_client("s3")


@cache
def event_bus() -> Any:
    """Return the client of EventBridge."""
    return make_client("events")


@cache
def blobs() -> S3Blobs:
    """Return the bucket. A function that needs no table makes no client for one."""
    return S3Blobs(s3(), environment().bucket)


@cache
def store() -> Store:
    """Return bucket and label table; Ground Truth hands out the pages, so there is no queue."""
    return Store(blobs(), DynamoLabelTable(make_client("dynamodb"), environment().table), None)
