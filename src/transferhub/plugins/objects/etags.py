"""What etags tell of the bytes that go from one store to another."""

from __future__ import annotations

from collections.abc import Sequence

from transferhub.engine.multipart import expected_etag
from transferhub.engine.verify import verify_written
from transferhub.model.objects import Written
from transferhub.model.transfer import Part
from transferhub.stores.base import ObjectStore


class Etags:
    """The etags of a source and of a destination.

    Attributes:
        tell: false once this process saw that the destination's etags are no MD5s. It spares work;
            what proves a part stands in the ledger (docs/decisions/0013-md5-of-the-servers.md).
    """

    def __init__(self, source: ObjectStore, destination: ObjectStore, *, sse: str) -> None:
        self._source = source
        self._destination = destination
        self._by_key = sse.startswith("aws:kms")
        self.tell = True

    @property
    def prove_writes(self) -> bool:
        """Whether the destination's etags tell what bytes it got."""
        return self._destination.capabilities.md5_etags and self.tell and not self._by_key

    @property
    def may_prove_parts(self) -> bool:
        """Whether the etags of all parts together may turn out to be that of the source."""
        return self._source.capabilities.md5_etags and self.prove_writes

    def expected(self, parts: Sequence[Part]) -> str:
        """The destination's etag of an object of these parts; "" where it cannot be told."""
        return expected_etag(parts) if self._destination.capabilities.md5_etags else ""

    def verify(self, key: str, written: Written, expected: str) -> None:
        """Raises CorruptError where a write gave another etag than its bytes must have."""
        verify_written(
            key,
            written,
            expected,
            md5_etags=self._destination.capabilities.md5_etags,
            where=self._destination.location,
        )
