"""Rekognition's adapter, and `bulkqa label` and `confusion-matrix` over it, against stand-ins for AWS."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.stub import Stubber

from bulkqa.aws.clients import make_client
from bulkqa.aws.rekognition import RekognitionLabels, check_model, summary_location
from bulkqa.errors import BulkqaError, InputError, NotFoundError, SetupError
from bulkqa.flow.corpus import Item
from tests.emulators import CREDENTIALS, Server, moto_client
from tests.rekognition import MODEL, Rekognition, serving
from tests.sagemaker import FORBIDDEN, THROTTLED, RefusalError
from tests.support_aws import REGION, new_name
from tests.test_cli import bulkqa

PROJECT = "arn:aws:rekognition:us-east-1:123456789012:project/rooms/1574340000000"

# Where the summary of a model lies.


@pytest.fixture
def stubbed(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, Stubber]]:
    """A client of Rekognition that answers as it is told, and only what it is told."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    client = make_client("rekognition", region=REGION)
    with Stubber(client) as stubber:
        yield client, stubber
        stubber.assert_no_pending_responses()


def project(stubber: Stubber, *found: str, token: str | None = None, after: str | None = None) -> None:
    """Answer the next DescribeProjects."""
    asked: dict[str, Any] = {"ProjectNames": ["rooms"]} | ({} if after is None else {"NextToken": after})
    said = {"ProjectDescriptions": [{"ProjectArn": arn, "Status": "CREATED"} for arn in found]}
    stubber.add_response("describe_projects", said | ({} if token is None else {"NextToken": token}), asked)


def versions(stubber: Stubber, *found: dict[str, Any], **tokens: str) -> None:
    """Answer the next DescribeProjectVersions."""
    asked: dict[str, Any] = {"ProjectArn": PROJECT, "VersionNames": ["v1"]}
    asked |= {"NextToken": tokens["after"]} if "after" in tokens else {}
    said: dict[str, Any] = {"ProjectVersionDescriptions": list(found)}
    said |= {"NextToken": tokens["token"]} if "token" in tokens else {}
    stubber.add_response("describe_project_versions", said, asked)


EVALUATED = {
    "ProjectVersionArn": MODEL,
    "Status": "TRAINING_COMPLETED",
    "EvaluationResult": {
        "F1Score": 0.9,
        "Summary": {
            "S3Object": {"Bucket": "custom-labels", "Name": "evaluation/EvaluationSummary-rooms-v1.json"}
        },
    },
}
LOCATION = "s3://custom-labels/evaluation/EvaluationSummary-rooms-v1.json"


def test_a_summary_is_found_by_project_and_model(stubbed: tuple[Any, Stubber]) -> None:
    """DescribeProjects gives the project's ARN, DescribeProjectVersions the summary's place."""
    client, stubber = stubbed
    project(stubber, PROJECT)
    versions(stubber, EVALUATED)
    assert summary_location(client, "rooms", "v1") == LOCATION


def test_empty_pages_are_no_end(stubbed: tuple[Any, Stubber]) -> None:
    """Either listing may begin with pages that have nothing."""
    client, stubber = stubbed
    project(stubber, token="1")  # noqa: S106  no password
    project(stubber, PROJECT, after="1")
    versions(stubber, token="2")  # noqa: S106
    versions(stubber, EVALUATED, after="2")
    assert summary_location(client, "rooms", "v1") == LOCATION


def test_a_project_may_be_named_by_its_arn(stubbed: tuple[Any, Stubber]) -> None:
    """Then nobody needs to be asked for it."""
    client, stubber = stubbed
    versions(stubber, EVALUATED)
    assert summary_location(client, PROJECT, "v1") == LOCATION


def test_what_is_not_there_is_said_as_published(stubbed: tuple[Any, Stubber]) -> None:
    """The sentences are those of the guide's own script."""
    client, stubber = stubbed
    project(stubber)
    with pytest.raises(NotFoundError, match=r"^Project rooms not found\.$"):
        summary_location(client, "rooms", "v1")
    project(stubber, PROJECT)
    versions(stubber)
    with pytest.raises(NotFoundError, match=r"^Model v1 not found\.$"):
        summary_location(client, "rooms", "v1")
    with pytest.raises(NotFoundError, match=r"^Project my rooms not found\.$"):
        summary_location(client, "my rooms", "v1")


