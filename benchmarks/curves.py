"""Curves: area under the ROC curve, average precision, and both curves with all their points.

Against the four functions of scikit-learn that give the same, from arrays in memory. Areas, numbers of
points, and sums over the points and their squares are compared to 1e-9.
"""

import math
import sys
from statistics import median
from typing import Any

from benchmarks.confusion import MILLION, MILLIONS, ROUNDS, Timed, timed
from benchmarks.launch import scratch
from benchmarks.measure import in_process, result

KINDS = {
    "scores of 4 decimals": ("decimals", MILLIONS),
    "scores of any digits": ("digits", MILLIONS),
    "scores of any digits, standard library": ("list", MILLION),
}
"""What is measured by name, with the form of the scores and their number."""


def write(folder: str) -> None:
    """Write scores, and positives that are as frequent as the scores say."""
    import numpy

    source = numpy.random.default_rng(8)
    scores = source.random(MILLIONS)
    numpy.save(f"{folder}/positives.npy", source.random(MILLIONS) < scores)
    numpy.save(f"{folder}/digits.npy", scores)
    numpy.save(f"{folder}/decimals.npy", scores.round(4))


def columns(folder: str, form: str, number: int) -> tuple[Any, Any]:
    """Return so many scores, and whether each is positive."""
    import numpy

    name = "digits" if form == "list" else form
    return numpy.load(f"{folder}/{name}.npy")[:number], numpy.load(f"{folder}/positives.npy")[:number]


def digest(curve: Any) -> list[float]:
    """Return what tells two curves apart: points, and for each axis the sums of values and squares."""
    found: list[float] = []
    for axis in curve[:2]:
        if isinstance(axis, list):
            found += [len(axis), math.fsum(axis), math.fsum(value * value for value in axis)]
        else:
            found += [len(axis), float(axis.sum()), float(axis @ axis)]
    return found


def of_bulkqa(folder: str, form: str, number: int) -> Timed:
    """Make all by bulkqa; what it is given is let go when it has been counted."""
    from bulkqa.evaluation.curves import curves

    given = list(columns(folder, form, number))
    if form == "list":
        given = [column.tolist() for column in given]
        sys.modules["numpy"] = None  # type: ignore[assignment]  # as where it is not installed

    def work() -> list[Any]:
        found = curves(given.pop(0), given.pop())
        areas = [found.roc_auc, found.average_precision]
        return [*areas, digest(found.roc), digest(found.precision_recall)]

    return timed(work)


def of_sklearn(folder: str, form: str, number: int) -> Timed:
    """Make all by scikit-learn."""
    from sklearn import metrics

    scores, positives = columns(folder, form, number)

    def work() -> list[Any]:
        areas = [metrics.roc_auc_score(positives, scores), metrics.average_precision_score(positives, scores)]
        roc = digest(metrics.roc_curve(positives, scores, drop_intermediate=False))
        return [*areas, roc, digest(metrics.precision_recall_curve(positives, scores))]

    return timed(work)


def run() -> list[dict[str, object]]:
    """Measure all, in turn with scikit-learn, by processor time."""
    results = []
    with scratch() as folder:
        in_process("benchmarks.curves", "write", str(folder))
        for name, (form, number) in KINDS.items():
            rounds, seconds, peaks = [], [], []
            for _ in range(ROUNDS):
                own = in_process("benchmarks.curves", "of_bulkqa", str(folder), form, number)
                theirs = in_process("benchmarks.curves", "of_sklearn", str(folder), form, number)
                assert all(map(alike, flat(own.value[2]), flat(theirs.value[2])))
                rounds.append(theirs.value[1] / own.value[1])
                seconds.append(own.value[1])
                peaks.append(own.peak_mib)
            name = f"curves, {number:,} {name}"
            print(f"{name}: {median(seconds):.2f} s of CPU, {max(peaks):.0f} MiB, {rounds}")
            results.append(
                result(
                    name,
                    "roc_auc_score, average_precision_score, roc_curve and precision_recall_curve of "
                    "sklearn.metrics, on arrays",
                    rounds,
                    cpu_seconds=round(median(seconds), 3),
                    peak_mib=round(max(peaks), 1),
                )
            )
    return results


def flat(found: list[Any]) -> list[float]:
    """Return areas and digests as one list."""
    return [*found[:2], *found[2], *found[3]]


def alike(ours: float, theirs: float) -> bool:
    """Say whether two numbers agree to 1e-9."""
    return math.isclose(ours, theirs, rel_tol=1e-9)
