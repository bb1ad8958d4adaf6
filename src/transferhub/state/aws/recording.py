"""`Recorder`: how transfers are added to a run, begin anew, and are moved on by people."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from transferhub.aws.table import MOST_ACTIONS
from transferhub.model.transfer import OPEN_STATES, Shard, Transfer, TransferState
from transferhub.state.aws.epochs import Epoch, Epochs
from transferhub.state.aws.group import Entry, Group
from transferhub.state.aws.groups import Change
from transferhub.state.aws.inserting import Placed, place
from transferhub.state.aws.looking import by_group, covered_by, those_of
from transferhub.state.aws.settling import pause
from transferhub.state.aws.verbs import Verbs
from transferhub.state.aws.work_messages import WorkMessages

_MOST_RECORDED = 8_000
"""Transfers that one transaction records, at most: some fifty groups where they are small and next
to each other."""

_MOST_GROUPS = 40
"""That one transaction changes where each transfer may write a row of its own."""

_MOST_SHARDS = MOST_ACTIONS - 2

Move = Callable[[Group, Entry, Change], None]


class Recorder:
    """Verbs raise AwsError. One of them, or of those that settle leases, may run at a time."""

    def __init__(self, epochs: Epochs, messages: WorkMessages) -> None:
        self._epochs = epochs
        self._messages = messages

    async def insert(self, epoch: Epoch, transfers: Mapping[str, Transfer]) -> int:
        """Adds those that are not there, which come in the order of their keys; returns how
        many."""
        added, left = 0, [*transfers.values()]
        while left:
            taken, new = await self._insert(epoch, left[:_MOST_RECORDED])
            added, left = added + new, left[taken:]
        return added

    async def _insert(self, epoch: Epoch, transfers: Sequence[Transfer]) -> tuple[int, int]:
        """Takes as many of the first ones as one transaction takes.

        Returns:
            How many it took, and how many of these it added.
        """
        tries, now = 0, self._epochs.now()
        while True:
            epoch.groups.age()
            change, taken, added = self._epochs.change(epoch), 0, 0
            while taken < len(transfers):
                group = await epoch.groups.of_key(transfers[taken].key)
                covered = covered_by(group, transfers, taken)
                placed = place(group, covered, now, MOST_ACTIONS - change.size)
                if placed.known and any(group.startable(now)):
                    change.ring(group, now)  # recorded before, and perhaps never told
                _add(change, group, placed, now)
                taken, added = taken + placed.taken, added + len(placed.new)
                if placed.taken < len(covered):
                    break
            if await epoch.groups.commit(change):
                await self._messages.after(epoch, change, now)
                return taken, added
            tries += 1
            await pause(tries)

    async def replace(self, epoch: Epoch, transfers: Mapping[str, Transfer]) -> bool:
        """Adds them, which come in the order of their keys, or begins them anew; False where one of
        them is open. Nothing was written then, but for what one transaction does not take."""
        left = [*transfers.values()]
        while left:
            taken = await self._begin_anew(epoch, left)
            if not taken:
                return False
            left = left[taken:]
        return True

    async def _begin_anew(self, epoch: Epoch, transfers: Sequence[Transfer]) -> int:
        """Takes as many of the first ones as one transaction takes; returns how many. 0 where one
        of them all is open."""
        tries, now = 0, self._epochs.now()
        by_key = {at.key: at for at in transfers}
        while True:
            epoch.groups.age()
            found = await by_group(epoch.groups, [*by_key], read=True)
            if any(
                at.state in OPEN_STATES for group, keys in found for at in those_of(group, keys)
            ):
                return 0
            change, verbs, taken = self._epochs.change(epoch), Verbs(now), 0
            for group, keys in found:
                covered = transfers[taken : taken + len(keys)]
                placed = place(group, covered, now, MOST_ACTIONS - change.size)
                troubled = [at.transfer.key for at in placed.known if at.troubled]
                change.histories |= await epoch.groups.troubles(troubled)
                if placed.taken:
                    change.take(group)
                for entry in placed.known:
                    verbs.begin_anew(group, entry, by_key[entry.transfer.key], change)
                _add(change, group, placed, now)
                taken += placed.taken
                if placed.taken < len(covered):
                    break
            if await epoch.groups.commit(change):
                await self._messages.after(epoch, change, now)
                return taken
            tries += 1
            await pause(tries)

    async def put_shards(self, epoch: Epoch, shards: Sequence[Shard]) -> None:
        newest = [*{shard.ident: shard for shard in shards}.values()]
        for start in range(0, len(newest), _MOST_SHARDS):
            await self._put_shards(epoch, newest[start : start + _MOST_SHARDS])

    async def _put_shards(self, epoch: Epoch, shards: Sequence[Shard]) -> None:
        tries = 0
        while True:
            change = self._epochs.change(epoch)
            change.rows = await epoch.shards.puts(shards, change.counts, change.expires)
            if await epoch.groups.commit(change):
                epoch.shards.keep(shards)
                return
            epoch.shards.forget()
            tries += 1
            await pause(tries)

    async def move(
        self, epoch: Epoch, keys: Sequence[str], state: TransferState, move: Move, *, rows: int = 0
    ) -> int:
        """Moves on the transfers of these keys that are in a state; returns how many.

        Args:
            rows: that each may write beside its group.
        """
        moved, tries = 0, 0
        waiting = sorted(keys, key=str.encode)
        while waiting:
            epoch.groups.age()
            change, count = self._epochs.change(epoch), 0
            batch = waiting[: MOST_ACTIONS // 2 if rows else _MOST_RECORDED]
            found = (await by_group(epoch.groups, batch, read=True))[:_MOST_GROUPS]
            chosen = [
                (group, entry)
                for group, those in found
                for entry in those_of(group, those)
                if entry.state is state
            ]
            if rows:
                names = [entry.transfer.key for _, entry in chosen]
                change.histories = await epoch.groups.troubles(names)
            for group, entry in chosen:
                change.take(group)
                move(group, entry, change)
                count += 1
            if await epoch.groups.commit(change):
                await self._messages.after(epoch, change, self._epochs.now())
                waiting = waiting[sum(len(those) for _, those in found) :]
                moved, tries = moved + count, 0
            else:
                tries += 1
                await pause(tries)
        return moved


def _add(change: Change, group: Group, placed: Placed, now: int) -> None:
    for transfer in placed.new:
        change.counts.add_transfer(transfer, transfer.state)
    for piece in placed.pieces:
        if piece is not group:
            change.take(piece)
            if any(piece.startable(now)):
                change.ring(piece, now)
