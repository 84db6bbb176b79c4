"""Ground Truth's own JSON: manifest lines, both Lambdas' events and replies, payloads of answers.

The portal keeps its answers in the payloads' form, so that one reader serves both. What comes from Ground
Truth is read with every variant met in the field; what cannot be read is said, part by part.
"""

import io
import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from bulkqa.errors import InputError
from bulkqa.flow.records import has_surrogate

MAX_TASK_INPUT = 128_000
"""Characters of a page's input at most (`RenderUiTemplate`, member `Task.Input`)."""


class Annotation(NamedTuple):
    """One worker's answer to one page: the JSON text that was submitted, or where it lies.

    `revision` and `submitted_at` are ours; Ground Truth sends neither.
    """

    worker: str
    content: str | None
    revision: int = 0
    submitted_at: str | None = None
    content_uri: str | None = None


class AnsweredPage(NamedTuple):
    """One object of a payload: the page's batch file, or the batch itself, and its annotations."""

    object_id: str
    batch_uri: str | None
    annotations: tuple[Annotation, ...] = ()
    batch_content: str | None = None
    problems: tuple[str, ...] = ()
    """Annotations that could not be read, and why."""


class DataObject(NamedTuple):
    """What a pre-labeling event asks for: where the batch lies, or the batch itself as text."""

    uri: str | None
    content: str | None


class Consolidation(NamedTuple):
    """What a post-labeling event asks for: where the payload lies, or the payload itself, and its label.

    `labeling_job` is the labeling job's name in lower case, in which Ground Truth compares it.
    """

    labeling_job: str
    label_attribute: str
    payload_uri: str | None
    payload: bytes | None


class OutputLine(NamedTuple):
    """A line of an output manifest: an object, and what a labeling job made of it.

    One that is neither `labelled` nor has a `failure` was not asked about, or not to the end. `job_name` is
    the labeling job that did either: of a manifest that was chained, perhaps an earlier one. A line that
    cannot be read has its failure alone, which names file and line.
    """

    batch_uri: str | None
    labelled: bool = False
    failure: str | None = None
    job_name: str | None = None


class JobEnd(NamedTuple):
    """What an event says of a labeling job's state: its name, in lower case, and the state."""

    labeling_job: str
    status: str


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


def write_payload(*pages: AnsweredPage) -> bytes:
    """Return a payload file of these pages, whose annotations carry their contents."""
    return json.dumps(
        [_page_json(page) for page in pages]
    ).encode()  # in ASCII: names may hold what UTF-8 cannot


def _page_json(page: AnsweredPage) -> dict[str, object]:
    where = {"s3Uri": page.batch_uri} if page.batch_uri is not None else {"content": page.batch_content}
    return {
        "datasetObjectId": page.object_id,
        "dataObject": where,
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


def read_payload(data: bytes, name: str) -> list[AnsweredPage]:
    """Return the pages of a payload file; raise `InputError`, with `name`, where any of it is malformed."""
    pages = []
    for page in parse_payload(data, name):
        if isinstance(page, str) or page.problems:
            raise InputError(
                f"{name}: not a payload of answers: {page if isinstance(page, str) else page.problems[0]}"
            )
        pages.append(page)
    return pages


def parse_payload(data: bytes, name: str) -> list[AnsweredPage | str]:
    """Return the pages of a payload file; in place of one that cannot be read, why.

    Raises `InputError`, with `name`, where the whole is no list.
    """
    try:
        entries = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name}: not a payload of answers: {error!r}") from None
    if not isinstance(entries, list):
        raise InputError(f"{name}: not a payload of answers: not a list")
    return [_page(entry, f"entry {number}") for number, entry in enumerate(entries)]


def _page(entry: Any, where: str) -> AnsweredPage | str:
    try:
        batch = entry["dataObject"]
        uri = _either(batch, "s3Uri", "s3uri")
        content = batch.get("content")
        if uri is None and not isinstance(content, str):
            return f"{where}: its dataObject has neither s3Uri nor content"
        annotations: list[Annotation] = []
        problems: list[str] = []
        listed = entry["annotations"]
        if not isinstance(listed, list):
            return f"{where}: its annotations are no list"
        for number, annotation in enumerate(listed):
            read = _annotation(annotation, f"{where}, annotation {number}")
            if isinstance(read, str):
                problems.append(read)
            else:
                annotations.append(read)
        object_id = entry["datasetObjectId"]
        if not isinstance(object_id, str | int) or has_surrogate(str(object_id)):
            return f"{where}: its datasetObjectId is no text"
        return AnsweredPage(str(object_id), uri, tuple(annotations), content, tuple(problems))
    except (KeyError, TypeError, AttributeError) as error:
        return f"{where}: {error!r}"


def _annotation(annotation: Any, where: str) -> Annotation | str:
    try:
        data = annotation["annotationData"]
        content, uri = data.get("content"), _either(data, "s3Uri", "s3uri")
        if uri is None and not isinstance(content, str):
            return f"{where}: its annotationData has neither content nor s3Uri"
        revision = annotation.get("revision", 0)
        if isinstance(revision, bool) or not isinstance(revision, int):
            return f"{where}: its revision is no number"
        submitted_at = annotation.get("submittedAt")
        worker = annotation["workerId"]
        if not isinstance(worker, str) or has_surrogate(worker):
            return f"{where}: its workerId is no text"
        return Annotation(worker, content, revision, None if submitted_at is None else str(submitted_at), uri)
    except (KeyError, TypeError, AttributeError) as error:
        return f"{where}: {error!r}"


def _either(mapping: Mapping[str, Any], *names: str) -> str | None:
    """Return the first of these values that is a text: AWS' own code spells some names in two ways."""
    return next((mapping[name] for name in names if isinstance(mapping.get(name), str)), None)


