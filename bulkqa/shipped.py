"""Files that come with bulkqa beside its code: templates and samples."""

from pathlib import Path

_PACKAGE = Path(__file__).parent


def shipped(name: str) -> Path:
    """Return the path of a shipped file or folder, such as `templates/worker.liquid.html`.

    In a checkout they lie beside the package, in an installed wheel inside it.
    """
    inside = _PACKAGE / "_shipped" / name
    return inside if inside.exists() else _PACKAGE.parent / name
