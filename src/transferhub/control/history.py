"""`History`: the verbs on what runs did, their samples and their logs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from transferhub.control.access import authorise
from transferhub.errors import InputError
from transferhub.model.faults import raise_faults
from transferhub.model.history import HistoryOf, LogLevel, LogPage, OfRun, Point, Sample
from transferhub.model.people import Caller, Role
from transferhub.model.transfer import RunId
from transferhub.state.base import TaskStore
from transferhub.state.history import Logs, Samples

MOST_POINTS = 2_000
MOST_LINES_AT_ONCE = 1_000
MOST_WORDS = 200
"""Characters of what a log is searched for."""


class History:
    """Every verb checks the caller's role first, and raises InputError, naming each field."""

    def __init__(self, tasks: TaskStore, samples: Samples, logs: Logs) -> None:
        self._tasks = tasks
        self._samples = samples
        self._logs = logs

    async def series(
        self,
        caller: Caller,
        of: HistoryOf,
        since: datetime,
        until: datetime,
        *,
        points: int = 200,
    ) -> Sequence[Point]:
        """See `Samples.series`."""
        authorise(caller, Role.VIEWER)
        faults = [_beyond("points", points, MOST_POINTS)]
        if until <= since:
            faults.append(InputError("until", "is not after since"))
        raise_faults(fault for fault in faults if fault)
        await self._check(of)
        return await self._samples.series(of, since, until, points=points)

    async def latest(self, caller: Caller, runs: Sequence[RunId]) -> Mapping[RunId, Sample]:
        """The newest sample of each of these runs that has any."""
        authorise(caller, Role.VIEWER)
        return await self._samples.latest(runs)

    async def logs(
        self,
        caller: Caller,
        of: HistoryOf,
        *,
        level: LogLevel = LogLevel.DEBUG,
        words: str = "",
        after: int | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> LogPage:
        """See `Logs.page`."""
        authorise(caller, Role.VIEWER)
        faults = [_beyond("limit", limit, MOST_LINES_AT_ONCE)]
        if after is not None and before is not None:
            faults.append(InputError("before", "does not go with after"))
        if len(words) > MOST_WORDS:
            faults.append(InputError("words", f"are more than {MOST_WORDS} characters"))
        raise_faults(fault for fault in faults if fault)
        await self._check(of)
        return await self._logs.page(
            of, level=level, words=words, after=after, before=before, limit=limit
        )

    async def _check(self, of: HistoryOf) -> None:
        """What is not there has no history."""
        if isinstance(of, OfRun):
            if await self._tasks.get_run(of.run) is None:
                raise InputError("run", f"there is no run {of.run[:64]!r}", code="no_run")
        elif await self._tasks.get_task(of.task) is None:
            raise InputError("task", f"there is no task {of.task[:64]!r}", code="no_task")


def _beyond(field: str, number: int, most: int) -> InputError | None:
    if 1 <= number <= most:
        return None
    return InputError(field, f"must be from 1 to {most:,}")
