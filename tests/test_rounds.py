"""The next round of a job, on the embedded store: relabelling, adjudication, and the label in the end."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from bulkqa import steps
from bulkqa.errors import ConflictError, InputError, NotFoundError
from bulkqa.flow.rounds import How, Proposals
from bulkqa.flow.votes import Key
from bulkqa.jobs import batch_key, page_items, settings_of
from bulkqa.ports import Store
from tests.support import CREATED, corpus_of, launch, local_store, quiet

YES, NO, UNSURE = "confirm", "disconfirm", "cannot judge"

CORPUS = corpus_of(
    [
        ("a.jpg", "Dog", 99.5),
        ("b.jpg", "Dog", 85.25),
        ("c.jpg", "Dog", 88.0),
        ("d.jpg", "Dog", 91.0),
        ("b2.jpg", "Dog", 70.0),
        ("b2.jpg", "Wolf", 95.0),
        ("e.jpg", "Wolf", 92.0),
    ]
)
"""Items of two labels; one image has both."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store with the job `dogs`, two reviewers a page."""
    with local_store(tmp_path) as opened:
        launch(opened, CORPUS, reviewers=2, image_root="/pictures", seed=3, bands=(0, 50, 100))
        yield opened


Says = Mapping[Key, str] | Callable[[Key], str]


def answer(store: Store, job: str, worker: str, says: Says) -> None:
    """Have a reviewer answer every page of a job."""
    of = says if callable(says) else says.__getitem__
    pages = len(list(store.blobs.keys(f"jobs/{job}/custom-labeling-inputs/")))
    for number in range(pages):
        items = page_items(job, number, store.blobs)
        content: dict[str, object] = {}
        for place, item in enumerate(items):
            say = of((item.image, item.label))
            content[f"item-{place:03d}"] = {"Confirmed": say == YES, "CannotJudge": say == UNSURE}
        steps.answer_page(job, number, worker, content, store, "2026-01-03T00:00:00Z")


WRONG = {("b.jpg", "Dog"), ("b2.jpg", "Dog"), ("c.jpg", "Dog")}


def reviewed(store: Store, split: Key = ("d.jpg", "Dog")) -> None:
    """Have both reviewers answer `dogs`: three wrong, and one on which they differ."""
    answer(store, "dogs", "ana", lambda key: NO if key in WRONG else YES)
    answer(store, "dogs", "ben", lambda key: NO if key in WRONG or key == split else YES)


def relabel(store: Store, new: str = "r1", text: str | None = None, **settings: Any) -> steps.Relabelling:
    """Launch the relabelling round of `dogs`."""
    if text is None:
        return steps.relabel("dogs", new, store, created_at=CREATED, notice=quiet, **settings)
    with Proposals([text.encode()], "p.json") as proposals:
        return steps.relabel(
            "dogs", new, store, proposals=proposals, created_at=CREATED, notice=quiet, **settings
        )


def adjudicate(store: Store, new: str = "second", job: str = "dogs") -> steps.Launched:
    """Launch the adjudication of a job."""
    return steps.adjudicate(job, new, store, created_at=CREATED, notice=quiet)


def items_of(store: Store, job: str) -> list[tuple[str, str, float]]:
    """Every item of a job, sorted."""
    pages = len(list(store.blobs.keys(f"jobs/{job}/custom-labeling-inputs/")))
    return sorted(item[:3] for number in range(pages) for item in page_items(job, number, store.blobs))


def in_the_end(store: Store, job: str = "dogs") -> dict[Key, tuple[str | None, How, str | None]]:
    """The final label of every item."""
    with steps.final_labels(job, store) as finals:
        return {row.key: (final.label, final.how, final.job) for row, final in finals}


# Relabelling.


def test_relabelling_asks_what_the_votes_tell(store: Store) -> None:
    """b2.jpg was rejected as Dog and confirmed as Wolf: so the other rejected dogs may be wolves."""
    reviewed(store)
    found = relabel(store)
    assert items_of(store, "r1") == [("b.jpg", "Wolf", 85.25), ("c.jpg", "Wolf", 88.0)]
    assert (found.known, found.without, found.launched.counts.rejected) == (1, {}, 0)


def test_a_round_is_launched_as_its_job_was(store: Store) -> None:
    """Pictures, pages and bands as in the job it follows, which it names; its own reviewers if told."""
    reviewed(store)
    relabel(store, reviewers=1)
    before, after = settings_of("dogs", store.blobs), settings_of("r1", store.blobs)
    for name in ("image_root", "seed", "batch_size", "bands", "minimum_confidence", "host", "guideline"):
        assert getattr(before, name) == getattr(after, name)
    assert (before.source, after.source, after.reviewers) == (None, "relabel:dogs", 1)
    assert relabel(store, "r2").launched.job == "r2"
    assert settings_of("r2", store.blobs).reviewers == 2


