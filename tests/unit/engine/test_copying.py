import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.engine.test_execution import RUN, Bench, content, open_uploads, put
from transferhub.errors import NotFoundError, UnsupportedError
from transferhub.model.objects import (
    Attributes,
    StartedUpload,
    UploadedPart,
    WriteOptions,
    Written,
)
from transferhub.model.run import RunState
from transferhub.model.transfer import Action, Difference, Part, Transfer, Upload
from transferhub.stores.base import ObjectReader, ObjectStore
from transferhub.stores.faulty import (
    Fault,
    FaultKind,
    FaultyStore,
    ScriptedFaults,
    rewrite,
    vanish,
)
from transferhub.stores.memory import MemoryStore
from transferhub.stores.memory.store import MemoryReader
from transferhub.stores.wrapper import Verb

MIB = 1 << 20


async def watched_run(bench: Bench) -> tuple[Counter[Verb], Counter[Verb]]:
    """What a run asks of its source and of its destination."""
    source = bench.source = FaultyStore(bench.source, ScriptedFaults([]))
    destination = bench.destination = FaultyStore(bench.destination, ScriptedFaults([]))
    assert (await bench.run()).status is RunState.SUCCEEDED
    return (
        Counter(call.verb for call in source.calls),
        Counter(call.verb for call in destination.calls),
    )


