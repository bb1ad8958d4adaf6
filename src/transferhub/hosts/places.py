"""Looks at the places of a hub's tasks."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from hashlib import md5
from pathlib import Path

from transferhub.control.places import ConnectionTest, Forecast, Outcome, Step, Trial
from transferhub.engine.tuning import Tuning
from transferhub.errors import (
    ArchivedError,
    CorruptError,
    DeniedError,
    NotFoundError,
    TransientError,
    UnsupportedError,
)
from transferhub.hosts.credentials import Lent
from transferhub.hosts.image_plans import plan_images
from transferhub.hosts.lending import Lender
from transferhub.hosts.looking import Looker
from transferhub.hosts.registries import describe_login, open_side
from transferhub.hosts.registry_trials import registry_steps
from transferhub.hosts.stores import describe_credentials, open_store
from transferhub.hosts.trials import WAIT, skipped, tried
from transferhub.model.clock import utc_now
from transferhub.model.objects import Attributes, ObjectEntry, WriteOptions
from transferhub.model.transfer import ScanCounts
from transferhub.plugins.images.plan import Plan
from transferhub.plugins.images.registry_location import RegistryLocation
from transferhub.plugins.images.spec import ImagesSpec
from transferhub.plugins.objects.estimate import Preview
from transferhub.plugins.objects.location import Location
from transferhub.plugins.objects.prices import load_prices
from transferhub.plugins.objects.sample import WorkSample
from transferhub.plugins.objects.spec import ObjectsSpec
from transferhub.stores.base import ObjectStore

PROBE = "dth-connection-test-"
"""How the key of a probe begins, after the location's prefix."""

_PATIENCE = timedelta(seconds=3)
"""With a registry that does not answer, so that what is wrong is told and not that time is up."""

_BODY = b"Data Transfer Hub tested whether it may write here. This object can be deleted.\n"
_PERMISSIONS = {
    Trial.LIST: "s3:ListBucket",
    Trial.READ: "s3:GetObject",
    Trial.WRITE: "s3:PutObject",
    Trial.DELETE: "s3:DeleteObject",
}
_NOT_THERE = "the folder is not there yet; a run makes it"


