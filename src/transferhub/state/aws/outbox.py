"""`AwsOutbox`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from transferhub.aws.attributes import Item
from transferhub.aws.table import ABSENT, PRESENT, Action, Check, Put, Update, When
from transferhub.model.clock import Clock, utc_now
from transferhub.model.notice import MOST_TOLD, Message, MessageState, Notice
from transferhub.state.aws.channels import CHANNEL
from transferhub.state.aws.connection import Connection
from transferhub.state.aws.outbox_messages import OutboxMessages, message_key, to_item, to_text
from transferhub.state.aws.schema import EXPIRES, HUB
from transferhub.state.aws.shelf import Shelf, changes, equal
from transferhub.state.aws.together import together
from transferhub.state.notices import BURST, Addressee
from transferhub.state.values import from_micros, to_micros

_NUMBERS = {"pk": "message-number#", "sk": "#"}
_MOST_ADDRESSEES = 32
"""Of one transaction: three actions each, and the notice."""

_AFTERWARDS = timedelta(days=1)


class AwsOutbox:
    """An Outbox in DynamoDB.

    A notice and what it does to messages are written in one transaction: a new message takes some
    8 units for each KB, and a further notice in it 4. A group (channel, kind and task) has an item
    that names its newest message. To more than 32 channels a notice goes in several transactions,
    of which a crash may leave the last ones out.
    """

    def __init__(self, connection: Connection, clock: Clock = utc_now) -> None:
        self._connection = connection
        self._table = connection.table(HUB)
        self._clock = clock
        self._messages = OutboxMessages(connection)
        self._channels = Shelf(connection, CHANNEL)
        self._notices = Shelf(connection, "notice")
        self._groups = Shelf(connection, "message-group")

    async def add(self, notice: Notice, to: Sequence[Addressee], idents: Sequence[str]) -> bool:
        pairs = list(zip(to, idents, strict=True))
        known = {"ident": notice.ident, "at": to_micros(self._clock())}
        first: list[Action] = [Put({**self._notices.key(notice.ident), **known}, ABSENT)]
        for start in range(0, max(len(pairs), 1), _MOST_ADDRESSEES):
            portion = pairs[start : start + _MOST_ADDRESSEES]
            while not await self._add(notice, portion, first):
                if first and await self._notices.get(notice.ident):
                    return False
            first = []
        return True

    async def claim(self, duration: timedelta, *, limit: int = 10) -> Sequence[Message]:
        now = self._clock()
        claimed: list[Message] = []
        async for number in self._messages.due(now):
            message = await self._messages.claim(number, now, now + duration)
            if message is not None:
                claimed.append(message)
            if len(claimed) == limit:
                break
        return claimed

    async def settle(
        self, message: Message, state: MessageState, *, error: str = "", due_at: datetime | None
    ) -> bool:
        ended_at = self._clock() if due_at is None else None
        settled = replace(message, state=state, error=error, due_at=due_at, ended_at=ended_at)
        return await self._messages.settle(message, settled)

    async def messages(
        self, *, channel: str = "", before: int | None = None, limit: int = 100
    ) -> Sequence[Message]:
        return await self._messages.newest(channel=channel, before=before, limit=limit)

    async def purge(self, before: datetime, *, limit: int = 1_000) -> int:
        old = When("#at < :before", {":before": to_micros(before)}, {"#at": "at"})
        notices = await self._notices.items(limit=limit, keep=old)
        await together(lambda item: self._notices.delete(item["ident"], old), notices)
        return await self._messages.purge(before, limit=limit)

    async def _add(
        self, notice: Notice, to: Sequence[tuple[Addressee, str]], first: Sequence[Action]
    ) -> bool:
        """False where another writer was quicker, or a channel was deleted."""
        plans = await together(lambda pair: self._plan(notice, *pair), to)
        actions = [*first, *(action for plan in plans for action in plan)]
        if not actions:
            return True
        with self._connection.failures():
            return await self._table.transact(actions)

    async def _plan(self, notice: Notice, addressee: Addressee, ident: str) -> Sequence[Action]:
        """Nothing where the channel is gone."""
        if await self._channels.get(addressee.channel) is None:
            return ()
        there = Check(self._channels.key(addressee.channel), PRESENT)
        name = f"{addressee.channel}\n{notice.kind.value}\n{notice.task}"
        group = await self._groups.get(name)
        with self._connection.failures():
            newest = await self._table.get(message_key(group["number"])) if group else None
        if newest is not None and newest["state"] == MessageState.OPEN:
            return there, _append(notice, newest)
        begun = _Group(self._groups.key(name), group)
        return there, *await self._begin(notice, addressee, ident, begun)

    async def _begin(
        self, notice: Notice, addressee: Addressee, ident: str, group: _Group
    ) -> Sequence[Action]:
        now = self._clock()
        due_at = group.due_after(now + BURST, addressee.window)
        with self._connection.failures():
            numbers = await self._table.update(_NUMBERS, changes({}, {"last": 1}))
        assert numbers is not None
        message = Message(
            ident=ident,
            channel=addressee.channel,
            kind=notice.kind,
            task=notice.task,
            notices=(notice,),
            count=1,
            created_at=now,
            planned_at=due_at,
            due_at=due_at,
            number=numbers["last"],
        )
        return Put(to_item(message), ABSENT), group.names(message, addressee.window)


@dataclass(frozen=True, slots=True)
class _Group:
    """Attributes:
    item: None before its first message.
    """

    key: Item
    item: Item | None

    def due_after(self, soonest: datetime, window: timedelta) -> datetime:
        if self.item is None:
            return soonest
        return max(soonest, from_micros(self.item["planned_at"]) + window)

    def names(self, message: Message, window: timedelta) -> Action:
        """Makes the message its newest one, if it has no newer one."""
        assert message.due_at is not None
        values = {
            "number": message.number,
            "planned_at": to_micros(message.planned_at),
            EXPIRES: int((message.due_at + window + _AFTERWARDS).timestamp()),
        }
        as_read = equal({"number": self.item["number"]}) if self.item else ABSENT
        return Put({**self.key, **values}, as_read)


def _append(notice: Notice, message: Item) -> Action:
    """Of more than MOST_TOLD notices it only counts the others."""
    is_open = equal({"state": MessageState.OPEN.value, "count": message["count"]})
    if message["count"] >= MOST_TOLD:
        return Update(message_key(message["number"]), changes({}, {"count": 1}), is_open)
    told = [*message["told"], to_text(notice)]
    change = changes({"told": told}, {"count": 1})
    return Update(message_key(message["number"]), change, is_open)
