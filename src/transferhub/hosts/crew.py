"""Workers on this machine: one in the finder's process, the others in processes of their own."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from transferhub.engine.groups import first_error
from transferhub.engine.tuning import Tuning
from transferhub.engine.worker import Worker
from transferhub.errors import TransferHubError
from transferhub.hosts.replications import open_replication
from transferhub.hosts.state import open_ledger
from transferhub.model.transfer import RunId, WorkerId
from transferhub.plugins.objects.spec import ObjectsSpec
from transferhub.state.base import Ledger

log = logging.getLogger(__name__)

_STOP = "stop"
_JOIN_SECONDS = 2.0
_GRACE = timedelta(seconds=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """What a worker process is told, through a pipe and never through its arguments.

    Attributes:
        spec: an ObjectsSpec as JSON values.
        tuning: its own share.
    """

    run: RunId
    worker: WorkerId
    database: str
    spec: Mapping[str, Any]
    tuning: Tuning


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
        self, assignments: Sequence[Assignment], ledger: Ledger, stop: asyncio.Event
    ) -> None:
        """Has each process carry out its assignment until `stop` is set.

        A process that dies is done without: its leases are taken back.

        Raises:
            TransferHubError: what stopped one of them.
        """
        try:
            async with asyncio.TaskGroup() as group:
                for member, assignment in zip(self._members, assignments, strict=True):
                    within = assignment.tuning.drain + self._grace
                    group.create_task(_supervise(*member, assignment, ledger, stop, within))
        except BaseExceptionGroup as errors:
            raise first_error(errors) from None

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
        answer = await _receive(pipe)
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


async def _receive(pipe: Connection) -> object:
    """The next message; EOFError where the other end is gone."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(pipe.fileno(), ready.set)
    try:
        while not pipe.poll():
            ready.clear()
            await ready.wait()
        return pipe.recv()
    except OSError:
        raise EOFError from None
    finally:
        loop.remove_reader(pipe.fileno())


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
    listener = asyncio.create_task(_listen(pipe, stop))
    spec = ObjectsSpec.from_json(assignment.spec)
    ledger = await open_ledger(assignment.database)
    replication = open_replication(spec, assignment.tuning, os.environ)
    try:
        await Worker(
            ident=assignment.worker,
            run=assignment.run,
            ledger=ledger,
            replication=replication,
            tuning=assignment.tuning,
        ).work(stop)
    except TransferHubError as error:
        return error
    finally:
        listener.cancel()
        await replication.aclose()
        await ledger.aclose()
    return None


async def _listen(pipe: Connection, stop: asyncio.Event) -> None:
    try:
        await _receive(pipe)
    except EOFError:
        os._exit(1)  # nobody is left to work for; the next start takes the leases back
    stop.set()


class LocalCrew:
    """The workers of one run: `own` in this process, and one in each worker process."""

    def __init__(
        self,
        own: Worker,
        processes: WorkerProcesses,
        assignments: Sequence[Assignment],
        ledger: Ledger,
    ) -> None:
        self._own = own
        self._processes = processes
        self._assignments = assignments
        self._ledger = ledger

    @property
    def size(self) -> int:
        return 1 + len(self._assignments)

    async def work(self, stop: asyncio.Event) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._own.work(stop))
                group.create_task(self._processes.work(self._assignments, self._ledger, stop))
        except BaseExceptionGroup as errors:
            raise first_error(errors) from None
