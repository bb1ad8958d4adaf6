"""How much is kept, and what room it takes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TableUse:
    """Attributes:
    rows: as the server last counted them, on PostgreSQL; None where it has not yet.
    size: in bytes, with indexes; None where the database does not say.
    """

    name: str
    rows: int | None
    size: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseUse:
    """Attributes:
    place: without a password.
    revision: of its tables.
    size: in bytes, with what is free in it.
    tables: the largest first.
    """

    place: str
    revision: str
    size: int
    tables: tuple[TableUse, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskUse:
    """What the state of this machine takes, in bytes.

    Attributes:
        database: of the SQLite file or of the server's database.
        reports: of runs, in the state folder.
        other: in the state folder besides: spools, keys, copies.
        free: where the state folder is.
    """

    database: int
    reports: int
    other: int
    free: int
