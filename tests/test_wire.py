from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkqa.errors import InputError
from bulkqa.wire import (
    Annotation,
    AnsweredPage,
    JobEnd,
    OutputLine,
    answer_content,
    manifest_line,
    read_output_manifest,
    read_payload,
    read_state_event,
    write_payload,
)

URI = "s3://bucket/jobs/dogs/custom-labeling-inputs/00000000.json"
CONTENT = '{"item-000":{"Confirmed":true}}'


def entry(**changes: object) -> dict[str, object]:
    """Return an object of a payload as Ground Truth writes it, with some parts changed."""
    annotation = {"workerId": "private.eu.1", "annotationData": {"content": CONTENT}}
    return {"datasetObjectId": "0", "dataObject": {"s3Uri": URI}, "annotations": [annotation]} | changes


def annotated(**changes: object) -> dict[str, object]:
    """Return an object of a payload with some parts of its annotation changed."""
    return entry(annotations=[{"workerId": "w", "annotationData": {"content": CONTENT}} | changes])


def test_manifest_line() -> None:
    """A line of the manifest is one object with the batch's address, its label and its name."""
    line = manifest_line(URI, 'Dog, "big"\n犬', "00000000")
    assert line.endswith(b"}\n")
    assert line.count(b"\n") == 1
    assert json.loads(line) == {"source-ref": URI, "label": 'Dog, "big"\n犬', "batch": "00000000"}
    assert "犬".encode() in line


def test_answer_content_is_sorted() -> None:
    """An answer is kept with its names sorted, outside and inside, so that no order says anything."""
    answer = {
        "item-001": {"Confirmed": True, "CannotJudge": False},
        "Dog-10": {},
        "item-000": {"Confirmed": False},
    }
    kept = answer_content(answer)
    assert kept == (
        '{"Dog-10":{},"item-000":{"Confirmed":false},"item-001":{"CannotJudge":false,"Confirmed":true}}'
    )
    assert answer_content(dict(reversed(answer.items()))) == kept


def test_payload_has_the_form_of_ground_truth() -> None:
    """A payload is a list of objects with data object and annotations, the answer as text inside."""
    page = AnsweredPage("00000000", URI, (Annotation("ana", CONTENT, 2, "2026-01-01T00:00:00Z"),))
    assert json.loads(write_payload(page)) == [
        {
            "datasetObjectId": "00000000",
            "dataObject": {"s3Uri": URI},
            "annotations": [
                {
                    "workerId": "ana",
                    "annotationData": {"content": CONTENT},
                    "revision": 2,
                    "submittedAt": "2026-01-01T00:00:00Z",
                }
            ],
        }
    ]


answers = st.builds(Annotation, st.text(), st.text(), st.integers(0, 9), st.none() | st.text(), st.none())


pages = st.builds(
    AnsweredPage, st.text(), st.text(), st.lists(answers, max_size=3).map(tuple), st.none(), st.just(())
)


@given(pages)
def test_payload_reads_back(page: AnsweredPage) -> None:
    """A payload that was written reads back as the same page."""
    assert read_payload(write_payload(page), "x.json") == [page]


def test_any_answer_can_be_kept() -> None:
    """An answer with half a character in a name, which JSON can spell, is written and read back."""
    content = answer_content(json.loads('{"item-000": {"Confirmed": true}, "\\ud800": "\\udfff"}'))
    page = AnsweredPage("00000000", URI, (Annotation("ana", content),))
    (found,) = read_payload(write_payload(page), "x.json")
    assert json.loads(found.annotations[0].content or "")["item-000"] == {"Confirmed": True}


def test_payload_of_ground_truth() -> None:
    """A payload of Ground Truth, without our revision and time, reads as first answers."""
    data = json.dumps([entry(), entry(datasetObjectId=7, annotations=[])]).encode()
    assert read_payload(data, "x.json") == [
        AnsweredPage("0", URI, (Annotation("private.eu.1", CONTENT),)),
        AnsweredPage("7", URI),
    ]


@pytest.mark.parametrize(
    "document",
    [
        None,
        7,
        "text",
        [7],
        ["text"],
        [[]],
        [{}],
        {},
        entry(),
        [{"dataObject": {"s3Uri": URI}, "annotations": []}],
        [entry(dataObject=None)],
        [entry(dataObject={"source": "x"})],
        [entry(dataObject=URI)],
        [entry(annotations=None)],
        [entry(annotations=["x"])],
        [annotated(annotationData=None)],
        [annotated(annotationData={})],
        [annotated(annotationData=CONTENT)],
        [annotated(revision="first")],
        [annotated(revision=None)],
        [annotated(revision=float("inf"))],
        [entry(annotations=[{"annotationData": {"content": CONTENT}}])],
    ],
)
def test_malformed_payload(document: object) -> None:
    """A payload that is not of the form is refused by the file's name."""
    with pytest.raises(InputError, match=r"^answers/7\.json: not a payload of answers"):
        read_payload(json.dumps(document).encode(), "answers/7.json")


