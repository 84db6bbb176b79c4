"""The Ground Truth labeling jobs of a job: start them, see how far they are, stop them.

Each part of a job's manifest is a labeling job; where one has ended with pages left over, the next attempt
asks for these. Where labels close early each attempt is a round, which asks for a few pages of each label.
A record is created first, then the labeling job: of several who start at once one creates the record, and
whatever breaks in between is taken up by the next start.
"""

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any, NamedTuple

from bulkqa import SCHEMA, wire
from bulkqa.errors import BulkqaError, ConflictError, InputError, NotFoundError, SetupError
from bulkqa.jobs import (
    job_key,
    labeling_job_key,
    labeling_job_name,
    manifest_parts,
    output_manifest_key,
    settings_of,
)
from bulkqa.labeling_request import LabelingRequest
from bulkqa.ports import Blobs, LabelingService, LabelingState, Store
from bulkqa.settings import JobSettings
from bulkqa.steps.closing import Closing
from bulkqa.steps.labeling_rounds import is_due, manifest_pages, next_round

# Names tried for a part before giving up: others in the account may have used some of them.
_TRIES = 10

Ask = Callable[[str, str], LabelingRequest]
"""Makes the request for a labeling job of this name, with this input manifest."""


@dataclass(frozen=True, kw_only=True)
class LabelingRecord:
    """A labeling job that was asked for: the part of the manifest, the how manyeth attempt, and the terms.

    `manifest` is a key, and `objects` its number of lines. `foreign` says that the labeling job of this name
    turned out to be somebody else's.
    """

    name: str
    created_at: str
    part: int
    attempt: int
    manifest: str
    objects: int
    workteam: str
    reviewers: int
    label_attribute: str
    foreign: bool = False

    def to_json(self) -> bytes:
        """Return the contents of the record's file."""
        document = {"schema": SCHEMA, **dataclasses.asdict(self)}
        return json.dumps(document, ensure_ascii=False, indent=1).encode()


class LabelingAttempt(NamedTuple):
    """A labeling job as recorded, and as Ground Truth sees it: None where it was not created after all."""

    record: LabelingRecord
    state: LabelingState | None

    @property
    def status(self) -> str:
        """Ground Truth's status, but "Failed" where all is said to be completed and no page was labelled."""
        if self.state is None:
            return "NotCreated"
        return "Failed" if self.state.status == "Completed" and self._nothing_labelled else self.state.status

    @property
    def failure_reason(self) -> str | None:
        """Why it failed or was not created, if it was so."""
        if self.state is None:
            return "Ground Truth knows no labeling job of this name: start it again"
        if self.status == "Failed" != self.state.status:
            return self.state.failure_reason or "Ground Truth calls it completed, but no page was labelled"
        return self.state.failure_reason

    @property
    def _nothing_labelled(self) -> bool:
        return self.state is not None and self.state.labeled == 0 and self.record.objects > 0


class Start(StrEnum):
    """What a start came to for a part of the manifest."""

    CREATED = "created"
    RUNNING = "running"
    NOTHING_LEFT = "nothing-left"


class StartedPart(NamedTuple):
    """A part of the manifest, its latest labeling job, and how many pages a new or running one asks for.

    There may be no labeling job yet where labels close early: none of the part is asked for, so far.
    """

    part: int
    outcome: Start
    labeling_job: str | None
    objects: int


class Started(NamedTuple):
    """What became of each part of the manifest; what could not be looked into beforehand; closed labels."""

    parts: tuple[StartedPart, ...]
    warnings: tuple[str, ...]
    closed: Mapping[str, Closing]


def start(job: str, store: Store, service: LabelingService, ask: Ask, created_at: str) -> Started:
    """Start a labeling job for each part of a job's manifest whose pages nobody is asked about now.

    The first attempt asks for every page, a later one for those that have no label yet. Where labels close
    early, those that are settled are closed, and each attempt is a round for the others.

    Raises `InputError` where the job is not launched whole, the request cannot be made, or reviewers would
    not see the pictures; nothing was created then, nor written but for labels that were closed.
    """
    blobs = store.blobs
    settings = settings_of(job, blobs)
    request = ask(labeling_job_name(job, 0, 1), blobs.uri(job_key(job, "manifest.json")))
    request.to_api()
    if request.reviewers < settings.votes_that_count:
        raise InputError(
            f"job {job!r} was launched with {settings.reviewers} reviews of each page, which its labels need "
            f"to close early: {request.reviewers} are too few"
        )
    manifests = dict(manifest_parts(job, blobs))
    if not manifests:
        raise InputError(f"job {job!r} has no manifest yet: launch it again, as it was, to make it whole")
    chosen: Set[str] | None = None
    closed: Mapping[str, Closing] = {}
    if settings.stop_early is not None:
        busy = _under_way(job, blobs, service)
        chosen, closed = next_round(settings, manifests.values(), busy, store, created_at)

    @cache
    def check() -> tuple[str, ...]:
        return _check_pictures(settings, service)

    starter = _Starter(job, blobs, service, ask, created_at, check, chosen)
    parts = tuple(
        starter.start(part, key, manifest) for part, (key, manifest) in enumerate(manifests.items())
    )
    created = any(part.outcome is Start.CREATED for part in parts)
    return Started(parts, check() if created else (), closed)


