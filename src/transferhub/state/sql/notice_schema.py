"""The tables of notifications."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, Table, Text, text

from transferhub.state.sql.schema import metadata

_IDENT = BigInteger().with_variant(Integer, "sqlite")
# Paged by name: compared as bytes in both databases.
_NAME = Text().with_variant(Text(collation="C"), "postgresql")

channels = Table(
    "channels",
    metadata,
    Column("name", _NAME, primary_key=True),
    Column("settings", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("version", Integer, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("box", Text, nullable=False),
)

# The ids of the notices that were told.
notices = Table(
    "notices",
    metadata,
    Column("ident", Text, primary_key=True),
    Column("at", BigInteger, nullable=False, index=True),
)

messages = Table(
    "messages",
    metadata,
    Column("id", _IDENT, primary_key=True),
    Column("ident", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("task", Text, nullable=False),
    Column("told", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("planned_at", BigInteger, nullable=False),
    Column("due_at", BigInteger),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("error", Text, nullable=False),
    Column("ended_at", BigInteger),
    # Its id is a cursor: it is never given twice.
    sqlite_autoincrement=True,
)
_OPEN = text("state = 'open'")
_DUE = text("due_at IS NOT NULL")
Index("ix_messages_channel_id", messages.c.channel, messages.c.id)
Index("ix_messages_group", messages.c.channel, messages.c.kind, messages.c.task, messages.c.id)
# A group has one message that takes in notices.
Index(
    "uq_messages_open",
    messages.c.channel,
    messages.c.kind,
    messages.c.task,
    unique=True,
    sqlite_where=_OPEN,
    postgresql_where=_OPEN,
)
Index("ix_messages_due", messages.c.due_at, messages.c.id, sqlite_where=_DUE, postgresql_where=_DUE)
Index(
    "ix_messages_channel_due",
    messages.c.channel,
    messages.c.due_at,
    sqlite_where=_DUE,
    postgresql_where=_DUE,
)
Index("ix_messages_ended_at", messages.c.ended_at)
