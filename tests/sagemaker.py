"""A stand-in for SageMaker's API of labeling jobs: a server that takes and says only what the real one may.

Every request and every reply of its own is checked against botocore's description of the service, down to
lengths, patterns and numbers, which botocore itself does not check. Clients reach it through
`AWS_ENDPOINT_URL_SAGEMAKER`. It plays no labeling job; a test says what has become of one.
"""

import json
import re
import sys
import threading
import time
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import groupby
from typing import Any, ClassVar

import botocore.session

from bulkqa.errors import InputError
from bulkqa.rendering import CROWD_SCRIPT_URL, render_worker_page
from tests.ground_truth import WORKERS, LabelingJob
from tests.support_aws import REGION

ACCOUNT = "123456789012"
WORKTEAM = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:workteam/private-crowd/reviewers"
"""The work team that is there from the beginning."""

Document = dict[str, Any]


class RefusalError(Exception):
    """A request that is refused: with which code and words, and which HTTP status."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


CLOSED = RefusalError(
    "ValidationException", "Amazon SageMaker Ground Truth is not available to new customers."
)
"""How an account that is new to Ground Truth might be turned away; the real words are not known."""

THROTTLED = RefusalError("ThrottlingException", "Rate exceeded")
FORBIDDEN = RefusalError("AccessDeniedException", "User is not authorized to perform this action")


@dataclass
class Created:
    """A labeling job that was created: the request for it, and what a test makes of it afterwards."""

    request: Document
    status: str = "InProgress"
    labeled: int = 0
    failed: int = 0
    unlabeled: int = 0
    failure_reason: str | None = None
    at: float = field(default_factory=time.time)

    @property
    def name(self) -> str:
        """Its name, as it was written."""
        return str(self.request["LabelingJobName"])

    @property
    def arn(self) -> str:
        """Its ARN, in lower case."""
        return f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:labeling-job/{self.name.lower()}"

    @property
    def manifest(self) -> str:
        """The address of its input manifest."""
        return str(self.request["InputConfig"]["DataSource"]["S3DataSource"]["ManifestS3Uri"])

    def end(self, status: str, labeled: int = 0, failed: int = 0, reason: str | None = None) -> None:
        """Let it end so, with these counters."""
        self.status, self.labeled, self.failed, self.failure_reason = status, labeled, failed, reason

    def played(self, template: str, workers: tuple[str, ...] = WORKERS) -> LabelingJob:
        """The same labeling job for `GroundTruth`, which plays it; with as many workers as are asked for."""
        task = self.request["HumanTaskConfig"]
        return LabelingJob(
            name=self.name,
            manifest=self.manifest,
            output=self.request["OutputConfig"]["S3OutputPath"],
            template=template,
            label_attribute=self.request["LabelAttributeName"],
            workers=workers[: task["NumberOfHumanWorkersPerDataObject"]],
        )

    def described(self) -> Document:
        """The members that `DescribeLabelingJob` and `ListLabelingJobs` share."""
        counters = {
            "TotalLabeled": self.labeled,
            "HumanLabeled": self.labeled,
            "MachineLabeled": 0,
            "FailedNonRetryableError": self.failed,
            "Unlabeled": self.unlabeled,
        }
        reason = {} if self.failure_reason is None else {"FailureReason": self.failure_reason}
        return {
            "LabelingJobName": self.name,
            "LabelingJobArn": self.arn,
            "LabelingJobStatus": self.status,
            "LabelCounters": counters,
            "CreationTime": self.at,
            "LastModifiedTime": self.at,
            "InputConfig": self.request["InputConfig"],
            **reason,
        }


class SageMaker:
    """The service. `workteams` are its private teams and where they sign in.

    `refusals` says which operations are refused, and how, and `lost` those whose next reply is lost;
    `calls` are all operations asked for, `faults` replies of its own that the real one could not have given.
    """

    def __init__(self) -> None:
        self.url = ""
        self.created: dict[str, Created] = {}
        self.calls: list[str] = []
        self.refusals: dict[str, RefusalError] = {}
        self.lost: list[str] = []
        self.workteams = {"reviewers": "a1b2c3d4e5.labeling.us-east-1.sagemaker.aws"}
        self.faults: list[str] = []
        self._lock = threading.Lock()

    @property
    def requests(self) -> list[Document]:
        """The requests for the labeling jobs that were created, in order."""
        return [created.request for created in self.created.values()]

    def answer(self, operation: str, asked: Document) -> Document:
        """Answer a call; raise `RefusalError` where it is refused."""
        with self._lock:
            self.calls.append(operation)
            if operation not in self._operations:
                raise RefusalError("UnknownOperationException", f"{operation} is not known here")
            if operation in self.refusals:
                raise self.refusals[operation]
            found = breaches(f"{operation}Request", asked)
            if found:
                errors = "1 validation error" if len(found) == 1 else f"{len(found)} validation errors"
                raise RefusalError("ValidationException", f"{errors} detected: {'; '.join(found)}")
            reply = self._operations[operation](self, asked)
            if operation != "StopLabelingJob":  # which has no reply
                self.faults += breaches(f"{operation}Response", reply)
            if operation in self.lost:
                self.lost.remove(operation)
                raise RefusalError("InternalFailure", "the reply was lost", 500)
            return reply

    def _create_labeling_job(self, asked: Document) -> Document:
        name = asked["LabelingJobName"]
        if name.lower() in self.created:
            raise RefusalError("ResourceInUse", f"Labeling job already exists: {name}")
        attribute = asked["LabelAttributeName"]
        if attribute == "source" or attribute.endswith(("-metadata", "-ref")):
            raise RefusalError("ValidationException", f"LabelAttributeName {attribute} is reserved")
        task = asked["HumanTaskConfig"]
        if task["TaskTimeLimitInSeconds"] > 28_800:
            raise RefusalError("ValidationException", "TaskTimeLimitInSeconds is more than 28800")
        if task.get("TaskAvailabilityLifetimeInSeconds", 0) > 2_592_000:
            raise RefusalError("ValidationException", "TaskAvailabilityLifetimeInSeconds is too long")
        self._demand_workteam(task["WorkteamArn"])
        self.created[name.lower()] = created = Created(asked)
        return {"LabelingJobArn": created.arn}

    def _describe_labeling_job(self, asked: Document) -> Document:
        created = self._found(asked)
        return created.described() | {
            "JobReferenceCode": created.name.lower(),
            "LabelAttributeName": created.request["LabelAttributeName"],
            "OutputConfig": created.request["OutputConfig"],
            "RoleArn": created.request["RoleArn"],
            "HumanTaskConfig": created.request["HumanTaskConfig"],
            "Tags": created.request.get("Tags", []),
        }

    def _list_labeling_jobs(self, asked: Document) -> Document:
        found = [
            created.described() | {"WorkteamArn": created.request["HumanTaskConfig"]["WorkteamArn"]}
            for created in self.created.values()
            if asked.get("NameContains", "") in created.name
            and asked.get("StatusEquals", created.status) == created.status
        ]
        return {"LabelingJobSummaryList": found[: asked.get("MaxResults", 10)]}

    def _stop_labeling_job(self, asked: Document) -> Document:
        created = self._found(asked)
        if created.status not in ("Initializing", "InProgress"):
            raise RefusalError("ValidationException", f"The labeling job is in status {created.status}")
        created.status = "Stopping"
        return {}

    def _describe_workteam(self, asked: Document) -> Document:
        name = asked["WorkteamName"]
        if name not in self.workteams:
            raise RefusalError("ValidationException", f"Workteam {name} does not exist")
        return {"Workteam": self._workteam(name)}

    def _list_workteams(self, asked: Document) -> Document:
        return {"Workteams": [self._workteam(name) for name in self.workteams][: asked.get("MaxResults", 10)]}

    def _workteam(self, name: str) -> Document:
        member = {"UserPool": f"{REGION}_Abcdefghi", "UserGroup": name, "ClientId": "1example23456789"}
        return {
            "WorkteamName": name,
            "MemberDefinitions": [{"CognitoMemberDefinition": member}],
            "WorkteamArn": WORKTEAM.replace("/reviewers", f"/{name}"),
            "Description": "People who review",
            "SubDomain": self.workteams[name],
        }

    def _render_ui_template(self, asked: Document) -> Document:
        if "UiTemplate" not in asked:
            raise RefusalError("ValidationException", "UiTemplate is the only kind of page here")
        try:
            page = render_worker_page(
                asked["UiTemplate"]["Content"],
                json.loads(asked["Task"]["Input"]),
                read_access=str,
                crowd_script=CROWD_SCRIPT_URL,
            )
        except InputError as error:  # which is no refusal
            return {"RenderedContent": "", "Errors": [{"Code": "InvalidTemplate", "Message": str(error)}]}
        return {"RenderedContent": page, "Errors": []}

    def _found(self, asked: Document) -> Created:
        name = asked["LabelingJobName"]
        if name.lower() not in self.created:
            raise RefusalError("ResourceNotFound", f"Labeling job {name} not found")
        return self.created[name.lower()]

    def _demand_workteam(self, arn: str) -> None:
        kind, _, name = arn.partition(":workteam/")[2].partition("/")
        if kind == "private-crowd" and name not in self.workteams:
            raise RefusalError("ValidationException", f"Workteam {arn} does not exist")
        if arn.split(":")[3] != REGION:
            raise RefusalError("ValidationException", f"Workteam {arn} is of another Region")

    _operations: ClassVar[dict[str, Callable[[Any, Document], Document]]] = {
        "CreateLabelingJob": _create_labeling_job,
        "DescribeLabelingJob": _describe_labeling_job,
        "ListLabelingJobs": _list_labeling_jobs,
        "StopLabelingJob": _stop_labeling_job,
        "DescribeWorkteam": _describe_workteam,
        "ListWorkteams": _list_workteams,
        "RenderUiTemplate": _render_ui_template,
    }


@contextmanager
def serving(host: str = "127.0.0.1") -> Iterator[SageMaker]:
    """Serve SageMaker at a free port for a block; fail at its end where a reply broke the contract."""
    fake = SageMaker()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            operation = self.headers.get("X-Amz-Target", "").removeprefix("SageMaker.")
            try:
                self._say(200, fake.answer(operation, json.loads(body)))
            except RefusalError as error:
                self._say(error.status, {"__type": error.code, "message": error.message})
            except Exception as error:
                fake.faults.append(f"{operation}: {error!r}")
                self._say(500, {"__type": "InternalFailure", "message": repr(error)})

        def _say(self, status: int, document: Document) -> None:
            data = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer((host, 0), Handler) as server:
        server.daemon_threads = True
        fake.url = f"http://{host}:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield fake
        finally:
            server.shutdown()
            thread.join()
    if fake.faults:
        raise AssertionError(f"the stand-in for SageMaker broke the contract: {fake.faults}")


def breaches(shape: str, value: object) -> list[str]:
    """What in a value breaks the rules of a shape of SageMaker's, such as `CreateLabelingJobRequest`."""
    return list(_breaches(_model().shape_for(shape), value, ""))


