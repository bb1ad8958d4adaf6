"""`SqlInbox`."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime

from transferhub.model.clock import Clock, utc_now
from transferhub.model.event import EventKind, ObjectEvent, Waiting, latest_of_each
from transferhub.model.run import TaskId
from transferhub.state.sql.codec import from_text, to_text
from transferhub.state.sql.database import Database
from transferhub.state.sql.dialects import Columns, Row
from transferhub.state.sql.session import Session
from transferhub.state.values import from_micros, to_micros, to_micros_or_none

_COLUMNS: Columns = (
    ("key", "TEXT"),
    ("mark", "BIGINT"),
    ("kind", "TEXT"),
    ("place", "TEXT"),
    ("happened_at", "BIGINT"),
    ("since", "BIGINT"),
)
_NAMES = ", ".join(name for name, _ in _COLUMNS)
_LATER = (
    "CASE WHEN excluded.place <> '' AND inbox.place <> '' THEN excluded.place >= inbox.place "
    "ELSE coalesce(excluded.happened_at >= inbox.happened_at, true) END"
)
_LATEST = ", ".join(
    f"{name} = CASE WHEN {_LATER} THEN excluded.{name} ELSE inbox.{name} END"
    for name in ("kind", "place", "happened_at")
)
_PUT = (
    f"INSERT INTO inbox (task, {_NAMES}) SELECT ?, {_NAMES} FROM ({{rows}}) AS v WHERE true "
    f"ON CONFLICT (task, key) DO UPDATE SET mark = excluded.mark, {_LATEST}, "
    "since = CASE WHEN excluded.since < inbox.since THEN excluded.since ELSE inbox.since END"
)
_DONE_COLUMNS: Columns = (("key", "TEXT"), ("mark", "BIGINT"))
_DONE = (
    "DELETE FROM inbox WHERE task = ? AND EXISTS (SELECT 1 FROM ({rows}) AS v "
    "WHERE v.key = inbox.key AND v.mark = inbox.mark)"
)


class SqlInbox:
    """An Inbox in SQLite or PostgreSQL; each verb is one transaction."""

    def __init__(self, database: Database, clock: Clock = utc_now) -> None:
        self._database = database
        self._clock = clock

    async def put(self, task: TaskId, events: Sequence[ObjectEvent]) -> None:
        now = self._clock()
        # In one order everywhere, so that two writers never wait for each other in a circle.
        latest = sorted(latest_of_each(events), key=lambda event: event.key)
        rows = [_to_row(event, now) for event in latest]
        await self._database.write(
            lambda session: session.execute_rows(_PUT, _COLUMNS, rows, to_text(task))
        )

    async def waiting(self, task: TaskId, *, limit: int) -> Sequence[Waiting]:
        source = "FROM inbox WHERE task = ? ORDER BY since, key LIMIT ?"
        rows = await self._database.read(
            lambda session: session.fetch("key, mark, kind, since", source, to_text(task), limit)
        )
        return [
            Waiting(from_text(key), mark, EventKind(kind), from_micros(since))
            for key, mark, kind, since in rows
        ]

    async def done(self, task: TaskId, handled: Sequence[Waiting]) -> int:
        rows = [(to_text(at.key), at.mark) for at in sorted(handled)]
        return await self._database.write(
            lambda session: session.execute_rows(_DONE, _DONE_COLUMNS, rows, to_text(task))
        )

    async def lag(self) -> Mapping[TaskId, datetime]:
        return await self._database.read(_lag)

    async def count(self, task: TaskId) -> int:
        source = "FROM inbox WHERE task = ?"
        [(count,)] = await self._database.read(
            lambda session: session.fetch("count(*) AS count", source, to_text(task))
        )
        return int(count)

    async def forget(self, task: TaskId) -> int:
        delete = "DELETE FROM inbox WHERE task = ?"
        return await self._database.write(lambda session: session.execute(delete, to_text(task)))

    async def aclose(self) -> None:
        await self._database.aclose()


def _lag(session: Session) -> Mapping[TaskId, datetime]:
    """Steps from task to task through the index."""
    found: dict[TaskId, datetime] = {}
    task = ""
    while True:
        rows = session.fetch(
            "task, since",
            "FROM inbox WHERE task > ? ORDER BY task, since, key LIMIT 1",
            task,
        )
        if not rows:
            return found
        [(task, since)] = rows
        found[TaskId(from_text(task))] = from_micros(since)


def _to_row(event: ObjectEvent, now: datetime) -> Row:
    return (
        to_text(event.key),
        secrets.randbits(62),
        event.kind.value,
        event.order,
        to_micros_or_none(event.at),
        to_micros(min(event.at or now, now)),
    )
