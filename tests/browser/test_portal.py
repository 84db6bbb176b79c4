"""The whole portal in a real browser, from the sign-in link to the votes in the table."""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]

from bulkqa import steps
from bulkqa.local.pictures import find_in, picture
from bulkqa.portal.app import Portal, create_app
from bulkqa.portal.security import Signatures
from bulkqa.portal.server import listen, origins, serving
from bulkqa.ports import Store
from bulkqa.shipped import shipped
from tests.support import colour_of, corpus_of, launch, local_store, png

pytestmark = pytest.mark.browser

HOSTILE = "Dog \"x\" <img src=x onerror=alert(1)> & 'ü' 犬 {{ 7 | times: 6 }} </script><b>"
TEMPLATE = shipped("templates/worker.liquid.html").read_text("utf-8")
SIZES = [(1366, 768), (390, 844)]

Serve = Callable[..., AbstractContextManager[Portal]]


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    """Serve a job of so many pictures of one label, with a template, for two reviewers."""

    @contextmanager
    def run(count: int = 30, label: str = "Dog", template: str = TEMPLATE) -> Iterator[Portal]:
        pictures = tmp_path / "pictures"
        pictures.mkdir()
        names = [f"{number:02d}.png" for number in range(count)]
        for number, name in enumerate(names):
            (pictures / name).write_bytes(png(colour_of(number), 64))
        quoted = '"' + label.replace('"', '""') + '"'
        data = corpus_of((name, quoted, 90.0) for name in names)
        with local_store(tmp_path / "home") as store, listen("127.0.0.1", 0) as sock:
            launch(store, data, find_in(pictures), image_root=str(pictures))
            portal = Portal(
                store=store,
                picture=picture,
                template=template,
                reviewers=("ana", "ben"),
                signatures=Signatures(b"0123456789abcdef" * 2),
                origins=origins(sock, "127.0.0.1"),
                results=True,
            )
            with serving(create_app(portal), sock):
                yield portal

    return run


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A tab that fails the test for any dialog, uncaught error or request to elsewhere."""
    context = browser.new_context(viewport={"width": 1366, "height": 768})
    page = context.new_page()
    faults: list[str] = []
    page.on("dialog", lambda dialog: faults.append(f"dialog: {dialog.message}"))
    page.on("pageerror", lambda error: faults.append(f"error: {error}"))
    page.on(
        "request",
        lambda request: (
            None
            if request.url.startswith(("http://127.0.0.1:", "data:"))
            else faults.append(f"request: {request.url}")
        ),
    )
    yield page
    context.close()
    assert faults == []


def sign_in(page: Any, portal: Portal, name: str = "ana") -> None:
    """Open a reviewer's link and wait for what comes."""
    page.goto(portal.link(name))
    page.wait_for_url(f"{portal.origins[0]}/")


def frame_of(page: Any, ready: str = ".bq-pick") -> Any:
    """The task's frame, once it can be submitted."""
    frame = page.frame_locator("#frame")
    frame.locator(ready).first.wait_for()
    frame.get_by_role("button", name="Submit", disabled=False).wait_for()
    return frame


def votes(store: Store) -> dict[str, tuple[int, int, int]]:
    """Confirms, disconfirms and cannot-judges by picture."""
    return {
        row.key[0].removeprefix("local://"): (row.confirms, row.disconfirms, row.cannot_judges)
        for row in store.table.rows()
    }


def shown(frame: Any, place: int) -> str:
    """The file name of the picture at a place."""
    source = frame.locator("img[src^='/obj/']").nth(place).get_attribute("src")
    return str(re.search(r"/obj/dogs/([^?]+)", source)[1])  # type: ignore[index]


def test_two_pages_from_link_to_votes(serve: Serve, page: Any) -> None:
    """A reviewer marks with clicks and keys, submits, gets the next page, and at last the totals."""
    with serve() as portal:
        sign_in(page, portal)
        frame = frame_of(page)
        wrong, unsure = shown(frame, 3), shown(frame, 5)
        frame.locator(".bq-pick").nth(3).click()
        frame.locator(".bq-pick").nth(5).focus()
        page.keyboard.press("u")
        page.keyboard.press("Control+Enter")
        page.locator("iframe[src='/task/dogs/1']").wait_for()
        frame = frame_of(page)
        for place in range(5):
            frame.locator(".bq-pick").nth(place).click()
        frame.get_by_role("button", name="Submit").click()
        page.get_by_role("heading", name="All done").wait_for()
        assert page.locator("dd").all_inner_texts() == ["2", "30", "23", "6", "1"]
        counted = votes(portal.store)
    assert counted[wrong] == (0, 1, 0)
    assert counted[unsure] == (0, 0, 1)
    assert sum(confirms for confirms, _, _ in counted.values()) == 23
    assert len(counted) == 30


