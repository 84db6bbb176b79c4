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

Where a label is looked at after every page and closed once it is settled, the sequential test takes the place
of the exact one: its p-values hold at any moment, so what is built on them does too. Over all labels together
the error is divided among them; where a lowest bound passes, what it was tested at goes to the lowest starts
of the other labels, as in Holm's procedure. Both are graphs of hypotheses that hand their error on: Bretz,
Maurer, Brannath and Posch, Statistics in Medicine 28 (2009) 586-604.

`confirmed` alone counts as right; a split item counts as wrong.
"""

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from bulkqa.errors import InputError
from bulkqa.flow.bands import PUBLISHED_BANDS, Bands, band_pairs, check_bands
from bulkqa.flow.plan import Sample, Strata
from bulkqa.flow.sequential import anytime_above, anytime_below, anytime_lower, anytime_upper
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


class ShareTest(NamedTuple):
    """How `k` right of `n` are held against a target.

    `above` and `below` give the p-value of "no more" and of "no less than the target are right", of k, n and
    the target; `lower` and `upper` the one-sided bounds, of k, n, the target and the error. Where `shuffled`,
    what is reviewed is a random sample by the order in which it was asked for, so that the numbers of reviews
    do not choose which bands are tested together.
    """

    above: Callable[[int, int, float], float]
    below: Callable[[int, int, float], float]
    lower: Callable[[int, int, float, float], float]
    upper: Callable[[int, int, float, float], float]
    shuffled: bool


EXACT = ShareTest(
    binomial_tail,
    lambda k, n, target: binomial_tail(n - k, n, 1 - target),
    lambda k, n, _, error: exact_lower(k, n, 1 - error),
    lambda k, n, _, error: 1 - exact_lower(n - k, n, 1 - error),
    shuffled=False,
)
"""For a number of reviews that the votes did not choose."""

SEQUENTIAL = ShareTest(
    anytime_above,
    anytime_below,
    anytime_lower,
    lambda k, n, _, error: anytime_upper(k, n, error),
    shuffled=True,
)
"""For a label that is looked at after every page."""


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
    `untested` has the number of rows by label that may not be tested. An item with fewer than `votes` votes
    counts as unreviewed.

    >>> evidence = Evidence((90, 95, 100))
    >>> evidence.cuts
    (90, 91, 92, 93, 94, 95, 96, 97, 97.5, 98, 99)
    >>> evidence.count(LabelRow(("a.jpg", "Dog"), 95.0, confirms=1))
    >>> evidence.labels["Dog"].between(evidence.place(95), len(evidence.cuts))
    (1, 1, 0)
    """

    bands: Bands = PUBLISHED_BANDS
    votes: int = 0
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
            reviews = self.labels[row.key[1]] = self.reviews(row.key[1])
        place = bisect_right(self.cuts, row.confidence) - 1
        if place < 0:
            return
        if row.source is not None and row.source.startswith(UNTESTED):
            self.untested[row.key[1]] += number
            return
        outcome = row.outcome
        if outcome is Outcome.UNREVIEWED or row.confirms + row.disconfirms + row.cannot_judges < self.votes:
            reviews.unreviewed[place] += number
        elif outcome is Outcome.CONFIRMED:
            reviews.confirmed[place] += number
        else:
            reviews.incorrect[place] += number

    def reviews(self, label: str) -> Reviews:
        """Return the numbers of a label's items, all 0 where none was counted."""
        found = self.labels.get(label)
        return found or Reviews(*([0] * len(self.cuts) for _ in Reviews._fields))

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
    test: ShareTest = EXACT,
    jointly: bool = False,
) -> list[Promise]:
    """Return, for every label in code-point order, the lowest threshold that can be promised.

    `samples` says how labels were sampled where not all their items were asked about. Where `jointly`, at
    most 1 - `assurance` of reports have any false threshold, else at most that share of the labels. Raises
    `InputError` for shares that cannot be.

    The strictest of five starts is tested at 0.05 / 5 = 0.01, which 0.95 ** 89 = 0.0104 is above and
    0.95 ** 90 = 0.0099 is not. At 80 all five parts have come together: 0.05 ** (1 / 90) = 0.967.

    >>> row = LabelRow(("a.jpg", "Dog"), 99.5, confirms=1)
    >>> for number in (89, 90):
    ...     found, = promised_thresholds(weigh([row] * number))
    ...     print(found.threshold, found.reason)
    None no threshold yet: about 41 more reviews from 80 on would settle it; none left unreviewed there
    80 90 of 90 confirmed from 80 on: at least 96.7 % right
    """
    check_shares(target, assurance)
    tests = {label: _tests(evidence, label, samples, test) for label in sorted(evidence.labels)}
    together = max(1, sum(map(_testable, tests.values()))) if jointly else 1
    error = (1 - assurance) / together
    passed = {label: _passed(of_label, test, target, error) for label, of_label in tests.items()}
    if together > 1:
        passed |= _handed_on(tests, test, target, 1 - assurance)
    found = []
    for label, of_label in tests.items():
        promise = _promise(label, passed[label], test, target)
        if promise is None:
            confirmed, reviewed, _ = evidence.labels[label].between(0, len(evidence.cuts))
            promise = _unpromised(label, of_label, test, target, error)
            promise = promise._replace(reviewed=reviewed, confirmed=confirmed)
        found.append(promise._replace(reason=promise.reason + _left_out(label, evidence)))
    return found


