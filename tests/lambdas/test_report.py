"""The function that reports the end of a labeling job: whole jobs played, and what stands of them after."""

import json
from collections.abc import Iterable
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from bulkqa import jobs, steps
from bulkqa.errors import BulkqaError, InputError
from bulkqa.flow.answers import Decision
from bulkqa.flow.report import tabulate
from bulkqa.shipped import shipped
from bulkqa.steps.document import as_json
from tests.ground_truth import WORKERS, Event, GroundTruth, LabelingJob, Spelling
from tests.lambdas.conftest import BUCKET, Cloud, event, service_error, unmeasured

TEMPLATE = shipped("templates/worker.liquid.html").read_text("utf-8")
ANA, BEN, CEM = WORKERS

REPORT = f"s3://{BUCKET}/jobs/dogs/report"


def launched(cloud: Cloud, items: int = 30, job: str = "dogs", **asked: Any) -> None:
    """Launch a job by the function: pages of five of two labels, the second with half of them."""
    rows = [
        {"image": f"s3://{BUCKET}/{n:03d}.jpg", "label": "Dog" if n % 3 else "Cat", "confidence": 80 + n % 20}
        for n in range(items)
    ]
    cloud.put("uploads/corpus.csv", "".join(json.dumps(row) + "\n" for row in rows).encode())
    request = event("direct-launch", job=job, batch_size=5, **asked)
    assert cloud.function("launch")(request)["items"] == items


def labeling_job(cloud: Cloud, part: int = 0, attempt: int = 1, **changes: Any) -> GroundTruth:
    """Ground Truth with a labeling job of ours."""
    known: dict[str, Any] = {
        "name": jobs.labeling_job_name("dogs", part, attempt),
        "manifest": f"s3://{BUCKET}/jobs/dogs/manifest.json",
        "output": f"s3://{BUCKET}/output/",
        "template": TEMPLATE,
    }
    job = LabelingJob(**known | changes)
    return GroundTruth(job, cloud.s3, cloud.function("pre_labeling"), cloud.function("post_labeling"))


def manifest_of(cloud: Cloud, name: str, pages: Iterable[int]) -> str:
    """Write a manifest of some pages of the job; return its address."""
    lines = cloud.store.blobs.read("jobs/dogs/manifest.json").splitlines(keepends=True)
    return cloud.put(f"jobs/dogs/labeling-jobs/{name}.manifest", b"".join(lines[page] for page in pages))


def opinion(worker: str, image: str) -> Decision:
    """What a worker says of a picture: by chance, and always the same."""
    return Random(f"{worker} {image}").choice(list(Decision))


def ended(status: str = "Completed", name: str = "dogs--000-1") -> Event:
    """The captured event, with the end that a labeling job came to."""
    arn = f"arn:aws:sagemaker:us-east-1:123456789012:labeling-job/{name}"
    return event("labeling-job-state-change", resources=[arn], detail={"LabelingJobStatus": status})


def report(cloud: Cloud, over: Event) -> dict[str, Any]:
    """Have the function report the end; return the detail of the event that it puts, checked for its form."""
    before = cloud.traffic.number_of("PutEvents")
    reply: dict[str, Any] = cloud.function("report")(over)
    events = [asked["Entries"] for name, asked in cloud.traffic.calls if name == "PutEvents"]
    assert len(events) == before + 1
    (entry,) = events[-1]
    assert (entry["Source"], entry["DetailType"]) == ("bulkqa", "bulkqa Report Ready")
    assert (entry["EventBusName"], entry["Resources"]) == ("default", over["resources"])
    detail: dict[str, Any] = json.loads(entry["Detail"])
    assert reply == detail
    assert detail["pages"] == sum(detail[state] for state in ("reviewed", "failed", "expired", "missing"))
    counted = (detail[outcome] for outcome in ("confirmed", "disconfirmed", "split", "unreviewed"))
    assert detail["items"] == sum(counted)
    return detail


def written(cloud: Cloud, name: str) -> Any:
    """A file of the report."""
    return json.loads(cloud.store.blobs.read(f"jobs/dogs/report/{name}"))


def logged(cloud: Cloud) -> dict[str, Any]:
    """The log's last line of a report."""
    lines = [text for text in cloud.written().splitlines() if "report ready" in text]
    line: dict[str, Any] = json.loads(lines[-1])
    return line


