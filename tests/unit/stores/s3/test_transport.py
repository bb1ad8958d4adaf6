"""The HTTP clients, over sockets on loopback: the one that is chosen, and the other two."""

import asyncio
import ssl
import sys
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.servers.certificates import Certificates, make_certificates
from transferhub.errors import InputError, NotFoundError
from transferhub.stores.s3 import (
    Anonymous,
    EndpointOptions,
    S3Config,
    S3Store,
    find_provider,
    resolve_endpoint,
)
from transferhub.stores.s3.choice import choose_transports
from transferhub.stores.s3.raw import RawTransport
from transferhub.stores.s3.reqwest import ReqwestTransport
from transferhub.stores.s3.transport import (
    PIECE_BYTES,
    Fault,
    Request,
    Transport,
    TransportConfig,
    TransportError,
    UnreadableHeadersError,
)

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody"
SILENCE = timedelta(seconds=0.3)
Make = Callable[..., Transport]


@dataclass
class Wire:
    """One connection as a server sees it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def head(self) -> bytes:
        return await self.reader.readuntil(b"\r\n\r\n")

    async def answer(self, answer: bytes) -> None:
        self.writer.write(answer)
        await self.writer.drain()


Talk = Callable[[Wire], Awaitable[None]]


@dataclass
class Server:
    """Talks on each connection as told, and remembers what it was sent first on each request."""

    url: str = ""
    connections: int = 0
    heads: list[bytes] = field(default_factory=list)


@asynccontextmanager
async def serving(talk: Talk, trust: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    served = Server()
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.connections += 1
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with suppress(asyncio.IncompleteReadError, OSError, asyncio.CancelledError):
            await talk(Wire(reader, writer))
            writer.close()
            await writer.wait_closed()
        writer.transport.abort()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=trust)
    port = server.sockets[0].getsockname()[1]
    served.url = f"{'https' if trust else 'http'}://127.0.0.1:{port}"
    try:
        yield served
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # for the sockets to close


def answering(answer: bytes, heads: list[bytes] | None = None) -> Talk:
    """Gives every request of a connection the same answer."""

    async def talk(wire: Wire) -> None:
        while True:
            head = await wire.head()
            if heads is not None:
                heads.append(head)
            await wire.answer(answer)

    return talk


def usual_transport(origin: str, config: TransportConfig) -> Transport:
    usual, _ = choose_transports(origin, config)
    return usual


@pytest.fixture(params=[usual_transport, ReqwestTransport, RawTransport])
async def make(request: pytest.FixtureRequest) -> AsyncIterator[Make]:
    made: list[Transport] = []

    def transport(url: str, **config: Any) -> Transport:
        config.setdefault("read_timeout", SILENCE)
        made.append(request.param(url, TransportConfig(**config)))
        return made[-1]

    yield transport
    for one in made:
        await one.aclose()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def trust(certificates: Certificates) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.certificate, certificates.key)
    return context


def request(
    method: str = "GET", *, path: str = "/b/k", query: str = "", body: bytes | None = None
) -> Request:
    return Request(method, path, query, {"x-amz-date": "now"}, body)


async def fault_of(sending: Awaitable[object]) -> Fault:
    with pytest.raises(TransportError) as caught:
        await sending
    return caught.value.fault


async def read(transport: Transport) -> bytes:
    async with transport.open(request()) as answer:
        return await answer.read()


async def read_chunks(transport: Transport) -> bytes:
    async with transport.open(request()) as answer:
        return b"".join([chunk async for chunk in answer.chunks()])


async def sent(transport: Transport) -> bytes:
    return await (await transport.send(request())).read()


ways = pytest.mark.parametrize("way", [read, read_chunks, sent])
Way = Callable[[Transport], Awaitable[bytes]]


async def test_a_request_goes_out_as_it_was_made(make: Make) -> None:
    heads: list[bytes] = []
    async with serving(answering(OK, heads)) as server:
        path = "/b/a%20%2B%2f%25//x%27%22"
        await make(server.url).send(request(path=path, query="list-type=2&prefix=a%2Fb"))
    first, *fields = heads[0].decode().splitlines()
    assert first == f"GET {path}?list-type=2&prefix=a%2Fb HTTP/1.1"
    names = {line.partition(":")[0].lower() for line in fields if line}
    assert {"host", "x-amz-date"} <= names
    assert not names & {"content-length", "accept-encoding", "transfer-encoding", "referer"}


async def test_dot_segments_need_the_raw_client() -> None:
    heads: list[bytes] = []
    async with serving(answering(OK, heads)) as server:
        transport = RawTransport(server.url, TransportConfig())
        await transport.send(request(path="/b/a/../c/./d"))
        await transport.aclose()
    assert heads[0].startswith(b"GET /b/a/../c/./d HTTP")


@pytest.mark.parametrize("size", [0, 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES])
async def test_a_body_is_sent_whole_with_its_length(make: Make, size: int) -> None:
    body = bytes(range(256)) * (size // 256) + bytes(size % 256)
    heads: list[bytes] = []
    bodies: list[bytes] = []

    async def talk(wire: Wire) -> None:
        heads.append(await wire.head())
        bodies.append(await wire.reader.readexactly(size))
        await wire.answer(OK)

    async with serving(talk) as server:
        await make(server.url).send(request("PUT", body=body))
    assert bodies == [body]
    assert f"content-length: {size}\r\n".encode() in heads[0].lower()
    assert b"transfer-encoding" not in heads[0].lower()


async def test_one_connection_serves_many_requests(make: Make) -> None:
    async with serving(answering(OK)) as server:
        transport = make(server.url)
        for _ in range(5):
            assert await sent(transport) == await read(transport) == b"body"
        assert server.connections == 1


async def test_a_connection_that_the_server_closed_meanwhile_is_replaced(make: Make) -> None:
    closed = asyncio.Event()

    async def talk(wire: Wire) -> None:
        await wire.head()
        await wire.answer(OK)
        wire.writer.close()
        await wire.writer.wait_closed()
        closed.set()

    async with serving(talk) as server:
        transport = make(server.url)
        for _ in range(3):
            assert await sent(transport) == b"body"
            await closed.wait()
            closed.clear()
            # The client's own loop hears of it a moment later.
            await asyncio.sleep(0.02)
        assert server.connections == 3


async def test_a_redirect_is_an_answer(make: Make) -> None:
    answer = b"HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    async with serving(answering(answer)) as server:
        assert (await make(server.url).send(request())).status == 301


async def test_a_compressed_object_stays_compressed(make: Make) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nbody"
    async with serving(answering(answer)) as server:
        transport = make(server.url)
        assert await read(transport) == await sent(transport) == b"body"
        assert (await transport.send(request())).header("content-encoding") == "gzip"


async def test_a_slow_upload_takes_its_time(make: Make) -> None:
    size, rate, silence = 32 << 20, 20 << 20, timedelta(seconds=1)

    async def talk(wire: Wire) -> None:
        await wire.head()
        left = size
        while left:
            left -= len(await wire.reader.read(rate // 50))
            await asyncio.sleep(1 / 50)
        await wire.answer(OK)

    async with serving(talk) as server:
        began = time.monotonic()
        transport = make(server.url, read_timeout=silence)
        assert (await transport.send(request("PUT", body=bytes(size)))).status == 200
        assert time.monotonic() - began > silence.total_seconds()


@pytest.mark.parametrize("size", [None, 10, 24 << 20])
async def test_a_server_that_falls_silent_is_given_up(make: Make, size: int | None) -> None:
    async def talk(wire: Wire) -> None:
        await wire.head()
        await asyncio.sleep(60)

    async with serving(talk) as server:
        body = None if size is None else bytes(size)
        began = time.monotonic()
        sending = make(server.url).send(request("PUT", body=body))
        assert await fault_of(asyncio.wait_for(sending, 20)) is Fault.TIMEOUT
        assert time.monotonic() - began < 10 * SILENCE.total_seconds()


@ways
async def test_a_body_that_stalls_is_given_up(make: Make, way: Way) -> None:
    async def talk(wire: Wire) -> None:
        await wire.head()
        await wire.answer(OK[:-2])
        await asyncio.sleep(60)

    async with serving(talk) as server:
        assert await fault_of(asyncio.wait_for(way(make(server.url)), 20)) is Fault.TIMEOUT


@ways
@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (OK[:-1], {Fault.BROKEN}),
        (OK[:-4], {Fault.BROKEN}),
        (OK[:20], {Fault.BROKEN, Fault.UNANSWERED}),
        (b"", {Fault.UNANSWERED}),
    ],
)
async def test_an_answer_that_ends_early_is_broken(
    make: Make, way: Way, answer: bytes, expected: set[Fault]
) -> None:
    async def talk(wire: Wire) -> None:
        await wire.head()
        await wire.answer(answer)

    async with serving(talk) as server:
        assert await fault_of(way(make(server.url))) in expected


@ways
async def test_a_chunked_body_that_ends_early_is_broken(make: Make, way: Way) -> None:
    async def talk(wire: Wire) -> None:
        await wire.head()
        await wire.answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n")

    async with serving(talk) as server:
        assert await fault_of(way(make(server.url))) is Fault.BROKEN


async def test_what_is_not_http_is_garbled_or_broken(make: Make) -> None:
    async def talk(wire: Wire) -> None:
        await wire.head()
        await wire.answer(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")

    async with serving(talk) as server:
        assert await fault_of(make(server.url).send(request())) in {Fault.GARBLED, Fault.BROKEN}


async def test_a_port_where_nobody_listens_refuses(make: Make) -> None:
    async with serving(answering(OK)) as server:
        url = server.url
    assert await fault_of(make(url).send(request())) is Fault.REFUSED


async def test_header_values_that_are_not_ascii_need_the_raw_client() -> None:
    answer = b"HTTP/1.1 200 OK\r\nx-amz-meta-a: \xc3\xbc\r\nx-amz-meta-b: \xff\r\n"
    async with serving(answering(answer + b"Content-Length: 0\r\n\r\n")) as server:
        quick = ReqwestTransport(server.url, TransportConfig())
        found = await quick.send(request())
        with pytest.raises(UnreadableHeadersError):
            found.headers()
        assert found.header("x-amz-meta-a") == ""
        await quick.aclose()
        raw = RawTransport(server.url, TransportConfig())
        headers = (await raw.send(request())).headers()
        assert (headers["x-amz-meta-a"], headers["x-amz-meta-b"]) == ("ü", "ÿ")
        await raw.aclose()


class TestTls:
    async def test_the_certificates_of_a_bundle_are_trusted(
        self, make: Make, trust: ssl.SSLContext, certificates: Certificates
    ) -> None:
        async with serving(answering(OK), trust) as server:
            assert await sent(make(server.url, ca_bundle=certificates.ca)) == b"body"

    async def test_no_other_certificate_is(self, make: Make, trust: ssl.SSLContext) -> None:
        async with serving(answering(OK), trust) as server:
            assert await fault_of(make(server.url).send(request())) is Fault.UNTRUSTED

    async def test_a_certificate_of_another_host_is_not(self, make: Make, tmp_path: Path) -> None:
        others = make_certificates(tmp_path, address="127.0.0.9")
        trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trust.load_cert_chain(others.certificate, others.key)
        async with serving(answering(OK), trust) as server:
            transport = make(server.url, ca_bundle=others.ca)
            assert await fault_of(transport.send(request())) is Fault.OTHER_HOST

    async def test_a_plain_server_speaks_no_tls(self, make: Make) -> None:
        async def talk(wire: Wire) -> None:
            await wire.reader.read(1)
            await wire.answer(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

        async with serving(talk) as server:
            url = server.url.replace("http:", "https:")
            assert await fault_of(make(url).send(request())) in {Fault.NOT_TLS, Fault.BROKEN}

    @pytest.mark.parametrize("content", [None, b"", b"no certificate"])
    def test_a_bundle_that_cannot_be_used_is_refused(
        self, tmp_path: Path, content: bytes | None
    ) -> None:
        bundle = tmp_path / "ca.pem"
        if content is not None:
            bundle.write_bytes(content)
        with pytest.raises(InputError, match=r"ca_bundle: .*ca.pem"):
            ReqwestTransport("https://h", TransportConfig(ca_bundle=bundle))


@dataclass
class Proxy:
    url: str
    heads: list[bytes]


@asynccontextmanager
async def proxying(refuses: bytes = b"") -> AsyncIterator[Proxy]:
    """An HTTP proxy: forwards what it is asked for in full, and tunnels what CONNECT asks for."""
    heads: list[bytes] = []

    async def talk(wire: Wire) -> None:
        head = await wire.head()
        heads.append(head)
        if refuses:
            await wire.answer(refuses)
            return
        method, target, _rest = head.split(b" ", 2)
        tunnels = method == b"CONNECT"
        place = target if tunnels else target.split(b"/")[2]
        host, _, port = place.decode().partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            if tunnels:
                await wire.answer(b"HTTP/1.1 200 Connected\r\n\r\n")
            else:
                writer.write(head)
            await asyncio.gather(pump(wire.reader, writer), pump(reader, wire.writer))
        finally:
            writer.transport.abort()

    async with serving(talk) as server:
        yield Proxy(server.url, heads)


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(1 << 16):
        writer.write(piece)
        await writer.drain()
    writer.close()


class TestProxies:
    async def test_plain_requests_are_handed_to_the_proxy_in_full(self, make: Make) -> None:
        async with serving(answering(OK)) as server, proxying() as proxy:
            assert await sent(make(server.url, proxy=proxy.url)) == b"body"
            assert proxy.heads[0].startswith(f"GET {server.url}/b/k HTTP/1.1\r\n".encode())

    async def test_tls_goes_through_a_tunnel(
        self, make: Make, trust: ssl.SSLContext, certificates: Certificates
    ) -> None:
        async with serving(answering(OK), trust) as server, proxying() as proxy:
            transport = make(server.url, proxy=proxy.url, ca_bundle=certificates.ca)
            assert await sent(transport) == b"body"
            place = server.url.removeprefix("https://")
            assert proxy.heads[0].startswith(f"CONNECT {place} HTTP/1.1\r\n".encode())

    async def test_the_proxy_is_told_who_asks(
        self, make: Make, trust: ssl.SSLContext, certificates: Certificates
    ) -> None:
        expected = b"basic " + b64encode(b"me:p@ss")
        async with serving(answering(OK), trust) as server, proxying() as proxy:
            url = proxy.url.replace("://", "://me:p%40ss@")
            await sent(make(server.url, proxy=url, ca_bundle=certificates.ca))
            (line,) = [
                line for line in proxy.heads[0].splitlines() if line.lower().startswith(b"proxy-a")
            ]
            assert line.split(b": ")[1].lower() == expected.lower()

    async def test_a_proxy_that_refuses_gives_no_answer_of_the_server(
        self, make: Make, certificates: Certificates
    ) -> None:
        refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
        async with proxying(refusal) as proxy:
            transport = make("https://127.0.0.1:1", proxy=proxy.url, ca_bundle=certificates.ca)
            with pytest.raises(TransportError) as caught:
                await transport.send(request())
        assert caught.value.fault is Fault.PROXY
        assert "hunter2" not in caught.value.detail

    async def test_a_proxy_that_is_not_there_is_refused(self, make: Make) -> None:
        transport = make("http://127.0.0.1:1", proxy="http://me:hunter2@127.0.0.1:1")
        with pytest.raises(TransportError) as caught:
            await transport.send(request())
        assert caught.value.fault is Fault.REFUSED
        assert "hunter2" not in caught.value.detail

    @pytest.mark.parametrize("proxy", ["http://", "://", "http://me:hunter2@:1:1"])
    def test_a_proxy_that_is_no_url_is_refused(self, proxy: str) -> None:
        with pytest.raises(InputError, match=r"^proxy: ") as caught:
            ReqwestTransport("http://h", TransportConfig(proxy=proxy))
        assert "hunter2" not in str(caught.value)


async def test_a_refusal_without_end_is_read_only_at_its_start(make: Make) -> None:
    sent_bytes = 0

    async def talk(wire: Wire) -> None:
        nonlocal sent_bytes
        await wire.head()
        await wire.answer(b"HTTP/1.1 404 Not Found\r\nContent-Length: 999999999999\r\n\r\n")
        while True:
            await wire.answer(bytes(1 << 16))
            sent_bytes += 1 << 16

    async with serving(talk) as server:
        options = EndpointOptions(endpoint=server.url)
        endpoint = resolve_endpoint(find_provider("other"), "", options)
        store = S3Store(
            S3Config(bucket="b", endpoint=endpoint),
            Anonymous(),
            transport=make(server.url, read_timeout=timedelta(seconds=10)),
        )
        with pytest.raises(NotFoundError):
            await asyncio.wait_for(store.get("key").__aenter__(), 20)
        await store.aclose()
    assert sent_bytes < 32 << 20


PROGRAM = """
import asyncio, sys
from transferhub.stores.s3.reqwest import ReqwestTransport
from transferhub.stores.s3.transport import Request, TransportConfig

async def main():
    transport = ReqwestTransport(sys.argv[1], TransportConfig())
    async def ask():
        for _ in range(20):
            await (await transport.send(Request("GET", "/", "", {}, None))).read()
    await asyncio.gather(*(ask() for _ in range(32)))
    await transport.aclose()

asyncio.run(main())
"""


async def test_a_process_ends_in_order_after_its_last_request() -> None:
    async with serving(answering(OK)) as server:
        # Without its care, one in six of them is aborted.
        processes = [
            await asyncio.create_subprocess_exec(sys.executable, "-c", PROGRAM, server.url)
            for _ in range(8)
        ]
        assert {await process.wait() for process in processes} == {0}
