"""How fast a ledger is, in transfers per second and CPU of this process per transfer.

python -m benchmarks.micro_state [transfers] [database URL]

Without a URL: a SQLite file in a temporary folder, then a PostgreSQL server of its own.
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.servers.postgres import PostgresServer
from transferhub.model.transfer import (
    Difference,
    Outcome,
    RunId,
    Transfer,
    TransferState,
    WorkerId,
)
from transferhub.state.sql import SqlLedger

TRANSFERS = 200_000
BATCHES = (200, 1_000)
WORKER = WorkerId("worker")
LEASE = timedelta(minutes=5)


async def timed(what: str, count: int, work: Callable[[], Awaitable[None]]) -> None:
    wall, cpu = time.perf_counter(), time.process_time()
    await work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"  {what:<18}{count / wall:>9,.0f}/s {1e6 * cpu / count:>6.1f} µs CPU")


async def measure(ledger: SqlLedger, count: int, batch: int) -> None:
    run = RunId(f"batches of {batch}")
    listed_at = datetime(2026, 1, 1, tzinfo=UTC)
    transfers = [
        Transfer(
            f"data/{number // 1_000:05}/{number:08}", Difference.NEW, 10_240, "0" * 32, listed_at
        )
        for number in range(count)
    ]

    async def record() -> None:
        for start in range(0, count, batch):
            await ledger.record(run, transfers[start : start + batch])

    async def work() -> None:
        while leases := await ledger.lease(
            run, WORKER, limit=batch, max_bytes=1 << 60, duration=LEASE
        ):
            done = [Outcome(lease, TransferState.DONE, 10_240, "0" * 32) for lease in leases]
            await ledger.complete(done)

    async def read() -> None:
        async for _ in ledger.transfers(run):
            pass

    async def ask() -> None:
        for _ in range(100):
            await ledger.totals(run)

    print(f" {run}")
    await timed("record", count, record)
    await timed("lease + complete", count, work)
    await timed("transfers", count, read)
    await timed("totals", 100, ask)
    await ledger.purge(run)


async def measure_database(url: str, count: int) -> None:
    print(url.partition(":")[0])
    ledger = await SqlLedger.open(url)
    for batch in BATCHES:
        await measure(ledger, count, batch)
    await ledger.aclose()


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else TRANSFERS
    if len(sys.argv) > 2:
        asyncio.run(measure_database(sys.argv[2], count))
        return
    with TemporaryDirectory() as folder:
        asyncio.run(measure_database(f"sqlite:///{Path(folder) / 'state.sqlite3'}", count))
    with PostgresServer() as server:
        asyncio.run(measure_database(server.create_database(), count))


if __name__ == "__main__":
    main()
