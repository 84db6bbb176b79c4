"""The gate of a job, held against it as it stands now."""

from bulkqa.flow.gate import Gate
from bulkqa.jobs import settings_of
from bulkqa.ports import Store
from bulkqa.steps.analysis import analyse_job
from bulkqa.steps.document import as_json
from bulkqa.steps.gating import Held, gate_of, hold


def judge_job(
    job: str,
    store: Store,
    gate: Gate | None = None,
    *,
    rubber_stamp: bool = False,
    confidence: float | None = None,
    jointly: bool = False,
) -> Held:
    """Return what a gate, or else the job's own, says of a job as it stands now.

    Raises `NotFoundError` if there is no such job, and `InputError` where it has no gate or `judge` refuses.
    """
    settings = settings_of(job, store.blobs)
    if gate is None:
        gate = gate_of(settings, store.blobs).gate
    document = as_json(analyse_job(job, store))
    return hold(
        gate, settings, document, store, rubber_stamp=rubber_stamp, confidence=confidence, jointly=jointly
    )