def test_a_labeling_job_ends_in_a_report(cloud: Cloud) -> None:
    """All pages reviewed: the report lies under the job, and the event says where and what is in it."""
    launched(cloud)
    detail = report(cloud, labeling_job(cloud).play(opinion))
    tallied = tabulate(steps.job_rows("dogs", cloud.store), (80, 90, 100))
    items = tallied.totals.all
    assert detail == {
        "schema": 1,
        "job": "dogs",
        "labeling_job": "dogs--000-1",
        "status": "Completed",
        "outcome": "all reviewed",
        "report": f"{REPORT}/report.json",
        "csv": f"{REPORT}/report.csv",
        "html": f"{REPORT}/report.html",
        "labeling": f"{REPORT}/labeling.json",
        "pages": 6,
        "reviewed": 6,
        "failed": 0,
        "expired": 0,
        "missing": 0,
        "labelled_without_votes": 0,
        "votes_without_label": 0,
        "items": 30,
        "confirmed": items.confirmed,
        "disconfirmed": items.disconfirmed,
        "split": items.split,
        "unreviewed": items.unreviewed,
        "correct": items.correct,
    }
    assert 0 < items.confirmed < 30
    document = as_json(steps.analyse_job("dogs", cloud.store))
    assert written(cloud, "report.json") == json.loads(json.dumps(document))
    assert [one["reviewer"] for one in document["reviewers"]] == sorted(WORKERS)
    assert sum(one["pages"] for one in document["reviewers"]) == 18
    assert cloud.store.blobs.read("jobs/dogs/report/report.csv").startswith(b"schema,kind,label,band,total")
    assert written(cloud, "labeling.json")["not_reviewed"] == []
    assert logged(cloud)["level"] == "INFO"
    measured = {name: value for name, value in cloud.metrics().items() if "Page" in name or "Rep" in name}
    measured = {name: value for name, value in measured.items() if name != "Pages"}
    assert measured == {
        "Reports": 1,
        "PagesReviewed": 6,
        "PagesFailed": 0,
        "PagesExpired": 0,
        "PagesMissing": 0,
    }


@pytest.mark.parametrize("spelling", ["job-name", "job_name"])
def test_what_went_wrong_with_a_page_is_told(cloud: Cloud, spelling: Spelling) -> None:
    """Expired for all, left out by the consolidation, shown to nobody: each has its state and reason."""
    launched(cloud)
    truth = labeling_job(cloud)
    blobs = cloud.store.blobs
    spoilt = blobs.read(jobs.batch_key("dogs", 5))
    blobs.write(jobs.batch_key("dogs", 5), b"[]")
    truth.hand_out()
    assert truth.passed_over == ["5"]
    # Page 1 expires for all, page 2 for one; page 3 is spoilt as its answers come, so that it is left out.
    truth.review(opinion, expired=lambda worker, page: page == "1" or (page, worker) == ("2", ANA))
    lost = blobs.read(jobs.batch_key("dogs", 3))
    blobs.write(jobs.batch_key("dogs", 3), b"[]")
    truth.consolidate()
    blobs.write(jobs.batch_key("dogs", 3), lost)
    blobs.write(jobs.batch_key("dogs", 5), spoilt)
    detail = report(cloud, truth.finish(spelling))
    states = {name: detail[name] for name in ("reviewed", "failed", "expired", "missing", "outcome")}
    assert states == {
        "reviewed": 3,
        "failed": 1,
        "expired": 1,
        "missing": 1,
        "outcome": "partly reviewed",
    }
    listed = [
        (entry["page"], entry["state"], entry["reason"])
        for entry in written(cloud, "labeling.json")["not_reviewed"]
    ]
    assert listed == [
        (1, "expired", "The task has expired"),
        (3, "failed", "Annotation consolidation left it out"),
        (5, "missing", None),
    ]
    assert (detail["labelled_without_votes"], detail["votes_without_label"]) == (0, 0)
    assert logged(cloud)["level"] == "WARNING"
    assert cloud.metrics().items() >= {"PagesExpired": 1, "PagesFailed": 1, "PagesMissing": 1}.items()


