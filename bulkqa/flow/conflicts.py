"""Conflicts: what the labels of one image say of each other.

Confirmed under two labels, an image has both, or one reviewer was wrong. Rejected under one label and
confirmed under another, it tells what the model took for what: a confusion pair without a further review.
"""

from collections.abc import Iterator
from itertools import combinations, groupby
from operator import itemgetter
from typing import NamedTuple

from bulkqa.flow.on_disk import OnDisk
from bulkqa.flow.votes import LabelRow, Outcome

EXAMPLES = 10
"""Images named for a pair of labels at most, the first in code-point order."""

PAIRS = 1000
"""Pairs of labels listed at most, those of most images first."""

_CHUNK = 2000


class Pair(NamedTuple):
    """Two labels, and the images that carry both in this way."""

    labels: tuple[str, str]
    images: int
    examples: tuple[str, ...]


class Conflicts(NamedTuple):
    """`twice`: confirmed under both labels. `confusions`: rejected as the first, confirmed as the second.

    Before each stands the number of images in any such pair.
    """

    confirmed_twice: int = 0
    twice: tuple[Pair, ...] = ()
    confused: int = 0
    confusions: tuple[Pair, ...] = ()


class _Pairs:
    """Pairs of labels as they are found, image by image in code-point order."""

    def __init__(self) -> None:
        self.images = 0
        self._found: dict[tuple[str, str], tuple[int, list[str]]] = {}

    def add(self, image: str, pairs: list[tuple[str, str]]) -> None:
        self.images += bool(pairs)
        for pair in pairs:
            number, examples = self._found.get(pair, (0, []))
            if number < EXAMPLES:
                examples.append(image)
            self._found[pair] = (number + 1, examples)

    def listed(self) -> tuple[Pair, ...]:
        pairs = [Pair(labels, number, tuple(examples)) for labels, (number, examples) in self._found.items()]
        pairs.sort(key=lambda pair: (-pair.images, pair.labels))
        return tuple(pairs[:PAIRS])


class Judgements(OnDisk):
    """Confirmed and rejected items, counted row by row in any order, and kept in a temporary file by image.

    A split item says neither, and a row without an image nothing. Memory depends on pairs of labels alone.

    >>> with Judgements() as judgements:
    ...     judgements.count(LabelRow(("a", "Dog"), 90.0, 0, 1))
    ...     judgements.count(LabelRow(("b", "Cat"), 90.0, 1, 0))
    ...     judgements.count(LabelRow(("a", "Cat"), 90.0, 1, 0))
    ...     judgements.conflicts().confusions
    (Pair(labels=('Dog', 'Cat'), images=1, examples=('a',)),)
    """

    def __init__(self) -> None:
        super().__init__("CREATE TABLE judged (image TEXT, label TEXT, confirmed INTEGER)")
        self._pending: list[tuple[str, str, bool]] = []

    def count(self, row: LabelRow) -> None:
        """Take in one item."""
        outcome = row.outcome
        if row.key[0] and (outcome is Outcome.CONFIRMED or outcome is Outcome.DISCONFIRMED):
            self._pending.append((*row.key, outcome is Outcome.CONFIRMED))
            if len(self._pending) == _CHUNK:
                self._spill()

    def _spill(self) -> None:
        self._fill("INSERT INTO judged VALUES (?, ?, ?)", self._pending)
        self._pending.clear()

    def conflicts(self) -> Conflicts:
        """Return what the labels of each image say of each other."""
        self._spill()
        twice, confusions = _Pairs(), _Pairs()
        for image, confirmed, rejected in self._images():
            twice.add(image, list(combinations(confirmed, 2)))
            confusions.add(image, [(one, other) for one in rejected for other in confirmed if one != other])
        return Conflicts(twice.images, twice.listed(), confusions.images, confusions.listed())

    def _images(self) -> Iterator[tuple[str, list[str], list[str]]]:
        """Yield each image of several labels: those confirmed and those rejected, each once and sorted."""
        rows = self._db.execute("SELECT image, label, confirmed FROM judged ORDER BY image")
        for image, of_it in groupby(rows, key=itemgetter(0)):
            labels = set(map(itemgetter(1, 2), of_it))
            if len(labels) > 1:
                confirmed = sorted(label for label, right in labels if right)
                yield image, confirmed, sorted(label for label, right in labels if not right)
