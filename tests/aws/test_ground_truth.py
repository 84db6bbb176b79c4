"""Ground Truth's adapter, and `bulkqa job` over it, against stand-ins for SageMaker and the rest of AWS."""

import json
import os
import subprocess
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError

from bulkqa import steps
from bulkqa.aws.blobs import S3Blobs
from bulkqa.aws.clients import make_client
from bulkqa.aws.ground_truth import CORS_RULE, SageMakerLabeling
from bulkqa.aws.label_table import DynamoLabelTable
from bulkqa.errors import BulkqaError, ConflictError, NotFoundError, SetupError
from bulkqa.flow.answers import Decision
from bulkqa.jobs import output_manifest_key, settings_of
from bulkqa.ports import LabelingState, Store
from bulkqa.shipped import shipped
from bulkqa.steps.closing import Closing, close
from tests.aws.faults import Raw
from tests.aws.test_blobs import Answer, between, refused
from tests.aws.test_command import TEMPLATE
from tests.emulators import CREDENTIALS, Server
from tests.ground_truth import GroundTruth, nobody
from tests.sagemaker import CLOSED, FORBIDDEN, THROTTLED, WORKTEAM, RefusalError, SageMaker, serving
from tests.support import corpus_of
from tests.support_aws import REGION, new_name
from tests.test_cli import Run, bulkqa
from tests.test_labeling_request import FUNCTION, GOOD, request

NAME = "dogs--000-1"
VENDOR = WORKTEAM.replace("private-crowd", "vendor-crowd")

IN_STACK = {
    "SageMakerRoleARN": GOOD["role"],
    "PreLabelingFunctionARN": FUNCTION,
    "PostLabelingFunctionARN": GOOD["post_labeling"],
    "WorkerTemplateURI": GOOD["template"],
}


@pytest.fixture
def sagemaker(monkeypatch: pytest.MonkeyPatch) -> Iterator[SageMaker]:
    """SageMaker, where clients find it by the environment."""
    # The client's own waits last up to seconds; that it tries again is what matters here.
    monkeypatch.setattr("botocore.endpoint.time", types.SimpleNamespace(sleep=lambda _: None))
    with serving() as fake:
        for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL_SAGEMAKER": fake.url}.items():
            monkeypatch.setenv(name, value)
        yield fake


@pytest.fixture
def s3(ministack: Server) -> Any:
    """A client of S3 whose wire a test may meddle with."""
    return ministack.new_client("s3")


@pytest.fixture
def service(sagemaker: SageMaker, s3: Any) -> SageMakerLabeling:
    """The adapter."""
    return SageMakerLabeling(make_client("sagemaker", region=REGION), s3)


@pytest.fixture
def bucket(s3: Any) -> str:
    """A bucket with all that Ground Truth asks of one."""
    name = new_name("pictures")
    s3.create_bucket(Bucket=name)
    s3.put_bucket_cors(Bucket=name, CORSConfiguration={"CORSRules": [CORS_RULE]})
    return name


def test_a_labeling_job_from_creation_to_end(service: SageMakerLabeling, sagemaker: SageMaker) -> None:
    """What is created is what was asked for, and its state is the service's."""
    service.create(request(reviewers=2).to_api())
    assert sagemaker.requests == [request(reviewers=2).to_api()]
    assert service.describe(NAME) == LabelingState(NAME, "InProgress", 0, 0, 0)
    created = sagemaker.created[NAME]
    created.labeled, created.failed, created.unlabeled = 3, 1, 6
    assert service.describe(NAME) == LabelingState(NAME, "InProgress", 10, 3, 1)
    created.end("Failed", reason="ClientError: access denied")
    assert service.describe(NAME) == LabelingState(NAME, "Failed", 6, 0, 0, "ClientError: access denied")
    with pytest.raises(NotFoundError, match="dogs--000-2"):
        service.describe("dogs--000-2")


def test_absence_is_known_in_either_way(service: SageMakerLabeling, sagemaker: SageMaker) -> None:
    """SageMaker says of some things that they are invalid where they are not there."""
    absent = RefusalError("ValidationException", "Requested resource not found.")
    sagemaker.refusals["DescribeLabelingJob"] = absent
    with pytest.raises(NotFoundError):
        service.describe(NAME)
    sagemaker.refusals["DescribeLabelingJob"] = RefusalError("ValidationException", "too long")
    with pytest.raises(BulkqaError, match="too long"):
        service.describe(NAME)


