"""What goes back into training: images with the labels they have in the end, as files that trainers read.

Of the items that are exported, those whose image has a label: confirmed, adjudicated or relabelled.
"""

import csv
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from decimal import Decimal
from hashlib import blake2b
from itertools import count
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple

from bulkqa import SCHEMA
from bulkqa.errors import InputError
from bulkqa.flow.rounds import FinalLabel, Finals
from bulkqa.flow.votes import Outcome

ATTRIBUTE = "label"
"""The attribute of a manifest's lines that has the class."""

METADATA = "metadata.csv"
METADATA_COLUMNS = ("file_name", "s3_image_url", "label", "how", "job", "confidence", "schema")


def manifest(finals: Finals, outcomes: Collection[Outcome], now: str, tally: Counter[str]) -> Iterator[str]:
    """Yield an augmented manifest: a line for each image, the images sorted.

    Classes are numbered from 0 in code-point order of their labels. An image of several labels has an
    attribute for each (`label0`, `label1`, ...), as Rekognition Custom Labels wants it. `tally` counts
    `images`, those with `several` labels, and those `elsewhere` than in S3. `now` is the creation date where
    a row does not tell its own. Source: Rekognition Custom Labels developer guide, "Importing image-level
    labels in manifest files"; SageMaker, "classification job output".
    """
    numbers = {label: number for number, label in enumerate(finals.labels(outcomes))}
    for image, labels in finals.images(outcomes):
        line: dict[str, object] = {"source-ref": image}
        for place, one in enumerate(labels):
            name = ATTRIBUTE if len(labels) == 1 else f"{ATTRIBUTE}{place}"
            line[name] = numbers[one.label]
            line[f"{name}-metadata"] = {
                "class-name": one.label,
                "confidence": float(Decimal(repr(one.confidence)).scaleb(-2)),  # read back, it is the same
                "type": "groundtruth/image-classification",
                "human-annotated": "yes",
                "job-name": one.job or "bulkqa",
                "creation-date": (one.created_at or now).removesuffix("Z"),
            }
        tally["images"] += 1
        tally["several"] += len(labels) > 1
        tally["elsewhere"] += not image.startswith("s3://")
        yield json.dumps(line, ensure_ascii=False) + "\n"


Size = Callable[[str], tuple[int, int] | None]
"""Says width and height of a reference's picture in pixels, None where that is not known."""


def coco(
    finals: Finals, outcomes: Collection[Outcome], now: str, root: str | None, size: Size, tally: Counter[str]
) -> Iterator[str]:
    """Yield a COCO file in pieces: images and categories, and for each label of an image an annotation.

    Annotations are of whole images: they have neither box nor segmentation. Images are numbered from 1 as
    sorted, categories in code-point order of their labels, annotations image by image. A `file_name` starts
    from the place of the images, for pictures in S3 from the prefix `root`. `tally` counts `images`, and
    those `unsized`, of which width and height are not known. `now` is the date of the file. Source: COCO,
    "Data format" (cocodataset.org/#format-data).

    >>> from bulkqa.flow.votes import LabelRow
    >>> rows = [LabelRow(("local://a.png", "Dog"), 90.0, 1)]
    >>> with Finals(rows) as finals:
    ...     text = "".join(coco(finals, [Outcome.CONFIRMED], "", None, lambda image: (8, 6), Counter()))
    >>> json.loads(text)["images"], json.loads(text)["annotations"]
    ... # doctest: +NORMALIZE_WHITESPACE
    ([{'id': 1, 'file_name': 'a.png', 'width': 8, 'height': 6}],
     [{'id': 1, 'image_id': 1, 'category_id': 1}])
    """
    numbers = {label: number for number, label in enumerate(finals.labels(outcomes), 1)}

    def images() -> Iterator[dict[str, object]]:
        for number, (image, _) in enumerate(finals.images(outcomes), 1):
            found: dict[str, object] = {"id": number, "file_name": _below(root, image)}
            pixels = size(image)
            if pixels is not None:
                found |= {"width": pixels[0], "height": pixels[1]}
            if image.startswith(("s3://", "https://", "http://")):
                found["coco_url"] = image
            tally["images"] += 1
            tally["unsized"] += pixels is None
            yield found

    def annotations() -> Iterator[dict[str, object]]:
        ids = count(1)
        for number, (_, labels) in enumerate(finals.images(outcomes), 1):
            for one in labels:
                yield {"id": next(ids), "image_id": number, "category_id": numbers[one.label]}

    info = {"description": "Image labels, exported by bulkqa", "date_created": now, "schema": SCHEMA}
    yield f'{{"info": {json.dumps(info)},\n"licenses": [],\n"categories": ['
    yield from _elements(
        {"id": number, "name": label, "supercategory": ""} for label, number in numbers.items()
    )
    yield '],\n"images": ['
    yield from _elements(images())
    yield '],\n"annotations": ['
    yield from _elements(annotations())
    yield "]}\n"


