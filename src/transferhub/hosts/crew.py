"""Workers on this machine: one in the finder's process, the others in processes of their own."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from transferhub.engine.groups import first_error
from transferhub.engine.replication import Replication
from transferhub.engine.tuning import Tuning
from transferhub.engine.worker import Worker
from transferhub.errors import TransferHubError
from transferhub.hosts.credentials import Lent
from transferhub.hosts.kinds import kind_of
from transferhub.hosts.limits import Limits
from transferhub.hosts.state import StatePlace, adapters_of
from transferhub.launchers.pipes import receive
from transferhub.model.transfer import RunId, WorkerId
from transferhub.state.base import Ledger

log = logging.getLogger(__name__)

_STOP = "stop"
_LOOK_SECONDS = 0.25
_BUSY_SHARE = 0.7
_BUSY_LOOKS = 2
_JOIN_SECONDS = 2.0
_GRACE = timedelta(seconds=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """What a worker process is told, through a pipe and never through its arguments.

    Attributes:
        kind: of the task.
        spec: as JSON values.
        tuning: its own share.
        lent: by a hub; None where there is none.
    """

    run: RunId
    worker: WorkerId
    place: StatePlace
    kind: str
    spec: Mapping[str, Any]
    tuning: Tuning
    lent: Lent | None = None


class WorkerProcesses:
    """Processes that wait for an assignment.

    They are forked before this process starts any thread, where the system can fork: they share
    what is imported already, and start in milliseconds.
    """

    def __init__(self, count: int, *, grace: timedelta = _GRACE) -> None:
        """Args:
        grace: how much longer than `Tuning.drain` one may take to stop before it is killed.
        """
        self._grace = grace
        forks = sys.platform == "linux"
        context = get_context("fork") if forks else get_context("spawn")
        self._members: list[tuple[BaseProcess, Connection]] = []
        for _ in range(count):
            ours, theirs = context.Pipe()
            inherited = [*(pipe for _, pipe in self._members), ours] if forks else []
            process = context.Process(target=_process_main, args=(theirs, inherited), daemon=True)
            process.start()
            theirs.close()
            self._members.append((process, ours))

    def __len__(self) -> int:
        return len(self._members)

    def pids(self) -> list[int]:
        return [process.pid or 0 for process, _ in self._members]

    async def work(
        self, number: int, assignment: Assignment, ledger: Ledger, stop: asyncio.Event
    ) -> None:
        """Has a process, counted from 0, carry out its assignment until `stop` is set.

        A process that dies is done without: its leases are taken back.

        Raises:
            TransferHubError: what stopped it.
        """
        within = assignment.tuning.drain + self._grace
        await _supervise(*self._members[number], assignment, ledger, stop, within)

    def retune(self, number: int, tuning: Tuning) -> None:
        """Changes the limits of a process that works."""
        with suppress(OSError):  # its supervisor sees that it is gone
            self._members[number][1].send(tuning)

    def close(self) -> None:
        """Ends the processes; those that still work are killed."""
        for process, pipe in self._members:
            pipe.close()
            process.join(_JOIN_SECONDS)
            if process.is_alive():
                process.kill()
                process.join()
        self._members.clear()


async def _supervise(
    process: BaseProcess,
    pipe: Connection,
    assignment: Assignment,
    ledger: Ledger,
    stop: asyncio.Event,
    within: timedelta,
) -> None:
    """Args:
    within: it is killed where it takes longer to stop.
    """
    stopper = asyncio.create_task(_stop(process, pipe, stop, within))
    try:
        pipe.send(assignment)
        answer = await receive(pipe)
    except (EOFError, OSError):
        process.join(_JOIN_SECONDS)
        back = await ledger.reclaim(assignment.run, [assignment.worker])
        log.warning(
            "a worker process died and its work was taken back",
            extra={"action": "worker_died", "exit": process.exitcode, "reclaimed": back},
        )
        return
    finally:
        stopper.cancel()
    if isinstance(answer, TransferHubError):
        raise answer


async def _stop(
    process: BaseProcess, pipe: Connection, stop: asyncio.Event, within: timedelta
) -> None:
    await stop.wait()
    with suppress(OSError):
        pipe.send(_STOP)
    await asyncio.sleep(within.total_seconds())
    process.kill()  # it hangs, and the run would with it


# In the worker process


def _process_main(pipe: Connection, inherited: Sequence[Connection]) -> None:
    """Waits for an assignment and carries it out; ends when the other end of the pipe does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the finder's process decides, and says so
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for end in inherited:
        end.close()
    try:
        assignment = pipe.recv()
    except (EOFError, OSError):
        return
    try:
        answer = asyncio.run(_carry_out(assignment, pipe))
    except BaseException as error:  # noqa: BLE001 - the last edge of this process
        answer = TransferHubError(f"a worker process failed: {type(error).__name__}: {error}")
    with suppress(OSError):
        pipe.send(answer)


