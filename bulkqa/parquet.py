"""Parquet files, read and written as JSON Lines, so that whatever does so does them too.

Needs the extra `analysis`.
"""

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory
from typing import Any, BinaryIO

from bulkqa.errors import BulkqaError, InputError

_MAGIC = b"PAR1"
_ROWS = 2000


def is_parquet(path: Path) -> bool:
    """Say whether a file is Parquet, by its first bytes."""
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield each row of a Parquet file as a line of JSON; the first row is line 1.

    Raises `BulkqaError` where duckdb is not installed, `InputError` for a file that cannot be read.
    """
    duckdb = load_duckdb()
    with NamedTemporaryFile(suffix=".parquet") as copy:  # duckdb wants a file, which a stream need not be
        shutil.copyfileobj(file, copy)
        copy.flush()
        with connected(duckdb) as connection:
            try:
                cursor = connection.execute("SELECT * FROM read_parquet(?)", [copy.name])
                names = [column[0] for column in cursor.description]
                while rows := cursor.fetchmany(_ROWS):
                    for row in rows:
                        fields = {
                            name: value for name, value in zip(names, row, strict=True) if value is not None
                        }
                        yield json.dumps(fields, ensure_ascii=False, default=_plain).encode() + b"\n"
            except duckdb.Error as error:
                raise InputError(f"not readable as Parquet: {error}") from None


def write(lines: Iterable[str], columns: Mapping[str, str], path: Path) -> None:
    """Write lines of JSON to a Parquet file; `columns` are their names and types in SQL.

    Raises `BulkqaError` where duckdb is not installed or the file cannot be written.
    """
    duckdb = load_duckdb()
    with TemporaryDirectory() as folder:
        rows = Path(folder, "rows.jsonl")
        with rows.open("w", encoding="utf-8") as file:
            file.writelines(lines)
        with connected(duckdb) as connection:
            try:
                # Row by row it would take many times as long.
                connection.execute(
                    f"COPY (FROM read_json({quoted(str(rows))}, format = 'newline_delimited', columns = {{"
                    + ", ".join(f"{quoted(name)}: {quoted(kind)}" for name, kind in columns.items())
                    + f"}})) TO {quoted(str(path))} (FORMAT parquet, COMPRESSION zstd)"
                )
            except duckdb.Error as error:
                raise BulkqaError(f"{path.name}: not written as Parquet: {error}") from None


def quoted(text: str) -> str:
    """Return a text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"


def connected(duckdb: Any) -> Any:
    """Return a connection to a database in memory that keeps quiet however long it takes."""
    connection = duckdb.connect()
    connection.execute("SET enable_progress_bar = false")
    return connection


def load_duckdb() -> Any:
    """Return the module; raise `BulkqaError` where it is not installed."""
    try:
        import duckdb
    except ImportError:
        raise BulkqaError("Parquet needs the extra 'analysis': pip install 'bulkqa[analysis]'") from None
    return duckdb


def _plain(value: object) -> object:
    """Return a value that JSON has no word for as one it has."""
    if isinstance(value, Decimal):
        return float(value)
    return value.isoformat() if isinstance(value, date | datetime) else str(value)
