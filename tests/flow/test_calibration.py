import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import roc_auc_score

from bulkqa.flow import calibration as module
from bulkqa.flow.calibration import Bin, Scores, auroc_interval, calibration, ece, in_words
from bulkqa.flow.statistics import wilson
from bulkqa.flow.votes import LabelRow

BANDS = (0.0, 50.0, 80.0, 100.0)

# No confidence on a bound of the ten bins: scikit-learn counts these with the lower bin.
items = st.lists(
    st.tuples(st.one_of(st.integers(0, 99).map(lambda n: n + 0.5), st.floats(0.01, 9.99)), st.booleans()),
    min_size=1,
    max_size=60,
)


def scores(found: list[tuple[float, bool]]) -> list[tuple[float, int, int]]:
    """Items as (confidence, right, wrong), rising."""
    counts = Counter(found)
    return [(c, counts[c, True], counts[c, False]) for c in sorted({c for c, _ in found})]


@given(items)
def test_auroc_is_scikit_learns(found: list[tuple[float, bool]]) -> None:
    """The area has scikit-learn's value, ties half, and none where one kind is missing."""
    right = [correct for _, correct in found]
    area = calibration(scores(found), BANDS).auroc
    if len(set(right)) < 2:
        assert area is None
    else:
        assert area == pytest.approx(roc_auc_score(right, [c for c, _ in found]), abs=1e-12)


@given(items)
def test_curve_is_scikit_learns(found: list[tuple[float, bool]]) -> None:
    """The ten bins that hold anything have the share and the mean confidence of scikit-learn's curve."""
    right, mean = calibration_curve([c for _, c in found], [c / 100 for c, _ in found], n_bins=10)
    filled = [one for one in calibration(scores(found), BANDS).bins if one.items]
    assert [one.correct for one in filled] == pytest.approx(list(right))
    assert [(one.confidence or 0) / 100 for one in filled] == pytest.approx(list(mean))


@given(items)
def test_both_curves_hold_every_item(found: list[tuple[float, bool]]) -> None:
    """Bands and bins hold each item once, in the bin in whose bounds its confidence is."""
    whole = calibration(scores(found), BANDS)
    assert (whole.items, whole.confirmed) == (len(found), sum(right for _, right in found))
    for bins in (whole.bands, whole.bins):
        for one in bins:
            of = [right for c, right in found if one.low <= c < one.high or c == one.high == 100]
            assert (one.items, one.confirmed, one.interval) == (len(of), sum(of), wilson(sum(of), len(of)))
    expected = sum(
        one.items / whole.items * abs(one.confirmed / one.items - (one.confidence or 0) / 100)
        for one in whole.bins
        if one.items
    )
    assert whole.ece == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("confidence", "band", "place"), [(0, 0, 0), (50, 1, 5), (79.999, 1, 7), (80, 2, 8), (100, 2, 9)]
)
def test_edges(confidence: float, band: int, place: int) -> None:
    """A bin holds its lower bound and not its upper one, the last one 100 too."""
    whole = calibration([(confidence, 1, 0)], BANDS)
    assert [one.items for one in whole.bands].index(1) == band
    assert [one.items for one in whole.bins].index(1) == place


def test_error_by_chance_is_what_exact_confidences_show() -> None:
    """Of 400 draws of items whose confidences are exactly right, the mean error is what chance makes."""
    source = np.random.default_rng(3)
    bins = [(60, 0.65), (200, 0.75), (400, 0.85), (900, 0.95)]
    by_chance = ece([Bin(0, 0, n, 0, 100 * c) for n, c in bins])
    errors = []
    for _ in range(400):
        drawn = [Bin(0, 0, n, int(source.binomial(n, c)), 100 * c) for n, c in bins]
        found = ece(drawn)
        assert found is not None
        errors.append(found[0])
    assert by_chance is not None
    assert by_chance[1] == pytest.approx(np.mean(errors), rel=0.05)


