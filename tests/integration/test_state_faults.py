"""A state that cannot be written says so in one sentence, and goes on when it can be."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest

from tests.conformance.ledger_facts import done, lease, news
from tests.servers.postgres import PostgresServer
from transferhub.errors import StateError
from transferhub.model.transfer import RunId
from transferhub.state.sql import SqlLedger
from transferhub.state.sql.database import Database
from transferhub.state.sql.session import Session

RUN = RunId("run")
_FILL_UNDER_A_LIMIT = """
import asyncio, json, resource, sys
from transferhub.errors import StateError
from transferhub.model.transfer import Difference, RunId, Transfer
from transferhub.state.sql import SqlLedger

async def main(url):
    ledger = await SqlLedger.open(url)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
    count = 0
    try:
        while True:
            batch = [Transfer(f"{count + n:0100}", Difference.NEW) for n in range(100)]
            count += await ledger.record(RunId("run"), batch)
    except StateError as error:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        batch = [Transfer(f"{count + n:0100}", Difference.NEW) for n in range(100)]
        again = await ledger.record(RunId("run"), batch)
        print(json.dumps([error.code, error.message, count + again]))
    await ledger.aclose()

asyncio.run(main(sys.argv[1]))
"""


async def count(ledger: SqlLedger) -> int:
    return (await ledger.totals(RUN)).open


async def set_most_pages(database: Database, pages: int) -> None:
    """What a full disk is to SQLite, without filling one."""
    await database.write(lambda session: session.execute(f"PRAGMA max_page_count = {pages}"))


async def fill(ledger: SqlLedger, batches: list[int]) -> None:
    """Records until it cannot, and adds up what it did."""
    while True:
        recorded = sum(batches)
        batches.append(await ledger.record(RUN, news(recorded + 200)[recorded:]))


async def test_a_full_disk_is_told_and_loses_nothing(tmp_path: Path) -> None:
    database = await Database.open(f"sqlite:///{tmp_path}/state.sqlite3")
    ledger = SqlLedger(database)
    await set_most_pages(database, 150)
    batches: list[int] = []
    with pytest.raises(StateError) as caught:
        await fill(ledger, batches)
    recorded = sum(batches)
    assert caught.value.code == "state_full"
    assert caught.value.message == (
        f"The state in {tmp_path}/state.sqlite3 is on a full disk (database or disk is full): "
        "free some space and run it again."
    )
    assert recorded > 0
    assert await count(ledger) == recorded

    await set_most_pages(database, 1_000_000)
    assert await ledger.record(RUN, news(recorded + 200)) == 200
    leases = await lease(ledger, RUN, limit=10_000)
    assert await ledger.complete([done(at) for at in leases]) == []
    assert await count(ledger) == 0
    await ledger.aclose()


async def test_a_file_that_may_not_grow_is_told_and_loses_nothing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/state.sqlite3"
    told = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", _FILL_UNDER_A_LIMIT, url],
        capture_output=True,
        check=True,
    )
    code, message, recorded = json.loads(told.stdout)
    assert code == "state_io"
    assert message.startswith(f"The state in {tmp_path}/state.sqlite3 could not be read or written")
    ledger = await SqlLedger.open(url)
    assert await count(ledger) == recorded > 100
    await ledger.aclose()


@pytest.fixture(scope="module")
def own_postgres(postgres: PostgresServer) -> Iterator[PostgresServer]:
    """A second server, which these tests may end."""
    with PostgresServer() as server:
        yield server


@pytest.fixture
def url(own_postgres: PostgresServer) -> str:
    # The server itself is set to lose its last commits when it crashes.
    return f"{own_postgres.create_database()}?options=-csynchronous_commit%3Don"


@pytest.fixture
async def ledger(url: str) -> AsyncIterator[SqlLedger]:
    ledger = await SqlLedger.open(url)
    await ledger.record(RUN, news(10))
    yield ledger
    await ledger.aclose()


def crash(server: PostgresServer) -> None:
    """Ends it without saving anything: the next start recovers from its log."""
    os.kill(server.process.pid, signal.SIGQUIT)
    server.process.stop()


def end_connections(server: PostgresServer) -> None:
    """Ends those of the program, as an administrator may."""
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'data-transfer-hub'"
        )


@pytest.mark.postgresql
async def test_a_server_that_is_gone_is_told(
    own_postgres: PostgresServer, url: str, ledger: SqlLedger
) -> None:
    impatient = SqlLedger(await Database.open(url, pauses=[0.01]))
    leases = await lease(ledger, RUN, limit=4)
    own_postgres.process.stop()
    try:
        with pytest.raises(StateError, match="could not be reached") as caught:
            await impatient.complete([done(at) for at in leases])
        assert caught.value.code == "state_unreachable"
        with pytest.raises(StateError, match="could not be reached"):
            await impatient.totals(RUN)
    finally:
        own_postgres.process.start()
        await impatient.aclose()
    assert await ledger.complete([done(at) for at in leases]) == []
    assert await count(ledger) == 6


@pytest.mark.postgresql
async def test_a_server_that_crashed_and_was_started_again_is_not_noticed(
    own_postgres: PostgresServer, ledger: SqlLedger
) -> None:
    leases = await lease(ledger, RUN, limit=4)
    crash(own_postgres)
    own_postgres.process.start()
    assert await ledger.complete([done(at) for at in leases]) == []
    assert await count(ledger) == 6


@pytest.mark.postgresql
async def test_a_server_that_is_being_restarted_is_waited_for(
    own_postgres: PostgresServer, ledger: SqlLedger
) -> None:
    leases = await lease(ledger, RUN, limit=4)
    own_postgres.process.stop()
    ended = asyncio.create_task(ledger.complete([done(at) for at in leases]))
    try:
        done_soon, _ = await asyncio.wait([ended], timeout=0.2)
        assert not done_soon
    finally:
        own_postgres.process.start()
    assert await ended == []
    assert await count(ledger) == 6


@pytest.mark.postgresql
async def test_a_verb_that_is_cut_off_is_done_again(own_postgres: PostgresServer, url: str) -> None:
    database, tries = await Database.open(url), 0

    def work(session: Session) -> int:
        nonlocal tries
        tries += 1
        session.execute("INSERT INTO ledgers (run) VALUES (?)", RUN)
        if tries == 1:
            end_connections(own_postgres)
        return session.execute("INSERT INTO ledgers (run) VALUES (?)", "another")

    assert await database.write(work) == 1
    assert tries == 2
    rows = await database.read(lambda session: session.fetch("count(*) AS count", "FROM ledgers"))
    assert rows[0][0] == 2
    await database.aclose()


@pytest.mark.postgresql
async def test_a_connection_that_the_server_ends_is_made_again(
    own_postgres: PostgresServer, ledger: SqlLedger
) -> None:
    end_connections(own_postgres)
    assert len(await lease(ledger, RUN, limit=100)) == 10
