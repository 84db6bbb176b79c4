"""`bulkqa export`."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from bulkqa import console, jobs, parquet, retraining, steps, table_file
from bulkqa.cli.app import app
from bulkqa.cli.options import DEFAULT_HOME, Bucket, Home, Output, RowFormat, Source, Stack, Table
from bulkqa.cli.output import placed, write, write_binary
from bulkqa.cli.places import fetcher, now, open_store, picture_sizes
from bulkqa.cli.sources import is_file, rows_of, rows_of_file
from bulkqa.errors import InputError
from bulkqa.flow.rounds import Finals
from bulkqa.flow.votes import Outcome
from bulkqa.ports import Store

_TOLD = 5


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
    final: Annotated[
        bool,
        typer.Option(
            "--final", help="Let adjudications decide, and say what label each image has in the end."
        ),
    ] = False,
    output: Output = None,
) -> None:
    """Write rows with their votes, or for training (manifest, coco, imagefolder) images with final labels."""
    wanted = frozenset(Outcome) if outcome is None else frozenset(map(_outcome, outcome.split(",")))
    on_aws = bool(stack or bucket or table)
    store = open_store(home, stack, bucket, table)
    if format is RowFormat.imagefolder:
        _write_folder(source, store, wanted, on_aws, output)
    elif format is RowFormat.manifest:
        _write_manifest(source, store, wanted, output)
    elif format is RowFormat.coco:
        _write_coco(source, store, wanted, output)
    elif final:
        with _finals_of(source, store) as (finals, job, _):
            found = (table_file.exported(row, job, label) for row, label in finals.of(wanted))
            _write_records(found, table_file.FINAL_COLUMNS, format, output)
    else:
        with rows_of(source, store) as opened:
            found = (table_file.exported(row, opened.job) for row in opened.rows if row.outcome in wanted)
            _write_records(found, table_file.COLUMNS, format, output)


@contextmanager
def _finals_of(
    source: str, store: AbstractContextManager[Store]
) -> Iterator[tuple[Finals, str | None, str | None]]:
    """Open a SOURCE: its items with their final labels, its job if it is one, and where its pictures are."""
    if is_file(source):
        with Finals(rows_of_file(Path(source)).rows) as finals:
            yield finals, None, None
        return
    with store as opened, steps.final_labels(source, opened) as finals:
        yield finals, source, jobs.settings_of(source, opened.blobs).image_root


def _write_records(
    records: Iterable[Mapping[str, object]],
    columns: Mapping[str, str],
    format: RowFormat,
    output: Path | None,
) -> None:
    """Write records as CSV, JSON Lines or Parquet."""
    if format is RowFormat.csv:
        write(table_file.as_csv(records, columns), output)
    elif format is RowFormat.jsonl:
        write(table_file.as_json_lines(records), output)
    elif output is not None:
        with placed(output) as new:
            parquet.write(table_file.as_json_lines(records), columns, new)
    else:
        with TemporaryDirectory() as folder:
            path = Path(folder, "rows.parquet")
            parquet.write(table_file.as_json_lines(records), columns, path)
            write_binary(path)


def _write_manifest(
    source: str, store: AbstractContextManager[Store], wanted: Collection[Outcome], output: Path | None
) -> None:
    tally = Counter[str]()
    with _finals_of(source, store) as (finals, _, _):
        write(retraining.manifest(finals, wanted, now(), tally), output)
    _warn(tally["several"], "images have several labels, each in an attribute of its own")
    _warn(tally["elsewhere"], "images do not lie in S3, where training on AWS reads them")
    if not tally["images"]:
        console.err.print("No image has a label yet.", style="yellow")


def _write_coco(
    source: str, store: AbstractContextManager[Store], wanted: Collection[Outcome], output: Path | None
) -> None:
    tally = Counter[str]()
    with _finals_of(source, store) as (finals, _, root):
        write(retraining.coco(finals, wanted, now(), root, picture_sizes(root), tally), output)
    _warn(
        tally["unsized"], "images have no width and height: the extra 'analysis' reads them, on this machine"
    )
    if not tally["images"]:
        console.err.print("No image has a label yet.", style="yellow")


def _write_folder(
    source: str,
    store: AbstractContextManager[Store],
    wanted: Collection[Outcome],
    on_aws: bool,
    output: Path | None,
) -> None:
    if output is None:
        raise InputError("an imagefolder is many files: name a folder with -o")
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise InputError(f"{output}: there is something already; name a new folder")
    tally = Counter[str]()
    with _finals_of(source, store) as (finals, _, root), placed(output) as new:
        new.mkdir(parents=True)
        fetch, mapped = fetcher(root, on_aws)
        for place, reason in enumerate(retraining.image_folder(finals, wanted, new, fetch, mapped, tally)):
            if place < _TOLD:
                console.err.print(f"left out: {reason}", style="yellow", markup=False, soft_wrap=True)
        if tally["absent"] and not tally["images"]:
            raise InputError(
                f"{source}: not one of {tally['absent']} pictures is where it could be copied from"
            )
    _warn(tally["absent"], "pictures were left out")
    _warn(tally["several"], "images have several labels and were left out: no folder is theirs alone")
    console.err.print(f"Copied {tally['images']} pictures to {output}.", soft_wrap=True)


def _warn(number: int, what: str) -> None:
    if number:
        console.err.print(f"{number} {what}.", style="yellow", markup=False, soft_wrap=True)


def _outcome(name: str) -> Outcome:
    try:
        return Outcome(name.strip())
    except ValueError:
        raise InputError(f"outcome {name!r}: use {', '.join(Outcome)}") from None
