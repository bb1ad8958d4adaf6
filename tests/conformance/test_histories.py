"""Samples and logs, in memory and in both databases, each through four instances."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.conformance.histories import LogsSuite, SamplesSuite
from transferhub.state.history import Logs, Samples
from transferhub.state.memory import MemoryLogs, MemorySamples
from transferhub.state.sql.database import Database
from transferhub.state.sql.logs import SqlLogs
from transferhub.state.sql.samples import SqlSamples

INSTANCES = 4
Places = Sequence[tuple[Samples, Logs]]


@pytest.fixture(params=["memory", "sqlite", pytest.param("pg", marks=pytest.mark.postgresql)])
async def places(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Places]:
    if request.param == "memory":
        yield [(MemorySamples(), MemoryLogs())] * INSTANCES
        return
    on_disk = request.param == "sqlite"
    url = f"sqlite:///{tmp_path}/state" if on_disk else request.getfixturevalue("postgres_url")
    async with AsyncExitStack() as stack:
        opened = [await Database.open(url) for _ in range(INSTANCES)]
        for database in opened:
            stack.push_async_callback(database.aclose)
        yield [(SqlSamples(at), SqlLogs(at)) for at in opened]


@pytest.fixture
def many_samples(places: Places) -> Sequence[Samples]:
    return [samples for samples, _ in places]


@pytest.fixture
def many_logs(places: Places) -> Sequence[Logs]:
    return [logs for _, logs in places]


class TestSamples(SamplesSuite):
    pass


class TestLogs(LogsSuite):
    pass
