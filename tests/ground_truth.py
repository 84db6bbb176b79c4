"""A stand-in for Ground Truth: it plays a whole labeling job against the two functions, in its own words.

It reads the input manifest, asks the pre-labeling function for what each page shows, renders the worker
template, lets workers answer what stands on the page, and hands their answers over in files and events as
Ground Truth writes them. Of what is documented and observed it takes the awkward side: job names in lower
case, answers with their keys sorted, file names with colons, events delivered as often as a test likes.

A function that breaks a limit or a rule of Ground Truth's raises `BreachError`.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from itertools import count
from typing import Any, Literal
from urllib.parse import urlsplit

from bulkqa.flow.answers import Decision
from bulkqa.rendering import CROWD_SCRIPT_URL, render_worker_page

MAX_LINE = 100_000
MAX_ATTRIBUTE = 20_000
"""Characters of a manifest's line, and of one attribute in it (input manifest)."""
MAX_TASK_INPUT = 128_000
"""Characters of `task.input` as JSON (RenderUiTemplate)."""
MAX_REPLY = 6 * 1024 * 1024
"""Bytes of a reply (Lambda)."""

WORKERS = tuple(
    f"private.us-east-1.{number:x}" for number in (0xA4F1C2D35E96, 0x1D2A9B3E4C58, 0x7BE0C2D35E17)
)

Function = Callable[[Any], Any]
"""A function as it is invoked: JSON in, JSON out."""

Event = dict[str, Any]

Decide = Callable[[str, str], Decision]
"""What a worker says of a picture: (worker, image) in, decision out."""

Spelling = Literal["job-name", "job_name"]
"""The two ways in which metadata of the output manifest are spelled."""


class BreachError(AssertionError):
    """A function or a file does not keep to what Ground Truth takes."""


@dataclass(frozen=True, kw_only=True)
class LabelingJob:
    """A labeling job as it is created: names, places, and the workers who will answer each page."""

    name: str
    manifest: str
    output: str
    template: str
    label_attribute: str = "bulkqa-review"
    workers: tuple[str, ...] = WORKERS
    kms_key: str | None = None

    @property
    def arn(self) -> str:
        """The job's ARN, in which its name is in lower case whatever it was created as."""
        return f"arn:aws:sagemaker:us-east-1:123456789012:labeling-job/{self.name.lower()}"

    @property
    def folder(self) -> str:
        """Where its output is written."""
        return f"{self.output.rstrip('/')}/{self.name}"


class WorkerPage(HTMLParser):
    """A rendered page as a worker meets it: which names it answers under, and the picture each stands for."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.title = ""
        self.images: dict[str, str] = {}
        self._within = ""
        self._image = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a picture, and the boxes that follow it."""
        attributes = dict(attrs)
        self._within = tag
        if tag == "img" and attributes.get("src"):
            self._image = str(attributes["src"])
        elif tag == "crowd-checkbox":
            self.images[str(attributes["name"])] = self._image

    def handle_data(self, data: str) -> None:
        """Note the title."""
        if self._within == "title":
            self.title += data

    def handle_endtag(self, tag: str) -> None:
        """Leave an element."""
        self._within = ""

    def answer(self, worker: str, decide: Decide) -> dict[str, object]:
        """What this worker submits: each box under its name, checked or not, and the page's own notes."""
        boxes: dict[str, object] = {}
        for name, image in self.images.items():
            decision = decide(worker, image)
            boxes[name] = {
                "Confirmed": decision is Decision.CONFIRM,
                "CannotJudge": decision is Decision.CANNOT_JUDGE,
            }
        return boxes | {"meta": json.dumps({"v": 1, "seconds": 40.5})}


@dataclass
class Task:
    """A data object that is shown: its line of the manifest, its page, and the answers it has got."""

    object_id: str
    line: Mapping[str, str]
    page: WorkerPage
    answers: dict[str, dict[str, object]] = field(default_factory=dict)

    def data_object(self) -> dict[str, str]:
        """The object as the consolidation knows it; other keys of its line are not among that."""
        if "source-ref" in self.line:
            return {"s3Uri": self.line["source-ref"]}
        return {"content": self.line["source"]}

    def consolidation(self) -> dict[str, object]:
        """The object and its answers as they stand in a payload."""
        return payload_entry(self.object_id, self.data_object(), self.answers)


def nobody(worker: str, object_id: str) -> bool:
    """No task expires: every worker answers every object."""
    return False


def payload_entry(
    object_id: str, data_object: Mapping[str, str], answers: Mapping[str, Mapping[str, object] | str]
) -> dict[str, object]:
    """An object of a payload, with an answer (or the text that came in place of one) by each worker."""
    return {
        "datasetObjectId": object_id,
        "dataObject": dict(data_object),
        "annotations": [
            {
                "workerId": worker,
                "annotationData": {
                    "content": answer if isinstance(answer, str) else json.dumps(answer, sort_keys=True)
                },
            }
            for worker, answer in answers.items()
        ],
    }


