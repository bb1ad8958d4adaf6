"""How much is asked of one registry at once."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from transferhub.stores.adaptive import AdaptiveLimit
from transferhub.stores.throttled import TokenBucket


class RestingError(Exception):
    """The registry wants to be left alone. Stays inside the adapter."""


class Gate:
    """Lets so many requests be under way, fewer after the registry asked to slow down, and none
    while it wants to be left alone."""

    def __init__(self, most: int, rate: TokenBucket | None) -> None:
        self._limit = AdaptiveLimit(most)
        self._rate = rate
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
            if self._rate is not None:
                await self._rate.take(1)
            if self.rest_seconds:
                raise RestingError
            yield
        finally:
            self._limit.leave()

    def succeeded(self) -> None:
        self._limit.succeeded()

    def throttled(self, rest: float) -> None:
        """Args:
        rest: seconds that it is to be left alone.
        """
        self._limit.throttled()
        self._rests_until = max(self._rests_until, time.monotonic() + rest)
