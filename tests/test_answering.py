"""The answers of a job, read page by page."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bulkqa import steps, wire
from bulkqa.flow.answers import Decision, PageAnswers, read_seconds
from bulkqa.jobs import answer_key, batch_key, page_items
from bulkqa.ports import Store
from bulkqa.steps.answering import job_answers
from tests.support import corpus_of, launch, local_store

CORPUS = corpus_of([(f"{number:02d}.jpg", "Dog", 90) for number in range(11)])
"""Three pages of at most four pictures."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """The embedded default with the job `dogs` of three pages."""
    with local_store(tmp_path / "home") as store:
        launch(store, CORPUS, batch_size=4)
        yield store


def content(size: int, wrong: Sequence[int] = (), meta: object = None) -> dict[str, object]:
    """An answer to a page of so many pictures, with these places wrong."""
    answer: dict[str, object] = {f"item-{n:03d}": {"Confirmed": n not in wrong} for n in range(size)}
    return answer if meta is None else answer | {"meta": meta}


def annotation(worker: str, answer: dict[str, object] | str, revision: int = 0) -> wire.Annotation:
    """An answer as a payload has it."""
    text = answer if isinstance(answer, str) else wire.answer_content(answer)
    return wire.Annotation(worker, text, revision)


def page(store: Store, number: int, *annotations: wire.Annotation, job: str = "dogs") -> wire.AnsweredPage:
    """A page with answers as a payload has it."""
    return wire.AnsweredPage(str(number), store.blobs.uri(batch_key(job, number)), annotations)


def event(store: Store, name: str, *pages: wire.AnsweredPage) -> None:
    """Keep pages as the post-labeling function keeps those of an event."""
    store.blobs.create(f"jobs/dogs/answers/event-{name}.json", wire.write_payload(*pages))


def wrong(found: Iterator[PageAnswers]) -> list[dict[str, list[int]]]:
    """The places each worker found wrong, page by page."""
    return [
        {
            one.worker: [n for n, said in one.answer.decisions.items() if said is Decision.DISCONFIRM]
            for one in page.answers
        }
        for page in found
    ]


def test_pages_come_in_order_with_what_they_show(store: Store) -> None:
    """Every page comes once, with its batch's key and pictures; one without answers has none."""
    steps.answer_page("dogs", 2, "ben", content(3, [1]), store, "")
    steps.answer_page("dogs", 2, "ana", content(3, [0]), store, "")
    steps.answer_page("dogs", 0, "cem", content(4), store, "")
    found = list(job_answers("dogs", store))
    assert [page.key for page in found] == [batch_key("dogs", number) for number in range(3)]
    assert [page.items for page in found] == [page_items("dogs", n, store.blobs) for n in range(3)]
    assert wrong(iter(found)) == [{"cem": []}, {}, {"ana": [0], "ben": [1]}]
    assert [one.worker for one in found[2].answers] == ["ana", "ben"]


def test_a_job_without_answers(store: Store) -> None:
    """All pages of a job that nobody has reviewed come without answers."""
    assert [page.answers for page in job_answers("dogs", store)] == [(), (), ()]


def test_the_highest_revision_counts(store: Store) -> None:
    """Of a worker's revisions of a page only the last one is given, wherever it lies."""
    steps.answer_page("dogs", 0, "ana", content(4, [0]), store, "")
    for revision in (2, 10):
        key = answer_key("dogs", 0, "ana", revision)
        answer = annotation("ana", content(4, [revision % 4]), revision)
        store.blobs.create(key, wire.write_payload(page(store, 0, answer)))
    event(store, "a", page(store, 0, annotation("ana", content(4, [3]), 9)))
    (first, *_) = job_answers("dogs", store)
    assert [(one.worker, one.revision) for one in first.answers] == [("ana", 10)]
    assert first.answers[0].answer.decisions[2] is Decision.DISCONFIRM


def test_pages_repeat_across_events(store: Store) -> None:
    """A page that several events carry, whole or in part, has each worker's answer once."""
    ana, ben = annotation("ana", content(4, [1])), annotation("ben", content(4, [2]))
    event(store, "a", page(store, 1, ana), page(store, 0, ben))
    event(store, "b", page(store, 1, ana, ben))
    event(store, "c", page(store, 1, ben), page(store, 1, ana))
    assert wrong(job_answers("dogs", store)) == [{"ben": [2]}, {"ana": [1], "ben": [2]}, {}]


def test_an_answer_that_decides_goes_before_one_that_does_not(store: Store) -> None:
    """An unreadable answer stands only where the worker gave no other."""
    event(store, "a", page(store, 0, annotation("ana", "none"), annotation("ben", "none")))
    event(store, "b", page(store, 0, annotation("ana", content(4, [3]))))
    (first, *_) = job_answers("dogs", store)
    ana, ben = first.answers
    assert ana.answer.decisions[3] is Decision.DISCONFIRM
    assert (ben.worker, ben.answer.decisions) == ("ben", {})
    assert [problem.reason for problem in ben.answer.problems] == ["malformed"]


