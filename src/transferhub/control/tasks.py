"""`Tasks`: the verbs on tasks."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from transferhub.control.access import authorise
from transferhub.control.journal import Journal
from transferhub.control.schedule import next_runs
from transferhub.control.specs import Spec
from transferhub.control.usual import is_usual, usual_schedule
from transferhub.errors import ConflictError, InputError, MoveError
from transferhub.model.clock import Clock
from transferhub.model.faults import flatten, raise_faults
from transferhub.model.limits import TaskLimits
from transferhub.model.pages import ALL_TASKS, Page, RunFilter, TaskFilter, TaskSort
from transferhub.model.people import Caller, Role
from transferhub.model.run import UNDER_WAY_STATES, Run, Task, TaskId, TaskState, Trigger
from transferhub.model.schedule import Schedule
from transferhub.state.base import Ledger, TaskStore

_LONGEST_NAME = 200
_LONGEST_DESCRIPTION = 2_000
_MOST_TAGS = 20
_TAG = re.compile(r"[^\s,]{1,64}")
_PAGE = 1_000

ParseSpec = Callable[[Mapping[str, Any]], Spec]
"""Reads the parameters of one kind of task; raises InputError, naming each field."""


Admit = Callable[[Spec], Awaitable[None]]
"""Refuses what a task may not reach: raises InputError, naming each field."""

NewIdent = Callable[[], str]
"""Gives an id that no task or run has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskDraft:
    """What a person says of a task.

    Attributes:
        kind: "objects".
        spec: the plugin's parameters, by field name.
        schedule: as `Schedule.from_json` reads it; {} for none; None for what is usual of the kind.
        limits: as `TaskLimits.from_json` reads them.
    """

    name: str
    kind: str
    spec: Mapping[str, Any]
    description: str = ""
    tags: Sequence[str] = ()
    schedule: Mapping[str, Any] | None = None
    limits: Mapping[str, Any] = field(default_factory=dict)


