"""What the votes of a job say: its items with their votes, for reports and exports."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from bulkqa.flow.votes import LabelRow, decided, row_of_job
from bulkqa.jobs import Page, by_look_up, pages, settings_of
from bulkqa.ports import LabelTable, Store


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
    found = pages(job, store.blobs) if read is None else read
    yield from page_rows(job, source, found, store.table, adjudications)


def page_rows(
    job: str, source: str | None, read: Iterable[Page], table: LabelTable, adjudications: Sequence[str] = ()
) -> Iterator[PageRows]:
    """Yield these pages of a job, whose source is given, with the votes on their items: see `job_pages`."""
    for some in by_look_up(read):
        found = table.get(
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
