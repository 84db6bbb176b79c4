"""The end of a labeling job: every page under one state, and the report as the command prints it."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bulkqa import jobs, steps
from bulkqa.errors import BulkqaError, InputError
from bulkqa.flow.votes import Key, LabelRow
from bulkqa.local.blobs import LocalBlobs
from bulkqa.ports import Store
from bulkqa.steps.labeling_output import PROBLEMS, PageState
from bulkqa.steps.reporting import Conclusion
from tests.support import corpus_of, launch, local_store, quiet
from tests.test_cli import bulkqa

FIRST, SECOND = (jobs.labeling_job_name("dogs", 0, attempt) for attempt in (1, 2))

LABELLED, UNTOUCHED = "labelled", "untouched"
"""What a line says of its page, beside the reason of a failure."""

Lines = Mapping[int, str]


@dataclass
class Job:
    """The job `dogs` of six pages of two pictures, and the labeling jobs that a test lets be over."""

    store: Store
    home: Path
    given: list[dict[str, Any]] = field(default_factory=list)

    def output(self, name: str, lines: Lines, by: str | None = None, more: bytes = b"") -> None:
        """Write the output manifest of a labeling job with lines of some pages, as `by` made them."""
        text = []
        for page, said in lines.items():
            metadata = {"type": "groundtruth/custom", "job-name": f"labeling-job/{by or name.lower()}"}
            line = dict(self.given[page])
            if said == LABELLED:
                line |= {"bulkqa-review": {}, "bulkqa-review-metadata": metadata}
            elif said != UNTOUCHED:
                line |= {"bulkqa-review-metadata": metadata | {"failure-reason": said}}
            text.append(json.dumps(line).encode())
        key = jobs.output_manifest_key(name)
        self.store.blobs.write(key, b"\n".join([*text, more]))

    def answer(self, *pages: int) -> None:
        """Have somebody answer these pages."""
        for page in pages:
            size = len(jobs.page_items("dogs", page, self.store.blobs))
            content = {f"item-{place:03d}": {"Confirmed": page != 1} for place in range(size)}
            steps.answer_page("dogs", page, "ana", content, self.store, "2026-01-02T04:00:00Z")

    def end(self, name: str = FIRST, status: str = "Completed") -> Conclusion:
        """Have a labeling job end with this status; return what it comes to."""
        conclusion = steps.conclude(ended(name, status), self.store)
        assert conclusion is not None
        return conclusion

    def written(self, name: str) -> Any:
        """A file of the report."""
        return json.loads(self.store.blobs.read(f"jobs/dogs/report/{name}"))

    def states(self) -> dict[int, tuple[str, str | None]]:
        """Every page that was not reviewed, with its state and the reason."""
        listed = self.written("labeling.json")["not_reviewed"]
        states = {entry["page"]: (entry["state"], entry["reason"]) for entry in listed}
        assert len(states) == len(listed)
        return states


def ended(name: str = FIRST, status: str = "Completed") -> dict[str, Any]:
    """The event that says that a labeling job has ended."""
    arn = f"arn:aws:sagemaker:us-east-1:123456789012:labeling-job/{name}"
    return {"resources": [arn], "detail": {"LabelingJobStatus": status}}


def launched(home: Path, store: Store) -> Job:
    """The job, launched."""
    rows = [(f"{number}.jpg", f"L{number // 6}", 80 + number) for number in range(12)]
    assert (
        launch(store, corpus_of(rows), batch_size=2, minimum_confidence=80, bands=(80, 90, 100)).batches == 6
    )
    lines = store.blobs.read("jobs/dogs/manifest.json").splitlines()
    return Job(store, home, [json.loads(line) for line in lines])


@pytest.fixture
def job(tmp_path: Path) -> Iterator[Job]:
    """The job, in a store of its own."""
    with local_store(tmp_path / "home") as store:
        yield launched(tmp_path / "home", store)


def test_every_page_is_accounted_for(job: Job) -> None:
    """Reviewed, failed, expired or missing: each page once, with its number, label, state and reason."""
    job.answer(0, 1)
    lines = {0: LABELLED, 1: LABELLED, 2: "Task EXPIRED", 3: "ClientError: x", 4: UNTOUCHED}
    job.output(FIRST, lines)
    done = job.end()
    assert done.pages == {"reviewed": 2, "expired": 1, "failed": 1, "missing": 2}
    assert (done.job, done.labeling_job, done.status) == ("dogs", FIRST, "Completed")
    assert (done.reviewed_here, done.outcome, done.problems) == (2, "partly reviewed", ())
    assert job.written("labeling.json") == {
        "schema": 1,
        "job": "dogs",
        "labeling_jobs": [{"name": FIRST, "status": "Completed", "pages": 5, "reviewed": 2, "others": 0}],
        "pages": 6,
        "reviewed": 2,
        "failed": 1,
        "expired": 1,
        "missing": 2,
        "labelled_without_votes": [],
        "votes_without_label": [],
        "not_reviewed": [
            {"page": 2, "label": "L0", "state": "expired", "reason": "Task EXPIRED"},
            {"page": 3, "label": "L1", "state": "failed", "reason": "ClientError: x"},
            {"page": 4, "label": "L1", "state": "missing", "reason": None},
            {"page": 5, "label": "L1", "state": "missing", "reason": None},
        ],
    }


def as_printed(job: Job) -> Any:
    """Check that the files of the report are, byte by byte, what the command prints; return the document."""
    for form in ("json", "csv", "html"):
        run = bulkqa("report", "dogs", "--home", str(job.home), "--format", form, "-o", f"printed.{form}")
        assert run.code == 0
        assert job.store.blobs.read(f"jobs/dogs/report/report.{form}") == Path(f"printed.{form}").read_bytes()
    return job.written("report.json")


def test_the_report_is_the_commands(job: Job) -> None:
    """report.json, report.csv and report.html hold, byte by byte, what `bulkqa report` prints."""
    job.answer(0, 1, 4)
    job.output(FIRST, dict.fromkeys((0, 1, 4), LABELLED))
    tally = job.end().report.totals.all
    assert (tally.total, tally.confirmed, tally.disconfirmed, tally.unreviewed) == (12, 4, 2, 6)
    assert [band["band"] for band in as_printed(job)["totals"]["bands"]] == [[80, 90], [90, 100]]


def test_every_item_is_accounted_for(job: Job) -> None:
    """An item is reviewed, or its page failed, expired or is missing; so it stays when the output is gone."""
    job.answer(0, 1)
    job.output(FIRST, {0: LABELLED, 1: "expired", 2: "expired", 3: "ClientError: x", 4: LABELLED})
    job.end()
    fates = {
        "reviewed": 4,
        "split": 0,
        "cannot_judge": 0,
        "failed": 2,
        "expired": 2,
        "missing": 4,
        "waiting": 0,
    }
    expected = {"items": 12, **fates, "closed": 0, "relabelled": 0}
    assert as_printed(job)["reconciliation"] == expected
    # Ground Truth's output is deleted after a time.
    output = job.home / jobs.output_manifest_key(FIRST)
    output.unlink()
    assert as_printed(job)["reconciliation"] == expected


def test_an_end_without_output_leaves_nothing_waiting(job: Job) -> None:
    """Before a labeling job has ended items wait; after one that failed and left nothing they are missing."""
    before = json.loads(bulkqa("report", "dogs", "--home", str(job.home), "--format", "json").out)
    assert (before["reconciliation"]["waiting"], before["reconciliation"]["missing"]) == (12, 0)
    job.store.blobs.write(jobs.labeling_job_key(FIRST), b"{}")
    job.end(status="Failed")
    after = as_printed(job)["reconciliation"]
    assert (after["waiting"], after["missing"]) == (0, 12)


def test_what_became_of_pages_can_be_read(job: Job) -> None:
    """A file of the pages' states that is none is named."""
    job.store.blobs.write("jobs/dogs/report/labeling.json", b'{"not_reviewed": [{"page": 1}]}')
    run = bulkqa("report", "dogs", "--home", str(job.home))
    assert (run.code, run.out) == (2, "")
    assert "report/labeling.json" in run.err


