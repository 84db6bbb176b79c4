"""Examples: of each cell of the table, label by band, some of the pictures behind its figures.

Rejected items first, then split ones, then confirmed ones. Among equals a hash of the picture's name
decides, so that what is shown is a fair draw, and the same one in whatever order the rows come.
"""

import zlib
from bisect import insort
from collections.abc import Sequence
from typing import NamedTuple

from bulkqa.flow.bands import band_of
from bulkqa.flow.votes import LabelRow, Outcome

PER_CELL = 12
"""Pictures of a cell at most."""

IN_ALL = 3000
"""Pictures of all cells together at most, unless there are more cells than that: these have one each."""

_RANKS = {Outcome.DISCONFIRMED: 0, Outcome.SPLIT: 1, Outcome.CONFIRMED: 2}
_OUTCOMES = tuple(_RANKS)


class Example(NamedTuple):
    """A reviewed item. Examples sort by what is shown first."""

    rank: int
    draw: int
    image: str
    confidence: float
    votes: tuple[int, int, int]


class CellExamples:
    """Keeps the examples of each cell, fed with one row after the other; `bounds` are the bands', rising."""

    def __init__(self, bounds: Sequence[float], per_cell: int = PER_CELL, in_all: int = IN_ALL) -> None:
        self._bounds = tuple(bounds)
        self._at_most = per_cell
        self._in_all = in_all
        self._cells: dict[tuple[str, int], list[Example]] = {}

    def add(self, row: LabelRow) -> None:
        """Take a row into account; one that is not reviewed, or below the lowest band, is no example."""
        rank, band = _RANKS.get(row.outcome), band_of(row.confidence, self._bounds)
        if rank is None or band is None:
            return
        (image, label), confidence = row.key, row.confidence
        place = (label, band)
        cell = self._cells.get(place)
        if cell is None:
            cell = self._new_cell(place)
        full = len(cell) == self._at_most
        if full and rank > cell[-1].rank:  # as for most rows: nothing to draw
            return
        draw = zlib.crc32(image.encode("utf-8", "surrogatepass"))
        votes = (row.confirms, row.disconfirms, row.cannot_judges)
        insort(cell, Example(rank, draw, image, confidence, votes))
        if full:
            cell.pop()

    def _new_cell(self, place: tuple[str, int]) -> list[Example]:
        """Add a cell; where there are many, each keeps fewer examples, which those kept before contain."""
        cell = self._cells[place] = []
        at_most = max(1, min(self._at_most, self._in_all // len(self._cells)))
        if at_most < self._at_most:
            self._at_most = at_most
            for kept in self._cells.values():
                del kept[at_most:]
        return cell

    def as_json(self) -> list[dict[str, object]]:
        """Return the examples by label and band, as the page of the report takes them.

        >>> examples = CellExamples((80, 90, 100))
        >>> examples.add(LabelRow(("a.jpg", "Dog"), 85.0, confirms=1))
        >>> examples.add(LabelRow(("b.jpg", "Dog"), 85.0, disconfirms=2))
        >>> [(one["image"], one["band"], one["outcome"]) for one in examples.as_json()]
        [('b.jpg', [80, 90], 'disconfirmed'), ('a.jpg', [80, 90], 'confirmed')]
        """
        return [
            {
                "label": label,
                "band": list(self._bounds[band : band + 2]),
                "outcome": _OUTCOMES[one.rank].value,
                "image": one.image,
                "confidence": one.confidence,
                "votes": dict(zip(("confirm", "disconfirm", "cannot_judge"), one.votes, strict=True)),
            }
            for (label, band), cell in sorted(self._cells.items())
            for one in cell
        ]
