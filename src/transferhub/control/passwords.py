"""`Passwords`: argon2id, away from the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar
from unicodedata import normalize

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from transferhub.errors import InputError

Result = TypeVar("Result")

_SHORTEST, _LONGEST = 12, 1_024
_FEWEST_CHARACTERS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """The work factor. The defaults are the second choice of RFC 9106, for 64 MiB."""

    passes: int = 3
    memory_kib: int = 65_536
    lanes: int = 4


class Passwords:
    """Hashes and verifies passwords, two at a time so that memory stays bounded."""

    def __init__(self, effort: Effort) -> None:
        self._hasher = PasswordHasher(
            time_cost=effort.passes, memory_cost=effort.memory_kib, parallelism=effort.lanes
        )
        self._nobodys = self._hasher.hash("the password of nobody")
        self._slots = asyncio.Semaphore(2)

    async def hash(self, password: str) -> str:
        """The hash, with its salt and work factor."""
        return await self._apart(lambda: self._hasher.hash(_plain(password)))

    async def verify(self, password: str, known: str) -> bool:
        """Whether it is the password of this hash. Takes as long where `known` is "", no hash."""
        fits = await self._apart(lambda: self._verify(password, known or self._nobodys))
        return fits and known != ""

    def is_stale(self, known: str) -> bool:
        """Whether the hash was made with another work factor."""
        return self._hasher.check_needs_rehash(known)

    def _verify(self, password: str, known: str) -> bool:
        try:
            return self._hasher.verify(known, _plain(password))
        except (VerificationError, InvalidHashError):
            return False

    async def _apart(self, work: Callable[[], Result]) -> Result:
        async with self._slots:
            return await asyncio.to_thread(work)


def check_password(password: str, *, name: str, field: str = "password") -> None:
    """Raises InputError for a password that is too easily guessed, or too long to be one."""
    if not _SHORTEST <= len(password) <= _LONGEST:
        raise InputError(field, f"Give {_SHORTEST} to {_LONGEST:,} characters.")
    is_name = name.lower() in password.lower() and len(name) * 2 > len(password)
    if is_name or len(set(password)) < _FEWEST_CHARACTERS:
        raise InputError(field, "This is too easily guessed; take another one.")


def _plain(password: str) -> bytes:
    """One way to write it, whatever keyboard typed it."""
    return normalize("NFKC", password).encode(errors="surrogatepass")
