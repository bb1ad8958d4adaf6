"""`Lookout`: sees what people are to be told of."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta

from transferhub.control.notices import Notices
from transferhub.control.occupant import Occupant
from transferhub.control.waiting import Wait, wait
from transferhub.errors import LeaseLostError, StateError
from transferhub.model.clock import Clock
from transferhub.model.notice import Cause, Notice, NoticeKind
from transferhub.model.pages import RunFilter
from transferhub.model.run import Run, RunState, TaskId
from transferhub.model.transfer import Action, Totals, TransferState
from transferhub.state.base import Ledger, Seats, TaskStore

log = logging.getLogger(__name__)

SEAT = "lookout"
INTERVAL = timedelta(seconds=2)
SEAT_DURATION = timedelta(seconds=20)
LONGEST_LAG = timedelta(minutes=10)
"""Events that wait for longer are told of, once an hour."""

GUARDS = frozenset({"guard", "max_delete", "max_delete_percent"})
"""Error codes of runs that a guard stopped."""

Lags = Callable[[], Awaitable[Mapping[TaskId, datetime]]]
"""Of each task with events: since when its oldest one waits."""

_MOST_KEYS = 5
_PAGE = 100
_KINDS = {
    RunState.SUCCEEDED: NoticeKind.RUN_FINISHED,
    RunState.COMPLETED_WITH_FAILURES: NoticeKind.COMPLETED_WITH_FAILURES,
    RunState.FAILED: NoticeKind.RUN_FAILED,
}


async def no_lags() -> Mapping[TaskId, datetime]:
    """Where no task has events."""
    return {}


class Lookout:
    """One of the lookouts of a hub; the one that holds the seat looks.

    What was told is kept with each run, so that the death of a worker, a server or a lookout loses
    no notice, and none is told twice.

    Args:
        holder: names this one among the lookouts.
        wait: returns once the event is set, after the duration at the latest.
    """

    def __init__(
        self,
        store: TaskStore,
        ledger: Ledger,
        seats: Seats,
        notices: Notices,
        *,
        holder: str,
        clock: Clock,
        lags: Lags = no_lags,
        wait: Wait = wait,
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._notices = notices
        self._occupant = Occupant(
            seats, SEAT, holder, duration=SEAT_DURATION, renew_after=INTERVAL, clock=clock
        )
        self._clock = clock
        self._lags = lags
        self._wait = wait
        self._told: frozenset[str] = frozenset()

    async def run(self, stop: asyncio.Event) -> None:
        """Looks until `stop` is set, whatever fails; then gives the seat up."""
        while not stop.is_set():
            try:
                await self.tick()
            except StateError as error:
                log.warning("the state: %s", error.message, extra={"action": "lookout_state"})
            except Exception:
                log.exception("the lookout will look again", extra={"action": "lookout_failed"})
            await self._wait(stop, INTERVAL)
        await self._occupant.leave()

    async def tick(self) -> bool:
        """Tells what is new, if this one holds the seat; returns whether it does.

        Raises:
            StateError: the state cannot be used; what was told stays told.
        """
        try:
            await self._occupant.sit()
        except LeaseLostError:
            return False
        await self._see_ends()
        failing, lagging = await self._see_failures(), await self._see_lags()
        self._told = frozenset((*failing, *lagging))
        return True

    async def _see_ends(self) -> None:
        """Told first, and noted with the run then: between the two it can only be told again, which
        does nothing."""
        for run in await self._store.untold_runs(limit=_PAGE):
            notice = await self._end(run)
            if notice is not None:
                await self._notices.tell(notice)
            await self._store.note_told(run)

    async def _see_failures(self) -> Sequence[str]:
        """Told at the first failure, and whenever there are ten times as many. Returns the ids."""
        now, idents = self._clock(), []
        chosen = RunFilter(states=(RunState.RUNNING,))
        for run in (await self._store.runs(chosen, limit=_PAGE)).items:
            failed = _failed(await self._ledger.totals(run.ident)) if run.keeper else 0
            ident = f"failing:{run.ident}:{run.resumed}:{len(str(failed))}"
            if not failed:
                continue
            idents.append(ident)
            if ident not in self._told:
                await self._notices.tell(
                    await self._notice(run, NoticeKind.DEAD_LETTERS, ident, now)
                )
        return idents

    async def _see_lags(self) -> Sequence[str]:
        """Returns the ids of the notices."""
        now, idents = self._clock(), []
        for task, since in (await self._lags()).items():
            ident = f"lag:{task}:{now:%Y%m%d%H}"
            if now - since <= LONGEST_LAG:
                continue
            idents.append(ident)
            if ident not in self._told:
                await self._notices.tell(await self._lag(task, ident, now - since))
        return idents

    async def _lag(self, task: TaskId, ident: str, lag: timedelta) -> Notice:
        return Notice(
            ident=ident,
            kind=NoticeKind.EVENT_LAG,
            at=self._clock(),
            task=task,
            task_name=await self._name_of(task),
            lag=lag.total_seconds(),
        )

    async def _end(self, run: Run) -> Notice | None:
        """None where a person ended it."""
        kind = NoticeKind.GUARD_TRIPPED if run.error_code in GUARDS else _KINDS.get(run.state)
        if kind is None or run.state is RunState.CANCELLED or run.ended_at is None:
            return None
        ident = f"ended:{run.ident}:{run.ended_at.isoformat()}"
        return await self._notice(run, kind, ident, run.ended_at)

    async def _notice(self, run: Run, kind: NoticeKind, ident: str, at: datetime) -> Notice:
        totals = await self._ledger.totals(run.ident)
        failed = _failed(totals)
        groups = await self._ledger.failure_groups(run.ident) if failed else ()
        first = await self._ledger.failures(run.ident, limit=_MOST_KEYS) if failed else ()
        began = run.started_at or run.created_at
        task = await self._store.get_task(run.task)
        return Notice(
            ident=ident,
            kind=kind,
            at=at,
            task=run.task,
            task_name=run.task if task is None else task.name,
            task_kind="" if task is None else task.kind,
            run=run.ident,
            objects=totals.tally(Action.COPY, TransferState.DONE).count,
            bytes=totals.moved_bytes,
            seconds=max((at - began).total_seconds(), 0.0),
            failed=failed,
            causes=tuple(Cause(code=group.code, count=group.count) for group in groups),
            keys=tuple(record.transfer.key for record in first),
            code=run.error_code,
            detail=run.error,
        )

    async def _name_of(self, ident: TaskId) -> str:
        task = await self._store.get_task(ident)
        return task.name if task is not None else ident


def _failed(totals: Totals) -> int:
    return sum(totals.tally(action, TransferState.FAILED).count for action in Action)