@pytest.mark.parametrize(
    ("status", "message", "named"),
    [
        ("TRAINING_IN_PROGRESS", None, "still being trained"),
        ("TRAINING_FAILED", "The manifest file is missing", r"failed.*The manifest file is missing"),
        ("DELETING", None, r"no evaluation \(DELETING\)"),
    ],
)
def test_a_model_without_evaluation_says_why(
    stubbed: tuple[Any, Stubber], status: str, message: str | None, named: str
) -> None:
    """Training that is under way or failed is told of, and is no mistake of the program."""
    client, stubber = stubbed
    project(stubber, PROJECT)
    described = {"ProjectVersionArn": MODEL, "Status": status}
    versions(stubber, described | ({} if message is None else {"StatusMessage": message}))
    with pytest.raises(InputError, match=named):
        summary_location(client, "rooms", "v1")


def test_a_refusal_names_the_model(stubbed: tuple[Any, Stubber]) -> None:
    """Without the right to ask, it says what was asked for."""
    client, stubber = stubbed
    stubber.add_client_error("describe_projects", "AccessDeniedException", "no", 400)
    with pytest.raises(SetupError, match="project 'rooms', model 'v1': AccessDeniedException"):
        summary_location(client, "rooms", "v1")


# Labels.


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Rekognition]:
    """Rekognition, where clients find it by the environment."""
    # The client's own waits last up to seconds; that it tries again is what matters here.
    monkeypatch.setattr("botocore.endpoint.time", types.SimpleNamespace(sleep=lambda _: None))
    monkeypatch.setattr("botocore.retries.bucket.TokenBucket.acquire", lambda *_, **__: True)
    with serving() as fake:
        for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL_REKOGNITION": fake.url}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_REGION", REGION)
        yield fake


def labels(model: str | None = None, minimum: float = 50, threads: int = 4) -> RekognitionLabels:
    """The adapter."""
    return RekognitionLabels(make_client("rekognition", region=REGION), model, minimum, threads)


IMAGES = [f"s3://pictures/rooms/{number:03d}.jpg" for number in range(40)]


def test_rekognition_s_own_labels(service: Rekognition) -> None:
    """One call of DetectLabels a picture, in order, with the confidence asked for."""
    service.says = {"rooms/001.jpg": [("Bed", 99.5), ("Room", 60.0), ("Cat", 49.0)]}
    found = list(labels().label(IMAGES[:3]))
    assert found == [
        (IMAGES[0], []),
        (IMAGES[1], [Item(IMAGES[1], "Bed", 99.5), Item(IMAGES[1], "Room", 60.0)]),
        (IMAGES[2], []),
    ]
    assert sorted(service.asked) == [("DetectLabels", f"rooms/00{number}.jpg") for number in range(3)]
    assert service.requests[0]["MinConfidence"] == 50
    assert service.requests[0]["Image"]["S3Object"]["Bucket"] == "pictures"


def test_a_model_s_labels(service: Rekognition) -> None:
    """A Custom Labels model is asked by its ARN; a label found in several places counts once, at its best."""
    service.says = {"rooms/000.jpg": [("bed", 71.0), ("bed", 93.5), ("lamp", 88.0), ("bed", 80.0)]}
    assert list(labels(MODEL).label(IMAGES[:1])) == [
        (IMAGES[0], [Item(IMAGES[0], "bed", 93.5), Item(IMAGES[0], "lamp", 88.0)])
    ]
    assert service.requests[0]["ProjectVersionArn"] == MODEL


@pytest.mark.parametrize(
    "code", ["InvalidImageFormatException", "ImageTooLargeException", "InvalidS3ObjectException"]
)
def test_one_picture_s_fault_is_its_own(service: Rekognition, code: str) -> None:
    """A picture that cannot be read has a reason in place of labels, and the others go on."""
    service.says = {"rooms/001.jpg": RefusalError(code, "why"), "rooms/002.jpg": [("Bed", 99.0)]}
    found = dict(labels().label(IMAGES[:3]))
    assert found[IMAGES[1]] == f"{code}: why"
    assert found[IMAGES[2]] == [Item(IMAGES[2], "Bed", 99.0)]


def test_throttling_is_waited_out(service: Rekognition) -> None:
    """Refused for going too fast, the client asks again, and every picture has its labels."""
    service.refusals = [THROTTLED, RefusalError("ProvisionedThroughputExceededException", "slower")] * 2
    service.says = {f"rooms/{number:03d}.jpg": [("Bed", 99.0)] for number in range(5)}
    assert [len(found) for _, found in labels(threads=2).label(IMAGES[:5])] == [1] * 5
    assert len(service.asked) == 9


