"""The confusion matrix is scikit-learn's, read by column, whatever the labels come in."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix as of_sklearn

from bulkqa.errors import InputError
from bulkqa.evaluation import confusion_matrix
from bulkqa.evaluation.confusion import as_json, as_table, as_text, of_counts, of_pairs, of_shares

LABELS = st.sampled_from(["backyard", "Backyard", "kitchen", "주방", "a b", ""])
PAIRS = st.lists(st.tuples(LABELS, LABELS), min_size=1, max_size=40)
WEIGHTS = st.one_of(st.just(0.0), st.integers(1, 5).map(float), st.floats(1e-3, 1e3))


def columns(pairs: Iterable[tuple[str, str]]) -> tuple[list[str], list[str]]:
    """Return the ground truths and the predictions of pairs."""
    pairs = list(pairs)
    return [truth for truth, _ in pairs], [guess for _, guess in pairs]


@given(pairs=PAIRS, data=st.data())
def test_counts_and_shares_are_those_of_scikit_learn(
    pairs: list[tuple[str, str]], data: st.DataObject
) -> None:
    """Counts are scikit-learn's with rows and columns changed over, shares its normalisation by truth."""
    truths, guesses = columns(pairs)
    some = st.lists(WEIGHTS, min_size=len(pairs), max_size=len(pairs)).filter(any)
    weights = data.draw(st.none() | some)
    found = confusion_matrix(truths, guesses, weights=weights)
    assert found.labels == tuple(sorted({*truths, *guesses}))
    labels = [*found.labels, "no such label"]
    theirs = of_sklearn(truths, guesses, sample_weight=weights, labels=labels).T[:-1, :-1]
    np.testing.assert_allclose(np.array(found.counts), theirs, rtol=1e-12)
    totals = theirs.sum(axis=0)
    assert found.columns_total == pytest.approx(totals)
    for place, total in enumerate(totals):
        column = [row[place] for row in found.shares]
        if total:
            assert column == pytest.approx(theirs[:, place] / total, rel=1e-12)
            assert math.fsum(filter(None, column)) == pytest.approx(1)
        else:
            assert column == [None] * len(found.labels)


def test_images_without_weight_leave_their_labels() -> None:
    """An image that counts nothing still says that there is such a class."""
    found = confusion_matrix(["a", "b"], ["a", "c"], weights=[2, 0])
    assert found.labels == ("a", "b", "c")
    assert found.shares == ((1.0, None, None), (0.0, None, None), (0.0, None, None))


@given(pairs=PAIRS)
def test_a_weight_is_so_many_images(pairs: list[tuple[str, str]]) -> None:
    """Images that count twice are as good as images that are there twice."""
    truths, guesses = columns(pairs)
    weighted = confusion_matrix(truths, guesses, weights=[2] * len(pairs))
    assert weighted == confusion_matrix(truths * 2, guesses * 2)


@pytest.mark.parametrize(
    "make",
    [list, tuple, iter, np.array, pd.Series, lambda labels: np.array(labels, dtype=object), pd.Categorical],
    ids=["list", "tuple", "iterator", "array", "series", "objects", "categories"],
)
def test_any_column_will_do(make: Callable[[list[str]], Any]) -> None:
    """A column is whatever holds labels one after the other."""
    truths, guesses = ["b", "a", "b"], ["a", "a", "b"]
    found = confusion_matrix(make(truths), make(guesses))
    assert found == confusion_matrix(truths, guesses)
    assert found.counts == ((1, 1), (0, 1))


def test_a_series_is_read_in_its_order_whatever_its_index() -> None:
    """The index of a series plays no part."""
    truths = pd.Series(["a", "b", "b"], index=[2, 0, 1])
    assert confusion_matrix(truths, ["a", "b", "a"]).counts == ((1, 1), (0, 1))


@pytest.mark.parametrize("make", [list, np.array])
def test_labels_are_called_as_they_print(make: Callable[[list[Any]], Any]) -> None:
    """Numbers and truth values are labels too; their order is that of their names."""
    assert confusion_matrix(make([2, 10, 9]), make([2, 2, 9])).labels == ("10", "2", "9")
    assert confusion_matrix(make([True, False]), make([True, True])).labels == ("False", "True")


