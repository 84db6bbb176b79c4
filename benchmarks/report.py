"""Report: seconds and peak memory over a job and over a file of rows."""

import json
from pathlib import Path
from statistics import median

from benchmarks.launch import launch, scratch, write_corpus
from benchmarks.measure import in_process, result

ROWS = 100_000
ROUNDS = 3


def prepare(folder: str) -> None:
    """Launch a job of so many items, have one reviewer answer every page, and export its rows."""
    from bulkqa import jobs, steps, table_file
    from bulkqa.cli.places import local_store
    from bulkqa.flow.answers import Answer, Decision
    from bulkqa.flow.votes import votes

    home = Path(folder) / "home"
    write_corpus(Path(folder) / "corpus.csv", ROWS)
    launch(str(Path(folder) / "corpus.csv"), str(home))
    with local_store(home) as store:
        for number, _ in enumerate(store.blobs.keys("jobs/bench/custom-labeling-inputs/")):
            items = jobs.page_items("bench", number, store.blobs)
            says = {
                place: Decision.CONFIRM if place % 25 else Decision.DISCONFIRM for place in range(len(items))
            }
            store.table.record(votes(items, Answer(says), "bench/ana"))
        with (Path(folder) / "rows.csv").open("w") as file:
            file.writelines(table_file.as_csv(steps.job_rows("bench", store)))


def report_of(source: str, home: str) -> int:
    """Run `bulkqa report`, as the command does, and return the items counted."""
    import contextlib
    import io
    import sys

    from bulkqa import cli

    sys.argv = ["bulkqa", "report", source, "--home", home, "--format", "json"]
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        cli.main()
    return int(json.loads(out.getvalue())["totals"]["total"])


def scan(path: str) -> int:
    """Only read a file's rows as dictionaries: what any report has to do at least."""
    import csv

    with open(path, newline="") as file:
        return sum(1 for _ in csv.DictReader(file))


def run() -> list[dict[str, object]]:
    """Measure both kinds of source, in turn with the bare scan."""
    results = []
    with scratch() as folder:
        in_process("benchmarks.report", "prepare", str(folder))
        home, rows = str(folder / "home"), str(folder / "rows.csv")
        for name, source in (("report job", "bench"), ("report file", rows)):
            rounds, seconds, peaks = [], [], []
            for _ in range(ROUNDS):
                measured = in_process("benchmarks.report", "report_of", source, home)
                bare = in_process("benchmarks.report", "scan", rows)
                assert measured.value == bare.value == ROWS
                seconds.append(measured.seconds)
                peaks.append(measured.peak_mib)
                rounds.append(bare.seconds / measured.seconds)
            print(f"{name}, {ROWS:,} items: {median(seconds):.2f} s, {max(peaks):.1f} MiB")
            results.append(
                result(
                    name,
                    "csv.DictReader over the same rows, nothing done with them",
                    rounds,
                    seconds=round(median(seconds), 3),
                    peak_mib=round(max(peaks), 1),
                )
            )
    return results
