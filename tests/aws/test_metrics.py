"""`bulkqa metrics` on a manifest where Lookout for Vision puts it: in S3."""

import base64
from pathlib import Path

from tests.emulators import moto_client
from tests.evaluation.lines import as_lines, lookout
from tests.support import png
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


def test_the_page_holds_pictures_that_lie_in_s3(moto: None, tmp_path: Path) -> None:
    """Small ones stand in the page, one that is gone is linked; a copy on this machine is taken first."""
    client, bucket = moto_client("s3"), new_name("bucket")
    client.create_bucket(Bucket=bucket)
    pictures = {name: png(colour) for name, colour in (("far", (200, 0, 0)), ("near", (0, 200, 0)))}
    client.put_object(Bucket=bucket, Key="a/far.png", Body=pictures["far"])
    (tmp_path / "near.png").write_bytes(pictures["near"])
    manifest = tmp_path / "EvaluationManifest.json"
    names = ("far", "near", "gone")
    manifest.write_bytes(
        b"".join(
            as_lines(*(lookout(f"s3://{bucket}/a/{name}.png", "normal", "normal", 0.9) for name in names))
        )
    )
    run = bulkqa("metrics", str(manifest), "--format", "html")
    assert run.code == 0
    for data in pictures.values():
        assert f'src="data:image/png;base64,{base64.b64encode(data).decode()}"' in run.out
    assert run.out.count('src="data:') == 2
    assert f"https://console.aws.amazon.com/s3/object/{bucket}?prefix=a/gone.png" in run.out
