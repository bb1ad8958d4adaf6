"""`Keeper`: has queued runs carried by this machine, and lends a hand with those of others."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Protocol

from transferhub.control.schedule import may_work
from transferhub.control.waiting import Wait, wait
from transferhub.errors import ConflictError, StateError
from transferhub.model.clock import Clock, utc_now
from transferhub.model.fleet import Load, Member
from transferhub.model.pages import RunFilter
from transferhub.model.run import Run, RunState
from transferhub.model.transfer import RunId, WorkerId
from transferhub.state.base import Fleet, Ledger, TaskStore

log = logging.getLogger(__name__)

MOST_PROCESSES = 64
"""Worker processes of one run on one machine."""

_CRASHES = 3
_BEATS_BEFORE = 2
"""In so many beats every other member has had one."""


def worker_ids(run: RunId, holder: str, count: int = MOST_PROCESSES) -> list[WorkerId]:
    """The workers of a run in the processes of one holder, by number."""
    return [WorkerId(f"{run}.{holder}.{number}") for number in range(count)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What part of the limits one process may use.

    Attributes:
        of_run: machines that work on this run, among which the task's limits are shared.
        of_host: runs that this machine works on, among which its own limits are shared.
    """

    of_run: int = 1
    of_host: int = 1


@dataclass(frozen=True, slots=True)
class Leave:
    """Asks a process to end what is under way and give the run back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """How fast a process works."""

    objects_per_second: float = 0.0
    bytes_per_second: float = 0.0


class Carriage(Protocol):
    """A process that carries a run, or has joined one."""

    @property
    def rates(self) -> Rates: ...

    @property
    def described(self) -> str:
        """For the log."""

    def tell(self, message: Share | Leave) -> None: ...

    async def ended(self) -> bool:
        """Returns when the process has ended: whether by itself and well."""

    def kill(self) -> None: ...


class Launcher(Protocol):
    """Starts what carries a run, somewhere."""

    def start(self, run: Run, share: Share, *, joins: bool) -> Carriage:
        """Args:
        run: kept by this machine, or, where it is joined, by another one.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class KeeperRules:
    """Attributes:
    slots: runs at once; 0 for none.
    lease: how long a run stays with a keeper that is silent. It covers the start of a process.
    look: pause between looks for queued runs.
    beat: pause between signs of life.
    silence: a member that gave no sign for so long is lost.
    join_from: open transfers from which on a run of another machine is joined.
    grace: how long processes have to end when this machine leaves.
    """

    slots: int = 4
    lease: timedelta = timedelta(seconds=20)
    look: timedelta = timedelta(seconds=0.3)
    beat: timedelta = timedelta(seconds=2)
    silence: timedelta = timedelta(seconds=30)
    join_from: int = 200
    grace: timedelta = timedelta(seconds=25)


@dataclass(slots=True)
class _Carried:
    run: Run
    carriage: Carriage
    joins: bool
    share: Share


async def _nobody_hears(_: Member) -> None:
    return


