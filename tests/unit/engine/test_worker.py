import asyncio
from collections import deque
from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.engine.fake_replication import (
    RUN,
    FakeReplication,
    FastClock,
    HandClock,
    copies,
    deletes,
    until,
    until_settled,
    work_off,
    worker,
)
from transferhub.engine import worker as worker_module
from transferhub.engine.retry import MACHINE_CODES
from transferhub.engine.tuning import Tuning
from transferhub.errors import (
    ChangedError,
    DeniedError,
    NotFoundError,
    RunError,
    StateError,
    StoreError,
    ThrottledError,
    TransientError,
)
from transferhub.model.transfer import (
    Action,
    Difference,
    Failure,
    Lease,
    Outcome,
    Transfer,
    TransferState,
    Upload,
    WorkerId,
)
from transferhub.state.memory import MemoryLedger

DONE, FAILED, WAITING, LEASED = (
    TransferState.DONE,
    TransferState.FAILED,
    TransferState.WAITING,
    TransferState.LEASED,
)
LEASE = timedelta(milliseconds=60)


async def ledger_of(transfers: Sequence[Transfer], clock: object = None) -> MemoryLedger:
    ledger = MemoryLedger(clock=clock or FastClock())  # type: ignore[arg-type]
    await ledger.record(RUN, transfers)
    return ledger


async def states(ledger: MemoryLedger) -> dict[str, TransferState]:
    return {record.transfer.key: record.state async for record in ledger.transfers(RUN)}


# Bounds


@settings(max_examples=25, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 60), min_size=1, max_size=30),
    concurrency=st.integers(1, 6),
    memory=st.integers(20, 80),
    parts_from=st.integers(15, 100),
)
def test_neither_slots_nor_bytes_in_flight_exceed_their_budget(
    sizes: list[int], concurrency: int, memory: int, parts_from: int
) -> None:
    async def check() -> None:
        transfers = [Transfer(f"k{n}", Difference.NEW, size) for n, size in enumerate(sizes)]
        ledger = await ledger_of(transfers)
        replication = FakeReplication(parts_from=parts_from)
        tuning = Tuning(concurrency=concurrency, memory_bytes=memory)
        await work_off(ledger, worker(ledger, replication, tuning))
        assert set((await states(ledger)).values()) == {DONE}
        assert replication.most_slots <= concurrency
        largest = max(size if size < parts_from else 10 for size in sizes)
        assert replication.most_bytes <= max(memory, largest)
        assert replication.alive == set()

    asyncio.run(check())


async def test_limits_change_while_it_works() -> None:
    gate, stop = asyncio.Event(), asyncio.Event()
    replication = FakeReplication(hold=lambda _: gate)
    ledger = await ledger_of(copies(*(f"k{n}" for n in range(40))))
    each = worker(ledger, replication, Tuning(concurrency=4))
    async with asyncio.TaskGroup() as group:
        group.create_task(each.work(stop))
        await until(lambda: replication.most_slots == 4 and each.is_full)
        each.retune(Tuning(concurrency=6))
        await until(lambda: replication.most_slots == 6)
        each.retune(Tuning(concurrency=2))
        gate.set()  # the first six end; from then on it is two at most
        await until(lambda: replication.asked.total() >= 12)
        gate.clear()
        await until(lambda: replication.under_way == 2)
        replication.most_slots = 0
        gate.set()
        await until_settled(ledger)
        assert replication.most_slots <= 2
        stop.set()


async def test_small_objects_overtake_the_parts_of_a_large_one() -> None:
    replication = FakeReplication(parts_from=100)
    ledger = await ledger_of([*copies("large", size=1_000), *copies("s1", "s2", "s3")])
    order: list[str] = []
    replication.hold = lambda transfer: order.append(transfer.key)
    await work_off(ledger, worker(ledger, replication, Tuning(concurrency=1)))
    assert order.count("large") == 100
    assert max(map(order.index, ("s1", "s2", "s3"))) < 20


async def test_parts_that_need_no_memory_wait_for_none() -> None:
    gate, stop = asyncio.Event(), asyncio.Event()
    ledger = await ledger_of(copies("large", size=1_000))
    replication = FakeReplication(parts_from=100, weightless=True, hold=lambda _: gate)
    async with asyncio.TaskGroup() as group:
        tuning = Tuning(concurrency=4, memory_bytes=10)
        group.create_task(worker(ledger, replication, tuning).work(stop))
        await until(lambda: replication.asked.total() == 4)
        gate.set()
        await until_settled(ledger)
        stop.set()


