from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bulkqa.errors import InputError
from bulkqa.flow.corpus import (
    MAX_IMAGE_BYTES,
    MAX_LABEL_BYTES,
    Item,
    Keep,
    Row,
    check_image,
    read_corpus,
)
from bulkqa.flow.records import Rejected

SHARED_DATA = Path(__file__).parents[3] / "shared/data"
HEADER = "image,label,confidence\n"


def read(content: str | bytes, keep: Keep | None = None) -> list[Row | Rejected]:
    """Return what a corpus file with this content holds."""
    data = content.encode() if isinstance(content, str) else content
    return list(read_corpus(io.BytesIO(data), "x.csv", keep))


def items(content: str | bytes) -> list[Item]:
    """Return the items of a corpus file with this content."""
    return [row.item for row in read(content) if isinstance(row, Row)]


def json_row(**changes: object) -> str:
    """Return a good row of JSON Lines with some values changed; `...` leaves a field out."""
    row = {"image": "bad.jpg", "label": "Dog", "confidence": 99.0} | changes
    return json.dumps({name: value for name, value in row.items() if value is not ...})


# What is read.


@pytest.mark.parametrize("image", ["image_local_path", "image"])
@pytest.mark.parametrize(
    "header",
    ["{},label,confidence", "label,confidence,{}", "confidence,x,{},label", " {} , label,confidence"],
)
def test_columns_are_found_by_name(header: str, image: str) -> None:
    """Columns stand in any order, found by name; others are ignored."""
    header = header.format(image)
    values = {image: "a.jpg", "label": "Dog", "confidence": "99.5", "x": "ignored"}
    row = ",".join(values[name.strip()] for name in header.split(","))
    assert read(f"{header}\n{row}\n") == [Row(2, Item("a.jpg", "Dog", 99.5))]


@pytest.mark.parametrize("image", ["image_local_path", "image"])
def test_json_lines_have_the_same_fields(image: str) -> None:
    """JSON Lines have the fields of the CSV columns, the confidence as a number or as text."""
    first = {image: "a.jpg", "label": "Dog", "confidence": 99.5, "x": [1]}
    second = {"confidence": "80", "label": "Cat", image: "b.jpg"}
    assert read(f"{json.dumps(first)}\n{json.dumps(second)}\n") == [
        Row(1, Item("a.jpg", "Dog", 99.5)),
        Row(2, Item("b.jpg", "Cat", 80.0)),
    ]


def test_published_image_column_is_preferred() -> None:
    """Where a file has both image columns, `image_local_path` counts."""
    assert items("image,image_local_path,label,confidence\na,b,Dog,9\n") == [Item("b", "Dog", 9.0)]
    assert items('{"image": "a", "image_local_path": "b", "label": "Dog", "confidence": 9}') == [
        Item("b", "Dog", 9.0)
    ]


@pytest.mark.parametrize("label", ["狗", "Früchte", "كلب", "🦞 lobster", 'Dog, "big"', "two\nlines", " Dog "])
def test_labels_are_any_text(label: str) -> None:
    """A label is kept as it stands: non-ASCII, with commas, quotes, newlines or spaces around it."""
    quoted = label.replace('"', '""')
    assert items(f'{HEADER}a.jpg,"{quoted}",99\n') == [Item("a.jpg", label, 99.0)]
    assert items(json_row(image="a.jpg", label=label)) == [Item("a.jpg", label, 99.0)]


@pytest.mark.parametrize(
    ("text", "value"),
    [("0", 0.0), ("100", 100.0), ("99.29439545", 99.29439545), ("1e2", 100.0), (" 80 ", 80.0), ("-0", 0.0)],
)
def test_confidence_is_kept_exactly(text: str, value: float) -> None:
    """A confidence of 0 to 100, both included, is kept unrounded."""
    assert items(f"{HEADER}a.jpg,Dog,{text}\n") == [Item("a.jpg", "Dog", value)]


