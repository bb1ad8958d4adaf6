"""A finder and four workers that share nothing but a state on AWS, killed at random while much
moves."""

import asyncio
import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from tests.acceptance.aws import Aws
from tests.acceptance.balance import assert_moved
from tests.acceptance.command import Dth, Running
from tests.acceptance.places import MIB, Place, content_of
from tests.acceptance.processes import is_at_work, wait_until, workers_of
from tests.conformance.aws_states import connection_to
from tests.conformance.ledger_facts import lease, recount
from transferhub.hosts import aws_state
from transferhub.model.transfer import Action, RunId, TransferState
from transferhub.state.aws.creating import QueueFacts
from transferhub.state.aws.ledger import AwsLedger

SEED = 20261130
SECONDS = 35.0
SMALL_COUNT, LARGE_COUNT, LARGE_SIZE = 20_000, 10, 11 * MIB
WORKERS = 4
LEASE_S = 20
_PAUSE = (2.0, 5.0)


class Crew:
    """One finder and its workers; when too many are gone, all are started anew."""

    def __init__(self, dth: Dth, *words: object) -> None:
        self._dth = dth
        self._words = words
        self.kills = self.starts = 0

    @contextmanager
    def working(self) -> Iterator[Running]:
        with self._dth.start(*self._words) as running:
            self.starts += 1
            yield running

    def disturb(self, luck: random.Random, until: float) -> None:
        """Kills one process after the other, and starts all again once none is left."""
        while time.monotonic() < until:
            with self.working() as running:
                while running.process.poll() is None and time.monotonic() < until:
                    time.sleep(luck.uniform(*_PAUSE))
                    self._kill(running, luck)
                assert running.process.poll() in {None, -signal.SIGKILL}, running.err
                running.kill_all()

    def _kill(self, running: Running, luck: random.Random) -> None:
        workers = [pid for pid in workers_of(running) if is_at_work(pid)]
        victim = luck.choice(["finder", "all", *["worker"] * 4])
        self.kills += 1
        if victim == "worker" and len(workers) > 1:
            with suppress(ProcessLookupError):
                os.kill(luck.choice(workers), signal.SIGKILL)
        elif victim == "finder":
            running.kill()
            wait_until(lambda: not any(map(is_at_work, workers)), "the workers end")
        else:
            running.kill_all()


@pytest.mark.timeout(400)
async def test_nothing_is_lost_however_many_processes_die(
    aws_pair: Dth, aws: Aws, source: Place, destination: Place
) -> None:
    luck = random.Random(SEED)
    source.fill({f"{n % 97}/{n:05d}": content_of(str(n), 200) for n in range(SMALL_COUNT)})
    for n in range(LARGE_COUNT):
        source.put_multipart(f"large/{n}", content_of(str(n), LARGE_SIZE))
    dth = aws_pair.having(DTH_LEASE=f"{LEASE_S}s")
    words = ("transfer", source, destination, "--json", "--processes", WORKERS + 1)
    crew = Crew(dth, *words, "--requests", "450/s")
    crew.disturb(luck, time.monotonic() + SECONDS)
    left = SMALL_COUNT + LARGE_COUNT - len(destination.keys())

    ended = dth.well(*words, timeout_s=200).json

    assert crew.kills >= SECONDS / _PAUSE[1] - 1
    assert crew.starts > 1
    assert left > 0
    assert ended["done"] == SMALL_COUNT + LARGE_COUNT
    await asyncio.to_thread(assert_moved, ended, source, destination)
    assert not (dth.state / "dth.sqlite3").exists()
    await assert_in_order(aws, RunId(ended["run"]))


async def assert_in_order(aws: Aws, run: RunId) -> None:
    """Everything is counted once, and nothing is left in any queue, for any receiver."""
    connection = connection_to(aws.endpoint, aws.name)
    try:
        ledger = await AwsLedger.open(connection)
        totals = await ledger.totals(run)
        assert totals.tallies == await recount(ledger, run)
        assert totals.tally(Action.COPY, TransferState.DONE).count == SMALL_COUNT + LARGE_COUNT
        assert totals.scan.scanned_source == SMALL_COUNT + LARGE_COUNT
        assert (totals.uploads, totals.open, await ledger.part_bytes(run)) == (0, 0, 0)
        # What one who was killed had received comes back, and whoever looks for work ends it.
        deadline = time.monotonic() + LEASE_S + 10
        while left := await asyncio.to_thread(messages, aws):
            assert time.monotonic() < deadline, left
            assert not await lease(ledger, run)
            await asyncio.sleep(0.5)
    finally:
        await connection.aclose()


def messages(aws: Aws) -> list[QueueFacts]:
    """Queues that hold any."""
    queues = aws_state.describe(aws.place).queues
    return [at for at in queues if at.waiting or at.delayed or at.in_flight]
