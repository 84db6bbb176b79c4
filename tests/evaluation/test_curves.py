"""Curves and areas are scikit-learn's, with ties, weights and what is undefined, by list and by array."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as of_sklearn
from sklearn.calibration import calibration_curve

from bulkqa.errors import InputError
from bulkqa.evaluation.curves import Bin, Curves, curves
from bulkqa.flow.statistics import wilson

pytestmark = pytest.mark.slow  # loading scikit-learn takes long

# Few values, so that there are ties; four decimals; anything.
SCORES = st.one_of(
    st.sampled_from([0.0, 0.25, 0.5, 1.0]),
    st.integers(0, 10_000).map(lambda steps: steps / 10_000),
    st.floats(-1e300, 1e300),
)
ITEMS = st.lists(st.tuples(SCORES, st.booleans(), st.sampled_from([0, 0.5, 1, 3])), min_size=1, max_size=40)
BOTH = pytest.mark.parametrize("make", [list, np.array], ids=["list", "array"])
Make = Callable[[Sequence[Any]], Any]


def unzipped(items: list[tuple[float, bool, float]]) -> tuple[list[float], list[bool], list[float]]:
    """Return the scores, truth values and weights of items."""
    scores, positives, weights = (list(column) for column in zip(*items, strict=True))
    return scores, positives, weights


def compare(found: Curves, scores: Any, positives: Any, weights: Any) -> None:
    """Hold curves against scikit-learn's."""
    if found.positives:
        area = of_sklearn.average_precision_score(positives, scores, sample_weight=weights)
        assert found.average_precision == pytest.approx(area, abs=1e-9)
        theirs = of_sklearn.precision_recall_curve(positives, scores, sample_weight=weights)
        ours = found.precision_recall
        assert ours is not None
        np.testing.assert_allclose(ours.precision, theirs[0][::-1], atol=1e-9)
        np.testing.assert_allclose(ours.recall, theirs[1][::-1], atol=1e-9)
        np.testing.assert_array_equal(ours.thresholds[1:], theirs[2][::-1])
    else:
        assert found.average_precision is None and found.precision_recall is None
    if found.positives and found.negatives:
        area = of_sklearn.roc_auc_score(positives, scores, sample_weight=weights)
        assert found.roc_auc == pytest.approx(area, abs=1e-9)
        theirs = of_sklearn.roc_curve(positives, scores, sample_weight=weights, drop_intermediate=False)
        assert found.roc is not None
        for our, their in zip(found.roc, theirs, strict=True):
            np.testing.assert_allclose(our, their, atol=1e-9)
    else:
        assert found.roc_auc is None and found.roc is None


@BOTH
@given(items=ITEMS)
def test_areas_and_curves_are_those_of_scikit_learn(
    make: Make, items: list[tuple[float, bool, float]]
) -> None:
    """Every item counting 1, areas and curves agree to 1e-9, and are undefined where they have to be."""
    scores, positives, _ = unzipped(items)
    compare(curves(make(scores), make(positives)), scores, positives, None)


@BOTH
@given(items=ITEMS)
def test_weights_are_those_of_scikit_learn(make: Make, items: list[tuple[float, bool, float]]) -> None:
    """Items with weights agree too; one of weight 0 is as good as not there."""
    scores, positives, weights = unzipped(items)
    found = curves(make(scores), make(positives), make(weights))
    kept = [(*item,) for item in items if item[2]]
    if kept:
        compare(found, *unzipped(kept))
    else:
        assert found.roc_auc is None and found.average_precision is None


@given(items=st.lists(st.tuples(SCORES, st.booleans(), st.just(1)), min_size=1, max_size=60))
def test_arrays_say_what_lists_say(items: list[tuple[float, bool, float]]) -> None:
    """Whether scores are counted where they lie, sorted, or gone through one by one, steps are the same."""
    scores, positives, _ = unzipped(items)
    ours, theirs = curves(scores, positives), curves(np.array(scores), np.array(positives))
    for our, their in zip(ours[:3], theirs[:3], strict=True):
        np.testing.assert_array_equal(our, their)
    assert (ours.positives, ours.negatives) == (theirs.positives, theirs.negatives)
    assert ours.roc_auc == theirs.roc_auc
    assert ours.average_precision == pytest.approx(theirs.average_precision, abs=1e-12)


