"""Blobs in a folder: one file each, written beside its place and moved there whole."""

import itertools
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from bulkqa.errors import BulkqaError, InputError, NotFoundError
from bulkqa.ports import check_key

_SCHEME = "local://"
_numbers = itertools.count()


class LocalBlobs:
    """`bulkqa.ports.Blobs` below the folder `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, key: str) -> bytes:
        """See `Blobs.read`."""
        try:
            with open(self._name(key), "rb", buffering=0) as file:  # noqa: PTH123  reports read every page's file
                return file.read()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise NotFoundError(f"{self._path(key)} does not exist") from None

    def read_all(self, keys: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """See `Blobs.read_all`."""
        return ((key, self.read(key)) for key in keys)

    def write(self, key: str, data: bytes) -> None:
        """See `Blobs.write`."""
        self._store(key, _writing(data), os.replace, sync=True)

    def write_file(self, key: str, source: BinaryIO) -> None:
        """See `Blobs.write_file`."""
        self._store(key, lambda file: shutil.copyfileobj(source, file), os.replace, sync=True)

    def write_all(self, blobs: Iterable[tuple[str, bytes]]) -> None:
        """See `Blobs.write_all`."""
        for key, data in blobs:
            # Waiting for the disk at every file would take longer than all the rest of a launch.
            self._store(key, _writing(data), os.replace, sync=False)
        os.sync()

    def create(self, key: str, data: bytes) -> bool:
        """See `Blobs.create`."""
        try:
            # A hard link fails where the name is taken, and shows the whole file where it is not.
            self._store(key, _writing(data), _link, sync=True)
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
        return Path(self._name(key))

    def _name(self, key: str) -> str:
        return os.path.join(self._root, check_key(key))  # noqa: PTH118  a launch comes here for every page: no Path

    def _store(
        self, key: str, fill: Callable[[BinaryIO], object], place: Callable[[str, str], object], sync: bool
    ) -> None:
        name = self._name(key)
        folder, _, last = name.rpartition("/")
        new = f"{folder}/.{last}.{os.getpid()}-{next(_numbers)}"
        try:
            try:
                file = open(new, "xb")  # noqa: PTH123, SIM115
            except FileNotFoundError:
                os.makedirs(folder, exist_ok=True)  # noqa: PTH103
                file = open(new, "xb")  # noqa: PTH123, SIM115
            try:
                with file:
                    fill(file)
                    if sync:
                        file.flush()
                        os.fsync(file.fileno())
                place(new, name)
            except BaseException:
                os.unlink(new)  # noqa: PTH108
                raise
        except FileExistsError:
            raise
        except OSError as error:
            raise BulkqaError(f"could not write {name}: {error}") from error
        if sync:
            _sync_folder(folder)


def _writing(data: bytes) -> Callable[[BinaryIO], object]:
    return lambda file: file.write(data)


def _link(new: str, name: str) -> None:
    os.link(new, name)
    os.unlink(new)  # noqa: PTH108


def _sync_folder(folder: str) -> None:
    """Make sure that the name, too, is on disk."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
