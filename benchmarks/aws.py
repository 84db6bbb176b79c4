"""The three functions against an AWS that answers after 5 ms, beside the plain way: one call after the other.

Calls are exact; times are of a handler in a fresh process, in turn with the plain way on the same server.
"""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

from benchmarks.measure import Measured, in_process, result

DELAY = 0.005
IMAGES = 5_000
PLAIN_IMAGES = 500
PAGES, WORKERS, SIZE = 10, 3, 25
ROUNDS = 3
HEAVY = 50_000


@contextmanager
def server() -> Iterator[str]:
    """An AWS of our own; the environment points to it for the length of the block."""
    command = [sys.executable, "-m", "benchmarks.null_server", str(DELAY)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    url = f"http://127.0.0.1:{process.stdout.readline().strip()}"
    before = dict(os.environ)
    os.environ |= {
        "AWS_ENDPOINT_URL": url,
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "BULKQA_BUCKET": "bench",
        "BULKQA_TABLE": "bench",
        "POWERTOOLS_LOG_LEVEL": "ERROR",
    }
    try:
        yield url
    finally:
        os.environ.clear()
        os.environ |= before
        process.kill()
        process.wait()


def counts(url: str) -> dict[str, Any]:
    """Return calls and bytes since last asked."""
    with urllib.request.urlopen(f"{url}/_counts") as answer:  # noqa: S310
        return dict(json.loads(answer.read()))


def _client(service: str) -> Any:
    from bulkqa.aws.clients import make_client

    return make_client(service)


class _Context:
    function_name = "bench"
    memory_limit_in_mb = 1024
    invoked_function_arn = "arn:aws:lambda:us-east-1:000000000000:function:bench"
    aws_request_id = "bench"


def put_corpus(rows: int) -> None:
    """Put a corpus of so many rows."""
    lines = (f"images/{number:07d}.jpg,Label {number % 40},{80 + number % 20}\n" for number in range(rows))
    body = "image,label,confidence\n" + "".join(lines)
    _client("s3").put_object(Bucket="bench", Key="corpus.csv", Body=body.encode())


def ready_launch() -> None:
    """Start the function, as Lambda does before the first event."""
    __import__("lambdas.launch")


def launch(job: str) -> int:
    """Launch it with the function."""
    from lambdas import launch as function

    event = {"job": job, "corpus": "s3://bench/corpus.csv", "images": "s3://bench/pictures"}
    reply = function.handler(event, _Context())
    return int(reply["items"])


def launch_plain(rows: int) -> int:
    """Launch the plain way: a PutItem a row, a PutObject a page, one after the other."""
    dynamodb, s3 = _client("dynamodb"), _client("s3")
    for number in range(rows):
        item = {"s3_image_url": {"S": f"s3://b/{number}"}, "label": {"S": "Dog"}, "confidence": {"N": "90"}}
        dynamodb.put_item(TableName="bench", Item=item)
    for page in range(-(-rows // SIZE)):
        s3.put_object(Bucket="bench", Key=f"plain/{page}.json", Body=b"[]")
    s3.put_object(Bucket="bench", Key="plain/manifest.json", Body=b"")
    return rows


def put_payload(job: str) -> None:
    """Put the payload of a post-labeling event: three workers' answers to ten pages."""
    entries = []
    for page in range(PAGES):
        answers = {
            f"item-{place:03d}": {"CannotJudge": False, "Confirmed": place % 9 > 0} for place in range(SIZE)
        }
        entries.append(
            {
                "datasetObjectId": str(page),
                "dataObject": {"s3Uri": f"s3://bench/jobs/{job}/custom-labeling-inputs/{page:08d}.json"},
                "annotations": [
                    {"workerId": f"private.{worker}", "annotationData": {"content": json.dumps(answers)}}
                    for worker in range(WORKERS)
                ],
            }
        )
    _client("s3").put_object(Bucket="bench", Key="payload.json", Body=json.dumps(entries).encode())


def ready_post() -> None:
    """Start the function, as Lambda does before the first event."""
    __import__("lambdas.post_labeling")


def post(_: str) -> int:
    """Count it with the function."""
    from lambdas import post_labeling as function

    event = {
        "labelingJobArn": "arn:aws:sagemaker:us-east-1:0:labeling-job/bench",
        "labelAttributeName": "verdict",
        "payload": {"s3Uri": "s3://bench/payload.json"},
    }
    return len(function.handler(event, _Context()))


def post_plain(job: str) -> int:
    """Count it the plain way: a GetObject a worker, an UpdateItem a vote, one after the other."""
    dynamodb, s3 = _client("dynamodb"), _client("s3")
    entries = json.loads(s3.get_object(Bucket="bench", Key="payload.json")["Body"].read())
    for entry in entries:
        for annotation in entry["annotations"]:
            key = entry["dataObject"]["s3Uri"].removeprefix("s3://bench/")
            items = json.loads(s3.get_object(Bucket="bench", Key=key)["Body"].read())
            answers = json.loads(annotation["annotationData"]["content"])
            for item, answer in zip(items, answers.values(), strict=True):
                name = "WorkerConfirmCount" if answer["Confirmed"] else "WorkerDisconfirmCount"
                dynamodb.update_item(
                    TableName="bench",
                    Key={"s3_image_url": {"S": item["s3_image_url"]}, "label": {"S": item["label"]}},
                    UpdateExpression=f"ADD {name} :one",
                    ExpressionAttributeValues={":one": {"N": "1"}},
                )
    return len(entries)


def pre(job: str) -> bool:
    """Answer a pre-labeling event."""
    from lambdas import pre_labeling as function

    uri = f"s3://bench/jobs/{job}/custom-labeling-inputs/00000000.json"
    return bool(
        function.handler({"dataObject": {"source-ref": uri}}, _Context())["isHumanAnnotationRequired"]
    )


def start(module: str) -> bool:
    """Only import a function, or what any function with two clients needs."""
    if module == "boto3":
        import boto3

        boto3.client("s3")
        boto3.client("dynamodb")
    else:
        __import__(f"lambdas.{module}")
    return True


def _measure(function: str, argument: object) -> Measured:
    return in_process("benchmarks.aws", function, argument)


def run() -> list[dict[str, object]]:
    """Measure calls and times of the functions."""
    results = []
    with server() as url:
        put_corpus(IMAGES)
        rounds, per_image, again = [], [], []
        for turn in range(ROUNDS):
            counts(url)
            ours = _measure("launch", f"launch-{turn}")
            per_image.append(sum(counts(url)["calls"].values()) / IMAGES)
            plain = _measure("launch_plain", PLAIN_IMAGES)
            counts(url)
            _measure("launch", f"launch-{turn}")
            again.append(sum(counts(url)["calls"].values()) / IMAGES)
            rounds.append((plain.seconds / plain.value) / (ours.seconds / ours.value))
            print(f"launch on AWS: {per_image[-1]:.4f} calls an image, {rounds[-1]:.0f} times plain")
        baseline = f"PutItem a row, PutObject a page, in turn ({PLAIN_IMAGES} images)"
        figures = {"calls_per_image": median(per_image), "relaunch_calls_per_image": median(again)}
        results.append(result("launch on AWS, 5 ms", baseline, rounds, **figures))

        put_payload("launch-0")
        rounds, per_image = [], []
        for _ in range(ROUNDS):
            counts(url)
            ours = _measure("post", "")
            calls = counts(url)["calls"]
            per_image.append(sum(calls.values()) / (PAGES * SIZE))
            plain = _measure("post_plain", "launch-0")
            rounds.append(plain.seconds / ours.seconds)
            print(f"post on AWS: {per_image[-1]:.3f} calls an image, {rounds[-1]:.1f} times plain, {calls}")
        baseline = "GetObject a worker, UpdateItem a vote, in turn"
        results.append(result("post on AWS, 5 ms", baseline, rounds, calls_per_image=median(per_image)))

        for module in ("pre_labeling", "post_labeling"):
            rounds = []
            for _ in range(2 * ROUNDS + 1):
                rounds.append(_measure("start", "boto3").cpu / _measure("start", module).cpu)
            print(f"start-up of {module}: {1 / median(rounds):.2f} times bare boto3 with two clients (CPU)")
            results.append(result(f"start-up {module}", "import boto3, clients of S3 and DynamoDB", rounds))

        peaks = []
        for rows in (500, HEAVY):
            put_corpus(rows)
            peaks.append(_measure("launch", f"heavy-{rows}").peak_mib)
        print(f"launch on AWS, memory: {peaks[0]:.1f} MiB at 500 images, {peaks[1]:.1f} MiB at {HEAVY:,}")
        results[0]["peak_mib"] = [round(peak, 1) for peak in peaks]
    return results