@BOTH
@pytest.mark.parametrize(
    ("scores", "positives", "area", "precision"),
    [
        ([0.9, 0.8, 0.2, 0.1], [True, True, False, False], 1.0, 1.0),
        ([0.1, 0.2, 0.8, 0.9], [True, True, False, False], 0.0, (0.5 * 1 / 3 + 0.5 * 2 / 4)),
        ([0.5, 0.5, 0.5, 0.5], [True, True, False, False], 0.5, 0.5),
        ([0.5, 0.5], [True, True], None, 1.0),
        ([0.5, 0.7], [False, False], None, None),
        ([], [], None, None),
        ([-0.0, 0.0], [True, False], 0.5, 0.5),
    ],
    ids=["all right", "all wrong", "all tied", "positives alone", "negatives alone", "nothing", "two zeros"],
)
def test_the_ends(
    make: Make, scores: list[float], positives: list[bool], area: float | None, precision: float | None
) -> None:
    """Areas of rankings that can be counted by hand, and of those that have none."""
    found = curves(make(scores), make(positives))
    assert found.roc_auc == area
    assert found.average_precision == pytest.approx(precision)


@BOTH
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"scores": [0.5, math.nan, 0.5]}, "scores[1] is"),
        ({"scores": [0.5, 0.5, math.inf]}, "scores[2] is"),
        ({"scores": [-math.inf, 0.5, 0.5]}, "scores[0] is"),
        ({"scores": ["0.5", "0.5", "x"]}, "scores[0] is '0.5'"),
        ({"scores": [0.5, None, 0.5]}, "scores[1] is None"),
        ({"scores": [[0.5], [0.5], [0.5]]}, "scores"),
        ({"scores": [0.5, 0.5]}, "scores has 2 entries and positives has 3"),
        ({"positives": [0, 1, 2]}, "positives[2] is 2"),
        ({"positives": [0, 1, math.nan]}, "positives[2] is nan"),
        ({"positives": ["no", "yes", "no"]}, "positives[0] is 'no'"),
        ({"weights": [1, 1]}, "scores has 3 entries and weights has 2"),
        ({"weights": [1, -0.5, 1]}, "weights[1] is -0.5"),
        ({"weights": [1, 1, math.nan]}, "weights[2] is"),
    ],
)
def test_what_cannot_be_used_is_named(make: Make, given: dict[str, Any], message: str) -> None:
    """A message names the column and the place."""
    whole: dict[str, Any] = {
        "scores": [0.1, 0.2, 0.3],
        "positives": [True, False, True],
        "weights": [1, 1, 1],
    } | given
    with pytest.raises(InputError) as raised:
        curves(**{name: make(values) for name, values in whole.items()})
    assert message in str(raised.value)


@pytest.mark.parametrize("kind", [np.float32, np.int64, np.uint8, np.bool_])
def test_arrays_of_any_numbers_will_do(kind: type) -> None:
    """Scores of any kind of number are taken as they are."""
    scores: Any = np.array([3, 2, 1, 0]).astype(kind)
    compare(curves(scores, np.array([1, 0, 1, 0])), scores, [1, 0, 1, 0], None)


def test_series_and_iterators_will_do() -> None:
    """A column may be a series, or something that can be read only once."""
    scores, positives = [0.9, 0.4, 0.6], [True, False, False]
    expected = curves(scores, positives)
    assert curves(iter(scores), iter(positives)) == expected
    series = curves(pd.Series(scores, index=[5, 6, 7]), pd.Series(positives))
    assert series.roc_auc == expected.roc_auc == 1.0


@pytest.mark.parametrize("scale", [1, 100, -1, 1000], ids=["0-1", "0-100", "below 0", "0-1000"])
def test_scores_of_few_decimals_are_counted_exactly(scale: float) -> None:
    """Scores of four decimals, with as many steps as fit and with more, give what scikit-learn gives."""
    source = np.random.default_rng(1)
    scores = np.round(source.random(3000) * scale, 4)
    positives = source.random(3000) < 0.3
    compare(curves(scores, positives), scores, positives, None)


