"""`SqlVault`."""

from __future__ import annotations

from collections.abc import Sequence

from transferhub.model.people import Credential, CredentialKind, Sealed
from transferhub.state.refusals import credential_changed, credential_exists
from transferhub.state.sql.codec import from_text, to_text, to_words
from transferhub.state.sql.database import Database
from transferhub.state.sql.dialects import Row
from transferhub.state.values import from_micros, to_micros

_SEALED = "name, kind, described, created_at, updated_at, version, key_id, box"
_INSERT = (
    f"INSERT INTO credentials ({_SEALED}) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
)
_REPLACE = (
    f"UPDATE credentials SET ({_SEALED}) = (?, ?, ?, ?, ?, ?, ?, ?) "
    "WHERE name = ? AND version = ? AND key_id = ?"
)


class SqlVault:
    """A Vault in SQLite or PostgreSQL; each verb is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, sealed: Sealed) -> None:
        if not await self._execute(_INSERT, *_to_row(sealed)):
            raise credential_exists(sealed.credential.name)

    async def get(self, name: str) -> Sealed | None:
        rows = await self._fetch("WHERE name = ?", to_text(name))
        return _from_row(rows[0]) if rows else None

    async def replace(self, sealed: Sealed, was: Sealed) -> None:
        name = was.credential.name
        edition = (to_text(name), was.credential.version, was.key_id)
        if not await self._execute(_REPLACE, *_to_row(sealed), *edition):
            raise credential_changed(name)

    async def delete(self, name: str) -> bool:
        return bool(await self._execute("DELETE FROM credentials WHERE name = ?", to_text(name)))

    async def all(self, *, after: str = "", limit: int = 100) -> Sequence[Sealed]:
        rows = await self._fetch("WHERE name > ? ORDER BY name LIMIT ?", to_text(after), limit)
        return [_from_row(row) for row in rows]

    async def aclose(self) -> None:
        await self._database.aclose()

    async def _execute(self, sql: str, *values: object) -> int:
        return await self._database.write(lambda session: session.execute(sql, *values))

    async def _fetch(self, where: str, *values: object) -> Sequence[Row]:
        source = f"FROM credentials {where}"
        return await self._database.read(lambda session: session.fetch(_SEALED, source, *values))


def _to_row(sealed: Sealed) -> Row:
    known = sealed.credential
    return (
        to_text(known.name),
        known.kind.value,
        to_words(known.described),
        to_micros(known.created_at),
        to_micros(known.updated_at),
        known.version,
        sealed.key_id,
        sealed.box,
    )


def _from_row(row: Row) -> Sealed:
    credential = Credential(
        name=from_text(row[0]),
        kind=CredentialKind(row[1]),
        described=from_text(row[2]),
        created_at=from_micros(row[3]),
        updated_at=from_micros(row[4]),
        version=row[5],
    )
    return Sealed(credential=credential, key_id=row[6], box=row[7])
