"""Connections to a registry, and to where it sends us: its tokens' and its blobs' hosts."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import NamedTuple
from urllib.parse import urlsplit

from transferhub.errors import DeniedError, UnsupportedError
from transferhub.registries.errors import Asked, garbled, unreachable
from transferhub.stores.s3.choice import choose_transports
from transferhub.stores.s3.transport import (
    Request,
    Response,
    Transport,
    TransportConfig,
    TransportError,
)

_MOST_HOSTS = 64
_READ_FIELDS = (
    "content-length",
    "content-type",
    "docker-content-digest",
    "docker-distribution-api-version",
    "link",
    "location",
    "oci-subject",
    "ratelimit-remaining",
    "www-authenticate",
)


class Answer(NamedTuple):
    """Attributes:
    fields: of those headers that anybody here reads; "" where there is none.
    """

    status: int
    fields: Mapping[str, str]
    body: bytes


class Lines:
    """One pool of connections for each host."""

    def __init__(self, config: TransportConfig, *, plain_http: bool) -> None:
        self._config = config
        self._plain_http = plain_http
        self._by_origin: dict[str, tuple[Transport, Transport]] = {}

    async def open(
        self,
        asked: Asked,
        scope: AsyncExitStack,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None = None,
    ) -> Response:
        """The answer of one request. That of a GET is still to be read, until the scope ends.

        Raises:
            StoreError: there is none, or the URL is plain HTTP and nobody asked for that.
        """
        parts = urlsplit(url)
        transport = self._to(asked, url)
        request = Request(method, parts.path or "/", parts.query, headers, body)
        try:
            if method == "GET":
                return await scope.enter_async_context(transport.open(request))
            return await transport.send(request)
        except TransportError as error:
            raise unreachable(asked, error, host=parts.netloc) from error

    async def whole(
        self,
        asked: Asked,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None = None,
        *,
        most_bytes: int,
    ) -> Answer:
        """As `open`, with its body read."""
        async with AsyncExitStack() as scope:
            response = await self.open(asked, scope, method, url, headers, body)
            return await read_answer(asked, response, most_bytes)

    def _to(self, asked: Asked, url: str) -> Transport:
        origin = origin_of(url)
        found = self._by_origin.get(origin)
        if found is None:
            found = self._by_origin[origin] = self._made(asked, origin)
        return found[0]

    def _made(self, asked: Asked, origin: str) -> tuple[Transport, Transport]:
        secure = origin.startswith("https://")
        if not secure and not (self._plain_http and origin.startswith("http://")):
            raise DeniedError(
                f"{asked} failed: it leads to {origin or 'nowhere'}, which is not HTTPS; ask for"
                " plain HTTP if that is meant.",
                code="tls",
            )
        if len(self._by_origin) >= _MOST_HOSTS:
            raise garbled(asked, "it leads to ever more hosts")
        try:
            return choose_transports(origin, self._config)
        except ValueError as error:
            raise garbled(asked, f"{origin} is no address") from error

    async def aclose(self) -> None:
        for usual, raw in self._by_origin.values():
            await usual.aclose()
            await raw.aclose()


def origin_of(url: str) -> str:
    """Scheme, host and port, as browsers compare them; "" where it is no URL."""
    parts = urlsplit(url)
    if not parts.netloc:
        return ""
    host = parts.netloc.rpartition("@")[2].lower()
    default = {"https": ":443", "http": ":80"}.get(parts.scheme, "")
    return f"{parts.scheme}://{host.removesuffix(default) if default else host}"


async def read_answer(asked: Asked, response: Response, most_bytes: int) -> Answer:
    """Raises:
    StoreError: it did not come whole, or is longer.
    """
    body = bytearray()
    async for piece in chunks(asked, response):
        body += piece
        if len(body) > most_bytes:
            raise UnsupportedError(
                f"{asked} failed: the answer is longer than {most_bytes} bytes, which no registry"
                " should send."
            )
    fields = {name: response.header(name) for name in _READ_FIELDS}
    return Answer(response.status, fields, bytes(body))


async def chunks(asked: Asked, response: Response) -> AsyncGenerator[bytes, None]:
    """Raises:
    StoreError: the body did not come whole.
    """
    try:
        async for piece in response.chunks():
            yield piece
    except TransportError as error:
        raise unreachable(asked, error, host=asked.host) from error


@asynccontextmanager
async def closing_on_failure(scope: AsyncExitStack) -> AsyncIterator[None]:
    """Ends the scope early where its body fails, so that it can be used for another try."""
    try:
        yield
    except BaseException:
        await scope.aclose()
        raise
