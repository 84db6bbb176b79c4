"""The functions: each with a role of its own that may do what it does, a log that ends, and tracing."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from aws_cdk import Duration, RemovalPolicy, Size, Stack
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from bulkqa.settings import Environment
from infra.roles import Permission, accept, make_role
from infra.stage import Stage
from infra.storage import OUTPUT, ImageSource, Storage

_JOBS = "jobs are made by people, each with files of its own"
_OUTPUT = "Ground Truth names the files it writes"
_IMAGES = "images are people's, under names of their own"


class Functions(Construct):
    """The functions of a stage, and the queue of events that an asynchronous one could not deal with."""

    def __init__(
        self, scope: Construct, construct_id: str, *, stage: Stage, storage: Storage, code: lambda_.Code
    ) -> None:
        super().__init__(scope, construct_id)
        self._stage = stage
        self._code = code
        self._variables = Environment(
            bucket=storage.bucket.bucket_name,
            table=storage.table.table_name,
            image_sources=stage.image_sources,
            batch_size=stage.batch_size,
            minimum_confidence=stage.minimum_confidence,
            bands=",".join(f"{bound:g}" for bound in stage.bands),
        ).variables() | {"POWERTOOLS_SERVICE_NAME": stage.stack_name}
        self.dead_letters = sqs.Queue(
            self,
            "DeadLetters",
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=Duration.days(14),
        )
        bucket, table = storage.bucket.bucket_arn, storage.table.table_arn
        elsewhere = [ImageSource(self, source) for source in stage.image_sources]
        buckets = [bucket, *dict.fromkeys(source.bucket for source in elsewhere)]
        read_jobs = Permission(["s3:GetObject"], storage.objects("jobs/*"), _JOBS)
        read_output = Permission(["s3:GetObject"], storage.objects(f"{OUTPUT}*"), _OUTPUT)
        # Without the right to list, S3 answers a missing object like a forbidden one.
        tell_missing = Permission(["s3:ListBucket"], [bucket])

        self.pre_labeling = self._function(
            "pre-labeling", [read_jobs, tell_missing], memory_size=512, timeout=Duration.seconds(30)
        )
        self.post_labeling = self._function(
            "post-labeling",
            [
                read_jobs,
                read_output,
                tell_missing,
                Permission(["s3:PutObject"], storage.objects("jobs/*/answers/*"), _JOBS),
                Permission(["dynamodb:UpdateItem", "dynamodb:GetItem"], [table]),
            ],
            memory_size=1024,
            timeout=Duration.minutes(5),
        )
        images = [*storage.objects("*"), *(source.objects for source in elsewhere)]
        self.launch = self._function(
            "launch",
            [
                Permission(["s3:GetObject"], images, _IMAGES),
                Permission(["s3:ListBucket"], buckets),
                Permission(["s3:PutObject", "s3:AbortMultipartUpload"], storage.objects("jobs/*"), _JOBS),
                Permission(["dynamodb:PartiQLInsert", "dynamodb:UpdateItem"], [table]),
                # Known answers come from what earlier jobs found.
                Permission(["dynamodb:Scan"], [table]),
            ],
            memory_size=1769,  # a whole processor
            timeout=Duration.minutes(15),
            ephemeral_storage_size=Size.gibibytes(4),  # the corpus, and its rows once more, sorted
            asynchronous=True,
        )
        bus = Stack.of(self).format_arn(service="events", resource="event-bus/default")
        self.report = self._function(
            "report",
            [
                read_jobs,
                read_output,
                tell_missing,
                Permission(["s3:PutObject"], storage.objects("jobs/*/report/*"), _JOBS),
                Permission(["dynamodb:BatchGetItem"], [table]),
                Permission(["events:PutEvents"], [bus]),
            ],
            memory_size=1769,
            timeout=Duration.minutes(15),
            ephemeral_storage_size=Size.gibibytes(4),  # answers, scores and conflicts, sorted
            asynchronous=True,
        )
        publish = Permission(
            ["s3:PutObject"],
            storage.objects("templates/*", "samples/*"),
            "templates are named by what they say, and the sample has hundreds of pictures",
        )
        empty = [
            Permission(["s3:ListBucketVersions"], [bucket]),
            Permission(
                ["s3:DeleteObject", "s3:DeleteObjectVersion"],
                storage.objects("*"),
                "of a sandbox nothing is to stay",
            ),
        ]
        self.setup = self._function(
            "setup",
            [publish, *([] if stage.retain else empty)],
            memory_size=512,
            timeout=Duration.minutes(15),
            asynchronous=True,
        )
        accept(
            self,
            {
                "AwsSolutions-L1": "The runtime is the stage's setting; bulkqa is tested on it",
                "AwsSolutions-SQS3": "It is itself where dead letters go",
            },
        )

    def _function(
        self,
        name: str,
        permissions: Sequence[Permission],
        *,
        asynchronous: bool = False,
        **settings: Any,
    ) -> lambda_.Function:
        """Make a function whose handler is in `lambdas/<name>.py`."""
        stage = self._stage
        construct_id = name.title().replace("-", "")
        # Accounts whose Ground Truth role has AWS' own policy may call functions of this name alone.
        function_name = f"{stage.stack_name}-SageMaker-{name}"
        log = logs.LogGroup(
            self,
            f"{construct_id}Log",
            log_group_name=f"/aws/lambda/{function_name}",
            # A log that stayed would keep its name from the next stack.
            removal_policy=RemovalPolicy.DESTROY,
        )
        cast(logs.CfnLogGroup, log.node.default_child).retention_in_days = stage.log_days
        write_log = Permission(["logs:CreateLogStream", "logs:PutLogEvents"], [log.log_group_arn])
        trace = Permission(
            ["xray:PutTraceSegments", "xray:PutTelemetryRecords"], ["*"], "X-Ray has no resources to name"
        )
        role = make_role(
            self,
            f"{construct_id}Role",
            service="lambda",
            description=f"What bulkqa's function {name} may do",
            permissions=[*permissions, write_log, trace],
        )
        return lambda_.Function(
            self,
            construct_id,
            function_name=function_name,
            handler=f"lambdas.{name.replace('-', '_')}.handler",
            runtime=lambda_.Runtime(stage.runtime, lambda_.RuntimeFamily.PYTHON),
            architecture=_ARCHITECTURES[stage.architecture],
            code=self._code,
            role=role,
            log_group=log,
            environment=self._variables,
            tracing=lambda_.Tracing.ACTIVE,
            dead_letter_queue=self.dead_letters if asynchronous else None,
            retry_attempts=2 if asynchronous else None,
            **settings,
        )

    @property
    def all(self) -> Mapping[str, lambda_.Function]:
        """The functions by name, in the order in which a job meets them."""
        return {
            "setup": self.setup,
            "launch": self.launch,
            "pre-labeling": self.pre_labeling,
            "post-labeling": self.post_labeling,
            "report": self.report,
        }


_ARCHITECTURES = {"arm64": lambda_.Architecture.ARM_64, "x86_64": lambda_.Architecture.X86_64}
