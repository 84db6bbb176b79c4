"""`bulkqa relabel` and `adjudicate`: the next round of a job."""

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from bulkqa import console, steps
from bulkqa.cli.app import app
from bulkqa.cli.launching import print_launched
from bulkqa.cli.options import DEFAULT_HOME, Bucket, Home, Stack, Table, TableOrJson
from bulkqa.cli.places import now, open_store, shown
from bulkqa.errors import InputError
from bulkqa.flow.rounds import Proposals

Job = Annotated[str, typer.Argument(metavar="JOB", help="The job that the new one follows.")]
New = Annotated[str, typer.Option("--job", metavar="NAME", help="Name of the new job.")]


@app.command()
def relabel(
    job: Job,
    new: New,
    home: Home = DEFAULT_HOME,
    stack: Stack = None,
    bucket: Bucket = None,
    table: Table = None,
    proposals: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help='Other labels: CSV with image and label, or JSON such as {"Dog": "Wolf"}.'
        ),
    ] = None,
    reviewers: Annotated[
        int | None, typer.Option(help="Reviews of each page, 1 to 9.  [default: the job's]")
    ] = None,
    format: Annotated[TableOrJson, typer.Option()] = TableOrJson.table,
) -> None:
    """Have a job's disconfirmed images reviewed under the labels they are likeliest to have."""
    with ExitStack() as opened:
        store = opened.enter_context(open_store(home, stack, bucket, table))
        proposed = None if proposals is None else opened.enter_context(_read(proposals))
        notice = opened.enter_context(console.progress_bar())
        round_ = steps.relabel(
            job, new, store, proposals=proposed, reviewers=reviewers, created_at=now(), notice=notice
        )
    if round_.known:
        console.err.print(f"Left out {round_.known} items whose image has another label, or is asked for it.")
    for label, number in round_.without.items():
        console.err.print(
            f"Left out {number} items of {label}: no label to propose (--proposals FILE names one).",
            style="yellow",
            markup=False,
            soft_wrap=True,
        )
    print_launched(round_.launched, shown(round_.launched.rejected_key, store, home), format)


@app.command()
def adjudicate(
    job: Job,
    new: New,
    home: Home = DEFAULT_HOME,
    stack: Stack = None,
    bucket: Bucket = None,
    table: Table = None,
    reviewers: Annotated[int, typer.Option(help="Reviews of each page, 1 to 9.")] = 1,
    format: Annotated[TableOrJson, typer.Option()] = TableOrJson.table,
) -> None:
    """Have the images reviewed once more on which a job's reviewers disagree; what is said then decides."""
    with open_store(home, stack, bucket, table) as store, console.progress_bar() as notice:
        launched = steps.adjudicate(job, new, store, reviewers=reviewers, created_at=now(), notice=notice)
    print_launched(launched, shown(launched.rejected_key, store, home), format)


def _read(path: Path) -> Proposals:
    try:
        with path.open("rb") as file:
            return Proposals(file, path.name)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
