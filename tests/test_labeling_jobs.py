"""The labeling jobs of a job: started once for each page that needs it, whatever breaks in between."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bulkqa import jobs
from bulkqa.errors import BulkqaError, ConflictError, InputError, NotFoundError, SetupError
from bulkqa.jobs import labeling_job_key, manifest_parts, output_manifest_key
from bulkqa.labeling_request import LabelingRequest
from bulkqa.local.blobs import LocalBlobs
from bulkqa.ports import LabelingState, Store
from bulkqa.steps import labeling_jobs, launching
from bulkqa.steps.labeling_jobs import LabelingAttempt, LabelingRecord, Start, Started, StartedPart
from tests.support import CREATED, corpus_of, launch, local_store
from tests.test_labeling_request import GOOD, workteam


@dataclass
class Service:
    """Ground Truth, as far as a start can tell. `crash` is raised by the next call of `create`."""

    made: dict[str, dict[str, Any]] = field(default_factory=dict)
    state: dict[str, LabelingState] = field(default_factory=dict)
    foreign: set[str] = field(default_factory=set)
    hidden: set[str] = field(default_factory=set)
    faults: dict[str, list[str] | BulkqaError] = field(default_factory=dict)
    crash: BaseException | None = None
    looked: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def create(self, request: Mapping[str, object]) -> None:
        """Create it; the same once more is the same."""
        if self.crash is not None:
            crash, self.crash = self.crash, None
            raise crash
        name = str(request["LabelingJobName"])
        with self.lock:
            if name in self.foreign or self.made.get(name, request) != request:
                raise ConflictError("used")
            self.made[name] = dict(request)
            self.state[name] = LabelingState(name, "InProgress", 0, 0, 0)

    def describe(self, name: str) -> LabelingState:
        """Somebody else's have ended with labels of theirs."""
        if name in self.foreign - self.hidden:
            return LabelingState(name, "Completed", 5, 5, 0)
        if name not in self.state:
            raise NotFoundError(name)
        return self.state[name]

    def stop(self, name: str) -> None:
        """Begin to stop it."""
        self.state[name] = self.state[name]._replace(status="Stopping")

    def sign_in_address(self, workteam: str) -> str | None:
        """Nobody asks."""
        raise NotImplementedError

    def picture_faults(self, bucket: str) -> list[str]:
        """As the test has it."""
        self.looked.append(bucket)
        found = self.faults.get(bucket, [])
        if isinstance(found, BulkqaError):
            raise found
        return found

    def manifest(self, name: str) -> str:
        """The input manifest that a labeling job was created with."""
        source: dict[str, dict[str, str]] = self.made[name]["InputConfig"]["DataSource"]
        return source["S3DataSource"]["ManifestS3Uri"]