class Tasks:
    """Every verb checks the caller's role first; what changes something is noted in the audit
    log."""

    def __init__(
        self,
        store: TaskStore,
        ledger: Ledger,
        journal: Journal,
        plugins: Mapping[str, ParseSpec],
        *,
        admit: Admit,
        clock: Clock,
        new_ident: NewIdent,
    ) -> None:
        """Args:
        plugins: by the kind of task that each one is for.
        admit: asked of each spec before a task has it.
        """
        self._store = store
        self._ledger = ledger
        self._journal = journal
        self._plugins = plugins
        self._admit = admit
        self._clock = clock
        self._new_ident = new_ident

    # Looking

    async def get(self, caller: Caller, ident: TaskId) -> Task:
        """Raises InputError where there is none."""
        authorise(caller, Role.VIEWER)
        return await find_task(self._store, ident)

    async def page(
        self,
        caller: Caller,
        chosen: TaskFilter = ALL_TASKS,
        *,
        sort: TaskSort = TaskSort.CREATED,
        descending: bool = True,
        after: str = "",
        limit: int = 100,
    ) -> Page[Task]:
        authorise(caller, Role.VIEWER)
        return await self._store.tasks(
            chosen, sort=sort, descending=descending, after=after, limit=limit
        )

    async def versions(self, caller: Caller, ident: TaskId) -> Sequence[Task]:
        """The newest first."""
        authorise(caller, Role.VIEWER)
        await find_task(self._store, ident)
        return await self._store.task_versions(ident)

    async def upcoming(self, caller: Caller, ident: TaskId, count: int) -> Sequence[datetime]:
        """The moments of the task's next runs, as if it were not paused."""
        authorise(caller, Role.VIEWER)
        return _upcoming(await find_task(self._store, ident), self._clock(), count)

    async def planned(
        self, caller: Caller, schedule: Mapping[str, Any], count: int
    ) -> Sequence[datetime]:
        """The same of a schedule that no task has yet.

        Args:
            schedule: as `Schedule.from_json` reads it.
        """
        authorise(caller, Role.VIEWER)
        return next_runs(Schedule.from_json(schedule), self._clock(), count)

    # Changing

    async def create(self, caller: Caller, draft: TaskDraft) -> Task:
        """Raises InputError, naming each field; nothing is created then."""
        authorise(caller, Role.OPERATOR)
        task = await self._made(caller, draft)
        await self._store.create_task(task)
        await self._journal.note(caller, "task.create", task.ident, after=_told(task))
        return task

    async def update(
        self, caller: Caller, ident: TaskId, draft: TaskDraft, *, version: int | None = None
    ) -> Task:
        """Replaces what the draft says; runs that are under way go on as they are.

        Args:
            version: the one that the change was made from; another writer's is not overwritten.

        Raises:
            ConflictError: the task was changed meanwhile.
        """
        authorise(caller, Role.OPERATOR)
        former = await find_task(self._store, ident)
        if version is not None and version != former.version:
            raise ConflictError(
                f"Task {ident} was changed meanwhile: it is at version {former.version}, and you"
                f" changed version {version}; look at it again."
            )
        if draft.kind != former.kind:
            raise InputError("kind", f"is {former.kind!r} and stays so; create another task")
        made = replace(
            await self._made(caller, draft, former),
            owner=former.owner or caller.name,
            created_at=former.created_at,
            state=former.state,
            events=former.events,
            version=former.version,
        )
        return await self._replace(caller, "task.update", former, made)

    async def clone(self, caller: Caller, ident: TaskId, name: str) -> Task:
        """A new task, paused, so that nothing starts until somebody has looked at it."""
        authorise(caller, Role.OPERATOR)
        former = await find_task(self._store, ident)
        draft = TaskDraft(
            name=name,
            kind=former.kind,
            spec=former.spec,
            description=former.description,
            tags=former.tags,
            schedule=former.schedule,
            limits=former.limits,
        )
        task = replace(await self._made(caller, draft), state=TaskState.PAUSED)
        await self._store.create_task(task)
        await self._journal.note(
            caller, "task.clone", task.ident, after={**_told(task), "from": former.ident}
        )
        return task

    async def pause(self, caller: Caller, ident: TaskId) -> Task:
        """No schedule and no event starts a run of it; a run under way goes on.

        Raises:
            MoveError: it is paused.
        """
        authorise(caller, Role.OPERATOR)
        return await self._move(caller, "task.pause", ident, TaskState.PAUSED)

    async def resume(self, caller: Caller, ident: TaskId) -> Task:
        """Runs that its schedule missed are not caught up: pausing was meant.

        Raises:
            MoveError: it is active.
        """
        authorise(caller, Role.OPERATOR)
        return await self._move(caller, "task.resume", ident, TaskState.ACTIVE)

    async def set_limits(self, caller: Caller, ident: TaskId, limits: Mapping[str, Any]) -> Task:
        """Replaces all limits; a run under way keeps to them within seconds.

        Args:
            limits: as `TaskLimits.from_json` reads them.
        """
        authorise(caller, Role.OPERATOR)
        task = await find_task(self._store, ident)
        limited = replace(
            task, limits=TaskLimits.from_json(limits).to_json(), updated_at=self._clock()
        )
        return await self._replace(caller, "task.limits", task, limited)

    async def delete(self, caller: Caller, ident: TaskId, *, purge: bool) -> None:
        """Runs stay known, with their totals and reports, unless they are purged.

        Args:
            purge: its runs, with their totals and transfers, are deleted too.

        Raises:
            MoveError: a run of it is under way.
        """
        authorise(caller, Role.ADMIN if purge else Role.OPERATOR)
        task = await find_task(self._store, ident)
        under_way = await run_under_way(self._store, ident, of_events=True)
        if under_way is not None:
            raise MoveError(
                f"Run {under_way.ident} of task {ident} is {under_way.state}; stop it first."
            )
        runs = [run async for run in self._runs(ident)] if purge else []
        await self._store.delete_task(ident, with_runs=purge)
        for run in runs:
            await self._ledger.purge(run.ident)
        await self._journal.note(
            caller, "task.purge" if purge else "task.delete", ident, before=_told(task)
        )

    # Steps

    async def _made(self, caller: Caller, draft: TaskDraft, former: Task | None = None) -> Task:
        """The task of a draft, all of whose faults are told at once."""
        ident = former.ident if former else TaskId(self._new_ident())
        now = self._clock()
        faults = list(faults_of_words(draft))
        spec = await self._spec(draft, faults)
        if draft.schedule is None:
            draft = replace(draft, schedule=_usual(draft.kind, former, now))
        schedule, limits = _schedule(draft, faults), _limits(draft, faults)
        raise_faults(faults)
        assert spec is not None
        task = Task(
            ident=ident,
            name=draft.name.strip(),
            kind=draft.kind,
            spec=spec.to_json(),
            fingerprint=spec.fingerprint(),
            created_at=now,
            updated_at=now,
            description=draft.description.strip(),
            owner=caller.name,
            tags=tuple(dict.fromkeys(draft.tags)),
            schedule=schedule.to_json() if schedule else {},
            limits=limits.to_json(),
        )
        return replace(task, next_run_at=next(iter(_upcoming(task, now, 1)), None))

    async def _spec(self, draft: TaskDraft, faults: list[InputError]) -> Spec | None:
        parse = self._plugins.get(draft.kind)
        if parse is None:
            known = " or ".join(self._plugins)
            faults.append(InputError("kind", f"{draft.kind!r} is no kind of task; write {known}"))
            return None
        try:
            spec = parse(draft.spec)
            await self._admit(spec)
        except InputError as error:
            faults += [
                InputError(
                    f"spec.{one.field}", one.message.removeprefix(f"{one.field}: "), code=one.code
                )
                for one in flatten([error])
            ]
            return None
        return spec

    async def _move(self, caller: Caller, action: str, ident: TaskId, to: TaskState) -> Task:
        task = await find_task(self._store, ident)
        if task.state is to:
            raise MoveError(f"Task {ident} is {task.state} already.")
        now = self._clock()
        moved = replace(task, state=to, updated_at=now)
        if to is TaskState.ACTIVE:
            moved = replace(moved, next_run_at=next(iter(_upcoming(task, now, 1)), None))
        return await self._replace(caller, action, task, moved)

    async def _replace(self, caller: Caller, action: str, former: Task, task: Task) -> Task:
        updated = await self._store.update_task(task)
        await self._journal.note(
            caller, action, task.ident, before=_told(former), after=_told(updated)
        )
        return updated

    async def _runs(self, ident: TaskId) -> AsyncIterator[Run]:
        after = ""
        while True:
            page = await self._store.runs(RunFilter(task=ident), after=after, limit=_PAGE)
            for run in page.items:
                yield run
            if not page.cursor:
                return
            after = page.cursor


