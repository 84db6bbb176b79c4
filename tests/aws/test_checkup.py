"""Looking a stack over: what is fine is said, each fault comes with its mend, and nothing keeps another off.

Requests and replies are checked against botocore's description of the services.
"""

import io
import json
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any

import pytest
from botocore.response import StreamingBody
from botocore.stub import Stubber

from bulkqa.aws.checkup import Finding, State, check_up
from bulkqa.aws.clients import make_client
from bulkqa.aws.stack import Outputs
from tests.emulators import CREDENTIALS
from tests.support_aws import REGION

ROLE = "arn:aws:iam::123456789012:role/Bulkqa-LabelingRole"
FUNCTION = f"arn:aws:lambda:{REGION}:123456789012:function:Bulkqa-SageMaker-"
TEAM = f"arn:aws:sagemaker:{REGION}:123456789012:workteam/private-crowd/reviewers"
OUTPUTS = Outputs(
    bucket="bulkqa-data",
    table="labels",
    image_sources=("s3://bulkqa-data/", "s3://pictures/dogs/"),
    role=ROLE,
    pre_labeling=f"{FUNCTION}pre-labeling",
    post_labeling=f"{FUNCTION}post-labeling",
    template="s3://bulkqa-data/templates/worker-1.liquid.html",
)
CORS = {
    "CORSRules": [
        {
            "AllowedMethods": ["GET"],
            "AllowedOrigins": ["*"],
            "ExposeHeaders": ["Access-Control-Allow-Origin"],
        }
    ]
}

Reply = Mapping[str, Any] | str | Callable[[], Mapping[str, Any]]
"""A call's reply, or the code of the error in place of one."""

TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": "sts:AssumeRole",
                "Principal": {"Service": "sagemaker.amazonaws.com"},
            }
        ],
    }
)


def role(trust: str = TRUST) -> dict[str, Any]:
    """A reply of GetRole."""
    return {
        "Role": {
            "Path": "/",
            "RoleName": "Bulkqa-LabelingRole",
            "RoleId": "AROAAAAAAAAAAAAAAAAAA",
            "Arn": ROLE,
            "CreateDate": "2026-01-01T00:00:00Z",
            "AssumeRolePolicyDocument": trust,
        }
    }


def simulated(decision: str) -> dict[str, Any]:
    """A reply of SimulatePrincipalPolicy."""
    return {"EvaluationResults": [{"EvalActionName": "s3:x", "EvalDecision": decision}]}


def table(status: str = "ACTIVE", index: str | None = "ACTIVE") -> dict[str, Any]:
    """A reply of DescribeTable."""
    indexes = [] if index is None else [{"IndexName": "label-confidence", "IndexStatus": index}]
    return {"Table": {"TableStatus": status, "GlobalSecondaryIndexes": indexes}}


def stack(status: str) -> dict[str, Any]:
    """A reply of DescribeStacks."""
    made = {"StackName": "Bulkqa", "CreationTime": "2026-01-01T00:00:00Z", "StackStatus": status}
    return {"Stacks": [made]}


def rendered(html: str = "<p>item-000</p>", errors: tuple[str, ...] = ()) -> dict[str, Any]:
    """A reply of RenderUiTemplate."""
    return {"RenderedContent": html, "Errors": [{"Code": "Bad", "Message": text} for text in errors]}


def teams(*arns: str) -> dict[str, Any]:
    """A reply of ListWorkteams."""
    return {
        "Workteams": [
            {"WorkteamName": "reviewers", "WorkteamArn": arn, "Description": "x", "MemberDefinitions": [{}]}
            for arn in arns
        ]
    }


def template() -> dict[str, Any]:
    """A reply of GetObject."""
    return {"Body": StreamingBody(io.BytesIO(b"<p></p>"), 7)}


