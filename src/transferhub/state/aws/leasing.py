"""How work is found, and given to a worker."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import IntEnum

from transferhub.aws.table import MOST_ACTIONS
from transferhub.model.transfer import (
    Difference,
    Lease,
    Part,
    RunId,
    Transfer,
    TransferState,
    WorkerId,
    WorkKind,
)
from transferhub.state.aws.chunk import Chunk, PartEntry
from transferhub.state.aws.epochs import Epoch
from transferhub.state.aws.group import AT_ONCE, MOST_ENTRIES, Entry, Group
from transferhub.state.aws.groups import Change, Groups
from transferhub.state.aws.settling import part_ident, pause
from transferhub.state.aws.verbs import move
from transferhub.state.aws.work import Row
from transferhub.state.rules import fair_batch, weight

_MOST_OWNERS = MOST_ACTIONS - 2
"""Rows that one transaction changes beside the sums."""


class Stream(IntEnum):
    """The kinds of work that take turns in a batch."""

    PARTS = 0
    AGAIN = 1  # retries, leases that ran out, and FINISH
    FRESH = 2


@dataclass(slots=True)
class Piece:
    """What can be leased."""

    group: Group
    entry: Entry
    chunk: Chunk | None = None
    part: PartEntry | None = None

    @property
    def owner(self) -> bytes:
        """The row that its lease is written to."""
        return self.group.sort_key if self.chunk is None else b"chunk" + self.chunk.sort_key

    @property
    def weight(self) -> int:
        if self.part is None:
            return self.entry.weight
        return weight(WorkKind.PART, self.entry.transfer.action, self.part.part.size)


Hear = Callable[[int], Awaitable[Sequence[Row]]]
"""Receives some messages, about so many: the rows that they tell of; [] where there is none."""


@dataclass(slots=True)
class Found:
    """What may start now, by stream; and the rows that were looked at."""

    streams: list[list[Piece]] = field(default_factory=lambda: [[] for _ in Stream])
    groups: dict[bytes, Group] = field(default_factory=dict)
    chunks: dict[bytes, Chunk] = field(default_factory=dict)

    @property
    def count(self) -> int:
        return sum(map(len, self.streams))

    def forget(self, pieces: Iterable[Piece]) -> None:
        """Their rows were not what they were taken for."""
        for piece in pieces:
            if piece.chunk is None:
                self.groups.pop(piece.group.sort_key, None)
            else:
                self.chunks.pop(piece.chunk.sort_key, None)

    def has(self, stream: Stream, count: int) -> bool:
        return len(self.streams[stream]) >= count


async def find(groups: Groups, told: list[Row], hear: Hear, now: int, limit: int) -> Found:
    """Up to about `limit` pieces of each stream: of the rows that messages tell of, and of those
    that the index of work has.

    Args:
        told: rows of messages that were received before; it grows by those that are received now.
    """
    found = Found()
    await _look_into_rows(groups, found, told, now)
    while (missing := limit - found.count) > 0:
        # More than one: no message may stay in the queue because the index gave its work away.
        likely = max(1, found.count // len(told)) if told else MOST_ENTRIES
        rows = await hear(-(-missing // likely))
        if not rows:
            break
        told += rows
        await _look_into_rows(groups, found, rows, now)
    for stream, name, since, until in _PLACES:
        if found.has(stream, limit):
            continue  # messages told of enough
        async for sort_keys in _due(groups, name, since, now if until else 0):
            if stream is Stream.PARTS:
                await _add_chunks(groups, found, sort_keys, now)
            else:
                await _look_into_some(groups, found, sort_keys, now, stream, limit)
            if found.has(stream, limit):
                break
    return found


_PLACES = (
    (Stream.PARTS, "parts", AT_ONCE, True),
    (Stream.AGAIN, "again", AT_ONCE + 1, True),
    # Others have begun with these groups. They are not looked at for what is tried again: there
    # may be many of them, all without it.
    (Stream.FRESH, "again", AT_ONCE, False),
    (Stream.FRESH, "fresh", AT_ONCE, True),
)
"""Where the index has work of a stream, and of which time: due from when on, and until now."""


async def _due(groups: Groups, name: str, since: int, now: int) -> AsyncIterator[Sequence[bytes]]:
    async for sort_keys in groups.due(name, now, since=since):
        # Workers that look at the same time do not want the same ones.
        yield random.sample(sort_keys, len(sort_keys))


async def _look_into_some(
    groups: Groups, found: Found, sort_keys: Sequence[bytes], now: int, stream: Stream, limit: int
) -> None:
    for sort_key in sort_keys:
        if found.has(stream, limit):
            return
        await _look_into(groups, found, sort_key, now)


async def _look_into_rows(groups: Groups, found: Found, rows: Sequence[Row], now: int) -> None:
    for row in rows:
        if not row.is_chunk:
            await _look_into(groups, found, row.sort_key, now)
    await _add_chunks(groups, found, [row.sort_key for row in rows if row.is_chunk], now)


async def _look_into(groups: Groups, found: Found, sort_key: bytes, now: int) -> None:
    if sort_key in found.groups:
        return
    group = await groups.at(sort_key)
    if group is None:
        return
    found.groups[sort_key] = group
    for entry in group.startable(now):
        stream = Stream.FRESH if entry.due == AT_ONCE else Stream.AGAIN
        found.streams[stream].append(Piece(group, entry))


async def _add_chunks(groups: Groups, found: Found, sort_keys: Sequence[bytes], now: int) -> None:
    new = [at for at in dict.fromkeys(sort_keys) if at not in found.chunks]
    stray: list[Chunk] = []
    for sort_key, chunk in (await groups.chunks(new, kept=False)).items():
        found.chunks[sort_key] = chunk
        group = await groups.of_key(chunk.key)
        entry = group.find(chunk.key)
        if (entry is None or entry.generation != chunk.generation) and not group.is_read:
            group = await groups.at(group.sort_key) or group
            entry = group.find(chunk.key)
        if entry is None or entry.generation != chunk.generation:
            stray.append(chunk)
            continue
        found.streams[Stream.PARTS] += [
            Piece(group, entry, chunk, part) for part in chunk.startable(now)
        ]
    await _drop_stray(groups, stray)


async def _drop_stray(groups: Groups, chunks: Sequence[Chunk]) -> None:
    """Deletes what a writer that was cut off left: nothing names it, and nobody is about to."""
    dropped = []
    for chunk in chunks:
        entry = (await groups.read(chunk.key)).find(chunk.key)
        is_planned = entry is not None and entry.generation == chunk.generation
        is_being_planned = entry is not None and bool(entry.token) and not entry.finish
        if not is_planned and not is_being_planned:
            dropped.append(chunk.sort_key)
    await groups.drop_rows_of_chunks(dropped)


class Leasing:
    """Gives work of one run to one worker."""

    def __init__(
        self,
        groups: Groups,
        run: RunId,
        worker: WorkerId,
        *,
        token: str,
        now: int,
        duration: timedelta,
        expires: int,
    ) -> None:
        self._groups = groups
        self._run = run
        self._worker = worker
        self._token = token
        self._now = now
        self._until = now + micros_of(duration)
        self._expires = expires

    async def give(
        self, hear: Hear, *, limit: int, max_bytes: int, turn: int
    ) -> tuple[list[Lease], Found]:
        """Leases, and what was looked at for them."""
        tries, told = 0, list[Row]()
        while True:
            self._groups.age()
            found = await find(self._groups, told, hear, self._now, limit)
            batch = fair_batch(
                found.streams,
                lambda piece: piece.weight,
                limit=limit,
                max_bytes=max_bytes,
                first=turn,
            )
            given = await self._write(batch, found)
            if given or not batch:
                return [await self._lease(piece) for piece in given], found
            # Others were quicker. What they left is found at the next look.
            tries += 1
            await pause(tries)

    async def _write(self, batch: Sequence[Piece], found: Found) -> list[Piece]:
        """Those that were given; others came first to the rest."""
        given: list[Piece] = []
        for pieces in _together(batch):
            change = self._groups.change(self._expires)
            for piece in pieces:
                self._take(piece, change)
            if await self._groups.commit(change):
                given += pieces
            else:
                found.forget(pieces)
        return given

    def _take(self, piece: Piece, change: Change) -> None:
        owner = piece.part or piece.entry
        owner.token, owner.worker, owner.due = self._token, str(self._worker), self._until
        owner.attempts += 1
        if piece.chunk is None:
            change.take(piece.group)
            move(piece.group, piece.entry, TransferState.LEASED, change)
        else:
            change.chunks[piece.chunk.sort_key] = piece.chunk
            piece.chunk.is_changed = True

    async def _lease(self, piece: Piece) -> Lease:
        entry, part, chunk = piece.entry, piece.part, piece.chunk
        parts: tuple[Part, ...] = ()
        if part is None and entry.finish and entry.generation:
            chunks = await self._groups.all_chunks(entry.generation)
            parts = tuple(sorted(at.part for chunk in chunks for at in chunk.parts))
        ident = entry.transfer.key
        if part is not None and chunk is not None:
            ident = part_ident(chunk.generation, chunk.number, part.part.number)
        return Lease(
            run=self._run,
            ident=ident,
            token=self._token,
            kind=entry.kind if part is None else WorkKind.PART,
            transfer=entry.transfer,
            attempt=(part or entry).attempts,
            part=None if part is None else part.part,
            upload=entry.upload,
            parts=parts,
        )


def micros_of(duration: timedelta) -> int:
    return duration // timedelta(microseconds=1)


def _together(batch: Sequence[Piece]) -> list[list[Piece]]:
    """Pieces by the transactions that write their leases: those of one row in one."""
    by_owner: dict[bytes, list[Piece]] = {}
    for piece in batch:
        by_owner.setdefault(piece.owner, []).append(piece)
    owners = [*by_owner.values()]
    return [
        [piece for pieces in owners[start : start + _MOST_OWNERS] for piece in pieces]
        for start in range(0, len(owners), _MOST_OWNERS)
    ]


async def leases_of(epoch: Epoch, workers: frozenset[WorkerId]) -> AsyncIterator[Lease]:
    """What these workers hold, as much of it as it takes to give it back."""
    for stream, until in (("again", None), ("fresh", AT_ONCE)):
        async for sort_keys in epoch.groups.due(stream, until):
            for sort_key in sort_keys:
                group = await epoch.groups.at(sort_key)
                for entry in group.entries if group else ():
                    if entry.token and entry.worker in workers:
                        key = entry.transfer.key
                        yield Lease(epoch.run, key, entry.token, entry.kind, entry.transfer)
    async for sort_keys in epoch.groups.due("parts", None):
        for chunk in (await epoch.groups.chunks(sort_keys, kept=False)).values():
            for at in chunk.parts:
                if at.token and at.worker in workers:
                    ident = part_ident(chunk.generation, chunk.number, at.part.number)
                    transfer = Transfer(chunk.key, Difference.NEW)
                    yield Lease(epoch.run, ident, at.token, WorkKind.PART, transfer)
