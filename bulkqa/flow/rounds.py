"""Rounds: what the next one asks, and what label an image has in the end.

A disconfirmed item asks for another label: the one that is proposed for it, or the one that its label is
most often mistaken for. Confirmed there, that is the image's label.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import islice
from typing import NamedTuple

from bulkqa.errors import InputError
from bulkqa.flow.corpus import IMAGE_FIELDS
from bulkqa.flow.on_disk import OnDisk
from bulkqa.flow.records import Records, Rejected
from bulkqa.flow.votes import ADJUDICATE, RELABEL, LabelRow, Outcome

_CHUNK = 2000


class Reviewed(OnDisk):
    """Which labels of which images were confirmed or rejected, on disk: split and unreviewed ones say nothing.

    >>> rows = [LabelRow(("a", "Dog"), 90, 0, 1), LabelRow(("a", "Wolf"), 90, 1), LabelRow(("b", "Dog"), 90, 1)]
    >>> with Reviewed(rows) as reviewed:
    ...     reviewed.mistaken_for(), reviewed.labels("a")
    ({'Dog': ['Wolf']}, {'Dog': False, 'Wolf': True})
    """  # noqa: E501

    def __init__(self, rows: Iterable[LabelRow]) -> None:
        super().__init__(
            """
            CREATE TABLE reviewed (image TEXT, label TEXT, confirmed INTEGER);
            CREATE TABLE claimed (image TEXT, label TEXT, PRIMARY KEY (image, label)) WITHOUT ROWID;
            """
        )
        said = {Outcome.CONFIRMED: True, Outcome.DISCONFIRMED: False}
        seen = ((row.key, said.get(row.outcome)) for row in rows)
        self._fill(
            "INSERT INTO reviewed VALUES (?, ?, ?)",
            ((*key, right) for key, right in seen if right is not None),
        )
        self._db.execute("CREATE INDEX of_image ON reviewed (image, confirmed, label)")

    def labels(self, image: str) -> dict[str, bool]:
        """Return the labels reviewed of an image, and whether each was confirmed."""
        found = self._db.execute(
            "SELECT label, confirmed FROM reviewed WHERE image = ? ORDER BY label", (image,)
        )
        return {label: bool(confirmed) for label, confirmed in found}

    def claim(self, image: str, label: str) -> bool:
        """Note that this is going to be asked; return False if it was noted before."""
        return self._db.execute("INSERT OR IGNORE INTO claimed VALUES (?, ?)", (image, label)).rowcount == 1

    def mistaken_for(self) -> dict[str, list[str]]:
        """Return what each label was mistaken for, the most frequent first.

        It was rejected of an image of which the other was confirmed.
        """
        found: dict[str, list[str]] = {}
        for label, other in self._db.execute(
            """
            SELECT wrong.label, other.label FROM reviewed wrong
            JOIN reviewed other ON other.image = wrong.image AND other.confirmed
            WHERE NOT wrong.confirmed GROUP BY 1, 2 ORDER BY 1, count(*) DESC, 2
            """
        ):
            found.setdefault(label, []).append(other)
        return found


class Proposals(OnDisk):
    r"""Labels that somebody proposes in place of disconfirmed ones, on disk; `name` is the file's.

    The file is CSV with the columns `image` and `label`, one proposal a row, or one JSON object of labels,
    each with the label it is mistaken for, or a list of such. Raises `InputError` naming line or label where
    it is neither.

    >>> with Proposals([b"image,label\n", b"a.jpg,Wolf\n"], "p.csv") as proposals:
    ...     proposals.of(["local://a.jpg", "a.jpg"], "Dog")
    ['Wolf']
    >>> with Proposals([b'{"Dog": ["Wolf", "Fox"]}'], "p.json") as proposals:
    ...     proposals.of(["a.jpg"], "Dog")
    ['Wolf', 'Fox']
    """

    def __init__(self, lines: Iterable[bytes], name: str) -> None:
        super().__init__("CREATE TABLE proposal (image TEXT, label TEXT)")
        self._of_label: dict[str, list[str]] = {}
        source = iter(lines)
        first = next((line for line in source if line.strip()), b"")
        if first.lstrip(b"\xef\xbb\xbf \t").startswith(b"{"):
            self._of_label = _label_map(b"".join([first, *source]), name)
            return
        self._fill("INSERT INTO proposal VALUES (?, ?)", _proposals(first, source, name))
        self._db.execute("CREATE INDEX of_image ON proposal (image)")

    def of(self, images: Sequence[str], label: str) -> list[str]:
        """Return what is proposed for an image that is not `label`, in the file's order.

        `images` are all the ways in which the file may write the image.
        """
        marks = ", ".join("?" * len(images))
        found = self._db.execute(
            f"SELECT label FROM proposal WHERE image IN ({marks}) ORDER BY rowid", list(images)
        )
        return [*dict.fromkeys([*(of_image for (of_image,) in found), *self._of_label.get(label, ())])]


def _label_map(data: bytes, name: str) -> dict[str, list[str]]:
    try:
        document = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name}: not readable as JSON: {error}") from None
    found: dict[str, list[str]] = {}
    for label, others in document.items():
        found[label] = [others] if isinstance(others, str) else others
        if not isinstance(others, str | list) or not all(isinstance(one, str) for one in found[label]):
            raise InputError(f"{name}: {label!r} has neither a label nor a list of labels")
    return found


def _proposals(first: bytes, others: Iterable[bytes], name: str) -> Iterator[tuple[str, str]]:
    def lines() -> Iterator[bytes]:
        yield first
        yield from others

    records = Records(lines() if first else (), name)
    image, label = records.column("s3_image_url", *IMAGE_FIELDS), records.column("label")
    for record in records:
        if isinstance(record, Rejected):
            raise InputError(f"{name}, line {record.line}: {record.reason}")
        line, fields = record
        assert isinstance(fields, list)  # noqa: S101  that is what a file with a header has
        if not fields[image].strip() or not fields[label].strip():
            raise InputError(f"{name}, line {line}: image or label is empty")
        yield fields[image], fields[label]


class Choice(NamedTuple):
    """What to ask next of an image that is not its label: labels, or why there is nothing to ask."""

    labels: Sequence[str]
    known: bool = False


def choose(
    label: str, reviewed: Mapping[str, bool], proposed: Sequence[str], mistaken_for: Sequence[str]
) -> Choice:
    """Return the labels to ask for an image that is not `label`.

    Nothing where one of its labels was confirmed already (`known`), else all that are `proposed`, else the
    likeliest in `mistaken_for`; never one that was rejected of it before.

    >>> choose("Dog", {"Dog": False, "Fox": False}, [], ["Fox", "Wolf", "Cat"])
    Choice(labels=['Wolf'], known=False)
    >>> choose("Dog", {"Dog": False, "Wolf": True}, ["Fox"], [])
    Choice(labels=[], known=True)
    """
    if any(reviewed.values()):
        return Choice([], True)
    wanted = [other for other in proposed if other != label and other not in reviewed]
    if not proposed:
        wanted = [other for other in mistaken_for if other != label and other not in reviewed][:1]
    return Choice(wanted)


class How(StrEnum):
    """How an image came to its label.

    Confirmed as the model had it; after a split, by the adjudication; rejected as the model had it and
    confirmed as another; or not at all: nobody knows, or more than one other label was confirmed.
    """

    CONFIRMED = "confirmed"
    ADJUDICATED = "adjudicated"
    RELABELLED = "relabelled"
    UNRESOLVED = "unresolved"


class Final(NamedTuple):
    """The label an item's image has in the end, None where that is unknown; how, and by which job's votes."""

    label: str | None
    how: How
    job: str | None = None


class FinalLabel(NamedTuple):
    """A label an image has in the end, with the confidence and age of its row."""

    label: str
    how: How
    job: str | None
    confidence: float
    created_at: str | None


class Finals(OnDisk):
    """The items of a job or file with the labels their images have in the end, on disk.

    `rows` have an adjudication's votes where one decided, `later` are the rows of relabelling rounds. Rows
    with votes of a job in `adjudications` say so.

    >>> rows = [LabelRow(("a", "Dog"), 90.0, 0, 1), LabelRow(("b", "Dog"), 90.0, 1, 0)]
    >>> later = [LabelRow(("a", "Wolf"), 90.0, 1, source="relabel:dogs")]
    >>> with Finals(rows, later) as finals:
    ...     [(row.key, final.label, final.how.value) for row, final in finals]
    [(('a', 'Dog'), 'Wolf', 'relabelled'), (('b', 'Dog'), 'Dog', 'confirmed')]
    """

    def __init__(
        self,
        rows: Iterable[LabelRow],
        later: Iterable[LabelRow] = (),
        adjudications: Collection[str] = (),
    ) -> None:
        super().__init__(
            """
            CREATE TABLE item (image TEXT, outcome TEXT, row TEXT);
            CREATE TABLE confirmed (
                image TEXT, label TEXT, how TEXT, job TEXT, confidence REAL, created_at TEXT,
                PRIMARY KEY (image, label)
            ) WITHOUT ROWID;
            """
        )
        self._adjudications = adjudications
        self._add(rows, True)
        self._add(later, False)

    def _add(self, rows: Iterable[LabelRow], own: bool) -> None:
        source = iter(rows)
        while some := list(islice(source, _CHUNK)):
            if own:
                items = ((row.key[0], row.outcome.value, _packed(row)) for row in some)
                self._fill("INSERT INTO item VALUES (?, ?, ?)", items)
            # Tables from elsewhere may name no image; then nothing is known of an image's other labels.
            right = (
                (row.key[0], self._own(row), row.confidence, row.created_at)
                for row in some
                if row.outcome is Outcome.CONFIRMED and row.key[0]
            )
            self._fill(
                "INSERT OR IGNORE INTO confirmed VALUES (?, ?, ?, ?, ?, ?)",
                ((image, *final, *others) for image, final, *others in right),
            )

    def _own(self, row: LabelRow) -> Final:
        """Return what a confirmed row says of its image."""
        job = min(row.confirmed_by).partition("/")[0] if row.confirmed_by else None
        source = row.source or ""
        if source.startswith(RELABEL):
            how = How.RELABELLED
        elif source.startswith(ADJUDICATE) or job in self._adjudications:
            how = How.ADJUDICATED
        else:
            how = How.CONFIRMED
        return Final(row.key[1], how, job)

    def __iter__(self) -> Iterator[tuple[LabelRow, Final]]:
        return self.of(frozenset(Outcome))

    def of(self, outcomes: Collection[Outcome]) -> Iterator[tuple[LabelRow, Final]]:
        """Yield the items with one of these outcomes, in the order in which they came."""
        marks = ", ".join("?" * len(outcomes))
        for (packed,) in self._db.execute(
            f"SELECT row FROM item WHERE outcome IN ({marks}) ORDER BY rowid", [one.value for one in outcomes]
        ):
            row = _unpacked(packed)
            yield row, self._final(row)

    def _final(self, row: LabelRow) -> Final:
        if row.outcome is Outcome.CONFIRMED:
            return self._own(row)
        if row.outcome is Outcome.DISCONFIRMED:
            found = self._db.execute(
                "SELECT label, how, job FROM confirmed WHERE image = ? LIMIT 2", (row.key[0],)
            ).fetchall()
            if len(found) == 1:
                label, how, job = found[0]
                return Final(label, How(how), job)
        return Final(None, How.UNRESOLVED)

    def labels(self, outcomes: Collection[Outcome]) -> list[str]:
        """Return the labels that images of items with these outcomes have, in code-point order."""
        marks = ", ".join("?" * len(outcomes))
        found = self._db.execute(
            # SQLite compares texts as UTF-8, byte by byte, which is code-point order.
            f"""
            SELECT DISTINCT label FROM confirmed
            WHERE image IN (SELECT image FROM item WHERE outcome IN ({marks})) ORDER BY label
            """,
            [one.value for one in outcomes],
        )
        return [label for (label,) in found]

    def images(self, outcomes: Collection[Outcome]) -> Iterator[tuple[str, list[FinalLabel]]]:
        """Yield each image of items with these outcomes that has a label, and its labels; both sorted."""
        marks = ", ".join("?" * len(outcomes))
        image, labels = "", list[FinalLabel]()
        for key, label, how, job, confidence, created_at in self._db.execute(
            f"""
            SELECT image, label, how, job, confidence, created_at FROM confirmed
            WHERE image IN (SELECT image FROM item WHERE outcome IN ({marks})) ORDER BY image, label
            """,
            [one.value for one in outcomes],
        ):
            if key != image and labels:
                yield image, labels
                labels = []
            image = key
            labels.append(FinalLabel(label, How(how), job, confidence, created_at))
        if labels:
            yield image, labels


def _packed(row: LabelRow) -> str:
    """Return a row as text that `_unpacked` makes it of again."""
    return json.dumps([sorted(value) if isinstance(value, frozenset) else value for value in row])


def _unpacked(text: str) -> LabelRow:
    key, *values = json.loads(text)
    values = [frozenset(value) if isinstance(value, list) else value for value in values]
    return LabelRow._make([tuple(key), *values])
