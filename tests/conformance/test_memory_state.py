import pytest

from tests.conformance.ledgers import FakeClock, LedgerSuite
from tests.conformance.task_stores import TaskStoreSuite
from transferhub.state.base import Ledger, TaskStore
from transferhub.state.memory import MemoryLedger, MemoryTaskStore


class TestMemoryLedger(LedgerSuite):
    @pytest.fixture
    async def ledger(self, clock: FakeClock) -> Ledger:
        return MemoryLedger(clock)


class TestMemoryTaskStore(TaskStoreSuite):
    @pytest.fixture
    async def store(self) -> TaskStore:
        return MemoryTaskStore()
