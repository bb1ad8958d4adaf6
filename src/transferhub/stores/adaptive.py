"""A store that asks for less when it is told to slow down."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypeVar

from transferhub.errors import StoreError, ThrottledError
from transferhub.stores.base import ObjectReader, ObjectStore
from transferhub.stores.wrapper import StoreCall, StoreWrapper

T = TypeVar("T")

log = logging.getLogger(__name__)

_COOL_SECONDS = 1.0
"""Answers of requests that were sent before the last decrease say nothing new."""


class AdaptiveLimit:
    """Requests under way at one endpoint: additive increase, multiplicative decrease.

    Starts at `most`, halves when it is told of a throttled request (once a second at most), and
    grows by one for each `limit` successes.
    """

    def __init__(self, most: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.most = most
        self.limit = float(most)
        self.busy = 0
        self._clock = clock
        self._decreased_at = float("-inf")
        self._waiting: deque[asyncio.Future[None]] = deque()

    def set_most(self, most: int) -> None:
        """Changes the most; a larger one is grown into."""
        self.most = most
        self.limit = min(self.limit, float(most))

    async def enter(self) -> None:
        if self.busy < self.limit and not self._waiting:
            self.busy += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave()
            raise

    def leave(self) -> None:
        self.busy -= 1
        while self._waiting and self.busy < self.limit:
            turn = self._waiting.popleft()
            if not turn.done():
                self.busy += 1
                turn.set_result(None)

    def succeeded(self) -> None:
        if self.limit < self.most:
            self.limit = min(self.most, self.limit + 1 / self.limit)

    def throttled(self) -> bool:
        """Returns whether it halved."""
        now = self._clock()
        if now - self._decreased_at < _COOL_SECONDS:
            return False
        self._decreased_at = now
        self.limit = max(1.0, self.limit / 2)
        return True


class AdaptiveStore(StoreWrapper):
    """Holds every request, and every open body, to an AdaptiveLimit."""

    def __init__(self, inner: ObjectStore, limit: AdaptiveLimit) -> None:
        super().__init__(inner)
        self._limit = limit

    async def call(self, call: StoreCall, operation: Callable[[], Awaitable[T]]) -> T:
        await self._limit.enter()
        try:
            result = await operation()
        except ThrottledError:
            self._slow_down()
            raise
        finally:
            self._limit.leave()
        self._limit.succeeded()
        return result

    def _slow_down(self) -> None:
        if self._limit.throttled():
            log.info(
                "%s asks to slow down: %d requests at once from now on",
                self.location,
                self._limit.limit,
                extra={"action": "slowed_down", "limit": int(self._limit.limit)},
            )

    @asynccontextmanager
    async def get(
        self, key: str, *, offset: int = 0, length: int | None = None, if_match: str = ""
    ) -> AsyncIterator[ObjectReader]:
        opening = self.inner.get(key, offset=offset, length=length, if_match=if_match)
        await self._limit.enter()
        try:
            async with AsyncExitStack() as stack:
                try:
                    reader = await stack.enter_async_context(opening)
                except ThrottledError:
                    self._limit.throttled()
                    raise
                self._limit.succeeded()
                # What is raised in the scope may well be another store's.
                yield reader
        finally:
            self._limit.leave()

    async def delete(self, keys: Sequence[str]) -> Mapping[str, StoreError]:
        failed = await super().delete(keys)
        if any(isinstance(error, ThrottledError) for error in failed.values()):
            self._limit.throttled()
        return failed
