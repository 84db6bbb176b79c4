"""What every adapter of `LabelTable` does: votes count once, whatever is repeated, reordered or at once."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from random import Random

import pytest

from bulkqa.flow.answers import Decision
from bulkqa.flow.corpus import Item
from bulkqa.flow.votes import Key, LabelRow, Origin, Recorded, Vote
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


@pytest.mark.parametrize("seed", range(3))
def test_order_repetition_and_concurrency_do_not_matter(table: LabelTable, seed: int) -> None:
    """Votes of many voters, shuffled, doubled and from eight threads at once, count once each."""
    keys: Sequence[Key] = [(f"{number}.jpg", "Dog") for number in range(10)]
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
    keys: Sequence[Key] = [(f"{number}.jpg", "Dog") for number in range(30)]
    table.launch([item(key) for key in keys], FIRST)
    with ThreadPoolExecutor(6) as pool:
        again = [item(key, 91.0) for key in keys]
        launches = [pool.submit(table.launch, again, Origin(f"job{n}", CREATED)) for n in range(4)]
        work = [
            pool.submit(table.record, [vote(Decision.CONFIRM, f"first/{voter}", key) for key in keys])
            for voter in range(4)
        ]
        assert sum(one.result().counted for one in work) == 120
        for launch in launches:
            launch.result()
    assert {found.confirms for found in table.get(keys).values()} == {4}
    assert {len(found.jobs) for found in table.rows()} == {5}


def test_many_rows_are_found_and_listed(table: LabelTable) -> None:
    """`get` finds more keys than a service takes in one call; `rows` yields each row once."""
    keys: Sequence[Key] = [(f"{number}.jpg", f"Label {number % 7}") for number in range(130)]
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


def test_any_number_of_voters_on_a_row_in_one_call(table: LabelTable) -> None:
    """70 voters of one call on one row, some of them counted before, each count once."""
    table.launch([item(DOG)], FIRST)
    decisions = list(Decision)
    many = [vote(decisions[number % 3], f"first/w{number:02d}") for number in range(70)]
    table.record(many[10:20])
    recorded = table.record(many)
    assert (recorded.counted, recorded.already, recorded.unknown) == (60, 10, ())
    after = only(table)
    assert (after.confirms, after.disconfirms, after.cannot_judges) == (24, 23, 23)
    assert after.confirmed_by | after.disconfirmed_by | after.cannot_judge_by == {one.voter for one in many}


def test_every_vote_on_an_unknown_row_is_reported(table: LabelTable) -> None:
    """Each vote of a call is counted, known or unknown: none is lost sight of."""
    ghost = ("ghost.jpg", "Dog")
    table.launch([item(DOG)], FIRST)
    recorded = table.record(
        [
            vote(Decision.CONFIRM, "first/ana", ghost),
            vote(Decision.DISCONFIRM, "first/ben", ghost),
            vote(Decision.DISCONFIRM, "first/ana", ghost, revision=1),
            vote(Decision.CONFIRM),
        ]
    )
    assert (recorded.counted, recorded.already, recorded.unknown) == (1, 0, (ghost,) * 3)


def test_an_answer_and_its_corrections_may_come_in_one_call(table: LabelTable) -> None:
    """Of one voter's votes in a call the last revision stands; those it overtook were counted or known."""
    table.launch([item(DOG), item(CAT)], FIRST)
    up = [vote(decision, revision=number) for number, decision in enumerate(Decision)]
    down = [vote(decision, key=CAT, revision=2 - number) for number, decision in enumerate(Decision)]
    recorded = table.record([*up, *down])
    assert (recorded.counted, recorded.already) == (4, 2)
    assert (only(table, DOG).confirms, only(table, DOG).cannot_judges) == (0, 1)
    assert (only(table, CAT).confirms, only(table, CAT).cannot_judges) == (1, 0)
    assert table.record([*up, *down]).counted == 0


def test_a_correction_touches_nobody_else(table: LabelTable) -> None:
    """Corrections of several voters and first votes of others, in one call on one row."""
    table.launch([item(DOG)], FIRST)
    table.record([vote(Decision.CONFIRM, f"first/{name}") for name in ("ana", "ben", "cem")])
    recorded = table.record(
        [
            vote(Decision.DISCONFIRM, "first/ana", revision=1),
            vote(Decision.DISCONFIRM, "first/dan"),
            vote(Decision.CANNOT_JUDGE, "first/ben", revision=3),
            vote(Decision.CONFIRM, "first/eve"),
        ]
    )
    assert recorded.counted == 4
    after = only(table)
    assert after.confirmed_by == {"first/cem", "first/eve"}
    assert after.disconfirmed_by == {"first/ana", "first/dan"}
    assert after.cannot_judge_by == {"first/ben"}
    assert (after.confirms, after.disconfirms, after.cannot_judges) == (2, 2, 1)