@given(st.integers(0, 1000).map(lambda n: n / 1000), st.integers(1, 5000), st.integers(1, 5000))
def test_interval_of_the_area(area: float, right: int, wrong: int) -> None:
    """It holds the area, lies within 0 to 1, is symmetric, and its ends are z standard errors away."""
    low, high = auroc_interval(area, right, wrong)
    assert 0 <= low <= area <= high <= 1
    mirrored = auroc_interval(1 - area, right, wrong)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=1e-6)
    n = (right + wrong) / 2 - 1
    for end in (low, high):
        if 0 < end < 1:
            variance = (
                end * (1 - end) * (1 + n * (1 - end) / (2 - end) + n * end / (1 + end)) / (right * wrong)
            )
            assert abs(end - area) == pytest.approx(1.959964 * math.sqrt(variance), abs=1e-6)


def test_interval_of_the_area_covers() -> None:
    """Of 400 draws of two normal kinds, some 95 % have an interval that holds the true area."""
    source = np.random.default_rng(11)
    true = 0.5 * (1 + math.erf(1.0 / 2))  # a distance of one standard deviation of the difference / sqrt(2)
    covered = 0
    for _ in range(400):
        right, wrong = source.normal(1.0, 1, 60), source.normal(0, 1, 25)
        area = float((right[:, None] > wrong).mean())
        low, high = auroc_interval(area, 60, 25)
        covered += low <= true <= high
    assert 370 <= covered <= 398


@pytest.mark.parametrize(("right", "wrong"), [(0, 0), (7, 0), (0, 7)])
def test_one_kind_alone(right: int, wrong: int) -> None:
    """Where all are right, all wrong, or none is, there is no area; the curve is there if anything is."""
    whole = calibration([(90.5, right, wrong)] if right + wrong else [], BANDS)
    assert (whole.auroc, whole.auroc_interval) == (None, None)
    assert (whole.ece is None) == (right + wrong == 0)
    assert (in_words(whole) is None) == (right + wrong == 0)


@pytest.mark.parametrize(
    ("found", "says"),
    [
        ([(85.0, 0, 30), (95.0, 30, 0)], "pairs (93."),
        ([(85.0, 5, 5), (95.0, 5, 5)], "may be chance"),
        ([(85.0, 30, 0), (95.0, 0, 30)], "they score higher"),
        ([(85.0, 3, 0)], "All are right"),
        ([(85.0, 0, 3)], "All are wrong"),
    ],
)
def test_words(found: list[tuple[float, int, int]], says: str) -> None:
    """Whether wrong labels score lower is told as sure as the interval has it."""
    assert says in str(in_words(calibration(found, BANDS)))


# Counting rows.

VOTES = {"confirmed": (1, 0), "disconfirmed": (0, 1), "split": (1, 1), "unreviewed": (0, 0)}

row_lists = st.lists(
    st.tuples(
        st.sampled_from(["Cat", "Dog", "é", "🦞"]),
        st.sampled_from([0.0, 49.9, 50.0, 81.25, 99.0, 100.0]),
        st.sampled_from(list(VOTES)),
    ),
    max_size=40,
)


@given(row_lists, st.sampled_from([1, 3, 20_000]), st.randoms())
def test_rows_count_alike_in_memory_and_on_disk(
    found: list[tuple[str, float, str]], room: int, shuffle: object
) -> None:
    """However few are kept in memory, and in any order, each label and all together have their items."""
    rows = [LabelRow(("a", label), confidence, *VOTES[said]) for label, confidence, said in found]
    shuffle.shuffle(rows)  # type: ignore[attr-defined]
    with pytest.MonkeyPatch.context() as patch, Scores(BANDS) as counted:
        patch.setattr(module, "_IN_MEMORY", room)
        for row in rows:
            counted.count(row)
        of_label, pooled = counted.calibrations()
    judged = [(label, c, said == "confirmed") for label, c, said in found if said != "unreviewed"]
    assert list(of_label) == sorted({label for label, _, _ in judged})
    for label, one in of_label.items():
        assert one == calibration(scores([(c, right) for of, c, right in judged if of == label]), BANDS)
    assert pooled == calibration(scores([(c, right) for _, c, right in judged]), BANDS)
