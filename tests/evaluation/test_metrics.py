"""Metrics are scikit-learn's, but for what is undefined: that is None, not 0."""

import json
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    precision_recall_fscore_support,
    roc_auc_score,
    top_k_accuracy_score,
)
from statsmodels.stats.proportion import proportion_confint  # type: ignore[import-untyped]

from bulkqa.errors import InputError, NotFoundError
from bulkqa.evaluation import evaluate
from bulkqa.evaluation.metrics import Averages, BinaryCounts, as_json, as_table, f1_interval

LABELS = ("cat", "cow", "dog", "owl")
IMAGES = st.lists(
    st.tuples(st.sampled_from(LABELS), st.sampled_from(LABELS), st.sampled_from([0.5, 1, 2, 7])),
    min_size=1,
    max_size=40,
)


@given(images=IMAGES, is_weighted=st.booleans())
def test_rates_and_averages_are_those_of_scikit_learn(
    images: list[tuple[str, str, float]], is_weighted: bool
) -> None:
    """Per class and averaged in three ways, rates agree to 1e-9; scikit-learn's 0 for 0/0 is None here."""
    truths, guesses, weights = map(list, zip(*images, strict=True))
    given = weights if is_weighted else None
    found = evaluate(truths, guesses, weights=given)
    options: dict[str, Any] = {"sample_weight": given, "zero_division": 0}
    of_classes = zip(*precision_recall_fscore_support(truths, guesses, **options, average=None), strict=True)
    for one, (precision, recall, f1, support) in zip(found.classes, of_classes, strict=True):
        assert (one.precision or 0, one.recall or 0, one.f1) == pytest.approx((precision, recall, f1))
        assert one.support == pytest.approx(support)
        assert (one.precision is None) == (one.counts.tp + one.counts.fp == 0)
        assert (one.recall is None) == (one.support == 0)
        assert sum(one.counts) == pytest.approx(sum(weights) if is_weighted else len(images))
    for name in ("macro", "micro", "weighted"):
        theirs = precision_recall_fscore_support(truths, guesses, **options, average=name)[:3]
        assert getattr(found, name) == pytest.approx(theirs, abs=1e-9)
    assert found.accuracy == pytest.approx(accuracy_score(truths, guesses, sample_weight=given))
    assert found.items == len(images)


@given(images=IMAGES, factor=st.sampled_from([0.1, 3, 1e6]))
def test_equal_weights_change_no_interval(images: list[tuple[str, str, float]], factor: float) -> None:
    """Whatever each image counts, as long as it is the same, there are as many images as before."""
    truths, guesses, _ = map(list, zip(*images, strict=True))
    plain, weighted = evaluate(truths, guesses), evaluate(truths, guesses, weights=[factor] * len(images))
    for ours, theirs in zip(plain.classes, weighted.classes, strict=True):
        for name in ("precision", "recall", "f1"):
            interval = getattr(ours, f"{name}_interval")
            assert getattr(theirs, f"{name}_interval") == pytest.approx(interval)
            assert interval == getattr(ours.counts, f"{name}_interval")
    assert weighted.accuracy_interval == pytest.approx(plain.accuracy_interval)


def test_unequal_weights_count_as_fewer_images() -> None:
    """Weights 1, 1 and 4 tell as much as 36 / 18 = 2 images."""
    found = evaluate(["a"] * 3, ["a", "a", "b"], weights=[1, 1, 4])
    low, high = proportion_confint(2 / 6 * 2, 2, method="wilson")
    assert found.accuracy_interval == pytest.approx((low, high))
    assert found.of("a").recall_interval == pytest.approx((low, high))


def test_intervals_are_those_of_statsmodels() -> None:
    """Precision, recall and accuracy have Wilson's interval over their own denominators."""
    counts = BinaryCounts(tp=90, fp=10, fn=30, tn=70)
    for interval, (part, whole) in {
        counts.precision_interval: (90, 100),
        counts.recall_interval: (90, 120),
        counts.accuracy_interval: (160, 200),
    }.items():
        assert interval == pytest.approx(proportion_confint(part, whole, method="wilson"))


