"""A world for schedulers: tasks, runs and seats in memory, and a clock that only the test moves."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from transferhub.control.schedule import next_runs
from transferhub.control.scheduler import INTERVAL, LatestRun, Scheduler
from transferhub.errors import StateError
from transferhub.model.run import TaskId
from transferhub.model.schedule import Schedule
from transferhub.model.seat import Seat

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


class Killed(BaseException):
    """The process is gone: nothing may catch this."""


@dataclass(frozen=True)
class Plan:
    ident: TaskId
    schedule: Schedule | None
    next_run_at: datetime | None


@dataclass
class Started:
    task: TaskId
    scheduled_at: datetime
    at: datetime
    until: datetime


class World:
    """All three ports of a scheduler, shared by any number of them."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now
        self.plans: dict[TaskId, Plan] = {}
        self.runs: list[Started] = []
        self.asked: list[tuple[TaskId, datetime]] = []
        self.pages: list[int] = []
        self.length = timedelta(seconds=1)
        self.stopping = timedelta()
        self.down = False
        self.seat: Seat | None = None

    def clock(self) -> datetime:
        return self.now

    def add(self, ident: str, schedule: Schedule) -> TaskId:
        task = TaskId(ident)
        first = next(iter(next_runs(schedule, self.now, 1, key=ident)), None)
        self.plans[task] = Plan(task, schedule, first)
        return task

    def scheduler(self, holder: str = "one", **options: Any) -> Scheduler:
        return Scheduler(self, self, self, holder=holder, clock=self.clock, **options)

    async def live(
        self, duration: timedelta, *schedulers: Scheduler, step: timedelta = INTERVAL
    ) -> None:
        """The schedulers look, in turn, every `step`; the clock is `duration` further then."""
        end = self.now + duration
        while self.now < end:
            for scheduler in schedulers:
                await scheduler.tick()
            self.now += step

    def scheduled(self, task: str = "task") -> list[datetime]:
        return [run.scheduled_at for run in self.runs if run.task == task]

    # Timetable

    async def planned(
        self, until: datetime, *, after: tuple[datetime, TaskId] | None = None, limit: int
    ) -> Sequence[Plan]:
        self._reach()
        found = sorted(
            (plan.next_run_at, plan.ident)
            for plan in self.plans.values()
            if plan.next_run_at is not None and plan.next_run_at <= until
        )
        page = [self.plans[ident] for at, ident in found if after is None or (at, ident) > after]
        self.pages.append(len(page[:limit]))
        return page[:limit]

    async def plan(
        self, task: TaskId, known: datetime | None, next_run_at: datetime | None
    ) -> bool:
        self._reach()
        if self.plans[task].next_run_at != known:
            return False
        self.plans[task] = replace(self.plans[task], next_run_at=next_run_at)
        return True

    # Starter

    async def start(self, task: TaskId, scheduled_at: datetime) -> None:
        self._reach()
        self.asked.append((task, scheduled_at))
        if scheduled_at not in self.scheduled(task):
            self.runs.append(Started(task, scheduled_at, self.now, self.now + self.length))

    async def latest(self, task: TaskId) -> LatestRun | None:
        self._reach()
        ends = [run.until for run in self.runs if run.task == task]
        if not ends:
            return None
        under_way = max(ends) > self.now
        return LatestRun(under_way=under_way, ended_at=None if under_way else max(ends))

    async def cancel(self, task: TaskId) -> None:
        self._reach()
        for run in self.runs:
            if run.task == task:
                run.until = min(run.until, self.now + self.stopping)

    # Seats

    async def take(self, name: str, holder: str, duration: timedelta) -> Seat | None:
        self._reach()
        held = self.seat
        if held is not None and held.holder != holder and held.until > self.now:
            return None
        number = 1 if held is None else held.number + (held.holder != holder)
        self.seat = Seat(name=name, holder=holder, number=number, until=self.now + duration)
        return self.seat

    async def aclose(self) -> None:
        return

    def _reach(self) -> None:
        if self.down:
            raise StateError("The database cannot be reached.")
