import asyncio
import csv
import gzip
import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transferhub.engine.compare import CompareMode
from transferhub.engine.execution import DeleteGuard, Execution, Job
from transferhub.engine.merge import Everything
from transferhub.engine.progress import Summary
from transferhub.engine.tuning import Tuning
from transferhub.engine.worker import Worker
from transferhub.errors import DeniedError, GuardError, NotFoundError, ThrottledError
from transferhub.model.objects import Attributes, UploadedPart, WriteOptions, Written
from transferhub.model.run import RunState
from transferhub.model.transfer import Action, RunId, TransferState, WorkerId
from transferhub.plugins.objects.keymap import KeyMap
from transferhub.plugins.objects.replication import ObjectReplication, Scope, Writing
from transferhub.state.memory import MemoryLedger
from transferhub.stores.base import ObjectStore
from transferhub.stores.faulty import (
    Fault,
    FaultKind,
    FaultyStore,
    ScriptedFaults,
    SeededFaults,
    vanish,
)
from transferhub.stores.memory import MemoryStore
from transferhub.stores.wrapper import Verb

RUN = RunId("run")


class FastClock:
    """Real time, a thousand times faster, so that retries do not hold the tests up."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._at = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self._at + timedelta(seconds=(time.monotonic() - self._start) * 1_000)


class Workers:
    """A crew of workers in one event loop."""

    def __init__(self, workers: Sequence[Worker]) -> None:
        self.workers = workers

    @property
    def size(self) -> int:
        return len(self.workers)

    async def work(self, stop: asyncio.Event) -> None:
        await asyncio.gather(*(worker.work(stop) for worker in self.workers))


@dataclass
class Bench:
    """Two stores, a ledger, and runs between them."""

    folder: Path
    part_size: int | None = None
    guard: DeleteGuard = field(default_factory=DeleteGuard)
    workers: int = 2
    compare: CompareMode = CompareMode.SIZE_MTIME
    clock: FastClock = field(default_factory=FastClock)
    talk: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ledger = MemoryLedger(clock=self.clock)
        self.source: ObjectStore = MemoryStore("source", clock=self.clock)
        self.destination: ObjectStore = MemoryStore("destination", clock=self.clock)

    def replication(self) -> ObjectReplication:
        return ObjectReplication(
            source=self.source,
            destination=self.destination,
            keys=KeyMap(),
            scope=Scope(prefixes=[""], selection=Everything()),
            compare=self.compare,
            writing=Writing(
                options=WriteOptions(), storage_class_for=lambda _: "", part_size=self.part_size
            ),
            listers=4,
        )

    async def run(self, stop: asyncio.Event | None = None, *, run: RunId = RUN) -> Summary:
        replication = self.replication()
        # A busy machine must not make leases run out on the fast clock.
        lease = timedelta(days=1)
        tuning = Tuning(concurrency=8, attempts=5, drain=timedelta(seconds=1), lease=lease)
        crew = Workers(
            [
                Worker(
                    ident=WorkerId(f"w{number}"),
                    run=run,
                    ledger=self.ledger,
                    replication=replication,
                    tuning=tuning,
                    clock=self.clock,
                    random=Random(number),
                )
                for number in range(self.workers)
            ]
        )
        job = Job(
            run=run,
            ledger=self.ledger,
            replication=replication,
            crew=crew,
            guard=self.guard,
            destination="the destination",
            folder=self.folder,
            former_workers=[WorkerId(f"w{number}") for number in range(self.workers)],
        )
        return await Execution(job, talk=self.talk.append).run(stop or asyncio.Event())


async def put(store: ObjectStore, key: str, body: bytes, **attributes: str) -> None:
    await store.put(
        key,
        body,
        attributes=Attributes(metadata=attributes),
        options=WriteOptions(),
        md5=hashlib.md5(body, usedforsecurity=False).digest(),
    )


async def content(store: ObjectStore) -> dict[str, tuple[bytes, Mapping[str, str]]]:
    found = {}
    for entry in (await store.list()).entries:
        async with store.get(entry.key) as reader:
            found[entry.key] = (await reader.read(), reader.info.attributes.metadata)
    return found


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def open_uploads(bench: Bench, *keys: str) -> list[str]:
    return [
        upload.upload_id for key in keys for upload in await bench.destination.list_uploads(key)
    ]


async def test_a_run_copies_what_is_new_and_a_second_one_nothing(bench: Bench) -> None:
    for number in range(50):
        await put(bench.source, f"k{number}", b"x" * number, color="blue")
    first = await bench.run()
    assert (first.status, first.done, first.scan.new) == (RunState.SUCCEEDED, 50, 50)
    assert await content(bench.destination) == await content(bench.source)
    second = await bench.run(run=RunId("second"))
    assert (second.status, second.done, second.scan.same) == (RunState.SUCCEEDED, 0, 50)


async def test_the_report_has_a_row_for_every_key_that_is_not_same(bench: Bench) -> None:
    await put(bench.source, "same", b"1")
    await put(bench.destination, "same", b"1")
    await put(bench.source, 'new,"quoted"\n', b"22")
    await put(bench.destination, "extra", b"333")
    summary = await bench.run()
    with gzip.open(summary.report, "rt", encoding="utf-8", newline="") as file:
        rows = {row["key"]: row for row in csv.DictReader(file)}
    assert rows.keys() == {'new,"quoted"\n', "extra"}
    assert rows['new,"quoted"\n']["state"] == "done"
    assert rows["extra"]["difference"] == "extra"
    assert rows["extra"]["state"] == "held"


async def test_large_objects_travel_in_parts_and_leave_no_upload(bench: Bench) -> None:
    bench.part_size = 10
    body = bytes(range(105))
    await put(bench.source, "large", body, kind="large")
    await put(bench.source, "small", b"s")
    summary = await bench.run()
    assert summary.status is RunState.SUCCEEDED
    assert (await content(bench.destination))["large"] == (body, {"kind": "large"})
    assert (await bench.destination.head("large")).parts == 11
    assert await open_uploads(bench, "large") == []


FAULTS = [
    Fault(verb=Verb.GET),
    Fault(verb=Verb.GET, kind=FaultKind.TRUNCATE, keep=3),
    Fault(verb=Verb.GET, error=ThrottledError("slow down"), times=9),
    Fault(verb=Verb.PUT),
    Fault(verb=Verb.PUT, kind=FaultKind.AFTER),
    Fault(verb=Verb.CREATE_UPLOAD),
    Fault(verb=Verb.CREATE_UPLOAD, kind=FaultKind.AFTER),
    Fault(verb=Verb.UPLOAD_PART, skip=2, times=3),
    Fault(verb=Verb.UPLOAD_PART, kind=FaultKind.AFTER),
    Fault(verb=Verb.COMPLETE_UPLOAD),
    Fault(verb=Verb.COMPLETE_UPLOAD, kind=FaultKind.AFTER),
    Fault(verb=Verb.GET, key="large", kind=FaultKind.CHANGE, skip=4),
    Fault(verb=Verb.HEAD, key="large", kind=FaultKind.CHANGE),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.verb}-{fault.kind}")
async def test_a_passing_fault_changes_nothing_of_the_end(bench: Bench, fault: Fault) -> None:
    bench.part_size = 10
    await put(bench.source, "large", bytes(range(55)))
    await put(bench.source, "small", b"small")
    faults = ScriptedFaults([fault])
    faulty_source = fault.verb in (Verb.GET, Verb.HEAD)
    if faulty_source:
        bench.source = FaultyStore(bench.source, faults)
    else:
        bench.destination = FaultyStore(bench.destination, faults)
    summary = await bench.run()
    assert faults.spent
    assert summary.status is RunState.SUCCEEDED
    assert await content(bench.destination) == await content(bench.source)
    assert await open_uploads(bench, "large", "small") == []


async def test_what_fails_for_good_is_a_dead_letter_and_the_rest_goes_on(bench: Bench) -> None:
    for number in range(20):
        await put(bench.source, f"k{number}", b"x")
    denied = Fault(verb=Verb.PUT, key="k7", error=DeniedError("no, at k7"), times=99)
    bench.destination = FaultyStore(bench.destination, ScriptedFaults([denied]))
    summary = await bench.run()
    assert (summary.status, summary.done, summary.failed) == (
        RunState.COMPLETED_WITH_FAILURES,
        19,
        1,
    )
    (dead,) = await bench.ledger.failures(RUN)
    assert (dead.transfer.key, dead.code, dead.attempts) == ("k7", "denied", 1)


async def test_a_transient_error_is_tried_five_times(bench: Bench) -> None:
    await put(bench.source, "k", b"x")
    fault = Fault(verb=Verb.PUT, times=99)
    faulty = FaultyStore(bench.destination, ScriptedFaults([fault]))
    bench.destination = faulty
    summary = await bench.run()
    assert summary.failed == 1
    (dead,) = await bench.ledger.failures(RUN)
    assert (dead.attempts, len(dead.history)) == (5, 5)
    assert sum(call.verb is Verb.PUT for call in faulty.calls) == 5


async def test_a_failed_object_in_parts_leaves_no_upload(bench: Bench) -> None:
    bench.part_size = 10
    await put(bench.source, "large", bytes(range(55)))
    fault = Fault(verb=Verb.UPLOAD_PART, error=DeniedError("no"), skip=3, times=99)
    bench.destination = FaultyStore(bench.destination, ScriptedFaults([fault]))
    summary = await bench.run()
    assert (summary.status, summary.failed) == (RunState.COMPLETED_WITH_FAILURES, 1)
    assert await open_uploads(bench, "large") == []
    assert not await bench.ledger.uploads(RUN)


async def test_a_source_that_vanishes_is_counted_as_vanished(bench: Bench) -> None:
    bench.part_size = 10
    await put(bench.source, "large", bytes(range(55)))
    await put(bench.source, "small", b"small")
    faults = ScriptedFaults(
        [
            Fault(verb=Verb.GET, key="small", kind=FaultKind.CHANGE, change=vanish),
            Fault(verb=Verb.GET, key="large", kind=FaultKind.CHANGE, change=vanish, skip=2),
        ]
    )
    bench.source = FaultyStore(bench.source, faults)
    summary = await bench.run()
    assert (summary.status, summary.vanished, summary.faults) == (RunState.SUCCEEDED, 2, ())
    assert await open_uploads(bench, "large") == []


async def test_a_bucket_that_is_gone_fails_the_run_and_keeps_its_work(bench: Bench) -> None:
    for number in range(20):
        await put(bench.source, f"k{number}", b"x")
    gone = Fault(verb=Verb.PUT, error=NotFoundError("gone", code="no_bucket"), skip=5, times=999)
    real = bench.destination
    bench.destination = FaultyStore(real, ScriptedFaults([gone]))
    with pytest.raises(NotFoundError, match="gone"):
        await bench.run()
    totals = await bench.ledger.totals(RUN)
    assert totals.tally(Action.COPY, TransferState.LEASED).count == 0
    assert totals.open >= 10
    bench.destination = real
    summary = await bench.run()
    assert (summary.status, summary.done) == (RunState.SUCCEEDED, 20)


async def test_a_stop_gives_work_back_and_the_next_start_ends_it(bench: Bench) -> None:
    for number in range(3_000):
        await put(bench.source, f"k{number:04}", b"x")
    stop = asyncio.Event()

    class Stopping(MemoryStore):
        async def put(self, key: str, body: bytes, **options: Any) -> Written:
            await asyncio.sleep(0)  # as every real store: others have their turn
            if key == "k0100":
                stop.set()
            return await super().put(key, body, **options)

    bench.destination = Stopping()
    summary = await bench.run(stop)
    assert summary.status is RunState.CANCELLED
    assert 0 < summary.done < 3_000
    totals = await bench.ledger.totals(RUN)
    assert totals.tally(Action.COPY, TransferState.LEASED).count == 0
    resumed = await bench.run()
    assert (resumed.status, resumed.done, resumed.faults) == (RunState.SUCCEEDED, 3_000, ())
    assert any("resuming" in sentence for sentence in bench.talk)


async def test_each_start_tells_the_bytes_that_it_moved_itself(bench: Bench) -> None:
    bench.part_size, bench.workers = 10, 1
    for number in range(200):
        await put(bench.source, f"k{number:03}", b"x" * 35)
    stop = asyncio.Event()

    class Stopping(MemoryStore):
        async def upload_part(
            self, key: str, upload_id: str, number: int, body: bytes, *, md5: bytes | None
        ) -> UploadedPart:
            await asyncio.sleep(0)
            if key == "k050":
                stop.set()
            return await super().upload_part(key, upload_id, number, body, md5=md5)

    bench.destination = Stopping()
    first = await bench.run(stop)
    resumed = await bench.run()

    assert (resumed.status, resumed.bytes) == (RunState.SUCCEEDED, 200 * 35)
    assert first.start_bytes is not None
    assert resumed.start_bytes is not None
    # Some of it in parts of objects that were not done.
    assert first.bytes < first.start_bytes
    assert first.start_bytes + resumed.start_bytes == resumed.bytes


async def test_mirror_deletes_extra_keys_after_the_copies(bench: Bench) -> None:
    bench.guard = DeleteGuard(delete=True, most_percent=50)
    for key in ("a", "b"):
        await put(bench.source, key, b"1")
    for key in ("b", "c", "d"):
        await put(bench.destination, key, b"1")
    with pytest.raises(GuardError, match=r"2 of 3 objects \(66.7 %\)"):
        await bench.run()
    assert (await content(bench.destination)).keys() == {"a", "b", "c", "d"}
    bench.guard = DeleteGuard(delete=True, most=2, most_percent=100)
    summary = await bench.run(run=RunId("again"))
    assert (summary.status, summary.deleted) == (RunState.SUCCEEDED, 2)
    assert (await content(bench.destination)).keys() == {"a", "b"}


async def test_without_mirror_nothing_is_deleted(bench: Bench) -> None:
    await put(bench.destination, "extra", b"1")
    summary = await bench.run()
    assert (summary.status, summary.scan.extra, summary.deleted) == (RunState.SUCCEEDED, 1, 0)


async def test_archived_objects_are_counted_and_listed(bench: Bench) -> None:
    body = b"cold"
    await bench.source.put(
        "cold",
        body,
        attributes=Attributes(),
        options=WriteOptions(storage_class="GLACIER"),
        md5=hashlib.md5(body, usedforsecurity=False).digest(),
    )
    summary = await bench.run()
    assert (summary.status, summary.scan.archived, summary.faults) == (RunState.SUCCEEDED, 1, ())


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    bodies=st.dictionaries(
        st.text("ab/", min_size=1, max_size=3), st.binary(max_size=40), max_size=25
    ),
)
def test_whatever_passing_faults_a_run_meets_it_balances_and_nothing_is_torn(
    tmp_path_factory: pytest.TempPathFactory, seed: int, bodies: dict[str, bytes]
) -> None:
    async def check() -> None:
        bench = Bench(tmp_path_factory.mktemp("run"), part_size=9)
        for key, body in bodies.items():
            await put(bench.source, key, body)
        source, destination = bench.source, bench.destination
        bench.source = FaultyStore(source, SeededFaults(seed, 0.1))
        verbs = (Verb.PUT, Verb.UPLOAD_PART, Verb.COMPLETE_UPLOAD, Verb.CREATE_UPLOAD)
        faults = [
            Fault(verb=verb, kind=kind)
            for verb in verbs
            for kind in (FaultKind.BEFORE, FaultKind.AFTER)
        ]
        bench.destination = FaultyStore(destination, SeededFaults(seed, 0.1, faults=faults))
        bench.source = FaultyStore(source, SeededFaults(seed, 0.1, faults=[Fault(verb=Verb.GET)]))
        summary = await bench.run()
        assert summary.faults == ()
        copied = await content(destination)
        original = await content(source)
        dead = {record.transfer.key for record in await bench.ledger.failures(RUN)}
        assert copied.keys() | dead == original.keys()
        assert all(copied[key] == original[key] for key in copied)
        assert await open_uploads(bench, *bodies) == []

    asyncio.run(check())
