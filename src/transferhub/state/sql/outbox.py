"""`SqlOutbox`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from transferhub.model.clock import Clock, utc_now
from transferhub.model.notice import MOST_TOLD, Message, MessageState, Notice, NoticeKind
from transferhub.state.notices import BURST, Addressee
from transferhub.state.sql.codec import from_text, to_text, to_words
from transferhub.state.sql.database import Database
from transferhub.state.sql.dialects import Row
from transferhub.state.sql.session import Session
from transferhub.state.values import from_micros, from_micros_or_none, to_micros, to_micros_or_none

_MESSAGE = (
    "id, ident, channel, kind, task, told, number, created_at, planned_at, due_at, state, "
    "attempts, error, ended_at"
)
_GROUP = "channel = ? AND kind = ? AND task = ?"
_TOLD = "INSERT INTO notices (ident, at) VALUES (?, ?) ON CONFLICT DO NOTHING"
_INSERT = (
    "INSERT INTO messages (ident, channel, kind, task, told, number, created_at, planned_at, "
    "due_at, state, attempts, error) VALUES (?, ?, ?, ?, ?, 1, ?, ?, ?, 'open', 0, '') "
    "ON CONFLICT DO NOTHING"
)
_APPEND = "UPDATE messages SET told = ?, number = number + 1 WHERE id = ?"
_CLAIM = "UPDATE messages SET state = 'sending', attempts = attempts + 1, due_at = ? WHERE id = ?"
_SETTLE = (
    "UPDATE messages SET state = ?, error = ?, due_at = ?, ended_at = ? "
    "WHERE id = ? AND attempts = ? AND due_at IS NOT NULL"
)


class SqlOutbox:
    """An Outbox in SQLite or PostgreSQL; each verb is one transaction."""

    def __init__(self, database: Database, clock: Clock = utc_now) -> None:
        self._database = database
        self._clock = clock

    async def add(self, notice: Notice, to: Sequence[Addressee], idents: Sequence[str]) -> bool:
        entry = _Entry(notice, self._clock())
        # In one order: of two that add to the same messages none waits for the other in a circle.
        pairs = sorted(zip(to, idents, strict=True), key=lambda pair: pair[0].channel)

        def add(session: Session) -> bool:
            if not session.execute(_TOLD, to_text(notice.ident), to_micros(entry.now)):
                return False
            for addressee, ident in pairs:
                _add(session, entry, addressee, ident)
            return True

        return await self._database.write(add)

    async def claim(self, duration: timedelta, *, limit: int = 10) -> Sequence[Message]:
        now = self._clock()
        moment, until = to_micros(now), to_micros(now + duration)

        def claim(session: Session) -> Sequence[Row]:
            due = (
                "FROM messages WHERE due_at IS NOT NULL AND due_at <= ? "
                f"ORDER BY due_at, id LIMIT ? {session.dialect.lock_free}"
            )
            numbers = [row[0] for row in session.fetch("id", due, moment, limit)]
            return [_claim(session, number, until) for number in numbers]

        return [_from_row(row) for row in await self._database.write(claim)]

    async def settle(
        self, message: Message, state: MessageState, *, error: str = "", due_at: datetime | None
    ) -> bool:
        ended_at = to_micros(self._clock()) if due_at is None else None
        known = message.number, message.attempts
        values = state.value, to_words(error), to_micros_or_none(due_at), ended_at, *known
        return bool(await self._execute(_SETTLE, *values))

    async def messages(
        self, *, channel: str = "", before: int | None = None, limit: int = 100
    ) -> Sequence[Message]:
        chosen, values = ["true"], []
        if channel:
            chosen.append("channel = ?")
            values.append(to_text(channel))
        place = () if before is None else (before,)
        chosen += ["id < ?"] * len(place)
        source = f"FROM messages WHERE {' AND '.join(chosen)} ORDER BY id DESC LIMIT ?"
        rows = await self._database.read(
            lambda session: session.fetch(_MESSAGE, source, *values, *place, limit)
        )
        return [_from_row(row) for row in rows]

    async def purge(self, before: datetime, *, limit: int = 1_000) -> int:
        moment = to_micros(before)
        old = "SELECT {key} FROM {table} WHERE {at} < ? ORDER BY {at} LIMIT ?"
        messages = old.format(key="id", table="messages", at="ended_at")
        notices = old.format(key="ident", table="notices", at="at")

        def purge(session: Session) -> int:
            session.execute(f"DELETE FROM notices WHERE ident IN ({notices})", moment, limit)
            return session.execute(f"DELETE FROM messages WHERE id IN ({messages})", moment, limit)

        return await self._database.write(purge)

    async def _execute(self, sql: str, *values: object) -> int:
        return await self._database.write(lambda session: session.execute(sql, *values))


@dataclass(frozen=True, slots=True)
class _Entry:
    notice: Notice
    now: datetime


def _add(session: Session, entry: _Entry, addressee: Addressee, ident: str) -> None:
    """Another writer may begin the same group's message at the same time: then it is there at the
    second look."""
    channel = to_text(addressee.channel)
    held = f"FROM channels WHERE name = ? {session.dialect.lock_run}"
    if not session.fetch("name", held, channel):
        return  # deleted meanwhile
    group = channel, entry.notice.kind.value, to_text(entry.notice.task)
    while not _append(session, entry, group):
        if _begin(session, entry, group, addressee.window, ident):
            return


def _append(session: Session, entry: _Entry, group: Row) -> bool:
    source = f"FROM messages WHERE {_GROUP} AND state = 'open' {session.dialect.lock}"
    rows = session.fetch("id, told", source, *group)
    for number, told in rows:
        notices = [*json.loads(told), entry.notice.to_json()][:MOST_TOLD]
        session.execute(_APPEND, json.dumps(notices), number)
    return bool(rows)


def _begin(session: Session, entry: _Entry, group: Row, window: timedelta, ident: str) -> bool:
    last = f"FROM messages WHERE {_GROUP} ORDER BY id DESC LIMIT 1"
    due_at = entry.now + BURST
    for row in session.fetch("planned_at", last, *group):
        due_at = max(due_at, from_micros(row[0]) + window)
    told = json.dumps([entry.notice.to_json()])
    times = to_micros(entry.now), to_micros(due_at), to_micros(due_at)
    return bool(session.execute(_INSERT, to_text(ident), *group, told, *times))


def _claim(session: Session, number: int, until: int) -> Row:
    session.execute(_CLAIM, until, number)
    return session.fetch(_MESSAGE, "FROM messages WHERE id = ?", number)[0]


def _from_row(row: Row) -> Message:
    return Message(
        number=row[0],
        ident=from_text(row[1]),
        channel=from_text(row[2]),
        kind=NoticeKind(row[3]),
        task=from_text(row[4]),
        notices=tuple(Notice.from_json(notice) for notice in json.loads(row[5])),
        count=row[6],
        created_at=from_micros(row[7]),
        planned_at=from_micros(row[8]),
        due_at=from_micros_or_none(row[9]),
        state=MessageState(row[10]),
        attempts=row[11],
        error=from_text(row[12]),
        ended_at=from_micros_or_none(row[13]),
    )
