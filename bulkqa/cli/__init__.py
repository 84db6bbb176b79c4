"""The command `bulkqa`: it builds the adapters, calls the steps, and prints what they return.

    app         what stands before every command
    options     what several commands are told in the same way
    places      where the jobs are: the adapters, on this machine or on AWS
    output      where results go
    planning    plan
    launching   launch
    corpora     label
    reviewing   demo, serve, status
    sources     what a report or an export is made of
    results     report, replay
    deciding    thresholds
    exporting   export
    rounds      relabel, adjudicate
    labeling    job start, job status, job stop
    confusing   confusion-matrix
    evaluating  metrics
    validating  validate
    checking    doctor

Results go to standard output, everything else to standard error.
"""

import sys
import traceback
from typing import NoReturn

from bulkqa import console
from bulkqa.cli import (  # noqa: F401  each adds its commands
    checking,
    confusing,
    corpora,
    deciding,
    evaluating,
    exporting,
    labeling,
    launching,
    planning,
    results,
    reviewing,
    rounds,
    validating,
)
from bulkqa.cli.app import app
from bulkqa.errors import BulkqaError


def main() -> NoReturn:
    """Run the command; the one place where errors become words and exit codes."""
    try:
        app()
    except BulkqaError as error:
        console.err.print(f"bulkqa: {error}", style="red", markup=False, soft_wrap=True)
        sys.exit(error.exit_code)
    except Exception:
        traceback.print_exc()
        sys.exit(BulkqaError.exit_code)
    sys.exit(0)
