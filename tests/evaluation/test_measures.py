"""Metrics of rows are those of TensorFlow Model Analysis 0.52 on the same rows, slice by slice."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sklearn

from bulkqa.errors import InputError
from bulkqa.evaluation.cells import Cells
from bulkqa.evaluation.measures import (
    KINDS,
    MACRO,
    MICRO,
    WEIGHTED_MACRO,
    Columns,
    Measure,
    Row,
    measure,
    read,
)
from bulkqa.flow.calibration import auroc_interval
from bulkqa.flow.evidence import Bounds, Counts, Pairs
from bulkqa.flow.slices import MetricKey, Metrics, Slice, SliceSpec, SubKey

pytestmark = pytest.mark.slow  # loading scikit-learn takes long

NAMES = {
    "AUC": "auc",
    "Precision": "precision",
    "Recall": "recall",
    "F1Score": "f1_score",
    "BinaryAccuracy": "binary_accuracy",
    "ExampleCount": "example_count",
    "WeightedExampleCount": "weighted_example_count",
    "MeanLabel": "mean_label",
    "MeanPrediction": "mean_prediction",
}
DEFAULTS = [Measure(kind, name) for kind, name in NAMES.items()]
CURVES = [
    Measure("AUC", "pr", curve="PR"),
    Measure("AUC", "minoring", summation="minoring"),
    Measure("AUC", "pr_majoring", curve="PR", summation="majoring"),
    Measure("AUC", "auc_20", points=20),
    Measure("Precision", "precision_07", threshold=0.7),
]


def two_classes() -> Iterator[Row]:
    """Yield 60 rows whose scores and labels follow from their numbers."""
    for n in range(60):
        score = (n * 37 % 101) / 100
        label = int(score + (n * 29 % 17) / 20 > 0.9)
        yield n + 2, {"label": label, "new": score, "weight": 0.5 + n % 3, "part": n % 2}


def three_classes() -> Iterator[Row]:
    """Yield 60 rows with scores of three classes."""
    for n in range(60):
        scores = [1.0 + (n * k * 31 % 23) for k in (1, 2, 3)]
        scores[n * 7 % 3] += 20
        yield n + 2, {"label": (n * 7 + n * n) % 3, "new": [round(one / sum(scores), 3) for one in scores]}


def points(found: Metrics, slice: Slice = ()) -> dict[str, float]:
    """Return the values of a slice by the metric's name."""
    place = found.slices[slice]
    return {key.name: value.point for key in found.columns if (value := found.get(place, key)) is not None}


# What tensorflow_model_analysis 0.52.0 printed of these rows.
THEIRS: Sequence[tuple[str | None, Slice, Mapping[str, float]]] = (
    (
        None,
        (),
        {
            "example_count": 60.0,
            "weighted_example_count": 60.0,
            "auc": 0.8809788654060067,
            "pr": 0.8897481460908397,
            "minoring": 0.8809788654060067,
            "pr_majoring": 0.8916679142450634,
            "auc_20": 0.8748609566184649,
            "precision": 0.7931034482758621,
            "recall": 0.7419354838709677,
            "f1_score": 0.7666666666666667,
            "binary_accuracy": 0.7666666666666667,
            "mean_label": 0.5166666666666667,
            "mean_prediction": 0.4951666666666667,
            "precision_07": 0.9411764705882353,
        },
    ),
    (
        "weight",
        (),
        {
            "example_count": 90.0,
            "weighted_example_count": 90.0,
            "auc": 0.9062847265094455,
            "pr": 0.914731621221154,
            "minoring": 0.9062847265094455,
            "pr_majoring": 0.9163862847076598,
            "auc_20": 0.8981973083096678,
            "precision": 0.8202247191011236,
            "recall": 0.8021978021978022,
            "f1_score": 0.8111111111111111,
            "binary_accuracy": 0.8111111111111111,
            "mean_label": 0.5055555555555555,
            "mean_prediction": 0.4912777777777775,
            "precision_07": 0.9811320754716981,
        },
    ),
    (
        "weight",
        (("part", 1),),
        {
            "example_count": 45.0,
            "weighted_example_count": 45.0,
            "auc": 0.9481225296442688,
            "pr": 0.9550740784813628,
            "minoring": 0.9481225296442688,
            "pr_majoring": 0.9565678969482867,
            "auc_20": 0.9493577075098814,
            "precision": 0.9047619047619048,
            "recall": 0.8260869565217391,
            "f1_score": 0.8636363636363636,
            "binary_accuracy": 0.8666666666666667,
            "mean_label": 0.5111111111111111,
            "mean_prediction": 0.4798888888888889,
            "precision_07": 1.0,
        },
    ),
)


