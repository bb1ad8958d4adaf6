"""Posts to receivers over HTTP."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpcore

from transferhub.control.endpoints import Resolve
from transferhub.control.letters import shown
from transferhub.errors import SendError
from transferhub.hosts.senders.addresses import addresses_of

_SECONDS = 15.0
_LARGEST = 1 << 16
_LONGEST = 300
_SUCCESS = range(200, 300)
_REDIRECT = range(300, 400)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver said; its status is one of success."""

    host: str
    status: int
    text: str

    @property
    def sentence(self) -> str:
        return _sentence(self.host, self.status, self.text)

    def json(self) -> Mapping[str, Any]:
        """{} where it is no JSON object."""
        try:
            document = json.loads(self.text)
        except ValueError:
            return {}
        return document if isinstance(document, dict) else {}


class HttpPost:
    """Follows no redirect and keeps no connection open."""

    def __init__(
        self, resolve: Resolve, *, guarded: bool = True, trust: ssl.SSLContext | None = None
    ) -> None:
        """Args:
        guarded: whether link-local addresses and metadata services are refused.
        trust: None trusts what the system trusts.
        """
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=trust or ssl.create_default_context(),
            max_connections=16,
            max_keepalive_connections=0,
            network_backend=_Network(resolve, guarded=guarded),
        )

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Raises SendError, which does not hold the URL, where the answer is no success."""
        host = urlsplit(url).hostname or ""
        try:
            status, text = await self._exchange(url, body, headers)
        except httpcore.TimeoutException as error:
            raise SendError(f"{host} did not answer within {_SECONDS:.0f} seconds.") from error
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            why = shown(str(error), _LONGEST) or type(error).__name__
            raise SendError(f"{host} cannot be reached: {why}") from error
        except (httpcore.UnsupportedProtocol, UnicodeError) as error:
            raise SendError(f"{host} is no address that can be reached.") from error
        if status in _REDIRECT:
            raise SendError(f"{host} answered with a redirect ({status}); give the address itself.")
        if status not in _SUCCESS:
            raise SendError(_sentence(host, status, text))
        return Answer(host, status, text)

    async def post_json(self, url: str, document: Mapping[str, Any]) -> Answer:
        """Raises SendError where the answer is no success."""
        return await self.post(url, json.dumps(document, ensure_ascii=False).encode(), {})

    async def aclose(self) -> None:
        await self._pool.aclose()

    async def _exchange(self, url: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, str]:
        fields = {
            "content-type": "application/json; charset=utf-8",
            "user-agent": "data-transfer-hub",
            **headers,
        }
        timeout = dict.fromkeys(("connect", "read", "write", "pool"), _SECONDS)
        async with self._pool.stream(
            "POST", url, headers=list(fields.items()), content=body, extensions={"timeout": timeout}
        ) as answer:
            said = b""
            async for piece in answer.aiter_stream():
                said += piece
                if len(said) > _LARGEST:
                    break
        return answer.status, said[:_LARGEST].decode(errors="replace")


class _Network(httpcore.AsyncNetworkBackend):
    """Connects to addresses that were checked, whatever their name says a moment later."""

    def __init__(self, resolve: Resolve, *, guarded: bool) -> None:
        self._resolve = resolve
        self._guarded = guarded
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's own
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        addresses = await addresses_of(host, self._resolve, guarded=self._guarded)
        for address in addresses[:-1]:
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue  # the last one's error is told
        return await self._inner.connect_tcp(addresses[-1], port, timeout, local_address)


def _sentence(host: str, status: int, text: str) -> str:
    said = shown(" ".join(text.split()), _LONGEST)
    return f"{host} answered {status}: {said}" if said else f"{host} answered {status}."
