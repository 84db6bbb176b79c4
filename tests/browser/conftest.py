"""A browser, and a small portal that shows the review page as bulkqa's own does: in a sandboxed frame."""

from __future__ import annotations

import json
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from bulkqa.rendering import render_worker_page
from tests.support import colour_of, png

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--screen-info={1920x1080}",  # else the screen is 800x600, and the page takes no more height than that
    # With each window Chromium loads two pages of its own for the address bar, which take longer than ours.
    # The rest is of Playwright's list, in whose place this one comes.
    "--disable-features=WebUIOmniboxPopup,WebUIOmniboxAimPopup,"
    "AvoidUnnecessaryBeforeUnloadCheckSync,HttpsUpgrades,MediaRouter,OptimizationHints,PaintHolding",
]
ROOT = Path(__file__).parents[2]

# What the page has to get along with: nothing but this server, and no connection made by a script.
POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
)

PARENT = """<!doctype html><html lang="en"><title>Portal</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>body{margin:0;display:flex;flex-direction:column;height:100vh}header{height:52px;background:#dde}
iframe{border:0;flex:1;width:100%}</style>
<header></header><iframe title="Task" src="/task" sandbox="allow-scripts allow-forms"></iframe>
<script>
window.answers = []; window.ready = 0; window.reply = {type: "bulkqa:saved"};
const frame = document.querySelector("iframe").contentWindow;
addEventListener("message", (event) => {
  if (event.source !== frame) return;
  if (event.data.type === "bulkqa:ready") window.ready += 1;
  if (event.data.type === "bulkqa:answer") {
    window.answers.push(event.data.answer);
    if (window.reply) frame.postMessage(window.reply, "*");
  }
});
</script></html>"""


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium, once for all tests. Without one they are skipped, except where every test has to run."""
    try:
        from playwright.sync_api import sync_playwright

        missing = "" if CHROMIUM else "there is no Chromium: apt-get install chromium"
    except ImportError:
        missing = "playwright is not installed: pip install playwright"
    if missing and os.environ.get("CI") == "true":
        pytest.fail(missing)
    if missing:
        pytest.skip(missing)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


@dataclass
class Portal:
    """What the server hands out, to be set by a test before it opens the page."""

    address: str
    page: str = ""
    broken: set[int] = field(default_factory=set)
    """Pictures that are answered with 404."""
    slow: dict[int, threading.Event] = field(default_factory=dict)
    """Pictures that are answered only when their event is set."""
    library: bool = True
    """Whether the crowd elements' script arrives."""


@pytest.fixture(scope="session")
def server() -> Iterator[Portal]:
    """An HTTP server on this machine alone."""
    crowd = (ROOT / "bulkqa/portal/static/crowd.js").read_bytes()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            picture = re.fullmatch(r"/picture/(\d+)\?.*", self.path)
            if self.path == "/":
                self.answer("text/html; charset=utf-8", PARENT.encode())
            elif self.path == "/task":
                self.answer("text/html; charset=utf-8", shared.page.encode())
            elif self.path == "/crowd.js" and shared.library:
                self.answer("text/javascript; charset=utf-8", crowd)
            elif picture and int(picture[1]) not in shared.broken:
                if int(picture[1]) in shared.slow:
                    shared.slow[int(picture[1])].wait(20)
                self.answer("image/png", png(colour_of(int(picture[1])), 64))
            else:
                self.answer("text/plain", b"not here", 404)

        def answer(self, kind: str, body: bytes, status: int = 200) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            if self.path == "/task":
                self.send_header("Content-Security-Policy", POLICY)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    service = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    service.daemon_threads = True
    shared = Portal(f"http://127.0.0.1:{service.server_address[1]}")
    thread = threading.Thread(target=service.serve_forever, daemon=True)
    thread.start()
    yield shared
    service.shutdown()
    service.server_close()
    thread.join()


@pytest.fixture
def portal(server: Portal) -> Portal:
    """The server as a test finds it: nothing broken, nothing slow."""
    server.page, server.broken, server.slow, server.library = "", set(), {}, True
    return server


class Review:
    """One review page in the portal's frame, as a reviewer meets it."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.frame = page.frame(url=re.compile("/task$"))
        self.tiles = self.frame.locator(".bq-pick")
        self.submit = self.frame.get_by_role("button", name="Submit")
        self.attest = self.frame.get_by_role("checkbox", name="I looked")
        self.alert = self.frame.get_by_role("alert")
        self.status = self.frame.locator("#bq-count")

    def wait(self) -> Review:
        """Wait until the page can be submitted."""
        return self.until("document.querySelector('crowd-button').disabled === false")

    def until(self, condition: str) -> Review:
        """Wait until a JavaScript condition holds in the frame; its policy forbids Playwright's own wait."""
        for _ in range(500):
            if self.frame.evaluate(condition):
                return self
            self.page.wait_for_timeout(20)
        raise AssertionError(f"it never came true that {condition}")

    def answers(self, count: int) -> list[dict[str, Any]]:
        """Return what the portal received, once it has `count` answers and time for one more has gone by."""
        self.page.wait_for_function("count => window.answers.length >= count", arg=count)
        self.page.wait_for_timeout(150)
        answers: list[dict[str, Any]] = self.page.evaluate("window.answers")
        assert len(answers) == count
        return answers

    def answer(self) -> dict[str, Any]:
        """Return the one answer, with `meta` read."""
        answer = self.answers(1)[0]
        return answer | {"meta": json.loads(answer["meta"])}

    def focused(self) -> str:
        """Return the text of what has the focus."""
        return str(self.frame.evaluate("document.activeElement.textContent.trim()"))


Show = Callable[..., Review]


@pytest.fixture
def show(browser: Any, portal: Portal) -> Iterator[Show]:
    """Open a page of `count` pictures; whatever the page does wrong by itself fails the test at its end."""
    contexts: list[Any] = []
    faults: list[str] = []
    source = (ROOT / "templates/worker.liquid.html").read_text(encoding="utf-8")

    def refuse(dialog: Any) -> None:
        faults.append(f"a dialog: {dialog.message}")
        dialog.dismiss()

    def watch(asked: Any) -> None:
        if not asked.url.startswith((portal.address, "data:")):
            faults.append(f"the network: {asked.url}")

    def open_page(
        count: int = 25,
        *,
        label: str = "Food",
        template: str = source,
        width: int = 1366,
        height: int = 768,
        change: Callable[[str], str] = str,
        wait: bool = True,
        before: str = "",
        **options: Any,
    ) -> Review:
        entries = [
            {"s3_image_url": f"s3://bucket/{i}", "label": label, "confidence": 71.5, "item": f"item-{i:03}"}
            for i in range(count)
        ]
        portal.page = change(
            render_worker_page(
                template,
                {"sourceRef": entries},
                read_access=lambda url: f"/picture/{url.rpartition('/')[2]}?expires=9&sig=ab",
                crowd_script="/crowd.js",
            )
        )
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("dialog", refuse)
        page.on("pageerror", lambda error: faults.append(f"a script failed: {error}"))
        page.on("request", watch)
        if before:
            page.add_init_script(before)
        page.goto(portal.address, wait_until="domcontentloaded")
        page.frame_locator("iframe").locator("crowd-form").wait_for(state="attached")
        review = Review(page)
        return review.wait() if wait else review

    yield open_page
    for context in contexts:
        context.close()
    assert faults == []
