"""Counts what a hub has and does, for those who watch it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from transferhub.control.standing import standing_of
from transferhub.model.census import MOST_TASKS, Census, Tally, Work
from transferhub.model.clock import Clock, utc_now
from transferhub.model.fleet import Member, MemberKind
from transferhub.model.history import Sample
from transferhub.model.pages import RunFilter, TaskFilter
from transferhub.model.run import UNDER_WAY_STATES, Run, RunState, TaskId, TaskState
from transferhub.model.transfer import Action, RunId, Totals, TransferState
from transferhub.state.base import Fleet, Ledger, TaskStore
from transferhub.state.events import Inbox
from transferhub.state.history import Samples

FRESH = timedelta(seconds=5)
"""How long a census is given again."""

_STALE = timedelta(seconds=30)
"""A run that was not sampled for so long has no rate."""

_MARGIN = timedelta(minutes=1)
"""Clocks of other machines may be behind by as much."""

_MOST_REMEMBERED = 10_000
_PAGE = 500


class CensusTaker:
    """Takes a census when it is asked for one, but not more often than every FRESH."""

    def __init__(
        self,
        tasks: TaskStore,
        ledger: Ledger,
        fleet: Fleet,
        inbox: Inbox,
        samples: Samples,
        *,
        clock: Clock = utc_now,
    ) -> None:
        self._tasks = tasks
        self._ledger = ledger
        self._fleet = fleet
        self._inbox = inbox
        self._samples = samples
        self._clock = clock
        self._meter = Meter(clock())
        self._taking = asyncio.Lock()
        self._latest: Census | None = None

    async def take(self) -> Census:
        """Raises StateError where the state cannot be asked."""
        async with self._taking:
            now = self._clock()
            if self._latest is None or not timedelta() <= now - self._latest.at < FRESH:
                self._latest = await self._take(now)
            return self._latest

    async def _take(self, now: datetime) -> Census:
        running = [run async for run in self._runs(RunFilter(states=(RunState.RUNNING,)))]
        queued = [run async for run in self._runs(RunFilter(states=(RunState.QUEUED,)))]
        totals = {run.ident: await self._ledger.totals(run.ident) for run in [*running, *queued]}
        await self._count(now, [*running, *queued], totals)
        sampled = await self._samples.latest([run.ident for run in running])
        of_tasks: dict[TaskId, Work] = {}
        for run in [*running, *queued]:
            work = _work(totals[run.ident], sampled.get(run.ident), now)
            of_tasks[run.task] = of_tasks.get(run.task, Work()).plus(work)
        members = await self._fleet.members()
        lag = await self._inbox.lag()
        return Census(
            at=now,
            tasks={state: await self._task_count(state) for state in TaskState},
            queued=len(queued),
            running=len(running),
            queued_since=min((run.created_at for run in queued), default=None),
            members=_by_kind(members),
            draining=sum(member.draining for member in members),
            leases=sum(member.load.leases for member in members),
            events_since=min(lag.values(), default=None),
            event_tasks=len(lag),
            work=_sum(of_tasks),
            busiest=_busiest(of_tasks),
            tally=self._meter.tally,
        )

    async def _runs(self, chosen: RunFilter) -> AsyncIterator[Run]:
        after = ""
        while True:
            page = await self._tasks.runs(chosen, after=after, limit=_PAGE)
            for run in page.items:
                yield run
            if not page.cursor:
                return
            after = page.cursor

    async def _task_count(self, state: TaskState) -> int:
        return (await self._tasks.tasks(TaskFilter(state=state), limit=1)).total or 0

    async def _count(
        self, now: datetime, under_way: list[Run], totals: dict[RunId, Totals]
    ) -> None:
        """Counts what was done since the last census: of what is under way, of what was then, and
        of what began and ended in between."""
        since = self._meter.counted_at - _MARGIN
        for ident in self._meter.under_way - {run.ident for run in under_way}:
            run = await self._tasks.get_run(ident)
            if run is None:
                self._meter.forget(ident)
            else:
                await self._count_ended(run)
        async for run in self._runs(RunFilter(since=since)):
            await self._count_ended(run)
        for run in under_way:
            self._meter.see(run, _of_totals(totals[run.ident]))
        self._meter.counted_at = now

    async def _count_ended(self, run: Run) -> None:
        if run.state in UNDER_WAY_STATES or self._meter.has_ended(run):
            return
        standing = await standing_of(run, self._ledger)
        failures = standing.failed + standing.delete_failed
        self._meter.end(run, Amount(standing.bytes, standing.done, failures))


@dataclass(frozen=True, slots=True)
class Amount:
    """How much a run did."""

    bytes: int = 0
    objects: int = 0
    failures: int = 0

    def since(self, former: Amount) -> Amount:
        """Failures are fewer after they were tried again: nothing is taken back then."""
        return Amount(
            max(0, self.bytes - former.bytes),
            max(0, self.objects - former.objects),
            max(0, self.failures - former.failures),
        )


class Meter:
    """Counts what runs do from a moment on, each run by how much it grew."""

    def __init__(self, began_at: datetime) -> None:
        self.counted_at = began_at
        self._began_at = began_at
        self._known: dict[RunId, Amount] = {}
        self._under_way: set[RunId] = set()
        self._ended: dict[RunId, datetime | None] = {}
        self._sum = Amount()
        self._ends: Counter[RunState] = Counter()

    @property
    def tally(self) -> Tally:
        done = self._sum
        return Tally(
            bytes=done.bytes, objects=done.objects, failures=done.failures, ended={**self._ends}
        )

    @property
    def under_way(self) -> set[RunId]:
        """Runs that were, when they were seen last."""
        return set(self._under_way)

    def see(self, run: Run, amount: Amount) -> None:
        """Of a run under way."""
        self._add(run, amount)
        self._under_way.add(run.ident)

    def end(self, run: Run, amount: Amount) -> None:
        """Of a run that has ended; an end of before is none of ours."""
        self._add(run, amount)
        self._under_way.discard(run.ident)
        self._ended[run.ident] = run.ended_at
        if run.ended_at is None or run.ended_at >= self._began_at:
            self._ends[run.state] += 1
        self._bound()

    def has_ended(self, run: Run) -> bool:
        """Whether this end of the run was counted."""
        return run.ident in self._ended and self._ended[run.ident] == run.ended_at

    def forget(self, ident: RunId) -> None:
        """Of a run that was deleted."""
        self._under_way.discard(ident)

    def _add(self, run: Run, amount: Amount) -> None:
        fresh = Amount() if run.created_at >= self._began_at else amount
        grown = amount.since(self._known.get(run.ident, fresh))
        self._known[run.ident] = amount
        self._sum = Amount(
            self._sum.bytes + grown.bytes,
            self._sum.objects + grown.objects,
            self._sum.failures + grown.failures,
        )

    def _bound(self) -> None:
        while len(self._ended) > _MOST_REMEMBERED:
            oldest = next(iter(self._ended))
            del self._ended[oldest]
            if oldest not in self._under_way:
                self._known.pop(oldest, None)


def _of_totals(totals: Totals) -> Amount:
    copied = totals.tally(Action.COPY, TransferState.DONE).count
    return Amount(totals.moved_bytes, copied, _failures(totals))


def _failures(totals: Totals) -> int:
    return sum(totals.tally(action, TransferState.FAILED).count for action in Action)


def _work(totals: Totals, sample: Sample | None, now: datetime) -> Work:
    is_fresh = sample is not None and now - sample.at < _STALE
    return Work(
        open=totals.open,
        failures=_failures(totals),
        bytes_per_second=sample.bytes_per_second if sample and is_fresh else 0.0,
        objects_per_second=sample.objects_per_second if sample and is_fresh else 0.0,
    )


def _by_kind(members: Sequence[Member]) -> Mapping[MemberKind, int]:
    counts = Counter(member.kind for member in members)
    return {kind: counts[kind] for kind in MemberKind}


def _sum(of_tasks: Mapping[TaskId, Work]) -> Work:
    total = Work()
    for work in of_tasks.values():
        total = total.plus(work)
    return total


def _busiest(of_tasks: Mapping[TaskId, Work]) -> Mapping[TaskId, Work]:
    ordered = sorted(of_tasks.items(), key=lambda pair: (-pair[1].open, pair[0]))
    return dict(ordered[:MOST_TASKS])
