"""`bulkqa confusion-matrix`."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from bulkqa import SCHEMA, console
from bulkqa.cli.app import app
from bulkqa.cli.options import DEFAULT_HOME, Bucket, Home, Output, Stack, Table
from bulkqa.cli.output import write, write_csv, write_json
from bulkqa.cli.places import local_copy, now, open_store, summary_of_model
from bulkqa.cli.sources import is_file
from bulkqa.errors import InputError
from bulkqa.ports import Store
from bulkqa.steps.confusion import JobConfusion, job_confusion

if TYPE_CHECKING:
    from bulkqa.evaluation.confusion import ConfusionMatrix
    from bulkqa.evaluation.rekognition import Summary

_TOLD = 5
_MOST = 10


class MatrixFormat(StrEnum):
    """Formats of a confusion matrix."""

    table = "table"
    json = "json"
    csv = "csv"


class Found(NamedTuple):
    """The matrix of a SOURCE, its document in JSON, and what makes a summary file of it."""

    matrix: "ConfusionMatrix"
    document: Mapping[str, object]
    summary: Callable[[], "Summary"]


@app.command()
def confusion_matrix(
    source: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE|PROJECT VERSION",
            help="A job; a summary file, test manifest or {ground_truth, predicted} lines, CSV or Parquet, "
            "here or as s3://...; or a project and model of Rekognition Custom Labels.",
        ),
    ],
    home: Home = DEFAULT_HOME,
    stack: Stack = None,
    bucket: Bucket = None,
    table: Table = None,
    counts: Annotated[bool, typer.Option("--counts", help="Print numbers of images, not shares.")] = False,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE.png|svg", help="Draw the matrix, too (extra 'analysis').")
    ] = None,
    summary: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a summary file as Rekognition does, too.")
    ] = None,
    format: Annotated[MatrixFormat, typer.Option()] = MatrixFormat.table,
    output: Output = None,
) -> None:
    """Print what a model mistakes for what: rows predicted, columns ground truth, shares of the column."""
    # Loaded here, for no other command needs them.
    from bulkqa.evaluation.confusion import as_table, as_text
    from bulkqa.evaluation.rekognition import as_json as summary_json

    if plot is not None:
        from bulkqa.evaluation.plots import check_plot

        check_plot(plot)
    found = _open(source, open_store(home, stack, bucket, table), by_label=summary is not None)
    if format is MatrixFormat.json:
        write_json(found.document, output)
    elif format is MatrixFormat.csv:
        write_csv(as_table(found.matrix, counts), output)
    else:
        write((f"{line}\n" for line in as_text(found.matrix, counts)), output)
    if plot is not None:
        from bulkqa.evaluation.plots import plot_matrix

        plot_matrix(found.matrix, plot, counts)
    if summary is not None:
        write_json(summary_json(found.summary()), summary)


def _open(source: list[str], store: AbstractContextManager[Store], by_label: bool) -> Found:
    if len(source) > 2:
        raise InputError("name one SOURCE, or a PROJECT and a VERSION")
    if len(source) == 2:
        return _of_file(summary_of_model(*source), by_label)
    (name,) = source
    if is_file(name):
        return _of_file(name, by_label)
    with store as opened:
        return _of_job(job_confusion(name, opened))


def _of_file(name: str, by_label: bool) -> Found:
    """Read a file, here or in S3, by what is in it."""
    from bulkqa.evaluation.confusion import as_json
    from bulkqa.evaluation.rekognition import is_summary, read_summary

    with local_copy(name) as path:
        if not _may_be_summary(path) or not is_summary(data := path.read_bytes()):
            return _of_predictions(path, name, by_label)
    found = read_summary(data, name)
    return Found(found.matrix, as_json(found.matrix, SCHEMA), lambda: found)


def _may_be_summary(path: Path) -> bool:
    """Say whether a file is one JSON document, as far as its first line tells: files of lines can be long."""
    with path.open("rb") as file:
        first = next((line for line in file if line.strip()), b"").removeprefix(b"\xef\xbb\xbf").lstrip()
        if not first.startswith(b"{"):
            return False
        try:
            json.loads(first)
        except ValueError:
            return True  # a document of several lines, or a line that is at fault
        return not any(line.strip() for line in file)


def _of_predictions(path: Path, name: str, by_label: bool) -> Found:
    """Read a file of predictions; what cannot be used is told and counted.

    Counted by column where that can be, unless each label is to be tested by itself, for a summary.
    """
    from bulkqa.evaluation.columns import confusion_of_file
    from bulkqa.evaluation.confusion import as_json, of_pairs
    from bulkqa.evaluation.predictions import Prediction, read_predictions
    from bulkqa.evaluation.rekognition import LabelTests, summarise

    tests = LabelTests()
    used = bad = 0
    matrix = None if by_label else confusion_of_file(path)
    if matrix is None:
        pairs: dict[tuple[str, str], float] = {}
        for one in read_predictions(path, name):
            if by_label:
                tests.add(one)
            if isinstance(one, Prediction):
                used += 1
                pair = one.predicted, one.ground_truth
                pairs[pair] = pairs.get(pair, 0) + (1 if one.weight is None else one.weight)
                continue
            bad += 1
            if bad <= _TOLD:
                _warn(f"{name}, line {one.line}: left out: {one.reason}")
        if bad > _TOLD:
            _warn(f"{name}: left out {bad} lines in all")
        if not used:
            raise InputError(f"{name}: no usable prediction")
        matrix = of_pairs(pairs)
    counted = matrix
    return Found(
        matrix,
        as_json(matrix, SCHEMA),
        lambda: summarise(counted, tests.results(), used, _ended()),
    )


def _warn(line: str) -> None:
    console.err.print(line, style="yellow", markup=False, soft_wrap=True)


def _of_job(found: JobConfusion) -> Found:
    from bulkqa.evaluation.rekognition import results_of, summarise

    for line in _told(found):
        _warn(line)
    matrix = found.matrix
    return Found(
        matrix,
        found.as_json(SCHEMA),
        lambda: summarise(matrix, results_of(matrix), found.reviewed, _ended()),
    )


def _told(found: JobConfusion) -> Iterator[str]:
    """Yield, in sentences, what the matrix of a job does not know."""
    if not found.reviewed:
        yield "No item is reviewed yet."
        return
    if found.unreviewed:
        yield f"{found.unreviewed} items are not reviewed; the matrix has {found.reviewed} that are."
    if found.weighted:
        yield "Labels or bands were reviewed at different rates: each item counts what it stands for."
    if not found.unknown:
        return
    rejected = sum(one.rejected for one in found.unknown.values())
    split = sum(one.split for one in found.unknown.values())
    yield (
        f"{rejected + split} reviewed items have no true label and are in no cell: {rejected} rejected "
        f"(bulkqa relabel asks what they are), {split} split (bulkqa adjudicate). Shares are of the others."
    )
    most = sorted(found.unknown.items(), key=lambda entry: -(entry[1].rejected + entry[1].split))
    for label, one in islice(most, _MOST):
        place = found.matrix.labels.index(label)
        recall = found.matrix.shares[place][place]
        bounds = found.bounds[place][place]
        shown = "-" if recall is None else f"{recall:.0%}"
        yield f"  predicted {label}: {one.rejected} rejected, {one.split} split; recall {shown}" + (
            "" if bounds is None else f", between {bounds[0]:.0%} and {bounds[1]:.0%} whatever they are"
        )
    if len(most) > _MOST:
        yield f"  ... and {len(most) - _MOST} more labels; --format json has all, and every share's bounds"


def _ended() -> str:
    return now().removesuffix("Z")
