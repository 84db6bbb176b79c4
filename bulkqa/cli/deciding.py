"""`bulkqa thresholds`."""

from typing import Annotated

import typer

from bulkqa import SCHEMA, console
from bulkqa.cli.app import app
from bulkqa.cli.options import DEFAULT_HOME, Bucket, Home, Output, ReportFormat, Source, Stack, Table
from bulkqa.cli.output import write_csv, write_json, written
from bulkqa.cli.places import open_store
from bulkqa.cli.sources import rows_of
from bulkqa.errors import InputError
from bulkqa.flow.bands import read_bands
from bulkqa.flow.thresholds import (
    ASSURANCE,
    SEQUENTIAL,
    TARGET,
    Evidence,
    Promise,
    Threshold,
    as_json,
    as_table,
    cost_thresholds,
    promised_thresholds,
    read_ratio,
    target_rule,
)
from bulkqa.steps.closing import terms


@app.command()
def thresholds(
    source: Source,
    home: Home = DEFAULT_HOME,
    stack: Stack = None,
    bucket: Bucket = None,
    table: Table = None,
    target: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE", help=f"Share right that is promised.  [default: as launched, or {TARGET}]"
        ),
    ] = None,
    assurance: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help=f"How often a promise holds at least.  [default: as launched, or {ASSURANCE}]",
        ),
    ] = None,
    jointly: Annotated[
        bool, typer.Option("--jointly", help="Let the assurance be that of all labels together.")
    ] = False,
    cost_ratio: Annotated[
        str | None,
        typer.Option(metavar="R", help="Promise nothing: less than 1 wrong to R right in every band."),
    ] = None,
    bands: Annotated[
        str | None, typer.Option(help="Bounds of the bands.  [default: the job's, or 80,85,90,95,100]")
    ] = None,
    format: Annotated[ReportFormat, typer.Option()] = ReportFormat.table,
    output: Output = None,
) -> None:
    """Say from which confidence on each label may be used unseen, or how many reviews would settle it."""
    if cost_ratio is not None and (target is not None or assurance is not None or jointly):
        raise InputError("--cost-ratio promises nothing: without --target, --assurance and --jointly")
    ratio = None if cost_ratio is None else read_ratio(cost_ratio)
    wanted = None if bands is None else read_bands(bands)
    with rows_of(source, open_store(home, stack, bucket, table)) as found:
        votes = 0 if found.settings is None or ratio is not None else found.settings.votes_that_count
        evidence = Evidence(wanted or found.bands, votes)
        for row, number in found.alike(evidence.cuts):
            evidence.count(row, number)
    job, samples = found.job, None if found.settings is None else found.settings.sample
    results: list[Threshold] | list[Promise]
    rule: dict[str, object]
    if ratio is not None:
        results = cost_thresholds(evidence, ratio)
        rule = {"rule": "cost-ratio", "cost_ratio": float(ratio)}
        title = f"{job or source}: less than 1 wrong to {float(ratio):g} right in every band"
    else:
        usual_target, usual_assurance, test = terms(found.settings)
        target = usual_target if target is None else target
        assurance = usual_assurance if assurance is None else assurance
        results = promised_thresholds(evidence, target, assurance, samples, test, jointly)
        rule = target_rule(target, assurance, test, jointly)
        title = f"{job or source}: precision at least {target:.4g}, with assurance {assurance:.4g}"
        title += " for all labels together" * jointly
        title += ", by the sequential test" * (test is SEQUENTIAL)
    if format is ReportFormat.table:
        with written(output) as file:
            console.print_thresholds(results, title, file)
    elif format is ReportFormat.json:
        write_json({"schema": SCHEMA, "job": job, **as_json(results, rule)}, output)
    else:
        write_csv(as_table(results, ratio is None, SCHEMA), output)
