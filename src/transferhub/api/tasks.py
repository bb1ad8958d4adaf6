"""Answers about tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic.alias_generators import to_camel

from transferhub.api.reading import (
    Arguments,
    Json,
    as_fields,
    given,
    member_of,
    moment,
    page_size,
    told,
    whole,
)
from transferhub.api.runs import told_runs
from transferhub.api.specs import FORMS, kind_of
from transferhub.control.hub import Hub
from transferhub.control.tasks import TaskDraft
from transferhub.errors import InputError
from transferhub.model.event import SourceKind
from transferhub.model.pages import TaskFilter, TaskSort
from transferhub.model.people import Caller
from transferhub.model.run import Task, TaskId, TaskState

EVENT_KINDS = {SourceKind.SQS: "QUEUE", SourceKind.WEBHOOK: "WEBHOOK"}
"""As the schema spells them."""

_USUAL: Mapping[str, object] = {
    "zone": "UTC",
    "jitter": "0s",
    "overlap": "SKIP",
    "catchUp": "ONE",
    "mostCaughtUp": 10,
    "windows": [],
}
"""Defaults of a ScheduleInput, which GraphQL fills in where nothing is given."""

_MOST_MOMENTS = 100


async def page(hub: Hub, arguments: Arguments, caller: Caller) -> Json:
    only = given(arguments, "filter", {})
    state = only.get("state")
    found = await hub.tasks.page(
        caller,
        TaskFilter(
            state=None if state is None else member_of(TaskState, state),
            tag=given(only, "tag", ""),
            owner=given(only, "owner", ""),
            kind=given(only, "kind", "").lower(),
            words=given(arguments, "search", ""),
        ),
        sort=member_of(TaskSort, given(arguments, "sort", "CREATED")),
        descending=given(arguments, "descending", True),
        after=given(arguments, "after", ""),
        limit=page_size(arguments),
    )
    items = await _told_with_runs(hub, caller, found.items)
    return {"items": items, "cursor": found.cursor or None, "total": found.total}


async def get(hub: Hub, arguments: Arguments, caller: Caller) -> Json:
    return await told_with_run(hub, caller, await hub.tasks.get(caller, TaskId(arguments["id"])))


async def versions(hub: Hub, arguments: Arguments, caller: Caller) -> list[Json]:
    return [told_task(task) for task in await hub.tasks.versions(caller, TaskId(arguments["id"]))]


async def next_runs(hub: Hub, arguments: Arguments, caller: Caller) -> list[str | None]:
    task, schedule = arguments.get("task"), arguments.get("schedule")
    count = page_size(arguments, default=3, most=_MOST_MOMENTS)
    if (task is None) == (schedule is None):
        raise InputError("task", "give a task or a schedule, and not both")
    if schedule is None:
        moments = await hub.tasks.upcoming(caller, TaskId(str(task)), count)
    else:
        moments = await hub.tasks.planned(caller, _schedule(schedule), count)
    return [moment(at) for at in moments]


async def create(hub: Hub, arguments: Arguments, caller: Caller) -> Json:
    return told_task(await hub.tasks.create(caller, _draft(arguments)))


async def update(hub: Hub, arguments: Arguments, caller: Caller) -> Json:
    ident, version = TaskId(arguments["id"]), arguments["version"]
    task = await hub.tasks.update(caller, ident, _draft(arguments), version=version)
    return await told_with_run(hub, caller, task)


async def clone(hub: Hub, arguments: Arguments, caller: Caller) -> Json:
    ident = TaskId(arguments["id"])
    return told_task(await hub.tasks.clone(caller, ident, arguments["name"]))


async def pause(hub: Hub, arguments: Arguments, caller: Caller) -> Json:
    return await told_with_run(hub, caller, await hub.tasks.pause(caller, TaskId(arguments["id"])))


async def resume(hub: Hub, arguments: Arguments, caller: Caller) -> Json:
    return await told_with_run(hub, caller, await hub.tasks.resume(caller, TaskId(arguments["id"])))


async def delete(hub: Hub, arguments: Arguments, caller: Caller) -> bool:
    purge = given(arguments, "purge", False)
    await hub.tasks.delete(caller, TaskId(arguments["id"]), purge=purge)
    return True


async def set_limits(hub: Hub, arguments: Arguments, caller: Caller) -> Json:
    limits = _limits(arguments["limits"])
    return await told_with_run(
        hub, caller, await hub.tasks.set_limits(caller, TaskId(arguments["id"]), limits)
    )


# What is given


def _draft(arguments: Arguments) -> TaskDraft:
    """Raises InputError where the parameters cannot even be told to the plugin."""
    task = arguments["input"]
    kind = kind_of(task)
    form = FORMS[kind]
    return TaskDraft(
        name=task["name"],
        kind=kind,
        spec=form.values(task[form.argument]),
        description=given(task, "description", ""),
        tags=given(task, "tags", ()),
        schedule=_schedule(task["schedule"] or {}) if "schedule" in task else None,
        limits=_limits(given(task, "limits", {})),
    )


def _limits(limits: Mapping[str, Any]) -> Json:
    """For `TaskLimits.from_json`."""
    return {name: whole(value) for name, value in limits.items()}


def _schedule(schedule: Mapping[str, Any]) -> Json:
    """For `Schedule.from_json`; empty where it says nothing but defaults."""
    if all(_USUAL.get(name, ...) == value for name, value in schedule.items()):
        return {}
    document = as_fields(schedule)
    for name in ("overlap", "catch_up"):
        if name in document:
            document[name] = document[name].lower()
    document["windows"] = [_window(window) for window in document.get("windows", ())]
    return document


def _window(window: Mapping[str, Any]) -> Json:
    document = {name: value for name, value in window.items() if value is not None}
    document["kind"] = given(window, "kind", "RUN").lower()
    if "days" in document:
        document["days"] = [day.lower() for day in document["days"]]
    if "bandwidth" in window:  # null lifts the limit
        document["bandwidth"] = whole(window["bandwidth"])
    return document


# What is told


async def told_with_run(hub: Hub, caller: Caller, task: Task) -> Json:
    (only,) = await _told_with_runs(hub, caller, [task])
    return only


async def _told_with_runs(hub: Hub, caller: Caller, tasks: Sequence[Task]) -> list[Json]:
    latest = await hub.orders.latest(caller, [task.ident for task in tasks])
    runs = await told_runs(hub, caller, list(latest.values()))
    by_task = {run["task"]: run for run in runs}
    return [{**told_task(task), "latestRun": by_task.get(task.ident)} for task in tasks]


def told_task(task: Task) -> Json:
    form = FORMS[task.kind]
    return {
        "id": task.ident,
        "name": task.name,
        "kind": task.kind.upper(),
        "description": task.description,
        "tags": list(task.tags),
        "owner": task.owner,
        "source": form.url(task.spec["source"]),
        "destination": form.url(task.spec["destination"]),
        "spec": form.told(task.spec),
        "events": told_events(task.events),
        "schedule": _told_schedule(task.schedule) if task.schedule else None,
        "limits": dict(task.limits),
        "state": told(task.state),
        "nextRunAt": moment(task.next_run_at),
        "createdAt": moment(task.created_at),
        "updatedAt": moment(task.updated_at),
        "version": task.version,
        "latestRun": None,
    }


def told_events(document: Mapping[str, Any]) -> Json | None:
    if not document:
        return None
    told = {to_camel(name): value for name, value in document.items()}
    return {**told, "kind": EVENT_KINDS[SourceKind(document["kind"])]}


def _told_schedule(document: Mapping[str, Any]) -> Json:
    schedule = {to_camel(name): value for name, value in document.items()}
    for name in ("once", "anchor"):
        if name in schedule:
            schedule[name] = moment(datetime.fromisoformat(schedule[name]))
    for name in ("overlap", "catchUp"):
        schedule[name] = schedule[name].upper()
    schedule["windows"] = [_told_window(window) for window in document["windows"]]
    return schedule


def _told_window(window: Mapping[str, Any]) -> Json:
    days = [day.upper() for day in window["days"]]
    return {**window, "kind": window["kind"].upper(), "days": days}
