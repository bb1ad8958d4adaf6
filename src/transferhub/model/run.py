"""Tasks and their runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NewType

from transferhub.model.transfer import RunId

TaskId = NewType("TaskId", str)


class TaskState(StrEnum):
    """No schedule and no event starts a run of a PAUSED task."""

    ACTIVE = "active"
    PAUSED = "paused"


class RunState(StrEnum):
    """QUEUED waits for a keeper. RUNNING is also what a killed process leaves behind; CANCELLED was
    stopped by a person. Both may be resumed. The other three are final."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    COMPLETED_WITH_FAILURES = "completed_with_failures"
    FAILED = "failed"
    CANCELLED = "cancelled"


RESUMABLE_STATES = frozenset({RunState.RUNNING, RunState.CANCELLED})
UNDER_WAY_STATES = frozenset({RunState.QUEUED, RunState.RUNNING})


class Trigger(StrEnum):
    """What started a run; COMMAND is `dth transfer`, without a hub."""

    PERSON = "person"
    SCHEDULE = "schedule"
    EVENT = "event"
    COMMAND = "command"


class RunOrder(StrEnum):
    """What a person asked of a run under way: STOP finishes what is in flight, ABANDON does not."""

    NONE = "none"
    STOP = "stop"
    ABANDON = "abandon"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What the user defined.

    Attributes:
        kind: the plugin: "objects" or "images".
        spec: the plugin's parameters as JSON values, without secrets.
        fingerprint: equal for tasks that would do the same work; how a run is found again.
        owner: who answers for it; "" of a task of `dth transfer`.
        schedule: as `Schedule.to_json` writes it; empty where there is none.
        next_run_at: kept by the scheduler.
        limits: as `TaskLimits.to_json` writes them; they hold at once, also for a run under way.
        events: as `EventSource.to_json` writes it; empty where the task hears of no changes.
        version: counts updates, from 1; the store refuses to update from another one.
    """

    ident: TaskId
    name: str
    kind: str
    spec: Mapping[str, Any]
    fingerprint: str
    created_at: datetime
    updated_at: datetime
    description: str = ""
    owner: str = ""
    tags: tuple[str, ...] = ()
    schedule: Mapping[str, Any] = field(default_factory=dict)
    state: TaskState = TaskState.ACTIVE
    next_run_at: datetime | None = None
    limits: Mapping[str, Any] = field(default_factory=dict)
    events: Mapping[str, Any] = field(default_factory=dict)
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One execution of a task.

    Attributes:
        version: counts updates, from 1; the store refuses to update from another one.
        workers: ids of the workers that it was given last, so that a later start knows whose leases
            to take back.
        summary: the JSON summary of its report, once it ended.
        scheduled_at: the moment of the schedule that it was started for; given once per task.
        keeper: the process that carries it; "" where none does, and for runs of `dth transfer`.
        kept_until: from when on another keeper may claim it.
    """

    ident: RunId
    task: TaskId
    task_version: int
    state: RunState
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    error_code: str = ""
    error: str = ""
    workers: tuple[str, ...] = ()
    summary: Mapping[str, Any] = field(default_factory=dict)
    resumed: int = 0
    trigger: Trigger = Trigger.COMMAND
    order: RunOrder = RunOrder.NONE
    scheduled_at: datetime | None = None
    keeper: str = ""
    kept_until: datetime | None = None
    version: int = 1
