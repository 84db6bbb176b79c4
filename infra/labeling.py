"""What Ground Truth uses: a role, the worker template, and the event at a labeling job's end."""

from aws_cdk import CustomResource, Duration, Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_sagemaker as sagemaker
from aws_cdk.aws_iam import Role
from constructs import Construct

from infra.asset import ROOT
from infra.digests import digest_of
from infra.functions import Functions
from infra.roles import Permission, make_role
from infra.stage import Stage, Workteam
from infra.storage import OUTPUT, ImageSource, Storage

_CHANGE = "SageMaker Ground Truth Labeling Job State Change"
_PATIENCE = Duration.minutes(16)
"""How long CloudFormation waits for an answer: a minute longer than a function may run."""


class Labeling(Construct):
    """What a labeling job needs beside the two functions, and what tells us that one has ended."""

    def __init__(
        self, scope: Construct, construct_id: str, *, stage: Stage, storage: Storage, functions: Functions
    ) -> None:
        super().__init__(scope, construct_id)
        self.role = self._role(stage, storage, functions)
        files = CustomResource(
            self,
            "Files",
            service_token=functions.setup.function_arn,
            resource_type="Custom::BulkqaFiles",
            service_timeout=_PATIENCE,
            # The digest makes CloudFormation ask again when they change.
            properties={"kind": "files", "digest": digest_of(ROOT, "templates", "samples")},
        )
        self.template = files.get_att_string("template")
        self.sample: CustomResource | None = None
        if stage.sample:
            self.sample = self._sample(stage, storage, functions)
            self.sample.node.add_dependency(files)
        self.workteam = None if stage.workteam is None else self._team(stage, stage.workteam)
        if not stage.retain:
            emptied = CustomResource(
                self,
                "Emptied",
                service_token=functions.setup.function_arn,
                resource_type="Custom::BulkqaEmptied",
                service_timeout=_PATIENCE,
                properties={"kind": "empty-on-delete"},
            )
            # There before anything is written: else a deploy that fails could not take the bucket back.
            files.node.add_dependency(emptied)
        events.Rule(
            self,
            "LabelingJobEnded",
            description="A Ground Truth labeling job has ended: bulkqa reports on it, if it is its own",
            event_pattern=events.EventPattern(source=["aws.sagemaker"], detail_type=[_CHANGE]),
            targets=[
                targets.LambdaFunction(
                    functions.report,
                    dead_letter_queue=functions.dead_letters,
                    max_event_age=Duration.hours(6),
                )
            ],
        )

    def _team(self, stage: Stage, workteam: Workteam) -> sagemaker.CfnWorkteam:
        """Make a private work team of a group in the account's workforce."""
        members = sagemaker.CfnWorkteam.CognitoMemberDefinitionProperty(
            cognito_user_pool=workteam.user_pool,
            cognito_client_id=workteam.client_id,
            cognito_user_group=workteam.user_group,
        )
        return sagemaker.CfnWorkteam(
            self,
            "Workteam",
            workteam_name=f"{stage.stack_name}-reviewers",
            description="Reviews labels for bulkqa",
            member_definitions=[
                sagemaker.CfnWorkteam.MemberDefinitionProperty(cognito_member_definition=members)
            ],
        )

    def _role(self, stage: Stage, storage: Storage, functions: Functions) -> Role:
        """Make the role that Ground Truth takes on: it reads what it shows and writes what it learns."""
        elsewhere = [ImageSource(self, source) for source in stage.image_sources]
        log_groups = Stack.of(self).format_arn(service="logs", resource="log-group:/aws/sagemaker/*")
        return make_role(
            self,
            "Role",
            service="sagemaker",
            description="What Ground Truth may do for bulkqa's labeling jobs",
            permissions=[
                Permission(
                    ["s3:GetObject"],
                    [*storage.objects("*"), *(source.objects for source in elsewhere)],
                    "it shows images, which have names of their own",
                ),
                Permission(
                    ["s3:PutObject", "s3:AbortMultipartUpload"],
                    storage.objects(f"{OUTPUT}*"),
                    "it names the files it writes",
                ),
                Permission(
                    ["s3:ListBucket", "s3:GetBucketLocation", "s3:GetBucketCors"],
                    [storage.bucket.bucket_arn, *dict.fromkeys(source.bucket for source in elsewhere)],
                ),
                Permission(
                    ["lambda:InvokeFunction"],
                    [functions.pre_labeling.function_arn, functions.post_labeling.function_arn],
                ),
                Permission(
                    [
                        "logs:CreateLogGroup",
                        "logs:CreateLogStream",
                        "logs:DescribeLogStreams",
                        "logs:PutLogEvents",
                    ],
                    [log_groups],
                    "it names its logs",
                ),
                Permission(["cloudwatch:PutMetricData"], ["*"], "metrics have no resources to name"),
            ],
        )

    def _sample(self, stage: Stage, storage: Storage, functions: Functions) -> CustomResource:
        """Launch the sample as a job of this stage."""
        bucket = storage.bucket.bucket_name
        settings = {
            "corpus": f"s3://{bucket}/samples/emoji/corpus.csv",
            "images": f"s3://{bucket}/samples/emoji/images",
            "batch_size": str(stage.batch_size),
            "minimum_confidence": f"{stage.minimum_confidence:g}",
            "bands": ",".join(f"{bound:g}" for bound in stage.bands),
        }
        return CustomResource(
            self,
            "Sample",
            service_token=functions.launch.function_arn,
            resource_type="Custom::BulkqaJob",
            service_timeout=_PATIENCE,
            properties={"job": sample_job(stage), **settings},
        )


def sample_job(stage: Stage) -> str:
    """Return the name of the sample's job: another one where the sample or what it is launched with differs.

    A job is never launched with other settings than before, and a stage's settings may change.
    """
    settings = f"{stage.batch_size} {stage.minimum_confidence:g} {stage.bands}"
    return f"sample-{digest_of(ROOT, 'samples', salt=settings)[:6]}"
