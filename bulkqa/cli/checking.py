"""`bulkqa doctor`: looks a deployed stack over."""

from typing import Annotated

import typer

from bulkqa import SCHEMA, console
from bulkqa.cli.app import app
from bulkqa.cli.options import Stack, TableOrJson
from bulkqa.cli.output import write_json
from bulkqa.cli.places import check_up
from bulkqa.errors import BulkqaError, InputError


@app.command()
def doctor(stack: Stack = None, format: Annotated[TableOrJson, typer.Option()] = TableOrJson.table) -> None:
    """Look a stack on AWS over: what labeling jobs need, and how to mend what is at fault.

    Nothing is changed. Exits with 4 where something is at fault.
    """
    if stack is None:
        raise InputError("name a stack, with --stack or BULKQA_STACK")
    findings = check_up(stack)
    if format is TableOrJson.json:
        write_json({"schema": SCHEMA, "stack": stack, "findings": [one._asdict() for one in findings]})
    else:
        console.print_findings(f"Stack {stack}", findings)
    faults = sum(one.state == "fault" for one in findings)
    if faults:
        raise BulkqaError(f"stack {stack!r}: {faults} {'fault' if faults == 1 else 'faults'}")
