"""`MemoryTaskStore`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from transferhub.model.clock import Clock, utc_now
from transferhub.model.pages import ALL_TASKS, Page, TaskFilter, TaskSort
from transferhub.model.run import Task, TaskId, TaskState
from transferhub.state.memory.runs import MemoryRuns
from transferhub.state.refusals import task_changed, task_exists
from transferhub.state.task_lines import TaskLine, page_of_lines


class MemoryTaskStore(MemoryRuns):
    """A complete TaskStore that keeps everything in memory."""

    def __init__(self, clock: Clock = utc_now) -> None:
        super().__init__(clock)
        self._tasks: dict[TaskId, Task] = {}
        self._task_numbers: dict[TaskId, int] = {}
        self._versions: dict[TaskId, dict[int, Task]] = {}

    async def create_task(self, task: Task) -> None:
        if task.ident in self._tasks:
            raise task_exists(task.ident)
        self._task_numbers[task.ident] = next(self._numbers)
        self._put_task(task)

    async def get_task(self, ident: TaskId) -> Task | None:
        return self._tasks.get(ident)

    async def find_task(self, fingerprint: str, *, owner: str = "") -> Task | None:
        wanted = (fingerprint, owner)
        tasks = self._tasks.values()
        found = [task for task in tasks if (task.fingerprint, task.owner) == wanted]
        return max(found, key=self._age, default=None)

    async def update_task(self, task: Task) -> Task:
        known = self._tasks.get(task.ident)
        if known is None or known.version != task.version:
            raise task_changed(task.ident)
        return self._put_task(replace(task, version=task.version + 1))

    async def task_version(self, ident: TaskId, version: int) -> Task | None:
        return self._versions.get(ident, {}).get(version)

    async def task_versions(self, ident: TaskId, *, limit: int = 100) -> Sequence[Task]:
        return [*reversed(self._versions.get(ident, {}).values())][:limit]

    async def delete_task(self, ident: TaskId, *, with_runs: bool) -> bool:
        found = self._tasks.pop(ident, None) is not None
        if found and with_runs:
            self._versions.pop(ident)
            self._forget_runs(ident)
        return found

    async def tasks(
        self,
        chosen: TaskFilter = ALL_TASKS,
        *,
        sort: TaskSort = TaskSort.CREATED,
        descending: bool = True,
        after: str = "",
        limit: int = 100,
    ) -> Page[Task]:
        page = page_of_lines(
            (TaskLine.of(task, self._task_numbers[task.ident]) for task in self._tasks.values()),
            chosen,
            sort=sort,
            descending=descending,
            after=after,
            limit=limit,
        )
        items = tuple(self._tasks[line.ident] for line in page.items)
        return Page(items=items, cursor=page.cursor, total=page.total)

    async def due_tasks(
        self, until: datetime, *, after: tuple[datetime, TaskId] | None = None, limit: int = 100
    ) -> Sequence[Task]:
        due = [
            ((task.next_run_at, task.ident), task)
            for task in self._tasks.values()
            if task.state is TaskState.ACTIVE
            and task.next_run_at is not None
            and task.next_run_at <= until
        ]
        due.sort(key=lambda pair: pair[0])
        return [task for place, task in due if after is None or place > after][:limit]

    async def event_tasks(self) -> Sequence[Task]:
        return [task for _, task in sorted(self._tasks.items()) if task.events]

    async def plan_task(
        self, ident: TaskId, known: datetime | None, next_run_at: datetime | None
    ) -> bool:
        task = self._tasks.get(ident)
        if task is None or task.next_run_at != known:
            return False
        self._put_task(replace(task, next_run_at=next_run_at))
        return True

    def _put_task(self, task: Task) -> Task:
        self._tasks[task.ident] = task
        self._versions.setdefault(task.ident, {})[task.version] = task
        return task

    def _age(self, task: Task) -> tuple[datetime, int]:
        return task.created_at, self._task_numbers[task.ident]
