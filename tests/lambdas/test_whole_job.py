"""A whole labeling job: launched, shown, answered, handed over with every mishap, and counted right."""

import json
from collections.abc import Iterable
from random import Random
from typing import Any, Literal

import pytest

from bulkqa import steps
from bulkqa.flow.answers import Decision
from bulkqa.flow.report import tabulate
from bulkqa.flow.votes import Key
from bulkqa.shipped import shipped
from tests.ground_truth import (
    MAX_TASK_INPUT,
    WORKERS,
    BreachError,
    GroundTruth,
    LabelingJob,
    Task,
    payload_entry,
)
from tests.lambdas.conftest import BUCKET, Cloud, event
from tests.support import quiet

TEMPLATE = shipped("templates/worker.liquid.html").read_text("utf-8")
AWKWARD = 'Shih "Tzu" <b>&amp; 犬, {{ task }}'
ANA, BEN, CEM = WORKERS

Counts = tuple[int, int, int]


def launched(cloud: Cloud, of_label: dict[str, int], batch_size: int = 5) -> None:
    """Launch the job `dogs` by the function, so many pictures of each label."""
    rows = [
        {"image": f"s3://{BUCKET}/{place}/{number:03d}.jpg", "label": label, "confidence": 90}
        for place, (label, size) in enumerate(of_label.items())
        for number in range(size)
    ]
    cloud.put("uploads/corpus.csv", "".join(json.dumps(row) + "\n" for row in rows).encode())
    reply = cloud.function("launch")(event("direct-launch", batch_size=batch_size))
    assert reply["items"] == sum(of_label.values())


def labeling_job(cloud: Cloud, **changes: Any) -> GroundTruth:
    """Ground Truth with a labeling job of it, whose name has capitals."""
    known: dict[str, Any] = {
        "name": "Dogs-Round-1",
        "manifest": f"s3://{BUCKET}/jobs/dogs/manifest.json",
        "output": f"s3://{BUCKET}/jobs/dogs/output/",
        "template": TEMPLATE,
    }
    job = LabelingJob(**known | changes)
    return GroundTruth(job, cloud.s3, cloud.function("pre_labeling"), cloud.function("post_labeling"))


def opinion(worker: str, image: str) -> Decision:
    """What a worker says of a picture: by chance, and always the same."""
    return Random(f"{worker} {image}").choice(list(Decision))


def expected(tasks: Iterable[Task]) -> dict[str, Counts]:
    """The counts of every picture, from what was answered and nothing else."""
    found: dict[str, list[Decision]] = {}
    for task in tasks:
        for name, image in task.page.images.items():
            found.setdefault(image, [])
            for worker, answer in task.answers.items():
                assert name in answer
                found[image].append(opinion(worker, image))
    order = (Decision.CONFIRM, Decision.DISCONFIRM, Decision.CANNOT_JUDGE)
    return {image: tuple(said.count(kind) for kind in order) for image, said in found.items()}  # type: ignore[misc]


def counted(cloud: Cloud) -> dict[str, Counts]:
    """The counts of every picture in the label table, each of which has one row here."""
    return {
        image: (row.confirms, row.disconfirms, row.cannot_judges) for (image, _), row in cloud.rows().items()
    }


def test_a_labeling_job_from_corpus_to_report(cloud: Cloud) -> None:
    """What three workers say of every picture, and nothing else, stands in the table and in the report."""
    launched(cloud, {"Dog": 12, AWKWARD: 3})
    truth = labeling_job(cloud)
    over = truth.play(opinion)
    assert counted(cloud) == expected(truth.tasks)
    assert sum(map(sum, counted(cloud).values())) == 45
    assert truth.passed_over == []
    report = tabulate(steps.job_rows("dogs", cloud.store), (80, 100))
    assert report.totals.all.total == 15
    assert report.totals.all.unreviewed == sum(votes[:2] == (0, 0) for votes in counted(cloud).values())
    assert over["resources"] == ["arn:aws:sagemaker:us-east-1:123456789012:labeling-job/dogs-round-1"]


