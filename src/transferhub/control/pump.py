"""`Pump`: brings events from queues into the inbox."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import timedelta

from transferhub.control.intake import Intake
from transferhub.control.listener import hears_at
from transferhub.control.waiting import Wait, wait
from transferhub.errors import StoreError, TransferHubError
from transferhub.model.event import EventSource, SourceKind
from transferhub.model.run import Task, TaskId
from transferhub.queues.base import EventQueue, Message
from transferhub.state.base import TaskStore

log = logging.getLogger(__name__)

LOOK = timedelta(seconds=2)
"""Between looks for tasks whose queues changed."""

LONG = timedelta(seconds=20)
"""A request waits so long for a message, so that an idle queue costs three requests a minute."""

_AT_ONCE = 8
"""Requests that empty a queue which holds more than one answer does."""

_PAUSES = [timedelta(seconds=seconds) for seconds in (1, 2, 5, 10, 30)]

OpenQueue = Callable[[Task, EventSource], Awaitable[EventQueue]]


class Pump:
    """One of the pumps of a hub: a message is one pump's until it is deleted, so any number of
    servers may pump. It is deleted once its events are in the inbox, and not before.

    A message that is no event stays in the queue, for the queue's own dead letters.
    """

    def __init__(
        self,
        store: TaskStore,
        intake: Intake,
        open_queue: OpenQueue,
        *,
        own_queue: str = "",
        wait: Wait = wait,
    ) -> None:
        """Args:
        own_queue: names the queue of the hub's own work, in which a `Listener` hears; "" where
            there is none.
        """
        self._store = store
        self._intake = intake
        self._open_queue = open_queue
        self._own_queue = own_queue
        self._wait = wait
        self._receivers: dict[tuple[TaskId, str], asyncio.Task[None]] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Pumps until `stop` is set, whatever fails. What was received and not put into the inbox
        then comes again."""
        async with asyncio.TaskGroup() as group:
            while not stop.is_set():
                try:
                    await self._look(group, stop)
                except Exception:
                    log.exception("Queues are looked for again.", extra={"action": "pump_failed"})
                await self._wait(stop, LOOK)
            for receiver in self._receivers.values():
                receiver.cancel()

    async def _look(self, group: asyncio.TaskGroup, stop: asyncio.Event) -> None:
        """Starts to receive from what is new, and ends it for what is gone."""
        tasks = {
            (task.ident, json.dumps([task.events, task.spec["source"]], sort_keys=True)): task
            for task in await self._store.event_tasks()
            if task.events["kind"] == SourceKind.SQS and not hears_at(task, self._own_queue)
        }
        for key in self._receivers.keys() - tasks.keys():
            self._receivers.pop(key).cancel()
        for key in tasks.keys() - self._receivers.keys():
            self._receivers[key] = group.create_task(self._receive(tasks[key], stop))

    async def _receive(self, task: Task, stop: asyncio.Event) -> None:
        """Receives for ever; rests longer each time that it fails."""
        failures = 0
        while not stop.is_set():
            try:
                queue = await self._open_queue(task, EventSource.from_json(task.events))
                try:
                    while True:
                        await self._empty(task.ident, queue)
                        failures = 0
                finally:
                    await queue.aclose()
            except TransferHubError as error:
                self._tell(task, error)
            except Exception:
                log.exception("a queue failed", extra={"action": "pump_failed", "task": task.ident})
            await self._wait(stop, _PAUSES[min(failures, len(_PAUSES) - 1)])
            failures += 1

    async def _empty(self, ident: TaskId, queue: EventQueue) -> None:
        """Waits for messages, and takes all that there are then."""
        messages = list(await queue.receive(LONG))
        while messages:
            await self._take(ident, queue, messages)
            answers = await asyncio.gather(*(queue.receive(timedelta()) for _ in range(_AT_ONCE)))
            messages = [message for answer in answers for message in answer]

    async def _take(self, ident: TaskId, queue: EventQueue, messages: Sequence[Message]) -> None:
        task = await self._store.get_task(ident)
        if task is None:
            return
        read = await self._intake.take(task, [message.body for message in messages])
        done = [message for message, well in zip(messages, read, strict=True) if well]
        with suppress(StoreError):  # they come again, which changes nothing
            await queue.delete(done)

    def _tell(self, task: Task, error: TransferHubError) -> None:
        log.warning(
            "the queue of task %s: %s",
            task.ident,
            error.message,
            extra={"action": "pump_queue_failed", "task": task.ident},
        )