def test_a_long_list_is_counted_as_an_array() -> None:
    """A list too long to go through one by one gives the same numbers."""
    source = np.random.default_rng(2)
    scores = source.random(60_000)
    positives = source.random(60_000) < scores
    long, short = curves(scores.tolist(), positives.tolist()), curves(scores, positives)
    assert isinstance(long.thresholds, np.ndarray)
    assert long.roc_auc == short.roc_auc
    assert long.average_precision == short.average_precision


@pytest.mark.parametrize("decimals", [4, 12])
@pytest.mark.parametrize("is_weighted", [False, True])
def test_items_are_counted_part_by_part(decimals: int, is_weighted: bool) -> None:
    """More items than are worked on at once: none is lost or counted twice where two parts meet."""
    source = np.random.default_rng(5)
    scores = source.random(300_000).round(decimals)
    positives = source.random(300_000) < scores
    weights = source.integers(1, 4, 300_000) if is_weighted else None
    found = curves(scores, positives, weights)
    assert found.roc_auc == pytest.approx(
        of_sklearn.roc_auc_score(positives, scores, sample_weight=weights), abs=1e-9
    )
    assert found.average_precision == pytest.approx(
        of_sklearn.average_precision_score(positives, scores, sample_weight=weights), abs=1e-9
    )


def test_millions_of_items_do_not_overflow() -> None:
    """Products of counts go beyond 32 bits: the area of a tied ranking is a half, exactly."""
    number = 600_000
    scores = np.arange(number) // 2 + np.pi
    positives = np.arange(number) % 2 == 0
    assert curves(scores, positives).roc_auc == 0.5


@BOTH
@given(
    items=st.lists(
        st.tuples(st.integers(0, 999).map(lambda step: (step + 0.5) / 1000), st.booleans()), min_size=1
    ),
    bins=st.integers(1, 12),
)
def test_reliability_is_that_of_scikit_learn(make: Make, items: list[tuple[float, bool]], bins: int) -> None:
    """Mean scores and shares of positives agree bin by bin, empty bins left out; items add up."""
    scores, positives = [score for score, _ in items], [positive for _, positive in items]
    found = curves(make(scores), make(positives)).reliability(bins)
    share, mean = calibration_curve(positives, scores, n_bins=bins)
    # On the bound between bins of 1000 / 12, scores fall to either side by rounding.
    if 1000 % bins == 0:
        np.testing.assert_allclose([one.positive for one in found], share, atol=1e-12)
        np.testing.assert_allclose([one.mean_score for one in found], mean, atol=1e-12)
    assert sum(one.items for one in found) == len(items)
    assert all(one.low <= one.mean_score < one.high for one in found)


@BOTH
def test_a_bin_has_its_lower_bound_and_the_last_both(make: Make) -> None:
    """A score on the bound between two bins belongs to the upper one, 1 to the last."""
    found = curves(make([0.0, 0.5, 0.75, 1.0]), make([False, True, False, True])).reliability(2)
    assert found == [
        Bin(0.0, 0.5, 1, 0.0, 0.0, wilson(0, 1)),
        Bin(0.5, 1.0, 3, 0.75, 2 / 3, wilson(2, 3)),
    ]


@BOTH
def test_reliability_of_weights_has_no_interval(make: Make) -> None:
    """How many images weights stand for is not known bin by bin."""
    (found,) = curves(make([0.2, 0.4]), make([True, False]), make([3.0, 1.0])).reliability(1)
    assert found == Bin(0.0, 1.0, 4.0, 0.25, 0.75, None)


@BOTH
@pytest.mark.parametrize("score", [85, -0.1])
def test_reliability_is_of_probabilities(make: Make, score: float) -> None:
    """Scores outside 0-1 are no probabilities, and no bin is guessed for them."""
    with pytest.raises(InputError, match="outside 0-1"):
        curves(make([0.5, score]), make([True, False])).reliability()


@BOTH
def test_reliability_of_nothing_is_nothing(make: Make) -> None:
    """Without items there are no bins."""
    assert curves(make([]), make([])).reliability() == []
