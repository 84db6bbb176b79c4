"""What goes back into training: an augmented manifest, a COCO file, and a folder of images."""

import csv
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkqa import SCHEMA
from bulkqa.errors import NotFoundError
from bulkqa.flow.corpus import Row, read_corpus
from bulkqa.flow.rounds import Finals
from bulkqa.flow.votes import LabelRow, Outcome
from bulkqa.retraining import METADATA, coco, file_name, folder_names, image_folder, manifest

ALL = frozenset(Outcome)
NOBODY = frozenset[str]()
NOW = "2026-03-04T05:06:07Z"


def confirmed(image: str, label: str, confidence: float = 90.0, **more: Any) -> LabelRow:
    """A row confirmed in the job `dogs`."""
    row = LabelRow((image, label), confidence, **more)
    return row.with_voters(frozenset({"dogs/ana"}), NOBODY, NOBODY)


def rejected(image: str, label: str) -> LabelRow:
    """A row rejected in the job `dogs`."""
    return LabelRow((image, label), 90.0).with_voters(NOBODY, frozenset({"dogs/ana"}), NOBODY)


def lines_of(rows: Sequence[LabelRow], *later: LabelRow) -> tuple[list[dict[str, Any]], Counter[str]]:
    """The manifest of these rows, and what was counted."""
    tally = Counter[str]()
    with Finals(rows, later) as finals:
        return [json.loads(line) for line in manifest(finals, ALL, NOW, tally)], tally


# Manifest.


def test_a_line_is_as_ground_truth_writes_it() -> None:
    """The keys of a classification job's output, and nothing else; the date has no zone, as AWS writes it."""
    row = confirmed("s3://b/a.jpg", "Dog", 87.5, created_at="2026-01-02T03:04:05Z")
    assert lines_of([row])[0] == [
        {
            "source-ref": "s3://b/a.jpg",
            "label": 0,
            "label-metadata": {
                "class-name": "Dog",
                "confidence": 0.875,
                "type": "groundtruth/image-classification",
                "human-annotated": "yes",
                "job-name": "dogs",
                "creation-date": "2026-01-02T03:04:05",
            },
        }
    ]


def test_classes_are_numbered_by_their_labels() -> None:
    """From 0 in code-point order, whatever the order of the rows."""
    rows = [confirmed(f"s3://b/{n}.jpg", label) for n, label in enumerate(["dog", "Zebra", "Éland", "dog"])]
    lines, _ = lines_of(rows)
    assert [(line["label"], line["label-metadata"]["class-name"]) for line in lines] == [
        (1, "dog"),
        (0, "Zebra"),
        (2, "Éland"),
        (1, "dog"),
    ]


def test_what_has_no_label_is_left_out() -> None:
    """Rejected, split and unreviewed items have no line; a relabelled one has its new label."""
    both = LabelRow(("s3://b/c.jpg", "Dog"), 90.0, 1, 1)
    rows = [rejected("s3://b/a.jpg", "Dog"), rejected("s3://b/b.jpg", "Dog"), both]
    rows.append(LabelRow(("s3://b/d.jpg", "Dog"), 90.0))
    later = LabelRow(("s3://b/b.jpg", "Wolf"), 90.0, source="relabel:dogs")
    (line,), _ = lines_of(rows, later.with_voters(frozenset({"r1/ana"}), NOBODY, NOBODY))
    assert (line["source-ref"], line["label-metadata"]["class-name"]) == ("s3://b/b.jpg", "Wolf")
    assert (line["label-metadata"]["job-name"], line["label-metadata"]["creation-date"]) == ("r1", NOW[:-1])


