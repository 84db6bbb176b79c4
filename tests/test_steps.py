"""The steps, on the embedded default."""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bulkqa import jobs, steps
from bulkqa.errors import ConflictError, InputError, NotFoundError
from bulkqa.flow.corpus import Item
from bulkqa.flow.report import tabulate
from bulkqa.flow.votes import LabelRow, Recorded, Vote
from bulkqa.local.blobs import LocalBlobs
from bulkqa.ports import Store
from tests.support import corpus_of, launch, local_store, quiet, rows_by_key

DOGS = [(f"{number:02d}.jpg", "Dog", 50 + number) for number in range(30)]
CATS = [(f"{number:02d}.jpg", "Cat", 99.5) for number in range(3)]
CORPUS = corpus_of(DOGS + CATS)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """The embedded default, empty."""
    with local_store(tmp_path / "home") as store:
        yield store


def answer_all(store: Store, number: int, worker: str, wrong: Sequence[int] = ()) -> steps.Receipt:
    """Answer a page of the job `dogs`, with these places wrong."""
    size = len(jobs.page_items("dogs", number, store.blobs))
    content = {f"item-{place:03d}": {"Confirmed": place not in wrong} for place in range(size)}
    return steps.answer_page("dogs", number, worker, content, store, "2026-01-02T04:00:00Z")


def test_a_launch_writes_the_whole_job(store: Store) -> None:
    """job.json, the corpus as received, batches, manifest, rows and pages are there, and agree."""
    launched = launch(store, CORPUS, batch_size=25, reviewers=2)
    assert (launched.counts.items, launched.batches, launched.again) == (33, 3, False)
    assert store.blobs.read("jobs/dogs/corpus.csv") == CORPUS
    job = json.loads(store.blobs.read("jobs/dogs/job.json"))
    assert (job["schema"], job["labels"], job["items"]) == (1, ["Cat", "Dog"], 33)
    manifest = [json.loads(line) for line in store.blobs.read("jobs/dogs/manifest.json").splitlines()]
    keys = [store.blobs.key(line["source-ref"]) for line in manifest]
    assert keys == list(store.blobs.keys("jobs/dogs/custom-labeling-inputs/"))
    entries = [entry for key in keys for entry in json.loads(store.blobs.read(key))]
    assert {(e["s3_image_url"], e["label"]) for e in entries} == {(i, label) for i, label, _ in DOGS + CATS}
    assert {row.key for row in store.table.rows()} == {(i, label) for i, label, _ in DOGS + CATS}
    assert store.queue is not None
    assert {label: (p.pages, p.wanted) for label, p in store.queue.progress("dogs").items()} == {
        "Cat": (1, 2),
        "Dog": (2, 4),
    }


def test_a_batch_file_has_the_published_shape(store: Store) -> None:
    """A custom labeling input is a list of image, label, confidence as a number, and item."""
    launch(store, corpus_of([("a.jpg", "Dog", 99.5)]))
    assert json.loads(store.blobs.read("jobs/dogs/custom-labeling-inputs/00000000.json")) == [
        {"s3_image_url": "a.jpg", "label": "Dog", "confidence": 99.5, "item": "item-000"}
    ]


def test_rejected_rows_are_listed_and_nothing_else_is_lost(store: Store) -> None:
    """rejected.csv names file, line and reason in the order of the lines; the other rows are launched."""
    data = CORPUS + b"x.jpg,Dog,high\n00.jpg,Dog,99\n\xff.jpg,Dog,99\ny.jpg,Dog,99\n"
    launched = launch(store, data)
    assert (launched.counts.items, launched.counts.rejected) == (34, 3)
    lines = store.blobs.read("jobs/dogs/rejected.csv").decode().splitlines()
    rows = list(csv.reader(lines))
    assert rows[0] == ["file", "line", "reason"]
    assert [row[:2] for row in rows[1:]] == [["corpus.csv", str(line)] for line in (35, 36, 37)]
    assert "duplicate of line 2" in rows[2][2]


def test_rows_below_the_minimum_are_left_out_and_counted(store: Store) -> None:
    """A minimum confidence leaves out what lies below it, and not what lies on it."""
    launched = launch(store, CORPUS, minimum_confidence=70)
    assert (launched.counts.items, launched.counts.below) == (13, 20)
    assert min(row.confidence for row in store.table.rows()) == 70


@pytest.mark.parametrize("data", [b"image,label,confidence\n", b"image,label,confidence\na,,5\n"])
def test_a_corpus_without_a_usable_row_starts_nothing(store: Store, data: bytes) -> None:
    """It is an error that says why, and leaves no job behind."""
    with pytest.raises(InputError, match="no usable row"):
        launch(store, data)
    assert jobs.all_jobs(store.blobs) == []