def _breaches(shape: Any, value: object, where: str) -> Iterator[str]:
    kind, rules = shape.type_name, shape.metadata
    if kind == "structure":
        if not isinstance(value, Mapping):
            yield f"{where or shape.name} is no object"
            return
        yield from (f"{where}.{name} is missing" for name in shape.required_members if name not in value)
        for name, part in value.items():
            if name in shape.members:
                yield from _breaches(shape.members[name], part, f"{where}.{name}")
            else:
                yield f"{where}.{name} is not known"
    elif kind == "list":
        if not isinstance(value, list):
            yield f"{where} is no list"
            return
        yield from _size(len(value), rules, where)
        for number, part in enumerate(value):
            yield from _breaches(shape.member, part, f"{where}[{number}]")
    elif kind == "string":
        if not isinstance(value, str):
            yield f"{where} is no string"
            return
        yield from _size(len(value.encode("utf-16-le", "surrogatepass")) // 2, rules, where)
        if "enum" in rules and value not in rules["enum"]:
            yield f"{where} {value!r} is none of {rules['enum']}"
        if "pattern" in rules and not _pattern(rules["pattern"]).fullmatch(value):
            yield f"{where} {value!r} does not match {rules['pattern']}"
    elif kind in ("integer", "long"):
        if isinstance(value, bool) or not isinstance(value, int):
            yield f"{where} is no integer"
            return
        yield from _size(value, rules, where)
    elif kind == "timestamp":
        if isinstance(value, bool) or not isinstance(value, int | float):
            yield f"{where} is no time"
    elif kind == "boolean":
        if not isinstance(value, bool):
            yield f"{where} is no boolean"
    else:
        raise NotImplementedError(kind)


def _size(size: int, rules: Mapping[str, Any], where: str) -> Iterator[str]:
    if size < rules.get("min", size):
        yield f"{where} is less or shorter than {rules['min']}"
    if size > rules.get("max", size):
        yield f"{where} is more or longer than {rules['max']}"


@cache
def _model() -> Any:
    return botocore.session.get_session().get_service_model("sagemaker")


@cache
def _pattern(pattern: str) -> re.Pattern[str]:
    """A pattern of the description, which is Java's, for Python."""
    dots = re.sub(r"(?<!\\)\.(?![^\[]*\])", r"[^\\n\\r\\u0085\\u2028\\u2029]", pattern)
    return re.compile(re.sub(r"\\p\{(.)\}", lambda kind: _kinds()[kind[1]], dots), re.ASCII)


@cache
def _kinds() -> dict[str, str]:
    """All characters of each kind of Unicode's, as they stand within brackets."""
    kinds: dict[str, str] = {}
    for kind, codes in groupby(range(sys.maxunicode + 1), lambda code: unicodedata.category(chr(code))[0]):
        run = list(codes)
        kinds[kind] = kinds.get(kind, "") + f"\\U{run[0]:08x}-\\U{run[-1]:08x}"
    return kinds