def test_an_image_of_several_labels() -> None:
    """Each label has an attribute of its own, with metadata, as Rekognition Custom Labels wants it."""
    (line,), tally = lines_of([confirmed("s3://b/a.jpg", "Wolf"), confirmed("s3://b/a.jpg", "Dog")])
    assert list(line) == ["source-ref", "label0", "label0-metadata", "label1", "label1-metadata"]
    assert [(line[f"label{n}"], line[f"label{n}-metadata"]["class-name"]) for n in (0, 1)] == [
        (0, "Dog"),
        (1, "Wolf"),
    ]
    assert (tally["images"], tally["several"], tally["elsewhere"]) == (1, 1, 0)


def test_images_outside_s3_are_counted() -> None:
    """Training on AWS reads S3 alone."""
    _, tally = lines_of([confirmed("local://a.jpg", "Dog"), confirmed("s3://b/a.jpg", "Dog")])
    assert (tally["images"], tally["elsewhere"]) == (2, 1)


letters = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
names = st.text(letters, min_size=1, max_size=6).filter(lambda text: not text.isspace())
items = st.tuples(names.map(lambda name: f"s3://b/{name}"), names, st.floats(0, 100))


@given(st.lists(items, min_size=1, max_size=8, unique_by=lambda item: item[:2]))
def test_a_manifest_is_a_corpus(found: list[tuple[str, str, float]]) -> None:
    """What was confirmed reads back from the manifest: image, label, and to 15 digits the confidence."""
    with Finals([confirmed(*item) for item in found]) as finals:
        lines = [line.encode() for line in manifest(finals, ALL, NOW, Counter())]
    rows = [row.item for row in read_corpus(lines, "x.manifest") if isinstance(row, Row)]
    assert len(rows) == len(found)
    for row, item in zip(sorted(rows), sorted(found), strict=True):
        assert row[:2] == item[:2]
        assert row.confidence == pytest.approx(item[2], rel=1e-15, abs=1e-300)
        assert 0 <= row.confidence <= 100


@pytest.mark.slow
def test_a_confidence_keeps_its_band() -> None:
    """Every confidence of three decimals comes back from a manifest as it was."""
    rows = [confirmed(f"s3://b/{n}.jpg", "Dog", n / 1000) for n in range(0, 100_001, 17)]
    with Finals([*rows, confirmed("s3://b/x", "Dog", 57.0)]) as finals:
        lines = [line.encode() for line in manifest(finals, ALL, NOW, Counter())]
    found = {row.item.image: row.item.confidence for row in read_corpus(lines, "x") if isinstance(row, Row)}
    assert found == {row.key[0]: row.confidence for row in rows} | {"s3://b/x": 57.0}


# COCO.


def coco_of(rows: Sequence[LabelRow], root: str | None = None) -> tuple[dict[str, Any], Counter[str]]:
    """The COCO file of these rows, with a size for pictures of this machine, and what was counted."""
    tally = Counter[str]()
    with Finals(rows) as finals:
        found = coco(
            finals, ALL, NOW, root, lambda image: (8, 6) if image.startswith("local://") else None, tally
        )
        return json.loads("".join(found)), tally


def test_a_coco_file() -> None:
    """Images with sizes, categories from 1 in code-point order, and an annotation without a box for each."""
    rows = [confirmed("local://x/b.jpg", "Wolf"), confirmed("local://a.jpg", "Dog")]
    document, tally = coco_of([*rows, rejected("local://c.jpg", "Dog"), LabelRow(("local://d", "Cat"), 90.0)])
    assert document == {
        "info": {
            "description": "Image labels, exported by bulkqa",
            "date_created": "2026-03-04T05:06:07Z",
            "schema": SCHEMA,
        },
        "licenses": [],
        "categories": [
            {"id": 1, "name": "Dog", "supercategory": ""},
            {"id": 2, "name": "Wolf", "supercategory": ""},
        ],
        "images": [
            {"id": 1, "file_name": "a.jpg", "width": 8, "height": 6},
            {"id": 2, "file_name": "x/b.jpg", "width": 8, "height": 6},
        ],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1},
            {"id": 2, "image_id": 2, "category_id": 2},
        ],
    }
    assert tally == {"images": 2, "unsized": 0}


