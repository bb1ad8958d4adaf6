"""The finder: lists both sides range by range, compares them and records the difference."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field, replace
from itertools import groupby, pairwise
from pathlib import Path
from typing import Protocol

from transferhub.engine.compare import Comparison
from transferhub.engine.disk_sort import DiskSort, SortedListing
from transferhub.engine.far_end import far_end
from transferhub.engine.groups import each, first_error
from transferhub.engine.listing import (
    Listing,
    OrderError,
    Side,
    StoreListing,
    first_key,
)
from transferhub.engine.merge import Pair, Selection, Verdict, decide
from transferhub.engine.pace import Pace
from transferhub.engine.ranges import Alphabet, common_prefix
from transferhub.engine.shards import Edge, RangeShard
from transferhub.errors import RunError, StoreError
from transferhub.model.objects import ObjectEntry
from transferhub.model.transfer import Difference, RunId, ScanCounts, Shard, Transfer

_SAVE_SECONDS = 1.0
"""A range without differences saves its cursor this often."""

_SAVE_TRANSFERS = 500
_SORTED_SCOPES = 4
_SAMPLE_STEP = 17
_LOOKS = 3
"""How often ranges that do not fit together are looked at again: keys come and go meanwhile."""


class ScanRecord(Protocol):
    """The part of the ledger that a finder writes."""

    async def record(
        self, run: RunId, transfers: Sequence[Transfer], shards: Sequence[Shard] = ()
    ) -> int: ...

    async def shards(self, run: RunId) -> Sequence[Shard]: ...

    async def reset(self, run: RunId) -> None: ...


EntryPages = Callable[[], AsyncIterator[list[ObjectEntry]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What to compare, and how.

    Attributes:
        prefixes: relative, none of which starts with another; [""] is everything.
        spool: a folder for sorting on disk.
        inventory: the source's entries, in any order, instead of its own listing.
    """

    source: Side
    destination: Side
    prefixes: Sequence[str]
    comparison: Comparison
    selection: Selection
    spool: Path
    listers: int
    inventory: EntryPages | None = None


@dataclass(slots=True)
class _Queue:
    """Ranges that wait for a lister. `idle` listers wait for a range; `active` ranges are not done;
    `sharing` is the task that cuts some of them for idle listers."""

    waiting: asyncio.Queue[RangeShard | None] = field(default_factory=asyncio.Queue)
    idle: int = 0
    active: dict[str, RangeShard] = field(default_factory=dict)
    sharing: asyncio.Task[None] | None = None

    @property
    def unserved(self) -> int:
        """Idle listers for whom no range waits."""
        return self.idle - self.waiting.qsize()


