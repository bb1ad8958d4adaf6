"""`SqlPeople`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from transferhub.model.people import ApiToken, How, Link, Role, Scope, Session, Strikes, User
from transferhub.state.refusals import user_changed, user_exists
from transferhub.state.sql.codec import from_text, to_text, to_words
from transferhub.state.sql.database import Database
from transferhub.state.sql.dialects import Row
from transferhub.state.sql.session import Session as Transaction
from transferhub.state.values import from_micros, from_micros_or_none, to_micros, to_micros_or_none

_USER = "name, role, created_at, password, disabled, version"
_SESSION = "digest, name, role, how, created_at, used_at, ends_at"
_LINK = "digest, name, role, ends_at"
_TOKEN = "ident, digest, label, owner, of_user, role, scopes, created_at, ends_at, revoked_at"  # noqa: S105 - columns
_STRIKES = "count, at"


class SqlPeople:
    """A People in SQLite or PostgreSQL; each verb is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create_user(self, user: User) -> None:
        if not await self._insert("users", _USER, _user_to_row(user)):
            raise user_exists(user.name)

    async def get_user(self, name: str) -> User | None:
        rows = await self._fetch(_USER, "FROM users WHERE name = ?", to_text(name))
        return _row_to_user(rows[0]) if rows else None

    async def update_user(self, user: User) -> User:
        updated = replace(user, version=user.version + 1)
        changed = await self._execute(
            "UPDATE users SET role = ?, password = ?, disabled = ?, version = ? "
            "WHERE name = ? AND version = ?",
            user.role.value,
            user.password,
            int(user.disabled),
            updated.version,
            to_text(user.name),
            user.version,
        )
        if not changed:
            raise user_changed(user.name)
        return updated

    async def users(self, *, after: str = "", limit: int = 100) -> Sequence[User]:
        source = "FROM users WHERE name > ? ORDER BY name LIMIT ?"
        return [
            _row_to_user(row) for row in await self._fetch(_USER, source, to_text(after), limit)
        ]

    async def create_session(self, session: Session) -> None:
        await self._insert("sessions", _SESSION, _session_to_row(session))

    async def get_session(self, digest: str) -> Session | None:
        rows = await self._fetch(_SESSION, "FROM sessions WHERE digest = ?", digest)
        return _row_to_session(rows[0]) if rows else None

    async def touch_session(self, digest: str, used_at: datetime) -> None:
        moment = to_micros(used_at)
        await self._execute(
            "UPDATE sessions SET used_at = ? WHERE digest = ? AND used_at < ?",
            moment,
            digest,
            moment,
        )

    async def end_session(self, digest: str) -> None:
        await self._execute("DELETE FROM sessions WHERE digest = ?", digest)

    async def end_sessions(self, name: str, *, but: str = "") -> int:
        return await self._execute(
            "DELETE FROM sessions WHERE name = ? AND digest <> ?", to_text(name), but
        )

    async def create_link(self, link: Link) -> None:
        row = (link.digest, to_text(link.name), link.role.value, to_micros(link.ends_at))
        await self._insert("links", _LINK, row)

    async def take_link(self, digest: str, now: datetime) -> Link | None:
        link = await self._database.write(lambda transaction: _take_link(transaction, digest))
        return link if link is not None and link.ends_at > now else None

    async def create_token(self, token: ApiToken) -> None:
        await self._insert("tokens", _TOKEN, _token_to_row(token))

    async def get_token(self, digest: str) -> ApiToken | None:
        rows = await self._fetch(_TOKEN, "FROM tokens WHERE digest = ?", digest)
        return _row_to_token(rows[0]) if rows else None

    async def tokens(self, *, owner: str = "") -> Sequence[ApiToken]:
        chosen, values = ("WHERE owner = ?", (to_text(owner),)) if owner else ("", ())
        rows = await self._fetch(_TOKEN, f"FROM tokens {chosen} ORDER BY ident", *values)
        return [_row_to_token(row) for row in rows]

    async def revoke_token(self, ident: str, at: datetime) -> ApiToken | None:
        def revoke(transaction: Transaction) -> Sequence[Row]:
            transaction.execute(
                "UPDATE tokens SET revoked_at = ? WHERE ident = ? AND revoked_at IS NULL",
                to_micros(at),
                to_text(ident),
            )
            return transaction.fetch(_TOKEN, "FROM tokens WHERE ident = ?", to_text(ident))

        rows = await self._database.write(revoke)
        return _row_to_token(rows[0]) if rows else None

    async def strikes(self, key: str) -> Strikes | None:
        rows = await self._fetch(_STRIKES, "FROM strikes WHERE key = ?", to_text(key))
        return Strikes(count=rows[0][0], at=from_micros(rows[0][1])) if rows else None

    async def replace_strikes(self, key: str, was: Strikes | None, now: Strikes | None) -> bool:
        name = to_text(key)
        if was is None:
            if now is None:
                return await self.strikes(key) is None
            row = (name, now.count, to_micros(now.at))
            return bool(await self._insert("strikes", "key, count, at", row))
        known = (name, was.count, to_micros(was.at))
        the_same = "WHERE key = ? AND count = ? AND at = ?"
        if now is None:
            return bool(await self._execute(f"DELETE FROM strikes {the_same}", *known))
        update = f"UPDATE strikes SET count = ?, at = ? {the_same}"
        return bool(await self._execute(update, now.count, to_micros(now.at), *known))

    async def purge(self, now: datetime, strikes_before: datetime) -> int:
        return await self._database.write(
            lambda transaction: sum(
                transaction.execute(f"DELETE FROM {old}", to_micros(moment))
                for old, moment in (
                    ("sessions WHERE ends_at <= ?", now),
                    ("links WHERE ends_at <= ?", now),
                    ("strikes WHERE at < ?", strikes_before),
                )
            )
        )

    async def aclose(self) -> None:
        await self._database.aclose()

    async def _insert(self, table: str, columns: str, row: Row) -> int:
        """Inserts unless it is there; returns how many."""
        marks = ", ".join("?" * len(row))
        return await self._execute(
            f"INSERT INTO {table} ({columns}) VALUES ({marks}) ON CONFLICT DO NOTHING", *row
        )

    async def _execute(self, sql: str, *values: object) -> int:
        return await self._database.write(lambda transaction: transaction.execute(sql, *values))

    async def _fetch(self, columns: str, source: str, *values: object) -> Sequence[Row]:
        return await self._database.read(
            lambda transaction: transaction.fetch(columns, source, *values)
        )


