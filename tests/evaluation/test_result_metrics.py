"""Results that other commands and services write, as metrics of a gate."""

import json
import math
from typing import Any

import pytest

from bulkqa.errors import InputError
from bulkqa.evaluation import evaluate
from bulkqa.evaluation.confusion import of_counts
from bulkqa.evaluation.lookout import as_json as lookout_json
from bulkqa.evaluation.lookout import result_of
from bulkqa.evaluation.metrics import as_json
from bulkqa.evaluation.rekognition import as_json as summary_json
from bulkqa.evaluation.rekognition import results_of, summarise
from bulkqa.evaluation.result_metrics import of_result
from bulkqa.flow.slices import OVERALL, Slice

TRUTHS, GUESSES = ["cat", "cat", "dog", "emu"], ["cat", "dog", "dog", "dog"]


def numbers(document: object, slice: Slice = OVERALL, aggregation: str | None = None) -> dict[str, float]:
    """What a result says of a slice, by name."""
    metrics = of_result(json.loads(json.dumps(document)), "x.json")
    assert metrics is not None
    return {
        key.name: found.point
        for key in metrics.columns
        if key.aggregation == aggregation and (found := metrics.get(metrics.slices[slice], key)) is not None
    }


def test_a_result_of_lookout() -> None:
    """Lookout's file has TFMA's names, overall and in each slice of `--by`; an undefined area is NaN."""
    found = evaluate(["anomaly", "normal"], ["anomaly", "anomaly"], positive="anomaly", scores=[0.9, 0.6])
    alone = evaluate(["normal"], ["normal"], positive="anomaly", scores=[0.1])
    document = lookout_json(result_of(found))
    document["Slices"] = [{"Slice": ["line", "7"], **lookout_json(result_of(alone))}]
    assert numbers(document) == {
        "auc": 1,
        "average_precision": 1,
        "precision": 0.5,
        "recall": 1,
        "f1_score": 2 / 3,
        "example_count": 2,
    }
    of_line = numbers(document, (("line", "7"),))
    assert of_line["example_count"] == 1
    assert math.isnan(of_line["auc"])
    assert math.isnan(of_line["precision"])


def test_a_summary_of_rekognition() -> None:
    """A summary has its aggregates overall, and each label's own metrics in the label's slice."""
    matrix = of_counts(["cat", "dog"], [[1, 0], [1, 2]])
    document = summary_json(summarise(matrix, results_of(matrix), 4, None))
    assert numbers(document) == pytest.approx(
        {"precision": 5 / 6, "recall": 3 / 4, "f1_score": (2 / 3 + 4 / 5) / 2, "example_count": 4}
    )
    assert numbers(document, (("label", "cat"),)) == pytest.approx(
        {"precision": 1, "recall": 0.5, "f1_score": 2 / 3, "example_count": 2}
    )


def test_an_evaluation_of_several_classes() -> None:
    """Overall without a word more is the macro average; the others are under TFMA's aggregations."""
    evaluation = evaluate(TRUTHS, GUESSES)
    document = as_json(evaluation, 1) | {
        "slices": [{"slice": ["line", "7"], **as_json(evaluate(["cat"], ["cat"]), 1)}]
    }
    macro = {
        "precision": evaluation.macro.precision,
        "recall": evaluation.macro.recall,
        "f1_score": evaluation.macro.f1,
    }
    assert numbers(document) == macro | {"accuracy": 0.5, "example_count": 4}
    assert numbers(document, aggregation="macro_average") == macro
    assert numbers(document, aggregation="micro_average")["precision"] == 0.5
    weighted = numbers(document, aggregation="weighted_macro_average")
    assert weighted["recall"] == evaluation.weighted.recall
    cat = numbers(document, (("label", "cat"),))
    assert (cat["precision"], cat["recall"], cat["example_count"]) == (1, 0.5, 2)
    assert math.isnan(numbers(document, (("label", "emu"),))["precision"])
    assert numbers(document, (("line", "7"),))["accuracy"] == 1
    assert numbers(document, (("label", "cat"), ("line", "7")))["recall"] == 1


def test_areas_of_a_class_where_they_are_known() -> None:
    """A class with scores has its areas."""
    found = evaluate(["a", "b"], ["a", "b"], scores={"a": [0.9, 0.2], "b": [0.1, 0.8]})
    of_a = numbers(as_json(found, 1), (("label", "a"),))
    assert (of_a["auc"], of_a["average_precision"]) == (1, 1)


@pytest.mark.parametrize("document", [[], 7, None, {}, {"slices": []}, {"labels": [], "matrix": []}])
def test_anything_else_is_none(document: object) -> None:
    """A metrics file, and what nobody knows, is left to others."""
    assert of_result(document, "x.json") is None


@pytest.mark.parametrize(
    "document",
    [
        {"AggregatedEvaluationResults": {}},
        {"AggregatedEvaluationResults": {}, "LabelEvaluationResults": [7]},
        {"classes": [{"label": 7}], "macro": {}, "items": 1},
        {"classes": [], "macro": {"precision": 2}, "items": 1},
        {"classes": [], "macro": {}},
        {"classes": [], "macro": {}, "items": 1, "slices": [{"slice": ["a"], "items": 1}]},
        {"class_average": {}, "totals": {}},
    ],
)
def test_what_was_bent_is_refused(document: dict[str, Any]) -> None:
    """A result that cannot be read whole passes no gate: it is refused."""
    with pytest.raises(InputError):
        of_result(document, "x.json")


def test_a_label_that_stands_twice_is_refused() -> None:
    """Two entries of one class are no evaluation."""
    one = {"label": "cat", "support": 1, "precision": 1, "recall": 1, "f1": 1}
    with pytest.raises(InputError, match="stands there twice"):
        of_result({"classes": [one, one], "macro": {}, "items": 1}, "x.json")
