"""Rekognition's summary file: read as it stands, and written so that it is read the same."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_fscore_support

from bulkqa.errors import InputError
from bulkqa.evaluation import confusion_matrix
from bulkqa.evaluation.confusion import of_counts, of_shares
from bulkqa.evaluation.predictions import Prediction, read_predictions
from bulkqa.evaluation.rekognition import (
    NO_MATRIX,
    LabelResult,
    LabelTests,
    Summary,
    as_json,
    is_summary,
    read_summary,
    results_of,
    summarise,
)
from tests.evaluation.lines import as_lines, of_test

ENDED = "2019-11-21T07:30:23.910943"


def document(**aggregated: Any) -> dict[str, Any]:
    """A summary of two labels as the service writes it, with other aggregates where given."""
    cells = [("CAP", "CAP", 0.9), ("WATCH", "CAP", 0.3), ("WATCH", "WATCH", 0.7)]
    return {
        "Version": 1,
        "EvaluationDetails": {
            "EvaluationEndTimestamp": ENDED,
            "Labels": ["CAP", "WATCH"],
            "NumberOfTestingImages": 624,
            "NumberOfTrainingImages": 5216,
            "ProjectVersionArn": "arn:aws:rekognition:us-east-1:123456789012:project/p/version/v/1",
        },
        "AggregatedEvaluationResults": {
            "ConfusionMatrix": [
                {"GroundTruthLabel": truth, "PredictedLabel": predicted, "Value": value}
                for predicted, truth, value in cells
            ],
            "F1Score": 0.97,
            "Precision": 0.971,
            "Recall": 0.973,
            **aggregated,
        },
        "LabelEvaluationResults": [
            {
                "Label": label,
                "NumberOfTestingImages": images,
                "Metrics": {"Threshold": threshold, "Precision": 0.98, "Recall": 0.97, "F1Score": 0.975},
            }
            for label, images, threshold in (("CAP", 390, 0.988), ("WATCH", 234, 0.014))
        ],
    }


def read(content: Any) -> Summary:
    """A summary from its document."""
    return read_summary(json.dumps(content).encode(), "summary.json")


def written(summary: Summary) -> Summary:
    """A summary after it was written and read."""
    return read(as_json(summary))


def test_a_matrix_stays_as_it_stands() -> None:
    """Columns that do not sum to 1 are left so; a pair that is missing is 0; aggregates are not computed."""
    found = read(document())
    assert found.matrix.labels == ("CAP", "WATCH")
    assert found.matrix.shares == ((0.9, 0.0), (0.3, 0.7))
    assert found.matrix.counts is None
    assert (found.f1, found.precision, found.recall) == (0.97, 0.971, 0.973)
    assert (found.training_images, found.testing_images, found.ended) == (5216, 624, ENDED)
    assert found.results[1] == LabelResult("WATCH", 234, 0.014, 0.98, 0.97, 0.975)


def test_both_layouts_are_read() -> None:
    """Aggregates may stand in `Metrics`, as in the guide's schema, with the matrix beside it or inside."""
    flat = document()
    aggregated = flat["AggregatedEvaluationResults"]
    matrix = {"ConfusionMatrix": aggregated["ConfusionMatrix"]}
    rates = {name: aggregated[name] for name in ("F1Score", "Precision", "Recall")}
    for nested in (matrix | {"Metrics": rates}, {"Metrics": matrix | rates}):
        assert read(flat | {"AggregatedEvaluationResults": nested}) == read(flat)


def test_a_pair_twice_is_refused() -> None:
    """The message names file, place and pair."""
    cells = [{"GroundTruthLabel": "a", "PredictedLabel": "b", "Value": 0.5}] * 2
    with pytest.raises(
        InputError, match=r"summary.json, .*ConfusionMatrix\[1\]: predicted 'b', ground truth 'a'"
    ):
        read(document(ConfusionMatrix=cells))


