"""The tables. Times are microseconds since 1970; enums are the numbers of `codec`."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    Table,
    Text,
    text,
)

from transferhub.state.sql.codec import SCAN_COLUMNS

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite gives a table its fast row id only where the key is called INTEGER.
_Ident = BigInteger().with_variant(Integer, "sqlite")
# Compared as bytes, which is the order of keys everywhere. SQLite does so by itself.
_Key = Text().with_variant(Text(collation="C"), "postgresql")


def _flag(name: str) -> Column[int]:
    return Column(name, SmallInteger, nullable=False, server_default="0")


# A number for each run of the ledger, so that a hundred million rows need not repeat its name.
ledgers = Table(
    "ledgers",
    metadata,
    Column("id", _Ident, primary_key=True),
    Column("run", Text, nullable=False, unique=True),
    # A number is never given twice, or a writer that still knows a purged one would write to
    # another run.
    sqlite_autoincrement=True,
)

# No foreign key to `ledgers`: to check it for each row would cost more than to write the row.
# Writers lock the run's row instead (see `ledgers.py`).
transfers = Table(
    "transfers",
    metadata,
    Column("id", _Ident, primary_key=True),
    Column("run_id", BigInteger, nullable=False),
    Column("key", _Key, nullable=False),
    Column("difference", SmallInteger, nullable=False),
    Column("action", SmallInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("etag", Text, nullable=False),
    Column("modified_at", BigInteger),
    Column("storage_class", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("state", SmallInteger, nullable=False),
    # Not before; of a leased transfer: when its lease runs out. 0: recorded and never leased.
    Column("due", BigInteger, nullable=False, server_default="0"),
    Column("token", BigInteger),
    Column("worker", BigInteger),
    Column("attempts", Integer, nullable=False, server_default="0"),
    _flag("finish"),
    Column("open_parts", Integer, nullable=False, server_default="0"),
    Column("upload_ref", BigInteger),
    Column("moved_bytes", BigInteger, nullable=False, server_default="0"),
    Column("destination_etag", Text),
    Column("code", Text),
    Column("message", Text),
    Column("note", Text),
    Column("ended_at", BigInteger),
)
Index("uq_transfers_run_id_key", transfers.c.run_id, transfers.c.key, unique=True)


def _partial_index(name: str, condition: str, *columns: Column[Any]) -> None:
    Index(name, *columns, sqlite_where=text(condition), postgresql_where=text(condition))


# What can be leased, now or later, in the order of leasing. Whole transfers leave it when they end,
# so a lease costs the same whatever the run holds.
_partial_index(
    "ix_transfers_due",
    "state <= 1",
    transfers.c.run_id,
    transfers.c.due,
    transfers.c.id,
)
# What is neither due nor done, which is little: in parts, held, failed, vanished, skipped and
# archived. SQLite uses such an index where a query names one of these conditions as it is here.
_partial_index(
    "ix_transfers_state",
    "state = 2 OR state = 3 OR state = 5 OR state = 6 OR state = 7 OR state = 8",
    transfers.c.run_id,
    transfers.c.state,
    transfers.c.key,
)
# With the size, to add up failures by their codes from it alone.
_partial_index(
    "ix_transfers_code",
    "state = 5 OR state = 7",
    transfers.c.run_id,
    transfers.c.state,
    transfers.c.code,
    transfers.c.key,
    transfers.c.size,
)

parts = Table(
    "parts",
    metadata,
    Column("id", _Ident, primary_key=True),
    Column("run_id", BigInteger, nullable=False),
    Column(
        "transfer_id", BigInteger, ForeignKey("transfers.id", ondelete="CASCADE"), nullable=False
    ),
    Column("number", Integer, nullable=False),
    Column("start", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("etag", Text, nullable=False),
    _flag("proven"),
    Column("state", SmallInteger, nullable=False),
    Column("due", BigInteger, nullable=False, server_default="0"),
    Column("token", BigInteger),
    Column("worker", BigInteger),
    Column("attempts", Integer, nullable=False, server_default="0"),
)
Index("uq_parts_transfer_id_number", parts.c.transfer_id, parts.c.number, unique=True)
_partial_index("ix_parts_due", "state <= 1", parts.c.run_id, parts.c.due, parts.c.id)

# Outlives its transfer: an upload is known until it is completed or forgotten.
uploads = Table(
    "uploads",
    metadata,
    Column("id", _Ident, primary_key=True),
    Column("run_id", BigInteger, nullable=False, index=True),
    Column("transfer_key", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("upload_id", Text, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("note", Text, nullable=False),
    _flag("abandoned"),
    # A transfer still refers to its upload: no number may be given twice.
    sqlite_autoincrement=True,
)

attempts = Table(
    "attempts",
    metadata,
    Column("id", _Ident, primary_key=True),
    Column(
        "transfer_id",
        BigInteger,
        ForeignKey("transfers.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("at", BigInteger, nullable=False),
    Column("code", Text, nullable=False),
    Column("message", Text, nullable=False),
)

shards = Table(
    "shards",
    metadata,
    Column("run_id", BigInteger, primary_key=True),
    Column("ident", Text, primary_key=True),
    _flag("done"),
    Column("detail", Text, nullable=False),
    *(Column(name, BigInteger, nullable=False) for name in SCAN_COLUMNS),
)

# Totals, kept with every change. Several rows hold one sum, so that writers need not wait for each
# other; a single row may be below zero.
tallies = Table(
    "tallies",
    metadata,
    Column("run_id", BigInteger, primary_key=True),
    Column("slot", SmallInteger, primary_key=True),
    Column("action", SmallInteger, primary_key=True),
    Column("state", SmallInteger, primary_key=True),
    Column("count", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("moved_bytes", BigInteger, nullable=False),
)