async def test_a_small_object_costs_one_get_and_one_put(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    for number in range(30):
        await put(bench.source, f"k{number}", b"x" * number, color="blue")
    source, destination = await watched_run(bench)
    del source[Verb.CHECK], destination[Verb.CHECK]
    assert source == {Verb.LIST: source[Verb.LIST], Verb.GET: 30}
    assert destination == {Verb.LIST: destination[Verb.LIST], Verb.PUT: 30}


async def test_what_is_there_already_costs_nothing_but_its_listing(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    for number in range(30):
        for store in (bench.source, bench.destination):
            await put(store, f"k{number}", b"x" * number)
    source, destination = await watched_run(bench)
    assert source.keys() == destination.keys() == {Verb.CHECK, Verb.LIST}


async def test_the_parts_of_a_source_are_followed_so_that_etags_agree(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    await put_in_parts(bench.source, "large", in_parts(5 * MIB, 5 * MIB, 3))
    assert (await bench.run()).status is RunState.SUCCEEDED
    ours, theirs = await bench.source.head("large"), await bench.destination.head("large")
    assert theirs.etag == ours.etag
    assert ours.etag.endswith("-3")


@pytest.mark.parametrize(("each", "heads"), [(8, 1), (11, 2)])
async def test_a_part_size_that_no_client_uses_is_asked_for(
    tmp_path: Path, each: int, heads: int
) -> None:
    bench, store, _ = watched(tmp_path)
    await put_in_parts(store, "key", in_parts(*[each * MIB] * 3, 8 * MIB))
    source, _ = await watched_run(bench)
    assert source[Verb.HEAD] == heads
    (entry,) = (await bench.destination.list()).entries
    assert entry.etag == (await store.head("key")).etag


class Mute(MemoryStore):
    """Tells no part sizes, in some way."""

    answer: int | Exception = 0

    async def first_part_size(self, key: str) -> int:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    "answer",
    [0, MIB, 20 * MIB, UnsupportedError("no partNumber here"), NotFoundError("gone")],
)
async def test_a_part_size_that_is_not_told_is_not_followed(
    tmp_path: Path, answer: int | Exception
) -> None:
    bench = Bench(tmp_path)
    bench.source = source = Mute("source", clock=bench.clock)
    source.answer = answer
    bodies = in_parts(*[11 * MIB] * 3, 8 * MIB)
    await put_in_parts(source, "key", bodies)
    summary = await bench.run()
    assert (summary.done, summary.failed) == (1, 0)
    async with bench.destination.get("key") as reader:
        assert await reader.read() == b"".join(bodies)


def md5(body: bytes) -> bytes:
    return hashlib.md5(body, usedforsecurity=False).digest()


@settings(max_examples=30, deadline=None)
@given(
    size=st.integers(0, 60),
    verb=st.sampled_from([Verb.GET, Verb.HEAD]),
    skip=st.integers(0, 8),
    times=st.integers(1, 3),
    change=st.sampled_from([rewrite, vanish]),
)
def test_a_source_that_changes_under_way_gives_a_version_that_was_there_or_none(
    tmp_path_factory: pytest.TempPathFactory,
    size: int,
    verb: Verb,
    skip: int,
    times: int,
    change: Any,
) -> None:
    async def check() -> None:
        bench = Bench(tmp_path_factory.mktemp("run"), part_size=9)
        body = bytes(range(size))
        await put(bench.source, "key", body)
        versions = [body + b"!" * count for count in range(times + 1)]
        times_it_can = 1 if change is vanish else times
        fault = Fault(
            verb=verb,
            key="key",
            kind=FaultKind.CHANGE,
            skip=skip,
            times=times_it_can,
            change=change,
        )
        inner, bench.source = bench.source, FaultyStore(bench.source, ScriptedFaults([fault]))
        summary = await bench.run()
        assert summary.faults == ()
        assert (summary.status, summary.failed) == (RunState.SUCCEEDED, 0)
        copied = await content(bench.destination)
        if "key" in copied:
            assert copied["key"][0] in versions
            assert summary.done == 1
        else:
            assert (summary.vanished, await content(inner)) == (1, {})
        assert await open_uploads(bench, "key") == []

    asyncio.run(check())


@pytest.mark.parametrize("grown", [MIB, MIB + 1])
async def test_an_object_that_outgrew_its_memory_is_taken_with_its_true_size(
    tmp_path: Path, grown: int
) -> None:
    async def grow(store: ObjectStore, key: str) -> None:
        await put(store, key, b"x" * (10 + grown))

    bench = Bench(tmp_path)
    await put(bench.source, "log", b"x" * 10)
    fault = Fault(verb=Verb.GET, key="log", kind=FaultKind.CHANGE, change=grow)
    bench.source = FaultyStore(bench.source, ScriptedFaults([fault]))
    summary = await bench.run()

    assert (summary.status, summary.bytes) == (RunState.SUCCEEDED, 10 + grown)
    (record,) = [record async for record in bench.ledger.transfers(RUN)]
    assert record.transfer.size == (10 + grown if grown > MIB else 10)


class Rotten(MemoryStore):
    """Gives a wrong byte, another one each time, as often as it is told to."""

    times = 0

    @asynccontextmanager
    async def get(self, key: str, **options: Any) -> AsyncIterator[ObjectReader]:
        async with super().get(key, **options) as reader:
            if self.times:
                self.times -= 1
                body = await reader.read()
                yield MemoryReader(reader.info, bytes([body[0] ^ (self.times + 1)]) + body[1:])
            else:
                yield reader


@pytest.mark.parametrize("times", [1, 4, 99])
async def test_bytes_that_are_not_those_of_the_etag_are_never_written(
    tmp_path: Path, times: int
) -> None:
    bench = Bench(tmp_path)
    source = bench.source = Rotten(clock=bench.clock)
    await put(source, "key", b"precious")
    source.times = times
    summary = await bench.run()
    copied = {key: body for key, (body, _) in (await content(bench.destination)).items()}
    if times < 5:
        assert (summary.done, copied) == (1, {"key": b"precious"})
    else:
        (dead,) = await bench.ledger.failures(RUN)
        assert (summary.failed, dead.code, dead.attempts, copied) == (1, "corrupt", 5, {})


class Careless(MemoryStore):
    """Gives another etag than the bytes have, as often as it is told to."""

    times = 0

    async def put(self, key: str, body: bytes, **options: Any) -> Written:
        written = await super().put(key, body, **options)
        if self.times:
            self.times -= 1
            return Written(etag="0" * 32)
        return written


@pytest.mark.parametrize("times", [1, 99])
async def test_a_write_that_came_out_wrong_is_never_taken_for_done(
    tmp_path: Path, times: int
) -> None:
    bench = Bench(tmp_path)
    await put(bench.source, "key", b"precious")
    destination = bench.destination = Careless(clock=bench.clock)
    destination.times = times
    summary = await bench.run()
    if times == 1:
        assert (summary.done, summary.failed) == (1, 0)
    else:
        (dead,) = await bench.ledger.failures(RUN)
        assert (summary.done, dead.code, dead.attempts) == (0, "wrong_etag", 5)


async def test_an_upload_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    bench = Bench(tmp_path, part_size=10)
    options: dict[str, Any] = {"attributes": Attributes(), "options": WriteOptions()}
    await put(bench.source, "large", bytes(range(35)))
    begun = [await bench.destination.create_upload(key, **options) for key in ("large", "larger")]
    theirs = [upload.upload_id for upload in begun]
    faults = [Fault(verb=Verb.UPLOAD_PART, skip=1, times=3), Fault(verb=Verb.COMPLETE_UPLOAD)]
    bench.destination = FaultyStore(bench.destination, ScriptedFaults(faults))
    assert (await bench.run()).status is RunState.SUCCEEDED
    assert await open_uploads(bench, "large", "larger") == theirs


async def put_in_parts(store: ObjectStore, key: str, bodies: Sequence[bytes]) -> None:
    begun = await store.create_upload(key, attributes=Attributes(), options=WriteOptions())
    upload = begun.upload_id
    parts = [
        await store.upload_part(key, upload, number, body, md5=md5(body))
        for number, body in enumerate(bodies, 1)
    ]
    await store.complete_upload(key, upload, parts)


class Watchful(MemoryStore):
    """Notes which parts came with an MD5, and every object as it becomes visible."""

    encrypts = False
    wants_md5 = False

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.hashed: list[bool] = []
        self.shown: list[bytes] = []

    async def upload_part(self, *args: Any, md5: bytes | None) -> UploadedPart:
        if self.wants_md5 and md5 is None:
            raise UnsupportedError("Content-MD5 is required", vendor_code="InvalidRequest")
        self.hashed.append(md5 is not None)
        part = await super().upload_part(*args, md5=md5)
        return replace(part, encrypted_by_key=self.encrypts)

    async def put(self, key: str, body: bytes, **options: Any) -> Written:
        written = await super().put(key, body, **options)
        self.shown.append(body)
        return (
            replace(written, etag=f"{1:032}", encrypted_by_key=True) if self.encrypts else written
        )

    async def complete_upload(
        self, key: str, upload_id: str, parts: Sequence[UploadedPart]
    ) -> Written:
        written = await super().complete_upload(key, upload_id, parts)
        async with self.get(key) as reader:
            self.shown.append(await reader.read())
        return replace(written, encrypted_by_key=self.encrypts)


def watched(tmp_path: Path, **switches: bool) -> tuple[Bench, Rotten, Watchful]:
    bench = Bench(tmp_path)
    source = bench.source = Rotten("source", clock=bench.clock)
    destination = bench.destination = Watchful(bucket="destination", clock=bench.clock)
    for name, value in switches.items():
        setattr(destination, name, value)
    return bench, source, destination


def in_parts(*sizes: int) -> list[bytes]:
    return [bytes([number]) * size for number, size in enumerate(sizes, 1)]


@pytest.mark.parametrize("sizes", [(5 * MIB,), (5 * MIB, 5 * MIB, 3)])
async def test_parts_are_hashed_by_the_two_servers_alone(
    tmp_path: Path, sizes: Sequence[int]
) -> None:
    bench, source, destination = watched(tmp_path)
    bodies = in_parts(*sizes)
    await put_in_parts(source, "key", bodies)
    assert (await bench.run()).status is RunState.SUCCEEDED
    assert destination.hashed == [False] * len(bodies)
    assert destination.shown == [b"".join(bodies)]
    assert (await destination.head("key")).etag == (await source.head("key")).etag


@pytest.mark.parametrize("sizes", [(5 * MIB,), (5 * MIB, 5 * MIB, 3), (10 * MIB, 2 * MIB)])
@pytest.mark.parametrize("times", [1, 2])
async def test_a_part_that_was_damaged_on_its_way_is_never_shown(
    tmp_path: Path, sizes: Sequence[int], times: int
) -> None:
    bench, source, destination = watched(tmp_path)
    bodies = in_parts(*sizes)
    await put_in_parts(source, "key", bodies)
    source.times = times
    summary = await bench.run()
    assert (summary.done, summary.failed) == (1, 0)
    assert destination.shown == [b"".join(bodies)]


async def test_a_way_that_always_damages_shows_nothing(tmp_path: Path) -> None:
    bench, source, destination = watched(tmp_path)
    await put(source, "whole", b"precious")
    await put_in_parts(source, "parts", in_parts(5 * MIB, 3))

    class Noisy(Rotten):
        """Damages every reading in another way."""

        readings = 0

        @asynccontextmanager
        async def get(self, key: str, **options: Any) -> AsyncIterator[ObjectReader]:
            async with MemoryStore.get(self, key, **options) as reader:
                self.readings += 1
                noise = self.readings.to_bytes(4, "big")
                yield MemoryReader(reader.info, noise + (await reader.read())[4:])

    bench.source = Noisy("source", server=source.server)
    await put_in_parts(source, "parts", in_parts(5 * MIB, 5 * MIB))
    summary = await bench.run()
    assert (summary.done, summary.failed) == (0, 2)
    assert {dead.code for dead in await bench.ledger.failures(RUN)} == {"corrupt"}
    assert destination.shown == []


async def test_a_part_size_that_was_guessed_wrong_ends_right_and_is_trusted_no_more(
    tmp_path: Path,
) -> None:
    bench, source, destination = watched(tmp_path)
    bodies = in_parts(10 * MIB, 2 * MIB)  # told from the etag are 8 MiB
    await put_in_parts(source, "first", bodies)
    replication = bench.replication()
    transfer = Transfer(
        action=Action.COPY,
        difference=Difference.NEW,
        key="first",
        size=12 * MIB,
        etag=(await source.head("first")).etag,
    )
    for _ in range(2):
        plan = await replication.plan(transfer)
        assert plan is not None
        upload = await replication.begin(transfer, Upload(plan.key, "", bench.clock()))
        assert isinstance(upload, Upload)
        parts = [await replication.copy_part(transfer, upload, part) for part in plan.parts]
        await replication.finish(transfer, upload, parts)
    assert destination.hashed == [False, False, True, True]
    assert destination.shown == [b"".join(bodies)] * 2


@pytest.mark.parametrize("switch", ["encrypts", "wants_md5"])
async def test_where_etags_tell_nothing_or_an_md5_is_wanted_parts_are_hashed_here(
    tmp_path: Path, switch: str
) -> None:
    bench, source, destination = watched(tmp_path, **{switch: True})
    bodies = in_parts(5 * MIB, 5 * MIB, 3)
    await put_in_parts(source, "key", bodies)
    assert (await bench.run()).status is RunState.SUCCEEDED
    assert destination.hashed.count(True) == 3
    assert destination.shown == [b"".join(bodies)]


async def test_a_whole_object_whose_etag_tells_nothing_is_hashed_here(tmp_path: Path) -> None:
    bench, source, destination = watched(tmp_path, encrypts=True)
    await put(source, "key", b"precious")
    source.times = 1
    assert (await bench.run()).status is RunState.SUCCEEDED
    assert destination.shown == [b"precious"]


@pytest.mark.parametrize("by_another", [False, True])
async def test_a_part_is_proven_whoever_sent_it_and_whatever_the_etags_tell_by_then(
    tmp_path: Path, *, by_another: bool
) -> None:
    bench, source, destination = watched(tmp_path)
    bodies = in_parts(5 * MIB, 5 * MIB, 3)
    await put_in_parts(source, "key", bodies)
    etag = (await source.head("key")).etag
    transfer = Transfer("key", Difference.NEW, size=10 * MIB + 3, etag=etag)
    sender = bench.replication()
    plan = await sender.plan(transfer)
    assert plan is not None
    upload = await sender.begin(transfer, Upload(plan.key, "", bench.clock()))
    assert isinstance(upload, Upload)
    source.times = 1
    first = await sender.copy_part(transfer, upload, plan.parts[0])
    destination.encrypts = True
    parts = [first, *[await sender.copy_part(transfer, upload, it) for it in plan.parts[1:]]]
    assert [part.proven for part in parts] == [False, True, True]
    finisher = bench.replication() if by_another else sender
    assert finisher.finish_weight(transfer, parts) == 5 * MIB
    await finisher.finish(transfer, upload, parts)
    assert destination.shown == [b"".join(bodies)]


async def test_parts_that_the_whole_etag_proves_need_no_memory_at_the_end(tmp_path: Path) -> None:
    bench, source, _destination = watched(tmp_path)
    bodies = in_parts(5 * MIB, 3)
    await put_in_parts(source, "key", bodies)
    etag = (await source.head("key")).etag
    sent = [
        Part(number, 0, len(body), md5(body).hex()) for number, body in enumerate(bodies, start=1)
    ]
    transfer = Transfer("key", Difference.NEW, size=5 * MIB + 3, etag=etag)
    assert bench.replication().finish_weight(transfer, sent) == 0


class Forgetful(MemoryStore):
    """Keeps no tags."""

    async def create_upload(self, *args: Any, **options: Any) -> StartedUpload:
        return replace(await super().create_upload(*args, **options), not_kept=("tags",))


async def test_what_an_object_in_parts_did_not_keep_is_noted(tmp_path: Path) -> None:
    bench = Bench(tmp_path, part_size=10)
    bench.destination = Forgetful("destination", clock=bench.clock)
    await put(bench.source, "large", bytes(range(35)))
    assert (await bench.run()).status is RunState.SUCCEEDED
    [record] = [record async for record in bench.ledger.transfers(RUN)]
    assert record.note == "the destination did not keep: tags"
