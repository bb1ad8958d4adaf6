"""Which images of a repository are meant.

`include` and `exclude` hold globs REPOSITORY or REPOSITORY:TAG, each part read as
`transferhub.model.globs` reads one: `nginx` is every repository whose last component is nginx,
`team/**:v*` what starts with v in those below team/. Repositories are named as people write them
after the registry's host, without the prefix that the source has.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from transferhub.errors import InputError
from transferhub.model.globs import Glob
from transferhub.plugins.images.versions import VersionRange, tag_rank
from transferhub.registries.manifest import Platform

_ATTACHED = re.compile(
    r"(?P<stem>sha(?:256|384|512)-[0-9a-f]{64})(?P<cosign>\.(?:sig|att|sbom))?", re.ASCII
)
"""Tags of what belongs to another image: cosign's, and those of the referrers tag schema of OCI
1.1, which cuts a digest to 64 digits."""

_STEM_DIGITS = 64
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageEntry:
    """One tag of a listed repository, or one image without a tag.

    Attributes:
        tag: "" for an image that has none.
        digest: "" where the listing does not tell.
        pushed_at: None where the listing does not tell.
        size: bytes as listed, 0 where the listing does not tell.
        subject: of an artifact that refers to another image, that image's digest.
    """

    tag: str = ""
    digest: str = ""
    pushed_at: datetime | None = None
    size: int = 0
    subject: str = ""


@dataclass(frozen=True, slots=True)
class ImageGlob:
    """One pattern of `include` or `exclude`. `tag` is None where it says nothing of tags."""

    repository: re.Pattern[str]
    tag: re.Pattern[str] | None

    @classmethod
    def parse(cls, pattern: str, *, field: str) -> Self:
        """Raises InputError where it cannot be read."""
        repository, colon, tag = pattern.partition(":")
        if not pattern:
            raise InputError(field, "the glob '' names nothing; write one such as team/*:v1.*")
        if "@" in pattern:
            raise InputError(
                field, f"the glob {pattern!r} holds a digest; name such an image with images"
            )
        return cls(
            re.compile(Glob.parse(repository or "**", field=field).expression, re.DOTALL),
            re.compile(Glob.parse(tag, field=field).expression, re.DOTALL) if colon else None,
        )

    def matches(self, repository: str, tag: str) -> bool:
        """An image without a tag ("") is matched only where the pattern says nothing of tags."""
        if self.repository.fullmatch(repository) is None:
            return False
        return self.tag is None or (bool(tag) and self.tag.fullmatch(tag) is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The filters of a task.

    Attributes:
        tags: an expression that a tag must match as a whole.
        versions: a tag must be a version in this range.
        newest: images of each repository, by the time of their push; those whose time is not known
            come last, by version and then by letter. All tags of an image count as one.
        platform: only this image of an index; None for indexes whole.
        untagged: take images without a tag that are neither an index's nor an artifact's.
        index_children: take an index's images also where the index is not taken.
        cosign: take cosign's signatures, attestations and SBOMs of the images that are taken.
        referrers: take OCI 1.1 referrers of the images that are taken.
    """

    include: tuple[ImageGlob, ...] = ()
    exclude: tuple[ImageGlob, ...] = ()
    tags: re.Pattern[str] | None = None
    versions: VersionRange | None = None
    newest: int | None = None
    platform: Platform | None = None
    untagged: bool = False
    index_children: bool = False
    cosign: bool = True
    referrers: bool = False

    @property
    def everything(self) -> bool:
        """No filter leaves out a tag."""
        return not (self.include or self.exclude or self.tags or self.versions or self.newest)

    def selects_repository(self, repository: str) -> bool:
        """False where none of its images can be selected: it need not be listed."""
        if self.include and not any(g.repository.fullmatch(repository) for g in self.include):
            return False
        return not any(g.tag is None and g.matches(repository, "") for g in self.exclude)

    def covers(self, repository: str, tag: str) -> bool:
        """Whether the tag may be taken at all: what of it cannot be known from its name is left
        open. "" stands for no tag."""
        attached = _ATTACHED.fullmatch(tag)
        if attached is not None:
            wanted = self.cosign if attached["cosign"] else self.referrers
            return wanted and self.selects_repository(repository)
        return self._selects(repository, tag)

    def select(
        self,
        repository: str,
        entries: Iterable[ImageEntry],
        *,
        children: Collection[str] = frozenset(),
    ) -> list[ImageEntry]:
        """The images that are taken for their own sake, in the order of `entries`.

        Args:
            children: digests that indexes of the repository name.
        """
        taken = [entry for entry in entries if self._takes(repository, entry, children)]
        if self.newest is None:
            return taken
        kept = _newest(taken, self.newest)
        return [entry for entry in taken if _image(entry) in kept]

    def attachments(
        self, entries: Sequence[ImageEntry], digests: Iterable[str]
    ) -> list[ImageEntry]:
        """The tags of what belongs to the images that are taken, in the order of `entries`.

        Args:
            digests: of all images that are taken, and of the images of their indexes.
        """
        rest = [(entry, match) for entry in entries if (match := _ATTACHED.fullmatch(entry.tag))]
        rest = [pair for pair in rest if (self.cosign if pair[1]["cosign"] else self.referrers)]
        if self.everything:
            return [entry for entry, _ in rest]
        stems = {attachment_stem(digest) for digest in digests}
        found: set[str] = set()
        while fresh := [e for e, match in rest if match["stem"] in stems and e.tag not in found]:
            found.update(entry.tag for entry in fresh)
            stems.update(attachment_stem(entry.digest) for entry in fresh if entry.digest)
        return [entry for entry, _ in rest if entry.tag in found]

    def _takes(self, repository: str, entry: ImageEntry, children: Collection[str]) -> bool:
        if not entry.tag:
            if entry.subject:
                return False
            wanted = self.index_children if entry.digest in children else self.untagged
            return wanted and self._selects(repository, "")
        return _ATTACHED.fullmatch(entry.tag) is None and self._selects(repository, entry.tag)

    def _selects(self, repository: str, tag: str) -> bool:
        if self.include and not any(glob.matches(repository, tag) for glob in self.include):
            return False
        if any(glob.matches(repository, tag) for glob in self.exclude):
            return False
        if self.tags is not None and (not tag or self.tags.fullmatch(tag) is None):
            return False
        return self.versions is None or self.versions.holds(tag)