def test_a_used_name_is_a_conflict(service: SageMakerLabeling, sagemaker: SageMaker) -> None:
    """Whatever the case of its letters, a name is used once; one under way for this manifest is this one."""
    service.create(request().to_api())
    service.create(request().to_api())
    with pytest.raises(ConflictError, match="another labeling job"):
        service.create(request(name="Dogs--000-1", manifest="s3://other/manifest.json").to_api())
    sagemaker.created[NAME].end("Completed", labeled=1)
    with pytest.raises(ConflictError):
        service.create(request().to_api())
    assert len(sagemaker.created) == 1


def test_a_lost_reply_is_no_conflict(service: SageMakerLabeling, sagemaker: SageMaker) -> None:
    """The client's second attempt finds the labeling job that the first one made."""
    sagemaker.lost = ["CreateLabelingJob"]
    service.create(request().to_api())
    assert sagemaker.calls.count("CreateLabelingJob") == 2
    assert list(sagemaker.created) == [NAME]


@pytest.mark.parametrize("operation", ["CreateLabelingJob", "DescribeLabelingJob"])
def test_a_closed_account_is_told_of_the_portal(
    service: SageMakerLabeling, sagemaker: SageMaker, operation: str
) -> None:
    """Whatever the service's words, a refusal ends with what an account new to it can do."""

    def call() -> None:
        if operation == "CreateLabelingJob":
            service.create(request().to_api())
        else:
            service.describe(NAME)

    for refusal, kind in ((CLOSED, BulkqaError), (FORBIDDEN, SetupError)):
        sagemaker.refusals[operation] = refusal
        with pytest.raises(kind) as closed:
            call()
        said = str(closed.value)
        assert refusal.message in said
        assert "no new customers since 30 July 2026" in said
        assert "bulkqa serve" in said
        assert closed.value.exit_code == 4
    for refusal in (THROTTLED, RefusalError("InternalFailure", "try again", 500)):
        sagemaker.refusals[operation] = refusal
        with pytest.raises(BulkqaError, match=refusal.message) as passing:
            call()
        assert "customers" not in str(passing.value)


def test_stop_leaves_what_has_ended(service: SageMakerLabeling, sagemaker: SageMaker) -> None:
    """Stopped twice is stopped once, even if a reply was lost, and what has ended is not stopped."""
    service.create(request().to_api())
    sagemaker.lost = ["StopLabelingJob"]
    service.stop(NAME)
    service.stop(NAME)
    assert sagemaker.created[NAME].status == "Stopping"
    assert sagemaker.calls.count("StopLabelingJob") == 2
    sagemaker.created[NAME].end("Stopped")
    service.stop(NAME)
    assert sagemaker.calls.count("StopLabelingJob") == 2
    with pytest.raises(NotFoundError):
        service.stop("dogs--000-2")
    sagemaker.created[NAME].status = "InProgress"
    sagemaker.refusals["StopLabelingJob"] = FORBIDDEN
    with pytest.raises(SetupError, match="not authorized"):
        service.stop(NAME)


def test_a_private_team_signs_in_at_its_portal(service: SageMakerLabeling, sagemaker: SageMaker) -> None:
    """The address is the team's subdomain; a vendor's team, or one that is gone, has none."""
    address = f"https://{sagemaker.workteams['reviewers']}"
    assert service.sign_in_address(WORKTEAM) == address
    assert service.sign_in_address(VENDOR) is None
    assert service.sign_in_address(f"{WORKTEAM}-of-old") is None
    sagemaker.refusals["DescribeWorkteam"] = FORBIDDEN
    with pytest.raises(SetupError):
        service.sign_in_address(WORKTEAM)


def rule(**changes: Any) -> dict[str, Any]:
    """The rule that Ground Truth asks for, with some parts changed."""
    return {name: value for name, value in {**CORS_RULE, **changes}.items() if value is not None}


OTHER = rule(AllowedMethods=["PUT"], AllowedOrigins=["https://it's.example.org"], ExposeHeaders=["ETag"])