def test_the_same_event_again_writes_the_same(job: Job) -> None:
    """A second delivery changes no byte, and comes to the same."""
    job.answer(0)
    job.output(FIRST, {0: LABELLED, 1: "expired"})
    first = job.end()
    files = {key: job.store.blobs.read(key) for key in job.store.blobs.keys("jobs/dogs/")}
    assert job.end() == first
    assert {key: job.store.blobs.read(key) for key in job.store.blobs.keys("jobs/dogs/")} == files


def test_a_page_that_any_attempt_labelled_is_reviewed(job: Job) -> None:
    """Whatever the other attempts say of it, and in whatever order; of failures the last one counts."""
    job.output(FIRST, {0: "expired", 1: LABELLED, 2: "expired", 3: "no", 4: "no"})
    job.output(SECOND, {0: LABELLED, 1: "expired", 2: "no", 3: "expired", 4: UNTOUCHED})
    done = job.end(SECOND)
    assert done.pages == {"reviewed": 2, "expired": 1, "failed": 2, "missing": 1}
    assert job.states() == {
        2: ("failed", "no"),
        3: ("expired", "expired"),
        4: ("failed", "no"),
        5: ("missing", None),
    }
    assert done.reviewed_here == 1


def test_attempts_are_in_the_order_of_their_numbers(job: Job) -> None:
    """The tenth attempt comes after the ninth, and has the last word on why a page failed."""
    names = [jobs.labeling_job_name("dogs", 0, attempt) for attempt in (9, 10)]
    for name in names:
        job.output(name, {0: f"no {name}"})
    job.end(names[0])
    assert job.states()[0] == ("failed", f"no {names[1]}")
    assert [one["name"] for one in job.written("labeling.json")["labeling_jobs"]] == names


