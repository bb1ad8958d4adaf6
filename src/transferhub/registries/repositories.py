"""The port to the repositories of a registry: how they are listed, made and emptied."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from transferhub.registries.manifest import Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class TagRule:
    """Whether tags may be moved, as Amazon ECR has it; `exceptions` hold `*` for any letters."""

    immutable: bool = False
    exceptions: tuple[str, ...] = ()

    def is_immutable(self, tag: str) -> bool:
        return self.immutable is not any(_wildcard(e).fullmatch(tag) for e in self.exceptions)


MOVABLE: Final = TagRule()


def _wildcard(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in pattern.split("*")), re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedImage:
    """An image as a registry lists it.

    Attributes:
        tags: those that were wanted; none of an image without.
        media_type: of its manifest; "" where the listing does not say.
        size: bytes of its blobs; 0 where the listing does not say.
        pushed_at: None where the registry does not say.
    """

    digest: Digest
    tags: tuple[str, ...] = ()
    media_type: str = ""
    size: int = 0
    pushed_at: datetime | None = None


class Repositories(Protocol):
    """Verbs raise what those of a Registry do, and may be asked at once."""

    def names(self) -> AsyncIterator[str]:
        """All that the login may see, each once.

        Raises:
            UnsupportedError: code "no_catalog", the registry does not say.
        """

    async def rule(self, name: str) -> TagRule | None:
        """Of a repository that images can be put into; None: it has to be created before."""

    def images(self, name: str, *, wanted: Callable[[str], bool]) -> AsyncIterator[ListedImage]:
        """What a repository holds, as far as the registry lists it; nothing of one that is not
        there. Images without tags are told of by Amazon ECR alone, and what has several tags may
        come once for each.

        Args:
            wanted: of a tag; others are left out, and cost nothing where each one would cost a
                request.
        """

    async def create(self, name: str) -> None:
        """Idempotent. A registry that creates by the first push does nothing."""

    async def delete(self, name: str, tag: str, digest: Digest, *, shared: bool) -> None:
        """Takes a tag away, and its image with the last of them. One that is not there raises
        NotFoundError.

        Args:
            shared: the image has other tags, which stay.

        Raises:
            UnsupportedError: the registry can only delete an image with all of its tags.
        """

    async def aclose(self) -> None: ...
