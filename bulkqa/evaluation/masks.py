"""Masks: which pixels of an image show which anomaly, as drawn by people and as predicted.

A line of an evaluation manifest names both: `anomaly-mask-ref` is the true mask, `anomaly-mask-ref-detected`
the predicted one (as AWS' own edge application for these models writes it: the guide shows neither in an
evaluation manifest). A mask is a PNG; the `internal-color-map` beside it says which colour is which label.
Needs the extra `analysis`.
"""

import re
import warnings
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

from bulkqa.errors import BulkqaError, InputError
from bulkqa.evaluation.lookout import PixelMetrics
from bulkqa.evaluation.predictions import PREDICTED_MASK, TRUE_MASK

_SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*:/+")
_BACKGROUND = "background"
_WHITE = 0xFFFFFF
_LARGEST = 512
"""The longer side of a drawing, in pixels."""


class Overlap(NamedTuple):
    """Pixels of one label in one image: in both masks, in the predicted one, in the true one."""

    both: int
    predicted: int
    true: int

    @property
    def iou(self) -> float | None:
        """Intersection over union; None where neither mask has the label.

        >>> Overlap(both=2, predicted=3, true=5).iou
        0.3333333333333333
        """
        return _share(self.both, self.predicted + self.true - self.both)


class Mask(NamedTuple):
    """A mask that was read: for each pixel the number of its label, 0 being the background.

    `labels` are those of 1, 2, ...; `colours` are theirs, as #rrggbb.
    """

    labels: tuple[str, ...]
    colours: tuple[str, ...]
    pixels: Any
    path: Path


