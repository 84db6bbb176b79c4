"""The gate: 10,000 slices of 20 metrics, each with a threshold; and the same rules by TFMA 0.52.

TFMA is not among the requirements, since it brings TensorFlow along. Who has it in an environment of its own
names that interpreter in TFMA_PYTHON; else that part is left out. Both are timed without start-up. Beside
TFMA, which has all in memory, bulkqa is timed with all it does: it reads both files and writes the result.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.measure import in_process, result

METRICS = 20
ROUNDS = 3
SLICES, SLICES_FOR_TFMA = 10_000, 1_000
ALLOWED = 2.0
"""Seconds that the rules alone may take for 10,000 slices."""


def files(folder: Path, slices: int) -> tuple[Path, Path]:
    """Write a configuration and metrics; about one check in forty fails."""
    config = {
        "model_specs": [{}],
        "metrics_specs": [
            {
                "thresholds": {
                    f"metric_{number}": {"value_threshold": {"lower_bound": 0.5}} for number in range(METRICS)
                }
            }
        ],
    }
    table = {
        "slices": [
            {
                "slice": [["age", slice // 200], ["country", f"c{slice % 200}"]],
                "metrics": [
                    {"name": f"metric_{number}", "value": (slice * 31 + number * 17) % 997 / 997 + 0.475}
                    for number in range(METRICS)
                ],
            }
            for slice in range(slices)
        ]
    }
    gate, metrics = folder / "gate.json", folder / "metrics.json"
    gate.write_text(json.dumps(config))
    metrics.write_text(json.dumps(table))
    return gate, metrics


def ready_judge_files() -> None:
    """Load what the gate needs."""
    import bulkqa.evaluation.gate_file
    import bulkqa.evaluation.metrics_file
    import bulkqa.evaluation.validation_result  # noqa: F401


def judge_files(gate: str, metrics: str) -> tuple[int, float]:
    """Read both files, judge, write the result; return the number of failures, and seconds spent judging."""
    from bulkqa.evaluation import schema
    from bulkqa.evaluation.gate_file import read_gate
    from bulkqa.evaluation.metrics_file import read_metrics
    from bulkqa.evaluation.validation_result import to_message
    from bulkqa.flow.gate import judge

    found = read_metrics(Path(metrics).read_text("utf-8"), "metrics.json")
    rules = read_gate(Path(gate).read_text("utf-8"), "gate.json").gate
    started = time.perf_counter()
    verdict = judge(rules, found)
    seconds = time.perf_counter() - started
    return _failures(json.loads(json.dumps(schema.as_json(to_message(verdict))))), seconds


def judge_by_tfma(gate: str, metrics: str) -> tuple[float, int]:
    """Do the same by TFMA, in the interpreter that has it; return the seconds and the number of failures."""
    from google.protobuf import json_format
    from tensorflow_model_analysis.evaluators import metrics_validator
    from tensorflow_model_analysis.metrics import metric_types
    from tensorflow_model_analysis.proto import config_pb2
    from tensorflow_model_analysis.writers import metrics_plots_and_validations_writer as writer

    config = json_format.Parse(Path(gate).read_text("utf-8"), config_pb2.EvalConfig())
    config.metrics_specs[0].model_names.append("")
    slices = [
        (
            tuple(tuple(pair) for pair in one["slice"]),
            {metric_types.MetricKey(m["name"], example_weighted=None): m["value"] for m in one["metrics"]},
        )
        for one in json.loads(Path(metrics).read_text("utf-8"))["slices"]
    ]
    started = time.perf_counter()
    combine = writer.CombineValidations(config)
    found = None
    for slice in slices:
        found = combine.add_input(found, metrics_validator.validate_metrics(slice, config))
    document = json_format.MessageToDict(combine.extract_output(found), preserving_proto_field_name=True)
    return time.perf_counter() - started, _failures(document)


def _failures(document: dict[str, Any]) -> int:
    return sum(len(one["failures"]) for one in document["metric_validations_per_slice"])


def run() -> list[dict[str, object]]:
    """Measure both."""
    entries = []
    with tempfile.TemporaryDirectory() as scratch:
        paths = files(Path(scratch), SLICES)
        runs = [in_process("benchmarks.gate", "judge_files", *map(str, paths)) for _ in range(ROUNDS)]
        judging = [one.value[1] for one in runs]
        for one in runs:
            print(
                f"gate: {SLICES:,} slices of {METRICS} metrics: {one.value[1]:.2f} s, with the files "
                f"{one.seconds:.2f} s, {one.peak_mib:.0f} MiB"
            )
        entries.append(
            result(
                f"gate: {SLICES:,} slices of {METRICS} metrics",
                f"the {ALLOWED:g} seconds it may take",
                [ALLOWED / seconds for seconds in judging],
                seconds=min(judging),
                seconds_with_files=min(one.seconds for one in runs),
                peak_mib=max(one.peak_mib for one in runs),
            )
        )
        tfma = os.environ.get("TFMA_PYTHON")
        if tfma is None:
            print("gate: TFMA is not here, so it is left out; TFMA_PYTHON can name an interpreter with it")
            return entries
        paths = files(Path(scratch), SLICES_FOR_TFMA)
        ratios, seconds = [], 0.0
        for _ in range(ROUNDS):
            ours = in_process("benchmarks.gate", "judge_files", *map(str, paths))
            command = [tfma, "-m", "benchmarks.gate", *map(str, paths)]
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
            seconds, failures = json.loads(done.stdout.splitlines()[-1])
            assert failures == ours.value[0], f"{failures} failures by TFMA, {ours.value[0]} here"
            ratios.append(seconds / ours.seconds)
            print(f"gate: {SLICES_FOR_TFMA:,} slices: {ours.seconds:.2f} s, by TFMA {seconds:.2f} s")
        name = f"gate: {SLICES_FOR_TFMA:,} slices of {METRICS} metrics, the same failures"
        entries.append(result(name, "TFMA 0.52", ratios, tfma_seconds=seconds))
    return entries


if __name__ == "__main__":
    print(json.dumps(judge_by_tfma(*sys.argv[1:])))
