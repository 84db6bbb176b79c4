"""Plan: before any page is shown, how many items of each label and band to review, and what that costs.

The strata are the bands of a label; in each a simple random sample is reviewed. How many reviews a label
gets follows from the promise that is asked for, a share right of at least `target` with `assurance`. Bands
that are sampled at different rates are tested one by one, from the highest to the first that fails, each by
the exact binomial test at 1 - `assurance`: so all hangs on the highest one, and it comes first. Where it
cannot have enough for its test, all bands are sampled at the same rate: then they are tested together.
`docs/reference/plan.md` has an example done by hand.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from heapq import heapify, heapreplace
from itertools import pairwise
from typing import NamedTuple

from bulkqa.errors import InputError
from bulkqa.flow.batches import plan_batches
from bulkqa.flow.costs import PRICES_OF, aws_costs, ground_truth_costs
from bulkqa.flow.mixing import Mixer
from bulkqa.flow.statistics import binomial_tail

POWER = 0.8
"""The chance of the highest band to pass its test, if half as many of its items are wrong as may be."""

PILOT = 10
"""What the middle of a band counts for beside earlier votes, in votes."""

SECONDS_PER_PICTURE = 1.5
"""A reviewer's time where no page's was recorded: looks take 1 to 2 seconds."""

Strata = Sequence[Sequence[float]]
"""How a label was sampled: [low, high, population, taken] of each band."""

Sample = Mapping[str, Strata]
"""How the labels of a job that is a sample were sampled."""


class Stratum(NamedTuple):
    """The items of one label from `low` to below `high` (the last band: to 100), and how many to review.

    `precision` is the share right that was assumed as the sample was divided.
    """

    low: float
    high: float
    population: int
    taken: int
    precision: float

    @property
    def weight(self) -> float | None:
        """How many items of the population a reviewed one stands for, or None where none is reviewed."""
        return self.population / self.taken if self.taken else None


class LabelPlan(NamedTuple):
    """The strata of a label. `decidable` is false where even all its items, all right, promise nothing."""

    label: str
    strata: tuple[Stratum, ...]
    decidable: bool

    @property
    def population(self) -> int:
        """Items in any band."""
        return sum(stratum.population for stratum in self.strata)

    @property
    def taken(self) -> int:
        """Items to review."""
        return sum(stratum.taken for stratum in self.strata)

    @property
    def error(self) -> float | None:
        """The standard error of the label's share right, as assumed; None where a band has no sample."""
        return standard_error(self.strata)


class Plan(NamedTuple):
    """What to review of a corpus, known by its digest, and what was assumed about the work.

    `below` counts items under the minimum confidence or the lowest band; `timed` the recorded page times
    that `seconds_per_page` comes from, 0 where it is an assumption. A page has at most `batch_size` pictures,
    of which `check_rate` is the share of known-answer items.
    """

    corpus_name: str
    corpus_sha256: str
    target: float
    assurance: float
    bands: tuple[float, ...]
    minimum_confidence: float
    batch_size: int
    reviewers: int
    seconds_per_page: float
    timed: int
    below: int
    labels: tuple[LabelPlan, ...]
    check_rate: float = 0

    @property
    def population(self) -> int:
        """Items in any band."""
        return sum(line.population for line in self.labels)

    @property
    def taken(self) -> int:
        """Items to review."""
        return sum(line.taken for line in self.labels)

    @property
    def pages(self) -> int:
        """Pages; each shows one label."""
        return sum(1 for _ in self._places())

    @property
    def checks(self) -> int:
        """Known-answer items, if there are as many as the pages have places for."""
        return sum(self._places())

    @property
    def looks(self) -> int:
        """Looks at a picture, over all reviewers, known-answer items included."""
        return (self.taken + self.checks) * self.reviewers

    @property
    def hours(self) -> float:
        """Reviewers' time in hours, over all of them; a page that is not full takes its part."""
        return self.looks * self.seconds_per_page / self.batch_size / 3600

    def _places(self) -> Iterator[int]:
        """Yield of each page how many known-answer items stand on it, in a launch with seed 0."""
        mixer = Mixer(self.check_rate, self.batch_size, seed=0)
        of_label = {line.label: line.taken for line in self.labels}
        for number, _, items in plan_batches(of_label, self.batch_size, mixer.room):
            yield mixer.places(number, items)


# How many reviews.


