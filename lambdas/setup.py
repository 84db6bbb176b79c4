"""Sets a stack up, asked by CloudFormation alone: publishes its files, and empties the bucket of a sandbox.

Two kinds of custom resource share the function; the property `kind` says which one is meant.
"""

from collections.abc import Mapping
from typing import Any

from bulkqa.aws.emptying import empty
from bulkqa.errors import InputError
from bulkqa.steps.publishing import publish
from lambdas import _custom_resource, _runtime
from lambdas._runtime import logger

BLOBS = _runtime.blobs()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> None:
    """Do what the custom resource's event asks for."""
    _custom_resource.respond(event, _resource)


def _resource(kind: str, properties: Mapping[str, Any]) -> tuple[str, dict[str, object]]:
    """Be a custom resource: the files come and stay; the sandbox's bucket is emptied as it goes."""
    what = properties.get("kind")
    if what not in ("files", "empty-on-delete") or kind not in ("Create", "Update", "Delete"):
        raise InputError(f"the setup knows nothing of {kind} {what}")
    physical = f"bulkqa-{what}"
    if what == "files":
        return physical, {} if kind == "Delete" else {"template": publish(BLOBS)}
    if kind == "Delete":
        logger.info("emptied", extra={"versions": empty(_runtime.s3(), _runtime.environment().bucket)})
    return physical, {}
