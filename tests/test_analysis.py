"""The report: one document of all that the votes say, and the same as rows."""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkqa import steps
from bulkqa.errors import InputError, NotFoundError
from bulkqa.flow.report import tabulate
from bulkqa.flow.rounds import Proposals
from bulkqa.flow.statistics import rogan_gladen, wilson
from bulkqa.flow.thresholds import promised_thresholds, weigh
from bulkqa.flow.votes import LabelRow
from bulkqa.jobs import batch_key, job_key, page_items, settings_of
from bulkqa.ports import Store
from bulkqa.steps.analysis import Analysis, Fate, analyse_job, analyse_rows
from bulkqa.steps.confusion import confusion_after_rounds
from bulkqa.steps.document import as_csv, as_json
from tests.support import CREATED, corpus_of, launch, local_store, quiet
from tests.test_cli import bulkqa

DOCUMENT = Path(__file__).parent.parent / "docs/reference/report.md"
BANDS = (80, 90, 100)

names = st.frozensets(st.sampled_from(["dogs/ana", "dogs/ben", "cats/ana", "cats/cem"]), max_size=3)
row_lists = st.lists(
    st.builds(
        lambda image, label, confidence, source, *by: LabelRow(
            (image, label), confidence, source=source
        ).with_voters(*by),
        st.sampled_from(["", "a", "b", "c"]),
        st.sampled_from(["Cat", "Dog", "🦞"]),
        st.sampled_from([12.0, 79.9, 80.0, 85.5, 90.0, 97.25, 100.0]),
        st.sampled_from([None, None, "relabel:dogs", "adjudicate:dogs"]),
        names,
        names,
        names,
    ),
    max_size=25,
)


def row(image: str, label: str = "Dog", confidence: float = 95.0, **by: Iterable[str]) -> LabelRow:
    """A row with these voters."""
    voters = (frozenset(by.get(name, ())) for name in ("confirmed", "rejected", "unsure"))
    return LabelRow((image, label), confidence).with_voters(*voters)


def document_of(found: Iterable[LabelRow]) -> dict[str, Any]:
    """The report of these rows, as JSON has it; it must not need what JSON lacks."""
    text = json.dumps(as_json(analyse_rows(iter(list(found)), BANDS)), allow_nan=False)
    document: dict[str, Any] = json.loads(text)
    return document


def csv_of(analysis: Analysis) -> list[dict[str, str]]:
    """The report's rows, by column."""
    return list(csv.DictReader(io.StringIO("".join(as_csv(analysis)))))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """The embedded default below `home`."""
    with local_store(tmp_path / "home") as store:
        yield store


def dogs(store: Store, items: int = 6, **changes: Any) -> None:
    """Launch the job `dogs`: pages of three dogs, half of them above 90."""
    rows = [(f"{number}.jpg", "Dog", 85 + 10 * (number % 2)) for number in range(items)]
    known: dict[str, Any] = {"batch_size": 3, "bands": BANDS, "minimum_confidence": 80}
    launch(store, corpus_of(rows), **known | changes)


def answer(
    store: Store,
    page: int,
    worker: str,
    rejected: Iterable[str] = (),
    unsure: Iterable[str] = (),
    seconds: float | None = None,
    job: str = "dogs",
) -> None:
    """Answer a page, with these pictures rejected, and those not judged."""
    content: dict[str, object] = {}
    for place, item in enumerate(page_items(job, page, store.blobs)):
        said: dict[str, object] = {"Confirmed": item.image not in rejected}
        content[f"item-{place:03d}"] = said | ({"CannotJudge": True} if item.image in unsure else {})
    if seconds is not None:
        content["meta"] = json.dumps({"seconds": seconds})
    steps.answer_page(job, page, worker, content, store, "2026-01-02T04:00:00Z")


def images(store: Store, page: int, job: str = "dogs") -> list[str]:
    """The pictures of a page that count."""
    return [item.image for item in page_items(job, page, store.blobs) if item.check is None]


