"""A store that fails on purpose, for tests."""

from __future__ import annotations

import copy
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import md5
from typing import Protocol, TypeVar, assert_never, cast

from transferhub.errors import StoreError, TransientError
from transferhub.model.objects import Attributes, WriteOptions
from transferhub.stores.base import ObjectReader, ObjectStore
from transferhub.stores.wrapper import ReaderWrapper, StoreCall, StoreWrapper, Verb

T = TypeVar("T")

Change = Callable[[ObjectStore, str], Awaitable[None]]
"""Changes an object of a store behind the back of those who use it."""


async def rewrite(store: ObjectStore, key: str) -> None:
    """Puts another body under `key`, one byte longer than the one that is there."""
    async with store.get(key) as reader:
        body = await reader.read() + b"!"
    digest = md5(body, usedforsecurity=False).digest()
    await store.put(key, body, attributes=Attributes(), options=WriteOptions(), md5=digest)


async def vanish(store: ObjectStore, key: str) -> None:
    """Deletes the object."""
    await store.delete([key])


class FaultKind(StrEnum):
    BEFORE = "before"  # the error, and nothing was done
    AFTER = "after"  # it was done, then the error: the answer was lost
    TRUNCATE = "truncate"  # a get whose body ends early
    CHANGE = "change"  # the object changes, then the call goes on


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault, and the calls that it strikes.

    Attributes:
        verb: None is every verb.
        key: "" is every key; of LIST it is the prefix, of DELETE the first key.
        kind: when and how it strikes.
        error: what is raised.
        skip: so many matching calls pass first.
        times: so many are struck then.
        keep: TRUNCATE lets so many bytes pass before `error`.
        change: what CHANGE does to the key, in the wrapped store.
    """

    verb: Verb | None = None
    key: str = ""
    kind: FaultKind = FaultKind.BEFORE
    error: StoreError = field(default_factory=lambda: TransientError("a fault made for a test"))
    skip: int = 0
    times: int = 1
    keep: int = 0
    change: Change = rewrite

    def matches(self, call: StoreCall) -> bool:
        if self.kind is FaultKind.TRUNCATE and call.verb is not Verb.GET:
            return False
        return self.verb in (None, call.verb) and self.key in ("", call.key)


class FaultPlan(Protocol):
    def strike(self, call: StoreCall) -> Fault | None:
        """The fault of this call, or None. Asked once for every call."""


class ScriptedFaults:
    """Strikes as its faults say; where several match a call, the first that is not spent."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self._lines = [_Line(fault) for fault in faults]

    @property
    def spent(self) -> bool:
        """True where every fault has struck as often as it should."""
        return all(line.left == 0 for line in self._lines)

    def strike(self, call: StoreCall) -> Fault | None:
        for line in self._lines:
            if line.fault.matches(call) and line.due():
                return line.fault
        return None


class _Line:
    """One fault of a script, and how often it passed and struck."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.left = fault.times
        self._to_skip = fault.skip

    def due(self) -> bool:
        if self._to_skip:
            self._to_skip -= 1
            return False
        if not self.left:
            return False
        self.left -= 1
        return True


class SeededFaults:
    """Strikes a share of the calls, the same ones for the same seed and order of calls."""

    def __init__(
        self,
        seed: int,
        share: float,
        *,
        faults: Sequence[Fault] = (Fault(), Fault(kind=FaultKind.AFTER)),
    ) -> None:
        self._random = random.Random(seed)
        self._share = share
        self._faults = faults

    def strike(self, call: StoreCall) -> Fault | None:
        if self._random.random() >= self._share:
            return None
        matching = [fault for fault in self._faults if fault.matches(call)]
        return self._random.choice(matching) if matching else None


class FaultyStore(StoreWrapper):
    """Fails as its plan says.

    Attributes:
        calls: every call so far, in the order in which they began.
    """

    def __init__(
        self,
        inner: ObjectStore,
        plan: FaultPlan,
        *,
        latency: Callable[[StoreCall], Awaitable[None]] | None = None,
    ) -> None:
        """Args:
        latency: awaited before every call; it decides how long that takes.
        """
        super().__init__(inner)
        self.calls: list[StoreCall] = []
        self._plan = plan
        self._latency = latency

    async def call(self, call: StoreCall, operation: Callable[[], Awaitable[T]]) -> T:
        self.calls.append(call)
        if self._latency is not None:
            await self._latency(call)
        fault = self._plan.strike(call)
        if fault is None:
            return await operation()
        match fault.kind:
            case FaultKind.BEFORE:
                raise copy.copy(fault.error)
            case FaultKind.AFTER:
                await operation()
                raise copy.copy(fault.error)
            case FaultKind.TRUNCATE:
                # Only GET is struck so, and what a GET enters through `call` is its reader.
                reader = cast("ObjectReader", await operation())
                return cast("T", _TruncatedReader(reader, fault))
            case FaultKind.CHANGE:
                await fault.change(self.inner, call.key)
                return await operation()
            case _:
                assert_never(fault.kind)


class _TruncatedReader(ReaderWrapper):
    def __init__(self, inner: ObjectReader, fault: Fault) -> None:
        super().__init__(inner)
        self._fault = fault

    async def read(self) -> bytes:
        raise copy.copy(self._fault.error)

    async def chunks(self) -> AsyncIterator[bytes]:
        left = self._fault.keep
        async for chunk in self.inner.chunks():
            if left > 0:
                yield chunk[:left]
            left -= len(chunk)
            if left <= 0:
                break
        raise copy.copy(self._fault.error)
