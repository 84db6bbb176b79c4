"""Launch: rows a second and peak memory, beside a plain launch that handles a row at a time."""

import csv
import json
import random
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from benchmarks.measure import in_process, result

SIZES = (10_000, 100_000, 1_000_000)
PLAIN_ROWS = 2_000
ROUNDS = 3


def write_corpus(path: Path, rows: int) -> None:
    """Write a corpus of so many rows under 100 labels."""
    rng = random.Random(0)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("image_local_path", "label", "confidence"))
        for number in range(rows):
            image = f"images/{rng.randrange(10**6):06d}/{number:07d}.jpg"
            writer.writerow((image, f"Label {rng.randrange(100)}", round(rng.uniform(80, 100), 6)))


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder that goes with the block."""
    with tempfile.TemporaryDirectory(prefix="bulkqa-bench-") as folder:
        yield Path(folder)


def launch(corpus: str, home: str) -> int:
    """Launch a corpus with bulkqa; return the items launched."""
    from bulkqa import steps
    from bulkqa.cli.places import local_store
    from bulkqa.settings import JobSettings

    with local_store(Path(home)) as store:
        launched = steps.launch(
            lambda: Path(corpus).open("rb"),
            JobSettings(job="bench", corpus_name="corpus.csv"),
            store,
            created_at="2026-01-01T00:00:00Z",
            keep=None,
            notice=lambda stage, done, of: None,
        )
    return launched.counts.items


def plain(corpus: str, home: str) -> int:
    """Launch a corpus the plain way: a durable insert a row, all batches in memory, then a file each."""
    folder = Path(home)
    folder.mkdir()
    db = sqlite3.connect(folder / "plain.sqlite", isolation_level=None)
    db.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")
    db.execute("CREATE TABLE row (image TEXT, label TEXT, confidence REAL, PRIMARY KEY (image, label))")
    batches: dict[str, list[dict[str, object]]] = {}
    rows = 0
    with open(corpus, newline="") as file:
        for row in csv.DictReader(file):
            db.execute(
                "INSERT OR REPLACE INTO row VALUES (?, ?, ?)",
                (row["image_local_path"], row["label"], float(row["confidence"])),
            )
            entry = {
                "s3_image_url": row["image_local_path"],
                "label": row["label"],
                "confidence": row["confidence"],
            }
            batches.setdefault(row["label"], []).append(entry)
            rows += 1
    number = 0
    for entries in batches.values():
        for start in range(0, len(entries), 25):
            (folder / f"{number}.json").write_text(json.dumps(entries[start : start + 25]))
            number += 1
    db.close()
    return rows


def run() -> list[dict[str, object]]:
    """Measure each size; compare by rows a second."""
    results = []
    for size in SIZES:
        rounds, rates, peaks = [], [], []
        for turn in range(ROUNDS):
            with scratch() as folder:
                write_corpus(folder / "corpus.csv", size)
                write_corpus(folder / "few.csv", PLAIN_ROWS)
                measured = in_process(
                    "benchmarks.launch", "launch", str(folder / "corpus.csv"), str(folder / "home")
                )
                few = in_process("benchmarks.launch", "plain", str(folder / "few.csv"), str(folder / "plain"))
            assert measured.value == size and few.value == PLAIN_ROWS
            rates.append(size / measured.seconds)
            peaks.append(measured.peak_mib)
            rounds.append(rates[-1] * few.seconds / PLAIN_ROWS)
            print(
                f"launch {size:>9,} rows, round {turn + 1}: {rates[-1]:>8,.0f} rows/s, {peaks[-1]:.1f} MiB, "
                f"{rounds[-1]:.1f} times plain"
            )
        results.append(
            result(
                f"launch {size}",
                f"a durable insert a row, batches in memory ({PLAIN_ROWS} rows)",
                rounds,
                rows_per_second=round(median(rates)),
                peak_mib=round(max(peaks), 1),
            )
        )
    return results
