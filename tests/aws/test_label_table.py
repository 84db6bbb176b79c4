"""What is DynamoDB's own in its adapter: how many calls it makes, and rows that others wrote."""

from collections.abc import Sequence
from random import Random
from typing import Any

import pytest

from bulkqa.aws.clients import make_client
from bulkqa.aws.label_table import VOTERS, DynamoLabelTable, Inserts
from bulkqa.errors import BulkqaError
from bulkqa.flow.answers import Decision
from bulkqa.flow.batches import Order
from bulkqa.flow.corpus import Item
from bulkqa.flow.votes import Key, Origin, Vote
from tests.aws.faults import HASTY, Wire
from tests.emulators import Server, moto_client, reset
from tests.support_aws import REGION, create_table, new_name

FIRST = Origin("first", "2026-01-01T00:00:00Z")
DOG: Key = ("a.jpg", "Dog")


@pytest.fixture
def client(ministack: Server) -> Any:
    """A client whose wire a test may meddle with."""
    reset(ministack)
    return ministack.new_client("dynamodb")


@pytest.fixture
def table(client: Any) -> DynamoLabelTable:
    """A table of its own."""
    return DynamoLabelTable(client, create_table(client, new_name("table")), patience=HASTY)


def items(count: int) -> list[Item]:
    """So many items."""
    return [Item(f"s3://bucket/pictures/{number}.jpg", "Dog", 90.5) for number in range(count)]


def three_votes_each(rows: Sequence[Item]) -> list[Vote]:
    """What three reviewers say of each row."""
    random = Random(0)
    return [
        Vote((row.image, row.label), f"first/w{worker}", random.choice(list(Decision)))
        for row in rows
        for worker in range(3)
    ]


@pytest.mark.slow
def test_calls_per_row(client: Any, table: DynamoLabelTable) -> None:
    """Fresh 1/25, launched again 1/25 + 1, three votes 1, the same again 1, one more 2, read 1/100."""
    rows = items(125)
    wire = Wire(client)

    def calls() -> dict[str, int]:
        made = dict(wire.sent)
        wire.sent.clear()
        return made

    table.launch(rows, FIRST)
    assert calls() == {"BatchExecuteStatement": 5}
    table.launch(rows, Origin("second", "2027-01-01T00:00:00Z"))
    assert calls() == {"BatchExecuteStatement": 5, "UpdateItem": 125}
    votes = three_votes_each(rows)
    assert table.record(votes).counted == 375
    assert calls() == {"UpdateItem": 125}
    assert table.record(votes).already == 375
    assert calls() == {"UpdateItem": 125}
    late = [Vote((row.image, row.label), "first/late", Decision.CONFIRM) for row in rows]
    recorded = table.record([*votes, *late])
    assert (recorded.counted, recorded.already) == (125, 375)
    assert calls() == {"UpdateItem": 250}
    assert len(table.get([(row.image, row.label) for row in rows])) == 125
    assert calls() == {"BatchGetItem": 2}
    assert table.record([Vote(("ghost", "Dog"), "first/ana", Decision.CONFIRM)]).unknown == (
        ("ghost", "Dog"),
    )
    assert calls() == {"UpdateItem": 1, "GetItem": 1}


def test_a_condition_of_the_most_voters_keeps_within_the_limits(client: Any, table: DynamoLabelTable) -> None:
    """DynamoDB takes 4 KB and 300 operators and functions; no stand-in for it checks that."""
    seen: list[dict[str, Any]] = []
    client.meta.events.register(
        "provide-client-params.dynamodb.UpdateItem", lambda params, **_: seen.append(params)
    )
    table.launch(items(1), FIRST)
    key = (items(1)[0].image, "Dog")
    table.record([Vote(key, f"first/w{n}", list(Decision)[n % 3], 1) for n in range(3 * VOTERS)])
    assert len(seen) == 3
    for call in seen:
        condition = call["ConditionExpression"]
        assert len(condition) <= 4096
        assert sum(condition.count(word) for word in ("NOT", "AND", "OR", "contains", "exists")) <= 300
        assert len(call["UpdateExpression"]) <= 4096


