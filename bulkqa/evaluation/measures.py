"""Metrics of models from rows with a label and their predictions: what a gate asks for, in one pass.

A row has a label, a prediction of each model, and the features that slices are made of. A prediction is a
score from 0 to 1 and the label 0 or 1; of several classes it is a list of scores, whose places are the
classes, or an object from class to score, and the label is a class.
"""

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from bulkqa import parquet
from bulkqa.errors import InputError
from bulkqa.evaluation.cells import THRESHOLDS, Cells
from bulkqa.flow.calibration import auroc_interval
from bulkqa.flow.evidence import Bounds, Counts, Evidence, Pairs, Value
from bulkqa.flow.records import Records, Rejected, printable
from bulkqa.flow.slices import Feature, Finder, MetricKey, Metrics, Slice, SliceSpec, SubKey

THRESHOLD = 0.5
"""A score above it is a positive prediction, where nothing else is asked for."""

SHARES = ("Precision", "Recall", "F1Score", "BinaryAccuracy")
COUNTS = ("ExampleCount", "WeightedExampleCount")
KINDS = ("AUC", *SHARES, *COUNTS, "MeanLabel", "MeanPrediction")
"""The metrics there are, by their class names in TensorFlow Model Analysis."""

MICRO, MACRO, WEIGHTED_MACRO = "micro_average", "macro_average", "weighted_macro_average"


class Measure(NamedTuple):
    """A metric to be computed: `kind` is its class name, `name` what it is called.

    Of several classes it is that of `class_id`; or an `aggregation` over them, in which each counts as much
    as `class_weights` say and those not named count nothing; or, without both, that of all classes as if each
    were a row of its own, as it is with micro_average and no weights.
    """

    kind: str
    name: str
    threshold: float = THRESHOLD
    curve: str = "ROC"
    summation: str = "interpolation"
    points: int = THRESHOLDS
    class_id: int | None = None
    aggregation: str | None = None
    class_weights: tuple[tuple[int, float], ...] = ()


class Columns(NamedTuple):
    """In which column is what: the label, each model's prediction by the model's name, the weight if any."""

    label: str
    models: Mapping[str, str]
    weight: str | None = None


Row = tuple[int, Mapping[str, object]]
"""A row and the line on which it begins."""

# One class of several, or what there is where there are none.
Class = str | None


def read(lines: Iterable[bytes], name: str) -> Iterator[Row]:
    """Yield the rows of a CSV or JSON Lines file; raise `InputError` at one that cannot be read."""
    records = Records(lines, name)
    header = records.header or ()
    for record in records:
        if isinstance(record, Rejected):
            raise InputError(f"{name}, line {record.line}: {record.reason}")
        line, fields = record
        yield line, fields if isinstance(fields, dict) else dict(zip(header, fields, strict=True))


def rows(path: Path) -> Iterator[Row]:
    """Yield the rows of a CSV, JSON Lines or Parquet file, as `read` does."""
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    with path.open("rb") as file:
        yield from read(parquet.lines(file) if parquet.is_parquet(path) else file, path.name)


def measure(
    rows: Iterable[Row],
    columns: Columns,
    measures: Sequence[Measure],
    slices: Sequence[SliceSpec] = (SliceSpec(),),
    name: str = "rows",
) -> Metrics:
    """Return the metrics of every slice that `slices` cover. `name` is what messages call the file.

    Shares of unweighted examples come with their counts, areas under the ROC curve with their 95 % interval,
    but not those over several classes, which are no independent examples. Of two models, the first the
    candidate, accuracies come with the pairs that a paired test needs. Raises `InputError` naming line and
    column where a row lacks what is asked for: a gate passes over nothing.

    Of two rows called positive, one is:

    >>> rows = [(2, {"is": 1, "new": 0.9}), (3, {"is": 0, "new": 0.8})]
    >>> found = measure(rows, Columns("is", {"": "new"}), [Measure("Precision", "precision")])
    >>> found.get(found.slices[()], MetricKey("precision"))
    Value(point=0.5, evidence=Counts(successes=1, trials=2))
    """
    parts = _Parts(columns, measures, slices, name)
    for line, row in rows:
        parts.add(line, row)
    if not parts.by_features:
        raise InputError(f"{name}: no rows")
    found = parts.by_slice()
    every = list(found)
    covered = Finder(every)
    wanted = dict.fromkeys(every[place] for spec in slices for place in covered.covered(spec))
    return Metrics({slice: _metrics(found[slice], columns, measures) for slice in wanted})


