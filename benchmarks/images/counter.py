"""A proxy before a registry that counts requests.

    python -m benchmarks.images.counter --upstream 127.0.0.1:5000 --port 9000

Requests and answers pass byte for byte, as they come. Connections to the registry are kept and
serve one client after the other: a client that makes many pays for its own half of them alone.
`GET /_counts` tells what was asked until then, as JSON.
"""

import argparse
import asyncio
import json
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from benchmarks.images.kinds import Kind, kind_of, uploaded
from tests.servers.process import ServerProcess, free_ports
from tests.servers.wire import Framing, parse_head, request_framing, response_framing

_ROOT = Path(__file__).parents[2]
_COUNTS = "/_counts"
_CREATED = 201
_FAILED = 500
_HEAD_END = b"\r\n\r\n"
_ASKS_COUNTS = f"GET {_COUNTS} ".encode()
_TLS_HELLO = b"\x16\x03"
_INTERIM = b"HTTP/1.1 1"


@dataclass(slots=True, kw_only=True)
class Counts:
    """What a registry was asked.

    Attributes:
        asked: requests by kind.
        failed: those that were answered with a status of 500 or more.
        heads: HEADs of manifests, by target.
        uploads: uploads that were ended, by the digest of the blob.
        mounted: blobs that were taken over from another repository.
        up_bytes: of the bodies of requests.
        down_bytes: of the bodies of answers.
        cpu_s: what the proxy itself took.
    """

    asked: Counter[Kind] = field(default_factory=Counter)
    failed: Counter[Kind] = field(default_factory=Counter)
    heads: Counter[str] = field(default_factory=Counter)
    uploads: Counter[str] = field(default_factory=Counter)
    mounted: int = 0
    up_bytes: int = 0
    down_bytes: int = 0
    cpu_s: float = 0.0

    def since(self, earlier: "Counts") -> "Counts":
        return Counts(
            asked=self.asked - earlier.asked,
            failed=self.failed - earlier.failed,
            heads=self.heads - earlier.heads,
            uploads=self.uploads - earlier.uploads,
            mounted=self.mounted - earlier.mounted,
            up_bytes=self.up_bytes - earlier.up_bytes,
            down_bytes=self.down_bytes - earlier.down_bytes,
            cpu_s=self.cpu_s - earlier.cpu_s,
        )

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> "Counts":
        counters: dict[str, Any] = {
            "asked": Counter({Kind(name): count for name, count in found["asked"].items()}),
            "failed": Counter({Kind(name): count for name, count in found["failed"].items()}),
            "heads": Counter(found["heads"]),
            "uploads": Counter(found["uploads"]),
        }
        return cls(**{**found, **counters})


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """A registry behind the proxy. `host`: as it stands in a reference."""

    host: str

    def read(self) -> Counts:
        connection = HTTPConnection(self.host, timeout=10)
        try:
            connection.request("GET", _COUNTS)
            return Counts.of(json.load(connection.getresponse()))
        finally:
            connection.close()


@contextmanager
def counted(host: str, folder: Path, name: str) -> Iterator[Counted]:
    """The registry behind a proxy of its own, for as long as the scope lasts."""
    (port,) = free_ports(1)
    behind = Counted(host=f"127.0.0.1:{port}")

    def ready() -> bool:
        try:
            behind.read()
        except OSError:
            return False
        return True

    with ServerProcess(
        [
            sys.executable,
            "-m",
            "benchmarks.images.counter",
            f"--upstream={host}",
            f"--port={port}",
        ],
        folder=folder,
        environment={"PYTHONPATH": str(_ROOT)},
        ready=ready,
        name=f"counter-{name}",
    ):
        yield behind


class _Exchange:
    """A request and its answer."""

    __slots__ = ("answer", "body", "closes", "kind", "method", "target")

    def __init__(self, method: str, target: str, body: Framing, *, closes: bool) -> None:
        self.method = method
        self.target = target
        self.kind = kind_of(method, target)
        self.body = body
        self.closes = closes
        self.answer: Framing | None = None

    @property
    def done(self) -> bool:
        return self.body.done and self.answer is not None and self.answer.done


class _End(asyncio.Protocol):
    """A connection. What cannot be sent to one is not read from its other."""

    transport: asyncio.Transport
    early = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def other(self) -> "_End | None":
        raise NotImplementedError

    def pause_writing(self) -> None:
        if other := self.other():
            other.transport.pause_reading()

    def resume_writing(self) -> None:
        if other := self.other():
            other.transport.resume_reading()