class Bucket(LocalBlobs):
    """A folder whose blobs have addresses as in S3, which a labeling job needs."""

    def uri(self, key: str) -> str:
        """An address in S3."""
        return f"s3://bucket/{key}"

    def key(self, uri: str) -> str:
        """And back."""
        return uri.removeprefix("s3://bucket/")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A place for jobs."""
    with local_store(tmp_path) as found:
        yield found._replace(blobs=Bucket(tmp_path))


@pytest.fixture
def service() -> Service:
    """Ground Truth without labeling jobs."""
    return Service()


def launched(store: Store, pages: int = 4, **settings: Any) -> None:
    """Launch a job of so many pages."""
    rows = [(f"s3://pictures/{number}.jpg", "Dog", 90) for number in range(pages)]
    launch(store, corpus_of(rows), batch_size=1, **settings)


def ask(**terms: Any) -> labeling_jobs.Ask:
    """Ask on these terms."""
    return lambda name, manifest: LabelingRequest(**GOOD | {"name": name, "manifest": manifest} | terms)


def start(store: Store, service: Service, job: str = "dogs", **terms: Any) -> Started:
    """Start the labeling jobs of a job."""
    return labeling_jobs.start(job, store, service, ask(**terms), CREATED)


def only(started: Started) -> StartedPart:
    """The one part of a start."""
    (part,) = started.parts
    return part


def lines_of(store: Store, uri: str) -> list[bytes]:
    """The lines of a manifest."""
    return store.blobs.read(store.blobs.key(uri)).splitlines(keepends=True)


def end(
    store: Store, service: Service, name: str, labelled: Callable[[int], bool], status: str = "Completed"
) -> list[bytes]:
    """End a labeling job that labelled these lines of its manifest; return the others, on which it failed."""
    output, left = [], []
    for number, line in enumerate(lines_of(store, service.manifest(name))):
        metadata = {"type": "groundtruth/custom", "job-name": f"labeling-job/{name}"}
        if labelled(number):
            label: dict[str, object] = {"bulkqa-review": {"workers": 1}, "bulkqa-review-metadata": metadata}
        else:
            label = {"bulkqa-review-metadata": metadata | {"failure-reason": "expired"}}
            left.append(line)
        output.append(json.dumps(json.loads(line) | label).encode() + b"\n")
    store.blobs.write(output_manifest_key(name), b"".join(output))
    counters = (len(output), len(output) - len(left), len(left))
    service.state[name] = LabelingState(name, status, *counters)
    return left


def test_the_first_start_asks_for_every_page(store: Store, service: Service) -> None:
    """A labeling job is created for the manifest as it was launched, and a record is kept of it."""
    launched(store)
    assert only(start(store, service, reviewers=3)) == (0, Start.CREATED, "dogs--000-1", 4)
    assert service.manifest("dogs--000-1") == "s3://bucket/jobs/dogs/manifest.json"
    ((record, state),) = labeling_jobs.states("dogs", store.blobs, service)
    assert state == service.state["dogs--000-1"]
    assert record == LabelingRecord(
        name="dogs--000-1",
        created_at=CREATED,
        part=0,
        attempt=1,
        manifest="jobs/dogs/manifest.json",
        objects=4,
        workteam=GOOD["workteam"],
        reviewers=3,
        label_attribute="bulkqa-review",
    )


def test_each_part_is_a_labeling_job(store: Store, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """More pages than a labeling job takes are several; each goes on by itself."""
    for module in (jobs, launching):
        monkeypatch.setattr(module, "MANIFEST_LINES", 3)
    launched(store, pages=8)
    assert [key for key, _ in manifest_parts("dogs", store.blobs)] == [
        f"jobs/dogs/manifest-{part:03d}.json" for part in range(3)
    ]
    names = ["dogs--000-1", "dogs--001-1", "dogs--002-1"]
    assert [(part.labeling_job, part.objects) for part in start(store, service).parts] == list(
        zip(names, (3, 3, 2), strict=True)
    )
    left = end(store, service, "dogs--001-1", lambda number: number != 1)
    end(store, service, "dogs--002-1", lambda number: True)
    assert start(store, service).parts == (
        (0, Start.RUNNING, "dogs--000-1", 3),
        (1, Start.CREATED, "dogs--001-2", 1),
        (2, Start.NOTHING_LEFT, "dogs--002-1", 0),
    )
    assert lines_of(store, service.manifest("dogs--001-2")) == left


def test_what_is_under_way_is_left_alone(store: Store, service: Service) -> None:
    """A labeling job that has not ended, or is about to stop, is not started a second time."""
    launched(store)
    start(store, service)
    for status in ("Initializing", "InProgress", "Stopping"):
        service.state["dogs--000-1"] = LabelingState("dogs--000-1", status, 4, 1, 0)
        assert only(start(store, service)) == (0, Start.RUNNING, "dogs--000-1", 4)
    assert list(service.made) == ["dogs--000-1"]


@pytest.mark.parametrize("status", ["Completed", "Stopped", "Failed"])
def test_a_restart_asks_for_what_was_not_labelled(store: Store, service: Service, status: str) -> None:
    """However it ended, the next attempt asks for the pages without a label, in lines as they were."""
    launched(store, pages=6)
    start(store, service)
    left = end(store, service, "dogs--000-1", lambda number: number % 2 == 0, status)
    assert only(start(store, service)) == (0, Start.CREATED, "dogs--000-2", 3)
    own = store.blobs.uri(labeling_job_key("dogs--000-2", "manifest"))
    assert service.manifest("dogs--000-2") == own
    assert lines_of(store, own) == left
    assert set(left) < set(lines_of(store, "s3://bucket/jobs/dogs/manifest.json"))

    end(store, service, "dogs--000-2", lambda number: number == 1)
    assert only(start(store, service)) == (0, Start.CREATED, "dogs--000-3", 2)
    assert lines_of(store, service.manifest("dogs--000-3")) == [left[0], left[2]]
    end(store, service, "dogs--000-3", lambda number: True)
    assert only(start(store, service)) == (0, Start.NOTHING_LEFT, "dogs--000-3", 0)
    assert len(service.made) == 3


def test_one_that_failed_at_once_has_no_output(store: Store, service: Service) -> None:
    """Where a labeling job ended without a label, and without an output manifest, all is asked for again."""
    launched(store)
    start(store, service)
    service.state["dogs--000-1"] = LabelingState("dogs--000-1", "Failed", 4, 0, 0, "AccessDenied")
    assert only(start(store, service)) == (0, Start.CREATED, "dogs--000-2", 4)


def test_a_missing_output_is_not_guessed_at(store: Store, service: Service) -> None:
    """Where labels were made and the output manifest does not say which, nobody is asked again."""
    launched(store)
    start(store, service)
    service.state["dogs--000-1"] = LabelingState("dogs--000-1", "Completed", 4, 3, 1)
    with pytest.raises(BulkqaError, match=r"3 pages.*s3://bucket/output/dogs--000-1/.*not there") as refused:
        start(store, service)
    assert refused.value.exit_code == 4
    assert len(service.made) == 1


def test_output_of_older_attempts_may_be_gone(store: Store, service: Service, tmp_path: Path) -> None:
    """What the bucket has deleted since is not needed: the manifest of the next attempt tells as much."""
    launched(store, pages=6)
    start(store, service)
    left = end(store, service, "dogs--000-1", lambda number: number < 3)
    start(store, service)
    end(store, service, "dogs--000-2", lambda number: number == 0)
    (tmp_path / output_manifest_key("dogs--000-1")).unlink()
    assert only(start(store, service)) == (0, Start.CREATED, "dogs--000-3", 2)
    assert lines_of(store, service.manifest("dogs--000-3")) == left[1:]


def test_a_start_that_broke_off_is_taken_up(store: Store, service: Service) -> None:
    """A record without its labeling job is made good under the same name, on the terms given now."""
    launched(store)
    service.crash = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        start(store, service, workteam=workteam(team="private-crowd/others"), reviewers=1)
    (attempt,) = labeling_jobs.states("dogs", store.blobs, service)
    assert (attempt.state, attempt.status) == (None, "NotCreated")
    assert only(start(store, service, reviewers=2)) == (0, Start.CREATED, "dogs--000-1", 4)
    ((record, _),) = labeling_jobs.states("dogs", store.blobs, service)
    assert (record.workteam, record.reviewers) == (GOOD["workteam"], 2)
    assert service.made["dogs--000-1"]["HumanTaskConfig"]["WorkteamArn"] == GOOD["workteam"]


def test_a_later_start_that_broke_off_keeps_its_manifest(store: Store, service: Service) -> None:
    """Taken up, an attempt asks for the pages it was recorded with."""
    launched(store)
    start(store, service)
    left = end(store, service, "dogs--000-1", lambda number: number > 0)
    service.crash = SetupError("no right to")
    with pytest.raises(SetupError):
        start(store, service)
    assert only(start(store, service)) == (0, Start.CREATED, "dogs--000-2", 1)
    assert lines_of(store, service.manifest("dogs--000-2")) == left


def test_a_manifest_without_a_record_is_used(store: Store, service: Service) -> None:
    """A start that broke off before its record left a manifest, which is never written over."""
    launched(store)
    start(store, service)
    left = end(store, service, "dogs--000-1", lambda number: number > 1)
    store.blobs.write(labeling_job_key("dogs--000-2", "manifest"), left[0])
    assert only(start(store, service)) == (0, Start.CREATED, "dogs--000-2", 1)
    assert lines_of(store, service.manifest("dogs--000-2")) == left[:1]


def test_what_was_refused_can_be_asked_for_otherwise(store: Store, service: Service) -> None:
    """After a refusal by the service nothing is in the way of a start on other terms."""
    launched(store)
    for _ in range(3):
        service.crash = BulkqaError("no such work team")
        with pytest.raises(BulkqaError, match="work team"):
            start(store, service)
    assert only(start(store, service)) == (0, Start.CREATED, "dogs--000-1", 4)


@pytest.mark.parametrize("seen", [True, False], ids=["seen", "seen-too-late"])
def test_names_of_others_are_passed_over(store: Store, service: Service, seen: bool) -> None:
    """Where a labeling job of another bucket has a name, the next one is taken, and theirs is not ours."""
    launched(store)
    service.foreign = {"dogs--000-1", "dogs--000-2"}
    service.hidden = set() if seen else set(service.foreign)
    assert only(start(store, service)) == (0, Start.CREATED, "dogs--000-3", 4)
    service.hidden.clear()
    assert [attempt.record.name for attempt in labeling_jobs.states("dogs", store.blobs, service)] == [
        "dogs--000-3"
    ]
    end(store, service, "dogs--000-3", lambda number: number > 0)
    assert only(start(store, service)) == (0, Start.CREATED, "dogs--000-4", 1)


def test_too_many_names_of_others_are_said(store: Store, service: Service) -> None:
    """The search for a free name ends."""
    launched(store)
    service.foreign = {f"dogs--000-{attempt}" for attempt in range(1, 100)}
    with pytest.raises(ConflictError, match="another name"):
        start(store, service)


@pytest.mark.parametrize("again", [False, True], ids=["first", "again"])
def test_who_starts_at_once_starts_once(store: Store, service: Service, again: bool) -> None:
    """Of several starts at the same time one labeling job comes, and all know of it."""
    launched(store)
    if again:
        start(store, service)
        end(store, service, "dogs--000-1", lambda number: number > 0)
    before = len(service.made)
    gate = threading.Barrier(8)

    def one(_: int) -> StartedPart:
        gate.wait()
        return only(start(store, service))

    with ThreadPoolExecutor(8) as pool:
        parts = list(pool.map(one, range(8)))
    assert len(service.made) == before + 1
    assert {part.labeling_job for part in parts} == {f"dogs--000-{before + 1}"}
    assert {part.outcome for part in parts} <= {Start.CREATED, Start.RUNNING}


def test_a_start_between_the_looks_of_another_is_seen(store: Store, service: Service) -> None:
    """A labeling job that came up since the records were read is not taken for somebody else's."""
    launched(store)
    describe, other = service.describe, Service(service.made, service.state)

    def slow(name: str) -> LabelingState:
        service.describe = describe  # type: ignore[method-assign]
        start(store, other)
        return describe(name)

    service.describe = slow  # type: ignore[method-assign]
    assert only(start(store, service)) == (0, Start.RUNNING, "dogs--000-1", 4)


