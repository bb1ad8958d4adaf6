"""A task that follows events, between two stores in memory, with a real worker."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.unit.engine.fake_replication import HandClock
from transferhub.engine.compare import CompareMode
from transferhub.engine.execution import DeleteGuard, Execution, Job
from transferhub.engine.progress import Summary
from transferhub.engine.tuning import Tuning
from transferhub.engine.worker import Worker
from transferhub.model.event import EventKind, ObjectEvent
from transferhub.model.objects import Attributes, WriteOptions
from transferhub.model.run import TaskId
from transferhub.model.transfer import RunId, WorkerId
from transferhub.plugins.objects.event_scan import IDLE, EventGuard, Following
from transferhub.plugins.objects.keymap import KeyMap
from transferhub.plugins.objects.replication import ObjectReplication, Scope, Writing
from transferhub.plugins.objects.selection import Selection
from transferhub.state.memory import MemoryInbox, MemoryLedger
from transferhub.stores.base import ObjectStore
from transferhub.stores.memory import MemoryStore

TASK = TaskId("task")


class Crew:
    size = 1

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    async def work(self, stop: asyncio.Event) -> None:
        await self._worker.work(stop)


@dataclass
class EventWorld:
    """Attributes:
    other_waits: a run that lists waits for this one's end.
    """

    folder: Path
    prefixes: Sequence[str] = ("",)
    selection: Selection = field(default_factory=Selection)
    compare: CompareMode = CompareMode.SIZE_MTIME
    limits: DeleteGuard = field(default_factory=DeleteGuard)
    seen: int = 0
    deleted: int = 0
    other_waits: bool = False

    def __post_init__(self) -> None:
        self.looked = asyncio.Event()
        self.clock = HandClock()
        self.inbox = MemoryInbox(self.clock)
        self.ledger = MemoryLedger()
        self.source: ObjectStore = MemoryStore("source")
        self.destination: ObjectStore = MemoryStore("destination")

    async def put(self, key: str, body: bytes = b"x", *, at: ObjectStore | None = None) -> None:
        md5 = hashlib.md5(body, usedforsecurity=False).digest()
        store = at or self.source
        await store.put(key, body, attributes=Attributes(), options=WriteOptions(), md5=md5)

    async def tell(self, *keys: str, kind: EventKind = EventKind.CREATED) -> None:
        await self.inbox.put(TASK, [ObjectEvent("source", key, kind) for key in keys])

    async def copied(self) -> dict[str, bytes]:
        found = {}
        for entry in (await self.destination.list()).entries:
            async with self.destination.get(entry.key) as reader:
                found[entry.key] = bytes(await reader.read())
        return found

    @asynccontextmanager
    async def following(self, run: str = "run") -> AsyncIterator[Running]:
        """A run of events, which is killed where it has not ended before the scope does."""
        task = asyncio.ensure_future(self.run(RunId(run)))
        try:
            yield Running(self, task)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def run(self, run: RunId) -> Summary:
        replication = self._replication()
        guard = EventGuard(self.limits, "there", seen=self.seen, deleted=self.deleted)
        following = Following(
            task=TASK,
            inbox=self.inbox,
            ledger=self.ledger,
            guard=guard,
            gives_way=self._gives_way,
            clock=self.clock,
            wait=self._turn,
        )
        worker = Worker(
            ident=WorkerId(f"{run}.w"),
            run=run,
            ledger=self.ledger,
            replication=replication,
            tuning=Tuning(concurrency=8, attempts=2, drain=timedelta(seconds=1)),
        )
        job = Job(
            run=run,
            ledger=self.ledger,
            replication=replication,
            crew=Crew(worker),
            guard=guard,
            destination="there",
            folder=self.folder / run,
            former_workers=[WorkerId(f"{run}.w")],
            find=lambda run, *_: replication.follow(run, following),
        )
        return await Execution(job, talk=lambda _: None).run(asyncio.Event())

    def _replication(self) -> ObjectReplication:
        return ObjectReplication(
            source=self.source,
            destination=self.destination,
            keys=KeyMap(source_base="in/", destination_base="out/"),
            scope=Scope(prefixes=self.prefixes, selection=self.selection),
            compare=self.compare,
            writing=Writing(options=WriteOptions(), storage_class_for=lambda _: ""),
            listers=4,
        )

    async def _gives_way(self) -> bool:
        return self.other_waits

    async def _turn(self, _: timedelta) -> None:
        self.looked.set()
        await asyncio.sleep(0)


@dataclass
class Running:
    world: EventWorld
    task: asyncio.Future[Summary]

    async def handled(self) -> None:
        """Returns when the inbox is empty."""
        while await self.world.inbox.count(TASK):
            self.world.looked.clear()
            looked = asyncio.ensure_future(self.world.looked.wait())
            either: list[asyncio.Future[Any]] = [looked, self.task]
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if self.task.done():
                self.task.result()
                raise AssertionError("the run ended before its events were handled")

    async def ended(self) -> Summary:
        self.world.clock.move(IDLE)
        return await self.task
