"""Agreement: how far reviewers of the same items say the same, and who stands apart from the rest.

A vote that cannot judge is no vote here. How many items got so many confirms and disconfirms is all that is
needed, so memory depends on labels, voters and numbers of votes alone. An item's voters count as so many
people, though one person may have voted on it in two jobs.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from statistics import NormalDist
from typing import NamedTuple

from bulkqa.flow.statistics import Interval, wilson
from bulkqa.flow.votes import LabelRow

Patterns = Mapping[tuple[int, int], int]
"""Numbers of items by (confirms, disconfirms)."""

_Z = NormalDist().inv_cdf(0.975)


class Figure(NamedTuple):
    """A figure and its 95 % interval; None where it is not defined, or where the items do not vary."""

    value: float | None = None
    interval: Interval | None = None


class Agreement(NamedTuple):
    """Agreement on the `items` with at least two votes, which have `votes` in all.

    `agreed` is the share of pairs of votes on an item that are the same; `on_confirms` and `on_rejects`, of
    the pairs in which one vote confirms (rejects), the share in which the other does too, counted from both
    sides. `alpha` is Krippendorff's for nominal data, `ac1` Gwet's; `chance_alpha` and `chance_ac1` are the
    agreement that each of them puts down to chance.
    """

    items: int = 0
    votes: int = 0
    agreed: Figure = Figure()
    on_confirms: Figure = Figure()
    on_rejects: Figure = Figure()
    alpha: Figure = Figure()
    ac1: Figure = Figure()
    chance_alpha: float | None = None
    chance_ac1: float | None = None


class _Sums(NamedTuple):
    """What the figures are made of, summed over items; those up to `disagreed` over items with two votes."""

    items: float = 0
    votes: float = 0
    confirms: float = 0
    same: float = 0  # the share of the pairs of votes on an item that are the same
    confirm_pairs: float = 0
    confirmed_in: float = 0  # times a confirm stands in a pair, from both sides
    reject_pairs: float = 0
    rejected_in: float = 0
    disagreed: float = 0
    voted: float = 0  # items with a vote at all
    confirm_share: float = 0

    @property
    def rejects(self) -> float:
        return self.votes - self.confirms


def _sums(confirms: int, disconfirms: int) -> _Sums:
    votes = confirms + disconfirms
    if votes == 0:
        return _Sums()
    if votes == 1:
        return _Sums(voted=1, confirm_share=confirms)
    confirm_pairs, reject_pairs = confirms * (confirms - 1), disconfirms * (disconfirms - 1)
    return _Sums(
        items=1,
        votes=votes,
        confirms=confirms,
        same=(confirm_pairs + reject_pairs) / (votes * (votes - 1)),
        confirm_pairs=confirm_pairs,
        confirmed_in=confirms * (votes - 1),
        reject_pairs=reject_pairs,
        rejected_in=disconfirms * (votes - 1),
        disagreed=confirms * disconfirms / (votes - 1),
        voted=1,
        confirm_share=confirms / votes,
    )


def agreement(patterns: Patterns) -> Agreement:
    """Return the agreement on items with these numbers of (confirms, disconfirms).

    Alpha leaves items with fewer than two votes out, and is not defined where all votes on the others are
    the same; AC1 takes the share of confirms over every item with a vote. The interval of `agreed` is
    Wilson's with items as trials, those of the others come of leaving out one item at a time (jackknife).
    Sources: Krippendorff, Content Analysis (2004), chapter 11; Gwet, BJMSP 61 (2008) 29-48; agreement on
    one category: Cicchetti and Feinstein, Journal of Clinical Epidemiology 43 (1990) 551-558.

    Two reviewers, 100 items: both confirm 90, both reject 4, they differ on 6. Rejects agree in
    2 x 4 / (2 x 4 + 6); alpha is 1 - 199 x 6 / (186 x 14); AC1 is (0.94 - c) / (1 - c), c = 2 x 0.93 x 0.07.

    >>> found = agreement({(2, 0): 90, (0, 2): 4, (1, 1): 6})
    >>> [round(figure.value, 4) for figure in (found.agreed, found.on_rejects, found.alpha, found.ac1)]
    [0.94, 0.5714, 0.5415, 0.931]
    """
    # Sorted, for the order of the rows must not show in the last digit.
    parts = [(_sums(*pattern), patterns[pattern]) for pattern in sorted(patterns)]
    total = _Sums(
        *(math.fsum(part[place] * number for part, number in parts) for place in range(len(_Sums())))
    )
    items = round(total.items)
    if items == 0:
        return Agreement()
    agreed = min(1.0, total.same / items)
    alpha = _figure(_alpha, total, parts)
    return Agreement(
        items,
        round(total.votes),
        Figure(agreed, wilson(agreed * items, items)),
        _figure(_on_confirms, total, parts),
        _figure(_on_rejects, total, parts),
        alpha,
        _figure(_ac1, total, parts),
        None if alpha.value is None else _chance_alpha(total),
        _chance_ac1(total),
    )


# Counts are whole but for what rounding leaves of them: below a half there is none.


def _on_confirms(of: _Sums) -> float | None:
    return of.confirm_pairs / of.confirmed_in if of.confirmed_in > 0.5 else None


def _on_rejects(of: _Sums) -> float | None:
    return of.reject_pairs / of.rejected_in if of.rejected_in > 0.5 else None


def _alpha(of: _Sums) -> float | None:
    if of.confirms < 0.5 or of.rejects < 0.5:
        return None
    return 1 - (of.votes - 1) * of.disagreed / (of.confirms * of.rejects)


def _chance_alpha(of: _Sums) -> float:
    return 1 - 2 * of.confirms * of.rejects / (of.votes * (of.votes - 1))


def _ac1(of: _Sums) -> float | None:
    if of.items < 0.5:
        return None
    chance = _chance_ac1(of)
    return (of.same / of.items - chance) / (1 - chance)


def _chance_ac1(of: _Sums) -> float:
    share = of.confirm_share / of.voted
    return 2 * share * (1 - share)


def _figure(
    formula: Callable[[_Sums], float | None], total: _Sums, parts: Iterable[tuple[_Sums, int]]
) -> Figure:
    """Return a figure with its jackknife interval, kept within -1 to 1."""
    value = formula(total)
    if value is None:
        return Figure()
    left: list[tuple[float, int]] = []
    for part, number in parts:
        if part.voted:
            without = formula(_Sums(*(all_of - one for all_of, one in zip(total, part, strict=True))))
            if without is None:
                return Figure(value)
            left.append((without, number))
    n = sum(number for _, number in left)
    mean = math.fsum(one * number for one, number in left) / n
    spread = math.fsum(number * (one - mean) ** 2 for one, number in left)
    half = _Z * math.sqrt((n - 1) / n * spread)
    if half < 1e-9:
        return Figure(value)
    return Figure(value, (max(-1.0, value - half), min(1.0, value + half)))


def in_words(found: Agreement) -> str | None:
    """Return what the figures say, and why alpha and AC1 differ where they do; None where there are none.

    >>> print(in_words(agreement({(2, 0): 90, (0, 2): 5, (1, 1): 5})))  # doctest: +NORMALIZE_WHITESPACE
    Two votes on an item agree in 95.0%; where one rejects, the other does in 66.7%. Alpha is 0.64 and AC1
    0.94: one answer is more frequent, so alpha puts 86.1% agreement down to chance and few disagreements
    weigh much, while AC1 puts down 13.9%. Go by the agreement on rejects.
    """
    if found.agreed.value is None:
        return None
    rejects, alpha, ac1 = found.on_rejects.value, found.alpha.value, found.ac1.value
    words = f"Two votes on an item agree in {found.agreed.value:.1%}"
    words += (
        "; nobody rejects any. "
        if rejects is None
        else f"; where one rejects, the other does in {rejects:.1%}. "
    )
    if alpha is None or ac1 is None:
        return f"{words}Alpha is not defined, since all votes are the same."
    words += f"Alpha is {alpha:.2f} and AC1 {ac1:.2f}"
    if abs(ac1 - alpha) < 0.1:
        return f"{words}."
    return (
        f"{words}: one answer is more frequent, so alpha puts {found.chance_alpha:.1%} agreement down to "
        f"chance and few disagreements weigh much, while AC1 puts down {found.chance_ac1:.1%}. "
        "Go by the agreement on rejects."
    )


class Reviewer(NamedTuple):
    """A voter's votes; `shared` counts the items on which somebody else voted too.

    `agreed` is the share of the others' votes there that are the same, each item counting once. `distance`
    is the share of the shared items that this voter rejects less the share that the others reject: above 0
    stricter than the rest, below 0 milder.
    """

    voter: str
    confirmed: int
    disconfirmed: int
    cannot_judge: int
    shared: int
    agreed: Figure
    distance: Figure


@dataclass(slots=True)
class _Votes:
    """A voter's votes: (rejected, others' confirms, others' disconfirms) -> items."""

    cannot_judge: int = 0
    patterns: dict[tuple[bool, int, int], int] = field(default_factory=dict)


