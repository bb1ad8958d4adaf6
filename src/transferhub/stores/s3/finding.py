"""A bucket whose region nobody gave."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

from transferhub.errors import InputError
from transferhub.stores.base import ObjectReader, ObjectStore
from transferhub.stores.s3.errors import WrongRegionError
from transferhub.stores.wrapper import StoreCall, StoreWrapper

T = TypeVar("T")


class RegionFindingStore(StoreWrapper):
    """Opens the bucket once more, in its own region, when the server names that."""

    def __init__(self, opened: ObjectStore, reopen: Callable[[str], ObjectStore]) -> None:
        """Args:
        opened: in a region that was assumed.
        reopen: opens the bucket in the region that it is given.
        """
        super().__init__(opened)
        self._reopen = reopen
        self._left: ObjectStore | None = None
        self._found = False
        self._moving = asyncio.Lock()

    async def call(self, call: StoreCall, operation: Callable[[], Awaitable[T]]) -> T:
        asked = self.inner
        try:
            result = await operation()
        except WrongRegionError as error:
            async with self._moving:
                if self.inner is asked:
                    self._move(error)
            result = await operation()
        self._found = True
        return result

    def get(
        self, key: str, *, offset: int = 0, length: int | None = None, if_match: str = ""
    ) -> AbstractAsyncContextManager[ObjectReader]:
        # Once it is found, the many reads of small objects are spared the detour.
        get = self.inner.get if self._found else super().get
        return get(key, offset=offset, length=length, if_match=if_match)

    def _move(self, error: WrongRegionError) -> None:
        if self._left is not None or not error.region:
            raise error
        try:
            found = self._reopen(error.region)
        except InputError:
            # What the server gave is not the name of a region.
            raise error from None
        self._left, self.inner = self.inner, found

    async def aclose(self) -> None:
        await self.inner.aclose()
        if self._left is not None:
            await self._left.aclose()
