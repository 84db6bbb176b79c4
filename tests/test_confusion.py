"""What a model mistakes for what, as the reviewers of a job and its rounds saw it."""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkqa import steps
from bulkqa.errors import InputError, NotFoundError
from bulkqa.flow.rounds import Final, How, Proposals
from bulkqa.flow.votes import LabelRow, Outcome
from bulkqa.ports import Store
from bulkqa.settings import JobSettings
from bulkqa.steps.confusion import (
    EXAMPLES,
    JobConfusion,
    confusion_after_rounds,
    confusion_of,
    job_confusion,
)
from tests.support import CREATED, corpus_of, launch, local_store, quiet
from tests.test_cli import bulkqa
from tests.test_rounds import NO, UNSURE, YES, answer

VOTES = {
    Outcome.CONFIRMED: (1, 0),
    Outcome.DISCONFIRMED: (0, 1),
    Outcome.SPLIT: (1, 1),
    Outcome.UNREVIEWED: (0, 0),
}

Item = tuple[str, float, Outcome, str | None]
"""A predicted label, its confidence, what the votes say, and the true label, if it is known."""


def confusion(items: Sequence[Item], **settings: Any) -> JobConfusion:
    """The confusion matrix of items, each of an image of its own."""
    finals = []
    for number, (label, confidence, outcome, truth) in enumerate(items):
        row = LabelRow((f"{number}.jpg", label), confidence, *VOTES[outcome])
        how = How.UNRESOLVED if truth is None else How.CONFIRMED if truth == label else How.RELABELLED
        finals.append((row, Final(truth, how)))
    return confusion_of(finals, JobSettings(job="pets", corpus_name="pets.csv", **settings))


def many(number: int, *item: Any) -> list[Item]:
    """So many items alike."""
    return [item] * number


CONFIRMED, REJECTED, SPLIT, UNREVIEWED = (
    Outcome.CONFIRMED,
    Outcome.DISCONFIRMED,
    Outcome.SPLIT,
    Outcome.UNREVIEWED,
)

# By hand: predicted Dog 8 right, 2 wolves, 1 unknown, 1 split; predicted Wolf 4 right, 1 dog, 2 unknown.
PETS = [
    *many(8, "Dog", 90.0, CONFIRMED, "Dog"),
    *many(2, "Dog", 90.0, REJECTED, "Wolf"),
    *many(1, "Dog", 90.0, REJECTED, None),
    *many(1, "Dog", 90.0, SPLIT, None),
    *many(4, "Wolf", 90.0, CONFIRMED, "Wolf"),
    *many(1, "Wolf", 90.0, REJECTED, "Dog"),
    *many(2, "Wolf", 90.0, REJECTED, None),
]


def test_counts_and_bounds_by_hand() -> None:
    """Nine true dogs and six wolves are known; four more items may be either, as far as their votes allow."""
    found = confusion(PETS)
    assert found.matrix.labels == ("Dog", "Wolf")
    assert found.matrix.counts == ((8, 2), (1, 4))
    assert found.matrix.shares == ((8 / 9, 2 / 6), (1 / 9, 4 / 6))
    assert (found.reviewed, found.unreviewed, found.weighted) == (19, 0, False)
    assert {label: (one.rejected, one.split) for label, one in found.unknown.items()} == {
        "Dog": (1, 1),
        "Wolf": (2, 0),
    }
    # Dog as Dog: least if both unknown of Wolf are dogs, 8/11; most if the split one is, 9/10.
    # Wolf as Dog: least if the split one is a dog, 1/10; most if both unknown of Wolf are, 3/11.
    # Dog as Wolf: least if none is a wolf, 2/6; most if both unknown of Dog are, 4/8.
    # Wolf as Wolf: least if both unknown of Dog are wolves, 4/8; most if none is, 4/6.
    assert found.bounds == [[(8 / 11, 9 / 10), (2 / 6, 4 / 8)], [(1 / 10, 3 / 11), (4 / 8, 4 / 6)]]


def test_the_document_has_more_than_a_file_s() -> None:
    """The keys of every confusion matrix, then what a job alone can tell."""
    document = confusion([*PETS, *many(3, "Cat", 90.0, UNREVIEWED, None)]).as_json(1)
    assert list(document) == [
        *("schema", "labels", "matrix", "counts"),
        *("reviewed", "unreviewed", "weighted", "unknown", "bounds"),
    ]
    assert document["labels"] == ["Cat", "Dog", "Wolf"]
    assert document["matrix"][0] == [None, 0.0, 0.0]  # type: ignore[index]
    assert document["unknown"] == [
        {"label": "Dog", "rejected": 1, "split": 1},
        {"label": "Wolf", "rejected": 2, "split": 0},
    ]
    assert (document["reviewed"], document["unreviewed"]) == (19, 3)
    # No known image is a cat, but any unknown one may be: of the rows that have some anything can be.
    assert [row[0] for row in document["bounds"]] == [[0.0, 0.0], [0.0, 1.0], [0.0, 1.0]]  # type: ignore[attr-defined]


