"""Manifests that were read, by their digest."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterator, Mapping

from transferhub.engine.groups import each
from transferhub.plugins.images.pulls import check_pulls
from transferhub.registries.base import Registry
from transferhub.registries.manifest import Contents, Digest, Manifest, read_contents

_AT_ONCE = 16


class Manifests:
    """Reads each manifest once, as long as it is kept: some registries count every read."""

    def __init__(self, *, most_bytes: int = 64 << 20) -> None:
        """Args:
        most_bytes: of manifests that are kept; what they name is kept of all.
        """
        self._most_bytes = most_bytes
        self._bytes = 0
        self._kept: OrderedDict[str, Manifest] = OrderedDict()
        self._contents: dict[str, Contents] = {}
        self._reading: dict[str, asyncio.Lock] = {}

    @property
    def contents(self) -> Mapping[str, Contents]:
        """What those name that were read."""
        return self._contents

    def kept(self, digest: str) -> Manifest | None:
        found = self._kept.get(digest)
        if found is not None:
            self._kept.move_to_end(digest)
        return found

    async def get(self, registry: Registry, repository: str, digest: str) -> Manifest:
        """Raises:
        StoreError: it is not there, cannot be read, or is of a kind that is not known.
        """
        try:
            async with self._reading.setdefault(digest, asyncio.Lock()):
                found = self.kept(digest)
                if found is None:
                    await check_pulls(registry, repository, digest)
                    found = await registry.manifest(repository, digest)
                    self._contents[digest] = read_contents(found)
                    self._keep(digest, found)
                return found
        finally:
            self._reading.pop(digest, None)

    async def tree(self, registry: Registry, repository: str, digest: str) -> list[Manifest]:
        """The manifest and all that its indexes name, each once, what is named first."""
        found: dict[str, Manifest] = {}
        fresh = [digest]
        while fresh:
            read = await each(
                lambda one: self.get(registry, repository, one), fresh, limit=_AT_ONCE
            )
            found.update(zip(fresh, read, strict=True))
            named = {m.digest for one in fresh for m in self._contents[one].manifests}
            fresh = sorted(named - found.keys())
        return [found[one] for one in self._inner_first(Digest(digest), set())]

    def closure(self, digest: str) -> list[str]:
        """The digest and all that its indexes name, as far as they were read."""
        return [*self._inner_first(digest, set())]

    def _inner_first(self, digest: str, seen: set[str]) -> Iterator[str]:
        seen.add(digest)
        known = self._contents.get(digest)
        for member in known.manifests if known else ():
            if member.digest not in seen:
                yield from self._inner_first(member.digest, seen)
        yield digest

    def _keep(self, digest: str, manifest: Manifest) -> None:
        self._kept[digest] = manifest
        self._bytes += len(manifest.content)
        while self._bytes > self._most_bytes and len(self._kept) > 1:
            _, dropped = self._kept.popitem(last=False)
            self._bytes -= len(dropped.content)
