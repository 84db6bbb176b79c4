"""`bulkqa metrics`: every kind of manifest, every format, and what it says of what it cannot use."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.evaluation.lines import ARN, as_lines, labelled, lookout, of_test
from tests.test_cli import bulkqa

MAP = {"1": {"class-name": "dent", "hex-color": "#1f77b4"}}


def write(name: str, *lines: Any) -> str:
    """Write a manifest into the folder the test runs in."""
    Path(name).write_bytes(b"".join(as_lines(*lines)))
    return name


@pytest.fixture
def parts() -> str:
    """Of 3 anomalies 2 are found, of 3 normal images 1 is taken for one; one is unlabeled, one twice."""
    images: list[tuple[str, str, str, float]] = [
        ("1", "anomaly", "anomaly", 0.9),
        ("2", "anomaly", "anomaly", 0.8),
        ("3", "anomaly", "normal", 0.6),
        ("4", "normal", "anomaly", 0.7),
        ("5", "normal", "normal", 0.9),
        ("6", "normal", "normal", 0.8),
        ("7", "unsure", "normal", 0.8),
        ("1", "normal", "normal", 0.8),
    ]
    return write(
        "parts.json",
        *(
            lookout(f"s3://b/{image}.png", truth, guess, confidence, line={"name": "AB"[int(image) % 2]})
            for image, truth, guess, confidence in images
        ),
    )


METRICS = {
    # Scores: anomalies 0.9, 0.8, 0.4, normal 0.7, 0.1, 0.2: 8 of 9 pairs; precision 1, 1, 3/4 at the steps.
    "ROCAUC": pytest.approx(8 / 9),
    "AveragePrecision": pytest.approx((1 + 1 + 3 / 4) / 3),
    "Precision": pytest.approx(2 / 3),
    "Recall": pytest.approx(2 / 3),
    "F1Score": pytest.approx(2 / 3),
}


def test_an_evaluation_manifest_gives_an_evaluation_result(parts: str) -> None:
    """JSON is Lookout's file alone; what was left out is told on standard error."""
    run = bulkqa("metrics", parts, "--format", "json")
    assert run.code == 0
    assert run.json["Version"] == 1
    assert run.json["AggregatedEvaluationResults"] == {"Metrics": METRICS}
    details = run.json["EvaluationDetails"]
    assert (details["ModelArn"], details["NumberOfTestingImages"]) == (ARN, 6)
    assert "parts.json, line 8: left out: image 's3://b/1.png' stands on line 1 already" in run.err
    assert "parts.json: left out 1 unlabeled images" in run.err


@pytest.mark.parametrize("format", ["table", "json", "csv", "html"])
def test_the_result_is_written_whatever_is_printed(parts: str, format: str) -> None:
    """The file named with -o is the result; standard output has what was asked for."""
    run = bulkqa("metrics", parts, "-o", "result.json", "--format", format)
    written = json.loads(Path("result.json").read_text())
    assert written["AggregatedEvaluationResults"] == {"Metrics": METRICS}
    assert run.out.startswith(
        {"table": "parts.json", "json": "{", "csv": "label,", "html": "<!DOCTYPE"}[format]
    )


def test_the_table_has_support_and_intervals(parts: str) -> None:
    """A line for each class, and how many images were left out, in 80 columns."""
    run = bulkqa("metrics", parts)
    lines = [line.split() for line in run.out.splitlines()]
    assert [
        "anomaly",
        "3",
        "66.7%",
        "(21-94)",
        "66.7%",
        "(21-94)",
        "66.7%",
        "(26-92)",
        "0.889",
        "0.917",
    ] in lines
    assert ["normal", "3", "66.7%", "(21-94)", "66.7%", "(21-94)", "66.7%", "(26-92)", "-", "-"] in lines
    assert "Correct: 4 of 6, 66.7% (30-90)." in run.out
    assert "Left out: 1 unlabeled, 1 rejected." in run.out


def test_undefined_is_null_or_named_and_never_nan() -> None:
    """Of normal images alone areas are null, recall is 0 and named as undefined, and a person is told."""
    run = bulkqa("metrics", write("x.json", lookout("1", "normal", "anomaly", 0.9)), "--format", "json")
    aggregated = run.json["AggregatedEvaluationResults"]
    assert (aggregated["Metrics"]["ROCAUC"], aggregated["Metrics"]["AveragePrecision"]) == (None, None)
    assert aggregated["UndefinedMetrics"] == ["Recall"]
    assert "the recall is undefined" in run.err
    assert "NaN" not in run.out
    table = bulkqa("metrics", "x.json").out
    assert ["anomaly", "0", "0.0%", "(0-79)", "-", "0.0%", "(0-88)"] in [
        line.split() for line in table.splitlines()
    ]


