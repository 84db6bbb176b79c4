"""A portal over a small job, and a reviewer's browser without a screen."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from bulkqa.local.pictures import find_in, picture
from bulkqa.portal.app import Portal, create_app
from bulkqa.portal.security import Signatures
from bulkqa.ports import Store
from bulkqa.shipped import shipped
from tests.support import corpus_of, launch, local_store, png

ORIGIN = "http://127.0.0.1:8765"


class Clock:
    """A time that tests set."""

    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """The portal's time."""
    return Clock()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A job `dogs` of 30 pictures on two pages, its pictures in a folder."""
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    (tmp_path / "secret.png").write_bytes(b"secret")
    names = [f"{number:02d}.png" for number in range(30)]
    for name in names:
        (pictures / name).write_bytes(png((200, 100, 50)))
    with local_store(tmp_path / "home") as store:
        data = corpus_of((name, "Dog", 90.0) for name in names)
        launch(store, data, find_in(pictures), image_root=str(pictures))
        yield store


@pytest.fixture
def portal(store: Store, clock: Clock) -> Portal:
    """The portal of two reviewers."""
    return Portal(
        store=store,
        picture=picture,
        template=shipped("templates/worker.liquid.html").read_text("utf-8"),
        reviewers=("ana", "ben"),
        signatures=Signatures(b"0123456789abcdef" * 2),
        origins=(ORIGIN, "http://localhost:8765"),
        now=clock,
    )


@pytest.fixture
def visitor(portal: Portal) -> Iterator[TestClient]:
    """A browser that is not signed in."""
    with TestClient(
        create_app(portal), base_url=ORIGIN, follow_redirects=False, raise_server_exceptions=False
    ) as client:
        yield client


@pytest.fixture
def ana(visitor: TestClient, portal: Portal) -> TestClient:
    """A browser in which ana is signed in."""
    assert visitor.get(portal.link("ana")).status_code == 200
    return visitor