def add_checks(store: Store, page: int, *checks: str) -> list[str]:
    """Put known-answer items, wrong or right, at the end of a page; return their pictures."""
    key = batch_key("dogs", page)
    entries = json.loads(store.blobs.read(key))
    added = []
    for check in checks:
        place = len(entries)
        added.append(f"check-{page}-{place}.jpg")
        entries.append(
            {
                "s3_image_url": added[-1],
                "label": "Dog",
                "confidence": 99.0,
                "item": f"item-{place:03d}",
                "check": check,
            }
        )
    store.blobs.write(key, json.dumps(entries).encode())
    return added


# The document and the table.


@given(row_lists)
def test_the_parts_agree(found: list[LabelRow]) -> None:
    """The table is that of `tabulate`, every item has one fate, and votes are counted once in each part."""
    analysis = analyse_rows(iter(found), BANDS)
    predictions = [one for one in found if one.source != "relabel:dogs"]
    assert analysis.report == tabulate(predictions, BANDS)
    document = document_of(found)
    fates = document["reconciliation"]
    assert fates.pop("items") == sum(fates.values()) == len(found)
    assert fates["relabelled"] == len(found) - len(predictions)
    assert (fates["failed"], fates["expired"], fates["missing"]) == (0, 0, 0)
    shown = [one for one in predictions if one.confidence >= 80]
    assert sum(one["items"] for one in document["reviewers"]) == sum(
        one.confirms + one.disconfirms for one in shown
    )
    reviewed = sum(one.outcome.value != "unreviewed" for one in shown)
    assert document["calibration"]["items"] == reviewed
    assert sum(band["items"] for band in document["calibration"]["bins"]) == reviewed
    assert sum(one["items"] for one in document["calibration"]["labels"]) == reviewed
    assert document["agreement"]["votes"] == sum(one["votes"] for one in document["agreement"]["labels"])
    of_thresholds = [one["label"] for one in document["thresholds"]["thresholds"]]
    assert of_thresholds == sorted({one.key[1] for one in found})


@given(row_lists)
def test_csv_carries_every_number(found: list[LabelRow]) -> None:
    """Each number of the document stands in the CSV, under its own name and what it is of."""
    analysis = analyse_rows(iter(found), BANDS)
    document = document_of(found)
    rows = csv_of(analysis)
    table = [one for one in rows if one["kind"] in ("label", "totals", "average")]
    assert all(one["of"] == one["measure"] == one["value"] == "" for one in table)
    rest = [one for one in rows if one not in table]
    assert not any(one["label"] for one in rest)

    def numbers(kind: str, of: str) -> set[str]:
        """What the rows of this kind and of this have."""
        return {
            cell
            for one in rest
            if (one["kind"], one["of"]) == (kind, of)
            for name, cell in one.items()
            if name not in ("schema", "kind", "of") and cell
        }

    def check(kind: str, of: str, part: object) -> None:
        """Every number within this part is among those rows."""
        if isinstance(part, Mapping):
            for key, value in part.items():
                if key not in ("labels", "thresholds", "band", "bins", "map", "examples"):
                    check(kind, of, value)
        elif isinstance(part, list):
            for value in part:
                check(kind, of, value)
        elif isinstance(part, float | int):
            assert str(part) in numbers(kind, of), (kind, of, part)

    for kind in ("agreement", "calibration"):
        check(kind, "", document[kind])
        for line in document[kind]["labels"]:
            check(kind, line["label"], line)
    for line in (document["calibration"], *document["calibration"]["labels"]):
        check("bin", line.get("label", ""), {"all": line["bins"]})
    for line in document["reviewers"]:
        check("reviewer", line["reviewer"], line)
    for line in document["conflicts"]["confusions"]:
        assert {line["confirmed"], str(line["images"])} <= numbers("confusion", line["rejected"])
    for line in document["conflicts"]["twice"]:
        assert {line["labels"][1], str(line["images"])} <= numbers("conflict", line["labels"][0])
    check("reconciliation", "", document["reconciliation"])
    for line in document["thresholds"]["thresholds"]:
        check("threshold", line["label"], line)


