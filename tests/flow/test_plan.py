"""What to review before any page is shown: numbers, their division, errors, costs, and the file of it."""

from __future__ import annotations

import itertools
import json
import math
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats  # type: ignore[import-untyped]

from bulkqa import SCHEMA
from bulkqa.errors import InputError
from bulkqa.flow.plan import (
    LabelPlan,
    Plan,
    Stratum,
    allowed,
    divide,
    evenly,
    needed,
    plan_json,
    plan_labels,
    plan_rows,
    read_plan,
    standard_error,
    worthwhile,
)
from bulkqa.flow.thresholds import promised_thresholds, weigh
from bulkqa.flow.votes import LabelRow

BANDS = (80.0, 85.0, 90.0, 95.0, 100.0)
small = st.lists(st.integers(0, 9), min_size=1, max_size=4)
targets = st.sampled_from([0.6, 0.8, 0.9, 0.95, 0.98])
assurances = st.sampled_from([0.8, 0.9, 0.95, 0.99])
populations = st.lists(st.integers(0, 3000), min_size=4, max_size=4)


def proves(n: int, wrong: int, target: float, level: float) -> bool:
    """Whether so many wrong of n prove the target, by scipy."""
    return bool(stats.binomtest(n - wrong, n, target, alternative="greater").pvalue <= level)


def a_plan(of_label: dict[str, list[int]], **changes: object) -> Plan:
    """A plan of these numbers, for 95 % with assurance 95 %."""
    plan = Plan(
        "c.csv",
        "0" * 64,
        0.95,
        0.95,
        BANDS,
        80.0,
        25,
        1,
        37.5,
        0,
        3,
        plan_labels(of_label, BANDS, 0.95, 0.95),
    )
    return plan._replace(**changes)  # type: ignore[arg-type]


# How many reviews.


@pytest.mark.parametrize(
    ("target", "numbers"),
    [(0.9, (29, 46, 61, 76)), (0.95, (59, 93, 124, 153)), (0.98, (149,)), (0.99, (299, 473, 628, 773))],
)
def test_reviews_needed_are_those_of_the_tables(target: float, numbers: tuple[int, ...]) -> None:
    """With none, one, two and three wrong, at 5 %: the sizes of the acceptance sampling tables."""
    assert tuple(needed(target, 0.05, wrong) for wrong in range(len(numbers))) == numbers


@given(targets, assurances, st.integers(0, 12))
def test_reviews_needed_are_the_fewest(target: float, assurance: float, wrong: int) -> None:
    """So many prove the target and one fewer does not, by scipy; without a wrong one a logarithm says it."""
    level = 1 - assurance
    n = needed(target, level, wrong)
    assert proves(n, wrong, target, level)
    assert n == wrong + 1 or not proves(n - 1, wrong, target, level)
    if not wrong:
        assert n == math.ceil(math.log(level) / math.log(target))


@pytest.mark.parametrize(("target", "level"), [(0.8, 0.05), (0.9, 0.05), (0.9, 0.01), (0.95, 0.05)])
def test_worthwhile_is_the_smallest_with_that_chance(target: float, level: float) -> None:
    """No smaller number of reviews passes its test in 80 % of cases at half the allowed wrong ones."""

    def power(n: int) -> float:
        tails = stats.binom.sf(np.arange(n, -1, -1) - 1, n, target)  # with 0, 1, 2 ... wrong
        wrong = int((tails <= level).sum()) - 1
        return float(stats.binom.cdf(wrong, n, (1 - target) / 2))

    found = worthwhile(target, level)
    assert power(found) >= 0.8
    assert all(power(n) < 0.8 for n in range(1, found))


@given(st.integers(0, 400), targets, assurances)
def test_allowed_is_the_most_that_still_prove(taken: int, target: float, assurance: float) -> None:
    """So many wrong prove the target and one more does not; None where even all right do not."""
    level = 1 - assurance
    wrong = allowed(taken, target, level)
    if wrong is None:
        assert taken == 0 or not proves(taken, 0, target, level)
    else:
        assert proves(taken, wrong, target, level)
        assert not proves(taken, wrong + 1, target, level)


