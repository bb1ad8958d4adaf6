"""Runs of events: what changed is copied, whatever the events say, and the run balances."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from re import compile as pattern

import pytest

from tests.unit.plugins.objects.event_world import TASK, EventWorld
from transferhub.engine.compare import CompareMode
from transferhub.engine.execution import DeleteGuard
from transferhub.errors import DeniedError, GuardError, TransientError
from transferhub.model.event import EventKind
from transferhub.model.objects import Attributes, WriteOptions
from transferhub.model.run import RunState
from transferhub.model.transfer import Action, RunId, TransferState
from transferhub.plugins.objects.event_scan import LONGEST
from transferhub.plugins.objects.selection import Selection
from transferhub.stores.base import ObjectReader, ObjectStore
from transferhub.stores.faulty import Fault, FaultyStore, ScriptedFaults
from transferhub.stores.memory import MemoryStore
from transferhub.stores.wrapper import Verb

MIRROR = DeleteGuard(delete=True, most_percent=100)


@pytest.fixture
def world(tmp_path: Path) -> EventWorld:
    return EventWorld(tmp_path)


async def states(world: EventWorld, run: str = "run") -> Mapping[str, TransferState]:
    return {at.transfer.key: at.state async for at in world.ledger.transfers(RunId(run))}


async def test_what_an_event_names_is_copied(world: EventWorld) -> None:
    await world.put("in/a", b"1")
    await world.put("in/b", b"2")
    await world.tell("in/a")
    async with world.following() as run:
        await run.handled()
        assert await world.copied() == {"out/a": b"1"}
        await world.tell("in/b")
        await run.handled()
        assert await world.copied() == {"out/a": b"1", "out/b": b"2"}
        summary = await run.ended()
    assert (summary.status, summary.faults) == (RunState.SUCCEEDED, ())
    assert (summary.done, summary.scan.new, summary.scan.scanned_source) == (2, 2, 2)


async def test_a_key_that_changes_again_is_copied_again_in_the_same_run(
    world: EventWorld,
) -> None:
    async with world.following() as run:
        for number in range(4):
            body = b"x" * (number + 1)
            await world.put("in/a", body)
            await world.tell("in/a")
            await run.handled()
            assert await world.copied() == {"out/a": body}
        summary = await run.ended()
    assert (summary.faults, summary.done, summary.scan.changed) == ((), 1, 1)
    assert (await world.ledger.totals(RunId("run"))).moved_bytes == 1 + 2 + 3 + 4


async def test_a_version_of_the_same_size_is_copied_whatever_the_clocks_say(
    world: EventWorld,
) -> None:
    world.source = MemoryStore("source", clock=lambda: datetime(2026, 1, 1, tzinfo=UTC))
    world.destination = MemoryStore("destination", clock=lambda: datetime(2026, 2, 1, tzinfo=UTC))
    async with world.following() as run:
        for body in (b"1", b"2", b"3"):
            await put_in_parts(world.source, "in/a", body)
            await world.tell("in/a")
            await run.handled()
            assert await world.copied() == {"out/a": body}


@pytest.mark.parametrize("mode", [CompareMode.SIZE, CompareMode.MISSING_ONLY])
async def test_a_version_of_the_same_size_is_none_where_sizes_tell(
    world: EventWorld, mode: CompareMode
) -> None:
    world.compare = mode
    async with world.following() as run:
        for body in (b"1", b"2"):
            await world.put("in/a", body)
            await world.tell("in/a")
            await run.handled()
            assert await world.copied() == {"out/a": b"1"}


async def put_in_parts(store: ObjectStore, key: str, body: bytes) -> None:
    """Its etag is no MD5 of it."""
    started = await store.create_upload(key, attributes=Attributes(), options=WriteOptions())
    part = await store.upload_part(key, started.upload_id, 1, body, md5=None)
    await store.complete_upload(key, started.upload_id, [part])


async def test_a_change_while_the_key_is_copied_is_not_lost(world: EventWorld) -> None:
    held = HeldStore("source")
    world.source = held
    await world.put("in/a", b"old")
    await world.tell("in/a")
    async with world.following() as run:
        await held.reading.wait()
        await world.put("in/a", b"newer")
        await world.tell("in/a")
        held.go_on.set()
        await run.handled()
        assert await world.copied() == {"out/a": b"newer"}
        assert (await run.ended()).faults == ()


async def test_duplicates_and_stale_events_change_nothing(world: EventWorld) -> None:
    await world.put("in/a", b"1")
    await world.tell("in/a", "in/a")
    async with world.following() as run:
        await run.handled()
        written = await world.destination.head("out/a")
        for kind in EventKind:
            await world.tell("in/a", kind=kind)
            await run.handled()
        assert await world.destination.head("out/a") == written
        summary = await run.ended()
    assert (summary.faults, summary.done, summary.scan.same) == ((), 1, 2)


@pytest.mark.parametrize("mirror", [True, False])
async def test_a_delete_is_mirrored_where_that_is_asked(world: EventWorld, mirror: bool) -> None:
    world.limits = MIRROR if mirror else DeleteGuard()
    await world.put("out/a", at=world.destination)
    await world.tell("in/a", kind=EventKind.REMOVED)
    async with world.following() as run:
        await run.handled()
        assert set(await world.copied()) == (set() if mirror else {"out/a"})
        summary = await run.ended()
    assert (summary.status, summary.faults, summary.scan.extra) == (RunState.SUCCEEDED, (), 1)
    end = TransferState.DONE if mirror else TransferState.HELD
    assert await states(world) == {"in/a": end}


async def test_a_delete_event_of_what_the_source_has_deletes_nothing(world: EventWorld) -> None:
    world.limits = MIRROR
    await world.put("in/a", b"1")
    await world.put("out/b", at=world.destination)
    await world.put("in/b", b"back again")
    await world.tell("in/a", "in/b", kind=EventKind.REMOVED)
    async with world.following() as run:
        await run.handled()
        assert await world.copied() == {"out/a": b"1", "out/b": b"back again"}
        assert (await run.ended()).scan.extra == 0


async def test_a_key_comes_and_goes_and_comes_in_one_run(world: EventWorld) -> None:
    world.limits = MIRROR
    async with world.following() as run:
        for _ in range(2):
            await world.put("in/a", b"here")
            await world.tell("in/a")
            await run.handled()
            assert await world.copied() == {"out/a": b"here"}
            await world.source.delete(["in/a"])
            await world.tell("in/a", kind=EventKind.REMOVED)
            await run.handled()
            assert await world.copied() == {}
        await world.tell("in/a")
        await run.handled()
        summary = await run.ended()
    assert summary.faults == ()
    assert (summary.scan.extra, summary.scan.scanned_source) == (1, 0)


async def test_a_source_that_does_not_show_a_key_deletes_nothing(world: EventWorld) -> None:
    world.limits = MIRROR
    await world.put("out/a", at=world.destination)
    denied = DeniedError("no", code="denied")
    faults = [Fault(verb=verb, error=denied, times=9) for verb in (Verb.HEAD, Verb.GET)]
    world.source = FaultyStore(world.source, ScriptedFaults(faults))
    await world.tell("in/a", kind=EventKind.REMOVED)
    async with world.following() as run:
        await run.handled()
        assert set(await world.copied()) == {"out/a"}
        summary = await run.ended()
    assert (summary.status, summary.faults) == (RunState.COMPLETED_WITH_FAILURES, ())
    [record] = await world.ledger.failures(RunId("run"))
    assert record.code == "denied"


async def test_keys_that_the_task_does_not_mean_are_passed_over(world: EventWorld) -> None:
    world.prefixes = ("2026/", "2025/12")
    world.selection = Selection(exclude=pattern(r".*\.tmp"), max_size=3)
    keys = ["2026/a", "2025/12-31", "2025/11", "2026/b.tmp", "2026/long", "2026"]
    for key in keys:
        await world.put(f"in/{key}", b"long" if "long" in key else b"x")
    await world.put("elsewhere/2026/c")
    await world.put("out/2026/gone.tmp", at=world.destination)
    world.limits = MIRROR
    named = [*(f"in/{key}" for key in keys), "elsewhere/2026/c", "in/2026/gone.tmp"]
    await world.tell(*named)
    async with world.following() as run:
        await run.handled()
        copied = {"out/2026/a", "out/2025/12-31", "out/2026/gone.tmp"}
        assert set(await world.copied()) == copied
        summary = await run.ended()
    assert (summary.faults, summary.scan.new, summary.scan.filtered) == ((), 2, 2)


async def test_what_must_be_restored_first_is_told_and_not_copied(world: EventWorld) -> None:
    body = b"cold"
    await world.put("in/a", body)
    await world.tell("in/a")
    async with world.following() as run:
        await run.handled()
        cold = WriteOptions(storage_class="GLACIER")
        info = await world.source.head("in/a")
        md5 = bytes.fromhex(info.etag)
        await world.source.put("in/a", body, attributes=info.attributes, options=cold, md5=md5)
        await world.destination.delete(["out/a"])
        await world.tell("in/a")
        await run.handled()
        summary = await run.ended()
    assert (summary.faults, summary.scan.archived, summary.scan.new) == ((), 1, 0)


async def test_checksums_are_compared_where_that_is_asked(world: EventWorld) -> None:
    world.compare = CompareMode.CHECKSUM
    await world.put("in/a", b"new")
    await world.put("in/b", b"same")
    await world.put("out/a", b"old", at=world.destination)
    await world.put("out/b", b"same", at=world.destination)
    await world.tell("in/a", "in/b")
    async with world.following() as run:
        await run.handled()
        assert await world.copied() == {"out/a": b"new", "out/b": b"same"}
        summary = await run.ended()
    assert (summary.scan.changed, summary.scan.same) == (1, 1)


async def test_deletes_beyond_the_guard_are_held_and_copies_go_on(world: EventWorld) -> None:
    world.limits = DeleteGuard(delete=True, most=2, most_percent=100)
    world.deleted = 1
    for name in ("a", "b", "c"):
        await world.put(f"out/{name}", at=world.destination)
    await world.put("in/new")
    await world.tell("in/a", kind=EventKind.REMOVED)
    async with world.following() as run:
        await run.handled()
        await world.tell("in/b", "in/c", "in/new", kind=EventKind.REMOVED)
        with pytest.raises(GuardError, match="would delete 4 objects") as caught:
            await run.task
    assert caught.value.code == "max_delete"
    assert set(await world.copied()) == {"out/b", "out/c", "out/new"}
    held = TransferState.HELD
    assert (await world.ledger.totals(RunId("run"))).tally(Action.DELETE, held).count == 2
    assert await world.inbox.count(TASK) == 0


@pytest.mark.parametrize(("seen", "trips"), [(0, False), (10, True), (11, False)])
async def test_the_share_of_deletes_is_of_what_was_last_listed(
    world: EventWorld, seen: int, trips: bool
) -> None:
    world.limits, world.seen = DeleteGuard(delete=True, most_percent=9.5), seen
    await world.put("out/a", at=world.destination)
    await world.tell("in/a", kind=EventKind.REMOVED)
    async with world.following() as run:
        if not trips:
            await run.handled()
        world.clock.move(LONGEST)
        [ended] = await asyncio.gather(run.task, return_exceptions=True)
    assert isinstance(ended, GuardError) is trips
    assert bool(await world.copied()) is trips


async def test_a_run_gives_way_and_leaves_what_it_has_not_begun(world: EventWorld) -> None:
    await world.put("in/a")
    await world.tell("in/a")
    async with world.following() as run:
        await run.handled()
        world.other_waits = True
        await world.put("in/b")
        await world.tell("in/b")
        assert (await run.task).done == 1
    assert await world.inbox.count(TASK) == 1
    world.other_waits = False
    async with world.following("second") as run:
        await run.handled()
        assert set(await world.copied()) == {"out/a", "out/b"}


async def test_a_run_ends_after_its_longest_time_however_many_events_come(
    world: EventWorld,
) -> None:
    async with world.following() as run:
        while not run.task.done():
            await world.tell("in/none")
            world.clock.move(LONGEST / 8)
            await asyncio.sleep(0)
        assert (await run.task).status is RunState.SUCCEEDED


async def test_events_stay_where_a_store_cannot_be_reached(world: EventWorld) -> None:
    away = Fault(verb=Verb.HEAD, error=TransientError("away"))
    good = world.source
    await world.put("in/a")
    await world.tell("in/a")
    world.source = FaultyStore(good, ScriptedFaults([away]))
    with pytest.raises(TransientError):
        await world.run(RunId("first"))
    assert await world.inbox.count(TASK) == 1
    async with world.following("second") as run:
        await run.handled()
        assert set(await world.copied()) == {"out/a"}


async def test_an_event_outlives_a_run_that_dies_while_it_copies(world: EventWorld) -> None:
    held = HeldStore("source")
    world.source = held
    await world.put("in/a", b"body")
    await world.tell("in/a")
    async with world.following():
        await held.reading.wait()
    assert await world.inbox.count(TASK) == 1
    held.go_on.set()
    async with world.following() as run:
        await run.handled()
        assert await world.copied() == {"out/a": b"body"}
        assert (await run.ended()).faults == ()


async def test_many_events_are_copied_in_one_run(world: EventWorld) -> None:
    keys = [f"in/{number}" for number in range(1_500)]
    for key in keys:
        await world.put(key)
    await world.tell(*keys)
    async with world.following() as run:
        await run.handled()
        summary = await run.ended()
    assert (summary.done, summary.faults) == (1_500, ())


class HeldStore(MemoryStore):
    """Its reads wait until they may go on, with the bytes that were there when they began."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.reading, self.go_on = asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def get(
        self, key: str, *, offset: int = 0, length: int | None = None, if_match: str = ""
    ) -> AsyncIterator[ObjectReader]:
        whole = super().get(key, offset=offset, length=length, if_match=if_match)
        async with whole as reader:
            self.reading.set()
            await self.go_on.wait()
            yield reader
