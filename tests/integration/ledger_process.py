"""What the processes of test_shared_state.py run: python -m … ROLE URL NAME BATCHES.

Each writes a line for every batch that it has committed. After so many BATCHES it kills itself, a
moment later and so within the next one; 0 is never.
"""

import asyncio
import os
import random
import signal
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from transferhub.model.transfer import (
    Difference,
    Lease,
    Outcome,
    Part,
    PartOutcome,
    RunId,
    ScanCounts,
    Shard,
    Transfer,
    TransferState,
    Upload,
    WorkerId,
    WorkKind,
)
from transferhub.state.base import Ledger
from transferhub.state.sql import SqlLedger

RUN = RunId("run")
TRANSFERS = [Transfer(f"key-{number:05}", Difference.NEW, number % 90) for number in range(2_000)]
LARGE = 85
BATCH = 40
STARTED = datetime(2026, 1, 1, tzinfo=UTC)


async def record(ledger: Ledger, name: str, committed: Callable[[], None]) -> None:
    """Records all transfers; each recorder goes its own way through the same batches."""
    starts = [*range(0, len(TRANSFERS), BATCH)]
    random.Random(name).shuffle(starts)
    for start in starts:
        shard = Shard(
            ident=str(start),
            done=True,
            detail="{}",
            counts=ScanCounts(scanned_source=BATCH, new=BATCH),
        )
        await ledger.record(RUN, TRANSFERS[start : start + BATCH], [shard])
        committed()


async def work(ledger: Ledger, name: str, committed: Callable[[], None]) -> None:
    """Works until nothing is open; transfers from `LARGE` on go in parts."""
    while (await ledger.totals(RUN)).open:
        leases = await ledger.lease(
            RUN, WorkerId(name), limit=BATCH, max_bytes=1 << 40, duration=timedelta(minutes=9)
        )
        if not leases:
            await asyncio.sleep(0.01)
            continue
        await finish(ledger, leases)
        committed()


async def finish(ledger: Ledger, leases: Sequence[Lease]) -> None:
    parts = [at for at in leases if at.kind is WorkKind.PART]
    large = [at for at in leases if at.kind is WorkKind.TRANSFER and at.transfer.size >= LARGE]
    others = [at for at in leases if at not in parts and at not in large]
    assert not await ledger.complete(
        [Outcome(at, TransferState.DONE, at.transfer.size, "etag") for at in others]
    )
    assert not await ledger.complete_parts([PartOutcome(at, "etag") for at in parts])
    for at in large:
        upload = Upload(at.transfer.key, f"upload of {at.transfer.key}", STARTED)
        await ledger.save_upload(at, upload._replace(upload_id=""))
        half = at.transfer.size // 2
        await ledger.save_parts(
            at, upload, [Part(1, 0, half), Part(2, half, at.transfer.size - half)]
        )


async def main(role: str, url: str, name: str, batches: str) -> None:
    left = int(batches)

    def committed() -> None:
        nonlocal left
        sys.stdout.write("committed\n")
        sys.stdout.flush()
        left -= 1
        if left == 0:
            asyncio.get_running_loop().call_later(0.002, os.kill, os.getpid(), signal.SIGKILL)

    ledger = await SqlLedger.open(url)
    await {"record": record, "work": work}[role](ledger, name, committed)
    await ledger.aclose()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
