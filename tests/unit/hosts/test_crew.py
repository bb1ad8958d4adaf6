"""When worker processes start, and those that fare badly."""

import asyncio
import os
import signal
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.unit.engine.fake_replication import until_settled
from transferhub.engine.tuning import Tuning
from transferhub.engine.worker import Worker
from transferhub.hosts.crew import Assignment, LocalCrew, WorkerProcesses
from transferhub.hosts.limits import Limits
from transferhub.hosts.objects import open_replication
from transferhub.hosts.state import StatePlace
from transferhub.model.transfer import Difference, RunId, Transfer, WorkerId
from transferhub.plugins.objects.spec import parse_spec
from transferhub.state.memory import MemoryLedger
from transferhub.state.sql import SqlLedger

RUN = RunId("run")


def assignment(folder: Path) -> Assignment:
    spec = parse_spec({"source": f"file://{folder}/from", "destination": f"file://{folder}/to"})
    return Assignment(
        run=RUN,
        worker=WorkerId("worker"),
        place=StatePlace(folder=folder),
        kind=spec.kind,
        spec=spec.to_json(),
        tuning=Tuning(drain=timedelta(0)),
    )


@pytest.mark.parametrize(
    ("load", "as_needed", "size"), [(1.0, True, 3), (0.5, True, 1), (0.0, False, 3)]
)
async def test_processes_start_when_a_core_is_used_up_and_work_waits(
    tmp_path: Path, load: float, as_needed: bool, size: int
) -> None:
    """With a bandwidth that makes the work last longer than it takes to see that."""
    (tmp_path / "from").mkdir()
    transfers = []
    for number in range(64):
        (tmp_path / "from" / f"{number}").write_bytes(bytes(10_000))
        transfers.append(Transfer(f"{number}", Difference.NEW, 10_000))
    tuning = Tuning(processes=3, as_needed=as_needed, concurrency=6, bandwidth=200_000)
    task = assignment(tmp_path)
    processes, stop = WorkerProcesses(2), asyncio.Event()
    ledger = await SqlLedger.open(task.place.database_url)
    limits = Limits(tuning)
    replication = open_replication(parse_spec(task.spec), tuning, dict(os.environ), limits=limits)
    try:
        await replication.check()
        await ledger.record(RUN, transfers)
        workers = [WorkerId("own"), WorkerId("one"), WorkerId("two")]
        own = Worker(
            ident=workers[0], run=RUN, ledger=ledger, replication=replication, tuning=tuning
        )
        tasks = [replace(task, worker=each) for each in workers[1:]]
        crew = LocalCrew(own, limits, processes, tasks, ledger, tuning=tuning, load=lambda: load)
        async with asyncio.timeout(30), asyncio.TaskGroup() as group:
            group.create_task(crew.work(stop))
            await until_settled(ledger)
            stop.set()
        assert crew.size == size
        copied = {path.name: path.stat().st_size for path in (tmp_path / "to").glob("[0-9]*")}
        assert copied == {transfer.key: 10_000 for transfer in transfers}
    finally:
        processes.close()
        await replication.aclose()
        await ledger.aclose()


async def test_a_process_that_died_before_its_assignment_is_done_without(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    processes = WorkerProcesses(1)
    try:
        (pid,) = processes.pids()
        os.kill(pid, signal.SIGKILL)
        await processes.work(0, assignment(tmp_path), MemoryLedger(), asyncio.Event())
    finally:
        processes.close()
    assert "a worker process died and its work was taken back" in caplog.messages


async def test_a_process_that_hangs_is_killed_when_the_run_ends(tmp_path: Path) -> None:
    processes = WorkerProcesses(1, grace=timedelta(seconds=0.2))
    try:
        (pid,) = processes.pids()
        os.kill(pid, signal.SIGSTOP)
        stop = asyncio.Event()
        stop.set()
        async with asyncio.timeout(5):
            await processes.work(0, assignment(tmp_path), MemoryLedger(), stop)
    finally:
        processes.close()
