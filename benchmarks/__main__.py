"""Run all benchmarks, or those named: `python -m benchmarks launch report portal`."""

import json
import platform
import sys
from pathlib import Path

from benchmarks import aws, confusion, curves, gate, gate_rows, launch, portal, report, thresholds

ALL = {
    "launch": launch.run,
    "report": report.run,
    "portal": portal.run,
    "aws": aws.run,
    "confusion": confusion.run,
    "curves": curves.run,
    "gate": gate.run,
    "gate_rows": gate_rows.run,
    "thresholds": thresholds.run,
}


def main() -> None:
    """Measure, and keep the results; those of benchmarks that did not run stay as they were."""
    path = Path(__file__).parent / "results.json"
    kept = json.loads(path.read_text())["results"] if path.exists() else []
    for name in sys.argv[1:] or ALL:
        fresh = ALL[name]()
        names = {entry["name"] for entry in fresh}
        kept = [entry for entry in kept if entry["name"] not in names] + fresh
        machine = f"{platform.system()}, Python {platform.python_version()}"
        path.write_text(json.dumps({"schema": 1, "machine": machine, "results": kept}, indent=1) + "\n")


if __name__ == "__main__":
    main()