def test_slices_are_by_any_field(parts: str) -> None:
    """Each value of a field has its own result in JSON, its own rows in CSV, and a line in the table."""
    found = bulkqa("metrics", parts, "--by", "line.name", "--format", "json").json
    assert found["AggregatedEvaluationResults"] == {"Metrics": METRICS}
    slices = [(one["Slice"], one["EvaluationDetails"]["NumberOfTestingImages"]) for one in found["Slices"]]
    assert slices == [(["line.name", "A"], 3), (["line.name", "B"], 3)]
    assert found["Slices"][0]["AggregatedEvaluationResults"]["Metrics"]["Precision"] == 0.5  # 2, 4
    rows = list(
        csv.DictReader(io.StringIO(bulkqa("metrics", parts, "--by", "line.name", "--format", "csv").out))
    )
    assert [(row["slice"], row["label"]) for row in rows if row["label"]] == [
        (value, label) for value in ("", "A", "B") for label in ("anomaly", "normal")
    ]
    assert (
        "By line.name: precision, recall and F1 of anomaly"
        in bulkqa("metrics", parts, "--by", "line.name").out
    )
    missing = bulkqa("metrics", parts, "--by", "camera", "--format", "json").json["Slices"]
    assert [one["Slice"] for one in missing] == [["camera", "(none)"]]


def test_two_classes_of_ones_own_need_a_positive_one() -> None:
    """Scores that may be either class' are not used until --positive says whose they are."""
    rows = "ground_truth,predicted,score\ngood,good,0.1\nbad,bad,0.9\ngood,bad,0.6\n"
    Path("x.csv").write_text(rows)
    without = bulkqa("metrics", "x.csv", "--format", "json")
    assert [one["roc_auc"] for one in without.json["classes"]] == [None, None]
    assert "--positive" in without.err
    found = bulkqa("metrics", "x.csv", "--positive", "bad", "--format", "json").json
    assert {one["label"]: one["roc_auc"] for one in found["classes"]} == {"bad": 1.0, "good": None}
    assert found["accuracy"] == pytest.approx(2 / 3)
    wrong = bulkqa("metrics", "x.csv", "--positive", "ugly")
    assert (wrong.code, wrong.out) == (2, "")
    assert "--positive 'ugly': no such class; there are bad, good" in wrong.err


def test_many_classes_give_the_whole_evaluation() -> None:
    """An output manifest has classes of its own, all counted against each other."""
    lines = [
        labelled(f"{n}", zoo=("yes", truth, 1), model=("no", guess, 0.8))
        for n, (truth, guess) in enumerate([("cat", "cat"), ("cat", "dog"), ("dog", "dog"), ("owl", "owl")])
    ]
    found = bulkqa("metrics", write("out.manifest", *lines, {"source-ref": "x"}), "--format", "json").json
    assert (found["items"], found["rejected"], found["unlabeled"], found["accuracy"]) == (4, 1, 0, 0.75)
    assert [one["recall"] for one in found["classes"]] == [0.5, 1.0, 1.0]
    assert found["labels_at_assumed_threshold"] is None


def test_a_test_manifest_has_each_labels_threshold_too() -> None:
    """Images with several true labels are in no matrix, and count for each label."""
    lines = [
        of_test("1", {"a": 0.9, "b": 0.2}, "a"),
        of_test("2", {"a": 0.3, "b": 0.8}, "b"),
        of_test("3", {"a": 0.7, "b": 0.6}, "a", "b"),
    ]
    run = bulkqa("metrics", write("test.manifest", *lines), "--format", "json")
    assert (run.json["items"], run.json["rejected"]) == (2, 1)
    assert [
        (one["label"], one["testing_images"], one["threshold"])
        for one in run.json["labels_at_assumed_threshold"]
    ] == [
        ("a", 2, 0.7),
        ("b", 2, 0.6),
    ]
    assert "2 labels are present in the ground truth" in run.err
    table = bulkqa("metrics", write("one.manifest", lines[2])).out
    assert "Each label by itself" in table and "Correct" not in table


