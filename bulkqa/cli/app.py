"""The command's root: what stands before every command."""

import os
from pathlib import Path
from typing import Annotated

import typer

from bulkqa import __version__
from bulkqa.cli.options import HOME

app = typer.Typer(
    name="bulkqa",
    help="Have people check a model's image labels in bulk, and read which of them can be trusted.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"bulkqa {__version__}")
        raise typer.Exit


@app.callback()
def _everything(
    home: Annotated[
        Path | None, typer.Option(metavar="DIR", help=f"Folder that holds everything, also {HOME}.")
    ] = None,
    _: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    if home is not None:
        os.environ[HOME] = str(home)  # the commands' own --home reads it from there