@pytest.mark.parametrize(("name", "rows"), [("sample", 513), ("shellfish", 367), ("smallsample", 189)])
def test_published_corpora(name: str, rows: int) -> None:
    """The published corpora load unchanged, no row rejected, with the values that the file spells."""
    file = SHARED_DATA / f"{name}.csv"
    if not file.exists():
        pytest.skip("the published corpora are not here")
    with file.open("rb") as lines:
        found = list(read_corpus(lines, file.name))
    with file.open(encoding="utf-8", newline="") as text:
        expected = [
            Row(n, Item(row["image_local_path"], row["label"], float(row["confidence"])))
            for n, row in enumerate(csv.DictReader(text), start=2)
        ]
    assert found == expected
    assert len(found) == rows


# What is rejected.

TEXTS = [
    ("bad.jpg,Dog", "2 fields where the header has 3"),
    ("bad.jpg,Dog,99,more", "4 fields where the header has 3"),
    (",Dog,99", "the image is empty"),
    ("bad.jpg,,99", "the label is empty"),
    (" \t,Dog,99", "the image is empty"),
    ("bad.jpg,   ,99", "the label is empty"),
    ("bad.jpg,\u3000,99", "the label is empty"),
    ("bad.jpg,Dog,", "the confidence is empty"),
    ("bad.jpg,Dog,  ", "the confidence is empty"),
    ("bad\0.jpg,Dog,99", "the image holds a NUL character"),
    ("bad.jpg,Do\0g,99", "the label holds a NUL character"),
]


@pytest.mark.parametrize(("row", "reason"), TEXTS)
def test_bad_row(row: str, reason: str) -> None:
    """A row that cannot be used is rejected with its line and reason, and the rows around it come."""
    assert read(f"{HEADER}a.jpg,Dog,90\n{row}\nb.jpg,Cat,95.5\n") == [
        Row(2, Item("a.jpg", "Dog", 90.0)),
        Rejected(3, reason),
        Row(4, Item("b.jpg", "Cat", 95.5)),
    ]


NO_CONFIDENCES = [
    ("high", "is not a number"),
    ("99%", "is not a number"),
    ("0x10", "is not a number"),
    ("9_9", "is not a number"),
    ("٩٩", "is not a number"),
    ("９９", "is not a number"),
    ("99 9", "is not a number"),
    ("nan", "is not finite"),
    ("-NaN", "is not finite"),
    ("inf", "is not finite"),
    ("-Infinity", "is not finite"),
    ("1e400", "is not finite"),
    ("-0.1", "is outside 0-100"),
    ("100.1", "is outside 0-100"),
    ("100.00000001", "is outside 0-100"),
    ("-1e400", "is not finite"),
]


@pytest.mark.parametrize(("text", "reason"), NO_CONFIDENCES)
def test_confidence_that_cannot_be_used(text: str, reason: str) -> None:
    """A confidence that is no finite number of 0 to 100 is rejected by name, in CSV and in JSON Lines."""
    expected = f"confidence {text!r} {reason}"
    good = Row(3, Item("a.jpg", "Dog", 90.0))
    assert read(f"{HEADER}bad.jpg,Dog,{text}\na.jpg,Dog,90\n") == [Rejected(2, expected), good]
    assert read(json_row(confidence=text)) == [Rejected(1, expected)]


