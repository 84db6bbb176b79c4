"""Where results go: standard output, or a file that takes its place when it is whole."""

import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import typer

from bulkqa.errors import InputError


def print_json(document: object) -> None:
    """Print one JSON document and nothing else."""
    write([json.dumps(document, ensure_ascii=False, indent=1), "\n"], None)


@contextmanager
def written(output: Path | None) -> Iterator[IO[str]]:
    """Open where a result goes: standard output, or a file that takes its place when it is whole."""
    if output is None:
        try:
            yield sys.stdout
            sys.stdout.flush()
        except BrokenPipeError:  # whoever reads it has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit from None
        return
    new = output.with_name(f".{output.name}.new")
    try:
        with new.open("w", encoding="utf-8", newline="") as file:
            yield file
        new.replace(output)
    except OSError as error:
        raise InputError(f"{output}: cannot be written: {error}") from None
    finally:
        new.unlink(missing_ok=True)


def write(texts: Iterable[str], output: Path | None) -> None:
    """Write texts one after the other to a file, or to standard output."""
    with written(output) as file:
        for text in texts:
            file.write(text)
