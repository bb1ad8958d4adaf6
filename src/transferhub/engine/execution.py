"""One run from its first check to its report."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from transferhub.engine.folders import emptied, writing
from transferhub.engine.groups import first_error, unless
from transferhub.engine.progress import Observer, Phase, Progress, Summary
from transferhub.engine.replication import Find, Replication
from transferhub.engine.report import balance, write_report, write_summary
from transferhub.errors import GuardError, StoreError
from transferhub.model.run import RunState
from transferhub.model.transfer import (
    Action,
    RunId,
    Totals,
    TransferState,
    UploadRecord,
    WorkerId,
)
from transferhub.state.base import Ledger

_LOOK_SECONDS = 0.25
_QUICK_LOOK = 0.08
"""Of `Ledger.gather`: the shortest pause between looks at whether the work has ended."""

_PAUSE_SHARE = 0.02
_RATE_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteGuard:
    """How many EXTRA keys may be deleted before a person has to look.

    Attributes:
        delete: false where nothing is deleted at all.
        most: None for any number.
        most_percent: of those that the destination has.
        things: what is counted, for people.
    """

    delete: bool = False
    most: int | None = None
    most_percent: float = 10.0
    things: str = "objects"

    def check(self, totals: Totals, destination: str) -> None:
        """Raises GuardError where `totals` holds too many."""
        extra = totals.tally(Action.DELETE, TransferState.HELD).count
        self.check_count(extra, totals.scan.scanned_destination, destination)

    def check_count(self, extra: int, seen: int, destination: str) -> None:
        """Raises GuardError where `extra` of `seen` are too many."""
        percent = 100.0 * extra / seen if seen else 0.0
        counted = f"{extra} of {seen} {self.things} ({percent:.1f} %)"
        says = f"{counted} would be deleted from {destination}"
        for name, value, limit in (
            ("max_delete", extra, self.most),
            ("max_delete_percent", percent, self.most_percent),
        ):
            if limit is not None and value > limit:
                raise GuardError(
                    f"{says}, more than --{name.replace('_', '-')} {limit:.15g} allows; nothing was"
                    " deleted. Look at the report's EXTRA keys, and raise the limit if they may go",
                    code=name,
                )


class Guard(Protocol):
    """Has the last word on the deletes that are HELD at the end of a run."""

    @property
    def delete(self) -> bool:
        """Whether any may be deleted."""

    def check(self, totals: Totals, destination: str) -> None:
        """Raises GuardError where none may be."""


class Crew(Protocol):
    """The workers of a run, wherever they are."""

    @property
    def size(self) -> int: ...

    async def work(self, stop: asyncio.Event) -> None:
        """Works until `stop` is set and everything under way has ended or was given back.

        Raises:
            TransferHubError: what stopped a worker, and would stop every other one.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What an execution is given.

    Attributes:
        former_workers: of an earlier start of this run; they are dead.
        earlier_runs: of the same task, ended; uploads that they could not abort are aborted now.
        destination, noun: for messages: where it goes, and what is counted.
        folder: the run's own, for its report and its spool.
        find: finds instead of the replication's own finder.
    """

    run: RunId
    ledger: Ledger
    replication: Replication
    crew: Crew
    guard: Guard
    destination: str
    noun: str = "object"
    folder: Path
    former_workers: Sequence[WorkerId] = ()
    earlier_runs: Sequence[RunId] = ()
    scan: bool = True
    find: Find | None = None


class Execution:
    """Runs a job. `stop` set: ends early, gives work back, and leaves all that a resume needs."""

    def __init__(
        self, job: Job, *, talk: Callable[[str], None], observer: Observer | None = None
    ) -> None:
        self._job = job
        self._talk = talk
        self._notes: list[str] = []
        self._moved_before = 0
        self._meter = _Meter(job, observer)

    async def run(self, stop: asyncio.Event) -> Summary:
        """Returns the end of the run, whatever it is but an error.

        Raises:
            TransferHubError: the run failed; its work is kept for a resume.
        """
        started = time.monotonic()
        job = self._job
        try:
            with writing("the run's folder", job.folder):
                job.folder.mkdir(parents=True, exist_ok=True)
            await job.replication.check()
            await self._recover()
            await self._work(stop)
            await self._abort_uploads()
            totals = await job.ledger.totals(job.run)
            if stop.is_set():
                return await self._summary(RunState.CANCELLED, totals, started)
            return await self._report(totals, started)
        finally:
            self._meter.close()

    def note(self, sentence: str) -> None:
        """Something that the user should know at the end, too; told once."""
        if sentence not in self._notes:
            self._notes.append(sentence)
            self._talk(sentence)

    async def _recover(self) -> None:
        """Takes back what dead workers held."""
        job = self._job
        back = await job.ledger.reclaim(job.run, job.former_workers)
        totals = await job.ledger.totals(job.run)
        self._moved_before = await self._moved(totals)
        if totals.shards:
            done = totals.tally(Action.COPY, TransferState.DONE).count
            self._talk(
                f"resuming run {job.run}: {_compared(totals)}, {done} {job.noun}s are copied,"
                f" {totals.open} wait, of which {back} were under way when it stopped"
            )
        await self._abort_uploads()

    async def _abort_uploads(self) -> None:
        """Aborts the uploads that nothing needs any more, also those of earlier runs."""
        for run in (self._job.run, *self._job.earlier_runs):
            for record in await self._job.ledger.uploads(run):
                if record.abandoned:
                    await self._abort_upload(run, record)

    async def _abort_upload(self, run: RunId, record: UploadRecord) -> None:
        try:
            await self._job.replication.abort(record.upload)
        except StoreError as error:
            self.note(
                f"an upload of {record.upload.key!r} could not be aborted and will be tried again"
                f" at the next start: {error.message}"
            )
        else:
            await self._job.ledger.forget_upload(run, record)

    async def _work(self, stop: asyncio.Event) -> None:
        """Lists and copies side by side, then deletes."""
        end = asyncio.Event()
        try:
            async with asyncio.TaskGroup() as group:
                crew = group.create_task(self._job.crew.work(end))
                meter = group.create_task(self._meter.run())
                await unless(stop, self._find_and_settle())
                end.set()
                await crew
                meter.cancel()
        except BaseExceptionGroup as errors:
            raise first_error(errors) from None

    async def _find_and_settle(self) -> None:
        job = self._job
        if job.scan:
            spool = emptied(job.folder / "spool")
            find = job.find or job.replication.find
            await find(job.run, job.ledger, spool, self.note)
        self._meter.listing = False
        await self._settled()
        if job.guard.delete and job.scan:
            self._meter.phase = Phase.DELETING
            job.guard.check(await job.ledger.totals(job.run), job.destination)
            await job.ledger.release_held(job.run)
            await self._settled()

    async def _settled(self) -> None:
        """Returns when no transfer is open."""
        started = time.monotonic()
        while (await self._job.ledger.totals(self._job.run)).open:
            # A look costs a query, and a pause may be as long as nobody notices.
            bearable = (time.monotonic() - started) * _PAUSE_SHARE
            longest = self._job.ledger.gather.total_seconds()
            await asyncio.sleep(min(max(bearable, longest * _QUICK_LOOK), longest))

    async def _report(self, totals: Totals, started: float) -> Summary:
        job = self._job
        self._meter.phase = Phase.REPORTING
        path = job.folder / "report.csv.gz"
        noted = await write_report(path, job.ledger.transfers(job.run))
        summary = replace(
            await self._summary(_end_state(totals), totals, started),
            noted=noted,
            report=str(path),
            faults=tuple(balance(totals)),
        )
        if summary.faults:
            summary = replace(
                summary,
                status=RunState.FAILED,
                error_code="unbalanced",
                error=f"the run does not balance: {'; '.join(summary.faults)}",
            )
        write_summary(job.folder / "summary.json", summary)
        return summary

    async def _summary(self, status: RunState, totals: Totals, started: float) -> Summary:
        summary = Summary.of(self._job.run, status, totals, seconds=time.monotonic() - started)
        # Less than nothing where a scan that began anew forgot what was done before.
        moved = max(0, await self._moved(totals) - self._moved_before)
        return replace(summary, start_bytes=moved, notes=tuple(self._notes))

    async def _moved(self, totals: Totals) -> int:
        """Bytes by all starts of the run until now."""
        return totals.moved_bytes + await self._job.ledger.part_bytes(self._job.run)


class _Meter:
    """Tells the observer how the run goes."""

    def __init__(self, job: Job, observer: Observer | None) -> None:
        self.phase = Phase.COPYING
        self.listing = job.scan
        self._job = job
        self._observer = observer
        self._started = time.monotonic()
        self._samples: deque[tuple[float, int, int]] = deque()

    async def run(self) -> None:
        while self._observer is not None:
            totals = await self._job.ledger.totals(self._job.run)
            self._observer(self._progress(totals, await self._part_bytes(totals)))
            await asyncio.sleep(self._job.ledger.gather.total_seconds())

    def close(self) -> None:
        """No more progress."""
        self._observer = None

    async def _part_bytes(self, totals: Totals) -> int:
        in_parts = totals.tally(Action.COPY, TransferState.IN_PARTS).count
        return await self._job.ledger.part_bytes(self._job.run) if in_parts else 0

    def _progress(self, totals: Totals, part_bytes: int) -> Progress:
        now = time.monotonic()
        ended = totals.tally(Action.COPY, TransferState.DONE)
        copied = ended.size + part_bytes
        self._samples.append((now, copied, ended.count))
        while now - self._samples[0][0] > _RATE_SECONDS:
            self._samples.popleft()
        then, size, count = self._samples[0]
        seconds = max(now - then, _LOOK_SECONDS)
        # Parts of a transfer that starts over count no more.
        size_rate = max(0, copied - size) / seconds
        count_rate = (ended.count - count) / seconds
        return Progress(
            run=self._job.run,
            phase=self.phase,
            listing=self.listing,
            totals=totals,
            seconds=now - self._started,
            part_bytes=part_bytes,
            bytes_per_second=size_rate,
            objects_per_second=count_rate,
            seconds_left=(
                None if self.listing else _seconds_left(totals, part_bytes, size_rate, count_rate)
            ),
            workers=self._job.crew.size,
        )


def _seconds_left(
    totals: Totals, part_bytes: int, size_rate: float, count_rate: float
) -> float | None:
    """By objects or by bytes, whichever takes longer."""
    left = totals.tally(
        Action.COPY, TransferState.WAITING, TransferState.LEASED, TransferState.IN_PARTS
    )
    if not left.count:
        return 0.0
    guesses = [
        remaining / rate
        for remaining, rate in ((left.size - part_bytes, size_rate), (left.count, count_rate))
        if rate > 0
    ]
    return max(guesses, default=None)


def _compared(totals: Totals) -> str:
    if totals.shards_done == totals.shards:
        return "both sides are compared"
    return f"{totals.shards_done} of {totals.shards} key ranges are compared"


def _end_state(totals: Totals) -> RunState:
    failed = totals.tally(Action.COPY, TransferState.FAILED).count
    failed += totals.tally(Action.DELETE, TransferState.FAILED).count
    return RunState.COMPLETED_WITH_FAILURES if failed else RunState.SUCCEEDED