@pytest.mark.parametrize(
    "cell", [{"Value": 0.5}, {"GroundTruthLabel": "a", "PredictedLabel": "b", "Value": 2}]
)
def test_a_bad_cell_is_refused(cell: dict[str, Any]) -> None:
    """A cell without labels, or with a value that is no share, is named by its place."""
    with pytest.raises(
        InputError, match=r"summary.json, AggregatedEvaluationResults, ConfusionMatrix\[0\]: "
    ):
        read(document(ConfusionMatrix=[cell]))


def test_a_detection_model_is_refused_in_the_guides_words() -> None:
    """Its summary has average precision and recall in place of the matrix."""
    content = document(AveragePrecision=0.9, AverageRecall=0.8)
    del content["AggregatedEvaluationResults"]["ConfusionMatrix"]
    with pytest.raises(InputError) as error:
        read(content)
    assert (
        str(error.value)
        == NO_MATRIX
        == ("Confusion matrix not found in summary. Is the model a classification model?")
    )


@pytest.mark.parametrize("data", [b"{}", b'{"Version": 1}', b"no", b"[]"])
def test_another_file_is_refused(data: bytes) -> None:
    """A file that is no summary is refused by name, and not taken for one."""
    assert not is_summary(data)
    with pytest.raises(InputError, match=r"summary\.json"):
        read_summary(data, "summary.json")


def test_a_broken_summary_is_still_meant_as_one() -> None:
    """Whoever has a summary with a comma too many hears of the comma."""
    data = json.dumps(document()).encode()[:-1] + b",}"
    assert is_summary(data)
    with pytest.raises(InputError, match=r"summary\.json, line 1, column"):
        read_summary(data, "summary.json")


def test_a_written_summary_has_all_pairs_and_the_best_label_first() -> None:
    """The table is square, aggregates stand flat, labels are sorted by F1, what is undefined is 0."""
    matrix = of_counts(["a", "b", "c"], [[3, 1, 0], [0, 1, 0], [1, 0, 0]])
    content: Any = as_json(summarise(matrix, results_of(matrix), 6, ENDED))
    aggregated = content["AggregatedEvaluationResults"]
    assert len(aggregated["ConfusionMatrix"]) == 9
    assert aggregated["ConfusionMatrix"][1] == {"GroundTruthLabel": "b", "PredictedLabel": "a", "Value": 0.5}
    assert [one["Label"] for one in content["LabelEvaluationResults"]] == ["a", "b", "c"]
    c = content["LabelEvaluationResults"][2]
    assert (c["NumberOfTestingImages"], c["Metrics"]["Recall"]) == (0, 0.0)
    # Precisions are 3/4, 1 and 0, recalls 3/4, 1/2 and undefined; F1s 3/4, 2/3 and 0.
    assert aggregated["Precision"] == pytest.approx((3 / 4 + 1 + 0) / 3)
    assert aggregated["Recall"] == pytest.approx((3 / 4 + 1 / 2 + 0) / 3)
    assert aggregated["F1Score"] == pytest.approx((3 / 4 + 2 / 3 + 0) / 3)
    assert json.dumps(content, allow_nan=False)


LABELS = ("bath", "kitchen", "주방", "a b")
PAIRS = st.lists(st.tuples(st.sampled_from(LABELS), st.sampled_from(LABELS)), min_size=1, max_size=25)


@given(pairs=PAIRS)
def test_a_summary_survives_a_round_trip(pairs: list[tuple[str, str]]) -> None:
    """Written and read it is the same to the last digit, undefined columns too; undefined rates are 0."""
    truths, guesses = zip(*pairs, strict=True)
    matrix = confusion_matrix(truths, guesses)
    summary = summarise(matrix, results_of(matrix), len(pairs), ENDED, "arn")
    found = written(summary)
    assert found.matrix == matrix._replace(counts=None)
    assert found._replace(matrix=summary.matrix, results=()) == summary._replace(results=())
    ours = sorted(
        (one._replace(precision=one.precision or 0.0, recall=one.recall or 0.0) for one in summary.results),
        key=lambda one: (-(one.f1 or 0), one.label),
    )
    assert list(found.results) == ours
    assert written(found) == found


