"""Pictures of an evaluation, drawn by matplotlib without a display: the confusion matrix, and curves.

Needs the extra `analysis`. A picture is PNG or SVG by the name of its file.
"""

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bulkqa.errors import BulkqaError, InputError
from bulkqa.evaluation.confusion import ConfusionMatrix
from bulkqa.evaluation.curves import Curves
from bulkqa.evaluation.metrics import Evaluation

FORMATS = (".png", ".svg")

_CELL = 0.27
"""Inches of a cell at least: room for three digits in print of 6 points."""

_DOTS = 110
_NAMED = 10
"""Classes with a line of their own colour and an entry in the legend."""

_POINTS = 2000
"""Points of a drawn line at most: more lie on each other."""


Colour = tuple[float, float, float]
"""Red, green and blue, 0-1."""


def check_plot(path: Path) -> Path:
    """Return the path of a picture; raise `InputError` where its name says neither PNG nor SVG.

    >>> check_plot(Path("matrix.svg")).name
    'matrix.svg'
    """
    if path.suffix.lower() not in FORMATS:
        raise InputError(f"{path}: name a picture that ends in {' or '.join(FORMATS)}")
    return path


def plot_matrix(matrix: ConfusionMatrix, path: Path, counts: bool = False) -> None:
    """Draw a confusion matrix: rows are predicted labels, columns ground truth, cells shares of the column.

    The diagonal is blue, from 0 to 100 %. All else is orange, from 0 to the largest share there, so that
    what is rare shows too. Each cell above 0 has its percentage in it, or with `counts` its number of images;
    a column without images is grey. Raises `InputError` for another kind of file than PNG and SVG, or where
    counts are asked for and unknown, and `BulkqaError` where matplotlib is not installed.
    """
    check_plot(path)
    if counts and matrix.counts is None:
        raise InputError("the confusion matrix has shares only: its numbers of images are not known")
    with _drawing(path) as figure:
        _draw_matrix(figure, matrix, counts)


def _draw_matrix(figure: Any, matrix: ConfusionMatrix, counts: bool) -> None:
    number = len(matrix.labels)
    size = max(number, 6) * _CELL * (2 if number <= 12 else 1)
    figure.set_size_inches(size, size)  # and what stands around it is added as it is saved
    axes = figure.add_axes((0, 0, 1, 1))
    colours = _colours(matrix)
    edges = [place - 0.5 for place in range(len(colours) + 1)]
    axes.pcolormesh(edges, edges, colours, edgecolors="white", linewidth=0.5)
    axes.invert_yaxis()
    print_size = 9 if number <= 12 else 6
    labels = [label if len(label) <= 40 else f"{label[:39]}…" for label in matrix.labels]
    axes.set_xticks(range(number), labels, rotation=90, fontsize=print_size, parse_math=False)
    axes.set_yticks(range(number), labels, fontsize=print_size, parse_math=False)
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    axes.tick_params(length=0)
    axes.set_xlabel("Ground truth", fontsize=10)
    axes.set_ylabel("Predicted", fontsize=10)
    for row, column, share in _cells(matrix):
        if share:
            text = _number(matrix.counts[row][column]) if counts and matrix.counts else _percent(share)
            ink = "white" if _luminance(colours[row][column]) < 0.18 else "black"
            axes.text(column, row, text, ha="center", va="center", fontsize=print_size, color=ink)


def plot_curves(of: Evaluation | Curves | Mapping[str, Curves], path: Path) -> None:
    """Draw the precision-recall curve, the ROC curve and the reliability of scores, of one class or several.

    Of more than ten classes those with the lowest average precision are named, and the others grey. Raises
    `InputError` for another kind of file than PNG and SVG or where no class has scores, and `BulkqaError`
    where matplotlib is not installed.
    """
    check_plot(path)
    known = {"": of} if isinstance(of, Curves) else of.curves if isinstance(of, Evaluation) else of
    if not known:
        raise InputError("no class has scores, so there are no curves to draw")
    with _drawing(path) as figure:
        _draw_curves(figure, known)


