import math
from collections import Counter
from typing import Any

import krippendorff
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bulkqa.flow.agreement import Agreement, Figure, Votes, agreement, in_words
from bulkqa.flow.statistics import wilson
from bulkqa.flow.votes import LabelRow

FIGURES = ("agreed", "on_confirms", "on_rejects", "alpha", "ac1")

patterns = st.dictionaries(
    st.tuples(st.integers(0, 4), st.integers(0, 4)), st.integers(1, 30), min_size=1, max_size=8
)


def one_by_one(found: dict[tuple[int, int], int]) -> list[list[int]]:
    """The votes on each item, 1 for a confirm."""
    return [[1] * c + [0] * d for (c, d), number in sorted(found.items()) for _ in range(number)]


def row(
    label: str = "Dog",
    confirmed: tuple[str, ...] = (),
    rejected: tuple[str, ...] = (),
    unsure: tuple[str, ...] = (),
) -> LabelRow:
    """A row with these voters."""
    by = (frozenset(confirmed), frozenset(rejected), frozenset(unsure))
    return LabelRow(("a.jpg", label), 90.0).with_voters(*by)


@given(patterns)
def test_alpha_is_the_packages(found: dict[tuple[int, int], int]) -> None:
    """Krippendorff's alpha has the value of the package of that name, and none where it has none."""
    votes = one_by_one(found)
    paired = [vote for item in votes if len(item) > 1 for vote in item]
    alpha = agreement(found).alpha.value
    if len(set(paired)) < 2:
        assert alpha is None
        return
    widest = max(map(len, votes))
    data: Any = np.array([item + [np.nan] * (widest - len(item)) for item in votes], dtype=float)
    assert alpha == pytest.approx(krippendorff.alpha(data.T, level_of_measurement="nominal"), abs=1e-12)


@given(patterns)
def test_ac1_is_gwets_formula(found: dict[tuple[int, int], int]) -> None:
    """Gwet's AC1, written out over the votes item by item: single votes count in the shares alone."""
    votes = [item for item in one_by_one(found) if item]
    several = [item for item in votes if len(item) > 1]
    if not several:
        assert agreement(found) == Agreement()
        return
    same = [
        sum(a == b for i, a in enumerate(item) for b in item[:i]) / math.comb(len(item), 2)
        for item in several
    ]
    observed = sum(same) / len(same)
    share = sum(sum(item) / len(item) for item in votes) / len(votes)
    expected = 2 * share * (1 - share)
    assert agreement(found).agreed.value == pytest.approx(observed, abs=1e-12)
    assert agreement(found).ac1.value == pytest.approx((observed - expected) / (1 - expected), abs=1e-12)


def test_the_known_example() -> None:
    """Two reviewers who each reject 5 % and agree on 95 %: alpha 0.47 at most moderate, AC1 0.94."""
    found = agreement({(2, 0): 925, (0, 2): 25, (1, 1): 50})
    assert found.agreed == Figure(0.95, wilson(950, 1000))
    assert found.on_rejects.value == pytest.approx(2 * 25 / (2 * 25 + 50))
    assert found.on_confirms.value == pytest.approx(2 * 925 / (2 * 925 + 50))
    # Expected disagreement 2 x 1900 x 100 / (2000 x 1999), observed 0.05.
    assert found.alpha.value == pytest.approx(1 - 0.05 * 2000 * 1999 / (2 * 1900 * 100))
    assert found.ac1.value == pytest.approx((0.95 - 0.095) / (1 - 0.095))


@given(patterns)
def test_intervals_leave_out_one_item_at_a_time(found: dict[tuple[int, int], int]) -> None:
    """The interval of alpha is that of the jackknife over items, done here item by item."""
    whole = agreement(found)
    assume(whole.alpha.interval is not None)
    left = []
    for item in (pattern for pattern, number in found.items() for _ in range(number) if sum(pattern)):
        less = Counter(found)
        less[item] -= 1
        left.append(agreement(+less).alpha.value)
    n, mean = len(left), float(np.mean(np.array(left, dtype=float)))
    error = math.sqrt((n - 1) / n * sum((one - mean) ** 2 for one in left if one is not None))
    assert whole.alpha.value is not None
    assert whole.alpha.interval is not None
    low, high = whole.alpha.value - 1.959964 * error, whole.alpha.value + 1.959964 * error
    assert whole.alpha.interval == pytest.approx((max(-1, low), min(1, high)), abs=1e-6)


def test_interval_of_ac1_covers() -> None:
    """Of 300 jobs of 150 items and two reviewers, some 95 % have an interval that holds the true AC1."""
    source = np.random.default_rng(7)
    wrong, caught, alarms = 0.15, 0.85, 0.03
    rejects = wrong * caught + (1 - wrong) * alarms
    agree = wrong * (caught**2 + (1 - caught) ** 2) + (1 - wrong) * (alarms**2 + (1 - alarms) ** 2)
    chance = 2 * rejects * (1 - rejects)
    true = (agree - chance) / (1 - chance)
    covered = 0
    for _ in range(300):
        chances = np.where(source.random(150) < wrong, caught, alarms)
        votes = source.binomial(2, chances)
        found = agreement({(2 - r, r): n for r, n in Counter(votes.tolist()).items()}).ac1.interval
        assert found is not None
        covered += found[0] <= true <= found[1]
    assert 275 <= covered <= 296


