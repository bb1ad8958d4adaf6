"""A finder for keys that the user names: nothing is listed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from transferhub.engine.compare import Comparison
from transferhub.engine.finder import ScanRecord
from transferhub.engine.groups import each
from transferhub.engine.merge import Selection, Verdict
from transferhub.errors import DeniedError, NotFoundError, UnsupportedError
from transferhub.model.objects import ObjectEntry
from transferhub.model.transfer import Difference, RunId, ScanCounts, Shard, Transfer
from transferhub.plugins.objects.keymap import KeyMap
from transferhub.stores.base import ObjectStore

_SHARD = "0"


class ManifestScan:
    """Looks each key up on both sides and records the difference.

    A key that a side does not have, or does not show, is never SAME: its copy finds it vanished,
    denied or impossible, and the report says so.
    """

    def __init__(
        self,
        *,
        run: RunId,
        ledger: ScanRecord,
        source: ObjectStore,
        destination: ObjectStore,
        keys: KeyMap,
        selection: Selection,
        comparison: Comparison,
        concurrency: int,
    ) -> None:
        self._run = run
        self._ledger = ledger
        self._source = source
        self._destination = destination
        self._keys = keys
        self._selection = selection
        self._comparison = comparison
        self._concurrency = concurrency

    async def find(self, chunks: AsyncIterator[list[str]]) -> None:
        """Goes on after the last chunk that was recorded."""
        known = await self._ledger.shards(self._run)
        counts = known[0].counts if known else ScanCounts()
        skip = json.loads(known[0].detail)["chunks"] if known else 0
        if known and known[0].done:
            return
        number = 0
        async for chunk in chunks:
            number += 1
            if number <= skip:
                continue
            verdict = await self._look(chunk)
            counts += replace(verdict.counts, fallbacks=self._take_fallbacks())
            await self._save(verdict.transfers, number, counts, done=False)
        await self._save([], number, counts, done=True)

    def _take_fallbacks(self) -> int:
        gained, self._comparison.fallbacks = self._comparison.fallbacks, 0
        return gained

    async def _save(
        self, transfers: Sequence[Transfer], chunks: int, counts: ScanCounts, *, done: bool
    ) -> None:
        detail = json.dumps({"chunks": chunks})
        shard = Shard(ident=_SHARD, done=done, detail=detail, counts=counts)
        await self._ledger.record(self._run, transfers, [shard])

    async def _look(self, keys: list[str]) -> Verdict:
        verdict = Verdict(scanned_source=len(keys))
        pairs = await each(self._pair, keys, limit=self._concurrency)
        for relative, (source, destination) in zip(keys, pairs, strict=True):
            verdict.scanned_destination += destination is not None
            if source is None:
                self._cannot_see(verdict, relative, destination)
                continue
            verdict.source_bytes += source.size
            if not self._selection.selects(relative, source):
                verdict.filtered += 1
            elif destination is None:
                verdict.differs(source, Difference.NEW)
            elif await self._differs(source, destination):
                verdict.differs(source, Difference.CHANGED)
            else:
                verdict.same += 1
        return verdict

    def _cannot_see(self, verdict: Verdict, relative: str, destination: ObjectEntry | None) -> None:
        """Queues a key of which the source says nothing: the copy meets the cause and says it."""
        if not self._selection.selects_key(relative):
            verdict.filtered += 1
            return
        unknown = ObjectEntry(self._keys.source_key(relative), 0, "", None)
        verdict.differs(unknown, Difference.CHANGED if destination else Difference.NEW)

    async def _pair(self, relative: str) -> tuple[ObjectEntry | None, ObjectEntry | None]:
        return await asyncio.gather(
            _entry(self._source, self._keys.source_key(relative)),
            _entry(self._destination, self._keys.destination_key(relative)),
        )

    async def _differs(self, source: ObjectEntry, destination: ObjectEntry) -> bool:
        if self._comparison.by_entry(source, destination) is Difference.CHANGED:
            return True
        if not self._comparison.needs_checksums:
            return False
        return await self._comparison.by_checksum(source, destination) is Difference.CHANGED


async def _entry(store: ObjectStore, key: str) -> ObjectEntry | None:
    """None where there is none, or none to be seen."""
    try:
        info = await store.head(key)
    except (NotFoundError, DeniedError, UnsupportedError):
        return None
    return ObjectEntry(key, info.size, info.etag, info.modified_at, info.storage_class)
