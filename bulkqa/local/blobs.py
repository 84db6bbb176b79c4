"""Blobs in a folder: one file each, written beside its place and moved there whole."""

import itertools
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from bulkqa.errors import BulkqaError, InputError, NotFoundError

_SCHEME = "local://"
_numbers = itertools.count()


class LocalBlobs:
    """`bulkqa.ports.Blobs` below the folder `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, key: str) -> bytes:
        """See `Blobs.read`."""
        try:
            return self._path(key).read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise NotFoundError(f"{self._path(key)} does not exist") from None

    def write(self, key: str, data: bytes) -> None:
        """See `Blobs.write`."""
        self._store(key, _writing(data), _replace, sync=True)

    def write_file(self, key: str, source: BinaryIO) -> None:
        """See `Blobs.write_file`."""
        self._store(key, lambda file: shutil.copyfileobj(source, file), _replace, sync=True)

    def write_all(self, blobs: Iterable[tuple[str, bytes]]) -> None:
        """See `Blobs.write_all`."""
        for key, data in blobs:
            # Waiting for the disk at every file would take longer than all the rest of a launch.
            self._store(key, _writing(data), _replace, sync=False)
        os.sync()

    def create(self, key: str, data: bytes) -> bool:
        """See `Blobs.create`."""
        try:
            # A hard link fails where the name is taken, and shows the whole file where it is not.
            self._store(key, _writing(data), lambda new, place: place.hardlink_to(new), sync=True)
        except FileExistsError:
            return False
        return True

    def keys(self, prefix: str) -> Iterator[str]:
        """See `Blobs.keys`."""
        for folder, folders, files in os.walk(self._path(prefix)):
            folders.sort()
            # Files come before the folders beside them; no folder of ours has both, so keys are sorted.
            for file in sorted(files):
                if not file.startswith("."):
                    yield Path(folder, file).relative_to(self._root).as_posix()

    def folders(self, prefix: str) -> list[str]:
        """See `Blobs.folders`."""
        try:
            return sorted(entry.name for entry in self._path(prefix).iterdir() if entry.is_dir())
        except (FileNotFoundError, NotADirectoryError):
            return []

    def uri(self, key: str) -> str:
        """See `Blobs.uri`."""
        return f"{_SCHEME}{key}"

    def key(self, uri: str) -> str:
        """See `Blobs.key`."""
        if not uri.startswith(_SCHEME):
            raise InputError(f"{uri!r} does not lie in {self._root}")
        self._path(key := uri.removeprefix(_SCHEME))
        return key

    def _path(self, key: str) -> Path:
        parts = PurePosixPath(key).parts
        if not parts or ".." in parts or key.startswith("/") or "\\" in key or "\0" in key:
            raise InputError(f"{key!r} is no key of a blob")
        return self._root.joinpath(*parts)

    def _store(
        self, key: str, fill: Callable[[BinaryIO], object], place: Callable[[Path, Path], object], sync: bool
    ) -> None:
        path = self._path(key)
        new = path.with_name(f".{path.name}.{os.getpid()}-{next(_numbers)}")
        try:
            try:
                file = new.open("xb")
            except FileNotFoundError:
                path.parent.mkdir(parents=True, exist_ok=True)
                file = new.open("xb")
            try:
                with file:
                    fill(file)
                    if sync:
                        file.flush()
                        os.fsync(file.fileno())
                place(new, path)
            finally:
                new.unlink(missing_ok=True)
        except FileExistsError:
            raise
        except OSError as error:
            raise BulkqaError(f"could not write {path}: {error}") from error
        if sync:
            _sync_folder(path.parent)


def _writing(data: bytes) -> Callable[[BinaryIO], object]:
    return lambda file: file.write(data)


def _replace(new: Path, place: Path) -> None:
    new.replace(place)


def _sync_folder(folder: Path) -> None:
    """Make sure that the name, too, is on disk."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
