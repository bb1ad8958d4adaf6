"""A DynamoDB table.

Source: Amazon DynamoDB API Reference and "Service, account, and table quotas": a BatchGetItem takes
100 keys, a BatchWriteItem 25 items, a TransactWriteItems 100 actions; an item holds 400 KB.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NamedTuple, TypeVar
from uuid import uuid4

from transferhub.aws.attributes import Item, from_wire, to_wire
from transferhub.aws.client import AwsClient, AwsError, AwsFault
from transferhub.aws.patience import Patience

MOST_ACTIONS = 100
"""Of one transaction."""

_MOST_GETS, _MOST_WRITES = 100, 25
_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 2.0
"""Seconds: what holds one item up is soon over."""

_Member = TypeVar("_Member")


@dataclass(frozen=True, slots=True)
class When:
    """A condition or filter: an expression, and what its placeholders stand for."""

    text: str
    values: Mapping[str, Any] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)


ABSENT = When("attribute_not_exists(pk)")
"""There is no such item."""

PRESENT = When("attribute_exists(pk)")


class Put(NamedTuple):
    item: Item
    when: When | None = None


class Update(NamedTuple):
    """`change` is an update expression, such as When("SET a = :a ADD n :n", {":a": 1, ":n": 2})."""

    key: Item
    change: When
    when: When | None = None


class Delete(NamedTuple):
    key: Item
    when: When | None = None


class Check(NamedTuple):
    """Holds the other actions of its transaction back where its condition does not hold."""

    key: Item
    when: When


Action = Put | Update | Delete | Check


class Rows(NamedTuple):
    """A page of a query. `after` begins the next one; None: there is none."""

    items: Sequence[Item]
    after: Item | None


class Table:
    """One table, whose keys are `pk` and `sk`. Verbs raise AwsError.

    What is carried out, but whose answer is lost, is asked for again. `put` and `delete` then see
    their own work, and transactions are carried out once. An `update` is not as clever: held by a
    condition, it may say that the condition does not hold, because it has changed the item itself;
    not held, one that adds may add twice.
    """

    def __init__(self, client: AwsClient, name: str, *, patience: timedelta) -> None:
        """Args:
        patience: for how long what other writers or throttling hold up is tried again.
        """
        self.name = name
        self._client = client
        self._within = patience

    async def get(self, key: Item, *, consistent: bool = True) -> Item | None:
        answer = await self._ask("GetItem", Key=to_wire(key), ConsistentRead=consistent)
        return from_wire(answer["Item"]) if answer.get("Item") else None

    async def get_many(self, keys: Sequence[Item], *, consistent: bool = True) -> list[Item]:
        """Those of the keys that there are, in no order. No key may be twice among them."""
        found: list[Item] = []
        for batch in _batches([to_wire(key) for key in keys], _MOST_GETS):
            asked = {"Keys": batch, "ConsistentRead": consistent}
            async for answer in self._all_of("BatchGetItem", asked):
                found += map(from_wire, answer.get("Responses", {}).get(self.name, ()))
        return found

    async def put(self, item: Item, when: When | None = None) -> bool:
        """False where the condition does not hold."""
        try:
            await self._ask("PutItem", Item=to_wire(item), **_condition(when))
        except AwsError as error:
            if error.fault is not AwsFault.CONDITION:
                raise
            key = {name: item[name] for name in ("pk", "sk")}
            return error.repeated and await self.get(key) == item
        return True

    async def update(self, key: Item, change: When, when: When | None = None) -> Item | None:
        """The item as it is now; None where the condition does not hold."""
        parameters: dict[str, Any] = {
            "Key": to_wire(key),
            "ReturnValues": "ALL_NEW",
            **_update(change, when),
        }
        try:
            answer = await self._ask("UpdateItem", **parameters)
        except AwsError as error:
            if error.fault is AwsFault.CONDITION:
                return None
            raise
        return from_wire(answer["Attributes"])

    async def delete(self, key: Item, when: When | None = None) -> bool:
        """False where the condition does not hold."""
        try:
            await self._ask("DeleteItem", Key=to_wire(key), **_condition(when))
        except AwsError as error:
            if error.fault is not AwsFault.CONDITION:
                raise
            return error.repeated and await self.get(key) is None
        return True

    async def query(
        self,
        which: When,
        *,
        index: str = "",
        descending: bool = False,
        limit: int = 0,
        after: Item | None = None,
        keep: When | None = None,
        consistent: bool = True,
    ) -> Rows:
        """One page of the items of a partition.

        Args:
            which: the condition of the key.
            limit: of items looked at, also of those that `keep` leaves out; 0: as many as fit.
            keep: a filter.
            consistent: an index gives what it has heard of so far, whatever is asked for.
        """
        parameters: dict[str, Any] = {
            "KeyConditionExpression": which.text,
            "ScanIndexForward": not descending,
            **_placeholders(which, keep),
        }
        if index:
            parameters["IndexName"] = index
        elif consistent:
            parameters["ConsistentRead"] = True
        if limit:
            parameters["Limit"] = limit
        if after:
            parameters["ExclusiveStartKey"] = to_wire(after)
        if keep:
            parameters["FilterExpression"] = keep.text
        answer = await self._ask("Query", **parameters)
        last = answer.get("LastEvaluatedKey")
        return Rows(
            [from_wire(item) for item in answer.get("Items", ())], from_wire(last) if last else None
        )

    async def pages(
        self,
        which: When,
        *,
        index: str = "",
        descending: bool = False,
        limit: int = 0,
        keep: When | None = None,
        consistent: bool = True,
    ) -> AsyncIterator[Sequence[Item]]:
        """All items of a partition that `query` gives, page after page."""
        after: Item | None = None
        while True:
            items, after = await self.query(
                which,
                index=index,
                descending=descending,
                limit=limit,
                after=after,
                keep=keep,
                consistent=consistent,
            )
            yield items
            if after is None:
                return

    async def write(self, puts: Sequence[Item] = (), deletes: Sequence[Item] = ()) -> None:
        """Puts items and deletes keys, without conditions and not together."""
        requests = [
            *({"PutRequest": {"Item": to_wire(item)}} for item in puts),
            *({"DeleteRequest": {"Key": to_wire(key)}} for key in deletes),
        ]
        for batch in _batches(requests, _MOST_WRITES):
            async for _ in self._all_of("BatchWriteItem", batch):
                pass

    async def transact(self, actions: Sequence[Action]) -> bool:
        """Carries out up to MOST_ACTIONS actions, all or none; False where a condition of one does
        not hold. A transaction that was sent twice is carried out once."""
        items = [self._action(action) for action in actions]
        patience = self._patience()
        while True:
            asked = {"TransactItems": items, "ClientRequestToken": uuid4().hex}
            try:
                await self._client.ask("TransactWriteItems", asked)
            except AwsError as error:
                if error.fault is not AwsFault.CONDITION:
                    raise
                reasons = _reasons(error)
                if "ConditionalCheckFailed" in reasons:
                    return False
                if reasons <= _REFUSALS:
                    raise _as(AwsFault.REFUSED, error) from error
                if not await patience.pause():
                    raise _as(AwsFault.THROTTLED, error) from error
            else:
                return True

    def _action(self, action: Action) -> dict[str, Any]:
        match action:
            case Put(item, when):
                name, body = "Put", {"Item": to_wire(item), **_condition(when)}
            case Update(key, change, when):
                name, body = "Update", {"Key": to_wire(key), **_update(change, when)}
            case Delete(key, when):
                name, body = "Delete", {"Key": to_wire(key), **_condition(when)}
            case Check(key, when):
                name, body = "ConditionCheck", {"Key": to_wire(key), **_condition(when)}
        return {name: {"TableName": self.name, **body}}

    async def _all_of(
        self, action: str, asked: Mapping[str, Any] | Sequence[Mapping[str, Any]]
    ) -> AsyncIterator[Mapping[str, Any]]:
        """Asks until nothing of what is asked is left unprocessed."""
        rest = "UnprocessedKeys" if action == "BatchGetItem" else "UnprocessedItems"
        patience = self._patience()
        while True:
            answer = await self._client.ask(action, {"RequestItems": {self.name: asked}})
            yield answer
            asked = answer.get(rest, {}).get(self.name) or ()
            if not asked:
                return
            if not await patience.pause():
                raise AwsError(action, AwsFault.THROTTLED, detail="items stay unprocessed")

    def _patience(self) -> Patience:
        return Patience(self._within, first=_FIRST_PAUSE, longest=_LONGEST_PAUSE)

    async def _ask(self, action: str, **parameters: Any) -> dict[str, Any]:
        return await self._client.ask(action, {"TableName": self.name, **parameters})


_REFUSALS = frozenset({"None", "ValidationError", "ItemCollectionSizeLimitExceeded"})
"""Reasons for which a transaction never works. With any other it may work later."""


def _reasons(error: AwsError) -> set[str]:
    """Why a transaction was cancelled, by action; "None" of those that could have been done."""
    listed = error.answer.get("CancellationReasons")
    if listed:
        return {str(at.get("Code", "None")) for at in listed}
    words = error.detail.partition("[")[2].partition("]")[0]
    return {word.strip() for word in words.split(",")}


def _as(fault: AwsFault, error: AwsError) -> AwsError:
    return AwsError(
        error.action,
        fault,
        status=error.status,
        name=error.name,
        detail=error.detail,
        answer=error.answer,
    )


def _placeholders(*parts: When | None) -> dict[str, Any]:
    values = {at: value for part in parts if part for at, value in part.values.items()}
    names = {at: name for part in parts if part for at, name in part.names.items()}
    return {
        **({"ExpressionAttributeValues": to_wire(values)} if values else {}),
        **({"ExpressionAttributeNames": names} if names else {}),
    }


def _condition(when: When | None) -> dict[str, Any]:
    return {"ConditionExpression": when.text, **_placeholders(when)} if when else {}


def _update(change: When, when: When | None) -> dict[str, Any]:
    condition = {"ConditionExpression": when.text} if when else {}
    return {"UpdateExpression": change.text, **condition, **_placeholders(change, when)}


def _batches(members: Sequence[_Member], most: int) -> Iterator[Sequence[_Member]]:
    return (members[start : start + most] for start in range(0, len(members), most))
