"""Channels and the outbox, in memory and in both databases, each through four instances."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.conformance.ledger_facts import FakeClock
from tests.conformance.notices import ChannelStoreSuite, OutboxSuite
from transferhub.state.memory.notices import MemoryChannels, MemoryOutbox
from transferhub.state.notices import ChannelStore, Outbox
from transferhub.state.sql.channels import SqlChannels
from transferhub.state.sql.database import Database
from transferhub.state.sql.outbox import SqlOutbox

INSTANCES = 4
Places = Sequence[tuple[ChannelStore, Outbox]]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["memory", "sqlite", pytest.param("pg", marks=pytest.mark.postgresql)])
async def places(
    request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock
) -> AsyncIterator[Places]:
    if request.param == "memory":
        outbox = MemoryOutbox(clock)
        yield [(MemoryChannels(outbox), outbox)] * INSTANCES
        return
    on_disk = request.param == "sqlite"
    url = f"sqlite:///{tmp_path}/state" if on_disk else request.getfixturevalue("postgres_url")
    async with AsyncExitStack() as stack:
        opened = [await Database.open(url) for _ in range(INSTANCES)]
        for database in opened:
            stack.push_async_callback(database.aclose)
        yield [(SqlChannels(at, clock), SqlOutbox(at, clock)) for at in opened]


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
