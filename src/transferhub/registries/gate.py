"""How much is asked of one registry at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from transferhub.stores.adaptive import AdaptiveLimit


class RestingError(Exception):
    """The registry wants to be left alone. Stays inside the adapter."""


class Gate:
    """Lets so many requests be under way, fewer after the registry asked to slow down, and none
    while it wants to be left alone."""

    def __init__(self, most: int, rate: float) -> None:
        """Args:
        rate: most requests a second; 0 for any.
        """
        self._limit = AdaptiveLimit(most)
        self._spacing = 1 / rate if rate else 0.0
        self._next = 0.0
        self._rests_until = 0.0

    @property
    def rest_seconds(self) -> float:
        """How long it is to be left alone from now on; 0.0 is usual."""
        return max(0.0, self._rests_until - time.monotonic())

    @asynccontextmanager
    async def entered(self) -> AsyncIterator[None]:
        """Raises:
        RestingError: nothing may be asked now.
        """
        await self._limit.enter()
        try:
            if self._spacing:
                await self._turn()
            if self.rest_seconds:
                raise RestingError
            yield
        finally:
            self._limit.leave()

    async def _turn(self) -> None:
        now = time.monotonic()
        turn = max(now, self._next)
        self._next = turn + self._spacing
        await asyncio.sleep(turn - now)

    def succeeded(self) -> None:
        self._limit.succeeded()

    def throttled(self, rest: float) -> None:
        """Args:
        rest: seconds that it is to be left alone.
        """
        self._limit.throttled()
        self._rests_until = max(self._rests_until, time.monotonic() + rest)
