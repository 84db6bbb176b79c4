"""The gate of a job: checked and stored as the job is launched, held against its report in the end."""

import hashlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from bulkqa import SCHEMA
from bulkqa.errors import InputError
from bulkqa.flow.gate import NOT_ENOUGH, Check, Gate, Verdict, judge
from bulkqa.flow.limits import ChangeThreshold, Outcome, ValueThreshold
from bulkqa.flow.report import LabelTally, Report, Tally, tabulate
from bulkqa.flow.report import as_json as table_json
from bulkqa.flow.slices import (
    OVERALL,
    AnySpec,
    MetricKey,
    Metrics,
    describe_metric,
    describe_slice,
    describe_spec,
)
from bulkqa.jobs import exists, job_key
from bulkqa.ports import Blobs, Store
from bulkqa.settings import JobSettings, StoredGate, check_job_name

if TYPE_CHECKING:
    from bulkqa.evaluation.eval_config import Configured

# The evaluation is imported where it is used: it reads protobuf and YAML, which few functions need.

VERDICT = "report/verdict.json"
_LEFT = ("failed", "expired", "missing", "waiting")
"""What the report's `reconciliation` calls items that somebody is still to look at."""


class GateFile(NamedTuple):
    """A gate as it was given: what messages call it, and its bytes."""

    name: str
    data: bytes


class Held(NamedTuple):
    """What a gate says of a job, and of which metrics."""

    verdict: Verdict
    gate: Gate
    metrics: Metrics


def read(file: GateFile) -> "Configured":
    """Return a gate, with warnings; raises `InputError` naming the place that cannot be used."""
    from bulkqa.evaluation.gate_file import read_gate

    try:
        return read_gate(file.data.decode("utf-8-sig"), file.name)
    except UnicodeDecodeError as error:
        raise InputError(f"{file.name}: no UTF-8 text: {error.reason} at byte {error.start}") from None


def stored(job: str, file: GateFile) -> StoredGate:
    """Return what `job.json` says of a gate."""
    return StoredGate(key=job_key(job, "gate.txt"), sha256=hashlib.sha256(file.data).hexdigest())


def check(gate: Gate, name: str, settings: JobSettings, blobs: Blobs) -> None:
    """Raise `InputError` for a gate that no report of a job could ever pass; `name` is the gate's file.

    It asks for what the report does not say, names a slice that cannot come, asks for nothing, or limits a
    change where there is no earlier job to compare with. As long as the settings have no labels, since the
    corpus is still to be read, slices are left for later.
    """
    from bulkqa.evaluation.job_metrics import METRICS, of_report

    if len(gate.models) > 1:
        raise InputError(f"{name}: a job has one model to be gated, not {' and '.join(gate.models)}")
    # Held against a report in which every label has an item in every band.
    bands = len(settings.bands) - 1
    labels = settings.labels or ("any",)
    lines = {label: LabelTally([Tally(confirmed=1) for _ in range(bands)]) for label in labels}
    report = Report(settings.bands, lines)
    metrics = of_report(report)
    if _compares(gate):
        if not _has_baseline(gate, settings.job, blobs):
            raise InputError(
                f"{name}: a change is limited, and there is no earlier job {gate.baseline!r} to compare "
                "with: the model_spec with is_baseline names the job"
            )
        of_report(report, model=str(gate.baseline), metrics=metrics)
    verdict = judge(gate, metrics)
    if verdict.missing_thresholds:
        raise InputError(f"{name}: no metric has a threshold")
    for one in verdict.checks:
        if one.value is None:
            what, known = describe_metric(one.metric), ", ".join(METRICS)
            raise InputError(f"{name}: a job has no metric {what!r}; it has {known}")
    missing: list[AnySpec] = [*verdict.missing_slices, *verdict.missing_cross_slices]
    for spec in missing if settings.labels else ():
        raise InputError(
            f"{name}: there is no slice {describe_spec(spec)!r}: it has the corpus' labels, the job's bands"
        )


def verdict_of(settings: JobSettings, document: Mapping[str, Any], store: Store) -> Verdict | None:
    """Return what the gate of a job says of its report, None for a job without a gate.

    A gate that is not the one of the launch, or cannot be used any more, has failed: the verdict says why.
    """
    if settings.gate is None:
        return None
    try:
        return hold(gate_of(settings, store.blobs).gate, settings, document, store).verdict
    except InputError as error:
        failed = Check(
            OVERALL, MetricKey("gate"), ValueThreshold(), Outcome.FAILED, message=str(error).rstrip(".")
        )
        return Verdict(ok=False, checks=(failed,))


