"""Making a corpus of what a model says: whole lines, nothing asked twice, and going on where it stopped."""

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkqa.errors import BulkqaError, ConflictError, InputError
from bulkqa.flow.corpus import Item, Row, read_corpus
from bulkqa.steps.corpora import Asked, Labelled, label_images
from tests.support import quiet

ASKED = Asked(None, 50)

SAYS: dict[str, list[tuple[str, float]] | str] = {
    "s3://b/p/a.jpg": [("Dog", 99.5), ("Animal", 98.25)],
    "s3://b/p/b.JPEG": [("Cat", 60.0)],
    "s3://b/p/c.png": [],
    "s3://b/p/d.png": "InvalidImageFormatException: no picture",
    's3://b/p/e, "f".png': [("Stop sign", 71.0)],
}

OBJECTS = [*SAYS, "s3://b/p/notes.txt", "s3://b/p/movie.mp4"]


class Model:
    """A model that says what it is told, and remembers what it was asked; `ends_after` so many, it fails."""

    def __init__(self, ends_after: int | None = None) -> None:
        self.asked: list[str] = []
        self.ends_after = ends_after

    def __call__(self, images: Iterable[str]) -> Iterator[tuple[str, Sequence[Item] | str]]:
        for image in images:
            if len(self.asked) == self.ends_after:
                raise BulkqaError("the service is away")
            self.asked.append(image)
            said = SAYS.get(image, [("Thing", 90.0)])
            yield image, said if isinstance(said, str) else [Item(image, *one) for one in said]


def run(model: Model, path: Path, objects: Iterable[str] = OBJECTS, asked: Asked = ASKED) -> Labelled:
    """Label these objects."""
    return label_images(objects, model, asked, path, quiet)


def rows_of(path: Path) -> list[Item]:
    """The rows of a corpus, every one of which can be used."""
    with path.open("rb") as file:
        rows = list(read_corpus(file, path.name))
    assert all(isinstance(row, Row) for row in rows)
    return [row.item for row in rows if isinstance(row, Row)]


WHOLE = [Item(image, *one) for image, said in SAYS.items() if isinstance(said, list) for one in said]


def test_a_corpus_is_as_launch_reads_it(tmp_path: Path) -> None:
    """Image, label and confidence by name, a row a label; what gave no row is in the log beside it."""
    path = tmp_path / "corpus.csv"
    done = run(Model(), path)
    assert path.read_text().startswith("image,label,confidence\ns3://b/p/a.jpg,Dog,99.5\n")
    assert rows_of(path) == WHOLE
    assert (done.labelled, done.rows, done.without, done.failed, done.others, done.before) == (
        3,
        4,
        1,
        1,
        2,
        0,
    )
    assert done.unreadable == [("s3://b/p/d.png", "InvalidImageFormatException: no picture")]
    log = [json.loads(line) for line in (tmp_path / "corpus.csv.log").read_text().splitlines()]
    assert log == [
        {"schema": 1, "model": "builtin", "min_confidence": 50},
        {"image": "s3://b/p/c.png", "without_label": True},
        {"image": "s3://b/p/d.png", "unreadable": "InvalidImageFormatException: no picture"},
        {"length": path.stat().st_size},
    ]


def test_nothing_is_asked_twice(tmp_path: Path) -> None:
    """Run again, only what could not be read is asked for; pictures that have come since are added."""
    path = tmp_path / "corpus.csv"
    run(Model(), path)
    again = Model()
    done = run(again, path)
    assert again.asked == ["s3://b/p/d.png"]
    assert (done.before, done.rows) == (4, 0)
    later = Model()
    run(later, path, [*OBJECTS, "s3://b/p/z.jpg"])
    assert later.asked == ["s3://b/p/d.png", "s3://b/p/z.jpg"]
    assert rows_of(path) == [*WHOLE, Item("s3://b/p/z.jpg", "Thing", 90.0)]


@pytest.mark.parametrize("ends_after", range(5))
def test_what_breaks_off_goes_on(tmp_path: Path, ends_after: int) -> None:
    """However far it came before the service failed, the rest is asked for and the corpus the same."""
    path = tmp_path / "corpus.csv"
    first, second = Model(ends_after), Model()
    with pytest.raises(BulkqaError, match="the service is away"):
        run(first, path)
    assert rows_of(path) == [item for item in WHOLE if item.image in first.asked]
    run(second, path)
    assert rows_of(path) == WHOLE
    unread = [image for image in first.asked if isinstance(SAYS[image], str)]
    assert sorted([*first.asked, *second.asked]) == sorted([*SAYS, *unread])


