import asyncio
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.control.schedule_world import NOW, Killed, Plan, World
from transferhub.control.schedule import next_runs
from transferhub.control.scheduler import GRACE, INTERVAL, SEAT, SEAT_DURATION
from transferhub.model.run import TaskId
from transferhub.model.schedule import (
    CatchUp,
    Cron,
    Every,
    Once,
    Overlap,
    Schedule,
    Window,
    WindowKind,
)
from transferhub.model.seat import Seat

SECOND, MINUTE, HOUR, DAY = (timedelta(seconds=s) for s in (1, 60, 3_600, 86_400))
TASK = TaskId("task")


def hourly(
    overlap: Overlap = Overlap.SKIP, catch_up: CatchUp = CatchUp.ONE, *, most: int = 10
) -> Schedule:
    return Schedule(
        timing=Every(interval=HOUR), overlap=overlap, catch_up=catch_up, most_caught_up=most
    )


def at(hour: int, minute: int = 0) -> datetime:
    return NOW.replace(hour=hour, minute=minute)


@pytest.fixture
def world() -> World:
    return World()


# On time


async def test_a_run_starts_at_its_time_and_not_before(world: World) -> None:
    world.add("task", hourly())
    scheduler = world.scheduler()
    await world.live(HOUR, scheduler)
    assert world.runs == []
    await world.live(SECOND, scheduler)
    assert world.scheduled() == [at(13)]
    assert world.plans[TASK].next_run_at == at(14)


async def test_a_task_that_runs_once_has_no_next_run(world: World) -> None:
    world.add("task", Schedule(timing=Once(at=at(13))))
    await world.live(2 * HOUR, world.scheduler(), step=MINUTE)
    assert world.scheduled() == [at(13)]
    assert world.plans[TASK].next_run_at is None


async def test_runs_start_when_previews_said(world: World) -> None:
    schedule = replace(
        hourly(),
        jitter=20 * MINUTE,
        windows=(Window(kind=WindowKind.RUN, start=time(14), end=time(20)),),
    )
    world.add("task", schedule)
    preview = next_runs(schedule, NOW, 12, key="task")
    await world.live(2 * DAY, world.scheduler(), step=MINUTE)
    assert world.scheduled()[:12] == preview
    assert all(run.at - run.scheduled_at <= MINUTE for run in world.runs)


@pytest.mark.parametrize("start", ["2026-03-28T12:00", "2026-10-24T12:00", "2026-04-04T12:00"])
@pytest.mark.parametrize("zone", ["Europe/Berlin", "Australia/Lord_Howe"])
@pytest.mark.parametrize("expression", ["30 2 * * *", "*/30 * * * *", "0 */2 * * *"])
async def test_a_change_of_clocks_loses_and_doubles_nothing(
    start: str, zone: str, expression: str
) -> None:
    world = World(datetime.fromisoformat(start).replace(tzinfo=UTC))
    schedule = Schedule(timing=Cron(expression=expression, zone=zone))
    world.add("task", schedule)
    expected = next_runs(schedule, world.now, 200)
    begun = world.now
    await world.live(2 * DAY, world.scheduler(), step=MINUTE)
    assert world.scheduled() == [run for run in expected if run < begun + 2 * DAY]
    assert world.asked == [(TASK, run) for run in world.scheduled()]


# A run that is due while the last one is under way


async def test_skip_leaves_the_run_out(world: World) -> None:
    world.length = 150 * MINUTE
    world.add("task", hourly(Overlap.SKIP))
    await world.live(5 * HOUR, world.scheduler(), step=MINUTE)
    assert [run.at for run in world.runs] == [at(13), at(16)]


async def test_queue_starts_one_run_after_the_end(world: World) -> None:
    world.length = 150 * MINUTE
    world.add("task", hourly(Overlap.QUEUE))
    await world.live(7 * HOUR, world.scheduler(), step=MINUTE)
    assert [(run.scheduled_at, run.at) for run in world.runs] == [
        (at(13), at(13)),
        (at(15), at(15, 30)),
        (at(18), at(18)),
    ]


