"""Reads a gate from TFMA's EvalConfig: which threshold is on which metric of which model, in which slices.

Only thresholds are acted on, and what says which metric they mean: metrics are not computed here. What else
stands in a configuration gives a warning; what TFMA does not know is refused.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from bulkqa.errors import InputError
from bulkqa.evaluation import schema
from bulkqa.evaluation.metric_classes import metric_name
from bulkqa.flow.gate import Gate, Rule
from bulkqa.flow.limits import ChangeThreshold, Direction, Threshold, ValueThreshold
from bulkqa.flow.lookup import BASELINE
from bulkqa.flow.slices import AnySpec, CrossSliceSpec, MetricKey, SliceSpec, SubKey, check_spec

_Placed = tuple[Threshold, AnySpec | None]
"""A threshold, and where it holds; None is everywhere."""


class Configured(NamedTuple):
    """A gate, and what its configuration says that is not acted on."""

    gate: Gate
    warnings: tuple[str, ...] = ()


NOT_USED = "not used, since the metrics are given"
"""How a warning begins that does not hold where metrics are computed."""

_NOT_USED = {
    "ModelSpec": {
        *("model_type", "signature_name", "preprocessing_function_names", "label_key", "label_keys"),
        *("prediction_key", "prediction_keys", "padding_options", "inference_batch_size"),
    },
    "MetricsSpec": {"output_weights", "query_key"},
    "AggregationOptions": {"class_weights"},
    "SlicingSpec": {"slice_keys_sql"},
    "Options": {
        *("include_default_metrics", "compute_confidence_intervals", "min_slice_size"),
        *("disabled_outputs", "confidence_intervals"),
    },
}
"""Fields that say how metrics are computed; the metrics of a gate are given."""


def read_eval_config(text: str, name: str) -> Configured:
    """Return the gate of an EvalConfig in protobuf text format or protobuf JSON; `name` is for messages.

    Raises `InputError` naming the place of an unknown field, class or the like.

    >>> found = read_eval_config('metrics_specs { metrics { class_name: "AUC" threshold {'
    ...     ' value_threshold { lower_bound { value: 0.7 } } } } }', "gate.txt")
    >>> found.gate.rules[0].metric.name, found.gate.rules[0].threshold
    ('auc', ValueThreshold(lower=0.7, upper=None))
    """
    return of_message(schema.parse(text, name, "EvalConfig"), name)


def of_message(config: Any, name: str) -> Configured:
    """Return the gate of an EvalConfig message."""
    warnings = []
    if config.metrics_spec:
        warnings.append("metrics_spec is read as metrics_specs, as TFMA calls it")
    specs = [*config.metrics_specs, *config.metrics_spec]
    try:
        models, baseline = _models(config.model_specs)
        gate = Gate(
            tuple(
                rule for place, spec in enumerate(specs) for rule in _rules(spec, place, config.model_specs)
            ),
            models,
            baseline,
            tuple(cross_spec(spec) for spec in config.cross_slicing_specs),
            tuple(slice_spec(spec) for spec in config.slicing_specs if not spec.slice_keys_sql),
        )
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    if unused := list(dict.fromkeys(_unused(config, ""))):
        warnings.append(f"{NOT_USED}: {', '.join(unused)}")
    for spec in specs:
        macro = spec.aggregate.macro_average or spec.aggregate.weighted_macro_average
        if macro and not spec.aggregate.class_weights and not spec.aggregate.top_k_list.values:
            warnings.append("TFMA computes no macro average without class_weights or top_k_list")
    return Configured(gate, tuple(warnings))


def _models(specs: Sequence[Any]) -> tuple[tuple[str, ...], str | None]:
    """Return the models to be gated, and the baseline they are compared with, if there can be one."""
    names = [spec.name for spec in specs]
    baselines = [spec.name for spec in specs if spec.is_baseline]
    if len(baselines) > 1:
        raise InputError(f"model_specs: there can be one baseline, not {len(baselines)}")
    if len(names) > 1 and "" in names:
        raise InputError("model_specs: of several models each needs a name")
    if len(set(names)) < len(names):
        raise InputError(f"model_specs: two models are called {max(names, key=names.count)!r}")
    models = tuple(spec.name for spec in specs if not spec.is_baseline) or ("",)
    if baselines:
        return models, baselines[0] or BASELINE
    return models, BASELINE if len(models) == 1 and models != (BASELINE,) else None


def _rules(spec: Any, place: int, models: Sequence[Any]) -> Iterator[Rule]:
    """Yield the rules of a MetricsSpec, with every class, output and weighting it is about."""
    path = f"metrics_specs[{place}]"
    keys = [
        MetricKey("", "", output, sub_key, aggregation)
        for aggregation, sub_key in _sub_keys(spec, path)
        for output in spec.output_names or ("",)
    ]
    found: list[tuple[str, Sequence[bool | None], Iterator[_Placed]]] = []
    for name, threshold in spec.thresholds.items():
        found.append((name, (None,), _everywhere(threshold, path)))
    for name, listed in spec.per_slice_thresholds.items():
        found.append((name, (None,), _per_slice(listed.thresholds, path)))
    for name, listed in spec.cross_slice_thresholds.items():
        found.append((name, (None,), _cross_slice(listed.thresholds, path)))
    weightings = _weightings(spec, models)
    for number, metric in enumerate(spec.metrics):
        inner = f"{path}.metrics[{number}]"
        name = metric_name_of(metric, inner)
        found.append((name, weightings, _everywhere(metric.threshold, inner)))
        found.append((name, weightings, _per_slice(metric.per_slice_thresholds, inner)))
        found.append((name, weightings, _cross_slice(metric.cross_slice_thresholds, inner)))
    for name, weighted, thresholds in found:
        for threshold, where in thresholds:
            for key in keys:
                for one in weighted:
                    metric_key = key._replace(name=name, example_weighted=one)
                    yield Rule(metric_key, threshold, where, tuple(spec.model_names))


def metric_name_of(metric: Any, path: str) -> str:
    """Return the name of the metric that a MetricConfig makes; its settings may lack their outer braces."""
    text = metric.config.strip()
    if text and not text.startswith("{"):
        text = f"{{{text}}}"
    try:
        settings = json.loads(text or "{}")
        return metric_name(metric.class_name, settings, metric.module)
    except json.JSONDecodeError as error:
        raise InputError(f"{path}.config: no JSON: {error.msg} in {metric.config!r}") from None
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _sub_keys(spec: Any, path: str) -> list[tuple[str | None, SubKey | None]]:
    """Return what thresholds are on: the metric itself, or every class and k listed, and the aggregate."""
    found: list[tuple[str | None, SubKey | None]] = [
        (None, sub_key({kind: value}, f"{path}.binarize"))
        for field, kind in (("class_ids", "class_id"), ("k_list", "k"), ("top_k_list", "top_k"))
        for value in getattr(spec.binarize, field).values
    ]
    if spec.HasField("aggregate"):
        chosen = spec.aggregate.WhichOneof("type")
        aggregation = chosen if chosen and getattr(spec.aggregate, chosen) else None
        top = [sub_key({"top_k": value}, f"{path}.aggregate") for value in spec.aggregate.top_k_list.values]
        found += [(aggregation, one) for one in top] or [(aggregation, None)]
    return found or [(None, None)]


def sub_key(values: Mapping[str, int], path: str) -> SubKey:
    """Return a sub key, or raise `InputError` where `k` or `top_k` is below 1."""
    for kind, value in values.items():
        if kind != "class_id" and value < 1:
            raise InputError(f"{path}: {kind} is {value}: at least 1 is needed")
    return SubKey(**values)


def _weightings(spec: Any, models: Sequence[Any]) -> list[bool | None]:
    """Return how the metrics of a spec are weighted: as it says, else by whether its models have weights."""
    options = spec.example_weights
    said = [
        weighted for weighted, wanted in ((True, options.weighted), (False, options.unweighted)) if wanted
    ]
    if said:
        return list(said)
    named = spec.model_names if len(models) > 1 else ()
    of_spec = [model for model in models if not named or model.name in named]
    return [
        any(
            model.example_weight_key or any(name in model.example_weight_keys for name in spec.output_names)
            for model in of_spec
        )
    ]


def _everywhere(threshold: Any, path: str) -> Iterator[_Placed]:
    for one in _parts(threshold, path):
        yield one, None


def _per_slice(listed: Sequence[Any], path: str) -> Iterator[_Placed]:
    for one in listed:
        if not one.slicing_specs:
            raise InputError(f"{path}: per_slice_thresholds without slicing_specs would hold nowhere")
        for threshold in _parts(one.threshold, path):
            for spec in one.slicing_specs:
                yield threshold, slice_spec(spec)


def _cross_slice(listed: Sequence[Any], path: str) -> Iterator[_Placed]:
    for one in listed:
        if not one.cross_slicing_specs:
            raise InputError(f"{path}: cross_slice_thresholds without cross_slicing_specs would hold nowhere")
        for threshold in _parts(one.threshold, path):
            for spec in one.cross_slicing_specs:
                yield threshold, cross_spec(spec)


def _parts(message: Any, path: str) -> Iterator[Threshold]:
    """Yield the thresholds that a MetricThreshold has, two at most."""
    if message.HasField("value_threshold"):
        yield value_threshold(message.value_threshold)
    if message.HasField("change_threshold"):
        try:
            yield change_threshold(message.change_threshold)
        except ValueError as error:
            raise InputError(f"{path}: {error}") from None


def value_threshold(message: Any) -> ValueThreshold:
    """Return what a GenericValueThreshold says; a bound without a number is 0."""
    return ValueThreshold(_number(message, "lower_bound"), _number(message, "upper_bound"))


def change_threshold(message: Any) -> ChangeThreshold:
    """Return what a GenericChangeThreshold says; raises `ValueError` for a number that is no direction."""
    direction = Direction(message.direction)
    return ChangeThreshold(_number(message, "absolute"), _number(message, "relative"), direction)


def _number(message: Any, field: str) -> float | None:
    return getattr(message, field).value if message.HasField(field) else None


def slice_spec(spec: Any) -> SliceSpec:
    """Return what a SlicingSpec message says."""
    if spec.slice_keys_sql:
        raise InputError("slice_keys_sql: which slices SQL gives cannot be told from the metrics")
    return check_spec(SliceSpec(tuple(spec.feature_keys), tuple(sorted(spec.feature_values.items()))))


def cross_spec(spec: Any) -> CrossSliceSpec:
    """Return what a CrossSlicingSpec message says."""
    return CrossSliceSpec(slice_spec(spec.baseline_spec), tuple(map(slice_spec, spec.slicing_specs)))


def _unused(message: Any, path: str) -> Iterator[str]:
    """Yield the paths of fields that are set and not acted on, without places in lists."""
    for field, value in message.ListFields():
        inner = f"{path}.{field.name}".lstrip(".")
        if field.name in _NOT_USED.get(message.DESCRIPTOR.name, ()):
            yield inner
        elif field.message_type is None:
            continue
        elif field.message_type.GetOptions().map_entry:
            if field.message_type.fields_by_name["value"].message_type is not None:
                for one in value.values():
                    yield from _unused(one, inner)
        else:
            for one in value if field.is_repeated else [value]:
                yield from _unused(one, inner)
