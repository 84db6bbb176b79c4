"""What the next round asks, and what label an image has in the end."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkqa.errors import InputError
from bulkqa.flow.rounds import Final, FinalLabel, Finals, How, Proposals, Reviewed, choose
from bulkqa.flow.votes import LabelRow, Outcome

NOBODY = frozenset[str]()


def row(image: str, label: str, outcome: Outcome, source: str | None = None, job: str = "dogs") -> LabelRow:
    """A row with this outcome of two reviewers' votes in a job."""
    yes, no = frozenset({f"{job}/ana"}), frozenset({f"{job}/ben"})
    confirmed = yes if outcome in (Outcome.CONFIRMED, Outcome.SPLIT) else NOBODY
    rejected = no if outcome in (Outcome.DISCONFIRMED, Outcome.SPLIT) else NOBODY
    return LabelRow((image, label), 90.0, source=source).with_voters(confirmed, rejected, NOBODY)


def proposals(text: str) -> Proposals:
    """Proposals of a file with this content."""
    return Proposals(text.encode().splitlines(keepends=True), "p.csv")


# What a label is mistaken for.


def test_the_most_frequent_mistake_comes_first() -> None:
    """Of images rejected as Dog two were wolves, one a fox, one a cat: by number, then by name."""
    rows = [row(image, "Dog", Outcome.DISCONFIRMED) for image in "abcd"]
    rows += [row("a", "Wolf", Outcome.CONFIRMED), row("b", "Wolf", Outcome.CONFIRMED)]
    rows += [row("c", "Fox", Outcome.CONFIRMED), row("d", "Cat", Outcome.CONFIRMED)]
    with Reviewed(rows) as reviewed:
        assert reviewed.mistaken_for() == {"Dog": ["Wolf", "Cat", "Fox"]}


def test_split_and_unreviewed_items_teach_nothing() -> None:
    """Only a clear rejection beside a clear confirmation is a mistake."""
    for first in Outcome:
        for second in Outcome:
            with Reviewed([row("a", "Dog", first), row("a", "Wolf", second)]) as reviewed:
                learned = (first, second) == (Outcome.DISCONFIRMED, Outcome.CONFIRMED)
                assert reviewed.mistaken_for().get("Dog") == (["Wolf"] if learned else None)


def test_labels_of_an_image() -> None:
    """Each label that was clearly answered, and how."""
    rows = [row("a", "Dog", Outcome.DISCONFIRMED), row("a", "Wolf", Outcome.CONFIRMED)]
    with Reviewed([*rows, row("a", "Fox", Outcome.SPLIT), row("b", "Cat", Outcome.CONFIRMED)]) as reviewed:
        assert reviewed.labels("a") == {"Dog": False, "Wolf": True}
        assert reviewed.labels("nothing") == {}


def test_a_claim_is_made_once() -> None:
    """The same image and label are not asked for twice in a round."""
    with Reviewed([]) as reviewed:
        claims = [("a", "Dog"), ("a", "Dog"), ("a", "Wolf")]
        assert [reviewed.claim(*claim) for claim in claims] == [True, False, True]


# What is proposed.


def test_proposals_by_image() -> None:
    """CSV: as many as there are rows of the image, in their order, however the file spells the image."""
    text = "label,image,more\nWolf,a.jpg,1\nFox,b.jpg,2\nFox,a.jpg,3\nWolf,local://a.jpg,4\n"
    with proposals(text) as found:
        assert found.of(["local://a.jpg", "a.jpg"], "Dog") == ["Wolf", "Fox"]
        assert found.of(["c.jpg"], "Dog") == []


def test_proposals_by_label() -> None:
    """JSON: of each label another one or several, over several lines of text too."""
    with proposals('{\n "Dog": ["Wolf", "Fox"],\n "Cat": "Lynx"}') as found:
        assert found.of(["a"], "Dog") == ["Wolf", "Fox"]
        assert found.of(["a"], "Cat") == ["Lynx"]
        assert found.of(["a"], "Cow") == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "p.csv: the file is empty"),
        ("picture,label\n", "no column 's3_image_url' or 'image_local_path' or 'image'"),
        ("image,name\n", "no column 'label'"),
        ("image,label\na.jpg,Wolf\nb.jpg\n", "p.csv, line 3: 1 fields"),
        ("image,label\na.jpg, \n", "p.csv, line 2: image or label is empty"),
        ("{", "p.csv: not readable as JSON"),
        ('{"Dog": 5}', "p.csv: 'Dog' has neither"),
        ('{"Dog": [5]}', "p.csv: 'Dog' has neither"),
    ],
)
def test_bad_proposals_are_named(text: str, words: str) -> None:
    """What cannot be read is refused, naming line or label."""
    with pytest.raises(InputError) as caught:
        proposals(text)
    assert words in str(caught.value)


# What is asked.


def test_what_is_proposed_wins_over_what_is_learned() -> None:
    """All that a person proposes, and the likeliest alone of what the votes tell."""
    assert choose("Dog", {"Dog": False}, ["Fox", "Cat"], ["Wolf"]).labels == ["Fox", "Cat"]
    assert choose("Dog", {"Dog": False}, [], ["Wolf", "Fox"]).labels == ["Wolf"]
    assert choose("Dog", {"Dog": False}, ["Dog"], ["Wolf"]).labels == []


labels = st.sampled_from(["Dog", "Wolf", "Fox", "Cat"])


