"""`MemorySeats`."""

from __future__ import annotations

from datetime import timedelta

from transferhub.model.clock import Clock, utc_now
from transferhub.model.seat import Seat


class MemorySeats:
    """Complete Seats that are kept in memory."""

    def __init__(self, clock: Clock = utc_now) -> None:
        self._clock = clock
        self._seats: dict[str, Seat] = {}

    async def take(self, name: str, holder: str, duration: timedelta) -> Seat | None:
        now, held = self._clock(), self._seats.get(name)
        if held is not None and held.holder != holder and held.until > now:
            return None
        number = 1 if held is None else held.number + (held.holder != holder)
        seat = Seat(name=name, holder=holder, number=number, until=now + duration)
        self._seats[name] = seat
        return seat

    async def aclose(self) -> None:
        return
