"""Lookout's result file and DescribeModel's performance, as the guide has them; undefined is told from 0."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, precision_recall_fscore_support, roc_auc_score

from bulkqa.errors import InputError
from bulkqa.evaluation.lookout import (
    EvaluationResult,
    Performance,
    PixelMetrics,
    as_json,
    performance_json,
    read_performance,
    read_result,
    result_of,
)
from bulkqa.evaluation.predictions import ANOMALY, Prediction, read_predictions
from bulkqa.evaluation.slices import Slice
from tests.evaluation.lines import as_lines, lookout

IMAGES = st.lists(
    st.tuples(
        st.sampled_from(["normal", "anomaly"]),
        st.sampled_from(["normal", "anomaly"]),
        st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.55, 0.7, 0.9, 1.0]),
    ),
    min_size=1,
    max_size=30,
)


def result(*images: tuple[str, str, float | None]) -> EvaluationResult:
    """The result of (truth, predicted, confidence in the predicted class)."""
    lines = as_lines(*(lookout(f"{place}", *image) for place, image in enumerate(images)))
    found = Slice()
    for line in read_predictions(lines, "x.json"):
        assert isinstance(line, Prediction)
        found.add(line)
    return result_of(found.evaluate(ANOMALY))


@given(images=IMAGES)
def test_a_result_is_what_scikit_learn_says_of_the_anomalys_score(
    images: list[tuple[str, str, float]],
) -> None:
    """Areas are of confidence where anomaly is predicted, else 1 - confidence; rates need no threshold."""
    found = result(*images)
    truths = [truth == ANOMALY for truth, _, _ in images]
    guesses = [guess == ANOMALY for _, guess, _ in images]
    # In tenths of thousandths, where 1 - x is exact: equal scores have to be equal.
    scores = [round(10_000 * (x if guess == ANOMALY else 1 - x)) for _, guess, x in images]
    both = len(set(truths)) == 2
    assert found.roc_auc == (pytest.approx(roc_auc_score(truths, scores), abs=1e-12) if both else None)
    expected = average_precision_score(truths, scores) if any(truths) else None
    assert found.average_precision == (None if expected is None else pytest.approx(expected, abs=1e-12))
    theirs = precision_recall_fscore_support(truths, guesses, average="binary", zero_division=0)[:3]
    assert (found.precision or 0, found.recall or 0, found.f1 or 0) == pytest.approx(theirs)
    assert (found.precision is None, found.recall is None) == (not any(guesses), not any(truths))
    assert found.testing_images == len(images)


def test_confidence_itself_is_no_score() -> None:
    """A perfect model is perfect, though it is surest of its normal images."""
    found = result(("normal", "normal", 0.99), ("normal", "normal", 0.98), ("anomaly", "anomaly", 0.6))
    assert (found.roc_auc, found.average_precision) == (1.0, 1.0)


def test_without_a_confidence_the_areas_are_unknown() -> None:
    """A line that lacks it makes them undefined, and leaves the rates alone."""
    found = result(("anomaly", "anomaly", 0.9), ("normal", "normal", None))
    assert (found.roc_auc, found.average_precision, found.precision) == (None, None, 1.0)


@pytest.mark.parametrize(
    ("tp", "fp", "fn", "f1"), [(9, 1, 0, 0.947), (3, 7, 0, 0.46), (19, 1, 76, 0.33)], ids=str
)
def test_the_guides_examples_of_f1(tp: int, fp: int, fn: int, f1: float) -> None:
    """F1 of precision 0.9 and recall 1.0 is 0.947, of 0.3 and 1.0 0.46, of 0.95 and 0.2 0.33."""
    images = [("anomaly", "anomaly", 0.9)] * tp + [("normal", "anomaly", 0.9)] * fp
    found = result(*images, *[("anomaly", "normal", 0.9)] * fn)
    assert found.f1 == pytest.approx(f1, abs=0.002)


def test_a_file_has_the_guides_keys() -> None:
    """In their order, with masks only where the model draws them."""
    made = result(("anomaly", "anomaly", 0.9), ("normal", "anomaly", 0.6))._replace(ended="2020", model="arn")
    plain: Any = as_json(made)
    assert plain == {
        "Version": 1,
        "EvaluationDetails": {
            "ModelArn": "arn",
            "EvaluationEndTimestamp": "2020",
            "NumberOfTrainingImages": None,
            "NumberOfTestingImages": 2,
        },
        "AggregatedEvaluationResults": {
            "Metrics": {
                "ROCAUC": 1.0,
                "AveragePrecision": 1.0,
                "Precision": 0.5,
                "Recall": 1.0,
                "F1Score": pytest.approx(2 / 3),
            }
        },
    }
    masks: Any = as_json(made._replace(pixels=(PixelMetrics("dent", None, 0.0, 0.0, 0.25),)))
    (pixels,) = masks["AggregatedEvaluationResults"]["Metrics"]["PixelAnomalyClassMetrics"]
    assert pixels == {
        "Precision": 0.0,
        "Recall": 0.0,
        "F1Score": 0.0,
        "AIOU": 0.25,
        "ClassName": "dent",
        "UndefinedMetrics": ["Precision"],
    }


def test_what_is_undefined_is_0_and_named() -> None:
    """Nothing predicted and nothing true: rates are 0 in the file and None when read again, areas null."""
    made = result(("normal", "normal", 0.9))
    content: Any = as_json(made)
    aggregated = content["AggregatedEvaluationResults"]
    assert aggregated["UndefinedMetrics"] == ["Precision", "Recall", "F1Score"]
    assert [aggregated["Metrics"][name] for name in aggregated["UndefinedMetrics"]] == [0, 0, 0]
    assert (aggregated["Metrics"]["ROCAUC"], aggregated["Metrics"]["AveragePrecision"]) == (None, None)
    assert json.dumps(content, allow_nan=False)


SHARES = st.none() | st.floats(0, 1)
RATES = dict.fromkeys(("precision", "recall", "f1", "aiou"), SHARES)
RESULTS = st.builds(
    EvaluationResult,
    model=st.none() | st.text(),
    ended=st.none() | st.text(),
    training_images=st.none() | st.integers(0, 10**9),
    testing_images=st.integers(0, 10**9),
    roc_auc=SHARES,
    average_precision=SHARES,
    precision=SHARES,
    recall=SHARES,
    f1=SHARES,
    pixels=st.none() | st.tuples() | st.tuples(st.builds(PixelMetrics, label=st.text(), **RATES)),
)


@given(made=RESULTS)
def test_a_result_survives_a_round_trip(made: EvaluationResult) -> None:
    """Written and read it is the same, what is undefined included."""
    assert read_result(json.dumps(as_json(made)).encode(), "x.json") == made


def test_an_early_file_has_no_f1() -> None:
    """It is None then, and not computed."""
    content: Any = as_json(result(("anomaly", "anomaly", 0.9)))
    del content["AggregatedEvaluationResults"]["Metrics"]["F1Score"]
    found = read_result(json.dumps(content).encode(), "x.json")
    assert (found.f1, found.precision) == (None, 1.0)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({}, "there is no 'AggregatedEvaluationResults.Metrics' in it"),
        ({"AggregatedEvaluationResults": {"Metrics": {}}}, "'NumberOfTestingImages' has to be"),
        (
            {
                "EvaluationDetails": {"NumberOfTestingImages": 3},
                "AggregatedEvaluationResults": {"Metrics": {"Recall": 80}},
            },
            "'Recall' has to be a number of 0 to 1; it is 80",
        ),
    ],
)
def test_another_file_is_refused(content: Any, says: str) -> None:
    """The message names file and field."""
    with pytest.raises(InputError) as error:
        read_result(json.dumps(content).encode(), "x.json")
    assert str(error.value).startswith("x.json") and says in str(error.value)


def test_a_given_performance_is_never_recomputed() -> None:
    """The guide's own sample does not fit together, and stays so, wherever in the answer it stands."""
    sample = {"F1Score": 0.8, "Recall": 0.8, "Precision": 0.9}
    for content in (sample, {"Performance": sample}, {"ModelDescription": {"Performance": sample}}):
        found = read_performance(json.dumps(content).encode(), "model.json")
        assert found == Performance(f1=0.8, recall=0.8, precision=0.9)
        assert performance_json(found) == sample


def test_a_model_that_is_not_trained_has_no_performance() -> None:
    """The message says what the model's status is."""
    content = {"ModelDescription": {"ModelVersion": "1", "Status": "TRAINING"}}
    with pytest.raises(InputError, match=r"model\.json: no performance: the model's status is TRAINING"):
        read_performance(json.dumps(content).encode(), "model.json")
    with pytest.raises(InputError, match="'F1Score' has to be a number; it is missing"):
        read_performance(b'{"Recall": 1}', "model.json")