async def _carry_out(assignment: Assignment, pipe: Connection) -> TransferHubError | None:
    stop = asyncio.Event()
    limits = Limits(assignment.tuning)
    try:
        async with AsyncExitStack() as stack:
            ledger = await adapters_of(assignment.place, stack).ledger()
            replication = _opened(assignment, limits)
            stack.push_async_callback(replication.aclose)
            worker = Worker(
                ident=assignment.worker,
                run=assignment.run,
                ledger=ledger,
                replication=replication,
                tuning=assignment.tuning,
            )
            listener = asyncio.create_task(_listen(pipe, worker, limits, stop))
            stack.callback(listener.cancel)
            await worker.work(stop)
    except TransferHubError as error:
        return error
    return None


def _opened(assignment: Assignment, limits: Limits) -> Replication:
    kind = kind_of(assignment.kind)
    return kind.open(
        kind.parse(assignment.spec),
        assignment.tuning,
        os.environ,
        limits=limits,
        lent=assignment.lent,
        folder=assignment.place.folder,
    )


async def _listen(pipe: Connection, worker: Worker, limits: Limits, stop: asyncio.Event) -> None:
    while not stop.is_set():
        try:
            message = await receive(pipe)
        except EOFError:
            os._exit(1)  # nobody is left to work for; the next start takes the leases back
        if isinstance(message, Tuning):
            limits.retune(message)
            worker.retune(message)
        else:
            stop.set()


class Load:
    """How much of a core this process uses, over all of its threads."""

    def __init__(self) -> None:
        self._then = time.monotonic()
        self._used = time.process_time()

    def share(self) -> float:
        """Since the last call; 1.0 is one core."""
        now, used = time.monotonic(), time.process_time()
        share = (used - self._used) / max(now - self._then, 1e-3)
        self._then, self._used = now, used
        return share


class LocalCrew:
    """The workers of one run: `own` in this process, and as many in processes of their own as the
    work needs. Where servers are the bottleneck one process is enough, and a second one would only
    cost; so where the tuning says as needed, one more starts when a core is used up and work waits.
    """

    def __init__(
        self,
        own: Worker,
        limits: Limits,
        processes: WorkerProcesses,
        assignments: Sequence[Assignment],
        ledger: Ledger,
        *,
        tuning: Tuning,
        load: Callable[[], float] | None = None,
    ) -> None:
        """Args:
        assignments: of each worker process.
        tuning: of all of them together.
        load: how much of a core this process has used since the last call.
        """
        self._own = own
        self._limits = limits
        self._processes = processes
        self._assignments = assignments
        self._ledger = ledger
        self._tuning = tuning
        self._load = load or Load().share
        self._size = 1

    @property
    def size(self) -> int:
        """Workers that work by now."""
        return self._size

    async def work(self, stop: asyncio.Event) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._own.work(stop))
                if not self._tuning.as_needed:
                    self._grow(group, stop, len(self._assignments))
                for _ in self._assignments[self._size - 1 :]:
                    await self._needs_another(stop)
                    if stop.is_set():
                        return
                    self._grow(group, stop, 1)
        except BaseExceptionGroup as errors:
            raise first_error(errors) from None

    def retune(self, tuning: Tuning) -> None:
        """Changes what all of them together may use, also while they work."""
        self._tuning = tuning
        self._share(self._size)

    async def _needs_another(self, stop: asyncio.Event) -> None:
        """Returns when one more process would help, or `stop` is set."""
        looks = 0
        while not stop.is_set() and looks < _BUSY_LOOKS:
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _LOOK_SECONDS)
            busy = self._load() > _BUSY_SHARE and self._own.is_full
            looks = looks + 1 if busy else 0

    def _grow(self, group: asyncio.TaskGroup, stop: asyncio.Event, more: int) -> None:
        """Shares with so many more, which start to work."""
        before = self._size
        share = self._share(before + more)
        self._size = before + more
        for number in range(before - 1, self._size - 1):
            work = replace(self._assignments[number], tuning=share)
            group.create_task(self._processes.work(number, work, self._ledger, stop))

    def _share(self, size: int) -> Tuning:
        """What each may use where there are so many; those that work are told."""
        share = self._tuning.share(size)
        self._limits.retune(share)
        self._own.retune(share)
        for number in range(self._size - 1):
            self._processes.retune(number, share)
        return share
