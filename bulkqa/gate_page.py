"""The verdict of a gate as a page: one file that needs nothing beside it, with the metrics of every slice.

It looks like the report's page and shares its style. Sorting needs its script; all else works without.
"""

import base64
import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import jinja2

from bulkqa.flow.gate import Check, Gate, Verdict
from bulkqa.flow.limits import Outcome, Threshold, ValueThreshold, describe_threshold, number
from bulkqa.flow.lookup import Lookup
from bulkqa.flow.slices import AnySlice, MetricKey, Metrics, Slice, describe_metric, describe_slice
from bulkqa.shipped import shipped
from bulkqa.verdict_words import headline, lines_of, remarks

ROWS = 500
"""Slices in the table of metrics, and checks that did not pass, at most: those with most amiss first."""

PLOTS, POINTS = 12, 30
"""Thresholds that are drawn, and slices in each, at most: the worst first."""

WORDS = {Outcome.PASSED: "passed", Outcome.FAILED: "failed", Outcome.UNDECIDED: "lacks data"}
_WORSE = (Outcome.PASSED, Outcome.UNDECIDED, Outcome.FAILED)
KINDS = {Outcome.PASSED: "passed", Outcome.FAILED: "failed", Outcome.UNDECIDED: "open"}


def render_verdict(
    verdict: Verdict, source: str, gate: Gate | None = None, metrics: Metrics | None = None
) -> str:
    """Return the page of a verdict on the metrics called `source`.

    `gate` and `metrics` are what the verdict was made of; a verdict that was kept comes without.
    """
    table = None if gate is None or metrics is None else _table(verdict, gate, metrics)
    return _render("page.html", verdict, source=source, table=table, plots=_plots(verdict), points=POINTS)


def render_fragment(verdict: Verdict) -> str:
    """Return a verdict as a piece of HTML without style, for a notebook."""
    return _render("fragment.html", verdict)


def _render(template: str, verdict: Verdict, **more: object) -> str:
    bad = [check for check in verdict.checks if check.outcome is not Outcome.PASSED]
    return (
        _environment()
        .get_template(template)
        .render(
            verdict=verdict,
            kind=KINDS[verdict.outcome],
            headline=headline(verdict),
            remarks=list(remarks(verdict)),
            counts={KINDS[outcome]: len(verdict.those(outcome)) for outcome in Outcome},
            lines=[_line(line.checks) for line in lines_of(verdict)],
            bad=[_row(check) for check in bad[:ROWS]],
            left_out=max(0, len(bad) - ROWS),
            several=len({check.metric.model for check in verdict.checks}) > 1,
            policy=policy(),
            style=_style(),
            script=_part("page.js"),
            **more,
        )
    )


def policy() -> str:
    """Return the page's content security policy: its own style and script, and nothing from elsewhere."""
    style, script = (
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        for text in (_style(), _part("page.js"))
    )
    return (
        f"default-src 'none'; style-src 'sha256-{style}'; script-src 'sha256-{script}'; "
        "base-uri 'none'; form-action 'none'"
    )


@cache
def _part(name: str) -> str:
    return shipped(f"templates/gate/{name}").read_text("utf-8")