@pytest.mark.parametrize(
    "rules",
    [
        [],
        [rule(AllowedMethods=["PUT", "HEAD"])],
        [rule(AllowedOrigins=["https://*.sagemaker.aws"])],
        [rule(ExposeHeaders=None)],
        [OTHER, rule(ExposeHeaders=["ETag"])],
    ],
    ids=["none", "without-get", "narrow", "unexposed", "others"],
)
def test_a_bucket_needs_the_rule_itself(
    service: SageMakerLabeling, s3: Any, bucket: str, rules: list[dict[str, Any]]
) -> None:
    """A bucket whose rules do not do is a fault; the mend it names, carried out, adds what is missing."""
    s3.delete_bucket_cors(Bucket=bucket)
    if rules:
        s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": rules})
    before = s3.get_bucket_cors(Bucket=bucket)["CORSRules"] if rules else []
    (fault,) = service.picture_faults(bucket)
    start = f"aws s3api put-bucket-cors --bucket {bucket} --cors-configuration "
    assert start in fault
    assert "\n" not in fault
    shell = ["sh", "-c", f"printf %s {fault.partition(start)[2]}"]
    mended = json.loads(subprocess.run(shell, capture_output=True, check=True).stdout)
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration=mended)
    assert service.picture_faults(bucket) == []
    assert s3.get_bucket_cors(Bucket=bucket)["CORSRules"][1:] == before


def test_one_good_rule_among_others_is_enough(service: SageMakerLabeling, s3: Any, bucket: str) -> None:
    """Where the rule stands, how its header is written, and what else it allows does not matter."""
    good = rule(AllowedMethods=["HEAD", "GET"], ExposeHeaders=["etag", "access-control-allow-origin"])
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [OTHER, good]})
    assert service.picture_faults(bucket) == []


def location(place: str) -> Answer:
    """S3's answer that a bucket is in this Region."""
    space = "http://s3.amazonaws.com/doc/2006-03-01/"
    body = f'<LocationConstraint xmlns="{space}">{place}</LocationConstraint>'.encode()
    return lambda asked: AWSResponse(asked.url, 200, {"Content-Length": str(len(body))}, Raw(body))


@pytest.mark.parametrize(
    ("place", "region"), [("eu-central-1", "eu-central-1"), ("EU", "eu-west-1"), ("", None)]
)
def test_pictures_have_to_be_in_the_region(
    service: SageMakerLabeling, s3: Any, bucket: str, place: str, region: str | None
) -> None:
    """A bucket in another Region is a fault that a launch with copies mends; no name is us-east-1."""
    between(s3, "GET", location(place))
    faults = service.picture_faults(bucket)
    assert len(faults) == (0 if region is None else 1)
    if region is not None:
        assert f"in {region}" in faults[0]
        assert f"Region, {REGION}" in faults[0]
        assert "--copy-images" in faults[0]


def test_a_bucket_that_is_not_there_is_one_fault(service: SageMakerLabeling) -> None:
    """It is said once that there is no such bucket."""
    (fault,) = service.picture_faults("bulkqa-no-such-bucket")
    assert "there is no bucket bulkqa-no-such-bucket" in fault


def test_what_may_not_be_looked_into_is_no_fault(service: SageMakerLabeling, s3: Any, bucket: str) -> None:
    """A refusal of S3's is an error of its own kind, but a fault that was found is told all the same."""
    between(s3, "GET", refused(403, "AccessDenied"), refused(403, "AccessDenied"))
    with pytest.raises(SetupError, match=f"{bucket}.*AccessDenied"):
        service.picture_faults(bucket)
    s3.delete_bucket_cors(Bucket=bucket)
    again = SageMakerLabeling(make_client("sagemaker", region=REGION), s3)
    between(s3, "GET", refused(403, "AccessDenied"))
    assert len(again.picture_faults(bucket)) == 1


def stack_with(ministack: Server, outputs: dict[str, str]) -> tuple[str, str]:
    """A new stack with a bucket, a table and these outputs; return the names of stack and bucket."""
    cloudformation = ministack.client("cloudformation")
    name = new_name("stack")
    more = {key: {"Value": value} for key, value in outputs.items()}
    template: dict[str, Any] = {**TEMPLATE}
    template["Outputs"] = {**template["Outputs"], **more}
    cloudformation.create_stack(StackName=name, TemplateBody=json.dumps(template))
    cloudformation.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1})
    described = cloudformation.describe_stacks(StackName=name)["Stacks"][0]["Outputs"]
    return name, {output["OutputKey"]: output["OutputValue"] for output in described}["BulkQABucket"]


