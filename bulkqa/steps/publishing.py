"""Publish: what comes with bulkqa and is used from the bucket goes there, as a stack is deployed."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from bulkqa.ports import Blobs
from bulkqa.shipped import shipped

SAMPLE = "samples/emoji"


def template_key() -> str:
    """Return where the worker template is published: under a name that follows from its text.

    A labeling job goes on with the template it began with, whatever is deployed meanwhile.
    """
    digest = hashlib.sha256(_template().read_bytes()).hexdigest()[:12]
    return f"templates/worker-{digest}.liquid.html"


def publish(blobs: Blobs) -> str:
    """Write the worker template and the sample into the bucket; return the template's address."""
    key = template_key()
    blobs.write_all([(key, _template().read_bytes()), *_sample()])
    return blobs.uri(key)


def _template() -> Path:
    return shipped("templates/worker.liquid.html")


def _sample() -> Iterator[tuple[str, bytes]]:
    folder = shipped(SAMPLE)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        yield f"{SAMPLE}/{path.relative_to(folder).as_posix()}", path.read_bytes()
