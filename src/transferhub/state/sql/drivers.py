"""How each database is reached."""

from __future__ import annotations

import sqlite3
from typing import ClassVar, Protocol

from transferhub.errors import StateError
from transferhub.state.sql.connection import Connection
from transferhub.state.sql.dialects import Dialect, PostgresDialect, SqliteDialect
from transferhub.state.sql.url import DatabaseUrl

_SQLITE_NEEDED = (3, 38)  # UPDATE FROM, RETURNING and the JSON functions, built in
_BUSY_SECONDS = 30
_CONNECT_SECONDS = 10
_PRAGMAS = (
    # Readers and the writer do not wait for each other, and only checkpoints wait for the disk.
    # A killed process loses nothing. A machine that loses power may lose its last transactions,
    # never a part of one: what they recorded is found, or copied, again.
    "PRAGMA synchronous = NORMAL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA cache_size = -16384",  # KiB
    "PRAGMA wal_autocheckpoint = 4000",  # pages: 16 MiB
)


class Driver(Protocol):
    """Opens connections to one database.

    Attributes:
        error: what each error of the database is.
    """

    dialect: ClassVar[Dialect]
    url: DatabaseUrl
    error: type[Exception]

    def connect(self) -> Connection: ...


def driver_of(url: DatabaseUrl) -> Driver:
    """Raises StateError, code "state_driver", where this Python cannot reach such a database."""
    return SqliteDriver(url) if url.is_sqlite else PostgresDriver(url)


class SqliteDriver:
    dialect: ClassVar[Dialect] = SqliteDialect()

    def __init__(self, url: DatabaseUrl) -> None:
        if sqlite3.sqlite_version_info < _SQLITE_NEEDED:
            raise StateError(
                f"This Python has SQLite {sqlite3.sqlite_version}; the state needs 3.38 or newer.",
                code="state_driver",
            )
        self.url = url
        self.error: type[Exception] = sqlite3.Error

    def connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.url.target or ":memory:",
            timeout=_BUSY_SECONDS,
            # Begin and commit are ours: the module's own rules would begin transactions as readers.
            isolation_level=None,
            # Opened and closed in the one thread of its database, but collected in any.
            check_same_thread=False,
        )
        try:
            for pragma in _PRAGMAS:
                connection.execute(pragma)
        except BaseException:
            connection.close()
            raise
        return connection


class PostgresDriver:
    dialect: ClassVar[Dialect] = PostgresDialect()

    def __init__(self, url: DatabaseUrl) -> None:
        try:
            import psycopg  # noqa: PLC0415 - an extra, which one machine does not need
        except ImportError as error:
            raise StateError(
                f"The state in {url.place} needs the PostgreSQL driver: "
                'pip install "data-transfer-hub[postgresql]".',
                code="state_driver",
            ) from error
        self.url = url
        self.error: type[Exception] = psycopg.Error
        self._psycopg = psycopg

    def connect(self) -> Connection:
        connection = self._psycopg.connect(
            self.url.target,
            connect_timeout=_CONNECT_SECONDS,
            application_name="data-transfer-hub",
        )
        try:
            # Every statement finds its rows in the order of one index. Before a large new table is
            # analysed, the planner would rather collect and sort all of them, for each page anew.
            connection.execute("SET enable_bitmapscan = off")
            connection.commit()
        except BaseException:
            connection.close()
            raise
        return connection
