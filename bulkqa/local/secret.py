"""The secret that signs the portal's links and cookies: made once, kept in a file only its owner can read."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

from bulkqa.errors import BulkqaError

_BYTES = 32


def secret_in(home: Path) -> bytes:
    """Return the secret kept in the folder `home`, made if there is none yet."""
    path = home / "secret"
    try:
        if not path.exists():
            home.mkdir(parents=True, exist_ok=True)
            new = home / f".secret.{secrets.token_hex(8)}"
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(secrets.token_bytes(_BYTES))
            with suppress(FileExistsError):  # another process was quicker: its secret is ours
                path.hardlink_to(new)
            new.unlink()
        data = path.read_bytes()
    except OSError as error:
        raise BulkqaError(f"{path}: {error}") from error
    if len(data) < _BYTES:
        raise BulkqaError(f"{path}: shorter than {_BYTES} bytes; delete it and send the reviewers new links")
    return data