class Finder:
    """Compares the two sides of a scan once. `find` may be called again after a crash: it goes
    on."""

    def __init__(
        self, run: RunId, ledger: ScanRecord, scan: Scan, *, talk: Callable[[str], None]
    ) -> None:
        self._run = run
        self._ledger = ledger
        self._scan = scan
        self._talk = talk
        self._alphabet = Alphabet()
        self._saving = asyncio.Lock()
        self._save_error: BaseException | None = None
        self._names = 0
        self._unordered = frozenset(() if scan.inventory is None else ("source",))
        self._fallbacks = scan.comparison.fallbacks
        self._queue = _Queue()
        self._pace = Pace(scan.listers)

    async def find(self) -> None:
        """Returns when every range is compared and recorded.

        Raises:
            StoreError, StateError
        """
        shards = await self._begin()
        while True:
            try:
                await self._walk_all(shards)
                await self._stitch(shards)
            except OrderError as disorder:
                shards = await self._restart(disorder)
            else:
                return

    async def _begin(self) -> list[RangeShard]:
        known = [RangeShard.from_record(record) for record in await self._ledger.shards(self._run)]
        if known:
            self._names = 1 + max(int(shard.ident) for shard in known)
            self._unordered = self._unordered.union(*(shard.unordered for shard in known))
            return known
        shards = [
            RangeShard(ident=self._name(), scope=index, prefix=prefix, unordered=self._unordered)
            for index, prefix in enumerate(self._scan.prefixes)
        ]
        await self._save(shards)
        return shards

    async def _restart(self, disorder: OrderError) -> list[RangeShard]:
        side = "source" if disorder.store is self._scan.source.store else "destination"
        self._unordered |= {side}
        self._talk(f"the {side} does not list in byte order ({disorder}); sorting it on disk")
        self._save_error = None  # a save that the disorder cut short: nothing of it counts
        await self._ledger.reset(self._run)
        return await self._begin()

    def _name(self) -> str:
        self._names += 1
        return str(self._names - 1)

    # Walking ranges

    async def _walk_all(self, shards: list[RangeShard]) -> None:
        queue = self._queue = _Queue()
        self._pace = Pace(self._scan.listers)
        todo = [shard for shard in shards if not shard.done]
        if not todo:
            return
        for shard in todo:
            queue.waiting.put_nowait(shard)
            queue.active[shard.ident] = shard
        listers = _SORTED_SCOPES if self._unordered else self._scan.listers
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(listers):
                    group.create_task(self._lister(shards, listers, group))
        except BaseExceptionGroup as group:
            raise first_error(group) from None

    async def _lister(
        self, shards: list[RangeShard], listers: int, group: asyncio.TaskGroup
    ) -> None:
        queue = self._queue
        while True:
            queue.idle += 1
            shard = await queue.waiting.get()
            queue.idle -= 1
            if shard is None:
                return
            await self._walk(shard, shards, group)
            del queue.active[shard.ident]
            if not queue.active:
                for _ in range(listers):
                    queue.waiting.put_nowait(None)

    async def _walk(
        self, shard: RangeShard, shards: list[RangeShard], group: asyncio.TaskGroup
    ) -> None:
        async with AsyncExitStack() as stack:
            async with asyncio.TaskGroup() as opening:
                sides = (("source", self._scan.source), ("destination", self._scan.destination))
                opened = [
                    opening.create_task(self._open(name, side, shard, stack))
                    for name, side in sides
                ]
            source, destination = shard.listings = tuple(task.result() for task in opened)
            while not shard.done:
                await asyncio.gather(source.fill(), destination.fill())
                await self._advance(shard, source, destination)
                self._pace.note_page()
                await self._save_if_due(shard)
                self._share_with_idle(shards, group)
            shard.listings = ()

    async def _advance(self, shard: RangeShard, source: Listing, destination: Listing) -> None:
        self._alphabet.learn(_sample(source.keys))
        self._alphabet.learn(_sample(destination.keys))
        horizon = min(
            (side.keys[-1] for side in (source, destination) if not side.ended), default=None
        )
        ours, theirs = source.take(horizon), destination.take(horizon)
        verdict = decide(
            ours,
            theirs,
            base=self._scan.source.base,
            compare=self._scan.comparison.by_entry,
            same_at_a_glance=self._scan.comparison.same_at_a_glance,
            selection=self._scan.selection,
            confirm=self._scan.comparison.needs_checksums,
        )
        await self._confirm(verdict)
        shard.pages += 1
        shard.pending += verdict.transfers
        shard.counts += self._with_fallbacks(verdict.counts)
        shard.position = horizon if horizon is not None else (shard.until or shard.position)
        _note_edge(shard.source, source, ours[0])
        _note_edge(shard.destination, destination, theirs[0])
        shard.done = horizon is None
        shard.unsaved = True
        shard.estimate(self._alphabet)

    async def _save_if_due(self, shard: RangeShard) -> None:
        if not _is_due(shard):
            return
        async with self._saving:
            if _is_due(shard):  # and was not saved beside another meanwhile
                await self._record(self._due_with(shard))

    def _due_with(self, shard: RangeShard) -> list[RangeShard]:
        """The range and others to save in one transaction: cut at once, they are due at once, and
        would wait for each other while their pages come in."""
        chosen, room = [shard], _SAVE_TRANSFERS - len(shard.pending)
        for other in self._queue.active.values():
            if other is not shard and _is_due(other) and len(other.pending) <= room:
                chosen.append(other)
                room -= len(other.pending)
        return chosen

    def _with_fallbacks(self, counts: ScanCounts) -> ScanCounts:
        now = self._scan.comparison.fallbacks
        gained, self._fallbacks = now - self._fallbacks, now
        return replace(counts, fallbacks=gained) if gained else counts

    async def _confirm(self, verdict: Verdict) -> None:
        """Decides pairs that only the objects themselves can tell apart."""

        async def look(pair: Pair) -> Difference:
            try:
                return await self._scan.comparison.by_checksum(*pair)
            except StoreError:
                return Difference.CHANGED  # the copy will meet the cause and say it

        differences = await each(look, verdict.unsure, limit=self._scan.listers)
        for pair, difference in zip(verdict.unsure, differences, strict=True):
            if difference is Difference.SAME:
                verdict.same += 1
            else:
                verdict.differs(pair[0], Difference.CHANGED)

    async def _open(
        self, name: str, side: Side, shard: RangeShard, stack: AsyncExitStack
    ) -> Listing:
        if name not in self._unordered:
            listing = StoreListing(side, shard.prefix, shard.position, shard.until)
            return await stack.enter_async_context(listing)
        sort = stack.enter_context(DiskSort(self._scan.spool))
        async with aclosing(self._entries(name, side, shard.prefix)) as pages:
            await sort.fill(pages)
        return SortedListing(sort.pages(), side.base, shard.position, shard.until)

    async def _entries(
        self, name: str, side: Side, prefix: str
    ) -> AsyncGenerator[list[ObjectEntry]]:
        start = side.base + prefix
        if name == "source" and self._scan.inventory is not None:
            async for page in self._scan.inventory():
                yield [entry for entry in page if entry.key.startswith(start)]
            return
        async with aclosing(side.pages(prefix)) as pages:
            async for page in pages:
                yield page

    # Splitting

    def _share_with_idle(self, shards: list[RangeShard], group: asyncio.TaskGroup) -> None:
        queue = self._queue
        if self._unordered or self._wanted() <= 0:
            return
        if (queue.sharing is None or queue.sharing.done()) and (victims := self._victims()):
            queue.sharing = group.create_task(self._share(victims, shards))

    def _wanted(self) -> int:
        """How many more ranges there had better be."""
        queue = self._queue
        return min(queue.unserved, self._pace.ranges - len(queue.active))

    def _victims(self) -> list[tuple[RangeShard, int]]:
        """The ranges to cut for the idle listers, and into how many each: those with most left."""
        queue = self._queue
        pieces = dict.fromkeys(queue.active, 1)
        for _ in range(self._wanted()):
            name, widest = max(
                queue.active.items(), key=lambda item: item[1].pages_left / pieces[item[0]]
            )
            if not widest.can_be_cut(pieces[name] + 1):
                break
            pieces[name] += 1
        return [(queue.active[name], count) for name, count in pieces.items() if count > 1]

    async def _share(self, victims: list[tuple[RangeShard, int]], shards: list[RangeShard]) -> None:
        """Cuts ranges and queues what is cut off.

        All that a cut makes is recorded together, before anything else is: a record of the left
        range alone would lose the others in a crash. And before those are walked, or two would
        cover the same keys.
        """
        ends = {victim.ident: await self._far_end(victim) for victim, _ in victims}
        queue = self._queue
        cut: list[RangeShard] = []
        new: list[RangeShard] = []
        async with self._saving:
            for victim, pieces in victims:
                rights = self._cut(victim, pieces, ends[victim.ident])
                cut += [victim] if rights else []
                new += rights
            if not new:
                return
            shards += new
            queue.active.update((shard.ident, shard) for shard in new)
            await self._record([*cut, *new])
        for shard in sorted(new, key=lambda shard: shard.after):
            queue.waiting.put_nowait(shard)

    async def _far_end(self, victim: RangeShard) -> str | None:
        listing = victim.open_listing
        if listing is None or not victim.is_far:
            return None
        victim.probed = True
        return await far_end(victim, listing.side, self._alphabet)

    def _cut(self, victim: RangeShard, pieces: int, end: str | None) -> list[RangeShard]:
        """The ranges cut off, one of which is all beyond `end`, where hardly a key is."""
        if victim.done:
            return []
        rights: list[RangeShard] = []
        if end is not None and victim.low < end and (victim.until is None or end < victim.until):
            rights = victim.split_all([end], self._name)
            victim.estimate(self._alphabet)
        rights += victim.split_all(victim.cuts(pieces, self._alphabet), self._name)
        victim.estimate(self._alphabet)
        return rights

    async def _save(self, shards: list[RangeShard]) -> None:
        async with self._saving:
            await self._record(shards)

    async def _record(self, shards: list[RangeShard]) -> None:
        """Records what is pending together with the cursors that produced it. `_saving` is held.

        After one that failed none may follow: it would save cursors beyond transfers that were
        lost.
        """
        if self._save_error is not None:
            raise self._save_error
        records = [shard.to_record() for shard in shards]
        transfers: list[Transfer] = []
        for shard in shards:
            transfers += shard.pending
            shard.pending = []
            shard.unsaved = False
            shard.saved_at = time.monotonic()
        try:
            await self._ledger.record(self._run, transfers, records)
        except BaseException as error:
            self._save_error = error
            raise

    # Proving that ranges touch

    async def _stitch(self, shards: list[RangeShard]) -> None:
        """Holds each range's end against the start of the next: a store that answers in its own
        order could otherwise lose keys between two ranges that are both in order."""
        ranges = sorted(shards, key=lambda shard: (shard.scope, shard.after))
        _refuse_gaps(ranges)
        seams = [
            seam
            for left, right in pairwise(ranges)
            if left.scope == right.scope
            for seam in (
                _Seam(self._scan.source, left, left.source, right.source),
                _Seam(self._scan.destination, left, left.destination, right.destination),
            )
            if seam.end.beyond != seam.start.first
        ]
        await each(self._stitch_seam, seams, limit=self._scan.listers)

    async def _stitch_seam(self, seam: _Seam) -> None:
        side, left = seam.side, seam.left
        border = left.until or ""
        seen, found = seam.end.beyond or "", seam.start.first or ""
        for _ in range(_LOOKS):
            seen = await first_key(side, left.prefix, seam.end.last or left.after, border)
            found = await first_key(side, left.prefix, border, border)
            if seen == found:
                return
        raise OrderError(side.store, seen, found)


