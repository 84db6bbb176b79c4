"""Blobs in an S3 bucket, one object each."""

import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any, BinaryIO, TypeVar

from botocore.exceptions import ClientError

from bulkqa.aws.calls import FAILURES, Patience, Threads, code_of, explained, is_passing, status_of
from bulkqa.errors import BulkqaError, InputError, NotFoundError
from bulkqa.ports import check_key

T = TypeVar("T")

_PART = 16 * 1024 * 1024
_MISSING = {"NoSuchKey", "404"}
_TAKEN = 412
_CONFLICT = 409
# Of those who create a blob at once one must be told that it did: even if its reply was lost on the way, so
# that its second attempt finds the blob there. Each caller leaves this name on what it writes.
_WRITER = "bulkqa-writer"


class S3Blobs:
    """`bulkqa.ports.Blobs` in a bucket, with a client made by `make_client("s3")`.

    Needs `s3:GetObject`, `s3:PutObject`, and `s3:ListBucket`, without which S3 answers AccessDenied where
    there is no object. Whatever S3 refuses becomes a `BulkqaError` that names the object.
    """

    def __init__(self, client: Any, bucket: str, patience: Patience | None = None) -> None:
        self._client = client
        self._bucket = bucket
        self._patience = patience or Patience()
        self._threads = Threads()

    def read(self, key: str) -> bytes:
        """See `Blobs.read`."""
        check_key(key)
        failures = 0
        while True:
            try:
                data: bytes = self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()
                return data
            except FAILURES as error:
                # The client does not try again where the bytes break off after a good start.
                failures += 1
                if (
                    isinstance(error, ClientError)
                    or not is_passing(error)
                    or not self._patience.wait(failures)
                ):
                    raise self._explained(error, key) from error

    def read_all(self, keys: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """See `Blobs.read_all`. Reads many at once; the bytes of at most 2 x `THREADS` are held."""
        return self._threads.map(lambda key: (key, self.read(key)), keys)

    def write(self, key: str, data: bytes) -> None:
        """See `Blobs.write`."""
        check_key(key)
        # A page that the console opens, and does not offer as a file.
        kind = {"ContentType": "text/html; charset=utf-8"} if key.endswith(".html") else {}
        self._call(key, self._client.put_object, Body=data, **kind)

    def write_file(self, key: str, source: BinaryIO) -> None:
        """See `Blobs.write_file`. At most 16 MiB are held at once; the source need not be seekable."""
        check_key(key)
        part = _read_part(source)
        if len(part) < _PART:
            self._call(key, self._client.put_object, Body=part)
        else:
            self._write_parts(key, part, source)

    def write_all(self, blobs: Iterable[tuple[str, bytes]]) -> None:
        """See `Blobs.write_all`."""
        for _ in self._threads.map(lambda blob: self.write(*blob), blobs):
            pass

    def create(self, key: str, data: bytes) -> bool:
        """See `Blobs.create`."""
        check_key(key)
        writer = uuid.uuid4().hex
        failures = 0
        while True:
            try:
                self._client.put_object(
                    Bucket=self._bucket, Key=key, Body=data, IfNoneMatch="*", Metadata={_WRITER: writer}
                )
                return True
            except FAILURES as error:
                status = status_of(error) if isinstance(error, ClientError) else 0
                if status == _TAKEN:
                    return self._writer(key) == writer
                failures += 1
                # A conflict says that another write of this key was under way, not how it ended.
                if status != _CONFLICT or not self._patience.wait(failures):
                    raise self._explained(error, key) from error

    def keys(self, prefix: str) -> Iterator[str]:
        """See `Blobs.keys`."""
        for page in self._pages(prefix):
            for found in page.get("Contents", ()):
                if not found["Key"].endswith("/"):  # what the console leaves for a folder
                    yield found["Key"]

    def folders(self, prefix: str) -> list[str]:
        """See `Blobs.folders`."""
        return [
            found["Prefix"].removeprefix(prefix).rstrip("/")
            for page in self._pages(prefix, Delimiter="/")
            for found in page.get("CommonPrefixes", ())
        ]

    def uri(self, key: str) -> str:
        """See `Blobs.uri`."""
        return f"s3://{self._bucket}/{key}"

    def key(self, uri: str) -> str:
        """See `Blobs.key`."""
        start = self.uri("")
        if not uri.startswith(start):
            raise InputError(f"{uri!r} does not lie in {start}")
        key = uri.removeprefix(start)
        check_key(key)
        return key

    def _pages(self, prefix: str, **arguments: Any) -> Iterator[dict[str, Any]]:
        """Yield the pages of a listing, which S3 sorts by the bytes of the keys: by code point, that is."""
        try:
            yield from self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=prefix, **arguments
            )
        except FAILURES as error:
            raise self._explained(error, prefix) from error

    def _write_parts(self, key: str, part: bytes, source: BinaryIO) -> None:
        """Store a long file in parts; nothing is seen of them before the last one is there."""
        upload = {"UploadId": self._call(key, self._client.create_multipart_upload)["UploadId"]}
        try:
            parts: list[dict[str, Any]] = []
            while part:
                number = len(parts) + 1
                done = self._call(key, self._client.upload_part, Body=part, PartNumber=number, **upload)
                parts.append({"ETag": done["ETag"], "PartNumber": number})
                part = _read_part(source)
            self._call(
                key, self._client.complete_multipart_upload, MultipartUpload={"Parts": parts}, **upload
            )
        except BaseException:
            with suppress(BulkqaError):  # parts left behind cost money; the first error says more
                self._call(key, self._client.abort_multipart_upload, **upload)
            raise

    def _writer(self, key: str) -> str | None:
        """Return the mark that the creator of a blob left on it."""
        try:
            found = self._call(key, self._client.head_object)
        except NotFoundError:  # taken away since
            return None
        mark: str | None = found.get("Metadata", {}).get(_WRITER)
        return mark

    def _call(self, key: str, operation: Callable[..., T], **arguments: Any) -> T:
        try:
            return operation(Bucket=self._bucket, Key=key, **arguments)
        except FAILURES as error:
            raise self._explained(error, key) from error

    def _explained(self, error: Exception, key: str) -> BulkqaError:
        if isinstance(error, ClientError) and code_of(error) in _MISSING:
            return NotFoundError(f"{self.uri(key)} does not exist")
        return explained(error, self.uri(key))


def _read_part(source: BinaryIO) -> bytes:
    """Read a part's bytes, fewer only at the end of the file: a stream may hand out less at a time."""
    part = bytearray()
    while len(part) < _PART and (more := source.read(_PART - len(part))):
        part += more
    return bytes(part)
