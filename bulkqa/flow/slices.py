"""Metrics of models, slice by slice, as a gate takes them; and the specs that name slices.

A slice is the part of the data where features have given values: `(("country", "DE"), ("age", 30))`;
`()` is all of it. A spec covers slices: `SliceSpec(keys=("age",))` those of any age. A cross slice is a pair
of slices whose metrics are subtracted.
"""

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import NamedTuple

from bulkqa.errors import InputError
from bulkqa.flow.evidence import Value

Feature = str | int | float
Slice = tuple[tuple[str, Feature], ...]

OVERALL: Slice = ()


class CrossSlice(NamedTuple):
    """Two slices; its metrics are those of `baseline` minus those of `comparison`."""

    baseline: Slice
    comparison: Slice


AnySlice = Slice | CrossSlice


class SubKey(NamedTuple):
    """Which class, k-th prediction or top k predictions a metric is of."""

    class_id: int | None = None
    k: int | None = None
    top_k: int | None = None


class MetricKey(NamedTuple):
    """Which metric of which model; `aggregation` is `micro_average`, `macro_average` or the like."""

    name: str
    model: str = ""
    output: str = ""
    sub_key: SubKey | None = None
    aggregation: str | None = None
    example_weighted: bool | None = None
    is_diff: bool = False


class Metrics:
    """Metrics by slice: `columns[key][place]` is that metric in the slice at `place`, None where it lacks it.

    `slices` are the slices in order, each with its place; a slice without any metric is one too.

    >>> metrics = Metrics({(): {MetricKey("auc"): Value(0.9)}, (("age", 30),): {}})
    >>> metrics.slices, metrics.columns[MetricKey("auc")][0].point
    ({(): 0, (('age', 30),): 1}, 0.9)
    """

    def __init__(self, values: Mapping[Slice, Mapping[MetricKey, Value]] | None = None) -> None:
        self.slices: dict[Slice, int] = {}
        self.columns: dict[MetricKey, list[Value | None]] = {}
        for slice, metrics in (values or {}).items():
            place = self.add(slice)
            for key, value in metrics.items():
                self.put(place, key, value)

    def add(self, slice: Slice) -> int:
        """Return the place of a slice, which is new or was there before."""
        return self.slices.setdefault(slice, len(self.slices))

    def put(self, place: int, key: MetricKey, value: Value) -> bool:
        """Set a metric of a slice; one that is there already stays, and False is returned."""
        column = self.columns.get(key)
        if column is None:
            column = self.columns[key] = []
        if len(column) <= place:
            column.extend([None] * (place + 1 - len(column)))
        elif column[place] is not None:
            return False
        column[place] = value
        return True

    def get(self, place: int, key: MetricKey) -> Value | None:
        """Return a metric of a slice, None where it lacks it."""
        column = self.columns.get(key, ())
        return column[place] if place < len(column) else None


class SliceSpec(NamedTuple):
    """Slices by feature: any value of `keys`, these of `values`, which are text as it was written."""

    keys: tuple[str, ...] = ()
    values: tuple[tuple[str, str], ...] = ()

    @property
    def identity(self) -> tuple[frozenset[str], frozenset[tuple[str, Feature]]]:
        """What specs that cover the same slices have in common, however they are written."""
        return frozenset(self.keys), frozenset((key, as_feature(value)) for key, value in self.values)

    def covers(self, slice: Slice) -> bool:
        """Say whether a slice has exactly these features, in any order, nothing less and nothing more.

        >>> spec = SliceSpec(keys=("age",), values=(("vip", "007"),))
        >>> spec.covers((("vip", 7), ("age", 30))), spec.covers((("age", 30),))
        (True, False)
        """
        return bool(Finder([slice]).covered(self))


class CrossSliceSpec(NamedTuple):
    """Pairs of slices: one that `baseline` covers, and one that any of `comparisons` covers.

    Without comparisons it is every slice that `baseline` does not cover.
    """

    baseline: SliceSpec
    comparisons: tuple[SliceSpec, ...] = ()

    @property
    def identity(self) -> tuple[object, ...]:
        """What specs that cover the same pairs have in common."""
        return self.baseline.identity, *(one.identity for one in self.comparisons)


AnySpec = SliceSpec | CrossSliceSpec


