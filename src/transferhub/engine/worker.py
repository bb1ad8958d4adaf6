"""The worker: leases transfers, has the plugin copy them, and tells the ledger how they ended."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from itertools import groupby
from random import Random
from typing import assert_never

from transferhub.engine.groups import first_error
from transferhub.engine.limits import ByteBudget
from transferhub.engine.replication import Copied, PartPlan, Replication
from transferhub.engine.retry import PATIENT_CODES, RetryPolicy
from transferhub.engine.tuning import Tuning
from transferhub.errors import (
    ChangedError,
    LeaseLostError,
    NotFoundError,
    RunError,
    StateError,
    ThrottledError,
    TransferHubError,
)
from transferhub.model.clock import Clock, utc_now
from transferhub.model.transfer import (
    Action,
    Failure,
    Lease,
    Outcome,
    PartOutcome,
    RunId,
    Upload,
    WorkerId,
    WorkKind,
)
from transferhub.state.base import Ledger

log = logging.getLogger(__name__)

_SHORT_PAUSE, _LONG_PAUSE = 0.02, 0.5
"""Seconds between looks for work while there is none."""

_FLUSH_RESULTS = 500

_MOST_LEASES = 1_000
_DELETE_BATCH = 500


class _Results:
    """Ends of work that the ledger is yet to hear."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self.parts: list[PartOutcome] = []
        self.failures: list[Failure] = []

    def __len__(self) -> int:
        return len(self.outcomes) + len(self.parts) + len(self.failures)

    async def tell(self, ledger: Ledger) -> Sequence[Lease]:
        """Returns the leases that were lost."""
        lost: list[Lease] = []
        if self.outcomes:
            lost += await ledger.complete(self.outcomes)
        if self.parts:
            lost += await ledger.complete_parts(self.parts)
        if self.failures:
            lost += await ledger.fail(self.failures)
        return lost

    def before(self, later: _Results) -> _Results:
        """These and later ones together."""
        self.outcomes += later.outcomes
        self.parts += later.parts
        self.failures += later.failures
        return self

    def leases(self) -> list[Lease]:
        ended = [outcome.lease for outcome in self.outcomes]
        return [*ended, *(part.lease for part in self.parts), *(f.lease for f in self.failures)]


class _Pace:
    """How fast work ends.

    Attributes:
        count: what has ended so far.
    """

    def __init__(self) -> None:
        self.count = 0
        self._then = time.monotonic()
        self._counted = 0

    def within(self, seconds: float) -> int:
        """What ends in so many seconds, by the pace since the last call."""
        now = time.monotonic()
        pace = (self.count - self._counted) / max(now - self._then, 1e-3)
        self._then, self._counted = now, self.count
        return int(pace * seconds)