@pytest.mark.parametrize(
    "bad",
    [
        {"batch_size": 0},
        {"batch_size": 101},
        {"reviewers": 0},
        {"reviewers": 10},
        {"minimum_confidence": 101},
        {"bands": (80.0, 70.0, 100.0)},
        {"job": "Dogs"},
        {"job": "a" * 41},
    ],
)
def test_settings_that_cannot_be_used_are_refused(store: Store, bad: dict[str, Any]) -> None:
    """A setting outside its range is named before anything is written."""
    with pytest.raises(InputError):
        launch(store, CORPUS, **bad)
    assert jobs.all_jobs(store.blobs) == []


def test_the_same_launch_again_is_the_same_job(store: Store) -> None:
    """Launching again with the same corpus and settings changes nothing, votes included."""
    launch(store, CORPUS)
    answer_all(store, 1, "ana", [3])
    before = {key: store.blobs.read(key) for key in store.blobs.keys("jobs/")}
    rows = rows_by_key(store.table.rows())
    again = launch(store, CORPUS)
    assert again.again
    assert {key: store.blobs.read(key) for key in store.blobs.keys("jobs/")} == before
    assert rows_by_key(store.table.rows()) == rows


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seed": 1}, "seed"),
        ({"batch_size": 10}, "batch size"),
        ({"minimum_confidence": 60}, "minimum confidence"),
        ({"reviewers": 2}, "reviewers"),
        ({"bands": (0.0, 100.0)}, "bands"),
    ],
)
def test_another_setting_is_another_job(store: Store, change: dict[str, Any], named: str) -> None:
    """A job's name cannot be used for other settings; the first that differs is named."""
    launch(store, CORPUS)
    with pytest.raises(ConflictError, match=named):
        launch(store, CORPUS, **change)


def test_another_corpus_is_another_job(store: Store) -> None:
    """A job's name cannot be used for another corpus, and the job stays as it was."""
    launch(store, CORPUS)
    with pytest.raises(ConflictError, match="another corpus"):
        launch(store, CORPUS + b"new.jpg,Dog,99\n")
    assert store.blobs.read("jobs/dogs/corpus.csv") == CORPUS


class _Breaks(LocalBlobs):
    """Blobs of a machine that stops after so many writes."""

    def __init__(self, root: Path, writes: int) -> None:
        super().__init__(root)
        self._left = writes

    def _store(self, *args: object, **kwargs: object) -> None:
        if self._left == 0:
            raise ConnectionError("the power is out")
        self._left -= 1
        super()._store(*args, **kwargs)  # type: ignore[arg-type]


@pytest.mark.parametrize("writes", range(8))
def test_a_launch_that_stopped_half_way_is_made_whole(tmp_path: Path, writes: int) -> None:
    """Wherever a launch is interrupted, a second one gives what one would have given."""
    with local_store(tmp_path / "whole") as whole:
        launch(whole, CORPUS)
        expected = {key: whole.blobs.read(key) for key in whole.blobs.keys("jobs/")}
        rows = rows_by_key(whole.table.rows())
        pages = whole.queue and whole.queue.progress("dogs")
    with local_store(tmp_path / "home") as store:
        broken = Store(_Breaks(tmp_path / "home", writes), store.table, store.queue)
        if writes < len(expected):
            with pytest.raises(ConnectionError):
                launch(broken, CORPUS)
        launch(store, CORPUS)
        assert {key: store.blobs.read(key) for key in store.blobs.keys("jobs/")} == expected
        assert rows_by_key(store.table.rows()) == rows
        assert store.queue is not None
        assert store.queue.progress("dogs") == pages


def test_two_launches_at_once_make_one_job(store: Store) -> None:
    """Of launches of the same job at the same time all succeed, and the job is there once."""
    with ThreadPoolExecutor(4) as pool:
        launched = list(pool.map(lambda _: launch(store, CORPUS), range(4)))
    assert {one.batches for one in launched} == {3}
    assert len(list(store.table.rows())) == 33


def test_a_picture_that_is_gone_stops_a_second_launch(store: Store) -> None:
    """The pages of a job never change under its reviewers: with fewer usable items it is not the same job."""
    launch(store, CORPUS)

    def keep(item: Item) -> Item:
        if item.image == "00.jpg":
            raise InputError("no such picture")
        return item

    with pytest.raises(ConflictError, match="usable items"):
        launch(store, CORPUS, keep=keep)


