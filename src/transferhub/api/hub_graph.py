"""The hub's GraphQL: its schema and who answers each field."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transferhub.api import (
    channels,
    credentials,
    fleet,
    history,
    people,
    places,
    plugins,
    runs,
    task_events,
    tasks,
)
from transferhub.api.argument_rule import INPUT
from transferhub.api.graph import Graph, Resolver
from transferhub.api.reading import SCALARS, Arguments, camel, refuse_unwritable, renamed
from transferhub.api.specs import named_spec
from transferhub.control.hub import Hub
from transferhub.errors import InputError
from transferhub.model.people import Caller

QUERIES: Mapping[str, Resolver[Hub, Caller]] = {
    "me": people.me,
    "tasks": tasks.page,
    "task": tasks.get,
    "taskVersions": tasks.versions,
    "nextRuns": tasks.next_runs,
    "runs": runs.page,
    "run": runs.get,
    "transfers": runs.transfers,
    "failures": runs.failures,
    "failureGroups": runs.failure_groups,
    "series": history.series,
    "logs": history.logs,
    "workers": fleet.workers,
    "credentials": credentials.page,
    "users": people.users,
    "tokens": people.tokens,
    "audit": people.audit,
    "testConnection": places.test_connection,
    "preview": places.preview,
    "previewImages": places.preview_images,
    "estimate": places.estimate,
    "taskEvents": task_events.status,
    "eventSetup": task_events.setup,
    "channels": channels.all_channels,
    "messages": channels.messages,
    "specSchema": plugins.spec_schema,
}
MUTATIONS: Mapping[str, Resolver[Hub, Caller]] = {
    "createTask": tasks.create,
    "updateTask": tasks.update,
    "cloneTask": tasks.clone,
    "pauseTask": tasks.pause,
    "resumeTask": tasks.resume,
    "deleteTask": tasks.delete,
    "setTaskLimits": tasks.set_limits,
    "setTaskEvents": task_events.set_source,
    "createEventToken": task_events.create_token,
    "setUpEvents": task_events.set_up,
    "takeDownEvents": task_events.take_down,
    "startRun": runs.start,
    "stopRun": runs.stop,
    "retryRun": runs.retry,
    "putCredential": credentials.put,
    "deleteCredential": credentials.delete,
    "rotateCredentials": credentials.rotate,
    "createUser": people.create_user,
    "setUserRole": people.set_role,
    "disableUser": people.disable_user,
    "enableUser": people.enable_user,
    "setPassword": people.set_password,
    "changePassword": people.change_password,
    "createLink": people.create_link,
    "createToken": people.create_token,
    "revokeToken": people.revoke_token,
    "drainWorker": fleet.drain,
    "putChannel": channels.put,
    "deleteChannel": channels.delete,
    "testChannel": channels.test,
}

_REACHES, _HASHES = 2_000, 500
WEIGHTS: Mapping[str, int] = {
    **dict.fromkeys(("testConnection", "preview", "previewImages", "testChannel"), _REACHES),
    **dict.fromkeys(("setUpEvents", "takeDownEvents"), _REACHES),
    **dict.fromkeys(("createUser", "setPassword", "changePassword"), _HASHES),
}
"""Of what asks others over the network, and of what takes a password's hash."""

_FOLDER = Path(__file__).parent
_IDENTS = frozenset({"task", "run", "token", "worker"})


def open_graph() -> Graph[Hub, Caller]:
    return Graph(
        read_schema(),
        queries={name: _naming(resolver) for name, resolver in QUERIES.items()},
        mutations={name: _naming(resolver) for name, resolver in MUTATIONS.items()},
        scalars=SCALARS,
        weights=WEIGHTS,
    )


def read_schema() -> str:
    """All of it, in the schema definition language."""
    return "\n".join((_FOLDER / f"{name}.graphql").read_text() for name in ("prelude", "schema"))


def _naming(resolver: Resolver[Hub, Caller]) -> Resolver[Hub, Caller]:
    """The same resolver, whose faults name fields as the client wrote them."""

    async def resolve(hub: Hub, arguments: Arguments, caller: Caller) -> Any:  # noqa: ANN401
        try:
            refuse_unwritable(arguments)
            return await resolver(hub, arguments, caller)
        except InputError as error:
            raise renamed(error, lambda field: _named(field, arguments)) from error

    return resolve


def _named(field: str, arguments: Arguments) -> str:
    root = field.partition(".")[0]
    if "id" in arguments and (root in _IDENTS or not arguments.keys() & {root, INPUT}):
        return "id"  # what is wrong is of what the id names
    return named_spec(field, arguments.get(INPUT, arguments)) or camel(field)
