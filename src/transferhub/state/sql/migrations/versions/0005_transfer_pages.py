"""The indexes by which transfers are paged: by their state, and by their error code."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_OF_STATE = "state = 2 OR state = 3 OR state = 5 OR state = 6 OR state = 7 OR state = 8"


def upgrade() -> None:
    op.drop_index("ix_transfers_held", "transfers")
    op.drop_index("ix_transfers_failed", "transfers")
    _create_index("ix_transfers_state", ["run_id", "state", "key"], _OF_STATE)
    columns = ["run_id", "state", "code", "key", "size"]
    _create_index("ix_transfers_code", columns, "state = 5 OR state = 7")


def _create_index(name: str, columns: list[str], condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, "transfers", columns, sqlite_where=where, postgresql_where=where)
