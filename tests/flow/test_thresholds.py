from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable, Iterable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest  # type: ignore[import-untyped]

from bulkqa.errors import InputError
from bulkqa.flow.bands import PUBLISHED_BANDS, Bands
from bulkqa.flow.plan import Sample
from bulkqa.flow.thresholds import (
    EXACT,
    MOST_REVIEWS,
    SEQUENTIAL,
    Evidence,
    Promise,
    Reviews,
    Threshold,
    as_json,
    as_table,
    cost_thresholds,
    further_reviews,
    promised_thresholds,
    read_ratio,
    settled,
    weigh,
)
from bulkqa.flow.votes import LabelRow

serial = itertools.count()

# Total and incorrect items of the bands from 80 on in the published tables, and the threshold at 1:10.
PUBLISHED = """
Beaver 2 1 3 0 13 0 10 0 85
Cat 1 1 0 0 5 0 4 0 85
Crawdad 1 1 10 8 10 6 47 19 100
Dinosaur 4 0 10 1 12 1 39 1 90
Dog 1 0 5 1 34 0 28 1 90
Saxophone 1 0 2 1 22 1 15 0 90
Sea~Turtle 5 1 8 1 13 0 60 0 90
Soccer~Ball 8 5 7 5 9 6 63 2 95
Stop~sign 6 0 9 0 12 0 31 0 80
Crab 4 0 7 0 11 0 23 0 80
Crawdad~of~shellfish 1 0 10 8 10 8 47 36 100
Lobster 4 4 10 4 11 3 28 2 95
Scorpion 8 3 6 2 27 0 36 0 90
Shrimp 0 0 1 1 0 0 1 1 100
"""


def rows(
    label: str, confidence: float, right: int = 0, wrong: int = 0, unreviewed: int = 0
) -> list[LabelRow]:
    """Return so many items of a label; every other wrong one is split."""
    votes = [(1, 0)] * right + [(place % 2, 1) for place in range(wrong)] + [(0, 0)] * unreviewed
    return [LabelRow((f"{next(serial)}.jpg", label), confidence, *counts) for counts in votes]


def sampled(label: str, model: Callable[[float], float], number: int, seed: int) -> list[LabelRow]:
    """Return reviewed items of a made label, evenly spread from 80 to 100."""
    source = random.Random(seed)
    confidences = [80 + 20 * source.random() for _ in range(number)]
    return [
        row
        for confidence in confidences
        for right in (source.random() < model(confidence),)
        for row in rows(label, confidence, right, not right)
    ]


def by_cost(
    found: Iterable[LabelRow], ratio: Fraction | int = 10, bands: Bands = PUBLISHED_BANDS
) -> Threshold:
    """Return the threshold by cost of the one label."""
    (threshold,) = cost_thresholds(weigh(found, bands), ratio)
    return threshold


def promised(found: Iterable[LabelRow], target: float = 0.95, bands: Bands = PUBLISHED_BANDS) -> Promise:
    """Return the threshold by target of the one label."""
    (promise,) = promised_thresholds(weigh(found, bands), target)
    return promise


row_lists = st.lists(
    st.builds(
        LabelRow,
        st.tuples(st.text("abc", min_size=1), st.sampled_from(["Cat", "Dog", "é"])),
        st.one_of(st.floats(0, 100), st.sampled_from([79.99999999, 80.0, 95.0, 97.5, 99.0, 100.0])),
        st.integers(0, 1),
        st.integers(0, 1),
        source=st.sampled_from([None, None, "model-2", "relabel:dogs", "adjudicate:dogs"]),
    ),
    max_size=40,
)


@st.composite
def labels(draw: st.DrawFn) -> list[LabelRow]:
    """Draw the reviewed items of one label: a few hundred, mostly right above some confidence."""
    right = draw(st.floats(0.9, 1))
    bend = draw(st.sampled_from([0, 85, 92, 98]))
    number = draw(st.integers(0, 500))
    return sampled("Dog", lambda c: right if c >= bend else 0.7, number, draw(st.integers(0, 99)))


# Counting.


def test_cuts_of_bands() -> None:
    """Cuts stand at the bands' bounds, at whole points and half way up the highest band."""
    assert Evidence((0.5, 2.25, 4, 100)).cuts[:5] == (0.5, 1, 2, 2.25, 3)
    assert 52 in Evidence((0, 4, 100)).cuts
    assert Evidence((99, 99.5, 100)).cuts == (99, 99.5, 99.75)
    with pytest.raises(InputError, match="have to rise"):
        Evidence((90, 80, 100))


