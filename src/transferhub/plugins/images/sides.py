"""The registries of a task, opened as they are needed."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Protocol

from transferhub.engine.retry import FATAL_CODES
from transferhub.errors import StoreError
from transferhub.registries.base import Registry
from transferhub.registries.repositories import Repositories
from transferhub.registries.requests import RegistryConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRegistry:
    """A registry, and how it is reached.

    Attributes:
        config: with the host that answers, for a tool that carries blobs.
    """

    registry: Registry
    repositories: Repositories
    config: RegistryConfig

    async def aclose(self) -> None:
        await self.repositories.aclose()
        await self.registry.aclose()


class OpenSide(Protocol):
    """Opens a registry of one side of a task; asked once for each host."""

    async def __call__(self, host: str, /) -> OpenRegistry:
        """The registry, which the caller closes.

        Args:
            host: as image references have it, "docker.io" among them; "" is the location's own.

        Raises:
            StoreError, InputError
        """


class Side:
    """One side of a task: one registry, or for `public` one for each host."""

    def __init__(self, open_side: OpenSide, *, public: bool = False) -> None:
        self._open = open_side
        self._public = public
        self._opened: dict[str, OpenRegistry] = {}
        self._opening = asyncio.Lock()

    async def at(self, host: str = "") -> OpenRegistry:
        """Raises:
        StoreError: of a public registry never one that ends a run: other registries go on.
        """
        key = host if self._public else ""
        if key not in self._opened:
            async with self._opening:
                if key not in self._opened:
                    self._opened[key] = await self._opened_at(key)
        return self._opened[key]

    @property
    def opened(self) -> dict[str, OpenRegistry]:
        """Those that were needed, by host; "" is the location's own."""
        return dict(self._opened)

    async def _opened_at(self, host: str) -> OpenRegistry:
        if not self._public:
            return await self._open(host)
        try:
            found = await self._open(host)
            try:
                await found.registry.check()
            except BaseException:
                await found.aclose()
                raise
        except StoreError as error:
            if error.code in FATAL_CODES:
                error.code = "denied"
            raise
        return found

    async def aclose(self) -> None:
        async with AsyncExitStack() as scope:
            for opened in self._opened.values():
                scope.push_async_callback(opened.aclose)
            self._opened.clear()
