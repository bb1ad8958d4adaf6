"""`WorkMessages`: the messages that one process received, and those that it sends."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta

from transferhub.state.aws.chunk import Chunk
from transferhub.state.aws.epochs import Epoch
from transferhub.state.aws.group import Group
from transferhub.state.aws.groups import Change
from transferhub.state.aws.leasing import Found
from transferhub.state.aws.looking import is_leased
from transferhub.state.aws.work import Row, Told, WorkQueue

_MOST_DEAD = 1_000
_HIDDEN = timedelta(seconds=15)
_SECOND = 1_000_000


class WorkMessages:
    """Verbs raise AwsError."""

    def __init__(self, work: WorkQueue, dead: WorkQueue, mark: str) -> None:
        """Args:
        mark: what the tokens of this process's leases begin with.
        """
        self._work = work
        self._dead = dead
        self._mark = mark
        self._receipts: dict[Row, list[str]] = defaultdict(list)

    async def receive(self, epoch: Epoch, most: int, hidden: timedelta) -> Sequence[Told]:
        return await self._work.receive(epoch.ident, most, hidden)

    async def settle(self, epoch: Epoch, told: Sequence[Told], found: Found, now: int) -> None:
        """A message stays, hidden, while we lease something of its row. Where more of the row may
        start, others are told anew."""
        done, more = [], []
        for row, receipt in told:
            owner = (found.chunks if row.is_chunk else found.groups).get(row.sort_key)
            if owner is not None and any(owner.startable(now)):
                more.append(row)
            if owner is not None and is_leased(owner, self._mark):
                self._receipts[row].append(receipt)
            else:
                done.append(receipt)
        await self._work.tell(epoch.run, epoch.ident, more)
        await self._work.delete(done)

    async def hide(self, duration: timedelta) -> None:
        """Renews what was received and is still worked on."""
        await self._work.hide([at for those in self._receipts.values() for at in those], duration)

    async def after(self, epoch: Epoch, change: Change, now: int) -> None:
        """Tells of what may start after a change, and ends messages whose work has ended."""
        delays: dict[int, dict[Row, None]] = defaultdict(dict)
        for row, due in change.rings:
            delays[max(0, -(-(due - now) // _SECOND))][row] = None
        for delay, rows in delays.items():
            await self._work.tell(epoch.run, epoch.ident, rows, timedelta(seconds=delay))
        ended: list[str] = []
        owners: list[Group | Chunk] = [*change.groups.values(), *change.chunks.values()]
        for owner in owners:
            row = Row(is_chunk=not isinstance(owner, Group), sort_key=owner.sort_key)
            if row in self._receipts and not is_leased(owner, self._mark):
                ended += self._receipts.pop(row)
        await self._work.delete(ended)

    async def redrive(self, epoch: Epoch) -> None:
        """Takes the run's messages out of the queue of dead letters, and tells of their rows
        anew."""
        received = await self._dead.receive(epoch.ident, _MOST_DEAD, _HIDDEN)
        await self._work.tell(epoch.run, epoch.ident, [told.row for told in received])
        await self._dead.delete([told.receipt for told in received])
