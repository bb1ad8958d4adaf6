"""`HubState`: all that a hub remembers, in one database."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from transferhub.hosts.state import make_folder
from transferhub.state.base import Fleet, Ledger, Seats, TaskStore
from transferhub.state.events import Inbox
from transferhub.state.history import Logs, Samples
from transferhub.state.notices import ChannelStore, Outbox
from transferhub.state.people import Audit, People, Vault
from transferhub.state.sql import SqlLedger, SqlTaskStore
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


@dataclass(frozen=True, slots=True, kw_only=True)
class HubState:
    """What the processes of a hub share."""

    ledger: Ledger
    tasks: TaskStore
    seats: Seats
    fleet: Fleet
    people: People
    audit: Audit
    vault: Vault
    channels: ChannelStore
    outbox: Outbox
    inbox: Inbox
    samples: Samples
    logs: Logs

    @classmethod
    async def open(cls, folder: Path, url: str, stack: AsyncExitStack) -> Self:
        """Opens it until `stack` ends.

        Raises:
            InputError: the URL names no database that we know.
            StateError: it cannot be used.
        """
        make_folder(folder)
        shared = await Database.open(url)
        stack.push_async_callback(shared.aclose)
        # Apart: what people look at must not wait for long lists of transfers.
        ledger = await SqlLedger.open(url)
        stack.push_async_callback(ledger.aclose)
        return cls(
            ledger=ledger,
            tasks=SqlTaskStore(shared),
            seats=SqlSeats(shared),
            fleet=SqlFleet(shared),
            people=SqlPeople(shared),
            audit=SqlAudit(shared),
            vault=SqlVault(shared),
            channels=SqlChannels(shared),
            outbox=SqlOutbox(shared),
            inbox=SqlInbox(shared),
            samples=SqlSamples(shared),
            logs=SqlLogs(shared),
        )
