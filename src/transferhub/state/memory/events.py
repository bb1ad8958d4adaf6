"""`MemoryInbox`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import count

from transferhub.model.clock import Clock, utc_now
from transferhub.model.event import ObjectEvent, Waiting, latest_of_each
from transferhub.model.run import TaskId


class MemoryInbox:
    """A complete Inbox that is kept in memory."""

    def __init__(self, clock: Clock = utc_now) -> None:
        self._clock = clock
        self._marks = count(1)
        self._tasks: dict[TaskId, dict[str, tuple[ObjectEvent, Waiting]]] = {}

    async def put(self, task: TaskId, events: Sequence[ObjectEvent]) -> None:
        now = self._clock()
        kept = self._tasks.setdefault(task, {})
        for event in latest_of_each(events):
            since = min(event.at or now, now)
            if event.key in kept:
                former, waiting = kept[event.key]
                since = min(since, waiting.since)
                event = event if event.supersedes(former) else former  # noqa: PLW2901
            kept[event.key] = event, Waiting(event.key, next(self._marks), event.kind, since)

    async def waiting(self, task: TaskId, *, limit: int) -> Sequence[Waiting]:
        return self._waiting(task)[:limit]

    async def done(self, task: TaskId, handled: Sequence[Waiting]) -> int:
        kept = self._tasks.get(task, {})
        gone = [at.key for at in handled if at.key in kept and kept[at.key][1].mark == at.mark]
        for key in gone:
            del kept[key]
        return len(gone)

    async def lag(self) -> Mapping[TaskId, datetime]:
        return {task: self._waiting(task)[0].since for task, kept in self._tasks.items() if kept}

    async def count(self, task: TaskId) -> int:
        return len(self._tasks.get(task, {}))

    async def forget(self, task: TaskId) -> int:
        return len(self._tasks.pop(task, {}))

    async def aclose(self) -> None:
        return

    def _waiting(self, task: TaskId) -> Sequence[Waiting]:
        found = [waiting for _, waiting in self._tasks.get(task, {}).values()]
        return sorted(found, key=lambda at: (at.since, at.key))
