import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.engine.fake_replication import FakeReplication
from tests.unit.engine.test_execution import Bench, Workers, put
from transferhub.engine.execution import DeleteGuard, Execution, Job
from transferhub.engine.listing import Side
from transferhub.errors import DeniedError, StoreError
from transferhub.model.run import RunState
from transferhub.model.transfer import (
    RunId,
)
from transferhub.state.memory import MemoryLedger
from transferhub.stores.base import ObjectStore
from transferhub.stores.faulty import Fault, FaultyStore, ScriptedFaults
from transferhub.stores.memory import MemoryStore
from transferhub.stores.wrapper import Verb

MIRROR = DeleteGuard(delete=True, most_percent=100)


sides = st.sets(st.text("ab/", min_size=1, max_size=3), max_size=12)


async def keys_of(store: ObjectStore) -> set[str]:
    return {entry.key async for page in Side(store=store, base="").pages("") for entry in page}


async def mirror_of(folder: Path, ours: set[str], theirs: set[str]) -> Bench:
    bench = Bench(folder, guard=MIRROR)
    bench.source = MemoryStore("source", page_keys=2)
    bench.destination = MemoryStore("destination", page_keys=2)
    for store, keys in ((bench.source, ours), (bench.destination, theirs)):
        for key in keys:
            await put(store, key, b"1")
    return bench


@settings(max_examples=20, deadline=None)
@given(ours=sides, theirs=sides)
def test_a_mirror_ends_equal_and_deletes_after_its_last_copy(
    tmp_path_factory: pytest.TempPathFactory, ours: set[str], theirs: set[str]
) -> None:
    async def check() -> None:
        bench = await mirror_of(tmp_path_factory.mktemp("run"), ours, theirs)
        watched = bench.destination = FaultyStore(bench.destination, ScriptedFaults([]))
        summary = await bench.run()
        assert (summary.status, summary.deleted) == (RunState.SUCCEEDED, len(theirs - ours))
        assert await keys_of(watched) == ours
        verbs = [call.verb for call in watched.calls if call.verb in (Verb.PUT, Verb.DELETE)]
        assert verbs == sorted(verbs, key=[Verb.PUT, Verb.DELETE].index)

    asyncio.run(check())


@settings(max_examples=30, deadline=None)
@given(
    ours=sides,
    theirs=sides,
    at=st.sampled_from(["source", "destination"]),
    skip=st.integers(0, 8),
)
def test_a_listing_that_fails_deletes_nothing(
    tmp_path_factory: pytest.TempPathFactory,
    ours: set[str],
    theirs: set[str],
    at: str,
    skip: int,
) -> None:
    async def check() -> None:
        bench = await mirror_of(tmp_path_factory.mktemp("run"), ours, theirs)
        fault = Fault(verb=Verb.LIST, skip=skip, error=DeniedError("not allowed to list"))
        faults = ScriptedFaults([fault])
        setattr(bench, at, FaultyStore(getattr(bench, at), faults))
        watched = bench.destination = FaultyStore(bench.destination, ScriptedFaults([]))
        try:
            await bench.run()
        except StoreError:
            assert faults.spent
            assert Verb.DELETE not in {call.verb for call in watched.calls}
        else:
            assert not faults.spent

    asyncio.run(check())


async def test_a_stop_before_the_listings_are_complete_deletes_nothing(tmp_path: Path) -> None:
    bench = await mirror_of(tmp_path, {"a"}, {"b", "c"})
    stop = asyncio.Event()

    async def stopping(_: Any) -> None:
        stop.set()
        await asyncio.sleep(0)

    bench.source = FaultyStore(bench.source, ScriptedFaults([]), latency=stopping)
    assert (await bench.run(stop)).status is RunState.CANCELLED
    assert {"b", "c"} <= await keys_of(bench.destination)


async def test_a_delete_that_fails_is_a_dead_letter_of_a_run_that_balances(tmp_path: Path) -> None:
    bench = await mirror_of(tmp_path, {"a"}, {"b", "c"})
    denied = Fault(verb=Verb.DELETE, error=DeniedError("not allowed to delete"), times=9)
    bench.destination = FaultyStore(bench.destination, ScriptedFaults([denied]))
    summary = await bench.run()
    assert (summary.status, summary.faults) == (RunState.COMPLETED_WITH_FAILURES, ())
    assert (summary.deleted, summary.delete_failed) == (0, 2)


class Lingering(FakeReplication):
    """Takes its time to be cancelled."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.ending = asyncio.Event(), asyncio.Event()

    async def find(self, *_: Any) -> None:
        try:
            self.begun.set()
            await asyncio.Event().wait()
        finally:
            self.ending.set()
            await asyncio.Event().wait()


async def test_who_wants_to_stop_at_once_need_not_wait_for_the_end_of_a_stop(
    tmp_path: Path,
) -> None:
    stop, replication = asyncio.Event(), Lingering()
    workers: Sequence[Any] = ()
    job = Job(
        run=RunId("run"),
        ledger=MemoryLedger(),
        replication=replication,
        crew=Workers(workers),
        guard=DeleteGuard(),
        destination="the destination",
        folder=tmp_path,
    )
    run = asyncio.create_task(Execution(job, talk=lambda _: None).run(stop))
    await replication.begun.wait()
    stop.set()
    await replication.ending.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