@pytest.fixture
def blobs(
    ministack: Server, sagemaker: SageMaker, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> S3Blobs:
    """A stack the command works in, and in it a job `dogs` of four pages."""
    for name, value in {"AWS_ENDPOINT_URL": ministack.url, "AWS_REGION": REGION}.items():
        monkeypatch.setenv(name, value)
    stack, store = stack_with(ministack, IN_STACK)
    monkeypatch.setenv("BULKQA_STACK", stack)
    rows = [(f"s3://{bucket}/{number}.jpg", ("Cat", "Dog")[number % 2], 90) for number in range(4)]
    (tmp_path / "corpus.csv").write_bytes(corpus_of(rows))
    launched = bulkqa("launch", "corpus.csv", "--job", "dogs", "--batch-size", "1", "--reviewers", "2")
    assert launched.code == 0, launched.err
    return S3Blobs(ministack.client("s3"), store)


def job(what: str, *arguments: str) -> Run:
    """Run `bulkqa job` for the job."""
    team = ("--workteam", WORKTEAM) if what == "start" and "--workteam" not in arguments else ()
    return bulkqa("job", what, "dogs", *team, *arguments)


def test_start_asks_on_the_jobs_own_terms(blobs: S3Blobs, sagemaker: SageMaker) -> None:
    """What is not said is as the job was launched, or as usual; the places are the stack's."""
    run = job("start")
    assert (run.code, run.err) == (0, "")
    assert "Started labeling job dogs--000-1: 4 pages." in run.out
    assert f"sign in at https://{sagemaker.workteams['reviewers']}" in run.out
    (asked,) = sagemaker.requests
    made = request(
        manifest=blobs.uri("jobs/dogs/manifest.json"),
        output=blobs.uri("output"),
        title="Pick out the wrong labels (2 labels)",
        reviewers=2,
    )
    assert asked == made.to_api()


def test_start_asks_as_it_is_told(blobs: S3Blobs, sagemaker: SageMaker) -> None:
    """Every option finds its place in the request, and JSON tells what was started."""
    terms = {
        "--workteam": VENDOR,
        "--reviewers": "3",
        "--time-limit": "60",
        "--available-for": "120",
        "--title": "Hunde?",
        "--description": "Oder nicht?",
        "--max-concurrent": "7",
    }
    run = job("start", *(part for term in terms.items() for part in term), "--format", "json")
    assert run.json == {
        "schema": 1,
        "job": "dogs",
        "parts": [{"part": 0, "outcome": "created", "labeling_job": "dogs--000-1", "objects": 4}],
        "sign_in": None,
    }
    task = sagemaker.requests[0]["HumanTaskConfig"]
    assert task["WorkteamArn"] == VENDOR
    numbers = ("NumberOfHumanWorkersPerDataObject", "TaskTimeLimitInSeconds", "MaxConcurrentTaskCount")
    assert [task[name] for name in numbers] == [3, 60, 7]
    assert task["TaskAvailabilityLifetimeInSeconds"] == 120
    assert (task["TaskTitle"], task["TaskDescription"]) == ("Hunde?", "Oder nicht?")


def test_start_refuses_before_any_call(
    blobs: S3Blobs, sagemaker: SageMaker, subtests: pytest.Subtests
) -> None:
    """What Ground Truth would refuse is an error of usage, and SageMaker hears nothing of it."""
    for option, value, said in (
        ("--title", "t" * 129, "title: 129 characters"),
        ("--description", "two\nlines", "description"),
        ("--reviewers", "10", "reviewers: 10"),
        ("--time-limit", "29", "time limit"),
        ("--available-for", "1", "availability"),
        ("--max-concurrent", "5001", "tasks at once"),
        ("--workteam", WORKTEAM.replace(REGION, "eu-west-1"), "eu-west-1"),
        ("--workteam", WORKTEAM.replace("private-crowd/reviewers", "public-crowd/default"), "strangers"),
    ):
        with subtests.test(said):
            run = job("start", option, value)
            assert (run.code, run.out) == (2, "")
            assert said in run.err
            assert sagemaker.calls == []
            assert not list(blobs.keys("jobs/dogs/labeling-jobs/"))


def test_start_can_be_mended(blobs: S3Blobs, sagemaker: SageMaker, s3: Any, bucket: str) -> None:
    """After a refusal for pictures, then for the team, the same command with the mend does it."""
    s3.delete_bucket_cors(Bucket=bucket)
    run = job("start")
    assert run.code == 2
    assert f"put-bucket-cors --bucket {bucket}" in run.err
    assert sagemaker.requests == []
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [CORS_RULE]})
    run = job("start", "--workteam", f"{WORKTEAM}-of-old")
    assert run.code == 4
    assert "does not exist" in run.err
    assert job("status", "--format", "json").json["labeling_jobs"][0]["status"] == "NotCreated"
    assert "Started labeling job dogs--000-1" in job("start").out
    assert job("status", "--format", "json").json["labeling_jobs"][0]["workteam"] == WORKTEAM


