"""What is asked of a run: its transfers in the order of keys; and how it is forgotten."""

from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conformance.ledger_facts import (
    LEASE,
    UPLOAD,
    FakeClock,
    LedgerFacts,
    bury,
    done,
    extra,
    failed,
    lease,
    lease_all,
    lease_finish,
    lease_new,
    lease_one,
    lease_parts,
    new,
    news,
    part_done,
    records,
)
from tests.conformance.ledger_recording import SHARD
from transferhub.model.transfer import (
    Action,
    Outcome,
    RunId,
    ScanCounts,
    Tally,
    TransferState,
    UploadRecord,
)
from transferhub.state.base import Ledger

HOSTILE = (
    "\x00",
    "\x00\x00a",
    "\x00\x01",
    "\x01",
    "\x01\x00",
    "\x01\x01",
    "\x01\x02",
    "\x02",
    "a\x00",
    "a\x00b",
    "a\x01b",
    "a",
    "a b",
    "a'b",
    'a"b',
    "a;--",
    "a%s",
    "a?",
    "a\\u0000",
    "a\\",
    "a{rows}",
    "A",
    "\t",
    "\n",
    "\x7f",
    "\x85",
    "é",
    "e\u0301",
    "ß",
    "ẞ",
    "\u2028",
    "\ud7ff",
    "\ue000",
    "\ufeff",
    "\ufffd",
    "\ufffe",
    "\uffff",
    "😀",
    "\U0010ffff",
    "x" * 1_024,
    "\x01" * 1_024,
    "😀" * 256,
)
"""Keys in no order. Between U+D7FF and U+E000 lie the surrogates: in UTF-16, though not in bytes,
emoji sort before U+E000."""

_keys = st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), unique=True)