@pytest.mark.parametrize(
    "data", [b"", b"[{", b"\xff", b"[" * 100_000], ids=["empty", "broken", "bytes", "deep"]
)
def test_payload_that_is_no_json(data: bytes) -> None:
    """A payload that is no JSON is refused by the file's name."""
    with pytest.raises(InputError, match=r"^answers/7\.json: not a payload of answers"):
        read_payload(data, "answers/7.json")


LABEL = "bulkqa-review"
METADATA = {
    "type": "groundtruth/custom",
    "job-name": "labeling-job/dogs--000-1",
    "human-annotated": "yes",
    "creation-date": "2026-01-31T10:35:45+0000",
}
OTHERWISE = {
    "type": "groundTruth/custom",
    "job_name": "labeling-job/dogs--000-1",
    "human-annotated": "yes",
    "creation_date": "2026-01-31T10:35:45+0000",
}
DONE = OutputLine(URI, True, None, "dogs--000-1")


def line(metadata: object = None, **more: object) -> dict[str, object]:
    """A line of an output manifest: its input, and the metadata of its label, if there are any."""
    given: dict[str, object] = json.loads(manifest_line(URI, "Dog", "00000000"))
    return given | ({} if metadata is None else {f"{LABEL}-metadata": metadata}) | more


def read(*lines: Mapping[str, object], label_attribute: str | None = LABEL) -> list[OutputLine]:
    """The lines as they are read from an output manifest."""
    data = b"".join(json.dumps(one).encode() + b"\n" for one in lines)
    return list(read_output_manifest(data, "output.manifest", label_attribute))


@pytest.mark.parametrize("known", [LABEL, None])
@pytest.mark.parametrize("metadata", [METADATA, OTHERWISE], ids=["job-name", "job_name"])
@pytest.mark.parametrize("label", [{"workers": 3}, {}, None], ids=["some", "empty", "null"])
def test_a_labelled_line(metadata: dict[str, str], label: object, known: str | None) -> None:
    """A label with metadata, in either spelling and however little it says, is one."""
    assert read(line(metadata, **{LABEL: label}), label_attribute=known) == [DONE]


@pytest.mark.parametrize("known", [LABEL, None])
@pytest.mark.parametrize("metadata", [METADATA, OTHERWISE], ids=["job-name", "job_name"])
@pytest.mark.parametrize("labels", [{}, {LABEL: {"workers": 3}}], ids=["without", "with"])
@pytest.mark.parametrize("key", ["failure-reason", "failure_reason"])
def test_a_failed_line(metadata: dict[str, str], labels: dict[str, Any], key: str, known: str | None) -> None:
    """A failure's reason says that there is no label, even where there is one."""
    failed = line(metadata | {key: "The task has expired"}, **labels)
    expected = [OutputLine(URI, False, "The task has expired", "dogs--000-1")]
    assert read(failed, label_attribute=known) == expected


@pytest.mark.parametrize("known", [LABEL, None])
def test_an_unlabelled_line(known: str | None) -> None:
    """A line that equals its input, or has half of a label, is neither labelled nor failed."""
    found = read(line(), line(**{LABEL: {"workers": 3}}), line(METADATA), label_attribute=known)
    assert found == [OutputLine(URI), OutputLine(URI), OutputLine(URI, False, None, "dogs--000-1")]


def test_a_failure_without_words_is_one() -> None:
    """A reason that is empty, or no text, is still that of a failure."""
    failed = [line(METADATA | {"failure-reason": reason}) for reason in ("", 7, ["x"])]
    assert [one.failure for one in read(*failed)] == ["no reason given", "7", "['x']"]


def test_lines_end_in_any_way() -> None:
    """Lines may end as on Windows, be empty, and the last one need not end; none is lost or invented."""
    text = json.dumps(line(METADATA, **{LABEL: "a b"}), ensure_ascii=False)
    for data in (f"{text}\r\n\r\n{text}\r\n", f"\n{text}\n  \n{text}", f"\ufeff{text}\n{text}\n"):
        assert list(read_output_manifest(data.encode(), "x")) == [DONE, DONE]
    assert list(read_output_manifest(b"", "x")) == []


