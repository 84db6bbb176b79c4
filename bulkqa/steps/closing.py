"""Labels that close early: each is looked at while it is reviewed, and closed once its threshold is settled.

What is decided is kept, once, under `jobs/<job>/closed/`: that is the truth for status and report, and the
queue is closed again from it when the portal starts.

The pages of a label are shuffled, and an item counts once it has all its votes, so what is looked at is a
random sequence. Pages in hand when a label closes are still taken, and count in the promise: whether one more
page was given out hangs on the pages before it alone. In that order it is a stopping time, at which the
sequential test holds as at any other.
"""

import hashlib
import json
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from bulkqa import SCHEMA
from bulkqa.errors import InputError
from bulkqa.flow.tasks import read_task_input
from bulkqa.flow.thresholds import (
    ASSURANCE,
    EXACT,
    SEQUENTIAL,
    TARGET,
    Evidence,
    ShareTest,
    promised_thresholds,
    settled,
)
from bulkqa.jobs import Page, batch_key, job_key
from bulkqa.ports import Blobs, Store
from bulkqa.settings import JobSettings
from bulkqa.steps.results import PageRows, page_rows


class Closing(NamedTuple):
    """Why a label was closed, after `images` had all their votes.

    `threshold` is what could be promised then, None where nothing could; `reviewed` and `confirmed` are the
    items at or above it, without one all. What is promised later is said of all votes that are there by then.
    """

    label: str
    closed_at: str
    images: int
    reviewed: int
    confirmed: int
    threshold: float | None
    reason: str


def terms(settings: JobSettings | None) -> tuple[float, float, ShareTest]:
    """Return the target and assurance of a job's thresholds where nobody says otherwise, and their test.

    Without `settings`, of a file. What the votes may have stopped is tested by the sequential test alone.
    """
    stop = None if settings is None else settings.stop_early
    return (TARGET, ASSURANCE, EXACT) if stop is None else (stop.target, stop.assurance, SEQUENTIAL)


def closings(settings: JobSettings, blobs: Blobs) -> dict[str, Closing]:
    """Return the closed labels of a job, in code-point order; nothing is read where none closes early."""
    if settings.stop_early is None:
        return {}
    keys = blobs.keys(job_key(settings.job, "closed/"))
    found = sorted(_read_closing(data, key) for key, data in blobs.read_all(keys))
    return {closing.label: closing for closing in found}


def close_again(settings: JobSettings, store: Store) -> None:
    """Close in the queue what is closed, as after the queue was made anew."""
    if store.queue is not None:
        for label in closings(settings, store.blobs):
            store.queue.close(settings.job, label)


@dataclass(slots=True)
class Looked:
    """What was seen of one label: how many images had all their votes, and what these say.

    `pages` has what each page said, by its key, in a word; None while somebody is reading it.
    """

    evidence: Evidence
    pages: dict[str, int | None] = field(default_factory=dict)
    images: int = 0

    @classmethod
    def at_nothing(cls, settings: JobSettings) -> "Looked":
        """Return what is seen at first."""
        return cls(Evidence(settings.bands, settings.votes_that_count))

    def add(self, page: PageRows) -> None:
        """Look at a page that was not looked at before."""
        self.pages[page.key] = _in_a_word(page)
        for row in page.own:
            self.evidence.count(row)
            self.images += len(row.voters) >= self.evidence.votes


def _in_a_word(page: PageRows) -> int:
    return hash(tuple((row.confirms, row.disconfirms, row.cannot_judges) for row in page.own))


def judge(settings: JobSettings, label: str, looked: Looked, now: str) -> Closing | None:
    """Return why a label is to be closed, or None if it is not."""
    stop = settings.stop_early
    assert stop is not None  # noqa: S101  nobody asks for another job
    asked = (stop.target, stop.assurance, settings.sample)
    promise = settled(looked.evidence, label, *asked)
    if promise is not None:
        reason = promise.reason
    elif looked.images >= stop.reviews:
        (promise,) = promised_thresholds(looked.evidence, *asked, SEQUENTIAL)
        found = "no threshold yet" if promise.threshold is None else promise.reason
        reason = f"{looked.images:,} images reviewed; {found}"
    else:
        return None
    counts = (looked.images, promise.reviewed, promise.confirmed)
    return Closing(label, now, *counts, promise.threshold, reason)


def close(settings: JobSettings, closing: Closing, store: Store) -> bool:
    """Close a label; return whether it was not closed before, when another reason stands."""
    name = hashlib.sha256(closing.label.encode()).hexdigest()[:24]
    document = {"schema": SCHEMA, **closing._asdict()}
    data = json.dumps(document, ensure_ascii=False, indent=1).encode()
    first = store.blobs.create(job_key(settings.job, f"closed/{name}.json"), data)
    if store.queue is not None:
        store.queue.close(settings.job, closing.label)
    return first


def pages_with_votes(settings: JobSettings, keys: Iterable[str], store: Store) -> Iterator[PageRows]:
    """Yield these pages of a job, by their keys, with the votes on their items."""
    read: Iterator[Page] = ((key, read_task_input(data, key)) for key, data in store.blobs.read_all(keys))
    return page_rows(settings.job, settings.source, read, store.table)


class Closer:
    """Looks at a label whenever one of its pages is answered, and closes it when that settles it.

    What was seen is kept in memory. After a restart it comes from the queue, which knows the pages that have
    all their answers, and from the label table.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._looked: dict[tuple[str, str], Looked | None] = {}
        # Never held while something is read: many reviewers are at one label at a time.
        self._lock = threading.Lock()

    def look(self, settings: JobSettings, number: int, label: str, now: str) -> Closing | None:
        """Look at a label after an answer to its page `number`; return why it was closed, if it was now."""
        assert self._store.queue is not None  # noqa: S101  the portal has one
        of, answered = (settings.job, label), batch_key(settings.job, number)
        while True:
            done = {batch_key(settings.job, page) for page in self._store.queue.done(*of)}
            with self._lock:
                looked = self._looked.setdefault(of, Looked.at_nothing(settings))
                if looked is None:
                    return None
                fresh = sorted(done - looked.pages.keys())
                again = [answered] if looked.pages.get(answered) is not None else []
                looked.pages.update(dict.fromkeys(fresh))  # whoever comes meanwhile leaves these to us
            try:
                pages = list(pages_with_votes(settings, fresh + again, self._store))
            except BaseException:
                self._forget(of, looked)
                raise
            with self._lock:
                if self._looked.get(of) is not looked:
                    continue
                if any(looked.pages[page.key] not in (None, _in_a_word(page)) for page in pages):
                    del self._looked[of]  # another answer to a page that was counted, or a correction
                    continue
                for page in pages[: len(fresh)]:
                    looked.add(page)
                closing = judge(settings, label, looked, now) if fresh else None
                if closing is None:
                    return None
                self._looked[of] = None
            return closing if close(settings, closing, self._store) else None

    def _forget(self, of: tuple[str, str], looked: Looked) -> None:
        with self._lock:
            if self._looked.get(of) is looked:
                del self._looked[of]


def _read_closing(data: bytes, name: str) -> Closing:
    try:
        document = json.loads(data)
        if document["schema"] > SCHEMA:
            raise InputError(f"{name}: written by a newer bulkqa (schema {document['schema']})")
        return Closing(**{field: document[field] for field in Closing._fields})
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{name}: not a closed label's record: {error!r}") from None