def test_the_first_record_stands(store: Store, service: Service) -> None:
    """Whoever comes second to create a record leaves the first one, and the labeling job, as they are."""
    launched(store)
    create = store.blobs.create

    def slow(key: str, data: bytes) -> bool:
        store.blobs.create = create  # type: ignore[method-assign]
        labeling_jobs.start("dogs", store, service, ask(reviewers=2), "2026-02-01T00:00:00Z")
        return create(key, data)

    store.blobs.create = slow  # type: ignore[method-assign]
    assert only(start(store, service, reviewers=3)) == (0, Start.RUNNING, "dogs--000-1", 4)
    ((record, _),) = labeling_jobs.states("dogs", store.blobs, service)
    assert (record.created_at, record.reviewers) == ("2026-02-01T00:00:00Z", 2)


def test_nothing_is_done_for_a_request_that_cannot_be_made(store: Store, service: Service) -> None:
    """What cannot be asked for is refused before anything is looked at, written or created."""
    launched(store)
    before = set(store.blobs.keys("jobs/dogs/"))
    for terms in ({"label_attribute": "bulkqa_review"}, {"title": "t" * 129}, {"description": "a\nb"}):
        with pytest.raises(InputError):
            start(store, service, **terms)
    assert set(store.blobs.keys("jobs/dogs/")) == before
    assert (service.made, service.looked) == ({}, [])


