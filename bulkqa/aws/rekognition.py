"""Rekognition: the labels of pictures in S3, and where the summary of a model's evaluation lies."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from botocore.exceptions import ClientError

from bulkqa.aws.calls import FAILURES, Threads, code_of, explained
from bulkqa.aws.pictures import split_uri
from bulkqa.errors import BulkqaError, InputError, NotFoundError, SetupError
from bulkqa.flow.corpus import Item

_NAME = re.compile(r"[a-zA-Z0-9_.-]{1,255}")
_PROJECT = re.compile(r"arn:[a-z\d-]+:rekognition:[a-z\d-]+:\d{12}:project/([a-zA-Z0-9_.-]{1,255})/\d+")
_MODEL = re.compile(
    r"arn:[a-z\d-]+:rekognition:[a-z\d-]+:\d{12}:project/[a-zA-Z0-9_.-]{1,255}/version/[a-zA-Z0-9_.-]{1,255}/\d+"
)

# What is wrong with one picture, and says nothing of the others.
_OF_PICTURE = {"InvalidImageFormatException", "ImageTooLargeException", "InvalidS3ObjectException"}
_TOO_FAST = {"ThrottlingException", "ProvisionedThroughputExceededException", "LimitExceededException"}


def check_model(model: str) -> str:
    """Return the ARN of a Custom Labels model; raise `InputError` if it cannot be one.

    >>> check_model("arn:aws:rekognition:eu-west-1:123456789012:project/rooms/version/v1/1574348467")
    'arn:aws:rekognition:eu-west-1:123456789012:project/rooms/version/v1/1574348467'
    """
    if not _MODEL.fullmatch(model):
        raise InputError(
            f"model {model!r}: use 'builtin', or the ARN of a version "
            "(arn:aws:rekognition:<region>:<account>:project/<name>/version/<version>/<number>)"
        )
    return model


def summary_location(client: Any, project: str, version: str) -> str:
    """Return the address in S3 of the summary that Rekognition wrote when it evaluated a model.

    `project` is a project's name or ARN, `version` the model's name; `client` is one of Rekognition. Raises
    `NotFoundError` where there is no such project or model, `InputError` where it was not evaluated (yet).
    Source: DescribeProjects and DescribeProjectVersions, Amazon Rekognition API reference.
    """
    try:
        arn = _project_arn(client, project)
        asked = {"ProjectArn": arn, "VersionNames": [version]}
        pages = client.get_paginator("describe_project_versions").paginate(**asked)
        found = (one for page in pages for one in page["ProjectVersionDescriptions"])
        model = next(found, None) if _NAME.fullmatch(version) else None
    except FAILURES as error:
        raise explained(error, f"project {project!r}, model {version!r}") from error
    if model is None:
        raise NotFoundError(f"Model {version} not found.")
    if "EvaluationResult" not in model:
        raise InputError(_not_evaluated(version, model))
    summary = model["EvaluationResult"]["Summary"]["S3Object"]
    return f"s3://{summary['Bucket']}/{summary['Name']}"


def _project_arn(client: Any, project: str) -> str:
    if _PROJECT.fullmatch(project):
        return project
    if _NAME.fullmatch(project):  # the service refuses other names, and has none
        for page in client.get_paginator("describe_projects").paginate(ProjectNames=[project]):
            for found in page["ProjectDescriptions"]:
                return str(found["ProjectArn"])
    raise NotFoundError(f"Project {project} not found.")


def _not_evaluated(version: str, model: dict[str, Any]) -> str:
    status, message = model.get("Status", "unknown"), model.get("StatusMessage")
    why = f"{status}: {message}" if message else status
    if status == "TRAINING_IN_PROGRESS":
        return f"Model {version} is still being trained: it has an evaluation when that is done."
    if status == "TRAINING_FAILED":
        return f"The training of model {version} failed, so it has no evaluation ({why})."
    return f"Model {version} has no evaluation ({why})."


class RekognitionLabels:
    """The labels that Rekognition gives pictures, a call for each picture, `threads` calls at once.

    `model` is the ARN of a running Custom Labels model (DetectCustomLabels), or None for the labels that
    Rekognition knows by itself (DetectLabels). Labels are those with a confidence of at least `minimum`,
    0-100. The client comes from `make_client("rekognition")`, which slows down where the service asks for it.
    """

    def __init__(self, client: Any, model: str | None, minimum: float, threads: int) -> None:
        self._client = client
        self._model = model
        self._minimum = minimum
        self._threads = Threads(threads)

    def label(self, images: Iterable[str]) -> Iterator[tuple[str, Sequence[Item] | str]]:
        """Yield each image (s3://bucket/key), in order, with its labels, or why it could not be read.

        Labels come as the service orders them, by falling confidence, each once with its highest. Raises
        `SetupError` or another `BulkqaError` for what would fail for every picture.
        """
        return self._threads.map(lambda image: (image, self._labels(image)), images)

    def _labels(self, image: str) -> Sequence[Item] | str:
        try:
            found = self._detect(image)
        except FAILURES as error:
            code = code_of(error) if isinstance(error, ClientError) else ""
            if code in _OF_PICTURE:
                return _reason(error)
            raise self._explained(error, code, image) from error
        best: dict[str, float] = {}  # a model that finds objects names a label once for each
        for label in found:
            name, confidence = label["Name"], label["Confidence"]
            if confidence >= max(self._minimum, best.get(name, 0)):
                best[name] = min(confidence, 100.0)
        return [Item(image, name, confidence) for name, confidence in best.items()]

    def _detect(self, image: str) -> list[dict[str, Any]]:
        bucket, key = split_uri(image)
        asked = {"Image": {"S3Object": {"Bucket": bucket, "Name": key}}, "MinConfidence": self._minimum}
        if self._model is None:
            labels: list[dict[str, Any]] = self._client.detect_labels(**asked)["Labels"]
        else:
            labels = self._client.detect_custom_labels(ProjectVersionArn=self._model, **asked)["CustomLabels"]
        return labels

    def _explained(self, error: Exception, code: str, image: str) -> BulkqaError:
        if code == "ResourceNotReadyException":
            return SetupError(
                f"{self._model}: the model is not running; start it in the console, or by "
                "aws rekognition start-project-version, and stop it afterwards: it is paid for by the hour"
            )
        if code == "ResourceNotFoundException":
            return NotFoundError(f"{self._model}: there is no such model in this account and Region")
        if code in _TOO_FAST:
            return BulkqaError(
                f"Rekognition takes no more calls a second from this account ({code}); run it again "
                "with fewer --threads, and it goes on where it stopped"
            )
        return explained(error, image)


def _reason(error: Any) -> str:
    message = error.response["Error"].get("Message", "")
    return f"{code_of(error)}: {message}" if message else code_of(error)
