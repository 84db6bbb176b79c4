"""The portal: sign in, the next page, its answer, and what it refuses."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from httpx2 import Response
from starlette.testclient import TestClient

from bulkqa.jobs import settings_of
from bulkqa.local.pictures import picture
from bulkqa.portal.app import Portal, create_app
from bulkqa.ports import Store
from bulkqa.settings import StopEarly
from bulkqa.steps import answer_page
from bulkqa.steps.closing import Closer, closings
from tests.portal.conftest import ORIGIN, Clock
from tests.support import corpus_of, launch, local_store, rows_by_key

WRONG = {"item-000": {"Confirmed": False, "CannotJudge": False}}
RIGHT = {f"item-{place:03d}": {"Confirmed": True, "CannotJudge": False} for place in range(1, 25)}
ANSWER = {"answer": {**WRONG, **RIGHT, "meta": "{}"}}


def csrf(client: TestClient) -> str:
    """The token on the reviewer's page."""
    found = re.search(r'data-csrf="([^"]+)"', client.get("/").text)
    assert found
    return found[1]


def post(client: TestClient, path: str, body: Any, **headers: str) -> Response:
    """Post as the page does, but for these headers."""
    usual = {"Origin": ORIGIN, "X-CSRF-Token": csrf(client), "Content-Type": "application/json"}
    return client.post(path, json=body, headers={**usual, **headers})


def pictures_on(client: TestClient, task: str = "/task/dogs/0") -> list[str]:
    """The addresses of the pictures of the page in hand."""
    client.get("/")
    return [url.replace("&amp;", "&") for url in re.findall(r'src="(/obj/[^"]+)"', client.get(task).text)]


class TestSignIn:
    def test_a_link_becomes_a_cookie_and_leaves_the_address(
        self, visitor: TestClient, portal: Portal
    ) -> None:
        """The link answers with a strict, HttpOnly cookie and a page that goes on without it."""
        response = visitor.get(portal.link("ana"))
        cookie = response.headers["set-cookie"]
        assert "HttpOnly" in cookie and "SameSite=strict" in cookie
        assert 'content="0; url=/"' in response.text
        assert "ana" in response.text
        assert visitor.get("/").status_code == 200

    def test_without_a_cookie_nothing_is_shown(self, visitor: TestClient) -> None:
        """Whoever is not signed in sees neither a page nor a task, and cannot answer."""
        assert visitor.get("/").status_code == 401
        assert visitor.get("/task/dogs/0").status_code == 401
        assert visitor.post("/task/dogs/0/answer", json=ANSWER).status_code == 401

    @pytest.mark.parametrize("token", ["", "x", "ImFuYSI.AAAA", "ImFuYSI"])
    def test_a_made_up_link_is_refused(self, visitor: TestClient, token: str) -> None:
        """A token that was not signed here lets nobody in."""
        response = visitor.get(f"/sign-in/{token}")
        assert response.status_code in (403, 404)
        assert "set-cookie" not in response.headers

    def test_a_reviewer_who_left_is_out(self, ana: TestClient, portal: Portal) -> None:
        """Neither link nor cookie serves a reviewer who is not on the list any more."""
        rest = Portal(
            store=portal.store,
            picture=picture,
            template=portal.template,
            reviewers=("ben",),
            signatures=portal.signatures,
            origins=portal.origins,
        )
        with TestClient(create_app(rest), base_url=ORIGIN, cookies=dict(ana.cookies)) as client:
            assert client.get("/").status_code == 401
            assert client.get(portal.link("ana")).status_code == 403

    def test_a_damaged_cookie_is_no_cookie(self, ana: TestClient, portal: Portal) -> None:
        """A cookie with one letter changed signs nobody in."""
        value = ana.cookies[portal.cookie]
        ana.cookies.clear()
        ana.cookies.set(portal.cookie, value[:-2] + ("A" if value[-2] != "A" else "B") + value[-1])
        assert ana.get("/").status_code == 401

    def test_signing_out_ends_it(self, ana: TestClient) -> None:
        """After signing out the next page is refused."""
        assert post(ana, "/sign-out", {}).status_code == 200
        assert ana.get("/").status_code == 401


