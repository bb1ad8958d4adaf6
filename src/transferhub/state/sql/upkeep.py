"""What is done to a database as a whole. These functions block."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from transferhub.errors import StateError
from transferhub.model.usage import DatabaseUse, TableUse
from transferhub.state.sql.connection import Connection
from transferhub.state.sql.dialects import Row
from transferhub.state.sql.drivers import Driver, driver_of
from transferhub.state.sql.faults import state_error
from transferhub.state.sql.revision import stored_revision
from transferhub.state.sql.url import parse_url

Result = TypeVar("Result")

_SQLITE_TABLES = (
    "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!'"
)
_POSTGRES_TABLES = (
    "SELECT relname, reltuples::bigint, pg_total_relation_size(oid) FROM pg_class "
    "WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace"
)


def upgrade(url: str) -> tuple[str | None, str]:
    """Creates or upgrades the tables, while older programs work with them. Of many callers one
    does, the others wait.

    Returns:
        The revisions before and now; None where there were no tables.

    Raises:
        InputError: the URL names no database that we know.
        StateError: it cannot be used, or a newer version of the program wrote the tables.
    """
    # It takes a third of a second to load.
    from transferhub.state.sql.upgrades import bring_up_to_date  # noqa: PLC0415

    driver = driver_of(parse_url(url))
    return told_as_state(driver, lambda: bring_up_to_date(driver))


def measure(url: str) -> DatabaseUse:
    """How much is in the database.

    Raises:
        InputError: the URL names no database that we know.
        StateError: it cannot be used, or has no tables yet.
    """
    driver = driver_of(parse_url(url))
    return told_as_state(driver, lambda: _measure(driver))


def size(url: str) -> int:
    """Of the database, in bytes; 0 where there is none yet.

    Raises:
        InputError: the URL names no database that we know.
        StateError: it cannot be used.
    """
    driver = driver_of(parse_url(url))
    return told_as_state(driver, lambda: _size(driver))


def told_as_state(driver: Driver, work: Callable[[], Result]) -> Result:
    """Raises StateError in place of the driver's own errors."""
    try:
        return work()
    except driver.error as error:
        raise state_error(error, driver.url) from error


def _measure(driver: Driver) -> DatabaseUse:
    if driver.url.is_sqlite and not Path(driver.url.target).exists():
        raise _no_tables(driver)
    with closing(driver.connect()) as connection:
        revision = stored_revision(connection, driver.dialect)
        if revision is None:
            raise _no_tables(driver)
        if driver.url.is_sqlite:
            tables = _of_sqlite(connection)
        else:
            tables = connection.execute(_POSTGRES_TABLES).fetchall()
    found = [TableUse(name=name, rows=_counted(rows), size=taken) for name, rows, taken in tables]
    largest = sorted(found, key=lambda use: (-(use.size or use.rows or 0), use.name))
    return DatabaseUse(
        place=driver.url.place, revision=revision, size=_size(driver), tables=tuple(largest)
    )


def _size(driver: Driver) -> int:
    """Of a SQLite file: with what stands beside it."""
    if driver.url.is_sqlite:
        path = Path(driver.url.target)
        beside = (path, *(path.with_name(f"{path.name}{end}") for end in ("-wal", "-shm")))
        return sum(file.stat().st_size for file in beside if file.exists())
    with closing(driver.connect()) as connection:
        return _one(connection, "SELECT pg_database_size(current_database())")


def _of_sqlite(connection: Connection) -> Sequence[Row]:
    names = [str(name) for (name,) in connection.execute(_SQLITE_TABLES).fetchall()]
    return [(name, _one(connection, f"SELECT count(*) FROM {name}"), None) for name in names]


def _one(connection: Connection, sql: str) -> int:
    return int(connection.execute(sql).fetchone()[0])


def _counted(rows: int) -> int | None:
    """PostgreSQL gives -1 where it has not counted yet."""
    return None if rows < 0 else rows


def _no_tables(driver: Driver) -> StateError:
    return StateError(f"There is nothing in {driver.url.place} yet.")
