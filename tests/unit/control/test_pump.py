"""Events from queues: nothing is deleted before it is kept, and nothing stops the pump."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.unit.control.event_desk import SQS, SourceDesk
from tests.unit.control.test_intake import body
from transferhub.control.pump import Pump
from transferhub.errors import DeniedError, StateError, TransientError
from transferhub.model.event import EventSource, ObjectEvent
from transferhub.model.run import Task, TaskId
from transferhub.queues.base import Message


class FakeQueue:
    """Gives what it holds, ten at a time, and gives again what was not deleted when asked to."""

    def __init__(self) -> None:
        self.held: dict[str, str] = {}
        self.visible: deque[str] = deque()
        self.faults: deque[Exception] = deque()
        self.news = asyncio.Event()
        self.opened = self.closed = 0

    def send(self, *bodies: bytes | str) -> None:
        for text in bodies:
            receipt = f"r{len(self.held)}"
            self.held[receipt] = text if isinstance(text, str) else text.decode()
            self.visible.append(receipt)
        self.news.set()

    async def open(self, task: Task, source: EventSource) -> "FakeQueue":
        self.opened += 1
        return self

    async def receive(self, wait: timedelta) -> Sequence[Message]:
        if self.faults:
            raise self.faults.popleft()
        if wait and not self.visible:
            self.news.clear()
            await self.news.wait()
        found = [self.visible.popleft() for _ in range(min(10, len(self.visible)))]
        return [Message(self.held[at], at) for at in found]

    async def delete(self, messages: Sequence[Message]) -> None:
        for message in messages:
            del self.held[message.receipt]

    async def aclose(self) -> None:
        self.closed += 1


class Station:
    def __init__(self) -> None:
        self.desk = SourceDesk()
        self.queue = FakeQueue()
        self.waited: list[timedelta] = []
        self.pump = Pump(self.desk.store, self.desk.intake, self.queue.open, wait=self._turn)

    async def _turn(self, stop: asyncio.Event, duration: timedelta) -> None:
        self.waited.append(duration)
        await asyncio.sleep(0)

    @asynccontextmanager
    async def pumping(self) -> Any:
        stop = asyncio.Event()
        task = asyncio.create_task(self.pump.run(stop))
        yield
        stop.set()
        await task

    async def until(self, found: Callable[[], Awaitable[bool]]) -> None:
        while not await found():  # noqa: ASYNC110 - what is awaited is of many parts
            await asyncio.sleep(0)

    async def empty(self) -> bool:
        return not self.queue.held


@pytest.fixture
def station() -> Station:
    return Station()


async def test_messages_are_kept_and_then_deleted(station: Station) -> None:
    task = await station.desk.following()
    station.queue.send(*(body(f"in/{number}") for number in range(95)))
    async with station.pumping():
        await station.until(station.empty)
        station.queue.send(body("in/later"))
        await station.until(station.empty)
    assert await station.desk.inbox.count(task.ident) == 96
    assert station.queue.closed == station.queue.opened == 1


async def test_what_cannot_be_kept_is_not_deleted(station: Station) -> None:
    task = await station.desk.following()
    inbox, put = station.desk.inbox, station.desk.inbox.put
    full = asyncio.Event()

    async def refuse(task: TaskId, events: Sequence[ObjectEvent]) -> None:
        full.set()
        raise StateError("The disk is full.")

    inbox.put = refuse  # type: ignore[method-assign]
    station.queue.send(body("in/a"))
    async with station.pumping():
        await full.wait()
        assert station.queue.held
        inbox.put = put  # type: ignore[method-assign]
        station.queue.visible.extend(station.queue.held)
        station.queue.news.set()
        await station.until(station.empty)
    assert await station.desk.waiting(task) == ["in/a"]


async def test_what_is_no_event_stays_in_the_queue(station: Station) -> None:
    task = await station.desk.following()
    station.queue.send("poison", body("in/a"))

    async def one_left() -> bool:
        return len(station.queue.held) == 1

    async with station.pumping():
        await station.until(one_left)
    assert [*station.queue.held.values()] == ["poison"]
    assert await station.desk.waiting(task) == ["in/a"]


async def test_a_queue_that_fails_is_opened_again_after_longer_and_longer(
    station: Station,
) -> None:
    await station.desk.following()
    faults = [TransientError("away"), DeniedError("no"), ValueError("bug")]
    station.queue.faults.extend(faults)
    station.queue.send(body("in/a"))
    async with station.pumping():
        await station.until(station.empty)
    rests = [at.total_seconds() for at in station.waited if at != timedelta(seconds=2)]
    assert rests[:2] == [1, 5]
    assert station.queue.opened == station.queue.closed == 4


async def test_a_queue_is_left_when_its_task_hears_elsewhere(station: Station) -> None:
    task = await station.desk.following()

    async def opened() -> bool:
        return station.queue.opened == 1

    async def closed() -> bool:
        return station.queue.closed == 1

    async with station.pumping():
        await station.until(opened)
        await station.desk.store.update_task(replace(task, events={}))
        await station.until(closed)
    assert station.queue.opened == 1


async def test_two_pumps_share_a_queue(station: Station) -> None:
    desk, queue = station.desk, station.queue
    task = await desk.following(**SQS)
    other = Station()
    other.desk, other.queue = desk, queue
    other.pump = Pump(desk.store, desk.intake, queue.open, wait=other._turn)  # noqa: SLF001
    queue.send(*(body(f"in/{number}") for number in range(200)))
    async with station.pumping(), other.pumping():
        await station.until(station.empty)
    assert await desk.inbox.count(task.ident) == 200
