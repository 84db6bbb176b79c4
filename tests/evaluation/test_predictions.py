"""Predictions are read from four kinds of lines, told apart by content, and nothing is guessed."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkqa.errors import InputError
from bulkqa.evaluation.predictions import MultiLabel, Prediction, Unlabeled, read_predictions
from bulkqa.flow.records import Rejected
from tests.evaluation.lines import as_lines, labelled, lookout, of_test

IMAGE = "s3://bucket/1.jpg"


def one(line: Any) -> Any:
    """What a single line is read as."""
    (found,) = read_predictions(as_lines(line), "x.json")
    return found


def reason(line: Any) -> str:
    """Why a line is rejected."""
    found = one(line)
    assert isinstance(found, Rejected)
    return found.reason


@pytest.mark.parametrize(
    ("predicted", "confidence", "score"),
    [("anomaly", 0.9, 0.9), ("normal", 0.9, 0.1), ("normal", 0.5, 0.5), ("anomaly", 0.0, 0.0)],
)
def test_the_score_is_that_of_the_anomaly(predicted: str, confidence: float, score: float) -> None:
    """Confidence in normal is turned round, to the very number: 1 - 0.9 is 0.1."""
    found = one(lookout(IMAGE, "anomaly", predicted, confidence))
    assert found[:4] == (1, IMAGE, "anomaly", predicted)
    assert found.score == score == found.scores["anomaly"]
    assert found.scores[predicted] == confidence


def test_the_class_name_decides() -> None:
    """An integer that contradicts the class-name changes nothing, nor does the attribute's name."""
    line = lookout(IMAGE, "anomaly", "normal", 0.7)
    renamed = {key.replace("anomaly-label", "my.check"): value for key, value in line.items()}
    for integer in (0, 1):
        found = one(renamed | {"my.check": integer, "my.check-detected": integer})
        assert (found.ground_truth, found.predicted) == ("anomaly", "normal")


@pytest.mark.parametrize("truth", ["unsure", "Anomaly", "", "1"])
def test_another_class_name_is_unlabeled(truth: str) -> None:
    """An image that is neither normal nor an anomaly is left out, and told from what is malformed."""
    found = one(lookout(IMAGE, truth, "anomaly", 0.9))
    assert isinstance(found, Unlabeled)
    assert found.reason.startswith("unlabeled: anomaly-label-metadata: class-name")
    assert not isinstance(one(lookout(IMAGE, "anomaly", "Anomaly", 0.9)), Unlabeled)


def test_without_a_ground_truth_an_image_is_unlabeled() -> None:
    """Where the attribute without -detected is missing there is no ground truth."""
    line = lookout(IMAGE, "anomaly", "anomaly", 0.9)
    del line["anomaly-label-metadata"]
    assert isinstance(one(line), Unlabeled)


def test_the_top_label_of_a_test_is_the_prediction() -> None:
    """The label with the highest confidence is predicted, the one in the ground truth is true."""
    found = one(of_test(IMAGE, {"patio": 0.2, "kitchen": 0.7, "bath": 0.69}, "bath"))
    assert (found.ground_truth, found.predicted, found.score) == ("bath", "kitchen", 0.7)
    assert found.scores == {"patio": 0.2, "kitchen": 0.7, "bath": 0.69}
    assert one(of_test(IMAGE, {"b": 0.5, "a": 0.5}, "b")).predicted == "a"


@pytest.mark.parametrize("present", [(), ("bath", "patio")])
def test_several_true_labels_or_none_have_no_place_in_a_matrix(present: tuple[str, ...]) -> None:
    """Such a line is rejected, and still says what each label's own metrics need."""
    found = one(of_test(IMAGE, {"patio": 0.2, "bath": 0.7}, *present))
    assert isinstance(found, MultiLabel)
    assert isinstance(found, Rejected)
    assert sorted(found.present) == sorted(present)
    assert found.scores == {"patio": 0.2, "bath": 0.7}
    assert ("bath, patio" if present else "no label") in found.reason


def test_a_detection_model_has_no_matrix() -> None:
    """Lines with objects are named as such."""
    line = {
        "source-ref": IMAGE,
        "rekognition-custom-labels-evaluation-0": {"annotations": []},
        "rekognition-custom-labels-evaluation-0-metadata": {"objects": [{"confidence": 0.9}]},
    }
    assert "detection model" in reason(line)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"confidence": None}, "confidence is missing"),
        ({"class-name": None}, "class-name is missing"),
        ({"rekognition-custom-labels-evaluation-details": {}}, "is-present-in-ground-truth is missing"),
        ({"class-name": "patio"}, "'patio' has two evaluations"),
        ({"confidence": "0.x"}, "'0.x' is not a number"),
    ],
)
def test_a_test_that_lacks_something_is_rejected(change: dict[str, Any], says: str) -> None:
    """The reason names the attribute and what is wrong with it."""
    line = of_test(IMAGE, {"patio": 0.2, "bath": 0.7}, "bath")
    line["rekognition-custom-labels-evaluation-1-metadata"] |= change
    assert says in reason(line)