def test_parts_of_a_manifest_are_one_job(job: Job) -> None:
    """A job of several parts has a labeling job for each: together they account for its pages."""
    second = jobs.labeling_job_name("dogs", 1, 1)
    job.output(FIRST, {0: LABELLED, 1: LABELLED, 2: LABELLED})
    assert job.end(FIRST).pages[PageState.MISSING] == 3
    job.output(second, {3: LABELLED, 4: LABELLED, 5: LABELLED})
    done = job.end(second)
    assert (done.outcome, done.reviewed_here, done.pages[PageState.REVIEWED]) == ("all reviewed", 3, 6)
    assert [one.get("status") for one in job.written("labeling.json")["labeling_jobs"]] == [None, "Completed"]


@pytest.mark.parametrize("name", ["dogs", "Dogs", "DOGS--000-1"])
def test_a_labeling_job_is_found_whatever_its_letters(job: Job, name: str) -> None:
    """One that was made by hand is named as the job; the event may have its name in other letters."""
    job.output(name, {0: LABELLED})
    done = job.end(name.lower())
    assert (done.reviewed_here, done.labeling_job) == (1, name.lower())
    assert job.end(name.upper()) == done
    assert job.written("labeling.json")["labeling_jobs"][0]["name"] == name


def test_only_labeling_jobs_of_the_job_count(job: Job) -> None:
    """Output of other jobs, however alike their names, says nothing of this one."""
    for name in ("dogs-2--000-1", "dog--000-1", "dogs-2", "cats"):
        job.output(name, {0: LABELLED})
    job.output(FIRST, {1: LABELLED})
    assert job.end().pages[PageState.REVIEWED] == 1
    assert [one["name"] for one in job.written("labeling.json")["labeling_jobs"]] == [FIRST]


def test_a_label_of_somebody_elses_labeling_job_is_none_of_ours(job: Job) -> None:
    """In a manifest that was chained, what another labeling job made of a page is no review of ours."""
    job.output(FIRST, {0: LABELLED, 1: "expired"}, by="old-round")
    done = job.end()
    assert (done.pages[PageState.REVIEWED], done.pages[PageState.MISSING], done.reviewed_here) == (0, 6, 0)


def test_a_label_without_a_name_is_of_the_labeling_job_it_lies_with(job: Job) -> None:
    """Metadata that do not say which labeling job made the label are taken for its own."""
    line = job.given[0] | {"bulkqa-review": {}, "bulkqa-review-metadata": {"type": "groundtruth/custom"}}
    job.output(FIRST, {1: UNTOUCHED}, more=json.dumps(line).encode())
    done = job.end()
    assert (done.pages[PageState.REVIEWED], done.reviewed_here) == (1, 1)


