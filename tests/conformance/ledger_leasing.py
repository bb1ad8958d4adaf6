"""Work is given for a time, to one worker, and fenced."""

import asyncio
from collections import Counter
from datetime import timedelta

import pytest

from tests.conformance.ledger_facts import (
    LEASE,
    OTHER,
    UPLOAD,
    WORKER,
    FakeClock,
    LedgerFacts,
    done,
    extra,
    failed,
    lease,
    lease_all,
    lease_new,
    lease_one,
    lease_parts,
    new,
    news,
    only_record,
    part_done,
    parts,
)
from transferhub.errors import LeaseLostError
from transferhub.model.transfer import (
    Action,
    Lease,
    Outcome,
    RunId,
    Tally,
    TransferState,
    WorkKind,
)
from transferhub.state.base import Ledger


async def take_over(ledger: Ledger, run: RunId, clock: FakeClock) -> tuple[Lease, Lease]:
    """A stale lease, and the one that took its place."""
    [stale] = await lease_new(ledger, run, new("a"))
    clock.advance(61)
    return stale, await lease_one(ledger, run)


class LeasingTests(LedgerFacts):
    async def test_there_is_no_work_in_an_unknown_run(self, ledger: Ledger, run: RunId) -> None:
        assert await lease(ledger, run) == []

    async def test_a_lease_is_of_a_whole_transfer_and_the_first_attempt(
        self, ledger: Ledger, run: RunId
    ) -> None:
        [found] = await lease_new(ledger, run, new("a", 5))
        assert found.run == run
        assert found.transfer == new("a", 5)
        assert (found.kind, found.attempt) == (WorkKind.TRANSFER, 1)
        assert (found.part, found.upload, found.parts) == (None, None, ())
        totals = await ledger.totals(run)
        assert totals.tallies == {(Action.COPY, TransferState.LEASED): Tally(1, 5)}

    async def test_work_is_leased_once(self, ledger: Ledger, run: RunId) -> None:
        await ledger.record(run, news(30))
        batches = await asyncio.gather(
            *(lease(ledger, run, limit=7, worker=worker) for worker in (WORKER, OTHER) * 4)
        )
        keys = Counter(at.transfer.key for batch in batches for at in batch)
        assert keys == Counter(transfer.key for transfer in news(30))

    async def test_a_batch_is_not_larger_than_its_limit(self, ledger: Ledger, run: RunId) -> None:
        await ledger.record(run, news(10))
        assert len(await lease(ledger, run, limit=4)) == 4
        assert len(await lease(ledger, run, limit=100)) == 6

    async def test_a_batch_is_not_heavier_than_its_bytes(self, ledger: Ledger, run: RunId) -> None:
        await ledger.record(run, news(10, size=30))
        assert len(await lease(ledger, run, max_bytes=100)) == 3
        assert len(await lease(ledger, run, max_bytes=60)) == 2

    async def test_there_is_always_room_for_one(self, ledger: Ledger, run: RunId) -> None:
        await ledger.record(run, news(2, size=500))
        assert len(await lease(ledger, run, max_bytes=1)) == 1
        assert len(await lease(ledger, run, max_bytes=0)) == 1

    async def test_deletes_weigh_nothing(self, ledger: Ledger, run: RunId) -> None:
        await ledger.record(run, [extra(f"extra-{number}") for number in range(9)])
        assert len(await lease(ledger, run, max_bytes=1)) == 9

    async def test_a_lease_that_ran_out_is_given_again(
        self, ledger: Ledger, run: RunId, clock: FakeClock
    ) -> None:
        [first] = await lease_new(ledger, run, new("a"))
        clock.advance(59)
        assert await lease(ledger, run) == []
        clock.advance(2)
        again = await lease_one(ledger, run)
        assert (again.transfer, again.attempt) == (first.transfer, 2)
        assert await ledger.complete([done(again)]) == []

    async def test_a_stale_lease_cannot_complete_a_transfer(
        self, ledger: Ledger, run: RunId, clock: FakeClock
    ) -> None:
        stale, current = await take_over(ledger, run, clock)
        assert await ledger.complete([done(stale, 5)]) == [stale]
        assert (await only_record(ledger, run)).state is TransferState.LEASED
        assert await ledger.complete([done(current, 7)]) == []
        assert (await ledger.totals(run)).moved_bytes == 7

    async def test_a_stale_lease_cannot_fail_a_transfer(
        self, ledger: Ledger, run: RunId, clock: FakeClock
    ) -> None:
        stale, current = await take_over(ledger, run, clock)
        assert await ledger.fail([failed(stale)]) == [stale]
        assert (await only_record(ledger, run)).state is TransferState.LEASED
        assert await ledger.fail([failed(current)]) == []
        [dead] = await ledger.failures(run)
        assert len(dead.history) == 1

    async def test_a_stale_lease_cannot_be_renewed(
        self, ledger: Ledger, run: RunId, clock: FakeClock
    ) -> None:
        stale, current = await take_over(ledger, run, clock)
        assert await ledger.renew([stale, current], LEASE) == [stale]

    async def test_a_stale_lease_gives_nothing_back(
        self, ledger: Ledger, run: RunId, clock: FakeClock
    ) -> None:
        stale, current = await take_over(ledger, run, clock)
        await ledger.release([stale])
        assert await lease(ledger, run) == []
        assert await ledger.complete([done(current)]) == []

    async def test_a_stale_lease_saves_no_upload(
        self, ledger: Ledger, run: RunId, clock: FakeClock
    ) -> None:
        stale, _ = await take_over(ledger, run, clock)
        with pytest.raises(LeaseLostError, match="'a'"):
            await ledger.save_upload(stale, UPLOAD)
        with pytest.raises(LeaseLostError, match="'a'"):
            await ledger.save_parts(stale, UPLOAD, parts(1))
        assert await ledger.uploads(run) == []

    async def test_a_lease_is_stale_after_it_was_given_back(
        self, ledger: Ledger, run: RunId
    ) -> None:
        [first] = await lease_new(ledger, run, new("a"))
        await ledger.release([first])
        assert await ledger.complete([done(first)]) == [first]
        assert await ledger.renew([first], LEASE) == [first]
        assert (await only_record(ledger, run)).state is TransferState.WAITING

    async def test_a_batch_with_lost_leases_ends_the_others(
        self, ledger: Ledger, run: RunId
    ) -> None:
        leases = await lease_new(ledger, run, *news(6))
        await ledger.release(leases[::2])
        assert await ledger.complete([done(at) for at in leases]) == leases[::2]
        totals = await ledger.totals(run)
        assert totals.tally(Action.COPY, TransferState.DONE).count == 3
        assert totals.open == 3

    async def test_a_transfer_ends_once(self, ledger: Ledger, run: RunId) -> None:
        [leased] = await lease_new(ledger, run, new("a"))
        assert await ledger.complete([done(leased, 5), done(leased, 6)]) == [leased]
        assert await ledger.complete([done(leased, 7)]) == [leased]
        assert await ledger.fail([failed(leased)]) == [leased]
        assert (await ledger.totals(run)).moved_bytes == 5

    async def test_renewed_leases_run_out_later(
        self, ledger: Ledger, run: RunId, clock: FakeClock
    ) -> None:
        leases = await lease_new(ledger, run, new("a"), new("b"))
        clock.advance(50)
        assert await ledger.renew(leases[:1], timedelta(seconds=100)) == []
        clock.advance(20)
        [expired] = await lease(ledger, run)
        assert expired.transfer.key == "b"
        clock.advance(61)
        await lease(ledger, run)
        clock.advance(20)
        assert "a" in {at.transfer.key for at in await lease(ledger, run)}

    async def test_renewing_may_shorten_a_lease(
        self, ledger: Ledger, run: RunId, clock: FakeClock
    ) -> None:
        leases = await lease_new(ledger, run, new("a"))
        await ledger.renew(leases, timedelta(seconds=5))
        clock.advance(6)
        assert (await lease_one(ledger, run)).attempt == 2

    async def test_released_work_waits_and_is_not_counted(self, ledger: Ledger, run: RunId) -> None:
        leases = await lease_new(ledger, run, *news(3))
        await ledger.release(leases)
        assert (await ledger.totals(run)).tally(Action.COPY, TransferState.WAITING).count == 3
        assert [at.attempt for at in await lease(ledger, run)] == [1, 1, 1]

    async def test_the_leases_of_dead_workers_are_taken_back(
        self, ledger: Ledger, run: RunId
    ) -> None:
        await ledger.record(run, news(5))
        of_dead = await lease(ledger, run, limit=3, worker=OTHER)
        of_living = await lease(ledger, run, worker=WORKER)
        assert await ledger.reclaim(run, [OTHER]) == 3
        assert await ledger.complete([done(at) for at in of_dead]) == of_dead
        assert await ledger.complete([done(at) for at in of_living]) == []
        again = await lease(ledger, run)
        assert [at.attempt for at in again] == [1, 1, 1]
        assert await ledger.reclaim(run, [OTHER]) == 0

    async def test_reclaiming_looks_at_one_run_and_at_leases_only(
        self, ledger: Ledger, run: RunId
    ) -> None:
        other = RunId(f"{run}-other")
        await lease_new(ledger, other, new("a"))
        [ended, _] = await lease_new(ledger, run, new("a"), new("b"))
        await ledger.complete([done(ended)])
        await ledger.record(run, [new("c")])
        assert await ledger.reclaim(run, []) == 0
        assert await ledger.reclaim(run, [WORKER, OTHER]) == 1
        assert (await ledger.totals(other)).tally(Action.COPY, TransferState.LEASED).count == 1

    @pytest.mark.parametrize(
        "state", [TransferState.DONE, TransferState.VANISHED, TransferState.SKIPPED]
    )
    async def test_an_outcome_is_kept(
        self, ledger: Ledger, run: RunId, clock: FakeClock, state: TransferState
    ) -> None:
        [leased] = await lease_new(ledger, run, new("a", 5))
        ended_at = clock.advance(3)
        note = "ACL\x00 not kept: \ud800"
        outcome = Outcome(leased, state, 5, "etag", "unsupported", note)
        assert await ledger.complete([outcome]) == []
        record = await only_record(ledger, run)
        assert (record.state, record.moved_bytes, record.destination_etag) == (state, 5, "etag")
        assert (record.code, record.attempts, record.ended_at) == ("unsupported", 1, ended_at)
        assert record.note.startswith("ACL\x00 not kept: ")
        assert (await ledger.totals(run)).open == 0

    async def test_a_transfer_does_not_end_in_another_state(
        self, ledger: Ledger, run: RunId
    ) -> None:
        [leased] = await lease_new(ledger, run, new("a"))
        with pytest.raises(ValueError, match="DONE, VANISHED or SKIPPED"):
            await ledger.complete([Outcome(leased, TransferState.FAILED)])
        assert (await only_record(ledger, run)).state is TransferState.LEASED

    async def test_parts_retries_and_new_transfers_share_each_batch(
        self, ledger: Ledger, run: RunId, clock: FakeClock
    ) -> None:
        again = await lease_new(ledger, run, *(new(f"again-{number}") for number in range(20)))
        waiting = await lease_parts(ledger, run, sizes=[1] * 20)
        await ledger.fail([failed(at, clock.now) for at in again])
        await ledger.release(waiting)
        await ledger.record(run, news(20))
        for _ in range(4):
            batch = await lease(ledger, run, limit=6)
            kinds = Counter(
                "part" if at.part else "again" if at.attempt > 1 else "new" for at in batch
            )
            assert kinds == {"part": 2, "again": 2, "new": 2}

    async def test_batches_of_one_starve_nobody(
        self, ledger: Ledger, run: RunId, clock: FakeClock
    ) -> None:
        waiting = await lease_parts(ledger, run, sizes=[1] * 9)
        await ledger.release(waiting)
        await ledger.record(run, news(9))
        kinds = Counter[WorkKind]()
        for _ in range(6):
            [found] = await lease(ledger, run, limit=1)
            kinds[found.kind] += 1
        assert min(kinds[WorkKind.PART], kinds[WorkKind.TRANSFER]) >= 2

    async def test_light_work_does_not_starve_a_heavy_one(
        self, ledger: Ledger, run: RunId, clock: FakeClock
    ) -> None:
        [heavy] = await lease_new(ledger, run, new("heavy", 1_000))
        await ledger.release([heavy])
        await ledger.record(run, news(100, size=1))
        batches = [await lease(ledger, run, limit=5, max_bytes=10) for _ in range(3)]
        assert "heavy" in {at.transfer.key for batch in batches for at in batch}

    async def test_a_finish_is_not_starved_by_new_transfers(
        self, ledger: Ledger, run: RunId
    ) -> None:
        leases = await lease_parts(ledger, run)
        await ledger.record(run, news(50))
        await ledger.complete_parts([part_done(at) for at in leases])
        batch = await lease(ledger, run, limit=4)
        assert WorkKind.FINISH in {at.kind for at in batch}

    async def test_all_work_is_given_in_the_end(
        self, ledger: Ledger, run: RunId, clock: FakeClock
    ) -> None:
        await ledger.record(run, news(57, size=9))
        found = []
        while batch := await lease(ledger, run, limit=5, max_bytes=20):
            found += [at.transfer.key for at in batch]
        assert sorted(found) == [transfer.key for transfer in news(57)]
        clock.advance(61)
        assert len(await lease_all(ledger, run)) == 57
