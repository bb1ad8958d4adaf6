"""The tables of tasks, runs, seats and the fleet."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    SmallInteger,
    String,
    Table,
    Text,
    TextClause,
    text,
)

from transferhub.state.sql.schema import metadata

_IDENT = BigInteger().with_variant(Integer, "sqlite")
# Sorted by: compared as bytes in both databases.
_BYTES = Text().with_variant(Text(collation="C"), "postgresql")
_NEVER = str((1 << 63) - 1)  # `cursors.NEVER`: one index has those without a moment last
_EMPTY = text("''")
_NOTHING = text("'{}'")


def _words(name: str, default: TextClause | None = None) -> Column[str]:
    return Column(name, Text, nullable=False, server_default=default)


def _moment(name: str, default: str | None = None) -> Column[int]:
    return Column(name, BigInteger, nullable=False, server_default=default)


tasks = Table(
    "tasks",
    metadata,
    Column("id", _IDENT, primary_key=True),
    Column("ident", Text, nullable=False, unique=True),
    _words("name"),
    _words("kind"),
    _words("spec"),
    _words("fingerprint"),
    _moment("created_at"),
    Column("version", Integer, nullable=False),
    _moment("updated_at", "0"),
    _words("description", _EMPTY),
    _words("owner", _EMPTY),
    _words("tags", text("'[]'")),
    _words("schedule", text("'{}'")),
    _words("state", text("'active'")),
    _moment("next_run_at", _NEVER),
    Column("sort_name", _BYTES, nullable=False, server_default=_EMPTY),
    _words("words", _EMPTY),
    _words("limits", _NOTHING),
    _words("events", _NOTHING),
)
for _column in (tasks.c.created_at, tasks.c.updated_at, tasks.c.sort_name, tasks.c.next_run_at):
    Index(f"ix_tasks_{_column.name}_id", _column, tasks.c.id)
Index("ix_tasks_fingerprint_created_at_id", tasks.c.fingerprint, tasks.c.created_at, tasks.c.id)
Index(
    "ix_tasks_due",
    tasks.c.next_run_at,
    tasks.c.ident,
    sqlite_where=text("state = 'active'"),
    postgresql_where=text("state = 'active'"),
)
Index(
    "ix_tasks_events",
    tasks.c.ident,
    sqlite_where=text("events <> '{}'"),
    postgresql_where=text("events <> '{}'"),
)

# The tasks as they were before each update, and as they were deleted.
task_versions = Table(
    "task_versions",
    metadata,
    Column("ident", Text, primary_key=True),
    Column("version", Integer, primary_key=True),
    _words("name"),
    _words("kind"),
    _words("spec"),
    _words("fingerprint"),
    _moment("created_at"),
    _moment("updated_at"),
    _words("description"),
    _words("owner"),
    _words("tags"),
    _words("schedule"),
    _words("state"),
    _moment("next_run_at"),
    _words("limits", _NOTHING),
    _words("events", _NOTHING),
)

runs = Table(
    "runs",
    metadata,
    Column("id", _IDENT, primary_key=True),
    Column("ident", Text, nullable=False, unique=True),
    _words("task"),
    Column("task_version", Integer, nullable=False),
    Column("state", String(32), nullable=False),
    _moment("created_at"),
    Column("started_at", BigInteger),
    Column("ended_at", BigInteger),
    _words("error_code"),
    _words("error"),
    _words("workers"),
    _words("summary"),
    Column("resumed", Integer, nullable=False),
    Column("version", Integer, nullable=False),
    _words("cause", text("'command'")),
    _words("asked", text("'none'")),
    Column("scheduled_at", BigInteger),
    _words("keeper", _EMPTY),
    Column("kept_until", BigInteger),
    _moment("told_at", "0"),
)
Index("ix_runs_created_at_id", runs.c.created_at, runs.c.id)
Index("ix_runs_task_created_at_id", runs.c.task, runs.c.created_at, runs.c.id)
Index("ix_runs_state_created_at_id", runs.c.state, runs.c.created_at, runs.c.id)
Index("ix_runs_cause_created_at_id", runs.c.cause, runs.c.created_at, runs.c.id)
Index("ix_runs_task_state_created_at_id", runs.c.task, runs.c.state, runs.c.created_at, runs.c.id)
# A moment of a schedule starts one run.
Index("uq_runs_task_scheduled_at", runs.c.task, runs.c.scheduled_at, unique=True)
# With the state, which is always the same: SQLite would take the index of all states instead.
Index(
    "ix_runs_kept",
    runs.c.state,
    runs.c.kept_until,
    runs.c.id,
    sqlite_where=text("state = 'running' AND keeper <> ''"),
    postgresql_where=text("state = 'running' AND keeper <> ''"),
)
_UNTOLD = text("ended_at > told_at AND cause <> 'command'")
Index(
    "ix_runs_untold",
    runs.c.ended_at,
    runs.c.id,
    sqlite_where=_UNTOLD,
    postgresql_where=_UNTOLD,
)

seats = Table(
    "seats",
    metadata,
    Column("name", Text, primary_key=True),
    _words("holder"),
    Column("number", BigInteger, nullable=False),
    _moment("ends_at"),
)

members = Table(
    "members",
    metadata,
    Column("ident", _BYTES, primary_key=True),
    _words("host"),
    Column("pid", BigInteger, nullable=False),
    _words("version"),
    _words("kind"),
    _moment("started_at"),
    Column("seen_at", BigInteger, nullable=False, index=True),
    Column("draining", SmallInteger, nullable=False),
    _words("carries"),
)