class Keeper:
    """One machine's part in the hub; safe beside any number of others.

    A run belongs to whoever keeps its lease, which the process that carries it renews. Where that
    process or its machine dies, the lease runs out and another keeper claims the run.
    """

    def __init__(
        self,
        store: TaskStore,
        ledger: Ledger,
        fleet: Fleet,
        launcher: Launcher,
        member: Member,
        *,
        rules: KeeperRules | None = None,
        lost: Callable[[Member], Awaitable[None]] = _nobody_hears,
        clock: Clock = utc_now,
        wait: Wait = wait,
    ) -> None:
        """Args:
        member: this process.
        lost: hears of each member that gave no sign of life any more, before it is forgotten: it
            may hear of one more than once, and so may that of another keeper.
        wait: returns once the event is set, after the duration at the latest.
        """
        self._store = store
        self._ledger = ledger
        self._fleet = fleet
        self._launcher = launcher
        self._member = member
        self._rules = rules or KeeperRules()
        self._lost = lost
        self._clock = clock
        self._wait = wait
        self._carried: dict[RunId, _Carried] = {}
        self._about_to_join: RunId | None = None
        self._announced = 0
        self._not_joined: set[RunId] = set()
        self._crashes: dict[RunId, int] = {}
        self._watchers: set[asyncio.Task[None]] = set()
        self._ending = asyncio.Event()

    @property
    def carries(self) -> Sequence[RunId]:
        """The runs that this machine works on."""
        return tuple(self._carried)

    async def run(self, leave: asyncio.Event) -> None:
        """Keeps runs until `leave` is set, and gives back what is under way then. Where the fleet
        asked this member to drain, it ends when all that it carries has ended."""
        await self._guarded(self._register())
        async with asyncio.TaskGroup() as group:
            self._group = group
            group.create_task(self._every(self._rules.beat, self._beat))
            group.create_task(self._every(self._rules.look, self._claim))
            await _first(leave, self._ending)
            self._ending.set()
            await self._leave()
        with suppress(StateError):  # it is forgotten after a while
            await self._fleet.leave(self._member.ident)

    async def _every(self, pause: timedelta, step: Callable[[], Awaitable[None]]) -> None:
        while not self._ending.is_set():
            await self._guarded(step())
            await self._wait(self._ending, pause)

    async def _guarded(self, work: Awaitable[None]) -> None:
        """The state may be away for a while; what is carried goes on meanwhile."""
        try:
            await work
        except StateError as error:
            log.warning("the state: %s", error.message, extra={"action": "keeper_state"})
        except Exception:
            log.exception("the keeper will look again", extra={"action": "keeper_failed"})

    # Carrying

    async def _claim(self) -> None:
        while self._has_room:
            run = await self._store.claim_run(self._member.ident, self._rules.lease)
            if run is None:
                return
            self._start(run, joins=False)
        await self._make_room()

    @property
    def _has_room(self) -> bool:
        free = len(self._carried) < self._rules.slots
        return free and not self._member.draining and not self._ending.is_set()

    async def _make_room(self) -> None:
        """A queued run goes before one that was only joined."""
        joined = [carried for carried in self._carried.values() if carried.joins]
        if joined and not self._has_room and await self._is_queued():
            joined[0].carriage.tell(Leave())

    async def _is_queued(self) -> bool:
        return bool((await self._store.runs(RunFilter(states=(RunState.QUEUED,)), limit=1)).items)

    def _start(self, run: Run, *, joins: bool) -> None:
        share = Share(of_run=2 if joins else 1, of_host=len(self._carried) + 1)
        carriage = self._launcher.start(run, share, joins=joins)
        carried = _Carried(run, carriage, joins, share)
        self._carried[run.ident] = carried
        log.info(
            "%s run %s",
            "joins" if joins else "carries",
            run.ident,
            extra={"action": "run_joined" if joins else "run_carried", "run": run.ident},
        )
        watcher = self._group.create_task(self._watch(carried))
        self._watchers.add(watcher)
        watcher.add_done_callback(self._watchers.discard)

    async def _watch(self, carried: _Carried) -> None:
        """Returns when it has ended; what a dead process held is taken back."""
        run = carried.run
        well = await carried.carriage.ended()
        del self._carried[run.ident]
        if well:
            self._crashes.pop(run.ident, None)
            return
        log.error(
            "the process that worked on run %s died (%s)",
            run.ident,
            carried.carriage.described,
            extra={"action": "carriage_died", "run": run.ident},
        )
        await self._guarded(self._take_back(run.ident, self._member.ident))
        if carried.joins:
            self._not_joined.add(run.ident)
        else:
            await self._guarded(self._count_crash(run.ident, carried.carriage.described))

    async def _take_back(self, run: RunId, holder: str) -> None:
        await self._ledger.reclaim(run, worker_ids(run, holder))

    async def _count_crash(self, ident: RunId, how: str) -> None:
        """A run whose process dies again and again is not tried for ever."""
        self._crashes[ident] = self._crashes.get(ident, 0) + 1
        run = await self._store.get_run(ident)
        if self._crashes[ident] < _CRASHES or run is None or run.keeper != self._member.ident:
            return
        failed = replace(
            run,
            state=RunState.FAILED,
            ended_at=self._clock(),
            error_code="crashed",
            error=f"its process died {_CRASHES} times ({how}); was it killed for lack of memory?"
            " The log of this machine says more. Retry goes on where it ended",
        )
        with suppress(ConflictError):
            await self._store.update_run(failed)
            del self._crashes[ident]

    # Signs of life

    async def _register(self) -> None:
        self._member = replace(self._member, load=self._load(), seen_at=self._clock())
        await self._fleet.register(self._member)

    async def _beat(self) -> None:
        member = await self._fleet.heartbeat(self._member.ident, self._load())
        if member is None:
            await self._register()
        else:
            self._member = member
        await self._bury()
        self._tell_shares(await self._fleet.members())
        await self._join()
        if self._member.draining and not self._carried:
            self._ending.set()

    def _load(self) -> Load:
        rates = [carried.carriage.rates for carried in self._carried.values()]
        runs = dict.fromkeys([*self._carried, *filter(None, [self._about_to_join])])
        return Load(
            runs=tuple(runs),
            objects_per_second=sum(rate.objects_per_second for rate in rates),
            bytes_per_second=sum(rate.bytes_per_second for rate in rates),
        )

    def _tell_shares(self, members: Sequence[Member]) -> None:
        """Limits hold over all machines, so each may use its part."""
        for ident, carried in self._carried.items():
            others = [at for at in members if at.ident != self._member.ident]
            machines = 1 + sum(ident in member.load.runs for member in others)
            share = Share(of_run=machines, of_host=len(self._carried))
            if share != carried.share:
                carried.share = share
                carried.carriage.tell(share)

    async def _bury(self) -> None:
        """Takes back what lost members held, without waiting for their leases to run out."""
        silent_since = self._clock() - self._rules.silence
        for member in await self._fleet.members():
            if member.seen_at < silent_since:
                await self._lost(member)
        for member in await self._fleet.forget(silent_since):
            log.warning(
                "%s %s on %s is lost",
                member.kind,
                member.ident,
                member.host,
                extra={"action": "member_lost", "worker": member.ident},
            )
            for run in member.load.runs:
                await self._take_back(run, member.ident)

    # Joining

    async def _join(self) -> None:
        """Joins a run of another machine, if there is one with much to do. The fleet hears of it
        some beats before, so that those who work on it have given up a part of its limits."""
        if not self._has_room or await self._is_queued():
            self._about_to_join = None
            return
        candidates = {run.ident: run for run in await self._worth_joining()}
        if self._about_to_join not in candidates:
            self._about_to_join, self._announced = next(iter(candidates), None), 0
        elif self._announced < _BEATS_BEFORE:
            self._announced += 1
        else:
            self._start(candidates[self._about_to_join], joins=True)
            self._about_to_join = None

    async def _worth_joining(self) -> Sequence[Run]:
        running = (await self._store.runs(RunFilter(states=(RunState.RUNNING,)))).items
        others = [
            run
            for run in running
            if run.keeper not in ("", self._member.ident)
            and run.ident not in self._carried
            and run.ident not in self._not_joined
        ]
        return [run for run in others if await self._is_worth_joining(run)]

    async def _is_worth_joining(self, run: Run) -> bool:
        if (await self._ledger.totals(run.ident)).open < self._rules.join_from:
            return False
        task = await self._store.get_task(run.task)
        return task is None or may_work(run, task, self._clock())

    # Leaving

    async def _leave(self) -> None:
        for carried in self._carried.values():
            carried.carriage.tell(Leave())
        if self._watchers:
            await asyncio.wait(self._watchers, timeout=self._rules.grace.total_seconds())
        for carried in self._carried.values():
            carried.carriage.kill()


async def _first(*events: asyncio.Event) -> None:
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
