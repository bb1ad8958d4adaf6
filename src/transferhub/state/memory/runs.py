"""`MemoryRuns`: the half of `MemoryTaskStore` that keeps runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count

from transferhub.model.clock import Clock, utc_now
from transferhub.model.pages import ALL_RUNS, Page, RunFilter
from transferhub.model.run import UNDER_WAY_STATES, Run, RunState, TaskId, Trigger
from transferhub.model.transfer import RunId
from transferhub.state.cursors import (
    EXPIRED_RUNS,
    RUNS,
    Place,
    moment_value,
    read_cursor,
    write_cursor,
)
from transferhub.state.refusals import run_changed, run_exists, run_lost


class MemoryRuns:
    """A complete RunStore that keeps everything in memory."""

    def __init__(self, clock: Clock = utc_now) -> None:
        self._clock = clock
        self._numbers = count()
        self._runs: dict[RunId, Run] = {}
        self._run_numbers: dict[RunId, int] = {}
        self._told: dict[RunId, datetime] = {}

    async def create_run(self, run: Run) -> Run:
        occurrence = (run.task, run.scheduled_at)
        for known in self._runs.values():
            if run.scheduled_at is not None and (known.task, known.scheduled_at) == occurrence:
                return known
        if run.ident in self._runs:
            raise run_exists(run.ident)
        self._runs[run.ident] = run
        self._run_numbers[run.ident] = next(self._numbers)
        return run

    async def get_run(self, ident: RunId) -> Run | None:
        return self._runs.get(ident)

    async def update_run(self, run: Run) -> Run:
        known = self._runs.get(run.ident)
        if known is None or known.version != run.version:
            raise run_changed(run.ident)
        return self._put(replace(run, keeper=known.keeper, kept_until=known.kept_until), bump=True)

    async def runs(
        self, chosen: RunFilter = ALL_RUNS, *, after: str = "", limit: int = 100
    ) -> Page[Run]:
        place = read_cursor(RUNS, after, int)
        found = [run for run in self._newest() if chosen.fits(run)]
        if place is not None:
            mark = (place.value, place.number)
            found = [run for run in found if self._place(run) < mark]
        page = tuple(found[:limit])
        more = len(found) > limit and page
        cursor = write_cursor(RUNS, Place(*self._place(page[-1]))) if more else ""
        return Page(items=page, cursor=cursor)

    async def latest_runs(self, tasks: Sequence[TaskId]) -> dict[TaskId, Run]:
        oldest_first = reversed(self._newest())
        return {run.task: run for run in oldest_first if run.task in tasks}

    async def claim_run(self, keeper: str, duration: timedelta) -> Run | None:
        now = self._clock()
        lapsed = [
            (run.kept_until, run)
            for run in self._runs.values()
            if run.state is RunState.RUNNING
            and run.keeper
            and run.kept_until is not None
            and run.kept_until <= now
        ]
        queued = [run for run in self._newest() if run.state is RunState.QUEUED]
        if not lapsed and not queued:
            return None
        run = min(lapsed, key=lambda pair: pair[0])[1] if lapsed else queued[-1]
        claimed = replace(run, state=RunState.RUNNING, keeper=keeper, kept_until=now + duration)
        return self._put(claimed, bump=True)

    async def keep_run(self, run: Run, duration: timedelta) -> Run:
        if not self._has(run):
            raise run_lost(run)
        kept_until = self._clock() + duration
        return self._put(replace(self._runs[run.ident], kept_until=kept_until), bump=False)

    async def expired_runs(
        self, before: datetime, *, after: str = "", limit: int = 100
    ) -> Page[Run]:
        place = read_cursor(EXPIRED_RUNS, after, int)
        mark = (place.value, place.number) if place else (-1, -1)
        newest = {
            run.ident
            for run in (await self.latest_runs([run.task for run in self._runs.values()])).values()
        }
        found = [
            run
            for run in reversed(self._newest())
            if run.state not in UNDER_WAY_STATES
            and run.ended_at is not None
            and run.ended_at < before
            and run.ident not in newest
            and self._place(run) > mark
        ]
        page = tuple(found[:limit])
        more = len(found) > limit and page
        cursor = write_cursor(EXPIRED_RUNS, Place(*self._place(page[-1]))) if more else ""
        return Page(items=page, cursor=cursor)

    async def delete_run(self, run: Run) -> bool:
        known = self._runs.get(run.ident)
        if known is None or known.version != run.version or known.state in UNDER_WAY_STATES:
            return False
        del self._runs[run.ident]
        return True

    async def unknown_runs(self, idents: Sequence[RunId]) -> Sequence[RunId]:
        return [ident for ident in idents if ident not in self._runs]

    async def release_run(self, run: Run) -> None:
        if self._has(run):
            known = self._runs[run.ident]
            queued = replace(known, state=RunState.QUEUED, keeper="", kept_until=None)
            self._put(queued, bump=True)

    async def untold_runs(self, *, limit: int = 100) -> Sequence[Run]:
        ended = [
            (run.ended_at, self._run_numbers[run.ident], run)
            for run in self._runs.values()
            if run.ended_at is not None and run.trigger is not Trigger.COMMAND
        ]
        return [run for at, _, run in sorted(ended) if not self._is_told(run.ident, at)][:limit]

    async def note_told(self, run: Run) -> None:
        if run.ended_at is not None and not self._is_told(run.ident, run.ended_at):
            self._told[run.ident] = run.ended_at

    async def aclose(self) -> None:
        return

    def _is_told(self, ident: RunId, ended_at: datetime) -> bool:
        told = self._told.get(ident)
        return told is not None and told >= ended_at

    def _forget_runs(self, task: TaskId) -> None:
        for run in [run for run in self._runs.values() if run.task == task]:
            del self._runs[run.ident]

    def _has(self, run: Run) -> bool:
        known = self._runs.get(run.ident)
        return (
            known is not None
            and known.state is RunState.RUNNING
            and bool(run.keeper)
            and known.keeper == run.keeper
        )

    def _put(self, run: Run, *, bump: bool) -> Run:
        self._runs[run.ident] = replace(run, version=run.version + bump)
        return self._runs[run.ident]

    def _place(self, run: Run) -> tuple[int, int]:
        return moment_value(run.created_at), self._run_numbers[run.ident]

    def _newest(self) -> list[Run]:
        return sorted(self._runs.values(), key=self._place, reverse=True)
