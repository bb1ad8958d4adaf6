"""`Session`: one transaction, in the thread of its database."""

from __future__ import annotations

from collections.abc import Sequence

from transferhub.state.sql.connection import Connection
from transferhub.state.sql.dialects import Columns, Dialect, Row


class Session:
    """Statements of one transaction. SQL is written as `Dialect` says."""

    def __init__(self, connection: Connection, dialect: Dialect, *, slot: int) -> None:
        """Args:
        slot: where this writer adds to totals.
        """
        self.connection = connection
        self.dialect = dialect
        self.slot = slot

    def execute(self, sql: str, *values: object) -> int:
        return self.dialect.execute(self.connection, sql, values)

    def fetch(self, columns: str, source: str, *values: object) -> Sequence[Row]:
        return self.dialect.fetch(self.connection, columns, source, values)

    def execute_rows(self, sql: str, columns: Columns, rows: Sequence[Row], *values: object) -> int:
        if not rows:
            return 0
        return self.dialect.execute_rows(self.connection, sql, columns, rows, values)

    def insert(self, sql: str, *values: object) -> int:
        """Executes an INSERT of one row; returns what its RETURNING names."""
        return self.dialect.insert(self.connection, sql, values)

    def insert_new(self, run_id: int, columns: Columns, rows: Sequence[Row]) -> Sequence[Row]:
        """Inserts transfers whose keys are new; returns (action, state, count, size) of those."""
        return self.dialect.insert_new(self.connection, run_id, columns, rows)

    def execute_ids(self, sql: str, ids: Sequence[int], *values: object) -> int:
        """Executes with `ids` as the last parameter, which stands at `{ids}`."""
        if not ids:
            return 0
        statement = sql.format(ids=self.dialect.any_of)
        return self.execute(statement, *values, self.dialect.list(ids))

    def fetch_ids(self, columns: str, source: str, ids: Sequence[int]) -> Sequence[Row]:
        """Fetches with `ids` as the only parameter, which stands at `{ids}`."""
        if not ids:
            return ()
        return self.fetch(columns, source.format(ids=self.dialect.any_of), self.dialect.list(ids))
