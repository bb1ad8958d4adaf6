"""What a hub keeps on AWS."""

from __future__ import annotations

from transferhub.hosts.hub_state import OwnQueue, SharedState
from transferhub.state.aws.audit import AwsAudit
from transferhub.state.aws.connection import Connection
from transferhub.state.aws.fleet import AwsFleet
from transferhub.state.aws.inbox import AwsInbox
from transferhub.state.aws.ledger import AwsLedger
from transferhub.state.aws.logs import AwsLogs
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
