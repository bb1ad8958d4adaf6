"""What the ledger alone carries: transfers recorded, and leased and completed, by processes."""

import asyncio
import multiprocessing as mp
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.synchronize import Barrier
from pathlib import Path
from statistics import median

from benchmarks.results import Figure, Result
from benchmarks.rounds import Setting
from tests.servers.postgres import PostgresServer
from transferhub.model.transfer import (
    Difference,
    Outcome,
    RunId,
    Transfer,
    TransferState,
    WorkerId,
)
from transferhub.state.sql import SqlLedger

_TRANSFERS = 200_000
_BATCH = 1_000
_PROCESSES = (1, 2, 4)
_LEASE = timedelta(minutes=5)
_LISTED_AT = datetime(2026, 1, 1, tzinfo=UTC)
_PATIENCE_S = 600
_HEAD = ["ledger", "processes", "recorded/s", "leased and completed/s"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What one of the processes does."""

    url: str
    run: RunId
    number: int
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """When a process began and ended, by the machine's steady clock."""

    recording: tuple[float, float]
    working: tuple[float, float]


def measure(setting: Setting) -> Result:
    count = setting.scaled(_TRANSFERS)
    cells, figures = [_HEAD], []
    with databases(setting.folder) as urls:
        for name, url in urls:
            rates = {n: _median_rates(setting, url, n, count) for n in _PROCESSES}
            for processes, (recorded, worked) in rates.items():
                cells.append([name, str(processes), f"{recorded:,.0f}", f"{worked:,.0f}"])
            best = max(worked for _, worked in rates.values())
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


def _median_rates(setting: Setting, url: str, processes: int, count: int) -> tuple[float, float]:
    """Transfers recorded, and leased and completed, per second."""
    found = [_rates(url, RunId(f"{processes}-{n}"), processes, count) for n in range(setting.runs)]
    recorded, worked = (median(rates) for rates in zip(*found, strict=True))
    setting.say(f"  {url.partition(':')[0]}, {processes}: {recorded:,.0f}/s, {worked:,.0f}/s")
    return recorded, worked


def _rates(url: str, run: RunId, processes: int, count: int) -> tuple[float, float]:
    context, each = mp.get_context("spawn"), count // processes
    barrier, answers = context.Barrier(processes), context.SimpleQueue()
    asyncio.run(_touch(url))
    started = [
        context.Process(
            target=_process,
            args=(Job(url=url, run=run, number=n, count=each), barrier, answers),
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
    return (
        total / _span([at.recording for at in times]),
        total / _span([at.working for at in times]),
    )


def _span(times: Sequence[tuple[float, float]]) -> float:
    return max(end for _, end in times) - min(begin for begin, _ in times)


async def _touch(url: str) -> None:
    """The tables are there before anybody counts."""
    await (await SqlLedger.open(url)).aclose()


def _process(job: Job, barrier: Barrier, answers: "mp.SimpleQueue[Times]") -> None:
    asyncio.run(_carry(job, barrier, answers))


async def _carry(job: Job, barrier: Barrier, answers: "mp.SimpleQueue[Times]") -> None:
    ledger = await SqlLedger.open(job.url)
    batches = [*_batches(job)]
    barrier.wait(_PATIENCE_S)
    begun = time.monotonic()
    for batch in batches:
        await ledger.record(job.run, batch)
    recording = begun, time.monotonic()
    barrier.wait(_PATIENCE_S)
    begun = time.monotonic()
    await _work(ledger, job)
    answers.put(Times(recording=recording, working=(begun, time.monotonic())))
    await ledger.aclose()


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


async def _work(ledger: SqlLedger, job: Job) -> None:
    worker = WorkerId(f"worker-{job.number}")
    while leases := await ledger.lease(
        job.run, worker, limit=_BATCH, max_bytes=1 << 60, duration=_LEASE
    ):
        await ledger.complete(
            [Outcome(lease, TransferState.DONE, 10_240, "0" * 32) for lease in leases]
        )
