"""`Occupant`: takes a named seat for one holder, and keeps it."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta

from transferhub.errors import LeaseLostError, StateError
from transferhub.model.clock import Clock
from transferhub.state.base import Seats


class Occupant:
    """Attributes:
    number: of the seat when it was taken last, which tells one's own time from another one's.
    """

    def __init__(
        self,
        seats: Seats,
        name: str,
        holder: str,
        *,
        duration: timedelta,
        renew_after: timedelta,
        clock: Clock,
    ) -> None:
        """Args:
        duration: how long the seat stays with a holder that is silent.
        renew_after: less than that; `stay` asks the seats no more often.
        """
        self.number: int | None = None
        self._seats = seats
        self._name = name
        self._holder = holder
        self._duration = duration
        self._renew_after = renew_after
        self._clock = clock
        self._taken_at: datetime | None = None

    @property
    def is_seated(self) -> bool:
        return self._within(self._duration)

    async def sit(self) -> None:
        """Takes or renews the seat now.

        Raises:
            LeaseLostError: another one has it.
            StateError
        """
        now, self._taken_at = self._clock(), None
        seat = await self._seats.take(self._name, self._holder, self._duration)
        if seat is None:
            raise LeaseLostError(f"The seat {self._name} is another one's.")
        self.number, self._taken_at = seat.number, now

    async def stay(self) -> None:
        """As `sit`, where that is a while ago, or the clock went back since."""
        if not self._within(self._renew_after):
            await self.sit()

    async def leave(self) -> None:
        """Lets another one sit at once."""
        self._taken_at = None
        with suppress(StateError):  # the seat runs out by itself
            await self._seats.take(self._name, self._holder, timedelta())

    def _within(self, duration: timedelta) -> bool:
        return (
            self._taken_at is not None and timedelta() <= self._clock() - self._taken_at < duration
        )
