"""Thresholds: from which confidence on may a label be used unseen.

Two rules. A *cost ratio* reads the bands as the blog that printed the first such tables did, and promises
nothing. A *target* gives, for each label, a confidence at and above which the share of right labels is at
least the target, and is wrong about that for at most 1 - assurance of all labels whose share is lower.

What a promise takes is fixed before a vote is read, by the bands alone. Cuts stand at every band's bound and
every whole point; each is held against the target by the exact binomial test, from the strictest cut down.
Five cuts (the lowest bound, the middle one, the highest band's, half way up that band, the strictest) start
with equal parts of 1 - assurance; a cut that passes hands all it was tested at to the next lower one, a cut
that fails loses it. That is the fallback procedure, which keeps the family-wise error under any dependence:
Wiens and Dmitrienko, Journal of Biopharmaceutical Statistics 15 (2005) 929-942; "multiple starts" in
Angelopoulos et al., "Learn then Test" (2021). `benchmarks/thresholds.py` holds it against others.

The reviewed items at or above a cut have to be a random sample of those it will be used on. So rows of a
relabelling or adjudication are not tested; known-answer items are no rows. Where bands were reviewed at
different rates, as in a stratified sample, those from the highest down that share a rate are one test, at
1 - assurance, and the bands below follow one by one down to the first that fails: each keeps the target, and
so all together do.

`confirmed` alone counts as right; a split item counts as wrong.
"""

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from bulkqa.errors import InputError
from bulkqa.flow.bands import PUBLISHED_BANDS, Bands, band_pairs, check_bands
from bulkqa.flow.plan import Sample, Strata
from bulkqa.flow.statistics import binomial_tail, exact_lower
from bulkqa.flow.votes import ADJUDICATE, RELABEL, LabelRow, Outcome

UNTESTED = (RELABEL, ADJUDICATE)
"""Beginnings of the `source` of rows that say nothing of the model: they were chosen by earlier votes."""

TARGET = 0.95
ASSURANCE = 0.95

MOST_REVIEWS = 100_000
"""More reviews than this are not asked for by number."""

# How much the share seen below a cut counts in a guess at the share above it, in images.
_PRIOR = 20
# A number of further reviews is enough in about 80 % of cases (standard deviations).
_SURELY = 0.84


class Reviews(NamedTuple):
    """Numbers of items of one label by slice, a slice reaching from one cut to the next."""

    confirmed: list[int]
    incorrect: list[int]
    unreviewed: list[int]

    def between(self, first: int, last: int) -> tuple[int, int, int]:
        """Return confirmed, reviewed and unreviewed of the slices from `first` to before `last`."""
        confirmed = sum(self.confirmed[first:last])
        return confirmed, confirmed + sum(self.incorrect[first:last]), sum(self.unreviewed[first:last])


