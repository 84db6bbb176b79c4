from __future__ import annotations

import random
from collections import Counter
from itertools import groupby, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkqa.errors import InputError
from bulkqa.flow.batches import MAX_BATCH_SIZE, Batch, Order, make_batches, plan_batches
from bulkqa.flow.corpus import Item, Row
from bulkqa.flow.records import Rejected
from bulkqa.flow.spill import Counts, Spill


def numbered(items: list[Item]) -> list[Row | Rejected]:
    """Return the items as the rows of a file with a header."""
    return [Row(line, item) for line, item in enumerate(items, start=2)]


def pictures(label: str, count: int) -> list[Item]:
    """Return so many items of a label."""
    return [Item(f"{label}/{n:03d}.jpg", label, 90.0) for n in range(count)]


def launched(rows: list[Row | Rejected], seed: int = 0, minimum: float = 0) -> list[Item]:
    """Return the items that a corpus of these rows launches, in the order of the pages."""
    with Spill(seed, minimum) as spill:
        spill.add(rows)
        return list(spill.items(Order.PAGE))


images = st.sampled_from([f"{n}.jpg" for n in range(6)])
labels = st.sampled_from(["Cat", "Dog", "é", "\uff01", "🦞"])
items = st.builds(Item, images, labels, st.sampled_from([0.0, 79.9, 80.0, 99.5, 100.0]))
corpora = st.lists(st.one_of(items, items, st.none()), max_size=40).map(
    lambda found: [
        Rejected(line, "bad") if item is None else Row(line, item) for line, item in enumerate(found, start=2)
    ]
)


# The spill.


@given(corpora, st.integers(-5, 5), st.sampled_from([0.0, 80.0]))
def test_every_row_is_accounted_for(rows: list[Row | Rejected], seed: int, minimum: float) -> None:
    """Every row is launched once, or below the minimum, or rejected, and a duplicate's first line wins."""
    first: dict[tuple[str, str], Row] = {}
    refused = {}
    for row in rows:
        if isinstance(row, Rejected):
            refused[row.line] = row.reason
        elif (key := (row.item.image, row.item.label)) in first:
            refused[row.line] = (
                f"duplicate of line {first[key].line}: this image has this label there already"
            )
        else:
            first[key] = row
    wanted = [row.item for row in first.values() if row.item.confidence >= minimum]
    with Spill(seed, minimum) as spill:
        spill.add(rows)
        for order in Order:
            assert Counter(spill.items(order)) == Counter(wanted)
        assert list(spill.rejected()) == [Rejected(line, refused[line]) for line in sorted(refused)]
        counts = spill.counts()
    of_label = Counter(item.label for item in wanted)
    assert counts == Counts(dict(of_label), len(first) - len(wanted), len(refused))
    assert len(rows) == counts.items + counts.below + counts.rejected


def test_first_line_wins_below_the_minimum() -> None:
    """Of duplicates the first line wins even where it lies below the minimum confidence: none is launched."""
    rows: list[Row | Rejected] = [
        Row(2, Item("a.jpg", "Dog", 10.0)),
        Row(3, Item("a.jpg", "Dog", 99.0)),
        Row(4, Item("a.jpg", "Cat", 99.0)),
    ]
    with Spill(seed=0, minimum_confidence=80) as spill:
        spill.add(rows)
        for order in Order:
            assert list(spill.items(order)) == [Item("a.jpg", "Cat", 99.0)]
        assert [rejected.line for rejected in spill.rejected()] == [3]
        assert spill.counts() == Counts({"Cat": 1}, below=1, rejected=1)


def test_minimum_confidence_is_included() -> None:
    """An item of exactly the minimum confidence is launched, one just under it is not."""
    rows = numbered([Item("a", "Dog", 80.0), Item("b", "Dog", 79.99999999)])
    assert launched(rows, minimum=80) == [Item("a", "Dog", 80.0)]


def test_no_rows() -> None:
    """A corpus without rows has nothing to launch and nothing rejected."""
    with Spill(seed=0) as spill:
        spill.add([])
        assert spill.counts() == Counts({}, 0, 0)
        assert list(spill.items(Order.PAGE)) == []
        assert list(spill.rejected()) == []


def test_many_rows_are_all_kept() -> None:
    """A corpus of any length is kept whole, whether it comes at once, from a generator or in parts."""
    rows = numbered(pictures("Dog", 2500) + pictures("Cat", 2500))
    with Spill(seed=0) as spill:
        spill.add(row for row in rows[:4001])
        spill.add(rows[4001:])
        assert spill.counts() == Counts({"Cat": 2500, "Dog": 2500}, 0, 0)
        assert len(set(spill.items(Order.HASH))) == len(list(spill.items(Order.PAGE))) == 5000


def test_rejected_rows_come_in_file_order() -> None:
    """Bad rows and duplicates come in the order of their lines, each with its reason."""
    dog = Item("a.jpg", "Dog", 99.0)
    rows: list[Row | Rejected] = [
        Row(2, dog),
        Rejected(3, "bad"),
        Row(4, dog),
        Rejected(5, "worse"),
        Row(6, dog),
    ]
    with Spill(seed=0) as spill:
        spill.add(rows)
        reason = "duplicate of line 2: this image has this label there already"
        assert list(spill.rejected()) == [
            Rejected(3, "bad"),
            Rejected(4, reason),
            Rejected(5, "worse"),
            Rejected(6, reason),
        ]


