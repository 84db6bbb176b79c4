"""Files of millions of rows, counted by column: rows that are alike come once, with their number.

For Parquet and for what DynamoDB exports; needs the extra `analysis`. What a row is, and which cannot be
used, is `table_file`'s business: a file with anything that is not plainly right is left to it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bulkqa.errors import BulkqaError
from bulkqa.flow.records import Rejected
from bulkqa.flow.votes import LabelRow
from bulkqa.parquet import connected, is_parquet, load_duckdb, quoted
from bulkqa.table_file import COUNTS, VOTERS, is_zipped, opened, read_row

_INTEGERS = {"BIGINT", "INTEGER", "SMALLINT", "TINYINT"}
_TYPES = (
    {"label": {"VARCHAR"}, "source": {"VARCHAR"}, "confidence": _INTEGERS | {"DOUBLE", "FLOAT"}}
    | dict.fromkeys(COUNTS, _INTEGERS)
    | dict.fromkeys(VOTERS, frozenset({"VARCHAR[]"}))
)
"""The columns that are looked at, and the types in SQL that they may have."""

_KINDS = dict.fromkeys(("label", "source"), "S") | dict.fromkeys(("confidence", *COUNTS), "N")
_KINDS |= dict.fromkeys(VOTERS, "SS")
"""Their types in DynamoDB."""

_BITS = {name: 1 << place for place, name in enumerate((*COUNTS, *VOTERS))}
_SLOT = 1 << len(_BITS)


def alike(paths: Sequence[Path], bounds: Sequence[float]) -> list[tuple[LabelRow, int]] | None:
    """Return the rows of files of one form, those that nothing below tells apart once, with their number.

    Told apart are label, source, which kinds of votes there are, and between which of `bounds` the confidence
    lies. A count or voter stands for any number of them, and images are left out. None where rows have to be
    read one by one: duckdb is not installed, or not every row is plainly right.
    """
    try:
        duckdb = load_duckdb()
    except BulkqaError:
        return None
    with connected(duckdb) as connection:
        connection.execute("SET preserve_insertion_order = false")
        try:
            relation, columns = _parquet(connection, paths) if is_parquet(paths[0]) else _export(paths)
            query = _query(relation, columns, bounds)
            return list(_rows(connection.execute(query).fetchall()))
        except (duckdb.Error, _OddError):
            return None


class _OddError(Exception):
    """There is something that has to be looked at row by row."""


def _parquet(connection: Any, paths: Sequence[Path]) -> tuple[str, Mapping[str, str]]:
    """Return the files as SQL has them, and each column that they have."""
    relation = f"read_parquet({_list(paths)})"
    found = {name: kind for name, kind, *_ in connection.execute(f"DESCRIBE FROM {relation}").fetchall()}
    columns = {name: f'"{name}"' for name in _TYPES if name in found}
    if any(found[name] not in _TYPES[name] for name in columns):
        raise _OddError
    return relation, columns


def _export(paths: Sequence[Path]) -> tuple[str, Mapping[str, str]]:
    """Return what DynamoDB exports (`{"Item": {"label": {"S": ...}, ...}}`, an item a line) in the same way.

    A number that is none, or an attribute of another type, is an error.
    """
    with opened(paths[0]) as file:
        if not file.read(7).startswith(b'{"Item"'):
            raise _OddError
    fields = ", ".join(
        f'"{name}" STRUCT("{kind}" VARCHAR{"[]" * (kind == "SS")})' for name, kind in _KINDS.items()
    )
    zipped = "gzip" if is_zipped(paths[0]) else "none"
    relation = (
        f"read_json({_list(paths)}, format = 'newline_delimited', compression = '{zipped}', "
        f"columns = {{Item: {quoted(f'STRUCT({fields})')}}})"
    )
    columns = {}
    for name, kind in _KINDS.items():
        value = f'Item."{name}"."{kind}"'
        wrong = f'Item."{name}" IS NOT NULL AND {value} IS NULL'
        if kind == "N":
            value = f"CAST({value} AS {'DOUBLE' if name == 'confidence' else 'BIGINT'})"
        columns[name] = f"CASE WHEN {wrong} THEN error('another type') ELSE {value} END"
    return relation, columns


def _query(relation: str, columns: Mapping[str, str], bounds: Sequence[float]) -> str:
    """Return the query: by label, source and one number for all the rest.

    That number is NULL where a row is odd. Bounds are mostly whole or half points, which doubling leaves
    exact; any others are compared one by one.
    """
    parts = ["CAST(floor(confidence * 2) AS INTEGER)"]
    parts += [f"(confidence >= {bound!r})::INTEGER" for bound in bounds if not float(bound * 2).is_integer()]
    key = [f"CASE WHEN confidence BETWEEN 0 AND 100 THEN ({' + '.join(parts)}) * {_SLOT} END"]
    for name, bit in _BITS.items():
        if name not in columns:
            continue
        if name in COUNTS:
            key.append(f'CASE WHEN "{name}" > 0 THEN {bit} WHEN "{name}" < 0 THEN NULL ELSE 0 END')
        else:
            odd = f'len("{name}") <> list_count("{name}")'
            key.append(f'CASE WHEN {odd} THEN NULL WHEN len("{name}") > 0 THEN {bit} ELSE 0 END')
    source = "source" if "source" in columns else "NULL"
    named = ", ".join(f'{value} AS "{name}"' for name, value in columns.items())
    return (
        f"SELECT label, {source}, {' + '.join(key)} AS kind, min(confidence), count(*) "
        f"FROM (SELECT {named} FROM {relation}) GROUP BY label, {source}, kind"
    )


def _rows(
    found: Sequence[tuple[str | None, str | None, int | None, float, int]],
) -> Iterator[tuple[LabelRow, int]]:
    for label, source, kind, confidence, number in found:
        if kind is None:
            raise _OddError
        fields: dict[str, object] = {"label": label, "source": source, "confidence": confidence}
        fields |= {name: 1 for name in COUNTS if kind & _BITS[name]}
        fields |= {name: ["*"] for name in VOTERS if kind & _BITS[name]}
        row = read_row(0, fields)
        if isinstance(row, Rejected):
            raise _OddError
        yield row, number


def _list(paths: Sequence[Path]) -> str:
    """Return the files as SQL names them; what would be a pattern stands for itself."""
    names = (re.sub(r"([*?[])", r"[\1]", str(path)) for path in paths)
    return f"[{', '.join(map(quoted, names))}]"
