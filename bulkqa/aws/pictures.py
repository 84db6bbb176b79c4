"""Corpora and pictures anywhere in S3: which references may be used, and copying them where asked."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
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
        return self._screened(rows, self._copy)

    def look(self, rows: Iterable[Row | Rejected]) -> Iterator[Row | Rejected]:
        """Yield rows as `screen` does, with the addresses of copies that are still to be made: by `copy`."""
        return self._screened(rows, self._see)

    def copy(self, images: Iterable[str]) -> None:
        """Make those copies that are wanted, many at once, of addresses that `look` gave.

        Raises `NotFoundError` for a picture that has gone since.
        """
        if self._copy_to is not None:
            to = self._copy_to
            deque(self._threads.map(self._copy, (image for image in images if image.startswith(to))), 0)

    def _screened(
        self, rows: Iterable[Row | Rejected], use: Callable[[str], None]
    ) -> Iterator[Row | Rejected]:
        """Yield rows with the addresses of their pictures' copies; `use` is given each of these."""
        if self._copy_to is None:
            return iter(rows)
        to = self._copy_to

        def screened(row: Row | Rejected) -> Row | Rejected:
            if isinstance(row, Rejected) or not row.item.image.startswith("s3://"):
                return row
            copy = to + row.item.image.removeprefix("s3://")
            try:
                use(copy)
            except NotFoundError as error:
                return Rejected(row.line, str(error))
            return Row(row.line, Item(copy, row.item.label, row.item.confidence))

        return self._threads.map(screened, rows)

    def _copy(self, copy: str) -> None:
        with self._source_of(copy) as source:
            if not self._is_kept(copy):
                self._client.copy_object(
                    **_place(copy),
                    CopySource=_place(source),
                    TaggingDirective="REPLACE",  # with none: to copy tags, S3 demands the right to read them
                )

    def _see(self, copy: str) -> None:
        with self._source_of(copy) as source:
            if not self._is_kept(copy):
                self._client.head_object(**_place(source))

    @contextmanager
    def _source_of(self, copy: str) -> Iterator[str]:
        """Give what is copied to an address; errors are told of it, `NotFoundError` where it is missing."""
        source = "s3://" + copy.removeprefix(self._copy_to or "")
        try:
            yield source
        except FAILURES as error:
            if _is_missing(error):
                raise NotFoundError(f"{source!r} does not exist") from None
            raise explained(error, source) from error

    def _is_kept(self, copy: str) -> bool:
        if not self._keep_copies:
            return False
        try:
            self._client.head_object(**_place(copy))
        except FAILURES as error:
            if _is_missing(error):
                return False
            raise
        return True


def _place(uri: str) -> dict[str, str]:
    bucket, key = split_uri(uri)
    return {"Bucket": bucket, "Key": key}


def download(client: Any, uri: str, file: BinaryIO) -> None:
    """Write an object's bytes to `file`, a piece at a time."""
    place = _place(uri)
    try:
        body = client.get_object(**place)["Body"]
        for piece in body.iter_chunks(_CHUNK):
            file.write(piece)
    except FAILURES as error:
        if _is_missing(error):
            raise NotFoundError(f"{uri} does not exist") from None
        raise explained(error, uri) from error


class SmallPictures:
    """Reads pictures in S3 as long as there is room for them: `each` bytes of one, `in_all` together.

    It reads one after the other, and stops for good at the first that does not fit any more, and after
    `misses` that are missing or too large; in a bucket that cannot be read, after the first.
    """

    def __init__(self, client: Any, each: int, in_all: int, misses: int = 100) -> None:
        self._client = client
        self._each = each
        self._left = in_all
        self._misses = misses
        self._closed: set[str] = set()

    def read(self, uri: str) -> bytes | None:
        """Return a picture's bytes, or None where it is not read; raise `InputError` for no address in S3."""
        bucket, key = split_uri(uri)
        if not self._misses or bucket in self._closed:
            return None
        try:
            found = self._client.get_object(Bucket=bucket, Key=key)
            with closing(found["Body"]) as body:
                size = found["ContentLength"]
                if size <= min(self._each, self._left):
                    self._left -= size
                    return bytes(body.read())
            self._misses = self._misses - 1 if size > self._each else 0
        except FAILURES as error:
            if _is_missing(error):
                self._misses -= 1
            else:
                self._closed.add(bucket)
        return None


def _is_missing(error: Exception) -> bool:
    return isinstance(error, ClientError) and code_of(error) in _MISSING
