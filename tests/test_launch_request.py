"""What a launch on AWS is asked for."""

from typing import Any

import pytest

from bulkqa.errors import InputError
from bulkqa.launch_request import LaunchRequest, read_launch_request
from bulkqa.settings import Environment, StopEarly

STAGE = Environment(bucket="b", table="t")


def asked(**properties: Any) -> LaunchRequest:
    """Read a request for a job, with these properties more."""
    return read_launch_request({"job": "dogs", "corpus": "s3://b/c.csv", **properties}, STAGE)


def test_a_gate_is_named_by_its_address() -> None:
    """What the report has to pass is a file; without a word of it nothing is asked of the report."""
    assert asked().gate is None
    assert asked(gate="s3://b/gate.yaml").gate == "s3://b/gate.yaml"
    with pytest.raises(InputError, match="gate 7 is no text"):
        asked(gate=7)


def test_every_page_is_reviewed_unless_asked_otherwise() -> None:
    """Without a word of it labels do not close early."""
    assert asked().settings.stop_early is None


@pytest.mark.parametrize("number", [600, "600", 600.0])
def test_labels_close_early_where_asked(number: object) -> None:
    """CloudFormation hands numbers over as texts; target and assurance are as usual, or as said."""
    assert asked(stop_early=number).settings.stop_early == StopEarly(reviews=600)
    terms = asked(stop_early=number, target="0.9", assurance=0.99).settings.stop_early
    assert terms == StopEarly(reviews=600, target=0.9, assurance=0.99)


@pytest.mark.parametrize(
    ("properties", "said"),
    [
        ({"target": 0.9}, "target of a launch: only with stop_early"),
        ({"target": 0.9, "assurance": "0.9"}, "target and assurance of a launch"),
        ({"stop_early": "many"}, "stop_early 'many' is no number"),
        ({"stop_early": 2.5}, "stop_early 2.5 is no whole number"),
        ({"stop_early": 600, "target": True}, "target True is no number"),
        ({"stop_sooner": 600}, "knows nothing of stop_sooner"),
    ],
)
def test_what_cannot_be_asked_is_named(properties: dict[str, object], said: str) -> None:
    """A property that is bad, unknown, or goes with another alone is refused by its name."""
    with pytest.raises(InputError, match=said):
        asked(**properties)
