"""Slices: columns of predictions, with the scores of each class as far as they are known."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkqa.errors import InputError
from bulkqa.evaluation import evaluate
from bulkqa.evaluation.predictions import Prediction
from bulkqa.evaluation.slices import Slice, value_of

Row = tuple[str, str, float | None, dict[str, float]]


def sliced(*rows: Row, weights: list[float | None] | None = None) -> Slice:
    """A slice of (truth, predicted, score, scores)."""
    found = Slice()
    for place, (truth, predicted, score, scores) in enumerate(rows):
        weight = None if weights is None else weights[place]
        found.add(Prediction(place + 1, "", truth, predicted, score, scores, {}, weight))
    return found


def test_what_one_of_two_classes_leaves_is_the_others() -> None:
    """With a confidence in the predicted class both classes of two have all their scores, exactly."""
    found = sliced(("a", "a", 0.9, {"a": 0.9}), ("b", "b", 0.9, {"b": 0.9}), ("a", "b", 0.9, {"b": 0.9}))
    known = found.evaluate().curves
    assert list(known["a"].thresholds) == [math.inf, 0.9, 0.1]
    assert list(known["b"].thresholds) == [math.inf, 0.9, 0.1]
    assert not found.has_own_scores


def test_a_score_of_two_classes_needs_to_be_said_whose_it_is() -> None:
    """Without a positive class it is not used; with one it is the class' score, whatever was predicted."""
    found = sliced(("a", "a", 0.2, {}), ("b", "b", 0.8, {}))
    assert found.has_own_scores
    assert found.evaluate().curves == {}
    assert found.evaluate("b").of("b").roc_auc == 1.0
    assert found.evaluate("a").of("a").roc_auc == 0.0


def test_of_three_classes_none_is_positive() -> None:
    """It is refused, with the classes there are; scores of all classes are used, of some only those."""
    scores = {"a": 0.5, "b": 0.3, "c": 0.2}
    found = sliced(("a", "a", None, scores), ("c", "b", None, {"a": 0.1, "b": 0.6}))
    with pytest.raises(InputError, match="'a' is positive of two classes; there are a, b, c"):
        found.evaluate("a")
    assert sorted(found.evaluate().curves) == ["a", "b"]


def test_a_class_that_only_has_scores_is_a_class() -> None:
    """Where two of three labels occur, the third one's scores still say that there are three."""
    found = sliced(("a", "b", None, {"a": 0.1, "b": 0.6, "c": 0.3}), ("b", "b", None, {"b": 0.6}))
    assert sorted(found.evaluate().curves) == ["b"]


@given(
    rows=st.lists(
        st.tuples(st.sampled_from("ab"), st.sampled_from("ab"), st.sampled_from([0.5, 1.0, 3.0, None])),
        min_size=1,
    )
)
def test_a_weight_that_is_missing_is_1(rows: list[tuple[str, str, float | None]]) -> None:
    """The evaluation is that of the columns, with weights as soon as one line has one."""
    truths, guesses, weights = map(list, zip(*rows, strict=True))
    found = sliced(*((truth, guess, None, {}) for truth, guess, _ in rows), weights=weights)
    heavy = [1.0 if weight is None else weight for weight in weights]
    given = None if set(weights) == {None} else heavy
    assert found.evaluate() == evaluate(truths, guesses, weights=given)


def test_a_field_is_found_by_its_names() -> None:
    """Names may hold dots; what is nested, a number or a list is text; what is missing is one value."""
    fields = {"a.b": {"c": 1}, "a": {"b": {"d": [1, "x"]}, "e.f": "y"}, "g": None, "h": ""}
    values = [value_of(fields, path) for path in ("a.b.c", "a.b.d", "a.e.f", "g", "h", "a.x", "a.b.c.d")]
    assert values == ["1", '[1, "x"]', "y", "(none)", "(none)", "(none)", "(none)"]
