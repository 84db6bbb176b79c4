"""The confusion matrix: which labels a model gives to images of which ground truth.

A row is a predicted label, a column a ground truth. A cell is a share of the column: of all images that are
a closet, so many were taken for a bedroom; the diagonal is the recall. Source: Amazon Rekognition Custom
Labels Developer Guide, "Viewing the confusion matrix for a model".
"""

import html
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar
from unicodedata import combining, east_asian_width

from bulkqa.errors import InputError
from bulkqa.evaluation.inputs import names, same_length, weight_column

_Cell = TypeVar("_Cell", float, float | None)

Pair = tuple[str, str]
"""A predicted label and a ground truth."""


class Confused(NamedTuple):
    """Images of one ground truth that were predicted as another label; `images` is None where unknown."""

    predicted: str
    ground_truth: str
    share: float
    images: float | None


class ConfusionMatrix(NamedTuple):
    """Labels in code-point order, and for each predicted label a row with a cell for each ground truth.

    `shares` are shares of the column, 0-1; a column without images is None throughout. `counts` are images,
    or sums of weights; None where only shares are known.
    """

    labels: tuple[str, ...]
    shares: tuple[tuple[float | None, ...], ...]
    counts: tuple[tuple[float, ...], ...] | None

    @property
    def columns_total(self) -> tuple[float, ...] | None:
        """The images of each ground truth; None where the counts are unknown."""
        return None if self.counts is None else _totals(self.counts)

    def most_confused(self, n: int) -> list[Confused]:
        """Return the n cells beside the diagonal with most images; by share where the counts are unknown.

        Cells without images are left out. Of equal counts the larger share comes first.

        >>> matrix = confusion_matrix(["cat", "cat", "dog"], ["cat", "dog", "dog"])
        >>> matrix.most_confused(5)
        [Confused(predicted='dog', ground_truth='cat', share=0.5, images=1)]
        """
        found = []
        for row, predicted in enumerate(self.labels):
            for column, ground_truth in enumerate(self.labels):
                share = self.shares[row][column]
                if share and row != column:
                    count = None if self.counts is None else self.counts[row][column]
                    found.append(Confused(predicted, ground_truth, share, count))
        # Sorting is stable: of equal cells the first in the matrix stays first.
        return sorted(found, key=lambda cell: (-(cell.images or 0), -cell.share))[:n]

    def _repr_html_(self) -> str:
        """Return a table for notebooks: the deeper a cell's colour, the larger its share."""
        head = "".join(f"<th>{html.escape(label)}</th>" for label in self.labels)
        rows = [f'<tr><th title="predicted, by ground truth"></th>{head}</tr>']
        for label, row in zip(self.labels, self.shares, strict=True):
            cells = "".join(
                f'<td style="background: rgb(70 130 180 / {share or 0:.0%})">{_percent(share)}</td>'
                for share in row
            )
            rows.append(f'<tr><th scope="row">{html.escape(label)}</th>{cells}</tr>')
        return f"<table>{''.join(rows)}</table>"


def confusion_matrix(
    ground_truth: Iterable[object],
    predicted: Iterable[object],
    *,
    weights: Iterable[float] | None = None,
    labels: Iterable[object] | None = None,
) -> ConfusionMatrix:
    """Return the confusion matrix of predictions, given as columns of equal length.

    A column is any iterable of labels: a list, a numpy array, a pandas or polars series; a label is a string
    or what prints as one. `weights` are what each image counts, at least 0, and make the counts floats.
    `labels` are all the classes there are; without them those found in either column. Raises `InputError` for
    columns of unequal length, a missing label (None or NaN), one that is not in `labels`, or a weight that is
    no such number; it names the column and the place, the first being 0.

    Two of three cats are found, the third is taken for a dog:

    >>> matrix = confusion_matrix(["cat", "cat", "cat", "dog"], ["cat", "cat", "dog", "dog"])
    >>> matrix.counts
    ((2, 0), (1, 1))
    >>> print(*as_text(matrix), sep="\\n")
         cat   dog
    cat  67%    0%
    dog  33%  100%
    """
    given = None if labels is None else names(labels, "labels")
    return of_pairs(tally(ground_truth, predicted, weights).counts, given)


