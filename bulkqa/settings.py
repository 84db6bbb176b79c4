"""Settings: what a job was launched with, as it stands in its `job.json`."""

import json
import re
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from bulkqa import SCHEMA
from bulkqa.errors import InputError

_JOB = re.compile(r"[a-z0-9](-?[a-z0-9])*")
MAX_JOB_NAME = 40
MAX_REVIEWERS = 9
"""Reviewers per page at most, as Ground Truth has it."""


@dataclass(frozen=True, kw_only=True)
class JobSettings:
    """What a job is: two launches with equal settings are the same job.

    `corpus_sha256` stands for the corpus, byte by byte; it, `items` and `labels` are known once the corpus
    has been read. `guideline` is a text and `examples` has pictures under `good` and `bad`, both for the
    page's help. `image_root` is the folder or prefix that relative image paths start from, None where
    references are used as written.
    """

    job: str
    corpus_name: str
    corpus_sha256: str = ""
    seed: int = 0
    batch_size: int = 25
    minimum_confidence: float = 80
    bands: tuple[float, ...] = (80, 85, 90, 95, 100)
    reviewers: int = 1
    check_rate: float = 0
    image_root: str | None = None
    guideline: str | None = None
    examples: dict[str, list[str]] | None = None
    gate: str | None = None
    host: str = "portal"
    labels: tuple[str, ...] = ()
    items: int = 0

    def to_json(self, created_at: str) -> bytes:
        """Return the contents of `job.json`."""
        document = {"schema": SCHEMA, "created_at": created_at, **asdict(self)}
        return json.dumps(document, ensure_ascii=False, indent=1).encode()

    def difference(self, other: "JobSettings") -> str | None:
        """Return a sentence naming the first setting in which `other` differs, or None if it is the same job.

        The corpus is compared by its content; its file name and what follows from it say nothing new.
        """
        for name in (field.name for field in fields(self) if field.name not in ("corpus_name", "labels")):
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine != theirs:
                if name == "corpus_sha256":
                    return f"another corpus ({self.corpus_name}, not {other.corpus_name})"
                if name == "items":  # the same corpus, so pictures have come or gone
                    return f"{mine} usable items, not {theirs}: are all pictures where they were?"
                return f"{name.replace('_', ' ')} {mine!r}, not {theirs!r}"
        return None


def timestamp(seconds: float) -> str:
    """Return a time, in seconds since the epoch, as every file has it.

    >>> timestamp(0)
    '1970-01-01T00:00:00Z'
    """
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def check_job_name(job: str) -> str:
    """Return `job` if it can name a job: `[a-z0-9](-?[a-z0-9])*`, at most 40 characters.

    >>> check_job_name("dogs-2")
    'dogs-2'
    """
    if len(job) > MAX_JOB_NAME or not _JOB.fullmatch(job):
        raise InputError(
            f"job name {job!r}: use a-z, 0-9 and single hyphens between them, "
            f"at most {MAX_JOB_NAME} characters"
        )
    return job


def read_job(data: bytes, name: str) -> tuple[JobSettings, str]:
    """Return the settings in a `job.json` and when the job was created; `name` is for messages."""
    try:
        document = json.loads(data)
        if document["schema"] > SCHEMA:
            raise InputError(
                f"{name}: written by a newer bulkqa (schema {document['schema']}, this one reads {SCHEMA})"
            )
        return _of_json(document), str(document["created_at"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{name}: not a job's settings: {error!r}") from None


def _of_json(document: Mapping[str, Any]) -> JobSettings:
    known = {field.name: document[field.name] for field in fields(JobSettings) if field.name in document}
    return JobSettings(**known | {"labels": tuple(known["labels"]), "bands": tuple(known["bands"])})


@dataclass(frozen=True, kw_only=True)
class Environment:
    """What a Lambda is told by its environment variables; the stack sets them from the same names.

    `image_sources` are the prefixes (`s3://bucket/prefix/`) below which pictures may lie elsewhere.
    """

    bucket: str
    table: str
    image_sources: tuple[str, ...] = ()

    @classmethod
    def from_variables(cls, variables: Mapping[str, str]) -> "Environment":
        """Return the settings in these environment variables; raise `InputError` naming one that is missing.

        >>> Environment.from_variables({"BULKQA_BUCKET": "b", "BULKQA_TABLE": "t"}).table
        't'
        """
        for name in ("BULKQA_BUCKET", "BULKQA_TABLE"):
            if not variables.get(name):
                raise InputError(f"the environment variable {name} is missing")
        sources = tuple(source for source in variables.get("BULKQA_IMAGE_SOURCES", "").split(",") if source)
        return cls(bucket=variables["BULKQA_BUCKET"], table=variables["BULKQA_TABLE"], image_sources=sources)

    def variables(self) -> dict[str, str]:
        """Return the environment variables that hold these settings."""
        return {
            "BULKQA_BUCKET": self.bucket,
            "BULKQA_TABLE": self.table,
            "BULKQA_IMAGE_SOURCES": ",".join(self.image_sources),
        }