@pytest.mark.parametrize(("weight", "slice", "theirs"), THEIRS)
def test_two_classes(weight: str | None, slice: Slice, theirs: Mapping[str, float]) -> None:
    """Every metric of two classes is theirs, with weights and without, overall and in a slice."""
    specs = [SliceSpec(), SliceSpec(keys=("part",))]
    found = measure(two_classes(), Columns("label", {"": "new"}, weight), [*DEFAULTS, *CURVES], specs)
    assert points(found, slice) == pytest.approx(theirs, rel=1e-12)
    assert set(found.slices) == {(), (("part", 0),), (("part", 1),)}


WEIGHTS = ((0, 1.0), (2, 0.5))
SCORES = ("auc", "precision", "recall", "f1_score", "binary_accuracy")


@pytest.mark.parametrize(
    ("options", "theirs"),
    [
        ({"class_id": 0}, (0.729375, 1.0, 0.4, 0.5714285714285714, 0.6)),
        ({"class_id": 2}, (0.23, 0.0, 0.0, 0.0, 0.5166666666666667)),
        (
            {"aggregation": MICRO},
            (
                0.4807638888888889,
                0.41025641025641024,
                0.26666666666666666,
                0.32323232323232326,
                0.6277777777777778,
            ),
        ),
        (
            {},
            (
                0.4807638888888889,
                0.41025641025641024,
                0.26666666666666666,
                0.32323232323232326,
                0.6277777777777778,
            ),
        ),
        (
            {"aggregation": MICRO, "class_weights": WEIGHTS},
            (0.559125, 0.7804878048780488, 0.32, 0.45390070921985815, 0.5722222222222222),
        ),
        (
            {"aggregation": MACRO, "class_weights": WEIGHTS},
            (
                0.5629166666666666,
                0.6666666666666666,
                0.26666666666666666,
                0.38095238095238093,
                0.5722222222222223,
            ),
        ),
        (
            {"aggregation": WEIGHTED_MACRO, "class_weights": WEIGHTS},
            (0.6295, 0.8, 0.32, 0.4571428571428572, 0.5833333333333333),
        ),
    ],
)
def test_three_classes(options: dict[str, Any], theirs: Sequence[float]) -> None:
    """Of one class, over all of them, and averaged with weights: each is theirs, under its own key."""
    measures = [Measure(kind, name, **options) for kind, name in NAMES.items() if name in SCORES]
    found = measure(three_classes(), Columns("label", {"": "new"}), measures)
    assert points(found) == pytest.approx(dict(zip(SCORES, theirs, strict=True)), rel=1e-12)
    sub_key = SubKey(class_id=options["class_id"]) if "class_id" in options else None
    assert {(key.sub_key, key.aggregation) for key in found.columns} == {
        (sub_key, options.get("aggregation"))
    }


LABELS = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 20)), min_size=1, max_size=60)