async def find_task(store: TaskStore, ident: TaskId) -> Task:
    """Raises InputError where there is none."""
    task = await store.get_task(ident)
    if task is None:
        raise InputError("task", f"there is no task {ident[:64]!r}", code="no_task")
    return task


async def run_under_way(store: TaskStore, ident: TaskId, *, of_events: bool = False) -> Run | None:
    """The newest run of the task that waits or runs.

    Args:
        of_events: also one of events, which gives way to any other.
    """
    chosen = RunFilter(task=ident, states=tuple(sorted(UNDER_WAY_STATES)))
    under_way = (await store.runs(chosen)).items
    return next((run for run in under_way if of_events or run.trigger is not Trigger.EVENT), None)


def faults_of_words(draft: TaskDraft) -> Iterator[InputError]:
    """Of its name, description and tags."""
    name = draft.name.strip()
    if not 0 < len(name) <= _LONGEST_NAME or not name.isprintable():
        yield InputError("name", f"give it a name of 1 to {_LONGEST_NAME} characters")
    if len(draft.description) > _LONGEST_DESCRIPTION:
        yield InputError("description", f"is longer than {_LONGEST_DESCRIPTION:,} characters")
    if len(draft.tags) > _MOST_TAGS:
        yield InputError("tags", f"are more than {_MOST_TAGS}")
    bad = next((tag for tag in draft.tags if not _TAG.fullmatch(tag)), None)
    if bad is not None:
        yield InputError("tags", f"{bad[:80]!r} is none: 1 to 64 characters, no space, no comma")


def _usual(kind: str, former: Task | None, now: datetime) -> Mapping[str, Any]:
    """What a task has of whom nobody says when it runs; it goes on counting from where it did."""
    if former is not None and is_usual(kind, former.schedule):
        return former.schedule
    return usual_schedule(kind, now)


def _schedule(draft: TaskDraft, faults: list[InputError]) -> Schedule | None:
    if not draft.schedule:
        return None
    try:
        return Schedule.from_json(draft.schedule)
    except InputError as error:
        faults.append(error)
        return None


def _limits(draft: TaskDraft, faults: list[InputError]) -> TaskLimits:
    try:
        return TaskLimits.from_json(draft.limits)
    except InputError as error:
        faults.append(error)
        return TaskLimits()


def _upcoming(task: Task, now: datetime, count: int) -> list[datetime]:
    if not task.schedule:
        return []
    return next_runs(Schedule.from_json(task.schedule), now, count, key=task.ident)


def _told(task: Task) -> Mapping[str, Any]:
    """For the audit log."""
    return {
        "name": task.name,
        "kind": task.kind,
        "spec": task.spec,
        "description": task.description,
        "tags": list(task.tags),
        "schedule": task.schedule,
        "limits": task.limits,
        "events": task.events,
        "state": task.state.value,
        "version": task.version,
    }
