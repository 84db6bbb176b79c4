"""What is counted by column is what is counted value by value, or is left to be read so."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import duckdb
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkqa import parquet
from bulkqa.evaluation import columns, confusion_matrix, curves
from bulkqa.evaluation.confusion import ConfusionMatrix, tally
from bulkqa.evaluation.predictions import Prediction, read_predictions

pytestmark = pytest.mark.slow  # duckdb starts anew in every one

NUMBERS = st.lists(
    st.tuples(st.integers(-3, 3), st.integers(-3, 3), st.sampled_from([0, 1, 2.5])), min_size=1
)


@pytest.mark.parametrize(
    "kind", [np.int64, np.int8, np.bool_, np.str_, object], ids=lambda kind: kind.__name__
)
@given(rows=NUMBERS, is_weighted=st.booleans())
def test_arrays_are_counted_as_lists_are(
    kind: Any, rows: list[tuple[int, int, float]], is_weighted: bool
) -> None:
    """Pairs, weights and their squares are the same from arrays and from their values one by one."""
    truths, guesses, weights = (np.array(column) for column in zip(*rows, strict=True))
    truths, guesses = truths.astype(kind), guesses.astype(kind)
    given = weights if is_weighted else None
    found = tally(truths, guesses, given)
    expected = tally(truths.tolist(), guesses.tolist(), None if given is None else given.tolist())
    assert found.items == expected.items
    assert dict(found.counts) == pytest.approx(dict(expected.counts))
    assert dict(found.squares) == pytest.approx(dict(expected.squares))


@pytest.mark.parametrize(
    ("truths", "guesses"),
    [
        (np.array([1, 2**40]), np.array([1, 1])),
        (np.array([2**63, 2**63 + 1], dtype=np.uint64), np.array([2**63, 2**63], dtype=np.uint64)),
        (np.array([0, 200], dtype=np.uint8), np.array([0, -1], dtype=np.int8)),
        (np.array([True, False]), np.array([1, 3])),
        (np.array([1, 2]), np.array(["1", "2"])),
        (np.array([], dtype=np.int64), np.array([], dtype=np.int64)),
    ],
    ids=["far apart", "huge", "two kinds", "truth values and numbers", "numbers and texts", "nothing"],
)
def test_odd_arrays_are_counted_too(truths: Any, guesses: Any) -> None:
    """Arrays that no square of cells is made for give what their values give."""
    assert confusion_matrix(truths, guesses) == confusion_matrix(truths.tolist(), guesses.tolist())


def test_arrays_of_many_parts() -> None:
    """More values than are worked on at once are all counted, once."""
    source = np.random.default_rng(3)
    truths, guesses = source.integers(0, 5, (2, 300_000))
    weights = source.random(300_000)
    assert confusion_matrix(truths, guesses) == confusion_matrix(truths.tolist(), guesses.tolist())
    names = np.array(list("abcde"))
    assert confusion_matrix(names[truths], guesses.astype(str)).columns_total == tuple(
        [0] * 5 + np.bincount(truths).tolist()
    )
    found = confusion_matrix(truths, guesses, weights=weights).counts
    expected = confusion_matrix(truths.tolist(), guesses.tolist(), weights=weights.tolist()).counts
    np.testing.assert_allclose(np.array(found), np.array(expected), rtol=1e-12)


# Files.

LABELS = st.sampled_from(["Dog", 'd\'Oré "x"', "犬", "a\\b", " Dog", "1"])
PREDICTIONS = st.lists(
    st.fixed_dictionaries(
        {"ground_truth": LABELS, "predicted": LABELS},
        optional={
            "score": st.none() | st.floats(0, 1),
            "confidence": st.sampled_from([0, 1, 0.5]),
            "weight": st.none() | st.sampled_from([0, 1, 2.5]),
            "camera": st.integers(),
        },
    ),
    min_size=1,
    max_size=30,
)


def as_lines(rows: list[dict[str, Any]], folder: str | Path) -> Path:
    """Write rows as JSON Lines."""
    path = Path(folder, "predictions.jsonl")
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def as_parquet(rows: list[dict[str, Any]], folder: str | Path) -> Path:
    """Write rows as Parquet, with those columns that any row has."""
    kinds = dict.fromkeys(("score", "confidence", "weight"), "DOUBLE")
    names = dict.fromkeys(name for row in rows for name in row)
    path = Path(folder, "predictions.parquet")
    parquet.write((json.dumps(row) + "\n" for row in rows), {n: kinds.get(n, "VARCHAR") for n in names}, path)
    return path


Write = Callable[[list[dict[str, Any]], str | Path], Path]
# JSON Lines are read once each where many are alike, and else by column.
FORMS = pytest.mark.parametrize(
    ("write", "alike"),
    [(as_lines, columns._ALIKE), (as_lines, 0), (as_parquet, 0)],
    ids=["lines alike", "lines", "parquet"],
)


def counted(path: Path, alike: int = 0) -> ConfusionMatrix | None:
    """Count a file, taking so many lines for few."""
    with patch.object(columns, "_ALIKE", alike):
        return columns.confusion_of_file(path)


def line_by_line(path: Path) -> Any:
    """Return the confusion matrix of a file's lines as they are read one by one."""
    found = list(read_predictions(path))
    assert all(isinstance(one, Prediction) for one in found)
    good = [one for one in found if isinstance(one, Prediction)]
    weights = [1 if one.weight is None else one.weight for one in good]
    is_weighted = any(one.weight is not None for one in good)
    truths, guesses = [one.ground_truth for one in good], [one.predicted for one in good]
    return confusion_matrix(truths, guesses, weights=weights if is_weighted else None)


