"""Asks an identity provider, over HTTP."""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from contextlib import AsyncExitStack
from ipaddress import ip_address
from typing import Any
from urllib.parse import SplitResult, urlsplit

import httpcore

from transferhub.control.endpoints import check_endpoint, resolve_name
from transferhub.control.openid import IssuerKeys, OpenId, OpenIdRules
from transferhub.errors import AccessError, InputError
from transferhub.hosts.hub_settings import HubSettings
from transferhub.model.clock import utc_now

_SECONDS = 10.0
_LARGEST = 1 << 20


class HttpJson:
    """A FetchJson: HTTPS, or HTTP on this machine; redirects are not followed."""

    def __init__(self, trust: ssl.SSLContext | None = None, *, guarded: bool = True) -> None:
        """Args:
        trust: None trusts what the system trusts.
        guarded: whether link-local addresses and metadata services are refused.
        """
        self._guarded = guarded
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=trust or ssl.create_default_context(), max_connections=4, retries=1
        )

    async def get(self, url: str) -> Any:  # noqa: ANN401 - any JSON value
        """Raises AccessError with the code `no_provider` where there is no good answer."""
        _check(url)
        if self._guarded:
            await _check_host(url)
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


def open_provider(settings: HubSettings, stack: AsyncExitStack) -> OpenId | None:
    """Takes tokens of the provider of the settings until `stack` ends; None where they name none.
    Nothing is asked before the first token."""
    if not settings.oidc_issuer:
        return None
    fetch = HttpJson(guarded=not settings.allow_metadata_endpoints)
    stack.push_async_callback(fetch.aclose)
    rules = OpenIdRules(
        issuer=settings.oidc_issuer,
        audience=settings.oidc_audience,
        roles=settings.oidc_roles,
        everyone=settings.oidc_everyone,
    )
    return OpenId(rules, IssuerKeys(fetch, settings.oidc_issuer, utc_now), utc_now)


def sign_in_config(settings: HubSettings) -> Mapping[str, Any]:
    """What `/config.json` says of how people sign in."""
    if not settings.oidc_issuer:
        return {"auth": {"mode": "local"}}
    return {
        "auth": {
            "mode": "oidc",
            "authority": settings.oidc_issuer,
            "clientId": settings.oidc_client,
            "scope": settings.oidc_scope,
            "logoutUrl": settings.oidc_logout_url,
            # The one of the two that is for the hub, as its audience says.
            "token": "id_token"
            if settings.oidc_audience == settings.oidc_client
            else "access_token",
        }
    }


def provider_origins(settings: HubSettings) -> frozenset[str]:
    """Where the console asks for tokens. The address for signing out is at the same host as that
    for tokens where a provider has a host of its own for them, as Amazon Cognito has."""
    urls = [settings.oidc_issuer, settings.oidc_logout_url]
    return frozenset(f"{at.scheme}://{at.netloc}" for at in map(urlsplit, urls) if at.netloc)


async def _check_host(url: str) -> None:
    try:
        await check_endpoint(url, resolve_name)
    except InputError:
        raise _fault(url, "is a link-local address or a metadata service") from None


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