def test_a_label_of_an_earlier_attempt_is_not_of_this_one(job: Job) -> None:
    """A chained manifest of ours brings earlier labels along: pages reviewed, though not by this attempt."""
    job.output(SECOND, {0: LABELLED}, by=FIRST)
    done = job.end(SECOND)
    assert (done.pages[PageState.REVIEWED], done.reviewed_here, done.outcome) == (1, 0, "nothing reviewed")


@pytest.mark.parametrize(
    "name", ["cats--000-1", "My_Labels", "dogs-2", "-dogs", "../dogs", "a" * 63, "dogs_--1", "--000-1"]
)
def test_a_labeling_job_of_somebody_else_is_passed_over(job: Job, name: str) -> None:
    """One whose name leads to no job here is none of ours: nothing is written, nothing raised."""
    before = list(job.store.blobs.keys("jobs/"))
    assert steps.conclude(ended(name), job.store) is None
    assert list(job.store.blobs.keys("jobs/")) == before


@pytest.mark.parametrize("status", ["Completed", "Failed", "Stopped"])
@pytest.mark.parametrize("record", [None, {"foreign": True}])
def test_a_labeling_job_of_another_stack_is_passed_over(
    job: Job, status: str, record: dict[str, bool] | None
) -> None:
    """A name like ours is not enough: with neither output here nor a record of ours, it is another's."""
    if record is not None:
        job.store.blobs.write(jobs.labeling_job_key(FIRST), json.dumps(record).encode())
    job.output(SECOND, {0: LABELLED})
    assert steps.conclude(ended(FIRST, status), job.store) is None


@pytest.mark.parametrize("status", ["InProgress", "Stopping", "Initializing", ""])
def test_what_is_no_end_is_passed_over(job: Job, status: str) -> None:
    """A labeling job that goes on has nothing to conclude."""
    job.output(FIRST, {0: LABELLED})
    assert steps.conclude(ended(FIRST, status), job.store) is None


def started(job: Job) -> None:
    """Note that a labeling job was started from here."""
    job.store.blobs.write(jobs.labeling_job_key(FIRST), b'{"foreign": false}')


@pytest.mark.parametrize("first", ["record", "folder"])
def test_output_that_lags_is_waited_for(job: Job, first: str) -> None:
    """A completed labeling job without an output manifest is an error, so that the event comes again."""
    if first == "record":
        started(job)
    else:
        job.store.blobs.write(f"output/{FIRST}/annotations/x.json", b"{}")
    job.output(SECOND, {0: LABELLED})
    with pytest.raises(BulkqaError, match=rf"{FIRST} is completed, but .*{FIRST}/manifests.* not exist yet"):
        job.end()
    assert list(job.store.blobs.keys("jobs/dogs/report/")) == []
    job.output(FIRST, {0: LABELLED})
    assert job.end().pages[PageState.REVIEWED] == 1


@pytest.mark.parametrize("status", ["Failed", "Stopped"])
def test_a_labeling_job_may_end_without_output(job: Job, status: str) -> None:
    """Failed before it began, or stopped: its pages are missing, and the report is written."""
    started(job)
    done = job.end(status=status)
    assert (done.pages[PageState.MISSING], done.outcome, done.status) == (6, "nothing reviewed", status)
    assert job.written("report.json")["totals"]["unreviewed"] == 12
    (listed,) = job.written("labeling.json")["labeling_jobs"]
    assert listed == {"name": FIRST, "status": status, "pages": 0, "reviewed": 0, "others": 0}


def test_completed_and_nothing_reviewed_is_said(job: Job) -> None:
    """A labeling job that calls itself completed without one label is not taken for a success."""
    job.output(FIRST, dict.fromkeys(range(6), "ClientError"))
    assert job.end().outcome == "nothing reviewed"