def test_keyboard_alone_is_enough(serve: Serve, page: Any) -> None:
    """Without a mouse, from the page's arrival on: an arrow enters the grid, the next moves, x rejects."""
    with serve(4) as portal:
        sign_in(page, portal)
        frame = frame_of(page)
        second = shown(frame, 1)
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("x")
        page.keyboard.press("Control+Enter")
        page.get_by_role("heading", name="All done").wait_for()
        assert votes(portal.store)[second] == (0, 1, 0)


def test_a_hostile_label_is_only_text(serve: Serve, page: Any) -> None:
    """A label full of HTML, quotes and Liquid is shown as it stands and does nothing."""
    with serve(3, HOSTILE) as portal:
        sign_in(page, portal)
        frame = frame_of(page)
        assert HOSTILE in frame.get_by_role("heading").first.inner_text()
        frame.locator(".bq-pick").first.click()
        frame.get_by_role("button", name="Submit").click()
        page.get_by_role("heading", name="All done").wait_for()
        assert {row.key[1] for row in portal.store.table.rows()} == {HOSTILE}
        assert sum(row.disconfirms for row in portal.store.table.rows()) == 1


def test_a_broken_picture_is_never_confirmed(serve: Serve, page: Any, tmp_path: Path) -> None:
    """A picture that cannot be loaded is recorded as one nobody could judge."""
    with serve(3) as portal:
        (tmp_path / "pictures" / "01.png").write_bytes(b"not a picture")
        sign_in(page, portal)
        frame = frame_of(page)
        frame.get_by_role("button", name="Submit").click()
        frame.get_by_role("checkbox", name="I looked").click()
        frame.get_by_role("button", name="Submit").click()
        page.get_by_role("heading", name="All done").wait_for()
        assert votes(portal.store) == {"00.png": (1, 0, 0), "01.png": (0, 0, 1), "02.png": (1, 0, 0)}


def test_a_failed_save_keeps_the_marks(serve: Serve, page: Any) -> None:
    """When saving fails, the page says so and keeps every mark; trying again saves them."""
    with serve(3) as portal:
        sign_in(page, portal)
        frame = frame_of(page)
        marked = shown(frame, 2)
        frame.locator(".bq-pick").nth(2).click()
        page.route("**/answer", lambda route: route.abort())
        frame.get_by_role("button", name="Submit").click()
        frame.get_by_text("The server cannot be reached").wait_for()
        assert votes(portal.store)[marked] == (0, 0, 0)
        assert frame.locator(".bq-pick").nth(2).get_attribute("aria-pressed") == "true"
        page.unroute("**/answer")
        frame.get_by_role("button", name="Submit").click()
        page.get_by_role("heading", name="All done").wait_for()
        assert votes(portal.store)[marked] == (0, 1, 0)


def test_skip_gives_another_page(serve: Serve, page: Any) -> None:
    """Skip gives the page back and shows the next one."""
    with serve() as portal:
        sign_in(page, portal)
        frame_of(page)
        page.get_by_role("button", name="Skip").click()
        page.locator("iframe[src='/task/dogs/1']").wait_for()


def test_coming_back_shows_the_same_page(serve: Serve, page: Any) -> None:
    """After loading the page anew a reviewer is where they were; signed out, nowhere."""
    with serve() as portal:
        sign_in(page, portal)
        frame = frame_of(page)
        first = shown(frame, 0)
        page.reload()
        assert shown(frame_of(page), 0) == first
        page.get_by_role("button", name="Sign out").click()
        page.get_by_text("You are not signed in").wait_for()


