"""A proxy before a registry that counts requests.

    python -m benchmarks.images.counter --upstream 127.0.0.1:5000 --port 9000

Requests and answers pass byte for byte, as they come. Connections to the registry are kept and
serve one client after the other: a client that makes many pays for its own half of them alone.
`GET /_counts` tells what was asked until then, as JSON.
"""

import argparse
import json
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from select import EPOLLIN, EPOLLOUT, epoll
from typing import Any

from benchmarks.images.kinds import Kind, kind_of, uploaded
from tests.servers.process import ServerProcess, free_ports
from tests.servers.wire import Framing, parse_head, request_framing, response_framing

_ROOT = Path(__file__).parents[2]
_COUNTS = "/_counts"
_PIECE_BYTES = 64 << 10
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


class _End:
    """A connection. What cannot be sent to one is not read from its other."""

    __slots__ = ("_closing", "_events", "_proxy", "_rest", "early", "socket")

    def __init__(self, connection: socket.socket, proxy: "_Proxy") -> None:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = connection
        self.early = b""
        self._proxy = proxy
        self._rest = b""
        self._closing = False
        self._events = EPOLLIN
        proxy.ends[connection.fileno()] = self
        proxy.epoll.register(connection, EPOLLIN)

    def other(self) -> "_End | None":
        raise NotImplementedError

    def take(self, data: bytes) -> None:
        raise NotImplementedError

    def lost(self) -> None:
        raise NotImplementedError

    def read(self) -> None:
        """There is something to read, or the end."""
        try:
            data = self.socket.recv(_PIECE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            self.lost()
            return
        if self.early:
            data, self.early = self.early + data, b""
        self.take(data)

    def send(self, data: bytes) -> None:
        if self._rest:
            self._rest += data
            return
        self._rest = data
        self.flush()

    def flush(self) -> None:
        """Sends what it can; as long as there is a rest, the other waits."""
        try:
            sent = self.socket.send(self._rest)
        except BlockingIOError:
            sent = 0
        except OSError:
            return  # reading tells the same
        self._rest = self._rest[sent:]
        if self._rest or self._events & EPOLLOUT:
            self._listen(EPOLLOUT, wanted=bool(self._rest))
            if other := self.other():
                other.hold(held=bool(self._rest))
        if self._closing and not self._rest:
            self.close()

    def hold(self, *, held: bool) -> None:
        self._listen(EPOLLIN, wanted=not held)

    def _listen(self, event: int, *, wanted: bool) -> None:
        events = self._events | event if wanted else self._events & ~event
        if events != self._events and self.socket.fileno() >= 0:
            self._events = events
            self._proxy.epoll.modify(self.socket, events)

    def finish(self) -> None:
        """Closes when all is sent."""
        self._closing = True
        if not self._rest:
            self.close()

    def close(self) -> None:
        if self.socket.fileno() >= 0:
            del self._proxy.ends[self.socket.fileno()]
            self.socket.close()


class _Client(_End):
    """A client's connection; its requests come one after the other."""

    __slots__ = ("_upstream", "exchange")

    def __init__(self, connection: socket.socket, proxy: "_Proxy") -> None:
        super().__init__(connection, proxy)
        self.exchange: _Exchange | None = None
        self._upstream: _Upstream | None = None

    def other(self) -> "_Upstream | None":
        return self._upstream

    def lost(self) -> None:
        # In the middle of an exchange it is of no use to anybody else.
        if self._upstream is not None:
            self._upstream.close()

    def take(self, data: bytes) -> None:
        while data:
            exchange = self.exchange
            if exchange is None:
                end = data.find(_HEAD_END) + len(_HEAD_END)
                if end < len(_HEAD_END):
                    self._wait(data)
                    return
                if data.startswith(_ASKS_COUNTS):
                    self.send(self._proxy.told())
                    self.finish()
                    return
                piece, data = data[:end], data[end:]
                self.exchange = exchange = self._begin(piece)
                if not data or exchange.body.done:
                    self._pass_on(piece)
                    continue
            else:
                piece = b""
            taken = exchange.body.take(data)
            if not taken:
                # The next request, before the answer to this one has ended.
                self.early = data
                return
            self._proxy.counts.up_bytes += taken
            self._pass_on(piece + data[:taken])
            data = data[taken:]
            self.end_if_done()

    def _wait(self, data: bytes) -> None:
        self.early = data
        if data.startswith(_TLS_HELLO):
            # Clients that may do without TLS try it first, and take this for a no.
            self.close()

    def _begin(self, raw: bytes) -> _Exchange:
        head, counts = parse_head(raw), self._proxy.counts
        method, target = head.first[0].decode(), head.first[1].decode("latin-1")
        exchange = _Exchange(method, target, request_framing(head), closes=head.closes)
        counts.asked[exchange.kind] += 1
        if exchange.kind is Kind.MANIFEST_HEAD:
            counts.heads[target] += 1
        return exchange

    def _pass_on(self, piece: bytes) -> None:
        if self._upstream is None:
            self._upstream = self._proxy.connection()
            self._upstream.client = self
        self._upstream.send(piece)

    def end_if_done(self) -> None:
        exchange, upstream = self.exchange, self._upstream
        if exchange is None or upstream is None or not exchange.done:
            return
        self.exchange = self._upstream = upstream.client = None
        # Whatever they held back of each other is over.
        upstream.hold(held=False)
        self.hold(held=False)
        if exchange.closes:
            upstream.close()
            self.finish()
            return
        self._proxy.idle.append(upstream)
        if self.early:
            data, self.early = self.early, b""
            self.take(data)

    def cut(self) -> None:
        """The registry closed in the middle of an exchange, or that is how its answer ends."""
        self._upstream = None
        self.finish()


class _Upstream(_End):
    """A connection to the registry; it serves one client after the other."""

    __slots__ = ("client",)

    def __init__(self, connection: socket.socket, proxy: "_Proxy") -> None:
        super().__init__(connection, proxy)
        self.client: _Client | None = None

    def other(self) -> _Client | None:
        return self.client

    def lost(self) -> None:
        if self in self._proxy.idle:
            self._proxy.idle.remove(self)
        if self.client is not None:
            self.client.cut()

    def take(self, data: bytes) -> None:
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
            # With the first of its body, so that it is one packet as it was.
            client.send(head + data[:taken])
            self._proxy.counts.down_bytes += taken
            data = data[taken:]
            client.end_if_done()

    def _begin(self, exchange: _Exchange, raw: bytes) -> None:
        head, counts = parse_head(raw), self._proxy.counts
        status = int(head.first[1])
        exchange.answer = response_framing(head, status, exchange.method)
        exchange.closes = exchange.closes or head.closes
        if status >= _FAILED:
            counts.failed[exchange.kind] += 1
        elif status == _CREATED and exchange.kind is Kind.UPLOAD_PUT:
            counts.uploads[uploaded(exchange.target)] += 1
        elif status == _CREATED and exchange.kind is Kind.MOUNT:
            counts.mounted += 1


class _Proxy:
    """One thread and bare sockets: asyncio would take three times as long for a connection, and
    skopeo makes two for each image."""

    def __init__(self, upstream: str, port: int) -> None:
        host, _, upstream_port = upstream.partition(":")
        self._upstream = host, int(upstream_port)
        self._listener = socket.create_server(("127.0.0.1", port), backlog=1024)
        self._listener.setblocking(False)
        self.counts = Counts()
        self.epoll = epoll()
        self.ends: dict[int, _End] = {}
        self.idle: list[_Upstream] = []

    def serve(self) -> None:
        self.epoll.register(self._listener, EPOLLIN)
        listening = self._listener.fileno()
        while True:
            for number, event in self.epoll.poll():
                if number == listening:
                    self._accept()
                    continue
                end = self.ends.get(number)
                if end is not None and event & EPOLLOUT:
                    end.flush()
                if end is not None and event & ~EPOLLOUT and end.socket.fileno() >= 0:
                    end.read()

    def _accept(self) -> None:
        with suppress(BlockingIOError):
            while True:
                _Client(self._listener.accept()[0], self)

    def connection(self) -> _Upstream:
        return self.idle.pop() if self.idle else self._connect()

    def _connect(self) -> _Upstream:
        # It waits, but not for long: both are on this machine.
        return _Upstream(socket.create_connection(self._upstream), self)

    def told(self) -> bytes:
        self.counts.cpu_s = time.process_time()
        body = json.dumps(self.counts.to_json()).encode()
        return b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (
            len(body),
            body,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--upstream", required=True)
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    _Proxy(given.upstream, given.port).serve()
