"""A deployed stack, looked over: is all there that a labeling job needs? Each fault comes with its mend."""

import json
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from bulkqa.aws.calls import FAILURES, code_of, explained, status_of
from bulkqa.aws.ground_truth import CLOSED, SageMakerLabeling
from bulkqa.aws.pictures import split_uri
from bulkqa.aws.stack import OUTPUTS, Outputs
from bulkqa.errors import SetupError
from bulkqa.flow.tasks import TaskItem, page_input

MakeClient = Callable[[str], Any]
"""Returns a client of a service, such as `make_client`."""

_CONCURRENT = 100
"""Functions at once below which a labeling job with its thousand open tasks comes to wait."""

_DEPLOY = "npx cdk deploy"


class State(StrEnum):
    """What came of a check. Unknown is what may not be looked at, or could not be."""

    FINE = "fine"
    WARNING = "warning"
    FAULT = "fault"
    UNKNOWN = "unknown"


class Finding(NamedTuple):
    """What was looked at, what came of it, in a sentence, and how to mend it where there is a way."""

    what: str
    state: State
    says: str
    mend: str | None = None


def check_up(stack: str, outputs: Outputs, client: MakeClient) -> Iterator[Finding]:
    """Yield what is found, one thing after the other. Nothing is changed, and no check keeps another off.

    `client` makes clients of sts, cloudformation, s3, dynamodb, lambda, iam and sagemaker.
    """
    checks: tuple[tuple[str, Callable[[], Iterable[Finding]]], ...] = (
        ("account", lambda: _account(client)),
        ("stack", lambda: _stack(stack, outputs, client)),
        ("label table", lambda: _table(outputs, client)),
        ("functions", lambda: _functions(outputs, client)),
        ("role", lambda: _role(outputs, client)),
        ("pictures", lambda: _pictures(outputs, client)),
        ("review page", lambda: _template(outputs, client)),
        ("work team", lambda: _teams(client)),
    )
    for what, check in checks:
        try:
            yield from check()
        except FAILURES as error:
            yield _unknown(what, explained(error, what))
        except SetupError as error:
            yield _unknown(what, error)


def _unknown(what: str, error: Exception) -> Finding:
    return Finding(what, State.UNKNOWN, f"not looked at: {error}")


def _account(client: MakeClient) -> Iterator[Finding]:
    sts = client("sts")
    who = sts.get_caller_identity()
    says = f"{who['Arn']}, Region {sts.meta.region_name}"
    yield Finding("account", State.FINE, says)


def _stack(stack: str, outputs: Outputs, client: MakeClient) -> Iterator[Finding]:
    status = client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]
    done = status in ("CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE")
    if status == "UPDATE_ROLLBACK_COMPLETE":
        says = "the last deploy failed and was taken back; what was there before works on"
        yield Finding("stack", State.WARNING, says, f"{_DEPLOY}; its events say what failed")
    else:
        yield Finding("stack", State.FINE if done else State.FAULT, status, None if done else _DEPLOY)
    missing = [OUTPUTS[name] for name, value in outputs._asdict().items() if not value and name != "workteam"]
    if missing:
        yield Finding(
            "stack", State.FAULT, f"it has no output {', '.join(missing)}", f"{_DEPLOY}, to the newest"
        )


def _table(outputs: Outputs, client: MakeClient) -> Iterator[Finding]:
    try:
        table = client("dynamodb").describe_table(TableName=outputs.table)["Table"]
    except ClientError as error:
        if code_of(error) != "ResourceNotFoundException":
            raise
        mend = "restore it from a backup, or deploy anew and run bulkqa replay for each job"
        yield Finding("label table", State.FAULT, f"there is no table {outputs.table}", mend)
        return
    indexes = {
        one["IndexName"]: one.get("IndexStatus", "ACTIVE") for one in table.get("GlobalSecondaryIndexes", ())
    }
    states = {
        "table": table["TableStatus"],
        "index label-confidence": indexes.get("label-confidence", "absent"),
    }
    bad = [f"{name} {state}" for name, state in states.items() if state != "ACTIVE"]
    says = f"{outputs.table}: " + (", ".join(bad) or "active, with its index")
    yield Finding("label table", State.FAULT if bad else State.FINE, says, _DEPLOY if bad else None)


def _functions(outputs: Outputs, client: MakeClient) -> Iterator[Finding]:
    service = client("lambda")
    bad = []
    for arn in filter(None, (outputs.pre_labeling, outputs.post_labeling)):
        try:
            found = service.get_function_configuration(FunctionName=arn)
        except ClientError as error:
            if code_of(error) != "ResourceNotFoundException":
                raise
            bad.append(f"{arn} is not there")
            continue
        if found.get("State", "Active") == "Failed" or found.get("LastUpdateStatus") == "Failed":
            reason = found.get("StateReason") or found.get("LastUpdateStatusReason")
            bad.append(f"{arn} cannot run: {reason}")
    says = "; ".join(bad) or "pre-labeling and post-labeling can run"
    yield Finding("functions", State.FAULT if bad else State.FINE, says, _DEPLOY if bad else None)
    limit = service.get_account_settings()["AccountLimit"]["ConcurrentExecutions"]
    if limit < _CONCURRENT:
        yield Finding(
            "functions",
            State.WARNING,
            f"the account runs {limit} functions at once, and a labeling job may ask for more",
            "ask for 1,000 concurrent executions of AWS Lambda in Service Quotas, "
            f"or start labeling jobs with --max-concurrent {limit}",
        )


