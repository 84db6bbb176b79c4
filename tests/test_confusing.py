"""`bulkqa confusion-matrix` of files: the published table to its last digit, and every kind of file."""

import csv
import json
from collections.abc import Iterable
from pathlib import Path
from textwrap import indent
from typing import Any

import duckdb
import pytest

from tests.test_cli import bulkqa

ROOMS = """
backyard 75% 0% 0% 0% 0% 0% 33% 0% 0% 0%
bathroom 0% 67% 0% 0% 0% 0% 0% 0% 0% 0%
bedroom 0% 0% 82% 50% 0% 0% 0% 0% 9% 0%
closet 0% 0% 0% 50% 0% 0% 0% 0% 0% 0%
entry_way 0% 0% 0% 0% 33% 0% 0% 0% 0% 0%
floor_plan 0% 0% 0% 0% 0% 100% 0% 0% 0% 0%
front_yard 25% 0% 0% 0% 0% 0% 67% 0% 0% 0%
kitchen 0% 33% 0% 0% 0% 0% 0% 88% 0% 0%
living_space 0% 0% 18% 0% 67% 0% 0% 12% 91% 33%
patio 0% 0% 0% 0% 0% 0% 0% 0% 0% 67%
""".strip().splitlines()
"""The matrix of the Rooms project, as the Custom Labels guide prints it."""

IMAGES = {
    "backyard": 4,
    "bathroom": 3,
    "bedroom": 11,
    "closet": 2,
    "entry_way": 3,
    "floor_plan": 2,
    "front_yard": 3,
    "kitchen": 8,
    "living_space": 11,
    "patio": 3,
}
"""The images of each room in the smallest test set that prints it: 50 in all."""

MISTAKES = [
    ("backyard", "front_yard", 1),
    ("bathroom", "kitchen", 1),
    ("bedroom", "living_space", 2),
    ("closet", "bedroom", 1),
    ("entry_way", "living_space", 2),
    ("front_yard", "backyard", 1),
    ("kitchen", "living_space", 1),
    ("living_space", "bedroom", 1),
    ("patio", "living_space", 1),
]
"""Ground truth, prediction, and the number of such images."""


def rooms() -> list[tuple[str, str]]:
    """The 50 images: ground truth and prediction of each."""
    wrong = [(truth, guess) for truth, guess, number in MISTAKES for _ in range(number)]
    left = {room: number - sum(truth == room for truth, _ in wrong) for room, number in IMAGES.items()}
    return [*wrong, *((room, room) for room, number in left.items() for _ in range(number))]


def table_of(out: str) -> list[str]:
    """The rows of a printed table with one space between cells, the heading first."""
    return [" ".join(line.split()) for line in out.splitlines()]


def as_csv(path: Path) -> None:
    """Write the images as CSV."""
    with path.open("w") as file:
        csv.writer(file).writerows([("ground_truth", "predicted"), *rooms()])


def as_json_lines(path: Path) -> None:
    """Write the images as JSON Lines."""
    lines = ({"image": f"{n}.jpg", "ground_truth": t, "predicted": p} for n, (t, p) in enumerate(rooms()))
    write_lines(path, lines)


def as_parquet(path: Path) -> None:
    """Write the images as Parquet."""
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE rooms (ground_truth VARCHAR, predicted VARCHAR)")
        connection.executemany("INSERT INTO rooms VALUES (?, ?)", rooms())
        connection.execute(f"COPY rooms TO '{path}' (FORMAT parquet)")


def as_test_manifest(path: Path) -> None:
    """Write the images as Rekognition's snapshot of a test manifest: every label with its confidence."""
    lines = []
    for number, (truth, guess) in enumerate(rooms()):
        line: dict[str, Any] = {"source-ref": f"s3://rooms/{number}.jpg"}
        for place, room in enumerate(IMAGES):
            name = f"rekognition-custom-labels-evaluation-{place}"
            details = {"version": 1, "is-present-in-ground-truth": room == truth}
            line[name] = 1
            line[f"{name}-metadata"] = {
                "confidence": 0.9 if room == guess else 0.01,
                "class-name": room,
                "human-annotated": "no",
                "type": "groundtruth/image-classification",
                "job-name": "rekognition-custom-labels-evaluation-job",
                "rekognition-custom-labels-evaluation-details": details,
            }
        lines.append(line)
    write_lines(path, lines)