@cache
def _style() -> str:
    return shipped("templates/report/page.css").read_text("utf-8") + _part("page.css")


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(shipped("templates/gate")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["short"] = short
    return environment


def _row(check: Check) -> dict[str, Any]:
    return {
        "slice": describe_slice(check.slice),
        "metric": describe_metric(check.metric),
        "model": check.metric.model,
        "asked": describe_threshold(check.threshold),
        "reason": check.reason,
        "kind": KINDS[check.outcome],
        "word": WORDS[check.outcome],
    }


def _line(checks: Sequence[Check]) -> dict[str, Any]:
    """Return what became of one threshold on one metric."""
    counts = {KINDS[outcome]: sum(check.outcome is outcome for check in checks) for outcome in Outcome}
    kind = "failed" if counts["failed"] else "open" if counts["open"] else "passed"
    values = [check.value for check in checks if check.value is not None and check.value == check.value]
    shown = {"lowest": min(values, default=None), "highest": max(values, default=None)}
    return {**_row(checks[0]), "counts": counts, "slices": len(checks), "kind": kind, **shown}


def short(value: float) -> str:
    """Return a number with four digits, as many as tell slices apart.

    >>> short(0.924494), short(1200000.0), short(float("nan"))
    ('0.9245', '1,200,000', 'NaN')
    """
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e12 else number(float(f"{value:.4g}"))


# The table of metrics.


class Cell(NamedTuple):
    """A metric of a slice, by how much it differs from the baseline, and what the gate says of it."""

    value: float | None
    change: float | None
    kind: str
    word: str

    @property
    def exact(self) -> str:
        """The value with all its digits, to be sorted by."""
        return (
            ""
            if self.value is None
            else repr(self.value)
            if math.isfinite(self.value)
            else number(self.value)
        )


def _table(verdict: Verdict, gate: Gate, metrics: Metrics) -> dict[str, Any]:
    """Return the metrics of the gated models by slice, those slices first where most is amiss."""
    lookup = Lookup(metrics, gate.models, gate.baseline)
    gated = [key for key in metrics.columns if key.model in lookup.files.values() and not key.is_diff]
    columns = list(dict.fromkeys(key._replace(model="") for key in gated))
    says, amiss = _outcomes(verdict.checks), Counter[AnySlice]()
    for check in verdict.checks:
        amiss[check.slice] += check.outcome is not Outcome.PASSED
    places = sorted(metrics.slices.items(), key=lambda one: -amiss[one[0]])
    baseline = lookup.baseline if lookup.has_baseline else None

    def cell(slice: Slice, place: int, column: MetricKey, shown: str, file: str) -> Cell:
        value = metrics.get(place, column._replace(model=file))
        base = None if baseline is None else metrics.get(place, column._replace(model=baseline))
        change = None if value is None or base is None else value.point - base.point
        outcome = says.get((slice, _plain(column._replace(model=shown))))
        kind, word = ("", "") if outcome is None else (KINDS[outcome], WORDS[outcome])
        return Cell(None if value is None else value.point, change, kind, word)

    return {
        "columns": [describe_metric(column) for column in columns],
        "rows": [
            {
                "slice": describe_slice(slice),
                "model": shown,
                "cells": [cell(slice, place, column, shown, file) for column in columns],
            }
            for slice, place in places[:ROWS]
            for shown, file in lookup.files.items()
        ],
        "several": len(lookup.files) > 1,
        "compared": baseline is not None,
        "left_out": max(0, len(places) - ROWS),
    }


def _plain(metric: MetricKey) -> MetricKey:
    return metric._replace(example_weighted=None, is_diff=False)


def _outcomes(checks: Iterable[Check]) -> Mapping[tuple[AnySlice, MetricKey], Outcome]:
    """Return the worst that was said of each metric of each slice."""
    found: dict[tuple[AnySlice, MetricKey], Outcome] = {}
    for check in checks:
        place = check.slice, _plain(check.metric)
        found[place] = max(found.get(place, Outcome.PASSED), check.outcome, key=_WORSE.index)
    return found


# The plots.


class Point(NamedTuple):
    """A slice in a plot: where its value, its interval and its baseline are, in percent of the width."""

    slice: str
    value: float
    x: float
    ends: tuple[float, float] | None
    kind: str
    word: str


def _plots(verdict: Verdict) -> list[dict[str, Any]]:
    """Return a plot of each threshold: its slices, one below the other, and its limits."""
    drawn = [line for line in lines_of(verdict) if sum(_finite(check.value) for check in line.checks) > 0]
    drawn.sort(key=lambda line: -sum(check.outcome is not Outcome.PASSED for check in line.checks))
    return [_plot(line.checks) for line in ([] if verdict.is_kept else drawn[:PLOTS])]


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _plot(checks: Sequence[Check]) -> dict[str, Any]:
    threshold = checks[0].threshold
    limits = [limit for limit in _limits(threshold) if math.isfinite(limit)]
    known = [check for check in checks if check.value is not None and math.isfinite(check.value)]
    worst = sorted(known, key=lambda check: _badness(check, limits))[:POINTS]
    ends = [check.interval for check in worst]
    seen = [*limits, *(check.value for check in worst if check.value is not None)]
    seen += [end for interval in ends if interval for end in interval if math.isfinite(end)]
    low, high = min(seen), max(seen)
    margin = (high - low or abs(high) or 1.0) * 0.06
    low, high = low - margin, high + margin

    def across(value: float) -> float:
        return round(100 * min(1.0, max(0.0, (value - low) / (high - low))), 2)

    points = [
        Point(
            describe_slice(check.slice),
            check.value or 0.0,
            across(check.value or 0.0),
            None if interval is None else (across(interval[0]), across(interval[1])),
            KINDS[check.outcome],
            WORDS[check.outcome],
        )
        for check, interval in zip(worst, ends, strict=True)
    ]
    return {
        **_row(checks[0]),
        "points": points,
        "limits": [(across(limit), number(limit)) for limit in limits],
        "low": short(low),
        "high": short(high),
        "left_out": len(checks) - len(points),
    }


def _limits(threshold: Threshold) -> list[float]:
    """Return the limits of the number that is drawn; of a change that is the difference."""
    both = threshold if isinstance(threshold, ValueThreshold) else (threshold.absolute,)
    return [limit for limit in both[:2] if limit is not None]


def _badness(check: Check, limits: Sequence[float]) -> tuple[int, float]:
    """Order checks: failed first, then those that lack data, each by how near the limit they are."""
    value = check.value or 0.0
    distance = min((abs(value - limit) for limit in limits), default=value)
    return -_WORSE.index(check.outcome), -distance if check.outcome is Outcome.FAILED else distance
