"""Reads metrics of models, slice by slice, from the JSON file that a gate is held against.

`docs/reference/validate.md` describes the file. It is read strictly: a gate must not pass because a field was
misspelt. Messages name the slice and the metric.
"""

import math
from collections.abc import Mapping
from typing import Any

from bulkqa.errors import InputError
from bulkqa.evaluation import schema
from bulkqa.evaluation.eval_config import sub_key
from bulkqa.flow.evidence import Bounds, Counts, Evidence, Pairs, Value
from bulkqa.flow.slices import Feature, MetricKey, Metrics, Slice, SubKey, describe_slice

_FILE = {"schema", "slices"}
_METRIC = {
    *("name", "value", "model", "output_name", "sub_key"),
    *("aggregation_type", "example_weighted", "is_diff"),
}
_AGGREGATIONS = {"micro_average", "macro_average", "weighted_macro_average"}
_WRAPPERS = {"double_value", "bounded_value", "t_distribution_value"}
_WORDS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_POINTS = ("unsampled_value", "value")
_LOWER, _UPPER = ("lower", "lower_bound"), ("upper", "upper_bound")
_KNOWN = {*_POINTS, *_LOWER, *_UPPER, "successes", "trials", "methodology"}


def read_metrics(text: str, name: str) -> Metrics:
    """Return the metrics in a file; `name` is what messages call it.

    Raises `InputError` naming the slice and metric that cannot be used.

    >>> metrics = read_metrics('{"slices": [{"slice": [["age", 30]], "metrics": ['
    ...     '{"name": "recall", "value": {"successes": 9, "trials": 10}}]}]}', "metrics.json")
    >>> metrics.slices, [column[0].point for column in metrics.columns.values()]
    ({(('age', 30),): 0}, [0.9])
    """
    return of_document(schema.load_json(text, name), name)


def of_document(document: object, name: str) -> Metrics:
    """Return the metrics of the same as a mapping, or of a result that another command or a service wrote."""
    if isinstance(document, dict) and document.keys() - _FILE:
        # The readers of results, which a file of metrics does not need.
        from bulkqa.evaluation.result_metrics import of_result

        if (known := of_result(document, name)) is not None:
            return known
    if not isinstance(document, dict) or not isinstance(document.get("slices"), list):
        raise InputError(f"{name}: an object with a list of 'slices' is needed")
    _refuse_unknown(document, _FILE, name)
    metrics = Metrics()
    keys: dict[object, MetricKey] = {}
    for number, entry in enumerate(document["slices"]):
        where = f"{name}, slices[{number}]"
        if not isinstance(entry, dict) or not isinstance(entry.get("metrics"), list):
            raise InputError(f"{where}: an object with a 'slice' and a list of 'metrics' is needed")
        _refuse_unknown(entry, {"slice", "metrics"}, where)
        slice = _slice(entry.get("slice"), where)
        where = f"{name}, slice {describe_slice(slice)}"
        place = metrics.add(slice)
        for metric in entry["metrics"]:
            key = _key(metric, where, keys)
            raw = metric["value"]
            value = Value(raw) if type(raw) is float else _value(raw, key, f"{where}, metric {key.name!r}")
            if not metrics.put(place, key, value):
                raise InputError(f"{where}, metric {key.name!r}: it stands there twice")
    return metrics


def _refuse_unknown(document: Mapping[str, object], known: set[str], where: str) -> None:
    unknown = document.keys() - known
    if unknown:
        raise InputError(f"{where}: {min(unknown)!r} is not known: {', '.join(sorted(known))} are")


def _slice(document: object, where: str) -> Slice:
    """Return a slice with its features in the order of their names, as TFMA has them."""
    features: dict[str, Feature] = {}
    if not isinstance(document, list):
        raise InputError(f"{where}: 'slice' has to be a list of pairs, [] for the overall slice")
    for pair in document:
        if not isinstance(pair, list | tuple) or len(pair) != 2 or not isinstance(pair[0], str):
            raise InputError(f"{where}: {pair!r} is no pair of a feature's name and its value")
        name, value = pair
        if name in features:
            raise InputError(f"{where}: the slice names {name!r} twice")
        whole = isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63
        if not (isinstance(value, str) or whole or (isinstance(value, float) and math.isfinite(value))):
            raise InputError(f"{where}: the value of {name!r} is {value!r}: text or a number is needed")
        for text in (name, value):
            _check_text(text, where)
        features[name] = value
    return tuple(sorted(features.items(), key=lambda feature: feature[0]))


def _check_text(value: object, where: str) -> None:
    try:
        str(value).encode()
    except UnicodeEncodeError:
        raise InputError(f"{where}: {value!r} is no text that can be written") from None


