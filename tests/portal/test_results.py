"""The results in the portal: for whoever has their link, never for reviewers, with signed pictures."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from starlette.testclient import TestClient

from bulkqa import steps
from bulkqa.flow.rounds import Proposals
from bulkqa.portal.app import Portal, create_app
from bulkqa.ports import Store
from bulkqa.report_page import policy
from tests.portal.conftest import ORIGIN, Clock
from tests.support import CREATED, quiet
from tests.test_report_page import Page


@pytest.fixture
def portal(portal: Portal) -> Portal:
    """The portal, with results."""
    return replace(portal, results=True)


@pytest.fixture
def owner(portal: Portal) -> Iterator[TestClient]:
    """A browser that came by the link to the results."""
    with TestClient(
        create_app(portal), base_url=ORIGIN, follow_redirects=False, raise_server_exceptions=False
    ) as client:
        assert client.get(portal.results_link).status_code == 200
        yield client


def test_the_link_opens_the_jobs_and_their_reports(owner: TestClient, store: Store) -> None:
    """From the link to the list to the page, whose pictures the browser may load."""
    wrong = {f"item-{place:03d}": {"Confirmed": place > 0} for place in range(25)}
    steps.answer_page("dogs", 0, "ana", wrong, store, "2026-01-02T04:00:00Z")
    assert 'href="/results/dogs"' in owner.get("/results").text
    response = owner.get("/results/dogs")
    page = Page(response.text)
    assert page.rows("table")["Dog"][0] == "96.0% 80.5–99.3% 24 of 25 5 open"
    pictures = page.attributes("src")
    assert len(pictures) == 12
    assert {owner.get(address).status_code for address in pictures} == {200}
    assert response.headers["content-security-policy"] == f"{policy()}; frame-ancestors 'none'"
    assert response.headers["cache-control"] == "no-store"


def test_the_matrix_of_a_relabelled_job(owner: TestClient, store: Store) -> None:
    """Once a relabelling round follows a job, its page shows what was mistaken, with signed pictures."""
    wrong = {f"item-{place:03d}": {"Confirmed": place > 0} for place in range(25)}
    steps.answer_page("dogs", 0, "ana", wrong, store, "2026-01-02T04:00:00Z")
    assert "#confusion" not in Page(owner.get("/results/dogs").text).attributes("href")
    with Proposals([b'{"Dog": "Wolf"}'], "p.json") as proposals:
        steps.relabel("dogs", "r1", store, proposals=proposals, created_at=CREATED, notice=quiet)
    steps.answer_page("r1", 0, "ana", {"item-000": {"Confirmed": True}}, store, "2026-01-02T05:00:00Z")
    page = Page(owner.get("/results/dogs").text)
    assert page.tables["confusion"][1][2].split() == ["100%", "1"]
    assert len(page.attributes("src")) == 13
    assert {owner.get(address).status_code for address in page.attributes("src")} == {200}


def test_the_cookie_of_the_results_is_strict(visitor: TestClient, portal: Portal) -> None:
    """The link sets a cookie that scripts and other sites cannot use, and leaves the address."""
    response = visitor.get(portal.results_link)
    assert "HttpOnly" in response.headers["set-cookie"]
    assert "SameSite=strict" in response.headers["set-cookie"]
    assert 'content="0; url=/results"' in response.text


@pytest.mark.parametrize("path", ["/results", "/results/dogs"])
def test_a_reviewer_sees_no_results(ana: TestClient, path: str) -> None:
    """Neither a stranger nor a signed-in reviewer comes to the results."""
    response = ana.get(path)
    assert response.status_code == 401
    assert "dogs" not in response.text


def test_no_token_stands_in_for_another(visitor: TestClient, portal: Portal) -> None:
    """A reviewer's link or cookie does not open the results, nor the other way round."""
    signatures = portal.signatures
    for token in (signatures.link_token("results"), signatures.session("results"), "", "x"):
        assert visitor.get(f"/results/sign-in/{token}").status_code in (403, 404)
    visitor.cookies.set(f"{portal.cookie}-results", signatures.session("results"))
    assert visitor.get("/results").status_code == 401
    visitor.cookies.set(portal.cookie, signatures.results_session())
    assert visitor.get("/").status_code == 401
    assert visitor.get(f"/sign-in/{signatures.results_token()}").status_code == 403


def test_the_owner_does_not_review(owner: TestClient) -> None:
    """The link to the results is no reviewer's."""
    assert owner.get("/").status_code == 401


def test_an_old_cookie_opens_nothing(
    owner: TestClient, portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a week the link has to be followed again."""
    import time

    later = time.time() + 8 * 24 * 3600
    monkeypatch.setattr("itsdangerous.timed.time.time", lambda: later)
    assert owner.get("/results").status_code == 401


def test_without_the_switch_there_are_none(portal: Portal) -> None:
    """A portal that does not show results has no such page, not even for the link."""
    with TestClient(create_app(replace(portal, results=False)), base_url=ORIGIN) as client:
        for path in (portal.results_link, "/results", "/results/dogs"):
            assert client.get(path).status_code == 404


def test_a_job_that_is_not_there(owner: TestClient) -> None:
    """An unknown job, or what cannot be one, is said to be so."""
    assert owner.get("/results/cats").status_code == 404
    assert owner.get("/results/No%20job").status_code in (400, 404)


def test_pictures_expire(owner: TestClient, store: Store, clock: Clock) -> None:
    """The addresses of pictures on a page that was left open end after two hours at most."""
    steps.answer_page("dogs", 0, "ana", {"item-000": {"Confirmed": False}}, store, "2026-01-02T04:00:00Z")
    (address,) = Page(owner.get("/results/dogs").text).attributes("src")
    clock.now += 2 * 3600
    assert owner.get(address).status_code == 403
