from datetime import UTC, datetime

import pytest

from tests.unit.control.hub_desk import ADMIN, OPERATOR, VIEWER
from transferhub.control.journal import Journal
from transferhub.control.workers import Workers
from transferhub.errors import AccessError, InputError
from transferhub.model.fleet import Member, MemberKind
from transferhub.state.memory import MemoryAudit, MemoryFleet

START = datetime(2026, 1, 2, tzinfo=UTC)


class Yard:
    """A fleet, and what is done to it."""

    def __init__(self) -> None:
        self.fleet = MemoryFleet(lambda: START)
        self.journal = Journal(MemoryAudit(), lambda: START)
        self.workers = Workers(self.fleet, self.journal)

    async def member(self, ident: str) -> None:
        member = Member(
            ident=ident,
            host="here",
            pid=1,
            version="1",
            kind=MemberKind.WORKER,
            started_at=START,
            seen_at=START,
        )
        await self.fleet.register(member)

    async def actions(self) -> list[tuple[str, str]]:
        return [(at.action, at.subject) for at in await self.journal.entries(ADMIN)]


@pytest.fixture
async def yard() -> Yard:
    yard = Yard()
    for ident in ("b", "a"):
        await yard.member(ident)
    return yard


async def test_a_viewer_sees_all_workers(yard: Yard) -> None:
    assert [member.ident for member in await yard.workers.all(VIEWER)] == ["a", "b"]


async def test_a_worker_that_drains_is_noted_once(yard: Yard) -> None:
    assert (await yard.workers.drain(ADMIN, "a")).draining
    assert (await yard.workers.drain(ADMIN, "a")).draining
    assert [member.draining for member in await yard.workers.all(VIEWER)] == [True, False]
    assert await yard.actions() == [("worker.drain", "a")]


async def test_only_an_administrator_drains_workers(yard: Yard) -> None:
    for caller in (VIEWER, OPERATOR):
        with pytest.raises(AccessError):
            await yard.workers.drain(caller, "a")
    assert not any(member.draining for member in await yard.workers.all(VIEWER))


async def test_a_worker_that_is_not_there_is_coded(yard: Yard) -> None:
    with pytest.raises(InputError, match="no worker") as caught:
        await yard.workers.drain(ADMIN, "c")
    assert (caught.value.field, caught.value.code) == ("worker", "no_worker")
    assert await yard.actions() == []