def test_masks_are_measured_where_they_lie() -> None:
    """With --masks the result has the labels' pixels; without, it says that there are masks."""
    Path("masks").mkdir()
    for name, pixels in (("true", [[1, 1, 0, 0]]), ("predicted", [[0, 1, 1, 0]])):
        colours = np.array([[0x1F, 0x77, 0xB4] if one else [255] * 3 for one in pixels[0]], dtype=np.uint8)
        Image.fromarray(colours[np.newaxis]).save(f"masks/{name}.png")
    masks = {
        key: value
        for attribute, name in (("anomaly-mask-ref", "true"), ("anomaly-mask-ref-detected", "predicted"))
        for key, value in (
            (attribute, f"s3://b/{name}.png"),
            (f"{attribute}-metadata", {"internal-color-map": MAP}),
        )
    }
    manifest = write("x.json", lookout("1", "anomaly", "anomaly", 0.9, **masks))
    run = bulkqa("metrics", manifest, "--masks", "masks", "--format", "json")
    (pixels,) = run.json["AggregatedEvaluationResults"]["Metrics"]["PixelAnomalyClassMetrics"]
    assert pixels == {
        "Precision": 0.5,
        "Recall": 0.5,
        "F1Score": 0.5,
        "AIOU": pytest.approx(1 / 3),
        "ClassName": "dent",
    }
    assert "dent" in bulkqa("metrics", manifest, "--masks", "masks").out
    without = bulkqa("metrics", manifest)
    assert "1 images have masks, which were not measured: see --masks" in without.err
    Path("masks/true.png").unlink()
    broken = bulkqa("metrics", manifest, "--masks", "masks", "-o", "result.json")
    assert (broken.code, broken.out) == (2, "")
    assert "x.json, line 1: anomaly-mask-ref 's3://b/true.png': no such file below masks" in broken.err
    assert not Path("result.json").exists()


def test_the_curves_are_drawn(parts: str) -> None:
    """A plot is a file of the kind its name says; another kind is refused before anything is written."""
    assert bulkqa("metrics", parts, "--plot", "curves.svg").code == 0
    assert "<svg" in Path("curves.svg").read_text()
    refused = bulkqa("metrics", parts, "--plot", "curves.gif", "-o", "result.json")
    assert (refused.code, Path("result.json").exists()) == (2, False)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            '{"a": 1}\n',
            "no image with a ground truth and a prediction: 0 unlabeled, 1 rejected; line 1: neither",
        ),
        ("", "the file is empty"),
        (
            '{"ground_truth": "a", "predicted": "a", "confidence": 99}\n',
            "line 1: confidence 99 is outside 0-1",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(text: str, says: str) -> None:
    """It exits 2, prints nothing, and names file, line and field."""
    Path("x.json").write_text(text)
    run = bulkqa("metrics", "x.json")
    assert (run.code, run.out) == (2, "")
    assert "x.json" in run.err and says in run.err
    assert bulkqa("metrics", "gone.json").code == 2


def test_a_pretty_printed_manifest_is_refused() -> None:
    """One object over many lines is not JSON Lines, comments are not JSON; the first line tells."""
    Path("x.json").write_text('{\n "source-ref": "s3://b/1.png", // a comment\n}\n')
    run = bulkqa("metrics", "x.json")
    assert run.code == 2
    assert "x.json: no image with a ground truth" in run.err and "not readable as JSON" in run.err


def test_a_result_is_shown_as_it_stands(parts: str) -> None:
    """A result file and what DescribeModel returned are printed, and nothing in them is computed."""
    bulkqa("metrics", parts, "-o", "result.json")
    assert bulkqa("metrics", "result.json", "--format", "json").json == json.loads(
        Path("result.json").read_text()
    )
    assert "0.889" in bulkqa("metrics", "result.json").out
    sample = {"F1Score": 0.8, "Recall": 0.8, "Precision": 0.9}
    Path("model.json").write_text(json.dumps({"ModelDescription": {"Performance": sample}}, indent=1))
    assert bulkqa("metrics", "model.json", "--format", "json").json == sample
    assert "90.0%" in bulkqa("metrics", "model.json").out
    refused = bulkqa("metrics", "model.json", "--by", "line")
    assert (refused.code, refused.out) == (2, "")


def test_a_summary_is_shown_as_it_stands() -> None:
    """Rekognition's labels stand as in the file, best F1 first."""
    summary = {
        "AggregatedEvaluationResults": {"ConfusionMatrix": [], "F1Score": 0.5},
        "LabelEvaluationResults": [
            {"Label": "cap", "NumberOfTestingImages": 9, "Metrics": {"Threshold": 0.988, "F1Score": 0.75}}
        ],
    }
    Path("summary.json").write_text(json.dumps(summary))
    lines = [line.split() for line in bulkqa("metrics", "summary.json").out.splitlines()]
    assert ["cap", "9", "0.988", "-", "-", "75.0%"] in lines
    written = bulkqa("metrics", "summary.json", "--format", "json").json
    assert written["LabelEvaluationResults"][0]["Label"] == "cap"


def test_a_manifest_that_speaks_of_performance_is_a_manifest() -> None:
    """Only a file that is one object with a result at its top is a result."""
    line = lookout("1", "anomaly", "anomaly", 0.9, Performance="x", AggregatedEvaluationResults="y")
    found = bulkqa("metrics", write("x.json", line, line | {"source-ref": "2"}), "--format", "json")
    assert found.json["EvaluationDetails"]["NumberOfTestingImages"] == 2
