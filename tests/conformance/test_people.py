from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.conformance.people import AuditSuite, PeopleSuite, VaultSuite
from transferhub.state.memory import MemoryAudit, MemoryPeople, MemoryVault
from transferhub.state.people import Audit, People, Vault
from transferhub.state.sql.audit import SqlAudit
from transferhub.state.sql.database import Database
from transferhub.state.sql.people import SqlPeople
from transferhub.state.sql.vault import SqlVault


class TestMemoryPeople(PeopleSuite):
    @pytest.fixture
    async def people(self) -> People:
        return MemoryPeople()


class TestMemoryAudit(AuditSuite):
    @pytest.fixture
    async def audit(self) -> Audit:
        return MemoryAudit()


class TestMemoryVault(VaultSuite):
    @pytest.fixture
    async def vault(self) -> Vault:
        return MemoryVault()


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[Database]:
    database = await Database.open(f"sqlite:///{tmp_path}/state.sqlite3")
    yield database
    await database.aclose()


@pytest.fixture
async def postgresql(postgres_url: str) -> AsyncIterator[Database]:
    database = await Database.open(postgres_url)
    yield database
    await database.aclose()


class TestSqlitePeople(PeopleSuite):
    @pytest.fixture
    async def people(self, sqlite: Database) -> People:
        return SqlPeople(sqlite)


class TestSqliteAudit(AuditSuite):
    @pytest.fixture
    async def audit(self, sqlite: Database) -> Audit:
        return SqlAudit(sqlite)


class TestSqliteVault(VaultSuite):
    @pytest.fixture
    async def vault(self, sqlite: Database) -> Vault:
        return SqlVault(sqlite)


@pytest.mark.postgresql
class TestPostgresPeople(PeopleSuite):
    @pytest.fixture
    async def people(self, postgresql: Database) -> People:
        return SqlPeople(postgresql)


@pytest.mark.postgresql
class TestPostgresAudit(AuditSuite):
    @pytest.fixture
    async def audit(self, postgresql: Database) -> Audit:
        return SqlAudit(postgresql)


@pytest.mark.postgresql
class TestPostgresVault(VaultSuite):
    @pytest.fixture
    async def vault(self, postgresql: Database) -> Vault:
        return SqlVault(postgresql)
