"""Metrics of a classification: precision, recall, F1 and accuracy, per class and averaged, with intervals.

A rate with nothing to divide by is None, not 0. In averages it counts as 0, and they run over the labels
that occur, be it as ground truth or as prediction.
"""

import html
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import compress
from typing import Any, NamedTuple

from bulkqa.errors import InputError, NotFoundError
from bulkqa.evaluation import arrays
from bulkqa.evaluation.confusion import ConfusionMatrix, Pair, Tally, of_pairs, tally
from bulkqa.evaluation.curves import Curves, curves
from bulkqa.evaluation.inputs import kept, names, numbers
from bulkqa.flow.statistics import Interval, wilson


class BinaryCounts(NamedTuple):
    """Images told apart by one class: true and false positives, false and true negatives, or their weights.

    The intervals are at 95 %, and take each image to count 1.

    >>> counts = BinaryCounts(tp=9, fp=1, fn=3, tn=7)
    >>> counts.precision, counts.recall, round(counts.f1, 4), counts.accuracy
    (0.9, 0.75, 0.8182, 0.8)
    >>> BinaryCounts(0, 0, 0, 5).precision is None
    True
    """

    tp: float
    fp: float
    fn: float
    tn: float

    @property
    def precision(self) -> float | None:
        """TP / (TP + FP): the share of the predicted that are right."""
        return _share(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float | None:
        """TP / (TP + FN): the share of the actual that are found."""
        return _share(self.tp, self.tp + self.fn)

    @property
    def f1(self) -> float | None:
        """2 TP / (2 TP + FP + FN): the harmonic mean of precision and recall, 0 where only one of them is
        defined.
        """
        return _share(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    @property
    def accuracy(self) -> float | None:
        """(TP + TN) / all."""
        return _share(self.tp + self.tn, sum(self))

    @property
    def precision_interval(self) -> Interval | None:
        """The Wilson interval of the precision."""
        return wilson(self.tp, self.tp + self.fp)

    @property
    def recall_interval(self) -> Interval | None:
        """The Wilson interval of the recall."""
        return wilson(self.tp, self.tp + self.fn)

    @property
    def f1_interval(self) -> Interval | None:
        """The interval of F1 (see `f1_interval`)."""
        return f1_interval(self.tp, self.tp + self.fp + self.fn)

    @property
    def accuracy_interval(self) -> Interval | None:
        """The Wilson interval of the accuracy."""
        return wilson(self.tp + self.tn, sum(self))


def f1_interval(tp: float, n: float) -> Interval | None:
    """Return the 95 % interval of F1, `n` being TP + FP + FN; None where that is 0.

    F1 is 2 J / (1 + J) of the share J = TP / (TP + FP + FN), which rises with J: the ends of J's Wilson
    interval, turned into F1. Source: Hand, Christen and Kirielle, F*: an interpretable transformation of the
    F-measure, Machine Learning 110 (2021) 451-456.

    9 of 13: Wilson gives 0.4237 to 0.8732 for J, so 2 x 0.4237 / 1.4237 = 0.595 for F1.

    >>> low, high = f1_interval(9, 13)
    >>> round(low, 3), round(high, 3)
    (0.595, 0.932)
    """
    return _of_f1(wilson(tp, n))


class ClassMetrics(NamedTuple):
    """One class against all others. Areas are None where its scores are not known, or say nothing."""

    label: str
    counts: BinaryCounts
    precision_interval: Interval | None
    recall_interval: Interval | None
    f1_interval: Interval | None
    roc_auc: float | None = None
    average_precision: float | None = None

    @property
    def support(self) -> float:
        """The images of this ground truth, or their weight."""
        return self.counts.tp + self.counts.fn

    @property
    def precision(self) -> float | None:
        """The share of the images predicted as this class that are of it."""
        return self.counts.precision

    @property
    def recall(self) -> float | None:
        """The share of the images of this class that are predicted as it."""
        return self.counts.recall

    @property
    def f1(self) -> float | None:
        """The harmonic mean of both."""
        return self.counts.f1


class Averages(NamedTuple):
    """Precision, recall and F1 over all classes; None without any."""

    precision: float | None
    recall: float | None
    f1: float | None


class TopK(NamedTuple):
    """The share of images whose ground truth is among the k labels with the highest scores."""

    k: int
    accuracy: float | None


class Evaluation(NamedTuple):
    """All metrics of a set of predictions; `items` are the predictions, whatever their weights.

    `macro` is the plain mean over the classes, `weighted` the one by support, `micro` counts all classes
    together, which for one label an image is the accuracy. `curves` are there for classes with scores.
    """

    items: int
    matrix: ConfusionMatrix
    classes: tuple[ClassMetrics, ...]
    macro: Averages
    micro: Averages
    weighted: Averages
    accuracy: float | None
    accuracy_interval: Interval | None
    top_k: TopK | None
    curves: Mapping[str, Curves]

    def of(self, label: str) -> ClassMetrics:
        """Return the metrics of one class; raise `NotFoundError` where there is none of that label."""
        for found in self.classes:
            if found.label == label:
                return found
        raise NotFoundError(f"no image is, or is predicted as, {label!r}")

    def _repr_html_(self) -> str:
        """Return a table of the classes for notebooks."""
        head = "".join(f"<th>{name}</th>" for name in ("", "images", "precision", "recall", "F1"))
        rows = [f"<tr>{head}</tr>"]
        for one in self.classes:
            rates = "".join(
                f"<td>{'-' if rate is None else f'{rate:.1%}'}</td>"
                for rate in (one.precision, one.recall, one.f1)
            )
            label = html.escape(one.label)
            rows.append(f'<tr><th scope="row">{label}</th><td>{one.support:g}</td>{rates}</tr>')
        return f"<table>{''.join(rows)}</table>"


def evaluate(
    ground_truth: Iterable[object],
    predicted: Iterable[object],
    *,
    scores: Iterable[float] | Mapping[Any, Iterable[float]] | None = None,
    positive: object = None,
    top_k: int | None = None,
    weights: Iterable[float] | None = None,
) -> Evaluation:
    """Return the metrics of predictions, given as columns of equal length.

    A column is any iterable: a list, a numpy array, a pandas or polars series; labels are strings or what
    prints as one. `scores` are one column for the class `positive`, or a column for each class by its label:
    then those classes have curves and areas. `top_k` needs the latter; of equal scores it takes the label
    later in code-point order first, as scikit-learn does. `weights` are what each image counts, at least 0;
    intervals then are those of (sum w)^2 / sum w^2 images (Kish, Survey Sampling, 1965).
    Classes are the labels found in either column, `positive`, and those with scores. Raises `InputError` for
    columns of unequal length, and for a value that is missing or no such number, naming column and place,
    the first being 0.

    Two of three cats are found, and nothing else is taken for one:

    >>> found = evaluate(["cat", "cat", "cat", "dog"], ["cat", "cat", "dog", "dog"])
    >>> cat = found.of("cat")
    >>> cat.precision, round(cat.recall, 4), cat.f1, found.accuracy
    (1.0, 0.6667, 0.8, 0.75)
    >>> round(found.macro.f1, 4)  # (4/5 + 2/3) / 2
    0.7333
    """
    truths: Iterable[object] = ground_truth
    if scores is not None:
        array = arrays.labels(ground_truth)
        truths = names(ground_truth, "ground_truth") if array is None else array
        weights = None if weights is None else kept(weights)
    by_class = _by_class(scores, positive)
    if top_k is not None and not isinstance(scores, Mapping):
        raise InputError("top_k needs the scores of all classes, a column for each by its label")
    if top_k is not None and top_k < 1:
        raise InputError(f"top_k is {top_k}: at least 1 is needed")
    tallied = tally(truths, predicted, weights)
    known = {label: _curves_of(label, truths, column, weights) for label, column in by_class.items()}
    extra = {*known} if positive is None else {*known, str(positive)}
    best = None if top_k is None else _top_k(top_k, truths, by_class, weights)
    return _evaluation(tallied, extra, known, best)


def as_json(evaluation: Evaluation, schema: int) -> dict[str, object]:
    """Return an evaluation as the command prints it in JSON; what is undefined is null.

    >>> as_json(evaluate(["cat"], ["cat"]), 1)["macro"]
    {'precision': 1.0, 'recall': 1.0, 'f1': 1.0}
    """
    return {
        "schema": schema,
        "items": evaluation.items,
        "accuracy": evaluation.accuracy,
        "accuracy_interval": _ends(evaluation.accuracy_interval),
        "top_k": None if evaluation.top_k is None else evaluation.top_k._asdict(),
        "macro": evaluation.macro._asdict(),
        "micro": evaluation.micro._asdict(),
        "weighted": evaluation.weighted._asdict(),
        "classes": [
            {
                "label": one.label,
                "support": one.support,
                **one.counts._asdict(),
                "precision": one.precision,
                "precision_interval": _ends(one.precision_interval),
                "recall": one.recall,
                "recall_interval": _ends(one.recall_interval),
                "f1": one.f1,
                "f1_interval": _ends(one.f1_interval),
                "roc_auc": one.roc_auc,
                "average_precision": one.average_precision,
            }
            for one in evaluation.classes
        ],
    }


_HEADER = (
    *("label", "average", "support", "tp", "fp", "fn", "tn"),
    *("precision", "precision_low", "precision_high", "recall", "recall_low", "recall_high"),
    *("f1", "f1_low", "f1_high", "roc_auc", "average_precision"),
)


def as_table(evaluation: Evaluation) -> Iterator[tuple[object, ...]]:
    """Yield the rows of a CSV file, the header first: a row for each class, then for each kind of average.

    >>> rows = list(as_table(evaluate(["cat"], ["cat"])))
    >>> rows[1][:8], rows[2][:3]
    (('cat', None, 1, 1, 0, 0, 0, 1.0), (None, 'macro', 1))
    """
    yield _HEADER
    nothing = (None, None)
    for one in evaluation.classes:
        yield (
            *(one.label, None, one.support, *one.counts),
            *(one.precision, *(one.precision_interval or nothing)),
            *(one.recall, *(one.recall_interval or nothing)),
            *(one.f1, *(one.f1_interval or nothing)),
            *(one.roc_auc, one.average_precision),
        )
    support = sum(one.support for one in evaluation.classes)
    for name in ("macro", "micro", "weighted"):
        found: Averages = getattr(evaluation, name)
        rates = (value for rate in found for value in (rate, None, None))
        yield (None, name, support, None, None, None, None, *rates, None, None)


def _by_class(
    scores: Iterable[float] | Mapping[Any, Iterable[float]] | None, positive: object
) -> dict[str, Iterable[float]]:
    """Return the columns of scores by the label of their class."""
    if scores is None:
        return {}
    if isinstance(scores, Mapping):
        # Read here once, for they may be read more than once.
        return {str(label): kept(column) for label, column in scores.items()}
    if positive is None:
        raise InputError("one column of scores needs `positive`, the class whose scores they are")
    return {str(positive): scores}


def _curves_of(
    label: str, truths: Iterable[object], scores: Iterable[float], weights: Iterable[float] | None
) -> Curves:
    are = [truth == label for truth in truths] if isinstance(truths, list) else arrays.are(truths, label)
    try:
        return curves(scores, are, weights)
    except InputError as error:
        raise InputError(f"the class {label!r}: {error}") from None


def _top_k(
    k: int,
    truths: Iterable[object],
    by_class: Mapping[str, Iterable[float]],
    weights: Iterable[float] | None,
) -> TopK:
    """Return how often fewer than k labels come before the ground truth; one without scores comes last."""
    labels = sorted(by_class)
    place_of = {label: place for place, label in enumerate(labels)}
    rows = zip(*(numbers(by_class[label], "scores") for label in labels), strict=True)
    hits = []
    for truth, row in zip(truths, rows, strict=True):
        place = place_of.get(str(truth))
        if place is None:
            hits.append(False)
        else:
            own = row[place]
            before = sum(score >= own for score in row[place + 1 :]) + sum(
                score > own for score in row[:place]
            )
            hits.append(before < k)
    if weights is None:
        return TopK(k, _share(sum(hits), len(hits)))
    return TopK(k, _share(float(sum(compress(weights, hits))), float(sum(weights))))


def _evaluation(
    tallied: Tally, extra: Iterable[str], known: Mapping[str, Curves], best: TopK | None
) -> Evaluation:
    counts, squares = tallied.counts, tallied.squares
    matrix = of_pairs(counts)
    found = set(matrix.labels)
    classes = _classes(tallied, sorted(found.union(extra)), known)
    # What never occurs has no part in the averages.
    occurring = [one for one in classes if one.label in found]
    right = sum(weight for (guess, truth), weight in counts.items() if guess == truth)
    total = sum(counts.values())
    return Evaluation(
        tallied.items,
        matrix,
        tuple(classes),
        _mean(occurring, [1.0] * len(occurring)),
        _pooled(occurring),
        _mean(occurring, [one.support for one in occurring]),
        _share(right, total),
        _interval(right, total, sum(squares.values())),
        best,
        known,
    )


def _classes(tallied: Tally, labels: Iterable[str], known: Mapping[str, Curves]) -> list[ClassMetrics]:
    """Return each class held against all others."""
    counts, squares = tallied.counts, tallied.squares
    total = sum(counts.values())
    guessed, actual = _sums(counts)
    guessed_squares, actual_squares = _sums(squares)
    classes = []
    for label in labels:
        pair = label, label
        tp = counts.get(pair, 0)
        either = guessed[label] + actual[label] - tp
        curve = known.get(label)
        classes.append(
            ClassMetrics(
                label,
                BinaryCounts(tp, guessed[label] - tp, actual[label] - tp, max(0, total - either)),
                _interval(tp, guessed[label], guessed_squares[label]),
                _interval(tp, actual[label], actual_squares[label]),
                _of_f1(
                    _interval(
                        tp, either, guessed_squares[label] + actual_squares[label] - squares.get(pair, 0)
                    )
                ),
                None if curve is None else curve.roc_auc,
                None if curve is None else curve.average_precision,
            )
        )
    return classes


def _sums(cells: Mapping[Pair, float]) -> tuple[Mapping[str, float], Mapping[str, float]]:
    """Return the sums of all cells by predicted label, and by ground truth."""
    guessed: defaultdict[str, float] = defaultdict(int)
    actual: defaultdict[str, float] = defaultdict(int)
    for (guess, truth), cell in cells.items():
        guessed[guess] += cell
        actual[truth] += cell
    return guessed, actual


def _mean(classes: Sequence[ClassMetrics], weights: Sequence[float]) -> Averages:
    """Return the mean rates, each class with its weight; an undefined rate counts as 0."""
    total = sum(weights)
    return Averages(
        *(
            _share(
                math.fsum(weight * (rate or 0) for weight, rate in zip(weights, rates, strict=True)), total
            )
            for rates in (
                [one.precision for one in classes],
                [one.recall for one in classes],
                [one.f1 for one in classes],
            )
        )
    )


def _pooled(classes: Sequence[ClassMetrics]) -> Averages:
    """Return the rates of all classes counted together."""
    tp, fp, fn, tn = (sum(one.counts[place] for one in classes) for place in range(4))
    pooled = BinaryCounts(tp, fp, fn, tn)
    return Averages(pooled.precision, pooled.recall, pooled.f1)


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _interval(part: float, whole: float, squares: float) -> Interval | None:
    """Return the interval of a share of weights, `squares` being the sum of the squares of `whole`."""
    scale = whole / squares if squares else 0
    return wilson(min(part, whole) * scale, whole * scale)


def _of_f1(ends: Interval | None) -> Interval | None:
    return None if ends is None else (2 * ends[0] / (1 + ends[0]), 2 * ends[1] / (1 + ends[1]))


def _ends(interval: Interval | None) -> list[float] | None:
    return None if interval is None else list(interval)
