"""A verdict of the gate as people read it in a terminal."""

from collections.abc import Iterator
from typing import IO, NamedTuple

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bulkqa.flow.gate import Check, Verdict
from bulkqa.flow.limits import Outcome, Threshold, describe_threshold, number
from bulkqa.flow.slices import AnySpec, describe_metric, describe_slice, describe_spec

AT_MOST = 50
"""Checks that did not pass and are listed one by one."""

STYLES = {Outcome.PASSED: "green", Outcome.FAILED: "red", Outcome.UNDECIDED: "yellow"}


class Line(NamedTuple):
    """All checks of one threshold on one metric of one model."""

    metric: str
    model: str
    asked: str
    checks: list[Check]

    def count(self, outcome: Outcome) -> int:
        """Return how many have this outcome."""
        return sum(check.outcome is outcome for check in self.checks)

    @property
    def values(self) -> str:
        """The lowest and the highest value."""
        found = [check.value for check in self.checks if check.value is not None]
        known = [value for value in found if value == value]
        if not known:
            return "NaN" if found else "-"
        low, high = number(min(known)), number(max(known))
        return (low if low == high else f"{low} to {high}") + (", NaN" if len(known) < len(found) else "")


def headline(verdict: Verdict) -> str:
    """Return what the gate says, in one sentence.

    >>> headline(Verdict(ok=False, missing_thresholds=True))
    'Validation FAILED: no metric has a threshold.'
    """
    failed, open_ = len(verdict.those(Outcome.FAILED)), len(verdict.those(Outcome.UNDECIDED))
    of = "" if verdict.is_kept else f" of {len(verdict.checks):,}"
    if verdict.ok and not verdict.checks:
        why = "nothing was to be checked." if not verdict.is_kept else "every check passed."
        return f"Validation ok: {why}"
    if verdict.ok:
        return f"Validation ok: {_checks(len(verdict.checks))} passed."
    parts = []
    if verdict.missing_thresholds:
        parts.append("no metric has a threshold")
    if failed:
        parts.append(f"{failed:,}{of} {'check' if failed == 1 and verdict.is_kept else 'checks'} failed")
    if open_:
        parts.append(f"{open_:,}{of} lack data")
    for missing, what in ((verdict.missing_slices, "slices"), (verdict.missing_cross_slices, "cross slices")):
        if missing:
            parts.append(f"{what} are missing")
    word = "FAILED" if verdict.outcome is Outcome.FAILED else "NOT DECIDED"
    return f"Validation {word}: {', '.join(parts) or 'nothing was checked'}."


def _checks(number_of: int) -> str:
    return "1 check" if number_of == 1 else f"{number_of:,} checks"


def remarks(verdict: Verdict) -> Iterator[str]:
    """Yield what else there is to say of a verdict, a sentence each."""
    missing: list[AnySpec] = [*verdict.missing_slices, *verdict.missing_cross_slices]
    for spec in missing:
        yield f"Missing: a threshold is on {describe_spec(spec)}, and nothing could be checked there."
    if verdict.rubber_stamp:
        yield "Rubber stamped: without a baseline, thresholds on changes are left out."
    if verdict.is_kept and verdict.details:
        slices = ", ".join(f"{describe_spec(spec)} ({times:,})" for spec, times in verdict.details)
        yield f"Checked in slices: {slices}."
    if verdict.confidence is not None and verdict.checks:
        yield _confidence(verdict, verdict.confidence)
    for note in verdict.notes:
        yield f"Note: {note}."


def _confidence(verdict: Verdict, confidence: float) -> str:
    if verdict.jointly:
        return f"Intervals at {confidence:.4g}, for all checks jointly (Holm)."
    decided = sum(check.outcome is not Outcome.UNDECIDED for check in verdict.checks)
    wrong = decided * (1 - confidence) / 2
    if not decided:
        return f"Intervals at {confidence:.4g}."
    return (
        f"Intervals at {confidence:.4g}, for each check by itself: of {_checks(decided)} that "
        f"{'is' if decided == 1 else 'are'} decided, up to {wrong:.2g} may be wrong by chance."
    )


def lines_of(verdict: Verdict) -> list[Line]:
    """Return the checks by metric, model and threshold, in order."""
    found: dict[tuple[str, str, Threshold], Line] = {}
    for check in verdict.checks:
        name = describe_metric(check.metric)
        asked = describe_threshold(check.threshold)
        line = found.setdefault(
            (name, check.metric.model, check.threshold), Line(name, check.metric.model, asked, [])
        )
        line.checks.append(check)
    return list(found.values())


def print_verdict(verdict: Verdict, file: IO[str], width: int | None = None) -> None:
    """Print a verdict: what it says, every threshold with its checks, and each check that did not pass."""
    console = Console(file=file, highlight=False, width=width)
    console.print(Text(headline(verdict), style=f"bold {STYLES[verdict.outcome]}"), soft_wrap=True)
    if verdict.checks and not verdict.is_kept:
        console.print()
        console.print(_overview(verdict))
    bad = [check for check in verdict.checks if check.outcome is not Outcome.PASSED]
    if bad:
        console.print()
        console.print(_not_passed(bad[:AT_MOST], len({check.metric.model for check in verdict.checks}) > 1))
        if len(bad) > AT_MOST:
            console.print(f"... and {len(bad) - AT_MOST:,} more; --format json has them all.")
    said = list(remarks(verdict))
    if said:
        console.print()
    for remark in said:
        console.print(Text(remark), soft_wrap=True)


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for name in columns:
        table.add_column(name, overflow="fold")
    return table


def _overview(verdict: Verdict) -> Table:
    lines = lines_of(verdict)
    several = len({line.model for line in lines}) > 1
    table = _table("Metric", *(["Model"] * several), "Asked for")
    for name in ("Slices", "Passed", "Failed", *(["Lack data"] * (verdict.confidence is not None))):
        table.add_column(name, justify="right")
    table.add_column("Values", overflow="fold")
    for line in lines:
        passed, failed, open_ = (
            line.count(one) for one in (Outcome.PASSED, Outcome.FAILED, Outcome.UNDECIDED)
        )
        style = STYLES[Outcome.FAILED if failed else Outcome.UNDECIDED if open_ else Outcome.PASSED]
        counts = [len(line.checks), passed, failed, *([open_] * (verdict.confidence is not None))]
        texts = [
            line.metric,
            *([line.model] * several),
            line.asked,
            *(f"{one:,}" for one in counts),
            line.values,
        ]
        table.add_row(*map(Text, texts), style=style)
    return table


def _not_passed(checks: list[Check], several: bool) -> Table:
    table = _table("Slice", "Metric", *(["Model"] * several), "Why")
    for check in checks:
        model = [check.metric.model] * several
        texts = [describe_slice(check.slice), describe_metric(check.metric), *model, check.reason]
        table.add_row(*map(Text, texts), style=STYLES[check.outcome])
    return table
