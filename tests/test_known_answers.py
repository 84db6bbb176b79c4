"""Known-answer items: mixed in at launch, told apart by nobody, counted in no result."""

import csv
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from bulkqa import steps
from bulkqa.errors import ConflictError, InputError
from bulkqa.flow.answers import Decision
from bulkqa.flow.batches import Order
from bulkqa.flow.checks import CheckTally, tally_checks
from bulkqa.flow.corpus import Item
from bulkqa.flow.report import tabulate
from bulkqa.flow.tasks import TaskItem, page_input
from bulkqa.flow.votes import Origin, Vote
from bulkqa.jobs import batch_key, page_items
from bulkqa.local.pictures import find_in, picture
from bulkqa.portal.app import Portal, create_app
from bulkqa.portal.security import Signatures
from bulkqa.ports import Store
from bulkqa.rendering import render_worker_page
from bulkqa.shipped import shipped
from bulkqa.steps.answering import job_answers
from tests.support import CREATED, corpus_of, launch, local_store, png, quiet, rows_by_key

DOGS = [(f"d{number:03d}.png", "Dog", 80 + number / 10) for number in range(60)]
CATS = [(f"c{number:03d}.png", "Cat", 90 + number / 10) for number in range(40)]
CORPUS = corpus_of(DOGS + CATS)
ITEMS = {(image, label) for image, label, _ in DOGS + CATS}
KNOWN = [(f"kd{n}.png", "Dog") for n in range(8)] + [(f"kc{n}.png", "Cat") for n in range(8)]
CHECKS = b"image,label\n" + "".join(f"{image},{label}\n" for image, label in KNOWN).encode()
TEMPLATE = shipped("templates/worker.liquid.html").read_text("utf-8")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """The embedded default, empty."""
    with local_store(tmp_path / "home") as store:
        yield store


def pages_of(store: Store, job: str = "dogs") -> list[tuple[TaskItem, ...]]:
    """The pictures of every page of a job."""
    keys = store.blobs.keys(f"jobs/{job}/custom-labeling-inputs/")
    return [page_items(job, int(Path(key).stem), store.blobs) for key in keys]


def checks_on(pages: Sequence[Sequence[TaskItem]]) -> list[TaskItem]:
    """All known-answer items of pages."""
    return [item for page in pages for item in page if item.check is not None]


def files(store: Store, job: str = "dogs") -> dict[str, bytes]:
    """All files of a job."""
    return {key: store.blobs.read(key) for key in store.blobs.keys(f"jobs/{job}/")}


def answer(
    store: Store, number: int, worker: str, says: Callable[[TaskItem], Decision], job: str = "dogs"
) -> steps.Receipt:
    """Answer a page as this worker sees it."""
    content = {
        f"item-{place:03d}": {
            "Confirmed": says(item) is Decision.CONFIRM,
            "CannotJudge": says(item) is Decision.CANNOT_JUDGE,
        }
        for place, item in enumerate(page_items(job, number, store.blobs))
    }
    return steps.answer_page(job, number, worker, content, store, CREATED)


# On the pages.


def test_items_are_all_there_and_known_answers_among_them(store: Store) -> None:
    """Every item stands on one page, a page has its size, and known answers are what the file says."""
    launched = launch(store, CORPUS, checks=CHECKS, check_rate=0.2, batch_size=10)
    pages = pages_of(store)
    real = [(item.image, item.label) for page in pages for item in page if item.check is None]
    assert len(real) == len(set(real))
    assert set(real) == ITEMS
    assert all(len(page) == 10 for page in pages[:4] + pages[5:-1])
    assert all(sum(item.check is not None for item in page) == 2 for page in pages[:4])
    known = dict(KNOWN)
    for item in checks_on(pages):
        assert known[item.image] == item.source_label
        assert (item.check == "right") == (item.source_label == item.label)
    counts = Counter(item.check for item in checks_on(pages))
    assert abs(counts["wrong"] - counts["right"]) <= 2
    assert launched.mixed is not None
    assert (launched.mixed.wrong, launched.mixed.right) == (counts["wrong"], counts["right"])
    assert launched.mixed.pages == launched.mixed.wanted == len(pages) == launched.batches
    assert launched.mixed.sentence.endswith(f"on {len(pages)} pages.")