@pytest.mark.parametrize(
    ("reference", "root", "found"),
    [
        ("s3://b/zoo/x/a.jpg", "s3://b/zoo", {"file_name": "x/a.jpg", "coco_url": "s3://b/zoo/x/a.jpg"}),
        ("s3://b/zoo/a.jpg", "s3://b/zoo/", {"file_name": "a.jpg", "coco_url": "s3://b/zoo/a.jpg"}),
        ("s3://b/zoology/a.jpg", "s3://b/zoo", {"file_name": "s3://b/zoology/a.jpg"}),
        ("s3://b/a.jpg", None, {"file_name": "s3://b/a.jpg", "coco_url": "s3://b/a.jpg"}),
        ("https://x.org/a.jpg", "/pictures", {"file_name": "https://x.org/a.jpg"}),
        ("zoo/a.jpg", None, {"id": 1, "file_name": "zoo/a.jpg"}),
    ],
)
def test_files_of_a_coco_file_start_where_the_images_lie(
    reference: str, root: str | None, found: dict[str, object]
) -> None:
    """A file's name is its path below the job's images, where it lies there; an address is kept whole."""
    document, tally = coco_of([confirmed(reference, "Dog")], root)
    (image,) = document["images"]
    assert image | found == image
    assert ("coco_url" in image) == ("://" in reference)
    assert "width" not in image and tally["unsized"] == 1


@given(st.lists(st.tuples(names, names), max_size=8, unique=True))
def test_a_coco_file_has_every_label_of_every_image(pairs: list[tuple[str, str]]) -> None:
    """Numbers are each used once; followed, they give the images with their labels, and no others."""
    document, _ = coco_of([confirmed(f"local://{image}", label) for image, label in pairs])
    of = {
        kind: {one["id"]: one for one in document[kind]} for kind in ("images", "categories", "annotations")
    }
    assert all(len(of[kind]) == len(document[kind]) for kind in of)
    assert sorted(pairs) == sorted(
        (of["images"][one["image_id"]]["file_name"], of["categories"][one["category_id"]]["name"])
        for one in document["annotations"]
    )
    assert {label for _, label in pairs} == {one["name"] for one in document["categories"]}


def test_pycocotools_reads_a_coco_file(tmp_path: Path) -> None:
    """The reference implementation finds images by category, and labels by image, several of one too."""
    module = pytest.importorskip("pycocotools.coco")
    rows = [confirmed("local://a.jpg", "Dog"), confirmed("local://a.jpg", "Wolf")]
    document, _ = coco_of([*rows, confirmed("local://b.jpg", "Wolf")])
    (tmp_path / "coco.json").write_text(json.dumps(document))
    read = module.COCO(str(tmp_path / "coco.json"))
    (wolf,) = read.getCatIds(catNms=["Wolf"])
    files = [image["file_name"] for image in read.loadImgs(sorted(read.getImgIds(catIds=[wolf])))]
    assert files == ["a.jpg", "b.jpg"]
    (first, _) = sorted(read.getImgIds())
    found = read.loadAnns(read.getAnnIds(imgIds=[first]))
    assert [read.cats[one["category_id"]]["name"] for one in found] == ["Dog", "Wolf"]


# Names of files.


@given(
    st.text(letters, min_size=1, max_size=30)
    | st.sampled_from(["..", ".", "CON", "nul.txt", "a:b", "x ", "%41"])
)
def test_a_name_is_safe_and_tells_the_text(text: str) -> None:
    """No separator, device or hidden name of any system; unquoting gives the text again."""
    name = file_name(text)
    assert unquote(name) == text
    assert not set(name) & set('/\\:*?"<>|\0\n')
    assert name not in (".", "..") and not name.endswith((".", " "))
    assert name.partition(".")[0].lower() not in ("con", "nul", "aux", "prn", "com1", "lpt1")
    assert len(file_name(text * 50).encode()) <= 255


