"""What a hub answers, as values."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any

from transferhub.control.channels import ChannelView
from transferhub.control.standing import Standing
from transferhub.errors import HubError, InputError
from transferhub.hosts.hub_views import RunView, TaskView
from transferhub.model.fleet import Load, Member, MemberKind
from transferhub.model.history import LogLevel, LogLine, LogPage
from transferhub.model.limits import TaskLimits
from transferhub.model.people import (
    ApiToken,
    AuditEntry,
    Credential,
    CredentialKind,
    How,
    Role,
    Scope,
    User,
)
from transferhub.model.run import Run, RunOrder, RunState, Task, TaskId, TaskState, Trigger
from transferhub.model.schedule import Schedule
from transferhub.model.transfer import (
    Action,
    Attempt,
    Difference,
    FailureGroup,
    RunId,
    ScanCounts,
    Transfer,
    TransferRecord,
    TransferState,
)
from transferhub.plugins.images.spec import ImagesSpec
from transferhub.plugins.images.spec import parse_spec as parse_images
from transferhub.plugins.objects.spec import ObjectsSpec
from transferhub.plugins.objects.spec import parse_spec as parse_objects

Json = Mapping[str, Any]

_PARSERS: Mapping[str, Callable[[Json], ObjectsSpec | ImagesSpec]] = {
    "objects": parse_objects,
    "images": parse_images,
}
_CAPITAL = re.compile(r"(?<=[a-z0-9])([A-Z])")


def snake(name: str) -> str:
    """The field as we spell it."""
    return _CAPITAL.sub(lambda at: f"_{at[1].lower()}", name)


def snaked(value: Json) -> dict[str, Any]:
    """The fields that have a value."""
    return {snake(name): inner for name, inner in value.items() if inner is not None}


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def moment_or_none(text: str | None) -> datetime | None:
    return None if text is None else moment(text)


# Tasks


def task_view(told: Json) -> TaskView:
    latest = told["latestRun"]
    return TaskView(task=task(told), latest=run(latest) if latest else None)


def task(told: Json) -> Task:
    """Raises HubError where the hub knows parameters that this program does not."""
    kind = told["kind"].lower()
    try:
        spec = _parsed(kind, known_spec(kind, json.loads(told["spec"])))
    except InputError as error:
        raise HubError(
            f"Task {told['id']} has parameters that this dth does not know ({error.message});"
            " install the version of the hub.",
            code="hub_newer",
        ) from error
    return Task(
        ident=TaskId(told["id"]),
        name=told["name"],
        kind=kind,
        spec=spec,
        fingerprint="",
        created_at=moment(told["createdAt"]),
        updated_at=moment(told["updatedAt"]),
        description=told["description"],
        owner=told["owner"],
        tags=tuple(told["tags"]),
        schedule=_schedule(told["schedule"]) if told["schedule"] else {},
        state=TaskState(told["state"].lower()),
        next_run_at=moment_or_none(told["nextRunAt"]),
        limits=TaskLimits.from_json(told["limits"]).to_json(),
        version=told["version"],
    )


def _parsed(kind: str, spec: Json) -> Json:
    if kind not in _PARSERS:
        raise InputError("kind", f"{kind!r} is no kind of task here")
    return _PARSERS[kind](spec).to_json()


def known_spec(kind: str, told: Json) -> dict[str, Any]:
    spec = snaked(told)
    for place in ("source", "destination", "inventory"):
        if place in spec:
            spec[place] = snaked(spec[place])
    if kind == "images":
        if "rename" in spec:
            spec["rename"] = {pair["from"]: pair["to"] for pair in spec["rename"]}
        return spec
    classes = spec.get("storage_class")
    if isinstance(classes, str) and "=" in classes:
        spec["storage_class"] = dict(pair.split("=", 1) for pair in classes.split(","))
    return spec


def _schedule(told: Json) -> Mapping[str, Any]:
    schedule = snaked(told)
    for name in ("overlap", "catch_up"):
        schedule[name] = schedule[name].lower()
    schedule["windows"] = [_window(window) for window in schedule["windows"]]
    return Schedule.from_json(schedule).to_json()


def _window(told: Json) -> dict[str, Any]:
    window = {**told, "kind": told["kind"].lower(), "days": [day.lower() for day in told["days"]]}
    if window["kind"] == "run":
        del window["bandwidth"]
    elif window["bandwidth"] is not None:
        window["bandwidth"] = int(window["bandwidth"])
    return window


# Runs


def run(told: Json) -> Run:
    counts = {name: int(told["progress"][name]) for name in ("done", "failed")}
    return Run(
        ident=RunId(told["id"]),
        task=TaskId(told["task"]),
        task_version=told["taskVersion"],
        state=RunState(told["state"].lower()),
        created_at=moment(told["createdAt"]),
        started_at=moment_or_none(told["startedAt"]),
        ended_at=moment_or_none(told["endedAt"]),
        error_code=told["errorCode"] or "",
        error=told["error"] or "",
        summary={**counts, "notes": told["notes"], "faults": told["faults"]},
        resumed=told["resumed"],
        trigger=Trigger(told["trigger"].lower()),
        order=RunOrder(told["order"].lower()),
        scheduled_at=moment_or_none(told["scheduledAt"]),
        keeper=told["worker"] or "",
    )


def run_view(told: Json) -> RunView:
    counts = snaked(told["progress"])
    listing = counts.pop("listing")
    numbers = {name: int(value) for name, value in counts.items()}
    scan = {at.name: numbers.pop(at.name) for at in fields(ScanCounts)}
    standing = Standing(scan=ScanCounts(**scan), listing=listing, **numbers)
    return RunView(run=run(told), standing=standing)


def transfer(told: Json) -> TransferRecord:
    return TransferRecord(
        transfer=Transfer(
            key=told["key"],
            difference=Difference(told["difference"].lower()),
            size=int(told["size"]),
            etag=told["etag"],
            modified_at=moment_or_none(told["modifiedAt"]),
            storage_class=told["storageClass"],
            action=Action(told["action"].lower()),
        ),
        state=TransferState(told["state"].lower()),
        attempts=told["attempts"],
        moved_bytes=int(told["movedBytes"]),
        destination_etag=told["destinationEtag"],
        code=told["code"],
        message=told["message"],
        note=told["note"],
        ended_at=moment_or_none(told["endedAt"]),
        history=tuple(
            Attempt(moment(at["at"]), at["code"], at["message"]) for at in told["history"]
        ),
    )


def failure_group(told: Json) -> FailureGroup:
    return FailureGroup(
        code=told["code"],
        count=int(told["count"]),
        size=int(told["size"]),
        example_key=told["exampleKey"],
        example_message=told["exampleMessage"],
    )


def log_page(told: Json) -> LogPage:
    return LogPage(
        lines=[_log_line(line) for line in told["items"]],
        first=int(told["before"]),
        last=int(told["after"]),
        more=told["more"],
        dropped=int(told["dropped"]),
    )


def _log_line(told: Json) -> LogLine:
    return LogLine(
        at=moment(told["at"]),
        level=LogLevel(told["level"].lower()),
        action=told["action"],
        message=told["message"],
        task=TaskId(told["task"]),
        run=RunId(told["run"]),
        worker=told["worker"],
        number=int(told["number"]),
    )


# The fleet, people and credentials


def member(told: Json) -> Member:
    return Member(
        ident=told["id"],
        host=told["host"],
        pid=told["pid"],
        version=told["version"],
        kind=MemberKind(told["kind"].lower()),
        started_at=moment(told["startedAt"]),
        seen_at=moment(told["seenAt"]),
        draining=told["draining"],
        load=Load(
            runs=tuple(RunId(ident) for ident in told["runs"]),
            leases=int(told["leases"]),
            objects_per_second=told["objectsPerSecond"],
            bytes_per_second=told["bytesPerSecond"],
        ),
    )


def user(told: Json) -> User:
    return User(
        name=told["name"],
        role=Role(told["role"].lower()),
        created_at=moment(told["createdAt"]),
        disabled=told["disabled"],
    )


def token(told: Json) -> ApiToken:
    return ApiToken(
        ident=told["id"],
        digest="",
        label=told["label"],
        owner=told["owner"],
        of_user=False,
        role=Role(told["role"].lower()),
        scopes=frozenset(Scope(scope.lower()) for scope in told["scopes"]),
        created_at=moment(told["createdAt"]),
        ends_at=moment(told["endsAt"]),
        revoked_at=moment_or_none(told["revokedAt"]),
    )


def credential(told: Json) -> Credential:
    return Credential(
        name=told["name"],
        kind=CredentialKind(told["kind"].lower()),
        described=told["described"],
        created_at=moment(told["createdAt"]),
        updated_at=moment(told["updatedAt"]),
        version=told["version"],
    )


def channel(told: Json) -> ChannelView:
    return ChannelView(
        name=told["name"],
        kind=told["kind"],
        settings=json.loads(told["settings"]),
        described=told["described"],
        created_at=moment(told["createdAt"]),
        updated_at=moment(told["updatedAt"]),
        version=told["version"],
    )


def audit_entry(told: Json) -> AuditEntry:
    return AuditEntry(
        at=moment(told["at"]),
        who=told["who"],
        how=How(told["how"].lower()),
        action=told["action"],
        subject=told["subject"],
        before=json.loads(told["before"]),
        after=json.loads(told["after"]),
        number=int(told["number"]),
    )
