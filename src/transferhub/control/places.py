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
from transferhub.plugins.images.plan import Plan
from transferhub.plugins.images.registry_location import RegistryLocation
from transferhub.plugins.images.spec import ImagesSpec
from transferhub.plugins.images.spec import parse_spec as parse_images
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
        permission: what it takes, such as "s3:PutObject" or "pull"; "" of a folder.
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
    """How a location or a registry can be used.

    Attributes:
        url: of it.
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

    async def test_registry(self, registry: RegistryLocation) -> ConnectionTest:
        """An upload that is begun is cancelled again; nothing is deleted."""

    async def preview(self, spec: ObjectsSpec, within: timedelta) -> Forecast:
        """What of both sides could be listed in that time."""

    async def plan(self, spec: ImagesSpec, within: timedelta) -> Plan:
        """Raises TransientError, code "timeout", where it takes longer."""

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
            await self._note(caller, there)
        async with self._turns:
            return await self._looks.test(there)

    async def test_registry(
        self, caller: Caller, registry: Mapping[str, Any], side: Side
    ) -> ConnectionTest:
        """The same of a registry, in which nothing is left: of a destination, an upload is begun
        and cancelled.

        Args:
            registry: as `RegistryLocation.of` reads it.
        """
        authorise(caller, Role.OPERATOR)
        there = RegistryLocation.of(registry, field=side.value, environment=side.value)
        there = await self._reach.pinned_location(there)
        if side is Side.DESTINATION:
            await self._note(caller, there)
        async with self._turns:
            return await self._looks.test_registry(there)

    async def _note(self, caller: Caller, there: Location | RegistryLocation) -> None:
        after = {"credential": there.credential, "endpoint": there.endpoint}
        await self._journal.note(caller, "connection.test", there.url, after=after)

    async def preview(
        self,
        caller: Caller,
        spec: Mapping[str, Any],
        *,
        within: timedelta = PREVIEW_WITHIN,
    ) -> Forecast:
        """What a run of a task of objects with this spec would do; changes nothing.

        Args:
            spec: as of a `TaskDraft`; faults are of fields of it.
            within: PREVIEW_WITHIN at most.

        Raises:
            InputError, StoreError
        """
        authorise(caller, Role.OPERATOR)
        return await self._preview(parse_spec(spec), within)

    async def preview_task(
        self, caller: Caller, ident: TaskId, *, within: timedelta = PREVIEW_WITHIN
    ) -> Forecast:
        """What a run of the task would do now; raises InputError where it moves no objects."""
        authorise(caller, Role.OPERATOR)
        return await self._preview(parse_spec(await self._spec(ident, ObjectsSpec.kind)), within)

    async def plan(
        self, caller: Caller, spec: Mapping[str, Any], *, within: timedelta = PREVIEW_WITHIN
    ) -> tuple[Plan, ImagesSpec]:
        """What a run of a task of images with this spec would do, and the spec; changes nothing.

        Raises:
            InputError, StoreError: also where it takes longer.
        """
        authorise(caller, Role.OPERATOR)
        return await self._plan(parse_images(spec), within)

    async def plan_task(
        self, caller: Caller, ident: TaskId, *, within: timedelta = PREVIEW_WITHIN
    ) -> tuple[Plan, ImagesSpec]:
        """The same of a task; raises InputError where it moves no images."""
        authorise(caller, Role.OPERATOR)
        return await self._plan(parse_images(await self._spec(ident, ImagesSpec.kind)), within)

    async def estimate(
        self, caller: Caller, spec: Mapping[str, Any], *, objects: int, size: int
    ) -> Preview:
        """What copying so many objects takes, with nothing reached.

        Args:
            size: bytes of all of them.
        """
        authorise(caller, Role.OPERATOR)
        for field, value, most in (("objects", objects, MOST_OBJECTS), ("size", size, MOST_BYTES)):
            if not 0 <= value <= most:
                raise InputError(field, f"must be 0 to {most:,}")
        return self._looks.estimate(parse_spec(spec), objects=objects, size=size)

    async def _preview(self, spec: ObjectsSpec, within: timedelta) -> Forecast:
        spec = await self._reach.pinned(spec)
        async with self._turns:
            return await self._looks.preview(spec, min(within, PREVIEW_WITHIN))

    async def _plan(self, spec: ImagesSpec, within: timedelta) -> tuple[Plan, ImagesSpec]:
        spec = await self._reach.pinned(spec)
        async with self._turns:
            return await self._looks.plan(spec, min(within, PREVIEW_WITHIN)), spec

    async def _spec(self, ident: TaskId, kind: str) -> Mapping[str, Any]:
        task = await find_task(self._store, ident)
        if task.kind != kind:
            raise InputError("task", f"is of kind {task.kind}, and is looked at in another way")
        return task.spec
