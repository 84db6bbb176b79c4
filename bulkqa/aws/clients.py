"""Clients of AWS services, all made here and in one way."""

import os
from functools import cache
from typing import Any

import botocore.loaders
import botocore.session
from botocore.config import Config

THREADS = 32
"""Calls of one adapter at once. More gain nothing: an interpreter manages about 1,000 calls a second."""

CONNECT_SECONDS = 3
READ_SECONDS = 15
ATTEMPTS = 5
"""Attempts at one call before an error comes through. With the time-outs above they fit into a Lambda."""

# Not adaptive for most: that slows all threads down for one hot row, and does not see the rows of a batch.
# Rekognition's limit is so many calls a second of the whole account: there all have to slow down together.
_RETRIES = {"rekognition": {"mode": "adaptive", "total_max_attempts": 10}}

# Checking the parameters takes 40 % of the client's time for a batch of 25 rows, and bulkqa alone makes them.
_UNCHECKED = {"dynamodb"}


def make_client(service: str, endpoint_url: str | None = None, region: str | None = None) -> Any:
    """Return a new client of `service` ("s3", "dynamodb").

    Making one takes as long as a hundred calls: make it once and hand it to the adapters, whose threads may
    share it. Without `endpoint_url` the environment's `AWS_ENDPOINT_URL` counts, if there is one; without
    `region` its `AWS_REGION`, then what botocore finds.
    """
    config = Config(
        max_pool_connections=THREADS,  # fewer, and connections are thrown away and opened again
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries=_RETRIES.get(service, {"mode": "standard", "total_max_attempts": ATTEMPTS}),
        parameter_validation=service not in _UNCHECKED,
    )
    session = botocore.session.get_session()
    session.register_component("data_loader", _loader(session.get_config_variable("data_path")))
    return session.create_client(
        service,
        region_name=region or os.environ.get("AWS_REGION"),  # which botocore itself does not read
        endpoint_url=endpoint_url,
        config=config,
    )


@cache
def _loader(path: str | None) -> Any:
    """Return what reads the descriptions of the services, each once: that is most of making a client."""
    return botocore.loaders.create_loader(path)
