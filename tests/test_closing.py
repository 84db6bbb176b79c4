"""Labels that close early: when, why, and that nothing is lost on the way."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bulkqa import jobs, steps
from bulkqa.errors import InputError
from bulkqa.flow.answers import Decision
from bulkqa.flow.votes import Vote
from bulkqa.ports import QueuedTask, Store
from bulkqa.settings import StopEarly
from bulkqa.steps.closing import Closer, Closing, close, close_again, closings
from tests.support import CREATED, corpus_of, launch, local_store
from tests.test_cli import bulkqa

NOW = 1_000_000.0


@dataclass
class Job:
    """The job `dogs`: 300 of each label, all at 99.5, on pages of 25, and a closer that looks after it."""

    store: Store
    closer: Closer

    def answer(self, number: int, wrong: int = 0, worker: str = "ana", unable: int = 0) -> Closing | None:
        """Answer a page, this many of its items being wrong, and the last ones not to be judged."""
        size = len(jobs.page_items("dogs", number, self.store.blobs))
        content = {
            f"item-{place:03d}": {"Confirmed": place >= wrong, "CannotJudge": place >= size - unable}
            for place in range(size)
        }
        receipt = steps.answer_page("dogs", number, worker, content, self.store, CREATED)
        return self.closer.look(self.settings, number, receipt.label, CREATED)

    def take(self, worker: str = "ana") -> QueuedTask | None:
        """The page a worker gets."""
        assert self.store.queue is not None
        return self.store.queue.take(worker, NOW, 60)

    @property
    def settings(self) -> Any:
        """The job's settings."""
        return jobs.settings_of("dogs", self.store.blobs)

    @property
    def closed(self) -> dict[str, Closing]:
        """What was closed."""
        return closings(self.settings, self.store.blobs)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A place for jobs."""
    with local_store(tmp_path) as found:
        yield found


def launched(store: Store, reviews: int = 200, each: int = 300, **settings: Any) -> Job:
    """The job, launched."""
    rows = [(f"{label}{number}.jpg", label, 99.5) for label in ("Cat", "Dog") for number in range(each)]
    launch(store, corpus_of(rows), stop_early=StopEarly(reviews=reviews), bands=(80, 90, 100), **settings)
    return Job(store, Closer(store))


def test_a_label_closes_with_the_page_that_settles_it(store: Store) -> None:
    """All right: with two bands there are four starts, so 112 items settle it: the fifth page does."""
    job = launched(store)
    assert [job.answer(page) for page in range(4)] == [None] * 4
    closing = job.answer(4)
    assert closing is not None
    assert closing[:6] == ("Cat", CREATED, 125, 125, 125, 80)
    assert closing.reason.startswith("125 of 125 confirmed from 80 on: at least 9")
    assert job.closed == {"Cat": closing}
    task = job.take()
    assert task is not None
    assert (task.label, task.number) == ("Dog", 12)
    assert job.answer(5) is None  # in hand when it closed: taken, and nothing is closed twice
    assert job.store.queue is not None
    assert job.store.queue.progress("dogs")["Cat"][:2] == (6, 6)
    assert job.store.queue.progress("dogs")["Dog"][:2] == (12, 0)


def test_a_label_that_stays_open_closes_with_its_last_image(store: Store) -> None:
    """Right on the target nothing is settled, so it closes when so many images are reviewed."""
    job = launched(store, reviews=60)
    assert [job.answer(page, wrong=1) for page in range(2)] == [None, None]
    closing = job.answer(2, wrong=1, unable=2)
    assert closing is not None
    assert closing[2:] == (75, 73, 70, None, "75 images reviewed; no threshold yet")


def test_a_bad_label_closes_without_a_threshold(store: Store) -> None:
    """Where no start can pass the target cannot be met: that settles it."""
    job = launched(store)
    closing = next(filter(None, (job.answer(page, wrong=15) for page in range(12))))
    assert closing.images == 25
    assert closing.threshold is None
    assert closing.reason.startswith("cannot be met: precision from 99 on is at most")


def test_what_is_closed_is_kept_once(store: Store, tmp_path: Path) -> None:
    """The record says why, under a name that any label can have; the first reason stands."""
    job = launched(store)
    for label in ("Dog", "../é/\0", "x" * 500):
        first = Closing(label, CREATED, 25, 24, 20, None, "because")
        close(job.settings, first, store)
        close(job.settings, first._replace(reason="another reason"), store)
        assert closings(job.settings, store.blobs)[label] == first
    assert len(list((tmp_path / "jobs/dogs/closed").iterdir())) == 3
    assert list(job.closed) == sorted(job.closed)


def test_only_pages_with_all_their_answers_count(store: Store) -> None:
    """Of two reviewers the first settles nothing, however many pages are answered."""
    job = launched(store, reviewers=2)
    assert [job.answer(page) for page in range(12)] == [None] * 12
    assert [job.answer(page, worker="ben") for page in range(4)] == [None] * 4
    closing = job.answer(4, worker="ben")
    assert closing is not None
    assert closing.images == 125


def test_split_items_are_wrong(store: Store) -> None:
    """Two who never agree on 2 of 25 do not settle what they would if one of them were asked."""
    job = launched(store, reviewers=2)
    for page in range(5):
        assert job.answer(page) is None
        assert job.answer(page, wrong=2, worker="ben") is None
    assert job.closed == {}


def test_another_answer_to_a_counted_page_counts(store: Store) -> None:
    """Whose lease was over answers a page that was answered since: what was seen of it is forgotten."""
    job = launched(store)
    for page in range(4):
        job.answer(page)
    assert job.answer(0, wrong=5, worker="ben") is None  # five are split now
    assert job.answer(4) is None
    reason = next(filter(None, (job.answer(page) for page in range(5, 12)))).reason
    assert "195 of 200" in reason or "200 images" in reason


def test_a_correction_of_a_counted_page_counts(store: Store) -> None:
    """A vote that was changed since is counted as it is now."""
    job = launched(store)
    for page in range(4):
        job.answer(page)
    for item in jobs.page_items("dogs", 0, store.blobs)[:5]:
        store.table.record([Vote((item.image, item.label), "dogs/ana", Decision.DISCONFIRM, 1)])
    assert job.closer.look(job.settings, 0, "Cat", CREATED) is None
    assert job.answer(4) is None


def test_what_could_not_be_read_is_read_the_next_time(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that fails once fails one answer; the page counts with the next one."""
    job = launched(store)
    for page in range(3):
        job.answer(page)
    with monkeypatch.context() as broken, pytest.raises(OSError, match="disk"):
        broken.setattr(type(store.table), "get", lambda *_: (_ for _ in ()).throw(OSError("disk")))
        job.answer(3)
    closing = job.answer(4)
    assert closing is not None
    assert closing.images == 125


