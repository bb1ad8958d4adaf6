from dataclasses import replace
from datetime import timedelta

from tests.unit.control.hub_desk import ADMIN, HubDesk
from transferhub.control.standing import Standing
from transferhub.engine.progress import Summary
from transferhub.engine.report import document
from transferhub.model.run import Run, RunState
from transferhub.model.transfer import (
    Difference,
    Outcome,
    ScanCounts,
    Shard,
    Transfer,
    TransferState,
    WorkerId,
)

COUNTS = ScanCounts(scanned_source=3, new=3, source_bytes=30, copy_bytes=30)


async def standing(desk: HubDesk, run: Run) -> Standing:
    (only,) = await desk.orders.standings(ADMIN, [run])
    return only


async def under_way(desk: HubDesk, *, listed: bool) -> Run:
    """One of three objects is copied."""
    run = await desk.claimed(await desk.task())
    transfers = [Transfer(key, Difference.NEW, 10) for key in ("a", "b", "c")]
    shard = Shard(ident="all", done=listed, detail="", counts=COUNTS)
    await desk.ledger.record(run.ident, transfers, [shard])
    (lease,) = await desk.ledger.lease(
        run.ident, WorkerId("w"), limit=1, max_bytes=1, duration=timedelta(minutes=1)
    )
    await desk.ledger.complete([Outcome(lease, TransferState.DONE, moved_bytes=10)])
    return run


async def test_a_run_that_goes_on_is_counted() -> None:
    desk = HubDesk()
    found = await standing(desk, await under_way(desk, listed=True))
    assert found == Standing(scan=COUNTS, done=1, waiting=2, bytes=10)


async def test_numbers_are_at_least_until_all_is_listed() -> None:
    desk = HubDesk()
    assert (await standing(desk, await under_way(desk, listed=False))).listing
    assert (await standing(desk, await desk.claimed(await desk.task(name="Other")))).listing


async def test_a_run_that_waits_lists_nothing() -> None:
    desk = HubDesk()
    run = await desk.orders.start(ADMIN, (await desk.task()).ident)
    assert await standing(desk, run) == Standing(scan=ScanCounts())


async def test_a_run_that_has_ended_is_what_its_summary_says() -> None:
    desk = HubDesk()
    run = await under_way(desk, listed=True)
    summary = Summary(
        run=run.ident,
        status=RunState.COMPLETED_WITH_FAILURES,
        scan=COUNTS,
        done=2,
        failed=1,
        delete_failed=4,
        bytes=20,
    )
    ended = replace(run, state=summary.status, summary=document(summary))
    assert await standing(desk, ended) == Standing(
        scan=COUNTS, done=2, failed=1, delete_failed=4, bytes=20
    )


async def test_a_run_that_goes_on_again_is_counted_again() -> None:
    desk = HubDesk()
    run = await under_way(desk, listed=True)
    queued = replace(run, state=RunState.QUEUED, summary={"done": 99})
    assert (await standing(desk, queued)).done == 1
