"""The report's page in a real browser: readable by all, in both colour schemes, on paper, without scripts."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]

from bulkqa.flow.votes import LabelRow
from bulkqa.report_page import Embedded, linked, render_report
from tests.support import colour_of, png
from tests.test_report_page import (
    HOSTILE,
    confused,
    document_of,
    numbered,
    of_many,
    pets,
    reference,
    row,
)

pytestmark = pytest.mark.browser

SIZES = [(1366, 768), (390, 844)]
LABELS = ("Cat", "Dog", HOSTILE, "שלום")

Open = Callable[..., Any]


def rows() -> list[LabelRow]:
    """Some 400 rows of four labels by three reviewers, in cells of every kind."""
    found = []
    for place, label in enumerate(LABELS):
        for n in range(100):
            confidence = 50 + n / 2
            votes = () if n < 25 * (place == 1) else (n % 9 > place, n % 7 > 0, n % 11 > 0)
            found.append(row(f"{place}-{n}.png", label, confidence, *votes))
    return found


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """The page of these rows, a file with its pictures in it."""

    def find(reference: str) -> tuple[Path, str]:
        file = tmp_path / reference
        if not file.exists():
            file.write_bytes(png(colour_of(len(list(tmp_path.iterdir()))), 64))
        return file, "image/png"

    page = tmp_path / "report.html"
    page.write_text(render_report(document_of(rows(), (50, 62.5, 75, 90, 100)), Embedded(find)), "utf-8")
    return page


@pytest.fixture
def show(browser: Any, report: Path) -> Iterator[Open]:
    """Open the page; a request, an error or a message of the page's own fails the test at its end."""
    contexts: list[Any] = []
    faults: list[str] = []

    def open_page(width: int = 1366, height: int = 768, file: Path = report, **options: Any) -> Any:
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(f"error: {error}"))
        page.on("console", lambda message: faults.append(f"message: {message.text}"))
        page.on(
            "request",
            lambda request: (
                None
                if request.url.startswith("data:") or request.url.partition("#")[0] == file.as_uri()
                else faults.append(f"request: {request.url}")
            ),
        )
        page.goto(file.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert faults == []


def violations(page: Any, part: str | None = None) -> list[tuple[str, str]]:
    """What axe finds on the page, or in a part of it."""
    return [(one["id"], one["nodes"][0]["html"]) for one in Axe().run(page, part).response["violations"]]


@pytest.mark.parametrize(("size", "scheme"), [(SIZES[0], "light"), (SIZES[-1], "dark")], ids=str)
def test_everybody_can_read_it(show: Open, size: tuple[int, int], scheme: str) -> None:
    """Axe finds nothing, folded or opened, and only tables scroll sideways."""
    page = show(*size, color_scheme=scheme)
    assert violations(page) == []
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]


def test_every_section_is_readable(show: Open, tmp_path: Path) -> None:
    """With every key of the document on the page axe finds nothing either."""
    file = tmp_path / "all.html"
    file.write_text(render_report(numbered(reference(), iter(range(1001, 9999))), linked), "utf-8")
    for scheme in ("light", "dark"):
        assert violations(show(file=file, color_scheme=scheme)) == []


@pytest.mark.parametrize("javascript", [True, False], ids=["script", "no script"])
def test_a_cell_shows_its_pictures(show: Open, javascript: bool) -> None:
    """One click on a cell opens its pictures, rejected ones first; a link leads back to the cell."""
    page = show(java_script_enabled=javascript)
    cell = page.locator("#t1-3")
    cell.locator("a").click()
    pictures = page.locator("#c1-3")
    assert pictures.is_visible()
    assert pictures.locator("img").first.is_visible()
    assert pictures.bounding_box()["y"] < 768
    kinds = [item.get_attribute("class") for item in pictures.locator("li").all()]
    assert kinds == sorted(kinds, key=["disconfirmed", "split", "confirmed"].index)
    assert len(kinds) == 12
    assert page.locator("#c0-3").is_hidden()
    pictures.get_by_role("link", name="Back to the table").click()
    assert 0 <= cell.bounding_box()["y"] < 768


def test_an_address_of_a_cell_can_be_sent(show: Open, report: Path) -> None:
    """Whoever opens the page at a cell's address sees its pictures at once."""
    page = show()
    page.goto("about:blank")
    page.goto(f"{report.as_uri()}#c2-0")
    assert page.locator("#c2-0").is_visible()


