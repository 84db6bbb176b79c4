"""The page of test results in a real browser: readable by all, in both colour schemes, and on a phone."""

from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]

from bulkqa.evaluation.lookout import PixelMetrics
from bulkqa.evaluation.rekognition import LabelResult
from bulkqa.evaluation.slices import Slice
from bulkqa.report_page import Picture
from tests.support import colour_of, png
from tests.test_metrics_page import HOSTILE, masks, page_of, prediction

pytestmark = pytest.mark.browser


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A page with everything on it, and a picture beside it for each image."""
    (tmp_path / "pictures").mkdir()
    found, predictions = Slice(), []
    for place in range(12):
        truth = ("anomaly", "normal")[place % 2]
        predictions.append(prediction(place, truth, "anomaly" if place % 5 else "normal"))
        found.add(predictions[-1])
        (tmp_path / f"pictures/{place}.png").write_bytes(png(colour_of(place), 64))
    evaluation = found.evaluate("anomaly")
    html = page_of(
        predictions,
        lambda image: Picture(f"pictures/{image}"),
        masks(),
        pixels=[(PixelMetrics("dent", 0.5, None, 0.5, 0.25), 3)],
        tests=[LabelResult(HOSTILE, 3, 0.5, 1.0, None, 0.5)],
        by="line",
        slices=[("A", evaluation, evaluation.macro)],
        unlabeled=1,
        rejected=2,
    )
    file = tmp_path / "page.html"
    file.write_text(html, "utf-8")
    return file


@pytest.mark.parametrize(("width", "scheme"), [(1366, "light"), (390, "dark")])
def test_everybody_can_read_it(browser: Any, page: Path, scheme: str, width: int) -> None:
    """Axe finds nothing, masks lie on their pictures, nothing but tables scrolls sideways, nothing fails."""
    faults: list[str] = []
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    shown = context.new_page()
    shown.on("console", lambda message: faults.append(message.text))
    shown.on("requestfailed", lambda request: faults.append(request.url))
    shown.goto(page.as_uri())
    shown.locator("details summary").click()
    violations = Axe().run(shown).response["violations"]
    assert [(one["id"], one["nodes"][0]["html"]) for one in violations] == []
    assert shown.evaluate("document.documentElement.scrollWidth") <= width
    picture, mask = (
        shown.locator(".shown").first.locator("img").nth(place).bounding_box() for place in (0, 1)
    )
    assert picture == mask
    assert shown.locator(".swatch.c0").first.evaluate("one => getComputedStyle(one).backgroundColor") == (
        "rgb(31, 119, 180)"
    )
    context.close()
    assert faults == []
