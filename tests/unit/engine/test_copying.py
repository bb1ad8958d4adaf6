import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.engine.test_execution import RUN, Bench, content, open_uploads, put
from transferhub.model.objects import Attributes, WriteOptions, Written
from transferhub.model.run import RunState
from transferhub.stores.base import ObjectReader
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
    options: dict[str, Any] = {"attributes": Attributes(), "options": WriteOptions()}
    upload = await bench.source.create_upload("large", **options)
    bodies = [bytes([number]) * (5 * MIB) for number in (1, 2)] + [b"end"]
    parts = [
        await bench.source.upload_part("large", upload, number, body, md5=md5(body))
        for number, body in enumerate(bodies, 1)
    ]
    await bench.source.complete_upload("large", upload, parts)
    assert (await bench.run()).status is RunState.SUCCEEDED
    ours, theirs = await bench.source.head("large"), await bench.destination.head("large")
    assert theirs.etag == ours.etag
    assert ours.etag.endswith("-3")


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


class Rotten(MemoryStore):
    """Gives a wrong byte, as often as it is told to."""

    times = 0

    @asynccontextmanager
    async def get(self, key: str, **options: Any) -> AsyncIterator[ObjectReader]:
        async with super().get(key, **options) as reader:
            if self.times:
                self.times -= 1
                body = await reader.read()
                yield MemoryReader(reader.info, bytes([body[0] ^ 1]) + body[1:])
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
    theirs = [await bench.destination.create_upload(key, **options) for key in ("large", "larger")]
    faults = [Fault(verb=Verb.UPLOAD_PART, skip=1, times=3), Fault(verb=Verb.COMPLETE_UPLOAD)]
    bench.destination = FaultyStore(bench.destination, ScriptedFaults(faults))
    assert (await bench.run()).status is RunState.SUCCEEDED
    assert await open_uploads(bench, "large", "larger") == theirs
