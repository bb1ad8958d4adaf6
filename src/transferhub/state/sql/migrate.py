"""Brings the tables up to date, whoever starts first."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from transferhub.state.sql.connection import Connection
from transferhub.state.sql.drivers import Driver
from transferhub.state.sql.revision import HEAD, MARK_AS_HEAD, is_usable, stored_revision

TABLES = Path(__file__).with_name("sqlite.sql")
"""The tables of a new SQLite file; see `script`."""

_WAL_TRIES = 100


def migrate(driver: Driver, connection: Connection) -> None:
    """Creates or upgrades the tables. Processes that start together wait for the first one.

    Raises:
        StateError: a newer version of the program wrote them, in a way that this one cannot use.
    """
    if driver.url.is_sqlite:
        _use_wal(connection)
    revision = stored_revision(connection, driver.dialect)
    usable = is_usable(connection, driver.dialect, revision)
    connection.rollback()
    if revision is None and driver.url.is_sqlite:
        usable = _create(driver, connection)
    if not usable:
        # SQLAlchemy takes a tenth of a second to load and Alembic a third; hardly any start needs
        # them.
        from transferhub.state.sql.upgrades import bring_up_to_date  # noqa: PLC0415

        bring_up_to_date(driver)


def _create(driver: Driver, connection: Connection) -> bool:
    """Whether the tables can be used: another process may have made them meanwhile."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        revision = stored_revision(connection, driver.dialect)
        if revision is None:
            for statement in (*TABLES.read_text().split(";\n"), *MARK_AS_HEAD):
                connection.execute(statement)
            revision = HEAD
        usable = is_usable(connection, driver.dialect, revision)
        connection.commit()
    except BaseException:
        connection.rollback()
        raise
    return usable


def _use_wal(connection: Connection) -> None:
    """Write-ahead logging is a property of the file, so most starts find it set."""
    for _ in range(_WAL_TRIES):
        try:
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as error:
            # SQLite does not wait for the lock that this change needs.
            if "locked" not in str(error):
                raise
            time.sleep(0.05)
            continue
        if mode in ("wal", "memory"):
            return
