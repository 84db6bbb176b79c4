"""Signatures, and the page's policy."""

import pytest

from bulkqa.portal.security import Signatures, task_policy

ONE, OTHER = Signatures(b"1" * 32), Signatures(b"2" * 32)


def test_a_signed_thing_serves_its_own_use_alone() -> None:
    """A link is no session, a session no link, and another secret's are neither."""
    assert ONE.reviewer_of_link(ONE.link_token("ana")) == "ana"
    assert ONE.reviewer_of_session(ONE.session("ana")) == "ana"
    assert ONE.reviewer_of_link(ONE.session("ana")) is None
    assert ONE.reviewer_of_session(ONE.link_token("ana")) is None
    assert OTHER.reviewer_of_link(ONE.link_token("ana")) is None
    assert OTHER.reviewer_of_session(ONE.session("ana")) is None


def test_a_link_stays_the_same() -> None:
    """A reviewer can use their link again; each has their own."""
    assert ONE.link_token("ana") == ONE.link_token("ana") != ONE.link_token("ben")


def test_a_worker_has_a_stable_pseudonym() -> None:
    """The name under which votes are kept tells nothing, stays, and differs by person and by place."""
    names = {ONE.worker_id("ana"), ONE.worker_id("ben"), OTHER.worker_id("ana")}
    assert len(names) == 3
    assert ONE.worker_id("ana") == ONE.worker_id("ana")
    assert all(name.startswith("local.") and "ana" not in name for name in names)


@pytest.mark.parametrize("path", ["a b.png", "ordner/ä.png", "100%.png", "a&b=c.png", "q?.png", "x\ny.png"])
def test_a_picture_address_names_one_picture_for_a_while(path: str) -> None:
    """It stays the same within the hour, ends after one to two, and is signed with job, path and end."""
    url = ONE.picture_path("dogs", path, 1_800_000_000)
    assert url == ONE.picture_path("dogs", path, 1_800_000_000 + 3599)
    end, signature = (part.split("=", 1)[1] for part in url.rpartition("?")[2].split("&"))
    assert ONE.picture_is_allowed("dogs", path, end, signature, 1_800_000_000 + 3600)
    assert not ONE.picture_is_allowed("dogs", path, end, signature, 1_800_000_000 + 7200)
    assert not ONE.picture_is_allowed("cats", path, end, signature, 1_800_000_000)
    assert not ONE.picture_is_allowed("dogs", path + "x", end, signature, 1_800_000_000)
    assert not ONE.picture_is_allowed("dogs", path, end + "0", signature, 1_800_000_000)
    assert not OTHER.picture_is_allowed("dogs", path, end, signature, 1_800_000_000)


def test_the_parts_of_a_picture_address_cannot_be_shifted() -> None:
    """Job, end and path are signed apart: no other split of the same letters is valid."""
    url = ONE.picture_path("a", "b", 0)
    end, signature = (part.split("=", 1)[1] for part in url.rpartition("?")[2].split("&"))
    assert not ONE.picture_is_allowed(f"a\n{end}", "b", "", signature, 0)
    assert not ONE.picture_is_allowed("a", f"{end}\nb", "", signature, 0)


def test_a_task_may_show_the_pictures_it_has_and_reach_nothing_else() -> None:
    """The frame has no origin; pictures come from us and from the origins named; nothing is fetched."""
    policy = dict(part.strip().split(" ", 1) for part in task_policy(["https://img.example"]).split(";"))
    assert policy["sandbox"] == "allow-scripts allow-forms"
    assert policy["default-src"] == "'none'"
    assert policy["img-src"] == "'self' data: blob: https://img.example"
    assert "connect-src" not in policy