def test_an_output_manifest_has_a_person_and_a_model() -> None:
    """Of Ground Truth's attributes the person's is true and the model's predicted, whatever their names."""
    found = one(labelled(IMAGE, model=("no", "dog", 0.8), zoo=("yes", "cat", 0.5)))
    assert (found.ground_truth, found.predicted, found.scores) == ("cat", "dog", {"dog": 0.8})
    detected = one(labelled(IMAGE, **{"zoo": ("yes", "cat", 1), "zoo-detected": ("no", "dog", 0.8)}))
    assert (detected.ground_truth, detected.predicted) == ("cat", "dog")


@pytest.mark.parametrize(
    ("attributes", "says"),
    [
        ({"a": ("yes", "cat", 1)}, "no attributes with a class-name from a model"),
        ({"a": ("no", "cat", 1)}, "no attributes with a class-name from a person"),
        (
            {"a": ("yes", "cat", 1), "b": ("yes", "dog", 1), "c": ("no", "dog", 1)},
            "2 attributes with a class-name from a person",
        ),
        ({}, "no attributes"),
    ],
)
def test_an_output_manifest_needs_one_of_each(attributes: Any, says: str) -> None:
    """Otherwise nothing is chosen among them."""
    assert says in reason(labelled(IMAGE, **attributes))


def test_a_failed_label_says_why() -> None:
    """Ground Truth's own reason is passed on."""
    line = labelled(IMAGE, a=("yes", "cat", 1)) | {"b-metadata": {"failure-reason": "ClientError: gone"}}
    assert reason(line) == "b-metadata: not labelled: ClientError: gone"


def test_plain_lines_are_read_from_csv_and_json_alike() -> None:
    """Labels, score, weight and image are the same from both; numbers as labels are their text."""
    csv = b"weight,predicted,image,score,ground_truth\n2,1,a.jpg,0.25,0\n"
    (of_csv,) = read_predictions([*csv.splitlines(keepends=True)], "x.csv")
    of_json = one({"predicted": 1, "ground_truth": 0, "score": 0.25, "image": "a.jpg", "weight": 2})
    for found in (of_csv, of_json):
        assert isinstance(found, Prediction)
        assert (found.image, found.ground_truth, found.predicted) == ("a.jpg", "0", "1")
        assert (found.score, found.weight, found.scores) == (0.25, 2, {})


def test_a_confidence_is_that_of_the_predicted_class() -> None:
    """It is known whose it is, which a score's is not; of both the score counts."""
    plain = {"ground_truth": "a", "predicted": "b", "confidence": 0.8}
    assert (one(plain).score, one(plain).scores) == (0.8, {"b": 0.8})
    assert (one(plain | {"score": 0.3}).score, one(plain | {"score": 0.3}).scores) == (0.3, {})
    scores = one({"ground_truth": "a", "predicted": "b", "scores": {"a": 0.1, "b": 0.9}}).scores
    assert scores == {"a": 0.1, "b": 0.9}


@pytest.mark.parametrize("field", ["score", "confidence"])
@pytest.mark.parametrize("value", [99.5, 1.0000001, -0.1])
def test_a_hundred_is_never_guessed_at(field: str, value: float) -> None:
    """A score outside 0-1 ends the reading, with file, line and field."""
    lines = as_lines(
        {"ground_truth": "a", "predicted": "a"}, {"ground_truth": "a", "predicted": "a", field: value}
    )
    with pytest.raises(InputError, match=rf"^x\.json, line 2: {field} .* is outside 0-1"):
        list(read_predictions(lines, "x.json"))


