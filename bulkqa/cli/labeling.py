"""`bulkqa job start`, `status` and `stop`: the Ground Truth labeling jobs of a job."""

from collections.abc import Iterator
from typing import Annotated

import typer

from bulkqa import SCHEMA, console, jobs
from bulkqa.cli.app import app
from bulkqa.cli.options import DEFAULT_HOME, Stack, TableOrJson
from bulkqa.cli.output import write_json
from bulkqa.cli.places import labeling_service, now, open_store, outputs_for_labeling, outputs_of
from bulkqa.errors import BulkqaError, InputError
from bulkqa.labeling_request import (
    AVAILABLE_FOR,
    DESCRIPTION,
    MAX_CONCURRENT,
    TIME_LIMIT,
    LabelingRequest,
    title_of,
)
from bulkqa.ports import LabelingService, LabelingState
from bulkqa.steps import labeling_jobs
from bulkqa.steps.labeling_jobs import LabelingAttempt, Start, Started

job_app = typer.Typer(
    help=(
        "Have a job reviewed in Ground Truth, as labeling jobs of SageMaker. Ground Truth takes no new "
        "customers since 30 July 2026: an account that did not use it before reviews in bulkqa's own portal."
    ),
    no_args_is_help=True,
)
app.add_typer(job_app, name="job")

Job = Annotated[str, typer.Argument(metavar="JOB", help="A job that was launched in the stack.")]
Format = Annotated[TableOrJson, typer.Option()]


@job_app.command()
def start(
    job: Job,
    stack: Stack = None,
    workteam: Annotated[
        str | None,
        typer.Option(
            metavar="ARN", help="The work team that reviews: private, or a vendor's; else the stack's own."
        ),
    ] = None,
    reviewers: Annotated[
        int | None, typer.Option(metavar="N", help="Reviews of each page, 1 to 9, where not as launched.")
    ] = None,
    time_limit: Annotated[
        int, typer.Option(metavar="SECONDS", help="For one page, after which what was marked on it is lost.")
    ] = TIME_LIMIT,
    available_for: Annotated[
        int, typer.Option(metavar="SECONDS", help="For all pages, after which the open ones expire.")
    ] = AVAILABLE_FOR,
    title: Annotated[
        str | None, typer.Option(metavar="TEXT", help="What the team sees in its list of jobs.")
    ] = None,
    description: Annotated[
        str, typer.Option(metavar="TEXT", help="One line below the title.", show_default=False)
    ] = DESCRIPTION,
    max_concurrent: Annotated[
        int, typer.Option(metavar="N", help="Tasks that are open at once.")
    ] = MAX_CONCURRENT,
    format: Format = TableOrJson.table,
) -> None:
    """Start the labeling jobs of a job; again, once they have ended, for what is not labelled.

    Each 100,000 pages are a labeling job; one that is under way is left alone.

    Ground Truth takes no new customers since 30 July 2026. An account that did not use it before reviews in
    bulkqa's own portal: bulkqa serve.
    """
    role, pre_labeling, post_labeling, template = outputs_for_labeling(_named(stack))
    workteam = workteam or outputs_of(_named(stack)).workteam
    if workteam is None:
        raise InputError("name the work team that reviews, with --workteam: the stack has none of its own")
    with open_store(DEFAULT_HOME, stack, None, None) as store:
        settings = jobs.settings_of(job, store.blobs)

        def ask(name: str, manifest: str) -> LabelingRequest:
            return LabelingRequest(
                name=name,
                manifest=manifest,
                output=store.blobs.uri(jobs.OUTPUT).rstrip("/"),
                role=role,
                workteam=workteam,
                template=template,
                pre_labeling=pre_labeling,
                post_labeling=post_labeling,
                title=title_of(len(settings.labels)) if title is None else title,
                description=description,
                reviewers=settings.reviewers if reviewers is None else reviewers,
                time_limit=time_limit,
                available_for=available_for,
                max_concurrent=max_concurrent,
            )

        service = labeling_service()
        started = labeling_jobs.start(job, store, service, ask, now())
    for warning in started.warnings:
        console.err.print(warning, style="yellow", markup=False, soft_wrap=True)
    address = _sign_in_address(workteam, service)
    if format is TableOrJson.json:
        parts = [part._asdict() for part in started.parts]
        closed = {} if settings.stop_early is None else {"closed_labels": list(started.closed)}
        write_json({"schema": SCHEMA, "job": job, "parts": parts, **closed, "sign_in": address})
        return
    for part in started.parts:
        text = {
            Start.CREATED: f"Started labeling job {part.labeling_job}: {part.objects} pages.",
            Start.RUNNING: f"Labeling job {part.labeling_job} is under way: {part.objects} pages.",
            Start.NOTHING_LEFT: f"All pages up to labeling job {part.labeling_job} are labelled.",
        }[part.outcome]
        if part.outcome is not Start.NOTHING_LEFT or settings.stop_early is None:
            console.out.print(text, soft_wrap=True)
    if settings.stop_early is not None:
        console.out.print(_rounds(started, len(settings.labels)), soft_wrap=True)
    _print_address(address)


