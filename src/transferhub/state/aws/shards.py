"""The progress of a run's shards."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from hashlib import sha256
from typing import Any

from transferhub.aws.table import ABSENT, Action, Put, Table, When
from transferhub.model.transfer import ScanCounts, Shard
from transferhub.state.aws.counts import Delta

_LONGEST = 900


class ShardRows:
    """A row for each shard of an epoch. Verbs raise AwsError."""

    def __init__(self, table: Table, epoch: str) -> None:
        self._table = table
        self._pk = f"{epoch}|shards"
        self._kept: dict[str, tuple[Shard, int]] = {}

    async def all(self) -> list[Shard]:
        pages = self._table.pages(When("pk = :pk", {":pk": self._pk}))
        return [_shard(item) async for items in pages for item in items]

    async def puts(self, shards: Sequence[Shard], counts: Delta, expires: int) -> list[Action]:
        """What replaces these shards, and adds the difference to the sums."""
        unknown = [_sort_key(at.ident) for at in shards if at.ident not in self._kept]
        for item in await self._table.get_many([{"pk": self._pk, "sk": at} for at in unknown]):
            shard = _shard(item)
            self._kept[shard.ident] = shard, item["version"]
        actions: list[Action] = []
        for shard in shards:
            former, version = self._kept.get(shard.ident, (None, 0))
            counts.add_shard(shard, former)
            same = When("version = :version", {":version": version}) if version else ABSENT
            actions.append(Put(self._item(shard, version + 1, expires), same))
        return actions

    def keep(self, shards: Sequence[Shard]) -> None:
        """They were written."""
        for shard in shards:
            _, version = self._kept.get(shard.ident, (None, 0))
            self._kept[shard.ident] = shard, version + 1

    def forget(self) -> None:
        self._kept.clear()

    def _item(self, shard: Shard, version: int, expires: int) -> dict[str, Any]:
        return {
            "pk": self._pk,
            "sk": _sort_key(shard.ident),
            "version": version,
            "shard": json.dumps(asdict(shard), separators=(",", ":")).encode(),
            "expires": expires,
        }


def _sort_key(ident: str) -> bytes:
    raw = b"s" + ident.encode()
    return raw if len(raw) <= _LONGEST else raw[:_LONGEST] + sha256(raw).digest()


def _shard(item: Mapping[str, Any]) -> Shard:
    fields = json.loads(item["shard"])
    return Shard(**{**fields, "counts": ScanCounts(**fields["counts"])})
