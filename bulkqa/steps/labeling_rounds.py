"""Rounds: what Ground Truth is asked for where the labels of a job close early.

Ground Truth is given its pages all at once, so a label is looked at between labeling jobs. The first round
asks of each label for as many images as settle one of which nothing is wrong: fewer could settle none. A
later one asks for as many more as are enough in about 4 of 5 cases, as the votes so far have it: a round
takes days, and a page cents. No label gets more than it may have in all.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Set

from bulkqa.flow.thresholds import further_reviews
from bulkqa.jobs import job_key, manifest_parts
from bulkqa.ports import Blobs, Store
from bulkqa.settings import JobSettings
from bulkqa.steps.closing import Closing, Looked, close, closings, judge, pages_with_votes
from bulkqa.steps.labeling_output import PageState


def manifest_pages(manifest: bytes, blobs: Blobs) -> Iterator[tuple[bytes, str, str]]:
    """Yield each line of an input manifest of ours, its page's key, and its label."""
    for line in manifest.splitlines(keepends=True):
        page = json.loads(line)
        yield line, blobs.key(page["source-ref"]), page["label"]


def asked_pages(job: str, blobs: Blobs) -> set[str]:
    """Return the keys of the pages that any round of a job asked for: each round has its own manifest."""
    keys = [key for key in blobs.keys(job_key(job, "labeling-jobs/")) if key.endswith(".manifest")]
    return {page for _, data in blobs.read_all(keys) for _, page, _ in manifest_pages(data, blobs)}


def never_asked(settings: JobSettings, blobs: Blobs) -> Callable[[str, str], PageState | None]:
    """Return what says of a page, by its key and label, why no round asked for it; None where one did."""
    if settings.stop_early is None:
        return lambda *_: None
    asked, closed = asked_pages(settings.job, blobs), closings(settings, blobs).keys()

    def state(key: str, label: str) -> PageState | None:
        if key in asked:
            return None
        return PageState.CLOSED if label in closed else PageState.WAITING

    return state


def is_due(settings: JobSettings, blobs: Blobs) -> bool:
    """Say whether a label that is not closed has pages that no round asked for."""
    state = never_asked(settings, blobs)
    return any(
        state(key, label) is PageState.WAITING
        for _, manifest in manifest_parts(settings.job, blobs)
        for _, key, label in manifest_pages(manifest, blobs)
    )


def next_round(
    settings: JobSettings, manifests: Iterable[bytes], busy: Set[str], store: Store, now: str
) -> tuple[set[str], dict[str, Closing]]:
    """Close the labels that are settled; return the pages of the next round, by key, and all closed labels.

    `manifests` have all pages of the job. What is asked of the labels that are `busy` is under way. Pages
    that nobody was asked about come first, in page order, then those that came back without a vote.
    """
    asked = asked_pages(settings.job, store.blobs)
    looked: dict[str, Looked] = {}
    answered = set()
    for page in pages_with_votes(settings, sorted(asked), store):
        looked.setdefault(page.label, Looked.at_nothing(settings)).add(page)
        if page.voters:
            answered.add(page.key)
    closed = closings(settings, store.blobs)
    wanted: dict[str, int] = {}
    for label in settings.labels:
        if label in closed or label in busy:
            continue
        seen = looked.get(label) or Looked.at_nothing(settings)
        closing = judge(settings, label, seen, now)
        if closing is None:
            wanted[label] = _pages(settings, label, seen)
        else:
            close(settings, closing, store)
            closed[label] = closing
    fresh: dict[str, list[str]] = {label: [] for label in wanted}
    again: dict[str, list[str]] = {label: [] for label in wanted}
    for manifest in manifests:
        for _, key, label in manifest_pages(manifest, store.blobs):
            if label in wanted and key not in answered:
                (again if key in asked else fresh)[label].append(key)
    chosen = {key for label, pages in wanted.items() for key in (fresh[label] + again[label])[:pages]}
    return chosen, dict(sorted(closed.items()))


def _pages(settings: JobSettings, label: str, looked: Looked) -> int:
    """Return how many pages a round asks for of a label that is not settled: at least one."""
    stop = settings.stop_early
    assert stop is not None  # noqa: S101  other jobs have no rounds
    images = further_reviews(looked.evidence, label, stop.target, stop.assurance, settings.sample)
    return max(1, -(-min(images, stop.reviews - looked.images) // settings.batch_size))