@pytest.mark.parametrize("inserts", Inserts)
def test_a_service_without_partiql_gets_one_update_a_row(dynalite: Server, inserts: Inserts) -> None:
    """It says so once; from then on nobody asks."""
    client = dynalite.new_client("dynamodb")
    table = DynamoLabelTable(client, create_table(client, new_name("table")), inserts)
    wire = Wire(client)
    table.launch(items(10), FIRST)
    table.launch(items(10), FIRST)
    assert wire.sent["UpdateItem"] == 20
    assert wire.sent["BatchExecuteStatement"] == (1 if inserts is Inserts.BATCHES else 0)
    assert len(list(table.rows())) == 10


def test_a_table_that_is_not_there_is_named(client: Any) -> None:
    """Every call says which table, and what DynamoDB said."""
    table = DynamoLabelTable(client, "nobodys", patience=HASTY)
    for call in (
        lambda: table.launch(items(1), FIRST),
        lambda: table.record([Vote(DOG, "first/ana", Decision.CONFIRM)]),
        lambda: table.get([DOG]),
        lambda: list(table.rows()),
    ):
        with pytest.raises(BulkqaError, match=r"^DynamoDB table nobodys: .*ResourceNotFound"):
            call()


def test_a_row_that_would_fail_again_is_named(table: DynamoLabelTable) -> None:
    """One bad row in a batch ends the launch with the row's key and the reason."""
    with pytest.raises(BulkqaError, match=r"row \('', 'Dog'\)"):
        table.launch([*items(2), Item("", "Dog", 90.0)], FIRST)


def put(client: Any, table: DynamoLabelTable, **attributes: Any) -> None:
    """Write a row as somebody else may have."""
    item = {"s3_image_url": {"S": DOG[0]}, "label": {"S": DOG[1]}, **attributes}
    client.put_item(TableName=table._table, Item=item)


@pytest.mark.parametrize("inserts", Inserts)
def test_rows_from_elsewhere_are_launched_and_voted_on(
    client: Any, table: DynamoLabelTable, inserts: Inserts
) -> None:
    """A row with counts alone keeps them, and no time of birth is made up for it."""
    table = DynamoLabelTable(client, table._table, inserts)
    put(client, table, confidence={"N": "81"}, WorkerConfirmCount={"N": "3"}, camera={"S": "left"})
    table.launch([Item(*DOG, 95.0)], FIRST)
    table.record([Vote(DOG, "first/ana", Decision.CONFIRM), Vote(DOG, "first/ben", Decision.DISCONFIRM)])
    row = table.get([DOG])[DOG]
    assert (row.confidence, row.created_at) == (95.0, None)
    assert (row.confirms, row.disconfirms) == (4, 1)
    assert row.jobs == {"first"}
    assert row.confirmed_by == {"first/ana"}
    found = client.get_item(
        TableName=table._table, Key={"s3_image_url": {"S": "a.jpg"}, "label": {"S": "Dog"}}
    )
    assert found["Item"]["camera"] == {"S": "left"}


def test_a_row_is_kept_as_the_design_says(client: Any, table: DynamoLabelTable) -> None:
    """The attributes and their types, which analysts' queries rely on."""
    table.launch([Item(*DOG, 87.25)], Origin("first", "2026-01-01T00:00:00Z", "m1", "relabel:zero"))
    table.record([Vote(DOG, "first/ana", Decision.CONFIRM), Vote(DOG, "first/ben", Decision.CANNOT_JUDGE)])
    table.record([Vote(DOG, "first/ana", Decision.DISCONFIRM, revision=2)])
    assert client.scan(TableName=table._table)["Items"] == [
        {
            "s3_image_url": {"S": "a.jpg"},
            "label": {"S": "Dog"},
            "confidence": {"N": "87.25"},
            "jobs": {"SS": ["first"]},
            "model": {"S": "m1"},
            "source": {"S": "relabel:zero"},
            "created_at": {"S": "2026-01-01T00:00:00Z"},
            "WorkerConfirmCount": {"N": "0"},
            "WorkerDisconfirmCount": {"N": "1"},
            "WorkerCannotJudgeCount": {"N": "1"},
            "DisconfirmedBy": {"SS": ["first/ana"]},
            "CannotJudgeBy": {"SS": ["first/ben"]},
            "rev:first/ana": {"N": "2"},
        }
    ]


