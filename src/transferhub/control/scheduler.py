"""The scheduler: starts the runs of tasks as their schedules say.

However many servers run, one of them acts: the one that holds the seat. What is not started yet is
kept nowhere but in each task's `next_run_at`, so a scheduler can die at any moment: another one
finds the same runs due, and starting a run twice is one run.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from transferhub.control.occupant import Occupant
from transferhub.control.schedule import due, next_runs
from transferhub.control.waiting import Wait, wait
from transferhub.errors import LeaseLostError
from transferhub.model.clock import Clock, utc_now
from transferhub.model.run import TaskId
from transferhub.model.schedule import CatchUp, Overlap, Schedule
from transferhub.state.base import Seats

log = logging.getLogger(__name__)

SEAT = "scheduler"
INTERVAL = timedelta(seconds=5)
SEAT_DURATION = timedelta(seconds=20)
"""With INTERVAL: another one acts within 25 s of the last sign of one that died."""

PATIENCE = timedelta(seconds=10)
"""How long one task may take; less than SEAT_DURATION."""

GRACE = timedelta(minutes=2)
"""How late a run may start without having been missed: a takeover, a busy store."""

_PAGE = 100
_FOREVER = datetime.max.replace(tzinfo=UTC)
_JUMP = timedelta(seconds=1)
_LONGEST_REST = 64


class PlannedTask(Protocol):
    """What the scheduler reads of a task."""

    @property
    def ident(self) -> TaskId: ...

    @property
    def schedule(self) -> Schedule | None: ...

    @property
    def next_run_at(self) -> datetime | None: ...


class Timetable(Protocol):
    """The tasks that have runs to come."""

    async def planned(
        self, until: datetime, *, after: tuple[datetime, TaskId] | None = None, limit: int
    ) -> Sequence[PlannedTask]:
        """Active tasks with a `next_run_at` up to `until`, by it and by id, from after `after`."""

    async def plan(
        self, task: TaskId, known: datetime | None, next_run_at: datetime | None
    ) -> bool:
        """Sets `next_run_at` where it still is `known`; returns whether it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LatestRun:
    """The task's newest run, or any that is under way: waiting to be carried counts as that."""

    under_way: bool
    ended_at: datetime | None = None


class Starter(Protocol):
    """Starts runs of tasks because their schedules say so."""

    async def start(self, task: TaskId, scheduled_at: datetime) -> None:
        """Starts the run of this moment. Idempotent by both: a run is never started again, be it
        under way or ended. Returns when the run is recorded."""

    async def latest(self, task: TaskId) -> LatestRun | None: ...

    async def cancel(self, task: TaskId) -> None:
        """Asks the runs under way to stop. Idempotent; may return before they have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to do about a task whose run is due; `why` is for the log."""

    next_run_at: datetime | None
    start: datetime | None = None
    cancel: bool = False
    why: str


def decide(
    schedule: Schedule, planned: datetime, now: datetime, latest: LatestRun | None, *, key: str
) -> Decision:
    """Weighs a run that was planned for `planned`, which has come, against the one before it."""
    limit = schedule.most_caught_up if schedule.catch_up is CatchUp.ALL else 1
    runs = due(schedule, planned, now, key=key, limit=limit)
    following = next(iter(next_runs(schedule, now, 1, key=key)), None)
    if not runs:
        return Decision(next_run_at=following, why="replanned")
    if latest is not None and latest.under_way:
        if schedule.overlap is Overlap.SKIP:
            return Decision(next_run_at=following, why="skipped")
        return Decision(next_run_at=planned, cancel=schedule.overlap is Overlap.CANCEL, why="waits")
    if schedule.catch_up is CatchUp.NONE and now - _ready(schedule, runs[-1], latest) > GRACE:
        return Decision(next_run_at=following, why="missed")
    later = runs[1] if len(runs) > 1 else following
    return Decision(next_run_at=later, start=runs[0], why="started")


def _ready(schedule: Schedule, moment: datetime, latest: LatestRun | None) -> datetime:
    """When the run of `moment` could start: one that waited for another's end was not missed."""
    ended = latest.ended_at if latest is not None else None
    return moment if ended is None or schedule.overlap is Overlap.SKIP else max(moment, ended)


