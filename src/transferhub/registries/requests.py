"""Requests to one registry: authorized, sent in their turn, redirected, and tried again."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TypeVar
from urllib.parse import urljoin, urlsplit

from transferhub.aws.patience import Patience
from transferhub.errors import DeniedError, InputError, StoreError, ThrottledError, TransientError
from transferhub.model.clock import utc_now
from transferhub.registries.auth import Authorizer, Scopes
from transferhub.registries.base import LoginSource
from transferhub.registries.errors import (
    Asked,
    Operation,
    Refusal,
    classed,
    garbled,
    no_registry,
    words_of,
)
from transferhub.registries.gate import Gate, RestingError
from transferhub.registries.lines import Answer, Lines, closing_on_failure, origin_of, read_answer
from transferhub.stores.s3.transport import Response, TransportConfig
from transferhub.stores.throttled import TokenBucket

T = TypeVar("T")

_OK = frozenset({200})
_NOTHING: Mapping[str, str] = {}
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 5
_MOST_WORDS_BYTES = 64 << 10
_LONGEST_REST = 86_400.0
_HOST = re.compile(r"(?:[\w.-]+|\[[0-9a-fA-F:.]+\])(?::\d{1,5})?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryConfig:
    """One registry and how it is reached.

    Attributes:
        host: name and port, as image references have them; Docker Hub's is registry-1.docker.io.
        plain_http: it speaks HTTP without TLS. Never guessed, not even on loopback.
        requests: most that are under way at once.
        rate: of requests, which other registries may share.
        bandwidth: of blobs that are read, which others may share too.
        patience: for how long what may work later is tried again.
    """

    host: str
    plain_http: bool = False
    requests: int = 32
    rate: TokenBucket | None = None
    bandwidth: TokenBucket | None = None
    patience: timedelta = timedelta(minutes=1)
    transport: TransportConfig = field(default_factory=TransportConfig)

    @property
    def origin(self) -> str:
        """Raises:
        InputError: the host is none.
        """
        if not _HOST.fullmatch(self.host):
            raise InputError("registry", f"write {self.host!r} as a host, such as ghcr.io:443")
        return origin_of(f"{'http' if self.plain_http else 'https'}://{self.host}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request.

    Attributes:
        target: path and query, encoded.
        url: where the registry sent us, in the place of `target`.
        passes: statuses that are answers; any other is a failure.
        most_bytes: of the answer's body.
        once: what failed is not asked again as it is.
    """

    asked: Asked
    method: str
    target: str = ""
    url: str = ""
    scopes: Scopes
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    passes: frozenset[int] = _OK
    most_bytes: int = _MOST_WORDS_BYTES
    once: bool = False