async def test_what_waits_for_an_end_is_not_missed(world: World) -> None:
    world.length = 90 * MINUTE
    world.add("task", hourly(Overlap.QUEUE, CatchUp.NONE))
    await world.live(3 * HOUR, world.scheduler(), step=MINUTE)
    assert [run.at for run in world.runs] == [at(13), at(14, 30)]


async def test_queue_with_all_starts_each_run_in_its_order(world: World) -> None:
    world.length = 90 * MINUTE
    world.add("task", hourly(Overlap.QUEUE, CatchUp.ALL))
    await world.live(7 * HOUR, world.scheduler(), step=MINUTE)
    assert [(run.scheduled_at, run.at) for run in world.runs] == [
        (at(13), at(13)),
        (at(14), at(14, 30)),
        (at(15), at(16)),
        (at(16), at(17, 30)),
    ]


async def test_cancel_stops_the_old_run_and_waits_for_its_end(world: World) -> None:
    world.length, world.stopping = 5 * HOUR, 3 * MINUTE
    world.add("task", hourly(Overlap.CANCEL))
    scheduler = world.scheduler()
    await world.live(HOUR + MINUTE, scheduler, step=MINUTE)
    world.stopping = 2 * MINUTE
    await world.live(HOUR - MINUTE, scheduler, step=MINUTE)
    assert len(world.runs) == 1
    await world.live(5 * MINUTE, scheduler, step=MINUTE)
    old, new = world.runs
    assert (old.until, new.scheduled_at, new.at) == (at(14, 2), at(14), at(14, 2))


# After downtime


@pytest.mark.parametrize(
    ("overlap", "catch_up", "expected"),
    [
        (Overlap.SKIP, CatchUp.NONE, []),
        (Overlap.SKIP, CatchUp.ONE, [-1]),
        (Overlap.CANCEL, CatchUp.ONE, [-1]),
        (Overlap.QUEUE, CatchUp.ALL, [-3, -2, -1]),
    ],
)
async def test_a_five_day_outage(
    world: World, overlap: Overlap, catch_up: CatchUp, expected: list[int]
) -> None:
    schedule = hourly(overlap, catch_up, most=3)
    world.add("task", schedule)
    scheduler = world.scheduler()
    await world.live(MINUTE, scheduler)
    world.now += 5 * DAY + 10 * MINUTE
    missed = next_runs(schedule, NOW, 5 * 24)
    await world.live(10 * MINUTE, scheduler)
    assert world.scheduled() == [missed[n] for n in expected]
    await world.live(HOUR, scheduler)
    assert world.scheduled()[len(expected) :] == [missed[-1] + HOUR]


@pytest.mark.parametrize(("late", "runs"), [(GRACE, 1), (GRACE + INTERVAL, 0)])
async def test_a_run_that_is_a_little_late_was_not_missed(
    world: World, late: timedelta, runs: int
) -> None:
    world.add("task", hourly(catch_up=CatchUp.NONE))
    world.now = at(13) + late
    await world.scheduler().tick()
    assert len(world.runs) == runs
    assert world.plans[TASK].next_run_at == at(14)


async def test_what_was_missed_starts_in_its_window(world: World) -> None:
    nightly = Window(kind=WindowKind.RUN, start=time(20), end=time(23))
    world.add("task", replace(hourly(catch_up=CatchUp.NONE), windows=(nightly,)))
    world.now += 5 * DAY
    await world.live(9 * HOUR, world.scheduler(), step=MINUTE)
    assert world.scheduled() == [at(20) + 5 * DAY]


# A clock that jumps