def test_rekognition_s_client_paces_itself(service: Rekognition) -> None:
    """Its client slows down all threads together where the service asks for it; no other client does."""
    modes = {
        name: make_client(name, region=REGION).meta.config.retries["mode"] for name in ("rekognition", "s3")
    }
    assert modes == {"rekognition": "adaptive", "s3": "standard"}


def test_throttling_without_end_is_said_plainly(service: Rekognition) -> None:
    """Where waiting does not help, it says what would."""
    service.says = {"rooms/000.jpg": THROTTLED}
    with pytest.raises(BulkqaError, match=r"no more calls a second .* fewer --threads") as refused:
        list(labels().label(IMAGES[:1]))
    assert refused.value.exit_code == 4
    assert len(service.asked) == 10


@pytest.mark.parametrize(
    ("refusal", "kind", "named"),
    [
        (FORBIDDEN, SetupError, "AccessDenied"),
        (RefusalError("ResourceNotFoundException", "no"), NotFoundError, "no such model"),
        (RefusalError("ResourceNotReadyException", "no"), SetupError, "start-project-version"),
        (RefusalError("InvalidParameterException", "no"), BulkqaError, "InvalidParameterException"),
    ],
)
def test_what_would_fail_for_all_ends_it(
    service: Rekognition, refusal: RefusalError, kind: type[BulkqaError], named: str
) -> None:
    """No right, no model, a model that does not run: it stops and says so, and does not go on asking."""
    service.says = {image.removeprefix("s3://pictures/"): refusal for image in IMAGES}
    with pytest.raises(kind, match=named):
        list(labels(MODEL, threads=2).label(IMAGES))
    assert len(service.asked) < 10


def test_calls_at_once_are_bounded(service: Rekognition) -> None:
    """As many calls run at once as were asked for, and no more."""
    service.seconds = 0.02
    list(labels(threads=3).label(IMAGES))
    assert service.peak == 3
    assert sorted(service.keys) == [image.removeprefix("s3://pictures/") for image in IMAGES]


def test_what_is_no_model_is_refused() -> None:
    """Only the ARN of a model's version can be asked."""
    for text in ("rooms", PROJECT, f"{MODEL}/x", "arn:aws:s3:::bucket"):
        with pytest.raises(InputError, match="builtin"):
            check_model(text)


def test_moto_s_rekognition_answers(moto: None) -> None:
    """A stand-in by others takes the same calls."""
    client = moto_client("rekognition")
    for model in (None, MODEL):
        ((_, found),) = RekognitionLabels(client, model, 0, 1).label(IMAGES[:1])
        assert found and all(isinstance(item, Item) for item in found)


# The command.