def test_no_label_gets_into_a_name_or_out_of_its_place(cloud: Cloud) -> None:
    """A label with quotes, brackets and characters of any script is shown as text, in no answer's name."""
    launched(cloud, {AWKWARD: 3})
    truth = labeling_job(cloud)
    (task,) = truth.hand_out()
    assert task.page.title == f"Review: {AWKWARD}"
    assert list(task.page.images) == ["item-000", "item-001", "item-002"]
    truth.review(opinion)
    truth.consolidate()
    assert {row.key[1] for row in cloud.rows().values()} == {AWKWARD}
    assert truth.results["0"]["label"] == AWKWARD
    assert counted(cloud) == expected(truth.tasks)


def test_answers_come_back_however_they_like(cloud: Cloud) -> None:
    """Events twice, in another batching, out of order, to a new process: each vote counts once."""
    launched(cloud, {"Dog": 12})
    truth = labeling_job(cloud)
    truth.hand_out()
    truth.review(opinion)
    events = truth.consolidate(at_once=2)
    before = (counted(cloud), dict(truth.results))
    assert before[0] == expected(truth.tasks)
    for one in reversed(events):
        truth.deliver(one)
    truth.consolidate(at_once=1, arrange=lambda tasks: Random(1).sample(list(tasks), 3))
    truth.consolidate(at_once=3, arrange=lambda tasks: reversed(list(tasks)))
    labeling_job(cloud).deliver(events[0])
    assert (counted(cloud), truth.results) == before


def test_an_answer_that_comes_later_is_added(cloud: Cloud) -> None:
    """An object handed over with one answer, and again with all three, has three votes a picture."""
    launched(cloud, {"Dog": 5})
    truth = labeling_job(cloud)
    (task,) = truth.hand_out()
    truth.review(opinion, expired=lambda worker, _: worker != BEN)
    truth.consolidate()
    assert counted(cloud) == expected([task])
    truth.review(opinion)
    truth.consolidate()
    assert counted(cloud) == expected([task])
    assert sum(map(sum, counted(cloud).values())) == 15


def test_tasks_that_expire_leave_what_there_is(cloud: Cloud) -> None:
    """Where some workers or all are missing, the answers there are count, and the rest stays unreviewed."""
    launched(cloud, {"Dog": 15})
    truth = labeling_job(cloud)
    truth.hand_out()
    truth.review(opinion, expired=lambda worker, number: number == "1" or (worker, number) == (CEM, "2"))
    truth.consolidate()
    assert counted(cloud) == expected(truth.tasks)
    assert {number: result["workers"] for number, result in truth.results.items()} == {"0": 3, "2": 2}
    truth.finish()
    first, second, third = truth.output_manifest()
    assert "failure-reason" in second["bulkqa-review-metadata"]
    assert "bulkqa-review" not in second
    assert first["bulkqa-review"]["workers"] == 3
    assert third["bulkqa-review"] == truth.results["2"]


def test_one_spoilt_page_does_not_stop_a_labeling_job(cloud: Cloud) -> None:
    """A batch file that is gone is passed over on the way out; one that goes later, on the way in."""
    launched(cloud, {"Dog": 15})
    truth = labeling_job(cloud)
    cloud.s3.delete_object(Bucket=BUCKET, Key="jobs/dogs/custom-labeling-inputs/00000000.json")
    truth.hand_out()
    assert truth.passed_over == ["0"]
    truth.review(opinion)
    cloud.s3.delete_object(Bucket=BUCKET, Key="jobs/dogs/custom-labeling-inputs/00000001.json")
    truth.consolidate()
    truth.finish()
    shown, lost, whole = truth.output_manifest()
    assert "bulkqa-review-metadata" not in shown
    assert "left it out" in lost["bulkqa-review-metadata"]["failure-reason"]
    assert whole["bulkqa-review"]["workers"] == 3
    assert counted(cloud).items() >= expected(truth.tasks[1:]).items()
    assert sum(map(sum, counted(cloud).values())) == 15


