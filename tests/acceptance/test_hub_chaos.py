"""Two servers and four workers on one PostgreSQL, killed at random while much moves."""

import asyncio
import random
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack, ExitStack
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from tests.acceptance.balance import assert_moved
from tests.acceptance.command import Dth, Running
from tests.acceptance.fleet import kill_carriages, on_machine
from tests.acceptance.hub import ADMIN, Desk
from tests.acceptance.places import MIB, Place, content_of
from transferhub.control.tasks import TaskDraft
from transferhub.model.pages import RunFilter
from transferhub.model.run import Run, RunState, Task

SEED = 20261125
SECONDS = 60.0
SMALL_COUNT, LARGE_COUNT, LARGE_SIZE = 20_000, 10, 64 * MIB
EVERY = timedelta(seconds=10)
_PAUSE = (2.0, 5.0)


class Fleet:
    """The processes of a hub, each on a machine of its own; whoever is killed is started anew."""

    def __init__(self, dth: Dth, url: str, scope: ExitStack) -> None:
        self._scope = scope
        kinds = ("up", "up", "worker", "worker", "worker", "worker")
        self._machines = [(on_machine(dth, f"{n}", url), kind) for n, kind in enumerate(kinds)]
        self.running = [self._start(n) for n in range(len(kinds))]
        self.kills = 0

    def _start(self, number: int) -> Running:
        machine, kind = self._machines[number]
        words = ("up", "--port", 0, "--runs", 1) if kind == "up" else ("worker", "--runs", 2)
        return self._scope.enter_context(
            machine.start(*words, "--processes", 1, "--concurrency", 16)
        )

    def kill_some(self, luck: random.Random) -> None:
        number = luck.randrange(len(self.running))
        victim = self.running[number]
        match luck.choice(["machine", "parent", "carriages"]):
            case "machine":
                victim.kill_all()
            case "parent":
                victim.kill()
            case _:
                kill_carriages(victim)
        self.kills += 1
        if victim.process.poll() is not None:
            self.running[number] = self._start(number)


@pytest.mark.postgresql
@pytest.mark.timeout(400)
async def test_nothing_is_lost_however_many_processes_die(
    pair: Dth, source: Place, destination: Place, postgres_url: str, tmp_path: Path
) -> None:
    luck = random.Random(SEED)
    source.fill({f"{n % 97}/{n:05d}": content_of(str(n), 200) for n in range(SMALL_COUNT)})
    for n in range(LARGE_COUNT):
        source.put_multipart(f"large/{n}", content_of(str(n), LARGE_SIZE))
    async with AsyncExitStack() as stack:
        desk = await Desk.open(tmp_path / "desk", postgres_url, stack)
        with ExitStack() as scope:
            task = await desk.task(source, destination)
            often = await scheduled(desk, source, tmp_path)
            run = await desk.start(task)
            fleet = Fleet(pair, postgres_url, scope)
            await disturb(desk, task, fleet, luck)
            ended = await desk.ended(run, within_s=200)
            await desk.services.tasks.pause(ADMIN, often.ident)
            await settled(desk, often)
        assert fleet.kills > SECONDS / _PAUSE[1] - 1
        assert ended.resumed > 0
        assert ended.summary["done"] == SMALL_COUNT + LARGE_COUNT
        await asyncio.to_thread(assert_moved, ended.summary, source, destination)
        await assert_no_schedule_lost(desk, often)


async def scheduled(desk: Desk, source: Place, folder: Path) -> Task:
    """A small task that runs again and again, none of whose moments may be left out."""
    draft = TaskDraft(
        name="often",
        kind="objects",
        spec={
            "source": {"url": f"{source.url}/7/", "endpoint": source.endpoint.url},
            "destination": f"file://{folder}/often",
        },
        schedule={
            "every": f"{EVERY.total_seconds():g}s",
            "overlap": "queue",
            "catch_up": "all",
        },
    )
    return await desk.services.tasks.create(ADMIN, draft)


async def disturb(desk: Desk, task: Task, fleet: Fleet, luck: random.Random) -> None:
    """Kills and edits for a while."""
    end = time.monotonic() + SECONDS
    edits = 0
    while time.monotonic() < end:
        await asyncio.sleep(luck.uniform(*_PAUSE))
        fleet.kill_some(luck)
        limits: Mapping[str, str] = luck.choice(
            [{}, {"bandwidth": "200MB/s"}, {"requests": "900/s"}]
        )
        await desk.services.tasks.set_limits(ADMIN, task.ident, limits)
        edits += 1
    await desk.services.tasks.set_limits(ADMIN, task.ident, {})
    assert edits > 0


async def settled(desk: Desk, task: Task) -> None:
    """Returns when no run of the task is under way."""
    for run in await runs_of(desk, task):
        await desk.ended(run)


async def runs_of(desk: Desk, task: Task) -> list[Run]:
    page = await desk.services.orders.page(ADMIN, RunFilter(task=task.ident), limit=100)
    return list(page.items)


async def assert_no_schedule_lost(desk: Desk, task: Task) -> None:
    """Each moment between the first and the last has one run, and each run ended well."""
    runs = await runs_of(desk, task)
    moments = sorted(run.scheduled_at for run in runs if run.scheduled_at is not None)
    assert len(moments) == len(runs) > 1
    assert {b - a for a, b in pairwise(moments)} == {EVERY}
    assert {run.state for run in runs} == {RunState.SUCCEEDED}
