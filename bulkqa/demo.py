"""The demo: the sample pictures, reviewed by you or by simulated reviewers, through the real portal.

Only the simulated reviewers and the closing score read the truth about the pictures; the product does not.
"""

import csv
import http.client
import json
import os
import socket
import sys
import time
import webbrowser
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from http.cookies import SimpleCookie
from random import Random
from urllib.parse import unquote, urlsplit

from bulkqa import console, jobs, steps
from bulkqa.errors import BulkqaError, ConflictError
from bulkqa.flow.bands import read_bands
from bulkqa.flow.report import tabulate
from bulkqa.flow.votes import LabelRow, Outcome
from bulkqa.local.pictures import find_in
from bulkqa.portal.app import Portal, create_app
from bulkqa.portal.server import serving
from bulkqa.ports import Notice, Store
from bulkqa.settings import JobSettings
from bulkqa.shipped import shipped

_SAMPLE = "samples/emoji"
_SEED = 7


@dataclass(frozen=True, slots=True)
class Care:
    """How a simulated reviewer errs: the share of wrong labels missed, and of right ones picked out."""

    misses: float
    false_alarms: float


CARES = (Care(0.03, 0.005), Care(0.12, 0.02), Care(0.35, 0.04))
"""Three reviewers: careful, ordinary, hasty. More take turns at these."""


def launch(store: Store, reviews: int, created_at: str) -> str:
    """Launch the sample, or take up the demo that is under way; return the job's name.

    A demo that is finished, or was launched otherwise, stays as it is: the next one is `demo-2`, and so on.
    """
    assert store.queue is not None  # noqa: S101  the local store has one
    corpus = shipped(f"{_SAMPLE}/corpus.csv")
    images = shipped(f"{_SAMPLE}/images")
    settings = JobSettings(
        job="demo",
        corpus_name=corpus.name,
        minimum_confidence=0,
        bands=read_bands("0,50,60,70,80,90,100"),
        reviewers=reviews,
        image_root=str(images.resolve()),
    )
    number = 1
    while True:
        job = "demo" if number == 1 else f"demo-{number}"
        number += 1
        before = store.queue.progress(job).values()
        if before and all(line.done == line.pages for line in before):
            console.err.print(f"Job {job} is finished; its report: bulkqa report {job}")
            continue
        try:
            steps.launch(
                lambda: corpus.open("rb"),
                replace(settings, job=job),
                store,
                created_at=created_at,
                keep=find_in(images),
                notice=_silent,
            )
        except ConflictError:
            console.err.print(f"Job {job} was launched with other settings and stays as it is.")
            continue
        console.err.print(f"{'Going on with' if before else 'Launched'} job {job}.")
        return job


def _silent(stage: str, done: int, of: int) -> None:
    """Hear of long work and say nothing: the sample takes no time."""


def invite(portal: Portal, sock: socket.socket, job: str, open_browser: bool) -> None:
    """Serve the portal until all pages are reviewed and the terminal's owner has had enough."""
    with serving(create_app(portal), sock):
        for name in portal.reviewers:
            console.err.print(f"Review here ({name}):")
            console.out.print(portal.link(name), soft_wrap=True)
        if open_browser and _has_screen():
            webbrowser.open(portal.link(portal.reviewers[0]))
        console.err.print("The report follows when all pages are reviewed, or when you press Ctrl-C.")
        try:
            with console.progress_bar() as notice:
                while True:
                    lines = portal.queue.progress(job).values()
                    answers, wanted = sum(p.answers for p in lines), sum(p.wanted for p in lines)
                    notice("pages reviewed", answers, wanted)
                    if answers == wanted:
                        break
                    time.sleep(0.5)
            time.sleep(1.5)  # the last page's reviewer still has to be shown the end
        except KeyboardInterrupt:
            console.err.print()


def _has_screen() -> bool:
    """Say whether a browser can have a window: without one, a text browser would take the terminal."""
    return sys.platform in ("darwin", "win32") or bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )


def simulate(portal: Portal, sock: socket.socket, job: str, notice: Notice) -> None:
    """Have every reviewer of the portal review every page over HTTP, all at the same time."""
    truth = read_truth()
    lines = portal.queue.progress(job).values()
    wanted = sum(line.wanted for line in lines)
    with serving(create_app(portal), sock), ThreadPoolExecutor(len(portal.reviewers)) as pool:
        work = [
            pool.submit(_review, portal.link(name), CARES[number % len(CARES)], name, truth)
            for number, name in enumerate(portal.reviewers)
        ]
        while not all(one.done() for one in work):
            notice(
                "pages reviewed", sum(line.answers for line in portal.queue.progress(job).values()), wanted
            )
            time.sleep(0.05)
        for one in work:
            one.result()


