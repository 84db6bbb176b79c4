"""Batches: items of one label, at most so many to a page."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from itertools import groupby, islice
from typing import NamedTuple

from bulkqa.errors import InputError
from bulkqa.flow.corpus import Item

MAX_BATCH_SIZE = 100
"""Pictures on one page at most."""


class Batch(NamedTuple):
    """Items that share one label, in the order in which a page shows them; batches are numbered from 0."""

    number: int
    label: str
    items: tuple[Item, ...]


class Order(Enum):
    """Orders in which items are read back. All put equal items side by side."""

    PAGE = "by label in code-point order, shuffled within it: as pages are made"
    HASH = "shuffled over all labels"
    KEY = "by image and label"


Room = Callable[[int], int]
"""How many places of a full page are kept for known-answer items, by the batch's number."""


def no_room(_: int) -> int:
    """Keep no place: a job without known-answer items."""
    return 0


def make_batches(items: Iterable[Item], size: int, room: Room = no_room) -> Iterator[Batch]:
    """Yield `items`, which come grouped by label, as batches of at most `size` of one label, less the `room`.

    Nothing is lost and nothing repeated; only a label's last batch may be short.
    Raises `InputError` for a size outside 1 to `MAX_BATCH_SIZE`.

    >>> items = [Item(image, label, 99.0) for image, label in zip("1234", ("Cat", "Dog", "Dog", "Dog"))]
    >>> [(b.number, b.label, len(b.items)) for b in make_batches(items, 2)]
    [(0, 'Cat', 1), (1, 'Dog', 2), (2, 'Dog', 1)]
    """
    if not 1 <= size <= MAX_BATCH_SIZE:
        raise InputError(f"batch size {size} is outside 1 to {MAX_BATCH_SIZE}")
    return _make_batches(items, size, room)


def _make_batches(items: Iterable[Item], size: int, room: Room) -> Iterator[Batch]:
    number = 0
    for label, of_label in groupby(items, key=lambda item: item.label):
        while batch := tuple(islice(of_label, size - room(number))):
            yield Batch(number, label, batch)
            number += 1


def plan_batches(
    of_label: Mapping[str, int], size: int, room: Room = no_room
) -> Iterator[tuple[int, str, int]]:
    """Yield (number, label, items) of each batch that `make_batches` makes of so many items by label.

    >>> list(plan_batches({"Dog": 3, "Cat": 1}, 2))
    [(0, 'Cat', 1), (1, 'Dog', 2), (2, 'Dog', 1)]
    """
    number = 0
    for label in sorted(of_label):
        left = of_label[label]
        while left > 0:
            items = min(size - room(number), left)
            yield number, label, items
            number, left = number + 1, left - items
