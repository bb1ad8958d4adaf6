"""The limits of tasks."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("tasks", "task_versions"):
        limits = sa.Column("limits", sa.Text(), nullable=False, server_default=sa.text("'{}'"))
        op.add_column(table, limits)
