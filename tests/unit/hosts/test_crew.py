"""Worker processes that fare badly."""

import asyncio
import os
import signal
from datetime import timedelta
from pathlib import Path

import pytest

from transferhub.engine.tuning import Tuning
from transferhub.hosts.crew import Assignment, WorkerProcesses
from transferhub.model.transfer import RunId, WorkerId
from transferhub.plugins.objects.spec import parse_spec
from transferhub.state.memory import MemoryLedger

RUN = RunId("run")


def assignment(folder: Path) -> Assignment:
    spec = parse_spec({"source": f"file://{folder}/from", "destination": f"file://{folder}/to"})
    return Assignment(
        run=RUN,
        worker=WorkerId("worker"),
        database=f"sqlite:///{folder}/state.sqlite3",
        spec=spec.to_json(),
        tuning=Tuning(drain=timedelta(0)),
    )


async def test_a_process_that_died_before_its_assignment_is_done_without(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    processes = WorkerProcesses(1)
    try:
        (pid,) = processes.pids()
        os.kill(pid, signal.SIGKILL)
        await processes.work([assignment(tmp_path)], MemoryLedger(), asyncio.Event())
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
            await processes.work([assignment(tmp_path)], MemoryLedger(), stop)
    finally:
        processes.close()
