"""Corpora and pictures anywhere in S3: which references may be used, and copying them where asked."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from bulkqa.aws.calls import FAILURES, Threads, code_of, explained
from bulkqa.errors import InputError, NotFoundError
from bulkqa.flow.corpus import Item, Row
from bulkqa.flow.records import Rejected

_CHUNK = 1024 * 1024
_MISSING = {"NoSuchKey", "NoSuchBucket", "404"}


def split_uri(uri: str) -> tuple[str, str]:
    """Return bucket and key of an S3 URI; raise `InputError` if it is none.

    >>> split_uri("s3://bucket/a/b c.jpg")
    ('bucket', 'a/b c.jpg')
    """
    parts = uri.removeprefix("s3://").partition("/")
    if not uri.startswith("s3://") or not parts[0]:
        raise InputError(f"{uri!r} is no address in S3 (s3://bucket/key)")
    return parts[0], parts[2]


class S3Pictures:
    """References of a launch: relative paths start from `root`, and all have to lie below `sources`.

    `sources` are prefixes (`s3://bucket/prefix/`) that whoever shows the pictures may read; URLs of other
    kinds are used as they stand. With `copy_to`, a prefix too, pictures are copied there and used there;
    with `keep_copies` those that are there stay as they are, as for a job that people may be reviewing.
    """

    def __init__(
        self,
        client: Any,
        root: str | None,
        sources: Sequence[str],
        copy_to: str | None = None,
        keep_copies: bool = False,
    ) -> None:
        self._client = client
        self._root = None if root is None else root.rstrip("/") + "/"
        self._sources = tuple(source if source.endswith("/") else f"{source}/" for source in sources)
        self._copy_to = None if copy_to is None else copy_to.rstrip("/") + "/"
        self._keep_copies = keep_copies
        self._threads = Threads()

    def keep(self, item: Item) -> Item:
        """Return the item with its picture's address in S3; raise `InputError` where it may not be used."""
        image = item.image
        scheme = urlsplit(image).scheme if "://" in image else ""
        if scheme and scheme != "s3":
            if scheme == "local":
                raise InputError(f"{image!r} lies on somebody's machine")
            return item
        if not scheme:
            if self._root is None:
                raise InputError(f"{image!r} is a path, and the launch names no place of the images")
            image = self._root + image
        if not image.startswith(self._sources):
            raise InputError(f"{image!r} does not lie below {', '.join(self._sources) or 'any image source'}")
        return Item(image, item.label, item.confidence)

    def screen(self, rows: Iterable[Row | Rejected]) -> Iterator[Row | Rejected]:
        """Yield rows in order, their pictures copied, many at once; one that is not there is rejected."""
        return iter(rows) if self._copy_to is None else self._threads.map(self._copied, rows)

    def _copied(self, row: Row | Rejected) -> Row | Rejected:
        if isinstance(row, Rejected) or not row.item.image.startswith("s3://"):
            return row
        source_bucket, source_key = split_uri(row.item.image)
        target = f"{self._copy_to}{source_bucket}/{source_key}"
        bucket, key = split_uri(target)
        copied = Row(row.line, Item(target, row.item.label, row.item.confidence))
        try:
            if self._keep_copies and self._exists(bucket, key):
                return copied
            self._client.copy_object(
                Bucket=bucket,
                Key=key,
                CopySource={"Bucket": source_bucket, "Key": source_key},
                TaggingDirective="REPLACE",  # with none: to copy tags, S3 demands the right to read them
            )
        except FAILURES as error:
            if _is_missing(error):
                return Rejected(row.line, f"{row.item.image!r} does not exist")
            raise explained(error, row.item.image) from error
        return copied

    def _exists(self, bucket: str, key: str) -> bool:
        try:
            self._client.head_object(Bucket=bucket, Key=key)
        except FAILURES as error:
            if _is_missing(error):
                return False
            raise
        return True


def download(client: Any, uri: str, file: BinaryIO) -> None:
    """Write an object's bytes to `file`, a piece at a time."""
    bucket, key = split_uri(uri)
    try:
        body = client.get_object(Bucket=bucket, Key=key)["Body"]
        for piece in body.iter_chunks(_CHUNK):
            file.write(piece)
    except FAILURES as error:
        if _is_missing(error):
            raise NotFoundError(f"{uri} does not exist") from None
        raise explained(error, uri) from error


def _is_missing(error: Exception) -> bool:
    return isinstance(error, ClientError) and code_of(error) in _MISSING
