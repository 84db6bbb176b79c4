"""Pictures in a folder: which references lie in it, and reading them safely."""

from pathlib import Path

from bulkqa.errors import InputError, NotFoundError
from bulkqa.flow.corpus import Item, Keep

SCHEME = "local://"

MEDIA_TYPES = {
    ".avif": "image/avif",
    ".bmp": "image/bmp",
    ".gif": "image/gif",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".webp": "image/webp",
}
"""The kinds of files that are served, by their suffix in lower case."""


def find_in(root: Path) -> Keep:
    """Return a check for a launch: a reference has to be a picture below `root`, and becomes `local://...`.

    URLs stay as they are.
    """

    def keep(item: Item) -> Item:
        path = item.image.removeprefix(SCHEME)
        if "://" in path:
            return item
        picture(root, path)
        return Item(f"{SCHEME}{path}", item.label, item.confidence)

    return keep


def picture(root: Path, path: str) -> tuple[Path, str]:
    """Return the file of a picture and its media type.

    Raises `InputError` for a path that leads out of `root`, links followed, or to a file of another
    kind; `NotFoundError` where there is none.
    """
    if "\0" in path:
        raise InputError("a path holds no NUL character")
    folder = root.resolve()
    file = (folder / path).resolve()
    if not file.is_relative_to(folder):
        raise InputError(f"{path!r} leads out of the pictures' folder")
    media_type = MEDIA_TYPES.get(file.suffix.lower())
    if media_type is None:
        raise InputError(f"{path!r} is no picture: {', '.join(MEDIA_TYPES)} are")
    if not file.is_file():
        raise NotFoundError(f"{path!r} is not in the pictures' folder {root}")
    return file, media_type
