"""Requests to one bucket: addressed, signed, sent, and their refusals raised."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from types import TracebackType
from typing import Self

from transferhub.errors import StoreError
from transferhub.model.clock import Clock, utc_now
from transferhub.stores.s3.credentials import Credentials, CredentialSource
from transferhub.stores.s3.errors import (
    Asked,
    Operation,
    bad_key,
    classed,
    garbled,
    holds_error,
    refusal_of,
    unreachable,
)
from transferhub.stores.s3.headers import parse_http_date
from transferhub.stores.s3.keys import MAX_KEY_BYTES, has_dot_segment, is_unusual
from transferhub.stores.s3.providers import OTHER, Endpoint, recognised
from transferhub.stores.s3.signer import (
    EMPTY_SHA256,
    UNSIGNED_PAYLOAD,
    Signer,
    encode_key,
    encode_query,
)
from transferhub.stores.s3.transport import (
    Fault,
    Request,
    Response,
    Transport,
    TransportConfig,
    TransportError,
    UnreadableHeadersError,
)
from transferhub.stores.s3.xml import BadXmlError

_FIRST_FAILURE = 300
_LONGEST_REFUSAL = 64 << 10
NO_QUERY: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Config:
    """One bucket and how it is reached.

    Attributes:
        request_payer: the one who asks pays, as buckets of that kind want it said.
    """

    bucket: str
    endpoint: Endpoint
    request_payer: bool = False
    transport: TransportConfig = field(default_factory=TransportConfig)


class Requests:
    """Sends the requests of one bucket. Every failure is a StoreError, and none is retried, but for
    a connection that was closed while it lay idle.

    Attributes:
        provider: as configured, or as the server turned out to be.
    """

    def __init__(
        self,
        config: S3Config,
        credentials: CredentialSource,
        *,
        transport: Transport,
        raw: Transport,
        clock: Clock = utc_now,
    ) -> None:
        """Args:
        transport: carries nearly everything.
        raw: carries targets that `transport` would change, and reads headers that it cannot.
        """
        endpoint = config.endpoint
        self._config = config
        self._credentials = credentials
        self._transport = transport
        self._raw = raw
        self._clock = clock
        self._start = endpoint.path_of(config.bucket)
        host = endpoint.origin_of(config.bucket).partition("://")[2]
        self._signer = Signer(host=host, region=endpoint.region)
        # Over TLS nobody can change a body on its way; over HTTP Content-MD5 is signed at least.
        self._signs_payload = endpoint.provider.signs_payload and not endpoint.secure
        self.provider = endpoint.provider
        # Whether the server may yet turn out to be one that is known for its quirks.
        self._unknown = endpoint.provider.name == OTHER.name
        self._date = ""
        self._dated_at = 0.0

    @property
    def server_time(self) -> datetime | None:
        date = parse_http_date(self._date) if self._date else None
        return date and date + timedelta(seconds=time.monotonic() - self._dated_at)

    async def send(
        self,
        operation: Operation,
        method: str,
        key: str,
        *,
        query: Mapping[str, str] = NO_QUERY,
        headers: dict[str, str] | None = None,
        body: bytes | None = None,
    ) -> Response:
        """The answer, which is a success. `headers` become the request's own.

        Raises:
            StoreError: it is none, or there is no answer.
        """
        request = await self._signed(operation, method, key, query, headers or {}, body)
        return await self._exchange(operation, key, request, self._transport_for(request))

    async def send_for_headers(
        self,
        operation: Operation,
        method: str,
        key: str,
        headers: dict[str, str],
        *,
        query: Mapping[str, str] = NO_QUERY,
    ) -> Mapping[str, str]:
        """As `send`, for an answer of which all headers are wanted."""
        request = await self._signed(operation, method, key, query, headers, None)
        response = await self._exchange(operation, key, request, self._transport_for(request))
        try:
            return response.headers()
        except UnreadableHeadersError:
            return (await self._exchange(operation, key, request, self._raw)).headers()

    async def _exchange(
        self, operation: Operation, key: str, request: Request, transport: Transport
    ) -> Response:
        try:
            try:
                response = await transport.send(request)
            except TransportError as error:
                if not _may_repeat(request, error):
                    raise
                response = await transport.send(request)
            if response.status >= _FIRST_FAILURE:
                raise self.refused(operation, key, response, await response.read())
        except TransportError as error:
            raise unreachable(self.asked(operation, key), error) from error
        self.note(response)
        return response

    async def open(self, key: str, headers: dict[str, str]) -> OpenAnswer:
        """Opens a GET of the object. Close what is returned."""
        request = await self._signed(Operation.GET, "GET", key, NO_QUERY, headers, None)
        return await OpenAnswer(self, key, request).enter(self._transport_for(request), self._raw)

    async def body_of(self, operation: Operation, key: str, response: Response) -> bytes:
        """The body of a success, which may turn out to be none.

        CompleteMultipartUpload, CopyObject and UploadPartCopy send their status before they have
        done the work, and say in the body what went wrong.
        """
        try:
            body = await response.read()
        except TransportError as error:
            raise unreachable(self.asked(operation, key), error) from error
        if holds_error(body):
            raise self.refused(operation, key, response, body)
        return body

    @contextmanager
    def xml_expected(self, operation: Operation, key: str) -> Iterator[None]:
        """Inside it, XML that is not S3's is a StoreError."""
        try:
            yield
        except (BadXmlError, ValueError) as error:
            raise garbled(self.asked(operation, key), str(error)) from error

    def asked(self, operation: Operation, key: str) -> Asked:
        endpoint = self._config.endpoint
        return Asked(
            operation=operation,
            bucket=self._config.bucket,
            key=key,
            endpoint=endpoint.url,
            region=endpoint.region,
        )

    def refused(
        self, operation: Operation, key: str, response: Response, body: bytes
    ) -> StoreError:
        """The error that an answer is."""
        self.note(response)
        return classed(self.asked(operation, key), refusal_of(response, body, clock=self._clock))

    async def aclose(self) -> None:
        await self._transport.aclose()
        await self._raw.aclose()

    def note(self, response: Response) -> None:
        """Remembers the server's clock, and who it is."""
        if self._unknown:
            found = recognised(response.header)
            self.provider = found or self.provider
            # What refuses may yet be a proxy or a balancer in front of it.
            self._unknown = found is None and response.status >= _FIRST_FAILURE
        self._date, self._dated_at = response.header("date"), time.monotonic()

    def _transport_for(self, request: Request) -> Transport:
        # A URL parser would resolve `.` and `..`.
        return self._raw if has_dot_segment(request.path) else self._transport

    async def _signed(
        self,
        operation: Operation,
        method: str,
        key: str,
        query: Mapping[str, str],
        headers: dict[str, str],
        body: bytes | None,
    ) -> Request:
        path = f"{self._start}/{self.encoded(operation, key)}" if key else self._start or "/"
        encoded_query = encode_query(query) if query else ""
        if self._config.request_payer:
            headers["x-amz-request-payer"] = "requester"
        credentials = await self._find_credentials(operation, key)
        if credentials is not None:
            self._signer.sign(
                method,
                path,
                encoded_query,
                headers,
                payload=self._payload(body),
                credentials=credentials,
            )
        return Request(method, path, encoded_query, headers, body)

    async def _find_credentials(self, operation: Operation, key: str) -> Credentials | None:
        """Raises the source's own StoreError, with the place that it wanted them for."""
        try:
            return await self._credentials.current()
        except StoreError as error:
            said = f"{error.message[:1].lower()}{error.message[1:]}"
            asked = self.asked(operation, key)
            raise type(error)(f"{asked} failed: {said}", code=error.code) from error

    def _payload(self, body: bytes | None) -> str:
        if not self._signs_payload:
            return UNSIGNED_PAYLOAD
        return sha256(body).hexdigest() if body else EMPTY_SHA256

    async def check_key(self, operation: Operation, key: str, *, has_body: bool = False) -> None:
        """Refuses a key that this store, unlike others, cannot hold exactly.

        Raises:
            UnsupportedError: code "bad_key".
        """
        if not key:
            raise bad_key(self.asked(operation, key), "a key is not empty")
        if is_unusual(key):
            self.encoded(operation, key)
            await self._get_acquainted()
            fault = self.provider.keys.fault(key, has_body=has_body)
            if fault:
                raise bad_key(self.asked(operation, key), fault)

    async def _get_acquainted(self) -> None:
        """Learns who the server is before it is sent something that it might change."""
        if not self._unknown:
            return
        query = {"list-type": "2", "max-keys": "1"}
        try:
            await self.send(Operation.LIST, "GET", "", query=query)
        except StoreError as error:
            if error.retryable or not error.status:
                raise
            # It may not be listed; that is all that it will tell.
            self._unknown = False

    def encoded(self, operation: Operation, key: str) -> str:
        """The key as it stands in a path.

        Raises:
            UnsupportedError: code "bad_key", no store of this kind can hold it.
        """
        try:
            encoded = encode_key(key)
        except UnicodeEncodeError:
            raise bad_key(self.asked(operation, key), "a key is UTF-8, and this is not") from None
        if len(encoded) > MAX_KEY_BYTES and len(key.encode()) > MAX_KEY_BYTES:
            raise bad_key(
                self.asked(operation, key), f"a key has no more than {MAX_KEY_BYTES} bytes"
            )
        return encoded


