"""What is shown to a registry that wants to know who asks: a password, or a token for it.

Source: OCI distribution-spec and Docker's "Token Authentication Specification", "OAuth 2".
"""

from __future__ import annotations

import asyncio
import json
import time
from base64 import b64encode
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import urlencode, urlsplit

from transferhub.errors import DeniedError
from transferhub.registries.base import Login, LoginSource
from transferhub.registries.challenges import Challenge, best_challenge
from transferhub.registries.errors import Asked, Refusal, garbled, login_refused, words_of
from transferhub.registries.lines import Answer, Lines

Scopes = tuple[str, ...]
"""Such as repository:app/web:pull,push."""

CATALOG: Scopes = ("registry:catalog:*",)

_MOST_TOKEN_BYTES = 1 << 20
_MOST_TOKENS = 2_000
_LEAST_SECONDS = 60
"""How long a token without `expires_in` is valid, by the specification."""

_MARGIN_SECONDS = 30.0
_CLIENT = "data-transfer-hub"


def pulls(repository: str) -> Scopes:
    return (f"repository:{repository}:pull",)


def pushes(repository: str, *, source: str = "") -> Scopes:
    """Args:
    source: a repository that blobs are mounted from.
    """
    own = f"repository:{repository}:pull,push"
    return (own, *pulls(source)) if source and source != repository else (own,)


def deletes(repository: str) -> Scopes:
    """Registries differ in the right that deleting takes."""
    return (f"repository:{repository}:delete,pull,push",)


@dataclass(slots=True)
class _Slot:
    """The token for some scopes, and whoever fetches it."""

    token: str = field(default="", repr=False)
    renew_at: float = 0.0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Authorizer:
    """Answers the challenges of one registry. Tokens are kept for each scope, fetched once however
    many wait for one, and renewed before they expire."""

    def __init__(
        self, logins: LoginSource, lines: Lines, *, seconds: Callable[[], float] = time.monotonic
    ) -> None:
        self._logins = logins
        self._seconds = seconds
        self._lines = lines
        self._challenge: Challenge | None = None
        self._slots: OrderedDict[Scopes, _Slot] = OrderedDict()
        self.anonymous = True

    @property
    def by_password(self) -> bool:
        """Whether the registry itself checks passwords, rather than tokens."""
        return self._challenge is not None and self._challenge.scheme == "basic"

    def learn(self, header: str) -> Challenge | None:
        """Remembers what the registry wants to be shown, by its WWW-Authenticate."""
        challenge = best_challenge(header)
        if challenge is not None:
            self._challenge = challenge
        return challenge

    async def authorization(self, asked: Asked, scopes: Scopes, *, refused: str = "") -> str:
        """The header Authorization; "" where the registry has not asked for one.

        Args:
            refused: the last one, if the registry did not take it.

        Raises:
            StoreError: there is none to be had.
        """
        challenge = self._challenge
        if challenge is None:
            return ""
        if challenge.scheme == "basic":
            login = await self._login(renewed=refused.startswith("Basic "))
            if login is None:
                # A registry may want it of writers only.
                return ""
            return _basic(login)
        token = await self._token(asked, challenge, scopes, refused.removeprefix("Bearer "))
        return f"Bearer {token}"

    async def renew(self) -> None:
        """Forgets what was refused because it is too old."""
        self._slots.clear()
        await self._login(renewed=True)

    async def _login(self, *, renewed: bool = False) -> Login | None:
        login = await self._logins.current(renewed=renewed)
        self.anonymous = login is None
        return login

    async def _token(self, asked: Asked, challenge: Challenge, scopes: Scopes, refused: str) -> str:
        slot = self._slot(scopes)
        async with slot.lock:
            if slot.token and slot.token != refused and self._seconds() < slot.renew_at:
                return slot.token
            slot.token, valid = await self._fetch(asked, challenge, scopes)
            slot.renew_at = self._seconds() + valid - min(_MARGIN_SECONDS, valid / 4)
            return slot.token

    def _slot(self, scopes: Scopes) -> _Slot:
        """Who may write may read, so a token for both serves reading too."""
        wider = tuple(f"{scope},push" for scope in scopes)
        for key in (scopes, wider):
            if key in self._slots:
                self._slots.move_to_end(key)
                return self._slots[key]
        slot = self._slots[scopes] = _Slot()
        if len(self._slots) > _MOST_TOKENS:
            self._slots.popitem(last=False)
        return slot

    async def _fetch(self, asked: Asked, challenge: Challenge, scopes: Scopes) -> tuple[str, float]:
        login = await self._login()
        answer = await self._ask_for_token(asked, challenge, scopes, login)
        if answer.status != HTTPStatus.OK:
            code, message = words_of(answer.body)
            said = Refusal(
                status=answer.status, code=code, message=message, anonymous=login is None
            )
            raise login_refused(asked, urlsplit(challenge.realm).netloc, said)
        return _read_token(asked, answer.body)

    async def _ask_for_token(
        self, asked: Asked, challenge: Challenge, scopes: Scopes, login: Login | None
    ) -> Answer:
        url = challenge.realm
        fields = [("service", challenge.service)] if challenge.service else []
        if login is not None and login.identity_token:
            fields += [
                ("grant_type", "refresh_token"),
                ("client_id", _CLIENT),
                ("scope", " ".join(scopes)),
                ("refresh_token", login.identity_token),
            ]
            form = {"content-type": "application/x-www-form-urlencoded"}
            body = urlencode(fields).encode()
            return await self._lines.whole(
                asked, "POST", url, form, body, most_bytes=_MOST_TOKEN_BYTES
            )
        fields += [("scope", scope) for scope in scopes]
        headers: Mapping[str, str] = {}
        if login is not None:
            fields.append(("account", login.user))
            headers = {"authorization": _basic(login)}
        mark = "&" if urlsplit(url).query else "?"
        return await self._lines.whole(
            asked, "GET", f"{url}{mark}{urlencode(fields)}", headers, most_bytes=_MOST_TOKEN_BYTES
        )


def _basic(login: Login) -> str:
    if login.identity_token:
        raise DeniedError(
            "The registry wants a user and a password, not an identity token; give those.",
            code="bad_credentials",
        )
    return f"Basic {b64encode(f'{login.user}:{login.password}'.encode()).decode()}"


def _read_token(asked: Asked, body: bytes) -> tuple[str, float]:
    """The token, and for how many seconds it is valid."""
    try:
        document = json.loads(body)
        token = document.get("token") or document["access_token"]
        valid = float(document.get("expires_in") or _LEAST_SECONDS)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise garbled(asked, "a token was asked for, and none came") from error
    if not isinstance(token, str) or not token.isascii() or not token.isprintable():
        raise garbled(asked, "a token was asked for, and something else came")
    return token, max(valid, 1.0)
