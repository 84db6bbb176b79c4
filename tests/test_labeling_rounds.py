"""Rounds: what Ground Truth is asked for where labels close early, from the first page to the last label."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bulkqa import jobs, steps
from bulkqa.errors import InputError
from bulkqa.jobs import labeling_job_key, output_manifest_key
from bulkqa.ports import LabelingState, Store
from bulkqa.settings import StopEarly
from bulkqa.steps import labeling_jobs, launching
from bulkqa.steps.closing import closings
from bulkqa.steps.labeling_jobs import Start, Started
from bulkqa.steps.labeling_output import PageState
from tests.support import CREATED, corpus_of, launch, local_store
from tests.test_labeling_jobs import Bucket, Service, ask
from tests.test_reporting import ended

Wrong = Callable[[str, int], bool]


def nothing(label: str, place: int) -> bool:
    """Every item is right."""
    return False


@dataclass
class Job:
    """The job `dogs`: 750 of each label at 99.5, on 30 pages of 25, of which 400 may be reviewed."""

    store: Store
    service: Service = field(default_factory=Service)

    def start(self, **terms: Any) -> Started:
        """Start the next round."""
        return labeling_jobs.start("dogs", self.store, self.service, ask(**terms), CREATED)

    def asked(self, name: str) -> Counter[str]:
        """How many pages of each label a labeling job asks for."""
        return Counter(page["label"] for page in self.lines(name))

    def lines(self, name: str) -> list[dict[str, str]]:
        """The lines of a labeling job's manifest."""
        manifest = self.store.blobs.read(self.store.blobs.key(self.service.manifest(name)))
        return [json.loads(line) for line in manifest.splitlines()]

    def end(self, name: str, wrong: Wrong = nothing, expired: tuple[int, ...] = (), workers: int = 1) -> None:
        """Have all pages of a labeling job answered but for some, and end it."""
        output = []
        for place, line in enumerate(self.lines(name)):
            number = int(Path(line["source-ref"]).stem)
            metadata: dict[str, object] = {"type": "groundtruth/custom", "job-name": f"labeling-job/{name}"}
            if place in expired:
                output.append(line | {"bulkqa-review-metadata": metadata | {"failure-reason": "expired"}})
                continue
            items = jobs.page_items("dogs", number, self.store.blobs)
            content = {
                f"item-{at:03d}": {"Confirmed": not wrong(line["label"], at)} for at in range(len(items))
            }
            for worker in range(workers):
                steps.answer_page("dogs", number, f"w{worker}", content, self.store, CREATED)
            output.append(line | {"bulkqa-review": {}, "bulkqa-review-metadata": metadata})
        text = "".join(json.dumps(line) + "\n" for line in output)
        self.store.blobs.write(output_manifest_key(name), text.encode())
        counts = (len(output), len(output) - len(expired), len(expired))
        self.service.state[name] = LabelingState(name, "Completed", *counts)

    @property
    def closed(self) -> dict[str, tuple[int, float | None]]:
        """The closed labels: images, threshold."""
        found = closings(jobs.settings_of("dogs", self.store.blobs), self.store.blobs)
        return {label: (closing.images, closing.threshold) for label, closing in found.items()}

    @property
    def due(self) -> bool:
        """Whether the next round is due."""
        attempts = labeling_jobs.states("dogs", self.store.blobs, self.service)
        return labeling_jobs.round_is_due("dogs", attempts, self.store.blobs)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A place for jobs, without a queue as on AWS."""
    with local_store(tmp_path) as found:
        yield found._replace(blobs=Bucket(tmp_path), queue=None)


def launched(store: Store, labels: str = "AB", **settings: Any) -> Job:
    """The job, launched."""
    rows = [(f"s3://pictures/{label}{n}.jpg", label, 99.5) for label in labels for n in range(750)]
    launch(store, corpus_of(rows), stop_early=StopEarly(reviews=400), host="ground-truth", **settings)
    return Job(store)


def test_the_first_round_asks_for_as_many_as_could_settle(store: Store) -> None:
    """117 items settle a label of which nothing is wrong: five pages of each."""
    job = launched(store)
    (part,) = job.start().parts
    assert part == (0, Start.CREATED, "dogs--000-1", 10)
    assert job.asked("dogs--000-1") == {"A": 5, "B": 5}
    assert job.service.manifest("dogs--000-1").endswith("jobs/dogs/labeling-jobs/dogs--000-1.manifest")
    whole = job.store.blobs.read("jobs/dogs/manifest.json").splitlines()
    first = [json.loads(line) for line in whole if json.loads(line)["label"] == "A"][:5]
    assert job.lines("dogs--000-1")[:5] == first
    assert job.start().parts == ((0, Start.RUNNING, "dogs--000-1", 10),)
    assert not job.due


def test_a_round_closes_what_is_settled_and_asks_for_the_rest(store: Store) -> None:
    """One label is settled, the other gets further pages, up to as many as it may have."""
    job = launched(store)
    job.start()
    job.end("dogs--000-1", lambda label, place: label == "B" and place == 0)
    assert job.closed == {}
    assert job.due
    started = job.start()
    assert list(started.closed) == ["A"]
    assert job.closed == {"A": (125, 80)}
    assert started.parts == ((0, Start.CREATED, "dogs--000-2", 11),)
    assert job.asked("dogs--000-2") == {"B": 11}  # 400 at most, of which 125 are done
    assert not {one["source-ref"] for one in job.lines("dogs--000-1")} & {
        one["source-ref"] for one in job.lines("dogs--000-2")
    }
    job.end("dogs--000-2", lambda label, place: place == 0)
    assert job.due
    started = job.start()
    assert started.parts == ((0, Start.NOTHING_LEFT, "dogs--000-2", 0),)
    assert list(started.closed) == ["A", "B"]
    assert job.closed["B"] == (400, None)
    assert not job.due
    assert job.start() == started
    assert len(job.service.made) == 2


def test_a_later_round_asks_for_what_is_likely_to_settle(store: Store) -> None:
    """One wrong of 125: some more pages, fewer than it may have, and these settle it."""
    job = launched(store, "A")
    job.start()
    wrong = iter([True])
    job.end("dogs--000-1", lambda label, place: next(wrong, False))
    (part,) = job.start().parts
    assert 1 < part.objects < 11
    job.end("dogs--000-2")
    (part,) = job.start().parts
    assert part.outcome is Start.NOTHING_LEFT
    assert job.closed["A"][1] == 80


def test_pages_that_expired_are_asked_for_after_new_ones(store: Store) -> None:
    """What came back without a vote is no evidence; new pages come first, these when no others are left."""
    job = launched(store, "A")
    job.start()
    job.end("dogs--000-1", expired=(0, 1, 2, 3))
    job.start()
    before = {one["source-ref"] for one in job.lines("dogs--000-1")}
    assert not before & {one["source-ref"] for one in job.lines("dogs--000-2")}

    rows = [(f"s3://pictures/{n}.jpg", "A", 99.5) for n in range(60)]
    launch(store, corpus_of(rows), job="cats", stop_early=StopEarly(reviews=400))
    service = Service()

    def start() -> Started:
        return labeling_jobs.start("cats", store, service, ask(), CREATED)

    start()
    service.state["cats--000-1"] = LabelingState("cats--000-1", "Completed", 3, 0, 3)
    assert start().parts == ((0, Start.CREATED, "cats--000-2", 3),)


def test_half_answered_pages_are_no_evidence(store: Store) -> None:
    """With two reviewers wanted, pages that only one answered neither count nor come again."""
    job = launched(store, "A", reviewers=2)
    job.start(reviewers=2)
    job.end("dogs--000-1", workers=1)
    started = job.start(reviewers=2)
    assert started.closed == {}
    assert not {one["source-ref"] for one in job.lines("dogs--000-1")} & {
        one["source-ref"] for one in job.lines("dogs--000-2")
    }
    job.end("dogs--000-2", workers=2)
    job.start(reviewers=2)
    assert job.closed == {"A": (125, 80)}


def test_fewer_reviewers_than_launched_are_refused(store: Store) -> None:
    """An item counts with all its votes: a request for fewer could never settle anything."""
    job = launched(store, reviewers=3)
    with pytest.raises(InputError, match=r"launched with 3 reviews .* 2 are too few"):
        job.start(reviewers=2)
    assert job.service.made == {}
    job.start(reviewers=4)


def test_labels_of_a_part_under_way_are_left_alone(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several parts each has its rounds; a label that lies in two is asked for in one at a time."""
    for module in (jobs, launching):
        monkeypatch.setattr(module, "MANIFEST_LINES", 45)
    job = launched(store, "ABC")  # 30 pages each: B lies in both parts
    assert [part[1:] for part in job.start().parts] == [
        (Start.CREATED, "dogs--000-1", 10),
        (Start.CREATED, "dogs--001-1", 5),
    ]
    assert job.asked("dogs--000-1") == {"A": 5, "B": 5}
    job.end("dogs--001-1")
    assert [part.outcome for part in job.start().parts] == [Start.RUNNING, Start.NOTHING_LEFT]
    assert job.closed == {"C": (125, 80)}
    job.end("dogs--000-1", lambda label, place: label == "B" and place == 0)
    assert [part[1:] for part in job.start().parts] == [
        (Start.CREATED, "dogs--000-2", 10),
        (Start.CREATED, "dogs--001-2", 1),
    ]
    assert list(job.closed) == ["A", "C"]


