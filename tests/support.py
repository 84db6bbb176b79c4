"""Helpers shared by tests."""

import io
import os
import struct
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from bulkqa import steps
from bulkqa.cli.places import local_store
from bulkqa.flow.corpus import Keep
from bulkqa.flow.votes import LabelRow
from bulkqa.ports import Store
from bulkqa.settings import JobSettings

__all__ = [
    "CREATED",
    "colour_of",
    "corpus_of",
    "launch",
    "local_store",
    "opener",
    "png",
    "quiet",
    "rows_by_key",
    "shared_folder",
]

CREATED = "2026-01-02T03:04:05Z"


def shared_folder(factory: pytest.TempPathFactory, name: str) -> Path:
    """A folder that all processes of this run have in common; it may not be there yet."""
    base = factory.getbasetemp()
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name


def corpus_of(rows: Iterable[tuple[str, str, float]]) -> bytes:
    """A CSV corpus of (image, label, confidence) without anything that needs quotes."""
    lines = (f"{image},{label},{confidence}\n" for image, label, confidence in rows)
    return b"image_local_path,label,confidence\n" + "".join(lines).encode()


def opener(data: bytes) -> Callable[[], BinaryIO]:
    """Something that opens these bytes, again and again."""
    return lambda: io.BytesIO(data)


def quiet(stage: str, done: int, of: int) -> None:
    """Hears of long work and says nothing."""


def launch(
    store: Store, data: bytes, keep: Keep | None = None, checks: bytes | None = None, **settings: Any
) -> steps.Launched:
    """Launch a job named `dogs`, or as the settings say, of everything there is."""
    if checks is not None:
        settings = {"checks_name": "checks.csv"} | settings
    known: dict[str, Any] = {"job": "dogs", "corpus_name": "corpus.csv", "minimum_confidence": 0}
    complete = JobSettings(**known | settings)
    return steps.launch(
        opener(data),
        complete,
        store,
        created_at=CREATED,
        keep=keep,
        notice=quiet,
        open_checks=None if checks is None else opener(checks),
    )


def rows_by_key(rows: Iterable[LabelRow]) -> dict[tuple[str, str], LabelRow]:
    """Rows under their keys."""
    return {row.key: row for row in rows}


def colour_of(number: int) -> tuple[int, int, int]:
    """A colour of its own for each picture."""
    return (number * 67 % 256, number * 131 % 256, number * 29 % 256)


def png(colour: tuple[int, int, int], size: int = 8) -> bytes:
    """A square picture of one colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    lines = (b"\0" + bytes(colour) * size) * size
    header = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(lines))
        + chunk(b"IEND", b"")
    )