@given(rows=LABELS)
def test_against_scikit_learn(rows: list[tuple[int, int]]) -> None:
    """Shares and areas are scikit-learn's; what is undefined is NaN, never 0."""
    cells = Cells((0.5,))
    truth, scores = [label for label, _ in rows], [score / 20 for _, score in rows]
    for label, score in zip(truth, scores, strict=True):
        cells.add(label, score)
    predicted = [int(score > 0.5) for score in scores]
    counts = cells.counts(0.5)
    for mine, theirs in (
        (counts.precision, sklearn.precision_score(truth, predicted, zero_division=math.nan)),
        (counts.recall, sklearn.recall_score(truth, predicted, zero_division=math.nan)),
        (counts.f1, sklearn.f1_score(truth, predicted, zero_division=math.nan)),
        (counts.accuracy, sklearn.accuracy_score(truth, predicted)),
    ):
        assert mine == pytest.approx(theirs, nan_ok=True)
    area = sklearn.roc_auc_score(truth, scores) if len(set(truth)) == 2 else math.nan
    assert cells.auc() == pytest.approx(area, nan_ok=True)


@given(rows=LABELS, cut=st.integers(0, 60))
def test_slices_add_up(rows: list[tuple[int, int]], cut: int) -> None:
    """Two parts together are the whole, whatever lies in which."""
    whole, left, right = Cells((0.5,)), Cells((0.5,)), Cells((0.5,))
    for place, (label, score) in enumerate(rows):
        for cells in (whole, left if place < cut else right):
            cells.add(label, score / 20)
    left.include(right)
    assert (left.counts(0.5), left.examples) == (whole.counts(0.5), whole.examples)
    assert left.auc() == pytest.approx(whole.auc(), nan_ok=True)
    assert left.mean_prediction == pytest.approx(whole.mean_prediction)


def test_shares_say_what_was_counted() -> None:
    """Precision comes with its counts; with weights, which are no counts, it does not."""
    key = MetricKey("precision")
    rows = list(two_classes())
    plain = measure(rows, Columns("label", {"": "new"}), DEFAULTS).get(0, key)
    weighted = measure(rows, Columns("label", {"": "new"}, "weight"), DEFAULTS).get(0, key)
    assert plain is not None
    assert plain.evidence == Counts(23, 29)
    assert weighted is not None
    assert weighted.evidence is None


def test_areas_have_an_interval() -> None:
    """An area comes with the interval that the report gives it, and not over classes or with weights."""
    asked = [Measure("AUC", "auc"), Measure("AUC", "pr", curve="PR"), Measure("Recall", "recall")]
    found = measure(two_classes(), Columns("label", {"": "new"}), asked)
    area = found.get(0, MetricKey("auc"))
    assert area is not None
    assert area.evidence == Bounds(*auroc_interval(area.point, 31, 29))
    evidence = [found.get(0, MetricKey("pr"))]
    for rows, weight in ((three_classes(), None), (two_classes(), "weight")):
        of_all = measure(rows, Columns("label", {"": "new"}, weight), asked)
        evidence += [of_all.get(0, MetricKey(name)) for name in ("auc", "pr", "recall")]
    assert [value and value.evidence for value in evidence] == [None] * 7


def test_two_models_are_paired() -> None:
    """A candidate and a baseline on the same rows have their metrics each, and pairs."""
    scores = [(1, 0.9, 0.1), (1, 0.9, 0.9), (0, 0.2, 0.7), (0, 0.8, 0.1), (0, 0.9, 0.9)]
    rows: list[Row] = [(n, {"is": is_, "new": new, "old": old}) for n, (is_, new, old) in enumerate(scores)]
    columns = Columns("is", {"candidate": "new", "baseline": "old"})
    found = measure(rows, columns, [Measure("BinaryAccuracy", "accuracy")])
    paired = found.get(0, MetricKey("accuracy", "candidate", is_diff=True))
    assert paired is not None
    assert paired.evidence == Pairs(candidate_only=2, baseline_only=1, both=1, neither=1)
    assert paired.point == pytest.approx(0.2)
    for model, accuracy in (("candidate", 0.6), ("baseline", 0.4)):
        assert found.get(0, MetricKey("accuracy", model)) == (accuracy, Counts(round(5 * accuracy), 5))


