"""Documents: JSON files of AWS' services, read strictly; messages name the file and the field."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, NoReturn

from bulkqa.errors import InputError


class Part(NamedTuple):
    """An object within a document, and where it stands: what messages call it.

    >>> Part({"Value": 0.5}, "x.json").number("Value")
    0.5
    """

    fields: Mapping[str, object]
    where: str

    def text(self, name: str) -> str:
        """Return a field that is a text."""
        value = self.fields.get(name)
        if not isinstance(value, str):
            self.refuse(name, "a text")
        return value

    def maybe_text(self, name: str) -> str | None:
        """Return a field that is a text, None where it is missing or null."""
        return None if self.fields.get(name) is None else self.text(name)

    def number(self, name: str) -> float:
        """Return a field that is a finite number."""
        value = self.fields.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            self.refuse(name, "a number")
        return float(value)

    def share(self, name: str) -> float:
        """Return a field that is a number of 0 to 1."""
        value = self.number(name)
        if not 0 <= value <= 1:
            self.refuse(name, "a number of 0 to 1")
        return value

    def maybe_share(self, name: str) -> float | None:
        """Return a field that is a number of 0 to 1, None where it is missing or null."""
        return None if self.fields.get(name) is None else self.share(name)

    def maybe_count(self, name: str) -> int | None:
        """Return a field that is a whole number of at least 0, None where it is missing or null."""
        if self.fields.get(name) is None:
            return None
        value = self.number(name)
        if value < 0 or not value.is_integer():
            self.refuse(name, "a whole number of at least 0")
        return int(value)

    def part(self, name: str) -> "Part":
        """Return a field that is an object; an empty one where it is missing."""
        value = self.fields.get(name, {})
        if not isinstance(value, dict):
            self.refuse(name, "an object")
        return Part(value, f"{self.where}, {name}")

    def list(self, name: str) -> Sequence[object]:
        """Return a field that is a list; an empty one where it is missing."""
        value = self.fields.get(name, [])
        if not isinstance(value, list):
            self.refuse(name, "a list")
        return value

    def parts(self, name: str) -> Iterator["Part"]:
        """Yield the objects of a field that is a list of them."""
        for place, value in enumerate(self.list(name)):
            if not isinstance(value, dict):
                raise InputError(f"{self.where}, {name}[{place}]: an object is needed")
            yield Part(value, f"{self.where}, {name}[{place}]")

    def refuse(self, name: str, needed: str) -> NoReturn:
        """Raise the `InputError` of a field that is not what is needed."""
        value = self.fields.get(name)
        found = "it is missing" if name not in self.fields else f"it is {json.dumps(value)[:60]}"
        raise InputError(f"{self.where}: {name!r} has to be {needed}; {found}")


def read_document(data: bytes, name: str) -> Part:
    """Return the one JSON object of a file; `name` is the file's.

    Raises `InputError` for anything else, NaN and Infinity among it.

    >>> read_document(b'{"Version": 1}', "x.json").fields
    {'Version': 1}
    """
    try:
        document = json.loads(data.decode("utf-8-sig"), parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise InputError(
            f"{name}, line {error.lineno}, column {error.colno}: not readable as JSON: {error.msg}"
        ) from None
    except RecursionError:
        raise InputError(f"{name}: not readable as JSON: nested too deeply") from None
    except ValueError as error:
        raise InputError(f"{name}: not readable as JSON: {error}") from None
    if not isinstance(document, dict):
        raise InputError(f"{name}: a JSON object is needed")
    return Part(document, name)


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
