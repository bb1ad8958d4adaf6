"""Looking without touching: a scan whose difference is counted and not queued."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from operator import add

from transferhub.model.transfer import RunId, ScanCounts, Shard, Transfer


class Survey:
    """Takes the place of the ledger for a finder that only looks.

    Args:
        see: called with each difference that the scan finds.
        forget: called where the scan begins anew: what was seen is found again.
    """

    def __init__(
        self, see: Callable[[Transfer], None], forget: Callable[[], None] = lambda: None
    ) -> None:
        self._see = see
        self._forget = forget
        self._shards: dict[str, Shard] = {}

    @property
    def counts(self) -> ScanCounts:
        return reduce(add, (shard.counts for shard in self._shards.values()), ScanCounts())

    async def record(
        self, run: RunId, transfers: Sequence[Transfer], shards: Sequence[Shard] = ()
    ) -> int:
        for transfer in transfers:
            self._see(transfer)
        for shard in shards:
            self._shards[shard.ident] = shard
        return len(transfers)

    async def shards(self, run: RunId) -> Sequence[Shard]:
        return list(self._shards.values())

    async def reset(self, run: RunId) -> None:
        self._shards.clear()
        self._forget()
