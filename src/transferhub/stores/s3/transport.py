"""The narrow seam between S3 and HTTP: requests go out, answers come back, faults are classed.

Three clients stand behind it (docs/decisions/0002-http-client.md). Plain HTTP is spoken in the
event loop, which costs the least CPU. pyreqwest (Rust) carries TLS and what goes through a proxy.
It normalises dot segments of a target and cannot show header values that are not ASCII; what needs
either goes through httpcore.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple, Protocol

STREAM_BUFFER_BYTES = 256 << 10
"""Bytes of a streamed body that are read ahead of its reader."""

PIECE_BYTES = 1 << 20
"""A larger body may be sent in such pieces; each must be on its way within `read_timeout`."""


class Fault(StrEnum):
    """Why there is no answer, or no whole one."""

    UNRESOLVED = "unresolved"  # the host's name has no address
    BLOCKED = "blocked"  # the host has an address that is not to be reached
    REFUSED = "refused"  # nobody listens there, or the network does not lead there
    UNTRUSTED = "untrusted"  # the certificate is not trusted
    EXPIRED = "expired"  # the certificate is not valid any more, or not yet
    OTHER_HOST = "other_host"  # the certificate belongs to another host
    NOT_TLS = "not_tls"  # the server does not speak TLS, or none that both know
    PROXY = "proxy"  # the proxy does not let the connection through
    TIMEOUT = "timeout"
    UNANSWERED = "unanswered"  # the server closed the connection instead of an answer
    BROKEN = "broken"  # the connection ended early
    GARBLED = "garbled"  # what came is not HTTP


def certificate_fault(detail: str) -> Fault:
    """What is wrong with a certificate, by the words of OpenSSL or rustls in lower case."""
    if "expired" in detail or "not valid yet" in detail or "not yet valid" in detail:
        return Fault.EXPIRED
    if "mismatch" in detail or "not valid for" in detail:
        return Fault.OTHER_HOST
    return Fault.UNTRUSTED


class TransportError(Exception):
    """There is no answer. Stays inside the adapter."""

    def __init__(self, fault: Fault, detail: str) -> None:
        super().__init__(f"{fault}: {detail}")
        self.fault = fault
        self.detail = detail


class UnreadableHeadersError(Exception):
    """The answer has header values that this transport cannot show; another one can."""


class Request(NamedTuple):
    """One request, ready to be sent.

    A tuple because one is made for every object.

    Attributes:
        path: encoded, with its leading slash.
        query: encoded; "" where there is none.
        headers: names in lower case.
        body: None sends none, and no Content-Length.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes | None

    @property
    def target(self) -> str:
        return f"{self.path}?{self.query}" if self.query else self.path


class Response(Protocol):
    """An answer whose headers have come."""

    @property
    def status(self) -> int: ...

    def header(self, name: str) -> str:
        """The first value, "" where there is none or it cannot be read. `name` is in lower case."""

    def headers(self) -> Mapping[str, str]:
        """All of them, names in lower case.

        Raises:
            UnreadableHeadersError: one of them cannot be shown.
        """

    async def read(self) -> bytes:
        """The whole body, once. A large one may be a memoryview, which nobody writes to.

        Raises:
            TransportError: it did not come whole.
        """

    def chunks(self) -> AsyncIterator[bytes]:
        """The body piece by piece, instead of `read`."""


class Transport(Protocol):
    """Sends requests to one host. Redirects are answers; nothing is decoded, cached or retried."""

    async def send(self, request: Request) -> Response:
        """The answer with its body read.

        Raises:
            TransportError: there is none.
        """

    def open(self, request: Request) -> AbstractAsyncContextManager[Response]:
        """The answer with its body still to be read, inside the scope. Raises as `send` does."""

    async def aclose(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportConfig:
    """How a host is reached.

    Attributes:
        ca_bundle: PEM file of certificates to trust beside those of the system.
        proxy: URL of an HTTP proxy, with user and password where it wants them; "" goes direct.
        read_timeout: longest silence while a body is sent, an answer is awaited or read. A body
            larger than PIECE_BYTES that takes longer may be sent twice, to tell the two apart.
        connections: most idle connections that are kept.
        refuses: says of an address that nothing may be sent to it. Only plain HTTP asks: no
            metadata service has a certificate.
    """

    ca_bundle: Path | None = None
    proxy: str = ""
    connect_timeout: timedelta = timedelta(seconds=10)
    read_timeout: timedelta = timedelta(seconds=60)
    connections: int = 512
    refuses: Callable[[str], bool] | None = None
    user_agent: str = "data-transfer-hub"
