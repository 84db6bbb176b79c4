"""Records: the rows of a CSV or JSON Lines file, one at a time, with whatever is wrong with any of them.

The content tells which of the two it is. Reading streams, and a bad row costs no other row: not the
one behind it, not the ones that an unclosed quote has swallowed.
"""

import csv
import json
import re
from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from bulkqa.errors import InputError

# A quoted field that runs on for longer than this is taken for a quote that was never closed.
MAX_FIELD = 131_072
MAX_ROW = 8 * MAX_FIELD

_SURROGATE = re.compile("[\ud800-\udfff]")


class Rejected(NamedTuple):
    """A row that cannot be used: the physical line on which it begins (the first is 1), and why."""

    line: int
    reason: str


class Records:
    r"""The rows of a file, from its physical lines as bytes with their ends, as a binary file yields them.

    Iterating yields (line, fields) or `Rejected`, where `fields` is a list of texts as wide as `header`
    for CSV, and an object's dict for JSON Lines, whose `header` is None. Blank lines are no rows.

    Raises `InputError` for an empty file or a header that cannot be read; `name` is the file's.

    >>> records = Records([b"label,image\n", b"Dog,a.jpg\n", b"Dog\n"], "x.csv")
    >>> records.header, list(records)
    (['label', 'image'], [(2, ['Dog', 'a.jpg']), Rejected(line=3, reason='1 fields where the header has 2')])
    """

    def __init__(self, lines: Iterable[bytes], name: str) -> None:
        self.name = name
        self._source = _Lines(lines)
        first = self._source.first_text()
        if first is None:
            raise InputError(f"{name}: the file is empty")
        self.header: list[str] | None = None
        self.header_line = self._source.line
        if not first.startswith("{"):
            csv.field_size_limit(MAX_FIELD)
            self._reader = csv.reader(self._source, strict=True)
            self.header = self._read_header()

    def __iter__(self) -> Iterator[tuple[int, list[str]] | tuple[int, dict[str, object]] | Rejected]:
        return self._json_lines() if self.header is None else self._csv_rows(len(self.header))

    def _read_header(self) -> list[str]:
        where = f"{self.name}, line {self.header_line}"
        try:
            header = [column.strip() for column in next(self._reader)]
        except csv.Error as error:
            raise InputError(f"{where}: the header cannot be read: {error}") from None
        self._source.next_row()
        return header

    def column(self, *names: str) -> int:
        """Return the position in the header of the one column with one of these names, the first preferred.

        Raises `InputError` showing the header where there is none, or more than one of a name.
        """
        header = self.header or []
        name = next((name for name in names if name in header), names[0])
        if header.count(name) != 1:
            problem = "more than one column" if name in header else "no column"
            wanted = " or ".join(map(repr, names))
            # A file without a header shows its first row here, which is what its owner has to see.
            seen = printable(", ".join(header))[:200]
            raise InputError(
                f"{self.name}, line {self.header_line}: the header has {problem} {wanted}; it reads: {seen}"
            )
        return header.index(name)

    def _csv_rows(self, width: int) -> Iterator[tuple[int, list[str]] | Rejected]:
        source = self._source
        while True:
            try:
                fields = next(self._reader)
            except StopIteration:
                return
            except csv.Error as error:
                # Most often a quote that is never closed has swallowed the rows behind it: give those back.
                yield Rejected(source.line, f"not readable as CSV: {error}")
                source.read_again()
                source.next_row()
                continue
            if source.swallowed(width, len(fields)):
                yield Rejected(source.line, "not readable as CSV: a quote is never closed")
                source.read_again()
            elif fields:
                if len(fields) != width:
                    yield Rejected(source.line, f"{len(fields)} fields where the header has {width}")
                elif source.is_utf8():
                    yield source.line, fields
                else:
                    yield Rejected(source.line, "not UTF-8")
            source.next_row()

    def _json_lines(self) -> Iterator[tuple[int, dict[str, object]] | Rejected]:
        source = self._source
        while True:
            try:
                text = next(source)
            except StopIteration:
                return
            except csv.Error as error:
                yield Rejected(source.line, str(error))
            else:
                if text.strip():
                    row = _json_object(text) if source.is_utf8() else "not UTF-8"
                    yield Rejected(source.line, row) if isinstance(row, str) else (source.line, row)
            source.next_row()


def _json_object(text: str) -> dict[str, object] | str:
    """Return the object a line holds, or what is wrong with it."""
    try:
        row = json.loads(text)
    except (ValueError, RecursionError) as error:
        return f"not readable as JSON: {error}"
    if not isinstance(row, dict):
        return "not a JSON object"
    if "\\u" in text:  # JSON can spell half a character, as \\ud800, which UTF-8 cannot
        for name, value in row.items():
            if has_surrogate(json.dumps([name, value], ensure_ascii=False)):
                return f"the {printable(name)} is not UTF-8"
    return row


class _Lines:
    """The physical lines of a file as text, with their numbers, and a way back to a row's second line.

    Bytes that are no UTF-8 survive as surrogates, so that a bad row can be named and the next one read.
    """

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._source = iter(lines)
        self._again: deque[str] = deque()
        self._row: list[str] = []
        self._size = 0
        self.line = 1  # the physical line on which the current row begins

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        text = self._again.popleft() if self._again else _decoded(next(self._source))
        self._row.append(text)
        self._size += len(text)
        if self._size > MAX_ROW:
            raise csv.Error("the row is longer than a megabyte")
        return text

    def first_text(self) -> str | None:
        """Return the first line that is not blank, without a byte order mark; leave it to be read."""
        for data in self._source:
            text = _decoded(data)
            if self.line == 1:
                text = text.removeprefix("\ufeff")
            if text.strip():
                self._again.append(text)
                return text.lstrip()
            self.line += 1
        return None

    def is_utf8(self) -> bool:
        """Say whether the current row was valid UTF-8."""
        return not any(map(has_surrogate, self._row))

    def swallowed(self, width: int, fields: int) -> bool:
        """Say whether the current row, read as so many fields, runs over several lines by mistake.

        A quote that is never closed ends at the first quote of a later row; read as it stands, the rows
        between would be lost in one field. It shows: quotes come in pairs, and here one has no partner. Or
        it has one, in another such row: then the fields are not as many as they should be, and among the
        lines are rows as they should be.
        """
        if len(self._row) == 1:
            return False
        if sum(text.count('"') for text in self._row) % 2:
            return True
        return fields != width and any('"' not in text and text.count(",") == width - 1 for text in self._row)

    def next_row(self) -> None:
        """Forget the current row; the next line read begins the next one."""
        self.line += len(self._row)
        self._row.clear()
        self._size = 0

    def read_again(self) -> None:
        """Take only the current row's first line as read: those behind it are read once more."""
        self._again.extendleft(reversed(self._row[1:]))
        del self._row[1:]


def _decoded(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def has_surrogate(text: str) -> bool:
    r"""Say whether a text holds what no UTF-8 can: a byte that was none, or half a character from JSON.

    >>> has_surrogate("\ud800"), has_surrogate("犬")
    (True, False)
    """
    return not text.isascii() and _SURROGATE.search(text) is not None


def printable(text: str) -> str:
    """Return a text with a mark in place of whatever cannot be written as UTF-8."""
    return _SURROGATE.sub("\ufffd", text)
