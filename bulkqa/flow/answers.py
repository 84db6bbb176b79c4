"""Answers: what a reviewer submitted, read as one decision an item. Untrusted input.

An answer is one JSON object of names and values, keys in any order. Items are matched by the number in
their name, never by position. Whatever is missing, unknown, doubled or malformed is reported for that
item alone; the others count.
"""

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from bulkqa.flow.records import printable
from bulkqa.flow.tasks import TaskItem, item_name, item_number

META = "meta"
"""The page's own notes (times, order shown): text that is kept with the answer and is no decision."""

LONGEST = 86_400.0
"""Seconds that a page is believed to have been open at most: a day."""


class Decision(StrEnum):
    """What a reviewer says of one item."""

    CONFIRM = "confirm"
    DISCONFIRM = "disconfirm"
    CANNOT_JUDGE = "cannot_judge"


class Problem(NamedTuple):
    """A part of an answer that is not counted, and why: `missing`, `unknown`, `doubled` or `malformed`."""

    name: str
    reason: str


class Answer(NamedTuple):
    """Decisions by place on the page (from 0), and the parts that are not counted."""

    decisions: dict[int, Decision]
    problems: tuple[Problem, ...] = ()

    def numbers(self) -> dict[str, int]:
        """Return how many decisions of each kind it holds.

        >>> Answer({0: Decision.CONFIRM, 1: Decision.CONFIRM}).numbers()
        {'confirm': 2}
        """
        numbers: dict[str, int] = {}
        for decision in self.decisions.values():
            numbers[decision.value] = numbers.get(decision.value, 0) + 1
        return numbers


class WorkerAnswer(NamedTuple):
    """One worker's answer to a page. `seconds` is how long the page was open, None where it does not say."""

    worker: str
    answer: Answer
    seconds: float | None
    revision: int


class PageAnswers(NamedTuple):
    """A page by its batch's key, its pictures in order, and one answer of each worker who gave any."""

    key: str
    items: tuple[TaskItem, ...]
    answers: tuple[WorkerAnswer, ...]


def read_answer(content: str | Mapping[str, object], size: int) -> Answer:
    """Return the decisions of an answer to a page of `size` pictures.

    `content` is the answer as JSON text or decoded; a list of one object is read as that object.
    `CannotJudge` true wins over `Confirmed`. Never raises: an answer that is no JSON object counts for
    nothing and has one problem, named `answer`.

    >>> read_answer('{"item-001": {"Confirmed": false}, "item-000": {"Confirmed": true}}', 2).decisions
    {0: <Decision.CONFIRM: 'confirm'>, 1: <Decision.DISCONFIRM: 'disconfirm'>}
    >>> read_answer('{"Dog-0": {"Confirmed": "yes"}}', 1).problems
    (Problem(name='Dog-0', reason='malformed'), Problem(name='item-000', reason='missing'))
    """
    if isinstance(content, str):
        pairs = _parse(content)
        if pairs is None:
            return Answer({}, (Problem("answer", "malformed"),))
    else:
        pairs = list(content.items())
    problems: list[Problem] = []
    found: dict[int, list[tuple[str, Decision]]] = {}
    spoilt: set[int] = set()
    for name, value in pairs:
        if name == META:
            continue
        number = item_number(name)
        if number is None or number >= size:
            problems.append(Problem(_short(name), "unknown"))
            continue
        decision = _decision(value)
        if decision is None:
            problems.append(Problem(_short(name), "malformed"))
        else:
            found.setdefault(number, []).append((name, decision))
    for number, claims in found.items():
        if len(claims) > 1:
            problems.extend(Problem(_short(name), "doubled") for name, _ in claims)
            spoilt.add(number)
    decisions = {number: found[number][0][1] for number in sorted(found.keys() - spoilt)}
    problems.extend(Problem(item_name(n), "missing") for n in range(size) if n not in found)
    return Answer(decisions, tuple(problems))


def read_seconds(content: str) -> float | None:
    r"""Return how many seconds a page was open, as its own notes in an answer (JSON text) say.

    None where there are no notes, or none that can be: no number, negative, more than `LONGEST`.

    >>> read_seconds('{"meta": "{\\"seconds\\": 40.5}"}'), read_seconds('{"meta": ""}')
    (40.5, None)
    """
    notes = _plain(content).get(META)
    if isinstance(notes, str):
        notes = _plain(notes)
    seconds = notes.get("seconds") if isinstance(notes, dict) else None
    # Numbers are read as floats here, and NaN is in no range.
    return seconds if isinstance(seconds, float) and 0 <= seconds <= LONGEST else None


def _plain(text: str) -> dict[str, Any]:
    """Return the object that a text is, or a list of one; an empty one where it is neither."""
    try:
        value = json.loads(text, parse_int=float)
    except (ValueError, RecursionError):
        return {}
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value if isinstance(value, dict) else {}


class _Object(dict[str, object]):
    """A JSON object that remembers doubled names."""

    def __init__(self, pairs: list[tuple[str, object]]) -> None:
        super().__init__(pairs)
        self.pairs = pairs


def _parse(text: str) -> list[tuple[str, object]] | None:
    """Return the names and values of the outermost object, doubled names included; None if there is none."""
    try:
        # As floats, numbers of any length can be read; there are none among decisions.
        value = json.loads(text, object_pairs_hook=_Object, parse_int=float)
    except (ValueError, RecursionError):
        return None
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value.pairs if isinstance(value, _Object) else None


def _decision(value: object) -> Decision | None:
    """Return the decision of one item's value, or None where it is not of a known shape."""
    if not isinstance(value, Mapping) or (isinstance(value, _Object) and len(value.pairs) > len(value)):
        return None
    confirmed, cannot_judge = value.get("Confirmed"), value.get("CannotJudge", False)
    if not isinstance(cannot_judge, bool):
        return None
    if cannot_judge:
        return Decision.CANNOT_JUDGE
    if not isinstance(confirmed, bool):
        return None
    return Decision.CONFIRM if confirmed else Decision.DISCONFIRM


def _short(name: str) -> str:
    """A name that came from outside, as it can stand in a log line."""
    return printable(name if len(name) <= 80 else name[:79] + "…")
