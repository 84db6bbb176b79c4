"""Report: how right is each label at each confidence, as the reviewers saw it.

The label x confidence band table. Every share has a 95 % Wilson interval.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from bulkqa.flow.bands import PUBLISHED_BANDS, Bands, band_of, band_pairs, check_bands
from bulkqa.flow.statistics import Interval, wilson
from bulkqa.flow.votes import LabelRow, Outcome


@dataclass(slots=True)
class Tally:
    """Numbers of items by outcome, and of those with a vote that cannot judge (which overlap)."""

    confirmed: int = 0
    disconfirmed: int = 0
    split: int = 0
    unreviewed: int = 0
    cannot_judge: int = 0

    def count(self, row: LabelRow, number: int = 1) -> None:
        """Count an item, or so many alike."""
        outcome = row.outcome
        if outcome is Outcome.CONFIRMED:
            self.confirmed += number
        elif outcome is Outcome.DISCONFIRMED:
            self.disconfirmed += number
        elif outcome is Outcome.SPLIT:
            self.split += number
        else:
            self.unreviewed += number
        if row.cannot_judges:
            self.cannot_judge += number

    def __iadd__(self, other: "Tally") -> "Tally":
        self.confirmed += other.confirmed
        self.disconfirmed += other.disconfirmed
        self.split += other.split
        self.unreviewed += other.unreviewed
        self.cannot_judge += other.cannot_judge
        return self

    @property
    def incorrect(self) -> int:
        """Items on which not all agree that the label is right."""
        return self.disconfirmed + self.split

    @property
    def reviewed(self) -> int:
        """Items with a vote that judges."""
        return self.confirmed + self.incorrect

    @property
    def total(self) -> int:
        """All items."""
        return self.reviewed + self.unreviewed

    @property
    def correct(self) -> float | None:
        """The share of the reviewed items that was confirmed, or None where nothing was reviewed."""
        return self.confirmed / self.reviewed if self.reviewed else None

    @property
    def interval(self) -> Interval | None:
        """The 95 % Wilson interval of `correct`."""
        return wilson(self.confirmed, self.reviewed)


@dataclass(slots=True)
class LabelTally:
    """A line of the table: its tally in each band; `all` is their sum."""

    bands: list[Tally]

    @property
    def all(self) -> Tally:
        """The sum over the bands."""
        total = Tally()
        for band in self.bands:
            total += band
        return total


@dataclass(slots=True)
class Report:
    """The table. `labels` is in code-point order; `below` counts items under the lowest band."""

    bands: Bands
    labels: dict[str, LabelTally] = field(default_factory=dict)
    below: int = 0

    def count(self, row: LabelRow, number: int = 1) -> bool:
        """Count an item, or so many alike; say whether it is in the table, and not below it.

        `sort` when all are counted.
        """
        label, confidence = row.key[1], row.confidence
        line = self.labels.get(label)
        if line is None:
            line = self.labels[label] = LabelTally([Tally() for _ in self.bands[1:]])
        band = band_of(confidence, self.bands)
        if band is None:
            self.below += number
            return False
        line.bands[band].count(row, number)
        return True

    def sort(self) -> None:
        """Put the labels in order."""
        self.labels = dict(sorted(self.labels.items()))

    @property
    def totals(self) -> LabelTally:
        """The sum over the labels."""
        total = LabelTally([Tally() for _ in self.bands[1:]])
        for line in self.labels.values():
            for mine, theirs in zip(total.bands, line.bands, strict=True):
                mine += theirs
        return total


def tabulate(rows: Iterable[LabelRow], bands: Bands = PUBLISHED_BANDS) -> Report:
    """Return the table of `rows`, each an item with its votes. Memory depends on the labels alone.

    Raises `InputError` for bands that cannot be used.

    >>> rows = [LabelRow(("a", "Dog"), 85.0, 1, 0), LabelRow(("b", "Dog"), 100.0, 0, 1), LabelRow(("c", "Dog"), 79.9)]
    >>> report = tabulate(rows)
    >>> [band.correct for band in report.labels["Dog"].bands], report.below
    ([None, 1.0, None, 0.0], 1)
    """  # noqa: E501
    report = Report(check_bands(bands))
    for row in rows:
        report.count(row)
    report.sort()
    return report


def class_average(shares: Iterable[float | None]) -> float | None:
    """Return the unweighted mean of the shares that are known, or None if there is none.

    >>> class_average([1.0, None, 0.5])
    0.75
    """
    known = [share for share in shares if share is not None]
    return math.fsum(known) / len(known) if known else None


class Weighted(NamedTuple):
    """A share of items of which only a sample was reviewed, and the part of the items it speaks for."""

    correct: float
    interval: Interval | None
    covered: float


def weighted(strata: Iterable[tuple[float, int, int]]) -> Weighted | None:
    """Return the share confirmed in strata, given as (population, confirmed, reviewed), weighted with them.

    Strata without a review are left out, and `covered` is the part of the population that the others have.
    The interval is Wilson's with Kish's effective number of reviews, (sum W)^2 / sum (W^2 / n). None where
    nothing was reviewed. Source: Kish, Survey Sampling (1965), 11.7; Wilson's interval with it: Dean and
    Pagano, Journal of Survey Statistics and Methodology 3 (2015) 484-503.

    (900 x 0.9 + 100 x 0.5) / 1000 = 0.86; 20 reviews are worth 1 / (0.9^2 / 10 + 0.1^2 / 10) = 12.2.

    >>> found = weighted([(900, 9, 10), (100, 5, 10), (250, 0, 0)])
    >>> round(found.correct, 2), [round(end, 3) for end in found.interval], found.covered
    (0.86, [0.583, 0.964], 0.8)
    """
    known = list(strata)
    seen = [(population, confirmed, reviewed) for population, confirmed, reviewed in known if reviewed]
    covered = math.fsum(population for population, _, _ in seen)
    if not covered:
        return None
    share = math.fsum(population * (k / n) for population, k, n in seen) / covered
    reviews = covered**2 / math.fsum(population**2 / n for population, _, n in seen)
    # Rounding must not push a share past 1.
    interval = wilson(min(share, 1.0) * reviews, reviews)
    return Weighted(min(share, 1.0), interval, covered / math.fsum(population for population, _, _ in known))


def as_json(report: Report, job: str | None, schema: int, published: bool = False) -> dict[str, object]:
    """Return the report as the object `bulkqa report --format json` prints.

    `published` follows the conventions of the blog that printed the first such tables: an empty band's
    share is 0 and counts in the class average, and averages are taken of percentages with two decimals.
    """
    pairs = [[_plain(low), _plain(high)] for low, high in band_pairs(report.bands)]

    def line_json(line: LabelTally) -> dict[str, object]:
        bands = [
            {
                "band": pair,
                "total": tally.total,
                "confirmed": tally.confirmed,
                "incorrect": tally.incorrect,
                "unreviewed": tally.unreviewed,
                "correct": _band_share(tally, published),
                "interval": _pair(tally.interval),
            }
            for pair, tally in zip(pairs, line.bands, strict=True)
        ]
        return {**_tally_json(line.all), "bands": bands}

    overall, *by_band = _averages(report, published)
    return {
        "schema": schema,
        "job": job,
        "bands": pairs,
        "below": report.below,
        "labels": [{"label": label, **line_json(line)} for label, line in report.labels.items()],
        "totals": line_json(report.totals),
        "class_average": {
            "correct": overall,
            "bands": [{"band": pair, "correct": share} for pair, share in zip(pairs, by_band, strict=True)],
        },
    }


def _band_share(tally: Tally, published: bool) -> float | None:
    return 0.0 if published and tally.total == 0 else tally.correct


def _averages(report: Report, published: bool) -> list[float | None]:
    """Return the class averages: over the labels' own shares, then band by band."""
    lines = report.labels.values()
    columns = [[line.all.correct for line in lines]]
    for place in range(len(report.bands) - 1):
        columns += [[_band_share(line.bands[place], published) for line in lines]]
    if published:
        columns = [[None if share is None else round(share, 4) for share in column] for column in columns]
    return [class_average(column) for column in columns]


