"""Configurations and metrics by chance, and what TFMA 0.52 says to them: `tfma_answers.json` keeps it.

`python tests/evaluation/tfma_cases.py`, under an interpreter that has TFMA (bulkqa itself needs none), asks
it again. Cases stay clear of where TFMA contradicts itself: no metric is missing where a threshold on some
slices names it, and no two specs with one threshold cover the same slice.
"""

import json
import random
from pathlib import Path
from typing import Any

CASES = 120
ANSWERS = Path(__file__).with_name("tfma_answers.json")

CLASSES = {"precision": "Precision", "recall": "Recall", "auc": "AUC", "loss": "MeanSquaredError"}
VALUES = (0.75, 0.8, 0.85, 0.9)
RARE = (0.0, 0.5, 1.0, -0.25, 1.5, "NaN", "Infinity", "-Infinity")
LIMITS = {
    "lower_bound": (-0.25, 0.5, 0.75),
    "upper_bound": (0.9, 1.0, 1.5),
    "absolute": (-0.1, 0.0, 0.1),
    "relative": (-0.1, 0.0, 0.1),
}
SLICES: tuple[tuple[tuple[str, Any], ...], ...] = (
    (),
    (("age", 30),),
    (("age", "7"),),
    (("country", "DE"),),
    (("age", 30), ("country", "DE")),
)
SPECS: tuple[dict[str, Any], ...] = (
    {},
    {"feature_keys": ["age"]},
    {"feature_values": {"age": "007"}},
    {"feature_keys": ["country"]},
    {"feature_keys": ["country"], "feature_values": {"age": "30"}},
    {"feature_keys": ["shoe"]},
)


