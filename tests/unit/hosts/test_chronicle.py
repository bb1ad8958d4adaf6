"""What is written down of a run while it is carried."""

import logging
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from transferhub.engine.progress import Phase, Progress
from transferhub.errors import StateError
from transferhub.hosts.chronicle import Chronicle, runs_logged, to_sample
from transferhub.hosts.logs import Mask
from transferhub.hosts.state import StatePlace, open_hub_state
from transferhub.model.history import OfRun, Sample
from transferhub.model.run import Run, RunState, TaskId
from transferhub.model.transfer import Action, RunId, ScanCounts, Tally, Totals, TransferState
from transferhub.state.memory import MemoryLogs, MemorySamples, MemoryTaskStore

NOW = datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC)
RUN = Run(
    ident=RunId("run"),
    task=TaskId("task"),
    task_version=1,
    state=RunState.RUNNING,
    created_at=NOW,
)
PROGRESS = Progress(
    run=RUN.ident,
    phase=Phase.COPYING,
    listing=True,
    totals=Totals(
        scan=ScanCounts(),
        shards=1,
        shards_done=0,
        uploads=0,
        tallies={
            (Action.COPY, TransferState.DONE): Tally(4, 400),
            (Action.COPY, TransferState.FAILED): Tally(1, 10),
            (Action.DELETE, TransferState.FAILED): Tally(2, 0),
            (Action.DELETE, TransferState.DONE): Tally(3, 0),
            (Action.COPY, TransferState.WAITING): Tally(5, 50),
            (Action.COPY, TransferState.LEASED): Tally(6, 60),
        },
        moved_bytes=400,
    ),
    seconds=9,
    part_bytes=70,
    bytes_per_second=11,
    objects_per_second=12,
    seconds_left=13,
    workers=2,
)


class Away(MemorySamples):
    async def add(self, run: RunId, task: TaskId, sample: Sample) -> None:
        raise StateError("The state cannot be reached.")


@pytest.fixture(autouse=True)
def heard() -> Iterator[None]:
    package = logging.getLogger("transferhub")
    level = package.level
    package.setLevel(logging.INFO)
    yield
    package.setLevel(level)


def test_a_sample_tells_what_the_progress_does() -> None:
    assert to_sample(PROGRESS, NOW) == Sample(
        at=NOW,
        phase="copying",
        listing=True,
        bytes=470,
        objects=4,
        failures=3,
        deleted=3,
        open=11,
        workers=2,
        bytes_per_second=11,
        objects_per_second=12,
        seconds_left=13,
    )


async def test_what_was_observed_last_is_written_once() -> None:
    samples = MemorySamples()
    moments = iter([NOW, NOW.replace(second=11)])
    chronicle = Chronicle(RUN, samples, clock=lambda: next(moments))
    await chronicle.sample()
    chronicle.observe(replace(PROGRESS, part_bytes=1))
    chronicle.observe(PROGRESS)
    await chronicle.sample()
    await chronicle.sample()
    assert await samples.latest([RUN.ident]) == {RUN.ident: to_sample(PROGRESS, NOW)}


async def test_the_end_is_told_by_what_the_ledger_says() -> None:
    samples = MemorySamples()
    chronicle = Chronicle(RUN, samples, clock=lambda: NOW)
    chronicle.observe(PROGRESS)
    chronicle.end(replace(PROGRESS.totals, moved_bytes=999))
    await chronicle.sample()
    latest = (await samples.latest([RUN.ident]))[RUN.ident]
    assert (latest.bytes, latest.phase, latest.listing) == (999, "copying", False)
    assert (latest.bytes_per_second, latest.seconds_left) == (0, None)


async def test_a_state_that_is_away_stops_nothing() -> None:
    chronicle = Chronicle(RUN, Away())
    chronicle.observe(PROGRESS)
    await chronicle.sample()


async def test_the_end_of_a_run_is_written_too(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        state = await open_hub_state(StatePlace(folder=tmp_path), stack)
        async with Chronicle.open(state, RUN, Mask(), worker="w") as chronicle:
            chronicle.observe(PROGRESS)
            chronicle.observe(replace(PROGRESS, phase=Phase.REPORTING))
        latest = await state.samples.latest([RUN.ident])
        page = await state.logs.page(OfRun(RUN.ident))
    assert latest[RUN.ident].phase == "reporting"
    assert [(line.action, line.message, line.worker) for line in page.lines] == [
        ("run_phase", "copying", "w"),
        ("run_phase", "reporting", "w"),
    ]


async def test_a_server_keeps_what_it_logs_about_runs() -> None:
    tasks, logs = MemoryTaskStore(), MemoryLogs()
    await tasks.create_run(RUN)
    log = logging.getLogger("transferhub.control.keeper")
    async with runs_logged(tasks, logs, Mask(), worker="server"):
        log.warning("its process ended", extra={"action": "carriage_died", "run": "run"})
        log.warning("of no run", extra={"action": "keeper_state"})
        log.warning("of an unknown run", extra={"action": "carriage_died", "run": "x"})
    log.warning("too late", extra={"action": "carriage_died", "run": "run"})
    page = await logs.page(OfRun(RUN.ident))
    assert [(line.message, line.worker) for line in page.lines] == [("its process ended", "server")]
