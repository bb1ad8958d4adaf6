"""Who may do what: users, callers, sessions, API tokens, the audit log, names of credentials."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

HIDDEN = "***"
"""What stands where a secret was."""

_SECRET_NAMES = re.compile(
    r"passw|passphrase|secret|token|private|signature|authorization|cookie|webhook|api_?key",
    re.IGNORECASE,
)
_LOGIN_IN_URL = re.compile(r"(?<=://)[^/?#\s]+@")
_SIGNED_QUERY = re.compile(r"(?i)([?&](?:[\w-]*(?:signature|token|secret|key|credential))=)[^&\s]+")


class Role(StrEnum):
    """Each role may do what the ones before it may."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"

    def covers(self, needed: Role) -> bool:
        return _RANKS[self] >= _RANKS[needed]

    def within(self, other: Role) -> Role:
        """The lower of both."""
        return self if other.covers(self) else other


_RANKS = {role: rank for rank, role in enumerate(Role)}


class Scope(StrEnum):
    """What an API token may touch."""

    TASKS = "tasks"
    CREDENTIALS = "credentials"
    PEOPLE = "people"


EVERYTHING = frozenset(Scope)


class How(StrEnum):
    """How a caller came in."""

    LINK = "link"
    SESSION = "session"
    TOKEN = "token"  # noqa: S105 - a word, no secret
    OPENID = "openid"
    COMMAND = "command"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks."""

    name: str
    role: Role
    how: How
    scopes: frozenset[Scope] = EVERYTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A local user.

    Attributes:
        password: its hash; "" where none was set, so that nobody signs in with one.
        version: counts updates, from 1; the store refuses to update from another one.
    """

    name: str
    role: Role
    created_at: datetime
    password: str = field(default="", repr=False)
    disabled: bool = False
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A browser that is signed in.

    Attributes:
        digest: of the cookie's secret, which is kept nowhere.
        role: of a session from a link; a user's session follows the user's role.
    """

    digest: str = field(repr=False)
    name: str
    role: Role
    how: How
    created_at: datetime
    used_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A sign-in link that works once."""

    digest: str = field(repr=False)
    name: str
    role: Role
    ends_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiToken:
    """A token for programs.

    Attributes:
        ident: for people and lists; tells nothing of the token.
        digest: of the token, which is kept nowhere.
        role: the most that it may; no more than its owner may.
        of_user: whether the owner is a local user, whose role and state it follows.
    """

    ident: str
    digest: str = field(repr=False)
    label: str
    owner: str
    of_user: bool
    role: Role
    scopes: frozenset[Scope]
    created_at: datetime
    ends_at: datetime
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Strikes:
    """Failed sign-ins of one name or address; the last one was at `at`."""

    count: int
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One change: who changed what, and how it was before.

    Attributes:
        action: a verb and its noun, such as "user.create".
        before: fields that changed, without secrets; {} where it is new.
        after: {} where it is gone.
        number: grows; 0 before it is appended.
    """

    at: datetime
    who: str
    how: How
    action: str
    subject: str
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)
    number: int = 0


class CredentialKind(StrEnum):
    KEYS = "keys"
    LOGIN = "login"
    TOKEN = "token"  # noqa: S105 - a word, no secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A credential as people see it.

    Attributes:
        described: tells it from others, such as "AKIA…7Q2M"; no secret.
        version: counts its replacements, from 1.
    """

    name: str
    kind: CredentialKind
    described: str
    created_at: datetime
    updated_at: datetime
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """A credential with its secret under a key.

    Attributes:
        box: ciphertext and nonce, as text.
    """

    credential: Credential
    key_id: str
    box: str = field(repr=False)


def masked(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """The JSON value without secrets: fields with names of secrets, logins and signatures in URLs.

    >>> masked({"url": "https://me:pw@host/?X-Amz-Signature=abc&n=1", "secret_key": "s"})
    {'url': 'https://***@host/?X-Amz-Signature=***&n=1', 'secret_key': '***'}
    """
    if isinstance(value, Mapping):
        return {name: _masked_field(name, inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [masked(inner) for inner in value]
    if isinstance(value, str):
        return _SIGNED_QUERY.sub(rf"\1{HIDDEN}", _LOGIN_IN_URL.sub(f"{HIDDEN}@", value))
    return value


def _masked_field(name: str, value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if value and _SECRET_NAMES.search(name):
        return HIDDEN
    return masked(value)
