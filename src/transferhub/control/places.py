"""`Places`: looks at where tasks would read and write, before they do."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, Protocol

from transferhub.control.access import authorise
from transferhub.control.journal import Journal
from transferhub.control.reach import Reach
from transferhub.control.tasks import find_task
from transferhub.errors import InputError
from transferhub.model.people import Caller, Role
from transferhub.model.run import TaskId
from transferhub.plugins.objects.estimate import Preview
from transferhub.plugins.objects.location import Location
from transferhub.plugins.objects.spec import ObjectsSpec, parse_spec
from transferhub.state.base import TaskStore

PREVIEW_WITHIN = timedelta(seconds=60)
"""Longest time that both sides are listed."""

MOST_OBJECTS = 10**12
MOST_BYTES = 10**18
"""Of an estimate."""

_AT_ONCE = 4


class Side(StrEnum):
    """Which end of a task a location is."""

    SOURCE = "source"
    DESTINATION = "destination"


class Trial(StrEnum):
    """What is tried, in this order. WRITE and DELETE are of a destination alone."""

    LIST = "list"
    WRITE = "write"
    READ = "read"
    DELETE = "delete"


class Outcome(StrEnum):
    """SKIPPED was not tried: `message` says why."""

    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """How one trial went.

    Attributes:
        permission: what it takes, such as "s3:PutObject"; "" of a folder.
        code: of docs/errors.md; "" where it did not fail.
        message: a sentence: what was found, or what is wrong and what to do.
    """

    trial: Trial
    outcome: Outcome
    permission: str = ""
    code: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionTest:
    """How a location can be used.

    Attributes:
        url: of the location.
        credentials: where they come from, without secrets.
    """

    url: str
    credentials: str
    steps: Sequence[Step]

    @property
    def works(self) -> bool:
        return all(step.outcome is not Outcome.FAILED for step in self.steps)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What a run would do.

    Attributes:
        complete: both sides were listed to the end; else all numbers are "at least".
    """

    preview: Preview
    complete: bool


class Looks(Protocol):
    """Looks at places, and leaves them as they were."""

    async def test(self, location: Location) -> ConnectionTest:
        """A probe that is written is deleted again, whatever fails."""

    async def preview(self, spec: ObjectsSpec, within: timedelta) -> Forecast:
        """What of both sides could be listed in that time."""

    def estimate(self, spec: ObjectsSpec, *, objects: int, size: int) -> Preview:
        """Of so many objects of `size` bytes together, without a look."""


class Places:
    """All verbs want an operator, whose tasks could do the same; no more than a few looks go on at
    once, and the others wait."""

    def __init__(self, store: TaskStore, looks: Looks, reach: Reach, journal: Journal) -> None:
        self._store = store
        self._journal = journal
        self._looks = looks
        self._reach = reach
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def test_connection(
        self, caller: Caller, location: Mapping[str, Any], side: Side
    ) -> ConnectionTest:
        """Lists and reads; of a destination also writes a probe and deletes it, which is noted in
        the audit log.

        Args:
            location: as `Location.of` reads it.

        Raises:
            InputError: of a field of the location, which is not reached then.
        """
        authorise(caller, Role.OPERATOR)
        there = Location.of(location, field=side.value, environment=side.value)
        there = await self._reach.pinned_location(there)
        if side is Side.DESTINATION:
            after = {"credential": there.credential, "endpoint": there.endpoint}
            await self._journal.note(caller, "connection.test", there.url, after=after)
        async with self._turns:
            return await self._looks.test(there)

    async def preview(
        self,
        caller: Caller,
        kind: str,
        spec: Mapping[str, Any],
        *,
        within: timedelta = PREVIEW_WITHIN,
    ) -> Forecast:
        """What a run of a task with this spec would do; changes nothing.

        Args:
            kind, spec: as of a `TaskDraft`; faults are of fields of the spec.
            within: PREVIEW_WITHIN at most.

        Raises:
            InputError, StoreError
        """
        authorise(caller, Role.OPERATOR)
        return await self._preview(_parsed(kind, spec), within)

    async def preview_task(
        self, caller: Caller, ident: TaskId, *, within: timedelta = PREVIEW_WITHIN
    ) -> Forecast:
        """What a run of the task would do now."""
        authorise(caller, Role.OPERATOR)
        task = await find_task(self._store, ident)
        return await self._preview(_parsed(task.kind, task.spec), within)

    async def estimate(
        self, caller: Caller, kind: str, spec: Mapping[str, Any], *, objects: int, size: int
    ) -> Preview:
        """What copying so many objects takes, with nothing reached.

        Args:
            size: bytes of all of them.
        """
        authorise(caller, Role.OPERATOR)
        for field, value, most in (("objects", objects, MOST_OBJECTS), ("size", size, MOST_BYTES)):
            if not 0 <= value <= most:
                raise InputError(field, f"must be 0 to {most:,}")
        return self._looks.estimate(_parsed(kind, spec), objects=objects, size=size)

    async def _preview(self, spec: ObjectsSpec, within: timedelta) -> Forecast:
        spec = await self._reach.pinned(spec)
        async with self._turns:
            return await self._looks.preview(spec, min(within, PREVIEW_WITHIN))


def _parsed(kind: str, spec: Mapping[str, Any]) -> ObjectsSpec:
    if kind != ObjectsSpec.kind:
        raise InputError("kind", f"{kind!r} is no kind of task; write {ObjectsSpec.kind}")
    return parse_spec(spec)
