"""What every adapter of `LabelTable` does: votes count once, whatever is repeated, reordered or at once."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from random import Random

import pytest

from bulkqa.flow.answers import Decision
from bulkqa.flow.corpus import Item
from bulkqa.flow.votes import Key, LabelRow, Origin, Vote
from bulkqa.ports import LabelTable

DOG: Key = ("a.jpg", "Dog")
CAT: Key = ("a.jpg", "Cat")
CREATED = "2026-01-01T00:00:00Z"
FIRST = Origin("first", CREATED)


def item(key: Key, confidence: float = 90.0) -> Item:
    """An item as a launch brings it."""
    return Item(*key, confidence)


def vote(decision: Decision, voter: str = "first/ana", key: Key = DOG, revision: int = 0) -> Vote:
    """A vote."""
    return Vote(key, voter, decision, revision)


def only(table: LabelTable, key: Key = DOG) -> LabelRow:
    """The row under a key."""
    return table.get([key])[key]


def test_a_launched_row_is_there_without_votes(table: LabelTable) -> None:
    """A new row has its confidence, job and time, and no vote."""
    table.launch([item(DOG, 87.25)], FIRST)
    assert only(table) == LabelRow(DOG, 87.25, jobs=frozenset({"first"}), created_at=CREATED)
    assert table.get([CAT]) == {}


def test_rows_of_one_image_stay_apart(table: LabelTable) -> None:
    """An image with two labels has two rows; a vote on one does not touch the other."""
    table.launch([item(DOG), item(CAT)], FIRST)
    table.record([vote(Decision.CONFIRM)])
    assert (only(table, DOG).confirms, only(table, CAT).confirms) == (1, 0)


def test_a_second_launch_keeps_the_votes(table: LabelTable) -> None:
    """Launching a row again sets its confidence and adds the job; votes and time of birth stay."""
    table.launch([item(DOG, 80.0)], FIRST)
    table.record([vote(Decision.CONFIRM)])
    later = Origin("second", "2027-01-01T00:00:00Z", model="m2")
    table.launch([item(DOG, 95.0)], later)
    table.launch([item(DOG, 95.0)], later)
    after = only(table)
    assert (after.confidence, after.confirms, after.model) == (95.0, 1, "m2")
    assert after.jobs == {"first", "second"}
    assert after.created_at == CREATED


def test_each_kind_of_vote_is_counted(table: LabelTable) -> None:
    """Three voters, three decisions: each has its count and its set."""
    table.launch([item(DOG)], FIRST)
    recorded = table.record([vote(decision, f"first/{decision.value}") for decision in Decision])
    assert (recorded.counted, recorded.already, recorded.unknown) == (3, 0, ())
    after = only(table)
    assert (after.confirms, after.disconfirms, after.cannot_judges) == (1, 1, 1)
    assert after.confirmed_by == {"first/confirm"}
    assert after.disconfirmed_by == {"first/disconfirm"}
    assert after.cannot_judge_by == {"first/cannot_judge"}


def test_a_repeated_vote_changes_nothing(table: LabelTable) -> None:
    """The same vote again is known, even with another decision: a first answer stands."""
    table.launch([item(DOG)], FIRST)
    table.record([vote(Decision.CONFIRM)])
    again = table.record([vote(Decision.CONFIRM), vote(Decision.DISCONFIRM)])
    assert (again.counted, again.already) == (0, 2)
    assert (only(table).confirms, only(table).disconfirms) == (1, 0)


def test_a_voter_votes_once_in_each_job(table: LabelTable) -> None:
    """The same person in another job is another voter."""
    table.launch([item(DOG)], FIRST)
    table.record([vote(Decision.CONFIRM, "first/ana"), vote(Decision.CONFIRM, "second/ana")])
    assert only(table).confirms == 2


def test_an_unknown_row_is_reported_and_not_invented(table: LabelTable) -> None:
    """A vote on a row that does not exist is named; the others of the call count."""
    table.launch([item(DOG)], FIRST)
    recorded = table.record([vote(Decision.CONFIRM, key=("ghost.jpg", "Dog")), vote(Decision.CONFIRM)])
    assert (recorded.counted, recorded.unknown) == (1, (("ghost.jpg", "Dog"),))
    assert table.get([("ghost.jpg", "Dog")]) == {}
    assert [found.key for found in table.rows()] == [DOG]


def test_a_correction_moves_the_voter(table: LabelTable) -> None:
    """A higher revision replaces a voter's decision; a lower one that comes late changes nothing."""
    table.launch([item(DOG)], FIRST)
    table.record([vote(Decision.CONFIRM)])
    table.record([vote(Decision.DISCONFIRM, revision=2)])
    table.record([vote(Decision.CONFIRM, revision=1)])
    table.record([vote(Decision.DISCONFIRM, revision=2)])
    after = only(table)
    assert (after.confirms, after.disconfirms) == (0, 1)
    assert after.disconfirmed_by == {"first/ana"}