def test_a_manifests_confidence_is_checked_too() -> None:
    """In each kind of manifest the message names the metadata it stands in."""
    for line, key in (
        (lookout(IMAGE, "anomaly", "anomaly", 90), "anomaly-label-detected-metadata"),
        (of_test(IMAGE, {"a": 90}, "a"), "rekognition-custom-labels-evaluation-0-metadata"),
        (labelled(IMAGE, a=("yes", "cat", 1), b=("no", "cat", 90)), "b-metadata"),
    ):
        with pytest.raises(InputError, match=f"x.json, line 1: confidence of '{key}' 90 is outside 0-1"):
            one(line)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b'{"ground_truth": "a", "predicted": }', "not readable as JSON: Expecting value (column 36)"),
        (
            b'{"ground_truth": "a", "predicted": "a"',
            "not readable as JSON: Expecting ',' delimiter (column 40)",
        ),
        (b'{"ground_truth": "a", "predicted": "a", "score": NaN}', "NaN and Infinity are not JSON"),
        (b'{"ground_truth": "a", "predicted": "a", "more": [{"x": -Infinity}]}', "NaN and Infinity"),
        (b'{"ground_truth": ' + b"[" * 900 + b"]" * 900 + b"}", "nested too deeply"),
        (b'{"source-ref": "a", // a comment', "not readable as JSON"),
        (b'{"ground_truth": "a"}', "field 'predicted' is missing"),
        (b'{"ground_truth": ["a"], "predicted": "a"}', "field 'ground_truth' is no label"),
        (b'{"ground_truth": " ", "predicted": "a"}', "ground_truth is empty"),
        (b'{"ground_truth": "a", "predicted": "a", "score": true}', "score True is not a number"),
        (b'{"ground_truth": "a", "predicted": "a", "weight": -1}', "weight -1 is less than 0"),
        (b'{"image": "a.jpg"}', "neither 'ground_truth' and 'predicted' nor the 'source-ref'"),
        (b'{"source-ref": 3}', "field 'source-ref' is no text"),
    ],
)
def test_a_bad_line_costs_no_other(text: bytes, says: str) -> None:
    """It is rejected with line and reason, malformed JSON with the column, and the next line is read."""
    good = b'{"ground_truth": "a", "predicted": "a"}\n'
    _, bad, last = read_predictions([good, text + b"\n", good], "x.json")
    assert isinstance(bad, Rejected)
    assert bad.line == 2
    assert says in bad.reason
    assert isinstance(last, Prediction)


def test_an_image_counts_once() -> None:
    """The same image again is rejected, with the line of the first; lines without an image are all taken."""
    lines = as_lines(
        *(lookout("a", "anomaly", "anomaly", 0.9), of_test("b", {"x": 0.5, "y": 0.6})),
        *(lookout("a", "normal", "normal", 0.9), of_test("b", {"x": 0.5, "y": 0.6}, "x")),
        *[{"ground_truth": "a", "predicted": "a"}] * 2,
    )
    found = list(read_predictions(lines, "x.json"))
    assert found[2:4] == [
        Rejected(3, "image 'a' stands on line 1 already"),
        Rejected(4, "image 'b' stands on line 2 already"),
    ]
    assert sum(isinstance(each, Prediction) for each in found) == 3


def test_a_file_is_told_by_its_content(tmp_path: Path) -> None:
    """A path may be CSV, JSON Lines or Parquet under any name."""
    duckdb = pytest.importorskip("duckdb")
    parquet = tmp_path / "a.txt"
    duckdb.connect().sql("SELECT 'cat' AS ground_truth, 'dog' AS predicted, 0.5 AS confidence").write_parquet(
        str(parquet)
    )
    csv = tmp_path / "b.json"
    csv.write_text("ground_truth,predicted,confidence\ncat,dog,0.5\n")
    for path in (parquet, csv):
        (found,) = read_predictions(path)
        assert isinstance(found, Prediction)
        assert (found.ground_truth, found.predicted, found.scores) == ("cat", "dog", {"dog": 0.5})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "the file is empty"),
        ("truth,predicted\na,b\n", "no column 'ground_truth'"),
        ("ground_truth,predicted,predicted\na,b,c\n", "more than one column 'predicted'"),
        ("ground_truth,predicted,score,score\na,b,1,1\n", "more than one column 'score'"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, text: str, says: str) -> None:
    """The message names the file and what it lacks."""
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(InputError, match=f"x.csv.*{says}"):
        list(read_predictions(tmp_path / "x.csv"))
    with pytest.raises(InputError, match="gone: no such file"):
        list(read_predictions(Path("gone")))


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.floats()
    | st.integers(-5, 5)
    | st.sampled_from(["normal", "yes", "no", "0.5"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "class-name",
                    "confidence",
                    "human-annotated",
                    "objects",
                    "rekognition-custom-labels-evaluation-details",
                ]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)
LINE = st.dictionaries(
    st.sampled_from(
        [
            "source-ref",
            "ground_truth",
            "predicted",
            "score",
            "scores",
            "weight",
            "image",
            "a-metadata",
            "a-detected-metadata",
        ]
    ),
    JSON,
)


@given(lines=st.lists(LINE, min_size=1, max_size=4))
def test_whatever_a_line_holds_it_is_read_or_refused(lines: list[dict[str, Any]]) -> None:
    """Every line comes to one prediction or rejection; nothing but a score outside 0-1 stops the reading."""
    try:
        found = list(read_predictions(as_lines(*lines), "x.json"))
    except InputError as error:
        assert "is outside 0-1" in str(error)
        return
    assert [one.line for one in found] == list(range(1, len(lines) + 1))
    for each in found:
        if isinstance(each, Prediction):
            assert each.ground_truth and each.predicted
            assert all(0 <= score <= 1 for score in each.scores.values())
            json.dumps(each.fields, allow_nan=False)