def check_spec(spec: SliceSpec) -> SliceSpec:
    """Return the spec, or raise `InputError` where it names a feature both with and without a value."""
    for key, _ in spec.values:
        if key in spec.keys:
            raise InputError(f"feature {key!r} is both in feature_keys and in feature_values")
    return spec


def as_feature(value: Feature) -> Feature:
    """Return a value as it is compared: text that is a number counts as that number.

    With a point in it text is read as a float, without one as an integer, as TFMA reads it.

    >>> as_feature("30"), as_feature("007"), as_feature("0.5"), as_feature("1e3"), as_feature("DE")
    (30, 7, 0.5, '1e3', 'DE')
    """
    if not isinstance(value, str):
        return value
    try:
        return float(value) if "." in value else int(value)
    except ValueError:
        return value


Pair = tuple[int, int]
"""The places of two slices that are subtracted, the second from the first."""


class Finder:
    """Finds slices by spec: ordered by their features once, so that thousands of either are no trouble."""

    def __init__(self, slices: Iterable[Slice]) -> None:
        self._slices = list(slices)
        self._found: dict[object, list[int]] = {}

    @cached_property
    def _by_keys(self) -> dict[frozenset[str], list[tuple[int, frozenset[tuple[str, Feature]]]]]:
        found: dict[frozenset[str], list[tuple[int, frozenset[tuple[str, Feature]]]]] = {}
        for place, slice in enumerate(self._slices):
            features = frozenset((key, as_feature(value)) for key, value in slice)
            keys = frozenset(key for key, _ in slice)
            if len(keys) == len(slice):  # a slice that names a feature twice is covered by no spec
                found.setdefault(keys, []).append((place, features))
        return found

    def covered(self, spec: SliceSpec) -> list[int]:
        """Return the places of the slices that a spec covers, in order."""
        identity = spec.identity
        if identity not in self._found:
            keys, values = identity
            alike = self._by_keys.get(keys | {key for key, _ in values}, ())
            self._found[identity] = [place for place, features in alike if values <= features]
        return self._found[identity]

    def pairs(self, spec: CrossSliceSpec) -> list[Pair]:
        """Return the pairs of slices that a spec covers, in order, each once."""
        baselines = self.covered(spec.baseline)
        if spec.comparisons:
            comparisons = [place for one in spec.comparisons for place in self.covered(one)]
        else:
            left = set(baselines)
            comparisons = [place for place in range(len(self._slices)) if place not in left]
        return list(dict.fromkeys((one, other) for one in baselines for other in comparisons))


# In words.


def describe_slice(place: AnySlice) -> str:
    """Return a slice in words.

    >>> describe_slice((("country", "DE"), ("age", 30))), describe_slice(CrossSlice((), (("age", 30),)))
    ('country = DE, age = 30', '(overall) minus (age = 30)')
    """
    if isinstance(place, CrossSlice):
        return f"({describe_slice(place.baseline)}) minus ({describe_slice(place.comparison)})"
    return ", ".join(f"{key} = {value}" for key, value in place) or "overall"


def describe_spec(spec: AnySpec) -> str:
    """Return in words which slices a spec covers.

    >>> describe_spec(SliceSpec(("age",), (("country", "DE"),)))
    'any age, country = DE'
    """
    if isinstance(spec, CrossSliceSpec):
        others = " or ".join(f"({describe_spec(one)})" for one in spec.comparisons) or "(every other)"
        return f"({describe_spec(spec.baseline)}) minus {others}"
    parts = [f"any {key}" for key in spec.keys] + [f"{key} = {value}" for key, value in spec.values]
    return ", ".join(parts) or "overall"


def describe_metric(metric: MetricKey) -> str:
    """Return a metric in words, without its model.

    >>> describe_metric(MetricKey("recall", aggregation="macro_average", is_diff=True))
    'recall (macro average), change'
    """
    marks = [metric.output] if metric.output else []
    for name, value in (metric.sub_key._asdict() if metric.sub_key else {}).items():
        if value is not None:
            marks.append(f"{name.replace('_id', '').replace('_', ' ')} {value}")
    if metric.aggregation:
        marks.append(metric.aggregation.replace("_", " "))
    if metric.example_weighted:
        marks.append("weighted")
    name = f"{metric.name} ({', '.join(marks)})" if marks else metric.name
    return f"{name}, change" if metric.is_diff else name
