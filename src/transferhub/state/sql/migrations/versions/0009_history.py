"""Tables of samples and logs of runs."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _create_samples()
    _create_logs()
    _create_log_lines()


def _create_samples() -> None:
    op.create_table(
        "samples",
        _text("run"),
        _whole("at"),
        _text("task"),
        _text("phase"),
        sa.Column("listing", sa.SmallInteger(), nullable=False),
        _whole("bytes"),
        _whole("objects"),
        _whole("failures"),
        _whole("deleted"),
        _whole("open"),
        sa.Column("workers", sa.Integer(), nullable=False),
        _rate("bytes_rate"),
        _rate("objects_rate"),
        sa.Column("seconds_left", sa.Double()),
        _rate("bytes_peak"),
        _rate("objects_peak"),
        _whole("step"),
        _whole("weight"),
        sa.PrimaryKeyConstraint("run", "at", name="pk_samples"),
    )
    op.create_index("ix_samples_task_at", "samples", ["task", "at"])
    op.create_index("ix_samples_step_at", "samples", ["step", "at"])


def _create_logs() -> None:
    op.create_table(
        "log_numbers",
        _text("task"),
        _whole("number"),
        sa.PrimaryKeyConstraint("task", name="pk_log_numbers"),
    )
    op.create_table(
        "logs",
        _text("run"),
        _text("task"),
        _whole("lines"),
        _whole("size"),
        _whole("dropped"),
        _whole("last_at"),
        sa.PrimaryKeyConstraint("run", name="pk_logs"),
    )
    op.create_index("ix_logs_task", "logs", ["task"])
    op.create_index("ix_logs_last_at", "logs", ["last_at"])


def _create_log_lines() -> None:
    op.create_table(
        "log_lines",
        _text("run"),
        _whole("number"),
        _text("task"),
        _whole("at"),
        sa.Column("level", sa.SmallInteger(), nullable=False),
        _text("action"),
        _text("message"),
        _text("worker"),
        _whole("size"),
        sa.PrimaryKeyConstraint("run", "number", name="pk_log_lines"),
    )
    op.create_index("ix_log_lines_task_number", "log_lines", ["task", "number"])


def _text(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(), nullable=False)


def _whole(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), nullable=False, autoincrement=False)


def _rate(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Double(), nullable=False)
