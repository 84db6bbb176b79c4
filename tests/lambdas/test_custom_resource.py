"""The launching function as a custom resource: CloudFormation always gets its answer."""

import json
import threading
import urllib.error
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.lambdas.conftest import BUCKET, Cloud, event, unmeasured

UPLOAD = "uploads/corpus.csv"
CORPUS = f"image,label,confidence\ns3://{BUCKET}/a.jpg,Dog,90\ns3://{BUCKET}/b.jpg,Dog,91\n".encode()
SIGNATURE = "X-Amz-Signature=0123456789abcdef"
MAX_ANSWER = 4096
"""Bytes of an answer at most (CloudFormation)."""

pytestmark = unmeasured


class Answers(ThreadingHTTPServer):
    """The place where CloudFormation waits for answers; `status` is what it says to them."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Receiver)
        self.received: list[bytes] = []
        self.types: list[str | None] = []
        self.status = 200

    @property
    def url(self) -> str:
        """An address to answer to, which is a secret."""
        return f"http://127.0.0.1:{self.server_port}/arn%3Aaws%3Acloudformation/Bulkqa%7CDogs?{SIGNATURE}"

    def last(self) -> dict[str, Any]:
        """The last answer."""
        assert len(self.received[-1]) <= MAX_ANSWER
        document: dict[str, Any] = json.loads(self.received[-1])
        return document


class _Receiver(BaseHTTPRequestHandler):
    server: Answers

    def do_PUT(self) -> None:
        """Take an answer, if it comes to the right address."""
        data = self.rfile.read(int(self.headers["Content-Length"]))
        if SIGNATURE in self.path:
            self.server.received.append(data)
            self.server.types.append(self.headers.get("Content-Type"))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Answers]:
    """Somebody to answer to."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Answers() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(cloud: Cloud, answers: Answers, kind: str, **changes: Any) -> dict[str, Any]:
    """Have CloudFormation ask for something; return what it is answered."""
    before = len(answers.received)
    asked = event(f"custom-resource-{kind}", **{"ResponseURL": answers.url} | changes)
    assert cloud.function("launch")(asked) is None
    assert len(answers.received) == before + 1
    answer = answers.last()
    for name in ("StackId", "RequestId", "LogicalResourceId"):
        assert answer[name] == asked[name]
    assert answer["Status"] in ("SUCCESS", "FAILED")
    assert isinstance(answer["PhysicalResourceId"], str)
    assert answer["PhysicalResourceId"]
    assert SIGNATURE not in cloud.written()
    assert "127.0.0.1" not in cloud.written()
    return answer


def properties(kind: str = "create", **changes: object) -> dict[str, Any]:
    """The properties of a captured event, with some changed, or left out where None."""
    known = event(f"custom-resource-{kind}")["ResourceProperties"] | changes
    return {name: value for name, value in known.items() if value is not None}


def test_a_job_is_launched_when_the_resource_is_created(cloud: Cloud, answers: Answers) -> None:
    """Create launches the job from properties that are all texts, and gives its counts as attributes."""
    cloud.put(UPLOAD, CORPUS)
    answer = ask(cloud, answers, "create")
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("SUCCESS", "bulkqa-job-dogs")
    assert answer["Data"] == {
        "schema": 1,
        "job": "dogs",
        "items": 2,
        "batches": 1,
        "below": 0,
        "left_out": 0,
        "rejected": 0,
        "rejected_file": f"s3://{BUCKET}/jobs/dogs/rejected.csv",
        "manifest": f"s3://{BUCKET}/jobs/dogs/manifest.json",
        "again": False,
    }
    assert len(cloud.rows()) == 2
    assert answers.types == [""]


def test_the_resource_stays_the_same_to_its_end(cloud: Cloud, answers: Answers) -> None:
    """Create, Update and Delete answer with one physical id, and none of them deletes anything."""
    cloud.put(UPLOAD, CORPUS)
    first = ask(cloud, answers, "create")
    files, rows = cloud.files(), cloud.rows()
    updated, deleted = ask(cloud, answers, "update"), ask(cloud, answers, "delete")
    assert [answer["Status"] for answer in (updated, deleted)] == ["SUCCESS"] * 2
    assert {first["PhysicalResourceId"], updated["PhysicalResourceId"], deleted["PhysicalResourceId"]} == {
        "bulkqa-job-dogs"
    }
    assert updated["Data"]["again"] is True
    assert (cloud.files(), cloud.rows()) == (files, rows)
    assert not [name for name, _ in cloud.traffic.calls if name.startswith("Delete")]


def test_an_event_again_is_answered_again(cloud: Cloud, answers: Answers) -> None:
    """CloudFormation may ask twice; the job is the same."""
    cloud.put(UPLOAD, CORPUS)
    first = ask(cloud, answers, "create")
    second = ask(cloud, answers, "create")
    assert second["Data"] == first["Data"] | {"again": True}


