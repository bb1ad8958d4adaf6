"""The table of events that wait to be handled."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Table, Text

from transferhub.state.sql.schema import metadata

# Paged by, and sequencers are hexadecimal: compared as bytes in both databases.
_BYTES = Text().with_variant(Text(collation="C"), "postgresql")

inbox = Table(
    "inbox",
    metadata,
    Column("task", _BYTES, primary_key=True),
    Column("key", _BYTES, primary_key=True),
    Column("mark", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    # As `ObjectEvent.order`; "" where the store gives no sequencer.
    Column("place", _BYTES, nullable=False),
    Column("happened_at", BigInteger),
    Column("since", BigInteger, nullable=False),
)
Index("ix_inbox_task_since_key", inbox.c.task, inbox.c.since, inbox.c.key)
