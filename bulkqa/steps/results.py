"""What the votes of a job say: its items with their votes, for reports and exports."""

from collections.abc import Iterator
from itertools import chain, islice, tee
from typing import NamedTuple

from bulkqa.flow.tasks import read_task_input
from bulkqa.flow.votes import LabelRow, row_of_job
from bulkqa.jobs import job_key, settings_of
from bulkqa.ports import Progress, Store

# Pages are looked up this many at a time, so that one look-up serves them all.
_PAGES_AT_ONCE = 40


class PageRows(NamedTuple):
    """A page of a job: its batch's key, its label, and its items with the votes they got in that job."""

    key: str
    label: str
    rows: list[LabelRow]

    @property
    def voters(self) -> frozenset[str]:
        """All who voted on any of its items in this job."""
        return frozenset(chain.from_iterable(row.voters for row in self.rows))


def job_pages(job: str, store: Store) -> Iterator[PageRows]:
    """Yield every page of a job, in order; known-answer items, which get no votes, are left out."""
    keys, names = tee(store.blobs.keys(job_key(job, "custom-labeling-inputs/")))
    batches = zip(names, store.blobs.read_all(keys), strict=True)
    while some := list(islice(batches, _PAGES_AT_ONCE)):
        pages = [(key, read_task_input(data, key)) for key, data in some]
        found = store.table.get(
            [(item.image, item.label) for _, items in pages for item in items if item.check is None]
        )
        for key, items in pages:
            rows = []
            for item in items:
                if item.check is None:
                    of = (item.image, item.label)
                    rows.append(row_of_job(of, item.confidence, job, found.get(of)))
            yield PageRows(key, items[0].label, rows)


def job_rows(job: str, store: Store) -> Iterator[LabelRow]:
    """Yield every item of a job with the votes it got there, in page order; known-answer items left out."""
    return chain.from_iterable(page.rows for page in job_pages(job, store))


def progress(job: str, store: Store) -> dict[str, Progress]:
    """Return how far a job's pages are, by label in code-point order.

    The queue knows; where Ground Truth hands out the pages, the votes tell: a page has as many answers as
    voters on it.
    """
    if store.queue is not None:
        return store.queue.progress(job)
    wanted = settings_of(job, store.blobs).reviewers
    found: dict[str, Progress] = {}
    for page in job_pages(job, store):
        answers = min(len(page.voters), wanted)
        done = answers == wanted
        before = found.get(page.label, Progress(0, 0, 0, 0, 0, 0))
        found[page.label] = Progress(
            before.pages + 1,
            before.done + done,
            before.answers + answers,
            before.wanted + wanted,
            before.items + len(page.rows),
            before.items_done + (len(page.rows) if done else 0),
        )
    return dict(sorted(found.items()))
