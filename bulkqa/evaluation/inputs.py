"""Columns as they are given: lists, arrays and series of labels or numbers, made Python's own.

What is missing or no number is an `InputError` that names the column and the place; the first place is 0.
"""

import math
from collections.abc import Iterable, Sequence, Sized
from typing import Any

from bulkqa.errors import InputError


def names(values: Iterable[object], column: str) -> list[str]:
    """Return a column of labels as strings; `column` is what a message calls it.

    Raises `InputError` for a label that is missing: None, NaN, or what pandas has for it.

    >>> names([1, True, "cat"], "predicted")
    ['1', 'True', 'cat']
    """
    if isinstance(values, str | bytes):
        raise InputError(f"{column} is a text, not a column of labels")
    found = listed(values, column)
    if set(map(type, found)) <= {str}:
        return found  # type: ignore[return-value]
    for place, label in enumerate(found):
        if _is_missing(label):
            raise InputError(f"{column}[{place}] is missing: every image needs a label there")
    return list(map(str, found))


def weight_column(values: Iterable[object]) -> list[float]:
    """Return a column of weights as numbers, or raise `InputError` naming the one that is none.

    >>> weight_column([1, 2.5])
    [1.0, 2.5]
    """
    found = numbers(values, "weights")
    for place, weight in enumerate(found):
        if weight < 0:
            raise InputError(f"weights[{place}] is {weight:g}: a weight is at least 0")
    return found


def numbers(values: Iterable[object], column: str) -> list[float]:
    """Return a column of numbers, or raise `InputError` naming the first that is not finite or no number.

    >>> numbers([1, 0.5], "scores")
    [1.0, 0.5]
    """
    found: list[float] = []
    for place, value in enumerate(listed(values, column)):
        try:
            number = float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not math.isfinite(number) or isinstance(value, str):
            raise InputError(f"{column}[{place}] is {repr(value)[:60]}: a finite number is needed")
        found.append(number)
    return found


def booleans(values: Iterable[object], column: str) -> list[bool]:
    """Return a column of truth values, or raise `InputError` naming the first that is none.

    >>> booleans([True, 0], "positives")
    [True, False]
    """
    found = listed(values, column)
    if set(map(type, found)) <= {bool}:
        return found  # type: ignore[return-value]
    for place, value in enumerate(found):
        if isinstance(value, str) or value not in (True, False):
            raise InputError(f"{column}[{place}] is {repr(value)[:60]}: true or false is needed, or 1 or 0")
    return list(map(bool, found))


def kept(values: Iterable[Any]) -> Sequence[Any]:
    """Return a column that can be read more than once: what is no list or array becomes a list."""
    return values if isinstance(values, Sized) else list(values)  # type: ignore[return-value]


def listed(values: Iterable[object], column: str) -> list[object]:
    """Return a column as a list of Python's own values; an array of more than one dimension is refused."""
    if getattr(values, "ndim", 1) != 1:
        raise InputError(f"{column} has more than one dimension: a column is needed")
    convert = getattr(values, "tolist", None) or getattr(values, "to_list", None)
    return list(values) if convert is None else list(convert())


def same_length(**columns: Sequence[object]) -> None:
    """Raise `InputError` unless both columns, given by their names, are as long."""
    (one, first), (other, second) = columns.items()
    if len(first) != len(second):
        raise InputError(f"{one} has {len(first):,} entries and {other} has {len(second):,}")


def _is_missing(label: object) -> bool:
    if isinstance(label, str):
        return False
    try:
        return label is None or bool(label != label)
    except (TypeError, ValueError):  # pandas' NA is neither equal nor unequal to anything
        return True
