"""Forgets what is older than people want it kept.

However many servers run, one of them acts on what they share: the one that holds the seat. Reports
lie on the machine that wrote them, so each machine sees to its own.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from transferhub.control.occupant import Occupant
from transferhub.control.waiting import Wait, wait
from transferhub.errors import LeaseLostError
from transferhub.model.clock import Clock, utc_now
from transferhub.model.run import UNDER_WAY_STATES, Run
from transferhub.model.transfer import RunId
from transferhub.state.base import Ledger, RunStore, Seats

log = logging.getLogger(__name__)

SEAT = "retention"
INTERVAL = timedelta(hours=1)
FIRST = timedelta(minutes=1)
"""After a start, which has better things to do."""

SEAT_DURATION = 3 * INTERVAL / 2
"""More than INTERVAL: the same one acts as long as it lives."""

_HOLD_AGAIN = timedelta(minutes=1)
_PAGE = 100

Purge = Callable[[datetime], Awaitable[int]]
"""Forgets some of what is older; returns how much, 0 once there is none left."""

Forget = Callable[[RunId], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """Something that is kept for a while.

    Attributes:
        keep: for how long; None is for ever.
    """

    name: str
    keep: timedelta | None
    purge: Purge


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """Attributes:
    runs: that were forgotten, with their transfers.
    strays: runs of which only the ledger knew any more.
    shelves: how much of each was forgotten, by name.
    """

    runs: int
    strays: int
    shelves: dict[str, int]


class Reports(Protocol):
    """What runs left on this machine's disk."""

    async def written(self) -> Sequence[tuple[RunId, datetime]]:
        """Runs that left something, and when they wrote last."""

    async def remove(self, run: RunId) -> bool:
        """Removes it all; False where a process works on the run."""


async def sweep_until(
    stop: asyncio.Event,
    *rounds: Callable[[], Awaitable[object]],
    wait: Wait = wait,
) -> None:
    """Makes these rounds every INTERVAL until `stop` is set, whatever fails.

    Args:
        wait: returns once the event is set, after the duration at the latest.
    """
    await wait(stop, FIRST)
    while not stop.is_set():
        for each in rounds:
            try:
                await each()
            except Exception:
                log.exception("the next round tries again", extra={"action": "retention_failed"})
        await wait(stop, INTERVAL)


class Retention:
    """Forgets old runs and what else the servers share; safe beside any number of others."""

    def __init__(
        self,
        store: RunStore,
        ledger: Ledger,
        seats: Seats,
        *,
        keep: timedelta | None,
        shelves: Sequence[Shelf] = (),
        forget: Sequence[Forget] = (),
        holder: str,
        clock: Clock = utc_now,
    ) -> None:
        """Args:
        keep: runs, from their end on; None is for ever.
        forget: what else is known of a run goes with it.
        holder: names this one among the servers.
        """
        self._store = store
        self._ledger = ledger
        self._occupant = Occupant(
            seats, SEAT, holder, duration=SEAT_DURATION, renew_after=_HOLD_AGAIN, clock=clock
        )
        self._keep = keep
        self._shelves = shelves
        self._forget = forget
        self._clock = clock

    async def round(self) -> Swept | None:
        """Forgets what is old now; None where another server acts, or took over.

        Raises:
            StateError: what was forgotten stays so.
        """
        try:
            await self._occupant.sit()
            swept = Swept(
                runs=await self._sweep_runs(),
                strays=await self._sweep_strays(),
                shelves={shelf.name: await self._sweep_shelf(shelf) for shelf in self._shelves},
            )
        except LeaseLostError:
            return None
        log.info(
            "forgot %s runs, %s strays, %s",
            swept.runs,
            swept.strays,
            swept.shelves,
            extra={"action": "retention_swept"},
        )
        return swept

    async def leave(self) -> None:
        """Lets another server act at once."""
        await self._occupant.leave()

    # Runs

    async def _sweep_runs(self) -> int:
        """The run goes first, then what the ledger knows: a start that comes in between finds no
        run, and what is left when this process dies is a stray."""
        count = 0
        async for run in self._expired():
            # Multipart uploads that could not be aborted yet are known by nobody else.
            if (await self._ledger.totals(run.ident)).uploads:
                continue
            if await self._store.delete_run(run):
                await self._forget_run(run.ident)
                count += 1
        return count

    async def _expired(self) -> AsyncIterator[Run]:
        after = ""
        while self._keep is not None:
            before = self._clock() - self._keep
            page = await self._store.expired_runs(before, after=after, limit=_PAGE)
            for run in page.items:
                await self._occupant.stay()
                yield run
            if not page.cursor:
                return
            after = page.cursor

    async def _sweep_strays(self) -> int:
        count, after = 0, ""
        while page := await self._ledger.ledgers(after=after, limit=_PAGE):
            after = page[-1]
            for run in await self._store.unknown_runs(page):
                await self._occupant.stay()
                await self._forget_run(run)
                count += 1
        return count

    async def _forget_run(self, run: RunId) -> None:
        for forget in (*self._forget, self._ledger.purge):  # the ledger last: it tells of a stray
            await forget(run)

    # The rest

    async def _sweep_shelf(self, shelf: Shelf) -> int:
        count = 0
        while shelf.keep is not None:
            await self._occupant.stay()
            purged = await shelf.purge(self._clock() - shelf.keep)
            count += purged
            if not purged:
                break
        return count


class ReportRetention:
    """Removes old reports from this machine."""

    def __init__(
        self,
        store: RunStore,
        reports: Reports,
        *,
        keep: timedelta | None,
        clock: Clock = utc_now,
    ) -> None:
        self._store = store
        self._reports = reports
        self._keep = keep
        self._clock = clock

    async def round(self) -> int:
        """Removes what is old now, but nothing of a run that may go on; returns of how many runs.

        Raises:
            StateError
        """
        if self._keep is None:
            return 0
        before, count = self._clock() - self._keep, 0
        for ident, written_at in await self._reports.written():
            if written_at < before and not await self._may_go_on(ident):
                count += await self._reports.remove(ident)
        log.info("removed %s reports", count, extra={"action": "retention_reports"})
        return count

    async def _may_go_on(self, ident: RunId) -> bool:
        run = await self._store.get_run(ident)
        return run is not None and run.state in UNDER_WAY_STATES