@pytest.mark.parametrize("earlier", ["a-review", "z-review"])
def test_a_chained_line_carries_other_jobs(earlier: str) -> None:
    """Metadata of earlier jobs stay on a line: the label asked for counts, or else the last one made."""
    before = METADATA | {"job-name": "labeling-job/old", "creation-date": "2025-12-01T00:00:00+0000"}
    boxes = {"type": "groundtruth/object-detection", "job-name": "labeling-job/boxes"}
    chained = line(**{earlier: {}, f"{earlier}-metadata": before, "b": {}, "b-metadata": boxes})
    labelled = chained | line(OTHERWISE, **{LABEL: {}})
    failed = chained | line(METADATA | {"failure-reason": "no"})
    assert read(chained, labelled, failed) == [
        OutputLine(URI),
        DONE,
        OutputLine(URI, False, "no", "dogs--000-1"),
    ]
    assert read(chained, labelled, failed, label_attribute=None) == [
        OutputLine(URI, True, None, "old"),
        DONE,
        OutputLine(URI, False, "no", "dogs--000-1"),
    ]


def test_a_label_of_another_kind_is_found_by_its_name() -> None:
    """Asked for by its name, a label counts whatever its type; without a name only a custom one does."""
    boxes = line({"type": "groundtruth/object-detection", "job-name": "labeling-job/boxes"}, **{LABEL: {}})
    assert read(boxes) == [OutputLine(URI, True, None, "boxes")]
    assert read(boxes, label_attribute=None) == [OutputLine(URI)]


def test_an_object_within_its_line_has_no_address() -> None:
    """An object that stands in the manifest itself is read like one that is referred to."""
    inline = {"source": "[]", f"{LABEL}-metadata": METADATA, LABEL: {}}
    assert read(inline) == [OutputLine(None, True, None, "dogs--000-1")]


@pytest.mark.parametrize(
    "bad",
    [
        b"{",
        b"7",
        b"null",
        b"[]",
        b"{}",
        b'{"source-ref": 7}',
        b"\xff",
        b"[" * 100_000,
        b"9" * 5_000,
        b'{"source-ref": "s3://b/1.json", "x-metadata": }',
    ],
    ids=lambda bad: str(bad[:30]),
)
def test_a_line_that_cannot_be_read_loses_nothing_else(bad: bytes) -> None:
    """It is a failure that names file and line; the lines around it are read."""
    good = json.dumps(line(METADATA, **{LABEL: {}})).encode()
    before, failed, after = read_output_manifest(b"\n".join((good, bad, good)), "output.manifest")
    assert (before, after) == (DONE, DONE)
    assert (failed.batch_uri, failed.labelled, failed.job_name) == (None, False, None)
    assert (failed.failure or "").startswith("output.manifest, line 2: ")


@pytest.mark.parametrize("metadata", [7, "x", [], None, {}, {"type": None}, {"type": ["groundtruth/custom"]}])
def test_metadata_of_any_form_are_borne(metadata: object) -> None:
    """Metadata that are no object, or without a known type, are no label's."""
    odd = {"source-ref": URI, LABEL: {}, f"{LABEL}-metadata": metadata}
    assert read(odd, label_attribute=None) == [OutputLine(URI)]


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
keys = st.sampled_from(["source-ref", "source", LABEL, f"{LABEL}-metadata", "b", "b-metadata"]) | st.text()


@given(st.lists(st.dictionaries(keys, json_values, max_size=5), max_size=5), st.none() | st.just(LABEL))
def test_any_output_manifest_is_read_line_by_line(lines: list[dict[str, object]], known: str | None) -> None:
    """Whatever the lines hold, there is one for each, and none is both labelled and failed."""
    found = read(*lines, label_attribute=known)
    assert len(found) == len(lines)
    assert not [one for one in found if one.labelled and one.failure is not None]


ARN = "arn:aws:sagemaker:us-east-1:123456789012:labeling-job/dogs--000-1"


@pytest.mark.parametrize("arn", [ARN, ARN.upper(), ARN.replace("dogs", "Dogs")])
@pytest.mark.parametrize("status", ["Completed", "Failed", "Stopped"])
def test_the_end_of_a_labeling_job(arn: str, status: str) -> None:
    """The event names the labeling job in its resources alone, in letters of any case."""
    event = {"resources": [arn], "detail": {"LabelingJobStatus": status}}
    assert read_state_event(event) == JobEnd("dogs--000-1", status)


@pytest.mark.parametrize(
    "changes",
    [
        {"resources": None},
        {"resources": []},
        {"resources": ARN},
        {"resources": [7]},
        {"resources": ["arn:aws:s3:::bucket"]},
        {"resources": [ARN.removesuffix("dogs--000-1")]},
        {"detail": None},
        {"detail": "Completed"},
        {"detail": {}},
        {"detail": {"LabelingJobStatus": None}},
    ],
)
def test_an_event_that_says_nothing_is_refused(changes: dict[str, object]) -> None:
    """An event without a labeling job or a status is refused, naming what it lacks."""
    event = {"resources": [ARN], "detail": {"LabelingJobStatus": "Completed"}}
    with pytest.raises(InputError, match=r"resources|LabelingJobStatus"):
        read_state_event(event | changes)
