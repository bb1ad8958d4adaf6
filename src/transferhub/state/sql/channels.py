"""`SqlChannels`."""

from __future__ import annotations

import json
from collections.abc import Sequence

from transferhub.model.clock import Clock, utc_now
from transferhub.model.notice import StoredChannel, channel_of
from transferhub.model.people import Sealed
from transferhub.state.refusals import channel_changed, channel_exists
from transferhub.state.sql.codec import from_text, to_text
from transferhub.state.sql.database import Database
from transferhub.state.sql.dialects import Row
from transferhub.state.sql.session import Session
from transferhub.state.values import from_micros, to_micros

_CHANNEL = "name, settings, created_at, updated_at, version, key_id, box"
_INSERT = f"INSERT INTO channels ({_CHANNEL}) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
_REPLACE = (
    f"UPDATE channels SET ({_CHANNEL}) = (?, ?, ?, ?, ?, ?, ?) WHERE name = ? AND version = ?"
)
_RESEAL = "UPDATE channels SET key_id = ?, box = ? WHERE name = ? AND version = ? AND key_id = ?"
_GIVE_UP = (
    "UPDATE messages SET state = 'given_up', error = 'The channel was deleted.', due_at = NULL, "
    "ended_at = ? WHERE channel = ? AND due_at IS NOT NULL"
)


class SqlChannels:
    """A ChannelStore in SQLite or PostgreSQL; each verb is one transaction."""

    def __init__(self, database: Database, clock: Clock = utc_now) -> None:
        self._database = database
        self._clock = clock

    async def create_channel(self, channel: StoredChannel) -> None:
        if not await self._execute(_INSERT, *_to_row(channel)):
            raise channel_exists(channel.name)

    async def get_channel(self, name: str) -> StoredChannel | None:
        rows = await self._fetch("WHERE name = ?", to_text(name))
        return _from_row(rows[0]) if rows else None

    async def replace_channel(self, channel: StoredChannel, was: StoredChannel) -> None:
        edition = to_text(was.name), was.version
        if not await self._execute(_REPLACE, *_to_row(channel), *edition):
            raise channel_changed(was.name)

    async def delete_channel(self, name: str) -> bool:
        text, now = to_text(name), to_micros(self._clock())

        def delete(session: Session) -> bool:
            # First the channel: who adds a message holds its row.
            deleted = session.execute("DELETE FROM channels WHERE name = ?", text)
            session.execute(_GIVE_UP, now, text)
            return bool(deleted)

        return await self._database.write(delete)

    async def channels(self, *, after: str = "", limit: int = 100) -> Sequence[StoredChannel]:
        rows = await self._fetch("WHERE name > ? ORDER BY name LIMIT ?", to_text(after), limit)
        return [_from_row(row) for row in rows]

    async def all(self, *, after: str = "", limit: int = 100) -> Sequence[Sealed]:
        return [at.sealed for at in await self.channels(after=channel_of(after), limit=limit)]

    async def replace(self, sealed: Sealed, was: Sealed) -> None:
        name = channel_of(was.credential.name)
        edition = to_text(name), was.credential.version, was.key_id
        if not await self._execute(_RESEAL, sealed.key_id, sealed.box, *edition):
            raise channel_changed(name)

    async def _execute(self, sql: str, *values: object) -> int:
        return await self._database.write(lambda session: session.execute(sql, *values))

    async def _fetch(self, where: str, *values: object) -> Sequence[Row]:
        source = f"FROM channels {where}"
        return await self._database.read(lambda session: session.fetch(_CHANNEL, source, *values))


def _to_row(channel: StoredChannel) -> Row:
    return (
        to_text(channel.name),
        json.dumps(dict(channel.document)),
        to_micros(channel.created_at),
        to_micros(channel.updated_at),
        channel.version,
        channel.key_id,
        channel.box,
    )


def _from_row(row: Row) -> StoredChannel:
    return StoredChannel(
        name=from_text(row[0]),
        document=json.loads(row[1]),
        created_at=from_micros(row[2]),
        updated_at=from_micros(row[3]),
        version=row[4],
        key_id=row[5],
        box=row[6],
    )
