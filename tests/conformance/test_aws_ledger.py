"""The Ledger on stand-ins for AWS."""

from collections.abc import AsyncIterator

import pytest

from tests.conformance.aws_states import aws_state
from tests.conformance.ledgers import FakeClock, LedgerSuite
from tests.servers.ministack import MinistackServer
from tests.servers.moto import MotoServer
from transferhub.state.aws.ledger import AwsLedger
from transferhub.state.base import Ledger


class TestAwsLedgerOnMinistack(LedgerSuite):
    @pytest.fixture
    async def ledger(self, ministack: MinistackServer, clock: FakeClock) -> AsyncIterator[Ledger]:
        async with aws_state(ministack.endpoint) as connection:
            ledger = await AwsLedger.open(connection, clock)
            yield ledger
            await ledger.aclose()


class TestAwsLedgerOnMoto(LedgerSuite):
    """All but what writes thousands of rows in transactions: moto copies the whole table for each
    of them, so that these tests would take minutes."""

    test_redriving_takes_thousands_at_once = None  # type: ignore[assignment]
    test_a_page_is_filled_past_keys_that_do_not_match = None  # type: ignore[assignment]
    test_one_batch_holds_failures_of_every_kind = None  # type: ignore[assignment]
    test_an_object_may_have_ten_thousand_parts = None  # type: ignore[assignment]

    @pytest.fixture
    async def ledger(self, moto_s3: MotoServer, clock: FakeClock) -> AsyncIterator[Ledger]:
        async with aws_state(moto_s3.endpoint) as connection:
            ledger = await AwsLedger.open(connection, clock)
            yield ledger
            await ledger.aclose()
