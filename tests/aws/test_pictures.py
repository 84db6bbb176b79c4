"""Pictures in S3: which of them are copied, and which are read for a page."""

from collections.abc import Iterator
from typing import Any

import pytest

from bulkqa.aws.pictures import S3Pictures, SmallPictures
from bulkqa.errors import InputError, NotFoundError
from bulkqa.flow.corpus import Item, Row
from bulkqa.flow.records import Rejected
from tests.emulators import moto_client
from tests.support_aws import create_bucket

COPIES = "s3://ours/jobs/dogs/images"


class Bucket:
    """The bucket `zoo` with pictures, the bucket `ours`, and which calls were made."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.calls: list[tuple[str, str]] = []
        for bucket in ("zoo", "ours"):
            create_bucket(client, bucket)
        client.meta.events.register("before-parameter-build.s3", self._called)

    def _called(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        self.calls.append((model.name, params.get("Key", "")))

    def put(self, **sizes: int) -> None:
        """Put pictures of so many bytes."""
        for name, size in sizes.items():
            self.client.put_object(Bucket="zoo", Key=f"{name}.jpg", Body=b"x" * size)
        self.calls.clear()

    def names(self, operation: str) -> list[str]:
        """The keys that an operation was called with, sorted."""
        return sorted(key for name, key in self.calls if name == operation)


@pytest.fixture
def zoo(moto: None) -> Iterator[Bucket]:
    """The buckets, in moto."""
    yield Bucket(moto_client("s3"))


def row(name: str) -> Row:
    """A row of the corpus."""
    return Row(2, Item(f"s3://zoo/{name}.jpg", "Dog", 90.0))


# Copying.


def test_looking_copies_nothing(zoo: Bucket) -> None:
    """Rows get the addresses of copies, missing pictures are rejected, and only what is wanted is copied."""
    zoo.put(a=1, b=1)
    pictures = S3Pictures(zoo.client, None, ["s3://zoo"], COPIES)
    elsewhere = Row(3, Item("https://example.org/a.jpg", "Dog", 90.0))
    bad = Rejected(4, "no label")
    found = list(pictures.look([row("a"), row("none"), row("b"), elsewhere, bad]))
    addresses = [f"{COPIES}/zoo/{name}.jpg" for name in "ab"]
    assert found == [
        Row(2, Item(addresses[0], "Dog", 90.0)),
        Rejected(2, "'s3://zoo/none.jpg' does not exist"),
        Row(2, Item(addresses[1], "Dog", 90.0)),
        elsewhere,
        bad,
    ]
    assert zoo.names("CopyObject") == []
    pictures.copy([addresses[1], elsewhere.item.image])
    assert zoo.names("CopyObject") == ["jobs/dogs/images/zoo/b.jpg"]
    assert list(pictures.screen([row("a"), row("none"), row("b"), elsewhere, bad])) == found


def test_what_goes_away_before_it_is_copied_is_named(zoo: Bucket) -> None:
    """A picture that was there for the look and is gone for the copy is an error that names it."""
    zoo.put(a=1)
    pictures = S3Pictures(zoo.client, None, ["s3://zoo"], COPIES)
    (seen,) = pictures.look([row("a")])
    assert isinstance(seen, Row)
    zoo.client.delete_object(Bucket="zoo", Key="a.jpg")
    with pytest.raises(NotFoundError, match=r"s3://zoo/a\.jpg"):
        pictures.copy([seen.item.image])


def test_copies_that_are_kept_need_no_picture(zoo: Bucket) -> None:
    """Launched again, what is copied already is neither looked for nor copied."""
    zoo.put(a=1)
    (first,) = S3Pictures(zoo.client, None, ["s3://zoo"], COPIES).screen([row("a")])
    zoo.client.delete_object(Bucket="zoo", Key="a.jpg")
    zoo.calls.clear()
    again = S3Pictures(zoo.client, None, ["s3://zoo"], COPIES, keep_copies=True)
    assert list(again.look([row("a")])) == [first]
    assert isinstance(first, Row)
    again.copy([first.item.image])
    assert zoo.names("CopyObject") == []


def test_an_address_below_the_copies_is_copied_from_where_it_is(zoo: Bucket) -> None:
    """A corpus cannot have pictures of other places copied by naming what would be their copies."""
    zoo.put(private=1)
    pictures = S3Pictures(zoo.client, None, ["s3://ours"], COPIES)
    item = pictures.keep(Item(f"{COPIES}/zoo/private.jpg", "Dog", 90.0))
    missing = Rejected(2, f"'{COPIES}/zoo/private.jpg' does not exist")
    assert list(pictures.look([Row(2, item)])) == list(pictures.screen([Row(2, item)])) == [missing]


# Reading.


def test_pictures_are_read_while_there_is_room(zoo: Bucket) -> None:
    """One that is too large by itself is passed over; the first that does not fit any more is the last."""
    zoo.put(a=60, b=101, c=30, d=20, e=5)
    pictures = SmallPictures(zoo.client, each=100, in_all=100)
    sizes = [
        None if (data := pictures.read(f"s3://zoo/{name}.jpg")) is None else len(data) for name in "abcde"
    ]
    assert sizes == [60, None, 30, None, None]
    assert zoo.names("GetObject") == ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]


def test_misses_are_counted(zoo: Bucket) -> None:
    """After so many that are missing or too large nothing more is asked for."""
    zoo.put(a=101, c=1, d=1)
    pictures = SmallPictures(zoo.client, each=100, in_all=1000, misses=2)
    assert [pictures.read(f"s3://zoo/{name}.jpg") for name in ("a", "c", "none", "d")] == [
        None,
        b"x",
        None,
        None,
    ]
    assert "d.jpg" not in zoo.names("GetObject")


def test_a_bucket_that_may_not_be_read_is_left_alone(zoo: Bucket) -> None:
    """Where a right is missing one attempt is enough, and other buckets are read nevertheless."""
    zoo.put(a=1)

    def forbid(params: dict[str, Any], **_: Any) -> None:
        if params["Bucket"] == "secret":
            # Another attempt would go through, and be seen.
            zoo.client.meta.events.unregister("provide-client-params.s3.GetObject", forbid)
            raise zoo.client.exceptions.ClientError({"Error": {"Code": "AccessDenied"}}, "GetObject")

    zoo.client.meta.events.register("provide-client-params.s3.GetObject", forbid)
    pictures = SmallPictures(zoo.client, each=100, in_all=1000)
    found = [pictures.read(f"s3://{place}.jpg") for place in ("secret/a", "zoo/a", "secret/b")]
    assert found == [None, b"x", None]
    assert zoo.names("GetObject") == ["a.jpg"]
    with pytest.raises(InputError, match="no address"):
        pictures.read("https://example.org/a.jpg")