def test_two_parts_and_a_second_attempt_are_one_job(cloud: Cloud) -> None:
    """Each end reports the whole job as it is then: the last one finds every page reviewed."""
    launched(cloud)
    first = labeling_job(cloud, 0, manifest=manifest_of(cloud, "first", (0, 1, 2)))
    first.hand_out()
    first.review(opinion, expired=lambda _, page: page == "1")
    first.consolidate()
    detail = report(cloud, first.finish())
    assert (detail["reviewed"], detail["expired"], detail["missing"]) == (2, 1, 3)
    second = labeling_job(cloud, 1, manifest=manifest_of(cloud, "second", (3, 4, 5)))
    detail = report(cloud, second.play(opinion))
    assert (detail["reviewed"], detail["expired"], detail["missing"]) == (5, 1, 0)
    again = labeling_job(cloud, 0, 2, manifest=manifest_of(cloud, "again", (1,)))
    detail = report(cloud, again.play(opinion))
    assert (detail["reviewed"], detail["outcome"], detail["labeling_job"]) == (
        6,
        "all reviewed",
        "dogs--000-2",
    )
    listed = written(cloud, "labeling.json")["labeling_jobs"]
    assert [one["name"] for one in listed] == ["dogs--000-1", "dogs--000-2", "dogs--001-1"]
    assert [one["pages"] for one in listed] == [3, 1, 3]
    assert detail["items"] == 30
    # The first end, heard of once more, does not take back what came after it.
    assert report(cloud, ended()).items() >= {"reviewed": 6, "labeling_job": "dogs--000-1"}.items()


def test_the_same_event_again_writes_the_same(cloud: Cloud) -> None:
    """A second delivery, to a new process, changes no byte and says the same."""
    launched(cloud)
    over = labeling_job(cloud).play(opinion)
    detail = report(cloud, over)
    files = cloud.files()
    assert report(cloud, over) == detail
    assert cloud.files() == files


def test_labels_and_votes_are_held_against_each_other(cloud: Cloud) -> None:
    """Votes that the table lost, and a label that never came, are counted in the event and logged."""
    launched(cloud)
    truth = labeling_job(cloud)
    truth.play(opinion)
    for item in jobs.page_items("dogs", 2, cloud.store.blobs):
        key = {"s3_image_url": {"S": item.image}, "label": {"S": item.label}}
        cloud.dynamodb.delete_item(TableName=cloud.table, Key=key)
    del truth.results["4"]
    detail = report(cloud, truth.finish())
    assert (detail["labelled_without_votes"], detail["votes_without_label"]) == (1, 1)
    assert written(cloud, "labeling.json")["labelled_without_votes"] == [2]
    assert written(cloud, "labeling.json")["votes_without_label"] == [4]
    line = logged(cloud)
    assert (line["level"], line["detail"]["labeling_job"]) == ("WARNING", "dogs--000-1")
    truth.job = replace(truth.job, name="dogs--000-2")  # which has every label
    truth.results["4"] = {}
    assert report(cloud, truth.finish())["outcome"] == "all reviewed"
    assert logged(cloud)["level"] == "WARNING"


def test_completed_without_a_review_is_no_success(cloud: Cloud) -> None:
    """Ground Truth calls a labeling job completed though every page failed: the event says what it is."""
    launched(cloud)
    truth = labeling_job(cloud)
    truth.hand_out()
    detail = report(cloud, truth.finish())
    assert (detail["status"], detail["outcome"]) == ("Completed", "nothing reviewed")
    assert (detail["expired"], detail["items"], detail["unreviewed"], detail["correct"]) == (6, 30, 30, None)


@unmeasured
def test_output_that_lags_is_asked_for_again(cloud: Cloud) -> None:
    """Without its output manifest the invocation fails, to be made again; nothing is written or told."""
    launched(cloud)
    truth = labeling_job(cloud)
    truth.hand_out()
    truth.review(opinion)
    truth.consolidate()
    with pytest.raises(
        BulkqaError, match=r"output/dogs--000-1/manifests/output/output\.manifest does not exist"
    ):
        cloud.function("report")(ended())
    assert cloud.files("jobs/dogs/report/") == {}
    assert cloud.traffic.number_of("PutEvents") == 0
    assert report(cloud, truth.finish())["reviewed"] == 6


