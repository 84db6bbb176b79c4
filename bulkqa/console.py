"""What people read in a terminal: tables and progress, drawn by Rich."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from typing import IO, Any

from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from bulkqa import ports
from bulkqa.flow.bands import band_pairs
from bulkqa.flow.costs import PRICES_OF, aws_costs, ground_truth_costs
from bulkqa.flow.plan import Plan
from bulkqa.flow.report import LabelTally, Report, Tally, as_json
from bulkqa.flow.statistics import Interval
from bulkqa.flow.thresholds import Promise, Threshold

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def print_report(report: Report, title: str, file: IO[str] | None = None, published: bool = False) -> None:
    """Print the label x confidence band table: outcomes by label, then how right each band is."""
    document = as_json(report, None, 1, published)
    average: dict[str, object] = document["class_average"]  # type: ignore[assignment]
    console = out if file is None else Console(file=file, highlight=False)
    totals = report.totals
    outcomes = _table(title)
    for name in ("Total", "Confirmed", "Disconf.", "Split", "Unrev.", "Correct", "95 % int."):
        outcomes.add_column(name, justify="right", no_wrap=True)
    for label, line in report.labels.items():
        outcomes.add_row(label, *_outcomes(line.all))
    outcomes.add_section()
    outcomes.add_row("TOTALS", *_outcomes(totals.all), style="bold")
    outcomes.add_row("Class average", *[""] * 5, percent(_share(average["correct"])), "")
    console.print(outcomes)

    bands = _table("Correct by confidence, and confirmed of reviewed")
    for place, (low, high) in enumerate(band_pairs(report.bands)):
        last = place == len(report.bands) - 2
        bands.add_column(f"{low:g}-{high:g}" if last else f"{low:g}-<{high:g}", justify="right")
    for label, line in report.labels.items():
        bands.add_row(label, *_bands(line, published))
    bands.add_section()
    bands.add_row("TOTALS", *_bands(totals, published), style="bold")
    shares: list[Mapping[str, object]] = average["bands"]  # type: ignore[assignment]
    bands.add_row("Class average", *(percent(_share(band["correct"])) for band in shares))
    console.print(bands)
    if report.below:
        console.print(f"{report.below} items lie below the lowest band and are in neither table.")


def print_quality(document: Mapping[str, Any], file: IO[str]) -> None:
    """Print, below the tables of a report, what else there is of it: a line for each, no line for nothing."""
    console = Console(file=file, highlight=False)
    for line in _quality(document):
        console.print(line, soft_wrap=True, markup=False)


def _quality(document: Mapping[str, Any]) -> Iterator[str]:
    for name in ("agreement", "calibration"):
        if document[name]["says"] is not None:
            yield f"{name.capitalize()}: {document[name]['says']}"
    conflicts, totals = document["conflicts"], document["totals"]
    if conflicts["confirmed_twice"]:
        yield f"Conflicts: {conflicts['confirmed_twice']} images are confirmed under more than one label."
    if pairs := conflicts["confusions"]:
        most = (f"{one['rejected']} for {one['confirmed']} ({one['images']})" for one in islice(pairs, 3))
        number = conflicts["confused"]
        yield f"Confusions: {number} images rejected as one label, confirmed as another: {', '.join(most)}."
    for name, why in (
        ("corrected", "without the reviewers' own misses"),
        ("weighted", "weighted with the items that the sample stands for"),
    ):
        if (found := totals[name]) is not None:
            yield f"Correct, {why}: {percent(found['correct'])} ({_interval(found['interval'])})."
    if closed := document["reconciliation"]["closed"]:
        yield f"Closed early: {closed} items were not asked for."
    for one in document["reviewers"]:
        yield f"Reviewer {one['reviewer']}: {', '.join(_reviewer(one))}."


def _reviewer(one: Mapping[str, Any]) -> Iterator[str]:
    if one["pages"] is not None:
        yield f"{one['pages']} pages"
    if one["median_seconds"] is not None:
        yield f"median {one['median_seconds']:.0f} s"
    yield f"{one['items']} items judged, {one['disconfirmed']} rejected"
    if one["distance"] is not None:
        yield f"agrees {one['agreed']:.1%} with the others, rejects {100 * one['distance']:+.1f} points more"
    for name in ("catch_rate", "false_alarm_rate"):
        if (rate := one[name]) is not None:
            yield f"{name.replace('_', ' ')} {rate['count']}/{rate['of']} ({_interval(rate['interval'])})"


def _table(title: str) -> Table:
    """Return an empty table whose first column is the label, given room before the others."""
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    table.add_column("Label", overflow="fold", min_width=13)
    return table


def percent(share: float | None) -> str:
    """Return a share as people read it, "-" for none.

    >>> percent(0.9643), percent(None)
    ('96.43%', '-')
    """
    return "-" if share is None else f"{share:.2%}"


def _share(value: object) -> float | None:
    return value if isinstance(value, float) else None


def _interval(interval: Interval | None) -> str:
    return "-" if interval is None else f"{100 * interval[0]:.1f}-{100 * interval[1]:.1f}"


def _outcomes(tally: Tally) -> list[str]:
    numbers = (tally.total, tally.confirmed, tally.disconfirmed, tally.split, tally.unreviewed)
    return [*map(str, numbers), percent(tally.correct), _interval(tally.interval)]


def _bands(line: LabelTally, published: bool) -> Iterator[str]:
    for tally in line.bands:
        if published and tally.total == 0:
            yield "0.00%\n0/0"
        elif tally.reviewed:
            yield f"{percent(tally.correct)}\n{tally.confirmed}/{tally.reviewed}"
        else:
            yield "-"


def print_thresholds(found: Sequence[Threshold] | Sequence[Promise], title: str, file: IO[str]) -> None:
    """Print the threshold of each label, "-" for none, and what it rests on."""
    table = _table(title)
    table.add_column("Threshold", justify="right")
    table.add_column("Why", overflow="fold")
    for one in found:
        nothing = one.threshold is None or one.accepts_nothing
        style = "red" if one.accepts_nothing else None if one.supported else "yellow"
        table.add_row(one.label, "-" if nothing else f"{one.threshold:g}", Text(one.reason), style=style)
    Console(file=file, highlight=False).print(table)


def print_plan(plan: Plan, file: IO[str]) -> None:
    """Print a plan: what to review of each label and band, what that takes, and what it will not settle."""
    console = Console(file=file, highlight=False)
    console.print(plan_table(plan))
    pages, checks = plan.pages, plan.checks
    fee = sum(cost.dollars for cost in ground_truth_costs(pages))
    rest = sum(cost.dollars for cost in aws_costs(plan.taken, pages, plan.reviewers))
    lines = [
        f"{plan.taken} of {plan.population} items{f' and {checks} known answers' if checks else ''} "
        f"on {pages} pages: {plan.looks} looks, {plan.hours:.1f} hours at "
        f"{plan.seconds_per_page:g} seconds for {plan.batch_size} pictures "
        f"({f'the median of {plan.timed} recorded times' if plan.timed else 'assumed'}).",
        f"Ground Truth: {fee:.2f} dollars. AWS beside it: {rest:.2f} dollars. Prices of {PRICES_OF}.",
    ]
    if plan.below:
        lines.append(f"Left out {plan.below} below the minimum confidence or the lowest band.")
    few = [line.label for line in plan.labels if not line.decidable]
    if few:
        more = f" and {len(few) - 10} more" if len(few) > 10 else ""
        lines.append(
            f"Too few images ever to prove {plan.target:g} with assurance {plan.assurance:g}, "
            f"even if all were reviewed and all right: {', '.join(few[:10])}{more}."
        )
    console.print("\n".join(lines), soft_wrap=True, markup=False)


def plan_table(plan: Plan) -> Table:
    """Return how many items of each label and band are to be reviewed, of how many."""
    table = _table(f"To review, for a share right of {plan.target:g} with assurance {plan.assurance:g}")
    for place, (low, high) in enumerate(band_pairs(plan.bands)):
        last = place == len(plan.bands) - 2
        table.add_column(f"{low:g}-{high:g}" if last else f"{low:g}-<{high:g}", justify="right")
    table.add_column("All", justify="right")
    table.add_column("Std. error", justify="right")
    for line in plan.labels:
        bands = (f"{stratum.taken}\nof {stratum.population}" for stratum in line.strata)
        error = "-" if line.error is None else f"{100 * line.error:.1f}"
        all_of_it = f"{line.taken}\nof {line.population}"
        table.add_row(line.label, *bands, all_of_it, error, style=None if line.decidable else "yellow")
    table.add_section()
    columns = zip(*([stratum.taken for stratum in line.strata] for line in plan.labels), strict=True)
    bands = (str(sum(column)) for column in columns)
    table.add_row("TOTALS", *bands, f"{plan.taken}\nof {plan.population}", "", style="bold")
    return table


def progress_table(job: str, progress: Mapping[str, ports.Progress], closed: Mapping[str, str]) -> Table:
    """Return how far the pages of a job are, label by label, with a bar, or why the label is `closed`."""
    table = _table(f"Job {job}")
    table.add_column("Pages done", justify="right")
    table.add_column("Answers", justify="right")
    table.add_column("", overflow="fold", min_width=24)
    for label, line in progress.items():
        bar = ProgressBar(total=line.wanted, completed=line.answers, width=24)
        why = Text(f"closed early: {closed[label]}") if label in closed else bar
        table.add_row(label, f"{line.done}/{line.pages}", f"{line.answers}/{line.wanted}", why)
    lines = progress.values()
    answers, wanted = sum(line.answers for line in lines), sum(line.wanted for line in lines)
    table.add_section()
    table.add_row(
        "TOTAL",
        f"{sum(line.done for line in lines)}/{sum(line.pages for line in lines)}",
        f"{answers}/{wanted}",
        ProgressBar(total=max(wanted, 1), completed=answers, width=24),
        style="bold",
    )
    return table


def labeling_table(job: str, lines: Sequence[tuple[ports.LabelingState, str]]) -> Table:
    """Return how far the labeling jobs of a job are, each with its status in words, and with a bar."""
    table = _table(f"Job {job}")
    table.columns[0].header = "Labeling job"
    table.add_column("Status")
    for name in ("Labelled", "Failed", "Pages"):
        table.add_column(name, justify="right")
    table.add_column("", width=16)
    for state, status in lines:
        bar = ProgressBar(total=max(state.total, 1), completed=state.labeled + state.failed, width=16)
        numbers = (str(number) for number in (state.labeled, state.failed, state.total))
        table.add_row(state.name, status, *numbers, bar, style="red" if status == "Failed" else None)
    return table


def print_findings(title: str, findings: Sequence[tuple[str, str, str, str | None]]) -> None:
    """Print what was found: what was looked at, how it is, in a sentence, and below that how to mend it."""
    colours = {"fine": "green", "warning": "yellow", "fault": "red"}
    table = _table(title)
    table.show_header = False
    table.add_column()
    table.add_column(overflow="fold")
    for what, state, says, mend in findings:
        text = Text(says) if mend is None else Text.assemble(says, "\n", (f"To mend it: {mend}", "bold"))
        table.add_row(what, Text(state, style=colours.get(state, "")), text)
    out.print(table)


@contextmanager
def live() -> Iterator[Callable[[Sequence[Table]], None]]:
    """Show tables in place of those before, as long as the block runs; Ctrl-C ends it quietly."""
    with suppress(KeyboardInterrupt), Live(console=out, auto_refresh=False) as view:
        yield lambda tables: view.update(Group(*tables), refresh=True)


@contextmanager
def progress_bar() -> Iterator[ports.Notice]:
    """Show a bar for each stage of long work on standard error, while it runs, if that is a terminal."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bars:
        stages = {}

        def notice(stage: str, done: int, of: int) -> None:
            if stage not in stages:
                stages[stage] = bars.add_task(stage, total=of or None)
            bars.update(stages[stage], completed=done)

        yield notice
