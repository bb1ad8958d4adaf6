"""Where tasks hear of changes, and the events that wait to be handled."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_BYTES = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_SOME = sa.text("events <> '{}'")


def upgrade() -> None:
    for table in ("tasks", "task_versions"):
        events = sa.Column("events", sa.Text(), nullable=False, server_default=sa.text("'{}'"))
        op.add_column(table, events)
    op.create_index(
        "ix_tasks_events", "tasks", ["ident"], sqlite_where=_SOME, postgresql_where=_SOME
    )
    op.create_table(
        "inbox",
        sa.Column("task", _BYTES, nullable=False),
        sa.Column("key", _BYTES, nullable=False),
        sa.Column("mark", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("place", _BYTES, nullable=False),
        sa.Column("happened_at", sa.BigInteger()),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("task", "key", name="pk_inbox"),
    )
    op.create_index("ix_inbox_task_since_key", "inbox", ["task", "since", "key"])