@pytest.mark.parametrize("status", ["Failed", "Stopped"])
def test_a_labeling_job_that_was_cut_short_is_reported(cloud: Cloud, status: str) -> None:
    """Stopped or failed half way, without its output manifest: the votes that came are reported."""
    launched(cloud)
    truth = labeling_job(cloud)
    truth.hand_out()
    truth.review(opinion, expired=lambda _, page: page in "12345")
    truth.consolidate()
    detail = report(cloud, ended(status))
    assert (detail["status"], detail["outcome"], detail["missing"]) == (status, "nothing reviewed", 6)
    assert (detail["votes_without_label"], detail["unreviewed"] < 30) == (1, True)


@unmeasured
@pytest.mark.parametrize("name", ["cats--000-1", "My_Labels", "dogs--000-1"])
def test_a_labeling_job_of_somebody_else_is_passed_over(cloud: Cloud, name: str) -> None:
    """The rule hears of every labeling job of the account: those that are not ours are logged, no more."""
    launched(cloud)
    files = cloud.files()
    assert cloud.function("report")(ended(name=name)) is None
    assert cloud.files() == files
    assert cloud.traffic.number_of("PutEvents") == 0
    assert "passed over" in cloud.written()
    assert name in cloud.written()


@unmeasured
@pytest.mark.parametrize("changes", [{"resources": []}, {"detail": {}}])
def test_an_event_that_cannot_be_read_fails(cloud: Cloud, changes: dict[str, object]) -> None:
    """It ends where failures are kept, and is not passed over."""
    with pytest.raises(InputError):
        cloud.function("report")(ended() | changes)


@unmeasured
def test_a_service_that_fails_is_tried_again(cloud: Cloud) -> None:
    """Whatever breaks, the invocation fails, and made again it does the whole."""
    launched(cloud)
    over = labeling_job(cloud).play(opinion)
    for operation in ("PutEvents", "BatchGetItem", "PutObject", "ListObjectsV2"):
        cloud.traffic.refuse(operation, "InternalError")
        with pytest.raises(BulkqaError, match="InternalError"):
            cloud.function("report")(over)
    cloud.traffic.on_call = None
    cloud.traffic.calls.clear()
    assert report(cloud, over)["reviewed"] == 6


def test_the_rows_of_other_jobs_do_not_count(cloud: Cloud) -> None:
    """A second job on the same pictures has its own labeling jobs and its own report."""
    launched(cloud)
    labeling_job(cloud).play(opinion)
    launched(cloud, job="dogs-2")
    manifest = f"s3://{BUCKET}/jobs/dogs-2/manifest.json"
    other = labeling_job(cloud, name="dogs-2--000-1", manifest=manifest, workers=(ANA,))
    over = other.play(lambda *_: Decision.CONFIRM)
    detail = report(cloud, over)
    assert (detail["job"], detail["confirmed"], detail["correct"]) == ("dogs-2", 30, 1.0)
    assert report(cloud, ended())["confirmed"] < 30


def gated(cloud: Cloud, gate: str) -> GroundTruth:
    """Launch a job with a gate; return Ground Truth with a labeling job of it."""
    address = cloud.put("uploads/gate.yaml", gate.encode())
    launched(cloud, gate=address)
    return labeling_job(cloud)


def told(cloud: Cloud, over: Event) -> tuple[dict[str, Any], dict[str, Any]]:
    """Have the function report the end; return the gate's event, checked for its form, and the verdict."""
    cloud.traffic.calls.clear()
    cloud.function("report")(over)
    ready, gate = [asked["Entries"][0] for name, asked in cloud.traffic.calls if name == "PutEvents"]
    assert ready["DetailType"] == "bulkqa Report Ready"
    assert (gate["Source"], gate["EventBusName"]) == ("bulkqa", "default")
    assert gate["Resources"] == over["resources"]
    detail = json.loads(gate["Detail"])
    assert detail.keys() == {"schema", "job", "reason", "verdict"}
    assert (detail["schema"], detail["job"], detail["verdict"]) == (1, "dogs", f"{REPORT}/verdict.json")
    assert "\n" not in detail["reason"]
    return {"type": gate["DetailType"], **detail}, written(cloud, "verdict.json")


