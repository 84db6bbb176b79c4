"""The portal over HTTP: answers a second, and how long a reviewer waits for a submit and for the next page.

Server and reviewers share this machine's processors, so the figures are lower bounds.
"""

import http.client
import json
import re
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path
from statistics import median, quantiles
from urllib.parse import urlsplit

from benchmarks.launch import launch, scratch, write_corpus
from benchmarks.measure import in_process, result

PAGES_PER_REVIEWER = 30
REVIEWERS = (1, 8, 20, 32)
ROUNDS = 3
SIZE = 25


class Reviewer(threading.Thread):
    """Signs in, answers so many pages as fast as it can, and notes how long each step took."""

    def __init__(self, link: str, start: threading.Barrier) -> None:
        super().__init__()
        self.submits: list[float] = []
        self.pages: list[float] = []
        self._start = start
        address = urlsplit(link)
        self._origin = f"{address.scheme}://{address.netloc}"
        self._http = http.client.HTTPConnection(address.netloc)
        self._headers: dict[str, str] = {}
        self._http.request("GET", address.path)
        response = self._http.getresponse()
        response.read()
        self._headers["Cookie"] = response.headers["Set-Cookie"].split(";")[0]

    def _ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> str:
        self._http.request(method, path, body, {**self._headers, **headers})
        response = self._http.getresponse()
        text = response.read().decode()
        if response.status != 200:
            raise RuntimeError(f"{method} {path}: {response.status} {text[:200]}")
        return text

    def run(self) -> None:
        """Review."""
        answer = {
            f"item-{place:03d}": {"Confirmed": place > 1, "CannotJudge": False} for place in range(SIZE)
        }
        body = json.dumps({"answer": answer}).encode()
        self._start.wait()
        for _ in range(PAGES_PER_REVIEWER):
            before = time.perf_counter()
            shell = self._ask("GET", "/")
            found = re.search(r'data-task="([^"]+)" data-csrf="([^"]+)"', shell)
            assert found
            self._ask("GET", found[1])
            shown = time.perf_counter()
            headers = {"Origin": self._origin, "X-CSRF-Token": found[2], "Content-Type": "application/json"}
            self._ask("POST", f"{found[1]}/answer", body, **headers)
            self.pages.append(shown - before)
            self.submits.append(time.perf_counter() - shown)
        self._http.close()


def review(home: str, reviewers: int) -> dict[str, object]:
    """Serve the job in `home` and have so many reviewers work on it at once."""
    command = [sys.executable, "-m", "bulkqa.cli", "serve", "--home", home, "--port", "0"]
    for number in range(reviewers):
        command += ["--reviewer", f"r{number}"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert server.stdout is not None
        start = threading.Barrier(reviewers + 1)
        people = [Reviewer(server.stdout.readline().strip(), start) for _ in range(reviewers)]
        for person in people:
            person.start()
        start.wait()
        began = time.perf_counter()
        for person in people:
            person.join()
        seconds = time.perf_counter() - began
    finally:
        server.terminate()
        server.wait()
    submits = [wait for person in people for wait in person.submits]
    pages = [wait for person in people for wait in person.pages]
    assert len(submits) == reviewers * PAGES_PER_REVIEWER
    return {"answers_per_second": len(submits) / seconds, "submits": submits, "pages": pages}


def plain(path: str) -> int:
    """Record so many answers the plain way: a durable commit a vote."""
    db = sqlite3.connect(path, isolation_level=None)
    db.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")
    db.execute("CREATE TABLE row (image TEXT PRIMARY KEY, confirms INTEGER)")
    for page in range(PAGES_PER_REVIEWER):
        for place in range(SIZE):
            db.execute(
                "INSERT INTO row VALUES (?, 1) ON CONFLICT DO UPDATE SET confirms = confirms + 1",
                (f"{page}-{place}.jpg",),
            )
    db.close()
    return PAGES_PER_REVIEWER


def run() -> list[dict[str, object]]:
    """Measure each number of reviewers, in turn with the plain way."""
    results = []
    for reviewers in REVIEWERS:
        rounds, rates = [], []
        submits: list[float] = []
        pages: list[float] = []
        for _ in range(ROUNDS):
            with scratch() as folder:
                write_corpus(folder / "corpus.csv", (reviewers * PAGES_PER_REVIEWER + 100) * SIZE)
                launch(str(folder / "corpus.csv"), str(folder / "home"))
                measured = review(str(folder / "home"), reviewers)
                bare = in_process("benchmarks.portal", "plain", str(Path(folder) / "plain.sqlite"))
            rates.append(measured["answers_per_second"])
            rounds.append(rates[-1] * bare.seconds / bare.value)
            submits += measured["submits"]  # type: ignore[operator]
            pages += measured["pages"]  # type: ignore[operator]
        waits = {}
        for name, values in (("submit", submits), ("next_page", pages)):
            cuts = quantiles(values, n=20)
            waits |= {f"{name}_p50_ms": round(1000 * cuts[9], 1), f"{name}_p95_ms": round(1000 * cuts[18], 1)}
        rate = round(median(rates))  # type: ignore[type-var]
        print(f"portal, {reviewers} reviewers at once: {rate} answers/s, {waits}")
        results.append(
            result(
                f"portal {reviewers} reviewers",
                "a durable commit a vote, without any web server",
                rounds,
                answers_per_second=rate,
                **waits,
            )
        )
    return results