def test_an_answer_becomes_votes(store: Store) -> None:
    """Every decision counts on the picture at its place, for this worker in this job."""
    launch(store, CORPUS)
    receipt = answer_all(store, 1, "ana", wrong=[2])
    assert receipt.recorded == Recorded(counted=25)
    items = jobs.page_items("dogs", 1, store.blobs)
    rows = rows_by_key(store.table.rows())
    for place, item in enumerate(items):
        row = rows[item.image, item.label]
        assert (row.confirms, row.disconfirms) == ((0, 1) if place == 2 else (1, 0))
        assert (row.confirmed_by | row.disconfirmed_by) == {"dogs/ana"}


def test_the_same_answer_again_changes_nothing(store: Store) -> None:
    """A repeated submission is the same answer; one that differs is refused, and the first stands."""
    launch(store, CORPUS)
    answer_all(store, 1, "ana", wrong=[2])
    before = rows_by_key(store.table.rows())
    again = answer_all(store, 1, "ana", wrong=[2])
    assert (again.again, again.recorded.counted, again.recorded.already) == (True, 0, 25)
    with pytest.raises(ConflictError):
        answer_all(store, 1, "ana", wrong=[3])
    assert rows_by_key(store.table.rows()) == before
    assert len(list(store.blobs.keys("jobs/dogs/answers/"))) == 1


def test_an_answer_without_a_decision_is_refused(store: Store) -> None:
    """Nothing is kept of an answer that decides nothing, so that the page can be answered."""
    launch(store, CORPUS)
    with pytest.raises(InputError, match="no decision"):
        steps.answer_page("dogs", 0, "ana", {"meta": "{}"}, store, "now")
    assert answer_all(store, 0, "ana").recorded.counted == 3


def test_an_answer_is_kept_in_ground_truths_form(store: Store) -> None:
    """The kept file is a payload: object, batch address, worker, and the content as JSON text."""
    launch(store, CORPUS)
    answer_all(store, 0, "ana")
    (key,) = store.blobs.keys("jobs/dogs/answers/")
    (page,) = json.loads(store.blobs.read(key))
    assert page["dataObject"]["s3Uri"] == store.blobs.uri("jobs/dogs/custom-labeling-inputs/00000000.json")
    (annotation,) = page["annotations"]
    assert annotation["workerId"] == "ana"
    assert json.loads(annotation["annotationData"]["content"])["item-002"] == {"Confirmed": True}


class _Forgets:
    """A label table whose machine stops before it counts."""

    def record(self, votes: Sequence[Vote]) -> Recorded:
        raise ConnectionError("the power is out")


def test_what_was_kept_and_not_counted_is_counted_later(store: Store) -> None:
    """After a crash between keeping an answer and counting it, counting what is pending makes it good."""
    launch(store, CORPUS)
    answer_all(store, 0, "ana")
    broken = Store(store.blobs, _Forgets(), store.queue)  # type: ignore[arg-type]
    with pytest.raises(ConnectionError):
        answer_all(broken, 1, "ana")
    pending = steps.count_pending("dogs", store)
    assert (pending.answers, pending.recorded) == (1, Recorded(counted=25))
    assert steps.count_pending("dogs", store).answers == 0
    assert store.queue is not None
    assert store.queue.completed("dogs") == {(0, "ana"), (1, "ana")}


def test_replay_changes_nothing_where_all_is_right(store: Store) -> None:
    """Replayed twice over a right table, every vote was counted before."""
    launch(store, CORPUS)
    answer_all(store, 1, "ana", [4])
    answer_all(store, 1, "ben", [5])
    before = rows_by_key(store.table.rows())
    for _ in range(2):
        replayed = steps.replay("dogs", store, quiet)
        assert (replayed.answers, replayed.recorded) == (2, Recorded(already=50))
    assert rows_by_key(store.table.rows()) == before


def test_replay_makes_a_lost_table_again(tmp_path: Path, store: Store) -> None:
    """From the files alone come the same rows, counts, voters, and the same pages done."""
    launch(store, CORPUS)
    answer_all(store, 1, "ana", [4])
    answer_all(store, 2, "ben")
    before = rows_by_key(store.table.rows())
    with local_store(tmp_path / "other") as other:
        fresh = Store(store.blobs, other.table, other.queue)
        steps.replay("dogs", fresh, quiet)
        assert rows_by_key(other.table.rows()) == before
        assert other.queue is not None and store.queue is not None
        assert other.queue.progress("dogs") == store.queue.progress("dogs")


def test_replay_of_an_older_job_keeps_the_later_confidence(store: Store) -> None:
    """A row that a later launch gave another confidence keeps it."""
    launch(store, corpus_of([("a.jpg", "Dog", 60)]), job="old")
    launch(store, corpus_of([("a.jpg", "Dog", 90)]), job="new")
    steps.replay("old", store, quiet)
    (row,) = store.table.rows()
    assert row.confidence == 90


