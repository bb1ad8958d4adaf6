"""How people and programs come in, over HTTP."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from transferhub.api.safety import Site, read_json
from transferhub.control.openid import OpenId
from transferhub.control.people import TOKEN_PREFIX
from transferhub.control.signin import SignedIn, SignIn
from transferhub.errors import AccessError, InputError, SignInError
from transferhub.model.people import Caller

_SAFE_METHODS = frozenset({"GET", "HEAD"})


class Doors:
    """Sessions in a cookie for browsers; API tokens and those of an identity provider in a header.

    A cookie goes along with what any page asks, so what changes something must name this site as
    its origin and be JSON, which no form can send.
    """

    def __init__(self, sign_in: SignIn, site: Site, openid: OpenId | None = None) -> None:
        """Args:
        openid: takes tokens of an identity provider; None where there is none.
        """
        self._sign_in = sign_in
        self._openid = openid
        self._site = site
        # A cookie with this prefix can only be set over https, by this host itself.
        self._cookie = "__Host-dth" if site.secure else "dth"

    async def caller(self, request: Request) -> Caller:
        """Who asks.

        Raises:
            SignInError, AccessError
        """
        header = request.headers.get("authorization", "")
        if header:
            kind, _, token = header.partition(" ")
            return await self._with_token(token.strip() if kind.lower() == "bearer" else header)
        secret = request.cookies.get(self._cookie, "")
        if not secret:
            raise SignInError("Sign in first, or send an API token as the header Authorization.")
        if request.method not in _SAFE_METHODS:
            self._check_origin(request)
        return await self._sign_in.with_session(secret)

    async def _with_token(self, token: str) -> Caller:
        if self._openid is None or token.startswith(TOKEN_PREFIX):
            return await self._sign_in.with_token(token)
        return await self._openid.caller(token)

    async def enter(self, request: Request) -> Response:
        """Takes `{"link": …}` or `{"name": …, "password": …}` and gives a cookie."""
        self._check_origin(request)
        given = await read_json(request)
        address = request.client.host if request.client else ""
        if "link" in given:
            signed_in = await self._sign_in.with_link(_text(given, "link"), address=address)
        else:
            signed_in = await self._sign_in.with_password(
                _text(given, "name"), _text(given, "password"), address=address
            )
        return self._welcome(signed_in)

    async def who(self, request: Request) -> Response:
        return JSONResponse(_told(await self.caller(request)))

    async def leave(self, request: Request) -> Response:
        self._check_origin(request)
        await self._sign_in.sign_out(request.cookies.get(self._cookie, ""))
        response = JSONResponse({"status": "ok"})
        response.delete_cookie(
            self._cookie, secure=self._site.secure, httponly=True, samesite="strict"
        )
        return response

    def _welcome(self, signed_in: SignedIn) -> Response:
        response = JSONResponse(_told(signed_in.caller))
        response.set_cookie(
            self._cookie,
            signed_in.secret,
            expires=signed_in.ends_at,
            secure=self._site.secure,
            httponly=True,
            samesite="strict",
        )
        return response

    def _check_origin(self, request: Request) -> None:
        if request.headers.get("origin", "") not in self._site.origins:
            raise AccessError("This was asked by a page of another site.")


def _text(given: dict[str, object], name: str) -> str:
    value = given.get(name)
    if not isinstance(value, str) or not value:
        raise InputError(name, "is missing")
    return value


def _told(caller: Caller) -> dict[str, object]:
    return {"name": caller.name, "role": caller.role.value, "how": caller.how.value}
