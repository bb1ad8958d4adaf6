"""What is counted of a hub, over state in memory."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.conformance.ledger_facts import FakeClock
from transferhub.control.census import FRESH, Amount, CensusTaker, Meter
from transferhub.engine.progress import Summary
from transferhub.engine.report import document
from transferhub.errors import StateError
from transferhub.model.census import MOST_TASKS
from transferhub.model.event import EventKind, ObjectEvent
from transferhub.model.fleet import Load, Member, MemberKind
from transferhub.model.history import Sample
from transferhub.model.pages import ALL_RUNS, Page, RunFilter
from transferhub.model.run import Run, RunState, Task, TaskId, TaskState
from transferhub.model.transfer import (
    Difference,
    Failure,
    Lease,
    Outcome,
    RunId,
    Transfer,
    TransferState,
    WorkerId,
)
from transferhub.state.memory import (
    MemoryFleet,
    MemoryInbox,
    MemoryLedger,
    MemorySamples,
    MemoryTaskStore,
)

WORKER = WorkerId("w")
LEASE = timedelta(hours=1)


@dataclass
class Hub:
    """A hub to count."""

    clock: FakeClock
    tasks: MemoryTaskStore = field(init=False)
    ledger: MemoryLedger = field(init=False)
    fleet: MemoryFleet = field(init=False)
    inbox: MemoryInbox = field(init=False)
    samples: MemorySamples = field(default_factory=MemorySamples)

    def __post_init__(self) -> None:
        self.tasks = MemoryTaskStore(self.clock)
        self.ledger = MemoryLedger(self.clock)
        self.fleet = MemoryFleet(self.clock)
        self.inbox = MemoryInbox(self.clock)

    def taker(self) -> CensusTaker:
        return CensusTaker(
            self.tasks, self.ledger, self.fleet, self.inbox, self.samples, clock=self.clock
        )

    async def task(self, ident: str, state: TaskState = TaskState.ACTIVE) -> None:
        now = self.clock()
        await self.tasks.create_task(
            Task(
                ident=TaskId(ident),
                name=ident,
                kind="objects",
                spec={},
                fingerprint=ident,
                created_at=now,
                updated_at=now,
                state=state,
            )
        )

    async def run(
        self, ident: str, state: RunState = RunState.RUNNING, *, of: str = "task", objects: int = 0
    ) -> Run:
        run = Run(
            ident=RunId(ident),
            task=TaskId(of),
            task_version=1,
            state=state,
            created_at=self.clock(),
        )
        transfers = [Transfer(f"{n}", Difference.NEW, size=10) for n in range(objects)]
        await self.ledger.record(run.ident, transfers)
        return await self.tasks.create_run(run)

    async def copy(self, run: Run, count: int) -> None:
        outcomes = [
            Outcome(lease, TransferState.DONE, moved_bytes=10)
            for lease in await self.lease(run, count)
        ]
        await self.ledger.complete(outcomes)

    async def bury(self, run: Run, count: int) -> None:
        await self.ledger.fail(
            [Failure(lease, "denied", "no", None) for lease in await self.lease(run, count)]
        )

    async def lease(self, run: Run, count: int) -> list[Lease]:
        return [
            *await self.ledger.lease(
                run.ident, WORKER, limit=count, max_bytes=1 << 40, duration=LEASE
            )
        ]

    async def end(self, run: Run, state: RunState = RunState.SUCCEEDED) -> Run:
        totals = await self.ledger.totals(run.ident)
        summary = document(Summary.of(run.ident, state, totals, seconds=1))
        run = await self.tasks.get_run(run.ident) or run
        return await self.tasks.update_run(
            replace(run, state=state, ended_at=self.clock(), summary=summary)
        )

    def later(self, seconds: float = 60) -> None:
        self.clock.advance(seconds)


@pytest.fixture
def hub() -> Hub:
    return Hub(FakeClock())


async def test_an_empty_hub_has_nothing(hub: Hub) -> None:
    census = await hub.taker().take()
    assert (census.queued, census.running, census.queued_since) == (0, 0, None)
    assert census.tasks == {TaskState.ACTIVE: 0, TaskState.PAUSED: 0}
    assert census.members == {MemberKind.SERVER: 0, MemberKind.WORKER: 0}
    assert (census.work.open, census.busiest, census.tally.ended) == (0, {}, {})


async def test_what_there_is_is_counted(hub: Hub) -> None:
    await hub.task("a")
    await hub.task("b", TaskState.PAUSED)
    await hub.run("old", RunState.FAILED)
    oldest = hub.clock.now
    await hub.run("q1", RunState.QUEUED, of="a")
    hub.later()
    await hub.run("q2", RunState.QUEUED, of="b", objects=3)
    run = await hub.run("r", of="a", objects=5)
    await hub.bury(run, 1)
    await hub.copy(run, 1)
    await hub.fleet.register(member("w1", Load(leases=7)))
    await hub.fleet.register(replace(member("w2", Load(leases=2)), draining=True))
    await hub.inbox.put(TaskId("a"), [ObjectEvent("bucket", "k", EventKind.CREATED)])
    since = hub.clock.now
    hub.later(3)
    census = await hub.taker().take()
    assert census.tasks == {TaskState.ACTIVE: 1, TaskState.PAUSED: 1}
    assert (census.queued, census.running, census.queued_since) == (2, 1, oldest)
    assert (census.work.open, census.work.failures) == (6, 1)
    assert {task: work.open for task, work in census.busiest.items()} == {"a": 3, "b": 3}
    assert (census.members[MemberKind.WORKER], census.draining, census.leases) == (2, 1, 9)
    assert (census.event_tasks, census.events_since) == (1, since)


async def test_rates_are_of_runs_that_were_sampled_lately(hub: Hub) -> None:
    fast, slow = await hub.run("fast"), await hub.run("slow", of="b")
    await hub.run("silent", of="c")
    for run, rate in ((fast, 8.0), (slow, 2.0)):
        await hub.samples.add(run.ident, run.task, sampled(hub.clock.now, rate))
    hub.later(20)
    await hub.samples.add(fast.ident, fast.task, sampled(hub.clock.now, 5.0))
    taker = hub.taker()
    census = await taker.take()
    assert census.work.bytes_per_second == 7
    assert census.busiest[TaskId("b")].objects_per_second == 1
    hub.later(15)
    assert (await taker.take()).work.bytes_per_second == 5


async def test_only_the_busiest_tasks_are_told_one_by_one(hub: Hub) -> None:
    for number in range(MOST_TASKS + 5):
        await hub.run(f"r{number}", of=f"t{number}", objects=number)
    census = await hub.taker().take()
    assert len(census.busiest) == MOST_TASKS
    assert min(work.open for work in census.busiest.values()) == 5
    assert census.work.open == sum(range(MOST_TASKS + 5))


async def test_a_census_is_given_again_for_a_while(hub: Hub) -> None:
    taker = hub.taker()
    await taker.take()
    await hub.run("r")
    hub.later(FRESH.total_seconds() - 1)
    assert (await taker.take()).running == 0
    hub.later(1)
    assert (await taker.take()).running == 1


async def test_a_clock_that_jumps_back_gives_a_new_census(hub: Hub) -> None:
    taker = hub.taker()
    await taker.take()
    await hub.run("r")
    hub.clock.advance(-3_600)
    assert (await taker.take()).running == 1


async def test_what_runs_did_is_counted_from_the_start_on(hub: Hub) -> None:
    before = await hub.run("before", objects=9)
    await hub.copy(before, 4)
    await hub.bury(before, 1)
    hub.later()
    taker = hub.taker()
    assert (await taker.take()).tally.objects == 0
    hub.later()
    fresh = await hub.run("fresh", objects=9)
    await hub.copy(before, 2)
    await hub.copy(fresh, 3)
    await hub.bury(fresh, 2)
    tally = (await taker.take()).tally
    assert (tally.objects, tally.bytes, tally.failures, tally.ended) == (5, 50, 2, {})


async def test_a_run_that_ends_is_counted_once_and_whole(hub: Hub) -> None:
    taker = hub.taker()
    run = await hub.run("r", objects=9)
    await hub.copy(run, 2)
    await taker.take()
    await hub.copy(run, 5)
    hub.later()
    await hub.end(run, RunState.CANCELLED)
    for _ in range(3):
        hub.later()
        tally = (await taker.take()).tally
        assert (tally.objects, tally.bytes) == (7, 70)
        assert tally.ended == {RunState.CANCELLED: 1}


async def test_an_end_of_before_is_none_of_ours(hub: Hub) -> None:
    run = await hub.run("r", objects=3)
    await hub.copy(run, 3)
    await hub.end(run)
    hub.later(1)
    taker = hub.taker()
    tally = (await taker.take()).tally
    assert (tally.objects, tally.ended) == (0, {})


def test_a_run_that_has_ended_is_not_asked_for_again() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    run = Run(
        ident=RunId("r"),
        task=TaskId("t"),
        task_version=1,
        state=RunState.RUNNING,
        created_at=now,
    )
    meter = Meter(now)
    meter.see(run, Amount(objects=1))
    assert meter.under_way == {"r"}
    meter.end(replace(run, state=RunState.SUCCEEDED, ended_at=now), Amount(objects=2))
    assert meter.under_way == set()
    assert meter.tally.objects == 2


async def test_a_run_between_two_looks_is_counted(hub: Hub) -> None:
    taker = hub.taker()
    await taker.take()
    hub.later()
    run = await hub.run("r", objects=3)
    await hub.copy(run, 3)
    await hub.end(run)
    hub.later()
    tally = (await taker.take()).tally
    assert (tally.objects, tally.ended) == (3, {RunState.SUCCEEDED: 1})


async def test_a_run_that_is_tried_again_adds_what_it_did_more(hub: Hub) -> None:
    taker = hub.taker()
    run = await hub.run("r", objects=3)
    await hub.copy(run, 2)
    await hub.bury(run, 1)
    run = await hub.end(run, RunState.COMPLETED_WITH_FAILURES)
    await taker.take()
    hub.later()
    run = await hub.tasks.update_run(replace(run, state=RunState.RUNNING, ended_at=None))
    await hub.ledger.redrive(run.ident)
    await taker.take()
    hub.later()
    await hub.copy(run, 1)
    await hub.end(run)
    hub.later()
    tally = (await taker.take()).tally
    assert (tally.objects, tally.failures) == (3, 1)
    assert tally.ended == {RunState.COMPLETED_WITH_FAILURES: 1, RunState.SUCCEEDED: 1}


async def test_a_run_that_was_deleted_is_passed_over(hub: Hub) -> None:
    taker = hub.taker()
    await hub.task("task")
    await hub.run("r", objects=3)
    await taker.take()
    await hub.tasks.delete_task(TaskId("task"), with_runs=True)
    hub.later()
    assert (await taker.take()).tally.ended == {}


async def test_a_state_that_is_away_is_said_and_asked_again(hub: Hub) -> None:
    class Away(MemoryTaskStore):
        is_away = True

        async def runs(
            self, chosen: RunFilter = ALL_RUNS, *, after: str = "", limit: int = 100
        ) -> Page[Run]:
            if self.is_away:
                raise StateError("The state cannot be reached.")
            return await super().runs(chosen, after=after, limit=limit)

    hub.tasks = away = Away(hub.clock)
    taker = hub.taker()
    with pytest.raises(StateError):
        await taker.take()
    away.is_away = False
    assert (await taker.take()).running == 0


def member(ident: str, load: Load) -> Member:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return Member(
        ident=ident,
        host="h",
        pid=1,
        version="1",
        kind=MemberKind.WORKER,
        started_at=now,
        seen_at=now,
        load=load,
    )


def sampled(at: datetime, rate: float) -> Sample:
    return Sample(
        at=at,
        phase="copying",
        listing=False,
        bytes=0,
        objects=0,
        failures=0,
        deleted=0,
        open=0,
        workers=1,
        bytes_per_second=rate,
        objects_per_second=rate / 2,
    )