def check_shares(target: float, assurance: float) -> None:
    """Raise `InputError` naming a target or assurance that is not between 0 and 1."""
    for name, share in (("target", target), ("assurance", assurance)):
        if not 0 < share < 1:
            raise InputError(f"{name} {share:g} is not between 0 and 1")


def settled(
    evidence: Evidence,
    label: str,
    target: float = TARGET,
    assurance: float = ASSURANCE,
    samples: Sample | None = None,
) -> Promise | None:
    """Return what the sequential test says of a label once further reviews have little to add, else None.

    That is where the lowest threshold there can be is promised; where the target cannot be met; or where
    a threshold is promised and every start below it is shown to be below the target.

    The first start is passed at 0.01, which takes a bet of 100: 117 items, all right.

    >>> row = LabelRow(("a.jpg", "Dog"), 99.5, confirms=1)
    >>> [found and found.threshold for n in (116, 117) for found in [settled(weigh([row] * n), "Dog")]]
    [None, 80]
    """
    tests = _tests(evidence, label, samples, SEQUENTIAL)
    error = 1 - assurance
    promise = _promise(label, _passed(tests, SEQUENTIAL, target, error), SEQUENTIAL, target)
    if not _is_refuted(_below(tests, promise), SEQUENTIAL, target, error):
        return None
    if promise is None:
        confirmed, reviewed, _ = evidence.reviews(label).between(0, len(evidence.cuts))
        promise = _unpromised(label, tests, SEQUENTIAL, target, error)
        promise = promise._replace(reviewed=reviewed, confirmed=confirmed)
    return promise


def further_reviews(
    evidence: Evidence,
    label: str,
    target: float = TARGET,
    assurance: float = ASSURANCE,
    samples: Sample | None = None,
) -> int:
    """Return how many more items of a label, as they come, are likely to settle it by the sequential test.

    Before any is reviewed, as many as settle a label of which nothing is wrong: looking earlier is no use.
    Then as many as are enough in about 4 of 5 cases, if they turn out as those so far.

    With two bands there are four starts, of 0.1 / 4 each: 0.9 ** -n * 19 / (19 + n) is above 40 from 47 on.

    >>> further_reviews(Evidence(), "Dog"), further_reviews(Evidence((80, 90, 100)), "Dog", 0.9, 0.9)
    (117, 47)
    """
    tests = _tests(evidence, label, samples, SEQUENTIAL)
    error = 1 - assurance
    promise = _promise(label, _passed(tests, SEQUENTIAL, target, error), SEQUENTIAL, target)
    waiting = _below(tests, promise)
    _, reviewed, unreviewed = evidence.reviews(label).between(0, len(evidence.cuts))
    if not reviewed:
        return _more(0, 0, 1, lambda k, n: SEQUENTIAL.above(k, n, target), error * waiting[-1].part)
    if not waiting:
        return 0
    more, test = _missing(waiting, SEQUENTIAL, target, error)
    share = (test.reviewed + test.unreviewed + 1) / (reviewed + unreviewed + 1)
    return min(MOST_REVIEWS, math.ceil(more / share))


class _Hypothesis(NamedTuple):
    """No more than the target of the items from `low` to `high` are right: so many are, of those reviewed.

    `part` of the error is what its test starts with.
    """

    low: float
    high: float
    confirmed: int
    reviewed: int
    unreviewed: int
    part: float


_Passed = list[tuple[_Hypothesis, float]]
"""Hypotheses that were refuted, the strictest first, and what each was tested at."""