def test_a_job_has_to_be_launched_whole(store: Store, service: Service, tmp_path: Path) -> None:
    """A job that is not there, or whose manifest is not there yet, cannot be started."""
    with pytest.raises(NotFoundError, match="there is no job 'dogs'"):
        start(store, service)
    launched(store)
    (tmp_path / "jobs/dogs/manifest.json").unlink()
    with pytest.raises(InputError, match="launch it again"):
        start(store, service)
    assert service.made == {}


def test_pictures_that_nobody_would_see_stop_a_start(store: Store, service: Service) -> None:
    """Every fault of every bucket is said, with its mend, and nothing was created; of examples' too."""
    launched(store, examples={"good": ["s3://examples/good.jpg", "https://x/y.jpg"]})
    service.faults = {"pictures": ["no CORS: mend it so"], "examples": ["elsewhere: copy them"]}
    before = set(store.blobs.keys("jobs/dogs/"))
    with pytest.raises(InputError, match=r"(?s)elsewhere: copy them.*no CORS: mend it so"):
        start(store, service)
    assert set(store.blobs.keys("jobs/dogs/")) == before
    assert service.made == {}
    service.faults = {}
    assert only(start(store, service)).outcome is Start.CREATED


def test_every_attempt_looks_at_the_pictures(store: Store, service: Service) -> None:
    """What is taken up, or asked for again, is refused for its pictures just as a first attempt is."""
    launched(store)
    service.crash = BulkqaError("later")
    with pytest.raises(BulkqaError, match="later"):
        start(store, service)
    service.faults = {"pictures": ["no CORS"]}
    with pytest.raises(InputError, match="no CORS"):
        start(store, service)
    assert service.made == {}
    service.faults = {}
    start(store, service)
    end(store, service, "dogs--000-1", lambda number: number > 0)
    before = set(store.blobs.keys("jobs/dogs/"))
    service.faults = {"pictures": ["no CORS"]}
    with pytest.raises(InputError, match="no CORS"):
        start(store, service)
    assert set(store.blobs.keys("jobs/dogs/")) == before


