"""Tasks and their runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NewType

from transferhub.model.transfer import RunId

TaskId = NewType("TaskId", str)


class RunState(StrEnum):
    """RUNNING is also what a killed process leaves behind; CANCELLED was stopped by a person. Both
    may be resumed. The other three are final."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    COMPLETED_WITH_FAILURES = "completed_with_failures"
    FAILED = "failed"
    CANCELLED = "cancelled"


RESUMABLE_STATES = frozenset({RunState.RUNNING, RunState.CANCELLED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What the user defined.

    Attributes:
        kind: the plugin: "objects" or "images".
        spec: the plugin's parameters as JSON values, without secrets.
        fingerprint: equal for tasks that would do the same work; how a run is found again.
        version: counts updates, from 1; the store refuses to update from another one.
    """

    ident: TaskId
    name: str
    kind: str
    spec: Mapping[str, Any]
    fingerprint: str
    created_at: datetime
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One execution of a task.

    Attributes:
        version: counts updates, from 1; the store refuses to update from another one.
        workers: ids of the workers that it was given last, so that a later start knows whose leases
            to take back.
        summary: the JSON summary of its report, once it ended.
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
    version: int = 1
