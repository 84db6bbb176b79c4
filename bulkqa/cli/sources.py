"""A SOURCE as it is named on the command line: a job, or files of label-table rows."""

import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple

from bulkqa import columnar, console, jobs, steps, table_file
from bulkqa.errors import InputError
from bulkqa.flow.bands import PUBLISHED_BANDS, Bands
from bulkqa.flow.records import Rejected
from bulkqa.flow.votes import LabelRow
from bulkqa.ports import Store
from bulkqa.settings import JobSettings


class Rows(NamedTuple):
    """The rows of a SOURCE, to be read once; the job it is, if it is one, or its files."""

    rows: Iterable[LabelRow]
    settings: JobSettings | None = None
    files: Sequence[Path] = ()

    @property
    def job(self) -> str | None:
        """The job's name."""
        return None if self.settings is None else self.settings.job

    @property
    def bands(self) -> Bands:
        """The bands that it is reported in where nobody says otherwise."""
        return PUBLISHED_BANDS if self.settings is None else self.settings.bands

    def alike(self, bounds: Sequence[float]) -> Iterable[tuple[LabelRow, int]]:
        """Return the rows with their numbers: one of many where `columnar.alike` can tell, else each."""
        found = columnar.alike(self.files, bounds) if self.files else None
        return found or ((row, 1) for row in self.rows)


@contextmanager
def rows_of(source: str, store: AbstractContextManager[Store]) -> Iterator[Rows]:
    """Open a SOURCE; `store` is opened where it is a job."""
    if is_file(source):
        yield rows_of_file(Path(source))
    else:
        with store as opened:
            settings = jobs.settings_of(source, opened.blobs)
            yield Rows(steps.job_rows(source, opened), settings)


def rows_of_file(path: Path) -> Rows:
    """Open a file of label-table rows, or the folder of a DynamoDB export, whose rows are in many files."""
    if path.is_dir():
        files = [file for file in sorted(path.rglob("*.json.gz")) if _has_any(file)]
        if not files:
            raise InputError(f"{path}: no items in *.json.gz of this folder, as DynamoDB exports them")
    elif path.is_file():
        files = [path]
    else:
        raise InputError(f"{path}: no such file")
    return Rows(_usable(files, path.name), files=files)


def _has_any(file: Path) -> bool:
    try:
        with table_file.opened(file) as lines:
            return bool(lines.read(1))
    except (OSError, EOFError, zlib.error):
        return True  # whoever reads it says what is wrong with it


def is_file(source: str) -> bool:
    """Say whether a name is a file's: a job's has no dot and no separator."""
    return any(mark in source for mark in "./\\") or (os.sep in source)


def _usable(files: Iterable[Path], name: str) -> Iterator[LabelRow]:
    """Yield the rows that can be used; say on standard error which cannot."""
    bad = good = 0
    for file in files:
        for row in table_file.rows(file):
            if not isinstance(row, Rejected):
                good += 1
                yield row
                continue
            bad += 1
            if bad <= 5:
                console.err.print(
                    f"{file.name}, line {row.line}: left out: {row.reason}", style="yellow", markup=False
                )
    if bad > 5:
        console.err.print(f"{name}: left out {bad} rows in all", style="yellow", markup=False)
    if not good:
        raise InputError(f"{name}: no usable row")
