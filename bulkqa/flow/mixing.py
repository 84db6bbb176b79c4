"""Mixing: known-answer items among the items of a job's pages.

A picture whose label is known stands on a page of that label as known-right, on one of another label as
known-wrong. A page of n places keeps `rate * n` of them for such items, rounded up or down by a draw, so
that nobody can count on one. Each is used once before any is used twice. All draws follow from the seed.
"""

import hashlib
import math
from collections import Counter, deque
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from enum import IntEnum
from itertools import count, groupby, islice
from operator import itemgetter
from typing import NamedTuple

from bulkqa.errors import InputError
from bulkqa.flow.batches import Batch
from bulkqa.flow.checks import RIGHT, WRONG
from bulkqa.flow.corpus import IMAGE_FIELDS, Keep, Row, read_row
from bulkqa.flow.on_disk import OnDisk
from bulkqa.flow.records import Records, Rejected
from bulkqa.flow.tasks import TaskItem

MAX_RATE = 0.5
"""The largest share of known-answer items among a page's pictures."""

BETWEEN = "|"
"""What stands between the labels in a CSV file's column `wrong_for`."""

_CACHE_KIB = 4096


class Known(NamedTuple):
    """A picture and its true label, as read from a line; the confidence in `row` says nothing.

    `wrong_for` are the labels on whose pages it may stand as known-wrong; None: on any other's.
    """

    row: Row
    wrong_for: frozenset[str] | None


def read_known(lines: Iterable[bytes], name: str, keep: Keep | None = None) -> Iterator[Known | Rejected]:
    """Yield every row of a file of known answers, in file order: CSV or JSON Lines, as a corpus is read.

    Fields: image, label (the true one), and perhaps `wrong_for`: in CSV labels with `|` between them, any
    other label where it is empty; in JSON Lines a list, which may be empty for none.
    Raises `InputError` where nothing can be read at all.

    >>> lines = [b"image,label,wrong_for\\n", b"a.jpg,Dog,Wolf|Fox\\n", b"b.jpg,Dog,\\n"]
    >>> [(known.row.item.image, known.wrong_for) for known in read_known(lines, "checks.csv")] == [
    ...     ("a.jpg", frozenset({"Wolf", "Fox"})), ("b.jpg", None)]
    True
    """
    records = Records(lines, name)
    image = label = 0
    wrong_for: int | None = None
    if records.header is not None:
        image, label = records.column(*IMAGE_FIELDS), records.column("label")
        wrong_for = records.column("wrong_for") if "wrong_for" in records.header else None
    return _read(records, image, label, wrong_for, keep)


def _read(
    records: Records, image: int, label: int, wrong_for: int | None, keep: Keep | None
) -> Iterator[Known | Rejected]:
    for record in records:
        if isinstance(record, Rejected):
            yield record
            continue
        line, fields = record
        try:
            if isinstance(fields, dict):
                named = next((name for name in IMAGE_FIELDS if name in fields), IMAGE_FIELDS[0])
                picture, true = _text(fields, named), _text(fields, "label")
                pages = _labels(fields.get("wrong_for"))
            else:
                picture, true = fields[image], fields[label]
                text = "" if wrong_for is None else fields[wrong_for]
                pages = frozenset(filter(None, text.split(BETWEEN))) or None
            if pages is not None and true in pages:
                raise InputError(f"wrong_for holds the true label {true!r}")
        except InputError as error:
            yield Rejected(line, str(error))
            continue
        row = read_row(line, (picture, true, 100.0), keep)
        yield row if isinstance(row, Rejected) else Known(row, pages)


def _text(fields: dict[str, object], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str):
        raise InputError(f"field {name!r} is {'no text' if name in fields else 'missing'}")
    return value


def _labels(value: object) -> frozenset[str] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(label, str) and label for label in value):
        raise InputError("field 'wrong_for' is no list of labels")
    return frozenset(value)


class Standing(IntEnum):
    """What is known of a label of a picture."""

    RIGHT = 1
    WRONG = 2
    OPEN = 3


class Candidate(NamedTuple):
    """A picture that may be a known-answer item on a page: how it is referred to there, and its true label.

    `picture` tells whether two are the same picture; the reference need not, where pictures are copied.
    """

    picture: str
    image: str
    label: str


