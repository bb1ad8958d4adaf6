"""Transfers in pages: chosen by the prefix of their keys, by state and by code."""

from collections.abc import Sequence
from itertools import product

import pytest

from tests.conformance.ledger_facts import (
    LedgerFacts,
    bury,
    done,
    extra,
    lease_new,
    lease_parts,
    new,
    news,
)
from transferhub.errors import InputError
from transferhub.model.transfer import Outcome, RunId, TransferRecord, TransferState
from transferhub.state.base import Ledger
from transferhub.state.cursors import write_key_cursor

PREFIXES = ("", "a", "a/", "a/é", "b\x00", "\U0010ffff", "no")
STATES = (
    (),
    *((state,) for state in TransferState),
    (TransferState.FAILED, TransferState.SKIPPED),
    (TransferState.FAILED, TransferState.DONE, TransferState.WAITING),
    (TransferState.LEASED, TransferState.IN_PARTS, TransferState.HELD),
)
CODES = ("", "denied", "held\x00", "none")


async def fill(ledger: Ledger, run: RunId) -> None:
    """Transfers in every state."""
    await bury(ledger, run, "a", "a/é", "b\x00", code="denied")
    await bury(ledger, run, "a/z", "\U0010ffff", code="held\x00")
    await lease_parts(ledger, run, key="a/parts")
    ended, gone, passed, _ = await lease_new(
        ledger, run, new("a/é/done"), new("gone"), new("a/passed"), new("a/leased")
    )
    skipped = Outcome(passed, TransferState.SKIPPED, code="denied")
    await ledger.complete([done(ended), Outcome(gone, TransferState.VANISHED), skipped])
    await ledger.record(
        run,
        [
            new("a/waiting"),
            new("\U0010ffff\U0010ffff"),
            extra("b\x00held", TransferState.HELD),
            new("b/cold")._replace(state=TransferState.ARCHIVED),
        ],
    )


async def paged(
    ledger: Ledger,
    run: RunId,
    *,
    prefix: str = "",
    states: Sequence[TransferState] = (),
    code: str = "",
    limit: int = 2,
) -> list[TransferRecord]:
    """All of them, page after page."""
    found: list[TransferRecord] = []
    after = ""
    while True:
        page = await ledger.page(
            run, prefix=prefix, states=states, code=code, after=after, limit=limit
        )
        assert len(page.items) <= limit
        found += page.items
        if not page.cursor:
            return found
        after = page.cursor


class PageTests(LedgerFacts):
    async def test_pages_give_what_is_chosen_in_the_order_of_keys(
        self, ledger: Ledger, run: RunId
    ) -> None:
        await fill(ledger, run)
        everything = [record async for record in ledger.transfers(run)]
        assert {record.state for record in everything} == {*TransferState}
        for prefix, states, code in product(PREFIXES, STATES, CODES):
            expected = [
                record
                for record in everything
                if record.transfer.key.startswith(prefix)
                and (not states or record.state in states)
                and code in ("", record.code)
            ]
            found = await paged(ledger, run, prefix=prefix, states=states, code=code)
            bare = [record._replace(history=()) for record in found]
            assert bare == expected, (prefix, states, code)

    async def test_a_page_shows_the_history_of_its_transfers(
        self, ledger: Ledger, run: RunId
    ) -> None:
        await bury(ledger, run, "a", code="denied", message="No.")
        [dead] = (await ledger.page(run)).items
        assert [(attempt.code, attempt.message) for attempt in dead.history] == [("denied", "No.")]

    async def test_a_full_page_that_is_the_last_one_says_so(
        self, ledger: Ledger, run: RunId
    ) -> None:
        await ledger.record(run, news(4))
        first = await ledger.page(run, limit=2)
        last = await ledger.page(run, limit=2, after=first.cursor)
        assert [len(first.items), len(last.items), last.cursor] == [2, 2, ""]
        assert first.total is None

    async def test_a_page_goes_on_after_a_key_that_is_gone(
        self, ledger: Ledger, run: RunId
    ) -> None:
        await ledger.record(run, news(3))
        after = write_key_cursor("key-000001\x00")
        [last] = (await ledger.page(run, after=after)).items
        assert last.transfer.key == "key-000002"

    async def test_a_page_of_nothing_is_empty(self, ledger: Ledger, run: RunId) -> None:
        await ledger.record(run, news(1))
        assert (await ledger.page(RunId("unknown"))).items == ()
        assert (await ledger.page(run, prefix="\ud800")).items == ()
        assert (await ledger.page(run, code="\ud800")).items == ()
        assert (await ledger.page(run, code="denied", states=[TransferState.WAITING])).items == ()

    @pytest.mark.parametrize("cursor", ["x", "WyJydW5zIiwxLDFd", "bnVsbA==", "é", "\ud800"])
    async def test_a_cursor_of_another_list_is_refused(
        self, ledger: Ledger, run: RunId, cursor: str
    ) -> None:
        with pytest.raises(InputError) as caught:
            await ledger.page(run, after=cursor)
        assert caught.value.field == "after"

    async def test_chosen_dead_letters_are_queued_again(self, ledger: Ledger, run: RunId) -> None:
        await bury(ledger, run, "a", "b\x00", "c", code="denied")
        await bury(ledger, run, "d", code="corrupt")
        keys = ["b\x00", "c", "d", "none", "\ud800", "c"]
        assert await ledger.redrive(run, code="denied", keys=keys) == 2
        assert [at.transfer.key for at in await ledger.failures(run)] == ["a", "d"]
        assert await ledger.redrive(run, keys=["none"]) == 0