def test_a_closed_account_leaves_with_the_portal(blobs: S3Blobs, sagemaker: SageMaker) -> None:
    """An account that is new to Ground Truth is told what it can do instead."""
    sagemaker.refusals = {"CreateLabelingJob": CLOSED}
    run = job("start")
    assert run.code == 4
    assert "takes no new customers since 30 July 2026" in run.err
    assert "bulkqa serve" in run.err
    assert "30 July 2026" in bulkqa("job", "--help").out + bulkqa("job", "start", "--help").out


def test_status_tells_how_far_it_is(blobs: S3Blobs, sagemaker: SageMaker) -> None:
    """The table has each labeling job's counts and the sign-in address; JSON the same, and nothing else."""
    empty = job("status")
    assert (empty.code, empty.out) == (0, "")
    assert "bulkqa job start" in empty.err
    job("start")
    created = sagemaker.created[NAME]
    created.labeled, created.failed, created.unlabeled = 2, 1, 1
    run = job("status")
    assert run.code == 0
    for text in (NAME, "InProgress", "Labelled", "https://a1b2c3d4e5", "dogs--000-1 failed on 1 of 4 pages"):
        assert text in run.out
    (one,) = job("status", "--format", "json").json["labeling_jobs"]
    assert one.pop("created_at")
    assert one == {
        "labeling_job": NAME,
        "part": 0,
        "attempt": 1,
        "status": "InProgress",
        "labelled": 2,
        "failed": 1,
        "total": 4,
        "failure_reason": None,
        "reviewers": 2,
        "workteam": WORKTEAM,
        "sign_in": "https://a1b2c3d4e5.labeling.us-east-1.sagemaker.aws",
    }


def test_status_marks_what_failed(blobs: S3Blobs, sagemaker: SageMaker) -> None:
    """Completed without a label is failed; so is what Ground Truth calls so, with its reason."""
    job("start")
    sagemaker.created[NAME].end("Completed", failed=4)
    assert "Failed" in job("status").out
    (one,) = job("status", "--format", "json").json["labeling_jobs"]
    assert (one["status"], one["labelled"], one["failed"]) == ("Failed", 0, 4)
    assert "no page was labelled" in one["failure_reason"]
    assert "Started labeling job dogs--000-2: 4 pages." in job("start").out
    sagemaker.created["dogs--000-2"].end("Failed", reason="ClientError: no access to the bucket")
    lines = job("status").out.splitlines()
    assert "dogs--000-2: ClientError: no access to the bucket" in lines
    found = job("status", "--format", "json").json["labeling_jobs"]
    assert [one["status"] for one in found] == ["Failed", "Failed"]


def test_status_goes_on_without_the_address(blobs: S3Blobs, sagemaker: SageMaker) -> None:
    """Where the team may not be looked up, that is said, and the rest is shown."""
    job("start")
    sagemaker.refusals["DescribeWorkteam"] = FORBIDDEN
    run = job("status")
    assert (run.code, NAME in run.out) == (0, True)
    assert "where the work team signs in" in run.err
    assert job("status", "--format", "json").json["labeling_jobs"][0]["sign_in"] is None


