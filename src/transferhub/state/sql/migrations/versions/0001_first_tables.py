"""First tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_IDENT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_SCAN_COLUMNS = (
    "scanned_source",
    "scanned_destination",
    "same",
    "new",
    "changed",
    "extra",
    "filtered",
    "archived",
    "fallbacks",
    "source_bytes",
    "copy_bytes",
)


def upgrade() -> None:
    _create_tasks_and_runs()
    _create_transfers()
    _create_parts()
    _create_uploads_and_attempts()
    _create_sums()


def _ident() -> sa.Column[int]:
    return sa.Column("id", _IDENT, nullable=False)


def _whole(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False)


def _zero(name: str, kind: sa.types.TypeEngine[int]) -> sa.Column[int]:
    return sa.Column(name, kind, server_default="0", nullable=False)


def _words(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)


def _partial_index(name: str, table: str, columns: list[str], condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where)


def _create_tasks_and_runs() -> None:
    op.create_table(
        "tasks",
        _ident(),
        _words("ident"),
        _words("name"),
        _words("kind"),
        _words("spec"),
        _words("fingerprint"),
        _whole("created_at"),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tasks"),
        sa.UniqueConstraint("ident", name="uq_tasks_ident"),
    )
    op.create_index("ix_tasks_fingerprint", "tasks", ["fingerprint"])
    op.create_table(
        "runs",
        _ident(),
        _words("ident"),
        _words("task"),
        sa.Column("task_version", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        _whole("created_at"),
        sa.Column("started_at", sa.BigInteger()),
        sa.Column("ended_at", sa.BigInteger()),
        _words("error_code"),
        _words("error"),
        _words("workers"),
        _words("summary"),
        sa.Column("resumed", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
        sa.UniqueConstraint("ident", name="uq_runs_ident"),
    )
    op.create_index("ix_runs_task", "runs", ["task"])


def _create_transfers() -> None:
    op.create_table(
        "ledgers",
        _ident(),
        _words("run"),
        sa.PrimaryKeyConstraint("id", name="pk_ledgers"),
        sa.UniqueConstraint("run", name="uq_ledgers_run"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "transfers",
        _ident(),
        _whole("run_id"),
        sa.Column("key", _KEY, nullable=False),
        sa.Column("difference", sa.SmallInteger(), nullable=False),
        sa.Column("action", sa.SmallInteger(), nullable=False),
        _whole("size"),
        _words("etag"),
        sa.Column("modified_at", sa.BigInteger()),
        _words("storage_class"),
        _words("detail"),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        _zero("due", sa.BigInteger()),
        sa.Column("token", sa.BigInteger()),
        sa.Column("worker", sa.BigInteger()),
        _zero("attempts", sa.Integer()),
        _zero("finish", sa.SmallInteger()),
        _zero("open_parts", sa.Integer()),
        sa.Column("upload_ref", sa.BigInteger()),
        _zero("moved_bytes", sa.BigInteger()),
        sa.Column("destination_etag", sa.Text()),
        sa.Column("code", sa.Text()),
        sa.Column("message", sa.Text()),
        sa.Column("note", sa.Text()),
        sa.Column("ended_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_transfers"),
    )
    op.create_index("uq_transfers_run_id_key", "transfers", ["run_id", "key"], unique=True)
    _partial_index("ix_transfers_due", "transfers", ["run_id", "due", "id"], "state <= 1")
    _partial_index("ix_transfers_held", "transfers", ["run_id"], "state = 3")
    _partial_index("ix_transfers_failed", "transfers", ["run_id", "state", "key"], "state = 5")


def _create_parts() -> None:
    op.create_table(
        "parts",
        _ident(),
        _whole("run_id"),
        _whole("transfer_id"),
        sa.Column("number", sa.Integer(), nullable=False),
        _whole("start"),
        _whole("size"),
        _words("etag"),
        _zero("proven", sa.SmallInteger()),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        _zero("due", sa.BigInteger()),
        sa.Column("token", sa.BigInteger()),
        sa.Column("worker", sa.BigInteger()),
        _zero("attempts", sa.Integer()),
        sa.PrimaryKeyConstraint("id", name="pk_parts"),
        sa.ForeignKeyConstraint(
            ["transfer_id"], ["transfers.id"], name="fk_parts_transfer_id", ondelete="CASCADE"
        ),
    )
    op.create_index("uq_parts_transfer_id_number", "parts", ["transfer_id", "number"], unique=True)
    _partial_index("ix_parts_due", "parts", ["run_id", "due", "id"], "state <= 1")


def _create_uploads_and_attempts() -> None:
    op.create_table(
        "uploads",
        _ident(),
        _whole("run_id"),
        _words("transfer_key"),
        _words("key"),
        _words("upload_id"),
        _whole("started_at"),
        _words("note"),
        _zero("abandoned", sa.SmallInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_uploads"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_uploads_run_id", "uploads", ["run_id"])
    op.create_table(
        "attempts",
        _ident(),
        _whole("transfer_id"),
        _whole("at"),
        _words("code"),
        _words("message"),
        sa.PrimaryKeyConstraint("id", name="pk_attempts"),
        sa.ForeignKeyConstraint(
            ["transfer_id"], ["transfers.id"], name="fk_attempts_transfer_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_attempts_transfer_id", "attempts", ["transfer_id"])


def _create_sums() -> None:
    op.create_table(
        "shards",
        _whole("run_id"),
        _words("ident"),
        _zero("done", sa.SmallInteger()),
        _words("detail"),
        *(_whole(name) for name in _SCAN_COLUMNS),
        sa.PrimaryKeyConstraint("run_id", "ident", name="pk_shards"),
    )
    op.create_table(
        "tallies",
        _whole("run_id"),
        sa.Column("slot", sa.SmallInteger(), nullable=False),
        sa.Column("action", sa.SmallInteger(), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        _whole("count"),
        _whole("size"),
        _whole("moved_bytes"),
        sa.PrimaryKeyConstraint("run_id", "slot", "action", "state", name="pk_tallies"),
    )
