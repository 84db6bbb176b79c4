"""Known-answer items on AWS: launched by the function, shown and answered in Ground Truth, never counted."""

import json
from collections.abc import Mapping
from random import Random
from typing import Any

import pytest

from bulkqa import steps
from bulkqa.errors import InputError
from bulkqa.flow.answers import Decision
from bulkqa.flow.checks import CheckTally, tally_checks
from bulkqa.flow.tasks import TaskItem
from bulkqa.jobs import page_items
from bulkqa.shipped import shipped
from bulkqa.steps.answering import job_answers
from tests.ground_truth import WORKERS, GroundTruth, LabelingJob
from tests.lambdas.conftest import BUCKET, Cloud, event, unmeasured
from tests.support import png

HERE = f"s3://{BUCKET}"
ITEMS = {(f"{HERE}/{label}/{number:02d}.jpg", label) for label in ("Cat", "Dog") for number in range(20)}
KNOWN = {f"{HERE}/{label}/known-{number}.jpg": label for label in ("Cat", "Dog") for number in range(4)}


def lines(*rows: Mapping[str, object]) -> bytes:
    """A file of JSON Lines."""
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def launch(cloud: Cloud, **changes: Any) -> dict[str, Any]:
    """Launch the items with the known answers, some parts changed; return the function's reply."""
    items = ({"image": image, "label": label, "confidence": 90} for image, label in sorted(ITEMS))
    cloud.put("uploads/corpus.csv", lines(*items))
    known = ({"image": image, "label": label} for image, label in KNOWN.items())
    checks = cloud.put("uploads/known.jsonl", lines(*known))
    asked = {"checks": checks, "check_rate": "0.3", "batch_size": 10} | changes
    reply: dict[str, Any] = cloud.function("launch")(event("direct-launch", **asked))
    return reply


def pages(cloud: Cloud) -> list[tuple[TaskItem, ...]]:
    """The pictures of every page."""
    number = len(cloud.files("jobs/dogs/custom-labeling-inputs/"))
    return [page_items("dogs", page, cloud.store.blobs) for page in range(number)]


def test_a_labeling_job_with_known_answers(cloud: Cloud) -> None:
    """Workers' votes are on items alone, and what they made of the known answers is what is found."""
    reply = launch(cloud)
    marks = {(item.image, item.label): item.check for page in pages(cloud) for item in page}
    assert (reply["items"], reply["checks_pages"]) == (40, reply["batches"])
    assert reply["checks_wrong"] + reply["checks_right"] == sum(
        item.check is not None for page in pages(cloud) for item in page
    )
    job = LabelingJob(
        name="Dogs-Round-1",
        manifest=reply["manifest"],
        output=f"{HERE}/output",
        template=shipped("templates/worker.liquid.html").read_text("utf-8"),
    )
    truth = GroundTruth(job, cloud.s3, cloud.function("pre_labeling"), cloud.function("post_labeling"))
    said = dict.fromkeys(WORKERS, CheckTally())
    for task in truth.hand_out():
        label = task.page.title.removeprefix("Review: ")

        def decide(worker: str, image: str, label: str = label) -> Decision:
            decision = Random(f"{worker} {image} {label}").choice(list(Decision))
            check = marks[image, label]
            judged = decision is not Decision.CANNOT_JUDGE
            said[worker] += CheckTally(
                known_wrong=judged and check == "wrong",
                caught=decision is Decision.DISCONFIRM and check == "wrong",
                known_right=judged and check == "right",
                false_alarms=decision is Decision.DISCONFIRM and check == "right",
                cannot_judge=not judged and check is not None,
            )
            return decision

        task.answers = {worker: task.page.answer(worker, decide) for worker in WORKERS}
    events = truth.consolidate(at_once=2)
    for one in reversed(events):
        truth.deliver(one)
    truth.consolidate(at_once=1)
    assert cloud.rows().keys() == ITEMS
    assert all(len(row.voters) == 3 for row in cloud.rows().values())
    assert {row.key for row in steps.job_rows("dogs", cloud.store)} == ITEMS
    assert tally_checks(job_answers("dogs", cloud.store)).workers == said
    assert said[WORKERS[0]].known_wrong > 0
    for task, page in zip(truth.tasks, pages(cloud), strict=True):
        result = truth.results[task.object_id]
        items = [place for place, item in enumerate(page) if item.check is None]
        kinds = ("confirmed", "disconfirmed", "split", "unreviewed")
        assert sorted(place for kind in kinds for place in result.get(kind, ())) == items
        assert sum(result["decisions"].values()) == 3 * len(items)
    assert {label: line.items_done for label, line in steps.progress("dogs", cloud.store).items()} == {
        "Cat": 20,
        "Dog": 20,
    }


