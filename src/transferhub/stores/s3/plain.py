"""The transport of plain HTTP: HTTP/1.1 in the event loop itself, without a thread in between.

A small object costs two thirds of the CPU that it costs through pyreqwest
(docs/decisions/0002-http-client.md).
"""

from __future__ import annotations

import asyncio
import mmap
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from ipaddress import ip_address
from types import TracebackType
from typing import cast
from urllib.parse import urlsplit

from transferhub.stores.s3.framing import Body, Head, read_head
from transferhub.stores.s3.transport import (
    PIECE_BYTES,
    STREAM_BUFFER_BYTES,
    Fault,
    Request,
    Response,
    TransportConfig,
    TransportError,
)

# Servers close at 60 s or later; S3 itself does so earlier, harmlessly.
_IDLE_SECONDS = 60.0
_FRESH_SECONDS = 1.0
"""A server may close a connection that was idle for longer just while a request is on its way.
Nobody refused that request, and it goes out again on another connection."""

_EAGER_BYTES = 64 << 10
"""A body that is no larger is awaited together with its head, which saves a turn of the loop."""

_SCRATCH_BYTES = 256 << 10
_LARGE_BYTES = 1 << 20
"""A body with so much to come is received where it will stay; its pieces are not joined later."""

_HAPPY_EYEBALLS_SECONDS = 0.25
_LOOKS = 4
"""How often in `read_timeout` a connection is looked at."""


