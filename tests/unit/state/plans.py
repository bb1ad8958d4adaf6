"""How a database carries statements out."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from transferhub.state.sql.connection import Connection, Cursor
from transferhub.state.sql.dialects import Dialect, SqliteDialect
from transferhub.state.sql.session import Session

VERBS = ("SELECT", "INSERT", "UPDATE", "DELETE")


class Plans:
    """How each statement was carried out, in the database's own words."""

    def __init__(self) -> None:
        self.lines: set[str] = set()

    def session(self, connection: Connection, dialect: Dialect, *, slot: int) -> Session:
        """A session whose statements are explained before they are executed."""
        explain = "EXPLAIN QUERY PLAN" if isinstance(dialect, SqliteDialect) else "EXPLAIN"
        explained = Explained(connection, partial(self.note, connection, explain))
        return Session(explained, dialect, slot=slot)

    def note(self, connection: Connection, explain: str, sql: str, values: Sequence[Any]) -> None:
        if sql.startswith(VERBS):
            rows = connection.execute(f"{explain} {sql}", values).fetchall()
            self.lines |= {row[-1] for row in rows}

    def of_table(self, table: str) -> set[str]:
        found = {line.partition(" USING ") for line in self.lines if table in line.split()[:2]}
        return {f"{verb.split()[0]} {index}" for verb, _, index in found}


class Explained:
    """A connection within a transaction that shows each statement first."""

    def __init__(self, connection: Connection, show: Callable[[str, Sequence[Any]], None]) -> None:
        self._connection = connection
        self._show = show
        self.commit, self.rollback = connection.commit, connection.rollback
        self.close = connection.close

    def execute(self, sql: str, values: Sequence[Any] = (), /) -> Cursor:
        self._show(sql, values)
        return self._connection.execute(sql, values)
