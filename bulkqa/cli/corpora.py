"""`bulkqa label`: a corpus of the labels that Rekognition gives."""

from pathlib import Path
from typing import Annotated

import typer

from bulkqa import SCHEMA, console
from bulkqa.cli.app import app
from bulkqa.cli.options import TableOrJson
from bulkqa.cli.output import write_json
from bulkqa.cli.places import objects_below, rekognition_model
from bulkqa.errors import InputError
from bulkqa.steps.corpora import Asked, Labelled, label_images

MAX_THREADS = 32


@app.command()
def label(
    prefix: Annotated[
        str, typer.Argument(metavar="s3://BUCKET/PREFIX", help="The folder in S3 with the pictures.")
    ],
    rekognition: Annotated[
        str, typer.Option(metavar="MODEL_ARN|builtin", help="A running Custom Labels model, or DetectLabels.")
    ],
    output: Annotated[
        Path,
        typer.Option("-o", "--output", metavar="FILE", help="The corpus: CSV with image, label, confidence."),
    ],
    min_confidence: Annotated[float, typer.Option(help="Leave out labels below, 0 to 100.")] = 50,
    threads: Annotated[int, typer.Option(help=f"Calls at once, 1 to {MAX_THREADS}.")] = 8,
    format: Annotated[TableOrJson, typer.Option()] = TableOrJson.table,
) -> None:
    """Have Rekognition label the pictures below a prefix in S3, one paid call for each, and write a corpus.

    What was interrupted goes on when it is run again: pictures that are in the file are not asked for again.
    """
    if not 0 <= min_confidence <= 100:
        raise InputError(f"minimum confidence {min_confidence:g} is outside 0 to 100")
    if not 1 <= threads <= MAX_THREADS:
        raise InputError(f"{threads} threads: use 1 to {MAX_THREADS}")
    model, ask = rekognition_model(rekognition, min_confidence, threads)
    with console.progress_bar() as notice:
        done = label_images(objects_below(prefix), ask, Asked(model, min_confidence), output, notice)
    _print(done, output, min_confidence, format)


def _print(done: Labelled, output: Path, minimum: float, format: TableOrJson) -> None:
    log = f"{output}.log"
    for image, reason in done.unreadable:
        console.err.print(f"not read: {image}: {reason}", style="yellow", markup=False, soft_wrap=True)
    if done.failed > len(done.unreadable):
        console.err.print(f"... and {done.failed - len(done.unreadable)} more, listed in {log}")
    if format is TableOrJson.json:
        write_json(
            {
                "schema": SCHEMA,
                "file": str(output),
                "log": log,
                "images_labelled": done.labelled,
                "rows": done.rows,
                "images_without_label": done.without,
                "images_unreadable": done.failed,
                "images_before": done.before,
                "other_objects": done.others,
            }
        )
        return
    console.out.print(
        f"Labelled {done.labelled} images: {done.rows} rows added to {output}.", soft_wrap=True, markup=False
    )
    for number, what in (
        (done.before, "images had been asked for before."),
        (done.without, f"images have no label at or above {minimum:g}."),
        (done.failed, f"images could not be read; they are listed in {log} and asked for again next time."),
        (done.others, "objects are no pictures by their names."),
    ):
        if number:
            console.out.print(f"{number} {what}", soft_wrap=True, markup=False)
