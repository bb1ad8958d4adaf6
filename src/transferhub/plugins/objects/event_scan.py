"""A finder for keys that changed: each is looked at as it is now, and nothing is listed."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from transferhub.engine.compare import Comparison
from transferhub.engine.execution import DeleteGuard
from transferhub.engine.groups import each
from transferhub.engine.merge import Selection, Verdict
from transferhub.errors import DeniedError, GuardError, NotFoundError, UnsupportedError
from transferhub.model.clock import Clock, utc_now
from transferhub.model.event import Waiting
from transferhub.model.objects import ObjectEntry
from transferhub.model.run import TaskId
from transferhub.model.transfer import (
    OPEN_STATES,
    Action,
    Difference,
    RunId,
    ScanCounts,
    Shard,
    Totals,
    Transfer,
    TransferRecord,
    TransferState,
)
from transferhub.plugins.objects.keymap import KeyMap
from transferhub.state.base import Ledger
from transferhub.state.events import Inbox
from transferhub.stores.base import ObjectStore

IDLE = timedelta(seconds=30)
"""A run ends when no event came for so long: until then the next one costs no start of a process,
and its worker is awake."""

LONGEST = timedelta(hours=1)
"""However many events come, a run ends after so long: its report is written, and what people
changed about the task holds for the next one."""

PAUSE = timedelta(seconds=0.25)
"""Between looks into the inbox: short beside the two seconds that a change may take."""

_WINDOW = 1_000
"""Keys that may be looked at and not copied yet; they stay in the inbox so long."""

_BATCH = 200
"""Keys that are looked at before any of them is copied."""

_SHARD = "0"


class EventGuard:
    """The limits of mirroring, for runs that do not list: they hold for all deletes together since
    a run last listed, or a run of deletes would pass in small pieces."""

    def __init__(
        self, limits: DeleteGuard, destination: str, *, seen: int = 0, deleted: int = 0
    ) -> None:
        """Args:
        seen: objects of the destination when it was last listed; 0 where it never was, and no
            share of them is a limit.
        deleted: by runs of events since then.
        """
        self._limits = limits
        self._destination = destination
        self._seen = seen
        self._deleted = deleted
        self.tripped: GuardError | None = None

    @property
    def delete(self) -> bool:
        return self._limits.delete

    def admits(self, extra: int) -> bool:
        """Whether this run may delete so many keys in all."""
        try:
            self._limits.check_count(self._deleted + extra, self._seen, self._destination)
        except GuardError as error:
            self.tripped = GuardError(
                f"events would delete {self._deleted + extra} objects from {self._destination}"
                f" since it was last listed, more than --{error.code.replace('_', '-')} allows; the"
                " last ones are held. Start a run, which lists and asks again, and raise the limit"
                " if they may go",
                code=error.code,
            )
            return False
        return True

    def check(self, totals: Totals, destination: str) -> None:
        if totals.tally(Action.DELETE, TransferState.HELD).count:
            self.admits(totals.tally(Action.DELETE, *TransferState).count)
        if self.tripped is not None:
            raise self.tripped


async def _stays() -> bool:
    return False


async def _sleep(duration: timedelta) -> None:
    await asyncio.sleep(duration.total_seconds())


@dataclass(frozen=True, slots=True, kw_only=True)
class Following:
    """Whose events are followed, and for how long.

    Attributes:
        gives_way: true once this run had better end: another one of the task waits, or the task
            changed.
    """

    task: TaskId
    inbox: Inbox
    ledger: Ledger
    guard: EventGuard
    gives_way: Callable[[], Awaitable[bool]] = _stays
    clock: Clock = utc_now
    wait: Callable[[timedelta], Awaitable[None]] = _sleep


@dataclass(slots=True)
class _Round:
    """What one look into the inbox found.

    Attributes:
        ended: of which nothing is left to do.
        fresh: to be looked at.
        open: being copied or deleted.
        more: others wait to be looked at.
    """

    ended: list[Waiting] = field(default_factory=list)
    fresh: list[Waiting] = field(default_factory=list)
    open: int = 0
    more: bool = False


class EventScan:
    """Looks at the keys in the inbox, and records what is to be copied or deleted.

    An event leaves the inbox when its transfer has ended, whatever becomes of this run before. A
    key that changes while it is copied is looked at again after that. What an event says of the
    object counts for nothing: the source is asked.
    """

    def __init__(
        self,
        following: Following,
        *,
        run: RunId,
        source: ObjectStore,
        destination: ObjectStore,
        keys: KeyMap,
        prefixes: Sequence[str],
        selection: Selection,
        comparison: Comparison,
        concurrency: int,
    ) -> None:
        self._following = following
        self._run = run
        self._source = source
        self._destination = destination
        self._keys = keys
        self._prefixes = sorted(prefixes)
        self._selection = selection
        self._comparison = comparison
        self._concurrency = concurrency
        self._counts = ScanCounts()
        self._looked: dict[str, int] = {}

    async def find(self) -> None:
        """Returns when no event came for IDLE, after LONGEST, or when it is to give way; and when
        all that it recorded has ended.

        Raises:
            StoreError, StateError: what is not done stays in the inbox.
        """
        ledger, clock = self._following.ledger, self._following.clock
        known = await ledger.shards(self._run)
        self._counts = known[0].counts if known else ScanCounts()
        await ledger.record(self._run, [], [self._shard(done=False)])
        began = heard = clock()
        while True:
            ending = await self._must_end(began, heard)
            found = await self._look_into_inbox(take=not ending)
            if found.ended or found.open:
                heard = clock()
            if ending and not found.open:
                break
            if not found.more:
                await self._following.wait(PAUSE)
        await ledger.record(self._run, [], [self._shard(done=True)])

    async def _must_end(self, began: datetime, heard: datetime) -> bool:
        now = self._following.clock()
        return (
            now - heard >= IDLE
            or now - began >= LONGEST
            or self._following.guard.tripped is not None
            or await self._following.gives_way()
        )

    def _shard(self, *, done: bool) -> Shard:
        return Shard(ident=_SHARD, done=done, detail="{}", counts=self._counts)

    # The inbox

    async def _look_into_inbox(self, *, take: bool) -> _Round:
        task, inbox = self._following.task, self._following.inbox
        waiting = await inbox.waiting(task, limit=_WINDOW)
        if not waiting:
            return _Round()
        known = await self._following.ledger.known(self._run, [at.key for at in waiting])
        found = self._sorted(waiting, known)
        if take and found.fresh:
            found.more = len(found.fresh) > _BATCH
            ended = await self._look_at(found.fresh[:_BATCH], known)
            found.open += len(found.fresh[:_BATCH]) - len(ended)
            found.ended += ended
        await inbox.done(task, found.ended)
        for at in found.ended:
            self._looked.pop(at.key, None)
        return found

    def _sorted(self, waiting: Sequence[Waiting], known: Mapping[str, TransferRecord]) -> _Round:
        found = _Round()
        for at in waiting:
            looked = self._looked.get(at.key)
            if at.key in known and known[at.key].state in OPEN_STATES:
                found.open += 1
            elif looked == at.mark:
                found.ended.append(at)
            else:
                found.fresh.append(at)
        return found

    # Looking

    async def _look_at(
        self, fresh: Sequence[Waiting], known: Mapping[str, TransferRecord]
    ) -> list[Waiting]:
        """Records what is to be done; returns those for which nothing is."""
        verdict = await self._compare([at.key for at in fresh if self._is_ours(at.key)], known)
        before, self._counts = self._counts, self._counts + self._counted(verdict, known)
        transfers = [self._admitted(transfer) for transfer in verdict.transfers]
        shard = self._shard(done=False)
        if not await self._following.ledger.replace(self._run, transfers, [shard]):
            self._counts = before  # a dead letter was queued again meanwhile; it ends first
            return []
        to_do = {at.key for at in transfers if at.state is TransferState.WAITING}
        self._looked |= {at.key: at.mark for at in fresh if at.key in to_do}
        return [at for at in fresh if at.key not in to_do]

    def _counted(self, verdict: Verdict, known: Mapping[str, TransferRecord]) -> ScanCounts:
        """What the look adds: a key that begins anew counts once, as it is now."""
        fallbacks, self._comparison.fallbacks = self._comparison.fallbacks, 0
        counts = replace(verdict.counts, fallbacks=fallbacks)
        for transfer in verdict.transfers:
            if transfer.key in known:
                counts -= _counts_of(known[transfer.key].transfer)
        return counts

    def _admitted(self, transfer: Transfer) -> Transfer:
        guard = self._following.guard
        deletes = transfer.action is Action.DELETE and guard.delete
        if deletes and guard.admits(self._counts.extra):
            return transfer._replace(state=TransferState.WAITING)
        return transfer

    def _is_ours(self, key: str) -> bool:
        """Whether the task means the key, before its filters are asked."""
        base = self._keys.source_base
        relative = key.removeprefix(base)
        at = bisect_right(self._prefixes, relative)  # none of them starts with another
        return key.startswith(base) and at > 0 and relative.startswith(self._prefixes[at - 1])

    async def _compare(self, keys: Sequence[str], known: Mapping[str, TransferRecord]) -> Verdict:
        verdict = Verdict()
        pairs = await each(self._pair, keys, limit=self._concurrency)
        for key, (source, destination) in zip(keys, pairs, strict=True):
            relative = self._keys.relative_of_source(key)
            verdict.scanned_destination += destination is not None
            if source is None:
                if destination is not None and self._selection.selects_key(relative):
                    verdict.is_extra(key, destination)
                continue
            verdict.scanned_source += 1
            verdict.source_bytes += source.size
            if not self._selects(relative, source):
                verdict.filtered += 1
            elif destination is None:
                verdict.differs(source, Difference.NEW)
            elif self._is_another(source, known) or await self._differs(source, destination):
                verdict.differs(source, Difference.CHANGED)
            else:
                verdict.same += 1
        return verdict

    async def _pair(self, key: str) -> tuple[ObjectEntry | None, ObjectEntry | None]:
        return await asyncio.gather(
            _entry(self._source, key, hidden=_unseen(key)),
            _entry(self._destination, self._keys.landing(key), hidden=None),
        )

    def _selects(self, relative: str, source: ObjectEntry) -> bool:
        if source == _unseen(source.key):
            return self._selection.selects_key(relative)
        return self._selection.selects(relative, source)

    def _is_another(self, source: ObjectEntry, known: Mapping[str, TransferRecord]) -> bool:
        """Whether this run copied another version of the object: that needs no clock."""
        if source.key not in known or not self._comparison.tells_versions:
            return False
        former = known[source.key].transfer
        was = (former.size, former.etag, former.modified_at)
        is_now = (source.size, source.etag, source.modified_at)
        return former.action is Action.COPY and was != is_now

    async def _differs(self, source: ObjectEntry, destination: ObjectEntry) -> bool:
        if source == _unseen(source.key):
            return True
        if self._comparison.by_entry(source, destination) is Difference.CHANGED:
            return True
        if not self._comparison.needs_checksums:
            return False
        return await self._comparison.by_checksum(source, destination) is Difference.CHANGED


def _unseen(key: str) -> ObjectEntry:
    """Stands for an object that the source does not show: it may be there or not. Its copy meets
    the cause and says it; it is never taken for gone."""
    return ObjectEntry(key, 0, "", None)


async def _entry(store: ObjectStore, key: str, *, hidden: ObjectEntry | None) -> ObjectEntry | None:
    """None where there is none; `hidden` where the store does not let it be seen."""
    try:
        info = await store.head(key)
    except NotFoundError as error:
        if error.code != "not_found":
            raise
        return None
    except (DeniedError, UnsupportedError):
        return hidden
    return ObjectEntry(key, info.size, info.etag, info.modified_at, info.storage_class)


def _counts_of(transfer: Transfer) -> ScanCounts:
    """What a transfer was counted as when it was recorded."""
    size = transfer.size
    if transfer.action is Action.DELETE:
        return ScanCounts(extra=1)
    if transfer.state is TransferState.ARCHIVED:
        return ScanCounts(scanned_source=1, archived=1, source_bytes=size)
    if transfer.difference is Difference.NEW:
        return ScanCounts(scanned_source=1, new=1, source_bytes=size, copy_bytes=size)
    return ScanCounts(scanned_source=1, changed=1, source_bytes=size, copy_bytes=size)