class Scheduler:
    """One of the schedulers of a hub; safe beside any number of others.

    Args:
        holder: names this one among them.
        wait: returns once the event is set, after the duration at the latest.
    """

    def __init__(
        self,
        timetable: Timetable,
        starter: Starter,
        seats: Seats,
        *,
        holder: str,
        clock: Clock = utc_now,
        wait: Wait = wait,
        patience: timedelta = PATIENCE,
    ) -> None:
        self._timetable = timetable
        self._starter = starter
        self._occupant = Occupant(
            seats, SEAT, holder, duration=SEAT_DURATION, renew_after=INTERVAL, clock=clock
        )
        self._clock = clock
        self._wait = wait
        self._patience = patience
        self._looked_at: datetime | None = None
        self._broken: dict[TaskId, _Rest] = {}

    @property
    def is_acting(self) -> bool:
        """Whether it is the one that acts."""
        return self._occupant.is_seated

    async def run(self, stop: asyncio.Event) -> None:
        """Looks every INTERVAL until `stop` is set, whatever fails; then gives the seat up."""
        while not stop.is_set():
            try:
                await self.tick()
            except Exception:
                log.exception("The scheduler will look again.", extra={"action": "schedule_failed"})
            await self._wait(stop, INTERVAL)
        await self._occupant.leave()

    async def tick(self) -> bool:
        """Starts what is due, if this one holds the seat; returns whether it does.

        Raises:
            StateError: the seats or the timetable cannot be used; what was done stays done.
        """
        try:
            await self._act()
        except LeaseLostError:
            return False
        return True

    async def _act(self) -> None:
        former = self._occupant.number
        await self._occupant.sit()
        number, now = self._occupant.number, self._clock()
        if number != former:
            log.info("Acts as scheduler %s.", number, extra={"action": "schedule_acting"})
        if number != former or self._looked_at is None or now < self._looked_at - _JUMP:
            await self._review(now)
        self._looked_at = now
        async for task in self._pages(now):
            await self._meet(task, now)

    async def _pages(self, until: datetime) -> AsyncIterator[PlannedTask]:
        """The tasks that are planned for up to `until`; holds the seat meanwhile."""
        after = None
        while True:
            page = await self._timetable.planned(until, after=after, limit=_PAGE)
            for task in page:
                await self._occupant.stay()
                yield task
            if len(page) < _PAGE or page[-1].next_run_at is None:
                return
            after = page[-1].next_run_at, page[-1].ident

    # Looking ahead

    async def _review(self, now: datetime) -> None:
        """Brings forward what was planned by a clock that was ahead."""
        async for task in self._pages(_FOREVER):
            await self._guarded(task, self._bring_forward(task, now))

    async def _bring_forward(self, task: PlannedTask, now: datetime) -> None:
        schedule, known = task.schedule, task.next_run_at
        if schedule is not None and known is not None:
            first = next(iter(next_runs(schedule, now, 1, key=task.ident)), None)
            if first is not None and first < known:
                await self._timetable.plan(task.ident, known, first)

    # Starting

    async def _meet(self, task: PlannedTask, now: datetime) -> None:
        """Deals with a task that is due, unless it rests since it failed."""
        rest = self._broken.get(task.ident)
        if rest is not None and not rest.is_over():
            return
        if await self._guarded(task, self._deal(task, now)):
            self._broken.pop(task.ident, None)
        else:
            self._broken[task.ident] = _Rest.after(rest)

    async def _deal(self, task: PlannedTask, now: datetime) -> None:
        schedule, known = task.schedule, task.next_run_at
        if schedule is None or known is None:
            return
        latest = await self._starter.latest(task.ident)
        decision = decide(schedule, known, now, latest, key=task.ident)
        if decision.cancel:
            await self._starter.cancel(task.ident)
        if decision.start is not None:
            await self._starter.start(task.ident, decision.start)
        if decision.next_run_at != known:
            await self._timetable.plan(task.ident, known, decision.next_run_at)
            self._tell(task, decision)

    def _tell(self, task: PlannedTask, decision: Decision) -> None:
        log.info(
            "The run of task %s that was planned for %s: %s. The next one: %s.",
            task.ident,
            task.next_run_at,
            decision.why,
            decision.next_run_at,
            extra={"action": f"schedule_{decision.why}", "task": task.ident},
        )

    async def _guarded(self, task: PlannedTask, work: Awaitable[None]) -> bool:
        """Whether the work went well: one broken task must not stop the others."""
        try:
            async with asyncio.timeout(self._patience.total_seconds()):
                await work
        except Exception:
            log.exception(
                "Task %s cannot be scheduled now.",
                task.ident,
                extra={"action": "schedule_task_failed", "task": task.ident},
            )
            return False
        return True


@dataclass(slots=True)
class _Rest:
    """How many looks a task that failed is passed over: twice as many each time."""

    looks: int
    passed: int = 0

    @classmethod
    def after(cls, former: _Rest | None) -> _Rest:
        return cls(looks=min(2 * former.looks or 1, _LONGEST_REST) if former else 0)

    def is_over(self) -> bool:
        self.passed += 1
        return self.passed > self.looks
