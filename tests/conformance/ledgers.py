"""The suite of the Ledger port: a test for each of its guarantees.

A new ledger passes it with a subclass like this:

    class TestMyLedger(LedgerSuite):
        @pytest.fixture
        async def ledger(self, clock: FakeClock) -> AsyncIterator[Ledger]:
            ledger = await MyLedger.open(..., clock)
            yield ledger
            await ledger.aclose()
"""

from tests.conformance.ledger_facts import FakeClock
from tests.conformance.ledger_failing import FailingTests
from tests.conformance.ledger_leasing import LeasingTests
from tests.conformance.ledger_pages import PageTests
from tests.conformance.ledger_parts import PartTests
from tests.conformance.ledger_reading import ReadingTests
from tests.conformance.ledger_recording import RecordingTests
from tests.conformance.ledger_replacing import ReplacingTests


class LedgerSuite(
    RecordingTests, ReplacingTests, LeasingTests, PartTests, FailingTests, ReadingTests, PageTests
):
    """Every test of the port. See LedgerFacts for what a subclass gives."""


__all__ = ["FakeClock", "LedgerSuite"]