@FORMS
@given(rows=PREDICTIONS, named=st.booleans())
def test_a_file_is_counted_as_its_lines_are(
    write: Write, alike: int, rows: list[dict[str, Any]], named: bool
) -> None:
    """Labels, weights and images of a file give the matrix that its lines give."""
    if named:
        rows = [row | {"image": f"{place}.jpg"} for place, row in enumerate(rows)]
    with TemporaryDirectory() as folder:
        path = write(rows, folder)
        found, expected = counted(path, alike), line_by_line(path)
    assert found is not None
    assert (found.labels, found.shares) == (expected.labels, expected.shares)
    assert found.counts == expected.counts


GOOD = {"ground_truth": "cat", "predicted": "dog"}


@FORMS
@pytest.mark.parametrize(
    "odd",
    [
        {"ground_truth": ""},
        {"predicted": "  "},
        {"predicted": None},
        {"score": 1.5},
        {"score": -0.1},
        {"confidence": 85},
        {"weight": -1},
        {"image": "first.jpg"},
        {"image_local_path": "first.jpg"},
        {"source-ref": "first.jpg"},
    ],
    ids=str,
)
def test_an_odd_line_leaves_the_file_to_be_read(
    write: Write, alike: int, odd: dict[str, Any], tmp_path: Path
) -> None:
    """One line that is not plainly right, among good ones, and the file is not counted by column."""
    rows = [GOOD | {"image": "first.jpg"}, GOOD | {"image": "second.jpg"}]
    assert counted(write([*rows, GOOD], tmp_path), alike) is not None
    assert counted(write([*rows, GOOD | odd], tmp_path), alike) is None


@pytest.mark.parametrize(
    "line",
    [
        '{"ground_truth": 5, "predicted": "dog"}',
        '{"ground_truth": true, "predicted": "dog"}',
        '{"ground_truth": {"a": 1}, "predicted": ["dog"]}',
        '{"source-ref": "s3://bucket/a.jpg", "anomaly-label": 1}',
        '{"ground_truth": "cat", "predicted": "dog", "score": NaN}',
        '{"ground_truth": "cat", "predicted": "dog", "camera": NaN}',
        '{"ground_truth": "cat", "predicted": "dog", "camera": -Infinity}',
        '{"ground_truth": "cat", "predicted": "dog", "weight": "2"}',
        '{"ground_truth": "cat", "predicted": "dog", "score": true}',
        '{"ground_truth": "cat", "predicted": "dog", "scores": {"cat": 2}}',
        '{"ground_truth": "cat", "predicted": "dog", "image": 5}',
        '{"ground_truth": "cat", "predicted": "dog",}',
        '{"ground_truth": "cat", "predicted": "dog", }',
        '{"ground_truth": "cat", "ground_truth": "dog", "predicted": "dog"}',
        '{"ground_truth": "cat", "predicted": "dog"',
        '{"ground_truth": "\\ud800", "predicted": "dog"}',
        "[]",
        "cat,dog",
    ],
)
def test_a_line_that_is_not_plain_json_leaves_the_file_to_be_read(line: str, tmp_path: Path) -> None:
    """Whatever the strict reader refuses, or takes for something else, is never counted by column."""
    path = tmp_path / "predictions.jsonl"
    path.write_text(f"{json.dumps(GOOD)}\n" * 2000 + line + "\n" + f"{json.dumps(GOOD)}\n" * 2000)
    assert counted(path) is None