def test_stop_then_start_asks_for_the_rest(blobs: S3Blobs, sagemaker: SageMaker) -> None:
    """What is under way is stopped; once it has, a start asks for what is not labelled."""
    job("start")
    assert "Stopping labeling job dogs--000-1." in job("stop").out
    assert job("stop", "--format", "json").json == {"schema": 1, "job": "dogs", "stopped": []}
    assert "no labeling job under way" in job("stop").err
    assert "dogs--000-1 is under way" in job("start").out
    manifest = blobs.read("jobs/dogs/manifest.json").splitlines(keepends=True)
    label = {"bulkqa-review": {}, "bulkqa-review-metadata": {"type": "groundtruth/custom"}}
    lines = [json.dumps(json.loads(line) | label).encode() + b"\n" for line in manifest[:3]]
    blobs.write(output_manifest_key(NAME), b"".join([*lines, manifest[3]]))
    sagemaker.created[NAME].end("Stopped", labeled=3)
    assert "Started labeling job dogs--000-2: 1 pages." in job("start").out
    own = blobs.key(sagemaker.created["dogs--000-2"].manifest)
    assert blobs.read(own) == manifest[3]
    blobs.write(output_manifest_key("dogs--000-2"), json.dumps(json.loads(manifest[3]) | label).encode())
    sagemaker.created["dogs--000-2"].end("Completed", labeled=1)
    assert "labelled" in job("start").out
    assert len(sagemaker.requests) == 2


def test_a_job_whose_labels_close_early_goes_by_rounds(
    blobs: S3Blobs, sagemaker: SageMaker, bucket: str, tmp_path: Path
) -> None:
    """Each start asks for the next round; status says that one is due; when all is closed, start says so."""
    rows = [(f"s3://{bucket}/{number}.jpg", ("Cat", "Dog")[number % 2], 90) for number in range(40)]
    (tmp_path / "early.csv").write_bytes(corpus_of(rows))
    terms = ("--batch-size", "1", "--stop-early", "8", "--target", "0.9")
    assert bulkqa("launch", "early.csv", "--job", "early", *terms).code == 0

    def early(what: str, *arguments: str) -> Run:
        team = ("--workteam", WORKTEAM) if what == "start" else ()
        return bulkqa("job", what, "early", *team, *arguments)

    run = early("start")
    assert "Started labeling job early--000-1: 16 pages." in run.out
    assert "0 of 2 labels are closed. Once this round has ended" in run.out
    assert early("status", "--format", "json").json["next_round_due"] is False
    sagemaker.created["early--000-1"].end("Completed", failed=16)
    assert early("status", "--format", "json").json["next_round_due"] is True
    assert "`bulkqa job start early` closes those that are settled" in early("status").out
    settings = settings_of("early", blobs)
    for label in ("Cat", "Dog"):
        closing = Closing(label, "2026-01-01T00:00:00Z", 8, 8, 0, None, "cannot be met")
        close(settings, closing, Store(blobs, None, None))  # type: ignore[arg-type]
    run = early("start")
    assert (run.code, "Every label is closed: there is nothing left to ask." in run.out) == (0, True)
    document = early("start", "--format", "json").json
    assert document["closed_labels"] == ["Cat", "Dog"]
    assert [part["outcome"] for part in document["parts"]] == ["nothing-left"]
    assert early("status", "--format", "json").json["next_round_due"] is False
    assert len(sagemaker.requests) == 1


def test_a_job_is_played_to_its_end(blobs: S3Blobs, sagemaker: SageMaker, ministack: Server) -> None:
    """What was started is a labeling job as Ground Truth plays it; what expired is asked for again."""
    outputs = ministack.client("cloudformation").describe_stacks(StackName=os.environ["BULKQA_STACK"])
    named = {one["OutputKey"]: one["OutputValue"] for one in outputs["Stacks"][0]["Outputs"]}
    table = DynamoLabelTable(ministack.client("dynamodb"), named["DynamoDBLabelTableName"])
    store = Store(blobs, table, None)
    template = shipped("templates/worker.liquid.html").read_text("utf-8")

    def play(name: str, expired: Callable[[str, str], bool]) -> None:
        created = sagemaker.created[name]
        truth = GroundTruth(
            created.played(template),
            ministack.client("s3"),
            lambda asked: steps.pre_label(asked, blobs)[0],
            lambda asked: steps.post_label(asked, store).reply,
        )
        assert len(truth.job.workers) == 2
        truth.hand_out()
        truth.review(lambda worker, image: Decision.CONFIRM, expired)
        truth.consolidate()
        truth.finish()
        created.end("Completed", len(truth.results), len(truth.tasks) - len(truth.results))

    job("start")
    play(NAME, lambda worker, number: number in ("1", "3"))
    assert "dogs--000-1 failed on 2 of 4 pages" in job("status").out
    assert "Started labeling job dogs--000-2: 2 pages." in job("start").out
    play("dogs--000-2", nobody)
    assert "All pages up to labeling job dogs--000-2 are labelled." in job("start").out
    assert "failed on" not in job("status").out
    report = bulkqa("report", "dogs", "--format", "json").json
    assert (report["totals"]["confirmed"], report["totals"]["unreviewed"]) == (4, 0)
    assert {len(row.voters) for row in table.rows()} == {2}


