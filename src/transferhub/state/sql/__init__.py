"""State in SQL: SQLite beside the program, or PostgreSQL for several machines."""

from transferhub.state.sql.ledger import SqlLedger
from transferhub.state.sql.tasks import SqlTaskStore

__all__ = ["SqlLedger", "SqlTaskStore"]
