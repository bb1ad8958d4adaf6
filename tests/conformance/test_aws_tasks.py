"""The suites of the TaskStore port on DynamoDB, through four connections to one state.

moto passes them where it is asked one thing at a time (see `OneByOne`). What it cannot show, since
it passes over the token of a transaction, is in tests/integration/test_aws_task_store.py.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack

import pytest

from tests.conformance.aws_states import aws_state, connection_to
from tests.conformance.conftest import INSTANCES
from tests.conformance.ledger_facts import FakeClock
from tests.conformance.run_stores import RunStoreSuite
from tests.conformance.task_lists import TaskListSuite
from tests.conformance.task_stores import TaskStoreSuite
from tests.servers.endpoint import Endpoint
from transferhub.state.aws.tasks import AwsTaskStore
from transferhub.state.base import TaskStore


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def stores(
    aws_server_for_races: Endpoint, clock: FakeClock
) -> AsyncIterator[Sequence[TaskStore]]:
    async with aws_state(aws_server_for_races) as state, AsyncExitStack() as stack:
        connections = [state]
        while len(connections) < INSTANCES:
            connections.append(connection_to(aws_server_for_races, state.name))
            stack.push_async_callback(connections[-1].aclose)
        yield [AwsTaskStore(connection, clock) for connection in connections]


class TestAwsTaskStore(TaskStoreSuite):
    @pytest.fixture
    def store(self, stores: Sequence[TaskStore]) -> TaskStore:
        return stores[0]


class TestAwsRunStore(RunStoreSuite):
    pass


class TestAwsTaskLists(TaskListSuite):
    pass