def of_counts(labels: Sequence[str], counts: Sequence[Sequence[float]]) -> ConfusionMatrix:
    """Return the matrix of given counts: `counts[row][column]` images of `labels[column]` predicted as
    `labels[row]`. Raises `InputError` for a label given twice or what is no square of numbers of at least 0.

    >>> of_counts(["dog", "cat"], [[1, 1], [0, 2]]).shares
    ((0.6666666666666666, 0.0), (0.3333333333333333, 1.0))
    """
    counts = _in_order(labels, counts)
    if any(cell is None for row in counts for cell in row):
        raise InputError("the confusion matrix has a cell without a count")
    totals = _totals(counts)
    shares = tuple(
        tuple(cell / total if total else None for cell, total in zip(row, totals, strict=True))
        for row in counts
    )
    return ConfusionMatrix(tuple(sorted(labels)), shares, counts)


def of_shares(labels: Sequence[str], shares: Sequence[Sequence[float | None]]) -> ConfusionMatrix:
    """Return the matrix of given shares, as they stand: columns that do not sum to 1 are left so.

    Raises `InputError` for a label given twice, what is no square of numbers of at least 0, or a column with
    some cells None and others not.

    >>> of_shares(["cat", "dog"], [[0.5, None], [0.5, None]]).most_confused(1)
    [Confused(predicted='dog', ground_truth='cat', share=0.5, images=None)]
    """
    ordered = _in_order(labels, shares)
    for column in zip(*ordered, strict=True):
        if None in column and any(cell is not None for cell in column):
            raise InputError("the confusion matrix has a column with some cells only")
    return ConfusionMatrix(tuple(sorted(labels)), ordered, None)


def as_json(matrix: ConfusionMatrix, schema: int) -> dict[str, object]:
    """Return the matrix as the command prints it in JSON.

    >>> as_json(confusion_matrix(["cat"], ["dog"]), 1)["matrix"]
    [[0.0, None], [1.0, None]]
    """
    counts = None if matrix.counts is None else [list(row) for row in matrix.counts]
    return {
        "schema": schema,
        "labels": list(matrix.labels),
        "matrix": [list(row) for row in matrix.shares],
        "counts": counts,
    }


def as_table(matrix: ConfusionMatrix, counts: bool) -> Iterator[tuple[object, ...]]:
    """Yield the rows of a CSV file of shares or counts, the header first.

    Raises `InputError` where counts are asked for and unknown.

    >>> list(as_table(confusion_matrix(["cat"], ["dog"]), counts=True))
    [('predicted', 'cat', 'dog'), ('cat', 0, 0), ('dog', 1, 0)]
    """
    cells = _cells(matrix, counts)
    yield ("predicted", *matrix.labels)
    for label, row in zip(matrix.labels, cells, strict=True):
        yield (label, *row)


