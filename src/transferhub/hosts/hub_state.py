"""`HubState`: all that a hub remembers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Self

from transferhub.state.base import Fleet, Ledger, Seats, TaskStore
from transferhub.state.events import Inbox
from transferhub.state.history import Logs, Samples
from transferhub.state.notices import ChannelStore, Outbox
from transferhub.state.people import Audit, People, Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnQueue:
    """A queue of the state that work goes through, and in which stores may tell of changes.

    Attributes:
        listen: waits for messages of stores, for so long at most, and has them heard. Returns
            whether there was work: those who do it hear as well.
    """

    name: str
    listen: Callable[[timedelta], Awaitable[bool]]


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
    own_queue: OwnQueue | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PeopleState:
    """What its servers need alone: who may come, and whom they tell."""

    people: People
    channels: ChannelStore
    outbox: Outbox


@dataclass(frozen=True, slots=True, kw_only=True)
class HubState(SharedState):
    """Both."""

    people: People
    channels: ChannelStore
    outbox: Outbox

    @classmethod
    def of(cls, shared: SharedState, people: PeopleState) -> Self:
        parts = [(at.name, part) for part in (shared, people) for at in fields(part)]
        return cls(**{name: getattr(part, name) for name, part in parts})
