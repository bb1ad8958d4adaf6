import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from tests.unit.engine.test_execution import RUN, Bench, put
from transferhub.engine.execution import DeleteGuard, Execution, Job
from transferhub.engine.progress import Phase, Progress, Summary
from transferhub.model.clock import utc_now
from transferhub.model.run import RunState
from transferhub.model.transfer import (
    Action,
    Lease,
    Outcome,
    Part,
    PartOutcome,
    ScanCounts,
    Tally,
    Totals,
    TransferState,
    Upload,
    WorkerId,
    WorkKind,
)

COPY, DELETE = Action.COPY, Action.DELETE


def test_a_summary_counts_copies_and_deletes_apart() -> None:
    tallies = {
        (COPY, TransferState.DONE): Tally(1, 10),
        (COPY, TransferState.FAILED): Tally(2),
        (COPY, TransferState.VANISHED): Tally(3),
        (COPY, TransferState.SKIPPED): Tally(4),
        (COPY, TransferState.WAITING): Tally(5),
        (COPY, TransferState.IN_PARTS): Tally(6),
        (DELETE, TransferState.DONE): Tally(7),
        (DELETE, TransferState.FAILED): Tally(8),
        (DELETE, TransferState.HELD): Tally(9),
        (DELETE, TransferState.LEASED): Tally(10),
    }
    totals = Totals(
        scan=ScanCounts(new=7), shards=1, shards_done=1, tallies=tallies, moved_bytes=99, uploads=0
    )
    summary = Summary.of(RUN, RunState.CANCELLED, totals, seconds=1.5)
    assert (summary.done, summary.failed, summary.vanished, summary.skipped) == (1, 2, 3, 4)
    assert (summary.deleted, summary.delete_failed) == (7, 8)
    assert (summary.waiting, summary.bytes, summary.seconds) == (5 + 6 + 10, 99, 1.5)
    assert summary.scan.new == 7


class StepByStep:
    """A crew that ends one transfer each time that somebody has looked."""

    size = 3

    def __init__(self, bench: Bench) -> None:
        self.looked = asyncio.Event()
        self._ledger = bench.ledger

    async def work(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await self.looked.wait()
            self.looked.clear()
            leases = await self._ledger.lease(
                RUN, WorkerId("w"), limit=1, max_bytes=1, duration=timedelta(days=9)
            )
            await self._ledger.complete([Outcome(lease, TransferState.DONE) for lease in leases])


class PartByPart(StepByStep):
    """A crew that copies one object in four parts, and ends one each time somebody has looked."""

    async def work(self, stop: asyncio.Event) -> None:
        await self.looked.wait()
        while not (found := await self._lease()):
            await self.looked.wait()
            self.looked.clear()
        (lease,) = found
        upload = Upload("key", "upload", utc_now())
        parts = [Part(number, number * 25, 25) for number in range(4)]
        await self._ledger.save_parts(lease, upload, parts)
        while not stop.is_set():
            await self.looked.wait()
            self.looked.clear()
            for part in await self._lease():
                if part.kind is WorkKind.PART:
                    await self._ledger.complete_parts([PartOutcome(part, "etag")])
                else:
                    await self._ledger.complete([Outcome(part, TransferState.DONE, 100)])

    async def _lease(self) -> Sequence[Lease]:
        return await self._ledger.lease(
            RUN, WorkerId("w"), limit=1, max_bytes=1, duration=timedelta(days=9)
        )


async def test_an_observer_sees_the_parts_of_a_large_object(tmp_path: Path) -> None:
    bench, seen = Bench(tmp_path), list[Progress]()
    await put(bench.source, "key", bytes(100))
    crew = PartByPart(bench)

    def observe(progress: Progress) -> None:
        seen.append(progress)
        crew.looked.set()

    job = Job(
        run=RUN,
        ledger=bench.ledger,
        replication=bench.replication(),
        crew=crew,
        guard=DeleteGuard(),
        destination="the destination",
        folder=tmp_path,
    )
    await Execution(job, talk=bench.talk.append, observer=observe).run(asyncio.Event())
    sizes = [progress.part_bytes for progress in seen if progress.part_bytes]
    assert sizes == sorted(sizes)
    assert {25, 50, 75} <= set(sizes)
    assert any(progress.bytes_per_second > 0 for progress in seen if progress.part_bytes == 50)


async def test_an_observer_sees_a_run_go_on(tmp_path: Path) -> None:
    bench, seen = Bench(tmp_path), list[Progress]()
    for key in ("a", "b"):
        await put(bench.source, key, b"12345")
    await put(bench.destination, "extra", b"1")
    crew = StepByStep(bench)

    def observe(progress: Progress) -> None:
        seen.append(progress)
        crew.looked.set()

    job = Job(
        run=RUN,
        ledger=bench.ledger,
        replication=bench.replication(),
        crew=crew,
        guard=DeleteGuard(delete=True, most_percent=100),
        destination="the destination",
        folder=tmp_path,
    )
    end = await Execution(job, talk=bench.talk.append, observer=observe).run(asyncio.Event())
    assert (end.status, end.done, end.deleted) == (RunState.SUCCEEDED, 2, 1)

    done = [progress.totals.tally(COPY, TransferState.DONE).count for progress in seen]
    assert done == sorted(done)
    assert {0, 1} <= set(done)
    assert {(progress.run, progress.workers) for progress in seen} == {(RUN, 3)}
    seconds = [progress.seconds for progress in seen]
    assert seconds == sorted(seconds)
    phases = [progress.phase for progress in seen]
    assert phases == sorted(phases, key=[Phase.COPYING, Phase.DELETING].index)
    for progress in seen:
        if progress.listing:
            assert progress.seconds_left is None  # nobody knows what is still to be found
    halfway = next(
        progress
        for progress in seen
        if progress.totals.tally(COPY, TransferState.DONE).count == 1 and not progress.listing
    )
    assert halfway.objects_per_second > 0
    assert halfway.bytes_per_second == pytest.approx(5 * halfway.objects_per_second)
    assert halfway.seconds_left == pytest.approx(1 / halfway.objects_per_second)
