"""What a finder writes: transfers with the shards that gave them."""

import asyncio
from dataclasses import replace

import pytest

from tests.conformance.ledger_facts import (
    STARTED,
    LedgerFacts,
    done,
    extra,
    lease,
    lease_all,
    lease_new,
    lease_one,
    new,
    news,
    only_record,
    records,
)
from transferhub.model.transfer import (
    Action,
    Difference,
    RunId,
    ScanCounts,
    Shard,
    Tally,
    Transfer,
    TransferState,
)
from transferhub.state.base import Ledger

COUNTS = ScanCounts(
    scanned_source=11,
    scanned_destination=12,
    same=1,
    new=2,
    changed=3,
    extra=4,
    filtered=5,
    archived=6,
    fallbacks=7,
    source_bytes=1 << 45,
    copy_bytes=1 << 44,
)
SHARD = Shard(ident="a-m", done=False, detail='{"after": "\\u0000\\u0001é😀"}', counts=COUNTS)


class RecordingTests(LedgerFacts):
    async def test_new_transfers_are_counted_and_wait(self, ledger: Ledger, run: RunId) -> None:
        assert await ledger.record(run, [new("a", 5), new("b", 7)]) == 2
        totals = await ledger.totals(run)
        assert totals.tallies == {(Action.COPY, TransferState.WAITING): Tally(2, 12)}
        assert totals.open == 2

    async def test_a_key_that_the_run_has_is_left_as_it_is(
        self, ledger: Ledger, run: RunId
    ) -> None:
        await ledger.record(run, [new("a", 5)])
        assert await ledger.record(run, [new("a", 99), new("b")]) == 1
        assert (await records(ledger, run))["a"].transfer.size == 5

    async def test_a_transfer_that_is_done_is_not_recorded_again(
        self, ledger: Ledger, run: RunId
    ) -> None:
        [leased] = await lease_new(ledger, run, new("a"))
        await ledger.complete([done(leased)])
        assert await ledger.record(run, [new("a")]) == 0
        assert await lease(ledger, run) == []

    async def test_a_key_twice_in_one_batch_is_recorded_once(
        self, ledger: Ledger, run: RunId
    ) -> None:
        assert await ledger.record(run, [new("a", 5), new("a", 6), new("b")]) == 2
        assert (await records(ledger, run))["a"].transfer.size == 5

    async def test_runs_do_not_share_keys(self, ledger: Ledger, run: RunId) -> None:
        other = RunId(f"{run}-other")
        await ledger.record(run, [new("a", 5)])
        assert await ledger.record(other, [new("a", 6)]) == 1
        assert (await lease_one(ledger, other)).transfer.size == 6
        assert (await lease_one(ledger, run)).transfer.size == 5

    async def test_every_field_of_a_transfer_comes_back(self, ledger: Ledger, run: RunId) -> None:
        transfer = Transfer(
            key="a/b",
            difference=Difference.CHANGED,
            size=(1 << 42) + 1,
            etag="0123-4",
            modified_at=STARTED,
            storage_class="STANDARD_IA",
            detail='{"a": "\x00\x01\x02\\u0000é😀"}',
        )
        await ledger.record(run, [transfer])
        assert (await only_record(ledger, run)).transfer == transfer
        assert (await lease_one(ledger, run)).transfer == transfer

    async def test_shards_are_written_with_the_transfers_that_they_gave(
        self, ledger: Ledger, run: RunId
    ) -> None:
        await ledger.record(run, [new("a")], [SHARD])
        assert await ledger.shards(run) == [SHARD]
        assert (await ledger.totals(run)).scan == COUNTS

    async def test_the_progress_of_a_shard_is_replaced(self, ledger: Ledger, run: RunId) -> None:
        ended = replace(SHARD, done=True, detail="{}", counts=COUNTS + COUNTS)
        await ledger.record(run, [], [SHARD])
        await ledger.record(run, [], [SHARD, ended])
        assert await ledger.shards(run) == [ended]
        totals = await ledger.totals(run)
        assert (totals.shards, totals.shards_done) == (1, 1)

    async def test_totals_add_up_the_counts_of_all_shards(self, ledger: Ledger, run: RunId) -> None:
        shards = [replace(SHARD, ident=str(number), done=number < 2) for number in range(5)]
        await ledger.record(run, [], shards)
        totals = await ledger.totals(run)
        assert (totals.shards, totals.shards_done) == (5, 2)
        assert totals.scan.scanned_source == 55
        assert totals.scan.source_bytes == 5 << 45
        assert {shard.ident for shard in await ledger.shards(run)} == {*"01234"}

    async def test_a_bad_transfer_leaves_nothing_of_its_batch(
        self, ledger: Ledger, run: RunId
    ) -> None:
        with pytest.raises(ValueError, match="WAITING, HELD or ARCHIVED"):
            await ledger.record(
                run, [new("a"), new("b")._replace(state=TransferState.DONE)], [SHARD]
            )
        assert await records(ledger, run) == {}
        assert await ledger.shards(run) == []

    async def test_nothing_is_known_of_a_run_that_recorded_nothing(
        self, ledger: Ledger, run: RunId
    ) -> None:
        assert await ledger.record(run, []) == 0
        totals = await ledger.totals(run)
        assert (totals.scan, totals.shards, totals.open) == (ScanCounts(), 0, 0)
        assert await ledger.shards(run) == []
        assert await ledger.uploads(run) == []
        assert await ledger.failures(run) == []
        assert await ledger.failure_groups(run) == []
        assert await records(ledger, run) == {}

    async def test_held_deletes_wait_until_they_are_released(
        self, ledger: Ledger, run: RunId
    ) -> None:
        held = [extra(f"extra-{number}", TransferState.HELD) for number in range(3)]
        await ledger.record(run, held)
        assert await lease(ledger, run) == []
        assert (await ledger.totals(run)).open == 0
        assert await ledger.release_held(run) == 3
        assert (await ledger.totals(run)).open == 3
        found = await lease(ledger, run)
        assert {at.transfer.key for at in found} == {transfer.key for transfer in held}
        assert {at.transfer.state for at in found} == {TransferState.WAITING}
        assert await ledger.release_held(run) == 0

    async def test_archived_objects_are_never_queued(self, ledger: Ledger, run: RunId) -> None:
        archived = new("a")._replace(state=TransferState.ARCHIVED)
        await ledger.record(run, [archived])
        assert await ledger.release_held(run) == 0
        assert await lease(ledger, run) == []
        assert (await only_record(ledger, run)).state is TransferState.ARCHIVED
        assert (await only_record(ledger, run)).transfer == archived

    async def test_thousands_travel_in_one_batch(self, ledger: Ledger, run: RunId) -> None:
        assert await ledger.record(run, news(4_321, size=3)) == 4_321
        assert await ledger.record(run, news(5_000, size=9)) == 679
        found = await lease(ledger, run, limit=5_000)
        assert len({at.transfer.key for at in found}) == 5_000
        assert await ledger.complete([done(at, 2) for at in found]) == []
        totals = await ledger.totals(run)
        assert totals.tallies == {
            (Action.COPY, TransferState.DONE): Tally(5_000, 4_321 * 3 + 679 * 9)
        }
        assert totals.moved_bytes == 10_000

    async def test_writers_of_the_same_keys_add_each_once(self, ledger: Ledger, run: RunId) -> None:
        batches = [news(50), news(50)[::-1], news(60)]
        added = await asyncio.gather(*(ledger.record(run, batch) for batch in batches))
        assert sum(added) == 60
        assert len(await lease_all(ledger, run)) == 60