@dataclass(slots=True)
class Votes:
    """Who voted how, counted row by row: `labels` by (confirms, disconfirms), and every voter."""

    labels: dict[str, dict[tuple[int, int], int]] = field(default_factory=dict)
    _voters: dict[str, _Votes] = field(default_factory=dict)

    def count(self, row: LabelRow) -> None:
        """Count one item."""
        confirms, disconfirms = row.confirms, row.disconfirms
        patterns = self.labels.get(row.key[1])
        if patterns is None:
            patterns = self.labels[row.key[1]] = {}
        pattern = (confirms, disconfirms)
        patterns[pattern] = patterns.get(pattern, 0) + 1
        for voter in row.confirmed_by:
            self._count(voter, (False, confirms - 1, disconfirms))
        for voter in row.disconfirmed_by:
            self._count(voter, (True, confirms, disconfirms - 1))
        for voter in row.cannot_judge_by:
            self._voters.setdefault(voter, _Votes()).cannot_judge += 1

    def _count(self, voter: str, pattern: tuple[bool, int, int]) -> None:
        votes = self._voters.get(voter)
        if votes is None:
            votes = self._voters[voter] = _Votes()
        votes.patterns[pattern] = votes.patterns.get(pattern, 0) + 1

    @property
    def pooled(self) -> dict[tuple[int, int], int]:
        """The patterns of all labels together."""
        total: dict[tuple[int, int], int] = {}
        for patterns in self.labels.values():
            for pattern, number in patterns.items():
                total[pattern] = total.get(pattern, 0) + number
        return total

    def reviewers(self) -> list[Reviewer]:
        """Return every voter, by name.

        >>> votes = Votes()
        >>> votes.count(LabelRow(("a", "Dog"), 90.0, 1, 1, 0, frozenset({"j/ana"}), frozenset({"j/ben"})))
        >>> votes.count(LabelRow(("b", "Dog"), 90.0, 2, 0, 0, frozenset({"j/ana", "j/ben"})))
        >>> [(one.voter, one.shared, one.agreed.value, one.distance.value) for one in votes.reviewers()]
        [('j/ana', 2, 0.5, -0.5), ('j/ben', 2, 0.5, 0.5)]
        """
        return [_reviewer(name, self._voters[name]) for name in sorted(self._voters)]


