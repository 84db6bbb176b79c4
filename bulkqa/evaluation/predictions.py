"""Predictions: what a model said of images whose ground truth is known, a line of a file at a time.

The content of each line tells what it is:

    evaluation manifest   of Lookout for Vision: an attribute, and one of the same name with `-detected`
    test manifest         of Rekognition Custom Labels: an attribute for each label, with evaluation details
    output manifest       of Ground Truth: an attribute that a person gave and one that a model gave
    plain lines           JSON Lines, CSV or Parquet with `ground_truth` and `predicted`

A line that cannot be used becomes a `Rejected` with its reason, and reading goes on behind it.
"""

import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple, Self

from bulkqa import parquet
from bulkqa.errors import InputError
from bulkqa.flow.corpus import IMAGE_FIELDS
from bulkqa.flow.records import Records, Rejected

NORMAL, ANOMALY = "normal", "anomaly"
"""The two classes of Lookout for Vision; the second is the positive one."""

TRUE_MASK, PREDICTED_MASK = "anomaly-mask-ref", "anomaly-mask-ref-detected"
"""The fields of Lookout's lines that name masks; see `masks`."""

DETAILS = "rekognition-custom-labels-evaluation-details"
"""What the metadata of a test manifest's attribute holds, and no other."""

_NEEDED = ("ground_truth", "predicted")
_COLUMNS = (*_NEEDED, "score", "confidence", "weight")
_METADATA, _DETECTED = "-metadata", "-detected"
_IMAGES = (*IMAGE_FIELDS, "source-ref")
_PLACE = re.compile(r": line \d+ column \d+ \(char (\d+)\)$")


class Prediction(NamedTuple):
    """An image with the label it should have and the one it got; `line` is where it stands, from 1 on.

    `score` is the line's own: of two classes that of the positive one, of more the confidence in the
    predicted one; 0-1, None where the line has none. `scores` are those of classes by name, where it is known
    whose they are. `image` is empty where the line names none; `fields` is the whole line; `weight` what the
    image counts.
    """

    line: int
    image: str
    ground_truth: str
    predicted: str
    score: float | None
    scores: Mapping[str, float]
    fields: Mapping[str, object]
    weight: float | None = None


class Unlabeled(Rejected):
    """A line of an evaluation manifest whose image is said to be neither normal nor an anomaly."""

    __slots__ = ()


class MultiLabel(Rejected):
    """An image of a test manifest with no true label or several: in no matrix, yet a test of each label.

    `present` are the labels of the ground truth, `scores` those of every label.
    """

    image: str
    present: Collection[str]
    scores: Mapping[str, float]

    def __new__(
        cls, line: int, reason: str, image: str, present: Collection[str], scores: Mapping[str, float]
    ) -> Self:
        """Return the rejection with what the line holds all the same."""
        self = super().__new__(cls, line, reason)
        self.image, self.present, self.scores = image, present, scores
        return self


def read_predictions(
    source: Path | Iterable[bytes], name: str | None = None
) -> Iterator[Prediction | Rejected]:
    r"""Yield every line of a file as a `Prediction` or a `Rejected`, in file order.

    `source` is a file, or the physical lines of one as bytes, ends kept; `name` is what messages call it.
    An image that came before is rejected.

    Raises `InputError` where nothing can be read at all: no such file, an empty one, a CSV header without
    the columns; and for a score or confidence outside 0-1: those of 0-100 are never guessed at.

    >>> lines = [b"ground_truth,predicted,confidence\n", b"cat,dog,0.7\n", b"cat,,0.9\n"]
    >>> found = list(read_predictions(lines, "x.csv"))
    >>> found[0].predicted, found[0].scores, found[1]
    ('dog', {'dog': 0.7}, Rejected(line=3, reason='predicted is empty'))
    """
    if isinstance(source, Path):
        yield from _read_file(source, name or str(source))
        return
    name = name or "the predictions"
    records = Records(source, name)
    if records.header is not None:
        for column in _COLUMNS:
            if column in records.header or column in _NEEDED:
                records.column(column)
    first: dict[str, int] = {}
    for record in records:
        found = _readable(record) if isinstance(record, Rejected) else _of_record(record, records, name)
        image = found.image if isinstance(found, Prediction | MultiLabel) else ""
        if image and first.setdefault(image, found.line) != found.line:
            yield Rejected(found.line, f"image {image!r} stands on line {first[image]} already")
        else:
            yield found


def _read_file(path: Path, name: str) -> Iterator[Prediction | Rejected]:
    if not path.is_file():
        raise InputError(f"{name}: no such file")
    with path.open("rb") as file:
        lines = parquet.lines(file) if parquet.is_parquet(path) else file
        yield from read_predictions(lines, name)


def _readable(rejected: Rejected) -> Rejected:
    """Return a rejected line; where its JSON breaks, the reason names the column alone."""
    place = _PLACE.search(rejected.reason)
    if place is None:
        return rejected
    column = int(place[1]) + 1
    return rejected._replace(reason=f"{rejected.reason[: place.start()]} (column {column})")


