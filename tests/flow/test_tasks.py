from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkqa.errors import InputError
from bulkqa.flow.batches import Batch
from bulkqa.flow.corpus import Item
from bulkqa.flow.tasks import (
    TaskItem,
    item_name,
    item_number,
    page_input,
    read_task_input,
    task_input,
)


def entry(**changes: object) -> dict[str, object]:
    """Return an entry of a custom labeling input with some fields changed; `...` leaves one out."""
    fields = {"s3_image_url": "a.jpg", "label": "Dog", "confidence": 99.5, "item": "item-000"} | changes
    return {name: value for name, value in fields.items() if value is not ...}


def read(*entries: object) -> tuple[TaskItem, ...]:
    """Return the pictures of a custom labeling input with these entries."""
    return read_task_input(json.dumps(entries).encode(), "7.json")


def test_item_names() -> None:
    """Items are named `item-000` to `item-099`: sorted as text they stand in picture order."""
    names = [item_name(number) for number in range(100)]
    assert (names[0], names[7], names[99]) == ("item-000", "item-007", "item-099")
    assert sorted(names) == names
    assert [item_number(name) for name in names] == list(range(100))


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("item-000", 0),
        ("Dog-0", 0),
        ("Dog-10", 10),
        ("Stop sign-7", 7),
        ('Dog "x"-3-7', 7),
        ("two\nlines-5", 5),
        ("犬-12", 12),
        ("-3", 3),
        ("24", 24),
        ("Dog--1", 1),
        ("item-00000007", 7),
        ("item-", None),
        ("item", None),
        ("", None),
        ("meta", None),
        ("item7", None),
        ("item-7 ", None),
        ("item-7\n", None),
        ("item-1.5", None),
        ("item-٣", None),
        ("item-７", None),
        ("item-²", None),
        ("item-+7", None),
        ("item-1_0", None),
        ("item-" + "1" * 5000, None),
    ],
)
def test_item_number(name: str, number: int | None) -> None:
    """The ASCII number that ends a name is its place, whatever stands before it; all else names none."""
    assert item_number(name) == number


def test_task_input_has_the_published_shape() -> None:
    """An entry has the published fields and `item`, the confidence as a number."""
    batch = Batch(3, "Dog", (Item("s3://b/a.jpg", "Dog", 99.5), Item("b.jpg", "Dog", 80.0)))
    assert task_input(batch) == [
        {"s3_image_url": "s3://b/a.jpg", "label": "Dog", "confidence": 99.5, "item": "item-000"},
        {"s3_image_url": "b.jpg", "label": "Dog", "confidence": 80.0, "item": "item-001"},
    ]


def test_item_names_carry_no_label() -> None:
    """Label text never gets into an item's name."""
    label = 'Dog "x"-3 <b>'
    (found,) = task_input(Batch(0, label, (Item("a.jpg", label, 99.5),)))
    assert found["item"] == "item-000"


@given(
    st.text(min_size=1, max_size=9), st.lists(st.tuples(st.text(min_size=1), st.floats(0, 100)), min_size=1)
)
def test_task_input_reads_back(label: str, pictures: list[tuple[str, float]]) -> None:
    """What is written for a batch reads back as its pictures, in page order."""
    items = tuple(Item(image, label, confidence) for image, confidence in pictures)
    data = json.dumps(task_input(Batch(0, label, items))).encode()
    expected = tuple(TaskItem(item.image, item.label, item.confidence) for item in items)
    assert read_task_input(data, "x") == expected


@pytest.mark.parametrize(
    ("spelt", "value"), [("99.5", 99.5), (80, 80.0), ("80", 80.0), (0, 0.0), ("1e2", 100.0)]
)
def test_confidence_may_be_text(spelt: object, value: float) -> None:
    """A confidence is a number or, as the original sample wrote it, text."""
    (found,) = read(entry(confidence=spelt))
    assert found == TaskItem("a.jpg", "Dog", value)


def test_entry_needs_no_item_name() -> None:
    """An entry of the published shape, without `item`, is read, and further fields are ignored."""
    assert read(entry(item=..., more=[1])) == (TaskItem("a.jpg", "Dog", 99.5),)


