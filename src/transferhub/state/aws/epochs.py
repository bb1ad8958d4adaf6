"""`Epochs`: what is known of runs. An epoch begins with a run, and anew when it is reset."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple
from uuid import uuid4

from transferhub.aws.attributes import Item
from transferhub.aws.table import ABSENT, PRESENT, Table, When
from transferhub.model.clock import Clock
from transferhub.model.transfer import RunId
from transferhub.state.aws.counts import counts_of
from transferhub.state.aws.expiry import KEPT
from transferhub.state.aws.group import Group
from transferhub.state.aws.groups import Change, Groups, partitions, uploads_of
from transferhub.state.aws.shards import ShardRows
from transferhub.state.values import to_micros

_SURE_SECONDS = 10.0
"""For how long it is taken for granted that no other process has reset a run. Until then this one
writes to rows of the former epoch, which nobody reads any more."""

_RUNS = "runs"


class Epoch(NamedTuple):
    run: RunId
    groups: Groups
    shards: ShardRows

    @property
    def ident(self) -> str:
        return self.groups.epoch


class Epochs:
    """Verbs raise AwsError."""

    def __init__(self, table: Table, clock: Clock) -> None:
        self._table = table
        self._clock = clock
        self._process = uuid4().bytes
        self._known: dict[RunId, tuple[float, Epoch]] = {}

    def now(self) -> int:
        """Microseconds since 1970."""
        return to_micros(self._clock())

    def expires(self) -> int:
        """When a row that is written now may be deleted, in seconds since 1970."""
        return int((self._clock() + KEPT).timestamp())

    def change(self, epoch: Epoch) -> Change:
        return epoch.groups.change(self.expires())

    async def of(self, run: RunId) -> Epoch | None:
        """The run's present epoch; None where nothing is known of the run."""
        seen, epoch = self._known.get(run, (0.0, None))
        if epoch is not None and time.monotonic() - seen < _SURE_SECONDS:
            return epoch
        row = await self._row(run)
        if row is None:
            self._known.pop(run, None)
            return None
        return self._keep(run, row["epoch"], row["root"])

    def forget(self) -> None:
        """Takes nothing for granted any more."""
        self._known.clear()

    async def begun(self, run: RunId) -> Epoch:
        """The run's epoch; its first one where nothing was known of it."""
        while (epoch := await self.of(run)) is None:
            ident, root = uuid4().hex, uuid4().hex
            # Its group before its row: whoever knows of the epoch finds that one.
            await self._first_group(ident)
            row = {
                "pk": _RUNS,
                "sk": _run_key(run),
                "run": str(run),
                "epoch": ident,
                "root": root,
                "expires": self.expires(),
            }
            expired = When("attribute_not_exists(pk) OR expires <= :now", {":now": self._second()})
            if await self._table.put(row, expired):
                return self._keep(run, ident, root)
            await self._end_purge(run)
        return epoch

    async def _end_purge(self, run: RunId) -> None:
        row = await self._table.get({"pk": _RUNS, "sk": _run_key(run)})
        if row is not None and "gone" in row:
            await self.purge(run)

    async def reset(self, run: RunId) -> None:
        """Begins a new epoch; nothing of the former ones stays but their uploads."""
        row = await self._row(run)
        if row is None:
            return
        fresh, former = uuid4().hex, [*row.get("former", ()), row["epoch"]]
        await self._first_group(fresh)
        change = When(
            "SET epoch = :fresh, former = :former, expires = :expires",
            {":fresh": fresh, ":former": former, ":expires": self.expires()},
        )
        same = When("epoch = :epoch", {":epoch": row["epoch"]})
        key = {"pk": row["pk"], "sk": row["sk"]}
        if await self._table.update(key, change, same) is None:
            return  # another process has reset it just now
        self._known.pop(run, None)
        for epoch in former:
            await self._erase(partitions(epoch))
        erased = When("epoch = :fresh", {":fresh": fresh})
        await self._table.update(key, When("REMOVE former"), erased)

    async def purge(self, run: RunId) -> None:
        """Its row goes last: where this was interrupted, once more goes on, and so does a new
        beginning of the run."""
        key = {"pk": _RUNS, "sk": _run_key(run)}
        row = await self._table.update(key, When("SET gone = :gone", {":gone": True}), PRESENT)
        self._known.pop(run, None)
        if row is None:
            return
        for epoch in (*row.get("former", ()), row["epoch"]):
            await self._erase(partitions(epoch))
        await self._erase([uploads_of(row["root"]), counts_of(row["root"])])
        same = When("epoch = :epoch AND gone = :gone", {":epoch": row["epoch"], ":gone": True})
        await self._table.delete(key, same)

    async def runs(self, after: str, limit: int) -> Sequence[RunId]:
        """In the order of their bytes."""
        which = When("pk = :pk AND sk > :after", {":pk": _RUNS, ":after": _run_key(after)})
        alive = When("expires > :now AND attribute_not_exists(gone)", {":now": self._second()})
        found: list[RunId] = []
        async for items in self._table.pages(which, keep=alive):
            found += [RunId(item["run"]) for item in items]
            if len(found) >= limit:
                break
        return found[:limit]

    async def _row(self, run: RunId) -> Item | None:
        row = await self._table.get({"pk": _RUNS, "sk": _run_key(run)})
        # DynamoDB takes days to delete what has expired.
        is_there = row is not None and row["expires"] > self._second() and "gone" not in row
        return row if is_there else None

    def _keep(self, run: RunId, ident: str, root: str) -> Epoch:
        _, known = self._known.get(run, (0.0, None))
        if known is None or known.ident != ident:
            groups = Groups(self._table, ident, root, self._process)
            known = Epoch(run, groups, ShardRows(self._table, ident))
        self._known[run] = (time.monotonic(), known)
        return known

    async def _first_group(self, epoch: str) -> None:
        first = Group(low=b"", until=None, version=0, body=b"", born=self.now(), entries=[])
        await self._table.put(first.item(epoch, self.expires()), ABSENT)

    async def _erase(self, those: Iterable[str]) -> None:
        for partition in those:
            async for items in self._table.pages(When("pk = :pk", {":pk": partition})):
                await self._table.write(deletes=[{"pk": at["pk"], "sk": at["sk"]} for at in items])

    def _second(self) -> int:
        return int(self._clock().timestamp())


def _run_key(run: str) -> bytes:
    return b"r" + run.encode()