class Requests:
    """Attributes:
    pulls_left: as the registry last said.
    """

    def __init__(
        self, config: RegistryConfig, logins: LoginSource, *, seconds: Callable[[], float]
    ) -> None:
        """Raises:
        InputError: the host is none.
        """
        self._origin = config.origin
        self._host = config.host
        self._patience = config.patience
        self._lines = Lines(config.transport, plain_http=config.plain_http)
        self._gate = Gate(config.requests, config.rate)
        self._authorizer = Authorizer(logins, self._lines, seconds=seconds)
        self._greeting = asyncio.Lock()
        self._greeted = asyncio.Event()
        self._failures = 0
        self._failure: StoreError | None = None
        self.pulls_left: int | None = None

    async def greet(self, within: timedelta) -> None:
        """Returns if this is a registry; afterwards it is known what it wants to be shown.

        Args:
            within: for how long it is tried again, where patience is not less.
        """
        asked = Asked(operation=Operation.GREET, host=self._host)
        await self._patiently(asked, self._greet, within=min(within, self._patience))

    async def send(self, ask: Ask) -> Answer:
        """The answer, whose status is one of those that pass.

        Raises:
            StoreError: it is none, or there was no answer, for as long as patience lasts.
        """

        async def once() -> Answer:
            async with AsyncExitStack() as scope:
                response = await self._opened(ask, scope)
                return await read_answer(ask.asked, response, ask.most_bytes)

        return await self._patiently(ask.asked, once, again=not ask.once)

    @asynccontextmanager
    async def open(self, ask: Ask) -> AsyncIterator[Response]:
        """As `send`, with the body still to be read inside the scope."""
        async with AsyncExitStack() as scope:
            yield await self._patiently(ask.asked, lambda: self._opened(ask, scope))

    def resolve(self, location: str, target: str) -> str:
        """The URL that an answer to `target` points to. The registry's own host is asked as it
        was: what stands before it often lets it think of itself as plain HTTP."""
        url = urljoin(self._origin + target, location)
        parts = urlsplit(url)
        if parts.netloc.lower() != urlsplit(self._origin).netloc:
            return url
        return self._origin + parts.path + (f"?{parts.query}" if parts.query else "")

    def is_own(self, url: str) -> bool:
        return origin_of(url) == self._origin

    async def aclose(self) -> None:
        await self._lines.aclose()

    async def _patiently(
        self,
        asked: Asked,
        once: Callable[[], Awaitable[T]],
        *,
        again: bool = True,
        within: timedelta | None = None,
    ) -> T:
        # It begins with the first failure: the turn before that may be long in coming.
        patience: Patience | None = None
        renewed = False
        while True:
            if rest := self._gate.rest_seconds:
                patience = patience or Patience(within or self._patience)
                if await patience.pause(at_least=rest):
                    continue
                raise ThrottledError(
                    f"{asked} failed: the registry asks to be left alone for {math.ceil(rest)}"
                    " seconds; log in for more, or ask for less at once."
                )
            try:
                return await once()
            except RestingError:
                continue
            except (ThrottledError, TransientError):
                if not again:
                    raise
                patience = patience or Patience(within or self._patience)
                if not await patience.pause(at_least=self._gate.rest_seconds):
                    raise
            except DeniedError as error:
                if renewed or error.code != "expired_credentials":
                    raise
                renewed = True
                await self._authorizer.renew()

    async def _opened(self, ask: Ask, scope: AsyncExitStack) -> Response:
        await self._greet()
        async with closing_on_failure(scope):
            await scope.enter_async_context(self._gate.entered())
            hops = await scope.enter_async_context(AsyncExitStack())
            response = await self._authorized(ask, hops)
            if response.status not in ask.passes:
                answer = await read_answer(ask.asked, response, _MOST_WORDS_BYTES)
                raise self._refusal(ask.asked, answer, response)
            self._gate.succeeded()
            if left := response.header("ratelimit-remaining").partition(";")[0]:
                self.pulls_left = int(left) if left.isdecimal() else None
            return response

    async def _authorized(self, ask: Ask, hops: AsyncExitStack) -> Response:
        """The answer; that to a second try, where another authorization may let it in."""
        shown = await self._authorizer.authorization(ask.asked, ask.scopes)
        response = await self._redirected(ask, shown, hops)
        if response.status == HTTPStatus.UNAUTHORIZED:
            challenge = self._authorizer.learn(response.header("www-authenticate"))
            if challenge is None or (shown and challenge.error == "insufficient_scope"):
                return response
        elif not _may_be_expired(ask, response, shown):
            return response
        again = await self._authorizer.authorization(ask.asked, ask.scopes, refused=shown)
        if again == shown:
            return response
        await hops.aclose()
        return await self._redirected(ask, again, hops)

    async def _redirected(self, ask: Ask, authorization: str, hops: AsyncExitStack) -> Response:
        """The answer at the end of all redirects; only the registry itself is shown who asks."""
        url = ask.url or self._origin + ask.target
        for _ in range(_MOST_REDIRECTS + 1):
            shown = {"authorization": authorization} if authorization and self.is_own(url) else {}
            response = await self._lines.open(
                ask.asked, hops, ask.method, url, {**ask.headers, **shown}, ask.body
            )
            if response.status not in _REDIRECTS or ask.method not in {"GET", "HEAD"}:
                return response
            url = urljoin(url, response.header("location"))
            await hops.aclose()
        raise garbled(ask.asked, f"more than {_MOST_REDIRECTS} redirects")

    def _refusal(self, asked: Asked, answer: Answer, response: Response) -> StoreError:
        code, message = words_of(answer.body)
        error = classed(
            asked,
            Refusal(
                status=answer.status,
                code=code,
                message=message,
                request_id=response.header("x-amzn-requestid") or response.header("x-request-id"),
                anonymous=self._authorizer.anonymous,
                by_password=self._authorizer.by_password,
            ),
        )
        rest = retry_after(response.header("retry-after"))
        if isinstance(error, ThrottledError) or (error.retryable and rest):
            self._gate.throttled(rest)
        return error

    async def _greet(self) -> None:
        """Asks once, however many wait for it; all of them share one failure."""
        if self._greeted.is_set():
            return
        failures = self._failures
        async with self._greeting:
            if self._failures != failures and self._failure is not None:
                raise self._failure
            if self._greeted.is_set():
                return
            try:
                await self._say_hello()
            except StoreError as error:
                self._failures += 1
                self._failure = error
                raise
            self._greeted.set()

    async def _say_hello(self) -> None:
        asked = Asked(operation=Operation.GREET, host=self._host)
        ask = Ask(asked=asked, method="GET", target="/v2/", scopes=())
        async with AsyncExitStack() as hops:
            response = await self._redirected(ask, "", hops)
            answer = await read_answer(asked, response, _MOST_WORDS_BYTES)
            if answer.status == HTTPStatus.UNAUTHORIZED:
                self._authorizer.learn(answer.fields["www-authenticate"])
            elif answer.status == HTTPStatus.OK:
                _check_hello(asked, answer)
            elif answer.status != HTTPStatus.FORBIDDEN:
                raise self._refusal(asked, answer, response)


def _may_be_expired(ask: Ask, response: Response, shown: str) -> bool:
    """Amazon ECR answers 403 to a login that has expired, and cannot say so to a HEAD."""
    refused = response.status == HTTPStatus.FORBIDDEN and ask.method == "HEAD"
    return refused and shown.startswith("Basic ")


def _check_hello(asked: Asked, answer: Answer) -> None:
    """A web page also answers with 200, wherever it is asked."""
    if "html" in answer.fields["content-type"] or answer.body.lstrip()[:1] not in {b"", b"{"}:
        raise no_registry(asked, "200, and a page for people")


def retry_after(header: str) -> float:
    """Seconds to wait, by a header Retry-After; 0 where it says nothing."""
    header = header.strip()
    if header.isascii() and header.isdecimal():
        return min(float(header), _LONGEST_REST)
    try:
        there = parsedate_to_datetime(header)
    except ValueError:
        return 0.0
    if there.tzinfo is None:
        return 0.0
    return min(max(0.0, (there - utc_now()).total_seconds()), _LONGEST_REST)