def test_long_names_stay_apart() -> None:
    """Names that are cut differ where the texts do, and keep their suffix."""
    names = {file_name("x" * 300 + tail + ".jpeg") for tail in "abc"}
    assert len(names) == 3
    assert all(name.endswith(".jpeg") for name in names)


@given(st.lists(st.text("aAäÄ%/6.", min_size=1, max_size=3), unique=True, max_size=12))
def test_folders_differ_where_case_is_ignored(labels: list[str]) -> None:
    """Each label has a folder of its own, on systems that ignore case too, and the folder tells the label."""
    found = folder_names(sorted(labels))
    assert len({name.casefold() for name in found.values()}) == len(labels)
    assert all(unquote(name) == label for label, name in found.items())


# Image folder.


def fetch(image: str, file: BinaryIO) -> None:
    """Write an image's own name as its picture; some are not there."""
    if "gone" in image:
        raise NotFoundError(f"{image} is not there")
    file.write(image.encode())


def folder_of(rows: Sequence[LabelRow], folder: Path) -> tuple[dict[str, str], list[str], Counter[str]]:
    """Make a folder; return its pictures by path, what was left out, and what was counted."""
    tally = Counter[str]()
    folder.mkdir()
    with Finals(rows) as finals:
        reasons = list(image_folder(finals, ALL, folder, fetch, map, tally))
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    del files[METADATA]
    return {name: path.read_text() for name, path in files.items()}, reasons, tally


def test_a_folder_for_each_label(tmp_path: Path) -> None:
    """`<label>/<file>`, and a line for each file in `metadata.csv`."""
    rows = [confirmed("local://x/a.jpg", "AC/DC", 88.5), confirmed("s3://b/b.jpg", "Dog")]
    files, _, tally = folder_of([*rows, rejected("c.jpg", "Dog")], tmp_path / "out")
    assert files == {"AC%2FDC/a.jpg": "local://x/a.jpg", "Dog/b.jpg": "s3://b/b.jpg"}
    assert tally["images"] == 2
    with (tmp_path / "out" / METADATA).open(newline="") as file:
        first, second = csv.DictReader(file)
    assert first == {
        "file_name": "AC%2FDC/a.jpg",
        "s3_image_url": "local://x/a.jpg",
        "label": "AC/DC",
        "how": "confirmed",
        "job": "dogs",
        "confidence": "88.5",
        "schema": "1",
    }
    assert second["file_name"] == "Dog/b.jpg"


def test_files_of_one_name_stay_apart(tmp_path: Path) -> None:
    """Images of one name in several folders become files of several names, and none is lost."""
    rows = [confirmed(f"s3://b/{n}/1.jpg", "Dog") for n in range(20)]
    files, _, _ = folder_of([*rows, confirmed("s3://b/", "Dog")], tmp_path / "out")
    assert sorted(files.values()) == sorted(["s3://b/", *(row.key[0] for row in rows)])
    assert "Dog/1.jpg" in files and "Dog/image" in files


def test_what_cannot_be_had_is_named(tmp_path: Path) -> None:
    """A picture that is not there leaves neither a file nor an empty folder behind; the others come."""
    rows = [confirmed("s3://b/gone.jpg", "Cat"), confirmed("s3://b/a.jpg", "Dog")]
    files, reasons, tally = folder_of(rows, tmp_path / "out")
    assert list(files) == ["Dog/a.jpg"]
    assert reasons == ["s3://b/gone.jpg is not there"]
    assert (tally["images"], tally["absent"]) == (1, 1)
    assert not (tmp_path / "out/Cat").exists()


def test_an_image_of_several_labels_has_no_folder(tmp_path: Path) -> None:
    """It would teach two classes the same picture: it is left out and counted."""
    rows = [confirmed("s3://b/a.jpg", "Cat"), confirmed("s3://b/a.jpg", "Dog")]
    files, _, tally = folder_of(rows, tmp_path / "out")
    assert (files, tally["several"]) == ({}, 1)
