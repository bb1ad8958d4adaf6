"""A proxy in front of an S3 server or a registry that delays, breaks and counts requests.

It runs in a thread of its own, so that a test can drive it while `dth` runs as a subprocess.
Targets, header fields and bodies pass byte for byte: signatures stay valid, since the Host that
the client signed arrives unchanged. Each client connection has one connection to the server.

    python -m tests.servers.faults --upstream 127.0.0.1:8333 --latency 0.05 --port 9000
"""

import argparse
import asyncio
import contextlib
import json
import signal
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from tests.servers.rules import (
    Action,
    CorruptByte,
    CorruptSentByte,
    DropResponse,
    Hold,
    Latency,
    Request,
    Reset,
    ResetBody,
    Rule,
    ShortenBody,
    Stall,
    StallBody,
    Status,
    TruncateBody,
    WrongETag,
)
from tests.servers.wire import (
    Counted,
    Framing,
    UntilClose,
    parse_head,
    request_framing,
    response_framing,
    with_header,
)

_BUFFER_LIMIT_BYTES = 4 * 1024 * 1024
_RELEASE_S = 0.01
# 100 Continue and its like; the real answer follows.
_INTERIM = b"HTTP/1.1 1"
_TLS_HELLO = b"\x16\x03"
_RESETTING = struct.pack("ii", 1, 0)


@dataclass(slots=True, kw_only=True)
class Seen:
    """A request the proxy received.

    `status` and `seconds` are None until the last of the response is passed on. They are known
    before the client can have it.
    """

    request: Request
    at: float
    fault: Action | None = None
    status: int | None = None
    seconds: float | None = None

    def end(self, status: int | None = None) -> None:
        self.status = status or self.status
        self.seconds = time.monotonic() - self.at

    @property
    def method(self) -> str:
        return self.request.method

    @property
    def target(self) -> bytes:
        return self.request.target

    @property
    def operation(self) -> str:
        return self.request.operation


@dataclass(frozen=True, slots=True)
class _Plan:
    delay_s: float = 0.0
    hold: Hold | None = None
    action: Action | None = None


_PASS = _Plan()


