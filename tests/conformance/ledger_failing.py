"""Attempts that fail, dead letters, and how a person queues them again."""

import pytest

from tests.conformance.ledger_facts import (
    UPLOAD,
    FakeClock,
    LedgerFacts,
    bury,
    done,
    failed,
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
    Attempt,
    Difference,
    FailureGroup,
    RunId,
    Tally,
    Transfer,
    TransferState,
    UploadRecord,
)
from transferhub.state.base import Ledger
from transferhub.state.rules import HISTORY_LIMIT

FRESH = Transfer(
    "another",
    Difference.CHANGED,
    40,
    "new-etag",
    UPLOAD.started_at,
    "STANDARD_IA",
    Action.DELETE,
    TransferState.HELD,
    "{}",
)


class FailingTests(LedgerFacts):
    async def test_a_failed_attempt_waits_for_its_time(
        self, ledger: Ledger, run: RunId, clock: FakeClock
    ) -> None:
        [leased] = await lease_new(ledger, run, new("a"))
        assert await ledger.fail([failed(leased, clock.after(10))]) == []
        totals = await ledger.totals(run)
        assert totals.tallies == {(Action.COPY, TransferState.WAITING): Tally(1, 1)}
        clock.advance(9.999999)
        assert await lease(ledger, run) == []
        clock.advance(0.000001)
        assert (await lease_one(ledger, run)).attempt == 2

    async def test_an_uncounted_failure_leaves_attempts_and_history(
        self, ledger: Ledger, run: RunId, clock: FakeClock
    ) -> None:
        await ledger.record(run, [new("a")])
        for _ in range(3):
            leased = await lease_one(ledger, run)
            assert leased.attempt == 1
            await ledger.fail([failed(leased, clock.now, code="throttled", counted=False)])
        await ledger.fail([failed(await lease_one(ledger, run))])
        [dead] = await ledger.failures(run)
        assert [attempt.code for attempt in dead.history] == ["transient"]

    async def test_the_last_failure_makes_a_dead_letter(
        self, ledger: Ledger, run: RunId, clock: FakeClock
    ) -> None:
        [leased] = await lease_new(ledger, run, new("a", 5))
        first_at = clock.advance(1)
        await ledger.fail([failed(leased, clock.now, message="Once.")])
        leased = await lease_one(ledger, run)
        last_at = clock.advance(1)
        await ledger.fail([failed(leased, code="denied", message="Twice.")])
        [dead] = await ledger.failures(run)
        assert (dead.transfer, dead.state) == (new("a", 5), TransferState.FAILED)
        assert (dead.attempts, dead.ended_at) == (2, last_at)
        assert (dead.code, dead.message) == ("denied", "Twice.")
        assert dead.history == (
            Attempt(first_at, "transient", "Once."),
            Attempt(last_at, "denied", "Twice."),
        )
        assert await lease(ledger, run) == []
        assert (await ledger.totals(run)).open == 0

    async def test_an_uncounted_last_failure_is_in_the_history(
        self, ledger: Ledger, run: RunId
    ) -> None:
        [leased] = await lease_new(ledger, run, new("a"))
        await ledger.fail([failed(leased, code="throttled", counted=False)])
        [dead] = await ledger.failures(run)
        assert [attempt.code for attempt in dead.history] == ["throttled"]
        assert dead.attempts == 0

    async def test_the_history_keeps_the_newest_attempts(
        self, ledger: Ledger, run: RunId, clock: FakeClock
    ) -> None:
        await ledger.record(run, [new("a")])
        for number in range(HISTORY_LIMIT + 5):
            leased = await lease_one(ledger, run)
            await ledger.fail([failed(leased, clock.now, message=str(number))])
        await ledger.fail([failed(await lease_one(ledger, run), message="last")])
        [dead] = await ledger.failures(run)
        newest = [str(number) for number in range(6, HISTORY_LIMIT + 5)]
        assert [attempt.message for attempt in dead.history] == [*newest, "last"]

    async def test_a_dead_letter_abandons_its_upload(self, ledger: Ledger, run: RunId) -> None:
        [leased] = await lease_new(ledger, run, new("a"))
        await ledger.save_upload(leased, UPLOAD)
        await ledger.fail([failed(leased)])
        assert await ledger.uploads(run) == [UploadRecord("a", UPLOAD, abandoned=True)]

    async def test_another_attempt_keeps_its_upload(
        self, ledger: Ledger, run: RunId, clock: FakeClock
    ) -> None:
        [leased] = await lease_new(ledger, run, new("a"))
        await ledger.save_upload(leased, UPLOAD)
        await ledger.fail([failed(leased, clock.now)])
        assert (await lease_one(ledger, run)).upload == UPLOAD

    async def test_a_changed_source_starts_over_with_its_new_identity(
        self, ledger: Ledger, run: RunId, clock: FakeClock
    ) -> None:
        [leased] = await lease_new(ledger, run, new("a", 5))
        await ledger.save_upload(leased, UPLOAD)
        await ledger.fail([failed(leased, clock.now, code="changed", fresh=FRESH)])
        assert (await ledger.totals(run)).tally(Action.COPY, TransferState.WAITING).size == 40
        again = await lease_one(ledger, run)
        assert again.transfer == FRESH._replace(
            key="a", action=Action.COPY, state=TransferState.WAITING
        )
        assert (again.attempt, again.upload) == (2, None)
        assert await ledger.uploads(run) == [UploadRecord("a", UPLOAD, abandoned=True)]

    async def test_a_changed_source_may_be_the_last_attempt(
        self, ledger: Ledger, run: RunId
    ) -> None:
        [leased] = await lease_new(ledger, run, new("a", 5))
        await ledger.fail([failed(leased, code="changed", fresh=FRESH)])
        [dead] = await ledger.failures(run)
        assert (dead.transfer.key, dead.transfer.size, dead.code) == ("a", 40, "changed")

    async def test_one_batch_holds_failures_of_every_kind(
        self, ledger: Ledger, run: RunId, clock: FakeClock
    ) -> None:
        leases = await lease_new(ledger, run, *news(1_200))
        await ledger.release(leases[:1])
        failures = [
            failed(at, None if number % 3 else clock.now, fresh=FRESH if number % 2 else None)
            for number, at in enumerate(leases)
        ]
        assert await ledger.fail([*failures, failures[-1]]) == [leases[0], leases[-1]]
        assert len(await lease_all(ledger, run)) == 400
        totals = await ledger.totals(run)
        assert totals.tally(Action.COPY, TransferState.FAILED).count == 800

    async def test_words_may_hold_anything(self, ledger: Ledger, run: RunId) -> None:
        await bury(ledger, run, "a", message="\x00\x01'\"😀\n" + "long " * 10_000)
        [dead] = await ledger.failures(run)
        assert dead.message == "\x00\x01'\"😀\n" + "long " * 10_000
        assert dead.history[0].message == dead.message

    async def test_words_that_no_database_holds_stop_nobody(
        self, ledger: Ledger, run: RunId
    ) -> None:
        await bury(ledger, run, "a", message="name \udcff.txt")
        [dead] = await ledger.failures(run)
        assert dead.message.startswith("name ")
        assert dead.message.endswith(".txt")

    async def test_dead_letters_come_by_key_in_pages(self, ledger: Ledger, run: RunId) -> None:
        keys = sorted(f"{number}" for number in range(25))
        await bury(ledger, run, *reversed(keys))
        found, after = [], ""
        while page := await ledger.failures(run, after=after, limit=10):
            assert len(page) <= 10
            found += [dead.transfer.key for dead in page]
            after = found[-1]
        assert found == keys
        assert {len(dead.history) for dead in await ledger.failures(run)} == {1}

    async def test_dead_letters_are_chosen_by_code(self, ledger: Ledger, run: RunId) -> None:
        await bury(ledger, run, "a", "b", code="denied")
        await bury(ledger, run, "c", code="corrupt")
        assert [dead.transfer.key for dead in await ledger.failures(run, code="denied")] == [*"ab"]
        assert [dead.transfer.key for dead in await ledger.failures(run, code="corrupt")] == ["c"]
        assert await ledger.failures(run, code="deni") == []

    @pytest.mark.parametrize(
        ("glob", "expected"),
        [
            ("*", ["A/b", "a", "a/b", "a/b/c.gz", "a[1]", "a_b"]),
            ("a/*", ["a/b", "a/b/c.gz"]),
            ("*.gz", ["a/b/c.gz"]),
            ("a?b", ["a/b", "a_b"]),
            ("a", ["a"]),
            ("[Aa]/b", ["A/b", "a/b"]),
            ("a[[]1]", ["a[1]"]),
            ("a%", []),
            ("", []),
        ],
    )
    async def test_dead_letters_are_chosen_by_glob(
        self, ledger: Ledger, run: RunId, glob: str, expected: list[str]
    ) -> None:
        await bury(ledger, run, "a", "a/b", "a/b/c.gz", "A/b", "a_b", "a[1]")
        assert [dead.transfer.key for dead in await ledger.failures(run, key=glob)] == expected
        assert await ledger.redrive(run, key=glob) == len(expected)
        assert sorted(at.transfer.key for at in await lease(ledger, run)) == expected

    async def test_a_page_is_filled_past_keys_that_do_not_match(
        self, ledger: Ledger, run: RunId
    ) -> None:
        await bury(ledger, run, *(f"{number:05}" for number in range(2_500)))
        found = await ledger.failures(run, key="*99", limit=20, after="00100")
        assert [dead.transfer.key for dead in found] == [
            f"{number:05}" for number in range(199, 2_199, 100)
        ]

    async def test_groups_count_dead_letters_by_code(self, ledger: Ledger, run: RunId) -> None:
        await bury(ledger, run, "c", code="corrupt", message="Of c.")
        await bury(ledger, run, "b", code="denied", message="Of b.")
        await bury(ledger, run, "a", code="denied", message="Of a.")
        await bury(ledger, run, "d", code="aborted", message="Of d.")
        assert await ledger.failure_groups(run) == [
            FailureGroup("denied", 2, 2, "a", "Of a."),
            FailureGroup("aborted", 1, 1, "d", "Of d."),
            FailureGroup("corrupt", 1, 1, "c", "Of c."),
        ]

    async def test_redriven_dead_letters_have_all_their_attempts(
        self, ledger: Ledger, run: RunId
    ) -> None:
        await bury(ledger, run, "a", message="Before.")
        assert await ledger.redrive(run) == 1
        record = await only_record(ledger, run)
        assert (record.state, record.code, record.message) == (TransferState.WAITING, "", "")
        assert (record.attempts, record.ended_at) == (0, None)
        leased = await lease_one(ledger, run)
        assert leased.attempt == 1
        await ledger.fail([failed(leased, message="After.")])
        [dead] = await ledger.failures(run)
        assert [attempt.message for attempt in dead.history] == ["Before.", "After."]

    async def test_a_person_redrives_by_code(self, ledger: Ledger, run: RunId) -> None:
        await bury(ledger, run, "a", "b", code="denied")
        await bury(ledger, run, "c", code="corrupt")
        assert await ledger.redrive(run, code="denied", key="a") == 1
        assert await ledger.redrive(run, code="denied") == 1
        assert await ledger.redrive(run, code="denied") == 0
        assert [*await records(ledger, run, TransferState.FAILED)] == ["c"]

    async def test_redriving_takes_thousands_at_once(self, ledger: Ledger, run: RunId) -> None:
        await bury(ledger, run, *(f"{number}" for number in range(2_345)))
        assert await ledger.redrive(run, key="*") == 2_345
        leases = await lease_all(ledger, run)
        assert await ledger.complete([done(at) for at in leases]) == []
        assert await ledger.failures(run) == []
