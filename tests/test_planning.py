"""`bulkqa plan`, and the launch of a plan's sample."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from bulkqa import SCHEMA, steps
from bulkqa.errors import InputError
from bulkqa.flow.answers import META
from bulkqa.flow.plan import plan_labels
from bulkqa.jobs import page_items, settings_of
from bulkqa.steps.planning import count_corpus, count_job, seconds_per_picture
from tests.support import corpus_of, launch, local_store, opener, quiet
from tests.test_cli import bulkqa

BANDS = (80.0, 85.0, 90.0, 95.0, 100.0)
OF_BAND = {"Dog": [300, 200, 200, 800], "Owl": [10, 20, 20, 8]}
"""The corpus of these tests: items by band. Owl has one too few for 95 % with assurance 95 %."""


def rows() -> list[tuple[str, str, float]]:
    """The corpus' rows."""
    return [
        (f"{label}-{band}-{number}.jpg", label, band + 1)
        for label, numbers in OF_BAND.items()
        for band, count in zip((80, 85, 90, 95), numbers, strict=True)
        for number in range(count)
    ]


@pytest.fixture
def corpus(tmp_path: Path) -> str:
    """The corpus with a row below 80, a bad row and a duplicate."""
    more = [("low.jpg", "Dog", 79.0), ("bad.jpg", "Dog", 101.0), rows()[0]]
    (tmp_path / "corpus.csv").write_bytes(corpus_of([*rows(), *more]))
    return "corpus.csv"


@pytest.fixture
def plan(corpus: str) -> str:
    """The plan of the corpus, in a file."""
    assert bulkqa("plan", corpus, "--format", "json", "-o", "plan.json").code == 0
    return "plan.json"


def planned(*arguments: str) -> Any:
    """The plan as JSON."""
    run = bulkqa("plan", *arguments, "--format", "json")
    assert run.code == 0, run.err
    return run.json


def taken(document: Any) -> dict[str, list[int]]:
    """What a plan has reviewed, by label and band."""
    return {line["label"]: [band["taken"] for band in line["bands"]] for line in document["labels"]}


def test_plan_counts_as_a_launch_does_and_stores_nothing(corpus: str, tmp_path: Path) -> None:
    """Rejected rows, duplicates and low ones are left out; the division is that of the flow."""
    document = planned(corpus)
    found = {line["label"]: [band["population"] for band in line["bands"]] for line in document["labels"]}
    assert found == OF_BAND
    lines = plan_labels(OF_BAND, BANDS, 0.95, 0.95)
    assert taken(document) == {line.label: [one.taken for one in line.strata] for line in lines}
    assert document["below"] == 1
    assert document["too_few"] == ["Owl"]
    assert document["totals"]["population"] == 1558
    # 597 dogs on 24 pages and all 58 owls on 3, at 1.5 seconds.
    assert (document["totals"]["taken"], document["totals"]["pages"]) == (655, 27)
    assert document["totals"]["hours"] == pytest.approx(655 * 1.5 / 3600)
    assert document["costs"]["ground_truth"] == pytest.approx(27 * 0.08)
    assert [path.name for path in tmp_path.iterdir()] == [corpus]


def test_plan_keeps_to_what_it_is_told(corpus: str) -> None:
    """Bands, minimum confidence, reviewers, page size, reviews and seconds are those given."""
    document = planned(
        *(corpus, "--bands", "70,90,100", "--min-confidence", "75", "--reviewers", "3", "--batch-size", "10"),
        *("--reviews-per-label", "300", "--seconds-per-page", "20", "--target", "0.9", "--assurance", "0.9"),
    )
    assert document["bands"] == [70, 90, 100]
    assert document["below"] == 0
    dog, owl = document["labels"]
    assert (dog["population"], dog["taken"], owl["taken"]) == (1501, 300, 58)
    assert document["too_few"] == []  # 22 are enough
    assert document["totals"]["pages"] == 36
    assert document["totals"]["hours"] == pytest.approx(358 * 3 * 20 / 10 / 3600)


