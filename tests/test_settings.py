from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from bulkqa import SCHEMA
from bulkqa.errors import InputError
from bulkqa.settings import JobSettings, StopEarly, StoredGate, check_job_name, read_job

CREATED = "2026-01-01T00:00:00Z"
JOB = JobSettings(
    job="dogs",
    corpus_name="dogs.csv",
    corpus_sha256="ab" * 32,
    items=3,
    labels=("Dog", "犬"),
    seed=7,
    batch_size=10,
    minimum_confidence=82.5,
    bands=(82.5, 90, 100),
    reviewers=3,
    check_rate=0.1,
    image_root="/pictures",
    guideline="guideline.md",
    gate=StoredGate(key="jobs/dogs/gate.txt", sha256="ef" * 32),
    host="ground-truth",
)


def document(**changes: Any) -> bytes:
    """Return a `job.json` with some parts changed; `...` leaves one out."""
    fields = json.loads(JOB.to_json(CREATED)) | changes
    return json.dumps({name: value for name, value in fields.items() if value is not ...}).encode()


@pytest.mark.parametrize(
    "name", ["a", "7", "dogs", "dogs-2", "2-dogs", "a-b-c-1", "a" * 40, "a-" * 19 + "aa"]
)
def test_job_names(name: str) -> None:
    """A job is named with a-z, 0-9 and single hyphens between them, at most 40 characters."""
    assert check_job_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "-",
        "-dogs",
        "dogs-",
        "do--gs",
        "Dogs",
        "do gs",
        "dogs_2",
        "dogs.2",
        "dogs/2",
        "../dogs",
        "dogs\n",
        "dögs",
        "dogs٢",
        "a" * 41,
        "a-" * 1_000_000,
    ],
    ids=lambda name: name[:9],
)
def test_names_that_no_job_has(name: str) -> None:
    """Any other name is refused, whole."""
    with pytest.raises(
        InputError, match="use a-z, 0-9 and single hyphens between them, at most 40 characters"
    ):
        check_job_name(name)


def test_defaults() -> None:
    """A job has the published batch size, minimum confidence and bands unless told otherwise."""
    job = JobSettings(job="dogs", corpus_name="dogs.csv")
    assert (job.batch_size, job.minimum_confidence, job.bands) == (25, 80, (80, 85, 90, 95, 100))
    assert (job.reviewers, job.seed, job.check_rate, job.host) == (1, 0, 0, "portal")


@pytest.mark.parametrize("job", [JOB, JobSettings(job="cats", corpus_name="c.jsonl")])
def test_settings_read_back(job: JobSettings) -> None:
    """Settings that were written read back the same, with the time of creation."""
    assert read_job(job.to_json(CREATED), "job.json") == (job, CREATED)


def test_job_file_carries_its_schema() -> None:
    """`job.json` carries the schema version and every setting under its name."""
    found = json.loads(JOB.to_json(CREATED))
    assert (found["schema"], found["created_at"]) == (SCHEMA, CREATED)
    fields = {field.name for field in dataclasses.fields(JobSettings)}
    assert found.keys() == {"schema", "created_at"} | fields - {"stop_early"}
    assert (found["labels"], found["bands"]) == (["Dog", "犬"], [82.5, 90, 100])


def test_labels_that_close_early_stand_in_the_file() -> None:
    """When labels close is in the file where they do, and read back; then an item needs all its votes."""
    job = dataclasses.replace(JOB, stop_early=StopEarly(reviews=600, target=0.9))
    found = json.loads(job.to_json(CREATED))
    assert found["stop_early"] == {"reviews": 600, "target": 0.9, "assurance": 0.95}
    assert read_job(job.to_json(CREATED), "job.json") == (job, CREATED)
    assert (job.votes_that_count, JOB.votes_that_count) == (3, 0)


@pytest.mark.parametrize(
    ("stop_early", "said"),
    [
        (StopEarly(reviews=0), "stop early at 0 reviews"),
        (StopEarly(reviews=9, target=95), "target 95 is not between 0 and 1"),
        (StopEarly(reviews=9, assurance=1), "assurance 1 is not between"),
    ],
)
def test_labels_that_cannot_close(stop_early: StopEarly, said: str) -> None:
    """No review, and a target or assurance that is no share, are refused."""
    with pytest.raises(InputError, match=said):
        dataclasses.replace(JOB, stop_early=stop_early).check()


