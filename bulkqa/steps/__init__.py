"""Steps: the flow joined to the ports, one function per trigger.

Whoever calls (the command, the portal, a Lambda) builds the adapters and passes them in.
"""

from bulkqa.steps.labeling import Consolidated, Receipt, answer_page, post_label, pre_label
from bulkqa.steps.launching import Launched, launch
from bulkqa.steps.replaying import Replayed, Unanswered, check_votes, count_pending, replay
from bulkqa.steps.results import job_rows, progress

__all__ = [
    "Consolidated",
    "Launched",
    "Receipt",
    "Replayed",
    "Unanswered",
    "answer_page",
    "check_votes",
    "count_pending",
    "job_rows",
    "launch",
    "post_label",
    "pre_label",
    "progress",
    "replay",
]
