"""What is done to the state's database as a whole. These functions block."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from transferhub.errors import InputError, RunError
from transferhub.hosts.locks import HUB_LOCK, is_held, only_process
from transferhub.hosts.settings import Settings
from transferhub.hosts.state import StatePlace, make_folder
from transferhub.model.usage import DatabaseUse, DiskUse
from transferhub.state.sql import copies, upkeep
from transferhub.state.sql.url import DatabaseUrl, parse_url


def upgrade(settings: Settings) -> tuple[str, str | None, str]:
    """Creates or upgrades the tables; hubs and workers go on meanwhile.

    Returns:
        The database for people, and its revisions before and now.

    Raises:
        StateError: it cannot be used, or is of a newer version.
    """
    make_folder(settings.state)
    return (_url(settings).place, *upkeep.upgrade(_database_url(settings)))


def measure(settings: Settings) -> DatabaseUse:
    """Raises StateError where the database cannot be used, or is empty."""
    return upkeep.measure(_database_url(settings))


def back_up(settings: Settings, file: Path) -> int:
    """Copies the SQLite file while others work with it; the copy was found sound.

    Returns:
        Its size in bytes.

    Raises:
        InputError: the file is there already; or the database is a server's.
        StateError: the database cannot be read.
    """
    return copies.back_up(_sqlite_file(settings, "pg_dump"), file)


def restore(settings: Settings, file: Path) -> Path | None:
    """Puts a backup in the place of the SQLite file.

    Returns:
        Where the former file is kept; None where there was none.

    Raises:
        InputError: the file is no backup; or the database is a server's. Nothing was changed.
        RunError: a hub, or a transfer, works with the state.
        StateError: the state folder cannot be written.
    """
    database = _sqlite_file(settings, "pg_restore")
    make_folder(settings.state)
    with _nobody_else(settings):
        return copies.restore(file, database)


def disk_use(settings: Settings) -> DiskUse:
    """What the state takes.

    Raises:
        StateError: the database cannot be asked.
    """
    url = _database_url(settings)
    database, whole = upkeep.size(url), _size_of(settings.state)
    reports = _size_of(settings.state / "runs")
    inside = database if _url(settings).is_sqlite else 0
    return DiskUse(
        database=database,
        reports=reports,
        other=max(whole - reports - inside, 0),
        free=shutil.disk_usage(settings.state).free,
    )


def _database_url(settings: Settings) -> str:
    place = StatePlace.of(settings)
    if place.ledger:
        raise InputError(
            "ledger",
            f"the state is {place.ledger}, and no database is used; see dth aws show-state",
        )
    return place.database_url


def _url(settings: Settings) -> DatabaseUrl:
    return parse_url(_database_url(settings))


def _sqlite_file(settings: Settings, instead: str) -> Path:
    url = _url(settings)
    if not url.is_sqlite:
        raise InputError(
            "database", f"{url.place} is on a server, which has tools of its own: use {instead}"
        )
    return Path(url.target)


@contextmanager
def _nobody_else(settings: Settings) -> Iterator[None]:
    with only_process(settings.state / HUB_LOCK, f"the hub in {settings.state}"):
        for lock in (settings.state / "runs").glob("*/lock"):
            if is_held(lock):
                raise RunError(
                    f"run {lock.parent.name} is under way; wait for it, or stop it first",
                    code="already_running",
                )
        yield


def _size_of(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())
