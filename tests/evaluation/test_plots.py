"""Pictures of an evaluation: they are drawn, at any size, and the same every time."""

import re
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bulkqa.errors import BulkqaError, InputError
from bulkqa.evaluation.confusion import confusion_matrix, of_shares
from bulkqa.evaluation.curves import curves
from bulkqa.evaluation.metrics import evaluate
from bulkqa.evaluation.plots import plot_curves, plot_matrix

pytestmark = pytest.mark.slow  # drawing takes long

TRUTH = ["cat", "cat", "cat", "cat", "dog", "dog", "wolf"]
PREDICTED = ["cat", "cat", "cat", "dog", "dog", "dog", "dog"]
SCORES = [0.9, 0.8, 0.7, 0.3, 0.4, 0.2, 0.1]


def texts(path: Path) -> list[str]:
    """All that is written in an SVG."""
    root = ElementTree.parse(path).getroot()  # noqa: S314  our own file
    return ["".join(one.itertext()).strip() for one in root.iter() if one.tag.endswith("}text")]


def size(path: Path) -> tuple[int, int]:
    """Width and height of a PNG in pixels."""
    data = path.read_bytes()
    assert data.startswith(b"\x89PNG")
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")


def test_a_matrix_shows_labels_and_percentages(tmp_path: Path) -> None:
    """Each label twice, the axes' names, and a number in each cell above 0."""
    path = tmp_path / "m.svg"
    plot_matrix(confusion_matrix(TRUTH, PREDICTED), path)
    assert sorted(texts(path)) == sorted(
        ["cat", "dog", "wolf"] * 2 + ["Ground truth", "Predicted", "75", "25", "100", "100"]
    )


def test_a_matrix_may_show_images(tmp_path: Path) -> None:
    """With counts, cells have numbers of images; where these are unknown, that is said."""
    path = tmp_path / "m.svg"
    plot_matrix(confusion_matrix(TRUTH, PREDICTED), path, counts=True)
    assert sorted(set(texts(path)) - {"cat", "dog", "wolf"}) == ["1", "2", "3", "Ground truth", "Predicted"]
    with pytest.raises(InputError, match="shares only"):
        plot_matrix(of_shares(["cat"], [[1.0]]), path, counts=True)


@pytest.mark.slow
def test_a_hundred_classes_have_room(tmp_path: Path) -> None:
    """A cell of a large matrix is some 30 pixels wide, room enough for its number."""
    labels = [f"label {number:03d}" for number in range(100)]
    path = tmp_path / "m.png"
    plot_matrix(confusion_matrix(labels, [*labels[1:], labels[0]]), path)
    assert min(size(path)) > 2900


def test_labels_are_any_text(tmp_path: Path) -> None:
    """Korean, formulas, markup and long names are written as they are, without a warning."""
    labels = ["주방", "$x_1$", "<b>&", "long " * 30]
    for name in ("m.svg", "m.png"):
        plot_matrix(confusion_matrix(labels, labels), tmp_path / name)
    written = texts(tmp_path / "m.svg")
    assert {"주방", "$x_1$", "<b>&"} <= set(written)
    assert max(map(len, written)) == 40


def test_an_empty_matrix_is_drawn(tmp_path: Path) -> None:
    """No prediction, no label: a picture all the same."""
    plot_matrix(confusion_matrix([], []), tmp_path / "m.png")
    assert size(tmp_path / "m.png")[0] > 100


def test_the_same_matrix_is_the_same_file(tmp_path: Path) -> None:
    """Nothing of the time or the machine is in a picture."""
    matrix = confusion_matrix(TRUTH, PREDICTED)
    for name in ("a.svg", "b.svg", "a.png", "b.png"):
        plot_matrix(matrix, tmp_path / name)
    for kind in ("svg", "png"):
        assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()


@pytest.mark.parametrize("name", ["m.pdf", "m", "m.png.txt"])
def test_other_kinds_of_pictures_are_refused(tmp_path: Path, name: str) -> None:
    """The name has to say PNG or SVG; nothing is written else."""
    with pytest.raises(InputError, match=re.escape(name)):
        plot_matrix(confusion_matrix(TRUTH, PREDICTED), tmp_path / name)
    with pytest.raises(InputError, match=re.escape(name)):
        plot_curves(curves(SCORES, [one == "cat" for one in TRUTH]), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_place_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A picture that cannot be written is the input's fault."""
    with pytest.raises(InputError, match="nowhere"):
        plot_matrix(confusion_matrix(TRUTH, PREDICTED), tmp_path / "nowhere" / "m.png")


def test_without_matplotlib_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures need an extra, which the message names."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(BulkqaError, match=r"extra 'analysis': pip install 'bulkqa\[analysis\]'"):
        plot_matrix(confusion_matrix(TRUTH, PREDICTED), tmp_path / "m.png")


def test_curves_name_their_areas(tmp_path: Path) -> None:
    """Three panels; the legend has the class, its average precision and its AUC."""
    found = evaluate(TRUTH, PREDICTED, scores=SCORES, positive="cat")
    path = tmp_path / "c.svg"
    plot_curves(found, path)
    written = texts(path)
    assert {"Precision and recall", "ROC", "Reliability"} <= set(written)
    cat = found.of("cat")
    assert f"cat: AP {cat.average_precision:.3f}" in written
    assert f"cat: AUC {cat.roc_auc:.3f}" in written


def test_of_many_classes_the_worst_are_named(tmp_path: Path) -> None:
    """Ten classes have a colour each, those of lowest average precision; of the others it says how many."""
    truth = [f"c{number:02d}" for number in range(12)] * 3
    scores = {
        label: [(1.0 if one == label else 0.0) if label > "c03" else 0.5 for one in truth]
        for label in sorted(set(truth))
    }
    path = tmp_path / "c.svg"
    plot_curves(evaluate(truth, truth, scores=scores), path)
    written = texts(path)
    assert sum(": AP" in one for one in written) == 10
    assert {f"c0{number}: AP {3 / 36:.3f}" for number in range(4)} <= set(written)
    assert any("grey: 2 others" in one for one in written)


def test_curves_of_one_class_alone(tmp_path: Path) -> None:
    """Without a negative there is no ROC curve, with scores that are no probabilities no reliability."""
    path = tmp_path / "c.svg"
    plot_curves(curves([3.0, 2.0], [True, True]), path)
    assert any(one.startswith("AP 1.000") for one in texts(path))
    assert not any("AUC" in one for one in texts(path))


def test_a_line_of_very_many_points_is_thinned(tmp_path: Path) -> None:
    """Points that lie on each other are not all drawn; the file stays small."""
    number = 50_000
    scores = [place / number for place in range(number)]
    plot_curves(curves(scores, [place % 3 == 0 for place in range(number)]), tmp_path / "c.svg")
    assert (tmp_path / "c.svg").stat().st_size < 500_000


def test_without_scores_there_are_no_curves(tmp_path: Path) -> None:
    """Which is said."""
    with pytest.raises(InputError, match="no class has scores"):
        plot_curves(evaluate(TRUTH, PREDICTED), tmp_path / "c.svg")