def _may_repeat(request: Request, error: TransportError) -> bool:
    """Whether a request that may have met the end of an idle connection is sent once more.

    A server may close one at the very moment at which it is used again; what is idempotent can then
    be sent on another (RFC 9110, "Idempotent Methods").
    """
    return error.fault is Fault.UNANSWERED and request.method != "POST"


async def _start_of(response: Response) -> bytes:
    """As much of a refusal's body as anybody will read: a web server may send any page."""
    body = b""
    async for chunk in response.chunks():
        body += chunk
        if len(body) >= _LONGEST_REFUSAL:
            break
    return body


class OpenAnswer:
    """A GET whose body is still to be read."""

    __slots__ = ("_key", "_request", "_requests", "_scope", "headers", "response")

    def __init__(self, requests: Requests, key: str, request: Request) -> None:
        self._requests = requests
        self._key = key
        self._request = request

    async def enter(self, transport: Transport, raw: Transport) -> Self:
        try:
            await self._open(transport)
            try:
                self.headers = self.response.headers()
            except UnreadableHeadersError:
                await self.close()
                await self._open(raw)
                self.headers = self.response.headers()
        except TransportError as error:
            raise unreachable(self._requests.asked(Operation.GET, self._key), error) from error
        self._requests.note(self.response)
        return self

    async def _open(self, transport: Transport) -> None:
        self._scope = transport.open(self._request)
        try:
            response = await self._scope.__aenter__()
        except TransportError as error:
            if not _may_repeat(self._request, error):
                raise
            self._scope = transport.open(self._request)
            response = await self._scope.__aenter__()
        self.response = response
        if response.status >= _FIRST_FAILURE:
            try:
                body = await _start_of(response)
            finally:
                await self.close()
            raise self._requests.refused(Operation.GET, self._key, response, body)

    async def close(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        await self._scope.__aexit__(kind, error, trace)