def test_a_gate_stands_in_the_file() -> None:
    """Where the gate lies, and its digest, is in the file where there is one; else null, as ever."""
    assert json.loads(JOB.to_json(CREATED))["gate"] == {"key": "jobs/dogs/gate.txt", "sha256": "ef" * 32}
    without = dataclasses.replace(JOB, gate=None)
    assert json.loads(without.to_json(CREATED))["gate"] is None
    assert without.difference(JOB) == "no gate"


@pytest.mark.parametrize("gate", ["gate.json", {"key": "jobs/dogs/gate.txt"}, {"name": "x"}])
def test_a_file_with_a_gate_of_another_kind_is_refused(gate: object) -> None:
    """What names a gate otherwise is no job's settings."""
    with pytest.raises(InputError, match="not a job's settings"):
        read_job(document(gate=gate), "job.json")


def test_a_file_whose_labels_close_somehow_else_is_refused() -> None:
    """What says otherwise when labels close is no job's settings."""
    with pytest.raises(InputError, match="not a job's settings"):
        read_job(document(stop_early={"when": "bored"}), "job.json")


def test_settings_of_an_older_release() -> None:
    """A setting that a file does not have is at its default, and one that we do not know is ignored."""
    found, _ = read_job(document(gate=..., host=..., later="x"), "job.json")
    assert found == dataclasses.replace(JOB, gate=None, host="portal")


def test_newer_schema() -> None:
    """Settings of a newer schema are refused, naming file and both versions."""
    with pytest.raises(InputError) as caught:
        read_job(document(schema=SCHEMA + 1), "jobs/dogs/job.json")
    assert str(caught.value) == (
        f"jobs/dogs/job.json: written by a newer bulkqa (schema {SCHEMA + 1}, this one reads {SCHEMA})"
    )


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"\xff",
        b"null",
        b"[]",
        b"7",
        b"[" * 100_000,
        document(schema=...),
        document(schema="1"),
        document(job=...),
        document(labels=...),
        document(bands=None),
        document(created_at=...),
    ],
    ids=lambda data: data[:20].decode("latin-1"),
)
def test_file_that_holds_no_settings(data: bytes) -> None:
    """A file that holds no settings is refused by name."""
    with pytest.raises(InputError, match=r"^job\.json: not a job's settings"):
        read_job(data, "job.json")


def test_same_job() -> None:
    """Equal settings are the same job, under whatever name the corpus lies."""
    assert JOB.difference(JOB) is None
    assert JOB.difference(dataclasses.replace(JOB, corpus_name="copy.csv", labels=())) is None


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"job": "cats"}, "job 'dogs', not 'cats'"),
        ({"corpus_sha256": "cd", "corpus_name": "cats.csv"}, "another corpus (dogs.csv, not cats.csv)"),
        ({"items": 2}, "3 usable items, not 2: are all pictures where they were?"),
        ({"seed": 8}, "seed 7, not 8"),
        ({"batch_size": 25}, "batch size 10, not 25"),
        ({"minimum_confidence": 80}, "minimum confidence 82.5, not 80"),
        ({"bands": (80, 100)}, "bands (82.5, 90, 100), not (80, 100)"),
        ({"reviewers": 1}, "reviewers 3, not 1"),
        ({"check_rate": 0}, "check rate 0.1, not 0"),
        ({"image_root": None}, "image root '/pictures', not None"),
        ({"guideline": None}, "guideline 'guideline.md', not None"),
        ({"gate": None}, "a gate"),
        ({"gate": StoredGate(key="jobs/dogs/gate.txt", sha256="cd" * 32)}, "another gate"),
        ({"host": "portal"}, "host 'ground-truth', not 'portal'"),
        (
            {"stop_early": StopEarly(reviews=600)},
            "every page to be reviewed, not labels to close early "
            "(at 600 reviews, target 0.95, assurance 0.95)",
        ),
    ],
)
def test_difference(change: dict[str, Any], sentence: str) -> None:
    """Another setting makes another job: the difference names it and both values."""
    assert JOB.difference(dataclasses.replace(JOB, **change)) == sentence


def test_first_difference_is_named() -> None:
    """Of several differences the first is named: the corpus before the items that follow from it."""
    other = dataclasses.replace(JOB, corpus_sha256="cd", items=2, seed=8)
    assert JOB.difference(other) == "another corpus (dogs.csv, not dogs.csv)"
    assert JOB.difference(dataclasses.replace(JOB, seed=8, batch_size=25)) == "seed 7, not 8"
