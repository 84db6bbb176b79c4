"""The stack as a whole: its functions, its outputs, its alarms, and the rules it keeps."""

import ast
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import boto3
import pytest

from bulkqa.aws.stack import OUTPUTS
from bulkqa.settings import Environment
from bulkqa.steps.labeling_output import PageState
from bulkqa.steps.publishing import SAMPLE
from infra.asset import PARTS, ROOT, build_asset, compiles
from tests.e2e.local_aws import architecture
from tests.emulators import or_skip
from tests.infra.conftest import SOURCES, STAGES, Synthesised, written
from tests.synthesis import need_node, run_app

FUNCTIONS = {"pre-labeling", "post-labeling", "launch", "report", "setup"}
RUNNING = "python{}.{}".format(*sys.version_info)

NAMESPACE = "bulkqa"
"""That of the metrics which functions write (`lambdas/_runtime.py`)."""


def test_outputs(production: Synthesised) -> None:
    """The outputs have the published names, and everything a labeling job is started with."""
    outputs = {name: written(one["Value"]) for name, one in production.template["Outputs"].items()}
    assert outputs == {
        "BulkQABucket": "<StorageBucket>",
        "DynamoDBLabelTableName": "<StorageLabels>",
        "SageMakerRoleARN": "<LabelingRole.Arn>",
        "PreLabelingFunctionARN": "<FunctionsPreLabeling.Arn>",
        "PostLabelingFunctionARN": "<FunctionsPostLabeling.Arn>",
        "LaunchFunctionARN": "<FunctionsLaunch.Arn>",
        "ReportFunctionARN": "<FunctionsReport.Arn>",
        "WorkerTemplateURI": "<LabelingFiles.template>",
        "ImageSources": ",".join(("s3://<StorageBucket>/", *SOURCES)),
        "WorkteamARN": "<LabelingWorkteam>",
    }
    assert set(OUTPUTS.values()) <= outputs.keys()


def test_functions(production: Synthesised) -> None:
    """Five functions, named so that AWS' own policies know them, on the stage's runtime, traced."""
    functions = [one["Properties"] for one in production.of_type("AWS::Lambda::Function").values()]
    assert {one["FunctionName"] for one in functions} == {f"Bulkqa-SageMaker-{name}" for name in FUNCTIONS}
    for one in functions:
        assert one["Runtime"] == "python3.13"
        assert one["Architectures"] == ["arm64"]
        assert one["TracingConfig"] == {"Mode": "Active"}
        assert one["Timeout"] <= 900
    assert len({json.dumps(one["Code"]) for one in functions}) == 1


def test_functions_are_told_what_they_read(production: Synthesised) -> None:
    """The variables that the stack sets are the ones that the functions read, all of them."""
    for name in FUNCTIONS:
        variables = production.function(name)["Environment"]["Variables"]
        told = {key: written(value) for key, value in variables.items()}
        assert told.pop("POWERTOOLS_SERVICE_NAME") == "Bulkqa"
        environment = Environment.from_variables(told)
        assert environment.bucket == "<StorageBucket>"
        assert environment.table == "<StorageLabels>"
        assert environment.image_sources == SOURCES
        assert environment.variables() == told


@pytest.mark.slow
@pytest.mark.parametrize(("stage", "days"), [("production", 90), ("sandbox", 7)])
def test_logs_have_an_end(stage: str, days: int, request: pytest.FixtureRequest) -> None:
    """Each function writes to a log of its own, which goes after the stage's days, and with the stack."""
    synthesised: Synthesised = request.getfixturevalue(stage)
    groups = synthesised.of_type("AWS::Logs::LogGroup")
    assert {one["Properties"]["RetentionInDays"] for one in groups.values()} == {days}
    # One that stayed would keep the next stack from being made: it bears the function's name.
    assert {one["DeletionPolicy"] for one in groups.values()} == {"Delete"}
    used = {synthesised.function(name)["LoggingConfig"]["LogGroup"]["Ref"] for name in FUNCTIONS}
    assert used == groups.keys()
    assert len(used) == len(FUNCTIONS)


def test_what_is_called_in_passing_has_a_place_for_what_fails(production: Synthesised) -> None:
    """Functions that nobody waits for, and the rule that calls one, leave what fails in a queue."""
    queue = "<FunctionsDeadLetters.Arn>"
    for name in FUNCTIONS:
        waited_for = name in ("pre-labeling", "post-labeling")
        letters = production.function(name).get("DeadLetterConfig", {"TargetArn": "none"})
        assert written(letters["TargetArn"]) == ("none" if waited_for else queue)
    (target,) = production.only("AWS::Events::Rule")["Properties"]["Targets"]
    assert written(target["DeadLetterConfig"]["Arn"]) == queue
    assert written(target["Arn"]) == "<FunctionsReport.Arn>"


