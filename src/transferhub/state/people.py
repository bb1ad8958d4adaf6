"""The ports of sign-in and safety: people, the audit log, and the vault of credentials.

All verbs are atomic and durable when they return, and raise StateError where the state cannot be
reached or written. Many processes may use them at once. Secrets come as digests or sealed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from transferhub.model.people import ApiToken, AuditEntry, Link, Sealed, Session, Strikes, User


class People(Protocol):
    """Users, their sessions and tokens, sign-in links, and failed sign-ins."""

    async def create_user(self, user: User) -> None:
        """Raises ConflictError where the name is taken."""

    async def get_user(self, name: str) -> User | None: ...

    async def update_user(self, user: User) -> User:
        """Replaces the user of `user.version`; returns it with its new version.

        Raises:
            ConflictError: another writer came first.
        """

    async def users(self, *, after: str = "", limit: int = 100) -> Sequence[User]:
        """By name, from after the name `after`."""

    async def create_session(self, session: Session) -> None: ...

    async def get_session(self, digest: str) -> Session | None: ...

    async def touch_session(self, digest: str, used_at: datetime) -> None:
        """Moves `used_at` forward, never back."""

    async def end_session(self, digest: str) -> None: ...

    async def end_sessions(self, name: str, *, but: str = "") -> int:
        """Ends all of a name except the one of digest `but`; returns how many."""

    async def create_link(self, link: Link) -> None: ...

    async def take_link(self, digest: str, now: datetime) -> Link | None:
        """Takes the link away; None where there is none, or where it ended. One taker gets it."""

    async def create_token(self, token: ApiToken) -> None: ...

    async def get_token(self, digest: str) -> ApiToken | None: ...

    async def tokens(self, *, owner: str = "") -> Sequence[ApiToken]:
        """By id, of one owner or of all; also those that ended."""

    async def revoke_token(self, ident: str, at: datetime) -> ApiToken | None:
        """The token as it is now; the first time of a revocation stays. None where there is
        none."""

    async def strikes(self, key: str) -> Strikes | None: ...

    async def replace_strikes(self, key: str, was: Strikes | None, now: Strikes | None) -> bool:
        """Puts `now` in the place of `was` (None is no entry); False where it is another by now."""

    async def purge(self, now: datetime, strikes_before: datetime) -> int:
        """Forgets sessions and links that ended, and old strikes; returns how many."""

    async def aclose(self) -> None: ...


class Audit(Protocol):
    """The log of changes; only ever added to."""

    async def append(self, entry: AuditEntry) -> AuditEntry:
        """Returns the entry with its number, which is greater than any before."""

    async def entries(
        self,
        *,
        before: int | None = None,
        who: str = "",
        action: str = "",
        subject: str = "",
        limit: int = 100,
    ) -> Sequence[AuditEntry]:
        """Newest first, those whose numbers are below `before`; "" chooses all."""

    async def aclose(self) -> None: ...


class Vault(Protocol):
    """Sealed credentials by name."""

    async def create(self, sealed: Sealed) -> None:
        """Raises ConflictError where the name is taken."""

    async def get(self, name: str) -> Sealed | None: ...

    async def replace(self, sealed: Sealed, was: Sealed) -> None:
        """Puts `sealed` in the place of `was`, which has the same name.

        Raises:
            ConflictError: it is no longer `was` (by version and key) that is stored.
        """

    async def delete(self, name: str) -> bool:
        """Whether there was one."""

    async def all(self, *, after: str = "", limit: int = 100) -> Sequence[Sealed]:
        """By name, from after the name `after`."""

    async def aclose(self) -> None: ...