async def test_a_clock_that_jumps_forwards_leaves_an_outage(world: World) -> None:
    world.add("task", hourly(catch_up=CatchUp.NONE))
    world.add("other", hourly(catch_up=CatchUp.ONE))
    scheduler = world.scheduler()
    await scheduler.tick()
    world.now += 2 * DAY + 30 * MINUTE
    await world.live(HOUR, scheduler)
    today = at(12) + 2 * DAY
    assert world.scheduled() == [today + HOUR]
    assert world.scheduled("other") == [today, today + HOUR]


async def test_a_clock_that_jumps_backwards_starts_nothing_again(world: World) -> None:
    world.add("task", hourly())
    scheduler = world.scheduler()
    await world.live(HOUR + MINUTE, scheduler)
    world.now -= 3 * MINUTE
    await world.live(HOUR, scheduler)
    assert world.scheduled() == [at(13)]
    await world.live(10 * MINUTE, scheduler)
    assert world.scheduled() == [at(13), at(14)]


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_clock_that_was_years_ahead_stops_no_task(world: World, *, restarted: bool) -> None:
    schedule = replace(hourly(), jitter=HOUR)
    world.add("task", schedule)
    scheduler = world.scheduler()
    await scheduler.tick()
    world.now += 3_000 * DAY
    await scheduler.tick()
    assert len(world.runs) == 1
    world.now = world.runs[0].until = at(12, 30)
    if restarted:
        world.seat = None
        scheduler = world.scheduler()
    await scheduler.tick()
    assert world.plans[TASK].next_run_at == next_runs(schedule, world.now, 1, key="task")[0]


async def test_what_another_planned_with_a_wrong_clock_is_put_right(world: World) -> None:
    world.add("task", hourly())
    first, second = world.scheduler("first"), world.scheduler("second")
    await world.live(MINUTE, first)
    world.now += 3_000 * DAY
    await second.tick()
    world.runs[0].until = world.now = at(12, 30)
    world.seat = Seat(name=SEAT, holder="second", number=2, until=world.now)
    await world.live(HOUR, first)
    assert world.scheduled()[1:] == [at(13)]


# One of many


@pytest.mark.parametrize("phase", range(5))
@pytest.mark.parametrize("last_sign", range(5))
async def test_another_acts_within_30_seconds_of_a_death(
    world: World, phase: int, last_sign: int
) -> None:
    first, second = world.scheduler("first"), world.scheduler("second")
    world.add("task", hourly())
    world.now = at(13) - (1 + last_sign) * SECOND
    died_at = world.now
    assert await first.tick()
    world.now += phase * SECOND
    while not world.runs:
        await second.tick()
        world.now += INTERVAL
    assert world.runs[0].at - died_at <= 30 * SECOND
    assert world.scheduled() == [at(13)]


async def test_only_the_holder_of_the_seat_acts(world: World) -> None:
    world.add("task", hourly())
    first, second = world.scheduler("first"), world.scheduler("second")
    await world.live(HOUR, first, second)
    assert (await first.tick(), await second.tick()) == (True, False)
    assert world.asked == [(TASK, at(13))]


async def test_a_scheduler_that_stood_still_stops_when_another_acts(world: World) -> None:
    class Standing(World):
        async def start(self, task: TaskId, scheduled_at: datetime) -> None:
            await super().start(task, scheduled_at)
            self.now += 2 * SEAT_DURATION
            await self.take(SEAT, "second", SEAT_DURATION)

    standing = Standing()
    for number in range(3):
        standing.add(f"task-{number}", hourly())
    standing.now = at(13)
    assert not await standing.scheduler("first").tick()
    assert [task for task, _ in standing.asked] == ["task-0"]


async def test_a_death_between_start_and_plan_is_no_second_run(world: World) -> None:
    class Dying(World):
        dies = True

        async def plan(
            self, task: TaskId, known: datetime | None, next_run_at: datetime | None
        ) -> bool:
            if self.dies:
                raise Killed
            return await super().plan(task, known, next_run_at)

    dying = Dying()
    dying.add("task", hourly())
    dying.now, dying.length = at(13), timedelta()
    with pytest.raises(Killed):
        await dying.scheduler("first").tick()
    dying.dies = False
    await dying.live(MINUTE, dying.scheduler("second"))
    assert dying.asked == [(TASK, at(13)), (TASK, at(13))]
    assert dying.plans[TASK].next_run_at == at(14)


