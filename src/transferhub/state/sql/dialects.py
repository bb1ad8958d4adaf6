"""What differs between SQLite and PostgreSQL; everything else is written once.

Many rows travel as one statement. Python's sqlite3 hands over the interpreter at every row that it
reads or writes, and beside a busy event loop each handover costs more than the row: 1,000 rows in
one step took 3 µs each where 1,000 steps took 19 to 39.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, ClassVar

from transferhub.state.sql.connection import Connection

Row = Sequence[Any]
Columns = tuple[tuple[str, str], ...]
"""Names and types, BIGINT or TEXT."""

_to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Dialect(ABC):
    """Statements are written with `?`, and with `{rows}` where given rows stand for a table.

    Attributes:
        lock: ends a query whose rows are to be changed.
        lock_free: the same, passing over rows that another writer holds.
        lock_run: ends the query for the run's row in a writer of any other rows.
        lock_run_alone: the same, for a writer that wants to be the only one.
        of_table: ends a query that finds a row where there is a table of the name `?`.
        slots: into how many rows each total is split.
    """

    lock: ClassVar[str] = ""
    lock_free: ClassVar[str] = ""
    lock_free_parts: ClassVar[str] = ""
    lock_run: ClassVar[str] = ""
    lock_run_alone: ClassVar[str] = ""
    any_of: ClassVar[str]
    of_table: ClassVar[str]
    slots: ClassVar[int] = 1

    @abstractmethod
    def begin(self, connection: Connection, *, write: bool) -> None:
        """Begins a transaction that sees one state of the database, or may write."""

    @abstractmethod
    def list(self, values: Sequence[int] | Sequence[str]) -> object:
        """The parameter of `any_of`."""

    @abstractmethod
    def execute(self, connection: Connection, sql: str, values: Row) -> int:
        """Returns how many rows were changed."""

    @abstractmethod
    def insert(self, connection: Connection, sql: str, values: Row) -> int:
        """Executes an INSERT of one row; returns what its RETURNING names."""

    @abstractmethod
    def fetch(
        self, connection: Connection, columns: str, source: str, values: Row
    ) -> Sequence[Row]:
        """SELECT `columns` `source`."""

    @abstractmethod
    def execute_rows(
        self,
        connection: Connection,
        sql: str,
        columns: Columns,
        rows: Sequence[Row],
        values: Row,
    ) -> int:
        """Executes with `rows` in place of `{rows}`; `values` are the parameters before it.

        Returns how many rows were changed.
        """

    @abstractmethod
    def insert_new(
        self, connection: Connection, run_id: int, columns: Columns, rows: Sequence[Row]
    ) -> Sequence[Row]:
        """Inserts transfers whose keys are new; returns (action, state, count, size) of those."""


class SqliteDialect(Dialect):
    """One writer at a time: no row needs a lock."""

    any_of = "IN (SELECT value FROM json_each(?))"
    of_table = "FROM sqlite_master WHERE name = ?"

    def begin(self, connection: Connection, *, write: bool) -> None:
        # A transaction that begins as a reader cannot always become a writer; see SQLITE_BUSY.
        connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")

    def list(self, values: Sequence[int] | Sequence[str]) -> object:
        return _to_json(values)

    def execute(self, connection: Connection, sql: str, values: Row) -> int:
        return connection.execute(sql, tuple(values)).rowcount

    def insert(self, connection: Connection, sql: str, values: Row) -> int:
        return int(connection.execute(sql, tuple(values)).fetchone()[0])

    def fetch(
        self, connection: Connection, columns: str, source: str, values: Row
    ) -> Sequence[Row]:
        sql = _select_as_json(columns, source)
        found: list[Row] = json.loads(connection.execute(sql, tuple(values)).fetchone()[0])
        return found

    def execute_rows(
        self,
        connection: Connection,
        sql: str,
        columns: Columns,
        rows: Sequence[Row],
        values: Row,
    ) -> int:
        changed = start = 0
        for chunk in (100, 10, 1):
            for _ in range((len(rows) - start) // chunk):
                flat = chain(values, *rows[start : start + chunk])
                statement = _with_values(sql, columns, chunk)
                changed += connection.execute(statement, tuple(flat)).rowcount
                start += chunk
        return changed

    def insert_new(
        self, connection: Connection, run_id: int, columns: Columns, rows: Sequence[Row]
    ) -> Sequence[Row]:
        last = self.fetch(connection, "max(id) AS last", "FROM transfers", ())[0][0] or 0
        self.execute_rows(connection, _insert_new(columns), columns, rows, (run_id,))
        # Row ids grow, and nobody else writes.
        return self.fetch(connection, _SUMS, "FROM transfers WHERE id > ? " + _BY_SUM, (last,))


class PostgresDialect(Dialect):
    lock = "FOR UPDATE"
    lock_free = "FOR UPDATE SKIP LOCKED"
    lock_free_parts = "FOR UPDATE OF p SKIP LOCKED"
    lock_run = "FOR KEY SHARE"
    lock_run_alone = "FOR UPDATE"
    any_of = "= ANY(?)"
    of_table = "FROM pg_class WHERE oid = to_regclass(?)"
    slots = 16

    def begin(self, connection: Connection, *, write: bool) -> None:
        if not write:
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")

    def list(self, values: Sequence[int] | Sequence[str]) -> object:
        return [*values]

    def execute(self, connection: Connection, sql: str, values: Row) -> int:
        return connection.execute(_percent(sql), tuple(values)).rowcount

    def insert(self, connection: Connection, sql: str, values: Row) -> int:
        return int(connection.execute(_percent(sql), tuple(values)).fetchone()[0])

    def fetch(
        self, connection: Connection, columns: str, source: str, values: Row
    ) -> Sequence[Row]:
        sql = _percent(f"SELECT {columns} {source}")
        return connection.execute(sql, tuple(values)).fetchall()

    def execute_rows(
        self,
        connection: Connection,
        sql: str,
        columns: Columns,
        rows: Sequence[Row],
        values: Row,
    ) -> int:
        statement = _with_jsonb(sql, columns)
        return connection.execute(statement, (*values, _to_json(rows))).rowcount

    def insert_new(
        self, connection: Connection, run_id: int, columns: Columns, rows: Sequence[Row]
    ) -> Sequence[Row]:
        # A fixed order: writers of the same keys wait for each other, never in a circle.
        ordered = sorted(rows, key=lambda row: row[0])
        insert = f"{_insert_new(columns)} RETURNING action, state, size"
        sql = _with_jsonb(f"WITH added AS ({insert}) SELECT {_SUMS} FROM added {_BY_SUM}", columns)
        found = connection.execute(sql, (run_id, _to_json(ordered))).fetchall()
        return [(action, state, count, int(size)) for action, state, count, size in found]


_SUMS = "action, state, count(*) AS count, sum(size) AS size"
_BY_SUM = "GROUP BY action, state"


@lru_cache
def _insert_new(columns: Columns) -> str:
    names = ", ".join(name for name, _ in columns)
    return (
        f"INSERT INTO transfers (run_id, {names}) SELECT ?, {names} FROM ({{rows}}) AS v "
        "WHERE true ON CONFLICT (run_id, key) DO NOTHING"
    )


@lru_cache
def _select_as_json(columns: str, source: str) -> str:
    names = ", ".join(column.split()[-1].rpartition(".")[2] for column in columns.split(","))
    return f"SELECT json_group_array(json_array({names})) FROM (SELECT {columns} {source})"


@lru_cache
def _with_values(sql: str, columns: Columns, count: int) -> str:
    names = ", ".join(f"column{n} AS {name}" for n, (name, _) in enumerate(columns, 1))
    row = f"({', '.join('?' * len(columns))})"
    return sql.format(rows=f"SELECT {names} FROM (VALUES {', '.join([row] * count)})")


@lru_cache
def _with_jsonb(sql: str, columns: Columns) -> str:
    names = ", ".join(f"(v->>{n})::{kind} AS {name}" for n, (name, kind) in enumerate(columns))
    return _percent(sql.format(rows=f"SELECT {names} FROM jsonb_array_elements(?::jsonb) AS v"))


@lru_cache
def _percent(sql: str) -> str:
    return sql.replace("?", "%s")