@pytest.mark.parametrize(
    ("spelt", "shown", "reason"),
    [
        ("true", "True", "is not a number"),
        ("false", "False", "is not a number"),
        ("null", "None", "is not a number"),
        ("[99]", "[99]", "is not a number"),
        ('{"v": 1}', "{'v': 1}", "is not a number"),
        ("1" + "0" * 400, "1000", "is not a number"),
        ("NaN", "nan", "is not finite"),
        ("Infinity", "inf", "is not finite"),
        ("1e400", "inf", "is not finite"),
        ("-0.1", "-0.1", "is outside 0-100"),
        ("101", "101", "is outside 0-100"),
        ('""', "", "the confidence is empty"),
    ],
)
def test_json_confidence_that_cannot_be_used(spelt: str, shown: str, reason: str) -> None:
    """A confidence of JSON that is no finite number of 0 to 100 is rejected with the value."""
    good = '{"image": "a.jpg", "label": "Dog", "confidence": 90}\n'
    bad = f'{{"image": "bad.jpg", "label": "Dog", "confidence": {spelt}}}\n'
    first, found, last = read(good + bad + good)
    assert isinstance(found, Rejected)
    assert found.line == 2
    assert shown in found.reason
    assert reason in found.reason
    assert (first, last) == (Row(1, Item("a.jpg", "Dog", 90.0)), Row(3, Item("a.jpg", "Dog", 90.0)))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"image": ...}, "field 'image_local_path' is missing"),
        ({"label": ...}, "field 'label' is missing"),
        ({"confidence": ...}, "field 'confidence' is missing"),
        ({"image": 5}, "field 'image' is no text"),
        ({"label": None}, "field 'label' is no text"),
        ({"label": ["Dog"]}, "field 'label' is no text"),
        ({"image": ""}, "the image is empty"),
        ({"label": " \n"}, "the label is empty"),
        ({"label": "Do\0g"}, "the label holds a NUL character"),
        ({"label": "Dog\ud800"}, "the label is not UTF-8"),
        ({"image": "\udfff.jpg"}, "the image is not UTF-8"),
        ({"image": "/bad.jpg"}, "image path '/bad.jpg' is absolute"),
    ],
)
def test_bad_row_of_json(changes: dict[str, object], reason: str) -> None:
    """A JSON row that cannot be used is rejected with its line and reason, and the rows around it come."""
    good = json_row(image="a.jpg") + "\n"
    first, found, last = read(good + json_row(**changes) + "\n" + good)
    assert isinstance(found, Rejected)
    assert (found.line, found.reason[: len(reason)]) == (2, reason)
    assert (first, last) == (Row(1, Item("a.jpg", "Dog", 99.0)), Row(3, Item("a.jpg", "Dog", 99.0)))


def test_reasons_are_writable() -> None:
    """A reason that shows a value from JSON can be written as UTF-8, and is short."""
    (found,) = read(json_row(confidence="\ud800" * 5000))
    assert isinstance(found, Rejected)
    assert len(found.reason.encode()) < 500


def test_row_that_is_not_utf8() -> None:
    """A row whose bytes are no UTF-8 is rejected, and the rows around it come."""
    assert read(HEADER.encode() + b"a.jpg,Dog,90\nb.jpg,D\xf6g,90\nc.jpg,Dog,90\n") == [
        Row(2, Item("a.jpg", "Dog", 90.0)),
        Rejected(3, "not UTF-8"),
        Row(4, Item("c.jpg", "Dog", 90.0)),
    ]


@pytest.mark.parametrize("k", [0, 1, 3])
def test_unclosed_quote_loses_its_row_alone(k: int) -> None:
    """A quote that is never closed rejects the row it is in and none behind it."""
    rows = [f"{n}.jpg,Dog,9{n}" for n in range(4)]
    rows[k] = f'{k}.jpg,"Dog,9{k}'
    found = read(HEADER + "\n".join(rows))
    assert [row.line for row in found if isinstance(row, Rejected)] == [k + 2]
    assert [row for row in found if isinstance(row, Row)] == [
        Row(n + 2, Item(f"{n}.jpg", "Dog", float(f"9{n}"))) for n in range(4) if n != k
    ]


