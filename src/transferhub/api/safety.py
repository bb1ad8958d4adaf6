"""What every answer carries and every request must keep to, whatever is asked."""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import ceil
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from transferhub.errors import (
    AccessError,
    InputError,
    SignInError,
    TooManyError,
    TransferHubError,
)

BODY_BYTES = 1 << 20
"""Longest body of a request."""

_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
        " font-src 'self'; connect-src {connects}; form-action 'self'; base-uri 'none';"
        " frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where browsers find the hub.

    Attributes:
        origins: such as http://127.0.0.1:8420. Requests by another name are refused: a page of
            another site may have had that name point here.
        secure: browsers come by https.
        connects: other origins that pages may ask: those of an identity provider.
    """

    origins: frozenset[str]
    secure: bool
    connects: frozenset[str] = frozenset()

    @property
    def hosts(self) -> frozenset[str]:
        return frozenset(origin.partition("://")[2] for origin in self.origins)


class Safety:
    """Middleware: refuses requests to other hosts, and gives each answer its headers."""

    def __init__(self, app: ASGIApp, site: Site) -> None:
        self._app = app
        self._hosts = site.hosts
        connects = " ".join(["'self'", *sorted(site.connects)])
        self._headers = {name: value.format(connects=connects) for name, value in _HEADERS.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        if Headers(scope=scope).get("host", "") in self._hosts:
            await self._app(scope, receive, send_safely)
        else:
            known = ", ".join(sorted(self._hosts))
            error = InputError("Host", f"the hub is known as {known}", code="bad_host")
            await refused_for(error)(scope, receive, send_safely)


async def read_body(request: Request) -> bytes:
    """The request's body.

    Raises:
        InputError: it is longer than BODY_BYTES, of which nobody reads the rest.
    """
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > BODY_BYTES:
            raise InputError("body", f"is longer than {BODY_BYTES >> 20} MiB", code="too_long")
    return bytes(body)


class JsonAnswer(JSONResponse):
    """JSON in ASCII: halves of surrogate pairs, which a request may hold, have no other bytes."""

    def render(self, content: Any) -> bytes:  # noqa: ANN401 - any JSON value
        return json.dumps(content, separators=(",", ":")).encode()


async def read_json(request: Request) -> dict[str, Any]:
    """The JSON object in the request's body.

    Raises:
        InputError
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise InputError("content-type", "must be application/json")
    body = await read_body(request)
    try:
        read = json.loads(body)
    except (ValueError, RecursionError):
        read = None
    if not isinstance(read, dict):
        raise InputError("body", "is no JSON object")
    return read


def refused_for(error: TransferHubError) -> Response:
    """The answer to a request that failed before it was understood."""
    seconds = 0
    match error:
        case SignInError():
            status = 401
        case TooManyError():
            status, seconds = 429, ceil(error.wait.total_seconds())
        case AccessError():
            status = 403
        case InputError(code="too_long"):
            status = 413
        case InputError(code="bad_host"):
            status = 421  # Misdirected Request
        case InputError():
            status = 400
        case _:
            status = 503
    told = {"message": error.message, "extensions": {"code": error.code}}
    headers = {"retry-after": str(seconds)} if seconds else {}
    return JsonAnswer({"errors": [told]}, status, headers=headers)
