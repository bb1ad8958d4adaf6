"""Asks an identity provider, over HTTP."""

from __future__ import annotations

import json
import ssl
from ipaddress import ip_address
from typing import Any
from urllib.parse import SplitResult, urlsplit

import httpcore

from transferhub.errors import AccessError

_SECONDS = 10.0
_LARGEST = 1 << 20


class HttpJson:
    """A FetchJson: HTTPS, or HTTP on this machine; redirects are not followed."""

    def __init__(self, trust: ssl.SSLContext | None = None) -> None:
        """Args:
        trust: None trusts what the system trusts.
        """
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=trust or ssl.create_default_context(), max_connections=4, retries=1
        )

    async def get(self, url: str) -> Any:  # noqa: ANN401 - any JSON value
        """Raises AccessError with the code `no_provider` where there is no good answer."""
        _check(url)
        try:
            body = await self._body(url)
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as error:
            raise _fault(url, f"did not answer ({type(error).__name__})") from error
        except (httpcore.UnsupportedProtocol, UnicodeError) as error:
            raise _fault(url, "is no address") from error
        try:
            return json.loads(body)
        except ValueError:
            raise _fault(url, "did not answer with JSON") from None

    async def aclose(self) -> None:
        await self._pool.aclose()

    async def _body(self, url: str) -> bytes:
        timeout = dict.fromkeys(("connect", "read", "write", "pool"), _SECONDS)
        headers = [("accept", "application/json"), ("user-agent", "data-transfer-hub")]
        body = b""
        async with self._pool.stream(
            "GET", url, headers=headers, extensions={"timeout": timeout}
        ) as answer:
            if answer.status != 200:  # noqa: PLR2004 - OK
                raise _fault(url, f"answered with the status {answer.status}")
            async for piece in answer.aiter_stream():
                body += piece
                if len(body) > _LARGEST:
                    raise _fault(url, "answered with too much")
        return body


def _check(url: str) -> None:
    try:
        parts = urlsplit(url)
        safe = parts.scheme == "https" or (parts.scheme == "http" and _is_here(parts))
    except ValueError:
        safe = False
    if not safe:
        raise _fault(url, "is not HTTPS")


def _is_here(parts: SplitResult) -> bool:
    host = parts.hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _fault(url: str, what: str) -> AccessError:
    return AccessError(f"The identity provider at {url[:200]} {what}.", code="no_provider")
