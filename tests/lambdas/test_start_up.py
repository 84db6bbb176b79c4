"""Starting: a function loads what it needs and nothing that would keep its first caller waiting."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bulkqa.errors import InputError
from bulkqa.settings import Environment
from tests.emulators import CREDENTIALS
from tests.lambdas.conftest import Cloud

ROOT = Path(__file__).parent.parent.parent

HEAVY = {
    *("numpy", "scipy", "sklearn", "pandas", "polars", "pyarrow", "duckdb", "matplotlib"),
    *("pydantic", "jinja2", "liquid", "typer", "rich", "uvicorn", "starlette", "moto"),
    *("google", "yaml"),
}

CODE = """
import importlib, json, sys, threading
module = importlib.import_module("lambdas." + sys.argv[1])

class Context:
    function_name = invoked_function_arn = aws_request_id = "x"
    memory_limit_in_mb = 512

exec(sys.argv[2])
print(json.dumps({"modules": sorted(sys.modules), "threads": threading.active_count()}))
"""

ANOTHERS = {
    "resources": ["arn:aws:sagemaker:us-east-1:123456789012:labeling-job/My_Labels"],
    "detail": {"LabelingJobStatus": "Completed"},
}
"""The end of a labeling job whose name no job of ours can have."""

FIRST = {
    "pre_labeling": "assert not module.handler({}, Context)['isHumanAnnotationRequired']",
    "post_labeling": "assert module.handler({'labelAttributeName': 'x', 'payload': []}, Context) == []",
    "launch": "module.steps.launch",
    "report": f"assert module.handler({ANOTHERS!r}, Context) is None",
}
"""What of each function's first call needs no service."""

STEPS = {
    "pre_labeling": "labeling",
    "post_labeling": "labeling",
    "launch": "launching",
    "report": "reporting",
}
"""Where the work of each function is done."""


@pytest.mark.slow
@pytest.mark.parametrize(("name", "first"), FIRST.items(), ids=FIRST)
def test_a_function_starts_light(name: str, first: str, tmp_path: Path) -> None:
    """Up to its first call a function loads no library of numbers, pages or models, and starts no thread."""
    variables = Environment(bucket="bulkqa-data", table="bulkqa-labels").variables()
    variables |= CREDENTIALS | {"AWS_REGION": "us-east-1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "error", "-c", CODE, name, first]
    run = subprocess.run(command, env=variables, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")
    started = json.loads(run.stdout.splitlines()[-1])
    loaded = set(started["modules"])
    assert f"bulkqa.steps.{STEPS[name]}" in loaded
    assert {module.partition(".")[0] for module in loaded} & HEAVY == set()
    assert started["threads"] == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "variable"),
    [
        ("pre_labeling", "BULKQA_BUCKET"),
        ("post_labeling", "BULKQA_TABLE"),
        ("launch", "BULKQA_TABLE"),
        ("report", "BULKQA_BUCKET"),
    ],
)
def test_a_missing_variable_is_named(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, name: str, variable: str
) -> None:
    """A function that is not told where its things are says so as it starts."""
    monkeypatch.delenv(variable)
    with pytest.raises(InputError, match=variable):
        cloud.module(name)


@pytest.mark.parametrize("name", ["pre_labeling", "post_labeling", "launch", "report"])
def test_starting_calls_nothing(cloud: Cloud, name: str) -> None:
    """A function starts without a single call of a service."""
    cloud.module(name)
    assert cloud.traffic.calls == []


@pytest.mark.parametrize(
    ("variables", "expected"), [({}, "bulkqa"), ({"POWERTOOLS_SERVICE_NAME": "Second"}, "Second")]
)
def test_stacks_are_told_apart(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: str
) -> None:
    """Log and metrics are under the service's name, if the stack gives one, and in one namespace."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    event = {"version": "2018-10-16", "dataObject": {}}
    assert not cloud.function("pre_labeling")(event)["isHumanAnnotationRequired"]
    logged, measured = (json.loads(line) for line in cloud.written().splitlines())
    assert (logged["service"], measured["service"]) == (expected, expected)
    (directive,) = measured["_aws"]["CloudWatchMetrics"]
    assert (directive["Namespace"], directive["Dimensions"]) == ("bulkqa", [["service"]])
