"""`bulkqa metrics` on a manifest where Lookout for Vision puts it: in S3."""

from tests.emulators import moto_client
from tests.evaluation.lines import as_lines, lookout
from tests.support_aws import new_name
from tests.test_cli import bulkqa


def test_a_manifest_may_lie_in_s3(moto: None) -> None:
    """It is read as one of this machine is, and messages have its address."""
    client, bucket = moto_client("s3"), new_name("bucket")
    client.create_bucket(Bucket=bucket)
    lines = as_lines(lookout("1", "anomaly", "anomaly", 0.9), {"source-ref": "2"})
    client.put_object(Bucket=bucket, Key="out/EvaluationManifest-parts.json", Body=b"".join(lines))
    uri = f"s3://{bucket}/out/EvaluationManifest-parts.json"
    run = bulkqa("metrics", uri, "--format", "json")
    assert run.json["EvaluationDetails"]["NumberOfTestingImages"] == 1
    assert f"{uri}, line 2: left out" in run.err
    gone = bulkqa("metrics", f"s3://{bucket}/gone.json")
    assert (gone.code, gone.out) == (2, "")