class Pool(OnDisk):
    """What is known of pictures, on disk.

    >>> with Pool(seed=0) as pool:
    ...     pool.add("a.jpg", "Dog", Standing.RIGHT), pool.add("b.jpg", "Cat", Standing.RIGHT)
    ...     pool.candidates("Cat", "wrong", 9), pool.candidates("Cat", "right", 9)
    ... # doctest: +NORMALIZE_WHITESPACE
    (True, True)
    ([Candidate(picture='a.jpg', image='a.jpg', label='Dog')],
     [Candidate(picture='b.jpg', image='b.jpg', label='Cat')])
    """

    def __init__(self, seed: int) -> None:
        super().__init__(
            """
            CREATE TABLE known (
                picture TEXT, label TEXT, standing INTEGER, image TEXT, anywhere INTEGER, line INTEGER,
                uses INTEGER, shuffle BLOB, PRIMARY KEY (picture, label)
            );
            CREATE TABLE wrong_for (page TEXT, picture TEXT, label TEXT);
            CREATE TABLE shown (picture TEXT, label TEXT, PRIMARY KEY (picture, label)) WITHOUT ROWID;
            CREATE TABLE rejected (line INTEGER, reason TEXT);
            """
        )
        self._db.execute("BEGIN")  # which the making of the indices ends
        self._seed = seed
        self._most = 0
        self._indexed = False

    def add(
        self,
        picture: str,
        label: str,
        standing: Standing,
        image: str | None = None,
        wrong_for: frozenset[str] | None = None,
        line: int = 0,
    ) -> bool:
        """Take in what is known of a label of a picture; say whether it was not known before."""
        shuffle = _digest(self._seed, "known", label, picture)
        new = self._db.execute(
            "INSERT OR IGNORE INTO known VALUES (?, ?, ?, ?, ?, ?, 0, ?)",
            (picture, label, standing, image or picture, wrong_for is None, line, shuffle),
        ).rowcount
        if new and wrong_for:
            self._db.executemany(
                "INSERT INTO wrong_for VALUES (?, ?, ?)", ((page, picture, label) for page in wrong_for)
            )
        return bool(new)

    def add_file(self, knowns: Iterable[tuple[str, Known] | Rejected]) -> None:
        """Take in the rows of a file, each with the picture it shows; keep what is refused."""
        for known in knowns:
            if isinstance(known, Rejected):
                self._reject(*known)
                continue
            picture, ((line, item), wrong_for) = known
            if not self.add(picture, item.label, Standing.RIGHT, item.image, wrong_for, line):
                (first,) = self._db.execute(
                    "SELECT line FROM known WHERE picture = ? AND label = ?", (picture, item.label)
                ).fetchone()
                self._reject(line, f"duplicate of line {first}: this image has this label there already")

    def _reject(self, line: int, reason: str) -> None:
        self._db.execute("INSERT INTO rejected VALUES (?, ?)", (line, reason))

    def rejected(self) -> Iterator[Rejected]:
        """Yield the rows of the file that cannot be used, in the order of their lines."""
        for line, reason in self._db.execute("SELECT line, reason FROM rejected ORDER BY line"):
            yield Rejected(line, reason)

    def exclude(self, items: Iterable[tuple[str, str]]) -> None:
        """Never use a picture on pages of a label of which it is an item: (picture, label) of all items."""
        self._db.executemany(
            """INSERT OR IGNORE INTO shown SELECT ?1, ?2
               WHERE EXISTS (SELECT 1 FROM known WHERE picture = ?1)""",
            items,
        )

    @property
    def size(self) -> int:
        """The number of labels known to be right."""
        query = "SELECT count(*) FROM known WHERE standing = ?"
        (number,) = self._db.execute(query, (Standing.RIGHT,)).fetchone()
        return int(number)

    def candidates(self, page: str, check: str, limit: int) -> list[Candidate]:
        """Return up to `limit` pictures that may be `check` on pages of label `page`, each once.

        First those used least. Among them a known-wrong one is preferably, in this order: one that was itself
        rejected under the label; one of a class that such pictures turned out to be of, the most frequent
        first; one that names the label. Nothing is known-wrong under a label that it has, or that is open.
        """
        self._index()
        found: dict[str, Candidate] = {}
        sources = list(self._sources(page, check))
        for uses in range(self._most + 1):
            for source, label in sources:
                if len(found) == limit:
                    break
                for candidate in self._db.execute(source, {"page": page, "of": label, "uses": uses}):
                    found.setdefault(candidate[0], Candidate(*candidate))
                    if len(found) == limit:
                        break
        return list(found.values())

    def _sources(self, page: str, check: str) -> Iterator[tuple[str, str]]:
        """Yield queries for candidates, the best first, each with the true label it asks for, if any."""
        if check == RIGHT:
            yield _query("known t WHERE t.label = :of", ""), page
            return
        yield _query(_REJECTED, _IS_WRONG), ""
        for label, _ in self._db.execute(_CONFUSED, {"page": page}).fetchall():
            yield _query("known t WHERE t.anywhere = 1 AND t.label = :of", _IS_WRONG), label
        yield _query(_NAMED, _IS_WRONG), ""
        yield _query("known t WHERE t.anywhere = 1", _IS_WRONG), ""

    def _index(self) -> None:
        if not self._indexed:
            self._db.executescript(
                """
                CREATE INDEX of_label ON known (label, uses, shuffle) WHERE standing = 1;
                CREATE INDEX any_label ON known (uses, shuffle) WHERE standing = 1 AND anywhere = 1;
                CREATE INDEX rejected_as ON known (label) WHERE standing = 2;
                CREATE INDEX of_page ON wrong_for (page);
                """
            )
            self._indexed = True

    def use(self, uses: Mapping[Candidate, int]) -> None:
        """Note how often candidates were used."""
        for candidate, number in uses.items():
            key = (candidate.picture, candidate.label)
            self._db.execute(
                "UPDATE known SET uses = uses + ? WHERE picture = ? AND label = ?", (number, *key)
            )
            (now,) = self._db.execute(
                "SELECT uses FROM known WHERE picture = ? AND label = ?", key
            ).fetchone()
            self._most = max(self._most, now)


