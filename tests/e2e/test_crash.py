"""The server is killed while twenty reviewers submit; whatever it acknowledged is there, once."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bulkqa import jobs, steps
from bulkqa.flow.votes import LabelRow
from bulkqa.ports import Store
from tests.support import corpus_of, launch, local_store

REVIEWERS = [f"r{number}" for number in range(20)]
PAGES = 60
SIZE = 25

pytestmark = pytest.mark.slow


@contextmanager
def server(home: Path) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """`bulkqa serve` in a process of its own, and each reviewer's link."""
    command = [sys.executable, "-m", "bulkqa.cli", "serve", "--home", str(home), "--port", "0"]
    for name in REVIEWERS:
        command += ["--reviewer", name]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    try:
        yield process, [process.stdout.readline().strip() for _ in REVIEWERS]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


class Reviewer:
    """Signs in over HTTP and answers pages until the server is gone; remembers what was acknowledged."""

    def __init__(self, number: int, link: str) -> None:
        self.number = number
        self.acknowledged: dict[int, list[bool]] = {}
        self.sent: dict[int, list[bool]] = {}
        address = urlsplit(link)
        self._connection = http.client.HTTPConnection(address.netloc, timeout=20)
        self._origin = f"{address.scheme}://{address.netloc}"
        self._connection.request("GET", address.path)
        response = self._connection.getresponse()
        response.read()
        self._cookie = (response.headers["Set-Cookie"] or "").split(";")[0]

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def _ask(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, str]:
        data = None if body is None else json.dumps(body).encode()
        self._connection.request(method, path, data, {"Cookie": self._cookie, **headers})
        response = self._connection.getresponse()
        return response.status, response.read().decode()

    def answer_one(self) -> bool:
        """Take a page and answer it; False if there is none."""
        _, shell = self._ask("GET", "/")
        found = re.search(r'data-task="([^"]+)" data-csrf="([^"]+)"', shell)
        if not found:
            return False
        number = int(found[1].rpartition("/")[2])
        says = [(number * 7 + place * 3 + self.number) % 5 > 0 for place in range(SIZE)]
        self.sent[number] = says
        answer = {f"item-{place:03d}": {"Confirmed": say} for place, say in enumerate(says)}
        headers = {"Origin": self._origin, "X-CSRF-Token": found[2], "Content-Type": "application/json"}
        status, _ = self._ask("POST", f"{found[1]}/answer", {"answer": answer}, **headers)
        if status == 200:
            self.acknowledged[number] = says
        return True


def test_no_acknowledged_vote_is_lost_and_none_counts_twice(tmp_path: Path) -> None:
    """SIGKILL amid concurrent submissions, three times over: afterwards the table is exactly the answers."""
    home = tmp_path / "home"
    with local_store(home) as store:
        pictures = [(f"{n:05d}.jpg", "Dog", 90.0) for n in range(PAGES * SIZE)]
        launch(store, corpus_of(pictures), job="crash", reviewers=9)
    acknowledged: dict[tuple[int, int], list[bool]] = {}
    sent: dict[tuple[int, int], list[bool]] = {}
    for kill_after in (60, 90, 120):
        with server(home) as (process, links):
            reviewers = [Reviewer(number, link) for number, link in enumerate(links)]

            def work(reviewer: Reviewer) -> None:
                try:
                    while reviewer.answer_one():
                        pass
                except (OSError, http.client.HTTPException):
                    pass  # the server is gone

            threads = [threading.Thread(target=work, args=(reviewer,)) for reviewer in reviewers]
            for thread in threads:
                thread.start()
            while sum(len(r.acknowledged) for r in reviewers) < kill_after and any(
                t.is_alive() for t in threads
            ):
                time.sleep(0.002)
            os.kill(process.pid, signal.SIGKILL)
            for thread in threads:
                thread.join()
            for reviewer in reviewers:
                reviewer.close()
                acknowledged |= {(reviewer.number, n): says for n, says in reviewer.acknowledged.items()}
                sent |= {(reviewer.number, n): says for n, says in reviewer.sent.items()}
    assert len(acknowledged) >= 180
    with server(home):
        pass  # starting it once more counts what was kept and not yet counted
    with local_store(home) as store:
        check(list(steps.job_rows("crash", store)), store_items(store), acknowledged, sent)
        before = {row.key: row for row in store.table.rows()}
        assert steps.replay("crash", store, lambda *_: None).recorded.counted == 0
        assert {row.key: row for row in store.table.rows()} == before


def store_items(store: Store) -> dict[str, tuple[int, int]]:
    """Where each picture stands: page and place."""
    return {
        item.image: (number, place)
        for number in range(PAGES)
        for place, item in enumerate(jobs.page_items("crash", number, store.blobs))
    }


def check(
    rows: list[LabelRow],
    places: dict[str, tuple[int, int]],
    acknowledged: dict[tuple[int, int], list[bool]],
    sent: dict[tuple[int, int], list[bool]],
) -> None:
    """Every acknowledged decision is a vote; every vote was sent; pages are counted whole."""
    for row in rows:
        number, place = places[row.key[0]]
        sure = [says[place] for (_, page), says in acknowledged.items() if page == number]
        maybe = [says[place] for (_, page), says in sent.items() if page == number]
        assert sure.count(True) <= row.confirms <= maybe.count(True)
        assert sure.count(False) <= row.disconfirms <= maybe.count(False)
        assert row.confirms + row.disconfirms == len(row.confirmed_by | row.disconfirmed_by)
    of_page: dict[int, set[int]] = {}
    for row in rows:
        of_page.setdefault(places[row.key[0]][0], set()).add(row.confirms + row.disconfirms)
    assert all(len(counts) == 1 for counts in of_page.values()), "a page was counted in part"
