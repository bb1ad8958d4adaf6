"""Looks at one repository of the source, and at the one that it goes to."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from transferhub.engine.groups import each, first_error
from transferhub.errors import (
    CorruptError,
    DeniedError,
    NotFoundError,
    StoreError,
    TransientError,
)
from transferhub.plugins.images.damage import is_damage
from transferhub.plugins.images.manifests import Manifests
from transferhub.plugins.images.plan import DestinationSide, PlanRow, RowKind, SourceSide
from transferhub.plugins.images.reader import ENDING_CODES, Reader
from transferhub.plugins.images.reference import Reference
from transferhub.plugins.images.selection import ImageEntry, Selection, attachment_stem, is_attached
from transferhub.plugins.images.sides import OpenRegistry
from transferhub.registries.repositories import MOVABLE, TagRule

_AT_ONCE = 32
_ATTACHED = (".sig", ".att", ".sbom")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is meant of a repository.

    Attributes:
        name: what filters call it.
        goes_to: repository of the destination.
        listed: all that filters leave of it.
        images: that were named, each with a tag or digest.
        extra: tell what the destination alone has.
    """

    repository: Reference
    name: str
    goes_to: str
    listed: bool
    images: tuple[Reference, ...] = ()
    extra: bool = False

    def unlisted(self, image: Reference | None = None) -> PlanRow:
        """The row of what could not be looked at: one image, or all of it."""
        return PlanRow(
            kind=RowKind.UNLISTED,
            source=str(self.repository),
            repository=self.goes_to,
            tag=image.tag if image else "",
            digest=image.digest if image else "",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What was seen.

    Attributes:
        empty: the repository of the destination has nothing.
        failures: of images that could not be looked at.
        without: tags of listed images that are not for the platform.
    """

    source: SourceSide
    destination: DestinationSide
    empty: bool = False
    failures: Mapping[Reference, StoreError] = field(default_factory=dict)
    without: Sequence[str] = ()


class Looking:
    """One look at what is wanted. Verbs raise what ends the look as a whole."""

    def __init__(
        self,
        wanted: Wanted,
        selection: Selection,
        *,
        source: OpenRegistry,
        destination: OpenRegistry,
        manifests: Manifests,
    ) -> None:
        self._wanted = wanted
        self._selection = selection
        self._source = source
        self._registry = source.registry
        self._there = destination
        self._repository = wanted.repository.repository
        self._reader = Reader(source.registry, self._repository, manifests)
        self._rule: TagRule | None = MOVABLE
        self._filtered = 0
        self._gone: list[ImageEntry] = []
        self._failures: dict[Reference, StoreError] = {}
        self._without: list[str] = []
        self._tags: dict[str, str] = {}
        self._digests: set[str] = set()
        self._used = False
        self._at_source: set[str] = set()
        self._others: set[str] = set()

    async def look(self) -> Looked:
        wanted = self._wanted
        self._rule = await self._asked_rule()
        listed = await self._listed_somehow() if wanted.listed else []
        named = await self._named()
        taken = await self._selected(listed, named)
        attached = await self._attached(listed, taken)
        referrers = await self._referrers([*taken, *attached])
        told = {entry.tag for entry in (*taken, *attached)} | {one.tag for one in self._failures}
        self._filtered += len(self._at_source - told - set(self._without))
        return Looked(
            source=SourceSide(
                repository=wanted.repository,
                images=(*taken, *attached),
                gone=tuple(self._gone),
                referrers=referrers,
                filtered=self._filtered + len(self._without),
            ),
            destination=DestinationSide(
                repository=wanted.goes_to,
                exists=self._rule is not None,
                tags=self._tags,
                digests=frozenset(self._digests),
                rule=self._rule or MOVABLE,
                extra=await self._extra(taken) if wanted.extra else frozenset(),
            ),
            empty=wanted.listed and not self._used,
            failures=self._failures,
            without=self._without,
        )

    async def _asked_rule(self) -> TagRule | None:
        try:
            return await self._there.repositories.rule(self._wanted.goes_to)
        except DeniedError as error:
            if error.code != "denied":
                raise
            return MOVABLE  # who may push need not be allowed to describe; a push will tell

    # Listing

    async def _listed_somehow(self) -> list[ImageEntry]:
        """All at once, or where that fails one by one, for one image that cannot be looked at is
        not to keep the others back."""
        try:
            return await self._listed()
        except (DeniedError, TransientError, CorruptError) as error:
            if error.code in ENDING_CODES:
                raise
        self._filtered = 0
        self._used = True
        tags = [tag async for tag in self._registry.tags(self._repository) if self._counted(tag)]
        self._at_source.update(tags)
        images = map(self._wanted.repository.tagged, tags)
        found = await each(self._head_both, images, limit=_AT_ONCE)
        return [entry for entry in found if entry is not None]

    async def _listed(self) -> list[ImageEntry]:
        """What the source has, as far as filters may take it; what the destination has is noted."""
        try:
            async with asyncio.TaskGroup() as group:
                listing = group.create_task(self._source_images())
                group.create_task(self._destination_images())
        except BaseExceptionGroup as errors:
            raise first_error(errors) from None
        entries = listing.result()
        if not (entries or self._filtered or self._wanted.extra):
            raise NotFoundError(
                f"{self._wanted.repository} has no image, or is not there; check its name.",
                code="no_repository",
            )
        return entries

    async def _source_images(self) -> list[ImageEntry]:
        entries = []
        async for image in self._source.repositories.images(self._repository, wanted=self._asked):
            self._reader.note_kind(image.digest, image.media_type)
            tags = [tag for tag in image.tags if self._asked_alone or self._counted(tag)]
            self._at_source.update(tags)
            if image.tags and not tags:
                self._others.add(image.digest)
                continue
            entries += [
                ImageEntry(tag=tag, digest=image.digest, pushed_at=image.pushed_at, size=image.size)
                for tag in tags or ("",)
            ]
        return entries

    @property
    def _asked_alone(self) -> bool:
        """Only what filters may take is looked at."""
        return not (self._selection.untagged or self._selection.index_children)

    def _asked(self, tag: str) -> bool:
        """Whether to look at a tag. To tell an index's images from others, all indexes are."""
        return self._counted(tag) if self._asked_alone else True

    def _counted(self, tag: str) -> bool:
        covered = self._covers(tag)
        self._filtered += not covered
        return covered

    def _covers(self, tag: str) -> bool:
        return self._selection.covers(self._wanted.name, tag)

    async def _destination_images(self) -> None:
        if self._rule is None:
            return

        def covered(tag: str) -> bool:
            self._used = True
            return self._covers(tag)

        async for image in self._there.repositories.images(self._wanted.goes_to, wanted=covered):
            self._used = True
            self._digests.add(image.digest)
            self._tags.update(dict.fromkeys(image.tags, image.digest))

    # Naming

    async def _named(self) -> list[ImageEntry]:
        taken = [image for image in self._wanted.images if self._takes(image)]
        self._filtered += len(self._wanted.images) - len(taken)
        found = await each(self._head_both, taken, limit=_AT_ONCE)
        return [entry for entry in found if entry is not None]

    def _takes(self, image: Reference) -> bool:
        """What was named by digest, or as what belongs to an image, is meant."""
        if not image.tag or is_attached(image.tag):
            return self._selection.selects_repository(self._wanted.name)
        return self._covers(image.tag)

    async def _head_both(self, image: Reference) -> ImageEntry | None:
        ours, theirs = await asyncio.gather(
            self._reader.head(image.manifest),
            self._note_there(image.tag or image.digest),
            return_exceptions=True,
        )
        for outcome in (ours, theirs):
            if isinstance(outcome, StoreError):
                self._failures[image] = outcome
                return None
            if isinstance(outcome, BaseException):
                raise outcome
        assert not isinstance(ours, BaseException)
        if ours is None:
            self._gone.append(ImageEntry(tag=image.tag, digest=image.digest))
            return None
        return ImageEntry(tag=image.tag, digest=ours)

    async def _note_there(self, reference: str) -> None:
        """Notes what the destination has at a tag or digest."""
        known = self._tags if ":" not in reference else self._digests
        if self._rule is None or reference in known:
            return
        try:
            found = await self._there.registry.head(self._wanted.goes_to, reference)
        except StoreError as error:
            if isinstance(error, NotFoundError) or is_damage(error):
                return
            raise
        self._digests.add(found.digest)
        if ":" not in reference:
            self._tags[reference] = found.digest

    # Selecting

    async def _selected(
        self, listed: Sequence[ImageEntry], named: Sequence[ImageEntry]
    ) -> list[ImageEntry]:
        """With the images of the platform in the place of their indexes."""
        meant = [entry for entry in named if not entry.tag or is_attached(entry.tag)]
        others = [entry for entry in named if entry.tag and not is_attached(entry.tag)]
        candidates, children = await self._untagged(listed)
        chosen = self._selection.select(
            self._wanted.name, [*candidates, *others], children=children
        )
        self._filtered += len(set(others) - set(chosen))
        taken = list(dict.fromkeys([*meant, *chosen]))
        if self._selection.platform is None:
            return taken
        names = {entry.tag or entry.digest for entry in named}
        found = await each(lambda entry: self._of_platform(entry, names), taken, limit=_AT_ONCE)
        return [entry for entry in found if entry is not None]

    async def _untagged(
        self, listed: Sequence[ImageEntry]
    ) -> tuple[list[ImageEntry], frozenset[str]]:
        """Those listed, untagged ones with what they refer to, and what indexes name. Manifests are
        read where untagged images are wanted and there are some."""
        tagged = [entry for entry in listed if entry.tag]
        untagged = [entry for entry in listed if not entry.tag]
        selection = self._selection
        if not untagged or not (selection.untagged or selection.index_children):
            return tagged, frozenset()
        reader = self._reader
        tops = self._others.union(entry.digest for entry in listed)
        children = {
            member.digest
            for one in await reader.closures(tops)
            if (known := reader.contents(one))
            for member in known.manifests
        }
        if selection.untagged:
            await reader.read(entry.digest for entry in untagged)
        told = [
            replace(entry, subject=known.subject.digest)
            if (known := reader.contents(entry.digest)) and known.subject
            else entry
            for entry in untagged
        ]
        return [*tagged, *told], frozenset(children)

    async def _of_platform(self, entry: ImageEntry, named: set[str]) -> ImageEntry | None:
        platform = self._selection.platform
        assert platform is not None
        try:
            digest = await self._reader.for_platform(entry.digest, platform)
        except StoreError as error:
            self._failures[self._reference(entry)] = error
            return None
        if digest is None:
            self._miss_platform(entry, named)
            return None
        return entry if digest == entry.digest else replace(entry, digest=digest, size=0)

    def _reference(self, entry: ImageEntry) -> Reference:
        repository = self._wanted.repository
        return repository.tagged(entry.tag) if entry.tag else repository.pinned(entry.digest)

    def _miss_platform(self, entry: ImageEntry, named: set[str]) -> None:
        """Fails what was named; of what was listed it is a filter."""
        if (entry.tag or entry.digest) not in named:
            self._without.append(entry.tag or entry.digest)
            return
        image = self._reference(entry)
        self._failures[image] = NotFoundError(
            f"{image} has no image for {self._selection.platform}; choose a platform that it has,"
            " or copy all of them.",
            code="no_platform",
        )

    # What belongs to images

    async def _attached(
        self, listed: Sequence[ImageEntry], taken: Sequence[ImageEntry]
    ) -> list[ImageEntry]:
        """Tags of cosign and of the referrers tag schema."""
        tags = [entry for entry in listed if is_attached(entry.tag)]
        found = []
        if tags:
            digests = {entry.digest for entry in taken}
            if not self._selection.everything:
                digests = await self._closures(taken)
            found = self._selection.attachments(tags, digests)
        if self._selection.cosign and not self._wanted.listed:
            found += await self._asked_attachments(taken)
        return found

    async def _asked_attachments(self, taken: Sequence[ImageEntry]) -> list[ImageEntry]:
        """Of named images that are to be copied: to ask for those of each image every day would
        cost more than all else."""
        fresh = [e for e in taken if e.digest != self._tags.get(e.tag) and not is_attached(e.tag)]
        fresh = [entry for entry in fresh if entry.tag or entry.digest not in self._digests]
        rest = sorted(await self._closures(fresh))
        found: list[ImageEntry] = []
        while rest:
            tags = [attachment_stem(digest) + end for digest in rest for end in _ATTACHED]
            there = await each(self._reader.head, tags, limit=_AT_ONCE)
            new = [
                ImageEntry(tag=tag, digest=digest)
                for tag, digest in zip(tags, there, strict=True)
                if digest
            ]
            await each(self._note_there, [entry.tag for entry in new], limit=_AT_ONCE)
            found += new
            rest = [entry.digest for entry in new]
        return found

    async def _referrers(self, taken: Sequence[ImageEntry]) -> dict[str, list[str]]:
        if not self._selection.referrers:
            return {}
        found: dict[str, list[str]] = {}
        rest = sorted(await self._closures(taken))
        while rest:
            told = await each(self._reader.referrers, rest, limit=_AT_ONCE)
            found.update(zip(rest, told, strict=True))
            rest = sorted({one for several in told for one in several} - found.keys())
        return {subject: several for subject, several in found.items() if several}

    async def _closures(self, entries: Iterable[ImageEntry]) -> set[str]:
        return await self._reader.closures(entry.digest for entry in entries)

    async def _extra(self, taken: Iterable[ImageEntry]) -> frozenset[str]:
        """Lists of referrers are ours where the destination has no API for them."""
        extra = self._tags.keys() - self._at_source
        if any(is_attached(tag) for tag in extra):
            extra -= {attachment_stem(one) for one in await self._closures(taken)}
        return frozenset(extra)