def test_one_and_true_are_two_labels() -> None:
    """Values that are equal, but not called the same, are kept apart."""
    assert confusion_matrix([1, True], [True, 1]).labels == ("1", "True")


def test_labels_may_name_classes_without_an_image() -> None:
    """A class of which nothing is found has a row of zeros and a column that says nothing."""
    found = confusion_matrix(["cat"], ["cat"], labels=["dog", "cat"])
    assert found.shares == ((1.0, None), (0.0, None))
    assert found.counts == ((1, 0), (0, 0))


def test_no_image_makes_no_table() -> None:
    """Without images there are no labels, and nothing fails."""
    found = confusion_matrix([], [])
    assert (found.labels, found.shares, found.counts) == ((), (), ())
    assert as_text(found) == [""]
    assert list(as_table(found, counts=False)) == [("predicted",)]
    assert found.most_confused(3) == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"ground_truth": ["a"]}, "ground_truth has 1 entries and predicted has 2"),
        ({"weights": [1]}, "ground_truth has 2 entries and weights has 1"),
        ({"ground_truth": ["a", None]}, "ground_truth[1] is missing"),
        ({"predicted": ["a", math.nan]}, "predicted[1] is missing"),
        ({"predicted": pd.Series(["a", None])}, "predicted[1] is missing"),
        ({"predicted": pd.array([1, pd.NA], dtype="Int64")}, "predicted[1] is missing"),
        ({"predicted": np.array([1.0, math.nan])}, "predicted[1] is missing"),
        ({"predicted": "ab"}, "predicted is a text"),
        ({"predicted": np.array([["a", "b"]])}, "predicted has more than one dimension"),
        ({"weights": [1, -1]}, "weights[1] is -1"),
        ({"weights": [1, math.inf]}, "weights[1] is inf"),
        ({"weights": np.array([1, math.nan])}, "weights[1] is nan"),
        ({"weights": [1, "2"]}, "weights[1] is '2'"),
        ({"labels": ["a", "c"]}, "'b' occurs and is not among the labels given"),
    ],
)
def test_what_cannot_be_used_is_named(given: dict[str, Any], message: str) -> None:
    """A message names the column and the place."""
    whole: dict[str, Any] = {"ground_truth": ["a", "b"], "predicted": ["a", "b"]} | given
    with pytest.raises(InputError) as raised:
        confusion_matrix(whole.pop("ground_truth"), whole.pop("predicted"), **whole)
    assert message in str(raised.value)


def test_given_counts_come_in_the_order_of_their_labels() -> None:
    """Rows and columns are sorted with their labels, by code point."""
    found = of_counts(["b", "B", "a"], [[1, 2, 3], [4, 5, 6], [7, 8, 9]])
    assert found.labels == ("B", "a", "b")
    assert found.counts == ((5, 6, 4), (8, 9, 7), (2, 3, 1))


def test_given_shares_stay_as_they_stand() -> None:
    """A matrix whose columns do not sum to 1, as that of the service's own sample, is not put right."""
    shares = [[388 / 390, 70 / 390], [2 / 234, 164 / 234]]
    found = of_shares(["CAP", "WATCH"], shares)
    assert [list(row) for row in found.shares] == shares
    assert found.counts is None and found.columns_total is None


@pytest.mark.parametrize("make", [of_counts, of_shares])
@pytest.mark.parametrize(
    ("labels", "cells", "message"),
    [
        (["a", "a"], [[1, 0], [0, 1]], "the label 'a' 2 times"),
        (["a", "b"], [[1, 0]], "2 labels"),
        (["a", "b"], [[1, 0], [1]], "2 labels"),
        (["a", "b"], [[1, -1], [0, 1]], "-1 at predicted 'a', ground truth 'b'"),
        (["a", "b"], [[1, 0], [math.nan, 1]], "nan at predicted 'b', ground truth 'a'"),
        (["a", "b"], [[1, None], [1, 1]], "the confusion matrix has a c"),
    ],
)
def test_a_given_matrix_is_checked(make: Any, labels: list[str], cells: Any, message: str) -> None:
    """A matrix that is none is refused, naming the cell."""
    with pytest.raises(InputError, match=message):
        make(labels, cells)


