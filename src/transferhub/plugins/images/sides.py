"""The registries of a task, opened as they are needed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Protocol

from transferhub.engine.retry import PATIENT_CODES
from transferhub.errors import StoreError
from transferhub.registries.base import Registry
from transferhub.registries.repositories import Repositories
from transferhub.registries.requests import RegistryConfig

_FRESH_S = 60.0
"""For so long a registry of `public` that could not be opened is not tried again: it was, for as
long as patience lasts, and others of its images ask too."""


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
        self._failures: dict[str, tuple[float, StoreError]] = {}
        self._opening: dict[str, asyncio.Lock] = {}

    @property
    def opened(self) -> Mapping[str, OpenRegistry]:
        """Those that were needed, by host; "" is the location's own."""
        return self._opened

    async def at(self, host: str = "") -> OpenRegistry:
        """Raises:
        StoreError, InputError: it cannot be opened; one of `public` does also not let us in.
        """
        key = host if self._public else ""
        if key not in self._opened:
            async with self._opening.setdefault(key, asyncio.Lock()):
                if key not in self._opened:
                    self._opened[key] = await self._opened_at(key)
        return self._opened[key]

    async def _opened_at(self, host: str) -> OpenRegistry:
        if not self._public:
            return await self._open(host)
        failed_at, failure = self._failures.get(host, (0.0, None))
        if failure is not None and time.monotonic() - failed_at < _FRESH_S:
            raise failure
        try:
            return await self._checked(await self._open(host))
        except StoreError as error:
            if error.code in PATIENT_CODES:
                # The others go on, so that a run is not to wait for this one.
                error.code = error.default_code
            self._failures[host] = (time.monotonic(), error)
            raise

    async def _checked(self, opened: OpenRegistry) -> OpenRegistry:
        try:
            await opened.registry.check()
        except BaseException:
            await opened.aclose()
            raise
        return opened

    async def aclose(self) -> None:
        async with AsyncExitStack() as scope:
            for opened in self._opened.values():
                scope.push_async_callback(opened.aclose)
            self._opened.clear()
