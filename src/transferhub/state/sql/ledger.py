"""`SqlLedger`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from itertools import count
from typing import Self

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
)
from transferhub.state.cursors import read_key_cursor
from transferhub.state.rules import GATHER, check_start
from transferhub.state.sql import (
    dead_letters,
    ending,
    failing,
    leasing,
    pages,
    reading,
    recording,
    uploads,
)
from transferhub.state.sql.database import Database

_PAGE = 2_000

_PURGED_AT_ONCE = 2_000
"""Transfers in one transaction: some ten milliseconds in which nobody else writes to SQLite."""


class SqlLedger:
    """A Ledger in SQLite or PostgreSQL; each verb is one transaction."""

    gather = GATHER

    def __init__(self, database: Database, clock: Clock = utc_now) -> None:
        self._database = database
        self._clock = clock
        self._turns = count()
        self._found_none = False

    @classmethod
    async def open(cls, url: str, clock: Clock = utc_now) -> Self:
        """Opens `sqlite:///path` or `postgresql://user@host/name`.

        Raises:
            InputError: the URL names no database that we know.
            StateError: the database cannot be used.
        """
        return cls(await Database.open(url), clock)

    async def record(
        self, run: RunId, transfers: Sequence[Transfer], shards: Sequence[Shard] = ()
    ) -> int:
        check_start(transfers)
        return await self._database.write(
            lambda session: recording.record(session, run, transfers, shards)
        )

    async def replace(
        self, run: RunId, transfers: Sequence[Transfer], shards: Sequence[Shard] = ()
    ) -> bool:
        check_start(transfers)
        return await self._database.write(
            lambda session: recording.replace(session, run, transfers, shards)
        )

    async def known(self, run: RunId, keys: Sequence[str]) -> Mapping[str, TransferRecord]:
        return await self._database.read(lambda session: reading.known(session, run, keys))

    async def shards(self, run: RunId) -> Sequence[Shard]:
        return await self._database.read(lambda session: recording.shards(session, run))

    async def lease(
        self,
        run: RunId,
        worker: WorkerId,
        *,
        limit: int,
        max_bytes: int,
        duration: timedelta,
    ) -> Sequence[Lease]:
        now, first = self._clock(), next(self._turns)
        # Whoever found none last time looks first as a reader, and keeps no writer waiting.
        if self._found_none and not await self._database.read(
            lambda session: leasing.has_work(session, run, now)
        ):
            return []
        leases = await self._database.write(
            lambda session: leasing.lease(
                session,
                run,
                worker,
                limit=limit,
                max_bytes=max_bytes,
                now=now,
                until=now + duration,
                first=first,
            )
        )
        self._found_none = not leases
        return leases

    async def renew(self, leases: Sequence[Lease], duration: timedelta) -> Sequence[Lease]:
        until = self._clock() + duration
        return await self._database.write(lambda session: leasing.renew(session, leases, until))

    async def complete(self, outcomes: Sequence[Outcome]) -> Sequence[Lease]:
        ending.check_end(outcomes)
        now = self._clock()
        return await self._database.write(lambda session: ending.complete(session, outcomes, now))

    async def complete_parts(self, outcomes: Sequence[PartOutcome]) -> Sequence[Lease]:
        now = self._clock()
        return await self._database.write(
            lambda session: ending.complete_parts(session, outcomes, now)
        )

    async def fail(self, failures: Sequence[Failure]) -> Sequence[Lease]:
        now = self._clock()
        return await self._database.write(lambda session: failing.fail(session, failures, now))

    async def release(self, leases: Sequence[Lease]) -> None:
        now = self._clock()
        await self._database.write(lambda session: leasing.release(session, leases, now))

    async def reclaim(self, run: RunId, workers: Sequence[WorkerId]) -> int:
        now = self._clock()
        return await self._database.write(
            lambda session: leasing.reclaim(session, run, workers, now)
        )

    async def save_upload(self, lease: Lease, upload: Upload) -> None:
        await self._database.write(lambda session: uploads.save_upload(session, lease, upload))

    async def save_parts(self, lease: Lease, upload: Upload, parts: Sequence[Part]) -> None:
        now = self._clock()
        await self._database.write(
            lambda session: uploads.save_parts(session, lease, upload, parts, now)
        )

    async def uploads(self, run: RunId) -> Sequence[UploadRecord]:
        return await self._database.read(lambda session: uploads.uploads(session, run))

    async def forget_upload(self, run: RunId, record: UploadRecord) -> None:
        await self._database.write(lambda session: uploads.forget_upload(session, run, record))

    async def release_held(self, run: RunId) -> int:
        return await self._database.write(lambda session: recording.release_held(session, run))

    async def totals(self, run: RunId) -> Totals:
        return await self._database.read(lambda session: reading.totals(session, run))

    async def part_bytes(self, run: RunId) -> int:
        return await self._database.read(lambda session: reading.part_bytes(session, run))

    async def failures(
        self, run: RunId, *, code: str = "", key: str = "*", after: str = "", limit: int = 1_000
    ) -> Sequence[TransferRecord]:
        return await self._database.read(
            lambda session: dead_letters.failures(
                session, run, code=code, key=key, after=after, limit=limit
            )
        )

    async def failure_groups(self, run: RunId) -> Sequence[FailureGroup]:
        return await self._database.read(lambda session: dead_letters.failure_groups(session, run))

    async def redrive(
        self, run: RunId, *, code: str = "", key: str = "*", keys: Sequence[str] = ()
    ) -> int:
        now = self._clock()
        return await self._database.write(
            lambda session: dead_letters.redrive(
                session, run, code=code, key=key, keys=keys, now=now
            )
        )

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
        return await self._database.read(
            lambda session: pages.page(
                session, run, prefix=prefix, states=states, code=code, after=last, limit=limit
            )
        )

    async def transfers(
        self, run: RunId, *, states: Sequence[TransferState] = ()
    ) -> AsyncIterator[TransferRecord]:
        page = await self._page(run, states, None)
        while page:
            for record in page:
                yield record
            page = await self._page(run, states, page[-1].transfer.key)

    async def reset(self, run: RunId) -> None:
        await self._database.write(lambda session: recording.reset(session, run))

    async def purge(self, run: RunId) -> None:
        while await self._database.write(lambda s: recording.purge_some(s, run, _PURGED_AT_ONCE)):
            pass  # others have their turn in between

    async def ledgers(self, *, after: str = "", limit: int = 1_000) -> Sequence[RunId]:
        return await self._database.read(lambda session: reading.ledgers(session, after, limit))

    async def aclose(self) -> None:
        await self._database.aclose()

    async def _page(
        self, run: RunId, states: Sequence[TransferState], after: str | None
    ) -> Sequence[TransferRecord]:
        return await self._database.read(
            lambda session: reading.transfers_after(session, run, states, after, _PAGE)
        )
