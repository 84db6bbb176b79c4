"""The app of `cdk` in this process: to load cdk takes longer than to synthesise, and is done once here.

cdk's own check of templates takes longest of all. It is left out: it would warn and never refuse, and a test
has cfn-lint look at the same templates.
"""

import json
import os
import runpy
import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pytest

from tests.emulators import ROOT, MissingError

VARIABLES = {"CDK_VALIDATION": "false", "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "1"}
"""What keeps cdk short. It reads them as it is loaded."""

os.environ.update(VARIABLES)


def need_node() -> None:
    """Raise `MissingError` where cdk cannot be loaded."""
    if shutil.which("node") is None:
        raise MissingError("the stack cannot be synthesised without Node")


def run_app(folder: Path, variables: Mapping[str, str], **context: str) -> None:
    """Run `app.py`, as `cdk` does it for the context of cdk.json and this; the assembly goes to a folder."""
    need_node()
    import aws_cdk

    settings = json.loads((ROOT / "cdk.json").read_text("utf-8"))["context"] | context
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        # Where cdk is loaded already it no longer reads the variables in which `cdk` hands these over.
        patch.setattr("aws_cdk.App", partial(aws_cdk.App, outdir=str(folder), context=settings))
        runpy.run_path(str(ROOT / "app.py"), run_name="__main__")
