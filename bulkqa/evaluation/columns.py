"""Columns: files of predictions counted by column, by duckdb (extra `analysis`), and not line by line.

What a line is, and which cannot be used, is `predictions`' business: a file with anything that is not plainly
right is left to it.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bulkqa.errors import BulkqaError, InputError
from bulkqa.evaluation.confusion import ConfusionMatrix, Pair, of_pairs
from bulkqa.evaluation.predictions import read_predictions
from bulkqa.flow.corpus import IMAGE_FIELDS
from bulkqa.flow.records import Rejected
from bulkqa.parquet import connected, is_parquet, load_duckdb, quoted

_ALIKE = 65_536
"""So many lines that differ are read one by one; files with more have something in each that differs."""


def confusion_of_file(path: Path) -> ConfusionMatrix | None:
    """Return the confusion matrix of a file of predictions, Parquet or JSON Lines, without reading each line.

    Looked at are `ground_truth`, `predicted`, and where there are any `weight`, the scores and the images'
    names. None where the file has to be read line by line: it is of another kind, or has a line that is not
    plainly right (a label that is empty or no text, a score outside 0-1, an image twice).

    >>> from tempfile import NamedTemporaryFile
    >>> with NamedTemporaryFile(suffix=".jsonl") as file:
    ...     _ = file.write(b'{"ground_truth": "cat", "predicted": "dog"}')
    ...     file.flush()
    ...     confusion_of_file(Path(file.name)).counts
    ((0, 0), (1, 0))
    """
    if is_parquet(path):
        return _by_column(path, _parquet)
    alike = _lines_alike(path)
    if alike is None:
        return None
    return _of_alike(alike) if len(alike) <= _ALIKE else _by_column(path, _json_lines)


def _lines_alike(path: Path) -> Counter[bytes] | None:
    """Return the lines of a file of JSON Lines with their number, until there are many; None for others."""
    lines: Counter[bytes] = Counter()
    with path.open("rb") as file:
        if not file.read(1).startswith(b"{"):
            return None
        file.seek(0)
        while len(lines) <= _ALIKE and (part := file.readlines(1 << 20)):
            lines.update(part)
    return lines


def _of_alike(lines: Mapping[bytes, int]) -> ConfusionMatrix | None:
    """Return the matrix of lines, those alike read once."""
    numbers = list(lines.values())
    counts: dict[Pair, float] = {}
    weighted: dict[Pair, float] = {}
    is_weighted = False
    try:
        for found in read_predictions(lines):
            number = numbers[found.line - 1]
            if isinstance(found, Rejected) or (found.image and number > 1):
                return None
            pair = found.predicted, found.ground_truth
            weight = 1.0 if found.weight is None else found.weight
            counts[pair] = counts.get(pair, 0) + number
            weighted[pair] = weighted.get(pair, 0.0) + number * weight
            is_weighted |= found.weight is not None
    except InputError:
        return None
    return of_pairs(weighted if is_weighted else counts)


def _by_column(path: Path, relation_of: Callable[..., Any]) -> ConfusionMatrix | None:
    """Return the matrix of a file by what makes a relation of it."""
    try:
        duckdb = load_duckdb()
    except BulkqaError:
        return None
    with connected(duckdb) as connection:
        connection.execute("SET preserve_insertion_order = false")
        try:
            relation = relation_of(connection, path)
            return None if relation is None else _of_relation(connection, relation)
        except (duckdb.Error, ImportError):
            return None


class _Relation(NamedTuple):
    """A file as SQL has it: where from, the expressions of its columns, and what makes a row odd."""

    source: str
    image: str
    weight: str
    odd: Sequence[str]
    has_others: bool
    is_json: bool


_LABELS = ("predicted", "ground_truth")
_SHARES = ("score", "confidence")
_IMAGES = (*IMAGE_FIELDS, "source-ref")
_NUMBERS = {"BIGINT", "INTEGER", "SMALLINT", "TINYINT", "DOUBLE", "FLOAT"}


def _parquet(connection: Any, path: Path) -> _Relation | None:
    source = f"read_parquet({_name(path)})"
    types = {name: kind for name, kind, *_ in connection.execute(f"DESCRIBE FROM {source}").fetchall()}
    images = [name for name in _IMAGES if name in types]
    texts = (*_LABELS, *images)
    shares = [name for name in (*_SHARES, "weight") if name in types]
    if "scores" in types or any(types.get(name) != "VARCHAR" for name in texts):
        return None
    if any(types[name] not in _NUMBERS for name in shares):
        return None
    odd = [f"{name} NOT BETWEEN 0 AND 1" for name in shares if name in _SHARES]
    if "weight" in types:
        odd.append("weight < 0 OR NOT isfinite(weight)")
    empty = [f"nullif(\"{name}\", '')" for name in images]
    weight = "weight" if "weight" in types else "NULL"
    return _Relation(source, _first(empty), weight, odd, bool(shares or images), is_json=False)


def _json_lines(_connection: Any, path: Path) -> _Relation | None:
    """Return a file of JSON Lines, each value as the JSON it is: a number is no label."""
    if _is_loose(path):
        return None
    names = (*_LABELS, *_SHARES, "weight", "scores", *_IMAGES)
    fields = ", ".join(f"\"{name}\": 'JSON'" for name in names)
    source = f"read_json({_name(path)}, format = 'newline_delimited', columns = {{{fields}}})"
    odd = ["scores IS NOT NULL", *(f'left("{name}", 1) <> \'"\'' for name in _IMAGES)]
    numbers = "('UBIGINT', 'BIGINT', 'DOUBLE')"
    odd += [f"json_type({name}) NOT IN {numbers}" for name in (*_SHARES, "weight")]
    odd += [f"NOT coalesce(TRY_CAST({name} AS DOUBLE) BETWEEN 0 AND 1, {name} IS NULL)" for name in _SHARES]
    weight = "TRY_CAST(weight AS DOUBLE)"
    odd += [f"NOT coalesce({weight} >= 0 AND isfinite({weight}), weight IS NULL)"]
    empty = [f'nullif("{name}", \'""\')' for name in _IMAGES]
    return _Relation(source, _first(empty), weight, odd, has_others=True, is_json=True)


def _name(path: Path) -> str:
    """Return a file's name as SQL writes it; to duckdb it is a pattern, of which each sign stands for itself.

    >>> _name(Path("a*.jsonl"))
    "'a[*].jsonl'"
    """
    return quoted(re.sub(r"([*?\[])", r"[\1]", str(path)))


def _first(columns: Sequence[str]) -> str:
    return f"coalesce({', '.join(columns)})" if columns else "NULL"


_LOOSE = (b",}", b", }", b",]", b", ]", b"NaN", b"Inf")
"""What duckdb reads as JSON though it is none: nothing behind a comma, and numbers that are not finite."""


def _is_loose(path: Path) -> bool:
    """Say whether a file has any of that; a text that looks like it counts, too."""
    import numpy

    behind = b""
    with path.open("rb") as file:
        while chunk := file.read(1 << 16):
            letters = numpy.frombuffer(behind + chunk, dtype=numpy.uint8)
            for loose in _LOOSE:
                starts = max(0, len(letters) - len(loose) + 1)
                found = letters[:starts] == loose[0]
                for place in range(1, len(loose)):
                    found &= letters[place : place + starts] == loose[place]
                if found.any():
                    return True
            behind = chunk[-2:]
    return False


def _of_relation(connection: Any, relation: _Relation) -> ConfusionMatrix | None:
    rows = f"FROM {relation.source}"
    if relation.has_others:
        odd = " OR ".join(f"({one})" for one in relation.odd) or "FALSE"
        rows = (
            f"FROM (SELECT predicted, ground_truth, {relation.image} AS image, {relation.weight} AS weight, "
            f"coalesce({odd}, FALSE) AS odd {rows})"
        )
        others = "sum(coalesce(weight, 1)), count(weight), count(image), bool_or(odd)"
        found = connection.execute(_grouped(f"count(*), {others} {rows}")).fetchall()
    else:
        found = [
            (*row, 0, 0, 0, False) for row in connection.execute(_grouped(f"count(*) {rows}")).fetchall()
        ]
    labels = {value: _label(value, relation.is_json) for row in found for value in row[:2]}
    if not found or "" in labels.values() or any(is_odd for *_, is_odd in found):
        return None
    if any(images for *_, images, _ in found) and _has_twice(connection, rows):
        return None
    is_weighted = any(weights for *_, weights, _, _ in found)
    counts: dict[Pair, float] = {}
    for guess, truth, number, weight, *_ in found:
        pair = labels[guess], labels[truth]
        counts[pair] = counts.get(pair, 0) + (float(weight) if is_weighted else number)
    return of_pairs(counts)


def _grouped(columns: str) -> str:
    return f"SELECT predicted, ground_truth, {columns} GROUP BY predicted, ground_truth"


def _label(value: str | None, is_json: bool) -> str:
    """Return a label; an empty text where it is none, or nothing but spaces."""
    label = json.loads(value) if is_json and value is not None else value
    return label if isinstance(label, str) and not label.isspace() else ""


def _has_twice(connection: Any, rows: str) -> bool:
    """Say whether an image may come twice: by a hash of its name, which two names hardly ever share."""
    query = f"SELECT hash(image) AS image {rows} WHERE image IS NOT NULL"
    images = connection.execute(query).fetchnumpy()["image"]
    images.sort()
    return bool((images[1:] == images[:-1]).any())
