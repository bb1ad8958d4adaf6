"""`AwsInbox`."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime

from transferhub.aws.attributes import Item
from transferhub.aws.table import ABSENT, When
from transferhub.model.clock import Clock, utc_now
from transferhub.model.event import EventKind, ObjectEvent, Waiting, latest_of_each
from transferhub.model.run import TaskId
from transferhub.state.aws.connection import Connection
from transferhub.state.aws.schema import BY1, HUB
from transferhub.state.aws.shelf import Shelf, equal, key_of, name_key
from transferhub.state.aws.together import together
from transferhub.state.values import from_micros, from_micros_or_none, to_micros, to_micros_or_none

_LEAST_READ = 10
"""Entries of the index, some of which may tell of what is gone."""


class AwsInbox:
    """An Inbox in DynamoDB: an item for each key, and those of a task by age in an index.

    A new key costs two write units and its removal two, half of them in the index. An event is
    written with the mark that was read, so that none is lost to another writer. The index lags by
    some milliseconds: what has come in just now is told of a little later, and nothing is told of
    that is not there.
    """

    def __init__(self, connection: Connection, clock: Clock = utc_now) -> None:
        self._connection = connection
        self._clock = clock
        self._table = connection.table(HUB)
        self._tasks = Shelf(connection, "inbox-task")

    async def put(self, task: TaskId, events: Sequence[ObjectEvent]) -> None:
        if not events:
            return
        now = self._clock()
        # Before its events: who looks for tasks finds each one that has any.
        await self._tasks.put(task, {"task": task})
        with self._connection.failures():
            await together(lambda event: self._put(task, event, now), latest_of_each(events))

    async def waiting(self, task: TaskId, *, limit: int) -> Sequence[Waiting]:
        with self._connection.failures():
            return await self._waiting(task, limit)

    async def done(self, task: TaskId, handled: Sequence[Waiting]) -> int:
        async def remove(at: Waiting) -> bool:
            return await self._table.delete(_key(task, at.key), equal({"mark": at.mark}))

        with self._connection.failures():
            return sum(await together(remove, handled))

    async def lag(self) -> Mapping[TaskId, datetime]:
        tasks = [TaskId(item["task"]) for item in await self._tasks.items()]
        with self._connection.failures():
            oldest = await together(lambda task: self._waiting(task, 1), tasks)
        return {task: found[0].since for task, found in zip(tasks, oldest, strict=True) if found}

    async def count(self, task: TaskId) -> int:
        with self._connection.failures():
            return sum([len(page) async for page in self._pages(task)])

    async def forget(self, task: TaskId) -> int:
        await self._tasks.delete(task)
        count = 0
        with self._connection.failures():
            async for page in self._pages(task):
                await self._table.write(deletes=[key_of(item) for item in page])
                count += len(page)
        return count

    async def aclose(self) -> None:
        await self._connection.aclose()

    async def _put(self, task: TaskId, event: ObjectEvent, now: datetime) -> None:
        key = _key(task, event.key)
        since, when = to_micros(min(event.at or now, now)), ABSENT
        while not await self._table.put(_to_item(task, key, event, since), when):
            known = await self._table.get(key)
            if known is None:
                when = ABSENT
                continue
            former = _event(known)
            event = event if event.supersedes(former) else former
            since, when = min(since, known["since"]), equal({"mark": known["mark"]})

    async def _waiting(self, task: TaskId, limit: int) -> Sequence[Waiting]:
        """Of what the index has, in its order, that which is there."""
        found: list[Waiting] = []
        which = When("by1 = :by", {":by": _partition(task)})
        at_once = max(limit, _LEAST_READ)
        async for page in self._table.pages(which, index=BY1.name, limit=at_once):
            there = await self._table.get_many([key_of(item) for item in page])
            found += map(_to_waiting, there)
            if len(found) >= limit:
                break
        return sorted(found, key=lambda at: (at.since, at.key))[:limit]

    def _pages(self, task: TaskId) -> AsyncIterator[Sequence[Item]]:
        return self._table.pages(When("pk = :pk", {":pk": _partition(task)}))


def _partition(task: TaskId) -> str:
    return f"inbox{name_key(task)}"


def _key(task: TaskId, key: str) -> Item:
    return {"pk": _partition(task), "sk": name_key(key)}


def _to_item(task: TaskId, key: Item, event: ObjectEvent, since: int) -> Item:
    return {
        **key,
        BY1.partition: key["pk"],
        BY1.sort: f"{since:020}{key['sk']}",
        "task": task,
        "key": event.key,
        "mark": secrets.randbits(62),
        "kind": event.kind.value,
        "place": event.order,
        "happened_at": to_micros_or_none(event.at),
        "since": since,
    }


def _event(item: Item) -> ObjectEvent:
    return ObjectEvent(
        bucket="",
        key=item["key"],
        kind=EventKind(item["kind"]),
        sequencer=item["place"],
        at=from_micros_or_none(item["happened_at"]),
    )


def _to_waiting(item: Item) -> Waiting:
    return Waiting(item["key"], item["mark"], EventKind(item["kind"]), from_micros(item["since"]))
