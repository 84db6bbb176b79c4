"""`bulkqa plan`."""

import dataclasses
from typing import Annotated, Any

import typer

from bulkqa import SCHEMA, console, jobs, parquet
from bulkqa.cli.app import app
from bulkqa.cli.options import DEFAULT_HOME, Bucket, Home, Output, ReportFormat, Stack, Table
from bulkqa.cli.output import write_csv, write_json, written
from bulkqa.cli.places import local_copy, open_store
from bulkqa.cli.sources import is_file
from bulkqa.errors import InputError
from bulkqa.flow.bands import read_bands
from bulkqa.flow.mixing import Mixer
from bulkqa.flow.plan import SECONDS_PER_PICTURE, Plan, plan_json, plan_labels, plan_rows
from bulkqa.settings import JobSettings
from bulkqa.steps.planning import count_corpus, count_job, seconds_per_picture


@app.command()
def plan(
    source: Annotated[
        str, typer.Argument(metavar="CORPUS|JOB", help="A corpus as for launch, or a job: its corpus again.")
    ],
    home: Home = DEFAULT_HOME,
    stack: Stack = None,
    bucket: Bucket = None,
    table: Table = None,
    target: Annotated[float, typer.Option(help="Share of right labels that is to be proven.")] = 0.95,
    assurance: Annotated[float, typer.Option(help="How sure that has to be.")] = 0.95,
    bands: Annotated[
        str | None, typer.Option(help="Bounds of the bands.  [default: the job's, or 80,85,90,95,100]")
    ] = None,
    min_confidence: Annotated[
        float | None, typer.Option(help="Leave out rows below.  [default: the job's, or 80]")
    ] = None,
    reviewers: Annotated[
        int | None, typer.Option(help="Reviews of each page, 1 to 9.  [default: the job's, or 1]")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Pictures on a page.  [default: the job's, or 25]")
    ] = None,
    check_rate: Annotated[
        float | None,
        typer.Option(
            help="Share of known-answer items among a page's pictures, 0 to 0.5.  [default: the job's, or 0]"
        ),
    ] = None,
    reviews_per_label: Annotated[
        int | None, typer.Option(metavar="N", help="Items of each label, where not as many as it takes.")
    ] = None,
    seconds_per_page: Annotated[
        float | None, typer.Option(metavar="S", help="A reviewer's time for a full page.")
    ] = None,
    format: Annotated[ReportFormat, typer.Option()] = ReportFormat.table,
    output: Output = None,
) -> None:
    """Say what to review, and what it takes, before any page is shown.

    Of each label and band a sample: bulkqa launch --sample takes the plan that --format json -o FILE writes.
    """
    if seconds_per_page is not None and not 0 < seconds_per_page < float("inf"):
        raise InputError(f"{seconds_per_page:g} seconds per page: more than 0 are needed")
    if check_rate is not None:
        Mixer(check_rate, batch_size or 1, seed=0)  # which refuses a rate as the launch would
    given: dict[str, Any] = {
        "bands": None if bands is None else read_bands(bands),
        "minimum_confidence": min_confidence,
        "reviewers": reviewers,
        "batch_size": batch_size,
        "check_rate": check_rate,
    }
    given = {name: value for name, value in given.items() if value is not None}
    timed = None
    if is_file(source):
        settings = JobSettings(job="plan", corpus_name=source.rpartition("/")[2], **given).check()
        with local_copy(source) as path, console.progress_bar() as notice:
            counted = count_corpus(
                lambda: path.open("rb"),
                settings.corpus_name,
                settings.bands,
                settings.minimum_confidence,
                notice,
                parquet.lines if parquet.is_parquet(path) else iter,
            )
    else:
        with open_store(home, stack, bucket, table) as store:
            settings = dataclasses.replace(jobs.settings_of(source, store.blobs), **given).check()
            counted = count_job(source, settings.bands, settings.minimum_confidence, store)
            if seconds_per_page is None:
                timed = seconds_per_picture(source, store)
    a_picture, times = timed or (SECONDS_PER_PICTURE, 0)
    planned = Plan(
        counted.corpus_name,
        counted.corpus_sha256,
        target,
        assurance,
        settings.bands,
        settings.minimum_confidence,
        settings.batch_size,
        settings.reviewers,
        a_picture * settings.batch_size if seconds_per_page is None else seconds_per_page,
        times,
        counted.below,
        plan_labels(counted.populations, settings.bands, target, assurance, reviews_per_label, counted.votes),
        settings.check_rate,
    )
    if format is ReportFormat.json:
        write_json(plan_json(planned, SCHEMA), output)
    elif format is ReportFormat.csv:
        write_csv(plan_rows(planned, SCHEMA), output)
    else:
        with written(output) as file:
            console.print_plan(planned, file)
