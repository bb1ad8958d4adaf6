"""A store that logs what it is asked."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TypeVar

from transferhub.errors import NotFoundError, StoreError
from transferhub.stores.base import ObjectReader, ObjectStore
from transferhub.stores.wrapper import ReaderWrapper, StoreCall, StoreWrapper

T = TypeVar("T")

LOGGER_NAME = "transferhub.stores"


class LoggedStore(StoreWrapper):
    """Logs one record for every call, and one for every body that is read; never bodies or secrets.

    A record carries `action` ("store.<verb>", and "store.read" for a body), `store`, `verb`, `key`,
    `seconds` and `outcome`: "ok", "cancelled" (also a body that is left early), or the code of the
    error, with which come `status` and `request_id`. Failures are warnings, save a missing object,
    which is an answer like any other.
    """

    def __init__(
        self,
        inner: ObjectStore,
        *,
        logger: logging.Logger | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(inner)
        self._logger = logger or logging.getLogger(LOGGER_NAME)
        self._clock = clock

    async def call(self, call: StoreCall, operation: Callable[[], Awaitable[T]]) -> T:
        with self._timed(call, call.verb):
            return await operation()

    def reader(self, call: StoreCall, reader: ObjectReader) -> ObjectReader:
        return _LoggedReader(reader, lambda: self._timed(call, "read"))

    @contextmanager
    def _timed(self, call: StoreCall, name: str) -> Iterator[None]:
        started = self._clock()
        try:
            yield
        except StoreError as error:
            self._log(call, name, started, error.code, error)
            raise
        except (asyncio.CancelledError, GeneratorExit):
            self._log(call, name, started, "cancelled")
            raise
        else:
            self._log(call, name, started, "ok")

    def _log(
        self,
        call: StoreCall,
        name: str,
        started: float,
        outcome: str,
        error: StoreError | None = None,
    ) -> None:
        quiet = error is None or isinstance(error, NotFoundError)
        level = logging.DEBUG if quiet else logging.WARNING
        if not self._logger.isEnabledFor(level):
            return
        fields: dict[str, object] = {
            "action": f"store.{name}",
            "store": self.location,
            "verb": call.verb.value,
            "key": call.key,
            "seconds": self._clock() - started,
            "outcome": outcome,
        }
        if error is not None:
            fields |= {"status": error.status, "request_id": error.request_id}
        # %r, because a key may hold line breaks.
        self._logger.log(level, "%s %r: %s", fields["action"], call.key, outcome, extra=fields)


class _LoggedReader(ReaderWrapper):
    def __init__(
        self, inner: ObjectReader, timed: Callable[[], AbstractContextManager[None]]
    ) -> None:
        super().__init__(inner)
        self._timed = timed

    async def read(self) -> bytes:
        with self._timed():
            return await self.inner.read()

    async def chunks(self) -> AsyncIterator[bytes]:
        with self._timed():
            async for chunk in self.inner.chunks():
                yield chunk
