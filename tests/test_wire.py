from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkqa.errors import InputError
from bulkqa.wire import (
    Annotation,
    AnsweredPage,
    answer_content,
    manifest_line,
    read_payload,
    write_payload,
)

quick = settings(max_examples=40, deadline=None)

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


@quick
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
