"""Empty a bucket: every version of every object, so that it can be deleted."""

from typing import Any

from botocore.exceptions import ClientError

from bulkqa.aws.calls import FAILURES, code_of, explained
from bulkqa.errors import BulkqaError


def empty(client: Any, bucket: str) -> int:
    """Delete all versions and delete markers in a bucket; return how many. A bucket that is gone is empty.

    Needs `s3:ListBucketVersions`, `s3:DeleteObject` and `s3:DeleteObjectVersion`.
    """
    deleted = 0
    try:
        # A page has as many versions as one call deletes; the next one is the first of what is left.
        while True:
            page = client.list_object_versions(Bucket=bucket)
            found = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
            if not found:
                return deleted
            objects = [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in found]
            reply = client.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})
            for error in reply.get("Errors", ()):
                raise BulkqaError(f"s3://{bucket}/{error['Key']}: {error['Code']}: {error.get('Message')}")
            deleted += len(objects)
    except FAILURES as error:
        if isinstance(error, ClientError) and code_of(error) == "NoSuchBucket":
            return deleted
        raise explained(error, f"s3://{bucket}") from error