class PlainTransport:
    """Keeps targets and header values as they are, so it needs no help of RawTransport."""

    def __init__(self, origin: str, config: TransportConfig) -> None:
        """Args:
        origin: http://, host and port, without a slash at its end.
        """
        parts = urlsplit(origin)
        self._host = parts.hostname or ""
        self._port = parts.port or 80
        # Python 3.11 may leave a socket open where a race of addresses is cancelled.
        self._race = None if _is_address(self._host) else _HAPPY_EYEBALLS_SECONDS
        self._fixed = f" HTTP/1.1\r\nhost: {parts.netloc}\r\nuser-agent: {config.user_agent}\r\n"
        self._config = config
        self._silence = config.read_timeout.total_seconds()
        self._idle: list[_Connection] = []
        self._open: set[_Connection] = set()
        self._watch: asyncio.TimerHandle | None = None
        self._scratch = memoryview(bytearray(_SCRATCH_BYTES))
        self._buffers = Buffers()

    async def send(self, request: Request) -> Response:
        connection = await self.ask(request)
        try:
            answer = connection.answer
            await answer.load()
        except BaseException:
            connection.abort()
            raise
        self.release(connection)
        return answer

    def open(self, request: Request) -> AbstractAsyncContextManager[Response]:
        return _Opened(self, request)

    async def aclose(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        closing = list(self._open)
        for connection in closing:
            connection.abort()
        await asyncio.gather(*(connection.closed for connection in closing))

    async def ask(self, request: Request) -> _Connection:
        """A connection whose answer's head has come. Release it.

        Raises:
            TransportError: there is no answer.
        """
        head = self._head(request)
        while True:
            connection = self._kept() or await self._connect()
            may_be_stale = connection.idle_seconds > _FRESH_SECONDS and request.method != "POST"
            try:
                await connection.ask(head, request)
            except TransportError:
                connection.abort()
                if not (may_be_stale and connection.is_unheard):
                    raise
            except BaseException:
                connection.abort()
                raise
            else:
                return connection

    def _head(self, request: Request) -> bytes:
        fields = "".join([f"{name}: {value}\r\n" for name, value in request.headers.items()])
        if request.body is not None:
            fields += f"content-length: {len(request.body)}\r\n"
        return f"{request.method} {request.target}{self._fixed}{fields}\r\n".encode()

    def _kept(self) -> _Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.idle_seconds < _IDLE_SECONDS and not connection.is_closing:
                return connection
            connection.abort()
        return None

    async def _connect(self) -> _Connection:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._config.connect_timeout.total_seconds()):
                transport, connection = await loop.create_connection(
                    lambda: _Connection(loop, self._open, self._scratch, self._buffers),
                    self._host,
                    self._port,
                    happy_eyeballs_delay=self._race,
                )
        except OSError as error:
            raise TransportError(_connect_fault(error), str(error) or "no connection") from error
        self._check_peer(transport, connection)
        if self._watch is None:
            self._look()
        return connection

    def _check_peer(self, transport: asyncio.BaseTransport, connection: _Connection) -> None:
        """A name may have another address now than when it was checked."""
        peer = transport.get_extra_info("peername")
        if self._config.refuses is None or (peer and not self._config.refuses(peer[0])):
            return
        connection.abort()
        raise TransportError(Fault.BLOCKED, str(peer and peer[0]))

    def release(self, connection: _Connection) -> None:
        """Keeps the connection for the next request where its answer came whole."""
        if connection.is_reusable and len(self._idle) < self._config.connections:
            self._idle.append(connection)
        else:
            connection.abort()

    def _look(self) -> None:
        """Gives up connections on which nothing moves; goes on while there are any."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        for connection in list(self._open):
            connection.look(now, self._silence)
        self._watch = loop.call_later(self._silence / _LOOKS, self._look) if self._open else None


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


class _Opened:
    """The scope of one streamed answer."""

    __slots__ = ("_connection", "_request", "_transport")

    def __init__(self, transport: PlainTransport, request: Request) -> None:
        self._transport = transport
        self._request = request

    async def __aenter__(self) -> Response:
        self._connection = await self._transport.ask(self._request)
        return self._connection.answer

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._transport.release(self._connection)


def _references(kept: list[mmap.mmap], at: int) -> int:
    return sys.getrefcount(kept[at])


_ANONYMOUS = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_POPULATE", 0)


def _memory(size: int) -> mmap.mmap:
    """Given by the system all at once, which costs less than page by page when it is written to."""
    return mmap.mmap(-1, size, flags=_ANONYMOUS)


_UNUSED = _references([_memory(1)], 0)


class Buffers:
    """Memory for large bodies, given again once nobody holds it any more, nor a view of it: new
    memory comes page by page, which costs as much as receiving it.

    What is kept is never more than was in use at one time.
    """

    def __init__(self) -> None:
        self._kept: list[mmap.mmap] = []

    def take(self, size: int) -> memoryview:
        """Memory of so many bytes, whatever they are."""
        kept = self._kept
        for at in range(len(kept)):
            if len(kept[at]) == size and _references(kept, at) == _UNUSED:
                return memoryview(kept[at])
        kept[:] = [kept[at] for at in range(len(kept)) if _references(kept, at) != _UNUSED]
        kept.append(_memory(size))
        return memoryview(kept[-1])


class _Answer:
    """An answer whose body comes in pieces. `ended`: it came whole, or never will."""

    __slots__ = ("_body", "_connection", "_fields", "ended", "error", "pieces", "status", "whole")

    def __init__(self, head: Head, body: Body, connection: _Connection) -> None:
        self.status = head.status
        self._fields = head.fields
        self._body = body
        self._connection = connection
        self.pieces: list[bytes] = []
        self.whole = False  # nobody wants it before its end
        self.ended = False
        self.error: TransportError | None = None

    def header(self, name: str) -> str:
        return self._fields.get(name, "")

    def headers(self) -> Mapping[str, str]:
        return self._fields

    async def load(self) -> None:
        """Returns when the body is here."""
        if not self.ended:
            self.whole = True
            await self._connection.more()
        if self.error is not None:
            raise self.error

    async def read(self) -> bytes:
        if not self.ended and self._body.left >= _LARGE_BYTES:
            # Nobody writes to it, and nobody wants its hash: it is bytes in all but name.
            return cast("bytes", await self._read_large())
        await self.load()
        pieces, self.pieces = self.pieces, []  # an idle connection keeps its last answer
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def _read_large(self) -> memoryview:
        """Keeps no reference to what it returns, so that its memory can be used again."""
        pieces, self.pieces = self.pieces, []
        got = sum(map(len, pieces))
        whole = self._connection.receive_into(got, got + self._body.left)
        whole[:got] = b"".join(pieces)
        await self.load()
        return whole

    async def chunks(self) -> AsyncIterator[bytes]:
        while True:
            pieces, self.pieces = self.pieces, []
            for piece in pieces:
                yield piece
            if self.pieces:
                continue
            if self.ended:
                break
            await self._connection.more()
        if self.error is not None:
            raise self.error


class _Connection(asyncio.BufferedProtocol):
    """One connection, which carries one request at a time.

    Attributes:
        moved_at: when bytes last went or came, by the loop's clock.
        closed: done when the socket is closed.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        known: set[_Connection],
        scratch: memoryview,
        buffers: Buffers,
    ) -> None:
        """Args:
        scratch: takes what comes until it is looked at, which is at once; for all connections.
        """
        self._loop = loop
        self._known = known
        self._scratch = scratch
        self._buffers = buffers
        self._room: memoryview | None = None  # for the rest of a large body
        self._transport: asyncio.Transport
        self.moved_at = loop.time()
        self.closed: asyncio.Future[None] = loop.create_future()
        self.answer: _Answer
        self._body: Body | None = None
        self._method = ""
        self._early = b""
        self._heard = False
        self._sending = False
        self._unsent = 0
        self._paused = False
        # Who waits: for the head, for more of the body, or to go on sending.
        self._waiter: asyncio.Future[None] | None = None
        self._asked = False
        self._error: TransportError | None = None

    @property
    def is_closing(self) -> bool:
        return self._transport.is_closing()

    @property
    def idle_seconds(self) -> float:
        return self._loop.time() - self.moved_at

    @property
    def is_unheard(self) -> bool:
        """Closed by the server without a word in answer."""
        error = self._error
        return not self._heard and error is not None and error.fault is not Fault.TIMEOUT

    @property
    def is_reusable(self) -> bool:
        body = self._body
        return (
            body is not None
            and body.ended
            and body.keeps_connection
            and not self._sending
            and not self._early
            and not self._transport.get_write_buffer_size()
            and not self.is_closing
        )

    # What the transport asks

    async def ask(self, head: bytes, request: Request) -> None:
        """Returns when the head of the answer has come.

        Raises:
            TransportError: it did not.
        """
        self._asked, self._heard, self._body, self._method = True, False, None, request.method
        self.moved_at = self._loop.time()
        body = request.body
        if body is None or len(body) <= PIECE_BYTES:
            self._transport.write(head + body if body else head)
        else:
            await self._send(head, body)
        while self._awaits_more():
            await self.more()

    async def _send(self, head: bytes, body: bytes) -> None:
        """Sends a large body; stops early where the answer does not wait for it."""
        self._sending = True
        # asyncio copies what the socket does not take at once; so the socket is written to here, by
        # another descriptor, because asyncio lets nobody watch its own.
        connected: socket.socket = self._transport.get_extra_info("socket")
        with connected.dup() as out:
            try:
                await self._send_by(out, head)
                await self._send_by(out, body)
            finally:
                self._loop.remove_writer(out)

    async def _send_by(self, out: socket.socket, data: bytes) -> None:
        unsent = memoryview(data)
        while unsent and not self._is_answered():
            try:
                sent = out.send(unsent[:PIECE_BYTES])
            except BlockingIOError:
                self._loop.add_writer(out, self._wake)
                await self.more()
            except OSError:
                # What broke is told where answers are read; there may even be one.
                self._loop.remove_writer(out)
                await self.more()
            else:
                self.moved_at = self._loop.time()
                unsent = unsent[sent:]
        self._sending = len(unsent) > 0

    def _is_answered(self) -> bool:
        return self._body is not None

    def _awaits_more(self) -> bool:
        """Whether the head is yet to come, or the end of a body that is here in a moment."""
        return self._body is None or (self._body.is_short(_EAGER_BYTES) and not self.answer.ended)

    async def more(self) -> None:
        """Returns when something happened.

        Raises:
            TransportError: before the answer's head came, the connection was lost.
        """
        self._raise_lost()
        if self._paused:
            self._paused = False
            self.moved_at = self._loop.time()
            self._transport.resume_reading()
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
        self._raise_lost()

    def _raise_lost(self) -> None:
        if self._error is not None and self._body is None:
            raise self._error

    def look(self, now: float, silence: float) -> None:
        """Gives up where nothing has moved for so long although something should."""
        if not self._asked:
            return
        unsent = self._transport.get_write_buffer_size()
        if self._paused or unsent != self._unsent:
            self._unsent = unsent
            self.moved_at = now
        elif now - self.moved_at > silence:
            self._fail(TransportError(Fault.TIMEOUT, f"nothing moved for {silence:g} s"))

    def abort(self) -> None:
        self._transport.abort()

    # What the loop tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._known.add(self)
        connected: socket.socket = transport.get_extra_info("socket")
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def receive_into(self, start: int, size: int) -> memoryview:
        """Memory of `size` bytes, which the rest of the body fills from `start` on."""
        whole = self._buffers.take(size)
        self._room = whole[start:]
        return whole

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._scratch if self._room is None else self._room

    def buffer_updated(self, nbytes: int) -> None:
        self.moved_at = self._loop.time()
        if self._room is not None:
            self._received(self._room, nbytes)
            return
        try:
            self._receive(bytes(self._scratch[:nbytes]))
        except ValueError as error:
            self._fail(TransportError(Fault.GARBLED, f"this is not HTTP: {error}"))

    def _receive(self, data: bytes) -> None:
        if not self._asked:
            self._early += data  # nobody asked: such a connection is not used again
            self.abort()
            return
        self._heard = True
        body = self._body
        if body is None:
            received = self._early + data if self._early else data
            found = read_head(received)
            if found is None:
                self._early = received
                return
            head, data = found
            self._early = b""
            body = self._body = Body.of(head, self._method)
            self.answer = _Answer(head, body, self)
        answer = self.answer
        self._early = body.take(data, answer.pieces)
        if body.ended:
            self._end()
        elif not answer.whole and not body.is_short(_EAGER_BYTES):
            if not self._paused and sum(map(len, answer.pieces)) > STREAM_BUFFER_BYTES:
                self._paused = True
                self._transport.pause_reading()
            self._wake()

    def _received(self, room: memoryview, count: int) -> None:
        assert self._body is not None
        self._room = room[count:]
        self._body.skip(count)
        if self._body.ended:
            self._end()

    def _end(self) -> None:
        self._room = None
        self._asked = False
        self.answer.ended = True
        self._wake()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self._known.discard(self)
        self._room = None
        if not self.closed.done():
            self.closed.set_result(None)
        if not self._asked:
            return
        if self._body is not None and self._body.ends_with_connection and error is None:
            self._body.ended = True
            self._end()
        elif self._heard or error is not None:
            self._fail(TransportError(Fault.BROKEN, str(error) if error else "it ended early"))
        else:
            self._fail(TransportError(Fault.UNANSWERED, "the connection was closed"))

    def _fail(self, error: TransportError) -> None:
        self._error = error
        self._asked = False
        if self._body is not None:
            self.answer.error = error
            self.answer.ended = True
        self._wake()
        self.abort()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _connect_fault(error: OSError) -> Fault:
    match error:
        case TimeoutError():
            return Fault.TIMEOUT
        case socket.gaierror():
            return Fault.UNRESOLVED
        case ConnectionResetError():
            return Fault.BROKEN
        case _:
            return Fault.REFUSED
