"""Files of label-table rows, CSV or JSON Lines, with the table's attribute names.

What `export` writes, `report` and the other commands read; so are tables that people have from
elsewhere, with counts alone, and what DynamoDB itself exports (`{"Item": {...}}`, a row a line).
"""

import csv
import gzip
import io
import json
import math
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from bulkqa import SCHEMA, parquet
from bulkqa.errors import InputError
from bulkqa.flow.records import Records, Rejected
from bulkqa.flow.rounds import Final
from bulkqa.flow.votes import LabelRow

KEY = ("s3_image_url", "label", "confidence")
COUNTS = ("WorkerConfirmCount", "WorkerDisconfirmCount", "WorkerCannotJudgeCount")
VOTERS = ("ConfirmedBy", "DisconfirmedBy", "CannotJudgeBy")
OTHERS = ("jobs", "model", "source", "created_at")
ATTRIBUTES = (*KEY, *COUNTS, *VOTERS, *OTHERS)
"""The attributes of a row in the order in which a file has them."""

_TEXT, _NAMES = "VARCHAR", "VARCHAR[]"
COLUMNS = (
    dict.fromkeys(ATTRIBUTES, _TEXT)
    | {"confidence": "DOUBLE", "jobs": _NAMES}
    | dict.fromkeys(COUNTS, "BIGINT")
    | dict.fromkeys(VOTERS, _NAMES)
    | {"job": _TEXT, "voters": _NAMES, "schema": "INTEGER"}
)
"""The columns of an export, and their types in SQL."""

FINAL_COLUMNS = COLUMNS | dict.fromkeys(("final_label", "how", "decided_in"), _TEXT)
"""The columns of an export of final labels."""


_GZIP = b"\x1f\x8b"


def is_zipped(path: Path) -> bool:
    """Say whether a file is compressed with gzip, by its first bytes."""
    with path.open("rb") as file:
        return file.read(len(_GZIP)) == _GZIP


def opened(path: Path) -> BinaryIO:
    """Open a file, as what it is without compression."""
    return gzip.open(path) if is_zipped(path) else path.open("rb")  # type: ignore[return-value]


def rows(path: Path) -> Iterator[LabelRow | Rejected]:
    """Yield the rows of a file of any form: CSV, JSON Lines, either compressed with gzip, or Parquet."""
    with opened(path) as file:
        lines = parquet.lines(file) if parquet.is_parquet(path) else _lines(file, path.name)
        yield from read_rows(lines, path.name)


def _lines(file: BinaryIO, name: str) -> Iterator[bytes]:
    try:
        yield from file
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{name}: not readable as gzip: {error}") from None


def read_rows(lines: Iterable[bytes], name: str) -> Iterator[LabelRow | Rejected]:
    r"""Yield the rows of a file; one that cannot be used as a `Rejected`. `name` is the file's.

    `label` and `confidence` are needed; a count that is absent or empty is 0. Where a row names its
    voters, they are counted and not the counts believed.

    >>> rows = read_rows([b"label,confidence,WorkerConfirmCount\n", b"Dog,85,2\n"], "x.csv")
    >>> next(rows).outcome.value
    'confirmed'
    """
    records = Records(lines, name)
    header = records.header
    if header is None:
        return _of_json(records)
    for needed in ("label", "confidence"):
        records.column(needed)
    columns = [(name, records.column(name)) for name in ATTRIBUTES if name in header]
    return _of_csv(records, columns)


def _of_csv(records: Records, columns: list[tuple[str, int]]) -> Iterator[LabelRow | Rejected]:
    for record in records:
        if isinstance(record, Rejected):
            yield record
            continue
        line, fields = record
        assert isinstance(fields, list)  # noqa: S101  that is what a file with a header has
        yield read_row(line, {name: fields[place] for name, place in columns if fields[place]})


def _of_json(records: Records) -> Iterator[LabelRow | Rejected]:
    for record in records:
        if isinstance(record, Rejected):
            yield record
            continue
        line, fields = record
        assert isinstance(fields, dict)  # noqa: S101  that is what a file without a header has
        item = fields.get("Item")
        if "label" in fields or not isinstance(item, dict):
            yield read_row(line, fields)
            continue
        try:
            yield read_row(line, {name: _plain(item[name], name) for name in ATTRIBUTES if name in item})
        except InputError as error:
            yield Rejected(line, str(error))


def _plain(value: object, name: str) -> object:
    """Return a value of a row as DynamoDB's JSON has it, under its type: S, N, SS or NULL.

    >>> _plain({"N": "85.5"}, "confidence"), _plain({"SS": ["dogs/ana"]}, "ConfirmedBy")
    ('85.5', ['dogs/ana'])
    """
    if isinstance(value, dict) and len(value) == 1:
        (kind,) = value
        found = value[kind]
        if kind == "NULL":
            return None
        # A count written as a text would be none to DynamoDB, and a name that is a number no name.
        wanted = "N" if name in ("confidence", *COUNTS) else "SS" if name in (*VOTERS, "jobs") else "S"
        if kind == wanted and isinstance(found, list if kind == "SS" else str):
            return found
    raise InputError(f"{name} is no such attribute as DynamoDB exports: {repr(value)[:60]}")