@given(
    label=labels,
    reviewed=st.dictionaries(labels, st.booleans()),
    proposed=st.lists(labels, unique=True),
    mistaken=st.lists(labels, unique=True),
)
def test_nothing_answered_is_asked_again(
    label: str, reviewed: dict[str, bool], proposed: Sequence[str], mistaken: Sequence[str]
) -> None:
    """No label is asked that was answered of the image, nor its own, nor any of an image that has one."""
    choice = choose(label, reviewed, proposed, mistaken)
    assert choice.known == any(reviewed.values())
    assert not set(choice.labels) & {label, *reviewed}
    assert not (choice.known and choice.labels)
    assert set(choice.labels) <= set(proposed or mistaken)


# What an image is in the end.


def finals_of(rows: Sequence[LabelRow], *later: LabelRow, adjudications: Sequence[str] = ()) -> list[Final]:
    """The final label of each row."""
    with Finals(rows, later, adjudications) as finals:
        return [final for _, final in finals]


def test_every_way_to_a_label() -> None:
    """Confirmed, adjudicated, relabelled; rejected and nothing else known, split, unreviewed: unresolved."""
    rows = [
        row("a", "Dog", Outcome.CONFIRMED),
        row("b", "Dog", Outcome.CONFIRMED, job="second"),
        row("c", "Dog", Outcome.DISCONFIRMED),
        row("d", "Dog", Outcome.DISCONFIRMED),
        row("e", "Dog", Outcome.SPLIT),
        row("f", "Dog", Outcome.UNREVIEWED),
    ]
    later = row("c", "Wolf", Outcome.CONFIRMED, "relabel:dogs", "third")
    rejected = row("d", "Wolf", Outcome.DISCONFIRMED, "relabel:dogs", "third")
    assert finals_of(rows, later, rejected, adjudications=["second"]) == [
        Final("Dog", How.CONFIRMED, "dogs"),
        Final("Dog", How.ADJUDICATED, "second"),
        Final("Wolf", How.RELABELLED, "third"),
        *[Final(None, How.UNRESOLVED)] * 3,
    ]


def test_a_label_confirmed_by_the_model_too() -> None:
    """Rejected as one label and confirmed as another of the same job, the image has the other."""
    rows = [row("a", "Dog", Outcome.DISCONFIRMED), row("a", "Wolf", Outcome.CONFIRMED)]
    assert finals_of(rows) == [Final("Wolf", How.CONFIRMED, "dogs")] * 2


def test_two_other_labels_resolve_nothing() -> None:
    """Rejected as one and confirmed as two others: which of them the first should have been nobody knows."""
    rows = [row("a", label, Outcome.CONFIRMED) for label in ("Wolf", "Fox")]
    *both, dog = finals_of([*rows, row("a", "Dog", Outcome.DISCONFIRMED)])
    assert [final.label for final in both] == ["Wolf", "Fox"]
    assert dog == Final(None, How.UNRESOLVED)


def test_rows_without_an_image_say_nothing_of_each_other() -> None:
    """A table from elsewhere may name no image: no row of it is another's final label."""
    rows = [row("", "Dog", Outcome.DISCONFIRMED), row("", "Wolf", Outcome.CONFIRMED)]
    assert [final.label for final in finals_of(rows)] == [None, "Wolf"]


def test_images_and_labels_of_some_outcomes() -> None:
    """Images in order with all their labels, those of the outcomes asked for alone; labels by code point."""
    rows = [
        row("b", "dog", Outcome.CONFIRMED),
        row("b", "Éland", Outcome.CONFIRMED),
        row("b", "Zebra", Outcome.CONFIRMED),
        row("a", "dog", Outcome.DISCONFIRMED),
        row("c", "dog", Outcome.UNREVIEWED),
    ]
    with Finals(rows, [row("a", "Wolf", Outcome.CONFIRMED, "relabel:dogs", "r1")]) as finals:
        images = list(finals.images(frozenset(Outcome)))
        assert [(image, [one.label for one in found]) for image, found in images] == [
            ("a", ["Wolf"]),
            ("b", ["Zebra", "dog", "Éland"]),
        ]
        assert images[0][1] == [FinalLabel("Wolf", How.RELABELLED, "r1", 90.0, None)]
        assert finals.labels(frozenset(Outcome)) == sorted(["Wolf", "Zebra", "dog", "Éland"])
        assert finals.labels({Outcome.DISCONFIRMED}) == ["Wolf"]
        assert [row.key for row, _ in finals.of({Outcome.UNREVIEWED})] == [("c", "dog")]


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5)
rows = st.builds(
    lambda key, confidence, confirmed, rejected, jobs, model: LabelRow(
        key, confidence, jobs=jobs, model=model, created_at="2026-01-01T00:00:00Z"
    ).with_voters(confirmed, rejected, NOBODY),
    st.tuples(texts, texts),
    st.floats(0, 100),
    *[st.frozensets(texts, max_size=2)] * 3,
    st.none() | texts,
)


@given(st.lists(rows, max_size=8, unique_by=lambda row: row.key))
def test_rows_come_back_as_they_were(given_rows: list[LabelRow]) -> None:
    """On their way through the disk rows lose nothing, and a confirmed one has its own label."""
    with Finals(given_rows) as finals:
        found = list(finals)
    assert [row for row, _ in found] == given_rows
    assert all(final.label == row.key[1] for row, final in found if row.outcome is Outcome.CONFIRMED)
    unknown = (Outcome.SPLIT, Outcome.UNREVIEWED)
    assert all(final.label is None for row, final in found if row.outcome in unknown)
