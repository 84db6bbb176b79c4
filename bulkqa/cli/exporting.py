"""`bulkqa export`."""

from typing import Annotated

import typer

from bulkqa import table_file
from bulkqa.cli.app import app
from bulkqa.cli.options import DEFAULT_HOME, Bucket, Home, Output, RowFormat, Source, Stack, Table
from bulkqa.cli.output import write
from bulkqa.cli.places import open_store
from bulkqa.cli.sources import rows_of
from bulkqa.errors import InputError
from bulkqa.flow.votes import Outcome


@app.command()
def export(
    source: Source,
    home: Home = DEFAULT_HOME,
    stack: Stack = None,
    bucket: Bucket = None,
    table: Table = None,
    format: Annotated[RowFormat, typer.Option()] = RowFormat.csv,
    outcome: Annotated[
        str | None, typer.Option(metavar="LIST", help="Only these, such as confirmed,disconfirmed,split.")
    ] = None,
    output: Output = None,
) -> None:
    """Write rows with their votes, under the label table's attribute names."""
    wanted = set(Outcome) if outcome is None else {_outcome(name) for name in outcome.split(",")}
    lines = table_file.as_csv if format is RowFormat.csv else table_file.as_json_lines
    with rows_of(source, lambda: open_store(home, stack, bucket, table)) as (rows, _, _):
        write(lines(row for row in rows if row.outcome in wanted), output)


def _outcome(name: str) -> Outcome:
    try:
        return Outcome(name.strip())
    except ValueError:
        raise InputError(f"outcome {name!r}: use {', '.join(Outcome)}") from None
