"""`Census`: a hub in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from transferhub.model.fleet import MemberKind
from transferhub.model.run import RunState, TaskId, TaskState

MOST_TASKS = 50
"""Tasks that a census tells of one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What runs under way do, of one task or of all.

    Attributes:
        open: transfers that wait or are under way.
        failures: dead letters, of copies and deletes.
    """

    open: int = 0
    failures: int = 0
    bytes_per_second: float = 0.0
    objects_per_second: float = 0.0

    def plus(self, other: Work) -> Work:
        return Work(
            open=self.open + other.open,
            failures=self.failures + other.failures,
            bytes_per_second=self.bytes_per_second + other.bytes_per_second,
            objects_per_second=self.objects_per_second + other.objects_per_second,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What runs did since the process that counts began to."""

    bytes: int = 0
    objects: int = 0
    failures: int = 0
    ended: Mapping[RunState, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Census:
    """A hub at a moment, by what its state says.

    Attributes:
        queued_since: when the run that waits longest was created; None where none waits.
        events_since: when the oldest event that waits happened; None where none waits.
        busiest: of the tasks with runs under way those with most that is open, MOST_TASKS at most.
    """

    at: datetime
    tasks: Mapping[TaskState, int]
    queued: int
    running: int
    queued_since: datetime | None
    members: Mapping[MemberKind, int]
    draining: int
    leases: int
    events_since: datetime | None
    event_tasks: int
    work: Work
    busiest: Mapping[TaskId, Work]
    tally: Tally