def write_lines(path: Path, lines: Iterable[object]) -> None:
    """Write JSON Lines."""
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))


KINDS = {
    "rooms.csv": as_csv,
    "rooms.jsonl": as_json_lines,
    "rooms.parquet": as_parquet,
    "rooms.manifest": as_test_manifest,
}


@pytest.mark.parametrize("name", KINDS)
def test_the_published_table_to_the_last_digit(name: str) -> None:
    """Whatever the images come in, the table is the guide's own, with the same whole percentages."""
    KINDS[name](Path(name))
    run = bulkqa("confusion-matrix", name)
    assert (run.code, run.err) == (0, "")
    assert table_of(run.out) == [" ".join(IMAGES), *ROOMS]


def test_the_reference_shows_what_is_printed() -> None:
    """The table in the documentation is the command's own output."""
    as_csv(Path("rooms.csv"))
    page = (Path(__file__).parents[1] / "docs/reference/confusion-matrix.md").read_text("utf-8")
    assert indent(bulkqa("confusion-matrix", "rooms.csv").out, "    ") in page


def test_a_summary_of_it_prints_the_same() -> None:
    """What --summary writes can be read again, and prints the same table."""
    as_csv(Path("rooms.csv"))
    first = bulkqa("confusion-matrix", "rooms.csv", "--summary", "summary.json")
    summary = json.loads(Path("summary.json").read_text())
    assert len(summary["AggregatedEvaluationResults"]["ConfusionMatrix"]) == 100
    assert summary["EvaluationDetails"]["NumberOfTestingImages"] == 50
    assert bulkqa("confusion-matrix", "summary.json").out == first.out


def test_counts_are_images() -> None:
    """With --counts cells are images, and columns sum to the images of each room."""
    as_csv(Path("rooms.csv"))
    run = bulkqa("confusion-matrix", "rooms.csv", "--counts", "--format", "csv")
    header, *rows = csv.reader(run.out.splitlines())
    assert header == ["predicted", *IMAGES]
    assert [sum(int(row[place]) for row in rows) for place in range(1, 11)] == [*IMAGES.values()]
    shown = table_of(bulkqa("confusion-matrix", "rooms.csv", "--counts").out)
    assert [line.split() for line in shown[1:]] == rows


def test_json_is_the_design_s() -> None:
    """Labels in code-point order, rows predicted, columns ground truth; a column without images is null."""
    Path("p.csv").write_text("ground_truth,predicted\nb,b\nb,B\n", "utf-8")
    run = bulkqa("confusion-matrix", "p.csv", "--format", "json")
    assert run.json == {
        "schema": 1,
        "labels": ["B", "b"],
        "matrix": [[None, 0.5], [None, 0.5]],
        "counts": [[0, 1], [0, 1]],
    }
    shown = bulkqa("confusion-matrix", "p.csv")
    assert shown.out == "   B    b\nB  -  50%\nb  -  50%\n"


def test_weights_count() -> None:
    """A column `weight` says what each image counts."""
    Path("p.csv").write_text("ground_truth,predicted,weight\ncat,cat,3\ncat,dog,1\n")
    assert bulkqa("confusion-matrix", "p.csv").out == "     cat  dog\ncat  75%    -\ndog  25%    -\n"


def test_no_row_is_wrapped_or_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """However narrow the terminal, a row is a line."""
    monkeypatch.setenv("COLUMNS", "20")
    as_csv(Path("rooms.csv"))
    assert table_of(bulkqa("confusion-matrix", "rooms.csv").out) == [" ".join(IMAGES), *ROOMS]


