"""`AwsSeats`."""

from __future__ import annotations

from datetime import timedelta

from transferhub.aws.attributes import Item
from transferhub.aws.table import ABSENT
from transferhub.model.clock import Clock, utc_now
from transferhub.model.seat import Seat
from transferhub.state.aws.connection import Connection
from transferhub.state.aws.shelf import Shelf, equal
from transferhub.state.values import to_micros


class AwsSeats:
    """Seats in DynamoDB: an item for each.

    To take or keep one reads a unit and writes one, and to find it held only reads one. Whoever
    writes names the holder and the end that were read, so that of many takers one gets it.
    """

    def __init__(self, connection: Connection, clock: Clock = utc_now) -> None:
        self._connection = connection
        self._clock = clock
        self._seats = Shelf(connection, "seat")

    async def take(self, name: str, holder: str, duration: timedelta) -> Seat | None:
        while True:
            now = self._clock()
            held = await self._seats.get(name)
            if held and held["holder"] != holder and held["ends_at"] > to_micros(now):
                return None
            until = now + duration
            taken = await self._write(name, held, holder, to_micros(until))
            if taken is not None:
                return Seat(name=name, holder=holder, number=taken, until=until)

    async def aclose(self) -> None:
        await self._connection.aclose()

    async def _write(self, name: str, held: Item | None, holder: str, until: int) -> int | None:
        """The seat's number; None where another one was quicker."""
        if held is None:
            first = {"holder": holder, "number": 1, "ends_at": until}
            return 1 if await self._seats.put(name, first, ABSENT) else None
        number: int = held["number"] + (held["holder"] != holder)
        written = {"holder": holder, "number": number, "ends_at": until}
        as_read = equal({name: held[name] for name in written})
        return number if await self._seats.put(name, written, as_read) else None
