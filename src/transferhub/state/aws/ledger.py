"""`AwsLedger`: the Ledger on SQS and DynamoDB (docs/decisions/0024-ledger-on-aws.md)."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import count, islice
from typing import NamedTuple, TypeVar
from uuid import uuid4

from transferhub.aws.attributes import Item
from transferhub.aws.queue import Message
from transferhub.aws.table import ABSENT, MOST_ACTIONS, Delete, Table, When
from transferhub.errors import LeaseLostError
from transferhub.model.clock import Clock, utc_now
from transferhub.model.pages import Page
from transferhub.model.transfer import (
    OPEN_STATES,
    Difference,
    Failure,
    FailureGroup,
    Lease,
    Outcome,
    Part,
    PartOutcome,
    RunId,
    Shard,
    Totals,
    Transfer,
    TransferRecord,
    TransferState,
    Upload,
    UploadRecord,
    WorkerId,
    WorkKind,
)
from transferhub.state.aws.chunk import Chunk, chunks_of
from transferhub.state.aws.connection import Connection
from transferhub.state.aws.counts import (
    PART_BYTES,
    UPLOADS,
    counts_of,
    failed_codes,
    summed,
    totals_of,
)
from transferhub.state.aws.group import Entry, Group, micros
from transferhub.state.aws.groups import Change, Groups, partitions, uploads_of
from transferhub.state.aws.inserting import insert
from transferhub.state.aws.leasing import Found, Leasing, micros_of
from transferhub.state.aws.looking import (
    before,
    by_group,
    dead_page,
    entries_of,
    is_leased,
    is_sound,
    shown,
    those_of,
)
from transferhub.state.aws.schema import DEAD, LEDGER, WORK
from transferhub.state.aws.settling import Apply, Hold, RowsOf, pause, settle
from transferhub.state.aws.shards import ShardRows
from transferhub.state.aws.sort_keys import row_key
from transferhub.state.aws.verbs import Verbs
from transferhub.state.aws.work import Row, Told, Understand, WorkQueue
from transferhub.state.cursors import read_key_cursor
from transferhub.state.rules import (
    END_STATES,
    check_start,
    glob_prefix,
    key_matcher,
    states_with_code,
)

KEPT = timedelta(days=400)
"""How long after its last change DynamoDB keeps a row that nobody purged."""

_EPOCH_SECONDS = 1.0
"""For how long it is taken for granted that no other process has reset a run."""

_RUNS = "runs"
_MOST_RECORDED = 8_000
"""Transfers that one transaction records: some fifty groups."""

_MOST_AT_ONCE = 40
"""Groups that one transaction changes where each may write rows of its own."""

_LIKELY = 256
"""Transfers of a group, as large as groups become."""

_MOST_DEAD = 1_000

_AGAIN = timedelta(seconds=15)

_Told = TypeVar("_Told")


class _Epoch(NamedTuple):
    groups: Groups
    shards: ShardRows


class AwsLedger:
    """A complete Ledger. Open it; close its connection yourself.

    Totals are exact: each process counts in a row of its own, in the transaction that moves what it
    counts. An index of work lags by some milliseconds, so that work may be found that much later;
    what is given, ended and counted is decided by conditions on the rows themselves.
    """

    gather = timedelta(seconds=3)

    def __init__(
        self, connection: Connection, work: WorkQueue, dead: WorkQueue, clock: Clock
    ) -> None:
        self._connection = connection
        self._table: Table = connection.table(LEDGER)
        self._work = work
        self._dead_work = dead
        self._clock = clock
        self._process = uuid4().bytes
        self._tokens = count(1)
        self._mark = uuid4().hex[:12]
        self._turns = count()
        self._known: dict[RunId, tuple[float, _Epoch | None]] = {}
        self._epochs: dict[str, _Epoch] = {}
        self._receipts: dict[Row, list[str]] = defaultdict(list)
        # One verb at a time writes: they change what is kept of the same rows.
        self._writing = asyncio.Lock()

    @classmethod
    async def open(
        cls,
        connection: Connection,
        clock: Clock = utc_now,
        *,
        understand: Understand = lambda _body: None,
    ) -> AwsLedger:
        """Args:
        understand: reads messages that stores put into the same queue.

        Raises:
            StateError: there is no such state, or it cannot be used.
        """
        with connection.failures():
            work = WorkQueue(await connection.queue(WORK), understand)
            dead = WorkQueue(await connection.queue(DEAD), understand)
        return cls(connection, work, dead, clock)

    # Recording

    async def record(
        self, run: RunId, transfers: Sequence[Transfer], shards: Sequence[Shard] = ()
    ) -> int:
        check_start(transfers)
        if not transfers and not shards:
            return 0
        ordered = _by_key(reversed(transfers))  # the first one of a key counts
        async with self._writes():
            epoch = await self._begun(run)
            added = 0
            while batch := {at.key: at for at in islice(ordered.values(), _MOST_RECORDED)}:
                added += await self._insert(run, epoch, batch)
                ordered = {key: at for key, at in ordered.items() if key not in batch}
            await self._put_shards(epoch, shards)
        return added

    async def replace(
        self, run: RunId, transfers: Sequence[Transfer], shards: Sequence[Shard] = ()
    ) -> bool:
        check_start(transfers)
        ordered = _by_key(transfers)
        async with self._writes():
            epoch = await self._begun(run)
            if not await self._replace(run, epoch, ordered):
                return False
            await self._put_shards(epoch, shards)
        return True

    async def _insert(self, run: RunId, epoch: _Epoch, ordered: Mapping[str, Transfer]) -> int:
        """Adds those that are not there; returns how many."""
        tries, now = 0, self._now()
        while True:
            epoch.groups.age()
            change = self._change(epoch)
            added = 0
            for group, keys in await by_group(epoch.groups, [*ordered]):
                new = [ordered[key] for key in keys if group.find(key) is None]
                added += len(new)
                if len(new) < len(keys) and any(group.startable(now)):
                    change.ring(group, now)  # recorded before, and perhaps never told
                self._add(change, group, new, now)
            if await epoch.groups.commit(change):
                await self._after(run, epoch, change)
                return added
            tries += 1
            await pause(tries)

    def _add(self, change: Change, group: Group, new: Sequence[Transfer], now: int) -> None:
        for transfer in new:
            change.counts.add_transfer(transfer, transfer.state)
        for piece in insert(group, [Entry(at, at.state) for at in new], now):
            if piece is not group:
                change.take(piece)
                if any(piece.startable(now)):
                    change.ring(piece, now)

    async def _replace(self, run: RunId, epoch: _Epoch, ordered: Mapping[str, Transfer]) -> bool:
        tries, now = 0, self._now()
        while True:
            # Read now: nothing may be written where one of them is open.
            change, verbs = self._change(epoch), Verbs(now)
            found = await by_group(epoch.groups, [*ordered], read=True)
            known = [entry for group, keys in found for entry in those_of(group, keys)]
            if any(entry.state in OPEN_STATES for entry in known):
                return False
            troubled = [at.transfer.key for at in known if at.troubled]
            change.histories = await epoch.groups.troubles(troubled)
            for group, keys in found:
                change.take(group)
                for entry in those_of(group, keys):
                    verbs.begin_anew(group, entry, ordered[entry.transfer.key], change)
                new = [ordered[key] for key in keys if group.find(key) is None]
                self._add(change, group, new, now)
            if await epoch.groups.commit(change):
                await self._after(run, epoch, change)
                return True
            tries += 1
            await pause(tries)

    async def _put_shards(self, epoch: _Epoch, shards: Sequence[Shard]) -> None:
        """After what they found: a crash between the two repeats a page, which changes nothing."""
        newest = [*{shard.ident: shard for shard in shards}.values()]
        for start in range(0, len(newest), MOST_ACTIONS - 2):
            tries = 0
            while True:
                change = self._change(epoch)
                batch = newest[start : start + MOST_ACTIONS - 2]
                change.rows = await epoch.shards.puts(batch, change.counts, change.expires)
                if await epoch.groups.commit(change):
                    epoch.shards.keep(batch)
                    break
                epoch.shards.forget()
                tries += 1
                await pause(tries)

    async def known(self, run: RunId, keys: Sequence[str]) -> Mapping[str, TransferRecord]:
        found: dict[str, TransferRecord] = {}
        with self._connection.failures():
            epoch = await self._epoch(run)
            if epoch is None or not keys:
                return found
            wanted = sorted({key for key in keys if is_sound(key)}, key=str.encode)
            while wanted:
                group = await epoch.groups.search(wanted[0].encode())
                covered = [key for key in wanted if group.covers(key.encode())]
                wanted = wanted[len(covered) :]
                entries = those_of(group, covered)
                messages = await self._messages(epoch, entries)
                for entry in entries:
                    key = entry.transfer.key
                    found[key] = entry.record(messages.get(key, ""))
        return found

    async def shards(self, run: RunId) -> Sequence[Shard]:
        with self._connection.failures():
            epoch = await self._epoch(run)
            return [] if epoch is None else await epoch.shards.all()

    # Leases

    async def lease(
        self,
        run: RunId,
        worker: WorkerId,
        *,
        limit: int,
        max_bytes: int,
        duration: timedelta,
    ) -> Sequence[Lease]:
        async with self._writes():
            epoch = await self._epoch(run)
            if epoch is None:
                return []
            wanted = -(-limit // _LIKELY)
            received = await self._work.receive(epoch.groups.epoch, wanted, duration)
            for message, transfers in received.events:
                await self._take_event(run, epoch, message, transfers)
            now = self._now()
            leasing = Leasing(
                epoch.groups,
                run,
                worker,
                token=f"{self._mark}{next(self._tokens)}",
                now=now,
                duration=duration,
                expires=self._expires(),
            )
            leases, found = await leasing.give(
                [told.row for told in received.rows],
                limit=limit,
                max_bytes=max_bytes,
                turn=next(self._turns),
            )
            await self._settle_messages(run, epoch, received.rows, found, now)
            return leases

    async def _settle_messages(
        self, run: RunId, epoch: _Epoch, told: Sequence[Told], found: Found, now: int
    ) -> None:
        """A message stays, hidden, while something of its row is leased. Where more of the row may
        start, others are told anew."""
        done, more = [], []
        for row, receipt in told:
            owner = (found.chunks if row.is_chunk else found.groups).get(row.sort_key)
            if owner is not None and any(owner.startable(now)):
                more.append(row)
            if owner is not None and is_leased(owner):
                self._receipts[row].append(receipt)
            else:
                done.append(receipt)
        await self._work.tell(run, epoch.groups.epoch, more)
        await self._work.delete(done)

    async def _take_event(
        self, run: RunId, epoch: _Epoch, message: Message, transfers: Sequence[Transfer]
    ) -> None:
        if await self._replace(run, epoch, _by_key(transfers)):
            await self._work.delete([message.receipt])
        else:  # a key of it is open: what changed since must be copied after that
            await self._work.put_off(message, _AGAIN)

    async def renew(self, leases: Sequence[Lease], duration: timedelta) -> Sequence[Lease]:
        until = self._now() + micros_of(duration)
        verbs = Verbs(self._now())
        lost = await self._settle(
            leases, lambda lease: lease, lambda hold, _, to: verbs.renew(hold, until, to)
        )
        with self._connection.failures():
            receipts = [at for those in [*self._receipts.values()] for at in those]
            await self._work.hide(receipts, duration)
        return lost

    async def complete(self, outcomes: Sequence[Outcome]) -> Sequence[Lease]:
        if not END_STATES.issuperset(outcome.state for outcome in outcomes):
            raise ValueError("a transfer ends as DONE, VANISHED or SKIPPED")
        verbs = Verbs(self._now())
        return await self._settle(
            outcomes,
            lambda outcome: outcome.lease,
            verbs.complete,
            rows=lambda entry: int(entry is not None and entry.upload is not None),
        )

    async def complete_parts(self, outcomes: Sequence[PartOutcome]) -> Sequence[Lease]:
        verbs = Verbs(self._now())

        def end(hold: Hold, outcome: PartOutcome, change: Change) -> bool:
            return hold.part is not None and verbs.complete_part(hold, outcome, change)

        return await self._settle(outcomes, lambda outcome: outcome.lease, end)

    async def fail(self, failures: Sequence[Failure]) -> Sequence[Lease]:
        verbs = Verbs(self._now())
        return await self._settle(
            failures,
            lambda failure: failure.lease,
            verbs.fail,
            rows=lambda entry: 1 + int(entry is not None and entry.upload is not None),
            histories=True,
        )

    async def release(self, leases: Sequence[Lease]) -> None:
        verbs = Verbs(self._now())
        await self._settle(leases, lambda lease: lease, verbs.release)

    async def reclaim(self, run: RunId, workers: Sequence[WorkerId]) -> int:
        async with self._writes():
            epoch = await self._epoch(run)
            if epoch is None or not workers:
                return 0
            leases = [at async for at in self._leases_of(run, epoch, frozenset(workers))]
            verbs = Verbs(self._now())
            lost = await self._settled(run, epoch, leases, _itself, verbs.release)
            return len(leases) - len(lost)

    async def _leases_of(
        self, run: RunId, epoch: _Epoch, workers: frozenset[WorkerId]
    ) -> AsyncIterator[Lease]:
        async for sort_keys in epoch.groups.due("again", None):
            for sort_key in sort_keys:
                group = await epoch.groups.at(sort_key)
                for entry in group.entries if group else ():
                    if entry.token and entry.worker in workers:
                        yield Lease(
                            run, entry.transfer.key, entry.token, entry.kind, entry.transfer
                        )
        async for sort_keys in epoch.groups.due("parts", None):
            for chunk in (await epoch.groups.chunks(sort_keys, kept=False)).values():
                for at in chunk.parts:
                    if at.token and at.worker in workers:
                        ident = f"{chunk.generation}.{chunk.number}.{at.part.number}"
                        transfer = Transfer(chunk.key, Difference.NEW)
                        yield Lease(run, ident, at.token, WorkKind.PART, transfer)

    async def save_upload(self, lease: Lease, upload: Upload) -> None:
        verbs = Verbs(self._now())

        def save(hold: Hold, _: Lease, change: Change) -> bool:
            if lease.kind is WorkKind.PART:
                return False
            verbs.save_upload(hold, upload, change)
            return True

        await self._held(lease, save, rows=2)

    async def save_parts(self, lease: Lease, upload: Upload, parts: Sequence[Part]) -> None:
        verbs = Verbs(self._now())
        chunks = chunks_of(lease.transfer.key, uuid4().hex[:16], parts)

        def save(hold: Hold, _: Lease, change: Change) -> bool:
            if lease.kind is WorkKind.PART:
                return False
            verbs.save_parts(hold, upload, chunks, change)
            return True

        async with self._writes():
            epoch = await self._epoch(lease.run)
            if epoch is not None:
                await epoch.groups.put_chunks(chunks, self._expires())
        await self._held(lease, save, rows=2)

    async def _held(self, lease: Lease, apply: Apply[Lease], *, rows: int) -> None:
        if await self._settle([lease], _itself, apply, rows=lambda _: rows):
            raise LeaseLostError(f"The lease of {lease.transfer.key!r} was lost.")

    # Uploads

    async def uploads(self, run: RunId) -> Sequence[UploadRecord]:
        with self._connection.failures():
            epoch = await self._epoch(run)
            return [] if epoch is None else [at for _, at in await epoch.groups.uploads()]

    async def forget_upload(self, run: RunId, record: UploadRecord) -> None:
        gone = record._replace(abandoned=True)
        async with self._writes():
            epoch = await self._epoch(run)
            for sort_key, known in [] if epoch is None else await epoch.groups.uploads():
                if known == gone and epoch is not None:
                    change = self._change(epoch)
                    key = {"pk": uploads_of(epoch.groups.root), "sk": sort_key}
                    change.rows = [Delete(key, When("attribute_exists(pk)"))]
                    change.uploads -= 1
                    await epoch.groups.commit(change)

    # Transfers that wait for a person

    async def release_held(self, run: RunId) -> int:
        async with self._writes():
            epoch = await self._epoch(run)
            if epoch is None:
                return 0
            tallies = (await self._totals(epoch)).tallies
            if not any(state is TransferState.HELD for _, state in tallies):
                return 0
            held = [
                entry.transfer.key
                async for entries in epoch.groups.scan()
                for entry in entries
                if entry.state is TransferState.HELD
            ]
            verbs = Verbs(self._now())

            def free(group: Group, entry: Entry, change: Change) -> None:
                verbs.release_held(group, entry, change)
                change.ring(group, verbs.now)

            return await self._move(run, epoch, held, TransferState.HELD, free)

    async def redrive(
        self, run: RunId, *, code: str = "", key: str = "*", keys: Sequence[str] = ()
    ) -> int:
        matches, verbs = key_matcher(key), Verbs(self._now())
        async with self._writes():
            epoch = await self._epoch(run)
            if epoch is None:
                return 0
            moved = 0
            async for records in self._chosen(epoch, code, keys):
                chosen = [
                    at.transfer.key
                    for at in records
                    if at.state is TransferState.FAILED
                    and code in ("", at.code)
                    and matches(at.transfer.key)
                ]
                moved += await self._move(
                    run, epoch, chosen, TransferState.FAILED, verbs.redrive, rows=1
                )
            await self._clear_dead(run, epoch)
            return moved

    async def _chosen(
        self, epoch: _Epoch, code: str, keys: Sequence[str]
    ) -> AsyncIterator[Sequence[TransferRecord]]:
        if keys:
            sound = {key for key in keys if is_sound(key)}
            yield [*(await epoch.groups.troubles(sound)).values()]
            return
        async for records in epoch.groups.dead(code if is_sound(code) else ""):
            yield records

    async def _clear_dead(self, run: RunId, epoch: _Epoch) -> None:
        """Takes the run's messages out of the queue of dead letters: what they told of is told
        anew, or found in the index."""
        received = await self._dead_work.receive(epoch.groups.epoch, _MOST_DEAD, _AGAIN)
        await self._work.tell(run, epoch.groups.epoch, [told.row for told in received.rows])
        await self._dead_work.delete([told.receipt for told in received.rows])

    async def _move(
        self,
        run: RunId,
        epoch: _Epoch,
        keys: Sequence[str],
        state: TransferState,
        apply: Callable[[Group, Entry, Change], None],
        *,
        rows: int = 0,
    ) -> int:
        """Changes the transfers of these keys that are in this state; returns how many."""
        moved, tries = 0, 0
        most = MOST_ACTIONS // 2 if rows else _MOST_RECORDED
        waiting = sorted(keys, key=str.encode)
        while waiting:
            epoch.groups.age()
            change, count = self._change(epoch), 0
            batch = waiting[:most]
            found = (await by_group(epoch.groups, batch, read=True))[:_MOST_AT_ONCE]
            entries = [
                (group, entry)
                for group, those in found
                for entry in those_of(group, those)
                if entry.state is state
            ]
            if rows:
                names = [entry.transfer.key for _, entry in entries]
                change.histories = await epoch.groups.troubles(names)
            for group, entry in entries:
                change.take(group)
                apply(group, entry, change)
                count += 1
            if await epoch.groups.commit(change):
                await self._after(run, epoch, change)
                waiting = waiting[sum(len(those) for _, those in found) :]
                moved, tries = moved + count, 0
            else:
                tries += 1
                await pause(tries)
        return moved

    # Reading

    async def totals(self, run: RunId) -> Totals:
        with self._connection.failures():
            epoch = await self._epoch(run)
            return totals_of(summed(()), 0) if epoch is None else await self._totals(epoch)

    async def _totals(self, epoch: _Epoch) -> Totals:
        uploads = (await self._sums(epoch.groups.root))[UPLOADS]
        return totals_of(await self._sums(epoch.groups.epoch), uploads)

    async def _sums(self, owner: str) -> Counter[str]:
        pages = self._table.pages(When("pk = :pk", {":pk": counts_of(owner)}))
        return summed([item async for items in pages for item in items])

    async def part_bytes(self, run: RunId) -> int:
        with self._connection.failures():
            epoch = await self._epoch(run)
            return 0 if epoch is None else (await self._sums(epoch.groups.epoch))[PART_BYTES]

    async def failures(
        self, run: RunId, *, code: str = "", key: str = "*", after: str = "", limit: int = 1_000
    ) -> Sequence[TransferRecord]:
        matches, found = key_matcher(key), list[TransferRecord]()
        if not (is_sound(key) and is_sound(code) and is_sound(after)):
            return []
        start = max(row_key(after) if after else b"", before(glob_prefix(key)))
        with self._connection.failures():
            epoch = await self._epoch(run)
            if epoch is None:
                return []
            async for records in epoch.groups.dead(code, start):
                found += [at for at in records if matches(at.transfer.key)]
                if len(found) >= limit:
                    break
        return found[:limit]

    async def failure_groups(self, run: RunId) -> Sequence[FailureGroup]:
        found = []
        with self._connection.failures():
            epoch = await self._epoch(run)
            if epoch is None:
                return []
            tallies = failed_codes(await self._sums(epoch.groups.epoch))
            for key_of_code, tally in tallies.items():
                first = await epoch.groups.first_dead(key_of_code)
                if first is not None:
                    found.append(
                        FailureGroup(
                            code=first.code,
                            count=tally.count,
                            size=tally.size,
                            example_key=first.transfer.key,
                            example_message=first.message,
                        )
                    )
        return sorted(found, key=lambda group: (-group.count, group.code))

    async def page(
        self,
        run: RunId,
        *,
        prefix: str = "",
        states: Sequence[TransferState] = (),
        code: str = "",
        after: str = "",
        limit: int = 100,
    ) -> Page[TransferRecord]:
        last = read_key_cursor(after)
        chosen = states_with_code(states) if code else states
        if not (is_sound(prefix) and is_sound(code)) or (code and not chosen):
            return Page(items=(), cursor="")
        with self._connection.failures():
            epoch = await self._epoch(run)
            if epoch is None:
                return Page(items=(), cursor="")
            if set(chosen) == {TransferState.FAILED}:
                return await dead_page(
                    epoch.groups, prefix=prefix, code=code, last=last, limit=limit
                )
            entries, cursor = await entries_of(
                epoch.groups, prefix=prefix, states=chosen, code=code, last=last, limit=limit
            )
            troubled = [at.transfer.key for at in entries if at.troubled]
            troubles = await epoch.groups.troubles(troubled)
            return Page(items=tuple(shown(at, troubles) for at in entries), cursor=cursor)

    async def transfers(
        self, run: RunId, *, states: Sequence[TransferState] = ()
    ) -> AsyncIterator[TransferRecord]:
        with self._connection.failures():
            epoch = await self._epoch(run)
            if epoch is None:
                return
            async for entries in epoch.groups.scan():
                chosen = [at for at in entries if not states or at.state in states]
                messages = await self._messages(epoch, chosen)
                for entry in chosen:
                    yield entry.record(messages.get(entry.transfer.key, ""))

    async def _messages(self, epoch: _Epoch, entries: Sequence[Entry]) -> dict[str, str]:
        """Why they failed, by key."""
        keys = [at.transfer.key for at in entries if at.state is TransferState.FAILED]
        return {key: at.message for key, at in (await epoch.groups.troubles(keys)).items()}

    # Runs

    async def reset(self, run: RunId) -> None:
        async with self._writes():
            row = await self._run_row(run)
            if row is None:
                return
            fresh = uuid4().hex
            await self._first_group(fresh)
            former = [*row.get("former", ()), row["epoch"]]
            change = When("SET epoch = :new, former = :former, expires = :expires")
            values = {":new": fresh, ":former": former, ":expires": self._expires()}
            same = When("epoch = :epoch", {":epoch": row["epoch"]})
            key = {"pk": row["pk"], "sk": row["sk"]}
            if await self._table.update(key, When(change.text, values), same) is None:
                return  # another process has reset it just now
            self._forget(run)
            for epoch in former:
                await self._erase(partitions(epoch))
            await self._table.update(
                key, When("REMOVE former"), When("epoch = :new", {":new": fresh})
            )

    async def purge(self, run: RunId) -> None:
        async with self._writes():
            row = await self._run_row(run)
            if row is None:
                return
            for epoch in (*row.get("former", ()), row["epoch"]):
                await self._erase(partitions(epoch))
            await self._erase([uploads_of(row["root"]), counts_of(row["root"])])
            await self._table.delete({"pk": row["pk"], "sk": row["sk"]})
            self._forget(run)

    async def ledgers(self, *, after: str = "", limit: int = 1_000) -> Sequence[RunId]:
        which = When("pk = :pk AND sk > :after", {":pk": _RUNS, ":after": _run_key(after)})
        found: list[RunId] = []
        with self._connection.failures():
            async for items in self._table.pages(which, keep=self._alive()):
                found += [RunId(item["run"]) for item in items]
                if len(found) >= limit:
                    break
        return found[:limit]

    async def aclose(self) -> None:
        return

    # Inside

    @asynccontextmanager
    async def _writes(self) -> AsyncIterator[None]:
        with self._connection.failures():
            async with self._writing:
                yield

    async def _settle(
        self,
        told: Sequence[_Told],
        lease_of: Callable[[_Told], Lease],
        apply: Apply[_Told],
        *,
        rows: RowsOf = lambda _: 0,
        histories: bool = False,
    ) -> list[Lease]:
        """Changes what leases, of any runs, hold; returns those that were lost."""
        by_run: dict[RunId, list[_Told]] = {}
        for at in told:
            by_run.setdefault(lease_of(at).run, []).append(at)
        lost: list[Lease] = []
        async with self._writes():
            for run, those in by_run.items():
                epoch = await self._epoch(run)
                if epoch is None:
                    lost += [lease_of(at) for at in those]
                else:
                    lost += await self._settled(
                        run, epoch, those, lease_of, apply, rows=rows, histories=histories
                    )
        return lost

    async def _settled(
        self,
        run: RunId,
        epoch: _Epoch,
        told: Sequence[_Told],
        lease_of: Callable[[_Told], Lease],
        apply: Apply[_Told],
        *,
        rows: RowsOf = lambda _: 0,
        histories: bool = False,
    ) -> list[Lease]:
        return await settle(
            epoch.groups,
            told,
            lease_of,
            apply,
            expires=self._expires(),
            rows=rows,
            after=lambda change: self._after(run, epoch, change),
            histories=histories,
        )

    async def _after(self, run: RunId, epoch: _Epoch, change: Change) -> None:
        """Tells of what may start, drops what nothing needs, ends messages whose work has ended."""
        now = self._now()
        delays: dict[int, dict[Row, None]] = defaultdict(dict)
        for row, due in change.rings:
            delays[max(0, -(-(due - now) // 1_000_000))][row] = None
        for delay, rows in delays.items():
            await self._work.tell(run, epoch.groups.epoch, rows, timedelta(seconds=delay))
        await epoch.groups.drop_chunks(change.dropped)
        ended: list[str] = []
        owners: list[Group | Chunk] = [*change.groups.values(), *change.chunks.values()]
        for owner in owners:
            row = Row(is_chunk=not isinstance(owner, Group), sort_key=owner.sort_key)
            if row in self._receipts and not is_leased(owner):
                ended += self._receipts.pop(row)
        await self._work.delete(ended)

    def _change(self, epoch: _Epoch) -> Change:
        return epoch.groups.change(self._expires())

    def _now(self) -> int:
        return micros(self._clock())

    def _expires(self) -> int:
        return int((self._clock() + KEPT).timestamp())

    def _alive(self) -> When:
        return When("expires > :now", {":now": int(self._clock().timestamp())})

    async def _epoch(self, run: RunId) -> _Epoch | None:
        """The run's present epoch; None where nothing is known of the run."""
        seen, epoch = self._known.get(run, (0.0, None))
        if epoch is not None and time.monotonic() - seen < _EPOCH_SECONDS:
            return epoch
        row = await self._run_row(run)
        if row is None:
            self._forget(run)
            return None
        return self._kept_epoch(run, row["epoch"], row["root"])

    def _kept_epoch(self, run: RunId, ident: str, root: str) -> _Epoch:
        _, known = self._known.get(run, (0.0, None))
        if known is None or known.groups.epoch != ident:
            groups = Groups(self._table, ident, root, self._process)
            known = _Epoch(groups, ShardRows(self._table, ident))
        self._known[run] = (time.monotonic(), known)
        return known

    def _forget(self, run: RunId) -> None:
        self._known.pop(run, None)

    async def _run_row(self, run: RunId) -> Item | None:
        row = await self._table.get({"pk": _RUNS, "sk": _run_key(run)})
        # DynamoDB deletes what has expired within days.
        return row if row and row["expires"] > self._clock().timestamp() else None

    async def _begun(self, run: RunId) -> _Epoch:
        """The run's epoch; its first one where nothing was known of it."""
        while (epoch := await self._epoch(run)) is None:
            ident, root = uuid4().hex, uuid4().hex
            # Its group before its row: whoever knows of the epoch finds that one.
            await self._first_group(ident)
            row = {
                "pk": _RUNS,
                "sk": _run_key(run),
                "run": str(run),
                "epoch": ident,
                "root": root,
                "expires": self._expires(),
            }
            expired = When(
                "attribute_not_exists(pk) OR expires <= :now",
                {":now": int(self._clock().timestamp())},
            )
            if await self._table.put(row, expired):
                return self._kept_epoch(run, ident, root)
        return epoch

    async def _first_group(self, epoch: str) -> None:
        first = Group(low=b"", until=None, version=0, body=b"", born=self._now(), entries=[])
        await self._table.put(first.item(epoch, self._expires()), ABSENT)

    async def _erase(self, those: Iterable[str]) -> None:
        for partition in those:
            async for items in self._table.pages(When("pk = :pk", {":pk": partition})):
                await self._table.write(deletes=[{"pk": at["pk"], "sk": at["sk"]} for at in items])


def _run_key(run: str) -> bytes:
    return b"r" + run.encode()


def _itself(lease: Lease) -> Lease:
    return lease


def _by_key(transfers: Iterable[Transfer]) -> dict[str, Transfer]:
    """The last one of each key, in the order of the keys' bytes."""
    newest = {transfer.key: transfer for transfer in transfers}
    return {key: newest[key] for key in sorted(newest, key=str.encode)}