def test_examples_are_of_pairs_beside_the_diagonal() -> None:
    """A few images of each confusion, the first in order."""
    found = confusion([*many(5, "Dog", 90.0, REJECTED, "Wolf"), *many(1, "Dog", 90.0, CONFIRMED, "Dog")])
    assert found.examples == {("Dog", "Wolf"): [f"{number}.jpg" for number in range(EXAMPLES)]}


def test_bands_of_a_sample_count_what_they_stand_for() -> None:
    """10 of 100 items reviewed below 90, and 10 of 20 above: an item stands for 10, and for 2."""
    sample = {"Dog": [[80, 90, 100, 10], [90, 100, 20, 10]]}
    found = confusion(
        [
            *many(6, "Dog", 85.0, CONFIRMED, "Dog"),
            *many(3, "Dog", 85.0, REJECTED, "Wolf"),
            *many(1, "Dog", 85.0, SPLIT, None),
            *many(9, "Dog", 95.0, CONFIRMED, "Dog"),
            *many(1, "Dog", 95.0, REJECTED, "Wolf"),
        ],
        sample=sample,
    )
    assert found.weighted
    assert found.matrix.counts == ((6 * 10 + 9 * 2, 3 * 10 + 1 * 2), (0, 0))
    assert found.unknown["Dog"] == (0, 1, 0, 10)
    assert found.bounds[0] == [(1.0, 1.0), (1.0, 1.0)]


def test_labels_reviewed_at_different_rates_are_weighted() -> None:
    """Half of the wolves are reviewed, and all dogs: each wolf counts twice."""
    found = confusion(
        [
            *many(10, "Dog", 90.0, CONFIRMED, "Dog"),
            *many(4, "Wolf", 90.0, CONFIRMED, "Wolf"),
            *many(1, "Wolf", 90.0, REJECTED, "Dog"),
            *many(5, "Wolf", 90.0, UNREVIEWED, None),
        ]
    )
    assert found.weighted
    assert found.matrix.counts == ((10, 0), (2, 8))
    assert found.matrix.shares[1][0] == 2 / 12


@pytest.mark.parametrize("rest", [0, 10])
def test_one_rate_for_all_is_no_weight(rest: int) -> None:
    """Reviewed to the same part, or whole, all labels count their reviewed items as they are."""
    found = confusion(
        [
            *many(10, "Dog", 90.0, CONFIRMED, "Dog"),
            *many(10, "Wolf", 90.0, CONFIRMED, "Wolf"),
            *many(rest, "Dog", 90.0, UNREVIEWED, None),
            *many(rest, "Wolf", 90.0, UNREVIEWED, None),
        ]
    )
    assert not found.weighted
    assert found.matrix.counts == ((10, 0), (0, 10))


LABELS = ("a", "b", "c")


@st.composite
def items(draw: st.DrawFn) -> list[Item]:
    """Items of three labels with any outcome, at most six of them without a true label."""
    found: list[Item] = []
    unknown = 0
    for _ in range(draw(st.integers(1, 25))):
        label, outcome = draw(st.sampled_from(LABELS)), draw(st.sampled_from(list(Outcome)))
        truth: str | None = None
        if outcome is CONFIRMED:
            truth = label
        elif outcome is REJECTED:
            truth = draw(
                st.sampled_from([other for other in LABELS if other != label] + [None] * (unknown < 6))
            )
        elif outcome is SPLIT and unknown == 6:
            outcome = UNREVIEWED
        unknown += truth is None and outcome is not UNREVIEWED
        found.append((label, draw(st.sampled_from([85.0, 95.0])), outcome, truth))
    return found


@given(items())
def test_every_reviewed_item_is_counted_once(found: list[Item]) -> None:
    """Counts and unknown items are together the reviewed ones, or where weighted the items they stand for."""
    result = confusion(found, labels=LABELS)
    reviewed = [item for item in found if item[2] is not UNREVIEWED]
    inside = sum(map(sum, result.matrix.counts or ()))
    unknown = sum(one.rejected + one.split for one in result.unknown.values())
    assert result.reviewed == len(reviewed)
    assert result.unreviewed == len(found) - len(reviewed)
    if result.weighted:
        weight = sum(one.rejected_weight + one.split_weight for one in result.unknown.values())
        labels = {label for label, *_ in reviewed}
        assert inside + weight == pytest.approx(sum(label in labels for label, *_ in found))
    else:
        assert inside + unknown == result.reviewed