def test_a_gate_that_is_passed_is_told(cloud: Cloud) -> None:
    """All confirmed: the verdict lies beside the report, and an event of its own tells where."""
    truth = gated(cloud, "precision: {at_least: 0.95}")
    event, verdict = told(cloud, truth.play(lambda *_: Decision.CONFIRM))
    assert (event["type"], event["reason"]) == ("bulkqa Gate Passed", "9 checks passed")
    assert verdict["validation_ok"]
    assert cloud.metrics()["GatePassed"] == 1
    assert logged(cloud)["level"] == "INFO"


def test_a_gate_that_fails_is_told(cloud: Cloud) -> None:
    """Wrong labels: the event has the reason in a line, the metric is counted, and the verdict says where."""
    truth = gated(cloud, "precision: {at_least: 0.95, slices: [label]}")
    over = truth.play(lambda _, image: Decision.DISCONFIRM if image.endswith("000.jpg") else Decision.CONFIRM)
    event, verdict = told(cloud, over)
    assert event["type"] == "bulkqa Gate Failed"
    assert event["reason"] == "precision, label = Cat: 0.9, below the lower bound 0.95 by 0.05"
    assert "validation_ok" not in verdict
    (failed,) = verdict["metric_validations_per_slice"]
    assert failed["failures"][0]["metric_value"] == {"double_value": 0.9}
    assert cloud.metrics()["GateFailed"] == 1


def test_a_gate_without_enough_reviews_is_undecided(cloud: Cloud) -> None:
    """What was reviewed is right and some was not reviewed: not passed, and told as that."""
    truth = gated(cloud, "precision: {at_least: 0.95, slices: overall}")
    truth.hand_out()
    truth.review(lambda *_: Decision.CONFIRM, expired=lambda _, page: page == "1")
    truth.consolidate()
    event, verdict = told(cloud, truth.finish())
    assert event["type"] == "bulkqa Gate Undecided"
    assert event["reason"].endswith("Not enough data: 5 of 30 items are not reviewed")
    assert "validation_ok" not in verdict
    assert cloud.metrics()["GateUndecided"] == 1


def test_nothing_reviewed_fails_the_gate(cloud: Cloud) -> None:
    """A labeling job that nobody worked on lets no model out."""
    truth = gated(cloud, "precision: {at_least: 0, slices: overall}")
    truth.hand_out()
    assert told(cloud, truth.finish())[0]["type"] == "bulkqa Gate Failed"


def test_an_earlier_job_as_baseline(cloud: Cloud) -> None:
    """The gate may ask for no less than an earlier job; its votes are counted as they stand."""
    launched(cloud, job="baseline")
    manifest = f"s3://{BUCKET}/jobs/baseline/manifest.json"
    earlier = labeling_job(cloud, name="baseline--000-1", manifest=manifest)
    report(cloud, earlier.play(lambda *_: Decision.CONFIRM))
    truth = gated(cloud, "precision: {not_worse_than_baseline_by: 0.01, slices: overall}")
    over = truth.play(lambda _, image: Decision.DISCONFIRM if image.endswith("000.jpg") else Decision.CONFIRM)
    event, _ = told(cloud, over)
    assert event["type"] == "bulkqa Gate Failed"
    assert "changed by -0.0333" in event["reason"]
    cloud.s3.delete_object(Bucket=BUCKET, Key="jobs/baseline/job.json")
    event, verdict = told(cloud, over)
    assert event["type"] == "bulkqa Gate Failed"
    assert "the baseline is missing" in event["reason"]
    assert not verdict.get("rubber_stamp")


def test_the_same_event_again_tells_the_same_of_the_gate(cloud: Cloud) -> None:
    """A second delivery writes the same verdict and says the same."""
    truth = gated(cloud, "precision: {at_least: 0.95}")
    over = truth.play(opinion)
    assert told(cloud, over) == told(cloud, over)


@unmeasured
def test_a_bus_that_fails_is_asked_again_for_the_gate(cloud: Cloud) -> None:
    """Where only the gate's event cannot be put, the invocation fails, and made again it does the whole."""
    truth = gated(cloud, "precision: {at_least: 0.95}")
    over = truth.play(opinion)

    def check(name: str, arguments: Any) -> None:
        if name == "PutEvents" and "Gate" in arguments["Entries"][0]["DetailType"]:
            raise service_error(name, "InternalError", 500)

    cloud.traffic.on_call = check
    with pytest.raises(BulkqaError, match="InternalError"):
        cloud.function("report")(over)
    cloud.traffic.on_call = None
    told(cloud, over)
