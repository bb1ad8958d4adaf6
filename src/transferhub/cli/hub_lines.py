"""What a hub holds, as JSON documents and as lines for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from transferhub.cli.documents import Document, plain
from transferhub.cli.places import route
from transferhub.cli.run_lines import count_of, duration
from transferhub.cli.text import (
    NOTHING,
    iso_time,
    local_time,
    status_words,
    table,
    visible,
)
from transferhub.model.fleet import Member
from transferhub.model.people import ApiToken, AuditEntry, Credential, User
from transferhub.model.run import Run, Task
from transferhub.model.units import format_bytes, format_count, format_seconds

if TYPE_CHECKING:  # takes longer to load than `dth task --help` may
    from transferhub.cli.tasks.definition import Change
    from transferhub.hosts.hub_views import TaskView

# Tasks and runs


def task_document(task: Task, latest: Run | None = None) -> Document:
    from transferhub.cli.tasks.definition import definition

    return {
        "id": task.ident,
        "state": task.state.value,
        "owner": task.owner,
        "version": task.version,
        "created_at": iso_time(task.created_at),
        "updated_at": iso_time(task.updated_at),
        "next_run_at": iso_time(task.next_run_at),
        "latest_run": hub_run_document(latest) if latest else None,
        "task": plain(definition(task)),
    }


def hub_run_document(run: Run) -> Document:
    document: Document = {
        "run": run.ident,
        "task": run.task,
        "task_version": run.task_version,
        "status": run.state.value,
        "trigger": run.trigger.value,
        "order": run.order.value,
        "created_at": iso_time(run.created_at),
        "started_at": iso_time(run.started_at),
        "ended_at": iso_time(run.ended_at),
        "worker": run.keeper or None,
    }
    if run.error or run.error_code:
        document["error"] = {"code": run.error_code, "message": run.error}
    return document


def task_lines(views: Sequence[TaskView]) -> list[str]:
    header = ("NAME", "STATE", "LAST RUN", "STARTED", "NEXT RUN", "SOURCE → DESTINATION", "ID")
    return table([header, *(_task_row(view) for view in views)])


def _task_row(view: TaskView) -> tuple[str, ...]:
    task, latest = view.task, view.latest
    return (
        visible(task.name),
        task.state.value,
        status_words(latest.state) if latest else NOTHING,
        local_time(latest.started_at or latest.created_at) if latest else NOTHING,
        local_time(next_run(task)),
        route(task),
        task.ident,
    )


def next_run(task: Task) -> datetime | None:
    """None also of a paused task, which does not run then."""
    return task.next_run_at if task.state == "active" else None


def run_lines(runs: Sequence[Run]) -> list[str]:
    header = ("RUN", "STATUS", "BY", "QUEUED", "DURATION", "COPIED", "FAILED")
    rows = [
        (
            run.ident,
            run_words(run),
            run.trigger.value,
            local_time(run.created_at),
            duration(run),
            count_of(run, "done"),
            count_of(run, "failed"),
        )
        for run in runs
    ]
    return table([header, *rows], right=(4, 5, 6))


def run_words(run: Run) -> str:
    return (
        f"{status_words(run.state)}, stopping" if run.order != "none" else status_words(run.state)
    )


def change_lines(changes: Sequence[Change]) -> list[str]:
    """Each field as it was (-) and as it is (+)."""
    lines = []
    for change in changes:
        for sign, value in (("-", change.before), ("+", change.after)):
            if value is not None:
                lines.append(f"    {sign} {change.field}: {_shown(value)}")
    return lines


def _shown(value: Any) -> str:  # noqa: ANN401 - any JSON value
    import json

    return visible(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


# The fleet


def member_document(member: Member) -> Document:
    return {
        "id": member.ident,
        "kind": member.kind.value,
        "host": member.host,
        "pid": member.pid,
        "version": member.version,
        "draining": member.draining,
        "started_at": iso_time(member.started_at),
        "seen_at": iso_time(member.seen_at),
        "runs": list(member.load.runs),
        "leases": member.load.leases,
        "objects_per_second": member.load.objects_per_second,
        "bytes_per_second": member.load.bytes_per_second,
    }


def member_lines(members: Sequence[Member], now: datetime) -> list[str]:
    header = ("WORKER", "KIND", "VERSION", "STATE", "RUNS", "OBJECTS", "BYTES", "SEEN")
    rows = [
        (
            visible(member.ident),
            member.kind.value,
            member.version,
            "draining" if member.draining else "at work" if member.load.runs else "idle",
            format_count(len(member.load.runs)),
            f"{member.load.objects_per_second:,.0f}/s",
            f"{format_bytes(round(member.load.bytes_per_second))}/s",
            f"{format_seconds(max(0.0, (now - member.seen_at).total_seconds()))} ago",
        )
        for member in members
    ]
    return table([header, *rows], right=(4, 5, 6, 7))


# People and credentials


def user_document(user: User) -> Document:
    return {
        "name": user.name,
        "role": user.role.value,
        "disabled": user.disabled,
        "created_at": iso_time(user.created_at),
    }


def user_lines(users: Sequence[User]) -> list[str]:
    rows = [
        (
            user.name,
            user.role.value,
            "disabled" if user.disabled else "active",
            local_time(user.created_at),
        )
        for user in users
    ]
    return table([("NAME", "ROLE", "STATE", "CREATED"), *rows])


def token_document(token: ApiToken) -> Document:
    return {
        "id": token.ident,
        "label": token.label,
        "owner": token.owner,
        "role": token.role.value,
        "scopes": sorted(token.scopes),
        "created_at": iso_time(token.created_at),
        "ends_at": iso_time(token.ends_at),
        "revoked_at": iso_time(token.revoked_at),
    }


def token_lines(tokens: Sequence[ApiToken], now: datetime) -> list[str]:
    rows = [
        (
            token.ident,
            visible(token.label),
            token.owner,
            token.role.value,
            ", ".join(sorted(token.scopes)),
            _token_state(token, now),
            local_time(token.ends_at),
        )
        for token in tokens
    ]
    return table([("ID", "LABEL", "OWNER", "ROLE", "SCOPES", "STATE", "ENDS"), *rows])


def _token_state(token: ApiToken, now: datetime) -> str:
    if token.revoked_at is not None:
        return "revoked"
    return "expired" if token.ends_at <= now else "active"


def credential_document(credential: Credential) -> Document:
    return {
        "name": credential.name,
        "kind": credential.kind.value,
        "described": credential.described,
        "version": credential.version,
        "created_at": iso_time(credential.created_at),
        "updated_at": iso_time(credential.updated_at),
    }


def credential_lines(credentials: Sequence[Credential]) -> list[str]:
    rows = [
        (at.name, at.kind.value, visible(at.described) or NOTHING, local_time(at.updated_at))
        for at in credentials
    ]
    return table([("NAME", "KIND", "ACCOUNT", "STORED"), *rows])


# The audit log


def audit_document(entry: AuditEntry) -> Document:
    return {
        "number": entry.number,
        "at": iso_time(entry.at),
        "who": entry.who,
        "how": entry.how.value,
        "action": entry.action,
        "subject": entry.subject,
        "before": plain(entry.before),
        "after": plain(entry.after),
    }


def audit_lines(entries: Sequence[AuditEntry]) -> list[str]:
    rows = [
        (
            local_time(entry.at),
            visible(f"{entry.who} ({entry.how.value})"),
            entry.action,
            visible(entry.subject),
            _told(entry.before, entry.after),
        )
        for entry in entries
    ]
    return table([("AT", "WHO", "ACTION", "OF", "CHANGE"), *rows])


_LONGEST = 120


def _told(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Each field that changed: `role: viewer → admin`."""
    parts = []
    for name in dict.fromkeys([*before, *after]):
        values = [_shown(side[name]) for side in (before, after) if name in side]
        parts.append(f"{name}: {' → '.join(values)}")
    text = ", ".join(parts)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def now() -> datetime:
    return datetime.now(UTC)
