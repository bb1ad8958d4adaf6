"""Where the state is, and what opens it. No other module asks which kind it is."""

from __future__ import annotations

import os
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Protocol, Self

from transferhub.engine.folders import writing
from transferhub.hosts.hub_state import HubState, SharedState
from transferhub.hosts.settings import Settings
from transferhub.hosts.sql_state import SqlAdapters
from transferhub.state.base import Ledger, TaskStore

_FILE = "dth.sqlite3"
_PATIENCE = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class StatePlace:
    """Where the state is, for each process that opens it. It goes through pipes only.

    Attributes:
        folder: of this machine, for locks, reports and the SQLite file.
        database: URL of a database, "" for that file; may hold a password.
        ledger: aws://NAME where the state is on AWS, and no database is used; else "".
        patience: for how long AWS is asked again where it does not answer.
    """

    folder: Path
    database: str = field(default="", repr=False)
    ledger: str = ""
    patience: timedelta = _PATIENCE

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(
            folder=settings.state,
            database=settings.database,
            ledger=settings.ledger,
            patience=min(settings.patience, _PATIENCE),
        )

    @property
    def database_url(self) -> str:
        """May hold a password."""
        return self.database or f"sqlite:///{self.folder / _FILE}"

    @property
    def is_private(self) -> bool:
        """All of it is in the folder, so that one hub has it."""
        return not self.database and not self.ledger

    @property
    def is_shared(self) -> bool:
        """Other machines can open it, too."""
        return self.database.startswith("postgres") or bool(self.ledger)

    @property
    def has_roles(self) -> bool:
        """Processes have the rights of a role: workers reach no people, channels and messages."""
        return bool(self.ledger)


class Adapters(Protocol):
    """The adapters of one state's ports. Each is opened when it is asked for first, until the end
    of a stack; to open one raises StateError where the state cannot be used."""

    async def ledger(self) -> Ledger: ...
    async def tasks(self) -> TaskStore: ...
    async def shared(self) -> SharedState: ...
    async def whole(self) -> HubState: ...


def adapters_of(place: StatePlace, stack: AsyncExitStack) -> Adapters:
    """Raises InputError where the place cannot be understood."""
    if not place.ledger:
        return SqlAdapters(place.database_url, stack)
    # Loaded where there is one: most starts need no client of AWS.
    from transferhub.hosts import aws_state  # noqa: PLC0415

    connection = aws_state.open_connection(
        place.ledger, os.environ, field="ledger", patience=place.patience
    )
    return aws_state.AwsAdapters(connection, stack)


async def open_hub_state(place: StatePlace, stack: AsyncExitStack) -> HubState:
    """Opens it until `stack` ends.

    Raises:
        InputError: the place cannot be understood.
        StateError: it cannot be used.
    """
    adapters = adapters_of(place, stack)
    make_folder(place.folder)
    return await adapters.whole()


def make_folder(folder: Path) -> None:
    """Makes the state folder; raises StateError where it cannot be made."""
    with writing("the state folder", folder):
        folder.mkdir(parents=True, exist_ok=True)
