import asyncio
import tracemalloc
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.stores.s3.test_transport import (
    OK,
    Wire,
    answering,
    fault_of,
    request,
    sent,
    serving,
)
from transferhub.stores.s3 import plain
from transferhub.stores.s3.plain import Buffers, PlainTransport
from transferhub.stores.s3.transport import PIECE_BYTES, Fault, TransportConfig

CONFIG = TransportConfig(read_timeout=timedelta(seconds=5))


async def test_a_target_and_header_values_are_kept_as_they_are() -> None:
    heads: list[bytes] = []
    answer = b"HTTP/1.1 200 OK\r\nx-amz-meta-a: \xc3\xbc\r\nx-amz-meta-b: \xff\r\n"
    async with serving(answering(answer + b"Content-Length: 0\r\n\r\n", heads)) as server:
        transport = PlainTransport(server.url, CONFIG)
        headers = (await transport.send(request(path="/b/a/../c/./d"))).headers()
        await transport.aclose()
    assert heads[0].startswith(b"GET /b/a/../c/./d HTTP/1.1\r\n")
    assert (headers["x-amz-meta-a"], headers["x-amz-meta-b"]) == ("ü", "ÿ")


async def test_nothing_is_sent_to_an_address_that_is_refused() -> None:
    """Whatever the host's name is: the address counts that is connected to."""
    heads: list[bytes] = []
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    asked: list[str] = []

    def refuses(address: str) -> bool:
        asked.append(address)
        return len(asked) == 1

    async with serving(answering(answer, heads)) as server:
        url = server.url.replace("127.0.0.1", "localhost")
        transport = PlainTransport(url, replace(CONFIG, refuses=refuses))
        assert await fault_of(transport.send(request())) is Fault.BLOCKED
        assert heads == []
        assert (await transport.send(request())).status == 200
        await transport.aclose()
    assert asked == ["127.0.0.1"] * 2


async def ask_twice(method: str) -> tuple[int, Fault | None]:
    """How many connections it took, of which the server closes the first at its second request."""
    connections = 0

    async def talk(wire: Wire) -> None:
        nonlocal connections
        connections += 1
        await wire.head()
        await wire.answer(OK)
        await wire.head()
        if connections > 1:
            await wire.answer(OK)

    async with serving(talk) as server:
        transport = PlainTransport(server.url, CONFIG)
        assert await sent(transport) == b"body"
        try:
            if method == "POST":
                return connections, await fault_of(transport.send(request(method)))
            await transport.send(request(method))
        finally:
            await transport.aclose()
    return connections, None


@pytest.mark.parametrize(
    ("method", "fresh_seconds", "expected"),
    [("GET", -1.0, (2, None)), ("POST", -1.0, (1, Fault.UNANSWERED))],
)
async def test_what_an_idle_connection_lost_is_asked_again_unless_it_may_not_be(
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    fresh_seconds: float,
    expected: tuple[int, Fault | None],
) -> None:
    monkeypatch.setattr(plain, "_FRESH_SECONDS", fresh_seconds)
    assert await ask_twice(method) == expected


async def test_a_connection_that_was_just_used_is_not_asked_again() -> None:
    async def talk(wire: Wire) -> None:
        await wire.head()
        await wire.answer(OK)
        await wire.head()

    async with serving(talk) as server:
        transport = PlainTransport(server.url, CONFIG)
        assert await sent(transport) == b"body"
        assert await fault_of(transport.send(request())) is Fault.UNANSWERED
        await transport.aclose()


async def test_an_upload_that_is_refused_early_ends_early() -> None:
    refusal = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"

    async def talk(wire: Wire) -> None:
        await wire.head()
        await wire.answer(refusal)
        await wire.reader.read()

    async with serving(talk) as server:
        transport = PlainTransport(server.url, CONFIG)
        body = bytes(64 * PIECE_BYTES)
        for _ in range(2):
            answer = await asyncio.wait_for(transport.send(request("PUT", body=body)), 5)
            assert answer.status == 403
        await transport.aclose()
        assert server.connections == 2


async def test_a_reader_that_rests_holds_the_server_back() -> None:
    size, stuck, written = 64 << 20, asyncio.Event(), 0

    async def talk(wire: Wire) -> None:
        nonlocal written
        await wire.head()
        await wire.answer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        while written < size:
            wire.writer.write(bytes(1 << 20))
            written += 1 << 20
            try:
                async with asyncio.timeout(0.2):
                    await wire.writer.drain()
            except TimeoutError:
                stuck.set()
                await wire.writer.drain()

    async with serving(talk) as server:
        transport = PlainTransport(server.url, CONFIG)
        async with transport.open(request()) as answer:
            await asyncio.wait_for(stuck.wait(), 10)
            assert written < size // 2
            assert sum([len(chunk) async for chunk in answer.chunks()]) == size
        await transport.aclose()


