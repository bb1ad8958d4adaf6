"""Brings the blobs of an image into a repository of the destination."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from transferhub.aws.patience import Patience
from transferhub.engine.groups import each
from transferhub.engine.limits import ByteBudget
from transferhub.errors import (
    DeniedError,
    NotFoundError,
    StoreError,
    ThrottledError,
    TransientError,
    UnsupportedError,
)
from transferhub.plugins.images.blobs import Blobs
from transferhub.plugins.images.load import GoneError, Load
from transferhub.plugins.images.moved import Moved
from transferhub.plugins.images.sides import OpenRegistry
from transferhub.registries.manifest import Digest, Manifest, read_contents
from transferhub.registries.skopeo import Carriage, Carried, End, Skopeo

LIGHT_BYTES: Final = 16 << 20
"""Up to so much of an image is carried by our own client: see
docs/decisions/0027-light-images.md."""

_MEMORY_BYTES = 8 * LIGHT_BYTES
_AT_ONCE = 8
_FUTILE_MOUNTS = 20
"""After so many in a row that were not done, the registry mounts nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heavy:
    """What carries heavy images.

    Attributes:
        skopeo: asked for when there is one to carry.
        most: of its programs at once.
        time_limit: of one of them.
    """

    skopeo: Callable[[], Awaitable[Skopeo]]
    most: int
    time_limit: timedelta