@dataclass(slots=True)
class Evidence:
    """What thresholds are made of: the items of each label, counted by slice of confidence.

    `cuts` are the lower bounds of the slices, rising: those of the bands, every whole point between, and
    half way up the highest band. Rows are counted one by one; memory depends on labels and cuts alone.
    `untested` has the number of rows by label that may not be tested.

    >>> evidence = Evidence((90, 95, 100))
    >>> evidence.cuts
    (90, 91, 92, 93, 94, 95, 96, 97, 97.5, 98, 99)
    >>> evidence.count(LabelRow(("a.jpg", "Dog"), 95.0, confirms=1))
    >>> evidence.labels["Dog"].between(evidence.place(95), len(evidence.cuts))
    (1, 1, 0)
    """

    bands: Bands = PUBLISHED_BANDS
    cuts: tuple[float, ...] = field(init=False)
    labels: dict[str, Reviews] = field(init=False, default_factory=dict)
    untested: Counter[str] = field(init=False, default_factory=Counter)

    def __post_init__(self) -> None:
        self.bands = tuple(_plain(bound) for bound in check_bands(self.bands))
        lowest, half = self.bands[0], (self.bands[-2] + 100) / 2
        whole = range(math.ceil(lowest), 100)
        self.cuts = tuple(sorted({*self.bands[:-1], *whole, _plain(half)}))

    def count(self, row: LabelRow, number: int = 1) -> None:
        """Count an item, or so many alike; one that may not be tested only makes its label known."""
        reviews = self.labels.get(row.key[1])
        if reviews is None:
            reviews = self.labels[row.key[1]] = Reviews(*([0] * len(self.cuts) for _ in Reviews._fields))
        place = bisect_right(self.cuts, row.confidence) - 1
        if place < 0:
            return
        if row.source is not None and row.source.startswith(UNTESTED):
            self.untested[row.key[1]] += number
            return
        outcome = row.outcome
        if outcome is Outcome.CONFIRMED:
            reviews.confirmed[place] += number
        elif outcome is Outcome.UNREVIEWED:
            reviews.unreviewed[place] += number
        else:
            reviews.incorrect[place] += number

    def place(self, bound: float) -> int:
        """Return the first slice at or above a bound of the bands, the number of slices for 100."""
        if bound == 100:
            return len(self.cuts)
        if bound not in self.cuts:
            raise InputError(f"a sample's band begins at {bound:g}, which is no bound of the bands")
        return self.cuts.index(bound)


def weigh(rows: Iterable[LabelRow], bands: Bands = PUBLISHED_BANDS) -> Evidence:
    """Return the evidence of `rows`, read once. Raises `InputError` for bands that cannot be used."""
    evidence = Evidence(bands)
    for row in rows:
        evidence.count(row)
    return evidence


class Threshold(NamedTuple):
    """A label's threshold by cost.

    100 where even the highest band is not good enough (`accepts_nothing`). `supported` where a band with
    reviewed items was passed.
    """

    label: str
    threshold: float
    supported: bool
    accepts_nothing: bool
    reason: str


class Promise(NamedTuple):
    """A label's threshold by target, None where none can be promised.

    `reviewed` and `confirmed` are the items at or above it (without one: all); `lower_bound` is the exact
    one-sided bound of their share, for this cut alone, at the level it was tested at. Without a threshold,
    about `more_reviews_needed` further reviews within the confidences `between` would settle it, either way;
    where the target cannot be met no number would, and the share from the strictest cut on is `at_most`.
    """

    label: str
    threshold: float | None
    supported: bool
    accepts_nothing: bool
    reason: str
    reviewed: int
    confirmed: int
    lower_bound: float | None = None
    more_reviews_needed: int | None = None
    between: tuple[float, float] | None = None
    at_most: float | None = None


def read_ratio(text: str) -> Fraction:
    """Return a cost ratio, kept exact: 10, or 2.5. Raises `InputError` if it is no number that can be one.

    >>> read_ratio("2.5")
    Fraction(5, 2)
    """
    try:
        ratio = Decimal(text)
    except InvalidOperation:
        raise InputError(f"cost ratio {text!r} is not a number") from None
    if not ratio.is_finite() or not Decimal("1e-6") <= ratio <= Decimal("1e6"):
        raise InputError(f"cost ratio {text!r} is not between 0.000001 and 1000000")
    return Fraction(ratio)


def cost_thresholds(evidence: Evidence, ratio: Fraction | int) -> list[Threshold]:
    """Return the threshold of every label, in code-point order, at costs of 1:`ratio`.

    From the highest band down: a band is good enough if it has no reviewed item, or if its incorrect ones
    are to its confirmed ones as strictly less than 1 to `ratio`. The upper bound of the first band that is
    not is the threshold; where all are, it is the lowest bound.

    One wrong to 10 right is not less than 1:10:

    >>> row = LabelRow(("a.jpg", "Dog"), 92.0, confirms=1)
    >>> rows = [row] * 10 + [row._replace(confirms=0, disconfirms=1)]
    >>> [found.threshold for ratio in (9, 10) for found in cost_thresholds(weigh(rows), ratio)]
    [80, 95]
    """
    found = (_by_cost(label, evidence, ratio) for label in sorted(evidence.labels))
    return [one._replace(reason=one.reason + _left_out(one.label, evidence)) for one in found]