async def test_a_scheduler_that_is_stopped_gives_the_seat_up(world: World) -> None:
    stop = asyncio.Event()

    async def wait(event: asyncio.Event, duration: timedelta) -> None:
        event.set()

    await world.scheduler("first", wait=wait).run(stop)
    assert await world.scheduler("second").tick()


async def test_a_scheduler_that_did_not_act_leaves_the_seat_alone(world: World) -> None:
    stop = asyncio.Event()
    await world.scheduler("first").tick()

    async def wait(event: asyncio.Event, duration: timedelta) -> None:
        event.set()

    await world.scheduler("second", wait=wait).run(stop)
    assert isinstance(world.seat, Seat)
    assert (world.seat.holder, world.seat.number) == ("first", 1)


# What goes wrong


async def test_a_store_that_fails_for_a_while_delays_and_loses_nothing(world: World) -> None:
    world.add("task", hourly(Overlap.QUEUE, CatchUp.ALL))
    stop = asyncio.Event()
    durations = set()

    async def wait(event: asyncio.Event, duration: timedelta) -> None:
        durations.add(duration)
        world.now += duration
        world.down = at(12, 50) <= world.now < at(15, 10) or at(15, 12) <= world.now < at(15, 20)
        if world.now >= at(16, 30):
            world.down = True  # to the end: giving the seat up fails too
            event.set()

    await world.scheduler(wait=wait).run(stop)
    assert world.scheduled() == [at(13), at(14), at(15), at(16)]
    assert world.runs[0].at == at(15, 10)
    assert durations == {INTERVAL}


async def test_the_loop_ends_as_soon_as_it_is_told_to() -> None:
    class Noticed(World):
        def __init__(self) -> None:
            super().__init__()
            self.taken = asyncio.Event()

        async def take(self, name: str, holder: str, duration: timedelta) -> Seat | None:
            self.taken.set()
            return await super().take(name, holder, duration)

    world, stop = Noticed(), asyncio.Event()
    async with asyncio.timeout(INTERVAL.total_seconds()), asyncio.TaskGroup() as tasks:
        tasks.create_task(world.scheduler().run(stop))
        await world.taken.wait()
        stop.set()
    assert world.seat is not None
    assert world.seat.until == NOW


class Broken(World):
    """Some tasks fail as they are started, or never answer."""

    def __init__(self) -> None:
        super().__init__()
        self.broken = {"broken"}
        self.hanging: set[str] = set()
        self.tried: list[datetime] = []

    async def start(self, task: TaskId, scheduled_at: datetime) -> None:
        if task in self.hanging:
            await asyncio.Event().wait()
        if task in self.broken:
            self.tried.append(self.now)
            raise RuntimeError("This task cannot start.")
        await super().start(task, scheduled_at)