def read_row(line: int, fields: Mapping[str, object]) -> LabelRow | Rejected:
    """Return a row given by its attributes, or why it cannot be used.

    >>> read_row(7, {"label": "Dog", "confidence": 101})
    Rejected(line=7, reason='confidence 101 is outside 0-100')
    """
    try:
        label = fields.get("label")
        if not isinstance(label, str) or not label:
            raise InputError("the label is empty")
        confidence = _number(fields.get("confidence"), "confidence")
        if not 0 <= confidence <= 100:
            raise InputError(f"confidence {confidence:g} is outside 0-100")
        confirmed_by, disconfirmed_by, cannot_judge_by = (_names(fields.get(name), name) for name in VOTERS)
        if confirmed_by or disconfirmed_by or cannot_judge_by:
            counts = (len(confirmed_by), len(disconfirmed_by), len(cannot_judge_by))
        else:
            confirms, disconfirms, cannot_judges = (_count(fields.get(name), name) for name in COUNTS)
            counts = (confirms, disconfirms, cannot_judges)
        return LabelRow(
            (str(fields.get("s3_image_url") or ""), label),
            confidence,
            *counts,
            confirmed_by,
            disconfirmed_by,
            cannot_judge_by,
            _names(fields.get("jobs"), "jobs"),
            _optional(fields.get("model")),
            _optional(fields.get("source")),
            _optional(fields.get("created_at")),
        )
    except InputError as error:
        return Rejected(line, str(error))


def _number(value: object, name: str) -> float:
    try:
        number = float(value) if isinstance(value, str | int | float) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number) or isinstance(value, bool):
        raise InputError(f"{name} {repr(value)[:60]} is not a number")
    return number


def _count(value: object, name: str) -> int:
    if value is None or value == "":
        return 0
    number = _number(value, name)
    if number < 0 or number != int(number):
        raise InputError(f"{name} {repr(value)[:60]} is not a count")
    return int(number)


_NOBODY: frozenset[str] = frozenset()


def _names(value: object, name: str) -> frozenset[str]:
    """Return a set of names: a JSON list, in CSV as text."""
    if value is None or value == "":
        return _NOBODY
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            value = None
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise InputError(f"{name} is not a list of names")
    return frozenset(value)


def _optional(value: object) -> str | None:
    return str(value) if value not in (None, "") else None


def record(row: LabelRow) -> dict[str, object]:
    """Return a row with the table's attribute names; what it does not have is left out.

    >>> record(LabelRow(("a.jpg", "Dog"), 85.0, 1, 0, 0, frozenset({"dogs/ana"})))["ConfirmedBy"]
    ['dogs/ana']
    """
    values: tuple[object, ...] = (
        *row.key,
        row.confidence,
        row.confirms,
        row.disconfirms,
        row.cannot_judges,
        sorted(row.confirmed_by),
        sorted(row.disconfirmed_by),
        sorted(row.cannot_judge_by),
        sorted(row.jobs),
        row.model,
        row.source,
        row.created_at,
    )
    return {name: value for name, value in zip(ATTRIBUTES, values, strict=True) if value not in (None, [])}


def exported(row: LabelRow, job: str | None, final: Final | None = None) -> dict[str, object]:
    """Return a row's record with what an export adds: its job, all its voters, its final label.

    A row that is exported from a file is of the one job that it names, if it names one.

    >>> exported(LabelRow(("a.jpg", "Dog"), 85.0, jobs=frozenset({"dogs"})), None)["job"]
    'dogs'
    """
    fields = record(row)
    if job is None and len(row.jobs) == 1:
        (job,) = row.jobs
    more = {"job": job, "voters": sorted(row.voters) or None, "schema": SCHEMA}
    if final is not None:
        more |= {"final_label": final.label, "how": final.how.value, "decided_in": final.job}
    return fields | {name: value for name, value in more.items() if value is not None}


def as_json_lines(records: Iterable[Mapping[str, object]]) -> Iterator[str]:
    """Yield each record as a line of JSON."""
    for fields in records:
        yield json.dumps(fields, ensure_ascii=False) + "\n"


def as_csv(records: Iterable[Mapping[str, object]], columns: Iterable[str] = COLUMNS) -> Iterator[str]:
    """Yield the header and each record as CSV; sets of names as JSON lists."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(columns), restval="")
    writer.writeheader()
    for fields in records:
        writer.writerow(
            {
                name: json.dumps(value, ensure_ascii=False) if isinstance(value, list) else value
                for name, value in fields.items()
            }
        )
        yield text.getvalue()
        text.seek(0)
        text.truncate()
    yield text.getvalue()