def test_a_correction_may_say_the_same_again(table: LabelTable) -> None:
    """A higher revision with the same decision moves nobody, and outdates what lies between."""
    table.launch([item(DOG)], FIRST)
    table.record([vote(Decision.CONFIRM)])
    assert table.record([vote(Decision.CONFIRM, revision=2)]).counted == 1
    assert table.record([vote(Decision.DISCONFIRM, revision=1)]).counted == 0
    assert (only(table).confirms, only(table).disconfirms) == (1, 0)


def test_a_voter_may_go_to_and_fro(table: LabelTable) -> None:
    """Sets that were emptied fill again; counts follow."""
    table.launch([item(DOG)], FIRST)
    for revision in range(6):
        assert table.record([vote(list(Decision)[revision % 2], revision=revision)]).counted == 1
        after = only(table)
        assert (after.confirms, after.disconfirms) == ((0, 1) if revision % 2 else (1, 0))
        assert (len(after.confirmed_by), len(after.disconfirmed_by)) == (after.confirms, after.disconfirms)


@pytest.mark.parametrize("seed", range(3))
def test_corrections_at_once_end_with_the_last(table: LabelTable, seed: int) -> None:
    """Revisions of the same voters, shuffled and from eight threads at once: the highest stands."""
    table.launch([item(DOG)], FIRST)
    random = Random(seed)
    votes = [
        vote(random.choice(list(Decision)), f"first/{voter}", revision=revision)
        for voter, revision in product(range(3), range(8))
    ]
    last = {one.voter: one.decision for one in votes}
    deliveries = votes * 2
    random.shuffle(deliveries)
    with ThreadPoolExecutor(8) as pool:
        recorded = list(pool.map(table.record, [[one] for one in deliveries]))
    assert sum(part.counted + part.already for part in recorded) == len(deliveries)
    after = only(table)
    for decision, voters, count in (
        (Decision.CONFIRM, after.confirmed_by, after.confirms),
        (Decision.DISCONFIRM, after.disconfirmed_by, after.disconfirms),
        (Decision.CANNOT_JUDGE, after.cannot_judge_by, after.cannot_judges),
    ):
        assert voters == {name for name, decided in last.items() if decided is decision}
        assert count == len(voters)


def test_two_launches_at_once_make_one_row(table: LabelTable) -> None:
    """Two jobs launch the same rows at once: each row has both jobs, and one time of birth."""
    keys: Sequence[Key] = [(f"{number}.jpg", "Dog") for number in range(60)]
    second = Origin("second", "2027-01-01T00:00:00Z", model="m2")
    with ThreadPoolExecutor(2) as pool:
        items = [item(key) for key in keys]
        for launch in [pool.submit(table.launch, items, origin) for origin in (FIRST, second)]:
            launch.result()
    rows = list(table.rows())
    assert sorted(row.key for row in rows) == sorted(keys)
    assert {row.jobs for row in rows} == {frozenset({"first", "second"})}
    assert {row.created_at for row in rows} <= {CREATED, second.created_at}


def test_a_launch_without_a_model_takes_the_former_away(table: LabelTable) -> None:
    """Model and source are those of the latest launch, absent or not."""
    table.launch([item(DOG)], Origin("first", CREATED, model="m1", source="relabel:zero"))
    assert (only(table).model, only(table).source) == ("m1", "relabel:zero")
    table.launch([item(DOG)], Origin("second", CREATED))
    assert (only(table).model, only(table).source) == (None, None)


def test_a_next_round_leaves_the_model_s_confidence(table: LabelTable) -> None:
    """A launch that has a source makes rows that are absent, and adds its job alone to those present."""
    table.launch([item(DOG, 87.25)], Origin("first", CREATED, model="m1"))
    table.record([vote(Decision.CONFIRM)])
    before = only(table)
    table.launch([item(DOG, 60.0), item(CAT, 60.0)], Origin("second", CREATED, source="relabel:first"))
    assert only(table) == before._replace(jobs=frozenset({"first", "second"}))
    new = LabelRow(CAT, 60.0, jobs=frozenset({"second"}), source="relabel:first", created_at=CREATED)
    assert only(table, CAT) == new


def test_nothing_is_nothing(table: LabelTable) -> None:
    """No items, no votes, no keys: no row and no error."""
    table.launch([], FIRST)
    assert table.record([]) == Recorded()
    assert table.get([]) == {}
    assert list(table.rows()) == []


def test_a_key_asked_for_twice_comes_once(table: LabelTable) -> None:
    """`get` bears repeated keys."""
    table.launch([item(DOG)], FIRST)
    assert list(table.get([DOG, CAT, DOG])) == [DOG]


@pytest.mark.parametrize("confidence", [0.0, -0.0, 1e-7, 0.1 + 0.2, 99.99999999999999, 100 / 3, 100.0])
def test_a_confidence_comes_back_as_it_was(table: LabelTable, confidence: float) -> None:
    """To the last bit, so that no item changes its band."""
    table.launch([item(DOG, confidence)], FIRST)
    assert only(table).confidence == confidence
    table.launch([item(DOG, confidence)], FIRST)
    assert only(table).confidence == confidence
