"""`Listener`: hears of changes in a queue that the hub's own work goes through as well."""

from __future__ import annotations

from transferhub.control.intake import events_for
from transferhub.errors import InputError
from transferhub.model.event import EventSource, SourceKind
from transferhub.model.run import Task
from transferhub.plugins.objects.events import read_events
from transferhub.state.base import TaskStore
from transferhub.state.events import Inbox


class Listener:
    """Knows the tasks whose events come through the queue by the name in their queue's URL."""

    def __init__(self, store: TaskStore, inbox: Inbox, queue: str) -> None:
        self._store = store
        self._inbox = inbox
        self._queue = queue

    async def hear(self, body: str) -> bool:
        """Puts the events of a message into the inboxes of the tasks that want them. False where it
        is no event, or no task hears of changes here: such a message is left to the queue's own
        dead letters."""
        tasks = [task for task in await self._store.event_tasks() if hears_at(task, self._queue)]
        if not tasks:
            return False
        try:
            events = read_events(body)
        except InputError:
            return False
        for task in tasks:
            if ours := events_for(task, events):
                await self._inbox.put(task.ident, ours)
        return True


def hears_at(task: Task, queue: str) -> bool:
    """Whether the task's events come through the queue of this name."""
    source = EventSource.from_json(task.events) if task.events else None
    if source is None or source.kind is not SourceKind.SQS:
        return False
    return source.queue_url.rpartition("/")[2] == queue
