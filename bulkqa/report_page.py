"""The report as a page: one file that needs nothing beside it, drawn from the JSON document alone.

`docs/reference/report.md` describes the document. The page loads nothing and says so in its own policy;
where it lies decides how its pictures are reached.
"""

import base64
import hashlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import jinja2

from bulkqa.errors import BulkqaError
from bulkqa.report_words import (
    WIDE,
    Document,
    count,
    interval,
    is_wide,
    number,
    percent,
    signed,
    summary,
    unknowns,
)
from bulkqa.shipped import shipped

EACH = 200 * 1024
IN_ALL = 5 * 1024 * 1024
"""Bytes of a picture's file at most, and of all together, for it to stand in the page itself."""

CURVES, MORE_CURVES = 12, 108
"""Labels whose curves are drawn at once, and how many more on demand: those with most reviews."""

AT_SIGHT = 20
"""Pairs of labels whose pictures are shown, and rows of a long table that stand open."""

ROOMY, DRAWN = 12, 120
"""Labels up to which a confusion matrix is drawn with all its numbers, and printed; and drawn at all."""

_STEPS = (0.5, 0.7, 0.8, 0.9, 0.95, 0.99)
"""Where the colours of the table change."""

_FOUND = (0.5, 0.9)
_MISTAKEN = (0.02, 0.1, 0.3)
"""Where the colours of the confusion matrix change: on its diagonal, and beside it."""

_SECTIONS = (
    *("agreement", "reviewers", "checks", "calibration"),
    *("conflicts", "confusion", "reconciliation", "thresholds", "examples"),
)
"""What a document may lack."""


class Picture(NamedTuple):
    """How a page reaches a picture: what it shows of it, and where it can be opened; None for neither."""

    source: str | None = None
    link: str | None = None


Pictures = Callable[[str], Picture]
"""Says how the picture of a reference is reached. Asked for those first that matter most."""


def linked(reference: str) -> Picture:
    """Return a picture that is not shown: a link where the reference has one, for S3 to its console.

    Addresses signed for a while would be dead when somebody reads the page.

    >>> linked("s3://bucket/a/b c.jpg").link, linked("https://example.org/1.jpg").link, linked("a.jpg").link
    ('https://console.aws.amazon.com/s3/object/bucket?prefix=a/b%20c.jpg', 'https://example.org/1.jpg', None)
    """
    if reference.startswith("s3://"):
        bucket, _, key = reference.removeprefix("s3://").partition("/")
        return Picture(link=f"https://console.aws.amazon.com/s3/object/{quote(bucket)}?prefix={quote(key)}")
    return Picture(link=reference if reference.startswith(("https://", "http://")) else None)


class Embedded:
    """Puts pictures into the page, whole, as long as there is room; links the others.

    `find` returns the file of a reference, or the contents of one that lies elsewhere, and its media type;
    None where there is neither. It raises `BulkqaError` where the file cannot be had.
    """

    def __init__(
        self, find: Callable[[str], tuple[Path | bytes, str] | None], each: int = EACH, in_all: int = IN_ALL
    ) -> None:
        self._find = find
        self._each = each
        self._left = in_all

    def __call__(self, reference: str) -> Picture:
        """Return how a reference is shown."""
        try:
            found = self._find(reference)
            if found is None:
                return linked(reference)
            data, media_type = found
            room = min(self._each, self._left)
            if isinstance(data, Path):
                if data.stat().st_size > room:
                    return Picture(link=data.as_uri())
                data = data.read_bytes()
            elif len(data) > room:
                return linked(reference)
        except (BulkqaError, OSError):  # it was there at the launch; its name still tells which one it was
            return Picture()
        self._left -= len(data)
        return Picture(f"data:{media_type};base64,{base64.b64encode(data).decode()}")


def render_report(document: Document, pictures: Pictures, source: str | None = None) -> str:
    """Return the page of a report; `source` names what it is of where that is no job.

    `document` may have `examples`, as `bulkqa.flow.examples` makes them: the pictures behind the cells.
    """
    document = {**dict.fromkeys(_SECTIONS), **document}
    bands = document["bands"]
    firsts = _firsts(document["confusion"], pictures)
    cells = _cells(document["examples"] or (), bands, pictures)
    names = [_band_name(band, bands[-1]) for band in bands]
    lines = [_line(line, place, names, cells) for place, line in enumerate(document["labels"])]
    shown = [one["picture"].source is not None for cell in cells.values() for one in cell]
    calibration = document["calibration"]
    return (
        _environment()
        .get_template("page.html")
        .render(
            document=document,
            policy=policy(),
            style=_part("page.css"),
            script=_part("page.js"),
            name=document["job"] or source,
            bands=names,
            lines=lines,
            totals=_line(document["totals"], None, names, {}),
            summary=summary(document),
            curves=None if calibration is None else _curves(calibration, bands[0][0]),
            at_once=CURVES,
            at_sight=AT_SIGHT,
            shown=sum(shown),
            examples=len(shown),
            conflicts=_conflicts(document["conflicts"], pictures),
            confusion=_confusion(document["confusion"], firsts, pictures),
            each=EACH // 1024,
            in_all=IN_ALL // 1024**2,
            steps=[f"{100 * bound:g}" for bound in _STEPS],
            wide=round(100 * WIDE),
        )
    )


