"""`bulkqa launch`."""

import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from bulkqa import SCHEMA, console, parquet, steps
from bulkqa.cli.app import app
from bulkqa.cli.options import DEFAULT_HOME, Bucket, Home, Stack, Table, TableOrJson
from bulkqa.cli.output import write_json
from bulkqa.cli.places import image_root_of, local_copy, now, open_store, pictures_of, shown
from bulkqa.errors import InputError
from bulkqa.flow.bands import read_bands
from bulkqa.flow.plan import read_plan
from bulkqa.settings import JobSettings, StopEarly
from bulkqa.steps.gating import GateFile


@app.command()
def launch(
    corpus: Annotated[
        str, typer.Argument(metavar="CORPUS", help="CSV, JSON Lines, manifest or Parquet; or one as s3://...")
    ],
    job: Annotated[str, typer.Option(metavar="NAME", help="Name of the new job.")],
    home: Home = DEFAULT_HOME,
    stack: Stack = None,
    bucket: Bucket = None,
    table: Table = None,
    images: Annotated[
        str | None,
        typer.Option(metavar="DIR|s3://...", help="Folder or prefix from which the corpus' paths start."),
    ] = None,
    copy_images: Annotated[
        bool, typer.Option("--copy-images", help="Copy the pictures into the bucket (on AWS).")
    ] = False,
    guideline: Annotated[Path | None, typer.Option(metavar="FILE", help="Text for the page's help.")] = None,
    examples: Annotated[
        Path | None, typer.Option(metavar="FILE", help='JSON: pictures under "good" and "bad".')
    ] = None,
    batch_size: Annotated[int, typer.Option(help="Pictures on a page, 1 to 100.")] = 25,
    min_confidence: Annotated[float, typer.Option(help="Leave out rows below.")] = 80,
    bands: Annotated[str, typer.Option(help="Bounds of the report's bands.")] = "80,85,90,95,100",
    reviewers: Annotated[int, typer.Option(help="Reviews of each page, 1 to 9.")] = 1,
    seed: Annotated[int, typer.Option(help="Shuffles the pictures.")] = 0,
    check_rate: Annotated[
        float, typer.Option(help="Share of known-answer items among a page's pictures, 0 to 0.5.")
    ] = 0,
    checks: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Known answers (image, true label), here or as s3://...; without it, those of earlier jobs.",
        ),
    ] = None,
    gate: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="What the job's report has to pass: TFMA's EvalConfig, or a short gate."
        ),
    ] = None,
    sample: Annotated[
        Path | None, typer.Option(metavar="PLAN", help="Launch what a file of bulkqa plan says, not all.")
    ] = None,
    stop_early: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Close a label once its threshold is settled, after N of its images at the latest.",
        ),
    ] = None,
    target: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help=f"With --stop-early: share right that is to be promised.  [default: {StopEarly.target}]",
        ),
    ] = None,
    assurance: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help=f"With --stop-early: how often a promise is to hold.  [default: {StopEarly.assurance}]",
        ),
    ] = None,
    format: Annotated[TableOrJson, typer.Option()] = TableOrJson.table,
) -> None:
    """Start a job: read a corpus and make pages of it."""
    if stop_early is None and (target is not None or assurance is not None):
        raise InputError("--target and --assurance say when a label closes: they go with --stop-early N")
    on_aws = bool(stack or bucket or table)
    settings = JobSettings(
        job=job,
        corpus_name=corpus.rpartition("/")[2],
        batch_size=batch_size,
        minimum_confidence=min_confidence,
        bands=read_bands(bands),
        reviewers=reviewers,
        seed=seed,
        check_rate=check_rate,
        checks_name=None if checks is None else checks.rpartition("/")[2],
        image_root=image_root_of(images),
        guideline=None if guideline is None else _read_text(guideline),
        examples=None if examples is None else _read_examples(examples),
        host="ground-truth" if on_aws else "portal",
        stop_early=None
        if stop_early is None
        else StopEarly(
            reviews=stop_early,
            target=StopEarly.target if target is None else target,
            assurance=StopEarly.assurance if assurance is None else assurance,
        ),
    )
    plan = None if sample is None else read_plan(_read_text(sample), sample.name, SCHEMA)
    with (
        open_store(home, stack, bucket, table) as store,
        local_copy(corpus) as path,
        nullcontext() if checks is None else local_copy(checks) as checks_path,
        console.progress_bar() as notice,
    ):
        pictures = pictures_of(store, settings, on_aws, None if bucket else stack, copy_images)
        launched = steps.launch(
            lambda: path.open("rb"),
            settings,
            store,
            created_at=now(),
            keep=pictures.keep,
            screen=pictures.screen,
            look=pictures.look,
            copy=pictures.copy,
            notice=notice,
            lines=parquet.lines if parquet.is_parquet(path) else iter,
            plan=plan,
            open_checks=None if checks_path is None else _opener(checks_path),
            gate=None if gate is None else GateFile(gate.name, _read_bytes(gate)),
        )
        rejected = shown(launched.rejected_key, store, home)
    print_launched(launched, rejected, format)


def _opener(path: Path) -> Callable[[], BinaryIO]:
    return lambda: path.open("rb")


def _read_text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: {error}") from None


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None


def _read_examples(path: Path) -> dict[str, list[str]]:
    """Return the example pictures in a file: {"good": [references], "bad": [references]}."""
    try:
        examples = json.loads(_read_text(path))
    except ValueError as error:
        raise InputError(f"{path}: not readable as JSON: {error}") from None
    if not isinstance(examples, dict) or not examples.keys() <= {"good", "bad"}:
        raise InputError(f"{path}: not an object with lists of pictures under good and bad")
    for name, pictures in examples.items():
        if not isinstance(pictures, list) or not all(isinstance(one, str) for one in pictures):
            raise InputError(f"{path}: {name} is no list of pictures")
    return examples


def print_launched(launched: steps.Launched, rejected_file: str, format: TableOrJson) -> None:
    """Print what a launch did."""
    counts = launched.counts
    for warning in launched.warnings:
        console.err.print(f"gate: {warning}", style="yellow", markup=False, soft_wrap=True)
    for bad in launched.first_rejected:
        console.err.print(f"rejected: line {bad.line}: {bad.reason}", style="yellow", markup=False)
    if counts.rejected > len(launched.first_rejected):
        console.err.print(f"... and {counts.rejected - len(launched.first_rejected)} more rejected rows")
    if format is TableOrJson.json:
        write_json(
            {
                "schema": SCHEMA,
                "job": launched.job,
                "items": counts.items,
                "labels": dict(sorted(counts.of_label.items())),
                "batches": launched.batches,
                "below": counts.below,
                "left_out": counts.left_out,
                "rejected": counts.rejected,
                "rejected_file": rejected_file,
                "checks": None if launched.mixed is None else launched.mixed.to_json(),
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
    if counts.left_out:
        console.out.print(f"Left out {counts.left_out} that are not in the plan's sample.", soft_wrap=True)
    if counts.rejected:
        console.out.print(f"Rejected {counts.rejected} rows, listed in {rejected_file}.", soft_wrap=True)
    if launched.mixed is not None:
        short = launched.mixed.pages < launched.mixed.wanted
        style = "yellow" if short else None
        console.out.print(launched.mixed.sentence, soft_wrap=True, markup=False, style=style)
        if launched.mixed.rejected:
            console.out.print(
                f"Rejected {launched.mixed.rejected} known answers, listed in {rejected_file}.",
                soft_wrap=True,
            )
