"""What is S3's own in its adapter: errors, lost replies, long files, listings of many pages."""

import io
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse

from bulkqa.aws import blobs as adapter
from bulkqa.aws.blobs import S3Blobs
from bulkqa.aws.calls import Patience
from bulkqa.aws.clients import make_client
from bulkqa.errors import BulkqaError, InputError, NotFoundError
from tests.aws.faults import HASTY, Raw
from tests.emulators import NO_FILES, Server, reset
from tests.support_aws import REGION, create_bucket, new_name

Answer = Callable[[Any], AWSResponse | None]


@pytest.fixture
def client(ministack: Server) -> Any:
    """A client whose wire a test may meddle with."""
    reset(ministack)
    return ministack.new_client("s3")


@pytest.fixture
def blobs(client: Any) -> S3Blobs:
    """A bucket of its own."""
    return S3Blobs(client, create_bucket(client, new_name("bucket")), HASTY)


def between(client: Any, method: str, *answers: Answer) -> list[str]:
    """Answer the next requests of this method so, one after the other; return the addresses asked for."""
    asked: list[str] = []
    left = list(answers)

    def handle(request: Any, **_: Any) -> AWSResponse | None:
        if request.method != method:
            return None
        asked.append(request.url)
        return left.pop(0)(request) if left else None

    client.meta.events.register("before-send.s3", handle)
    return asked


def refused(status: int, code: str) -> Answer:
    """An answer of S3's with an error."""
    body = f"<Error><Code>{code}</Code><Message>because</Message></Error>".encode()
    return lambda request: AWSResponse(
        request.url,
        status,
        {"Content-Length": str(len(body))},
        Raw(b"" if request.method == "HEAD" else body),
    )


def lost(client: Any) -> Answer:
    """Carried out, and answered 500."""

    def answer(request: Any) -> AWSResponse:
        client._endpoint.http_session.send(request)
        return refused(500, "InternalError")(request)

    return answer


def test_what_s3_refuses_is_named(client: Any, blobs: S3Blobs) -> None:
    """An error names the object and S3's reason, and is no fault of the input."""
    between(client, "GET", *[refused(403, "AccessDenied")] * 3)
    for call in (
        lambda: blobs.read("jobs/a"),
        lambda: list(blobs.keys("jobs/a/")),
        lambda: blobs.folders("jobs/a/"),
    ):
        with pytest.raises(
            BulkqaError, match=r"^s3://bulkqa-bucket-\d+/jobs/a/?: AccessDenied: because"
        ) as found:
            call()
        assert not isinstance(found.value, InputError)
    between(client, "PUT", refused(403, "AccessDenied"), refused(403, "AccessDenied"))
    for write in (blobs.write, blobs.create):
        with pytest.raises(BulkqaError, match="/jobs/a: AccessDenied"):
            write("jobs/a", b"")


def test_a_bucket_that_is_not_there_is_no_missing_blob(client: Any) -> None:
    """A wrong bucket must not look like an empty one."""
    blobs = S3Blobs(client, "nobodys-bucket")
    with pytest.raises(BulkqaError, match="NoSuchBucket") as found:
        blobs.read("jobs/a")
    assert not isinstance(found.value, NotFoundError)
    with pytest.raises(BulkqaError, match="NoSuchBucket"):
        list(blobs.keys("jobs/"))


def test_a_call_that_never_went_out_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without credentials there is no answer of S3's; the error is bulkqa's all the same."""
    for name, value in NO_FILES.items():
        monkeypatch.setenv(name, value)
    blobs = S3Blobs(make_client("s3", region=REGION), "bucket")
    with pytest.raises(BulkqaError, match=r"^s3://bucket/a: .*credentials"):
        blobs.read("a")


def test_who_created_a_blob_is_told_so_even_if_the_reply_was_lost(client: Any, blobs: S3Blobs) -> None:
    """The second attempt finds the blob there, and knows it for its own; another caller's is not."""
    puts = between(client, "PUT", lost(client))
    assert blobs.create("jobs/a/job.json", b"mine") is True
    assert len(puts) == 2
    assert blobs.create("jobs/a/job.json", b"mine") is False
    assert blobs.read("jobs/a/job.json") == b"mine"


def test_a_conflict_is_settled_by_trying_again(client: Any, blobs: S3Blobs) -> None:
    """S3 may answer 409 to creations at once; that says nothing about who made it."""
    conflict = refused(409, "ConditionalRequestConflict")
    between(client, "PUT", conflict, conflict)
    assert blobs.create("a", b"1") is True
    impatient = S3Blobs(client, blobs._bucket, Patience(tries=2, first=0))
    between(client, "PUT", conflict, conflict)
    with pytest.raises(BulkqaError, match="ConditionalRequestConflict"):
        impatient.create("b", b"1")


def test_a_blob_taken_away_amid_its_creation_was_not_created(client: Any, blobs: S3Blobs) -> None:
    """Refused because there was one, which is gone when asked whose it was."""
    between(client, "PUT", refused(412, "PreconditionFailed"))
    assert blobs.create("a", b"1") is False


