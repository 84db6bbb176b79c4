"""The stack: it wires what the other files build."""

from typing import Any

from aws_cdk import CfnOutput, Stack, Tags
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.asset import build_asset
from infra.functions import Functions
from infra.labeling import Labeling, sample_job
from infra.monitoring import Monitoring
from infra.stage import Stage
from infra.storage import Storage


class BulkqaStack(Stack):
    """bulkqa on AWS, one stage of it."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stage: Stage,
        code: lambda_.Code | None = None,
        **settings: Any,
    ) -> None:
        """Make the stack; `code` stands in for the functions' own, which pip has to make."""
        description = "bulkqa: people check a model's image labels in bulk"
        super().__init__(
            scope, construct_id, stack_name=stage.stack_name, description=description, **settings
        )
        storage = Storage(self, "Storage", stage=stage)
        functions = Functions(self, "Functions", stage=stage, storage=storage, code=code or _code(stage))
        labeling = Labeling(self, "Labeling", stage=stage, storage=storage, functions=functions)
        Monitoring(self, "Monitoring", stage=stage, storage=storage, functions=functions)
        Tags.of(self).add("bulkqa:stage", stage.name)

        bucket = storage.bucket.bucket_name
        for name, value, says in (
            ("BulkQABucket", bucket, "Everything of the jobs"),
            ("DynamoDBLabelTableName", storage.table.table_name, "The votes"),
            ("SageMakerRoleARN", labeling.role.role_arn, "The role of Ground Truth's labeling jobs"),
            ("PreLabelingFunctionARN", functions.pre_labeling.function_arn, "Gives each page its pictures"),
            ("PostLabelingFunctionARN", functions.post_labeling.function_arn, "Counts the answers"),
            ("LaunchFunctionARN", functions.launch.function_arn, "Makes a job of a corpus"),
            ("ReportFunctionARN", functions.report.function_arn, "Reports when a labeling job has ended"),
            ("WorkerTemplateURI", labeling.template, "The review page, for labeling jobs"),
            ("ImageSources", ",".join((f"s3://{bucket}/", *stage.image_sources)), "Where images may lie"),
        ):
            CfnOutput(self, name, value=value, description=says)
        if labeling.workteam is not None:
            CfnOutput(self, "WorkteamARN", value=labeling.workteam.ref, description="Who reviews")
        if labeling.sample is not None:
            CfnOutput(self, "SampleJob", value=sample_job(stage), description="The sample, launched as a job")


def _code(stage: Stage) -> lambda_.Code:
    folder, digest = build_asset(stage.runtime, stage.architecture)
    return lambda_.Code.from_asset(str(folder), asset_hash=digest)
