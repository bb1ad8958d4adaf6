"""Who asks: where credentials come from and how they stay fresh."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """One set of keys. Its `repr` shows no secret."""

    access_key: str
    secret_key: str = field(repr=False)
    token: str = field(default="", repr=False)
    expires_at: datetime | None = None


class CredentialSource(Protocol):
    """Gives credentials that are valid now."""

    async def current(self) -> Credentials | None:
        """The credentials to sign with; None: requests go unsigned.

        Raises:
            DeniedError: code "no_credentials", none were found; the message says where.
        """

    @property
    def principal(self) -> str:
        """Names whose rights they carry, without being a secret; equal for equal sources."""

    def describe(self) -> str:
        """Where they come from, for people. No secrets."""


class StaticCredentials:
    """Credentials that were given and never change."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    async def current(self) -> Credentials:
        return self._credentials

    @property
    def principal(self) -> str:
        return f"key {self._credentials.access_key}"

    def describe(self) -> str:
        kind = "temporary access key" if self._credentials.token else "access key"
        return f"{kind} {self._credentials.access_key}, as given"


class Anonymous:
    """Nobody: requests go unsigned."""

    async def current(self) -> None:
        return None

    @property
    def principal(self) -> str:
        return "anonymous"

    def describe(self) -> str:
        return "anonymous"
