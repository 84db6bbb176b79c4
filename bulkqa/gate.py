"""The gate for programs and notebooks: `from bulkqa.gate import validate`.

>>> verdict = validate(
...     {"precision": {"at_least": 0.9}},
...     {"slices": [{"slice": [], "metrics": [{"name": "precision", "value": 0.85}]}]},
... )
>>> print(verdict.checks[0].reason)
0.85, below the lower bound 0.9 by 0.05
>>> verdict.raise_for_failure()
Traceback (most recent call last):
bulkqa.gate.GateFailed: Validation FAILED: 1 of 1 checks failed.
"""

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bulkqa.errors import BulkqaError
from bulkqa.evaluation.gate_file import read_gate, read_text
from bulkqa.evaluation.metrics_file import of_document, read_metrics
from bulkqa.flow import gate as rules
from bulkqa.flow.gate import judge
from bulkqa.flow.slices import Metrics


class GateFailed(BulkqaError):  # noqa: N818  a gate fails, and that is no error of the program
    """The gate did not pass; `verdict` says why."""

    exit_code = 1

    def __init__(self, verdict: "Verdict") -> None:
        from bulkqa.verdict_words import headline

        super().__init__(headline(verdict))
        self.verdict = verdict


class Verdict(rules.Verdict):
    """What the gate says, which prints as the command prints it, and in a notebook as a table."""

    __slots__ = ()

    def raise_for_failure(self) -> None:
        """Raise `GateFailed` unless the validation is ok; too little data is not ok either."""
        if not self.ok:
            raise GateFailed(self)

    def __str__(self) -> str:
        from bulkqa.verdict_words import print_verdict

        text = io.StringIO()
        print_verdict(self, text, width=100)
        return text.getvalue()

    def _repr_html_(self) -> str:
        from bulkqa.gate_page import render_fragment

        return render_fragment(self)


def validate(
    gate: str | Path | Mapping[str, Any],
    metrics: str | Path | Mapping[str, Any] | Metrics,
    *,
    rubber_stamp: bool = False,
    intervals: float | None = None,
    jointly: bool = False,
) -> Verdict:
    """Hold metrics against a gate; return the verdict.

    `gate` is the path of an EvalConfig or a short gate, or what such a file says as a mapping; `metrics` the
    path of a metrics file, the same as a mapping, or `Metrics`. The rest is as in `bulkqa validate`. Raises
    `InputError` where either cannot be used.
    """
    if isinstance(gate, Mapping):
        configured = read_gate(json.dumps(gate, default=float), "the gate")
    else:
        configured = read_gate(read_text(Path(gate)), str(gate))
    if isinstance(metrics, Mapping):
        metrics = of_document(dict(metrics), "the metrics")
    elif not isinstance(metrics, Metrics):
        metrics = read_metrics(read_text(Path(metrics)), str(metrics))
    found = judge(configured.gate, metrics, rubber_stamp=rubber_stamp, confidence=intervals, jointly=jointly)
    return Verdict(*found._replace(notes=(*configured.warnings, *found.notes)))