def test_a_known_answer_looks_like_any_other_and_never_counts(cloud: Cloud) -> None:
    """A picture whose answer is known is answered like the others; no vote of it reaches the table."""
    launched(cloud, {"Dog": 4})
    key = "jobs/dogs/custom-labeling-inputs/00000000.json"
    entries = json.loads(cloud.store.blobs.read(key))
    known = {"s3_image_url": f"s3://{BUCKET}/known.jpg", "label": "Dog", "confidence": 90, "item": "item-004"}
    cloud.put(key, [*entries, known | {"check": "wrong", "source_label": "Wolf"}])
    truth = labeling_job(cloud)
    (task,) = truth.hand_out()
    assert task.page.images["item-004"] == f"s3://{BUCKET}/known.jpg"
    truth.review(opinion)
    truth.consolidate()
    votes = expected([task])
    del votes[f"s3://{BUCKET}/known.jpg"]
    assert counted(cloud) == votes


def test_a_replay_tells_the_same(cloud: Cloud) -> None:
    """From the answers that the function kept, the whole table comes back, and nothing is counted twice."""
    launched(cloud, {"Dog": 12})
    truth = labeling_job(cloud)
    truth.play(opinion, at_once=2)
    before = cloud.rows()
    assert steps.replay("dogs", cloud.store, quiet).recorded.counted == 0
    for image, label in before:
        key = {"s3_image_url": {"S": image}, "label": {"S": label}}
        cloud.dynamodb.delete_item(TableName=cloud.table, Key=key)
    replayed = steps.replay("dogs", cloud.store, quiet)
    assert (replayed.recorded.counted, replayed.unreadable) == (36, ())
    assert cloud.rows() == before
    assert list(steps.check_votes("dogs", cloud.store, quiet)) == []


@pytest.mark.parametrize("spelling", ["job-name", "job_name"])
def test_the_output_manifest_holds_every_line(
    cloud: Cloud, spelling: Literal["job-name", "job_name"]
) -> None:
    """Every line of the input comes out with what it carried, labelled, in either spelling of metadata."""
    launched(cloud, {"Dog": 10})
    truth = labeling_job(cloud)
    truth.play(opinion)
    truth.finish(spelling)
    given = [json.loads(line) for line in cloud.store.blobs.read("jobs/dogs/manifest.json").splitlines()]
    lines = truth.output_manifest()
    for before, after in zip(given, lines, strict=True):
        assert after.items() >= before.items()
        assert after["bulkqa-review-metadata"][spelling] == "labeling-job/dogs-round-1"
        assert sum(len(after["bulkqa-review"].get(kind, [])) for kind in KINDS) == 5


KINDS = ("confirmed", "disconfirmed", "split", "unreviewed")


def test_a_second_labeling_job_of_the_same_pages_counts_each_worker_once(cloud: Cloud) -> None:
    """Pages shown again under another labeling job's name are the same job of ours: no vote counts twice."""
    launched(cloud, {"Dog": 5})
    first = labeling_job(cloud)
    first.play(opinion)
    before = counted(cloud)
    labeling_job(cloud, name="dogs-round-2").play(opinion)
    assert counted(cloud) == before


def test_another_job_of_the_same_pictures_counts_anew(cloud: Cloud) -> None:
    """Two jobs of ours ask the same workers about the same rows: the votes of both stand side by side."""
    launched(cloud, {"Dog": 5})
    labeling_job(cloud).play(opinion)
    cloud.function("launch")(event("direct-launch", batch_size=5, job="dogs-2"))
    labeling_job(cloud, manifest=f"s3://{BUCKET}/jobs/dogs-2/manifest.json", name="dogs-2").play(opinion)
    keys: list[Key] = list(cloud.rows())
    assert all(sum(votes) == 6 for votes in counted(cloud).values())
    for job in ("dogs", "dogs-2"):
        rows = {row.key: row for row in steps.job_rows(job, cloud.store)}
        assert all(rows[key].confirms + rows[key].disconfirms + rows[key].cannot_judges == 3 for key in keys)


