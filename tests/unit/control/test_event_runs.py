"""When events start a run, and when that run gives way."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.unit.control.hub_desk import ADMIN, OPERATOR, HubDesk, draft
from transferhub.control.event_runs import (
    PATIENCE,
    RETRY_AFTER,
    SEAT_DURATION,
    EventRuns,
    gives_way,
    is_crowded,
    must_wait,
    since_listed,
)
from transferhub.control.scheduler import LatestRun
from transferhub.errors import MoveError
from transferhub.model.event import EventKind, ObjectEvent
from transferhub.model.pages import RunFilter
from transferhub.model.run import Run, RunState, Task, TaskId, Trigger
from transferhub.model.transfer import Difference, Transfer
from transferhub.state.memory import MemoryInbox, MemorySeats

SQS = {"kind": "sqs", "queue_url": "https://sqs.eu-west-1.amazonaws.com/111122223333/q"}
LEASE = timedelta(minutes=1)


class EventDesk(HubDesk):
    def __init__(self) -> None:
        super().__init__()
        self.inbox = MemoryInbox(lambda: self.now)
        self.seats = MemorySeats(lambda: self.now)
        self.event_runs = self.starter("server")

    def starter(self, holder: str) -> EventRuns:
        return EventRuns(
            self.store,
            self.inbox,
            self.ledger,
            self.seats,
            holder=holder,
            new_ident=lambda: f"event-{self.now:%H%M%S}",
            clock=lambda: self.now,
        )

    async def following(self, **given: object) -> Task:
        return await self.store.update_task(replace(await self.task(**given), events=SQS))

    async def tell(self, task: Task, *keys: str) -> None:
        events = [ObjectEvent("a", key, EventKind.CREATED) for key in keys or ("k",)]
        await self.inbox.put(task.ident, events)

    async def runs(self, task: Task) -> Sequence[Run]:
        return (await self.store.runs(RunFilter(task=task.ident))).items

    async def tick(self, seconds: float = 2) -> None:
        self.now += timedelta(seconds=seconds)
        assert await self.event_runs.tick()

    async def end(self, run: Run, state: RunState, **changes: object) -> Run:
        ended = replace(run, state=state, ended_at=self.now, **changes)  # type: ignore[arg-type]
        return await self.store.update_run(ended)


@pytest.fixture
def desk() -> EventDesk:
    return EventDesk()


async def test_events_start_one_run(desk: EventDesk) -> None:
    task, other = await desk.following(), await desk.following()
    await desk.tick()
    assert await desk.runs(task) == ()
    await desk.tell(task)
    for _ in range(3):
        await desk.tick()
    [run] = await desk.runs(task)
    assert (run.trigger, run.state, run.task_version) == (
        Trigger.EVENT,
        RunState.QUEUED,
        task.version,
    )
    assert await desk.runs(other) == ()


async def test_another_run_starts_once_the_former_one_ended(desk: EventDesk) -> None:
    task = await desk.following()
    await desk.tell(task)
    await desk.tick()
    [run] = await desk.runs(task)
    await desk.end(run, RunState.SUCCEEDED)
    await desk.tick()
    assert [at.state for at in await desk.runs(task)] == [RunState.QUEUED, RunState.SUCCEEDED]


async def test_events_wait_for_a_run_that_lists(desk: EventDesk) -> None:
    task = await desk.following()
    run = await desk.claimed(task)
    await desk.tell(task)
    await desk.tick()
    assert await desk.runs(task) == (run,)
    await desk.end(run, RunState.SUCCEEDED)
    await desk.tick()
    assert len(await desk.runs(task)) == 2
    assert await desk.inbox.count(task.ident) == 1


async def test_events_of_a_paused_task_wait(desk: EventDesk) -> None:
    task = await desk.following()
    await desk.tasks.pause(OPERATOR, task.ident)
    await desk.tell(task)
    await desk.tick()
    assert await desk.runs(task) == ()
    await desk.tasks.resume(OPERATOR, task.ident)
    await desk.tick()
    assert len(await desk.runs(task)) == 1


async def test_events_wait_for_the_window_of_the_task(desk: EventDesk) -> None:
    window = {"days": ["sat"], "from": "01:00", "to": "02:00"}
    task = await desk.following(schedule={"cron": "0 1 * * 6", "windows": [window]})
    await desk.tell(task)  # on a Friday
    await desk.tick()
    assert await desk.runs(task) == ()
    desk.now = desk.now.replace(day=3, hour=1, minute=30)
    await desk.tick()
    assert len(await desk.runs(task)) == 1


@pytest.mark.parametrize("state", [RunState.FAILED, RunState.CANCELLED])
async def test_a_run_that_did_not_end_well_is_not_followed_at_once(
    desk: EventDesk, state: RunState
) -> None:
    task = await desk.following()
    await desk.tell(task)
    await desk.tick()
    [run] = await desk.runs(task)
    await desk.end(run, state)
    await desk.tick(RETRY_AFTER.total_seconds() - 1)
    assert len(await desk.runs(task)) == 1
    await desk.tick()
    assert [at.state for at in await desk.runs(task)] == [RunState.QUEUED, state]


async def test_a_run_that_left_something_under_way_goes_on(desk: EventDesk) -> None:
    task = await desk.following()
    await desk.tell(task)
    await desk.tick()
    [run] = await desk.runs(task)
    await desk.ledger.record(run.ident, [Transfer("k", Difference.NEW)])
    await desk.end(run, RunState.FAILED)
    await desk.tick(61)
    [again] = await desk.runs(task)
    assert (again.ident, again.state, again.ended_at) == (run.ident, RunState.QUEUED, None)


async def test_events_of_what_is_no_task_any_more_are_forgotten(desk: EventDesk) -> None:
    await desk.inbox.put(TaskId("gone"), [ObjectEvent("a", "k", EventKind.CREATED)])
    await desk.tick()
    assert await desk.inbox.lag() == {}


async def test_one_of_many_servers_starts_runs_and_another_takes_over(desk: EventDesk) -> None:
    task, other = await desk.following(), desk.starter("other")
    assert await desk.event_runs.tick()
    assert not await other.tick()
    await desk.tell(task)
    desk.now += SEAT_DURATION
    assert await other.tick()
    assert len(await desk.runs(task)) == 1
    assert not await desk.event_runs.tick()


async def test_a_stopped_starter_gives_its_seat_up(desk: EventDesk) -> None:
    stop = asyncio.Event()
    stop.set()
    assert await desk.event_runs.tick()
    await desk.event_runs.run(stop)
    assert await desk.starter("other").tick()


# Side by side


async def event_run(desk: EventDesk, task: Task) -> Run:
    await desk.tell(task)
    await desk.tick()
    run = await desk.store.claim_run("keeper", LEASE)
    assert run is not None
    assert run.trigger is Trigger.EVENT
    return run


async def test_a_run_of_events_gives_way_to_one_that_lists(desk: EventDesk) -> None:
    task = await desk.following()
    run = await event_run(desk, task)
    assert not await gives_way(desk.store, run)
    lists = await desk.orders.start(OPERATOR, task.ident)
    assert await gives_way(desk.store, run)
    assert await must_wait(desk.store, lists, desk.now)
    await desk.end(run, RunState.SUCCEEDED)
    assert not await must_wait(desk.store, lists, desk.now)


async def test_nobody_waits_for_a_run_of_events_whose_keeper_died(desk: EventDesk) -> None:
    task = await desk.following()
    await event_run(desk, task)
    lists = await desk.orders.start(OPERATOR, task.ident)
    assert not await must_wait(desk.store, lists, desk.now + LEASE)


async def test_of_two_runs_of_events_the_later_one_gives_way(desk: EventDesk) -> None:
    task = await desk.following()
    run = await event_run(desk, task)
    later = await desk.store.create_run(
        replace(run, ident=type(run.ident)("z"), created_at=run.created_at + LEASE)
    )
    assert await gives_way(desk.store, later)
    assert not await gives_way(desk.store, run)


async def test_runs_that_find_no_room_are_seen(desk: EventDesk) -> None:
    task = await desk.following()
    await event_run(desk, task)
    assert not await is_crowded(desk.store, desk.now + LEASE)
    await desk.orders.start(OPERATOR, (await desk.task()).ident)
    assert not await is_crowded(desk.store, desk.now)
    assert await is_crowded(desk.store, desk.now + PATIENCE)
    await desk.store.claim_run("keeper", LEASE)
    assert not await is_crowded(desk.store, desk.now + PATIENCE)


@pytest.mark.parametrize("what", ["pause", "update", "silence", "delete"])
async def test_a_run_of_events_ends_when_its_task_changed(desk: EventDesk, what: str) -> None:
    task = await desk.following()
    run = await event_run(desk, task)
    match what:
        case "pause":
            await desk.tasks.pause(OPERATOR, task.ident)
        case "update":
            await desk.tasks.set_limits(OPERATOR, task.ident, {})
        case "silence":
            await desk.store.update_task(replace(task, events={}))
        case "delete":
            await desk.store.delete_task(task.ident, with_runs=False)
    assert await gives_way(desk.store, run)


async def test_schedules_and_people_are_not_held_up_by_a_run_of_events(desk: EventDesk) -> None:
    task = await desk.following(schedule={"cron": "0 * * * *"})
    await event_run(desk, task)
    assert await desk.scheduled.latest(task.ident) == LatestRun(under_way=False)
    await desk.scheduled.start(task.ident, desk.now)
    assert await desk.scheduled.latest(task.ident) == LatestRun(under_way=True)
    with pytest.raises(MoveError):
        await desk.orders.start(OPERATOR, task.ident)


async def test_a_task_is_not_deleted_under_a_run_of_events(desk: EventDesk) -> None:
    task = await desk.following()
    await event_run(desk, task)
    with pytest.raises(MoveError):
        await desk.tasks.delete(ADMIN, task.ident, purge=False)


async def test_an_update_keeps_where_a_task_hears_of_changes_and_a_clone_hears_of_none(
    desk: EventDesk,
) -> None:
    task = await desk.following()
    updated = await desk.tasks.update(OPERATOR, task.ident, draft(name="Other"))
    assert updated.events == SQS
    assert (await desk.tasks.clone(OPERATOR, task.ident, "Copy")).events == {}


async def test_deletes_are_counted_since_a_run_listed_to_its_end(desk: EventDesk) -> None:
    task = await desk.following()
    states = RunState
    for trigger, state, summary in (
        (Trigger.EVENT, states.SUCCEEDED, {"deleted": 100}),
        (Trigger.SCHEDULE, states.SUCCEEDED, {"scanned_destination": 50, "deleted": 7}),
        (Trigger.EVENT, states.SUCCEEDED, {"deleted": 2}),
        (Trigger.PERSON, states.FAILED, {"scanned_destination": 1}),
        (Trigger.EVENT, states.FAILED, {"deleted": 1}),
    ):
        desk.now += LEASE
        run = await desk.claimed(task)
        await desk.store.update_run(replace(run, trigger=trigger, state=state, summary=summary))
    desk.now += LEASE
    own = await event_run(desk, task)
    assert await since_listed(desk.store, own) == {"seen": 50, "deleted": 3}
    other = await event_run(desk, await desk.following())
    assert await since_listed(desk.store, other) == {"seen": 0, "deleted": 0}
