"""Emptying a bucket: all versions, page by page, and what S3 would not delete is said."""

from typing import Any

import pytest

from bulkqa.aws.emptying import empty
from bulkqa.errors import BulkqaError, SetupError
from tests.emulators import Server, ministack, moto, moto_client
from tests.support_aws import create_bucket, new_name

__all__ = ["ministack", "moto"]


def test_more_than_a_page(ministack: Server) -> None:
    """What one listing cannot hold goes as well, delete markers too, and the bucket can be deleted."""
    s3 = ministack.client("s3")
    bucket = create_bucket(s3, new_name("full"))
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    objects = [{"Key": f"a/{number}"} for number in range(505)]
    for one in objects:
        s3.put_object(Bucket=bucket, **one, Body=b"1")
    s3.delete_objects(Bucket=bucket, Delete={"Objects": objects})
    assert empty(s3, bucket) == 1010
    found = s3.list_object_versions(Bucket=bucket)
    assert not found.get("Versions")
    assert not found.get("DeleteMarkers")
    s3.delete_bucket(Bucket=bucket)


def test_a_bucket_that_is_gone_is_empty(moto: None) -> None:
    """Deleting the stack a second time is not kept from it by the first."""
    assert empty(moto_client("s3"), "never-there") == 0


def test_an_object_that_stays_is_named(moto: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """S3 reports what it kept in a reply that says success."""
    s3 = moto_client("s3")
    bucket = create_bucket(s3, new_name("kept"))
    s3.put_object(Bucket=bucket, Key="locked", Body=b"1")

    def keep(**_: Any) -> dict[str, Any]:
        return {"Errors": [{"Key": "locked", "Code": "AccessDenied", "Message": "it is locked"}]}

    monkeypatch.setattr(s3, "delete_objects", keep)
    with pytest.raises(BulkqaError, match=rf"s3://{bucket}/locked: AccessDenied: it is locked"):
        empty(s3, bucket)


def test_a_right_that_is_missing_is_said(moto: None) -> None:
    """Without the right to list, S3's own words come through."""
    s3 = moto_client("s3")
    bucket = create_bucket(s3, new_name("closed"))

    def refuse(**_: Any) -> None:
        from tests.lambdas.conftest import service_error

        raise service_error("ListObjectVersions", "AccessDenied", 403)

    s3.meta.events.register("before-call.s3.ListObjectVersions", refuse)
    with pytest.raises(SetupError, match=f"s3://{bucket}: AccessDenied"):
        empty(s3, bucket)