class GroundTruth:
    """One labeling job under way. `tasks` are the objects shown, `results` what their consolidation gave.

    `passed_over` are the objects that the pre-labeling function wants nobody asked about.
    """

    def __init__(self, job: LabelingJob, s3: Any, pre: Function, post: Function) -> None:
        self.job = job
        self.tasks: list[Task] = []
        self.passed_over: list[str] = []
        self.results: dict[str, Any] = {}
        self._s3 = s3
        self._pre = pre
        self._post = post
        self._clock = (datetime(2026, 1, 31, 10, 20, 30, tzinfo=UTC) + timedelta(seconds=n) for n in count())

    def play(self, decide: Decide, at_once: int = 4) -> Event:
        """All of a job without mishaps: pages go out, answers come back; return the event of its end."""
        self.hand_out()
        self.review(decide)
        self.consolidate(at_once)
        return self.finish()

    def hand_out(self) -> list[Task]:
        """Ask for the page of every line of the manifest and render it; return the tasks."""
        for number, line in enumerate(self._lines()):
            event = {"version": "2018-10-16", "labelingJobArn": self.job.arn, "dataObject": line}
            reply = self._pre(event)
            required = self._check_pre(reply)
            if required:
                html = render_worker_page(
                    self.job.template, reply["taskInput"], read_access=str, crowd_script=CROWD_SCRIPT_URL
                )
                self.tasks.append(Task(str(number), line, WorkerPage(html)))
            else:
                self.passed_over.append(str(number))
        return self.tasks

    def review(self, decide: Decide, expired: Callable[[str, str], bool] = nobody) -> None:
        """Have every worker answer every task but those that expired for (worker, object id)."""
        for task in self.tasks:
            for worker in self.job.workers:
                if not expired(worker, task.object_id):
                    task.answers[worker] = task.page.answer(worker, decide)
            if task.answers:
                self._write_responses(task)

    def consolidate(
        self, at_once: int = 4, arrange: Callable[[Iterable[Task]], Iterable[Task]] = iter
    ) -> list[Event]:
        """Hand over what was answered, `at_once` objects to an event, in an order of one's choice.

        Objects that nobody answered are handed over by no event.
        """
        answered = [task for task in arrange(self.tasks) if task.answers]
        events = [
            self.hand_over(answered[start : start + at_once]) for start in range(0, len(answered), at_once)
        ]
        for event in events:
            self.deliver(event)
        return events

    def hand_over(self, tasks: Sequence[Task]) -> Event:
        """Write the payload of these objects and return the event that hands it over."""
        folder = f"{self.job.folder}/annotations"
        name = f"consolidated-annotation/consolidation-request/iteration-1/{self._stamp()}.json"
        self._write(f"{folder}/{name}", [task.consolidation() for task in tasks])
        event: Event = {
            "version": "2018-10-06",
            "labelingJobArn": self.job.arn,
            "labelCategories": None,
            "labelAttributeName": self.job.label_attribute,
            "roleArn": "arn:aws:iam::123456789012:role/service-role/AmazonSageMaker-ExecutionRole",
            "payload": {"s3Uri": f"{folder}/{name}"},
            "outputConfig": folder,
            "maxHumanWorkersPerDataObject": len(self.job.workers),
            "vpcEnabled": False,
        }
        return event | ({"kmsKeyId": self.job.kms_key} if self.job.kms_key else {})

    def deliver(self, event: Event) -> Any:
        """Invoke the post-labeling function with an event, be it once more; return its reply."""
        reply = self._post(event)
        handed_over = json.loads(self._read(event["payload"]["s3Uri"]))
        self._check_post(reply, {entry["datasetObjectId"] for entry in handed_over})
        place = event["payload"]["s3Uri"].replace("consolidation-request", "consolidation-response")
        self._write(place, reply)
        for entry in reply:
            content = entry["consolidatedAnnotation"]["content"]
            self.results[entry["datasetObjectId"]] = content[self.job.label_attribute]
        return reply

    def finish(self, spelling: Spelling = "job-name") -> Event:
        """Write the output manifest, and return the event that says that the job is over."""
        answered = {task.object_id for task in self.tasks if task.answers}
        lines = []
        for number, line in enumerate(self._lines()):
            object_id = str(number)
            labelled: dict[str, Any] = dict(line)
            if object_id in self.results:
                labelled[self.job.label_attribute] = self.results[object_id]
                labelled[f"{self.job.label_attribute}-metadata"] = self._metadata(spelling)
            elif object_id not in self.passed_over:
                reason = (
                    "Annotation consolidation left it out"
                    if object_id in answered
                    else "The task has expired"
                )
                failure = self._metadata(spelling) | {"failure-reason": reason}
                labelled[f"{self.job.label_attribute}-metadata"] = failure
            lines.append(json.dumps(labelled))
        self._put(f"{self.job.folder}/manifests/output/output.manifest", "\n".join(lines).encode() + b"\n")
        return {
            "version": "0",
            "id": "111e8f02-95d5-4f1b-a2b3-c4d5e6f70819",
            "detail-type": "SageMaker Ground Truth Labeling Job State Change",
            "source": "aws.sagemaker",
            "account": "123456789012",
            "time": "2026-01-31T12:00:00Z",
            "region": "us-east-1",
            "resources": [self.job.arn],
            "detail": {"LabelingJobStatus": "Completed"},
        }

    def output_manifest(self) -> list[dict[str, Any]]:
        """The lines of the output manifest."""
        data = self._read(f"{self.job.folder}/manifests/output/output.manifest")
        return [json.loads(line) for line in data.splitlines()]

    def _lines(self) -> list[dict[str, str]]:
        lines = []
        for text in self._read(self.job.manifest).decode().splitlines():
            line: dict[str, str] = json.loads(text)
            _demand("source-ref" in line or "source" in line, "a line has neither source-ref nor source")
            _demand(len(text) <= MAX_LINE, "a line of the manifest is too long")
            for name, value in line.items():
                _demand(len(json.dumps(value)) <= MAX_ATTRIBUTE, f"the attribute {name} is too long")
            lines.append(line)
        return lines

    def _check_pre(self, reply: Any) -> bool:
        _demand(isinstance(reply, dict), "the reply is no object")
        unknown = reply.keys() - {"taskInput", "isHumanAnnotationRequired"}
        _demand(not unknown, f"the reply holds {unknown}, which have no effect")
        _demand(isinstance(reply.get("taskInput"), dict), "taskInput is no object")
        length = len(json.dumps(reply["taskInput"]))
        _demand(2 <= length <= MAX_TASK_INPUT, f"taskInput has {length} characters")
        required = reply.get("isHumanAnnotationRequired", True)
        _demand(isinstance(required, bool), "isHumanAnnotationRequired is no boolean")
        return bool(required)

    def _check_post(self, reply: Any, handed_over: set[str]) -> None:
        _demand(isinstance(reply, list), "the reply is no list")
        _demand(len(json.dumps(reply)) < MAX_REPLY, "the reply is longer than 6 MB")
        ids = [entry["datasetObjectId"] for entry in reply]
        _demand(len(set(ids)) == len(ids), "an object has two results")
        _demand(set(ids) <= handed_over, "there is a result of an object that was not handed over")
        for entry in reply:
            content = entry["consolidatedAnnotation"]["content"]
            _demand(set(content) == {self.job.label_attribute}, f"the content is under {set(content)}")

    def _metadata(self, spelling: Spelling) -> dict[str, str]:
        job = f"labeling-job/{self.job.name.lower()}"
        if spelling == "job-name":
            kind, when = "groundtruth/custom", "creation-date"
        else:
            kind, when = "groundTruth/custom", "creation_date"
        return {"type": kind, spelling: job, "human-annotated": "yes", when: "2026-01-31T10:35:45+0000"}

    def _write_responses(self, task: Task) -> None:
        answers = [
            {
                "acceptanceTime": "2026-01-31T10:00:00.000Z",
                "answerContent": answer,
                "submissionTime": "2026-01-31T10:01:30.000Z",
                "timeSpentInSeconds": 90.0,
                "workerId": worker.rpartition(".")[2],
                "workerMetadata": {
                    "identityData": {
                        "identityProviderType": "Cognito",
                        "issuer": "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_Abcdefghi",
                        "sub": f"sub-of-{worker}",
                    }
                },
            }
            for worker, answer in task.answers.items()
        ]
        folder = f"{self.job.folder}/annotations/worker-response/iteration-1/{task.object_id}"
        self._write(f"{folder}/{self._stamp()}.json", {"answers": answers})

    def _stamp(self) -> str:
        return next(self._clock).strftime("%Y-%m-%d_%H:%M:%S")

    def _write(self, uri: str, document: object) -> None:
        self._put(uri, json.dumps(document).encode())

    def _put(self, uri: str, data: bytes) -> None:
        place = urlsplit(uri)
        self._s3.put_object(Bucket=place.netloc, Key=place.path[1:], Body=data)

    def _read(self, uri: str) -> bytes:
        place = urlsplit(uri)
        data: bytes = self._s3.get_object(Bucket=place.netloc, Key=place.path[1:])["Body"].read()
        return data


def _demand(holds: bool, what: str) -> None:
    if not holds:
        raise BreachError(what)
