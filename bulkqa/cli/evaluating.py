"""`bulkqa metrics`."""

import json
import mimetypes
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from bulkqa import SCHEMA, console
from bulkqa.cli.app import app
from bulkqa.cli.options import ReportFormat
from bulkqa.cli.output import write, write_csv, write_json, written
from bulkqa.cli.places import local_copy, pictures_to_embed
from bulkqa.errors import InputError
from bulkqa.evaluation import lookout, rekognition
from bulkqa.evaluation.masks import MaskFolder, PixelTally, find_file
from bulkqa.evaluation.metrics import Averages, ClassMetrics, Evaluation
from bulkqa.evaluation.metrics import as_json as evaluation_json
from bulkqa.evaluation.metrics import as_table as evaluation_rows
from bulkqa.evaluation.predictions import (
    ANOMALY,
    NORMAL,
    PREDICTED_MASK,
    TRUE_MASK,
    MultiLabel,
    Prediction,
    Unlabeled,
    read_predictions,
)
from bulkqa.evaluation.slices import Slice, value_of
from bulkqa.flow.records import Rejected
from bulkqa.flow.statistics import Interval

if TYPE_CHECKING:
    from bulkqa.metrics_page import Cards

_TOLD = 5
_HEAD = 65_536


@app.command()
def metrics(
    manifest: Annotated[
        str,
        typer.Argument(
            metavar="MANIFEST",
            help="An evaluation, test or output manifest; lines or CSV with ground_truth and predicted; "
            "or a result, to be shown. Here or as s3://...",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Write the result as JSON, whatever is printed."),
    ] = None,
    format: Annotated[ReportFormat, typer.Option()] = ReportFormat.table,
    by: Annotated[
        str | None, typer.Option(metavar="FIELD", help="Also each value of this field by itself (as a.b).")
    ] = None,
    positive: Annotated[
        str | None,
        typer.Option(
            metavar="CLASS", help="The one of two classes whose scores are given; not needed for anomaly."
        ),
    ] = None,
    masks: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Measure the masks, which lie in this folder.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw the curves: .png or .svg.")] = None,
) -> None:
    """Say how good a model's predictions are: precision, recall, F1 and more, for each class."""
    with local_copy(manifest) as path:
        if (given := _given(path, manifest)) is None:
            _evaluate_file(path, manifest, output, format, by, positive, masks, plot)
        elif (
            output or by or positive or masks or plot or format not in (ReportFormat.table, ReportFormat.json)
        ):
            raise InputError(f"{manifest}: a result already, which is shown as it stands, as table or json")
        else:
            _show_given(given, manifest, format)


def _evaluate_file(
    path: Path,
    manifest: str,
    output: Path | None,
    format: ReportFormat,
    by: str | None,
    positive: str | None,
    masks: Path | None,
    plot: Path | None,
) -> None:
    if masks is not None and format is ReportFormat.csv:
        raise InputError("--masks is for table, json and html")
    if plot is not None:
        from bulkqa.evaluation.plots import check_plot, plot_curves

        check_plot(plot)
    cards = _cards() if format is ReportFormat.html else None
    read = _Read(by, None if masks is None else MaskFolder(masks, manifest), cards)
    _read_file(path, manifest, read)
    results = _evaluate(read, positive)
    if plot is not None:
        plot_curves(results.evaluation, plot)
    document = _document(read, results)
    if output is not None:
        write_json(document, output)
    if format is ReportFormat.json:
        write_json(document)
    elif format is ReportFormat.csv:
        write_csv(_rows(read, results), None)
    elif cards is not None:
        folders = [folder for folder in (masks, path.parent) if folder is not None]
        write([_page(read, results, cards, PurePosixPath(manifest).name, folders)], None)
    else:
        with written(None) as file:
            _show(read, results, manifest, Console(file=file, highlight=False))


# Reading.


class _Part:
    """Predictions and their masks: all, or those of one slice."""

    def __init__(self) -> None:
        self.predictions = Slice()
        self.pixels = PixelTally()


class _Read:
    """What a file of predictions holds."""

    def __init__(self, by: str | None, masks: MaskFolder | None, cards: "Cards | None") -> None:
        self.by = by
        self.masks = masks
        self.cards = cards
        self.all = _Part()
        self.slices: dict[str, _Part] = defaultdict(_Part)
        self.tests = rekognition.LabelTests()
        self.models: set[str] = set()
        self.unlabeled = self.rejected = self.masked = 0
        self.first: list[Rejected] = []

    def add(self, found: Prediction | Rejected) -> None:
        """Take a line into account."""
        if isinstance(found, MultiLabel) or (isinstance(found, Prediction) and _tests_each_label(found)):
            self.tests.add(found)
        if isinstance(found, Prediction):
            self._add(found)
        elif isinstance(found, Unlabeled):
            self.unlabeled += 1
        else:
            self.rejected += 1
            if self.rejected <= _TOLD:
                self.first.append(found)

    def _add(self, found: Prediction) -> None:
        self.masked += TRUE_MASK in found.fields or PREDICTED_MASK in found.fields
        self.models |= set(_models(found))
        parts = [self.all]
        if self.by is not None:
            parts.append(self.slices[value_of(found.fields, self.by)])
        masks = None if self.masks is None else self.masks.read(found.line, found.fields)
        overlaps = {} if masks is None else masks.overlaps()
        for part in parts:
            part.predictions.add(found)
            part.pixels.add(overlaps)
        if self.cards is not None:
            self.cards.add(found, masks, overlaps)


def _tests_each_label(found: Prediction) -> bool:
    """Say whether a line has the scores of all labels, and more of them than Lookout's two."""
    return len(found.scores) > 1 and {*found.scores} != {NORMAL, ANOMALY}


def _models(found: Prediction) -> Iterator[str]:
    for key, metadata in found.fields.items():
        if key.endswith("-detected-metadata") and isinstance(metadata, dict):
            arn = metadata.get("model-arn")
            if isinstance(arn, str):
                yield arn


def _cards() -> "Cards":
    from bulkqa.metrics_page import Cards  # with the template engine, only where it draws

    return Cards()


def _read_file(path: Path, manifest: str, read: _Read) -> None:
    """Read a file, and say what is left out; raise `InputError` where nothing in it can be used."""
    for found in read_predictions(path, manifest):
        read.add(found)
    if not len(read.all.predictions) and not read.tests.results():
        first = f"; line {read.first[0].line}: {read.first[0].reason}" if read.first else ""
        raise InputError(
            f"{manifest}: no image with a ground truth and a prediction: {read.unlabeled} unlabeled, "
            f"{read.rejected} rejected{first}"
        )
    _tell(read, manifest)


def _tell(read: _Read, name: str) -> None:
    """Say on standard error what was left out."""
    notes = [f"{name}, line {line}: left out: {reason}" for line, reason in read.first]
    if read.rejected > _TOLD:
        notes.append(f"{name}: left out {read.rejected} lines in all")
    if read.unlabeled:
        notes.append(f"{name}: left out {read.unlabeled} unlabeled images")
    if read.masked and read.masks is None:
        notes.append(f"{name}: {read.masked} images have masks, which were not measured: see --masks")
    for note in notes:
        console.err.print(note, style="yellow", markup=False, soft_wrap=True)


# What follows from it.


class _Results(NamedTuple):
    """The evaluation of all lines, and of each slice; `positive` is the positive of two classes."""

    evaluation: Evaluation
    slices: Sequence[tuple[str, Evaluation]]
    positive: str | None
    of_lookout: bool

    @property
    def main(self) -> ClassMetrics | None:
        """The metrics of the positive class, if there is one."""
        return None if self.positive is None else self.evaluation.of(self.positive)

    def rates(self, evaluation: Evaluation) -> ClassMetrics | Averages:
        """Return what sums up an evaluation: the positive class, or the macro average."""
        return evaluation.macro if self.positive is None else evaluation.of(self.positive)


def _evaluate(read: _Read, positive: str | None) -> _Results:
    predictions = read.all.predictions
    classes = predictions.classes
    if positive is not None and positive not in classes:
        raise InputError(f"--positive {positive!r}: no such class; there are {', '.join(classes)}"[:300])
    if positive is None and classes and {*classes} <= {NORMAL, ANOMALY}:
        positive = ANOMALY
    found = predictions.evaluate(positive)
    slices = [(value, read.slices[value].predictions.evaluate(positive)) for value in sorted(read.slices)]
    of_lookout = positive == ANOMALY and {*classes} <= {NORMAL, ANOMALY}
    results = _Results(found, slices, positive, of_lookout)
    if of_lookout:
        main = found.of(ANOMALY)
        if main.precision is None:
            _warn("No image is predicted as anomaly: the precision is undefined, and 0 in JSON.")
        if main.recall is None:
            _warn("No image is an anomaly: the recall is undefined, and 0 in JSON.")
    if predictions.has_own_scores and positive is None:
        _warn("The scores were not used: --positive says of which of two classes they are.")
    return results


def _warn(text: str) -> None:
    console.err.print(text, style="yellow", markup=False, soft_wrap=True)


def _document(read: _Read, results: _Results) -> dict[str, object]:
    """Return the results as JSON: Lookout's file where the classes are Lookout's."""
    if not results.of_lookout:
        tests = [one._asdict() for one in read.tests.results()]
        document = evaluation_json(results.evaluation, SCHEMA) | {
            "unlabeled": read.unlabeled,
            "rejected": read.rejected,
            "labels_at_assumed_threshold": tests or None,
        }
        if read.by is not None:
            document["slices"] = [
                {"slice": [read.by, value], **evaluation_json(found, SCHEMA)}
                for value, found in results.slices
            ]
        return document
    ended = datetime.now(UTC).replace(tzinfo=None).isoformat()
    model = next(iter(read.models)) if len(read.models) == 1 else None

    def result(found: Evaluation, part: _Part) -> dict[str, object]:
        pixels = None if read.masks is None else part.pixels.metrics()
        return lookout.as_json(lookout.result_of(found, pixels, model=model, ended=ended))

    document = result(results.evaluation, read.all)
    if read.by is not None:
        document["Slices"] = [
            {"Slice": [read.by, value], **result(found, read.slices[value])}
            for value, found in results.slices
        ]
    return document


def _rows(read: _Read, results: _Results) -> Iterator[tuple[object, ...]]:
    """Yield the rows of a CSV file; with slices the first column is theirs, empty for all lines."""
    rows = evaluation_rows(results.evaluation)
    if read.by is None:
        yield from rows
        return
    yield ("slice", *next(rows))
    for value, found in (("", results.evaluation), *results.slices):
        lines = evaluation_rows(found)
        next(lines)
        for row in lines:
            yield (value, *row)


def _page(read: _Read, results: _Results, cards: "Cards", name: str, folders: Sequence[Path]) -> str:
    from bulkqa.metrics_page import Results, render_metrics
    from bulkqa.report_page import Embedded

    images = read.all.pixels.images()
    return render_metrics(
        Results(
            name,
            results.evaluation,
            results.main,
            [(one, images[one.label]) for one in read.all.pixels.metrics()],
            read.tests.results(),
            read.by,
            [(value, found, results.rates(found)) for value, found in results.slices],
            read.unlabeled,
            read.rejected,
        ),
        cards,
        Embedded(_finder(folders)),
    )


def _finder(folders: Iterable[Path]) -> Callable[[str], tuple[Path | bytes, str] | None]:
    """Return what finds a picture and its media type: in folders of this machine, else where it is in S3."""
    from bulkqa.report_page import EACH, IN_ALL

    @cache
    def in_s3() -> Callable[[str], tuple[Path | bytes, str] | None]:
        return pictures_to_embed(None, True, EACH, IN_ALL)

    def find(reference: str) -> tuple[Path | bytes, str] | None:
        media_type = mimetypes.guess_type(reference)[0] or ""
        if not media_type.startswith("image/"):
            return None
        found = (find_file(folder, reference) for folder in folders)
        if (path := next(filter(None, found), None)) is not None:
            return path.resolve(), media_type
        return in_s3()(reference) if reference.startswith("s3://") else None

    return find


# Tables.


def _show(read: _Read, results: _Results, name: str, to: Console) -> None:
    found = results.evaluation
    if found.items:
        to.print(_class_table(found, name))
        right = sum(one.counts.tp for one in found.classes)
        total = sum(one.support for one in found.classes)
        accuracy = _rate(found.accuracy, found.accuracy_interval)
        to.print(f"Correct: {_number(right)} of {_number(total)}, {accuracy}.")
    if read.masks is not None:
        to.print(_pixel_table(read.all.pixels))
    if tests := read.tests.results():
        to.print(_test_table(tests, "Each label by itself, at its assumed threshold (best F1)"))
    if read.by is not None:
        to.print(_slice_table(read.by, results))
    if read.unlabeled or read.rejected:
        to.print(f"Left out: {read.unlabeled:,} unlabeled, {read.rejected:,} rejected.")


def _class_table(found: Evaluation, title: str) -> Table:
    with_areas = any(one.roc_auc is not None or one.average_precision is not None for one in found.classes)
    areas = ("AUC", "AP") if with_areas else ()
    table = _table(f"{title} (95% intervals)", "Class", "Images", "Precision", "Recall", "F1", *areas)
    for one in found.classes:
        rates = (
            _rate(one.precision, one.precision_interval),
            _rate(one.recall, one.recall_interval),
            _rate(one.f1, one.f1_interval),
        )
        numbers = (_area(one.roc_auc), _area(one.average_precision)) if with_areas else ()
        table.add_row(one.label, _number(one.support), *rates, *numbers)
    table.add_section()
    for label, rates_of in (("Macro mean", found.macro), ("Weighted", found.weighted)):
        table.add_row(label, "", *map(_rate, rates_of))
    return table


def _pixel_table(pixels: PixelTally) -> Table:
    table = _table("Anomaly labels, by pixels", "Label", "Images", "Precision", "Recall", "F1", "Average IoU")
    images = pixels.images()
    for one in pixels.metrics():
        rates = map(_rate, (one.precision, one.recall, one.f1, one.aiou))
        table.add_row(one.label, _number(images[one.label]), *rates)
    for label, number in images.items():
        if not number:
            table.add_row(label, "0", *["-"] * 4)
    return table


def _test_table(tests: Iterable[rekognition.LabelResult], title: str) -> Table:
    table = _table(title, "Label", "Images", "Threshold", "Precision", "Recall", "F1")
    for one in tests:
        images = "-" if one.testing_images is None else _number(one.testing_images)
        table.add_row(
            one.label, images, f"{one.threshold:.4g}", *map(_rate, (one.precision, one.recall, one.f1))
        )
    return table


def _slice_table(by: str, results: _Results) -> Table:
    whose = "macro averages" if results.positive is None else f"of {results.positive}"
    title = f"By {by}: precision, recall and F1 {whose}"
    table = _table(title, "Value", "Images", "Correct", "Precision", "Recall", "F1")
    for value, found in results.slices:
        rates = results.rates(found)
        correct = _rate(found.accuracy, found.accuracy_interval)
        table.add_row(
            value, _number(found.items), correct, *map(_rate, (rates.precision, rates.recall, rates.f1))
        )
    return table


def _table(title: str, first: str, *columns: str) -> Table:
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    table.add_column(first, overflow="fold", min_width=10)
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _rate(share: float | None, ends: Interval | None = None) -> str:
    """Return a rate with its interval, "-" for none.

    >>> _rate(0.75, (0.4677, 0.9111)), _rate(None)
    ('75.0% (47-91)', '-')
    """
    if share is None:
        return "-"
    return f"{share:.1%}" if ends is None else f"{share:.1%} ({100 * ends[0]:.0f}-{100 * ends[1]:.0f})"


def _area(area: float | None) -> str:
    return "-" if area is None else f"{area:.3f}"


def _number(count: float) -> str:
    return f"{count:,.0f}" if float(count).is_integer() else f"{count:,.1f}"


# Results that are given: they are shown, and nothing of them is computed anew.

_Given = lookout.EvaluationResult | lookout.Performance | rekognition.Summary


def _given(path: Path, name: str) -> _Given | None:
    """Return the result that a file is, if it is one and no manifest."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if b'"AggregatedEvaluationResults"' not in head and b'"Performance"' not in head:
        return None
    data = path.read_bytes()
    try:
        document = json.loads(data)
    except ValueError:
        document = {}
    if not isinstance(document, dict):
        return None
    if "Performance" in document or "ModelDescription" in document:
        return lookout.read_performance(data, name)
    if "AggregatedEvaluationResults" not in document:
        return None
    if "LabelEvaluationResults" in document:
        return rekognition.read_summary(data, name)
    return lookout.read_result(data, name)


def _show_given(given: _Given, name: str, format: ReportFormat) -> None:
    if format is ReportFormat.json:
        if isinstance(given, lookout.Performance):
            write_json(lookout.performance_json(given))
        elif isinstance(given, lookout.EvaluationResult):
            write_json(lookout.as_json(given))
        else:
            write_json(rekognition.as_json(given))
        return
    table = _table(name, "Metric", "Value")
    if isinstance(given, lookout.EvaluationResult):
        table.add_row("ROC AUC", _area(given.roc_auc))
        table.add_row("Average precision", _area(given.average_precision))
    for label, share in (("Precision", given.precision), ("Recall", given.recall), ("F1", given.f1)):
        table.add_row(label, _rate(share))
    if not isinstance(given, lookout.Performance):
        for label, images in (("Training", given.training_images), ("Testing", given.testing_images)):
            table.add_row(f"{label} images", "-" if images is None else _number(images))
    console.out.print(table)
    if isinstance(given, rekognition.Summary):
        console.out.print(_test_table(given.results, "Each label by itself, at its assumed threshold"))
    elif isinstance(given, lookout.EvaluationResult) and given.pixels is not None:
        pixels = _table("Anomaly labels, by pixels", "Label", "Precision", "Recall", "F1", "Average IoU")
        for one in given.pixels:
            pixels.add_row(one.label, *map(_rate, one[1:]))
        console.out.print(pixels)