def _by_cost(label: str, evidence: Evidence, ratio: Fraction | int) -> Threshold:
    passed = 0
    for low, high in reversed(band_pairs(evidence.bands)):
        place = evidence.place(low), evidence.place(high)
        confirmed, reviewed, _ = evidence.labels[label].between(*place)
        wrong = reviewed - confirmed
        if reviewed and wrong * ratio >= confirmed:
            nothing = high == 100
            reason = f"{wrong} wrong to {confirmed} right {_where(low, high)}: not less than 1:{_text(ratio)}"
            if not passed and not nothing:
                reason += "; no item reviewed above"
            return Threshold(label, high, passed > 0, nothing, reason)
        passed += reviewed
    if passed:
        return Threshold(
            label, evidence.bands[0], True, False, f"every band has less than 1 wrong to {_text(ratio)} right"
        )
    return Threshold(label, evidence.bands[0], False, False, "no item reviewed: nothing supports it")


def promised_thresholds(
    evidence: Evidence,
    target: float = TARGET,
    assurance: float = ASSURANCE,
    samples: Sample | None = None,
) -> list[Promise]:
    """Return, for every label in code-point order, the lowest threshold that can be promised.

    `samples` says how labels were sampled where not all their items were asked about. Raises `InputError`
    for shares that cannot be.

    The strictest of five starts is tested at 0.05 / 5 = 0.01, which 0.95 ** 89 = 0.0104 is above and
    0.95 ** 90 = 0.0099 is not. At 80 all five parts have come together: 0.05 ** (1 / 90) = 0.967.

    >>> row = LabelRow(("a.jpg", "Dog"), 99.5, confirms=1)
    >>> for number in (89, 90):
    ...     found, = promised_thresholds(weigh([row] * number))
    ...     print(found.threshold, found.reason)
    None no threshold yet: about 41 more reviews from 80 on would settle it; none left unreviewed there
    80 90 of 90 confirmed from 80 on: at least 96.7 % right
    """
    for name, share in (("target", target), ("assurance", assurance)):
        if not 0 < share < 1:
            raise InputError(f"{name} {share:g} is not between 0 and 1")
    found = []
    for label in sorted(evidence.labels):
        reviews = evidence.labels[label]
        tests = _tests(evidence, reviews, (samples or {}).get(label, ()))
        confirmed, reviewed, _ = reviews.between(0, len(evidence.cuts))
        promise = _promise(label, tests, target, 1 - assurance)
        if promise is None:
            promise = _unpromised(label, tests, target, 1 - assurance)
            promise = promise._replace(reviewed=reviewed, confirmed=confirmed)
        found.append(promise._replace(reason=promise.reason + _left_out(label, evidence)))
    return found


class _Test(NamedTuple):
    """Items from `low` to `high`, and the part of the error with which their test starts."""

    low: float
    high: float
    confirmed: int
    reviewed: int
    unreviewed: int
    part: float