def _reviewer(name: str, votes: _Votes) -> Reviewer:
    rejected = sum(number for (rejects, _, _), number in votes.patterns.items() if rejects)
    shared, agreed = 0, Fraction()
    apart: list[tuple[Fraction, int]] = []
    for (rejects, confirms, disconfirms), number in votes.patterns.items():
        others = confirms + disconfirms
        if others:
            shared += number
            agreed += Fraction(number * (disconfirms if rejects else confirms), others)
            apart.append((rejects - Fraction(disconfirms, others), number))
    return Reviewer(
        name,
        sum(votes.patterns.values()) - rejected,
        rejected,
        votes.cannot_judge,
        shared,
        Figure(float(agreed / shared), wilson(float(agreed), shared)) if shared else Figure(),
        _paired(apart, shared),
    )


def _paired(apart: Sequence[tuple[Fraction, int]], n: int) -> Figure:
    """Return the mean of differences of paired shares, each within -1 to 1, with its interval.

    The interval is the adjusted Wald one: as if two more pairs differed, one each way.
    Source: Bonett and Price, Journal of Educational and Behavioral Statistics 37 (2012) 479-488.
    """
    if n == 0:
        return Figure()
    total = sum((difference * number for difference, number in apart), Fraction())
    squares = sum((difference**2 * number for difference, number in apart), Fraction(2))
    mean = total / (n + 2)
    half = _Z * math.sqrt((squares / (n + 2) - mean**2) / (n + 2))
    return Figure(float(total / n), (max(-1.0, float(mean) - half), min(1.0, float(mean) + half)))
