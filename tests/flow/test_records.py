from __future__ import annotations

import io
import json
from collections.abc import Iterator

import pytest

from bulkqa.errors import InputError
from bulkqa.flow.records import MAX_FIELD, MAX_ROW, Records, Rejected, has_surrogate, printable

HEADER = "image,label\n"


def read(text: str | bytes) -> Records:
    """Return the records of a file with this content."""
    data = text.encode() if isinstance(text, str) else text
    return Records(io.BytesIO(data), "x.csv")


def rejected(text: str | bytes) -> list[Rejected]:
    """Return what is rejected of a file with this content."""
    return [record for record in read(text) if isinstance(record, Rejected)]


def accepted(text: str | bytes) -> list[tuple[int, object]]:
    """Return the usable records of a file with this content."""
    return [record for record in read(text) if not isinstance(record, Rejected)]


def test_csv_has_a_header() -> None:
    """A file that does not begin with a brace is CSV: its first row is the header, stripped of spaces."""
    records = read("image , label\na.jpg,Dog\n")
    assert records.header == ["image", "label"]
    assert list(records) == [(2, ["a.jpg", "Dog"])]


def test_json_lines_have_no_header() -> None:
    """A file that begins with a brace is JSON Lines: every line is a record, the first one too."""
    records = read('{"image": "a.jpg"}\n{"image": "b.jpg"}\n')
    assert records.header is None
    assert list(records) == [(1, {"image": "a.jpg"}), (2, {"image": "b.jpg"})]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\ufeffimage,label\na,Dog\n", [(2, ["a", "Dog"])]),
        ('\ufeff"image",label\na,Dog\n', [(2, ["a", "Dog"])]),
        ('\ufeff{"image": "a"}\n', [(1, {"image": "a"})]),
        ("image,label\r\na,Dog\r\nb,Cat\r\n", [(2, ["a", "Dog"]), (3, ["b", "Cat"])]),
        ('{"image": "a"}\r\n{"image": "b"}\r\n', [(1, {"image": "a"}), (2, {"image": "b"})]),
        ("image,label\na,Dog", [(2, ["a", "Dog"])]),
        ('{"image": "a"}', [(1, {"image": "a"})]),
        ("image,label\na,狗\n", [(2, ["a", "狗"])]),
        ("image,label\n a ,  Dog \n", [(2, [" a ", "  Dog "])]),
    ],
    ids=[
        "BOM",
        "BOM quoted",
        "BOM JSON",
        "CRLF",
        "CRLF JSON",
        "open end",
        "open end JSON",
        "Chinese",
        "spaces",
    ],
)
def test_spellings_of_a_file(text: str, expected: list[object]) -> None:
    """A byte order mark, line ends and non-ASCII text change nothing, and values keep their spaces."""
    assert list(read(text)) == expected


def test_lines_are_physical_lines() -> None:
    """A record's line is the physical line on which it begins, however many lines quoted fields span."""
    text = 'image,label\n"a,1","Dog\nof\n""Ana"""\nb,Cat\nonly one\nc,"Cow\r\n"\nd,Pig\n'
    assert list(read(text)) == [
        (2, ["a,1", 'Dog\nof\n"Ana"']),
        (5, ["b", "Cat"]),
        Rejected(6, "1 fields where the header has 2"),
        (7, ["c", "Cow\r\n"]),
        (9, ["d", "Pig"]),
    ]


def test_header_may_span_lines() -> None:
    """A header with a quoted newline moves the lines behind it."""
    assert list(read('image,"the\nlabel"\na,Dog\n')) == [(3, ["a", "Dog"])]


def test_blank_lines_of_csv_are_no_rows() -> None:
    """Blank lines before the header, between rows and at the end are no rows but count as lines."""
    records = read("\n\r\nimage,label\n\na,Dog\n\r\n\nb,Cat\n\n")
    assert (records.header, records.header_line) == (["image", "label"], 3)
    assert list(records) == [(5, ["a", "Dog"]), (8, ["b", "Cat"])]


def test_blank_lines_of_json_are_no_rows() -> None:
    """Blank lines of a JSON Lines file are no rows but count as lines."""
    assert list(read('\n{"a": 1}\n\n  \r\n{"a": 2}\n\n')) == [(2, {"a": 1}), (5, {"a": 2})]


@pytest.mark.parametrize("row", ["a", "a,Dog,", "a,Dog,99", "a;Dog"])
def test_row_has_the_width_of_the_header(row: str) -> None:
    """A row with fewer or more fields than the header is rejected with both numbers."""
    bad = Rejected(3, f"{row.count(',') + 1} fields where the header has 2")
    assert list(read(f"{HEADER}a,Dog\n{row}\nb,Cat\n")) == [(2, ["a", "Dog"]), bad, (4, ["b", "Cat"])]


