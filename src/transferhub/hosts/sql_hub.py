"""What a hub keeps in a database besides its ledger."""

from __future__ import annotations

from transferhub.hosts.hub_state import HubState
from transferhub.state.base import Ledger
from transferhub.state.sql import SqlTaskStore
from transferhub.state.sql.audit import SqlAudit
from transferhub.state.sql.channels import SqlChannels
from transferhub.state.sql.database import Database
from transferhub.state.sql.events import SqlInbox
from transferhub.state.sql.fleet import SqlFleet
from transferhub.state.sql.logs import SqlLogs
from transferhub.state.sql.outbox import SqlOutbox
from transferhub.state.sql.people import SqlPeople
from transferhub.state.sql.samples import SqlSamples
from transferhub.state.sql.seats import SqlSeats
from transferhub.state.sql.vault import SqlVault


def hub_state(ledger: Ledger, shared: Database) -> HubState:
    return HubState(
        ledger=ledger,
        tasks=SqlTaskStore(shared),
        seats=SqlSeats(shared),
        fleet=SqlFleet(shared),
        audit=SqlAudit(shared),
        vault=SqlVault(shared),
        inbox=SqlInbox(shared),
        samples=SqlSamples(shared),
        logs=SqlLogs(shared),
        people=SqlPeople(shared),
        channels=SqlChannels(shared),
        outbox=SqlOutbox(shared),
    )
