"""Tables of notifications, and what people were told of runs."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_IDENT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    _create_channels()
    _create_messages()
    _index_messages()
    _tell_of_runs()


def _create_channels() -> None:
    op.create_table(
        "channels",
        sa.Column("name", _NAME, nullable=False),
        _text("settings"),
        _moment("created_at"),
        _moment("updated_at"),
        _count("version"),
        _text("key_id"),
        _text("box"),
        sa.PrimaryKeyConstraint("name", name="pk_channels"),
    )


def _create_messages() -> None:
    op.create_table(
        "notices",
        sa.Column("ident", sa.Text(), nullable=False),
        _moment("at"),
        sa.PrimaryKeyConstraint("ident", name="pk_notices"),
    )
    op.create_index("ix_notices_at", "notices", ["at"])
    op.create_table(
        "messages",
        sa.Column("id", _IDENT, nullable=False),
        _text("ident"),
        _text("channel"),
        _text("kind"),
        _text("task"),
        _text("told"),
        _count("number"),
        _moment("created_at"),
        _moment("planned_at"),
        sa.Column("due_at", sa.BigInteger()),
        _text("state"),
        _count("attempts"),
        _text("error"),
        sa.Column("ended_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_messages"),
        sqlite_autoincrement=True,
    )


def _index_messages() -> None:
    group = ["channel", "kind", "task"]
    op.create_index("ix_messages_channel_id", "messages", ["channel", "id"])
    op.create_index("ix_messages_group", "messages", [*group, "id"])
    op.create_index("uq_messages_open", "messages", group, unique=True, **_where("state = 'open'"))
    due = _where("due_at IS NOT NULL")
    op.create_index("ix_messages_due", "messages", ["due_at", "id"], **due)
    op.create_index("ix_messages_channel_due", "messages", ["channel", "due_at"], **due)
    op.create_index("ix_messages_ended_at", "messages", ["ended_at"])


def _tell_of_runs() -> None:
    told_at = sa.Column("told_at", sa.BigInteger(), nullable=False, server_default="0")
    op.add_column("runs", told_at)
    # Nobody is told of what ended before there were notifications.
    op.execute("UPDATE runs SET told_at = ended_at WHERE ended_at IS NOT NULL")
    untold = _where("ended_at > told_at AND cause <> 'command'")
    op.create_index("ix_runs_untold", "runs", ["ended_at", "id"], **untold)


def _where(condition: str) -> dict[str, Any]:
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def _text(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(), nullable=False)


def _moment(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), nullable=False)


def _count(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Integer(), nullable=False)
