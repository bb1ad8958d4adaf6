"""Opens the ledger and the task store of a database URL."""

from __future__ import annotations

from pathlib import Path

from transferhub.engine.folders import writing
from transferhub.hosts.settings import Settings
from transferhub.state.base import Ledger, TaskStore
from transferhub.state.sql import SqlLedger, SqlTaskStore


def make_folder(folder: Path) -> None:
    """Makes the state folder; raises StateError where it cannot be made."""
    with writing("the state folder", folder):
        folder.mkdir(parents=True, exist_ok=True)


def database_url(settings: Settings) -> str:
    """The database of the settings: SQLite in the state folder where none is named."""
    return settings.database or f"sqlite:///{settings.state / 'dth.sqlite3'}"


async def open_ledger(url: str) -> Ledger:
    """Raises StateError where the database cannot be used."""
    return await SqlLedger.open(url)


async def open_task_store(url: str) -> TaskStore:
    """Raises StateError where the database cannot be used."""
    return await SqlTaskStore.open(url)