def test_the_rule_hears_of_labeling_jobs_that_ended(production: Synthesised) -> None:
    """The report function is called by Ground Truth's own event, and by nobody else."""
    pattern = production.only("AWS::Events::Rule")["Properties"]["EventPattern"]
    event = json.loads((ROOT / "tests/events/labeling-job-state-change.json").read_text("utf-8"))
    assert pattern == {"source": [event["source"]], "detail-type": [event["detail-type"]]}
    permission = production.only("AWS::Lambda::Permission")["Properties"]
    assert written(permission["FunctionName"]) == "<FunctionsReport.Arn>"
    assert written(permission["SourceArn"]) == "<LabelingLabelingJobEnded.Arn>"


def test_alarms(production: Synthesised, sandbox: Synthesised) -> None:
    """Errors, refused answers, dead letters and throttles raise an alarm; a topic, if given, hears of it."""
    alarms = {
        one["Properties"]["AlarmName"]: one["Properties"]
        for one in production.of_type("AWS::CloudWatch::Alarm").values()
    }
    errors = {f"{name.title().replace('-', '')}Errors" for name in FUNCTIONS}
    others = {"RefusedAnswers", "PagesNotReviewed", "DeadLetters", "Throttles", "TableThrottles"}
    others |= {"GateFailed"}
    assert alarms.keys() == {f"Bulkqa-{name}" for name in errors | others}
    for alarm in alarms.values():
        assert alarm["AlarmActions"] == ["arn:aws:sns:eu-west-1:123456789012:alarms"]
        assert alarm["TreatMissingData"] == "notBreaching"
        assert alarm["AlarmDescription"]
    for alarm in sandbox.of_type("AWS::CloudWatch::Alarm").values():
        assert "AlarmActions" not in alarm["Properties"]


def test_alarms_look_at_metrics_that_the_functions_write(production: Synthesised) -> None:
    """What an alarm or graph reads of our own is what a function counts, under the stack's name."""
    written_by_functions = {
        node.value
        for path in (ROOT / "lambdas").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    } | {f"Pages{state.capitalize()}" for state in PageState}
    own: dict[str, set[str]] = {}
    for one in production.of_type("AWS::CloudWatch::Alarm").values():
        alarm = one["Properties"]
        single = {"MetricStat": {"Metric": alarm}}  # which stands in the alarm itself
        for query in alarm.get("Metrics", (single,)):
            metric = query.get("MetricStat", {}).get("Metric", {})
            if metric.get("Namespace") == NAMESPACE:
                own.setdefault(alarm["AlarmName"], set()).add(metric["MetricName"])
                assert metric["Dimensions"] == [{"Name": "service", "Value": "Bulkqa"}]
    assert own == {
        "Bulkqa-RefusedAnswers": {"RefusedObjects", "RefusedParts", "UnknownRows"},
        "Bulkqa-PagesNotReviewed": {"PagesFailed", "PagesExpired", "PagesMissing"},
        "Bulkqa-GateFailed": {"GateFailed"},
    }
    assert set().union(*own.values()) <= written_by_functions
    body = written(production.only("AWS::CloudWatch::Dashboard")["Properties"]["DashboardBody"])
    ours = [one for widget in json.loads(body)["widgets"] for one in widget["properties"].get("metrics", ())]
    names = {one[1] for one in ours if one[0] == NAMESPACE}
    assert names
    assert names <= written_by_functions


def test_a_sandbox_launches_the_sample(production: Synthesised, sandbox: Synthesised) -> None:
    """The sample is launched once its files are there, with the stage's settings, where the stage says so."""
    assert not production.of_type("Custom::BulkqaJob")
    sample = sandbox.only("Custom::BulkqaJob")
    assert written(sample["Properties"]["corpus"]) == f"s3://<StorageBucket>/{SAMPLE}/corpus.csv"
    assert written(sample["Properties"]["ServiceToken"]) == "<FunctionsLaunch.Arn>"
    assert sample["Properties"]["batch_size"] == "25"
    (files,) = sandbox.of_type("Custom::BulkqaFiles")
    (emptied,) = sandbox.of_type("Custom::BulkqaEmptied")
    assert files in sample["DependsOn"]
    # What empties the bucket is there before anything is in it: else no failed deploy could be taken back.
    assert emptied in sandbox.only("Custom::BulkqaFiles")["DependsOn"]
    assert sample["Properties"]["job"] == sandbox.template["Outputs"]["SampleJob"]["Value"]


def test_a_work_team_where_the_stage_has_one(production: Synthesised, sandbox: Synthesised) -> None:
    """The members of a group in the account's user pool are the team."""
    assert not sandbox.of_type("AWS::SageMaker::Workteam")
    team = production.only("AWS::SageMaker::Workteam")["Properties"]
    members = {
        "CognitoUserPool": "eu-west-1_AbCdEfGhI",
        "CognitoClientId": "1a2b3c",
        "CognitoUserGroup": "reviewers",
    }
    assert team["MemberDefinitions"] == [{"CognitoMemberDefinition": members}]
    assert team["WorkteamName"] == "Bulkqa-reviewers"


def test_custom_resources_do_not_wait_for_ever(sandbox: Synthesised) -> None:
    """CloudFormation waits no longer for an answer than a function can take to give one."""
    for kind in ("Custom::BulkqaJob", "Custom::BulkqaFiles", "Custom::BulkqaEmptied"):
        assert int(sandbox.only(kind)["Properties"]["ServiceTimeout"]) == 960


