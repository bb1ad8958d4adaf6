"""The transport on pyreqwest."""

from __future__ import annotations

import asyncio
import atexit
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from functools import cache
from types import TracebackType
from typing import cast

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import (
    ConnectError,
    DecodeError,
    DetailedPyreqwestError,
    PyreqwestError,
    RequestTimeoutError,
)
from pyreqwest.proxy import ProxyBuilder
from pyreqwest.request import RequestBuilder, StreamRequest
from pyreqwest.response import Response as PyreqwestResponse

from transferhub.errors import InputError
from transferhub.stores.s3.certificates import read_certificates
from transferhub.stores.s3.transport import (
    PIECE_BYTES,
    STREAM_BUFFER_BYTES,
    Fault,
    Request,
    Response,
    TransportConfig,
    TransportError,
    UnreadableHeadersError,
    certificate_fault,
)

_NOT_HTTP = ("unexpected message from connection", "invalid http")
# Servers close at 60 s or later; S3 itself does so earlier, harmlessly.
_IDLE = timedelta(seconds=60)
# Only a limit of last resort: a body in pieces is watched from here.
_PATIENCE = timedelta(days=1)
_LINGER_SECONDS = 0.05
_KEEPALIVE = timedelta(seconds=30)


class ReqwestTransport:
    """Built at once, but no thread runs before the first request: a process may fork until then."""

    def __init__(self, origin: str, config: TransportConfig) -> None:
        """Args:
        origin: scheme, host and port, without a slash at its end.

        Raises:
            InputError: the CA bundle or the proxy cannot be used.
        """
        self._origin = origin
        self._config = config
        self._certificates = read_certificates(config)
        self._proxy = _proxy(config)
        self._client: Client | None = None
        self._patient_client: Client | None = None
        self._is_slow = False

    async def send(self, request: Request) -> Response:
        body = request.body
        if body is None or len(body) <= PIECE_BYTES or request.method != "PUT":
            return await self._send_whole(request)
        if not self._is_slow:
            try:
                return await self._send_whole(request)
            except TransportError as error:
                if error.fault is not Fault.TIMEOUT:
                    raise
            # The limit holds for the body as a whole: is the line slow, or the server silent?
            self._is_slow = True
        return await self._send_in_pieces(request, body)

    async def _send_whole(self, request: Request) -> Response:
        try:
            builder = self._builder(self._usual(), request)
            if request.body is not None:
                builder = builder.body_bytes(request.body)
            if request.body == b"":
                # It would leave the length out, which S3 refuses.
                builder = builder.header("content-length", "0")
            return _ReqwestResponse(await builder.build().send())
        except PyreqwestError as error:
            raise _classed(error) from error

    async def _send_in_pieces(self, request: Request, body: bytes) -> Response:
        """Sends a body that may take longer than the read timeout, as long as it goes on.

        It costs three times the CPU of a body that is sent whole.
        """
        client = self._patient_client
        if client is None:
            client = self._patient_client = self._build(_PATIENCE)
        silence = self._config.read_timeout.total_seconds()
        builder = self._builder(client, request).header("content-length", str(len(body)))
        try:
            async with asyncio.timeout(silence) as limit:
                builder = builder.body_stream(_pieces(body, limit, silence))
                return _ReqwestResponse(await builder.build().send())
        except PyreqwestError as error:
            raise _classed(error) from error
        except TimeoutError as error:
            raise TransportError(Fault.TIMEOUT, f"nothing moved for {silence:g} s") from error

    def open(self, request: Request) -> AbstractAsyncContextManager[Response]:
        builder = self._builder(self._usual(), request)
        return _Opened(builder.streamed_read_buffer_limit(STREAM_BUFFER_BYTES).build_streamed())

    async def aclose(self) -> None:
        clients = (self._client, self._patient_client)
        self._client = self._patient_client = None
        for client in clients:
            if client is not None:
                await client.close()

    def _usual(self) -> Client:
        if self._client is None:
            self._client = self._build(self._config.read_timeout)
        return self._client

    def _builder(self, client: Client, request: Request) -> RequestBuilder:
        query = f"?{request.query}" if request.query else ""
        try:
            builder = client.request(request.method, f"{self._origin}{request.path}{query}")
            return builder.headers(request.headers)
        except ValueError as error:  # includes BuilderError
            raise TransportError(Fault.GARBLED, str(error)) from error

    def _build(self, read_timeout: timedelta) -> Client:
        _linger_at_exit()
        config = self._config
        builder = (
            ClientBuilder()
            .user_agent(config.user_agent)
            .gzip(False)
            .brotli(False)
            .zstd(False)
            .deflate(False)
            # Over one connection of HTTP/2 all transfers would share one flow control.
            .http1_only()
            .follow_redirects(False)
            .referer(False)
            .no_proxy()
            .connect_timeout(config.connect_timeout)
            .read_timeout(read_timeout)
            .pool_max_idle_per_host(config.connections)
            .pool_idle_timeout(_IDLE)
            .tcp_keepalive(_KEEPALIVE)
            .tcp_user_timeout(config.read_timeout)
        )
        for certificate in self._certificates:
            builder = builder.add_root_certificate_pem(certificate)
        if self._proxy is not None:
            builder = builder.proxy(self._proxy)
        return builder.build()


