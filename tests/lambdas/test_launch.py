"""The launching function: a corpus in S3 becomes a job, once, whatever happens in between."""

import csv
import hashlib
import io
import json
from collections.abc import Iterable
from contextlib import nullcontext
from typing import Any

import pytest

from bulkqa.errors import BulkqaError, ConflictError, InputError, NotFoundError
from bulkqa.flow.plan import Plan, plan_json, plan_labels
from tests.lambdas.conftest import BUCKET, ELSEWHERE, Cloud, Crash, event, unmeasured
from tests.support import png
from tests.support_aws import create_bucket

UPLOAD = "uploads/corpus.csv"
HERE = f"s3://{BUCKET}"

Rows = Iterable[tuple[str, str, object]]

DOGS = [(f"{HERE}/dogs/{number:02d}.jpg", "Dog", 80 + number) for number in range(7)]
CATS = [(f"s3://{ELSEWHERE}/shared/{number}.jpg", "Cat", 99.5) for number in range(2)]


def upload(cloud: Cloud, rows: Rows = (*DOGS, *CATS)) -> bytes:
    """Put a corpus of (image, label, confidence) where the events look for it; return its bytes."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows((("image", "label", "confidence"), *rows))
    data = text.getvalue().encode()
    cloud.put(UPLOAD, data)
    return data


def launch(cloud: Cloud, **changes: Any) -> dict[str, Any]:
    """Launch what the captured event asks for, with some parts changed; return the function's reply."""
    reply: dict[str, Any] = cloud.function("launch")(event("direct-launch", **changes))
    return reply


def images(cloud: Cloud) -> set[str]:
    """The images in the label table."""
    return {image for image, _ in cloud.rows()}


def reasons(cloud: Cloud) -> list[tuple[int, str]]:
    """Line and reason of each rejected row."""
    return [(int(row["line"]), row["reason"]) for row in cloud.rejected()]


def test_a_launch_follows_a_plan(cloud: Cloud) -> None:
    """With a plan in the bucket its sample alone is launched; a plan of another corpus is refused."""
    data = upload(cloud)
    lines = plan_labels({"Dog": [7, 0], "Cat": [0, 2]}, (80, 90, 100), 0.95, 0.95, 3)
    digest = hashlib.sha256(data).hexdigest()
    plan = Plan("corpus.csv", digest, 0.95, 0.95, (80, 90, 100), 80, 25, 1, 37.5, 0, 0, lines)
    cloud.put("uploads/plan.json", json.dumps(plan_json(plan, 1)).encode())
    reply = launch(cloud, sample=f"{HERE}/uploads/plan.json")
    assert (reply["items"], reply["left_out"]) == (5, 4)
    assert len(images(cloud)) == 5
    other = plan._replace(corpus_sha256="0" * 64)
    cloud.put("uploads/plan.json", json.dumps(plan_json(other, 1)).encode())
    with pytest.raises(ConflictError, match="another corpus"):
        launch(cloud, sample=f"{HERE}/uploads/plan.json")


def test_a_launch_with_a_gate(cloud: Cloud) -> None:
    """The gate is fetched, checked and kept; one that cannot be used is refused and nothing written."""
    upload(cloud)
    cloud.put("uploads/gate.yaml", b"precision: {at_least: 0.9, slices: [{label: Bird}]}")
    with pytest.raises(InputError, match=f"{HERE}/uploads/gate.yaml: there is no slice 'label = Bird'"):
        launch(cloud, gate=f"{HERE}/uploads/gate.yaml")
    assert cloud.files("jobs/") == {}
    gate = b"precision: {at_least: 0.9, slices: [{label: Dog}]}"
    cloud.put("uploads/gate.yaml", gate)
    launch(cloud, gate=f"{HERE}/uploads/gate.yaml")
    files = cloud.files("jobs/dogs/")
    assert files["jobs/dogs/gate.txt"] == gate
    stored = {"key": "jobs/dogs/gate.txt", "sha256": hashlib.sha256(gate).hexdigest()}
    assert json.loads(files["jobs/dogs/job.json"])["gate"] == stored
    with pytest.raises(ConflictError, match="a gate"):
        launch(cloud)


