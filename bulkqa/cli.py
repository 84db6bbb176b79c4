"""The command `bulkqa`. It builds the adapters, calls the steps, and prints what they return.

Results go to standard output, everything else to standard error.
"""

import csv
import io
import json
import os
import socket
import sys
import time
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, NoReturn

import typer

from bulkqa import SCHEMA, __version__, console, jobs, parquet, steps, table_file
from bulkqa.errors import BulkqaError, InputError
from bulkqa.flow.records import Rejected
from bulkqa.flow.report import PUBLISHED_BANDS, Bands, Report, as_json, as_table, read_bands, tabulate
from bulkqa.flow.votes import LabelRow, Outcome
from bulkqa.local.blobs import LocalBlobs
from bulkqa.local.database import Database
from bulkqa.local.label_table import LocalLabelTable
from bulkqa.local.pictures import find_in, picture
from bulkqa.local.secret import secret_in
from bulkqa.local.task_queue import LocalTaskQueue
from bulkqa.ports import Progress, Store
from bulkqa.settings import JobSettings
from bulkqa.shipped import shipped

if TYPE_CHECKING:
    from bulkqa.portal.app import Portal

app = typer.Typer(
    name="bulkqa",
    help="Have people check a model's image labels in bulk, and read which of them can be trusted.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

HOME = "BULKQA_HOME"
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class TableOrJson(StrEnum):
    """Formats of a result."""

    table = "table"
    json = "json"


class ReportFormat(StrEnum):
    """Formats of a report."""

    table = "table"
    json = "json"
    csv = "csv"


class RowFormat(StrEnum):
    """Formats of a file of rows."""

    csv = "csv"
    jsonl = "jsonl"


Home = Annotated[
    Path, typer.Option(envvar=HOME, help="Folder that holds everything.", show_default=True, metavar="DIR")
]
DEFAULT_HOME = Path(".bulkqa")
Output = Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write to this file.")]
Source = Annotated[
    str, typer.Argument(metavar="SOURCE", help="A job, or a file of label-table rows (CSV or JSON Lines).")
]
Port = Annotated[int | None, typer.Option(help="Port to listen on.  [default: 8765, or a free one]")]


def main() -> NoReturn:
    """Run the command; the one place where errors become words and exit codes."""
    try:
        app()
    except BulkqaError as error:
        console.err.print(f"bulkqa: {error}", style="red", markup=False, soft_wrap=True)
        sys.exit(error.exit_code)
    except Exception:
        traceback.print_exc()
        sys.exit(BulkqaError.exit_code)
    sys.exit(0)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"bulkqa {__version__}")
        raise typer.Exit


