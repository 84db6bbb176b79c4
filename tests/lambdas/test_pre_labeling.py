"""The pre-labeling function: what a page gets to see, and that no object fails a whole labeling job."""

import json
from typing import Any

import pytest

import bulkqa.aws.clients
from bulkqa.errors import BulkqaError
from tests.lambdas.conftest import Cloud, event, unmeasured
from tests.support import launch

BATCH = "jobs/dogs/custom-labeling-inputs/00000000.json"
MAX_TASK_INPUT = 128_000
NOBODY = {"taskInput": {"sourceRef": []}, "isHumanAnnotationRequired": False}


def entries(size: int = 2, **changes: Any) -> list[dict[str, Any]]:
    """A batch as it lies in its file, every entry with some parts changed."""
    return [
        {
            "s3_image_url": f"s3://bulkqa-data/dogs/{number:02d}.jpg",
            "label": "Dog",
            "confidence": 90.5,
            "item": f"item-{number:03d}",
        }
        | changes
        for number in range(size)
    ]


def launched(cloud: Cloud, **settings: Any) -> None:
    """Launch the job `dogs`, of two dogs and a cat: the cat is its page 0."""
    rows = [("s3://bulkqa-data/a.jpg", "Dog", 90.0), ("s3://bulkqa-data/b.jpg", "Dog", 91.0)]
    rows.append(("s3://bulkqa-data/c.jpg", "Cat", 92.5))
    corpus = "image,label,confidence\n" + "".join(f"{image},{label},{sure}\n" for image, label, sure in rows)
    launch(cloud.store, corpus.encode(), **settings)


def test_a_page_gets_its_pictures_and_what_helps_to_judge_them(cloud: Cloud) -> None:
    """The reply to an event is the batch's pictures, all labels of the job and its guideline, and a true."""
    launched(cloud, guideline="Cats purr.")
    assert cloud.function("pre_labeling")(event("pre-labeling")) == {
        "taskInput": {
            "sourceRef": [
                {
                    "s3_image_url": "s3://bulkqa-data/c.jpg",
                    "label": "Cat",
                    "confidence": 92.5,
                    "item": "item-000",
                }
            ],
            "labels": ["Cat", "Dog"],
            "guideline": "Cats purr.",
        },
        "isHumanAnnotationRequired": True,
    }


def test_an_answer_is_a_boolean_under_the_key_that_counts(cloud: Cloud) -> None:
    """Yes and no are JSON booleans under isHumanAnnotationRequired; no other key stands beside the input."""
    cloud.put(BATCH, entries())
    pre = cloud.function("pre_labeling")
    for asked, expected in ((event("pre-labeling"), True), ({}, False)):
        reply = pre(asked)
        assert reply.keys() == {"taskInput", "isHumanAnnotationRequired"}
        assert reply["isHumanAnnotationRequired"] is expected


@pytest.mark.parametrize(
    "changes",
    [
        {"version": "2018-10-06"},
        {"version": "2031-01-01"},
        {"version": None},
        {"labelingJobArn": "arn:aws-cn:sagemaker:cn-north-1:1:labeling-job/DOGS"},
        {"labelingJobArn": None},
        {"unheard-of": [1]},
    ],
    ids=str,
)
def test_what_the_page_does_not_need_is_not_looked_at(cloud: Cloud, changes: dict[str, Any]) -> None:
    """An unknown version, another job's name or a new key in the event change nothing."""
    cloud.put(BATCH, entries())
    pre = cloud.function("pre_labeling")
    assert pre(event("pre-labeling", **changes)) == pre(event("pre-labeling"))
    assert pre(event("pre-labeling", **changes))["isHumanAnnotationRequired"] is True


def test_other_attributes_of_the_line_do_no_harm(cloud: Cloud) -> None:
    """A line that carries labels of an earlier labeling job is shown as any other."""
    cloud.put(BATCH, entries())
    line = event("pre-labeling")["dataObject"] | {"old": {"x": 1}, "old-metadata": {"job-name": "y"}}
    reply = cloud.function("pre_labeling")(event("pre-labeling", dataObject=line))
    assert len(reply["taskInput"]["sourceRef"]) == 2


