"""The stack of two stages, synthesised once for all tests, without the functions' code."""

import fcntl
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infra.stage import Stage, Workteam
from tests.emulators import or_skip
from tests.support import shared_folder
from tests.synthesis import need_node

SOURCES = ("s3://pictures/dogs/", "s3://pictures/cats/", "s3://archive/")

STAGES = {
    "production": Stage(
        name="production",
        retain=True,
        image_sources=SOURCES,
        alarm_topic="arn:aws:sns:eu-west-1:123456789012:alarms",
        workteam=Workteam(user_pool="eu-west-1_AbCdEfGhI", client_id="1a2b3c", user_group="reviewers"),
    ),
    "sandbox": Stage(
        name="sandbox", retain=False, sample=True, table_name="my-labels", log_days=7, output_days=3
    ),
}

Resource = dict[str, Any]


@dataclass(frozen=True)
class Synthesised:
    """A stack's template."""

    template: Mapping[str, Any]
    path: Path

    def of_type(self, kind: str) -> dict[str, Resource]:
        """The resources of a type, such as `AWS::S3::Bucket`, by logical id."""
        return {name: one for name, one in self.template["Resources"].items() if one["Type"] == kind}

    def only(self, kind: str) -> Resource:
        """The one resource of a type."""
        (found,) = self.of_type(kind).values()
        return found

    def function(self, name: str) -> Resource:
        """A function's properties, by the end of its name."""
        functions = self.of_type("AWS::Lambda::Function").values()
        all_of_them: list[Resource] = [one["Properties"] for one in functions]
        (found,) = (one for one in all_of_them if one["FunctionName"].endswith(f"-SageMaker-{name}"))
        return found

    def allowed(self, role: str) -> dict[str, set[str]]:
        """What a role may do: action -> resources, references in angle brackets without their hashes."""
        found: dict[str, set[str]] = {}
        for policy in self.of_type("AWS::IAM::Policy").values():
            roles = [one["Ref"] for one in policy["Properties"]["Roles"]]
            if any(name.startswith(role) for name in roles):
                for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
                    assert statement["Effect"] == "Allow"
                    for action in _listed(statement["Action"]):
                        resources = {written(one) for one in _listed(statement["Resource"])}
                        found.setdefault(action, set()).update(resources)
        return found


def written(value: Any) -> str:
    """A value of a template as text: references in angle brackets, without the hash that CDK adds."""
    match value:
        case str(text):
            return text
        case {"Ref": name}:
            return f"<{_plain(name)}>"
        case {"Fn::GetAtt": [name, attribute]}:
            return f"<{_plain(name)}.{attribute}>"
        case {"Fn::Join": [separator, parts]}:
            return str(separator).join(map(written, parts))
    raise AssertionError(f"nothing known of {value}")


def _plain(name: str) -> str:
    return name if "::" in name else name[:-8]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def synthesise(folder: Path) -> dict[str, Synthesised]:
    """Synthesise the stack of each stage without the functions' code, once for all processes of a run."""
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            _synthesise(folder)
            (folder / "done").touch()
    found = {}
    for name in STAGES:
        path = folder / name / "Bulkqa.template.json"
        found[name] = Synthesised(json.loads(path.read_text("utf-8")), path)
    return found


def _synthesise(folder: Path) -> None:
    with or_skip():
        need_node()
    import aws_cdk as cdk
    from aws_cdk import aws_lambda as lambda_
    from cdk_nag import AwsSolutionsChecks

    from infra.stack import BulkqaStack

    (folder / "code").mkdir(exist_ok=True)
    (folder / "code" / "empty").touch()
    for name, stage in STAGES.items():
        app = cdk.App(outdir=str(folder / name))
        # Raises as it synthesises where there is a finding that nobody has accepted.
        cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))
        code = lambda_.Code.from_asset(str(folder / "code"))
        BulkqaStack(app, "Bulkqa", stage=stage, code=code)
        app.synth()


@pytest.fixture(scope="session")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Synthesised]:
    """The stack of every stage."""
    return synthesise(shared_folder(tmp_path_factory, "stacks"))


@pytest.fixture(scope="session")
def production(stacks: dict[str, Synthesised]) -> Synthesised:
    """The stack of a stage that keeps what it has, with images elsewhere and a topic for alarms."""
    return stacks["production"]


@pytest.fixture(scope="session")
def sandbox(stacks: dict[str, Synthesised]) -> Synthesised:
    """The stack of a stage that leaves nothing, with the sample."""
    return stacks["sandbox"]