def test_later_rounds_are_not_tested_but_their_labels_are_listed() -> None:
    """Rows of relabelling and adjudication count for nothing; their labels are there, with the reason."""
    chosen = [
        row._replace(source=f"{kind}:dogs")
        for kind in ("relabel", "adjudicate")
        for row in rows("Cat", 99, 90)
    ]
    others = [row._replace(source="dogs-model") for row in rows("Dog", 99, 90)]
    cat, dog = promised_thresholds(weigh(chosen + others))
    assert (cat.threshold, cat.reviewed) == (None, 0)
    assert "180 of a relabelling or adjudication are left out" in cat.reason
    assert (dog.threshold, dog.reviewed) == (80, 90)
    assert "relabelling" not in dog.reason
    by_ratio = cost_thresholds(weigh(chosen + others), 10)
    assert [one.supported for one in by_ratio] == [False, True]
    assert "180 of a relabelling" in by_ratio[0].reason


@given(row_lists, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(found: list[LabelRow], source: random.Random) -> None:
    """The same rows in another order give the same answers."""
    shuffled = found.copy()
    source.shuffle(shuffled)
    one, other = weigh(found), weigh(shuffled)
    assert cost_thresholds(one, 3) == cost_thresholds(other, 3)
    assert promised_thresholds(one, 0.5, 0.8) == promised_thresholds(other, 0.5, 0.8)


@given(row_lists)
def test_labels_do_not_depend_on_each_other(found: list[LabelRow]) -> None:
    """Every label of the rows is listed once, in code-point order, with the answer it has alone."""
    names = sorted({row.key[1] for row in found})
    together = promised_thresholds(weigh(found), 0.5, 0.8)
    assert [one.label for one in together] == names
    assert [one.label for one in cost_thresholds(weigh(found), 3)] == names
    for one in together:
        alone = weigh(row for row in found if row.key[1] == one.label)
        assert promised_thresholds(alone, 0.5, 0.8) == [one]


# By cost.


def test_published_thresholds() -> None:
    """At 1:10 the thresholds of the published tables come out, for every label."""
    found, expected = [], {}
    for line in PUBLISHED.strip().splitlines():
        label, *cells = line.split()
        *counts, threshold = map(int, cells)
        for low, total, wrong in zip((80, 85, 90, 95), counts[::2], counts[1::2], strict=True):
            found += rows(label, low + 2.5, total - wrong, wrong)
        expected[label] = threshold
    thresholds = cost_thresholds(weigh(found), 10)
    assert {one.label: one.threshold for one in thresholds} == expected
    assert all(one.supported or one.accepts_nothing for one in thresholds)
    nothing = {"Crawdad", "Crawdad~of~shellfish", "Shrimp"}
    assert {one.label for one in thresholds if one.accepts_nothing} == nothing


def test_a_tie_stops() -> None:
    """One wrong to exactly 10 right is not below 1:10; one more right is."""
    assert by_cost(rows("Dog", 82, 10, 1) + rows("Dog", 97, 1)).threshold == 85
    assert by_cost(rows("Dog", 82, 11, 1) + rows("Dog", 97, 1)).threshold == 80


def test_ratios_are_exact() -> None:
    """0.1 is a tenth, not the float next to it: 10 wrong to 1 right is a tie at 1:0.1."""
    tie = rows("Dog", 97, 1, 10)
    assert by_cost(tie, read_ratio("0.1")).accepts_nothing
    assert not by_cost([*tie, *rows("Dog", 97, 1)], read_ratio("0.1")).accepts_nothing
    assert read_ratio("2.50") == Fraction(5, 2)


@pytest.mark.parametrize("text", ["", "ten", "1/3", "nan", "inf", "0", "-1", "1e-7", "1e999999999"])
def test_ratios_that_cannot_be(text: str) -> None:
    """What is no ratio is refused by name, however it is written, and at once."""
    with pytest.raises(InputError, match="cost ratio"):
        read_ratio(text)


def test_empty_bands_pass_but_support_nothing() -> None:
    """Without any reviewed item the threshold is the lowest bound, unsupported."""
    for found in (rows("Dog", 97, unreviewed=5), rows("Dog", 12, 5)):
        assert by_cost(found)[1:4] == (80, False, False)


def test_only_empty_bands_above_support_nothing() -> None:
    """A threshold above which nothing was reviewed says so."""
    found = by_cost(rows("Dog", 82, 1, 1))
    assert found[1:4] == (85, False, False)
    assert "no item reviewed above" in found.reason


def test_nothing_good_enough_beats_better_bands_below() -> None:
    """Where the highest band fails, nothing is accepted, whatever is below it."""
    found = by_cost(rows("Dog", 82, 100) + rows("Dog", 97, 1, 1))
    assert found[1:4] == (100, False, True)


@given(row_lists, st.integers(1, 20), st.integers(1, 20))
def test_a_dearer_mistake_never_lowers_a_threshold(found: list[LabelRow], ratio: int, more: int) -> None:
    """With a higher ratio every threshold is as high or higher, and it is always a bound of the bands."""
    for lower, higher in zip(
        cost_thresholds(weigh(found), ratio), cost_thresholds(weigh(found), ratio + more), strict=True
    ):
        assert lower.threshold <= higher.threshold
        assert {lower.threshold, higher.threshold} <= set(PUBLISHED_BANDS)


# By target.


def test_a_promise_is_the_exact_test() -> None:
    """With all at one confidence, the answer turns where scipy's exact test passes a fifth of the error."""
    decided = set()
    for right in range(200, 250):
        passed = bool(binomtest(right, right + 4, 0.95, alternative="greater").pvalue <= 0.01)
        assert promised(rows("Dog", 99.5, right, 4)).threshold == (80 if passed else None)
        decided.add(passed)
    assert decided == {True, False}


def test_the_lowest_cut_that_passes_is_chosen() -> None:
    """Good items above 90.5 and bad ones below it: the cut between them, or just below, never above."""
    found = promised(rows("Dog", 95.5, 400, 4) + rows("Dog", 91.5, 200, 2) + rows("Dog", 88.5, 10, 90))
    assert found.threshold == 89
    assert (found.confirmed, found.reviewed) == (600, 606)
    assert found.supported
    assert found.lower_bound is not None
    assert 0.95 <= found.lower_bound < 600 / 606


def test_a_lower_start_does_not_need_the_stricter_ones() -> None:
    """Too few items above 95 to show anything there do not stand in the way of those below."""
    found = promised(rows("Dog", 99.5, 3) + rows("Dog", 85, 400, 2))
    assert found.threshold == 80


def test_what_is_missing_is_said() -> None:
    """Too few reviews: no threshold, how many more, where, and how many are left there."""
    found = promised(rows("Dog", 97, 25) + rows("Dog", 97, unreviewed=30))
    assert (found.threshold, found.supported, found.accepts_nothing) == (None, False, False)
    assert found.more_reviews_needed is not None
    assert 40 < found.more_reviews_needed < 300
    assert found.between is not None
    assert found.between[1] == 100
    assert f"about {found.more_reviews_needed} more reviews" in found.reason
    assert "only 30 left unreviewed" in found.reason
    assert (found.reviewed, found.confirmed, found.lower_bound) == (25, 25, None)


@pytest.mark.parametrize("number", [0, 1, 25, 80])
def test_the_reviews_asked_for_settle_it(number: int) -> None:
    """With as many more a threshold can be promised, if they turn out as well."""
    before = promised(rows("Dog", 99.5, number) + rows("Dog", 99.5, unreviewed=1))
    assert before.more_reviews_needed is not None
    assert promised(rows("Dog", 99.5, number + before.more_reviews_needed)).threshold == 80


def test_nothing_reviewed() -> None:
    """A label without a review, or without an item in a band, asks for reviews and promises nothing."""
    for found in (promised(rows("Dog", 97, unreviewed=1)), promised(rows("Dog", 12, 9))):
        assert found.threshold is None
        assert found.more_reviews_needed is not None
        assert found.more_reviews_needed > 59
        assert found.between == (80, 100)
    assert promised_thresholds(weigh([])) == []


def test_a_target_that_cannot_be_met() -> None:
    """Many wrong ones up to the top: no number of reviews is asked for, and what is the most is said."""
    found = promised(rows("Dog", 99.5, 70, 30) + rows("Dog", 90, 50, 50))
    assert (found.threshold, found.accepts_nothing, found.more_reviews_needed) == (None, True, None)
    high = binomtest(70, 100, alternative="less").proportion_ci(0.95, method="exact").high
    assert found.at_most == pytest.approx(float(high))
    assert found.reason == "cannot be met: precision from 99 on is at most 77.6 %"


def test_few_items_at_the_top_leave_it_open() -> None:
    """Bad items below say nothing of the top: there reviews are asked for before it is given up."""
    found = promised(rows("Dog", 82, 100, 100))
    assert (found.accepts_nothing, found.at_most) == (False, None)
    assert found.between == (99, 100)


def test_a_share_on_the_line_asks_for_no_number_it_does_not_know() -> None:
    """Where more reviews than are ever made would be needed, that is said."""
    evidence = Evidence()
    places = range(len(evidence.cuts))
    evidence.labels["Dog"] = Reviews(
        *([number * (place == 0) for place in places] for number in (950_000, 50_000, 0))
    )
    (found,) = promised_thresholds(evidence)
    assert found.more_reviews_needed == MOST_REVIEWS
    assert "more than 100,000 more reviews" in found.reason


def test_bounds_are_rounded_to_the_safe_side() -> None:
    """A lower bound is never printed above what it is."""
    found = promised(rows("Dog", 99.5, 90))
    assert found.lower_bound == pytest.approx(0.05 ** (1 / 90))
    assert "at least 96.7 % right" in found.reason  # 96.726
    assert "at least 96.4 % right" in promised(rows("Dog", 99.5, 82), 0.94).reason  # 96.412


@given(labels(), st.floats(0.5, 0.99), st.floats(0, 0.009))
def test_a_tighter_target_never_lowers_a_threshold(found: list[LabelRow], target: float, more: float) -> None:
    """With a higher target or more assurance a threshold is as high or higher, or there is none."""
    evidence = weigh(found)
    for (loose,), (tight,) in (
        (
            (promised_thresholds(evidence, target), promised_thresholds(evidence, target + more)),
            (promised_thresholds(evidence, 0.95, target), promised_thresholds(evidence, 0.95, target + more)),
        )
        if found
        else ()
    ):
        assert (loose.threshold or 0) <= (tight.threshold or 101) or loose.threshold is None
        if loose.threshold is None:
            assert tight.threshold is None


@given(labels(), st.data())
def test_a_better_vote_never_raises_a_threshold(found: list[LabelRow], data: st.DataObject) -> None:
    """If a wrong item had been confirmed, the threshold would be as low or lower."""
    wrong = [place for place, row in enumerate(found) if row.disconfirms]
    if not wrong:
        return
    place = data.draw(st.sampled_from(wrong))
    before = promised(found).threshold
    better = found[:place] + rows("Dog", found[place].confidence, 1) + found[place + 1 :]
    after = promised(better).threshold
    assert before is None or (after is not None and after <= before)


@given(labels())
def test_what_is_promised_follows_from_the_items_above(found: list[LabelRow]) -> None:
    """A threshold has at least the target among the items it names, which are those at or above it."""
    if not found:
        return
    promise = promised(found)
    if promise.threshold is None:
        assert (
            (promise.more_reviews_needed is None) == promise.accepts_nothing == (promise.at_most is not None)
        )
        return
    above = [row for row in found if row.confidence >= promise.threshold]
    assert promise.reviewed == len(above)
    assert promise.confirmed == sum(not row.disconfirms for row in above)
    assert promise.lower_bound is not None
    assert 0.95 <= promise.lower_bound <= promise.confirmed / promise.reviewed


@pytest.mark.parametrize(
    ("target", "assurance"), [(0, 0.95), (1, 0.95), (95, 0.95), (0.95, 1), (float("nan"), 0.5)]
)
def test_shares_that_cannot_be(target: float, assurance: float) -> None:
    """A target or an assurance outside 0 to 1 is refused by name."""
    with pytest.raises(InputError, match=r"(target|assurance) .* is not between 0 and 1"):
        promised_thresholds(weigh([]), target, assurance)


# Bands reviewed at different rates.


def test_uneven_bands_are_not_pooled() -> None:
    """Reviewed all above 95 and hardly below: what is above does not vouch for what is below."""
    top = rows("Dog", 97, 600)
    assert promised(top + rows("Dog", 82, 12)).threshold == 80
    uneven = promised(top + rows("Dog", 82, 12, 0, 588))
    assert uneven.threshold == 85  # nothing lies between
    assert (uneven.confirmed, uneven.reviewed) == (600, 600)


def test_a_random_part_is_pooled() -> None:
    """Reviews that came by chance to different shares of the bands are still one sample."""
    source = random.Random(3)
    confidences = [80 + 20 * source.random() for _ in range(2000)]
    found = [
        row
        for c in confidences
        for row in rows("Dog", c, *((1, 0, 0) if source.random() < 0.1 else (0, 0, 1)))
    ]
    assert promised(found).threshold == 80


def sample(*taken: int) -> dict[str, list[list[float]]]:
    """Return a sample with so many of 1,000 items taken from each of the four bands."""
    return {"Dog": [[low, low + 5, 1000, n] for low, n in zip((80, 85, 90, 95), taken, strict=True)]}


def test_an_uneven_sample_is_tested_band_by_band() -> None:
    """The highest band at the whole error, and those below it as long as they pass."""
    found = rows("Dog", 96, 59) + rows("Dog", 92, 93, 1) + rows("Dog", 87, 58) + rows("Dog", 82, 400)
    (uneven,) = promised_thresholds(weigh(found), samples=sample(400, 58, 94, 59))
    assert uneven.threshold == 90
    assert (uneven.confirmed, uneven.reviewed) == (152, 153)
    assert uneven.lower_bound == pytest.approx(0.05 ** (1 / 59))  # the least of both
    assert "from 95 on and in each band below" in uneven.reason
    (fewer,) = promised_thresholds(weigh(found[1:]), samples=sample(400, 58, 94, 58))
    assert fewer.threshold is None  # 0.95 ** 58 is above 0.05, though bands below would pass
    assert promised(found).threshold == 80  # as one sample all of them count


def test_an_uneven_sample_asks_for_reviews_in_the_highest_band() -> None:
    """Where the highest band cannot be decided, that is where reviews are wanted; or it cannot be met."""
    few = rows("Dog", 96, 58) + rows("Dog", 82, 9)
    (missing,) = promised_thresholds(weigh(few), samples=sample(9, 0, 0, 58))
    assert missing.between == (95, 100)
    assert missing.reviewed == 67
    (bad,) = promised_thresholds(weigh(rows("Dog", 96, 50, 10)), samples=sample(9, 0, 0, 60))
    assert bad.accepts_nothing


def test_reviews_added_where_they_were_asked_for_count_there() -> None:
    """After further reviews above 97.5 alone, cuts from there on are tested, and what is below by itself."""
    before = rows("Dog", 98.2, 40) + rows("Dog", 96, 40, 4) + rows("Dog", 85, 100, 30)
    waiting = rows("Dog", 96, unreviewed=400) + rows("Dog", 85, unreviewed=1300)
    found = promised(before + waiting + rows("Dog", 98.2, 100))
    assert found.threshold == 97.5
    assert (found.confirmed, found.reviewed) == (140, 140)


def test_an_even_sample_is_pooled() -> None:
    """A sample at one rate, to whole items, is one sample."""
    found = rows("Dog", 97, 50) + rows("Dog", 92, 51) + rows("Dog", 87, 50) + rows("Dog", 82, 49)
    (even,) = promised_thresholds(weigh(found), samples=sample(49, 50, 51, 50))
    assert even.threshold == 80


def test_a_band_without_items_belongs_to_the_one_above() -> None:
    """A sampled corpus without items from 85 to 95: the highest band vouches down to 85."""
    strata = {"Dog": [[80, 85, 1000, 5], [85, 90, 0, 0], [90, 95, 0, 0], [95, 100, 100, 90]]}
    (found,) = promised_thresholds(weigh(rows("Dog", 97, 90) + rows("Dog", 82, 5)), samples=strata)
    assert found.threshold == 85


def test_a_sample_in_other_bands_is_refused() -> None:
    """A sample whose bands are not those of the evidence cannot be tested."""
    strata = {"Dog": [[80, 82.5, 1000, 5], [82.5, 100, 100, 90]]}
    with pytest.raises(InputError, match=r"begins at 82\.5"):
        promised_thresholds(weigh(rows("Dog", 97, 90)), samples=strata)


# Looked at again and again.


def looked_at(
    found: Iterable[LabelRow], bands: Bands = PUBLISHED_BANDS, samples: Sample | None = None
) -> Promise | None:
    """Return what is settled of the one label."""
    return settled(weigh(found, bands), "Dog", 0.95, 0.95, samples)


def test_the_lowest_start_settles_a_label() -> None:
    """All right: the bet against 0.95 has to win 100, which it does at 117, at every start alike."""
    assert looked_at(rows("Dog", 99.5, 116)) is None
    found = looked_at(rows("Dog", 99.5, 117))
    assert found is not None
    assert (found.threshold, found.supported, found.reviewed) == (80, True, 117)
    # At 80 all five parts have come together: (0.05 * 39 / 156) ** (1 / 117).
    assert found.lower_bound == pytest.approx(0.0125 ** (1 / 117))


def test_looking_again_and_again_asks_for_more_than_looking_once() -> None:
    """What the exact test passes is not yet enough for the sequential one."""
    evidence = weigh(rows("Dog", 99.5, 100))
    (once,), (again,) = promised_thresholds(evidence), promised_thresholds(evidence, test=SEQUENTIAL)
    assert (once.threshold, again.threshold) == (80, None)
    assert again.more_reviews_needed is not None
    assert 10 < again.more_reviews_needed < 100


def test_a_target_that_cannot_be_met_settles_a_label() -> None:
    """Each start has to be shown to be below the target; as long as the strictest is not, it is open."""
    below = rows("Dog", 82, 100, 100)
    assert looked_at([*below, *rows("Dog", 99.5, 0, 1)]) is None  # 1 / 2 over 0.05 is less than 20
    found = looked_at([*below, *rows("Dog", 99.5, 0, 2)])  # 1 / 3 over 0.05 ** 2 is more
    assert found is not None
    assert (found.threshold, found.accepts_nothing, found.reviewed, found.confirmed) == (None, True, 202, 100)
    assert found.at_most == pytest.approx(1 - (0.05 / 3) ** 0.5)


def test_a_threshold_settles_a_label_once_nothing_below_it_can_pass() -> None:
    """With a threshold from 83 on, reviews go on until 80 is shown to be below the target."""
    above = rows("Dog", 97, 400)
    assert promised([*above, *rows("Dog", 82, 20, 20)]).threshold == 83
    assert looked_at([*above, *rows("Dog", 82, 20, 20)]) is None
    found = looked_at([*above, *rows("Dog", 82, 70, 70)])
    assert found is not None
    assert (found.threshold, found.reviewed) == (83, 400)


def test_an_uneven_sample_is_settled_band_by_band() -> None:
    """After the highest band the next one: its passing goes on, its failing ends it."""
    strata = {"Dog": [[80, 90, 1000, 300], [90, 100, 100, 100]]}
    high, bands = rows("Dog", 97, 100), (80, 90, 100)
    assert looked_at([*high, *rows("Dog", 85, 10)], bands, strata) is None
    both = looked_at([*high, *rows("Dog", 85, 100)], bands, strata)
    assert both is not None
    assert both.threshold == 80
    one = looked_at([*high, *rows("Dog", 85, 10, 10)], bands, strata)
    assert one is not None
    assert one.threshold == 90


def test_the_order_of_pages_decides_what_is_tested_together() -> None:
    """Pages come shuffled, so bands that were reviewed at different rates by chance stay together."""
    found = rows("Dog", 97, 600) + rows("Dog", 82, 12, 0, 588)
    (exact,) = promised_thresholds(weigh(found))
    (again,) = promised_thresholds(weigh(found), test=SEQUENTIAL)
    assert (exact.threshold, again.threshold) == (85, 80)


def test_an_item_counts_once_it_has_its_votes() -> None:
    """One of two votes says nothing yet: it looks right until the second one comes."""
    evidence = Evidence(votes=2)
    for confirms, disconfirms, cannot_judges in ((1, 0, 0), (2, 0, 0), (1, 1, 0), (1, 0, 1), (0, 0, 2)):
        evidence.count(LabelRow(("a.jpg", "Dog"), 99.5, confirms, disconfirms, cannot_judges))
    assert evidence.labels["Dog"].between(0, len(evidence.cuts)) == (2, 3, 2)


@given(labels())
def test_what_is_settled_is_what_is_promised(found: list[LabelRow]) -> None:
    """A settled label has the promise that all labels get, and asks for no more reviews."""
    evidence = weigh(found)
    for promise in promised_thresholds(evidence, test=SEQUENTIAL):
        done = settled(evidence, promise.label)
        assert done in (None, promise)
        if promise.threshold == 80 or promise.accepts_nothing:
            assert done == promise
        if done is None:
            assert further_reviews(evidence, promise.label) > 0
            assert promise.threshold is not None or promise.more_reviews_needed is not None


@pytest.mark.parametrize(("right", "wrong"), [(117, 1), (118, 2), (117, 30)])
def test_the_images_asked_for_settle_it(right: int, wrong: int) -> None:
    """With as many more that turn out so, or somewhat better, a label is settled."""
    evidence = weigh(rows("Dog", 99.5, right, wrong))
    more = further_reviews(evidence, "Dog")
    assert 0 < more < MOST_REVIEWS
    share = right / (right + wrong)
    turned_out = round(more * (share + (0.01 if wrong < 10 else -0.01)))
    assert looked_at(rows("Dog", 99.5, right + turned_out, wrong + more - turned_out)) is not None


def test_images_are_asked_for_as_they_come() -> None:
    """Where a label hangs on its few items at the top, many of all have to be looked at."""
    evidence = weigh(rows("Dog", 82, 100, 100) + rows("Dog", 99.5, 1, 1))
    (promise,) = promised_thresholds(evidence, test=SEQUENTIAL)
    assert promise.between == (99, 100)
    assert promise.more_reviews_needed is not None
    assert further_reviews(evidence, "Dog") == pytest.approx(promise.more_reviews_needed * 203 / 3, abs=1)


@pytest.mark.slow
def test_few_labels_are_promised_falsely_though_looked_at_after_every_page() -> None:
    """Just below the target everywhere, of 200 labels at most 10 close with a threshold, in 40 looks each."""
    false = 0
    for n in range(200):
        evidence, found = Evidence(), sampled("Dog", lambda c: 0.9499, 1000, 2000 + n)
        done = None
        while found and done is None:
            for row in found[:25]:
                evidence.count(row)
            del found[:25]
            done = settled(evidence, "Dog")
        false += done is not None and done.threshold is not None
    assert false <= 10


# Over all labels together.


def together(**right: int) -> dict[str, Promise]:
    """Return the joint promises of labels of which so many are right, and none wrong, all at 99.5."""
    found = [row for label, number in right.items() for row in rows(label, 99.5, number)]
    return {one.label: one for one in promised_thresholds(weigh(found), jointly=True)}


def test_labels_share_the_error() -> None:
    """Two labels: a start has 0.025 / 5, which 0.95 ** 103 = 0.00508 is above and 0.95 ** 104 is not."""
    assert [one.threshold for one in together(Cat=103, Dog=103).values()] == [None, None]
    assert [one.threshold for one in together(Cat=104, Dog=20).values()] == [80, None]


def test_a_label_that_is_through_hands_its_error_on() -> None:
    """Then 90 are enough for the other, as they would be alone: its lowest start has 0.005 + 0.025."""
    found = together(Cat=104, Dog=90)
    assert [one.threshold for one in found.values()] == [80, 80]
    assert found["Cat"].lower_bound == pytest.approx(0.025 ** (1 / 104))
    assert found["Dog"].lower_bound == pytest.approx(0.03 ** (1 / 90))
    assert together(Cat=104, Dog=89)["Dog"].threshold is None  # which it would not have alone


def test_error_is_handed_on_again_and_again() -> None:
    """Of three labels the second needs the first, and the third both."""
    thresholds = [one.threshold for one in together(A=112, B=95, C=90).values()]
    assert thresholds == [80, 80, 80]
    # 0.95 ** 95 = 0.0077 is above 0.05 / 15: without A neither of the others is through.
    assert [one.threshold for one in together(A=111, B=95, C=90).values()] == [None] * 3


def test_labels_without_an_item_to_test_have_no_part() -> None:
    """A label below the bands, or of a relabelling, leaves the others what they have."""
    other = [row._replace(source="relabel:dogs") for row in rows("Elk", 99, 9)]
    found = promised_thresholds(weigh(rows("Dog", 99.5, 90) + rows("Cat", 12, 9) + other), jointly=True)
    assert [one.threshold for one in found] == [None, 80, None]


def test_joint_targets_that_cannot_be_met_share_the_error_too() -> None:
    """What is enough to give up a label by itself is not among a hundred of them."""
    bad = rows("Dog", 99.5, 18, 4)
    others = [row for number in range(99) for row in rows(f"{number}", 99.5, 1)]
    assert promised_thresholds(weigh(bad + others))[-1].accepts_nothing
    assert not promised_thresholds(weigh(bad + others), jointly=True)[-1].accepts_nothing


@given(st.lists(labels(), min_size=1, max_size=4), st.sampled_from([0.5, 0.8, 0.95]), st.booleans())
def test_a_joint_promise_is_never_lower(
    found: list[list[LabelRow]], assurance: float, sequential: bool
) -> None:
    """A threshold for all labels together is as high as a label's own, or higher; of one label, the same."""
    of_labels = [
        row._replace(key=(row.key[0], f"{number}")) for number, some in enumerate(found) for row in some
    ]
    evidence, test = weigh(of_labels), SEQUENTIAL if sequential else EXACT
    alone = promised_thresholds(evidence, 0.9, assurance, test=test)
    joint = promised_thresholds(evidence, 0.9, assurance, test=test, jointly=True)
    for one, all_of_them in zip(alone, joint, strict=True):
        assert all_of_them.threshold is None or (one.threshold or 101) <= all_of_them.threshold
        assert one.accepts_nothing or not all_of_them.accepts_nothing
    if len(alone) == 1:
        assert alone == joint


@pytest.mark.slow
@pytest.mark.parametrize("good", [0, 19])
def test_few_reports_have_a_false_joint_promise(good: int) -> None:
    """Of 20 labels some are good and the others just below the target: at most 5 of 100 reports err."""
    source = np.random.default_rng(good)
    evidence = Evidence()
    false = given = 0
    for _ in range(100):
        for number in range(20):
            items = source.multinomial(600, [1 / len(evidence.cuts)] * len(evidence.cuts))
            right = source.binomial(items, 0.99 if number < good else 0.95)
            zeros = [0] * len(evidence.cuts)
            evidence.labels[f"{number:02d}"] = Reviews(right.tolist(), (items - right).tolist(), zeros)
        promised = [one.threshold is not None for one in promised_thresholds(evidence, jointly=True)]
        given += sum(promised[:good])
        false += any(promised[good:])
    assert false <= 5
    assert given >= 0.98 * 100 * good


# Results.


def test_json_of_both_rules() -> None:
    """The keys scripts read, and a map with null where nothing is accepted."""
    found = rows("Crab", 97, 100) + rows("Shrimp", 97, 10, 90)
    document = json.loads(json.dumps(as_json(cost_thresholds(weigh(found), 10), {"rule": "cost-ratio"})))
    assert list(document) == ["rule", "thresholds", "map"]
    for entry in document["thresholds"]:
        assert list(entry) == ["label", "threshold", "supported", "accepts_nothing", "reason"]
    assert document["map"] == {"Crab": 80, "Shrimp": None}
    promises = json.loads(json.dumps(as_json(promised_thresholds(weigh(found)), {"rule": "target"})))
    assert promises["map"] == {"Crab": 80, "Shrimp": None}
    assert (
        promises["thresholds"][1]["more_reviews_needed"] is None
        or promises["thresholds"][1]["threshold"] is None
    )


@given(row_lists, st.booleans())
def test_csv_agrees_with_json(found: list[LabelRow], by_target: bool) -> None:
    """A row of CSV for each label has what JSON has."""
    evidence = weigh(found)
    thresholds = promised_thresholds(evidence, 0.6, 0.9) if by_target else cost_thresholds(evidence, 2)
    header, *lines = as_table(thresholds, by_target, 1)
    entries = as_json(thresholds, {})["thresholds"]
    assert isinstance(entries, list)
    assert len(lines) == len(entries)
    for line, entry in zip(lines, entries, strict=True):
        cells = dict(zip(header, line, strict=True))
        assert cells.pop("schema") == 1
        if by_target:
            low, high = cells.pop("low"), cells.pop("high")
            assert entry.pop("between") == (None if low is None else (low, high))
        assert cells == entry


@pytest.mark.slow
@pytest.mark.parametrize(("right", "least"), [(0.99, 0.95), (0.98, 0.85)])
def test_good_labels_are_decided(right: float, least: float) -> None:
    """With 600 reviews nearly every label that is so right everywhere gets a threshold."""
    evidence = weigh(row for n in range(100) for row in sampled(f"{n}", lambda c: right, 600, n))
    decided = sum(one.threshold is not None for one in promised_thresholds(evidence))
    assert decided >= 100 * least


@pytest.mark.slow
def test_few_promises_are_false() -> None:
    """Just below the target everywhere, at most 5 of 100 labels get a threshold."""
    evidence = weigh(row for n in range(200) for row in sampled(f"{n}", lambda c: 0.9499, 600, 1000 + n))
    assert sum(one.threshold is not None for one in promised_thresholds(evidence)) <= 10
