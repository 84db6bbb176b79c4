"""Confusion matrix: of strings in files, lists and arrays, against scikit-learn on what is in memory already.

Both count the same predictions of 100 classes, and the counts are compared cell by cell. Reading its file
counts for bulkqa; scikit-learn's columns are there before its time begins, in the form it is fastest with.
"""

from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

from benchmarks.launch import scratch
from benchmarks.measure import in_process, result

MILLIONS = 10_000_000
MILLION = 1_000_000
CLASSES = 100
ROUNDS = 3

FORMS = {
    "numbers": "numbers, arrays in memory",
    "strings": "strings, arrays of numpy's own kind in memory",
    "objects": "strings, arrays of Python's objects in memory, as pandas reads them",
    "lists": "strings, lists",
}
"""The forms that scikit-learn is given, as results call them."""

KINDS = (
    (MILLIONS, "strings of Parquet", ("of_file", "predictions.parquet"), "strings"),
    (MILLION, "strings of Parquet", ("of_file", "fewer.parquet"), "objects"),
    (MILLIONS, "strings of JSON Lines", ("of_file", "predictions.jsonl"), "strings"),
    (MILLIONS, "numbers in arrays", ("of_columns", "numbers"), "numbers"),
    (MILLION, "strings in lists, standard library", ("of_columns", "lists"), "lists"),
)
"""How many predictions, what of, how bulkqa counts them, and the form scikit-learn is given."""

Timed = tuple[float, float, Any]
"""Wall and processor seconds, and what came of it."""


def timed(work: Callable[[], Any]) -> Timed:
    """Run a part of a process' work, and say how long it took alone."""
    started, cpu = perf_counter(), process_time()
    found = work()
    return perf_counter() - started, process_time() - cpu, found


def write(folder: str) -> None:
    """Write predictions, seven in ten of them right, as numbers, as Parquet and as JSON Lines."""
    import duckdb
    import numpy

    source = numpy.random.default_rng(7)
    truths = source.integers(0, CLASSES, MILLIONS)
    guesses = numpy.where(source.random(MILLIONS) < 0.7, truths, source.integers(0, CLASSES, MILLIONS))
    numpy.save(f"{folder}/numbers.npy", [truths, guesses])
    with duckdb.connect() as connection:
        connection.register("numbers", {"truth": truths, "guess": guesses})
        connection.execute(
            f"""
            SET enable_progress_bar = false;
            COPY (
                SELECT printf('Label %02d', truth) AS ground_truth, printf('Label %02d', guess) AS predicted
                FROM numbers
            ) TO '{folder}/predictions.parquet' (FORMAT parquet, COMPRESSION zstd);
            COPY (FROM '{folder}/predictions.parquet') TO '{folder}/predictions.jsonl' (FORMAT json);
            COPY (FROM '{folder}/predictions.parquet' LIMIT {MILLION}) TO '{folder}/fewer.parquet'
                (FORMAT parquet, COMPRESSION zstd);
            """
        )


def columns(folder: str, form: str, number: int) -> Any:
    """Return so many ground truths and predictions: numbers, numpy's strings, or lists."""
    import numpy

    numbers = numpy.load(f"{folder}/numbers.npy", mmap_mode="r")[:, :number]
    if form == "numbers":
        return numbers.copy()
    names = numpy.array([f"Label {place:02}" for place in range(CLASSES)])
    strings = names[numbers]
    if form == "strings":
        return strings
    return strings.tolist() if form == "lists" else strings.astype(object)


def of_file(folder: str, name: str) -> Timed:
    """Count a file."""
    import duckdb  # noqa: F401  loaded before the time begins, as scikit-learn is
    import numpy  # noqa: F401

    from bulkqa.evaluation.columns import confusion_of_file

    seconds, cpu, found = timed(lambda: confusion_of_file(Path(folder, name)))
    return seconds, cpu, found.counts


def of_columns(folder: str, form: str, number: int) -> Timed:
    """Count columns."""
    from bulkqa.evaluation import confusion_matrix

    given = columns(folder, form, number)
    seconds, cpu, found = timed(lambda: confusion_matrix(*given))
    return seconds, cpu, found.counts


def of_sklearn(folder: str, form: str, number: int) -> Timed:
    """Have scikit-learn count columns."""
    from sklearn.metrics import confusion_matrix

    given = columns(folder, form, number)
    seconds, cpu, found = timed(lambda: confusion_matrix(*given))
    if form == "numbers":  # bulkqa's order is that of the names
        order = sorted(range(CLASSES), key=str)
        found = found[order][:, order]
    return seconds, cpu, found.T.tolist()


def run() -> list[dict[str, object]]:
    """Measure all, in turn with scikit-learn, by processor time: duckdb has threads."""
    with scratch() as folder:
        in_process("benchmarks.confusion", "write", str(folder))
        return [compare(str(folder), *kind) for kind in KINDS]


def compare(folder: str, number: int, name: str, ours: tuple[str, ...], form: str) -> dict[str, object]:
    """Measure one of them; return its entry of the results."""
    function, *how = ours
    rounds, seconds, cpus, peaks = [], [], [], []
    for _ in range(ROUNDS):
        size = (number,) if function == "of_columns" else ()
        own = in_process("benchmarks.confusion", function, folder, *how, *size)
        theirs = in_process("benchmarks.confusion", "of_sklearn", folder, form, number)
        (wall, cpu, found), (_, their_cpu, expected) = own.value, theirs.value
        assert found == expected
        rounds.append(their_cpu / cpu)
        seconds.append(wall)
        cpus.append(cpu)
        peaks.append(own.peak_mib)
    name = f"confusion, {number:,} {name}"
    print(f"{name}: {median(seconds):.2f} s, {median(cpus):.2f} s of CPU, {max(peaks):.0f} MiB, {rounds}")
    return result(
        name,
        f"sklearn.metrics.confusion_matrix of the same {FORMS[form]}",
        rounds,
        seconds=round(median(seconds), 3),
        cpu_seconds=round(median(cpus), 3),
        peak_mib=round(max(peaks), 1),
    )
