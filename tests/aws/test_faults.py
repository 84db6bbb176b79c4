"""Votes and launches on DynamoDB stay exact, whatever fails between here and there.

A trial is a row with a random history (voters, corrections, repetitions), delivered in random order by
several at once through a faulty wire.
"""

import time
import types
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from random import Random

import pytest

from bulkqa.aws.label_table import DynamoLabelTable, Inserts
from bulkqa.errors import BulkqaError
from bulkqa.flow.answers import Decision
from bulkqa.flow.corpus import Item
from bulkqa.flow.votes import Key, LabelRow, Origin, Recorded, Vote
from tests.aws.faults import HASTY, Faults, Killed, Wire
from tests.emulators import Server, reset
from tests.support_aws import create_table, new_name

FIRST = Origin("first", "2026-01-01T00:00:00Z")
SECOND = Origin("second", "2027-01-01T00:00:00Z", model="m2")
BAD = Faults(lost=0.05, throttled=0.05, unavailable=0.02, partial=0.2)

Open = Callable[..., tuple[DynamoLabelTable, Wire]]


@pytest.fixture
def open_table(ministack: Server, monkeypatch: pytest.MonkeyPatch) -> Open:
    """A new table, and the means to open it again, each time with a wire of its own."""
    # The client's own waits last up to seconds; that it tries again is what matters here.
    monkeypatch.setattr("botocore.endpoint.time", types.SimpleNamespace(sleep=lambda _: None))
    reset(ministack)
    name = create_table(ministack.client("dynamodb"), new_name("faults"))

    def again(faults: Faults | None = None, seed: int = 0) -> tuple[DynamoLabelTable, Wire]:
        client = ministack.new_client("dynamodb")
        wire = Wire(client, faults, seed)
        return DynamoLabelTable(client, name, patience=HASTY), wire

    return again


def keys_of(rows: int) -> list[Key]:
    """So many keys of two labels."""
    return [(f"{number // 2}.jpg", ("Dog", "Cat")[number % 2]) for number in range(rows)]


def items_of(keys: Sequence[Key], confidence: float = 90.0) -> list[Item]:
    """Items to be launched."""
    return [Item(*key, confidence) for key in keys]


def history(key: Key, random: Random, corrections: bool = True) -> list[Vote]:
    """What a few voters decide on a row, some of them two or three times."""
    most = 2 if corrections else 0
    return [
        Vote(key, f"first/w{voter}", random.choice(list(Decision)), revision)
        for voter in range(random.randint(1, 5))
        for revision in range(random.choice((0, 0, most)) + 1)
    ]


def deliveries(votes: Sequence[Vote], random: Random, size: int = 25) -> list[list[Vote]]:
    """These votes, some of them repeated, shuffled, in calls of up to `size`."""
    repeated = [vote for vote in votes for _ in range(random.choice((1, 1, 2)))]
    random.shuffle(repeated)
    return [repeated[start : start + size] for start in range(0, len(repeated), size)]


def record_all(table: DynamoLabelTable, calls: Sequence[Sequence[Vote]], threads: int = 8) -> Recorded:
    """Record these calls, so many at once."""
    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(table.record, calls), Recorded())


def expected(votes: Sequence[Vote]) -> dict[tuple[Key, str], Vote]:
    """The vote that stands for each voter on each row: that of the highest revision."""
    stand: dict[tuple[Key, str], Vote] = {}
    for vote in sorted(votes, key=lambda vote: vote.revision):
        stand[vote.key, vote.voter] = vote
    return stand


def check(table: DynamoLabelTable, keys: Sequence[Key], votes: Sequence[Vote]) -> dict[Key, LabelRow]:
    """Every vote that stands is in its row, nothing else is, and counts are what the sets say."""
    rows = table.get(keys)
    assert rows.keys() == set(keys)
    found = {
        (key, voter): decision
        for key, row in rows.items()
        for decision, voters in (
            (Decision.CONFIRM, row.confirmed_by),
            (Decision.DISCONFIRM, row.disconfirmed_by),
            (Decision.CANNOT_JUDGE, row.cannot_judge_by),
        )
        for voter in voters
    }
    assert found == {place: vote.decision for place, vote in expected(votes).items()}
    for row in rows.values():
        assert row == row.with_voters(row.confirmed_by, row.disconfirmed_by, row.cannot_judge_by)
    return rows


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_eight_recorders_on_a_bad_wire_count_exactly(open_table: Open, seed: int) -> None:
    """40 random histories at once: votes and corrections, repeated and shuffled, 8 callers, all faults."""
    random = Random(seed)
    keys = keys_of(40)
    table, wire = open_table(BAD, seed)
    table.launch(items_of(keys), FIRST)
    votes = [vote for key in keys for vote in history(key, random)]
    calls = deliveries(votes, random)
    recorded = record_all(table, calls)
    given = sum(map(len, calls))
    assert recorded.unknown == ()
    assert recorded.counted + recorded.already == given
    check(table, keys, votes)
    again = record_all(table, deliveries(votes, random))
    assert again.counted == 0
    check(open_table()[0], keys, votes)
    assert wire.sent["UpdateItem"] > given / 4


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_killed_halfway_and_redelivered_counts_exactly(open_table: Open, seed: int) -> None:
    """25 histories: the process ends amid its writes, another one gets everything again."""
    random = Random(100 + seed)
    keys = keys_of(25)
    votes = [vote for key in keys for vote in history(key, random)]
    calls = deliveries(votes, random)
    table, wire = open_table()
    table.launch(items_of(keys), FIRST)
    wire.faults = replace(BAD, killed_after=wire.sent.total() + random.randint(1, len(votes)))
    with pytest.raises(Killed):
        for call in calls:
            table.record(call)
    other, _ = open_table(BAD, seed)
    recorded = record_all(other, calls)
    assert recorded.counted + recorded.already == sum(map(len, calls))
    check(other, keys, votes)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_launches_racing_votes_lose_neither(open_table: Open, seed: int) -> None:
    """30 rows: two jobs launch them at once while votes come in, first for rows that are not there yet."""
    random = Random(200 + seed)
    keys = keys_of(30)
    votes = [vote for key in keys for vote in history(key, random)]
    table, _ = open_table(BAD, seed)
    other, _ = open_table(BAD, 50 + seed)

    def deliver(call: list[Vote]) -> None:
        for _ in range(500):
            unknown = set(table.record(call).unknown)
            call = [vote for vote in call if vote.key in unknown]
            if not call:
                return
        raise AssertionError("rows never came")

    with ThreadPoolExecutor(8) as pool:
        work = [pool.submit(deliver, call) for call in deliveries(votes, random)[:6]]
        work.append(pool.submit(table.launch, items_of(keys, 90.0), FIRST))
        work.append(pool.submit(other.launch, items_of(keys, 95.0), SECOND))
        work += [pool.submit(deliver, call) for call in deliveries(votes, random)]
        for one in work:
            one.result()
    for row in check(table, keys, votes).values():
        assert row.jobs == {"first", "second"}
        assert row.created_at in (FIRST.created_at, SECOND.created_at)
        assert (row.confidence, row.model) in ((90.0, None), (95.0, "m2"))


