"""What the votes of a job say: its items with their votes, for reports and exports."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from bulkqa.flow.votes import LabelRow, decided, row_of_job
from bulkqa.jobs import Page, by_look_up, pages, settings_of
from bulkqa.ports import Progress, Store


class PageRows(NamedTuple):
    """A page of a job: its batch's key, its label, and its items with the votes they got in that job.

    `rows` have an adjudication's votes where one decided, `own` those of the job itself.
    """

    key: str
    label: str
    rows: list[LabelRow]
    own: list[LabelRow]

    @property
    def voters(self) -> frozenset[str]:
        """All who voted on any of its items in this job."""
        return frozenset(chain.from_iterable(row.voters for row in self.rows))


def job_pages(
    job: str, store: Store, adjudications: Sequence[str] = (), read: Iterable[Page] | None = None
) -> Iterator[PageRows]:
    """Yield every page of a job, in order; known-answer items, which get no votes, are left out.

    `read` are the job's pages, where somebody has read them already. The rows have the job's own `source`.
    Where one of the `adjudications`, which are jobs too, the last one first, has decided an item, the row has
    its votes in place of the job's.
    """
    source = settings_of(job, store.blobs).source
    for some in by_look_up(pages(job, store.blobs) if read is None else read):
        found = store.table.get(
            [(item.image, item.label) for _, items in some for item in items if item.check is None]
        )
        for key, items in some:
            rows, own = [], []
            for item in items:
                if item.check is None:
                    of = (item.image, item.label)
                    row = row_of_job(of, item.confidence, job, found.get(of))
                    row = row if row.source == source else row._replace(source=source)
                    own.append(row)
                    if adjudications and of in found:
                        row = decided(row, found[of], adjudications)
                        row = row if row.source == source else row._replace(source=source)
                    rows.append(row)
            yield PageRows(key, items[0].label, rows, own)


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