def _draw_curves(figure: Any, known: Mapping[str, Curves]) -> None:
    figure.set_size_inches(15, 5.9)
    figure.set_layout_engine("constrained")
    left, middle, right = figure.subplots(1, 3)
    for axes, title, x, y in (
        (left, "Precision and recall", "Recall", "Precision"),
        (middle, "ROC", "False positive rate", "True positive rate"),
        (right, "Reliability", "Score", "Share that is of the class"),
    ):
        axes.set(title=title, xlabel=x, ylabel=y, xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
        axes.grid(color="0.9")
        axes.set_axisbelow(True)
    for axes in (middle, right):
        axes.plot([0, 1], [0, 1], color="0.6", linestyle="--", linewidth=1)
    order = sorted(known, key=lambda label: (known[label].average_precision or 0, label))
    for place, label in reversed([*enumerate(order)]):  # the named ones last, above all others
        found, named = known[label], place < _NAMED
        style: dict[str, Any] = {"color": f"C{place}" if named else "0.8", "linewidth": 1.5 if named else 0.7}
        if (line := found.precision_recall) is not None:
            text = _named(label, "AP", found.average_precision) if named else None
            left.step(*_thinned(line.recall, line.precision), where="pre", label=text, **style)
        if (roc := found.roc) is not None:
            text = _named(label, "AUC", found.roc_auc) if named else None
            middle.plot(*_thinned(roc.false_positive_rate, roc.true_positive_rate), label=text, **style)
        _draw_reliability(right, found, named, label, style)
    for axes, where in ((left, "lower left"), (middle, "lower right"), (right, "upper left")):
        if axes.get_legend_handles_labels()[1]:
            axes.legend(loc=where, fontsize=8, reverse=True)
    if len(order) > _NAMED:
        others = f"grey: {len(order) - _NAMED} others"
        figure.supxlabel(f"The {_NAMED} classes of lowest average precision; {others}", fontsize=10)


def _draw_reliability(axes: Any, found: Curves, named: bool, label: str, style: Mapping[str, Any]) -> None:
    try:
        bins = found.reliability()
    except InputError:  # scores that are no probabilities
        return
    x, y = [one.mean_score for one in bins], [one.positive for one in bins]
    axes.plot(x, y, marker="o" if named else None, markersize=4, label=label if named else None, **style)
    if named:
        for one in bins:
            if one.interval is not None:
                axes.plot([one.mean_score] * 2, one.interval, **{**style, "linewidth": 0.8})


def _named(label: str, name: str, area: float | None) -> str:
    said = f"{name} -" if area is None else f"{name} {area:.3f}"
    return f"{label}: {said}" if label else said


def _thinned(*columns: Sequence[float]) -> Iterator[list[float]]:
    """Return the columns of a line with `_POINTS` of its points, evenly chosen, both ends among them."""
    number = len(columns[0])
    places: Iterable[int] = range(number)
    if number > _POINTS:
        places = [place * (number - 1) // (_POINTS - 1) for place in range(_POINTS)]
    for column in columns:
        yield [float(column[place]) for place in places]


def _cells(matrix: ConfusionMatrix) -> Iterator[tuple[int, int, float | None]]:
    for row, shares in enumerate(matrix.shares):
        for column, share in enumerate(shares):
            yield row, column, share


def _most(matrix: ConfusionMatrix) -> float:
    """Return the largest share beside the diagonal; 1 where there is none."""
    return max((share or 0 for row, column, share in _cells(matrix) if row != column), default=0) or 1


def _colours(matrix: ConfusionMatrix) -> list[list[Colour]]:
    """Return each cell's colour: white to dark blue on the diagonal, white to dark orange elsewhere."""
    most = _most(matrix)
    rows: list[list[Colour]] = [[] for _ in matrix.labels]
    for row, column, share in _cells(matrix):
        if share is None:
            rows[row].append((0.85, 0.85, 0.85))
        elif row == column:
            rows[row].append(_shade((0.03, 0.25, 0.50), share))
        else:
            rows[row].append(_shade((0.75, 0.25, 0.0), share / most))
    return rows or [[(1.0, 1.0, 1.0)]]


def _shade(full: Colour, share: float) -> Colour:
    """Return a colour between white and `full`; the smallest share above 0 is told from white.

    >>> _shade((0, 0, 0), 0), _shade((0, 0, 0), 1)
    ((1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    """
    part = 0.08 + 0.92 * min(share, 1) if share else 0.0
    red, green, blue = (1 - part * (1 - one) for one in full)
    return red, green, blue


def _luminance(colour: Colour) -> float:
    """Return the relative luminance of a colour; on 0.18 black and white stand out alike.

    Source: WCAG 2.2, "relative luminance".

    >>> _luminance((0, 0, 0)), round(_luminance((1, 1, 1)), 4)
    (0.0, 1.0)
    """
    red, green, blue = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _percent(share: float) -> str:
    """Return a share above 0 in per cent as a cell has room for it.

    >>> _percent(0.875), _percent(0.004)
    ('88', '<1')
    """
    whole = f"{100 * share:.0f}"
    return "<1" if whole == "0" else whole


def _number(count: float) -> str:
    """Return a number of images as a cell has room for it: weighted ones to a tenth, large ones in thousands.

    >>> _number(12), _number(1.25), _number(12345)
    ('12', '1.2', '12k')
    """
    if count >= 10_000:
        return f"{count / 1000:.0f}k"
    return f"{count:.0f}" if float(count).is_integer() or count >= 100 else f"{count:.1f}"


# Installed or not: letters that matplotlib's own font lacks are taken from the first that has them.
_FONTS = (
    *("Noto Sans", "Noto Sans CJK JP", "Noto Sans CJK KR", "Noto Sans CJK SC", "WenQuanYi Zen Hei"),
    *("Arial Unicode MS", "Hiragino Sans", "Apple SD Gothic Neo", "PingFang SC"),
    *("Yu Gothic", "Malgun Gothic", "Microsoft YaHei", "Segoe UI"),
)


@contextmanager
def _drawing(path: Path) -> Iterator[Any]:
    """Give an empty figure, and write it to the path; the same figure gives the same bytes."""
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
        from matplotlib.font_manager import fontManager
    except ImportError:
        raise BulkqaError("plots need the extra 'analysis': pip install 'bulkqa[analysis]'") from None
    installed = set(fontManager.get_font_names())
    settings: dict[Any, Any] = {
        "font.family": ["DejaVu Sans", *(font for font in _FONTS if font in installed)],
        "svg.hashsalt": "bulkqa",
        "svg.fonttype": "none",  # letters stay letters, to be searched for and copied
    }
    kind = path.suffix.lower().removeprefix(".")
    about = {"Date": None} if kind == "svg" else {"Software": None}
    with rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing", category=UserWarning)
        figure = Figure()
        yield figure
        try:
            figure.savefig(path, format=kind, dpi=_DOTS, metadata=about, bbox_inches="tight", pad_inches=0.1)
        except OSError as error:
            raise InputError(f"{path}: cannot be written: {error.strerror}") from None
