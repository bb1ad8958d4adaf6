"""`MemoryTaskStore`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from operator import itemgetter
from typing import TypeVar

from transferhub.errors import ConflictError
from transferhub.model.run import Run, RunState, Task, TaskId
from transferhub.model.transfer import RunId

_Record = TypeVar("_Record", bound=Task | Run)


class MemoryTaskStore:
    """A complete TaskStore that keeps everything in memory."""

    def __init__(self) -> None:
        self._tasks: dict[TaskId, Task] = {}
        self._runs: dict[RunId, Run] = {}

    async def create_task(self, task: Task) -> None:
        if task.ident in self._tasks:
            raise ConflictError(f"Task {task.ident} exists already.")
        self._tasks[task.ident] = task

    async def get_task(self, ident: TaskId) -> Task | None:
        return self._tasks.get(ident)

    async def find_task(self, fingerprint: str) -> Task | None:
        found = (task for task in _newest(self._tasks.values()) if task.fingerprint == fingerprint)
        return next(found, None)

    async def update_task(self, task: Task) -> Task:
        known = self._tasks.get(task.ident)
        if known is None or known.version != task.version:
            raise ConflictError(f"Task {task.ident} was changed by another writer; read it again.")
        updated = replace(task, version=task.version + 1)
        self._tasks[task.ident] = updated
        return updated

    async def tasks(self, *, limit: int = 100) -> Sequence[Task]:
        return _newest(self._tasks.values())[:limit]

    async def create_run(self, run: Run) -> None:
        if run.ident in self._runs:
            raise ConflictError(f"Run {run.ident} exists already.")
        self._runs[run.ident] = run

    async def get_run(self, ident: RunId) -> Run | None:
        return self._runs.get(ident)

    async def update_run(self, run: Run) -> Run:
        known = self._runs.get(run.ident)
        if known is None or known.version != run.version:
            raise ConflictError(f"Run {run.ident} was changed by another writer; read it again.")
        updated = replace(run, version=run.version + 1)
        self._runs[run.ident] = updated
        return updated

    async def runs(
        self, *, task: TaskId | None = None, states: Sequence[RunState] = (), limit: int = 100
    ) -> Sequence[Run]:
        return [
            run
            for run in _newest(self._runs.values())
            if (task is None or run.task == task) and (not states or run.state in states)
        ][:limit]

    async def aclose(self) -> None:
        return


def _newest(created: Iterable[_Record]) -> list[_Record]:
    # The order of creation decides among equal times.
    numbered = [(record.created_at, number, record) for number, record in enumerate(created)]
    return [record for _, _, record in sorted(numbered, key=itemgetter(0, 1), reverse=True)]
