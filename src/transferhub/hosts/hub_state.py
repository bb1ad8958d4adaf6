"""`HubState`: all that a hub remembers."""

from __future__ import annotations

from dataclasses import dataclass

from transferhub.state.base import Fleet, Ledger, Seats, TaskStore
from transferhub.state.events import Inbox
from transferhub.state.history import Logs, Samples
from transferhub.state.notices import ChannelStore, Outbox
from transferhub.state.people import Audit, People, Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedState:
    """What all processes of a hub share."""

    ledger: Ledger
    tasks: TaskStore
    seats: Seats
    fleet: Fleet
    audit: Audit
    vault: Vault
    inbox: Inbox
    samples: Samples
    logs: Logs


@dataclass(frozen=True, slots=True, kw_only=True)
class HubState(SharedState):
    """With what its servers need alone: who may come, and whom they tell."""

    people: People
    channels: ChannelStore
    outbox: Outbox