async def test_deletes_travel_in_batches() -> None:
    ledger = await ledger_of(deletes(*(f"k{n}" for n in range(500))))
    replication = FakeReplication()
    await work_off(ledger, worker(ledger, replication, Tuning(concurrency=64)))
    assert sorted(key for batch in replication.deletes for key in batch) == sorted(
        await states(ledger)
    )
    assert len(replication.deletes) <= 5


# Failures


async def test_a_delete_that_fails_as_a_whole_fails_each_of_its_keys() -> None:
    ledger = await ledger_of(deletes("a", "b", "c"))
    replication = FakeReplication()
    replication.errors["*"] = deque([DeniedError("no right to delete")])
    await work_off(ledger, worker(ledger, replication))
    assert await states(ledger) == {"a": FAILED, "b": FAILED, "c": FAILED}


async def test_a_delete_that_fails_for_a_while_is_tried_again() -> None:
    ledger = await ledger_of(deletes("a", "b", "c"))
    replication = FakeReplication()
    replication.errors["*"] = deque([TransientError("reset"), None, None])
    replication.errors["b"] = deque([TransientError("reset")])
    await work_off(ledger, worker(ledger, replication))
    assert await states(ledger) == {"a": DONE, "b": DONE, "c": DONE}


@pytest.mark.parametrize("poison", [RuntimeError("bug"), KeyError("bug"), AssertionError()])
async def test_a_poison_transfer_is_a_dead_letter_and_the_others_go_on(poison: Exception) -> None:
    ledger = await ledger_of(copies("a", "b", "c"))
    replication = FakeReplication()
    replication.errors["b"] = deque([poison])
    await work_off(ledger, worker(ledger, replication))
    assert await states(ledger) == {"a": DONE, "b": FAILED, "c": DONE}
    (dead,) = await ledger.failures(RUN)
    assert (dead.code, dead.attempts) == ("internal", 1)
    assert type(poison).__name__ in dead.message


async def test_a_poison_delete_is_a_dead_letter_too() -> None:
    ledger = await ledger_of([*deletes("a", "b"), *copies("c")])
    replication = FakeReplication()
    replication.errors["*"] = deque([RuntimeError("bug")])
    await work_off(ledger, worker(ledger, replication))
    assert await states(ledger) == {"a": FAILED, "b": FAILED, "c": DONE}


@given(attempts=st.integers(1, 7))
@settings(max_examples=7, deadline=None)
def test_a_transfer_has_exactly_its_attempts(attempts: int) -> None:
    async def check() -> None:
        ledger = await ledger_of(copies("k"))
        replication = FakeReplication()
        replication.errors["k"] = deque([TransientError("reset")] * 20)
        await work_off(ledger, worker(ledger, replication, Tuning(attempts=attempts)))
        (dead,) = await ledger.failures(RUN)
        assert (dead.attempts, replication.asked["k"]) == (attempts, attempts)
        assert len(dead.history) == attempts

    asyncio.run(check())


async def test_throttling_is_held_against_nobody() -> None:
    ledger = await ledger_of(copies("k"))
    replication = FakeReplication()
    replication.errors["k"] = deque([ThrottledError("slow down")] * 9)
    await work_off(ledger, worker(ledger, replication, Tuning(attempts=1)))
    (record,) = [record async for record in ledger.transfers(RUN)]
    assert (record.state, record.attempts) == (DONE, 1)


@pytest.mark.parametrize("in_parts", [False, True])
async def test_a_source_that_always_changes_is_a_dead_letter_in_the_end(in_parts: bool) -> None:
    ledger = await ledger_of(copies("k", size=30))
    replication = FakeReplication(parts_from=20 if in_parts else 100)
    replication.always["k"] = ChangedError("changed")
    await work_off(ledger, worker(ledger, replication, Tuning(attempts=3)))
    assert await states(ledger) == {"k": FAILED}
    assert replication.asked["k"] <= 9
    for record in await ledger.uploads(RUN):
        assert record.abandoned


