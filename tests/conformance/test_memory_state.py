import pytest

from tests.conformance.ledgers import FakeClock, LedgerSuite
from transferhub.state.base import Ledger
from transferhub.state.memory import MemoryLedger


class TestMemoryLedger(LedgerSuite):
    @pytest.fixture
    async def ledger(self, clock: FakeClock) -> Ledger:
        return MemoryLedger(clock)