@pytest.mark.parametrize("name", ["broken", "hanging"])
async def test_a_broken_task_does_not_stop_the_others(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    world = Broken()
    world.hanging = {"hanging"}
    for ident in ("a", name, "z"):
        world.add(ident, hourly())
    world.now = at(13)
    assert await world.scheduler(patience=timedelta()).tick()
    assert sorted(run.task for run in world.runs) == ["a", "z"]
    [line] = [line for line in caplog.records if line.levelname == "ERROR"]
    assert (line.__dict__["action"], line.__dict__["task"]) == ("schedule_task_failed", name)


async def test_a_broken_task_is_tried_less_and_less_often_until_it_is_mended() -> None:
    world = Broken()
    world.add("broken", hourly())
    world.now = at(13)
    scheduler = world.scheduler()
    await world.live(15 * INTERVAL, scheduler)
    looks = [(tried - at(13)) // INTERVAL for tried in world.tried]
    assert looks == [0, 1, 3, 6, 11]
    world.broken = set()
    await world.live(15 * INTERVAL, scheduler)
    assert world.scheduled("broken") == [at(13)]
    world.broken = {"broken"}
    await world.live(HOUR, scheduler)
    assert len(world.tried) > 6
    assert world.tried[6] - world.tried[5] == INTERVAL


async def test_a_task_that_breaks_the_look_ahead_stops_no_other(world: World) -> None:
    world.add("task", hourly())
    unreadable = Schedule(timing=Cron(expression="no expression", zone="UTC"))
    world.plans[TaskId("a")] = Plan(TaskId("a"), unreadable, at(14))
    world.plans[TaskId("b")] = Plan(TaskId("b"), None, at(12))
    await world.live(HOUR + MINUTE, world.scheduler())
    assert world.scheduled() == [at(13)]


async def test_a_task_that_was_edited_meanwhile_keeps_its_new_plan() -> None:
    class Edited(World):
        async def start(self, task: TaskId, scheduled_at: datetime) -> None:
            await super().start(task, scheduled_at)
            self.plans[task] = replace(self.plans[task], next_run_at=at(13, 40))

    world = Edited()
    world.add("task", hourly())
    world.now = at(13)
    await world.scheduler().tick()
    assert world.plans[TASK].next_run_at == at(13, 40)


async def test_a_plan_that_the_schedule_does_not_know_starts_nothing(world: World) -> None:
    world.plans[TASK] = Plan(TASK, hourly(), at(12, 30))
    world.now = at(12, 31)
    await world.scheduler().tick()
    assert world.runs == []
    assert world.plans[TASK].next_run_at == at(13)


async def test_many_tasks_are_read_in_pages_and_those_that_wait_hold_up_none(world: World) -> None:
    world.length = 90 * MINUTE
    for number in range(150):
        world.add(f"a-{number:03}", hourly(Overlap.QUEUE))
    world.now = at(13)
    scheduler = world.scheduler()
    await scheduler.tick()
    for number in range(150):
        world.add(f"b-{number:03}", hourly())
    world.pages.clear()
    world.now = at(14)
    await scheduler.tick()
    assert world.pages == [100, 100, 100, 0]
    assert sum(run.at == at(14) for run in world.runs) == 150


# Whatever happens


@given(
    st.lists(
        st.tuples(st.integers(1, 1_200), st.integers(0, 1), st.booleans()), min_size=1, max_size=60
    ),
    st.sampled_from([CatchUp.ONE, CatchUp.ALL]),
)
async def test_two_schedulers_that_come_and_go_run_everything_once(
    looks: list[tuple[int, int, bool]], catch_up: CatchUp
) -> None:
    class Dying(World):
        dies = False

        async def plan(
            self, task: TaskId, known: datetime | None, next_run_at: datetime | None
        ) -> bool:
            if self.dies:
                raise Killed
            return await super().plan(task, known, next_run_at)

    world = Dying()
    world.length = timedelta()
    schedule = replace(
        hourly(Overlap.QUEUE, catch_up, most=100), timing=Every(interval=10 * MINUTE)
    )
    world.add("task", schedule)
    schedulers = [world.scheduler("first"), world.scheduler("second")]
    for seconds, number, world.dies in looks:
        world.now += timedelta(seconds=seconds)
        try:
            await schedulers[number].tick()
        except Killed:
            schedulers[number] = world.scheduler(f"reborn-{number}")
    world.dies = False
    world.now += MINUTE
    for _ in range(130):
        await schedulers[0].tick()
    expected = [run for run in next_runs(schedule, NOW, 130) if run <= world.now]
    started = world.scheduled()
    assert started == sorted(set(started))
    assert set(started) <= set(expected)
    assert started[-1:] == expected[-1:]
    if catch_up is CatchUp.ALL:
        assert started == expected