def large(size: int) -> bytes:
    return bytes(range(256)) * (size // 256) + b"the end"


async def test_large_bodies_come_whole_one_after_another_and_stay_as_they_are() -> None:
    bodies = [large((3 << 20) + 256 * number) for number in (0, 0, 1, 0)]
    bodies[1] = bodies[1][::-1]
    left = list(bodies)

    async def talk(wire: Wire) -> None:
        while left:
            await wire.head()
            body = left.pop(0)
            await wire.answer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    async with serving(talk) as server:
        transport = PlainTransport(server.url, CONFIG)
        held: list[bytes] = []
        for _ in bodies:
            async with transport.open(request()) as answer:
                held.append(await answer.read())
        assert held == bodies
        await transport.aclose()
        assert server.connections == 1


async def test_an_idle_connection_keeps_no_memory_of_what_was_read() -> None:
    body = large(512 << 10)

    async def talk(wire: Wire) -> None:
        await wire.head()
        await wire.answer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await wire.reader.read()

    async with serving(talk) as server:
        transport = PlainTransport(server.url, CONFIG)
        tracemalloc.start()
        try:
            assert await sent(transport) == body
            assert tracemalloc.get_traced_memory()[0] < len(body)
        finally:
            tracemalloc.stop()
        await transport.aclose()
        assert server.connections == 1


@pytest.mark.parametrize("cut", [0, 1, 1 << 20, (4 << 20) - 1])
async def test_a_large_body_that_is_cut_short_is_no_body(cut: int) -> None:
    async def talk(wire: Wire) -> None:
        await wire.head()
        await wire.answer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (4 << 20) + bytes(cut))

    async with serving(talk) as server:
        transport = PlainTransport(server.url, CONFIG)
        async with transport.open(request()) as answer:
            assert await fault_of(answer.read()) is Fault.BROKEN
        await transport.aclose()


async def test_a_large_body_whose_reader_gave_up_is_not_received_any_more() -> None:
    begun = asyncio.Event()

    async def talk(wire: Wire) -> None:
        await wire.head()
        await wire.answer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (4 << 20))
        await wire.answer(bytes(2 << 20))
        begun.set()
        await wire.reader.read()

    async def read(transport: PlainTransport) -> None:
        async with transport.open(request()) as answer:
            await answer.read()

    async with serving(talk) as server:
        transport = PlainTransport(server.url, CONFIG)
        reading = asyncio.create_task(read(transport))
        await begun.wait()
        reading.cancel()
        await asyncio.wait([reading])
        async with transport.open(request()):
            pass
        await transport.aclose()
        assert server.connections == 2


async def test_a_large_body_is_sent_whole_to_a_server_that_reads_slowly() -> None:
    body, got = large(24 << 20), bytearray()

    async def talk(wire: Wire) -> None:
        await wire.head()
        while len(got) < len(body):
            got.extend(await wire.reader.read(1 << 20))
            await asyncio.sleep(0)
        await wire.answer(OK)
        await wire.head()
        await wire.answer(OK)

    async with serving(talk) as server:
        transport = PlainTransport(server.url, CONFIG)
        assert (await transport.send(request("PUT", body=body))).status == 200
        assert await sent(transport) == b"body"
        await transport.aclose()
        assert server.connections == 1
    assert got == body


@given(st.lists(st.tuples(st.sampled_from([5, 8, 13]), st.booleans()), max_size=30))
def test_memory_that_is_held_is_never_given_again(asked: list[tuple[int, bool]]) -> None:
    buffers = Buffers()
    held: list[tuple[memoryview, int]] = []
    for number, (size, drops) in enumerate(asked):
        if drops and held:
            del held[number % len(held)]
        taken = buffers.take(size)
        assert len(taken) == size
        taken[:] = bytes([number]) * size
        held.append((memoryview(taken)[1:], number))
        del taken
        assert all(set(view) == {mark} for view, mark in held)


def test_memory_that_nobody_holds_is_given_again() -> None:
    buffers = Buffers()
    first = id(buffers.take(8).obj)
    assert id(buffers.take(8).obj) == first