def test_a_batch_may_stand_in_the_line_itself(cloud: Cloud) -> None:
    """A line with `source` holds the batch as a text, and no file is read."""
    line = {"source": json.dumps(entries(3))}
    reply = cloud.function("pre_labeling")(event("pre-labeling", dataObject=line))
    assert reply == {"taskInput": {"sourceRef": entries(3)}, "isHumanAnnotationRequired": True}
    assert cloud.traffic.calls == []


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"dataObject": None},
        {"dataObject": "s3://bulkqa-data/jobs/dogs/custom-labeling-inputs/00000000.json"},
        {"dataObject": []},
        {"dataObject": {}},
        {"dataObject": {"source-ref": None}},
        {"dataObject": {"source-ref": 7}},
        {"dataObject": {"source-ref": ""}},
        {"dataObject": {"source-ref": "s3://bulkqa-data/"}},
        {"dataObject": {"source-ref": "s3://bulkqa-data/nothing/there.json"}},
        {"dataObject": {"source-ref": "s3://bulkqa-data/jobs/../job.json"}},
        {"dataObject": {"source-ref": "s3://somebody-elses/x.json"}},
        {"dataObject": {"source-ref": "https://example.org/x.json"}},
        {"dataObject": {"source": ""}},
        {"dataObject": {"source": "no batch"}},
        {"dataObject": {"source": {"s3_image_url": "x"}}},
    ],
    ids=str,
)
def test_an_object_that_is_not_there_is_passed_over(cloud: Cloud, document: dict[str, Any]) -> None:
    """An event that names no batch, or none that can be had, is answered: nobody is to be asked."""
    assert cloud.function("pre_labeling")(document) == NOBODY


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"[{",
        b"[" * 100_000,
        b"null",
        b"{}",
        b"[]",
        b"[7]",
        entries(101),
        entries(s3_image_url=None),
        entries(s3_image_url=""),
        entries(label=7),
        entries(confidence="high"),
        entries(confidence=True),
        entries(confidence=[1]),
        entries(1) + entries(1, label="Cat"),
        entries(check=1),
        json.dumps(entries(1)).replace("90.5", "NaN").encode(),
        json.dumps(entries(1)).replace("90.5", "9" * 5000).encode(),
    ],
    ids=lambda content: (content if isinstance(content, bytes) else json.dumps(content).encode())[:90],
)
def test_a_malformed_batch_is_passed_over(cloud: Cloud, content: object) -> None:
    """A batch file that cannot be shown is answered, logged by its key with the reason, and counted."""
    cloud.put(BATCH, content)
    assert cloud.function("pre_labeling")(event("pre-labeling")) == NOBODY
    assert "object passed over" in cloud.written()
    assert BATCH in cloud.written()
    assert cloud.metrics() == {"Pages": 1, "RefusedObjects": 1}


def test_a_text_that_is_no_unicode_cannot_break_the_reply(cloud: Cloud) -> None:
    """A batch file may spell half a character; the reply can be sent all the same."""
    text = json.dumps(entries(1)).replace("Dog", "Dog\\ud800")
    cloud.put(BATCH, text.encode())
    assert cloud.function("pre_labeling")(event("pre-labeling")).keys() == NOBODY.keys()


def test_a_page_that_is_shown_is_counted_and_not_logged(cloud: Cloud) -> None:
    """A good page leaves a metric, and no picture's address, in the log."""
    cloud.put(BATCH, entries())
    cloud.function("pre_labeling")(event("pre-labeling"))
    assert cloud.metrics() == {"Pages": 1}
    assert ".jpg" not in cloud.written()


@unmeasured
def test_no_access_to_the_bucket_is_raised(cloud: Cloud) -> None:
    """Where the function may not read its bucket no page can be shown, and the labeling job is to know."""
    cloud.put(BATCH, entries())
    pre = cloud.function("pre_labeling")
    cloud.traffic.refuse("GetObject", "AccessDenied", 403)
    with pytest.raises(BulkqaError, match="AccessDenied"):
        pre(event("pre-labeling"))


@unmeasured
@pytest.mark.parametrize(("code", "status"), [("SlowDown", 503), ("InternalError", 500)])
def test_a_passing_failure_of_one_read_passes_one_object_over(cloud: Cloud, code: str, status: int) -> None:
    """Where S3 fails for one object, that one is passed over; the labeling job and its others go on."""
    cloud.put(BATCH, entries())
    pre = cloud.function("pre_labeling")
    cloud.traffic.refuse("GetObject", code, status)
    assert pre(event("pre-labeling")) == NOBODY


