"""`Book`: what a MemoryLedger holds of one run."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum
from heapq import heappop, heappush
from itertools import count

from transferhub.model.transfer import (
    OPEN_STATES,
    Action,
    Attempt,
    Part,
    Shard,
    Tally,
    Transfer,
    TransferRecord,
    TransferState,
    Upload,
    UploadRecord,
    WorkKind,
)
from transferhub.state.rules import HISTORY_LIMIT, keeps_replaced_upload, weight

AT_ONCE = datetime.min.replace(tzinfo=UTC)
"""Due of work that never started: it waits in the order of its recording."""


class Stream(IntEnum):
    """The kinds of work that take turns in a batch."""

    PARTS = 0
    AGAIN = 1  # retries, leases that ran out, and FINISH
    FRESH = 2


@dataclass(slots=True, kw_only=True)
class Work:
    """What can be leased: a transfer, its FINISH, or a part."""

    ident: int
    entry: Entry
    due: datetime = AT_ONCE  # of leased work: when its lease runs out
    attempts: int = 0
    token: int = 0  # 0: not leased
    worker: str = ""
    part: Part | None = None

    @property
    def kind(self) -> WorkKind:
        if self.part is not None:
            return WorkKind.PART
        return WorkKind.FINISH if self.entry.finish else WorkKind.TRANSFER

    @property
    def weight(self) -> int:
        transfer = self.entry.transfer
        return weight(self.kind, transfer.action, (self.part or transfer).size)

    @property
    def stream(self) -> Stream:
        if self.part is not None:
            return Stream.PARTS
        return Stream.FRESH if self.due == AT_ONCE else Stream.AGAIN


@dataclass(slots=True, kw_only=True)
class Entry:
    """One transfer."""

    transfer: Transfer
    state: TransferState
    work: Work = field(init=False)
    finish: bool = False
    parts: dict[int, Work] = field(default_factory=dict)
    open_parts: int = 0
    upload: Upload | None = None
    moved_bytes: int = 0
    destination_etag: str = ""
    code: str = ""
    message: str = ""
    note: str = ""
    ended_at: datetime | None = None
    history: deque[Attempt] = field(default_factory=lambda: deque(maxlen=HISTORY_LIMIT))

    def record(self, *, history: bool) -> TransferRecord:
        return TransferRecord(
            transfer=self.transfer,
            state=self.state,
            attempts=self.work.attempts,
            moved_bytes=self.moved_bytes,
            destination_etag=self.destination_etag,
            code=self.code,
            message=self.message,
            note=self.note,
            ended_at=self.ended_at,
            history=tuple(self.history) if history else (),
        )


class Book:
    """The transfers, shards, uploads and queues of one run."""

    def __init__(self, idents: count[int]) -> None:
        self.entries: dict[str, Entry] = {}
        self.shards: dict[str, Shard] = {}
        self.abandoned: list[UploadRecord] = []
        self.moved_bytes = 0
        self._idents = idents
        self._work: dict[int, Work] = {}
        self._queues: dict[Stream, list[tuple[datetime, int]]] = {s: [] for s in Stream}
        self._counts: Counter[tuple[Action, TransferState]] = Counter()
        self._sizes: Counter[tuple[Action, TransferState]] = Counter()

    def add(self, transfer: Transfer) -> None:
        entry = Entry(transfer=transfer, state=transfer.state)
        entry.work = self._new_work(entry)
        self.entries[transfer.key] = entry
        self._count(entry, 1)
        if entry.state is TransferState.WAITING:
            self.queue(entry.work, AT_ONCE)

    def move(self, entry: Entry, state: TransferState, transfer: Transfer | None = None) -> None:
        """Every change of a state or an identity goes through here, so that totals are exact."""
        self._count(entry, -1)
        entry.state = state
        entry.transfer = transfer or entry.transfer
        self._count(entry, 1)

    def queue(self, work: Work, due: datetime) -> None:
        """Lets the work be leased from `due` on, whoever has it now."""
        work.due = due
        heappush(self._queues[work.stream], (due, work.ident))

    def held(self, ident: int | str, token: int | str) -> Work | None:
        """The work of a lease, unless the lease is stale."""
        work = self._work.get(ident) if isinstance(ident, int) else None
        return work if work is not None and work.token == token != 0 else None

    def leased(self) -> Iterator[Work]:
        return (work for work in [*self._work.values()] if work.token)

    def due(self, now: datetime, limit: int) -> list[list[Work]]:
        """Up to `limit` pieces of work of each stream that may be leased now; see `put_back`."""
        return [[*self._pop_due(self._queues[stream], now, limit)] for stream in Stream]

    def put_back(self, streams: Iterable[Iterable[Work]]) -> None:
        """Queues again what `due` gave."""
        for stream in streams:
            for work in stream:
                self.queue(work, work.due)

    def save_upload(self, entry: Entry, upload: Upload) -> None:
        if keeps_replaced_upload(entry.upload, upload):
            self.abandon(entry)
        entry.upload = upload

    def abandon(self, entry: Entry) -> None:
        if entry.upload is not None:
            self.abandoned.append(UploadRecord(entry.transfer.key, entry.upload, abandoned=True))
            entry.upload = None

    def set_parts(self, entry: Entry, parts: Iterable[Part]) -> None:
        self.drop_parts(entry)
        for part in parts:
            work = self._new_work(entry, part)
            entry.parts[part.number] = work
            if not part.etag:
                entry.open_parts += 1
                self.queue(work, AT_ONCE)

    def drop_parts(self, entry: Entry) -> None:
        for work in entry.parts.values():
            del self._work[work.ident]
        entry.parts.clear()
        entry.open_parts = 0
        entry.finish = False

    def tallies(self) -> dict[tuple[Action, TransferState], Tally]:
        return {at: Tally(n, self._sizes[at]) for at, n in self._counts.items() if n}

    def part_bytes(self) -> int:
        parts = (work.part for work in self._work.values())
        return sum(part.size for part in parts if part is not None and part.etag)

    def uploads(self) -> list[UploadRecord]:
        current = [
            UploadRecord(key, entry.upload, abandoned=False)
            for key, entry in self.entries.items()
            if entry.upload is not None
        ]
        return [*self.abandoned, *current]

    def _new_work(self, entry: Entry, part: Part | None = None) -> Work:
        work = Work(ident=next(self._idents), entry=entry, part=part)
        self._work[work.ident] = work
        return work

    def _count(self, entry: Entry, sign: int) -> None:
        at = (entry.transfer.action, entry.state)
        self._counts[at] += sign
        self._sizes[at] += sign * entry.transfer.size

    def _pop_due(
        self, queue: list[tuple[datetime, int]], now: datetime, limit: int
    ) -> Iterator[Work]:
        seen: set[int] = set()
        while queue and queue[0][0] <= now and len(seen) < limit:
            due, ident = heappop(queue)
            work = self._work.get(ident)
            # Each change of `due` queued the work again; only its newest place counts.
            if work is None or work.due != due or ident in seen or not self._may_start(work):
                continue
            seen.add(ident)
            yield work

    def _may_start(self, work: Work) -> bool:
        if work.part is not None:
            return not work.part.etag
        return work.entry.state in OPEN_STATES - {TransferState.IN_PARTS}
