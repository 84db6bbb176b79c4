"""The command on AWS: the same jobs, in a stack's bucket and table."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bulkqa import steps
from bulkqa.aws.blobs import S3Blobs
from bulkqa.aws.label_table import DynamoLabelTable
from bulkqa.ports import Store
from bulkqa.steps.results import job_pages
from tests.emulators import CREDENTIALS, Server
from tests.support_aws import REGION, new_name
from tests.test_cli import bulkqa, of_rows

CORPUS = "label,confidence,image\nDog,99.5,a.jpg\nDog,85,b.jpg\nDog,85,c.jpg\nCat,79,c.jpg\nCat,91,s3://other/e.jpg\n"

TEMPLATE = {
    "Resources": {
        "Bucket": {"Type": "AWS::S3::Bucket"},
        "Table": {
            "Type": "AWS::DynamoDB::Table",
            "Properties": {
                "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [
                    {"AttributeName": "s3_image_url", "AttributeType": "S"},
                    {"AttributeName": "label", "AttributeType": "S"},
                ],
                "KeySchema": [
                    {"AttributeName": "s3_image_url", "KeyType": "HASH"},
                    {"AttributeName": "label", "KeyType": "RANGE"},
                ],
            },
        },
    },
    "Outputs": {
        "BulkQABucket": {"Value": {"Ref": "Bucket"}},
        "DynamoDBLabelTableName": {"Value": {"Ref": "Table"}},
    },
}


@pytest.fixture
def stack(ministack: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A stack with bulkqa's outputs, in an AWS that the command finds by its environment."""
    for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL": ministack.url, "AWS_REGION": REGION}.items():
        monkeypatch.setenv(name, value)
    cloudformation = ministack.client("cloudformation")
    name = new_name("stack")
    cloudformation.create_stack(StackName=name, TemplateBody=json.dumps(TEMPLATE))
    cloudformation.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1})
    yield name


@pytest.fixture
def store(stack: str, ministack: Server) -> Store:
    """The stack's bucket and table."""
    described = ministack.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in described["Outputs"]}
    return Store(
        S3Blobs(ministack.client("s3"), outputs["BulkQABucket"]),
        DynamoLabelTable(ministack.client("dynamodb"), outputs["DynamoDBLabelTableName"]),
        None,
    )


@pytest.fixture
def corpus(tmp_path: Path) -> str:
    """A corpus of relative and S3 references."""
    (tmp_path / "corpus.csv").write_text(CORPUS)
    return "corpus.csv"


def payload(store: Store, job: str, says: dict[int, list[bool]]) -> dict[str, Any]:
    """A post-labeling event: one worker's decisions on pages of a job."""
    entries = [
        {
            "datasetObjectId": str(number),
            "dataObject": {"s3Uri": store.blobs.uri(f"jobs/{job}/custom-labeling-inputs/{number:08d}.json")},
            "annotations": [
                {
                    "workerId": "private.w1",
                    "annotationData": {
                        "content": json.dumps(
                            {f"item-{n:03d}": {"Confirmed": say} for n, say in enumerate(said)}
                        )
                    },
                }
            ],
        }
        for number, said in says.items()
    ]
    return {
        "labelingJobArn": "arn:x/pets",
        "labelAttributeName": "verdict",
        "payload": {"content": json.dumps(entries)},
    }


def test_a_job_from_launch_to_export(stack: str, store: Store, corpus: str, tmp_path: Path) -> None:
    """Launched, answered, reported, exported and replayed in a stack, a job reads as it would at home."""
    launched = bulkqa(
        "launch",
        corpus,
        "--job",
        "pets",
        "--images",
        "s3://pictures/pets",
        "--stack",
        stack,
        "--format",
        "json",
    )
    assert launched.code == 0, launched.err
    assert launched.json["labels"] == {"Cat": 1, "Dog": 3}
    assert launched.json["rejected_file"] == store.blobs.uri("jobs/pets/rejected.csv")
    images = {row.key[0] for row in store.table.rows()}
    assert images == {"s3://other/e.jpg", *(f"s3://pictures/pets/{name}.jpg" for name in "abc")}

    steps.post_label(payload(store, "pets", {0: [True], 1: [True, True, False]}), store)
    report = bulkqa("report", "pets", "--stack", stack, "--format", "json").json
    assert (report["totals"]["confirmed"], report["totals"]["disconfirmed"]) == (3, 1)
    status = bulkqa("status", "pets", "--stack", stack, "--format", "json").json["jobs"][0]["labels"]
    assert [(line["label"], line["pages_done"], line["items_done"]) for line in status] == [
        ("Cat", 1, 1),
        ("Dog", 1, 3),
    ]

    assert bulkqa("export", "pets", "--stack", stack, "--format", "jsonl", "-o", "rows.jsonl").code == 0
    assert bulkqa("report", "rows.jsonl", "--format", "json").json == of_rows(report)
    replayed = bulkqa("replay", "pets", "--stack", stack, "--format", "json").json
    assert (replayed["votes_counted"], replayed["votes_already_counted"]) == (0, 4)
    assert (
        bulkqa("replay", "pets", "--stack", stack, "--check", "--format", "json").json["votes_without_answer"]
        == []
    )