def test_only_items_are_counted(store: Store) -> None:
    """Rows, progress, manifest and job.json know nothing of known-answer items."""
    launched = launch(store, CORPUS, checks=CHECKS, check_rate=0.2, batch_size=10)
    assert {row.key for row in store.table.rows()} == ITEMS
    assert {label: line.items for label, line in steps.progress("dogs", store).items()} == {
        "Cat": 40,
        "Dog": 60,
    }
    without_queue = store._replace(queue=None)
    assert steps.progress("dogs", without_queue) == steps.progress("dogs", store)
    assert len(store.blobs.read("jobs/dogs/manifest.json").splitlines()) == launched.batches
    assert b"check" not in store.blobs.read("jobs/dogs/manifest.json")
    job = json.loads(store.blobs.read("jobs/dogs/job.json"))
    assert (job["items"], job["labels"], job["check_rate"]) == (100, ["Cat", "Dog"], 0.2)
    assert {row.key for row in steps.job_rows("dogs", store)} == ITEMS


def test_without_a_rate_pages_are_as_ever(store: Store) -> None:
    """A check rate of 0 changes no page, and the launch says nothing of known answers."""
    launch(store, CORPUS, batch_size=10)
    launched = launch(store, CORPUS, batch_size=10, job="dogs-2", check_rate=0)
    assert launched.mixed is None
    assert pages_of(store) == pages_of(store, "dogs-2")
    assert checks_on(pages_of(store)) == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    corpus=st.sets(st.tuples(st.integers(0, 40), st.sampled_from("ABC")), min_size=1, max_size=60),
    known=st.sets(st.tuples(st.integers(0, 40), st.sampled_from("ABC")), min_size=1, max_size=20),
    rate=st.floats(0.01, 0.5),
    size=st.integers(1, 12),
    seed=st.integers(0, 99),
)
def test_whatever_is_launched(
    corpus: set[tuple[int, str]],
    known: set[tuple[int, str]],
    rate: float,
    size: int,
    seed: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """For any corpus and known answers: items once each, no check a row or an item of its page's label."""
    rows = sorted((f"{image}.png", label, 90.0) for image, label in corpus)
    checks = "".join(f"{image}.png,{label}\n" for image, label in sorted(known)).encode()
    items, truths = {row[:2] for row in rows}, {(f"{image}.png", label) for image, label in known}
    asked: dict[str, Any] = {"check_rate": rate, "batch_size": size, "seed": seed}
    with local_store(tmp_path_factory.mktemp("home")) as store:
        launch(store, corpus_of(rows), checks=b"image,label\n" + checks, **asked)
        pages = pages_of(store)
        assert {row.key for row in store.table.rows()} == items
        before = files(store)
        for key in store.blobs.keys("jobs/dogs/custom-labeling-inputs/"):
            store.blobs.write(key, b"[]")
        store.blobs._path("jobs/dogs/manifest.json").unlink()  # type: ignore[attr-defined]
        assert launch(store, corpus_of(rows), checks=b"image,label\n" + checks, **asked).again
        assert files(store) == before
    real = [(item.image, item.label) for page in pages for item in page if item.check is None]
    assert sorted(real) == sorted(items)
    for page in pages:
        assert len(page) <= size
        assert len({item.image for item in page}) == len(page)
        for item in checks_on([page]):
            assert (item.image, item.label) not in items
            assert (item.image, item.source_label) in truths
            assert ((item.image, item.label) in truths) == (item.check == "right")


# What reviewers see.


def test_nothing_on_a_page_tells_them_apart(store: Store) -> None:
    """A page's input and HTML are, byte by byte, those of the same pictures were they all items."""
    launch(store, CORPUS, checks=CHECKS, check_rate=0.3, batch_size=10, guideline="Look.")
    about = {"labels": ["Cat", "Dog"]}
    for page in pages_of(store):
        assert checks_on([page])
        plain = [item._replace(check=None, source_label=None) for item in page]
        shown = page_input(page, about, 128_000)
        assert json.dumps(shown) == json.dumps(page_input(plain, about, 128_000))
        html = render_worker_page(TEMPLATE, shown, read_access=str, crowd_script="/crowd.js")
        tiles = re.findall(r'<li class="bq-tile".*?</li>', html, re.DOTALL)
        # But for its number and picture, each is the same text.
        stripped = {re.sub(r"item-\d{3}|Picture \d+|src=\"[^\"]*\"", "", tile) for tile in tiles}
        assert len(tiles) == len(page)
        assert len(stripped) == 1
        assert {item.confidence for item in page} == {i.confidence for i in page if i.check is None}
        for word in ("check", "source_label", "known"):
            assert word not in json.dumps(shown)


@pytest.fixture
def portal(tmp_path: Path) -> Iterator[Portal]:
    """The portal of three reviewers over a job with known answers, its pictures in a folder."""
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for image, _, _ in DOGS + CATS:
        (pictures / image).write_bytes(png((10, 20, 30)))
    for image, _ in KNOWN:
        (pictures / image).write_bytes(png((10, 20, 30)))
    with local_store(tmp_path / "home") as store:
        launch(
            store,
            CORPUS,
            find_in(pictures),
            checks=CHECKS,
            check_rate=0.2,
            batch_size=10,
            reviewers=3,
            image_root=str(pictures),
        )
        yield Portal(
            store=store,
            picture=picture,
            template=TEMPLATE,
            reviewers=("ana", "ben", "cem"),
            signatures=Signatures(b"0123456789abcdef" * 2),
            origins=("http://127.0.0.1:8765",),
        )


@pytest.mark.slow
def test_a_whole_review_in_the_portal(portal: Portal) -> None:
    """Three reviewers review every page: votes are on items alone, catch rates are what they did."""
    store, said = portal.store, dict[str, CheckTally]()
    chances = {"ana": 0.9, "ben": 0.5, "cem": 0.0}
    keys = list(store.blobs.keys("jobs/dogs/custom-labeling-inputs/"))
    items_seen = dict.fromkeys(chances, 0)
    with ExitStack() as clients:
        for reviewer, chance in chances.items():
            draw = Random(reviewer)
            client = clients.enter_context(TestClient(create_app(portal), base_url=portal.origins[0]))
            client.get(portal.link(reviewer))
            worker = portal.signatures.worker_id(reviewer)
            tally = CheckTally()
            while task := re.search(r'src="(/task/dogs/(\d+))"', (home := client.get("/").text)):
                page = page_items("dogs", int(task[2]), store.blobs)
                html = client.get(task[1]).text
                addresses = [one.replace("&amp;", "&") for one in re.findall(r'src="(/obj/[^"]+)"', html)]
                assert len(addresses) == len(page)
                assert all(client.get(address).status_code == 200 for address in addresses)
                content: dict[str, object] = {"meta": json.dumps({"seconds": 20})}
                for place, item in enumerate(page):
                    reject, unsure = draw.random() < chance, draw.random() < 0.1
                    content[f"item-{place:03d}"] = {"Confirmed": not reject, "CannotJudge": unsure}
                    judged = not unsure
                    tally += CheckTally(
                        known_wrong=judged and item.check == "wrong",
                        caught=judged and reject and item.check == "wrong",
                        known_right=judged and item.check == "right",
                        false_alarms=judged and reject and item.check == "right",
                        cannot_judge=unsure and item.check is not None,
                    )
                    items_seen[reviewer] += item.check is None
                token = re.search(r'data-csrf="([^"]+)"', home)
                assert token
                headers = {"Origin": portal.origins[0], "X-CSRF-Token": token[1]}
                # Neither at first nor again does the reply tell how many pictures were known answers.
                for counted, already in ((len(page), 0), (0, len(page))):
                    reply = client.post(f"{task[1]}/answer", json={"answer": content}, headers=headers)
                    assert (reply.json()["counted"], reply.json()["already"]) == (counted, already)
            said[worker] = tally
    found = tally_checks(job_answers("dogs", store))
    assert found.workers == said
    assert found.pooled.known_wrong > 0
    assert found.pooled.known_right > 0
    rows = list(store.table.rows())
    assert {(image.removeprefix("local://"), label) for image, label in (r.key for r in rows)} == ITEMS
    assert sum(len(row.voters) for row in rows) == sum(items_seen.values()) == 300
    assert tabulate(steps.job_rows("dogs", store), (80, 100)).totals.all.total == 100
    progress = steps.progress("dogs", store)
    assert sum(line.items_done for line in progress.values()) == 100
    assert sum(line.answers for line in progress.values()) == 3 * len(keys)
    assert {answer.seconds for page in job_answers("dogs", store) for answer in page.answers} == {20.0}


def test_replay_leaves_known_answers_out(store: Store, tmp_path: Path) -> None:
    """A table and queue made again from the files have items alone, and the same counts."""
    launch(store, CORPUS, checks=CHECKS, check_rate=0.3, batch_size=10)
    for number in range(4):
        answer(store, number, "ana", lambda item: Decision.DISCONFIRM)
    rows, progress = rows_by_key(store.table.rows()), steps.progress("dogs", store)
    with local_store(tmp_path / "other") as empty:
        made = Store(store.blobs, empty.table, empty.queue)
        replayed = steps.replay("dogs", made, quiet)
        assert replayed.recorded.unknown == ()
        assert rows_by_key(made.table.rows()) == rows
        assert steps.progress("dogs", made) == progress
        assert list(steps.check_votes("dogs", made, quiet)) == []


def test_a_check_that_is_an_item_of_another_job_gets_no_vote(store: Store) -> None:
    """A picture with a row in the table, shown as a known answer under that label, is not voted on."""
    launch(store, corpus_of([(image, "Dog", 90.0) for image, _ in KNOWN]), job="earlier")
    launch(store, CORPUS, checks=CHECKS, check_rate=0.3, batch_size=10)
    for number in range(len(pages_of(store))):
        receipt = answer(store, number, "ana", lambda item: Decision.DISCONFIRM)
        assert receipt.recorded.unknown == ()
    rows = rows_by_key(store.table.rows())
    assert all(not rows[image, "Dog"].voters for image, _ in KNOWN)
    assert sum(len(row.voters) for row in rows.values()) == 100


# The same job.


def test_the_same_launch_again_is_the_same_job(store: Store) -> None:
    """Launched again with the same file under another name nothing changes, and it says so."""
    first = launch(store, CORPUS, checks=CHECKS, check_rate=0.2)
    before = files(store)
    again = launch(store, CORPUS, checks=CHECKS, check_rate=0.2, checks_name="copy.csv")
    assert again.again
    assert again.mixed == first.mixed
    assert files(store) == before
    assert store.blobs.read("jobs/dogs/checks.csv") == CHECKS


@pytest.mark.parametrize(
    ("checks", "changes", "named"),
    [
        (CHECKS + b"more.png,Dog\n", {}, r"other known answers \(checks.csv, not checks.csv\)"),
        (CHECKS, {"check_rate": 0.1}, "check rate 0.2, not 0.1"),
        (None, {}, r"other known answers \(checks.csv, not earlier jobs\)"),
        (None, {"check_rate": 0}, "check rate 0.2, not 0"),
    ],
)
def test_other_known_answers_are_another_job(
    store: Store, checks: bytes | None, changes: dict[str, Any], named: str
) -> None:
    """A changed file, another rate, or no file is refused under the job's name, naming the difference."""
    launch(store, CORPUS, checks=CHECKS, check_rate=0.2)
    before = files(store)
    with pytest.raises(ConflictError, match=named):
        launch(store, CORPUS, checks=checks, **({"check_rate": 0.2} | changes))
    assert files(store) == before


def test_the_seed_says_which_and_where(store: Store) -> None:
    """Another seed gives other known answers in other places."""
    for seed, job in ((1, "one"), (1, "same"), (2, "two")):
        launch(store, CORPUS, checks=CHECKS, check_rate=0.2, batch_size=10, seed=seed, job=job)
    assert pages_of(store, "one") == pages_of(store, "same")
    one, two = pages_of(store, "one"), pages_of(store, "two")
    assert [[item.check for item in page] for page in one] != [[item.check for item in page] for page in two]


# Files.


def test_a_rate_without_any_source(store: Store) -> None:
    """A check rate without a file and without earlier jobs is refused, and nothing is written."""
    with pytest.raises(InputError, match=r"check rate 0.1: no item of an earlier job .* in a file"):
        launch(store, CORPUS, check_rate=0.1)
    assert list(store.blobs.keys("jobs/dogs/")) == []


def test_a_file_without_a_rate(store: Store) -> None:
    """Known answers that no page would get are refused."""
    with pytest.raises(InputError, match=r"checks\.csv: known answers need a check rate"):
        launch(store, CORPUS, checks=CHECKS)


def test_a_file_with_nothing_usable(store: Store) -> None:
    """A file without a usable row is refused with its first reasons."""
    with pytest.raises(InputError, match=r"checks\.csv: no usable known answer; line 2: the image is empty"):
        launch(store, CORPUS, checks=b"image,label\n,Dog\n", check_rate=0.1)
    with pytest.raises(InputError, match=r"checks\.csv: the file is empty"):
        launch(store, CORPUS, checks=b"", check_rate=0.1)


def test_not_enough_known_answers(store: Store) -> None:
    """Labels that nothing is known for are named with how many pages get one, and the launch goes on."""
    checks = b'{"image": "k.png", "label": "Cat", "wrong_for": []}\n'
    launched = launch(store, CORPUS, checks=checks, check_rate=0.2, batch_size=10)
    pages = pages_of(store)
    assert [len(checks_on([page])) for page in pages] == [1] * 5 + [0] * 8
    assert launched.mixed is not None
    assert (launched.mixed.pages, launched.mixed.wanted) == (5, 13)
    assert launched.mixed.sentence == (
        "5 known-answer items (0 wrong, 5 right): not enough, 5 of 13 pages get one; pages without: 'Dog'."
    )
    assert {(i.image, i.label) for page in pages for i in page if i.check is None} == ITEMS


def test_rows_that_cannot_be_used_are_listed(store: Store, tmp_path: Path) -> None:
    """rejected.csv names the known answers that cannot be used: file, line and reason."""
    (tmp_path / "kd0.png").write_bytes(png((1, 2, 3)))
    (tmp_path / "d000.png").write_bytes(png((1, 2, 3)))
    checks = b"image,label\nkd0.png,Dog\nkd0.png,Dog\nmissing.png,Dog\n"
    data = corpus_of([("d000.png", "Dog", 90.0), ("gone.png", "Dog", 90.0)])
    launched = launch(
        store, data, find_in(tmp_path), checks=checks, check_rate=0.5, image_root=str(tmp_path), batch_size=2
    )
    rows = list(csv.reader(store.blobs.read("jobs/dogs/rejected.csv").decode().splitlines()))
    assert [row[:2] for row in rows[1:]] == [["corpus.csv", "3"], ["checks.csv", "3"], ["checks.csv", "4"]]
    assert launched.mixed is not None
    assert launched.mixed.rejected == 2
    assert [item.image for item in checks_on(pages_of(store))] == ["local://kd0.png"]


# Earlier jobs.

CONFIRM, REJECT, UNSURE = Decision.CONFIRM, Decision.DISCONFIRM, Decision.CANNOT_JUDGE

Votes = dict[str, Decision]


def earlier(
    store: Store, rows: Mapping[tuple[str, str], Votes], job: str = "earlier", root: str | None = None
) -> None:
    """A job of these items, and the votes on them."""
    launch(store, corpus_of((*key, 90.0) for key in rows), job=job, image_root=root)
    store.table.record(
        [Vote(key, f"{job}/{worker}", said) for key, by in rows.items() for worker, said in by.items()]
    )


BOTH: Votes = {"ana": CONFIRM, "ben": CONFIRM}


def test_earlier_jobs_give_known_answers(store: Store) -> None:
    """What two confirmed and nobody rejected is right for its label, and wrong for one it was not given."""
    earlier(
        store,
        {
            ("wolf.png", "Wolf"): BOTH,
            ("wolf.png", "Dog"): {"ana": REJECT},
            ("dog.png", "Dog"): BOTH,
            ("once.png", "Dog"): {"ana": CONFIRM},
            ("split.png", "Dog"): BOTH | {"cem": REJECT},
            ("unsure.png", "Dog"): BOTH | {"cem": UNSURE},
            ("open.png", "Wolf"): BOTH,
            ("open.png", "Dog"): {},
            ("d000.png", "Dog"): BOTH,
        },
    )
    launched = launch(store, corpus_of(DOGS), check_rate=0.2, batch_size=10)
    found = {(item.image, item.check, item.source_label) for item in checks_on(pages_of(store))}
    assert found == {("wolf.png", "wrong", "Wolf"), ("dog.png", "right", "Dog")}
    assert launched.mixed is not None
    assert launched.mixed.pages == launched.mixed.wanted


def test_one_reviewer_in_two_jobs_is_one_reviewer(store: Store) -> None:
    """Who confirms an item in two jobs has not been joined by anybody; another one has."""
    for job in ("first", "second"):
        earlier(store, {("dog.png", "Dog"): {"ana": CONFIRM}}, job)
    with pytest.raises(InputError, match="confirmed by 2 reviewers"):
        launch(store, CORPUS, check_rate=0.1)
    earlier(store, {("dog.png", "Dog"): {"ben": CONFIRM}}, "third")
    launch(store, CORPUS, check_rate=0.1, batch_size=10)
    assert {item.image for item in checks_on(pages_of(store))} == {"dog.png"}


def test_confusions_are_preferred(store: Store) -> None:
    """Pictures of the class that others under the label turned out to be of are taken before any other."""
    confused = {("x.png", "Dog"): {"ana": REJECT}, ("x.png", "Wolf"): BOTH}
    wolves = {(f"wolf{n}.png", "Wolf"): BOTH for n in range(20)}
    cars = {(f"car{n}.png", "Car"): BOTH for n in range(20)}
    earlier(store, confused | wolves | cars)
    launch(store, corpus_of(DOGS), check_rate=0.2, batch_size=10)
    used = Counter(item.source_label for item in checks_on(pages_of(store)))
    assert used["Car"] == 0
    assert used["Wolf"] == used.total() > 10


def test_more_votes_do_not_make_it_another_job(store: Store) -> None:
    """What earlier jobs gave is kept with the job: launched again later it is the same one."""
    earlier(store, {("dog.png", "Dog"): BOTH})
    launch(store, CORPUS, check_rate=0.2, batch_size=10)
    before = files(store)
    kept = store.blobs.read("jobs/dogs/checks.jsonl")
    assert json.loads(kept) == {"image": "dog.png", "label": "Dog", "wrong_for": ["Cat"]}
    earlier(store, {("other.png", "Dog"): BOTH, ("dog.png", "Dog"): {"cem": REJECT}}, "later")
    store.blobs._path("jobs/dogs/manifest.json").unlink()  # type: ignore[attr-defined]
    assert launch(store, CORPUS, check_rate=0.2, batch_size=10).again
    assert files(store) == before


def test_what_was_kept_is_a_file_of_known_answers(store: Store) -> None:
    """The file that a job keeps gives another launch the same known answers."""
    earlier(store, dict.fromkeys(KNOWN, BOTH))
    launch(store, CORPUS, check_rate=0.2, batch_size=10)
    kept = store.blobs.read("jobs/dogs/checks.jsonl")
    launch(store, CORPUS, checks=kept, checks_name="kept.jsonl", check_rate=0.2, batch_size=10, job="dogs-2")
    assert pages_of(store) == pages_of(store, "dogs-2")


def test_earlier_jobs_without_any_for_these_labels(store: Store) -> None:
    """A launch goes on without known answers where earlier jobs have none for its labels, also again."""
    earlier(store, {("d000.png", "Dog"): BOTH})
    for _ in range(2):
        launched = launch(store, corpus_of(DOGS[:1]), check_rate=0.5, batch_size=2)
        assert launched.mixed is not None
        assert (launched.mixed.pages, launched.mixed.wanted) == (0, 1)
        earlier(store, {("dog.png", "Dog"): BOTH}, "later")
    assert store.blobs.read("jobs/dogs/checks.jsonl") == b""


def test_paths_from_another_folder_are_other_pictures(store: Store, tmp_path: Path) -> None:
    """A path is taken from jobs with the same folder alone; an address of the web from any."""
    web = "https://example.org/dog.png"
    earlier(store, {("dog.png", "Dog"): BOTH, (web, "Dog"): BOTH}, root=str(tmp_path))
    launch(store, CORPUS, check_rate=0.2, batch_size=10)
    assert {item.image for item in checks_on(pages_of(store))} == {web}


def test_rows_of_no_job_here_are_no_source(store: Store) -> None:
    """A path in a row of which no job is known cannot be told to be of the same folder."""
    store.table.launch([Item("dog.png", "Dog", 90)], Origin("gone", CREATED))
    store.table.record([Vote(("dog.png", "Dog"), f"gone/{who}", CONFIRM) for who in ("ana", "ben")])
    with pytest.raises(InputError, match="no item of an earlier job"):
        launch(store, CORPUS, check_rate=0.1)


def test_orders_of_rows_do_not_matter(store: Store, tmp_path: Path) -> None:
    """The same votes give the same known answers, in whatever order the table has its rows."""
    keys = [(f"{n}.png", label) for n in range(30) for label in ("Dog", "Cat")][::2]
    pages = []
    for number, order in enumerate((keys, keys[::-1])):
        with local_store(tmp_path / str(number)) as other:
            for key in order:
                other.table.launch([Item(*key, 90)], Origin("earlier", CREATED))
            earlier(other, dict.fromkeys(order, BOTH))
            launch(other, CORPUS, check_rate=0.3, batch_size=10)
            pages.append(pages_of(other))
    assert pages[0] == pages[1]
    assert store.table.order is Order.KEY


def test_copies_count_as_what_they_were_made_of(store: Store) -> None:
    """A picture that each job copied for itself is one picture: an item is no check of its own label."""
    copies = [f"s3://bulkqa/jobs/{job}/images/zoo/dog.png" for job in ("earlier", "dogs")]
    earlier(store, {(copies[0], "Dog"): BOTH, ("s3://zoo/other.png", "Dog"): BOTH})
    corpus = corpus_of([(copies[1], "Dog", 90.0), *DOGS])
    launch(store, corpus, check_rate=0.2, batch_size=10)
    assert {item.image for item in checks_on(pages_of(store))} == {"s3://zoo/other.png"}


def test_a_batch_file_says_what_is_known(store: Store) -> None:
    """In its page's file a known-answer item has the shape of an item, and two marks more."""
    launch(store, corpus_of(DOGS[:1]), checks=b"image,label\nk.png,Cat\n", check_rate=0.5, batch_size=2)
    entries = json.loads(store.blobs.read(batch_key("dogs", 0)))
    (entry,) = (entry for entry in entries if "check" in entry)
    place = entries.index(entry)
    assert entry == {
        "s3_image_url": "k.png",
        "label": "Dog",
        "confidence": 80.0,
        "item": f"item-{place:03d}",
        "check": "wrong",
        "source_label": "Cat",
    }