def test_a_row_that_is_none_is_named(client: Any, table: DynamoLabelTable) -> None:
    """Somebody else's row without a confidence is not taken for one of 0."""
    put(client, table)
    with pytest.raises(BulkqaError, match=r"row \('a.jpg', 'Dog'\).*confidence"):
        table.get([DOG])


def test_a_confidence_too_small_for_dynamodb_is_zero(table: DynamoLabelTable) -> None:
    """Its numbers begin at 1e-130; such a row must not end a launch."""
    table.launch([Item(*DOG, 1e-200)], FIRST)
    assert table.get([DOG])[DOG].confidence == 0.0


@pytest.mark.slow
def test_a_scan_of_many_pages_is_whole(client: Any, table: DynamoLabelTable) -> None:
    """DynamoDB hands out 1 MB at a time."""
    wire = Wire(client)
    many = [Item(f"{'x' * 1000}/{number}.jpg", "Dog", 90.0) for number in range(1_500)]
    table.launch(many, FIRST)
    assert {row.key for row in table.rows()} == {(item.image, item.label) for item in many}
    assert wire.sent["Scan"] > 1


def test_rows_are_written_in_an_order_that_mixes_labels(table: DynamoLabelTable) -> None:
    """One label's rows share one partition of the index."""
    assert table.order is Order.HASH


def test_the_region_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """As AWS names it, too; and so does an address of another service."""
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    client = make_client("dynamodb")
    assert client.meta.region_name == "eu-central-1"
    assert client.meta.endpoint_url == "http://127.0.0.1:9"
    assert make_client("s3", "http://127.0.0.1:8", REGION).meta.endpoint_url == "http://127.0.0.1:8"


@pytest.mark.parametrize("stored", [0, 1])
@pytest.mark.parametrize("overtaken_by", list(Decision))
def test_a_correction_that_was_overtaken_changes_nothing(
    client: Any, table: DynamoLabelTable, ministack: Server, stored: int, overtaken_by: Decision
) -> None:
    """Between reading where a voter stands and moving it, a later correction came in."""
    table.launch([Item(*DOG, 90.0)], FIRST)
    table.record([Vote(DOG, "first/ana", Decision.CONFIRM, stored)])
    other = DynamoLabelTable(ministack.client("dynamodb"), table._table)
    later = [Vote(DOG, "first/ana", overtaken_by, 5)]

    def overtake(params: dict[str, Any], **_: Any) -> None:
        if later and "SET #revision" in params["UpdateExpression"]:
            other.record([later.pop()])

    client.meta.events.register("provide-client-params.dynamodb.UpdateItem", overtake)
    recorded = table.record([Vote(DOG, "first/ana", Decision.DISCONFIRM, 3)])
    assert not later
    assert (recorded.counted, recorded.already) == (0, 1)
    row = table.get([DOG])[DOG]
    sets = {Decision.CONFIRM: row.confirmed_by, Decision.DISCONFIRM: row.disconfirmed_by}
    assert sets.get(overtaken_by, row.cannot_judge_by) == {"first/ana"}
    assert row.confirms + row.disconfirms + row.cannot_judges == 1


def test_a_stand_in_that_breaks_on_insertions_gets_updates(moto: None) -> None:
    """In moto, which breaks on PartiQL's INSERT, a launch finds by itself the way that works."""
    client = moto_client("dynamodb")
    table = DynamoLabelTable(client, create_table(client, new_name("table")))
    table.launch(items(60), FIRST)
    table.launch(items(30), Origin("second", "2026-01-02T00:00:00Z"))
    rows = {row.key: row for row in table.rows()}
    assert len(rows) == 60
    assert sorted(len(row.jobs) for row in rows.values()) == [1] * 30 + [2] * 30