@pytest.mark.parametrize("letter", ["x", "é", "犬", "🦞"])
def test_longest_keys(letter: str) -> None:
    """An image of 2048 bytes and a label of 1024 are the longest that the label table holds."""
    size = len(letter.encode())
    longest = {"image": letter * (MAX_IMAGE_BYTES // size), "label": letter * (MAX_LABEL_BYTES // size)}
    assert (MAX_IMAGE_BYTES, MAX_LABEL_BYTES) == (2048, 1024)
    assert items(json_row(**longest)) == [Item(longest["image"], longest["label"], 99.0)]
    for name, most in (("image", MAX_IMAGE_BYTES), ("label", MAX_LABEL_BYTES)):
        longer = longest | {name: longest[name] + letter}
        assert read(json_row(**longer)) == [Rejected(1, f"the {name} is longer than {most} bytes")]


ABSOLUTE = [
    "/x.jpg",
    "//srv/x.jpg",
    "C:\\x.jpg",
    "c:/x.jpg",
    "C:x.jpg",
    "C://x.jpg",
    "\\x.jpg",
    "\\\\srv\\x.jpg",
]
ABSOLUTE += ["~", "~/x.jpg", "~ana/x.jpg", "local:///x.jpg", "local://C:\\x.jpg", "local://~/x.jpg"]
CLIMBING = ["..", "../x.jpg", "..\\x.jpg", "a/../x.jpg", "a\\..\\x.jpg", "a/..\\x.jpg", "a/..", "./../x.jpg"]
CLIMBING += ["local://../x.jpg", "local://a/../../x.jpg", "local://a\\..\\x.jpg", "local://.."]


@pytest.mark.parametrize(
    ("image", "words"),
    [(image, "is absolute") for image in ABSOLUTE] + [(image, "climbs out") for image in CLIMBING],
)
def test_path_outside_the_folder(image: str, words: str) -> None:
    """A path that is absolute or climbs is rejected by name, in any spelling of a path."""
    found, good = read(f"{HEADER}{image},Dog,99\na.jpg,Dog,90\n")
    assert isinstance(found, Rejected)
    assert found.line == 2
    assert repr(image) in found.reason
    assert words in found.reason
    assert good == Row(3, Item("a.jpg", "Dog", 90.0))
    with pytest.raises(InputError, match=words):
        check_image(image)


@pytest.mark.parametrize(
    "image",
    [
        "a.jpg",
        "./a.jpg",
        "a/b c/d.jpg",
        "..a.jpg",
        "a../b..c/...jpg",
        "a/~b.jpg",
        "犬/é.jpg",
        "ab:c.jpg",
        "s3://bucket/../a.jpg",
        "https://host/a/../b.jpg",
        "http://host//a.jpg",
        "local://a/b.jpg",
        "local://..a.jpg",
    ],
)
def test_references_that_are_kept(image: str) -> None:
    """A path that stays inside the folder, and any URL, is kept as it stands."""
    assert check_image(image) == image
    assert items(f"{HEADER}{image},Dog,99\n") == [Item(image, "Dog", 99.0)]


def test_keep_refuses_or_changes_items() -> None:
    """`keep` may give an item another reference, and makes a rejected row of one that it refuses."""

    def keep(item: Item) -> Item:
        if item.image == "b.jpg":
            raise InputError("there is no picture 'b.jpg'")
        return Item(f"local://{item.image}", item.label, item.confidence)

    assert read(f"{HEADER}a.jpg,Dog,90\nb.jpg,Dog,91\nc.jpg,Dog,no\n", keep) == [
        Row(2, Item("local://a.jpg", "Dog", 90.0)),
        Rejected(3, "there is no picture 'b.jpg'"),
        Rejected(4, "confidence 'no' is not a number"),
    ]


# What is refused.


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "x.csv: the file is empty"),
        ("\ufeff\n\n", "x.csv: the file is empty"),
        ("label,confidence\na,9\n", "x.csv, line 1: the header has no column 'image_local_path' or 'image'"),
        ("\nimage,confidence\n", "x.csv, line 2: the header has no column 'label'"),
        ("image,label\n", "x.csv, line 1: the header has no column 'confidence'"),
        ("image,label,confidence,label\n", "x.csv, line 1: the header has more than one column 'label'"),
        ("image,image,label,confidence\n", "x.csv, line 1: the header has more than one column"),
        ("image,label,Confidence\n", "it reads: image, label, Confidence"),
        ("a.jpg,Dog,99.5\n", "it reads: a.jpg, Dog, 99.5"),
        ('image,label,"confidence\n', "x.csv, line 1: the header cannot be read"),
    ],
)
def test_file_that_cannot_be_read(content: str, message: str) -> None:
    """A file that is empty or lacks a column is refused at once, naming file and line."""
    with pytest.raises(InputError) as caught:
        read_corpus(io.BytesIO(content.encode()), "x.csv")
    assert message in str(caught.value)


