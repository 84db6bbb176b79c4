"""From rows to a verdict: metrics of two models in five slices, held against a gate; and by TFMA 0.52.

TFMA is asked for the metrics alone, on fewer rows, since it takes two thousandths of a second a row. See
`benchmarks/gate.py` for where it comes from.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measure import in_process, result

ROWS, ROWS_FOR_TFMA = 1_000_000, 20_000
ROUNDS = 3
CLASSES = ("AUC", "Precision", "Recall", "BinaryAccuracy", "ExampleCount")
METRICS = " ".join(
    f'metrics {{ class_name: "{name}" threshold {{ value_threshold {{ lower_bound {{ value: 0.5 }} }} }} }}'
    for name in CLASSES
)
CONFIG = f"""
model_specs {{ name: "candidate" label_key: "label" prediction_key: "new" }}
model_specs {{ name: "baseline" is_baseline: true label_key: "label" prediction_key: "old" }}
metrics_specs {{ {METRICS} }}
slicing_specs {{}} slicing_specs {{ feature_keys: ["country"] }}
options {{ include_default_metrics {{ value: false }} }}
"""


def write_rows(path: Path, rows: int) -> None:
    """Write rows with a label and the scores of two models, of four decimals."""
    chance = random.Random(5)
    with path.open("w") as file:
        file.write("label,new,old,country\n")
        for _ in range(rows):
            label = int(chance.random() < 0.4)
            new, old = chance.gauss(0.35 + 0.3 * label, 0.2), chance.gauss(0.38 + 0.25 * label, 0.2)
            scores = (min(1.0, max(0.0, score)) for score in (new, old))
            file.write(f"{label},{','.join(f'{score:.4f}' for score in scores)},{chance.choice('ABCD')}\n")


def validate_rows(config: str, rows: str) -> int:
    """Run the command over rows; return the number of failed checks."""
    import contextlib
    import io

    from bulkqa import cli

    sys.argv = ["bulkqa", "validate", config, "--data", rows, "--format", "json"]
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        cli.main()
    found = json.loads(out.getvalue()).get("metric_validations_per_slice", [])
    return sum(len(one["failures"]) for one in found)


def measure_by_tfma(config: str, rows: str) -> float:
    """Compute the same metrics by TFMA, in the interpreter that has it; return the seconds."""
    import pandas
    from google.protobuf import text_format
    from tensorflow_model_analysis.api import model_eval_lib
    from tensorflow_model_analysis.proto import config_pb2

    frame = pandas.read_csv(rows).astype({"label": float})
    asked = text_format.Parse(Path(config).read_text("utf-8"), config_pb2.EvalConfig())
    started = time.perf_counter()
    model_eval_lib.analyze_raw_data(frame, asked)
    return time.perf_counter() - started


def run() -> list[dict[str, object]]:
    """Measure both."""
    with tempfile.TemporaryDirectory() as scratch:
        config, many, few = (Path(scratch, name) for name in ("gate.txt", "many.csv", "few.csv"))
        config.write_text(CONFIG)
        write_rows(many, ROWS)
        write_rows(few, ROWS_FOR_TFMA)
        whole = in_process("benchmarks.gate_rows", "validate_rows", str(config), str(many))
        print(f"gate, {ROWS:,} rows to a verdict: {whole.seconds:.1f} s, {whole.peak_mib:.0f} MiB")
        tfma = os.environ.get("TFMA_PYTHON")
        if tfma is None:
            print(
                "gate, rows: TFMA is not here, so it is left out; TFMA_PYTHON can name an interpreter with it"
            )
            return []
        ratios = []
        for _ in range(ROUNDS):
            ours = in_process("benchmarks.gate_rows", "validate_rows", str(config), str(few))
            command = [tfma, "-m", "benchmarks.gate_rows", str(config), str(few)]
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
            theirs = json.loads(done.stdout.splitlines()[-1])
            ratios.append(theirs / ours.seconds)
            print(f"gate, {ROWS_FOR_TFMA:,} rows: {ours.seconds:.2f} s, metrics by TFMA {theirs:.1f} s")
        name = f"gate: {ROWS_FOR_TFMA:,} rows to a verdict"
        more = {"seconds_for_a_million": round(whole.seconds, 1), "peak_mib": round(whole.peak_mib, 1)}
        return [result(name, "TFMA 0.52, the metrics alone, without start-up", ratios, **more)]


if __name__ == "__main__":
    print(json.dumps(measure_by_tfma(*sys.argv[1:])))
