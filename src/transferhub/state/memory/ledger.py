"""`MemoryLedger`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import count, groupby

from transferhub.errors import LeaseLostError
from transferhub.model.clock import Clock, utc_now
from transferhub.model.pages import Page
from transferhub.model.transfer import (
    OPEN_STATES,
    Attempt,
    Failure,
    FailureGroup,
    Lease,
    Outcome,
    Part,
    PartOutcome,
    RunId,
    ScanCounts,
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
from transferhub.state.cursors import read_key_cursor, write_key_cursor
from transferhub.state.memory.book import AT_ONCE, Book, Entry, Work
from transferhub.state.rules import (
    END_STATES,
    GATHER,
    attempts_after_part,
    check_start,
    fair_batch,
    key_matcher,
    states_with_code,
)


class MemoryLedger:
    """A complete Ledger that keeps everything in memory."""

    gather = GATHER

    def __init__(self, clock: Clock = utc_now) -> None:
        self._clock = clock
        self._idents = count(1)
        self._tokens = count(1)
        self._turns = count()
        self._books: dict[RunId, Book] = {}

    async def record(
        self, run: RunId, transfers: Sequence[Transfer], shards: Sequence[Shard] = ()
    ) -> int:
        check_start(transfers)
        book = self._books.setdefault(run, Book(self._idents))
        before = len(book.entries)
        for transfer in transfers:
            if transfer.key not in book.entries:
                book.add(transfer)
        book.shards.update((shard.ident, shard) for shard in shards)
        return len(book.entries) - before

    async def replace(
        self, run: RunId, transfers: Sequence[Transfer], shards: Sequence[Shard] = ()
    ) -> bool:
        check_start(transfers)
        known = self._book(run).entries
        former = {at.key: known[at.key] for at in transfers if at.key in known}
        if any(entry.state in OPEN_STATES for entry in former.values()):
            return False
        await self.record(run, transfers, shards)
        newest = {transfer.key: transfer for transfer in transfers}
        for key, entry in former.items():
            self._begin_anew(self._book(run), entry, newest[key])
        return True

    async def known(self, run: RunId, keys: Sequence[str]) -> Mapping[str, TransferRecord]:
        known = self._book(run).entries
        return {key: known[key].record(history=False) for key in keys if key in known}

    async def shards(self, run: RunId) -> Sequence[Shard]:
        return [*self._book(run).shards.values()]

    async def lease(
        self,
        run: RunId,
        worker: WorkerId,
        *,
        limit: int,
        max_bytes: int,
        duration: timedelta,
    ) -> Sequence[Lease]:
        book, now = self._book(run), self._clock()
        streams = book.due(now, limit)
        batch = fair_batch(
            streams,
            lambda work: work.weight,
            limit=limit,
            max_bytes=max_bytes,
            first=next(self._turns),
        )
        book.put_back(streams)
        token = next(self._tokens)
        for work in batch:
            self._give(book, work, worker, token, now + duration)
        return [self._lease(run, work) for work in batch]

    async def renew(self, leases: Sequence[Lease], duration: timedelta) -> Sequence[Lease]:
        lost, until = [], self._clock() + duration
        for lease in leases:
            work = self._held(lease)
            if work is None:
                lost.append(lease)
            else:
                self._book(lease.run).queue(work, until)
        return lost

    async def complete(self, outcomes: Sequence[Outcome]) -> Sequence[Lease]:
        if not END_STATES.issuperset(outcome.state for outcome in outcomes):
            raise ValueError("a transfer ends as DONE, VANISHED or SKIPPED")
        lost = []
        for outcome in outcomes:
            work = self._held(outcome.lease)
            if work is None or work.part is not None:
                lost.append(outcome.lease)
            else:
                self._end(self._book(outcome.lease.run), work, outcome)
        return lost

    async def complete_parts(self, outcomes: Sequence[PartOutcome]) -> Sequence[Lease]:
        lost = []
        for outcome in outcomes:
            work = self._held(outcome.lease)
            if work is None or work.part is None:
                lost.append(outcome.lease)
                continue
            work.token = 0
            work.part = work.part._replace(etag=outcome.etag, proven=outcome.proven)
            work.entry.open_parts -= 1
            self._finish_if_whole(self._book(outcome.lease.run), work.entry)
        return lost

    async def fail(self, failures: Sequence[Failure]) -> Sequence[Lease]:
        lost = []
        for failure in failures:
            work = self._held(failure.lease)
            if work is None:
                lost.append(failure.lease)
            else:
                self._fail(self._book(failure.lease.run), work, failure)
        return lost

    async def release(self, leases: Sequence[Lease]) -> None:
        for lease in leases:
            if (work := self._held(lease)) is not None:
                self._give_back(self._book(lease.run), work)

    async def reclaim(self, run: RunId, workers: Sequence[WorkerId]) -> int:
        book = self._book(run)
        taken = [work for work in book.leased() if work.worker in workers]
        for work in taken:
            self._give_back(book, work)
        return len(taken)

    async def save_upload(self, lease: Lease, upload: Upload) -> None:
        work = self._held_transfer(lease)
        self._book(lease.run).save_upload(work.entry, upload)

    async def save_parts(self, lease: Lease, upload: Upload, parts: Sequence[Part]) -> None:
        work, book = self._held_transfer(lease), self._book(lease.run)
        book.save_upload(work.entry, upload)
        work.token = 0
        work.attempts -= 1
        book.move(work.entry, TransferState.IN_PARTS)
        book.set_parts(work.entry, parts)
        self._finish_if_whole(book, work.entry)

    async def uploads(self, run: RunId) -> Sequence[UploadRecord]:
        return self._book(run).uploads()

    async def forget_upload(self, run: RunId, record: UploadRecord) -> None:
        book = self._book(run)
        gone = record._replace(abandoned=True)
        book.abandoned = [known for known in book.abandoned if known != gone]

    async def release_held(self, run: RunId) -> int:
        book = self._book(run)
        held = [entry for entry in book.entries.values() if entry.state is TransferState.HELD]
        for entry in held:
            waiting = entry.transfer._replace(state=TransferState.WAITING)
            book.move(entry, TransferState.WAITING, waiting)
            book.queue(entry.work, AT_ONCE)
        return len(held)

    async def totals(self, run: RunId) -> Totals:
        book = self._book(run)
        shards = book.shards.values()
        return Totals(
            scan=sum((shard.counts for shard in shards), ScanCounts()),
            shards=len(shards),
            shards_done=sum(shard.done for shard in shards),
            tallies=book.tallies(),
            moved_bytes=book.moved_bytes,
            uploads=len(book.uploads()),
        )

    async def part_bytes(self, run: RunId) -> int:
        return self._book(run).part_bytes()

    async def failures(
        self, run: RunId, *, code: str = "", key: str = "*", after: str = "", limit: int = 1_000
    ) -> Sequence[TransferRecord]:
        dead = self._dead(run, code=code, key=key)
        later = [e for e in dead if e.transfer.key.encode() > after.encode()]
        return [entry.record(history=True) for entry in later[:limit]]

    async def failure_groups(self, run: RunId) -> Sequence[FailureGroup]:
        dead = sorted(self._dead(run), key=lambda entry: entry.code)
        groups = [_group([*group]) for _, group in groupby(dead, key=lambda entry: entry.code)]
        return sorted(groups, key=lambda group: (-group.count, group.code))

    async def redrive(
        self, run: RunId, *, code: str = "", key: str = "*", keys: Sequence[str] = ()
    ) -> int:
        book, now = self._book(run), self._clock()
        dead = self._dead(run, code=code, key=key, keys=keys)
        for entry in dead:
            book.move(entry, TransferState.WAITING)
            entry.code, entry.message, entry.ended_at = "", "", None
            entry.work.attempts = 0
            book.queue(entry.work, now)
        return len(dead)

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
        found = [
            entry
            for entry in _by_key(self._book(run).entries.values())
            if (last is None or entry.transfer.key.encode() > last.encode())
            and entry.transfer.key.startswith(prefix)
            and (entry.state in chosen or not (chosen or code))
            and code in ("", entry.code)
        ]
        more = len(found) > limit
        return Page(
            items=tuple(entry.record(history=True) for entry in found[:limit]),
            cursor=write_key_cursor(found[limit - 1].transfer.key) if more else "",
        )

    async def transfers(
        self, run: RunId, *, states: Sequence[TransferState] = ()
    ) -> AsyncIterator[TransferRecord]:
        for entry in _by_key(self._book(run).entries.values()):
            if not states or entry.state in states:
                yield entry.record(history=False)

    async def reset(self, run: RunId) -> None:
        book = self._books.pop(run, None)
        if book is not None:
            self._books[run] = fresh = Book(self._idents)
            fresh.abandoned = [record._replace(abandoned=True) for record in book.uploads()]

    async def purge(self, run: RunId) -> None:
        self._books.pop(run, None)

    async def ledgers(self, *, after: str = "", limit: int = 1_000) -> Sequence[RunId]:
        return sorted(run for run in self._books if run > after)[:limit]

    async def aclose(self) -> None:
        return

    def _book(self, run: RunId) -> Book:
        return self._books.get(run) or Book(self._idents)

    def _held(self, lease: Lease) -> Work | None:
        return self._book(lease.run).held(lease.ident, lease.token)

    def _held_transfer(self, lease: Lease) -> Work:
        work = self._held(lease)
        if work is None or work.part is not None:
            raise LeaseLostError(f"The lease of {lease.transfer.key!r} was lost.")
        return work

    def _dead(
        self, run: RunId, *, code: str = "", key: str = "*", keys: Sequence[str] = ()
    ) -> list[Entry]:
        matches, only = key_matcher(key), frozenset(keys)
        return [
            entry
            for entry in _by_key(self._book(run).entries.values())
            if entry.state is TransferState.FAILED
            and code in ("", entry.code)
            and matches(entry.transfer.key)
            and (not only or entry.transfer.key in only)
        ]

    def _give(self, book: Book, work: Work, worker: WorkerId, token: int, until: datetime) -> None:
        work.token, work.worker = token, worker
        work.attempts += 1
        if work.part is None:
            book.move(work.entry, TransferState.LEASED)
        book.queue(work, until)

    def _give_back(self, book: Book, work: Work) -> None:
        work.attempts -= 1
        self._wait(book, work, self._clock())

    def _wait(self, book: Book, work: Work, due: datetime) -> None:
        work.token = 0
        if work.part is None:
            book.move(work.entry, TransferState.WAITING)
        book.queue(work, due)

    def _lease(self, run: RunId, work: Work) -> Lease:
        entry, kind = work.entry, work.kind
        whole = entry.parts if kind is WorkKind.FINISH else {}
        return Lease(
            run=run,
            ident=work.ident,
            token=work.token,
            kind=kind,
            transfer=entry.transfer,
            attempt=work.attempts,
            part=work.part,
            upload=entry.upload,
            parts=tuple(part for n in sorted(whole) if (part := whole[n].part) is not None),
        )

    def _end(self, book: Book, work: Work, outcome: Outcome) -> None:
        entry = work.entry
        if entry.finish and outcome.state is TransferState.DONE:
            entry.upload = None
        book.abandon(entry)
        book.drop_parts(entry)
        work.token = 0
        book.move(entry, outcome.state)
        book.moved_bytes += outcome.moved_bytes
        entry.moved_bytes, entry.destination_etag = outcome.moved_bytes, outcome.etag
        entry.code, entry.message, entry.note = outcome.code, "", outcome.note
        entry.ended_at = self._clock()

    def _begin_anew(self, book: Book, entry: Entry, transfer: Transfer) -> None:
        book.move(entry, transfer.state, transfer)
        entry.moved_bytes, entry.destination_etag, entry.ended_at = 0, "", None
        entry.code, entry.message, entry.note = "", "", ""
        entry.work.attempts = 0
        if transfer.state is TransferState.WAITING:
            book.queue(entry.work, AT_ONCE)

    def _finish_if_whole(self, book: Book, entry: Entry) -> None:
        if not entry.open_parts:
            entry.finish = True
            self._wait(book, entry.work, self._clock())

    def _fail(self, book: Book, work: Work, failure: Failure) -> None:
        entry = work.entry
        if failure.counted or failure.retry_at is None:
            entry.history.append(Attempt(self._clock(), failure.code, failure.message))
        if not failure.counted:
            work.attempts -= 1
        if failure.retry_at is not None and failure.fresh is None:
            self._wait(book, work, failure.retry_at)
            return
        if work.part is not None:
            entry.work.attempts = attempts_after_part(entry.work.attempts, work.attempts, failure)
        self._start_over(book, entry, failure)

    def _start_over(self, book: Book, entry: Entry, failure: Failure) -> None:
        """Gives up parts and upload; the transfer waits for a new beginning or is a dead letter."""
        book.drop_parts(entry)
        book.abandon(entry)
        fresh = failure.fresh and failure.fresh._replace(
            key=entry.transfer.key, action=entry.transfer.action, state=entry.transfer.state
        )
        entry.work.token = 0
        if failure.retry_at is None:
            book.move(entry, TransferState.FAILED, fresh)
            entry.code, entry.message = failure.code, failure.message
            entry.ended_at = self._clock()
        else:
            book.move(entry, TransferState.WAITING, fresh)
            book.queue(entry.work, failure.retry_at)


def _by_key(entries: Iterable[Entry]) -> list[Entry]:
    return sorted(entries, key=lambda entry: entry.transfer.key.encode())


def _group(dead: Sequence[Entry]) -> FailureGroup:
    first = dead[0]
    return FailureGroup(
        code=first.code,
        count=len(dead),
        size=sum(entry.transfer.size for entry in dead),
        example_key=first.transfer.key,
        example_message=first.message,
    )