def test_rows_of_a_round_say_so_and_the_model_s_stay(store: Store) -> None:
    """A new row names the round it is from; the model's own rows keep confidence and source."""
    reviewed(store)
    before = {row.key: row for row in store.table.rows()}
    relabel(store, text='{"Dog": ["Wolf", "Fox"]}')
    adjudicate(store)
    rows = {row.key: row for row in store.table.rows()}
    assert rows["b.jpg", "Fox"].source == "relabel:dogs"
    assert rows["b.jpg", "Fox"].confidence == 85.25
    for key, row in before.items():
        assert rows[key] == row._replace(jobs=rows[key].jobs)
    assert rows["d.jpg", "Dog"].jobs == {"dogs", "second"}
    assert {row.source for row in steps.job_rows("second", store)} == {"adjudicate:dogs"}
    assert {row.source for row in steps.job_rows("dogs", store)} == {None}


def test_proposals_win(store: Store) -> None:
    """Several labels for an item are a row each; a known image is asked nothing."""
    reviewed(store)
    relabel(store, text='{"Dog": ["Fox", "Wolf"]}')
    assert [item[:2] for item in items_of(store, "r1")] == [
        ("b.jpg", "Fox"),
        ("b.jpg", "Wolf"),
        ("c.jpg", "Fox"),
        ("c.jpg", "Wolf"),
    ]


def test_a_further_round_asks_what_was_not_rejected(store: Store) -> None:
    """What the first round rejected is not asked again; where nothing is left, its label says so."""
    reviewed(store)
    relabel(store)
    answer(store, "r1", "ana", {("b.jpg", "Wolf"): NO, ("c.jpg", "Wolf"): YES})
    found = relabel(store, "r2", text='{"Dog": ["Wolf", "Fox"]}')
    assert items_of(store, "r2") == [("b.jpg", "Fox", 85.25)]
    assert found.known == 2
    with pytest.raises(InputError, match=r"no label to propose for 1 .* items of Dog: .*--proposals"):
        relabel(store, "r3")


def test_a_round_again_is_the_same_round(store: Store) -> None:
    """Its own votes do not change what it asks; the votes of the job it follows do, and that is refused."""
    reviewed(store)
    relabel(store)
    answer(store, "r1", "ana", lambda key: YES)
    assert relabel(store).launched.again
    assert relabel(store).launched.counts.items == 2
    with pytest.raises(ConflictError, match="another corpus"):
        relabel(store, text='{"Dog": "Fox"}')


def test_a_label_answered_under_another_job_counts(store: Store) -> None:
    """An image that another job confirmed as something is asked nothing."""
    reviewed(store)
    launch(store, corpus_of([("b.jpg", "Fox", 99.0)]), job="others")
    answer(store, "others", "eve", lambda key: YES)
    found = relabel(store)
    assert items_of(store, "r1") == [("c.jpg", "Fox", 88.0)]  # as often as Wolf, and before it
    assert found.known == 2


def test_an_adjudicated_item_is_relabelled_too(store: Store) -> None:
    """A split item that the adjudication rejects needs another label like the rest."""
    reviewed(store)
    adjudicate(store)
    answer(store, "second", "eve", lambda key: NO)
    relabel(store)
    assert ("d.jpg", "Wolf", 91.0) in items_of(store, "r1")


def test_nothing_to_do(store: Store) -> None:
    """Without a disconfirmed or split item there is no round: a sentence, and no job."""
    with pytest.raises(InputError, match="'dogs' has no disconfirmed item"):
        relabel(store)
    with pytest.raises(InputError, match="'dogs' has no split item"):
        adjudicate(store)
    assert store.blobs.folders("jobs/") == ["dogs"]


def test_bad_names(store: Store) -> None:
    """A job that is not there, a round of the same name, a name that is none."""
    with pytest.raises(NotFoundError, match="no job 'cats'"):
        adjudicate(store, job="cats")
    with pytest.raises(InputError, match="another name"):
        adjudicate(store, "dogs")
    with pytest.raises(InputError, match="job name"):
        adjudicate(store, "Not a name")


# Adjudication.


def test_adjudication_asks_the_split_items_again(store: Store) -> None:
    """The split item alone, under its own label, with its own confidence."""
    reviewed(store)
    assert adjudicate(store).counts.items == 1
    assert items_of(store, "second") == [("d.jpg", "Dog", 91.0)]
    assert json.loads(store.blobs.read(batch_key("second", 0)))[0]["s3_image_url"] == "d.jpg"
    assert settings_of("second", store.blobs).source == "adjudicate:dogs"