async def test_what_kills_every_worker_that_takes_it_is_a_dead_letter_in_the_end() -> None:
    clock = HandClock()
    ledger = await ledger_of(copies("killer", "other"), clock)
    for _ in range(3):  # workers that were never heard of again
        assert "killer" in await taken_by_another(ledger)
        clock.move(timedelta(days=1))
    replication = FakeReplication()
    await work_off(ledger, worker(ledger, replication, Tuning(attempts=3), clock=clock))
    assert set((await states(ledger)).values()) == {FAILED}
    assert {dead.code for dead in await ledger.failures(RUN)} == {"gave_up"}
    assert replication.asked.total() == 0


async def test_a_changed_source_starts_over_with_its_present_identity() -> None:
    ledger = await ledger_of(copies("k"))
    replication = FakeReplication()
    replication.errors["k"] = deque([ChangedError("changed")])
    await work_off(ledger, worker(ledger, replication))
    (record,) = [record async for record in ledger.transfers(RUN)]
    assert (record.state, record.transfer.etag) == (DONE, "new")


async def test_a_lost_upload_starts_over() -> None:
    ledger = await ledger_of(copies("k", size=30))
    replication = FakeReplication(parts_from=20)
    gone = NotFoundError("the upload is not open", code="no_upload")
    replication.errors["k"] = deque([None, None, gone])
    await work_off(ledger, worker(ledger, replication))
    assert await states(ledger) == {"k": DONE}
    assert replication.refreshed == ["k"]


@pytest.mark.parametrize("work", [copies("a", "b", "c"), deletes("a", "b", "c")])
async def test_what_every_transfer_would_meet_stops_the_run_and_loses_no_attempt(
    work: list[Transfer],
) -> None:
    ledger = await ledger_of(work)
    replication = FakeReplication()
    fatal = NotFoundError("no such bucket", code="no_bucket")
    for key in ("*", "a", "b", "c"):
        replication.errors[key] = deque([fatal] * 3)
    with pytest.raises(NotFoundError, match="no such bucket"):
        await work_off(ledger, worker(ledger, replication))
    records = [record async for record in ledger.transfers(RUN)]
    assert {record.state for record in records} == {WAITING}
    assert {record.attempts for record in records} == {0}


async def test_what_only_some_transfers_meet_leaves_the_others() -> None:
    """As where each image names a registry of its own."""
    ledger = await ledger_of(copies("a", "b"))
    replication = FakeReplication(fatal_codes=MACHINE_CODES)
    replication.always["a"] = DeniedError("its certificate is not trusted", code="tls")
    await work_off(ledger, worker(ledger, replication))
    assert await states(ledger) == {"a": FAILED, "b": DONE}
    await ledger.record(RUN, copies("c"))
    replication.always["c"] = StoreError("the disk is full", code="disk_full")
    with pytest.raises(StoreError, match="the disk is full"):
        await work_off(ledger, worker(ledger, replication))


async def test_an_endpoint_that_is_away_for_too_long_fails_the_run() -> None:
    ledger = await ledger_of(copies("k"))
    replication = FakeReplication()
    away = TransientError("nobody answers at http://x", code="unreachable")
    replication.errors["k"] = deque([away] * 1_000)
    with pytest.raises(RunError, match="without one success: nobody answers") as raised:
        await work_off(ledger, worker(ledger, replication, Tuning(patience=timedelta(0))))
    assert raised.value.code == "unreachable"
    assert await states(ledger) == {"k": WAITING}


async def test_a_success_renews_the_patience() -> None:
    ledger = await ledger_of(copies("a", "b"))
    replication = FakeReplication()
    away = TransientError("nobody answers", code="unreachable")
    replication.errors["a"] = deque([away])
    replication.errors["b"] = deque([None])
    tuning = Tuning(concurrency=1, patience=timedelta(0))
    await work_off(ledger, worker(ledger, replication, tuning))
    assert await states(ledger) == {"a": DONE, "b": DONE}


# The ledger's trouble