def needed(target: float, level: float, wrong: int = 0) -> int:
    """Return the fewest reviews that prove a precision of `target`, at `level`, with so many of them wrong.

    With none wrong that is n >= ln(level) / ln(target).

    >>> [needed(0.95, 0.05, wrong) for wrong in range(4)]
    [59, 93, 124, 153]
    """
    low, high = wrong, 2 * wrong + 1  # at the lower end everything was wrong
    while binomial_tail(high - wrong, high, target) > level:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if binomial_tail(middle - wrong, middle, target) > level:
            low = middle
        else:
            high = middle
    return high


def worthwhile(target: float, level: float) -> int:
    """Return how many reviews prove `target` in `POWER` of all cases, if half as many are wrong as may be.

    Of all sizes with the same number of wrong ones allowed, the smallest has the best chance.

    At a share of 0.9 right, 9 or fewer of 76 are wrong with chance 0.774, 10 or fewer of 82 with 0.806.

    >>> [needed(0.8, 0.05, wrong) for wrong in (9, 10)], worthwhile(0.8, 0.05)
    ([76, 82], 82)
    """
    right = (1 + target) / 2
    wrong = 0
    while True:
        n = needed(target, level, wrong)
        if binomial_tail(n - wrong, n, right) >= POWER:
            return n
        wrong += 1


def allowed(taken: int, target: float, level: float) -> int | None:
    """Return how many of `taken` may be wrong so that they still prove `target`, or None if none may.

    >>> [allowed(taken, 0.95, 0.05) for taken in (58, 59, 92, 93)]
    [None, 0, 0, 1]
    """
    if binomial_tail(taken, taken, target) > level:
        return None
    low, high = 0, taken
    while high - low > 1:
        middle = (low + high) // 2
        if binomial_tail(taken - middle, taken, target) > level:
            high = middle
        else:
            low = middle
    return low


def divide(
    reviews: int, populations: Sequence[int], precisions: Sequence[float], least: int, highest: int = 0
) -> tuple[int, ...]:
    """Return how many of `reviews` each stratum gets.

    First each gets `least`, then the last one that has items `highest` in all; none more than it has, and
    equally many where not all can have `least`. The rest goes where it lowers the standard error most: one
    after the other to the stratum where N_h^2 p_h (1 - p_h) / (n_h (n_h + 1)) is largest, which is the best
    division into whole numbers (Wright, The American Statistician 66 (2012) 217-224) and without bounds
    makes n_h proportional to W_h sqrt(p_h (1 - p_h)) (Neyman, Journal of the Royal Statistical Society 97
    (1934) 558-625).

    Of 20 reviews, equal strata, deviations 0.4 and 0.1: 4 to 1.

    >>> divide(20, [500, 500], [0.8, 0.9899], least=1)
    (16, 4)
    """
    reviews = min(reviews, sum(populations))
    taken = list(_equally(min(reviews, sum(min(least, n) for n in populations)), populations))
    last = max((place for place, population in enumerate(populations) if population), default=None)
    if last is not None:
        taken[last] = min(max(taken[last], highest), populations[last], taken[last] + reviews - sum(taken))
    # The largest gain first; strata without any left, or where all are alike, gain nothing.
    gains = [
        (-_gain(population, p, n), place)
        for place, (population, p, n) in enumerate(zip(populations, precisions, taken, strict=True))
    ]
    heapify(gains)
    for _ in range(reviews - sum(taken)):
        place = gains[0][1]
        taken[place] += 1
        heapreplace(gains, (-_gain(populations[place], precisions[place], taken[place]), place))
    return tuple(taken)


def evenly(reviews: int, populations: Sequence[int]) -> tuple[int, ...]:
    """Return how many of `reviews` each stratum gets at the same rate, to less than one whole item.

    What rounding leaves over goes first to those with nothing.

    >>> evenly(10, [89, 10, 1])
    (8, 1, 1)
    """
    total = sum(populations)
    reviews = min(reviews, total)
    shares = [divmod(reviews * population, total) if total else (0, 0) for population in populations]
    taken = [whole for whole, _ in shares]
    some = sorted((whole > 0, -part, place) for place, (whole, part) in enumerate(shares) if part)
    for _, _, place in some[: reviews - sum(taken)]:
        taken[place] += 1
    return tuple(taken)


def _gain(population: int, precision: float, taken: int) -> float:
    if taken == population:
        return -1.0  # last, behind strata in which all are alike
    return population**2 * precision * (1 - precision) / (taken * (taken + 1)) if taken else math.inf