def test_a_column_of_zeros_is_one_of_images_unless_there_are_none() -> None:
    """Only where a label is said to have no image is its column undefined."""
    content = document(
        ConfusionMatrix=[
            {"GroundTruthLabel": truth, "PredictedLabel": predicted, "Value": 0.0}
            for truth in ("CAP", "WATCH")
            for predicted in ("CAP", "WATCH")
        ]
    )
    content["LabelEvaluationResults"][0]["NumberOfTestingImages"] = 0
    assert read(content).matrix == of_shares(["CAP", "WATCH"], [[None, 0.0], [None, 0.0]])


@given(pairs=PAIRS)
def test_a_matrix_alone_gives_the_usual_rates(pairs: list[tuple[str, str]]) -> None:
    """Precision, recall and F1 of each label are scikit-learn's."""
    truths, guesses = zip(*pairs, strict=True)
    theirs = zip(*precision_recall_fscore_support(truths, guesses, zero_division=0), strict=True)
    for one, expected in zip(results_of(confusion_matrix(truths, guesses)), theirs, strict=True):
        assert (one.precision or 0, one.recall or 0, one.f1, one.testing_images) == pytest.approx(expected)


def results_for(*lines: Any) -> dict[str, LabelResult]:
    """The labels' own metrics from lines of a test manifest."""
    found = LabelTests()
    for line in read_predictions(as_lines(*lines), "x.json"):
        found.add(line)
    return {one.label: one for one in found.results()}


@given(
    images=st.lists(st.tuples(st.sampled_from([0.1, 0.2, 0.5, 0.9]), st.booleans()), min_size=1, max_size=30)
)
def test_the_assumed_threshold_has_the_best_f1(images: list[tuple[float, bool]]) -> None:
    """No observed score gives a better F1, none above it the same; image by image, brute force agrees."""
    found = LabelTests()
    for number, (score, present) in enumerate(images):
        line = of_test(f"{number}", {"a": score, "b": 1 - score}, "a" if present else "b")
        found.add(next(read_predictions(as_lines(line), "")))
    result = found.results()[0]

    def f1(threshold: float) -> float:
        tp = sum(present for score, present in images if score >= threshold)
        taken = sum(score >= threshold for score, _ in images)
        return 2 * tp / (taken + sum(present for _, present in images))

    candidates = {score for score, _ in images}
    best = max(map(f1, candidates))
    assert result.threshold == max(score for score in candidates if f1(score) == best)
    assert result.f1 == best
    assert result.testing_images == sum(present for _, present in images)


def test_lines_with_several_true_labels_count_for_each() -> None:
    """What has no place in the matrix still tests its labels: both are present, none, or one."""
    found = results_for(
        of_test("1", {"a": 0.9, "b": 0.8}, "a", "b"),
        of_test("2", {"a": 0.1, "b": 0.7}),
        of_test("3", {"a": 0.8, "b": 0.2}, "a"),
    )
    assert found["a"] == LabelResult("a", 2, 0.8, 1.0, 1.0, 1.0)
    assert found["b"] == LabelResult("b", 1, 0.8, 1.0, 1.0, 1.0)


def test_without_scores_every_prediction_counts() -> None:
    """The threshold then is 0, and metrics are those of the predicted labels."""
    found = LabelTests()
    for truth, guess in (("a", "a"), ("b", "a"), ("a", "c")):
        found.add(Prediction(1, "", truth, guess, None, {}, {}))
    a, b, c = found.results()
    assert a == LabelResult("a", 2, 0.0, 0.5, 0.5, 0.5)
    assert b == LabelResult("b", 1, 0.0, None, 0.0, 0.0)
    assert c == LabelResult("c", 0, 0.0, 0.0, None, 0.0)


def test_a_score_of_two_classes_is_nobodys_confidence() -> None:
    """Of more than two classes it is the predicted one's; of two it may be the other's and is not used."""
    for others, threshold in (((), 0.0), (("c",), 0.7)):
        found = LabelTests()
        for truth, guess in (("a", "a"), ("b", "b"), *((other, other) for other in others)):
            found.add(Prediction(1, "", truth, guess, 0.7, {}, {}))
        assert found.results()[0].threshold == threshold
