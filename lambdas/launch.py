"""Launches a job: asked by whoever invokes it, or by CloudFormation as a custom resource."""

import io
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from bulkqa import SCHEMA, steps
from bulkqa.aws.pictures import S3Pictures, download
from bulkqa.errors import InputError
from bulkqa.flow.plan import read_plan
from bulkqa.jobs import exists, job_key
from bulkqa.launch_request import read_launch_request
from bulkqa.settings import check_job_name, timestamp
from bulkqa.steps.gating import GateFile
from lambdas import _custom_resource, _runtime
from lambdas._runtime import logger, metrics

STORE = _runtime.store()


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, object] | None:
    """Launch what the event asks for and return the counts; a custom resource gets them as attributes."""
    if "RequestType" in event:
        _custom_resource.respond(event, _resource)
        return None
    return launch(event)


def launch(properties: Mapping[str, Any]) -> dict[str, object]:
    """Launch a job from a corpus in S3; return its counts and where the rejected rows are listed."""
    environment = _runtime.environment()
    request = read_launch_request(properties, environment)
    bucket, job = environment.bucket, check_job_name(request.settings.job)
    pictures = S3Pictures(
        _runtime.s3(),
        request.settings.image_root,
        (f"s3://{bucket}/", *environment.image_sources),
        f"s3://{bucket}/jobs/{job}/images" if request.copy_images else None,
        keep_copies=request.copy_images and exists(job_key(job), STORE.blobs),
    )
    plan, checks, gate = _read(request.sample), _read(request.checks), _read(request.gate)
    with TemporaryDirectory() as folder:
        corpus = Path(folder, "corpus")
        with corpus.open("wb") as file:
            download(_runtime.s3(), request.corpus, cast(Any, file))
        launched = steps.launch(
            lambda: corpus.open("rb"),
            request.settings,
            STORE,
            created_at=timestamp(time.time()),
            keep=pictures.keep,
            screen=pictures.screen,
            look=pictures.look,
            copy=pictures.copy,
            notice=_silent,
            plan=None if plan is None else read_plan(plan, str(request.sample), SCHEMA),
            open_checks=None if checks is None else partial(io.BytesIO, checks),
            gate=None if gate is None else GateFile(str(request.gate), gate),
        )
    if launched.warnings:
        logger.warning("gate", extra={"warnings": launched.warnings})
    counts = launched.counts
    metrics.add_metric("ItemsLaunched", "Count", counts.items)
    metrics.add_metric("RowsRejected", "Count", counts.rejected)
    return {
        "schema": 1,
        "job": job,
        "items": counts.items,
        "batches": launched.batches,
        "below": counts.below,
        "left_out": counts.left_out,
        "rejected": counts.rejected,
        "rejected_file": STORE.blobs.uri(launched.rejected_key),
        "manifest": STORE.blobs.uri(launched.manifest_key),
        "again": launched.again,
    } | ({} if launched.mixed is None else {f"checks_{k}": n for k, n in launched.mixed.to_json().items()})


def _read(uri: str | None) -> bytes | None:
    """Return the bytes of a small file that goes with a launch, if there is one."""
    if uri is None:
        return None
    file = io.BytesIO()
    download(_runtime.s3(), uri, file)
    return file.getvalue()


def _resource(kind: str, properties: Mapping[str, Any]) -> tuple[str, dict[str, object]]:
    """Be the custom resource: Create and Update launch; Delete leaves the data, which people worked for."""
    physical = f"bulkqa-job-{properties.get('job')}"
    if kind == "Delete":  # also of one that was never made, after a Create that failed
        return physical, {}
    if kind not in ("Create", "Update"):
        raise InputError(f"a custom resource is created, updated or deleted, not {kind!r}")
    return physical, launch(properties)


def _silent(stage: str, done: int, of: int) -> None:
    """Hear of long work and say nothing: the log has the counts."""
