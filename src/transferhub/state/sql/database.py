"""`Database`: a database with the one thread that talks to it."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Self, TypeVar

from transferhub.state.sql.connection import Connection
from transferhub.state.sql.drivers import Driver, driver_of
from transferhub.state.sql.faults import is_lost, is_repeatable, state_error
from transferhub.state.sql.migrate import migrate
from transferhub.state.sql.session import Session
from transferhub.state.sql.url import parse_url

Result = TypeVar("Result")

_TRIES = 5
_PAUSES = (0.1, 0.3, 1.0, 3.0, 5.0)
"""Seconds that a server is given to come back: a restart takes a few."""


class Database:
    """Runs transactions one after the other, away from the event loop.

    Many processes may share a database; each opens its own.
    """

    def __init__(self, driver: Driver, pauses: Sequence[float]) -> None:
        """Args:
        pauses: seconds before each new try to reach a server that is away.
        """
        self._driver = driver
        self._pauses = pauses
        self._slot = random.randrange(driver.dialect.slots)
        self._connection: Connection | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="state")

    @classmethod
    async def open(cls, url: str, pauses: Sequence[float] = _PAUSES) -> Self:
        """Opens `sqlite:///path` or `postgresql://user@host/name`, its tables up to date.

        Raises:
            InputError: the URL names no database that we know.
            StateError: the database cannot be used.
        """
        database = cls(driver_of(parse_url(url)), pauses)
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
        await asyncio.get_running_loop().run_in_executor(self._thread, self._disconnect)
        self._thread.shutdown(wait=False)

    async def _call(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _migrate(self) -> None:
        try:
            migrate(self._driver, self._connected())
        except self._driver.error as error:
            raise state_error(error, self._driver.url) from error

    def _transact(self, work: Callable[[Session], Result], *, write: bool) -> Result:
        tries, pauses = 1, iter(self._pauses)
        while True:
            try:
                return self._transact_once(work, write=write)
            except self._driver.error as error:
                if is_repeatable(error) and tries < _TRIES:
                    tries += 1
                elif is_lost(error, self._driver.url) and (pause := next(pauses, 0)):
                    time.sleep(pause)
                else:
                    raise state_error(error, self._driver.url) from error

    def _transact_once(self, work: Callable[[Session], Result], *, write: bool) -> Result:
        connection, dialect = self._connected(), self._driver.dialect
        try:
            dialect.begin(connection, write=write)
            result = work(Session(connection, dialect, slot=self._slot))
            connection.commit()
        except BaseException:
            self._roll_back(connection)
            raise
        return result

    def _roll_back(self, connection: Connection) -> None:
        try:
            connection.rollback()
        except self._driver.error:
            self._disconnect()  # it is broken, and the next transaction has a new one

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = self._driver.connect()
        return self._connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