@pytest.mark.parametrize(("say", "outcome"), [(YES, "confirmed"), (NO, "disconfirmed"), (UNSURE, "split")])
def test_an_adjudication_decides(store: Store, say: str, outcome: str) -> None:
    """Its decision replaces the split; who cannot judge decides nothing. The job's own votes stay."""
    reviewed(store)
    own = {row.key: row for row in steps.job_rows("dogs", store)}
    adjudicate(store)
    answer(store, "second", "eve", lambda key: say)
    assert {row.key: row._replace(jobs=NOBODY) for row in steps.job_rows("dogs", store)} == {
        key: row._replace(jobs=NOBODY) for key, row in own.items()
    }
    final = {row.key: row for row in steps.final_rows("dogs", store)}
    assert final["d.jpg", "Dog"].outcome.value == outcome
    if say != UNSURE:
        assert final["d.jpg", "Dog"].voters == {"second/eve"}
    assert all(final[key].outcome is own[key].outcome for key in own if key != ("d.jpg", "Dog"))


NOBODY = frozenset[str]()


def test_a_split_adjudication_is_adjudicated(store: Store) -> None:
    """Split again, an item may be adjudicated in the job once more, or in the adjudication."""
    reviewed(store)
    adjudicate(store)
    answer(store, "second", "eve", lambda key: NO)
    steps.adjudicate("dogs", "second", store, created_at=CREATED, notice=quiet)  # again: the same
    with pytest.raises(InputError, match="no split item"):
        adjudicate(store, "third")
    answer(store, "second", "zoe", lambda key: YES)
    adjudicate(store, "third")
    assert items_of(store, "third") == [("d.jpg", "Dog", 91.0)]
    adjudicate(store, "fourth", job="second")
    answer(store, "fourth", "max", lambda key: YES)
    assert in_the_end(store)["d.jpg", "Dog"] == ("Dog", How.ADJUDICATED, "fourth")


# The label in the end.


def test_from_launch_to_final_labels(store: Store) -> None:
    """Launch, votes, relabelling, adjudication, votes: every image's label and how it came to it."""
    reviewed(store)
    assert in_the_end(store)["b.jpg", "Dog"] == (None, How.UNRESOLVED, None)
    relabel(store)
    adjudicate(store)
    answer(store, "r1", "ana", {("b.jpg", "Wolf"): YES, ("c.jpg", "Wolf"): NO})
    answer(store, "second", "eve", lambda key: YES)
    assert in_the_end(store) == {
        ("a.jpg", "Dog"): ("Dog", How.CONFIRMED, "dogs"),
        ("b.jpg", "Dog"): ("Wolf", How.RELABELLED, "r1"),
        ("b2.jpg", "Dog"): ("Wolf", How.CONFIRMED, "dogs"),
        ("b2.jpg", "Wolf"): ("Wolf", How.CONFIRMED, "dogs"),
        ("c.jpg", "Dog"): (None, How.UNRESOLVED, None),
        ("d.jpg", "Dog"): ("Dog", How.ADJUDICATED, "second"),
        ("e.jpg", "Wolf"): ("Wolf", How.CONFIRMED, "dogs"),
    }
    assert in_the_end(store, "r1") == {
        ("b.jpg", "Wolf"): ("Wolf", How.RELABELLED, "r1"),
        ("c.jpg", "Wolf"): (None, How.UNRESOLVED, None),
    }


def test_a_round_of_a_round_leads_back(store: Store) -> None:
    """The relabelling of a relabelling gives the first job's items their label."""
    reviewed(store)
    relabel(store)
    answer(store, "r1", "ana", lambda key: NO)
    with Proposals([b'{"Wolf": "Fox"}'], "p.json") as proposals:
        steps.relabel("r1", "r2", store, proposals=proposals, created_at=CREATED, notice=quiet)
    answer(store, "r2", "ana", lambda key: YES)
    assert in_the_end(store)["c.jpg", "Dog"] == ("Fox", How.RELABELLED, "r2")


def test_replay_makes_the_rounds_again(store: Store, tmp_path: Path) -> None:
    """From the files alone, in any order of the jobs: the same rows, the same labels."""
    reviewed(store)
    relabel(store)
    adjudicate(store)
    answer(store, "r1", "ana", lambda key: YES)
    answer(store, "second", "eve", lambda key: YES)
    before = {row.key: row for row in store.table.rows()}
    labels = in_the_end(store)
    for jobs in (("dogs", "r1", "second"), ("second", "r1", "dogs")):
        folder = tmp_path / "-".join(jobs)
        folder.mkdir()
        (folder / "jobs").symlink_to(tmp_path / "jobs")
        with local_store(folder) as again:
            for job in jobs:
                steps.replay(job, again, quiet)
            assert {row.key: row for row in again.table.rows()} == before
            assert in_the_end(again) == labels
