"""What is forgotten when, with a clock that only the test moves, in both databases."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.conformance.ledger_facts import FakeClock, lease, news
from tests.conformance.task_stores import run as run_of
from transferhub.control.retention import (
    FIRST,
    INTERVAL,
    SEAT_DURATION,
    ReportRetention,
    Retention,
    Shelf,
    sweep_until,
)
from transferhub.errors import StateError
from transferhub.hosts.locks import only_process
from transferhub.hosts.reports import ReportFolder
from transferhub.model.run import Run, RunState
from transferhub.model.transfer import RunId, Upload
from transferhub.state.sql import SqlLedger, SqlTaskStore
from transferhub.state.sql.database import Database
from transferhub.state.sql.seats import SqlSeats

DAY = timedelta(days=1)
KEEP = 30 * DAY


class World:
    """A hub's state, and what is asked of it."""

    def __init__(self, database: Database, clock: FakeClock) -> None:
        self.clock = clock
        self.store = SqlTaskStore(database, clock)
        self.ledger = SqlLedger(database, clock)
        self.seats = SqlSeats(database, clock)
        self.forgotten: list[RunId] = []

    async def ended(
        self, ident: str, days_ago: float, *, of: str = "task", state: RunState = RunState.FAILED
    ) -> Run:
        """A run that began and ended so long ago and transferred something."""
        at = self.clock.now - days_ago * DAY
        made = replace(run_of(ident, of=of, state=state), created_at=at, ended_at=at)
        await self.ledger.record(made.ident, news(3))
        return await self.store.create_run(made)

    def retention(
        self,
        holder: str = "one",
        *,
        keep: timedelta | None = KEEP,
        shelves: Sequence[Shelf] = (),
    ) -> Retention:
        async def forget(run: RunId) -> None:
            self.forgotten.append(run)

        return Retention(
            self.store,
            self.ledger,
            self.seats,
            keep=keep,
            shelves=shelves,
            forget=[forget],
            holder=holder,
            clock=self.clock,
        )

    async def runs(self) -> set[str]:
        return {run.ident for run in (await self.store.runs()).items}


@pytest.fixture
async def world(state_url: str) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        database = await Database.open(state_url)
        stack.push_async_callback(database.aclose)
        yield World(database, FakeClock())


async def test_old_runs_are_forgotten_with_their_transfers(world: World) -> None:
    for ident, days in (("old", 31), ("young", 29), ("latest", 1)):
        await world.ended(ident, days)
    swept = await world.retention().round()
    assert swept is not None
    assert (swept.runs, swept.strays) == (1, 0)
    assert await world.runs() == {"young", "latest"}
    assert set(await world.ledger.ledgers()) == {"young", "latest"}
    assert world.forgotten == ["old"]
    assert (await world.ledger.totals(RunId("young"))).open == 3


async def test_the_latest_run_of_a_task_and_what_is_under_way_stay(world: World) -> None:
    await world.ended("latest", 400)
    for number, state in enumerate((RunState.QUEUED, RunState.RUNNING)):
        await world.ended(f"under-way-{number}", 500, state=state)
    await world.ended("stopped", 600, state=RunState.CANCELLED)
    swept = await world.retention().round()
    assert swept is not None
    assert swept.runs == 1
    assert await world.runs() == {"latest", "under-way-0", "under-way-1"}


async def test_a_run_whose_uploads_are_still_to_be_aborted_stays(world: World) -> None:
    await world.ended("old", 40)
    await world.ended("latest", 1)
    old = RunId("old")
    [taken] = await lease(world.ledger, old, limit=1)
    upload = Upload(key="k", upload_id="u", started_at=world.clock.now)
    await world.ledger.save_upload(taken, upload)
    assert (await world.ledger.totals(old)).uploads
    swept = await world.retention().round()
    assert swept is not None
    assert swept.runs == 0
    await world.ledger.reset(old)
    for record in await world.ledger.uploads(old):
        await world.ledger.forget_upload(old, record)
    swept = await world.retention().round()
    assert swept is not None
    assert swept.runs == 1


async def test_more_than_a_page_is_forgotten_in_one_round(world: World) -> None:
    for number in range(230):
        days = 400 - number / 1000
        at = world.clock.now - days * DAY
        each = replace(run_of(f"{number:03}", state=RunState.SUCCEEDED), created_at=at, ended_at=at)
        await world.store.create_run(each)
    swept = await world.retention().round()
    assert swept is not None
    assert swept.runs == 229
    assert await world.runs() == {"229"}


async def test_what_only_the_ledger_knows_is_a_stray(world: World) -> None:
    await world.ended("known", 1)
    await world.ledger.record(RunId("stray"), news(5))
    swept = await world.retention(keep=None).round()
    assert swept is not None
    assert (swept.runs, swept.strays) == (0, 1)
    assert await world.ledger.ledgers() == ["known"]
    assert world.forgotten == ["stray"]