# The conditions of the partial indices have to stand in a query as they do there: 1 and 2 are of `Standing`.
_REJECTED = "known r CROSS JOIN known t ON t.picture = r.picture WHERE r.standing = 2 AND r.label = :page"
_NAMED = "wrong_for w CROSS JOIN known t ON t.picture = w.picture AND t.label = w.label WHERE w.page = :page"
_CONFUSED = f"""
SELECT t.label, count(*) AS number FROM {_REJECTED} AND t.standing = 1 GROUP BY t.label
ORDER BY number DESC, t.label
"""
_IS_WRONG = """AND t.label <> :page AND NOT EXISTS (
    SELECT 1 FROM known u WHERE u.picture = t.picture AND u.label = :page AND u.standing <> 2)"""


def _query(source: str, condition: str) -> str:
    return f"""
    SELECT t.picture, t.image, t.label FROM {source} AND t.standing = 1 AND t.uses = :uses
    AND NOT EXISTS (SELECT 1 FROM shown s WHERE s.picture = t.picture AND s.label = :page)
    {condition} ORDER BY t.shuffle
    """


class Chosen(NamedTuple):
    """A known-answer item of a page: `check` is "wrong" or "right"."""

    check: str
    candidate: Candidate


class Mixer:
    """Says how many known-answer items stand on each page of a job, which, and where.

    `rate` is their share among a page's pictures, `size` the number of pictures on a full page.
    Raises `InputError` for a rate outside 0 to `MAX_RATE`.
    """

    def __init__(self, rate: float, size: int, seed: int) -> None:
        if not 0 <= rate <= MAX_RATE:
            raise InputError(f"check rate {rate:g} is outside 0 to {MAX_RATE:g}")
        self._rate = rate
        self._size = size
        self._seed = seed

    def room(self, number: int) -> int:
        """Return how many of a full page's places are kept; an item has always place.

        >>> [Mixer(0.25, 4, seed=0).room(number) for number in range(4)]
        [1, 1, 1, 1]
        """
        if not self._rate:
            return 0
        return min(self._size - 1, int(self._rate * self._size + self._draw("room", number)))

    def places(self, number: int, items: int) -> int:
        """Return how many known-answer items stand on a page of so many items: fewer on a short one."""
        room = self.room(number)
        if items + room >= self._size:
            return self._size - items
        # Among all its pictures they are to have the same share; the draw is the same, so that none has more.
        return min(
            self._size - items, int(items * self._rate / (1 - self._rate) + self._draw("room", number))
        )

    def choose(self, pages: Iterable[tuple[int, str, int]], pool: Pool) -> Iterator[tuple[Chosen, ...]]:
        """Yield what stands on each page, of pages (number, label, items) that come grouped by label.

        Half are known-wrong, as far as there are such; a label gets the other kind before any is used
        again. A page has fewer where there are not as many different pictures.
        """
        for label, of_label in groupby(pages, key=itemgetter(1)):
            places = [self.places(number, items) for number, _, items in of_label]
            limit = sum(places)
            turns = {check: _Turns(pool.candidates(label, check, limit)) for check in (WRONG, RIGHT)}
            kinds = self._kinds(label)
            for number in places:
                page: dict[str, Chosen] = {}
                for check in islice(kinds, number):
                    _add(page, check, turns)
                yield tuple(page.values())
            for turn in turns.values():
                pool.use(turn.uses)

    def _kinds(self, label: str) -> Iterator[str]:
        """Yield kinds of known-answer items, in every two one of each, whose order is drawn."""
        for pair in count():
            yield from (WRONG, RIGHT) if self._draw("kind", label, pair) < 0.5 else (RIGHT, WRONG)

    def mix(self, batch: Batch, chosen: Sequence[Chosen]) -> list[TaskItem]:
        """Return a page: the batch's items in their order, and what was chosen, each where a draw puts it.

        A known-answer item is given the confidence of an item of the page, which is drawn too.

        >>> from bulkqa.flow.corpus import Item
        >>> batch = Batch(0, "Dog", (Item("a.jpg", "Dog", 99.0), Item("b.jpg", "Dog", 98.0)))
        >>> page = Mixer(0.3, 3, seed=0).mix(batch, [Chosen("wrong", Candidate("c.jpg", "c.jpg", "Cat"))])
        >>> sorted((item.image, item.label, item.check, item.source_label) for item in page)
        ... # doctest: +NORMALIZE_WHITESPACE
        [('a.jpg', 'Dog', None, None), ('b.jpg', 'Dog', None, None), ('c.jpg', 'Dog', 'wrong', 'Cat')]
        """
        page = [TaskItem(*item) for item in batch.items]
        for order, (check, candidate) in enumerate(chosen):
            place = int(self._draw("place", batch.number, order) * (len(page) + 1))
            like = batch.items[int(self._draw("confidence", batch.number, order) * len(batch.items))]
            page.insert(
                place, TaskItem(candidate.image, batch.label, like.confidence, check, candidate.label)
            )
        return page

    def _draw(self, *what: object) -> float:
        """Return a number from 0 to below 1, the same for the same seed and question."""
        return int.from_bytes(_digest(self._seed, *what)[:6], "big") / 2**48