class Broken(MemoryLedger):
    """Does what it is told, and answers with an error the first time."""

    def __init__(self, verb: str, *, heard: bool) -> None:
        super().__init__(clock=FastClock())
        self._left = {verb}
        self._heard = heard

    def _breaks(self, verb: str) -> bool:
        breaks = verb in self._left
        self._left.discard(verb)
        return breaks

    async def complete(self, outcomes: Sequence[Outcome]) -> Sequence[Lease]:
        breaks = self._breaks("complete")
        if self._heard or not breaks:
            lost = await super().complete(outcomes)
        if breaks:
            raise StateError("the disk is full")
        return lost

    async def fail(self, failures: Sequence[Failure]) -> Sequence[Lease]:
        breaks = self._breaks("fail")
        if self._heard or not breaks:
            lost = await super().fail(failures)
        if breaks:
            raise StateError("the disk is full")
        return lost

    async def save_upload(self, lease: Lease, upload: Upload) -> None:
        if self._breaks("save_upload"):
            raise StateError("the disk is full")
        await super().save_upload(lease, upload)


@pytest.mark.parametrize("verb", ["complete", "fail"])
@pytest.mark.parametrize("heard", [False, True])
async def test_what_has_ended_is_not_done_again_though_the_ledger_failed_to_hear_it(
    verb: str, heard: bool
) -> None:
    ledger = Broken(verb, heard=heard)
    await ledger.record(RUN, copies("a", "b", "c", "d"))
    replication = FakeReplication()
    replication.errors["c"] = deque([DeniedError("no")])
    with pytest.raises(StateError, match="the disk is full"):
        await work_off(ledger, worker(ledger, replication))
    assert LEASED not in (await states(ledger)).values()
    await work_off(ledger, worker(ledger, replication))
    assert await states(ledger) == {"a": DONE, "b": DONE, "c": FAILED, "d": DONE}
    assert set(replication.asked.values()) == {1}


async def test_a_ledger_that_cannot_be_written_is_no_fault_of_the_object() -> None:
    ledger = Broken("save_upload", heard=False)
    await ledger.record(RUN, copies("large", size=30))
    replication = FakeReplication(parts_from=20)
    with pytest.raises(StateError, match="the disk is full"):
        await work_off(ledger, worker(ledger, replication))
    assert await states(ledger) == {"large": WAITING}


# Leases


class Renewed(MemoryLedger):
    """Tells when leases were renewed."""

    def __init__(self, clock: HandClock) -> None:
        super().__init__(clock=clock)
        self.renewals: asyncio.Queue[list[str]] = asyncio.Queue()

    async def renew(self, leases: Sequence[Lease], duration: timedelta) -> Sequence[Lease]:
        lost = await super().renew(leases, duration)
        self.renewals.put_nowait([lease.transfer.key for lease in leases])
        return lost


async def taken_by_another(ledger: MemoryLedger) -> list[str]:
    leases = await ledger.lease(
        RUN, WorkerId("other"), limit=100, max_bytes=1 << 30, duration=timedelta(hours=1)
    )
    return [lease.transfer.key for lease in leases]


async def test_leases_of_what_is_under_way_or_queued_are_renewed() -> None:
    clock, gate, stop = HandClock(), asyncio.Event(), asyncio.Event()
    ledger = Renewed(clock)
    await ledger.record(RUN, copies("a", "b", "c"))
    replication = FakeReplication(hold=lambda _: gate)
    only = worker(ledger, replication, Tuning(concurrency=1, lease=LEASE), clock=clock)
    async with asyncio.TaskGroup() as group:
        group.create_task(only.work(stop))
        for _ in range(5):
            assert sorted(await ledger.renewals.get()) == ["a", "b", "c"]
            clock.move(LEASE * 0.9)
            assert await taken_by_another(ledger) == []
        gate.set()
        await until_settled(ledger)
        stop.set()
    assert set((await states(ledger)).values()) == {DONE}


async def test_a_lease_that_was_lost_in_the_queue_is_not_worked_on() -> None:
    clock, gate, stop = HandClock(), asyncio.Event(), asyncio.Event()
    ledger = Renewed(clock)
    await ledger.record(RUN, copies("a", "b", "c"))
    replication = FakeReplication(hold=lambda _: gate)
    only = worker(ledger, replication, Tuning(concurrency=1, lease=LEASE), clock=clock)
    async with asyncio.TaskGroup() as group:
        group.create_task(only.work(stop))
        await ledger.renewals.get()
        clock.move(LEASE * 2)
        assert sorted(await taken_by_another(ledger)) == ["a", "b", "c"]
        await ledger.renewals.get()
        gate.set()
        await asyncio.sleep(0.05)
        stop.set()
    assert replication.asked.total() == 1
    assert set((await states(ledger)).values()) == {LEASED}