class FaultProxy:
    """Listens on 127.0.0.1 and passes requests on to `upstream`, as its rules say.

    All matching latencies add up; then a matching Hold applies; then the first matching other
    action. Without rules it is a plain proxy.

    Args:
        upstream: the server's address, `http://host:port`.
        port: 0 takes any free one.
        record: keep every request in `seen`; leave it out where millions pass.
    """

    def __init__(self, upstream: str, *, port: int = 0, record: bool = True) -> None:
        parts = urlsplit(upstream)
        self.upstream = (parts.hostname or "127.0.0.1", parts.port or 80)
        self.port = port
        self._record = record
        self._rules: tuple[Rule, ...] = ()
        self._seen: list[Seen] = []
        self._clients: set[_Client] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listener: asyncio.Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def seen(self) -> tuple[Seen, ...]:
        """Every request so far, in the order of arrival."""
        return tuple(self._seen)

    def count(self, operation: str | None = None, *, status: int | None = None) -> int:
        """How many requests of this kind, and with this answer, were seen."""
        return sum(
            (operation is None or seen.operation == operation)
            and (status is None or seen.status == status)
            for seen in self.seen
        )

    def add(
        self,
        action: Action,
        *,
        operation: str | None = None,
        method: str | None = None,
        path: str | None = None,
        query: dict[str, str] | None = None,
        when: Callable[[Request], bool] | None = None,
        skip: int = 0,
        times: int | None = None,
        probability: float = 1.0,
        seed: int = 0,
    ) -> Rule:
        """Applies the action to the requests that match all that is given.

        Args:
            operation: the S3 name, such as `UploadPart`.
            path: a regular expression searched in the decoded path, bucket included.
            query: these parameters with these values.
            when: any other condition; runs in the proxy's thread.
            skip: leave so many matching requests alone first.
            times: then apply it to so many, and no more.
            probability: apply it to this share of them, drawn with `seed`.
        """
        rule = Rule(
            action,
            operation=operation,
            method=method,
            path=path,
            query=query,
            when=when,
            skip=skip,
            times=times,
            probability=probability,
            seed=seed,
        )
        self._rules = (*self._rules, rule)
        return rule

    def remove(self, rule: Rule) -> None:
        self._rules = tuple(other for other in self._rules if other is not rule)

    def clear(self) -> None:
        """Forgets all rules and all requests seen; what is under way keeps its fault."""
        self._rules = ()
        self._seen.clear()

    def start(self) -> None:
        """Returns when it listens."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="faults", daemon=True)
        self._thread.start()
        try:
            self.accept()
        except BaseException:
            self.stop()
            raise

    def accept(self) -> None:
        """Listens (again, on the same port) after `refuse`."""
        asyncio.run_coroutine_threadsafe(self._listen(), self._running_loop()).result(10)

    def refuse(self) -> None:
        """Stops listening and resets every connection: the server is down until `accept`."""
        asyncio.run_coroutine_threadsafe(self._close(), self._running_loop()).result(10)

    def disconnect(self) -> None:
        """Resets every open connection; new ones are welcome."""
        asyncio.run_coroutine_threadsafe(self._disconnect(), self._running_loop()).result(10)

    def stop(self) -> None:
        if self._loop is None or self._thread is None:
            return
        self.refuse()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
        self._loop = None

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            raise RuntimeError("the proxy is not running")
        return self._loop

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(
            lambda: _Client(self, loop), "127.0.0.1", self.port, backlog=1024
        )
        self.port = self._listener.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            # asyncio forgets sockets that it accepted in the very round in which the server closes.
            for accepting in listener.sockets:
                asyncio.get_running_loop().remove_reader(accepting)
            await asyncio.sleep(0)
            listener.close()
        # Also those that were accepted a moment ago and are not connected yet.
        while self._clients or len(asyncio.all_tasks()) > 1:
            await self._disconnect()
        if listener is not None:
            # Since Python 3.12 this waits for every connection.
            await listener.wait_closed()

    async def _disconnect(self) -> None:
        clients = frozenset(self._clients)
        for client in clients:
            client.reset()
        while not clients.isdisjoint(self._clients):  # noqa: ASYNC110 - a few rounds
            await asyncio.sleep(0.001)
        # The transports close their sockets in the loop's next round.
        await asyncio.sleep(0)

    def connected(self, client: "_Client") -> None:
        self._clients.add(client)

    def disconnected(self, client: "_Client") -> None:
        self._clients.discard(client)

    def plan(self, request: Request) -> tuple[_Plan, Seen]:
        """Decides what happens to a request and records it. Runs in the proxy's thread."""
        plan = self._decide(request) if self._rules else _PASS
        seen = Seen(request=request, at=time.monotonic(), fault=plan.action or plan.hold)
        if self._record:
            self._seen.append(seen)
        return plan, seen

    def _decide(self, request: Request) -> _Plan:
        delay_s, hold, chosen = 0.0, None, None
        for rule in self._rules:
            action = rule.action
            if isinstance(action, Latency):
                if rule.takes(request):
                    delay_s += action.seconds
            elif isinstance(action, Hold):
                if hold is None and rule.takes(request):
                    hold = action
            elif chosen is None and rule.takes(request):
                chosen = action
        return _Plan(delay_s, hold, chosen)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def _reset(transport: asyncio.Transport) -> None:
    connection = transport.get_extra_info("socket")
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESETTING)
    transport.abort()


class _Exchange:
    """One request and its response."""

    __slots__ = (
        "body",
        "closes",
        "expects",
        "plan",
        "released",
        "request",
        "response",
        "seen",
        "sent",
    )

    def __init__(
        self, request: Request, body: Framing, plan: _Plan, seen: Seen, *, closes: bool
    ) -> None:
        self.request = request
        self.body = body
        self.plan = plan
        self.seen = seen
        self.closes = closes
        self.expects = "expect" in request.headers
        self.released = False
        self.sent = 0
        self.response: _Response | None = None

    def spoilt(self, piece: bytes) -> bytes:
        """The next piece of the request's body, as the server is to have it."""
        before, self.sent = self.sent, self.sent + len(piece)
        match self.plan.action:
            case CorruptSentByte(offset) if before <= offset < self.sent:
                return _flipped(piece, offset - before)
            case _:
                return piece

    @property
    def answered(self) -> bool:
        return self.response is not None and self.response.done