EDGES: dict[str, list[LabelRow]] = {
    "nothing": [],
    "one item": [row("a", confirmed=["j/ana"])],
    "no votes": [row("a"), row("b", "Cat")],
    "below": [row("a", confidence=3.0, confirmed=["j/ana"])],
    "all confirmed": [row(str(n), confirmed=["j/ana", "j/ben"]) for n in range(9)],
    "all rejected": [row(str(n), rejected=["j/ana", "j/ben"]) for n in range(9)],
    "all split": [row(str(n), confirmed=["j/ana"], rejected=["j/ben"]) for n in range(9)],
    "all unsure": [row(str(n), unsure=["j/ana"]) for n in range(9)],
    "counts alone": [LabelRow(("", "Dog"), 90.0, 2, 1), LabelRow(("", "Cat"), 90.0, 1, 0)],
}


@pytest.mark.parametrize("edge", EDGES)
def test_edges(edge: str) -> None:
    """Whatever is missing is null, and everything else is there."""
    found = EDGES[edge]
    document = document_of(found)
    judged = [one for one in found if one.confirms + one.disconfirms and one.confidence >= 80]
    assert document["calibration"]["items"] == len(judged)
    assert (document["calibration"]["ece"] is None) == (not judged)
    assert document["calibration"]["auroc"] is None or edge == "counts alone"
    both = [one for one in judged if one.confirms + one.disconfirms > 1]
    assert document["agreement"]["items"] == len(both)
    for name in ("agreed", "ac1", "says"):
        assert (document["agreement"][name] is None) == (not both)
    assert (document["agreement"]["alpha"] is None) == (edge not in ("all split", "counts alone"))
    voters = set().union(*(one.voters for one in found if one.confidence >= 80))
    assert {one["reviewer"] for one in document["reviewers"]} == voters
    assert document["checks"] is document["totals"]["corrected"] is document["totals"]["weighted"] is None
    assert document["conflicts"] | {"examples_at_most": 10} == {
        "confirmed_twice": 0,
        "twice": [],
        "confused": 0,
        "confusions": [],
        "examples_at_most": 10,
    }
    assert sum(v for k, v in document["reconciliation"].items() if k != "items") == len(found)
    assert csv_of(analyse_rows(found, BANDS))[-1]["kind"] == "threshold"


def shape(part: object) -> object:
    """The keys of a document, whatever its values; of a list, those of its last entry."""
    if isinstance(part, Mapping):
        return {key: shape(value) for key, value in part.items() if key not in ("map", "interval")}
    if isinstance(part, list | tuple):
        return [shape(part[-1])] if part and isinstance(part[-1], Mapping) else "list"
    return None if part is None else "value"


