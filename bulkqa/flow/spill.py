"""Spill: the rows of a corpus on disk, read back sorted.

That shuffles them, finds duplicates, and keeps memory flat whatever the size, on a laptop and in a Lambda
alike.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise

from bulkqa.flow.bands import band_of
from bulkqa.flow.batches import Order
from bulkqa.flow.corpus import Item, Row
from bulkqa.flow.on_disk import OnDisk
from bulkqa.flow.plan import Sample
from bulkqa.flow.records import Rejected

_CHUNK = 2000


@dataclass(frozen=True, slots=True)
class Counts:
    """What a corpus came to: items of each label to be launched, and rows that were not.

    `left_out` are the usable items that are not in the sample, where only a sample is launched.
    """

    of_label: dict[str, int]
    below: int
    rejected: int
    left_out: int = 0

    @property
    def items(self) -> int:
        """Items to be launched."""
        return sum(self.of_label.values())


class Spill(OnDisk):
    """The rows of a corpus on disk.

    Items below `minimum_confidence` are counted and left out; among duplicates the first line wins,
    whatever its confidence.

    >>> with Spill(seed=0, minimum_confidence=80) as spill:
    ...     spill.add([Row(2, Item("a.jpg", "Dog", 99.0)), Row(3, Item("a.jpg", "Dog", 90.0))])
    ...     spill.add([Row(4, Item("b.jpg", "Dog", 79.9))])
    ...     spill.counts(), [rejected.line for rejected in spill.rejected()]
    (Counts(of_label={'Dog': 1}, below=1, rejected=1, left_out=0), [3])
    """

    def __init__(self, seed: int, minimum_confidence: float = 0) -> None:
        super().__init__(
            """
            CREATE TABLE item (shuffle BLOB, label TEXT, image TEXT, confidence REAL, line INTEGER);
            CREATE TABLE rejected (line INTEGER, reason TEXT);
            """
        )
        self._minimum = minimum_confidence
        self._duplicates: int | None = None  # known once the items have been counted
        self._bands: Sequence[float] = ()
        self._sample: Sample | None = None
        # Of each label and band, the largest hash in the sample: that alone says what is in it.
        self._last: dict[tuple[str, int], bytes] = {}
        self._keyed = hashlib.blake2b(key=seed.to_bytes(16, "big", signed=True), digest_size=16)

    def add(self, rows: Iterable[Row | Rejected]) -> None:
        """Take in rows, in file order."""
        source = iter(rows)
        while chunk := list(islice(source, _CHUNK)):
            items, bad = [], []
            for row in chunk:
                if isinstance(row, Row):
                    line, (image, label, confidence) = row
                    digest = self._keyed.copy()
                    digest.update(f"{label}\0{image}".encode())
                    items.append((digest.digest(), label, image, confidence, line))
                else:
                    bad.append((row.line, row.reason))
            self._duplicates = None
            self._db.execute("BEGIN")
            self._db.executemany("INSERT INTO item VALUES (?, ?, ?, ?, ?)", items)
            self._db.executemany("INSERT INTO rejected VALUES (?, ?)", bad)
            self._db.execute("COMMIT")

    def counts(self) -> Counts:
        """Return the numbers of items to be launched by label, of those below, and of rejected rows."""
        of_label: dict[str, int] = {}
        below = 0
        for label, usable, all_of_it in self._db.execute(
            # SQLite takes a bare column beside min() from the row that has the minimum: the first line.
            """
            SELECT label, sum(confidence >= ?), count(*)
            FROM (SELECT label, confidence, min(line) FROM item GROUP BY shuffle) GROUP BY label
            """,
            (self._minimum,),
        ):
            below += all_of_it - usable
            if usable:
                of_label[label] = usable
        (rows,) = self._db.execute("SELECT count(*) FROM item").fetchone()
        (bad,) = self._db.execute("SELECT count(*) FROM rejected").fetchone()
        usable = sum(of_label.values())
        self._duplicates = rows - below - usable
        if self._sample is not None:
            taken = {label: int(sum(band[3] for band in bands)) for label, bands in self._sample.items()}
            of_label = {label: number for label, number in taken.items() if number}
        return Counts(of_label, below, bad + self._duplicates, usable - sum(of_label.values()))

    def populations(self, bands: Sequence[float]) -> dict[str, list[int]]:
        """Return the numbers of usable items by label and band; those below the lowest are in none."""
        found: dict[str, list[int]] = {}
        for _, item in self._usable(Order.PAGE):
            place = band_of(item.confidence, bands)
            if place is not None:
                found.setdefault(item.label, [0] * (len(bands) - 1))[place] += 1
        return found

    def take_sample(
        self, bands: Sequence[float], wanted: Mapping[str, Sequence[int]]
    ) -> dict[str, list[list[float]]]:
        """Launch of each label and band only so many items as `wanted` says, and return what that came to.

        They are the first ones by the keyed hash, so a simple random sample, and the same for the same seed
        and items. A label that is not wanted, and what lies below the lowest band, is left out. Memory
        depends on the labels alone. To be called once, when all rows have been added.

        >>> with Spill(seed=0) as spill:
        ...     spill.add(Row(n, Item(f"{n}.jpg", "Dog", 85.0)) for n in range(50))
        ...     spill.take_sample((80, 90, 100), {"Dog": [20, 20]}), spill.counts()
        ({'Dog': [[80, 90, 50, 20], [90, 100, 0, 0]]}, Counts(of_label={'Dog': 20}, below=0, rejected=0, left_out=30))
        """  # noqa: E501
        sample: dict[str, list[list[float]]] = {}
        last: dict[tuple[str, int], bytes] = {}
        for shuffle, item in self._usable(Order.PAGE):
            place = band_of(item.confidence, bands)
            if item.label not in wanted or place is None:
                continue
            strata = sample.setdefault(item.label, [[low, high, 0, 0] for low, high in pairwise(bands)])
            stratum = strata[place]
            stratum[2] += 1
            if stratum[3] < wanted[item.label][place]:
                stratum[3] += 1
                last[item.label, place] = shuffle
        self._bands, self._sample, self._last = bands, sample, last
        return sample

    def items(self, order: Order) -> Iterator[Item]:
        """Yield each item to be launched, in this order.

        The same seed and items give the same order, whatever the order of the file.
        """
        for shuffle, item in self._usable(order):
            if self._sample is not None:
                place = band_of(item.confidence, self._bands)
                last = None if place is None else self._last.get((item.label, place))
                if last is None or shuffle > last:
                    continue
            yield item

    def _usable(self, order: Order) -> Iterator[tuple[bytes, Item]]:
        """Yield every item that could be launched, with its hash."""
        by = {Order.PAGE: "label, shuffle", Order.HASH: "shuffle", Order.KEY: "image, label"}[order]
        before = b""
        for shuffle, label, image, confidence in self._db.execute(
            f"SELECT shuffle, label, image, confidence FROM item ORDER BY {by}, line"
        ):
            # The digest covers image and label, so equal neighbours are the same item.
            if shuffle != before:
                before = shuffle
                if confidence >= self._minimum:
                    yield shuffle, Item(image, label, confidence)

    def rejected(self) -> Iterator[Rejected]:
        """Yield the rows that cannot be used, duplicates included, in the order of their lines."""
        duplicates = """
            UNION ALL
            SELECT line, 'duplicate of line ' || first || ': this image has this label there already'
            FROM (SELECT line, min(line) OVER (PARTITION BY shuffle) AS first FROM item) WHERE line > first
        """
        # Looking for them means sorting all items once more, mostly for nothing.
        looked_for = "" if self._duplicates == 0 else duplicates
        for line, reason in self._db.execute(f"SELECT line, reason FROM rejected {looked_for} ORDER BY line"):
            yield Rejected(line, reason)
