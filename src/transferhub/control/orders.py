"""`Orders`: what people and schedules ask of runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from transferhub.control.access import authorise
from transferhub.control.journal import Journal
from transferhub.control.scheduler import LatestRun, PlannedTask
from transferhub.control.standing import Standing, standing_of
from transferhub.control.tasks import NewIdent, find_task, run_under_way
from transferhub.errors import InputError, MoveError
from transferhub.model.clock import Clock
from transferhub.model.pages import ALL_RUNS, Page, RunFilter
from transferhub.model.people import Caller, Role
from transferhub.model.run import (
    UNDER_WAY_STATES,
    Run,
    RunOrder,
    RunState,
    Task,
    TaskId,
    Trigger,
)
from transferhub.model.schedule import Schedule
from transferhub.model.transfer import (
    FailureGroup,
    RunId,
    Totals,
    TransferRecord,
    TransferState,
)
from transferhub.state.base import Ledger, TaskStore

_CAME_TO_THEIR_END = frozenset({RunState.SUCCEEDED, RunState.COMPLETED_WITH_FAILURES})

_MOST_NOTED = 20
"""Keys of a retry that the audit log names."""


class Orders:
    """The verbs on runs. A keeper carries them out: it claims what is queued, and reads while it
    works what was ordered."""

    def __init__(
        self,
        store: TaskStore,
        ledger: Ledger,
        journal: Journal,
        *,
        clock: Clock,
        new_ident: NewIdent,
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._journal = journal
        self._clock = clock
        self._new_ident = new_ident

    # Looking

    async def get(self, caller: Caller, ident: RunId) -> Run:
        """Raises InputError where there is none."""
        authorise(caller, Role.VIEWER)
        return await self._find(ident)

    async def page(
        self, caller: Caller, chosen: RunFilter = ALL_RUNS, *, after: str = "", limit: int = 100
    ) -> Page[Run]:
        """Newest first."""
        authorise(caller, Role.VIEWER)
        return await self._store.runs(chosen, after=after, limit=limit)

    async def latest(self, caller: Caller, tasks: Sequence[TaskId]) -> Mapping[TaskId, Run]:
        """The newest run of each of these tasks that has one."""
        authorise(caller, Role.VIEWER)
        return await self._store.latest_runs(tasks)

    async def standings(self, caller: Caller, runs: Sequence[Run]) -> Sequence[Standing]:
        """How far these runs are, in their order."""
        authorise(caller, Role.VIEWER)
        return [await standing_of(run, self._ledger) for run in runs]

    async def totals(self, caller: Caller, ident: RunId) -> Totals:
        authorise(caller, Role.VIEWER)
        return await self._ledger.totals((await self._find(ident)).ident)

    async def transfers(
        self,
        caller: Caller,
        ident: RunId,
        *,
        prefix: str = "",
        states: Sequence[TransferState] = (),
        code: str = "",
        after: str = "",
        limit: int = 100,
    ) -> Page[TransferRecord]:
        """By key; see `Ledger.page`."""
        authorise(caller, Role.VIEWER)
        run = await self._find(ident)
        return await self._ledger.page(
            run.ident, prefix=prefix, states=states, code=code, after=after, limit=limit
        )

    async def failures(
        self,
        caller: Caller,
        ident: RunId,
        *,
        code: str = "",
        key: str = "*",
        after: str = "",
        limit: int = 100,
    ) -> Sequence[TransferRecord]:
        """Dead letters with their history, by key, from after the key `after`."""
        authorise(caller, Role.VIEWER)
        run = await self._find(ident)
        return await self._ledger.failures(run.ident, code=code, key=key, after=after, limit=limit)

    async def failure_groups(self, caller: Caller, ident: RunId) -> Sequence[FailureGroup]:
        authorise(caller, Role.VIEWER)
        return await self._ledger.failure_groups((await self._find(ident)).ident)

    # Ordering

    async def start(self, caller: Caller, task: TaskId) -> Run:
        """Queues a run of the task, whether it is paused or not.

        Raises:
            MoveError: one is under way.
        """
        authorise(caller, Role.OPERATOR)
        found = await find_task(self._store, task)
        await self._refuse_second(task)
        run = await self._store.create_run(
            queued(found, self._new_ident(), Trigger.PERSON, self._clock())
        )
        await self._journal.note(caller, "run.start", run.ident, after={"task": task})
        return run

    async def stop(self, caller: Caller, ident: RunId, *, abandon: bool = False) -> Run:
        """Asks a run to end; all that a later retry needs is kept.

        Args:
            abandon: what is in flight is not finished either.

        Raises:
            MoveError: it has ended, or no keeper of this hub has it.
        """
        authorise(caller, Role.OPERATOR)
        run = await self._find(ident)
        order = RunOrder.ABANDON if abandon else RunOrder.STOP
        stopped = await self._store.update_run(_stopped(run, order, self._clock()))
        await self._journal.note(
            caller,
            "run.stop",
            ident,
            before={"state": run.state.value, "order": run.order.value},
            after={"state": stopped.state.value, "order": stopped.order.value},
        )
        return stopped

    async def retry(
        self,
        caller: Caller,
        ident: RunId,
        *,
        code: str = "",
        key: str = "*",
        keys: Sequence[str] = (),
    ) -> tuple[int, Run]:
        """Queues dead letters of a run that has ended again, and the run with them. A run that was
        stopped, or failed, goes on with what is left.

        Args:
            code: of this error code only; "" for all.
            key: a glob over whole keys.
            keys: these alone; any where it is empty.

        Returns:
            How many; where none is chosen, a run that came to its end stays as it is.

        Raises:
            MoveError: it has not ended, or another run of its task is under way.
        """
        authorise(caller, Role.OPERATOR)
        run = await self._find(ident)
        if run.state in UNDER_WAY_STATES:
            raise MoveError(f"Run {ident} is {run.state}; wait for its end, or stop it.")
        await self._refuse_second(run.task)
        count = await self._ledger.redrive(run.ident, code=code, key=key, keys=keys)
        if not count and run.state in _CAME_TO_THEIR_END:
            return 0, run
        again = await self._store.update_run(
            replace(run, state=RunState.QUEUED, order=RunOrder.NONE, ended_at=None)
        )
        after = {"count": count, "code": code, "key": key, "keys": list(keys[:_MOST_NOTED])}
        await self._journal.note(caller, "run.retry", ident, after=after)
        return count, again

    # Steps

    async def _refuse_second(self, task: TaskId) -> None:
        under_way = await run_under_way(self._store, task)
        if under_way is not None:
            raise MoveError(f"Run {under_way.ident} of task {task} is {under_way.state} already.")

    async def _find(self, ident: RunId) -> Run:
        run = await self._store.get_run(ident)
        if run is None:
            raise InputError("run", f"there is no run {ident[:64]!r}", code="no_run")
        return run


def _stopped(run: Run, order: RunOrder, now: datetime) -> Run:
    """The run, asked to stop; one that waits ends at once."""
    if run.state is RunState.QUEUED:
        return replace(run, state=RunState.CANCELLED, ended_at=now)
    if run.state is not RunState.RUNNING:
        raise MoveError(f"Run {run.ident} has ended: it is {run.state}.")
    if not run.keeper:
        raise MoveError(
            f"Run {run.ident} is carried by a dth command, not by this hub; stop it there."
        )
    return replace(run, order=order)


def queued(
    task: Task, ident: str, trigger: Trigger, now: datetime, scheduled_at: datetime | None = None
) -> Run:
    return Run(
        ident=RunId(ident),
        task=task.ident,
        task_version=task.version,
        state=RunState.QUEUED,
        created_at=now,
        trigger=trigger,
        scheduled_at=scheduled_at,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Planned:
    """A task as the scheduler sees it."""

    ident: TaskId
    schedule: Schedule | None
    next_run_at: datetime | None


class ScheduledRuns:
    """The scheduler's `Timetable` and `Starter`, over the task store."""

    def __init__(self, store: TaskStore, *, clock: Clock, new_ident: NewIdent) -> None:
        self._store = store
        self._clock = clock
        self._new_ident = new_ident

    async def planned(
        self, until: datetime, *, after: tuple[datetime, TaskId] | None = None, limit: int
    ) -> Sequence[PlannedTask]:
        return [
            _Planned(
                ident=task.ident,
                schedule=Schedule.from_json(task.schedule) if task.schedule else None,
                next_run_at=task.next_run_at,
            )
            for task in await self._store.due_tasks(until, after=after, limit=limit)
        ]

    async def plan(
        self, task: TaskId, known: datetime | None, next_run_at: datetime | None
    ) -> bool:
        return await self._store.plan_task(task, known, next_run_at)

    async def start(self, task: TaskId, scheduled_at: datetime) -> None:
        found = await self._store.get_task(task)
        if found is not None:
            await self._store.create_run(
                queued(found, self._new_ident(), Trigger.SCHEDULE, self._clock(), scheduled_at)
            )

    async def latest(self, task: TaskId) -> LatestRun | None:
        if await run_under_way(self._store, task) is not None:
            return LatestRun(under_way=True)
        run = (await self._store.latest_runs([task])).get(task)
        return None if run is None else LatestRun(under_way=False, ended_at=run.ended_at)

    async def cancel(self, task: TaskId) -> None:
        run = await run_under_way(self._store, task)
        if run is not None and run.order is RunOrder.NONE:
            await self._store.update_run(_stopped(run, RunOrder.STOP, self._clock()))