def test_a_restart_loses_nothing(store: Store) -> None:
    """A closer that was not there before closes with the same page."""
    job = launched(store)
    for page in range(4):
        job.answer(page)
    closing = Job(store, Closer(store)).answer(4)
    assert closing is not None
    assert closing.images == 125


def test_another_process_sees_the_same_pages(store: Store) -> None:
    """Two portals at one job: pages answered in either count in both."""
    one, other = launched(store), Job(store, Closer(store))
    for page in range(4):
        (one, other)[page % 2].answer(page)
    closing = other.answer(4)
    assert closing is not None
    assert closing.images == 125
    assert one.answer(5) is None  # looks once more, and leaves what is decided
    assert one.closed == {"Cat": closing}


def test_a_queue_made_anew_is_closed_again(store: Store, tmp_path: Path) -> None:
    """From the records: as after the database was lost, or a crash right before the queue was told."""
    job = launched(store)
    for page in range(5):
        job.answer(page)
    (tmp_path / "other").mkdir()
    with local_store(tmp_path / "other") as fresh:
        lost = store._replace(table=fresh.table, queue=fresh.queue)
        steps.replay("dogs", lost, lambda *_: None)
        close_again(job.settings, lost)
        assert lost.queue is not None and store.queue is not None
        assert lost.queue.progress("dogs") == store.queue.progress("dogs")
        assert lost.queue.progress("dogs")["Cat"].pages == 5


