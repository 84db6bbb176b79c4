"""The setup function: it publishes what comes with bulkqa, and empties the bucket of a sandbox."""

from typing import Any

import pytest

from bulkqa.shipped import shipped
from bulkqa.steps.publishing import publish, template_key
from tests.lambdas.conftest import BUCKET, Cloud, unmeasured
from tests.lambdas.test_custom_resource import Answers, answers

__all__ = ["answers"]

pytestmark = unmeasured


def ask(cloud: Cloud, answers: Answers, request: str, **properties: Any) -> dict[str, Any]:
    """Have CloudFormation ask the function, and return what it hears."""
    event = {
        "RequestType": request,
        "ResponseURL": answers.url,
        "StackId": "arn:aws:cloudformation:us-east-1:123456789012:stack/Bulkqa/1",
        "RequestId": "1",
        "LogicalResourceId": "Files",
        "ResourceProperties": {"ServiceToken": "arn", "ServiceTimeout": "960", **properties},
    }
    if request != "Create":
        event["PhysicalResourceId"] = f"bulkqa-{properties.get('kind')}"
    cloud.function("setup")(event)
    return answers.last()


def test_files_are_published(cloud: Cloud, answers: Answers) -> None:
    """The template lies where the answer says, the sample beside it, each byte by byte."""
    answer = ask(cloud, answers, "Create", kind="files", digest="abc")
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("SUCCESS", "bulkqa-files")
    assert answer["Data"] == {"template": f"s3://{BUCKET}/{template_key()}"}
    files = cloud.files("templates/")
    assert files == {template_key(): shipped("templates/worker.liquid.html").read_bytes()}
    corpus = cloud.store.blobs.read("samples/emoji/corpus.csv")
    assert corpus == shipped("samples/emoji/corpus.csv").read_bytes()
    assert len(list(cloud.store.blobs.keys("samples/emoji/images/"))) == 319


@pytest.fixture
def small_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sample is one file, for tests that are not about it."""
    monkeypatch.setattr("bulkqa.steps.publishing._sample", lambda: [("samples/emoji/NOTICE", b"")])


def test_an_older_template_stays(
    cloud: Cloud, answers: Answers, small_sample: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A labeling job under way keeps the template it began with when another one is deployed."""
    before = ask(cloud, answers, "Create", kind="files")["Data"]["template"]
    other = shipped("templates/portal/end.html")
    monkeypatch.setattr("bulkqa.steps.publishing._template", lambda: other)
    after = publish(cloud.store.blobs)
    assert before != after
    for uri in (before, after):
        assert cloud.store.blobs.read(cloud.store.blobs.key(uri))


def test_what_people_made_outlives_the_files(cloud: Cloud, answers: Answers, small_sample: None) -> None:
    """Deleting the resource deletes nothing."""
    ask(cloud, answers, "Create", kind="files")
    cloud.put("jobs/dogs/job.json", {})
    before = cloud.files()
    assert ask(cloud, answers, "Delete", kind="files")["Status"] == "SUCCESS"
    assert cloud.files() == before


def test_a_sandbox_is_emptied_as_it_goes(cloud: Cloud, answers: Answers) -> None:
    """Every version of every object goes, on Delete and not before."""
    cloud.s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    for number in range(3):
        cloud.put("jobs/dogs/job.json", {"number": number})
        cloud.put(f"jobs/dogs/{number}", {})
    cloud.s3.delete_object(Bucket=BUCKET, Key="jobs/dogs/1")
    for kind in ("Create", "Update"):
        assert ask(cloud, answers, kind, kind="empty-on-delete")["Status"] == "SUCCESS"
    assert len(cloud.files()) == 3
    assert ask(cloud, answers, "Delete", kind="empty-on-delete")["Status"] == "SUCCESS"
    left = cloud.s3.list_object_versions(Bucket=BUCKET)
    assert not left.get("Versions")
    assert not left.get("DeleteMarkers")


@pytest.mark.parametrize(("kind", "what"), [("Create", "everything"), ("Create", None), ("Move", "files")])
def test_what_it_does_not_know_fails_with_a_reason(
    cloud: Cloud, answers: Answers, kind: str, what: str | None
) -> None:
    """An unknown kind of resource or request is refused, and nothing is written."""
    answer = ask(cloud, answers, kind, **({} if what is None else {"kind": what}))
    assert answer["Status"] == "FAILED"
    assert f"the setup knows nothing of {kind} {what}" in answer["Reason"]
    assert cloud.files() == {}


def test_a_bucket_that_cannot_be_written_fails_with_its_reason(cloud: Cloud, answers: Answers) -> None:
    """CloudFormation is told what S3 said, and rolls back."""
    cloud.traffic.refuse("PutObject", "AccessDenied", 403)
    answer = ask(cloud, answers, "Create", kind="files")
    assert answer["Status"] == "FAILED"
    assert "AccessDenied" in answer["Reason"]
