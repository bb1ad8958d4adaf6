"""A store that tries again."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from transferhub.errors import StoreError, ThrottledError, TransientError
from transferhub.stores.base import ObjectStore
from transferhub.stores.wrapper import StoreCall, StoreWrapper, Verb

T = TypeVar("T")

log = logging.getLogger(__name__)

_TELL_SECONDS = 60.0

CONTROL_VERBS = frozenset(
    {
        Verb.CHECK,
        Verb.LIST,
        Verb.HEAD,
        Verb.DELETE,
        Verb.COMPLETE_UPLOAD,
        Verb.ABORT_UPLOAD,
        Verb.LIST_PARTS,
        Verb.LIST_UPLOADS,
        Verb.GET_TAGS,
        Verb.PUT_TAGS,
    }
)
"""The verbs of the control plane. The copy of an object's bytes is retried by the ledger, and so is
`create_upload`: every answer that is lost would leave an upload whose id nobody knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often and how patiently.

    Attributes:
        attempts: calls in all, the first one included.
        first: longest wait before the second attempt; it doubles from attempt to attempt.
        most: longest wait before any attempt.
        within: no attempt starts later than this after the first one.
        patience: how long an endpoint may ask to slow down, or not be there at all, before such
            attempts count. `check` has none with one that is not there: who waits for it wants to
            hear of a wrong endpoint. With patience, attempts to list count by time alone: nothing
            else tries them again, and a run would end with them.
    """

    attempts: int = 5
    first: timedelta = timedelta(milliseconds=250)
    most: timedelta = timedelta(seconds=10)
    within: timedelta = timedelta(minutes=1)
    patience: timedelta = timedelta(0)

    def gives_up(self, verb: Verb, error: StoreError, failures: int, seconds: float) -> bool:
        """Whether `error` is the end after so many failures, the next attempt being `seconds` after
        the first."""
        throttled = isinstance(error, ThrottledError)
        away = error.code == "unreachable" and verb is not Verb.CHECK
        within = max(self.patience, self.within) if throttled or away else self.within
        waits = bool(self.patience) and (throttled or away or verb is Verb.LIST)
        return seconds > within.total_seconds() or (not waits and failures >= self.attempts)

    def wait_seconds(self, failures: int, luck: float) -> float:
        """The wait after so many failures; `luck` in [0, 1) spreads it over the upper half."""
        ceiling = min(self.first * (1 << min(failures - 1, 20)), self.most).total_seconds()
        return ceiling * (1 + luck) / 2


class RetryingStore(StoreWrapper):
    """Retries ThrottledError and TransientError of the given verbs; every other error at once.

    A retried `complete_upload` whose first answer was lost ends in NotFoundError "no_upload", as
    the port says.
    """

    def __init__(
        self,
        inner: ObjectStore,
        *,
        verbs: frozenset[Verb] = CONTROL_VERBS,
        policy: RetryPolicy | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        luck: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(inner)
        self._verbs = verbs
        self._policy = policy or RetryPolicy()
        self._sleep = sleep
        self._luck = luck
        self._clock = clock
        self._told_at = float("-inf")

    async def call(self, call: StoreCall, operation: Callable[[], Awaitable[T]]) -> T:
        if call.verb not in self._verbs:
            return await operation()
        started = self._clock()
        failures = 0
        while True:
            try:
                return await operation()
            except (ThrottledError, TransientError) as error:
                failures += 1
                wait = self._policy.wait_seconds(failures, self._luck())
                seconds = self._clock() + wait - started
                if self._policy.gives_up(call.verb, error, failures, seconds):
                    raise
                if failures == self._policy.attempts:
                    self._tell(error)
            await self._sleep(wait)

    def _tell(self, error: StoreError) -> None:
        """Once a minute, that only patience makes it go on."""
        if self._clock() - self._told_at > _TELL_SECONDS:
            self._told_at = self._clock()
            log.warning("still waiting: %s", error.message, extra={"action": "store_waited_for"})

    async def delete(self, keys: Sequence[str]) -> Mapping[str, StoreError]:
        """As the port says; only the keys that failed for a passing reason are tried again."""
        batch = _DeleteBatch(self.inner, keys)
        try:
            return await self.call(
                StoreCall(verb=Verb.DELETE, key=next(iter(keys), "")), batch.attempt
            )
        except _StillFailingError:
            return batch.failed


class _StillFailingError(TransientError):
    """Some keys of a delete failed for a passing reason."""


class _DeleteBatch:
    """A delete that forgets, from attempt to attempt, the keys that are dealt with."""

    def __init__(self, store: ObjectStore, keys: Sequence[str]) -> None:
        self._store = store
        self._keys = keys
        self.failed: dict[str, StoreError] = {}

    async def attempt(self) -> Mapping[str, StoreError]:
        failed = await self._store.delete(self._keys)
        for key in self._keys:
            self.failed.pop(key, None)
        self.failed.update(failed)
        self._keys = [
            key
            for key, error in failed.items()
            if isinstance(error, ThrottledError | TransientError)
        ]
        if self._keys:
            raise _StillFailingError(f"{len(self._keys)} keys could not be deleted yet")
        return self.failed
