"""`SqlAdapters`: a state in a database."""

from __future__ import annotations

from contextlib import AsyncExitStack

from transferhub.hosts.hub_state import HubState, SharedState
from transferhub.state.base import Ledger, TaskStore
from transferhub.state.sql import SqlLedger, SqlTaskStore
from transferhub.state.sql.database import Database


class SqlAdapters:
    """The `Adapters` of a database. The ledger has a connection of its own: what people look at
    must not wait for long lists of transfers."""

    def __init__(self, url: str, stack: AsyncExitStack) -> None:
        self._url = url
        self._stack = stack
        self._ledger: Ledger | None = None
        self._database: Database | None = None

    async def ledger(self) -> Ledger:
        if self._ledger is None:
            self._ledger = await SqlLedger.open(self._url)
            self._stack.push_async_callback(self._ledger.aclose)
        return self._ledger

    async def tasks(self) -> TaskStore:
        return SqlTaskStore(await self._opened())

    async def shared(self) -> SharedState:
        return await self.whole()

    async def whole(self) -> HubState:
        from transferhub.hosts import sql_hub  # noqa: PLC0415 - a transfer needs none of it

        return sql_hub.hub_state(await self.ledger(), await self._opened())

    async def _opened(self) -> Database:
        if self._database is None:
            self._database = await Database.open(self._url)
            self._stack.push_async_callback(self._database.aclose)
        return self._database
