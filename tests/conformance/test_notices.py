"""Channels and the outbox, in memory and in both databases, each through four instances."""

from collections.abc import Sequence

import pytest

from tests.conformance.conftest import INSTANCES
from tests.conformance.ledger_facts import FakeClock
from tests.conformance.notices import ChannelStoreSuite, OutboxSuite
from transferhub.state.memory.notices import MemoryChannels, MemoryOutbox
from transferhub.state.notices import ChannelStore, Outbox
from transferhub.state.sql.channels import SqlChannels
from transferhub.state.sql.database import Database
from transferhub.state.sql.outbox import SqlOutbox

Places = Sequence[tuple[ChannelStore, Outbox]]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def places(databases: Sequence[Database], clock: FakeClock) -> Places:
    outbox = MemoryOutbox(clock)
    found = [(SqlChannels(database, clock), SqlOutbox(database, clock)) for database in databases]
    return found or [(MemoryChannels(outbox), outbox)] * INSTANCES


@pytest.fixture
def channels(places: Places) -> Sequence[ChannelStore]:
    return [store for store, _ in places]


@pytest.fixture
def outboxes(places: Places) -> Sequence[Outbox]:
    return [outbox for _, outbox in places]


class TestChannelStore(ChannelStoreSuite):
    pass


class TestOutbox(OutboxSuite):
    pass