@dataclass(frozen=True, slots=True)
class _Seam:
    """Where a range ends and the next one starts, as one side listed them."""

    side: Side
    left: RangeShard
    end: Edge
    start: Edge


def _refuse_gaps(ranges: Sequence[RangeShard]) -> None:
    """Raises RunError where ranges, in order, do not cover every key of their scopes once."""
    for _, group in groupby(ranges, key=lambda shard: shard.scope):
        scope = list(group)
        ends = ["", *(shard.until for shard in scope)]
        starts = [*(shard.after for shard in scope), None]
        if ends != starts:
            raise RunError(
                "the key ranges that were compared do not cover all keys, so nothing can be said of"
                " the rest; start the transfer again from the beginning"
            )


def _is_due(shard: RangeShard) -> bool:
    """Whether the range is to be saved before its lister goes on."""
    late = time.monotonic() - shard.saved_at > _SAVE_SECONDS
    return shard.unsaved and (shard.done or late or len(shard.pending) >= _SAVE_TRANSFERS)


def _note_edge(edge: Edge, listing: Listing, taken: Sequence[str]) -> None:
    if edge.first is None:
        edge.first = listing.first
    if taken:
        edge.last = taken[-1]
    edge.beyond = listing.beyond


def _sample(keys: Sequence[str]) -> list[str]:
    """Some of the ascending keys, without what all of them start with."""
    if not keys:
        return []
    start = len(common_prefix([keys[0], keys[-1]]))
    # Numbered keys at a step of 8 or 10 would show some digits only.
    step = max(1, min(_SAMPLE_STEP, len(keys) // 8))
    return [key[start:] for key in (*keys[::step], keys[-1])]
