"""How leases are found again, changed and written, many to a transaction."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from transferhub.aws.table import MOST_ACTIONS
from transferhub.errors import StateError
from transferhub.model.transfer import Lease, WorkKind
from transferhub.state.aws.chunk import Chunk, PartEntry, chunk_key
from transferhub.state.aws.group import Entry, Group
from transferhub.state.aws.groups import Change, Groups

_MOST_TRIES = 200
_PAUSE = 0.02

_Told = TypeVar("_Told")


@dataclass(slots=True)
class Hold:
    """What a lease was given of. `entry` is None where there is no such transfer any more."""

    lease: Lease
    group: Group
    entry: Entry | None = None
    chunk: Chunk | None = None
    part: PartEntry | None = None

    @property
    def is_held(self) -> bool:
        """Whether the lease still holds."""
        token = self.lease.token
        if self.entry is None or not token:
            return False
        if self.lease.kind is WorkKind.PART:
            return (
                self.part is not None
                and self.chunk is not None
                and self.entry.generation == self.chunk.generation
                and self.part.token == token
            )
        return self.entry.token == token


Apply = Callable[[Hold, _Told, Change], bool]
"""Changes what is held; False where the lease is lost for it. It must mark what it changed."""

RowsOf = Callable[[Entry | None], int]


def part_ident(generation: str, chunk: int, number: int) -> str:
    return f"{generation}.{chunk}.{number}"


def _chunk_of(lease: Lease) -> bytes | None:
    """The row of a leased part."""
    if lease.kind is not WorkKind.PART:
        return None
    generation, chunk, _ = str(lease.ident).split(".")
    return chunk_key(generation, int(chunk))


async def settle(
    groups: Groups,
    told: Sequence[_Told],
    lease_of: Callable[[_Told], Lease],
    apply: Apply[_Told],
    *,
    expires: int,
    rows: RowsOf,
    after: Callable[[Change], Awaitable[None]],
    histories: bool = False,
) -> list[Lease]:
    """Changes what leases hold, in transactions of many.

    Args:
        rows: that a transfer may write beside those of its group and chunk, at most.
        after: is called with each change that was written.
        histories: `apply` adds to the failed attempts.

    Returns:
        Those that were lost, in their order.
    """
    leases = [lease_of(at) for at in told]
    # Those of a group together, and those of a transfer in their order.
    waiting = sorted(range(len(told)), key=lambda at: leases[at].transfer.key)
    lost: list[int] = []
    tries, kept = 0, True
    while waiting:
        groups.age()
        batch = await _batch(groups, waiting, leases, rows)
        change = groups.change(expires)
        holds = await _holds(groups, [leases[at] for at in batch], change, kept=kept)
        if histories:
            keys = {at.entry.transfer.key for at in holds if at.entry and at.entry.troubled}
            change.histories = await groups.troubles(keys)
        gone = [
            at
            for at, hold in zip(batch, holds, strict=True)
            if not (hold.is_held and apply(hold, told[at], change))
        ]
        if gone and kept:
            # What was kept may be older than the lease: what is read now tells that it is lost.
            groups.forget(change)
            kept = False
            continue
        if await groups.commit(change):
            lost += gone
            waiting = waiting[len(batch) :]
            tries, kept = 0, True
            await after(change)
        else:
            tries, kept = tries + 1, False
            await pause(tries)
    return [leases[at] for at in sorted(lost)]


async def pause(tries: int) -> None:
    """Lets other writers come first.

    Raises:
        StateError: they do so all the time.
    """
    if tries > _MOST_TRIES:
        raise StateError(
            "The ledger could not be written: other processes changed the same rows again and"
            " again; use fewer workers.",
            code="state_busy",
        )
    await asyncio.sleep(random.uniform(0, min(_PAUSE * tries, 1.0)))


async def _batch(
    groups: Groups, waiting: Sequence[int], leases: Sequence[Lease], rows: RowsOf
) -> Sequence[int]:
    """As many of the first ones as one transaction takes."""
    owners: set[bytes] = set()
    others = 2  # the sums
    for count, at in enumerate(waiting):
        group = await groups.of_key(leases[at].transfer.key)
        row = _chunk_of(leases[at])
        owners |= {group.sort_key} if row is None else {group.sort_key, b"chunk" + row}
        others += rows(group.find(leases[at].transfer.key))
        if count and len(owners) + others > MOST_ACTIONS:
            return waiting[:count]
    return waiting


async def _holds(
    groups: Groups, leases: Sequence[Lease], change: Change, *, kept: bool
) -> list[Hold]:
    keys = {chunk for lease in leases if (chunk := _chunk_of(lease)) is not None}
    chunks = await groups.chunks(sorted(keys), kept=kept)
    holds = []
    for lease in leases:
        group = await groups.of_key(lease.transfer.key)
        hold = Hold(lease, group, group.find(lease.transfer.key))
        row = _chunk_of(lease)
        if row is not None and row in chunks:
            hold.chunk = chunks[row]
            hold.part = hold.chunk.find(int(str(lease.ident).rpartition(".")[2]))
        change.take(group, hold.chunk)
        holds.append(hold)
    return holds
