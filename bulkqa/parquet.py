"""Parquet files as JSON Lines, so that whatever reads lines reads them too. Needs the extra `analysis`."""

import json
import shutil
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import BinaryIO

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
    try:
        import duckdb
    except ImportError:
        raise BulkqaError("Parquet needs the extra 'analysis': pip install 'bulkqa[analysis]'") from None
    with NamedTemporaryFile(suffix=".parquet") as copy:  # duckdb wants a file, which a stream need not be
        shutil.copyfileobj(file, copy)
        copy.flush()
        with duckdb.connect() as connection:
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


def _plain(value: object) -> object:
    """Return a value that JSON has no word for as one it has."""
    if isinstance(value, Decimal):
        return float(value)
    return value.isoformat() if isinstance(value, date | datetime) else str(value)
