"""`bulkqa demo`, `serve` and `status`."""

import time
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from bulkqa import SCHEMA, console, jobs, steps
from bulkqa.cli.app import app
from bulkqa.cli.options import DEFAULT_HOME, LOOPBACK, Bucket, Home, Port, Stack, Table, TableOrJson
from bulkqa.cli.output import write_json
from bulkqa.cli.places import listening, local_portal, local_store, now, open_store
from bulkqa.errors import InputError
from bulkqa.ports import Progress, Store
from bulkqa.steps.closing import close_again, closings

if TYPE_CHECKING:
    from bulkqa.portal.app import Portal


@app.command()
def demo(
    home: Home = DEFAULT_HOME,
    port: Port = None,
    simulate: Annotated[
        bool, typer.Option("--simulate", help="Let simulated reviewers do the work.")
    ] = False,
    reviewers: Annotated[
        int | None, typer.Option(min=1, max=9, help="How many review.  [default: 1, simulated 3]")
    ] = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Only print the link.")] = False,
) -> None:
    """Review the sample pictures in your browser, and read the report."""
    from bulkqa import demo as demonstration  # the web server is loaded only where one runs

    count = reviewers or (3 if simulate else 1)
    with local_store(home) as store, listening("127.0.0.1", port) as sock:
        job = demonstration.launch(store, reviews=count if simulate else 1, created_at=now())
        names = tuple(f"reviewer-{number}" for number in range(1, count + 1))
        portal = local_portal(store, home, names, sock, "127.0.0.1")
        if simulate:
            with console.progress_bar() as notice:
                demonstration.simulate(portal, sock, job, notice)
        else:
            demonstration.invite(portal, sock, job, open_browser=not no_browser)
        demonstration.print_results(job, store)


@app.command()
def serve(
    home: Home = DEFAULT_HOME,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Port = None,
    reviewer: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Who may review; repeat it.  [default: reviewer]")
    ] = None,
    results: Annotated[
        bool, typer.Option("--results", help="Show the results too, under a link that is not for reviewers.")
    ] = False,
) -> None:
    """Open the review portal, and print each reviewer's link."""
    from bulkqa.portal.app import create_app
    from bulkqa.portal.server import serve as serve_app

    if host not in LOOPBACK and not reviewer:
        raise InputError(f"listening on {host} lets others in: name each reviewer with --reviewer")
    with local_store(home) as store, listening(host, port) as sock:
        portal = local_portal(store, home, tuple(reviewer or ("reviewer",)), sock, host, results)
        for job in jobs.all_jobs(store.blobs):
            pending = steps.count_pending(job.job, store)
            if pending.recorded.counted:
                console.err.print(f"Job {job.job}: counted {pending.answers} answers kept before a crash.")
            close_again(job, store)
        if host not in LOOPBACK:
            console.err.print("Plain HTTP: whoever can listen on the network can read along.", style="yellow")
        print_links(portal)
        if results:
            console.err.print("Link to the results, not for reviewers:")
            typer.echo(portal.results_link)
        serve_app(create_app(portal), sock)


def print_links(portal: "Portal") -> None:
    """Print each reviewer's sign-in link; standard output has nothing but these."""
    for name in portal.reviewers:
        console.err.print(f"Sign-in link of {name}:")
        typer.echo(portal.link(name))


@app.command()
def status(
    job: Annotated[str | None, typer.Argument(metavar="JOB", help="One job.  [default: all]")] = None,
    home: Home = DEFAULT_HOME,
    stack: Stack = None,
    bucket: Bucket = None,
    table: Table = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Keep showing it, until all is done or you press Ctrl-C.")
    ] = False,
    format: Annotated[TableOrJson, typer.Option()] = TableOrJson.table,
) -> None:
    """Show how far the pages are, label by label."""
    with open_store(home, stack, bucket, table) as store:
        if watch and format is TableOrJson.table:
            _watch(store, job)
            return
        found = _progress(store, job)
    if format is TableOrJson.json:
        write_json(
            {
                "schema": SCHEMA,
                "jobs": [
                    {
                        "job": name,
                        "labels": [
                            {
                                "label": label,
                                "pages": line.pages,
                                "pages_done": line.done,
                                "answers": line.answers,
                                "answers_wanted": line.wanted,
                                "items": line.items,
                                "items_done": line.items_done,
                                "closed_early": one.closed.get(label),
                            }
                            for label, line in one.labels.items()
                        ],
                    }
                    for name, one in found.items()
                ],
            }
        )
        return
    for name, one in found.items():
        console.out.print(console.progress_table(name, *one))
    if not found:
        console.err.print(f"There is no job in {home} yet; `bulkqa launch` starts one.")


class _JobProgress(NamedTuple):
    """How far a job is, by label, and why labels of it were closed early."""

    labels: dict[str, Progress]
    closed: dict[str, str]


def _progress(store: Store, job: str | None) -> dict[str, _JobProgress]:
    """Return the progress of one job or of all, by job."""
    wanted = [jobs.settings_of(job, store.blobs)] if job else jobs.all_jobs(store.blobs)
    return {
        one.job: _JobProgress(
            steps.progress(one.job, store),
            {label: closing.reason for label, closing in closings(one, store.blobs).items()},
        )
        for one in wanted
    }


def _watch(store: Store, job: str | None) -> None:
    """Show the progress anew every second."""
    with console.live() as show:
        while True:
            found = _progress(store, job)
            show([console.progress_table(name, *one) for name, one in found.items()])
            if all(line.done == line.pages for one in found.values() for line in one.labels.values()):
                return
            time.sleep(1)
