"""Pictures are served from below their folder, and from nowhere else."""

from pathlib import Path

import pytest

from bulkqa.errors import InputError, NotFoundError
from bulkqa.flow.corpus import Item
from bulkqa.local.pictures import find_in, picture


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder of pictures beside a secret."""
    root = tmp_path / "pictures"
    (root / "dogs").mkdir(parents=True)
    (root / "dogs" / "a b.JPG").write_bytes(b"jpeg")
    (root / "notes.txt").write_text("private")
    (tmp_path / "secret.png").write_bytes(b"secret")
    (root / "way-out.png").symlink_to(tmp_path / "secret.png")
    return root


def test_a_picture_is_found_with_its_kind(root: Path) -> None:
    """The file below the root and its media type, whatever the suffix' case."""
    assert picture(root, "dogs/a b.JPG") == ((root / "dogs" / "a b.JPG").resolve(), "image/jpeg")


@pytest.mark.parametrize(
    "path", ["../secret.png", "dogs/../../secret.png", "way-out.png", "/etc/passwd", "a\0.png"]
)
def test_no_path_leads_out(root: Path, path: str) -> None:
    """Climbing, absolute paths and links that point outside are refused."""
    with pytest.raises(InputError):
        picture(root, path)


def test_only_pictures_are_served(root: Path) -> None:
    """Other files are refused, and missing ones named."""
    with pytest.raises(InputError, match="no picture"):
        picture(root, "notes.txt")
    with pytest.raises(NotFoundError, match=r"b\.png"):
        picture(root, "b.png")


def test_a_launch_makes_references_of_paths(root: Path) -> None:
    """A path becomes a reference below the root; URLs stay; a missing picture is refused."""
    keep = find_in(root)
    assert keep(Item("dogs/a b.JPG", "Dog", 9.0)) == Item("local://dogs/a b.JPG", "Dog", 9.0)
    assert keep(Item("s3://b/k.png", "Dog", 9.0)).image == "s3://b/k.png"
    with pytest.raises(InputError):
        keep(Item("dogs/b.jpg", "Dog", 9.0))
