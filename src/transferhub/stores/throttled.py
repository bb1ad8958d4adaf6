"""A store that keeps to a rate of requests and of bytes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from transferhub.stores.base import ObjectReader, ObjectStore
from transferhub.stores.wrapper import ReaderWrapper, StoreCall, StoreWrapper

T = TypeVar("T")

_SHORTEST_SECONDS = 1e-6
"""A debt that is paid in less counts as paid: a sum of floats need not reach zero."""

BURST_SECONDS = 0.25
"""How much of an idle time may be caught up with."""

_SLICE_SECONDS = 0.25
"""A waiter looks again this often, so that a new rate counts at once for those who already wait."""


class TokenBucket:
    """A rate that any number of stores share, in the order in which they ask.

    A request larger than the bucket is let through when the bucket is not in debt, and its debt is
    paid by those that follow: the rate holds over time, whatever the sizes.
    """

    def __init__(
        self,
        rate: float | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Args:
        rate: tokens per second; None is no limit.
        clock: monotonic seconds.
        """
        self._clock = clock
        self._sleep = sleep
        self._tokens = 0.0
        self._filled_at = clock()
        self._turn = asyncio.Lock()  # hands over first come, first served
        self._rate = _checked(rate)

    @property
    def rate(self) -> float | None:
        return self._rate

    def set_rate(self, rate: float | None) -> None:
        """Changes the rate, also for those who wait already."""
        rate = _checked(rate)
        self._refill()
        self._rate = rate

    async def take(self, tokens: int) -> None:
        """Returns when `tokens` may be used; takes none when it is cancelled."""
        if self._rate is None and not self._turn.locked():
            return
        async with self._turn:
            while (wait := self._wait_seconds()) > _SHORTEST_SECONDS:
                await self._sleep(min(wait, _SLICE_SECONDS))
            self._tokens -= tokens

    def _wait_seconds(self) -> float:
        self._refill()
        return 0.0 if self._rate is None else max(0.0, -self._tokens / self._rate)

    def _refill(self) -> None:
        now = self._clock()
        elapsed, self._filled_at = now - self._filled_at, now
        if self._rate is None:
            self._tokens = 0.0
        else:
            most = self._rate * BURST_SECONDS
            self._tokens = min(self._tokens + elapsed * self._rate, most)


def _checked(rate: float | None) -> float | None:
    if rate is not None and rate <= 0:
        raise ValueError(f"a rate is above zero, not {rate}")
    return rate


class ThrottledStore(StoreWrapper):
    """Takes a token of `requests` for every call, and one of `bandwidth` for every byte of a body.

    Bytes that are read count as well as bytes that are sent: where one limit is meant for a stream
    from one store to another, give the bucket to one of the two.
    """

    def __init__(
        self,
        inner: ObjectStore,
        *,
        requests: TokenBucket | None = None,
        bandwidth: TokenBucket | None = None,
    ) -> None:
        super().__init__(inner)
        self._requests = requests
        self._bandwidth = bandwidth

    async def call(self, call: StoreCall, operation: Callable[[], Awaitable[T]]) -> T:
        if self._requests is not None:
            await self._requests.take(1)
        if self._bandwidth is not None and call.size:
            await self._bandwidth.take(call.size)
        return await operation()

    def reader(
        self,
        call: StoreCall,
        reader: ObjectReader,
    ) -> ObjectReader:
        return reader if self._bandwidth is None else _ThrottledReader(reader, self._bandwidth)


class _ThrottledReader(ReaderWrapper):
    def __init__(self, inner: ObjectReader, bandwidth: TokenBucket) -> None:
        super().__init__(inner)
        self._bandwidth = bandwidth

    async def read(self) -> bytes:
        await self._bandwidth.take(self.length)
        return await self.inner.read()

    async def chunks(self) -> AsyncIterator[bytes]:
        async for chunk in self.inner.chunks():
            await self._bandwidth.take(len(chunk))
            yield chunk
