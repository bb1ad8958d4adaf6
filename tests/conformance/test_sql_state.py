from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.conformance.ledgers import FakeClock, LedgerSuite
from tests.conformance.task_stores import TaskStoreSuite
from tests.servers.postgres import PostgresServer
from transferhub.state.base import Ledger, TaskStore
from transferhub.state.sql import SqlLedger, SqlTaskStore


@pytest.fixture(scope="module")
def shared_url(postgres: PostgresServer) -> Iterator[str]:
    """One database for all tests of this module, each with a run of its own."""
    url = postgres.create_database()
    yield url
    postgres.drop_database(url)


class TestSqliteLedger(LedgerSuite):
    @pytest.fixture
    async def ledger(self, tmp_path: Path, clock: FakeClock) -> AsyncIterator[Ledger]:
        ledger = await SqlLedger.open(f"sqlite:///{tmp_path}/state.sqlite3", clock)
        yield ledger
        await ledger.aclose()


@pytest.mark.postgresql
class TestPostgresLedger(LedgerSuite):
    @pytest.fixture
    async def ledger(self, shared_url: str, clock: FakeClock) -> AsyncIterator[Ledger]:
        ledger = await SqlLedger.open(shared_url, clock)
        yield ledger
        await ledger.aclose()


class TestSqliteTaskStore(TaskStoreSuite):
    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[TaskStore]:
        store = await SqlTaskStore.open(f"sqlite:///{tmp_path}/state.sqlite3")
        yield store
        await store.aclose()


@pytest.mark.postgresql
class TestPostgresTaskStore(TaskStoreSuite):
    @pytest.fixture
    async def store(self, postgres_url: str) -> AsyncIterator[TaskStore]:
        store = await SqlTaskStore.open(postgres_url)
        yield store
        await store.aclose()