def _tests(evidence: Evidence, reviews: Reviews, sample: Strata) -> list[_Test]:
    """Return the tests of a label, the strictest first: of all its cuts, or of one cut and bands below it."""
    cuts, bands = evidence.cuts, evidence.bands
    half = (bands[-2] + 100) / 2
    strata = []
    for high, low in pairwise(sorted({*bands, half, cuts[-1]}, reverse=True)):
        _, reviewed, unreviewed = reviews.between(evidence.place(low), evidence.place(high))
        strata.append((_plain(low), _plain(high), reviewed + unreviewed, reviewed))
    # A sample's rates are known, those of the rows are as even as chance would have them.
    bottom = max(bands[0], _even_from(sample, 0), _even_from(strata, 3))
    if bottom > bands[0]:
        starts = {bottom}
    else:
        starts = {bands[0], bands[(len(bands) - 1) // 2], bands[-2], half, cuts[-1]}
    tests = []
    for place in range(len(cuts) - 1, evidence.place(bottom) - 1, -1):
        part = 1 / len(starts) if cuts[place] in starts else 0
        tests.append(_Test(cuts[place], 100, *reviews.between(place, len(cuts)), part))
    populations = {(low, high): population for low, high, population, _ in sample}
    for low, high, items, _ in strata:
        if high > bottom:
            continue
        if populations.get((low, high), items):
            counts = reviews.between(evidence.place(low), evidence.place(high))
            tests.append(_Test(low, high, *counts, part=0))
        else:  # without any item it belongs to what is above
            tests[-1] = tests[-1]._replace(low=low)
    return tests


def _even_from(strata: Strata, deviations: float) -> float:
    """Return from where on all strata were taken from at one rate, 0 where there are none.

    At one rate means: to whole items, or to so many standard deviations of a random choice.
    """
    bottom = 0.0
    upper: list[Sequence[float]] = []
    for stratum in sorted(strata, key=lambda stratum: -stratum[0]):
        upper.append(stratum)
        rate = sum(taken for *_, taken in upper) / max(1, sum(population for *_, population, _ in upper))
        for *_, population, taken in upper:
            chance = deviations * math.sqrt(population * rate * (1 - rate))
            if abs(taken - population * rate) > 1 + chance:
                return bottom
        bottom = stratum[0]
    return bottom


def _promise(label: str, tests: Sequence[_Test], target: float, error: float) -> Promise | None:
    """Return the threshold of the lowest test that passes, or None if none does."""
    passed: list[tuple[_Test, float]] = []
    level = 0.0
    for test in tests:
        level += error * test.part
        if not level:
            continue
        if binomial_tail(test.confirmed, test.reviewed, target) <= level:
            passed.append((test, level))
        else:
            level = 0.0
    if not passed:
        return None
    # What was tested last at a cut covers all above it; bands below it stand for themselves.
    below = [(test, level) for test, level in passed if test.high != 100]
    used = [next(found for found in reversed(passed) if found[0].high == 100), *below]
    confirmed, reviewed = sum(test.confirmed for test, _ in used), sum(test.reviewed for test, _ in used)
    bound = min(exact_lower(test.confirmed, test.reviewed, 1 - level) for test, level in used)
    low = used[-1][0].low
    reason = f"{confirmed} of {reviewed} confirmed {_where(low, 100)}: at least {_percent(bound)} right"
    if below:
        reason += f", from {used[0][0].low:g} on and in each band below"
    return Promise(label, low, True, False, reason, reviewed, confirmed, bound)


def _unpromised(label: str, tests: Sequence[_Test], target: float, error: float) -> Promise:
    """Say what is missing.

    Tests without an error of their own pass only after one that has it. If each of these is shown to be
    below the target, the target cannot be met; that is wrong at most with `error`, by the one that is not.
    """
    starts = [test for test in tests if test.part]
    promise = Promise(label, None, False, False, "no threshold: nothing of it was to be reviewed", 0, 0)
    if not starts:
        return promise
    if all(binomial_tail(one.reviewed - one.confirmed, one.reviewed, 1 - target) <= error for one in starts):
        strictest = starts[0]
        most = 1 - exact_lower(strictest.reviewed - strictest.confirmed, strictest.reviewed, 1 - error)
        where = _where(strictest.low, strictest.high)
        reason = f"cannot be met: precision {where} is at most {_percent(most, up=True)}"
        return promise._replace(accepts_nothing=True, reason=reason, at_most=most)
    more, test = _missing(starts, target, error)
    about = f"about {more:,}" if more < MOST_REVIEWS else f"more than {MOST_REVIEWS:,}"
    reason = f"no threshold yet: {about} more reviews {_where(test.low, test.high)} would settle it"
    if more > test.unreviewed:
        left = f"only {test.unreviewed:,}" if test.unreviewed else "none"
        reason += f"; {left} left unreviewed there"
    return promise._replace(reason=reason, more_reviews_needed=more, between=(test.low, test.high))


def _missing(starts: Sequence[_Test], target: float, error: float) -> tuple[int, _Test]:
    """Return how many more reviews would settle a label, and where: fewest to pass, else to be refuted.

    A place with so many unreviewed items comes before one without.
    They are taken to turn out as those so far. Where there are few, the share right is drawn towards that
    of the next lower start, and at the lowest towards half as many wrong as the target allows.
    """
    share = (1 + target) / 2
    to_pass, to_refute = [], []
    for test in reversed(starts):
        share = (test.confirmed + _PRIOR * share) / (test.reviewed + _PRIOR)
        wrong = test.reviewed - test.confirmed
        if share > target:
            to_pass.append((_more(test.confirmed, test.reviewed, share, target, error * test.part), test))
        elif share < target:
            to_refute.append((_more(wrong, test.reviewed, 1 - share, 1 - target, error), test))
    if to_pass:
        return min(to_pass, key=lambda found: (found[0] > found[1].unreviewed, found[0]))
    # Of equal ones the strictest: what is reviewed there counts for the lower ones too.
    return max(reversed(to_refute), key=lambda found: found[0], default=(MOST_REVIEWS, starts[-1]))


def _more(k: int, n: int, share: float, limit: float, level: float) -> int:
    """Return how many more trials show, in about 80 % of cases, that a share is above `limit`.

    `k` of `n` so far, `share` of the next ones; `MOST_REVIEWS` where more are needed.
    """

    def enough(more: int) -> bool:
        least = more * share - _SURELY * math.sqrt(more * share * (1 - share))
        return binomial_tail(k + max(0, math.floor(least)), n + more, limit) <= level

    low, high = 0, 1
    while not enough(high):
        low, high = high, 2 * high
        if high > MOST_REVIEWS:
            return MOST_REVIEWS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def as_json(found: Sequence[Threshold] | Sequence[Promise], rule: Mapping[str, object]) -> dict[str, object]:
    """Return thresholds as the object `bulkqa thresholds --format json` prints, after what `rule` says.

    `map` is for those who use them: `{label: threshold}`, None where nothing may be accepted.

    >>> dog, cat = Threshold("Dog", 80, True, False, ""), Threshold("Cat", 100, False, True, "")
    >>> as_json([cat, dog], {"rule": "cost-ratio"})["map"]
    {'Cat': None, 'Dog': 80}
    """
    return {
        **rule,
        "thresholds": [one._asdict() for one in found],
        "map": {one.label: None if one.accepts_nothing else one.threshold for one in found},
    }


def as_table(
    found: Sequence[Threshold] | Sequence[Promise], promised: bool, schema: int
) -> Iterator[tuple[object, ...]]:
    """Yield thresholds as rows of a CSV file, the header first; `between` is two columns."""
    kind = Promise if promised else Threshold
    yield ("schema", *(name for name in kind._fields if name != "between"), *(("low", "high") * promised))
    for one in found:
        fields = one._asdict()
        between = fields.pop("between", None) or (None, None)
        yield (schema, *fields.values(), *(between if promised else ()))


def _plain(bound: float) -> float:
    """A whole bound as an integer, so that it prints as 80 and not as 80.0."""
    return int(bound) if float(bound).is_integer() else bound


def _left_out(label: str, evidence: Evidence) -> str:
    number = evidence.untested[label]
    return f"; {number:,} of a relabelling or adjudication are left out" if number else ""


def _where(low: float, high: float) -> str:
    return f"from {low:g} on" if high == 100 else f"from {low:g} to {high:g}"


def _percent(share: float, up: bool = False) -> str:
    """A bound in percent, rounded to the side on which it still holds."""
    tenths = 1000 * share
    return f"{(math.ceil(tenths) if up else math.floor(tenths)) / 10:.1f} %"


def _text(ratio: Fraction | int) -> str:
    return f"{float(ratio):g}"