@pytest.mark.parametrize("order", Order)
def test_order_does_not_depend_on_the_file(order: Order) -> None:
    """The same seed and items give the same order, however the file is ordered."""
    corpus = pictures("Dog", 40) + pictures("Cat", 40)
    orders = []
    for shuffle in range(3):
        random.Random(shuffle).shuffle(corpus)
        with Spill(seed=7) as spill:
            spill.add(numbered(corpus))
            orders.append(list(spill.items(order)))
    assert orders[0] == orders[1] == orders[2]


def test_other_seed_gives_another_order() -> None:
    """Every seed gives its own order of the same items."""
    rows = numbered(pictures("Dog", 40))
    orders = [tuple(launched(rows, seed)) for seed in (0, 1, 2, -1)]
    assert len(set(orders)) == len(orders)
    assert all(Counter(order) == Counter(orders[0]) for order in orders)


def test_items_are_shuffled() -> None:
    """Items of a label come neither in file order nor sorted, and neighbours are not kept together."""
    corpus = pictures("Dog", 100)
    found = launched(numbered(corpus))
    places = {item: place for place, item in enumerate(corpus)}
    assert found != corpus
    assert sum(abs(places[a] - places[b]) == 1 for a, b in pairwise(found)) < 20


def test_hash_order_mixes_labels() -> None:
    """Hash order spreads every label over the whole, label order keeps each together."""
    rows = numbered(pictures("Dog", 50) + pictures("Cat", 50))
    with Spill(seed=0) as spill:
        spill.add(rows)
        assert len(list(groupby(spill.items(Order.HASH), key=lambda item: item.label))) > 20
        assert [label for label, _ in groupby(spill.items(Order.PAGE), key=lambda i: i.label)] == [
            "Cat",
            "Dog",
        ]


def test_key_order_sorts() -> None:
    """Key order is that of image and label in code points."""
    corpus = [Item(image, label, 9.0) for image in ("b", "🦞", "\uff01", "a") for label in ("Dog", "Cat")]
    with Spill(seed=0) as spill:
        spill.add(numbered(corpus))
        assert list(spill.items(Order.KEY)) == sorted(corpus)


def test_labels_come_in_code_point_order() -> None:
    """Labels come in code-point order, those outside the basic plane last."""
    names = ["🦞", "\uff01", "é", "a", "Z", "10", "9", "Dog", "Dog "]
    rows = numbered([item for name in names for item in pictures(name, 2)])
    expected = ["10", "9", "Dog", "Dog ", "Z", "a", "é", "\uff01", "🦞"]
    assert [label for label, _ in groupby(launched(rows), key=lambda item: item.label)] == expected
    assert list(dict.fromkeys(label for _, label, _ in plan_batches(dict.fromkeys(names, 2), 1))) == expected


def test_image_and_label_are_kept_apart() -> None:
    """Items whose image and label only read the same when put together are different items."""
    assert len(launched(numbered([Item("bc", "a", 9.0), Item("c", "ab", 9.0), Item("a", "bc", 9.0)]))) == 3


# Batches.


@given(corpora, st.integers(1, 7))
def test_batches_hold_every_item_once(rows: list[Row | Rejected], size: int) -> None:
    """Batches hold every item once, in order, at most `size`, one label each; only a last one is short."""
    corpus = launched(rows)
    batches = list(make_batches(corpus, size))
    assert [item for batch in batches for item in batch.items] == corpus
    assert [batch.number for batch in batches] == list(range(len(batches)))
    assert all({item.label for item in batch.items} == {batch.label} for batch in batches)
    for _, group in groupby(batches, key=lambda batch: batch.label):
        sizes = [len(batch.items) for batch in group]
        assert set(sizes[:-1]) <= {size}
        assert 1 <= sizes[-1] <= size


@given(st.dictionaries(labels, st.integers(1, 30)), st.integers(1, 12))
def test_plan_agrees_with_batches(of_label: dict[str, int], size: int) -> None:
    """The plan made from the counts lists exactly the batches that are then made."""
    corpus = launched(numbered([item for label, n in of_label.items() for item in pictures(label, n)]))
    batches = [(batch.number, batch.label, len(batch.items)) for batch in make_batches(corpus, size)]
    assert list(plan_batches(of_label, size)) == batches


@pytest.mark.parametrize("size", [-1, 0, MAX_BATCH_SIZE + 1])
def test_size_that_cannot_be(size: int) -> None:
    """A batch size outside 1 to 100 is refused at once, before an item is taken."""
    assert MAX_BATCH_SIZE == 100
    with pytest.raises(InputError, match=f"batch size {size} is outside 1 to 100"):
        make_batches([], size)


def test_sizes_that_can_be() -> None:
    """A batch holds 1 item at least and 100 at most."""
    corpus = pictures("Dog", 101)
    assert [len(batch.items) for batch in make_batches(corpus, 100)] == [100, 1]
    assert list(make_batches(corpus[:2], 1)) == [Batch(0, "Dog", (corpus[0],)), Batch(1, "Dog", (corpus[1],))]