@app.callback()
def _everything(
    home: Annotated[
        Path | None, typer.Option(metavar="DIR", help=f"Folder that holds everything, also {HOME}.")
    ] = None,
    _: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    if home is not None:
        os.environ[HOME] = str(home)  # the commands' own --home reads it from there


@contextmanager
def local_store(home: Path) -> Iterator[Store]:
    """Open the embedded default below `home`: a folder of blobs beside one SQLite file."""
    database = Database(home / "bulkqa.sqlite")
    try:
        yield Store(LocalBlobs(home), LocalLabelTable(database), LocalTaskQueue(database))
    finally:
        database.close()


def now() -> str:
    """Return the time of day as job files have it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@app.command()
def demo(
    home: Home = DEFAULT_HOME,
    port: Port = None,
    simulate: Annotated[
        bool, typer.Option("--simulate", help="Let simulated reviewers do the work.")
    ] = False,
    reviewers: Annotated[
        int | None, typer.Option(min=1, max=9, help="How many review.  [default: 1, simulated 3]")
    ] = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Only print the link.")] = False,
) -> None:
    """Review the sample pictures in your browser, and read the report."""
    from bulkqa import demo as demonstration  # the web server is loaded only where one runs

    count = reviewers or (3 if simulate else 1)
    with local_store(home) as store, listening("127.0.0.1", port) as sock:
        job = demonstration.launch(store, reviews=count if simulate else 1, created_at=now())
        names = tuple(f"reviewer-{number}" for number in range(1, count + 1))
        portal = local_portal(store, home, names, sock, "127.0.0.1")
        if simulate:
            with console.progress_bar() as notice:
                demonstration.simulate(portal, sock, job, notice)
        else:
            demonstration.invite(portal, sock, job, open_browser=not no_browser)
        demonstration.print_results(job, store)


@app.command()
def launch(
    corpus: Annotated[Path, typer.Argument(metavar="CORPUS", help="CSV, JSON Lines, manifest or Parquet.")],
    job: Annotated[str, typer.Option(metavar="NAME", help="Name of the new job.")],
    home: Home = DEFAULT_HOME,
    images: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder from which the corpus' paths start.")
    ] = None,
    batch_size: Annotated[int, typer.Option(help="Pictures on a page, 1 to 100.")] = 25,
    min_confidence: Annotated[float, typer.Option(help="Leave out rows below.")] = 80,
    bands: Annotated[str, typer.Option(help="Bounds of the report's bands.")] = "80,85,90,95,100",
    reviewers: Annotated[int, typer.Option(help="Reviews of each page, 1 to 9.")] = 1,
    seed: Annotated[int, typer.Option(help="Shuffles the pictures.")] = 0,
    format: Annotated[TableOrJson, typer.Option()] = TableOrJson.table,
) -> None:
    """Start a job: read a corpus and make pages of it."""
    if not corpus.is_file():
        raise InputError(f"{corpus}: no such file")
    if images is not None and not images.is_dir():
        raise InputError(f"{images}: no such folder of pictures")
    settings = JobSettings(
        job=job,
        corpus_name=corpus.name,
        batch_size=batch_size,
        minimum_confidence=min_confidence,
        bands=read_bands(bands),
        reviewers=reviewers,
        seed=seed,
        image_root=None if images is None else str(images.resolve()),
    )
    with local_store(home) as store, console.progress_bar() as notice:
        launched = steps.launch(
            lambda: corpus.open("rb"),
            settings,
            store,
            created_at=now(),
            keep=None if images is None else find_in(images),
            notice=notice,
            lines=parquet.lines if parquet.is_parquet(corpus) else iter,
        )
    print_launched(launched, home, format)


def print_launched(launched: steps.Launched, home: Path, format: TableOrJson) -> None:
    """Print what a launch did."""
    counts = launched.counts
    rejected_file = home / launched.rejected_key
    for bad in launched.first_rejected:
        console.err.print(f"rejected: line {bad.line}: {bad.reason}", style="yellow", markup=False)
    if counts.rejected > len(launched.first_rejected):
        console.err.print(f"... and {counts.rejected - len(launched.first_rejected)} more rejected rows")
    if format is TableOrJson.json:
        _print_json(
            {
                "schema": SCHEMA,
                "job": launched.job,
                "items": counts.items,
                "labels": dict(sorted(counts.of_label.items())),
                "batches": launched.batches,
                "below": counts.below,
                "rejected": counts.rejected,
                "rejected_file": str(rejected_file),
                "again": launched.again,
            }
        )
        return
    again = ", as before" if launched.again else ""
    console.out.print(
        f"Launched job {launched.job}{again}: {counts.items} items of {len(counts.of_label)} labels "
        f"on {launched.batches} pages.",
        soft_wrap=True,
    )
    if counts.below:
        console.out.print(f"Left out {counts.below} below the minimum confidence.", soft_wrap=True)
    if counts.rejected:
        console.out.print(f"Rejected {counts.rejected} rows, listed in {rejected_file}.", soft_wrap=True)


@app.command()
def serve(
    home: Home = DEFAULT_HOME,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Port = None,
    reviewer: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Who may review; repeat it.  [default: reviewer]")
    ] = None,
) -> None:
    """Open the review portal, and print each reviewer's link."""
    from bulkqa.portal.app import create_app
    from bulkqa.portal.server import serve as serve_app

    if host not in LOOPBACK and not reviewer:
        raise InputError(f"listening on {host} lets others in: name each reviewer with --reviewer")
    with local_store(home) as store, listening(host, port) as sock:
        portal = local_portal(store, home, tuple(reviewer or ("reviewer",)), sock, host)
        for job in jobs.all_jobs(store.blobs):
            pending = steps.count_pending(job.job, store)
            if pending.recorded.counted:
                console.err.print(f"Job {job.job}: counted {pending.answers} answers kept before a crash.")
        if host not in LOOPBACK:
            console.err.print("Plain HTTP: whoever can listen on the network can read along.", style="yellow")
        print_links(portal)
        serve_app(create_app(portal), sock)


def local_portal(
    store: Store, home: Path, reviewers: tuple[str, ...], sock: socket.socket, host: str
) -> "Portal":
    """Return the portal of the embedded default."""
    from bulkqa.portal.app import Portal
    from bulkqa.portal.security import Signatures
    from bulkqa.portal.server import origins

    return Portal(
        store=store,
        picture=picture,
        template=shipped("templates/worker.liquid.html").read_text("utf-8"),
        reviewers=reviewers,
        signatures=Signatures(secret_in(home)),
        origins=origins(sock, host),
    )


@contextmanager
def listening(host: str, port: int | None) -> Iterator[socket.socket]:
    """Open the portal's socket for a block."""
    from bulkqa.portal.server import listen

    with listen(host, port) as sock:
        yield sock


def print_links(portal: "Portal") -> None:
    """Print each reviewer's sign-in link; standard output has nothing but these."""
    for name in portal.reviewers:
        console.err.print(f"Sign-in link of {name}:")
        typer.echo(portal.link(name))


@app.command()
def status(
    job: Annotated[str | None, typer.Argument(metavar="JOB", help="One job.  [default: all]")] = None,
    home: Home = DEFAULT_HOME,
    watch: Annotated[
        bool, typer.Option("--watch", help="Keep showing it, until all is done or you press Ctrl-C.")
    ] = False,
    format: Annotated[TableOrJson, typer.Option()] = TableOrJson.table,
) -> None:
    """Show how far the pages are, label by label."""
    if watch and format is TableOrJson.table:
        with local_store(home) as store:
            _watch(store, job)
        return
    with local_store(home) as store:
        progress = _progress(store, job)
    if format is TableOrJson.json:
        _print_json(
            {
                "schema": SCHEMA,
                "jobs": [
                    {
                        "job": name,
                        "labels": [
                            {
                                "label": label,
                                "pages": line.pages,
                                "pages_done": line.done,
                                "answers": line.answers,
                                "answers_wanted": line.wanted,
                                "items": line.items,
                                "items_done": line.items_done,
                            }
                            for label, line in lines.items()
                        ],
                    }
                    for name, lines in progress.items()
                ],
            }
        )
        return
    for name, lines in progress.items():
        console.out.print(console.progress_table(name, lines))
    if not progress:
        console.err.print(f"There is no job in {home} yet; `bulkqa launch` starts one.")


def _progress(store: Store, job: str | None) -> dict[str, dict[str, Progress]]:
    """Return the progress of one job or of all, by job and label."""
    assert store.queue is not None  # noqa: S101  the local store has one
    names = [jobs.settings_of(job, store.blobs).job] if job else [j.job for j in jobs.all_jobs(store.blobs)]
    return {name: store.queue.progress(name) for name in names}


def _watch(store: Store, job: str | None) -> None:
    """Show the progress anew every second."""
    with console.live() as show:
        while True:
            progress = _progress(store, job)
            show([console.progress_table(name, lines) for name, lines in progress.items()])
            if all(line.done == line.pages for lines in progress.values() for line in lines.values()):
                return
            time.sleep(1)


@app.command()
def report(
    source: Source,
    home: Home = DEFAULT_HOME,
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
    with _rows_of(source, home) as (rows, job, job_bands):
        table = tabulate(rows, wanted or job_bands)
    if format is ReportFormat.table and output is None:
        console.print_report(table, job or source, published=published)
    elif format is ReportFormat.table:
        with _written(output) as file:
            console.print_report(table, job or source, file, published)
    elif format is ReportFormat.json:
        _write(
            [json.dumps(as_json(table, job, SCHEMA, published), ensure_ascii=False, indent=1), "\n"], output
        )
    else:
        _write(_csv_lines(table, published), output)


@app.command()
def replay(
    job: Annotated[str, typer.Argument(metavar="JOB")],
    home: Home = DEFAULT_HOME,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing: list votes for which there is no answer.")
    ] = False,
    format: Annotated[TableOrJson, typer.Option()] = TableOrJson.table,
) -> None:
    """Make the label table from a job's files again; on a right table it changes nothing."""
    if check:
        _check_votes(job, home, format)
        return
    with local_store(home) as store, console.progress_bar() as notice:
        replayed = steps.replay(job, store, notice)
    for problem in replayed.unreadable:
        console.err.print(f"left out: {problem}", style="yellow", markup=False)
    recorded = replayed.recorded
    if format is TableOrJson.json:
        _print_json(
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


def _check_votes(job: str, home: Path, format: TableOrJson) -> None:
    """List a job's votes for which there is no answer."""
    with local_store(home) as store, console.progress_bar() as notice:
        jobs.settings_of(job, store.blobs)
        found = list(steps.check_votes(job, store, notice))
    if format is TableOrJson.json:
        listed = [
            {"s3_image_url": one.key[0], "label": one.key[1], "voter": one.voter, "decision": one.decision}
            for one in found
        ]
        _print_json({"schema": SCHEMA, "job": job, "votes_without_answer": listed})
        return
    for one in found:
        console.out.print(f"{one.key[0]}  {one.key[1]}  {one.voter}  {one.decision}", soft_wrap=True)
    console.err.print(f"Job {job}: {len(found)} votes without an answer.")


@app.command()
def export(
    source: Source,
    home: Home = DEFAULT_HOME,
    format: Annotated[RowFormat, typer.Option()] = RowFormat.csv,
    outcome: Annotated[
        str | None, typer.Option(metavar="LIST", help="Only these, such as confirmed,disconfirmed,split.")
    ] = None,
    output: Output = None,
) -> None:
    """Write rows with their votes, under the label table's attribute names."""
    wanted = set(Outcome) if outcome is None else {_outcome(name) for name in outcome.split(",")}
    write = table_file.as_csv if format is RowFormat.csv else table_file.as_json_lines
    with _rows_of(source, home) as (rows, _, _):
        _write(write(row for row in rows if row.outcome in wanted), output)


def _outcome(name: str) -> Outcome:
    try:
        return Outcome(name.strip())
    except ValueError:
        raise InputError(f"outcome {name!r}: use {', '.join(Outcome)}") from None


@contextmanager
def _rows_of(source: str, home: Path) -> Iterator[tuple[Iterable[LabelRow], str | None, Bands]]:
    """Open a SOURCE: its rows, its job if it is one, and its bands."""
    if _is_file(source):
        path = Path(source)
        if not path.is_file():
            raise InputError(f"{source}: no such file")
        with path.open("rb") as file:
            lines = parquet.lines(file) if parquet.is_parquet(path) else file
            yield _usable(table_file.read_rows(lines, path.name), path.name), None, PUBLISHED_BANDS
    else:
        with local_store(home) as store:
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


def _print_json(document: object) -> None:
    _write([json.dumps(document, ensure_ascii=False, indent=1), "\n"], None)


@contextmanager
def _written(output: Path | None) -> Iterator[IO[str]]:
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


def _write(texts: Iterable[str], output: Path | None) -> None:
    with _written(output) as file:
        for text in texts:
            file.write(text)


if __name__ == "__main__":
    main()