def test_keys_are_enough(show: Open) -> None:
    """Tab reaches the cells, Enter opens one, and the next Tab is within its pictures' section."""
    page = show()
    page.locator("#t0-0 a").focus()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.parentElement.id") == "t0-1"
    page.keyboard.press("Enter")
    page.locator("#c0-1").wait_for()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('section').id") == "c0-1"


def test_a_hostile_label_is_only_text(show: Open) -> None:
    """Labels full of markup, or written from right to left, stand as they are and leave their cell alone."""
    page = show()
    labels = page.locator("#table tbody th").all_inner_texts()
    assert labels == sorted(LABELS)
    assert page.locator("img").count() == 15 * 12  # of 16 cells one is not reviewed
    assert page.locator("#table [onerror]").count() == 0


def test_it_prints(show: Open) -> None:
    """On paper tables are whole and light, navigation is gone, and only opened pictures are printed."""
    page = show(color_scheme="dark")
    page.emulate_media(media="print")
    assert page.get_by_role("navigation").is_hidden()
    for place in range(page.locator(".scroll").count()):
        box = page.locator(".scroll").nth(place)
        if box.is_visible():
            assert box.evaluate("one => one.scrollHeight <= one.clientHeight + 1")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.locator("details.label").first.is_hidden()
    page.emulate_media(media="screen")
    page.locator("details.label summary").first.click()
    page.emulate_media(media="print")
    assert page.locator("#c0-3 img").first.is_visible()
    assert page.locator("#c1-3").is_hidden()
    assert page.pdf().startswith(b"%PDF")


@pytest.fixture(scope="module")
def matrices(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Pages with a confusion matrix of two labels, of twenty and of a hundred."""
    folder = tmp_path_factory.mktemp("matrices")
    found = {2: confused(pets()), 20: confused(of_many(20)), 100: confused(of_many(100))}
    for labels, document in found.items():
        (folder / f"{labels}.html").write_text(render_report(document, linked), "utf-8")
    return {labels: folder / f"{labels}.html" for labels in found}


@pytest.mark.parametrize(("size", "scheme"), [(SIZES[0], "light"), (SIZES[-1], "dark")], ids=str)
def test_everybody_can_read_a_matrix(
    show: Open, matrices: dict[int, Path], size: tuple[int, int], scheme: str
) -> None:
    """Axe finds nothing, in all colours that cells have, and the page itself does not scroll sideways."""
    for labels in (2, 20):
        page = show(*size, file=matrices[labels], color_scheme=scheme)
        colour = "(cells) => cells.forEach((cell, n) => cell.className = `h${6 - n % 7}`)"
        page.locator(".matrix tbody tr:nth-child(2) td").evaluate_all(colour)
        assert violations(page, "#confusion") == []
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_hundred_labels_scroll_under_their_headings(
    show: Open, matrices: dict[int, Path], size: tuple[int, int]
) -> None:
    """Wherever one is in the matrix, the labels of row and column are in sight."""
    page = show(*size, file=matrices[100])
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    box = page.locator("#confusion .crowded.scroll")
    box.scroll_into_view_if_needed()
    cell = page.locator(".matrix tbody tr").nth(50).locator("td").nth(51)
    cell.evaluate("one => one.scrollIntoView({block: 'center', inline: 'center'})")
    assert cell.inner_text().split() == ["33.3%", "1"]
    at, frame = cell.bounding_box(), box.bounding_box()
    column = page.locator(".matrix thead th").nth(52).bounding_box()
    line = page.locator(".matrix tbody tr").nth(50).locator("th").bounding_box()
    assert abs(column["x"] - at["x"]) < 2
    assert abs(line["y"] - at["y"]) < 2
    assert abs(column["y"] - frame["y"]) < 4
    assert abs(line["x"] - frame["x"]) < 4
    assert column["y"] + column["height"] <= at["y"]
    assert line["x"] + line["width"] <= at["x"]


def test_a_matrix_that_fits_is_printed(show: Open, matrices: dict[int, Path]) -> None:
    """On paper a small one stands whole; a large one is left out with a word, and nothing else is shrunk."""
    page = show(file=matrices[2])
    page.emulate_media(media="print")
    assert page.locator(".matrix").is_visible()
    assert page.locator(".on-paper").count() == 0
    page = show(794, 1123, file=matrices[100])
    page.emulate_media(media="print")
    assert page.locator(".matrix").is_hidden()
    assert page.locator(".on-paper").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 794
