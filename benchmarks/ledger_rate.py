"""What the ledger alone carries: transfers recorded, and leased and completed, by processes."""

import asyncio
import multiprocessing as mp
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.synchronize import Barrier
from pathlib import Path
from statistics import median

from benchmarks.aws.state import ledger_in
from benchmarks.results import Figure, Result
from benchmarks.rounds import Setting
from tests.servers.endpoint import Endpoint
from tests.servers.postgres import PostgresServer
from transferhub.model.transfer import (
    Difference,
    Outcome,
    RunId,
    Transfer,
    TransferState,
    WorkerId,
)
from transferhub.state.base import Ledger
from transferhub.state.memory import MemoryLedger
from transferhub.state.sql import SqlLedger

_TRANSFERS = 200_000
_BATCH = 1_000
PROCESSES = (1, 2, 4)
_LEASE = timedelta(minutes=5)
_LISTED_AT = datetime(2026, 1, 1, tzinfo=UTC)
_PATIENCE_S = 600
_HEAD = ["ledger", "processes", "recorded/s", "leased and completed/s"]


MEMORY = "memory://"


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsState:
    """A state on a stand-in for AWS."""

    endpoint: Endpoint
    name: str


Place = str | AwsState
"""Where a ledger is: MEMORY, the URL of a database, or a state on AWS."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What one of the processes does."""

    place: Place
    run: RunId
    number: int
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """When a process began and ended, by the machine's steady clock, and its own CPU time."""

    recording: tuple[float, float]
    working: tuple[float, float]
    cpu_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Transfers per second; CPU seconds of all processes for each transfer; and how long all of it
    took."""

    recorded: float
    worked: float
    cpu_s: float
    took_s: float


def measure(setting: Setting) -> Result:
    count = setting.scaled(_TRANSFERS)
    cells, figures = [_HEAD], []
    with databases(setting.folder) as urls:
        for name, url in urls:
            rates = {n: median_rates(setting, url, n, count) for n in PROCESSES}
            for processes, at in rates.items():
                cells.append([name, str(processes), f"{at.recorded:,.0f}", f"{at.worked:,.0f}"])
            best = max(at.worked for at in rates.values())
            title = f"{name}: leased and completed at best"
            figures.append(Figure(title=title, value=best, unit="/s"))
    return Result(
        name="rates",
        title="The ledger alone",
        note=f"{count:,} transfers in batches of {_BATCH:,}: recorded by finders, then leased and"
        " completed by workers, in 1, 2 and 4 processes at once. PostgreSQL runs beside them.",
        rows=[],
        figures=figures,
        cells=cells,
    )


@contextmanager
def databases(folder: Path) -> Iterator[Sequence[tuple[str, str]]]:
    """Names and URLs of an empty SQLite file, and of a database of a server of its own."""
    with PostgresServer() as server:
        yield (
            ("SQLite", f"sqlite:///{folder / 'ledger.sqlite3'}"),
            ("PostgreSQL", server.create_database()),
        )


def median_rates(setting: Setting, place: Place, processes: int, count: int) -> Rates:
    runs = [RunId(f"{processes}-{n}") for n in range(setting.runs)]
    found = [_rates(place, run, processes, count) for run in runs]
    rates = Rates(
        recorded=median(at.recorded for at in found),
        worked=median(at.worked for at in found),
        cpu_s=median(at.cpu_s for at in found),
        took_s=sum(at.took_s for at in found),
    )
    name = place.partition(":")[0] if isinstance(place, str) else "aws"
    setting.say(f"  {name}, {processes}: {rates.recorded:,.0f}/s, {rates.worked:,.0f}/s")
    return rates


def _rates(place: Place, run: RunId, processes: int, count: int) -> Rates:
    context, each = mp.get_context("spawn"), count // processes
    barrier, answers = context.Barrier(processes), context.SimpleQueue()
    asyncio.run(_touch(place))
    started = [
        context.Process(
            target=_process,
            args=(Job(place=place, run=run, number=n, count=each), barrier, answers),
            daemon=True,
        )
        for n in range(processes)
    ]
    for process in started:
        process.start()
    for process in started:
        process.join(_PATIENCE_S)
        if process.exitcode != 0:
            raise RuntimeError(f"a process of the benchmark ended with {process.exitcode}")
    times: list[Times] = [answers.get() for _ in started]
    total = each * processes
    recording, working = _span([at.recording for at in times]), _span([at.working for at in times])
    return Rates(
        recorded=total / recording,
        worked=total / working,
        cpu_s=sum(at.cpu_s for at in times) / total,
        took_s=recording + working,
    )


def _span(times: Sequence[tuple[float, float]]) -> float:
    return max(end for _, end in times) - min(begin for begin, _ in times)


async def _touch(place: Place) -> None:
    """The tables are there before anybody counts."""
    async with _opened(place):
        return


@asynccontextmanager
async def _opened(place: Place) -> AsyncIterator[Ledger]:
    if isinstance(place, AwsState):
        async with ledger_in(place.endpoint, place.name) as on_aws:
            yield on_aws
        return
    ledger = MemoryLedger() if place == MEMORY else await SqlLedger.open(place)
    yield ledger
    await ledger.aclose()


def _process(job: Job, barrier: Barrier, answers: "mp.SimpleQueue[Times]") -> None:
    asyncio.run(_carry(job, barrier, answers))


async def _carry(job: Job, barrier: Barrier, answers: "mp.SimpleQueue[Times]") -> None:
    async with _opened(job.place) as ledger:
        batches = [*_batches(job)]
        barrier.wait(_PATIENCE_S)
        cpu, begun = time.process_time(), time.monotonic()
        for batch in batches:
            await ledger.record(job.run, batch)
        recording = begun, time.monotonic()
        barrier.wait(_PATIENCE_S)
        begun = time.monotonic()
        await _work(ledger, job)
        working = begun, time.monotonic()
        cpu_s = time.process_time() - cpu
        answers.put(Times(recording=recording, working=working, cpu_s=cpu_s))


def _batches(job: Job) -> Iterator[list[Transfer]]:
    for start in range(0, job.count, _BATCH):
        yield [
            Transfer(
                f"data/{job.number}/{n // _BATCH:05}/{n:08}",
                Difference.NEW,
                10_240,
                "0" * 32,
                _LISTED_AT,
            )
            for n in range(start, min(start + _BATCH, job.count))
        ]


async def _work(ledger: Ledger, job: Job) -> None:
    worker = WorkerId(f"worker-{job.number}")
    while leases := await ledger.lease(
        job.run, worker, limit=_BATCH, max_bytes=1 << 60, duration=_LEASE
    ):
        await ledger.complete(
            [Outcome(lease, TransferState.DONE, 10_240, "0" * 32) for lease in leases]
        )