def verdict_json(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict as TFMA's ValidationResult in protobuf JSON.

    >>> verdict_json(Verdict(ok=True))
    {'validation_ok': True}
    """
    from bulkqa.evaluation import schema
    from bulkqa.evaluation.validation_result import to_message

    return schema.as_json(to_message(verdict))


def gate_of(settings: JobSettings, blobs: Blobs) -> "Configured":
    """Return the gate that a job was launched with; raises `InputError` where there is none, or another."""
    if settings.gate is None:
        raise InputError(f"job {settings.job!r} was launched without a gate")
    file = GateFile(settings.gate.key, blobs.read(settings.gate.key))
    if stored(settings.job, file) != settings.gate:
        raise InputError(f"{file.name}: it is not the gate that job {settings.job!r} was launched with")
    return read(file)


def hold(
    gate: Gate,
    settings: JobSettings,
    document: Mapping[str, Any],
    store: Store,
    *,
    rubber_stamp: bool = False,
    confidence: float | None = None,
    jointly: bool = False,
) -> Held:
    """Hold the document of a job's report against a gate.

    The baseline is the earlier job that the gate's baseline is named after, counted in the same bands. As
    long as items wait for somebody to look at them, nothing has passed: there is not enough data.
    """
    from bulkqa.evaluation.job_metrics import REVIEWED, of_report

    metrics = of_report(document)
    if _compares(gate) and _has_baseline(gate, settings.job, store.blobs):
        _add_baseline(str(gate.baseline), settings, store, metrics)
    verdict = judge(gate, metrics, rubber_stamp=rubber_stamp, confidence=confidence, jointly=jointly)
    fates = document["reconciliation"]
    left = sum(fates.get(name, 0) for name in _LEFT)
    if left and not _is_settled(settings, store.blobs):
        totals = document["totals"]
        reviewed = totals["total"] - totals["unreviewed"]
        waiting = Check(
            OVERALL,
            MetricKey(REVIEWED),
            ValueThreshold(lower=reviewed + left),
            Outcome.UNDECIDED,
            reviewed,
            message=f"{NOT_ENOUGH}{left:,} of {fates['items']:,} items are not reviewed",
        )
        verdict = verdict._replace(ok=False, checks=(*verdict.checks, waiting))
    return Held(verdict, gate, metrics)


def _is_settled(settings: JobSettings, blobs: Blobs) -> bool:
    """Say whether every label was closed early, so that nobody is asked any more."""
    from bulkqa.steps.closing import closings

    return settings.stop_early is not None and closings(settings, blobs).keys() >= set(settings.labels)


def _add_baseline(job: str, settings: JobSettings, store: Store, metrics: Metrics) -> None:
    from bulkqa.evaluation.job_metrics import of_report
    from bulkqa.steps.results import job_rows

    rows = (row for row in job_rows(job, store) if not row.of_relabelling)
    table = table_json(tabulate(rows, settings.bands), job, SCHEMA)
    of_report(table, f"job {job}", job, metrics)


def _compares(gate: Gate) -> bool:
    return any(isinstance(rule.threshold, ChangeThreshold) for rule in gate.rules)


def _has_baseline(gate: Gate, job: str, blobs: Blobs) -> bool:
    """Say whether the gate's baseline is the name of a job, and not of this one."""
    if gate.baseline is None or gate.baseline == job:
        return False
    try:
        return exists(job_key(check_job_name(gate.baseline)), blobs)
    except InputError:
        return False


def reason(verdict: Verdict) -> str:
    """Return in one line why a verdict is as it is: the first thing that keeps it from passing.

    >>> from bulkqa.flow.slices import SliceSpec
    >>> reason(Verdict(ok=False, missing_slices=(SliceSpec(values=(("label", "Dog"),)),)))
    'nothing could be checked in label = Dog'
    >>> precise = Check((("label", "Dog"),), MetricKey("precision"), ValueThreshold(0.9), Outcome.FAILED, 0.8)
    >>> reason(Verdict(ok=False, checks=(precise, precise)))
    'precision, label = Dog: 0.8, below the lower bound 0.9 by 0.1 (and 1 more)'
    """
    if verdict.ok:
        return f"{len(verdict.checks):,} {'check' if len(verdict.checks) == 1 else 'checks'} passed"
    why = list(_reasons(verdict))
    return why[0] + (f" (and {len(why) - 1:,} more)" if len(why) > 1 else "")


def _reasons(verdict: Verdict) -> Iterator[str]:
    for outcome in (Outcome.FAILED, Outcome.UNDECIDED):
        for check in verdict.those(outcome):
            slice = describe_slice(check.slice)
            yield f"{describe_metric(check.metric)}, {slice}: {check.reason}"
        if outcome is Outcome.FAILED:
            missing: list[AnySpec] = [*verdict.missing_slices, *verdict.missing_cross_slices]
            yield from (f"nothing could be checked in {describe_spec(spec)}" for spec in missing)
            if verdict.missing_thresholds:
                yield "no metric has a threshold"
