"""The demo, as a stranger runs it."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

BULKQA = [sys.executable, "-m", "bulkqa.cli"]

pytestmark = pytest.mark.slow


def bulkqa(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    return subprocess.run([*BULKQA, *arguments], capture_output=True, text=True, timeout=60)


def test_the_simulated_demo_runs_through_and_is_the_same_every_time(tmp_path: Path) -> None:
    """Three reviewers review every page over HTTP; the report is printed and can be read again.

    They err by a seed, so two runs give the same counts; the second is a job of its own.
    """
    run = bulkqa("demo", "--simulate", "--reviewers", "3")
    assert run.returncode == 0, run.stderr
    assert "Food or drink" in run.stdout
    assert "How well did the reviewers do?" in run.stdout
    assert "demo is finished" in bulkqa("demo", "--simulate").stderr
    reports = [json.loads(bulkqa("report", job, "--format", "json").stdout) for job in ("demo", "demo-2")]
    totals = reports[0]["totals"]
    assert (totals["total"], totals["unreviewed"], reports[0]["below"]) == (319, 0, 0)
    assert reports[0]["bands"] == [[0, 50], [50, 60], [60, 70], [70, 80], [80, 90], [90, 100]]
    assert reports[0] | {"job": None} == reports[1] | {"job": None}
    for progress in json.loads(bulkqa("status", "--format", "json").stdout)["jobs"]:
        lines = progress["labels"]
        assert all(line["answers"] == line["answers_wanted"] == 3 * line["pages"] for line in lines)


def test_the_demo_prints_a_link_and_asks_nothing(tmp_path: Path) -> None:
    """Without a browser it prints the sign-in link, serves it, and on Ctrl-C prints the report and leaves."""
    process = subprocess.Popen(
        [*BULKQA, "demo", "--no-browser"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    link = process.stdout.readline().strip()
    assert link.startswith("http://127.0.0.1:")
    with urllib.request.urlopen(link, timeout=10) as response:  # noqa: S310  it begins with http, see above
        assert response.status == 200
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    assert "Nothing has been reviewed yet." in out


def test_the_results_have_a_link_of_their_own(tmp_path: Path) -> None:
    """`serve --results` prints the reviewers' links, then the one to the results, which leads to them."""
    process = subprocess.Popen(
        [*BULKQA, "serve", "--results", "--port", "0"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    links = [process.stdout.readline().strip() for _ in range(2)]
    assert [link.split("/")[3] for link in links] == ["sign-in", "results"]
    with urllib.request.urlopen(links[1], timeout=10) as response:  # noqa: S310  its own server's
        assert "Read the results" in response.read().decode()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