@pytest.mark.slow
@pytest.mark.parametrize("inserts", Inserts)
def test_a_launch_on_a_bad_wire_writes_every_row_once(
    open_table: Open, inserts: Inserts, ministack: Server
) -> None:
    """100 rows, each as launched; launched again by another job, each with its votes and age kept."""
    random = Random(7)
    keys = keys_of(100)
    clean, _ = open_table()
    table, _ = open_table(BAD)
    table._inserts = inserts
    table.launch(items_of(keys, 12.5), FIRST)
    assert set(clean.rows()) == {
        LabelRow(key, 12.5, jobs=frozenset({"first"}), created_at=FIRST.created_at) for key in keys
    }
    votes = [vote for key in keys[::5] for vote in history(key, random)]
    record_all(clean, deliveries(votes, random))
    table.launch(items_of(keys, 99.5), SECOND)
    for row in check(clean, keys, votes).values():
        assert (row.confidence, row.model, row.created_at) == (99.5, "m2", FIRST.created_at)
        assert row.jobs == {"first", "second"}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_a_launch_killed_halfway_is_made_whole(open_table: Open, seed: int) -> None:
    """100 rows: launched until the process ends, then again by the same job: all as if launched once."""
    keys = keys_of(100)
    table, _ = open_table(replace(BAD, killed_after=2), seed)
    with pytest.raises(Killed):
        table.launch(items_of(keys), FIRST)
    clean, _ = open_table()
    assert len(set(clean.rows())) < 100
    table, _ = open_table(BAD, seed)
    table.launch(items_of(keys), FIRST)
    assert set(clean.rows()) == {
        LabelRow(key, 90.0, jobs=frozenset({"first"}), created_at=FIRST.created_at) for key in keys
    }


def test_keys_left_over_are_asked_for_again(open_table: Open) -> None:
    """Every reply to `get` leaves half of the keys for later; all rows come."""
    keys = keys_of(120)
    table, wire = open_table()
    table.launch(items_of(keys), FIRST)
    wire.faults = Faults(partial=1.0)
    keys.remove(keys[7])
    assert table.get([*keys, ("ghost.jpg", "Dog")]).keys() == set(keys)
    assert wire.sent["BatchGetItem"] > 10


@pytest.mark.parametrize("fault", ["throttled", "unavailable", "lost"])
@pytest.mark.parametrize("operation", ["launch", "record", "get", "rows"])
def test_what_never_passes_ends_in_an_error(open_table: Open, fault: str, operation: str) -> None:
    """Patience is bounded; the message names the table, and of a launch the rows that are left."""
    table, wire = open_table()
    table.launch(items_of(keys_of(30)), FIRST)
    table._patience = replace(HASTY, tries=2)
    wire.faults = replace(Faults(), **{fault: 1.0})  # type: ignore[arg-type]
    vote = Vote(keys_of(1)[0], "first/ana", Decision.CONFIRM)
    calls: dict[str, Callable[[], object]] = {
        "launch": partial(table.launch, items_of(keys_of(5)), FIRST),
        "record": partial(table.record, [vote]),
        "get": partial(table.get, keys_of(3)),
        "rows": lambda: list(table.rows()),
    }
    with pytest.raises(BulkqaError, match="5 of 5 rows" if operation == "launch" else table._table):
        calls[operation]()


def test_a_launch_whose_every_reply_is_lost_for_a_while_goes_through(open_table: Open) -> None:
    """The rows were written; the next attempt finds them and takes them for what they are: its own."""
    keys = keys_of(25)
    table, wire = open_table(Faults(lost=1.0))

    with ThreadPoolExecutor(1) as pool:
        launch = pool.submit(table.launch, items_of(keys), FIRST)
        while wire.sent.total() < 20:
            time.sleep(0.001)
        wire.faults = Faults()
        launch.result()
    assert set(table.rows()) == {
        LabelRow(key, 90.0, jobs=frozenset({"first"}), created_at=FIRST.created_at) for key in keys
    }
