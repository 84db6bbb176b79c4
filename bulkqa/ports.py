"""Ports: what the steps need from the world outside, as Protocols.

`bulkqa.local` has them on a laptop, `bulkqa.aws` on AWS; one contract suite in `tests/contract` runs on
every adapter. All methods may be called from several threads at once.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import BinaryIO, NamedTuple, Protocol

from bulkqa.errors import InputError
from bulkqa.flow.batches import Order
from bulkqa.flow.corpus import Item
from bulkqa.flow.votes import Key, LabelRow, Origin, Recorded, Vote

Notice = Callable[[str, int, int], None]
"""Hears of long work now and then: its stage, how much is done, of how much (0 where unknown)."""


def check_key(key: str) -> str:
    """Return `key` if it can be a blob's: a relative path with `/` that does not climb; else `InputError`.

    >>> check_key("jobs/dogs/job.json")
    'jobs/dogs/job.json'
    """
    if not key or key[0] == "/" or "\\" in key or "\0" in key or ".." in key.split("/"):
        raise InputError(f"{key!r} is no key of a blob")
    return key


class Blobs(Protocol):
    """Named bytes. Keys are relative paths with `/`, such as `jobs/dogs/job.json`."""

    def read(self, key: str) -> bytes:
        """Return the bytes; raise `NotFoundError` if there are none."""
        ...

    def read_all(self, keys: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """Yield each key with its bytes, in order; raise `NotFoundError` where one is missing."""
        ...

    def write(self, key: str, data: bytes) -> None:
        """Store the bytes in place of any before: readers see the old or the new, never a part."""
        ...

    def write_file(self, key: str, source: BinaryIO) -> None:
        """Like `write`, streamed from an open file."""
        ...

    def write_all(self, blobs: Iterable[tuple[str, bytes]]) -> None:
        """Store many; on return all are safe on disk."""
        ...

    def create(self, key: str, data: bytes) -> bool:
        """Store the bytes if there are none under this key and return True; else return False.

        Of several callers at once exactly one gets True. On return the bytes are safe on disk.
        """
        ...

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield the keys that begin with `prefix`, sorted; a prefix ends with `/`."""
        ...

    def folders(self, prefix: str) -> list[str]:
        """Return the names of the folders right below `prefix`, sorted; a prefix ends with `/`."""
        ...

    def uri(self, key: str) -> str:
        """Return the address under which Ground Truth's files name this blob."""
        ...

    def key(self, uri: str) -> str:
        """Return the key that `uri` names; raise `InputError` if it lies elsewhere."""
        ...


class LabelTable(Protocol):
    """The rows that reviewers vote on. Key: (s3_image_url, label)."""

    @property
    def order(self) -> Order:
        """The order in which the table takes many items best."""
        ...

    def launch(self, items: Iterable[Item], origin: Origin) -> None:
        """Insert rows that are absent; of those present set confidence, model and source, and add the job.

        A next round, whose origin has a source, only adds the job to those present. Votes are never
        touched, nor when a row was created. No item comes twice in a call.
        """
        ...

    def record(self, votes: Sequence[Vote]) -> Recorded:
        """Count each vote that was not counted before, exactly once, in any order and concurrently.

        A vote of a higher revision than the voter's last one on that row replaces it. A row that does not
        exist is reported and not invented. On return the votes are safe on disk.
        """
        ...

    def get(self, keys: Sequence[Key]) -> dict[Key, LabelRow]:
        """Return the rows that exist under these keys, with every vote acknowledged before the call."""
        ...

    def rows(self) -> Iterator[LabelRow]:
        """Yield all rows."""
        ...


class QueuedTask(NamedTuple):
    """A page to review: the number of its batch within its job, and what it shows."""

    job: str
    number: int
    label: str
    size: int


class Progress(NamedTuple):
    """How far pages are: `answers` of `wanted`, and `done`, the pages that have all their answers.

    Pages of a closed label that lack an answer are left out.
    """

    pages: int
    done: int
    answers: int
    wanted: int
    items: int
    items_done: int


class TaskQueue(Protocol):
    """Which page each reviewer gets next. Times are seconds since the epoch, given by the caller."""

    def add(self, tasks: Iterable[QueuedTask], reviewers: int) -> None:
        """Ask for `reviewers` answers to each task. A task that is there already stays as it is."""
        ...

    def take(self, worker: str, now: float, lease: float) -> QueuedTask | None:
        """Lease a page to this worker for `lease` seconds: the one it holds, or the next it has not answered.

        Pages come job by job in the order in which jobs were added, then by number. A page is given to no
        more workers at once than it still needs answers. None if there is none for this worker now.
        """
        ...

    def holds(self, worker: str, job: str, number: int) -> bool:
        """Say whether this page was given to this worker and not given back, be the lease over or not."""
        ...

    def give_back(self, worker: str, job: str, number: int) -> None:
        """End this worker's lease; it gets this page again only when there is no other."""
        ...

    def complete(self, worker: str, job: str, number: int, decisions: Mapping[str, int]) -> None:
        """Note this worker's answer to a page, with its numbers of decisions by kind; once, if repeated."""
        ...

    def close(self, job: str, label: str) -> None:
        """Give nobody a page of this label any more. Who has one in hand keeps it and may answer it."""
        ...

    def done(self, job: str, label: str) -> set[int]:
        """Return the numbers of a label's pages that have all their answers."""
        ...

    def completed(self, job: str) -> set[tuple[int, str]]:
        """Return (number, worker) of every answer noted."""
        ...

    def progress(self, job: str) -> dict[str, Progress]:
        """Return the progress by label, in code-point order; empty for a job without tasks."""
        ...

    def waiting(self, worker: str) -> int:
        """Return the number of pages that still need answers and that this worker has not answered.

        Those of closed labels do not.
        """
        ...

    def work_of(self, worker: str) -> tuple[int, dict[str, int]]:
        """Return the number of pages this worker has answered and its numbers of decisions by kind."""
        ...


class LabelingState(NamedTuple):
    """A Ground Truth labeling job as the service sees it; the counters are its data objects, our pages."""

    name: str
    status: str
    total: int
    labeled: int
    failed: int
    failure_reason: str | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more will come of it."""
        return self.status in ("Completed", "Failed", "Stopped")


class LabelingService(Protocol):
    """Ground Truth, as far as bulkqa asks it for something."""

    def create(self, request: Mapping[str, object]) -> None:
        """Create a labeling job (the members of `CreateLabelingJob`).

        Raises `ConflictError` where its name is used, `BulkqaError` with the service's reason where refused.
        """
        ...

    def describe(self, name: str) -> LabelingState:
        """Return the state of a labeling job; raise `NotFoundError` if there is none of this name."""
        ...

    def stop(self, name: str) -> None:
        """Stop a labeling job. One that has ended or is stopping stays as it is."""
        ...

    def sign_in_address(self, workteam: str) -> str | None:
        """Return the address at which the members of a private work team (an ARN) sign in, if it has one."""
        ...

    def picture_faults(self, bucket: str) -> list[str]:
        """Return what keeps workers' browsers from showing a bucket's pictures, each with its mend."""
        ...


class Store(NamedTuple):
    """The ports a job lives in. The queue is None where Ground Truth hands out the pages."""

    blobs: Blobs
    table: LabelTable
    queue: TaskQueue | None
