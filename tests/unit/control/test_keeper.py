"""What a keeper does with queued runs, dead processes and lost machines."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial

import pytest

from tests.unit.control.hub_desk import OPERATOR, START, HubDesk
from transferhub.control.keeper import Keeper, KeeperRules, Leave, Rates, Share, worker_ids
from transferhub.errors import StateError
from transferhub.model.fleet import Load, Member, MemberKind
from transferhub.model.run import Run, RunState
from transferhub.model.transfer import Difference, RunId, Transfer
from transferhub.state.memory import MemoryFleet

LATER = timedelta(seconds=21)


class Carriage:
    """A process that ends when the test says so, or when it is asked to leave."""

    described = "process 7, exit -9"

    def __init__(self, run: Run, *, joins: bool) -> None:
        self.run = run
        self.joins = joins
        self.rates = Rates(objects_per_second=2.5, bytes_per_second=1_000)
        self.heard: list[Share | Leave] = []
        self.killed = False
        self._end: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def tell(self, message: Share | Leave) -> None:
        self.heard.append(message)

    async def ended(self) -> bool:
        return await self._end

    def end(self, *, well: bool = True) -> None:
        if not self._end.done():
            self._end.set_result(well)

    def kill(self) -> None:
        self.killed = True
        self.end(well=False)


def member(name: str) -> Member:
    return Member(
        ident=name,
        host=name,
        pid=1,
        version="1",
        kind=MemberKind.WORKER,
        started_at=START,
        seen_at=START,
    )


class Machine:
    """A keeper and the processes that it started."""

    def __init__(self, desk: HubDesk, fleet: MemoryFleet, name: str, slots: int = 2) -> None:
        self.started: list[Carriage] = []
        self.lost: list[str] = []
        self.leave = asyncio.Event()
        self.keeper = Keeper(
            desk.store,
            desk.ledger,
            fleet,
            self,
            member(name),
            rules=KeeperRules(slots=slots, join_from=2, grace=timedelta(0)),
            lost=self.hear,
            clock=lambda: desk.now,
            wait=self.pause,
        )

    async def pause(self, stop: asyncio.Event, _: timedelta) -> None:
        await asyncio.sleep(0)

    async def hear(self, member: Member) -> None:
        self.lost.append(member.ident)

    def start(self, run: Run, share: Share, *, joins: bool) -> Carriage:
        carriage = Carriage(run, joins=joins)
        self.started.append(carriage)
        return carriage

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator["Machine"]:
        task = asyncio.ensure_future(self.keeper.run(self.leave))
        try:
            yield self
        finally:
            self.leave.set()
            await asyncio.wait_for(task, 10)


def is_start(machine: Machine, count: int) -> bool:
    return len(machine.started) == count


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - the keeper tells nobody of its turns
            await asyncio.sleep(0)


async def turns(count: int = 40) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def queued(desk: HubDesk, name: str = "Photos") -> Run:
    task = await desk.task(name=name)
    return await desk.orders.start(OPERATOR, task.ident)


async def test_no_more_runs_are_taken_than_there_are_slots() -> None:
    desk = HubDesk()
    runs = [await queued(desk, str(n)) for n in range(3)]
    async with Machine(desk, MemoryFleet(), "one").at_work() as machine:
        await until(lambda: len(machine.started) == 2)
        await turns()
        assert [carriage.run.ident for carriage in machine.started] == [r.ident for r in runs[:2]]
        machine.started[0].end()
        await until(lambda: len(machine.started) == 3)


async def test_the_fleet_sees_what_a_member_carries() -> None:
    desk, fleet = HubDesk(), MemoryFleet()
    run = await queued(desk)
    async with Machine(desk, fleet, "one").at_work() as machine:
        await until(lambda: bool(machine.started))
        await turns()
        (seen,) = await fleet.members()
        assert seen.load == Load(runs=(run.ident,), objects_per_second=2.5, bytes_per_second=1_000)
    assert await fleet.members() == []


async def test_what_a_dead_process_held_is_taken_back_at_once() -> None:
    desk = HubDesk()
    run = await queued(desk)
    async with Machine(desk, MemoryFleet(), "one").at_work() as machine:
        await until(lambda: bool(machine.started))
        await hold(desk, run.ident, "one")
        machine.started[0].end(well=False)
        await turns()
        assert await free(desk, run.ident) == 1
        assert len(machine.started) == 1  # the lease of the run has not run out
        desk.now += LATER
        await until(lambda: len(machine.started) == 2)
        assert machine.started[1].run.ident == run.ident


async def test_a_run_whose_process_always_dies_is_given_up() -> None:
    desk = HubDesk()
    run = await queued(desk)
    async with Machine(desk, MemoryFleet(), "one").at_work() as machine:
        for count in range(1, 4):
            await until(partial(is_start, machine, count))
            machine.started[-1].end(well=False)
            await turns()
            desk.now += LATER
        await turns()
        assert len(machine.started) == 3
    given_up = await desk.orders.get(OPERATOR, run.ident)
    assert (given_up.state, given_up.error_code) == (RunState.FAILED, "crashed")
    assert "exit -9" in given_up.error


async def test_a_member_that_leaves_asks_its_processes_to_and_kills_those_that_stay() -> None:
    desk = HubDesk()
    await queued(desk)
    async with Machine(desk, MemoryFleet(), "one").at_work() as machine:
        await until(lambda: bool(machine.started))
    assert machine.started[0].heard[-1] == Leave()
    assert machine.started[0].killed


async def test_a_member_that_drains_ends_what_it_carries_and_takes_nothing_new() -> None:
    desk, fleet = HubDesk(), MemoryFleet()
    await queued(desk)
    machine = Machine(desk, fleet, "one")
    task = asyncio.ensure_future(machine.keeper.run(machine.leave))
    await until(lambda: bool(machine.started))
    assert await fleet.drain("one")
    await turns()
    await queued(desk, "another")
    await turns()
    assert len(machine.started) == 1
    assert not task.done()
    machine.started[0].end()
    await asyncio.wait_for(task, 10)
    assert Leave() not in machine.started[0].heard


async def test_a_member_that_was_forgotten_registers_again() -> None:
    desk, fleet = HubDesk(), MemoryFleet(lambda: START)
    async with Machine(desk, fleet, "one").at_work():
        await turns()
        await fleet.leave("one")
        await turns()
        assert [seen.ident for seen in await fleet.members()] == ["one"]


async def test_what_a_lost_member_held_is_taken_back_and_it_is_told() -> None:
    desk = HubDesk()
    fleet = MemoryFleet(lambda: desk.now)
    run = await queued(desk)
    await desk.store.claim_run("gone", timedelta(seconds=20))
    await fleet.register(member("gone"))
    await fleet.heartbeat("gone", Load(runs=(run.ident,)))
    await hold(desk, run.ident, "gone")
    desk.now += timedelta(seconds=31)
    one, two = Machine(desk, fleet, "one", slots=0), Machine(desk, fleet, "two", slots=0)
    async with one.at_work(), two.at_work():
        await turns()
    assert one.lost + two.lost == ["gone"]
    assert await free(desk, run.ident) == 1


async def test_a_lost_member_is_forgotten_only_once_it_was_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk = HubDesk()
    fleet = MemoryFleet(lambda: desk.now)
    await fleet.register(member("gone"))
    desk.now += timedelta(seconds=31)
    one, failures = Machine(desk, fleet, "one", slots=0), [StateError("away")]
    real = fleet.forget

    async def forget(before: datetime) -> Sequence[Member]:
        if failures:
            raise failures.pop()
        return await real(before)

    monkeypatch.setattr(fleet, "forget", forget)
    async with one.at_work():
        await turns()
    assert one.lost == ["gone", "gone"]
    assert [seen.ident for seen in await fleet.members()] == []


async def test_a_large_run_of_another_machine_is_joined_after_the_fleet_heard_of_it() -> None:
    desk, fleet = HubDesk(), MemoryFleet()
    run = await queued(desk)
    await desk.ledger.record(run.ident, [Transfer(f"{n}", Difference.NEW, 1) for n in range(2)])
    one, two = Machine(desk, fleet, "one", slots=1), Machine(desk, fleet, "two", slots=1)
    async with one.at_work():
        await until(lambda: bool(one.started))
        async with two.at_work():
            await until(lambda: bool(two.started))
            assert two.started[0].joins
            assert Share(of_run=2, of_host=1) in one.started[0].heard
            another = await queued(desk, "another")
            await until(lambda: Leave() in two.started[0].heard)  # it makes room
            two.started[0].end()
            await until(lambda: len(two.started) == 2)
            assert two.started[1].run.ident == another.ident


async def test_a_state_that_is_away_stops_nothing() -> None:
    desk, fleet = HubDesk(), AwayFleet()
    run = await queued(desk)
    async with Machine(desk, fleet, "one").at_work() as machine:
        await until(lambda: bool(machine.started))
        fleet.away = True
        await turns()
        fleet.away = False
        await turns()
        assert machine.keeper.carries == (run.ident,)


class AwayFleet(MemoryFleet):
    away = False

    async def heartbeat(self, ident: str, load: Load) -> Member | None:
        if self.away:
            raise StateError("The database is away.")
        return await super().heartbeat(ident, load)


async def hold(desk: HubDesk, run: RunId, holder: str) -> None:
    """A worker of this holder leases one transfer."""
    await desk.ledger.record(run, [Transfer("key", Difference.NEW, 1)])
    worker = worker_ids(run, holder)[3]
    duration = timedelta(hours=1)
    leases = await desk.ledger.lease(run, worker, limit=1, max_bytes=10, duration=duration)
    assert len(leases) == 1


async def free(desk: HubDesk, run: RunId) -> int:
    """How much can be leased now."""
    (worker,) = worker_ids(run, "somebody", 1)
    return len(
        await desk.ledger.lease(run, worker, limit=10, max_bytes=100, duration=timedelta(seconds=1))
    )
