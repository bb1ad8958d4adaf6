"""Opens the ledger and the task store of a database URL."""

from __future__ import annotations

from transferhub.hosts.settings import Settings
from transferhub.state.base import Ledger, TaskStore
from transferhub.state.sql import SqlLedger, SqlTaskStore


def database_url(settings: Settings) -> str:
    """The database of the settings: SQLite in the state folder where none is named."""
    return settings.database or f"sqlite:///{settings.state / 'dth.sqlite3'}"


async def open_ledger(url: str) -> Ledger:
    """Raises StateError where the database cannot be used."""
    return await SqlLedger.open(url)


async def open_task_store(url: str) -> TaskStore:
    """Raises StateError where the database cannot be used."""
    return await SqlTaskStore.open(url)