FINE: dict[str, Sequence[tuple[str, Reply]]] = {
    "sts": [("get_caller_identity", {"Arn": "arn:aws:iam::123456789012:user/ana"})],
    "cloudformation": [("describe_stacks", stack("CREATE_COMPLETE"))],
    "dynamodb": [("describe_table", table())],
    "lambda": [
        ("get_function_configuration", {"State": "Active"}),
        ("get_function_configuration", {"State": "Active"}),
        ("get_account_settings", {"AccountLimit": {"ConcurrentExecutions": 1000}}),
    ],
    "iam": [("get_role", role()), *[("simulate_principal_policy", simulated("allowed"))] * 5],
    "s3": [
        ("get_bucket_location", {}),
        ("get_bucket_cors", CORS),
        ("get_bucket_location", {}),
        ("get_bucket_cors", CORS),
        ("get_object", template),
    ],
    "sagemaker": [("render_ui_template", rendered()), ("list_workteams", teams(TEAM))],
}
"""Every call of a check-up and its reply where all is fine."""


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients can be made."""
    for name, value in (CREDENTIALS | {"AWS_REGION": REGION}).items():
        monkeypatch.setenv(name, value)


def look_over(outputs: Outputs = OUTPUTS, **changed: Sequence[tuple[str, Reply]]) -> list[Finding]:
    """What is found where services reply as they do if all is fine, but for those that are changed."""
    clients: dict[str, Any] = {}
    for service, calls in (FINE | {name.removesuffix("_"): calls for name, calls in changed.items()}).items():
        client = clients[service] = make_client(service)
        stubber = Stubber(client)
        for operation, reply in calls:
            if isinstance(reply, str):
                status = 403 if reply.startswith("AccessDenied") else 400
                stubber.add_client_error(operation, reply, reply, status)
            else:
                stubber.add_response(operation, deepcopy(dict(reply() if callable(reply) else reply)))
        stubber.activate()
    return list(check_up("Bulkqa", outputs, clients.__getitem__))


def faults(found: list[Finding]) -> list[Finding]:
    """What is not fine."""
    return [one for one in found if one.state is not State.FINE]


def test_a_stack_in_order() -> None:
    """Where all is fine, every part is named once, and each bucket with pictures."""
    found = look_over()
    assert faults(found) == []
    whats = [one.what for one in found]
    assert whats == [
        *("account", "stack", "label table", "functions", "role"),
        *("pictures", "pictures", "review page", "work team"),
    ]
    assert found[0].says == f"arn:aws:iam::123456789012:user/ana, Region {REGION}"
    assert found[-1].says == TEAM


@pytest.mark.parametrize(
    ("changed", "what", "state", "says", "mend"),
    [
        (
            {"cloudformation": [("describe_stacks", stack("ROLLBACK_COMPLETE"))]},
            "stack",
            "fault",
            "ROLLBACK",
            "deploy",
        ),
        (
            {"cloudformation": [("describe_stacks", stack("UPDATE_ROLLBACK_COMPLETE"))]},
            "stack",
            "warning",
            "taken back",
            "deploy",
        ),
        (
            {"dynamodb": [("describe_table", table(index="CREATING"))]},
            "label table",
            "fault",
            "index label-confidence CREATING",
            "deploy",
        ),
        ({"dynamodb": [("describe_table", table(index=None))]}, "label table", "fault", "absent", "deploy"),
        (
            {"dynamodb": [("describe_table", "ResourceNotFoundException")]},
            "label table",
            "fault",
            "no table labels",
            "replay",
        ),
        ({"iam": [("get_role", role("{}"))]}, "role", "fault", "SageMaker may not take on", "deploy"),
        ({"iam": [("get_role", "NoSuchEntity")]}, "role", "fault", "no role Bulkqa-LabelingRole", "deploy"),
        (
            {"sagemaker": [("render_ui_template", rendered(errors=("no form",))), FINE["sagemaker"][1]]},
            "review page",
            "fault",
            "Bad: no form",
            "deploy",
        ),
        (
            {"sagemaker": [("render_ui_template", rendered("<p>")), FINE["sagemaker"][1]]},
            "review page",
            "fault",
            "without its picture",
            "deploy",
        ),
        (
            {"sagemaker": [("render_ui_template", "ValidationException"), FINE["sagemaker"][1]]},
            "review page",
            "fault",
            "does not render",
            "30 July 2026",
        ),
        (
            {"sagemaker": [FINE["sagemaker"][0], ("list_workteams", teams())]},
            "work team",
            "warning",
            "no work team",
            "console",
        ),
        (
            {
                "lambda_": [
                    ("get_function_configuration", {"State": "Failed", "StateReason": "gone"}),
                    *FINE["lambda"][1:],
                ]
            },
            "functions",
            "fault",
            "cannot run: gone",
            "deploy",
        ),
        (
            {"lambda_": [("get_function_configuration", "ResourceNotFoundException"), *FINE["lambda"][1:]]},
            "functions",
            "fault",
            "pre-labeling is not there",
            "deploy",
        ),
        (
            {
                "lambda_": [
                    *FINE["lambda"][:2],
                    ("get_account_settings", {"AccountLimit": {"ConcurrentExecutions": 10}}),
                ]
            },
            "functions",
            "warning",
            "10 functions at once",
            "--max-concurrent 10",
        ),
        (
            {
                "s3": [
                    ("get_bucket_location", {}),
                    ("get_bucket_cors", "NoSuchCORSConfiguration"),
                    *FINE["s3"][2:],
                ]
            },
            "pictures",
            "fault",
            "bulkqa-data has no rule at all",
            "aws s3api put-bucket-cors --bucket bulkqa-data",
        ),
        (
            {
                "s3": [*FINE["s3"][:4], ("get_object", "NoSuchKey")],
                "sagemaker": [FINE["sagemaker"][1]],
            },
            "review page",
            "fault",
            "worker-1.liquid.html does not exist",
            "aws s3 cp templates/worker.liquid.html s3://bulkqa-data/templates/worker-1",
        ),
    ],
)
def test_a_fault_is_named_with_its_mend(
    changed: dict[str, Sequence[tuple[str, Reply]]], what: str, state: str, says: str, mend: str
) -> None:
    """One thing at fault is one finding, with what to do; all else is looked at nevertheless."""
    found = look_over(OUTPUTS, **changed)
    (bad,) = faults(found)
    assert (bad.what, bad.state) == (what, state)
    assert says in bad.says
    assert bad.mend is not None
    assert mend in bad.mend
    assert len({one.what for one in found}) == 8


def test_a_right_that_the_role_lacks() -> None:
    """The role is asked for each thing that a labeling job does, by IAM's own simulator."""
    decisions = ["allowed", "implicitDeny", "allowed", "allowed", "explicitDeny"]
    calls = [("get_role", role()), *(("simulate_principal_policy", simulated(one)) for one in decisions)]
    (bad,) = faults(look_over(iam=calls))
    assert bad.says == (
        "Bulkqa-LabelingRole may not s3:PutObject on arn:aws:s3:::bulkqa-data/output/x/annotations/x.json, "
        f"lambda:InvokeFunction on {FUNCTION}post-labeling"
    )


def test_what_may_not_be_looked_at_is_unknown() -> None:
    """A right that the asker lacks makes one answer unknown and no other."""
    found = look_over(
        iam=[("get_role", "AccessDenied")],
        s3=[
            ("get_bucket_location", "AccessDenied"),
            ("get_bucket_cors", "AccessDenied"),
            *FINE["s3"][2:],
        ],
    )
    bad = faults(found)
    assert [(one.what, one.state) for one in bad] == [("role", "unknown"), ("pictures", "unknown")]
    assert all("AccessDenied" in one.says for one in bad)


def test_an_older_stack() -> None:
    """A stack without what labeling jobs need is at fault, and only what it has is looked at."""
    older = Outputs(bucket="bulkqa-data", table="labels")
    lambdas = [("get_account_settings", {"AccountLimit": {"ConcurrentExecutions": 1000}})]
    found = look_over(older, lambda_=lambdas, sagemaker=[FINE["sagemaker"][1]])
    (bad,) = faults(found)
    assert bad.says.startswith("it has no output ImageSources, SageMakerRoleARN, PreLabelingFunctionARN")
