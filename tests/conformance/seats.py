"""The suite of the Seats port.

A subclass gives `all_seats`, several instances over one empty state that use `clock`.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from tests.conformance.ledger_facts import FakeClock
from transferhub.model.seat import Seat
from transferhub.state.base import Seats

LEASE = timedelta(seconds=20)


class SeatsSuite:
    """Every test of the port."""

    @pytest.fixture
    def seats(self, all_seats: Sequence[Seats]) -> Seats:
        return all_seats[0]

    async def test_a_seat_is_held_by_one(self, seats: Seats, clock: FakeClock) -> None:
        first = Seat(name="s", holder="a", number=1, until=clock.after(20))
        assert await seats.take("s", "a", LEASE) == first
        assert await seats.take("s", "b", LEASE) is None
        other = Seat(name="other", holder="b", number=1, until=clock.after(20))
        assert await seats.take("other", "b", LEASE) == other

    async def test_its_holder_keeps_it_and_its_number(self, seats: Seats, clock: FakeClock) -> None:
        await seats.take("s", "a", LEASE)
        clock.advance(15)
        kept = Seat(name="s", holder="a", number=1, until=clock.after(20))
        assert await seats.take("s", "a", LEASE) == kept
        clock.advance(19)
        assert await seats.take("s", "b", LEASE) is None

    async def test_a_new_holder_has_a_greater_number(self, seats: Seats, clock: FakeClock) -> None:
        numbers = []
        for holder in ("a", "b", "b", "a"):
            seat = await seats.take("s", holder, LEASE)
            assert seat is not None
            numbers.append(seat.number)
            clock.advance(20)
        assert numbers == [1, 2, 2, 3]

    async def test_a_seat_is_given_up(self, seats: Seats) -> None:
        await seats.take("s", "a", LEASE)
        assert await seats.take("s", "b", timedelta()) is None
        await seats.take("s", "a", timedelta())
        taken = await seats.take("s", "b", LEASE)
        assert taken is not None
        assert (taken.holder, taken.number) == ("b", 2)

    async def test_one_of_many_takes_it(self, all_seats: Sequence[Seats], clock: FakeClock) -> None:
        for round_ in range(1, 6):
            taken = await asyncio.gather(
                *(seats.take("s", f"{round_}-{n}", LEASE) for n, seats in enumerate(all_seats))
            )
            assert [seat.number for seat in taken if seat] == [round_]
            clock.advance(20)
