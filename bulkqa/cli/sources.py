"""A SOURCE as it is named on the command line: a job, or a file of label-table rows."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from bulkqa import console, jobs, parquet, steps, table_file
from bulkqa.errors import InputError
from bulkqa.flow.records import Rejected
from bulkqa.flow.report import PUBLISHED_BANDS, Bands
from bulkqa.flow.votes import LabelRow
from bulkqa.ports import Store


@contextmanager
def rows_of(
    source: str, opened: Callable[[], AbstractContextManager[Store]]
) -> Iterator[tuple[Iterable[LabelRow], str | None, Bands]]:
    """Open a SOURCE: its rows, its job if it is one, and its bands."""
    if _is_file(source):
        path = Path(source)
        if not path.is_file():
            raise InputError(f"{source}: no such file")
        with path.open("rb") as file:
            lines = parquet.lines(file) if parquet.is_parquet(path) else file
            yield _usable(table_file.read_rows(lines, path.name), path.name), None, PUBLISHED_BANDS
    else:
        with opened() as store:
            settings = jobs.settings_of(source, store.blobs)
            yield steps.job_rows(source, store), source, settings.bands


def _is_file(source: str) -> bool:
    """A job's name has no dot and no separator, so whatever has one is a file."""
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