@given(small, st.integers(0, 20), st.integers(0, 4), st.data())
def test_no_division_is_better(of_band: list[int], reviews: int, least: int, data: st.DataObject) -> None:
    """Of all divisions that keep to the bounds, the one found has the smallest standard error."""
    precisions = data.draw(
        st.lists(st.sampled_from([0.5, 0.8, 0.95, 0.99]), min_size=len(of_band), max_size=len(of_band))
    )
    taken = divide(reviews, of_band, precisions, least)
    assert sum(taken) == min(reviews, sum(of_band))
    assert all(0 <= number <= population for number, population in zip(taken, of_band, strict=True))
    if sum(min(least, population) for population in of_band) > sum(taken) or not least:
        return
    assert all(number >= min(least, population) for number, population in zip(taken, of_band, strict=True))

    def variance(division: tuple[int, ...]) -> float:
        return sum(
            population**2 * p * (1 - p) * (1 / number - 1 / population)
            for population, p, number in zip(of_band, precisions, division, strict=True)
            if population
        )

    others = itertools.product(*(range(min(least, population), population + 1) for population in of_band))
    best = min(variance(other) for other in others if sum(other) == sum(taken))
    assert variance(taken) == pytest.approx(best)


def test_division_is_neymans() -> None:
    """Without bounds, the example by hand, and the optimum that scipy finds for fractions of reviews.

    W = 0.1, 0.2, 0.7 and p = 0.8, 0.9, 0.98: W sqrt(p (1 - p)) = 0.04, 0.06, 0.098, so of 500 reviews
    101, 151.5 and 247.5.
    """
    of_band, precisions = [10_000, 20_000, 70_000], [0.8, 0.9, 0.98]
    taken = divide(500, of_band, precisions, least=1)
    assert taken == pytest.approx((101, 151.5, 247.5), abs=1)

    def variance(n: list[float]) -> float:
        return sum(w * w * p * (1 - p) / m for w, p, m in zip((0.1, 0.2, 0.7), precisions, n, strict=True))

    found = optimize.minimize(
        lambda n: 1e6 * variance(n),
        [500 / 3] * 3,
        bounds=[(1, None)] * 3,
        constraints={"type": "eq", "fun": lambda n: sum(n) - 500},
    )
    assert found.success
    assert taken == pytest.approx(tuple(found.x), abs=1.5)


def test_the_highest_band_comes_first() -> None:
    """Each band gets the least, then the highest with items its share, and as far as there are reviews."""
    assert divide(90, [50, 50, 500, 0], [0.5, 0.5, 0.9, 0.9], least=10, highest=70) == (10, 10, 70, 0)
    assert divide(60, [50, 50, 500, 0], [0.5, 0.5, 0.9, 0.9], least=10, highest=70) == (10, 10, 40, 0)
    assert divide(16, [50, 4, 500, 0], [0.5, 0.5, 0.9, 0.9], least=10, highest=70) == (6, 4, 6, 0)


@given(populations, st.integers(0, 4000))
def test_even_rates_differ_by_less_than_an_item(of_band: list[int], reviews: int) -> None:
    """All reviews are given, and no band is more than one item from the common rate."""
    taken = evenly(reviews, of_band)
    total = sum(of_band)
    assert sum(taken) == min(reviews, total)
    for number, population in zip(taken, of_band, strict=True):
        assert 0 <= number <= population
        assert abs(number - population * sum(taken) / max(1, total)) < 1


# The error.