def test_bytes_that_break_off_are_read_again(client: Any, blobs: S3Blobs) -> None:
    """A reply that ends too early is no blob."""
    blobs.write("a", b"all of it")

    def short(request: Any) -> AWSResponse:
        return AWSResponse(request.url, 200, {"Content-Length": "9"}, Raw(b"all"))

    between(client, "GET", short, short)
    assert blobs.read("a") == b"all of it"


class Stream(io.RawIOBase):
    """A source that cannot be rewound and hands out a few bytes at a time."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        return self._data.read(min(size, 1_000_003))


@pytest.mark.parametrize("length", [0, 5_000_000, 6 * 1024 * 1024, 13_000_001])
def test_a_file_of_any_length_is_written(
    blobs: S3Blobs, monkeypatch: pytest.MonkeyPatch, length: int
) -> None:
    """In one piece or in parts, from a source that cannot be rewound."""
    monkeypatch.setattr(adapter, "_PART", 6 * 1024 * 1024)
    data = Random(1).randbytes(length)
    blobs.write_file("corpus.csv", Stream(data))  # type: ignore[arg-type]
    assert blobs.read("corpus.csv") == data


def test_a_file_that_breaks_off_leaves_nothing(
    client: Any, blobs: S3Blobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The blob before it stays, and no parts are left to be paid for."""
    monkeypatch.setattr(adapter, "_PART", 6 * 1024 * 1024)
    blobs.write("corpus.csv", b"before")

    class Breaking(Stream):
        def read(self, size: int = -1, /) -> bytes:
            if self._data.tell() > 8_000_000:
                raise OSError("the disk is gone")
            return super().read(size)

    with pytest.raises(OSError, match="the disk is gone"):
        blobs.write_file("corpus.csv", Breaking(bytes(13_000_000)))  # type: ignore[arg-type]
    assert blobs.read("corpus.csv") == b"before"
    assert not client.list_multipart_uploads(Bucket=blobs._bucket).get("Uploads")


def test_keys_of_any_text_are_listed_in_order(blobs: S3Blobs) -> None:
    """Names that XML or URLs would change; sorted by code point, as the port says."""
    names = ["a b", "a+b%20", "a&<b>", "ä", "犬", "\ufb00", "🐕", "line\nbreak", "tab\t", "quote\"'", "z"]
    blobs.write_all((f"x/{name}", name.encode()) for name in names)
    assert list(blobs.keys("x/")) == sorted(f"x/{name}" for name in names)
    assert [blobs.read(key) for key in blobs.keys("x/")] == [name.encode() for name in sorted(names)]


def test_what_the_console_leaves_for_a_folder_is_no_blob(client: Any, blobs: S3Blobs) -> None:
    """An empty object whose name ends with a slash."""
    for name in ("jobs/", "jobs/a/", "jobs/a/answers/"):
        client.put_object(Bucket=blobs._bucket, Key=name)
    blobs.write("jobs/a/answers/1", b"")
    assert list(blobs.keys("jobs/a/")) == ["jobs/a/answers/1"]
    assert blobs.folders("jobs/") == ["a"]


@pytest.mark.slow
def test_listings_of_many_pages_are_whole(client: Any, blobs: S3Blobs) -> None:
    """S3 lists 1,000 at a time; here it lists 20, which is the same to whoever asks on."""
    pages: list[dict[str, Any]] = []

    def list_fewer(params: dict[str, Any], **_: Any) -> None:
        pages.append(params)
        params["MaxKeys"] = 20

    client.meta.events.register("provide-client-params.s3.ListObjectsV2", list_fewer)
    names = [f"jobs/job{number:04d}/job.json" for number in range(105)]
    blobs.write_all((name, b"{}") for name in reversed(names))
    assert list(blobs.keys("jobs/")) == names
    assert blobs.folders("jobs/") == [f"job{number:04d}" for number in range(105)]
    assert len(pages) == 12


def test_a_page_is_stored_as_one(client: Any, blobs: S3Blobs) -> None:
    """The console opens what is HTML; whatever else is stored stays without a kind of its own."""
    blobs.write_all([("report.html", b"<p>"), ("report.json", b"{}")])
    page, other = (
        client.head_object(Bucket=blobs.uri("")[5:-1], Key=f"report.{form}")["ContentType"]
        for form in ("html", "json")
    )
    assert page == "text/html; charset=utf-8"
    assert other.endswith("/octet-stream")


def test_the_first_failure_of_many_writes_is_told(client: Any, blobs: S3Blobs) -> None:
    """And nothing more is begun: the source is not read to its end."""
    between(client, "PUT", *[refused(403, "AccessDenied")] * 200)
    taken = 0

    def source() -> Any:
        nonlocal taken
        for taken in range(200):
            yield f"a/{taken}", b""

    with pytest.raises(BulkqaError, match="AccessDenied"):
        blobs.write_all(source())
    assert taken < 100


def test_an_address_in_another_bucket_is_refused(blobs: S3Blobs) -> None:
    """A bucket whose name merely begins like this one is another."""
    for uri in (
        f"s3://{blobs._bucket}x/a",
        f"s3://{blobs._bucket}",
        "local://a",
        f"s3://{blobs._bucket}/../a",
    ):
        with pytest.raises(InputError):
            blobs.key(uri)
