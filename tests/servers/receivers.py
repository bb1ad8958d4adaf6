"""Receivers of notifications on loopback, in the test's own event loop: HTTP, and SMTP."""

import asyncio
import ssl
import warnings
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One request; names of headers in small letters."""

    target: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """`hold`: the connection stays open without an answer until the receiver ends."""

    status: int = 200
    body: str = "ok"
    headers: Mapping[str, str] = field(default_factory=dict)
    hold: bool = False


class HttpReceiver:
    """Keeps what it is sent; answers as `answers` say, then as `usual` says."""

    def __init__(self, usual: Answer | None = None, tls: ssl.SSLContext | None = None) -> None:
        self.usual = usual or Answer()
        self.answers: deque[Answer] = deque()
        self.received: list[Received] = []
        self.arrived = asyncio.Condition()
        self._tls = tls
        self._ended = asyncio.Event()
        self._server: asyncio.Server | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http{'s' if self._tls else ''}://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        await self.stop()

    async def start(self) -> None:
        """Begins to listen, on the same port as before."""
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", self.port, ssl=self._tls
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    async def count(self, least: int) -> None:
        """Returns when so many requests have come."""
        async with self.arrived:
            await self.arrived.wait_for(lambda: len(self.received) >= least)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head.splitlines()
            pairs = (line.partition(": ") for line in lines if line)
            headers = {name.lower(): value for name, _, value in pairs}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            answer = self.answers.popleft() if self.answers else self.usual
            async with self.arrived:
                target = first.split(" ")[1]
                self.received.append(Received(target=target, headers=headers, body=body))
                self.arrived.notify_all()
            if answer.hold:
                await self._ended.wait()
                return
            said = answer.body.encode()
            fields = {"Content-Length": str(len(said)), "Connection": "close", **answer.headers}
            lines = [f"HTTP/1.1 {answer.status} x", *(f"{k}: {v}" for k, v in fields.items())]
            writer.write("\r\n".join([*lines, "", ""]).encode() + said)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """One e-mail as it came.

    Attributes:
        user: who logged in; "" for nobody.
        secure: whether it came over TLS.
    """

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    user: str
    secure: bool


class SmtpReceiver:
    """An SMTP server that keeps what it is sent.

    Args:
        tls: for STARTTLS, which it then requires, or from the start where `from_start`.
        login: user and password that it requires.
        refused: recipients that it does not take.
        busy: answers so many messages with 451 first.
    """

    def __init__(
        self,
        *,
        tls: ssl.SSLContext | None = None,
        from_start: bool = False,
        login: tuple[str, str] | None = None,
        refused: tuple[str, ...] = (),
        busy: int = 0,
    ) -> None:
        self.mails: list[Mail] = []
        self.port = 0
        self._tls = tls
        self._from_start = from_start
        self._login = login
        self._refused = refused
        self._busy = busy
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            self._protocol, "127.0.0.1", 0, ssl=self._tls if self._from_start else None
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    def _protocol(self) -> SMTP:
        later = self._tls if not self._from_start else None
        with warnings.catch_warnings():
            # It does not know of the TLS that was there before its first word.
            warnings.filterwarnings("ignore", "Requiring AUTH while not requiring TLS")
            return SMTP(
                self,
                hostname="receiver.test",
                loop=asyncio.get_running_loop(),
                tls_context=later,
                require_starttls=later is not None,
                auth_required=self._login is not None,
                auth_require_tls=later is not None,
                authenticator=self._authenticate,
            )

    def _authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        given = (data.login.decode(), data.password.decode())
        return AuthResult(success=given == self._login, handled=False, auth_data=given[0])

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self._refused:
            return "550 5.1.1 Nobody of this name here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        if self._busy:
            self._busy -= 1
            return "451 4.3.0 Come back later"
        assert isinstance(envelope.content, bytes)
        self.mails.append(
            Mail(
                sender=envelope.mail_from or "",
                recipients=tuple(envelope.rcpt_tos),
                content=envelope.content,
                user=str(session.auth_data) if session.authenticated else "",
                secure=session.ssl is not None or self._from_start,
            )
        )
        return "250 2.0.0 Taken"
