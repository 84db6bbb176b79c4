"""Roles: what each may do, written out. Where a resource is a pattern, why it has to be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct


@dataclass(frozen=True)
class Permission:
    """Actions on resources; `why` says what makes a pattern necessary where one is among the resources."""

    actions: Sequence[str]
    resources: Sequence[str]
    why: str | None = None


def make_role(
    scope: Construct, construct_id: str, *, service: str, description: str, permissions: Sequence[Permission]
) -> iam.Role:
    """Make the role that a service ("lambda") takes on, with these permissions and nothing else."""
    role = iam.Role(
        scope,
        construct_id,
        assumed_by=iam.ServicePrincipal(f"{service}.amazonaws.com"),
        description=description,
    )
    reasons: dict[str, list[str]] = {}
    for permission in permissions:
        role.add_to_policy(
            iam.PolicyStatement(actions=list(permission.actions), resources=list(permission.resources))
        )
        for resource in permission.resources:
            if permission.why and (name := _name(role.stack.resolve(resource))).endswith("*"):
                reasons.setdefault(f"AwsSolutions-IAM5[Resource::{name}]", []).append(permission.why)
    accept(role, {finding: "; ".join(dict.fromkeys(why)) for finding, why in reasons.items()})
    return role


def accept(scope: Construct, reasons: Mapping[str, str]) -> None:
    """Accept findings of cdk-nag's AwsSolutions about a construct and what it is made of, each with a reason.

    Where a rule lists its findings one by one (IAM5) the detail stands in brackets behind it.
    """
    if reasons:
        cdk.Validations.of(scope).acknowledge(
            *(cdk.Acknowledgment(id=f"AwsSolutions::{rule}", reason=why) for rule, why in reasons.items())
        )


def _name(resolved: Any) -> str:
    """Return a resource as cdk-nag writes it, its references in angle brackets."""
    match resolved:
        case str(text):
            return text
        case {"Ref": name}:
            return f"<{name}>"
        case {"Fn::GetAtt": [name, attribute]}:
            return f"<{name}.{attribute}>"
        case {"Fn::Join": [separator, parts]}:
            return str(separator).join(map(_name, parts))
    raise ValueError(f"no name for {resolved}")
