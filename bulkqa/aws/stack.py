"""A deployed stack: where it keeps what, and what of it others need to name."""

from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from bulkqa.aws.calls import FAILURES, explained
from bulkqa.errors import BulkqaError, NotFoundError


class Outputs(NamedTuple):
    """A stack's outputs; those that only a labeling job needs are None where an older stack lacks them."""

    bucket: str
    table: str
    image_sources: tuple[str, ...] = ()
    role: str | None = None
    pre_labeling: str | None = None
    post_labeling: str | None = None
    template: str | None = None
    workteam: str | None = None


OUTPUTS = {
    "bucket": "BulkQABucket",
    "table": "DynamoDBLabelTableName",
    "image_sources": "ImageSources",
    "role": "SageMakerRoleARN",
    "pre_labeling": "PreLabelingFunctionARN",
    "post_labeling": "PostLabelingFunctionARN",
    "template": "WorkerTemplateURI",
    "workteam": "WorkteamARN",
}
"""The outputs' names in the stack; the first two and the role's as published in 2019."""


def outputs_of(client: Any, stack: str) -> Outputs:
    """Return a stack's outputs, with a client of CloudFormation.

    Raises `NotFoundError` where there is no such stack, `BulkqaError` where it is none of bulkqa's.
    """
    try:
        described = client.describe_stacks(StackName=stack)["Stacks"][0]
    except ClientError as error:
        if "does not exist" in str(error):
            raise NotFoundError(f"there is no stack {stack!r} here") from None
        raise explained(error, stack) from error
    except FAILURES as error:
        raise explained(error, stack) from error
    values = {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", ())}
    found = {field: values[name] for field, name in OUTPUTS.items() if name in values}
    for name in ("bucket", "table"):
        if name not in found:
            raise BulkqaError(
                f"stack {stack!r} has no output {OUTPUTS[name]}: is it bulkqa's, and deployed whole?"
            )
    sources = tuple(source for source in found.pop("image_sources", "").split(",") if source)
    return Outputs(image_sources=sources, **found)
