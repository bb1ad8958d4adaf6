"""Credentials that botocore finds: the AWS chain, profiles and roles, renewed before they expire.

Loading botocore takes as long as loading all else, so nothing imports this module before such
credentials are wanted.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from botocore.config import Config
from botocore.credentials import (
    AssumeRoleCredentialFetcher,
    DeferredRefreshableCredentials,
    ReadOnlyCredentials,
    RefreshableCredentials,
)
from botocore.credentials import Credentials as Keys
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as UnreachableError
from botocore.session import Session

from transferhub.errors import DeniedError, InputError, StoreError, TransientError
from transferhub.stores.s3.credentials import Credentials

_LOOK_SECONDS = 60.0
"""How often it is asked whether it is time to renew: botocore does so 15 minutes ahead, and files
may have been changed by the person."""

# It logs traces with whole answers, secrets and all, of what the errors here say in a sentence.
logging.getLogger("botocore.credentials").setLevel(logging.ERROR)

_CONNECT_SECONDS, _READ_SECONDS = 10, 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A role to assume, and the external id that its trust policy may ask for."""

    arn: str
    external_id: str = ""


class ResolvedCredentials:
    """Looks where AWS's own tools look, in their order, and renews what expires.

    That is: the AWS_* variables, the AWS configuration files (with their profiles, SSO sessions,
    roles and processes), web identity, and the role of the container or machine. It happens in a
    thread, and not before the first request.
    """

    def __init__(
        self,
        *,
        profile: str = "",
        keys: Credentials | None = None,
        role: Role | None = None,
        region: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Args:
        profile: of the AWS configuration files; "" takes AWS_PROFILE or the default one.
        keys: are used instead of those that would be found.
        role: is assumed with what was found or given.
        region: where the role is asked for.

        Raises:
            InputError: there is no such profile.
        """
        self._profile = profile
        self._keys = keys
        self._role = role
        self._region = region
        self._clock = clock
        self._found: Keys | None = None
        self._current: Credentials | None = None
        self._look_at = 0.0
        self._looking = asyncio.Lock()
        if profile:
            _check_profile(profile)

    async def current(self) -> Credentials:
        current = self._current
        if current is not None and self._clock() < self._look_at:
            return current
        if current is not None and self._looking.locked() and not _has_expired(self._found):
            # Somebody renews them already; until then they hold.
            return current
        async with self._looking:
            if self._current is None or self._clock() >= self._look_at:
                self._current = await asyncio.to_thread(self._look)
                self._look_at = self._clock() + _LOOK_SECONDS
            return self._current

    def _look(self) -> Credentials:
        try:
            found = self._renewed()
        except StoreError:
            if self._current is not None and not _has_expired(self._found):
                return self._current
            raise
        return Credentials(
            access_key=found.access_key, secret_key=found.secret_key, token=found.token or ""
        )

    def _renewed(self) -> ReadOnlyCredentials:
        try:
            if not isinstance(self._found, RefreshableCredentials):
                self._found = self._find()
            return self._found.get_frozen_credentials()
        except (BotoCoreError, ClientError, OSError, ValueError, KeyError, RuntimeError) as error:
            raise self._failure(error) from error

    def _find(self) -> Keys:
        session = _session(self._profile)
        if self._keys is None:
            found = session.get_credentials()
            if found is None:
                raise _none_found(self._profile)
        else:
            found = Keys(self._keys.access_key, self._keys.secret_key, self._keys.token or None)
        return found if self._role is None else self._assumed(session, found, self._role)

    def _assumed(self, session: Session, keys: Keys, role: Role) -> Keys:
        def client(service: str, **options: str) -> object:
            return session.create_client(
                service,
                region_name=self._region or session.get_config_variable("region") or "us-east-1",
                config=Config(connect_timeout=_CONNECT_SECONDS, read_timeout=_READ_SECONDS),
                **options,
            )

        fetcher = AssumeRoleCredentialFetcher(
            client,
            keys,
            role.arn,
            extra_args={"ExternalId": role.external_id} if role.external_id else {},
        )
        return DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")

    def _failure(self, error: Exception) -> StoreError:
        # What follows a brace is an answer that botocore repeats, secrets and all.
        detail = " ".join(str(error).partition("{")[0].split()).rstrip(".: ")
        message = f"Getting credentials from {self.describe()} failed ({detail})"
        if _is_unreachable(error):
            return TransientError(f"{message}: it is tried again.", code="unreachable")
        if _is_busy(error):
            return TransientError(f"{message}: it is tried again.")
        return DeniedError(f"{message}: {self._advice()}.", code="no_credentials")

    def _advice(self) -> str:
        if self._role is None:
            return "mend what is configured, or give a credentials file"
        return f"check that the keys may assume {self._role.arn}, and the external id"

    @property
    def principal(self) -> str:
        parts = [f"profile {self._profile}" if self._profile else "AWS chain"]
        if self._keys is not None:
            parts = [f"key {self._keys.access_key}"]
        if self._role is not None:
            parts.append(f"role {self._role.arn}")
        return ", ".join(parts)

    def describe(self) -> str:
        place = f"profile {self._profile!r}" if self._profile else "the usual AWS chain"
        if self._keys is not None:
            place = f"access key {self._keys.access_key}"
        return f"{place}, then role {self._role.arn}" if self._role is not None else place


def configured_region(profile: str) -> str:
    """The region that the AWS configuration files give the profile, or the default one; or ""."""
    try:
        return _session(profile).get_config_variable("region") or ""
    except BotoCoreError:
        return ""  # said when credentials are looked for


def _session(profile: str) -> Session:
    return Session(profile=profile or None)


def _check_profile(profile: str) -> None:
    try:
        known = _session("").available_profiles
    except BotoCoreError as error:
        raise InputError("profile", f"the AWS configuration cannot be read ({error})") from None
    if profile not in known:
        those = f"there are {', '.join(sorted(known))}" if known else "there are none"
        raise InputError("profile", f"the AWS configuration files have no {profile!r}; {those}")


def _none_found(profile: str) -> DeniedError:
    where = (
        f"profile {profile!r} holds no credentials"
        if profile
        else "no AWS_* variables, no profile, no SSO session, no web identity, "
        "no role of this container or machine"
    )
    return DeniedError(
        f"No credentials were found ({where}): give a credentials file, a profile or keys in the "
        "environment, or ask for anonymous access.",
        code="no_credentials",
    )


def _has_expired(found: Keys | None) -> bool:
    """Whether botocore knows that these credentials do not hold any more."""
    return isinstance(found, RefreshableCredentials) and bool(found.refresh_needed(0))


def _is_unreachable(error: Exception) -> bool:
    return isinstance(error, UnreachableError | HTTPClientError)


def _is_busy(error: Exception) -> bool:
    if not isinstance(error, ClientError):
        return False
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = error.response.get("Error", {}).get("Code", "")
    return status >= HTTPStatus.INTERNAL_SERVER_ERROR or "Throttl" in code
