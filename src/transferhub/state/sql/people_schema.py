"""The tables of sign-in and safety. Secrets are here as digests, or sealed."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, SmallInteger, Table, Text

from transferhub.state.sql.schema import metadata

_IDENT = BigInteger().with_variant(Integer, "sqlite")
# Paged by name: compared as bytes in both databases.
_NAME = Text().with_variant(Text(collation="C"), "postgresql")

users = Table(
    "users",
    metadata,
    Column("name", _NAME, primary_key=True),
    Column("role", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("password", Text, nullable=False),
    Column("disabled", SmallInteger, nullable=False),
    Column("version", Integer, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("name", Text, nullable=False, index=True),
    Column("role", Text, nullable=False),
    Column("how", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("used_at", BigInteger, nullable=False),
    Column("ends_at", BigInteger, nullable=False, index=True),
)

links = Table(
    "links",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("ends_at", BigInteger, nullable=False, index=True),
)

tokens = Table(
    "tokens",
    metadata,
    Column("ident", _NAME, primary_key=True),
    Column("digest", Text, nullable=False, unique=True),
    Column("label", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("of_user", SmallInteger, nullable=False),
    Column("role", Text, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("ends_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
)
Index("ix_tokens_owner_ident", tokens.c.owner, tokens.c.ident)

strikes = Table(
    "strikes",
    metadata,
    Column("key", Text, primary_key=True),
    Column("count", Integer, nullable=False),
    Column("at", BigInteger, nullable=False, index=True),
)

audit = Table(
    "audit",
    metadata,
    Column("id", _IDENT, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("who", Text, nullable=False),
    Column("how", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("before", Text, nullable=False),
    Column("after", Text, nullable=False),
    # A number is a cursor: it is never given twice.
    sqlite_autoincrement=True,
)
for _column in (audit.c.who, audit.c.action, audit.c.subject):
    Index(f"ix_audit_{_column.name}_id", _column, audit.c.id)

credentials = Table(
    "credentials",
    metadata,
    Column("name", _NAME, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("described", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("version", Integer, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("box", Text, nullable=False),
)