class _Part:
    """Rows with the same features: the examples by model and class; by class, how often who was right."""

    def __init__(self) -> None:
        self.cells: dict[tuple[str, Class], Cells] = {}
        self.pairs: dict[Class, list[int]] = {}

    def include(self, other: "_Part") -> None:
        for key, cells in other.cells.items():
            if key not in self.cells:
                self.cells[key] = Cells(cells.thresholds)
            self.cells[key].include(cells)
        for one, pairs in other.pairs.items():
            mine = self.pairs.get(one, [0, 0, 0, 0])
            self.pairs[one] = [a + b for a, b in zip(mine, pairs, strict=True)]


class _Parts:
    """Rows by all features at once, of which those of every slice are made."""

    def __init__(
        self, columns: Columns, measures: Sequence[Measure], slices: Sequence[SliceSpec], name: str
    ) -> None:
        self.by_features: dict[Slice, _Part] = {}
        self._columns = columns
        self._name = name
        self._features = sorted({key for spec in slices for key in (*spec.keys, *dict(spec.values))})
        self._combinations = list(
            dict.fromkeys(frozenset((*spec.keys, *dict(spec.values))) for spec in slices)
        )
        self._thresholds = sorted({one.threshold for one in measures if one.kind in SHARES})
        self._with_pairs = len(columns.models) == 2 and columns.weight is None

    def by_slice(self) -> dict[Slice, _Part]:
        """Return the rows of every slice by the features that some spec names together."""
        found: dict[Slice, _Part] = {}
        for features, part in self.by_features.items():
            there = {key for key, _ in features}
            for keys in self._combinations:
                if keys <= there:
                    slice = tuple(pair for pair in features if pair[0] in keys)
                    found.setdefault(slice, _Part()).include(part)
        return found

    def add(self, line: int, row: Mapping[str, object]) -> None:
        """Put a row where it belongs."""
        features = tuple(
            (key, self._feature(line, key, row[key]))
            for key in self._features
            if row.get(key) not in (None, "")
        )
        part = self.by_features.get(features)
        if part is None:
            part = self.by_features[features] = _Part()
        columns = self._columns
        weight = 1.0 if columns.weight is None else self._number(line, columns.weight, row)
        if weight < 0:
            raise self._error(line, columns.weight, "a weight is at least 0")
        judged: list[dict[Class, bool]] = []
        for model, column in columns.models.items():
            scores = self._scores(line, column, row)
            labels = self._labels(line, row, scores)
            for one, score in scores.items():
                cells = part.cells.get((model, one))
                if cells is None:
                    cells = part.cells[model, one] = Cells(self._thresholds)
                cells.add(labels[one], score, weight)
            if self._with_pairs:
                judged.append({one: (scores[one] > THRESHOLD) == (labels[one] > THRESHOLD) for one in scores})
        if self._with_pairs:
            candidate, baseline = judged
            if candidate.keys() != baseline.keys():
                raise self._error(line, columns.label, "both models have to have scores of the same classes")
            for one, right in candidate.items():
                place = (2 if right else 1) if baseline[one] else (0 if right else 3)
                part.pairs.setdefault(one, [0, 0, 0, 0])[place] += 1

    def _scores(self, line: int, column: str, row: Mapping[str, object]) -> Mapping[Class, float]:
        value = row.get(column)
        if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):  # as CSV has it
            try:
                value = json.loads(value)
            except ValueError as error:
                raise self._error(line, column, f"not readable as JSON: {error}") from None
        if isinstance(value, list):
            value = {str(place): score for place, score in enumerate(value)}
        if not isinstance(value, Mapping):
            return {None: self._number(line, column, row)}
        if not value:
            raise self._error(line, column, "there are no scores")
        return {str(one): self._number(line, column, {column: score}) for one, score in value.items()}

    def _labels(
        self, line: int, row: Mapping[str, object], scores: Mapping[Class, float]
    ) -> Mapping[Class, float]:
        column = self._columns.label
        if None in scores:
            label = self._number(line, column, row)
            if not 0 <= label <= 1:
                raise self._error(line, column, f"{label:g} is not between 0 and 1")
            return {None: label}
        label_class = row.get(column)
        if isinstance(label_class, float) and label_class.is_integer():
            label_class = int(label_class)
        if isinstance(label_class, bool) or str(label_class) not in scores:
            raise self._error(line, column, f"{_shown(label_class)} is no class that has a score")
        return {one: float(one == str(label_class)) for one in scores}

    def _feature(self, line: int, key: str, value: object) -> Feature:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise self._error(line, key, f"{_shown(value)} is no value to make slices of")
        return value

    def _number(self, line: int, column: str, row: Mapping[str, object]) -> float:
        value = row.get(column)
        if value is None and column not in row:
            raise self._error(line, column, "there is no such column")
        try:
            number = float(value) if isinstance(value, str | int | float) else math.nan
        except (ValueError, OverflowError):
            number = math.nan
        if not math.isfinite(number):
            raise self._error(line, column, f"{_shown(value)} is not a number")
        return number

    def _error(self, line: int, column: str | None, reason: str) -> InputError:
        return InputError(f"{self._name}, line {line}, {column}: {reason}")