def _below(root: str | None, image: str) -> str:
    """Return a reference from the place of the images on."""
    prefix = "" if root is None or not root.startswith("s3://") else root.rstrip("/") + "/"
    return image.removeprefix("local://").removeprefix(prefix) or image


def _elements(objects: Iterable[object]) -> Iterator[str]:
    """Yield the elements of a JSON list, each on a line of its own."""
    for place, one in enumerate(objects):
        yield (",\n" if place else "\n") + json.dumps(one, ensure_ascii=False)


Fetch = Callable[[str, BinaryIO], None]
"""Writes the picture of a reference to a file; raises `InputError` where it cannot."""


class _Copy(NamedTuple):
    """A picture to be copied to a file, whose name is taken already."""

    image: str
    label: FinalLabel
    path: Path


_Copied = tuple[_Copy, str | None]
"""A copy, and why it was not made."""


def image_folder(
    finals: Finals,
    outcomes: Collection[Outcome],
    folder: Path,
    fetch: Fetch,
    mapped: Callable[[Callable[[_Copy], "_Copied"], Iterable[_Copy]], Iterable["_Copied"]],
    tally: Counter[str],
) -> Iterator[str]:
    """Fill an empty folder: `<label>/<file>` for each image of one label, and `metadata.csv`.

    Yields the reason of each image that cannot be had. `mapped` is `map`, or does the same many at once.
    `tally` counts `images` copied, `absent` ones, and those with `several` labels, which are left out: there
    each image has one folder.
    """
    names = folder_names(finals.labels(outcomes))

    def copies() -> Iterator[_Copy]:
        for image, labels in finals.images(outcomes):
            if len(labels) > 1:
                tally["several"] += 1
                continue
            within = folder / names[labels[0].label]
            within.mkdir(exist_ok=True)
            yield _Copy(image, labels[0], _take_name(within, image))

    def copied(one: _Copy) -> _Copied:
        try:
            with one.path.open("wb") as file:
                fetch(one.image, file)
        except InputError as error:
            one.path.unlink()
            return one, str(error)
        return one, None

    with (folder / METADATA).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(METADATA_COLUMNS)
        for (image, label, path), reason in mapped(copied, copies()):
            if reason is not None:
                tally["absent"] += 1
                yield reason
                continue
            tally["images"] += 1
            name = path.relative_to(folder).as_posix()
            writer.writerow((name, image, label.label, label.how.value, label.job, label.confidence, SCHEMA))
    for name in names.values():
        within = folder / name
        if within.is_dir() and not any(within.iterdir()):
            within.rmdir()


def _take_name(folder: Path, image: str) -> Path:
    """Return a file in `folder` of the image's name, made so that nobody else gets it.

    Of images of one name, all but the first have a hash of their whole reference in theirs.
    """
    name = PurePosixPath(file_name(re.split(r"[/\\]", image)[-1] or "image"))
    digest = blake2b(image.encode(), digest_size=8).hexdigest()
    path = folder / name
    try:
        path.touch(exist_ok=False)
    except FileExistsError:
        path = folder / f"{name.stem}-{digest}{name.suffix}"
        path.touch(exist_ok=False)
    return path


_UNSAFE = re.compile(r'[%/\\:*?"<>|\x00-\x1f\x7f]|^\.|[. ]$')
_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
_MOST_BYTES = 200


def file_name(text: str) -> str:
    """Return a name for a file or folder on every system; `urllib.parse.unquote` makes `text` of it again.

    But a text of more than 200 bytes is cut, and a hash of all of it put behind.

    >>> file_name("Dog"), file_name("AC/DC"), file_name(".."), file_name("100 %"), file_name("con")
    ('Dog', 'AC%2FDC', '%2E%2E', '100 %25', '%63on')
    """
    name = _UNSAFE.sub(lambda found: _quoted(found[0]), text)
    if _DEVICES.fullmatch(name):
        name = _quoted(name[0]) + name[1:]
    if len(name.encode()) <= _MOST_BYTES:
        return name
    path = PurePosixPath(name)
    suffix = path.suffix if len(path.suffix.encode()) <= 20 else ""
    cut = path.name.removesuffix(suffix).encode()[:_MOST_BYTES].decode("utf-8", "ignore")
    return f"{cut}~{blake2b(text.encode(), digest_size=8).hexdigest()}{suffix}"


def _quoted(text: str) -> str:
    """Return a text with every byte of it escaped."""
    return "".join(f"%{byte:02X}" for byte in text.encode())


def folder_names(labels: Iterable[str]) -> dict[str, str]:
    """Return a folder's name for each label; none is another's, on systems that ignore case neither.

    >>> folder_names(["Dog", "dog", "metadata.csv"])
    {'Dog': 'Dog', 'dog': '%64og', 'metadata.csv': '%6Detadata.csv'}
    """
    names: dict[str, str] = {}
    taken = {METADATA}
    for label in labels:
        name, escaped = file_name(label), 0
        while (key := unicodedata.normalize("NFC", name).casefold()) in taken:
            escaped += 1
            name = _quoted(label[:escaped]) + file_name(label[escaped:])
        taken.add(key)
        names[label] = name
    return names