def as_text(matrix: ConfusionMatrix, counts: bool = False) -> list[str]:
    """Return the table's lines: labels and whole percentages, or counts; one line a row, however wide.

    Percentages are Python's: half goes to even, so 7 of 8 are 88%, 1 of 8 12%. A column without images has
    dashes. Raises `InputError` where counts are asked for and unknown.

    >>> print(*as_text(confusion_matrix(["cat", "cat"], ["cat", "dog"]), counts=True), sep="\\n")
         cat  dog
    cat    1    0
    dog    1    0
    """
    show = _number if counts else _percent
    heads = [_one_line(label) for label in matrix.labels]
    lines = [["", *heads]]
    for head, row in zip(heads, _cells(matrix, counts), strict=True):
        lines.append([head, *map(show, row)])
    widths = [max(map(_width, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(
            _pad(cell, width) if place == 0 else _pad(cell, -width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]


class Tally(NamedTuple):
    """What columns of predictions hold: the number of predictions, and for each pair its weight.

    `squares` are the sums of the weights' squares, from which follows how many images of equal weight
    would tell as much.
    """

    items: int
    counts: Mapping[Pair, float]
    squares: Mapping[Pair, float]


def tally(
    ground_truth: Iterable[object], predicted: Iterable[object], weights: Iterable[float] | None = None
) -> Tally:
    """Count the pairs of columns as `confusion_matrix` takes them.

    >>> tally(["cat", "cat"], ["cat", "dog"]).counts[("dog", "cat")]
    1
    """
    if hasattr(ground_truth, "__array__"):
        from bulkqa.evaluation import arrays

        if (found := arrays.tally(ground_truth, predicted, weights)) is not None:
            return found
    truths, guesses = names(ground_truth, "ground_truth"), names(predicted, "predicted")
    same_length(ground_truth=truths, predicted=guesses)
    pairs = zip(guesses, truths, strict=True)
    if weights is None:
        numbers = Counter(pairs)
        return Tally(len(truths), numbers, numbers)
    given = weight_column(weights)
    same_length(ground_truth=truths, weights=given)
    counts: dict[Pair, float] = {}
    squares: dict[Pair, float] = {}
    for pair, weight in zip(pairs, given, strict=True):
        counts[pair] = counts.get(pair, 0.0) + weight
        squares[pair] = squares.get(pair, 0.0) + weight * weight
    return Tally(len(truths), counts, squares)


def of_pairs(counts: Mapping[Pair, float], labels: Iterable[str] | None = None) -> ConfusionMatrix:
    """Return the matrix of counted pairs; `labels` are all the classes there are.

    >>> of_pairs({("dog", "cat"): 3}).labels
    ('cat', 'dog')
    """
    found = {label for pair in counts for label in pair}
    if labels is None:
        ordered = sorted(found)
    else:
        ordered = sorted(set(labels))
        if strangers := sorted(found.difference(ordered)):
            raise InputError(f"{strangers[0]!r} occurs and is not among the labels given")
    cells = [[counts.get((row, column), 0) for column in ordered] for row in ordered]
    return of_counts(ordered, cells)


def _totals(counts: Sequence[Sequence[float]]) -> tuple[float, ...]:
    return tuple(sum(column) for column in zip(*counts, strict=True))


def _in_order(labels: Sequence[str], cells: Sequence[Sequence[_Cell]]) -> tuple[tuple[_Cell, ...], ...]:
    """Return a square of cells with rows and columns in the labels' code-point order."""
    for label, number in Counter(labels).items():
        if number > 1:
            raise InputError(f"the confusion matrix has the label {label!r} {number} times")
    if len(cells) != len(labels) or any(len(row) != len(labels) for row in cells):
        raise InputError(f"the confusion matrix of {len(labels)} labels is not as many rows and columns")
    order = sorted(range(len(labels)), key=labels.__getitem__)
    for row in order:
        for column in order:
            cell = cells[row][column]
            if cell is not None and not (math.isfinite(cell) and cell >= 0):
                at = f"predicted {labels[row]!r}, ground truth {labels[column]!r}"
                raise InputError(f"the confusion matrix has {cell} at {at}: a number of at least 0 is needed")
    return tuple(tuple(cells[row][column] for column in order) for row in order)


def _cells(matrix: ConfusionMatrix, counts: bool) -> Sequence[Sequence[float | None]]:
    if not counts:
        return matrix.shares
    if matrix.counts is None:
        raise InputError("the confusion matrix has shares only: its numbers of images are not known")
    return matrix.counts


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"


def _number(count: float | None) -> str:
    """Return a count: whole where it is, weighted ones to a tenth."""
    return "-" if count is None else f"{count:.0f}" if float(count).is_integer() else f"{count:.1f}"


def _one_line(label: str) -> str:
    """Return a label with whatever would break its line, or command the terminal, spelled out."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in label
    )


def _width(text: str) -> int:
    """Return how many places a text takes in a terminal: East Asian letters take two.

    >>> _width("kitchen"), _width("주방")
    (7, 4)
    """
    return sum(0 if combining(letter) else 1 + (east_asian_width(letter) in "WF") for letter in text)


def _pad(text: str, width: int) -> str:
    """Return a text filled up with spaces: behind it, or before it where the width is negative."""
    spaces = " " * (abs(width) - _width(text))
    return spaces + text if width < 0 else text + spaces
