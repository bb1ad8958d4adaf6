"""The tables of samples and logs of runs."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    Index,
    Integer,
    SmallInteger,
    Table,
    Text,
)

from transferhub.state.sql.schema import metadata


def _of(name: str, kind: type[Any]) -> Column[Any]:
    return Column(name, kind, nullable=False)


samples = Table(
    "samples",
    metadata,
    Column("run", Text, primary_key=True),
    Column("at", BigInteger, primary_key=True, autoincrement=False),
    _of("task", Text),
    _of("phase", Text),
    _of("listing", SmallInteger),
    _of("bytes", BigInteger),
    _of("objects", BigInteger),
    _of("failures", BigInteger),
    _of("deleted", BigInteger),
    _of("open", BigInteger),
    _of("workers", Integer),
    _of("bytes_rate", Double),
    _of("objects_rate", Double),
    Column("seconds_left", Double),
    _of("bytes_peak", Double),
    _of("objects_peak", Double),
    # Of its thinning, in microseconds.
    _of("step", BigInteger),
    _of("weight", BigInteger),
)
Index("ix_samples_task_at", samples.c.task, samples.c.at)
Index("ix_samples_step_at", samples.c.step, samples.c.at)

# A row for each task: its lock keeps the numbers of lines in the order in which they can be seen.
log_numbers = Table(
    "log_numbers",
    metadata,
    Column("task", Text, primary_key=True),
    _of("number", BigInteger),
)

logs = Table(
    "logs",
    metadata,
    Column("run", Text, primary_key=True),
    _of("task", Text),
    _of("lines", BigInteger),
    _of("size", BigInteger),
    _of("dropped", BigInteger),
    _of("last_at", BigInteger),
)
Index("ix_logs_task", logs.c.task)
Index("ix_logs_last_at", logs.c.last_at)

log_lines = Table(
    "log_lines",
    metadata,
    Column("run", Text, primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    _of("task", Text),
    _of("at", BigInteger),
    _of("level", SmallInteger),
    _of("action", Text),
    _of("message", Text),
    _of("worker", Text),
    _of("size", BigInteger),
)
Index("ix_log_lines_task_number", log_lines.c.task, log_lines.c.number)
