"""Runs of events: when one starts, when it gives way, and what it may delete."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from transferhub.control.occupant import Occupant
from transferhub.control.orders import queued
from transferhub.control.schedule import window_now
from transferhub.control.tasks import NewIdent, run_under_way
from transferhub.control.waiting import Wait, wait
from transferhub.errors import ConflictError, LeaseLostError
from transferhub.model.clock import Clock, utc_now
from transferhub.model.pages import RunFilter
from transferhub.model.run import (
    UNDER_WAY_STATES,
    Run,
    RunOrder,
    RunState,
    Task,
    TaskId,
    TaskState,
    Trigger,
)
from transferhub.model.schedule import Schedule
from transferhub.state.base import Ledger, RunStore, Seats, TaskStore
from transferhub.state.events import Inbox

log = logging.getLogger(__name__)

SEAT = "events"
SEAT_DURATION = timedelta(seconds=20)
_KEEP_SEAT = timedelta(seconds=5)

INTERVAL = timedelta(seconds=0.25)
"""Between looks for events: short beside the two seconds that a change may take."""

RETRY_AFTER = timedelta(minutes=1)
"""After a run of events failed or was stopped: what broke it is mended in minutes rather than in
seconds, and its events stay."""

FAIR_SHARE = timedelta(seconds=10)
"""How long a run of events may stay open where other runs wait for room."""

PATIENCE = timedelta(seconds=5)
"""A run that is queued for longer found no machine with room."""

_REST = timedelta(seconds=1)
"""Before it is asked again whether a task's run is over."""

_PAGE = 100
_MOST_RUNS = 5_000


class EventRuns:
    """Starts a run for each task that has events and no run.

    However many servers run, one of them acts: the one that holds the seat. While a run of any kind
    is under way, events wait for it, or are handled by it.
    """

    def __init__(
        self,
        store: TaskStore,
        inbox: Inbox,
        ledger: Ledger,
        seats: Seats,
        *,
        holder: str,
        new_ident: NewIdent,
        clock: Clock = utc_now,
        wait: Wait = wait,
    ) -> None:
        """Args:
        holder: names this one among the servers.
        wait: returns once the event is set, after the duration at the latest.
        """
        self._store = store
        self._inbox = inbox
        self._ledger = ledger
        self._occupant = Occupant(
            seats, SEAT, holder, duration=SEAT_DURATION, renew_after=_KEEP_SEAT, clock=clock
        )
        self._new_ident = new_ident
        self._clock = clock
        self._wait = wait
        self._rests: dict[TaskId, datetime] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Looks every INTERVAL until `stop` is set, whatever fails; then gives the seat up."""
        while not stop.is_set():
            pause = INTERVAL
            try:
                if not await self.tick():
                    pause = _KEEP_SEAT
            except Exception:
                log.exception(
                    "Events will be looked for again.", extra={"action": "event_runs_failed"}
                )
                pause = _KEEP_SEAT
            await self._wait(stop, pause)
        await self._occupant.leave()

    async def tick(self) -> bool:
        """Starts what is due, if this one holds the seat; returns whether it does.

        Raises:
            StateError: what was started stays so.
        """
        try:
            await self._occupant.stay()
        except LeaseLostError:
            return False
        now = self._clock()
        lag = await self._inbox.lag()
        self._rests = {task: at for task, at in self._rests.items() if task in lag and at > now}
        for task in lag.keys() - self._rests.keys():
            if not await self._start(task):
                self._rests[task] = now + _REST
        return True

    async def _start(self, ident: TaskId) -> bool:
        task = await self._store.get_task(ident)
        if task is None or not task.events:
            await self._inbox.forget(ident)
            return False
        if not self._may_run(task):
            return False
        if await run_under_way(self._store, ident, of_events=True) is not None:
            return False
        former = await self._former(ident)
        if former is not None and former.ended_at is not None:
            if self._clock() < former.ended_at + RETRY_AFTER:
                return False
            totals = await self._ledger.totals(former.ident)
            if totals.open or totals.uploads:
                return await self._go_on(former)
        run = queued(task, self._new_ident(), Trigger.EVENT, self._clock())
        self._tell(await self._store.create_run(run))
        return True

    def _may_run(self, task: Task) -> bool:
        if task.state is TaskState.PAUSED:
            return False
        if not task.schedule:
            return True
        return window_now(Schedule.from_json(task.schedule), self._clock()).may_run

    async def _former(self, ident: TaskId) -> Run | None:
        """The task's newest run of events, where that did not come to its end."""
        chosen = RunFilter(task=ident, trigger=Trigger.EVENT)
        run = next(iter((await self._store.runs(chosen, limit=1)).items), None)
        broken = (RunState.FAILED, RunState.CANCELLED)
        return run if run is not None and run.state in broken else None

    async def _go_on(self, run: Run) -> bool:
        """Queues a run again that left something under way, such as parts of an object."""
        again = replace(run, state=RunState.QUEUED, order=RunOrder.NONE, ended_at=None)
        try:
            self._tell(await self._store.update_run(again))
        except ConflictError:
            return False  # a person did something with it
        return True

    def _tell(self, run: Run) -> None:
        log.info(
            "Events start run %s of task %s.",
            run.ident,
            run.task,
            extra={"action": "event_run_started", "task": run.task, "run": run.ident},
        )


async def gives_way(store: TaskStore, run: Run) -> bool:
    """Whether a run of events had better end: a run that lists is to begin, a person paused or
    changed the task, or another run of events is older.

    Two runs of a task side by side could leave the older one of two versions of an object.
    """
    task = await store.get_task(run.task)
    if task is None or task.state is TaskState.PAUSED or not task.events:
        return True
    if task.version != run.task_version:
        return True
    return any(
        other.trigger is not Trigger.EVENT
        or (other.created_at, other.ident) < (run.created_at, run.ident)
        for other in await _others(store, run)
    )


async def is_crowded(store: RunStore, now: datetime) -> bool:
    """Whether a run has been queued for so long that no machine can have room for it."""
    queued = await store.runs(RunFilter(states=(RunState.QUEUED,)), limit=_PAGE)
    return any(run.created_at <= now - PATIENCE for run in queued.items)


async def must_wait(store: RunStore, run: Run, now: datetime) -> bool:
    """Whether a run that lists had better begin later: a run of events is about to end."""
    return any(
        other.trigger is Trigger.EVENT
        and other.state is RunState.RUNNING
        and (other.kept_until or now) > now
        for other in await _others(store, run)
    )


async def _others(store: RunStore, run: Run) -> list[Run]:
    chosen = RunFilter(task=run.task, states=tuple(sorted(UNDER_WAY_STATES)))
    under_way = await store.runs(chosen, limit=_PAGE)
    return [other for other in under_way.items if other.ident != run.ident]


async def since_listed(store: RunStore, run: Run) -> Mapping[str, int]:
    """What `EventGuard` counts: objects `seen` at the destination when a run last listed it to the
    end, and those `deleted` by runs of events since."""
    deleted, after, looked = 0, "", 0
    while looked < _MOST_RUNS:
        page = await store.runs(RunFilter(task=run.task), after=after, limit=_PAGE)
        for other in page.items:
            if other.trigger is Trigger.EVENT:
                deleted += 0 if other.ident == run.ident else other.summary.get("deleted", 0)
            elif other.state in (RunState.SUCCEEDED, RunState.COMPLETED_WITH_FAILURES):
                seen = other.summary.get("scanned_destination", 0)
                return {"seen": seen, "deleted": deleted}
        looked += len(page.items)
        if not page.cursor:
            break
        after = page.cursor
    return {"seen": 0, "deleted": deleted}