def _role(outputs: Outputs, client: MakeClient) -> Iterator[Finding]:
    if outputs.role is None:
        return
    iam = client("iam")
    name = outputs.role.rpartition("/")[2]
    try:
        trust = json.dumps(iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"])
    except ClientError as error:
        if code_of(error) != "NoSuchEntity":
            raise
        yield Finding("role", State.FAULT, f"there is no role {name}", _DEPLOY)
        return
    if "sagemaker.amazonaws.com" not in trust:
        yield Finding("role", State.FAULT, f"SageMaker may not take on {name}", _DEPLOY)
        return
    bucket = f"arn:{outputs.role.split(':')[1]}:s3:::{outputs.bucket}"
    wanted = [
        ("s3:GetObject", f"{bucket}/jobs/x/manifest.json"),
        ("s3:PutObject", f"{bucket}/output/x/annotations/x.json"),
        ("s3:ListBucket", bucket),
        *(("lambda:InvokeFunction", arn) for arn in (outputs.pre_labeling, outputs.post_labeling) if arn),
    ]
    refused = []
    for action, resource in wanted:
        reply = iam.simulate_principal_policy(
            PolicySourceArn=outputs.role, ActionNames=[action], ResourceArns=[resource]
        )
        if any(one["EvalDecision"] != "allowed" for one in reply["EvaluationResults"]):
            refused.append(f"{action} on {resource}")
    says = f"{name} may not {', '.join(refused)}" if refused else f"{name} may do what labeling jobs do"
    yield Finding("role", State.FAULT if refused else State.FINE, says, _DEPLOY if refused else None)


def _pictures(outputs: Outputs, client: MakeClient) -> Iterator[Finding]:
    service = SageMakerLabeling(client("sagemaker"), client("s3"))
    places = outputs.image_sources or (f"s3://{outputs.bucket}/",)
    for bucket in dict.fromkeys(split_uri(place)[0] for place in places):
        try:
            faults = service.picture_faults(bucket)
        except SetupError as error:
            yield _unknown("pictures", error)
            continue
        for fault in faults:
            says, _, mend = fault.partition(": ")
            yield Finding("pictures", State.FAULT, says, mend)
        if not faults:
            yield Finding("pictures", State.FINE, f"browsers can show what lies in {bucket}")


def _template(outputs: Outputs, client: MakeClient) -> Iterator[Finding]:
    """Have Ground Truth render the page, which only it does faithfully; nobody gets to see it."""
    if outputs.template is None or outputs.role is None:
        return
    bucket, key = split_uri(outputs.template)
    try:
        text = client("s3").get_object(Bucket=bucket, Key=key)["Body"].read().decode()
    except ClientError as error:
        if code_of(error) not in ("NoSuchKey", "404"):
            raise
        yield Finding(
            "review page",
            State.FAULT,
            f"{outputs.template} does not exist",
            f"aws s3 cp templates/worker.liquid.html {outputs.template}",
        )
        return
    picture = f"s3://{outputs.bucket}/samples/emoji/images/0001.webp"
    task = json.dumps(page_input([TaskItem(picture, "Label", 90.0)], {}, 10_000))
    try:
        reply = client("sagemaker").render_ui_template(
            UiTemplate={"Content": text}, Task={"Input": task}, RoleArn=outputs.role
        )
    except ClientError as error:
        if status_of(error) >= 500:
            raise
        yield Finding("review page", State.FAULT, f"Ground Truth does not render it: {error}", CLOSED)
        return
    errors = [f"{one['Code']}: {one['Message']}" for one in reply.get("Errors", ())]
    if not errors and "item-000" not in reply["RenderedContent"]:
        errors = ["it is rendered without its picture"]
    says = "; ".join(errors) or "Ground Truth renders it without a fault"
    yield Finding("review page", State.FAULT if errors else State.FINE, says, _DEPLOY if errors else None)


def _teams(client: MakeClient) -> Iterator[Finding]:
    teams = client("sagemaker").list_workteams(MaxResults=100)["Workteams"]
    arns = [team["WorkteamArn"] for team in teams]
    if arns:
        yield Finding("work team", State.FINE, ", ".join(arns))
    else:
        says = "there is no work team in this Region"
        mend = "make a private one in the SageMaker console: Ground Truth, Labeling workforces, Private"
        yield Finding("work team", State.WARNING, says, mend)