@pytest.mark.parametrize("k", range(5))
@pytest.mark.parametrize("bad", ['bad,"Dog', '"bad,Dog', 'bad,"', '"'])
def test_unclosed_quote_loses_its_row_alone(k: int, bad: str) -> None:
    """A quote that is never closed costs the row it is in and none behind it."""
    rows = [f"{n},Dog" for n in range(5)]
    rows[k] = bad
    text = HEADER + "\n".join(rows) + "\n"
    assert [r.line for r in rejected(text)] == [k + 2]
    assert accepted(text) == [(n + 2, [str(n), "Dog"]) for n in range(5) if n != k]


@pytest.mark.parametrize(
    "label", ["", ",", ", Inc", ",a,b", '"', '",', "Dog, Cat", 'the "Dog"', "two\nlines"]
)
def test_unclosed_quote_before_quoted_rows(label: str) -> None:
    """A quote that is never closed costs its row alone, whatever is quoted in the rows behind it."""
    quoted = '"' + label.replace('"', '""') + '"'
    text = f'{HEADER}a,Dog\nbad,"Dog\nb,Dog\nc,{quoted}\nd,Dog\n'
    assert [r.line for r in rejected(text)] == [3]
    fields = [record for _, record in accepted(text)]
    assert fields == [["a", "Dog"], ["b", "Dog"], ["c", label], ["d", "Dog"]]


@pytest.mark.parametrize("second", ['c,"Dog', '"c,Dog', 'c,",Dog', '","",'])
def test_two_unclosed_quotes(second: str) -> None:
    """Of two rows with an unclosed quote each is lost, and none of the rows between and behind them."""
    text = f'{HEADER}a,"Dog\nb,Cat\n{second}\nd,Cow\n'
    assert accepted(text) == [(3, ["b", "Cat"]), (5, ["d", "Cow"])]
    assert [r.line for r in rejected(text)] == [2, 4]


@pytest.mark.parametrize("row", ['a,"Dog"s', '"a"b,Dog'])
def test_text_behind_a_quote(row: str) -> None:
    """Text behind a closing quote is no CSV: the row is rejected, and the next one read."""
    text = f"{HEADER}{row}\nb,Cat\n"
    assert [(r.line, r.reason.startswith("not readable as CSV")) for r in rejected(text)] == [(2, True)]
    assert accepted(text) == [(3, ["b", "Cat"])]


def test_unclosed_quote_far_from_the_end() -> None:
    """An unclosed quote is noticed after `MAX_FIELD` characters, and all the rows it swallowed come back."""
    rows = [f"{n:060d},Dog" for n in range(MAX_FIELD // 60)]
    text = HEADER + 'bad,"Dog\n' + "\n".join(rows) + "\n"
    assert len(text) > MAX_FIELD
    assert [r.line for r in rejected(text)] == [2]
    assert [line for line, _ in accepted(text)] == list(range(3, len(rows) + 3))


@pytest.mark.parametrize("row", ["b," + "x" * (MAX_FIELD + 1), 'b,"' + "x" * (MAX_FIELD + 1) + '"'])
def test_field_that_is_too_long(row: str) -> None:
    """A field beyond `MAX_FIELD` is rejected, and the rows around it come."""
    text = f"{HEADER}a,Dog\n{row}\nc,Cat\n"
    assert [r.line for r in rejected(text)] == [3]
    assert accepted(text) == [(2, ["a", "Dog"]), (4, ["c", "Cat"])]


def test_row_that_is_too_long() -> None:
    """A line beyond `MAX_ROW` is rejected in JSON Lines and in CSV, and the rows around it come."""
    long = "x" * (MAX_ROW + 1)
    lines = f'{{"a": 1}}\n{{"a": "{long}"}}\n{{"a": 3}}\n'
    assert rejected(lines) == [Rejected(2, "the row is longer than a megabyte")]
    assert accepted(lines) == [(1, {"a": 1}), (3, {"a": 3})]
    rows = f"{HEADER}a,{long}\nb,Dog\n"
    assert [r.line for r in rejected(rows)] == [2]
    assert accepted(rows) == [(3, ["b", "Dog"])]


@pytest.mark.parametrize("row", [b"b,D\xfcsseldorf\n", b'"b\n\xff",Dog\n', b"\xed\xa0\x80,Dog\n"])
def test_row_that_is_not_utf8(row: bytes) -> None:
    """A row whose bytes are no UTF-8 is rejected as such, and the rows around it come."""
    data = HEADER.encode() + b"a,Dog\n" + row + b"c,Cat\n"
    assert rejected(data) == [Rejected(3, "not UTF-8")]
    assert [fields for _, fields in accepted(data)] == [["a", "Dog"], ["c", "Cat"]]


def test_json_line_that_is_not_utf8() -> None:
    """A line of JSON whose bytes are no UTF-8 is rejected as such, and the rows around it come."""
    data = b'{"a": 1}\n{"a": "\xfc"}\n{"a": 3}\n'
    assert list(read(data)) == [(1, {"a": 1}), Rejected(2, "not UTF-8"), (3, {"a": 3})]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"a": ', "not readable as JSON"),
        ('{"a": 1} {"a": 2}', "not readable as JSON"),
        ("a,b", "not readable as JSON"),
        ('{"a": ' + "9" * 5000 + "}", "not readable as JSON"),
        ('{"a": ' + "[" * 100_000, "not readable as JSON"),
        ("[1, 2]", "not a JSON object"),
        ("null", "not a JSON object"),
        ('"a"', "not a JSON object"),
    ],
    ids=["broken", "two", "CSV", "huge number", "deep", "list", "null", "text"],
)
def test_line_that_is_no_json_object(line: str, reason: str) -> None:
    """A line that holds no JSON object is rejected, and the rows around it come."""
    text = f'{{"a": 1}}\n{line}\n{{"a": 3}}\n'
    assert [(r.line, r.reason[: len(reason)]) for r in rejected(text)] == [(2, reason)]
    assert accepted(text) == [(1, {"a": 1}), (3, {"a": 3})]