def _shown(value: object) -> str:
    return printable(repr(value))[:60]


def _metrics(part: _Part, columns: Columns, measures: Sequence[Measure]) -> dict[MetricKey, Value]:
    """Return what is asked for, of the rows of one slice."""
    found: dict[MetricKey, Value] = {}
    counted = columns.weight is None
    for one in measures:
        for model in columns.models:
            of_class = {name: cells for (of, name), cells in part.cells.items() if of == model}
            sub_key = None if one.class_id is None else SubKey(class_id=one.class_id)
            key = MetricKey(one.name, model, sub_key=sub_key, aggregation=one.aggregation)
            value = _value(one, of_class, counted)
            if value is not None:
                found[key] = value
        if one.kind == "BinaryAccuracy" and one.threshold == THRESHOLD and one.aggregation is None:
            pairs = part.pairs.get(None if one.class_id is None else str(one.class_id))
            if pairs is not None:
                found[key._replace(model=next(iter(columns.models)), is_diff=True)] = _paired(Pairs(*pairs))
    return found


def _paired(pairs: Pairs) -> Value:
    return Value(pairs.difference, pairs)


def _value(one: Measure, of_class: Mapping[Class, Cells], counted: bool) -> Value | None:
    """Return the value of a measure, None where its class is not there."""
    if one.class_id is not None:
        cells = of_class.get(str(one.class_id))
        return None if cells is None else _of_cells(one, cells, counted)
    if one.aggregation in (None, MICRO):
        weights = dict(one.class_weights)
        together = Cells(next(iter(of_class.values())).thresholds)
        for name, cells in of_class.items():
            together.include(cells, weights.get(int(name), 0.0) if weights and name is not None else 1.0)
        if one.kind in COUNTS:  # a row is one example, however many classes
            return Value(next(iter(of_class.values())).weight)
        # Several classes of one row are no independent examples.
        return _of_cells(one, together, counted and len(of_class) == 1)
    total = weighed = 0.0
    for class_id, weight in one.class_weights:
        cells = of_class.get(str(class_id))
        if cells is None:
            return None
        if one.aggregation == WEIGHTED_MACRO:
            weight *= cells.mean_label
        total += weight
        weighed += weight * _of_cells(one, cells, counted).point
    return Value(weighed / total if total else math.nan)


_OF_COUNTS: Mapping[str, Callable[..., float]] = {
    "Precision": lambda counts: counts.precision,
    "Recall": lambda counts: counts.recall,
    "F1Score": lambda counts: counts.f1,
    "BinaryAccuracy": lambda counts: counts.accuracy,
}


def _of_cells(one: Measure, cells: Cells, counted: bool) -> Value:
    if one.kind == "AUC":
        area = cells.auc(one.curve, one.summation, one.points)
        right, wrong = cells.positives, cells.weight - cells.positives
        if not counted or one.curve != "ROC" or math.isnan(area) or not right.is_integer():
            return Value(area)
        return Value(area, Bounds(*auroc_interval(min(area, 1.0), round(right), round(wrong))))
    if one.kind in COUNTS:
        return Value(cells.weight)
    if one.kind == "MeanLabel":
        return Value(cells.mean_label)
    if one.kind == "MeanPrediction":
        return Value(cells.mean_prediction)
    tp, fp, fn, tn = counts = cells.counts(one.threshold)
    trials = {"Precision": (tp, tp + fp), "Recall": (tp, tp + fn), "BinaryAccuracy": (tp + tn, sum(counts))}
    evidence: Evidence | None = None
    if counted and one.kind in trials:
        successes, of = trials[one.kind]
        if float(successes).is_integer() and of:
            evidence = Counts(round(successes), round(of))
    return Value(_OF_COUNTS[one.kind](counts), evidence)
