"""Tasks: a batch as the review page gets it, and the names by which its answers come back.

A custom labeling input is the JSON list a page is made of, in the published shape plus `item`:
`{"s3_image_url", "label", "confidence", "item"}`. Items are named `item-000`, `item-001`, ...: fixed
width, so that even sorted as text they stand in picture order, and never with label text in them.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from bulkqa.errors import InputError
from bulkqa.flow.batches import MAX_BATCH_SIZE, Batch
from bulkqa.flow.records import has_surrogate

JsonObject = dict[str, object]

# The number ends the name: `item-007`, and the names of the original sample, `Dog-7` or `Dog "x"-3-7`.
_NUMBER = re.compile(r"(?:.*-)?([0-9]{1,9})", re.DOTALL)


class TaskItem(NamedTuple):
    """One picture of a page. `check` and `source_label` mark a known-answer item, which is never counted."""

    image: str
    label: str
    confidence: float
    check: str | None = None
    source_label: str | None = None


def item_name(number: int) -> str:
    """Return the name under which a page answers for the picture at this place (from 0).

    >>> item_name(7)
    'item-007'
    """
    return f"item-{number:03d}"


def item_number(name: str) -> int | None:
    """Return the place a name stands for, or None if it names none.

    >>> item_number("item-007"), item_number('Dog "x"-3-7'), item_number("meta")
    (7, 7, None)
    """
    match = _NUMBER.fullmatch(name)
    return int(match[1]) if match else None


def task_input(batch: Batch) -> list[JsonObject]:
    """Return the custom labeling input of a batch.

    >>> from bulkqa.flow.corpus import Item
    >>> task_input(Batch(0, "Dog", (Item("a.jpg", "Dog", 99.5),)))
    [{'s3_image_url': 'a.jpg', 'label': 'Dog', 'confidence': 99.5, 'item': 'item-000'}]
    """
    return [
        _entry(item.image, item.label, item.confidence, number) for number, item in enumerate(batch.items)
    ]


def mixed_input(items: Iterable[TaskItem]) -> list[JsonObject]:
    """Return the custom labeling input of a page that known-answer items stand on.

    >>> mixed_input([TaskItem("a.jpg", "Dog", 99.5, "wrong", "Cat")])  # doctest: +NORMALIZE_WHITESPACE
    [{'s3_image_url': 'a.jpg', 'label': 'Dog', 'confidence': 99.5, 'item': 'item-000',
      'check': 'wrong', 'source_label': 'Cat'}]
    """
    return [
        _entry(item.image, item.label, item.confidence, number)
        | ({} if item.check is None else {"check": item.check, "source_label": item.source_label})
        for number, item in enumerate(items)
    ]


def read_task_input(data: bytes, name: str) -> tuple[TaskItem, ...]:
    """Return the pictures of a custom labeling input, in page order; `name` is the file's, for messages.

    Confidence may be a number or, as the original sample wrote it, a string. Raises `InputError` naming
    the entry and field where the file is not a list of 1 to `MAX_BATCH_SIZE` entries of one label.
    """
    try:
        entries = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name}: not readable as JSON: {error}") from None
    if not isinstance(entries, list) or not 1 <= len(entries) <= MAX_BATCH_SIZE:
        raise InputError(f"{name}: not a list of 1 to {MAX_BATCH_SIZE} entries")
    items = tuple(_task_item(entry, f"{name}, entry {number}") for number, entry in enumerate(entries))
    _refuse_mixed(items, name)
    return items


def _refuse_mixed(items: Iterable[TaskItem], name: str) -> None:
    labels = {item.label for item in items}
    if len(labels) > 1:
        raise InputError(f"{name}: mixes the labels {', '.join(sorted(labels))}")


def _task_item(entry: object, where: str) -> TaskItem:
    if not isinstance(entry, Mapping):
        raise InputError(f"{where}: not a JSON object")
    return TaskItem(
        image=_text(entry, "s3_image_url", where),
        label=_text(entry, "label", where),
        confidence=_number(entry, "confidence", where),
        check=_text(entry, "check", where) if "check" in entry else None,
        source_label=_text(entry, "source_label", where) if "source_label" in entry else None,
    )


def _text(entry: Mapping[str, object], field: str, where: str) -> str:
    value = entry.get(field)
    if not isinstance(value, str) or not value or has_surrogate(value):
        raise InputError(f"{where}: {field} is missing or no text")
    return value


def _number(entry: Mapping[str, object], field: str, where: str) -> float:
    value = entry.get(field)
    try:
        number = float(value) if isinstance(value, str | int | float) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if isinstance(value, bool) or not math.isfinite(number):
        raise InputError(f"{where}: {field} is missing or no number")
    return number


def page_input(items: Sequence[TaskItem], about: Mapping[str, object], limit: int) -> JsonObject:
    """Return what the review page gets to see (`task.input`): its pictures, and what else it may show.

    No mark of a known answer goes with them. `about` holds what the page can do without (labels,
    guideline, examples), the most useful first: the last ones are left out where all of it, as JSON,
    would have more than `limit` characters. Raises `InputError` where the pictures alone have.

    >>> page_input([TaskItem("a.jpg", "Dog", 99.5, check="wrong")], {"labels": ["Cat", "Dog"]}, 1000)
    ... # doctest: +NORMALIZE_WHITESPACE
    {'sourceRef': [{'s3_image_url': 'a.jpg', 'label': 'Dog', 'confidence': 99.5, 'item': 'item-000'}],
     'labels': ['Cat', 'Dog']}
    """
    page: JsonObject = {
        "sourceRef": [
            _entry(item.image, item.label, item.confidence, number) for number, item in enumerate(items)
        ]
    }
    room = limit - len(json.dumps(page))
    if room < 0:
        raise InputError(f"the page's input has more than {limit} characters")
    for name, value in about.items():
        room -= len(json.dumps({name: value}))  # with its braces, at least what it takes within
        if room < 0:
            break
        page[name] = value
    return page


def _entry(image: str, label: str, confidence: float, number: int) -> JsonObject:
    return {"s3_image_url": image, "label": label, "confidence": confidence, "item": item_name(number)}
