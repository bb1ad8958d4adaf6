"""The transport on httpcore: slower, but a target and headers are bytes that nobody touches."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from urllib.parse import unquote, urlsplit

import httpcore

from transferhub.errors import InputError
from transferhub.stores.s3.transport import (
    PIECE_BYTES,
    Fault,
    Request,
    Response,
    TransportConfig,
    TransportError,
    certificate_fault,
)

_CONNECTIONS = 32
_IDLE_SECONDS = 60.0


class RawTransport:
    def __init__(self, origin: str, config: TransportConfig) -> None:
        """Args:
        origin: scheme, host and port, without a slash at its end.
        """
        parts = urlsplit(origin)
        self._scheme = parts.scheme.encode()
        self._host = (parts.hostname or "").encode()
        self._port = parts.port
        self._host_header = parts.netloc.encode()
        self._config = config
        read = config.read_timeout.total_seconds()
        connect = config.connect_timeout.total_seconds()
        self._timeout = {"connect": connect, "read": read, "write": read, "pool": None}
        self._pool: httpcore.AsyncConnectionPool | None = None

    async def send(self, request: Request) -> Response:
        async with self.open(request) as answer:
            return _ReadResponse(answer.status, answer.headers(), await answer.read())

    @asynccontextmanager
    async def open(self, request: Request) -> AsyncIterator[Response]:
        if self._pool is None:
            self._pool = self._build()
        try:
            answer = await self._pool.handle_async_request(self._httpcore(request))
        except _FAULTS as error:
            raise _classed(error) from error
        try:
            yield _RawResponse(answer)
        finally:
            await answer.aclose()

    async def aclose(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.aclose()

    def _httpcore(self, request: Request) -> httpcore.Request:
        headers = [(b"host", self._host_header), (b"user-agent", self._config.user_agent.encode())]
        headers += [(name.encode(), value.encode()) for name, value in request.headers.items()]
        if request.body is not None:
            headers.append((b"content-length", str(len(request.body)).encode()))
        url = httpcore.URL(
            scheme=self._scheme,
            host=self._host,
            port=self._port,
            target=request.target.encode("ascii"),
        )
        return httpcore.Request(
            request.method,
            url,
            headers=headers,
            content=_pieces(request.body) if request.body else None,
            extensions={"timeout": self._timeout},
        )

    def _build(self) -> httpcore.AsyncConnectionPool:
        trust = ssl.create_default_context()
        if self._config.ca_bundle is not None:
            trust.load_verify_locations(cafile=self._config.ca_bundle)
        return httpcore.AsyncConnectionPool(
            ssl_context=trust,
            proxy=_proxy(self._config),
            max_connections=_CONNECTIONS,
            max_keepalive_connections=_CONNECTIONS,
            keepalive_expiry=_IDLE_SECONDS,
        )


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    """The body, each piece of which has the whole write timeout."""
    for start in range(0, len(body), PIECE_BYTES):
        yield body[start : start + PIECE_BYTES]


class _RawResponse:
    def __init__(self, response: httpcore.Response) -> None:
        self._response = response
        self._headers = {
            name.decode("ascii").lower(): _text(value) for name, value in response.headers
        }
        self.status = response.status

    def header(self, name: str) -> str:
        return self._headers.get(name, "")

    def headers(self) -> Mapping[str, str]:
        return self._headers

    async def read(self) -> bytes:
        return b"".join([chunk async for chunk in self.chunks()])

    async def chunks(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._response.aiter_stream():
                yield chunk
        except _FAULTS as error:
            raise _classed(error) from error


class _ReadResponse:
    """An answer whose body has been read."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status = status
        self._headers = headers
        self._body = body

    def header(self, name: str) -> str:
        return self._headers.get(name, "")

    def headers(self) -> Mapping[str, str]:
        return self._headers

    async def read(self) -> bytes:
        return self._body

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self._body


def _text(value: bytes) -> str:
    """Header values are ASCII by the book, UTF-8 in the wild, and any bytes at worst."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _proxy(config: TransportConfig) -> httpcore.Proxy | None:
    if not config.proxy:
        return None
    parts = urlsplit(config.proxy)
    if not parts.hostname:
        raise InputError("proxy", "it is not a URL such as http://proxy:3128")
    port = f":{parts.port}" if parts.port else ""
    auth = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
    return httpcore.Proxy(f"{parts.scheme}://{parts.hostname}{port}", auth=auth)


_FAULTS = (
    httpcore.NetworkError,
    httpcore.TimeoutException,
    httpcore.ProtocolError,
    httpcore.ProxyError,
)


def _classed(error: Exception) -> TransportError:
    return TransportError(_fault(error), str(error) or type(error).__name__)


def _fault(error: Exception) -> Fault:
    match error:
        case httpcore.TimeoutException():
            return Fault.TIMEOUT
        case httpcore.ConnectError():
            return _connect_fault(str(error).lower())
        case httpcore.ProxyError():
            return Fault.PROXY
        case httpcore.RemoteProtocolError() if "without sending a response" in str(error):
            return Fault.UNANSWERED
        case httpcore.LocalProtocolError():
            return Fault.GARBLED
        case _:
            return Fault.BROKEN


def _connect_fault(detail: str) -> Fault:
    if "eof" in detail or "reset" in detail:
        return Fault.BROKEN
    if "certificate" in detail:
        return certificate_fault(detail)
    if "ssl" in detail or "tls" in detail:
        return Fault.NOT_TLS
    if "name or service" in detail or "getaddrinfo" in detail or "nodename" in detail:
        return Fault.UNRESOLVED
    return Fault.REFUSED
