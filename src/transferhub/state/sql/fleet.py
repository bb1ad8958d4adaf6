"""`SqlFleet`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from transferhub.model.clock import Clock, utc_now
from transferhub.model.fleet import Load, Member, MemberKind
from transferhub.model.transfer import RunId
from transferhub.state.sql.codec import from_text, to_text, to_words
from transferhub.state.sql.database import Database
from transferhub.state.sql.dialects import Row
from transferhub.state.sql.session import Session
from transferhub.state.values import from_micros, to_micros

_MEMBER = "ident, host, pid, version, kind, started_at, seen_at, draining, carries"
_CHANGES = ", ".join(f"{name} = excluded.{name}" for name in _MEMBER.split(", ")[1:])
_REGISTER = (
    f"INSERT INTO members ({_MEMBER}) VALUES ({', '.join('?' * len(_MEMBER.split()))}) "
    f"ON CONFLICT (ident) DO UPDATE SET {_CHANGES}"
)


class SqlFleet:
    """A Fleet in SQLite or PostgreSQL; each verb is one transaction."""

    def __init__(self, database: Database, clock: Clock = utc_now) -> None:
        self._database = database
        self._clock = clock

    async def register(self, member: Member) -> None:
        await self._execute(_REGISTER, *_to_row(member))

    async def heartbeat(self, ident: str, load: Load) -> Member | None:
        update = "UPDATE members SET seen_at = ?, carries = ? WHERE ident = ?"
        values = to_micros(self._clock()), json.dumps(asdict(load)), to_text(ident)

        def beat(session: Session) -> Sequence[Row]:
            session.execute(update, *values)
            return session.fetch(_MEMBER, "FROM members WHERE ident = ?", values[2])

        rows = await self._database.write(beat)
        return _from_row(rows[0]) if rows else None

    async def drain(self, ident: str) -> bool:
        update = "UPDATE members SET draining = 1 WHERE ident = ?"
        return bool(await self._execute(update, to_text(ident)))

    async def members(self, *, after: str = "", limit: int = 1_000) -> Sequence[Member]:
        source = "FROM members WHERE ident > ? ORDER BY ident LIMIT ?"
        rows = await self._database.read(
            lambda session: session.fetch(_MEMBER, source, to_text(after), limit)
        )
        return [_from_row(row) for row in rows]

    async def leave(self, ident: str) -> None:
        await self._execute("DELETE FROM members WHERE ident = ?", to_text(ident))

    async def forget(self, before: datetime) -> Sequence[Member]:
        moment = to_micros(before)

        def forget(session: Session) -> Sequence[Row]:
            unseen = f"FROM members WHERE seen_at < ? {session.dialect.lock_free}"
            rows = session.fetch(_MEMBER, unseen, moment)
            for row in rows:
                session.execute("DELETE FROM members WHERE ident = ?", row[0])
            return rows

        members = [_from_row(row) for row in await self._database.write(forget)]
        return sorted(members, key=lambda member: member.ident)

    async def aclose(self) -> None:
        await self._database.aclose()

    async def _execute(self, sql: str, *values: object) -> int:
        return await self._database.write(lambda session: session.execute(sql, *values))


def _to_row(member: Member) -> Row:
    return (
        to_text(member.ident),
        to_words(member.host),
        member.pid,
        to_words(member.version),
        member.kind.value,
        to_micros(member.started_at),
        to_micros(member.seen_at),
        int(member.draining),
        json.dumps(asdict(member.load)),
    )


def _from_row(row: Row) -> Member:
    load = json.loads(row[8])
    return Member(
        ident=from_text(row[0]),
        host=from_text(row[1]),
        pid=row[2],
        version=from_text(row[3]),
        kind=MemberKind(row[4]),
        started_at=from_micros(row[5]),
        seen_at=from_micros(row[6]),
        draining=bool(row[7]),
        load=Load(**{**load, "runs": tuple(RunId(run) for run in load["runs"])}),
    )
