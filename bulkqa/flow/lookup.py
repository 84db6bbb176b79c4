"""Which metric is meant: of which model, weighted how, and what a change is a change of."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from bulkqa.errors import InputError
from bulkqa.flow.evidence import Term, Value
from bulkqa.flow.limits import Terms
from bulkqa.flow.slices import MetricKey, Metrics, Pair

CANDIDATE, BASELINE = "candidate", "baseline"


class Found(NamedTuple):
    """A number to be checked: its key as the verdict has it, what it is a change of, what it is made of."""

    key: MetricKey
    value: float
    baseline: float | None = None
    terms: Terms | None = None


Place = int | Pair
Find = Callable[[Place], Found | None]
"""Finds a number in a slice, or the difference of it between two; None where it is not there."""


class Lookup:
    """Finds the numbers of the models to be gated, `models`, and their changes from `baseline`.

    A model that is alone may be called by its name, "candidate" or nothing in the metrics; keys, and the
    verdict, call it nothing, or, where it is compared with a baseline, by its name or "candidate".
    `with_terms`: say of each number what it is made of.
    """

    def __init__(
        self, metrics: Metrics, models: Sequence[str], baseline: str | None, with_terms: bool = False
    ) -> None:
        self._alike: dict[MetricKey, list[tuple[bool | None, _Column]]] = {}
        for key, column in metrics.columns.items():
            alike = self._alike.setdefault(key._replace(example_weighted=None), [])
            alike.append((key.example_weighted, column + [None] * (len(metrics.slices) - len(column))))
        self.there = list(dict.fromkeys(key.model for key in self._alike))
        self.baseline = baseline
        self.has_baseline = baseline in self.there
        self.files = self._names(models)
        self._with_terms = with_terms

    def _names(self, models: Sequence[str]) -> dict[str, str]:
        """Return what each gated model is called in the metrics, by what keys call it."""
        if len(models) != 1:
            return {name: name for name in models}
        (name,) = models
        called = [one for one in self.there if one in {"", CANDIDATE, name} - {self.baseline}]
        if len(called) > 1:
            names = " and ".join(map(repr, called))
            raise InputError(
                f"the metrics call the one model that is to be gated {names}: one name is enough"
            )
        return {(name or CANDIDATE) if self.has_baseline else "": called[0] if called else name}

    def models_of(self, named: Sequence[str]) -> list[str]:
        """Return the models that a rule is on, all unless it names some; the baseline is never gated."""
        names = [name for name in named if name != self.baseline]
        if not named:
            return list(self.files)
        if len(self.files) > 1:
            return names
        (shown,), (file,) = self.files, self.files.values()
        if not self.has_baseline:
            return [shown]
        return [shown if name in {"", CANDIDATE, shown, file} else name for name in names]

    def value(self, metric: MetricKey) -> Find:
        """Return what finds a metric."""
        own = self._series(metric, self._file_of(metric))
        with_terms = self._with_terms

        def find(place: Place) -> Found | None:
            found = own(place)
            if found is None:
                return None
            key, values = found
            return Found(key, _point(values), None, Terms(_terms(values)) if with_terms else None)

        return find

    def change(self, metric: MetricKey) -> Find:
        """Return what finds the change of a metric: as it is given, or else candidate minus baseline."""
        file = self._file_of(metric)
        given = self._series(metric, file._replace(is_diff=True))
        candidate = self._series(metric, file._replace(is_diff=False))
        compared = self._series(metric, file._replace(is_diff=False, model=self.baseline or ""))
        with_terms = self._with_terms

        def find(place: Place) -> Found | None:
            base = compared(place)
            baseline = None if base is None else _point(base[1])
            of_baseline = () if base is None or not with_terms else _terms(base[1])
            if (found := given(place)) is not None:
                key, values = found
                terms = Terms(_terms(values), of_baseline) if with_terms else None
                return Found(key, _point(values), baseline, terms)
            found = candidate(place)
            if found is None or baseline is None:
                return None
            key, values = found
            if not with_terms:
                return Found(key, _point(values) - baseline, baseline)
            own = _terms(values)
            both = (*own, *(Term(-factor, value) for factor, value in of_baseline))
            return Found(key, _point(values) - baseline, baseline, Terms(both, of_baseline, own))

        return find

    def _file_of(self, metric: MetricKey) -> MetricKey:
        return metric._replace(model=self.files.get(metric.model, metric.model))

    def _series(self, metric: MetricKey, file: MetricKey) -> "_Series":
        """Return what finds the values called `file` in the metrics, under the key `metric`.

        Weighting tells apart only what differs in nothing else: of several it is the one weighted as asked
        for, or else the one of which nothing is said, or else none.
        """
        order = {metric.example_weighted: 0, None: 1}
        alike = self._alike.get(file._replace(example_weighted=None), [])
        ranked = sorted(alike, key=lambda one: order.get(one[0], 2))
        columns = [
            (metric._replace(example_weighted=weighted), column, weighted in order)
            for weighted, column in ranked
        ]

        def single(place: int) -> tuple[MetricKey, Value] | None:
            if len(columns) == 1:
                (key, column, _) = columns[0]
                value = column[place]
                return None if value is None else (key, value)
            there = [
                (key, value, is_meant)
                for key, column, is_meant in columns
                if (value := column[place]) is not None
            ]
            if not there or (len(there) > 1 and not there[0][2]):
                return None
            return there[0][:2]

        def find(place: Place) -> tuple[MetricKey, tuple[Value, ...]] | None:
            if isinstance(place, int):
                found = single(place)
                return None if found is None else (found[0], found[1:])
            one, other = single(place[0]), single(place[1])
            return None if one is None or other is None else (one[0], (one[1], other[1]))

        return find


_Column = list[Value | None]
_Series = Callable[[Place], tuple[MetricKey, tuple[Value, ...]] | None]


def _point(values: Sequence[Value]) -> float:
    return values[0].point if len(values) == 1 else values[0].point - values[1].point


def _terms(values: Sequence[Value]) -> tuple[Term, ...]:
    return tuple(map(Term, (1.0, -1.0), values))