def states(job: str, blobs: Blobs, service: LabelingService) -> list[LabelingAttempt]:
    """Return the labeling jobs of a job and their states, by part and attempt."""
    settings_of(job, blobs)
    return [
        LabelingAttempt(record, _described(record.name, service))
        for record in _records(job, blobs)
        if not record.foreign
    ]


def round_is_due(job: str, attempts: Sequence[LabelingAttempt], blobs: Blobs) -> bool:
    """Say whether all that was started has ended, and labels that close early have pages left for a round."""
    settings = settings_of(job, blobs)
    over = bool(attempts) and all(one.state is not None and one.state.ended for one in attempts)
    return over and settings.stop_early is not None and is_due(settings, blobs)


def stop(job: str, blobs: Blobs, service: LabelingService) -> list[str]:
    """Stop the labeling jobs of a job that are under way; return their names."""
    running = [
        record.name
        for record, state in states(job, blobs, service)
        if state is not None and not state.ended and state.status != "Stopping"
    ]
    for name in running:
        service.stop(name)
    return running


def _under_way(job: str, blobs: Blobs, service: LabelingService) -> set[str]:
    """Return the labels of which a labeling job that has not ended asks for pages."""
    attempts = states(job, blobs, service)
    running = [one.record.manifest for one in attempts if one.state is None or not one.state.ended]
    return {label for _, data in blobs.read_all(running) for _, _, label in manifest_pages(data, blobs)}


