"""Corpus: what a model labelled, row by row, each with its confidence.

A corpus file is CSV, read by header name in any column order; JSON Lines with the same fields; or a
manifest as Ground Truth and Rekognition Custom Labels write it, whose lines may hold several labels of an
image. A row that cannot be used becomes a `Rejected` with its line and reason, and reading goes on behind it.
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import NamedTuple

from bulkqa.errors import InputError
from bulkqa.flow.records import Records, Rejected, has_surrogate

IMAGE_FIELDS = ("image_local_path", "image")
"""Names of the image column, the published one first."""

# The label table's key attributes hold at most this many bytes (DynamoDB: partition and sort key).
MAX_IMAGE_BYTES = 2048
MAX_LABEL_BYTES = 1024

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_ABSOLUTE = re.compile(r"[/\\~]|[A-Za-z]:")
_STEP = re.compile(r"[/\\]")


# Named tuples, unlike the other values here: a launch makes some of these for every row of a corpus.
class Item(NamedTuple):
    """An image, one label the model gave it, and the model's confidence in it (0-100)."""

    image: str
    label: str
    confidence: float


class Row(NamedTuple):
    """An item and the physical line of the corpus file on which it begins (the first line is 1)."""

    line: int
    item: Item


Keep = Callable[[Item], Item]
"""A check of an item beyond its text: returns it, perhaps with another reference, or raises `InputError`."""


def read_corpus(lines: Iterable[bytes], name: str, keep: Keep | None = None) -> Iterator[Row | Rejected]:
    r"""Yield every row of a corpus file as a `Row` or a `Rejected`, in file order.

    `lines` are the physical lines of the file as bytes, ends kept; `name` is the file's, for messages.
    An item that `keep` refuses becomes a `Rejected` too.

    Raises `InputError` where nothing can be read at all: an empty file, a header without the columns.

    >>> list(read_corpus([b"label,confidence,image\n", b"Dog,99.5,a.jpg\n", b"Dog,high,b.jpg\n"], "x.csv"))
    ... # doctest: +NORMALIZE_WHITESPACE
    [Row(line=2, item=Item(image='a.jpg', label='Dog', confidence=99.5)),
     Rejected(line=3, reason="confidence 'high' is not a number")]
    """
    records = Records(lines, name)
    image = label = confidence = 0
    if records.header is not None:
        image = records.column(*IMAGE_FIELDS)
        label, confidence = records.column("label"), records.column("confidence")
    return _read(records, image, label, confidence, keep)


def _read(
    records: Records, image: int, label: int, confidence: int, keep: Keep | None
) -> Iterator[Row | Rejected]:
    for record in records:
        if isinstance(record, Rejected):
            yield record
            continue
        line, fields = record
        if isinstance(fields, dict):
            for values in _labels_of_json(fields):
                yield read_row(line, values, keep)
        else:
            yield read_row(line, (fields[image], fields[label], fields[confidence]), keep)


def read_row(line: int, values: "Label", keep: Keep | None) -> Row | Rejected:
    """Return the row of what was found on a line, or its rejection.

    >>> read_row(2, ("a.jpg", "Dog", "99.5"), None)
    Row(line=2, item=Item(image='a.jpg', label='Dog', confidence=99.5))
    """
    if isinstance(values, str):
        return Rejected(line, values)
    image, label, confidence = values
    try:
        _check_key(image, "image", MAX_IMAGE_BYTES)
        _check_key(label, "label", MAX_LABEL_BYTES)
        item = Item(check_image(image), label, _confidence(confidence))
        return Row(line, item if keep is None else keep(item))
    except InputError as error:
        return Rejected(line, str(error))


def check_image(image: str) -> str:
    """Return `image` if it may be used as a reference; say why not by raising `InputError`.

    A path has to stay below the folder of pictures, judged on its text alone: not absolute, no step
    `..`. URLs are exempt, but for our own `local://`, which names such a path.

    >>> check_image("dogs/a.jpg"), check_image("s3://bucket/../a.jpg")
    ('dogs/a.jpg', 's3://bucket/../a.jpg')
    """
    path = image
    if "://" in image and _URL.match(image):
        if not image.startswith("local://"):
            return image
        path = image.removeprefix("local://")
    if _ABSOLUTE.match(path):
        raise InputError(f"image path {image!r} is absolute; it has to be relative to the pictures' folder")
    if ".." in path and ".." in _STEP.split(path):
        raise InputError(f"image path {image!r} climbs out of the pictures' folder with '..'")
    return image


