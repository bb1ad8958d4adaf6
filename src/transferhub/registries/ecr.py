"""Amazon ECR: its hosts and its logins, which both come from GetAuthorizationToken."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from transferhub.aws.client import AwsClient, AwsError, AwsFault
from transferhub.errors import (
    DeniedError,
    NotFoundError,
    StoreError,
    ThrottledError,
    TransientError,
    UnsupportedError,
)
from transferhub.model.clock import Clock, utc_now
from transferhub.registries.base import Login
from transferhub.registries.client import RegistryClient
from transferhub.registries.requests import RegistryConfig

_VALID = timedelta(hours=12)
_MARGIN = timedelta(hours=1)
"""A copy that starts with a login should also end with it."""

_FRESH = timedelta(minutes=1)
"""A login that was got no longer ago is refused for another reason than its age."""


@dataclass(frozen=True, slots=True)
class _Granted:
    login: Login
    proxy: str
    at: datetime
    renew_at: datetime


class EcrLogin:
    """The login to the ECR of one account and region, and where that is. Asked for when it is first
    wanted, and again an hour before its twelve end."""

    def __init__(self, client: AwsClient, *, account: str = "", clock: Clock = utc_now) -> None:
        """Args:
        client: of ECR's API. It stays open, and is closed by whoever made it.
        account: whose registry; that of the credentials where it is "".
        """
        self._client = client
        self._account = account
        self._clock = clock
        self._granted: _Granted | None = None
        self._lock = asyncio.Lock()

    async def current(self, *, renewed: bool = False) -> Login:
        return (await self._current(renewed=renewed)).login

    async def proxy_endpoint(self) -> str:
        """The registry's URL, as ECR itself says it: right in every partition, for private
        endpoints and for emulators."""
        return (await self._current()).proxy

    def describe(self) -> str:
        return f"Amazon ECR of account {self._account}" if self._account else "Amazon ECR"

    async def _current(self, *, renewed: bool = False) -> _Granted:
        async with self._lock:
            granted, now = self._granted, self._clock()
            if granted is None or now >= (granted.at + _FRESH if renewed else granted.renew_at):
                granted = self._granted = await self._ask()
            return granted

    async def _ask(self) -> _Granted:
        parameters = {"registryIds": [self._account]} if self._account else {}
        try:
            answer = await self._client.ask("GetAuthorizationToken", parameters)
        except AwsError as error:
            raise ecr_failure(error) from error
        try:
            return _read(answer, self._clock())
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise TransientError(
                "Asking Amazon ECR for a login failed: the answer is not what it would send; check"
                " the endpoint.",
                code="garbled",
            ) from error


async def open_ecr(
    login: EcrLogin, config: RegistryConfig | None = None, *, endpoint: str = ""
) -> RegistryClient:
    """The registry that a login is for.

    Args:
        config: how it is reached; its host is not looked at.
        endpoint: URL of the registry, where it is not reached at what ECR says.

    Raises:
        StoreError: ECR gave no login.
    """
    config = config or RegistryConfig(host="")
    url = endpoint or await login.proxy_endpoint()
    parts = urlsplit(url)
    if parts.scheme == "http" and not config.plain_http:
        raise DeniedError(
            f"Amazon ECR says that its registry is at {url}, which is not HTTPS; ask for plain HTTP"
            " if that is meant.",
            code="tls",
        )
    plain_http = parts.scheme == "http"
    return RegistryClient(replace(config, host=parts.netloc, plain_http=plain_http), login)


def _read(answer: Mapping[str, Any], now: datetime) -> _Granted:
    row = answer["authorizationData"][0]
    user, _, password = b64decode(row["authorizationToken"]).decode().partition(":")
    told = row.get("expiresAt")
    expires_at = datetime.fromtimestamp(float(told), UTC) if told else now + _VALID
    margin = min(_MARGIN, (expires_at - now) / 4)
    proxy = str(row["proxyEndpoint"])
    if not urlsplit(proxy).netloc:
        raise ValueError(proxy)
    login = Login(user=user, password=password, expires_at=expires_at)
    return _Granted(login, proxy, now, expires_at - margin)


EcrClass = tuple[type[StoreError], str | None, str]
"""Which error, its code (None: the kind's own), and what to do."""

_CLASSES: Mapping[AwsFault, EcrClass] = {
    AwsFault.THROTTLED: (ThrottledError, None, "ECR asks to slow down"),
    AwsFault.TRANSIENT: (TransientError, None, "it is tried again"),
    AwsFault.UNREACHABLE: (
        TransientError,
        "unreachable",
        "check the region, the network and the endpoint",
    ),
    AwsFault.EXPIRED: (
        DeniedError,
        "expired_credentials",
        "the credentials have expired, or this machine's clock is wrong; renew them, or set it",
    ),
    AwsFault.UNKNOWN: (DeniedError, "bad_credentials", "check the access key and its secret"),
    AwsFault.MISSING: (NotFoundError, "no_repository", "there is no such repository; check it"),
}
_NAMED: Mapping[str, EcrClass] = {
    "RepositoryNotFoundException": _CLASSES[AwsFault.MISSING],
    "LimitExceededException": (
        DeniedError,
        "quota",
        "a limit of the account is reached; delete what it does not need, or have it raised",
    ),
    "KmsException": (DeniedError, None, "check the KMS key, its region and its policy"),
}
"""By ECR's own names, which other services have for other things or do not have."""

_BAD_NAME: EcrClass = (
    UnsupportedError,
    "bad_reference",
    "a repository of ECR is named by 2 to 256 small letters and digits, with . _ - / in between",
)


def ecr_failure(error: AwsError, what: str = "") -> StoreError:
    """What a failure of ECR's API is, in one sentence.

    Args:
        what: repository or image that was asked for; "" for none.
    """
    kind, code, advice = _class(error)
    said = f"{error.status or ''} {error.name}: {error.detail}".strip(" :")
    of = f" for {what}" if what else ""
    return kind(
        f"{error.action} of Amazon ECR{of} failed ({said}): {advice}.",
        code=code,
        status=error.status,
        vendor_code=error.name,
    )


def _class(error: AwsError) -> EcrClass:
    if error.name in _NAMED:
        return _NAMED[error.name]
    if error.name == "InvalidParameterException" and "repositoryName" in error.detail:
        return _BAD_NAME
    if error.fault is AwsFault.DENIED:
        if error.name == "no_credentials":
            return DeniedError, "no_credentials", "give credentials"
        return DeniedError, None, f"grant ecr:{error.action}"
    return _CLASSES.get(error.fault, (UnsupportedError, None, "ECR refuses the request"))
