"""`MemoryTaskStore`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, assert_never

from transferhub.errors import ConflictError
from transferhub.model.clock import Clock, utc_now
from transferhub.model.pages import (
    ALL_TASKS,
    Page,
    TaskFilter,
    TaskSort,
    search_text,
    search_words,
    sort_name,
)
from transferhub.model.run import Task, TaskId, TaskState
from transferhub.state.cursors import (
    Place,
    moment_value,
    order_of_tasks,
    read_cursor,
    write_cursor,
)
from transferhub.state.memory.runs import MemoryRuns


class MemoryTaskStore(MemoryRuns):
    """A complete TaskStore that keeps everything in memory."""

    def __init__(self, clock: Clock = utc_now) -> None:
        super().__init__(clock)
        self._tasks: dict[TaskId, Task] = {}
        self._task_numbers: dict[TaskId, int] = {}
        self._versions: dict[TaskId, dict[int, Task]] = {}

    async def create_task(self, task: Task) -> None:
        if task.ident in self._tasks:
            raise ConflictError(f"Task {task.ident} exists already.")
        self._task_numbers[task.ident] = next(self._numbers)
        self._put_task(task)

    async def get_task(self, ident: TaskId) -> Task | None:
        return self._tasks.get(ident)

    async def find_task(self, fingerprint: str, *, owner: str = "") -> Task | None:
        wanted = (fingerprint, owner)
        tasks = self._tasks.values()
        found = [task for task in tasks if (task.fingerprint, task.owner) == wanted]
        return max(found, key=lambda task: self._task_place(task, TaskSort.CREATED), default=None)

    async def update_task(self, task: Task) -> Task:
        known = self._tasks.get(task.ident)
        if known is None or known.version != task.version:
            raise ConflictError(f"Task {task.ident} was changed by another writer; read it again.")
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
        order = order_of_tasks(sort, descending=descending)
        place = read_cursor(order, after, str if sort is TaskSort.NAME else int)
        found = [(self._task_place(task, sort), task) for task in self._tasks.values()]
        found = [pair for pair in found if _fits(pair[1], chosen)]
        found.sort(key=lambda pair: pair[0], reverse=descending)
        total = len(found)
        if place is not None:
            mark = (place.value, place.number)
            found = [pair for pair in found if (pair[0] < mark if descending else pair[0] > mark)]
        page = found[:limit]
        cursor = write_cursor(order, Place(*page[-1][0])) if page and len(found) > limit else ""
        return Page(items=tuple(task for _, task in page), cursor=cursor, total=total)

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

    def _task_place(self, task: Task, sort: TaskSort) -> tuple[Any, int]:
        return _sort_value(task, sort), self._task_numbers[task.ident]


def _sort_value(task: Task, sort: TaskSort) -> int | str:
    match sort:
        case TaskSort.CREATED:
            return moment_value(task.created_at)
        case TaskSort.UPDATED:
            return moment_value(task.updated_at)
        case TaskSort.NEXT_RUN:
            return moment_value(task.next_run_at)
        case TaskSort.NAME:
            return sort_name(task)
        case _:
            assert_never(sort)


def _fits(task: Task, chosen: TaskFilter) -> bool:
    return (
        (chosen.state is None or task.state is chosen.state)
        and (not chosen.tag or chosen.tag in task.tags)
        and (not chosen.owner or task.owner == chosen.owner)
        and (not chosen.kind or task.kind == chosen.kind)
        and all(word in search_text(task) for word in search_words(chosen.words))
    )