def test_a_launch_writes_the_whole_job(cloud: Cloud) -> None:
    """A corpus becomes rows, batches, a manifest and job.json, all counted in the reply."""
    data = upload(cloud)
    assert launch(cloud) == {
        "schema": 1,
        "job": "dogs",
        "items": 9,
        "batches": 3,
        "below": 0,
        "left_out": 0,
        "rejected": 0,
        "rejected_file": f"{HERE}/jobs/dogs/rejected.csv",
        "manifest": f"{HERE}/jobs/dogs/manifest.json",
        "again": False,
    }
    files = cloud.files()
    assert files["jobs/dogs/corpus.csv"] == data
    manifest = [json.loads(line) for line in files["jobs/dogs/manifest.json"].splitlines()]
    assert [line["label"] for line in manifest] == ["Cat", "Dog", "Dog"]
    shown = [
        entry["s3_image_url"]
        for line in manifest
        for entry in json.loads(files[line["source-ref"].removeprefix(f"{HERE}/")])
    ]
    assert sorted(shown) == sorted(image for image, _, _ in (*DOGS, *CATS))
    rows = cloud.rows()
    assert {key: row.confidence for key, row in rows.items()} == {
        (image, label): confidence for image, label, confidence in (*DOGS, *CATS)
    }
    assert all(row.jobs == {"dogs"} and row.created_at for row in rows.values())
    settings = json.loads(files["jobs/dogs/job.json"])
    expected = {"seed": 0, "batch_size": 5, "minimum_confidence": 80, "bands": [80, 90, 100], "reviewers": 3}
    expected |= {"host": "ground-truth", "guideline": "A dog is a dog from any side."}
    assert settings.items() >= expected.items()
    assert cloud.metrics() == {"ItemsLaunched": 9, "RowsRejected": 0}


def test_what_is_not_asked_for_has_a_default(cloud: Cloud) -> None:
    """A job and a corpus are enough: pages of 25, one reviewer, from a confidence of 80 on."""
    upload(cloud, [*DOGS, (f"{HERE}/low.jpg", "Dog", 79.9)])
    reply = cloud.function("launch")({"job": "dogs", "corpus": f"{HERE}/{UPLOAD}"})
    assert (reply["items"], reply["batches"], reply["below"]) == (7, 1, 1)
    settings = json.loads(cloud.store.blobs.read("jobs/dogs/job.json"))
    assert (settings["batch_size"], settings["reviewers"], settings["minimum_confidence"]) == (25, 1, 80)
    assert settings["bands"] == [80, 85, 90, 95, 100]


def test_what_cannot_be_used_is_listed(cloud: Cloud) -> None:
    """rejected.csv names file, line and reason of every row that was left out; the others are launched."""
    upload(cloud, [DOGS[0], ("", "Dog", 90), DOGS[1], (DOGS[2][0], "Dog", "high"), DOGS[0], CATS[0]])
    reply = launch(cloud)
    assert (reply["items"], reply["rejected"]) == (3, 3)
    assert [row["file"] for row in cloud.rejected()] == ["corpus.csv"] * 3
    (empty, high, twice) = reasons(cloud)
    assert empty == (3, "the image is empty")
    assert high == (5, "confidence 'high' is not a number")
    assert twice == (6, "duplicate of line 2: this image has this label there already")
    assert cloud.metrics()["RowsRejected"] == 3


def test_pictures_are_used_where_they_lie(cloud: Cloud) -> None:
    """An address in the function's bucket, or below an image source, is kept; other kinds of URL, too."""
    kept = [DOGS[0], CATS[0], ("https://example.org/a.jpg", "Dog", 90)]
    upload(cloud, kept)
    assert launch(cloud)["rejected"] == 0
    assert images(cloud) == {image for image, _, _ in kept}
    assert cloud.traffic.number_of("CopyObject") == 0