@given(items())
def test_bounds_are_the_extremes_of_all_that_may_be(found: list[Item]) -> None:
    """Over all true labels that the unknown items can have, a share reaches its bounds and no further."""
    reviewed = [item for item in found if item[2] is not UNREVIEWED]
    result = confusion(reviewed, labels=LABELS)
    choices: list[Sequence[str | None]] = []
    for label, _, outcome, truth in reviewed:
        if truth is None:  # "?" is a label that no item has been found to have
            choices.append([*(other for other in LABELS if outcome is SPLIT or other != label), "?"])
        else:
            choices.append([truth])
    least: dict[tuple[int, int], float] = {}
    most: dict[tuple[int, int], float] = {}
    if len(list(itertools.islice(itertools.product(*choices), 2000))) == 2000:
        return
    for truths in itertools.product(*choices):
        pairs = [(label, truth) for (label, *_), truth in zip(reviewed, truths, strict=True)]
        for row, column in itertools.product(range(3), range(3)):
            total = sum(truth == LABELS[column] for _, truth in pairs)
            if total:
                share = pairs.count((LABELS[row], LABELS[column])) / total
                least[row, column] = min(share, least.get((row, column), 1))
                most[row, column] = max(share, most.get((row, column), 0))
    for row, column in itertools.product(range(3), range(3)):
        bounds = result.bounds[row][column]
        if bounds is None:
            assert (row, column) not in least
        else:
            assert list(bounds) == pytest.approx([least[row, column], most[row, column]])


# Over jobs and their rounds.

