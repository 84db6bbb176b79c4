"""The label table in DynamoDB: each write says by itself what it needs to find, so none undoes another.

Whatever is sent twice (by a caller, by the client after a lost reply) finds itself done. A new row costs two
write units, one of them for the index; a row's votes of one call cost one.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from itertools import islice
from typing import Any

from botocore.exceptions import ClientError

from bulkqa.aws.calls import FAILURES, Patience, Threads, code_of, explained, is_passing, is_passing_code
from bulkqa.errors import BulkqaError
from bulkqa.flow.answers import Decision
from bulkqa.flow.batches import Order
from bulkqa.flow.corpus import Item
from bulkqa.flow.votes import Key, LabelRow, Origin, Recorded, Vote

Attributes = dict[str, Any]
"""A row as DynamoDB's JSON has it: each value under its type."""

STATEMENTS = 25
"""Statements of one BatchExecuteStatement at most (DynamoDB)."""

KEYS = 100
"""Keys of one BatchGetItem at most (DynamoDB)."""

VOTERS = 30
"""New voters of one write at most: a condition may hold 300 operators and 4 KB (DynamoDB)."""

# Races that one write may lose. Each is lost to another vote of the same voter on the same row.
_RACES = 100

_SETS = {
    Decision.CONFIRM: "ConfirmedBy",
    Decision.DISCONFIRM: "DisconfirmedBy",
    Decision.CANNOT_JUDGE: "CannotJudgeBy",
}
_COUNTS = {
    Decision.CONFIRM: "WorkerConfirmCount",
    Decision.DISCONFIRM: "WorkerDisconfirmCount",
    Decision.CANNOT_JUDGE: "WorkerCannotJudgeCount",
}
_NOBODY: Attributes = {"SS": ()}
_NO_VOTES: Attributes = {"N": "0"}

# The least that DynamoDB's numbers tell from 0 (its data types: 1E-130).
_LEAST = 1e-130


class Inserts(Enum):
    """How a launch writes rows."""

    BATCHES = "25 PartiQL inserts to a call, and one update for each row that is there already"
    SINGLE = "one update for each row: for stand-ins for DynamoDB that do not know PartiQL's INSERT"


@dataclass(frozen=True, slots=True)
class _Standing:
    """Where a voter stands in a row."""

    decision: Decision
    revision: int


@dataclass(frozen=True, slots=True)
class _Move:
    """A voter's change of standing: `before` is what the row has to have still, None for no vote.

    `counted` is the number of the caller's votes that make it up: a vote and its correction may come at once.
    """

    voter: str
    before: _Standing | None
    after: _Standing
    counted: int


class _Refused(Exception):  # noqa: N818  no error: a condition that did not hold
    """A write's condition did not hold; `row` is the row that was found, None where the reply has none."""

    def __init__(self, row: Attributes | None) -> None:
        super().__init__()
        self.row = row


