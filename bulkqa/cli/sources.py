"""A SOURCE as it is named on the command line: a job, or a file of label-table rows."""

import gzip
import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from bulkqa import console, jobs, parquet, steps, table_file
from bulkqa.errors import InputError
from bulkqa.flow.bands import PUBLISHED_BANDS, Bands
from bulkqa.flow.records import Rejected
from bulkqa.flow.votes import LabelRow
from bulkqa.ports import Store
from bulkqa.settings import JobSettings


class Rows(NamedTuple):
    """The rows of a SOURCE, and the job it is, if it is one."""

    rows: Iterable[LabelRow]
    settings: JobSettings | None

    @property
    def job(self) -> str | None:
        """The job's name."""
        return None if self.settings is None else self.settings.job

    @property
    def bands(self) -> Bands:
        """The bands that it is reported in where nobody says otherwise."""
        return PUBLISHED_BANDS if self.settings is None else self.settings.bands


@contextmanager
def rows_of(source: str, store: AbstractContextManager[Store]) -> Iterator[Rows]:
    """Open a SOURCE; `store` is opened where it is a job."""
    if is_file(source):
        with rows_of_file(Path(source)) as rows:
            yield Rows(rows, None)
    else:
        with store as opened:
            settings = jobs.settings_of(source, opened.blobs)
            yield Rows(steps.job_rows(source, opened), settings)


@contextmanager
def rows_of_file(path: Path) -> Iterator[Iterable[LabelRow]]:
    """Open a file of label-table rows: CSV, JSON Lines, either of them compressed with gzip, or Parquet."""
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    with path.open("rb") as file:
        if parquet.is_parquet(path):
            lines: Iterable[bytes] = parquet.lines(file)
        else:
            zipped = file.peek(len(_GZIP))[: len(_GZIP)] == _GZIP
            lines = _unzipped(file, path.name) if zipped else file
        yield _usable(table_file.read_rows(lines, path.name), path.name)


_GZIP = b"\x1f\x8b"


def _unzipped(file: BinaryIO, name: str) -> Iterator[bytes]:
    """Yield the lines of a compressed file, of several one after the other too."""
    try:
        with gzip.open(file) as lines:
            yield from lines
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{name}: not readable as gzip: {error}") from None


def is_file(source: str) -> bool:
    """Say whether a name is a file's: a job's has no dot and no separator."""
    return any(mark in source for mark in "./\\") or (os.sep in source)


def _usable(rows: Iterable[LabelRow | Rejected], name: str) -> Iterator[LabelRow]:
    """Yield the rows that can be used; say on standard error which cannot."""
    bad = good = 0
    for row in rows:
        if isinstance(row, Rejected):
            bad += 1
            if bad <= 5:
                console.err.print(
                    f"{name}, line {row.line}: left out: {row.reason}", style="yellow", markup=False
                )
        else:
            good += 1
            yield row
    if bad > 5:
        console.err.print(f"{name}: left out {bad} rows in all", style="yellow", markup=False)
    if not good:
        raise InputError(f"{name}: no usable row")
