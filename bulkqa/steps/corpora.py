"""Making a corpus: asks a model for the labels of pictures, and keeps what it says, picture by picture.

The corpus file grows as the answers come, and a run that was interrupted goes on where it stopped. Beside
it lies `<file>.log`, JSON Lines: what the labels were asked for, then every picture that has no row, and
why; at the end of a run how long the corpus then was.
"""

import csv
import io
import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import chain, groupby
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from bulkqa import SCHEMA
from bulkqa.errors import BulkqaError, ConflictError, InputError
from bulkqa.flow.corpus import Item, read_corpus
from bulkqa.flow.on_disk import OnDisk
from bulkqa.flow.records import Rejected
from bulkqa.ports import Notice
from bulkqa.steps.notices import counted

Label = Callable[[Iterable[str]], Iterator[tuple[str, Sequence[Item] | str]]]
"""Gives images, in their order, each with its labels, or with why it could not be read."""

BUILTIN = "builtin"
"""What the labels that the service knows by itself are called."""

HEADER = ("image", "label", "confidence")
SUFFIXES = (".jpg", ".jpeg", ".png")
"""Ends of the names of pictures that Rekognition reads, in either case."""

_SHOWN = 5
_HOPELESS = 20
"""Where so many pictures cannot be read, and none can, the fault is the place's and not theirs."""


class Asked(NamedTuple):
    """What labels are asked for: the model's, None being the service's own, and from which confidence on."""

    model: str | None
    minimum: float

    def as_json(self) -> dict[str, object]:
        """Return the first line of the log."""
        return {"schema": SCHEMA, "model": self.model or BUILTIN, "min_confidence": self.minimum}


@dataclass(slots=True)
class Labelled:
    """What a run came to: pictures by what became of them, and the rows that came of those labelled now.

    `others` are objects that are no pictures by their names, `before` pictures that were done already,
    `unreadable` the first that could not be read, and why.
    """

    others: int = 0
    before: int = 0
    labelled: int = 0
    rows: int = 0
    without: int = 0
    failed: int = 0
    unreadable: list[tuple[str, str]] = field(default_factory=list)


class _Images(OnDisk):
    """The images to ask for, in their order, without those that are done."""

    def __init__(self, images: Iterable[str]) -> None:
        super().__init__("CREATE TABLE image (name TEXT PRIMARY KEY, done INTEGER DEFAULT 0)")
        self._fill("INSERT OR IGNORE INTO image (name) VALUES (?)", ((image,) for image in images))

    def leave_out(self, images: Iterable[str]) -> int:
        """Take these as done; return how many of them are among the images."""
        self._fill("UPDATE image SET done = 1 WHERE name = ?", ((image,) for image in images))
        return self._number(1)

    def __len__(self) -> int:
        return self._number(0)

    def _number(self, done: int) -> int:
        return int(self._db.execute("SELECT count(*) FROM image WHERE done = ?", (done,)).fetchone()[0])

    def __iter__(self) -> Iterator[str]:
        for (image,) in self._db.execute("SELECT name FROM image WHERE NOT done ORDER BY rowid"):
            yield image


def label_images(objects: Iterable[str], label: Label, asked: Asked, path: Path, notice: Notice) -> Labelled:
    """Ask for the labels of pictures and write them to `path`, a corpus as `launch` reads it.

    Pictures are those `objects` whose names say so (`SUFFIXES`). One that is in the file, or in the log as
    one without a label, is not asked for again; one that could not be read is. Raises `ConflictError` where
    the file was made by another model or from another confidence, `InputError` where it is no such file or
    there is no picture, and whatever `label` raises; what came before is kept.
    """
    done = Labelled()
    with _Images(_pictures(counted(objects, "listing", 0, notice), done)) as images:
        if not len(images):
            raise InputError(
                f"{done.others} objects and no picture by its name ({', '.join(SUFFIXES)}) to be labelled"
            )
        with _appending(path, asked) as files:
            done.before = images.leave_out(chain(_images_in(path), _without_label(_log_of(path))))
            number = len(images)
            for place, (image, found) in enumerate(label(images)):
                notice("asking", place, number)
                _keep(image, found, files, done)
                if done.failed == place + 1 == _HOPELESS and not done.before:
                    raise BulkqaError(
                        f"not one of the first {_HOPELESS} pictures could be read, so no more were asked "
                        f"for; of {image} it is said: {found}"
                    )
            notice("asking", number, number)
    return done


def _pictures(objects: Iterable[str], done: Labelled) -> Iterator[str]:
    for name in objects:
        if name.lower().endswith(SUFFIXES):
            yield name
        else:
            done.others += 1


def _keep(image: str, found: Sequence[Item] | str, files: "_Files", done: Labelled) -> None:
    """Write down what was said of an image."""
    if isinstance(found, str):
        files.note({"image": image, "unreadable": found})
        done.failed += 1
        if len(done.unreadable) < _SHOWN:
            done.unreadable.append((image, found))
    elif found:
        files.add(found)
        done.labelled += 1
        done.rows += len(found)
    else:
        files.note({"image": image, "without_label": True})
        done.without += 1