def test_the_next_round_and_what_goes_into_training(
    stack: str, store: Store, corpus: str, ministack: Server, tmp_path: Path
) -> None:
    """Relabelled and adjudicated in a stack; pictures are fetched from S3 under their final labels."""
    s3 = ministack.client("s3")
    bucket = new_name("pictures")
    s3.create_bucket(Bucket=bucket)
    for name in "ab":
        s3.put_object(Bucket=bucket, Key=f"pets/{name}.jpg", Body=name.encode())
    where = ["--stack", stack]
    assert bulkqa("launch", corpus, "--job", "pets", "--images", f"s3://{bucket}/pets", *where).code == 0
    pages = [(page.key, [row.key[0][-5:] for row in page.rows]) for page in job_pages("pets", store)]
    shown = dict(enumerate(images for _, images in pages))
    steps.post_label(
        payload(store, "pets", {n: [i != "b.jpg" for i in found] for n, found in shown.items()}), store
    )
    assert bulkqa("adjudicate", "pets", "--job", "second", *where).code == 2
    (tmp_path / "other.json").write_text('{"Dog": "Wolf"}')
    run = bulkqa("relabel", "pets", "--job", "r1", "--proposals", "other.json", *where, "--format", "json")
    assert (run.code, run.json["labels"]) == (0, {"Wolf": 1})
    assert run.json["rejected_file"] == store.blobs.uri("jobs/r1/rejected.csv")
    steps.post_label(payload(store, "r1", {0: [True]}), store)

    (row,) = (row for row in store.table.rows() if row.key[1] == "Wolf")
    assert (row.key[0], row.source, row.confidence) == (f"s3://{bucket}/pets/b.jpg", "relabel:pets", 85.0)
    lines = bulkqa("export", "pets", "--format", "manifest", *where).out.splitlines()
    found = {entry["source-ref"]: entry["label-metadata"]["class-name"] for entry in map(json.loads, lines)}
    assert found[f"s3://{bucket}/pets/b.jpg"] == "Wolf"
    run = bulkqa("export", "pets", "--format", "imagefolder", "-o", "train", *where)
    assert run.code == 0, run.err
    files = {path.relative_to("train").as_posix(): path.read_text() for path in Path("train").rglob("*.jpg")}
    assert files == {"Dog/a.jpg": "a", "Wolf/b.jpg": "b"}
    assert "2 pictures were left out" in run.err


def test_bucket_and_table_can_be_named(store: Store, stack: str, corpus: str, ministack: Server) -> None:
    """Without a stack, --bucket and --table do; one alone is refused, and so is a stack that is none."""
    outputs = ministack.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]["Outputs"]
    named = {output["OutputKey"]: output["OutputValue"] for output in outputs}
    where = ["--bucket", named["BulkQABucket"], "--table", named["DynamoDBLabelTableName"]]
    assert bulkqa("launch", corpus, "--job", "pets", "--images", "s3://p", *where).code == 0
    assert bulkqa("status", *where, "--format", "json").json["jobs"][0]["job"] == "pets"
    assert bulkqa("report", "pets", *where[:2]).code == 2
    missing = bulkqa("report", "pets", "--stack", "nothing")
    assert (missing.code, "nothing" in missing.err) == (2, True)


def test_a_corpus_in_s3_is_fetched(stack: str, ministack: Server, tmp_path: Path) -> None:
    """CORPUS may be an object in S3; one that is not there is named."""
    s3 = ministack.client("s3")
    bucket = new_name("corpora")
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="c/corpus.csv", Body=CORPUS.encode())
    where = ["--job", "pets", "--images", "s3://p", "--stack", stack]
    assert bulkqa("launch", f"s3://{bucket}/c/corpus.csv", *where).code == 0
    missing = bulkqa("launch", f"s3://{bucket}/none.csv", *where)
    assert (missing.code, "none.csv" in missing.err) == (2, True)