def test_the_portal_closes_again_what_is_closed(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A label whose record was written right before a crash is closed when the portal starts."""
    job = launched(store)
    close(job.settings, Closing("Cat", CREATED, 25, 24, 20, None, "because"), store._replace(queue=None))
    task = job.take()
    assert task is not None
    assert task.label == "Cat"
    monkeypatch.setattr("bulkqa.portal.server.serve", lambda app, sock: None)
    assert bulkqa("serve", "--home", str(tmp_path), "--port", "0").code == 0
    other = job.take("ben")
    assert other is not None
    assert other.label == "Dog"


def test_reviewers_at_once_close_a_label_once(store: Store) -> None:
    """Eight who answer as fast as they can: both labels close, soon, and each has one reason."""
    job = launched(store)
    gate = threading.Barrier(8)

    def work(worker: str) -> list[Closing]:
        gate.wait()
        found = []
        while task := job.take(worker):
            found.append(job.answer(task.number, worker=worker))
        return [closing for closing in found if closing]

    with ThreadPoolExecutor(8) as pool:
        told = [closing for found in pool.map(work, "abcdefgh") for closing in found]
    assert {closing.label: closing for closing in told} == job.closed
    assert sorted(closing.label for closing in told) == ["Cat", "Dog"]
    assert job.store.queue is not None
    for line in job.store.queue.progress("dogs").values():
        assert 5 <= line.done == line.pages <= 12


def test_a_label_of_items_below_the_bands_closes_too(store: Store) -> None:
    """Nothing of it is tested, but it does not go on for ever."""
    rows = [(f"{number}.jpg", "Dog", 50) for number in range(100)]
    launch(store, corpus_of(rows), stop_early=StopEarly(reviews=50), bands=(80, 100))
    job = Job(store, Closer(store))
    assert job.answer(0) is None
    closing = job.answer(1)
    assert closing is not None
    assert closing[2:] == (50, 0, 0, None, "50 images reviewed; no threshold yet")


def test_jobs_that_review_every_page_read_nothing(store: Store) -> None:
    """Without closing early there are no closed labels, whatever lies there."""
    launch(store, corpus_of([("a.jpg", "Dog", 90)]))
    store.blobs.write("jobs/dogs/closed/x.json", b"{")
    assert closings(jobs.settings_of("dogs", store.blobs), store.blobs) == {}


@pytest.mark.parametrize(
    ("data", "said"),
    [(b"{", "not a closed label's record"), (b"[]", "not a closed"), (b'{"schema": 99}', "newer bulkqa")],
)
def test_a_record_that_cannot_be_read_is_named(store: Store, data: bytes, said: str) -> None:
    """A damaged record, or one of a newer version, is refused under its name."""
    job = launched(store)
    store.blobs.write("jobs/dogs/closed/x.json", data)
    with pytest.raises(InputError, match=f"jobs/dogs/closed/x.json: .*{said}"):
        _ = job.closed


def test_known_answers_are_not_looked_at(store: Store) -> None:
    """Pages with known answers among them have fewer items that count."""
    checks = b"image,label\n" + b"".join(b"check%d.jpg,Owl\n" % number for number in range(100))
    job = launched(store, check_rate=0.2, checks=checks)
    found = [job.answer(page) for page in range(6)]
    assert found[:5] == [None] * 5
    assert found[5] is not None
    assert found[5].images == 120


# What else hears of it.


def test_status_says_why(store: Store, tmp_path: Path) -> None:
    """`bulkqa status` leaves out the pages that nobody is asked about, and says why."""
    job = launched(store)
    for page in range(5):
        job.answer(page)
    where = ("--home", str(tmp_path))
    cat, dog = bulkqa("status", "dogs", *where, "--format", "json").json["jobs"][0]["labels"]
    assert (cat["pages"], cat["pages_done"], cat["answers_wanted"]) == (5, 5, 5)
    assert cat["closed_early"] == job.closed["Cat"].reason
    assert (dog["pages"], dog["pages_done"], dog["closed_early"]) == (12, 0, None)
    out = bulkqa("status", *where).out
    assert "closed early: 125 of 125 confirmed" in out.replace("\n", " ").replace("  ", "")
    without_queue = store._replace(queue=None)
    assert steps.progress("dogs", without_queue) == steps.progress("dogs", store)


def test_the_report_accounts_for_what_nobody_was_asked(store: Store, tmp_path: Path) -> None:
    """Items of a closed label without a vote are closed, those of others wait; promises are sequential."""
    job = launched(store)
    for page in (*range(5), 12):
        job.answer(page)
    where = ("dogs", "--home", str(tmp_path))
    document = bulkqa("report", *where, "--format", "json").json
    sums = document["reconciliation"]
    assert (sums["reviewed"], sums["closed"], sums["waiting"]) == (150, 175, 275)
    assert sums["items"] == sum(number for fate, number in sums.items() if fate != "items") == 600
    asked = document["thresholds"]
    assert (asked["target"], asked["assurance"], asked["sequential"]) == (0.95, 0.95, True)
    assert asked["map"] == {"Cat": 80, "Dog": None}
    told = bulkqa("thresholds", *where, "--format", "json").json
    assert {name: told[name] for name in asked} == asked
    assert "Closed early: 175 items" in bulkqa("report", *where).out
    assert "by the sequential test" in bulkqa("thresholds", *where).out.replace("\n", " ")
    page = bulkqa("report", *where, "--format", "html").out
    assert "175 items have not been asked for" in page
    assert "275 items have no vote that judges" in page
    assert "however often it was looked at" in page


def test_half_answered_items_prove_nothing(store: Store, tmp_path: Path) -> None:
    """A promise is made of items with all their votes; the report's table shows the others as well."""
    job = launched(store, reviewers=2)
    for page in range(8):
        job.answer(page)
    analysis = steps.analyse_job("dogs", store)
    assert analysis.report.totals.all.confirmed == 200
    assert [promise.reviewed for promise in analysis.thresholds] == [0, 0]


def test_a_target_of_its_own(store: Store, tmp_path: Path) -> None:
    """A job's thresholds are asked for as it was launched, unless somebody asks otherwise."""
    rows = [(f"{number}.jpg", "Dog", 99.5) for number in range(100)]
    launch(store, corpus_of(rows), stop_early=StopEarly(reviews=99, target=0.8, assurance=0.9))
    keys = [row.key for row in steps.job_rows("dogs", store)]
    store.table.record([Vote(key, "dogs/ana", Decision.CONFIRM) for key in keys])
    where = ("dogs", "--home", str(tmp_path), "--format", "json")
    told = bulkqa("thresholds", *where).json
    assert (told["target"], told["assurance"], told["map"]) == (0.8, 0.9, {"Dog": 80})
    told = bulkqa("thresholds", *where, "--target", "0.95").json
    assert (told["target"], told["assurance"], told["sequential"]) == (0.95, 0.9, True)
    assert json.loads((tmp_path / "jobs/dogs/job.json").read_text())["stop_early"]["reviews"] == 99