def test_plan_counts_known_answers_as_a_launch_mixes_them(corpus: str, tmp_path: Path) -> None:
    """With a check rate pages and known-answer items are those of the launch; a job's rate is the default."""
    document = planned(corpus, "--check-rate", "0.1")
    totals = document["totals"]
    assert (document["check_rate"], totals["taken"]) == (0.1, 655)
    assert totals["pages"] > 27
    assert totals["hours"] == pytest.approx((655 + totals["checks"]) * 1.5 / 3600)
    (tmp_path / "plan.json").write_text(json.dumps(document))
    known = [f"known-{label}-{number}.jpg,{label}\n" for label in OF_BAND for number in range(9)]
    (tmp_path / "known.csv").write_text("image,label\n" + "".join(known))
    launched = bulkqa(
        *("launch", corpus, "--job", "dogs", "--sample", "plan.json", "--format", "json"),
        *("--check-rate", "0.1", "--checks", "known.csv"),
    ).json
    assert launched["batches"] == totals["pages"]
    assert launched["checks"]["wrong"] + launched["checks"]["right"] == totals["checks"]
    assert planned("dogs")["check_rate"] == 0.1
    said = f"655 of 1558 items and {totals['checks']} known answers on {totals['pages']} pages"
    assert said in bulkqa("plan", corpus, "--check-rate", "0.1").out


def test_plan_as_a_table_reads_well(corpus: str) -> None:
    """The table has every band's numbers; below stand what it takes and which labels are never decided."""
    run = bulkqa("plan", corpus)
    assert run.code == 0
    assert "655" in run.out and "of 1558" in run.out and "of 800" in run.out
    assert "27 pages" in run.out and "2.16 dollars" in run.out and "assumed" in run.out
    assert "Too few images ever" in run.out and "Owl." in run.out
    assert bulkqa("plan", corpus, "-o", "plan.txt").out == ""
    assert "27 pages" in Path("plan.txt").read_text("utf-8")


def test_plan_as_csv(corpus: str) -> None:
    """A row for each label and band."""
    found = list(csv.DictReader(bulkqa("plan", corpus, "--format", "csv").out.splitlines()))
    assert [(row["label"], int(row["population"])) for row in found] == [
        (label, count) for label, numbers in OF_BAND.items() for count in numbers
    ]
    assert {row["decidable"] for row in found if row["label"] == "Owl"} == {"False"}


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["missing.csv"], "missing.csv"),
        (["nothing"], "nothing"),
        (["corpus.csv", "--target", "1"], "target 1"),
        (["corpus.csv", "--assurance", "0.2"], "assurance 0.2"),
        (["corpus.csv", "--bands", "90,80,100"], "bands"),
        (["corpus.csv", "--min-confidence", "99.5"], "no usable row"),
        (["corpus.csv", "--reviewers", "10"], "10 reviewers"),
        (["corpus.csv", "--batch-size", "0"], "batch size 0"),
        (["corpus.csv", "--check-rate", "0.6", "--format", "csv"], "check rate 0.6"),
        (["corpus.csv", "--reviews-per-label", "0"], "0 reviews"),
        (["corpus.csv", "--seconds-per-page", "0"], "0 seconds"),
        (["corpus.csv", "--seconds-per-page", "nan"], "nan seconds"),
    ],
)
def test_bad_input_is_named(corpus: str, arguments: list[str], named: str) -> None:
    """Bad input is exit 2, named on standard error, and nothing on standard output."""
    run = bulkqa("plan", *arguments)
    assert (run.code, run.out) == (2, "")
    assert named in run.err


# Launching it.


