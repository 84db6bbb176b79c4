"""The page of a verdict in a real browser: readable by all, in both colour schemes, sorted by a click."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]

from bulkqa.flow.evidence import Value
from bulkqa.flow.slices import MetricKey
from tests.test_gate_page import HOSTILE, metrics_of, page_of

pytestmark = pytest.mark.browser

Open = Callable[..., Any]


@pytest.fixture
def show(browser: Any, tmp_path: Path) -> Iterator[Open]:
    """Open a page; a request, an error or a message of the page's own fails the test at its end."""
    contexts: list[Any] = []
    faults: list[str] = []
    file = tmp_path / "verdict.html"

    def watch(asked: Any) -> None:
        if asked.url.partition("#")[0] != file.as_uri():
            faults.append(f"request: {asked.url}")

    def open_page(page_text: str, width: int = 1366, height: int = 768, **options: Any) -> Any:
        file.write_text(page_text, "utf-8")
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(f"error: {error}"))
        page.on("console", lambda message: faults.append(f"message: {message.text}"))
        page.on("request", watch)
        page.goto(file.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert faults == []


@pytest.mark.parametrize("confidence", [None, 0.95], ids=["points", "intervals"])
@pytest.mark.parametrize(("size", "scheme"), [((1366, 768), "light"), ((390, 844), "dark")], ids=str)
def test_everybody_can_read_it(
    show: Open, size: tuple[int, int], scheme: str, confidence: float | None
) -> None:
    """Axe finds nothing, and only tables scroll sideways."""
    page = show(page_of(metrics_of(20), confidence=confidence), *size, color_scheme=scheme)
    found = [(one["id"], one["nodes"][0]["html"]) for one in Axe().run(page).response["violations"]]
    assert found == []
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]


def names(page: Any) -> list[str]:
    """The slices in the table of metrics, from top to bottom."""
    found: list[str] = page.locator("#metrics tbody th").all_inner_texts()
    return found


def test_a_click_sorts(show: Open) -> None:
    """Numbers by size and names as people count, upwards first and downwards next."""
    page = show(page_of(metrics_of(12)))
    page.locator("#metrics thead").get_by_role("button", name="Slice").click()
    assert names(page) == [*(f"age = {age}" for age in range(12)), "overall"]
    header = page.locator("#metrics thead th", has_text="auc")
    header.get_by_role("button").click()
    assert header.get_attribute("aria-sort") == "ascending"
    assert names(page)[3] == "overall"
    header.get_by_role("button").click()
    assert header.get_attribute("aria-sort") == "descending"
    assert names(page)[0] == "age = 11"
    assert page.locator("#metrics th[aria-sort]").count() == 1


def test_numbers_of_thousands_are_sorted_as_numbers(show: Open) -> None:
    """Separators do not get in the way."""
    metrics = metrics_of(1200)
    metrics.put(0, MetricKey("few", "candidate"), Value(0.5))
    page = show(page_of(metrics, "few: {at_least: 0.5, slices: overall}\nauc: {at_least: 0.1}"))
    page.locator("#thresholds thead").get_by_role("button", name="Slices").click()
    assert page.locator("#thresholds tbody th").all_inner_texts() == ["few", "auc"]
    page.locator("#thresholds thead").get_by_role("button", name="Slices").click()
    assert page.locator("#thresholds tbody th").all_inner_texts() == ["auc", "few"]


def test_it_works_without_script(show: Open) -> None:
    """Tables and plots are there; nothing looks like a button."""
    page = show(page_of(metrics_of(5)), java_script_enabled=False)
    assert page.locator("button").count() == 0
    assert names(page)[:3] == ["age = 0", "age = 1", "age = 2"]
    point = page.locator("#plots circle").first.bounding_box()
    limit = page.locator("#plots .limit").first.bounding_box()
    assert point["x"] < limit["x"]  # the worst comes first, and it is below


def test_a_hostile_name_is_only_text(show: Open) -> None:
    """Markup in the name of a slice stays text, also when it is sorted."""
    metrics = metrics_of(2)
    metrics.add(((HOSTILE, HOSTILE),))
    page = show(page_of(metrics))
    page.locator("#metrics thead").get_by_role("button", name="Slice").click()
    assert f"{HOSTILE} = {HOSTILE}" in names(page)
    assert page.locator("img").count() == 0