def test_the_stand_in_knows_what_else_there_is(sagemaker: SageMaker, service: SageMakerLabeling) -> None:
    """Labeling jobs are listed, pages rendered, and whatever breaks a rule is refused as AWS refuses it."""
    client = make_client("sagemaker", region=REGION)
    service.create(request().to_api())
    (listed,) = client.list_labeling_jobs(NameContains="dogs")["LabelingJobSummaryList"]
    assert (listed["LabelingJobName"], listed["LabelingJobStatus"]) == (NAME, "InProgress")
    page = {"UiTemplate": {"Content": "<p>{{ task.input.a }}"}, "RoleArn": GOOD["role"]}
    rendered = client.render_ui_template(Task={"Input": '{"a": "<b>"}'}, **page)
    assert (rendered["RenderedContent"], rendered["Errors"]) == ("<p>&lt;b&gt;", [])
    page["UiTemplate"] = {"Content": "{% if %}"}
    assert client.render_ui_template(Task={"Input": "{}"}, **page)["Errors"]
    bad = request().to_api() | {"LabelAttributeName": "bulkqa_review"}
    with pytest.raises(ClientError, match=r"ValidationException.*LabelAttributeName.*does not match"):
        client.create_labeling_job(**bad)


def test_pictures_that_cannot_be_looked_into_are_a_warning(
    blobs: S3Blobs, sagemaker: SageMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the right to look at the bucket with the pictures, the command says so and goes on."""

    def forbidden(self: SageMakerLabeling, bucket: str) -> list[str]:
        raise SetupError(f"bucket {bucket}: AccessDenied: no")

    monkeypatch.setattr(SageMakerLabeling, "picture_faults", forbidden)
    run = job("start")
    assert (run.code, "Started" in run.out) == (0, True)
    assert "could not check" in run.err


def test_a_stack_has_to_have_all_that_is_needed(
    blobs: S3Blobs, sagemaker: SageMaker, ministack: Server, subtests: pytest.Subtests
) -> None:
    """Where an older stack lacks an output, it is named."""
    for missing in IN_STACK:
        with subtests.test(missing):
            there = {key: value for key, value in IN_STACK.items() if key != missing}
            run = job("start", "--stack", stack_with(ministack, there)[0])
            assert run.code == 4
            assert missing in run.err
            assert sagemaker.calls == []


def test_a_labeling_job_needs_a_stack_and_a_job(
    blobs: S3Blobs, monkeypatch: pytest.MonkeyPatch, subtests: pytest.Subtests
) -> None:
    """A job that is not there, and a missing stack, are named."""
    for what, team in (("start", ("--workteam", WORKTEAM)), ("status", ()), ("stop", ())):
        with subtests.test(what):
            nothing = bulkqa("job", what, "cats", *team)
            assert (nothing.code, "no job 'cats'" in nothing.err) == (2, True)
            with monkeypatch.context() as patch:
                patch.delenv("BULKQA_STACK")
                nowhere = job(what)
            assert (nowhere.code, "--stack" in nowhere.err) == (2, True)


def test_the_stacks_own_work_team_reviews_where_no_other_is_named(
    ministack: Server,
    sagemaker: SageMaker,
    bucket: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A stack with a work team of its own needs no name of one; one without asks for it."""
    for name, value in {"AWS_ENDPOINT_URL": ministack.url, "AWS_REGION": REGION}.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "corpus.csv").write_bytes(corpus_of([(f"s3://{bucket}/1.jpg", "Cat", 90)]))
    for outputs, code in ((IN_STACK, 2), (IN_STACK | {"WorkteamARN": WORKTEAM}, 0)):
        stack, _ = stack_with(ministack, outputs)
        assert bulkqa("launch", "corpus.csv", "--job", "dogs", "--stack", stack).code == 0
        run = bulkqa("job", "start", "dogs", "--stack", stack)
        assert (run.code, "name the work team" in run.err) == (code, code == 2)
    (asked,) = sagemaker.requests
    assert asked["HumanTaskConfig"]["WorkteamArn"] == WORKTEAM