@cache
def _linger_at_exit() -> None:
    """Lets the client's thread come to rest before the interpreter ends.

    It still lets go of its last answers when the loop has ended already. Should it want the
    interpreter's lock then, Python before 3.13 aborts the process (python/cpython#87135).
    """
    atexit.register(time.sleep, _LINGER_SECONDS)


async def _pieces(body: bytes, limit: asyncio.Timeout, silence: float) -> AsyncIterator[memoryview]:
    """The body, each piece of which puts `limit` off when it is asked for."""
    clock = asyncio.get_running_loop().time
    view = memoryview(body)
    for start in range(0, len(body), PIECE_BYTES):
        limit.reschedule(clock() + silence)
        yield view[start : start + PIECE_BYTES]
    limit.reschedule(clock() + silence)


class _Opened:
    """The scope of one streamed answer."""

    __slots__ = ("_request",)

    def __init__(self, request: StreamRequest) -> None:
        self._request = request

    async def __aenter__(self) -> Response:
        try:
            return _ReqwestResponse(await self._request.__aenter__())
        except PyreqwestError as error:
            raise _classed(error) from error

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._request.__aexit__(kind, error, trace)


class _ReqwestResponse:
    __slots__ = ("_get", "_response", "status")

    def __init__(self, response: PyreqwestResponse) -> None:
        self._response = response
        self._get: Callable[[str], str | None] = response.get_header
        self.status = response.status

    def header(self, name: str) -> str:
        try:
            return self._get(name) or ""
        except ValueError:
            return ""

    def headers(self) -> Mapping[str, str]:
        try:
            return dict(self._response.headers.items())
        except ValueError as error:
            raise UnreadableHeadersError from error

    async def read(self) -> bytes:
        try:
            return (await self._response.bytes()).to_bytes()
        except PyreqwestError as error:
            raise _classed(error) from error

    async def chunks(self) -> AsyncIterator[bytes]:
        reader = self._response.body_reader
        while True:
            try:
                chunk = await reader.read_chunk()
            except PyreqwestError as error:
                raise _classed(error) from error
            if chunk is None:
                return
            yield chunk.to_bytes()


def _proxy(config: TransportConfig) -> ProxyBuilder | None:
    if not config.proxy:
        return None
    try:
        return ProxyBuilder.all(config.proxy)
    except ValueError as error:
        # The URL may hold a password, so it is not shown.
        raise InputError("proxy", f"it is not a URL such as http://proxy:3128 ({error})") from None


def _classed(error: PyreqwestError) -> TransportError:
    causes = ""
    if isinstance(error, DetailedPyreqwestError):
        # The first cause repeats the URL, which the error's sentence names anyway.
        found = cast("list[dict[str, str]]", error.details.get("causes") or [])
        causes = ": ".join(one["message"] for one in found if " for url (" not in one["message"])
    detail = causes or error.message
    return TransportError(_fault(error, detail.lower()), detail)


def _fault(error: PyreqwestError, detail: str) -> Fault:
    if isinstance(error, RequestTimeoutError) or "timed out" in detail:
        return Fault.TIMEOUT
    if isinstance(error, ConnectError) and "(connect)" in detail:
        return _connect_fault(detail)
    if "closed before message completed" in detail:
        return Fault.UNANSWERED
    if isinstance(error, DecodeError) and "parse" in detail:
        return Fault.GARBLED
    if any(sign in detail for sign in _NOT_HTTP):
        return Fault.GARBLED
    return Fault.BROKEN


def _connect_fault(detail: str) -> Fault:
    if "eof" in detail or "reset" in detail:
        return Fault.BROKEN
    if "tunnel error" in detail:
        return Fault.PROXY
    if "dns error" in detail:
        return Fault.UNRESOLVED
    if "certificate" in detail or "unknownissuer" in detail:
        return certificate_fault(detail)
    if any(sign in detail for sign in ("corrupt message", "invalidcontenttype", "tls", "alert")):
        return Fault.NOT_TLS
    return Fault.REFUSED