def test_pictures_can_be_copied(stack: str, store: Store, corpus: str, ministack: Server) -> None:
    """With --copy-images pictures are copied into the bucket; one that is missing is rejected."""
    s3 = ministack.client("s3")
    bucket = new_name("pictures")
    s3.create_bucket(Bucket=bucket)
    for name in "ab":
        s3.put_object(Bucket=bucket, Key=f"pets/{name}.jpg", Body=name.encode(), Tagging="owner=zoo")
    where = ["--job", "pets", "--images", f"s3://{bucket}/pets", "--stack", stack, "--copy-images"]
    run = bulkqa("launch", corpus, *where, "--format", "json")
    assert (run.code, run.json["items"], run.json["rejected"]) == (0, 2, 3)
    assert "does not exist" in run.err
    copies = {row.key[0] for row in store.table.rows()}
    assert copies == {store.blobs.uri(f"jobs/pets/images/{bucket}/pets/{name}.jpg") for name in "ab"}
    assert {store.blobs.read(store.blobs.key(copy)) for copy in copies} == {b"a", b"b"}
    for copy in copies:
        there, _, key = copy.removeprefix("s3://").partition("/")
        assert s3.get_object_tagging(Bucket=there, Key=key)["TagSet"] == []


def test_of_a_sample_its_pictures_alone_are_copied(
    stack: str, store: Store, ministack: Server, tmp_path: Path
) -> None:
    """With --sample a missing picture is rejected as ever, and what is not in the sample is not copied."""
    s3 = ministack.client("s3")
    bucket = new_name("pictures")
    s3.create_bucket(Bucket=bucket)
    for number in range(8):
        s3.put_object(Bucket=bucket, Key=f"{number}.jpg", Body=b"x")
    rows = [f"Dog,99,{number}.jpg\n" for number in range(9)]
    (tmp_path / "corpus.csv").write_text("label,confidence,image\n" + "".join(rows))
    of = ("corpus.csv", "--reviews-per-label", "3", "--format", "json", "-o", "plan.json")
    assert bulkqa("plan", *of).code == 0
    where = ["--job", "pets", "--images", f"s3://{bucket}", "--stack", stack, "--copy-images"]
    run = bulkqa("launch", "corpus.csv", *where, "--sample", "plan.json", "--format", "json")
    assert (run.code, run.json["items"], run.json["left_out"], run.json["rejected"]) == (0, 3, 5, 1)
    shown = {store.blobs.key(row.key[0]) for row in store.table.rows()}
    assert len(shown) == 3
    assert set(store.blobs.keys("jobs/pets/images/")) == shown


def test_a_page_holds_pictures_of_the_stack(
    stack: str, store: Store, corpus: str, ministack: Server, tmp_path: Path
) -> None:
    """As html a report shows small pictures in S3 itself, and links those that it cannot read."""
    s3 = ministack.client("s3")
    bucket = new_name("pictures")
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="a.jpg", Body=b"small")
    s3.put_object(Bucket=bucket, Key="b.jpg", Body=b"x" * 210_000)
    launched = bulkqa("launch", corpus, "--job", "pets", "--images", f"s3://{bucket}", "--stack", stack)
    assert launched.code == 0, launched.err
    steps.post_label(payload(store, "pets", {0: [True], 1: [True, True, False]}), store)
    run = bulkqa("report", "pets", "--stack", stack, "--format", "html")
    assert run.code == 0, run.err
    assert f"data:image/jpeg;base64,{base64.b64encode(b'small').decode()}" in run.out
    assert run.out.count("data:image/jpeg") == 1
    for place in (f"{bucket}?prefix=b.jpg", f"{bucket}?prefix=c.jpg", "other?prefix=e.jpg"):
        assert f"https://console.aws.amazon.com/s3/object/{place}" in run.out


def test_pictures_of_this_machine_are_no_use_there(stack: str, corpus: str, tmp_path: Path) -> None:
    """A folder of pictures is refused on AWS, and a bare path without --images is rejected row by row."""
    (tmp_path / "pictures").mkdir()
    refused = bulkqa("launch", corpus, "--job", "pets", "--images", "pictures", "--stack", stack)
    assert (refused.code, "S3" in refused.err) == (2, True)
    run = bulkqa("launch", corpus, "--job", "pets", "--stack", stack, "--format", "json")
    assert (run.json["items"], run.json["rejected"]) == (1, 4)
