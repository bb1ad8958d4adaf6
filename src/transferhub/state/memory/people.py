"""`MemoryPeople`, `MemoryAudit` and `MemoryVault`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice
from operator import attrgetter

from transferhub.model.people import ApiToken, AuditEntry, Link, Sealed, Session, Strikes, User
from transferhub.state.refusals import (
    credential_changed,
    credential_exists,
    user_changed,
    user_exists,
)


class MemoryPeople:
    """A complete People that keeps everything in memory."""

    def __init__(self) -> None:
        self._users: dict[str, User] = {}
        self._sessions: dict[str, Session] = {}
        self._links: dict[str, Link] = {}
        self._tokens: dict[str, ApiToken] = {}
        self._strikes: dict[str, Strikes] = {}

    async def create_user(self, user: User) -> None:
        if user.name in self._users:
            raise user_exists(user.name)
        self._users[user.name] = user

    async def get_user(self, name: str) -> User | None:
        return self._users.get(name)

    async def update_user(self, user: User) -> User:
        known = self._users.get(user.name)
        if known is None or known.version != user.version:
            raise user_changed(user.name)
        updated = replace(user, version=user.version + 1)
        self._users[user.name] = updated
        return updated

    async def users(self, *, after: str = "", limit: int = 100) -> Sequence[User]:
        found = (self._users[name] for name in sorted(self._users) if name > after)
        return list(islice(found, limit))

    async def create_session(self, session: Session) -> None:
        self._sessions[session.digest] = session

    async def get_session(self, digest: str) -> Session | None:
        return self._sessions.get(digest)

    async def touch_session(self, digest: str, used_at: datetime) -> None:
        session = self._sessions.get(digest)
        if session is not None and session.used_at < used_at:
            self._sessions[digest] = replace(session, used_at=used_at)

    async def end_session(self, digest: str) -> None:
        self._sessions.pop(digest, None)

    async def end_sessions(self, name: str, *, but: str = "") -> int:
        ended = [
            at.digest for at in self._sessions.values() if at.name == name and at.digest != but
        ]
        for digest in ended:
            del self._sessions[digest]
        return len(ended)

    async def create_link(self, link: Link) -> None:
        self._links[link.digest] = link

    async def take_link(self, digest: str, now: datetime) -> Link | None:
        link = self._links.pop(digest, None)
        return link if link is not None and link.ends_at > now else None

    async def create_token(self, token: ApiToken) -> None:
        self._tokens[token.ident] = token

    async def get_token(self, digest: str) -> ApiToken | None:
        return next((at for at in self._tokens.values() if at.digest == digest), None)

    async def tokens(self, *, owner: str = "") -> Sequence[ApiToken]:
        found = (at for at in self._tokens.values() if owner in ("", at.owner))
        return sorted(found, key=attrgetter("ident"))

    async def revoke_token(self, ident: str, at: datetime) -> ApiToken | None:
        token = self._tokens.get(ident)
        if token is not None and token.revoked_at is None:
            token = self._tokens[ident] = replace(token, revoked_at=at)
        return token

    async def strikes(self, key: str) -> Strikes | None:
        return self._strikes.get(key)

    async def replace_strikes(self, key: str, was: Strikes | None, now: Strikes | None) -> bool:
        if self._strikes.get(key) != was:
            return False
        if now is None:
            self._strikes.pop(key, None)
        else:
            self._strikes[key] = now
        return True

    async def purge(self, now: datetime, strikes_before: datetime) -> int:
        sessions = [at.digest for at in self._sessions.values() if at.ends_at <= now]
        links = [at.digest for at in self._links.values() if at.ends_at <= now]
        strikes = [key for key, at in self._strikes.items() if at.at < strikes_before]
        for digest in sessions:
            del self._sessions[digest]
        for digest in links:
            del self._links[digest]
        for key in strikes:
            del self._strikes[key]
        return len(sessions) + len(links) + len(strikes)

    async def aclose(self) -> None:
        return


class MemoryAudit:
    """A complete Audit that keeps everything in memory."""

    def __init__(self) -> None:
        self._entries: list[AuditEntry] = []

    async def append(self, entry: AuditEntry) -> AuditEntry:
        numbered = replace(entry, number=len(self._entries) + 1)
        self._entries.append(numbered)
        return numbered

    async def entries(
        self,
        *,
        before: int | None = None,
        who: str = "",
        action: str = "",
        subject: str = "",
        limit: int = 100,
    ) -> Sequence[AuditEntry]:
        found = (
            at
            for at in reversed(self._entries[: None if before is None else before - 1])
            if who in ("", at.who) and action in ("", at.action) and subject in ("", at.subject)
        )
        return list(islice(found, limit))

    async def aclose(self) -> None:
        return


class MemoryVault:
    """A complete Vault that keeps everything in memory."""

    def __init__(self) -> None:
        self._sealed: dict[str, Sealed] = {}

    async def create(self, sealed: Sealed) -> None:
        name = sealed.credential.name
        if name in self._sealed:
            raise credential_exists(name)
        self._sealed[name] = sealed

    async def get(self, name: str) -> Sealed | None:
        return self._sealed.get(name)

    async def replace(self, sealed: Sealed, was: Sealed) -> None:
        name = was.credential.name
        known = self._sealed.get(name)
        if known is None or _edition(known) != _edition(was):
            raise credential_changed(name)
        self._sealed[name] = sealed

    async def delete(self, name: str) -> bool:
        return self._sealed.pop(name, None) is not None

    async def all(self, *, after: str = "", limit: int = 100) -> Sequence[Sealed]:
        found = (self._sealed[name] for name in sorted(self._sealed) if name > after)
        return list(islice(found, limit))

    async def aclose(self) -> None:
        return


def _edition(sealed: Sealed) -> tuple[int, str]:
    return sealed.credential.version, sealed.key_id
