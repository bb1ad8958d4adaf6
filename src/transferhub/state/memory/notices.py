"""`MemoryChannels` and `MemoryOutbox`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice

from transferhub.model.clock import Clock, utc_now
from transferhub.model.notice import (
    MOST_TOLD,
    Message,
    MessageState,
    Notice,
    StoredChannel,
    channel_of,
)
from transferhub.model.people import Sealed
from transferhub.state.notices import BURST, Addressee
from transferhub.state.refusals import channel_changed, channel_exists


class MemoryOutbox:
    """A complete Outbox that keeps everything in memory."""

    def __init__(self, clock: Clock = utc_now) -> None:
        self._clock = clock
        self._told: dict[str, datetime] = {}
        self._messages: dict[int, Message] = {}
        self._last = 0

    async def add(self, notice: Notice, to: Sequence[Addressee], idents: Sequence[str]) -> bool:
        if notice.ident in self._told:
            return False
        self._told[notice.ident] = self._clock()
        for addressee, ident in zip(to, idents, strict=True):
            self._add(notice, addressee, ident)
        return True

    async def claim(self, duration: timedelta, *, limit: int = 10) -> Sequence[Message]:
        now = self._clock()
        due = sorted(
            (at.due_at, at.number)
            for at in self._messages.values()
            if at.due_at is not None and at.due_at <= now
        )
        return [self._claim(number, now + duration) for _, number in due[:limit]]

    async def settle(
        self, message: Message, state: MessageState, *, error: str = "", due_at: datetime | None
    ) -> bool:
        known = self._messages.get(message.number)
        if known is None or known.due_at is None or known.attempts != message.attempts:
            return False
        ended_at = self._clock() if due_at is None else None
        self._put(replace(known, state=state, error=error, due_at=due_at, ended_at=ended_at))
        return True

    async def messages(
        self, *, channel: str = "", before: int | None = None, limit: int = 100
    ) -> Sequence[Message]:
        found = (
            at
            for number, at in sorted(self._messages.items(), reverse=True)
            if channel in ("", at.channel) and (before is None or number < before)
        )
        return list(islice(found, limit))

    async def purge(self, before: datetime, *, limit: int = 1_000) -> int:
        self._told = {ident: at for ident, at in self._told.items() if at >= before}
        ended = (
            number
            for number, at in self._messages.items()
            if at.ended_at is not None and at.ended_at < before
        )
        old = list(islice(ended, limit))
        for number in old:
            del self._messages[number]
        return len(old)

    def give_up(self, channel: str) -> None:
        """Ends what waits to be sent to a channel that is gone."""
        for message in [at for at in self._messages.values() if at.channel == channel]:
            if message.due_at is not None:
                gone = replace(
                    message, state=MessageState.GIVEN_UP, error="The channel was deleted."
                )
                self._put(replace(gone, due_at=None, ended_at=self._clock()))

    def _add(self, notice: Notice, addressee: Addressee, ident: str) -> None:
        group = (addressee.channel, notice.kind, notice.task)
        former = [at for at in self._messages.values() if (at.channel, at.kind, at.task) == group]
        last = max(former, key=lambda at: at.number, default=None)
        if last is not None and last.state is MessageState.OPEN:
            notices = (*last.notices, notice)[:MOST_TOLD]
            self._put(replace(last, notices=notices, count=last.count + 1))
            return
        now = self._clock()
        due_at = now + BURST
        if last is not None:
            due_at = max(due_at, last.planned_at + addressee.window)
        self._last += 1
        self._put(
            Message(
                ident=ident,
                channel=addressee.channel,
                kind=notice.kind,
                task=notice.task,
                notices=(notice,),
                count=1,
                created_at=now,
                planned_at=due_at,
                due_at=due_at,
                number=self._last,
            )
        )

    def _claim(self, number: int, until: datetime) -> Message:
        known = self._messages[number]
        claimed = replace(known, state=MessageState.SENDING, due_at=until)
        return self._put(replace(claimed, attempts=known.attempts + 1))

    def _put(self, message: Message) -> Message:
        self._messages[message.number] = message
        return message


class MemoryChannels:
    """A complete ChannelStore that keeps everything in memory."""

    def __init__(self, outbox: MemoryOutbox) -> None:
        self._outbox = outbox
        self._channels: dict[str, StoredChannel] = {}

    async def create_channel(self, channel: StoredChannel) -> None:
        if channel.name in self._channels:
            raise channel_exists(channel.name)
        self._channels[channel.name] = channel

    async def get_channel(self, name: str) -> StoredChannel | None:
        return self._channels.get(name)

    async def replace_channel(self, channel: StoredChannel, was: StoredChannel) -> None:
        if self._known(was.name).version != was.version:
            raise channel_changed(was.name)
        self._channels[was.name] = channel

    async def delete_channel(self, name: str) -> bool:
        self._outbox.give_up(name)
        return self._channels.pop(name, None) is not None

    async def channels(self, *, after: str = "", limit: int = 100) -> Sequence[StoredChannel]:
        found = (self._channels[name] for name in sorted(self._channels) if name > after)
        return list(islice(found, limit))

    async def all(self, *, after: str = "", limit: int = 100) -> Sequence[Sealed]:
        return [at.sealed for at in await self.channels(after=channel_of(after), limit=limit)]

    async def replace(self, sealed: Sealed, was: Sealed) -> None:
        name = channel_of(was.credential.name)
        known = self._known(name)
        if (known.version, known.key_id) != (was.credential.version, was.key_id):
            raise channel_changed(name)
        self._channels[name] = replace(known, key_id=sealed.key_id, box=sealed.box)

    def _known(self, name: str) -> StoredChannel:
        known = self._channels.get(name)
        if known is None:
            raise channel_changed(name)
        return known