class _Client(_End):
    """A client's connection; its requests come one after the other."""

    def __init__(self, counter: "_Counter") -> None:
        self.exchange: _Exchange | None = None
        self.counts = counter.counts
        self._counter = counter
        self._upstream: _Upstream | None = None
        self._connecting: asyncio.Task[None] | None = None

    def other(self) -> "_Upstream | None":
        return self._upstream

    def connection_lost(self, exc: Exception | None) -> None:
        # In the middle of an exchange it is of no use to anybody else.
        if self._upstream is not None:
            self._upstream.transport.abort()

    def data_received(self, data: bytes) -> None:
        if self.early:
            data, self.early = self.early + data, b""
        while data:
            upstream = self._upstream
            if upstream is None:
                if self._refused(data) or not self._take_upstream():
                    self.early = data
                    return
                continue
            if self.exchange is None:
                end = data.find(_HEAD_END) + len(_HEAD_END)
                if end < len(_HEAD_END):
                    self.early = data
                    return
                head, data = data[:end], data[end:]
                self._begin(head)
                upstream.transport.write(head)
                continue
            taken = self.exchange.body.take(data)
            if not taken:
                # The next request, before the answer to this one has ended.
                self.early = data
                return
            upstream.transport.write(data[:taken])
            self.counts.up_bytes += taken
            data = data[taken:]
            self.end_if_done()

    def _refused(self, data: bytes) -> bool:
        """Whether these first bytes of a request are none for the registry."""
        if data.startswith(_TLS_HELLO):
            # Clients that may do without TLS try it first, and take this for a no.
            self.transport.close()
            return True
        if data.startswith(_ASKS_COUNTS):
            self.transport.write(self._counter.told())
            self.transport.close()
            return True
        return False

    def _take_upstream(self) -> bool:
        """Whether there is a connection now; one that has to be made goes on by itself."""
        if self._connecting is not None:
            return False
        if self._counter.idle:
            self._upstream = self._counter.idle.pop()
            self._upstream.client = self
            return True
        self.transport.pause_reading()
        self._connecting = self._counter.loop.create_task(self._connect())
        return False

    async def _connect(self) -> None:
        try:
            _, upstream = await self._counter.loop.create_connection(
                lambda: _Upstream(self._counter), *self._counter.upstream
            )
        except OSError:
            self.transport.abort()
            return
        self._connecting = None
        if self.transport.is_closing():
            self._counter.idle.append(upstream)
            return
        self._upstream, upstream.client = upstream, self
        self.transport.resume_reading()
        self.data_received(b"")

    def _begin(self, raw: bytes) -> None:
        head = parse_head(raw)
        method, target = head.first[0].decode(), head.first[1].decode("latin-1")
        body = request_framing(head)
        self.exchange = exchange = _Exchange(method, target, body, closes=head.closes)
        self.counts.asked[exchange.kind] += 1
        if exchange.kind is Kind.MANIFEST_HEAD:
            self.counts.heads[target] += 1

    def end_if_done(self) -> None:
        exchange, upstream = self.exchange, self._upstream
        if exchange is None or upstream is None or not exchange.done:
            return
        self.exchange = self._upstream = upstream.client = None
        # Whatever this client held back is over.
        upstream.transport.resume_reading()
        self.transport.resume_reading()
        if exchange.closes:
            upstream.transport.close()
            self.transport.close()
            return
        self._counter.idle.append(upstream)
        if self.early:
            self._counter.loop.call_soon(self.data_received, b"")

    def lost(self) -> None:
        """The registry closed in the middle of an exchange, or that is how its answer ends."""
        self._upstream = None
        self.transport.close()


class _Upstream(_End):
    """A connection to the registry; it serves one client after the other."""

    def __init__(self, counter: "_Counter") -> None:
        self.client: _Client | None = None
        self._counter = counter

    def other(self) -> _Client | None:
        return self.client

    def connection_lost(self, exc: Exception | None) -> None:
        if self in self._counter.idle:
            self._counter.idle.remove(self)
        if self.client is not None:
            self.client.lost()

    def data_received(self, data: bytes) -> None:
        if self.early:
            data, self.early = self.early + data, b""
        while data:
            client = self.client
            exchange = None if client is None else client.exchange
            if client is None or exchange is None:
                return
            head = b""
            if exchange.answer is None:
                end = data.find(_HEAD_END) + len(_HEAD_END)
                if end < len(_HEAD_END):
                    self.early = data
                    return
                head, data = data[:end], data[end:]
                if not head.startswith(_INTERIM):
                    self._begin(exchange, head)
            taken = exchange.answer.take(data) if exchange.answer else 0
            client.transport.write(head + data[:taken])
            self._counter.counts.down_bytes += taken
            data = data[taken:]
            client.end_if_done()

    def _begin(self, exchange: _Exchange, raw: bytes) -> None:
        head, counts = parse_head(raw), self._counter.counts
        status = int(head.first[1])
        exchange.answer = response_framing(head, status, exchange.method)
        exchange.closes = exchange.closes or head.closes
        if status >= _FAILED:
            counts.failed[exchange.kind] += 1
        elif status == _CREATED and exchange.kind is Kind.UPLOAD_PUT:
            counts.uploads[uploaded(exchange.target)] += 1
        elif status == _CREATED and exchange.kind is Kind.MOUNT:
            counts.mounted += 1


class _Counter:
    def __init__(self, upstream: str) -> None:
        host, _, port = upstream.partition(":")
        self.upstream = host, int(port)
        self.counts = Counts()
        self.idle: list[_Upstream] = []
        self.loop = asyncio.get_running_loop()

    def told(self) -> bytes:
        self.counts.cpu_s = time.process_time()
        body = json.dumps(self.counts.to_json()).encode()
        return b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (
            len(body),
            body,
        )


async def _main(upstream: str, port: int) -> None:
    counter, ended = _Counter(upstream), asyncio.Event()
    counter.loop.add_signal_handler(signal.SIGTERM, ended.set)
    server = await counter.loop.create_server(
        lambda: _Client(counter), "127.0.0.1", port, backlog=1024
    )
    await ended.wait()
    server.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--upstream", required=True)
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args()
    asyncio.run(_main(given.upstream, given.port))
