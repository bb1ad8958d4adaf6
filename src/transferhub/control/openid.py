"""OpenID Connect: an ID or access token becomes a caller."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from joserfc.jwt import ClaimsOption

from transferhub.errors import AccessError, InputError, SignInError
from transferhub.model.clock import Clock
from transferhub.model.people import Caller, How, Role

_SIGNATURES = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519"}
)
"""Of public keys only: with a symmetric one, who can check a token can make one."""

_DISCOVERY = "/.well-known/openid-configuration"
_LONGEST_TOKEN = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenIdRules:
    """Whose tokens are taken, and what they allow.

    Attributes:
        issuer: exactly as the provider writes it.
        audience: the client id, or the name of this API at the provider.
        roles: by the name of a group; who is in several has the highest.
        everyone: the role of whoever is in none of them; None lets them not in.
        groups_claim: may be a path with dots, such as "realm_access.roles".
        name_claim: where it is absent, `sub` is the name.
        leeway: how far the clocks of both may differ.
    """

    issuer: str
    audience: str
    roles: Mapping[str, Role]
    everyone: Role | None = None
    groups_claim: str = "groups"
    name_claim: str = "email"
    algorithms: frozenset[str] = frozenset({"RS256", "ES256"})
    leeway: timedelta = timedelta(seconds=60)

    def __post_init__(self) -> None:
        unknown = sorted(self.algorithms - _SIGNATURES)
        if unknown or not self.algorithms:
            raise InputError("algorithms", f"Take some of {', '.join(sorted(_SIGNATURES))}.")


class FetchJson(Protocol):
    """The network."""

    async def get(self, url: str) -> Any:  # noqa: ANN401 - any JSON value
        """Raises AccessError with the code `no_provider` where there is no good answer."""


class IssuerKeys:
    """The public keys of an issuer, found by discovery and kept for a while."""

    def __init__(
        self,
        fetch: FetchJson,
        issuer: str,
        clock: Clock,
        *,
        lifetime: timedelta = timedelta(hours=1),
        pause: timedelta = timedelta(minutes=1),
        longest: timedelta = timedelta(days=1),
    ) -> None:
        """Args:
        lifetime: after so long they are fetched anew.
        pause: between two fetches, whatever tokens ask for.
        longest: how long they serve where the issuer does not answer.
        """
        self._fetch = fetch
        self._issuer = issuer
        self._clock = clock
        self._lifetime = lifetime
        self._pause = pause
        self._longest = longest
        self._keys: KeySet | None = None
        self._fetched_at: datetime | None = None
        self._tried_at: datetime | None = None
        self._lock = asyncio.Lock()

    async def get(self, *, fresh: bool = False) -> KeySet:
        """Args:
        fresh: a token names a key that was not there; they may have been rotated.

        Raises:
            AccessError: with the code `no_provider`.
        """
        async with self._lock:
            now = self._clock()
            if self._wants(now, fresh=fresh):
                self._tried_at = now
                await self._refresh(now)
            if self._keys is None:
                raise _no_provider(self._issuer, "did not answer just now; try again soon")
            return self._keys

    def _wants(self, now: datetime, *, fresh: bool) -> bool:
        if self._tried_at is not None and now - self._tried_at < self._pause:
            return False
        return fresh or self._fetched_at is None or now - self._fetched_at >= self._lifetime

    async def _refresh(self, now: datetime) -> None:
        try:
            self._keys = await self._load()
        except AccessError:
            if self._fetched_at is None or now - self._fetched_at >= self._longest:
                self._keys = None
                raise
        else:
            self._fetched_at = now

    async def _load(self) -> KeySet:
        found = await self._fetch.get(self._issuer.rstrip("/") + _DISCOVERY)
        if not isinstance(found, dict) or found.get("issuer") != self._issuer:
            raise _no_provider(self._issuer, "describes another issuer")
        keys = await self._fetch.get(str(found.get("jwks_uri", "")))
        try:
            return KeySet.import_key_set(keys)
        except (JoseError, ValueError, KeyError, TypeError, AttributeError):
            raise _no_provider(self._issuer, "gave no keys that can be read") from None


class OpenId:
    """Verifies tokens of one issuer."""

    def __init__(self, rules: OpenIdRules, keys: IssuerKeys, clock: Clock) -> None:
        self._rules = rules
        self._keys = keys
        self._clock = clock

    async def caller(self, token: str, *, nonce: str = "") -> Caller:
        """Whose ID or access token it is.

        Args:
            nonce: what the token must carry, where it comes of a request that sent one.

        Raises:
            SignInError: it is not a valid token of this issuer for us.
            AccessError: it is, and allows nothing here; or the issuer does not answer.
        """
        claims = await self._verified(token)
        self._check(claims, nonce)
        return to_caller(claims, self._rules)

    async def _verified(self, token: str) -> Mapping[str, Any]:
        if len(token) > _LONGEST_TOKEN:
            raise _refused("is too long")
        try:
            return self._decoded(token, await self._keys.get())
        except InvalidKeyIdError:
            pass
        try:
            return self._decoded(token, await self._keys.get(fresh=True))
        except InvalidKeyIdError:
            raise _refused("names no key of its issuer") from None

    def _decoded(self, token: str, keys: KeySet) -> Mapping[str, Any]:
        """The claims of a token whose signature is right."""
        try:
            return jwt.decode(token, keys, algorithms=sorted(self._rules.algorithms)).claims
        except InvalidKeyIdError:
            raise
        except (JoseError, ValueError, KeyError, TypeError, AttributeError):
            raise _refused("is not signed as it must be") from None

    def _check(self, claims: Mapping[str, Any], nonce: str) -> None:
        rules = self._rules
        wanted: dict[str, ClaimsOption] = {
            "iss": {"essential": True, "value": rules.issuer},
            "aud": {"essential": True, "value": rules.audience},
            "sub": {"essential": True},
            "exp": {"essential": True},
        }
        if nonce:
            wanted["nonce"] = {"essential": True, "value": nonce}
        registry = jwt.JWTClaimsRegistry(
            now=int(self._clock().timestamp()),
            leeway=int(rules.leeway.total_seconds()),
            **wanted,
        )
        try:
            registry.validate({"aud": _audience(claims), **claims})
        except JoseError as error:
            raise _refused(f"does not hold: {error.description or error.error}") from None
        except (ValueError, TypeError):
            raise _refused("holds values that cannot be read") from None


def to_caller(claims: Mapping[str, Any], rules: OpenIdRules) -> Caller:
    """Who the verified claims are of.

    Raises:
        AccessError: no group gives a role.
    """
    name = claims.get(rules.name_claim) or claims["sub"]
    roles = [rules.roles[group] for group in groups_of(claims, rules) if group in rules.roles]
    role = max(roles, key=list(Role).index, default=rules.everyone)
    if role is None:
        raise AccessError(f"No group of {name} has a role here; ask an administrator.")
    return Caller(name=str(name), role=role, how=How.OPENID)


def groups_of(claims: Mapping[str, Any], rules: OpenIdRules) -> Sequence[str]:
    """Names of groups, whether the claim is a list or one name."""
    found: Any = claims.get(rules.groups_claim)
    if found is None:
        found = claims
        for step in rules.groups_claim.split("."):
            found = found.get(step) if isinstance(found, Mapping) else None
    if isinstance(found, str):
        return [found]
    return [group for group in found if isinstance(group, str)] if isinstance(found, list) else []


def _audience(claims: Mapping[str, Any]) -> Any:  # noqa: ANN401 - as the provider writes it
    """Cognito's access tokens name the client where others name the audience."""
    return claims.get("client_id") if claims.get("token_use") == "access" else None


def _refused(why: str) -> SignInError:
    return SignInError(f"The token of the identity provider {why}; sign in again.")


def _no_provider(issuer: str, what: str) -> AccessError:
    return AccessError(f"The identity provider {issuer} {what}.", code="no_provider")
