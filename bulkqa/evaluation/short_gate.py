"""Reads a gate written short, in YAML: metric by metric, what it has to keep.

    precision: {at_least: 0.95, not_worse_than_baseline_by: 0.01}
    log_loss:
      at_most: 0.4
      not_worse_than_baseline_by: 0.02
      lower_is_better: true
      slices: [overall, country, {age: 30}, [country, {age: 30}]]

It says the same as an EvalConfig and becomes the same rules. `slices` are those in which it holds, without it
all: `overall`, `all`, a feature with any value, one with this value, or a list of them for both at once.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml  # type: ignore[import-untyped]

from bulkqa.errors import InputError
from bulkqa.evaluation.schema import is_json, load_json, message_type
from bulkqa.flow.gate import Gate, Rule
from bulkqa.flow.limits import ChangeThreshold, Direction, Threshold, ValueThreshold
from bulkqa.flow.slices import MetricKey, SliceSpec, check_spec

_LIMITS = ("at_least", "at_most", "not_worse_than_baseline_by", "better_than_baseline_by")
_KNOWN = {*_LIMITS, "lower_is_better", "slices"}
_FIELDS = {
    name for field in message_type("EvalConfig").DESCRIPTOR.fields for name in (field.name, field.json_name)
}
_FIRST_WORD = re.compile(r"(?:\ufeff|\s|#[^\n]*\n)*(\w+)")


def load_short(text: str, name: str) -> Mapping[str, Any] | None:
    """Return a short gate as a mapping, or None where the text is none.

    Short is what is a mapping of YAML (JSON is YAML) without a field of EvalConfig, and has some metric with
    something that only a short gate asks for.

    >>> load_short("auc: {at_least: 0.9}", "gate.yaml"), load_short("slicing_specs: {}", "gate.txt")
    ({'auc': {'at_least': 0.9}}, None)
    """
    if is_json(text):
        document = load_json(text, name)
        return document if is_short(document) else None
    first = _FIRST_WORD.match(text)
    if first is not None and first[1] in _FIELDS:
        return None
    try:
        loader = _Loader(text)
        document = loader.get_single_data()
    except (yaml.YAMLError, ValueError, RecursionError):
        return None
    if not is_short(document):
        return None
    if loader.twice:
        raise InputError(f"{name}, {loader.twice}")
    return dict(document)


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """Reads plain values, and notes a key that stands twice."""

    twice = ""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """Return a mapping."""
        keys = [key.value for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                self.twice = f"line {node.start_mark.line + 1}: {key!r} stands twice"
        found: dict[Any, Any] = super().construct_mapping(node, deep)
        return found


def is_short(document: object) -> bool:
    """Say whether a mapping is a short gate."""
    if not isinstance(document, dict) or document.keys() & _FIELDS:
        return False
    return any(isinstance(value, dict) and value.keys() & _KNOWN for value in document.values())


def read_short(document: Mapping[str, Any], name: str) -> Gate:
    """Return the gate of a mapping; raises `InputError` naming the metric and key that cannot be used.

    >>> gate = read_short({"auc": {"at_least": 0.9, "not_worse_than_baseline_by": 0.01}}, "gate.yaml")
    >>> [rule.threshold for rule in gate.rules][1]
    ChangeThreshold(absolute=-0.01, relative=None, direction=<Direction.HIGHER_IS_BETTER: 2>)
    """
    rules = []
    for metric, asked in document.items():
        where = f"{name}, {metric}"
        if not isinstance(metric, str) or not metric:
            raise InputError(f"{where}: the name of a metric is text")
        if not isinstance(asked, dict):
            raise InputError(f"{where}: what is asked of it is a mapping with {', '.join(_LIMITS)}")
        if unknown := asked.keys() - _KNOWN:
            raise InputError(
                f"{where}: {min(map(str, unknown))!r} is not known: {', '.join(sorted(_KNOWN))} are"
            )
        thresholds = list(_thresholds(asked, where))
        if not thresholds:
            raise InputError(f"{where}: nothing is asked of it: {', '.join(_LIMITS)} can be")
        places = list(_places(asked.get("slices", "all"), where))
        rules += [Rule(MetricKey(metric), threshold, place) for threshold in thresholds for place in places]
    return Gate(tuple(rules))


def _thresholds(asked: Mapping[str, Any], where: str) -> Iterator[Threshold]:
    low, high, worse, better = (_limit(asked, name, where) for name in _LIMITS)
    lower_is_better = asked.get("lower_is_better", False)
    if not isinstance(lower_is_better, bool):
        raise InputError(f"{where}: lower_is_better is true or false, not {lower_is_better!r}")
    if low is not None or high is not None:
        yield ValueThreshold(low, high)
    direction = Direction.LOWER_IS_BETTER if lower_is_better else Direction.HIGHER_IS_BETTER
    sign = -1 if lower_is_better else 1
    for margin, gain in ((worse, -1), (better, 1)):
        if margin is not None:
            if margin < 0:
                raise InputError(f"{where}: a margin to the baseline is at least 0, not {margin:g}")
            yield ChangeThreshold(absolute=sign * gain * margin, direction=direction)


def _limit(asked: Mapping[str, Any], name: str, where: str) -> float | None:
    value = asked.get(name)
    if name not in asked:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        raise InputError(f"{where}: {name} is a number, not {value!r}")
    return float(value)


def _places(slices: object, where: str) -> Iterator[SliceSpec | None]:
    """Yield the specs of slices, None for all."""
    listed = slices if isinstance(slices, list) else [slices]
    if not listed:
        raise InputError(f"{where}: slices is empty, so it would hold nowhere")
    for one in listed:
        if one == "all":
            yield None
        elif one == "overall":
            yield SliceSpec()
        else:
            parts = one if isinstance(one, list) else [one]
            keys = [part for part in parts if isinstance(part, str)]
            values = [pair for part in parts if isinstance(part, dict) for pair in part.items()]
            plain = all(
                isinstance(key, str) and isinstance(value, str | int | float) and not isinstance(value, bool)
                for key, value in values
            )
            if not parts or not plain or not all(isinstance(part, str | dict) for part in parts):
                raise InputError(
                    f"{where}: slices has {one!r}: a feature's name is needed, or {{name: value}}"
                )
            if len({key for key, _ in values}) < len(values):
                raise InputError(f"{where}: slices has {one!r}, which names a feature twice")
            pairs = sorted((key, str(value)) for key, value in values)
            yield check_spec(SliceSpec(tuple(dict.fromkeys(keys)), tuple(pairs)))