@pytest.mark.slow
def test_standard_error_is_what_samples_show() -> None:
    """Over 4,000 stratified samples the weighted share is right on average, and spreads as it should."""
    right = {(300, 60): 240, (500, 40): 450, (1200, 100): 1188}
    total = sum(population for population, _ in right)
    truth = sum(right.values()) / total
    source = random.Random(1)
    found = []
    for _ in range(4000):
        share = 0.0
        for (population, taken), good in right.items():
            seen = sum(number < good for number in source.sample(range(population), taken))
            share += population / total * seen / taken
        found.append(share)
    mean = math.fsum(found) / len(found)
    spread = math.sqrt(math.fsum((share - mean) ** 2 for share in found) / len(found))
    strata = [
        Stratum(0, 1, population, taken, good / population) for (population, taken), good in right.items()
    ]
    error = standard_error(strata)
    assert error is not None
    assert abs(mean - truth) < 4 * error / math.sqrt(len(found))
    assert spread == pytest.approx(error, rel=0.05)


def test_standard_error_of_one_stratum_is_the_textbooks() -> None:
    """One stratum: sqrt(p q / n) with the finite population correction; none where all are reviewed."""
    assert standard_error([Stratum(0, 1, 10_001, 100, 0.9)]) == pytest.approx(
        0.03 * math.sqrt(9_901 / 10_000)
    )
    assert standard_error([Stratum(0, 1, 40, 40, 0.9), Stratum(1, 2, 0, 0, 0.9)]) == 0
    assert standard_error([Stratum(0, 1, 40, 40, 0.9), Stratum(1, 2, 1, 0, 0.9)]) is None


# The plan.


@pytest.mark.parametrize(("images", "decidable"), [(58, False), (59, True)])
def test_too_few_ever(images: int, decidable: bool) -> None:
    """58 images, all right, do not prove 95 % with assurance 95 %: 0.95 ** 58 = 0.051; 59 do."""
    (line,) = plan_labels({"Dog": [10, 20, 20, images - 50]}, BANDS, 0.95, 0.95)
    assert (line.decidable, line.taken) == (decidable, images)


@given(st.dictionaries(st.sampled_from(["Cat", "Dog", "é"]), populations), st.none() | st.integers(1, 900))
def test_a_plan_can_be_kept(of_label: dict[str, list[int]], reviews: int | None) -> None:
    """Nobody reviews more than there is; the highest band can be tested, or all bands have one rate."""
    lines = plan_labels(of_label, BANDS, 0.9, 0.95, reviews)
    assert [line.label for line in lines] == sorted(of_label)
    for line in lines:
        assert [stratum.population for stratum in line.strata] == of_label[line.label]
        wanted = worthwhile(0.9, 0.05) + 4 * needed(0.9, 0.05) if reviews is None else reviews
        assert line.taken == min(wanted, line.population)
        taken = tuple(stratum.taken for stratum in line.strata)
        highest = next(
            (n for n, population in reversed([*zip(taken, of_label[line.label], strict=True)]) if population),
            0,
        )
        assert highest >= 29 or taken == evenly(wanted, of_label[line.label])


def test_small_highest_band_is_sampled_as_the_others() -> None:
    """Ten items could never pass a test of their own, so that no band below would be tested."""
    (line,) = plan_labels({"Dog": [1000, 1000, 1000, 10]}, BANDS, 0.95, 0.95)
    assert [stratum.taken for stratum in line.strata] == [199, 198, 198, 2]
    assert [stratum.weight for stratum in line.strata][:1] == [1000 / 199]