def test_the_document_is_as_described(store: Store) -> None:
    """The keys of the example in the reference are those of a report that has everything, in their order."""
    dogs(store, 40)
    checks = [*add_checks(store, 0, "wrong", "right"), *add_checks(store, 1, "wrong")]
    sample: dict[str, list[list[float]]] = {"Dog": [[80, 90, 100, 20], [90, 100, 300, 20]]}
    settled = replace(settings_of("dogs", store.blobs), sample=sample)
    store.blobs.write(job_key("dogs"), settled.to_json(CREATED))
    for page in range(13):
        first, second, third = images(store, page)
        wrong = {checks[0]} | ({first} if page % 4 == 0 else set())
        answer(store, page, "ana", {*wrong, checks[2]}, seconds=30 + page)
        answer(store, page, "ben", {*wrong, *([second] if page == 5 else [])}, [third] if page == 9 else ())
    with Proposals([b'{"Dog": "Wolf"}'], "p.json") as proposals:
        steps.relabel("dogs", "r1", store, proposals=proposals, created_at=CREATED, notice=quiet)
    answer(store, 0, "ana", images(store, 0, "r1")[:1], job="r1")
    cats = corpus_of([(f"{number}.jpg", label, 90) for number in range(40) for label in ("Cat", "Wolf")])
    launch(store, cats, job="cats", batch_size=40)
    for page in range(2):
        answer(store, page, "ana", job="cats")
    rows = [*steps.job_rows("dogs", store), *steps.job_rows("cats", store)]
    confusion = confusion_after_rounds("dogs", store)
    ours = json.loads(json.dumps(as_json(analyse_job("dogs", store), confusion=confusion)))
    ours["conflicts"] = document_of(rows)["conflicts"]
    example = re.search(r"```json\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    assert example is not None
    described = json.loads(example[1])
    assert shape(ours) == shape(described)
    assert list(ours) == list(described)


# A job.


def test_reviewers_are_told_by_votes_and_answers(store: Store) -> None:
    """Pages, median seconds and votes, by the name under which the reviewer signs in."""
    dogs(store, 9, reviewers=2)
    for page, seconds in enumerate((10, 40, 20)):
        answer(store, page, "ana", images(store, page)[:1], seconds=seconds)
    answer(store, 0, "ben")
    document = as_json(analyse_job("dogs", store))
    ana, ben = document["reviewers"]
    assert (ana["reviewer"], ana["pages"], ana["median_seconds"]) == ("ana", 3, 20)
    assert (ana["items"], ana["disconfirmed"], ana["shared"]) == (9, 3, 3)
    assert (ana["agreed"], ana["distance"]) == (pytest.approx(2 / 3), pytest.approx(1 / 3))
    assert (ben["reviewer"], ben["pages"], ben["median_seconds"]) == ("ben", 1, None)
    assert ana["catch_rate"] is ben["false_alarm_rate"] is document["checks"] is None
    assert document["agreement"]["agreed"] == pytest.approx(2 / 3)


def test_known_answers_correct_the_shares(store: Store) -> None:
    """Catch rates are the reviewers', known-answer items are no items, and shares are freed of the misses."""
    dogs(store, 12, reviewers=1)
    rejected = 0
    for page in range(4):
        checks = add_checks(store, page, "wrong", "wrong", "right")
        wrong = images(store, page)[: page % 2]
        rejected += len(wrong)
        answer(store, page, "ana", {*wrong, checks[0], *([checks[1]] if page else [])})
    document = as_json(analyse_job("dogs", store))
    assert document["totals"]["total"] == 12
    assert document["checks"]["catch_rate"] == {
        "count": 7,
        "of": 8,
        "share": 0.875,
        "interval": wilson(7, 8),
    }
    assert document["checks"]["false_alarm_rate"]["count"] == 0
    assert document["reviewers"][0]["catch_rate"] == document["checks"]["catch_rate"]
    expected = rogan_gladen(rejected, 12, 7, 8, 0, 4)
    assert expected is not None
    assert document["totals"]["corrected"] == expected._asdict()
    assert document["labels"][0]["corrected"] == expected._asdict()


def test_two_votes_on_an_item_are_one_trial(store: Store) -> None:
    """Of two reviewers it is the votes that are corrected, with as many trials as items."""
    dogs(store, 6, reviewers=2)
    checks = add_checks(store, 0, "wrong", "right")
    for worker, wrong in (("ana", images(store, 0)), ("ben", images(store, 0)[:1])):
        answer(store, 0, worker, {*wrong, checks[0]})
        answer(store, 1, worker)
    document = as_json(analyse_job("dogs", store))
    assert (document["totals"]["confirmed"], document["totals"]["split"]) == (3, 2)
    expected = rogan_gladen(2, 6, 2, 2, 0, 2)  # 4 of 12 votes
    assert expected is not None
    assert document["totals"]["corrected"] == expected._asdict()


def test_a_sample_is_weighted_with_what_it_stands_for(store: Store) -> None:
    """The share of each band counts as often as the corpus has items in it; thresholds know of it too."""
    dogs(store, 12)
    sample: dict[str, list[list[float]]] = {
        "Dog": [[80, 90, 900, 6], [90, 100, 100, 6]],
        "Cat": [[80, 90, 0, 0], [90, 100, 1000, 0]],
    }
    settled = replace(settings_of("dogs", store.blobs), sample=sample)
    store.blobs.write(job_key("dogs"), settled.to_json(CREATED))
    low = {f"{number}.jpg" for number in range(0, 12, 2)}
    for page in range(4):
        answer(store, page, "ana", low - {"0.jpg", "2.jpg", "4.jpg"})
    for bands in (None, (0, 50, 100)):
        analysis = analyse_job("dogs", store, bands)
        found = analysis.weighted["Dog"]
        assert found is not None
        assert found.correct == pytest.approx(0.9 * 0.5 + 0.1 * 1)
        totals = analysis.weighted[None]
        assert totals is not None
        assert totals.correct == pytest.approx(0.55)
        assert (found.covered, totals.covered) == (1.0, 0.5)
        assert analysis.report.totals.all.correct == 0.75
        evidence = weigh(steps.job_rows("dogs", store), BANDS)
        assert analysis.thresholds == promised_thresholds(evidence, samples=sample)
    above = analyse_job("dogs", store, (90, 100)).weighted["Dog"]
    assert above is not None
    assert (above.correct, above.covered) == (1.0, 1.0)


def test_every_item_is_accounted_for(store: Store) -> None:
    """In the portal an item is reviewed, split, not to be judged by anybody, or waiting."""
    dogs(store, 9, reviewers=2)
    one, other, third = images(store, 0)
    answer(store, 0, "ana", {one}, {other})
    answer(store, 0, "ben", {third}, {other})
    answer(store, 1, "ana", unsure=images(store, 1)[:1])
    fates = as_json(analyse_job("dogs", store))["reconciliation"]
    assert fates == {
        "items": 9,
        "reviewed": 2,
        "split": 2,
        "cannot_judge": 2,
        "failed": 0,
        "expired": 0,
        "missing": 0,
        "waiting": 3,
        "closed": 0,
        "relabelled": 0,
    }
    raised = as_json(analyse_job("dogs", store, (90, 100)))
    assert raised["reconciliation"] == fates
    assert raised["below"] + raised["totals"]["total"] == 9


def test_votes_of_several_jobs_on_one_row(store: Store) -> None:
    """A job's report hears of its own votes alone; a file's, of all, each voter by job and name."""
    dogs(store, 3)
    launch(store, corpus_of([("0.jpg", "Dog", 85)]), job="again", bands=BANDS)
    answer(store, 0, "ana")
    answer(store, 0, "ana", {"0.jpg"}, job="again")
    for job, confirmed in (("dogs", 3), ("again", 0)):
        document = as_json(analyse_job(job, store))
        assert document["totals"]["confirmed"] == confirmed
        assert [one["reviewer"] for one in document["reviewers"]] == ["ana"]
    document = document_of(store.table.rows())
    assert (document["totals"]["confirmed"], document["totals"]["split"]) == (2, 1)
    assert [one["reviewer"] for one in document["reviewers"]] == ["again/ana", "dogs/ana"]
    assert [one["pages"] for one in document["reviewers"]] == [None, None]


def test_batch_files_are_read_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A report reads every file of a job once, and asks the table for every item once."""
    dogs(store, 12)
    answer(store, 0, "ana")
    read: list[str] = []
    asked: list[object] = []
    read_all, get = type(store.blobs).read_all, type(store.table).get

    def counting_read(blobs: Any, keys: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        return read_all(blobs, (read.append(key) or key for key in keys))  # type: ignore[func-returns-value]

    def counting_get(table: Any, keys: Any) -> Any:
        asked.extend(keys)
        return get(table, keys)

    monkeypatch.setattr(type(store.blobs), "read_all", counting_read)
    monkeypatch.setattr(type(store.table), "get", counting_get)
    analyse_job("dogs", store)
    assert len(read) == len(set(read)) == 5
    assert len(asked) == len(set(asked)) == 12


def test_there_is_no_such_job(store: Store) -> None:
    """The report of a job that does not exist says so."""
    with pytest.raises(NotFoundError, match="'cats'"):
        analyse_job("cats", store)


# Rounds.


def test_an_adjudication_has_the_last_word_where_it_is_asked_for(store: Store, tmp_path: Path) -> None:
    """--final: decided items have the adjudication's outcome; agreement and thresholds stay the job's own."""
    dogs(store, 6, reviewers=2)
    first, second, third = images(store, 0)
    answer(store, 0, "ana", {first, second, third})
    answer(store, 0, "ben")
    for worker in ("ana", "ben"):
        answer(store, 1, worker)
    steps.adjudicate("dogs", "second", store, created_at="2026-01-03T03:04:05Z", notice=quiet)
    assert sorted(images(store, 0, "second")) == sorted([first, second, third])
    answer(store, 0, "eve", {first}, {second}, job="second")
    plain, final = (as_json(analyse_job("dogs", store, final=final)) for final in (False, True))
    counts = ("confirmed", "disconfirmed", "split")
    assert [plain["totals"][name] for name in counts] == [3, 0, 3]
    assert [final["totals"][name] for name in counts] == [4, 1, 1]
    assert (final["reconciliation"]["reviewed"], final["reconciliation"]["split"]) == (5, 1)
    assert final["calibration"]["confirmed"] == 4
    for name in ("agreement", "reviewers", "thresholds"):
        assert final[name] == plain[name]
    run = bulkqa("report", "dogs", "--home", str(tmp_path / "home"), "--final", "--format", "json")
    assert run.json["totals"] == json.loads(json.dumps(final["totals"]))


def test_final_needs_a_job(tmp_path: Path) -> None:
    """A file does not say which jobs adjudicate it."""
    (tmp_path / "rows.csv").write_text("label,confidence\nDog,90\n")
    run = bulkqa("report", "rows.csv", "--final")
    assert (run.code, run.out) == (2, "")
    assert "--final" in run.err


def test_a_relabelling_says_nothing_of_the_model(store: Store) -> None:
    """Its own report has the table, but no calibration and no threshold; in a file its rows are set apart."""
    dogs(store, 6, bands=BANDS)
    settled = replace(settings_of("dogs", store.blobs), source="relabel:pets")
    store.blobs.write(job_key("dogs"), settled.to_json(CREATED))
    for page in range(2):
        answer(store, page, "ana")
    document = as_json(analyse_job("dogs", store))
    assert document["totals"]["confirmed"] == 6
    assert document["calibration"]["items"] == 0
    assert document["thresholds"]["thresholds"][0]["reviewed"] == 0
    mixed = analyse_rows([*steps.job_rows("dogs", store), row("x", confirmed=["j/ana"])], BANDS)
    assert (mixed.report.totals.all.total, mixed.fates[Fate.RELABELLED]) == (1, 6)


def test_bands_that_cannot_be_used(store: Store) -> None:
    """Bands are checked before anything is read."""
    dogs(store)
    with pytest.raises(InputError, match="have to rise"):
        analyse_job("dogs", store, (90, 80, 100))
    with pytest.raises(InputError, match="have to rise"):
        analyse_rows(iter([]), (90, 80, 100))


def test_the_table_is_followed_by_what_else_there_is(store: Store, tmp_path: Path) -> None:
    """A line each for agreement, calibration, confusions and reviewers, and none where there is nothing."""
    dogs(store, 6, reviewers=2)
    home = str(tmp_path / "home")
    lines = bulkqa("report", "dogs", "--home", home).out
    assert not re.search("Agreement|Calibration|Conflicts|Confusions|Reviewer|Correct,", lines)
    for worker, wrong in (("ana", images(store, 0)[:1]), ("ben", ())):
        answer(store, 0, worker, wrong, seconds=12)
    said = bulkqa("report", "dogs", "--home", home).out
    for words in (
        "Agreement: Two votes on an item agree in 66.7%",
        "Calibration: Confidences are off by",
        "Reviewer ana: 1 pages, median 12 s, 3 items judged, 1 rejected, agrees 66.7% with the others, "
        "rejects +33.3 points more",
    ):
        assert words in said
