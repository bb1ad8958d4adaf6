"""A replication without stores, and the clock and ledgers to try a worker with."""

import asyncio
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

from transferhub.engine.finder import ScanRecord
from transferhub.engine.groups import first_error
from transferhub.engine.replication import Copied, PartPlan
from transferhub.engine.retry import FATAL_CODES
from transferhub.engine.tuning import Tuning
from transferhub.engine.worker import Worker
from transferhub.errors import TransferHubError
from transferhub.model.clock import Clock
from transferhub.model.transfer import (
    Action,
    Difference,
    Part,
    RunId,
    Transfer,
    Upload,
    WorkerId,
)
from transferhub.state.base import Ledger

RUN = RunId("run")


class FastClock:
    """Real time, a thousand times faster, so that retries do not hold the tests up."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._at = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self._at + timedelta(seconds=(time.monotonic() - self._start) * 1_000)


class HandClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.at = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def move(self, step: timedelta) -> None:
        self.at += step


@dataclass
class FakeReplication:
    """Copies nothing, and keeps a record of what it was asked for.

    Attributes:
        errors: by key, what its next steps raise; None for a step that succeeds.
        always: by key, what every step that moves bytes raises.
        hold: awaited in every step that moves bytes.
        parts_from: objects of this size and more go in parts of `part_size`.
        fatal_codes: as a Replication says them.
        weightless: no byte passes through this process, as on a server that copies by itself.
        most_slots, most_bytes: under way at once.
        alive: uploads that were begun and neither finished nor aborted.
    """

    errors: dict[str, deque[Exception | None]] = field(default_factory=lambda: defaultdict(deque))
    always: dict[str, Exception] = field(default_factory=dict)
    hold: Callable[[Transfer], asyncio.Event | None] = lambda _: None
    parts_from: int = 1 << 60
    part_size: int = 10
    asked: Counter[str] = field(default_factory=Counter)
    deletes: list[list[str]] = field(default_factory=list)
    refreshed: list[str] = field(default_factory=list)
    fatal_codes: Collection[str] = FATAL_CODES
    weightless: bool = False
    alive: set[str] = field(default_factory=set)
    most_slots: int = 0
    most_bytes: int = 0
    _slots: int = 0
    _bytes: int = 0
    _uploads: int = 0

    @property
    def under_way(self) -> int:
        return self._slots

    async def check(self) -> None: ...

    async def find(
        self, run: RunId, record: ScanRecord, spool: Path, talk: Callable[[str], None]
    ) -> None: ...

    async def plan(self, transfer: Transfer) -> PartPlan | None:
        if transfer.size < self.parts_from:
            return None
        starts = range(0, transfer.size, self.part_size)
        parts = [
            Part(number, start, min(self.part_size, transfer.size - start))
            for number, start in enumerate(starts, 1)
        ]
        return PartPlan(key=transfer.key, parts=parts)

    def weight(self, transfer: Transfer) -> int:
        return 0 if self.weightless else transfer.size

    async def copy(self, transfer: Transfer) -> Copied:
        await self._move(transfer, transfer.size)
        return Copied(moved_bytes=transfer.size)

    async def begin(self, transfer: Transfer, intent: Upload) -> Upload | Copied:
        self._fail(transfer.key)
        self._uploads += 1
        upload = intent._replace(upload_id=f"upload-{self._uploads}")
        self.alive.add(upload.upload_id)
        return upload

    async def copy_part(self, transfer: Transfer, upload: Upload, part: Part) -> Part:
        await self._move(transfer, part.size)
        return part._replace(etag="etag")

    def finish_weight(self, transfer: Transfer, parts: Sequence[Part]) -> int:
        return 0

    async def finish(self, transfer: Transfer, upload: Upload, parts: Sequence[Part]) -> Copied:
        self._fail(transfer.key)
        self.alive.discard(upload.upload_id)
        return Copied(moved_bytes=transfer.size)

    async def abort(self, upload: Upload) -> None:
        self.alive.discard(upload.upload_id)

    async def delete(self, transfers: Sequence[Transfer]) -> Mapping[str, TransferHubError]:
        self.deletes.append([transfer.key for transfer in transfers])
        self._fail("*")
        failed = {}
        for transfer in transfers:
            try:
                self._fail(transfer.key)
            except TransferHubError as error:
                failed[transfer.key] = error
        return failed

    async def refresh(self, transfer: Transfer) -> Transfer | None:
        self.refreshed.append(transfer.key)
        return transfer._replace(etag="new")

    async def aclose(self) -> None: ...

    async def _move(self, transfer: Transfer, size: int) -> None:
        self.asked[transfer.key] += 1
        self._slots += 1
        self._bytes += size
        self.most_slots = max(self.most_slots, self._slots)
        self.most_bytes = max(self.most_bytes, self._bytes)
        try:
            gate = self.hold(transfer)
            if gate is not None:
                await gate.wait()
            await asyncio.sleep(0)
            if transfer.key in self.always:
                raise self.always[transfer.key]
            self._fail(transfer.key)
        finally:
            self._slots -= 1
            self._bytes -= size

    def _fail(self, key: str) -> None:
        waiting = self.errors.get(key)
        error = waiting.popleft() if waiting else None
        if error is not None:
            raise error


def copies(*keys: str, size: int = 1) -> list[Transfer]:
    return [Transfer(key, Difference.NEW, size, "etag") for key in keys]


def deletes(*keys: str) -> list[Transfer]:
    return [Transfer(key, Difference.EXTRA, 1, "etag", action=Action.DELETE) for key in keys]


def worker(
    ledger: Ledger,
    replication: FakeReplication,
    tuning: Tuning | None = None,
    *,
    name: str = "w",
    clock: Clock | None = None,
) -> Worker:
    tuning = tuning or Tuning(concurrency=4, drain=timedelta(seconds=5))
    if clock is None:  # the fast one: a busy machine must not make leases run out
        tuning = replace(tuning, lease=timedelta(days=1))
    return Worker(
        ident=WorkerId(name),
        run=RUN,
        ledger=ledger,
        replication=replication,
        tuning=tuning,
        clock=clock or FastClock(),
        random=Random(1),
    )


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while True:
            if holds():
                return
            await asyncio.sleep(0)


async def until_settled(ledger: Ledger) -> None:
    """Returns when nothing is open."""
    while True:
        if not (await ledger.totals(RUN)).open:
            return
        await asyncio.sleep(0.001)


async def work_off(ledger: Ledger, *workers: Worker) -> None:
    """Lets the workers work until nothing is open."""
    stop = asyncio.Event()
    try:
        async with asyncio.TaskGroup() as group:
            for each in workers:
                group.create_task(each.work(stop))
            await until_settled(ledger)
            stop.set()
    except BaseExceptionGroup as errors:
        raise first_error(errors) from None
