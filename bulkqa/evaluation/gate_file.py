"""Reads a gate from a file: an EvalConfig of TFMA or a short gate, told apart by what it says."""

from pathlib import Path

from bulkqa.errors import InputError
from bulkqa.evaluation.eval_config import Configured, read_eval_config
from bulkqa.evaluation.short_gate import load_short, read_short


def read_gate(text: str, name: str) -> Configured:
    """Return the gate that a text describes, with warnings; `name` is what messages call it.

    Raises `InputError` naming the place that cannot be used.

    >>> read_gate("auc: {at_least: 0.9}", "gate").gate == read_gate('{"auc": {"at_least": 0.9}}', "gate").gate
    True
    >>> read_gate("", "gate").gate.rules
    ()
    """
    short = load_short(text, name)
    return read_eval_config(text, name) if short is None else Configured(read_short(short, name))


def read_text(path: Path) -> str:
    """Return the text of a file; raises `InputError` where it cannot be read or is no UTF-8."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: no UTF-8 text: {error.reason} at byte {error.start}") from None