SUMMARY: dict[str, Any] = {
    "Version": 1,
    "EvaluationDetails": {"Labels": ["CAP", "WATCH"], "NumberOfTestingImages": 624},
    "AggregatedEvaluationResults": {
        "ConfusionMatrix": [
            {"GroundTruthLabel": "CAP", "PredictedLabel": "CAP", "Value": 388 / 390},
            {"GroundTruthLabel": "CAP", "PredictedLabel": "WATCH", "Value": 2 / 234},
            {"GroundTruthLabel": "WATCH", "PredictedLabel": "CAP", "Value": 70 / 390},
            {"GroundTruthLabel": "WATCH", "PredictedLabel": "WATCH", "Value": 164 / 234},
        ],
        "F1Score": 0.97,
        "Precision": 0.97,
        "Recall": 0.97,
    },
    "LabelEvaluationResults": [],
}
"""The sample of 2019, whose columns do not sum to 1."""


@pytest.mark.parametrize("spaces", [None, 2])
def test_a_given_summary_is_printed_as_it_stands(spaces: int | None) -> None:
    """On one line or many, and whatever its columns sum to; numbers of images are not made up."""
    Path("s.json").write_text(json.dumps(SUMMARY, indent=spaces))
    run = bulkqa("confusion-matrix", "s.json")
    assert (run.code, run.out) == (0, "       CAP  WATCH\nCAP    99%    18%\nWATCH   1%    70%\n")
    assert bulkqa("confusion-matrix", "s.json", "--format", "json").json["counts"] is None
    counted = bulkqa("confusion-matrix", "s.json", "--counts")
    assert (counted.code, counted.out) == (2, "")
    assert "shares only" in counted.err


def test_a_detection_model_has_no_matrix() -> None:
    """It is said in the words of the guide's script, on standard error."""
    aggregated = {"AverageF1": 0.8, "AveragePrecision": 0.8, "AverageRecall": 0.8}
    Path("s.json").write_text(json.dumps(SUMMARY | {"AggregatedEvaluationResults": aggregated}))
    run = bulkqa("confusion-matrix", "s.json")
    assert (run.code, run.out) == (2, "")
    sentence = "Confusion matrix not found in summary. Is the model a classification model?"
    assert sentence in " ".join(run.err.split())


def test_lines_that_cannot_be_used_are_told() -> None:
    """The first are named with their lines, all are counted, and the others are used."""
    lines = ["cat,cat", *["cat,"] * 7, "cat,dog"]
    Path("p.csv").write_text("\n".join(["ground_truth,predicted", *lines, ""]))
    run = bulkqa("confusion-matrix", "p.csv")
    assert (run.code, run.out) == (0, "     cat  dog\ncat  50%    -\ndog  50%    -\n")
    assert "p.csv, line 3: left out: predicted is empty" in run.err
    assert run.err.count("line") == 6 and "left out 7 lines in all" in run.err


def test_a_plot_is_drawn_beside_the_table() -> None:
    """--plot writes a picture, and changes nothing of what is printed."""
    as_csv(Path("rooms.csv"))
    run = bulkqa("confusion-matrix", "rooms.csv", "--plot", "rooms.svg", "-o", "rooms.txt")
    assert (run.code, run.out) == (0, "")
    assert table_of(Path("rooms.txt").read_text())[1:] == ROOMS
    assert "living_space" in Path("rooms.svg").read_text()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["nothing.csv"], "nothing.csv: no such file"),
        (["nothing"], "there is no job 'nothing'"),
        (["a", "b", "c"], "PROJECT"),
        (["bad.csv"], "bad.csv, line 1: the header has no column 'ground_truth'"),
        (["broken.json"], "broken.json: no usable prediction"),
        (["broken.json"], "line 1: left out: not readable as JSON"),
        (["summary.json"], "Value"),
        (["good.csv", "--plot", "m.pdf"], "m.pdf"),
        (["good.csv", "--format", "html"], "html"),
        ([], "SOURCE"),
    ],
)
def test_bad_input_is_named(arguments: list[str], named: str) -> None:
    """Bad input or usage is exit 2, a word on standard error naming it, and nothing on standard output."""
    Path("good.csv").write_text("ground_truth,predicted\ncat,cat\n")
    Path("bad.csv").write_text("truth,guess\ncat,cat\n")
    Path("broken.json").write_text('{"ground_truth": "cat",\n')
    bad = json.dumps(SUMMARY).replace(str(388 / 390), '"much"')
    Path("summary.json").write_text(bad)
    run = bulkqa("confusion-matrix", *arguments)
    assert (run.code, run.out) == (2, "")
    assert named in " ".join(run.err.split())