class _Client(asyncio.Protocol):
    """A connection from a client, and where its requests go."""

    def __init__(self, proxy: FaultProxy, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._proxy = proxy
        self._transport: asyncio.Transport | None = None
        self._upstream: _Upstream | None = None
        self._exchange: _Exchange | None = None
        # What came before its turn: a head in parts, or the next request.
        self._early = b""
        # What may not go on yet: the request waits for its delay or for the connection.
        self._outbox: list[bytes] = []
        self._outbox_bytes = 0
        self._upstream_full = False
        self._passing = False
        self._discarding = False

    @property
    def transport(self) -> asyncio.Transport:
        assert self._transport is not None
        return self._transport

    @property
    def gone(self) -> bool:
        return self._transport is None or self._transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(_BUFFER_LIMIT_BYTES)
        self._proxy.connected(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._proxy.disconnected(self)
        self._exchange = None
        if self._upstream is not None:
            self._upstream.abort()
            self._upstream = None

    def pause_writing(self) -> None:
        if self._upstream is not None:
            self._upstream.pause()

    def resume_writing(self) -> None:
        if self._upstream is not None:
            self._upstream.resume()

    def data_received(self, data: bytes) -> None:
        if self._early:
            data, self._early = self._early + data, b""
        if self._exchange is None and data.startswith(_TLS_HELLO):
            # Some ask for HTTPS first, and would wait for an answer to that.
            self.reset()
            return
        while data:
            exchange = self._exchange
            if exchange is None:
                end = data.find(b"\r\n\r\n") + 4
                if end < 4:
                    self._early = data
                    break
                head, data = data[:end], data[end:]
                self._begin(head)
            elif exchange.body.done:
                self._early = data
                break
            else:
                taken = exchange.body.take(data)
                self._pass_on(exchange.spoilt(data if taken == len(data) else data[:taken]))
                data = data[taken:]
                self._end_request_if_done(exchange)
        self._pace()

    def _begin(self, raw: bytes) -> None:
        head = parse_head(raw)
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers.items()
        }
        request = Request(head.first[0].decode("ascii"), head.first[1], headers)
        plan, seen = self._proxy.plan(request)
        exchange = _Exchange(request, request_framing(head), plan, seen, closes=head.closes)
        self._exchange = exchange
        self._passing = self._discarding = False
        self._pass_on(raw)
        if plan.delay_s:
            self.loop.call_later(plan.delay_s, self._delayed, exchange)
        else:
            self._delayed(exchange)

    def _delayed(self, exchange: _Exchange) -> None:
        hold = exchange.plan.hold
        if hold is None or hold.response:
            self._act(exchange)
        else:
            self.park(hold, lambda: self._act(exchange))

    def park(self, hold: Hold, resume: Callable[[], None]) -> None:
        """Calls `resume` in this thread when the hold is released."""

        def released() -> None:
            # Later, so that the end of a client that was killed before is seen first. The proxy may
            # have been stopped before.
            with contextlib.suppress(RuntimeError):
                self.loop.call_soon_threadsafe(self.loop.call_later, _RELEASE_S, resume)

        hold.park(released)

    def _act(self, exchange: _Exchange) -> None:
        """The request's time has come."""
        if self.gone or exchange is not self._exchange:
            return
        match exchange.plan.action:
            case Reset():
                self.reset()
            case Stall() | Status():
                self._discarding = True
                self._outbox.clear()
                self._outbox_bytes = 0
                self._pace()
                self._end_request_if_done(exchange)
            case _:
                self._connect(exchange)

    def _connect(self, exchange: _Exchange) -> None:
        if self._upstream is None or not self._upstream.open:
            self._upstream = _Upstream(self)
            host, port = self._proxy.upstream
            self._upstream.begin(exchange)
            self._upstream.connect(host, port)
        else:
            self._upstream.begin(exchange)
            self.pass_outbox()

    def pass_outbox(self) -> None:
        """The connection to the server is there, and the request may go."""
        upstream = self._upstream
        if upstream is None or not upstream.open:
            return
        self._passing = True
        outbox, self._outbox, self._outbox_bytes = self._outbox, [], 0
        upstream.send(outbox[0] if len(outbox) == 1 else b"".join(outbox))
        self._pace()

    def _pass_on(self, piece: bytes) -> None:
        if self._passing and self._upstream is not None:
            self._upstream.send(piece)
        elif not self._discarding:
            self._outbox.append(piece)
            self._outbox_bytes += len(piece)

    def _end_request_if_done(self, exchange: _Exchange) -> None:
        action = exchange.plan.action
        if not exchange.body.done and not (self._discarding and exchange.expects):
            return
        if self._discarding and isinstance(action, Status):
            self._answer(exchange, action)
        elif exchange.answered:
            self._end(exchange)

    def _answer(self, exchange: _Exchange, status: Status) -> None:
        if "x-amz-target" in exchange.request.headers:
            kind = "application/x-amz-json-1.0"
            body = json.dumps({"__type": status.code, "message": status.message}).encode()
        elif exchange.request.target.startswith(b"/v2/"):
            kind = "application/json"
            told = {"code": status.code, "message": status.message}
            body = json.dumps({"errors": [told]}).encode()
        else:
            kind = "application/xml"
            body = (
                '<?xml version="1.0" encoding="UTF-8"?>\n'
                f"<Error><Code>{status.code}</Code><Message>{status.message}</Message>"
                "<RequestId>fault</RequestId></Error>"
            ).encode()
        # A client that waits for 100 Continue keeps its body: the next request could not be found.
        closes = exchange.closes or not exchange.body.done
        lines = [
            f"HTTP/1.1 {status.status} {status.code}",
            f"Content-Type: {kind}",
            f"Content-Length: {len(body)}",
            f"Connection: {'close' if closes else 'keep-alive'}",
            *(f"{name}: {value}" for name, value in status.headers),
        ]
        head = "\r\n".join([*lines, "", ""]).encode()
        exchange.seen.end(status.status)
        self.transport.write(head if exchange.request.method == "HEAD" else head + body)
        exchange.closes = closes
        self._end(exchange)

    def response_ended(self, exchange: _Exchange) -> None:
        if exchange.body.done:
            self._end(exchange)
        # Else the server answered early; it may still read the body, or close.

    def _end(self, exchange: _Exchange) -> None:
        exchange.seen.end()
        self._exchange = None
        if exchange.closes:
            self.transport.close()
        elif self._early:
            # Not from here: a client that pipelines would nest calls without end.
            self.loop.call_soon(self.data_received, b"")
        self._pace()

    def upstream_lost(self, upstream: "_Upstream", exchange: _Exchange | None) -> None:
        """The server closed; `exchange` is what it had not finished."""
        if self._upstream is not upstream:
            return
        self._upstream = None
        if self.gone:
            return
        if exchange is None and self._exchange is not None:
            # It answered before it had read the body, and reads no more.
            self.transport.close()
        elif exchange is not None:
            if exchange.response is not None and exchange.response.ends_with_connection:
                exchange.seen.status = exchange.response.status
                self.transport.close()
            else:
                self.reset()

    def upstream_full(self, *, full: bool) -> None:
        self._upstream_full = full
        self._pace()

    def _pace(self) -> None:
        """Reads only what can be put somewhere."""
        if self._transport is None:
            return
        waiting = len(self._early) + self._outbox_bytes
        if self._upstream_full or waiting > _BUFFER_LIMIT_BYTES:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def reset(self) -> None:
        if self._transport is not None:
            _reset(self._transport)

    def when_sent(self, act: Callable[[], None]) -> None:
        """Calls `act` when all that was written has left."""
        if self.gone:
            return
        if self.transport.get_write_buffer_size() == 0:
            act()
        else:
            self.loop.call_later(0.002, self.when_sent, act)


class _Response:
    """A response on its way to the client, with the fault that the plan has for it."""

    def __init__(self, client: _Client, exchange: _Exchange, raw: bytes) -> None:
        head = parse_head(raw)
        self.status = int(head.first[1])
        self._client = client
        self._framing = response_framing(head, self.status, exchange.request.method)
        self._action = exchange.plan.action
        self._sent = 0
        # How many body bytes may pass; None is all of them.
        self._limit: int | None = None
        self.ended_by_fault = False
        if head.closes:
            exchange.closes = True
        head_out = self._prepare(raw, head.headers)
        self._seen = exchange.seen
        self._end_if_done()
        if not isinstance(self._action, DropResponse):
            client.transport.write(head_out)

    def _prepare(self, raw: bytes, headers: dict[bytes, bytes]) -> bytes:
        match self._action:
            case WrongETag(etag):
                return with_header(raw, b"ETag", etag.encode())
            case ShortenBody(by_bytes) if isinstance(self._framing, Counted):
                self._limit = max(0, int(headers.get(b"content-length", 0)) - by_bytes)
                return with_header(raw, b"Content-Length", str(self._limit).encode())
            case ResetBody(after) | TruncateBody(after) | StallBody(after):
                self._limit = after
            case DropResponse():
                self._limit = 0
            case _:
                pass
        return raw

    @property
    def done(self) -> bool:
        return self._framing.done

    def _end_if_done(self) -> None:
        if self.done:
            self._seen.end(self.status)

    @property
    def ends_with_connection(self) -> bool:
        return isinstance(self._framing, UntilClose)

    def take(self, data: bytes) -> int:
        """Passes on what belongs to this response; returns how much that was."""
        taken = self._framing.take(data)
        self._end_if_done()
        piece = data if taken == len(data) else data[:taken]
        match self._action:
            case CorruptByte(offset) if self._sent <= offset < self._sent + taken:
                piece = _flipped(piece, offset - self._sent)
            case _:
                pass
        before = self._sent
        self._sent += taken
        if self._limit is not None:
            piece = piece[: max(0, self._limit - before)]
        if piece and not self.ended_by_fault:
            self._client.transport.write(piece)
        self._end_by_fault()
        return taken

    def _end_by_fault(self) -> None:
        """Breaks off at the fault's byte, or at the end of a body that is shorter."""
        action, client = self._action, self._client
        if self.ended_by_fault or self._limit is None:
            return
        if self._sent < self._limit and not self.done:
            return
        match action:
            case ResetBody():
                client.when_sent(client.reset)
            case DropResponse() if self.done:
                client.reset()
            case TruncateBody():
                client.when_sent(client.transport.close)
            case StallBody():
                pass
            case _:
                return
        self.ended_by_fault = True


class _Upstream(asyncio.Protocol):
    """The connection to the server that belongs to one client connection."""

    def __init__(self, client: _Client) -> None:
        self._client = client
        self._transport: asyncio.Transport | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._exchange: _Exchange | None = None
        self._early = b""
        self._held = False
        self._client_full = False
        self._aborted = False

    @property
    def open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def connect(self, host: str, port: int) -> None:
        self._connecting = self._client.loop.create_task(self._connect(host, port))

    async def _connect(self, host: str, port: int) -> None:
        try:
            await self._client.loop.create_connection(lambda: self, host, port)
        except OSError:
            self._client.upstream_lost(self, self._exchange)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(_BUFFER_LIMIT_BYTES)
        if self._aborted:
            transport.abort()
        else:
            self._client.pass_outbox()

    def connection_lost(self, exc: Exception | None) -> None:
        exchange, self._exchange = self._exchange, None
        if not self._aborted:
            self._client.upstream_lost(self, exchange)

    def abort(self) -> None:
        """Closes without telling the client, which is gone."""
        self._aborted = True
        if self._connecting is not None:
            self._connecting.cancel()
        if self._transport is not None:
            self._transport.abort()

    def begin(self, exchange: _Exchange) -> None:
        """Expects the response to this request next."""
        self._exchange = exchange

    def send(self, piece: bytes) -> None:
        if self._transport is not None:
            self._transport.write(piece)

    def pause_writing(self) -> None:
        self._client.upstream_full(full=True)

    def resume_writing(self) -> None:
        self._client.upstream_full(full=False)

    def pause(self) -> None:
        self._client_full = True
        self._pace()

    def resume(self) -> None:
        self._client_full = False
        self._pace()

    def _pace(self) -> None:
        if self._transport is None:
            return
        if self._client_full or self._held:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        if self._early:
            data, self._early = self._early + data, b""
        while data:
            exchange = self._exchange
            if exchange is None or self._client.gone:
                return
            if exchange.response is None:
                end = data.find(b"\r\n\r\n") + 4
                head = data[:end]
                interim = head.startswith(_INTERIM)
                if end < 4 or (not interim and self._hold(exchange)):
                    self._early = data
                    return
                data = data[end:]
                if interim:
                    self._client.transport.write(head)
                else:
                    exchange.response = _Response(self._client, exchange, head)
            if exchange.response is not None:
                taken = exchange.response.take(data)
                data = data[taken:]
                self._end_if_done(exchange, exchange.response)

    def _hold(self, exchange: _Exchange) -> bool:
        """Whether the response has to wait; it is taken up again by itself."""
        hold = exchange.plan.hold
        if hold is None or not hold.response or exchange.released:
            return False
        if not self._held:
            self._held = True
            self._pace()
            self._client.park(hold, lambda: self._release(exchange))
        return True

    def _release(self, exchange: _Exchange) -> None:
        exchange.released = True
        self._held = False
        self._pace()
        self.data_received(b"")

    def _end_if_done(self, exchange: _Exchange, response: _Response) -> None:
        if not response.done or self._exchange is None:
            return
        self._exchange = None
        if not response.ended_by_fault:
            self._client.response_ended(exchange)


def _flipped(piece: bytes, at: int) -> bytes:
    bad = bytearray(piece)
    bad[at] ^= 0xFF
    return bytes(bad)


def main() -> None:
    parser = argparse.ArgumentParser(description="A proxy that adds latency to an S3 server.")
    parser.add_argument("--upstream", required=True, help="host:port of the server")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds for each request")
    arguments = parser.parse_args()
    ended = {signal.SIGTERM, signal.SIGINT}
    # Before the thread starts, which inherits it: otherwise the signal could go there.
    signal.pthread_sigmask(signal.SIG_BLOCK, ended)
    with FaultProxy(f"http://{arguments.upstream}", port=arguments.port, record=False) as proxy:
        if arguments.latency:
            proxy.add(Latency(arguments.latency))
        print(f"listening on {proxy.url}", flush=True)  # noqa: T201
        signal.sigwait(ended)


if __name__ == "__main__":
    main()
