"""The bucket and the label table: closed, kept, and as the contracts want them."""

import pytest

from bulkqa import jobs
from tests.infra.conftest import Synthesised


def test_cors_is_exactly_what_ground_truth_wants(production: Synthesised) -> None:
    """One rule: GET from anywhere, with the header that says so."""
    cors = production.only("AWS::S3::Bucket")["Properties"]["CorsConfiguration"]
    assert cors == {
        "CorsRules": [
            {
                "AllowedHeaders": [],
                "AllowedMethods": ["GET"],
                "AllowedOrigins": ["*"],
                "ExposedHeaders": ["Access-Control-Allow-Origin"],
            }
        ]
    }


def test_the_bucket_is_closed(production: Synthesised) -> None:
    """It is encrypted, keeps versions, and neither the public nor plain HTTP gets in."""
    bucket = production.only("AWS::S3::Bucket")["Properties"]
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    statements = production.only("AWS::S3::BucketPolicy")["Properties"]["PolicyDocument"]["Statement"]
    assert {statement["Effect"] for statement in statements} == {"Deny"}
    assert {"Bool": {"aws:SecureTransport": "false"}} in [statement["Condition"] for statement in statements]


def test_what_ground_truth_wrote_has_an_end(sandbox: Synthesised) -> None:
    """Its output goes after the stage's days; nothing else does while it is current."""
    rules = sandbox.only("AWS::S3::Bucket")["Properties"]["LifecycleConfiguration"]["Rules"]
    expiring = [rule for rule in rules if "ExpirationInDays" in rule]
    assert [(rule["Prefix"], rule["ExpirationInDays"]) for rule in expiring] == [(jobs.OUTPUT, 3)]


def test_the_table_is_the_published_one(production: Synthesised) -> None:
    """Its key is the published one; the index costs a vote nothing."""
    table = production.only("AWS::DynamoDB::Table")["Properties"]
    keys = [("s3_image_url", "HASH"), ("label", "RANGE")]
    assert [(key["AttributeName"], key["KeyType"]) for key in table["KeySchema"]] == keys
    assert table["AttributeDefinitions"] == [
        {"AttributeName": "s3_image_url", "AttributeType": "S"},
        {"AttributeName": "label", "AttributeType": "S"},
        {"AttributeName": "confidence", "AttributeType": "N"},
    ]
    (index,) = table["GlobalSecondaryIndexes"]
    assert index["IndexName"] == "label-confidence"
    keys = [("label", "HASH"), ("confidence", "RANGE")]
    assert [(key["AttributeName"], key["KeyType"]) for key in index["KeySchema"]] == keys
    assert index["Projection"] == {"ProjectionType": "KEYS_ONLY"}
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["SSESpecification"] == {"SSEEnabled": True}


def test_the_table_is_named_only_where_the_stage_says(production: Synthesised, sandbox: Synthesised) -> None:
    """CloudFormation names the table, so that stacks do not collide, unless the stage does."""
    assert "TableName" not in production.only("AWS::DynamoDB::Table")["Properties"]
    assert sandbox.only("AWS::DynamoDB::Table")["Properties"]["TableName"] == "my-labels"


@pytest.mark.slow
@pytest.mark.parametrize(("stage", "policy"), [("production", "Retain"), ("sandbox", "Delete")])
def test_what_stays(stage: str, policy: str, request: pytest.FixtureRequest) -> None:
    """Bucket and table outlive the stack, but for a sandbox's."""
    synthesised: Synthesised = request.getfixturevalue(stage)
    kept = [synthesised.only("AWS::S3::Bucket"), synthesised.only("AWS::DynamoDB::Table")]
    assert {one["DeletionPolicy"] for one in kept} == {policy}
    assert {one["UpdateReplacePolicy"] for one in kept} == {policy}
    protected = synthesised.only("AWS::DynamoDB::Table")["Properties"].get("DeletionProtectionEnabled")
    assert protected is (policy == "Retain")
    emptied = synthesised.of_type("Custom::BulkqaEmptied")
    assert len(emptied) == (policy == "Delete")
