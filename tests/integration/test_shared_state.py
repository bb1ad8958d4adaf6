"""Many processes share one ledger, and some of them are killed."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.integration import ledger_process
from tests.integration.ledger_process import BATCH, RUN, TRANSFERS
from transferhub.model.transfer import Action, Tally, TransferState, WorkerId
from transferhub.state.sql import SqlLedger

KILLED = (WorkerId("killed-0"), WorkerId("killed-1"))
ROOT = Path(__file__).parents[2]


class Crew:
    """Processes of `ledger_process`; whoever is left at the end is killed."""

    def __init__(self, scope: ExitStack, url: str) -> None:
        self._scope = scope
        self._url = url

    def start(self, role: str, name: str, *, batches: int = 0) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", ledger_process.__name__, role, self._url, name, str(batches)],
            stdout=subprocess.PIPE,
            cwd=ROOT,
            text=True,
        )
        self._scope.enter_context(process)
        self._scope.callback(process.kill)
        return process


@pytest.fixture
def crew(state_url: str) -> Iterator[Crew]:
    with ExitStack() as scope:
        yield Crew(scope, state_url)


def has_begun(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "committed\n"


def assert_killed(process: subprocess.Popen[str]) -> None:
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def assert_ends(process: subprocess.Popen[str]) -> None:
    process.communicate()
    assert process.returncode == 0


async def test_killed_processes_lose_nothing_and_double_nothing(state_url: str, crew: Crew) -> None:
    victim = crew.start("record", "recorder-0", batches=5)
    recorder = crew.start("record", "recorder-1")
    ledger = await SqlLedger.open(state_url)
    assert_killed(victim)
    assert_ends(recorder)
    totals = await ledger.totals(RUN)
    assert totals.tally(Action.COPY, *TransferState).count == len(TRANSFERS)
    assert totals.scan.scanned_source == len(TRANSFERS)

    victims = [crew.start("work", name, batches=5) for name in KILLED]
    for victim in victims:
        has_begun(victim)
    living = [crew.start("work", f"living-{number}") for number in range(2)]
    for victim in victims:
        assert_killed(victim)
    # What they were at is leased for minutes still: without this, nobody would get it.
    assert 0 <= await ledger.reclaim(RUN, KILLED) <= 2 * BATCH
    for worker in living:
        assert_ends(worker)

    totals = await ledger.totals(RUN)
    size = sum(transfer.size for transfer in TRANSFERS)
    assert totals.tallies == {(Action.COPY, TransferState.DONE): Tally(len(TRANSFERS), size)}
    assert totals.moved_bytes == size
    assert totals.uploads == len(await ledger.uploads(RUN)) == 0
    records = [record async for record in ledger.transfers(RUN)]
    assert [record.transfer for record in records] == TRANSFERS
    assert {record.state for record in records} == {TransferState.DONE}
    await ledger.aclose()