def test_the_marks_of_known_answers_stay_behind(cloud: Cloud) -> None:
    """A picture whose answer is known looks as all others do: the page gets no mark of it."""
    batch = entries(3)
    batch[1] |= {"check": "wrong", "source_label": "Wolf"}
    cloud.put(BATCH, batch)
    reply = cloud.function("pre_labeling")(event("pre-labeling"))
    assert reply["taskInput"]["sourceRef"] == entries(3)
    assert "Wolf" not in json.dumps(reply)


def test_a_text_as_confidence_is_read(cloud: Cloud) -> None:
    """A batch file of the original sample, whose confidences are texts and which names no items, is shown."""
    batch = [
        {name: value for name, value in entry.items() if name != "item"}
        for entry in entries(2, confidence="90.5")
    ]
    cloud.put(BATCH, batch)
    assert cloud.function("pre_labeling")(event("pre-labeling"))["taskInput"]["sourceRef"] == entries(2)


@pytest.mark.parametrize(
    ("label", "guideline", "kept"),
    [
        ("Cat", 1_000, ["labels", "guideline"]),
        ("Cat", MAX_TASK_INPUT, ["labels"]),
        ("Cat", MAX_TASK_INPUT - 150, ["labels"]),
        ("c" * MAX_TASK_INPUT, 10, []),
    ],
    ids=["all", "no guideline", "no room for the guideline", "no labels"],
)
def test_what_does_not_fit_is_left_out(cloud: Cloud, label: str, guideline: int, kept: list[str]) -> None:
    """A page's input stays within 128,000 characters: the guideline goes first, then the labels."""
    launched(cloud, guideline="g" * guideline)
    job = json.loads(cloud.store.blobs.read("jobs/dogs/job.json"))
    cloud.put("jobs/dogs/job.json", job | {"labels": [label, "Dog"]})
    reply = cloud.function("pre_labeling")(event("pre-labeling"))
    page = reply["taskInput"]
    assert [name for name in page if name != "sourceRef"] == kept
    assert len(page["sourceRef"]) == 1
    assert len(json.dumps(page)) <= MAX_TASK_INPUT


def test_pictures_that_do_not_fit_are_passed_over(cloud: Cloud) -> None:
    """A batch whose pictures alone are too long for a page is passed over, and the reason is logged."""
    cloud.put(BATCH, entries(100, s3_image_url="s3://bulkqa-data/" + "x" * 1_300))
    assert cloud.function("pre_labeling")(event("pre-labeling")) == NOBODY
    assert "128000 characters" in cloud.written()


@pytest.mark.parametrize("job", [b"", b"[]", b'{"schema": 99}'])
def test_a_page_is_shown_without_its_jobs_settings(cloud: Cloud, job: bytes) -> None:
    """Where job.json is missing or cannot be read, the pictures are shown and nothing beside them."""
    cloud.put(BATCH, entries())
    pre = cloud.function("pre_labeling")
    assert pre(event("pre-labeling"))["taskInput"] == {"sourceRef": entries()}
    cloud.put("jobs/dogs/job.json", job)
    assert pre(event("pre-labeling"))["taskInput"] == {"sourceRef": entries()}


def test_a_page_costs_one_read(cloud: Cloud) -> None:
    """Each page is one read of its batch; the job's settings are read once as long as the function lives."""
    launched(cloud)
    pre = cloud.function("pre_labeling")
    cloud.traffic.calls.clear()
    for _ in range(5):
        pre(event("pre-labeling"))
    assert [operation for operation, _ in cloud.traffic.calls] == ["GetObject"] * 6


def test_it_makes_no_client_of_a_service_it_does_not_use(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The function starts with a client of S3 and none of DynamoDB, whose model takes long to load."""
    made: list[str] = []
    make = bulkqa.aws.clients.make_client

    def noted(service: str) -> Any:
        made.append(service)
        return make(service)

    monkeypatch.setattr(bulkqa.aws.clients, "make_client", noted)
    cloud.function("pre_labeling")
    assert made == ["s3"]
