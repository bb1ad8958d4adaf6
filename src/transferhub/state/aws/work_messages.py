"""`WorkMessages`: the messages that one process received, and those that it sends."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

from transferhub.model.transfer import Lease, RunId, WorkKind
from transferhub.state.aws.chunk import Chunk
from transferhub.state.aws.epochs import Epoch
from transferhub.state.aws.group import Group
from transferhub.state.aws.groups import Change
from transferhub.state.aws.leasing import Found
from transferhub.state.aws.settling import part_ident
from transferhub.state.aws.work import Row, Told, WorkQueue

_MOST_DEAD = 1_000
_HIDDEN = timedelta(seconds=15)
_SECOND = 1_000_000


@dataclass(eq=False, slots=True)
class _Message:
    """One that was received, and the work of its row that we lease."""

    epoch: Epoch
    receipt: str
    work: set[_Work]


class _Work(NamedTuple):
    """Names a transfer, or a part of one."""

    run: RunId
    is_part: bool
    ident: str


class WorkMessages:
    """Verbs raise AwsError."""

    def __init__(self, work: WorkQueue, dead: WorkQueue, mark: str) -> None:
        """Args:
        mark: what the tokens of this process's leases begin with.
        """
        self._work = work
        self._dead = dead
        self._mark = mark
        self._held: dict[_Work, list[_Message]] = defaultdict(list)

    async def receive(self, epoch: Epoch, most: int, hidden: timedelta) -> Sequence[Told]:
        former = [
            work
            for work, messages in self._held.items()
            if work.run == epoch.run and messages[0].epoch.ident != epoch.ident
        ]
        await self._end(former)
        return await self._work.receive(epoch.run, epoch.ident, most, hidden)

    async def settle(self, epoch: Epoch, told: Sequence[Told], found: Found, now: int) -> None:
        """A message stays, hidden, while we lease something of its row. Where more of the row may
        start, others are told anew."""
        done, more = [], []
        for row, receipt in told:
            owner = (found.chunks if row.is_chunk else found.groups).get(row.sort_key)
            if owner is not None and any(owner.startable(now)):
                more.append(row)
            message = _Message(epoch, receipt, self._leased(epoch.run, owner))
            if not message.work:
                done.append(receipt)
            for work in message.work:
                self._held[work].append(message)
        await self._work.tell(epoch.run, epoch.ident, dict.fromkeys(more))
        await self._work.delete(done)

    def _leased(self, run: RunId, owner: Group | Chunk | None) -> set[_Work]:
        """What of a row we lease."""
        those = () if owner is None else _all_work(run, owner)
        return {work for work, token in those if token.startswith(self._mark)}

    async def hide(self, duration: timedelta) -> None:
        """Renews what was received and is still worked on."""
        receipts = {at.receipt: None for messages in self._held.values() for at in messages}
        await self._work.hide([*receipts], duration)

    async def lost(self, leases: Iterable[Lease]) -> None:
        """Ends messages of what we do not lease any more."""
        await self._end(
            _Work(lease.run, lease.kind is WorkKind.PART, str(lease.ident)) for lease in leases
        )

    async def after(self, epoch: Epoch, change: Change, now: int) -> None:
        """Tells of what may start after a change, and ends messages whose work has ended."""
        delays: dict[int, dict[Row, None]] = defaultdict(dict)
        for row, due in change.rings:
            delays[max(0, -(-(due - now) // _SECOND))][row] = None
        for delay, rows in delays.items():
            await self._work.tell(epoch.run, epoch.ident, rows, timedelta(seconds=delay))
        if not self._held:
            return  # a finder holds none, and records many
        owners: list[Group | Chunk] = [*change.groups.values(), *change.chunks.values()]
        await self._end(
            [
                work
                for owner in owners
                for work, token in _all_work(epoch.run, owner)
                if work in self._held and not token.startswith(self._mark)
            ]
        )

    async def _end(self, ended: Iterable[_Work]) -> None:
        receipts = []
        for work in ended:
            for message in self._held.pop(work, ()):
                message.work.discard(work)
                if not message.work:
                    receipts.append(message.receipt)
        await self._work.delete(receipts)

    async def redrive(self, epoch: Epoch) -> None:
        """Takes the run's messages out of the queue of dead letters, and tells of their rows
        anew."""
        received = await self._dead.receive(epoch.run, epoch.ident, _MOST_DEAD, _HIDDEN)
        await self._work.tell(epoch.run, epoch.ident, [told.row for told in received])
        await self._dead.delete([told.receipt for told in received])


def _all_work(run: RunId, owner: Group | Chunk) -> Iterator[tuple[_Work, str]]:
    """With the tokens of their leases."""
    if isinstance(owner, Group):
        for entry in owner.entries:
            yield _Work(run, False, entry.transfer.key), entry.token
        return
    for at in owner.parts:
        ident = part_ident(owner.generation, owner.number, at.part.number)
        yield _Work(run, True, ident), at.token
