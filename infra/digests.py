"""Digests of sources: what is built or published from them changes when they do."""

import hashlib
from collections.abc import Iterator
from pathlib import Path


def sources(root: Path, *parts: str) -> Iterator[Path]:
    """Yield the files of folders below `root`, or files, in a fixed order; compiled code is none."""
    for part in parts:
        path = root / part
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and "__pycache__" not in file.parts:
                yield file


def digest_of(root: Path, *parts: str, salt: str = "") -> str:
    """Return a digest of the names and contents of these sources, and of `salt`."""
    digest = hashlib.sha256(salt.encode())
    for file in sources(root, *parts):
        digest.update(b"%s\0%d\0" % (file.relative_to(root).as_posix().encode(), file.stat().st_size))
        digest.update(file.read_bytes())
    return digest.hexdigest()
