"""The suites of what a hub keeps, in DynamoDB, each through four instances over one state."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from typing import Any

import pytest

from tests.conformance.aws_states import aws_state
from tests.conformance.conftest import INSTANCES
from tests.conformance.fleets import FleetSuite
from tests.conformance.histories import LogsSuite, SamplesSuite
from tests.conformance.inboxes import InboxSuite
from tests.conformance.ledger_facts import FakeClock
from tests.conformance.notices import ChannelStoreSuite, OutboxSuite
from tests.conformance.people import AuditSuite, PeopleSuite, VaultSuite
from tests.conformance.seats import SeatsSuite
from transferhub.state.aws.audit import AwsAudit
from transferhub.state.aws.channels import AwsChannels
from transferhub.state.aws.connection import Connection
from transferhub.state.aws.fleet import AwsFleet
from transferhub.state.aws.inbox import AwsInbox
from transferhub.state.aws.logs import AwsLogs
from transferhub.state.aws.outbox import AwsOutbox
from transferhub.state.aws.people import AwsPeople
from transferhub.state.aws.samples import AwsSamples
from transferhub.state.aws.seats import AwsSeats
from transferhub.state.aws.vault import AwsVault
from transferhub.state.base import Fleet, Seats
from transferhub.state.events import Inbox
from transferhub.state.history import Logs, Samples
from transferhub.state.notices import ChannelStore, Outbox
from transferhub.state.people import Audit, People, Vault

Ask = Callable[[str, Mapping[str, Any]], Coroutine[Any, Any, dict[str, Any]]]


@pytest.fixture(params=["ministack", "moto"])
async def connection(request: pytest.FixtureRequest) -> AsyncIterator[Connection]:
    on_moto = request.param == "moto"
    server = request.getfixturevalue("moto_s3" if on_moto else "ministack")
    async with aws_state(server.endpoint) as opened:
        if on_moto:
            opened.dynamodb.ask = one_by_one(opened.dynamodb.ask)  # type: ignore[assignment, method-assign]
        yield opened


def one_by_one(ask: Ask) -> Ask:
    """moto reads and writes an item in two steps: of 600 updates of one at the same time it lost
    62. What many writers do meets in any order all the same."""
    alone = asyncio.Lock()

    async def asked(action: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        async with alone:
            return await ask(action, parameters)

    return asked


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


@pytest.fixture
def many_logs(connection: Connection) -> Sequence[Logs]:
    return [AwsLogs(connection) for _ in range(INSTANCES)]


@pytest.fixture
def many_samples(connection: Connection) -> Sequence[Samples]:
    return [AwsSamples(connection) for _ in range(INSTANCES)]


@pytest.fixture
def people(connection: Connection) -> People:
    return AwsPeople(connection)


@pytest.fixture
def channels(connection: Connection, clock: FakeClock) -> Sequence[ChannelStore]:
    return [AwsChannels(connection, clock) for _ in range(INSTANCES)]


@pytest.fixture
def outboxes(connection: Connection, clock: FakeClock) -> Sequence[Outbox]:
    return [AwsOutbox(connection, clock) for _ in range(INSTANCES)]


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


class TestLogs(LogsSuite):
    pass


class TestSamples(SamplesSuite):
    pass


class TestPeople(PeopleSuite):
    pass


class TestChannelStore(ChannelStoreSuite):
    pass


class TestOutbox(OutboxSuite):
    pass
