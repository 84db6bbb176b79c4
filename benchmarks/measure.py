"""Runs a piece of work in a process of its own, and says how long it took and how much memory it had."""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True)
class Measured:
    """Wall and processor seconds of the work alone, the process' peak memory in MiB, and what it returned."""

    seconds: float
    cpu: float
    peak_mib: float
    value: Any


def in_process(module: str, function: str, *arguments: object) -> Measured:
    """Call `module.function(*arguments)` in a fresh interpreter; arguments and result go as JSON.

    What `module.ready_function()` does, if there is such a function, is done before and not measured.
    """
    command = [sys.executable, "-m", "benchmarks.measure", module, function, json.dumps(arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return Measured(*json.loads(done.stdout.splitlines()[-1]))  # what the work itself prints comes before


def main() -> None:
    """Be that interpreter."""
    module, function, arguments = sys.argv[1:]
    found = __import__(module, fromlist=[function])
    work: Callable[..., Any] = getattr(found, function)
    getattr(found, f"ready_{function}", lambda: None)()
    started, cpu = time.perf_counter(), time.process_time()
    value = work(*json.loads(arguments))
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps([seconds, cpu, peak, value]))


def result(name: str, baseline: str, rounds: list[float], **figures: object) -> dict[str, object]:
    """Return one entry of the results; above 1, the ratio (the median of the rounds) speaks for bulkqa."""
    return {"name": name, "baseline": baseline, "ratio": median(rounds), "rounds": rounds, **figures}


if __name__ == "__main__":
    main()