def test_the_default_page_of_25_is_counted_right(cloud: Cloud) -> None:
    """On pages of 25, whose names sort as texts, every vote is on the picture that the worker saw."""
    launched(cloud, {"Dog": 25}, batch_size=25)
    truth = labeling_job(cloud, workers=(ANA,))
    truth.play(lambda _, image: Decision.DISCONFIRM if image.endswith("/007.jpg") else Decision.CONFIRM)
    wrong = [image for image, votes in counted(cloud).items() if votes == (0, 1, 0)]
    assert wrong == [f"s3://{BUCKET}/0/007.jpg"]
    assert sum(votes == (1, 0, 0) for votes in counted(cloud).values()) == 24


# The stand-in itself: it would notice.


def shown(cloud: Cloud, reply: Any) -> GroundTruth:
    """A labeling job of one line whose pages are what a function replies."""
    cloud.put("manifest.json", b'{"source": "[]"}\n')
    job = LabelingJob(name="X", manifest=f"s3://{BUCKET}/manifest.json", output="s3://x/y", template=TEMPLATE)
    return GroundTruth(job, cloud.s3, lambda _: reply, lambda _: [])


@pytest.mark.parametrize(
    "reply",
    [
        None,
        {},
        {"taskInput": "text"},
        {"taskInput": {}, "isHumanAnnotationRequired": "true"},
        {"taskInput": {}, "isHumanAnnotationRequired": 1},
        {"taskInput": {}, "humanAnnotationRequired": True},
        {"taskInput": {"x": "y" * MAX_TASK_INPUT}},
    ],
    ids=lambda reply: str(reply)[:80],
)
def test_ground_truth_refuses_what_it_would_not_take_of_pre(cloud: Cloud, reply: object) -> None:
    """The stand-in tells a reply of the pre-labeling function that breaks its form or a limit."""
    with pytest.raises(BreachError):
        shown(cloud, reply).hand_out()


def test_nobody_is_asked_where_the_function_says_so(cloud: Cloud) -> None:
    """The stand-in passes over what needs no people, and asks where nothing is said."""
    truth = shown(cloud, {"taskInput": {"sourceRef": []}, "isHumanAnnotationRequired": False})
    assert (truth.hand_out(), truth.passed_over) == ([], ["0"])
    assert len(shown(cloud, {"taskInput": {"sourceRef": []}}).hand_out()) == 1


def result(object_id: str, attribute: str = "bulkqa-review", size: int = 1) -> dict[str, Any]:
    """A result as the post-labeling function returns it."""
    content = {attribute: {"x": "y" * size}}
    return {"datasetObjectId": object_id, "consolidatedAnnotation": {"content": content}}


@pytest.mark.parametrize(
    "reply",
    [
        None,
        {},
        [result("0"), result("0")],
        [result("1")],
        [result("0", "another")],
        [result("0", size=6 * 1024 * 1024)],
    ],
    ids=lambda reply: str(reply)[:80],
)
def test_ground_truth_refuses_what_it_would_not_take_of_post(cloud: Cloud, reply: Any) -> None:
    """The stand-in tells a reply of the post-labeling function that breaks its form or a limit."""
    uri = cloud.put("x/consolidation-request/1.json", [payload_entry("0", {"content": "[]"}, {})])
    job = LabelingJob(name="X", manifest="s3://x/y", output="s3://x/y", template=TEMPLATE)
    truth = GroundTruth(job, cloud.s3, lambda _: {}, lambda _: reply)
    with pytest.raises(BreachError):
        truth.deliver({"payload": {"s3Uri": uri}})