def test_another_job_is_another_resource(cloud: Cloud, answers: Answers) -> None:
    """An Update to another job's name launches that one and says that it is another; the first one stays."""
    cloud.put(UPLOAD, CORPUS)
    ask(cloud, answers, "create")
    answer = ask(cloud, answers, "update", ResourceProperties=properties("update", job="cats"))
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("SUCCESS", "bulkqa-job-cats")
    assert {row.jobs for row in cloud.rows().values()} == {frozenset({"dogs", "cats"})}


def test_an_update_that_would_be_another_job_fails(cloud: Cloud, answers: Answers) -> None:
    """Other settings under the same name are refused; the resource stays what it was."""
    cloud.put(UPLOAD, CORPUS)
    ask(cloud, answers, "create")
    files = cloud.files()
    answer = ask(cloud, answers, "update", ResourceProperties=properties("update", batch_size="9"))
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("FAILED", "bulkqa-job-dogs")
    assert "batch size" in answer["Reason"]
    assert cloud.files() == files


MALFORMED: dict[str, tuple[Any, str]] = {
    "no job": (properties(job=None), "needs job"),
    "no corpus": (properties(corpus=None), "needs corpus"),
    "a bad job": (properties(job="Two Words"), "job name"),
    "a number in words": (properties(batch_size="ten"), "batch_size 'ten'"),
    "a truth in words": (properties(copy_images="perhaps"), "copy_images 'perhaps'"),
    "a list": (properties(job=["dogs"]), "no text"),
    "an unknown name": (properties(BatchSize="25"), "knows nothing of BatchSize"),
    "no properties": (None, "needs job"),
    "empty properties": ({}, "needs job"),
    "listed properties": (["dogs"], ""),
    "properties in a text": ("dogs", ""),
    "no such corpus": (properties(corpus=f"s3://{BUCKET}/not/there.csv"), "does not exist"),
    "a long value": (properties(batch_size="9x" * 10_000), "batch_size"),
    "a long value in another script": (properties(batch_size="犬" * 10_000), "batch_size"),
}


@pytest.mark.parametrize(("given", "said"), MALFORMED.values(), ids=MALFORMED)
def test_a_launch_that_cannot_be_is_answered_with_its_reason(
    cloud: Cloud, answers: Answers, given: object, said: str
) -> None:
    """Whatever is wrong with the properties, CloudFormation hears FAILED and why, and nothing is written."""
    cloud.put(UPLOAD, CORPUS)
    answer = ask(cloud, answers, "create", ResourceProperties=given)
    assert answer["Status"] == "FAILED"
    assert said in answer["Reason"]
    assert answer["Reason"]
    assert cloud.files().keys() == {UPLOAD}


def test_an_event_without_properties_is_answered(cloud: Cloud, answers: Answers) -> None:
    """Where the event has no ResourceProperties at all, it is FAILED, with the reason."""
    asked = event("custom-resource-create", ResponseURL=answers.url)
    del asked["ResourceProperties"]
    assert cloud.function("launch")(asked) is None
    assert (answers.last()["Status"], "needs job" in answers.last()["Reason"]) == ("FAILED", True)


@pytest.mark.parametrize("kind", [None, "Replace", 7])
def test_an_unknown_request_is_answered(cloud: Cloud, answers: Answers, kind: object) -> None:
    """A request that is none of Create, Update and Delete is FAILED and launches nothing."""
    cloud.put(UPLOAD, CORPUS)
    answer = ask(cloud, answers, "create", RequestType=kind)
    assert answer["Status"] == "FAILED"
    assert cloud.files().keys() == {UPLOAD}


@pytest.mark.parametrize(
    "given", [properties(), properties(job=None), properties(job="Two Words"), {}, None], ids=str
)
def test_what_was_never_made_can_be_deleted(cloud: Cloud, answers: Answers, given: object) -> None:
    """After a Create that failed, Delete succeeds under the very id that Create answered with."""
    created = ask(cloud, answers, "create", ResourceProperties=given)
    assert created["Status"] == "FAILED"
    known = created["PhysicalResourceId"]
    answer = ask(cloud, answers, "delete", PhysicalResourceId=known, ResourceProperties=given)
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("SUCCESS", known)


@pytest.mark.parametrize("code", ["AccessDenied", "NoSuchBucket"])
def test_a_service_that_fails_is_answered(cloud: Cloud, answers: Answers, code: str) -> None:
    """Where S3 refuses, CloudFormation hears what it said."""
    cloud.put(UPLOAD, CORPUS)
    cloud.traffic.refuse("PutObject", code, 403)
    answer = ask(cloud, answers, "create")
    assert answer["Status"] == "FAILED"
    assert code in answer["Reason"]


@pytest.mark.parametrize("status", [403, 500])
def test_an_answer_that_is_not_taken_is_an_error(cloud: Cloud, answers: Answers, status: int) -> None:
    """Where the answer is refused the function fails, to be asked again; the address stays secret."""
    cloud.put(UPLOAD, CORPUS)
    answers.status = status
    with pytest.raises(urllib.error.HTTPError) as caught:
        cloud.function("launch")(event("custom-resource-create", ResponseURL=answers.url))
    caught.value.close()
    assert SIGNATURE not in f"{cloud.written()}{caught.value!r}{caught.value}"
    answers.status = 200
    assert ask(cloud, answers, "create")["Status"] == "SUCCESS"