CORPUS = corpus_of(
    [(f"d{number}.jpg", "Dog", 90.0) for number in range(6)]
    + [(f"w{number}.jpg", "Wolf", 90.0) for number in range(4)]
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """The home of the command, with the job `dogs` reviewed by two.

    Of the dogs d0 to d2 are rejected and d3 is split; of the wolves w0 is rejected.
    """
    with local_store(tmp_path / ".bulkqa") as opened:
        launch(opened, CORPUS, reviewers=2)
        wrong = {"d0.jpg", "d1.jpg", "d2.jpg", "w0.jpg"}
        answer(opened, "dogs", "ana", lambda key: NO if key[0] in wrong else YES)
        answer(opened, "dogs", "ben", lambda key: NO if key[0] in wrong or key[0] == "d3.jpg" else YES)
        yield opened


def relabelled(store: Store) -> None:
    """The round of relabelling: d0 and d1 are wolves, d2 is none, w0 nobody can tell."""
    with Proposals([b'{"Dog": "Wolf", "Wolf": "Dog"}'], "p.json") as proposals:
        steps.relabel("dogs", "r1", store, proposals=proposals, reviewers=1, created_at=CREATED, notice=quiet)
    says = {"d0.jpg": YES, "d1.jpg": YES, "d2.jpg": NO, "w0.jpg": UNSURE}
    answer(store, "r1", "eve", lambda key: says[key[0]])


def test_without_a_round_the_wrong_ones_are_unknown(store: Store) -> None:
    """The diagonal is known, and how many are beside it, but not where."""
    found = job_confusion("dogs", store)
    assert found.matrix.counts == ((2, 0), (0, 3))
    assert {label: one[:2] for label, one in found.unknown.items()} == {"Dog": (3, 1), "Wolf": (1, 0)}


def test_rounds_fill_the_matrix(store: Store) -> None:
    """What was relabelled and confirmed stands beside the diagonal, what was adjudicated as right on it."""
    relabelled(store)
    assert job_confusion("dogs", store).matrix.counts == ((2, 2), (0, 3))
    steps.adjudicate("dogs", "second", store, created_at=CREATED, notice=quiet)
    answer(store, "second", "eve", lambda key: YES)
    found = job_confusion("dogs", store)
    assert found.matrix.counts == ((3, 2), (0, 3))
    assert {label: one[:2] for label, one in found.unknown.items()} == {"Dog": (1, 0), "Wolf": (1, 0)}
    assert sorted(found.examples["Dog", "Wolf"]) == ["d0.jpg", "d1.jpg"]


def test_a_round_itself_has_no_matrix(store: Store) -> None:
    """Its labels were proposed, not predicted; the job that it follows is named."""
    relabelled(store)
    with pytest.raises(InputError, match=r"'r1' is a further round of 'dogs'.*name 'dogs'"):
        job_confusion("r1", store)
    with pytest.raises(NotFoundError, match="no job 'cats'"):
        job_confusion("cats", store)


def test_only_a_relabelled_job_has_a_matrix_in_its_report(store: Store) -> None:
    """Not before a relabelling, nor after an adjudication alone, and never a round itself."""
    assert confusion_after_rounds("dogs", store) is None
    steps.adjudicate("dogs", "second", store, created_at=CREATED, notice=quiet)
    assert confusion_after_rounds("dogs", store) is None
    relabelled(store)
    assert confusion_after_rounds("dogs", store) == job_confusion("dogs", store)
    assert confusion_after_rounds("r1", store) is confusion_after_rounds("second", store) is None
    with pytest.raises(NotFoundError, match="no job 'cats'"):
        confusion_after_rounds("cats", store)


def test_a_relabelling_after_an_adjudication_counts(store: Store) -> None:
    """What an adjudication rejected may be relabelled as a round of that; it is the job's matrix still."""
    steps.adjudicate("dogs", "second", store, created_at=CREATED, notice=quiet)
    answer(store, "second", "eve", lambda key: NO)
    with Proposals([b'{"Dog": "Wolf"}'], "p.json") as proposals:
        steps.relabel("second", "r2", store, proposals=proposals, created_at=CREATED, notice=quiet)
    answer(store, "r2", "eve", lambda key: YES)
    found = confusion_after_rounds("dogs", store)
    assert found is not None
    assert found.matrix.counts == ((2, 1), (0, 3))


def test_the_report_has_what_the_command_prints(store: Store) -> None:
    """The JSON report has the matrix of the command, and the pairs with their images; no round, no key."""
    before = bulkqa("report", "dogs", "--format", "json").json
    assert "confusion" not in before
    relabelled(store)
    after = bulkqa("report", "dogs", "--format", "json").json
    matrix = bulkqa("confusion-matrix", "dogs", "--format", "json").json
    confusion = after.pop("confusion")
    assert after == before
    pairs = confusion.pop("most_confused")
    pairs[0]["examples"].sort()  # page order is drawn by chance
    assert pairs == [
        {
            "predicted": "Dog",
            "ground_truth": "Wolf",
            "items": 2,
            "share": 0.4,
            "examples": ["d0.jpg", "d1.jpg"],
        }
    ]
    assert {"schema": 1, **confusion} == matrix
    assert "confusion" not in bulkqa("report", "r1", "--format", "json").json


def test_the_page_of_a_relabelled_job_shows_the_matrix(store: Store) -> None:
    """`report --format html` has the section where there is a relabelling, and no word of it else."""
    assert 'id="confusion"' not in bulkqa("report", "dogs", "--format", "html").out
    relabelled(store)
    page = bulkqa("report", "dogs", "--format", "html").out
    assert page.count('id="confusion"') == 1
    assert "Mistaken most often: Wolf for Dog, 2 items." in page


def test_the_command_tells_what_is_unknown(store: Store) -> None:
    """The table alone on standard output; on standard error what has no true label, and how much that is."""
    relabelled(store)
    run = bulkqa("confusion-matrix", "dogs")
    assert (run.code, run.out) == (0, "       Dog  Wolf\nDog   100%   40%\nWolf    0%   60%\n")
    assert "3 reviewed items have no true label" in run.err
    assert "predicted Dog: 1 rejected, 1 split; recall 100%, between 67% and 100%" in run.err
    assert run.err.count("\n") == 3
    counted = bulkqa("confusion-matrix", "dogs", "--counts", "--format", "csv")
    assert counted.out.splitlines() == ["predicted,Dog,Wolf", "Dog,2,2", "Wolf,0,3"]


def test_the_command_s_json_and_summary(store: Store) -> None:
    """JSON has the bounds; the summary file of a job is one that can be read again."""
    relabelled(store)
    run = bulkqa("confusion-matrix", "dogs", "--format", "json", "--summary", "s.json")
    assert run.json["counts"] == [[2, 2], [0, 3]]
    assert run.json["unknown"] == [
        {"label": "Dog", "rejected": 1, "split": 1},
        {"label": "Wolf", "rejected": 1, "split": 0},
    ]
    again = bulkqa("confusion-matrix", "./s.json", "--format", "json")
    assert again.json["matrix"] == run.json["matrix"]


def test_a_job_nobody_reviewed_says_so(tmp_path: Path) -> None:
    """Nothing is known, which is no failure."""
    with local_store(tmp_path / ".bulkqa") as store:
        launch(store, CORPUS)
    run = bulkqa("confusion-matrix", "dogs")
    assert (run.code, run.out) == (0, "      Dog  Wolf\nDog     -     -\nWolf    -     -\n")
    assert "No item is reviewed yet" in run.err