def _take_link(transaction: Transaction, digest: str) -> Link | None:
    rows = transaction.fetch(_LINK, "FROM links WHERE digest = ?", digest)
    # Who deletes it has it: of two takers the second finds nothing to delete.
    if not transaction.execute("DELETE FROM links WHERE digest = ?", digest):
        return None
    _, name, role, ends_at = rows[0]
    return Link(digest=digest, name=from_text(name), role=Role(role), ends_at=from_micros(ends_at))


def _user_to_row(user: User) -> Row:
    return (
        to_text(user.name),
        user.role.value,
        to_micros(user.created_at),
        user.password,
        int(user.disabled),
        user.version,
    )


def _row_to_user(row: Row) -> User:
    return User(
        name=from_text(row[0]),
        role=Role(row[1]),
        created_at=from_micros(row[2]),
        password=row[3],
        disabled=bool(row[4]),
        version=row[5],
    )


def _session_to_row(session: Session) -> Row:
    return (
        session.digest,
        to_text(session.name),
        session.role.value,
        session.how.value,
        to_micros(session.created_at),
        to_micros(session.used_at),
        to_micros(session.ends_at),
    )


def _row_to_session(row: Row) -> Session:
    return Session(
        digest=row[0],
        name=from_text(row[1]),
        role=Role(row[2]),
        how=How(row[3]),
        created_at=from_micros(row[4]),
        used_at=from_micros(row[5]),
        ends_at=from_micros(row[6]),
    )


def _token_to_row(token: ApiToken) -> Row:
    return (
        to_text(token.ident),
        token.digest,
        to_words(token.label),
        to_text(token.owner),
        int(token.of_user),
        token.role.value,
        " ".join(sorted(token.scopes)),
        to_micros(token.created_at),
        to_micros(token.ends_at),
        to_micros_or_none(token.revoked_at),
    )


def _row_to_token(row: Row) -> ApiToken:
    return ApiToken(
        ident=from_text(row[0]),
        digest=row[1],
        label=from_text(row[2]),
        owner=from_text(row[3]),
        of_user=bool(row[4]),
        role=Role(row[5]),
        scopes=frozenset(map(Scope, row[6].split())),
        created_at=from_micros(row[7]),
        ends_at=from_micros(row[8]),
        revoked_at=from_micros_or_none(row[9]),
    )
