"""`AwsTaskStore`: how tasks and runs lie in the hub's table.

    item                      pk                            sk
    a task                    task#ID                       task
    its former versions       task#ID                       version#N
    a run                     run#ID                        run
    a moment's run            moment#MOMENT#TASK            moment
    the numbers given         numbers                       numbers

    read                      pk of the view                in the order of
    tasks, all sorts          tasks                         id; sorted once they are read
    find_task                 tasks-like#FINGERPRINT#OWNER  creation
    due_tasks                 tasks-due                     next_run_at, id
    event_tasks               tasks-events                  id
    runs, expired_runs        runs                          creation
    runs by trigger           runs-by#TRIGGER               creation
    runs by state             runs-in#GROUP                 creation
    runs, latest_runs         runs-of#TASK                  creation
    runs by task and state    runs-of-in#GROUP#TASK         creation
    claim_run                 runs-kept, then runs-queued   kept_until; creation
    untold_runs               runs-untold                   ended_at

Nothing is scanned, and every read is consistent: a list never lags behind what it lists. Each GROUP
is a state, but QUEUED and RUNNING are one, so that a run which is claimed while they are read is
never missing. A page of runs is one query and one read of its runs, however many there are. Only
`tasks` reads an entry of each task, since it counts them too: some hundred bytes, so a megabyte for
some thousands. Each group of states is a query of its own.

A run and its entries, a run and the moment of a schedule that it alone was started for, a task and
its former version: what belongs together is written in one transaction, held by the edition of the
item that was read. Whoever finds it changed reads it again, and decides again.

Nothing has `expires`: runs end by `expired_runs`, together with what the ledger knows of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from transferhub.aws.attributes import Item
from transferhub.aws.table import Put
from transferhub.model.pages import ALL_TASKS, Page, TaskFilter, TaskSort
from transferhub.model.run import Task, TaskId, TaskState
from transferhub.state.aws.runs import AwsRuns
from transferhub.state.aws.task_items import (
    ALL,
    DUE,
    EVENTS,
    ListedTask,
    due_place,
    facts_to_line,
    like,
    task_key,
    to_task,
    version_key,
    versions,
)
from transferhub.state.aws.views import moment_text
from transferhub.state.refusals import task_changed, task_exists
from transferhub.state.task_lines import page_of_lines
from transferhub.state.values import to_micros

_NEXT = "\x00"
"""Makes a text the first one after it."""

_LAST = "~"


class AwsTaskStore(AwsRuns):
    """A TaskStore in DynamoDB."""

    async def create_task(self, task: Task) -> None:
        number = await self._items.next_number()
        if not await self._items.change(None, ListedTask(task=task, number=number)):
            raise task_exists(task.ident)

    async def get_task(self, ident: TaskId) -> Task | None:
        found = await self._find_task(ident)
        return None if found is None else found.task

    async def find_task(self, fingerprint: str, *, owner: str = "") -> Task | None:
        view = like(fingerprint, owner)
        newest = await self._items.view(view, descending=True, limit=1)
        found = await self._tasks(newest)
        return found[0] if found else None

    async def update_task(self, task: Task) -> Task:
        while (known := await self._find_task(task.ident)) is not None:
            if known.task.version != task.version:
                break
            updated = known.with_task(replace(task, version=task.version + 1))
            if await self._items.change(known, updated, Put(known.former)):
                return updated.task
        raise task_changed(task.ident)

    async def task_version(self, ident: TaskId, version: int) -> Task | None:
        known = await self._find_task(ident)
        if known is not None and known.task.version == version:
            return known.task
        # Read after the task: a version that it had a moment ago is kept by now.
        former = await self._items.find(version_key(ident, version))
        return None if former is None else to_task(former)

    async def task_versions(self, ident: TaskId, *, limit: int = 100) -> Sequence[Task]:
        known = await self._find_task(ident)
        partition, low, high = versions(ident)
        former = await self._items.view(partition, low=low, high=high, descending=True, limit=limit)
        found = {task.version: task for task in map(to_task, former)}
        if known is not None:
            found[known.task.version] = known.task
        return [found[version] for version in sorted(found, reverse=True)][:limit]

    async def delete_task(self, ident: TaskId, *, with_runs: bool) -> bool:
        """Its runs and versions go before the task, and once more after it."""
        if not with_runs:
            return await self._delete_task(ident, keeps_version=True)
        if await self._find_task(ident) is None:
            return False
        await self._delete_history(ident)
        found = await self._delete_task(ident, keeps_version=False)
        await self._delete_history(ident)
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
            map(facts_to_line, await self._items.view(ALL)),
            chosen,
            sort=sort,
            descending=descending,
            after=after,
            limit=limit,
        )
        found = await self._tasks([{"ident": line.ident} for line in page.items])
        return Page(items=tuple(found), cursor=page.cursor, total=page.total)

    async def due_tasks(
        self, until: datetime, *, after: tuple[datetime, TaskId] | None = None, limit: int = 100
    ) -> Sequence[Task]:
        entries = await self._items.view(
            DUE,
            low=due_place(*after) + _NEXT if after else "",
            high=moment_text(to_micros(until)) + _LAST,
            limit=limit,
        )
        places = {entry["sk"] for entry in entries}
        return [
            task
            for task in await self._tasks(entries)
            if task.state is TaskState.ACTIVE
            and task.next_run_at is not None
            and due_place(task.next_run_at, task.ident) in places
        ]

    async def event_tasks(self) -> Sequence[Task]:
        return [task for task in await self._tasks(await self._items.view(EVENTS)) if task.events]

    async def plan_task(
        self, ident: TaskId, known: datetime | None, next_run_at: datetime | None
    ) -> bool:
        while (found := await self._find_task(ident)) is not None:
            if found.task.next_run_at != known:
                return False
            planned = found.with_task(replace(found.task, next_run_at=next_run_at))
            if await self._items.change(found, planned):
                return True
        return False

    async def _delete_task(self, ident: TaskId, *, keeps_version: bool) -> bool:
        while (known := await self._find_task(ident)) is not None:
            former = [Put(known.former)] if keeps_version else []
            if await self._items.change(known, None, *former):
                return True
        return False

    async def _delete_history(self, ident: TaskId) -> None:
        await self._delete_runs_of(ident)
        partition, low, high = versions(ident)
        former = await self._items.view(partition, low=low, high=high)
        await self._items.delete([{"pk": item["pk"], "sk": item["sk"]} for item in former])

    async def _tasks(self, entries: Sequence[Item]) -> list[Task]:
        """The tasks of entries, in their order, but for those that are gone."""
        idents = [TaskId(entry["ident"]) for entry in entries]
        items = await self._items.find_many([task_key(ident) for ident in idents])
        found = {item["ident"]: to_task(item) for item in items}
        return [found[ident] for ident in idents if ident in found]

    async def _find_task(self, ident: TaskId) -> ListedTask | None:
        item = await self._items.find(task_key(ident))
        return None if item is None else ListedTask.of(item)
