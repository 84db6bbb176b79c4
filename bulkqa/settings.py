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


_FOLLOWING = ("corpus_name", "checks_name", "labels", "image_buckets")
"""Settings that say nothing which others do not say."""


@dataclass(frozen=True, kw_only=True)
class StopEarly:
    """When a label of a job is closed: once its threshold is settled, at `reviews` images at the latest.

    Settled is what `bulkqa.flow.thresholds.settled` says of `target` and `assurance`.
    """

    reviews: int
    target: float = 0.95
    assurance: float = 0.95


@dataclass(frozen=True, kw_only=True)
class StoredGate:
    """The gate that a job's report has to pass: under which key it lies, and the digest of its bytes."""

    key: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class JobSettings:
    """What a job is: two launches with equal settings are the same job.

    `corpus_sha256` stands for the corpus, byte by byte; it, `items`, `labels` and `image_buckets` (in S3,
    those with pictures) are known once the corpus has been read. `guideline` is a text and `examples` has
    pictures under `good` and `bad`, both for the page's help. `image_root` is the folder or prefix that
    relative image paths start from, None where references are used as written. `source` is the job whose
    next round this is, `relabel:<job>` or `adjudicate:<job>`. `sample` says of each label and band, as
    [low, high, population, taken], how many of its items this job has; None where it has them all.
    `check_rate` is the share of known-answer items among a page's pictures; `checks_sha256` stands for the
    file they come from, as `corpus_sha256` does, or for what earlier jobs gave. `stop_early` is None where
    every page is reviewed, `gate` where nothing is asked of the report.
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
    checks_name: str | None = None
    checks_sha256: str = ""
    sample: dict[str, list[list[float]]] | None = None
    image_root: str | None = None
    guideline: str | None = None
    examples: dict[str, list[str]] | None = None
    gate: StoredGate | None = None
    host: str = "portal"
    labels: tuple[str, ...] = ()
    items: int = 0
    image_buckets: tuple[str, ...] = ()
    source: str | None = None
    stop_early: StopEarly | None = None

    @property
    def votes_that_count(self) -> int:
        """How many votes an item needs before thresholds are made of it.

        Where labels close early, all it is to have: one of two votes would say more often than both that a
        label is right, and a label may close in between.
        """
        return 0 if self.stop_early is None else self.reviewers

    def check(self) -> "JobSettings":
        """Return these settings if a job can be launched with them; else `InputError` names the one at fault.

        >>> JobSettings(job="dogs", corpus_name="dogs.csv", reviewers=10).check()
        Traceback (most recent call last):
        bulkqa.errors.InputError: 10 reviewers: 1 to 9 can review a page
        """
        # Reading a job needs none of these, and the functions that review pages start without them.
        from bulkqa.flow.bands import check_bands
        from bulkqa.flow.batches import make_batches

        check_job_name(self.job)
        check_bands(self.bands)
        make_batches((), self.batch_size)
        if not 1 <= self.reviewers <= MAX_REVIEWERS:
            raise InputError(f"{self.reviewers} reviewers: 1 to {MAX_REVIEWERS} can review a page")
        if not 0 <= self.minimum_confidence <= 100:
            raise InputError(f"minimum confidence {self.minimum_confidence:g} is outside 0 to 100")
        if not -(2**63) <= self.seed < 2**63:
            raise InputError(f"seed {self.seed} is outside 64 bits")
        if self.stop_early is not None:
            from bulkqa.flow.thresholds import check_shares

            check_shares(self.stop_early.target, self.stop_early.assurance)
            if self.stop_early.reviews < 1:
                raise InputError(f"stop early at {self.stop_early.reviews} reviews: at least 1 is needed")
        return self

    def to_json(self, created_at: str) -> bytes:
        """Return the contents of `job.json`."""
        document = {"schema": SCHEMA, "created_at": created_at, **asdict(self)}
        if self.stop_early is None:
            del document["stop_early"]
        return json.dumps(document, ensure_ascii=False, indent=1).encode()

    def difference(self, other: "JobSettings") -> str | None:
        """Return a sentence naming the first setting in which `other` differs, or None if it is the same job.

        The corpus is compared by its content; its file name and what follows from it say nothing new.
        """
        for name in (field.name for field in fields(self) if field.name not in _FOLLOWING):
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine != theirs:
                if name == "corpus_sha256":
                    return f"another corpus ({self.corpus_name}, not {other.corpus_name})"
                if name == "checks_sha256":
                    return f"other known answers ({self.checks_name}, not {other.checks_name})"
                if name == "sample":
                    return "no sample" if mine is None else "another sample of the corpus"
                if name == "gate":
                    return "no gate" if mine is None else "a gate" if theirs is None else "another gate"
                if name == "stop_early":
                    return f"{_in_words(mine)}, not {_in_words(theirs)}"
                if name == "items":  # the same corpus, so pictures have come or gone
                    return f"{mine} usable items, not {theirs}: are all pictures where they were?"
                return f"{name.replace('_', ' ')} {mine!r}, not {theirs!r}"
        return None


def _in_words(stop_early: StopEarly | None) -> str:
    if stop_early is None:
        return "every page to be reviewed"
    return (
        f"labels to close early (at {stop_early.reviews} reviews, target {stop_early.target:g}, "
        f"assurance {stop_early.assurance:g})"
    )


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
    buckets = known.get("image_buckets", ())
    sequences = {"labels": known["labels"], "bands": known["bands"], "image_buckets": buckets}
    early, gate = document.get("stop_early"), document.get("gate")
    return JobSettings(
        **known
        | {name: tuple(value) for name, value in sequences.items()}
        | {"stop_early": None if early is None else StopEarly(**early)}
        | {"gate": None if gate is None else StoredGate(**gate)}
    )


@dataclass(frozen=True, kw_only=True)
class Environment:
    """What a Lambda is told by its environment variables; the stack sets them from the same names.

    `image_sources` are the prefixes (`s3://bucket/prefix/`) below which pictures may lie elsewhere; the
    rest is what a launch takes where it is not told.
    """

    bucket: str
    table: str
    image_sources: tuple[str, ...] = ()
    batch_size: int = 25
    minimum_confidence: float = 80
    bands: str = "80,85,90,95,100"

    @classmethod
    def from_variables(cls, variables: Mapping[str, str]) -> "Environment":
        """Return the settings in these environment variables; raise `InputError` naming one that is missing.

        >>> Environment.from_variables({"BULKQA_BUCKET": "b", "BULKQA_TABLE": "t"}).batch_size
        25
        """
        for name in ("BULKQA_BUCKET", "BULKQA_TABLE"):
            if not variables.get(name):
                raise InputError(f"the environment variable {name} is missing")
        given = {
            field.name: variables[f"BULKQA_{field.name.upper()}"]
            for field in fields(cls)
            if variables.get(f"BULKQA_{field.name.upper()}")
        }
        read: dict[str, Any] = dict(given)
        for name, kind in (("batch_size", int), ("minimum_confidence", float), ("image_sources", _prefixes)):
            if name in given:
                try:
                    read[name] = kind(given[name])
                except ValueError:
                    raise InputError(f"the environment variable BULKQA_{name.upper()} is no number") from None
        return cls(**read)

    def variables(self) -> dict[str, str]:
        """Return the environment variables that hold these settings."""
        return {
            "BULKQA_BUCKET": self.bucket,
            "BULKQA_TABLE": self.table,
            "BULKQA_IMAGE_SOURCES": ",".join(self.image_sources),
            "BULKQA_BATCH_SIZE": str(self.batch_size),
            "BULKQA_MINIMUM_CONFIDENCE": f"{self.minimum_confidence:g}",
            "BULKQA_BANDS": self.bands,
        }


def _prefixes(text: str) -> tuple[str, ...]:
    return tuple(prefix for prefix in text.split(",") if prefix)
