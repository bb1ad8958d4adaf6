"""The suite of the Fleet port.

A subclass gives `fleets`, several instances over one empty state that use `clock`.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.conformance.ledger_facts import FakeClock
from tests.conformance.task_stores import CREATED
from transferhub.model.fleet import Load, Member, MemberKind
from transferhub.model.transfer import RunId
from transferhub.state.base import Fleet

LOAD = Load(
    runs=(RunId("a"), RunId("é\x00")), leases=3, objects_per_second=0.5, bytes_per_second=1e12
)


def member(ident: str, **changed: object) -> Member:
    plain = Member(
        ident=ident,
        host="höst",
        pid=1 << 40,
        version="1.2.3",
        kind=MemberKind.WORKER,
        started_at=CREATED,
        seen_at=CREATED,
    )
    return replace(plain, **changed)  # type: ignore[arg-type]


class FleetSuite:
    """Every test of the port."""

    @pytest.fixture
    def fleet(self, fleets: Sequence[Fleet]) -> Fleet:
        return fleets[0]

    async def test_members_come_by_their_ids(self, fleet: Fleet) -> None:
        server = member("b", kind=MemberKind.SERVER, draining=True, load=LOAD)
        for each in (server, member("c"), member("a"), member("B")):
            await fleet.register(each)
        assert [*await fleet.members()] == [member("B"), member("a"), server, member("c")]
        assert [*await fleet.members(after="B", limit=2)] == [member("a"), server]

    async def test_a_heartbeat_tells_what_is_carried(self, fleet: Fleet, clock: FakeClock) -> None:
        await fleet.register(member("a"))
        await fleet.register(member("b"))
        beaten = member("a", seen_at=clock.now, load=LOAD)
        assert await fleet.heartbeat("a", LOAD) == beaten
        assert [*await fleet.members()] == [beaten, member("b")]

    async def test_a_member_that_was_forgotten_registers_again(self, fleet: Fleet) -> None:
        assert await fleet.heartbeat("a", LOAD) is None
        assert [*await fleet.members()] == []
        await fleet.register(member("a", draining=True))
        await fleet.register(member("a", pid=2))
        assert [*await fleet.members()] == [member("a", pid=2)]

    async def test_a_member_learns_that_it_shall_drain(self, fleet: Fleet) -> None:
        await fleet.register(member("a"))
        assert await fleet.drain("a")
        assert not await fleet.drain("b")
        beaten = await fleet.heartbeat("a", LOAD)
        assert beaten is not None
        assert beaten.draining

    async def test_a_member_leaves(self, fleet: Fleet) -> None:
        await fleet.register(member("a"))
        for _ in range(2):
            await fleet.leave("a")
        assert [*await fleet.members()] == []

    async def test_the_dead_are_forgotten_once(
        self, fleets: Sequence[Fleet], clock: FakeClock
    ) -> None:
        for ident in "dab":
            await fleets[0].register(member(ident))
        await fleets[0].register(member("c", seen_at=clock.now))
        found = await asyncio.gather(*(fleet.forget(clock.now) for fleet in fleets))
        assert sorted(each.ident for members in found for each in members) == [*"abd"]
        assert [each.ident for each in await fleets[0].members()] == ["c"]
