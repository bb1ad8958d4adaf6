"""What a verb costs does not grow with the tables: SQLite reads them through their indexes."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event

from tests.conformance.ledger_facts import (
    LEASE,
    WORKER,
    FakeClock,
    bury,
    done,
    failed,
    lease,
    lease_all,
    lease_finish,
    lease_parts,
    new,
    news,
    part_done,
)
from tests.conformance.ledger_recording import SHARD
from transferhub.model.transfer import RunId, TransferState, UploadRecord
from transferhub.state.base import Ledger
from transferhub.state.sql import SqlLedger

RUN = RunId("run")
VERBS = ("SELECT", "INSERT", "UPDATE", "DELETE")


class Plans:
    """How SQLite carried out each statement, in lines such as "SEARCH transfers USING …"."""

    def __init__(self) -> None:
        self.lines: set[str] = set()

    def note(
        self,
        connection: Connection,
        _cursor: object,
        statement: str,
        values: tuple[object, ...],
        *_: object,
    ) -> None:
        if statement.startswith(VERBS):
            raw: Any = connection.connection.dbapi_connection
            rows = raw.execute(f"EXPLAIN QUERY PLAN {statement}", values)
            self.lines |= {row[-1] for row in rows}

    def of_table(self, table: str) -> set[str]:
        found = {line.partition(" USING ") for line in self.lines if table in line.split()[:2]}
        return {f"{verb.split()[0]} {index}" for verb, _, index in found}


@pytest.fixture
def plans() -> Iterator[Plans]:
    plans = Plans()
    event.listen(Engine, "before_cursor_execute", plans.note)
    yield plans
    event.remove(Engine, "before_cursor_execute", plans.note)


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
    assert len(await lease(ledger, RUN, limit=5)) == 5
    assert plans.of_table("transfers") == {
        "SEARCH INDEX ix_transfers_due (run_id=? AND due<?)",
        "SEARCH INDEX ix_transfers_due (run_id=? AND due>? AND due<?)",
        "SEARCH INDEX ix_transfers_due (run_id=? AND due=?)",
        "SEARCH INTEGER PRIMARY KEY (rowid=?)",
    }
    assert plans.of_table("p") == {"SEARCH INDEX ix_parts_due (run_id=? AND due<?)"}


async def test_dead_letters_are_found_by_their_own_index(ledger: Ledger, plans: Plans) -> None:
    await bury(ledger, RUN, "a", "b", code="denied")
    plans.lines.clear()
    assert len(await ledger.failures(RUN, code="denied", after="a")) == 1
    assert await ledger.redrive(RUN, key="b") == 1
    assert len(await ledger.failure_groups(RUN)) == 1
    assert plans.of_table("transfers") == {
        "SEARCH INDEX ix_transfers_failed (run_id=? AND state=?)",
        "SEARCH INDEX ix_transfers_failed (run_id=? AND state=? AND key>?)",
        "SEARCH INDEX uq_transfers_run_id_key (run_id=? AND key=?)",
        "SEARCH INTEGER PRIMARY KEY (rowid=?)",
    }


async def test_held_deletes_are_found_by_their_own_index(ledger: Ledger, plans: Plans) -> None:
    await ledger.record(RUN, [new("a")._replace(state=TransferState.HELD)])
    plans.lines.clear()
    assert await ledger.release_held(RUN) == 1
    assert plans.of_table("transfers") == {"SEARCH INDEX ix_transfers_held (run_id=?)"}


async def test_no_verb_reads_a_whole_table(ledger: Ledger, clock: FakeClock, plans: Plans) -> None:
    await ledger.record(RUN, news(20), [SHARD])
    leases = await lease_all(ledger, RUN)
    await ledger.renew(leases, LEASE)
    await ledger.release(leases[10:])
    await ledger.fail(
        [failed(leases[0]), failed(leases[1], clock.now), failed(leases[2], fresh=new("a"))]
    )
    await ledger.reclaim(RUN, [WORKER])
    await ledger.redrive(RUN, code="transient")
    await ledger.complete([done(await lease_finish(ledger, RUN))])
    first, *_, last = await lease_parts(ledger, RUN, key="larger")
    await ledger.complete_parts([part_done(first)])
    await ledger.fail([failed(last)])
    for record in await ledger.uploads(RUN):
        assert isinstance(record, UploadRecord)
        await ledger.forget_upload(RUN, record)
    assert [record async for record in ledger.transfers(RUN, states=[TransferState.DONE])]
    await ledger.totals(RUN)
    await ledger.shards(RUN)
    await ledger.reset(RUN)
    await ledger.purge(RUN)
    tables = ("transfers", "parts", "attempts", "uploads", "shards", "tallies", "ledgers", "t", "p")
    scans = {line for line in plans.lines if line.startswith(tuple(f"SCAN {t}" for t in tables))}
    assert not scans
