"""How far a job is: its pages by label."""

from bulkqa.jobs import settings_of
from bulkqa.ports import Progress, Store
from bulkqa.steps.closing import closings
from bulkqa.steps.results import job_pages


def progress(job: str, store: Store) -> dict[str, Progress]:
    """Return how far a job's pages are, by label in code-point order.

    The queue knows; where Ground Truth hands out the pages, the votes tell: a page has as many answers as
    voters on it.
    """
    if store.queue is not None:
        return store.queue.progress(job)
    settings = settings_of(job, store.blobs)
    closed, wanted = closings(settings, store.blobs), settings.reviewers
    found: dict[str, Progress] = {}
    for page in job_pages(job, store):
        answers = min(len(page.voters), wanted)
        done = answers == wanted
        before = found.setdefault(page.label, Progress(0, 0, 0, 0, 0, 0))
        if page.label in closed and not done:
            continue
        found[page.label] = Progress(
            before.pages + 1,
            before.done + done,
            before.answers + answers,
            before.wanted + wanted,
            before.items + len(page.rows),
            before.items_done + (len(page.rows) if done else 0),
        )
    return dict(sorted(found.items()))