class TestReview:
    def test_the_page_shows_the_pictures_of_one_label(self, ana: TestClient) -> None:
        """The frame's page has 25 pictures with signed addresses, and our stand-in's script alone."""
        assert 'src="/task/dogs/0"' in ana.get("/").text
        page = ana.get("/task/dogs/0")
        assert len(pictures_on(ana)) == 25
        assert "crowd.aws" not in page.text
        assert page.text.count('src="/static/crowd.js"') == 1
        assert 'name="item-024"' in page.text

    def test_an_answer_is_counted_and_the_next_page_comes(self, ana: TestClient, store: Store) -> None:
        """Submitting counts each decision on its picture and gives the next page, then the totals."""
        first = pictures_on(ana)[0].split("/")[3].split("?")[0]
        assert post(ana, "/task/dogs/0/answer", ANSWER).json()["counted"] == 25
        rows = rows_by_key(store.table.rows())
        assert rows[f"local://{first}", "Dog"].disconfirms == 1
        assert sum(row.confirms for row in rows.values()) == 24
        assert 'src="/task/dogs/1"' in ana.get("/").text
        five = {"answer": {f"item-{n:03d}": {"CannotJudge": True} for n in range(5)}}
        assert post(ana, "/task/dogs/1/answer", five).json()["counted"] == 5
        end = ana.get("/").text
        assert "All done" in end
        totals = re.findall(r"<dt>([^<]+)</dt><dd>(\d+)</dd>", end)
        assert totals == [
            ("Pages", "2"),
            ("Pictures", "30"),
            ("Correct", "24"),
            ("Wrong", "1"),
            ("Can't tell", "5"),
        ]

    def test_the_same_answer_twice_counts_once(self, ana: TestClient, store: Store) -> None:
        """A repeated submission succeeds and changes nothing; another answer to the page is refused."""
        post(ana, "/task/dogs/0/answer", ANSWER)
        again = post(ana, "/task/dogs/0/answer", ANSWER)
        assert (again.status_code, again.json()["counted"], again.json()["already"]) == (200, 0, 25)
        other = {"answer": {**RIGHT, "item-000": {"Confirmed": True}}}
        assert post(ana, "/task/dogs/0/answer", other).status_code == 409
        assert sum(row.disconfirms for row in store.table.rows()) == 1

    def test_parts_that_do_not_fit_are_named_and_harm_nothing(self, ana: TestClient) -> None:
        """Unknown, malformed and missing parts come back as problems; the rest counts."""
        body = {"answer": {**RIGHT, "item-000": {"Confirmed": "yes"}, "item-099": {"Confirmed": True}}}
        reply = post(ana, "/task/dogs/0/answer", body).json()
        assert reply["counted"] == 24
        assert sorted(map(tuple, reply["problems"])) == [
            ("item-000", "malformed"),
            ("item-000", "missing"),
            ("item-099", "unknown"),
        ]

    @pytest.mark.parametrize("body", [{}, {"answer": None}, {"answer": []}, [], {"answer": {"meta": "x"}}])
    def test_an_answer_that_says_nothing_is_refused(self, ana: TestClient, body: object) -> None:
        """What holds no decision is refused with a reason, and the page stays open."""
        response = post(ana, "/task/dogs/0/answer", body)
        assert response.status_code == 400
        assert response.json()["error"]
        assert 'src="/task/dogs/0"' in ana.get("/").text

    def test_only_a_page_one_was_given_can_be_seen_or_answered(self, ana: TestClient) -> None:
        """A page nobody gave this reviewer is refused, and so is one that does not exist."""
        for path in ("/task/dogs/1", "/task/dogs/99", "/task/cats/0"):
            assert ana.get(path).status_code == 409
            assert post(ana, f"{path}/answer", ANSWER).status_code == 409

    def test_a_page_can_be_skipped(self, ana: TestClient) -> None:
        """A page given back is followed by another, and cannot be answered any more."""
        assert post(ana, "/task/dogs/0/skip", {}).status_code == 200
        assert 'src="/task/dogs/1"' in ana.get("/").text
        assert post(ana, "/task/dogs/0/answer", ANSWER).status_code == 409

    def test_a_reviewer_waits_while_others_hold_the_last_pages(
        self, ana: TestClient, portal: Portal, clock: Clock
    ) -> None:
        """Where all pages are out, the page says so and looks again; after the lease they come free."""
        ben = portal.signatures.worker_id("ben")
        for number in range(2):
            task = portal.queue.take(ben, clock(), portal.lease_seconds)
            assert task and task.number == number
            ana.get("/")
            if number == 0:
                portal.queue.give_back(portal.signatures.worker_id("ana"), "dogs", 1)
                portal.queue.complete(ben, "dogs", 0, {})
        assert "Nothing for you at this moment" in ana.get("/").text
        clock.now += portal.lease_seconds + 1
        assert 'src="/task/dogs/1"' in ana.get("/").text


