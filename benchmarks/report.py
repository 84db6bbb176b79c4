"""Report: seconds and peak memory over a job, over a file of rows, and over millions of rows by column."""

import json
from pathlib import Path
from statistics import median

from benchmarks.launch import launch, scratch, write_corpus
from benchmarks.measure import in_process, result

ROWS = 100_000
MILLIONS = 10_000_000
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


def write_millions(path: str) -> None:
    """Write rows of 100 labels as an export has them, nine in ten confirmed."""
    import duckdb

    duckdb.execute(
        f"""
        SET enable_progress_bar = false;
        SELECT setseed(0.5);
        COPY (
            SELECT 's3://bucket/images/' || number || '.jpg' AS s3_image_url,
                'Label ' || (number * 7919 % 100) AS label, round(80 + 20 * random(), 4) AS confidence,
                (vote < 0.9)::BIGINT AS WorkerConfirmCount, (vote >= 0.88)::BIGINT AS WorkerDisconfirmCount,
                CASE WHEN vote < 0.9 THEN ['dogs/ana'] END AS ConfirmedBy,
                CASE WHEN vote >= 0.88 THEN ['dogs/ben'] END AS DisconfirmedBy,
                ['dogs'] AS jobs, NULL::VARCHAR AS source
            FROM (SELECT range AS number, random() AS vote FROM range({MILLIONS}))
        ) TO '{path}' (FORMAT parquet, COMPRESSION zstd)
        """
    )


def by_column(command: str, path: str) -> int:
    """Run a command over rows, and return the reviewed items of its first label."""
    import contextlib
    import io
    import sys

    from bulkqa import cli

    sys.argv = ["bulkqa", *command.split(), path, "--format", "json"]
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        cli.main()
    return len(json.loads(out.getvalue())["thresholds"])


def scan_columns(path: str) -> int:
    """Only read the columns that thresholds are made of: every value once."""
    import duckdb

    found = duckdb.execute(
        """
        SELECT max(label), sum(confidence), sum(WorkerConfirmCount), sum(WorkerDisconfirmCount),
            sum(len(ConfirmedBy)), sum(len(DisconfirmedBy)), max(source), count(*)
        FROM read_parquet(?)
        """,
        [path],
    ).fetchone()
    assert found is not None
    return int(found[-1])


def run() -> list[dict[str, object]]:
    """Measure both kinds of source, in turn with the bare scan, and then the many rows."""
    return [*run_rows(), *run_columns()]


def run_columns() -> list[dict[str, object]]:
    """Measure the commands that count by column, by processor time: duckdb has threads."""
    results = []
    with scratch() as folder:
        path = str(folder / "rows.parquet")
        write_millions(path)
        for command in ("thresholds", "report --brief"):
            rounds, cpus, peaks = [], [], []
            for _ in range(ROUNDS):
                measured = in_process("benchmarks.report", "by_column", command, path)
                bare = in_process("benchmarks.report", "scan_columns", path)
                assert bare.value == MILLIONS
                rounds.append(bare.cpu / measured.cpu)
                cpus.append(measured.cpu)
                peaks.append(measured.peak_mib)
            name = f"report, {MILLIONS:,} rows of Parquet, `{command}`"
            print(
                f"{name}: {median(cpus):.2f} s of CPU, {max(peaks):.0f} MiB, {1 / median(rounds):.2f} scans"
            )
            results.append(
                result(
                    name,
                    "duckdb reading the same columns once, nothing done with them",
                    rounds,
                    cpu_seconds=round(median(cpus), 3),
                    peak_mib=round(max(peaks), 1),
                )
            )
    return results


def run_rows() -> list[dict[str, object]]:
    """Measure both kinds of source."""
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
