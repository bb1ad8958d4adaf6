"""What a hub keeps of tasks and runs; seats and the fleet."""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_BYTES = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_NEVER = str((1 << 63) - 1)
_EMPTY = sa.text("''")


def upgrade() -> None:
    _extend_tasks()
    _fill_tasks()
    _create_task_versions()
    _extend_runs()
    _create_seats_and_members()


def _text(name: str, default: sa.TextClause | None = None) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(), nullable=False, server_default=default)


def _whole(name: str, default: str | None = None) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), nullable=False, server_default=default)


def _add_columns(table: str, *columns: sa.Column[Any]) -> None:
    # SQLite would write what is added to a table at the end of one line.
    anew = op.get_bind().dialect.name == "sqlite"
    with op.batch_alter_table(table, recreate="always" if anew else "never") as batch:
        for column in columns:
            batch.add_column(column)


def _partial_index(name: str, table: str, columns: list[str], condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where)


def _extend_tasks() -> None:
    op.drop_index("ix_tasks_fingerprint", "tasks")
    _add_columns(
        "tasks",
        _whole("updated_at", "0"),
        _text("description", _EMPTY),
        _text("owner", _EMPTY),
        _text("tags", sa.text("'[]'")),
        _text("schedule", sa.text("'{}'")),
        _text("state", sa.text("'active'")),
        _whole("next_run_at", _NEVER),
        sa.Column("sort_name", _BYTES, nullable=False, server_default=_EMPTY),
        _text("words", _EMPTY),
    )
    for name in ("created_at", "updated_at", "sort_name", "next_run_at"):
        op.create_index(f"ix_tasks_{name}_id", "tasks", [name, "id"])
    columns = ["fingerprint", "created_at", "id"]
    op.create_index("ix_tasks_fingerprint_created_at_id", "tasks", columns)
    _partial_index("ix_tasks_due", "tasks", ["next_run_at", "ident"], "state = 'active'")


def _fill_tasks() -> None:
    connection = op.get_bind()
    connection.execute(sa.text("UPDATE tasks SET updated_at = created_at"))
    update = sa.text("UPDATE tasks SET sort_name = :name, words = :words WHERE id = :id")
    for ident, name, spec in connection.execute(sa.text("SELECT id, name, spec FROM tasks")).all():
        folded = name.casefold()
        words = "\n".join((name, "", *_places(json.loads(spec)))).casefold()
        connection.execute(update, {"name": folded[:200], "words": words, "id": ident})


def _places(spec: dict[str, Any]) -> list[str]:
    """The texts of source and destination, but those that PostgreSQL cannot hold as they are."""
    found: list[str] = []
    left = [spec.get("destination"), spec.get("source")]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            left += reversed(value.values())
        elif isinstance(value, str) and value.isprintable():
            found.append(value)
    return found


def _create_task_versions() -> None:
    op.create_table(
        "task_versions",
        _text("ident"),
        sa.Column("version", sa.Integer(), nullable=False),
        _text("name"),
        _text("kind"),
        _text("spec"),
        _text("fingerprint"),
        _whole("created_at"),
        _whole("updated_at"),
        _text("description"),
        _text("owner"),
        _text("tags"),
        _text("schedule"),
        _text("state"),
        _whole("next_run_at"),
        sa.PrimaryKeyConstraint("ident", "version", name="pk_task_versions"),
    )


def _extend_runs() -> None:
    op.drop_index("ix_runs_task", "runs")
    _add_columns(
        "runs",
        _text("cause", sa.text("'command'")),
        _text("asked", sa.text("'none'")),
        sa.Column("scheduled_at", sa.BigInteger()),
        _text("keeper", _EMPTY),
        sa.Column("kept_until", sa.BigInteger()),
    )
    for names in ((), ("task",), ("state",), ("cause",), ("task", "state")):
        columns = [*names, "created_at", "id"]
        op.create_index(f"ix_runs_{'_'.join(columns)}", "runs", columns)
    op.create_index("uq_runs_task_scheduled_at", "runs", ["task", "scheduled_at"], unique=True)
    kept = "state = 'running' AND keeper <> ''"
    _partial_index("ix_runs_kept", "runs", ["state", "kept_until", "id"], kept)


def _create_seats_and_members() -> None:
    op.create_table(
        "seats",
        _text("name"),
        _text("holder"),
        _whole("number"),
        _whole("ends_at"),
        sa.PrimaryKeyConstraint("name", name="pk_seats"),
    )
    op.create_table(
        "members",
        sa.Column("ident", _BYTES, nullable=False),
        _text("host"),
        _whole("pid"),
        _text("version"),
        _text("kind"),
        _whole("started_at"),
        _whole("seen_at"),
        sa.Column("draining", sa.SmallInteger(), nullable=False),
        _text("carries"),
        sa.PrimaryKeyConstraint("ident", name="pk_members"),
    )
    op.create_index("ix_members_seen_at", "members", ["seen_at"])
