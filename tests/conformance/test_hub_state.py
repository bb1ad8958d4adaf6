"""The suites of what a hub keeps, in memory and in both databases, each through four instances."""

from collections.abc import Sequence

import pytest

from tests.conformance.conftest import INSTANCES
from tests.conformance.fleets import FleetSuite
from tests.conformance.inboxes import InboxSuite
from tests.conformance.ledger_facts import FakeClock
from tests.conformance.run_stores import RunStoreSuite
from tests.conformance.seats import SeatsSuite
from tests.conformance.task_lists import TaskListSuite
from transferhub.state.base import Fleet, Seats, TaskStore
from transferhub.state.events import Inbox
from transferhub.state.memory import MemoryFleet, MemoryInbox, MemorySeats, MemoryTaskStore
from transferhub.state.sql import SqlTaskStore
from transferhub.state.sql.database import Database
from transferhub.state.sql.events import SqlInbox
from transferhub.state.sql.fleet import SqlFleet
from transferhub.state.sql.seats import SqlSeats


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def stores(databases: Sequence[Database], clock: FakeClock) -> Sequence[TaskStore]:
    found = [SqlTaskStore(database, clock) for database in databases]
    return found or [MemoryTaskStore(clock)] * INSTANCES


@pytest.fixture
def all_seats(databases: Sequence[Database], clock: FakeClock) -> Sequence[Seats]:
    return [SqlSeats(database, clock) for database in databases] or [MemorySeats(clock)] * INSTANCES


@pytest.fixture
def fleets(databases: Sequence[Database], clock: FakeClock) -> Sequence[Fleet]:
    return [SqlFleet(database, clock) for database in databases] or [MemoryFleet(clock)] * INSTANCES


@pytest.fixture
def inboxes(databases: Sequence[Database], clock: FakeClock) -> Sequence[Inbox]:
    found = [SqlInbox(database, clock) for database in databases]
    return found or [MemoryInbox(clock)] * INSTANCES


class TestInbox(InboxSuite):
    pass


class TestRunStore(RunStoreSuite):
    pass


class TestTaskLists(TaskListSuite):
    pass


class TestSeats(SeatsSuite):
    pass


class TestFleet(FleetSuite):
    pass