def test_earlier_votes_are_counted_beside_the_middle_of_the_band() -> None:
    """90 of 90 confirmed at 80-85, beside ten votes at 0.825, make 0.9825; the others keep theirs."""
    votes = {"Dog": [(90, 90), (0, 0), (0, 0), (0, 0)]}
    (line,) = plan_labels({"Dog": [1000] * 4}, BANDS, 0.95, 0.95, votes=votes)
    assert [stratum.precision for stratum in line.strata] == pytest.approx([0.9825, 0.875, 0.925, 0.975])
    (without,) = plan_labels({"Dog": [1000] * 4}, BANDS, 0.95, 0.95)
    assert line.strata[0].taken < without.strata[0].taken


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((0.4, 0.95), "target 0.4"),
        ((1, 0.95), "target 1"),
        ((0.95, 1), "assurance 1"),
        ((0.9, 0.9, 0), "0 reviews"),
    ],
)
def test_bad_aims_are_named(arguments: tuple[float, ...], named: str) -> None:
    """Shares that cannot be proven, and no reviews at all, are refused by name."""
    with pytest.raises(InputError, match=named):
        plan_labels({"Dog": [1, 1, 1, 1]}, BANDS, *arguments)  # type: ignore[arg-type]


def test_the_example_of_the_documentation() -> None:
    """The page's example: the numbers done by hand there are those of the plan."""
    text = (Path(__file__).parents[2] / "docs/reference/plan.md").read_text("utf-8")
    (line,) = plan_labels({"Dog": [500, 1000, 1500, 7000]}, BANDS, 0.95, 0.95)
    for stratum in line.strata:
        assert f"| {stratum.population:,} | {stratum.taken} |" in text
    assert line.error is not None
    assert f"{line.error:.4f}" in text
    assert "361 + 4 x 59 = 597" in text and line.taken == 597
    plan = a_plan({"Dog": [500, 1000, 1500, 7000]})
    assert f"{plan.pages} pages" in text and f"{plan.hours:.2f} hours" in text


# What it costs.


def test_pages_and_hours() -> None:
    """60 and 10 items of two labels are 3 and 1 pages of 25; 70 looks by 2 at 1.5 seconds are 210."""
    plan = a_plan({"Cat": [10, 0, 0, 0], "Dog": [0, 0, 0, 60]}, reviewers=2)
    assert (plan.taken, plan.pages) == (70, 4)
    assert plan.hours == pytest.approx(210 / 3600)


def test_known_answers_take_pages_and_time() -> None:
    """At 0.25 a page of 4 has 3 items and a known answer: 9 items are 3 pages, 12 looks by each of 2."""
    plan = a_plan({"Dog": [9, 0, 0, 0]}, batch_size=4, reviewers=2, seconds_per_page=8.0)
    assert (plan.pages, plan.checks, plan.looks) == (3, 0, 18)
    mixed = plan._replace(check_rate=0.25)
    assert (mixed.pages, mixed.checks, mixed.looks) == (3, 3, 24)
    assert mixed.hours == pytest.approx(24 * 2 / 3600)
    # 12 items are one page more than without; the rows that cost write units stay the items'.
    more = a_plan({"Dog": [12, 0, 0, 0]}, batch_size=4, check_rate=0.25)
    assert (more.pages, more.checks) == (4, 4)
    assert plan_json(more, SCHEMA)["costs"]["lines"][1]["number"] == 12 * 3  # type: ignore[index]


# Kept as a file.


@given(st.dictionaries(st.text(min_size=1), populations), st.integers(1, 9), st.floats(0, 0.5))
def test_a_plan_is_read_as_it_was_written(
    of_label: dict[str, list[int]], reviewers: int, check_rate: float
) -> None:
    """JSON keeps every number of the plan, and says what follows from them."""
    of_label = {label.encode("utf-8", "replace").decode(): bands for label, bands in of_label.items()}
    plan = a_plan(of_label, reviewers=reviewers, check_rate=check_rate)
    document = plan_json(plan, SCHEMA)
    assert read_plan(json.dumps(document), "plan.json", SCHEMA) == plan
    totals = {"population": plan.population, "taken": plan.taken, "left_out": plan.population - plan.taken}
    assert document["totals"] == {**totals, "checks": plan.checks, "pages": plan.pages, "hours": plan.hours}
    assert document["too_few"] == sorted(label for label, bands in of_label.items() if sum(bands) < 59)