def read_pre_event(event: Mapping[str, Any]) -> DataObject:
    """Return what a pre-labeling event asks for; raise `InputError` where it names no object.

    >>> read_pre_event({"version": "2018-10-16", "dataObject": {"source-ref": "s3://b/0.json"}}).uri
    's3://b/0.json'
    """
    line = event.get("dataObject")
    if not isinstance(line, Mapping):
        raise InputError("the event has no dataObject")
    uri, content = _either(line, "source-ref"), _either(line, "source")
    if uri is None and content is None:
        raise InputError("the event's dataObject has neither source-ref nor source")
    return DataObject(uri, content)


def pre_reply(task_input: Mapping[str, object] | None) -> dict[str, object]:
    """Return the reply of the pre-labeling function; without an input nobody is asked.

    >>> pre_reply(None)
    {'taskInput': {'sourceRef': []}, 'isHumanAnnotationRequired': False}
    """
    required = task_input is not None
    return {"taskInput": task_input if required else {"sourceRef": []}, "isHumanAnnotationRequired": required}


def read_post_event(event: Mapping[str, Any]) -> Consolidation:
    """Return what a post-labeling event asks for; raise `InputError` where it cannot be read."""
    attribute, payload = event.get("labelAttributeName"), event.get("payload")
    if not isinstance(attribute, str) or not attribute:
        raise InputError("the event has no labelAttributeName")
    job = str(event.get("labelingJobArn") or "").rpartition("/")[2].lower()
    if isinstance(payload, Mapping):
        uri = _either(payload, "s3Uri", "s3uri")
        if uri is not None:
            return Consolidation(job, attribute, uri, None)
        payload = payload.get("content")
    if isinstance(payload, str):
        return Consolidation(job, attribute, None, payload.encode())
    if isinstance(payload, list):
        return Consolidation(job, attribute, None, json.dumps(payload).encode())
    raise InputError("the event's payload has neither s3Uri nor content")


def post_reply(label_attribute: str, contents: Mapping[str, Mapping[str, object]]) -> list[dict[str, object]]:
    """Return the reply of the post-labeling function: one entry for each object, by its id.

    >>> post_reply("verdict", {"0": {"workers": 3}})
    [{'datasetObjectId': '0', 'consolidatedAnnotation': {'content': {'verdict': {'workers': 3}}}}]
    """
    return [
        {"datasetObjectId": object_id, "consolidatedAnnotation": {"content": {label_attribute: content}}}
        for object_id, content in contents.items()
    ]


def read_output_manifest(data: bytes, name: str, label_attribute: str | None = None) -> Iterator[OutputLine]:
    """Yield the lines of an output manifest, empty ones left out; `name` is the file's, for messages.

    Without `label_attribute` a line's label is the one whose metadata are of a custom job; of several, as a
    chain of jobs leaves them, the one made last. Nothing is raised: a line that cannot be read is one that
    failed.
    """
    for number, text in enumerate(io.BytesIO(data), start=1):  # which copies nothing, as splitlines would
        if text.strip():
            yield _output_line(text, f"{name}, line {number}", label_attribute)


def _output_line(text: bytes, where: str, label_attribute: str | None) -> OutputLine:
    try:
        line = json.loads(text)
    except (ValueError, RecursionError) as error:
        return OutputLine(None, failure=f"{where}: not readable as JSON: {error}")
    if not isinstance(line, dict):
        return OutputLine(None, failure=f"{where}: not a JSON object")
    uri = _either(line, "source-ref")
    if uri is None and _either(line, "source") is None:
        return OutputLine(None, failure=f"{where}: has neither source-ref nor source")
    attribute = _custom_label(line) if label_attribute is None else label_attribute
    metadata = line.get(f"{attribute}{_METADATA}")
    if attribute is None or not isinstance(metadata, Mapping):
        return OutputLine(uri)
    job = _either(metadata, "job-name", "job_name")
    job_name = None if job is None else job.removeprefix("labeling-job/")
    for spelled in ("failure-reason", "failure_reason"):
        if metadata.get(spelled) is not None:
            return OutputLine(uri, False, str(metadata[spelled]) or "no reason given", job_name)
    return OutputLine(uri, attribute in line, None, job_name)


_METADATA = "-metadata"


def _custom_label(line: Mapping[str, Any]) -> str | None:
    """Return the attribute of the label that a custom job made last, or None if the line has none."""
    found = [
        (_either(value, "creation-date", "creation_date") or "", key.removesuffix(_METADATA))
        for key, value in line.items()
        if key.endswith(_METADATA)
        and isinstance(value, Mapping)
        and str(value.get("type")).lower() == "groundtruth/custom"
    ]
    return max(found)[1] if found else None


def read_state_event(event: Mapping[str, Any]) -> JobEnd:
    """Return what an event says of a labeling job's state; raise `InputError` where it says nothing.

    >>> arn = "arn:aws:sagemaker:us-east-1:123456789012:labeling-job/Dogs--000-1"
    >>> read_state_event({"resources": [arn], "detail": {"LabelingJobStatus": "Completed"}})
    JobEnd(labeling_job='dogs--000-1', status='Completed')
    """
    resources, detail = event.get("resources"), event.get("detail")
    arn = resources[0] if isinstance(resources, list) and resources else None
    _, is_one, name = (arn if isinstance(arn, str) else "").lower().partition(":labeling-job/")
    if not is_one or not name:
        raise InputError("the event's resources name no labeling job")
    status = _either(detail, "LabelingJobStatus") if isinstance(detail, Mapping) else None
    if status is None:
        raise InputError("the event's detail has no LabelingJobStatus")
    return JobEnd(name, status)
