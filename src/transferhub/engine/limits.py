"""Bounds of what a process holds at once."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class ByteBudget:
    """Bytes in flight, handed out in order of asking.

    One that asks for more than there is at all gets everything, alone.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self.free = total
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    def resize(self, total: int) -> None:
        """Changes the whole; what is held already stays held."""
        self.free += total - self.total
        self.total = total
        self._wake()

    @asynccontextmanager
    async def hold(self, size: int) -> AsyncIterator[None]:
        size = min(size, self.total)
        await self._take(size)
        try:
            yield
        finally:
            self.free += size
            self._wake()

    async def _take(self, size: int) -> None:
        if not self._waiting and size <= self.free:
            self.free -= size
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((size, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.free += size
            self._wake()
            raise

    def _wake(self) -> None:
        while self._waiting:
            size, turn = self._waiting[0]
            if turn.cancelled():
                self._waiting.popleft()
                continue
            if min(size, self.total) > self.free:
                return
            self._waiting.popleft()
            self.free -= size
            turn.set_result(None)
