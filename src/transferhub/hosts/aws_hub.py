"""What a hub keeps on AWS."""

from __future__ import annotations

from transferhub.hosts.hub_state import OwnQueue, PeopleState, SharedState
from transferhub.state.aws.audit import AwsAudit
from transferhub.state.aws.channels import AwsChannels
from transferhub.state.aws.connection import Connection
from transferhub.state.aws.fleet import AwsFleet
from transferhub.state.aws.inbox import AwsInbox
from transferhub.state.aws.ledger import AwsLedger
from transferhub.state.aws.logs import AwsLogs
from transferhub.state.aws.outbox import AwsOutbox
from transferhub.state.aws.people import AwsPeople
from transferhub.state.aws.samples import AwsSamples
from transferhub.state.aws.schema import WORK
from transferhub.state.aws.seats import AwsSeats
from transferhub.state.aws.tasks import AwsTaskStore
from transferhub.state.aws.vault import AwsVault


def shared_state(ledger: AwsLedger, connection: Connection) -> SharedState:
    return SharedState(
        ledger=ledger,
        tasks=AwsTaskStore(connection),
        seats=AwsSeats(connection),
        fleet=AwsFleet(connection),
        audit=AwsAudit(connection),
        vault=AwsVault(connection),
        inbox=AwsInbox(connection),
        samples=AwsSamples(connection),
        logs=AwsLogs(connection),
        own_queue=OwnQueue(name=connection.resource(WORK.name), listen=ledger.listen),
    )


def people_state(connection: Connection) -> PeopleState:
    return PeopleState(
        people=AwsPeople(connection),
        channels=AwsChannels(connection),
        outbox=AwsOutbox(connection),
    )
