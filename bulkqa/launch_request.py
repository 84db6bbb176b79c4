"""What a launch on AWS is asked for: by an event of one's own, or by a custom resource's properties.

CloudFormation hands every value over as a text; numbers and truths are read from either.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from bulkqa.errors import InputError
from bulkqa.flow.bands import read_bands
from bulkqa.settings import Environment, JobSettings, StopEarly

_OF_CLOUDFORMATION = {"ServiceToken", "ServiceTimeout"}
_TRUTHS = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class LaunchRequest:
    """A corpus (`s3://...`), whether its pictures are to be copied, and the job to make of it.

    `sample` is a plan (`s3://...`) that says which part of the corpus is launched, `checks` a file of known
    answers (`s3://...`), `gate` what the job's report has to pass (`s3://...`).
    """

    corpus: str
    copy_images: bool
    settings: JobSettings
    sample: str | None = None
    checks: str | None = None
    gate: str | None = None


def read_launch_request(properties: Mapping[str, Any], stage: Environment) -> LaunchRequest:
    """Return what these properties ask for, and what the stage says where they do not.

    Raises `InputError` naming one that is missing, unknown or bad.

    >>> stage = Environment(bucket="b", table="t", minimum_confidence=70)
    >>> asked = read_launch_request({"job": "dogs", "corpus": "s3://b/c.csv", "batch_size": "10"}, stage)
    >>> asked.settings.batch_size, asked.settings.minimum_confidence, asked.settings.host
    (10, 70.0, 'ground-truth')
    """
    known = {name: value for name, value in properties.items() if name not in _OF_CLOUDFORMATION}
    job, corpus = _text(known, "job", None), _text(known, "corpus", None)
    if job is None or corpus is None:
        raise InputError(f"a launch needs {'corpus' if job else 'job'}")
    checks = _text(known, "checks", None)
    settings = JobSettings(
        job=job,
        corpus_name=PurePosixPath(corpus).name,
        seed=_whole(known, "seed", 0),
        batch_size=_whole(known, "batch_size", stage.batch_size),
        minimum_confidence=_number(known, "minimum_confidence", stage.minimum_confidence),
        bands=read_bands(_text(known, "bands", None) or stage.bands),
        reviewers=_whole(known, "reviewers", 1),
        check_rate=_number(known, "check_rate", 0),
        checks_name=None if checks is None else PurePosixPath(checks).name,
        image_root=_text(known, "images", None),
        guideline=_text(known, "guideline", None),
        host=_text(known, "host", None) or "ground-truth",
        stop_early=_stop_early(known),
    )
    copy_images, sample = _truth(known, "copy_images", False), _text(known, "sample", None)
    request = LaunchRequest(corpus, copy_images, settings, sample, checks, _text(known, "gate", None))
    if known:
        raise InputError(f"a launch knows nothing of {', '.join(sorted(known))}")
    return request


def _stop_early(known: dict[str, Any]) -> StopEarly | None:
    """Return when labels close, None where every page is reviewed."""
    shares = {name: _number(known, name, 0) for name in ("target", "assurance") if name in known}
    if "stop_early" not in known:
        if shares:
            raise InputError(f"{' and '.join(shares)} of a launch: only with stop_early")
        return None
    return StopEarly(reviews=_whole(known, "stop_early", 0), **shares)


def _text(known: dict[str, Any], name: str, default: str | None) -> str | None:
    value = known.pop(name, default)
    if value is not None and not isinstance(value, str):
        raise InputError(f"{name} {value!r} is no text")
    return value or default


def _number(known: dict[str, Any], name: str, default: float) -> float:
    value = known.pop(name, default)
    try:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise ValueError
        return float(value)
    except (ValueError, OverflowError):
        raise InputError(f"{name} {value!r} is no number") from None


def _whole(known: dict[str, Any], name: str, default: int) -> int:
    number = _number(known, name, default)
    if number != number // 1:
        raise InputError(f"{name} {number!r} is no whole number")
    return int(number)


def _truth(known: dict[str, Any], name: str, default: bool) -> bool:
    value = known.pop(name, default)
    if isinstance(value, str):
        value = _TRUTHS.get(value.lower(), value)
    if not isinstance(value, bool):
        raise InputError(f"{name} {value!r} is neither true nor false")
    return value