class TestClosingEarly:
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Store]:
        """A job of two labels, 200 pictures each, whose labels close early; and one that has them all."""
        with local_store(tmp_path / "home") as store:
            for job, early in (("dogs", StopEarly(reviews=50)), ("cats", None)):
                rows = [(f"{label}{n}.png", label, 99.5) for label in ("Cat", "Dog") for n in range(200)]
                launch(store, corpus_of(rows), job=job, bands=(80, 100), stop_early=early)
            yield store

    def test_a_label_is_closed_by_the_answer_that_settles_it(self, ana: TestClient, store: Store) -> None:
        """The next page is of the next label; the pages left are those that are asked for still."""
        assert "of 16 pages" in ana.get("/").text
        for number in range(2):
            ana.get("/")
            assert post(ana, f"/task/dogs/{number}/answer", ANSWER).status_code == 200
        assert "2 of 10 pages" in ana.get("/").text
        assert 'src="/task/dogs/8"' in ana.get("/").text
        (closing,) = closings(settings_of("dogs", store.blobs), store.blobs).values()
        assert (closing.label, closing.images) == ("Cat", 50)

    def test_a_page_in_hand_is_taken_after_its_label_closed(
        self, ana: TestClient, portal: Portal, store: Store
    ) -> None:
        """Whoever was at work on it comes back to it, and the answer counts."""
        ana.get("/")
        ben = portal.signatures.worker_id("ben")
        closer = Closer(store)
        for _ in range(2):
            task = portal.queue.take(ben, portal.now(), 60)
            assert task is not None
            answer_page("dogs", task.number, ben, ANSWER["answer"], store, "2026-01-01T00:00:00Z")
            closer.look(settings_of("dogs", store.blobs), task.number, task.label, "2026-01-01T00:00:00Z")
        assert "Cat" in closings(settings_of("dogs", store.blobs), store.blobs)
        assert 'src="/task/dogs/0"' in ana.get("/").text
        assert post(ana, "/task/dogs/0/answer", ANSWER).json()["counted"] == 25
        assert 'src="/task/dogs/8"' in ana.get("/").text

    def test_other_jobs_are_not_looked_at(
        self, ana: TestClient, portal: Portal, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Of a job without it no label is looked at, and every page is asked for."""
        portal.queue.close("dogs", "Cat")
        portal.queue.close("dogs", "Dog")
        monkeypatch.setattr(Closer, "look", None)
        for number in range(3):
            assert f'src="/task/cats/{number}"' in ana.get("/").text
            assert post(ana, f"/task/cats/{number}/answer", ANSWER).status_code == 200


class TestRefusals:
    @pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "evil.example:8765", ""])
    def test_a_foreign_host_is_refused(self, ana: TestClient, host: str) -> None:
        """A request under a name that is not ours is refused, whatever it asks for."""
        for path in ("/", "/static/portal.css", "/health"):
            assert ana.get(path, headers={"Host": host}).status_code == 400

    @pytest.mark.parametrize(
        ("headers", "status"),
        [
            ({"Origin": "http://evil.example"}, 403),
            ({"Origin": "null"}, 403),
            ({"X-CSRF-Token": "x"}, 403),
            ({"X-CSRF-Token": "é"}, 403),
            ({"Content-Type": "text/plain"}, 415),
            ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ],
    )
    def test_a_change_has_to_come_from_our_page(
        self, ana: TestClient, headers: dict[str, str], status: int
    ) -> None:
        """A wrong origin, token or content type is refused and changes nothing."""
        raw = {name: value.encode() for name, value in headers.items()}
        response = post(ana, "/task/dogs/0/answer", ANSWER, **raw)  # type: ignore[arg-type]
        assert response.status_code == status
        assert 'src="/task/dogs/0"' in ana.get("/").text

    @pytest.mark.parametrize("missing", ["Origin", "X-CSRF-Token"])
    def test_a_change_without_origin_or_token_is_refused(self, ana: TestClient, missing: str) -> None:
        """Both have to be there."""
        headers = {"Origin": ORIGIN, "X-CSRF-Token": csrf(ana)}
        del headers[missing]
        assert ana.post("/task/dogs/0/answer", json=ANSWER, headers=headers).status_code == 403

    def test_a_token_of_another_session_is_refused(self, ana: TestClient, portal: Portal) -> None:
        """A token belongs to one session."""
        other = portal.signatures.csrf_token(portal.signatures.session("ben"))
        assert post(ana, "/task/dogs/0/answer", ANSWER, **{"X-CSRF-Token": other}).status_code == 403

    def test_a_large_body_is_refused(self, ana: TestClient) -> None:
        """More than 256 kB is not read, be its length announced or not."""
        headers = {"Origin": ORIGIN, "X-CSRF-Token": csrf(ana), "Content-Type": "application/json"}
        big = b"x" * (256 * 1024 + 1)
        assert ana.post("/task/dogs/0/answer", content=big, headers=headers).status_code == 413
        parts = (b"x" * 64 * 1024 for _ in range(5))
        assert ana.post("/task/dogs/0/answer", content=parts, headers=headers).status_code == 413

    def test_a_picture_needs_its_signature(self, ana: TestClient, clock: Clock) -> None:
        """A picture comes under its signed address alone, and for a while only."""
        url = pictures_on(ana)[0]
        good = ana.get(url)
        assert (good.status_code, good.headers["content-type"]) == (200, "image/png")
        assert good.headers["x-content-type-options"] == "nosniff"
        assert good.headers["content-disposition"].startswith("inline")
        path, query = url.split("?")
        other = path.replace(path.split("/")[3], "29.png" if "29.png" not in path else "28.png")
        for bad in (
            path,
            f"{other}?{query}",
            f"{path}?{query}0",
            f"{path}?exp=9999999999&{query.split('&')[1]}",
        ):
            assert ana.get(bad).status_code == 403
        clock.now += 3 * 3600
        assert ana.get(url).status_code == 403

    @pytest.mark.parametrize(
        "path", ["../secret.png", "./../secret.png", "../home/bulkqa.sqlite", "/etc/passwd"]
    )
    def test_no_picture_outside_its_folder(
        self, ana: TestClient, portal: Portal, clock: Clock, path: str
    ) -> None:
        """Even a signed address does not lead out of the folder of pictures."""
        query = portal.signatures.picture_path("dogs", path, clock()).partition("?")[2]
        response = ana.get(f"/obj/dogs/{quote(path, safe='')}?{query}")
        assert response.status_code == 400
        assert "leads out" in response.text

    def test_every_answer_carries_safe_headers(self, ana: TestClient) -> None:
        """Pages, refusals and missing things alike say what a browser may do with them."""
        for path in ("/", "/task/dogs/0", "/none", "/obj/dogs/x", "/static/portal.js", "/sign-in/x"):
            headers = ana.get(path).headers
            assert "default-src 'none'" in headers["content-security-policy"]
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "no-referrer"
        assert "sandbox allow-scripts" in ana.get("/task/dogs/0").headers["content-security-policy"]

    def test_a_failure_carries_them_too(self, portal: Portal) -> None:
        """An unforeseen failure is a plain 500 with the same headers, and tells nothing."""
        broken = Portal(
            store=portal.store,
            picture=picture,
            template="{% if %}",
            reviewers=portal.reviewers,
            signatures=portal.signatures,
            origins=portal.origins,
            now=lambda: 1 / 0,
        )
        with TestClient(create_app(broken), base_url=ORIGIN, raise_server_exceptions=False) as client:
            client.get(broken.link("ana"))
            response = client.get("/")
        assert response.status_code == 500
        assert "division" not in response.text
        assert response.headers["x-content-type-options"] == "nosniff"

    def test_the_style_and_script_of_the_pages_are_served(self, visitor: TestClient) -> None:
        """Static files and the icon come without signing in; nothing outside their folder does."""
        for path in (
            "/static/portal.css",
            "/static/portal.js",
            "/static/crowd.js",
            "/favicon.ico",
            "/health",
        ):
            assert visitor.get(path).status_code == 200
        assert visitor.get("/static/..%2fapp.py").status_code == 404
