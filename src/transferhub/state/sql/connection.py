"""`Connection`: what the connections of sqlite3 and psycopg have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol


class Cursor(Protocol):
    @property
    def rowcount(self) -> int: ...
    def fetchone(self) -> Any: ...  # noqa: ANN401 - a row of any columns
    def fetchall(self) -> list[Any]: ...


class Connection(Protocol):
    """A connection of PEP 249, with the shortcut that both drivers add."""

    def execute(self, sql: str, values: Sequence[Any] = ..., /) -> Cursor: ...
    def commit(self) -> None: ...
    def rollback(self) -> None: ...
    def close(self) -> None: ...
