"""`OutboxMessages`: the messages of an outbox, by number, and by when they are due."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from transferhub.aws.attributes import Item
from transferhub.aws.table import When
from transferhub.model.notice import Message, MessageState, Notice, NoticeKind
from transferhub.state.aws.connection import Connection
from transferhub.state.aws.schema import BY1, HUB
from transferhub.state.aws.shelf import both, changes, equal, first_items, key_of
from transferhub.state.aws.together import together
from transferhub.state.values import from_micros, from_micros_or_none, to_micros, whole_text

_PARTITION = "message#"
_DUE = "message-due#"
_DUE_AT_ONCE = 25


class OutboxMessages:
    """What is to be done with a message is in an index, by `due_at`; one that ended is in it no
    more. Verbs raise StateError."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._table = connection.table(HUB)

    async def newest(self, *, channel: str, before: int | None, limit: int) -> Sequence[Message]:
        """Newest first; "" chooses all channels."""
        end = _place(10**19 if before is None else max(before, 0))
        which = When("pk = :pk AND sk < :end", {":pk": _PARTITION, ":end": end})
        chosen = equal({"channel": channel}) if channel else None
        with self._connection.failures():
            items = await first_items(self._table, which, limit=limit, descending=True, keep=chosen)
        return [to_message(item) for item in items]

    async def due(self, now: datetime) -> AsyncIterator[int]:
        """The numbers of those that are due, longest first. Others may claim them meanwhile."""
        end = _place(to_micros(now) + 1)
        which = When("by1 = :by AND at1 < :end", {":by": _DUE, ":end": end})
        with self._connection.failures():
            async for page in self._table.pages(which, index=BY1.name, limit=_DUE_AT_ONCE):
                for item in page:
                    yield item["number"]

    async def claim(self, number: int, now: datetime, until: datetime) -> Message | None:
        """None where it is not due any more."""
        sending = {"state": MessageState.SENDING.value, **due(until, number)}
        is_due = When("#due_at <= :now", {":now": to_micros(now)})
        item = await self._update(number, changes(sending, {"attempts": 1}), is_due)
        return to_message(item) if item else None

    async def settle(self, known: Message, settled: Message) -> bool:
        """False where another attempt has begun, or it ended."""
        sets: Item = {"state": settled.state.value, "error": whole_text(settled.error)}
        as_known = When(
            "attribute_exists(due_at) AND #attempts = :attempts",
            {":attempts": known.attempts},
            {"#attempts": "attempts"},
        )
        if settled.due_at is None:
            assert settled.ended_at is not None
            sets["ended_at"] = to_micros(settled.ended_at)
            change = changes(sets, removes=_DUE_NAMES)
        else:
            change = changes({**sets, **due(settled.due_at, known.number)})
        if await self._update(known.number, change, as_known) is not None:
            return True
        with self._connection.failures():
            kept = await self._table.get(message_key(known.number))
        # Whose answer was lost finds its own words there.
        written = {**sets, "attempts": known.attempts}
        return kept is not None and written.items() <= kept.items()

    async def give_up(self, channel: str, now: datetime) -> None:
        """Ends what waits to be sent to a channel that is gone."""
        values = {
            "state": MessageState.GIVEN_UP.value,
            "error": "The channel was deleted.",
            "ended_at": to_micros(now),
        }
        change = changes(values, removes=_DUE_NAMES)
        waits = When("attribute_exists(due_at)")
        of_it = equal({"channel": channel})
        with self._connection.failures():
            items = await first_items(self._table, _ALL, keep=both(of_it, waits))
            await together(lambda item: self._table.update(key_of(item), change, waits), items)

    async def purge(self, before: datetime, *, limit: int) -> int:
        """Forgets messages that ended before then; returns how many."""
        old = When("#ended < :before", {":before": to_micros(before)}, {"#ended": "ended_at"})
        with self._connection.failures():
            items = await first_items(self._table, _ALL, limit=limit, keep=old)
            return sum(await together(lambda item: self._table.delete(key_of(item), old), items))

    async def _update(self, number: int, change: When, when: When) -> Item | None:
        with self._connection.failures():
            return await self._table.update(message_key(number), change, when)


_ALL = When("pk = :pk", {":pk": _PARTITION})
_DUE_NAMES = ("due_at", BY1.partition, BY1.sort)


def message_key(number: int) -> Item:
    return {"pk": _PARTITION, "sk": _place(number)}


def due(at: datetime, number: int) -> Item:
    """What puts a message into the index."""
    moment = to_micros(at)
    place = f"{_place(moment)}#{_place(number)}"
    return dict(zip(_DUE_NAMES, (moment, _DUE, place), strict=True))


def to_item(message: Message) -> Item:
    """Of one that is to be sent."""
    assert message.due_at is not None
    return {
        **message_key(message.number),
        **due(message.due_at, message.number),
        "number": message.number,
        "ident": message.ident,
        "channel": message.channel,
        "kind": message.kind.value,
        "task": message.task,
        "told": [to_text(notice) for notice in message.notices],
        "count": message.count,
        "created_at": to_micros(message.created_at),
        "planned_at": to_micros(message.planned_at),
        "state": message.state.value,
        "attempts": message.attempts,
        "error": message.error,
    }


def to_message(item: Item) -> Message:
    return Message(
        number=item["number"],
        ident=item["ident"],
        channel=item["channel"],
        kind=NoticeKind(item["kind"]),
        task=item["task"],
        notices=tuple(Notice.from_json(json.loads(text)) for text in item["told"]),
        count=item["count"],
        created_at=from_micros(item["created_at"]),
        planned_at=from_micros(item["planned_at"]),
        due_at=from_micros_or_none(item.get("due_at")),
        state=MessageState(item["state"]),
        attempts=item["attempts"],
        error=item["error"],
        ended_at=from_micros_or_none(item.get("ended_at")),
    )


def to_text(notice: Notice) -> str:
    return json.dumps(notice.to_json())


def _place(number: int) -> str:
    return f"{number:020}"
