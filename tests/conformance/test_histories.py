"""Samples and logs, in memory and in both databases, each through four instances."""

from collections.abc import Sequence

import pytest

from tests.conformance.conftest import INSTANCES
from tests.conformance.histories import LogsSuite, SamplesSuite
from transferhub.state.history import Logs, Samples
from transferhub.state.memory import MemoryLogs, MemorySamples
from transferhub.state.sql.database import Database
from transferhub.state.sql.logs import SqlLogs
from transferhub.state.sql.samples import SqlSamples

Places = Sequence[tuple[Samples, Logs]]


@pytest.fixture
def places(databases: Sequence[Database]) -> Places:
    found = [(SqlSamples(database), SqlLogs(database)) for database in databases]
    return found or [(MemorySamples(), MemoryLogs())] * INSTANCES


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
