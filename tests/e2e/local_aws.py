"""The stack deployed by the real `cdk`, to an AWS on this machine.

ministack stands in for AWS, started by `emulator.py`. Functions run there on this interpreter, with what
Lambda's own Python brings along and nothing else: what they import of bulkqa is what was deployed.
"""

import json
import os
import platform
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.emulators import ROOT, Server, of_node, serving_ministack
from tests.support_aws import REGION
from tests.synthesis import VARIABLES

EMULATOR = Path(__file__).parent / "emulator.py"

OF_LAMBDA = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six", "urllib3")
"""What the Python of Lambda brings along."""

ACCOUNT = "000000000000"
SECONDS = 180
"""How long `cdk` may take. Like AWS, ministack waits for a custom resource that never answers."""

TAIL = 3000


class ProgramError(Exception):
    """A program failed; the message is the end of what it wrote."""


class FunctionError(Exception):
    """A function failed: its type of error and message, as whoever invokes it sees them."""


class LocalAws:
    """An AWS on this machine, and `cdk` with nothing in its environment that belongs to a developer's own."""

    def __init__(self, server: Server, home: Path) -> None:
        self.server = server
        self._environment = {
            **_without_aws(os.environ),
            **server.variables,
            "CDK_HOME": str(home / "cdk"),  # which remembers accounts by their keys, and ours are everybody's
            "CDK_DISABLE_CLI_TELEMETRY": "true",
            **VARIABLES,
            "CI": "true",
            "COLUMNS": "100",
        }

    def cdk(self, *arguments: str, source: Path = ROOT) -> str:
        """Run `cdk` in a folder and return what it wrote; raise `ProgramError` where it fails."""
        command = [*of_node("aws-cdk", "bin/cdk"), *arguments, "--no-notices", "--no-color"]
        return _run(command, self._environment, source, stderr=subprocess.STDOUT)

    def synth(self, folder: Path, stage: str, source: Path = ROOT, **settings: object) -> Path:
        """Synthesise a stage of a checkout, with these settings, into a folder; return it."""
        context = context_of(folder, stage, source, **settings)
        chosen = [f"--context={name}={value}" for name, value in context.items()]
        self.cdk("synth", "--quiet", "--output", str(folder), *chosen, source=source)
        return folder

    def bootstrap(self, assembly: Path) -> None:
        """Make this AWS one to deploy to."""
        self.cdk("bootstrap", "--app", str(assembly), f"aws://{ACCOUNT}/{REGION}")

    def deploy(self, assembly: Path) -> str:
        """Deploy a synthesised stack; return what `cdk` wrote."""
        return self.cdk("deploy", "--app", str(assembly), "--require-approval", "never")

    def destroy(self, assembly: Path) -> None:
        """Destroy a deployed stack."""
        self.cdk("destroy", "--app", str(assembly), "--force")

    def outputs(self, stack: str) -> dict[str, str]:
        """The outputs of a stack."""
        described = self.server.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
        return {output["OutputKey"]: output["OutputValue"] for output in described["Outputs"]}

    def bulkqa(self, *arguments: str, **variables: str) -> str:
        """Run the command `bulkqa` on this AWS; return what it prints."""
        command = [sys.executable, "-m", "bulkqa.cli", *arguments]
        return _run(command, {**self._environment, **variables}, ROOT, stderr=subprocess.PIPE)

    def inventory(self) -> set[str]:
        """All that there is, by kind and name."""
        found = set()
        for service, operation, member, name in _LISTS:
            for one in getattr(self.server.client(service), operation)().get(member, ()):
                if not isinstance(one, dict):
                    found.add(f"{member} {one}")
                elif one.get("StackStatus") != "DELETE_COMPLETE":
                    found.add(f"{member} {one[name]}")
        return found