def _tally_json(tally: Tally) -> dict[str, object]:
    return {
        "total": tally.total,
        "confirmed": tally.confirmed,
        "disconfirmed": tally.disconfirmed,
        "split": tally.split,
        "unreviewed": tally.unreviewed,
        "cannot_judge": tally.cannot_judge,
        "correct": tally.correct,
        "interval": _pair(tally.interval),
    }


def _pair(interval: Interval | None) -> list[float] | None:
    return None if interval is None else list(interval)


def _plain(bound: float) -> float:
    """A whole bound as an integer, so that it prints as 80 and not as 80.0."""
    return int(bound) if float(bound).is_integer() else bound


def as_table(report: Report, schema: int, published: bool = False) -> Iterator[tuple[object, ...]]:
    """Yield the report as rows of a CSV file, the header first: a row for each label and each of its bands.

    `band` is empty in a label's own row. The rows named `TOTALS` and `CLASS AVERAGE` have kind `totals` and
    `average`, so that a label of that name stays apart.
    """
    counts = ("total", "confirmed", "disconfirmed", "split", "incorrect", "unreviewed", "cannot_judge")
    yield ("schema", "kind", "label", "band", *counts, "correct", "low", "high")
    pairs = [f"{_plain(low)}-{_plain(high)}" for low, high in band_pairs(report.bands)]
    lines = [("label", label, line) for label, line in report.labels.items()]
    for kind, name, line in (*lines, ("totals", "TOTALS", report.totals)):
        for band, tally in (("", line.all), *zip(pairs, line.bands, strict=True)):
            correct = _band_share(tally, published) if band else tally.correct
            numbers = (getattr(tally, count) for count in counts)
            yield (schema, kind, name, band, *numbers, correct, *(tally.interval or (None, None)))
    for band, share in zip(("", *pairs), _averages(report, published), strict=True):
        yield (schema, "average", "CLASS AVERAGE", band, *[None] * len(counts), share, None, None)
