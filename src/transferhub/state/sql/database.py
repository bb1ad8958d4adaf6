"""`Database`: a database with the one thread that talks to it."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Self, TypeVar

from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from transferhub.errors import InputError, StateError
from transferhub.state.sql.dialects import Dialect, PostgresDialect, SqliteDialect
from transferhub.state.sql.faults import is_lost, is_repeatable, place, state_error
from transferhub.state.sql.migrate import migrate
from transferhub.state.sql.session import Session

Result = TypeVar("Result")

_SQLITE_NEEDED = (3, 38)  # UPDATE FROM, RETURNING and the JSON functions, built in
_BUSY_SECONDS = 30
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
_TRIES = 5
_PAUSES = (0.1, 0.3, 1.0, 3.0, 5.0)
"""Seconds that a server is given to come back: a restart takes a few."""


class Database:
    """Runs transactions one after the other, away from the event loop.

    Many processes may share a database; each opens its own.
    """

    def __init__(self, engine: Engine, dialect: Dialect, pauses: Sequence[float]) -> None:
        """Args:
        pauses: seconds before each new try to reach a server that is away.
        """
        self._engine = engine
        self._dialect = dialect
        self._pauses = pauses
        self._slot = random.randrange(dialect.slots)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="state")

    @classmethod
    async def open(cls, url: str, pauses: Sequence[float] = _PAUSES) -> Self:
        """Opens `sqlite:///path` or `postgresql://user@host/name`, its tables up to date.

        Raises:
            InputError: the URL names no database that we know.
            StateError: the database cannot be used.
        """
        parsed = parse_url(url)
        if parsed.get_backend_name() == "sqlite":
            database = cls(_sqlite_engine(parsed), SqliteDialect(), pauses)
        else:
            database = cls(_postgres_engine(parsed), PostgresDialect(), pauses)
        try:
            await database._call(database._migrate)
        except BaseException:
            await database.aclose()
            raise
        return database

    async def read(self, work: Callable[[Session], Result]) -> Result:
        """Runs `work` on one state of the database."""
        return await self._call(lambda: self._transact(work, write=False))

    async def write(self, work: Callable[[Session], Result]) -> Result:
        """Runs `work` and commits what it wrote; where it raises, nothing was written.

        `work` may be run more than once; also after a commit whose answer was lost.
        """
        return await self._call(lambda: self._transact(work, write=True))

    async def aclose(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._engine.dispose)
        self._thread.shutdown(wait=False)

    async def _call(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _migrate(self) -> None:
        try:
            migrate(self._engine)
        except SQLAlchemyError as error:
            raise state_error(error, self._engine.url) from error

    def _transact(self, work: Callable[[Session], Result], *, write: bool) -> Result:
        tries, pauses = 1, iter(self._pauses)
        while True:
            try:
                with self._engine.connect() as connection:
                    self._dialect.begin(connection, write=write)
                    result = work(Session(connection, self._dialect, slot=self._slot))
                    connection.commit()
                    return result
            except SQLAlchemyError as error:
                if is_repeatable(error) and tries < _TRIES:
                    tries += 1
                elif is_lost(error, self._engine.url) and (pause := next(pauses, 0)):
                    time.sleep(pause)
                else:
                    raise state_error(error, self._engine.url) from error


def parse_url(url: str) -> URL:
    """Raises InputError."""
    scheme, _, rest = url.partition("://")
    if scheme == "sqlite":
        # The rest is a path to the letter: `?` and `%` are characters of it.
        return URL.create("sqlite", database=rest.removeprefix("/") or None)
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() in ("postgresql", "postgres"):
            return parsed.set(drivername="postgresql+psycopg")
    except (ArgumentError, NoSuchModuleError):
        pass
    raise InputError("database", "is neither sqlite:///PATH nor postgresql://USER@HOST/NAME")


def _sqlite_engine(url: URL) -> Engine:
    if sqlite3.sqlite_version_info < _SQLITE_NEEDED:
        raise StateError(
            f"This Python has SQLite {sqlite3.sqlite_version}; the state needs 3.38 or newer.",
            code="state_driver",
        )
    engine = create_engine(
        url,
        poolclass=QueuePool,
        pool_size=1,
        max_overflow=0,
        # Opened and closed in the one thread, but collected in any.
        connect_args={"timeout": _BUSY_SECONDS, "check_same_thread": False},
    )
    event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    # Begin and commit are ours: the module's own rules would begin transactions as readers.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def _postgres_engine(url: URL) -> Engine:
    try:
        engine = create_engine(
            url,
            pool_size=1,
            max_overflow=0,
            # A server that was restarted is met with a new connection, not with an error.
            pool_pre_ping=True,
            connect_args={"connect_timeout": 10, "application_name": "data-transfer-hub"},
        )
    except ImportError as error:
        raise StateError(
            f"The state in {place(url)} needs the PostgreSQL driver: "
            'pip install "data-transfer-hub[postgresql]".',
            code="state_driver",
        ) from error
    event.listen(engine, "connect", _prepare_postgres)
    return engine


def _prepare_postgres(connection: DBAPIConnection, _record: object) -> None:
    # Every statement finds its rows in the order of one index. Before a large new table is
    # analysed, the planner would rather collect and sort all of them, for each page anew.
    cursor = connection.cursor()
    cursor.execute("SET enable_bitmapscan = off")
    cursor.close()
    connection.commit()