def test_what_cannot_be_looked_into_is_a_warning(store: Store, service: Service) -> None:
    """Without the right to look into a bucket the labeling job is created all the same."""
    launched(store)
    service.faults = {"pictures": SetupError("pictures: AccessDenied")}
    started = start(store, service)
    assert only(started).outcome is Start.CREATED
    assert len(started.warnings) == 1
    assert "AccessDenied" in started.warnings[0]
    assert start(store, service).warnings == ()  # nothing was created, so nothing was looked at
    assert service.looked == ["pictures"]


def test_pictures_elsewhere_are_not_looked_at(store: Store, service: Service) -> None:
    """Pictures under https addresses need no bucket."""
    launch(store, corpus_of([("https://example.org/1.jpg", "Dog", 90)]))
    assert only(start(store, service)).outcome is Start.CREATED
    assert service.looked == []


def test_stop_stops_what_is_under_way(
    store: Store, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Labeling jobs that have ended, are stopping, or were not created stay as they are."""
    for module in (jobs, launching):
        monkeypatch.setattr(module, "MANIFEST_LINES", 1)
    launched(store)
    start(store, service)
    service.state["dogs--001-1"] = LabelingState("dogs--001-1", "Completed", 1, 1, 0)
    del service.state["dogs--002-1"]
    assert labeling_jobs.stop("dogs", store.blobs, service) == ["dogs--000-1", "dogs--003-1"]
    assert labeling_jobs.stop("dogs", store.blobs, service) == []


def test_completed_without_a_label_is_failed(store: Store, service: Service) -> None:
    """Ground Truth calls it completed where every page failed; that is no success."""
    launched(store)
    start(store, service)
    (attempt,) = labeling_jobs.states("dogs", store.blobs, service)

    def seen(status: str, labeled: int, reason: str | None = None) -> tuple[str, str | None]:
        state = LabelingState("dogs--000-1", status, 4, labeled, 4 - labeled, reason)
        found = LabelingAttempt(attempt.record, state)
        return found.status, found.failure_reason

    assert seen("Completed", 4) == ("Completed", None)
    assert seen("Completed", 1) == ("Completed", None)
    status, reason = seen("Completed", 0)
    assert status == "Failed"
    assert "no page was labelled" in str(reason)
    assert seen("Completed", 0, "AccessDenied") == ("Failed", "AccessDenied")
    assert seen("Failed", 0, "AccessDenied") == ("Failed", "AccessDenied")
    assert seen("Stopped", 0) == ("Stopped", None)


def test_a_record_that_cannot_be_read_is_named(store: Store, service: Service) -> None:
    """A damaged record, or one of a newer version, is refused under its name."""
    launched(store)
    start(store, service)
    key = labeling_job_key("dogs--000-1")
    document = json.loads(store.blobs.read(key))
    for data, said in ((b"[]", "not a labeling job's record"), (b'{"schema": 99}', "newer bulkqa")):
        store.blobs.write(key, data)
        with pytest.raises(InputError, match=f"{key}.*{said}"):
            start(store, service)
    store.blobs.write(key, json.dumps(document | {"more": 1}).encode())
    assert only(start(store, service)).outcome is Start.RUNNING
