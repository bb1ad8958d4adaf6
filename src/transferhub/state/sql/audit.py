"""`SqlAudit`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from transferhub.model.people import AuditEntry, How
from transferhub.state.sql.codec import from_text, to_words
from transferhub.state.sql.database import Database
from transferhub.state.sql.dialects import Row
from transferhub.state.values import from_micros, to_micros

_ENTRY = "id, at, who, how, action, subject, before, after"
_INSERT = (
    "INSERT INTO audit (at, who, how, action, subject, before, after) "
    "VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id"
)


class SqlAudit:
    """An Audit in SQLite or PostgreSQL; each verb is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def append(self, entry: AuditEntry) -> AuditEntry:
        row = _to_row(entry)
        number = await self._database.write(lambda session: session.insert(_INSERT, *row))
        return replace(entry, number=number)

    async def entries(
        self,
        *,
        before: int | None = None,
        who: str = "",
        action: str = "",
        subject: str = "",
        limit: int = 100,
    ) -> Sequence[AuditEntry]:
        chosen = {"who": who, "action": action, "subject": subject}
        conditions = [f"{column} = ?" for column, value in chosen.items() if value]
        values: list[object] = [to_words(value) for value in chosen.values() if value]
        if before is not None:
            conditions.append("id < ?")
            values.append(before)
        where = " AND ".join(conditions) or "true"
        source = f"FROM audit WHERE {where} ORDER BY id DESC LIMIT ?"
        rows = await self._database.read(
            lambda session: session.fetch(_ENTRY, source, *values, limit)
        )
        return [_from_row(row) for row in rows]

    async def aclose(self) -> None:
        await self._database.aclose()


def _to_row(entry: AuditEntry) -> Row:
    return (
        to_micros(entry.at),
        to_words(entry.who),
        entry.how.value,
        to_words(entry.action),
        to_words(entry.subject),
        json.dumps(dict(entry.before)),
        json.dumps(dict(entry.after)),
    )


def _from_row(row: Row) -> AuditEntry:
    return AuditEntry(
        number=row[0],
        at=from_micros(row[1]),
        who=from_text(row[2]),
        how=How(row[3]),
        action=from_text(row[4]),
        subject=from_text(row[5]),
        before=json.loads(row[6]),
        after=json.loads(row[7]),
    )