@pytest.mark.slow
def test_a_sample_launched_otherwise_is_another_job() -> None:
    """A stage's changed settings make another job of the sample, since none is launched twice differently."""
    with or_skip():
        need_node()
    from infra.labeling import sample_job

    stage = STAGES["sandbox"]
    assert sample_job(stage) == sample_job(replace(stage, log_days=30))
    assert sample_job(stage) != sample_job(replace(stage, batch_size=10))
    assert sample_job(stage) != sample_job(replace(stage, bands=(50, 100)))


def test_cfn_lint_is_content(production: Synthesised, sandbox: Synthesised) -> None:
    """The templates are ones that CloudFormation takes, as far as cfn-lint knows."""
    linter = Path(sys.executable).parent / "cfn-lint"
    # W3005: CDK writes dependencies that references imply already.
    command = [str(linter), "--ignore-checks", "W3005", "--regions", "us-east-1", "--"]
    command += [str(production.path), str(sandbox.path)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (0, "")


def test_cdk_runs_the_projects_own_interpreter() -> None:
    """`cdk deploy` needs no activated environment."""
    assert json.loads((ROOT / "cdk.json").read_text("utf-8"))["app"] == ".venv/bin/python app.py"


IMPORT = """
import importlib, json, sys
sys.path[:0] = [sys.argv[1]]
sys.path.append(sys.argv[2])
for handler in sys.argv[3:]:
    module, _, name = handler.rpartition(".")
    assert callable(getattr(importlib.import_module(module), name))
ours = ("bulkqa", "lambdas", "aws_lambda_powertools")
modules = [module for name, module in sys.modules.items() if name.split(".")[0] in ours]
print(json.dumps([[module.__file__, module.__cached__] for module in modules if module.__file__]))
"""


@pytest.mark.slow
def test_every_handler_is_in_the_asset(production: Synthesised, tmp_path: Path) -> None:
    """What the functions run has every handler, the library and the files it publishes, all compiled."""
    folder, digest = build_asset(RUNNING, architecture())
    assert folder.name == digest
    assert build_asset(RUNNING, architecture()) == (folder, digest)
    handlers = [production.function(name)["Handler"] for name in sorted(FUNCTIONS)]
    runtime = tmp_path / "runtime"  # of what is installed here, what Lambda has too
    runtime.mkdir()
    site = Path(boto3.__file__).parent.parent
    for name in ("boto3", "botocore", "s3transfer", "dateutil", "six.py", "urllib3"):
        (runtime / name).symlink_to(site / name)
    variables = Environment(bucket="b", table="t").variables() | {"AWS_REGION": "eu-west-1"}
    command = [sys.executable, "-I", "-S", "-c", IMPORT, str(folder), str(runtime), *handlers]
    run = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    for file, compiled in json.loads(run.stdout):
        assert Path(file).is_relative_to(folder)
        assert Path(compiled).is_file()
    assert (folder / "templates" / "worker.liquid.html").is_file()
    assert len(list((folder / SAMPLE / "images").iterdir())) == 319
    library = {
        "__pycache__",
        "_yaml",
        "aws_lambda_powertools",
        "google",
        "jinja2",
        "jmespath",
        "markupsafe",
        "typing_extensions.py",
        "yaml",
    }
    parts = {part.name for part in folder.iterdir() if part.suffix != ".dist-info"}
    assert parts == {*PARTS, *library}


def test_older_assets_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what was made before only the newest are kept, and what is not an asset stays."""
    monkeypatch.setattr("infra.asset._install", lambda target, *_: target.mkdir())
    monkeypatch.setattr("infra.asset._compile", lambda _: None)
    for number in range(8):
        (tmp_path / f"{number:064}").mkdir()
        os.utime(tmp_path / f"{number:064}", (number, number))
    (tmp_path / "notes").mkdir()
    folder, _ = build_asset(RUNNING, "x86_64", tmp_path)
    kept = {f"{number:064}" for number in range(3, 8)}
    assert {one.name for one in tmp_path.iterdir()} == {folder.name, "notes", *kept}


@pytest.mark.slow
def test_code_is_compiled_where_it_fits(tmp_path: Path) -> None:
    """Compiled code is for one version of Python: it is there for this one's runtime and for no other's."""
    other = "python3.13" if RUNNING != "python3.13" else "python3.12"
    assert compiles(RUNNING)
    assert not compiles(other)
    folder, _ = build_asset(other, "arm64", tmp_path)
    assert not list(folder.rglob("*.pyc"))


@pytest.mark.slow
def test_an_unknown_stage_is_refused(tmp_path: Path) -> None:
    """Who asks `cdk` for a stage that is not there is told so in a sentence."""
    sentence = r"^bulkqa: .*stages.toml: there is no stage \[nowhere\], only 'production', 'sandbox'$"
    with or_skip(), pytest.raises(SystemExit, match=sentence):
        run_app(tmp_path, {}, stage="nowhere")
