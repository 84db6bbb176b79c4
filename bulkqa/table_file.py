"""Files of label-table rows, CSV or JSON Lines, with the table's attribute names.

What `export` writes, `report` and the other commands read; so are tables that people have from
elsewhere, with counts alone.
"""

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping

from bulkqa.errors import InputError
from bulkqa.flow.records import Records, Rejected
from bulkqa.flow.votes import LabelRow

KEY = ("s3_image_url", "label", "confidence")
COUNTS = ("WorkerConfirmCount", "WorkerDisconfirmCount", "WorkerCannotJudgeCount")
VOTERS = ("ConfirmedBy", "DisconfirmedBy", "CannotJudgeBy")
OTHERS = ("jobs", "model", "source", "created_at")
ATTRIBUTES = (*KEY, *COUNTS, *VOTERS, *OTHERS)
"""The attributes of a row in the order in which a file has them."""


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
        yield _row(line, {name: fields[place] for name, place in columns if fields[place]})


def _of_json(records: Records) -> Iterator[LabelRow | Rejected]:
    for record in records:
        if isinstance(record, Rejected):
            yield record
            continue
        line, fields = record
        assert isinstance(fields, dict)  # noqa: S101  that is what a file without a header has
        yield _row(line, fields)


def _row(line: int, fields: Mapping[str, object]) -> LabelRow | Rejected:
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


def as_json_lines(rows: Iterable[LabelRow]) -> Iterator[str]:
    """Yield each row as a line of JSON."""
    for row in rows:
        yield json.dumps(record(row), ensure_ascii=False) + "\n"


def as_csv(rows: Iterable[LabelRow]) -> Iterator[str]:
    """Yield the header and each row as CSV; sets of names as JSON lists."""
    text = io.StringIO()
    writer = csv.DictWriter(text, ATTRIBUTES, restval="")
    writer.writeheader()
    for row in rows:
        fields = record(row)
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
