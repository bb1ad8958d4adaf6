"""An image on its way."""

from __future__ import annotations

from dataclasses import dataclass

from transferhub.errors import CorruptError, NotFoundError
from transferhub.plugins.images.sides import OpenRegistry
from transferhub.registries.manifest import Digest


class GoneError(Exception):
    """The source has the image no more: an end, not a failure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """An image to carry.

    Attributes:
        repository: of the source.
        goes_to: repository of the destination.
        reference: the tag or digest that it gets there.
        near: other repositories of the destination that may have blobs of it.
    """

    source: OpenRegistry
    repository: str
    goes_to: str
    digest: Digest
    reference: str
    near: tuple[str, ...] = ()

    async def lacking(self, error: NotFoundError) -> Exception:
        """What it means that the source has not all of the image."""
        try:
            await self.source.registry.head(self.repository, self.digest)
        except NotFoundError:
            return GoneError(error.message)
        return CorruptError(
            f"{error.message.removesuffix('.')}: the source has the image, but not all that it"
            " names; push it there again.",
            code="no_blob",
        )
