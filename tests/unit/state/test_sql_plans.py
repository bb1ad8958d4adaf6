"""What a verb costs does not grow with the tables: they are read through their indexes."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.conformance.ledger_facts import (
    LEASE,
    UPLOAD,
    WORKER,
    FakeClock,
    bury,
    done,
    failed,
    lease,
    lease_new,
    new,
    news,
    part_done,
    parts,
)
from tests.conformance.ledger_recording import SHARD
from tests.unit.state.plans import Plans
from transferhub.model.transfer import RunId, TransferState, WorkKind
from transferhub.state.base import Ledger
from transferhub.state.cursors import write_key_cursor
from transferhub.state.sql import SqlLedger, pages

RUN = RunId("run")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def ledger(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Ledger]:
    ledger = await SqlLedger.open(f"sqlite:///{tmp_path}/state.sqlite3", clock)
    yield ledger
    await ledger.aclose()


async def test_work_is_found_by_the_index_of_what_is_due(ledger: Ledger, plans: Plans) -> None:
    await ledger.record(RUN, news(10))
    plans.lines.clear()
    assert len(await lease(ledger, RUN, limit=10)) == 10
    for _ in range(2):
        assert await lease(ledger, RUN) == []
    assert plans.of_table("transfers") == {
        "SEARCH INDEX ix_transfers_due (run_id=? AND due<?)",
        "SEARCH INDEX ix_transfers_due (run_id=? AND due>? AND due<?)",
        "SEARCH INDEX ix_transfers_due (run_id=? AND due=?)",
        "SEARCH INTEGER PRIMARY KEY (rowid=?)",
    }
    assert plans.of_table("p") == {"SEARCH INDEX ix_parts_due (run_id=? AND due<?)"}
    assert plans.of_table("parts") == plans.of_table("p")


async def test_dead_letters_are_found_by_their_own_index(ledger: Ledger, plans: Plans) -> None:
    await bury(ledger, RUN, "a", "b", code="denied")
    plans.lines.clear()
    assert len(await ledger.failures(RUN, code="denied", after="a")) == 1
    assert len(await ledger.failure_groups(RUN)) == 1
    assert await ledger.redrive(RUN, key="b*") == 1
    assert await ledger.redrive(RUN, keys=["a"]) == 1
    assert plans.of_table("transfers") == {
        "SEARCH COVERING INDEX ix_transfers_code (run_id=? AND state=?)",
        "SEARCH INDEX ix_transfers_code (run_id=? AND state=? AND code=? AND key>?)",
        "SEARCH INDEX ix_transfers_state (run_id=? AND state=? AND key=?)",
        "SEARCH INDEX ix_transfers_state (run_id=? AND state=? AND key>? AND key<?)",
        "SEARCH INDEX uq_transfers_run_id_key (run_id=? AND key=?)",
        "SEARCH INTEGER PRIMARY KEY (rowid=?)",
    }


async def test_held_deletes_are_found_by_their_own_index(ledger: Ledger, plans: Plans) -> None:
    await ledger.record(RUN, [new("a")._replace(state=TransferState.HELD)])
    plans.lines.clear()
    assert await ledger.release_held(RUN) == 1
    assert plans.of_table("transfers") == {"SEARCH INDEX ix_transfers_state (run_id=? AND state=?)"}


async def test_pages_are_read_from_indexes_and_nothing_is_sorted(
    ledger: Ledger, plans: Plans
) -> None:
    after = write_key_cursor("a")
    await ledger.page(RUN, states=[TransferState.FAILED, TransferState.HELD])
    await ledger.page(RUN, states=[TransferState.FAILED], prefix="a", after=after)
    await ledger.page(RUN, code="denied", prefix="a")
    await ledger.page(RUN, prefix="a")
    await ledger.page(RUN, states=[TransferState.WAITING, TransferState.FAILED])
    assert plans.of_table("transfers") == {
        "SEARCH INDEX ix_transfers_code (run_id=? AND state=? AND code=? AND key>? AND key<?)",
        "SEARCH INDEX ix_transfers_state (run_id=? AND state=?)",
        "SEARCH INDEX ix_transfers_state (run_id=? AND state=? AND key>? AND key<?)",
        "SEARCH INDEX uq_transfers_run_id_key (run_id=? AND key>? AND key<?)",
        "SEARCH COVERING INDEX uq_transfers_run_id_key (run_id=?)",
        "SEARCH INDEX uq_transfers_run_id_key (run_id=?)",
    }
    assert not {line for line in plans.lines if "TEMP B-TREE" in line}
    plans.lines.clear()
    await ledger.page(RUN, states=[TransferState.LEASED])
    assert plans.of_table("transfers") == {"SEARCH INDEX ix_transfers_due (run_id=? AND due>?)"}


async def test_a_page_looks_at_no_more_than_a_part_of_a_run(ledger: Ledger) -> None:
    [last] = await lease_new(ledger, RUN, new("zebra"))
    await ledger.complete([done(last)])
    await ledger.record(RUN, news(pages.LOOKED_THROUGH))
    first = await ledger.page(RUN, states=[TransferState.DONE])
    assert first.items == ()
    second = await ledger.page(RUN, states=[TransferState.DONE], after=first.cursor)
    assert [record.transfer.key for record in second.items] == ["zebra"]
    assert second.cursor == ""


async def ask_everything(ledger: Ledger, clock: FakeClock) -> None:
    leases = await lease(ledger, RUN, limit=20)
    await ledger.renew(leases, LEASE)
    await ledger.release(leases[10:])
    await ledger.fail(
        [failed(leases[0]), failed(leases[1], clock.now), failed(leases[2], fresh=new("a"))]
    )
    await ledger.complete([done(at) for at in leases[3:5]])
    await ledger.reclaim(RUN, [WORKER])
    await ledger.redrive(RUN, code="transient")
    [whole, *_] = await lease(ledger, RUN, limit=1)
    await ledger.save_parts(whole, UPLOAD, parts(1, 1))
    [part, *_] = [at for at in await lease(ledger, RUN, limit=9) if at.kind is WorkKind.PART]
    await ledger.complete_parts([part_done(part)])
    for record in await ledger.uploads(RUN):
        await ledger.forget_upload(RUN, record)
    assert [record async for record in ledger.transfers(RUN, states=[TransferState.DONE])]
    assert [record async for record in ledger.transfers(RUN)]
    await ledger.failures(RUN)
    for state in TransferState:
        await ledger.page(RUN, states=[state], prefix="key")
    await ledger.page(RUN)
    await ledger.page(RUN, code="denied")
    await ledger.known(RUN, ["key-000003", "x"])
    await ledger.replace(RUN, [at.transfer for at in leases[3:5]])
    await ledger.totals(RUN)
    await ledger.shards(RUN)


async def test_no_verb_reads_a_whole_table(ledger: Ledger, clock: FakeClock, plans: Plans) -> None:
    await ledger.record(RUN, news(50), [SHARD])
    await ask_everything(ledger, clock)
    await ledger.reset(RUN)
    await ledger.ledgers(after="a")
    await ledger.purge(RUN)
    tables = ("transfers", "parts", "attempts", "uploads", "shards", "tallies", "ledgers", "t", "p")
    scans = {line for line in plans.lines if line.startswith(tuple(f"SCAN {t}" for t in tables))}
    assert not scans


@pytest.mark.postgresql
async def test_postgresql_does_not_collect_what_is_open(
    postgres_url: str, clock: FakeClock, plans: Plans
) -> None:
    ledger = await SqlLedger.open(postgres_url, clock)
    # Enough that its planner does not rather read the whole table.
    await ledger.record(RUN, news(40_000), [SHARD])
    plans.lines.clear()
    await ask_everything(ledger, clock)
    await ledger.aclose()
    assert {line for line in plans.lines if "Index Scan using ix_transfers_due" in line}
    unwanted = ("Bitmap", "Seq Scan on transfers", "Sort Key: key")
    assert not {line for line in plans.lines if any(words in line for words in unwanted)}