def test_template_and_portal_cannot_touch_each_other(serve: Serve, page: Any) -> None:
    """A template's script reaches neither the page around it, nor its cookies, nor the network."""
    spy = """<script>
      const seen = {};
      try { seen.parent = parent.document.body.dataset.csrf; } catch (error) { seen.parent = "kept out"; }
      try { seen.cookie = document.cookie; } catch (error) { seen.cookie = "kept out"; }
      fetch("/").then(() => "reached", () => "kept out").then((word) => {
        seen.network = word; document.title = JSON.stringify(seen);
      });
    </script>"""
    with serve(3, template=TEMPLATE + spy) as portal:
        sign_in(page, portal)
        frame_of(page)
        inner = page.frame(url=re.compile("/task/dogs/0$"))
        for _ in range(200):
            if inner.evaluate("document.title").startswith("{"):
                break
            page.wait_for_timeout(20)
        assert inner.evaluate("JSON.parse(document.title)") == {
            "parent": "kept out",
            "cookie": "kept out",
            "network": "kept out",
        }


@pytest.mark.parametrize(("size", "scheme"), [(SIZES[0], "light"), (SIZES[-1], "dark")], ids=str)
def test_the_portals_own_pages_are_accessible(
    serve: Serve, page: Any, size: tuple[int, int], scheme: str
) -> None:
    """axe finds nothing on the page around a task, on its end, and on a refusal; nothing overflows."""
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": size[0], "height": size[1]})
    with serve(2) as portal:
        page.goto(f"{portal.origins[0]}/")
        assert violations(page) == []
        sign_in(page, portal)
        frame = frame_of(page)
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
        frame.locator(".bq-pick").first.click()
        frame.get_by_role("button", name="Submit").click()
        page.get_by_role("heading", name="All done").wait_for()
        assert violations(page) == []


def violations(page: Any) -> list[str]:
    """What axe has against the page; the frame is looked at by the tests of its template."""
    found = Axe().run(page, context={"exclude": [["iframe"]]})
    return [f"{one['id']}: {[node['html'] for node in one['nodes']]}" for one in found.response["violations"]]


@pytest.mark.parametrize(
    ("name", "count", "answered"), [("cards", 25, 25), ("cards", 1, 1), ("tabs", 5, 3), ("tabs", 2, 2)]
)
def test_the_oldest_templates_work_too(serve: Serve, page: Any, name: str, count: int, answered: int) -> None:
    """Cards in a grid, and tabs: what is unticked is wrong; pictures not shown stay open."""
    template = (Path(__file__).parent / "templates" / f"{name}.liquid.html").read_text("utf-8")
    with serve(count, 'Dog "x"-3', template) as portal:
        sign_in(page, portal)
        frame = frame_of(page, "crowd-checkbox")
        unticked = min(1, answered - 1)
        item = portal.store.blobs.read("jobs/dogs/custom-labeling-inputs/00000000.json").decode()
        picture_of_it = re.findall(r'"local://([^"]+)"', item)[unticked]
        if name == "tabs" and unticked:
            frame.get_by_role("tab", name=f"Picture {unticked + 1}").click()
        frame.get_by_role("checkbox").nth(0 if name == "tabs" else unticked).click()
        frame.get_by_role("button", name="Submit").click()
        page.get_by_role("heading", name="All done").wait_for()
        counted = votes(portal.store)
    assert counted[picture_of_it] == (0, 1, 0)
    assert sum(confirms for confirms, _, _ in counted.values()) == answered - 1


def test_the_results_are_a_page_of_the_portal(serve: Serve, page: Any) -> None:
    """From the link to a job's report: its style is let in, its pictures arrive, and axe finds nothing."""
    blocked: list[str] = []
    page.on("console", lambda message: blocked.append(message.text))
    with serve(4, HOSTILE) as portal:
        content = {f"item-{place:03d}": {"Confirmed": place > 0} for place in range(4)}
        steps.answer_page("dogs", 0, "ana", content, portal.store, "2026-01-02T04:00:00Z")
        page.goto(portal.results_link)
        page.get_by_role("link", name="dogs").click()
        page.locator("#t0-2 a").click()
        pictures = page.locator("#c0-2 img")
        assert pictures.count() == 4
        for place in range(4):
            pictures.nth(place).scroll_into_view_if_needed()
            page.wait_for_function("one => one.naturalWidth === 64", arg=pictures.nth(place).element_handle())
        assert (
            page.evaluate("getComputedStyle(document.querySelector('.heat td')).borderTopLeftRadius") == "6px"
        )
        assert Axe().run(page).response["violations"] == []
    assert blocked == []