def test_what_is_not_this_jobs_or_not_readable_is_passed_over(store: Store) -> None:
    """Other jobs' pages, pages without a batch file, missing contents and broken files harm no answer."""
    launch(store, CORPUS, job="dogs-2", batch_size=4)
    steps.answer_page("dogs", 0, "ana", content(4, [0]), store, "")
    event(
        store,
        "a",
        page(store, 1, annotation("ana", content(4)), job="dogs-2"),
        wire.AnsweredPage("7", "s3://elsewhere/jobs/dogs/custom-labeling-inputs/00000001.json", ()),
        wire.AnsweredPage("8", None, (annotation("ana", content(4)),), "[]"),
        page(store, 1, annotation("ben", content(4, [2]))),
    )
    store.blobs.create("jobs/dogs/answers/event-b.json", b"{")
    lost = {"workerId": "ana", "annotationData": {"s3Uri": "local://jobs/dogs/lost.json"}}
    where = {"s3Uri": store.blobs.uri(batch_key("dogs", 1))}
    entry = {"datasetObjectId": "1", "dataObject": where, "annotations": [lost, {"workerId": 7}]}
    store.blobs.create("jobs/dogs/answers/event-c.json", json.dumps([{}, entry]).encode())
    assert wrong(job_answers("dogs", store)) == [{"ana": [0]}, {"ben": [2]}, {}]


def test_an_answer_that_lies_elsewhere_is_read_there(store: Store) -> None:
    """A payload may name where an answer lies in place of its contents."""
    store.blobs.write("jobs/dogs/elsewhere.json", wire.answer_content(content(4, [1])).encode())
    where = {"s3Uri": store.blobs.uri(batch_key("dogs", 1))}
    data = {"workerId": "ana", "annotationData": {"s3Uri": store.blobs.uri("jobs/dogs/elsewhere.json")}}
    entry = {"datasetObjectId": "1", "dataObject": where, "annotations": [data]}
    store.blobs.create("jobs/dogs/answers/event-c.json", json.dumps([entry]).encode())
    assert wrong(job_answers("dogs", store)) == [{}, {"ana": [1]}, {}]


def test_how_long_a_page_was_open(store: Store) -> None:
    """Seconds come from the page's own notes, of the answer that counts."""
    steps.answer_page("dogs", 0, "ana", content(4, meta=json.dumps({"v": 1, "seconds": 12.5})), store, "")
    steps.answer_page("dogs", 0, "ben", content(4), store, "")
    (first, *_) = job_answers("dogs", store)
    assert [one.seconds for one in first.answers] == [12.5, None]


@pytest.mark.parametrize(
    ("meta", "seconds"),
    [
        ('{"seconds": 40}', 40.0),
        ('{"seconds": 0}', 0.0),
        ('{"seconds": 86400}', 86400.0),
        ({"seconds": 3}, 3.0),
        ('{"seconds": 86400.1}', None),
        ('{"seconds": -1}', None),
        ('{"seconds": NaN}', None),
        ('{"seconds": Infinity}', None),
        ('{"seconds": true}', None),
        ('{"seconds": "40"}', None),
        ('{"seconds": null}', None),
        ("{}", None),
        ("", None),
        ("[40]", None),
        ("[" * 100_000, None),
        (None, None),
        (40, None),
    ],
)
def test_notes_of_any_kind(meta: object, seconds: float | None) -> None:
    """A page's notes are read where they make sense, and are never an error."""
    assert read_seconds(json.dumps({"meta": meta})) == seconds


@pytest.mark.parametrize("text", ["", "none", "[]", "7", '{"item-000": {}}', "[" * 100_000])
def test_answers_without_notes(text: str) -> None:
    """An answer without notes, or that is none, does not say how long the page was open."""
    assert read_seconds(text) is None


def test_characters_that_cannot_be_written(store: Store) -> None:
    """Half a character in an answer costs no decision."""
    text = '{"\ud800": 1, "item-000": {"Confirmed": false}}'
    event(store, "a", page(store, 0, annotation("ana", text)))
    assert wrong(job_answers("dogs", store)) == [{"ana": [0]}, {}, {}]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    delivered=st.lists(
        st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["ana", "ben", "cem"])), max_size=5), max_size=6
    ),
    seed=st.integers(),
)
def test_however_answers_are_delivered(
    delivered: list[list[tuple[int, str]]], seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """In whatever batching and how often answers come, each (page, worker) has its one answer."""

    def said(number: int, worker: str) -> list[int]:
        return [Random(f"{number} {worker} {seed}").randrange(3)]

    with local_store(tmp_path_factory.mktemp("home")) as store:
        launch(store, CORPUS, batch_size=4)
        for place, parts in enumerate(delivered):
            answers = (
                page(store, number, annotation(worker, content((4, 4, 3)[number], said(number, worker))))
                for number, worker in parts
            )
            event(store, str(place), *answers)
        expected: list[dict[str, list[int]]] = [{}, {}, {}]
        for number, worker in {pair for parts in delivered for pair in parts}:
            expected[number][worker] = said(number, worker)
        assert wrong(job_answers("dogs", store)) == expected