@pytest.mark.parametrize(("chance", "n"), [(0.9, 30), (0.5, 100), (0.99, 200)])
def test_the_interval_of_f1_covers_it(chance: float, n: int) -> None:
    """Over all samples of n images that are found, false or missed, F1 lies within in 92 % or more."""
    truth = 2 * chance / (1 + chance)
    covered = 0.0
    for tp in range(n + 1):
        interval = f1_interval(tp, n)
        assert interval is not None
        if interval[0] <= truth <= interval[1]:
            covered += math.comb(n, tp) * chance**tp * (1 - chance) ** (n - tp)
    assert 0.92 <= covered <= 1


def test_the_guides_examples() -> None:
    """F1 of the precisions and recalls that the Lookout for Vision guide works out."""
    assert BinaryCounts(9, 1, 0, 0).f1 == pytest.approx(0.947, abs=5e-4)
    assert BinaryCounts(3, 7, 0, 0).f1 == pytest.approx(0.46, abs=5e-3)
    assert BinaryCounts(19, 1, 76, 0).f1 == pytest.approx(0.33, abs=5e-3)


def test_what_is_undefined_is_none() -> None:
    """Nothing to divide by gives None everywhere, with no interval."""
    nothing = BinaryCounts(0, 0, 0, 0)
    assert (nothing.precision, nothing.recall, nothing.f1, nothing.accuracy) == (None,) * 4
    assert nothing.precision_interval is nothing.recall_interval is nothing.f1_interval is None
    assert nothing.accuracy_interval is None
    # Nothing found of what is there: precision is undefined, recall and F1 are 0.
    missed = BinaryCounts(0, 0, 3, 5)
    assert (missed.precision, missed.recall, missed.f1) == (None, 0.0, 0.0)


def test_no_predictions_at_all() -> None:
    """Without predictions everything is undefined, and nothing fails."""
    found = evaluate([], [])
    assert found.items == 0 and found.classes == ()
    assert found.macro == found.micro == found.weighted == Averages(None, None, None)
    assert found.accuracy is None and found.accuracy_interval is None
    assert len(list(as_table(found))) == 4
    assert as_json(found, 1)["classes"] == []


def test_all_wrong() -> None:
    """Where nothing is right, every defined rate is 0."""
    found = evaluate(["cat", "dog"], ["dog", "cat"])
    assert found.accuracy == 0
    assert found.macro == found.micro == found.weighted == Averages(0, 0, 0)


def test_a_class_that_never_occurs_has_no_part_in_averages() -> None:
    """The positive class is listed even without an image, and the mean is over those that occur."""
    found = evaluate(["normal"] * 3, ["normal"] * 3, positive="anomaly", scores=[0.1, 0.2, 0.3])
    assert [one.label for one in found.classes] == ["anomaly", "normal"]
    anomaly = found.of("anomaly")
    assert anomaly.counts == BinaryCounts(0, 0, 0, 3)
    assert (anomaly.precision, anomaly.roc_auc, anomaly.average_precision) == (None, None, None)
    assert found.macro == Averages(1.0, 1.0, 1.0)
    assert found.matrix.labels == ("normal",)


def test_a_class_that_only_a_prediction_names_counts_in_averages() -> None:
    """The union of both columns is averaged over: a class that is never right pulls the mean down."""
    found = evaluate(["a", "a"], ["a", "b"])
    assert found.macro.precision == 0.5
    assert found.of("b").recall is None


