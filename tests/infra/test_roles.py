"""Who may do what, to the letter: one role for each function and one for Ground Truth."""

import pytest

from tests.infra.conftest import Synthesised, written

BUCKET, TABLE = "<StorageBucket.Arn>", "<StorageLabels.Arn>"
PICTURES = "arn:<AWS::Partition>:s3:::pictures"
ARCHIVE = "arn:<AWS::Partition>:s3:::archive"
HERE = "<AWS::Region>:<AWS::AccountId>"
IMAGES = {f"{BUCKET}/*", f"{PICTURES}/dogs/*", f"{PICTURES}/cats/*", f"{ARCHIVE}/*"}
BUCKETS = {BUCKET, PICTURES, ARCHIVE}
DEAD_LETTERS = {"sqs:SendMessage": {"<FunctionsDeadLetters.Arn>"}}

NO_RESOURCES = {"xray:PutTraceSegments", "xray:PutTelemetryRecords", "cloudwatch:PutMetricData"}
"""Actions for which AWS knows no resource."""

ALLOWED = {
    "PreLabeling": {"s3:GetObject": {f"{BUCKET}/jobs/*"}, "s3:ListBucket": {BUCKET}},
    "PostLabeling": {
        "s3:GetObject": {f"{BUCKET}/jobs/*", f"{BUCKET}/output/*"},
        "s3:ListBucket": {BUCKET},
        "s3:PutObject": {f"{BUCKET}/jobs/*/answers/*"},
        "dynamodb:UpdateItem": {TABLE},
        "dynamodb:GetItem": {TABLE},
    },
    "Launch": {
        "s3:GetObject": IMAGES,
        "s3:ListBucket": BUCKETS,
        "s3:PutObject": {f"{BUCKET}/jobs/*"},
        "s3:AbortMultipartUpload": {f"{BUCKET}/jobs/*"},
        "dynamodb:PartiQLInsert": {TABLE},
        "dynamodb:UpdateItem": {TABLE},
        "dynamodb:Scan": {TABLE},
        **DEAD_LETTERS,
    },
    "Report": {
        "s3:GetObject": {f"{BUCKET}/jobs/*", f"{BUCKET}/output/*"},
        "s3:ListBucket": {BUCKET},
        "s3:PutObject": {f"{BUCKET}/jobs/*/report/*"},
        "dynamodb:BatchGetItem": {TABLE},
        "events:PutEvents": {f"arn:<AWS::Partition>:events:{HERE}:event-bus/default"},
        **DEAD_LETTERS,
    },
    "Setup": {"s3:PutObject": {f"{BUCKET}/templates/*", f"{BUCKET}/samples/*"}, **DEAD_LETTERS},
}


@pytest.mark.parametrize("name", ALLOWED)
def test_a_function_may_do_this_and_nothing_else(production: Synthesised, name: str) -> None:
    """A function's role allows what the function does, its log and its traces."""
    log = {f"<Functions{name}Log.Arn>"}
    own = {"logs:CreateLogStream": log, "logs:PutLogEvents": log}
    traces = {"xray:PutTraceSegments": {"*"}, "xray:PutTelemetryRecords": {"*"}}
    assert production.allowed(f"Functions{name}Role") == ALLOWED[name] | own | traces


def test_ground_truth_may_do_this_and_nothing_else(production: Synthesised) -> None:
    """Ground Truth reads images and pages, writes its own output, calls the two functions, and logs."""
    logs = {f"arn:<AWS::Partition>:logs:{HERE}:log-group:/aws/sagemaker/*"}
    assert production.allowed("LabelingRole") == {
        "s3:GetObject": IMAGES,
        "s3:PutObject": {f"{BUCKET}/output/*"},
        "s3:AbortMultipartUpload": {f"{BUCKET}/output/*"},
        "s3:ListBucket": BUCKETS,
        "s3:GetBucketLocation": BUCKETS,
        "s3:GetBucketCors": BUCKETS,
        "lambda:InvokeFunction": {"<FunctionsPreLabeling.Arn>", "<FunctionsPostLabeling.Arn>"},
        **{f"logs:{act}": logs for act in ("CreateLogGroup", "CreateLogStream", "PutLogEvents")},
        "logs:DescribeLogStreams": logs,
        "cloudwatch:PutMetricData": {"*"},
    }


def test_the_setup_of_a_sandbox_may_empty_its_bucket_and_no_other_may(sandbox: Synthesised) -> None:
    """Deleting is allowed to the setup alone, and only where nothing is to stay."""
    may = sandbox.allowed("FunctionsSetupRole")
    assert may["s3:ListBucketVersions"] == {BUCKET}
    assert may["s3:DeleteObject"] == may["s3:DeleteObjectVersion"] == {f"{BUCKET}/*"}
    for role in (*(f"Functions{name}Role" for name in ALLOWED if name != "Setup"), "LabelingRole"):
        assert not [action for action in sandbox.allowed(role) if "Delete" in action]


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["production", "sandbox"])
def test_nothing_is_allowed_by_a_wildcard(stage: str, request: pytest.FixtureRequest) -> None:
    """No action is a pattern, and every action names resources, but for those that AWS gives none."""
    synthesised: Synthesised = request.getfixturevalue(stage)
    roles = synthesised.of_type("AWS::IAM::Role")
    assert len(roles) == len(ALLOWED) + 1
    for name, role in roles.items():
        assert "ManagedPolicyArns" not in role["Properties"]
        assert "Policies" not in role["Properties"]
        for action, resources in synthesised.allowed(name[:-8]).items():
            assert "*" not in action
            assert "*" not in resources or action in NO_RESOURCES


def test_each_function_has_the_role_of_its_name(production: Synthesised) -> None:
    """No two functions share a role."""
    functions = production.of_type("AWS::Lambda::Function").values()
    roles = {written(one["Properties"]["Role"]) for one in functions}
    assert roles == {f"<Functions{name}Role.Arn>" for name in ALLOWED}


def test_roles_are_taken_on_by_their_service_alone(production: Synthesised) -> None:
    """Lambda takes on the functions' roles, Ground Truth its own, nobody else any."""
    for name, role in production.of_type("AWS::IAM::Role").items():
        (statement,) = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
        service = "sagemaker" if name.startswith("Labeling") else "lambda"
        assert statement["Principal"] == {"Service": f"{service}.amazonaws.com"}
        assert statement["Action"] == "sts:AssumeRole"


def test_without_image_sources_only_the_bucket_is_read(sandbox: Synthesised) -> None:
    """No role reads a bucket that the stage does not name."""
    for role in ("FunctionsLaunchRole", "LabelingRole"):
        assert sandbox.allowed(role)["s3:GetObject"] == {f"{BUCKET}/*"}
        assert sandbox.allowed(role)["s3:ListBucket"] == {BUCKET}
