"""Carries an image to the destination: its blobs, then its manifests."""

from __future__ import annotations

from transferhub.engine.groups import each
from transferhub.errors import NotFoundError
from transferhub.plugins.images.filler import Filler
from transferhub.plugins.images.load import Load
from transferhub.plugins.images.manifests import Manifests
from transferhub.plugins.images.moved import Moved
from transferhub.registries.base import Registry
from transferhub.registries.manifest import Manifest

_IMAGES_AT_ONCE = 3


class Carrier:
    """Carries images to one registry, many at once."""

    def __init__(self, destination: Registry, manifests: Manifests, filler: Filler) -> None:
        self._destination = destination
        self._manifests = manifests
        self._filler = filler
        self._carried: set[tuple[str, str]] = set()

    def has_carried(self, goes_to: str, digest: str) -> bool:
        """Whether it brought all of an image to a repository."""
        return (goes_to, digest) in self._carried

    async def carry(self, load: Load) -> Moved:
        """Idempotent.

        Raises:
            GoneError: the source has it no more.
            StoreError: NotFoundError is always the destination's.
            RunError: code "no_skopeo", and it is heavy.
        """
        try:
            tree = await self._manifests.tree(load.source.registry, load.repository, load.digest)
        except NotFoundError as error:
            raise await load.lacking(error) from error
        images = [one for one in tree if not one.descriptor.is_index]
        moved = await each(lambda one: self._carry(load, one), images, limit=_IMAGES_AT_ONCE)
        for one in tree[:-1]:
            if one.descriptor.is_index:
                await self._put(load, one.digest, one)
        await self._put(load, load.reference, tree[-1])
        self._carried.add((load.goes_to, load.digest))
        return sum(moved, Moved())

    async def _carry(self, load: Load, manifest: Manifest) -> Moved:
        """An image, with its manifest if it is not the last one to put."""
        moved = await self._filler.fill(load, manifest)
        if manifest.digest != load.digest:
            await self._put(load, manifest.digest, manifest)
        return moved

    async def _put(self, load: Load, reference: str, manifest: Manifest) -> None:
        await self._destination.put_manifest(load.goes_to, reference, manifest)