@pytest.mark.parametrize("root", [f"{HERE}/dogs", f"{HERE}/dogs/"])
def test_paths_start_from_the_place_of_the_images(cloud: Cloud, root: str) -> None:
    """A relative path in the corpus is one below the prefix that the launch names."""
    upload(cloud, [("a.jpg", "Dog", 90), ("b/c d.jpg", "Dog", 90), DOGS[0]])
    assert launch(cloud, images=root)["rejected"] == 0
    assert images(cloud) == {f"{HERE}/dogs/a.jpg", f"{HERE}/dogs/b/c d.jpg", DOGS[0][0]}


def test_a_path_without_a_place_is_rejected(cloud: Cloud) -> None:
    """Where the launch names no place of the images, a path leads nowhere."""
    upload(cloud, [("a.jpg", "Dog", 90), DOGS[0]])
    launch(cloud)
    assert images(cloud) == {DOGS[0][0]}
    assert reasons(cloud) == [(2, "'a.jpg' is a path, and the launch names no place of the images")]


@pytest.mark.parametrize(
    "image",
    [
        f"s3://{ELSEWHERE}/private/a.jpg",
        f"s3://{ELSEWHERE}/shared-not/a.jpg",
        f"s3://{BUCKET}-2/a.jpg",
        "s3://somebody-elses/a.jpg",
        "s3://",
        "local://a.jpg",
        "/etc/passwd",
        "../a.jpg",
        "a/../../b.jpg",
    ],
)
def test_a_picture_outside_the_image_sources_is_rejected(cloud: Cloud, image: str) -> None:
    """What the page's hosts may not read, or what climbs out of its folder, is not launched."""
    upload(cloud, [(image, "Dog", 90), DOGS[0]])
    reply = launch(cloud, images=f"{HERE}/dogs")
    assert (reply["items"], reply["rejected"]) == (1, 1)
    assert images(cloud) == {DOGS[0][0]}
    ((line, reason),) = reasons(cloud)
    assert line == 2
    assert image in reason


@unmeasured
def test_a_place_of_images_outside_the_image_sources_gives_nothing(cloud: Cloud) -> None:
    """Paths below a prefix that may not be read are all rejected, so that there is no job."""
    upload(cloud, [("a.jpg", "Dog", 90)])
    with pytest.raises(InputError, match="does not lie below"):
        launch(cloud, images=f"s3://{ELSEWHERE}/private")
    assert cloud.files().keys() == {UPLOAD}


def test_pictures_are_copied_where_asked(cloud: Cloud) -> None:
    """With copy_images every picture is copied below the job, and shown and counted there."""
    create_bucket(cloud.s3, ELSEWHERE)
    for number, (image, _, _) in enumerate((DOGS[0], CATS[0])):
        bucket, _, key = image.removeprefix("s3://").partition("/")
        picture = {"Body": png((number, 0, 0)), "ContentType": "image/png", "Tagging": "owner=zoo"}
        cloud.s3.put_object(Bucket=bucket, Key=key, **picture)
    upload(cloud, [DOGS[0], CATS[0]])
    assert launch(cloud, copy_images=True)["items"] == 2
    copies = [f"jobs/dogs/images/{image.removeprefix('s3://')}" for image, _, _ in (DOGS[0], CATS[0])]
    assert [cloud.files()[copy] for copy in copies] == [png((0, 0, 0)), png((1, 0, 0))]
    assert images(cloud) == {f"{HERE}/{copy}" for copy in copies}
    for copy in copies:  # browsers go by the type; tags may only be copied by those who may read them
        assert cloud.s3.head_object(Bucket=BUCKET, Key=copy)["ContentType"] == "image/png"
        assert cloud.s3.get_object_tagging(Bucket=BUCKET, Key=copy)["TagSet"] == []


def test_of_a_sample_its_pictures_alone_are_copied(cloud: Cloud) -> None:
    """With copy_images and a plan, one that is missing is replaced, and the others stay where they are."""
    for number in range(1, 7):
        cloud.put(f"dogs/{number:02d}.jpg", png((number, 0, 0)))
    data = upload(cloud, DOGS)
    lines = plan_labels({"Dog": [7, 0]}, (80, 90, 100), 0.95, 0.95, 3)
    digest = hashlib.sha256(data).hexdigest()
    plan = Plan("corpus.csv", digest, 0.95, 0.95, (80, 90, 100), 80, 25, 1, 37.5, 0, 0, lines)
    cloud.put("uploads/plan.json", json.dumps(plan_json(plan, 1)).encode())
    reply = launch(cloud, sample=f"{HERE}/uploads/plan.json", copy_images=True)
    assert (reply["items"], reply["left_out"], reply["rejected"]) == (3, 3, 1)
    copies = {key for key in cloud.files() if key.startswith("jobs/dogs/images/")}
    assert images(cloud) == {f"{HERE}/{copy}" for copy in copies}
    assert launch(cloud, sample=f"{HERE}/uploads/plan.json", copy_images=True) == reply | {"again": True}


