"""What `cdk` runs: the stack of one stage.

cdk deploy                     the stage [production] of stages.toml, as the stack Bulkqa
cdk deploy -c stage=sandbox    another stage, as the stack Bulkqa-sandbox
           -c stages=FILE      stages from another file
"""

import os
import sys
from pathlib import Path

import aws_cdk as cdk

from bulkqa.errors import InputError
from infra.stack import BulkqaStack
from infra.stage import read_stage


def main() -> None:
    """Synthesise the stack."""
    app = cdk.App()
    stage = read_stage(
        Path(app.node.try_get_context("stages") or Path(__file__).parent / "stages.toml"),
        app.node.try_get_context("stage") or "production",
    )
    account, region = os.environ.get("CDK_DEFAULT_ACCOUNT"), os.environ.get("CDK_DEFAULT_REGION")
    BulkqaStack(app, "Bulkqa", stage=stage, env=cdk.Environment(account=account, region=region))
    app.synth()


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(f"bulkqa: {error}")
