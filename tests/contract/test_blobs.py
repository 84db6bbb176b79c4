"""What every adapter of `Blobs` does."""

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count, islice

import pytest

from bulkqa.errors import InputError, NotFoundError
from bulkqa.ports import Blobs


def test_what_was_written_is_read(blobs: Blobs) -> None:
    """Bytes come back as they were stored, whichever way they were, the last ones last."""
    blobs.write("jobs/a/one.json", b"first")
    blobs.write("jobs/a/one.json", b"second")
    blobs.write_file("jobs/a/two", io.BytesIO(bytes(range(256)) * 1000))
    blobs.write_all((f"jobs/a/many/{number}", str(number).encode()) for number in range(30))
    assert blobs.read("jobs/a/one.json") == b"second"
    assert blobs.read("jobs/a/two") == bytes(range(256)) * 1000
    assert [blobs.read(f"jobs/a/many/{number}") for number in range(30)] == [b"%d" % n for n in range(30)]


def test_what_is_not_there_is_named(blobs: Blobs) -> None:
    """Reading a key without bytes says which one, be the folder there or not."""
    with pytest.raises(NotFoundError, match="nothing"):
        blobs.read("jobs/nothing")
    blobs.write("jobs/a/b", b"")
    with pytest.raises(NotFoundError):
        blobs.read("jobs/a")


def test_many_are_read_in_order(blobs: Blobs) -> None:
    """`read_all` yields each key with its bytes, in the order of the keys, one named twice too."""
    blobs.write_all((f"many/{number:03d}", str(number).encode()) for number in range(90))
    numbers = [*range(89, -1, -1), 7, 7]
    read = blobs.read_all(f"many/{number:03d}" for number in numbers)
    assert list(read) == [(f"many/{number:03d}", b"%d" % number) for number in numbers]
    assert list(blobs.read_all([])) == []


def test_a_missing_one_among_many_is_named(blobs: Blobs) -> None:
    """`read_all` yields what comes before a key without bytes, and then says which one it is."""
    blobs.write("a", b"1")
    read = blobs.read_all(["a", "a", "nothing", "a"])
    assert list(islice(read, 2)) == [("a", b"1"), ("a", b"1")]
    with pytest.raises(NotFoundError, match="nothing"):
        next(read)
    with pytest.raises(InputError, match="no key"):
        list(blobs.read_all(["a", "../a"]))


def test_many_are_read_as_they_are_asked_for(blobs: Blobs) -> None:
    """`read_all` takes keys without end, a bounded number ahead of what it has yielded."""
    blobs.write("a", b"1")
    asked: list[str] = []

    def keys() -> Iterator[str]:
        for _ in count():
            asked.append("a")
            yield "a"

    read = blobs.read_all(keys())
    for _ in range(20):
        assert next(read) == ("a", b"1")
    assert 20 <= len(asked) <= 100


def test_others_may_be_read_between_many(blobs: Blobs) -> None:
    """While `read_all` is under way the same store reads, lists and reads many others."""
    blobs.write_all((f"many/{number:03d}", b"%d" % number) for number in range(70))
    for number, (_, data) in enumerate(blobs.read_all(blobs.keys("many/"))):
        assert data == blobs.read(f"many/{number:03d}") == b"%d" % number
        if number % 40 == 0:
            assert len(list(blobs.read_all(blobs.keys("many/")))) == 70


def test_one_of_many_creates(blobs: Blobs) -> None:
    """Of several callers at once one creates a blob, and its bytes are those that stay."""
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda n: blobs.create("jobs/a/job.json", b"%d" % n * 5000), range(40)))
    assert made.count(True) == 1
    assert blobs.read("jobs/a/job.json") == b"%d" % made.index(True) * 5000
    assert blobs.create("jobs/a/job.json", b"late") is False


def test_readers_never_see_a_part(blobs: Blobs) -> None:
    """While a blob is written again and again, every reader sees one whole version."""
    versions = [bytes([65 + n]) * 50_000 for n in range(2)]
    blobs.write("x", versions[0])

    def write(_: int) -> None:
        for turn in range(30):
            blobs.write("x", versions[turn % 2])

    with ThreadPoolExecutor(3) as pool:
        writers = [pool.submit(write, n) for n in range(2)]
        while not all(writer.done() for writer in writers):
            assert blobs.read("x") in versions
        for writer in writers:
            writer.result()


def test_keys_are_listed_sorted_and_whole(blobs: Blobs) -> None:
    """`keys` yields exactly those under a prefix, in order; `folders` the names right below it."""
    names = [f"jobs/a/answers/{page:08d}/w{worker}.0.json" for page in (3, 0, 11) for worker in (2, 1)]
    for name in [*names, "jobs/ab/job.json", "jobs/a/job.json"]:
        blobs.write(name, b"{}")
    assert list(blobs.keys("jobs/a/answers/")) == sorted(names)
    assert list(blobs.keys("jobs/none/")) == []
    assert blobs.folders("jobs/") == ["a", "ab"]
    assert blobs.folders("none/") == []


def test_an_address_leads_back_to_its_key(blobs: Blobs) -> None:
    """`key` undoes `uri`, and refuses what lies elsewhere."""
    assert blobs.key(blobs.uri("jobs/a/b c.json")) == "jobs/a/b c.json"
    with pytest.raises(InputError):
        blobs.key("s3://somebody-elses-bucket/jobs/a")


@pytest.mark.parametrize("key", ["../secret", "jobs/../../secret", "/etc/passwd", "", "a\\..\\b", "a\0b"])
def test_a_key_cannot_leave_its_room(blobs: Blobs, key: str) -> None:
    """A key that climbs, is absolute or holds what no name may is refused."""
    with pytest.raises(InputError):
        blobs.read(key)
    with pytest.raises(InputError):
        blobs.write(key, b"")