_LISTS = (
    ("s3", "list_buckets", "Buckets", "Name"),
    ("dynamodb", "list_tables", "TableNames", ""),
    ("lambda", "list_functions", "Functions", "FunctionName"),
    ("logs", "describe_log_groups", "logGroups", "logGroupName"),
    ("iam", "list_roles", "Roles", "RoleName"),
    ("sqs", "list_queues", "QueueUrls", ""),
    ("sns", "list_topics", "Topics", "TopicArn"),
    ("events", "list_rules", "Rules", "Name"),
    ("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
    ("cloudwatch", "list_dashboards", "DashboardEntries", "DashboardName"),
    ("cloudformation", "list_stacks", "StackSummaries", "StackName"),
)


def invoke(client: Any, function: str, event: object) -> Any:
    """Invoke a function with a client of Lambda; return its reply, raise `FunctionError` if it fails."""
    reply = client.invoke(FunctionName=function, Payload=json.dumps(event).encode())
    document = json.loads(reply["Payload"].read())
    if "FunctionError" in reply:
        raise FunctionError(f"{document['errorType']}: {document['errorMessage']}")
    return document


@contextmanager
def local_aws(home: Path, *, secured: bool = False) -> Iterator[LocalAws]:
    """Start an AWS on this machine; raise `MissingError` where that cannot be had.

    `secured` serves over TLS and lets nobody do what no policy allows.
    """
    of_node("aws-cdk", "bin/cdk")
    home.mkdir(parents=True, exist_ok=True)
    with serving_ministack(home, str(EMULATOR), str(python_of_functions(home)), secured=secured) as server:
        yield LocalAws(server, home)


def python_of_functions(home: Path) -> Path:
    """Make a Python that sees the standard library and what Lambda brings along; return its program."""
    library = home / "python" / "library"
    library.mkdir(parents=True)
    for name in OF_LAMBDA:
        spec = find_spec(name)
        assert spec is not None and spec.origin is not None, name
        origin = Path(spec.origin)
        source = origin.parent if origin.name == "__init__.py" else origin
        (library / source.name).symlink_to(source)
    program = home / "python" / "python"
    program.write_text(f"#!/bin/sh\nPYTHONPATH='{library}' exec '{sys.executable}' -S \"$@\"\n", "utf-8")
    program.chmod(0o755)
    return program


def context_of(folder: Path, stage: str, source: Path = ROOT, **settings: object) -> dict[str, str]:
    """The context in which a stage of a checkout is deployed here; write its settings into a folder.

    They are as in stages.toml but for these, and for a runtime and an architecture that this machine has.
    """
    of_stage = tomllib.loads((source / "stages.toml").read_text("utf-8"))[stage]
    of_stage |= {"runtime": "python{}.{}".format(*sys.version_info), "architecture": architecture()}
    lines = [f"{name} = {json.dumps(value)}" for name, value in {**of_stage, **settings}.items()]
    folder.mkdir(parents=True, exist_ok=True)
    stages = folder / "stages.toml"
    stages.write_text("\n".join([f"[{stage}]", *lines, ""]), "utf-8")
    return {"stage": stage, "stages": str(stages)}


def architecture() -> str:
    """This machine's, as Lambda names it."""
    return "arm64" if platform.machine().lower() in ("arm64", "aarch64") else "x86_64"


def _without_aws(environment: Mapping[str, str]) -> dict[str, str]:
    own = ("AWS_", "CDK_", "BULKQA_")
    return {name: value for name, value in environment.items() if not name.startswith(own)}


def _run(command: list[str], environment: Mapping[str, str], folder: Path, stderr: int) -> str:
    """Run a program, and end it with all that it started if it takes too long."""
    with subprocess.Popen(
        command,
        env=environment,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            written, said = process.communicate(timeout=SECONDS)
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)
            written, said = process.communicate()
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            written += f"\nThis took more than {SECONDS} s."
    if process.returncode:
        raise ProgramError(f"{' '.join(command[:3])} failed:\n{((said or '') + written)[-TAIL:]}")
    return written