def test_a_picture_that_is_not_there_cannot_be_copied(cloud: Cloud) -> None:
    """With copy_images a missing picture is a rejected row with its line; the others are launched."""
    cloud.put("dogs/00.jpg", png((0, 0, 0)))
    cloud.put("dogs/02.jpg", png((2, 0, 0)))
    upload(
        cloud, [*DOGS[:3], ("s3://somebody-elses/a.jpg", "Dog", 90), ("https://example.org/a.jpg", "Dog", 90)]
    )
    assert launch(cloud, copy_images=True)["items"] == 3
    assert images(cloud) == {
        f"{HERE}/jobs/dogs/images/{BUCKET}/dogs/00.jpg",
        f"{HERE}/jobs/dogs/images/{BUCKET}/dogs/02.jpg",
        "https://example.org/a.jpg",
    }
    missing, outside = reasons(cloud)
    assert missing == (3, f"'{DOGS[1][0]}' does not exist")
    assert outside[0] == 5


def test_the_same_launch_again_is_the_same_job(cloud: Cloud) -> None:
    """Launched again, the same corpus changes no file and no row, votes included, and says so."""
    upload(cloud)
    first = launch(cloud)
    files, rows = cloud.files(), cloud.rows()
    assert launch(cloud) == first | {"again": True}
    assert (cloud.files(), cloud.rows()) == (files, rows)


@unmeasured
@pytest.mark.parametrize(
    ("rows", "changes", "named"),
    [
        (DOGS, {}, "another corpus"),
        (None, {"batch_size": 6}, "batch size"),
        (None, {"reviewers": 2}, "reviewers"),
        (None, {"guideline": "Cats."}, "guideline"),
        (None, {"bands": "80,95,100"}, "bands"),
        (None, {"images": f"{HERE}/dogs"}, "image root"),
    ],
)
def test_another_launch_under_its_name_is_refused(
    cloud: Cloud, rows: Rows | None, changes: dict[str, Any], named: str
) -> None:
    """A job is one corpus with one set of settings: another is refused, naming the difference."""
    upload(cloud)
    launch(cloud)
    files, table = cloud.files(), cloud.rows()
    if rows is not None:
        files[UPLOAD] = upload(cloud, rows)
    with pytest.raises(ConflictError, match=named):
        launch(cloud, **changes)
    assert (cloud.files(), cloud.rows()) == (files, table)


@unmeasured
@pytest.mark.parametrize("more", [[], [("https://example.org/a.jpg", "Dog", 90)]], ids=["again", "refused"])
def test_a_later_launch_leaves_the_jobs_pictures_alone(
    cloud: Cloud, more: list[tuple[str, str, object]]
) -> None:
    """A picture that was copied for a job stays as its reviewers see it, whoever launches under its name."""
    cloud.put("dogs/00.jpg", png((0, 0, 0)))
    upload(cloud, DOGS[:1])
    launch(cloud, copy_images=True)
    cloud.put("dogs/00.jpg", png((9, 9, 9)))
    upload(cloud, [DOGS[0], *more])
    with pytest.raises(ConflictError) if more else nullcontext():
        launch(cloud, copy_images=True)
    assert cloud.files()[f"jobs/dogs/images/{BUCKET}/dogs/00.jpg"] == png((0, 0, 0))


