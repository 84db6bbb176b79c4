"""The templates as a whole: no change goes unseen. If one is meant: pytest tests/infra --snapshot-update."""

import json
import re

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.json import JSONSnapshotExtension

from tests.infra.conftest import Synthesised

_DIGEST = re.compile(r"\b[0-9a-f]{64}\b")
_SAMPLE = re.compile(r"\bsample-[0-9a-f]{6}\b")
_CDK = {"CDKMetadata", "BootstrapVersion", "CheckBootstrapVersion"}
"""What CDK adds of its own, with versions of its own."""


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["production", "sandbox"])
def test_the_template_is_the_one_that_was_looked_at(
    stage: str, request: pytest.FixtureRequest, snapshot: SnapshotAssertion
) -> None:
    """But for digests of sources, the template is as it was when somebody last looked."""
    synthesised: Synthesised = request.getfixturevalue(stage)
    text = _SAMPLE.sub("sample-DIGEST", _DIGEST.sub("DIGEST", json.dumps(synthesised.template)))
    template = {
        part: {name: one for name, one in of_part.items() if name not in _CDK}
        for part, of_part in json.loads(text).items()
        if isinstance(of_part, dict)
    }
    assert template == snapshot(extension_class=JSONSnapshotExtension)