def policy() -> str:
    """Return the page's content security policy: its own style and script, pictures from where it lies."""
    style, script = (_digest(_part(name)) for name in ("page.css", "page.js"))
    return (
        f"default-src 'none'; style-src '{style}'; script-src '{script}'; img-src 'self' data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


@cache
def _part(name: str) -> str:
    return shipped(f"templates/report/{name}").read_text("utf-8")


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(shipped("templates/report")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": percent,
        "interval": interval,
        "count": count,
        "number": number,
        "signed": signed,
    }
    return environment


def _band_name(band: Sequence[float], last: Sequence[float]) -> str:
    low, high = (number(bound) for bound in band)
    return f"{low} to {high}" if list(band) == list(last) else f"{low} to under {high}"


# The table and the pictures behind it.


def _cells(
    examples: Iterable[Mapping[str, Any]], bands: Sequence[Sequence[float]], pictures: Pictures
) -> dict[tuple[str, int], list[dict[str, Any]]]:
    """Return the examples of each cell; the first one of every cell is asked for before any second one."""
    places = {tuple(band): place for place, band in enumerate(bands)}
    cells: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for one in examples:
        cells.setdefault((one["label"], places[tuple(one["band"])]), []).append(dict(one))
    for rank in range(max(map(len, cells.values()), default=0)):
        for cell in cells.values():
            if rank < len(cell):
                cell[rank]["picture"] = pictures(cell[rank]["image"])
    return cells


def _line(
    line: Document,
    place: int | None,
    names: Sequence[str],
    cells: Mapping[tuple[str, int], list[dict[str, Any]]],
) -> dict[str, Any]:
    """Return a line of the table; its cells are first the whole line, then band by band."""
    label = line.get("label", "")
    whole = dict(line, incorrect=line["disconfirmed"] + line["split"])
    banded = [
        _cell(band) | {"name": name, "id": f"{place}-{at}", "examples": cells.get((label, at), ())}
        for at, (band, name) in enumerate(zip(line["bands"], names, strict=True))
    ]
    examples = sum(len(cell["examples"]) for cell in banded)
    return dict(
        {"corrected": None, "weighted": None, **line},
        id=place,
        whole=_cell(whole),
        cells=banded,
        examples=examples,
    )


def _cell(cell: Document) -> dict[str, Any]:
    reviewed = cell["confirmed"] + cell["incorrect"]
    step = sum(cell["correct"] >= bound for bound in _STEPS) if reviewed else None
    return dict(cell, reviewed=reviewed, step=step, wide=is_wide(cell["interval"]))


# The curves.


class Point(NamedTuple):
    """A band on a curve: its place, its interval's ends, its radius, and what it says."""

    x: float
    y: float
    top: float
    bottom: float
    radius: float
    says: str


class Plot(NamedTuple):
    """A reliability curve, in pixels: the frame, the line where confidence and share are the same, points."""

    label: str | None
    width: float
    height: float
    frame: tuple[float, float, float, float]
    across: list[tuple[float, str]]
    up: list[tuple[float, str]]
    ideal: tuple[float, float, float, float]
    points: list[Point]

    @property
    def says(self) -> str:
        """The curve in words, for those who do not see it."""
        return "; ".join(point.says for point in self.points) or "nothing reviewed"

    @property
    def line(self) -> str:
        """The points as a line."""
        return " ".join(f"{point.x:.1f},{point.y:.1f}" for point in self.points)


def _curves(calibration: Document, lowest: float) -> dict[str, Any]:
    """Return the pooled curve and those of the labels, most reviews first, all on the same axes."""
    labels = sorted(calibration["labels"], key=lambda one: -one["items"])
    drawn = [one for one in labels if one["items"]][: CURVES + MORE_CURVES]
    pooled = _plot(calibration, None, lowest, 440, 320)
    return {
        "pooled": pooled,
        "labels": [(one, _plot(one, one["label"], lowest, 220, 176)) for one in drawn],
        "left_out": sum(one["items"] > 0 for one in labels) - len(drawn),
    }


def _plot(calibration: Document, label: str | None, lowest: float, width: float, height: float) -> Plot:
    """Return a curve: confidence from `lowest` to 100 across, share from 0 to 100 up."""
    left, top, right, bottom = 40.0, 10.0, width - 12, height - 38

    def across(confidence: float) -> float:
        return left + (confidence - lowest) / (100 - lowest) * (right - left)

    def up(share: float) -> float:
        return bottom - share * (bottom - top)

    known = [band for band in calibration["bands"] if band["items"]]
    most = max((band["items"] for band in known), default=1)
    points = [
        Point(
            across(band["confidence"]),
            up(band["correct"]),
            up(band["interval"][1]),
            up(band["interval"][0]),
            3 + 4 * math.sqrt(band["items"] / most),
            f"mean confidence {band['confidence']:.1f}: {percent(band['correct'])} right "
            f"({interval(band['interval'])}), {count(band['items'], 'item')}",
        )
        for band in known
    ]
    step = 20 if width < 300 else 10
    wide = 100 - lowest
    stride = next(size for size in (1, 2, 5, 10, 20, 25, 50) if wide / size <= width / 60)
    first = math.ceil(lowest / stride) * stride
    marks = [first + stride * n for n in range(int((100 - first) / stride) + 1)]
    return Plot(
        label,
        width,
        height,
        (left, top, right - left, bottom - top),
        [(across(mark), f"{mark:g}") for mark in marks],
        [(up(mark / 100), f"{mark}") for mark in range(0, 101, step)],
        (across(lowest), up(lowest / 100), across(100), up(1)),
        points,
    )


# Conflicts.


def _conflicts(conflicts: Document | None, pictures: Pictures) -> dict[str, Any] | None:
    """Return the conflicts; a few pictures are shown of the first pairs, the rest is linked."""
    if conflicts is None:
        return None

    def pairs(kind: str) -> list[dict[str, Any]]:
        return [
            dict(
                one,
                examples=[
                    (image, (pictures if place < AT_SIGHT else linked)(image)) for image in one["examples"]
                ],
            )
            for place, one in enumerate(conflicts[kind])
        ]

    return dict(conflicts, twice=pairs("twice"), confusions=pairs("confusions"))


# The confusion matrix.


class Cell(NamedTuple):
    """A cell of the confusion matrix: its classes, and what it says; empty where there is nothing to say."""

    kind: str
    share: str
    items: str
    bounds: str


def _firsts(confusion: Document | None, pictures: Pictures) -> list[Picture]:
    """Return the first picture of each of the pairs that are most confused."""
    pairs = [] if confusion is None else confusion["most_confused"][:AT_SIGHT]
    return [pictures(pair["examples"][0]) for pair in pairs]


def _confusion(
    confusion: Document | None, firsts: Sequence[Picture], pictures: Pictures
) -> dict[str, Any] | None:
    """Return the confusion matrix; pictures are shown of those pairs whose first ones are given."""
    if confusion is None:
        return None
    places = _drawn(confusion)
    roomy = len(places) <= ROOMY
    labels, shares = confusion["labels"], confusion["matrix"]
    recalls = {
        label: (shares[place][place], confusion["bounds"][place][place]) for place, label in enumerate(labels)
    }
    totals = [sum(column) for column in zip(*confusion["counts"], strict=True)]
    return dict(
        confusion,
        says=unknowns(confusion),
        roomy=roomy,
        names=[labels[place] for place in places],
        rows=[(labels[row], [_share(confusion, row, column, roomy) for column in places]) for row in places],
        totals=[number(round(totals[place], 1)) for place in places],
        left_out=len(labels) - len(places),
        unknown=[(one, *recalls[one["label"]]) for one in confusion["unknown"]],
        pairs=[
            dict(
                one,
                images=round(one["items"], 1),
                examples=[
                    *zip(one["examples"], firsts[place : place + 1], strict=False),
                    *(
                        (image, (pictures if place < len(firsts) else linked)(image))
                        for image in one["examples"][place < len(firsts) :]
                    ),
                ],
            )
            for place, one in enumerate(confusion["most_confused"])
        ],
        found=[f"{100 * bound:g}" for bound in _FOUND],
        mistaken=[f"{100 * bound:g}" for bound in _MISTAKEN],
    )


def _drawn(confusion: Document) -> list[int]:
    """Return the places of the labels that are drawn: where there are too many, those in most mistakes."""
    counts = confusion["counts"]
    columns = [sum(column) for column in zip(*counts, strict=True)]
    mistakes = [sum(row) + columns[place] - 2 * row[place] for place, row in enumerate(counts)]
    return sorted(sorted(range(len(counts)), key=lambda place: -mistakes[place])[:DRAWN])


def _share(confusion: Document, row: int, column: int, roomy: bool) -> Cell:
    """Return a cell; one without items says what it could be at most only where there is room for it."""
    share, bounds = confusion["matrix"][row][column], confusion["bounds"][row][column]
    items = confusion["counts"][row][column]
    between = "" if bounds is None or bounds[0] == bounds[1] else interval(bounds)
    own = "own " if row == column else ""
    if not items:
        shown = "–" if share is None else "0"
        return Cell(f"{own}none", shown, "", between if roomy or own else "")
    if own:
        step = 4 + sum(share >= bound for bound in _FOUND)
    else:
        step = 3 - sum(share >= bound for bound in _MISTAKEN)
    return Cell(f"{own}h{step}", percent(share), number(round(items, 1)), between)
