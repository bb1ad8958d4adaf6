"""Transfers that begin anew although they ended: a later event of the same key."""

import pytest

from tests.conformance.ledger_facts import (
    UPLOAD,
    LedgerFacts,
    bury,
    done,
    extra,
    lease,
    lease_finish,
    lease_new,
    lease_one,
    new,
    only_record,
    parts,
    records,
)
from tests.conformance.ledger_recording import SHARD
from transferhub.model.transfer import (
    Action,
    Difference,
    Outcome,
    RunId,
    Tally,
    TransferState,
    WorkKind,
)
from transferhub.state.base import Ledger


class ReplacingTests(LedgerFacts):
    async def test_replacing_what_the_run_has_not_records_it(
        self, ledger: Ledger, run: RunId
    ) -> None:
        assert await ledger.replace(run, [new("a", 5)], [SHARD])
        assert (await only_record(ledger, run)).state is TransferState.WAITING
        assert await ledger.shards(run) == [SHARD]

    async def test_what_was_done_is_done_again(self, ledger: Ledger, run: RunId) -> None:
        [first] = await lease_new(ledger, run, new("a", 5))
        await ledger.complete([Outcome(first, TransferState.DONE, 5, "etag", note="no tags")])
        changed = new("a", 7)._replace(difference=Difference.CHANGED, etag="later")
        assert await ledger.replace(run, [changed])
        record = await only_record(ledger, run)
        assert (record.transfer, record.state) == (changed, TransferState.WAITING)
        assert (record.attempts, record.destination_etag, record.note) == (0, "", "")
        assert record.ended_at is None
        again = await lease_one(ledger, run)
        assert (again.transfer, again.attempt) == (changed, 1)
        assert await ledger.complete([done(first)]) == [first]
        await ledger.complete([done(again, 7)])
        totals = await ledger.totals(run)
        assert totals.tallies == {(Action.COPY, TransferState.DONE): Tally(1, 7)}
        assert totals.moved_bytes == 12

    async def test_what_was_done_in_parts_is_done_again_as_a_whole(
        self, ledger: Ledger, run: RunId
    ) -> None:
        finish = await lease_finish(ledger, run)
        await ledger.complete([done(finish)])
        assert await ledger.replace(run, [new("large", 4)])
        again = await lease_one(ledger, run)
        assert (again.kind, again.upload, again.transfer.size) == (WorkKind.TRANSFER, None, 4)
        await ledger.save_parts(again, UPLOAD, parts(2, 2))
        assert len(await lease(ledger, run)) == 2

    async def test_a_dead_letter_a_held_and_an_archived_one_begin_anew(
        self, ledger: Ledger, run: RunId
    ) -> None:
        await bury(ledger, run, "dead")
        archived = new("cold", 3)._replace(state=TransferState.ARCHIVED)
        await ledger.record(run, [extra("held", TransferState.HELD), archived])
        assert await ledger.replace(run, [new("dead", 9), new("held", 9), new("cold", 9)])
        assert {at.state for at in (await records(ledger, run)).values()} == {TransferState.WAITING}
        assert await ledger.failures(run) == []
        assert {at.transfer.action for at in await lease(ledger, run)} == {Action.COPY}

    async def test_a_copy_becomes_a_held_delete(self, ledger: Ledger, run: RunId) -> None:
        [first] = await lease_new(ledger, run, new("a"))
        await ledger.complete([done(first)])
        assert await ledger.replace(run, [extra("a", TransferState.HELD)])
        assert await lease(ledger, run) == []
        assert await ledger.release_held(run) == 1
        assert (await lease_one(ledger, run)).transfer.action is Action.DELETE

    @pytest.mark.parametrize("leased", [False, True])
    async def test_nothing_is_written_where_one_is_open(
        self, ledger: Ledger, run: RunId, leased: bool
    ) -> None:
        [ended] = await lease_new(ledger, run, new("ended"))
        await ledger.complete([done(ended)])
        await ledger.record(run, [new("open")])
        if leased:
            await lease_one(ledger, run)
        before = await records(ledger, run)
        assert not await ledger.replace(run, [new("x"), new("ended", 2), new("open", 2)], [SHARD])
        assert await records(ledger, run) == before
        assert await ledger.shards(run) == []

    async def test_what_is_known_of_keys_is_told(self, ledger: Ledger, run: RunId) -> None:
        odd = "é\x00\x01😀'"
        await ledger.record(run, [new("a", 5), new(odd), new("c")])
        found = await ledger.known(run, [odd, "a", "none"])
        assert found == {at: (await records(ledger, run))[at] for at in ("a", odd)}
        assert await ledger.known(run, []) == {}
        assert await ledger.known(RunId("other"), ["a"]) == {}
