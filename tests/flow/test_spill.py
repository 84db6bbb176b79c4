"""A sample of a corpus, as the spill draws it; its other tests are those of the batches."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkqa.flow.bands import band_of
from bulkqa.flow.batches import Order
from bulkqa.flow.corpus import Item, Row
from bulkqa.flow.plan import Stratum, standard_error
from bulkqa.flow.spill import Counts, Spill

BANDS = (80, 90, 100)

items = st.builds(
    Item,
    st.integers(0, 60).map(lambda number: f"{number}.jpg"),
    st.sampled_from(["Cat", "Dog", "é"]),
    st.sampled_from([50.0, 79.9, 80.0, 89.9, 90.0, 100.0]),
)
corpora = st.lists(items, max_size=80)


def spilled(found: list[Item], seed: int = 0, minimum: float = 60) -> Spill:
    """A spill of these items."""
    spill = Spill(seed, minimum)
    spill.add(Row(line, item) for line, item in enumerate(found, start=2))
    return spill


def place(item: Item) -> tuple[str, int | None]:
    """The label and band of an item."""
    return item.label, band_of(item.confidence, BANDS)


@given(corpora, st.integers(-5, 5), st.lists(st.integers(0, 8), min_size=4, max_size=4))
def test_a_sample_has_the_first_of_each_stratum(found: list[Item], seed: int, numbers: list[int]) -> None:
    """Of each label and band the first ones in hash order, the same in any order of reading, all counted."""
    wanted = {"Cat": numbers[:2], "Dog": numbers[2:]}
    with spilled(found, seed) as spill:
        everything = list(spill.items(Order.HASH))
        before = spill.counts()
        populations = spill.populations(BANDS)
        sample = spill.take_sample(BANDS, wanted)
        first: list[Item] = []
        taken: Counter[tuple[str, int | None]] = Counter()
        for item in everything:
            label, band = place(item)
            if label in wanted and band is not None and taken[label, band] < wanted[label][band]:
                taken[label, band] += 1
                first.append(item)
        assert list(spill.items(Order.HASH)) == first
        for order in Order:
            assert Counter(spill.items(order)) == Counter(first)
        of_all = Counter(place(item) for item in everything)
        for label, numbers_of_label in populations.items():
            assert numbers_of_label == [of_all[label, band] for band in (0, 1)]
        for label, strata in sample.items():
            assert strata == [
                [low, high, of_all[label, band], taken[label, band]]
                for band, (low, high) in enumerate(((80, 90), (90, 100)))
            ]
        of_label = dict(Counter(item.label for item in first))
        left_out = before.items - len(first)
        assert spill.counts() == Counts(of_label, before.below, before.rejected, left_out)


@given(corpora.map(lambda found: found[::-1]), st.integers(0, 3))
def test_a_sample_does_not_depend_on_the_order_of_the_file(found: list[Item], seed: int) -> None:
    """The same items in another order of lines are the same sample; another seed may be another."""
    unique = list({item[:2]: item for item in found}.values())
    samples = []
    for rows in (unique, sorted(unique)):
        with spilled(rows, seed) as spill:
            spill.take_sample(BANDS, {"Cat": [2, 2], "Dog": [1, 3], "é": [0, 1]})
            samples.append(list(spill.items(Order.PAGE)))
    assert samples[0] == samples[1]


def test_duplicates_and_low_ones_are_no_part_of_a_sample() -> None:
    """A duplicate is rejected and one below the minimum is below, with a sample as without."""
    rows = [Item("a", "Dog", 95.0), Item("a", "Dog", 95.0), Item("b", "Dog", 70.0), Item("c", "Dog", 20.0)]
    with spilled(rows) as spill:
        assert spill.take_sample(BANDS, {"Dog": [5, 5]}) == {"Dog": [[80, 90, 0, 0], [90, 100, 1, 1]]}
        # b lies above the minimum and below the lowest band.
        assert spill.counts() == Counts({"Dog": 1}, below=1, rejected=1, left_out=1)
        assert [rejected.line for rejected in spill.rejected()] == [3]


@pytest.mark.slow
def test_weighted_shares_of_samples_are_right_on_average() -> None:
    """Over 1,000 seeds the weighted share right has the truth as its mean, and the planned standard error."""
    low = [Item(f"low/{n}", "Dog", 85.0) for n in range(40)]
    high = [Item(f"high/{n}", "Dog", 95.0) for n in range(60)]
    right = {item.image for item in (*low[:24], *high[:54])}  # 0.6 and 0.9 of them, 0.78 of all
    seeds, shares = 1000, []
    for seed in range(seeds):
        with spilled([*low, *high], seed) as spill:
            ((_, strata),) = spill.take_sample(BANDS, {"Dog": [10, 6]}).items()
            weights = [population / taken for _, _, population, taken in strata]
            drawn = list(spill.items(Order.PAGE))
        shares.append(sum(weights[item.confidence > 90] * (item.image in right) for item in drawn) / 100)
    error = standard_error([Stratum(80, 90, 40, 10, 0.6), Stratum(90, 100, 60, 6, 0.9)])
    assert error is not None
    mean = math.fsum(shares) / seeds
    assert abs(mean - 0.78) < 4 * error / math.sqrt(seeds)
    spread = math.sqrt(math.fsum((share - mean) ** 2 for share in shares) / seeds)
    assert abs(spread / error - 1) < 0.1
