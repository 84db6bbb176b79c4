"""What all tests share: an environment with nothing of this machine in it."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).parent.parent

# How many examples a property is tried with; `make check` takes few.
settings.register_profile("all", max_examples=40, deadline=None, database=None)
settings.register_profile("few", max_examples=8, deadline=None, database=None)
settings.load_profile("all")


@pytest.fixture(autouse=True)
def closed_room(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every test starts without settings from outside, in an empty folder."""
    for name in list(os.environ):
        if name.startswith(("BULKQA_", "AWS_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(tmp_path)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a stand-in for AWS, by its folder or adapter, and what synthesises the stack."""
    for item in items:
        folder = item.path.relative_to(ROOT).parts[:2]
        adapter = item.nodeid.partition("[")[2]
        if folder in (("tests", "aws"), ("tests", "lambdas")) or adapter.startswith(("s3-", "dynamodb-")):
            item.add_marker("aws")
        if {"production", "sandbox"} & set(getattr(item, "fixturenames", ())):
            item.add_marker("slow")