@pytest.mark.parametrize("text", ["", "\n", "\r\n\n  \n", "\ufeff", "\ufeff\n"])
def test_empty_file(text: str) -> None:
    """A file without any text is refused as empty, by name."""
    with pytest.raises(InputError, match=r"x\.csv: the file is empty"):
        read(text)


def test_header_that_cannot_be_read() -> None:
    """A header with an unclosed quote is refused, with file and line."""
    with pytest.raises(InputError, match=r"x\.csv, line 2: the header cannot be read"):
        read('\n"image,label\na,Dog\n')


def test_column_is_found_by_name() -> None:
    """Columns are found by name in any order, the first of several possible names preferred."""
    records = read("confidence,image,image_local_path\n")
    assert records.column("confidence") == 0
    assert records.column("image_local_path", "image") == 2
    assert records.column("path", "image") == 1


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("picture,label", "no column 'image_local_path' or 'image'; it reads: picture, label"),
        ("image,image", "more than one column 'image_local_path' or 'image'; it reads: image, image"),
        ("Image,label", "no column 'image_local_path' or 'image'; it reads: Image, label"),
    ],
)
def test_column_that_is_not_there_once(header: str, message: str) -> None:
    """A column that is missing or doubled is refused, with file, line and the header as it reads."""
    with pytest.raises(InputError) as caught:
        read(f"\n\n{header}\n").column("image_local_path", "image")
    assert str(caught.value) == f"x.csv, line 3: the header has {message}"


def test_message_about_a_header_is_writable() -> None:
    """A header that is no UTF-8 is shown so that the message can be written."""
    with pytest.raises(InputError) as caught:
        read(b"im\xe4ge,label\n").column("image")
    assert "im\ufffdge" in caught.value.args[0].encode().decode()


@pytest.mark.parametrize(
    ("first", "row"),
    [("image,label\n", "a,Dog\n"), ('{"image": "a"}\n', '{"image": "b"}\n')],
    ids=["CSV", "JSON Lines"],
)
def test_reading_streams(first: str, row: str) -> None:
    """A row is given out before more than the next line is read."""
    taken = 0

    def lines() -> Iterator[bytes]:
        nonlocal taken
        for text in [first, *[row] * 100]:
            taken += 1
            yield text.encode()

    records = iter(Records(lines(), "x"))
    for number in range(1, 50):
        next(records)
        assert taken <= number + 2


def test_generator_and_list_read_the_same() -> None:
    """Lines from a generator give what the same lines give from a list."""
    lines = [b"image,label\n", b'"a\n', b'b",Dog\n', b"c\n", b'd,"open\n', b"e,Cat\n"]
    assert list(Records((line for line in lines), "x")) == list(Records(lines, "x"))


def test_surrogates_are_found_and_marked() -> None:
    """A text with half a character is recognised, and made writable without losing its length."""
    half = str(json.loads('"a\\ud800b"'))
    assert has_surrogate(half)
    assert not has_surrogate("a😀b")
    assert printable(half) == "a\ufffdb"
    assert printable("a😀b") == "a😀b"
