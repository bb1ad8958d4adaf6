from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.unit.control.hub_desk import ADMIN, HOURLY, OPERATOR, START, VIEWER, HubDesk
from transferhub.control.scheduler import Scheduler
from transferhub.errors import AccessError, InputError, MoveError
from transferhub.model.people import Caller
from transferhub.model.run import RunOrder, RunState, Trigger
from transferhub.model.transfer import Action, RunId, TransferState
from transferhub.state.memory.seats import MemorySeats

FOUR = datetime(2026, 1, 2, 4, tzinfo=UTC)


@pytest.fixture
def desk() -> HubDesk:
    return HubDesk()


async def test_a_run_waits_for_a_keeper_and_uses_the_task_as_it_is(desk: HubDesk) -> None:
    task = await desk.task()
    run = await desk.orders.start(OPERATOR, task.ident)
    assert (run.state, run.trigger, run.task_version) == (RunState.QUEUED, Trigger.PERSON, 1)
    assert (await desk.orders.page(VIEWER)).items == (run,)
    entry, *_ = await desk.audit()
    assert (entry.action, entry.subject, entry.who) == ("run.start", run.ident, "the operator")


async def test_a_task_has_one_run_at_a_time(desk: HubDesk) -> None:
    task = await desk.task()
    run = await desk.orders.start(OPERATOR, task.ident)
    with pytest.raises(MoveError, match=f"Run {run.ident} of task {task.ident} is queued"):
        await desk.orders.start(OPERATOR, task.ident)


async def test_a_run_that_waits_is_cancelled_at_once(desk: HubDesk) -> None:
    run = await desk.orders.start(OPERATOR, (await desk.task()).ident)
    stopped = await desk.orders.stop(OPERATOR, run.ident)
    assert (stopped.state, stopped.ended_at) == (RunState.CANCELLED, START)
    assert await desk.store.claim_run("keeper", timedelta(minutes=1)) is None


@pytest.mark.parametrize(("abandon", "order"), [(False, RunOrder.STOP), (True, RunOrder.ABANDON)])
async def test_a_keeper_hears_that_its_run_shall_stop(
    desk: HubDesk, abandon: bool, order: RunOrder
) -> None:
    run = await desk.claimed(await desk.task())
    await desk.orders.stop(OPERATOR, run.ident, abandon=abandon)
    assert (await desk.store.keep_run(run, timedelta(minutes=1))).order is order


@pytest.mark.parametrize("state", [RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED])
async def test_a_run_that_has_ended_cannot_be_stopped(desk: HubDesk, state: RunState) -> None:
    run = await desk.ended(await desk.task(), state)
    with pytest.raises(MoveError, match=f"has ended: it is {state}"):
        await desk.orders.stop(OPERATOR, run.ident)


async def test_a_run_of_a_command_is_stopped_there(desk: HubDesk) -> None:
    run = await desk.orders.start(OPERATOR, (await desk.task()).ident)
    await desk.store.update_run(replace(run, state=RunState.RUNNING))
    with pytest.raises(MoveError, match="carried by a dth command"):
        await desk.orders.stop(OPERATOR, run.ident)


async def test_chosen_dead_letters_are_tried_again(desk: HubDesk) -> None:
    run = await desk.ended(await desk.task(), RunState.COMPLETED_WITH_FAILURES)
    await desk.dead_letters(run.ident, "a/1", "a/2", "b/1")
    groups = await desk.orders.failure_groups(VIEWER, run.ident)
    assert [(group.code, group.count) for group in groups] == [("denied", 3)]
    count, again = await desk.orders.retry(OPERATOR, run.ident, key="a/*")
    assert (count, again.state, again.ended_at) == (2, RunState.QUEUED, None)
    totals = await desk.orders.totals(VIEWER, run.ident)
    assert totals.tally(Action.COPY, TransferState.WAITING).count == 2
    claimed = await desk.store.claim_run("keeper", timedelta(minutes=1))
    assert claimed is not None
    assert claimed.ident == run.ident


async def test_a_selection_of_keys_is_retried_and_named_in_the_audit_log(desk: HubDesk) -> None:
    run = await desk.ended(await desk.task(), RunState.COMPLETED_WITH_FAILURES)
    await desk.dead_letters(run.ident, *(f"k{number:02}" for number in range(30)))
    chosen = [f"k{number:02}" for number in range(25)]
    count, _ = await desk.orders.retry(OPERATOR, run.ident, keys=[*chosen, "nothing"])
    left = await desk.orders.failures(VIEWER, run.ident)
    assert (count, [record.transfer.key for record in left]) == (
        25,
        ["k25", "k26", "k27", "k28", "k29"],
    )
    assert (await desk.audit())[0].after["keys"] == chosen[:20]


