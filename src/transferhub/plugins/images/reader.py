"""Reads what images of one repository of the source are."""

from __future__ import annotations

from collections.abc import Iterable

from transferhub.engine.groups import each
from transferhub.engine.retry import FATAL_CODES
from transferhub.errors import NotFoundError, StoreError
from transferhub.plugins.images.manifests import Manifests
from transferhub.plugins.images.platforms import choose
from transferhub.registries.base import Registry
from transferhub.registries.manifest import INDEX_TYPES, Contents, Descriptor, Digest, Platform

ENDING_CODES = FATAL_CODES | {"unreachable"}
"""Of errors that would be said of everything else, too."""

_AT_ONCE = 32


class Reader:
    """Remembers of which kind each image is, and so reads the manifests of indexes alone."""

    def __init__(self, registry: Registry, repository: str, manifests: Manifests) -> None:
        self._registry = registry
        self._repository = repository
        self._manifests = manifests
        self._kinds: dict[str, str] = {}

    def note_kind(self, digest: str, media_type: str) -> None:
        """A listing said of which kind an image is; "" where it did not say."""
        self._kinds[digest] = media_type

    async def head(self, reference: str) -> str | None:
        """The digest of a tag or digest; None: it is not there."""
        try:
            found = await self._registry.head(self._repository, reference)
        except NotFoundError:
            return None
        self._note(found)
        return found.digest

    async def referrers(self, digest: str) -> list[str]:
        found = await self._registry.referrers(self._repository, Digest(digest))
        for one in found:
            self._note(one)
        return [one.digest for one in found]

    async def read(self, digests: Iterable[str]) -> None:
        """Reads manifests, and all that indexes among them name. What stays wrong is met again by
        the copy of that image, and keeps back no other."""

        async def step(digest: str) -> None:
            try:
                await self._manifests.tree(self._registry, self._repository, digest)
            except StoreError as error:
                if error.retryable or error.code in ENDING_CODES:
                    raise

        await each(step, sorted(digests), limit=_AT_ONCE)

    async def closures(self, digests: Iterable[str]) -> set[str]:
        """The digests, and those of all that indexes among them name."""
        found = set(digests)
        await self.read(self.indexes(found))
        return {one for digest in found for one in self._manifests.closure(digest)}

    def indexes(self, digests: Iterable[str]) -> list[str]:
        """Those that are indexes, or may be for all that is known."""
        return [one for one in digests if self._kinds.get(one, "") in INDEX_TYPES | {""}]

    def contents(self, digest: str) -> Contents | None:
        """What a manifest names that was read."""
        return self._manifests.contents.get(digest)

    async def for_platform(self, digest: str, platform: Platform) -> str | None:
        """The image for a platform: of an index one of its own, else one of an index in it; what is
        no index is taken as it is. None: there is none."""
        if not self.indexes([digest]):
            return digest
        await self._manifests.get(self._registry, self._repository, digest)
        contents = self._manifests.contents[digest]
        if contents.config is not None:
            return digest
        for member in contents.manifests:
            self._note(member)
        chosen = choose(platform, contents.manifests)
        if chosen is not None:
            return await self.for_platform(chosen.digest, platform)
        for inner in contents.manifests:
            if inner.is_index and (found := await self.for_platform(inner.digest, platform)):
                return found
        return None

    def _note(self, one: Descriptor) -> None:
        self._kinds[one.digest] = one.media_type
