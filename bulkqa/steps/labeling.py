"""A page goes out, its answers come back: what the portal and the two labeling Lambdas do."""

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

from bulkqa import SCHEMA, wire
from bulkqa.errors import BulkqaError, ConflictError, InputError, SetupError
from bulkqa.flow.answers import Answer, Decision, read_answer
from bulkqa.flow.tasks import TaskItem, page_input, read_task_input
from bulkqa.flow.votes import Key, Outcome, Recorded, Vote, outcome, voter, votes
from bulkqa.jobs import about, answer_key, batch_key, job_key, job_of, page_items, settings_of
from bulkqa.ports import Blobs, Store


class Receipt(NamedTuple):
    """What became of an answer to a page of this label: its decisions, the parts not counted, the votes."""

    label: str
    answer: Answer
    recorded: Recorded
    again: bool


def answer_page(
    job: str,
    number: int,
    worker: str,
    content: Mapping[str, object],
    store: Store,
    submitted_at: str,
) -> Receipt:
    """Keep a reviewer's answer to a page and count its votes; return what became of it.

    The answer is written first and counted afterwards, so whatever breaks between the two is made good
    by counting again, which changes nothing where it was counted. The same answer given again is the
    same answer.

    Raises `InputError` for an answer without a single decision, `ConflictError` for one that differs
    from this reviewer's answer before.
    """
    items = page_items(job, number, store.blobs)
    answer = read_answer(content, len(items))
    if not answer.decisions:
        raise InputError("the answer holds no decision on any picture")
    page = wire.AnsweredPage(
        f"{number:08d}",
        store.blobs.uri(batch_key(job, number)),
        (wire.Annotation(worker, wire.answer_content(content), 0, submitted_at),),
    )
    key = answer_key(job, number, worker, 0)
    again = not store.blobs.create(key, wire.write_payload(page))
    if again:
        before = wire.read_payload(store.blobs.read(key), key)[0].annotations[0]
        if read_answer(content_of(before, store.blobs), len(items)).decisions != answer.decisions:
            raise ConflictError("this page was answered before, and otherwise; the first answer stands")
    recorded = store.table.record(votes(items, answer, voter(job, worker)))
    if store.queue is not None:
        store.queue.complete(worker, job, number, answer.numbers())
    return Receipt(items[0].label, answer, recorded, again)


def pre_label(event: Mapping[str, Any], blobs: Blobs) -> tuple[dict[str, object], str | None]:
    """Return the reply to a pre-labeling event, and why nobody is asked, where nobody is.

    An object that cannot be shown (no batch under its address, a malformed one, a store that fails for it)
    is passed over: an exception would fail the whole labeling job. Raises `SetupError` where no object
    could be shown, since the store is not set up for it.
    """
    try:
        batch = _batch(*_pre_object(event), blobs)
        return wire.pre_reply(page_input(batch.items, _about(batch.job, blobs), wire.MAX_TASK_INPUT)), None
    except SetupError:
        raise
    except BulkqaError as error:
        return wire.pre_reply(None), str(error)


def _pre_object(event: Mapping[str, Any]) -> tuple[str | None, str | None]:
    wanted = wire.read_pre_event(event)
    return wanted.uri, wanted.content


class _Batch(NamedTuple):
    """A batch as an event names it, and the job it is of, if it lies where a job's batches lie."""

    job: str | None
    name: str
    items: tuple[TaskItem, ...]


def _batch(uri: str | None, content: str | None, blobs: Blobs) -> _Batch:
    if uri is None:
        return _Batch(
            None, "inline", read_task_input((content or "").encode("utf-8", "replace"), "the object")
        )
    key = blobs.key(uri)
    return _Batch(job_of(key), key, read_task_input(blobs.read(key), key))


def _about(job: str | None, blobs: Blobs) -> dict[str, object]:
    """Return what a page of this job may show beside its pictures; without `job.json`, nothing."""
    if job is None:
        return {}
    try:
        return _about_job(job, blobs)  # type: ignore[arg-type]
    except SetupError:
        raise
    except BulkqaError:  # the pictures are what matters
        return {}


# A job's settings never change, and a Lambda sees many pages of a job.
@lru_cache(maxsize=32)
def _about_job(job: str, blobs: Blobs) -> dict[str, object]:
    return about(settings_of(job, blobs))


class Consolidated(NamedTuple):
    """What a post-labeling event came to.

    `reply` has an entry for each object that could be read. `refused_objects` and `refused_parts` say what
    could not: whole objects, which Ground Truth then takes for failed, and parts of answers.
    """

    reply: list[dict[str, object]]
    answers: int
    recorded: Recorded
    refused_objects: tuple[str, ...] = ()
    refused_parts: tuple[str, ...] = ()


@dataclass(slots=True)
class _Object:
    """An object under consolidation: its batch, every answer to it, and the workers who decided anything."""

    page: wire.AnsweredPage
    batch: _Batch
    heard: set[str] = field(default_factory=set)
    annotations: list[wire.Annotation] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)