async def test_a_retry_of_nothing_leaves_the_run_as_it_is(desk: HubDesk) -> None:
    run = await desk.ended(await desk.task())
    assert await desk.orders.retry(OPERATOR, run.ident, code="other") == (0, run)
    assert await desk.store.get_run(run.ident) == run


async def test_a_run_under_way_is_not_retried_nor_beside_one(desk: HubDesk) -> None:
    task = await desk.task()
    ended = await desk.ended(task)
    running = await desk.claimed(task)
    with pytest.raises(MoveError, match="is running; wait for its end"):
        await desk.orders.retry(OPERATOR, running.ident)
    with pytest.raises(MoveError, match=f"Run {running.ident} of task"):
        await desk.orders.retry(OPERATOR, ended.ident)


Verb = Callable[[HubDesk, Caller, RunId], Awaitable[object]]
READS: dict[str, Verb] = {
    "get": lambda desk, who, run: desk.orders.get(who, run),
    "totals": lambda desk, who, run: desk.orders.totals(who, run),
    "failure_groups": lambda desk, who, run: desk.orders.failure_groups(who, run),
}
WRITES: dict[str, Verb] = {
    "stop": lambda desk, who, run: desk.orders.stop(who, run),
    "retry": lambda desk, who, run: desk.orders.retry(who, run),
}


@pytest.mark.parametrize("verb", sorted({*READS, *WRITES}))
async def test_an_unknown_run_is_named(desk: HubDesk, verb: str) -> None:
    with pytest.raises(InputError, match="there is no run 'nothing'") as caught:
        await {**READS, **WRITES}[verb](desk, ADMIN, RunId("nothing"))
    assert caught.value.code == "no_run"


async def test_viewers_look_and_do_not_order(desk: HubDesk) -> None:
    task = await desk.task()
    run = await desk.claimed(task)
    for read in READS.values():
        await read(desk, VIEWER, run.ident)
    for write in WRITES.values():
        with pytest.raises(AccessError, match="needs the role operator"):
            await write(desk, VIEWER, run.ident)
    with pytest.raises(AccessError):
        await desk.orders.start(VIEWER, task.ident)
    assert await desk.store.get_run(run.ident) == run


def scheduler(desk: HubDesk, holder: str = "one") -> Scheduler:
    return Scheduler(
        desk.scheduled,
        desk.scheduled,
        MemorySeats(lambda: desk.now),
        holder=holder,
        clock=lambda: desk.now,
    )


async def test_the_scheduler_starts_what_is_due_once(desk: HubDesk) -> None:
    task = await desk.task(schedule=HOURLY)
    acting = scheduler(desk)
    await acting.tick()
    assert (await desk.orders.page(VIEWER)).items == ()
    desk.now = FOUR
    await acting.tick()
    await scheduler(desk, "two").tick()
    (run,) = (await desk.orders.page(VIEWER)).items
    assert (run.trigger, run.scheduled_at, run.state) == (
        Trigger.SCHEDULE,
        FOUR,
        RunState.QUEUED,
    )
    assert (await desk.tasks.get(VIEWER, task.ident)).next_run_at == FOUR + timedelta(hours=1)


async def test_a_schedule_that_cancels_the_old_run_starts_the_new_one_after_it(
    desk: HubDesk,
) -> None:
    task = await desk.task(schedule={**HOURLY, "overlap": "cancel"})
    old = await desk.claimed(task)
    desk.now = FOUR
    acting = scheduler(desk)
    await acting.tick()
    heard = await desk.store.keep_run(old, timedelta(minutes=1))
    assert heard.order is RunOrder.STOP
    await desk.store.update_run(replace(heard, state=RunState.CANCELLED, ended_at=desk.now))
    await acting.tick()
    new, _ = (await desk.orders.page(VIEWER)).items
    assert (new.scheduled_at, new.state) == (FOUR, RunState.QUEUED)


async def test_a_paused_task_is_started_by_people_only(desk: HubDesk) -> None:
    task = await desk.task(schedule=HOURLY)
    await desk.tasks.pause(OPERATOR, task.ident)
    desk.now = FOUR
    await scheduler(desk).tick()
    assert (await desk.orders.page(VIEWER)).items == ()
    assert (await desk.orders.start(OPERATOR, task.ident)).state is RunState.QUEUED
