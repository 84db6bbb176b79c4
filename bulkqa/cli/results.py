"""`bulkqa report` and `replay`."""

from pathlib import Path
from typing import Annotated

import typer

from bulkqa import SCHEMA, console, jobs, steps
from bulkqa.cli.app import app
from bulkqa.cli.options import (
    DEFAULT_HOME,
    Bucket,
    Home,
    Output,
    ReportFormat,
    Source,
    Stack,
    Table,
    TableOrJson,
)
from bulkqa.cli.output import write, write_csv, write_json, written
from bulkqa.cli.places import open_store, pictures_to_embed
from bulkqa.cli.sources import is_file, rows_of_file
from bulkqa.errors import InputError
from bulkqa.flow.bands import PUBLISHED_BANDS, Bands, read_bands
from bulkqa.flow.examples import CellExamples
from bulkqa.flow.report import Report
from bulkqa.flow.report import as_json as table_json
from bulkqa.flow.report import as_table as table_rows
from bulkqa.flow.thresholds import ASSURANCE, TARGET, Evidence, promised_thresholds
from bulkqa.flow.thresholds import as_json as thresholds_json
from bulkqa.ports import Notice, Store
from bulkqa.steps.confusion import confusion_after_rounds
from bulkqa.steps.document import as_csv, as_json


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
    final: Annotated[
        bool, typer.Option("--final", help="Let the decisions of the job's adjudications override its votes.")
    ] = False,
    brief: Annotated[
        bool,
        typer.Option(
            "--brief", help="Of a file the table and the thresholds alone: seconds for millions of rows."
        ),
    ] = False,
    format: Annotated[ReportFormat, typer.Option()] = ReportFormat.table,
    output: Output = None,
) -> None:
    """Print how right each label is at each confidence; as html, a page with the pictures behind it."""
    wanted = None if bands is None else read_bands(bands)
    if brief:
        if not is_file(source) or final or format is ReportFormat.html:
            raise InputError("--brief is for a file's rows, as table, json or csv, without --final")
        _report_in_brief(Path(source), wanted or PUBLISHED_BANDS, published, format, output)
        return
    image_root, on_aws, confusion = None, False, None
    if is_file(source):
        if final:
            raise InputError(f"{source}: --final needs a job: a file does not say which jobs adjudicate it")
        examples = CellExamples(wanted or PUBLISHED_BANDS)
        see = examples.add if format is ReportFormat.html else None
        analysis = steps.analyse_rows(rows_of_file(Path(source)).rows, wanted or PUBLISHED_BANDS, see)
    else:
        with open_store(home, stack, bucket, table) as store:
            settings = jobs.settings_of(source, store.blobs)
            image_root, on_aws = settings.image_root, bool(stack or bucket or table)
            examples = CellExamples(wanted or settings.bands)
            see = examples.add if format is ReportFormat.html else None
            analysis = steps.analyse_job(source, store, wanted, final=final, see=see)
            if format in (ReportFormat.html, ReportFormat.json):
                confusion = confusion_after_rounds(source, store)
    if format is ReportFormat.table:
        with written(output) as file:
            console.print_report(analysis.report, analysis.job or source, file, published)
            console.print_quality(as_json(analysis), file)
    elif format is ReportFormat.html:
        # The template engine, only where it draws.
        from bulkqa.report_page import EACH, IN_ALL, Embedded, render_report

        document = as_json(analysis, published, confusion) | {"examples": examples.as_json()}
        pictures = Embedded(pictures_to_embed(image_root, on_aws, EACH, IN_ALL))
        write([render_report(document, pictures, Path(source).name)], output)
    elif format is ReportFormat.json:
        write_json(as_json(analysis, published, confusion), output)
    else:
        write(as_csv(analysis, published), output)


def _report_in_brief(
    path: Path, bands: Bands, published: bool, format: ReportFormat, output: Path | None
) -> None:
    """Print what can be counted without a look at images and voters: the table and the thresholds."""
    evidence = Evidence(bands)
    table = Report(evidence.bands)
    for row, number in rows_of_file(path).alike(evidence.cuts):
        evidence.count(row, number)
        if not row.of_relabelling:
            table.count(row, number)
    table.sort()
    if format is ReportFormat.csv:
        write_csv(table_rows(table, SCHEMA, published), output)
        return
    promises = promised_thresholds(evidence)
    if format is ReportFormat.json:
        rule = {"rule": "target", "target": TARGET, "assurance": ASSURANCE}
        found = table_json(table, None, SCHEMA, published)
        write_json(found | {"thresholds": thresholds_json(promises, rule)}, output)
        return
    with written(output) as file:
        console.print_report(table, str(path), file, published)
        console.print_thresholds(
            promises, f"Precision at least {TARGET:.4g}, with assurance {ASSURANCE:.4g}", file
        )


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
        write_json(
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
        write_json({"schema": SCHEMA, "job": job, "votes_without_answer": listed})
        return
    for one in found:
        console.out.print(f"{one.key[0]}  {one.key[1]}  {one.voter}  {one.decision}", soft_wrap=True)
    console.err.print(f"Job {job}: {len(found)} votes without an answer.")
