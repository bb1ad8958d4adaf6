"""Large objects: uploads that are never forgotten, parts that any worker may carry."""

from datetime import timedelta

import pytest

from tests.conformance.ledger_facts import (
    INTENT,
    LEASE,
    OTHER,
    UPLOAD,
    FakeClock,
    LedgerFacts,
    by_number,
    done,
    failed,
    lease,
    lease_all,
    lease_finish,
    lease_new,
    lease_one,
    lease_parts,
    new,
    only_record,
    part_done,
    parts,
)
from transferhub.errors import LeaseLostError
from transferhub.model.transfer import (
    Action,
    Difference,
    Outcome,
    Part,
    RunId,
    Tally,
    Transfer,
    TransferState,
    UploadRecord,
    WorkKind,
)
from transferhub.state.base import Ledger

SECOND = UPLOAD._replace(upload_id="upload-2")
FRESH = Transfer("another", Difference.CHANGED, 40, "new-etag", UPLOAD.started_at, "GLACIER_IR")


def kept(upload: object = UPLOAD, *, abandoned: bool = False) -> UploadRecord:
    assert isinstance(upload, type(UPLOAD))
    return UploadRecord("large", upload, abandoned)


class PartTests(LedgerFacts):
    async def test_an_upload_is_known_from_its_intent_on(
        self, ledger: Ledger, run: RunId, clock: FakeClock
    ) -> None:
        [leased] = await lease_new(ledger, run, new("large"))
        await ledger.save_upload(leased, INTENT)
        assert await ledger.uploads(run) == [kept(INTENT)]
        await ledger.save_upload(leased, UPLOAD)
        assert await ledger.uploads(run) == [kept()]
        assert (await ledger.totals(run)).uploads == 1
        clock.advance(61)
        assert (await lease_one(ledger, run)).upload == UPLOAD

    async def test_a_replaced_upload_stays_known_until_it_is_forgotten(
        self, ledger: Ledger, run: RunId
    ) -> None:
        [leased] = await lease_new(ledger, run, new("large"))
        await ledger.save_upload(leased, UPLOAD)
        await ledger.save_upload(leased, SECOND)
        first = kept(abandoned=True)
        assert sorted(await ledger.uploads(run)) == sorted([first, kept(SECOND)])
        await ledger.forget_upload(run, first)
        assert await ledger.uploads(run) == [kept(SECOND)]

    async def test_an_upload_in_use_is_not_forgotten(self, ledger: Ledger, run: RunId) -> None:
        [leased] = await lease_new(ledger, run, new("large"))
        await ledger.save_upload(leased, UPLOAD)
        await ledger.forget_upload(run, kept())
        await ledger.forget_upload(run, kept(abandoned=True))
        await ledger.forget_upload(run, kept(SECOND, abandoned=True))
        assert await ledger.uploads(run) == [kept()]

    async def test_a_transfer_in_parts_is_leased_as_parts(self, ledger: Ledger, run: RunId) -> None:
        leases = await lease_parts(ledger, run, sizes=[5, 5, 3])
        assert [at.part for at in leases] == [Part(1, 0, 5), Part(2, 5, 5), Part(3, 10, 3)]
        assert {at.upload for at in leases} == {UPLOAD}
        assert {at.attempt for at in leases} == {1}
        assert {at.transfer for at in leases} == {new("large", 13)}
        totals = await ledger.totals(run)
        assert totals.tallies == {(Action.COPY, TransferState.IN_PARTS): Tally(1, 13)}
        assert totals.open == 1

    async def test_the_lease_of_a_transfer_ends_when_its_parts_are_queued(
        self, ledger: Ledger, run: RunId
    ) -> None:
        [whole] = await lease_new(ledger, run, new("large", 9))
        await ledger.save_parts(whole, UPLOAD, parts(5, 4))
        assert await ledger.complete([done(whole)]) == [whole]
        with pytest.raises(LeaseLostError):
            await ledger.save_upload(whole, SECOND)

    async def test_parts_weigh_what_they_move(self, ledger: Ledger, run: RunId) -> None:
        await ledger.release(await lease_parts(ledger, run, sizes=[5, 5, 5, 5]))
        assert len(await lease(ledger, run, max_bytes=10)) == 2

    async def test_parts_that_are_there_already_are_not_leased(
        self, ledger: Ledger, run: RunId
    ) -> None:
        [whole] = await lease_new(ledger, run, new("large", 13))
        first, second, third = parts(5, 5, 3)
        await ledger.save_parts(
            whole, UPLOAD, [first._replace(etag="x", proven=True), second, third._replace(etag="z")]
        )
        missing = await lease_one(ledger, run)
        assert missing.part == second
        await ledger.complete_parts([part_done(missing)])
        finish = await lease_one(ledger, run)
        found = [(part.etag, part.proven) for part in finish.parts]
        assert found == [("x", True), ("etag-2", True), ("z", False)]

    async def test_a_transfer_whose_parts_are_all_there_is_finished_at_once(
        self, ledger: Ledger, run: RunId
    ) -> None:
        [whole] = await lease_new(ledger, run, new("large", 5))
        await ledger.save_parts(whole, UPLOAD, [Part(1, 0, 5, "x")])
        finish = await lease_one(ledger, run)
        assert (finish.kind, finish.attempt) == (WorkKind.FINISH, 1)

    async def test_the_finish_can_be_leased_when_the_last_part_ended(
        self, ledger: Ledger, run: RunId
    ) -> None:
        *most, last = await lease_parts(ledger, run)
        assert await ledger.complete_parts([part_done(at) for at in most]) == []
        assert await lease(ledger, run) == []
        assert await ledger.complete_parts([part_done(last)]) == []
        finish = await lease_one(ledger, run)
        assert (finish.kind, finish.attempt, finish.upload) == (WorkKind.FINISH, 1, UPLOAD)
        assert finish.parts == (
            Part(1, 0, 5, "etag-1"),
            Part(2, 5, 5, "etag-2", proven=True),
            Part(3, 10, 3, "etag-3"),
        )

    async def test_a_finish_weighs_nothing(self, ledger: Ledger, run: RunId) -> None:
        leases = []
        for key in ("large-1", "large-2", "large-3"):
            leases += await lease_parts(ledger, run, key=key)
        await ledger.complete_parts([part_done(at) for at in leases])
        assert len(await lease(ledger, run, max_bytes=1)) == 3

    async def test_the_end_of_a_finish_forgets_its_upload(self, ledger: Ledger, run: RunId) -> None:
        finish = await lease_finish(ledger, run)
        assert await ledger.complete([done(finish, 13)]) == []
        assert await ledger.uploads(run) == []
        record = await only_record(ledger, run)
        assert (record.state, record.moved_bytes) == (TransferState.DONE, 13)
        totals = await ledger.totals(run)
        assert (totals.uploads, totals.open, totals.moved_bytes) == (0, 0, 13)

    @pytest.mark.parametrize("state", [TransferState.VANISHED, TransferState.SKIPPED])
    async def test_a_finish_that_made_no_object_abandons_its_upload(
        self, ledger: Ledger, run: RunId, state: TransferState
    ) -> None:
        finish = await lease_finish(ledger, run)
        await ledger.complete([Outcome(finish, state)])
        assert await ledger.uploads(run) == [kept(abandoned=True)]

    async def test_a_whole_transfer_that_ends_abandons_its_upload(
        self, ledger: Ledger, run: RunId
    ) -> None:
        [leased] = await lease_new(ledger, run, new("large"))
        await ledger.save_upload(leased, UPLOAD)
        await ledger.complete([done(leased)])
        assert await ledger.uploads(run) == [kept(abandoned=True)]
        assert (await ledger.totals(run)).uploads == 1
        await ledger.forget_upload(run, kept(abandoned=True))
        assert (await ledger.totals(run)).uploads == 0

    async def test_a_part_is_tried_again_alone(
        self, ledger: Ledger, run: RunId, clock: FakeClock
    ) -> None:
        first, second, third = await lease_parts(ledger, run)
        assert await ledger.fail([failed(second, clock.after(10))]) == []
        await ledger.complete_parts([part_done(first), part_done(third)])
        assert await lease(ledger, run) == []
        clock.advance(10)
        again = await lease_one(ledger, run)
        assert (again.part, again.attempt) == (second.part, 2)
        await ledger.complete_parts([part_done(again)])
        assert (await lease_one(ledger, run)).kind is WorkKind.FINISH

    async def test_an_uncounted_failure_of_a_part_is_not_counted(
        self, ledger: Ledger, run: RunId, clock: FakeClock
    ) -> None:
        first, *_ = await lease_parts(ledger, run)
        await ledger.fail([failed(first, clock.now, counted=False)])
        assert (await lease_one(ledger, run)).attempt == 1

    async def test_a_part_that_gives_up_makes_its_transfer_a_dead_letter(
        self, ledger: Ledger, run: RunId, clock: FakeClock
    ) -> None:
        first, second, third = await lease_parts(ledger, run)
        await ledger.fail([failed(second, clock.now)])
        second = await lease_one(ledger, run)
        assert await ledger.fail([failed(second, code="denied"), failed(third)]) == [third]
        assert await ledger.complete_parts([part_done(first)]) == [first]
        assert await lease(ledger, run) == []
        [dead] = await ledger.failures(run)
        assert (dead.transfer.key, dead.code, dead.attempts) == ("large", "denied", 2)
        assert [attempt.code for attempt in dead.history] == ["transient", "denied"]
        assert await ledger.uploads(run) == [kept(abandoned=True)]

    async def test_a_source_that_changed_under_a_part_starts_over(
        self, ledger: Ledger, run: RunId, clock: FakeClock
    ) -> None:
        first, second, third = await lease_parts(ledger, run)
        failures = [failed(first, clock.after(5), fresh=FRESH), failed(second, clock.after(5))]
        assert await ledger.fail(failures) == [second]
        assert await ledger.complete_parts([part_done(third)]) == [third]
        assert await ledger.uploads(run) == [kept(abandoned=True)]
        assert await lease(ledger, run) == []
        clock.advance(5)
        again = await lease_one(ledger, run)
        assert (again.kind, again.upload) == (WorkKind.TRANSFER, None)
        assert again.transfer == FRESH._replace(key="large")
        assert again.attempt == 2

    async def test_a_source_that_always_changes_has_its_attempts_counted(
        self, ledger: Ledger, run: RunId, clock: FakeClock
    ) -> None:
        await ledger.record(run, [new("large", 9)])
        for attempt in (1, 2, 3):
            whole = await lease_one(ledger, run)
            assert whole.attempt == attempt
            await ledger.save_parts(whole, UPLOAD, parts(5, 4))
            first, _ = by_number(await lease(ledger, run))
            await ledger.fail([failed(first, clock.now, fresh=FRESH)])

    async def test_a_finish_that_fails_is_tried_again(
        self, ledger: Ledger, run: RunId, clock: FakeClock
    ) -> None:
        finish = await lease_finish(ledger, run)
        await ledger.fail([failed(finish, clock.after(5))])
        assert await lease(ledger, run) == []
        clock.advance(5)
        again = await lease_one(ledger, run)
        assert (again.kind, again.attempt) == (WorkKind.FINISH, 2)
        assert (again.upload, again.parts) == (finish.upload, finish.parts)

    async def test_a_finish_that_gives_up_drops_its_parts(
        self, ledger: Ledger, run: RunId, clock: FakeClock
    ) -> None:
        finish = await lease_finish(ledger, run)
        await ledger.fail([failed(finish)])
        assert await ledger.uploads(run) == [kept(abandoned=True)]
        assert await ledger.redrive(run) == 1
        again = await lease_one(ledger, run)
        assert (again.kind, again.upload, again.parts) == (WorkKind.TRANSFER, None, ())

    async def test_a_finish_may_plan_its_parts_anew(self, ledger: Ledger, run: RunId) -> None:
        finish = await lease_finish(ledger, run)
        await ledger.save_parts(finish, SECOND, parts(8, 5))
        assert kept(SECOND) in await ledger.uploads(run)
        assert kept(abandoned=True) in await ledger.uploads(run)
        again = by_number(await lease(ledger, run))
        assert [at.part for at in again] == parts(8, 5)
        await ledger.complete_parts([part_done(at) for at in again])
        assert len((await lease_one(ledger, run)).parts) == 2

    async def test_parts_whose_leases_ran_out_are_leased_again(
        self, ledger: Ledger, run: RunId, clock: FakeClock
    ) -> None:
        stale = await lease_parts(ledger, run)
        clock.advance(61)
        again = by_number(await lease(ledger, run))
        assert [at.attempt for at in again] == [2, 2, 2]
        assert await ledger.complete_parts([part_done(at) for at in stale]) == stale
        assert await ledger.fail([failed(at) for at in stale]) == stale
        assert await ledger.complete_parts([part_done(at) for at in again]) == []

    async def test_leases_of_parts_are_renewed(
        self, ledger: Ledger, run: RunId, clock: FakeClock
    ) -> None:
        first, second, third = await lease_parts(ledger, run)
        await ledger.complete_parts([part_done(third)])
        assert await ledger.renew([first, second, third], timedelta(seconds=120)) == [third]
        clock.advance(119)
        assert await lease(ledger, run) == []
        clock.advance(2)
        assert len(await lease(ledger, run)) == 2

    async def test_parts_are_given_back_and_reclaimed_uncounted(
        self, ledger: Ledger, run: RunId
    ) -> None:
        await ledger.release(await lease_parts(ledger, run))
        assert {at.attempt for at in await lease(ledger, run, worker=OTHER)} == {1}
        assert await ledger.reclaim(run, [OTHER]) == 3
        assert {at.attempt for at in await lease(ledger, run)} == {1}

    async def test_a_part_is_not_ended_as_a_transfer_nor_a_transfer_as_a_part(
        self, ledger: Ledger, run: RunId
    ) -> None:
        part, *_ = await lease_parts(ledger, run)
        [whole] = await lease_new(ledger, run, new("whole"))
        assert await ledger.complete([done(part)]) == [part]
        assert await ledger.complete_parts([part_done(part)._replace(lease=whole)]) == [whole]
        with pytest.raises(LeaseLostError):
            await ledger.save_upload(part, SECOND)
        assert await ledger.renew([part, whole], LEASE) == []

    async def test_a_part_ends_once(self, ledger: Ledger, run: RunId) -> None:
        first, *_ = await lease_parts(ledger, run)
        assert await ledger.complete_parts([part_done(first), part_done(first)]) == [first]
        assert await ledger.complete_parts([part_done(first)]) == [first]
        assert await lease(ledger, run) == []

    async def test_an_object_may_have_ten_thousand_parts(self, ledger: Ledger, run: RunId) -> None:
        [whole] = await lease_new(ledger, run, new("large", 20_000))
        await ledger.save_parts(whole, UPLOAD, parts_of_two(10_000))
        leases = await lease(ledger, run, limit=10_000)
        assert await ledger.complete_parts([part_done(at) for at in leases]) == []
        finish = await lease_one(ledger, run)
        assert [part.number for part in finish.parts] == [*range(1, 10_001)]

    async def test_many_transfers_are_in_parts_together(self, ledger: Ledger, run: RunId) -> None:
        keys = [f"large-{number}" for number in range(20)]
        for whole in await lease_new(ledger, run, *(new(key, 9) for key in keys)):
            await ledger.save_parts(whole, UPLOAD, parts(5, 4))
        leases = await lease_all(ledger, run)
        assert len(leases) == 40
        assert await ledger.complete_parts([part_done(at) for at in leases]) == []
        finishes = await lease_all(ledger, run)
        assert {at.kind for at in finishes} == {WorkKind.FINISH}
        assert await ledger.complete([done(at) for at in finishes]) == []
        assert await ledger.uploads(run) == []


def parts_of_two(count: int) -> list[Part]:
    return [Part(at + 1, at * 2, 2) for at in range(count)]
