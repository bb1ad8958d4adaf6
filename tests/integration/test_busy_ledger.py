"""Several ledgers of one database are asked everything at once, in any order."""

import asyncio
import random
from datetime import UTC, datetime, timedelta

from tests.conformance.ledger_facts import (
    UPLOAD,
    done,
    failed,
    new,
    part_done,
    parts,
    recount,
)
from transferhub.errors import LeaseLostError
from transferhub.model.transfer import OPEN_STATES, Lease, RunId, TransferState, WorkerId, WorkKind
from transferhub.state.base import Ledger
from transferhub.state.sql import SqlLedger

RUN = RunId("run")
ACTORS = 4
VERBS = 120


class Actor:
    """Asks for one verb after the other, with leases that may be stale by then."""

    def __init__(self, ledger: Ledger, number: int) -> None:
        self._ledger = ledger
        self._worker = WorkerId(f"worker-{number}")
        self._random = random.Random(number)
        self._leases: list[Lease] = []

    async def act(self, count: int = VERBS) -> None:
        often = [self.lease] * 3 + [self.complete] * 2
        verbs = [*often, self.record, self.fail, self.give_back, self.split, self.manage]
        for _ in range(count):
            await self._random.choice(verbs)()

    async def record(self) -> None:
        numbers = [self._random.randrange(3_000) for _ in range(200)]
        held = self._random.choice([TransferState.HELD, TransferState.WAITING])
        await self._ledger.record(
            RUN, [new(f"key-{n}", n % 9)._replace(state=held) for n in numbers]
        )

    async def lease(self) -> None:
        self._leases += await self._ledger.lease(
            RUN,
            self._worker,
            limit=self._random.randrange(1, 200),
            max_bytes=1 << 40,
            duration=timedelta(seconds=self._random.choice([0.01, 60])),
        )

    async def complete(self) -> None:
        taken = self._take(150)
        await self._ledger.complete([done(at, 1) for at in taken if at.kind is not WorkKind.PART])
        ended = [part_done(at) for at in taken if at.kind is WorkKind.PART]
        await self._ledger.complete_parts(ended)

    async def fail(self) -> None:
        choices = [None, datetime.now(UTC)]
        fresh = [None, None, new("fresh", 7)]
        await self._ledger.fail(
            [
                failed(at, self._random.choice(choices), fresh=self._random.choice(fresh))
                for at in self._take(60)
            ]
        )

    async def give_back(self) -> None:
        await self._ledger.renew(self._leases, timedelta(seconds=1))
        await self._ledger.release(self._take(60))

    async def split(self) -> None:
        for at in self._take(15):
            try:
                await self._ledger.save_parts(at, UPLOAD, parts(1, 2, 3))
            except LeaseLostError:
                continue

    async def manage(self) -> None:
        await self._ledger.redrive(RUN, key=f"*{self._random.randrange(10)}")
        await self._ledger.release_held(RUN)
        await self._ledger.reclaim(RUN, [self._worker])
        if not self._random.randrange(9):
            await self._ledger.reset(RUN)

    def _take(self, count: int) -> list[Lease]:
        self._random.shuffle(self._leases)
        taken, self._leases = self._leases[:count], self._leases[count:]
        return taken


async def test_totals_stay_exact_and_no_upload_is_lost(state_url: str) -> None:
    ledgers = [await SqlLedger.open(state_url) for _ in range(ACTORS)]
    actors = [Actor(ledger, number) for number, ledger in enumerate(ledgers)]
    await asyncio.gather(*(actor.act() for actor in actors))

    await assert_exact(ledgers[0])
    for ledger in ledgers:
        await ledger.aclose()


async def assert_exact(ledger: Ledger) -> None:
    """What a recount gives; and each upload of the run's is found, and its transfer is open."""
    await ledger.record(RUN, [new("one more")])
    assert (await ledger.totals(RUN)).tallies == await recount(ledger, RUN)
    found = [record async for record in ledger.transfers(RUN, states=[*OPEN_STATES])]
    in_use = [record for record in await ledger.uploads(RUN) if not record.abandoned]
    keys = [record.transfer_key for record in in_use]
    assert {*keys} <= {record.transfer.key for record in found}
    assert len({*keys}) == len(keys)
    await ledger.reset(RUN)
    for record in await ledger.uploads(RUN):
        await ledger.forget_upload(RUN, record)
    assert (await ledger.totals(RUN)).uploads == 0
