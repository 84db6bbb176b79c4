"""The options and formats that several commands share."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

HOME = "BULKQA_HOME"
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class TableOrJson(StrEnum):
    """Formats of a result."""

    table = "table"
    json = "json"


class ReportFormat(StrEnum):
    """Formats of a report."""

    table = "table"
    json = "json"
    csv = "csv"
    html = "html"


class RowFormat(StrEnum):
    """Formats of an export."""

    csv = "csv"
    jsonl = "jsonl"
    parquet = "parquet"
    manifest = "manifest"
    imagefolder = "imagefolder"
    coco = "coco"


Home = Annotated[
    Path, typer.Option(envvar=HOME, help="Folder that holds everything.", show_default=True, metavar="DIR")
]
DEFAULT_HOME = Path(".bulkqa")
Stack = Annotated[
    str | None, typer.Option(envvar="BULKQA_STACK", metavar="NAME", help="Work on AWS, in this stack.")
]
Bucket = Annotated[str | None, typer.Option(metavar="NAME", help="Work on AWS, in this bucket and --table.")]
Table = Annotated[str | None, typer.Option(metavar="NAME", help="The label table beside --bucket.")]
Output = Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write to this file.")]
Source = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="A job, or a file of label-table rows: CSV, JSON Lines, Parquet, DynamoDB export.",
    ),
]
Port = Annotated[int | None, typer.Option(help="Port to listen on.  [default: 8765, or a free one]")]