def test_a_part_that_nothing_is_asked_of_yet_has_no_labeling_job(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pages of a large label fill several parts, of which the first is enough."""
    for module in (jobs, launching):
        monkeypatch.setattr(module, "MANIFEST_LINES", 20)
    job = launched(store, "A")
    assert job.start().parts == ((0, Start.CREATED, "dogs--000-1", 5), (1, Start.NOTHING_LEFT, None, 0))


def test_a_round_that_broke_off_is_taken_up(store: Store) -> None:
    """The record stands, and with it the pages that were chosen then."""
    job = launched(store)
    job.service.crash = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        job.start()
    key = labeling_job_key("dogs--000-1", "manifest")
    before = job.store.blobs.read(key)
    assert job.start().parts == ((0, Start.CREATED, "dogs--000-1", 10),)
    assert job.store.blobs.read(key) == before


def test_the_report_tells_rounds_from_losses(store: Store) -> None:
    """What nobody was asked about waits or is closed; only what was asked for can expire or be missing."""
    job = launched(store)
    job.start()
    job.end("dogs--000-1", lambda label, place: label == "B" and place == 0, expired=(9,))
    done = steps.conclude(ended("dogs--000-1"), store)
    assert done is not None
    states = {"reviewed": 9, "failed": 0, "expired": 1, "missing": 0, "waiting": 50, "closed": 0}
    assert (done.outcome, done.next_round, done.pages) == (
        "next round due",
        "bulkqa job start dogs",
        states,
    )
    written = json.loads(store.blobs.read("jobs/dogs/report/labeling.json"))
    assert {name: written[name] for name in states} == states
    assert written["next_round"] == "bulkqa job start dogs"
    assert [page["state"] for page in written["not_reviewed"]] == ["expired"]
    sums = json.loads(store.blobs.read("jobs/dogs/report/report.json"))["reconciliation"]
    assert (sums["reviewed"], sums["expired"], sums["waiting"], sums["closed"]) == (225, 25, 1250, 0)

    job.start()
    job.end("dogs--000-2", lambda label, place: place == 0)
    job.start()
    done = steps.conclude(ended("dogs--000-2"), store)
    assert done is not None
    assert done.next_round is None
    reviewed = done.pages[PageState.REVIEWED]
    assert done.pages[PageState.WAITING] == 0
    assert done.pages[PageState.CLOSED] == 59 - reviewed
    assert done.outcome == "partly reviewed"  # one page expired and was not needed any more
    sums = json.loads(store.blobs.read("jobs/dogs/report/report.json"))["reconciliation"]
    assert sums["closed"] == 25 * done.pages[PageState.CLOSED]
    assert sums["items"] == sum(number for fate, number in sums.items() if fate != "items") == 1500
    # Where the bucket has deleted what Ground Truth wrote, labeling.json says it.
    (Path(store.blobs._root) / output_manifest_key("dogs--000-1")).unlink()  # type: ignore[attr-defined]
    (Path(store.blobs._root) / output_manifest_key("dogs--000-2")).unlink()  # type: ignore[attr-defined]
    assert steps.analyse_job("dogs", store).fates == {
        name: number for name, number in sums.items() if name != "items"
    }


def test_all_reviewed_but_what_is_closed_is_all(store: Store) -> None:
    """Where every label is closed and every page asked for came back, nothing is missing."""
    job = launched(store)
    job.start()
    job.end("dogs--000-1")
    job.start()
    done = steps.conclude(ended("dogs--000-1"), store)
    assert done is not None
    assert done.outcome == "all reviewed"


def test_progress_leaves_out_what_nobody_is_asked_for(store: Store) -> None:
    """As in the portal, pages of a closed label do not stand in the way of the end."""
    job = launched(store)
    job.start()
    job.end("dogs--000-1", lambda label, place: label == "B" and place == 0)
    job.start()
    progress = steps.progress("dogs", store)
    assert progress["A"] == (5, 5, 5, 5, 125, 125)
    assert progress["B"] == (30, 5, 5, 30, 750, 125)
