"""Slices: the predictions of a file, or those with one value of a field, as columns that can be evaluated."""

import json
import math
import sys
from array import array
from collections.abc import Iterable, Mapping

from bulkqa.errors import InputError
from bulkqa.evaluation.metrics import Evaluation, evaluate
from bulkqa.evaluation.predictions import Prediction, complement

NO_VALUE = "(none)"
"""The slice of lines without the field."""


class Slice:
    """Predictions as columns.

    >>> found = Slice()
    >>> for truth, confidence in (("anomaly", 0.9), ("normal", 0.6)):
    ...     found.add(Prediction(1, "", truth, "anomaly", None, {"anomaly": confidence}, {}))
    >>> found.evaluate("anomaly").of("anomaly").roc_auc
    1.0
    """

    def __init__(self) -> None:
        self._ground_truth: list[str] = []
        self._predicted: list[str] = []
        # A number for each prediction, NaN where there is none: the line's own, the confidence in the
        # predicted class where that is all there is, else the scores by class.
        self._own = array("d")
        self._confidence = array("d")
        self._scores: dict[str, array[float]] = {}
        self._weights = array("d")
        self._weighted = False

    def __len__(self) -> int:
        return len(self._ground_truth)

    @property
    def classes(self) -> list[str]:
        """The labels that occur."""
        return sorted({*self._ground_truth, *self._predicted})

    @property
    def has_own_scores(self) -> bool:
        """Say whether there are two classes, and with each line a score that may be either's."""
        return len(self.classes) == 2 and not any(map(math.isnan, self._own))

    def add(self, prediction: Prediction) -> None:
        """Add a prediction."""
        place = len(self)
        self._ground_truth.append(sys.intern(prediction.ground_truth))
        self._predicted.append(sys.intern(prediction.predicted))
        scores = prediction.scores
        alone = len(scores) == 1 and prediction.predicted in scores
        self._own.append(_number(None if scores else prediction.score))
        self._confidence.append(scores[prediction.predicted] if alone else math.nan)
        for label, score in () if alone else scores.items():
            column = self._scores.setdefault(label, array("d"))
            _fill(column, place)
            column.append(score)
        self._weights.append(1.0 if prediction.weight is None else prediction.weight)
        self._weighted = self._weighted or prediction.weight is not None

    def evaluate(self, positive: str | None = None) -> Evaluation:
        """Return the metrics; `positive` is the one of two classes whose scores those without a class are.

        A class has curves where all its scores are known, be it as what the other of two leaves of 1. Raises
        `InputError` for a positive one of more than two classes.
        """
        classes = sorted({*self.classes, *self._scores} | ({positive} if positive else set()))
        if positive is not None and len(classes) > 2:
            raise InputError(f"{positive!r} is positive of two classes; there are {', '.join(classes)}"[:300])
        columns: dict[object, array[float]] = {
            label: column
            for label in ([positive] if positive else classes)
            if (column := self._column(label, classes, positive)) is not None
        }
        return evaluate(
            self._ground_truth,
            self._predicted,
            scores=columns or None,
            positive=positive,
            weights=self._weights if self._weighted else None,
        )

    def _column(self, label: str, classes: Iterable[str], positive: str | None) -> "array[float] | None":
        """Return the scores of a class; None where one is not known."""
        others = [other for other in classes if other != label]
        other = others[0] if len(others) == 1 else None
        column = array("d")
        for place, predicted in enumerate(self._predicted):
            score = self._score(place, predicted, label)
            if math.isnan(score) and other is not None:
                score = self._score(place, predicted, other)
                score = score if math.isnan(score) else complement(score)
            if math.isnan(score) and label == positive:
                score = self._own[place]
            if math.isnan(score):
                return None
            column.append(score)
        return column or None

    def _score(self, place: int, predicted: str, label: str) -> float:
        column = self._scores.get(label, ())
        if place < len(column) and not math.isnan(column[place]):
            return column[place]
        return self._confidence[place] if predicted == label else math.nan


def _fill(column: "array[float]", length: int) -> None:
    column.extend([math.nan] * (length - len(column)))


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def value_of(fields: Mapping[str, object], path: str) -> str:
    """Return the value of a field of a line as text, "(none)" where the line has none.

    `path` is its name, or the names down to it with dots between; a name may hold dots itself.

    >>> value_of({"camera": {"line": 3}}, "camera.line"), value_of({"a.b": True}, "a.b"), value_of({}, "a")
    ('3', 'true', '(none)')
    """
    value = _find(fields, path)
    if value is None or value == "":
        return NO_VALUE
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _find(fields: object, path: str) -> object:
    if not isinstance(fields, Mapping):
        return None
    if path in fields:
        return fields[path]
    names = path.split(".")
    for place in range(1, len(names)):
        inner = fields.get(".".join(names[:place]))
        if inner is not None and (found := _find(inner, ".".join(names[place:]))) is not None:
            return found
    return None