def test_launch_follows_the_plan(corpus: str, plan: str) -> None:
    """Exactly so many items of each label and band are launched; the job keeps what they stand for."""
    document = json.loads(Path(plan).read_text("utf-8"))
    run = bulkqa("launch", corpus, "--job", "dogs", "--sample", plan, "--format", "json")
    assert run.code == 0, run.err
    assert (run.json["items"], run.json["left_out"], run.json["below"]) == (655, 1558 - 655, 1)
    assert (
        "903 that are not in the plan's sample"
        in bulkqa("launch", corpus, "--job", "dogs", "--sample", plan).out
    )
    with local_store(Path(".bulkqa")) as store:
        found = {label: [0, 0, 0, 0] for label in OF_BAND}
        for row in steps.job_rows("dogs", store):
            found[row.key[1]][int(row.confidence - 80) // 5] += 1
        assert found == taken(document)
        assert len(list(store.table.rows())) == 655
        settings = settings_of("dogs", store.blobs)
    assert settings.sample == {
        line["label"]: [[*band["band"], band["population"], band["taken"]] for band in line["bands"]]
        for line in document["labels"]
    }


def test_a_sample_is_part_of_what_a_job_is(corpus: str, plan: str) -> None:
    """The same plan is the same job; without it, or with another, the name is refused."""
    assert bulkqa("launch", corpus, "--job", "dogs", "--sample", plan).code == 0
    again = bulkqa("launch", corpus, "--job", "dogs", "--sample", plan, "--format", "json")
    assert again.json["again"] is True
    assert (
        bulkqa("plan", corpus, "--reviews-per-label", "90", "--format", "json", "-o", "other.json").code == 0
    )
    for arguments in ([], ["--sample", "other.json"]):
        run = bulkqa("launch", corpus, "--job", "dogs", *arguments)
        assert (run.code, run.out) == (2, "")
        assert "another sample" in run.err
    assert bulkqa("launch", corpus, "--job", "all").code == 0
    whole = bulkqa("launch", corpus, "--job", "all", "--sample", plan)
    assert whole.code == 2 and "no sample" in whole.err


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--min-confidence", "85"], "minimum confidence 80"),
        (["--bands", "80,90,100"], "bands 80,85,90,95,100"),
        (["--sample", "corpus.csv"], "corpus.csv"),
        (["--sample", "missing.json"], "missing.json"),
    ],
)
def test_a_plan_for_something_else_is_refused(
    corpus: str, plan: str, arguments: list[str], named: str
) -> None:
    """Bands and minimum confidence have to be the plan's, and the plan a plan."""
    run = bulkqa("launch", corpus, "--job", "dogs", "--sample", plan, *arguments)
    assert (run.code, run.out) == (2, "")
    assert named in run.err
    assert not Path(".bulkqa/jobs").exists()


def test_a_plan_for_another_corpus_is_refused(corpus: str, plan: str) -> None:
    """One byte more, and the corpus is not the one that was planned."""
    with Path(corpus).open("ab") as file:
        file.write(b"\n")
    run = bulkqa("launch", corpus, "--job", "dogs", "--sample", plan)
    assert run.code == 2 and "another corpus" in run.err
    assert not Path(".bulkqa/jobs").exists()


def test_missing_pictures_make_the_sample_no_smaller_than_it_must_be(
    corpus: str, plan: str, tmp_path: Path
) -> None:
    """Where pictures are missing, as many of the others are taken; the populations are what is there."""
    (tmp_path / "pictures").mkdir()
    there = [image for image, label, _ in rows() if label == "Dog" or "95" in image]
    for image in there:
        (tmp_path / "pictures" / image).touch()
    run = bulkqa("launch", corpus, "--job", "dogs", "--sample", plan, "--images", "pictures")
    assert run.code == 0, run.err
    with local_store(Path(".bulkqa")) as store:
        sample = settings_of("dogs", store.blobs).sample
    assert sample is not None
    assert [population for _, _, population, _ in sample["Owl"]] == [0, 0, 0, 8]
    assert [number for *_, number in sample["Owl"]] == [0, 0, 0, 8]
    assert sum(number for *_, number in sample["Dog"]) == 597


def test_a_plan_edited_to_nothing_launches_nothing(corpus: str, plan: str) -> None:
    """A label of which nothing is taken is not in the job; without any there is no job."""
    document = json.loads(Path(plan).read_text("utf-8"))
    for line in document["labels"]:
        for band in line["bands"]:
            band["taken"] = 3 if line["label"] == "Owl" else 0
    Path(plan).write_text(json.dumps(document))
    run = bulkqa("launch", corpus, "--job", "owls", "--sample", plan, "--format", "json")
    assert run.json["labels"] == {"Owl": 12}
    Path(plan).write_text(json.dumps(document).replace('"taken": 3', '"taken": 0'))
    none = bulkqa("launch", corpus, "--job", "none", "--sample", plan)
    assert none.code == 2 and "1558 left out by the plan" in none.err


# From a job.


def answer(job: str, number: int, worker: str, wrong: int, seconds: float | None) -> None:
    """Answer a page of a job in the usual home; the first pictures are wrong."""
    with local_store(Path(".bulkqa")) as store:
        size = len(page_items(job, number, store.blobs))
        content: dict[str, object] = {
            f"item-{place:03d}": {"Confirmed": place >= wrong} for place in range(size)
        }
        if seconds is not None:
            content[META] = json.dumps({"v": 1, "seconds": seconds})
        steps.answer_page(job, number, worker, content, store, "2026-01-02T00:00:00Z")