@pytest.mark.parametrize("kind", KINDS)
def test_a_class_that_nobody_scores_has_no_metric(kind: str) -> None:
    """A gate is told that the metric is missing, which fails it."""
    asked = [Measure(kind, "x", class_id=7), Measure(kind, "y", aggregation=MACRO, class_weights=((7, 1.0),))]
    assert not measure(three_classes(), Columns("label", {"": "new"}), asked).columns


def test_slices_of_several_features() -> None:
    """A value gives one slice, two features their combinations; a row without one is in none."""
    rows: list[Row] = [
        (1, {"is": 1, "new": 1, "age": "30", "land": "DE"}),
        (2, {"is": 0, "new": 1, "age": "31", "land": "DE"}),
        (3, {"is": 0, "new": 1, "age": "", "land": "FR"}),
    ]
    specs = [SliceSpec(values=(("age", "30"),)), SliceSpec(keys=("age", "land")), SliceSpec(keys=("land",))]
    found = measure(rows, Columns("is", {"": "new"}), [Measure("ExampleCount", "n")], specs)
    assert {slice: found.get(place, MetricKey("n")) for slice, place in found.slices.items()} == {
        (("age", "30"),): (1.0, None),
        (("age", "30"), ("land", "DE")): (1.0, None),
        (("age", "31"), ("land", "DE")): (1.0, None),
        (("land", "DE"),): (2.0, None),
        (("land", "FR"),): (1.0, None),
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("is,new\n1,0.5\n1,x\n", "rows.csv, line 3, new: 'x' is not a number"),
        ("is,new\n2,0.5\n", "rows.csv, line 2, is: 2 is not between 0 and 1"),
        ("is,old\n1,0.5\n", "rows.csv, line 2, new: there is no such column"),
        ('is,new\n1,"[0.5"\n', "rows.csv, line 2, new: not readable as JSON"),
        ('is,new\n3,"[0.5, 0.5]"\n', "rows.csv, line 2, is: '3' is no class that has a score"),
        ("is,new\n1,nan\n", "rows.csv, line 2, new: 'nan' is not a number"),
        ("is,new\n1,0.5,7\n", "rows.csv, line 2: 3 fields where the header has 2"),
        ('{"is": true, "new": [1]}', "rows.csv, line 1, is: True is no class that has a score"),
        ('{"is": 1, "new": []}', "rows.csv, line 1, new: there are no scores"),
        ("is,new\n", "rows.csv: no rows"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(text: str, message: str) -> None:
    """A gate passes over no row: line and column are told."""
    lines = text.encode().splitlines(keepends=True)
    with pytest.raises(InputError) as caught:
        measure(read(lines, "rows.csv"), Columns("is", {"": "new"}), DEFAULTS, name="rows.csv")
    assert message in str(caught.value)


def test_a_negative_weight_is_refused() -> None:
    """Weights are at least 0."""
    rows: list[Row] = [(4, {"is": 1, "new": 0.5, "w": -1})]
    with pytest.raises(InputError, match="line 4, w: a weight is at least 0"):
        measure(rows, Columns("is", {"": "new"}, "w"), DEFAULTS)


def test_classes_may_have_names() -> None:
    """An object of scores, as CSV has it too, has classes by name; the label is one of them."""
    scores = json.dumps({"0": 0.1, "cat": 0.9}).replace('"', '""')
    text = f'is,new\ncat,"{scores}"\n0,"{scores}"\n'
    lines = text.encode().splitlines(keepends=True)
    found = measure(read(lines, "x"), Columns("is", {"": "new"}), [Measure("BinaryAccuracy", "accuracy")])
    assert points(found) == {"accuracy": 0.5}