def test_two_jobs_keep_apart(cloud: Cloud) -> None:
    """A second job on the same pictures has files of its own, and shares the rows."""
    upload(cloud)
    launch(cloud)
    before = {key: data for key, data in cloud.files().items() if key.startswith("jobs/dogs/")}
    assert launch(cloud, job="dogs-2")["again"] is False
    assert {key: data for key, data in cloud.files().items() if key.startswith("jobs/dogs/")} == before
    assert {row.jobs for row in cloud.rows().values()} == {frozenset({"dogs", "dogs-2"})}


def launch_at(cloud: Cloud, minute: int, **changes: Any) -> None:
    """Launch as if it were so many minutes past midnight."""
    module: Any = cloud.module("launch")
    module.timestamp = lambda seconds: f"2026-01-31T00:{minute:02d}:00Z"
    module.launch(event("direct-launch", **changes))


@pytest.mark.slow
def test_a_launch_that_died_is_made_whole_by_launching_again(cloud: Cloud) -> None:
    """Wherever the first run ended, the second leaves what one run would have."""
    data = upload(cloud)

    def left(job: str) -> dict[str, object]:
        files = {
            key.removeprefix(f"jobs/{job}/"): content.replace(job.encode(), b"dogs")
            for key, content in cloud.files(f"jobs/{job}/").items()
        }
        settings = json.loads(files.pop("job.json"))
        del settings["created_at"]
        rows = {key for key, row in cloud.rows().items() if job in row.jobs}
        return files | {"settings": settings, "rows": rows}

    cloud.traffic.calls.clear()
    launch_at(cloud, 0, job="whole")
    calls = len(cloud.traffic.calls)
    whole = left("whole")
    assert calls > 8
    assert whole["corpus.csv"] == data
    for done in range(calls):
        job = f"died-{done}"
        cloud.traffic.crash_after(done)
        with pytest.raises(Crash):
            launch_at(cloud, 0, job=job)
        cloud.traffic.on_call = None
        launch_at(cloud, 5, job=job)
        assert left(job) == whole, f"after a crash behind call {done}"