def test_labels_and_votes_are_held_against_each_other(job: Job) -> None:
    """Pages with a label and no vote, and with votes and no label, are named."""
    job.answer(1, 2, 5)
    job.output(FIRST, {0: LABELLED, 1: LABELLED, 2: "expired", 3: LABELLED, 4: UNTOUCHED, 5: UNTOUCHED})
    done = job.end()
    assert done.labelled_without_votes == (0, 3)
    assert done.votes_without_label == (2, 5)
    assert job.written("labeling.json")["labelled_without_votes"] == [0, 3]
    assert job.written("labeling.json")["votes_without_label"] == [2, 5]


def test_votes_of_another_job_are_none_of_this(job: Job) -> None:
    """The same pictures reviewed in another job do not stand for votes in this one."""
    rows = [(f"{number}.jpg", f"L{number // 6}", 80 + number) for number in range(12)]
    launch(job.store, corpus_of(rows), job="dogs-2", batch_size=12)
    content = {f"item-{place:03d}": {"Confirmed": True} for place in range(6)}
    for page in (0, 1):
        steps.answer_page("dogs-2", page, "ana", content, job.store, "2026-01-02T04:00:00Z")
    job.output(FIRST, {0: LABELLED})
    assert (job.end().labelled_without_votes, job.end().votes_without_label) == ((0,), ())


def test_a_page_of_known_answers_alone_has_no_votes_to_miss(job: Job) -> None:
    """Known-answer items never get votes: a page of nothing else is not called labelled without votes."""
    key = jobs.batch_key("dogs", 0)
    entries = [entry | {"check": "right"} for entry in json.loads(job.store.blobs.read(key))]
    job.store.blobs.write(key, json.dumps(entries).encode())
    job.output(FIRST, {0: LABELLED})
    assert job.end().labelled_without_votes == ()


def test_a_page_whose_batch_is_gone_still_counts(job: Job) -> None:
    """What an output manifest says of a page is kept where its file is not."""
    for page in (0, 1, 2):
        (job.home / jobs.batch_key("dogs", page)).unlink()
    job.output(FIRST, {2: "no", 0: LABELLED, 1: "expired", 3: LABELLED})
    done = job.end()
    assert done.pages == {"reviewed": 2, "failed": 1, "expired": 1, "missing": 2}
    entries = job.written("labeling.json")["not_reviewed"]
    assert [entry["page"] for entry in entries] == [4, 5, 1, 2]
    assert "label" not in entries[2]


def test_lines_that_are_no_page_of_the_job_are_told(job: Job) -> None:
    """Lines of other jobs and places, or that cannot be read, are counted and named, and change nothing."""
    other = '{"source-ref": "local://jobs/cats/custom-labeling-inputs/00000000.json"}'
    away = '{"source-ref": "s3://elsewhere/00000000.json"}'
    job.output(FIRST, {0: LABELLED}, more="\n".join([other, away, "{", '{"source": "[]"}', "7"]).encode())
    done = job.end()
    assert sum(done.pages.values()) == 6
    assert job.written("labeling.json")["labeling_jobs"][0].items() >= {"pages": 1, "others": 5}.items()
    assert "cats" in done.problems[0]
    assert "elsewhere" in done.problems[1]
    assert len(done.problems) == 5
    assert f"{FIRST}/manifests/output/output.manifest, line 4" in done.problems[2]
    job.output(FIRST, {0: LABELLED}, more=b"{\n" * 1000)
    assert len(job.end().problems) == PROBLEMS
    assert job.written("labeling.json")["labeling_jobs"][0]["others"] == 1000


def test_any_reason_can_be_written(job: Job) -> None:
    """A reason with line breaks, quotes, other scripts or half a character does not break the file."""
    reasons = ['a "b"\n', "abgelaufen: 犬", "\ud800 expired"]
    job.output(FIRST, dict(enumerate(reasons)))
    job.end()
    assert job.states()[0] == ("failed", reasons[0])
    assert job.states()[1] == ("failed", reasons[1])
    assert job.states()[2] == ("expired", "? expired")