@dataclass(frozen=True)
class _Starter:
    """A start under way. `check` raises where reviewers would not see the pictures.

    `chosen` are the pages of the next round, by their keys, where labels close early, else None.
    """

    job: str
    blobs: Blobs
    service: LabelingService
    ask: Ask
    created_at: str
    check: Callable[[], object]
    chosen: Set[str] | None

    def start(self, part: int, manifest_key: str, manifest: bytes) -> StartedPart:
        """Start a labeling job for a part, unless one is under way or there is nothing to ask for."""
        taken = 0  # the last attempt whose name was used when it was looked for
        for _ in range(_TRIES):
            before = [record for record in _records(self.job, self.blobs) if record.part == part]
            ours = [record for record in before if not record.foreign]
            if ours:
                state = _described(ours[-1].name, self.service)
                if state is None:
                    if self._create(ours[-1]):
                        return StartedPart(part, Start.CREATED, ours[-1].name, ours[-1].objects)
                    continue
                if not state.ended:
                    return StartedPart(part, Start.RUNNING, ours[-1].name, ours[-1].objects)
            attempt = max(taken, before[-1].attempt if before else 0) + 1
            name = labeling_job_name(self.job, part, attempt)
            if _described(name, self.service) is not None:
                taken = attempt
                continue  # a record comes before its labeling job: if this is ours, it is there by now
            lines: Sequence[bytes]
            if self.chosen is None and not ours:
                self.check()
                key, lines = manifest_key, manifest.splitlines()
            else:
                lines = self._left(ours) if self.chosen is None else self._of_round(self.chosen, manifest)
                if not lines:
                    return StartedPart(part, Start.NOTHING_LEFT, ours[-1].name if ours else None, 0)
                self.check()
                key, lines = self._own_manifest(name, lines)
            record = self._record(name, part, attempt, key, len(lines))
            # Where another start was quicker, look at what it has done.
            if self.blobs.create(labeling_job_key(name), record.to_json()) and self._create(record):
                return StartedPart(part, Start.CREATED, name, record.objects)
        raise ConflictError(
            f"labeling jobs of somebody else have every name up to {name!r}: launch under another name"
        )

    def _record(self, name: str, part: int, attempt: int, key: str, objects: int) -> LabelingRecord:
        request = self.ask(name, self.blobs.uri(key))
        return LabelingRecord(
            name=name,
            created_at=self.created_at,
            part=part,
            attempt=attempt,
            manifest=key,
            objects=objects,
            workteam=request.workteam,
            reviewers=request.reviewers,
            label_attribute=request.label_attribute,
        )

    def _create(self, record: LabelingRecord) -> bool:
        """Create a recorded labeling job; where somebody else's has its name, note that and return False.

        What was refused before may be asked for on other terms now.
        """
        self.check()
        request = self.ask(record.name, self.blobs.uri(record.manifest))
        terms = dataclasses.replace(
            record,
            workteam=request.workteam,
            reviewers=request.reviewers,
            label_attribute=request.label_attribute,
        )
        if terms != record:
            self.blobs.write(labeling_job_key(record.name), terms.to_json())
        try:
            self.service.create(request.to_api())
        except ConflictError:
            foreign = dataclasses.replace(record, foreign=True)
            self.blobs.write(labeling_job_key(record.name), foreign.to_json())
            return False
        return True

    def _of_round(self, chosen: Set[str], manifest: bytes) -> list[bytes]:
        return [line for line, page, _ in manifest_pages(manifest, self.blobs) if page in chosen]

    def _left(self, before: Sequence[LabelingRecord]) -> list[bytes]:
        """Return the lines of the last attempt's manifest whose pages have no label from any attempt."""
        labelled: set[str | None] = set()
        for record in before:
            key = output_manifest_key(record.name)
            try:
                output = self.blobs.read(key)
            except NotFoundError:
                # An earlier attempt's labels are missing from the manifest of the next one, too.
                if record is before[-1]:
                    self._refuse_to_guess(record, key)
                continue
            lines = wire.read_output_manifest(output, key, record.label_attribute)
            labelled.update(line.batch_uri for line in lines if line.labelled)
        manifest = self.blobs.read(before[-1].manifest).splitlines(keepends=True)
        return [line for line in manifest if json.loads(line)["source-ref"] not in labelled]

    def _refuse_to_guess(self, record: LabelingRecord, key: str) -> None:
        state = _described(record.name, self.service)
        if state is not None and state.labeled:
            raise BulkqaError(
                f"labeling job {record.name!r} has labels for {state.labeled} pages, and which they are "
                f"stands in {self.blobs.uri(key)} alone, which is not there: Ground Truth writes it some "
                "minutes late, so start again then, unless the bucket has deleted it, as it does after a time"
            )

    def _own_manifest(self, name: str, lines: Sequence[bytes]) -> tuple[str, Sequence[bytes]]:
        """Keep the manifest of an attempt; one that a start left there before it broke off stays."""
        key = labeling_job_key(name, "manifest")
        if self.blobs.create(key, b"".join(lines)):
            return key, lines
        return key, self.blobs.read(key).splitlines()


def _records(job: str, blobs: Blobs) -> list[LabelingRecord]:
    """Return the records of a job's labeling jobs, by part and attempt."""
    keys = [key for key in blobs.keys(job_key(job, "labeling-jobs/")) if key.endswith(".json")]
    found = (_read_record(data, key) for key, data in blobs.read_all(keys))
    return sorted(found, key=lambda record: (record.part, record.attempt))


def _read_record(data: bytes, name: str) -> LabelingRecord:
    try:
        document: dict[str, Any] = json.loads(data)
        if document["schema"] > SCHEMA:
            raise InputError(f"{name}: written by a newer bulkqa (schema {document['schema']})")
        known = (field.name for field in dataclasses.fields(LabelingRecord) if field.name in document)
        return LabelingRecord(**{field: document[field] for field in known})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{name}: not a labeling job's record: {error!r}") from None


def _described(name: str, service: LabelingService) -> LabelingState | None:
    try:
        return service.describe(name)
    except NotFoundError:
        return None


def _check_pictures(settings: JobSettings, service: LabelingService) -> tuple[str, ...]:
    """Raise `InputError` where workers would not see the pictures; return what could not be looked into."""
    examples = (picture for pictures in (settings.examples or {}).values() for picture in pictures)
    buckets = {picture[5:].partition("/")[0] for picture in examples if picture.startswith("s3://")}
    faults: list[str] = []
    warnings: list[str] = []
    for bucket in sorted(buckets.union(settings.image_buckets)):
        try:
            faults += service.picture_faults(bucket)
        except SetupError as error:
            warnings.append(f"could not check whether reviewers will see the pictures in {bucket}: {error}")
    if faults:
        raise InputError("reviewers would not see the pictures:\n  " + "\n  ".join(faults))
    return tuple(warnings)