def test_a_page_gives_nothing_away(cloud: Cloud) -> None:
    """The pre-labeling function hands out entries of one shape, whatever they are."""
    launch(cloud)
    pre = cloud.function("pre_labeling")
    for number, page in enumerate(pages(cloud)):
        uri = cloud.store.blobs.uri(f"jobs/dogs/custom-labeling-inputs/{number:08d}.json")
        shown = pre(event("pre-labeling", dataObject={"source-ref": uri}))["taskInput"]["sourceRef"]
        assert [entry["s3_image_url"] for entry in shown] == [item.image for item in page]
        assert {tuple(entry) for entry in shown} == {("s3_image_url", "label", "confidence", "item")}
        assert {(entry["label"], entry["confidence"]) for entry in shown} == {(page[0].label, 90)}


def test_copied_known_answers_lie_among_the_others(cloud: Cloud) -> None:
    """With copied pictures those of known answers are copied to the same place; missing ones are listed."""
    for image, _ in ITEMS:
        cloud.put(image.removeprefix(f"{HERE}/"), png((1, 2, 3)))
    gone, *there = KNOWN
    for image in there:
        cloud.put(image.removeprefix(f"{HERE}/"), png((1, 2, 3)))
    reply = launch(cloud, copy_images="true")
    images = {item.image for page in pages(cloud) for item in page}
    assert all(image.startswith(f"{HERE}/jobs/dogs/images/{BUCKET}/") for image in images)
    assert reply["checks_rejected"] == 1
    (rejected,) = cloud.rejected()
    assert (rejected["file"], rejected["line"]) == ("known.jsonl", "1")
    assert gone in rejected["reason"]


def test_known_answers_of_earlier_jobs(cloud: Cloud) -> None:
    """Without a file the label table gives what two workers confirmed and nobody rejected."""
    rows = [{"image": f"{HERE}/Dog/{n}.jpg", "label": "Dog", "confidence": 90} for n in range(10)]
    cloud.put("uploads/corpus.csv", lines(*rows))
    cloud.function("launch")(event("direct-launch", job="before"))
    for worker in WORKERS[:2]:
        for number in range(2):
            answer: dict[str, object] = {f"item-{place:03d}": {"Confirmed": True} for place in range(5)}
            steps.answer_page("before", number, worker, answer, cloud.store, "2026-01-02T00:00:00Z")
    reply = launch(cloud, checks=None)
    assert reply["checks_pages"] == reply["batches"]
    used = {(item.image, item.source_label) for page in pages(cloud) for item in page if item.check}
    assert used
    assert used <= {(row["image"], "Dog") for row in rows}


@unmeasured
@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"check_rate": "often"}, "check_rate 'often' is no number"),
        ({"check_rate": 0.7}, "check rate 0.7 is outside"),
        ({"check_rate": 0}, "need a check rate"),
        ({"checks": None}, "no item of an earlier job"),
        ({"checks": 7}, "checks 7 is no text"),
        ({"checks": f"{HERE}/uploads/nothing.csv"}, "nothing.csv does not exist"),
    ],
)
def test_what_cannot_be_launched(cloud: Cloud, changes: dict[str, Any], named: str) -> None:
    """A rate without known answers, known answers without a rate, or a bad one of them is refused."""
    with pytest.raises(InputError, match=named):
        launch(cloud, **changes)
    assert cloud.files("jobs/") == {}