@given(
    images=st.lists(st.tuples(st.sampled_from("an"), st.integers(0, 20)), min_size=1, max_size=30),
    is_weighted=st.booleans(),
)
def test_areas_of_two_classes(images: list[tuple[str, int]], is_weighted: bool) -> None:
    """One column of scores gives the positive class its areas, and the other class none."""
    truths = [truth for truth, _ in images]
    scores = [score / 20 for _, score in images]
    weights = [1 + place % 3 for place in range(len(images))] if is_weighted else None
    guesses = ["a" if score > 0.5 else "n" for score in scores]
    found = evaluate(truths, guesses, scores=scores, positive="a", weights=weights)
    positives = [truth == "a" for truth in truths]
    anomaly = found.of("a")
    if any(positives):
        theirs = average_precision_score(positives, scores, sample_weight=weights)
        assert anomaly.average_precision == pytest.approx(theirs)
    else:
        assert anomaly.average_precision is None
    if len(set(positives)) == 2:
        assert anomaly.roc_auc == pytest.approx(roc_auc_score(positives, scores, sample_weight=weights))
        assert found.of("n").roc_auc is None
    else:
        assert anomaly.roc_auc is None


SCORED = st.lists(
    st.tuples(st.sampled_from(LABELS), st.tuples(*[st.integers(0, 3)] * 4), st.sampled_from([0.5, 1, 2])),
    min_size=1,
    max_size=25,
)


@given(images=SCORED, k=st.integers(1, 3), is_weighted=st.booleans())
def test_top_k_is_that_of_scikit_learn(
    images: list[tuple[str, tuple[int, ...], float]], k: int, is_weighted: bool
) -> None:
    """How often the truth is among the k best, ties and all, is what scikit-learn says."""
    truths, rows, weights = ([image[place] for image in images] for place in range(3))
    scores: Any = dict(zip(LABELS, zip(*rows, strict=True), strict=True))
    given: Any = weights if is_weighted else None
    found = evaluate(truths, truths, scores=scores, top_k=k, weights=given)
    theirs = top_k_accuracy_score(truths, np.array(rows), k=k, labels=LABELS, sample_weight=given)
    assert found.top_k is not None
    assert found.top_k.k == k
    assert found.top_k.accuracy == pytest.approx(theirs)


def test_a_truth_without_scores_is_never_among_the_best() -> None:
    """A class that the model does not know cannot be found by it."""
    found = evaluate(["owl"], ["cat"], scores={"cat": [1.0], "dog": [0.0]}, top_k=2)
    assert found.top_k == (2, 0.0)


def test_each_class_with_scores_has_its_areas() -> None:
    """A column for each class gives each its own areas and curve, against all others."""
    truths = ["cat", "dog", "owl", "cat"]
    scores = {"cat": [0.9, 0.2, 0.5, 0.4], "dog": [0.1, 0.8, 0.3, 0.3]}
    found = evaluate(truths, truths, scores=scores)
    assert found.of("cat").roc_auc == roc_auc_score([1, 0, 0, 1], scores["cat"])
    assert found.of("dog").roc_auc == 1.0
    assert found.of("owl").roc_auc is None
    assert list(found.curves) == ["cat", "dog"]
    assert found.curves["dog"].roc_auc == 1.0


def test_columns_of_any_kind_say_the_same() -> None:
    """Lists, arrays, series and what can be read only once give one result."""
    truths, guesses, scores, weights = ["a", "b", "a"], ["a", "a", "a"], [0.9, 0.8, 0.3], [1, 2, 3]
    expected = evaluate(truths, guesses, scores=scores, positive="a", weights=weights)
    for make in (np.array, pd.Series, iter):
        columns: Any = {"scores": make(scores), "weights": make(weights)}
        found = evaluate(make(truths), make(guesses), positive="a", **columns)
        assert found[:9] == expected[:9]
    by_class = evaluate(
        iter(truths), iter(guesses), scores={"a": iter(scores)}, weights=iter(weights), top_k=1
    )
    assert by_class.of("a") == expected.of("a")