def post_label(event: Mapping[str, Any], store: Store) -> Consolidated:
    """Count the answers in a post-labeling event, and return one consolidated result for each object.

    The answers are kept under `jobs/<job>/answers/` before they are counted. Each batch file is read once.
    A part that cannot be read is reported and harms no other. Delivered again, in part, or out of order,
    the event changes nothing that was counted.

    Raises `InputError` for an event without a readable payload, `BulkqaError` where the store fails.
    """
    wanted = wire.read_post_event(event)
    if wanted.payload is not None:
        data, name = wanted.payload, "payload"
    else:
        name = wanted.payload_uri or ""
        data = store.blobs.read(store.blobs.key(name))
    labeling_job = wanted.labeling_job or "unnamed"
    refused_objects: list[str] = []
    refused_parts: list[str] = []
    objects = _objects(wire.parse_payload(data, name), store.blobs, refused_objects, refused_parts)
    _keep(objects, labeling_job, store.blobs)
    ballots: list[Vote] = []
    for one in objects.values():
        job = one.batch.job or labeling_job
        for annotation, answer in zip(one.annotations, one.answers, strict=True):
            ballots += votes(one.batch.items, answer, voter(job, annotation.worker), annotation.revision)
    recorded = store.table.record(ballots)
    unknown = set(recorded.unknown)
    contents = {object_id: _content_of(one, unknown) for object_id, one in objects.items()}
    return Consolidated(
        wire.post_reply(wanted.label_attribute, contents),
        sum(len(one.answers) for one in objects.values()),
        recorded,
        tuple(refused_objects),
        tuple(refused_parts),
    )


def _objects(
    pages: list[wire.AnsweredPage | str], blobs: Blobs, refused_objects: list[str], refused_parts: list[str]
) -> dict[str, _Object]:
    """Return the objects of a payload by id, each once even if it comes twice; note what is refused."""
    batches: dict[tuple[str | None, str | None], _Batch] = {}
    objects: dict[str, _Object] = {}
    for page in pages:
        if isinstance(page, str):
            refused_objects.append(page)
            continue
        where = (page.batch_uri, page.batch_content)
        try:
            if where not in batches:
                batches[where] = _batch(*where, blobs)
        except InputError as error:
            refused_objects.append(f"object {page.object_id}: {error}")
            continue
        one = objects.setdefault(page.object_id, _Object(page, batches[where]))
        refused_parts += [f"object {page.object_id}: {problem}" for problem in page.problems]
        for annotation in page.annotations:
            try:
                content = content_of(annotation, blobs)
            except InputError as error:
                refused_parts.append(f"object {page.object_id}, worker {annotation.worker}: {error}")
                continue
            answer = read_answer(content, len(one.batch.items))
            if answer.decisions and annotation.worker in one.heard:
                who = f"object {page.object_id}, worker {annotation.worker}"
                refused_parts.append(f"{who}: answered before in this event; the first answer counts")
                continue
            if answer.decisions:
                one.heard.add(annotation.worker)
            refused_parts += [
                f"object {page.object_id}, worker {annotation.worker}: {problem.name}: {problem.reason}"
                for problem in answer.problems
            ]
            one.annotations.append(
                wire.Annotation(annotation.worker, content, annotation.revision, annotation.submitted_at)
            )
            one.answers.append(answer)
    return objects


def content_of(annotation: wire.Annotation, blobs: Blobs) -> str:
    """Return the JSON text of an answer, read from where it lies if it does not stand there."""
    if annotation.content is not None:
        return annotation.content
    return blobs.read(blobs.key(annotation.content_uri or "")).decode("utf-8", "replace")


def _keep(objects: Mapping[str, _Object], labeling_job: str, blobs: Blobs) -> None:
    """Keep the answers of an event under their job, whole, under a name that follows from what they are."""
    of_job: dict[str, list[wire.AnsweredPage]] = {}
    for one in objects.values():
        page = wire.AnsweredPage(
            one.page.object_id, one.page.batch_uri, tuple(one.annotations), one.page.batch_content
        )
        of_job.setdefault(one.batch.job or labeling_job, []).append(page)
    for job, pages in of_job.items():
        data = wire.write_payload(*pages)
        blobs.create(job_key(job, f"answers/event-{hashlib.sha256(data).hexdigest()[:24]}.json"), data)


def _content_of(one: _Object, unknown: set[Key]) -> dict[str, object]:
    """Return an object's compact result: places by outcome, and how many decisions of each kind."""
    places: dict[str, list[int]] = {kind.value: [] for kind in Outcome}
    missing: list[int] = []
    for place, item in enumerate(one.batch.items):
        if item.check is not None:
            continue  # a known answer says something of the worker and nothing of the label
        said = [answer.decisions.get(place) for answer in one.answers]
        places[outcome(said.count(Decision.CONFIRM), said.count(Decision.DISCONFIRM)).value].append(place)
        if (item.image, item.label) in unknown:
            missing.append(place)
    counts = Counter(
        decision.value
        for answer in one.answers
        for place, decision in answer.decisions.items()
        if one.batch.items[place].check is None
    )
    content: dict[str, object] = {
        "schema": SCHEMA,
        "batch": one.batch.name,
        "label": one.batch.items[0].label,
        "workers": len({annotation.worker for annotation in one.annotations}),
        "decisions": dict(counts),
        **{kind: found for kind, found in places.items() if found},
    }
    return content | ({"unknown": missing} if missing else {})