Label = tuple[str, str, object] | str
"""Image, label and confidence as found, or why they were not."""


def _labels_of_json(row: dict[str, object]) -> Iterator[Label]:
    """Yield what a line of JSON says: one label, or those of a manifest's line."""
    if "source-ref" in row:
        yield from _labels_of_manifest(row)
        return
    image = next((name for name in IMAGE_FIELDS if name in row), IMAGE_FIELDS[0])
    texts: list[str] = []
    for name in (image, "label", "confidence"):
        if name not in row:
            yield f"field {name!r} is missing"
            return
        value = row[name]
        if isinstance(value, str):
            texts.append(value)
        elif name != "confidence":
            yield f"field {name!r} is no text"
            return
    yield texts[0], texts[1], row["confidence"]


def _labels_of_manifest(row: dict[str, object]) -> Iterator[Label]:
    """Yield the labels in a line of a manifest, whose confidences are shares of 1.

    Each attribute that carries labels has its metadata beside it: one class (`class-name`, `confidence`),
    or several (`class-map`, `confidence-map`). Source: Ground Truth's output data, "classification job
    output" and "multi-label"; Rekognition Custom Labels has an attribute of the first kind for each label.
    """
    image = row["source-ref"]
    if not isinstance(image, str):
        yield "field 'source-ref' is no text"
        return
    found = False
    for name, metadata in row.items():
        if not name.endswith("-metadata") or not isinstance(metadata, dict):
            continue
        found = True
        if "failure-reason" in metadata:
            yield f"{name}: not labelled: {metadata['failure-reason']}"[:300]
        elif isinstance(metadata.get("class-name"), str):
            yield image, metadata["class-name"], _percent(metadata.get("confidence"))
        elif isinstance(metadata.get("class-map"), dict) and isinstance(metadata.get("confidence-map"), dict):
            for number, label in metadata["class-map"].items():
                if isinstance(label, str):
                    yield image, label, _percent(metadata["confidence-map"].get(number))
                else:
                    yield f"{name}: class {number!r} has no name"
        else:
            yield f"{name}: holds no label of the whole image (class-name, or class-map with confidence-map)"
    if not found:
        yield "a manifest's line without any label"


def _percent(share: object) -> object:
    """Return a share of 1 as a confidence; what is no number stays, to be refused under its own name.

    >>> _percent(0.57)
    57.0
    """
    if isinstance(share, bool) or not isinstance(share, int | float):
        return "" if share is None else share
    # Times 100 it would be 56.99999999999999, in another band.
    return float(Decimal(repr(share)).scaleb(2)) if isinstance(share, float) else share * 100


def _check_key(text: str, name: str, most: int) -> None:
    """Refuse a text that cannot be a key of the label table."""
    if text.isascii() and text.isprintable() and len(text) <= most and text.strip():
        return  # nearly all are, and this asks least
    if not text or text.isspace():
        raise InputError(f"the {name} is empty")
    if len(text) * 4 > most and len(text.encode("utf-8", "surrogatepass")) > most:
        raise InputError(f"the {name} is longer than {most} bytes")
    if "\0" in text:
        raise InputError(f"the {name} holds a NUL character")
    if has_surrogate(text):  # JSON can spell what UTF-8 cannot
        raise InputError(f"the {name} is not UTF-8")


def _confidence(value: object) -> float:
    if value == "" or (isinstance(value, str) and value.isspace()):
        raise InputError("the confidence is empty")
    try:
        number = _number(value)
    except (ValueError, OverflowError):
        raise InputError(f"confidence {_shown(value)} is not a number") from None
    if not math.isfinite(number):
        raise InputError(f"confidence {_shown(value)} is not finite")
    if not 0 <= number <= 100:
        raise InputError(f"confidence {_shown(value)} is outside 0-100")
    return number


def _number(value: object) -> float:
    if isinstance(value, str):
        if "_" in value or not value.isascii():  # float() would read 9_9 and digits of other scripts
            raise ValueError
        return float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError
    return float(value)


def _shown(value: object) -> str:
    return repr(value)[:60]