def _log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.log")


class _Files:
    """The corpus and its log, to which whole lines are added, all of an image at once."""

    def __init__(self, corpus: int, log: int) -> None:
        self._corpus = corpus
        self._log = log

    def add(self, items: Iterable[Item]) -> None:
        """Add an image's rows."""
        _append(self._corpus, _as_csv(items))

    def note(self, entry: Mapping[str, object]) -> None:
        """Add a line to the log."""
        _append(self._log, _as_line(entry))

    def end_line(self) -> None:
        """End the log's last line, half of which a run may have left."""
        _append(self._log, "\n")

    def close(self) -> None:
        """Note how long the corpus is, which tells that nothing broke off, and close both."""
        with suppress(OSError, BulkqaError):  # a full disk, of which was told already
            os.fsync(self._corpus)
            self.note({"length": os.fstat(self._corpus).st_size})
        os.close(self._corpus)
        os.close(self._log)


@contextmanager
def _appending(path: Path, asked: Asked) -> Iterator[_Files]:
    """Open both files at their ends: begun where they are not there, mended where a run broke off."""
    log = _log_of(path)
    try:
        if path.exists():
            _check(path, log, asked)
            if not _is_whole(path, log):
                _mend(path)
            if not log.exists():
                _place(log, _as_line(asked.as_json()))
        else:
            _place(log, _as_line(asked.as_json()))
            _place(path, ",".join(HEADER) + "\n")
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        files = _Files(os.open(path, flags), os.open(log, flags))
    except OSError as error:
        raise InputError(f"{error.filename}: {error.strerror}") from None
    try:
        if not _ends_a_line(log):
            files.end_line()
        yield files
    finally:
        files.close()


def _check(path: Path, log: Path, asked: Asked) -> None:
    """Refuse a file that is none of ours, or was made of something else."""
    with path.open("rb") as file:
        if file.readline().strip() != ",".join(HEADER).encode():
            raise InputError(f"{path}: there is something else already; name a new file")
    before = next(_entries(log), None)
    if before is not None and before != asked.as_json():
        raise ConflictError(
            f"{path} has the labels of {before.get('model')} from {before.get('min_confidence')} on, "
            f"not of {asked.model or BUILTIN} from {asked.minimum:g} on: name a new file"
        )


def _is_whole(path: Path, log: Path) -> bool:
    """Say whether the file is as a run left it that ended, or of somebody else's making, and ends a line."""
    entries = deque(_entries(log), maxlen=1)
    return _ends_a_line(path) and (not entries or entries[0].get("length") == path.stat().st_size)


def _ends_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        return file.seek(0, os.SEEK_END) == 0 or (file.seek(-1, os.SEEK_END) >= 0 and file.read() == b"\n")


def _mend(path: Path) -> None:
    """Take out what may not be whole: the rows of the last image, and half a row behind them."""
    new = path.with_name(f".{path.name}.new")
    last: list[Item] = []
    with new.open("w", encoding="utf-8", newline="") as file:
        file.write(",".join(HEADER) + "\n")
        for _, items in groupby(_items_in(path, half=True), key=attrgetter("image")):
            file.write(_as_csv(last))
            last = list(items)
    new.replace(path)


def _items_in(path: Path, half: bool = False) -> Iterator[Item]:
    """Yield the rows of a corpus file, of which the last may be `half` a row; else one is an `InputError`."""
    with path.open("rb") as file:
        rows = read_corpus(file, path.name)
        for row in rows:
            if not isinstance(row, Rejected):
                yield row.item
            elif not half or next(rows, None) is not None:
                raise InputError(f"{path}, line {row.line}: {row.reason}")


def _images_in(path: Path) -> Iterator[str]:
    return (item.image for item in _items_in(path))


def _without_label(log: Path) -> Iterator[str]:
    return (str(entry["image"]) for entry in _entries(log) if "without_label" in entry)


def _entries(log: Path) -> Iterator[dict[str, object]]:
    """Yield the lines of a log, if there is one; half a line, where a run broke off, is passed over."""
    if log.exists():
        with log.open("rb") as file:
            for line in file:
                with suppress(ValueError):
                    entry = json.loads(line)
                    if isinstance(entry, dict):
                        yield entry


def _as_csv(items: Iterable[Item]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(items)
    return text.getvalue()


def _as_line(entry: Mapping[str, object]) -> str:
    return json.dumps(entry, ensure_ascii=False) + "\n"


def _place(path: Path, text: str) -> None:
    """Write a file that is there whole or not at all."""
    new = path.with_name(f".{path.name}.new")
    new.write_text(text, "utf-8")
    new.replace(path)


def _append(file: int, text: str) -> None:
    """Write all of a text or, where the disk is full, nothing."""
    data, end = text.encode(), os.fstat(file).st_size
    try:
        written = os.write(file, data)
    except OSError as error:
        raise BulkqaError(f"the corpus cannot be written any further: {error.strerror}") from None
    if written < len(data):
        os.ftruncate(file, end)
        raise BulkqaError("the corpus cannot be written any further: the disk is full")
