"""The test results as a page: one file that needs nothing beside it, with each image correct or not."""

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import jinja2

from bulkqa.evaluation.lookout import PixelMetrics
from bulkqa.evaluation.masks import Masks, Overlap
from bulkqa.evaluation.metrics import ClassMetrics, Evaluation
from bulkqa.evaluation.predictions import Prediction
from bulkqa.evaluation.rekognition import LabelResult
from bulkqa.report_page import EACH, IN_ALL, Pictures
from bulkqa.report_words import count, interval, number, percent
from bulkqa.shipped import shipped

AT_MOST = 500
"""Images shown of each kind, correct and incorrect: the first ones of the file."""


class Card(NamedTuple):
    """An image on the page; `labels` are the anomaly labels it got, `drawing` a PNG of its masks."""

    line: int
    image: str
    ground_truth: str
    predicted: str
    confidence: float | None
    labels: Sequence[str]
    drawing: bytes | None

    @property
    def correct(self) -> bool:
        """Say whether it was predicted as what it is."""
        return self.predicted == self.ground_truth


class Cards:
    """Keeps the first images of each kind as they are read, and the colours of the anomaly labels."""

    def __init__(self, at_most: int = AT_MOST) -> None:
        self._at_most = at_most
        self.kept: dict[bool, list[Card]] = {True: [], False: []}
        self.numbers = {True: 0, False: 0}
        self.colours: dict[str, str] = {}

    def add(
        self, found: Prediction, masks: Masks | None = None, overlaps: Mapping[str, Overlap] | None = None
    ) -> None:
        """Add an image, with its masks and what they have in common."""
        right = found.predicted == found.ground_truth
        self.numbers[right] += 1
        if masks is not None:
            self.colours |= masks.colours()
        if len(self.kept[right]) == self._at_most:
            return
        labels = [label for label, overlap in (overlaps or {}).items() if overlap.predicted]
        self.kept[right].append(
            Card(
                *found[:4],
                found.scores.get(found.predicted),
                labels,
                masks.drawing() if masks is not None and overlaps else None,
            )
        )


class Results(NamedTuple):
    """What the page shows. `positive` is the metrics of the positive of two classes, if there is one."""

    name: str
    evaluation: Evaluation
    positive: ClassMetrics | None
    pixels: Sequence[tuple[PixelMetrics, int]]
    tests: Sequence[LabelResult]
    by: str | None
    slices: Sequence[tuple[str, Evaluation, Any]]
    unlabeled: int
    rejected: int


def render_metrics(results: Results, cards: Cards, pictures: Pictures) -> str:
    """Return the page; `pictures` says how each picture is reached, those of wrong predictions first."""
    style = f"{_part('report/page.css')}\n{_part('metrics/page.css')}\n{_swatches(cards.colours.values())}"
    shown = _shown(cards, pictures)
    page = _environment().get_template("page.html")
    text = page.render(
        results._asdict(),
        policy=f"default-src 'none'; style-src '{_digest(style)}'; img-src 'self' data:; "
        "base-uri 'none'; form-action 'none'",
        style=style,
        colours={label: place for place, label in enumerate(cards.colours)},
        correct=cards.numbers[True],
        correct_cards=shown[True],
        incorrect_cards=shown[False],
        more_correct=cards.numbers[True] - len(shown[True]),
        more_incorrect=cards.numbers[False] - len(shown[False]),
        each=EACH // 1024,
        in_all=IN_ALL // 1024**2,
    )
    return text.strip() + "\n"


def _shown(cards: Cards, pictures: Pictures) -> dict[bool, list[dict[str, Any]]]:
    """Return what the page shows of each card, wrong ones first; masks while there is room."""
    left = IN_ALL
    shown: dict[bool, list[dict[str, Any]]] = {False: [], True: []}
    for right, found in shown.items():
        for card in cards.kept[right]:
            drawing = card.drawing if card.drawing and len(card.drawing) <= left else None
            left -= len(drawing or b"")
            found.append(
                {
                    **card._asdict(),
                    "correct": right,
                    "picture": pictures(card.image),
                    "drawing": drawing and f"data:image/png;base64,{base64.b64encode(drawing).decode()}",
                }
            )
    return shown


def _swatches(colours: Iterable[str]) -> str:
    """Return the rules for the labels' colours, which were read as six hexadecimal digits."""
    return "\n".join(f".c{place} {{ background: {colour}; }}" for place, colour in enumerate(colours))


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


@cache
def _part(name: str) -> str:
    return shipped(f"templates/{name}").read_text("utf-8")


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(shipped("templates/metrics")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "interval": interval, "count": count, "number": number}
    return environment
