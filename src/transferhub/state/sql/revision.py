"""The revision that a database's tables are of, where Alembic looks for it."""

from __future__ import annotations

from transferhub.state.sql.connection import Connection
from transferhub.state.sql.dialects import Dialect

HEAD = "0007"
"""The newest revision in migrations/versions, and what `schema` is."""

_CREATE = """
CREATE TABLE alembic_version (
    version_num VARCHAR(32) NOT NULL,
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
)
"""
MARK_AS_HEAD = (_CREATE, f"INSERT INTO alembic_version (version_num) VALUES ('{HEAD}')")


def stored_revision(connection: Connection, dialect: Dialect) -> str | None:
    """None where there are no tables of ours."""
    if not dialect.fetch(connection, "1 AS found", dialect.of_table, ("alembic_version",)):
        return None
    rows = dialect.fetch(connection, "version_num", "FROM alembic_version", ())
    return str(rows[0][0]) if rows else None