def is_attached(tag: str) -> bool:
    """Whether it is the tag of what belongs to another image."""
    return _ATTACHED.fullmatch(tag) is not None


def attachment_stem(digest: str) -> str:
    """What the tags of all that belongs to an image start with.

    >>> attachment_stem("sha256:" + "0" * 64)[:12]
    'sha256-00000'
    """
    algorithm, _, value = digest.partition(":")
    return f"{algorithm}-{value[:_STEM_DIGITS]}"


def compile_tags(expression: str, *, field: str) -> re.Pattern[str]:
    """Raises InputError where it is no regular expression."""
    try:
        return re.compile(expression)
    except re.error as error:
        raise InputError(
            field, f"the regular expression {expression[:80]!r} cannot be read: {error}"
        ) from None


def _newest(entries: Iterable[ImageEntry], count: int) -> set[str]:
    ranks: dict[str, tuple[object, ...]] = {}
    for entry in entries:
        name = _image(entry)
        rank = (entry.pushed_at is not None, entry.pushed_at or _LONG_AGO, tag_rank(entry.tag))
        ranks[name] = max(ranks.get(name, rank), rank)
    return set(sorted(ranks, key=lambda name: (ranks[name], name), reverse=True)[:count])


def _image(entry: ImageEntry) -> str:
    return entry.digest or entry.tag
