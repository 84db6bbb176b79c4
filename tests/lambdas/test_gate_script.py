"""The script of the documentation that has a pipeline wait for a job's gate, run as it stands there."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bulkqa.flow.gate import NOT_ENOUGH, Check, Verdict
from bulkqa.flow.limits import Outcome, ValueThreshold
from bulkqa.flow.slices import MetricKey
from bulkqa.steps.gating import verdict_json
from tests.emulators import Server
from tests.support_aws import create_bucket

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "reference" / "gate-in-the-pipeline.md"

AWS = """
import argparse, sys
import boto3, botocore.exceptions
from datetime import datetime
parser = argparse.ArgumentParser()
parser.add_argument("words", nargs=2)
parser.add_argument("file")
for name in ("bucket", "key", "if-modified-since"):
    parser.add_argument(f"--{name}")
asked = parser.parse_args()
assert asked.words == ["s3api", "get-object"]
since = datetime.fromisoformat(asked.if_modified_since)
try:
    found = boto3.client("s3").get_object(Bucket=asked.bucket, Key=asked.key, IfModifiedSince=since)
except botocore.exceptions.ClientError as error:
    sys.exit(str(error))
open(asked.file, "wb").write(found["Body"].read())
"""
"""What stands in for the `aws` command: the one call of the script."""

LONG_AGO, LATER = "2026-01-01T00:00:00Z", "2100-01-01T00:00:00Z"


def wait(server: Server, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the script, which looks twice, in a folder with both commands; return what became of it."""
    (script,) = re.findall(r"^```sh\n(#!/bin/sh.*?)^```", PAGE.read_text("utf-8"), flags=re.M | re.S)
    (folder / "wait-for-gate.sh").write_text(script)
    (folder / "aws.py").write_text(AWS)
    for name, started in (("aws", f"'{folder}/aws.py'"), ("bulkqa", "-m bulkqa.cli")):
        (folder / name).write_text(f"#!/bin/sh\nexec '{sys.executable}' {started} \"$@\"\n")
        (folder / name).chmod(0o755)
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    told = {"PATH": path, "PYTHONPATH": str(ROOT), "TRIES": "2", "PAUSE": "0"}
    return subprocess.run(
        ["sh", "wait-for-gate.sh", *arguments],
        env=os.environ | server.variables | told,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_a_pipeline_goes_by_the_verdict(ministack: Server, tmp_path: Path) -> None:
    """No verdict in time is 4, as is one of earlier; then failed, undecided and passed are 1, 3 and 0."""
    s3 = ministack.client("s3")
    bucket = create_bucket(s3, "bulkqa-gated")

    def run(since: str = LONG_AGO) -> tuple[int, str]:
        done = wait(ministack, tmp_path, bucket, "dogs", since)
        return done.returncode, (done.stdout or done.stderr).partition("\n")[0]

    assert run() == (4, "no verdict on job dogs yet")
    failed = Check((), MetricKey("precision"), ValueThreshold(0.95), Outcome.FAILED, 0.9)
    waiting = failed._replace(outcome=Outcome.UNDECIDED, message=f"{NOT_ENOUGH}5 of 30 items")
    expected = {
        Verdict(ok=False, checks=(failed,)): (1, "Validation FAILED: 1 check failed."),
        Verdict(ok=False, checks=(waiting,)): (3, "Validation NOT DECIDED: 1 lack data."),
        Verdict(ok=True): (0, "Validation ok: every check passed."),
    }
    for verdict, outcome in expected.items():
        body = json.dumps(verdict_json(verdict)).encode()
        s3.put_object(Bucket=bucket, Key="jobs/dogs/report/verdict.json", Body=body)
        assert run() == outcome
    assert run(LATER) == (4, "no verdict on job dogs yet")


@pytest.mark.slow
def test_a_bucket_that_is_not_there_ends_the_wait(ministack: Server, tmp_path: Path) -> None:
    """What will not mend itself is shown at once, with the exit code of a failure."""
    run = wait(ministack, tmp_path, "no-such-bucket", "dogs", LONG_AGO)
    assert run.returncode == 4
    assert "NoSuchBucket" in run.stderr
