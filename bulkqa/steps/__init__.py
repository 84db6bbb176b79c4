"""Steps: the flow joined to the ports, one function per trigger.

Whoever calls (the command, the portal, a Lambda) builds the adapters and passes them in. A function's file
is loaded when it is first asked for: the labeling Lambdas start without what only a launch needs.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bulkqa.steps.analysis import Analysis, analyse_job, analyse_rows
    from bulkqa.steps.following import progress
    from bulkqa.steps.labeling import Consolidated, Receipt, answer_page, post_label, pre_label
    from bulkqa.steps.launching import Launched, launch
    from bulkqa.steps.replaying import Replayed, Unanswered, check_votes, count_pending, replay
    from bulkqa.steps.reporting import Conclusion, conclude
    from bulkqa.steps.results import job_rows
    from bulkqa.steps.rounds import Relabelling, adjudicate, final_labels, final_rows, relabel

_FILES = {
    "analysis": ("Analysis", "analyse_job", "analyse_rows"),
    "following": ("progress",),
    "labeling": ("Consolidated", "Receipt", "answer_page", "post_label", "pre_label"),
    "launching": ("Launched", "launch"),
    "replaying": ("Replayed", "Unanswered", "check_votes", "count_pending", "replay"),
    "reporting": ("Conclusion", "conclude"),
    "results": ("job_rows",),
    "rounds": ("Relabelling", "adjudicate", "final_labels", "final_rows", "relabel"),
}

__all__ = [
    "Analysis",
    "Conclusion",
    "Consolidated",
    "Launched",
    "Receipt",
    "Relabelling",
    "Replayed",
    "Unanswered",
    "adjudicate",
    "analyse_job",
    "analyse_rows",
    "answer_page",
    "check_votes",
    "conclude",
    "count_pending",
    "final_labels",
    "final_rows",
    "job_rows",
    "launch",
    "post_label",
    "pre_label",
    "progress",
    "relabel",
    "replay",
]


def __getattr__(name: str) -> object:
    for file, names in _FILES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{file}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
