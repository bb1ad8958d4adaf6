"""The suites of what a hub keeps, in DynamoDB, each through four instances over one state."""

from collections.abc import AsyncIterator, Sequence

import pytest

from tests.conformance.aws_states import aws_state
from tests.conformance.conftest import INSTANCES
from tests.conformance.fleets import FleetSuite
from tests.conformance.inboxes import InboxSuite
from tests.conformance.ledger_facts import FakeClock
from tests.conformance.people import AuditSuite, VaultSuite
from tests.conformance.seats import SeatsSuite
from tests.servers.endpoint import Endpoint
from transferhub.state.aws.audit import AwsAudit
from transferhub.state.aws.connection import Connection
from transferhub.state.aws.fleet import AwsFleet
from transferhub.state.aws.inbox import AwsInbox
from transferhub.state.aws.seats import AwsSeats
from transferhub.state.aws.vault import AwsVault
from transferhub.state.base import Fleet, Seats
from transferhub.state.events import Inbox
from transferhub.state.people import Audit, Vault


@pytest.fixture
async def connection(aws_server: Endpoint) -> AsyncIterator[Connection]:
    async with aws_state(aws_server) as opened:
        yield opened


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def all_seats(connection: Connection, clock: FakeClock) -> Sequence[Seats]:
    return [AwsSeats(connection, clock) for _ in range(INSTANCES)]


@pytest.fixture
def fleets(connection: Connection, clock: FakeClock) -> Sequence[Fleet]:
    return [AwsFleet(connection, clock) for _ in range(INSTANCES)]


@pytest.fixture
def inboxes(connection: Connection, clock: FakeClock) -> Sequence[Inbox]:
    return [AwsInbox(connection, clock) for _ in range(INSTANCES)]


@pytest.fixture
def audit(connection: Connection) -> Audit:
    return AwsAudit(connection)


@pytest.fixture
def vault(connection: Connection) -> Vault:
    return AwsVault(connection)


class TestSeats(SeatsSuite):
    pass


class TestFleet(FleetSuite):
    pass


class TestInbox(InboxSuite):
    pass


class TestAudit(AuditSuite):
    pass


class TestVault(VaultSuite):
    pass
