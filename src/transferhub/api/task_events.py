"""Answers about how tasks hear of changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transferhub.api.reading import Arguments, Json, as_fields, moment
from transferhub.api.tasks import EVENT_KINDS, told_events, told_with_run
from transferhub.control.hub import Hub
from transferhub.model.people import Caller
from transferhub.model.run import TaskId


async def status(hub: Hub, arguments: Arguments, caller: Caller) -> Json:
    status = await hub.events.status(caller, TaskId(arguments["id"]))
    return {
        "source": told_events(status.source.to_json() if status.source else {}),
        "waiting": status.waiting,
        "since": moment(status.since),
    }


async def setup(hub: Hub, arguments: Arguments, caller: Caller) -> list[Json]:
    url = arguments["hubUrl"].rstrip("/")
    found = await hub.events.arrangement(caller, TaskId(arguments["id"]), hub_url=url)
    return [{"title": piece.title, "text": piece.text} for piece in found.pieces()]


async def set_source(hub: Hub, arguments: Arguments, caller: Caller) -> Json:
    values = _values(arguments.get("events") or {})
    task = await hub.events.set_source(caller, TaskId(arguments["id"]), values)
    return await told_with_run(hub, caller, task)


async def create_token(hub: Hub, arguments: Arguments, caller: Caller) -> Json:
    task, secret = await hub.events.new_token(caller, TaskId(arguments["id"]))
    return {"secret": secret, "task": await told_with_run(hub, caller, task)}


async def set_up(hub: Hub, arguments: Arguments, caller: Caller) -> bool:
    await hub.events.set_up(caller, TaskId(arguments["id"]))
    return True


async def take_down(hub: Hub, arguments: Arguments, caller: Caller) -> bool:
    return await hub.events.take_down(caller, TaskId(arguments["id"]))


def _values(events: Mapping[str, Any]) -> Json:
    """For `EventSource.from_json`."""
    values = as_fields(events)
    if "kind" in values:
        values["kind"] = next(kind for kind, at in EVENT_KINDS.items() if at == values["kind"])
    return values