class Worker:
    """Carries the transfers of one run in one event loop."""

    def __init__(
        self,
        *,
        ident: WorkerId,
        run: RunId,
        ledger: Ledger,
        replication: Replication,
        tuning: Tuning,
        clock: Clock = utc_now,
        random: Random | None = None,
    ) -> None:
        self.ident = ident
        self._run = run
        self._ledger = ledger
        self._gather = ledger.gather.total_seconds()
        self._replication = replication
        self._tuning = tuning
        self._clock = clock
        self._policy = RetryPolicy(attempts=tuning.attempts, random=random or Random())
        self._budget = ByteBudget(tuning.memory_bytes)
        self._pace = _Pace()
        self._group: asyncio.TaskGroup | None = None
        self._consumers: set[asyncio.Task[None]] = set()
        self._jobs: asyncio.Queue[list[Lease]] = asyncio.Queue()
        self._held: dict[tuple[WorkKind, int | str], Lease] = {}
        self._busy = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._results = _Results()
        self._news = asyncio.Event()
        self._enough = asyncio.Event()
        self._room = asyncio.Event()
        self._grown = asyncio.Event()
        self._trouble_since: float | None = None

    async def work(self, stop: asyncio.Event) -> None:
        """Works until `stop` is set, then ends what is under way (for `Tuning.drain` at most), and
        gives everything else back.

        Raises:
            RunError, StoreError: what every other transfer would meet too; leases are given back.
            StateError: the ledger cannot be used.
        """
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                self._hire()
                services = [group.create_task(self._flush()), group.create_task(self._heartbeat())]
                await self._feed(stop)
                await self._drain()
                for task in (*self._consumers, *services):
                    task.cancel()
        except BaseExceptionGroup as errors:
            raise first_error(errors) from None
        finally:
            self._group = None
            await self._give_back()

    @property
    def is_full(self) -> bool:
        """Whether work waits because everything that may be under way is."""
        return self._busy >= self._slots and not self._jobs.empty()

    @property
    def _slots(self) -> int:
        return self._tuning.concurrency

    def retune(self, tuning: Tuning) -> None:
        """Changes the limits, also while it works; what is under way ends as it is."""
        self._tuning = tuning
        self._budget.resize(tuning.memory_bytes)
        self._hire()

    def _hire(self) -> None:
        if self._group is None:
            return
        for _ in range(self._slots - len(self._consumers)):
            consumer = self._group.create_task(self._consume())
            self._consumers.add(consumer)

    # Taking work

    async def _feed(self, stop: asyncio.Event) -> None:
        pause = _SHORT_PAUSE
        while not stop.is_set():
            self._grown.clear()
            leases = await self._lease()
            for lease in leases:
                self._held[lease.kind, lease.ident] = lease
            for job in _jobs(leases):
                self._jobs.put_nowait(job)
            pause = _SHORT_PAUSE if leases else min(pause * 1.5, _LONG_PAUSE)
            self._room.clear()
            if not leases:
                await _first(stop, self._grown, seconds=pause)
            elif self._jobs.qsize() > self._slots // 2:
                await _first(stop, self._room)

    async def _lease(self) -> Sequence[Lease]:
        return await self._ledger.lease(
            self._run,
            self.ident,
            limit=min(max(self._slots * 2, 16, self._pace.within(self._gather)), _MOST_LEASES),
            max_bytes=self._tuning.memory_bytes,
            duration=self._tuning.lease,
        )

    async def _drain(self) -> None:
        while not self._jobs.empty():
            self._jobs.get_nowait()
        await _first(self._idle, seconds=self._tuning.drain.total_seconds())

    async def _give_back(self) -> None:
        """Records what ended and releases the rest, also when the worker was cancelled."""
        await self._tell()
        if self._held:
            await self._ledger.release(list(self._held.values()))
            self._held.clear()

    async def _heartbeat(self) -> None:
        while True:
            await asyncio.sleep(self._tuning.lease.total_seconds() / 3)
            if self._held:
                held = list(self._held.values())
                self._forget(await self._ledger.renew(held, self._tuning.lease))

    # Telling how it ended

    async def _flush(self) -> None:
        while True:
            await self._news.wait()
            if len(self._results) < _FLUSH_RESULTS and self._busy:
                await _first(self._enough, self._idle, seconds=self._gather)
            self._news.clear()
            self._enough.clear()
            await self._tell()

    async def _tell(self) -> None:
        results, self._results = self._results, _Results()
        if not len(results):
            return
        try:
            lost = await results.tell(self._ledger)
        except BaseException:
            # They are told again before anything is released: twice changes nothing, and work that
            # has ended would be done again else.
            self._results = results.before(self._results)
            raise
        if lost:
            log.info("leases lost", extra={"action": "leases_lost", "count": len(lost)})
        self._forget(results.leases())
        if results.parts or results.failures:
            self._grown.set()

    def _holds(self, lease: Lease) -> bool:
        held = self._held.get((lease.kind, lease.ident))
        return held is not None and held.token == lease.token

    def _forget(self, leases: Sequence[Lease]) -> None:
        for lease in leases:
            if self._holds(lease):  # it may be held anew, with another token
                del self._held[lease.kind, lease.ident]

    # Doing it

    async def _consume(self) -> None:
        while len(self._consumers) <= self._slots:
            job = await self._jobs.get()
            if self._jobs.qsize() <= self._slots // 2:
                self._room.set()
            self._busy += 1
            self._idle.clear()
            try:
                await self._do([lease for lease in job if self._may_start(lease)])
            finally:
                self._busy -= 1
                if not self._busy:
                    self._idle.set()
                self._news.set()
                if len(self._results) >= _FLUSH_RESULTS:
                    self._enough.set()
            self._pace.count += len(job)
        task = asyncio.current_task()
        assert task is not None
        self._consumers.discard(task)

    def _may_start(self, lease: Lease) -> bool:
        """False where the lease was lost in the queue, and where all attempts are spent."""
        if not self._holds(lease):
            return False
        if lease.attempt > self._tuning.attempts:
            # The last one did not fail, or this were a dead letter.
            spent = TransferHubError(
                f"all {self._tuning.attempts} attempts are spent: the source changed in each, the"
                " upload was lost, or the worker died; the history says which",
                code="gave_up",
            )
            self._fail(lease, spent)
            return False
        return True

    async def _do(self, job: list[Lease]) -> None:
        for lease, error in await self._attempt(job) if job else ():
            await self._failed(lease, error)

    async def _attempt(self, job: list[Lease]) -> Sequence[tuple[Lease, TransferHubError]]:
        """Returns what failed of the job."""
        try:
            failed = await self._carry_out(job)
        except LeaseLostError:
            self._forget(job)
            return ()
        except StateError:
            raise
        except TransferHubError as error:
            return [(lease, error) for lease in job]
        except Exception as error:
            log.exception("internal error", extra={"action": "internal_error"})
            internal = TransferHubError(f"internal error: {type(error).__name__}: {error}")
            return [(lease, internal) for lease in job]
        if len(failed) < len(job):
            self._trouble_since = None
        return failed

    async def _carry_out(self, job: list[Lease]) -> Sequence[tuple[Lease, TransferHubError]]:
        lease = job[0]
        if lease.transfer.action is Action.DELETE:
            return await self._delete(job)
        match lease.kind:
            case WorkKind.TRANSFER:
                await self._copy(lease)
            case WorkKind.PART:
                await self._copy_part(lease)
            case WorkKind.FINISH:
                await self._finish(lease)
            case _:
                assert_never(lease.kind)
        return ()

    async def _copy(self, lease: Lease) -> None:
        transfer = lease.transfer
        if lease.upload is not None:  # an earlier worker may have died while creating it
            await self._replication.abort(lease.upload)
        plan = await self._replication.plan(transfer)
        if plan is not None:
            await self._split(lease, plan)
            return
        async with self._budget.hold(self._replication.weight(transfer)):
            self._done(lease, await self._replication.copy(transfer))

    async def _split(self, lease: Lease, plan: PartPlan) -> None:
        """Makes the transfer one in parts. The intent is kept before the upload exists, so that no
        crash leaves an upload that nobody knows of."""
        intent = Upload(plan.key, "", self._clock())
        await self._ledger.save_upload(lease, intent)
        upload = await self._replication.begin(lease.transfer, intent)
        if isinstance(upload, Copied):
            self._done(lease, upload)
            return
        try:
            await self._ledger.save_parts(lease, upload, plan.parts)
        except LeaseLostError:
            await self._replication.abort(upload)
            raise
        self._forget([lease])
        self._grown.set()

    async def _copy_part(self, lease: Lease) -> None:
        part, upload = lease.part, lease.upload
        assert part is not None
        assert upload is not None
        # Whole, it may need none: a server that copies by itself.
        async with self._budget.hold(min(part.size, self._replication.weight(lease.transfer))):
            part = await self._replication.copy_part(lease.transfer, upload, part)
        self._results.parts.append(PartOutcome(lease, part.etag, part.proven))

    async def _finish(self, lease: Lease) -> None:
        transfer, upload, parts = lease.transfer, lease.upload, lease.parts
        assert upload is not None
        async with self._budget.hold(self._replication.finish_weight(transfer, parts)):
            self._done(lease, await self._replication.finish(transfer, upload, parts))

    async def _delete(self, job: list[Lease]) -> Sequence[tuple[Lease, TransferHubError]]:
        failed = await self._replication.delete([lease.transfer for lease in job])
        for lease in job:
            if lease.transfer.key not in failed:
                self._done(lease, Copied())
        return [(lease, failed[key]) for lease in job if (key := lease.transfer.key) in failed]

    def _done(self, lease: Lease, copied: Copied) -> None:
        self._policy.forget(lease.transfer.key)
        self._results.outcomes.append(
            Outcome(lease, copied.state, copied.moved_bytes, copied.etag, copied.code, copied.note)
        )

    # Failing

    async def _failed(self, lease: Lease, error: TransferHubError) -> None:
        if error.code in self._replication.fatal_codes:
            raise error
        self._check_patience(error)
        lost_upload = isinstance(error, NotFoundError) and error.code == "no_upload"
        if isinstance(error, ChangedError) or (lost_upload and lease.kind is not WorkKind.TRANSFER):
            await self._start_over(lease, error)
        else:
            self._fail(lease, error)

    def _fail(self, lease: Lease, error: TransferHubError) -> None:
        self._results.failures.append(self._policy.judge(lease, error, self._clock()))

    async def _start_over(self, lease: Lease, error: TransferHubError) -> None:
        """The source changed, or the upload is gone: forget the parts and take the present
        source."""
        try:
            fresh = await self._replication.refresh(lease.transfer)
        except TransferHubError as trouble:
            self._fail(lease, trouble)
            return
        failure = self._policy.judge(lease, error, self._clock())
        if fresh is None:
            fresh = lease.transfer  # its next copy finds that the source has vanished
        if failure.retry_at is None and lease.attempt < self._tuning.attempts:
            failure = failure._replace(retry_at=self._clock())
        self._results.failures.append(
            failure._replace(fresh=fresh if failure.retry_at is not None else None)
        )

    def _check_patience(self, error: TransferHubError) -> None:
        """Fails the run where an endpoint has answered nothing for too long."""
        if error.code not in PATIENT_CODES and not isinstance(error, ThrottledError):
            self._trouble_since = None
            return
        now = time.monotonic()
        if self._trouble_since is None:
            self._trouble_since = now
        elif now - self._trouble_since > self._tuning.patience.total_seconds():
            raise RunError(
                f"gave up after {self._tuning.patience.total_seconds():.0f} s without one success:"
                f" {error.message}",
                code=error.code,
            )


def _jobs(leases: Sequence[Lease]) -> list[list[Lease]]:
    """Deletes go in batches, everything else alone."""
    jobs: list[list[Lease]] = []
    for deletes, group in groupby(leases, key=lambda lease: lease.transfer.action is Action.DELETE):
        members = list(group)
        size = _DELETE_BATCH if deletes else 1
        jobs += [members[start : start + size] for start in range(0, len(members), size)]
    return jobs


async def _first(*events: asyncio.Event, seconds: float | None = None) -> None:
    """Returns when one of the events is set, or after `seconds`."""
    waits = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