def _equally(reviews: int, populations: Sequence[int]) -> list[int]:
    """Divide reviews into equal parts, as far as the strata have so many; the last ones get what is over."""
    taken = [0] * len(populations)
    left = reviews
    for done, place in enumerate(sorted(range(len(taken)), key=populations.__getitem__)):
        taken[place] = min(populations[place], left // (len(taken) - done))
        left -= taken[place]
    return taken


def standard_error(strata: Sequence[Stratum]) -> float | None:
    """Return the standard error of the weighted share right, or None where a stratum has no sample.

    Samples are drawn without replacement, so what is reviewed whole adds nothing: the variance is the sum of
    W_h^2 p_h (1 - p_h) / n_h (N_h - n_h) / (N_h - 1). Source: Cochran, Sampling Techniques, 3rd ed. (1977),
    theorem 5.3 with S_h^2 of a share.

    Half of the items at 0.5, 25 of 100 of them: 0.5 sqrt(0.25 / 25 * 75 / 99) = 0.0435.

    >>> round(standard_error([Stratum(80, 90, 100, 25, 0.5), Stratum(90, 100, 100, 100, 0.9)]), 4)
    0.0435
    """
    total = sum(stratum.population for stratum in strata)
    variance = 0.0
    for _, _, population, taken, p in strata:
        if population == taken:
            continue
        if not taken:
            return None
        spread = p * (1 - p) / taken * (population - taken) / (population - 1)
        variance += (population / total) ** 2 * spread
    return math.sqrt(variance)


# The plan.


def plan_labels(
    populations: Mapping[str, Sequence[int]],
    bands: Sequence[float],
    target: float,
    assurance: float,
    reviews_per_label: int | None = None,
    votes: Mapping[str, Sequence[tuple[int, int]]] | None = None,
) -> tuple[LabelPlan, ...]:
    """Return the plan of each label, in code-point order, of its numbers of items by band.

    Each band gets at least as many as pass its test if all are right (`needed`), the highest one
    `worthwhile`, as far as it has them; as many as a band needs are left for where they help most. Or
    `reviews_per_label` in all. Where the highest band with any items comes out with fewer than `needed`, all
    are taken `evenly`. A band is assumed to be as right as the model says, the middle of the band; `votes`
    (confirmed, reviewed) by label and band, of an earlier job, count beside it.

    Raises `InputError` for a target, assurance or number of reviews that cannot be.

    >>> label, = plan_labels({"Dog": [50, 950]}, (80, 90, 100), 0.95, 0.95, 250)
    >>> [(stratum.taken, stratum.precision) for stratum in label.strata], label.decidable
    ([(50, 0.85), (200, 0.95)], True)
    """
    for name, share in (("target", target), ("assurance", assurance)):
        if not 0.5 <= share < 1:
            raise InputError(f"{name} {share:g} is outside 0.5 to below 1")
    if reviews_per_label is not None and reviews_per_label < 1:
        raise InputError(f"{reviews_per_label} reviews per label: at least 1 is needed")
    least, highest = needed(target, 1 - assurance), worthwhile(target, 1 - assurance)
    reviews = highest + least * (len(bands) - 1) if reviews_per_label is None else reviews_per_label
    lines = []
    for label in sorted(populations):
        found = votes.get(label) if votes else None
        precisions = [
            (confirmed + PILOT * (low + high) / 200) / (reviewed + PILOT)
            for (low, high), (confirmed, reviewed) in zip(
                pairwise(bands), found or [(0, 0)] * (len(bands) - 1), strict=True
            )
        ]
        taken = divide(reviews, populations[label], precisions, least, highest)
        if next((number for number in reversed(taken) if number), 0) < least:
            taken = evenly(reviews, populations[label])
        strata = tuple(
            Stratum(low, high, population, number, precision)
            for (low, high), population, number, precision in zip(
                pairwise(bands), populations[label], taken, precisions, strict=True
            )
        )
        lines.append(LabelPlan(label, strata, sum(populations[label]) >= least))
    return tuple(lines)


# Kept as a file.


def plan_json(plan: Plan, schema: int) -> dict[str, object]:
    """Return the plan as the object `bulkqa plan --format json` prints; `read_plan` reads it back."""
    fees, costs = ground_truth_costs(plan.pages), aws_costs(plan.taken, plan.pages, plan.reviewers)
    return {
        "schema": schema,
        "corpus": {"name": plan.corpus_name, "sha256": plan.corpus_sha256},
        "target": plan.target,
        "assurance": plan.assurance,
        "bands": list(plan.bands),
        "minimum_confidence": plan.minimum_confidence,
        "batch_size": plan.batch_size,
        "reviewers": plan.reviewers,
        "check_rate": plan.check_rate,
        "seconds_per_page": plan.seconds_per_page,
        "timed": plan.timed,
        "below": plan.below,
        "labels": [
            {
                "label": line.label,
                "population": line.population,
                "taken": line.taken,
                "standard_error": line.error,
                "decidable": line.decidable,
                "bands": [
                    {
                        "band": [stratum.low, stratum.high],
                        "population": stratum.population,
                        "taken": stratum.taken,
                        "weight": stratum.weight,
                        "precision": stratum.precision,
                        "wrong_allowed": allowed(stratum.taken, plan.target, 1 - plan.assurance),
                    }
                    for stratum in line.strata
                ],
            }
            for line in plan.labels
        ],
        "too_few": [line.label for line in plan.labels if not line.decidable],
        "totals": {
            "population": plan.population,
            "taken": plan.taken,
            "left_out": plan.population - plan.taken,
            "checks": plan.checks,
            "pages": plan.pages,
            "hours": plan.hours,
        },
        "costs": {
            "prices_of": PRICES_OF,
            "ground_truth": math.fsum(cost.dollars for cost in fees),
            "aws": math.fsum(cost.dollars for cost in costs),
            "lines": [cost._asdict() for cost in (*fees, *costs)],
        },
    }


def plan_rows(plan: Plan, schema: int) -> Iterator[tuple[object, ...]]:
    """Yield the plan as rows of a CSV file, the header first: a row for each label and band."""
    numbers = ("population", "taken", "weight", "precision", "wrong_allowed")
    yield ("schema", "label", "decidable", "low", "high", *numbers)
    for line in plan.labels:
        for one in line.strata:
            wrong = allowed(one.taken, plan.target, 1 - plan.assurance)
            found = (one.population, one.taken, one.weight, one.precision, wrong)
            yield (schema, line.label, line.decidable, one.low, one.high, *found)


def read_plan(data: str | bytes, name: str, schema: int) -> Plan:
    """Return the plan in a file that `plan_json` describes; `name` is the file's, for messages.

    What follows from the numbers of items and reviews is not read, so `taken` may be edited by hand.
    Raises `InputError` naming the field at fault.
    """
    try:
        document = json.loads(data)
        if document["schema"] > schema:
            raise InputError(
                f"{name}: written by a newer bulkqa (schema {document['schema']}, this one reads {schema})"
            )
        plan = Plan(
            corpus_name=str(document["corpus"]["name"]),
            corpus_sha256=str(document["corpus"]["sha256"]),
            target=float(document["target"]),
            assurance=float(document["assurance"]),
            bands=tuple(float(bound) for bound in document["bands"]),
            minimum_confidence=float(document["minimum_confidence"]),
            batch_size=int(document["batch_size"]),
            reviewers=int(document["reviewers"]),
            seconds_per_page=float(document["seconds_per_page"]),
            timed=int(document["timed"]),
            below=int(document["below"]),
            labels=tuple(_label_plan(line) for line in document["labels"]),
            check_rate=float(document.get("check_rate", 0)),
        )
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise InputError(f"{name}: no plan as `bulkqa plan --format json` writes it: {error!r}") from None
    for line in plan.labels:
        if [(low, high) for low, high, *_ in line.strata] != list(pairwise(plan.bands)):
            raise InputError(f"{name}: label {line.label!r} has other bands than the plan")
        for low, high, population, taken, _ in line.strata:
            if not 0 <= taken <= population:
                raise InputError(
                    f"{name}: label {line.label!r}, band {low:g}-{high:g}: {taken} of {population} items"
                )
    return plan


def _label_plan(line: Mapping[str, object]) -> LabelPlan:
    strata = []
    for band in line["bands"]:  # type: ignore[attr-defined]
        low, high = band["band"]
        numbers = int(band["population"]), int(band["taken"]), float(band["precision"])
        strata.append(Stratum(float(low), float(high), *numbers))
    return LabelPlan(str(line["label"]), tuple(strata), bool(line["decidable"]))