def _of_record(
    record: tuple[int, list[str]] | tuple[int, dict[str, object]], records: Records, name: str
) -> Prediction | Rejected:
    line, values = record
    if isinstance(values, list):
        row: dict[str, object] = dict(zip(records.header or (), values, strict=True))
        return _of_plain(line, row, name)
    try:
        if not _finite(values):
            return Rejected(line, "not readable as JSON: NaN and Infinity are not JSON")
    except RecursionError:
        return Rejected(line, "not readable as JSON: nested too deeply")
    if "ground_truth" in values or "predicted" in values:
        return _of_plain(line, values, name)
    if "source-ref" not in values:
        return Rejected(line, "neither 'ground_truth' and 'predicted' nor the 'source-ref' of a manifest")
    return _of_manifest(line, values, name)


def _finite(value: object) -> bool:
    """Say whether a value of JSON is without what Python reads as JSON and nobody else does."""
    if isinstance(value, float):
        return math.isfinite(value)
    inner: Iterable[object] = ()
    if isinstance(value, dict):
        inner = value.values()
    elif isinstance(value, list):
        inner = value
    # Nearly all are text, and this asks least.
    return all(type(one) is str or _finite(one) for one in inner)


# Plain lines.


def _of_plain(line: int, row: dict[str, object], name: str) -> Prediction | Rejected:
    where = f"{name}, line {line}"
    try:
        truth, predicted = _label(row, "ground_truth"), _label(row, "predicted")
        score, confidence = (_share(row.get(field), field, where) for field in ("score", "confidence"))
        scores = _scores(row.get("scores"), where)
        weight = _weight(row.get("weight"))
    except _UnusableError as unusable:
        return Rejected(line, str(unusable))
    if confidence is not None and score is None:  # which says more: whose it is does not depend on the line
        scores.setdefault(predicted, confidence)
    image = next((str(row[field]) for field in _IMAGES if row.get(field)), "")
    return Prediction(
        line, image, truth, predicted, confidence if score is None else score, scores, row, weight
    )


class _UnusableError(Exception):
    """Why a line cannot be used."""


def _label(row: Mapping[str, object], field: str) -> str:
    value = row.get(field)
    if value is None:
        raise _UnusableError(f"field {field!r} is missing")
    if isinstance(value, dict | list):
        raise _UnusableError(f"field {field!r} is no label")
    label = str(value)
    if not label or label.isspace():
        raise _UnusableError(f"{field} is empty")
    return label