def _key(metric: object, where: str, keys: dict[object, MetricKey]) -> MetricKey:
    """Return the key of a metric; what is as it was in an earlier slice needs no second look."""
    if not isinstance(metric, dict) or not isinstance(metric.get("name"), str) or not metric["name"]:
        raise InputError(f"{where}: every metric needs a 'name'")
    seen: object = tuple([part for part in metric.items() if part[0] != "value"])
    try:
        found = keys.get(seen)
    except TypeError:  # sub keys cannot be hashed
        seen = repr(seen)
        found = keys.get(seen)
    if found is not None and "value" in metric:
        return found
    where = f"{where}, metric {metric['name']!r}"
    _refuse_unknown(metric, _METRIC, where)
    if "value" not in metric:
        raise InputError(f"{where}: it has no 'value'")
    model, output, weighted = (
        metric.get("model", ""),
        metric.get("output_name", ""),
        metric.get("example_weighted"),
    )
    is_diff = metric.get("is_diff", False)
    for field, value, kind, words in (
        ("model", model, str, "text"),
        ("output_name", output, str, "text"),
        ("example_weighted", weighted, bool | None, "true, false or null"),
        ("is_diff", is_diff, bool, "true or false"),
    ):
        if not isinstance(value, kind):
            raise InputError(f"{where}: {field!r} has to be {words}; it is {value!r}")
    for text in (metric["name"], model, output):
        _check_text(text, where)
    sub = _sub_key(metric.get("sub_key"), where)
    aggregation = _aggregation(metric.get("aggregation_type"), where)
    keys[seen] = MetricKey(metric["name"], model, output, sub, aggregation, weighted, is_diff)
    return keys[seen]


def _sub_key(document: Any, where: str) -> SubKey | None:
    if document is None or document == {}:
        return None
    if not isinstance(document, dict) or not document.keys() <= set(SubKey._fields):
        raise InputError(f"{where}: 'sub_key' is {document!r}: class_id, k or top_k are known")
    for value in document.values():
        if not isinstance(value, int) or isinstance(value, bool) or not -(2**31) <= value < 2**31:
            raise InputError(f"{where}: 'sub_key' has {value!r}: a whole number is needed")
    if "k" in document and len(document) > 1:
        raise InputError(f"{where}: 'sub_key' has k, which stands alone")
    return sub_key(document, where)


def _aggregation(document: Any, where: str) -> str | None:
    if document is None:
        return None
    valid = isinstance(document, dict) and document.keys() <= _AGGREGATIONS
    if not valid or not all(isinstance(value, bool) for value in document.values()):
        kinds = ", ".join(sorted(_AGGREGATIONS))
        raise InputError(f"{where}: 'aggregation_type' is {document!r}: one of {kinds} may be true")
    chosen = [kind for kind, value in document.items() if value]
    if len(chosen) > 1:
        raise InputError(f"{where}: 'aggregation_type' has {' and '.join(chosen)}: there can be one")
    return chosen[0] if chosen else None


def _value(document: object, key: MetricKey, where: str) -> Value:
    """Return a value: a number, or an object with its point estimate, and its counts or interval if known."""
    if not isinstance(document, dict):
        return Value(_number(document, where))
    if len(document) == 1 and (wrapper := next(iter(document))) in _WRAPPERS:
        return _value(document[wrapper], key, where)
    if document.keys() & set(Pairs._fields):
        return _pairs(document, key, where)
    if "unsampled_value" not in document:
        _refuse_unknown(document, _KNOWN, where)
    evidence: Evidence | None = None
    point = next((_number(document[name], where) for name in _POINTS if name in document), None)
    lower = next((_number(document[name], where) for name in _LOWER if name in document), None)
    upper = next((_number(document[name], where) for name in _UPPER if name in document), None)
    if lower is not None or upper is not None:
        evidence = Bounds(-math.inf if lower is None else lower, math.inf if upper is None else upper)
        if evidence.lower > evidence.upper:
            raise InputError(f"{where}: its interval ends at {evidence.upper} and begins at {evidence.lower}")
    if "successes" in document or "trials" in document:
        successes, trials = _count(document, "successes", where), _count(document, "trials", where)
        if successes > trials:
            raise InputError(f"{where}: {successes} successes of {trials} trials")
        evidence = Counts(successes, trials)
        if point is None:
            point = successes / trials if trials else math.nan
    if point is None:
        raise InputError(f"{where}: 'unsampled_value' is needed, 'value', or 'successes' and 'trials'")
    return Value(point, evidence)


def _pairs(document: Mapping[str, object], key: MetricKey, where: str) -> Value:
    _refuse_unknown(document, set(Pairs._fields), where)
    if not key.is_diff:
        raise InputError(f"{where}: pairs are a difference: 'is_diff' has to be true")
    pairs = Pairs(*(_count(document, name, where) for name in Pairs._fields))
    return Value(pairs.difference, pairs)


def _count(document: Mapping[str, object], name: str, where: str) -> int:
    value = document.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise InputError(f"{where}: {name!r} has to be a whole number of at least 0; it is {value!r}")
    return value


def _number(value: object, where: str) -> float:
    if isinstance(value, float):
        return value
    if isinstance(value, str) and value in _WORDS:
        return _WORDS[value]
    if isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            pass
    raise InputError(
        f"{where}: {repr(value)[:60]} is no number; of words NaN, Infinity and -Infinity are known"
    )