def _tests(evidence: Evidence, label: str, samples: Sample | None, test: ShareTest) -> list[_Hypothesis]:
    """Return what is tested of a label, the strictest first: all its cuts, or one cut and bands below it."""
    cuts, bands, reviews = evidence.cuts, evidence.bands, evidence.reviews(label)
    sample = (samples or {}).get(label, ())
    half = (bands[-2] + 100) / 2
    strata = []
    for high, low in pairwise(sorted({*bands, half, cuts[-1]}, reverse=True)):
        _, reviewed, unreviewed = reviews.between(evidence.place(low), evidence.place(high))
        strata.append((_plain(low), _plain(high), reviewed + unreviewed, reviewed))
    # A sample's rates are known, those of the rows are as even as chance would have them.
    bottom = max(bands[0], _even_from(sample, 0), 0 if test.shuffled else _even_from(strata, 3))
    if bottom > bands[0]:
        starts = {bottom}
    else:
        starts = {bands[0], bands[(len(bands) - 1) // 2], bands[-2], half, cuts[-1]}
    tests = []
    for place in range(len(cuts) - 1, evidence.place(bottom) - 1, -1):
        part = 1 / len(starts) if cuts[place] in starts else 0
        tests.append(_Hypothesis(cuts[place], 100, *reviews.between(place, len(cuts)), part))
    populations = {(low, high): population for low, high, population, _ in sample}
    for low, high, items, _ in strata:
        if high > bottom:
            continue
        if populations.get((low, high), items):
            counts = reviews.between(evidence.place(low), evidence.place(high))
            tests.append(_Hypothesis(low, high, *counts, part=0))
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


def _passed(
    tests: Sequence[_Hypothesis], test: ShareTest, target: float, error: float, extra: float = 0
) -> _Passed:
    """Return what passes at `error`, of which the lowest start has `extra` more."""
    lowest = max(place for place, one in enumerate(tests) if one.part)
    passed: _Passed = []
    level = 0.0
    for place, one in enumerate(tests):
        level += error * one.part + (extra if place == lowest else 0)
        if not level:
            continue
        if test.above(one.confirmed, one.reviewed, target) <= level:
            passed.append((one, level))
        else:
            level = 0.0
    return passed


def _is_through(tests: Sequence[_Hypothesis], passed: _Passed) -> bool:
    """Say whether the lowest bound passed."""
    return bool(passed) and passed[-1][0] is tests[-1]


def _testable(tests: Sequence[_Hypothesis]) -> bool:
    """Say whether a label has an item that may be tested: what counts among the labels of a joint promise."""
    return any(one.reviewed or one.unreviewed for one in tests)


def _handed_on(
    tests: Mapping[str, Sequence[_Hypothesis]], test: ShareTest, target: float, error: float
) -> dict[str, _Passed]:
    """Return what passes of those labels whose lowest bound does, where all labels share `error`.

    Each has an equal part. Where the lowest bound passes, what it was tested at goes to the lowest starts of
    the labels whose own has not, in equal parts, again and again. No label is given more than it would have
    by itself, with the whole error.
    """
    left = {label for label, of_label in tests.items() if _testable(of_label)}
    part = error / len(left)
    through: dict[str, _Passed] = {}
    handed = extra = 0.0
    while left:
        fresh = {
            label: passed
            for label in left
            for passed in (_passed(tests[label], test, target, part, extra),)
            if _is_through(tests[label], passed)
            and _is_through(tests[label], _passed(tests[label], test, target, error))
        }
        if not fresh:
            break
        handed += sum(passed[-1][1] - extra for passed in fresh.values())
        through |= fresh
        left -= fresh.keys()
        extra = handed / max(1, len(left))
    return through


def _promise(label: str, passed: _Passed, test: ShareTest, target: float) -> Promise | None:
    """Return the threshold of the lowest test that passed, or None if none did."""
    if not passed:
        return None
    # What was tested last at a cut covers all above it; bands below it stand for themselves.
    below = [(one, level) for one, level in passed if one.high != 100]
    used = [next(found for found in reversed(passed) if found[0].high == 100), *below]
    confirmed, reviewed = sum(one.confirmed for one, _ in used), sum(one.reviewed for one, _ in used)
    bound = min(test.lower(one.confirmed, one.reviewed, target, level) for one, level in used)
    low = used[-1][0].low
    reason = f"{confirmed} of {reviewed} confirmed {_where(low, 100)}: at least {_percent(bound)} right"
    if below:
        reason += f", from {used[0][0].low:g} on and in each band below"
    return Promise(label, low, True, False, reason, reviewed, confirmed, bound)


def _below(tests: Sequence[_Hypothesis], promise: Promise | None) -> list[_Hypothesis]:
    """Return what stands between a label and a lower threshold than it has.

    Tests without an error of their own pass only after one that has it: so these, and, of bands that are
    tested one by one, the next.
    """
    if promise is None or promise.threshold is None:
        return [one for one in tests if one.part]
    lower = [one for one in tests if one.low < promise.threshold]
    alone = [one._replace(part=1) for one in lower if one.high != 100]
    return [one for one in lower if one.part] + alone[:1]


def _is_refuted(tests: Sequence[_Hypothesis], test: ShareTest, target: float, error: float) -> bool:
    """Say whether each of these is shown to be below the target: wrong by one that is not, at `error`."""
    return all(test.below(one.confirmed, one.reviewed, target) <= error for one in tests)


def _unpromised(
    label: str, tests: Sequence[_Hypothesis], test: ShareTest, target: float, error: float
) -> Promise:
    """Say what is missing, or that the target cannot be met: no start can pass."""
    promise = Promise(label, None, False, False, "", 0, 0)
    starts = _below(tests, None)
    if _is_refuted(starts, test, target, error):
        strictest = starts[0]
        most = test.upper(strictest.confirmed, strictest.reviewed, target, error)
        where = _where(strictest.low, strictest.high)
        reason = f"cannot be met: precision {where} is at most {_percent(most, up=True)}"
        return promise._replace(accepts_nothing=True, reason=reason, at_most=most)
    more, one = _missing(starts, test, target, error)
    about = f"about {more:,}" if more < MOST_REVIEWS else f"more than {MOST_REVIEWS:,}"
    reason = f"no threshold yet: {about} more reviews {_where(one.low, one.high)} would settle it"
    if more > one.unreviewed:
        left = f"only {one.unreviewed:,}" if one.unreviewed else "none"
        reason += f"; {left} left unreviewed there"
    return promise._replace(reason=reason, more_reviews_needed=more, between=(one.low, one.high))


def _missing(
    starts: Sequence[_Hypothesis], test: ShareTest, target: float, error: float
) -> tuple[int, _Hypothesis]:
    """Return how many more reviews would settle a label, and where: fewest to pass, else to be refuted.

    A place with so many unreviewed items comes before one without.
    They are taken to turn out as those so far. Where there are few, the share right is drawn towards that
    of the next lower start, and at the lowest towards half as many wrong as the target allows.
    """
    share = (1 + target) / 2
    to_pass, to_refute = [], []
    for one in reversed(starts):
        _, _, right, n, *_ = one
        share = (right + _PRIOR * share) / (n + _PRIOR)
        if share > target:
            more = _more(right, n, share, lambda k, n: test.above(k, n, target), error * one.part)
            to_pass.append((more, one))
        elif share < target:
            more = _more(n - right, n, 1 - share, lambda k, n: test.below(n - k, n, target), error)
            to_refute.append((more, one))
    if to_pass:
        return min(to_pass, key=lambda found: (found[0] > found[1].unreviewed, found[0]))
    # Of equal ones the strictest: what is reviewed there counts for the lower ones too.
    return max(reversed(to_refute), key=lambda found: found[0], default=(MOST_REVIEWS, starts[-1]))


def _more(k: int, n: int, share: float, p_value: Callable[[int, int], float], level: float) -> int:
    """Return how many more trials bring the p-value to `level`, in about 80 % of cases.

    `k` of `n` so far, `share` of the next ones; `MOST_REVIEWS` where more are needed.
    """

    def enough(more: int) -> bool:
        least = more * share - _SURELY * math.sqrt(more * share * (1 - share))
        return p_value(k + max(0, math.floor(least)), n + more) <= level

    low, high = 0, 1
    while not enough(high):
        low, high = high, 2 * high
        if high > MOST_REVIEWS:
            return MOST_REVIEWS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def target_rule(
    target: float = TARGET, assurance: float = ASSURANCE, test: ShareTest = EXACT, jointly: bool = False
) -> dict[str, object]:
    """Return the rule by target as `as_json` takes it; what is not usual is named only where it is so.

    >>> target_rule(0.98, jointly=True)
    {'rule': 'target', 'target': 0.98, 'assurance': 0.95, 'jointly': True}
    """
    rule: dict[str, object] = {"rule": "target", "target": target, "assurance": assurance}
    if test is SEQUENTIAL:
        rule["sequential"] = True
    return rule | ({"jointly": True} if jointly else {})


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