def _number(value: object, field: str) -> float | None:
    """Return a number, as JSON has it or as text; None where there is none."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = float(value)
    # float() would read 9_9 and digits of other scripts.
    elif isinstance(value, str) and value.isascii() and "_" not in value:
        try:
            number = float(value)
        except ValueError:
            raise _UnusableError(f"{field} {value[:60]!r} is not a number") from None
    else:
        raise _UnusableError(f"{field} {repr(value)[:60]} is not a number")
    if not math.isfinite(number):
        raise _UnusableError(f"{field} {value!r} is not finite")
    return number


def _share(value: object, field: str, where: str) -> float | None:
    number = _number(value, field)
    if number is not None and not 0 <= number <= 1:
        raise InputError(f"{where}: {field} {number:g} is outside 0-1; one of 0-100 has to be divided by 100")
    return number


def _weight(value: object) -> float | None:
    weight = _number(value, "weight")
    if weight is not None and weight < 0:
        raise _UnusableError(f"weight {weight:g} is less than 0")
    return weight


def _scores(value: object, where: str) -> dict[str, float]:
    if value is None or value == "":
        return {}
    if not isinstance(value, dict):
        raise _UnusableError("field 'scores' is no object with a score for each class")
    found = {label: _share(score, f"scores of {label!r}", where) for label, score in value.items()}
    return {label: score for label, score in found.items() if score is not None}


def complement(share: float) -> float:
    """Return 1 - `share` as it would be written down, so that equal scores stay equal.

    >>> 1 - 0.9, complement(0.9)
    (0.09999999999999998, 0.1)
    """
    return float(1 - Decimal(repr(share)))


# Manifests.


def _of_manifest(line: int, row: dict[str, object], name: str) -> Prediction | Rejected:
    image = row["source-ref"]
    if not isinstance(image, str) or not image:
        return Rejected(line, "field 'source-ref' is no text")
    attributes = {
        key.removesuffix(_METADATA): value
        for key, value in row.items()
        if key.endswith(_METADATA) and isinstance(value, dict)
    }
    tests = {key: value for key, value in attributes.items() if DETAILS in value}
    where = f"{name}, line {line}"
    try:
        if tests:
            return _of_test(line, image, row, tests, where)
        if any("objects" in value for value in attributes.values()):
            return Rejected(line, "objects in an image, of a detection model: they have no confusion matrix")
        for key, metadata in attributes.items():
            truth = attributes.get(key.removesuffix(_DETECTED), {})
            pair = truth.get("class-name"), metadata.get("class-name")
            if key.endswith(_DETECTED) and not {NORMAL, ANOMALY}.isdisjoint(filter(_is_text, pair)):
                return _of_lookout(line, image, row, key, pair, where)
        return _of_ground_truth(line, image, row, attributes, where)
    except _UnusableError as unusable:
        return Rejected(line, str(unusable))


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _metadata_of(row: Mapping[str, object], key: str) -> Mapping[str, object]:
    metadata = row[key + _METADATA]
    return metadata if isinstance(metadata, dict) else {}


def _confidence(row: Mapping[str, object], key: str, where: str) -> float | None:
    field = f"confidence of {key + _METADATA!r}"
    return _share(_metadata_of(row, key).get("confidence"), field, where)


def _of_lookout(
    line: int, image: str, row: dict[str, object], key: str, pair: tuple[object, object], where: str
) -> Prediction | Rejected:
    """Read a line of an evaluation manifest: `class-name` decides, whatever the attributes' integers say.

    `confidence` is that in the predicted class. Source: Amazon Lookout for Vision Developer Guide, "Viewing
    performance metrics", "Using the evaluation manifest".
    """
    truth, predicted = pair
    neither = f"is neither {NORMAL!r} nor {ANOMALY!r}"
    if not isinstance(predicted, str) or predicted not in (NORMAL, ANOMALY):
        return Rejected(line, f"{key + _METADATA}: class-name {predicted!r} {neither}")
    if not isinstance(truth, str) or truth not in (NORMAL, ANOMALY):
        attribute = key.removesuffix(_DETECTED) + _METADATA
        return Unlabeled(line, f"unlabeled: {attribute}: class-name {truth!r} {neither}")
    confidence = _confidence(row, key, where)
    if confidence is None:
        return Prediction(line, image, truth, predicted, None, {}, row)
    other = NORMAL if predicted == ANOMALY else ANOMALY
    scores = {predicted: confidence, other: complement(confidence)}
    return Prediction(line, image, truth, predicted, scores[ANOMALY], scores, row)


def _of_test(
    line: int, image: str, row: dict[str, object], tests: Iterable[str], where: str
) -> Prediction | Rejected:
    """Read a line of a test manifest: the label with the highest confidence is the prediction.

    Of equally high ones the first in code-point order. Source: Amazon Rekognition Custom Labels Developer
    Guide, "Understanding the training and testing results manifests".
    """
    scores: dict[str, float] = {}
    present = []
    for key in tests:
        metadata = _metadata_of(row, key)
        if "objects" in metadata:
            return Rejected(line, "objects in an image, of a detection model: they have no confusion matrix")
        label, details = metadata.get("class-name"), metadata[DETAILS]
        is_present = details.get("is-present-in-ground-truth") if isinstance(details, dict) else None
        confidence = _confidence(row, key, where)
        if not isinstance(label, str) or not label:
            return Rejected(line, f"{key + _METADATA}: class-name is missing")
        if not isinstance(is_present, bool) or confidence is None:
            lacks = "confidence" if confidence is None else "is-present-in-ground-truth"
            return Rejected(line, f"{key + _METADATA}: {lacks} is missing")
        if label in scores:
            return Rejected(line, f"label {label!r} has two evaluations")
        scores[label] = confidence
        if is_present:
            present.append(label)
    if len(present) != 1:
        many = f"{len(present)} labels are present in the ground truth: {', '.join(sorted(present))}"
        reason = many if present else "no label is present in the ground truth"
        return MultiLabel(line, reason[:300], image, present, scores)
    top = min(scores, key=lambda label: (-scores[label], label))
    return Prediction(line, image, present[0], top, scores[top], scores, row)


def _of_ground_truth(
    line: int,
    image: str,
    row: dict[str, object],
    attributes: Mapping[str, Mapping[str, object]],
    where: str,
) -> Prediction | Rejected:
    """Read a line of an output manifest: one label that a person gave, and one that a model gave.

    Source: Amazon SageMaker Developer Guide, "Labeling job output data".
    """
    for key, metadata in attributes.items():
        if "failure-reason" in metadata:
            return Rejected(line, f"{key + _METADATA}: not labelled: {metadata['failure-reason']}"[:300])
    found = []
    for who, whose in (("yes", "a person"), ("no", "a model")):
        keys = [
            key
            for key, metadata in attributes.items()
            if isinstance(metadata.get("class-name"), str) and metadata.get("human-annotated") == who
        ]
        if len(keys) != 1:
            found_so_far = f"{len(keys) or 'no'} attributes with a class-name from {whose}"
            return Rejected(line, f"{found_so_far} (human-annotated {who!r}): one is needed")
        found.append(keys[0])
    truth, predicted = (_label(_metadata_of(row, key), "class-name") for key in found)
    confidence = _confidence(row, found[1], where)
    scores = {} if confidence is None else {predicted: confidence}
    return Prediction(line, image, truth, predicted, confidence, scores, row)