def _rounds(started: Started, labels: int) -> str:
    """Say how far the labels of a job are that close early."""
    if len(started.closed) == labels:
        return "Every label is closed: there is nothing left to ask."
    text = f"{len(started.closed)} of {labels} labels are closed."
    if all(part.outcome is Start.NOTHING_LEFT for part in started.parts):
        return f"{text} Of the others every page has been asked for."
    return f"{text} Once this round has ended, `bulkqa job start` asks for the next one."


@job_app.command()
def status(job: Job, stack: Stack = None, format: Format = TableOrJson.table) -> None:
    """Show how far the labeling jobs of a job are, and where the team signs in."""
    _named(stack)
    with open_store(DEFAULT_HOME, stack, None, None) as store:
        service = labeling_service()
        attempts = labeling_jobs.states(job, store.blobs, service)
        due = labeling_jobs.round_is_due(job, attempts, store.blobs)
    teams = dict.fromkeys(attempt.record.workteam for attempt in attempts)
    addresses = {team: _sign_in_address(team, service) for team in teams}
    if format is TableOrJson.json:
        write_json(
            {
                "schema": SCHEMA,
                "job": job,
                "labeling_jobs": [
                    {
                        "labeling_job": record.name,
                        "part": record.part,
                        "attempt": record.attempt,
                        "created_at": record.created_at,
                        "status": attempt.status,
                        "labelled": counted.labeled,
                        "failed": counted.failed,
                        "total": counted.total,
                        "failure_reason": attempt.failure_reason,
                        "reviewers": record.reviewers,
                        "workteam": record.workteam,
                        "sign_in": addresses[record.workteam],
                    }
                    for attempt in attempts
                    for record, counted in [(attempt.record, _counted(attempt))]
                ],
                "next_round_due": due,
            }
        )
        return
    if not attempts:
        console.err.print(f"Job {job} has no labeling job yet; `bulkqa job start` starts one.")
        return
    console.out.print(
        console.labeling_table(job, [(_counted(attempt), attempt.status) for attempt in attempts])
    )
    latest = {attempt.record.part: attempt.record for attempt in attempts}.values()
    for attempt in attempts:
        for text in _remarks(attempt, attempt.record in latest):
            console.out.print(text, markup=False, soft_wrap=True)
    if due:
        console.out.print(
            f"Labels are still open: `bulkqa job start {job}` closes those that are settled and asks for the "
            "next round of the others.",
            soft_wrap=True,
        )
    for address in dict.fromkeys(addresses.values()):
        _print_address(address)


@job_app.command()
def stop(job: Job, stack: Stack = None, format: Format = TableOrJson.table) -> None:
    """Stop the labeling jobs of a job that are under way; what is labelled stays."""
    _named(stack)
    with open_store(DEFAULT_HOME, stack, None, None) as store:
        stopped = labeling_jobs.stop(job, store.blobs, labeling_service())
    if format is TableOrJson.json:
        write_json({"schema": SCHEMA, "job": job, "stopped": stopped})
        return
    for name in stopped:
        console.out.print(f"Stopping labeling job {name}.", soft_wrap=True)
    if not stopped:
        console.err.print(f"Job {job} has no labeling job under way.")


def _named(stack: str | None) -> str:
    if stack is None:
        raise InputError("a labeling job belongs to a stack: name it with --stack or BULKQA_STACK")
    return stack


def _counted(attempt: LabelingAttempt) -> LabelingState:
    """Return the state with the number of pages that were asked for, and with why it failed."""
    state = attempt.state or LabelingState(attempt.record.name, attempt.status, 0, 0, 0)
    return state._replace(total=attempt.record.objects, failure_reason=attempt.failure_reason)


def _remarks(attempt: LabelingAttempt, latest: bool) -> Iterator[str]:
    """Yield what a table has no room for: why a labeling job failed, or on how many of its pages."""
    record, state = attempt.record, attempt.state
    if attempt.failure_reason is not None:  # it may be long, and is to be read to its end
        yield f"{record.name}: {attempt.failure_reason}"
    elif state is not None and state.failed and latest:
        when = "" if state.ended else "once it has ended, "
        yield (
            f"{record.name} failed on {state.failed} of {record.objects} pages, whose tasks expired or were "
            f"declined: {when}`bulkqa job start` asks for them again"
        )


def _sign_in_address(workteam: str, service: LabelingService) -> str | None:
    """Return where a team signs in; that it cannot be looked up is said, and stops nothing."""
    try:
        return service.sign_in_address(workteam)
    except BulkqaError as error:
        message = f"could not look up where the work team signs in: {error}"
        console.err.print(message, style="yellow", markup=False, soft_wrap=True)
        return None


def _print_address(address: str | None) -> None:
    if address is not None:
        console.out.print(f"Reviewers sign in at {address}", soft_wrap=True)