class HostLooks:
    """A Looks with this machine's network, disk and variables, and a hub's credentials."""

    def __init__(
        self,
        folder: Path,
        env: Mapping[str, str],
        lender: Lender,
        *,
        tuning: Tuning,
        prices: str = "",
    ) -> None:
        """Args:
        folder: of the state, in which listings may be sorted.
        tuning: of this machine; a look has less patience.
        prices: a file of prices; "" takes those of the package.
        """
        self._folder = folder
        self._env = env
        self._lender = lender
        self._tuning = replace(tuning, processes=1, patience=WAIT, timeout=WAIT)
        self._prices = prices

    async def test(self, location: Location) -> ConnectionTest:
        lent = await self._lender.lend([location])
        chosen = describe_credentials(location, self._env, lent)
        async with self._opened(location, lent) as store:
            steps = await _Attempt(store, location).steps()
        return ConnectionTest(url=location.url, credentials=chosen.described, steps=steps)

    async def test_registry(self, registry: RegistryLocation) -> ConnectionTest:
        lent = await self._lender.lend([registry])
        login = describe_login(registry, self._env, lent)
        tuning = replace(self._tuning, patience=_PATIENCE)
        opener = open_side(registry, env=self._env, tuning=tuning, lent=lent)
        steps = await registry_steps(opener, registry)
        return ConnectionTest(url=registry.url, credentials=login.described, steps=steps)

    async def preview(self, spec: ObjectsSpec, within: timedelta) -> Forecast:
        lent = await self._lender.lend(spec.reaches.values())
        looker = Looker(self._folder, self._env, talk=_silent, lent=lent)
        table = load_prices(self._prices)
        preview, complete = await looker.glance(spec.as_of(utc_now()), self._tuning, table, within)
        return Forecast(preview=preview, complete=complete)

    async def plan(self, spec: ImagesSpec, within: timedelta) -> Plan:
        lent = await self._lender.lend(spec.reaches.values())
        looked = plan_images(spec, self._tuning, self._env, lent=lent, folder=self._folder)
        try:
            async with asyncio.timeout(within.total_seconds()):
                return await looked
        except TimeoutError:
            raise TransientError(
                f"Both registries were not looked through within {within.seconds} seconds; give it"
                " more, or name fewer images.",
                code="timeout",
            ) from None

    def estimate(self, spec: ObjectsSpec, *, objects: int, size: int) -> Preview:
        sample = WorkSample(spec)
        sample.see_many(objects, -(-size // max(objects, 1)))
        counts = ScanCounts(scanned_source=objects, new=objects, source_bytes=size, copy_bytes=size)
        return sample.preview(counts, load_prices(self._prices))

    @asynccontextmanager
    async def _opened(self, location: Location, lent: Lent) -> AsyncIterator[ObjectStore]:
        """A destination's folder that is not there stays so."""
        store = open_store(
            location, env=self._env, lent=lent, timeout=WAIT, looking=_is_missing(location)
        )
        try:
            yield store
        finally:
            await store.aclose()


class _Attempt:
    """Tries what a run would do."""

    def __init__(self, store: ObjectStore, location: Location) -> None:
        self._store = store
        self._location = location
        self._probe = f"{location.prefix}{PROBE}{os.urandom(6).hex()}"
        self._first: ObjectEntry | None = None

    async def steps(self) -> list[Step]:
        if self._location.environment == "destination":
            trials = [Trial.WRITE, Trial.READ, Trial.DELETE]
        else:
            trials = [Trial.READ]
        listed = await self._tried(Trial.LIST, self._list())
        if listed.outcome is Outcome.FAILED and listed.code != DeniedError.default_code:
            return [listed, *(skipped(trial, "listing failed") for trial in trials)]
        if _is_missing(self._location):
            return [listed, *(skipped(trial, _NOT_THERE) for trial in trials)]
        if trials == [Trial.READ]:
            return [listed, await self._read_source()]
        return [listed, *await self._probed()]

    async def _read_source(self) -> Step:
        if self._first is None:
            return skipped(Trial.READ, "there is no object to read")
        return await self._tried(Trial.READ, self._read(self._first))

    async def _probed(self) -> list[Step]:
        """Writes, reads and deletes the probe, the last also where the others are broken off."""
        written = None
        try:
            written = await self._tried(Trial.WRITE, self._write())
            if written.outcome is Outcome.OK:
                read = await self._tried(Trial.READ, self._read_probe())
            else:
                read = skipped(Trial.READ, "nothing was written")
        finally:
            if written is None or not _is_refused(written):
                deleted = await self._tried(Trial.DELETE, self._delete())
            else:
                deleted = skipped(Trial.DELETE, "nothing was written")
        return [written, read, deleted]

    async def _tried(self, trial: Trial, work: Awaitable[str]) -> Step:
        permission = "" if self._location.scheme == "file" else _PERMISSIONS[trial]
        step = await tried(trial, work, permission=permission)
        if trial is Trial.DELETE and step.outcome is Outcome.FAILED:
            left = f"{step.message} The probe {self._probe!r} may still be there."
            return replace(step, message=left)
        return step

    # The trials; each returns what was found

    async def _list(self) -> str:
        await self._store.check()
        if _is_missing(self._location):
            return _NOT_THERE
        page = await self._store.list(self._location.prefix, limit=1)
        self._first = next(iter(page.entries), None)
        return "there are objects" if self._first else "there are no objects"

    async def _read(self, entry: ObjectEntry) -> str:
        length = 1 if entry.size else None
        try:
            async with self._store.get(entry.key, length=length) as reader:
                await reader.read()
        except ArchivedError:
            return f"{entry.key!r} is archived: it must be restored before it can be copied"
        return f"{entry.key!r} was read"

    async def _write(self) -> str:
        await self._store.put(
            self._probe,
            _BODY,
            attributes=Attributes(content_type="text/plain"),
            options=WriteOptions(),
            md5=md5(_BODY, usedforsecurity=False).digest(),
        )
        return f"the probe {self._probe!r} was written"

    async def _read_probe(self) -> str:
        async with self._store.get(self._probe) as reader:
            if await reader.read() != _BODY:
                raise CorruptError(f"The probe {self._probe!r} is not as it was written.")
        return "the probe was read as it was written"

    async def _delete(self) -> str:
        for error in (await self._store.delete([self._probe])).values():
            raise error
        return "the probe was deleted"


def _is_refused(written: Step) -> bool:
    """Whether there is surely no probe."""
    refusals = (DeniedError, NotFoundError, UnsupportedError)
    return written.code in {"no_bucket", *(kind.default_code for kind in refusals)}


def _is_missing(location: Location) -> bool:
    """A destination's folder that a run would make."""
    is_folder = location.scheme == "file" and location.environment == "destination"
    return is_folder and not Path(location.path).exists()


def _silent(_: str) -> None:
    return