@given(cut=st.integers(0, 300), log_cut=st.integers(0, 300))
def test_what_was_killed_goes_on(tmp_path_factory: pytest.TempPathFactory, cut: int, log_cut: int) -> None:
    """Wherever the machine stopped writing a file, the next run makes the corpus whole, each row once."""
    path = tmp_path_factory.mktemp("killed") / "corpus.csv"
    run(Model(), path)
    log = path.with_name("corpus.csv.log")
    header, settings = len("image,label,confidence\n"), len(log.read_text().splitlines()[0]) + 1
    path.write_bytes(path.read_bytes()[: header + cut])
    log.write_bytes(log.read_bytes()[: settings + log_cut])
    run(Model(), path)
    assert sorted(rows_of(path)) == sorted(WHOLE)
    assert run(Model(), path).before == 4


def test_a_file_of_another_model_is_left_alone(tmp_path: Path) -> None:
    """Labels of two models, or from two confidences, never come into one file."""
    path = tmp_path / "corpus.csv"
    run(Model(), path)
    before = path.read_bytes()
    for other in (Asked("arn:x", 50), Asked(None, 70)):
        with pytest.raises(ConflictError, match="builtin from 50 on"):
            run(Model(), path, asked=other)
    assert path.read_bytes() == before


def test_a_corpus_without_a_log_is_gone_on_with(tmp_path: Path) -> None:
    """A file somebody kept without its log counts: its pictures are done."""
    path = tmp_path / "corpus.csv"
    path.write_text("image,label,confidence\ns3://b/p/a.jpg,Dog,99.5\n")
    model = Model()
    run(model, path)
    assert "s3://b/p/a.jpg" not in model.asked
    assert [item.label for item in rows_of(path)] == ["Dog", "Cat", "Stop sign"]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("label,image\nDog,a.jpg\n", "something else already"),
        ("", "something else already"),
        ("image,label,confidence\na.jpg,Dog,high\nb.jpg,Dog,9\n", "line 2: confidence 'high'"),
    ],
)
def test_another_file_is_not_written_to(tmp_path: Path, text: str, named: str) -> None:
    """What is no such corpus stays as it is."""
    path = tmp_path / "corpus.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=named):
        run(Model(), path)
    assert path.read_text() == text


def test_no_picture_makes_no_file(tmp_path: Path) -> None:
    """Where no object is a picture, that is said, and nothing begun."""
    with pytest.raises(InputError, match=r"2 objects and no picture .*\.jpg"):
        run(Model(), tmp_path / "corpus.csv", OBJECTS[-2:])
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A file that cannot be made is the input's fault."""
    with pytest.raises(InputError, match="nowhere"):
        run(Model(), tmp_path / "nowhere" / "corpus.csv")


def test_when_nothing_can_be_read_it_stops(tmp_path: Path) -> None:
    """After twenty pictures of which none can be read, no more is paid for."""

    def label(images: Iterable[str]) -> Iterator[tuple[str, Sequence[Item] | str]]:
        return ((image, "InvalidS3ObjectException: another Region") for image in images)

    images = [f"s3://b/{number}.jpg" for number in range(1000)]
    with pytest.raises(BulkqaError, match=r"first 20 .* another Region"):
        label_images(images, label, ASKED, tmp_path / "c.csv", quiet)
    assert len((tmp_path / "c.csv.log").read_text().splitlines()) == 22


def test_progress_is_told_of(tmp_path: Path) -> None:
    """Pictures are counted as they are asked for, up to all of them."""
    heard: list[tuple[str, int, int]] = []
    label_images(OBJECTS, Model(), ASKED, tmp_path / "c.csv", lambda *word: heard.append(word))
    asking = [word[1:] for word in heard if word[0] == "asking"]
    assert asking == [(number, 5) for number in range(6)]


def test_a_full_disk_keeps_whole_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a write is cut short, what it left is taken away again, and that is said."""
    import os

    path = tmp_path / "corpus.csv"
    write = os.write

    def cut(file: int, data: bytes) -> int:
        return write(file, data[:10] if b"b.JPEG" in data else data)

    monkeypatch.setattr(os, "write", cut)
    with pytest.raises(BulkqaError, match="disk is full"):
        run(Model(), path)
    with path.open() as file:
        assert [row["image"] for row in csv.DictReader(file)] == ["s3://b/p/a.jpg"] * 2
    monkeypatch.undo()
    run(Model(), path)
    assert rows_of(path) == WHOLE