@pytest.mark.parametrize("broken", ["jobs/dogs/job.json", "jobs/dogs/custom-labeling-inputs/00000003.json"])
def test_a_spoilt_file_of_the_job_is_an_error(job: Job, broken: str) -> None:
    """A job whose own files cannot be read is not passed over, and not half reported."""
    job.output(FIRST, {0: LABELLED})
    job.store.blobs.write(broken, b"{")
    with pytest.raises(InputError, match=broken):
        job.end()
    assert list(job.store.blobs.keys("jobs/dogs/report/")) == []


@pytest.mark.parametrize("record", [b"{", b"[]", b"null"])
def test_a_spoilt_record_is_an_error(job: Job, record: bytes) -> None:
    """Whether a labeling job is ours cannot be told from a record that cannot be read."""
    job.store.blobs.write(jobs.labeling_job_key(FIRST), record)
    with pytest.raises(InputError, match=FIRST):
        job.end()


said = st.sampled_from([LABELLED, UNTOUCHED, "The task has expired", "Expired", "ClientError", ""])
outputs = st.lists(st.dictionaries(st.integers(0, 5), said), min_size=3, max_size=3)


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Job]:
    """The job with votes on three pages, for many examples."""
    home = tmp_path_factory.mktemp("answered")
    with local_store(home) as store:
        job = launched(home, store)
        job.answer(0, 1, 2)
        yield job


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(outputs)
def test_every_page_has_exactly_one_state(answered: Job, outputs: list[Lines]) -> None:
    """Whatever three attempts say, the states add up to the pages, and each page has the right one."""
    names = [jobs.labeling_job_name("dogs", 0, attempt) for attempt in (1, 2, 3)]
    for name, lines in zip(names, outputs, strict=True):
        answered.output(name, lines)
    done = answered.end(names[2])
    expected: dict[int, str] = dict.fromkeys(range(6), "missing")
    for page in expected:
        heard = [lines[page] for lines in outputs if lines.get(page, UNTOUCHED) != UNTOUCHED]
        if LABELLED in heard:
            expected[page] = "reviewed"
        elif heard:
            expected[page] = "expired" if "expire" in heard[-1].lower() else "failed"
    states = list(expected.values())
    assert done.pages == {
        state: states.count(state) for state in ("reviewed", "failed", "expired", "missing")
    }
    assert sum(done.pages.values()) == answered.written("labeling.json")["pages"] == 6
    listed = {page: state for page, (state, _) in answered.states().items()}
    assert listed == {page: state for page, state in expected.items() if state != "reviewed"}
    labelled = {page for page, state in expected.items() if state == "reviewed"}
    assert set(done.labelled_without_votes) == labelled - {0, 1, 2}
    assert set(done.votes_without_label) == {0, 1, 2} - labelled


class _Noted(LocalBlobs):
    """Blobs that note what is read by itself."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.alone: list[str] = []

    def read(self, key: str) -> bytes:
        """See `Blobs.read`."""
        self.alone.append(key)
        return super().read(key)

    def read_all(self, keys: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """See `Blobs.read_all`."""
        unseen = super().read
        return ((key, unseen(key)) for key in keys)


def test_pages_and_answers_are_read_many_at_once(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """No report, progress, replay or check goes to the stores for one page after the other."""
    job.answer(0, 1, 2)
    job.output(FIRST, {0: LABELLED})
    blobs, asked = _Noted(job.home), []
    get = job.store.table.get

    def noted(keys: Sequence[Key]) -> dict[Key, LabelRow]:
        asked.append(len(keys))
        return get(keys)

    monkeypatch.setattr(job.store.table, "get", noted)
    store = Store(blobs, job.store.table, None)
    assert steps.conclude(ended(), store) is not None
    assert [progress.done for progress in steps.progress("dogs", store).values()] == [3, 0]
    assert list(steps.check_votes("dogs", store, quiet)) == []
    assert not [key for key in blobs.alone if key.startswith(("jobs/dogs/custom", "jobs/dogs/answers"))]
    blobs.alone.clear()
    assert steps.replay("dogs", store, quiet).recorded.already == 6
    assert asked == [12] * 4
    # Only the pages that were answered are read again, each beside its answer.
    assert blobs.alone == [jobs.job_key("dogs"), *(jobs.batch_key("dogs", page) for page in (0, 1, 2))]