class DynamoLabelTable:
    """`bulkqa.ports.LabelTable` in a DynamoDB table, with a client made by `make_client("dynamodb")`.

    Needs `dynamodb:PartiQLInsert`, `UpdateItem`, `GetItem`, `BatchGetItem` and `Scan` on the table. What
    fails in passing, throttled or cut off, is tried again; then, or at once, it becomes a `BulkqaError` that
    names the table.
    """

    order = Order.HASH  # rows of a label share an index key, which takes 1,000 writes a second: mix labels

    def __init__(
        self,
        client: Any,
        table: str,
        inserts: Inserts = Inserts.BATCHES,
        patience: Patience | None = None,
    ) -> None:
        self._client = client
        self._table = table
        self._inserts = inserts
        self._patience = patience or Patience()
        self._threads = Threads()

    def launch(self, items: Iterable[Item], origin: Origin) -> None:
        """See `LabelTable.launch`. A confidence below 1e-130 becomes 0, which is all DynamoDB can keep."""
        source = iter(items)
        batches = iter(lambda: list(islice(source, STATEMENTS)), [])
        for _ in self._threads.map(partial(self._launch, origin), batches):
            pass

    def record(self, votes: Sequence[Vote]) -> Recorded:
        """See `LabelTable.record`."""
        of_rows: dict[Key, list[Vote]] = {}
        for vote in votes:
            of_rows.setdefault(vote.key, []).append(vote)
        return sum(self._threads.map(self._record, of_rows.values()), Recorded())

    def get(self, keys: Sequence[Key]) -> dict[Key, LabelRow]:
        """See `LabelTable.get`."""
        once = list(dict.fromkeys(keys))  # DynamoDB refuses a key named twice
        parts = (once[start : start + KEYS] for start in range(0, len(once), KEYS))
        return {row.key: row for rows in self._threads.map(self._get, parts) for row in rows}

    def rows(self) -> Iterator[LabelRow]:
        """See `LabelTable.rows`. Votes acknowledged before the call are in it."""
        start: Attributes = {}
        while True:
            page = self._call(self._client.scan, TableName=self._table, ConsistentRead=True, **start)
            yield from map(self._row, page["Items"])
            if not page.get("LastEvaluatedKey"):
                return
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

    # Launch.

    def _launch(self, origin: Origin, items: list[Item]) -> None:
        if self._inserts is Inserts.BATCHES:
            items = self._insert(items, origin)
        for item in items:
            self._upsert(item, origin)

    def _insert(self, items: list[Item], origin: Origin) -> list[Item]:
        """Insert the rows that are absent; return the items that have a row already.

        A row whose insertion got no reply is among them, if it was carried out: updating it changes nothing.
        """
        present: list[Item] = []
        left, failures = items, 0
        while left:
            reasons = self._insert_once(left, origin)
            if reasons is None:
                return present + left
            present += [item for item, reason in zip(left, reasons, strict=True) if reason == "DuplicateItem"]
            again = [item for item, reason in zip(left, reasons, strict=True) if is_passing_code(reason)]
            left, failures = again, failures + 1
            if left and not self._patience.wait(failures):
                raise BulkqaError(
                    f"DynamoDB table {self._table}: {len(left)} of {len(items)} rows could not be written "
                    f"in {failures} tries: {', '.join(sorted(set(reasons) - {''}))}; launch again to go on"
                )
        return present

    def _insert_once(self, items: list[Item], origin: Origin) -> list[str] | None:
        """Return what became of each insertion, "" if it was made; None if the service knows no insertions.

        Raises `BulkqaError` for a row that would fail again.
        """
        statements = [_insertion(self._table, item, origin) for item in items]
        try:
            reply = self._client.batch_execute_statement(Statements=statements)
        except FAILURES as error:
            if isinstance(error, ClientError) and code_of(error) == "UnknownOperationException":
                self._inserts = Inserts.SINGLE
                return None
            if not is_passing(error):
                raise self._explained(error) from error
            return ["InternalServerError"] * len(items)
        except Exception:
            # Nothing of botocore's: a stand-in within this process (moto) that breaks on the call.
            self._inserts = Inserts.SINGLE
            return None
        reasons = []
        for item, response in zip(items, reply["Responses"], strict=True):
            found = response.get("Error", {})
            reason: str = found.get("Code", "")
            if reason not in ("", "DuplicateItem") and not is_passing_code(reason):
                raise BulkqaError(
                    f"DynamoDB table {self._table}: row {item[:2]}: {reason}: {found.get('Message', '')}"
                )
            reasons.append(reason)
        return reasons

    def _upsert(self, item: Item, origin: Origin) -> None:
        """Make the row as launched, or set what a launch sets in the row that is there."""
        if origin.source is not None and self._join(item, origin):
            return
        sets: Attributes = {"confidence": {"N": _number(item.confidence)}, **_texts(origin)}
        removes = sorted({"model", "source"} - sets.keys())
        expression = (
            f"SET {', '.join(f'#{name} = :{name}' for name in sets)}{{}}"
            + (f" REMOVE {', '.join(f'#{name}' for name in removes)}" if removes else "")
            + " ADD #jobs :jobs"
        )
        # Some of the names are reserved words of DynamoDB's, so all are given beside the expression.
        names = {f"#{name}": name for name in (*sets, *removes, "jobs")}
        values: Attributes = {f":{name}": value for name, value in sets.items()}
        values[":jobs"] = {"SS": [origin.job]}
        try:
            self._update(
                item[:2],
                expression.format(", #created = if_not_exists(#created, :created)"),
                "attribute_not_exists(s3_image_url) OR attribute_exists(#created)",
                names | {"#created": "created_at"},
                values | {":created": {"S": origin.created_at}},
            )
        except _Refused:  # a row from elsewhere that does not tell its age; nor shall we
            self._update(item[:2], expression.format(""), None, names, values)

    def _join(self, item: Item, origin: Origin) -> bool:
        """Add the job to the row that is there, and nothing else; return False if there is none."""
        try:
            self._update(
                item[:2],
                "ADD #jobs :jobs",
                "attribute_exists(s3_image_url)",
                {"#jobs": "jobs"},
                {":jobs": {"SS": [origin.job]}},
            )
        except _Refused:
            return False
        return True

    # Votes.

    def _record(self, votes: list[Vote]) -> Recorded:
        """Count votes on one row: as if nobody had voted, until the row says who has."""
        key = votes[0].key
        waiting: dict[str, list[Vote]] = {}
        for vote in votes:
            waiting.setdefault(vote.voter, []).append(vote)
        seen: Mapping[str, _Standing] = {}
        counted = already = races = 0
        while True:
            moves = []
            for voter, of_voter in list(waiting.items()):
                if move := _move(of_voter, seen.get(voter)):
                    moves.append(move)
                else:
                    already += len(waiting.pop(voter))
            if not moves:
                return Recorded(counted, already)
            # A write cannot both add to a set and take from it, so corrections come one by one.
            new = [move for move in moves if move.before is None][:VOTERS]
            try:
                self._add(key, new) if new else self._correct(key, moves[0])
            except _Refused as refused:
                row = refused.row or self._item(key)
                if row is None:
                    return Recorded(counted, already, (key,) * sum(map(len, waiting.values())))
                seen = _standings(row)
                if (races := races + 1) == _RACES:
                    raise BulkqaError(f"DynamoDB table {self._table}: row {key} keeps changing") from None
            else:
                for move in new or moves[:1]:
                    counted += move.counted
                    already += len(waiting.pop(move.voter)) - move.counted

    def _add(self, key: Key, moves: Sequence[_Move]) -> None:
        """Add new voters and their counts in one write; refused if any of them is there."""
        adds: list[str] = []
        sets: list[str] = []
        names: dict[str, str] = {}
        values: Attributes = {}
        conditions = ["attribute_exists(s3_image_url)"]
        for number, (decision, its_set) in enumerate(_SETS.items()):
            voters = [move.voter for move in moves if move.after.decision is decision]
            if voters:
                adds += [f"{_COUNTS[decision]} :n{number}", f"{its_set} :s{number}"]
                values[f":n{number}"] = {"N": str(len(voters))}
                values[f":s{number}"] = {"SS": voters}
        for number, move in enumerate(moves):
            found = " OR ".join(f"contains({its_set}, :v{number})" for its_set in _SETS.values())
            conditions.append(f"NOT ({found})")
            values[f":v{number}"] = {"S": move.voter}
            if move.after.revision:
                sets.append(f"#r{number} = :r{number}")
                names[f"#r{number}"] = _revision_of(move.voter)
                values[f":r{number}"] = {"N": str(move.after.revision)}
        expression = f"ADD {', '.join(adds)}" + (f" SET {', '.join(sets)}" if sets else "")
        self._update(key, expression, " AND ".join(conditions), names, values)

    def _correct(self, key: Key, move: _Move) -> None:
        """Move a voter from set to set in one write; refused if it is no longer where it was seen."""
        before, after = move.before, move.after
        assert before is not None  # noqa: S101  for the type checker: who has not voted is added
        values: Attributes = {":voter": {"S": move.voter}, ":new": {"N": str(after.revision)}}
        condition = f"contains({_SETS[before.decision]}, :voter)"
        if before.revision:
            condition += " AND #revision = :old"
            values[":old"] = {"N": str(before.revision)}
        else:
            condition += " AND attribute_not_exists(#revision)"
        expression = "SET #revision = :new"
        if after.decision is not before.decision:
            expression += (
                f" ADD {_COUNTS[before.decision]} :less, {_COUNTS[after.decision]} :more, "
                f"{_SETS[after.decision]} :voters DELETE {_SETS[before.decision]} :voters"
            )
            values |= {":less": {"N": "-1"}, ":more": {"N": "1"}, ":voters": {"SS": [move.voter]}}
        self._update(key, expression, condition, {"#revision": _revision_of(move.voter)}, values)

    # Rows.

    def _get(self, keys: Sequence[Key]) -> list[LabelRow]:
        rows: list[LabelRow] = []
        left, failures = [_key(key) for key in keys], 0
        while left:
            reply = self._call(
                self._client.batch_get_item,
                RequestItems={self._table: {"Keys": left, "ConsistentRead": True}},
            )
            rows += map(self._row, reply["Responses"].get(self._table, ()))
            left = reply.get("UnprocessedKeys", {}).get(self._table, {}).get("Keys", [])
            failures += 1
            if left and not self._patience.wait(failures):
                raise BulkqaError(
                    f"DynamoDB table {self._table}: {len(left)} rows could not be read in {failures} tries"
                )
        return rows

    def _item(self, key: Key) -> Attributes | None:
        reply = self._call(self._client.get_item, TableName=self._table, Key=_key(key), ConsistentRead=True)
        item: Attributes | None = reply.get("Item")
        return item

    def _row(self, item: Attributes) -> LabelRow:
        key = (item["s3_image_url"]["S"], item["label"]["S"])
        try:
            confirms, disconfirms, cannot_judges = (
                int(item.get(count, _NO_VOTES)["N"]) for count in _COUNTS.values()
            )
            confirmed_by, disconfirmed_by, cannot_judge_by, jobs = (
                frozenset[str](item.get(name, _NOBODY)["SS"]) for name in (*_SETS.values(), "jobs")
            )
            model, source, created_at = (
                item[name]["S"] if name in item else None for name in ("model", "source", "created_at")
            )
            return LabelRow(
                key, float(item["confidence"]["N"]), confirms, disconfirms, cannot_judges,
                confirmed_by, disconfirmed_by, cannot_judge_by, jobs, model, source, created_at,
            )  # fmt: skip
        except (KeyError, ValueError) as error:
            raise BulkqaError(
                f"DynamoDB table {self._table}: row {key} is no row of a label table: {error!r}"
            ) from None

    # Calls.

    def _update(
        self,
        key: Key,
        expression: str,
        condition: str | None,
        names: Mapping[str, str],
        values: Mapping[str, Any],
    ) -> None:
        """Make one UpdateItem; raise `_Refused` if its condition does not hold."""
        arguments: Attributes = {"ExpressionAttributeNames": names} if names else {}
        if condition is not None:
            arguments |= {
                "ConditionExpression": condition,
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        self._call(
            self._client.update_item,
            TableName=self._table,
            Key=_key(key),
            UpdateExpression=expression,
            ExpressionAttributeValues=values,
            **arguments,
        )

    def _call(self, operation: Callable[..., Attributes], **arguments: Any) -> Attributes:
        """Call, again if it failed in passing, for which every call here is made.

        Raises `_Refused` if a condition does not hold, `BulkqaError` for all else.
        """
        failures = 0
        while True:
            try:
                return operation(**arguments)
            except FAILURES as error:
                if isinstance(error, ClientError) and code_of(error) == "ConditionalCheckFailedException":
                    raise _Refused(error.response.get("Item")) from None
                failures += 1
                if not is_passing(error) or not self._patience.wait(failures):
                    raise self._explained(error) from error

    def _explained(self, error: Exception) -> BulkqaError:
        return explained(error, f"DynamoDB table {self._table}")


def _insertion(table: str, item: Item, origin: Origin) -> Attributes:
    """Return the statement that makes a row if there is none under its key."""
    values: Attributes = {
        "s3_image_url": {"S": item.image},
        "label": {"S": item.label},
        "confidence": {"N": _number(item.confidence)},
        "jobs": {"SS": [origin.job]},
        "created_at": {"S": origin.created_at},
        **_texts(origin),
    }
    fields = ", ".join(f"'{name}': ?" for name in values)
    return {"Statement": f'INSERT INTO "{table}" VALUE {{{fields}}}', "Parameters": list(values.values())}


def _texts(origin: Origin) -> Attributes:
    """Return those attributes of an origin that may be absent: the model and an earlier job."""
    texts = {"model": origin.model, "source": origin.source}
    return {name: {"S": text} for name, text in texts.items() if text is not None}


def _key(key: Sequence[str]) -> Attributes:
    return {"s3_image_url": {"S": key[0]}, "label": {"S": key[1]}}


def _number(confidence: float) -> str:
    """Return a confidence as DynamoDB keeps it: the shortest digits that give the same float."""
    return "0" if confidence < _LEAST else repr(confidence)


def _revision_of(voter: str) -> str:
    return f"rev:{voter}"


def _standings(row: Attributes) -> dict[str, _Standing]:
    """Return where each voter of a row stands."""
    return {
        voter: _Standing(decision, int(row.get(_revision_of(voter), _NO_VOTES)["N"]))
        for decision, its_set in _SETS.items()
        for voter in row.get(its_set, _NOBODY)["SS"]
    }


def _move(votes: Sequence[Vote], before: _Standing | None) -> _Move | None:
    """Return what one voter's votes, in their order, change; None if nothing.

    Each counts that has a higher revision than the one before it; the first one counts where there is none.
    """
    after, counted = before, 0
    for vote in votes:
        if after is None or vote.revision > after.revision:
            after = _Standing(vote.decision, vote.revision)
            counted += 1
    return _Move(votes[0].voter, before, after, counted) if after and counted else None
