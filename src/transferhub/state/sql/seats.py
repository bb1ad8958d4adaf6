"""`SqlSeats`."""

from __future__ import annotations

from datetime import timedelta

from transferhub.model.clock import Clock, utc_now
from transferhub.model.seat import Seat
from transferhub.state.sql.codec import to_text
from transferhub.state.sql.database import Database
from transferhub.state.sql.session import Session
from transferhub.state.values import from_micros, to_micros

_TAKE = (
    "INSERT INTO seats (name, holder, number, ends_at) VALUES (?, ?, 1, ?) "
    "ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, ends_at = excluded.ends_at, "
    "number = seats.number + CASE WHEN seats.holder = excluded.holder THEN 0 ELSE 1 END "
    "WHERE seats.holder = excluded.holder OR seats.ends_at <= ?"
)


class SqlSeats:
    """Seats in SQLite or PostgreSQL; each verb is one transaction."""

    def __init__(self, database: Database, clock: Clock = utc_now) -> None:
        self._database = database
        self._clock = clock

    async def take(self, name: str, holder: str, duration: timedelta) -> Seat | None:
        now = self._clock()
        values = to_text(name), to_text(holder), to_micros(now + duration), to_micros(now)

        def take(session: Session) -> Seat | None:
            if not session.execute(_TAKE, *values):
                return None
            [(number, until)] = session.fetch(
                "number, ends_at", "FROM seats WHERE name = ?", values[0]
            )
            return Seat(name=name, holder=holder, number=number, until=from_micros(until))

        return await self._database.write(take)

    async def aclose(self) -> None:
        await self._database.aclose()
