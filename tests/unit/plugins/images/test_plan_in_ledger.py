"""A plan, recorded and carried out, adds up in the books of the engine."""

from datetime import timedelta

from tests.unit.plugins.images.test_plan import destination, digest, source
from transferhub.engine.report import balance
from transferhub.model.transfer import Outcome, RunId, Shard, TransferState, WorkerId
from transferhub.plugins.images.plan import PlanRow, RowKind, make_plan, row_of
from transferhub.plugins.images.selection import ImageEntry
from transferhub.registries.repositories import TagRule
from transferhub.state.memory import MemoryLedger

RUN, WORKER = RunId("r"), WorkerId("w")
ENDS = {
    RowKind.CONFLICT: TransferState.SKIPPED,
    RowKind.GONE: TransferState.VANISHED,
}


async def test_every_row_of_a_plan_is_in_the_books() -> None:
    first = source(
        {"1": "x", "2": "x", "3": "y", "4": "z", "5": "v"},
        "u",
        gone=(ImageEntry(tag="7"), ImageEntry(digest=digest("g"))),
        referrers={digest("x"): [digest("s")]},
        filtered=3,
    )
    there = destination(
        {"4": "z", "5": "w", "9": "a"}, "y", extra={"9"}, rule=TagRule(immutable=True)
    )
    unlisted = [PlanRow(kind=RowKind.UNLISTED, source="ghcr.io/web", repository="web")]
    plan = make_plan([(first, there)], unlisted=unlisted)
    assert {row.kind for row in plan.rows} == set(RowKind)

    ledger = MemoryLedger()
    shard = Shard(ident="plan", done=True, detail="{}", counts=plan.counts)
    transfers = list(plan.transfers())
    assert await ledger.record(RUN, transfers, [shard]) == len(transfers)
    leased = []
    while leases := await ledger.lease(
        RUN, WORKER, limit=3, max_bytes=1 << 30, duration=timedelta(minutes=1)
    ):
        leased += [row_of(lease.transfer) for lease in leases]
        await ledger.complete(
            [
                Outcome(lease, ENDS.get(row_of(lease.transfer).kind, TransferState.DONE))
                for lease in leases
            ]
        )
    work = [row for row in plan.rows if row.kind not in (RowKind.SKIP, RowKind.EXTRA)]
    assert sorted(leased, key=lambda row: row.key) == sorted(work, key=lambda row: row.key)
    totals = await ledger.totals(RUN)
    assert balance(totals) == []
    assert totals.scan.scanned_source == len(plan.rows) - 1 + 3