@pytest.mark.parametrize(
    "lines",
    [
        ['{"ground_truth": 5, "predicted": "dog"}', "", '{"ground_truth": true, "predicted": "5"}'],
        ['{"ground_truth": "cat", "predicted": "dog", "weight": "2"}', "  "],
        ['{"ground_truth": "c\\u0061t", "predicted": "dog"}', '{"ground_truth": "cat", "predicted": "dog"}'],
    ],
    ids=["other labels", "a weight as text", "a label spelled in two ways"],
)
def test_lines_alike_are_read_as_any_line_is(lines: list[str], tmp_path: Path) -> None:
    """Where many lines are alike, each kind is read strictly, and counts as often as it comes."""
    path = tmp_path / "predictions.jsonl"
    path.write_text("\n".join(lines * 3))
    assert columns.confusion_of_file(path) == line_by_line(path)
    with path.open("a") as file:
        file.write('\n{"ground_truth": "cat",}')
    assert columns.confusion_of_file(path) is None


def test_other_files_are_left_to_be_read(tmp_path: Path) -> None:
    """CSV has a header and rows of several lines: lines alone say nothing."""
    path = tmp_path / "predictions.csv"
    path.write_text("ground_truth,predicted\ncat,dog\n")
    assert columns.confusion_of_file(path) is None


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1 AS ground_truth, 'dog' AS predicted",
        "SELECT 'cat' AS ground_truth",
        "SELECT 'cat' AS ground_truth, 'dog' AS predicted, '0.5' AS score",
        "SELECT 'cat' AS ground_truth, 'dog' AS predicted, 'nan'::DOUBLE AS weight",
        "SELECT 'cat' AS ground_truth, 'dog' AS predicted, {'cat': 0.5} AS scores",
        "SELECT 'cat' AS ground_truth, 'dog' AS predicted, 7 AS image",
        "SELECT 'cat' AS ground_truth, 'dog' AS predicted WHERE FALSE",
    ],
)
def test_other_columns_leave_the_file_to_be_read(query: str, tmp_path: Path) -> None:
    """Parquet with columns of other types, or without rows, is not counted by column."""
    path = tmp_path / "predictions.parquet"
    duckdb.connect().execute(f"COPY ({query}) TO '{path}' (FORMAT parquet)").fetchall()
    assert columns.confusion_of_file(path) is None


def test_images_are_told_apart_by_the_first_field_that_names_them(tmp_path: Path) -> None:
    """Two images without a name, or with an empty one, are no image twice."""
    rows = [
        GOOD,
        GOOD | {"image": ""},
        GOOD | {"image": "", "source-ref": "a.jpg"},
        GOOD | {"image": "b.jpg"},
    ]
    path = as_lines(rows, tmp_path)
    assert counted(path) == columns.confusion_of_file(path) == line_by_line(path)


@pytest.mark.parametrize("name", ["a'b", "a*", "[a]", "?", "a[*]"])
def test_a_file_may_be_called_anything(name: str, tmp_path: Path) -> None:
    """A name is no pattern, and cannot end a text in SQL."""
    path = tmp_path / name
    for other in ("a", "ab", "a*b"):
        as_lines([GOOD | {"predicted": "cow"}], tmp_path).rename(tmp_path / other)
    for write in (as_lines, as_parquet):
        write([GOOD], tmp_path).rename(path)
        found = counted(path)
        assert found is not None and found.counts == ((0, 0), (1, 0))


@pytest.mark.parametrize("missing", ["numpy", "duckdb"])
def test_without_the_extra_files_are_left_to_be_read(
    missing: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where something is not installed, no line is counted by column, and nothing fails."""
    path = as_lines([GOOD], tmp_path)
    monkeypatch.setitem(sys.modules, missing, None)
    assert counted(path) is None


def test_without_numpy_long_lists_say_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Curves of many scores by the standard library alone have the areas that numpy gives."""
    source = np.random.default_rng(4)
    scores = source.random(60_000)
    positives = (source.random(60_000) < scores).tolist()
    expected = curves.curves(scores, positives)
    listed = scores.tolist()
    monkeypatch.setitem(sys.modules, "numpy", None)
    found = curves.curves(listed, positives)
    assert isinstance(found.thresholds, list)
    areas = found.roc_auc, found.average_precision
    monkeypatch.undo()
    assert areas == pytest.approx((expected.roc_auc, expected.average_precision), abs=1e-12)


@pytest.mark.slow
def test_lists_are_evaluated_without_anything_installed() -> None:
    """Importing the package, and evaluating lists, loads nothing of the extra."""
    code = (
        "import sys; from bulkqa.evaluation import confusion_matrix, evaluate; "
        "confusion_matrix(['a'], ['b']); evaluate(['a', 'b'], ['a', 'a'], scores=[.9, .1], positive='a'); "
        "print({'numpy', 'duckdb', 'matplotlib', 'PIL', 'pandas'} & sys.modules.keys())"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"
