"""`bulkqa report`, `replay` and `export`."""

import csv
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Annotated

import typer

from bulkqa import SCHEMA, console, jobs, parquet, steps, table_file
from bulkqa.cli.app import app
from bulkqa.cli.options import (
    DEFAULT_HOME,
    Bucket,
    Home,
    Output,
    ReportFormat,
    RowFormat,
    Source,
    Stack,
    Table,
    TableOrJson,
)
from bulkqa.cli.output import print_json, write, written
from bulkqa.cli.places import open_store
from bulkqa.errors import InputError
from bulkqa.flow.records import Rejected
from bulkqa.flow.report import PUBLISHED_BANDS, Bands, Report, as_json, as_table, read_bands, tabulate
from bulkqa.flow.votes import LabelRow, Outcome
from bulkqa.ports import Notice, Store


@app.command()
def report(
    source: Source,
    home: Home = DEFAULT_HOME,
    stack: Stack = None,
    bucket: Bucket = None,
    table: Table = None,
    bands: Annotated[
        str | None, typer.Option(help="Bounds of the bands.  [default: the job's, or 80,85,90,95,100]")
    ] = None,
    published: Annotated[
        bool, typer.Option("--published", help="Print empty bands as 0.00% and count them in the average.")
    ] = False,
    format: Annotated[ReportFormat, typer.Option()] = ReportFormat.table,
    output: Output = None,
) -> None:
    """Print how right each label is at each confidence."""
    wanted = None if bands is None else read_bands(bands)
    with _rows_of(source, lambda: open_store(home, stack, bucket, table)) as (rows, job, job_bands):
        tallied = tabulate(rows, wanted or job_bands)
    if format is ReportFormat.table and output is None:
        console.print_report(tallied, job or source, published=published)
    elif format is ReportFormat.table:
        with written(output) as file:
            console.print_report(tallied, job or source, file, published)
    elif format is ReportFormat.json:
        write(
            [json.dumps(as_json(tallied, job, SCHEMA, published), ensure_ascii=False, indent=1), "\n"], output
        )
    else:
        write(_csv_lines(tallied, published), output)


@app.command()
def replay(
    job: Annotated[str, typer.Argument(metavar="JOB")],
    home: Home = DEFAULT_HOME,
    stack: Stack = None,
    bucket: Bucket = None,
    table: Table = None,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing: list votes for which there is no answer.")
    ] = False,
    format: Annotated[TableOrJson, typer.Option()] = TableOrJson.table,
) -> None:
    """Make the label table from a job's files again; on a right table it changes nothing."""
    with open_store(home, stack, bucket, table) as store, console.progress_bar() as notice:
        if check:
            _check_votes(job, store, format, notice)
            return
        replayed = steps.replay(job, store, notice)
    for problem in replayed.unreadable:
        console.err.print(f"left out: {problem}", style="yellow", markup=False)
    recorded = replayed.recorded
    if format is TableOrJson.json:
        print_json(
            {
                "schema": SCHEMA,
                "job": job,
                "answers": replayed.answers,
                "votes_counted": recorded.counted,
                "votes_already_counted": recorded.already,
                "votes_on_unknown_rows": len(recorded.unknown),
                "unreadable": list(replayed.unreadable),
            }
        )
        return
    console.out.print(
        f"Replayed {replayed.answers} answers of job {job}: {recorded.counted} votes counted, "
        f"{recorded.already} had been counted before.",
        soft_wrap=True,
    )


def _check_votes(job: str, store: Store, format: TableOrJson, notice: Notice) -> None:
    """List a job's votes for which there is no answer."""
    jobs.settings_of(job, store.blobs)
    found = list(steps.check_votes(job, store, notice))
    if format is TableOrJson.json:
        listed = [
            {"s3_image_url": one.key[0], "label": one.key[1], "voter": one.voter, "decision": one.decision}
            for one in found
        ]
        print_json({"schema": SCHEMA, "job": job, "votes_without_answer": listed})
        return
    for one in found:
        console.out.print(f"{one.key[0]}  {one.key[1]}  {one.voter}  {one.decision}", soft_wrap=True)
    console.err.print(f"Job {job}: {len(found)} votes without an answer.")


@app.command()
def export(
    source: Source,
    home: Home = DEFAULT_HOME,
    stack: Stack = None,
    bucket: Bucket = None,
    table: Table = None,
    format: Annotated[RowFormat, typer.Option()] = RowFormat.csv,
    outcome: Annotated[
        str | None, typer.Option(metavar="LIST", help="Only these, such as confirmed,disconfirmed,split.")
    ] = None,
    output: Output = None,
) -> None:
    """Write rows with their votes, under the label table's attribute names."""
    wanted = set(Outcome) if outcome is None else {_outcome(name) for name in outcome.split(",")}
    lines = table_file.as_csv if format is RowFormat.csv else table_file.as_json_lines
    with _rows_of(source, lambda: open_store(home, stack, bucket, table)) as (rows, _, _):
        write(lines(row for row in rows if row.outcome in wanted), output)


def _outcome(name: str) -> Outcome:
    try:
        return Outcome(name.strip())
    except ValueError:
        raise InputError(f"outcome {name!r}: use {', '.join(Outcome)}") from None


@contextmanager
def _rows_of(
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


def _csv_lines(table: Report, published: bool) -> Iterator[str]:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerows(as_table(table, SCHEMA, published))
    yield text.getvalue()