def test_plan_of_a_job_uses_its_votes_and_times(tmp_path: Path) -> None:
    """Its settings are the defaults; votes say how right a band is, times how long a page takes."""
    data = [(f"{number:03d}.jpg", "Dog", 97.0) for number in range(200)]
    (tmp_path / "dogs.csv").write_bytes(corpus_of(data))
    launched = bulkqa("launch", "dogs.csv", "--job", "dogs", "--batch-size", "20", "--reviewers", "2")
    assert launched.code == 0, launched.err
    before = planned("dogs")
    assert (before["timed"], before["seconds_per_page"], before["batch_size"]) == (0, 30, 20)
    answer("dogs", 0, "ana", wrong=2, seconds=40)
    answer("dogs", 1, "ana", wrong=0, seconds=20)
    answer("dogs", 2, "ben", wrong=0, seconds=60)
    answer("dogs", 2, "ana", wrong=1, seconds=None)
    after = planned("dogs")
    # 57 of 60 confirmed (one is split), beside ten votes at 0.975.
    (line,) = after["labels"]
    assert line["bands"][3]["precision"] == pytest.approx((57 + 9.75) / 70)
    # The median of 2, 1 and 3 seconds a picture.
    assert (after["timed"], after["seconds_per_page"], after["reviewers"]) == (3, 40, 2)
    assert after["totals"]["hours"] == pytest.approx(200 * 2 * 2 / 3600)
    assert planned("dogs", "--seconds-per-page", "10")["seconds_per_page"] == 10
    assert planned("dogs", "--batch-size", "10")["seconds_per_page"] == 20
    assert "the median of 3 recorded times" in bulkqa("plan", "dogs").out


def test_plan_of_a_job_is_for_its_corpus(corpus: str) -> None:
    """Corpus and job are counted alike, and the plan of one launches the other."""
    assert bulkqa("launch", corpus, "--job", "dogs").code == 0
    of_job, of_corpus = planned("dogs"), planned(corpus)
    assert of_job["below"] == 0  # the job has nothing below
    assert {**of_job, "below": 1} == of_corpus
    assert bulkqa("plan", "dogs", "--format", "json", "-o", "plan.json").code == 0
    assert bulkqa("launch", corpus, "--job", "again", "--sample", "plan.json").code == 0
    # Of a sample the populations are known, in the bands it was drawn from.
    assert planned("again") == of_job
    for arguments in (["--bands", "80,100"], ["--min-confidence", "90"]):
        run = bulkqa("plan", "again", *arguments)
        assert run.code == 2 and "is a sample" in run.err


def test_a_job_knows_nothing_of_lower_items(corpus: str) -> None:
    """Items below the job's minimum confidence were not launched, so they cannot be counted."""
    assert bulkqa("launch", corpus, "--job", "dogs").code == 0
    assert bulkqa("plan", "dogs", "--min-confidence", "85").code == 0
    run = bulkqa("plan", "dogs", "--min-confidence", "70")
    assert run.code == 2 and "below 80" in run.err


def test_counting_takes_bands_from_the_lowest_up(tmp_path: Path) -> None:
    """What lies below the lowest band, and what below the minimum confidence, is below."""
    data = corpus_of([("a", "Dog", 50.0), ("b", "Dog", 79.0), ("c", "Dog", 80.0), ("d", "Cat", 60.0)])
    counted = count_corpus(opener(data), "c.csv", BANDS, 55, quiet)
    assert counted.populations == {"Dog": [1, 0, 0, 0]}
    assert (counted.below, counted.rejected) == (3, 0)
    with pytest.raises(InputError, match="no usable row: 3 below"):
        count_corpus(
            opener(corpus_of([("a", "Dog", 50.0), ("b", "Dog", 1.0), ("c", "Dog", 2.0)])),
            "c",
            BANDS,
            0,
            quiet,
        )
    with local_store(tmp_path / "home") as store:
        launch(store, data)
        found = count_job("dogs", BANDS, 0, store)
        assert (found.populations, found.below) == ({"Dog": [1, 0, 0, 0]}, 3)
        assert found.corpus_sha256 == counted.corpus_sha256
        assert seconds_per_picture("dogs", store) is None


def test_every_file_says_its_schema(plan: str) -> None:
    """The plan carries the schema version, and one of a newer is refused."""
    document = json.loads(Path(plan).read_text("utf-8"))
    assert document["schema"] == SCHEMA
    Path(plan).write_text(json.dumps({**document, "schema": SCHEMA + 1}))
    run = bulkqa("launch", "corpus.csv", "--job", "dogs", "--sample", plan)
    assert run.code == 2 and "newer" in run.err
