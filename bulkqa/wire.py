"""Ground Truth's own JSON: the manifest line and the payload in which answers are kept.

The portal writes its answers in the same form, so that one reader serves both.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from bulkqa.errors import InputError


@dataclass(frozen=True, slots=True)
class Annotation:
    """One worker's answer to one page. `content` is the answer as the JSON text that was submitted.

    `revision` and `submitted_at` are ours; Ground Truth sends neither.
    """

    worker: str
    content: str
    revision: int = 0
    submitted_at: str | None = None


@dataclass(frozen=True, slots=True)
class AnsweredPage:
    """One object of a payload: the page's batch file and its annotations."""

    object_id: str
    batch_uri: str
    annotations: tuple[Annotation, ...] = field(default=())


def manifest_line(batch_uri: str, label: str, batch: str) -> bytes:
    r"""Return a batch's line of the input manifest; the label and the batch's name are for people.

    >>> manifest_line("s3://b/jobs/dogs/custom-labeling-inputs/00000000.json", "Dog", "00000000")
    b'{"source-ref":"s3://b/jobs/dogs/custom-labeling-inputs/00000000.json","label":"Dog","batch":"00000000"}\n'
    """
    line = {"source-ref": batch_uri, "label": label, "batch": batch}
    return json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def answer_content(answer: Mapping[str, object]) -> str:
    """Return an answer as Ground Truth keeps it: keys sorted, so that nothing can rely on their order.

    >>> answer_content({"item-001": {"Confirmed": True}, "item-000": {"Confirmed": False}})
    '{"item-000":{"Confirmed":false},"item-001":{"Confirmed":true}}'
    """
    return json.dumps(answer, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def write_payload(page: AnsweredPage) -> bytes:
    """Return a payload file of one page."""
    document = {
        "datasetObjectId": page.object_id,
        "dataObject": {"s3Uri": page.batch_uri},
        "annotations": [
            {
                "workerId": annotation.worker,
                "annotationData": {"content": annotation.content},
                "revision": annotation.revision,
                "submittedAt": annotation.submitted_at,
            }
            for annotation in page.annotations
        ],
    }
    return json.dumps([document]).encode()  # in ASCII: a name may hold what UTF-8 cannot


def read_payload(data: bytes, name: str) -> list[AnsweredPage]:
    """Return the pages of a payload file; raise `InputError`, with `name`, where it is malformed."""
    try:
        entries = json.loads(data)
        if not isinstance(entries, list):
            raise TypeError("not a list")
        return [
            AnsweredPage(
                str(entry["datasetObjectId"]),
                str(entry["dataObject"]["s3Uri"]),
                tuple(
                    Annotation(
                        str(annotation["workerId"]),
                        str(annotation["annotationData"]["content"]),
                        int(annotation.get("revision", 0)),
                        annotation.get("submittedAt"),
                    )
                    for annotation in entry["annotations"]
                ),
            )
            for entry in entries
        ]
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise InputError(f"{name}: not a payload of answers: {error!r}") from None