@pytest.fixture
def prefix(service: Rekognition, ministack: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """Five objects below a prefix in S3, and one beside it."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", ministack.url)
    s3, bucket = ministack.client("s3"), new_name("pictures")
    s3.create_bucket(Bucket=bucket)
    names = [*(f"rooms/{number}.jpg" for number in range(4)), "rooms/notes.txt", "rooms-2/x.jpg"]
    for name in names:
        s3.put_object(Bucket=bucket, Key=name, Body=b"x")
    service.says = {
        "rooms/0.jpg": [("Bed", 99.25), ("Lamp", 51.0)],
        "rooms/1.jpg": [("Bath", 80.0)],
        "rooms/3.jpg": RefusalError("InvalidImageFormatException", "no picture"),
    }
    return f"s3://{bucket}/rooms"


def test_label_makes_a_corpus_to_launch(prefix: str, service: Rekognition, tmp_path: Path) -> None:
    """What Rekognition says of the pictures below a prefix is launched as it stands."""
    run = bulkqa("label", "--rekognition", "builtin", prefix, "-o", "corpus.csv", "--format", "json")
    assert run.code == 0, run.err
    assert run.json == {
        "schema": 1,
        "file": "corpus.csv",
        "log": "corpus.csv.log",
        "images_labelled": 2,
        "rows": 3,
        "images_without_label": 1,
        "images_unreadable": 1,
        "images_before": 0,
        "other_objects": 1,
    }
    assert "3.jpg: InvalidImageFormatException: no picture" in run.err
    with Path("corpus.csv").open() as file:
        assert [(row["image"], row["label"], row["confidence"]) for row in csv.DictReader(file)] == [
            (f"{prefix}/0.jpg", "Bed", "99.25"),
            (f"{prefix}/0.jpg", "Lamp", "51.0"),
            (f"{prefix}/1.jpg", "Bath", "80.0"),
        ]
    again = bulkqa("label", "--rekognition", "builtin", prefix, "-o", "corpus.csv")
    assert (again.code, service.keys.count("rooms/0.jpg"), service.keys.count("rooms/3.jpg")) == (0, 1, 2)
    assert "3 images had been asked for before" in again.out
    launched = bulkqa("launch", "corpus.csv", "--job", "rooms", "--min-confidence", "50", "--format", "json")
    assert launched.json["labels"] == {"Bath": 1, "Bed": 1, "Lamp": 1}


@pytest.mark.parametrize(
    ("arguments", "code", "named"),
    [
        (["--rekognition", "rooms"], 2, "builtin"),
        (["--rekognition", "builtin", "--threads", "0"], 2, "threads"),
        (["--rekognition", "builtin", "--min-confidence", "101"], 2, "minimum confidence"),
        (["--rekognition", MODEL.replace("v1", "v2")], 4, "not running"),
    ],
)
def test_label_says_what_is_wrong(prefix: str, arguments: list[str], code: int, named: str) -> None:
    """Bad input is exit 2, what the service cannot do is 4, each named."""
    run = bulkqa("label", prefix, "-o", "corpus.csv", *arguments)
    assert (run.code, run.out) == (code, "")
    assert named in run.err


def test_label_needs_a_place_in_s3(service: Rekognition) -> None:
    """A folder of this machine is no prefix."""
    run = bulkqa("label", "--rekognition", "builtin", "pictures", "-o", "corpus.csv")
    assert run.code == 2
    assert "s3://" in run.err


@pytest.mark.slow
def test_a_killed_run_goes_on(prefix: str, service: Rekognition, ministack: Server, tmp_path: Path) -> None:
    """Killed in the middle, the file has whole lines; the next run asks for the others and makes it whole."""
    bucket = prefix.removeprefix("s3://").partition("/")[0]
    for number in range(60):
        ministack.client("s3").put_object(Bucket=bucket, Key=f"many/{number:03d}.png", Body=b"x")
        service.says[f"many/{number:03d}.png"] = [("Bed", 90.0), ("Room", 80.0)]
    service.seconds = 0.05
    command = [sys.executable, "-m", "bulkqa.cli", "label", "--rekognition", "builtin", f"s3://{bucket}/many"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen([*command, "-o", "c.csv", "--threads", "2"], env=environment) as process:
        end = time.monotonic() + 60
        while len(service.asked) < 25 and time.monotonic() < end:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    lines = Path("c.csv").read_text().splitlines()
    assert 1 < len(lines) < 121 and all(line.count(",") == 2 for line in lines)
    done = {line.partition(",")[0] for line in lines[1:]}
    assert bulkqa("label", "--rekognition", "builtin", f"s3://{bucket}/many", "-o", "c.csv").code == 0
    # The last picture's rows are made sure of by asking again.
    again = [image for image in done if service.keys.count(image.removeprefix(f"s3://{bucket}/")) > 1]
    assert again in ([], [lines[-1].partition(",")[0]])
    rows = Path("c.csv").read_text().splitlines()[1:]
    assert len(rows) == 120 and len(set(rows)) == 120


SUMMARY = {
    "Version": 1,
    "EvaluationDetails": {"Labels": ["cat", "dog"]},
    "AggregatedEvaluationResults": {
        "ConfusionMatrix": [
            {"GroundTruthLabel": "cat", "PredictedLabel": "cat", "Value": 0.875},
            {"GroundTruthLabel": "cat", "PredictedLabel": "dog", "Value": 0.125},
            {"GroundTruthLabel": "dog", "PredictedLabel": "dog", "Value": 1.0},
        ],
        "F1Score": 0.9,
        "Precision": 0.9,
        "Recall": 0.9,
    },
    "LabelEvaluationResults": [],
}


def test_confusion_matrix_of_a_model(prefix: str, ministack: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Project and model lead to the summary in S3; so does its address."""
    bucket = prefix.removeprefix("s3://").partition("/")[0]
    ministack.client("s3").put_object(Bucket=bucket, Key="s.json", Body=json.dumps(SUMMARY).encode())

    def described(client: Any, project: str, version: str) -> str:
        assert (project, version) == ("rooms", "v1")
        return f"s3://{bucket}/s.json"

    monkeypatch.setattr("bulkqa.aws.rekognition.summary_location", described)
    expected = "     cat   dog\ncat  88%    0%\ndog  12%  100%\n"
    for source in (["rooms", "v1"], [f"s3://{bucket}/s.json"]):
        run = bulkqa("confusion-matrix", *source)
        assert (run.code, run.out) == (0, expected), run.err
    missing = bulkqa("confusion-matrix", f"s3://{bucket}/other.json")
    assert missing.code == 2 and "other.json does not exist" in missing.err