def test_the_most_confused_come_by_images_and_then_by_share() -> None:
    """Largest count first; of equal counts the larger share of its column; zeros and right ones never."""
    counts = {("a", "a"): 9, ("b", "a"): 2, ("a", "b"): 2, ("c", "b"): 1, ("c", "c"): 50, ("a", "c"): 3}
    found = of_pairs(counts).most_confused(3)
    assert [(one.predicted, one.ground_truth, one.images) for one in found] == [
        ("a", "c", 3),
        ("a", "b", 2),
        ("b", "a", 2),
    ]


def test_the_most_confused_come_by_share_where_counts_are_unknown() -> None:
    """A matrix of shares alone is ranked by these."""
    found = of_shares(["a", "b"], [[0.9, 0.3], [0.1, 0.7]]).most_confused(5)
    assert found == [("a", "b", 0.3, None), ("b", "a", 0.1, None)]


@pytest.mark.parametrize(
    ("images", "printed"), [(1, "12%"), (3, "38%"), (5, "62%"), (7, "88%"), (0, "0%"), (8, "100%")]
)
def test_percentages_are_whole_and_half_goes_to_even(images: int, printed: str) -> None:
    """Of eight kitchens so many percent are found, rounded as the published table is."""
    counts = {("kitchen", "kitchen"): images, ("patio", "kitchen"): 8 - images}
    assert as_text(of_pairs(counts))[1].split()[:2] == ["kitchen", printed]


@given(
    labels=st.lists(st.text(max_size=12), min_size=1, max_size=5, unique=True),
    given=st.data(),
)
def test_the_table_has_a_line_a_row(labels: list[str], given: st.DataObject) -> None:
    """However long or odd the labels are, a row is one line, and nothing of it commands the terminal."""
    cells = [[given.draw(st.integers(0, 3)) for _ in labels] for _ in labels]
    lines = as_text(of_counts(labels, cells), counts=given.draw(st.booleans()))
    assert len(lines) == len(labels) + 1
    assert all(line.isprintable() for line in lines)


def test_the_table_is_never_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines are as wide as they have to be, whatever the terminal says."""
    monkeypatch.setenv("COLUMNS", "20")
    lines = as_text(of_counts([f"label number {place}" for place in range(30)], np.eye(30).tolist()))
    assert lines[0].split("  ")[-1] == "label number 9"
    assert {line.count("%") for line in lines[1:]} == {30}


def test_columns_stand_below_their_labels() -> None:
    """Wide letters take two places in a terminal, so that cells end where their labels do."""
    lines = as_text(of_counts(["주방", "patio"], [[1, 0], [0, 1]]))
    assert lines == ["       patio  주방", "patio   100%    0%", "주방      0%  100%"]


def test_counts_of_weights_print_to_a_tenth() -> None:
    """Whole counts print whole, others with one decimal."""
    found = confusion_matrix(["a", "a", "b"], ["a", "b", "b"], weights=[1.25, 0.5, 3])
    assert [line.split()[1:] for line in as_text(found, counts=True)[1:]] == [["1.2", "0"], ["0.5", "3"]]


def test_a_column_without_images_prints_dashes() -> None:
    """Nothing is said of a ground truth without images, which is not 0 %."""
    assert as_text(confusion_matrix(["a"], ["b"]))[1].split() == ["a", "0%", "-"]


def test_counts_that_are_unknown_are_not_made_up() -> None:
    """Asking shares for their counts is an error, in every form."""
    shares = of_shares(["a"], [[1.0]])
    with pytest.raises(InputError, match="not known"):
        as_text(shares, counts=True)
    with pytest.raises(InputError, match="not known"):
        list(as_table(shares, counts=True))
    assert as_json(shares, 1)["counts"] is None


def test_json_has_the_keys_of_the_interface() -> None:
    """Labels, shares by row and counts, under the names that scripts read."""
    found = as_json(confusion_matrix(["a", "b"], ["a", "a"]), 1)
    assert found == {
        "schema": 1,
        "labels": ["a", "b"],
        "matrix": [[1.0, 1.0], [0.0, 0.0]],
        "counts": [[1, 1], [0, 0]],
    }


def test_a_notebook_shows_labels_as_text() -> None:
    """A label that looks like markup is shown, not obeyed."""
    page = confusion_matrix(["<b>"], ["<b>"])._repr_html_()
    assert "<b>" not in page and page.count("&lt;b&gt;") == 2 and "100%" in page
