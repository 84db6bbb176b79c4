"""Documents of the services are read strictly, and a message names file and field."""

import json

import pytest

from bulkqa.errors import InputError
from bulkqa.evaluation.documents import Part, read_document


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b'{"a":\n 1,}', "x.json, line 2, column 4: not readable as JSON"),
        (b'{"a": NaN}', "x.json: not readable as JSON: NaN is not JSON"),
        (b'{"a": -Infinity}', "x.json: not readable as JSON: -Infinity is not JSON"),
        (b"[]", "x.json: a JSON object is needed"),
        (b'{"a": "\xff"}', "x.json: not readable as JSON"),
        (b"[" * 100_000, "x.json: not readable as JSON: nested too deeply"),
        (b"", "x.json, line 1, column 1: not readable as JSON"),
    ],
)
def test_what_is_no_document_is_refused(data: bytes, says: str) -> None:
    """The message has the place where the JSON breaks."""
    with pytest.raises(InputError, match=says):
        read_document(data, "x.json")


@pytest.mark.parametrize(
    ("value", "read", "says"),
    [
        (None, "text", "'f' has to be a text; it is null"),
        (3, "text", "'f' has to be a text; it is 3"),
        ("0.5", "number", "'f' has to be a number; it is \"0.5\""),
        (True, "number", "'f' has to be a number; it is true"),
        (1.5, "share", "'f' has to be a number of 0 to 1; it is 1.5"),
        (-0.5, "maybe_share", "'f' has to be a number of 0 to 1"),
        (2.5, "maybe_count", "'f' has to be a whole number of at least 0"),
        (-1, "maybe_count", "'f' has to be a whole number of at least 0"),
        ([], "part", "'f' has to be an object"),
        ({}, "list", "'f' has to be a list"),
    ],
)
def test_a_field_that_is_not_what_it_has_to_be_is_refused(value: object, read: str, says: str) -> None:
    """The message has the field, what it has to be and what it is."""
    part = read_document(json.dumps({"f": value}).encode(), "x.json")
    with pytest.raises(InputError) as error:
        getattr(part, read)("f")
    assert str(error.value).startswith(f"x.json: {says}")


def test_what_is_missing_is_said() -> None:
    """Where a field is needed; where it is not, it is None, an empty object or an empty list."""
    part = Part({}, "x.json, Metrics")
    with pytest.raises(InputError, match=r"^x.json, Metrics: 'F1Score' has to be a number; it is missing$"):
        part.number("F1Score")
    assert (part.maybe_text("a"), part.maybe_share("a"), part.maybe_count("a")) == (None, None, None)
    assert (part.part("a").fields, list(part.parts("a"))) == ({}, [])


def test_a_place_within_a_list_is_named() -> None:
    """An entry of a list is told by its place, from 0."""
    part = Part({"a": [{"b": 1}, 2]}, "x.json")
    assert next(part.parts("a")).number("b") == 1
    with pytest.raises(InputError, match=r"x.json, a\[1\]: an object is needed"):
        list(part.parts("a"))
