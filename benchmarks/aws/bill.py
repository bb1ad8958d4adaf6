"""`Bill`: what AWS would bill for requests, by their JSON and that of their answers.

It asks nobody: it knows the items because all writes pass it, and the indexes because the creation
of the tables does. What it could not price raises UnpricedError.

Sources: Amazon DynamoDB Developer Guide, "DynamoDB read and write operations"
(read-write-operations.html), "Global secondary indexes", section "Provisioned throughput
considerations" (GSI.html), and "Transactions: how it works" (transaction-apis.html); "Amazon SQS
pricing": each 64 KB of payload is a request.

Where the pages leave room, it takes the dearer reading: a transaction that was cancelled costs as
much as if it had been carried out, and the index writes of a transaction cost twice, as the
table's do.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple

from benchmarks.aws.prices import Unit, Units
from benchmarks.aws.sizes import Wire, item_size

Json = Mapping[str, Any]

_READ_BYTES, _WRITE_BYTES, _MESSAGE_BYTES = 4 << 10, 1 << 10, 64 << 10
_CLAUSE = re.compile(r"\b(SET|ADD|REMOVE|DELETE)\b")
_FREE = ("Create", "Delete", "Describe", "Update", "List", "Tag", "Untag")
_OF_TABLES = ("Table", "TimeToLive", "ContinuousBackups", "TagsOfResource")


class UnpricedError(Exception):
    """A request that the bill has no rule for."""


class Index(NamedTuple):
    """A global secondary index: its keys, and all that it projects; () for everything."""

    name: str
    keys: tuple[str, ...]
    projected: tuple[str, ...]

    def entry(self, item: Wire | None) -> Wire | None:
        """What the index has of an item; None where it leaves it out."""
        if item is None or not all(name in item for name in self.keys):
            return None
        return {name: item[name] for name in self.projected or item if name in item}

    def units(self, before: Wire | None, after: Wire | None) -> int:
        """0, 1 or 2 writes: nothing changed, one entry put or deleted, or one for each."""
        old, new = self.entry(before), self.entry(after)
        if old == new:
            return 0
        moved = old and new and any(old[name] != new[name] for name in self.keys)
        if moved or old is None or new is None:
            return sum(_blocks(at, _WRITE_BYTES) for at in (old, new) if at is not None)
        return max(_blocks(old, _WRITE_BYTES), _blocks(new, _WRITE_BYTES))


class _Place(NamedTuple):
    table: str
    partition: str
    sort: str


class Bill:
    """Attributes:
    units: so far.
    lines: the same by what was asked for, of which rows.
    calls: requests that were answered, by action.
    """

    def __init__(self) -> None:
        self.units: Units = Counter()
        self.lines: dict[str, Units] = {}
        self.calls: Counter[str] = Counter()
        self._items: dict[_Place, Wire] = {}
        self._indexes: dict[str, list[Index]] = {}
        self._actions: Mapping[str, Callable[[Json, Json, bool], None]] = {
            "BatchGetItem": self._batch_get,
            "BatchWriteItem": self._batch_write,
            "CreateTable": self._create,
            "DeleteItem": self._delete,
            "GetItem": self._get,
            "PutItem": self._put,
            "Query": self._query,
            "ReceiveMessage": self._receive,
            "SendMessage": self._send,
            "SendMessageBatch": self._send,
            "TransactWriteItems": self._transact,
            "UpdateItem": self._update,
        }

    def note(self, target: str, asked: Json, status: int, answer: Json) -> None:
        """Args:
        target: service and action, as the header x-amz-target has them.
        """
        service, _, action = target.partition(".")
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return
        self.calls[action] += 1
        done = status < HTTPStatus.MULTIPLE_CHOICES
        if (known := self._actions.get(action)) is not None:
            known(asked, answer, done)
        elif service == "AmazonSQS":
            self._add(action, Unit.SQS, 1)
        elif not (action.startswith(_FREE) and action.endswith(_OF_TABLES)):
            raise UnpricedError(f"{target} has no price")

    def items(self, table: str) -> list[Wire]:
        """What a table holds, if the bill has understood everything."""
        return [item for place, item in self._items.items() if place.table == table]

    # DynamoDB, reading

    def _get(self, asked: Json, answer: Json, _done: bool) -> None:
        item = answer.get("Item")
        self._read("GetItem", asked["Key"], [item] if item else [], asked)

    def _batch_get(self, asked: Json, answer: Json, _done: bool) -> None:
        for table, those in asked["RequestItems"].items():
            found = answer.get("Responses", {}).get(table, [])
            left = answer.get("UnprocessedKeys", {}).get(table, {}).get("Keys", [])
            for item in found:
                self._read("BatchGetItem", item, [item], those)
            for key in those["Keys"][: len(those["Keys"]) - len(found) - len(left)]:
                self._read("BatchGetItem", key, [], those)  # there is none, and it costs one

    def _query(self, asked: Json, answer: Json, done: bool) -> None:
        items: Sequence[Wire] = answer.get("Items", [])
        if not done or answer["ScannedCount"] != len(items) or "ProjectionExpression" in asked:
            raise UnpricedError(f"a Query that does not show all it read: {asked}")
        values = asked["ExpressionAttributeValues"]
        name = asked.get("IndexName", "")
        self._read(
            f"Query {name}".strip(), {"pk": values.get(":pk") or values[":of"]}, items, asked
        )

    def _read(self, action: str, key: Wire, items: Sequence[Wire], asked: Json) -> None:
        """Items that are rounded up together."""
        count = max(1, -(-sum(map(item_size, items)) // _READ_BYTES))
        if asked.get("ConsistentRead") and "IndexName" not in asked:
            self._add(f"{action} {_kind(key)}", Unit.STRONG, count)
        else:
            self._add(f"{action} {_kind(key)}", Unit.EVENTUAL, count / 2)

    # DynamoDB, writing

    def _create(self, asked: Json, _answer: Json, done: bool) -> None:
        if not done:
            return
        keys = _names(asked)
        self._indexes[asked["TableName"]] = [
            _index(at, keys) for at in asked.get("GlobalSecondaryIndexes", ())
        ]

    def _put(self, asked: Json, _answer: Json, done: bool) -> None:
        self._write("PutItem", asked["TableName"], asked["Item"], asked["Item"], done=done)

    def _delete(self, asked: Json, _answer: Json, done: bool) -> None:
        self._write("DeleteItem", asked["TableName"], asked["Key"], None, done=done)

    def _update(self, asked: Json, answer: Json, done: bool) -> None:
        item = answer.get("Attributes") or self._updated(asked)
        self._write("UpdateItem", asked["TableName"], asked["Key"], item, done=done)

    def _batch_write(self, asked: Json, answer: Json, _done: bool) -> None:
        for table, requests in asked["RequestItems"].items():
            if answer.get("UnprocessedItems", {}).get(table):
                raise UnpricedError("a BatchWriteItem that was not carried out whole")
            for request in requests:
                item = request.get("PutRequest", {}).get("Item")
                key = item or request["DeleteRequest"]["Key"]
                self._write("BatchWriteItem", table, key, item, done=True)

    def _transact(self, asked: Json, _answer: Json, done: bool) -> None:
        for action in asked["TransactItems"]:
            [(name, those)] = action.items()
            if name not in {"Put", "Update", "Delete"}:
                raise UnpricedError(f"a transaction with {name}")
            item = those.get("Item") or (self._updated(those) if name == "Update" else None)
            key = item or those["Key"]
            line = f"TransactWriteItems {name}"
            self._write(line, those["TableName"], key, item, done=done, transacted=True)

    def _write(
        self,
        action: str,
        table: str,
        key: Wire,
        item: Wire | None,
        *,
        done: bool,
        transacted: bool = False,
    ) -> None:
        place, factor = _place(table, key), 1 + transacted
        before = self._items.get(place)
        unit = Unit.TRANSACTED if transacted else Unit.WRITE
        sizes = [item_size(at) for at in (before, item if done or transacted else None) if at]
        count = max(1, -(-max(sizes, default=0) // _WRITE_BYTES))
        line = f"{action} {_kind(key)}" + ("" if done else ", refused")
        self._add(line, unit, factor * count)
        if not done:
            return
        for index in self._indexes.get(table, ()):
            self._add(line, Unit.INDEX, factor * index.units(before, item))
        if item is None:
            self._items.pop(place, None)
        else:
            self._items[place] = item

    def _updated(self, asked: Json) -> Wire:
        """The item after an update of the plain kinds: SET to a value, ADD of a number, REMOVE."""
        item = dict(self._items.get(_place(asked["TableName"], asked["Key"])) or asked["Key"])
        names = asked.get("ExpressionAttributeNames", {})
        values = asked.get("ExpressionAttributeValues", {})
        _, *clauses = _CLAUSE.split(asked["UpdateExpression"])
        for verb, terms in zip(clauses[::2], clauses[1::2], strict=True):
            for term in terms.split(","):
                path, *rest = term.replace("=", " ").split()
                name = names.get(path, path)
                match verb, rest:
                    case "SET", [value] if value in values:
                        item[name] = values[value]
                    case "ADD", [value] if "N" in values.get(value, {}):
                        sum_ = int(item.get(name, {"N": "0"})["N"]) + int(values[value]["N"])
                        item[name] = {"N": str(sum_)}
                    case "REMOVE", []:
                        item.pop(name, None)
                    case _:
                        raise UnpricedError(f"an update that says {asked['UpdateExpression']!r}")
        return item

    # SQS

    def _send(self, asked: Json, _answer: Json, _done: bool) -> None:
        entries = asked.get("Entries") or [asked]
        self._message("SendMessage", [at["MessageBody"] for at in entries])

    def _receive(self, _asked: Json, answer: Json, _done: bool) -> None:
        bodies = [at["Body"] for at in answer.get("Messages") or ()]
        self._message("ReceiveMessage" if bodies else "ReceiveMessage, empty", bodies)

    def _message(self, line: str, bodies: Sequence[str]) -> None:
        size = sum(len(body.encode()) for body in bodies)
        self._add(line, Unit.SQS, max(1, -(-size // _MESSAGE_BYTES)))

    def _add(self, line: str, unit: Unit, count: float) -> None:
        # A Counter holds halves as well, whatever its type says.
        self.units[unit] += count  # type: ignore[assignment]
        self.lines.setdefault(line, Counter())[unit] += count  # type: ignore[assignment]


def _blocks(item: Wire, size: int) -> int:
    return max(1, -(-item_size(item) // size))


def _place(table: str, key: Wire) -> _Place:
    partition, sort = (next(iter(key[name].values())) for name in ("pk", "sk"))
    return _Place(table, partition, sort)


def _kind(key: Wire) -> str:
    """What sort of rows a partition holds: what follows the last | of its name."""
    return str(key["pk"]["S"]).rpartition("|")[2]


def _names(schema: Json) -> tuple[str, ...]:
    return tuple(at["AttributeName"] for at in schema["KeySchema"])


def _index(asked: Json, table_keys: tuple[str, ...]) -> Index:
    keys, projection = _names(asked), asked["Projection"]
    projected: tuple[str, ...] = ()
    if projection["ProjectionType"] != "ALL":
        more = projection.get("NonKeyAttributes", ())
        projected = tuple(dict.fromkeys([*table_keys, *keys, *more]))
    return Index(asked["IndexName"], keys, projected)
