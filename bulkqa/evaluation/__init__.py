"""Evaluation: what a model got right, and what it mistakes for what.

Importing it loads nothing that has to be installed; a function's file is loaded when it is first asked for.

>>> from bulkqa.evaluation import confusion_matrix
>>> confusion_matrix(["cat", "cat", "dog"], ["cat", "dog", "dog"]).shares
((0.5, 0.0), (0.5, 1.0))
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bulkqa.evaluation.confusion import confusion_matrix
    from bulkqa.evaluation.metrics import evaluate

_FILES = {"confusion": ("confusion_matrix",), "metrics": ("evaluate",)}

__all__ = ["confusion_matrix", "evaluate"]


def __getattr__(name: str) -> object:
    for file, names in _FILES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{file}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
