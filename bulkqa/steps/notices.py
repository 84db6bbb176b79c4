"""Word of long work, now and then."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from bulkqa.ports import Notice

T = TypeVar("T")


def counted(things: Iterable[T], stage: str, of: int, notice: Notice) -> Iterator[T]:
    """Yield `things`, and let `notice` hear how many have passed, of how many (0 where unknown)."""
    for number, thing in enumerate(things):
        if number % 1_000 == 0:
            notice(stage, number, of)
        yield thing
    notice(stage, of, of)
