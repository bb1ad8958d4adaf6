"""The revision that a database's tables are of, where Alembic looks for it."""

from __future__ import annotations

from transferhub.state.sql.connection import Connection
from transferhub.state.sql.dialects import Dialect

HEAD = "0009"
"""The newest revision in migrations/versions, and what `schema` is."""

COMPATIBLE_SINCE = "0008"
"""The oldest revision whose programs can use these tables. It stays where a migration only adds
what they need not know, and is the migration's own otherwise."""

_CREATE = """
CREATE TABLE alembic_version (
    version_num VARCHAR(32) NOT NULL,
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
)
"""
MARK_AS_HEAD = (
    _CREATE,
    f"INSERT INTO alembic_version (version_num) VALUES ('{HEAD}')",
    f"INSERT INTO compatibility (id, since) VALUES (1, '{COMPATIBLE_SINCE}')",
)


def stored_revision(connection: Connection, dialect: Dialect) -> str | None:
    """None where there are no tables of ours."""
    if not dialect.fetch(connection, "1 AS found", dialect.of_table, ("alembic_version",)):
        return None
    rows = dialect.fetch(connection, "version_num", "FROM alembic_version", ())
    return str(rows[0][0]) if rows else None


def is_usable(connection: Connection, dialect: Dialect, revision: str | None) -> bool:
    """Whether this program can work with tables of the revision as they are."""
    if revision is None or revision <= HEAD:
        return revision == HEAD
    rows = dialect.fetch(connection, "since", "FROM compatibility", ())
    return bool(rows) and str(rows[0][0]) <= HEAD