class _Turns:
    """Candidates that take turns: whoever waited longest is next."""

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        self._waiting = deque(candidates)
        self.uses: Counter[Candidate] = Counter()

    @property
    def rounds(self) -> float:
        """How often all of them were used: infinitely often where there is none."""
        return self.uses.total() // len(self._waiting) if self._waiting else math.inf

    def next(self, taken: Container[str]) -> Candidate | None:
        """Return the next one whose picture is not taken, or None if all are."""
        for place, candidate in enumerate(self._waiting):
            if candidate.picture not in taken:
                del self._waiting[place]
                self._waiting.append(candidate)
                self.uses[candidate] += 1
                return candidate
        return None


def _add(page: dict[str, Chosen], check: str, turns: Mapping[str, _Turns]) -> None:
    """Add one to the page, of this kind unless the other has some left that were used less."""
    for kind in sorted(turns, key=lambda kind: (turns[kind].rounds, kind != check)):
        candidate = turns[kind].next(page)
        if candidate is not None:
            page[candidate.picture] = Chosen(kind, candidate)
            return


def _digest(seed: int, *what: object) -> bytes:
    keyed = hashlib.blake2b(key=seed.to_bytes(16, "big", signed=True), digest_size=16)
    keyed.update("\0".join(map(str, what)).encode())
    return keyed.digest()
