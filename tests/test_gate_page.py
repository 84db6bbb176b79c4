"""The page of a verdict: what it says, how much of it, and that it stands alone."""

import html
import math
import re
from typing import Any

import pytest

from bulkqa.evaluation.gate_file import read_gate
from bulkqa.flow.evidence import Counts, Value
from bulkqa.flow.gate import Verdict, judge
from bulkqa.flow.slices import MetricKey, Metrics, Slice
from bulkqa.gate_page import PLOTS, POINTS, ROWS, render_fragment, render_verdict

HOSTILE = '<img src=x onerror="alert(1)">'
GATE = "auc: {at_least: 0.7, not_worse_than_baseline_by: 0.01}\nloss: {at_most: 0.4}"


def metrics_of(number: int) -> Metrics:
    """Metrics of a candidate and a baseline, overall and of so many ages, of which the first are bad."""
    slices: list[Slice] = [(), *((("age", age),) for age in range(number))]
    found: dict[Slice, dict[MetricKey, Value]] = {}
    for place, slice in enumerate(slices):
        auc = 0.65 if 1 <= place <= 3 else 0.8 + place / 10_000
        found[slice] = {
            MetricKey("auc", "candidate"): Value(auc, Counts(round(auc * 1000), 1000)),
            MetricKey("auc", "baseline"): Value(0.8, Counts(800, 1000)),
            MetricKey("loss", "candidate"): Value(0.3),
        }
    return Metrics(found)


def page_of(metrics: Metrics, text: str = GATE, **options: Any) -> str:
    """The page of these metrics, called `m.json`."""
    gate = read_gate(text, "gate").gate
    return render_verdict(judge(gate, metrics, **options), "m.json", gate, metrics)


def words(page: str) -> str:
    """The page's text, tags and white space aside."""
    body = page[page.index("<body>") : page.index("<script>")]
    return " ".join(re.sub(r"<[^>]*>", " ", body).split())


def test_it_says_what_failed_where_and_why() -> None:
    """The verdict, the thresholds with their counts, and each check that did not pass."""
    said = words(page_of(metrics_of(5)))
    assert "Validation FAILED: 6 of 18 checks failed." in said
    assert "age = 0 auc ✗ failed 0.65, below the lower bound 0.7 by 0.05" in said
    assert "auc, change change at least -0.01 ✗ failed 6 3 3 -0.15 0.0005" in said
    assert "loss at most 0.4 ✓ passed 6 6 0 0.3 0.3" in said


def test_metrics_stand_by_slice_worst_first() -> None:
    """Each with its change from the baseline; the cells that failed say so."""
    page = page_of(metrics_of(5))
    table = page[page.index('id="metrics"') : page.index('id="plots"')]
    assert re.findall(r'scope="row"><bdi>(.*?)</bdi>', table)[:4] == [
        "age = 0",
        "age = 1",
        "age = 2",
        "overall",
    ]
    assert 'class="failed" data-value="0.65">0.65<small>-0.15</small>' in table
    assert 'class="passed" data-value="0.8">0.8<small>0</small></td>' in table


def test_slices_are_drawn_with_their_limits() -> None:
    """A plot for each threshold, a point for each slice, and with intervals their ends."""
    page = page_of(metrics_of(5))
    assert page.count("<figure>") == 3
    assert page.count("<circle") == 18
    assert page.count('class="limit"') == 18
    assert page.count('class="whisker"') == 0
    page = page_of(metrics_of(5), confidence=0.95)
    assert page.count('class="whisker"') == 12  # the loss came without counts
    assert "lacks data" in page


@pytest.mark.slow
def test_a_large_result_is_a_page_of_limited_size() -> None:
    """Slices, failures, plots and points have a number at most, and the page says what it leaves out."""
    metrics = metrics_of(3000)
    gate = "".join(f"auc{n}: {{at_least: 0.7}}\n" for n in range(PLOTS + 3)) + GATE
    for place in range(3001):
        for number in range(PLOTS + 3):
            metrics.put(place, MetricKey(f"auc{number}", "candidate"), Value(0.5))
    page = page_of(metrics, gate)
    assert page.count("<figure>") == PLOTS
    assert page.count("<circle") == PLOTS * POINTS
    assert f"{3001 - ROWS:,} more slices are left out." in words(page)
    assert re.search(r"\d,\d+ more did not pass", words(page))
    assert len(page) < 4_000_000


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 0.0, 1e300])
def test_numbers_of_every_kind_are_shown(value: float) -> None:
    """What cannot be drawn stands in the table."""
    metrics = Metrics({(): {MetricKey("auc"): Value(value)}, (("a", 1),): {MetricKey("auc"): Value(0.5)}})
    page = page_of(metrics, "auc: {at_most: .inf, at_least: 0.5}")
    assert ("NaN" if math.isnan(value) else f"{value:.6g}".replace("inf", "Infinity")) in words(page).replace(
        ",", ""
    )
    assert "nan%" not in page


def test_names_are_only_text() -> None:
    """Markup in slices, metrics and file names stays text."""
    metrics = Metrics({((HOSTILE, HOSTILE),): {MetricKey(HOSTILE): Value(0.5)}})
    gate = read_gate(f"'{HOSTILE}': {{at_least: 0.7}}", "gate").gate
    verdict = judge(gate, metrics)
    for page in (render_verdict(verdict, HOSTILE, gate, metrics), render_fragment(verdict)):
        assert "<img" not in page
        assert "&lt;img" in page


def test_it_stands_alone() -> None:
    """It loads nothing, its own policy forbids it to, and no style stands in an element."""
    page = page_of(metrics_of(2))
    assert "default-src 'none'" in html.unescape(page)
    assert not re.search(r'(src|href)="(?!#)', page)
    assert ' style="' not in page
    assert re.findall(r"https?://[^\s\"'<]*", page) == []


def test_several_models_have_a_column() -> None:
    """By their names, in each table."""
    metrics = Metrics({(): {MetricKey("auc", name): Value(0.5) for name in ("a", "b")}})
    gate = read_gate(
        'model_specs { name: "a" } model_specs { name: "b" } metrics_specs { thresholds { key: "auc" '
        "value { value_threshold { lower_bound { value: 0.7 } } } } }",
        "gate",
    ).gate
    page = render_verdict(judge(gate, metrics), "m.json", gate, metrics)
    assert page.count(">Model</th>") == 3


def test_a_verdict_without_checks_has_a_page() -> None:
    """Nothing to check, and nothing kept."""
    assert "no metric has a threshold" in page_of(Metrics({}), "")
    assert "every check passed" in render_verdict(Verdict(ok=True, is_kept=True), "kept")