async def test_forever_keeps_everything(world: World) -> None:
    await world.ended("old", 9_000)
    await world.ended("latest", 1)

    async def purge(before: datetime) -> int:
        raise AssertionError(f"nothing was to be purged before {before}")

    swept = await world.retention(
        keep=None, shelves=[Shelf(name="logs", keep=None, purge=purge)]
    ).round()
    assert swept is not None
    assert await world.runs() == {"old", "latest"}


async def test_shelves_are_purged_until_nothing_is_left(world: World) -> None:
    asked: list[datetime] = []
    left = [2, 2, 1, 0]

    async def purge(before: datetime) -> int:
        asked.append(before)
        return left.pop(0)

    shelves = [Shelf(name="logs", keep=7 * DAY, purge=purge)]
    swept = await world.retention(shelves=shelves).round()
    assert swept is not None
    assert swept.shelves == {"logs": 5}
    assert set(asked) == {world.clock.now - 7 * DAY}
    assert left == []


async def test_one_server_acts_until_it_leaves_or_is_silent(world: World) -> None:
    one, other = world.retention("one"), world.retention("other")
    assert await one.round() is not None
    assert await other.round() is None
    world.clock.advance(INTERVAL.total_seconds())
    assert await other.round() is None
    assert await one.round() is not None
    await one.leave()
    assert await other.round() is not None
    world.clock.advance(SEAT_DURATION.total_seconds())
    assert await one.round() is not None


async def test_a_server_that_lost_the_seat_stops_in_the_middle(world: World) -> None:
    purged: list[str] = []

    async def slow(before: datetime) -> int:
        purged.append("slow")
        world.clock.advance(SEAT_DURATION.total_seconds())
        await world.seats.take("retention", "other", SEAT_DURATION)
        return 1

    shelves = [Shelf(name="slow", keep=DAY, purge=slow)]
    assert await world.retention(shelves=shelves).round() is None
    assert purged == ["slow"]


# Reports


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    return tmp_path / "runs"


def write(reports: Path, clock: FakeClock, ident: str, days_ago: float) -> Path:
    folder = reports / ident
    folder.mkdir(parents=True)
    at = (clock.now - days_ago * DAY).timestamp()
    for name in ("report.csv.gz", "summary.json", "lock"):
        (folder / name).touch()
        os.utime(folder / name, (at, at))
    os.utime(folder, (at, at))
    return folder


async def test_old_reports_are_removed_and_their_runs_stay(
    world: World, reports: Path, tmp_path: Path
) -> None:
    for ident, days, state in (
        ("old", 31, RunState.SUCCEEDED),
        ("young", 29, RunState.SUCCEEDED),
        ("going-on", 99, RunState.RUNNING),
    ):
        await world.ended(ident, days, state=state)
        write(reports, world.clock, ident, days)
    write(reports, world.clock, "of-no-run", 31)
    (reports / "notes").write_text("of somebody")
    folder = ReportFolder(tmp_path)
    sweep = ReportRetention(world.store, folder, keep=KEEP, clock=world.clock)
    with only_process(write(reports, world.clock, "held", 99) / "lock", "run held"):
        os.utime(reports / "held" / "lock", (0, 0))
        assert await sweep.round() == 2
    left = {path.name for path in reports.iterdir()}
    assert left == {"young", "going-on", "notes", "held"}
    assert "old" in await world.runs()
    assert await sweep.round() == 1
    forever = ReportRetention(world.store, folder, keep=None, clock=world.clock)
    assert await forever.round() == 0


async def test_where_no_run_ever_wrote_there_is_nothing_to_remove(tmp_path: Path) -> None:
    assert await ReportFolder(tmp_path).written() == []


# Rounds


async def test_rounds_go_on_whatever_fails() -> None:
    stop = asyncio.Event()
    waits: list[timedelta] = []
    made: list[str] = []

    async def wait(event: asyncio.Event, duration: timedelta) -> None:
        waits.append(duration)
        if len(waits) == 3:
            event.set()

    async def failing() -> None:
        made.append("failing")
        raise StateError("the state is away")

    async def sound() -> None:
        made.append("sound")

    await sweep_until(stop, failing, sound, wait=wait)
    assert made == ["failing", "sound"] * 2
    assert waits == [FIRST, INTERVAL, INTERVAL]


async def test_a_hub_that_is_stopped_at_once_makes_no_round() -> None:
    stop = asyncio.Event()
    stop.set()

    async def never() -> None:
        raise AssertionError("it was to stop")

    await sweep_until(stop, never)