class Chance:
    """Choices that come out alike in every version of Python: made of `random()` alone."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(f"tfma {seed}").random

    def happens(self, share: float) -> bool:
        """Say yes in so many cases."""
        return self._random() < share

    def one(self, choices: Any) -> Any:
        """Choose one."""
        return choices[int(self._random() * len(choices))]

    def some(self, choices: Any, share: float) -> list[Any]:
        """Choose each or not."""
        return [one for one in choices if self.happens(share)]


def case(seed: int) -> tuple[dict[str, Any], dict[str, Any], bool]:
    """Return a configuration and metrics, as JSON has them, and whether it is rubber stamped."""
    chance = Chance(seed)
    several = chance.happens(0.2)
    has_baseline = chance.happens(0.7)
    models: list[dict[str, Any]] = [{}]
    if several:
        models = [{"name": "a"}, {"name": "b"}, {"name": "old", "is_baseline": True}]
    if chance.happens(0.2):
        models[0]["example_weight_key"] = "weight"
    thresholds = _Thresholds(chance, changes=has_baseline or chance.happens(0.3))
    names = chance.some(sorted(CLASSES), 0.4)
    spec: dict[str, Any] = {
        "metrics": [_metric(name, thresholds, chance) for name in names],
        "thresholds": {"stored": thresholds.everywhere()} if chance.happens(0.3) else {},
    }
    if chance.happens(0.08):
        spec["thresholds"]["nowhere"] = thresholds.everywhere()
    if chance.happens(0.25):
        spec["binarize"] = {"class_ids": {"values": [0, 2]}}
    if chance.happens(0.2):
        spec["aggregate"] = {chance.one(("micro_average", "macro_average")): True, "class_weights": {"0": 1}}
    if chance.happens(0.15):
        spec["output_names"] = ["head"]
    config = {"model_specs": models, "metrics_specs": [spec]}
    called = ("a", "b", "old") if several else ("candidate", "baseline") if has_baseline else ("",)
    if several and not has_baseline:
        called = ("a", "b")
    slices = [
        {
            "slice": [list(pair) for pair in slice],
            "metrics": _values([*names, "stored"], spec, models, called, chance),
        }
        for slice in chance.some(SLICES, 0.5)
    ]
    return config, {"slices": slices}, chance.happens(0.3)


class _Thresholds:
    """Thresholds, no two of them alike."""

    def __init__(self, chance: Chance, changes: bool) -> None:
        self._chance = chance
        self._changes = changes
        self._number = 0

    def everywhere(self) -> dict[str, Any]:
        """Return a MetricThreshold."""
        chance = self._chance
        found: dict[str, Any] = {}
        if chance.happens(0.7):
            found["value_threshold"] = self._limits("lower_bound", "upper_bound")
        if self._changes and chance.happens(0.6):
            found["change_threshold"] = self._limits("absolute", "relative")
            if chance.happens(0.95):
                direction = chance.one(("LOWER_IS_BETTER", "HIGHER_IS_BETTER"))
                found["change_threshold"]["direction"] = direction
        return found

    def _limits(self, *kinds: str) -> dict[str, Any]:
        self._number += 1
        apart = self._number * 2.0**-40 if self._number % 2 else 0.0
        return {kind: self._chance.one(LIMITS[kind]) - apart for kind in self._chance.some(kinds, 0.6)}

    def on_slices(self) -> dict[str, Any]:
        """Return a PerSliceMetricThreshold on one spec."""
        self._number += self._number % 2  # so that it is like no other
        return {"slicing_specs": [self._chance.one(SPECS)], "threshold": self.everywhere()}


def _metric(name: str, thresholds: _Thresholds, chance: Chance) -> dict[str, Any]:
    found: dict[str, Any] = {"class_name": CLASSES[name], "config": json.dumps({"name": name})}
    if chance.happens(0.8):
        found["threshold"] = thresholds.everywhere()
    if chance.happens(0.3):
        found["per_slice_thresholds"] = [thresholds.on_slices()]
    return found


def _values(
    names: list[str],
    spec: dict[str, Any],
    models: list[dict[str, Any]],
    called: tuple[str, ...],
    chance: Chance,
) -> list[dict[str, Any]]:
    keys: list[dict[str, Any]] = []
    if "binarize" in spec:
        keys += [{"sub_key": {"class_id": one}} for one in spec["binarize"]["class_ids"]["values"]]
    if "aggregate" in spec:
        (kind,) = spec["aggregate"].keys() - {"class_weights"}
        keys.append({"aggregation_type": {kind: True}})
    weighted = any("example_weight_key" in model for model in models)
    outputs = spec.get("output_names", [""])
    return [
        {
            "name": name,
            "model": model,
            "output_name": output,
            "example_weighted": None if name == "stored" else weighted,
            "value": chance.one(RARE if chance.happens(0.04) else VALUES),
            **key,
        }
        for name in names
        for key in keys or [{}]
        for output in outputs
        for model in called
    ]


def plain(result: dict[str, Any]) -> dict[str, Any]:
    """Return a ValidationResult as protobuf JSON has it, in an order of its own and without long messages."""
    for part in result.get("metric_validations_per_slice", []):
        for failure in part["failures"]:
            failure["message"] = failure.get("message", "").strip()[:12]
        part["failures"].sort(key=lambda one: json.dumps(one, sort_keys=True))
    for name in ("metric_validations_per_slice", "missing_slices"):
        result.get(name, []).sort(key=lambda one: json.dumps(one, sort_keys=True))
    details = result.get("validation_details", {}).get("slicing_details", [])
    details.sort(key=lambda one: json.dumps(one, sort_keys=True))
    return result


def ask_tfma(config: dict[str, Any], metrics: dict[str, Any], rubber_stamp: bool) -> dict[str, Any] | None:
    """Return what TFMA says, None where it refuses the configuration."""
    from google.protobuf import json_format  # type: ignore[import-untyped]
    from tensorflow_model_analysis.evaluators import metrics_validator  # type: ignore[import-not-found]
    from tensorflow_model_analysis.metrics import metric_types  # type: ignore[import-not-found]
    from tensorflow_model_analysis.proto import config_pb2  # type: ignore[import-not-found]
    from tensorflow_model_analysis.utils import config_util, model_util  # type: ignore[import-not-found]
    from tensorflow_model_analysis.writers import (  # type: ignore[import-not-found]
        metrics_plots_and_validations_writer as writer,
    )

    message = json_format.ParseDict(config, config_pb2.EvalConfig())
    models = {metric["model"] for one in metrics["slices"] for metric in one["metrics"]}
    has_baseline = bool(models & {"baseline", "old"})
    try:
        message = config_util.update_eval_config_with_defaults(
            message, has_baseline=has_baseline, rubber_stamp=rubber_stamp
        )
    except RuntimeError:
        return None
    baseline = model_util.get_baseline_model_spec(message)
    combine = writer.CombineValidations(message, rubber_stamp=rubber_stamp)
    accumulator = None
    for one in metrics["slices"]:
        values = {}
        for metric in one["metrics"]:
            sub_key, aggregation = metric.get("sub_key"), metric.get("aggregation_type")
            key = metric_types.MetricKey(
                metric["name"],
                metric["model"],
                metric["output_name"],
                metric_types.SubKey(**sub_key) if sub_key else None,
                metric_types.AggregationType(**aggregation) if aggregation else None,
                metric["example_weighted"],
            )
            values[key] = float(metric["value"])
        if baseline is not None:
            for key, value in list(values.items()):
                other = key.make_baseline_key(baseline.name)
                if key.model_name != baseline.name and other in values:
                    values[key.make_diff_key()] = value - values[other]
        slice = tuple((name, value) for name, value in one["slice"])
        accumulator = combine.add_input(
            accumulator, metrics_validator.validate_metrics((slice, values), message)
        )
    found = json_format.MessageToDict(combine.extract_output(accumulator), preserving_proto_field_name=True)
    return plain(found)


def main() -> None:
    """Ask TFMA about every case and keep the answers, one a line."""
    lines = [json.dumps(ask_tfma(*case(seed)), sort_keys=True) for seed in range(CASES)]
    ANSWERS.write_text("[\n" + ",\n".join(lines) + "\n]\n", "utf-8")


if __name__ == "__main__":
    main()