class Filler:
    """Fills repositories of one destination, many at once, and carries no blob twice at once."""

    def __init__(self, destination: OpenRegistry, blobs: Blobs, heavy: Heavy) -> None:
        self._destination = destination
        self._blobs = blobs
        self._heavy = heavy
        self._programs = asyncio.Semaphore(heavy.most)
        self._memory = ByteBudget(_MEMORY_BYTES)
        self._futile = 0

    async def fill(self, load: Load, manifest: Manifest) -> Moved:
        """Returns when the repository has all blobs of one image.

        Raises:
            GoneError, StoreError, RunError: see `Carrier.carry`.
        """
        sizes = {blob.digest: blob.size for blob in read_contents(manifest).blobs}
        moved, refused = Moved(), set[Digest]()
        while missing := await self._missing(load, sizes):
            mounted = await self._mounted(load, missing, refused)
            moved += Moved(mounted=len(mounted), mounted_bytes=sum(mounted.values()))
            # Others may have brought some while these were mounted.
            missing = {
                digest: size
                for digest, size in missing.items()
                if not self._blobs.knows(load.goes_to, digest)
            }
            if not any(self._may_mount(digest, refused) for digest in missing):
                moved += await self._send(load, manifest, missing)
        return _completed(moved, sizes)

    def _may_mount(self, digest: Digest, refused: set[Digest]) -> bool:
        """Whether a repository is known that would lend the blob now; what somebody carries is
        waited for."""
        known = self._blobs.holder(digest) is not None and digest not in refused
        return known and not self._blobs.is_claimed(digest)

    async def _missing(self, load: Load, sizes: Mapping[Digest, int]) -> dict[Digest, int]:
        there = await each(
            lambda digest: self._blobs.has(load.goes_to, digest), sizes, limit=_AT_ONCE
        )
        return {
            digest: size
            for (digest, size), has in zip(sizes.items(), there, strict=True)
            if not has
        }

    # Mounting

    async def _mounted(
        self, load: Load, missing: Mapping[Digest, int], refused: set[Digest]
    ) -> dict[Digest, int]:
        """Those that another repository lent; notes those that none lends."""

        async def mount(digest: Digest) -> bool:
            if digest in refused or self._blobs.is_claimed(digest):
                return False
            lender = await self._lender(load, digest)
            if lender is None:
                return False
            done = await self._mount(load, digest, lender)
            if not done:
                refused.add(digest)
            return done

        done = await each(mount, missing, limit=_AT_ONCE)
        return {
            digest: size for (digest, size), was in zip(missing.items(), done, strict=True) if was
        }

    async def _mount(self, load: Load, digest: Digest, lender: str) -> bool:
        if self._futile >= _FUTILE_MOUNTS:
            return False
        done = False
        with suppress(DeniedError, UnsupportedError, NotFoundError):
            done = await self._destination.registry.mount(load.goes_to, digest, source=lender)
        self._futile = 0 if done else self._futile + 1
        if done:
            self._blobs.add(load.goes_to, digest)
        return done

    async def _lender(self, load: Load, digest: Digest) -> str | None:
        """A repository of the destination's registry that has the blob."""
        if known := self._blobs.holder(digest):
            return known
        for repository in load.near:
            if await self._blobs.has(repository, digest):
                return repository
        same = load.source.registry.host == self._destination.registry.host
        return load.repository if same else None

    # Uploading

    async def _send(self, load: Load, manifest: Manifest, missing: Mapping[Digest, int]) -> Moved:
        """Uploads what nobody else carries; else waits for those who do, with no claim of its
        own."""
        free = {d: size for d, size in missing.items() if not self._blobs.is_claimed(d)}
        if free and _is_light(free):
            with self._blobs.claimed(free):
                await each(lambda d: self._upload(load, d, free[d]), free, limit=_AT_ONCE)
            return Moved(sent=len(free), sent_bytes=sum(free.values()))
        if missing and len(free) == len(missing):
            with self._blobs.claimed(free):
                return await self._run_skopeo(load, manifest, free)
        await self._blobs.settled(missing)
        return Moved()

    async def _upload(self, load: Load, digest: Digest, size: int) -> None:
        async with self._memory.hold(size):
            content = await self._read(load, digest)
            await self._destination.registry.put_blob(load.goes_to, content)
        self._blobs.add(load.goes_to, digest)

    async def _read(self, load: Load, digest: Digest) -> bytes:
        try:
            async with load.source.registry.blob(load.repository, digest) as pieces:
                return b"".join([piece async for piece in pieces])
        except NotFoundError as error:
            raise await load.lacking(error) from error

    async def _run_skopeo(
        self, load: Load, manifest: Manifest, missing: Mapping[Digest, int]
    ) -> Moved:
        skopeo = await self._heavy.skopeo()
        carriage = Carriage(
            source=await _end(load.source, load.repository),
            digest=manifest.digest,
            destination=await _end(self._destination, load.goes_to),
            reference=manifest.digest,
        )
        async with self._programs:
            try:
                carried = await self._run_patiently(skopeo, carriage)
            except NotFoundError as error:
                raise await self._missed(load, error) from error
            except StoreError:
                # Some of it may be there: what is light by now needs no program.
                self._blobs.doubt(load.goes_to, missing)
                raise
        for digest in missing:
            self._blobs.add(load.goes_to, digest)
        sent, mounted = (
            [missing[d] for d in found if d in missing]
            for found in (carried.uploaded, carried.mounted)
        )
        return Moved(
            sent=len(sent),
            sent_bytes=sum(sent),
            mounted=len(mounted),
            mounted_bytes=sum(mounted),
        )

    async def _run_patiently(self, skopeo: Skopeo, carriage: Carriage) -> Carried:
        """A program asks a dozen times and tries none again, so that what our own client lives with
        would end the image."""
        patience: Patience | None = None
        while True:
            try:
                return await skopeo.copy(carriage, time_limit=self._heavy.time_limit)
            except (ThrottledError, TransientError) as error:
                if error.code == "timeout":
                    raise
                # It begins with the first failure: the program may have been long at work.
                patience = patience or Patience(self._destination.config.patience, first=1.0)
                told = error.retry_after if isinstance(error, ThrottledError) else None
                if not await patience.pause(at_least=told.total_seconds() if told else 0.0):
                    raise

    async def _missed(self, load: Load, error: NotFoundError) -> Exception:
        """It may be the source or the destination that has not what skopeo wants."""
        hosts = load.source.registry.host, self._destination.registry.host
        found = await load.lacking(error)
        told = hosts[0] in error.message and hosts[0] != hosts[1]
        return found if told or isinstance(found, GoneError) else error


async def _end(opened: OpenRegistry, repository: str) -> End:
    login = await opened.registry.login()
    return End(registry=opened.config, repository=repository, login=login)


def _is_light(blobs: Mapping[Digest, int]) -> bool:
    # What is put whole gets a SHA-256.
    return sum(blobs.values()) <= LIGHT_BYTES and all(d.startswith("sha256:") for d in blobs)


def _completed(moved: Moved, sizes: Mapping[Digest, int]) -> Moved:
    """All that was neither uploaded nor mounted was there."""
    return moved + Moved(
        present=len(sizes) - moved.sent - moved.mounted,
        present_bytes=sum(sizes.values()) - moved.sent_bytes - moved.mounted_bytes,
    )