def test_a_plan_as_a_table_has_a_row_for_each_band() -> None:
    """The CSV has the weight of each band, and how many may be wrong."""
    plan = a_plan({"Dog": [0, 0, 100, 7000]})
    header, *rows = plan_rows(plan, SCHEMA)
    found = [dict(zip(header, row, strict=True)) for row in rows]
    assert [row["low"] for row in found] == [80, 85, 90, 95]
    assert found[0] | {"population": 0, "taken": 0, "weight": None, "wrong_allowed": None} == found[0]
    assert found[2] | {"taken": 59, "weight": 100 / 59, "precision": 0.925, "wrong_allowed": 0} == found[2]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"schema": SCHEMA + 1}, "newer"),
        ({"bands": [80, 100]}, "other bands"),
        ({"target": "high"}, "high"),
        ({"corpus": {}}, "name"),
        ({"labels": 3}, "int"),
    ],
)
def test_a_file_that_is_no_plan_is_refused(change: dict[str, object], named: str) -> None:
    """What cannot be read is named, with the file."""
    document = plan_json(a_plan({"Dog": [1, 2, 3, 4]}), SCHEMA)
    with pytest.raises(InputError, match=named) as refused:
        read_plan(json.dumps({**document, **change}), "plan.json", SCHEMA)
    assert "plan.json" in str(refused.value)


@pytest.mark.parametrize("content", ["", "[]", "null", '{"schema": 1}', "9" * 5000])
def test_other_files_are_refused(content: str) -> None:
    """A file of anything else is refused by its name."""
    with pytest.raises(InputError, match=r"plan\.json"):
        read_plan(content, "plan.json", SCHEMA)


def test_more_than_there_are_is_refused() -> None:
    """A plan edited by hand may take fewer, also none, but not more than there are."""
    plan = a_plan({"Dog": [1, 2, 3, 4]})
    (line,) = plan.labels
    for taken in (0, 4):
        edited = plan._replace(
            labels=(LabelPlan("Dog", (*line.strata[:3], line.strata[3]._replace(taken=taken)), True),)
        )
        assert read_plan(json.dumps(plan_json(edited, SCHEMA)), "p", SCHEMA) == edited
    document = json.dumps(plan_json(plan, SCHEMA)).replace('"taken": 4, "weight"', '"taken": 5, "weight"')
    with pytest.raises(InputError, match="'Dog', band 95-100: 5 of 4"):
        read_plan(document, "p", SCHEMA)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("of_band", "precisions", "least"),
    [
        ([2500, 2500, 2500, 2500], [0.98] * 4, 0.9),  # flat
        ([500, 1000, 1500, 7000], [0.8, 0.88, 0.94, 0.985], 0.9),  # over-confident
        ([1500, 1500, 1500, 30], [0.98] * 4, 0.8),  # nearly nothing in the highest band
        ([2500, 2500, 2500, 2500], [0.95] * 4, 0),  # not above the target: promised to few
    ],
)
def test_what_a_plan_reviews_settles_labels(
    of_band: list[int], precisions: list[float], least: float
) -> None:
    """Of 200 labels reviewed as planned so many get a threshold; of those at the target at most 5 %."""
    source = random.Random(3)
    of_label = {f"{number:03d}": of_band for number in range(200)}
    lines = plan_labels(of_label, BANDS, 0.95, 0.95)
    rows = [
        LabelRow((f"{number}", line.label), stratum.low + 1, *((1, 0) if source.random() < right else (0, 1)))
        for line in lines
        for stratum, right in zip(line.strata, precisions, strict=True)
        for number in range(stratum.taken)
    ]
    samples = {line.label: [stratum[:4] for stratum in line.strata] for line in lines}
    found = promised_thresholds(weigh(rows, BANDS), 0.95, 0.95, samples)
    share = sum(one.threshold is not None for one in found) / len(found)
    assert share >= least
    if not least:
        assert share <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 200)
