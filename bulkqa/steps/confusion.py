"""What a model mistakes for what, as the reviewers of a job and of the rounds that follow it saw it.

A confirmed item was predicted as its label and is it. A rejected one was predicted as its label and is what
its image was confirmed as; where that is unknown, and where reviewers disagree, it stands in no cell, but
widens the bounds of the shares.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from bulkqa.errors import InputError
from bulkqa.flow.bands import band_of
from bulkqa.flow.plan import Sample
from bulkqa.flow.rounds import Final
from bulkqa.flow.votes import RELABEL, LabelRow, Outcome
from bulkqa.jobs import all_jobs, settings_of
from bulkqa.ports import Blobs, Store
from bulkqa.settings import JobSettings
from bulkqa.steps.rounds import final_labels

if TYPE_CHECKING:
    from bulkqa.evaluation.confusion import ConfusionMatrix

Pair = tuple[str, str]
"""A predicted label and a ground truth."""

Stratum = tuple[str, int]
"""A label, and the place of a band in its sample; items in it were reviewed at one rate."""

Bounds = tuple[float, float] | None
"""The least and the largest that a share can be; None where it can be anything at all."""

EXAMPLES = 3
"""Images kept for a pair of labels at most, the first in page order."""


class Unknown(NamedTuple):
    """Reviewed items of a predicted label whose true label is unknown: rejected ones, and split ones.

    `rejected` and `split` are items, `rejected_weight` and `split_weight` what they stand for.
    """

    rejected: int = 0
    split: int = 0
    rejected_weight: float = 0
    split_weight: float = 0


class JobConfusion(NamedTuple):
    """The confusion matrix of a job, and what is not known.

    The matrix counts items, or where `weighted`, because labels or bands were reviewed at different rates,
    the items of the job that they stand for. `unknown` are by predicted label, in code-point order; `bounds`
    has a cell for each of the matrix: its share, if those were all of one ground truth or none of them.
    `reviewed` and `unreviewed` are items; `examples` are images of each pair beside the diagonal.
    """

    matrix: "ConfusionMatrix"
    unknown: Mapping[str, Unknown]
    bounds: Sequence[Sequence[Bounds]]
    reviewed: int
    unreviewed: int
    weighted: bool
    examples: Mapping[Pair, Sequence[str]]

    def as_json(self, schema: int) -> dict[str, object]:
        """Return the document that the command prints."""
        from bulkqa.evaluation.confusion import as_json

        return {
            **as_json(self.matrix, schema),
            "reviewed": self.reviewed,
            "unreviewed": self.unreviewed,
            "weighted": self.weighted,
            "unknown": [
                {"label": label, "rejected": found.rejected, "split": found.split}
                for label, found in self.unknown.items()
            ],
            "bounds": [[None if cell is None else list(cell) for cell in row] for row in self.bounds],
        }


def job_confusion(job: str, store: Store) -> JobConfusion:
    """Return the confusion matrix of a job's items, with what its later rounds found.

    Raises `NotFoundError` where there is no such job, `InputError` where it is itself a next round: its
    labels are not what a model predicted.
    """
    settings = settings_of(job, store.blobs)
    if settings.source is not None:
        first = settings.source.partition(":")[2]
        raise InputError(
            f"job {job!r} is a further round of {first!r}, whose predictions are what can be right or "
            f"wrong: name {first!r}, and what was found in {job!r} is counted"
        )
    with final_labels(job, store) as finals:
        return confusion_of(finals, settings)


def confusion_after_rounds(job: str, store: Store) -> JobConfusion | None:
    """Return the confusion matrix of a job that a relabelling round follows; None for every other job.

    Without such a round little is known beside the diagonal; a round itself has no matrix. Whether there is
    one, the settings of all jobs tell, which are read one by one.
    """
    if settings_of(job, store.blobs).source is not None or not _is_relabelled(job, store.blobs):
        return None
    return job_confusion(job, store)


def _is_relabelled(job: str, blobs: Blobs) -> bool:
    """Say whether a relabelling follows a job, or a round of it."""
    sources = {one.job: one.source for one in all_jobs(blobs) if one.source is not None}
    found, new = {job}, {job}
    while new:
        after = {name for name, source in sources.items() if source.partition(":")[2] in new}
        if any(sources[name].startswith(RELABEL) for name in after):
            return True
        new = after - found
        found |= new
    return False


def confusion_of(finals: Iterable[tuple[LabelRow, Final]], settings: JobSettings) -> JobConfusion:
    """Return the confusion matrix of items with the labels their images have in the end.

    Three of four reviewed dogs are dogs and the fourth is a wolf; of a fifth nothing is known:

    >>> from bulkqa.flow.rounds import How
    >>> rows = [LabelRow((image, "Dog"), 90.0, 1, 0) for image in ("a", "b", "c")]
    >>> finals = [(row, Final("Dog", How.CONFIRMED)) for row in rows]
    >>> finals.append((LabelRow(("d", "Dog"), 90.0, 0, 1), Final("Wolf", How.RELABELLED)))
    >>> finals.append((LabelRow(("e", "Dog"), 90.0, 0, 1), Final(None, How.UNRESOLVED)))
    >>> found = confusion_of(finals, JobSettings(job="dogs", corpus_name="dogs.csv"))
    >>> found.matrix.labels, found.matrix.counts
    (('Dog', 'Wolf'), ((3, 1), (0, 0)))
    >>> found.unknown["Dog"].rejected, found.bounds[0]
    (1, [(1.0, 1.0), (1.0, 1.0)])
    """
    tally = _Tally(settings.sample)
    for row, final in finals:
        tally.count(row, final)
    return tally.confusion(settings.labels)


class _Tally:
    """Items by stratum, and what is known of them."""

    def __init__(self, sample: Sample | None) -> None:
        self._sample = sample
        self._items = Counter[Stratum]()
        self._pairs = Counter[tuple[Stratum, str]]()
        self._rejected = Counter[Stratum]()
        self._split = Counter[Stratum]()
        self._examples: dict[Pair, list[str]] = {}

    def count(self, row: LabelRow, final: Final) -> None:
        """Take in an item."""
        image, label = row.key
        stratum = (label, self._band(label, row.confidence))
        self._items[stratum] += 1
        if row.outcome is Outcome.UNREVIEWED:
            return
        if final.label is not None:
            self._pairs[stratum, final.label] += 1
            if final.label != label:
                examples = self._examples.setdefault((label, final.label), [])
                if len(examples) < EXAMPLES:
                    examples.append(image)
        elif row.outcome is Outcome.SPLIT:
            self._split[stratum] += 1
        else:
            self._rejected[stratum] += 1

    def _band(self, label: str, confidence: float) -> int:
        bands = (self._sample or {}).get(label)
        return band_of(confidence, [*(low for low, *_ in bands), 100]) or 0 if bands else 0

    def confusion(self, labels: Iterable[str]) -> JobConfusion:
        """Return what it all comes to; `labels` are shown though none of their items was reviewed."""
        from bulkqa.evaluation.confusion import of_pairs

        reviewed = self._rejected + self._split
        for (stratum, _), number in self._pairs.items():
            reviewed[stratum] += number
        weights, weighted = self._weights(reviewed)
        pairs: dict[Pair, float] = {}
        for (stratum, truth), number in self._pairs.items():
            pair = stratum[0], truth
            pairs[pair] = pairs.get(pair, 0) + number * weights[stratum]
        unknown: dict[str, Unknown] = {}
        for stratum in sorted(self._rejected.keys() | self._split.keys()):
            before = unknown.get(stratum[0], Unknown())
            rejected, split, weight = self._rejected[stratum], self._split[stratum], weights[stratum]
            unknown[stratum[0]] = Unknown(
                before.rejected + rejected,
                before.split + split,
                before.rejected_weight + rejected * weight,
                before.split_weight + split * weight,
            )
        names = {*labels, *(stratum[0] for stratum in self._items), *(truth for _, truth in self._pairs)}
        matrix = of_pairs(pairs, names)
        return JobConfusion(
            matrix,
            unknown,
            _bounds(matrix, unknown),
            reviewed.total(),
            self._items.total() - reviewed.total(),
            weighted,
            self._examples,
        )

    def _weights(self, reviewed: Counter[Stratum]) -> tuple[dict[Stratum, float], bool]:
        """Return how many items a reviewed one stands for, by stratum; 1 where all were reviewed alike."""
        rates = {(number, self._population(stratum)) for stratum, number in reviewed.items()}
        first = next(iter(rates), (1, 1))
        if all(number * first[1] == first[0] * population for number, population in rates):
            return dict.fromkeys(reviewed, 1), False
        return {stratum: self._population(stratum) / number for stratum, number in reviewed.items()}, True

    def _population(self, stratum: Stratum) -> int:
        """Return the items of a stratum: of the corpus where the job is a sample of it, else of the job."""
        label, place = stratum
        bands = (self._sample or {}).get(label)
        return int(bands[place][2]) if bands else self._items[stratum]


def _bounds(matrix: "ConfusionMatrix", unknown: Mapping[str, Unknown]) -> list[list[Bounds]]:
    """Return for each cell the least and the largest its share can be, whatever the unknown items are.

    Least where those of its row are of other labels, and those of all other rows of its column; largest the
    other way round. A rejected item cannot be of the label it was predicted as, a split one can.
    """
    labels, totals = matrix.labels, matrix.columns_total or ()
    rejected = [unknown.get(label, Unknown()).rejected_weight for label in labels]
    split = [unknown.get(label, Unknown()).split_weight for label in labels]
    all_rejected, all_split = sum(rejected), sum(split)
    found: list[list[Bounds]] = []
    for row, counts in enumerate(matrix.counts or ()):
        cells: list[Bounds] = []
        for column, count in enumerate(counts):
            own = split[row] + (rejected[row] if row != column else 0)
            # A rejected item can be of any column but that of its own row.
            others = all_split + all_rejected - rejected[column] - own
            others = others if others > 0.5 else 0  # an item weighs at least 1; less is rounding
            if not (total := totals[column]) + own + others:
                cells.append(None)
                continue
            least = count / (total + others) if total + others else 1.0
            most = (count + own) / (total + own) if total + own else 0.0
            cells.append((least, most))
        found.append(cells)
    return found
