"""Ground Truth: labeling jobs, and what workers' browsers need of the buckets with the pictures."""

import json
import re
import shlex
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from bulkqa.aws.calls import FAILURES, code_of, explained, is_passing
from bulkqa.errors import BulkqaError, ConflictError, NotFoundError, SetupError
from bulkqa.ports import LabelingState

CORS_RULE: dict[str, Any] = {
    "AllowedHeaders": [],
    "AllowedMethods": ["GET"],
    "AllowedOrigins": ["*"],
    "ExposeHeaders": ["Access-Control-Allow-Origin"],
}
"""The rule that Ground Truth asks of every bucket with pictures; the origin has to be the star itself."""

CLOSED = (
    "If this account is new to Ground Truth: it takes no new customers since 30 July 2026; "
    "review in bulkqa's own portal instead (bulkqa serve)"
)
"""What a refusal of SageMaker's ends with."""
_ABSENT = re.compile(r"not found|not exist|could not find|cannot find", re.IGNORECASE)
_PRIVATE = re.compile(r".*:workteam/private-crowd/([^/]+)")
_OF_OLD = {None: "us-east-1", "": "us-east-1", "EU": "eu-west-1"}  # Regions by the names they had in S3


class SageMakerLabeling:
    """`bulkqa.ports.LabelingService` with clients made by `make_client("sagemaker")` and `make_client("s3")`.

    Needs `sagemaker:CreateLabelingJob`, `DescribeLabelingJob`, `StopLabelingJob` and `DescribeWorkteam`,
    `iam:PassRole` for the role that labeling jobs run under, and for looking into the buckets with the
    pictures `s3:GetBucketCORS` and `s3:GetBucketLocation`.
    """

    def __init__(self, client: Any, s3: Any) -> None:
        self._client = client
        self._s3 = s3

    def create(self, request: Mapping[str, object]) -> None:
        """See `LabelingService.create`.

        A labeling job under way with this name and input manifest is this one: made by a call whose reply
        was lost, or by somebody who asked for the same at the same time.
        """
        name = str(request["LabelingJobName"])
        try:
            self._client.create_labeling_job(**request)
        except FAILURES as error:
            if not isinstance(error, ClientError) or code_of(error) != "ResourceInUse":
                raise _refusal(error, name) from error
            if not self._is_under_way(name, request["InputConfig"]):
                raise ConflictError(f"there is another labeling job {name!r}") from error

    def describe(self, name: str) -> LabelingState:
        """See `LabelingService.describe`."""
        return _state(self._describe(name))

    def stop(self, name: str) -> None:
        """See `LabelingService.stop`."""
        if not _can_stop(self._describe(name)):
            return
        try:
            self._client.stop_labeling_job(LabelingJobName=name)
        except FAILURES as error:
            if _can_stop(self._describe(name)):  # else it ended on its own meanwhile
                raise explained(error, name) from error

    def sign_in_address(self, workteam: str) -> str | None:
        """See `LabelingService.sign_in_address`."""
        private = _PRIVATE.fullmatch(workteam)
        if private is None:  # a vendor's people sign in with the vendor
            return None
        try:
            described = self._client.describe_workteam(WorkteamName=private[1])["Workteam"]
        except FAILURES as error:
            if _is_absent(error):
                return None
            raise explained(error, workteam) from error
        address = described.get("SubDomain")
        return f"https://{address}" if address else None

    def picture_faults(self, bucket: str) -> list[str]:
        """See `LabelingService.picture_faults`; raises `SetupError` where looking is not allowed."""
        faults: list[str] = []
        refusal: SetupError | None = None
        for look in (self._region_fault, self._cors_fault):
            try:
                faults += filter(None, [look(bucket)])
            except SetupError as error:
                refusal = refusal or error
        if refusal is not None and not faults:
            raise refusal
        return list(dict.fromkeys(faults))  # a bucket that is not there fails either way

    def _describe(self, name: str) -> dict[str, Any]:
        try:
            described: dict[str, Any] = self._client.describe_labeling_job(LabelingJobName=name)
        except FAILURES as error:
            if _is_absent(error):
                raise NotFoundError(f"Ground Truth knows no labeling job {name!r}") from None
            raise _refusal(error, name) from error
        return described

    def _is_under_way(self, name: str, input_config: Any) -> bool:
        try:
            described = self._describe(name)
        except NotFoundError:
            return False
        source = described["InputConfig"]["DataSource"]
        return bool(source == input_config["DataSource"]) and not _state(described).ended

    def _region_fault(self, bucket: str) -> str | None:
        try:
            place = self._s3.get_bucket_location(Bucket=bucket).get("LocationConstraint")
        except FAILURES as error:
            return _absence(error, bucket)
        region, wanted = _OF_OLD.get(place, place), self._client.meta.region_name
        if region == wanted:
            return None
        return (
            f"bucket {bucket} is in {region}, and Ground Truth shows pictures of its own Region, {wanted}, "
            "alone: launch under a new name with --copy-images, which copies them"
        )

    def _cors_fault(self, bucket: str) -> str | None:
        try:
            rules = self._s3.get_bucket_cors(Bucket=bucket)["CORSRules"]
        except ClientError as error:
            if code_of(error) != "NoSuchCORSConfiguration":
                return _absence(error, bucket)
            rules = []
        except FAILURES as error:
            return _absence(error, bucket)
        if any(map(_is_enough, rules)):
            return None
        what = "no rule at all" if not rules else "no rule that lets any origin (*) GET and exposes that"
        # The call replaces all rules, so those that are there are part of it; the first that fits counts.
        mended = json.dumps({"CORSRules": [CORS_RULE, *rules]}, separators=(",", ":"))
        return (
            f"bucket {bucket} has {what} for cross-origin requests (CORS), without which the tasks fail: "
            f"aws s3api put-bucket-cors --bucket {bucket} --cors-configuration {shlex.quote(mended)}"
        )


def _refusal(error: Exception, name: str) -> BulkqaError:
    """Return the failure of a call; how an account is told that the service is closed to it is not known."""
    reason = explained(error, name)
    if not isinstance(error, ClientError) or is_passing(error):
        return reason
    return type(reason)(f"{reason}. {CLOSED}")


def _state(described: Mapping[str, Any]) -> LabelingState:
    counters = described.get("LabelCounters", {})
    labeled, failed = counters.get("TotalLabeled", 0), counters.get("FailedNonRetryableError", 0)
    return LabelingState(
        described["LabelingJobName"],
        described["LabelingJobStatus"],
        labeled + failed + counters.get("Unlabeled", 0),
        labeled,
        failed,
        described.get("FailureReason"),
    )


def _can_stop(described: Mapping[str, Any]) -> bool:
    state = _state(described)
    return not state.ended and state.status != "Stopping"


def _is_absent(error: Exception) -> bool:
    """Say whether what was asked for is not there; which SageMaker says in two ways."""
    if not isinstance(error, ClientError):
        return False
    code = code_of(error)
    return code == "ResourceNotFound" or (
        code == "ValidationException" and _ABSENT.search(str(error)) is not None
    )


def _absence(error: Exception, bucket: str) -> str:
    if isinstance(error, ClientError) and code_of(error) == "NoSuchBucket":
        return f"there is no bucket {bucket}: launch under a new name, with pictures that are there"
    raise explained(error, f"bucket {bucket}") from error


def _is_enough(rule: Mapping[str, Any]) -> bool:
    exposed = {name.lower() for name in rule.get("ExposeHeaders", ())}
    return (
        "GET" in rule["AllowedMethods"]
        and "*" in rule["AllowedOrigins"]
        and "access-control-allow-origin" in exposed
    )