@given(patterns)
def test_figures_lie_where_they_can(found: dict[tuple[int, int], int]) -> None:
    """Shares lie within 0 to 1, alpha and AC1 within -1 to 1, each within its interval."""
    whole = agreement(found)
    for name in FIGURES:
        figure = getattr(whole, name)
        assert figure.value is None or (-1 if name in ("alpha", "ac1") else 0) <= figure.value <= 1
        assert figure.interval is None or figure.interval[0] <= figure.value <= figure.interval[1]
    assert whole.items == sum(n for pattern, n in found.items() if sum(pattern) > 1)


@pytest.mark.parametrize("found", [{}, {(0, 0): 5}, {(1, 0): 3, (0, 1): 2, (0, 0): 1}])
def test_nothing_without_two_votes(found: dict[tuple[int, int], int]) -> None:
    """Without an item of two votes there is no agreement to speak of, and no word is said of it."""
    assert agreement(found) == Agreement()
    assert in_words(agreement(found)) is None


@pytest.mark.parametrize(("pattern", "rejects"), [((2, 0), None), ((0, 2), 1.0)])
def test_all_one_way(pattern: tuple[int, int], rejects: float | None) -> None:
    """Where all votes are the same alpha is not defined and AC1 is 1, with no interval to give."""
    found = agreement({pattern: 10})
    assert (found.agreed.value, found.on_rejects.value) == (1.0, rejects)
    assert (found.alpha, found.ac1) == (Figure(), Figure(1.0))
    assert "Alpha is not defined" in str(in_words(found))


def test_all_split() -> None:
    """Where every item is split nobody ever agrees: alpha and AC1 are below 0."""
    found = agreement({(1, 1): 10})
    assert (found.agreed.value, found.on_rejects.value) == (0.0, 0.0)
    assert found.alpha.value == pytest.approx(1 - 19 / 20 * 2)
    assert found.ac1.value == -1.0


def test_words_are_about_the_difference_only_where_there_is_one() -> None:
    """The reason why alpha and AC1 differ is told where they do."""
    balanced, lopsided = agreement({(2, 0): 45, (0, 2): 45, (1, 1): 10}), agreement({(2, 0): 95, (1, 1): 5})
    assert str(in_words(balanced)).endswith("Alpha is 0.80 and AC1 0.80.")
    assert "more frequent" in str(in_words(lopsided))


def test_order_of_rows_does_not_show() -> None:
    """The same patterns in another order give the same figures to the last digit."""
    found = {(3, 1): 7, (1, 2): 3, (2, 0): 11, (0, 3): 5, (1, 0): 2}
    assert agreement(dict(reversed(found.items()))) == agreement(found)


# Voters.


def test_votes_by_label_and_voter() -> None:
    """Rows are counted by their numbers of votes, label by label, and by who voted how."""
    votes = Votes()
    for one in (
        row("Dog", confirmed=("ana", "ben")),
        row("Dog", confirmed=("ana",), rejected=("ben",)),
        row("Cat", rejected=("ben",), unsure=("ana",)),
        LabelRow(("b.jpg", "Cat"), 90.0, 2, 1),
    ):
        votes.count(one)
    assert votes.labels == {"Dog": {(2, 0): 1, (1, 1): 1}, "Cat": {(0, 1): 1, (2, 1): 1}}
    assert votes.pooled == {(2, 0): 1, (1, 1): 1, (0, 1): 1, (2, 1): 1}
    ana, ben = votes.reviewers()
    assert (ana.voter, ana.confirmed, ana.disconfirmed, ana.cannot_judge, ana.shared) == ("ana", 2, 0, 1, 2)
    assert (ben.voter, ben.confirmed, ben.disconfirmed, ben.cannot_judge, ben.shared) == ("ben", 1, 2, 0, 2)
    assert (ana.agreed.value, ben.agreed.value) == (0.5, 0.5)
    assert (ana.distance.value, ben.distance.value) == (-0.5, 0.5)


def test_distance_by_hand() -> None:
    """Bonett and Price's interval of a paired difference: 12 and 4 of 50 discordant."""
    votes = Votes()
    for number, one in (
        (4, row(confirmed=("ana",), rejected=("ben",))),
        (12, row(confirmed=("ben",), rejected=("ana",))),
        (34, row(confirmed=("ana", "ben"))),
    ):
        for _ in range(number):
            votes.count(one)
    ana = votes.reviewers()[0]
    p12, p21 = 13 / 52, 5 / 52
    half = 1.959964 * math.sqrt((p12 + p21 - (p12 - p21) ** 2) / 52)
    assert ana.distance.value == pytest.approx(0.16)
    assert ana.distance.interval == pytest.approx((p12 - p21 - half, p12 - p21 + half), abs=1e-6)


def test_a_voter_alone() -> None:
    """Who never shared an item agrees with nobody and stands nowhere."""
    votes = Votes()
    votes.count(row(rejected=("ana",)))
    (ana,) = votes.reviewers()
    assert (ana.disconfirmed, ana.shared, ana.agreed, ana.distance) == (1, 0, Figure(), Figure())


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 2)), max_size=20))
def test_distances_of_two_are_opposite(said: list[tuple[int, int, int]]) -> None:
    """Of two voters, one is as much stricter as the other is milder, and both agree as much."""
    votes = Votes()
    for ana, ben, _ in said:
        by: list[list[str]] = [[], [], []]
        by[ana].append("ana")
        by[ben].append("ben")
        votes.count(row("Dog", *map(tuple, by)))
    found = {one.voter: one for one in votes.reviewers()}
    if len(found) == 2 and found["ana"].distance.value is not None:
        assert found["ben"].distance.value == -found["ana"].distance.value
        assert found["ben"].agreed == found["ana"].agreed
