"""Repositories on the OCI distribution protocol alone, as every registry has it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from http import HTTPStatus

from transferhub.errors import NotFoundError, StoreError, UnsupportedError
from transferhub.registries.base import Registry
from transferhub.registries.manifest import Digest
from transferhub.registries.repositories import MOVABLE, ListedImage, TagRule

_ROUNDS = 8
"""Tags looked at before the first of them is told: a slow one then holds up few others."""

_REFUSALS = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.METHOD_NOT_ALLOWED})


class OciRepositories:
    """Repositories of a registry, which stays open, and is closed by whoever opened it. What is at
    a tag takes a request each: one of `images` for each tag, in the registry's order."""

    def __init__(self, registry: Registry, *, parallel: int = 16) -> None:
        """Args:
        parallel: tags that are looked at at once.
        """
        self._registry = registry
        self._parallel = parallel

    def names(self) -> AsyncIterator[str]:
        return self._registry.repositories()

    async def rule(self, name: str) -> TagRule | None:
        return MOVABLE

    async def images(
        self, name: str, *, wanted: Callable[[str], bool]
    ) -> AsyncIterator[ListedImage]:
        most = self._parallel * _ROUNDS
        tags: list[str] = []
        try:
            async for tag in self._registry.tags(name):
                if wanted(tag):
                    tags.append(tag)
                if len(tags) == most:
                    for image in await self._look(name, tags):
                        yield image
                    tags = []
        except NotFoundError:
            return
        for image in await self._look(name, tags):
            yield image

    async def create(self, name: str) -> None:
        """Done by the first push."""

    async def delete(self, name: str, tag: str, digest: Digest, *, shared: bool) -> None:
        if not shared:
            await self._registry.delete_manifest(name, digest)
            return
        try:
            # Source: OCI distribution-spec 1.1, "Deleting tags": the same request, by the tag.
            await self._registry.delete_manifest(name, Digest(tag))
        except StoreError as error:
            if not isinstance(error, UnsupportedError) and error.status not in _REFUSALS:
                raise
            raise UnsupportedError(
                f"Deleting {name}:{tag} at {self._registry.host} failed: its image has other tags,"
                " and the registry deletes an image only with all of them; delete the tag with the"
                " registry's own tools, or delete the other tags too.",
                status=error.status,
                vendor_code=error.vendor_code,
            ) from error

    async def aclose(self) -> None:
        """The registry stays open."""

    async def _look(self, name: str, tags: Sequence[str]) -> Sequence[ListedImage]:
        """What is at each of the tags; those that are gone by now are left out."""
        turns = asyncio.Semaphore(self._parallel)

        async def look(tag: str) -> ListedImage | None:
            async with turns:
                try:
                    found = await self._registry.head(name, tag)
                except NotFoundError:
                    return None
            return ListedImage(digest=found.digest, tags=(tag,), media_type=found.media_type)

        try:
            async with asyncio.TaskGroup() as group:
                looking = [group.create_task(look(tag)) for tag in tags]
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return [image for one in looking if (image := one.result()) is not None]
