"""Where blobs are at the destination, and who carries which."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from transferhub.errors import StoreError
from transferhub.plugins.images.damage import is_damage
from transferhub.registries.base import Registry
from transferhub.registries.manifest import Digest


class Blobs:
    """What this process knows of blobs at the destination.

    A claim says that somebody carries a blob just now. Nobody waits for a claim while he has one,
    so that no two wait for each other.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._there: dict[str, set[str]] = {}
        self._absent: set[tuple[str, str]] = set()
        self._empty: set[str] = set()
        self._claims: dict[str, asyncio.Event] = {}

    async def has(self, repository: str, digest: str) -> bool:
        """Whether a repository has a blob; asked of the registry once."""
        if self.knows(repository, digest):
            return True
        if repository in self._empty or (repository, digest) in self._absent:
            return False
        if await self._size(repository, digest) is None:
            self._absent.add((repository, digest))
            return False
        self.add(repository, digest)
        return True

    async def _size(self, repository: str, digest: str) -> int | None:
        try:
            return await self._registry.blob_size(repository, Digest(digest))
        except StoreError as error:
            if not is_damage(error):
                raise
            return None

    def knows(self, repository: str, digest: str) -> bool:
        """Whether it is known that a repository has a blob."""
        return repository in self._there.get(digest, ())

    def holder(self, digest: str) -> str | None:
        """A repository that has the blob."""
        return next(iter(self._there.get(digest, ())), None)

    def add(self, repository: str, digest: str) -> None:
        self._there.setdefault(digest, set()).add(repository)

    def add_empty(self, repository: str) -> None:
        """The repository has none but those that are added."""
        self._empty.add(repository)

    def doubt(self, repository: str, digests: Collection[str]) -> None:
        """These may be there by now, though they were not."""
        self._empty.discard(repository)
        self._absent.difference_update((repository, digest) for digest in digests)

    def forget(self, repository: str) -> None:
        """What is known of a repository proved wrong."""
        self._empty.discard(repository)
        self._absent = {one for one in self._absent if one[0] != repository}
        for holders in self._there.values():
            holders.discard(repository)

    # Claims

    def is_claimed(self, digest: str) -> bool:
        return digest in self._claims

    @contextmanager
    def claimed(self, digests: Collection[str]) -> Iterator[None]:
        """Holds claims, which nobody else has, until the scope ends."""
        ended = asyncio.Event()
        self._claims |= dict.fromkeys(digests, ended)
        try:
            yield
        finally:
            for digest in digests:
                del self._claims[digest]
            ended.set()

    async def settled(self, digests: Collection[str]) -> None:
        """Returns when the present claims of these have ended, however they did."""
        for ended in {self._claims[digest] for digest in digests if digest in self._claims}:
            await ended.wait()
