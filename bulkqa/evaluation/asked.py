"""What a gate asks to be computed of rows: metrics of which classes, in which slices, from which columns."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from bulkqa.errors import InputError
from bulkqa.evaluation import schema
from bulkqa.evaluation.eval_config import metric_name_of
from bulkqa.evaluation.measures import KINDS, MACRO, MICRO, SHARES, WEIGHTED_MACRO, Columns, Measure
from bulkqa.evaluation.metric_classes import metric_name
from bulkqa.evaluation.short_gate import load_short
from bulkqa.flow.gate import Gate
from bulkqa.flow.lookup import BASELINE, CANDIDATE
from bulkqa.flow.slices import CrossSliceSpec, SliceSpec

_ALIASES: Mapping[str, tuple[str, Mapping[str, object]]] = {"AUCPrecisionRecall": ("AUC", {"curve": "PR"})}
_DEFAULT_NAMES = {metric_name(kind, {}): kind for kind in KINDS}

_OF_SHARES: Mapping[str, Any] = {
    "thresholds": lambda value: _one_number(value) is not None,
    "threshold": lambda value: _one_number(value) is not None,
    "class_id": lambda value: type(value) is int,
}
# Settings of a metric's class, and whether a value can be one.
_SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "AUC": {
        "curve": lambda value: str(value).upper() in ("ROC", "PR"),
        "summation_method": lambda value: value in ("interpolation", "minoring", "majoring"),
        "num_thresholds": lambda value: type(value) is int and value > 1,
        "class_id": lambda value: type(value) is int,
    },
    **dict.fromkeys(SHARES, _OF_SHARES),
}


class Asked(NamedTuple):
    """What is to be computed."""

    measures: tuple[Measure, ...]
    slices: tuple[SliceSpec, ...]
    columns: Columns


def asked(
    text: str,
    gate: Gate,
    name: str,
    label: str | None = None,
    candidate: str | None = None,
    baseline: str | None = None,
    slices: Sequence[str] = (),
) -> Asked:
    """Return what a gate asks for, which `text` describes; `name` is what messages call its file.

    Columns that are not given here are those of an EvalConfig's model_specs; each of `slices` is a feature
    whose values are slices beside those that the gate names. Raises `InputError` for a metric that cannot be
    computed.

    >>> from bulkqa.evaluation.gate_file import read_gate
    >>> short = "precision: {at_least: 0.9, slices: [country]}"
    >>> found = asked(short, read_gate(short, "gate").gate, "gate", "is", "new")
    >>> found.measures[0].kind, found.slices, found.columns.models
    ('Precision', (SliceSpec(keys=('country',), values=()),), {'': 'new'})
    """
    try:
        if load_short(text, name) is None:
            config = schema.parse(text, name, "EvalConfig")
            models, specs = config.model_specs, list(gate.slices)
            measures = [
                one
                for place, spec in enumerate((*config.metrics_specs, *config.metrics_spec))
                for one in _measures(spec, f"metrics_specs[{place}]")
            ]
        else:
            models = ()
            specs = [
                rule.where or SliceSpec() for rule in gate.rules if not isinstance(rule.where, CrossSliceSpec)
            ]
            measures = [_by_name(rule.metric.name) for rule in gate.rules]
        specs = specs or [SliceSpec()]
        specs += [SliceSpec(keys=(key,)) for key in slices]
        columns = _columns(models, label, candidate, baseline)
    except InputError as error:
        raise InputError(f"{name}: {error}".replace(f"{name}: {name}", name)) from None
    return Asked(tuple(dict.fromkeys(measures)), tuple(dict.fromkeys(specs)), columns)


def _by_name(name: str) -> Measure:
    """Return the metric that has a name because nothing else was said."""
    if name not in _DEFAULT_NAMES:
        raise InputError(f"{name!r} is not computed of rows; these are: {', '.join(_DEFAULT_NAMES)}")
    return Measure(_DEFAULT_NAMES[name], name)


def _columns(
    models: Sequence[Any], label: str | None, candidate: str | None, baseline: str | None
) -> Columns:
    first = next((model for model in models if not model.is_baseline), None)
    theirs = next((model for model in models if model.is_baseline), None)
    label = label or (first.label_key if first is not None else "")
    candidate = candidate or (first.prediction_key if first is not None else "")
    baseline = baseline or (theirs.prediction_key if theirs is not None else "")
    for option, column in (("--label", label), ("--candidate", candidate)):
        if not column:
            raise InputError(f"{option}, or model_specs, has to say which column of the rows it is")
    weight = (first.example_weight_key if first is not None else "") or None
    named = first.name if first is not None else ""
    if not baseline:
        return Columns(label, {named: candidate}, weight)
    of_baseline = (theirs.name if theirs is not None else "") or BASELINE
    return Columns(label, {named or CANDIDATE: candidate, of_baseline: baseline}, weight)


def _measures(spec: Any, path: str) -> Iterator[Measure]:
    """Yield the metrics of a MetricsSpec, and those that only thresholds name, by their usual names."""
    for field in ("k_list", "top_k_list"):
        for part in ("binarize", "aggregate"):
            if field in {one.name for one, _ in getattr(spec, part).ListFields()}:
                raise InputError(f"{path}.{part}.{field}: of rows there are metrics of class_ids alone")
    made: dict[str, Measure] = {}
    for place, metric in enumerate(spec.metrics):
        inner = f"{path}.metrics[{place}]"
        name = metric_name_of(metric, inner)
        kind, more = _ALIASES.get(metric.class_name, (metric.class_name, {}))
        made[name] = _measure(kind, name, {**_settings(metric, inner), **more})
    for name in (*spec.thresholds, *spec.per_slice_thresholds, *spec.cross_slice_thresholds):
        if name not in made:
            made[name] = _by_name(name)
    for one in made.values():
        yield from _of_classes(one, spec, path)


def _settings(metric: Any, path: str) -> Mapping[str, object]:
    kind = metric.class_name
    text = metric.config.strip()
    found = json.loads(text if text.startswith("{") else f"{{{text}}}")
    known = _SETTINGS.get(_ALIASES.get(kind, (kind, {}))[0], {})
    if kind not in KINDS and kind not in _ALIASES:
        raise InputError(
            f"{path}: {kind} is not computed of rows; these are: {', '.join((*KINDS, *_ALIASES))}"
        )
    for key, value in found.items():
        if key != "name" and (key not in known or not known[key](value)):
            raise InputError(f"{path}.config: {key} of {value!r} is not computed of rows")
    return {key: value for key, value in found.items() if key != "name"}


def _one_number(value: object) -> float | None:
    """Return the one number that a threshold is, or that a list of one is."""
    if isinstance(value, list) and len(value) == 1:
        (value,) = value
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _measure(kind: str, name: str, settings: Mapping[str, Any]) -> Measure:
    one = Measure(kind, name, class_id=settings.get("class_id"))
    threshold = _one_number(settings.get("thresholds", settings.get("threshold")))
    return one._replace(
        threshold=one.threshold if threshold is None else threshold,
        curve=str(settings.get("curve", one.curve)).upper(),
        summation=settings.get("summation_method", one.summation),
        points=settings.get("num_thresholds", one.points),
    )


def _of_classes(one: Measure, spec: Any, path: str) -> Iterator[Measure]:
    """Yield the metric itself, or that of each class that is listed and the aggregate."""
    aggregate = spec.aggregate.WhichOneof("type") if spec.HasField("aggregate") else None
    weights = tuple(sorted(spec.aggregate.class_weights.items()))
    if aggregate in (MACRO, WEIGHTED_MACRO) and not weights:
        raise InputError(f"{path}.aggregate: {aggregate} of rows needs class_weights")
    if one.class_id is not None or not (spec.binarize.class_ids.values or aggregate):
        yield one
        return
    for class_id in spec.binarize.class_ids.values:
        yield one._replace(class_id=class_id)
    if aggregate in (MICRO, MACRO, WEIGHTED_MACRO):
        yield one._replace(aggregation=aggregate, class_weights=weights)
