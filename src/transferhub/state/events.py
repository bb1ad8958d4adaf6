"""The port of the inbox: events that came in and are still to be handled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from transferhub.model.event import ObjectEvent, Waiting
from transferhub.model.run import TaskId


class Inbox(Protocol):
    """Events of tasks, one for each key: a key is to be looked at again, however often it changed.

    Verbs are atomic and durable when they return; many processes may use them. They raise
    StateError where the state cannot be reached or written.
    """

    async def put(self, task: TaskId, events: Sequence[ObjectEvent]) -> None:
        """Adds events of the task's bucket. Of each key the latest is kept, and the key has a new
        mark whatever came: a stale event may be one whose clock is behind."""

    async def waiting(self, task: TaskId, *, limit: int) -> Sequence[Waiting]:
        """The keys with events, those that wait longest first. They stay until they are done."""

    async def done(self, task: TaskId, handled: Sequence[Waiting]) -> int:
        """Removes those whose mark is still this one; returns how many."""

    async def lag(self) -> Mapping[TaskId, datetime]:
        """Of each task with events: since when its oldest one waits. Cheap, however many wait."""

    async def count(self, task: TaskId) -> int:
        """How many keys of the task wait."""

    async def forget(self, task: TaskId) -> int:
        """Removes all events of the task; returns how many."""

    async def aclose(self) -> None: ...