class ReadingTests(LedgerFacts):
    async def test_transfers_come_in_the_order_of_their_bytes(
        self, ledger: Ledger, run: RunId
    ) -> None:
        assert await ledger.record(run, [new(key) for key in HOSTILE]) == len(HOSTILE)
        found = [record.transfer.key async for record in ledger.transfers(run)]
        assert found == sorted(HOSTILE, key=str.encode)
        leases = await lease(ledger, run)
        assert {at.transfer.key for at in leases} == {*HOSTILE}
        assert await ledger.record(run, [new(key) for key in HOSTILE]) == 0

    async def test_dead_letters_come_in_the_order_of_their_bytes(
        self, ledger: Ledger, run: RunId
    ) -> None:
        await bury(ledger, run, *HOSTILE)
        found, after = [], ""
        while page := await ledger.failures(run, after=after, limit=1):
            after = page[0].transfer.key
            found.append(after)
        assert found == sorted(HOSTILE, key=str.encode)

    @settings(
        max_examples=25,
        suppress_health_check=[
            HealthCheck.function_scoped_fixture,
            HealthCheck.differing_executors,
            HealthCheck.too_slow,
        ],
    )
    @given(keys=_keys)
    async def test_any_keys_are_kept_in_order(
        self, ledger: Ledger, run: RunId, keys: list[str]
    ) -> None:
        await ledger.purge(run)
        await ledger.record(run, [new(key) for key in keys])
        found = [record.transfer.key async for record in ledger.transfers(run)]
        assert found == sorted(keys, key=str.encode)

    async def test_transfers_are_read_in_pages(self, ledger: Ledger, run: RunId) -> None:
        await ledger.record(run, news(4_100)[::-1])
        found = [record.transfer async for record in ledger.transfers(run)]
        assert found == news(4_100)

    async def test_transfers_are_chosen_by_state(self, ledger: Ledger, run: RunId) -> None:
        await bury(ledger, run, "dead")
        ended, gone, _ = await lease_new(ledger, run, new("done"), new("gone"), new("leased"))
        await ledger.complete([done(ended), Outcome(gone, TransferState.VANISHED)])
        await ledger.record(run, [new("waiting"), extra("held", TransferState.HELD)])
        assert [*await records(ledger, run, TransferState.DONE)] == ["done"]
        assert [*await records(ledger, run, TransferState.FAILED, TransferState.HELD)] == [
            "dead",
            "held",
        ]
        assert [*await records(ledger, run)] == [
            "dead",
            "done",
            "gone",
            "held",
            "leased",
            "waiting",
        ]

    async def test_transfers_are_read_without_history(self, ledger: Ledger, run: RunId) -> None:
        await bury(ledger, run, "a", code="denied", message="No.")
        dead = (await records(ledger, run))["a"]
        assert (dead.code, dead.message, dead.history) == ("denied", "No.", ())

    async def test_totals_tell_every_state_apart(
        self, ledger: Ledger, run: RunId, clock: FakeClock
    ) -> None:
        await bury(ledger, run, "dead")
        await lease_parts(ledger, run)
        ended, again, _ = await lease_new(ledger, run, new("b", 7), new("c", 8), new("d", 9))
        await ledger.complete([done(ended, 6)])
        await ledger.fail([failed(again, clock.after(9))])
        await ledger.record(run, [extra("x", TransferState.HELD), extra("y")])
        totals = await ledger.totals(run)
        assert totals.tallies == {
            (Action.COPY, TransferState.FAILED): Tally(1, 1),
            (Action.COPY, TransferState.IN_PARTS): Tally(1, 13),
            (Action.COPY, TransferState.DONE): Tally(1, 7),
            (Action.COPY, TransferState.WAITING): Tally(1, 8),
            (Action.COPY, TransferState.LEASED): Tally(1, 9),
            (Action.DELETE, TransferState.HELD): Tally(1, 5),
            (Action.DELETE, TransferState.WAITING): Tally(1, 5),
        }
        assert (totals.open, totals.moved_bytes, totals.uploads) == (4, 6, 1)

    async def test_moved_bytes_are_of_all_outcomes(self, ledger: Ledger, run: RunId) -> None:
        leases = await lease_new(ledger, run, *news(4))
        states = (TransferState.DONE, TransferState.SKIPPED, TransferState.VANISHED)
        await ledger.complete(
            [Outcome(at, state, 1 << 40) for at, state in zip(leases, states, strict=False)]
        )
        assert (await ledger.totals(run)).moved_bytes == 3 << 40

    async def test_part_bytes_are_of_ended_parts_of_open_transfers(
        self, ledger: Ledger, run: RunId
    ) -> None:
        finish = await lease_finish(ledger, run)
        first, *_ = await lease_parts(ledger, run, key="larger", sizes=(7, 7, 1))
        await ledger.complete_parts([part_done(first)])
        assert await ledger.part_bytes(run) == 13 + 7
        await ledger.complete([done(finish, 13)])
        assert await ledger.part_bytes(run) == 7
        await ledger.reset(run)
        assert await ledger.part_bytes(run) == 0
        assert await ledger.part_bytes(RunId("unknown")) == 0

    async def test_a_reset_run_is_scanned_anew(
        self, ledger: Ledger, run: RunId, clock: FakeClock
    ) -> None:
        finish = await lease_finish(ledger, run)
        part, *_ = await lease_parts(ledger, run, key="larger")
        [whole] = await lease_new(ledger, run, new("a"))
        await ledger.record(run, [extra("x", TransferState.HELD)], [SHARD])
        await ledger.reset(run)
        assert await ledger.shards(run) == []
        assert await records(ledger, run) == {}
        totals = await ledger.totals(run)
        assert (totals.scan, totals.tallies, totals.moved_bytes) == (ScanCounts(), {}, 0)
        clock.advance(61)
        assert await lease(ledger, run) == []
        assert await ledger.renew([finish, part, whole], LEASE) == [finish, part, whole]
        assert await ledger.record(run, [new("a")]) == 1
        assert (await lease_one(ledger, run)).attempt == 1

    async def test_a_reset_run_knows_its_uploads_as_abandoned(
        self, ledger: Ledger, run: RunId
    ) -> None:
        await lease_parts(ledger, run)
        await ledger.reset(run)
        record = UploadRecord("large", UPLOAD, abandoned=True)
        assert await ledger.uploads(run) == [record]
        await ledger.forget_upload(run, record)
        assert await ledger.uploads(run) == []

    async def test_work_of_before_a_reset_does_not_end_what_was_recorded_after_it(
        self, ledger: Ledger, run: RunId
    ) -> None:
        before = await lease_new(ledger, run, *news(3))
        await ledger.reset(run)
        after = await lease_new(ledger, run, *news(3))
        assert await ledger.complete([done(at) for at in before]) == before
        assert await ledger.complete([done(at) for at in after]) == []

    async def test_dead_letters_of_before_a_reset_leave_no_history(
        self, ledger: Ledger, run: RunId
    ) -> None:
        await bury(ledger, run, "a", message="Before.")
        await ledger.reset(run)
        await bury(ledger, run, "a", message="After.")
        [dead] = await ledger.failures(run)
        assert [attempt.message for attempt in dead.history] == ["After."]

    async def test_the_runs_of_which_something_is_known_are_listed(
        self, ledger: Ledger, run: RunId
    ) -> None:
        names = [RunId(f"listed-{number}") for number in range(5)]
        for name in names:
            await ledger.record(name, news(1))
        found: list[RunId] = []
        while page := await ledger.ledgers(after=found[-1] if found else "", limit=2):
            found += page
        assert [name for name in found if name in names] == names
        await ledger.purge(names[2])
        assert names[2] not in await ledger.ledgers()

    async def test_a_large_run_is_purged_whole(self, ledger: Ledger, run: RunId) -> None:
        await ledger.record(run, news(4_500), [SHARD])
        await ledger.purge(run)
        assert await records(ledger, run) == {}
        assert run not in await ledger.ledgers()
        assert await ledger.record(run, news(2)) == 2
        assert (await ledger.totals(run)).open == 2

    async def test_a_purged_run_is_unknown(self, ledger: Ledger, run: RunId) -> None:
        leases = await lease_parts(ledger, run)
        await ledger.record(run, news(3), [SHARD])
        await ledger.purge(run)
        assert await records(ledger, run) == {}
        assert await ledger.shards(run) == []
        assert await ledger.uploads(run) == []
        assert (await ledger.totals(run)).tallies == {}
        assert await ledger.complete_parts([part_done(at) for at in leases]) == leases

    async def test_other_runs_do_not_notice(self, ledger: Ledger, run: RunId) -> None:
        other = RunId(f"{run}-other")
        await ledger.record(other, news(3), [SHARD])
        await bury(ledger, other, "dead")
        before = await ledger.totals(other)
        await ledger.record(run, news(3), [SHARD])
        await ledger.reset(run)
        await ledger.purge(run)
        await ledger.redrive(run)
        await ledger.release_held(run)
        await ledger.reset(RunId("unknown"))
        await ledger.purge(RunId("unknown"))
        assert await ledger.totals(other) == before
        assert len(await ledger.shards(other)) == 1
        assert len(await lease_all(ledger, other)) == 0

    async def test_a_run_may_be_named_anything(self, ledger: Ledger, run: RunId) -> None:
        named = RunId(f"{run}\x00'\"😀")
        assert await lease(ledger, named) == []
        await ledger.record(named, [new("a")])
        assert (await lease_one(ledger, named)).run == named
        await ledger.purge(named)

    @pytest.mark.parametrize("year", [1970, 2026, 2200, 9999])
    async def test_times_are_exact(self, ledger: Ledger, run: RunId, year: int) -> None:
        moment = datetime(year, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
        await ledger.record(run, [new("a")._replace(modified_at=moment)])
        assert (await records(ledger, run))["a"].transfer.modified_at == moment