@pytest.mark.parametrize("rows", [0, 25])
def test_a_job_that_was_made_whole_is_of_its_first_launch(cloud: Cloud, rows: int) -> None:
    """A launch that ended before its last rows is completed as of the time at which it began."""
    upload(cloud, [(f"{HERE}/{number}.jpg", "Dog", 90) for number in range(60)])
    cloud.traffic.crash_after(rows // 25, "BatchExecuteStatement")
    with pytest.raises(Crash):
        launch_at(cloud, 0)
    cloud.traffic.on_call = None
    assert len(cloud.rows()) == rows
    assert "jobs/dogs/manifest.json" not in cloud.files()
    launch_at(cloud, 5)
    assert "jobs/dogs/manifest.json" in cloud.files()
    assert json.loads(cloud.store.blobs.read("jobs/dogs/job.json"))["created_at"] == "2026-01-31T00:00:00Z"
    created = [row.created_at for row in cloud.rows().values()]
    assert created == ["2026-01-31T00:00:00Z"] * 60


MALFORMED: dict[str, tuple[dict[str, Any], str]] = {
    "no job": ({"job": None}, "needs job"),
    "empty job": ({"job": ""}, "needs job"),
    "no corpus": ({"corpus": None}, "needs corpus"),
    "job of two words": ({"job": "two words"}, "job name"),
    "job that climbs": ({"job": "../x"}, "job name"),
    "job that is no text": ({"job": 7}, "job 7 is no text"),
    "corpus elsewhere": ({"corpus": "https://example.org/c.csv"}, "no address in S3"),
    "corpus in a file": ({"corpus": "/etc/passwd"}, "no address in S3"),
    "batch size in words": ({"batch_size": "ten"}, "batch_size 'ten' is no number"),
    "half a picture": ({"batch_size": 2.5}, "no whole number"),
    "endless batch": ({"batch_size": "inf"}, "no whole number"),
    "no batch": ({"batch_size": "nan"}, "no whole number"),
    "empty batch": ({"batch_size": 0}, "batch size 0"),
    "large batch": ({"batch_size": 101}, "batch size 101"),
    "true reviewers": ({"reviewers": True}, "reviewers True is no number"),
    "ten reviewers": ({"reviewers": 10}, "10 reviewers"),
    "confidence above": ({"minimum_confidence": 101}, "minimum confidence 101"),
    "confidence nowhere": ({"minimum_confidence": "nan"}, "minimum confidence nan"),
    "falling bands": ({"bands": "90,80,100"}, "bands"),
    "listed bands": ({"bands": [80, 100]}, "is no text"),
    "half a copy": ({"copy_images": "perhaps"}, "neither true nor false"),
    "unknown name": ({"batchsize": 10}, "knows nothing of batchsize"),
    "large seed": ({"seed": "1e30"}, "outside 64 bits"),
}


@unmeasured
@pytest.mark.parametrize(("changes", "said"), MALFORMED.values(), ids=MALFORMED)
def test_a_launch_that_cannot_be_is_refused_by_name(cloud: Cloud, changes: dict[str, Any], said: str) -> None:
    """A property that is missing, unknown or bad is named, and nothing is written."""
    upload(cloud)
    with pytest.raises(InputError, match=said):
        launch(cloud, **changes)
    assert cloud.files().keys() == {UPLOAD}
    assert cloud.rows() == {}


def test_numbers_may_come_as_texts(cloud: Cloud) -> None:
    """Numbers and truths are read from texts, as CloudFormation hands them over, with the same job."""
    upload(cloud)
    launch(cloud)
    texts = {
        "batch_size": "5",
        "minimum_confidence": "80",
        "reviewers": "3",
        "copy_images": "false",
        "seed": "0",
    }
    assert launch(cloud, **texts)["again"] is True


@unmeasured
def test_a_corpus_that_is_not_there_is_named(cloud: Cloud) -> None:
    """Where the corpus does not exist the error says so, and nothing is written."""
    with pytest.raises(NotFoundError, match=r"uploads/corpus\.csv does not exist"):
        launch(cloud)
    assert cloud.files() == {}


@unmeasured
@pytest.mark.parametrize("operation", ["GetObject", "PutObject", "BatchExecuteStatement"])
def test_a_service_that_refuses_is_an_error(cloud: Cloud, operation: str) -> None:
    """Where S3 or DynamoDB refuse, the error says what and where."""
    upload(cloud)
    cloud.traffic.refuse(operation, "AccessDenied" if "Object" in operation else "AccessDeniedException", 400)
    with pytest.raises(BulkqaError, match="AccessDenied"):
        launch(cloud)


def test_a_json_lines_corpus_and_a_manifest_are_read(cloud: Cloud) -> None:
    """A corpus is told apart by its content: lines of JSON, or a manifest with labels of its images."""
    line = {"image": DOGS[0][0], "label": "Dog", "confidence": 90}
    cloud.put("uploads/c.jsonl", json.dumps(line).encode() + b"\n")
    assert launch(cloud, corpus=f"{HERE}/uploads/c.jsonl")["items"] == 1
    labelled = {"source-ref": DOGS[1][0], "a": 0, "a-metadata": {"class-name": "Dog", "confidence": 0.9}}
    cloud.put("uploads/c.manifest", json.dumps(labelled).encode() + b"\n")
    assert launch(cloud, corpus=f"{HERE}/uploads/c.manifest", job="dogs-2")["items"] == 1
    assert images(cloud) == {DOGS[0][0], DOGS[1][0]}


@pytest.mark.slow
def test_a_launch_takes_few_calls(server_cloud: Cloud) -> None:
    """A new image costs under a tenth of a call, one whose row is there just over one, a job again none."""
    size = 600
    rows = [(f"s3://{server_cloud.bucket}/{number:04d}.jpg", f"L{number % 4}", 90) for number in range(size)]
    upload(server_cloud, rows)
    corpus = f"s3://{server_cloud.bucket}/{UPLOAD}"

    def calls_per_image(job: str) -> float:
        server_cloud.traffic.calls.clear()
        assert launch(server_cloud, corpus=corpus, job=job, batch_size=25)["items"] == size
        return len(server_cloud.traffic.calls) / size

    assert 0.04 <= calls_per_image("dogs") <= 0.095
    assert calls_per_image("dogs") <= 0.01
    assert 1 <= calls_per_image("dogs-2") <= 1.1
    assert len(server_cloud.rows()) == size
