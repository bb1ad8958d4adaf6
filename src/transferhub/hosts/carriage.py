"""The process that carries one run of a hub, or joins one."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Coroutine
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from multiprocessing.connection import Connection
from typing import Any

from transferhub.control.event_runs import must_wait
from transferhub.control.keeper import Leave, Rates, Share
from transferhub.control.schedule import may_work, window_now
from transferhub.control.specs import Spec
from transferhub.engine.progress import Progress, Summary
from transferhub.engine.tuning import Tuning
from transferhub.errors import (
    LeaseLostError,
    RunError,
    StateError,
    TransferHubError,
)
from transferhub.hosts.carrier import Carrier, State
from transferhub.hosts.chronicle import Chronicle
from transferhub.hosts.crew import WorkerProcesses
from transferhub.hosts.following import ObjectEvents, open_events
from transferhub.hosts.hub_state import SharedState
from transferhub.hosts.kinds import kind_of
from transferhub.hosts.lending import Grant, lent_for_run
from transferhub.hosts.logs import LogRules, Mask, logs_written
from transferhub.hosts.state import StatePlace, adapters_of, make_folder
from transferhub.hosts.steering import Steering
from transferhub.launchers.pipes import receive
from transferhub.model.clock import utc_now
from transferhub.model.limits import TaskLimits
from transferhub.model.run import UNDER_WAY_STATES, Run, RunOrder, RunState, Task, Trigger
from transferhub.model.schedule import Schedule
from transferhub.model.transfer import RunId

log = logging.getLogger(__name__)

_LOOK = timedelta(seconds=1)
_RATES_SECONDS = 2.0
_IDLE_LOOKS = 5
"""A joined run in which nothing was open so often has no need of this process."""

_BUSY = timedelta(seconds=2)
_GIVING_WAY = timedelta(seconds=0.25)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """What the process is told first, through its pipe and never through its arguments.

    Attributes:
        keeper: the member of the fleet that has the run, or that joins it.
        joins: another member has the run.
        tuning: what this machine allows, all of its runs together.
        lease: how long the run stays with a silent keeper.
        grant: what this machine gives to runs.
        log: how this process writes its log.
    """

    run: RunId
    keeper: str
    joins: bool
    place: StatePlace
    tuning: Tuning
    share: Share
    lease: timedelta
    grant: Grant
    log: LogRules


def main(pipe: Connection) -> None:
    """Receives an assignment and carries it out; ends when the other end of the pipe does."""
    # Its keeper decides, and says so: a Ctrl-C, or a service that stops, reaches all processes.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        assignment = pipe.recv()
    except (EOFError, OSError):
        return
    mask = Mask()
    # Before they start: worker processes write their log as this one does.
    with logs_written(assignment.log, _write, mask):
        processes = WorkerProcesses(assignment.tuning.processes - 1)
        try:
            asyncio.run(_Carriage(assignment, pipe, processes, mask).run())
        except TransferHubError as error:
            about = {"action": "run_failed", "run": assignment.run, "worker": assignment.keeper}
            log.error("%s", error.message, extra=about)  # noqa: TRY400 - told
            sys.exit(1)
        finally:
            processes.close()


def _write(line: str) -> None:
    sys.stderr.write(f"{line}\n")


class _Carriage:
    _shared: SharedState  # from when the state is open

    def __init__(
        self, assignment: Assignment, pipe: Connection, processes: WorkerProcesses, mask: Mask
    ) -> None:
        self._assignment = assignment
        self._pipe = pipe
        self._processes = processes
        self._mask = mask
        self._chronicle: Chronicle | None = None
        self._share = assignment.share
        self._steering = Steering(assignment.tuning)
        self._leaving = asyncio.Event()
        self._closed = False
        self._ordered = False
        self._present: Task | None = None
        self._told_at = 0.0

    async def run(self) -> None:
        assignment = self._assignment
        async with AsyncExitStack() as stack:
            make_folder(assignment.place.folder)
            adapters = adapters_of(assignment.place, stack)
            state, self._shared = await State.among(adapters), await adapters.shared()
            run = await state.tasks.get_run(assignment.run)
            if run is None or not (assignment.joins or run.keeper == assignment.keeper):
                return
            task = await state.tasks.task_version(run.task, run.task_version)
            if task is None:
                raise RunError(f"run {run.ident} belongs to a task that is not there any more")
            await self._heed(state, task)
            self._chronicle = await stack.enter_async_context(
                Chronicle.open(self._shared, run, self._mask, worker=assignment.keeper)
            )
            work = self._join if assignment.joins else self._carry
            await self._beside(state, run, task, work(state, run, task))

    async def _beside(
        self, state: State, run: Run, task: Task, work: Coroutine[Any, Any, None]
    ) -> None:
        """Does the work while it listens to its keeper and keeps the run."""
        keep = self._watch_joined if self._assignment.joins else self._keep
        working = asyncio.ensure_future(work)
        services = [
            asyncio.ensure_future(self._listen()),
            asyncio.ensure_future(self._unless_lost(keep(state, run, task), working, state)),
        ]
        try:
            await working
        except asyncio.CancelledError:
            log.warning("run %s is another process's now", run.ident, extra=self._about("run_lost"))
        finally:
            for service in services:
                service.cancel()
            await asyncio.gather(*services, return_exceptions=True)

    async def _unless_lost(
        self, keeping: Coroutine[Any, Any, None], working: asyncio.Future[None], state: State
    ) -> None:
        try:
            await keeping
        except LeaseLostError:
            if not await self._has_ended(state):
                working.cancel()

    async def _has_ended(self, state: State) -> bool:
        """Whether the run was this keeper's to its end, of which something may be left to tell."""
        try:
            run = await state.tasks.get_run(self._assignment.run)
        except StateError:
            return False
        if run is None or run.keeper != self._assignment.keeper:
            return False
        return run.state not in UNDER_WAY_STATES

    # Carrying

    async def _carry(self, state: State, run: Run, task: Task) -> None:
        try:
            spec, carrier = await self._equipped(run, task)
            spec.check_lists()
            await self._alone(state, run)
            events = await self._events(state, run, spec)
            while await self._open_window(run):
                log.info("begins", extra=self._about("run_begun"))
                summary = await carrier.carry(
                    state, run, spec, self._processes, self._steering, events=events
                )
                await self._tell_end(state, summary)
                if not self._closed:
                    break
        except RunError as error:
            if error.code != "already_running":
                raise
            # A former process of this run, on this machine, has not heard yet that it lost it.
            log.warning("%s", error.message, extra=self._about("run_held"))
            await asyncio.sleep(_BUSY.total_seconds())
            self._steering.hand_over()
        except (LeaseLostError, StateError):
            raise
        except TransferHubError as error:
            log.error("%s", error.message, extra=self._about("run_failed"))  # noqa: TRY400 - told
            await self._fail(state, error)
        if self._steering.handed_over:
            await state.tasks.release_run(run)

    async def _tell_end(self, state: State, summary: Summary) -> None:
        if self._chronicle is not None:
            self._chronicle.end(await state.ledger.totals(summary.run))
        about = self._about("run_handed_over" if self._steering.handed_over else "run_ended")
        log.info(
            "%s: %s copied, %s failed, %s deleted, %s wait; %s bytes",
            "given back" if self._steering.handed_over else summary.status.value,
            summary.done,
            summary.failed + summary.delete_failed,
            summary.deleted,
            summary.waiting,
            summary.bytes,
            extra=about,
        )
        if summary.error:
            log.error("%s", summary.error, extra=self._about("run_failed"))

    async def _equipped(self, run: Run, task: Task) -> tuple[Spec, Carrier]:
        """With the task's credentials as they are now, and ages counted from the run's start."""
        assignment = self._assignment
        asked: Spec = kind_of(task.kind).parse(task.spec)
        asked = asked.as_of(run.created_at)
        spec, lent = await lent_for_run(asked, assignment.grant, self._shared.vault)
        for secret in lent.secrets:
            self._mask.hide(secret)
        carrier = Carrier(
            assignment.place,
            dict(os.environ),
            talk=self._talk,
            observer=self._observe,
            holder=assignment.keeper,
            lent=lent,
        )
        return spec, carrier

    async def _alone(self, state: State, run: Run) -> None:
        """Waits until a run of events, which gives way to this one, has ended."""
        if run.trigger is Trigger.EVENT:
            return
        while not self._steering.stop.is_set() and await must_wait(state.tasks, run, utc_now()):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._steering.stop.wait(), _GIVING_WAY.total_seconds())

    async def _events(self, state: State, run: Run, spec: Spec) -> ObjectEvents | None:
        """None for a run that lists."""
        if run.trigger is not Trigger.EVENT:
            return None
        return await open_events(state, run, spec, self._shared.inbox)

    async def _fail(self, state: State, error: TransferHubError) -> None:
        """Records it, where nobody has yet."""
        fresh = await state.tasks.get_run(self._assignment.run)
        if fresh is not None and fresh.state is RunState.RUNNING:
            await state.runs.end(fresh, await state.runs.failed(fresh, error))

    async def _open_window(self, run: Run) -> bool:
        """Waits for one; False where the run is given back before."""
        while not (self._leaving.is_set() or self._ordered or self._may_work(run)):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._leaving.wait(), _LOOK.total_seconds())
        if self._leaving.is_set():
            self._steering.hand_over()
            return False
        if self._closed:
            self._closed = False
            self._steering = Steering(self._steering.tuning)
            if self._ordered:
                self._steering.stop.set()
        return True

    def _may_work(self, run: Run) -> bool:
        return self._present is None or may_work(run, self._present, utc_now())

    # Keeping

    async def _keep(self, state: State, run: Run, task: Task) -> None:
        """Renews the run's lease, and hears what is ordered.

        Raises:
            LeaseLostError
        """
        while True:
            try:
                await self._look(state, run, task)
            except StateError as error:
                # Away for a moment; where it lasts, another keeper takes the run, and we hear it.
                log.warning("the state: %s", error.message, extra=self._about("keeper_state"))
            await asyncio.sleep(_LOOK.total_seconds())

    async def _look(self, state: State, run: Run, task: Task) -> None:
        kept = await state.tasks.keep_run(run, self._assignment.lease)
        await self._heed(state, task)
        match kept.order:
            case RunOrder.STOP:
                self._steering.stop.set()
            case RunOrder.ABANDON:
                self._steering.abandon()
        self._ordered = kept.order is not RunOrder.NONE
        if not self._closed and not self._ordered and not self._may_work(run):
            log.info("its window closed", extra=self._about("window_closed"))
            self._closed = True
            self._steering.hand_over()

    async def _heed(self, state: State, task: Task) -> None:
        """Keeps to the task's limits and windows as they are now."""
        self._present = await state.tasks.get_task(task.ident) or task
        self._steering.retune(self._tuned(self._present))

    def _tuned(self, task: Task) -> Tuning:
        """What of the limits this process may use now."""
        tuning, share = self._assignment.tuning, self._share
        limits = TaskLimits.from_json(task.limits)
        bandwidth = limits.bandwidth
        if task.schedule:
            bandwidth = window_now(Schedule.from_json(task.schedule), utc_now()).limit(bandwidth)
        return replace(
            tuning,
            concurrency=min(tuning.concurrency, limits.concurrency or tuning.concurrency),
            bandwidth=_whole(_least(bandwidth, tuning.bandwidth, share)),
            requests=_least(limits.requests, tuning.requests, share),
            drain=self._steering.tuning.drain,
        )

    # Joining

    async def _join(self, state: State, run: Run, task: Task) -> None:
        spec, carrier = await self._equipped(run, task)
        await carrier.join(state, run, spec, self._processes, self._steering)

    async def _watch_joined(self, state: State, run: Run, task: Task) -> None:
        """Stops where the run has ended, or where nothing was open for a while."""
        idle = 0
        while idle < _IDLE_LOOKS:
            with suppress(StateError):
                fresh = await state.tasks.get_run(run.ident)
                if fresh is None or fresh.state is not RunState.RUNNING:
                    break
                if fresh.order is not RunOrder.NONE:
                    break
                await self._heed(state, task)
                if not self._may_work(run):
                    break
                idle = 0 if (await state.ledger.totals(run.ident)).open else idle + 1
            await asyncio.sleep(_LOOK.total_seconds())
        self._steering.stop.set()

    # The keeper

    async def _listen(self) -> None:
        while True:
            try:
                message = await receive(self._pipe)
            except EOFError:
                message = Leave()  # the keeper died
            match message:
                case Share():
                    self._share = message
                case Leave():
                    self._leaving.set()
                    self._steering.hand_over()
                    return

    def _observe(self, progress: Progress) -> None:
        if self._chronicle is not None:
            self._chronicle.observe(progress)
        now = time.monotonic()
        if now - self._told_at >= _RATES_SECONDS:
            self._told_at = now
            rates = Rates(
                objects_per_second=progress.objects_per_second,
                bytes_per_second=progress.bytes_per_second,
            )
            with suppress(OSError):
                self._pipe.send(rates)

    def _talk(self, sentence: str) -> None:
        log.info("%s", sentence, extra=self._about("run_said"))

    def _about(self, action: str) -> dict[str, str]:
        return {"action": action, "run": self._assignment.run, "worker": self._assignment.keeper}


def _least(of_task: float | None, of_host: float | None, share: Share) -> float | None:
    """The smaller of both limits' parts; None where there is no limit."""
    parts = [
        limit / among
        for limit, among in ((of_task, share.of_run), (of_host, share.of_host))
        if limit is not None
    ]
    return min(parts, default=None)


def _whole(rate: float | None) -> int | None:
    return None if rate is None else max(1, int(rate))