async def test_the_end_of_a_lost_lease_does_not_drop_the_one_that_came_after_it() -> None:
    clock, stop = HandClock(), asyncio.Event()
    gates = [asyncio.Event(), asyncio.Event()]
    started = [asyncio.Event(), asyncio.Event()]
    turn = iter(zip(gates, started, strict=True))

    def hold(_: Transfer) -> asyncio.Event:
        gate, begun = next(turn)
        begun.set()
        return gate

    ledger = Renewed(clock)
    await ledger.record(RUN, copies("a"))
    tuning = Tuning(concurrency=2, lease=timedelta(hours=1), drain=timedelta(0))
    only = worker(ledger, FakeReplication(hold=hold), tuning, clock=clock)
    async with asyncio.TaskGroup() as group:
        group.create_task(only.work(stop))
        await started[0].wait()
        clock.move(timedelta(hours=2))
        await started[1].wait()
        gates[0].set()
        await asyncio.sleep(0.2)  # the first end is told, in vain
        stop.set()
    assert await states(ledger) == {"a": WAITING}  # and the second lease was given back


# Stopping


async def test_a_stop_ends_what_is_under_way_and_gives_back_the_rest_untried() -> None:
    gate, stop = asyncio.Event(), asyncio.Event()
    ledger = await ledger_of(copies(*(f"k{n}" for n in range(9))))
    replication = FakeReplication(hold=lambda _: gate)
    only = worker(ledger, replication, Tuning(concurrency=2))
    async with asyncio.TaskGroup() as group:
        group.create_task(only.work(stop))
        await until(lambda: replication.asked.total() == 2)
        stop.set()
        await asyncio.sleep(0)
        gate.set()
    records = [record async for record in ledger.transfers(RUN)]
    ended = [record for record in records if record.state is DONE]
    assert 2 <= len(ended) < 9
    assert {record.attempts for record in records if record.state is WAITING} == {0}
    assert len(ended) == replication.asked.total()
    assert (await ledger.totals(RUN)).tally(Action.COPY, LEASED).count == 0


async def test_what_outlasts_the_drain_is_given_back() -> None:
    stop = asyncio.Event()
    ledger = await ledger_of(copies("a", "b"))
    replication = FakeReplication(hold=lambda _: asyncio.Event())
    tuning = Tuning(concurrency=2, drain=timedelta(milliseconds=20))
    async with asyncio.TaskGroup() as group:
        group.create_task(worker(ledger, replication, tuning).work(stop))
        await until(lambda: replication.asked.total() == 2)
        stop.set()
    assert await states(ledger) == {"a": WAITING, "b": WAITING}


async def test_a_cancelled_worker_gives_everything_back_and_stays_cancelled() -> None:
    ledger = await ledger_of(copies("a", "b"))
    replication = FakeReplication(hold=lambda _: asyncio.Event())
    task = asyncio.create_task(worker(ledger, replication).work(asyncio.Event()))
    await until(lambda: replication.asked.total() == 2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    records = [record async for record in ledger.transfers(RUN)]
    assert {(record.state, record.attempts) for record in records} == {(WAITING, 0)}


async def test_many_workers_carry_each_transfer_once() -> None:
    ledger = await ledger_of([*copies(*(f"k{n}" for n in range(300))), *copies("l", size=200)])
    replication = FakeReplication(parts_from=100)
    workers = [worker(ledger, replication, name=f"w{n}") for n in range(3)]
    await work_off(ledger, *workers)
    assert {key: n for key, n in replication.asked.items() if n > 1} == {"l": 20}
    assert len(replication.asked) == 301


async def test_nobody_waits_between_an_object_s_parts_and_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker_module, "_SHORT_PAUSE", 3_600.0)
    monkeypatch.setattr(worker_module, "_LONG_PAUSE", 3_600.0)
    ledger = await ledger_of(copies("large", size=100))
    await work_off(ledger, worker(ledger, FakeReplication(parts_from=20)))
    assert await states(ledger) == {"large": DONE}
