"""What the votes of a job say: its items with their votes, for reports and exports."""

from collections.abc import Iterator
from itertools import chain, islice

from bulkqa.flow.tasks import read_task_input
from bulkqa.flow.votes import LabelRow, of_job, row_of_job
from bulkqa.jobs import job_key, settings_of
from bulkqa.ports import Progress, Store

# Batch files are read this many at a time, so that one look-up serves them all.
_BATCHES_AT_ONCE = 40


def job_rows(job: str, store: Store) -> Iterator[LabelRow]:
    """Yield every item of a job with the votes it got there, in page order; known-answer items left out."""
    keys = store.blobs.keys(job_key(job, "custom-labeling-inputs/"))
    while some := list(islice(keys, _BATCHES_AT_ONCE)):
        items = list(
            chain.from_iterable(
                (item for item in read_task_input(store.blobs.read(key), key) if item.check is None)
                for key in some
            )
        )
        rows = store.table.get([(item.image, item.label) for item in items])
        for item in items:
            key = (item.image, item.label)
            yield row_of_job(key, item.confidence, job, rows.get(key))


def progress(job: str, store: Store) -> dict[str, Progress]:
    """Return how far a job's pages are, by label in code-point order.

    The queue knows; where Ground Truth hands out the pages, the votes tell: a page has as many answers as
    voters on it.
    """
    if store.queue is not None:
        return store.queue.progress(job)
    wanted = settings_of(job, store.blobs).reviewers
    found: dict[str, Progress] = {}
    for key in store.blobs.keys(job_key(job, "custom-labeling-inputs/")):
        items = [item for item in read_task_input(store.blobs.read(key), key) if item.check is None]
        rows = store.table.get([(item.image, item.label) for item in items]).values()
        voters = {name for row in rows for name in of_job(job, row.voters)}
        answers = min(len(voters), wanted)
        done = answers == wanted
        before = found.get(items[0].label, Progress(0, 0, 0, 0, 0, 0))
        found[items[0].label] = Progress(
            before.pages + 1,
            before.done + done,
            before.answers + answers,
            before.wanted + wanted,
            before.items + len(items),
            before.items_done + (len(items) if done else 0),
        )
    return dict(sorted(found.items()))