@pytest.mark.parametrize("kind", [int, bool, str, np.int8, object])
@pytest.mark.parametrize("label", ["1", "0", "01", "-1", "True", "False", "x", str(2**70)])
def test_arrays_have_the_curves_of_their_values(kind: type, label: str) -> None:
    """Which class an array's values are of goes by their names, as in a list."""
    array: Any = np.array([1, 0, 1, 0]).astype(kind)
    scores = {label: [0.9, 0.6, 0.4, 0.1]}
    found = evaluate(array, array, scores=scores, top_k=1)
    expected = evaluate(array.tolist(), array.tolist(), scores=scores, top_k=1)
    assert (found.of(label), found.top_k) == (expected.of(label), expected.top_k)


def test_numbered_classes_are_called_as_they_print() -> None:
    """The positive class, and those with scores, may be given as the numbers that the columns hold."""
    found = evaluate([1, 0, 1], [1, 1, 0], scores=[0.9, 0.6, 0.4], positive=1)
    assert found.of("1").roc_auc == 0.5
    assert (
        evaluate(np.array([1, 0, 1]), np.array([1, 1, 0]), scores={1: [0.9, 0.6, 0.4]}).of("1").roc_auc == 0.5
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"scores": [0.5, 0.5]}, "needs `positive`"),
        ({"scores": [0.5], "positive": "a"}, "the class 'a': scores has 1 entries"),
        ({"scores": [0.5, math.nan], "positive": "a"}, "the class 'a': scores[1] is nan"),
        ({"scores": {"b": [0.5, 0.5, 0.5]}}, "the class 'b': scores has 3 entries"),
        ({"top_k": 2}, "top_k needs the scores of all classes"),
        ({"top_k": 2, "scores": [0.5, 0.5], "positive": "a"}, "top_k needs the scores of all classes"),
        ({"top_k": 0, "scores": {"a": [0.5, 0.5]}}, "top_k is 0"),
        ({"weights": [1]}, "weights has 1"),
        ({"weights": [1], "scores": {"a": [0.5, 0.5]}}, "weights has 1"),
    ],
)
def test_what_cannot_be_used_is_named(given: dict[str, Any], message: str) -> None:
    """A message names the class, the column and the place."""
    with pytest.raises(InputError) as raised:
        evaluate(["a", "b"], ["a", "b"], **given)
    assert message in str(raised.value)


def test_a_label_that_is_not_there_is_named() -> None:
    """Asking for a class that does not occur says so."""
    with pytest.raises(NotFoundError, match="'dog'"):
        evaluate(["cat"], ["cat"]).of("dog")


def test_json_and_table_hold_all_of_it() -> None:
    """JSON without NaN, and a table with as many fields a row as its header; undefined ones are empty."""
    found = evaluate(["a", "b"], ["a", "c"], scores={"a": [0.9, 0.1], "d": [0.0, 1.0]}, top_k=1)
    document = json.loads(json.dumps(as_json(found, 1), allow_nan=False))
    assert document["top_k"] == {"k": 1, "accuracy": 0.5}
    classes = {one["label"]: one for one in document["classes"]}
    assert classes["a"]["roc_auc"] == 1 and classes["d"]["roc_auc"] is None
    assert classes["c"]["recall"] is None and classes["c"]["recall_interval"] is None
    header, *rows = as_table(found)
    assert {len(row) for row in rows} == {len(header)}
    by_name = dict(zip(header, rows[0], strict=True))
    assert (by_name["label"], by_name["precision"], by_name["roc_auc"]) == ("a", 1.0, 1.0)
    assert [row[1] for row in rows[4:]] == ["macro", "micro", "weighted"]
    assert dict(zip(header, rows[-3], strict=True))["recall"] == pytest.approx(1 / 3)


def test_a_notebook_shows_labels_as_text() -> None:
    """A label that looks like markup is shown, not obeyed; what is undefined is a dash."""
    page = evaluate(["<b>"], ["c"])._repr_html_()
    assert "<b>" not in page and "&lt;b&gt;" in page and "<td>-</td>" in page
