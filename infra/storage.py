"""Where votes and files are kept: the bucket and the label table."""

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.roles import accept
from infra.stage import Stage

OUTPUT = "output/"
"""The prefix below which Ground Truth writes (`bulkqa.jobs.OUTPUT`)."""

OLD_VERSION_DAYS = 90
"""How long a version of a file is kept after another took its place."""


class Storage(Construct):
    """The bucket and the label table. They hold people's work: where `retain` is set they stay."""

    def __init__(self, scope: Construct, construct_id: str, *, stage: Stage) -> None:
        super().__init__(scope, construct_id)
        policy = RemovalPolicy.RETAIN if stage.retain else RemovalPolicy.DESTROY
        self.bucket = s3.Bucket(
            self,
            "Bucket",
            encryption=s3.BucketEncryption.S3_MANAGED,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            versioned=True,
            removal_policy=policy,
            # Ground Truth refuses a narrower origin, and without the rule workers see no picture. Who may
            # read is in the pictures' signed addresses.
            cors=[
                s3.CorsRule(
                    allowed_headers=[],
                    allowed_methods=[s3.HttpMethods.GET],
                    allowed_origins=["*"],
                    exposed_headers=["Access-Control-Allow-Origin"],
                )
            ],
            lifecycle_rules=[
                # It holds the workers' identities; their answers are kept elsewhere.
                s3.LifecycleRule(
                    id="what-ground-truth-wrote", prefix=OUTPUT, expiration=Duration.days(stage.output_days)
                ),
                s3.LifecycleRule(
                    id="old-versions",
                    noncurrent_version_expiration=Duration.days(OLD_VERSION_DAYS),
                    abort_incomplete_multipart_upload_after=Duration.days(7),
                ),
            ],
        )
        self.table = dynamodb.Table(
            self,
            "Labels",
            table_name=stage.table_name,
            partition_key=_attribute("s3_image_url", dynamodb.AttributeType.STRING),
            sort_key=_attribute("label", dynamodb.AttributeType.STRING),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            encryption=dynamodb.TableEncryption.AWS_MANAGED,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            deletion_protection=stage.retain,
            removal_policy=policy,
        )
        # Keys alone, so that a vote does not write the index as well.
        self.table.add_global_secondary_index(
            index_name="label-confidence",
            partition_key=_attribute("label", dynamodb.AttributeType.STRING),
            sort_key=_attribute("confidence", dynamodb.AttributeType.NUMBER),
            projection_type=dynamodb.ProjectionType.KEYS_ONLY,
        )
        reason = "Who read what is for the account's CloudTrail; access logs would need readers, and an end"
        accept(self.bucket, {"AwsSolutions-S1": reason})

    def objects(self, *patterns: str) -> list[str]:
        """Return the ARNs of objects in the bucket, by patterns of their keys."""
        return [self.bucket.arn_for_objects(pattern) for pattern in patterns]


class ImageSource:
    """A prefix of images (`s3://bucket/prefix/`) in somebody else's bucket, as ARNs."""

    def __init__(self, scope: Construct, source: str) -> None:
        bucket, _, prefix = source.removeprefix("s3://").partition("/")
        partition = Stack.of(scope).partition
        self.bucket = f"arn:{partition}:s3:::{bucket}"
        self.objects = f"{self.bucket}/{prefix}*"


def _attribute(name: str, kind: dynamodb.AttributeType) -> dynamodb.Attribute:
    return dynamodb.Attribute(name=name, type=kind)
