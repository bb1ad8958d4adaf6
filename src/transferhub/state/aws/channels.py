"""`AwsChannels`."""

from __future__ import annotations

import json
from collections.abc import Sequence

from transferhub.aws.attributes import Item
from transferhub.aws.table import ABSENT, PRESENT
from transferhub.model.clock import Clock, utc_now
from transferhub.model.notice import StoredChannel, channel_of
from transferhub.model.people import Sealed
from transferhub.state.aws.connection import Connection
from transferhub.state.aws.outbox_messages import OutboxMessages
from transferhub.state.aws.shelf import Shelf, equal
from transferhub.state.refusals import channel_changed, channel_exists
from transferhub.state.values import from_micros, to_micros

CHANNEL = "channel"
"""The kind of their items: see `Shelf`."""


class AwsChannels:
    """A ChannelStore in DynamoDB: an item for each channel."""

    def __init__(self, connection: Connection, clock: Clock = utc_now) -> None:
        self._channels = Shelf(connection, CHANNEL)
        self._messages = OutboxMessages(connection)
        self._clock = clock

    async def create_channel(self, channel: StoredChannel) -> None:
        if not await self._channels.put(channel.name, _to_item(channel), ABSENT):
            raise channel_exists(channel.name)

    async def get_channel(self, name: str) -> StoredChannel | None:
        item = await self._channels.get(name)
        return _from_item(item) if item else None

    async def replace_channel(self, channel: StoredChannel, was: StoredChannel) -> None:
        as_was = equal({"version": was.version})
        if not await self._channels.put(was.name, _to_item(channel), as_was):
            raise channel_changed(was.name)

    async def delete_channel(self, name: str) -> bool:
        # First the channel: who adds a message checks that it is there.
        deleted = await self._channels.delete(name, PRESENT)
        await self._messages.give_up(name, self._clock())
        return deleted

    async def channels(self, *, after: str = "", limit: int = 100) -> Sequence[StoredChannel]:
        return [_from_item(item) for item in await self._channels.items(after=after, limit=limit)]

    async def all(self, *, after: str = "", limit: int = 100) -> Sequence[Sealed]:
        return [at.sealed for at in await self.channels(after=channel_of(after), limit=limit)]

    async def replace(self, sealed: Sealed, was: Sealed) -> None:
        name = channel_of(was.credential.name)
        as_was = equal({"version": was.credential.version, "key_id": was.key_id})
        kept = await self._channels.get(name) or {}
        # A put, which finds its own work where an answer was lost.
        resealed = {**kept, "key_id": sealed.key_id, "box": sealed.box}
        if not await self._channels.put(name, resealed, as_was):
            raise channel_changed(name)


def _to_item(channel: StoredChannel) -> Item:
    return {
        "name": channel.name,
        "document": json.dumps(dict(channel.document)),
        "created_at": to_micros(channel.created_at),
        "updated_at": to_micros(channel.updated_at),
        "version": channel.version,
        "key_id": channel.key_id,
        "box": channel.box,
    }


def _from_item(item: Item) -> StoredChannel:
    return StoredChannel(
        name=item["name"],
        document=json.loads(item["document"]),
        created_at=from_micros(item["created_at"]),
        updated_at=from_micros(item["updated_at"]),
        version=item["version"],
        key_id=item["key_id"],
        box=item["box"],
    )