def test_an_unreadable_answer_file_is_named_and_the_others_count(store: Store) -> None:
    """Replay leaves out a file that is no payload, says which, and goes on."""
    launch(store, CORPUS)
    answer_all(store, 1, "ana")
    store.blobs.write("jobs/dogs/answers/00000000/torn.0.json", b"[{")
    replayed = steps.replay("dogs", store, quiet)
    assert replayed.answers == 1
    assert "torn.0.json" in replayed.unreadable[0]


def test_a_report_counts_its_own_job_alone(store: Store) -> None:
    """Votes of another job on the same items, and its confidence, are not this job's."""
    launch(store, corpus_of([("a.jpg", "Dog", 81)]), job="dogs")
    launch(store, corpus_of([("a.jpg", "Dog", 96)]), job="dogs-2")
    content = {"item-000": {"Confirmed": False}}
    steps.answer_page("dogs-2", 0, "ana", content, store, "now")
    (row,) = steps.job_rows("dogs", store)
    assert (row.confidence, row.outcome.value) == (81, "unreviewed")
    (row,) = steps.job_rows("dogs-2", store)
    assert (row.confidence, row.outcome.value) == (96, "disconfirmed")


def test_known_answer_items_are_never_counted(store: Store) -> None:
    """A picture with a check mark gives no vote and is in no report."""
    launch(store, CORPUS)
    key = jobs.batch_key("dogs", 0)
    entries = json.loads(store.blobs.read(key))
    entries[0] |= {"check": "wrong", "source_label": "Lion"}
    store.blobs.write(key, json.dumps(entries).encode())
    assert answer_all(store, 0, "ana").recorded.counted == 2
    assert len(list(steps.job_rows("dogs", store))) == 32


def test_a_job_that_is_not_there_is_named(store: Store) -> None:
    """Asking for an unknown job says so; a name that cannot be one is refused as such."""
    with pytest.raises(NotFoundError, match="cats"):
        jobs.settings_of("cats", store.blobs)
    with pytest.raises(InputError, match="job name"):
        jobs.settings_of("../etc", store.blobs)


def test_the_votes_of_every_page_land_on_the_right_pictures(store: Store) -> None:
    """Whatever the reviewers answer, in whatever order of pages and keys, the table has exactly that."""
    random = Random(4)
    launch(store, CORPUS, batch_size=25)
    truth: dict[tuple[str, str], list[bool]] = {}
    visits = [(number, worker) for number in range(3) for worker in ("ana", "ben", "cem")]
    random.shuffle(visits)
    for number, worker in visits:
        items = jobs.page_items("dogs", number, store.blobs)
        says = [random.random() < 0.5 for _ in items]
        for item, say in zip(items, says, strict=True):
            truth.setdefault((item.image, item.label), []).append(say)
        names = [(f"item-{place:03d}", {"Confirmed": say}) for place, say in enumerate(says)]
        random.shuffle(names)
        steps.answer_page("dogs", number, worker, dict(names), store, "now")
    for row in store.table.rows():
        assert (row.confirms, row.disconfirms) == (truth[row.key].count(True), truth[row.key].count(False))
    report = tabulate(steps.job_rows("dogs", store), (0, 100))
    assert report.totals.all.total == 33
    assert report.totals.all.confirmed == sum(all(says) for says in truth.values())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    items=st.dictionaries(
        st.tuples(st.integers(0, 40), st.sampled_from(["A", "B", "犬"])), st.integers(0, 100), min_size=1
    ),
    size=st.integers(1, 7),
    seed=st.integers(-5, 5),
)
def test_nothing_is_lost_on_the_way_from_corpus_to_report(
    tmp_path_factory: pytest.TempPathFactory, items: Mapping[tuple[int, str], int], size: int, seed: int
) -> None:
    """Every item of any corpus is in the table, on one page, and in the report, once."""
    data = corpus_of((f"{number}.jpg", label, confidence) for (number, label), confidence in items.items())
    with local_store(tmp_path_factory.mktemp("home")) as store:
        launch(store, data, batch_size=size, seed=seed)
        expected = sorted((f"{number}.jpg", label) for number, label in items)
        assert sorted(row.key for row in store.table.rows()) == expected
        rows: list[LabelRow] = list(steps.job_rows("dogs", store))
        assert sorted(row.key for row in rows) == expected
        assert tabulate(rows, (0, 100)).totals.all.unreviewed == len(items)


def test_another_corpus_is_refused_before_anything_is_done_for_it(store: Store) -> None:
    """A launch that has to be refused is refused before its rows are even looked at."""
    launch(store, CORPUS)
    seen: list[Item] = []

    def keep(item: Item) -> Item:
        seen.append(item)
        return item

    with pytest.raises(ConflictError, match="another corpus"):
        launch(store, CORPUS + b"new.jpg,Dog,99\n", keep=keep)
    assert seen == []
