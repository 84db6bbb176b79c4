"""The secret behind links and cookies."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bulkqa.errors import BulkqaError
from bulkqa.local.secret import secret_in


def test_the_secret_is_made_once(tmp_path: Path) -> None:
    """It stays the same, differs from that of another folder, and only its owner can read it."""
    first = secret_in(tmp_path / "a")
    assert secret_in(tmp_path / "a") == first
    assert secret_in(tmp_path / "b") != first
    assert len(first) == 32
    assert (tmp_path / "a" / "secret").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["secret"]


def test_a_damaged_secret_is_not_used(tmp_path: Path) -> None:
    """A file too short to be a secret is an error that says what to do."""
    (tmp_path / "secret").write_bytes(b"short")
    with pytest.raises(BulkqaError, match="delete it"):
        secret_in(tmp_path)


def test_many_at_once_get_the_same_secret(tmp_path: Path) -> None:
    """Whoever comes first makes it; all get that one."""
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: secret_in(tmp_path), range(8)))) == 1
