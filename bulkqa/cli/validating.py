"""`bulkqa validate`."""

from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bulkqa import console
from bulkqa.cli.app import app
from bulkqa.cli.options import DEFAULT_HOME, Bucket, Home, Output, Stack, Table
from bulkqa.cli.output import write, write_json, written
from bulkqa.cli.places import open_store
from bulkqa.errors import InputError
from bulkqa.flow.gate import judge
from bulkqa.flow.limits import Outcome

EXIT_CODES = {Outcome.PASSED: 0, Outcome.FAILED: 1, Outcome.UNDECIDED: 3}


class VerdictFormat(StrEnum):
    """Formats of a verdict."""

    table = "table"
    text = "text"
    json = "json"
    html = "html"


@app.command()
def validate(
    eval_config: Annotated[
        Path | None,
        typer.Argument(
            metavar="EVAL_CONFIG", help="TFMA's EvalConfig as protobuf text or JSON, or a short gate in YAML."
        ),
    ] = None,
    metrics: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Metrics of the models, slice by slice.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(metavar="ROWS", help="Compute the metrics of these rows: CSV, JSON Lines or Parquet."),
    ] = None,
    label: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="The label.  [default: label_key of the model]")
    ] = None,
    candidate: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="The candidate's prediction.  [default: its prediction_key]"),
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="The baseline's.  [default: its prediction_key, if any]"),
    ] = None,
    slice: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="Slices by its values, beside those of EVAL_CONFIG."),
    ] = None,
    job: Annotated[
        str | None,
        typer.Option(
            metavar="JOB", help="Metrics of a job's report; without EVAL_CONFIG against its own gate."
        ),
    ] = None,
    show: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Show a ValidationResult that was kept.")
    ] = None,
    rubber_stamp: Annotated[
        bool,
        typer.Option("--rubber-stamp", help="It is the first model: without a baseline, leave out changes."),
    ] = False,
    intervals: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE", help="Decide by intervals of this confidence: pass, fail, or lack data."
        ),
    ] = None,
    jointly: Annotated[
        bool, typer.Option("--jointly", help="Let that confidence hold for all checks at once.")
    ] = False,
    home: Home = DEFAULT_HOME,
    stack: Stack = None,
    bucket: Bucket = None,
    table: Table = None,
    format: Annotated[VerdictFormat, typer.Option()] = VerdictFormat.table,
    output: Output = None,
) -> None:
    """Say whether a model may go out: its metrics against thresholds and a baseline.

    Exit code 0: validation ok. 1: it is not. 2: the configuration or the metrics cannot be used. 3: there is
    not enough data, with --intervals, or as long as items of a job are not reviewed.
    """
    # Protobuf and the template engine, only where they are used.
    from bulkqa.evaluation import schema
    from bulkqa.evaluation.eval_config import NOT_USED
    from bulkqa.evaluation.gate_file import read_gate, read_text
    from bulkqa.evaluation.metrics_file import read_metrics
    from bulkqa.evaluation.validation_result import read_verdict, to_message
    from bulkqa.steps.judging import judge_job

    gate = found = None
    if show is not None:
        if eval_config or metrics or data or job or rubber_stamp or intervals is not None or jointly:
            raise InputError("--show shows a result as it was kept: it goes with --format and -o alone")
        verdict, source = read_verdict(_bytes(show), show.name), show
    elif job is not None:
        if metrics or data or label or candidate or baseline or slice:
            raise InputError("--job takes the metrics of a job's report: of metrics and data it goes alone")
        if eval_config is not None:
            gate, warnings = read_gate(read_text(eval_config), eval_config.name)
            _warn(f"{eval_config.name}: {warning}" for warning in warnings)
        with open_store(home, stack, bucket, table) as store:
            verdict, gate, found = judge_job(
                job, store, gate, rubber_stamp=rubber_stamp, confidence=intervals, jointly=jointly
            )
        source = Path(job)
    elif eval_config is None or (metrics is None) == (data is None):
        raise InputError(
            "bulkqa validate needs EVAL_CONFIG and --metrics FILE or --data ROWS, --job JOB, or --show FILE"
        )
    else:
        text = read_text(eval_config)
        gate, warnings = read_gate(text, eval_config.name)
        if metrics is not None:
            if label or candidate or baseline or slice:
                raise InputError("--label, --candidate, --baseline and --slice are columns of --data ROWS")
            _warn(f"{eval_config.name}: {warning}" for warning in warnings)
            found, source = read_metrics(read_text(metrics), metrics.name), metrics
        else:
            from bulkqa.evaluation.asked import asked
            from bulkqa.evaluation.measures import measure, rows

            assert data is not None  # noqa: S101  one of both is there
            _warn(f"{eval_config.name}: {one}" for one in warnings if not one.startswith(NOT_USED))
            what = asked(text, gate, eval_config.name, label, candidate, baseline, slice or ())
            found, source = measure(rows(data), what.columns, what.measures, what.slices, data.name), data
        verdict = judge(gate, found, rubber_stamp=rubber_stamp, confidence=intervals, jointly=jointly)
    if format is VerdictFormat.table:
        from bulkqa.verdict_words import print_verdict

        with written(output) as file:
            print_verdict(verdict, file)
    elif format is VerdictFormat.html:
        from bulkqa.gate_page import render_verdict

        write([render_verdict(verdict, source.name, gate, found)], output)
    else:
        _warn(verdict.notes)
        message = to_message(verdict)
        if format is VerdictFormat.json:
            write_json(schema.as_json(message), output)
        else:
            write([schema.as_text(message)], output)
    raise typer.Exit(EXIT_CODES[verdict.outcome])


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None


def _warn(warnings: Iterable[str]) -> None:
    for warning in warnings:
        console.err.print(f"warning: {warning}", style="yellow", markup=False, soft_wrap=True)