# What holds for any corpus.

letters = st.one_of(
    st.sampled_from("\",\n' ;犬é🦞-"), st.characters(exclude_categories=["Cs"], exclude_characters="\0")
)
labels = st.text(letters, min_size=1, max_size=12).filter(lambda text: not text.isspace())
paths = st.text(letters, max_size=12).map("img".__add__).filter(lambda text: ".." not in text)
confidences = st.one_of(st.floats(0, 100), st.integers(0, 100).map(float))
corpora = st.lists(st.builds(Item, paths, labels, confidences), min_size=1, max_size=8)


def csv_rows(
    corpus: Sequence[Item], end: str = "\n", quoting: Literal[0, 2] = csv.QUOTE_NONNUMERIC
) -> list[str]:
    """Return each item as a row of CSV."""
    rows = []
    for item in corpus:
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator=end, quoting=quoting).writerow(
            [item.image, item.label, item.confidence]
        )
        rows.append(text.getvalue())
    return rows


@given(corpora, st.sampled_from([("\n", csv.QUOTE_NONNUMERIC), ("\r\n", csv.QUOTE_MINIMAL)]))
def test_csv_reads_back(corpus: list[Item], dialect: tuple[str, Literal[0, 2]]) -> None:
    """Whatever `csv.writer` writes reads back exactly, each row with the line on which it begins."""
    rows = csv_rows(corpus, *dialect)
    text = HEADER.rstrip() + dialect[0]
    expected = []
    for item, row in zip(corpus, rows, strict=True):
        expected.append(Row(text.count("\n") + 1, item))
        text += row
    assert read(text) == expected


@given(corpora, st.booleans(), st.sampled_from(["\n", "\r\n"]))
def test_json_lines_read_back(corpus: list[Item], ascii_only: bool, end: str) -> None:
    """Whatever `json.dumps` writes reads back exactly, each row with its line."""
    fields = [{"label": i.label, "image": i.image, "confidence": i.confidence} for i in corpus]
    text = "".join(json.dumps(row, ensure_ascii=ascii_only) + end for row in fields)
    assert read(text) == [Row(n, item) for n, item in enumerate(corpus, start=1)]


@given(corpora)
def test_generator_and_list_read_the_same(corpus: list[Item]) -> None:
    """Lines from a generator give what the same lines give from a list."""
    lines = io.BytesIO((HEADER + "".join(csv_rows(corpus))).encode()).readlines()
    assert list(read_corpus(iter(lines), "x")) == list(read_corpus(lines, "x"))


DAMAGES = [
    b"broken\n",
    b"broken,Dog\n",
    b"broken,Dog,99,99\n",
    b"broken,,99\n",
    b"broken,Dog,high\n",
    b"broken,Dog,nan\n",
    b"/broken,Dog,99\n",
    b"../broken,Dog,99\n",
    b"brok\xffen,Dog,99\n",
    b'broken,"Dog"s,99\n',
    b'"broken\n\xff",Dog,99\n',
    b'"broken\nin two",Dog,high\n',
]


@given(corpora, st.integers(0), st.sampled_from(DAMAGES))
def test_bad_row_changes_no_other(corpus: list[Item], place: int, bad: bytes) -> None:
    """Damage in one row rejects that row and changes no other."""
    rows = [row.encode() for row in csv_rows(corpus)]
    k = place % len(rows)
    found = read(HEADER.encode() + b"".join([*rows[:k], bad, *rows[k + 1 :]]))
    assert [row.item for row in found if isinstance(row, Row)] == corpus[:k] + corpus[k + 1 :]
    assert [row.line for row in found if isinstance(row, Rejected)] == [b"".join(rows[:k]).count(b"\n") + 2]


one_line = labels.filter(lambda text: "\n" not in text and "\r" not in text)
one_line_corpora = st.lists(
    st.builds(Item, one_line.map("img".__add__).filter(lambda text: ".." not in text), one_line, confidences),
    min_size=1,
    max_size=8,
)


