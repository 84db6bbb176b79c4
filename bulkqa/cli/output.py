"""Where results go: standard output, or a file that takes its place when it is whole."""

import csv
import json
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import typer

from bulkqa.errors import InputError


def write_json(document: object, output: Path | None = None) -> None:
    """Write one JSON document and nothing else."""
    write([json.dumps(document, ensure_ascii=False, indent=1), "\n"], output)


def write_csv(rows: Iterable[Iterable[object]], output: Path | None) -> None:
    """Write rows as CSV."""
    with written(output) as file:
        csv.writer(file).writerows(rows)


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
    with placed(output) as new, new.open("w", encoding="utf-8", newline="") as file:
        yield file


@contextmanager
def placed(output: Path) -> Iterator[Path]:
    """Give a path beside `output`: the file or folder made there takes its place when it is whole."""
    new = output.with_name(f".{output.name}.new")
    try:
        yield new
        new.replace(output)
    except OSError as error:
        raise InputError(f"{output}: cannot be written: {error}") from None
    finally:
        if new.is_dir():
            shutil.rmtree(new, ignore_errors=True)
        else:
            new.unlink(missing_ok=True)


def write_binary(path: Path) -> None:
    """Copy a file to standard output, unless that is a terminal."""
    if sys.stdout.isatty():
        raise InputError("this is no text to be shown: name a file with -o")
    with path.open("rb") as file:
        shutil.copyfileobj(file, sys.stdout.buffer)


def write(texts: Iterable[str], output: Path | None) -> None:
    """Write texts one after the other to a file, or to standard output."""
    with written(output) as file:
        for text in texts:
            file.write(text)
