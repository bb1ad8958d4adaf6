"""What refers to an image: the referrers API of OCI 1.1, and the tag that stands in for it.

Source: OCI distribution-spec 1.1, "Listing Referrers", "Referrers Tag Schema", "Pushing Manifests
with Subject".
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Protocol

from transferhub.errors import NotFoundError
from transferhub.registries.lines import Answer
from transferhub.registries.manifest import (
    IMAGE_TYPES,
    INDEX_TYPES,
    OCI_INDEX,
    Descriptor,
    Digest,
    Manifest,
    index_content,
    manifest_of,
    read_contents,
    read_descriptors,
)
from transferhub.registries.paging import next_target

_OK = frozenset({200})
_MAYBE = _OK | {400, 404, 405, 406, 501}
"""How registries that do not know the API answer."""


class _Pages(Protocol):
    """What a client offers for this."""

    async def referrers_page(
        self, repository: str, digest: Digest, target: str, *, passes: frozenset[int]
    ) -> Answer: ...

    async def manifest(self, repository: str, reference: str) -> Manifest: ...

    async def put_manifest(self, repository: str, reference: str, manifest: Manifest) -> None: ...


class Referrers:
    """Asks the API, or reads the tag where the registry has none, and remembers which."""

    def __init__(self, pages: _Pages) -> None:
        self._pages = pages
        self._has_api: bool | None = None
        # One writer at a time: the tag holds all of them.
        self._writing = asyncio.Lock()

    async def of(self, repository: str, digest: Digest) -> Sequence[Descriptor]:
        if self._has_api is not False:
            found = await self._by_api(repository, digest)
            if found is not None:
                return found
        return await self._by_tag(repository, digest)

    async def add(self, repository: str, manifest: Manifest) -> None:
        """Lists a manifest that was put; the registry said that it does not do so itself."""
        if manifest.media_type not in IMAGE_TYPES | INDEX_TYPES or b"subject" not in (
            manifest.content
        ):
            return
        contents = read_contents(manifest)
        if contents.subject is None:
            return
        row = replace(
            manifest.descriptor,
            artifact_type=contents.artifact_type,
            annotations=contents.annotations,
        )
        async with self._writing:
            there = await self._by_tag(repository, contents.subject.digest)
            if any(one.digest == row.digest for one in there):
                return
            index = manifest_of(index_content((*there, row)), OCI_INDEX)
            await self._pages.put_manifest(repository, _tag(contents.subject.digest), index)

    async def _by_api(self, repository: str, digest: Digest) -> Sequence[Descriptor] | None:
        """None: the registry has no such API."""
        target = f"/v2/{repository}/referrers/{digest}"
        answer = await self._pages.referrers_page(repository, digest, target, passes=_MAYBE)
        page = _rows(answer)
        if page is None:
            # One that has it, and not the repository, says so.
            self._has_api = None if b"NAME_UNKNOWN" in answer.body else False
            return None
        self._has_api = True
        found = {one.digest: one for one in page}
        visited = {target}
        while (target := next_target(answer.fields["link"], target)) and target not in visited:
            visited.add(target)
            answer = await self._pages.referrers_page(repository, digest, target, passes=_OK)
            found.update((one.digest, one) for one in _rows(answer) or ())
        return tuple(found.values())

    async def _by_tag(self, repository: str, digest: Digest) -> Sequence[Descriptor]:
        try:
            index = await self._pages.manifest(repository, _tag(digest))
        except NotFoundError:
            return ()
        if not index.descriptor.is_index:
            return ()
        return read_contents(index).manifests


def _rows(answer: Answer) -> Sequence[Descriptor] | None:
    """None: this is no list of referrers."""
    if answer.status != HTTPStatus.OK:
        return None
    try:
        return read_descriptors(answer.body)
    except ValueError:
        return None


def _tag(digest: Digest) -> str:
    algorithm, _, rest = digest.partition(":")
    return f"{algorithm[:32]}-{rest[:64]}"