def test_check_marks_are_read_and_stripped() -> None:
    """Known-answer marks are read, and a page gets to see none of them."""
    marked = read(entry(), entry(check="wrong", source_label="Cat"))
    assert marked[0] == TaskItem("a.jpg", "Dog", 99.5)
    assert marked[1] == TaskItem("a.jpg", "Dog", 99.5, check="wrong", source_label="Cat")
    assert page_input(marked, {}, 128_000) == {"sourceRef": [entry(), entry(item="item-001")]}


def test_largest_page() -> None:
    """A page has 100 pictures at most, all kept in order."""
    found = read(*[entry(s3_image_url=f"{n}.jpg") for n in range(100)])
    assert [item.image for item in found] == [f"{n}.jpg" for n in range(100)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"s3_image_url": ...}, "s3_image_url is missing or no text"),
        ({"s3_image_url": ""}, "s3_image_url is missing or no text"),
        ({"s3_image_url": 7}, "s3_image_url is missing or no text"),
        ({"label": ...}, "label is missing or no text"),
        ({"label": None}, "label is missing or no text"),
        ({"confidence": ...}, "confidence is missing or no number"),
        ({"confidence": None}, "confidence is missing or no number"),
        ({"confidence": "high"}, "confidence is missing or no number"),
        ({"confidence": ""}, "confidence is missing or no number"),
        ({"confidence": "nan"}, "confidence is missing or no number"),
        ({"confidence": float("inf")}, "confidence is missing or no number"),
        ({"confidence": 10**400}, "confidence is missing or no number"),
        ({"confidence": [99]}, "confidence is missing or no number"),
        ({"confidence": True}, "confidence is missing or no number"),
        ({"check": 1}, "check is missing or no text"),
        ({"source_label": ""}, "source_label is missing or no text"),
    ],
)
def test_bad_entry(changes: dict[str, object], message: str) -> None:
    """An entry that cannot be used is refused, naming file, entry and field."""
    with pytest.raises(InputError) as caught:
        read(entry(), entry(**changes), entry())
    assert str(caught.value) == f"7.json, entry 1: {message}"


def test_entry_that_is_no_object() -> None:
    """An entry that is no JSON object is refused, naming file and entry."""
    with pytest.raises(InputError, match=r"^7\.json, entry 1: not a JSON object$"):
        read(entry(), "a.jpg")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "7.json: not readable as JSON"),
        (b"[{", "7.json: not readable as JSON"),
        (b"[\xff]", "7.json: not readable as JSON"),
        (b"[" * 100_000, "7.json: not readable as JSON"),
        (b"[]", "7.json: not a list of 1 to 100 entries"),
        (b"{}", "7.json: not a list of 1 to 100 entries"),
        (b"null", "7.json: not a list of 1 to 100 entries"),
        (json.dumps([entry()] * 101).encode(), "7.json: not a list of 1 to 100 entries"),
    ],
    ids=["empty", "broken", "not UTF-8", "deep", "no entry", "object", "null", "101 entries"],
)
def test_file_that_is_no_page(data: bytes, message: str) -> None:
    """A file that is no list of 1 to 100 entries is refused by name."""
    with pytest.raises(InputError) as caught:
        read_task_input(data, "7.json")
    assert str(caught.value).startswith(message)


def test_mixed_labels() -> None:
    """A page that mixes labels is refused, naming the file and the labels."""
    with pytest.raises(InputError, match=r"^7\.json: mixes the labels Cat, Dog$"):
        read(entry(), entry(label="Cat"), entry())


def test_a_page_takes_along_what_fits() -> None:
    """What a page may show beside its pictures goes along in order, as long as all of it fits the limit."""
    items = read_task_input(json.dumps([entry()]).encode(), "x.json")
    about: dict[str, object] = {"labels": ["Cat", "Dog"], "guideline": "g" * 500}
    assert page_input(items, about, 1000) == {"sourceRef": [entry()], **about}
    short = page_input(items, about, 300)
    assert short == {"sourceRef": [entry()], "labels": ["Cat", "Dog"]}
    for limit in range(100, 700, 7):
        assert len(json.dumps(page_input(items, about, limit))) <= limit
    with pytest.raises(InputError, match="more than 10 characters"):
        page_input(items, about, 10)