class Masks(NamedTuple):
    """The masks of one image; None where the line names none, which is one without any anomaly."""

    true: Mask | None
    predicted: Mask | None

    def overlaps(self) -> dict[str, Overlap]:
        """Return the pixels of each label that either mask has."""
        numpy, _ = _load()
        labels = sorted({label for mask in self if mask is not None for label in mask.labels})
        found = {}
        for label in labels:
            true, predicted = (_of_label(mask, label) for mask in self)
            both = 0 if true is None or predicted is None else int(numpy.count_nonzero(true & predicted))
            overlap = Overlap(
                both, *(0 if one is None else int(numpy.count_nonzero(one)) for one in (predicted, true))
            )
            if overlap.predicted or overlap.true:
                found[label] = overlap
        return found

    def colours(self) -> dict[str, str]:
        """Return the colour of each label, the true mask's where both have one."""
        return {
            label: colour
            for mask in (self.predicted, self.true)
            if mask is not None
            for label, colour in zip(mask.labels, mask.colours, strict=True)
        }

    def drawing(self) -> bytes | None:
        """Return a PNG to lay over the picture: predicted areas filled, outlines of true ones; None without.

        It is scaled down to 512 pixels.
        """
        numpy, image = _load()
        either = self.predicted or self.true
        if either is None:
            return None
        step = -(-max(either.pixels.shape) // _LARGEST)
        canvas = numpy.zeros((*(-(-side // step) for side in either.pixels.shape), 4), dtype=numpy.uint8)
        colours = [(label, bytes.fromhex(colour[1:])) for label, colour in self.colours().items()]
        for mask, opacity in ((self.predicted, 130), (self.true, 255)):
            for label, colour in colours:
                area = _of_label(mask, label)
                if area is not None:
                    small = _smaller(numpy, area, step)
                    canvas[_outline(numpy, small) if mask is self.true else small] = (*colour, opacity)
        file = BytesIO()
        image.fromarray(canvas).save(file, format="PNG", optimize=True)
        return file.getvalue()


class PixelTally:
    """Adds up the masks of test images, label by label.

    >>> tally = PixelTally()
    >>> tally.add({"dent": Overlap(both=2, predicted=4, true=2)})  # 2 of 4 pixels
    >>> tally.add({"dent": Overlap(both=0, predicted=0, true=6)})  # a miss
    >>> tally.metrics()
    [PixelMetrics(label='dent', precision=0.5, recall=0.25, f1=0.3333333333333333, aiou=0.25)]
    """

    def __init__(self) -> None:
        self._images: dict[str, list[Overlap]] = {}

    def add(self, overlaps: Mapping[str, Overlap]) -> None:
        """Add one image."""
        for label, overlap in overlaps.items():
            self._images.setdefault(label, []).append(overlap)

    def images(self) -> dict[str, int]:
        """Return in how many images each label is, by the true masks; 0 for one that is predicted only."""
        return {label: sum(one.true > 0 for one in self._images[label]) for label in sorted(self._images)}

    def metrics(self) -> list[PixelMetrics]:
        """Return the metrics of each label that a true mask has, in code-point order.

        The average IoU is the plain mean over the images with the label in either mask: a miss and a false
        alarm count 0.
        """
        return [_metrics(label, self._images[label]) for label, images in self.images().items() if images]


def _metrics(label: str, images: list[Overlap]) -> PixelMetrics:
    both, predicted, true = (sum(column) for column in zip(*images, strict=True))
    shares = [one.iou or 0.0 for one in images]
    return PixelMetrics(
        label,
        _share(both, predicted),
        _share(both, true),
        _share(2 * both, predicted + true),
        sum(shares) / len(shares),
    )


def _share(part: int, of: int) -> float | None:
    return part / of if of else None


class MaskFolder:
    """The folder of this machine where masks lie that a manifest, whose name is `name`, refers to."""

    def __init__(self, folder: Path, name: str) -> None:
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder of masks")
        _load()
        self._folder = folder
        self._name = name

    def read(self, line: int, fields: Mapping[str, object]) -> Masks:
        """Return the masks that a line names.

        Raises `InputError`, naming line and file, for one that is not there, is no PNG, has a colour that is
        not in its map, or for two that are not of the same size or are the same file.
        """
        where = f"{self._name}, line {line}"
        masks = Masks(*(self._read(where, fields, key) for key in (TRUE_MASK, PREDICTED_MASK)))
        if masks.true is not None and masks.predicted is not None:
            (true, _), (predicted, _) = ((mask.path, mask.pixels.shape) for mask in masks if mask is not None)
            if true == predicted:
                raise InputError(f"{where}: true and predicted mask are the same file: {true}")
            sizes = [f"{mask.path} {_size(mask)}" for mask in (masks.true, masks.predicted)]
            if masks.true.pixels.shape != masks.predicted.pixels.shape:
                raise InputError(f"{where}: the masks are not of the same size: {', '.join(sizes)}")
        return masks

    def _read(self, where: str, fields: Mapping[str, object], key: str) -> Mask | None:
        reference = fields.get(key)
        if reference is None:
            return None
        if not isinstance(reference, str):
            raise InputError(f"{where}: {key!r} is no text")
        path = find_file(self._folder, reference)
        if path is None:
            raise InputError(f"{where}: {key} {reference!r}: no such file below {self._folder}")
        metadata = fields.get(f"{key}-metadata")
        colours = metadata.get("internal-color-map") if isinstance(metadata, dict) else None
        labels = _labels_of(colours, f"{where}: {key}-metadata")
        return _read_mask(path, labels, f"{where}: {path}")


def find_file(folder: Path, reference: str) -> Path | None:
    """Return the file below a folder that a reference names; None where there is none.

    What stands before the path (`s3://`, `file:/`) is left off, then one leading folder after the other, the
    bucket first: a copy of any part of it will do. A reference that climbs with `..` names nothing.
    """
    parts = [part for part in _SCHEME.sub("", reference).split("/") if part]
    if ".." in parts:
        return None
    for place in range(len(parts)):
        path = folder.joinpath(*parts[place:])
        if path.is_file():
            return path
    return None


def _labels_of(colours: object, where: str) -> dict[int, str]:
    """Return the label of each colour; that of the background is empty. White is background by itself."""
    if not isinstance(colours, dict):
        raise InputError(f"{where}: 'internal-color-map' is missing")
    found: dict[int, str] = {}
    for number, entry in colours.items():
        here = f"{where}: internal-color-map {number!r}"
        fields = entry if isinstance(entry, dict) else {}
        label = fields.get("class-name", fields.get("name"))  # the edge application's word is `name`
        colour = fields.get("hex-color")
        if not isinstance(label, str) or not label:
            raise InputError(f"{here}: class-name is missing")
        code = _code(colour)
        if code is None:
            raise InputError(f"{here}: hex-color {colour!r} is no colour, such as #2ca02c")
        if code in found:
            raise InputError(f"{here}: the colour {colour} stands for two labels")
        found[code] = "" if label.lower() == _BACKGROUND else label
    if len(set(found.values())) < len(found):
        raise InputError(f"{where}: internal-color-map has a label twice")
    if "" not in found.values():
        found.setdefault(_WHITE, "")
    return found


def _code(colour: object) -> int | None:
    if not isinstance(colour, str) or len(colour) != 7 or not colour.startswith("#"):
        return None
    try:
        return int(colour[1:], 16)
    except ValueError:
        return None


def _read_mask(path: Path, labels: Mapping[int, str], where: str) -> Mask:
    numpy, image = _load()
    try:
        with warnings.catch_warnings(action="error"), image.open(path) as opened:
            if opened.format != "PNG":
                raise InputError(
                    f"{where}: a mask has to be PNG, whose colours are exact; it is {opened.format}"
                )
            colours = numpy.asarray(opened.convert("RGB")).astype(numpy.uint32)
    except (OSError, ValueError, SyntaxError, Warning, image.DecompressionBombError) as error:
        raise InputError(f"{where}: the mask cannot be read: {error}") from None
    codes = colours[..., 0] << 16 | colours[..., 1] << 8 | colours[..., 2]
    named = {code: label for code, label in labels.items() if label}
    pixels = numpy.full(codes.shape, -1, dtype=numpy.int16)
    for code, label in labels.items():
        pixels[codes == code] = list(named).index(code) + 1 if label else 0
    if (pixels < 0).any():
        row, column = map(int, numpy.argwhere(pixels < 0)[0])
        colour = f"#{int(codes[row, column]):06x}"
        raise InputError(f"{where}: the colour {colour} at x {column}, y {row} is not in internal-color-map")
    return Mask(tuple(named.values()), tuple(f"#{code:06x}" for code in named), pixels, path)


def _of_label(mask: Mask | None, label: str) -> Any:
    """Return where a mask has a label, as an array of booleans; None where it has none."""
    if mask is None or label not in mask.labels:
        return None
    return mask.pixels == mask.labels.index(label) + 1


def _smaller(numpy: Any, area: Any, step: int) -> Any:
    """Return an area with one pixel for step x step of them, in it where any of them is: none gets lost."""
    height, width = area.shape
    padded = numpy.pad(area, ((0, -height % step), (0, -width % step)))
    rows, columns = (side // step for side in padded.shape)
    return padded.reshape(rows, step, columns, step).any(axis=(1, 3))


def _outline(numpy: Any, area: Any) -> Any:
    """Return the pixels of an area that are at most two from its edge."""
    inside = area
    for _ in range(2):
        inner = numpy.zeros_like(area)
        inner[1:-1, 1:-1] = inside[:-2, 1:-1] & inside[2:, 1:-1] & inside[1:-1, :-2] & inside[1:-1, 2:]
        inside = inner
    return area & ~inside


def _size(mask: Mask) -> str:
    height, width = mask.pixels.shape
    return f"({width} x {height})"


def _load() -> tuple[Any, Any]:
    """Return numpy and Pillow's Image; raise `BulkqaError` where they are not installed."""
    try:
        import numpy
        from PIL import Image
    except ImportError:
        raise BulkqaError("masks need the extra 'analysis': pip install 'bulkqa[analysis]'") from None
    return numpy, Image