def test_a_correction_may_come_first(table: LabelTable) -> None:
    """Where the correction arrives before the answer it corrects, the correction stands."""
    table.launch([item(DOG)], FIRST)
    table.record([vote(Decision.DISCONFIRM, revision=1)])
    table.record([vote(Decision.CONFIRM, revision=0)])
    assert (only(table).confirms, only(table).disconfirms) == (0, 1)


@pytest.mark.parametrize("seed", range(5))
def test_order_repetition_and_concurrency_do_not_matter(table: LabelTable, seed: int) -> None:
    """Votes of many voters, shuffled, doubled and from eight threads at once, count once each."""
    keys: Sequence[Key] = [(f"{number}.jpg", "Dog") for number in range(20)]
    table.launch([item(key) for key in keys], FIRST)
    random = Random(seed)
    votes = [
        vote(random.choice(list(Decision)), f"first/{voter}", key) for key, voter in product(keys, range(4))
    ]
    deliveries = votes * 3
    random.shuffle(deliveries)
    parts = [deliveries[start : start + 15] for start in range(0, len(deliveries), 15)]
    with ThreadPoolExecutor(8) as pool:
        recorded = list(pool.map(table.record, parts))
    assert sum(part.counted for part in recorded) == len(votes)
    assert sum(part.already for part in recorded) == 2 * len(votes)
    rows = table.get(keys)
    for one in votes:
        found = rows[one.key]
        of = {
            Decision.CONFIRM: found.confirmed_by,
            Decision.DISCONFIRM: found.disconfirmed_by,
            Decision.CANNOT_JUDGE: found.cannot_judge_by,
        }
        assert one.voter in of[one.decision]
        assert found.confirms + found.disconfirms + found.cannot_judges == 4


def test_launches_and_votes_at_once_lose_no_vote(table: LabelTable) -> None:
    """While a job is launched again and again, votes on its rows are kept."""
    keys: Sequence[Key] = [(f"{number}.jpg", "Dog") for number in range(50)]
    table.launch([item(key) for key in keys], FIRST)
    with ThreadPoolExecutor(6) as pool:
        again = [item(key, 91.0) for key in keys]
        launches = [pool.submit(table.launch, again, Origin(f"job{n}", CREATED)) for n in range(6)]
        work = [
            pool.submit(table.record, [vote(Decision.CONFIRM, f"first/{voter}", key) for key in keys])
            for voter in range(6)
        ]
        assert sum(one.result().counted for one in work) == 300
        for launch in launches:
            launch.result()
    assert {found.confirms for found in table.get(keys).values()} == {6}
    assert {len(found.jobs) for found in table.rows()} == {7}


def test_many_rows_are_found_and_listed(table: LabelTable) -> None:
    """`get` finds hundreds of keys in one call; `rows` yields each row once."""
    keys: Sequence[Key] = [(f"{number}.jpg", f"Label {number % 7}") for number in range(1003)]
    table.launch((item(key) for key in keys), FIRST)
    assert table.get([*keys, ("x", "y")]).keys() == set(keys)
    assert sorted(found.key for found in table.rows()) == sorted(keys)


@pytest.mark.parametrize(
    "key", [('it"s;--', "Dog's"), ("s3://b/ä ö.jpg", "犬 🐕"), ("a" * 2048, "b" * 1024), ("x", "line\nbreak")]
)
def test_keys_hold_any_text(table: LabelTable, key: Key) -> None:
    """Quotes, line breaks, other scripts and the longest keys go through unharmed."""
    table.launch([item(key)], FIRST)
    table.record([vote(Decision.CONFIRM, key=key)])
    assert only(table, key).confirms == 1