def print_results(job: str, store: Store) -> None:
    """Print the job's report, and how well its reviewers did."""
    settings = jobs.settings_of(job, store.blobs)
    rows = list(steps.job_rows(job, store))
    console.print_report(tabulate(rows, settings.bands), f"Job {job}")
    score = score_of(rows, read_truth())
    if not score.reviewed:
        console.out.print("Nothing has been reviewed yet.")
        return
    console.out.print(
        f"How well did the reviewers do? Of {score.wrong} wrong labels among the {score.reviewed} pictures "
        f"reviewed, {score.caught} were picked out by at least one, {score.wrong - score.caught} by none; "
        f"{score.false_alarms} of {score.reviewed - score.wrong} right labels were picked out by mistake."
    )
    console.err.print(f"Read it again with: bulkqa report {job}")
    console.err.print(f"With the pictures: bulkqa report {job} --format html -o report.html")


@dataclass(frozen=True, slots=True)
class Score:
    """Reviewed pictures, wrong labels among them, those picked out by anybody, and right ones picked out."""

    reviewed: int
    wrong: int
    caught: int
    false_alarms: int


def score_of(rows: Iterable[LabelRow], truth: Mapping[str, str]) -> Score:
    """Return how reviewed rows compare with the truth.

    >>> rows = [LabelRow(("local://1", "Cat"), 90.0, 1, 1), LabelRow(("local://2", "Cat"), 90.0, 1, 0)]
    >>> score_of(rows, {"1": "Dog", "2": "Cat"})
    Score(reviewed=2, wrong=1, caught=1, false_alarms=0)
    """
    reviewed = wrong = caught = false_alarms = 0
    for row in rows:
        if row.outcome is Outcome.UNREVIEWED:
            continue
        reviewed += 1
        picked_out = row.outcome in (Outcome.DISCONFIRMED, Outcome.SPLIT)
        if truth[row.key[0].removeprefix("local://")] != row.key[1]:
            wrong += 1
            caught += picked_out
        else:
            false_alarms += picked_out
    return Score(reviewed, wrong, caught, false_alarms)


def read_truth() -> dict[str, str]:
    """Return what each sample picture shows."""
    with shipped(f"{_SAMPLE}/truth.csv").open(encoding="utf-8", newline="") as file:
        return {row["image_local_path"]: row["true_label"] for row in csv.DictReader(file)}


# A simulated reviewer: a small browser that signs in, reads each page as it is sent, and answers it.


def _review(link: str, care: Care, name: str, truth: Mapping[str, str]) -> None:
    address = urlsplit(link)
    browser = _Browser(address.netloc)
    browser.get(address.path)
    while True:
        shell = _read_page(browser.get("/"))
        if shell.task is None:
            return
        page = _read_page(browser.get(shell.task))
        answer: dict[str, object] = {}
        for item, source in page.pictures.items():
            browser.get(source)
            path = unquote(urlsplit(source).path).split("/", 3)[3]
            is_wrong = truth[path] != page.label
            # Drawn by name and picture, so that the order in which pages come changes nothing.
            luck = Random(f"{_SEED}/{name}/{path}").random()  # noqa: S311
            confirmed = luck < care.misses if is_wrong else luck >= care.false_alarms
            answer[item] = {"CannotJudge": False, "Confirmed": confirmed}
        browser.post(f"{shell.task}/answer", {"answer": answer}, shell.csrf)


class _Browser:
    def __init__(self, netloc: str) -> None:
        self._origin = f"http://{netloc}"
        self._connection = http.client.HTTPConnection(netloc, timeout=30)
        self._cookies = SimpleCookie()

    def get(self, path: str) -> str:
        return self._ask("GET", path, None, {})

    def post(self, path: str, body: object, csrf: str) -> str:
        headers = {"Content-Type": "application/json", "Origin": self._origin, "X-CSRF-Token": csrf}
        return self._ask("POST", path, json.dumps(body).encode(), headers)

    def _ask(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> str:
        cookie = "; ".join(f"{name}={morsel.value}" for name, morsel in self._cookies.items())
        self._connection.request(method, path, body, {**headers, "Cookie": cookie})
        response = self._connection.getresponse()
        text = response.read().decode("utf-8", "replace")
        if response.status != http.HTTPStatus.OK:
            raise BulkqaError(f"the portal answered {response.status} to {method} {path}: {text[:200]}")
        for header in response.headers.get_all("Set-Cookie", []):
            self._cookies.load(header)
        return text


class _Page(HTMLParser):
    """What a reviewer takes from a page: where its task is, the label asked for, the pictures by name."""

    def __init__(self) -> None:
        super().__init__()
        self.task: str | None = None
        self.csrf = ""
        self.label = ""
        self.pictures: dict[str, str] = {}
        self._picture = ""
        self._in_title = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag says."""
        values = {name: value or "" for name, value in attrs}
        if tag == "body" and "data-task" in values:
            self.task, self.csrf = values["data-task"], values["data-csrf"]
        elif tag == "img" and values.get("src", "").startswith("/obj/"):
            self._picture = values["src"]
        elif tag == "crowd-checkbox":
            self.pictures[values["name"]] = self._picture
        self._in_title = tag == "title"

    def handle_data(self, data: str) -> None:
        """Read the label from the title."""
        if self._in_title and data.startswith("Review: "):
            self.label = data.removeprefix("Review: ")


def _read_page(text: str) -> _Page:
    page = _Page()
    page.feed(text)
    return page