@example(
    [Item("img1", "Dog", 9.0), Item("img2", "Dog", 9.0), Item("img3", ", Inc", 9.0), Item("img4", "x", 9.0)],
    0,
)
@given(one_line_corpora, st.integers(0))
def test_unclosed_quote_changes_no_other(corpus: list[Item], place: int) -> None:
    """A quote that is never closed rejects its own row and no other, whatever the others quote."""
    rows = csv_rows(corpus, quoting=csv.QUOTE_MINIMAL)
    k = place % len(rows)
    rows[k] = 'broken,"Dog,99\n'
    found = read(HEADER + "".join(rows))
    assert [row.item for row in found if isinstance(row, Row)] == corpus[:k] + corpus[k + 1 :]
    assert [row.line for row in found if isinstance(row, Rejected)] == [k + 2]


def manifest(*rows: Mapping[str, object]) -> list[Row | Rejected]:
    """Read a manifest of these lines."""
    return list(read_corpus([json.dumps(row).encode() + b"\n" for row in rows], "output.manifest"))


def test_manifest_with_one_class() -> None:
    """A classification job's line gives its class, the share as a confidence of 100."""
    metadata = {
        "class-name": "Dog",
        "confidence": 0.75,
        "human-annotated": "no",
        "job-name": "labeling-job/x",
    }
    (row,) = manifest({"source-ref": "s3://b/1.jpg", "pets": 0, "pets-metadata": metadata})
    assert row == Row(1, Item("s3://b/1.jpg", "Dog", 75.0))


def test_manifest_with_several_classes() -> None:
    """A multi-label line, and one with an attribute for each label, give an item for each label."""
    several = {"class-map": {"0": "Dog", "3": "Ball"}, "confidence-map": {"0": 0.5, "3": 1}}
    custom: dict[str, object] = {
        f"x_{label}-metadata": {"class-name": label, "confidence": 1} for label in ("Sun", "Sea")
    }
    rows = manifest(
        {"source-ref": "s3://b/1.jpg", "pets": [0, 3], "pets-metadata": several},
        {"source-ref": "s3://b/2.jpg", "x_Sun": 1, "x_Sea": 1, **custom},
    )
    assert rows == [
        Row(1, Item("s3://b/1.jpg", "Dog", 50.0)),
        Row(1, Item("s3://b/1.jpg", "Ball", 100.0)),
        Row(2, Item("s3://b/2.jpg", "Sun", 100.0)),
        Row(2, Item("s3://b/2.jpg", "Sea", 100.0)),
    ]


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ({"failure-reason": "nobody came"}, "nobody came"),
        ({"class-name": "Dog"}, "the confidence is empty"),
        ({"class-name": "Dog", "confidence": 75}, "outside 0-100"),
        ({"class-name": "Dog", "confidence": "high"}, "not a number"),
        ({"class-name": "Dog", "confidence": True}, "not a number"),
        ({"class-map": {"0": 7}, "confidence-map": {"0": 1}}, "no name"),
        ({"class-map": {"0": "Dog"}, "confidence-map": {}}, "the confidence is empty"),
        ({"objects": [{"confidence": 1}], "class-map": {"0": "Dog"}}, "no label of the whole image"),
    ],
)
def test_manifest_line_that_gives_no_label(metadata: dict[str, object], reason: str) -> None:
    """What a manifest's line lacks is named; the next line is read."""
    good = {"source-ref": "s3://b/2.jpg", "a-metadata": {"class-name": "Cat", "confidence": 0.5}}
    first, second = manifest({"source-ref": "s3://b/1.jpg", "a-metadata": metadata}, good)
    assert isinstance(first, Rejected) and reason in first.reason
    assert second == Row(2, Item("s3://b/2.jpg", "Cat", 50.0))


def test_manifest_line_without_labels() -> None:
    """An input manifest's line, which nothing has labelled yet, is rejected."""
    (row,) = manifest({"source-ref": "s3://b/1.jpg"})
    assert row == Rejected(1, "a manifest's line without any label")
