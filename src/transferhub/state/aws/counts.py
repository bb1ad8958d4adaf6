"""The sums of a run. Each process adds to a row of its own, together with what it counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import fields
from hashlib import sha256
from typing import Any

from transferhub.aws.table import Update, When
from transferhub.model.transfer import (
    Action,
    ScanCounts,
    Shard,
    Tally,
    Totals,
    Transfer,
    TransferState,
)

_SCAN = tuple(field.name for field in fields(ScanCounts))
MOVED, PART_BYTES, UPLOADS = "moved", "part_bytes", "uploads"
_SHARDS, _SHARDS_DONE = "shards", "shards_done"
_FAILED = "failed:"


class Delta(Counter[str]):
    """What a change adds to the sums."""

    def add_transfer(self, transfer: Transfer, state: TransferState, sign: int = 1) -> None:
        name = f"{transfer.action}:{state}"
        self[name] += sign
        self[f"{name}:size"] += sign * transfer.size

    def add_failure(self, code: str, size: int, sign: int = 1) -> None:
        name = _FAILED + code_key(code)
        self[name] += sign
        self[f"{name}:size"] += sign * size

    def add_shard(self, shard: Shard, former: Shard | None) -> None:
        self[_SHARDS] += former is None
        self[_SHARDS_DONE] += shard.done - (former is not None and former.done)
        counts = shard.counts - former.counts if former else shard.counts
        for name in _SCAN:
            self[f"scan:{name}"] += getattr(counts, name)

    def to_update(self, partition: str, process: bytes, expires: int) -> Update | None:
        """None where nothing is added."""
        changed = {name: value for name, value in self.items() if value}
        if not changed:
            return None
        names = {f"#n{at}": name for at, name in enumerate(changed)}
        values = {f":v{at}": value for at, value in enumerate(changed.values())}
        adds = ", ".join(f"#n{at} :v{at}" for at in range(len(changed)))
        return Update(
            {"pk": partition, "sk": process},
            When(f"SET expires = :expires ADD {adds}", {":expires": expires, **values}, names),
        )


def counts_of(owner: str) -> str:
    """The partition of the sums of an epoch; and, of uploads, which outlive it, of a run."""
    return f"{owner}|counts"


def code_key(code: str) -> str:
    """Stands for an error code, which may hold anything."""
    return sha256(code.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def summed(rows: Iterable[Mapping[str, Any]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for row in rows:
        total.update({name: value for name, value in row.items() if _is_sum(name)})
    return total


def _is_sum(name: str) -> bool:
    return name not in {"pk", "sk", "expires"}


def totals_of(sums: Counter[str], uploads: int) -> Totals:
    tallies = {
        (action, state): Tally(count, sums[f"{action}:{state}:size"])
        for action in Action
        for state in TransferState
        if (count := sums[f"{action}:{state}"])
    }
    return Totals(
        scan=ScanCounts(**{name: sums[f"scan:{name}"] for name in _SCAN}),
        shards=sums[_SHARDS],
        shards_done=sums[_SHARDS_DONE],
        tallies=tallies,
        moved_bytes=sums[MOVED],
        uploads=uploads,
    )


def failed_codes(sums: Counter[str]) -> dict[str, Tally]:
    """Dead letters by `code_key`."""
    names = [name for name in sums if name.startswith(_FAILED) and not name.endswith(":size")]
    return {
        name.removeprefix(_FAILED): Tally(sums[name], sums[f"{name}:size"])
        for name in names
        if sums[name]
    }
