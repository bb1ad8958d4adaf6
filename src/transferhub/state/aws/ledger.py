"""`AwsLedger`: the Ledger on SQS and DynamoDB (docs/decisions/0024-ledger-on-aws.md)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import wraps
from itertools import count
from typing import Any, Concatenate, ParamSpec, TypeVar
from uuid import uuid4

from transferhub.aws.queue import MOST_MESSAGES
from transferhub.aws.table import Delete, Table, When
from transferhub.errors import LeaseLostError
from transferhub.model.clock import Clock, utc_now
from transferhub.model.pages import Page
from transferhub.model.transfer import (
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
from transferhub.state.aws.chunk import chunks_of
from transferhub.state.aws.connection import Connection
from transferhub.state.aws.counts import (
    PART_BYTES,
    UPLOADS,
    counts_of,
    failed_codes,
    summed,
    totals_of,
)
from transferhub.state.aws.epochs import Epoch, Epochs
from transferhub.state.aws.group import Entry, Group
from transferhub.state.aws.groups import Change, EpochEndedError, uploads_of
from transferhub.state.aws.leasing import Leasing, leases_of, micros_of
from transferhub.state.aws.looking import (
    before,
    dead_page,
    entries_of,
    is_sound,
    shown,
    those_of,
)
from transferhub.state.aws.recording import Recorder
from transferhub.state.aws.schema import DEAD, LEDGER, WORK
from transferhub.state.aws.settling import Apply, Hold, RowsOf, pause, settle
from transferhub.state.aws.sort_keys import row_key
from transferhub.state.aws.verbs import Verbs
from transferhub.state.aws.work import Hear, Row, Told, WorkQueue
from transferhub.state.aws.work_messages import WorkMessages
from transferhub.state.cursors import read_key_cursor
from transferhub.state.rules import (
    END_STATES,
    check_start,
    glob_prefix,
    key_matcher,
    states_with_code,
)

_Told = TypeVar("_Told")
_Answer = TypeVar("_Answer")
_Asked = ParamSpec("_Asked")


def _anew(
    verb: Callable[Concatenate[AwsLedger, _Asked], Coroutine[Any, Any, _Answer]],
) -> Callable[Concatenate[AwsLedger, _Asked], Coroutine[Any, Any, _Answer]]:
    """Begins a verb anew where another process has reset its run meanwhile."""

    @wraps(verb)
    async def asked(ledger: AwsLedger, /, *words: _Asked.args, **named: _Asked.kwargs) -> _Answer:
        tries = 0
        while True:
            try:
                return await verb(ledger, *words, **named)
            except EpochEndedError:
                tries += 1
                ledger.look_again()
                await pause(tries)

    return asked


class AwsLedger:
    """A complete Ledger. Open it; close its connection yourself.

    Totals are exact: each process counts in a row of its own, in the transaction that moves what it
    counts. An index of work lags by some milliseconds, so that work may be found that much later;
    what is given, ended and counted is decided by conditions on the rows themselves.
    """

    gather = timedelta(seconds=10)

    def __init__(
        self, connection: Connection, work: WorkQueue, dead: WorkQueue, clock: Clock
    ) -> None:
        self._connection = connection
        self._table: Table = connection.table(LEDGER)
        self._mark = uuid4().hex[:12]
        self._tokens, self._turns = count(1), count()
        self._epochs = Epochs(self._table, clock)
        self._work = work
        self._messages = WorkMessages(work, dead, self._mark)
        self._recorder = Recorder(self._epochs, self._messages)
        # One verb at a time writes: they change what is kept of the same rows.
        self._writing = asyncio.Lock()

    @classmethod
    async def open(
        cls, connection: Connection, clock: Clock = utc_now, *, hear: Hear | None = None
    ) -> AwsLedger:
        """Args:
        hear: takes messages that stores put into the same queue.

        Raises:
            StateError: there is no such state, or it cannot be used.
        """
        with connection.failures():
            work = WorkQueue(await connection.queue(WORK), hear)
            dead = WorkQueue(await connection.queue(DEAD), None)
        return cls(connection, work, dead, clock)

    # Recording

    @_anew
    async def record(
        self, run: RunId, transfers: Sequence[Transfer], shards: Sequence[Shard] = ()
    ) -> int:
        check_start(transfers)
        if not transfers and not shards:
            return 0
        ordered = _by_key(reversed(transfers))  # the first one of a key counts
        async with self._writes():
            epoch = await self._epochs.begun(run)
            added = await self._recorder.insert(epoch, ordered)
            # After what they found: a crash between the two repeats a page, which changes nothing.
            await self._recorder.put_shards(epoch, shards)
        return added

    @_anew
    async def replace(
        self, run: RunId, transfers: Sequence[Transfer], shards: Sequence[Shard] = ()
    ) -> bool:
        check_start(transfers)
        async with self._writes():
            epoch = await self._epochs.begun(run)
            if not await self._recorder.replace(epoch, _by_key(transfers)):
                return False
            await self._recorder.put_shards(epoch, shards)
        return True

    @_anew
    async def known(self, run: RunId, keys: Sequence[str]) -> Mapping[str, TransferRecord]:
        found: dict[str, TransferRecord] = {}
        with self._connection.failures():
            epoch = await self._epochs.of(run)
            if epoch is None or not keys:
                return found
            wanted = sorted({key for key in keys if is_sound(key)}, key=str.encode)
            while wanted:
                group = await epoch.groups.search(wanted[0].encode())
                covered = [key for key in wanted if group.covers(key.encode())]
                wanted = wanted[len(covered) :]
                entries = those_of(group, covered)
                messages = await self._reasons(epoch, entries)
                for entry in entries:
                    key = entry.transfer.key
                    found[key] = entry.record(messages.get(key, ""))
        return found

    async def shards(self, run: RunId) -> Sequence[Shard]:
        with self._connection.failures():
            epoch = await self._epochs.of(run)
            return [] if epoch is None else await epoch.shards.all()

    # Leases

    @_anew
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
            epoch = await self._epochs.of(run)
            if epoch is None:
                return []
            now, told = self._epochs.now(), list[Told]()

            async def hear(count: int) -> Sequence[Row]:
                news = await self._messages.receive(epoch, min(count, MOST_MESSAGES), duration)
                told.extend(news)
                return [row for row, _ in news]

            leasing = Leasing(
                epoch.groups,
                run,
                worker,
                token=f"{self._mark}{next(self._tokens)}",
                now=now,
                duration=duration,
                expires=self._epochs.expires(),
            )
            leases, found = await leasing.give(
                hear, limit=limit, max_bytes=max_bytes, turn=next(self._turns)
            )
            await self._messages.settle(epoch, told, found, now)
            return leases

    async def renew(self, leases: Sequence[Lease], duration: timedelta) -> Sequence[Lease]:
        until = self._epochs.now() + micros_of(duration)
        verbs = Verbs(self._epochs.now())
        lost = await self._settle(leases, _itself, lambda hold, _, to: verbs.renew(hold, until, to))
        async with self._writes():
            await self._messages.hide(duration)
        return lost

    async def complete(self, outcomes: Sequence[Outcome]) -> Sequence[Lease]:
        if not END_STATES.issuperset(outcome.state for outcome in outcomes):
            raise ValueError("a transfer ends as DONE, VANISHED or SKIPPED")
        verbs = Verbs(self._epochs.now())
        return await self._settle(
            outcomes,
            lambda outcome: outcome.lease,
            verbs.complete,
            rows=lambda entry: int(entry is not None and entry.upload is not None),
        )

    async def complete_parts(self, outcomes: Sequence[PartOutcome]) -> Sequence[Lease]:
        verbs = Verbs(self._epochs.now())

        def end(hold: Hold, outcome: PartOutcome, change: Change) -> bool:
            return hold.part is not None and verbs.complete_part(hold, outcome, change)

        return await self._settle(outcomes, lambda outcome: outcome.lease, end)

    async def fail(self, failures: Sequence[Failure]) -> Sequence[Lease]:
        verbs = Verbs(self._epochs.now())
        return await self._settle(
            failures,
            lambda failure: failure.lease,
            verbs.fail,
            rows=lambda entry: 1 + int(entry is not None and entry.upload is not None),
            histories=True,
        )

    async def release(self, leases: Sequence[Lease]) -> None:
        verbs = Verbs(self._epochs.now())
        await self._settle(leases, _itself, verbs.release)

    @_anew
    async def reclaim(self, run: RunId, workers: Sequence[WorkerId]) -> int:
        async with self._writes():
            epoch = await self._epochs.of(run)
            if epoch is None or not workers:
                return 0
            leases = [at async for at in leases_of(epoch, frozenset(workers))]
            verbs = Verbs(self._epochs.now())
            lost = await self._settled(epoch, leases, _itself, verbs.release)
            return len(leases) - len(lost)

    async def save_upload(self, lease: Lease, upload: Upload) -> None:
        verbs = Verbs(self._epochs.now())

        def save(hold: Hold, _: Lease, change: Change) -> bool:
            if lease.kind is WorkKind.PART:
                return False
            verbs.save_upload(hold, upload, change)
            return True

        await self._held(lease, save, rows=2)

    async def save_parts(self, lease: Lease, upload: Upload, parts: Sequence[Part]) -> None:
        verbs = Verbs(self._epochs.now())
        chunks = chunks_of(lease.transfer.key, uuid4().hex[:16], parts)

        def save(hold: Hold, _: Lease, change: Change) -> bool:
            if lease.kind is WorkKind.PART:
                return False
            verbs.save_parts(hold, upload, chunks, change)
            return True

        async with self._writes():
            epoch = await self._epochs.of(lease.run)
            if epoch is not None:
                await epoch.groups.put_chunks(chunks, self._epochs.expires())
        try:
            await self._held(lease, save, rows=2)
        except LeaseLostError:
            if epoch is not None:
                with self._connection.failures():
                    await epoch.groups.drop_rows_of_chunks(chunk.sort_key for chunk in chunks)
            raise

    async def _held(self, lease: Lease, apply: Apply[Lease], *, rows: int) -> None:
        if await self._settle([lease], _itself, apply, rows=lambda _: rows):
            raise LeaseLostError(f"The lease of {lease.transfer.key!r} was lost.")

    async def listen(self, wait: timedelta) -> bool:
        """See `WorkQueue.listen`."""
        with self._connection.failures():
            return await self._work.listen(wait)

    # Uploads

    async def uploads(self, run: RunId) -> Sequence[UploadRecord]:
        with self._connection.failures():
            epoch = await self._epochs.of(run)
            return [] if epoch is None else [at for _, at in await epoch.groups.uploads()]

    async def forget_upload(self, run: RunId, record: UploadRecord) -> None:
        gone = record._replace(abandoned=True)
        async with self._writes():
            epoch = await self._epochs.of(run)
            for sort_key, known in [] if epoch is None else await epoch.groups.uploads():
                if known == gone and epoch is not None:
                    change = self._epochs.change(epoch)
                    key = {"pk": uploads_of(epoch.groups.root), "sk": sort_key}
                    change.rows = [Delete(key, When("attribute_exists(pk)"))]
                    change.uploads -= 1
                    await epoch.groups.commit(change)

    # Transfers that wait for a person

    @_anew
    async def release_held(self, run: RunId) -> int:
        async with self._writes():
            epoch = await self._epochs.of(run)
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
            verbs = Verbs(self._epochs.now())

            def free(group: Group, entry: Entry, change: Change) -> None:
                verbs.release_held(group, entry, change)
                change.ring(group, verbs.now)

            return await self._recorder.move(epoch, held, TransferState.HELD, free)

    @_anew
    async def redrive(
        self, run: RunId, *, code: str = "", key: str = "*", keys: Sequence[str] = ()
    ) -> int:
        matches, verbs = key_matcher(key), Verbs(self._epochs.now())
        async with self._writes():
            epoch = await self._epochs.of(run)
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
                moved += await self._recorder.move(
                    epoch, chosen, TransferState.FAILED, verbs.redrive, rows=1
                )
            await self._messages.redrive(epoch)
            return moved

    async def _chosen(
        self, epoch: Epoch, code: str, keys: Sequence[str]
    ) -> AsyncIterator[Sequence[TransferRecord]]:
        if keys:
            sound = {key for key in keys if is_sound(key)}
            yield [*(await epoch.groups.troubles(sound)).values()]
            return
        async for records in epoch.groups.dead(code if is_sound(code) else ""):
            yield records

    # Reading

    async def totals(self, run: RunId) -> Totals:
        with self._connection.failures():
            epoch = await self._epochs.of(run)
            return totals_of(summed(()), 0) if epoch is None else await self._totals(epoch)

    async def _totals(self, epoch: Epoch) -> Totals:
        uploads = (await self._sums(epoch.groups.root))[UPLOADS]
        return totals_of(await self._sums(epoch.ident), uploads)

    async def _sums(self, owner: str) -> Counter[str]:
        pages = self._table.pages(When("pk = :pk", {":pk": counts_of(owner)}))
        return summed([item async for items in pages for item in items])

    async def part_bytes(self, run: RunId) -> int:
        with self._connection.failures():
            epoch = await self._epochs.of(run)
            return 0 if epoch is None else (await self._sums(epoch.ident))[PART_BYTES]

    async def failures(
        self, run: RunId, *, code: str = "", key: str = "*", after: str = "", limit: int = 1_000
    ) -> Sequence[TransferRecord]:
        matches, found = key_matcher(key), list[TransferRecord]()
        if not (is_sound(key) and is_sound(code) and is_sound(after)):
            return []
        start = max(row_key(after) if after else b"", before(glob_prefix(key)))
        with self._connection.failures():
            epoch = await self._epochs.of(run)
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
            epoch = await self._epochs.of(run)
            if epoch is None:
                return []
            tallies = failed_codes(await self._sums(epoch.ident))
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

    @_anew
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
            epoch = await self._epochs.of(run)
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
            epoch = await self._epochs.of(run)
            if epoch is None:
                return
            async for entries in epoch.groups.scan():
                chosen = [at for at in entries if not states or at.state in states]
                messages = await self._reasons(epoch, chosen)
                for entry in chosen:
                    yield entry.record(messages.get(entry.transfer.key, ""))

    async def _reasons(self, epoch: Epoch, entries: Sequence[Entry]) -> dict[str, str]:
        """Why they failed, by key."""
        keys = [at.transfer.key for at in entries if at.state is TransferState.FAILED]
        return {key: at.message for key, at in (await epoch.groups.troubles(keys)).items()}

    # Runs

    async def reset(self, run: RunId) -> None:
        async with self._writes():
            await self._epochs.reset(run)

    async def purge(self, run: RunId) -> None:
        async with self._writes():
            await self._epochs.purge(run)

    async def ledgers(self, *, after: str = "", limit: int = 1_000) -> Sequence[RunId]:
        with self._connection.failures():
            return await self._epochs.runs(after, limit)

    def look_again(self) -> None:
        """Takes nothing for granted that other processes may have changed."""
        self._epochs.forget()

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
                leases = [lease_of(at) for at in those]
                try:
                    epoch = await self._epochs.of(run)
                    if epoch is not None:
                        leases = await self._settled(
                            epoch, those, lease_of, apply, rows=rows, histories=histories
                        )
                except EpochEndedError:
                    self._epochs.forget()
                lost += leases
        return lost

    async def _settled(
        self,
        epoch: Epoch,
        told: Sequence[_Told],
        lease_of: Callable[[_Told], Lease],
        apply: Apply[_Told],
        *,
        rows: RowsOf = lambda _: 0,
        histories: bool = False,
    ) -> list[Lease]:
        async def after(change: Change) -> None:
            await self._messages.after(epoch, change, self._epochs.now())
            await epoch.groups.drop_chunks(change.dropped)

        lost = await settle(
            epoch.groups,
            told,
            lease_of,
            apply,
            expires=self._epochs.expires(),
            rows=rows,
            after=after,
            histories=histories,
        )
        await self._messages.lost(lost)
        return lost


def _itself(lease: Lease) -> Lease:
    return lease


def _by_key(transfers: Iterable[Transfer]) -> dict[str, Transfer]:
    """The last one of each key, in the order of the keys' bytes."""
    newest = {transfer.key: transfer for transfer in transfers}
    return {key: newest[key] for key in sorted(newest, key=str.encode)}
