"""A deployed stack: where it keeps what."""

from typing import Any

from botocore.exceptions import ClientError

from bulkqa.aws.calls import FAILURES, explained
from bulkqa.errors import BulkqaError, NotFoundError

BUCKET, TABLE = "BulkQABucket", "DynamoDBLabelTableName"
"""Names of the stack's outputs, as published."""


def bucket_and_table(client: Any, stack: str) -> tuple[str, str]:
    """Return the names of a stack's bucket and label table, with a client of CloudFormation.

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
    outputs = {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", ())}
    for name in (BUCKET, TABLE):
        if name not in outputs:
            raise BulkqaError(f"stack {stack!r} has no output {name}: is it bulkqa's, and deployed whole?")
    return outputs[BUCKET], outputs[TABLE]
