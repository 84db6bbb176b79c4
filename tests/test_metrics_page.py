"""The page of test results: what stands on it, and that nothing of a manifest becomes markup."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bulkqa.evaluation.lookout import PixelMetrics
from bulkqa.evaluation.masks import Mask, Masks
from bulkqa.evaluation.predictions import ANOMALY, Prediction
from bulkqa.evaluation.rekognition import LabelResult
from bulkqa.evaluation.slices import Slice
from bulkqa.metrics_page import Cards, Results, render_metrics
from bulkqa.report_page import Picture, Pictures, linked

HOSTILE = '<img src=x onerror=alert(1)>"&'


def prediction(place: int, truth: str, predicted: str, image: str | None = None) -> Prediction:
    """A prediction with a confidence of 0.75."""
    name = f"{place}.png" if image is None else image
    return Prediction(place, name, truth, predicted, 0.75, {predicted: 0.75}, {})


def masks(label: str = "dent", colour: str = "#1f77b4") -> Masks:
    """A mask that is true and predicted, of one label."""
    pixels = np.zeros((6, 8), dtype=np.int16)
    pixels[2:5, 2:6] = 1
    mask = Mask((label,), (colour,), pixels, Path("m.png"))
    return Masks(mask, mask)


def page_of(
    predictions: list[Prediction], pictures: Pictures = linked, drawn: Masks | None = None, **more: Any
) -> str:
    """The page of predictions, each with the same masks."""
    found, cards = Slice(), Cards(at_most=more.pop("at_most", 500))
    for one in predictions:
        found.add(one)
        cards.add(one, drawn, None if drawn is None else drawn.overlaps())
    evaluation = found.evaluate(ANOMALY if {*found.classes} <= {"normal", ANOMALY} else None)
    positive = evaluation.of(ANOMALY) if ANOMALY in found.classes else None
    known: dict[str, Any] = {
        "pixels": [],
        "tests": [],
        "by": None,
        "slices": [],
        "unlabeled": 0,
        "rejected": 0,
        "name": "x.json",
    }
    results = Results(evaluation=evaluation, positive=positive, **known | more)
    return render_metrics(results, cards, pictures)


PARTS = [
    prediction(1, "anomaly", "anomaly"),
    prediction(2, "normal", "anomaly"),
    prediction(3, "normal", "normal"),
]


def tiles(page: str) -> dict[str, str]:
    """The numbers at the top."""
    return dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", page))


def test_it_counts_what_is_correct() -> None:
    """Correct and incorrect images stand first, with the rates of the anomaly."""
    found = tiles(page_of(PARTS, unlabeled=2, rejected=1))
    assert (found["Correct"], found["Incorrect"]) == ("2", "1")
    assert (found["Precision of anomaly"], found["Recall of anomaly"]) == ("50.0%", "100%")
    page = page_of(PARTS, unlabeled=2, rejected=1)
    assert "2 images are unlabeled and left out." in page and "1 line could not be used." in page


def test_each_image_is_correct_or_not() -> None:
    """Incorrect ones come first, with what they are and were taken for."""
    page = page_of(PARTS)
    kinds = re.findall(r'<li class="(correct|incorrect)">', page)
    assert kinds == ["incorrect", "correct", "correct"]
    assert "predicted <bdi>anomaly</bdi>, 75.0%" in page and "ground truth <bdi>normal</bdi>" in page


def test_masks_are_drawn_in_their_labels_colour() -> None:
    """A drawing lies over the picture, and a swatch of its colour stands by the label, on card and table."""
    shown = Picture("data:image/png;base64,AAAA")
    pixels = [(PixelMetrics("dent", 0.5, None, 0.5, 0.25), 3)]
    page = page_of(PARTS[:1], lambda _: shown, masks(), pixels=pixels)
    assert page.count("data:image/png;base64,") == 2
    assert ".c0 { background: #1f77b4; }" in page
    assert page.count('<span class="swatch c0"></span><bdi>dent</bdi>') == 2
    assert "<td>3</td>" in page


def test_a_picture_that_is_not_there_leaves_its_masks() -> None:
    """The drawing then stands by itself and says whose masks they are."""
    assert 'alt="masks of 1.png"' in page_of(PARTS[:1], lambda _: Picture(), masks())


def test_a_picture_elsewhere_is_linked() -> None:
    """One in S3 is linked to its console."""
    page = page_of([prediction(1, "normal", "normal", "s3://bucket/a.png")])
    assert '<a href="https://console.aws.amazon.com/s3/object/bucket?prefix=a.png">' in page


def test_only_the_first_images_are_shown() -> None:
    """Of each kind so many; how many are left out is said, and the totals are of all."""
    page = page_of([prediction(n, "normal", "normal") for n in range(5)], at_most=2)
    assert page.count('<li class="correct">') == 2
    assert "3 more images are not shown." in page
    assert tiles(page)["Correct"] == "5"


def test_room_for_masks_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """When there is no room for another drawing, cards go without."""
    one = page_of(PARTS, drawn=masks()).count("data:image/png")
    monkeypatch.setattr("bulkqa.metrics_page.IN_ALL", 150)
    assert page_of(PARTS, drawn=masks()).count("data:image/png") < one == 3


def test_what_a_manifest_says_is_only_text() -> None:
    """Markup in labels, images, fields and names stands on the page as it is written."""
    drawn = masks(HOSTILE)
    rates = LabelResult(HOSTILE, 3, 0.5, 1.0, None, 0.5)
    first = [prediction(1, HOSTILE, "b", HOSTILE), prediction(2, "c", "c")]
    found = Slice()
    for one in first:
        found.add(one)
    evaluation = found.evaluate()
    page = page_of(
        first,
        drawn=drawn,
        name=HOSTILE,
        by=HOSTILE,
        tests=[rates],
        slices=[(HOSTILE, evaluation, evaluation.macro)],
        pixels=[(PixelMetrics(HOSTILE, 1.0, 1.0, 1.0, 1.0), 1)],
    )
    assert HOSTILE not in page
    assert page.count("&lt;img src=x") > 8


def test_the_page_loads_nothing() -> None:
    """Its policy allows its own style and pictures alone; it has no script."""
    page = page_of(PARTS, drawn=masks())
    policy = re.search(r'Content-Security-Policy" content="(.*?)"', page)
    assert policy is not None and policy[1].startswith("default-src &#39;none&#39;; style-src &#39;sha256-")
    assert "<script" not in page and " style=" not in page
